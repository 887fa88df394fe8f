// What every ZfsHost does, the simulated and the real one alike. A suite gets a node with four blank disks of
// one size of its own and leaves them blank.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

// Node must have: static bool Available(); ZfsHost& host(); std::vector<std::string> disks() (four paths);
// void WriteFile(path) (creates a file of 256 KiB, mode 644); bool Exists(path); DirectoryState Inode(path)
// (owner, group and mode).
template <class Node>
class ZfsHostContract : public ::testing::Test {
 protected:
  static constexpr char kPool[] = "phxcontract";
  static constexpr char kRun[] = "11111111-2222-4333-8444-555555555555";

  void SetUp() override {
    if (!Node::Available()) GTEST_SKIP() << "this node has no disks to spare";
    node_ = std::make_unique<Node>();
    CleanUp();
  }
  void TearDown() override {
    if (node_) CleanUp();
  }

  ZfsHost& host() { return node_->host(); }
  std::string Disk(size_t index) { return node_->disks().at(index); }
  std::string Name(const std::string& below) { return std::string(kPool) + "/" + below; }
  std::string Path(const std::string& below) { return std::string("/") + kPool + "/" + below; }

  absl::Status Try(const ZfsChange& change) {
    return host().Change(change, [](const ChildIdentity&) { return absl::OkStatus(); });
  }
  void Must(const ZfsChange& change) {
    const absl::Status status = Try(change);
    ASSERT_TRUE(status.ok()) << status;
  }
  ZfsState See(const ObserveRequest& request) {
    const auto state = host().Observe(request);
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() ? *state : ZfsState{};
  }
  ZfsState SeeDisks() {
    ObserveRequest request;
    request.pools = true;
    request.disks = node_->disks();
    return See(request);
  }
  bool Has(const std::string& name) {
    ObserveRequest request;
    request.datasets = {name};
    return See(request).datasets.count(name) != 0;
  }
  DatasetState Dataset(const std::string& name) {
    ObserveRequest request;
    request.datasets = {name};
    const ZfsState state = See(request);
    EXPECT_EQ(state.datasets.count(name), 1u) << name;
    return state.datasets.count(name) == 0 ? DatasetState{} : state.datasets.at(name);
  }
  PropertyState Property(const std::string& name, const std::string& property) {
    const DatasetState dataset = Dataset(name);
    const auto found = dataset.properties.find(property);
    return found == dataset.properties.end() ? PropertyState{"", "", ""} : found->second;
  }
  void MakePool(PropertyMap root = {}) {
    root.emplace(kRunMark, kRun);
    Must(CreatePool{kPool, {{"disk", {Disk(0)}}}, {}, root, false});
  }
  std::string Written(const std::string& name) {
    Must(SyncPool{kPool});
    return Property(name, "written").value;
  }
  uint64_t WrittenSince(const std::string& snapshot) {
    Must(SyncPool{kPool});
    ObserveRequest request;
    request.written_since = {snapshot};
    const ZfsState state = See(request);
    EXPECT_EQ(state.written_since.count(snapshot), 1u) << snapshot;
    return state.written_since.count(snapshot) == 0 ? 0 : state.written_since.at(snapshot);
  }
  void Clear(const DiskState& disk) {
    ClearDisk clear{disk.device_path, disk.size_bytes, {}};
    for (const auto& finding : disk.findings) {
      if (!finding.pool.empty()) clear.labelled.push_back(finding.where);
    }
    Must(clear);
  }
  // As undo does it: what was in force first.
  void PutBack(const ArcState& before) {
    Must(SetArcLive{before.in_force});
    Must(SetArcLive{before.min_in_force, /*minimum=*/true});
    Must(SetArcLive{before.min_live, /*minimum=*/true});
    Must(SetArcLive{*before.live});
    ObserveRequest request;
    request.arc = true;
    const ArcState now = See(request).arc;
    EXPECT_EQ(now.live, before.live);
    EXPECT_EQ(now.in_force, before.in_force);
    EXPECT_EQ(now.min_live, before.min_live);
    EXPECT_EQ(now.min_in_force, before.min_in_force);
  }
  void CleanUp() {
    ZfsState state = SeeDisks();
    if (state.pools.count(kPool) != 0) Must(DestroyPool{kPool});
    state = SeeDisks();
    for (const auto& [path, disk] : state.disks) {
      if (!disk.findings.empty()) Clear(disk);
    }
  }

