#include "orchestrator/engine/run_engine.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "orchestrator/engine/engine_fixture.h"

namespace phoenix::engine {
namespace {

using ::phoenix::testing::StatusIs;
using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Code = absl::StatusCode;
using Kind = run::Event::Kind;
using kit::TransactionState;

// Where an event of that kind stands in the log; the log's length where there is none.
size_t Position(const RunView& view, Kind kind) {
  const auto found = std::find_if(view.events.begin(), view.events.end(),
                                  [kind](const run::Event& event) { return event.kind == kind; });
  return static_cast<size_t>(found - view.events.begin());
}

int Count(const RunView& view, Kind kind) {
  return static_cast<int>(std::count_if(view.events.begin(), view.events.end(),
                                        [kind](const run::Event& event) { return event.kind == kind; }));
}

TEST_F(EngineTest, ARunGoesToItsEndAndDecidesAfterEverybodyDisarmed) {
  StartEngine();
  const std::string run = CreateRun();
  const RunView view = AwaitEnd(run);
  EXPECT_EQ(view.state.phase, run::Phase::kCommitted);
  const size_t decided = Position(view, Kind::kCommitted);
  for (size_t i = 0; i < view.events.size(); ++i) {
    if (view.events[i].kind == Kind::kCommitPrepared) EXPECT_LT(i, decided);
    if (view.events[i].kind == Kind::kCommitDelivered) EXPECT_GT(i, decided);
  }
  EXPECT_EQ(Count(view, Kind::kCommitPrepared), 4);
  for (const char* node : {"a", "b"}) {
    EXPECT_EQ(FieldsOf(node), all_);
    for (const char* participant : {"samba", "zfs"}) {
      EXPECT_EQ(nodes_[node]->StateOf(participant, run), TransactionState::kCommitted);
    }
  }
}

// The chain goes through both participants and back: user (samba), dataset (zfs), share (samba).
TEST_F(EngineTest, UndoGoesBackwardsThroughTheParticipantsOfEveryNode) {
  wire_ = [](const std::string& node, const std::string& participant, const std::string& method, bool) {
    const bool fails = node == "b" && participant == "zfs" && method == "Verify";
    return fails ? FailedPrecondition("the probe found nothing") : absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  const RunView view = AwaitEnd(run);
  EXPECT_EQ(view.state.phase, run::Phase::kRolledBack);
  EXPECT_THAT(view.state.error, AllOf(HasSubstr("b/zfs"), HasSubstr("the probe found nothing")));
  EXPECT_LT(Position(view, Kind::kRollingBack), Position(view, Kind::kUndone));
  for (const char* node : {"a", "b"}) {
    EXPECT_THAT(nodes_[node]->Undone(), ElementsAre("samba:share", "zfs:dataset", "samba:user")) << node;
    EXPECT_THAT(FieldsOf(node), IsEmpty());
  }
}

TEST_F(EngineTest, AFailingStepOnOneNodeUndoesEveryNode) {
  nodes_["b"]->Down();
  nodes_["b"]->fail_do["samba"] = {"share"};
  nodes_["b"]->Up();
  for (const char* node : {"a", "b"}) nodes_[node]->machine.Set("user", "0");
  StartEngine();
  const RunView view = AwaitEnd(CreateRun());
  EXPECT_EQ(view.state.phase, run::Phase::kRolledBack);
  EXPECT_THAT(view.state.error, HasSubstr("b/samba: share failed"));
  const std::map<std::string, std::string> before = {{"user", "0"}};
  EXPECT_EQ(FieldsOf("a"), before);
  EXPECT_EQ(FieldsOf("b"), before);
}

TEST_F(EngineTest, AFailedUndoNamesItsParticipantAndTheRestIsUndone) {
  nodes_["b"]->Down();
  nodes_["b"]->fail_do["samba"] = {"share"};
  nodes_["b"]->fail_undo["samba"] = {"user"};
  nodes_["b"]->Up();
  StartEngine();
  const RunView view = AwaitEnd(CreateRun());
  EXPECT_EQ(view.state.phase, run::Phase::kQuarantined);
  EXPECT_THAT(view.state.unresolved, ElementsAre(AllOf(HasSubstr("b/samba"), HasSubstr("user"))));
  EXPECT_THAT(FieldsOf("a"), IsEmpty());
  EXPECT_THAT(FieldsOf("b"), ElementsAre(std::pair<const std::string, std::string>("user", "1")));
}

// On the same node another participant's step was built on it.
TEST_F(EngineTest, NobodyWaitsForAStepWhoseUndoFailed) {
  wire_ = [](const std::string& node, const std::string& participant, const std::string& method, bool) {
    const bool fails = node == "b" && participant == "zfs" && method == "Verify";
    return fails ? FailedPrecondition("the probe found nothing") : absl::OkStatus();
  };
  nodes_["b"]->Down();
  nodes_["b"]->fail_undo["samba"] = {"share"};
  nodes_["b"]->Up();
  StartEngine();
  const RunView view = AwaitEnd(CreateRun());
  EXPECT_EQ(view.state.phase, run::Phase::kQuarantined);
  EXPECT_THAT(view.state.unresolved, ElementsAre(AllOf(HasSubstr("b/samba"), HasSubstr("share"))));
  EXPECT_THAT(FieldsOf("a"), IsEmpty());
  EXPECT_THAT(FieldsOf("b"), ElementsAre(std::pair<const std::string, std::string>("share", "1")));
}

TEST_F(EngineTest, EveryAnswerLostOnceChangesNothingAndNothingIsDoneTwice) {
  absl::Mutex mutex;
  std::set<std::string> lost;
  wire_ = [&](const std::string& node, const std::string& participant, const std::string& method,
              bool arrived) {
    if (!arrived || method == "Plan") return absl::OkStatus();
    absl::MutexLock lock(&mutex);
    return lost.insert(node + participant + method).second ? Unavailable("lost") : absl::OkStatus();
  };
  StartEngine();
  const RunView view = AwaitEnd(CreateRun());
  EXPECT_EQ(view.state.phase, run::Phase::kCommitted);
  for (const char* node : {"a", "b"}) {
    EXPECT_EQ(FieldsOf(node), all_);
    EXPECT_EQ(nodes_[node]->machine.Effects(), 3);
  }
}

TEST_F(EngineTest, ANodeThatDiesBetweenPrepareCommitAndCommitIsInDoubtUntilItHearsTheDecision) {
  std::atomic<bool> dead = true;
  wire_ = [&](const std::string& node, const std::string&, const std::string& method, bool) {
    return dead && node == "b" && method == "Commit" ? Unavailable("nobody answers") : absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  AwaitPhase(run, run::Phase::kCommitted);
  nodes_["a"]->AwaitState("zfs", run, TransactionState::kCommitted);
  nodes_["b"]->Down();
  nodes_["b"]->Up();
  clock_.Advance(std::chrono::hours(24));
  for (const char* participant : {"samba", "zfs"}) {
    EXPECT_EQ(nodes_["b"]->StateOf(participant, run), TransactionState::kInDoubt) << "no deadline guesses";
  }
  EXPECT_EQ(FieldsOf("b"), all_);
  EXPECT_FALSE(engine_->GetRun(run)->state.Ended()) << "the run waits for everybody";
  dead = false;
  const RunView view = AwaitEnd(run);
  EXPECT_EQ(view.state.phase, run::Phase::kCommitted);
  EXPECT_THAT(view.state.unresolved, IsEmpty());
  EXPECT_EQ(nodes_["b"]->StateOf("zfs", run), TransactionState::kCommitted);
}

TEST_F(EngineTest, ANodeThatNeverDisarmedTakesEverybodyBackEvenThoseInDoubt) {
  wire_ = [](const std::string& node, const std::string& participant, const std::string& method, bool) {
    const bool silent = node == "b" && participant == "zfs" && method == "PrepareCommit";
    return silent ? Unavailable("nobody answers") : absl::OkStatus();
  };
  StartEngine(/*patience=*/std::chrono::seconds(0));
  const std::string run = CreateRun();
  const RunView view = AwaitEnd(run);
  EXPECT_EQ(view.state.phase, run::Phase::kRolledBack);
  EXPECT_THAT(view.state.error, HasSubstr("b/zfs: nobody answers")) << "who was silent is named";
  EXPECT_EQ(Count(view, Kind::kCommitted), 0);
  for (const char* node : {"a", "b"}) {
    EXPECT_THAT(FieldsOf(node), IsEmpty());
    EXPECT_EQ(nodes_[node]->StateOf("samba", run), TransactionState::kUndone);
  }
}

// Seen once in some forty runs of these tests: the answer came in between taking answers and deciding.
TEST_F(EngineTest, ACallWhoseAnswerWaitsToBeTakenIsNotMadeAgain) {
  std::atomic<bool> answer = false;
  std::atomic<int> asked = 0;
  wire_ = [&](const std::string& node, const std::string& participant, const std::string& method,
              bool arrived) {
    if (method != "PrepareCommit") return absl::OkStatus();
    if (!arrived) ++asked;
    while (arrived && node == "b" && participant == "zfs" && !answer)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  Await(run, [](const RunView& view) { return Count(view, Kind::kCommitPrepared) == 3; });
  // What is said to a run is judged by the thread that decides, between the two.
  PHX_EXPECT_OK(engine_->Intervene(run, [&](const run::RunState&) -> run::Intervention {
    answer = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    return std::nullopt;
  }));
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kCommitted);
  EXPECT_EQ(asked, 4);
}

TEST_F(EngineTest, AnOrchestratorThatDiesWhileNodesDisarmAsksEverybodyAgain) {
  std::atomic<bool> silent = true;
  wire_ = [&](const std::string& node, const std::string&, const std::string& method, bool) {
    return silent && node == "b" && method == "PrepareCommit" ? Unavailable("lost") : absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  Await(run, [](const RunView& view) { return Count(view, Kind::kCommitPrepared) == 2; });
  const int64_t first_epoch = engine_->GetRun(run)->events.back().epoch;
  engine_.reset();
  for (const char* participant : {"samba", "zfs"}) {
    EXPECT_EQ(nodes_["a"]->StateOf(participant, run), TransactionState::kInDoubt);
    EXPECT_EQ(nodes_["b"]->StateOf(participant, run), TransactionState::kPrepared);
  }
  silent = false;
  StartEngine();
  const RunView view = AwaitEnd(run);
  EXPECT_EQ(view.state.phase, run::Phase::kCommitted);
  std::set<std::string> again;
  for (const run::Event& event : view.events) {
    if (event.kind == Kind::kCommitPrepared && event.epoch > first_epoch)
      again.insert(run::ToText(event.who));
  }
  EXPECT_THAT(again, ElementsAre("a/samba", "a/zfs", "b/samba", "b/zfs"))
      << "what an earlier leadership was told does not count";
}

// Two nodes; node a is in doubt, the orchestrator is gone, and a human decides on node a.
class DoubtTest : public EngineTest {
 protected:
  DoubtTest() {
    wire_ = [this](const std::string& node, const std::string&, const std::string& method, bool) {
      return silent_ && node == "b" && method == "PrepareCommit" ? Unavailable("lost") : absl::OkStatus();
    };
    StartEngine();
    run_ = CreateRun();
    Await(run_, [](const RunView& view) { return Count(view, Kind::kCommitPrepared) == 2; });
    engine_.reset();
    silent_ = false;
  }
  // The engine's threads ask wire_ up to their end.
  ~DoubtTest() override { engine_.reset(); }
  absl::Status Resolve(const std::string& participant, kit::Decision decision) {
    return nodes_["a"]->Call(
        participant, [&](kit::Participant& part) { return part.Resolve(run_, "", decision).status(); });
  }
  std::atomic<bool> silent_ = true;
  std::string run_;
};

TEST_F(DoubtTest, AHumansUndoTakesTheWholeNodeBackAndThenTheRun) {
  PHX_EXPECT_OK(Resolve("samba", kit::Decision::kUndo));
  PHX_EXPECT_OK(Resolve("zfs", kit::Decision::kUndo)) << "its sibling has taken it along already";
  EXPECT_THAT(FieldsOf("a"), IsEmpty());
  EXPECT_EQ(FieldsOf("b"), all_) << "a human's word is no evidence for others";
  EXPECT_THAT(Resolve("zfs", kit::Decision::kCommit),
              StatusIs(Code::kFailedPrecondition, HasSubstr("UNDONE")));
  StartEngine();
  const RunView view = AwaitEnd(run_);
  EXPECT_EQ(view.state.phase, run::Phase::kRolledBack);
  EXPECT_THAT(FieldsOf("b"), IsEmpty());
}

TEST_F(DoubtTest, AHumansCommitThatTheRunContradictsIsNamedAtTheEnd) {
  PHX_EXPECT_OK(Resolve("zfs", kit::Decision::kCommit));
  PHX_EXPECT_OK(Resolve("samba", kit::Decision::kCommit));
  // Node b still had its deadline.
  clock_.Advance(kDeadline + std::chrono::minutes(1));
  nodes_["b"]->AwaitState("zfs", run_, TransactionState::kUndone);
  nodes_["b"]->AwaitState("samba", run_, TransactionState::kUndone);
  EXPECT_THAT(FieldsOf("b"), IsEmpty());
  StartEngine();
  const RunView view = AwaitEnd(run_);
  EXPECT_EQ(view.state.phase, run::Phase::kQuarantined);
  EXPECT_THAT(view.state.unresolved, ElementsAre(AllOf(HasSubstr("a/samba"), HasSubstr("resolve")),
                                                 AllOf(HasSubstr("a/zfs"), HasSubstr("resolve"))));
  EXPECT_EQ(FieldsOf("a"), all_);
}

TEST_F(EngineTest, TheDeadlineIsArmedAtPrepareAndUndoesWithoutTheOrchestrator) {
  std::atomic<bool> silent = true;
  wire_ = [&](const std::string& node, const std::string&, const std::string& method, bool) {
    return silent && node == "b" && method == "Apply" ? Unavailable("lost") : absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  AwaitPhase(run, run::Phase::kApplying);
  nodes_["a"]->AwaitState("samba", run, TransactionState::kPrepared);
  while (FieldsOf("a") != all_) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  engine_.reset();
  for (const char* node : {"a", "b"}) {
    for (const char* participant : {"samba", "zfs"}) {
      PHX_EXPECT_OK(nodes_[node]->Call(participant, [&](kit::Participant& part) -> absl::Status {
        const auto row = part.journal().ReadRow(run);
        EXPECT_TRUE((*row)->deadline.has_value()) << node << "/" << participant;
        EXPECT_EQ((*row)->deadline->interval_ns, std::chrono::nanoseconds(kDeadline).count());
        return absl::OkStatus();
      }));
    }
  }
  clock_.Advance(kDeadline + std::chrono::minutes(1));
  for (const char* node : {"a", "b"}) {
    for (const char* participant : {"samba", "zfs"}) {
      nodes_[node]->AwaitState(participant, run, TransactionState::kUndone);
    }
  }
  EXPECT_THAT(FieldsOf("a"), IsEmpty());
  EXPECT_THAT(nodes_["a"]->Undone(), ElementsAre("samba:share", "zfs:dataset", "samba:user"));
  // The orchestrator that comes back finds it undone and says so.
  silent = false;
  StartEngine();
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kRolledBack);
  EXPECT_THAT(FieldsOf("b"), IsEmpty());
}

TEST_F(EngineTest, NothingIsTouchedBeforeTheVeryPlanIsApproved) {
  StartEngine();
  const std::string run = CreateRun({.await_approval = true});
  const std::string digest = AwaitPhase(run, run::Phase::kAwaitingApproval).state.plan->digest;
  const auto approve = [&](const std::string& seen) {
    return engine_->Intervene(run, [&](const run::RunState& state) { return run::Approve(state, seen); });
  };
  EXPECT_THAT(approve("another plan"), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(digest)));
  EXPECT_THAT(FieldsOf("a"), IsEmpty());
  // An orchestrator that restarts goes on waiting.
  StartEngine();
  PHX_ASSERT_OK(approve(digest));
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kCommitted);
  PHX_EXPECT_OK(approve(digest));
}

TEST_F(EngineTest, ADeniedPlanEndsWithNothingDone) {
  StartEngine();
  const std::string run = CreateRun({.await_approval = true});
  const std::string digest = AwaitPhase(run, run::Phase::kAwaitingApproval).state.plan->digest;
  PHX_ASSERT_OK(
      engine_->Intervene(run, [&](const run::RunState& state) { return run::Deny(state, digest); }));
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kNothingDone);
  EXPECT_THAT(
      engine_->Intervene(run, [&](const run::RunState& state) { return run::Approve(state, digest); }),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("NOTHING_DONE")));
  for (const char* participant : {"samba", "zfs"}) {
    EXPECT_EQ(nodes_["a"]->StateOf(participant, run), TransactionState::kNone);
  }
}

TEST_F(EngineTest, AConfirmationAnswersOnlyOnceTheRunIsCommitted) {
  StartEngine();
  const std::string run =
      CreateRun({.confirm_within_ns = std::chrono::nanoseconds(std::chrono::minutes(10)).count()});
  Await(run, [](const RunView& view) { return view.state.Ended() || Count(view, Kind::kConfirmArmed) == 4; });
  EXPECT_EQ(FieldsOf("a"), all_);
  PHX_ASSERT_OK(engine_->Confirm(run));
  EXPECT_EQ(engine_->GetRun(run)->state.phase, run::Phase::kCommitted);
  PHX_EXPECT_OK(engine_->Confirm(run));
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kCommitted);
}

