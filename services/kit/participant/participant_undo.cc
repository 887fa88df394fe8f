// Undo, deadlines, doubt and recovery: what a participant does without anybody asking.
#include <algorithm>
#include <chrono>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/participant/participant.h"
#include "services/kit/plan/order.h"

namespace phoenix::kit {
namespace {

constexpr std::chrono::milliseconds kLookAgain{100};
constexpr Duration kPersistEvery = std::chrono::seconds(10);

bool IsSettled(const StepRow& row) {
  return row.state == StepState::kReverted || row.state == StepState::kQuarantined;
}

// consumers[i]: indexes of the steps that were built on step i and must be undone before it.
std::vector<std::vector<size_t>> ConsumersOf(const std::vector<StepRow>& rows) {
  std::vector<PlacedStep> placed;
  for (const StepRow& row : rows) placed.push_back({"", "", &row.step});
  const auto before = Dependencies(placed);
  std::vector<std::vector<size_t>> consumers(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const size_t provider : before[i]) consumers[provider].push_back(i);
  }
  return consumers;
}

}  // namespace

absl::Status Participant::BeginUndo(const std::string& run_id, TransactionState from,
                                    std::string_view decided_by, const std::string& reason) {
  PHX_RETURN_IF_ERROR(journal_.Move(run_id, from, [&](TransactionRow& row) {
    row.state = TransactionState::kUndoing;
    row.deadline.reset();
    row.decided_by = decided_by;
    row.reason = reason;
  }));
  StartUndo(run_id);
  return absl::OkStatus();
}

void Participant::StartUndo(const std::string& run_id) {
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || !undoing_.insert(run_id).second) return;
  }
  workers_.Start([this, run_id] {
    RunUndo(run_id);
    absl::MutexLock lock(&mutex_);
    undoing_.erase(run_id);
    changed_.SignalAll();
  });
}

void Participant::RunUndo(const std::string& run_id) {
  // A running step is waited for, then probed: no result is written while a child lives.
  AwaitSteps(run_id, {});
  std::set<std::string> joined;
  while (!Stopping()) {
    const auto record = journal_.Read(run_id);
    if (record.ok() && *record && (*record)->row.state == TransactionState::kUndoing) {
      // The run can no longer commit: siblings begin too, those in doubt included.
      for (const std::string& sibling : (*record)->row.participants) {
        if (joined.contains(sibling) || sibling == domain_.Describe().participant) continue;
        if (siblings_.JoinUndo(sibling, run_id).ok()) joined.insert(sibling);
      }
      const auto finished = UndoReady(**record);
      if (finished.ok() && *finished) return;
    } else if (record.ok()) {
      return;
    }
    absl::MutexLock lock(&mutex_);
    changed_.SignalAll();
    changed_.WaitWithTimeout(&mutex_, absl::FromChrono(std::min(kLookAgain, settings_.tick)));
  }
}

absl::StatusOr<bool> Participant::UndoReady(const TransactionRecord& record) {
  const std::string& run_id = record.row.run_id;
  const auto consumers = ConsumersOf(record.steps);
  bool all_settled = true;
  Workers undo_workers(8);
  for (size_t i = 0; i < record.steps.size(); ++i) {
    const StepRow& row = record.steps[i];
    if (IsSettled(row)) continue;
    all_settled = false;
    const bool free = std::all_of(consumers[i].begin(), consumers[i].end(),
                                  [&](size_t consumer) { return IsSettled(record.steps[consumer]); });
    if (!free || !SiblingsAllow(record, row.step.id)) continue;
    undo_workers.Start([this, run_id, &row] { (void)execution_.Undo(run_id, row); });
  }
  undo_workers.Wait();
  if (!all_settled) return false;
  PHX_RETURN_IF_ERROR(FinishUndo(record));
  return true;
}