  std::unique_ptr<Node> node_;
};

TYPED_TEST_SUITE_P(ZfsHostContract);

TYPED_TEST_P(ZfsHostContract, BlankDisksAreBlank) {
  const ZfsState state = this->SeeDisks();
  ASSERT_EQ(state.disks.size(), 4u);
  for (const auto& [path, disk] : state.disks) {
    EXPECT_TRUE(disk.findings.empty())
        << path << ": " << disk.findings[0].where << " " << disk.findings[0].what;
    EXPECT_EQ(disk.member_of, "");
    EXPECT_EQ(disk.in_use, "");
    EXPECT_NE(disk.serial, "");
    EXPECT_GT(disk.size_bytes, uint64_t{64} << 20);
    EXPECT_TRUE(disk.device_path.starts_with("/dev/")) << disk.device_path;
  }
}

// By smartctl; QEMU's NVMe disks have SMART as real ones.
TYPED_TEST_P(ZfsHostContract, DisksSayHowTheyAre) {
  ObserveRequest request;
  request.health = this->node_->disks();
  request.health.push_back("/dev/disk/by-id/nvme-there-is-no-such-disk");
  const ZfsState state = this->See(request);
  EXPECT_EQ(state.health.size(), 4u) << "a disk that is not there says nothing";
  for (const auto& path : this->node_->disks()) {
    ASSERT_EQ(state.health.count(path), 1u) << path;
    const DiskHealth& disk = state.health.at(path);
    EXPECT_EQ(disk.verdict, DiskHealth::Verdict::kPassed) << path << ": " << disk.unknown;
    EXPECT_EQ(disk.critical_warning, 0u) << path;
    ASSERT_TRUE(disk.wear_percent.has_value()) << path;
    EXPECT_LT(*disk.wear_percent, 90u) << path;
    EXPECT_TRUE(disk.temperature_celsius.has_value()) << path;
    EXPECT_TRUE(disk.power_on_hours.has_value()) << path;
  }
  request.health = {"*"};
  EXPECT_GE(this->See(request).health.size(), 4u);
}

TYPED_TEST_P(ZfsHostContract, AMirrorIsSeenAsItWasMade) {
  this->Must(CreatePool{this->kPool,
                        {{"mirror", {this->Disk(0), this->Disk(1)}}},
                        {{"ashift", "12"}},
                        {{"compression", "lz4"}, {std::string(kRunMark), this->kRun}},
                        false});
  const ZfsState state = this->SeeDisks();
  ASSERT_EQ(state.pools.count(this->kPool), 1u);
  const PoolState& pool = state.pools.at(this->kPool);
  EXPECT_EQ(pool.health, "ONLINE");
  EXPECT_NE(pool.guid, 0u);
  EXPECT_EQ(pool.properties.at("ashift").value, "12");
  EXPECT_EQ(pool.data_errors, 0u);
  EXPECT_EQ(pool.properties.count("fragmentation"), 1u);
  const DiskState &first = state.disks.at(this->Disk(0)), &second = state.disks.at(this->Disk(1));
  EXPECT_EQ(ExplainDifference({{"mirror", {first.device_path, second.device_path}}}, pool.layout), "");
  EXPECT_EQ(first.member_of, this->kPool);
  EXPECT_EQ(second.member_of, this->kPool);
  EXPECT_EQ(state.disks.at(this->Disk(2)).member_of, "");
  const DatasetState root = this->Dataset(this->kPool);
  EXPECT_EQ(root.mounted_at, std::string("/") + this->kPool);
  EXPECT_EQ(root.root, (DirectoryState{0, 0, 0755}));
  EXPECT_EQ(root.properties.at("compression"), (PropertyState{"lz4", "local", "-"}));
  EXPECT_EQ(root.LocalValue(kRunMark), this->kRun);
}