TEST_F(EngineTest, WithoutConfirmationEveryNodeIsAsItWas) {
  StartEngine();
  const std::string run =
      CreateRun({.confirm_within_ns = std::chrono::nanoseconds(std::chrono::minutes(10)).count()});
  Await(run, [](const RunView& view) { return view.state.Ended() || Count(view, Kind::kConfirmArmed) == 4; });
  clock_.Advance(std::chrono::minutes(11));
  const RunView view = AwaitEnd(run);
  EXPECT_EQ(view.state.phase, run::Phase::kRolledBack);
  for (const char* node : {"a", "b"}) EXPECT_THAT(FieldsOf(node), IsEmpty());
  EXPECT_THAT(engine_->Confirm(run),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("ROLLED_BACK")));
}

TEST_F(EngineTest, WithoutConfirmationNodesUndoEvenIfTheOrchestratorNeverComesBack) {
  StartEngine();
  const std::string run =
      CreateRun({.confirm_within_ns = std::chrono::nanoseconds(std::chrono::minutes(10)).count()});
  Await(run, [](const RunView& view) { return view.state.Ended() || Count(view, Kind::kConfirmArmed) == 4; });
  engine_.reset();
  clock_.Advance(std::chrono::minutes(11));
  for (const char* node : {"a", "b"}) {
    for (const char* participant : {"samba", "zfs"}) {
      nodes_[node]->AwaitState(participant, run, TransactionState::kUndone);
    }
    EXPECT_THAT(FieldsOf(node), IsEmpty());
  }
}