bool Participant::SiblingsAllow(const TransactionRecord& record, const std::string& step_id) {
  const auto after = record.row.undo_after.find(step_id);
  if (after == record.row.undo_after.end()) return true;
  for (const SiblingStep& sibling : after->second) {
    const auto state = siblings_.Get(sibling.participant, record.row.run_id);
    // A silent sibling is asked again; only its own journal can say that its step is gone.
    if (!state.ok()) return false;
    const bool undoing =
        state->state == TransactionState::kUndoing || state->state == TransactionState::kUndone;
    // Only UNDOING has no way back: in any other state the step might still be applied.
    if (!undoing || state->applied.contains(sibling.step_id)) return false;
  }
  return true;
}

absl::Status Participant::FinishUndo(const TransactionRecord& record) {
  const std::string& run_id = record.row.run_id;
  const absl::Status closed = domain_.Close(run_id, /*committed=*/false);
  // One write drops lock and holds: the state is the lock.
  PHX_RETURN_IF_ERROR(journal_.Move(run_id, TransactionState::kUndoing, [&](TransactionRow& row) {
    row.state = TransactionState::kUndone;
    row.deadline.reset();
    row.closed = closed.ok();
  }));
  absl::MutexLock lock(&mutex_);
  secrets_.erase(run_id);
  changed_.SignalAll();
  return absl::OkStatus();
}

absl::StatusOr<TransactionRecord> Participant::AwaitUndone(const std::string& run_id,
                                                           const std::vector<std::string>& step_ids) {
  while (true) {
    PHX_ASSIGN_OR_RETURN(TransactionRecord record, Get(run_id));
    const bool asked_are_settled =
        !step_ids.empty() && std::all_of(record.steps.begin(), record.steps.end(), [&](const StepRow& row) {
          return IsSettled(row) || std::find(step_ids.begin(), step_ids.end(), row.step.id) == step_ids.end();
        });
    if (record.row.state == TransactionState::kUndone || asked_are_settled) return record;
    absl::MutexLock lock(&mutex_);
    if (stopping_) return Unavailable("the daemon is stopping; the undo goes on at its next start");
    changed_.WaitWithTimeout(&mutex_, absl::FromChrono(std::min(kLookAgain, settings_.tick)));
  }
}

absl::StatusOr<UndoAnswer> Participant::Undo(const RunContext& context,
                                             const std::vector<std::string>& step_ids,
                                             const std::string& reason) {
  while (true) {
    PHX_ASSIGN_OR_RETURN(const Entered entered, Enter(context, ProtocolMessage::kUndo));
    if (entered.row.state == TransactionState::kNone) {
      TransactionRecord tombstone;
      tombstone.row = entered.row;
      tombstone.row.state = TransactionState::kUndone;
      tombstone.row.authority = context.authority;
      tombstone.row.epoch = context.epoch;
      tombstone.row.decided_by = "undo";
      tombstone.row.reason = reason;
      tombstone.row.create_seconds = clock_.WallSeconds();
      tombstone.row.closed = true;
      const absl::Status inserted = journal_.Insert(tombstone);
      if (inserted.code() == absl::StatusCode::kAlreadyExists) continue;  // a Prepare came first
      PHX_RETURN_IF_ERROR(inserted);
      return UndoAnswer{{}, true};
    }
    if (entered.answer == Answer::kWork && entered.row.state != TransactionState::kUndoing) {
      const absl::Status begun = BeginUndo(context.run_id, entered.row.state, "undo", reason);
      if (begun.code() == absl::StatusCode::kAborted) continue;  // it moved meanwhile: look again
      PHX_RETURN_IF_ERROR(begun);
    } else if (entered.row.state == TransactionState::kUndoing) {
      StartUndo(context.run_id);
    }
    PHX_ASSIGN_OR_RETURN(const TransactionRecord record, AwaitUndone(context.run_id, step_ids));
    UndoAnswer answer;
    answer.undone = record.row.state == TransactionState::kUndone;
    for (const StepRow& row : record.steps) answer.outcomes.push_back(OutcomeOf(row));
    return answer;
  }
}