// A dRAID is shown with every number, those that were left out too; its distributed spares are no disks.
TYPED_TEST_P(ZfsHostContract, ADraidIsSeenAsItWasMade) {
  const std::vector<std::string> disks = {this->Disk(0), this->Disk(1), this->Disk(2)};
  EXPECT_FALSE(this->Try(CreatePool{this->kPool, {{"draid1:2d:1s", disks}}, {}, {}, false}).ok());
  this->Must(CreatePool{
      this->kPool, {{"draid:1s", disks}}, {{"ashift", "12"}}, {{std::string(kRunMark), this->kRun}}, false});
  const ZfsState state = this->SeeDisks();
  ASSERT_EQ(state.pools.count(this->kPool), 1u);
  std::vector<std::string> devices;
  for (const auto& disk : disks) devices.push_back(state.disks.at(disk).device_path);
  EXPECT_EQ(ExplainDifference({{"draid1:1d:3c:1s", devices}}, state.pools.at(this->kPool).layout), "");
}

TYPED_TEST_P(ZfsHostContract, ADestroyedPoolsDisksAreNotBlankUntilTheyAreCleared) {
  this->MakePool();
  this->Must(DestroyPool{this->kPool});
  EXPECT_FALSE(this->node_->Exists(std::string("/") + this->kPool));
  ZfsState state = this->SeeDisks();
  EXPECT_EQ(state.pools.count(this->kPool), 0u);
  const DiskState disk = state.disks.at(this->Disk(0));
  bool named = false;
  for (const auto& finding : disk.findings) {
    named = named || finding.pool == this->kPool;
    EXPECT_TRUE(finding.zfs_partition || finding.pool == this->kPool) << finding.where << " " << finding.what;
  }
  EXPECT_TRUE(named) << "no probe names the pool";
  this->Clear(disk);
  state = this->SeeDisks();
  for (const auto& finding : state.disks.at(this->Disk(0)).findings)
    ADD_FAILURE() << finding.where << " " << finding.what;
}

TYPED_TEST_P(ZfsHostContract, AUsedDiskIsNotTakenWithoutForce) {
  this->MakePool();
  EXPECT_FALSE(this->Try(CreatePool{"phxother", {{"disk", {this->Disk(0)}}}, {}, {}, false}).ok());
  EXPECT_FALSE(this->Try(CreatePool{this->kPool, {{"disk", {this->Disk(1)}}}, {}, {}, false}).ok());
  const ZfsState state = this->SeeDisks();
  EXPECT_EQ(state.pools.count("phxother"), 0u);
  EXPECT_EQ(state.disks.at(this->Disk(1)).member_of, "");
}

TYPED_TEST_P(ZfsHostContract, ADatasetHasItsPropertiesWithTheirSources) {
  this->MakePool({{"compression", "lz4"}});
  this->Must(CreateDataset{
      this->Name("a"), 0, {{"quota", "1.5G"}, {"recordsize", "16K"}, {"org:note", "two words"}}});
  const DatasetState made = this->Dataset(this->Name("a"));
  EXPECT_EQ(made.type, "filesystem");
  EXPECT_NE(made.guid, 0u);
  EXPECT_EQ(made.properties.at("quota"), (PropertyState{"1610612736", "local", "-"}));
  EXPECT_EQ(made.properties.at("recordsize"), (PropertyState{"16384", "local", "-"}));
  EXPECT_EQ(made.properties.at("org:note"), (PropertyState{"two words", "local", "-"}));
  EXPECT_EQ(made.properties.at("compression"),
            (PropertyState{"lz4", std::string("inherited from ") + this->kPool, "-"}));
  EXPECT_EQ(made.properties.at("sync"), (PropertyState{"standard", "default", "-"}));
  EXPECT_EQ(made.properties.at("refquota"), (PropertyState{"0", "default", "-"}));
  EXPECT_EQ(made.LocalValue(kRunMark), "") << "the pool's mark is inherited, not local";
  EXPECT_EQ(made.Value(kRunMark), this->kRun);
  EXPECT_EQ(made.mounted_at, this->Path("a"));
  EXPECT_EQ(made.root, (DirectoryState{0, 0, 0755}));
}

