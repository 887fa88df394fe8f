#include "services/zfs/worker/zfs_reaper.h"

#include <spdlog/spdlog.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {

Reaper::~Reaper() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Reaper::Start(std::chrono::seconds tick) {
  thread_ = std::thread([this, tick] { Run(tick); });
}

void Reaper::Wake() {
  absl::MutexLock lock(&mutex_);
  woken_ = true;
}

void Reaper::Run(std::chrono::seconds tick) {
  while (true) {
    if (const absl::Status passed = Pass(); !passed.ok())
      spdlog::warn("what old runs left cannot be looked at: {}", Message(passed));
    absl::MutexLock lock(&mutex_);
    const auto called = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || woken_; };
    mutex_.AwaitWithTimeout(absl::Condition(&called), absl::FromChrono(tick));
    if (stopping_) return;
    woken_ = false;
  }
}

absl::Status Reaper::Pass() {
  ObserveRequest request;
  request.pools = request.all_datasets = request.snapshots = request.holds = true;
  const absl::MutexLock lock(&asides_);
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, host_.Observe(request));
  const Reaping reaping = WhatToReap(seen, retention_, clock_.WallSeconds());
  for (const Reap& what : reaping.reap) Destroy(seen, what);
  for (const Reap& what : reaping.left) Name(what.name, what.why);
  return absl::OkStatus();
}

void Reaper::Destroy(const ZfsState& seen, const Reap& what) {
  const bool dataset = what.name.find('@') == std::string::npos;
  const absl::Status gone = dataset ? host_.Change(DestroyDataset{what.name}, nullptr)
                                    : host_.Change(DestroySnapshot{what.name}, nullptr);
  if (!gone.ok()) {
    Name(what.name, fmt::format("{}, but {}", what.why, Message(gone)));
    return;
  }
  spdlog::info("{} is gone: {}", what.name, what.why);
  if (!dataset) return;
  const std::string run = seen.datasets.find(what.name)->second.LocalValue(kTrashMark);
  if (const absl::Status tidy = DropEmptyContainers(host_, TrashOf(what.name, run), nullptr); !tidy.ok())
    spdlog::warn("the empty trash of run {} stays: {}", run, Message(tidy));
}

void Reaper::Name(const std::string& name, const std::string& why) {
  if (named_.insert(name).second) spdlog::warn("{} stays: {}", name, why);
}

}  // namespace phoenix::zfs