absl::StatusOr<TransactionRecord> Participant::JoinUndo(const std::string& run_id,
                                                        const std::string& participant) {
  while (true) {
    PHX_ASSIGN_OR_RETURN(const TransactionRow row, RowOf(run_id));
    const Row rule = Lookup(row.state, ProtocolMessage::kSiblingUndo);
    if (rule.answer == Answer::kWork) {
      absl::Status joined;
      if (row.state == TransactionState::kNone) {
        TransactionRecord tombstone;
        tombstone.row = row;
        tombstone.row.state = TransactionState::kUndone;
        tombstone.row.decided_by = "sibling";
        tombstone.row.reason = fmt::format("{} has begun to undo", participant);
        tombstone.row.create_seconds = clock_.WallSeconds();
        tombstone.row.closed = true;
        joined = journal_.Insert(tombstone);
      } else {
        joined = BeginUndo(run_id, row.state, "sibling", fmt::format("{} has begun to undo", participant));
      }
      if (joined.code() == absl::StatusCode::kAborted || joined.code() == absl::StatusCode::kAlreadyExists)
        continue;
      PHX_RETURN_IF_ERROR(joined);
    }
    if (rule.answer == Answer::kConflict) {
      return WithReason(FailedPrecondition("run {} is committed here", run_id),
                        {"CONFLICT", {{"run", run_id}}});
    }
    return Get(run_id);
  }
}

absl::StatusOr<ResolveAnswer> Participant::Resolve(const std::string& run_id, const std::string& object,
                                                   Decision decision) {
  ResolveAnswer answer;
  PHX_ASSIGN_OR_RETURN(const TransactionRow row, RowOf(run_id));
  if (row.state == TransactionState::kNone)
    return NotFound("run {} is not in this participant's journal", run_id);
  if (decision != Decision::kNone) {
    // What is wanted may have come about already: a sibling that was resolved takes the others along.
    const bool already = decision == Decision::kCommit ? row.state == TransactionState::kCommitted
                                                       : row.state == TransactionState::kUndoing ||
                                                             row.state == TransactionState::kUndone;
    if (!already && row.state != TransactionState::kInDoubt) {
      return WithReason(
          FailedPrecondition("run {} is {} here: only a transaction in doubt waits for a decision", run_id,
                             ToText(row.state)),
          {"CONFLICT", {{"state", std::string(ToText(row.state))}}});
    }
    if (!already && decision == Decision::kCommit) PHX_RETURN_IF_ERROR(DecideCommit(run_id, "resolve"));
    if (!already && decision == Decision::kUndo) {
      PHX_RETURN_IF_ERROR(BeginUndo(run_id, TransactionState::kInDoubt, "resolve", "decided by a human"));
    }
    if (decision == Decision::kUndo) PHX_RETURN_IF_ERROR(AwaitUndone(run_id, {}).status());
  }
  PHX_ASSIGN_OR_RETURN(answer.record, Get(run_id));
  for (StepRow& step : answer.record.steps) {
    if (step.state != StepState::kQuarantined) continue;
    if (!object.empty() && object != step.step.id && object != step.step.resource) continue;
    StepContext context{.run_id = run_id, .captured = step.captured.value_or("")};
    const auto probe = domain_.ProbeStep(step.step, context);
    // A person brought the object to either state: both are no longer ours to worry about.
    if (probe.ok() && (probe->probe == Probe::kNotDone || probe->probe == Probe::kDone)) {
      step.state = probe->probe == Probe::kNotDone ? StepState::kReverted : StepState::kQuarantined;
      step.error.clear();
      PHX_RETURN_IF_ERROR(journal_.RevertStep(run_id, step));
      PHX_RETURN_IF_ERROR(journal_.Lift(run_id, step.step.id));
      answer.lifted.push_back(step.step.resource);
    } else {
      answer.remaining.push_back(OutcomeOf(step));
    }
  }
  return answer;
}

