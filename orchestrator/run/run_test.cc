#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/status/errors.h"
#include "orchestrator/run/decide.h"
#include "orchestrator/run/fleet_plan.h"
#include "orchestrator/run/run_fixture.h"
#include "orchestrator/run/state.h"

namespace phoenix::run {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Command::Kind;

// Node b's share cannot be taken back.
FleetPlan WithAPointOfNoReturn() {
  std::vector<PlannedParticipant> participants = TwoNodes().participants;
  for (PlannedParticipant& participant : participants) {
    for (kit::Step& step : participant.steps) {
      if (participant.id == ParticipantId{"b", "samba"} && step.id == "share")
        step.step_class = kit::StepClass::kPointOfNoReturn;
    }
  }
  return *MakeFleetPlan(participants, {});
}

TEST(Decide, BeforeTheBarrierEverythingIsDoneAndProbedOnEveryNode) {
  Log log(WithAPointOfNoReturn());
  ASSERT_EQ(log.state.plan->barrier, 5u);
  log.RunUntil(Phase::kApplying);
  std::vector<Command> commands;
  while (log.state.CountDone() < 5) {
    commands = Decide(log.state, 1);
    ASSERT_FALSE(commands.empty());
    for (const Command& command : commands) {
      ASSERT_NE(command.kind, Kind::kVerify);
      if (command.kind == Kind::kAppend) {
        log.Append(command.event);
      } else {
        log.Answer(command);
      }
    }
  }
  commands = Decide(log.state, 1);
  ASSERT_EQ(commands.size(), 4u);
  for (const Command& command : commands) EXPECT_EQ(command.kind, Kind::kVerify);
  for (size_t i = 0; i < 3; ++i) log.Answer(commands[i]);
  // One has not answered yet, whatever else is asked.
  ASSERT_EQ(Decide(log.state, 1).size(), 1u);
  EXPECT_EQ(Decide(log.state, 1)[0].kind, Kind::kVerify);
  log.Answer(commands[3]);
  commands = Decide(log.state, 1);
  ASSERT_EQ(commands[0].kind, Kind::kAppend);
  EXPECT_EQ(commands[0].event.kind, Event::Kind::kDispatched);
  EXPECT_THAT(commands[0].event.step_ids, ElementsAre("share"));
  // And everything once more when all is done.
  log.RunUntil(Phase::kVerifying);
  EXPECT_EQ(Decide(log.state, 1).size(), 4u);
}

TEST(Decide, AProbeThatFailsBeforeTheBarrierRollsBackWithoutPassingIt) {
  Log log(WithAPointOfNoReturn());
  log.RunUntil(Phase::kApplying);
  while (Decide(log.state, 1)[0].kind != Kind::kVerify) {
    for (const Command& command : Decide(log.state, 1)) {
      if (command.kind == Kind::kAppend) {
        log.Append(command.event);
      } else {
        log.Answer(command);
      }
    }
  }
  log.Answer(Decide(log.state, 1)[0], 1, /*ok=*/false);
  const auto commands = Decide(log.state, 1);
  ASSERT_EQ(commands[0].event.kind, Event::Kind::kRollingBack);
  log.RunUntil(Phase::kRolledBack);
  EXPECT_EQ(log.state.phase, Phase::kRolledBack);
  EXPECT_EQ(log.state.steps[5].state, StepState::kPending);
}

TEST(FleetPlan, StepsOfOneParticipantMayStandBeforeAndAfterAnothers) {
  const FleetPlan plan = TwoNodes();
  std::vector<std::string> order;
  for (size_t i = 0; i < plan.sequence.size(); ++i) {
    if (plan.OwnerOf(i).node == "a") order.push_back(ToText(plan.OwnerOf(i)) + ":" + plan.StepAt(i).id);
  }
  EXPECT_THAT(order, ElementsAre("a/samba:user", "a/zfs:dataset", "a/samba:share"));
}

TEST(FleetPlan, UndoEdgesGoFromProviderToItsConsumersOnTheSameNode) {
  const FleetPlan plan = TwoNodes();
  const auto zfs = UndoEdgesOf(plan, {"a", "zfs"});
  ASSERT_EQ(zfs.size(), 1u);
  EXPECT_EQ(zfs[0].step_id, "dataset");
  EXPECT_EQ(zfs[0].sibling, "samba");
  EXPECT_EQ(zfs[0].sibling_step_id, "share");
  const auto samba = UndoEdgesOf(plan, {"a", "samba"});
  ASSERT_EQ(samba.size(), 1u);
  EXPECT_EQ(samba[0].step_id, "user");
  EXPECT_EQ(samba[0].sibling_step_id, "dataset");
}

TEST(Decide, ARunEndsCommitted) {
  Log log;
  log.RunUntil(Phase::kNothingDone);
  EXPECT_TRUE(log.state.Ended());
  EXPECT_EQ(log.state.phase, Phase::kCommitted);
  EXPECT_EQ(log.state.CountDone(), 6);
}

TEST(Decide, PrepareGoesInOneFixedOrder) {
  Log log;
  log.RunUntil(Phase::kPreparing);
  const auto commands = Decide(log.state, 1);
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(ToText(commands[0].who), "a/samba");
}

TEST(Decide, AStepIsAskedForOnlyAfterWhatItNeeds) {
  Log log;
  log.RunUntil(Phase::kApplying);
  std::vector<std::string> dispatched;
  while (true) {
    const auto commands = Decide(log.state, 1);
    ASSERT_FALSE(commands.empty());
    if (commands[0].kind != Kind::kAppend) break;
    for (const auto& id : commands[0].event.step_ids)
      dispatched.push_back(ToText(commands[0].event.who) + ":" + id);
    log.Append(commands[0].event);
  }
  EXPECT_THAT(dispatched, ElementsAre("a/samba:user", "b/samba:user"));
}

TEST(Decide, TheSameStateGivesTheSameCommands) {
  Log log;
  log.RunUntil(Phase::kVerifying);
  const auto replayed = Fold(log.events);
  ASSERT_TRUE(replayed.ok());
  const auto first = Decide(log.state, 1), second = Decide(*replayed, 1);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(KeyOf(first[i]), KeyOf(second[i]));
}

TEST(Decide, OneRefusalUndoesEverybodyAndIsLoggedFirst) {
  Log log;
  log.RunUntil(Phase::kPreparing);
  log.Answer(Decide(log.state, 1)[0], 1, /*ok=*/false);
  const auto commands = Decide(log.state, 1);
  ASSERT_EQ(commands[0].event.kind, Event::Kind::kRollingBack);
  EXPECT_THAT(commands[0].event.error, HasSubstr("a/samba: refused"));
  log.Append(commands[0].event);
  EXPECT_EQ(Decide(log.state, 1).size(), 4u) << "undo goes to every participant, prepared or not";
  log.RunUntil(Phase::kNothingDone);
  EXPECT_EQ(log.state.phase, Phase::kRolledBack);
}

TEST(Decide, AFailedStepSurvivesACrashBeforeTheRollback) {
  Log log;
  log.RunUntil(Phase::kApplying);
  log.Append(Decide(log.state, 1)[0].event);
  Event failed;
  failed.kind = Event::Kind::kApplied;
  failed.who = {"a", "samba"};
  failed.step_ids = {"user"};
  failed.results = {{"user", StepResult::Result::kFailed, "no space", {}}};
  log.Append(failed);
  // Nothing but the log is left.
  const auto replayed = Fold(log.events);
  EXPECT_EQ(Decide(*replayed, 2)[0].event.kind, Event::Kind::kRollingBack);
}

TEST(Decide, AcknowledgementsOfAnEarlierLeadershipDoNotCount) {
  Log log;
  log.RunUntil(Phase::kCommitting);
  for (const Command& call : Decide(log.state, 1)) log.Answer(call, 1);
  EXPECT_EQ(Decide(log.state, 1)[0].event.kind, Event::Kind::kCommitted);
  const auto again = Decide(log.state, 2);
  ASSERT_EQ(again.size(), 4u);
  EXPECT_EQ(again[0].kind, Kind::kPrepareCommit);
}

TEST(Decide, CommittedIsLoggedOnlyAfterEverybody) {
  Log log;
  log.RunUntil(Phase::kCommitting);
  auto calls = Decide(log.state, 1);
  ASSERT_EQ(calls.size(), 4u);
  for (size_t i = 0; i + 1 < calls.size(); ++i) log.Answer(calls[i]);
  calls = Decide(log.state, 1);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].kind, Kind::kPrepareCommit);
}

