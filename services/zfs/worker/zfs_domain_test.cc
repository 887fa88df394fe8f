// The properties that every domain keeps, over the simulated machine.
#include "services/zfs/worker/zfs_domain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {
namespace {

using ::testing::HasSubstr;
using testing::StepDriver;

// A machine with a pool and datasets that somebody made by hand, and what shall become of them: every kind of
// step on existing objects.
struct Existing {
  explicit Existing(TestMachine& machine) {
    const auto must = [&](const ZfsChange& change) {
      TestMachine::Must(machine.host().Change(change, nullptr));
    };
    must(CreatePool{"tank", {{"mirror", {kDiskA, kDiskB}}}, {}, {{"compression", "zstd"}}});
    must(CreateDataset{"tank/data", 0, {{"quota", "10G"}, {"atime", "off"}}});
    must(CreateDataset{"tank/data/child", 0, {}});
    must(CreateDataset{"tank/moved", 0, {}});
    must(CreateDataset{"tank/unmounted", 0, {}});
    must(UnmountDataset{"tank/unmounted"});
    // As a reboot leaves it, with what lies below it.
    must(CreateDataset{"tank/locked", 0, {}, NewKey{"aes-256-gcm", "passphrase", Secret("correct horse")}});
    must(CreateDataset{"tank/locked/below", 0, {}});
    must(CreateDataset{"tank/locked/volume", 1 << 20, {}});
    TestMachine::Must(LockFromOutside(machine.machine(), "tank"));
    machine.Edit("zfs.dataset", "tank/data", [](nlohmann::json& dataset) {
      dataset["received"]["recordsize"] = "65536";
      dataset["received"]["logbias"] = "throughput";
    });
    spec.pools = {{"tank", "mirror", {kDiskB, kDiskA}, {}, "zfs.pools[0]"}};
    spec.datasets = {
        {.name = "tank/data",
         .properties = {{"quota", "20G"},
                        {"atime", "on"},
                        {"recordsize", "1M"},
                        {"compression", "lz4"},
                        {"org:note", "ours"},
                        {"refquota", "5G"}},
         .group = "heads",
         .mode = "2770"},
        {.name = "tank/data/child", .properties = {{"compression", "zstd"}}},
        {.name = "tank/moved", .properties = {{"mountpoint", "/srv/deep/moved"}}, .mode = "711"},
        {.name = "tank/unmounted"},
        {.name = "tank/new", .properties = {{"mountpoint", "/srv/deep/new"}}},
        {.name = "tank/volume", .volume_size_bytes = 1 << 20},
        {.name = "tank/locked",
         .properties = {{"quota", "1G"}},
         .encryption = EncryptionSpec{"zfs/secure", "", ""}},
        {.name = "tank/locked/below", .properties = {{"mountpoint", "/srv/deep/below"}}},
        {.name = "tank/locked/new"},
        {.name = "tank/sealed", .encryption = EncryptionSpec{"zfs/other", "hex", "aes-128-ccm"}},
        {.name = "tank/sealed/below"},
        {.name = "tank/sealed/volume",
         .volume_size_bytes = 1 << 20,
         .encryption = EncryptionSpec{"zfs/other", "raw", ""}},
    };
    spec.snapshots = {{"tank/data@before"}};
    spec.arc_max_bytes = 1 << 30;
  }
  ZfsSpec spec;
};

TEST(ZfsDomain, SetsUpTheSeed) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  machine.SetUp(TestMachine::Seed(), driver);
  const DatasetState bulk = machine.Dataset("fastData/shared-bulk-data");
  EXPECT_EQ(bulk.Value("quota"), "1539316278886");
  EXPECT_EQ(bulk.properties.at("quota").source, "local");
  EXPECT_EQ(bulk.mounted_at, "/fastData/shared-bulk-data");
  EXPECT_EQ(bulk.root, (DirectoryState{0, 1000, 02770}));
  EXPECT_EQ(bulk.LocalValue(kRunMark), kRun);
  EXPECT_EQ(driver.ledger().at("pool:quickOS").created, true);
  EXPECT_EQ(driver.ledger().at("dataset:quickOS/vm-disks").identity,
            std::to_string(machine.Dataset("quickOS/vm-disks").guid));
}

