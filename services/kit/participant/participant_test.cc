#include "services/kit/participant/participant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/status/errors.h"
#include "services/kit/participant/participant_fixture.h"
#include "tests/support/status_matchers.h"

namespace phoenix::kit {
namespace {

using ::phoenix::testing::StatusIs;
using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Code = absl::StatusCode;
using Fields = std::map<std::string, std::string>;

TEST_F(ParticipantTest, ARunGoesToItsEnd) {
  PHX_ASSERT_OK(Prepare("a=1 b=2:a"));
  EXPECT_EQ(StateOf(), TransactionState::kPrepared);
  EXPECT_TRUE(machine_.Fields().empty()) << "Prepare has no effect";
  const auto first = participant_->Apply(Context(), {"a"});
  PHX_ASSERT_OK(first);
  EXPECT_EQ((*first)[0].result, Outcome::Result::kDone);
  PHX_ASSERT_OK(participant_->Apply(Context(), {"b"}));
  PHX_ASSERT_OK(participant_->Verify(Context(), {}));
  PHX_ASSERT_OK(participant_->PrepareCommit(Context()));
  EXPECT_EQ(StateOf(), TransactionState::kInDoubt);
  PHX_ASSERT_OK(participant_->Commit(Context()));
  EXPECT_EQ(StateOf(), TransactionState::kCommitted);
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "1"}, {"b", "2"}}));
  const auto ledger = journal_->ReadLedger();
  EXPECT_EQ(ledger->at("field:a").run_id, "run-1");
  EXPECT_EQ(*participant_->OpenRun(), "");
}

// What only the run itself brought to light is no reason to undo it.
TEST_F(ParticipantTest, WhatIsStillToBeDoneFailsTheRunUnlessNobodyCouldKnowOfItBefore) {
  PHX_ASSERT_OK(Prepare("a=1 b=2:a"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"b"}));
  machine_.Set("b", "3");
  EXPECT_THAT(participant_->Verify(Context(), {}).status(), StatusIs(Code::kAborted, HasSubstr("set b")));
  domain_->brought_to_light = {"b"};
  const auto report = participant_->Verify(Context(), {});
  PHX_ASSERT_OK(report);
  EXPECT_THAT(report->not_probed, ElementsAre("set b shows only now to be wanted: set up again"));
}

TEST_F(ParticipantTest, UndoIsDurableBeforeTheStepIsDone) {
  int looked = 0;
  domain_->before_do = [&](const Step& step) {
    const auto record = journal_->Read("run-1");
    for (const StepRow& row : (*record)->steps) {
      if (row.step.id != step.id) continue;
      EXPECT_EQ(row.state, StepState::kIntent);
      EXPECT_EQ(row.captured, "absent");
      ++looked;
    }
  };
  PHX_ASSERT_OK(Prepare("a=1 b=2:a"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"b"}));
  EXPECT_EQ(looked, 2);
}

// What brings content back is taken once the row says that somebody has to take it away again, and before
// anything that undo relies on is read.
TEST_F(ParticipantTest, ACheckpointIsTakenAfterTheRowAndBeforeTheCaptures) {
  int taken = 0;
  domain_->before_checkpoint = [&](const std::string& run_id, const std::vector<Step>& steps) {
    ++taken;
    EXPECT_EQ(run_id, "run-1");
    EXPECT_EQ(steps.size(), 2u);
    const auto record = journal_->Read("run-1");
    ASSERT_TRUE(record.ok() && *record);
    EXPECT_EQ((*record)->row.state, TransactionState::kPreparing);
    EXPECT_TRUE((*record)->row.deadline.has_value());
    for (const StepRow& row : (*record)->steps) EXPECT_FALSE(row.captured.has_value());
  };
  PHX_ASSERT_OK(Prepare("a=1 b=2:a"));
  EXPECT_EQ(taken, 1);
}

TEST_F(ParticipantTest, ACheckpointThatFailsRefusesTheRunAndIsTakenAway) {
  domain_->fail_checkpoint = true;
  EXPECT_THAT(Prepare("a=1"), StatusIs(Code::kInternal, HasSubstr("the checkpoint was told to fail")));
  AwaitState(TransactionState::kUndone);
  EXPECT_TRUE(machine_.Fields().empty());
  {
    absl::MutexLock lock(&domain_->order_mutex);
    EXPECT_THAT(domain_->closed, ElementsAre(Pair("run-1", false)));
  }
  EXPECT_EQ(*participant_->OpenRun(), "");
}