TEST(Decide, AConflictDuringUndoIsNamedAtTheEnd) {
  Log log;
  log.RunUntil(Phase::kVerifying);
  log.Answer(Decide(log.state, 1)[0], 1, /*ok=*/false);
  log.Append(Decide(log.state, 1)[0].event);
  auto calls = Decide(log.state, 1);
  log.Answer(calls[0], 1, /*ok=*/false);
  log.RunUntil(Phase::kNothingDone);
  EXPECT_EQ(log.state.phase, Phase::kQuarantined);
  ASSERT_EQ(log.state.unresolved.size(), 1u);
  EXPECT_THAT(log.state.unresolved[0], HasSubstr("a/samba"));
}

TEST(Decide, StepsOfOneScopeGoOneAtATimeOverTheFleet) {
  FleetPlan plan = TwoNodes();
  for (auto& participant : plan.participants) {
    for (auto& step : participant.steps) step.scope = "cluster:lab";
  }
  Log log(plan);
  log.RunUntil(Phase::kApplying);
  log.Append(Decide(log.state, 1)[0].event);
  const auto commands = Decide(log.state, 1);
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].kind, Kind::kApply) << "node b waits for its turn";
}

TEST(Fold, ALogHoldsOneDecisionOnly) {
  Log log;
  log.RunUntil(Phase::kCommitted);
  Event rolling_back;
  rolling_back.kind = Event::Kind::kRollingBack;
  EXPECT_EQ(log.TryAppend(rolling_back).code(), absl::StatusCode::kDataLoss);
}

