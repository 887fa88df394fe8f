// phoenix-zfsd: the only place that constructs this service's real things.
#include <memory>

#include "base/status/status_macros.h"
#include "services/kit/rpc/daemon.h"
#include "services/zfs/api/zfs_convert.h"
#include "services/zfs/api/zfs_service.h"
#include "services/zfs/host/zfs_cli.h"
#include "services/zfs/host/zfs_inode.h"
#include "services/zfs/host/zfs_sim.h"
#include "services/zfs/worker/zfs_domain.h"

int main(int argc, char** argv) {
  using namespace phoenix;
  std::unique_ptr<zfs::ZfsHost> host;
  return kit::RunDaemon(
      argc, argv,
      {.participant = "zfs",
       .program = "phoenix-zfsd",
       .description = "ZFS pools, datasets and snapshots of this node, for people and for runs",
       .make_domain = [&](const kit::Surroundings& on) -> absl::StatusOr<std::shared_ptr<kit::Domain>> {
         if (on.machine) {
           PHX_RETURN_IF_ERROR(zfs::SeedDisks(*on.machine));
           host = std::make_unique<zfs::ZfsSim>(on.machine);
         } else {
           PHX_RETURN_IF_ERROR(zfs::CheckMountNamespace());
           host = std::make_unique<zfs::ZfsCli>(*on.runner, *on.files);
         }
         return std::make_shared<zfs::ZfsDomain>(*host, zfs::ParseSpec, on.machine ? "" : on.state_directory);
       },
       .typed_service = zfs::v1::ZfsService::service_full_name(),
       .make_service = [&](kit::TypedGround ground) -> std::shared_ptr<grpc::Service> {
         return std::make_shared<zfs::ZfsService>(*host, ground);
       }});
}