TEST(ZfsDomain, SecondPlanHasNoSteps) {
  for (const bool existing : {false, true}) {
    TestMachine machine;
    const ZfsSpec spec = existing ? Existing(machine).spec : TestMachine::Seed();
    StepDriver driver(machine.domain());
    machine.SetUp(spec, driver);
    const std::string after = machine.Dump();
    TestMachine::Must(driver.Prepare(machine.Input(spec), "another run"));
    for (const auto& step : driver.plan().steps) ADD_FAILURE() << step.id;
    EXPECT_EQ(machine.Dump(), after);
  }
}

TEST(ZfsDomain, EverythingDoneTwiceIsHarmless) {
  for (const bool existing : {false, true}) {
    std::string once, twice;
    for (const bool repeat : {false, true}) {
      TestMachine machine;
      const ZfsSpec spec = existing ? Existing(machine).spec : TestMachine::Seed();
      StepDriver driver(machine.domain());
      TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
      TestMachine::Must(driver.Apply(static_cast<size_t>(-1), repeat));
      (repeat ? twice : once) = machine.Dump();
    }
    EXPECT_EQ(once, twice);
  }
}

TEST(ZfsDomain, UndoAfterEveryStepGivesTheOldState) {
  for (const bool existing : {false, true}) {
    for (size_t count = 0; count < 100; ++count) {
      SCOPED_TRACE(count);
      TestMachine machine;
      const ZfsSpec spec = existing ? Existing(machine).spec : TestMachine::Seed();
      const std::string before = machine.Dump();
      StepDriver driver(machine.domain());
      TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
      if (count > driver.plan().steps.size()) break;
      TestMachine::Must(driver.Apply(count));
      TestMachine::Must(driver.Undo(/*repeat=*/count % 2 == 0));
      ASSERT_EQ(machine.Dump(), before);
    }
  }
}

// Every change of every step goes wrong in every way in turn; then all is undone.
TEST(ZfsDomain, UndoAfterEveryFaultGivesTheOldState) {
  int failures = 0;
  for (const std::string operation : {"zfs.pool_create", "zfs.create", "zfs.set", "zfs.mount", "zfs.root",
                                      "zfs.arc", "zfs.file", "zfs.mkdir", "zfs.snapshot", "zfs.load_key",
                                      "zfs.create:tank/sealed", "zfs.mount:tank/locked/below"}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      SCOPED_TRACE(operation + " " + effect);
      TestMachine machine;
      const ZfsSpec spec = operation == "zfs.pool_create" ? TestMachine::Seed() : Existing(machine).spec;
      const std::string before = machine.Dump();
      StepDriver driver(machine.domain());
      TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
      TestMachine::Must(machine.machine().PlanFault(operation, effect));
      if (!driver.Apply().ok()) ++failures;
      TestMachine::Must(driver.Undo());
      ASSERT_EQ(machine.Dump(), before);
    }
  }
  EXPECT_GT(failures, 15);
}

// Where it cannot be told whether others wrote, nothing is destroyed.
TEST(ZfsDomain, AVolumeWhoseMarkIsMissingIsKept) {
  TestMachine machine;
  ZfsSpec spec;
  spec.pools = Existing(machine).spec.pools;
  spec.datasets = {{.name = "tank/volume", .volume_size_bytes = 1 << 20}};
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
  TestMachine::Must(machine.machine().PlanFault("zfs.sync", "fail"));
  EXPECT_FALSE(driver.Apply().ok());
  TestMachine::Must(driver.Undo());
  EXPECT_TRUE(machine.Exists(std::string("tank/.phoenix/kept/") + kRun + "/volume"));
  // It is named in every plan until somebody decides about it.
  TestMachine::Must(driver.Prepare(machine.Input(spec), "another run"));
  ASSERT_EQ(driver.plan().notes.size(), 1u);
  EXPECT_THAT(driver.plan().notes[0].text, HasSubstr("kept: tank/.phoenix/kept/"));
}

// A tool that says that it failed although it did its work changes nothing for the run.
TEST(ZfsDomain, ALyingCreateIsFoundDone) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(TestMachine::Seed()), kRun));
  TestMachine::Must(machine.machine().PlanFault("zfs.create:quickOS/vm-disks", "lie"));
  TestMachine::Must(driver.Apply());
  EXPECT_EQ(machine.Dataset("quickOS/vm-disks").LocalValue(kRunMark), kRun);
}

