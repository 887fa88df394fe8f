// A run's snapshots and what becomes of them, over the simulated machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_domain.h"
#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StepDriver;

constexpr char kOther[] = "00000000-0000-4000-8000-000000000002";

std::string RunId(int number) { return fmt::format("00000000-0000-4000-8000-00000000010{}", number); }

// Two pools with datasets that somebody made by hand, and a run that changes some of them.
class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    Change(CreatePool{"tank", {{"mirror", {kDiskA, kDiskB}}}, {}, {}});
    Change(CreatePool{"fast", {{"disk", {kDiskC}}}, {}, {}});
    for (const char* name : {"tank/a", "tank/b", "tank/other", "tank/subvol-100-disk-0", "fast/c"})
      Change(CreateDataset{name, 0, {}});
    Change(CreateDataset{"tank/vol", 1 << 20, {}});
    spec_.partial = true;
    spec_.datasets = {
        {.name = "tank/a", .properties = {{"quota", "1G"}}},
        {.name = "tank/b", .mode = "700"},
        {.name = "tank/subvol-100-disk-0", .properties = {{"quota", "1G"}}},
        {.name = "tank/vol", .properties = {{"compression", "lz4"}}, .volume_size_bytes = 1 << 20},
        {.name = "tank/new"},
        {.name = "fast/c", .properties = {{"quota", "1G"}}}};
  }

  void Change(const ZfsChange& change) { TestMachine::Must(machine_.host().Change(change, nullptr)); }
  ZfsState See() {
    ObserveRequest request;
    request.all_datasets = request.snapshots = request.holds = true;
    return *machine_.host().Observe(request);
  }
  std::vector<std::string> Snapshots() {
    std::vector<std::string> names;
    for (const auto& [name, snapshot] : See().snapshots) names.push_back(name);
    return names;
  }
  std::vector<kit::Step> Steps() {
    const auto plan = machine_.domain().MakePlan(machine_.Input(spec_));
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan->steps;
  }
  std::vector<std::string> Expected(const std::string& run) {
    return {CheckpointOf("fast/c", run), CheckpointOf("tank/a", run), CheckpointOf("tank/b", run)};
  }
  // A run that sets another quota of tank/a and is committed.
  void Run(const std::string& run, const std::string& quota) {
    spec_.datasets = {{.name = "tank/a", .properties = {{"quota", quota}}}};
    StepDriver driver(machine_.domain());
    TestMachine::Must(driver.Prepare(machine_.Input(spec_), run));
    ASSERT_EQ(driver.plan().steps.size(), 1u);
    TestMachine::Must(driver.Apply());
    TestMachine::Must(driver.Commit());
  }
  void Delete(const std::string& run, const std::string& name, StepDriver& driver) {
    spec_.datasets = {{.name = name, .presence = Presence::kAbsent}};
    driver.ledger()["dataset:" + name] = {
        .key = "dataset:" + name, .identity = std::to_string(machine_.Dataset(name).guid), .created = true};
    TestMachine::Must(driver.Prepare(machine_.Input(spec_), run));
    TestMachine::Must(driver.Apply());
  }
  void Reap() { TestMachine::Must(machine_.domain().reaper().Pass()); }
  void Days(int days) { machine_.clock().Advance(std::chrono::hours(24 * days)); }

  TestMachine machine_;
  ZfsSpec spec_;
};

TEST_F(CheckpointTest, WhatTheRunTouchesIsSnapshotMarkedAndHeld) {
  TestMachine::Must(machine_.domain().Checkpoint(kRun, Steps(), {}));
  EXPECT_EQ(Snapshots(), Expected(kRun)) << "nothing of guests, no volume, nothing new, nothing untouched";
  for (const auto& [name, snapshot] : See().snapshots) {
    EXPECT_EQ(snapshot.run, kRun) << name;
    EXPECT_THAT(snapshot.tags, ElementsAre(HoldOf(kRun))) << name;
  }
}

TEST_F(CheckpointTest, ItIsTakenBeforeTheFirstStep) {
  StepDriver driver(machine_.domain());
  TestMachine::Must(driver.Prepare(machine_.Input(spec_), kRun));
  EXPECT_EQ(Snapshots(), Expected(kRun));
  EXPECT_EQ(machine_.Dataset("tank/a").Value("quota"), "0");
}

