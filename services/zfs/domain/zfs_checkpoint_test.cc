#include "services/zfs/domain/zfs_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kDay = 86400, kNow = 100 * kDay;
constexpr uint64_t kGiB = uint64_t{1} << 30;

DatasetState FileSystem(const std::string& name) {
  return {.name = name, .type = "filesystem", .guid = std::hash<std::string>()(name)};
}

TEST(ZfsNames, ACheckpointNamesItsRunAndNothingElseDoes) {
  EXPECT_EQ(CheckpointOf("tank/a", "r1"), "tank/a@phoenix-run-r1");
  EXPECT_EQ(WrongSnapshotName(CheckpointOf("tank/a", "7c2e5b3e-6d6b-4d34-9a41-9b5a4f2e8f01")), "");
  EXPECT_EQ(RunOfCheckpoint("tank/a@phoenix-run-r1"), "r1");
  EXPECT_EQ(RunOfCheckpoint(ContentSnapshotOf("tank/a", "r1")), "r1");
  for (const char* other : {"tank/a@before", "tank/phoenix-run-r1", "tank/phoenix-run-r1@x", "", "tank@"}) {
    EXPECT_EQ(RunOfCheckpoint(other), "") << other;
  }
  EXPECT_EQ(TrashedSnapshot("tank/a@before", "r1"), "tank/a@phoenix-trash:r1:before");
  EXPECT_EQ(RunOfTrashedSnapshot("tank/a@phoenix-trash:r1:before"), "r1");
  EXPECT_EQ(RunOfTrashedSnapshot("tank/a@phoenix-run-r1"), "");
}

TEST(ZfsNames, GuestVolumesAreKnownByTheirNames) {
  for (const char* guest :
       {"tank/vm-100-disk-0", "tank/x/base-9000-disk-1", "tank/subvol-101-disk-0", "tank/basevol-101-disk-0",
        "tank/vm-100-cloudinit", "tank/vm-100-state-before", "tank/subvol-101-disk-0/below"}) {
    EXPECT_TRUE(IsGuestVolume(guest)) << guest;
  }
  for (const char* other : {"tank", "tank/vm-disks", "tank/vm-100", "tank/base-", "tank/my-vm-100-disk-0",
                            "tank/subvol--1", "tank/vm-1x0-disk"}) {
    EXPECT_FALSE(IsGuestVolume(other)) << other;
  }
}

TEST(DatasetsToCheckpoint, AreThoseThatAreThereAndChange) {
  ZfsState seen;
  for (const char* name : {"tank", "tank/set", "tank/mounted", "tank/root", "tank/gone", "tank/other",
                           "tank/tree", "tank/snapped", "tank/subvol-100-disk-0", "tank/vol"}) {
    seen.datasets[name] = FileSystem(name);
  }
  seen.datasets["tank/vol"].type = "volume";
  const std::vector<ZfsStep> steps = {
      DeleteDatasetStep{"tank/gone", 1, "/tank/gone"},
      SetPropertiesStep{"tank/set", {{"quota", "1G"}}},
      SetMountRootStep{"tank/set", "/tank/set", {"root", "", ""}},
      MountStep{"tank/mounted", "/tank/mounted"},
      SetMountRootStep{"tank/root", "/tank/root", {"root", "", ""}},
      // It takes its own, between which nothing may come.
      ChangeContentStep{.name = "tank/tree", .mountpoint = "/tank/tree", .tree = RootWish{"root", "", ""}},
      SetPropertiesStep{"tank/tree", {{"quota", "1G"}}},
      SetPropertiesStep{"tank/subvol-100-disk-0", {{"quota", "1G"}}},
      SetPropertiesStep{"tank/vol", {{"compression", "lz4"}}},
      // It comes only with the run, and so has nothing to lose.
      CreateDatasetStep{.name = "tank/new"},
      SetMountRootStep{"tank/new", "/tank/new", {"root", "", ""}},
      CreatePoolStep{.name = "fresh"},
      CreateSnapshotStep{"tank/snapped@x"},
      DeleteSnapshotStep{"tank/snapped@y", 2},
      MakeDirectoryStep{"/srv"},
      SetArcLimitStep{kGiB},
  };
  EXPECT_THAT(DatasetsToCheckpoint({steps, {}}, seen),
              ElementsAre("tank/gone", "tank/mounted", "tank/root", "tank/set"));
  EXPECT_THAT(DatasetsToCheckpoint({}, seen), IsEmpty());
}

