// Destroys what runs left behind, once its time is over (domain/zfs_checkpoint.h says what that is).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "base/time/clock.h"
#include "services/zfs/domain/zfs_checkpoint.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

// Thread-safe.
class Reaper {
 public:
  // `asides`: held while anything below pool/.phoenix is made or removed, and while a checkpoint is taken.
  Reaper(ZfsHost& host, const Clock& clock, Retention retention, absl::Mutex& asides)
      : host_(host), clock_(clock), retention_(retention), asides_(asides) {}
  // Waits for a pass under way.
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // From now on there is a pass at once, at every Wake() and every `tick`. Called once.
  void Start(std::chrono::seconds tick);
  void Wake();
  // One pass. What cannot be destroyed is left to the next one and named in the log, once.
  absl::Status Pass();

 private:
  void Run(std::chrono::seconds tick);
  void Destroy(const ZfsState& seen, const Reap& what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(asides_);
  void Name(const std::string& name, const std::string& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(asides_);

  ZfsHost& host_;
  const Clock& clock_;
  const Retention retention_;
  absl::Mutex& asides_;
  // Names that were logged as left.
  std::set<std::string> named_ ABSL_GUARDED_BY(asides_);

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace phoenix::zfs