TYPED_TEST_P(ZfsHostContract, RefusesImpossibleDatasets) {
  this->MakePool();
  this->Must(CreateDataset{this->Name("a"), 0, {}});
  EXPECT_FALSE(this->Try(CreateDataset{this->Name("a"), 0, {}}).ok());
  EXPECT_FALSE(this->Try(CreateDataset{this->Name("none/b"), 0, {}}).ok());
  EXPECT_FALSE(this->Try(CreateDataset{this->Name("c"), 0, {{"quota", "much"}}}).ok());
  EXPECT_FALSE(this->Try(CreateDataset{this->Name("d"), 0, {{"colour", "blue"}}}).ok());
  for (const char* name : {"none", "none/b", "c", "d"}) EXPECT_FALSE(this->Has(this->Name(name))) << name;
}

TYPED_TEST_P(ZfsHostContract, WhatIsMissingIsAbsentNotAnError) {
  EXPECT_FALSE(this->Has(this->kPool));
  EXPECT_FALSE(this->Has(this->Name("a")));
  this->MakePool();
  ObserveRequest request;
  request.datasets = {this->kPool, this->Name("none")};
  request.snapshots = true;
  const ZfsState state = this->See(request);
  EXPECT_EQ(state.datasets.size(), 1u);
  EXPECT_TRUE(state.snapshots.empty());
}

TYPED_TEST_P(ZfsHostContract, SetAndInheritMoveTheSource) {
  this->MakePool({{"compression", "lz4"}});
  const std::string name = this->Name("a");
  this->Must(CreateDataset{name, 0, {}});
  this->Must(SetProperties{
      name, {{"compression", "zstd"}, {"quota", "1G"}, {"canmount", "noauto"}, {"org:x", "1"}}});
  EXPECT_EQ(this->Property(name, "compression"), (PropertyState{"zstd", "local", "-"}));
  EXPECT_EQ(this->Property(name, "quota"), (PropertyState{"1073741824", "local", "-"}));
  EXPECT_EQ(this->Dataset(name).mounted_at, this->Path("a")) << "canmount=noauto leaves the mount alone";
  this->Must(InheritProperty{name, "compression", false});
  EXPECT_EQ(this->Property(name, "compression"),
            (PropertyState{"lz4", std::string("inherited from ") + this->kPool, "-"}));
  EXPECT_FALSE(this->Try(InheritProperty{name, "quota", false}).ok());
  this->Must(InheritProperty{name, "quota", true});
  EXPECT_EQ(this->Property(name, "quota"), (PropertyState{"0", "default", "-"}));
  this->Must(InheritProperty{name, "canmount", true});
  EXPECT_EQ(this->Property(name, "canmount"), (PropertyState{"on", "default", "-"}));
  this->Must(InheritProperty{name, "org:x", false});
  EXPECT_EQ(this->Property(name, "org:x").value, "");
  EXPECT_FALSE(this->Try(SetProperties{name, {{"casesensitivity", "mixed"}}}).ok());
}

