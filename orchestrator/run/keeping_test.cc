// Participants that have no step in a run and keep what the steps of others write into.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "orchestrator/run/run_fixture.h"

namespace phoenix::run {
namespace {

using ::testing::ElementsAre;
using Kind = Command::Kind;

// Node a's zfs has nothing to do, and keeps a dataset that the others write into; node b's has neither.
FleetPlan WithOneThatOnlyKeeps() {
  std::vector<PlannedParticipant> participants;
  for (const std::string node : {"a", "b"}) {
    PlannedParticipant zfs{.id = {node, "zfs"}, .journal_id = "jz", .plan_digest = "dz"};
    if (node == "a") zfs.checkpoints = {"tank/media"};
    PlannedParticipant proxmox{.id = {node, "proxmox"}, .journal_id = "jp", .plan_digest = "dp"};
    proxmox.steps = {MakeStep("storage", {}, {"storage:s"})};
    participants.push_back(zfs);
    participants.push_back(proxmox);
  }
  return *MakeFleetPlan(participants, {});
}

std::vector<std::string> CallsOf(const std::vector<Command>& commands, Kind kind) {
  std::vector<std::string> who;
  for (const Command& command : commands) {
    if (command.kind == kind) who.push_back(ToText(command.who));
  }
  return who;
}

TEST(FleetPlan, WhoOnlyKeepsIsPartOfWhatIsAgreedTo) {
  FleetPlan plan = WithOneThatOnlyKeeps();
  EXPECT_EQ(plan.sequence.size(), 2u);
  const std::string digest = plan.digest;
  plan.participants[1].plan_digest = "another";
  EXPECT_NE(MakeFleetPlan(plan.participants, {})->digest, digest);
  // Who takes no part is no part of the agreement either.
  plan = WithOneThatOnlyKeeps();
  plan.participants[3].plan_digest = "another";
  EXPECT_EQ(MakeFleetPlan(plan.participants, {})->digest, digest);
}

TEST(Decide, WhoOnlyKeepsGoesThroughTheRunWithoutASingleApply) {
  Log log(WithOneThatOnlyKeeps());
  ASSERT_EQ(log.state.participants.size(), 3u);
  EXPECT_TRUE(log.state.participants.contains({"a", "zfs"}));
  log.RunUntil(Phase::kNothingDone);
  EXPECT_EQ(log.state.phase, Phase::kCommitted);
  std::map<Event::Kind, int> heard;
  for (const Event& event : log.events) {
    if (event.who == ParticipantId{"a", "zfs"}) ++heard[event.kind];
  }
  const std::map<Event::Kind, int> wanted = {{Event::Kind::kPrepared, 1},
                                             {Event::Kind::kVerified, 1},
                                             {Event::Kind::kCommitPrepared, 1},
                                             {Event::Kind::kCommitDelivered, 1}};
  EXPECT_EQ(heard, wanted);
}

TEST(Decide, WhoOnlyKeepsIsAskedToUndoAsEverybodyIs) {
  Log log(WithOneThatOnlyKeeps());
  log.RunUntil(Phase::kVerifying);
  for (const Command& command : Decide(log.state, 1)) log.Answer(command, 1, command.who.node != "b");
  log.RunUntil(Phase::kRollingBack);
  EXPECT_THAT(CallsOf(Decide(log.state, 1), Kind::kUndo), ElementsAre("a/proxmox", "a/zfs", "b/proxmox"));
  log.RunUntil(Phase::kNothingDone);
  EXPECT_EQ(log.state.phase, Phase::kRolledBack);
}

TEST(Decide, NothingIsCommittedBeforeWhoOnlyKeepsHasDisarmed) {
  Log log(WithOneThatOnlyKeeps());
  log.RunUntil(Phase::kCommitting);
  auto commands = Decide(log.state, 1);
  EXPECT_THAT(CallsOf(commands, Kind::kPrepareCommit), ElementsAre("a/proxmox", "a/zfs", "b/proxmox"));
  for (const Command& command : commands) {
    if (command.who.participant == "proxmox") log.Answer(command);
  }
  commands = Decide(log.state, 1);
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].kind, Kind::kPrepareCommit);
}

}  // namespace
}  // namespace phoenix::run
