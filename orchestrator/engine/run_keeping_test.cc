// Participants that have no step in a run and keep what the steps of others write into.
#include <gmock/gmock.h>

#include <algorithm>

#include "orchestrator/engine/engine_fixture.h"
#include "orchestrator/engine/run_engine.h"

namespace phoenix::engine {
namespace {

using ::testing::IsEmpty;
using Kind = run::Event::Kind;
using kit::TransactionState;

int64_t Count(const RunView& view, Kind kind) {
  return std::count_if(view.events.begin(), view.events.end(),
                       [kind](const run::Event& event) { return event.kind == kind; });
}

// On both nodes zfs has nothing to do, and samba's share is written into a path.
class KeepingEngineTest : public EngineTest {
 protected:
  KeepingEngineTest() {
    specs_ = {{"samba", "share=1"}, {"zfs", ""}};
    for (const char* node : {"a", "b"}) {
      nodes_[node]->Down();
      nodes_[node]->writes["samba"] = {{"share", "/tank/media"}};
      nodes_[node]->Up();
    }
  }
  const std::vector<std::string> path_ = {"/tank/media"};
};

TEST_F(KeepingEngineTest, WhoHasNoStepsKeepsWhatOthersWriteIntoUntilTheRunIsCommitted) {
  run::Request request;
  request.confirm_within_ns = std::chrono::nanoseconds(std::chrono::minutes(10)).count();
  StartEngine();
  const std::string run = CreateRun(request);
  const RunView waiting = Await(run, [](const RunView& view) {
    const auto& all = view.state.participants;
    const bool armed =
        std::all_of(all.begin(), all.end(), [](const auto& one) { return one.second.confirm_armed; });
    return view.state.Ended() || (view.state.phase == run::Phase::kAwaitingConfirm && armed);
  });
  ASSERT_EQ(waiting.state.participants.size(), 4u);
  for (const char* node : {"a", "b"}) {
    EXPECT_EQ(nodes_[node]->Kept("zfs")[run], path_) << node;
    EXPECT_TRUE(nodes_[node]->Kept("samba")[run].empty()) << node;
  }
  PHX_ASSERT_OK(engine_->Confirm(run));
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kCommitted);
  for (const char* node : {"a", "b"}) {
    EXPECT_EQ(nodes_[node]->StateOf("zfs", run), TransactionState::kCommitted);
    EXPECT_TRUE(nodes_[node]->Kept("zfs").empty()) << node;
  }
  // A second run has nothing to do, and so nothing to keep.
  EXPECT_EQ(AwaitEnd(CreateRun()).state.phase, run::Phase::kNothingDone);
}

TEST_F(KeepingEngineTest, WhoHasNoStepsIsUndoneWithTheRun) {
  wire_ = [](const std::string& node, const std::string& participant, const std::string& method, bool) {
    const bool fails = node == "b" && participant == "zfs" && method == "PrepareCommit";
    return fails ? FailedPrecondition("it cannot") : absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  const RunView view = AwaitEnd(run);
  EXPECT_EQ(view.state.phase, run::Phase::kRolledBack);
  EXPECT_EQ(Count(view, Kind::kUndone), 4);
  for (const char* node : {"a", "b"}) {
    EXPECT_EQ(nodes_[node]->StateOf("zfs", run), TransactionState::kUndone);
    EXPECT_TRUE(nodes_[node]->Kept("zfs").empty()) << node;
    EXPECT_THAT(FieldsOf(node), IsEmpty());
  }
}

}  // namespace
}  // namespace phoenix::engine
