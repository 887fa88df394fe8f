// RunState = fold(events). Pure.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/run/event.h"

namespace phoenix::run {

enum class StepState { kPending = 1, kApplying, kDone, kFailed, kUndone, kQuarantined };

struct StepStanding {
  StepState state = StepState::kPending;
  std::string error;
  std::vector<std::string> remaining_commands;
};

// Steps that one Apply call asks for.
struct Batch {
  ParticipantId who;
  std::vector<std::string> step_ids;
  bool answered = false;
};

struct ParticipantStanding {
  bool prepared = false;
  // What was done before the barrier was probed; nothing that cannot be taken back begins before.
  bool barrier_verified = false;
  bool verified = false;
  bool confirm_armed = false;
  // The epoch in which it acknowledged PrepareCommit; 0 if it has not.
  int64_t commit_prepared_epoch = 0;
  bool commit_delivered = false;
  bool undo_answered = false;
  // Why it is named at the end: CONFLICT, DATA_LOSS, or objects left over.
  std::string unresolved;
};

struct RunState {
  std::shared_ptr<const Request> request;
  std::shared_ptr<const FleetPlan> plan;
  Phase phase = Phase::kPlanning;
  bool approved = false;
  bool confirmed = false;
  std::vector<StepStanding> steps;  // by position in the plan's sequence
  std::vector<Batch> batches;
  std::map<ParticipantId, ParticipantStanding> participants;
  // The first refusal or failure of a participant: a run that has one and is not decided yet must roll back.
  std::string failure;
  // Why the run was rolled back or nothing was done.
  std::string error;
  std::vector<std::string> unresolved;
  int64_t sequence = 0;
  std::string head_hash;
  int64_t created_seconds = 0;
  int64_t ended_seconds = 0;

  bool Ended() const {
    return phase == Phase::kRolledBack || phase == Phase::kQuarantined || phase == Phase::kNothingDone ||
           (phase == Phase::kCommitted && ended_seconds != 0);
  }
  int CountDone() const;
};

// DATA_LOSS for an event that cannot follow: the log is damaged.
absl::Status Apply(RunState& state, const Event& event);
absl::StatusOr<RunState> Fold(const std::vector<Event>& events);

}  // namespace phoenix::run
