// The ARC's limit over the simulated machine: in force now and after a reboot, and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {
namespace {

using ::testing::HasSubstr;
using testing::StepDriver;

constexpr uint64_t kMiB = uint64_t{1} << 20, kGiB = uint64_t{1} << 30;

class ArcWorkTest : public ::testing::Test {
 protected:
  ArcWorkTest() { Begin(); }
  void Begin() {
    driver_.reset();
    machine_ = std::make_unique<TestMachine>();
    driver_ = std::make_unique<StepDriver>(machine_->domain());
    spec_ = {};
    spec_.partial = true;
    spec_.arc_max_bytes = kGiB;  // the minimum in force is 2 GiB
  }
  void PutRootOnZfs() {
    TestMachine::Must(machine_->machine().Change(
        [](kit::World& world) { return world.Put("zfs.initramfs", "all", {{"file", nullptr}}); }));
  }
  void Change(const ZfsChange& change) { TestMachine::Must(machine_->host().Change(change, nullptr)); }
  void Prepare(const std::string& run = kRun) {
    TestMachine::Must(driver_->Prepare(machine_->Input(spec_), run));
  }
  size_t StepsOfAnotherRun() {
    Prepare("another run");
    return driver_->plan().steps.size();
  }
  ArcState Arc() {
    ObserveRequest request;
    request.arc = true;
    return machine_->host().Observe(request)->arc;
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<StepDriver> driver_;
  ZfsSpec spec_;
};

// ZFS takes a limit only above the minimum in force, and says nothing where it does not.
TEST_F(ArcWorkTest, ALimitBelowTheMinimumIsInForceAndComesBack) {
  const std::string before = machine_->Dump();
  for (const bool undo : {true, false}) {
    Prepare();
    ASSERT_EQ(driver_->plan().steps.size(), 1u);
    TestMachine::Must(driver_->Apply(1, /*repeat=*/true));
    EXPECT_EQ(Arc().in_force, kGiB);
    EXPECT_EQ(Arc().min_in_force, 512 * kMiB);
    if (!undo) break;
    TestMachine::Must(driver_->Undo(/*repeat=*/true));
    EXPECT_EQ(machine_->Dump(), before);
  }
  EXPECT_EQ(StepsOfAnotherRun(), 0u);
}

TEST_F(ArcWorkTest, ALimitAboveTheMinimumLeavesThatAlone) {
  spec_.arc_max_bytes = 30 * kGiB;
  Prepare();
  TestMachine::Must(driver_->Apply());
  EXPECT_EQ(Arc().in_force, 30 * kGiB);
  EXPECT_EQ(Arc().min_live, 0u);
  EXPECT_EQ(Arc().min_in_force, 2 * kGiB);
}

// Somebody wrote it, and ZFS ignored it: the parameter says what is wanted, and nothing is limited.
TEST_F(ArcWorkTest, AParameterThatZfsIgnoredIsNoLimit) {
  Change(PutFile{std::string(kArcFile), FileState{ArcFileContent(kGiB), 0, 0, 0644}});
  Change(SetArcLive{kGiB});
  ASSERT_EQ(Arc().live, kGiB);
  ASSERT_NE(Arc().in_force, kGiB);
  const std::string before = machine_->Dump();
  Prepare();
  ASSERT_EQ(driver_->plan().steps.size(), 1u);
  TestMachine::Must(driver_->Apply());
  EXPECT_EQ(Arc().in_force, kGiB);
  TestMachine::Must(driver_->Undo());
  EXPECT_EQ(machine_->Dump(), before);
}

// What others set of their own comes back as they set it.
TEST_F(ArcWorkTest, LimitAndMinimumOfOthersComeBack) {
  Change(SetArcLive{8 * kGiB});
  Change(SetArcLive{4 * kGiB, /*minimum=*/true});
  const std::string before = machine_->Dump();
  Prepare();
  TestMachine::Must(driver_->Apply());
  EXPECT_EQ(Arc().in_force, kGiB);
  TestMachine::Must(driver_->Undo());
  EXPECT_EQ(machine_->Dump(), before);
}

// A minimum that was not lowered leaves the limit without effect: that is not done.
TEST_F(ArcWorkTest, ALimitThatIsNotInForceIsNotDone) {
  const std::string before = machine_->Dump();
  Prepare();
  TestMachine::Must(machine_->machine().PlanFault("zfs.arc:minimum", "nothing"));
  EXPECT_FALSE(driver_->Apply().ok());
  EXPECT_THAT(driver_->ProbeLast()->found, HasSubstr("zfs_arc_max is 1073741824, and the ARC goes by"));
  TestMachine::Must(driver_->Undo());
  EXPECT_EQ(machine_->Dump(), before);
}

TEST_F(ArcWorkTest, WithRootOnZfsTheInitramfsHasTheLimitToo) {
  PutRootOnZfs();
  const std::string before = machine_->Dump();
  for (const bool undo : {true, false}) {
    Prepare();
    ASSERT_EQ(driver_->plan().steps.size(), 1u);
    EXPECT_EQ(driver_->plan().steps[0].commands.back(), "update-initramfs -u -k all");
    TestMachine::Must(driver_->Apply(1, /*repeat=*/true));
    EXPECT_FALSE(Arc().initramfs_is_older);
    if (!undo) break;
    TestMachine::Must(driver_->Undo(/*repeat=*/true));
    EXPECT_EQ(machine_->Dump(), before);
  }
  EXPECT_EQ(StepsOfAnotherRun(), 0u);
  // Somebody put an older one back.
  machine_->Edit("zfs.initramfs", "all", [](nlohmann::json& initramfs) { initramfs["file"] = nullptr; });
  ASSERT_EQ(StepsOfAnotherRun(), 1u);
  TestMachine::Must(driver_->Apply(1, /*repeat=*/true));
  EXPECT_FALSE(Arc().initramfs_is_older);
  TestMachine::Must(driver_->Undo());
  EXPECT_FALSE(Arc().initramfs_is_older) << "a newer one takes nothing back";
}

// The newest kernel's image is in place when a hook fails, or the image of an older kernel.
TEST_F(ArcWorkTest, AnInitramfsThatFailedHalfWayIsNotDone) {
  PutRootOnZfs();
  const std::string before = machine_->Dump();
  Prepare();
  TestMachine::Must(machine_->machine().PlanFault("zfs.initramfs", "lie"));
  EXPECT_FALSE(driver_->Apply().ok());
  EXPECT_TRUE(Arc().initramfs_is_older);
  TestMachine::Must(driver_->Undo());
  EXPECT_EQ(machine_->Dump(), before);
}

// An initramfs that still has the limit would bring it back at the next boot.
TEST_F(ArcWorkTest, AnUndoThatIsCutOffBeforeTheInitramfsIsNotComplete) {
  PutRootOnZfs();
  const std::string before = machine_->Dump();
  Prepare();
  TestMachine::Must(driver_->Apply());
  TestMachine::Must(machine_->machine().PlanFault("zfs.initramfs", "fail"));
  EXPECT_FALSE(driver_->Undo().ok());
  EXPECT_EQ(driver_->ProbeLast()->probe, kit::Probe::kPartial);
  TestMachine::Must(driver_->Undo());
  EXPECT_EQ(machine_->Dump(), before);
}

TEST_F(ArcWorkTest, UndoneAfterEveryFaultItIsAsBefore) {
  int failures = 0;
  for (const char* operation : {"zfs.file", "zfs.arc:minimum", "zfs.arc:live", "zfs.initramfs"}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      SCOPED_TRACE(std::string(operation) + " " + effect);
      Begin();
      PutRootOnZfs();
      const std::string before = machine_->Dump();
      Prepare();
      TestMachine::Must(machine_->machine().PlanFault(operation, effect));
      if (!driver_->Apply().ok()) ++failures;
      TestMachine::Must(driver_->Undo());
      ASSERT_EQ(machine_->Dump(), before);
    }
  }
  EXPECT_GE(failures, 8);
}

}  // namespace
}  // namespace phoenix::zfs