TYPED_TEST_P(ZfsHostContract, WhatOthersWriteIsSeen) {
  this->MakePool();
  const std::string name = this->Name("a"), path = this->Path("a");
  this->Must(CreateDataset{name, 0, {}});
  ObserveRequest files;
  files.first_files = {path};
  EXPECT_TRUE(this->See(files).first_files.empty());
  const std::string before = this->Written(name);
  this->Must(SetProperties{name, {{"quota", "1G"}}});
  EXPECT_EQ(this->Written(name), before) << "setting a property writes nothing to the dataset";
  this->node_->WriteFile(path + "/letter");
  EXPECT_NE(this->Written(name), before);
  EXPECT_EQ(this->See(files).first_files.at(path), path + "/letter");
}

TYPED_TEST_P(ZfsHostContract, UnmountingAloneWritesNothing) {
  this->MakePool();
  const std::string name = this->Name("a");
  this->Must(CreateDataset{name, 0, {}});
  this->Must(SetMountRoot{name, this->Path("a"), {0, 0, 0700}});
  const std::string before = this->Written(name);
  ObserveRequest files;
  files.first_files = {this->Path("a")};
  EXPECT_TRUE(this->See(files).first_files.empty());
  this->Must(UnmountDataset{name});
  EXPECT_EQ(this->Written(name), before) << "undo tells by this whether somebody else wrote";
}

TYPED_TEST_P(ZfsHostContract, DestroyNeverTakesMoreThanTheOne) {
  this->MakePool();
  this->Must(CreateDataset{this->Name("a"), 0, {}});
  this->Must(CreateDataset{this->Name("a/b"), 0, {}});
  EXPECT_FALSE(this->Try(DestroyDataset{this->Name("a")}).ok());
  this->Must(DestroyDataset{this->Name("a/b")});
  this->Must(CreateSnapshot{this->Name("a@s"), {}});
  EXPECT_FALSE(this->Try(DestroyDataset{this->Name("a")}).ok());
  EXPECT_TRUE(this->Has(this->Name("a")));
  this->Must(DestroySnapshot{this->Name("a@s")});
  this->Must(DestroyDataset{this->Name("a")});
  EXPECT_FALSE(this->Has(this->Name("a")));
  EXPECT_FALSE(this->node_->Exists(this->Path("a"))) << "ZFS removes a directory that it derived itself";
}

TYPED_TEST_P(ZfsHostContract, ADeclaredMountPointsDirectoryStays) {
  this->MakePool();
  const std::string path = "/mnt/phxcontract-own";
  this->Must(CreateDataset{this->Name("own"), 0, {{"mountpoint", path}}});
  EXPECT_EQ(this->Dataset(this->Name("own")).mounted_at, path);
  this->Must(DestroyDataset{this->Name("own")});
  EXPECT_TRUE(this->node_->Exists(path));
  this->Must(RemoveDirectory{path});
  EXPECT_FALSE(this->node_->Exists(path));
}

TYPED_TEST_P(ZfsHostContract, AChangedMountPointMovesTheMount) {
  this->MakePool();
  const std::string path = "/mnt/phxcontract-moved";
  this->Must(CreateDataset{this->Name("a"), 0, {}});
  this->Must(SetProperties{this->Name("a"), {{"mountpoint", path}}});
  EXPECT_EQ(this->Dataset(this->Name("a")).mounted_at, path);
  this->Must(InheritProperty{this->Name("a"), "mountpoint", false});
  EXPECT_EQ(this->Dataset(this->Name("a")).mounted_at, this->Path("a"));
  this->Must(RemoveDirectory{path});
}