// A root file system on ZFS, a pool with datasets below each other, and an ext4 disk mounted among them.
class WrittenTest : public ::testing::Test {
 protected:
  WrittenTest() {
    Mount("rpool/ROOT/pve-1", "/");
    Mount("tank", "/tank");
    Mount("tank/media", "/tank/media");
    Mount("tank/mediabox", "/tank/mediabox");
    Mount("tank/deep", "/tank/media/deep");
    Mount("tank/subvol-100-disk-0", "/tank/subvol-100-disk-0");
    Mount("tank/unmounted", "");
    // Other file systems: in the root, and in a folder of a dataset.
    seen_.mount_points.insert({"/mnt/disk", "/tank/media/usb"});
  }
  void Mount(const std::string& name, const std::string& at) {
    seen_.datasets[name] = FileSystem(name);
    seen_.datasets[name].mounted_at = at;
    if (!at.empty()) seen_.mount_points.insert(at);
  }
  std::vector<std::string> Of(const std::string& path, std::vector<ZfsStep> steps = {}) {
    return DatasetsToCheckpoint({std::move(steps), {path}}, seen_);
  }
  ZfsState seen_;
};

TEST_F(WrittenTest, TheDeepestMountPointAtOrAboveHoldsAPath) {
  EXPECT_THAT(Of("/tank/media"), ElementsAre("tank/media"));
  EXPECT_THAT(Of("/tank/media/dump"), ElementsAre("tank/media"));
  EXPECT_THAT(Of("/tank/media/deep/x/y"), ElementsAre("tank/deep"));
  EXPECT_THAT(Of("/tank/mediabo"), ElementsAre("tank")) << "by component, not by letters";
  EXPECT_THAT(Of("/tank/unmounted"), ElementsAre("tank")) << "what is not mounted holds nothing";
  EXPECT_THAT(Of("/srv/iso"), ElementsAre("rpool/ROOT/pve-1"));
  EXPECT_THAT(Of("/"), ElementsAre("rpool/ROOT/pve-1"));
}

TEST_F(WrittenTest, WhatLiesOnAnotherFileSystemIsInNoDataset) {
  EXPECT_THAT(Of("/mnt/disk"), IsEmpty());
  EXPECT_THAT(Of("/mnt/disk/iso"), IsEmpty());
  EXPECT_THAT(Of("/tank/media/usb/dump"), IsEmpty());
  seen_.datasets.erase("rpool/ROOT/pve-1");
  EXPECT_THAT(Of("/srv/iso"), IsEmpty());
}

TEST_F(WrittenTest, NothingOfGuests) {
  EXPECT_THAT(Of("/tank/subvol-100-disk-0/dump"), IsEmpty()) << "nor of the dataset above it";
}

// The folders go into what the run makes and mounts there, not into what is beneath.
TEST_F(WrittenTest, WhatTheRunItselfMountsThereIsNewOrTouchedByItsStep) {
  EXPECT_THAT(Of("/tank/new", {CreateDatasetStep{.name = "tank/new", .mountpoint = "/tank/new"}}), IsEmpty());
  EXPECT_THAT(Of("/new/iso", {CreatePoolStep{.name = "new", .mountpoint = "/new"}}), IsEmpty());
  EXPECT_THAT(Of("/tank/unmounted/x", {MountStep{"tank/unmounted", "/tank/unmounted"}}),
              ElementsAre("tank/unmounted"));
  EXPECT_THAT(Of("/srv/x", {SetPropertiesStep{"tank/media", {{"mountpoint", "/srv"}}}}),
              ElementsAre("tank/media"));
  EXPECT_THAT(Of("/tank/media", {CreateDatasetStep{.name = "tank/new", .mountpoint = "/tank/new"}}),
              ElementsAre("tank/media"));
  // Where the run that made it is taken back it is there, and must go without a snapshot in its way.
  EXPECT_THAT(Of("/tank/media", {CreateDatasetStep{.name = "tank/media", .mountpoint = "/tank/media"}}),
              IsEmpty());
}

TEST_F(WrittenTest, ADatasetThatIsChangedAndWrittenIntoIsTakenOnce) {
  const std::vector<ZfsStep> steps = {SetPropertiesStep{"tank/media", {{"quota", "1G"}}}};
  EXPECT_THAT(DatasetsToCheckpoint({steps, {"/tank/media", "/tank/media/dump", "/tank"}}, seen_),
              ElementsAre("tank", "tank/media"));
}

