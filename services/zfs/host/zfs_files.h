// Files that are delivered into one file system, by descriptor: every folder on the way is opened in the one
// before it and no link is followed, so that nobody who can write there leads root out of it.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/host/files.h"
#include "services/zfs/domain/zfs_state.h"

namespace phoenix::zfs {

// What is at `path` below the directory `root`. What is in the way of a file there is an obstacle, not an
// error: a link or another thing that is no folder on the way, another file system, or anything at its place
// that is no regular file. Access times stay as they are; content of more than kMostFileBytes is not read.
absl::StatusOr<FileSeen> LookAtFile(const std::string& root, const std::string& path);

// Puts the file in place in one step, durably, whatever regular file was there before. Folders that are
// missing are made root:root 0755. FAILED_PRECONDITION where something is in the way. May be repeated.
absl::Status DeliverFile(const std::string& root, const std::string& path, const FileState& file);

// FAILED_PRECONDITION with reason FOREIGN_CHANGE where there is any file below `root` but these, each as it
// was delivered or not there, and what a delivery that was cut off leaves. Folders do not count.
struct DeliveredFile {
  std::string path;  // below the mount root
  FileState state;
};
absl::Status ProveOnly(const std::string& root, const std::vector<DeliveredFile>& files);
// True for the name that a file has until it is complete.
bool IsUnfinished(std::string_view name);

}  // namespace phoenix::zfs
