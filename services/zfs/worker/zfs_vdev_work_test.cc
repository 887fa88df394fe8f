// Pools that grow, come back and go: the properties that every step keeps, over the simulated machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {
namespace {

using ::testing::HasSubstr;
using testing::StepDriver;

constexpr char kSecondRun[] = "00000000-0000-4000-8000-000000000002";

// A mirror that Phoenix made, with a dataset that holds somebody's file, and blank disks C to F.
class GrowingPool : public ::testing::Test {
 protected:
  GrowingPool() { Begin(); }

  void Begin() {
    driver_.reset();
    machine_ = std::make_unique<TestMachine>();
    driver_ = std::make_unique<StepDriver>(machine_->domain());
    fresh_.clear();
    for (const char* serial : {"S1C", "S1D", "S1E", "S1F"}) fresh_.push_back(machine_->AddDisk(serial));
    spec_ = {};
    spec_.pools = {{"tank", "mirror", {kDiskA, kDiskB}, {{"autotrim", "off"}}, "zfs.pools[0]", {}}};
    spec_.datasets = {{.name = "tank/data"}};
    machine_->SetUp(spec_, *driver_);
    machine_->WriteFile("/tank/data/letter");
  }
  PoolSpec& pool() { return spec_.pools[0]; }
  PoolState Pool() {
    ObserveRequest request;
    request.pools = true;
    return machine_->host().Observe(request)->pools["tank"];
  }
  void Prepare() { TestMachine::Must(driver_->Prepare(machine_->Input(spec_), kSecondRun)); }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<StepDriver> driver_;
  std::vector<std::string> fresh_;
  ZfsSpec spec_;
};

// What is wanted of the pool, and what the steps do to the machine.
struct Case {
  const char* name;
  std::function<void(PoolSpec&)> wish;
  std::vector<std::string> operations;
};

std::vector<Case> Cases() {
  const std::string by_id = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_";
  return {
      {"a log, a cache and a spare",
       [=](PoolSpec& pool) {
         pool.vdevs = {{VdevClass::kLog, "mirror", {by_id + "S1C", by_id + "S1D"}},
                       {VdevClass::kCache, "", {by_id + "S1E"}},
                       {VdevClass::kSpare, "", {by_id + "S1F"}}};
       },
       {"vdev_add"}},
      {"a third side of the mirror",
       [=](PoolSpec& pool) { pool.disks.push_back(by_id + "S1C"); },
       {"disk_attach"}},
      {"properties",
       [](PoolSpec& pool) { pool.properties = {{"autotrim", "on"}, {"comment", "ours"}}; },
       {"pool_set"}},
  };
}

TEST_F(GrowingPool, IsDoneOnceAndThenNothingIsLeftToDo) {
  for (const Case& one : Cases()) {
    SCOPED_TRACE(one.name);
    Begin();
    one.wish(pool());
    Prepare();
    ASSERT_FALSE(driver_->plan().steps.empty());
    TestMachine::Must(driver_->Apply(static_cast<size_t>(-1), /*repeat=*/true));
    TestMachine::Must(driver_->Commit());
    TestMachine::Must(driver_->Prepare(machine_->Input(spec_), "another run"));
    for (const auto& step : driver_->plan().steps) ADD_FAILURE() << step.id;
  }
}

TEST_F(GrowingPool, UndoneAfterEveryStepItIsAsBefore) {
  for (const Case& one : Cases()) {
    for (size_t count = 0;; ++count) {
      SCOPED_TRACE(fmt::format("{}, {} steps", one.name, count));
      Begin();
      // A property that was never set has no value in the world, and one that was set back has its default.
      pool().properties["comment"] = "before";
      TestMachine::Must(driver_->Prepare(machine_->Input(spec_), "comment"));
      TestMachine::Must(driver_->Apply());
      TestMachine::Must(driver_->Commit());
      const std::string before = machine_->Dump();
      one.wish(pool());
      Prepare();
      if (count > driver_->plan().steps.size()) break;
      TestMachine::Must(driver_->Apply(count));
      TestMachine::Must(driver_->Undo(/*repeat=*/count % 2 == 0));
      ASSERT_EQ(machine_->Dump(), before);
    }
  }
}

TEST_F(GrowingPool, UndoneAfterEveryFaultItIsAsBefore) {
  int failures = 0;
  for (const Case& one : Cases()) {
    for (const auto& operation : one.operations) {
      for (const char* effect : {"fail", "lie", "nothing"}) {
        SCOPED_TRACE(fmt::format("{}: {} {}", one.name, operation, effect));
        Begin();
        pool().properties["comment"] = "before";
        TestMachine::Must(driver_->Prepare(machine_->Input(spec_), "comment"));
        TestMachine::Must(driver_->Apply());
        TestMachine::Must(driver_->Commit());
        const std::string before = machine_->Dump();
        one.wish(pool());
        Prepare();
        TestMachine::Must(machine_->machine().PlanFault("zfs." + operation, effect));
        if (!driver_->Apply().ok()) ++failures;
        TestMachine::Must(driver_->Undo());
        ASSERT_EQ(machine_->Dump(), before);
      }
    }
  }
  EXPECT_GE(failures, 6);
}

// ZFS gives the disk that is left of a top-level mirror another GUID.
TEST_F(GrowingPool, OfASingleDiskTheSecondSideIsTakenBack) {
  spec_.pools.push_back({"solo", "single", {fresh_[0]}, {}, "zfs.pools[1]", {}});
  TestMachine::Must(driver_->Prepare(machine_->Input(spec_), "solo"));
  TestMachine::Must(driver_->Apply());
  TestMachine::Must(driver_->Commit());
  const auto layout = [&] {
    ObserveRequest request;
    request.pools = true;
    return ToText(machine_->host().Observe(request)->pools["solo"].layout);
  };
  const std::string before = layout();
  spec_.pools[1].raid_level = "mirror";
  spec_.pools[1].disks.push_back(fresh_[1]);
  Prepare();
  TestMachine::Must(driver_->Apply());
  ASSERT_NE(layout(), before);
  TestMachine::Must(driver_->Undo(/*repeat=*/true));
  EXPECT_EQ(layout(), before);
}

// `zpool set comment=` leaves an empty one, which is not the "-" of none.
TEST_F(GrowingPool, APropertyThatWasNeverSetIsTakenBack) {
  pool().properties["comment"] = "ours";
  Prepare();
  TestMachine::Must(driver_->Apply());
  TestMachine::Must(driver_->Undo(/*repeat=*/true));
  const std::string left = Pool().properties["comment"].value;
  EXPECT_TRUE(left.empty() || left == "-") << left;
}

TEST_F(GrowingPool, ASpareIsTakenBackThoughItWasCutOff) {
  pool().vdevs = {{VdevClass::kSpare, "", {fresh_[0]}}};
  const std::string before = machine_->Dump();
  Prepare();
  TestMachine::Must(driver_->Apply());
  TestMachine::Must(machine_->machine().PlanFault("zfs.disk_clear", "fail"));
  EXPECT_FALSE(driver_->Undo().ok());
  EXPECT_EQ(driver_->ProbeLast()->probe, kit::Probe::kPartial);
  TestMachine::Must(driver_->Undo());
  EXPECT_EQ(machine_->Dump(), before);
}

// A point of no return says so instead of leaving a pool of which half is gone.
TEST_F(GrowingPool, ADataVdevIsNotTakenOut) {
  pool().vdevs = {{VdevClass::kData, "mirror", {fresh_[0], fresh_[1]}}};
  Prepare();
  ASSERT_EQ(driver_->plan().steps.size(), 1u);
  EXPECT_EQ(driver_->plan().steps[0].step_class, kit::StepClass::kPointOfNoReturn);
  TestMachine::Must(driver_->Apply());
  EXPECT_EQ(Pool().layout.size(), 2u);
  EXPECT_THAT(Message(driver_->Undo()), HasSubstr("takes no data vdev out of a pool"));
}

TEST_F(GrowingPool, AReplacementIsCalledOffWhileItsCopyGoesOn) {
  machine_->Edit("zfs.pool", "tank", [](nlohmann::json& tank) { tank["slow"] = true; });
  machine_->Edit("zfs.pool", "tank",
                 [](nlohmann::json& tank) { tank["replacing"] = nlohmann::json::object(); });
  const std::string before = machine_->Dump();
  pool().disks = {kDiskA, fresh_[0]};
  Prepare();
  ASSERT_EQ(driver_->plan().steps.size(), 1u);
  EXPECT_EQ(driver_->plan().steps[0].step_class, kit::StepClass::kLossy);
  TestMachine::Must(driver_->Apply(1, /*repeat=*/true));
  EXPECT_EQ(Pool().members.at("/dev/disk-S1Cn1").replaces, "/dev/nvme1n1");
  TestMachine::Must(driver_->Undo(/*repeat=*/true));
  EXPECT_EQ(machine_->Dump(), before);
}

// `zpool detach` takes a side of the mirror as well as a copy that goes on, and the former disk has left by
// then.
TEST_F(GrowingPool, AReplacementWhoseCopyEndsAsItIsCalledOffKeepsBothSides) {
  machine_->Edit("zfs.pool", "tank", [](nlohmann::json& tank) { tank["slow"] = tank["copied"] = true; });
  pool().disks = {kDiskA, fresh_[0]};
  Prepare();
  TestMachine::Must(driver_->Apply());
  const absl::Status undone = driver_->Undo();
  EXPECT_THAT(Message(undone), HasSubstr("its copy is complete"));
  EXPECT_THAT(Message(undone), HasSubstr(fmt::format("zpool replace tank {} /dev/nvme1n1", fresh_[0])));
  EXPECT_EQ(Pool().layout, (std::vector<VdevGroup>{{"mirror", {"/dev/nvme0n1", "/dev/disk-S1Cn1"}}}));
}

TEST_F(GrowingPool, AReplacementThatIsCompleteStaysAndSaysHowToGoBack) {
  pool().disks = {kDiskA, fresh_[0]};
  Prepare();
  TestMachine::Must(driver_->Apply());
  EXPECT_THAT(Message(driver_->Undo()),
              HasSubstr(fmt::format("zpool replace tank {} /dev/nvme1n1", fresh_[0])));
  EXPECT_EQ(Pool().layout, (std::vector<VdevGroup>{{"mirror", {"/dev/nvme0n1", "/dev/disk-S1Cn1"}}}));
}

// A rollback of the committed run says so instead of failing at it.
TEST_F(GrowingPool, WhatStaysIsSaidWhenACommittedRunIsLookedBackAt) {
  pool().disks = {kDiskA, fresh_[0]};
  pool().vdevs = {{VdevClass::kData, "mirror", {fresh_[1], fresh_[2]}}, {VdevClass::kLog, "", {fresh_[3]}}};
  Prepare();
  TestMachine::Must(driver_->Apply());
  TestMachine::Must(driver_->Commit());
  std::map<std::string, kit::Retrospect::Kind> kinds;
  for (const auto& step : driver_->plan().steps) {
    const auto back =
        machine_->domain().LookBack(step, {.run_id = kSecondRun, .captured = {}, .secrets = nullptr});
    TestMachine::Must(back.status());
    kinds[step.action + " " + step.id] = back->kind;
  }
  using Kind = kit::Retrospect::Kind;
  EXPECT_EQ(kinds["replace disk vdev:tank/nvme-QEMU_NVMe_Ctrl_S1C"], Kind::kStays);
  EXPECT_EQ(kinds["add vdev vdev:tank/nvme-QEMU_NVMe_Ctrl_S1D"], Kind::kStays);
  EXPECT_EQ(kinds["add vdev vdev:tank/nvme-QEMU_NVMe_Ctrl_S1F"], Kind::kReversible);
}

TEST_F(GrowingPool, WithoutOneOfItsDisksItGoesOnAndIsMended) {
  TestMachine::Must(PullDisk(machine_->machine(), kDiskB));
  EXPECT_EQ(Pool().health, "DEGRADED");
  pool().properties = {{"comment", "ours"}};
  spec_.datasets.push_back({.name = "tank/more"});
  Prepare();
  EXPECT_EQ(driver_->plan().steps.size(), 2u);
  const auto& notes = driver_->plan().notes;
  EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [](const kit::Note& note) {
    return note.warning && note.text.find("is not present on this node any more") != std::string::npos;
  }));
  TestMachine::Must(driver_->Apply());
  TestMachine::Must(driver_->Commit());
  pool().disks = {kDiskA, fresh_[0]};
  TestMachine::Must(driver_->Prepare(machine_->Input(spec_), "another run"));
  ASSERT_EQ(driver_->plan().steps.size(), 1u);
  TestMachine::Must(driver_->Apply(1, /*repeat=*/true));
  EXPECT_EQ(Pool().layout, (std::vector<VdevGroup>{{"mirror", {"/dev/nvme0n1", "/dev/disk-S1Cn1"}}}));
  EXPECT_EQ(Pool().health, "ONLINE");
}

