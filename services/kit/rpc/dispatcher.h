// Runs RPC bodies away from gRPC's threads, which must never block. Bounded: what finds no place is refused.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "services/kit/rpc/access.h"

namespace phoenix::kit {

// A fixed number of threads and a bounded queue.
class ThreadPool {
 public:
  ThreadPool(int threads, size_t queue_limit);
  // Runs what is queued, then ends.
  ~ThreadPool();
  // False when the queue is full or the pool is ending.
  bool Submit(std::function<void()> work);

 private:
  void Loop();
  const size_t queue_limit_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

// Reads are short; changes wait for work on the machine and must not keep reads from being served.
enum class Lane { kRead, kChange };

class Dispatcher {
 public:
  Dispatcher() : reads_(8, 256), changes_(64, 64) {}

  // Authorizes, runs `body` on the lane's pool and finishes the reactor with what it answers. `service` is
  // the full service name, `method` the method's own. The body may use request and response until it returns.
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const std::string& service,
                                  const std::string& method, Lane lane, const std::string& error_domain,
                                  std::function<absl::Status(const Caller&)> body);

 private:
  ThreadPool reads_;
  ThreadPool changes_;
};

}  // namespace phoenix::kit