TEST_F(CheckpointTest, ARunThatTouchesNothingTakesNone) {
  spec_.datasets = {{.name = "tank/new"}};
  TestMachine::Must(machine_.domain().Checkpoint(kRun, Steps(), {}));
  EXPECT_THAT(Snapshots(), IsEmpty());
}

// Somebody else's step writes into paths; this run changes nothing of ZFS.
TEST_F(CheckpointTest, WhatOthersWriteIntoIsSnapshotHeldAndLetGoWithoutAStep) {
  spec_.datasets = {{.name = "tank/a"}};
  kit::PlanInput input = machine_.Input(spec_);
  input.disturbed_keys = {"content:/tank/a",
                          "content:/tank/a/dump",
                          "content:/fast/c/template",
                          "path:/tank/b",
                          "content:/tank/subvol-100-disk-0",
                          "content:/srv/elsewhere"};
  // A disk of another file system in a folder of a dataset.
  TestMachine::Must(machine_.machine().Change([](kit::World& world) {
    return world.Put("mount", "/tank/other/usb", {{"source", "/dev/sdx1"}, {"type", "ext4"}});
  }));
  input.disturbed_keys.emplace_back("content:/tank/other/usb/dump");
  for (const bool committed : {true, false}) {
    StepDriver driver(machine_.domain());
    const std::string run = committed ? kRun : kOther;
    TestMachine::Must(driver.Prepare(input, run));
    EXPECT_THAT(driver.plan().steps, IsEmpty());
    EXPECT_THAT(driver.plan().checkpoints, ElementsAre("fast/c", "tank/a")) << "as the plan says";
    EXPECT_EQ(*machine_.domain().CheckpointsOf({}, input.disturbed_keys), driver.plan().checkpoints);
    for (const char* dataset : {"fast/c", "tank/a"}) {
      const auto seen = See();
      const auto snapshot = seen.snapshots.find(CheckpointOf(dataset, run));
      ASSERT_NE(snapshot, seen.snapshots.end()) << dataset;
      EXPECT_THAT(snapshot->second.tags, ElementsAre(HoldOf(run)));
    }
    TestMachine::Must(committed ? driver.Commit() : driver.Undo());
  }
  // Those of the committed run stay, and nobody holds them; those of the other one are gone.
  EXPECT_THAT(Snapshots(), ElementsAre(CheckpointOf("fast/c", kRun), CheckpointOf("tank/a", kRun)));
  for (const auto& [name, snapshot] : See().snapshots) EXPECT_EQ(snapshot.holds, 0u) << name;
}

TEST_F(CheckpointTest, ThePlanSaysWhatIsSnapshotAndATypedChangeTakesNothing) {
  kit::PlanInput input = machine_.Input(spec_);
  EXPECT_THAT(machine_.domain().MakePlan(input)->checkpoints, ElementsAre("fast/c", "tank/a", "tank/b"));
  input.disturbed_keys = {"content:/tank/other/dump", "content:/tank/new/dump"};
  EXPECT_THAT(machine_.domain().MakePlan(input)->checkpoints,
              ElementsAre("fast/c", "tank/a", "tank/b", "tank/other"))
      << "not of what the run makes, nor of what is above that";
  input.local = true;
  EXPECT_THAT(machine_.domain().MakePlan(input)->checkpoints, IsEmpty());
}

