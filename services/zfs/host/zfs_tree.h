// Owner, group and mode of everything in one file system, by descriptor: no path is looked up twice, so that
// nobody who can write into the tree leads the change out of it.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace phoenix::zfs {

// What everything shall have; nullopt leaves one alone.
struct TreeWish {
  std::optional<uint32_t> uid, gid;
  // As a directory has it; see ModeInTree().
  std::optional<uint32_t> mode;
  friend bool operator==(const TreeWish&, const TreeWish&) = default;
};

// The mode that an entry gets where directories get `mode`: of a file, no setuid, setgid or sticky bit, and
// execute bits only where `now` has one.
uint32_t ModeInTree(uint32_t mode, bool directory, uint32_t now);

struct TreeCount {
  uint64_t entries = 0;  // the root included
  uint64_t changed = 0;
};

// Changes the directory `root` and all that is below it on its file system, links themselves included and
// none followed. Nothing is skipped: an entry that cannot be changed, or another file system that is mounted
// in the tree, ends it with an error that names the path; what was changed until then stays so. May be
// repeated.
absl::StatusOr<TreeCount> ChangeTree(const std::string& root, const TreeWish& wish);

}  // namespace phoenix::zfs
