// What must hold of doing and undoing the cloud-init data of VMs, whatever goes wrong in between.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/proxmox/worker/testing_world.h"

namespace phoenix::proxmox {
namespace {

using ::testing::HasSubstr;

constexpr char kVolume[] = "share:snippets/phoenix-1001-user.yaml";
constexpr char kFile[] = "/etc/pve/nodes/pve1/qemu-server/1001.conf";
constexpr char kBefore[] =
    "#a VM\ncicustom: network=old:snippets/n.yaml,user=old:snippets/u.yaml\n"
    "ide2: old:vm-1001-cloudinit,media=cdrom\nmemory: 512\n";

class VmChangeTest : public ::testing::Test, protected SimWorld {
 protected:
  VmChangeTest() {
    WriteGuest("qemu-server/1001.conf", kBefore);
    WriteGuest("qemu-server/1002.conf", "memory: 512\n");
    for (const char* folder : {"/quickOS/shared-prod-data/snippets"}) {
      machine_->Change([&](kit::World& world) { return world.WriteFile(folder, {true, {"", 0, 0, 0755}}); })
          .IgnoreError();
    }
    for (const char* vm : {"1001", "1002"})
      WriteFile(std::string("/quickOS/shared-prod-data/snippets/phoenix-") + vm + "-user.yaml",
                "#cloud-config\n");
  }

