#include "clients/cli/render/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>

namespace phoenix::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace pb = ::phoenix::orchestrator::v1;

pb::WatchRunResponse MakeEvent(int sequence, const std::string& kind, const std::string& text,
                               std::initializer_list<std::pair<const char*, pb::RunStep::State>> steps = {}) {
  pb::WatchRunResponse event;
  event.set_sequence(sequence);
  event.set_kind(kind);
  event.set_text(text);
  event.mutable_run()->set_state(pb::Run::STATE_APPLYING);
  for (const auto& [id, state] : steps) {
    auto* step = event.add_steps();
    step->set_node("hv1");
    step->set_participant("zfs");
    step->mutable_step()->set_id(id);
    step->mutable_step()->set_action("create dataset");
    step->mutable_step()->set_resource(id);
    step->set_state(state);
  }
  return event;
}

std::string Shown(Progress& progress, const pb::WatchRunResponse& event) {
  ::testing::internal::CaptureStdout();
  progress.Show(event);
  return ::testing::internal::GetCapturedStdout();
}

TEST(Progress, APipeGetsOnePlainLinePerEvent) {
  Progress progress(/*terminal=*/false, /*color=*/false, 80);
  EXPECT_EQ(Shown(progress, MakeEvent(3, "PHASE_BEGAN", "PREPARING")), "   3  PREPARING\n");
  EXPECT_EQ(
      Shown(progress, MakeEvent(7, "STEPS_APPLIED", "hv1/zfs: done a", {{"a", pb::RunStep::STATE_DONE}})),
      "   7  hv1/zfs: done a\n");
}

TEST(Progress, AWaitIsShownButIsNoEvent) {
  Progress pipe(/*terminal=*/false, /*color=*/false, 80);
  EXPECT_EQ(Shown(pipe, MakeEvent(7, "WAITING", "waits for hv1/zfs since noon")),
            "      waits for hv1/zfs since noon\n");
  Progress terminal(/*terminal=*/true, /*color=*/false, 80);
  EXPECT_THAT(Shown(terminal, MakeEvent(7, "WAITING", "waits for hv1/zfs since noon")),
              HasSubstr("APPLYING: waits for hv1/zfs since noon"));
  EXPECT_THAT(Shown(terminal, MakeEvent(8, "VERIFIED", "hv1/zfs: verified")), Not(HasSubstr("waits")));
}

TEST(Progress, ATerminalCountsEachStepOnceAndTakesBackWhatIsUndone) {
  Progress progress(/*terminal=*/true, /*color=*/false, 80);
  EXPECT_THAT(
      Shown(progress, MakeEvent(2, "PLANNED", "planned",
                                {{"a", pb::RunStep::STATE_PENDING}, {"b", pb::RunStep::STATE_PENDING}})),
      HasSubstr("  0/2  "));
  EXPECT_THAT(Shown(progress, MakeEvent(3, "STEPS_APPLIED", "", {{"a", pb::RunStep::STATE_DONE}})),
              HasSubstr("  1/2   DONE create dataset a"));
  EXPECT_THAT(Shown(progress, MakeEvent(4, "STEPS_APPLIED", "", {{"a", pb::RunStep::STATE_DONE}})),
              HasSubstr("  1/2  "));
  EXPECT_THAT(Shown(progress, MakeEvent(5, "STEPS_APPLIED", "", {{"b", pb::RunStep::STATE_DONE}})),
              HasSubstr("[##############################]   2/2  "));
  EXPECT_THAT(Shown(progress, MakeEvent(6, "UNDONE", "", {{"a", pb::RunStep::STATE_UNDONE}})),
              HasSubstr("  1/2   UNDONE create dataset a"));
}

TEST(Progress, ATerminalIsRedrawnInPlaceAndLeftAloneAfterTheEnd) {
  Progress progress(/*terminal=*/true, /*color=*/false, 80);
  EXPECT_THAT(Shown(progress, MakeEvent(2, "PLANNED", "", {{"a", pb::RunStep::STATE_PENDING}})),
              Not(HasSubstr("A\r")))
      << "nothing of ours stands above yet";
  EXPECT_THAT(Shown(progress, MakeEvent(3, "PHASE_BEGAN", "PREPARING")), HasSubstr("\033[2A\r"))
      << "a heading and one node";
  progress.End();
  EXPECT_THAT(Shown(progress, MakeEvent(4, "PHASE_BEGAN", "APPLYING")), Not(HasSubstr("\033[2A")));
}

// A line that wraps takes two rows of the screen, and the next redraw would begin in the wrong one.
TEST(Progress, NoLineIsWiderThanTheTerminal) {
  Progress progress(/*terminal=*/true, /*color=*/false, 60);
  const std::string name(100, 'x');
  std::string shown = Shown(progress, MakeEvent(2, "ROLLING_BACK", "rolling back: " + name,
                                                {{name.c_str(), pb::RunStep::STATE_APPLYING}}));
  int lines = 0;
  for (size_t start = 0; start < shown.size();) {
    const size_t end = shown.find('\n', start);
    ASSERT_NE(end, std::string::npos);
    std::string line = shown.substr(start, end - start);
    const std::string clear = "\r\033[2K";
    ASSERT_EQ(line.substr(0, clear.size()), clear);
    // "…" is one character of three bytes.
    EXPECT_EQ(line.size() - clear.size(), 60U + 2U) << line;
    start = end + 1;
    ++lines;
  }
  EXPECT_EQ(lines, 2);
}

}  // namespace
}  // namespace phoenix::cli
