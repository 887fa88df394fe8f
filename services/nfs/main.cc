// phoenix-nfsd: the only place that constructs this service's real things.
#include <memory>

#include "base/status/status_macros.h"
#include "services/kit/rpc/daemon.h"
#include "services/nfs/api/nfs_convert.h"
#include "services/nfs/api/nfs_service.h"
#include "services/nfs/host/libnfs_probe.h"
#include "services/nfs/host/nfs_cli.h"
#include "services/nfs/host/nfs_sim.h"
#include "services/nfs/worker/nfs_domain.h"
#include "services/node/host/node_cli.h"
#include "services/node/host/node_sim.h"

int main(int argc, char** argv) {
  using namespace phoenix;
  std::unique_ptr<nfs::NfsHost> host;
  std::unique_ptr<nfs::NfsProbe> probe;
  std::unique_ptr<node::NodeHost> node_host;
  return kit::RunDaemon(
      argc, argv,
      {.participant = "nfs",
       .program = "phoenix-nfsd",
       .description = "NFS exports of this node, for people and for runs",
       .make_domain = [&](const kit::Surroundings& on) -> absl::StatusOr<std::shared_ptr<kit::Domain>> {
         if (on.machine) {
           PHX_RETURN_IF_ERROR(node::SeedNode(*on.machine));
           host = std::make_unique<nfs::NfsSim>(on.machine, *on.files);
           probe = std::make_unique<nfs::NfsProbeSim>(on.machine);
           node_host = std::make_unique<node::NodeSim>(on.machine);
         } else {
           host = std::make_unique<nfs::NfsCli>(*on.runner, *on.files);
           probe = std::make_unique<nfs::LibnfsProbe>();
           node_host = std::make_unique<node::NodeCli>(*on.runner, *on.files);
         }
         return std::make_shared<nfs::NfsDomain>(*host, *probe, *node_host, nfs::ParseSpec);
       },
       .typed_service = nfs::v1::NfsService::service_full_name(),
       .make_service = [&](kit::TypedGround ground) -> std::shared_ptr<grpc::Service> {
         return std::make_shared<nfs::NfsService>(*host, ground);
       }});
}