TEST(ZfsDomain, UndoThatFailsInTheMiddleCanBeRepeated) {
  for (const char* operation :
       {"zfs.destroy", "zfs.unmount", "zfs.pool_destroy", "zfs.disk_clear", "zfs.inherit", "zfs.sync",
        "zfs.rmdir", "zfs.rmdir:/fastData", "zfs.unload_key"}) {
    for (const char* effect : {"fail", "lie"}) {
      SCOPED_TRACE(std::string(operation) + " " + effect);
      TestMachine machine;
      const std::string name = operation;
      const bool existing = name == "zfs.inherit" || name == "zfs.rmdir" || name == "zfs.unload_key";
      const ZfsSpec spec = existing ? Existing(machine).spec : TestMachine::Seed();
      const std::string before = machine.Dump();
      StepDriver driver(machine.domain());
      TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
      TestMachine::Must(driver.Apply());
      TestMachine::Must(machine.machine().PlanFault(operation, effect));
      EXPECT_FALSE(driver.Undo().ok());
      // A step whose undo was cut off must not pass for undone: after a crash nobody would go on with it.
      const auto probe = driver.ProbeLast();
      TestMachine::Must(probe.status());
      if (std::string(effect) == "fail") EXPECT_NE(probe->probe, kit::Probe::kNotDone);
      TestMachine::Must(driver.Undo());
      ASSERT_EQ(machine.Dump(), before);
    }
  }
}

TEST(ZfsDomain, UndoPutsBackValueAndSource) {
  TestMachine machine;
  const ZfsSpec spec = Existing(machine).spec;
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
  TestMachine::Must(driver.Apply());
  EXPECT_EQ(machine.Dataset("tank/data").properties.at("recordsize"),
            (PropertyState{"1048576", "local", "65536"}));
  TestMachine::Must(driver.Undo());
  const DatasetState data = machine.Dataset("tank/data");
  EXPECT_EQ(data.properties.at("recordsize"), (PropertyState{"65536", "received", "65536"}));
  EXPECT_EQ(data.properties.at("quota"), (PropertyState{"10737418240", "local", "-"}));
  EXPECT_EQ(data.properties.at("refquota"), (PropertyState{"0", "default", "-"}));
  EXPECT_EQ(data.properties.at("compression"), (PropertyState{"zstd", "inherited from tank", "-"}));
  EXPECT_EQ(data.properties.count("org:note"), 0u);
}

TEST(ZfsDomain, UndoRefusesAPropertyThatSomebodyElseChanged) {
  TestMachine machine;
  const ZfsSpec spec = Existing(machine).spec;
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
  TestMachine::Must(driver.Apply());
  TestMachine::Must(machine.host().Change(SetProperties{"tank/data", {{"quota", "30G"}}}, nullptr));
  const absl::Status status = driver.Undo();
  EXPECT_THAT(Message(status), HasSubstr("quota is 32212254720, this run set 20G"));
  EXPECT_EQ(machine.Dataset("tank/data").Value("quota"), "32212254720");
}

TEST(ZfsDomain, AForeignChangeBetweenPrepareAndDoStopsTheRun) {
  TestMachine machine;
  const ZfsSpec spec = Existing(machine).spec;
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
  TestMachine::Must(machine.host().Change(SetProperties{"tank/data", {{"quota", "30G"}}}, nullptr));
  EXPECT_EQ(driver.Apply().code(), absl::StatusCode::kAborted);
}

// Promise 4: what others wrote into what we made is set aside, never destroyed.
TEST(ZfsDomain, UndoSetsAsideADatasetThatHoldsOthersData) {
  TestMachine machine;
  const ZfsSpec existing = Existing(machine).spec;
  ZfsSpec spec;
  spec.pools = existing.pools;
  spec.datasets = {{.name = "tank/mine"}};
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
  TestMachine::Must(driver.Apply());
  machine.WriteFile("/tank/mine/letter");
  TestMachine::Must(driver.Undo(/*repeat=*/true));
  EXPECT_FALSE(machine.Exists("tank/mine"));
  const std::string kept = std::string("tank/.phoenix/kept/") + kRun + "/mine";
  ASSERT_TRUE(machine.Exists(kept));
  EXPECT_EQ(machine.Dataset(kept).mounted_at, "");
  EXPECT_THAT(machine.Dump(), HasSubstr("others' data"));
  EXPECT_EQ(machine.Dump().find("file /tank/mine"), std::string::npos);
}

