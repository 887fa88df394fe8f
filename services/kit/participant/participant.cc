#include "services/kit/participant/participant.h"

#include <algorithm>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/reversal_spec.h"

namespace phoenix::kit {
namespace {

// Steps of one node that run at once. ZFS syncs concurrent creates in one transaction group.
constexpr int kConcurrentSteps = 16;

absl::Status UnknownRun(const std::string& run_id) {
  return WithReason(FailedPrecondition("run {} is not prepared here", run_id),
                    {"RUN_UNKNOWN", {{"run", run_id}}});
}

absl::Status UndoHasBegun(const TransactionRow& row) {
  return WithReason(Aborted("run {} is being undone here, or was: {}", row.run_id,
                            row.reason.empty() ? row.decided_by : row.reason),
                    {"UNDO_BEGUN", {{"run", row.run_id}}});
}

absl::Status Conflict(const TransactionRow& row, std::string_view wanted) {
  return WithReason(
      FailedPrecondition("run {} is {} here (decided by {}), so it cannot {}", row.run_id, ToText(row.state),
                         row.decided_by.empty() ? "nobody yet" : row.decided_by, wanted),
      {"CONFLICT", {{"run", row.run_id}, {"state", std::string(ToText(row.state))}}});
}

}  // namespace

std::vector<std::string> RemovedBy(const Plan& plan) {
  std::vector<std::string> keys;
  for (const Step& step : plan.steps) keys.insert(keys.end(), step.removes.begin(), step.removes.end());
  return keys;
}

Outcome OutcomeOf(const StepRow& row) {
  Outcome outcome{row.step.id, Outcome::Result::kFailed, row.error, row.remaining_commands};
  switch (row.state) {
    case StepState::kDone:
      outcome.result = Outcome::Result::kDone;
      break;
    case StepState::kReverted:
      outcome.result = Outcome::Result::kUndone;
      break;
    case StepState::kQuarantined:
      outcome.result = Outcome::Result::kQuarantined;
      break;
    case StepState::kIdle:
    case StepState::kIntent:
    case StepState::kUndoIntent:
      if (outcome.error.empty()) outcome.error = "not done";
      break;
  }
  return outcome;
}

Participant::Participant(Domain& domain, Journal& journal, const Clock& clock, Siblings& siblings,
                         Settings settings)
    : journal_(journal),
      clock_(clock),
      siblings_(siblings),
      settings_(std::move(settings)),
      domain_(domain, journal, settings_.node_key),
      execution_(domain_, journal, settings_.node_key),
      workers_(kConcurrentSteps) {}

Participant::~Participant() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (watch_.joinable()) watch_.join();
  workers_.Wait();
}

bool Participant::Stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

absl::Status Participant::CheckFence(const RunContext& context) {
  if (context.run_id.empty() || context.authority.empty() || context.epoch <= 0) {
    return InvalidArgument("a call of a run needs run_id, authority and an epoch above 0");
  }
  if (context.journal_id != journal_.id()) {
    return WithReason(
        DataLoss(
            "this participant's journal is {}, not {}: it was lost or replaced since the run was planned",
            journal_.id(), context.journal_id),
        {"JOURNAL_CHANGED", {{"journal_id", journal_.id()}}});
  }
  absl::MutexLock lock(&fence_mutex_);
  PHX_ASSIGN_OR_RETURN(Journal::Fence fence, journal_.ReadFence());
  if (!fence.authority.empty() && fence.authority != context.authority) {
    return WithReason(
        FailedPrecondition("this node obeys authority {}, not {}; `phoenix node adopt` changes that",
                           fence.authority, context.authority),
        {"OTHER_AUTHORITY", {{"authority", fence.authority}}});
  }
  if (context.epoch < fence.epoch) {
    return WithReason(
        FailedPrecondition("epoch {} is over: this node has seen {}", context.epoch, fence.epoch),
        {"STALE_EPOCH", {{"epoch", std::to_string(fence.epoch)}}});
  }
  if (fence.authority != context.authority || context.epoch > fence.epoch) {
    // Durable before any effect of the call.
    PHX_RETURN_IF_ERROR(journal_.WriteFence({context.authority, context.epoch}));
  }
  return absl::OkStatus();
}

absl::StatusOr<TransactionRow> Participant::RowOf(const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(auto row, journal_.ReadRow(run_id));
  if (row) return *std::move(row);
  TransactionRow none;
  none.run_id = run_id;
  return none;
}

