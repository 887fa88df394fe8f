#include "services/kit/rpc/dispatcher.h"

#include <spdlog/spdlog.h>

#include <chrono>

#include "base/status/errors.h"
#include "services/kit/rpc/status.h"

namespace phoenix::kit {

ThreadPool::ThreadPool(int threads, size_t queue_limit) : queue_limit_(queue_limit) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
}

ThreadPool::~ThreadPool() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  for (auto& thread : threads_) thread.join();
}

bool ThreadPool::Submit(std::function<void()> work) {
  absl::MutexLock lock(&mutex_);
  if (ending_ || queue_.size() >= queue_limit_) return false;
  queue_.push_back(std::move(work));
  return true;
}

void ThreadPool::Loop() {
  while (true) {
    std::function<void()> work;
    {
      absl::MutexLock lock(&mutex_);
      const auto awake = [this]()
                             ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_ || !queue_.empty(); };
      mutex_.Await(absl::Condition(&awake));
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

grpc::ServerUnaryReactor* Dispatcher::Serve(grpc::CallbackServerContext* context, const std::string& service,
                                            const std::string& method, Lane lane,
                                            const std::string& error_domain,
                                            std::function<absl::Status(const Caller&)> body) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const Caller caller = CallerOf(*context);
  const std::string full_name = service + "." + method;
  if (const absl::Status allowed = Authorize(caller, full_name); !allowed.ok()) {
    spdlog::warn("refused {} to {}: {}", full_name, caller.identity, Message(allowed));
    reactor->Finish(ToGrpc(allowed, error_domain));
    return reactor;
  }
  const auto work = [=, body = std::move(body)] {
    const auto begin = std::chrono::steady_clock::now();
    const absl::Status status = body(caller);
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    if (status.ok()) {
      spdlog::debug("{} for {}: OK in {} ms", full_name, caller.identity, took.count());
    } else {
      spdlog::info("{} for {}: {} {} in {} ms", full_name, caller.identity,
                   absl::StatusCodeToString(status.code()), Message(status), took.count());
    }
    reactor->Finish(ToGrpc(status, error_domain));
  };
  ThreadPool& pool = lane == Lane::kRead ? reads_ : changes_;
  if (!pool.Submit(work)) {
    reactor->Finish(
        ToGrpc(ResourceExhausted("too many calls are waiting; try again in a moment"), error_domain));
  }
  return reactor;
}

}  // namespace phoenix::kit
