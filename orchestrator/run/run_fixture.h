// Plans and logs for the tests of the pure core.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/run/decide.h"
#include "orchestrator/run/fleet_plan.h"
#include "orchestrator/run/state.h"

namespace phoenix::run {

inline kit::Step MakeStep(const std::string& id, const std::vector<std::string>& needs,
                          const std::vector<std::string>& provides) {
  kit::Step step{.id = id, .resource = id, .action = "make"};
  for (const auto& need : needs) step.requires_keys.push_back({need, false});
  step.provides = provides;
  return step;
}

// Two nodes; on each a user (samba), a dataset that the user's group owns (zfs) and a share on it (samba).
inline FleetPlan TwoNodes() {
  std::vector<PlannedParticipant> participants;
  for (const std::string node : {"a", "b"}) {
    PlannedParticipant zfs{.id = {node, "zfs"}, .journal_id = "jz" + node, .plan_digest = "dz"};
    zfs.steps = {MakeStep("dataset", {"group:heads"}, {"path:/p"})};
    PlannedParticipant samba{.id = {node, "samba"}, .journal_id = "js" + node, .plan_digest = "ds"};
    samba.steps = {MakeStep("user", {}, {"group:heads"}), MakeStep("share", {"path:/p"}, {"share:s"})};
    participants.push_back(zfs);
    participants.push_back(samba);
  }
  return *MakeFleetPlan(participants, {});
}

// A log in memory that folds what it appends.
class Log {
 public:
  explicit Log(FleetPlan plan = TwoNodes(), Request request = {}) {
    Event created;
    created.kind = Event::Kind::kCreated;
    created.request = std::make_shared<Request>(std::move(request));
    Append(created);
    Event planned;
    planned.kind = Event::Kind::kPlanned;
    planned.plan = std::make_shared<FleetPlan>(std::move(plan));
    Append(planned);
  }

  absl::Status TryAppend(Event event, int64_t epoch = 1) {
    event.sequence = state.sequence + 1;
    event.prev_hash = state.head_hash;
    event.hash = "h" + std::to_string(event.sequence);
    event.epoch = epoch;
    event.time_seconds = 1;
    absl::Status status = Apply(state, event);
    if (status.ok()) events.push_back(event);
    return status;
  }
  void Append(const Event& event, int64_t epoch = 1) {
    const absl::Status status = TryAppend(event, epoch);
    EXPECT_TRUE(status.ok()) << status;
  }

  // Answers every call with success until nothing is left to do but `stop` (a phase that must not be
  // answered).
  void RunUntil(Phase stop, int64_t epoch = 1) {
    while (state.phase != stop && !state.Ended()) {
      const auto commands = Decide(state, epoch);
      ASSERT_FALSE(commands.empty());
      for (const Command& command : commands) {
        if (command.kind == Command::Kind::kAppend) {
          Append(command.event, epoch);
        } else {
          Answer(command, epoch);
        }
      }
    }
  }

  void Answer(const Command& command, int64_t epoch = 1, bool ok = true) {
    Event event;
    event.who = command.who;
    event.ok = ok;
    if (!ok) event.error = "refused";
    switch (command.kind) {
      case Command::Kind::kPrepare:
        event.kind = Event::Kind::kPrepared;
        break;
      case Command::Kind::kApply:
        event.kind = Event::Kind::kApplied;
        event.step_ids = command.step_ids;
        for (const auto& id : command.step_ids)
          event.results.push_back({id, StepResult::Result::kDone, "", {}});
        break;
      case Command::Kind::kVerify:
        event.kind = Event::Kind::kVerified;
        break;
      case Command::Kind::kPrepareCommit:
        event.kind = Event::Kind::kCommitPrepared;
        break;
      case Command::Kind::kCommit:
        event.kind = Event::Kind::kCommitDelivered;
        break;
      case Command::Kind::kUndo:
        event.kind = Event::Kind::kUndone;
        break;
      case Command::Kind::kAwaitConfirm:
        event.kind = Event::Kind::kConfirmArmed;
        break;
      case Command::Kind::kAppend:
      case Command::Kind::kPlan:
        FAIL() << "not a call";
    }
    Append(event, epoch);
  }

  RunState state;
  std::vector<Event> events;
};

}  // namespace phoenix::run
