#include "services/kit/participant/reversal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/status/errors.h"
#include "base/time/fake_clock.h"
#include "services/kit/participant/fake_domain.h"
#include "services/kit/participant/participant.h"
#include "services/kit/plan/reversal_spec.h"
#include "tests/support/status_matchers.h"

namespace phoenix::kit {
namespace {

using ::phoenix::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using Code = absl::StatusCode;
using Fields = std::map<std::string, std::string>;

// A domain whose fields "secret…" are set with a secret, "old…" cannot be taken back later on, "pinned…"
// stay.
class LookingBack final : public Domain {
 public:
  explicit LookingBack(FakeDomain& domain) : domain_(domain) {}
  DomainDescription Describe() override { return domain_.Describe(); }
  absl::StatusOr<std::vector<ObservedField>> Observe(const std::vector<std::string>& keys) override {
    return domain_.Observe(keys);
  }
  absl::StatusOr<Plan> MakePlan(const PlanInput& input) override {
    auto plan = domain_.MakePlan(input);
    for (Step& step : plan->steps) {
      if (step.id.starts_with("secret")) step.secrets = {"password"};
    }
    return plan;
  }
  absl::StatusOr<std::vector<std::string>> CheckpointsOf(
      const std::vector<Step>& steps, const std::vector<std::string>& disturbed_keys) override {
    return domain_.CheckpointsOf(steps, disturbed_keys);
  }
  absl::Status Checkpoint(const std::string& run, const std::vector<Step>& steps,
                          const std::vector<std::string>& disturbed_keys) override {
    return domain_.Checkpoint(run, steps, disturbed_keys);
  }
  absl::StatusOr<std::string> Capture(const Step& step, const std::string& run) override {
    return domain_.Capture(step, run);
  }
  absl::Status Do(const Step& step, const StepContext& context) override { return domain_.Do(step, context); }
  absl::StatusOr<ProbeResult> ProbeStep(const Step& step, const StepContext& context) override {
    return domain_.ProbeStep(step, context);
  }
  absl::Status Undo(const Step& step, const StepContext& context) override {
    return domain_.Undo(step, context);
  }
  std::vector<std::string> RemainingCommands(const Step& step, const StepContext& context) override {
    return domain_.RemainingCommands(step, context);
  }
  absl::StatusOr<LedgerChange> LedgerOf(const Step& step, const StepContext& context) override {
    return domain_.LedgerOf(step, context);
  }
  absl::StatusOr<Retrospect> LookBack(const Step& step, const StepContext&) override {
    if (step.id.starts_with("old")) return Retrospect{Retrospect::Kind::kObstacle, "others use it"};
    if (step.id.starts_with("pinned")) return Retrospect{Retrospect::Kind::kStays, "it was not kept"};
    return Retrospect();
  }
  absl::StatusOr<VerifyReport> Verify(const VerifyInput& input) override { return domain_.Verify(input); }
  absl::Status Close(const std::string& run, bool committed) override {
    return domain_.Close(run, committed);
  }

 private:
  FakeDomain& domain_;
};

class NoSiblings final : public Siblings {
 public:
  absl::StatusOr<SiblingState> Get(const std::string&, const std::string&) override {
    return Unavailable("silent");
  }
  absl::Status JoinUndo(const std::string&, const std::string&) override { return absl::OkStatus(); }
  absl::Status MayGo(const std::vector<std::string>& keys, const std::vector<std::string>& except) override {
    excepted = except;
    for (const auto& key : keys) {
      if (key == needed) return FailedPrecondition("a sibling stands on {}", key);
    }
    return absl::OkStatus();
  }
  std::string needed;
  std::vector<std::string> excepted;
};

class ReversalTest : public ::testing::Test {
 protected:
  ReversalTest() {
    char name[] = "/tmp/phoenix-kit-XXXXXX";
    directory_ = ::mkdtemp(name);
    journal_ = *Journal::Open(directory_);
    participant_ = std::make_unique<Participant>(
        looking_back_, *journal_, clock_, siblings_,
        Participant::Settings{
            .node_key = Secret("k"), .boot_id = "boot", .tick = std::chrono::milliseconds(5)});
  }
  ~ReversalTest() override {
    participant_.reset();
    std::filesystem::remove_all(directory_);
  }