// A node whose pool is half full, with tank/a and tank/b.
class WhatToReapTest : public ::testing::Test {
 protected:
  WhatToReapTest() {
    seen_.pools["tank"] = {.name = "tank", .size_bytes = 1000 * kGiB, .free_bytes = 500 * kGiB};
    for (const char* name : {"tank", "tank/a", "tank/b"}) seen_.datasets[name] = FileSystem(name);
  }
  // A checkpoint that is `days` old.
  SnapshotState& Checkpoint(const std::string& dataset, const std::string& run, double days,
                            uint64_t used = 0) {
    const std::string name = CheckpointOf(dataset, run);
    SnapshotState& snapshot = seen_.snapshots[name];
    snapshot = {.name = name, .guid = 1, .used_bytes = used, .run = run};
    snapshot.creation_seconds = kNow - static_cast<int64_t>(days * kDay);
    return snapshot;
  }
  SnapshotState& Other(const std::string& name) {
    seen_.snapshots[name] = {.name = name, .guid = 2, .creation_seconds = kNow - 50 * kDay};
    return seen_.snapshots[name];
  }
  // A dataset that lies in the trash since `days`; below 0: its run is still open.
  DatasetState& Trash(const std::string& run, const std::string& name, double days, uint64_t used = 0) {
    DatasetState& dataset = seen_.datasets[name];
    dataset = FileSystem(name);
    dataset.properties[std::string(kTrashMark)] = {run, "local", "-"};
    dataset.properties["used"] = {std::to_string(used), "-", "-"};
    if (days >= 0) {
      dataset.properties[std::string(kCommittedMark)] = {
          std::to_string(kNow - static_cast<int64_t>(days * kDay)), "local", "-"};
    }
    return dataset;
  }
  Reaping Judge() { return WhatToReap(seen_, retention_, kNow); }
  std::vector<std::string> Reaped() {
    std::vector<std::string> names;
    for (const Reap& one : Judge().reap) names.push_back(one.name);
    return names;
  }

  ZfsState seen_;
  Retention retention_;
};

TEST_F(WhatToReapTest, NothingIsTheAnswerOnAFreshNode) {
  EXPECT_THAT(WhatToReap({}, retention_, kNow).reap, IsEmpty());
  Checkpoint("tank/a", "r1", 1);
  Other("tank/a@daily");
  EXPECT_THAT(Judge().reap, IsEmpty());
  EXPECT_THAT(Judge().left, IsEmpty());
}

TEST_F(WhatToReapTest, TheNewestThreeRunsStay) {
  for (int run = 1; run <= 5; ++run) {
    Checkpoint("tank/a", "r" + std::to_string(run), 6 - run);
    if (run != 4) Checkpoint("tank/b", "r" + std::to_string(run), 6 - run);
  }
  EXPECT_THAT(Reaped(), ElementsAre("tank/a@phoenix-run-r1", "tank/a@phoenix-run-r2", "tank/b@phoenix-run-r1",
                                    "tank/b@phoenix-run-r2"));
  EXPECT_THAT(Judge().reap[0].why, HasSubstr("the newest 3 runs are kept"));
  retention_.runs = 0;
  EXPECT_EQ(Reaped().size(), 9u);
}

TEST_F(WhatToReapTest, AnOpenRunIsNeitherTakenNorCounted) {
  for (int run = 1; run <= 3; ++run) Checkpoint("tank/a", "r" + std::to_string(run), 6 - run);
  SnapshotState& open = Checkpoint("tank/a", "open", 0);
  open.holds = 1;
  open.tags = {HoldOf("open")};
  EXPECT_THAT(Judge().reap, IsEmpty());
  EXPECT_THAT(Judge().left, IsEmpty());
  // Not even in need, or when it has been open for long; but then it is named.
  open.creation_seconds = kNow - 30 * kDay;
  seen_.pools["tank"].free_bytes = 0;
  for (const auto& name : Reaped()) EXPECT_THAT(name, ::testing::Not(HasSubstr("open")));
  ASSERT_EQ(Judge().left.size(), 1u);
  EXPECT_THAT(Judge().left[0].why, AllOf(HasSubstr("run open has held it for 30.0 days"),
                                         HasSubstr("zfs release phoenix:open tank/a@phoenix-run-open")));
}

TEST_F(WhatToReapTest, NothingStaysLongerThanSevenDays) {
  Checkpoint("tank/a", "r1", 7.01);
  Checkpoint("tank/b", "r2", 6.99);
  Checkpoint("tank/b", "future", -3);  // the clock was set back
  EXPECT_THAT(Reaped(), ElementsAre("tank/a@phoenix-run-r1"));
}

