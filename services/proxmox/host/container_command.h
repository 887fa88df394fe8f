// The commands on containers as values, and what their failures mean. Pure.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "services/proxmox/domain/container_planner.h"

namespace phoenix::proxmox {

inline constexpr char kPct[] = "/usr/sbin/pct";
inline constexpr char kZfs[] = "/usr/sbin/zfs";

// New mpN lines in one call. Refused where the container's file is not the one with `digest`, since an mpN
// that is there by now would be overwritten without a question. "" (for a person to run) leaves it out.
Command MountCommand(uint32_t id, const std::vector<NewMount>& mounts, const std::string& digest);
// Takes lines away: "mp0" of a bind mount goes, of a volume becomes unusedN; "unused0" destroys its volume.
Command DetachCommand(uint32_t id, const std::vector<std::string>& keys, const std::string& digest);
// Never smaller: pct refuses that itself.
Command ResizeCommand(uint32_t id, int number, uint64_t bytes, const std::string& digest);
// Those of the guest with this id.
Command VolumesCommand(const std::string& storage, uint32_t id);
// With all its snapshots, whoever names it.
Command FreeCommand(const std::string& volume);
// The datasets at and below this one, and their snapshots, by name.
Command LookCommand(const std::string& dataset);
Command ReferencedCommand(const std::string& dataset);
Command QuotaCommand(const std::string& dataset, uint64_t bytes);

// NOT_FOUND where this node has no such container, ABORTED for another digest, UNAVAILABLE where a lock or
// /etc/pve cannot be had, FAILED_PRECONDITION for everything else; with what to do. What failed may have
// happened all the same, for some of the keys too: read again.
absl::Status ExplainContainerFailure(const Command& command, const CommandResult& result);

}  // namespace phoenix::proxmox