TEST_F(ParticipantTest, ATypedChangeTakesNoCheckpoint) {
  domain_->fail_checkpoint = true;
  PHX_ASSERT_OK(participant_->ChangeLocally({.wanted = {.spec_type = "fake", .spec = "a=1"}}));
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "1"}}));
}

TEST_F(ParticipantTest, EveryCallRepeatedIsHarmless) {
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Prepare([&] {
    PrepareInput input = Input("a=1");
    return input;
  }()));
  for (int i = 0; i < 3; ++i) PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  EXPECT_EQ(machine_.Effects(), 1);
  for (int i = 0; i < 2; ++i) PHX_ASSERT_OK(participant_->PrepareCommit(Context()));
  for (int i = 0; i < 2; ++i) PHX_ASSERT_OK(participant_->Commit(Context()));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  EXPECT_EQ(machine_.Effects(), 1);
}

TEST_F(ParticipantTest, UndoRestoresValuesAndLedger) {
  machine_.Set("a", "old");
  PHX_ASSERT_OK(Prepare("a=1 b=2:a"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"b"}));
  const auto undone = participant_->Undo(Context(), {}, "a test");
  PHX_ASSERT_OK(undone);
  EXPECT_TRUE(undone->undone);
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "old"}}));
  EXPECT_TRUE(journal_->ReadLedger()->empty());
  absl::MutexLock lock(&domain_->order_mutex);
  EXPECT_THAT(domain_->undone, ElementsAre("b", "a")) << "consumers first";
}

TEST_F(ParticipantTest, UndoOfAnUnknownRunLeavesATombstone) {
  const auto undone = participant_->Undo(Context(), {}, "late");
  PHX_ASSERT_OK(undone);
  EXPECT_TRUE(undone->undone);
  EXPECT_THAT(Prepare("a=1"), StatusIs(Code::kAborted, _)) << "a late Prepare is refused";
}

TEST_F(ParticipantTest, LowerEpochsAndOtherAuthoritiesAreRefused) {
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Apply(Context("run-1", 5), {"a"}));
  EXPECT_THAT(participant_->Undo(Context("run-1", 4), {}, ""),
              StatusIs(Code::kFailedPrecondition, HasSubstr("epoch 4")));
  RunContext other = Context("run-1", 9);
  other.authority = "authority-2";
  EXPECT_THAT(participant_->PrepareCommit(other),
              StatusIs(Code::kFailedPrecondition, HasSubstr("authority-1")));
  EXPECT_THAT(participant_->Adopt("authority-2", "x"),
              StatusIs(Code::kFailedPrecondition, HasSubstr("open")));
  Restart();
  EXPECT_THAT(participant_->PrepareCommit(Context("run-1", 4)), StatusIs(Code::kFailedPrecondition, _))
      << "the epoch is durable";
}

TEST_F(ParticipantTest, AdoptingIsRecordedAndOnceIsEnough) {
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Undo(Context("run-1", 7), {}, ""));
  clock_.Advance(std::chrono::hours(1));
  const auto former = participant_->Adopt("authority-2", "CN=admin");
  PHX_ASSERT_OK(former);
  EXPECT_EQ(*former, "authority-1");
  const auto again = participant_->Adopt("authority-2", "CN=admin");
  PHX_ASSERT_OK(again);
  EXPECT_EQ(*again, "authority-2");
  Restart();
  EXPECT_EQ(participant_->MakePlan({.spec_type = "fake", .spec = ""})->authority, "authority-2");
  const auto adoptions = journal_->Adoptions();
  PHX_ASSERT_OK(adoptions);
  ASSERT_EQ(adoptions->size(), 1U) << "a repeat changes nothing and is not recorded";
  EXPECT_EQ((*adoptions)[0].former.authority, "authority-1");
  EXPECT_EQ((*adoptions)[0].former.epoch, 7);
  EXPECT_EQ((*adoptions)[0].authority, "authority-2");
  EXPECT_EQ((*adoptions)[0].adopted_by, "CN=admin");
  EXPECT_EQ((*adoptions)[0].seconds, clock_.WallSeconds());
}

