// What there is of a step that changes a dataset's content: its guards, its files, and what others did since.
// Part of its work.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {

// Stages of the snapshot that the step begins with: it was rolled back to, but somebody keeps it from being
// destroyed; or others could reach the dataset before the step was done, so that nobody can tell how much of
// what was written is theirs.
inline constexpr char kRolledBack[] = "rolled back";
inline constexpr char kReached[] = "reached";
// Others wrote to it: it stays as it is, for a person to look at.
inline constexpr char kLeft[] = "left";

// A rollback itself writes the block that describes the dataset, and so does ZFS once more after
// synchronous writes: two copies of 512 bytes (measured) to 4 KiB. The least that anybody else's write was
// measured to cost is 13 KiB where that is 1 KiB, and grows with it.
inline constexpr uint64_t kOwnWrites = 8192;

struct ContentSeen {
  std::optional<DatasetState> dataset;
  // What the step takes before its first write and after its last.
  std::optional<SnapshotState> before, given;
  uint64_t written = 0;  // since `before`
  // The step's work has begun, was done, and was not taken back.
  bool begun() const { return before && before->stage != kRolledBack; }
  bool done() const { return begun() && given; }
};

absl::StatusOr<ContentSeen> LookAtContent(const Work& work, const std::string& name);

// The files as they shall be; NOT_FOUND for an owner or group that is not there.
absl::StatusOr<std::vector<DeliveredFile>> FilesOf(const Work& work, const ChangeContentStep& step);
// What is at the places of the step's files, its dataset being mounted.
absl::StatusOr<FilesSeen> LookAtFiles(const Work& work, const ChangeContentStep& step);
nlohmann::json FilesJson(const FilesSeen& files);
// The first file that is not as the step leaves it; "" where all are, or where that cannot be told because
// their owners are gone.
absl::StatusOr<std::string> FirstOther(const Work& work, const ChangeContentStep& step);

// What stands against a rollback long after the step was done, in words; "" for nothing.
absl::StatusOr<std::string> NewerThan(const Work& work, const ChangeContentStep& step,
                                      const SnapshotState& given);

// What the step was captured for. What this run made may have been made again, and is known by its mark.
bool IsSame(const Work& work, const ChangeContentStep& step, const std::optional<DatasetState>& dataset);

}  // namespace phoenix::zfs