TEST_F(GrowingPool, ADiskThatSomebodyUsedMeanwhileIsLeftAlone) {
  pool().vdevs = {{VdevClass::kCache, "", {fresh_[0]}}};
  Prepare();
  TestMachine::Must(PutOnDisk(machine_->machine(), fresh_[0], {"", "ext4 file system (wipefs)"}));
  EXPECT_FALSE(driver_->Apply().ok());
  EXPECT_EQ(Pool().layout.size(), 1u);
}

TEST_F(GrowingPool, IsImportedAndExportedAgain) {
  TestMachine::Must(machine_->host().Change(ExportPool{"tank"}, nullptr));
  const std::string before = machine_->Dump();
  for (const bool undo : {true, false}) {
    Prepare();
    ASSERT_EQ(driver_->plan().steps.size(), 1u);
    TestMachine::Must(driver_->Apply(1, /*repeat=*/true));
    EXPECT_EQ(machine_->Dataset("tank/data").mounted_at, "/tank/data");
    if (!undo) break;
    TestMachine::Must(driver_->Undo(/*repeat=*/true));
    EXPECT_EQ(machine_->Dump(), before);
  }
  TestMachine::Must(driver_->Commit());
  TestMachine::Must(driver_->Prepare(machine_->Input(spec_), "another run"));
  EXPECT_TRUE(driver_->plan().steps.empty());
}