TEST_F(WhatToReapTest, OnlyWhatCarriesBothNameAndMarkIsOurs) {
  Other("tank/a@daily");
  Checkpoint("tank/a", "nomark", 50).run = "";
  Checkpoint("tank/a", "othermark", 50).run = "r9";
  Other("tank/a@before").run = "r1";  // made by a run because somebody asked for it
  EXPECT_THAT(Judge().reap, IsEmpty());
  EXPECT_THAT(Judge().left, IsEmpty());
}

TEST_F(WhatToReapTest, WhatIsKeptIsNeverTaken) {
  const std::string kept = KeptOf("tank/a", "r1") + "/a";
  seen_.datasets[kept] = FileSystem(kept);
  Checkpoint(kept, "r1", 50, 900 * kGiB);
  seen_.datasets[kept].properties[std::string(kTrashMark)] = {"r1", "local", "-"};
  seen_.datasets[kept].properties[std::string(kCommittedMark)] = {"1", "local", "-"};
  seen_.pools["tank"].free_bytes = 0;
  EXPECT_THAT(Judge().reap, IsEmpty());
}

TEST_F(WhatToReapTest, WhatSomebodyHoldsOrClonedIsLeftAndNamed) {
  SnapshotState& held = Checkpoint("tank/a", "r1", 8);
  held.holds = 1;
  held.tags = {"backup"};
  Checkpoint("tank/b", "r1", 8).clones = {"tank/clone"};
  EXPECT_THAT(Judge().reap, IsEmpty());
  EXPECT_THAT(Judge().left,
              ElementsAre(AllOf(Field(&Reap::name, "tank/a@phoenix-run-r1"),
                                Field(&Reap::why, HasSubstr("but it is held by backup"))),
                          AllOf(Field(&Reap::name, "tank/b@phoenix-run-r1"),
                                Field(&Reap::why, HasSubstr("but it was cloned to tank/clone")))));
  // While it may stay anyway nobody has to hear of it.
  held.creation_seconds = seen_.snapshots["tank/b@phoenix-run-r1"].creation_seconds = kNow;
  EXPECT_THAT(Judge().left, IsEmpty());
}

TEST_F(WhatToReapTest, TheOldestGoUntilFivePercentOfAQuotaAreEnough) {
  seen_.datasets["tank/a"].properties["quota"] = {std::to_string(100 * kGiB), "local", "-"};
  Checkpoint("tank/a", "r1", 3, 2 * kGiB);
  Checkpoint("tank/a", "r2", 2, 2 * kGiB);
  Checkpoint("tank/b", "r3", 1, 50 * kGiB);  // no quota counts it
  EXPECT_THAT(Reaped(), IsEmpty());
  Checkpoint("tank/a", "r3", 1, 3 * kGiB);
  EXPECT_THAT(Reaped(), ElementsAre("tank/a@phoenix-run-r1"));
  EXPECT_THAT(Judge().reap[0].why, HasSubstr("more than 5 % of the quota of tank/a"));
  Checkpoint("tank/a", "r3", 1, 6 * kGiB);
  EXPECT_EQ(Reaped().size(), 3u);
}

TEST_F(WhatToReapTest, AQuotaAboveCountsWhatIsBelow) {
  seen_.datasets["tank"].properties["quota"] = {std::to_string(100 * kGiB), "local", "-"};
  Checkpoint("tank/a", "r1", 2, 3 * kGiB);
  Checkpoint("tank/b", "r1", 2, 3 * kGiB);
  EXPECT_THAT(Reaped(), ElementsAre("tank/a@phoenix-run-r1"));
}

// A file that was deleted after two snapshots is held by both, and so counts for neither alone.
TEST_F(WhatToReapTest, WhatSnapshotsHoldTogetherCountsWhereAllAreOurs) {
  seen_.datasets["tank/a"].properties["quota"] = {std::to_string(100 * kGiB), "local", "-"};
  seen_.datasets["tank/a"].properties["usedbysnapshots"] = {std::to_string(60 * kGiB), "-", "-"};
  Checkpoint("tank/a", "r1", 2);
  Checkpoint("tank/a", "r2", 1);
  EXPECT_EQ(Reaped().size(), 2u);
  Other("tank/a@daily");
  EXPECT_THAT(Reaped(), IsEmpty()) << "what others' snapshots hold is not ours to free";
}

