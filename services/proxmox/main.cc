// phoenix-proxmoxd: the only place that constructs this service's real things.
#include <memory>

#include "base/status/status_macros.h"
#include "services/kit/rpc/daemon.h"
#include "services/proxmox/api/proxmox_convert.h"
#include "services/proxmox/api/proxmox_service.h"
#include "services/proxmox/host/proxmox_cli.h"
#include "services/proxmox/host/proxmox_sim.h"
#include "services/proxmox/worker/proxmox_domain.h"

int main(int argc, char** argv) {
  using namespace phoenix;
  std::unique_ptr<proxmox::ProxmoxHost> host;
  return kit::RunDaemon(
      argc, argv,
      {.participant = "proxmox",
       .program = "phoenix-proxmoxd",
       .description = "Proxmox VE storage entries of this node, for people and for runs",
       .make_domain = [&](const kit::Surroundings& on) -> absl::StatusOr<std::shared_ptr<kit::Domain>> {
         if (on.machine) {
           PHX_RETURN_IF_ERROR(proxmox::ProxmoxSim::Install(*on.machine, on.node));
           host = std::make_unique<proxmox::ProxmoxSim>(on.machine);
         } else {
           host = std::make_unique<proxmox::ProxmoxCli>(*on.runner, *on.files);
         }
         return std::make_shared<proxmox::ProxmoxDomain>(*host, proxmox::ParseSpec);
       },
       .typed_service = proxmox::v1::ProxmoxService::service_full_name(),
       .make_service = [&](kit::TypedGround ground) -> std::shared_ptr<grpc::Service> {
         return std::make_shared<proxmox::ProxmoxService>(*host, ground);
       }});
}