TEST_F(ParticipantTest, ARepeatedAdoptionForgetsNoEpochAndNeedsNoClosedRun) {
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Apply(Context("run-1", 5), {"a"}));
  PHX_ASSERT_OK(participant_->Adopt("authority-1", "x")) << "it is obeyed already";
  EXPECT_THAT(participant_->Undo(Context("run-1", 4), {}, ""),
              StatusIs(Code::kFailedPrecondition, HasSubstr("epoch 4")));
}

TEST_F(ParticipantTest, AnAuthorityThatIsAdoptedBackGoesOnAtItsEpoch) {
  PHX_ASSERT_OK(participant_->Undo(Context("run-1", 5), {}, ""));
  PHX_ASSERT_OK(participant_->Adopt("authority-2", "x"));
  PHX_ASSERT_OK(participant_->Adopt("authority-3", "x"));
  PHX_ASSERT_OK(participant_->Adopt("authority-1", "x"));
  EXPECT_THAT(participant_->Undo(Context("run-2", 4), {}, ""),
              StatusIs(Code::kFailedPrecondition, HasSubstr("epoch 4")))
      << "a late call of a former leader is still late";
  PHX_EXPECT_OK(participant_->Undo(Context("run-2", 5), {}, ""));
}

TEST_F(ParticipantTest, PlanningTellsTheAuthorityAndClaimsNothing) {
  EXPECT_EQ(participant_->MakePlan({.spec_type = "fake", .spec = "a=1"})->authority, "");
  EXPECT_EQ(journal_->ReadFence()->authority, "");
}

TEST_F(ParticipantTest, AnotherJournalIsDataLoss) {
  PHX_ASSERT_OK(Prepare("a=1"));
  RunContext context = Context();
  context.journal_id = "the one before";
  EXPECT_THAT(participant_->Undo(context, {}, ""), StatusIs(Code::kDataLoss, _));
  EXPECT_EQ(StateOf(), TransactionState::kPrepared);
}

TEST_F(ParticipantTest, APlanThatMovedIsRefusedBeforeAnythingIsLocked) {
  PrepareInput input = Input("a=1");
  machine_.Set("a", "0");
  EXPECT_THAT(participant_->Prepare(input), StatusIs(Code::kAborted, _));
  EXPECT_EQ(StateOf(), TransactionState::kNone);
}

TEST_F(ParticipantTest, OneRunHoldsTheLock) {
  PHX_ASSERT_OK(Prepare("a=1"));
  EXPECT_THAT(Prepare("b=1", "run-2"), StatusIs(Code::kFailedPrecondition, HasSubstr("run-1")));
  EXPECT_THAT(participant_->ChangeLocally({.wanted = {.spec_type = "fake", .spec = "c=1"}}),
              StatusIs(Code::kFailedPrecondition, HasSubstr("run-1")));
  PHX_ASSERT_OK(participant_->Undo(Context(), {}, ""));
  PHX_ASSERT_OK(Prepare("b=1", "run-2"));
}

TEST_F(ParticipantTest, AForeignChangeBetweenPrepareAndDoStopsTheStep) {
  PHX_ASSERT_OK(Prepare("a=1"));
  machine_.Set("a", "somebody else's");
  const auto outcomes = participant_->Apply(Context(), {"a"});
  PHX_ASSERT_OK(outcomes);
  EXPECT_EQ((*outcomes)[0].result, Outcome::Result::kFailed);
  EXPECT_THAT((*outcomes)[0].error, HasSubstr("somebody else"));
  PHX_ASSERT_OK(participant_->Undo(Context(), {}, ""));
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "somebody else's"}})) << "nothing foreign is lost";
}

TEST_F(ParticipantTest, WhatAnotherNodeOfTheClusterHasDoneByThenIsDoneAndIsUndoneToWhatWasPrepared) {
  domain_->shared = {"a"};
  machine_.Set("a", "old");
  PHX_ASSERT_OK(Prepare("a=1"));
  machine_.Set("a", "1");
  const auto outcomes = participant_->Apply(Context(), {"a"});
  PHX_ASSERT_OK(outcomes);
  EXPECT_EQ((*outcomes)[0].result, Outcome::Result::kDone);
  const auto undone = participant_->Undo(Context(), {}, "a test");
  PHX_ASSERT_OK(undone);
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "old"}}));
}