  RunContext Context(const std::string& run) const { return {run, 1, "authority", 1, journal_->id()}; }
  PrepareInput Input(const std::string& type, const std::string& spec, const std::string& run) {
    PrepareInput input;
    input.context = Context(run);
    input.wanted.spec_type = type;
    input.wanted.spec = spec;
    input.wanted.secrets.emplace("password", Secret("x"));
    const auto plan = participant_->MakePlan(input.wanted);
    if (plan.ok()) input.plan_digest = plan->plan_digest;
    input.participants = {"fake"};
    return input;
  }
  static std::vector<std::string> IdsOf(const Plan& plan) {
    std::vector<std::string> ids;
    for (const Step& step : plan.steps) ids.push_back(step.id);
    return ids;
  }
  // Prepare and apply in the order of the plan; answers the steps' ids.
  absl::StatusOr<std::vector<std::string>> Begin(const PrepareInput& input) {
    const auto prepared = participant_->Prepare(input);
    if (!prepared.ok()) return prepared.status();
    std::vector<std::string> ids;
    const auto record = journal_->Read(input.context.run_id);
    for (const StepRow& row : (*record)->steps) {
      ids.push_back(row.step.id);
      const auto outcomes = participant_->Apply(input.context, {row.step.id});
      if (!outcomes.ok()) return outcomes.status();
      if (outcomes->front().result != Outcome::Result::kDone) return Internal("{}", outcomes->front().error);
    }
    return ids;
  }
  absl::Status Commit(const PrepareInput& input) {
    const auto begun = Begin(input);
    if (!begun.ok()) return begun.status();
    if (const auto verified = participant_->Verify(input.context, input.wanted.secrets); !verified.ok())
      return verified.status();
    if (absl::Status ready = participant_->PrepareCommit(input.context); !ready.ok()) return ready;
    return participant_->Commit(input.context);
  }
  absl::Status Commit(const std::string& spec, const std::string& run) {
    return Commit(Input("fake", spec, run));
  }
  absl::StatusOr<PlanAnswer> PlanRollback(const std::string& run) {
    return participant_->MakePlan({.spec_type = kReversalType, .spec = run});
  }
  absl::Status Rollback(const std::string& of, const std::string& run) {
    return Commit(Input(kReversalType, of, run));
  }