// Cut off after any of its changes, in every way that a tool can fail, and taken again or taken away.
TEST_F(CheckpointTest, CutOffAnywhereItIsTakenAgainOrTakenAway) {
  const std::string before = machine_.Dump();
  const std::vector<kit::Step> steps = Steps();
  int failed = 0;
  for (const std::string operation :
       {"zfs.checkpoint", "zfs.checkpoint:tank/a@phoenix-run-", "zfs.hold", "zfs.hold:tank/a@phoenix-run-"}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      for (const bool again : {true, false}) {
        SCOPED_TRACE(operation + " " + effect + (again ? " again" : " away"));
        const std::string fault = operation.ends_with('-') ? operation + kRun : operation;
        TestMachine::Must(machine_.machine().PlanFault(fault, effect));
        if (!machine_.domain().Checkpoint(kRun, steps, {}).ok()) ++failed;
        if (again) {
          TestMachine::Must(machine_.domain().Checkpoint(kRun, steps, {}));
          ASSERT_EQ(Snapshots(), Expected(kRun));
          for (const auto& [name, snapshot] : See().snapshots) ASSERT_EQ(snapshot.holds, 1u) << name;
        }
        TestMachine::Must(machine_.domain().Close(kRun, /*committed=*/false));
        TestMachine::Must(machine_.domain().Close(kRun, /*committed=*/false));
        ASSERT_EQ(machine_.Dump(), before);
      }
    }
  }
  EXPECT_EQ(failed, 16);
}

// All snapshots of a pool are of one moment: a part of them is not completed.
TEST_F(CheckpointTest, APartThatIsThereIsTakenAnew) {
  Change(CreateSnapshots{{CheckpointOf("tank/a", kRun)}, {{std::string(kRunMark), kRun}}});
  Change(HoldSnapshots{HoldOf(kRun), {CheckpointOf("tank/a", kRun)}});
  const uint64_t guid = See().snapshots.at(CheckpointOf("tank/a", kRun)).guid;
  TestMachine::Must(machine_.domain().Checkpoint(kRun, Steps(), {}));
  EXPECT_EQ(Snapshots(), Expected(kRun));
  EXPECT_NE(See().snapshots.at(CheckpointOf("tank/a", kRun)).guid, guid);
  // What is there as a whole stays.
  const uint64_t taken = See().snapshots.at(CheckpointOf("tank/a", kRun)).guid;
  TestMachine::Must(machine_.domain().Checkpoint(kRun, Steps(), {}));
  EXPECT_EQ(See().snapshots.at(CheckpointOf("tank/a", kRun)).guid, taken);
}

TEST_F(CheckpointTest, SomebodyElsesSnapshotOfThatNameIsLeftAlone) {
  Change(CreateSnapshot{CheckpointOf("tank/a", kRun), {}});
  const absl::Status status = machine_.domain().Checkpoint(kRun, Steps(), {});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), HasSubstr("this run did not make it"));
  TestMachine::Must(machine_.domain().Close(kRun, /*committed=*/false));
  EXPECT_THAT(Snapshots(), ElementsAre(CheckpointOf("tank/a", kRun)));
}

