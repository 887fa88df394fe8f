// Whom a run waits for, as its watchers are told.
#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>

#include "orchestrator/engine/engine_fixture.h"
#include "orchestrator/engine/run_engine.h"

namespace phoenix::engine {
namespace {

using ::testing::IsEmpty;
using Kind = run::Event::Kind;

// Three of the four participants answer Verify.
bool OnlyOneIsMissing(const RunView& view) {
  return std::count_if(view.events.begin(), view.events.end(),
                       [](const run::Event& event) { return event.kind == Kind::kVerified; }) == 3;
}

TEST_F(EngineTest, WhomARunWaitsForIsKnownAndIsNoEvent) {
  std::atomic<bool> silent = true;
  wire_ = [&](const std::string& node, const std::string& participant, const std::string& method, bool) {
    const bool lost = silent && node == "b" && participant == "zfs" && method == "Verify";
    return lost ? Unavailable("nobody answers") : absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  Await(run, OnlyOneIsMissing);
  std::vector<run::Wait> waits;
  while (waits.size() != 1 || waits[0].problem.empty()) waits = engine_->WaitsOf(run);
  EXPECT_EQ(run::ToText(waits[0].who), "b/zfs");
  EXPECT_EQ(waits[0].call, "Verify");
  EXPECT_EQ(waits[0].problem, "nobody answers");
  EXPECT_EQ(waits[0].since_seconds, clock_.WallSeconds());
  const int64_t logged = engine_->GetRun(run)->state.sequence;
  while (engine_->WaitsOf(run)[0].seconds < 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(engine_->GetRun(run)->state.sequence, logged) << "silence is not written down";
  silent = false;
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kCommitted);
  while (!engine_->WaitsOf(run).empty()) std::this_thread::yield();
}

// A step that takes its time has an answer yet to come; that it is asked for is known at once.
TEST_F(EngineTest, ACallWithoutAnAnswerIsAWaitToo) {
  absl::Notification asked, answered;
  wire_ = [&](const std::string& node, const std::string& participant, const std::string& method,
              bool arrived) {
    if (node == "b" && participant == "zfs" && method == "Verify" && !arrived) {
      asked.Notify();
      answered.WaitForNotification();
    }
    return absl::OkStatus();
  };
  StartEngine();
  const std::string run = CreateRun();
  asked.WaitForNotification();
  Await(run, OnlyOneIsMissing);
  const auto waits = engine_->WaitsOf(run);
  EXPECT_EQ(waits.size(), 1U);
  if (!waits.empty()) EXPECT_EQ(run::Describe(waits[0]).substr(0, 16), "waits for b/zfs ");
  if (!waits.empty()) EXPECT_THAT(waits[0].problem, IsEmpty());
  answered.Notify();
  EXPECT_EQ(AwaitEnd(run).state.phase, run::Phase::kCommitted);
}

}  // namespace
}  // namespace phoenix::engine
