// A participant that has no step in a run and keeps what the steps of others write into.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/kit/participant/participant_fixture.h"

namespace phoenix::kit {
namespace {

using ::phoenix::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using Code = absl::StatusCode;

class KeepingTest : public ParticipantTest {
 protected:
  KeepingTest() { siblings_.Set("proxmox", {}); }
  PrepareInput Keep(const std::string& run = "run-1") {
    PrepareInput input;
    input.context = Context(run);
    input.wanted.spec_type = "fake";
    input.wanted.disturbed_keys = {"content:/tank/media", "path:/tank/media", "content:relative"};
    input.plan_digest = participant_->MakePlan(input.wanted)->plan_digest;
    input.participants = {"fake", "proxmox"};
    return input;
  }
  // What the machine holds; it outlives the daemon.
  std::map<std::string, std::vector<std::string>> Kept() { return domain_->Kept(); }
  const std::map<std::string, std::vector<std::string>> held_ = {{"run-1", {"/tank/media"}}};
};

TEST_F(KeepingTest, APlanWithoutStepsSaysWhatIsKeptAndIsAgreedToAsSuch) {
  const auto plan = participant_->MakePlan(Keep().wanted);
  PHX_ASSERT_OK(plan);
  EXPECT_TRUE(plan->plan.steps.empty());
  EXPECT_THAT(plan->plan.checkpoints, ElementsAre("/tank/media"));
  PrepareInput input = Keep();
  input.plan_digest = participant_->MakePlan({.spec_type = "fake"})->plan_digest;
  EXPECT_THAT(participant_->Prepare(input), StatusIs(Code::kAborted, HasSubstr("plan again")));
  EXPECT_TRUE(Kept().empty());
}

TEST_F(KeepingTest, ItIsPreparedAndCommittedWithoutASingleStep) {
  PHX_ASSERT_OK(participant_->Prepare(Keep()));
  EXPECT_EQ(StateOf(), TransactionState::kPrepared);
  EXPECT_EQ(*participant_->OpenRun(), "run-1") << "it has the lock as everybody else";
  EXPECT_EQ(Kept(), held_);
  PHX_ASSERT_OK(participant_->Verify(Context(), {}));
  PHX_ASSERT_OK(participant_->PrepareCommit(Context()));
  EXPECT_EQ(Kept(), held_);
  PHX_ASSERT_OK(participant_->Commit(Context()));
  EXPECT_EQ(StateOf(), TransactionState::kCommitted);
  EXPECT_TRUE(Kept().empty());
  EXPECT_EQ(machine_.Effects(), 0);
  absl::MutexLock lock(&domain_->order_mutex);
  EXPECT_THAT(domain_->closed, ElementsAre(Pair("run-1", true)));
}

TEST_F(KeepingTest, ItIsPreparedAndUndoneWithoutASingleStep) {
  PHX_ASSERT_OK(participant_->Prepare(Keep()));
  const auto undone = participant_->Undo(Context(), {}, "a test");
  PHX_ASSERT_OK(undone);
  EXPECT_TRUE(undone->undone);
  EXPECT_EQ(StateOf(), TransactionState::kUndone);
  EXPECT_TRUE(Kept().empty());
  EXPECT_EQ(*participant_->OpenRun(), "");
  absl::MutexLock lock(&domain_->order_mutex);
  EXPECT_THAT(domain_->closed, ElementsAre(Pair("run-1", false)));
}

TEST_F(KeepingTest, ARestartKeepsItPreparedAndTheDeadlineStillUndoesIt) {
  PHX_ASSERT_OK(participant_->Prepare(Keep()));
  Restart();
  EXPECT_EQ(StateOf(), TransactionState::kPrepared);
  PHX_ASSERT_OK(participant_->Prepare(Keep())) << "a repeat of the same is harmless";
  clock_.Advance(std::chrono::hours(1));
  AwaitState(TransactionState::kUndone);
  absl::MutexLock lock(&siblings_.mutex);
  EXPECT_TRUE(siblings_.joined.contains("proxmox")) << "what the others wrote goes too";
}

TEST_F(KeepingTest, ItsDoubtEndsAsAnybodysDoes) {
  PHX_ASSERT_OK(participant_->Prepare(Keep()));
  PHX_ASSERT_OK(participant_->PrepareCommit(Context()));
  Restart();
  EXPECT_EQ(StateOf(), TransactionState::kInDoubt);
  siblings_.Set("proxmox", {.state = TransactionState::kCommitted, .decided_by = "commit"});
  AwaitState(TransactionState::kCommitted);
}

}  // namespace
}  // namespace phoenix::kit
