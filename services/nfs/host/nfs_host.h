// The machine's NFS server behind an interface: exports, our file, the server's table.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "services/nfs/domain/export_entry.h"
#include "services/nfs/domain/nfs_state.h"

namespace phoenix::nfs {

// The entry of one path in our file as it is to be; nullopt: no entry.
struct EntryChange {
  std::string path;
  std::optional<ExportEntry> entry;
  // Taking back: where the table does not come to say what the entry says, the file stays as it is now
  // written, since the one before is what had to go.
  bool restoring = false;
};

// Thread-safe; changes of our file exclude each other.
class NfsHost {
 public:
  virtual ~NfsHost() = default;
  // One reading of everything; `paths` are looked up besides.
  virtual absl::StatusOr<NfsState> Observe(const std::vector<std::string>& paths) = 0;
  // Makes our empty file, and /etc/exports.d (root, 0755) if it is missing. OK when both are there.
  virtual absl::Status MakeOwnFile() = 0;
  // Removes our file if it has no entries and is as we wrote it (FAILED_PRECONDITION otherwise), then the
  // directory if asked for and empty. OK when there is no file.
  virtual absl::Status RemoveOwnFile(bool directory_too) = 0;
  // Writes the entry, has exportfs read all files, and compares the table with what our files say: exit codes
  // lie in both directions. Where the path's part of the table is not as the entry says, or any other path
  // lost something, the former file is put back, exportfs runs again, and the error names the difference.
  virtual absl::Status SetEntry(const EntryChange& change, const ChildObserver& on_child) = 0;
  // Has exportfs read all files, and compares the table with our file for these paths.
  virtual absl::Status PutLive(const std::vector<std::string>& paths, const ChildObserver& on_child) = 0;
  // Makes the table say of these paths what it said before, whatever the files say: the inverse of PutLive().
  virtual absl::Status RestoreLive(const std::vector<std::string>& paths,
                                   const std::vector<LiveExport>& before, const ChildObserver& on_child) = 0;
  // "exportfs" → its package's version; empty where it is not installed.
  virtual std::map<std::string, std::string> ToolVersions() = 0;
};

}  // namespace phoenix::nfs