TEST_F(ParticipantTest, WhatAnotherNodeOfTheClusterHasMadeOtherwiseIsAForeignChange) {
  domain_->shared = {"a"};
  machine_.Set("a", "old");
  PHX_ASSERT_OK(Prepare("a=1"));
  machine_.Set("a", "2");
  const auto outcomes = participant_->Apply(Context(), {"a"});
  PHX_ASSERT_OK(outcomes);
  EXPECT_THAT((*outcomes)[0].error, HasSubstr("somebody else"));
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "2"}}));
}

TEST_F(ParticipantTest, WhatIsThereCountsNotWhatTheToolSaid) {
  domain_->lie_do = {"a"};
  PHX_ASSERT_OK(Prepare("a=1"));
  EXPECT_EQ((*participant_->Apply(Context(), {"a"}))[0].result, Outcome::Result::kDone);
}

TEST_F(ParticipantTest, AFailureIsRecordedAndAnsweredAgain) {
  domain_->fail_do = {"a"};
  PHX_ASSERT_OK(Prepare("a=1"));
  EXPECT_EQ((*participant_->Apply(Context(), {"a"}))[0].result, Outcome::Result::kFailed);
  domain_->fail_do = {};
  EXPECT_EQ((*participant_->Apply(Context(), {"a"}))[0].result, Outcome::Result::kFailed);
  EXPECT_THAT(participant_->PrepareCommit(Context()),
              StatusIs(Code::kFailedPrecondition, HasSubstr("cannot be committed")));
}

// What the plan named as left is no failure of the undo, and nobody has to lift anything.
TEST_F(ParticipantTest, AnUndoThatLeavesItsRemainderEndsAndSaysSo) {
  PHX_ASSERT_OK(Prepare("a=1 b=2"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a", "b"}));
  domain_->leaves = {{"a", "a stays; once it is free: set a back"}};
  const auto undone = participant_->Undo(Context(), {}, "");
  PHX_ASSERT_OK(undone);
  EXPECT_TRUE(undone->undone);
  EXPECT_EQ(undone->outcomes[0].result, Outcome::Result::kUndone);
  EXPECT_EQ(undone->outcomes[0].error, "a stays; once it is free: set a back");
  EXPECT_EQ(undone->outcomes[1].error, "");
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "1"}}));
  PHX_ASSERT_OK(Prepare("a=3", "run-2"));
}

TEST_F(ParticipantTest, AFailedUndoIsANamedStateWithAnExit) {
  PHX_ASSERT_OK(Prepare("a=1 b=2"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a", "b"}));
  domain_->fail_undo = {"a"};
  const auto undone = participant_->Undo(Context(), {}, "");
  PHX_ASSERT_OK(undone);
  EXPECT_TRUE(undone->undone);
  EXPECT_EQ(undone->outcomes[0].result, Outcome::Result::kQuarantined);
  EXPECT_THAT(undone->outcomes[0].remaining_commands, ElementsAre("set a back to absent"));
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "1"}})) << "b is undone all the same";
  // The object is locked, others are not.
  EXPECT_THAT(Prepare("a=3", "run-2"), StatusIs(Code::kFailedPrecondition, HasSubstr("quarantined")));
  PHX_ASSERT_OK(Prepare("c=1", "run-3"));
  PHX_ASSERT_OK(participant_->Undo(Context("run-3"), {}, ""));
  // A person ran the remaining command.
  {
    absl::MutexLock lock(&machine_.mutex);
    machine_.fields.erase("a");
  }
  const auto resolved = participant_->Resolve("run-1", "", Decision::kNone);
  PHX_ASSERT_OK(resolved);
  EXPECT_THAT(resolved->lifted, ElementsAre("a"));
  PHX_ASSERT_OK(Prepare("a=3", "run-4"));
}

