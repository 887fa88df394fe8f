#include "services/proxmox/host/vm_cli.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status/status_macros.h"
#include "services/proxmox/host/vm_command.h"
#include "services/proxmox/host/vm_config_parse.h"

namespace phoenix::proxmox {

absl::StatusOr<VmPlaces> ProxmoxReading::ReadVms(const std::set<uint32_t>& vmids) const {
  VmPlaces places;
  PHX_ASSIGN_OR_RETURN(const auto tools, files_.List("/usr/sbin"));
  places.has_tool = std::find(tools.begin(), tools.end(), "qm") != tools.end();
  if (vmids.empty() || !places.has_tool) return places;
  PHX_ASSIGN_OR_RETURN(const auto mounts, mounts_());
  PHX_RETURN_IF_ERROR(CheckMounted(mounts));
  PHX_ASSIGN_OR_RETURN(const std::string self, NodeName());
  PHX_ASSIGN_OR_RETURN(const auto nodes, files_.List("/etc/pve/nodes"));
  for (const uint32_t vmid : vmids) {
    for (const std::string& node : nodes) {
      PHX_ASSIGN_OR_RETURN(const auto file,
                           files_.Read(fmt::format("/etc/pve/nodes/{}/qemu-server/{}.conf", node, vmid)));
      if (!file) continue;
      if (node == self) {
        places.here[vmid] = ParseVmConfig(file->content);
      } else {
        places.elsewhere[vmid] = node;
      }
    }
  }
  return places;
}

absl::StatusOr<VmPlaces> VmCli::Read(const std::set<uint32_t>& vmids) { return reading_.ReadVms(vmids); }

absl::Status VmCli::SetCicustom(uint32_t vmid, const Cicustom& cicustom, const std::string& digest,
                                const ChildObserver& on_child) {
  const Command command = SetCicustomCommand(vmid, cicustom, digest);
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(command, on_child));
  return result.exit_code == 0 ? absl::OkStatus() : ExplainVmFailure(vmid, command, result);
}

}  // namespace phoenix::proxmox
