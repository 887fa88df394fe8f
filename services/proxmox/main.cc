// phoenix-proxmoxd: the only place that constructs this service's real things.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/status/status_macros.h"
#include "services/kit/rpc/daemon.h"
#include "services/proxmox/api/proxmox_convert.h"
#include "services/proxmox/api/proxmox_service.h"
#include "services/proxmox/host/curl_node_api.h"
#include "services/proxmox/host/proxmox_cli.h"
#include "services/proxmox/host/proxmox_sim.h"
#include "services/proxmox/worker/proxmox_domain.h"

int main(int argc, char** argv) {
  using namespace phoenix;
  std::unique_ptr<proxmox::NodeApi> api;
  std::unique_ptr<proxmox::ProxmoxHost> host;
  proxmox::NodeApiSettings api_settings;
  return kit::RunDaemon(
      argc, argv,
      {.participant = "proxmox",
       .program = "phoenix-proxmoxd",
       .description = "Proxmox VE storage entries of this node, for people and for runs",
       .make_domain = [&](const kit::Surroundings& on) -> absl::StatusOr<std::shared_ptr<kit::Domain>> {
         if (on.machine) {
           PHX_RETURN_IF_ERROR(proxmox::ProxmoxSim::Install(*on.machine, on.node, on.machine->cluster()));
           host = std::make_unique<proxmox::ProxmoxSim>(on.machine);
         } else {
           api_settings.sent_file = on.state_directory + "/api-request";
           PHX_ASSIGN_OR_RETURN(api, proxmox::CurlNodeApi::Open(*on.files, api_settings));
           host = std::make_unique<proxmox::ProxmoxCli>(
               *on.runner, *on.files, api.get(), [](const std::string& text) { spdlog::warn("{}", text); });
         }
         return std::make_shared<proxmox::ProxmoxDomain>(*host, proxmox::ParseSpec);
       },
       .add_flags =
           [&](CLI::App& app) {
             app.add_option(
                    "--pve-token", api_settings.token_file,
                    "File with the token for the node's own API (USER@REALM!TOKENID=UUID, root's, 0600); "
                    "without it storage entries change through pvesm")
                 ->capture_default_str();
           },
       .typed_service = proxmox::v1::ProxmoxService::service_full_name(),
       .make_service = [&](kit::TypedGround ground) -> std::shared_ptr<grpc::Service> {
         return std::make_shared<proxmox::ProxmoxService>(*host, ground);
       }});
}
