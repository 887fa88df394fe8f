#include "services/proxmox/host/container_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/status/errors.h"
#include "services/proxmox/host/proxmox_command.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {
namespace {

// pct waits 10 s for the container's lock; Perl's start takes 10 s more on a slow machine, and a volume that
// is no ZFS dataset is formatted.
constexpr std::chrono::seconds kLimit{300};
// pvesm activates the storage, which has limits of 10 s of its own.
constexpr std::chrono::seconds kLookLimit{120};

Command Pct(std::vector<std::string> args) {
  Command command{.program = kPct};
  command.args = std::move(args);
  command.limit = kLimit;
  // A killed pct leaves a volume behind that no container names.
  command.kill_at_limit = false;
  return command;
}

// As pct takes and writes it: whole units, or bytes.
std::string PctSize(uint64_t bytes) {
  return bytes % kGib == 0 ? fmt::format("{}G", bytes / kGib) : fmt::to_string(bytes);
}

void PutDigest(Command& command, const std::string& digest) {
  if (digest.empty()) return;
  command.args.emplace_back("--digest");
  command.args.push_back(digest);
}

bool Says(const CommandResult& result, std::string_view text) {
  return result.err.find(text) != std::string::npos;
}

}  // namespace

Command MountCommand(uint32_t id, const std::vector<NewMount>& mounts, const std::string& digest) {
  Command command = Pct({"set", fmt::to_string(id)});
  for (const NewMount& mount : mounts) {
    command.args.push_back(fmt::format("--mp{}", mount.number));
    command.args.push_back(MountValue(mount));
  }
  PutDigest(command, digest);
  return command;
}

Command DetachCommand(uint32_t id, const std::vector<std::string>& keys, const std::string& digest) {
  Command command = Pct({"set", fmt::to_string(id), "--delete", fmt::format("{}", fmt::join(keys, ","))});
  PutDigest(command, digest);
  return command;
}

Command ResizeCommand(uint32_t id, int number, uint64_t bytes, const std::string& digest) {
  Command command = Pct({"resize", fmt::to_string(id), fmt::format("mp{}", number), PctSize(bytes)});
  PutDigest(command, digest);
  return command;
}

Command VolumesCommand(const std::string& storage, uint32_t id) {
  Command command{.program = kPvesm, .args = {"list", storage, "--vmid", fmt::to_string(id)}};
  command.limit = kLookLimit;
  return command;
}

Command FreeCommand(const std::string& volume) {
  Command command{.program = kPvesm, .args = {"free", volume}};
  command.limit = kLimit;
  command.kill_at_limit = false;
  return command;
}

Command LookCommand(const std::string& dataset) {
  Command command{.program = kZfs,
                  .args = {"list", "-H", "-r", "-t", "filesystem,volume,snapshot", "-o", "name", dataset}};
  command.limit = kLookLimit;
  return command;
}

Command ReferencedCommand(const std::string& dataset) {
  Command command{.program = kZfs, .args = {"get", "-Hp", "-o", "value", "referenced", dataset}};
  command.limit = kLookLimit;
  return command;
}

Command QuotaCommand(const std::string& dataset, uint64_t bytes) {
  Command command{.program = kZfs, .args = {"set", fmt::format("refquota={}", bytes), dataset}};
  command.limit = kLimit;
  command.kill_at_limit = false;
  return command;
}

absl::Status ExplainContainerFailure(const Command& command, const CommandResult& result) {
  const std::string text = ToText(command);
  const auto lines = Warnings(result.err);
  const std::string said = lines.empty() ? fmt::format("nothing, with exit code {}", result.exit_code)
                                         : fmt::format("{}", fmt::join(lines, "; "));
  // pmxcfs refuses to write without a quorum; pct asks for no lock of the cluster before.
  const bool cannot_write =
      Says(result, "unable to open file '/etc/pve/") && Says(result, "Permission denied");
  if (cannot_write || Says(result, "no quorum!")) {
    return WithReason(
        FailedPrecondition(
            "the cluster has no quorum, so containers cannot change: bring the other nodes back "
            "(`pvecm status` names them) and try again ({} said: {})",
            text, said),
        {kNoQuorum, {}});
  }
  if (Says(result, "ipcc_send_rec") || Says(result, "pve cluster filesystem not online")) {
    return WithReason(
        Unavailable("/etc/pve does not answer: look at `systemctl status pve-cluster` ({} said: {})", text,
                    said),
        {kPmxcfsDown, {}});
  }
  if (Says(result, "detected modified configuration")) {
    return Aborted("the container was changed by somebody else since it was read ({} said: {})", text, said);
  }
  if (Says(result, "can't lock file")) {
    return Unavailable("another Proxmox tool works on the container; try again ({} said: {})", text, said);
  }
  if (Says(result, "CT is locked")) {
    return FailedPrecondition(
        "the container is locked by a backup, snapshot or migration: try again when that has ended, or `pct "
        "unlock` it if nothing runs any more ({} said: {})",
        text, said);
  }
  if (Says(result, "Configuration file '") && Says(result, "' does not exist")) {
    return NotFound("this node has no such container ({} said: {})", text, said);
  }
  if (Says(result, "dataset does not exist")) {
    return NotFound("there is no such dataset ({} said: {})", text, said);
  }
  if (Says(result, "size is less than current used")) {
    return FailedPrecondition("the volume holds more by now ({} said: {})", text, said);
  }
  if (Says(result, "protection mode enabled")) {
    return FailedPrecondition(
        "the container is protected: switch that off for it and try again ({} said: {})", text, said);
  }
  return FailedPrecondition("{} failed and said: {}", text, said);
}

}  // namespace phoenix::proxmox
