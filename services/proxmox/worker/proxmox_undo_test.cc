// What must hold of doing and undoing, whatever goes wrong in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/proxmox/worker/testing_world.h"

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kOlder[] =
    "zfspool: old\n\tpool quickOS/vm-disks\n\tcontent rootdir,images\n\n"
    "dir: bk\n\tpath /fastData/shared-backups\n\tis_mountpoint 1\n\n"
    "zfspool: far\n\tpool fastData/shared-bulk-data\n\tcontent images\n\tnodes pve9\n\n";

// Every kind of step at once: additions, an extension, changes.
ProxmoxSpec Mixed() {
  auto old = Zfs("old", "quickOS/vm-disks", {"images"});
  old.options["sparse"] = "1";
  return Spec({Zfs("new", "quickOS/lxc-disks", {"rootdir"}), old,
               Dir("bk", "/fastData/shared-backups", {"iso", "backup"}),
               Dir("share", "/quickOS/shared-prod-data", {"vztmpl", "snippets"}),
               Zfs("far", "fastData/shared-bulk-data", {"images"}), Nfs("media", "10.0.0.5", "/srv/media")});
}

class ProxmoxUndoTest : public ::testing::Test, protected SimWorld {
 protected:
  ProxmoxUndoTest() { WriteConfig(kOlder); }
};

TEST_F(ProxmoxUndoTest, EveryStepDoneTwiceIsHarmless) {
  ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
  ASSERT_TRUE((last_ = driver_->Apply(static_cast<size_t>(-1), /*repeat=*/true)).ok()) << last_;
  ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
  EXPECT_EQ(plan_.steps.size(), 0u);
}

TEST_F(ProxmoxUndoTest, StoppedAfterAnyStepUndoBringsTheOldStateBack) {
  const std::string before = Dump();
  ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
  const size_t steps = plan_.steps.size();
  ASSERT_EQ(steps, 6u);
  for (size_t count = 0; count <= steps; ++count) {
    ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
    ASSERT_TRUE((last_ = driver_->Apply(count)).ok()) << last_;
    if (count > 0) EXPECT_NE(Dump(), before);
    ASSERT_TRUE(Undo().ok()) << count << ": " << last_;
    EXPECT_EQ(Dump(), before) << count;
    ledger().clear();
  }
}

