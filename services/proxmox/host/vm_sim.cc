#include "services/proxmox/host/vm_sim.h"

#include <fmt/format.h>

#include <map>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/host/proxmox_parse.h"
#include "services/proxmox/host/vm_command.h"

namespace phoenix::proxmox {
namespace {

using kit::World;

absl::StatusOr<std::string> ConfigPath(World& world, uint32_t vmid) {
  PHX_ASSIGN_OR_RETURN(const auto name, world.ReadFile("/proc/sys/kernel/hostname"));
  const std::string text = name ? name->state.content : "";
  return fmt::format("/etc/pve/nodes/{}/qemu-server/{}.conf", text.substr(0, text.find_first_of(".\n")),
                     vmid);
}

absl::Status Refuse(uint32_t vmid, const std::string& said) {
  return ExplainVmFailure(vmid, {.program = kQm}, {255, "", said + "\n"});
}

// The file with that line in its current section: comments first, then keys in order, then what is after it.
std::string Rewritten(const std::string& text, const std::string& cicustom) {
  const size_t sections = text.rfind('[', 0) == 0 ? 0 : text.find("\n[");
  const std::string current = text.substr(0, sections);
  const std::string rest = sections == std::string::npos ? "" : text.substr(sections);
  std::string comments;
  std::map<std::string, std::string> keys;
  for (size_t at = 0; at < current.size();) {
    const size_t end = std::min(current.find('\n', at), current.size());
    const std::string line = current.substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    if (line.front() == '#') {
      comments += line + "\n";
    } else {
      keys[line.substr(0, line.find(':'))] = line;
    }
  }
  keys.erase("cicustom");
  if (!cicustom.empty()) keys["cicustom"] = "cicustom: " + cicustom;
  std::string written = comments;
  for (const auto& [key, line] : keys) written += line + "\n";
  return written + rest;
}

absl::Status SetInWorld(World& world, uint32_t vmid, const Cicustom& cicustom, const std::string& digest) {
  PHX_ASSIGN_OR_RETURN(const std::string path, ConfigPath(world, vmid));
  PHX_ASSIGN_OR_RETURN(auto file, world.ReadFile(path));
  const std::string relative = path.substr(std::string_view("/etc/pve/").size());
  if (!file) return Refuse(vmid, fmt::format("Configuration file '{}' does not exist", relative));
  if (!digest.empty() && digest != Sha1Hex(file->state.content)) {
    return Refuse(vmid, "checksum mismatch (file change by other user?)");
  }
  const std::string text = "\n" + file->state.content;
  if (const size_t lock = text.find("\nlock: "); lock != std::string::npos) {
    const size_t begin = lock + 7;
    return Refuse(vmid, fmt::format("VM is locked ({})", text.substr(begin, text.find('\n', begin) - begin)));
  }
  PHX_ASSIGN_OR_RETURN(const auto members, world.ReadFile("/etc/pve/.members"));
  const auto quorum = members ? ParseMembers(members->state.content) : std::nullopt;
  if (quorum && !quorum->quorate)
    return Refuse(vmid, fmt::format("unable to open file '{}.tmp.1' - Permission denied", path));
  file->state.content = Rewritten(file->state.content, ToText(cicustom));
  return world.WriteFile(path, *file);
}

}  // namespace

absl::StatusOr<VmPlaces> VmSim::Read(const std::set<uint32_t>& vmids) { return reading_.ReadVms(vmids); }

absl::Status VmSim::SetCicustom(uint32_t vmid, const Cicustom& cicustom, const std::string& digest,
                                const ChildObserver& on_child) {
  if (on_child) PHX_RETURN_IF_ERROR(on_child({0, 0, "simulated"}));
  std::string fault;
  PHX_RETURN_IF_ERROR(machine_->Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto planned, world.TakeFault("qm.set"));
    if (!planned) {
      PHX_ASSIGN_OR_RETURN(planned, world.TakeFault(fmt::format("qm.set:{}", vmid)));
    }
    fault = planned.value_or("");
    return absl::OkStatus();
  }));
  if (fault == "fail") return FailedPrecondition("qm set {} failed (planned fault)", vmid);
  if (fault == "nothing") return absl::OkStatus();
  if (fault == "locked") {
    return Refuse(vmid,
                  fmt::format("can't lock file '/var/lock/qemu-server/lock-{}.conf' - got timeout", vmid));
  }
  PHX_RETURN_IF_ERROR(
      machine_->Change([&](World& world) { return SetInWorld(world, vmid, cicustom, digest); }));
  if (fault == "lie") return FailedPrecondition("qm set {} failed (planned lie)", vmid);
  return absl::OkStatus();
}

}  // namespace phoenix::proxmox