TEST_F(ParticipantTest, TheDeadlineUndoesWithoutAnybody) {
  PHX_ASSERT_OK(participant_->Recover());
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  clock_.Advance(std::chrono::minutes(29));
  EXPECT_EQ(StateOf(), TransactionState::kPrepared);
  clock_.Advance(std::chrono::minutes(2));
  AwaitState(TransactionState::kUndone);
  EXPECT_TRUE(machine_.Fields().empty());
  EXPECT_THAT(participant_->PrepareCommit(Context()), StatusIs(Code::kAborted, HasSubstr("silent")));
}

TEST_F(ParticipantTest, TheDeadlineNeverEndsADoubt) {
  PHX_ASSERT_OK(participant_->Recover());
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  PHX_ASSERT_OK(participant_->PrepareCommit(Context()));
  clock_.Advance(std::chrono::hours(100));
  EXPECT_FALSE(journal_->ReadRow("run-1")->value().deadline.has_value());
  EXPECT_EQ(Lookup(TransactionState::kInDoubt, ProtocolMessage::kDeadline).answer, Answer::kIgnore);
  EXPECT_EQ(StateOf(), TransactionState::kInDoubt);
  const auto resolved = participant_->Resolve("run-1", "", Decision::kCommit);
  PHX_ASSERT_OK(resolved);
  EXPECT_EQ(resolved->record.row.decided_by, "resolve");
  EXPECT_THAT(participant_->Undo(Context(), {}, ""),
              StatusIs(Code::kFailedPrecondition, HasSubstr("COMMITTED")));
}

TEST_F(ParticipantTest, UndoEndsADoubt) {
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  PHX_ASSERT_OK(participant_->PrepareCommit(Context()));
  PHX_ASSERT_OK(participant_->Undo(Context(), {}, ""));
  EXPECT_TRUE(machine_.Fields().empty());
  EXPECT_THAT(participant_->Commit(Context()), StatusIs(Code::kFailedPrecondition, _));
}

TEST_F(ParticipantTest, ASiblingsEvidenceEndsADoubtButAHumansDecisionDoesNot) {
  PHX_ASSERT_OK(participant_->Recover());
  PrepareInput input = Input("a=1");
  input.participants = {"fake", "nfs"};
  PHX_ASSERT_OK(participant_->Prepare(input));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  siblings_.Set("nfs", {TransactionState::kCommitted, "resolve", {}});
  PHX_ASSERT_OK(participant_->PrepareCommit(Context()));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(StateOf(), TransactionState::kInDoubt);
  siblings_.Set("nfs", {TransactionState::kCommitted, "commit", {}});
  AwaitState(TransactionState::kCommitted);
}

TEST_F(ParticipantTest, AProviderIsUndoneAfterItsConsumer) {
  PrepareInput input = Input("a=1");
  input.participants = {"fake", "nfs"};
  input.undo_after["a"] = {{"nfs", "export"}};
  PHX_ASSERT_OK(participant_->Prepare(input));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  siblings_.Set("nfs", {TransactionState::kUndoing, "sibling", {"export"}});
  std::thread undo([&] { PHX_EXPECT_OK(participant_->Undo(Context(), {}, "")); });
  AwaitState(TransactionState::kUndoing);
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  EXPECT_THAT(machine_.Fields(), (Fields{{"a", "1"}})) << "the export still stands on it";
  siblings_.Set("nfs", {TransactionState::kUndone, "sibling", {}});
  undo.join();
  EXPECT_TRUE(machine_.Fields().empty());
  absl::MutexLock lock(&siblings_.mutex);
  EXPECT_TRUE(siblings_.joined.contains("nfs")) << "siblings are told";
}

TEST_F(ParticipantTest, ARestartFinishesAnUndo) {
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  PHX_ASSERT_OK(journal_->Move("run-1", TransactionState::kPrepared,
                               [](TransactionRow& row) { row.state = TransactionState::kUndoing; }));
  Restart();
  AwaitState(TransactionState::kUndone);
  EXPECT_TRUE(machine_.Fields().empty());
}