TEST_F(GrowingPool, GoesWithItsDatasetsAndComesBackWithThem) {
  const std::string before = machine_->Dump();
  pool().presence = spec_.datasets[0].presence = Presence::kAbsent;
  for (const size_t steps : {1, 2}) {
    Prepare();
    ASSERT_EQ(driver_->plan().steps.size(), 2u);
    EXPECT_EQ(driver_->plan().steps[0].removes[0], "pool:tank") << "the word of --allow that people are told";
    TestMachine::Must(driver_->Apply(steps, /*repeat=*/true));
    EXPECT_EQ(Pool().guid == 0, steps == 2);
    TestMachine::Must(driver_->Undo(/*repeat=*/true));
    EXPECT_EQ(machine_->Dump(), before);
    // The driver's ledger forgets at the step; the kit does so at commit only.
    driver_->ledger()["dataset:tank/data"] = {.key = "dataset:tank/data",
                                              .identity = std::to_string(machine_->Dataset("tank/data").guid),
                                              .created = true};
    driver_->ledger()["pool:tank"] = {
        .key = "pool:tank", .identity = std::to_string(Pool().guid), .created = true};
  }
  Prepare();
  TestMachine::Must(driver_->Apply());
  TestMachine::Must(driver_->Commit());
  EXPECT_EQ(Pool().guid, 0u);
  TestMachine::Must(driver_->Prepare(machine_->Input(spec_), "another run"));
  EXPECT_TRUE(driver_->plan().steps.empty());
}