TEST_F(EngineTest, ACancelledRunIsUndoneAndACommittedOneIsNot) {
  std::atomic<bool> silent = true;
  wire_ = [&](const std::string& node, const std::string&, const std::string& method, bool) {
    return silent && node == "b" && method == "Verify" ? Unavailable("lost") : absl::OkStatus();
  };
  StartEngine();
  const auto cancel = [&](const std::string& run) {
    return engine_->Intervene(run,
                              [](const run::RunState& state) { return run::Cancel(state, "a better idea"); });
  };
  const std::string run = CreateRun();
  AwaitPhase(run, run::Phase::kVerifying);
  PHX_ASSERT_OK(cancel(run));
  const RunView view = AwaitEnd(run);
  EXPECT_EQ(view.state.phase, run::Phase::kRolledBack);
  EXPECT_THAT(view.state.error, HasSubstr("a better idea"));
  for (const char* node : {"a", "b"}) EXPECT_THAT(FieldsOf(node), IsEmpty());
  silent = false;
  const std::string second = CreateRun();
  EXPECT_EQ(AwaitEnd(second).state.phase, run::Phase::kCommitted);
  EXPECT_THAT(cancel(second), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("COMMITTED")));
  EXPECT_EQ(FieldsOf("a"), all_);
}

TEST_F(EngineTest, AnOrchestratorThatAnotherOneReplacedDecidesNothingAnyMore) {
  std::atomic<bool> silent = true;
  wire_ = [&](const std::string&, const std::string&, const std::string& method, bool) {
    return silent && method == "Verify" ? Unavailable("lost") : absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  AwaitPhase(run, run::Phase::kVerifying);
  const std::unique_ptr<RunEngine> stale = std::move(engine_);
  StartEngine();
  silent = false;
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kCommitted);
  EXPECT_EQ(nodes_["a"]->machine.Effects(), 3);
  run::Request request;
  request.nodes = {{"a", "unix:/nowhere"}};
  EXPECT_THAT(stale->CreateRun(request, {}), StatusIs(Code::kAborted, HasSubstr("leads by now")));
  const auto log = store_->Load(run);
  PHX_ASSERT_OK(log);
  EXPECT_EQ(log->back().kind, Kind::kEnded);
}

