// Volumes over the simulated machine: nobody is left writing into what went.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/worker/zfs_domain.h"
#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {
namespace {

using ::testing::HasSubstr;
using testing::StepDriver;

constexpr char kLater[] = "00000000-0000-4000-8000-000000000002";
constexpr char kVolume[] = "tank/volume";

class VolumeWorkTest : public ::testing::Test {
 protected:
  VolumeWorkTest() {
    TestMachine::Must(
        machine_.host().Change(CreatePool{"tank", {{"mirror", {kDiskA, kDiskB}}}, {}, {}}, nullptr));
    Prepare({.name = kVolume, .volume_size_bytes = 1 << 20}, kRun);
    TestMachine::Must(driver_.Apply());
  }
  void Prepare(const DatasetSpec& wanted, const char* run) {
    TestMachine::Must(driver_.Prepare(machine_.Input({.datasets = {wanted}, .partial = true}), run));
  }
  void Set(const char* field, const nlohmann::json& value) {
    machine_.Edit("zfs.dataset", kVolume, [&](nlohmann::json& volume) { volume[field] = value; });
  }

  TestMachine machine_;
  StepDriver driver_{machine_.domain()};
};

TEST_F(VolumeWorkTest, GoesIntoTheTrashAndComesBack) {
  TestMachine::Must(driver_.Commit());
  const std::string before = machine_.Dump();
  Prepare({.name = kVolume, .presence = Presence::kAbsent}, kLater);
  TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
  EXPECT_FALSE(machine_.Exists(kVolume));
  EXPECT_TRUE(machine_.Exists(AsideName(TrashOf(kVolume, kLater), kVolume)));
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

// A file system that is in use cannot be unmounted; a volume that is in use can be renamed.
TEST_F(VolumeWorkTest, InUseItNeitherGoesNorIsSetAside) {
  TestMachine::Must(driver_.Commit());
  Set("busy", true);
  Prepare({.name = kVolume, .presence = Presence::kAbsent}, kLater);
  EXPECT_THAT(Message(driver_.Apply()), HasSubstr("tank/volume is open"));
  TestMachine::Must(driver_.Undo());
  EXPECT_TRUE(machine_.Exists(kVolume));
}

TEST_F(VolumeWorkTest, UndoOfItsCreationLeavesItWhereSomebodyWritesIntoIt) {
  Set("busy", true);
  Set("written_more", 4096);
  EXPECT_THAT(Message(driver_.Undo()), HasSubstr("tank/volume is open"));
  EXPECT_TRUE(machine_.Exists(kVolume));
  Set("busy", false);
  TestMachine::Must(driver_.Undo());
  EXPECT_TRUE(machine_.Exists(AsideName(KeptOf(kVolume, kRun), kVolume)));
}

}  // namespace
}  // namespace phoenix::zfs
