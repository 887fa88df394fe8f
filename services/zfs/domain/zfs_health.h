// When disks and pools count as unhealthy, and how they are told about. Pure.
#pragma once

#include <string>
#include <vector>

#include "services/zfs/domain/zfs_spec.h"
#include "services/zfs/domain/zfs_state.h"

namespace phoenix::zfs {

// In words, without anything that moves from one look to the next; empty for none.
std::vector<std::string> CriticalWarnings(uint32_t bits);

// Why nothing is to be put on the disk; empty for a healthy one, and where nothing is known.
std::vector<std::string> WhyUnhealthy(const DiskHealth& disk, const HealthLimits& limits = {});
// What is to be looked at, though it makes the disk not unhealthy by itself.
std::vector<std::string> Doubts(const DiskHealth& disk);

// True for a pool in which nothing can be changed: "FAULTED", "SUSPENDED", "UNAVAIL".
bool IsUnusable(const PoolState& pool);
// "DEGRADED", "3 data errors"; empty for a healthy pool.
std::vector<std::string> WhyUnhealthy(const PoolState& pool);

// The disks that pools of the spec would get, as it names them: their health is to be looked at.
std::vector<std::string> DisksToJudge(const ZfsSpec& spec, const ZfsState& seen);

// How a disk or pool is, in one line.
struct HealthLine {
  enum class Urgency {
    kNone,
    kOverview,  // none, and worth a line in every overview
    kLookAt,
    kAct,  // unhealthy
  };
  Urgency urgency = Urgency::kNone;
  std::string object;  // the pool, or the disk's name in by-id
  std::string text;
  friend bool operator==(const HealthLine&, const HealthLine&) = default;
};

// Of all pools that were seen, and then of all disks whose health was read, by name. `limits`: those of a
// configuration that sets none.
std::vector<HealthLine> HealthLines(const ZfsState& seen, const HealthLimits& limits = {});

}  // namespace phoenix::zfs
