// WatchRun: a stream of a run's events. The reactor writes what a thread of its own has read.
#include <google/protobuf/util/time_util.h>

#include "base/status/errors.h"
#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/api/run_convert.h"
#include "services/kit/rpc/status.h"

namespace phoenix::api {
namespace {

using google::protobuf::util::TimeUtil;

constexpr char kErrorDomain[] = "orchestrator.phoenix";
constexpr std::chrono::seconds kWait{1};

// One stream. gRPC calls the On… functions; Run() is the reading thread's. Deletes itself after the last of
// both.
class Watch final : public grpc::ServerWriteReactor<pb::WatchRunResponse> {
 public:
  Watch(engine::RunEngine& engine, std::string run_id, int64_t after)
      : engine_(engine), run_id_(std::move(run_id)), sequence_(after) {}

  void Run() {
    while (!Cancelled()) {
      const auto events = engine_.AwaitEvents(run_id_, sequence_, kWait);
      if (!events.ok()) return End(events.status());
      for (const run::Event& event : *events) {
        if (!Fold(event)) return End(DataLoss("the log of run {} is damaged", run_id_));
        // Those before `after_sequence` are folded only.
        if (event.sequence > sequence_ && !WriteAndWait(event)) return End(absl::OkStatus());
        sequence_ = event.sequence;
      }
      if (events->empty() && !TellWaits()) return End(absl::OkStatus());
      if (state_.Ended()) return End(absl::OkStatus());
    }
    End(absl::OkStatus());
  }

  // The state before the first event to be sent.
  absl::Status FoldUntil(int64_t sequence) {
    const auto view = engine_.GetRun(run_id_);
    if (!view.ok()) return view.status();
    for (const run::Event& event : view->events) {
      if (event.sequence <= sequence && !Fold(event))
        return DataLoss("the log of run {} is damaged", run_id_);
    }
    return absl::OkStatus();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    broken_ = broken_ || !ok;
  }
  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    broken_ = true;
  }
  void OnDone() override { Release(); }
  void End(const absl::Status& status) {
    Finish(kit::ToGrpc(status, kErrorDomain));
    Release();
  }

 private:
  bool Cancelled() {
    absl::MutexLock lock(&mutex_);
    return broken_;
  }

  bool Fold(const run::Event& event) {
    if (event.sequence <= state_.sequence) return true;
    before_ = state_.steps;
    return run::Apply(state_, event).ok();
  }

  bool WriteAndWait(const run::Event& event) {
    message_.Clear();
    message_.set_sequence(event.sequence);
    message_.set_prev_hash(event.prev_hash);
    *message_.mutable_time() = TimeUtil::SecondsToTimestamp(event.time_seconds);
    message_.set_kind(std::string(run::ToText(event.kind)));
    message_.set_text(run::Describe(event));
    message_.set_node(event.who.node);
    message_.set_participant(event.who.participant);
    for (size_t i = 0; i < state_.steps.size(); ++i) {
      if (i < before_.size() && before_[i].state == state_.steps[i].state) continue;
      ToProto(*state_.plan, i, state_.steps[i], /*with_plan=*/false, *message_.add_steps());
    }
    ToProto(run_id_, state_, *message_.mutable_run());
    return SendAndWait();
  }

  // While nothing happens: whom the run waits for, each in a message of its own.
  bool TellWaits() {
    const auto waits = engine_.WaitsOf(run_id_);
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    for (const run::Wait& wait :
         notices_.Due(waits, std::chrono::duration_cast<std::chrono::seconds>(now).count())) {
      message_.Clear();
      message_.set_sequence(sequence_);
      *message_.mutable_time() = TimeUtil::GetCurrentTime();
      message_.set_kind("WAITING");
      message_.set_text(run::Describe(wait));
      message_.set_node(wait.who.node);
      message_.set_participant(wait.who.participant);
      ToProto(run_id_, state_, *message_.mutable_run());
      for (const run::Wait& other : run::Notable(waits)) ToProto(other, *message_.mutable_run()->add_waits());
      if (!SendAndWait()) return false;
    }
    return true;
  }

  bool SendAndWait() {
    {
      absl::MutexLock lock(&mutex_);
      if (broken_) return false;
      writing_ = true;
    }
    StartWrite(&message_);
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(+[](bool* writing) { return !*writing; }, &writing_));
    return !broken_;
  }

  void Release() {
    bool last = false;
    {
      absl::MutexLock lock(&mutex_);
      last = --owners_ == 0;
    }
    if (last) delete this;
  }

  engine::RunEngine& engine_;
  const std::string run_id_;
  int64_t sequence_;
  run::RunState state_;
  std::vector<run::StepStanding> before_;
  run::WaitNotices notices_;
  pb::WatchRunResponse message_;
  absl::Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  int owners_ ABSL_GUARDED_BY(mutex_) = 2;  // gRPC and the reading thread
};

}  // namespace

grpc::ServerWriteReactor<pb::WatchRunResponse>* OrchestratorService::WatchRun(
    grpc::CallbackServerContext* context, const pb::WatchRunRequest* request) {
  const auto run_id = ParseRunName(request->name());
  auto* watch = new Watch(engine_, run_id.value_or(""), request->after_sequence());
  absl::Status status =
      kit::Authorize(kit::CallerOf(*context), "phoenix.orchestrator.v1.OrchestratorService.WatchRun");
  if (status.ok()) status = run_id.status();
  watchers_.Start([watch, status, after = request->after_sequence()]() mutable {
    if (status.ok()) status = watch->FoldUntil(after);
    if (status.ok()) {
      watch->Run();
    } else {
      watch->End(status);
    }
  });
  return watch;
}

}  // namespace phoenix::api