// A store whose answers get lost: every second append is stored and answered with an error.
class ForgetfulStore final : public store::RunStore {
 public:
  explicit ForgetfulStore(store::RunStore& store) : store_(store) {}
  absl::StatusOr<store::Leadership> TakeLeadership() override { return store_.TakeLeadership(); }
  absl::StatusOr<run::Event> Create(const std::string& run_id, const std::string& request_id, int64_t epoch,
                                    run::Event event) override {
    return store_.Create(run_id, request_id, epoch, std::move(event));
  }
  absl::StatusOr<run::Event> Append(const std::string& run_id, int64_t epoch, const std::string& head_hash,
                                    run::Event event) override {
    auto stored = store_.Append(run_id, epoch, head_hash, std::move(event));
    if (stored.ok() && ++appends_ % 2 == 0) return Unavailable("the store does not answer");
    return stored;
  }
  absl::StatusOr<std::vector<run::Event>> Load(const std::string& run_id) override {
    return store_.Load(run_id);
  }
  absl::StatusOr<std::vector<std::string>> ListRuns() override { return store_.ListRuns(); }
  absl::StatusOr<std::optional<std::string>> FindByRequest(const std::string& request_id) override {
    return store_.FindByRequest(request_id);
  }

 private:
  store::RunStore& store_;
  std::atomic<int> appends_ = 0;
};

