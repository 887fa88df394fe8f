// SQLite's own VFS on a disk that goes wrong: the n-th write or fsync fails, or the power is cut there and
// what was not synced is lost. Deterministic; a test registers one for each of its machines.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace phoenix::testing {

enum class DiskFault {
  kNone,
  kFull,        // a write: half of it is done, then ENOSPC
  kQuota,       // the same with EDQUOT
  kWriteError,  // a write: half of it is done, then EIO
  kSyncError,   // an fsync
  kPowerCut,    // a write or an fsync is the last thing that happens: all of the process fails from then on
};

// What a power cut leaves of the writes that were not synced.
enum class Unsynced { kKept, kLost, kSomeLost };

// Thread-safe. Outlives the databases that use it.
class FaultVfs {
 public:
  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  // For DatabaseOptions::vfs.
  const std::string& name() const { return name_; }

  // The `at`-th operation that `fault` concerns goes wrong, counted from 1 by now, and the next ones until it
  // were `times` or until Heal().
  void Plan(DiskFault fault, int64_t at, int64_t times = 1);
  void Heal();
  bool fired();

  // The process is gone and the machine is up again; every database must be closed. `seed` chooses what is
  // lost of kSomeLost.
  void Restart(Unsynced unsynced, uint32_t seed);

  // For the VFS's own functions.
  struct Write {
    int64_t offset;
    std::string before, after;
  };
  struct FileLog {
    int64_t synced_size = 0;
    std::vector<Write> unsynced;
  };
  // SQLITE_OK, or what the operation answers; `torn` where half of the write is to be done first.
  int OnOperation(bool is_sync, bool* torn);
  bool cut();
  void Remember(const std::string& path, int64_t size, Write write);
  void OnSynced(const std::string& path, int64_t size);
  void OnTruncated(const std::string& path);
  void OnDeleted(const std::string& path);

 private:
  bool Concerns(bool is_sync) const;

  const std::string name_;
  std::string vfs_storage_;
  std::mutex mutex_;
  DiskFault fault_ = DiskFault::kNone;
  int64_t at_ = 0, times_ = 0, seen_ = 0;
  bool fired_ = false, cut_ = false;
  std::map<std::string, FileLog> files_;
};

}  // namespace phoenix::testing
