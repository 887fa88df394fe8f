#include "clients/cli/render/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace phoenix::cli {
namespace {

using ::phoenix::participant::v1::Note;
using ::phoenix::participant::v1::StepClass;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

namespace part = ::phoenix::participant::v1;

pb::RunStep MakeStep(int ordinal, const std::string& node, const std::string& participant,
                     const std::string& action, const std::string& resource, StepClass step_class) {
  pb::RunStep step;
  step.set_ordinal(ordinal);
  step.set_node(node);
  step.set_participant(participant);
  step.mutable_step()->set_id(resource);
  step.mutable_step()->set_action(action);
  step.mutable_step()->set_resource(resource);
  step.mutable_step()->set_step_class(step_class);
  step.mutable_step()->set_undo("undo of " + resource);
  return step;
}

pb::NodeNote MakeNote(const std::string& node, const std::string& resource, const std::string& text,
                      bool warning) {
  pb::NodeNote note;
  note.set_node(node);
  if (!node.empty()) note.set_participant("nfs");
  note.mutable_note()->set_resource(resource);
  note.mutable_note()->set_text(text);
  note.mutable_note()->set_severity(warning ? Note::SEVERITY_WARNING : Note::SEVERITY_INFO);
  return note;
}

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(RenderPlan, ShowsEveryStepWithItsClassItsUndoAndWhatChanges) {
  pb::RunStep pool = MakeStep(1, "hv1", "zfs", "create pool", "fastData", part::STEP_CLASS_EXACT);
  auto* level = pool.mutable_step()->add_diffs();
  level->set_field("layout");
  level->set_after("single");
  pb::RunStep dataset = MakeStep(2, "hv1", "zfs", "set properties of", "fastData/a", part::STEP_CLASS_CONFIG);
  auto* quota = dataset.mutable_step()->add_diffs();
  quota->set_field("quota");
  quota->set_before("1T (local)");
  quota->set_after("2T");
  pb::RunStep packages = MakeStep(3, "hv2", "samba", "install", "samba", part::STEP_CLASS_LOSSY);
  packages.mutable_step()->set_remainder("the packages stay installed");
  EXPECT_EQ(RenderPlan({pool, dataset, packages}, {}, 0, /*color=*/false),
            "hv1 / zfs\n"
            "    1 + create pool fastData  [EXACT]\n"
            "        layout  single\n"
            "        undo: undo of fastData\n"
            "    2 ~ set properties of fastData/a  [CONFIG]\n"
            "        quota  1T (local) -> 2T\n"
            "        undo: undo of fastData/a\n"
            "hv2 / samba\n"
            "    3 + install samba  [LOSSY]\n"
            "        undo: undo of samba\n"
            "        remains after undo: the packages stay installed\n");
}

TEST(RenderCheckpoints, OneLineForEachServiceThatKeepsSomething) {
  std::vector<pb::NodeCheckpoint> checkpoints;
  for (const auto& [node, name] : {std::pair("hv1", "tank/a"), {"hv1", "tank/b"}, {"hv2", "tank/a"}}) {
    auto& checkpoint = checkpoints.emplace_back();
    checkpoint.set_node(node);
    checkpoint.set_participant("zfs");
    checkpoint.set_name(name);
  }
  EXPECT_EQ(RenderCheckpoints(checkpoints),
            "hv1 / zfs: snapshot before the first step: tank/a, tank/b\n"
            "hv2 / zfs: snapshot before the first step: tank/a\n");
  EXPECT_EQ(RenderCheckpoints({}), "");
}

TEST(RenderPlan, TheBarrierStandsBeforeTheFirstStepThatCannotBeTakenBack) {
  pb::RunStep removal = MakeStep(2, "hv1", "zfs", "destroy pool", "old", part::STEP_CLASS_POINT_OF_NO_RETURN);
  removal.mutable_step()->add_removes("pool:old");
  const std::string text = RenderPlan(
      {MakeStep(1, "hv1", "zfs", "create pool", "a", part::STEP_CLASS_EXACT), removal}, {}, 2, false);
  const auto first = text.find("create pool a"), barrier = text.find("POINT OF NO RETURN: what follows"),
             second = text.find("- destroy pool old  [POINT_OF_NO_RETURN]");
  ASSERT_NE(barrier, std::string::npos);
  ASSERT_NE(second, std::string::npos) << text;
  EXPECT_LT(first, barrier);
  EXPECT_LT(barrier, second);
  EXPECT_EQ(Count(text, "hv1 / zfs\n"), 2) << "what follows the barrier says again where it happens";
  EXPECT_THAT(RenderPlan({removal}, {}, 0, false), Not(HasSubstr("what follows"))) << "no barrier, no line";
}

TEST(RenderPlan, ALintIsShownOnceWithItsPlaceOnce) {
  const std::string text = RenderPlan(
      {}, {MakeNote("", "$.samba.shares[0].path (line 12)", "no declared dataset provides this path", true)},
      0, false);
  EXPECT_EQ(text, "warning: $.samba.shares[0].path (line 12): no declared dataset provides this path\n");
}

TEST(RenderPlan, ANoteNamesItsResourceUnlessItsTextDoes) {
  EXPECT_EQ(RenderPlan({}, {MakeNote("hv1", "/a/b", "orphaned: /a/b stays exported", false)}, 0, false),
            "note: hv1 / nfs: orphaned: /a/b stays exported\n");
  EXPECT_EQ(RenderPlan({}, {MakeNote("hv1", "storage:backup", "is not ours", true)}, 0, false),
            "warning: hv1 / nfs: storage:backup: is not ours\n");
}

TEST(RenderPlan, ColorsOnlyWhereThereIsColor) {
  const std::vector<pb::RunStep> steps = {
      MakeStep(1, "hv1", "zfs", "create pool", "a", part::STEP_CLASS_EXACT)};
  const std::vector<pb::NodeNote> notes = {MakeNote("", "$.x", "doubtful", true)};
  EXPECT_THAT(RenderPlan(steps, notes, 1, false), Not(HasSubstr("\033")));
  const std::string colored = RenderPlan(steps, notes, 1, true);
  EXPECT_THAT(colored, HasSubstr("\033["));
  EXPECT_EQ(Count(colored, "\033["), 2 * Count(colored, "\033[0m")) << "every colour ends";
}

TEST(RenderTable, ColumnsAreAsWideAsTheirWidestCellInCharacters) {
  EXPECT_EQ(RenderTable({{"A", "B", "C"}, {"längst", "x", "y"}, {"z", "", "w"}}),
            "A       B  C\n"
            "längst  x  y\n"
            "z          w\n");
}

TEST(Cut, KeepsCharactersWholeAndLinesSingle) {
  EXPECT_EQ(Cut("abc", 3), "abc");
  EXPECT_EQ(Cut("abcd", 3), "ab…");
  EXPECT_EQ(Cut("äöüß", 3), "äö…");
  EXPECT_EQ(Cut("a\nb", 9), "a b");
}

TEST(RenderNodes, ASilentServiceIsExplainedBelowTheTable) {
  pb::Node node;
  node.set_name("nodes/hv2");
  auto* zfs = node.add_participants();
  zfs->set_name("zfs");
  zfs->set_reachable(true);
  zfs->mutable_description()->set_build("0.1.0");
  (*zfs->mutable_description()->mutable_tool_versions())["zfs"] = "2.3.2";
  zfs->mutable_description()->set_open_run_id("run-1");
  auto* nfs = node.add_participants();
  nfs->set_name("nfs");
  nfs->set_error("the nfs service of node hv2 does not answer at 10.0.0.12:7442: nothing listens there");
  const std::string text = RenderNodes({node});
  EXPECT_EQ(text,
            "NODE  SERVICE  STATUS       BUILD  TOOLS      OPEN RUN\n"
            "hv2   zfs      up           0.1.0  zfs 2.3.2  run-1\n"
            "hv2   nfs      unreachable                    -\n"
            "the nfs service of node hv2 does not answer at 10.0.0.12:7442: nothing listens there\n");
}

TEST(RenderNodes, WhatNeedsAttentionIsBelowTheTableAndTheRestOnRequest) {
  pb::Node node;
  node.set_name("nodes/hv2");
  auto* zfs = node.add_participants();
  zfs->set_name("zfs");
  zfs->set_reachable(true);
  const auto add = [&](part::Condition::Severity severity, const char* object, const char* text) {
    auto* condition = zfs->mutable_description()->add_conditions();
    condition->set_severity(severity);
    condition->set_object(object);
    condition->set_text(text);
  };
  add(part::Condition::SEVERITY_INFO, "tank", "ONLINE, 41 % full");
  add(part::Condition::SEVERITY_OK, "nvme-S1A", "wear 3 %, ok");
  add(part::Condition::SEVERITY_CRITICAL, "nvme-S1B", "unhealthy: wear 93 %, allowed below 90 %");
  add(part::Condition::SEVERITY_WARNING, "nvme-S1C", "2 media errors");
  EXPECT_THAT(RenderNodes({node}),
              HasSubstr("\n\nNODE  OBJECT    CONDITION\n"
                        "hv2   tank      ONLINE, 41 % full\n"
                        "hv2   nvme-S1B  CRITICAL: unhealthy: wear 93 %, allowed below 90 %\n"
                        "hv2   nvme-S1C  warning: 2 media errors\n"));
  EXPECT_THAT(RenderNodes({node}, /*verbose=*/true), HasSubstr("\nhv2   nvme-S1A  wear 3 %, ok\n"));
}

TEST(RenderNodes, ANodeOfAnotherOrchestratorIsNamedWithTheWayOut) {
  pb::Node node;
  node.set_name("nodes/hv2");
  node.set_orchestrator_authority("ours");
  for (const auto& [name, authority] : std::initializer_list<std::pair<const char*, const char*>>{
           {"zfs", "theirs"}, {"nfs", "ours"}, {"samba", ""}}) {
    auto* service = node.add_participants();
    service->set_name(name);
    service->set_reachable(true);
    service->mutable_description()->set_authority(authority);
  }
  EXPECT_THAT(
      RenderNodes({node}),
      HasSubstr("\nhv2 obeys another orchestrator: zfs (theirs); `phoenix node adopt hv2` makes it obey "
                "this one\n"));
  node.mutable_participants(0)->mutable_description()->set_authority("ours");
  EXPECT_THAT(RenderNodes({node}), Not(HasSubstr("adopt")));
}

TEST(RenderRun, ShowsWhatWasAllowedAndWhomItWaitsFor) {
  pb::Run run;
  run.set_name("runs/4711");
  run.set_state(pb::Run::STATE_APPLYING);
  EXPECT_THAT(RenderRun(run, {}),
              Not(AnyOf(HasSubstr("allowed"), HasSubstr("packages"), HasSubstr("waiting"))));
  run.add_allow("storage:a");
  run.add_allow("pool:b");
  run.set_no_install(true);
  auto* wait = run.add_waits();
  wait->set_node("hv2");
  wait->set_participant("nfs");
  wait->set_call("Apply");
  wait->mutable_since_time()->set_seconds(1'700'000'000);
  EXPECT_THAT(RenderRun(run, {}),
              AllOf(HasSubstr("allowed  storage:a, pool:b\n"), HasSubstr("packages none but allowed ones"),
                    HasSubstr("waiting  for hv2/nfs since 2023-11-14T22:13:20Z: Apply has no answer yet\n")));
  wait->set_problem("it is gone");
  EXPECT_THAT(RenderRun(run, {}), HasSubstr("waiting  for hv2/nfs since 2023-11-14T22:13:20Z: it is gone\n"));
}

TEST(RenderRun, NamesWhatIsQuarantinedTheCommandsAndTheWayOut) {
  pb::Run run;
  run.set_name("runs/4711");
  run.set_state(pb::Run::STATE_QUARANTINED);
  run.set_error("hv2/samba: share:s failed: no space");
  run.add_unresolved("hv2/zfs: dataset:a/b: dataset is busy");
  pb::RunStep done = MakeStep(1, "hv1", "zfs", "create dataset", "a/b", part::STEP_CLASS_EXACT);
  done.set_state(pb::RunStep::STATE_UNDONE);
  pb::RunStep stuck = MakeStep(2, "hv2", "zfs", "create dataset", "a/b", part::STEP_CLASS_EXACT);
  stuck.set_state(pb::RunStep::STATE_QUARANTINED);
  stuck.set_error("dataset is busy");
  stuck.add_remaining_commands("zfs destroy a/b");
  const std::string text = RenderRun(run, {done, stuck});
  EXPECT_THAT(text, AllOf(StartsWith("run      4711\nstate    QUARANTINED\n"),
                          HasSubstr("error    hv2/samba: share:s failed: no space\n"),
                          HasSubstr("quarantined on hv2: a/b\n  dataset is busy\n  by hand:\n"
                                    "    zfs destroy a/b\n  then: phoenix resolve 4711\n"),
                          HasSubstr("unresolved: hv2/zfs: dataset:a/b: dataset is busy\n")));
  EXPECT_EQ(Count(text, "by hand:"), 1) << "only what is quarantined";
}

}  // namespace
}  // namespace phoenix::cli