TYPED_TEST_P(ZfsHostContract, ARenamedDatasetStaysUnmountedUntilItIsMounted) {
  this->MakePool();
  this->Must(CreateDataset{this->Name("a"), 0, {{"quota", "1G"}}});
  this->node_->WriteFile(this->Path("a/letter"));
  this->Must(CreateDataset{this->Name(".phoenix"), 0, {{"canmount", "off"}, {"mountpoint", "none"}}});
  this->Must(UnmountDataset{this->Name("a")});
  this->Must(SetProperties{this->Name("a"), {{"canmount", "noauto"}}});
  this->Must(RenameDataset{this->Name("a"), this->Name(".phoenix/a")});
  const DatasetState aside = this->Dataset(this->Name(".phoenix/a"));
  EXPECT_EQ(aside.mounted_at, "");
  EXPECT_EQ(aside.Value("quota"), "1073741824");
  EXPECT_FALSE(this->Has(this->Name("a")));
  this->Must(RenameDataset{this->Name(".phoenix/a"), this->Name("a")});
  EXPECT_EQ(this->Dataset(this->Name("a")).guid, aside.guid);
  EXPECT_EQ(this->Dataset(this->Name("a")).mounted_at, "");
  this->Must(InheritProperty{this->Name("a"), "canmount", true});
  this->Must(MountDataset{this->Name("a")});
  EXPECT_TRUE(this->node_->Exists(this->Path("a/letter")));
  EXPECT_FALSE(this->Try(RenameDataset{this->Name("a"), this->Name(".phoenix")}).ok());
}

TYPED_TEST_P(ZfsHostContract, AVolumeIsNotMounted) {
  this->MakePool();
  this->Must(CreateDataset{this->Name("v"), uint64_t{16} << 20, {{"compression", "lz4"}}});
  const DatasetState volume = this->Dataset(this->Name("v"));
  EXPECT_EQ(volume.type, "volume");
  EXPECT_EQ(volume.Value("volsize"), "16777216");
  EXPECT_EQ(volume.mounted_at, "");
  const std::string written = this->Written(this->Name("v"));
  this->Must(SetProperties{this->Name("v"), {{std::string(kWrittenMark), written}}});
  EXPECT_EQ(this->Written(this->Name("v")), written);
  this->Must(DestroyDataset{this->Name("v")});
}

// Who has it open would write on into what is in the trash, or be left with nothing. Snapshots change nothing
// of that.
TYPED_TEST_P(ZfsHostContract, AVolumeThatIsOpenStaysWhereItIs) {
  this->MakePool();
  this->Must(CreateDataset{this->Name("a"), 0, {}});
  this->Must(CreateDataset{this->Name("a/v"), uint64_t{16} << 20, {}});
  this->Must(CreateDataset{this->Name(".phoenix"), 0, {{"canmount", "off"}, {"mountpoint", "none"}}});
  const RenameDataset aside{this->Name("a/v"), this->Name(".phoenix/v"), true, true};
  for (const bool with_snapshot : {false, true}) {
    if (with_snapshot) this->Must(CreateSnapshot{this->Name("a/v@before"), {}});
    auto opened = this->node_->Opened(this->Name("a/v"));
    for (const ZfsChange& change :
         std::vector<ZfsChange>{aside, RenameDataset{this->Name("a"), this->Name(".phoenix/a"), false, true},
                                ExportPool{this->kPool}, DestroyPool{this->kPool}}) {
      EXPECT_THAT(std::string(this->Try(change).message()), ::testing::HasSubstr("a/v is open"));
    }
    EXPECT_TRUE(this->Has(this->Name("a/v")));
    EXPECT_EQ(this->Dataset(this->Name("a")).mounted_at, this->Path("a"));
    opened.reset();
    this->Must(aside);
    EXPECT_FALSE(this->Has(this->Name("a/v")));
    this->Must(RenameDataset{this->Name(".phoenix/v"), this->Name("a/v"), true});
  }
  EXPECT_FALSE(this->Try(RenameDataset{this->Name("a/v"), this->Name(".phoenix/v")}).ok())
      << "file systems only are renamed without their mounts";
}

// Each is printed by another word than the one that was given, or by a number that is not taken.
TYPED_TEST_P(ZfsHostContract, WhatIsPrintedOtherwiseCanBeSetAgain) {
  this->MakePool();
  this->Must(CreateDataset{
      this->Name("a"), 0, {{"quota", "0"}, {"volmode", "geom"}, {"compression", "zstd-fast-1"}}});
  const DatasetState made = this->Dataset(this->Name("a"));
  for (const auto& [name, given] :
       PropertyMap{{"quota", "none"}, {"volmode", "geom"}, {"compression", "zstd-fast-1"}}) {
    EXPECT_EQ(made.Value(name), CanonicalValue(name, given).value()) << name;
    EXPECT_EQ(made.properties.at(name).source, "local") << name;
    this->Must(SetProperties{this->Name("a"), {{name, made.Value(name)}}});
  }
}

