// A recursive change of owners, done and rolled back, over the simulated machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_content_fixture.h"
#include "services/zfs/worker/zfs_domain.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// tank/a with two files and a folder of somebody's, whose owner shall be another one.
class TreeWorkTest : public ContentFixture {
 protected:
  TreeWorkTest() {
    Write("/tank/a/program", "old", 04755);
    TestMachine::Must(machine_.machine().Change(
        [](kit::World& world) { return world.WriteFile("/tank/a/folder", {true, {"", 1000, 1000, 0700}}); }));
    spec_.datasets = {
        {.name = "tank/a", .owner = "33", .group = "heads", .mode = "2770", .recursive_owner = true}};
  }

  void Prepare() {
    // The driver's ledger keeps what an undone run said of a step; the kit's does not.
    driver_.ledger().erase("tree:tank/a");
    TestMachine::Must(driver_.Prepare(machine_.Input(spec_), kRun));
    ASSERT_EQ(driver_.plan().steps.size(), 1u);
  }
  const std::string kept_ = std::string("tank/.phoenix/kept/") + kRun + "/a";
};

TEST_F(TreeWorkTest, EverythingInItIsSetOnceAndOnlyOnce) {
  Prepare();
  EXPECT_EQ(driver_.plan().steps[0].id, "content:tank/a");
  EXPECT_THAT(
      driver_.plan().steps[0].commands,
      ElementsAre("zfs unmount tank/a", "zfs snapshot -o phoenix:run=RUN tank/a@phoenix-run-RUN:content",
                  "chown -R 33:heads /tank/a", "chmod -R 2770 /tank/a", "zfs mount tank/a"));
  EXPECT_THAT(driver_.plan().steps[0].disturbs, ElementsAre("path:/tank/a"));
  TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
  EXPECT_EQ(File("/tank/a"), "33:1000 2770 ");
  EXPECT_EQ(File("/tank/a/letter"), "33:1000 660 old");
  EXPECT_EQ(File("/tank/a/program"), "33:1000 770 old");
  EXPECT_EQ(File("/tank/a/folder"), "33:1000 2770 ");
  TestMachine::Must(driver_.Commit());
  // What others create later is theirs.
  Write("/tank/a/later", "new", 0600);
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), "another run"));
  EXPECT_THAT(driver_.plan().steps, IsEmpty());
  // Another owner is another wish.
  spec_.datasets[0].owner = "34";
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), "a third run"));
  EXPECT_EQ(driver_.plan().steps.size(), 1u);
}

TEST_F(TreeWorkTest, ANewDatasetIsGivenAsAWholeByItsCreation) {
  spec_.datasets[0].name = "tank/new";
  Prepare();
  EXPECT_EQ(driver_.plan().steps[0].id, "dataset:tank/new");
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), "another run"));
  EXPECT_THAT(driver_.plan().steps, IsEmpty());
}

TEST_F(TreeWorkTest, UndoneItIsAsItWas) {
  const std::string before = machine_.Dump();
  Prepare();
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Undo(/*repeat=*/true));
  EXPECT_EQ(machine_.Dump(), before);
}

TEST_F(TreeWorkTest, WhatOthersWroteBeforeTheStepSurvivesItsUndo) {
  Prepare();
  Write("/tank/a/between", "new", 0600);
  const std::string before = File("/tank/a/between");
  TestMachine::Must(driver_.Apply());
  EXPECT_NE(File("/tank/a/between"), before);
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(File("/tank/a/between"), before);
  EXPECT_EQ(File("/tank/a/letter"), "1000:1000 644 old");
}

// Promise 4: what others wrote since is never discarded, and how it was before is not lost either.
TEST_F(TreeWorkTest, AForeignWriteStaysAndHowItWasBeforeIsKeptAside) {
  Prepare();
  TestMachine::Must(driver_.Apply());
  Write("/tank/a/letter", "theirs", 0600);
  Write("/tank/a/mail", "theirs", 0600);
  for (int times = 0; times < 2; ++times) {
    const absl::Status status = driver_.Undo();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(Message(status), AllOf(HasSubstr("foreign writes: 26624 bytes"),
                                       HasSubstr("tank/a stays with the owners and modes that this run set"),
                                       HasSubstr("how it was before is kept as " + kept_)));
    EXPECT_EQ(machine_.Dataset("tank/a").mounted_at, "/tank/a");
    EXPECT_EQ(File("/tank/a/letter"), "1000:1000 600 theirs");
    EXPECT_EQ(File("/tank/a/mail"), "1000:1000 600 theirs");
    EXPECT_EQ(File("/tank/a/program"), "33:1000 770 old");
    ASSERT_TRUE(machine_.Exists(kept_));
    EXPECT_EQ(machine_.Dataset(kept_).mounted_at, "");
    EXPECT_EQ(machine_.Dataset(kept_).LocalValue(kRunMark), kRun);
  }
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kDone);
  // The clone holds its snapshot, whatever closes the run or comes by later.
  TestMachine::Must(machine_.domain().Close(kRun, /*committed=*/false));
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kDone) << "or nobody could lift its quarantine";
  machine_.clock().Advance(std::chrono::hours(24 * 30));
  machine_.Edit("zfs.pool", "tank",
                [](nlohmann::json& pool) { pool["allocated"] = uint64_t{1'999'000'000'000}; });
  TestMachine::Must(machine_.domain().reaper().Pass());
  EXPECT_THAT(Snapshots(), ElementsAre(ContentSnapshotOf("tank/a", kRun)));
  ASSERT_TRUE(machine_.Exists(kept_));
  // And it holds what was there.
  Change(SetProperties{kept_, {{"mountpoint", "/restored"}}});
  Change(MountDataset{kept_});
  EXPECT_EQ(File("/restored/letter"), "1000:1000 644 old");
  EXPECT_EQ(File("/restored/program"), "1000:1000 4755 old");
  // Every later plan names it for what it is.
  spec_.partial = false;
  spec_.datasets.clear();
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), "another run"));
  ASSERT_FALSE(driver_.plan().notes.empty());
  EXPECT_THAT(driver_.plan().notes.back().text,
              HasSubstr("is tank/a as it was before a run that was undone"));
}

