#include "services/proxmox/host/vm_command.h"

#include <fmt/format.h>

#include "base/status/errors.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {
namespace {

// qm waits up to 10 s for the VM's lock; on a slow machine Perl's start takes 10 s more.
constexpr std::chrono::seconds kLimit{120};

bool Contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

Command SetCicustomCommand(uint32_t vmid, const Cicustom& cicustom, const std::string& digest) {
  Command command{.program = kQm, .args = {"set", std::to_string(vmid)}};
  if (cicustom.empty()) {
    command.args.insert(command.args.end(), {"--delete", "cicustom"});
  } else {
    command.args.insert(command.args.end(), {"--cicustom", ToText(cicustom)});
  }
  // Refused where the file is not the one that the change was decided on.
  if (!digest.empty()) command.args.insert(command.args.end(), {"--digest", digest});
  command.limit = kLimit;
  command.kill_at_limit = false;
  return command;
}

absl::Status ExplainVmFailure(uint32_t vmid, const Command& command, const CommandResult& result) {
  std::string said;
  for (const std::string& line : Warnings(result.err)) said += (said.empty() ? "" : "; ") + line;
  if (said.empty()) said = fmt::format("nothing, with exit code {}", result.exit_code);
  const std::string text = ToText(command);
  // "missmatch" before October 2024.
  if (Contains(result.err, "checksum mismatch") || Contains(result.err, "checksum missmatch")) {
    return WithReason(
        Aborted("VM {} was changed by somebody else since it was read ({} said: {})", vmid, text, said),
        {"VM_CONFIG_CHANGED", {}});
  }
  if (Contains(result.err, "Configuration file") && Contains(result.err, "does not exist"))
    return NotFound("there is no VM {} on this node ({} said: {})", vmid, text, said);
  // pmxcfs refuses to write without a quorum; qm asks for no lock of the cluster before.
  if (Contains(result.err, "unable to open file '/etc/pve/") && Contains(result.err, "Permission denied")) {
    return WithReason(
        FailedPrecondition("the cluster has no quorum, so VMs cannot be changed: bring the other "
                           "nodes back (`pvecm status` names them) and try again ({} said: {})",
                           text, said),
        {kNoQuorum, {}});
  }
  if (Contains(result.err, "can't lock file") || Contains(result.err, "got timeout")) {
    return WithReason(
        Unavailable("another Proxmox tool holds VM {}; try again ({} said: {})", vmid, text, said),
        {"VM_LOCKED", {}});
  }
  if (Contains(result.err, "ipcc_send_rec") || Contains(result.err, "pve cluster filesystem not online")) {
    return WithReason(
        Unavailable("/etc/pve does not answer: look at `systemctl status pve-cluster` ({} said: {})", text,
                    said),
        {kPmxcfsDown, {}});
  }
  return FailedPrecondition("{} failed and said: {}", text, said);
}

}  // namespace phoenix::proxmox