absl::StatusOr<Participant::Entered> Participant::Enter(const RunContext& context, ProtocolMessage message) {
  PHX_RETURN_IF_ERROR(CheckFence(context));
  while (true) {
    PHX_ASSIGN_OR_RETURN(TransactionRow row, RowOf(context.run_id));
    const Answer answer = Lookup(row.state, message).answer;
    switch (answer) {
      case Answer::kWait: {
        absl::MutexLock lock(&mutex_);
        while (preparing_.contains(context.run_id) && !stopping_) changed_.Wait(&mutex_);
        if (stopping_) return Unavailable("the daemon is stopping");
        // A prepare that failed where even its undo could not be written: Watch() begins that.
        changed_.WaitWithTimeout(&mutex_, absl::FromChrono(settings_.tick));
        continue;
      }
      case Answer::kAborted:
        return UndoHasBegun(row);
      case Answer::kConflict:
        return Conflict(row, message == ProtocolMessage::kCommit ? "be committed" : "be undone");
      case Answer::kUnknown:
        return UnknownRun(context.run_id);
      case Answer::kWork:
      case Answer::kRecorded:
      case Answer::kIgnore:
        break;
    }
    Renew(row);
    return Entered{std::move(row), answer};
  }
}

DeadlineRow Participant::Arm(Duration interval, bool confirm) const {
  DeadlineRow deadline;
  deadline.boot_id = settings_.boot_id;
  deadline.at_ns = (clock_.SinceBoot() + interval).count();
  deadline.remaining_ns = interval.count();
  deadline.interval_ns = interval.count();
  deadline.confirm = confirm;
  return deadline;
}

void Participant::Renew(const TransactionRow& row) {
  if (!row.deadline || row.deadline->confirm) return;
  // A lost renewal only means an earlier deadline.
  (void)journal_.Touch(row.run_id, [&](TransactionRow& current) {
    if (!current.deadline || current.deadline->confirm) return;
    current.deadline = Arm(Duration(current.deadline->interval_ns), false);
  });
}

std::optional<Duration> Participant::Remaining(const TransactionRow& row) const {
  if (!row.deadline) return std::nullopt;
  if (row.deadline->boot_id != settings_.boot_id) return Duration(row.deadline->remaining_ns);
  return Duration(row.deadline->at_ns) - clock_.SinceBoot();
}

absl::StatusOr<PlanAnswer> Participant::PlanWithLedger(PlanInput& input) {
  PHX_ASSIGN_OR_RETURN(input.ledger, journal_.ReadLedger());
  input.node_key = settings_.node_key;
  PHX_ASSIGN_OR_RETURN(Plan plan, domain_.MakePlan(input));
  std::string digest = PlanDigest(plan);
  return PlanAnswer{std::move(plan), std::move(digest), journal_.id(), ""};
}

absl::StatusOr<PlanAnswer> Participant::MakePlan(PlanInput input) {
  PHX_ASSIGN_OR_RETURN(PlanAnswer answer, PlanWithLedger(input));
  PHX_ASSIGN_OR_RETURN(const Journal::Fence fence, journal_.ReadFence());
  answer.authority = fence.authority;
  return answer;
}

absl::StatusOr<std::string> Participant::OpenRun() {
  PHX_ASSIGN_OR_RETURN(const auto rows, journal_.List());
  for (const auto& row : rows) {
    if (IsOpen(row.state)) return row.run_id;
  }
  return std::string();
}