TEST_F(TreeWorkTest, ASnapshotThatSomebodyTookSinceIsNotRolledOver) {
  Prepare();
  TestMachine::Must(driver_.Apply());
  Change(CreateSnapshot{"tank/a@theirs", {}});
  const absl::Status status = driver_.Undo();
  EXPECT_THAT(Message(status), AllOf(HasSubstr("tank/a@theirs is newer"), HasSubstr("is kept as " + kept_)));
  EXPECT_EQ(File("/tank/a/program"), "33:1000 770 old");
  EXPECT_THAT(Snapshots(), ::testing::Contains("tank/a@theirs"));
}

TEST_F(TreeWorkTest, ABusyDatasetIsRefusedBeforeAnythingIsDone) {
  Prepare();
  machine_.Edit("zfs.dataset", "tank/a", [](nlohmann::json& dataset) { dataset["busy"] = true; });
  EXPECT_THAT(Message(driver_.Apply()), HasSubstr("busy"));
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kNotDone);
  EXPECT_EQ(File("/tank/a/letter"), "1000:1000 644 old");
}

// Every change of the step goes wrong in every way in turn; then all is undone.
TEST_F(TreeWorkTest, CutOffAnywhereItIsUndone) {
  const std::string before = machine_.Dump();
  const std::string content = ContentSnapshotOf("tank/a", kRun), given = GivenSnapshotOf("tank/a", kRun);
  int failures = 0;
  for (const std::string& operation :
       {std::string("zfs.unmount"), "zfs.checkpoint:" + content, "zfs.hold:" + content,
        std::string("zfs.tree"), "zfs.checkpoint:" + given, "zfs.hold:" + given, std::string("zfs.mount")}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      SCOPED_TRACE(operation + " " + effect);
      Prepare();
      TestMachine::Must(machine_.machine().PlanFault(operation, effect));
      if (!driver_.Apply().ok()) ++failures;
      TestMachine::Must(driver_.Undo());
      ASSERT_EQ(machine_.Dump(), before);
    }
  }
  EXPECT_EQ(failures, 17)
      << "a hold that is not there, a mount that is, and an unmount that is done at last are none";
}

TEST_F(TreeWorkTest, AnUndoThatIsCutOffIsRepeated) {
  const std::string before = machine_.Dump();
  for (const char* operation : {"zfs.unmount", "zfs.rollback", "zfs.sync", "zfs.set", "zfs.mount",
                                "zfs.release", "zfs.snapshot_destroy"}) {
    for (const char* effect : {"fail", "lie"}) {
      SCOPED_TRACE(std::string(operation) + " " + effect);
      Prepare();
      TestMachine::Must(driver_.Apply());
      TestMachine::Must(machine_.machine().PlanFault(operation, effect));
      const absl::Status first = driver_.Undo();
      if (!first.ok() && std::string(operation) != "zfs.release" &&
          std::string(operation) != "zfs.snapshot_destroy" && std::string(effect) == "fail") {
        EXPECT_NE(driver_.ProbeLast()->probe, kit::Probe::kNotDone);
      }
      TestMachine::Must(driver_.Undo());
      ASSERT_EQ(machine_.Dump(), before);
    }
  }
}

// A node that went down in the middle mounts the dataset when it comes up, before we look.
TEST_F(TreeWorkTest, WhatWasMountedInTheMiddleIsNobodysToRollBack) {
  Prepare();
  TestMachine::Must(
      machine_.machine().PlanFault("zfs.checkpoint:" + GivenSnapshotOf("tank/a", kRun), "fail"));
  EXPECT_FALSE(driver_.Apply().ok());
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kPartial);
  Change(MountDataset{"tank/a"});
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kPartial);
  Write("/tank/a/mail", "theirs", 0600);
  EXPECT_THAT(Message(driver_.Undo()), HasSubstr("foreign writes"));
  EXPECT_EQ(File("/tank/a/mail"), "1000:1000 600 theirs");
  EXPECT_TRUE(machine_.Exists(kept_));
}

TEST_F(TreeWorkTest, RefusesWhatCannotBeUnmountedAlone) {
  Change(CreateDataset{"tank/a/below", 0, {}});
  EXPECT_THAT(machine_.Refusal(spec_), HasSubstr("tank/a/below is mounted below it, at /tank/a/below"));
  spec_.datasets[0].name = "tank";
  EXPECT_THAT(machine_.Refusal(spec_), HasSubstr("tank is a whole pool; name the datasets in it one by one"));
  spec_.datasets[0] = {.name = "tank/a/below", .recursive_owner = true};
  EXPECT_THAT(machine_.Refusal(spec_), HasSubstr("give owner, group or mode"));
}

}  // namespace
}  // namespace phoenix::zfs