TEST_F(WhatToReapTest, AFullPoolTakesTheOldestFirst) {
  Checkpoint("tank/a", "r1", 3, 60 * kGiB);
  Trash("d1", "tank/.phoenix/trash/d1/old", 2, 60 * kGiB);
  Checkpoint("tank/a", "r2", 1, 60 * kGiB);
  seen_.pools["tank"].free_bytes = 200 * kGiB;
  EXPECT_THAT(Reaped(), IsEmpty());
  seen_.pools["tank"].free_bytes = 100 * kGiB;
  EXPECT_THAT(Reaped(), ElementsAre("tank/a@phoenix-run-r1", "tank/.phoenix/trash/d1/old"));
  EXPECT_THAT(Judge().reap[0].why, HasSubstr("pool tank is more than 80 % full"));
  // What is being freed already is not freed twice.
  seen_.pools["tank"].properties["freeing"] = {std::to_string(60 * kGiB), "-", "-"};
  EXPECT_THAT(Reaped(), ElementsAre("tank/a@phoenix-run-r1"));
  seen_.pools["tank"].properties["freeing"] = {std::to_string(100 * kGiB), "-", "-"};
  EXPECT_THAT(Reaped(), IsEmpty());
  // Another pool's need is not this one's.
  seen_.pools["other"] = {.name = "other", .size_bytes = kGiB, .free_bytes = 0};
  EXPECT_THAT(Reaped(), IsEmpty());
}

TEST_F(WhatToReapTest, TheTrashGoesByAgeOnceItsRunIsCommittedAndNotByCount) {
  for (int run = 1; run <= 5; ++run) {
    const std::string id = "d" + std::to_string(run);
    Trash(id, "tank/.phoenix/trash/" + id + "/x", run);
  }
  Trash("open", "tank/.phoenix/trash/open/x", -1);
  EXPECT_THAT(Reaped(), IsEmpty());
  Trash("d1", "tank/.phoenix/trash/d1/x", 7.5);
  EXPECT_THAT(Reaped(), ElementsAre("tank/.phoenix/trash/d1/x"));
  seen_.pools["tank"].free_bytes = 0;
  for (const auto& name : Reaped()) EXPECT_NE(name, "tank/.phoenix/trash/open/x");
  EXPECT_EQ(Reaped().size(), 5u);
}

TEST_F(WhatToReapTest, MarksThatAreInheritedOrElsewhereMarkNothing) {
  Trash("d1", "tank/.phoenix/trash/d1/x", 8).properties[std::string(kCommittedMark)].source =
      "inherited from tank/.phoenix";
  Trash("d2", "tank/c", 8);
  Trash("d2", "tank/.phoenix/trash/d3/x", 8);
  EXPECT_THAT(Judge().reap, IsEmpty());
}

TEST_F(WhatToReapTest, ATrashedDatasetTakesOurSnapshotsWithItAndNobodyElses) {
  const std::string name = "tank/.phoenix/trash/d1/x";
  Trash("d1", name, 8);
  Checkpoint(name, "d1", 8);
  Checkpoint(name, "r0", 1);
  EXPECT_THAT(Reaped(), ElementsAre(name + "@phoenix-run-d1", name + "@phoenix-run-r0", name));
  for (const char* obstacle : {"snapshot", "hold", "clone", "child", "mount"}) {
    SCOPED_TRACE(obstacle);
    const ZfsState before = seen_;
    const std::string kind = obstacle;
    if (kind == "snapshot") Other(name + "@theirs");
    if (kind == "hold") Checkpoint(name, "r0", 1).holds = 1;
    if (kind == "clone") Checkpoint(name, "r0", 1).clones = {"tank/clone"};
    if (kind == "child") seen_.datasets[name + "/child"] = FileSystem(name + "/child");
    if (kind == "mount") seen_.datasets[name].mounted_at = "/mnt";
    EXPECT_THAT(Judge().reap, IsEmpty());
    EXPECT_THAT(Judge().left, ElementsAre(Field(&Reap::name, name)));
    seen_ = before;
  }
}

TEST_F(WhatToReapTest, ADeletedSnapshotGoesAsSoonAsNobodyHoldsItAnyMore) {
  SnapshotState& trashed = Other("tank/a@phoenix-trash:d1:before");
  EXPECT_THAT(Reaped(), IsEmpty()) << "its run may still be open";
  trashed.committed_seconds = kNow;
  EXPECT_THAT(Reaped(), ElementsAre("tank/a@phoenix-trash:d1:before"));
  trashed.holds = 1;
  EXPECT_THAT(Reaped(), IsEmpty());
  EXPECT_EQ(Judge().left.size(), 1u);
}

}  // namespace
}  // namespace phoenix::zfs