absl::Status Participant::RefuseWhatIsLocked(const Plan& plan, const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(const std::string open, OpenRun());
  if (!open.empty() && open != run_id) {
    return WithReason(
        FailedPrecondition(
            "run {} holds the lock of this node's {}; wait for its end (`phoenix runs show {}`)", open,
            domain_.Describe().participant, open),
        {"LOCKED", {{"run", open}}});
  }
  PHX_ASSIGN_OR_RETURN(const auto quarantined, journal_.Quarantined());
  for (const auto& row : quarantined) {
    for (const Step& step : plan.steps) {
      std::vector<std::string> keys = step.provides;
      keys.insert(keys.end(), step.removes.begin(), step.removes.end());
      for (const auto& need : step.requires_keys) keys.push_back(need.key);
      keys.push_back("step:" + step.id);
      if (std::find(keys.begin(), keys.end(), row.key) == keys.end()) continue;
      return WithReason(
          FailedPrecondition("{} is quarantined since run {}: {}. `phoenix resolve {}` looks again", row.key,
                             row.run_id, row.cause, row.run_id),
          {"QUARANTINED", {{"key", row.key}, {"run", row.run_id}}});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TransactionRecord> Participant::BeginTransaction(const PrepareInput& input, const Plan& plan,
                                                                bool local, const std::string& request_id) {
  TransactionRecord record;
  TransactionRow& row = record.row;
  row.run_id = input.context.run_id;
  row.attempt = input.context.attempt;
  row.state = TransactionState::kPreparing;
  row.authority = input.context.authority;
  row.epoch = input.context.epoch;
  row.spec_type = input.wanted.spec_type;
  row.spec = input.wanted.spec;
  row.plan_digest = PlanDigest(plan);
  row.disturbed_keys = input.wanted.disturbed_keys;
  row.removed_keys = input.wanted.removed_keys;
  row.participants = input.participants;
  row.undo_after = input.undo_after;
  if (!local) row.deadline = Arm(input.deadline, false);
  row.local = local;
  row.request_id = request_id;
  row.create_seconds = clock_.WallSeconds();
  for (const Step& step : plan.steps) {
    StepRow step_row;
    step_row.step = step;
    step_row.ordinal = static_cast<int>(record.steps.size());
    record.steps.push_back(std::move(step_row));
  }
  {
    absl::MutexLock lock(&mutex_);
    preparing_.insert(row.run_id);
    secrets_[row.run_id] = input.wanted.secrets;
  }
  if (absl::Status inserted = journal_.Insert(record); !inserted.ok()) {
    absl::MutexLock lock(&mutex_);
    preparing_.erase(row.run_id);
    secrets_.erase(row.run_id);
    return inserted;
  }
  return record;
}

absl::Status Participant::CaptureAll(TransactionRecord& record) {
  const std::string& run_id = record.row.run_id;
  std::vector<Step> steps;
  for (const StepRow& row : record.steps) steps.push_back(row.step);
  // A typed change is undone at once or never, by its inverse.
  absl::Status status =
      record.row.local ? absl::OkStatus() : domain_.Checkpoint(run_id, steps, record.row.disturbed_keys);
  for (StepRow& row : record.steps) {
    if (!status.ok()) break;
    const bool ready = std::all_of(row.step.requires_keys.begin(), row.step.requires_keys.end(),
                                   [](const Requirement& need) { return need.satisfied_now; });
    // What an earlier step of the run must make first is captured right before the step itself.
    if (!ready) continue;
    status = execution_.Capture(run_id, row);
    if (status.ok()) status = journal_.WriteStep(run_id, TransactionState::kPreparing, row);
    if (!status.ok()) break;
  }
  if (status.ok()) {
    status = journal_.Move(run_id, TransactionState::kPreparing,
                           [](TransactionRow& row) { row.state = TransactionState::kPrepared; });
  }
  absl::MutexLock lock(&mutex_);
  preparing_.erase(run_id);
  changed_.SignalAll();
  return status;
}

absl::StatusOr<std::vector<std::string>> Participant::Prepare(PrepareInput input) {
  absl::MutexLock begin(&begin_mutex_);
  PHX_ASSIGN_OR_RETURN(const auto rows, journal_.List());
  PHX_RETURN_IF_ERROR(UndoWhatNobodyFinishes(rows, "the journal could not be written"));
  PHX_ASSIGN_OR_RETURN(const Entered entered, Enter(input.context, ProtocolMessage::kPrepare));
  const std::string& run_id = input.context.run_id;
  std::vector<std::string> captured;
  if (entered.answer == Answer::kRecorded) {
    if (entered.row.spec != input.wanted.spec || entered.row.plan_digest != input.plan_digest) {
      return WithReason(FailedPrecondition("run {} is prepared here with other content", run_id),
                        {"OTHER_CONTENT", {}});
    }
    // A daemon that restarted lost the secrets: a repeated Prepare brings them back.
    absl::MutexLock lock(&mutex_);
    secrets_[run_id] = input.wanted.secrets;
    return captured;
  }
  PHX_ASSIGN_OR_RETURN(const PlanAnswer answer, PlanWithLedger(input.wanted));
  if (answer.plan_digest != input.plan_digest) {
    return WithReason(Aborted("this node now needs other steps than the plan that was agreed to; plan again"),
                      {"PLAN_CHANGED", {{"plan_digest", answer.plan_digest}}});
  }
  PHX_RETURN_IF_ERROR(RefuseWhatIsLocked(answer.plan, run_id));
  const std::vector<std::string> removed = RemovedBy(answer.plan);
  if (input.wanted.spec_type == kReversalType && !removed.empty()) {
    // Who takes part in the run was asked by its plan; who does not may stand on what goes all the same.
    PHX_RETURN_IF_ERROR(siblings_.MayGo(removed, input.participants));
  }
  PHX_RETURN_IF_ERROR(journal_.HoldReserve());
  PHX_ASSIGN_OR_RETURN(TransactionRecord record, BeginTransaction(input, answer.plan, /*local=*/false, ""));
  if (absl::Status status = CaptureAll(record); !status.ok()) {
    (void)BeginUndo(run_id, TransactionState::kPreparing, "recovery", "prepare failed: " + Message(status));
    return status;
  }
  for (const StepRow& row : record.steps) {
    if (row.captured) captured.push_back(fmt::format("{}: {}", row.step.resource, row.step.undo));
  }
  return captured;
}

void Participant::StartStep(const std::string& run_id, const StepRow& row) {
  running_.insert({run_id, row.step.id});
  const Secrets secrets = secrets_[run_id];
  workers_.Start([this, run_id, row, secrets] {
    // The journal holds the outcome; whoever waits reads it there.
    (void)execution_.Do(run_id, row, secrets);
    absl::MutexLock lock(&mutex_);
    running_.erase({run_id, row.step.id});
    changed_.SignalAll();
  });
}

void Participant::AwaitSteps(const std::string& run_id, const std::vector<std::string>& step_ids) {
  absl::MutexLock lock(&mutex_);
  const auto any_running = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::any_of(running_.begin(), running_.end(), [&](const auto& running) {
      return running.first == run_id && (step_ids.empty() || std::find(step_ids.begin(), step_ids.end(),
                                                                       running.second) != step_ids.end());
    });
  };
  while (any_running()) changed_.Wait(&mutex_);
}

absl::StatusOr<std::vector<Outcome>> Participant::Apply(const RunContext& context,
                                                        const std::vector<std::string>& step_ids) {
  PHX_ASSIGN_OR_RETURN(const Entered entered, Enter(context, ProtocolMessage::kApply));
  PHX_ASSIGN_OR_RETURN(auto record, journal_.Read(context.run_id));
  for (const std::string& step_id : step_ids) {
    const auto row = std::find_if(record->steps.begin(), record->steps.end(),
                                  [&](const StepRow& candidate) { return candidate.step.id == step_id; });
    if (row == record->steps.end())
      return InvalidArgument("run {} has no step '{}' here", context.run_id, step_id);
    if (entered.answer == Answer::kRecorded) continue;
    absl::MutexLock lock(&mutex_);
    // A recorded failure is answered again: only a new attempt tries again.
    const bool open = row->state == StepState::kIdle && row->error.empty();
    if (open && !running_.contains({context.run_id, step_id})) {
      // Looked at again under the lock: another call may have finished the step since the record was read.
      const auto fresh = journal_.Read(context.run_id);
      if (!fresh.ok()) return fresh.status();
      const StepRow& now = (*fresh)->steps[static_cast<size_t>(row->ordinal)];
      if (now.state == StepState::kIdle && now.error.empty()) StartStep(context.run_id, now);
    }
  }
  AwaitSteps(context.run_id, step_ids);
  PHX_ASSIGN_OR_RETURN(record, journal_.Read(context.run_id));
  if (record->row.state == TransactionState::kUndoing || record->row.state == TransactionState::kUndone) {
    return UndoHasBegun(record->row);
  }
  std::vector<Outcome> outcomes;
  for (const StepRow& row : record->steps) {
    if (std::find(step_ids.begin(), step_ids.end(), row.step.id) != step_ids.end())
      outcomes.push_back(OutcomeOf(row));
  }
  return outcomes;
}

absl::StatusOr<VerifyReport> Participant::Verify(const RunContext& context, const Secrets& secrets) {
  PHX_ASSIGN_OR_RETURN(const Entered entered, Enter(context, ProtocolMessage::kVerify));
  PHX_ASSIGN_OR_RETURN(const auto record, journal_.Read(context.run_id));
  PlanInput input{.spec_type = record->row.spec_type, .spec = record->row.spec, .secrets = secrets};
  input.disturbed_keys = record->row.disturbed_keys;
  input.removed_keys = record->row.removed_keys;
  input.local = record->row.local;
  PHX_ASSIGN_OR_RETURN(const PlanAnswer again, PlanWithLedger(input));
  VerifyInput verify{.applied = {}, .secrets = &secrets};
  std::set<std::string> open;
  std::vector<std::string> later;
  for (const StepRow& row : record->steps) {
    if (row.state == StepState::kDone) {
      verify.applied.push_back(row.step);
    } else {
      open.insert(row.step.id);
    }
  }
  for (const Step& step : again.plan.steps) {
    if (open.contains(step.id)) continue;
    if (domain_.ComesToLight(step, verify.applied)) {
      later.push_back(
          fmt::format("{} {} shows only now to be wanted: set up again", step.action, step.resource));
      continue;
    }
    return WithReason(Aborted("after the run {} {} would still have to be done", step.action, step.resource),
                      {"NOT_VERIFIED", {{"step", step.id}}});
  }
  PHX_ASSIGN_OR_RETURN(VerifyReport report, domain_.Verify(verify));
  report.not_probed.insert(report.not_probed.end(), later.begin(), later.end());
  return report;
}

absl::Status Participant::AwaitConfirm(const RunContext& context, Duration confirm_within) {
  PHX_ASSIGN_OR_RETURN(const Entered entered, Enter(context, ProtocolMessage::kVerify));
  if (entered.row.state != TransactionState::kPrepared) return absl::OkStatus();
  return journal_.Move(context.run_id, TransactionState::kPrepared, [&](TransactionRow& row) {
    // A repeat must not lengthen it.
    if (!row.deadline || !row.deadline->confirm) row.deadline = Arm(confirm_within, true);
  });
}

absl::Status Participant::PrepareCommit(const RunContext& context) {
  PHX_ASSIGN_OR_RETURN(const Entered entered, Enter(context, ProtocolMessage::kPrepareCommit));
  if (entered.answer == Answer::kRecorded) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto record, journal_.Read(context.run_id));
  for (const StepRow& row : record->steps) {
    if (row.state == StepState::kDone) continue;
    return WithReason(FailedPrecondition("step {} is {}, so run {} cannot be committed", row.step.id,
                                         ToText(row.state), context.run_id),
                      {"STEPS_OPEN", {{"step", row.step.id}}});
  }
  // Disarming and the firing of the deadline compare and set the same row: one of them comes too late.
  absl::Status moved = journal_.Move(context.run_id, TransactionState::kPrepared, [&](TransactionRow& row) {
    row.state = TransactionState::kInDoubt;
    row.deadline.reset();
    row.epoch = context.epoch;
  });
  if (moved.code() != absl::StatusCode::kAborted) return moved;
  PHX_ASSIGN_OR_RETURN(const TransactionRow now, RowOf(context.run_id));
  return now.state == TransactionState::kInDoubt ? absl::OkStatus() : UndoHasBegun(now);
}

absl::Status Participant::DecideCommit(const std::string& run_id, std::string_view decided_by) {
  PHX_RETURN_IF_ERROR(journal_.Move(run_id, TransactionState::kInDoubt, [&](TransactionRow& row) {
    row.state = TransactionState::kCommitted;
    row.decided_by = decided_by;
  }));
  {
    absl::MutexLock lock(&mutex_);
    secrets_.erase(run_id);
  }
  if (domain_.Close(run_id, /*committed=*/true).ok()) {
    (void)journal_.Touch(run_id, [](TransactionRow& row) { row.closed = true; });
  }
  return absl::OkStatus();
}

absl::Status Participant::Commit(const RunContext& context) {
  PHX_ASSIGN_OR_RETURN(const Entered entered, Enter(context, ProtocolMessage::kCommit));
  if (entered.answer == Answer::kRecorded) return absl::OkStatus();
  absl::Status decided = DecideCommit(context.run_id, "commit");
  if (decided.code() != absl::StatusCode::kAborted) return decided;
  PHX_ASSIGN_OR_RETURN(const TransactionRow now, RowOf(context.run_id));
  return now.state == TransactionState::kCommitted ? absl::OkStatus() : Conflict(now, "be committed");
}

absl::StatusOr<TransactionRecord> Participant::Get(const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(auto record, journal_.Read(run_id));
  if (!record) return NotFound("run {} is not in this participant's journal", run_id);
  return *std::move(record);
}

absl::StatusOr<std::string> Participant::Adopt(const std::string& authority, const std::string& adopted_by) {
  if (authority.empty()) return InvalidArgument("the authority to obey is missing");
  absl::MutexLock begin(&begin_mutex_);
  absl::MutexLock lock(&fence_mutex_);
  PHX_ASSIGN_OR_RETURN(const Journal::Fence fence, journal_.ReadFence());
  if (fence.authority == authority) return authority;
  PHX_ASSIGN_OR_RETURN(const std::string open, OpenRun());
  if (!open.empty()) {
    return WithReason(
        FailedPrecondition("run {} is open here; it must end before the node obeys another authority", open),
        {"LOCKED", {{"run", open}}});
  }
  PHX_RETURN_IF_ERROR(journal_.Adopt(authority, adopted_by, clock_.WallSeconds()));
  return fence.authority;
}

}  // namespace phoenix::kit
