// A clock that moves only when told.
#pragma once

#include <absl/synchronization/mutex.h>

#include "base/time/clock.h"

namespace phoenix {

class FakeClock final : public Clock {
 public:
  Duration SinceBoot() const override {
    absl::MutexLock lock(&mutex_);
    return since_boot_;
  }
  int64_t WallSeconds() const override {
    absl::MutexLock lock(&mutex_);
    return wall_seconds_;
  }
  void Advance(Duration by) {
    absl::MutexLock lock(&mutex_);
    since_boot_ += by;
    wall_seconds_ += std::chrono::duration_cast<std::chrono::seconds>(by).count();
  }

 private:
  mutable absl::Mutex mutex_;
  Duration since_boot_ ABSL_GUARDED_BY(mutex_) = std::chrono::hours(1);
  int64_t wall_seconds_ ABSL_GUARDED_BY(mutex_) = 1'700'000'000;
};

}  // namespace phoenix