TYPED_TEST_P(ZfsHostContract, PathsAreSeenAsTheyAre) {
  const std::string path = "/mnt/phxcontract-directory";
  ObserveRequest request;
  request.paths = {path, path + "/below", "/mnt"};
  ZfsState state = this->See(request);
  EXPECT_FALSE(state.paths.at(path).directory.has_value());
  EXPECT_FALSE(state.paths.at(path + "/below").directory.has_value());
  this->Must(MakeDirectory{path, {0, 0, 0750}});
  this->Must(MakeDirectory{path, {0, 0, 0755}});
  this->Must(MakeDirectory{path + "/below", {0, 0, 0755}});
  state = this->See(request);
  EXPECT_EQ(state.paths.at(path).directory, (DirectoryState{0, 0, 0750})) << "what is there is left as it is";
  EXPECT_THAT(state.paths.at(path).entries, ::testing::ElementsAre("below"));
  EXPECT_FALSE(this->Try(RemoveDirectory{path}).ok());
  this->Must(RemoveDirectory{path + "/below"});
  this->Must(RemoveDirectory{path});
  this->Must(RemoveDirectory{path});
}

TYPED_TEST_P(ZfsHostContract, NamesBecomeNumbers) {
  ObserveRequest request;
  request.users = {"root", "phxnobodyhasthis"};
  request.groups = {"root", "phxnobodyhasthis"};
  const ZfsState state = this->See(request);
  EXPECT_EQ(state.users.at("root"), 0u);
  EXPECT_EQ(state.groups.at("root"), 0u);
  EXPECT_EQ(state.users.count("phxnobodyhasthis") + state.groups.count("phxnobodyhasthis"), 0u);
}