TEST_F(ProxmoxUndoTest, RepeatedUndoIsHarmless) {
  const std::string before = Dump();
  ASSERT_TRUE(Carry(Mixed()).ok()) << last_;
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

TEST_F(ProxmoxUndoTest, AnyFaultOfAnyStepLeadsBackToTheOldState) {
  const std::string before = Dump();
  ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
  const kit::Plan plan = plan_;
  int failures = 0;
  for (const kit::Step& step : plan.steps) {
    const bool adds = step.action == "add storage";
    const std::string operation = (adds ? "proxmox.add:" : "proxmox.set:") + step.resource;
    for (const char* effect : {"fail", "lie", "nothing", "folders", "partial"}) {
      ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
      ASSERT_TRUE(machine_->PlanFault(operation, effect).ok());
      const bool failed = !driver_->Apply().ok();
      // The kit probes whatever the tool says: a lie that did everything is a success.
      EXPECT_TRUE(failed || std::string_view(effect) == "lie" || std::string_view(effect) == "partial" ||
                  !adds)
          << operation << effect;
      failures += failed ? 1 : 0;
      ASSERT_TRUE(Undo().ok()) << operation << effect << ": " << last_;
      EXPECT_EQ(Dump(), before) << operation << effect;
      ledger().clear();
      ASSERT_FALSE(HasFault(operation)) << "the fault was not met";
    }
  }
  EXPECT_GE(failures, 14);
}

TEST_F(ProxmoxUndoTest, UndoingARemovalBringsTheWholeEntryBack) {
  auto backups = Dir("backups", "/quickOS/shared-prod-data", {"backup", "iso"});
  backups.options["prune-backups"] = "keep-last=3";
  ASSERT_TRUE(Carry(Spec({backups})).ok()) << last_;
  const std::string before = Dump();
  auto gone = backups;
  gone.absent = true;
  ASSERT_TRUE(Carry(Spec({gone})).ok()) << last_;
  EXPECT_EQ(host_.ReadStorages()->entries.count("backups"), 0u);
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

// Proxmox VE tries to reach what an entry leads to when it adds that, and does not keep what it cannot reach.
TEST_F(ProxmoxUndoTest, ARemovedEntryComesBackAlsoWhereItsDirectoryIsNotMounted) {
  const auto backups = Dir("backups", "/quickOS/shared-prod-data", {"backup", "iso"});
  ASSERT_TRUE(Carry(Spec({backups})).ok()) << last_;
  const StorageEntry before = host_.ReadStorages()->entries.at("backups");
  auto gone = backups;
  gone.absent = true;
  ASSERT_TRUE(Carry(Spec({gone})).ok()) << last_;
  Unmount("/quickOS/shared-prod-data");
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_FALSE(before.disabled);
  EXPECT_FALSE(host_.ReadStorages()->entries.at("backups").disabled);
  EXPECT_EQ(host_.ReadStorages()->entries.at("backups").options, before.options);
}

// It was cut off between the two: the next one goes on.
TEST_F(ProxmoxUndoTest, AnEntryThatWasAddedBackButNotSwitchedOnIsNotDone) {
  const auto backups = Dir("backups", "/quickOS/shared-prod-data", {"backup", "iso"});
  ASSERT_TRUE(Carry(Spec({backups})).ok()) << last_;
  const std::string before = Dump();
  auto gone = backups;
  gone.absent = true;
  ASSERT_TRUE(Carry(Spec({gone})).ok()) << last_;
  ASSERT_TRUE(machine_->PlanFault("proxmox.set:backups", "fail").ok());
  EXPECT_FALSE(Undo().ok());
  EXPECT_TRUE(host_.ReadStorages()->entries.at("backups").disabled);
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

TEST_F(ProxmoxUndoTest, FoldersThatTheEntryBroughtGoAndFoldersWithFilesStay) {
  ASSERT_TRUE(Carry(Spec({Dir("share", "/quickOS/shared-prod-data", {"vztmpl", "iso", "backup"})})).ok())
      << last_;
  ASSERT_TRUE(*host_.files().ReadDirectory("/quickOS/shared-prod-data/template/iso"));
  WriteFile("/quickOS/shared-prod-data/dump/vzdump-lxc-101.tar.zst", "a backup");
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_FALSE(*host_.files().ReadDirectory("/quickOS/shared-prod-data/template"));
  EXPECT_TRUE(*host_.files().Read("/quickOS/shared-prod-data/dump/vzdump-lxc-101.tar.zst"));
}

TEST_F(ProxmoxUndoTest, FoldersThatWereThereBeforeStay) {
  WriteFile("/quickOS/shared-prod-data/dump", "");
  machine_
      ->Change([](kit::World& world) {
        return world.WriteFile("/quickOS/shared-prod-data/dump", {true, {"", 0, 0, 0750}});
      })
      .IgnoreError();
  const std::string before = Dump();
  ASSERT_TRUE(Carry(Spec({Dir("share", "/quickOS/shared-prod-data", {"backup", "iso"})})).ok()) << last_;
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

TEST_F(ProxmoxUndoTest, AnEntryThatSomebodyChangedSinceIsNotTakenAway) {
  ASSERT_TRUE(Carry(Spec({Zfs("new", "quickOS/lxc-disks", {"rootdir"})})).ok()) << last_;
  auto config = *host_.ReadStorages();
  ASSERT_TRUE(host_.Set({"new", Words{"images"}, std::nullopt, {}, {}, config.digest}, nullptr).ok());
  EXPECT_EQ(Undo().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(last_), HasSubstr("'new' was changed by somebody else"));
  EXPECT_EQ(host_.ReadStorages()->entries.count("new"), 1u);
}

TEST_F(ProxmoxUndoTest, AnEntryThatAGuestUsesSinceIsNotTakenAway) {
  ASSERT_TRUE(Carry(Spec({Zfs("new", "quickOS/lxc-disks", {"rootdir"})})).ok()) << last_;
  WriteGuest("lxc/101.conf", "rootfs: new:subvol-101-disk-0,size=8G\n");
  EXPECT_FALSE(Undo().ok());
  EXPECT_THAT(Message(last_), HasSubstr("CT 101 on pve1"));
  EXPECT_EQ(host_.ReadStorages()->entries.count("new"), 1u);
}

TEST_F(ProxmoxUndoTest, AChangeThatSomebodyMadeOverOursIsNotTakenBack) {
  ASSERT_TRUE(Carry(Spec({Zfs("old", "quickOS/vm-disks", {"images"})})).ok()) << last_;
  auto config = *host_.ReadStorages();
  ASSERT_TRUE(host_.Set({"old", Words{"rootdir"}, std::nullopt, {}, {}, config.digest}, nullptr).ok());
  EXPECT_FALSE(Undo().ok());
  EXPECT_THAT(host_.ReadStorages()->entries.at("old").content, ElementsAre("rootdir"));
}

TEST_F(ProxmoxUndoTest, AChangeOfOtherFieldsByOthersSurvivesOurUndo) {
  ASSERT_TRUE(Carry(Spec({Zfs("old", "quickOS/vm-disks", {"images"})})).ok()) << last_;
  auto config = *host_.ReadStorages();
  ASSERT_TRUE(
      host_.Set({"old", std::nullopt, std::nullopt, {{"blocksize", "16k"}}, {}, config.digest}, nullptr)
          .ok());
  ASSERT_TRUE(Undo().ok()) << last_;
  const auto entry = host_.ReadStorages()->entries.at("old");
  EXPECT_THAT(entry.content, ElementsAre("images", "rootdir"));
  EXPECT_EQ(entry.options.at("blocksize"), "16k");
}

TEST_F(ProxmoxUndoTest, AnEntryThatAppearedBetweenPrepareAndDoStopsTheRun) {
  ASSERT_TRUE(Plan(Spec({Zfs("new", "quickOS/lxc-disks", {"rootdir"})})).ok()) << last_;
  ASSERT_TRUE(
      host_.Add({"new", "zfspool", Words{"rootdir"}, {}, {{"pool", "quickOS/lxc-disks"}}, false}, nullptr)
          .ok());
  EXPECT_EQ((last_ = driver_->Apply()).code(), absl::StatusCode::kAborted) << last_;
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(host_.ReadStorages()->entries.count("new"), 1u);
}

TEST_F(ProxmoxUndoTest, ADifferentEntryOfOurIdThatAppearedIsLeftAlone) {
  ASSERT_TRUE(Plan(Spec({Zfs("new", "quickOS/lxc-disks", {"rootdir"})})).ok()) << last_;
  ASSERT_TRUE(
      host_
          .Add({"new", "zfspool", Words{"images"}, {"pve9"}, {{"pool", "quickOS/lxc-disks"}}, false}, nullptr)
          .ok());
  EXPECT_EQ((last_ = driver_->Apply()).code(), absl::StatusCode::kAborted) << last_;
  EXPECT_THAT(Message(last_), HasSubstr("another one"));
  EXPECT_THAT(host_.ReadStorages()->entries.at("new").nodes, ElementsAre("pve9"));
}

TEST_F(ProxmoxUndoTest, AMountThatTheEntryBroughtGoesWithIt) {
  const std::string before = Dump();
  ASSERT_TRUE(Carry(Spec({Nfs("media", "10.0.0.5", "/srv/media")})).ok()) << last_;
  EXPECT_TRUE(*host_.IsMounted("/mnt/pve/media"));
  EXPECT_EQ(plan_.steps[0].step_class, kit::StepClass::kLossy);
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

TEST_F(ProxmoxUndoTest, ALockThatSomebodyHoldsForAWhileIsWaitedFor) {
  const std::string before = Dump();
  ASSERT_TRUE(machine_->PlanFault("proxmox.add:new", "locked", 2).ok());
  ASSERT_TRUE(Carry(Spec({Zfs("new", "quickOS/lxc-disks", {"rootdir"})})).ok()) << last_;
  ASSERT_TRUE(Undo().ok()) << last_;
  ASSERT_TRUE(machine_->PlanFault("proxmox.add:new", "locked", 3).ok());
  EXPECT_EQ(Carry(Spec({Zfs("new", "quickOS/lxc-disks", {"rootdir"})})).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_THAT(Message(last_), HasSubstr("holds the lock"));
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

// All nodes of a cluster write the one file, and those that undo a run do it at the same time.
TEST_F(ProxmoxUndoTest, AChangeThatOthersAreFasterThanIsMadeInTheEnd) {
  const std::string before = Dump();
  ASSERT_TRUE(machine_->PlanFault("proxmox.set:old", "raced", 6).ok());
  auto old = Zfs("old", "quickOS/vm-disks", {"images"});
  ASSERT_TRUE(Carry(Spec({old})).ok()) << last_;
  ASSERT_FALSE(HasFault("proxmox.set:old"));
  EXPECT_NE(Dump(), before);
  ASSERT_TRUE(machine_->PlanFault("proxmox.set:old", "raced", 6).ok());
  ASSERT_TRUE(Undo().ok()) << last_;
  ASSERT_FALSE(HasFault("proxmox.set:old"));
  EXPECT_EQ(Dump(), before);
}

TEST_F(ProxmoxUndoTest, TheRemainingCommandsAreWhatAPersonWouldType) {
  ASSERT_TRUE(Carry(Mixed()).ok()) << last_;
  kit::StepContext context;
  const auto commands = [&](const std::string& id, const std::string& captured) {
    context.captured = captured;
    return domain_.RemainingCommands(StepOf(id), context);
  };
  EXPECT_THAT(commands("new", R"({"member":false,"folders":[]})"), ElementsAre("pvesm remove new"));
  EXPECT_THAT(commands("far", R"({"member":false,"folders":[]})"), ElementsAre("pvesm set far --nodes pve9"));
  EXPECT_THAT(
      commands("media", R"({"member":false,"folders":["/mnt"],"mounted":false})"),
      ElementsAre("pvesm remove media", "umount /mnt/pve/media", "rmdir /mnt/pve/media", "rmdir /mnt/pve"));
  EXPECT_THAT(
      commands("old", R"({"member":true,"folders":[],"type":"zfspool","content":["images","rootdir"],)"
                      R"("options":{"sparse":null}})"),
      ElementsAre("pvesm set old --content images,rootdir --delete sparse"));
}

}  // namespace
}  // namespace phoenix::proxmox
