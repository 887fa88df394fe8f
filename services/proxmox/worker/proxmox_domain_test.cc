#include "services/proxmox/worker/proxmox_domain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/proxmox/worker/testing_world.h"

namespace phoenix::proxmox {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class ProxmoxDomainTest : public ::testing::Test, protected SimWorld {};

TEST_F(ProxmoxDomainTest, TheSeedsEightEntriesComeAndTheSecondPlanIsEmpty) {
  ASSERT_TRUE(Carry(SeedSpec()).ok()) << last_;
  EXPECT_EQ(plan_.steps.size(), 8u);
  const auto config = host_.ReadStorages();
  ASSERT_TRUE(config.ok());
  const StorageEntry& disks = config->entries.at("quickOS-vm-disks");
  EXPECT_EQ(disks.type, "zfspool");
  EXPECT_EQ(disks.options.at("pool"), "quickOS/vm-disks");
  EXPECT_THAT(disks.content, ElementsAre("images"));
  EXPECT_THAT(disks.nodes, ElementsAre("pve1"));
  EXPECT_EQ(config->entries.at("fastData-shared-backups").options.at("is_mountpoint"), "1");
  ASSERT_TRUE(Plan(SeedSpec()).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
}

TEST_F(ProxmoxDomainTest, AStepIsOrderedByTheDatasetOrPathItStandsOn) {
  ASSERT_TRUE(Plan(SeedSpec()).ok()) << last_;
  const auto step = StepOf("fastData-shared-backups");
  EXPECT_EQ(step.id, "storage:fastData-shared-backups");
  EXPECT_THAT(step.requires_keys, ElementsAre(kit::Requirement{"path:/fastData/shared-backups", true}));
  EXPECT_THAT(StepOf("quickOS-lxc-disks").requires_keys,
              ElementsAre(kit::Requirement{"dataset:quickOS/lxc-disks", true}));
  EXPECT_THAT(step.provides, ElementsAre("storage:fastData-shared-backups"));
  EXPECT_EQ(step.scope, "");
}

// Present at a plan exactly as long as the folders are missing.
TEST_F(ProxmoxDomainTest, AStepThatBringsFoldersSaysWhatItWritesInto) {
  ASSERT_TRUE(Plan(SeedSpec()).ok()) << last_;
  EXPECT_THAT(StepOf("fastData-shared-backups").disturbs, ElementsAre("content:/fastData/shared-backups"));
  EXPECT_THAT(StepOf("quickOS-vm-disks").disturbs, IsEmpty());
  ASSERT_TRUE(Carry(Spec({Dir("backups", "/fastData/shared-backups", {"backup"})})).ok()) << last_;
  ASSERT_TRUE(Plan(Spec({Dir("backups", "/fastData/shared-backups", {"backup", "iso"})})).ok()) << last_;
  EXPECT_THAT(StepOf("backups").disturbs, ElementsAre("content:/fastData/shared-backups"));
  // The entry is another one and the folder is there.
  ASSERT_TRUE(Undo().ok()) << last_;
  ASSERT_TRUE(Plan(Spec({Dir("more", "/fastData/shared-bulk-data", {"backup"})})).ok()) << last_;
  EXPECT_THAT(StepOf("more").disturbs, ElementsAre("content:/fastData/shared-bulk-data"));
  ASSERT_TRUE(host_.files().MakeDirectory("/fastData/shared-bulk-data/dump", {}).ok());
  ASSERT_TRUE(Plan(Spec({Dir("more", "/fastData/shared-bulk-data", {"backup"})})).ok()) << last_;
  EXPECT_THAT(StepOf("more").disturbs, IsEmpty());
}

TEST_F(ProxmoxDomainTest, AClusterIsTheScope) {
  JoinCluster("lab");
  ASSERT_TRUE(Plan(SeedSpec()).ok()) << last_;
  for (const auto& step : plan_.steps) EXPECT_EQ(step.scope, "cluster:lab");
}

TEST_F(ProxmoxDomainTest, OnlyWhatDiffersIsSet) {
  ASSERT_TRUE(Carry(Spec({Dir("backups", "/fastData/shared-backups", {"backup"})})).ok()) << last_;
  auto changed = Dir("backups", "/fastData/shared-backups", {"backup", "iso"});
  changed.options["prune-backups"] = "keep-last=3";
  ASSERT_TRUE(Plan(Spec({changed})).ok()) << last_;
  ASSERT_EQ(plan_.steps.size(), 1u);
  EXPECT_THAT(plan_.steps[0].diffs, UnorderedElementsAre(kit::FieldDiff{"content", "backup", "backup,iso"},
                                                         kit::FieldDiff{"prune-backups", "", "keep-last=3"}));
  ASSERT_TRUE(Carry(Spec({changed})).ok()) << last_;
  ASSERT_TRUE(Plan(Spec({changed})).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
}

TEST_F(ProxmoxDomainTest, WithoutProxmoxThePlanSaysSoAndHasNoSteps) {
  Uninstall();
  ASSERT_TRUE(Plan(SeedSpec()).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
  EXPECT_EQ(plan_.notes.size(), 8u);
  EXPECT_TRUE(plan_.notes[0].warning);
  EXPECT_THAT(plan_.notes[0].text, HasSubstr("no Proxmox VE"));
}

TEST_F(ProxmoxDomainTest, AnUnmountedClusterFileSystemIsRefusedAndNotTakenForAnEmptyOne) {
  EmptyEtcPve();
  EXPECT_EQ(Plan(SeedSpec()).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Message(last_), HasSubstr("/etc/pve is not mounted"));
  EXPECT_TRUE(Plan(Spec({})).ok()) << last_;
}

// Trap 8: each run of the scripts removed every storage that it did not know.
TEST_F(ProxmoxDomainTest, Trap8StoragesThatAreNotDeclaredAreNeverTouched) {
  WriteConfig(
      "pbs: vault\n\tdatastore main\n\tserver 10.0.0.9\n\tcontent backup\n\n"
      "rbd: ceph\n\tpool rbd\n\tcontent images\n\n");
  ASSERT_TRUE(Carry(SeedSpec()).ok()) << last_;
  const auto config = host_.ReadStorages();
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->entries.at("vault").options.at("datastore"), "main");
  EXPECT_EQ(config->entries.at("ceph").options.at("pool"), "rbd");
  ASSERT_TRUE(Undo().ok()) << last_;
}

// Trap 11: `quickOS-shared-prod-data` was never added once `…-sync` existed.
TEST_F(ProxmoxDomainTest, Trap11AnIdThatBeginsWithAnotherIsAnotherStorage) {
  ASSERT_TRUE(Carry(Spec({Zfs("data-sync", "quickOS/shared-prod-data-sync", {"images"})})).ok()) << last_;
  ASSERT_TRUE(Plan(Spec({Zfs("data", "quickOS/shared-prod-data", {"images"}),
                         Zfs("data-sync", "quickOS/shared-prod-data-sync", {"images"})}))
                  .ok())
      << last_;
  ASSERT_EQ(plan_.steps.size(), 1u);
  EXPECT_EQ(plan_.steps[0].resource, "data");
}

// Trap 13: existing objects were never compared.
TEST_F(ProxmoxDomainTest, Trap13AnExistingEntryOfAnotherPoolPathOrTypeIsAnErrorThatNamesTheField) {
  WriteConfig(
      "zfspool: vm\n\tpool quickOS/old\n\tcontent images\n\ndir: bk\n\tpath /srv/old\n\tcontent backup\n\n"
      "dir: iso\n\tpath /srv/iso\n\tcontent iso\n\n");
  const std::string before = Text();
  const auto status =
      Plan(Spec({Zfs("vm", "quickOS/vm-disks", {"images"}), Dir("bk", "/fastData/shared-backups", {"backup"}),
                 Zfs("iso", "quickOS/iso", {"images"})}));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ViolationsOf(status), ElementsAre(Field(&FieldViolation::field, "here.vm.options.pool"),
                                                Field(&FieldViolation::field, "here.bk.options.path"),
                                                Field(&FieldViolation::field, "here.iso.type")));
  EXPECT_THAT(ViolationsOf(status)[0].description, HasSubstr("pvesm remove vm"));
  EXPECT_EQ(Text(), before);
}

// Trap 17: NFS storages were named by basename, so that two paths collided.
TEST_F(ProxmoxDomainTest, Trap17TwoDeclarationsOfOneIdAreAnErrorThatNamesBoth) {
  auto first = Nfs("media", "10.0.0.5", "/a/media");
  auto second = Nfs("media", "10.0.0.5", "/b/media");
  second.origin = "there";
  const auto status = Plan(Spec({first, second}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(ViolationsOf(status).size(), 1u);
  EXPECT_EQ(ViolationsOf(status)[0].field, "there.id");
  EXPECT_THAT(ViolationsOf(status)[0].description, HasSubstr("here.media"));
}

// Trap 20: loopback NFS storage with soft mounts for VM images.
TEST_F(ProxmoxDomainTest, Trap20NfsFromThisVeryNodeIsWarnedOfAndWaitsForItsExport) {
  auto loop = Nfs("loop", "127.0.0.1", "/quickOS/shared-prod-data");
  loop.options["options"] = "vers=4,hard";
  ASSERT_TRUE(Plan(Spec({loop}), {"export:/quickOS/shared-prod-data"}).ok()) << last_;
  EXPECT_THAT(plan_.steps[0].requires_keys,
              ElementsAre(kit::Requirement{"export:/quickOS/shared-prod-data", false}));
  EXPECT_THAT(plan_.notes, Contains(Field(&kit::Note::text, HasSubstr("an export of this very node"))));
  loop.options["options"] = "vers=4,soft";
  EXPECT_EQ(Plan(Spec({loop}), {"export:/quickOS/shared-prod-data"}).code(),
            absl::StatusCode::kFailedPrecondition);
}

// Trap 21: dir storages were marked shared although node-local, and had no nodes.
TEST_F(ProxmoxDomainTest, Trap21ANewDirEntryIsOfThisNodeAndNotSharedAndInsistsOnItsMount) {
  ASSERT_TRUE(Carry(Spec({Dir("backups", "/fastData/shared-backups", {"backup"})})).ok()) << last_;
  const auto entry = host_.ReadStorages()->entries.at("backups");
  EXPECT_THAT(entry.nodes, ElementsAre("pve1"));
  EXPECT_EQ(entry.options.count("shared"), 0u);
  EXPECT_EQ(entry.options.at("is_mountpoint"), "1");
}

TEST_F(ProxmoxDomainTest, Trap21AnExistingSharedDirEntryIsWarnedOfAndChangedOnlyWhenDeclared) {
  WriteConfig("dir: backups\n\tpath /fastData/shared-backups\n\tcontent backup\n\tshared 1\n\n");
  auto spec = Dir("backups", "/fastData/shared-backups", {"backup"});
  ASSERT_TRUE(Plan(Spec({spec})).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
  EXPECT_THAT(plan_.notes, Contains(Field(&kit::Note::text, HasSubstr("shared"))));
  EXPECT_THAT(plan_.notes, Contains(Field(&kit::Note::text, HasSubstr("is_mountpoint"))));
  spec.options = {{"path", "/fastData/shared-backups"}, {"shared", "0"}, {"is_mountpoint", "1"}};
  ASSERT_TRUE(Carry(Spec({spec})).ok()) << last_;
  EXPECT_EQ(plan_.steps.size(), 1u);
  ASSERT_TRUE(Plan(Spec({spec})).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
}

TEST_F(ProxmoxDomainTest, CommentsThatARewriteDropsAreNamedBeforehand) {
  WriteConfig("# bought in May\ndir: local\n\tpath /var/lib/vz\n\tcontent iso\n\n");
  ASSERT_TRUE(Plan(SeedSpec()).ok()) << last_;
  EXPECT_THAT(plan_.notes, Contains(Field(&kit::Note::text, HasSubstr("# bought in May"))));
  // Without a step nobody rewrites the file.
  ASSERT_TRUE(Plan(Spec({})).ok()) << last_;
  EXPECT_THAT(plan_.notes, IsEmpty());
}

TEST_F(ProxmoxDomainTest, ABrokenFileIsRefusedWithTheSectionAndWhatToDo) {
  WriteConfig("zfspool: x1\n\tcontent images\n\n");
  EXPECT_EQ(Plan(SeedSpec()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(last_), HasSubstr("section 'x1' (line 1): the required option 'pool' is missing"));
  EXPECT_THAT(Message(last_), HasSubstr("by hand"));
  ASSERT_TRUE(Plan(Spec({})).ok()) << last_;
  ASSERT_EQ(plan_.notes.size(), 1u);
  EXPECT_TRUE(plan_.notes[0].warning);
}

// Another node of the cluster has the entry, and a run made this one its second member.
class JoinedEntryTest : public ProxmoxDomainTest {
 protected:
  JoinedEntryTest() {
    WriteConfig("zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent images\n\tnodes pve9\n\n");
    EXPECT_TRUE(Carry(Spec({Zfs("vm", "quickOS/vm-disks", {"images"})})).ok()) << last_;
    EXPECT_THAT(Nodes(), ElementsAre("pve1", "pve9"));
  }
  Words Nodes() { return host_.ReadStorages()->entries.at("vm").nodes; }
};

TEST_F(JoinedEntryTest, AnotherNodesEntryIsExtendedAndUndoTakesOnlyThisNodeOut) {
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_THAT(Nodes(), ElementsAre("pve9"));
}

// What is used elsewhere stays elsewhere; what is used here keeps this node in.
TEST_F(JoinedEntryTest, AnEntryThatOthersKeepIsLeftUnlessAGuestHereUsesIt) {
  AddNode("pve9");
  WriteFile("/etc/pve/jobs.cfg", "vzdump: nightly\n\tstorage vm\n\n");
  WriteFile("/etc/pve/nodes/pve9/qemu-server/100.conf", "scsi0: vm:vm-100-disk-0,size=8G\n");
  WriteFile("/etc/pve/nodes/pve1/qemu-server/101.conf", "scsi0: vm:vm-101-disk-0,size=8G\n");
  EXPECT_FALSE(Undo().ok());
  EXPECT_THAT(Message(last_), HasSubstr("in use by VM 101 on pve1:"));
  WriteFile("/etc/pve/nodes/pve1/qemu-server/101.conf", "memory: 512\n");
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_THAT(Nodes(), ElementsAre("pve9"));
}

// Each node takes back its own when it likes: the one that joined finds the entry as it was before.
TEST_F(JoinedEntryTest, ANodeThatJoinedLeavesAnEntryThatItsOthersHaveSetBack) {
  WriteConfig("zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent images,rootdir\n\tnodes pve1,pve9\n\n");
  EXPECT_EQ(driver_->ProbeLast()->probe, kit::Probe::kPartial);
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_THAT(Nodes(), ElementsAre("pve9"));
}

// Made by the run for this node and since then opened to all: removing it would take it from everybody.
TEST_F(ProxmoxDomainTest, AnEntryThatWasOpenedToAllNodesStays) {
  AddNode("pve9");
  ASSERT_TRUE(Carry(Spec({Zfs("vm", "quickOS/vm-disks", {"images"})})).ok()) << last_;
  WriteConfig("zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent images\n\n");
  ASSERT_FALSE(Undo().ok());
  EXPECT_THAT(Message(last_), HasSubstr("belongs to all nodes of the cluster by now"));
  EXPECT_EQ(host_.ReadStorages()->entries.count("vm"), 1u);
  EXPECT_THAT(driver_->RemainingOfLast(), Not(Contains(HasSubstr("pvesm remove"))));
}

// Another node of the run changes an entry for all; it makes nobody else a member.
TEST_F(ProxmoxDomainTest, AMembershipIsNoOtherNodesDoing) {
  ASSERT_TRUE(Plan(Spec({Zfs("vm", "quickOS/vm-disks", {"images"})})).ok()) << last_;
  const kit::Step& step = plan_.steps[0];
  const std::string before = *domain_.Capture(step, "run");
  EXPECT_TRUE(domain_.MayBeAnotherNodes(step, before, before));
  WriteConfig("zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent images\n\tnodes pve1\n\n");
  EXPECT_FALSE(domain_.MayBeAnotherNodes(step, before, *domain_.Capture(step, "run")));
}

TEST_F(ProxmoxDomainTest, AnotherNodesEntryWithOtherContentsIsAConflict) {
  WriteConfig("zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent rootdir\n\tnodes pve9\n\n");
  EXPECT_EQ(Plan(Spec({Zfs("vm", "quickOS/vm-disks", {"images"})})).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(last_), HasSubstr("one definition"));
}

TEST_F(ProxmoxDomainTest, WhatIsNoLongerDeclaredStaysAndIsNamed) {
  ASSERT_TRUE(Carry(Spec({Zfs("vm", "quickOS/vm-disks", {"images"})})).ok()) << last_;
  ASSERT_TRUE(Plan(Spec({})).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
  ASSERT_EQ(plan_.notes.size(), 1u);
  EXPECT_THAT(plan_.notes[0].text, HasSubstr("orphaned"));
  auto partial = Spec({});
  partial.partial = true;
  ASSERT_TRUE(Plan(partial).ok()) << last_;
  EXPECT_THAT(plan_.notes, IsEmpty());
}

TEST_F(ProxmoxDomainTest, AbsentRemovesWhatWeMadeAndNothingElse) {
  WriteConfig("zfspool: theirs\n\tpool quickOS/vm-disks\n\tcontent images\n\n");
  ASSERT_TRUE(Carry(Spec({Zfs("ours", "quickOS/lxc-disks", {"rootdir"})})).ok()) << last_;
  auto ours = Zfs("ours", "", {});
  auto theirs = Zfs("theirs", "", {});
  ours.absent = theirs.absent = true;
  EXPECT_EQ(Plan(Spec({theirs})).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Carry(Spec({ours})).ok()) << last_;
  EXPECT_EQ(host_.ReadStorages()->entries.count("ours"), 0u);
  EXPECT_EQ(host_.ReadStorages()->entries.count("theirs"), 1u);
  EXPECT_THAT(ledger(), IsEmpty());
  ASSERT_TRUE(Plan(Spec({ours})).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
}

TEST_F(ProxmoxDomainTest, AStorageThatAGuestUsesIsNotRemoved) {
  ASSERT_TRUE(Carry(Spec({Zfs("vm", "quickOS/vm-disks", {"images"})})).ok()) << last_;
  WriteGuest("qemu-server/100.conf", "scsi0: vm:vm-100-disk-0,size=32G\n");
  auto gone = Zfs("vm", "", {});
  gone.absent = true;
  EXPECT_EQ(Plan(Spec({gone})).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(last_), HasSubstr("VM 100 on pve1"));
}

TEST_F(ProxmoxDomainTest, WithoutQuorumAPlanWithStepsIsRefusedAndOneWithoutIsNot) {
  JoinCluster("lab", /*quorate=*/false);
  EXPECT_EQ(Plan(SeedSpec()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(last_), HasSubstr("no quorum"));
  EXPECT_EQ(ReasonOf(last_)->reason, "NO_QUORUM");
  EXPECT_TRUE(Plan(Spec({})).ok()) << last_;
}

TEST_F(ProxmoxDomainTest, ADatasetThatIsToBeRemovedUnderAnEntryIsRefused) {
  ASSERT_TRUE(Carry(Spec({Zfs("vm", "quickOS/vm-disks", {"images"})})).ok()) << last_;
  removed_keys_ = {"dataset:quickOS/vm-disks"};
  EXPECT_EQ(Plan(Spec({})).code(), absl::StatusCode::kFailedPrecondition);
  auto gone = Zfs("vm", "", {});
  gone.absent = true;
  ASSERT_TRUE(Plan(Spec({gone})).ok()) << last_;
  // Removed before what it stands on.
  EXPECT_THAT(plan_.steps[0].requires_keys, ElementsAre(kit::Requirement{"dataset:quickOS/vm-disks", true}));
  EXPECT_THAT(plan_.steps[0].removes, ElementsAre("storage:vm"));
}

TEST_F(ProxmoxDomainTest, VerifyAsksForTheStateOnceAndFailsWhereAnEntryIsInactive) {
  ASSERT_TRUE(Carry(SeedSpec()).ok()) << last_;
  const auto report = domain_.Verify({plan_.steps, nullptr});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->probes, Contains("storage:quickOS-vm-disks: active"));
  Unmount("/fastData/shared-backups");
  const auto failed = domain_.Verify({plan_.steps, nullptr});
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(failed.status()), HasSubstr("'fastData-shared-backups' is inactive"));
  EXPECT_THAT(Message(failed.status()), HasSubstr("expected to be a mount point"));
}

TEST_F(ProxmoxDomainTest, WhatTheToolSaidIsReportedThoughItSucceeded) {
  // The zfspool plugin warns of nothing here, so a content the type cannot hold is sent past the planner.
  ASSERT_TRUE(machine_->PlanFault("proxmox.add:vm", "partial").ok());
  EXPECT_FALSE(Carry(Spec({Zfs("vm", "quickOS/vm-disks", {"images", "rootdir"})})).ok());
  EXPECT_THAT(Message(last_), HasSubstr("content 'rootdir' instead of 'images,rootdir'"));
  // What the tool made wrongly is taken away at once.
  EXPECT_EQ(host_.ReadStorages()->entries.count("vm"), 0u);
}

TEST_F(ProxmoxDomainTest, ObserveTellsEveryField) {
  WriteConfig("zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent images\n\tsparse\n\n");
  const auto fields = domain_.Observe({"storage:vm"});
  ASSERT_TRUE(fields.ok()) << fields.status();
  EXPECT_THAT(*fields, Contains(Field(&kit::ObservedField::field, "sparse")));
  EXPECT_THAT(*fields, Not(Contains(Field(&kit::ObservedField::key, "storage:local"))));
}

StorageSpec CifsWithPassword() {
  StorageSpec storage =
      MakeSpec("c1", "cifs", {"iso"}, {{"server", "nas"}, {"share", "m"}, {"username", "heads"}});
  storage.password_secret = "samba/users/heads";
  return storage;
}

// The same as another node of the cluster adds it.
NewStorage CifsOfAnotherNode() {
  const StorageSpec spec = CifsWithPassword();
  return {spec.id, spec.type, spec.content, {"pve9"}, spec.options, false, Secret("correct horse")};
}

TEST_F(ProxmoxDomainTest, APasswordComesFromTheSecretsAndGoesWithItsEntry) {
  const std::string before = Dump();
  secrets_.emplace("samba/users/heads", Secret("correct horse"));
  ASSERT_TRUE(Carry(Spec({CifsWithPassword()})).ok()) << last_;
  const kit::Step step = StepOf("c1");
  EXPECT_THAT(step.secrets, ElementsAre("samba/users/heads"));
  EXPECT_THAT(step.commands,
              ElementsAre(::testing::EndsWith(" --username heads --content iso --nodes pve1 --password")));
  EXPECT_THAT(step.payload, Not(HasSubstr("correct horse")));
  EXPECT_EQ((*host_.files().Read(PasswordPath("c1")))->content, "password=correct horse\n");
  EXPECT_THAT(Text(), Not(HasSubstr("correct horse")));
  ASSERT_TRUE(driver_->Commit().ok());

  ASSERT_TRUE(Plan(Spec({CifsWithPassword()})).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
  EXPECT_THAT(plan_.notes, IsEmpty());
  secrets_.clear();
  secrets_.emplace("samba/users/heads", Secret("battery staple"));
  ASSERT_TRUE(Plan(Spec({CifsWithPassword()})).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
  ASSERT_EQ(plan_.notes.size(), 1u);
  EXPECT_THAT(plan_.notes[0].text, HasSubstr("another password"));
  EXPECT_EQ((*host_.files().Read(PasswordPath("c1")))->content, "password=correct horse\n");
  EXPECT_NE(Dump(), before);
}

TEST_F(ProxmoxDomainTest, UndoTakesThePasswordAwayToo) {
  secrets_.emplace("samba/users/heads", Secret("correct horse"));
  ASSERT_TRUE(Carry(Spec({CifsWithPassword()})).ok()) << last_;
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_FALSE(*host_.files().Read(PasswordPath("c1")));
  EXPECT_THAT(Text(), Not(HasSubstr("c1")));
}

// pvedaemon writes the password before the entry.
TEST_F(ProxmoxDomainTest, APasswordThatWasLeftWithoutItsEntryIsTakenAway) {
  const std::string before = Dump();
  secrets_.emplace("samba/users/heads", Secret("correct horse"));
  ASSERT_TRUE(Plan(Spec({CifsWithPassword()})).ok()) << last_;
  ASSERT_TRUE(machine_->PlanFault("proxmox.add:c1", "folders").ok());
  EXPECT_FALSE(driver_->Apply().ok());
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_FALSE(*host_.files().Read(PasswordPath("c1")));
  EXPECT_THAT(Dump(), Not(HasSubstr("correct horse")));
}

TEST_F(ProxmoxDomainTest, AnEntryWithoutItsPasswordComesBackSwitchedOff) {
  secrets_.emplace("samba/users/heads", Secret("correct horse"));
  ASSERT_TRUE(Carry(Spec({CifsWithPassword()})).ok()) << last_;
  ASSERT_TRUE(driver_->Commit().ok());
  StorageSpec gone = CifsWithPassword();
  gone.absent = true;
  ASSERT_TRUE(Carry(Spec({gone})).ok()) << last_;
  EXPECT_EQ(StepOf("c1").step_class, kit::StepClass::kLossy);
  EXPECT_THAT(StepOf("c1").remainder, HasSubstr("`pvesm set c1 --username heads --password`"));
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_TRUE(host_.ReadStorages()->entries.at("c1").disabled);
}

// Another node has the entry when the run is planned, and leaves it in the same run.
TEST_F(ProxmoxDomainTest, AMemberIsNotMadeTheFirstOneWithoutThePassword) {
  secrets_.emplace("samba/users/heads", Secret("correct horse"));
  ASSERT_TRUE(host_.Add(CifsOfAnotherNode(), nullptr).ok());
  ASSERT_TRUE(Plan(Spec({CifsWithPassword()})).ok()) << last_;
  EXPECT_EQ(StepOf("c1").action, "add node to storage");
  ASSERT_TRUE(host_.Remove("c1", nullptr).ok());
  EXPECT_FALSE(driver_->Apply().ok());
  EXPECT_THAT(Text(), Not(HasSubstr("c1")));
}

// Another node of the cluster adds the same entry in the same run, and comes first.
TEST_F(ProxmoxDomainTest, TheSecondNodeOfAnEntryWithAPasswordExtendsItAndUndoLeavesTheFirstOneItsPassword) {
  JoinCluster("lab");
  secrets_.emplace("samba/users/heads", Secret("correct horse"));
  ASSERT_TRUE(Plan(Spec({CifsWithPassword()})).ok()) << last_;
  const std::string captured = *domain_.Capture(plan_.steps[0], "run-1");
  ASSERT_TRUE(host_.Add(CifsOfAnotherNode(), nullptr).ok());
  EXPECT_EQ(*domain_.Capture(plan_.steps[0], "run-1"), captured) << "no change by somebody else";
  ASSERT_TRUE((last_ = driver_->Apply()).ok()) << last_;
  EXPECT_THAT(host_.ReadStorages()->entries.at("c1").nodes, ElementsAre("pve1", "pve9"));
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_THAT(host_.ReadStorages()->entries.at("c1").nodes, ElementsAre("pve9"));
  EXPECT_TRUE(*host_.files().Read(PasswordPath("c1")));
}

TEST_F(ProxmoxDomainTest, ANodeThatJoinsWaitsUntilTheEntryIsAsItWantsIt) {
  JoinCluster("lab");
  WriteConfig("zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent rootdir\n\tnodes pve9\n\n");
  const auto spec = Spec({Zfs("vm", "quickOS/vm-disks", {"images"})});
  EXPECT_FALSE(Plan(spec).ok());
  EXPECT_THAT(Message(last_), HasSubstr("wants it to be \"zfspool content=images pool=quickOS/vm-disks\""));
  const std::string definition = "definition:lab/storage:vm zfspool content=images pool=quickOS/vm-disks";
  ASSERT_TRUE(Plan(spec, {definition}).ok()) << last_;
  EXPECT_THAT(plan_.steps[0].requires_keys, Contains(kit::Requirement{definition, false}));
  // A member with the same wish is who makes it so.
  WriteConfig("zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent rootdir\n\tnodes pve1,pve9\n\n");
  ASSERT_TRUE(Plan(spec).ok()) << last_;
  EXPECT_THAT(plan_.steps[0].provides, ElementsAre("storage:vm", definition));
}

// The first one brings the folder of passwords, which is no change by somebody else.
TEST_F(ProxmoxDomainTest, TwoEntriesOfOneRunGetPasswords) {
  secrets_.emplace("samba/users/heads", Secret("correct horse"));
  StorageSpec second = CifsWithPassword();
  second.id = "c2";
  second.options["share"] = "n";
  // The folder of mounts, which the first one brings, is not somebody else's for the second.
  ASSERT_TRUE(Carry(Spec({CifsWithPassword(), second})).ok()) << last_;
  EXPECT_TRUE(*host_.files().Read(PasswordPath("c2")));
  EXPECT_THAT(StepOf("c2").remainder, HasSubstr(kPasswordFolder));
  ASSERT_TRUE(Undo().ok()) << last_;
}

TEST_F(ProxmoxDomainTest, WithoutItsSecretAStepIsNotDone) {
  secrets_.emplace("samba/users/heads", Secret("correct horse"));
  ASSERT_TRUE(Plan(Spec({CifsWithPassword()})).ok()) << last_;
  kit::StepContext context;
  context.captured = *domain_.Capture(plan_.steps[0], "run-1");
  EXPECT_THAT(Message(domain_.Do(plan_.steps[0], context)), HasSubstr("not in this daemon's memory"));
  EXPECT_THAT(Text(), Not(HasSubstr("c1")));
}

}  // namespace
}  // namespace phoenix::proxmox
