#include "orchestrator/run/decide.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace phoenix::run {
namespace {

using Kind = Command::Kind;

std::vector<Command> Append(Event event) {
  return {Command{.kind = Kind::kAppend, .event = std::move(event)}};
}

std::vector<Command> Begin(Phase phase) {
  Event event;
  event.kind = Event::Kind::kPhaseBegan;
  event.phase = phase;
  return Append(std::move(event));
}

Command Call(Kind kind, const ParticipantId& who) { return Command{.kind = kind, .event = {}, .who = who}; }

// Calls `kind` to everybody who is not `done`; what follows when all are.
template <class Done>
std::vector<Command> CallAll(const RunState& state, Kind kind, Done done) {
  std::vector<Command> calls;
  for (const auto& [who, standing] : state.participants) {
    if (!done(standing)) calls.push_back(Call(kind, who));
  }
  return calls;
}

std::vector<Command> DecidePreparing(const RunState& state) {
  // Locks are tried one after the other in one fixed order, so that two runs cannot each hold half of the
  // fleet.
  for (const auto& [who, standing] : state.participants) {
    if (!standing.prepared) return {Call(Kind::kPrepare, who)};
  }
  return Begin(Phase::kApplying);
}

// The ready steps of one participant, dispatched together: independent ones run concurrently on the node.
std::vector<Command> DecideApplying(const RunState& state) {
  std::vector<Command> calls;
  bool all_done = true;
  std::set<std::string> busy_scopes;
  for (size_t i = 0; i < state.steps.size(); ++i) {
    all_done = all_done && state.steps[i].state == StepState::kDone;
    if (state.steps[i].state == StepState::kApplying) busy_scopes.insert(state.plan->StepAt(i).scope);
  }
  if (all_done) return Begin(Phase::kVerifying);
  const bool barrier_open =
      std::all_of(state.steps.begin(), state.steps.begin() + static_cast<std::ptrdiff_t>(state.plan->barrier),
                  [](const StepStanding& step) { return step.state == StepState::kDone; });
  if (barrier_open && state.plan->barrier > 0 && state.plan->barrier < state.steps.size()) {
    // The last moment at which everything can still be taken back: what was done is probed on every node
    // first.
    auto calls = CallAll(state, Kind::kVerify,
                         [](const ParticipantStanding& standing) { return standing.barrier_verified; });
    if (!calls.empty()) return calls;
  }

  Event dispatch;
  dispatch.kind = Event::Kind::kDispatched;
  for (size_t i = 0; i < state.steps.size(); ++i) {
    if (state.steps[i].state != StepState::kPending) continue;
    if (i >= state.plan->barrier && !barrier_open) break;
    const auto& before = state.plan->sequence[i].before;
    const bool ready = std::all_of(before.begin(), before.end(), [&](size_t earlier) {
      return state.steps[earlier].state == StepState::kDone;
    });
    if (!ready) continue;
    const kit::Step& step = state.plan->StepAt(i);
    if (!step.scope.empty() && busy_scopes.contains(step.scope)) continue;
    if (dispatch.step_ids.empty()) dispatch.who = state.plan->OwnerOf(i);
    if (state.plan->OwnerOf(i) != dispatch.who) continue;
    dispatch.step_ids.push_back(step.id);
    if (!step.scope.empty()) busy_scopes.insert(step.scope);
  }
  if (!dispatch.step_ids.empty()) return Append(std::move(dispatch));
  for (const Batch& batch : state.batches) {
    if (batch.answered) continue;
    Command call = Call(Kind::kApply, batch.who);
    call.step_ids = batch.step_ids;
    calls.push_back(std::move(call));
  }
  return calls;
}

std::vector<Command> DecideEnd(const RunState& state, Phase good) {
  Event end;
  end.kind = Event::Kind::kEnded;
  end.phase = good;
  for (const auto& [who, standing] : state.participants) {
    if (standing.unresolved.empty()) continue;
    end.phase = Phase::kQuarantined;
    end.texts.push_back(fmt::format("{}: {}", ToText(who), standing.unresolved));
  }
  return Append(std::move(end));
}

}  // namespace

std::string KeyOf(const Command& command) {
  return fmt::format("{}|{}|{}", static_cast<int>(command.kind), ToText(command.who),
                     fmt::join(command.step_ids, ","));
}

std::vector<Command> Decide(const RunState& state, int64_t epoch) {
  using Standing = ParticipantStanding;
  const bool undecided = state.phase == Phase::kPreparing || state.phase == Phase::kApplying ||
                         state.phase == Phase::kVerifying || state.phase == Phase::kAwaitingConfirm ||
                         state.phase == Phase::kCommitting;
  if (undecided && !state.failure.empty()) {
    Event rolling_back;
    rolling_back.kind = Event::Kind::kRollingBack;
    rolling_back.error = state.failure;
    return Append(std::move(rolling_back));
  }
  switch (state.phase) {
    case Phase::kPlanning:
      if (!state.plan) return {Command{.kind = Kind::kPlan, .event = {}}};
      if (state.request->await_approval && !state.approved) return Begin(Phase::kAwaitingApproval);
      return Begin(Phase::kPreparing);
    case Phase::kAwaitingApproval:
      return state.approved ? Begin(Phase::kPreparing) : std::vector<Command>();
    case Phase::kPreparing:
      return DecidePreparing(state);
    case Phase::kApplying:
      return DecideApplying(state);
    case Phase::kVerifying: {
      auto calls = CallAll(state, Kind::kVerify, [](const Standing& standing) { return standing.verified; });
      if (!calls.empty()) return calls;
      return Begin(state.request->confirm_within_ns > 0 ? Phase::kAwaitingConfirm : Phase::kCommitting);
    }
    case Phase::kAwaitingConfirm: {
      auto calls = CallAll(state, Kind::kAwaitConfirm,
                           [](const Standing& standing) { return standing.confirm_armed; });
      if (!calls.empty()) return calls;
      return state.confirmed ? Begin(Phase::kCommitting) : std::vector<Command>();
    }
    case Phase::kCommitting: {
      // An acknowledgement given to an earlier leadership does not count: a stale leader might have undone
      // since.
      auto calls = CallAll(state, Kind::kPrepareCommit,
                           [&](const Standing& standing) { return standing.commit_prepared_epoch == epoch; });
      if (!calls.empty()) return calls;
      Event committed;
      committed.kind = Event::Kind::kCommitted;
      return Append(std::move(committed));
    }
    case Phase::kCommitted: {
      if (state.Ended()) return {};
      auto calls =
          CallAll(state, Kind::kCommit, [](const Standing& standing) { return standing.commit_delivered; });
      return calls.empty() ? DecideEnd(state, Phase::kCommitted) : calls;
    }
    case Phase::kRollingBack: {
      auto calls =
          CallAll(state, Kind::kUndo, [](const Standing& standing) { return standing.undo_answered; });
      return calls.empty() ? DecideEnd(state, Phase::kRolledBack) : calls;
    }
    case Phase::kRolledBack:
    case Phase::kQuarantined:
    case Phase::kNothingDone:
      return {};
  }
  return {};
}

}  // namespace phoenix::run