// How many steps of each scope are under way.
std::map<std::string, int> BusyScopes(const RunState& state) {
  std::map<std::string, int> busy;
  for (size_t i = 0; i < state.steps.size(); ++i) {
    if (state.steps[i].state == StepState::kApplying) ++busy[state.plan->StepAt(i).scope];
  }
  return busy;
}

// Three nodes of one cluster and one of another; each adds two storages and makes something of its own.
FleetPlan TwoClusters() {
  std::vector<PlannedParticipant> participants;
  for (const std::string node : {"a", "b", "c", "x"}) {
    PlannedParticipant proxmox{.id = {node, "proxmox"}, .plan_digest = "d"};
    proxmox.steps = {MakeStep("storage1", {}, {"storage:1"}), MakeStep("storage2", {}, {"storage:2"}),
                     MakeStep("own", {}, {"own:1"})};
    for (size_t i = 0; i < 2; ++i) proxmox.steps[i].scope = node == "x" ? "cluster:other" : "cluster:lab";
    participants.push_back(proxmox);
  }
  return *MakeFleetPlan(participants, {});
}

TEST(Decide, AScopeHasOneStepUnderWayAtAnyTimeAndOtherScopesDoNotWaitForIt) {
  Log log(TwoClusters());
  log.RunUntil(Phase::kApplying);
  bool both_at_once = false;
  while (log.state.phase == Phase::kApplying) {
    const auto commands = Decide(log.state, 1);
    ASSERT_FALSE(commands.empty());
    if (commands[0].kind == Kind::kAppend) {
      log.Append(commands[0].event);
      const auto busy = BusyScopes(log.state);
      for (const auto& [scope, count] : busy) {
        if (!scope.empty()) EXPECT_EQ(count, 1) << scope;
      }
      both_at_once = both_at_once || (busy.contains("cluster:lab") && busy.contains("cluster:other"));
    } else {
      log.Answer(commands.back());
    }
  }
  EXPECT_TRUE(both_at_once);
  EXPECT_EQ(log.state.CountDone(), 12);
}

TEST(Decide, StepsWithoutAScopeAreAskedForTogether) {
  FleetPlan plan = TwoClusters();
  for (auto& participant : plan.participants) {
    for (auto& step : participant.steps) step.scope.clear();
  }
  Log log(plan);
  log.RunUntil(Phase::kApplying);
  EXPECT_THAT(Decide(log.state, 1)[0].event.step_ids, ElementsAre("storage1", "storage2", "own"));
}

// A node's rule of undo: a step goes once what was built on it is gone, in its own participant by the keys,
// in its siblings by the edges it was given. Undoes what is free, the last ones of the plan first or last.
std::vector<size_t> UndoAsNodesDo(const FleetPlan& plan, bool eager_from_the_front) {
  const size_t count = plan.sequence.size();
  std::vector<bool> gone(count, false);
  std::vector<size_t> order;
  const auto position_of = [&](const ParticipantId& who, const std::string& step_id) {
    for (size_t i = 0; i < count; ++i) {
      if (plan.OwnerOf(i) == who && plan.StepAt(i).id == step_id) return i;
    }
    ADD_FAILURE() << "no step " << step_id << " of " << ToText(who);
    return count;
  };
  const auto free = [&](size_t step) {
    for (size_t later = 0; later < count; ++later) {
      const auto& before = plan.sequence[later].before;
      const bool built_on_it = std::find(before.begin(), before.end(), step) != before.end();
      if (built_on_it && plan.OwnerOf(later) == plan.OwnerOf(step) && !gone[later]) return false;
    }
    const ParticipantId& owner = plan.OwnerOf(step);
    for (const UndoEdge& edge : UndoEdgesOf(plan, owner)) {
      if (edge.step_id != plan.StepAt(step).id) continue;
      if (!gone[position_of({owner.node, edge.sibling}, edge.sibling_step_id)]) return false;
    }
    return true;
  };
  while (order.size() < count) {
    const size_t size_before = order.size();
    for (size_t i = 0; i < count; ++i) {
      const size_t step = eager_from_the_front ? i : count - 1 - i;
      if (gone[step] || !free(step)) continue;
      gone[step] = true;
      order.push_back(step);
      break;
    }
    if (order.size() == size_before) {
      ADD_FAILURE() << "the undo waits for itself";
      break;
    }
  }
  return order;
}