TEST_F(ParticipantTest, AStepThatWasUnderWayIsProbedAfterARestart) {
  PHX_ASSERT_OK(Prepare("a=1 b=2"));
  auto record = *journal_->Read("run-1");
  for (StepRow& row : record->steps) {
    row.state = StepState::kIntent;
    PHX_ASSERT_OK(journal_->WriteStep("run-1", TransactionState::kPrepared, row));
  }
  machine_.Set("a", "1");  // a's effect came about, b's did not
  Restart();
  record = *journal_->Read("run-1");
  EXPECT_EQ(record->steps[0].state, StepState::kDone);
  EXPECT_EQ(record->steps[1].state, StepState::kIdle);
  PHX_ASSERT_OK(participant_->Apply(Context(), {"b"}));
  PHX_ASSERT_OK(participant_->PrepareCommit(Context()));
}

TEST_F(ParticipantTest, AnUnconfirmedRunIsUndoneAfterAReboot) {
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  PHX_ASSERT_OK(participant_->AwaitConfirm(Context(), std::chrono::hours(10)));
  Restart("boot-2");
  AwaitState(TransactionState::kUndone);
}

TEST_F(ParticipantTest, OtherwiseTimeCountsOnAfterAReboot) {
  PHX_ASSERT_OK(Prepare("a=1"));
  Restart("boot-2");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(StateOf(), TransactionState::kPrepared);
  clock_.Advance(std::chrono::minutes(31));
  AwaitState(TransactionState::kUndone);
}

TEST_F(ParticipantTest, PollsDoNotRenewTheConfirmDeadline) {
  PHX_ASSERT_OK(participant_->Recover());
  PHX_ASSERT_OK(Prepare("a=1"));
  PHX_ASSERT_OK(participant_->Apply(Context(), {"a"}));
  PHX_ASSERT_OK(participant_->AwaitConfirm(Context(), std::chrono::minutes(10)));
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(std::chrono::minutes(3));
    (void)participant_->AwaitConfirm(Context(), std::chrono::minutes(10));
  }
  AwaitState(TransactionState::kUndone);
}

TEST_F(ParticipantTest, ALocalChangeIsATransactionOfItsOwn) {
  const auto plan =
      participant_->ChangeLocally({.wanted = {.spec_type = "fake", .spec = "a=1 b=2:a"}, .request_id = "r1"});
  PHX_ASSERT_OK(plan);
  EXPECT_EQ(plan->steps.size(), 2u);
  PHX_ASSERT_OK(participant_->ChangeLocally(
      {.wanted = {.spec_type = "fake", .spec = "a=1 b=2:a"}, .request_id = "r1"}));
  EXPECT_EQ(machine_.Effects(), 2) << "a repeated request gets the first answer";
  domain_->fail_do = {"d"};
  EXPECT_THAT(participant_->ChangeLocally({.wanted = {.spec_type = "fake", .spec = "c=1 d=2:c"}}),
              StatusIs(_, HasSubstr("nothing was changed")));
  EXPECT_THAT(machine_.Fields(), UnorderedElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_EQ(journal_->ReadFence()->authority, "") << "local changes touch neither authority nor epoch";
}

TEST_F(ParticipantTest, ALocalChangeTakesNothingAwayThatASiblingStandsOn) {
  machine_.Set("a", "1");
  {
    absl::MutexLock lock(&siblings_.mutex);
    siblings_.needed = {"field:a"};
  }
  const auto change = [&](const std::string& spec, bool validate_only) {
    return participant_->ChangeLocally(
        {.wanted = {.spec_type = "fake", .spec = spec}, .validate_only = validate_only});
  };
  for (const bool validate_only : {true, false}) {
    EXPECT_THAT(change("a=", validate_only),
                StatusIs(Code::kFailedPrecondition, HasSubstr("stands on field:a")));
  }
  EXPECT_TRUE(journal_->List()->empty());
  PHX_ASSERT_OK(change("a=2", false));
  PHX_ASSERT_OK(change("b=1", false));
  PHX_ASSERT_OK(change("b=", false));
}

TEST_F(ParticipantTest, ValidateOnlyChangesNothing) {
  PHX_ASSERT_OK(
      participant_->ChangeLocally({.wanted = {.spec_type = "fake", .spec = "a=1"}, .validate_only = true}));
  EXPECT_TRUE(machine_.Fields().empty());
}

}  // namespace
}  // namespace phoenix::kit
