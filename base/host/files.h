// The machine's files behind an interface: the real ones, a tree below another root, or a simulated
// machine's.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix {

// Everything that undo of a file must restore.
struct FileState {
  std::string content;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mode = 0644;  // permission bits, with setuid, setgid and sticky
  friend bool operator==(const FileState&, const FileState&) = default;
};

struct DirectoryState {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mode = 0755;
  friend bool operator==(const DirectoryState&, const DirectoryState&) = default;
};

// Paths are absolute. What a mutating call answered OK survives a power cut. No call follows a symbolic link
// in the last component. Thread-safe.
class Files {
 public:
  virtual ~Files() = default;
  // nullopt when there is no such file; an error for anything that is no regular file.
  virtual absl::StatusOr<std::optional<FileState>> Read(const std::string& path) const = 0;
  // Puts the file in place in one step: a reader sees the old or the new one, never half. Its directory must
  // exist.
  virtual absl::Status Replace(const std::string& path, const FileState& file) = 0;
  // OK when there is no such file already.
  virtual absl::Status Remove(const std::string& path) = 0;
  // nullopt when there is no such directory.
  virtual absl::StatusOr<std::optional<DirectoryState>> ReadDirectory(const std::string& path) const = 0;
  // Creates one directory; its parent must exist. OK when it is there already.
  virtual absl::Status MakeDirectory(const std::string& path, const DirectoryState& directory) = 0;
  // Owner, group and mode of a directory.
  virtual absl::Status SetDirectory(const std::string& path, const DirectoryState& directory) = 0;
  // Removes an empty directory. OK when there is none; FAILED_PRECONDITION when it is not empty.
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;
  // Names in a directory, sorted; empty when there is none.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& path) const = 0;
};

}  // namespace phoenix
