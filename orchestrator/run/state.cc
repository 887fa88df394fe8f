#include "orchestrator/run/state.h"

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::run {
namespace {

void SetSteps(RunState& state, const ParticipantId& who, const std::vector<std::string>& step_ids,
              StepState to) {
  for (size_t i = 0; i < state.steps.size(); ++i) {
    if (state.plan->OwnerOf(i) != who) continue;
    if (std::find(step_ids.begin(), step_ids.end(), state.plan->StepAt(i).id) != step_ids.end()) {
      state.steps[i].state = to;
    }
  }
}

StepState StandingOf(StepResult::Result result) {
  switch (result) {
    case StepResult::Result::kDone:
      return StepState::kDone;
    case StepResult::Result::kFailed:
      return StepState::kFailed;
    case StepResult::Result::kUndone:
      return StepState::kUndone;
    case StepResult::Result::kQuarantined:
      return StepState::kQuarantined;
  }
  return StepState::kFailed;
}

void SetResults(RunState& state, const Event& event) {
  for (size_t i = 0; i < state.steps.size(); ++i) {
    if (state.plan->OwnerOf(i) != event.who) continue;
    for (const StepResult& result : event.results) {
      if (result.step_id != state.plan->StepAt(i).id) continue;
      // A step that was never begun is not «undone»: it stays as it was.
      const bool untouched = state.steps[i].state == StepState::kPending;
      if (untouched && result.result == StepResult::Result::kUndone) continue;
      // Why a step failed is worth more than the news that it was then undone.
      if (!result.error.empty()) state.steps[i].error = result.error;
      const bool failed_before = state.steps[i].state == StepState::kFailed;
      if (failed_before && result.result == StepResult::Result::kUndone) continue;
      state.steps[i].state = StandingOf(result.result);
      state.steps[i].remaining_commands = result.remaining_commands;
    }
  }
}

void NoteFailure(RunState& state, const Event& event) {
  if (!state.failure.empty()) return;
  if (!event.ok) {
    state.failure = fmt::format("{}: {}", ToText(event.who), event.error);
    return;
  }
  for (const StepResult& result : event.results) {
    if (result.result == StepResult::Result::kDone) continue;
    state.failure = fmt::format("{}: {} failed: {}", ToText(event.who), result.step_id, result.error);
    return;
  }
}

void NameLeftovers(RunState& state, const Event& event) {
  ParticipantStanding& standing = state.participants[event.who];
  standing.undo_answered = true;
  if (!event.ok) {
    standing.unresolved = event.error;
    return;
  }
  for (const StepResult& result : event.results) {
    if (result.result != StepResult::Result::kQuarantined) continue;
    if (!standing.unresolved.empty()) standing.unresolved += "; ";
    standing.unresolved += fmt::format("{}: {}", result.step_id, result.error);
  }
}

}  // namespace

int RunState::CountDone() const {
  return static_cast<int>(std::count_if(
      steps.begin(), steps.end(), [](const StepStanding& step) { return step.state == StepState::kDone; }));
}

absl::Status Apply(RunState& state, const Event& event) {
  if (event.sequence != state.sequence + 1 || event.prev_hash != state.head_hash) {
    return DataLoss("event {} does not follow event {}", event.sequence, state.sequence);
  }
  if (state.Ended()) return DataLoss("event {} follows the end of the run", event.sequence);
  const bool decided_commit = state.phase == Phase::kCommitted;
  const bool decided_undo = state.phase == Phase::kRollingBack;
  ParticipantStanding* standing = event.who.node.empty() ? nullptr : &state.participants[event.who];
  switch (event.kind) {
    case Event::Kind::kCreated:
      state.request = event.request;
      state.created_seconds = event.time_seconds;
      break;
    case Event::Kind::kPlanned:
      state.plan = event.plan;
      state.steps.assign(event.plan->sequence.size(), {});
      // Only those with something to do, or to keep, take part.
      for (const auto& participant : event.plan->participants) {
        if (participant.TakesPart()) state.participants[participant.id];
      }
      break;
    case Event::Kind::kPhaseBegan:
      if (decided_commit || decided_undo)
        return DataLoss("phase {} begins after the decision", ToText(event.phase));
      state.phase = event.phase;
      break;
    case Event::Kind::kPrepared:
      standing->prepared = event.ok;
      NoteFailure(state, event);
      break;
    case Event::Kind::kDispatched:
      state.batches.push_back({event.who, event.step_ids, false});
      SetSteps(state, event.who, event.step_ids, StepState::kApplying);
      break;
    case Event::Kind::kApplied:
      for (Batch& batch : state.batches) {
        if (batch.who == event.who && batch.step_ids == event.step_ids) batch.answered = true;
      }
      SetResults(state, event);
      NoteFailure(state, event);
      break;
    case Event::Kind::kVerified:
      (state.phase == Phase::kApplying ? standing->barrier_verified : standing->verified) = event.ok;
      NoteFailure(state, event);
      break;
    case Event::Kind::kConfirmArmed:
      standing->confirm_armed = event.ok;
      NoteFailure(state, event);
      break;
    case Event::Kind::kCommitPrepared:
      standing->commit_prepared_epoch = event.ok ? event.epoch : 0;
      NoteFailure(state, event);
      break;
    case Event::Kind::kCommitted:
      if (decided_undo) return DataLoss("COMMITTED follows ROLLING_BACK");
      state.phase = Phase::kCommitted;
      break;
    case Event::Kind::kCommitDelivered:
      standing->commit_delivered = true;
      if (!event.ok) standing->unresolved = event.error;
      break;
    case Event::Kind::kRollingBack:
      if (decided_commit) return DataLoss("ROLLING_BACK follows COMMITTED");
      state.phase = Phase::kRollingBack;
      state.error = event.error;
      break;
    case Event::Kind::kUndone:
      SetResults(state, event);
      NameLeftovers(state, event);
      break;
    case Event::Kind::kApproved:
      state.approved = true;
      break;
    case Event::Kind::kConfirmed:
      state.confirmed = true;
      break;
    case Event::Kind::kEnded:
      state.phase = event.phase;
      state.unresolved = event.texts;
      if (!event.error.empty()) state.error = event.error;
      state.ended_seconds = event.time_seconds == 0 ? 1 : event.time_seconds;
      break;
  }
  state.sequence = event.sequence;
  state.head_hash = event.hash;
  return absl::OkStatus();
}

absl::StatusOr<RunState> Fold(const std::vector<Event>& events) {
  RunState state;
  for (const Event& event : events) PHX_RETURN_IF_ERROR(Apply(state, event));
  return state;
}

}  // namespace phoenix::run
