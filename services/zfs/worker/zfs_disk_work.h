// The disks that a step gives to a pool: captured blank, given back blank. Part of its work.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {

// By path: device, serial, size and what is found on each. FAILED_PRECONDITION for one that is not there.
absl::StatusOr<nlohmann::json> CaptureDisks(const ZfsState& seen, const std::vector<std::string>& disks);

// kNotDone where the disks are as `work` captured them, kPartial where they hold nothing but what an
// interrupted command for `pool` leaves, kForeign otherwise. With `wipe` also what is left of a disk that
// held something when it was captured: a wipe that was cut short leaves any part of it. `dirty`, where not
// null: the disks that hold that.
absl::StatusOr<kit::ProbeResult> ProbeDisks(const Work& work, const std::string& pool,
                                            const std::vector<std::string>& disks, bool wipe,
                                            const ZfsState& seen, std::vector<const DiskState*>* dirty);

// Blank to every probe again.
ClearDisk Clearing(const DiskState& disk);
// The same for what `work` captured, for people.
std::vector<ZfsChange> ClearingCaptured(const Work& work);
// Before a pool takes them: clears `dirty`, or with `wipe` all of `disks` that hold something.
absl::Status ClearForUse(const Work& work, const ZfsState& seen, const std::vector<std::string>& disks,
                         bool wipe, std::vector<const DiskState*> dirty);

}  // namespace phoenix::zfs