TEST(ZfsDomain, UndoSetsAsideADatasetWithSnapshotOrChild) {
  for (const bool child : {false, true}) {
    TestMachine machine;
    const ZfsSpec existing = Existing(machine).spec;
    ZfsSpec spec;
    spec.pools = existing.pools;
    spec.datasets = {{.name = "tank/mine"}, {.name = "tank/volume", .volume_size_bytes = 1 << 20}};
    StepDriver driver(machine.domain());
    TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
    TestMachine::Must(driver.Apply());
    if (child) {
      TestMachine::Must(machine.host().Change(CreateDataset{"tank/mine/theirs", 0, {}}, nullptr));
    } else {
      TestMachine::Must(machine.host().Change(CreateSnapshot{"tank/mine@theirs", {}}, nullptr));
    }
    machine.Edit("zfs.dataset", "tank/volume", [](nlohmann::json& volume) { volume["written_more"] = 4096; });
    TestMachine::Must(driver.Undo());
    const std::string kept = std::string("tank/.phoenix/kept/") + kRun;
    EXPECT_TRUE(machine.Exists(kept + "/mine"));
    EXPECT_TRUE(machine.Exists(kept + "/volume"));
  }
}

TEST(ZfsDomain, ANewPoolWithOthersDataStaysAndIsNamed) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(TestMachine::Seed()), kRun));
  TestMachine::Must(driver.Apply());
  machine.WriteFile("/fastData/shared-backups/backup.vma");
  const absl::Status status = driver.Undo();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), HasSubstr("pool fastData was created by this run and stays"));
  EXPECT_THAT(Message(status), HasSubstr(std::string("fastData/.phoenix/kept/") + kRun + "/shared-backups"));
  EXPECT_FALSE(machine.Exists("fastData/shared-backups"));
  EXPECT_THAT(driver.RemainingOfLast(), ::testing::Not(::testing::Contains(::testing::ContainsRegex(
                                            "zpool destroy fastData|labelclear.*S3A|blkdiscard.*S3A"))));
}

TEST(ZfsDomain, ABusyDatasetIsNotForced) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(TestMachine::Seed()), kRun));
  TestMachine::Must(driver.Apply());
  machine.Edit("zfs.dataset", "quickOS/vm-disks", [](nlohmann::json& dataset) { dataset["busy"] = true; });
  EXPECT_THAT(Message(driver.Undo()), HasSubstr("busy"));
  EXPECT_TRUE(machine.Exists("quickOS/vm-disks"));
}

TEST(ZfsDomain, DeletesIntoTheTrashAndBack) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  machine.SetUp(TestMachine::Seed(), driver);
  machine.WriteFile("/quickOS/vm-disks/image");
  const std::string before = machine.Dump();
  ZfsSpec spec;
  spec.partial = true;
  spec.datasets = {{.name = "quickOS/vm-disks", .presence = Presence::kAbsent}};
  const std::string run = "00000000-0000-4000-8000-000000000002";
  const std::string trash = "quickOS/.phoenix/trash/" + run + "/vm-disks";
  for (const bool undo : {true, false}) {
    TestMachine::Must(driver.Prepare(machine.Input(spec), run));
    ASSERT_EQ(driver.plan().steps.size(), 1u);
    TestMachine::Must(driver.Apply(1, /*repeat=*/true));
    EXPECT_FALSE(machine.Exists("quickOS/vm-disks"));
    ASSERT_TRUE(machine.Exists(trash));
    EXPECT_EQ(machine.Dataset(trash).mounted_at, "");
    EXPECT_EQ(machine.Dataset(trash).Value("quota"), "858993459200");
    if (!undo) break;
    TestMachine::Must(driver.Undo(/*repeat=*/true));
    EXPECT_EQ(machine.Dump(), before);
    // The driver's ledger forgot it at the step; the kit does so at commit only.
    driver.ledger()["dataset:quickOS/vm-disks"] = {
        .key = "dataset:quickOS/vm-disks",
        .identity = std::to_string(machine.Dataset("quickOS/vm-disks").guid),
        .created = true};
  }
  EXPECT_EQ(driver.ledger().count("dataset:quickOS/vm-disks"), 0u);
}