TYPED_TEST_P(ZfsHostContract, NumbersBecomeNames) {
  this->MakePool();
  this->Must(CreateDataset{this->Name("named"), 0, {}});
  this->Must(CreateDataset{this->Name("nameless"), 0, {}});
  this->Must(
      SetMountRoot{this->Name("nameless"), this->Path("nameless"), {3'999'999'999, 3'999'999'999, 0755}});
  ObserveRequest request;
  request.datasets = {this->Name("named"), this->Name("nameless")};
  EXPECT_EQ(this->See(request).datasets.at(this->Name("named")).owner, "") << "only where it was asked for";
  request.owners = true;
  const ZfsState state = this->See(request);
  EXPECT_EQ(state.datasets.at(this->Name("named")).owner, "root");
  EXPECT_EQ(state.datasets.at(this->Name("named")).group, "root");
  EXPECT_EQ(state.datasets.at(this->Name("nameless")).owner, "");
  EXPECT_EQ(state.datasets.at(this->Name("nameless")).root->uid, 3'999'999'999u);
}

TYPED_TEST_P(ZfsHostContract, APoolsDisksHaveNamesThatStay) {
  this->MakePool();
  ObserveRequest request;
  request.pools = request.links = true;
  ZfsState state = this->See(request);
  const std::string device = state.pools.at(this->kPool).layout.at(0).disks.at(0);
  ASSERT_EQ(state.links.count(device), 1u) << device;
  const std::string link = state.links.at(device);
  EXPECT_TRUE(link.starts_with("/dev/disk/by-id/")) << link;
  // It is the very disk.
  request.disks = {link};
  state = this->See(request);
  ASSERT_EQ(state.disks.count(link), 1u) << link;
  EXPECT_EQ(state.disks.at(link).device_path, device);
  EXPECT_EQ(state.disks.at(link).member_of, this->kPool);
}

TYPED_TEST_P(ZfsHostContract, TheArcLimitIsWrittenAndRead) {
  ObserveRequest request;
  request.arc = true;
  const ArcState before = this->See(request).arc;
  ASSERT_TRUE(before.live.has_value());
  EXPECT_GT(before.memory_bytes, 0u);
  this->Must(SetArcLive{uint64_t{128} << 20, /*minimum=*/true});
  this->Must(SetArcLive{uint64_t{256} << 20});
  EXPECT_EQ(this->See(request).arc.live, uint64_t{256} << 20);
  EXPECT_EQ(this->See(request).arc.in_force, uint64_t{256} << 20);
  // A 0 is written down, and the limit stays.
  this->Must(SetArcLive{0});
  EXPECT_EQ(this->See(request).arc.live, 0u);
  EXPECT_EQ(this->See(request).arc.in_force, uint64_t{256} << 20);
  this->PutBack(before);
}

TYPED_TEST_P(ZfsHostContract, AnArcLimitThatIsNotAboveTheMinimumIsIgnored) {
  ObserveRequest request;
  request.arc = true;
  const ArcState before = this->See(request).arc;
  constexpr uint64_t kLimit = uint64_t{256} << 20;
  ASSERT_GT(before.in_force, kLimit);
  this->Must(SetArcLive{kLimit, /*minimum=*/true});
  EXPECT_EQ(this->See(request).arc.min_in_force, kLimit);
  this->Must(SetArcLive{kLimit});
  EXPECT_EQ(this->See(request).arc.live, kLimit) << "it is written down";
  EXPECT_EQ(this->See(request).arc.in_force, before.in_force) << "and has no effect";
  this->Must(SetArcLive{kLimit / 2, /*minimum=*/true});
  this->Must(SetArcLive{kLimit});
  EXPECT_EQ(this->See(request).arc.min_in_force, kLimit / 2);
  EXPECT_EQ(this->See(request).arc.in_force, kLimit);
  this->PutBack(before);
}

TYPED_TEST_P(ZfsHostContract, AnObserverThatRefusesKeepsTheToolFromStarting) {
  this->MakePool();
  absl::Status refusal = absl::AbortedError("the journal is full");
  const absl::Status status = this->host().Change(CreateDataset{this->Name("a"), 0, {}},
                                                  [&](const ChildIdentity&) { return refusal; });
  EXPECT_EQ(status, refusal);
  EXPECT_FALSE(this->Has(this->Name("a")));
}

REGISTER_TYPED_TEST_SUITE_P(ZfsHostContract, DisksSayHowTheyAre, BlankDisksAreBlank, AMirrorIsSeenAsItWasMade,
                            ADraidIsSeenAsItWasMade, ADestroyedPoolsDisksAreNotBlankUntilTheyAreCleared,
                            AUsedDiskIsNotTakenWithoutForce, ADatasetHasItsPropertiesWithTheirSources,
                            RefusesImpossibleDatasets, WhatIsMissingIsAbsentNotAnError,
                            SetAndInheritMoveTheSource, WhatOthersWriteIsSeen, UnmountingAloneWritesNothing,
                            DestroyNeverTakesMoreThanTheOne, ADeclaredMountPointsDirectoryStays,
                            AChangedMountPointMovesTheMount, ARenamedDatasetStaysUnmountedUntilItIsMounted,
                            AVolumeIsNotMounted, AVolumeThatIsOpenStaysWhereItIs,
                            WhatIsPrintedOtherwiseCanBeSetAgain, PathsAreSeenAsTheyAre, NamesBecomeNumbers,
                            NumbersBecomeNames, APoolsDisksHaveNamesThatStay, TheArcLimitIsWrittenAndRead,
                            AnArcLimitThatIsNotAboveTheMinimumIsIgnored,
                            AnObserverThatRefusesKeepsTheToolFromStarting);

}  // namespace phoenix::zfs
