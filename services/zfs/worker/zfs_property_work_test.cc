// Properties put back over the simulated machine, in an order that real ZFS takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/worker/zfs_domain.h"
#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {
namespace {

using ::testing::HasSubstr;
using testing::StepDriver;

class PropertyWorkTest : public ::testing::Test {
 protected:
  PropertyWorkTest() {
    Change(CreatePool{"tank", {{"mirror", {kDiskA, kDiskB}}}, {}, {}});
    Change(CreateDataset{"tank/a", 0, {{"reservation", "10G"}}});
    Change(CreateDataset{"tank/a/b", 0, {}});
  }
  void Change(const ZfsChange& change) { TestMachine::Must(machine_.host().Change(change, nullptr)); }
  void Prepare(const PropertyMap& properties) {
    const ZfsSpec spec{.datasets = {{.name = "tank/a", .properties = properties}}, .partial = true};
    TestMachine::Must(driver_.Prepare(machine_.Input(spec), kRun));
  }

  TestMachine machine_;
  StepDriver driver_{machine_.domain()};
};

// reservation=10G is refused as long as quota=5G is there, and the quota goes by another command.
TEST_F(PropertyWorkTest, WhatIsRefusedAtFirstIsPutBackAfterTheOthers) {
  const std::string before = machine_.Dump();
  Prepare({{"quota", "5G"}, {"reservation", "1G"}});
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(machine_.machine().PlanFault("zfs.set:tank/a", "fail"));
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

// With canmount=off ZFS mounts what lies below again; mounted over it, tank/a would hide it.
TEST_F(PropertyWorkTest, WhatIsMountedBelowIsNotHidden) {
  Prepare({{"canmount", "off"}});
  TestMachine::Must(driver_.Apply());
  ASSERT_EQ(machine_.Dataset("tank/a/b").mounted_at, "/tank/a/b");
  machine_.Edit("zfs.dataset", "tank/a/b", [](nlohmann::json& dataset) { dataset["busy"] = true; });
  EXPECT_THAT(Message(driver_.Undo()), HasSubstr("busy"));
  EXPECT_EQ(machine_.Dataset("tank/a").mounted_at, "");
  machine_.Edit("zfs.dataset", "tank/a/b", [](nlohmann::json& dataset) { dataset.erase("busy"); });
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dataset("tank/a/b").mounted_at, "/tank/a/b");
  EXPECT_EQ(machine_.Dataset("tank/a").mounted_at, "/tank/a");
  EXPECT_EQ(machine_.Dataset("tank/a").LocalValue("canmount"), "");
}

}  // namespace
}  // namespace phoenix::zfs
