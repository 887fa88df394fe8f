// A run's snapshots on the machine: taken before its first step, let go when it is closed. Part of ZfsDomain.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "services/zfs/domain/zfs_checkpoint.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

// What TakeCheckpoint() would snapshot now.
absl::StatusOr<std::vector<std::string>> CheckpointsOf(ZfsHost& host, const Touching& touching);

// One snapshot for each pool of all that the run touches there, marked and held by the run. Repeatable.
// ABORTED where the datasets are others afterwards than before.
absl::Status TakeCheckpoint(ZfsHost& host, const std::string& run_id, const Touching& touching);

// The run is committed: lets its snapshots go, and marks what it put into the trash as committed; from now on
// both go by retention. Repeatable.
absl::Status ReleaseCheckpoint(ZfsHost& host, const std::string& run_id, int64_t now_seconds);

// Lets one snapshot of the run's go and destroys it. What others hold or have cloned is left and named in the
// log.
absl::Status DropSnapshot(ZfsHost& host, const std::string& run_id, const SnapshotState& snapshot);

// The run is undone: destroys its snapshots. What others hold or have cloned is left and named in the log.
// Repeatable.
absl::Status DropCheckpoint(ZfsHost& host, const std::string& run_id);

}  // namespace phoenix::zfs