TEST_F(EngineTest, AnAppendWhoseFateIsUnknownIsReadAgainAndNotRepeated) {
  ForgetfulStore store(*store_);
  StartEngineOver(store);
  const RunView view = AwaitEnd(CreateRun());
  engine_.reset();
  EXPECT_EQ(view.state.phase, run::Phase::kCommitted);
  EXPECT_EQ(Count(view, Kind::kCommitted), 1);
  EXPECT_EQ(Count(view, Kind::kPrepared), 4);
  EXPECT_EQ(nodes_["a"]->machine.Effects(), 3);
}

TEST_F(EngineTest, OneDamagedLogDoesNotKeepOtherRunsFromGoingOn) {
  std::atomic<bool> silent = true;
  wire_ = [&](const std::string&, const std::string&, const std::string& method, bool) {
    return silent && method == "Prepare" ? Unavailable("lost") : absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  AwaitPhase(run, run::Phase::kPreparing);
  engine_.reset();
  // A log that was stored well and makes no sense: it decides twice.
  const int64_t epoch = store_->TakeLeadership()->epoch;
  run::Event event;
  event.request = std::make_shared<run::Request>();
  auto head = store_->Create("damaged", "", epoch, event);
  for (const Kind kind : {Kind::kCommitted, Kind::kRollingBack}) {
    event.kind = kind;
    head = store_->Append("damaged", epoch, head->hash, event);
    PHX_ASSERT_OK(head);
  }
  silent = false;
  StartEngine();
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kCommitted);
  EXPECT_THAT(engine_->GetRun("damaged"), StatusIs(Code::kDataLoss, _));
  // Who watches it is told so, rather than asked to wait for ever.
  EXPECT_THAT(engine_->AwaitEvents("damaged", 3, std::chrono::seconds(1)), StatusIs(Code::kUnavailable, _));
}