TEST_F(CheckpointTest, ADatasetThatIsGoneSinceThePlanRefusesTheRun) {
  const std::vector<kit::Step> steps = Steps();
  // Once the snapshots of both pools are taken and held, and before the list is compared.
  class Vanishing final : public ZfsHost {
   public:
    explicit Vanishing(ZfsHost& host) : host_(host) {}
    std::map<std::string, std::string> Versions() override { return host_.Versions(); }
    absl::StatusOr<ZfsState> Observe(const ObserveRequest& request) override {
      if (holds_ == 2 && request.all_datasets) {
        holds_ = 0;
        // Renamed away, and another one made in its place.
        TestMachine::Must(host_.Change(RenameDataset{"tank/b", "tank/moved"}, nullptr));
        TestMachine::Must(host_.Change(CreateDataset{"tank/b", 0, {}}, nullptr));
      }
      return host_.Observe(request);
    }
    absl::Status Change(const ZfsChange& change, const ChildObserver& on_child) override {
      if (std::holds_alternative<HoldSnapshots>(change)) ++holds_;
      return host_.Change(change, on_child);
    }

   private:
    ZfsHost& host_;
    int holds_ = 0;
  };
  Vanishing host(machine_.host());
  ZfsDomain domain(host, machine_.clock(),
                   [this](std::string_view, std::string_view) -> absl::StatusOr<ZfsSpec> { return spec_; });
  const absl::Status status = domain.Checkpoint(kRun, steps, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(Message(status), HasSubstr("came or went while its snapshot was taken"));
  TestMachine::Must(domain.Close(kRun, /*committed=*/false));
  EXPECT_THAT(Snapshots(), IsEmpty()) << "found by its mark wherever it went";
}

TEST_F(CheckpointTest, UndoneItIsGoneAndOnlyOurs) {
  TestMachine::Must(machine_.domain().Checkpoint(kOther, Steps(), {}));
  const std::string before = machine_.Dump();
  StepDriver driver(machine_.domain());
  TestMachine::Must(driver.Prepare(machine_.Input(spec_), kRun));
  TestMachine::Must(driver.Apply());
  TestMachine::Must(driver.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

TEST_F(CheckpointTest, WhatOthersHoldOrClonedSurvivesUndo) {
  TestMachine::Must(machine_.domain().Checkpoint(kRun, Steps(), {}));
  Change(HoldSnapshots{"backup", {CheckpointOf("tank/a", kRun)}});
  TestMachine::Must(machine_.domain().Close(kRun, /*committed=*/false));
  TestMachine::Must(machine_.domain().Close(kRun, /*committed=*/false));
  EXPECT_THAT(Snapshots(), ElementsAre(CheckpointOf("tank/a", kRun)));
  EXPECT_THAT(See().snapshots.at(CheckpointOf("tank/a", kRun)).tags, ElementsAre("backup"));
  // It is still found by its mark, once nobody holds it any more.
  Days(8);
  Reap();
  EXPECT_EQ(Snapshots().size(), 1u);
  Change(ReleaseSnapshots{"backup", {CheckpointOf("tank/a", kRun)}});
  Reap();
  EXPECT_THAT(Snapshots(), IsEmpty());
}

TEST_F(CheckpointTest, CommittedItStaysWithoutItsHold) {
  StepDriver driver(machine_.domain());
  TestMachine::Must(driver.Prepare(machine_.Input(spec_), kRun));
  TestMachine::Must(driver.Apply());
  Days(30);
  Reap();
  EXPECT_EQ(Snapshots(), Expected(kRun)) << "an open run's snapshots are nobody's to take";
  TestMachine::Must(machine_.machine().PlanFault("zfs.release", "fail"));
  EXPECT_FALSE(driver.Commit().ok());
  TestMachine::Must(driver.Commit());
  TestMachine::Must(driver.Commit());
  EXPECT_EQ(Snapshots(), Expected(kRun));
  for (const auto& [name, snapshot] : See().snapshots) EXPECT_EQ(snapshot.holds, 0u) << name;
  Reap();
  EXPECT_THAT(Snapshots(), IsEmpty());
}

TEST_F(CheckpointTest, TheNewestThreeRunsStay) {
  for (int run = 1; run <= 5; ++run) {
    Run(RunId(run), fmt::format("{}G", run));
    machine_.clock().Advance(std::chrono::hours(1));
    Reap();
  }
  EXPECT_THAT(Snapshots(), ElementsAre(CheckpointOf("tank/a", RunId(3)), CheckpointOf("tank/a", RunId(4)),
                                       CheckpointOf("tank/a", RunId(5))));
}

TEST_F(CheckpointTest, AFullPoolTakesThem) {
  Run(RunId(1), "1G");
  machine_.Edit("zfs.pool", "tank",
                [](nlohmann::json& pool) { pool["allocated"] = uint64_t{3'900'000'000'000}; });
  Reap();
  EXPECT_THAT(Snapshots(), IsEmpty());
}

TEST_F(CheckpointTest, AReapThatFailsIsTriedAgain) {
  Run(RunId(1), "1G");
  Days(8);
  TestMachine::Must(machine_.machine().PlanFault("zfs.snapshot_destroy", "fail"));
  Reap();
  EXPECT_EQ(Snapshots().size(), 1u);
  Reap();
  EXPECT_THAT(Snapshots(), IsEmpty());
}

TEST_F(CheckpointTest, TheTrashGoesWithItsContainersAndOurSnapshotsOnceItsTimeIsOver) {
  Run(RunId(1), "1G");
  StepDriver driver(machine_.domain());
  Delete(kRun, "tank/a", driver);
  const std::string trash = "tank/.phoenix/trash/" + std::string(kRun) + "/a";
  Days(30);
  Reap();
  ASSERT_TRUE(machine_.Exists(trash)) << "an open run's trash is nobody's to take";
  TestMachine::Must(machine_.machine().PlanFault("zfs.set:" + trash, "fail"));
  EXPECT_FALSE(driver.Commit().ok());
  TestMachine::Must(driver.Commit());
  const std::string committed = machine_.Dataset(trash).LocalValue(kCommittedMark);
  EXPECT_EQ(committed, std::to_string(machine_.clock().WallSeconds()));
  Days(6);
  TestMachine::Must(driver.Commit());
  EXPECT_EQ(machine_.Dataset(trash).LocalValue(kCommittedMark), committed) << "a repeat must not lengthen it";
  Reap();
  ASSERT_TRUE(machine_.Exists(trash));
  Days(2);
  Reap();
  EXPECT_FALSE(machine_.Exists(trash));
  EXPECT_FALSE(machine_.Exists("tank/.phoenix")) << "empty containers go, too";
  EXPECT_THAT(Snapshots(), IsEmpty());
  EXPECT_EQ(machine_.Dump().find("tank/a "), std::string::npos);
}

TEST_F(CheckpointTest, ATrashThatOthersSnapshotIsLeft) {
  Change(CreateSnapshot{"tank/a@theirs", {}});
  StepDriver driver(machine_.domain());
  Delete(kRun, "tank/a", driver);
  TestMachine::Must(driver.Commit());
  Days(8);
  Reap();
  const std::string trash = "tank/.phoenix/trash/" + std::string(kRun) + "/a";
  EXPECT_TRUE(machine_.Exists(trash));
  Change(DestroySnapshot{trash + "@theirs"});
  Reap();
  EXPECT_FALSE(machine_.Exists(trash));
}

TEST_F(CheckpointTest, UndoBringsADeletedDatasetBackWithoutAnyMark) {
  const std::string before = machine_.Dump();
  StepDriver driver(machine_.domain());
  Delete(kRun, "tank/a", driver);
  EXPECT_THAT(Snapshots(),
              ElementsAre("tank/.phoenix/trash/" + std::string(kRun) + "/a@phoenix-run-" + kRun));
  TestMachine::Must(driver.Undo(/*repeat=*/true));
  EXPECT_EQ(machine_.Dump(), before);
}

TEST_F(CheckpointTest, ADeletedSnapshotThatIsHeldByThenGoesLater) {
  Change(CreateSnapshot{"tank/other@before", {}});
  spec_.datasets.clear();
  spec_.snapshots = {{"tank/other@before", Presence::kAbsent}};
  StepDriver driver(machine_.domain());
  driver.ledger()["snapshot:tank/other@before"] = {
      .key = "snapshot:tank/other@before",
      .identity = std::to_string(See().snapshots.at("tank/other@before").guid),
      .created = true};
  TestMachine::Must(driver.Prepare(machine_.Input(spec_), kRun));
  TestMachine::Must(driver.Apply());
  const std::string trashed = TrashedSnapshot("tank/other@before", kRun);
  Reap();
  EXPECT_THAT(Snapshots(), ElementsAre(trashed));
  Change(HoldSnapshots{"backup", {trashed}});
  TestMachine::Must(driver.Commit());
  Reap();
  EXPECT_THAT(Snapshots(), ElementsAre(trashed));
  Change(ReleaseSnapshots{"backup", {trashed}});
  Reap();
  EXPECT_THAT(Snapshots(), IsEmpty());
}

// At the start, after each close and now and then, without anybody asking.
TEST_F(CheckpointTest, ItReapsByItself) {
  for (int run = 1; run <= 3; ++run) {
    Run(RunId(run), fmt::format("{}G", run));
    machine_.clock().Advance(std::chrono::hours(1));
  }
  const auto await = [&](const std::vector<std::string>& wanted) {
    // A test that waits in vain fails by its timeout.
    while (Snapshots() != wanted) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  Days(7);
  machine_.domain().StartReaping(std::chrono::hours(24));
  await({});
  for (int run = 4; run <= 7; ++run) {
    Run(RunId(run), fmt::format("{}G", run));
    machine_.clock().Advance(std::chrono::hours(1));
  }
  await(
      {CheckpointOf("tank/a", RunId(5)), CheckpointOf("tank/a", RunId(6)), CheckpointOf("tank/a", RunId(7))});
}

}  // namespace
}  // namespace phoenix::zfs