// With canmount=on and a mount point of its own it would come up from the trash at the next boot.
TEST(ZfsDomain, AnUnmountedDatasetStaysUnmountedInTheTrash) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  machine.SetUp(TestMachine::Seed(), driver);
  TestMachine::Must(machine.host().Change(UnmountDataset{"quickOS/vm-disks"}, nullptr));
  const std::string before = machine.Dump();
  ZfsSpec spec;
  spec.partial = true;
  spec.datasets = {{.name = "quickOS/vm-disks", .presence = Presence::kAbsent}};
  TestMachine::Must(driver.Prepare(machine.Input(spec), "run2"));
  TestMachine::Must(driver.Apply());
  EXPECT_EQ(machine.Dataset("quickOS/.phoenix/trash/run2/vm-disks").LocalValue("canmount"), "noauto");
  TestMachine::Must(driver.Undo());
  EXPECT_EQ(machine.Dump(), before);
}

// ZFS takes no 0 for zfs_arc_max while it runs: the former limit is set first.
TEST(ZfsDomain, TheLimitThatWasInForceComesBack) {
  for (const bool halfway : {false, true}) {
    TestMachine machine;
    const auto arc = [&] {
      ObserveRequest request;
      request.arc = true;
      return machine.host().Observe(request)->arc;
    };
    ZfsSpec spec;
    spec.partial = true;
    spec.arc_max_bytes = uint64_t{1} << 30;
    const uint64_t in_force = arc().in_force;
    EXPECT_NE(in_force, *spec.arc_max_bytes);
    StepDriver driver(machine.domain());
    TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
    TestMachine::Must(driver.Apply());
    EXPECT_EQ(arc().in_force, *spec.arc_max_bytes);
    // An undo that ended between the two.
    if (halfway) TestMachine::Must(machine.host().Change(SetArcLive{in_force}, nullptr));
    TestMachine::Must(driver.Undo());
    EXPECT_EQ(arc().live, 0u);
    EXPECT_EQ(arc().in_force, in_force);
  }
}

TEST(ZfsDomain, RemovesOnlyWhatItCreated) {
  TestMachine machine;
  const ZfsSpec existing = Existing(machine).spec;
  ZfsSpec spec;
  spec.datasets = {{.name = "tank/moved", .presence = Presence::kAbsent, .origin = "zfs.datasets[3]"}};
  EXPECT_THAT(machine.Refusal(spec), HasSubstr("zfs.datasets[3]: tank/moved was not created by Phoenix"));
}

TEST(ZfsDomain, DeletesASnapshotOnlyAtCommit) {
  TestMachine machine;
  const ZfsSpec existing = Existing(machine).spec;
  StepDriver driver(machine.domain());
  machine.SetUp(existing, driver);
  const std::string before = machine.Dump();
  ZfsSpec spec;
  spec.partial = true;
  spec.snapshots = {{"tank/data@before", Presence::kAbsent}};
  TestMachine::Must(driver.Prepare(machine.Input(spec), "run2"));
  const kit::LedgerEntry entry = driver.ledger().at("snapshot:tank/data@before");
  TestMachine::Must(driver.Apply(1, true));
  EXPECT_THAT(machine.Dump(), HasSubstr("tank/data@phoenix-trash:run2:before"));
  TestMachine::Must(driver.Undo(true));
  EXPECT_EQ(machine.Dump(), before);
  driver.ledger()["snapshot:tank/data@before"] = entry;
  TestMachine::Must(driver.Prepare(machine.Input(spec), "run2"));
  TestMachine::Must(driver.Apply());
  TestMachine::Must(driver.Commit());
  TestMachine::Must(driver.Commit());
  EXPECT_EQ(machine.Dump().find("tank/data@before"), std::string::npos);
  EXPECT_EQ(machine.Dump().find("tank/data@phoenix-trash"), std::string::npos);
}

// Trap 1 and 2, on the machine: the error names every finding and nothing is touched.
TEST(Trap1, SafeModeNamesWhatItFoundAndTouchesNothing) {
  TestMachine machine;
  TestMachine::Must(PutOnDisk(machine.machine(), kDiskB, {"", "ext4 (wipefs, blkid)", "", 0, false}));
  EXPECT_THAT(
      machine.Refusal(TestMachine::Seed()),
      ::testing::AllOf(HasSubstr("zfs.pools[0].disks[1]"), HasSubstr("/dev/nvme1n1: ext4 (wipefs, blkid)")));
}