TEST_F(GrowingPool, StaysWhereSomebodyMadeADatasetMeanwhile) {
  pool().presence = spec_.datasets[0].presence = Presence::kAbsent;
  Prepare();
  TestMachine::Must(machine_->host().Change(CreateDataset{"tank/theirs", 0, {}}, nullptr));
  EXPECT_THAT(Message(driver_->Apply()), HasSubstr("it holds tank/theirs"));
  TestMachine::Must(driver_->Undo());
  EXPECT_EQ(machine_->Dataset("tank/data").mounted_at, "/tank/data");
}

std::string Worn(int percent) {
  return fmt::format(R"({{"smart_status": {{"passed": true}},
      "nvme_smart_health_information_log": {{"percentage_used": {}}}}})",
                     percent);
}

// The health is read when it is planned, of the very disks that the pool would get.
TEST_F(GrowingPool, AWornDiskIsTakenOnlyByName) {
  pool().disks.push_back(fresh_[0]);
  TestMachine::Must(SetSmart(machine_->machine(), fresh_[0], Worn(93)));
  TestMachine::Must(SetSmart(machine_->machine(), fresh_[1], Worn(99)));
  const absl::Status refused = driver_->Prepare(machine_->Input(spec_), kSecondRun);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.message()), HasSubstr("wear 93 %, allowed below 90 %"));
  spec_.allow_unhealthy = {fresh_[0]};
  Prepare();
  TestMachine::Must(driver_->Apply());
  TestMachine::Must(driver_->Commit());
  // What is there stays there: nothing is left to do, and no word is needed for that.
  spec_.allow_unhealthy = {};
  TestMachine::Must(driver_->Prepare(machine_->Input(spec_), "another run"));
  EXPECT_TRUE(driver_->plan().steps.empty());
}

TEST_F(GrowingPool, AnOverviewSaysHowPoolAndDisksAre) {
  TestMachine::Must(SetSmart(machine_->machine(), fresh_[3], Worn(93)));
  TestMachine::Must(SetPoolHealth(machine_->machine(), "tank", "DEGRADED", 2));
  const auto conditions = machine_->domain().Conditions();
  ASSERT_TRUE(conditions.ok()) << conditions.status();
  std::map<std::string, kit::Condition> by_object;
  for (const auto& condition : *conditions) by_object[condition.object] = condition;
  EXPECT_EQ(by_object.size(), 8u) << "the pool and seven disks";
  using Severity = kit::Condition::Severity;
  EXPECT_EQ(by_object["tank"].severity, Severity::kCritical);
  EXPECT_THAT(by_object["tank"].text, HasSubstr("2 data errors"));
  EXPECT_EQ(by_object["nvme-QEMU_NVMe_Ctrl_S1F"].severity, Severity::kCritical);
  EXPECT_THAT(by_object["nvme-QEMU_NVMe_Ctrl_S1F"].text, HasSubstr("wear 93 %"));
  EXPECT_EQ(by_object["nvme-QEMU_NVMe_Ctrl_S1A"].severity, Severity::kOk);
}

}  // namespace
}  // namespace phoenix::zfs
