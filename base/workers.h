// Threads that outlive the call that started them and are waited for at the end.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <thread>
#include <utility>

namespace phoenix {

class Workers {
 public:
  // At most `limit` run at once; the others wait for their turn.
  explicit Workers(int limit) : free_(limit) {}
  ~Workers() { Wait(); }

  void Start(std::function<void()> work) {
    {
      absl::MutexLock lock(&mutex_);
      ++count_;
    }
    std::thread([this, work = std::move(work)] {
      {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(+[](int* free) { return *free > 0; }, &free_));
        --free_;
      }
      work();
      absl::MutexLock lock(&mutex_);
      ++free_;
      --count_;
    }).detach();
  }

  // Returns when every started work has ended.
  void Wait() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(+[](int* count) { return *count == 0; }, &count_));
  }

 private:
  absl::Mutex mutex_;
  int free_ ABSL_GUARDED_BY(mutex_);
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace phoenix
