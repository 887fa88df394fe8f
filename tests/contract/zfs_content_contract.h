// What every ZfsHost does with the content of datasets: snapshots, holds, clones, rollback, owners, files.
// Suites as in zfs_host_contract.h.
#pragma once

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "tests/contract/zfs_host_contract.h"

namespace phoenix::zfs {

template <class Node>
class ZfsContentContract : public ZfsHostContract<Node> {};

TYPED_TEST_SUITE_P(ZfsContentContract);

TYPED_TEST_P(ZfsContentContract, TheMountRootKeepsItsInode) {
  this->MakePool();
  const std::string name = this->Name("a"), path = this->Path("a");
  this->Must(CreateDataset{name, 0, {}});
  this->Must(SetMountRoot{name, path, {0, 1234, 02770}});
  EXPECT_EQ(this->Dataset(name).root, (DirectoryState{0, 1234, 02770}));
  this->Must(UnmountDataset{name});
  EXPECT_EQ(this->Dataset(name).mounted_at, "");
  // Trap 9: below the unmounted dataset lies a directory of another file system.
  EXPECT_FALSE(this->Try(SetMountRoot{name, path, {0, 1234, 0777}}).ok());
  ObserveRequest request;
  request.paths = {path};
  request.mount_points = true;
  const PathState below = this->See(request).paths.at(path);
  ASSERT_TRUE(below.directory.has_value());
  EXPECT_EQ(below.directory->mode, 0755u);
  EXPECT_FALSE(below.mount_point);
  EXPECT_FALSE(this->See(request).mount_points.contains(path));
  this->Must(MountDataset{name});
  EXPECT_EQ(this->Dataset(name).root, (DirectoryState{0, 1234, 02770}));
  EXPECT_TRUE(this->See(request).paths.at(path).mount_point);
  EXPECT_TRUE(this->See(request).mount_points.contains(path));
}

TYPED_TEST_P(ZfsContentContract, TheMountRootKeepsItsAcl) {
  this->MakePool();
  const std::string name = this->Name("a"), path = this->Path("a");
  const Acl acl = {"user:1234:r-x",     "group::r-x",         "group:2000:rwx",
                   "default:user::rwx", "default:group::r-x", "default:group:2000:rwx",
                   "default:mask::rwx", "default:other::---"};
  const DirectoryState root{0, 1234, 02770};
  this->Must(CreateDataset{name, 0, {}});
  EXPECT_THAT(this->Dataset(name).acl, ::testing::IsEmpty());
  EXPECT_FALSE(this->Try(SetMountRoot{name, path, root, acl}).ok()) << "acltype=off, as ZFS begins on Linux";
  this->Must(SetMountRoot{name, path, root, Acl()});
  this->Must(SetProperties{name, {{"acltype", "posix"}, {"xattr", "sa"}}});
  this->Must(SetMountRoot{name, path, root, acl});
  EXPECT_EQ(this->Dataset(name).acl, acl);
  EXPECT_EQ(this->Dataset(name).root, root) << "the mask is the mode's group digit";
  // The mask moves, and nothing else.
  this->Must(SetMountRoot{name, path, {0, 1234, 02750}});
  EXPECT_EQ(this->Dataset(name).acl, acl);
  EXPECT_EQ(this->Dataset(name).root, (DirectoryState{0, 1234, 02750}));
  this->Must(UnmountDataset{name});
  this->Must(MountDataset{name});
  EXPECT_EQ(this->Dataset(name).acl, acl);
  // Without the type nothing of it is in force or told; it is there still.
  this->Must(SetProperties{name, {{"acltype", "off"}}});
  EXPECT_THAT(this->Dataset(name).acl, ::testing::IsEmpty());
  this->Must(SetProperties{name, {{"acltype", "posix"}}});
  EXPECT_EQ(this->Dataset(name).acl, acl);
  this->Must(SetMountRoot{name, path, root, Acl{"user:7:r--", "group::rwx"}});
  EXPECT_EQ(this->Dataset(name).acl, (Acl{"user:7:r--", "group::rwx"})) << "the default one went";
  this->Must(SetMountRoot{name, path, root, Acl()});
  EXPECT_THAT(this->Dataset(name).acl, ::testing::IsEmpty());
  EXPECT_EQ(this->Dataset(name).root, root);
}

TYPED_TEST_P(ZfsContentContract, SnapshotsCarryTheirMark) {
  this->MakePool();
  this->Must(CreateDataset{this->Name("a"), 0, {{std::string(kRunMark), "another"}}});
  this->Must(CreateSnapshot{this->Name("a@ours"), {{std::string(kRunMark), this->kRun}}});
  this->Must(CreateSnapshot{this->Name("a@theirs"), {}});
  EXPECT_FALSE(this->Try(CreateSnapshot{this->Name("a@ours"), {}}).ok());
  ObserveRequest request;
  request.snapshots = true;
  request.datasets = {this->Name("a")};
  ZfsState state = this->See(request);
  ASSERT_EQ(state.snapshots.size(), 2u);
  EXPECT_EQ(state.snapshots.at(this->Name("a@ours")).run, this->kRun);
  EXPECT_EQ(state.snapshots.at(this->Name("a@theirs")).run, "") << "inherited from the dataset";
  const int64_t created = state.snapshots.at(this->Name("a@ours")).creation_seconds;
  EXPECT_GT(created, 1'500'000'000);
  EXPECT_GE(state.snapshots.at(this->Name("a@theirs")).creation_seconds, created);
  const uint64_t guid = state.snapshots.at(this->Name("a@ours")).guid;
  this->Must(RenameSnapshot{this->Name("a@ours"), this->Name("a@phoenix-trash:r:ours")});
  state = this->See(request);
  EXPECT_EQ(state.snapshots.at(this->Name("a@phoenix-trash:r:ours")).guid, guid);
  EXPECT_EQ(state.snapshots.count(this->Name("a@ours")), 0u);
}

TYPED_TEST_P(ZfsContentContract, SnapshotsOfOnePoolAreTakenTogetherOrNotAtAll) {
  this->MakePool();
  this->Must(CreateDataset{this->Name("a"), 0, {}});
  this->Must(CreateDataset{this->Name("b"), 0, {}});
  ObserveRequest request;
  request.snapshots = true;
  request.datasets = {this->kPool};
  const std::vector<std::string> both = {this->Name("a@run"), this->Name("b@run")};
  const PropertyMap mark = {{std::string(kRunMark), this->kRun}};
  this->Must(CreateSnapshot{both[1], {}});
  EXPECT_FALSE(this->Try(CreateSnapshots{both, mark}).ok());
  EXPECT_EQ(this->See(request).snapshots.size(), 1u) << "one was in the way: none is taken";
  EXPECT_FALSE(this->Try(CreateSnapshots{{both[0], this->Name("none@run")}, mark}).ok());
  EXPECT_EQ(this->See(request).snapshots.size(), 1u);
  this->Must(DestroySnapshot{both[1]});
  this->Must(CreateSnapshots{both, mark});
  const ZfsState state = this->See(request);
  ASSERT_EQ(state.snapshots.size(), 2u);
  for (const auto& name : both) EXPECT_EQ(state.snapshots.at(name).run, this->kRun);
}

TYPED_TEST_P(ZfsContentContract, AHeldSnapshotIsNotDestroyed) {
  this->MakePool();
  const std::string one = this->Name("a@one"), two = this->Name("a@two");
  this->Must(CreateDataset{this->Name("a"), 0, {}});
  // Two of one dataset do not go into one command.
  EXPECT_FALSE(this->Try(CreateSnapshots{{one, two}, {}}).ok());
  this->Must(CreateSnapshot{one, {}});
  this->Must(CreateSnapshot{two, {}});
  ObserveRequest request;
  request.snapshots = request.holds = true;
  request.datasets = {this->Name("a")};
  EXPECT_EQ(this->See(request).snapshots.at(one).holds, 0u);
  EXPECT_TRUE(this->See(request).snapshots.at(one).tags.empty());
  this->Must(HoldSnapshots{"phoenix:r1", {one, two}});
  this->Must(HoldSnapshots{"backup", {two}});
  EXPECT_FALSE(this->Try(HoldSnapshots{"phoenix:r1", {one}}).ok());
  const ZfsState held = this->See(request);
  EXPECT_EQ(held.snapshots.at(one).holds, 1u);
  EXPECT_THAT(held.snapshots.at(one).tags, ::testing::ElementsAre("phoenix:r1"));
  EXPECT_THAT(held.snapshots.at(two).tags, ::testing::UnorderedElementsAre("phoenix:r1", "backup"));
  EXPECT_FALSE(this->Try(DestroySnapshot{one}).ok());
  this->Must(ReleaseSnapshots{"phoenix:r1", {one, two}});
  EXPECT_FALSE(this->Try(ReleaseSnapshots{"phoenix:r1", {one}}).ok());
  this->Must(DestroySnapshot{one});
  EXPECT_FALSE(this->Try(DestroySnapshot{two}).ok());
  EXPECT_THAT(this->See(request).snapshots.at(two).tags, ::testing::ElementsAre("backup"));
  this->Must(ReleaseSnapshots{"backup", {two}});
}

TYPED_TEST_P(ZfsContentContract, ASnapshotTakesOurMarksAndKeepsThem) {
  this->MakePool();
  const std::string snapshot = this->Name("a@s");
  this->Must(CreateDataset{this->Name("a"), 0, {{std::string(kCommittedMark), "1700000000"}}});
  this->Must(CreateSnapshot{snapshot, {}});
  ObserveRequest request;
  request.snapshots = true;
  request.datasets = {this->Name("a")};
  EXPECT_EQ(this->See(request).snapshots.at(snapshot).committed_seconds, 0) << "inherited from the dataset";
  const std::string written = this->Written(this->Name("a"));
  this->Must(SetProperties{snapshot, {{std::string(kCommittedMark), "1700000001"}}});
  EXPECT_EQ(this->See(request).snapshots.at(snapshot).committed_seconds, 1'700'000'001);
  EXPECT_EQ(this->Written(this->Name("a")), written);
  EXPECT_FALSE(this->Try(SetProperties{snapshot, {{"compression", "off"}}}).ok());
}

// What the guard of a rollback rests on: only what somebody writes counts as written.
TYPED_TEST_P(ZfsContentContract, WhatWasWrittenSinceASnapshotIsCounted) {
  this->MakePool({{"atime", "off"}});
  const std::string name = this->Name("a"), snapshot = this->Name("a@s");
  this->Must(CreateDataset{name, 0, {}});
  this->Must(CreateSnapshot{snapshot, {}});
  EXPECT_EQ(this->WrittenSince(snapshot), 0u);
  this->Must(UnmountDataset{name});
  this->Must(MountDataset{name});
  this->Must(SetProperties{name, {{"quota", "1G"}}});
  EXPECT_EQ(this->WrittenSince(snapshot), 0u) << "mounting and properties write nothing to the dataset";
  this->node_->WriteFile(this->Path("a/letter"));
  EXPECT_GT(this->WrittenSince(snapshot), 0u);
  ObserveRequest request;
  request.written_since = {this->Name("a@none")};
  EXPECT_TRUE(this->See(request).written_since.empty());
}

TYPED_TEST_P(ZfsContentContract, ARollbackIsGuarded) {
  this->MakePool({{"atime", "off"}});
  const std::string name = this->Name("a"), path = this->Path("a");
  this->Must(CreateDataset{name, 0, {}});
  this->Must(SetMountRoot{name, path, {0, 1234, 0750}});
  this->node_->WriteFile(path + "/kept");
  this->Must(CreateSnapshot{this->Name("a@older"), {}});
  this->Must(CreateSnapshot{this->Name("a@s"), {}});
  this->Must(SetProperties{name, {{"quota", "1G"}}});
  this->Must(SetMountRoot{name, path, {0, 0, 0700}});
  this->node_->WriteFile(path + "/letter");
  const uint64_t written = this->WrittenSince(this->Name("a@s"));
  ASSERT_GT(written, 0u);
  // Mounted: somebody may have files open.
  EXPECT_FALSE(this->Try(RollbackDataset{name, "s", written}).ok());
  this->Must(UnmountDataset{name});
  // Not the newest; and nothing newer is taken away for it.
  EXPECT_FALSE(this->Try(RollbackDataset{name, "older", uint64_t{1} << 40}).ok());
  // One byte more than we know of.
  const absl::Status foreign = this->Try(RollbackDataset{name, "s", written - 1});
  EXPECT_EQ(foreign.code(), absl::StatusCode::kFailedPrecondition) << foreign;
  ASSERT_TRUE(ReasonOf(foreign).has_value()) << foreign;
  EXPECT_EQ(ReasonOf(foreign)->reason, "FOREIGN_CHANGE");
  EXPECT_FALSE(this->Try(RollbackDataset{name, "none", written}).ok());
  EXPECT_EQ(this->WrittenSince(this->Name("a@s")), written) << "refused means untouched";
  this->Must(RollbackDataset{name, "s", written});
  // ZFS counts the block that describes the dataset, which a rollback writes anew.
  EXPECT_LE(this->WrittenSince(this->Name("a@s")), 3u * 4096u);
  EXPECT_LT(this->WrittenSince(this->Name("a@s")), written);
  this->Must(MountDataset{name});
  EXPECT_TRUE(this->node_->Exists(path + "/kept"));
  EXPECT_FALSE(this->node_->Exists(path + "/letter"));
  EXPECT_EQ(this->Dataset(name).root, (DirectoryState{0, 1234, 0750}));
  EXPECT_EQ(this->Property(name, "quota").value, "1073741824") << "properties are no content";
  // Somebody takes a snapshot: what it holds is newer.
  this->Must(CreateSnapshot{this->Name("a@theirs"), {}});
  this->Must(UnmountDataset{name});
  EXPECT_FALSE(this->Try(RollbackDataset{name, "s", 0}).ok());
  ObserveRequest request;
  request.snapshots = true;
  request.datasets = {name};
  EXPECT_EQ(this->See(request).snapshots.size(), 3u);
}

// A block that we wrote counts once, whoever writes it again: only a snapshot of our last write shows
// others'.
TYPED_TEST_P(ZfsContentContract, ARollbackIsGuardedFromOurLastWriteOn) {
  this->MakePool({{"atime", "off"}});
  const std::string name = this->Name("a"), path = this->Path("a");
  this->Must(CreateDataset{name, 0, {}});
  this->node_->WriteFile(path + "/letter");
  this->Must(CreateSnapshot{this->Name("a@before"), {}});
  this->Must(SetMountRoot{name, path, {0, 1234, 0750}});
  this->Must(UnmountDataset{name});
  this->Must(CreateSnapshot{this->Name("a@given"), {}});
  this->Must(MountDataset{name});
  this->Must(SetMountRoot{name, path, {0, 1234, 0700}});
  this->Must(UnmountDataset{name});
  EXPECT_FALSE(this->Try(RollbackDataset{name, "before", uint64_t{1} << 40}).ok()) << "@given is newer";
  const absl::Status foreign = this->Try(RollbackDataset{name, "before", 0, "given"});
  ASSERT_TRUE(ReasonOf(foreign).has_value()) << foreign;
  EXPECT_EQ(ReasonOf(foreign)->reason, "FOREIGN_CHANGE");
  ObserveRequest request;
  request.snapshots = true;
  request.datasets = {name};
  EXPECT_EQ(this->See(request).snapshots.size(), 2u) << "refused means untouched";
  const uint64_t since = this->WrittenSince(this->Name("a@given"));
  this->Must(RollbackDataset{name, "before", since, "given"});
  EXPECT_EQ(this->See(request).snapshots.size(), 1u) << "the guard goes with it";
  EXPECT_LE(this->WrittenSince(this->Name("a@before")), 3u * 4096u);
  this->Must(MountDataset{name});
  EXPECT_EQ(this->Dataset(name).root, (DirectoryState{0, 0, 0755}));
  EXPECT_TRUE(this->node_->Exists(path + "/letter"));
}

TYPED_TEST_P(ZfsContentContract, ACloneHoldsItsSnapshot) {
  this->MakePool();
  const std::string name = this->Name("a"), snapshot = this->Name("a@s"), clone = this->Name("b");
  this->Must(CreateDataset{name, 0, {}});
  this->node_->WriteFile(this->Path("a/letter"));
  this->Must(CreateSnapshot{snapshot, {}});
  this->Must(CloneSnapshot{snapshot, clone, {{"canmount", "noauto"}, {std::string(kRunMark), this->kRun}}});
  EXPECT_EQ(this->Dataset(clone).mounted_at, "");
  EXPECT_EQ(this->Dataset(clone).LocalValue(kRunMark), this->kRun);
  EXPECT_EQ(this->Dataset(clone).Value("origin"), snapshot);
  EXPECT_THAT(this->Dataset(name).Value("origin"), ::testing::AnyOf("", "-"));
  ObserveRequest request;
  request.snapshots = true;
  request.datasets = {name};
  EXPECT_THAT(this->See(request).snapshots.at(snapshot).clones, ::testing::ElementsAre(clone));
  EXPECT_FALSE(this->Try(DestroySnapshot{snapshot}).ok());
  EXPECT_FALSE(this->Try(CloneSnapshot{snapshot, clone, {}}).ok());
  this->Must(MountDataset{clone});
  EXPECT_TRUE(this->node_->Exists(this->Path("b/letter")));
  this->Must(DestroyDataset{clone});
  this->Must(DestroySnapshot{snapshot});
}

TYPED_TEST_P(ZfsContentContract, ATreeIsChangedOutOfEverybodysReach) {
  this->MakePool();
  const std::string name = this->Name("a"), path = this->Path("a");
  this->Must(CreateDataset{name, 0, {}});
  this->node_->WriteFile(path + "/letter");
  this->Must(CreateSnapshot{this->Name("a@s"), {}});
  EXPECT_FALSE(this->Try(SetTreeOwner{name, {.uid = 1234}}).ok()) << "it is mounted";
  this->Must(UnmountDataset{name});
  this->Must(SetTreeOwner{name, {.uid = 1234, .gid = 4321, .mode = 02770}});
  EXPECT_EQ(this->Dataset(name).mounted_at, "");
  EXPECT_GT(this->WrittenSince(this->Name("a@s")), 0u);
  this->Must(MountDataset{name});
  EXPECT_EQ(this->Dataset(name).root, (DirectoryState{1234, 4321, 02770}));
  EXPECT_EQ(this->node_->Inode(path + "/letter"), (DirectoryState{1234, 4321, 0660}));
}

TYPED_TEST_P(ZfsContentContract, FilesAreDeliveredOutOfEverybodysReachAndSeen) {
  this->MakePool({{"atime", "off"}});
  const std::string name = this->Name("a"), path = this->Path("a");
  this->Must(CreateDataset{name, 0, {}});
  this->node_->WriteFile(path + "/letter");
  ObserveRequest look;
  look.datasets = {name};
  look.files[name] = {"conf/d/app.conf", "letter", "letter/below", "conf"};
  FilesSeen seen = this->See(look).files.at(name);
  EXPECT_EQ(seen.at("conf/d/app.conf"), FileSeen());
  EXPECT_TRUE(seen.at("letter").there);
  EXPECT_GT(seen.at("letter").size_bytes, kMostFileBytes);
  EXPECT_EQ(seen.at("letter").digest, "") << "longer than any that is delivered";
  EXPECT_EQ(seen.at("letter/below").obstacle, "letter is a file");
  this->Must(CreateSnapshot{this->Name("a@s"), {}});
  const DeliverFiles delivery{
      name, {{"conf/d/app.conf", {"port = 1\n", 1234, 4321, 0640}}, {"letter", {"ours", 0, 0, 0600}}}};
  EXPECT_FALSE(this->Try(delivery).ok()) << "it is mounted";
  EXPECT_EQ(this->WrittenSince(this->Name("a@s")), 0u) << "looking writes nothing";
  this->Must(UnmountDataset{name});
  this->Must(delivery);
  EXPECT_EQ(this->Dataset(name).mounted_at, "");
  EXPECT_TRUE(this->See(look).files.empty()) << "what is not mounted cannot be looked into";
  EXPECT_GT(this->WrittenSince(this->Name("a@s")), 0u);
  this->Must(MountDataset{name});
  seen = this->See(look).files.at(name);
  EXPECT_EQ(seen.at("conf/d/app.conf"), (FileSeen{true, 9, Sha256Hex("port = 1\n"), 1234, 4321, 0640, ""}));
  EXPECT_EQ(seen.at("letter"), (FileSeen{true, 4, Sha256Hex("ours"), 0, 0, 0600, ""}));
  EXPECT_EQ(seen.at("conf").obstacle, "conf is a folder");
  EXPECT_EQ(this->node_->Inode(path + "/conf/d"), (DirectoryState{0, 0, 0755}));
  // Nothing that is no file is replaced.
  this->Must(UnmountDataset{name});
  this->Must(ProveDelivered{name, delivery.files});
  const absl::Status other = this->Try(ProveDelivered{name, {delivery.files[0]}});
  ASSERT_TRUE(ReasonOf(other).has_value()) << other;
  EXPECT_EQ(ReasonOf(other)->reason, "FOREIGN_CHANGE");
  EXPECT_THAT(Message(other), ::testing::HasSubstr("it holds letter"));
  EXPECT_EQ(this->Try(DeliverFiles{name, {{"conf", {"x", 0, 0, 0644}}}}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(this->Dataset(name).mounted_at, "") << "out of reach again after a failure, too";
  this->Must(RollbackDataset{name, "s", this->WrittenSince(this->Name("a@s"))});
  this->Must(MountDataset{name});
  EXPECT_FALSE(this->node_->Exists(path + "/conf"));
  EXPECT_GT(this->See(look).files.at(name).at("letter").size_bytes, kMostFileBytes);
}

REGISTER_TYPED_TEST_SUITE_P(ZfsContentContract, TheMountRootKeepsItsInode, TheMountRootKeepsItsAcl,
                            SnapshotsCarryTheirMark, SnapshotsOfOnePoolAreTakenTogetherOrNotAtAll,
                            AHeldSnapshotIsNotDestroyed, ASnapshotTakesOurMarksAndKeepsThem,
                            WhatWasWrittenSinceASnapshotIsCounted, ARollbackIsGuarded,
                            ARollbackIsGuardedFromOurLastWriteOn, ACloneHoldsItsSnapshot,
                            ATreeIsChangedOutOfEverybodysReach, FilesAreDeliveredOutOfEverybodysReachAndSeen);

}  // namespace phoenix::zfs