  // The storage and both VMs, which stand on it.
  static ProxmoxSpec Wanted() {
    ProxmoxSpec spec = Spec({Dir("share", "/quickOS/shared-prod-data", {"snippets"})});
    spec.vms.push_back({1001, {{"user", kVolume}}, "share", false, "vms $.vms[0]"});
    spec.vms.push_back(
        {1002, {{"user", "share:snippets/phoenix-1002-user.yaml"}}, "share", false, "vms $.vms[1]"});
    return spec;
  }
  std::string FileOf(uint32_t vmid) {
    return host_.files()
        .Read("/etc/pve/nodes/pve1/qemu-server/" + std::to_string(vmid) + ".conf")
        ->value()
        .content;
  }
};

TEST_F(VmChangeTest, OnlyItsPartIsSetAndTheSecondRunHasNothingToDo) {
  ASSERT_TRUE(Carry(Wanted()).ok()) << last_;
  EXPECT_THAT(FileOf(1001),
              HasSubstr("cicustom: network=old:snippets/n.yaml,user=" + std::string(kVolume) + "\n"));
  EXPECT_THAT(FileOf(1001), HasSubstr("#a VM\n"));
  const auto verified = domain_.Verify({.applied = plan_.steps});
  EXPECT_TRUE(verified.ok()) << verified.status();
  ASSERT_TRUE(Plan(Wanted()).ok()) << last_;
  EXPECT_EQ(plan_.steps.size(), 0u);
}

// The data are set once there is the storage that holds them, and go before it.
TEST_F(VmChangeTest, StoppedAfterAnyStepUndoBringsTheOldStateBack) {
  const std::string before = Dump();
  for (size_t count = 0; count <= 3; ++count) {
    ASSERT_TRUE(Plan(Wanted()).ok()) << last_;
    ASSERT_EQ(plan_.steps.size(), 3u);
    EXPECT_EQ(driver_->StepAt(0).id, "storage:share");
    ASSERT_TRUE((last_ = driver_->Apply(count, /*repeat=*/true)).ok()) << last_;
    if (count > 0) EXPECT_NE(Dump(), before);
    ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << count << ": " << last_;
    EXPECT_EQ(Dump(), before) << count;
    ledger().clear();
  }
}

TEST_F(VmChangeTest, AnyFaultLeadsBackToTheOldState) {
  const std::string before = Dump();
  for (const char* operation : {"qm.set:1001", "qm.set:1002"}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      ASSERT_TRUE(Plan(Wanted()).ok()) << last_;
      ASSERT_TRUE(machine_->PlanFault(operation, effect).ok());
      // The file is read, whatever the tool says: a lie that did everything is a success.
      EXPECT_EQ(driver_->Apply().ok(), std::string_view(effect) == "lie") << operation << effect;
      ASSERT_TRUE(Undo().ok()) << operation << effect << ": " << last_;
      EXPECT_EQ(Dump(), before) << operation << effect;
      ledger().clear();
      ASSERT_FALSE(HasFault(operation)) << "the fault was not met";
    }
  }
}

TEST_F(VmChangeTest, VendorAndMetaDataComeAndGoTogether) {
  for (const char* part : {"vendor", "meta"})
    WriteFile(fmt::format("/quickOS/shared-prod-data/snippets/phoenix-1001-{}.yaml", part), "x\n");
  ProxmoxSpec spec = Wanted();
  spec.vms.pop_back();
  spec.vms[0].volumes = {{"meta", "share:snippets/phoenix-1001-meta.yaml"},
                         {"vendor", "share:snippets/phoenix-1001-vendor.yaml"}};
  ASSERT_TRUE(Carry(spec).ok()) << last_;
  EXPECT_THAT(
      FileOf(1001),
      HasSubstr("cicustom: meta=share:snippets/phoenix-1001-meta.yaml,network=old:snippets/n.yaml,user=old:"
                "snippets/u.yaml,vendor=share:snippets/phoenix-1001-vendor.yaml\n"));
  const auto verified = domain_.Verify({.applied = plan_.steps});
  EXPECT_TRUE(verified.ok()) << verified.status();
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_EQ(FileOf(1001), kBefore);
}

TEST_F(VmChangeTest, ALockThatGoesInTimeIsWaitedFor) {
  ASSERT_TRUE(Plan(Wanted()).ok()) << last_;
  ASSERT_TRUE(machine_->PlanFault("qm.set:1001", "locked", 2).ok());
  EXPECT_TRUE((last_ = driver_->Apply()).ok()) << last_;
}

TEST_F(VmChangeTest, DataThatSomebodyElseSetMeanwhileStay) {
  ASSERT_TRUE(Plan(Wanted()).ok()) << last_;
  WriteFile(kFile, "cicustom: user=mine:snippets/m.yaml\n");
  EXPECT_EQ(driver_->Apply().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(FileOf(1001), HasSubstr("mine:snippets/m.yaml"));
}

TEST_F(VmChangeTest, UndoLeavesDataThatSomebodyElseSetSince) {
  ASSERT_TRUE(Carry(Wanted()).ok()) << last_;
  WriteGuest("qemu-server/1002.conf", "cicustom: user=mine:snippets/m.yaml\n");
  EXPECT_FALSE(Undo().ok());
  const auto probe = driver_->ProbeLast();
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(probe->probe, kit::Probe::kForeign);
  EXPECT_THAT(probe->found, HasSubstr("mine:snippets/m.yaml"));
  EXPECT_THAT(FileOf(1002), HasSubstr("mine:snippets/m.yaml"));
}

TEST_F(VmChangeTest, OtherPartsThatSomebodyElseSetSinceSurviveUndo) {
  ASSERT_TRUE(Carry(Wanted()).ok()) << last_;
  WriteFile(kFile, "cicustom: meta=mine:snippets/m.yaml,user=" + std::string(kVolume) + "\n");
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(FileOf(1001), "cicustom: meta=mine:snippets/m.yaml,user=old:snippets/u.yaml\n");
}

TEST_F(VmChangeTest, AVmThatIsGoneIsNamed) {
  ASSERT_TRUE(Carry(Wanted()).ok()) << last_;
  machine_
      ->Change(
          [](kit::World& world) { return world.RemoveFile("/etc/pve/nodes/pve1/qemu-server/1002.conf"); })
      .IgnoreError();
  EXPECT_THAT(Message(Undo()), HasSubstr("VM 1002 is not on this node any more"));
  EXPECT_EQ(driver_->ProbeLast()->probe, kit::Probe::kForeign);
}

TEST_F(VmChangeTest, WhatPhoenixSetGoesByNameAndComesBack) {
  ASSERT_TRUE(Carry(Wanted()).ok()) << last_;
  const std::string before = Dump();
  ProxmoxSpec spec = Wanted();
  spec.vms[0].absent = true;
  ASSERT_TRUE(Carry(spec).ok()) << last_;
  ASSERT_EQ(plan_.steps.size(), 1u);
  EXPECT_THAT(FileOf(1001), HasSubstr("cicustom: network=old:snippets/n.yaml\n"));
  EXPECT_EQ(ledger().count("vm:1001"), 0u);
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

TEST_F(VmChangeTest, AMissingSnippetFailsTheRun) {
  ASSERT_TRUE(Carry(Wanted()).ok()) << last_;
  machine_
      ->Change([](kit::World& world) {
        return world.RemoveFile("/quickOS/shared-prod-data/snippets/phoenix-1002-user.yaml");
      })
      .IgnoreError();
  EXPECT_THAT(Message(domain_.Verify({.applied = plan_.steps}).status()), HasSubstr("it could not start"));
}

// A run of the version before, which set one part alone, is undone and rolled back all the same.
TEST_F(VmChangeTest, WhatAnOlderVersionJournaledIsRead) {
  ASSERT_TRUE(Carry(Wanted()).ok()) << last_;
  kit::Step step = StepOf("VM 1001");
  step.payload = fmt::format(
      R"({{"vmid": 1001, "part": "user", "before": "old:snippets/u.yaml", "after": "{}", "storage": "share", "needs_storage": true}})",
      kVolume);
  const kit::StepContext context{.run_id = "run-1", .captured = R"({"volume": "old:snippets/u.yaml"})"};
  const auto probe = domain_.ProbeStep(step, context);
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(probe->probe, kit::Probe::kDone);
  ASSERT_TRUE(domain_.Undo(step, context).ok());
  EXPECT_EQ(FileOf(1001), kBefore);
}

TEST_F(VmChangeTest, RemainingCommandsAreWhatAPersonRuns) {
  ASSERT_TRUE(Carry(Wanted()).ok()) << last_;
  const kit::Step step = StepOf("VM 1001");
  const auto commands = domain_.RemainingCommands(
      step, {.run_id = "run-1", .captured = R"({"volumes": {"user": "old:snippets/u.yaml"}})"});
  EXPECT_THAT(commands, ::testing::ElementsAre(
                            "qm set 1001 --cicustom network=old:snippets/n.yaml,user=old:snippets/u.yaml"));
}

TEST_F(VmChangeTest, WithoutQuorumAPlanWithStepsIsRefused) {
  JoinCluster("lab", /*quorate=*/false);
  EXPECT_FALSE(Plan(Wanted()).ok());
  ProxmoxSpec only_vms;
  only_vms.vms.push_back(Wanted().vms[1]);
  EXPECT_THAT(Message(Plan(only_vms)), HasSubstr("no quorum"));
}

}  // namespace
}  // namespace phoenix::proxmox