TEST_F(EngineTest, ACommittedRunIsRolledBackOnEveryNodeInTheReverseOrder) {
  StartEngine();
  const std::string run = CreateRun();
  const RunView committed = AwaitEnd(run);
  ASSERT_EQ(FieldsOf("b"), all_);
  const auto request = run::RollbackOf(run, committed.state);
  PHX_ASSERT_OK(request);
  const std::string rollback = *engine_->CreateRun(*request, {});
  const RunView view = AwaitEnd(rollback);
  EXPECT_EQ(view.state.phase, run::Phase::kCommitted) << view.state.error;
  EXPECT_EQ(view.state.request->rollback_of, run);
  for (const char* node : {"a", "b"}) {
    EXPECT_THAT(FieldsOf(node), ::testing::IsEmpty()) << node;
    EXPECT_THAT(nodes_[node]->Undone(), ::testing::ElementsAre("samba:share", "zfs:dataset", "samba:user"));
  }
  // After a restart the log still says what it was.
  StartEngine();
  EXPECT_EQ(engine_->GetRun(rollback)->state.request->rollback_participants.size(), 4u);
  EXPECT_THAT(run::RollbackOf(rollback, engine_->GetRun(rollback)->state),
              StatusIs(Code::kFailedPrecondition, HasSubstr("itself the rollback")));
}

