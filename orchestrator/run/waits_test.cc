#include "orchestrator/run/waits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phoenix::run {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Wait Silent(const std::string& node, int64_t seconds, const std::string& call = "Apply") {
  return {{node, "zfs"}, call, 1'700'000'000, seconds, "nobody answers"};
}

std::vector<std::string> Names(const std::vector<Wait>& waits) {
  std::vector<std::string> names;
  for (const Wait& wait : waits) names.push_back(wait.who.node + " " + wait.call);
  return names;
}

TEST(Waits, AStepMayTakeItsTimeButAFailedCallMayNot) {
  Wait slow = Silent("c", 29);
  slow.problem.clear();
  EXPECT_THAT(Names(Notable({Silent("a", 2), Silent("b", 3), slow})), ElementsAre("b Apply"));
  slow.seconds = 30;
  EXPECT_THAT(Names(Notable({slow})), ElementsAre("c Apply"));
}

TEST(Waits, SayWhoSinceWhenAndWhy) {
  EXPECT_EQ(Describe(Silent("hv1", 5)), "waits for hv1/zfs since 2023-11-14 22:13:20 UTC: nobody answers");
  Wait slow = Silent("hv1", 60, "Undo");
  slow.problem.clear();
  EXPECT_EQ(Describe(slow), "waits for hv1/zfs since 2023-11-14 22:13:20 UTC: Undo has no answer yet");
}

TEST(Waits, AWatcherIsToldOnceAMinuteAndOfWhoeverIsNewAtOnce) {
  WaitNotices notices;
  EXPECT_THAT(Names(notices.Due({Silent("a", 4)}, 100)), ElementsAre("a Apply"));
  EXPECT_THAT(notices.Due({Silent("a", 5)}, 101), IsEmpty());
  EXPECT_THAT(Names(notices.Due({Silent("a", 6), Silent("b", 3)}, 102)), ElementsAre("b Apply"));
  EXPECT_THAT(Names(notices.Due({Silent("a", 64), Silent("b", 61)}, 160)), ElementsAre("a Apply"));
  EXPECT_THAT(Names(notices.Due({Silent("a", 3, "Undo")}, 161)), ElementsAre("a Undo"))
      << "another call is news";
}

TEST(Waits, ASecondSilenceIsNews) {
  WaitNotices notices;
  EXPECT_THAT(Names(notices.Due({Silent("a", 4)}, 100)), ElementsAre("a Apply"));
  EXPECT_THAT(notices.Due({}, 101), IsEmpty());
  EXPECT_THAT(Names(notices.Due({Silent("a", 3)}, 105)), ElementsAre("a Apply"));
}

TEST(Waits, EveryCallHasItsName) {
  using Kind = Command::Kind;
  for (const Kind kind : {Kind::kPrepare, Kind::kApply, Kind::kVerify, Kind::kAwaitConfirm,
                          Kind::kPrepareCommit, Kind::kCommit, Kind::kUndo}) {
    EXPECT_FALSE(CallOf(kind).empty()) << static_cast<int>(kind);
  }
  EXPECT_TRUE(CallOf(Kind::kAppend).empty());
  EXPECT_TRUE(CallOf(Kind::kPlan).empty());
}

}  // namespace
}  // namespace phoenix::run