void Participant::CheckDeadline(const TransactionRow& row) {
  if (!row.deadline || Lookup(row.state, ProtocolMessage::kDeadline).answer != Answer::kWork) return;
  const bool rebooted = row.deadline->boot_id != settings_.boot_id;
  if (rebooted && !row.deadline->confirm) {
    // Time counts on from what was left when it was last written down.
    (void)journal_.Touch(row.run_id, [&](TransactionRow& current) {
      if (!current.deadline) return;
      const Duration interval(current.deadline->interval_ns);
      current.deadline = Arm(Duration(current.deadline->remaining_ns), current.deadline->confirm);
      current.deadline->interval_ns = interval.count();
    });
    return;
  }
  const Duration remaining = Remaining(row).value_or(Duration::zero());
  if (!rebooted && remaining > Duration::zero()) {
    if (Duration(row.deadline->remaining_ns) - remaining > kPersistEvery) {
      (void)journal_.Touch(row.run_id, [&](TransactionRow& current) {
        if (current.deadline) current.deadline->remaining_ns = remaining.count();
      });
    }
    return;
  }
  (void)BeginUndo(row.run_id, row.state, "deadline",
                  row.deadline->confirm ? "the run was not confirmed in time"
                                        : "the orchestrator was silent for too long");
}

void Participant::CheckDoubt(const TransactionRow& row) {
  for (const std::string& sibling : row.participants) {
    if (sibling == domain_.Describe().participant) continue;
    const auto state = siblings_.Get(sibling, row.run_id);
    // A human's decision on a sibling is never evidence.
    if (!state.ok() || state->decided_by == "resolve") continue;
    if (state->state == TransactionState::kCommitted) {
      (void)DecideCommit(row.run_id, "commit");
      return;
    }
    if (state->state == TransactionState::kUndoing || state->state == TransactionState::kUndone) {
      (void)BeginUndo(row.run_id, TransactionState::kInDoubt, "sibling",
                      fmt::format("{} was undone", sibling));
      return;
    }
  }
}

absl::Status Participant::UndoWhatNobodyFinishes(const std::vector<TransactionRow>& rows,
                                                 const std::string& reason) {
  for (const TransactionRow& row : rows) {
    // A prepare that was cut off has no effect yet, a local change has no orchestrator.
    const bool orphaned =
        row.state == TransactionState::kPreparing || (row.local && row.state == TransactionState::kPrepared);
    if (!orphaned) continue;
    const absl::Status begun = BeginUndo(row.run_id, row.state, "recovery", reason);
    // Aborted: somebody else began it meanwhile.
    if (begun.code() != absl::StatusCode::kAborted) PHX_RETURN_IF_ERROR(begun);
  }
  return absl::OkStatus();
}

void Participant::Watch() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (!stopping_) changed_.WaitWithTimeout(&mutex_, absl::FromChrono(settings_.tick));
      if (stopping_) return;
    }
    const auto rows = journal_.List();
    if (!rows.ok()) continue;
    if (begin_mutex_.TryLock()) {
      (void)UndoWhatNobodyFinishes(*rows, "the journal could not be written");
      begin_mutex_.Unlock();
    }
    for (const TransactionRow& row : *rows) {
      CheckDeadline(row);
      if (row.state == TransactionState::kInDoubt) CheckDoubt(row);
    }
  }
}

absl::Status Participant::Recover() {
  PHX_ASSIGN_OR_RETURN(const auto rows, journal_.List());
  {
    absl::MutexLock begin(&begin_mutex_);
    PHX_RETURN_IF_ERROR(UndoWhatNobodyFinishes(rows, "the daemon ended while it was at work"));
  }
  for (const TransactionRow& row : rows) {
    PHX_ASSIGN_OR_RETURN(const auto record, journal_.Read(row.run_id));
    if (row.state == TransactionState::kPrepared && !row.local) {
      for (const StepRow& step : record->steps) {
        if (step.state == StepState::kIntent) PHX_RETURN_IF_ERROR(execution_.Settle(row.run_id, step));
      }
    } else if (row.state == TransactionState::kUndoing) {
      StartUndo(row.run_id);
    } else if (!row.closed &&
               (row.state == TransactionState::kUndone || row.state == TransactionState::kCommitted)) {
      if (domain_.Close(row.run_id, row.state == TransactionState::kCommitted).ok()) {
        PHX_RETURN_IF_ERROR(
            journal_.Touch(row.run_id, [](TransactionRow& current) { current.closed = true; }));
      }
    }
  }
  watch_ = std::thread([this] { Watch(); });
  return absl::OkStatus();
}

}  // namespace phoenix::kit
