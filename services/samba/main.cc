// phoenix-sambad: the only place that constructs this service's real things.
#include <memory>

#include "base/host/posix_files.h"
#include "base/status/status_macros.h"
#include "services/kit/rpc/daemon.h"
#include "services/node/host/node_cli.h"
#include "services/node/host/node_sim.h"
#include "services/samba/api/samba_convert.h"
#include "services/samba/api/samba_service.h"
#include "services/samba/host/samba_cli.h"
#include "services/samba/host/samba_sim.h"
#include "services/samba/worker/samba_domain.h"

int main(int argc, char** argv) {
  using namespace phoenix;
  std::unique_ptr<samba::SambaHost> host;
  std::unique_ptr<node::NodeHost> node_host;
  std::unique_ptr<node::NodeSteps> node_steps;
  std::unique_ptr<samba::SealedStore> sealed;
  Files* files = nullptr;
  return kit::RunDaemon(
      argc, argv,
      {.participant = "samba",
       .program = "phoenix-sambad",
       .description = "Samba shares and users of this node, for people and for runs",
       .make_domain = [&](const kit::Surroundings& on) -> absl::StatusOr<std::shared_ptr<kit::Domain>> {
         files = on.files;
         if (on.machine) {
           PHX_RETURN_IF_ERROR(node::SeedNode(*on.machine));
           host = std::make_unique<samba::SambaSim>(on.machine);
           node_host = std::make_unique<node::NodeSim>(on.machine);
         } else {
           host = std::make_unique<samba::SambaCli>(*on.runner, *on.files, on.state_directory + "/private");
           node_host = std::make_unique<node::NodeCli>(*on.runner, *on.files);
         }
         node_steps = std::make_unique<node::NodeSteps>(*node_host);
         // The daemon's own folder is real even where the machine is simulated.
         sealed = std::make_unique<samba::SealedStore>(std::make_unique<PosixFiles>(),
                                                       on.state_directory + "/sealed");
         return std::make_shared<samba::SambaDomain>(*host, *on.files, *node_steps, *sealed,
                                                     samba::ParseSpec);
       },
       .typed_service = samba::v1::SambaService::service_full_name(),
       .make_service = [&](kit::TypedGround ground) -> std::shared_ptr<grpc::Service> {
         return std::make_shared<samba::SambaService>(*host, *files, ground);
       }});
}