TEST(Trap2, AnExportedPoolIsNotDestroyed) {
  TestMachine machine;
  TestMachine::Must(machine.host().Change(CreatePool{"old", {{"disk", {kDiskC}}}, {}, {}}, nullptr));
  TestMachine::Must(ExportFromOutside(machine.machine(), "old"));
  EXPECT_THAT(machine.Refusal(TestMachine::Seed()),
              ::testing::AllOf(HasSubstr("zfs.pools[1].disks[0]"), HasSubstr("ZFS label of pool old")));
  ZfsSpec same = TestMachine::Seed();
  same.pools[1].name = "old";
  same.datasets.resize(4);
  machine.Edit("zfs.pool", "old", [](nlohmann::json& pool) { pool["elsewhere"] = true; });
  EXPECT_THAT(machine.Refusal(same), HasSubstr("another system had it last"));
}

// A wipe is a point of no return: undo leaves empty disks, as the plan said.
TEST(ZfsDomain, AForcedWipeLeavesEmptyDisksAfterUndo) {
  TestMachine machine;
  const std::string blank = machine.Dump();
  TestMachine::Must(PutOnDisk(machine.machine(), kDiskC, {"", "ext4 (wipefs)", "", 0, false}));
  ZfsSpec spec = TestMachine::Seed();
  spec.mode = Mode::kForceDestructive;
  spec.wipe = {kDiskC};
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(spec), kRun));
  EXPECT_EQ(driver.order().barrier, 6u) << "the pool on blank disks, its datasets and the ARC come first";
  TestMachine::Must(driver.Apply());
  TestMachine::Must(driver.Undo());
  EXPECT_EQ(machine.Dump(), blank);
}

// Killed in zpool create: partitions and labels are there, the pool is not.
TEST(ZfsDomain, ResidueOfAKilledCreateIsClearedForwardAndBack) {
  for (const bool forward : {true, false}) {
    TestMachine machine;
    const std::string before = machine.Dump();
    const auto plan = machine.domain().MakePlan(machine.Input(TestMachine::Seed()));
    ASSERT_TRUE(plan.ok()) << plan.status();
    const kit::Step& step = plan->steps[0];
    kit::StepContext context{.run_id = kRun, .captured = *machine.domain().Capture(step, kRun)};
    TestMachine::Must(
        PutOnDisk(machine.machine(), kDiskA, {"", "gpt partition table (wipefs)", "", 0, true}));
    TestMachine::Must(
        PutOnDisk(machine.machine(), kDiskA, {"p1", "label of the ZFS pool (zdb)", "quickOS", 17, false}));
    EXPECT_EQ(machine.domain().ProbeStep(step, context)->probe, kit::Probe::kPartial);
    if (forward) {
      TestMachine::Must(machine.domain().Do(step, context));
      EXPECT_EQ(machine.domain().ProbeStep(step, context)->probe, kit::Probe::kDone);
    }
    TestMachine::Must(machine.domain().Undo(step, context));
    EXPECT_EQ(machine.domain().ProbeStep(step, context)->probe, kit::Probe::kNotDone);
    EXPECT_EQ(machine.Dump(), before);
  }
}

// Killed within a wipe: whatever is left of the disk's former content is wiped on, forward and back. A pool
// that was not there before is somebody else's.
TEST(ZfsDomain, WhatAKilledWipeLeftIsWipedOn) {
  for (const bool forward : {true, false}) {
    TestMachine machine;
    const std::string blank = machine.Dump();
    TestMachine::Must(PutOnDisk(machine.machine(), kDiskC, {"", "ext4 (wipefs, blkid)", "", 0, false}));
    ZfsSpec spec = TestMachine::Seed();
    spec.mode = Mode::kForceDestructive;
    spec.wipe = {kDiskC};
    const auto plan = machine.domain().MakePlan(machine.Input(spec));
    ASSERT_TRUE(plan.ok()) << plan.status();
    const auto step = std::find_if(plan->steps.begin(), plan->steps.end(),
                                   [](const kit::Step& one) { return one.id == "pool:fastData"; });
    ASSERT_NE(step, plan->steps.end());
    kit::StepContext context{.run_id = kRun, .captured = *machine.domain().Capture(*step, kRun)};
    TestMachine::Must(machine.host().Change(ClearDisk{"/dev/nvme2n1", 0, {}}, nullptr));
    TestMachine::Must(
        PutOnDisk(machine.machine(), kDiskC, {"", "data without a known signature", "", 0, false}));
    EXPECT_EQ(machine.domain().ProbeStep(*step, context)->probe, kit::Probe::kPartial);
    if (forward) {
      TestMachine::Must(machine.domain().Do(*step, context));
      EXPECT_EQ(machine.domain().ProbeStep(*step, context)->probe, kit::Probe::kDone);
    }
    TestMachine::Must(machine.domain().Undo(*step, context));
    EXPECT_EQ(machine.Dump(), blank);
    TestMachine::Must(
        PutOnDisk(machine.machine(), kDiskC, {"", "label of the ZFS pool other (zdb)", "other", 9, false}));
    EXPECT_EQ(machine.domain().ProbeStep(*step, context)->probe, kit::Probe::kForeign);
  }
}

