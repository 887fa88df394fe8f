// What is refused before a run begins: steps that nobody allowed, nodes that obey somebody else.
#include <gmock/gmock.h>

#include <atomic>

#include "orchestrator/engine/engine_fixture.h"
#include "orchestrator/engine/run_engine.h"

namespace phoenix::engine {
namespace {

using ::phoenix::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Code = absl::StatusCode;

// The share's step cannot be taken back exactly, on both nodes.
class ConsentTest : public EngineTest {
 protected:
  ConsentTest() {
    for (auto& [name, node] : nodes_) {
      node->Down();
      node->classes["samba"]["share"] = kit::StepClass::kLossy;
      node->Up();
    }
  }
  static constexpr char kWord[] = "field:share";
};

TEST_F(ConsentTest, WhatNobodyAllowedIsRefusedBeforeThereIsARun) {
  std::atomic<int> prepares = 0;
  wire_ = [&](const std::string&, const std::string&, const std::string& method, bool) {
    if (method == "Prepare") ++prepares;
    return absl::OkStatus();
  };
  StartEngine();
  const auto refused = TryCreateRun({.request_id = "r"});
  EXPECT_THAT(refused, StatusIs(Code::kFailedPrecondition,
                                AllOf(HasSubstr("a/samba: set share [LOSSY] needs --allow field:share"),
                                      HasSubstr("b/samba: set share"))));
  EXPECT_EQ(ReasonOf(refused.status())->reason, "CONSENT_NEEDED");
  EXPECT_EQ(ViolationsOf(refused.status()).size(), 2U);
  EXPECT_EQ(prepares, 0);
  EXPECT_THAT(*engine_->ListRuns(), IsEmpty());
  // The same request may be made again, with the word.
  const RunView view = AwaitEnd(CreateRun({.request_id = "r", .allow = {kWord}}));
  EXPECT_EQ(view.state.phase, run::Phase::kCommitted);
  EXPECT_EQ(FieldsOf("a"), all_);
}

TEST_F(ConsentTest, AMisspeltWordIsRefusedToo) {
  StartEngine();
  EXPECT_THAT(TryCreateRun({.allow = {kWord, "field:shaer"}}),
              StatusIs(Code::kFailedPrecondition, HasSubstr("'field:shaer'")));
  EXPECT_THAT(*engine_->ListRuns(), IsEmpty());
}

TEST_F(ConsentTest, TheLogTellsWhatWasAllowed) {
  StartEngine();
  const std::string run = CreateRun({.allow = {kWord}, .no_install = true});
  AwaitEnd(run);
  // From the store, as an audit reads it.
  engine_.reset();
  const auto log = store_->Load(run);
  PHX_ASSERT_OK(log);
  EXPECT_THAT(log->front().request->allow, ElementsAre(kWord));
  EXPECT_TRUE(log->front().request->no_install);
  EXPECT_EQ(run::Describe(log->front()), "run created over 2 node(s), allowed: field:share, no packages");
}

// A run that was interrupted before its plan was logged, and another orchestrator that now sees other steps.
TEST_F(ConsentTest, AResumedRunDoesNotDoWhatWasNotAllowedEither) {
  const int64_t epoch = store_->TakeLeadership()->epoch;
  run::Event created;
  auto request = std::make_shared<run::Request>();
  for (const auto& [name, node] : nodes_) request->nodes.push_back({name, "unix:/nowhere"});
  created.request = request;
  PHX_ASSERT_OK(store_->Create("interrupted", "", epoch, created));
  StartEngine();
  const RunView view = AwaitEnd("interrupted");
  EXPECT_EQ(view.state.phase, run::Phase::kNothingDone);
  EXPECT_THAT(view.state.error, HasSubstr("--allow field:share"));
  EXPECT_EQ(nodes_["a"]->machine.Effects(), 0);
}

TEST_F(EngineTest, ANodeOfAnotherAuthorityIsRefusedAtPlanningAndObeysAfterItsAdoption) {
  for (const char* participant : {"samba", "zfs"}) {
    PHX_ASSERT_OK(nodes_["b"]->Call(
        participant, [](kit::Participant& part) { return part.Adopt("theirs", "test").status(); }));
  }
  std::atomic<int> prepares = 0;
  wire_ = [&](const std::string&, const std::string&, const std::string& method, bool) {
    if (method == "Prepare") ++prepares;
    return absl::OkStatus();
  };
  StartEngine();
  run::Request request;
  request.nodes = {{"a", "unix:/nowhere"}, {"b", "unix:/nowhere"}};
  EXPECT_THAT(
      engine_->MakePlan(request, {}),
      StatusIs(Code::kFailedPrecondition, AllOf(HasSubstr("node b (samba, zfs) obeys authority theirs"),
                                                HasSubstr("phoenix node adopt b"))));
  const RunView refused = AwaitEnd(CreateRun());
  EXPECT_EQ(refused.state.phase, run::Phase::kNothingDone);
  EXPECT_THAT(refused.state.error, HasSubstr("phoenix node adopt b"));
  EXPECT_EQ(prepares, 0);
  for (const char* participant : {"samba", "zfs"}) {
    PHX_ASSERT_OK(nodes_["b"]->Call(participant, [&](kit::Participant& part) {
      return part.Adopt(engine_->authority(), "test").status();
    }));
  }
  EXPECT_EQ(AwaitEnd(CreateRun()).state.phase, run::Phase::kCommitted);
}

}  // namespace
}  // namespace phoenix::engine
