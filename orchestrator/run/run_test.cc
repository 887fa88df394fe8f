#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "orchestrator/run/decide.h"
#include "orchestrator/run/fleet_plan.h"
#include "orchestrator/run/state.h"

namespace phoenix::run {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Command::Kind;

kit::Step MakeStep(const std::string& id, const std::vector<std::string>& needs,
                   const std::vector<std::string>& provides) {
  kit::Step step{.id = id, .resource = id, .action = "make"};
  for (const auto& need : needs) step.requires_keys.push_back({need, false});
  step.provides = provides;
  return step;
}

// Two nodes; on each a user (samba), a dataset that the user's group owns (zfs) and a share on it (samba).
FleetPlan TwoNodes() {
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
        if (command.kind == Kind::kAppend) {
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
      case Kind::kPrepare:
        event.kind = Event::Kind::kPrepared;
        break;
      case Kind::kApply:
        event.kind = Event::Kind::kApplied;
        event.step_ids = command.step_ids;
        for (const auto& id : command.step_ids)
          event.results.push_back({id, StepResult::Result::kDone, "", {}});
        break;
      case Kind::kVerify:
        event.kind = Event::Kind::kVerified;
        break;
      case Kind::kPrepareCommit:
        event.kind = Event::Kind::kCommitPrepared;
        break;
      case Kind::kCommit:
        event.kind = Event::Kind::kCommitDelivered;
        break;
      case Kind::kUndo:
        event.kind = Event::Kind::kUndone;
        break;
      case Kind::kAwaitConfirm:
        event.kind = Event::Kind::kConfirmArmed;
        break;
      case Kind::kAppend:
      case Kind::kPlan:
        FAIL() << "not a call";
    }
    Append(event, epoch);
  }

  RunState state;
  std::vector<Event> events;
};

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

TEST(Fold, AGapIsDataLoss) {
  Log log;
  log.RunUntil(Phase::kApplying);
  std::vector<Event> events = log.events;
  events.erase(events.begin() + 2);
  EXPECT_EQ(Fold(events).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace phoenix::run