TEST(FleetPlan, NodesUndoInTheReverseOfTheOrderOverAllParticipants) {
  // Makes on two nodes, and takes away on a third, where consumers leave first: export, then dataset, then
  // pool.
  std::vector<PlannedParticipant> participants = TwoNodes().participants;
  PlannedParticipant nfs{.id = {"c", "nfs"}, .plan_digest = "d"}, zfs{.id = {"c", "zfs"}, .plan_digest = "d"};
  const auto removal = [](const std::string& id, const std::string& key, const std::string& need) {
    kit::Step step{.id = id, .resource = id, .action = "remove", .requires_keys = {{need, true}}};
    step.removes = {key};
    return step;
  };
  zfs.steps = {removal("pool", "pool:p", "pool:p"), removal("dataset", "path:/p/d", "pool:p")};
  nfs.steps = {removal("export", "export:/p/d", "path:/p/d")};
  participants.push_back(nfs);
  participants.push_back(zfs);
  const auto plan = MakeFleetPlan(participants, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const bool eager_from_the_front : {false, true}) {
    const std::vector<size_t> order = UndoAsNodesDo(*plan, eager_from_the_front);
    ASSERT_EQ(order.size(), plan->sequence.size());
    std::vector<size_t> when(order.size());
    for (size_t i = 0; i < order.size(); ++i) when[order[i]] = i;
    for (size_t step = 0; step < order.size(); ++step) {
      for (const size_t earlier : plan->sequence[step].before) {
        EXPECT_LT(when[step], when[earlier])
            << ToText(plan->OwnerOf(earlier)) << ":" << plan->StepAt(earlier).id << " was undone before "
            << ToText(plan->OwnerOf(step)) << ":" << plan->StepAt(step).id;
      }
    }
  }
}

TEST(FleetPlan, UndoEdgesNeverCrossNodes) {
  const FleetPlan plan = TwoNodes();
  for (const auto& participant : plan.participants) {
    for (size_t i = 0; i < plan.sequence.size(); ++i) {
      for (const size_t earlier : plan.sequence[i].before) {
        EXPECT_EQ(plan.OwnerOf(i).node, plan.OwnerOf(earlier).node);
      }
    }
    EXPECT_EQ(UndoEdgesOf(plan, participant.id).size(), 1u);
  }
}

TEST(FleetPlan, ACircleIsRefusedWithTheNamesOfItsSteps) {
  PlannedParticipant zfs{.id = {"a", "zfs"}, .plan_digest = "d"},
      samba{.id = {"a", "samba"}, .plan_digest = "d"};
  zfs.steps = {MakeStep("dataset", {"group:g"}, {"path:/p"})};
  samba.steps = {MakeStep("user", {"share:s"}, {"group:g"}), MakeStep("share", {"path:/p"}, {"share:s"})};
  const auto plan = MakeFleetPlan({zfs, samba}, {});
  ASSERT_EQ(plan.status().code(), absl::StatusCode::kFailedPrecondition);
  for (const char* name : {"a/zfs: make dataset", "a/samba: make user", "a/samba: make share"}) {
    EXPECT_THAT(Message(plan.status()), HasSubstr(name));
  }
}

TEST(Fold, AnEventThatFollowsAnotherLogIsDataLoss) {
  Log log;
  log.RunUntil(Phase::kApplying);
  std::vector<Event> events = log.events;
  events.back().prev_hash = "the hash of another event";
  EXPECT_EQ(Fold(events).status().code(), absl::StatusCode::kDataLoss);
  events.back().prev_hash = log.events.back().prev_hash;
  EXPECT_TRUE(Fold(events).ok());
}

TEST(Fold, NothingFollowsTheEnd) {
  Log log;
  log.RunUntil(Phase::kNothingDone);
  Event again;
  again.kind = Event::Kind::kPhaseBegan;
  again.phase = Phase::kApplying;
  EXPECT_EQ(log.TryAppend(again).code(), absl::StatusCode::kDataLoss);
}

TEST(Fold, AGapIsDataLoss) {
  Log log;
  log.RunUntil(Phase::kApplying);
  std::vector<Event> events = log.events;
  events.erase(events.begin() + 2);
  EXPECT_EQ(Fold(events).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace phoenix::run