  std::string directory_;
  FakeMachine machine_;
  FakeDomain domain_{machine_};
  LookingBack looking_back_{domain_};
  FakeClock clock_;
  NoSiblings siblings_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Participant> participant_;
};

TEST_F(ReversalTest, ACommittedRunIsTakenBackInReverseWithItsLedger) {
  PHX_ASSERT_OK(Commit("a=1", "run-0"));
  const Fields before = machine_.Fields();
  const Ledger ledger_before = *journal_->ReadLedger();
  PHX_ASSERT_OK(Commit("a=2 b=1:a c=1:b", "run-1"));
  const auto plan = PlanRollback("run-1");
  PHX_ASSERT_OK(plan);
  EXPECT_THAT(IdsOf(plan->plan), ElementsAre("take-back:c", "take-back:b", "take-back:a"));
  const Step& last = plan->plan.steps[2];
  EXPECT_EQ(last.action, "take back: set");
  EXPECT_EQ(last.diffs, (std::vector<FieldDiff>{{"value", "2", "1"}}));
  EXPECT_EQ(last.step_class, StepClass::kExact);
  PHX_ASSERT_OK(Rollback("run-1", "run-2"));
  EXPECT_EQ(machine_.Fields(), before);
  const Ledger ledger = *journal_->ReadLedger();
  ASSERT_EQ(ledger.size(), ledger_before.size());
  EXPECT_EQ(ledger.at("field:a").run_id, "run-0");
  EXPECT_EQ(ledger.at("field:a").fields, "1");
}

TEST_F(ReversalTest, ARollbackThatIsUndoneLeavesTheRunAsItStood) {
  PHX_ASSERT_OK(Commit("a=2 b=1:a", "run-1"));
  const Fields before = machine_.Fields();
  const Ledger ledger_before = *journal_->ReadLedger();
  const PrepareInput input = Input(kReversalType, "run-1", "run-2");
  PHX_ASSERT_OK(Begin(input));
  EXPECT_THAT(machine_.Fields(), IsEmpty());
  const auto undone = participant_->Undo(input.context, {}, "a test");
  PHX_ASSERT_OK(undone);
  EXPECT_TRUE(undone->undone);
  EXPECT_EQ(machine_.Fields(), before);
  const Ledger ledger = *journal_->ReadLedger();
  for (const auto& [key, entry] : ledger) {
    EXPECT_EQ(entry.run_id, ledger_before.at(key).run_id) << key;
    EXPECT_EQ(entry.fields, ledger_before.at(key).fields) << key;
  }
  // What was done again is let go as at the commit of the run that stands.
  {
    absl::MutexLock lock(&domain_.order_mutex);
    ASSERT_GE(domain_.closed.size(), 2u);
    EXPECT_EQ(domain_.closed[domain_.closed.size() - 2], std::pair(std::string("run-2"), false));
    EXPECT_EQ(domain_.closed.back(), std::pair(std::string("run-1"), true));
  }
  // It was not committed, so the run can still be taken back.
  PHX_ASSERT_OK(Rollback("run-1", "run-3"));
  EXPECT_THAT(machine_.Fields(), IsEmpty());
}

TEST_F(ReversalTest, WhatHasChangedSinceIsNamedAndNothingIsTouched) {
  PHX_ASSERT_OK(Commit("a=1 b=1 old=1 pinned=1", "run-1"));
  machine_.Set("b", "somebody's");
  const auto plan = PlanRollback("run-1");
  EXPECT_THAT(plan, StatusIs(Code::kFailedPrecondition, HasSubstr("b has changed since: =somebody's")));
  EXPECT_THAT(Message(plan.status()), HasSubstr("old cannot be taken back: others use it"));
  EXPECT_EQ(ViolationsOf(plan.status()).size(), 2u);
  EXPECT_EQ(ReasonOf(plan.status())->reason, "NOT_REVERSIBLE");
}

TEST_F(ReversalTest, WhatStaysIsSaidAndWhatIsBackAlreadyIsNoStep) {
  PHX_ASSERT_OK(Commit("a=1", "run-0"));
  PHX_ASSERT_OK(Commit("a=2 b=1 pinned=1", "run-1"));
  machine_.Set("a", "1");
  const auto plan = PlanRollback("run-1");
  PHX_ASSERT_OK(plan);
  EXPECT_THAT(IdsOf(plan->plan), ElementsAre("take-back:b"));
  ASSERT_EQ(plan->plan.notes.size(), 1u);
  EXPECT_EQ(plan->plan.notes[0].resource, "pinned");
  EXPECT_EQ(plan->plan.notes[0].text, "not rolled back: it was not kept");
  PHX_ASSERT_OK(Rollback("run-1", "run-2"));
  EXPECT_EQ(machine_.Fields(), (Fields{{"a", "1"}, {"pinned", "1"}}));
}

TEST_F(ReversalTest, WhatNeedsASecretToBeDoneAgainIsAPointOfNoReturn) {
  PHX_ASSERT_OK(Commit("secret=1", "run-1"));
  const auto plan = PlanRollback("run-1");
  PHX_ASSERT_OK(plan);
  ASSERT_EQ(plan->plan.steps.size(), 1u);
  EXPECT_EQ(plan->plan.steps[0].step_class, StepClass::kPointOfNoReturn);
  EXPECT_EQ(plan->plan.steps[0].remainder, "secret is gone; the next setup makes it again");
  EXPECT_THAT(plan->plan.steps[0].secrets, IsEmpty());
}

TEST_F(ReversalTest, OnlyTheLastCommittedRunCanBeTakenBack) {
  PHX_ASSERT_OK(Commit("a=1", "run-0"));
  PHX_ASSERT_OK(Commit("b=1", "run-1"));
  EXPECT_THAT(PlanRollback("run-0"),
              StatusIs(Code::kFailedPrecondition, HasSubstr("run run-1 was committed after it")));
  EXPECT_THAT(PlanRollback("run-9"), StatusIs(Code::kFailedPrecondition, HasSubstr("does not know it")));
  PHX_ASSERT_OK(Rollback("run-1", "run-2"));
  EXPECT_THAT(PlanRollback("run-1"),
              StatusIs(Code::kFailedPrecondition, HasSubstr("run run-2 has done so already")));
  EXPECT_THAT(PlanRollback("run-2"),
              StatusIs(Code::kFailedPrecondition, HasSubstr("it is itself the rollback of run run-1")));
  // With its successor taken back, the one before is the last again.
  PHX_ASSERT_OK(Rollback("run-0", "run-3"));
  EXPECT_THAT(machine_.Fields(), IsEmpty());
  // A run that was undone is no run that was committed.
  const PrepareInput input = Input("fake", "c=1", "run-4");
  PHX_ASSERT_OK(Begin(input));
  PHX_ASSERT_OK(participant_->Undo(input.context, {}, "a test"));
  EXPECT_THAT(PlanRollback("run-4"), StatusIs(Code::kFailedPrecondition, HasSubstr("UNDONE, not COMMITTED")));
}

// A run for which this participant only kept what others wrote into.
TEST_F(ReversalTest, WhereNothingWasDoneNothingStandsInTheWay) {
  const auto keep = [&](const std::string& run) {
    PrepareInput input = Input("fake", "", run);
    input.wanted.disturbed_keys = {"content:/tank/media"};
    input.plan_digest = participant_->MakePlan(input.wanted)->plan_digest;
    return Commit(input);
  };
  PHX_ASSERT_OK(Commit("a=1", "run-0"));
  PHX_ASSERT_OK(keep("run-1"));
  PHX_EXPECT_OK(PlanRollback("run-0"));
  PHX_ASSERT_OK(Commit("b=1", "run-2"));
  // The others take run-1 back: nothing of ours is in their way, and it is kept again what they write into.
  PrepareInput input = Input(kReversalType, "run-1", "run-3");
  input.wanted.disturbed_keys = {"content:/tank/media"};
  const auto plan = participant_->MakePlan(input.wanted);
  PHX_ASSERT_OK(plan);
  EXPECT_THAT(plan->plan.steps, IsEmpty());
  EXPECT_THAT(plan->plan.checkpoints, ElementsAre("/tank/media"));
  input.plan_digest = plan->plan_digest;
  siblings_.excepted = {"not asked"};
  PHX_ASSERT_OK(participant_->Prepare(input));
  EXPECT_THAT(siblings_.excepted, ElementsAre("not asked")) << "nothing goes";
  EXPECT_THAT(domain_.Kept(), ElementsAre(Pair("run-3", ElementsAre("/tank/media"))));
  PHX_ASSERT_OK(participant_->PrepareCommit(input.context));
  PHX_ASSERT_OK(participant_->Commit(input.context));
  EXPECT_THAT(PlanRollback("run-1"), StatusIs(Code::kFailedPrecondition, HasSubstr("has done so already")));
  EXPECT_THAT(PlanRollback("run-0"),
              StatusIs(Code::kFailedPrecondition, HasSubstr("run run-2 was committed")));
}

TEST_F(ReversalTest, SiblingsThatTakeNoPartAreAskedBeforeAnythingGoes) {
  PHX_ASSERT_OK(Commit("a=1", "run-1"));
  siblings_.needed = "field:a";
  EXPECT_THAT(Rollback("run-1", "run-2"),
              StatusIs(Code::kFailedPrecondition, HasSubstr("stands on field:a")));
  EXPECT_THAT(siblings_.excepted, ElementsAre("fake"));
  EXPECT_EQ(machine_.Fields(), (Fields{{"a", "1"}}));
  EXPECT_FALSE((*journal_->ReadRow("run-2")).has_value());
}

TEST_F(ReversalTest, AChangeBetweenPrepareAndTheStepStopsIt) {
  PHX_ASSERT_OK(Commit("a=1", "run-1"));
  const PrepareInput input = Input(kReversalType, "run-1", "run-2");
  PHX_ASSERT_OK(participant_->Prepare(input));
  machine_.Set("a", "somebody's");
  const auto outcomes = participant_->Apply(input.context, {"take-back:a"});
  PHX_ASSERT_OK(outcomes);
  EXPECT_EQ(outcomes->front().result, Outcome::Result::kFailed);
  EXPECT_THAT(outcomes->front().error, HasSubstr("changed by somebody else"));
  EXPECT_EQ(machine_.Fields(), (Fields{{"a", "somebody's"}}));
}

}  // namespace
}  // namespace phoenix::kit