TEST(ZfsDomain, ResidueOfSomebodyElseIsLeftAlone) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(TestMachine::Seed()), kRun));
  TestMachine::Must(machine.machine().PlanFault("zfs.pool_create", "fail", 2));
  EXPECT_FALSE(driver.Apply(2).ok());
  for (const char* disk : {kDiskA, kDiskC}) {
    TestMachine::Must(PutOnDisk(machine.machine(), disk, {"", "xfs (wipefs)", "", 0, false}));
  }
  EXPECT_THAT(Message(driver.Undo()), HasSubstr("changed by somebody else"));
  EXPECT_THAT(machine.Dump(), HasSubstr("xfs (wipefs)"));
}

TEST(ZfsDomain, OrphansStayAndAreNamed) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  machine.SetUp(TestMachine::Seed(), driver);
  ZfsSpec spec = TestMachine::Seed();
  spec.datasets.erase(spec.datasets.begin());
  TestMachine::Must(driver.Prepare(machine.Input(spec), "run2"));
  EXPECT_TRUE(driver.plan().steps.empty());
  ASSERT_EQ(driver.plan().notes.size(), 1u);
  EXPECT_THAT(driver.plan().notes[0].text, HasSubstr("orphaned: dataset quickOS/vm-disks"));
}

TEST(ZfsDomain, ShowsTheNativeCommands) {
  TestMachine machine;
  const auto plan = machine.domain().MakePlan(machine.Input(TestMachine::Seed()));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(
      plan->steps[0].commands,
      ::testing::ElementsAre(std::string("zpool create -o ashift=12 -O phoenix:run=RUN quickOS mirror ") +
                             kDiskA + " " + kDiskB));
  const auto& shared = plan->steps[4];
  EXPECT_THAT(shared.commands,
              ::testing::ElementsAre("zfs create -o compression=lz4 -o phoenix:run=RUN -o quota=400G -o "
                                     "recordsize=128K quickOS/shared-prod-data",
                                     "chown root:heads /quickOS/shared-prod-data",
                                     "chmod 2770 /quickOS/shared-prod-data"));
}

TEST(ZfsDomain, AGroupThatIsNotThereYetIsRequired) {
  TestMachine machine;
  ZfsSpec spec = TestMachine::Seed();
  spec.datasets[2].group = "newcomers";
  StepDriver alone(machine.domain());
  EXPECT_THAT(Message(alone.Prepare(machine.Input(spec), kRun)), HasSubstr("needs group:newcomers"));
  StepDriver with_samba(machine.domain(), {"group:newcomers"});
  TestMachine::Must(with_samba.Prepare(machine.Input(spec), kRun));
}

TEST(ZfsDomain, VerifyWantsTheMountOnTheHost) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  machine.SetUp(TestMachine::Seed(), driver);
  kit::VerifyInput input{.applied = driver.plan().steps};
  const auto report = machine.domain().Verify(input);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->probes,
              ::testing::Contains("/quickOS/vm-disks is mounted in the host's mount namespace"));
  TestMachine::Must(machine.host().Change(UnmountDataset{"quickOS/vm-disks"}, nullptr));
  EXPECT_EQ(machine.domain().Verify(input).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ZfsDomain, ADamagedJournalIsAnErrorNotACrash) {
  TestMachine machine;
  kit::Step step{.id = "dataset:x", .payload = "{"};
  EXPECT_EQ(machine.domain().Capture(step, kRun).status().code(), absl::StatusCode::kDataLoss);
  step.payload =
      R"({"step":"set_mount_root","name":"a","mountpoint":"/a","root":{"owner":"","group":"","mode":""},"created":false})";
  kit::StepContext context{.run_id = kRun, .captured = R"({"uid":"x"})"};
  EXPECT_EQ(machine.domain().Do(step, context).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace phoenix::zfs