TEST_F(EngineTest, ARollbackThatFailsOnOneNodeLeavesTheRunStandingOnEveryNode) {
  StartEngine();
  const std::string run = CreateRun();
  const RunView committed = AwaitEnd(run);
  engine_.reset();
  nodes_["b"]->Down();
  nodes_["b"]->fail_undo["samba"] = {"user"};
  nodes_["b"]->Up();
  StartEngine();
  const RunView view = AwaitEnd(*engine_->CreateRun(*run::RollbackOf(run, committed.state), {}));
  EXPECT_EQ(view.state.phase, run::Phase::kRolledBack) << view.state.error;
  EXPECT_EQ(FieldsOf("a"), all_);
  EXPECT_EQ(FieldsOf("b"), all_);
}

TEST_F(EngineTest, ARollbackIsRefusedAsAWholeWhereOneNodeHasChangedSince) {
  StartEngine();
  const std::string run = CreateRun();
  const RunView committed = AwaitEnd(run);
  nodes_["b"]->machine.Set("share", "somebody's");
  const RunView view = AwaitEnd(*engine_->CreateRun(*run::RollbackOf(run, committed.state), {}));
  EXPECT_EQ(view.state.phase, run::Phase::kNothingDone);
  EXPECT_THAT(view.state.error, HasSubstr("share has changed since"));
  EXPECT_EQ(FieldsOf("a"), all_);
}

TEST_F(EngineTest, AFleetThatNeedsOtherStepsThanWereAgreedToIsLeftAlone) {
  StartEngine();
  run::Request request;
  request.expected_plan_digest = "what somebody saw yesterday";
  const RunView view = AwaitEnd(CreateRun(request));
  EXPECT_EQ(view.state.phase, run::Phase::kNothingDone);
  EXPECT_THAT(view.state.error, HasSubstr("plan again"));
  EXPECT_EQ(nodes_["a"]->machine.Effects(), 0);
}

}  // namespace
}  // namespace phoenix::engine
