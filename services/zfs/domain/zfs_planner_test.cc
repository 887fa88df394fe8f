#include "services/zfs/domain/zfs_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/zfs/domain/zfs_names.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kA[] = "/dev/disk/by-id/nvme-A", kB[] = "/dev/disk/by-id/nvme-B",
               kC[] = "/dev/disk/by-id/nvme-C", kD[] = "/dev/disk/by-id/nvme-D";

DiskState Disk(const std::string& path, const std::string& device) {
  return {
      .path = path, .device_path = device, .serial = path.substr(path.rfind('-') + 1), .size_bytes = 1 << 30};
}

DatasetState Dataset(const std::string& name, PropertyStates properties, const std::string& mounted_at) {
  DatasetState dataset{.name = name, .type = "filesystem", .guid = std::hash<std::string>()(name)};
  dataset.properties = std::move(properties);
  dataset.properties.emplace("mountpoint", PropertyState{"/" + name, "default", "-"});
  dataset.properties.emplace("canmount", PropertyState{"on", "default", "-"});
  dataset.mounted_at = mounted_at;
  if (!mounted_at.empty()) dataset.root = DirectoryState{0, 0, 0755};
  return dataset;
}

// A node with pool tank (a mirror of A and B), tank/data, and the blank disks C and D.
ZfsState Seen() {
  ZfsState seen;
  seen.pools["tank"] = {
      .name = "tank", .guid = 7, .health = "ONLINE", .layout = {{"mirror", {"/dev/sda", "/dev/sdb"}}}};
  seen.datasets["tank"] = Dataset("tank", {}, "/tank");
  seen.datasets["tank/data"] = Dataset("tank/data",
                                       {{"quota", {"10737418240", "local", "-"}},
                                        {"compression", {"lz4", "inherited from tank", "-"}},
                                        {"casesensitivity", {"sensitive", "-", "-"}},
                                        {"recordsize", {"131072", "default", "-"}}},
                                       "/tank/data");
  seen.disks[kA] = Disk(kA, "/dev/sda");
  seen.disks[kB] = Disk(kB, "/dev/sdb");
  seen.disks[kA].member_of = seen.disks[kB].member_of = "tank";
  seen.disks[kC] = Disk(kC, "/dev/sdc");
  seen.disks[kD] = Disk(kD, "/dev/sdd");
  seen.groups = {{"root", 0}, {"heads", 1000}};
  seen.users = {{"root", 0}};
  seen.arc.live = 0;
  seen.arc.memory_bytes = uint64_t{8} << 30;
  return seen;
}

ZfsPlan Planned(const ZfsSpec& spec, const ZfsState& seen = Seen(), const Ownership& owned = {}) {
  const auto plan = MakePlan(spec, seen, owned);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : ZfsPlan{};
}

std::vector<std::string> Refusals(const ZfsSpec& spec, const ZfsState& seen = Seen(),
                                  const Ownership& owned = {}) {
  const auto plan = MakePlan(spec, seen, owned);
  EXPECT_TRUE(absl::IsInvalidArgument(plan.status()) || absl::IsFailedPrecondition(plan.status()))
      << plan.status();
  std::vector<std::string> texts;
  for (const auto& violation : ViolationsOf(plan.status())) {
    texts.push_back(violation.field + ": " + violation.description);
  }
  return texts;
}

ZfsSpec Pool(const std::string& level, std::vector<std::string> disks, const std::string& name = "fast") {
  ZfsSpec spec;
  spec.pools = {{name, level, std::move(disks), {}, "zfs.pools[0]"}};
  return spec;
}
ZfsSpec One(DatasetSpec dataset) {
  dataset.origin = "zfs.datasets[0]";
  ZfsSpec spec;
  spec.datasets = {std::move(dataset)};
  return spec;
}

TEST(Layouts, LevelsAndCounts) {
  const std::vector<std::string> disks = {"a", "b", "c", "d"};
  const auto first = [&](size_t count) {
    return std::vector<std::string>(disks.begin(), disks.begin() + static_cast<long>(count));
  };
  const struct {
    const char* level;
    size_t least;
    const char* really;
  } cases[] = {{"single", 1, "single"},         {"MIRROR", 2, "mirror"}, {"raid1", 2, "mirror"},
               {"RAIDZ1", 2, "raidz1"},         {"raidz", 2, "raidz1"},  {"raidz2", 3, "raidz2"},
               {"raidz3", 4, "raidz3"},         {"raid10", 4, "raid10"}, {"draid", 2, "draid1:1d:2c:0s"},
               {"draid2", 3, "draid2:1d:3c:0s"}};
  for (const auto& one : cases) {
    const auto layout = LayoutOf(one.level, first(one.least));
    ASSERT_TRUE(layout.ok()) << one.level << layout.status();
    EXPECT_EQ(RaidLevelOf(*layout), one.really);
    EXPECT_FALSE(LayoutOf(one.level, first(one.least - 1)).ok()) << one.level;
  }
  EXPECT_FALSE(LayoutOf("single", first(2)).ok());
  EXPECT_FALSE(LayoutOf("raid10", {"a", "b", "c", "d", "e"}).ok());
  EXPECT_EQ(RaidLevelOf(*LayoutOf("stripe", first(3))), "stripe");
}

// What zpool chooses by itself, and its own minimums (zpool_vdev.c).
TEST(Layouts, DraidIsCompletedAndCheckedAsZpoolDoes) {
  const auto made = [](const char* level, size_t count) -> std::string {
    const auto layout = LayoutOf(level, std::vector<std::string>(count, "d"));
    return layout.ok() ? layout->front().kind : Message(layout.status());
  };
  EXPECT_EQ(made("draid2:4d:1s", 7), "draid2:4d:7c:1s");
  EXPECT_EQ(made("dRAID2:1S:4D", 11), "draid2:4d:11c:1s");
  EXPECT_EQ(made("draid1:5c", 5), "draid1:4d:5c:0s");
  EXPECT_EQ(made("draid", 30), "draid1:8d:30c:0s");
  EXPECT_EQ(made("draid3:2s", 9), "draid3:4d:9c:2s");
  EXPECT_THAT(made("draid2:4d:1s", 6),
              HasSubstr("at least 7 disks, 6 given: 4 for data, 2 for parity, 1 for"));
  EXPECT_THAT(made("draid2:8c", 7), HasSubstr("says 8 disks, 7 given"));
  EXPECT_THAT(made("draid:0d", 4), HasSubstr("one data disk"));
  EXPECT_THAT(made("draid:101s", 200), HasSubstr("100 distributed spares at most"));
  EXPECT_THAT(made("draid", 256), HasSubstr("255 disks at most"));
}

// A step that an older version journaled is still told to be done.
TEST(Layouts, ADraidOfAnOlderJournalIsTheOneThatZpoolMade) {
  EXPECT_EQ(ExplainDifference({{"draid2", {"a", "b", "c"}}}, {{"draid2:1d:3c:0s", {"c", "b", "a"}}}), "");
  EXPECT_NE(ExplainDifference({{"draid1", {"a", "b", "c"}}}, {{"draid1:1d:3c:1s", {"c", "b", "a"}}}), "");
}

TEST(PlanPools, AnExistingDraidIsComparedWithEveryNumber) {
  ZfsState seen = Seen();
  for (const char* path : {kA, kB, kC, kD}) seen.disks[path].member_of = "wide";
  seen.pools["wide"] = {.name = "wide", .guid = 8, .health = "ONLINE"};
  seen.pools["wide"].layout = {{"draid1:2d:4c:1s", {"/dev/sdd", "/dev/sdc", "/dev/sdb", "/dev/sda"}}};
  EXPECT_THAT(Planned(Pool("draid:2d:1s", {kA, kB, kC, kD}, "wide"), seen).steps, IsEmpty());
  EXPECT_THAT(Refusals(Pool("draid:2d", {kA, kB, kC, kD}, "wide"), seen),
              ElementsAre(AllOf(HasSubstr("draid1:2d:4c:1s"), HasSubstr("draid1:2d:4c:0s"))));
}

// Trap 4: any level but two spellings became a stripe.
TEST(Trap4, AnUnknownLevelIsRefused) {
  for (const char* level : {"", "raid5", "mirrored", "raidz4", "draid4", "draid2:4", "draid2:4x",
                            "draid2:4d:4d", "draid2:", "draid2:1000d", "none"}) {
    EXPECT_THAT(Refusals(Pool(level, {kC, kD})),
                ElementsAre(AllOf(HasSubstr("zfs.pools[0].raid_level"), HasSubstr("unknown"))))
        << level;
  }
}

TEST(PlanPools, CreatesOnBlankDisks) {
  const ZfsPlan plan = Planned(Pool("mirror", {kC, kD}));
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].id, "pool:fast");
  EXPECT_EQ(plan.steps[0].reversal, Reversal::kConfig);
  EXPECT_THAT(plan.steps[0].provides, ElementsAre("pool:fast", "dataset:fast", "path:/fast"));
}

// Trap 1: safe mode wiped an ext4 disk.
TEST(Trap1, SafeModeRefusesADiskThatHoldsAnything) {
  ZfsState seen = Seen();
  seen.disks[kC].findings = {{"/dev/sdc", "ext4 (wipefs, blkid)", "", 0, false},
                             {"/dev/sdc1", "partition 'home'", "", 0, false}};
  EXPECT_THAT(
      Refusals(Pool("mirror", {kC, kD}), seen),
      ElementsAre(AllOf(HasSubstr("zfs.pools[0].disks[0]"), HasSubstr("/dev/sdc: ext4 (wipefs, blkid)"),
                        HasSubstr("/dev/sdc1: partition 'home'"))));
}

// Trap 5: a flag never overrides the mode; only the mode itself permits, and then as a point of no return.
TEST(Trap5, OnlyForceDestructivePlansAWipe) {
  ZfsState seen = Seen();
  seen.disks[kC].findings = {{"/dev/sdc", "ext4 (wipefs)", "", 0, false}};
  ZfsSpec spec = Pool("single", {kC});
  EXPECT_THAT(Refusals(spec, seen), ElementsAre(HasSubstr("safe mode wipes nothing")));
  spec.mode = Mode::kForceDestructive;
  spec.wipe = {kD};
  EXPECT_THAT(Refusals(spec, seen), ElementsAre(HasSubstr("not among the disks that may be wiped")));
  // What an interactive plan shows is what a person is asked for.
  spec.mode = Mode::kInteractive;
  EXPECT_THAT(Planned(spec, seen).steps[0].differences,
              Contains(Difference{std::string("wipe ") + kC, "/dev/sdc: ext4 (wipefs)", "blank"}));
  spec.mode = Mode::kForceDestructive;
  spec.wipe = {kC};
  const ZfsPlan plan = Planned(spec, seen);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].reversal, Reversal::kPointOfNoReturn);
  EXPECT_THAT(plan.steps[0].remainder, HasSubstr(kC));
  // Blank disks make no point of no return, whatever the mode.
  EXPECT_EQ(Planned(Pool("single", {kD}), seen).steps[0].reversal, Reversal::kConfig);
}

TEST(PlanPools, WhatIsInUseIsRefusedInEveryMode) {
  ZfsState seen = Seen();
  seen.disks[kC].in_use = "/dev/sdc1 is mounted at /home";
  for (const Mode mode : {Mode::kSafe, Mode::kInteractive, Mode::kForceDestructive}) {
    ZfsSpec spec = Pool("single", {kC});
    spec.mode = mode;
    spec.wipe = {kA, kC};
    EXPECT_THAT(Refusals(spec, seen), ElementsAre(HasSubstr("mounted at /home")));
    spec = Pool("single", {kA});
    spec.mode = mode;
    EXPECT_THAT(Refusals(spec, seen), ElementsAre(HasSubstr("member of the imported pool tank")));
  }
}

// Trap 3: membership is told by the device, whatever link names it.
TEST(Trap3, MembersMatchByDeviceNotByPath) {
  ZfsState seen = Seen();
  seen.disks["/dev/disk/by-id/wwn-A"] = Disk("/dev/disk/by-id/wwn-A", "/dev/sda");
  EXPECT_THAT(Planned(Pool("mirror", {kB, "/dev/disk/by-id/wwn-A"}, "tank"), seen).steps, IsEmpty());
  seen.disks["/dev/disk/by-id/wwn-C"] = Disk("/dev/disk/by-id/wwn-C", "/dev/sdc");
  EXPECT_THAT(Refusals(Pool("mirror", {kC, "/dev/disk/by-id/wwn-C"}), seen),
              ElementsAre(HasSubstr("is the same disk as")));
}

TEST(PlanPools, RefusesDisksThatAreAbsentTwiceOrUnstable) {
  EXPECT_THAT(Refusals(Pool("mirror", {kC, kC})), ElementsAre(HasSubstr("named twice")));
  EXPECT_THAT(Refusals(Pool("single", {"/dev/disk/by-id/none"})), ElementsAre(HasSubstr("not present")));
  EXPECT_THAT(Refusals(Pool("single", {"/dev/sdc"})), ElementsAre(HasSubstr("not a stable path")));
  ZfsSpec two = Pool("single", {kC});
  two.pools.push_back({"other", "single", {kC}, {}, "zfs.pools[1]"});
  EXPECT_THAT(Refusals(two),
              ElementsAre(HasSubstr(
                  "zfs.pools[1].disks[0]: disk /dev/disk/by-id/nvme-C is also named for pool fast")));
}

TEST(PlanPools, RefusesUnknownPoolProperties) {
  ZfsSpec spec = Pool("single", {kC});
  spec.pools[0].properties = {{"ashift", "12"}, {"autotrim", "on"}, {"feature@lz4_compress", "enabled"}};
  EXPECT_EQ(Planned(spec).steps.size(), 1u);
  spec.pools[0].properties = {{"ashift", "4096"}, {"colour", "blue"}, {"comment", "a\nb"}};
  EXPECT_THAT(Refusals(spec), ElementsAre(HasSubstr("properties.ashift"), HasSubstr("properties.colour"),
                                          HasSubstr("properties.comment")));
}

TEST(PlanPools, AMountPointElsewhereNeedsItsDirectory) {
  ZfsSpec spec = Pool("single", {kC});
  spec.datasets = {{.name = "fast", .properties = {{"mountpoint", "/srv/fast"}}}};
  ZfsState seen = Seen();
  seen.paths["/srv"] = seen.paths["/srv/fast"] = {};
  const ZfsPlan plan = Planned(spec, seen);
  ASSERT_EQ(plan.steps.size(), 2u);
  EXPECT_THAT(plan.steps[0].needs, ElementsAre(Need{"path:/srv", false}));
  EXPECT_THAT(plan.steps[0].provides, ElementsAre("pool:fast", "dataset:fast", "path:/srv/fast"));
  EXPECT_EQ(plan.steps[1].id, "directory:/srv");
}

// Trap 13: what exists is compared, neither skipped nor made again.
TEST(Trap13, AnotherLayoutIsExplained) {
  EXPECT_THAT(Refusals(Pool("stripe", {kA, kB}, "tank")),
              ElementsAre(AllOf(HasSubstr(fmt::format("it is a mirror (mirror of {} {})", kA, kB)),
                                HasSubstr("declared is a stripe"))));
  EXPECT_THAT(Refusals(Pool("mirror", {kC, kD}, "tank")),
              ElementsAre(HasSubstr("nothing is taken out of a pool")));
  EXPECT_THAT(Planned(Pool("mirror", {kB, kA}, "tank")).steps, IsEmpty());
  EXPECT_THAT(Planned(Pool("mirror", {}, "tank")).steps, IsEmpty());
  EXPECT_THAT(Refusals(Pool("mirror", {}, "gone")), ElementsAre(HasSubstr("no disks are declared")));
}

TEST(PlanDatasets, CreatesParentBeforeChildWhateverTheOrder) {
  ZfsSpec spec = Pool("single", {kC});
  spec.datasets = {{.name = "fast/a/b"}, {.name = "fast/a"}};
  const ZfsPlan plan = Planned(spec);
  ASSERT_EQ(plan.steps.size(), 3u);
  EXPECT_EQ(plan.steps[1].id, "dataset:fast/a");
  EXPECT_EQ(plan.steps[2].id, "dataset:fast/a/b");
  EXPECT_THAT(plan.steps[2].needs,
              UnorderedElementsAre(Need{"pool:fast", false}, Need{"dataset:fast/a", false},
                                   Need{"path:/fast/a", false}));
}

TEST(PlanDatasets, NeedsAnExistingParent) {
  EXPECT_THAT(Refusals(One({.name = "tank/none/x"})),
              ElementsAre("zfs.datasets[0].name: parent dataset tank/none is neither there nor declared"));
  EXPECT_THAT(Refusals(One({.name = "gone/x"})),
              ElementsAre("zfs.datasets[0].name: pool gone is neither there nor declared"));
}

TEST(PlanDatasets, SetsOnlyWhatDiffersInValueOrSource) {
  const ZfsPlan plan =
      Planned(One({.name = "tank/data", .properties = {{"quota", "10G"}, {"compression", "lz4"}}}));
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].id, "properties:tank/data");
  EXPECT_THAT(plan.steps[0].differences,
              ElementsAre(Difference{"compression", "lz4 (inherited from tank)", "lz4 (local)"}));
  EXPECT_EQ(plan.steps[0].reversal, Reversal::kConfig);
}

TEST(PlanDatasets, AQuotaBelowWhatIsInUseIsRefused) {
  ZfsState seen = Seen();
  seen.datasets["tank/data"].properties["used"] = {"2000000000", "-", "-"};
  seen.datasets["tank/data"].properties["referenced"] = {"500000000", "-", "-"};
  seen.datasets["tank/data"].properties["refquota"] = {"0", "default", "-"};
  EXPECT_THAT(Refusals(One({.name = "tank/data", .properties = {{"quota", "1G"}}}), seen),
              ElementsAre(AllOf(HasSubstr("zfs.datasets[0].properties.quota"),
                                HasSubstr("2000000000 bytes are in use"))));
  EXPECT_EQ(Planned(One({.name = "tank/data", .properties = {{"quota", "2G"}, {"refquota", "1G"}}}), seen)
                .steps.size(),
            1u);
  EXPECT_EQ(Planned(One({.name = "tank/data", .properties = {{"quota", "none"}}}), seen).steps.size(), 1u);
  EXPECT_THAT(Refusals(One({.name = "tank/data", .properties = {{"refquota", "100M"}}}), seen),
              ElementsAre(HasSubstr("500000000 bytes are in use:")));
  seen.datasets["tank/data"].properties["reservation"] = {"5000000000", "local", "-"};
  EXPECT_THAT(Refusals(One({.name = "tank/data", .properties = {{"quota", "3G"}}}), seen),
              ElementsAre(HasSubstr("its reservation is 5000000000 bytes")));
  Planned(One({.name = "tank/data", .properties = {{"quota", "3G"}, {"reservation", "2G"}}}), seen);
}

TEST(PlanDatasets, CreateOnlyPropertiesAreExplained) {
  EXPECT_THAT(Refusals(One({.name = "tank/data", .properties = {{"casesensitivity", "mixed"}}})),
              ElementsAre(HasSubstr("at creation only")));
  EXPECT_THAT(Planned(One({.name = "tank/data", .properties = {{"casesensitivity", "sensitive"}}})).steps,
              IsEmpty());
  EXPECT_THAT(Refusals(One({.name = "tank/data", .volume_size_bytes = 1024})),
              ElementsAre(HasSubstr("exists as a filesystem")));
}

TEST(PlanDatasets, TheMountPointMayBeInherited) {
  EXPECT_THAT(Planned(One({.name = "tank/data", .properties = {{"mountpoint", "/tank/data"}}})).steps,
              IsEmpty());
  const ZfsPlan plan = Planned(One({.name = "tank/new", .properties = {{"mountpoint", "/tank/new"}}}));
  EXPECT_EQ(std::get<CreateDatasetStep>(plan.steps[0].step).properties.count("mountpoint"), 0u);
}

TEST(PlanDatasets, AChangedMountPointMovesItsPaths) {
  ZfsState seen = Seen();
  seen.datasets["tank/data/child"] = Dataset("tank/data/child", {}, "/tank/data/child");
  seen.datasets["tank/data/child"].properties["mountpoint"] = {"/tank/data/child", "inherited from tank/data",
                                                               "-"};
  const ZfsPlan plan = Planned(One({.name = "tank/data", .properties = {{"mountpoint", "/srv"}}}), seen);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_THAT(plan.steps[0].removes, ElementsAre("path:/tank/data", "path:/tank/data/child"));
  EXPECT_THAT(plan.steps[0].provides,
              ElementsAre("path:/srv", "tree:/srv", "path:/srv/child", "tree:/srv/child"))
      << "what was in them comes along";
  // Locked, the child stays unmounted: verified as provided, its path would undo every such run.
  seen.datasets["tank/data/child"].mounted_at.clear();
  seen.datasets["tank/data/child"].properties["keystatus"] = {"unavailable", "-", "-"};
  EXPECT_THAT(
      Planned(One({.name = "tank/data", .properties = {{"mountpoint", "/srv"}}}), seen).steps[0].provides,
      ElementsAre("path:/srv", "tree:/srv"));
}

// Every path of the node lies below /: were that offered, nothing that others need would be missing.
TEST(PlanDatasets, ARootFileSystemOnZfsIsNoPlaceForEveryPath) {
  ZfsState seen = Seen();
  seen.datasets["rpool/ROOT/pve-1"] = Dataset("rpool/ROOT/pve-1", {}, "/");
  const auto provided = Planned({}, seen).provided_now;
  EXPECT_THAT(provided, Contains("dataset:rpool/ROOT/pve-1"));
  EXPECT_THAT(provided, Contains("path:/tank/data"));
  EXPECT_THAT(provided, ::testing::Not(Contains("path:/")));
}

// Trap 9: what lies in the directory would be hidden, or was written to the root disk.
TEST(Trap9, AMountOverEntriesIsRefused) {
  ZfsState seen = Seen();
  seen.datasets["tank/data"].mounted_at = "";
  seen.paths["/tank"] = {DirectoryState{0, 0, 0755}, {"data"}, true};
  seen.paths["/tank/data"] = {DirectoryState{0, 0, 0755}, {"lost"}, false};
  EXPECT_THAT(Refusals(One({.name = "tank/data"}), seen),
              ElementsAre(HasSubstr("/tank/data is not empty (it holds lost)")));
  seen.paths["/tank/data"].entries.clear();
  const ZfsPlan plan = Planned(One({.name = "tank/data"}), seen);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].id, "mount:tank/data");
  seen.paths["/fast"] = {DirectoryState{0, 0, 0755}, {"a", "b"}, false};
  EXPECT_THAT(Refusals(Pool("single", {kC}), seen), ElementsAre(HasSubstr("it holds a and more")));
}

TEST(PlanDatasets, MissingDirectoriesAreStepsOfTheirOwn) {
  ZfsState seen = Seen();
  seen.paths["/srv"] = {DirectoryState{0, 0, 0755}, {}, false};
  for (const char* path : {"/srv/a", "/srv/a/b", "/srv/a/b/c"}) seen.paths[path] = {};
  const ZfsPlan plan = Planned(One({.name = "tank/new", .properties = {{"mountpoint", "/srv/a/b/c"}}}), seen);
  std::vector<std::string> ids;
  for (const auto& step : plan.steps) ids.push_back(step.id);
  EXPECT_THAT(ids, ElementsAre("dataset:tank/new", "directory:/srv/a", "directory:/srv/a/b"));
}

TEST(PlanDatasets, OwnerGroupAndModeOfAnExistingRoot) {
  const ZfsPlan plan = Planned(One({.name = "tank/data", .owner = "root", .group = "heads", .mode = "2770"}));
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].id, "root:tank/data");
  EXPECT_EQ(plan.steps[0].reversal, Reversal::kExact);
  EXPECT_THAT(plan.steps[0].differences,
              ElementsAre(Difference{"group", "0", "heads (1000)"}, Difference{"mode", "755", "2770"}));
  // What is its users' business once it is there.
  EXPECT_THAT(Planned(One({.name = "tank/data", .owner = "1000", .owner_at_creation_only = true})).steps,
              IsEmpty());
  const ZfsPlan unknown = Planned(One({.name = "tank/data", .group = "new"}));
  EXPECT_THAT(unknown.steps[0].needs, ::testing::Contains(Need{"group:new", false}));
  EXPECT_THAT(Planned(One({.name = "tank/data", .owner = "0", .group = "0", .mode = "0755"})).steps,
              IsEmpty());
}

TEST(PlanDatasets, AllProblemsAtOnceEachAtItsPlace) {
  ZfsSpec spec = Pool("raid7", {kC, kD});
  spec.datasets = {
      {.name = "tank/a", .properties = {{"quota", "much"}, {"colour", "blue"}}, .origin = "zfs.datasets[0]"},
      {.name = "tank/b c", .mode = "999", .origin = "zfs.datasets[1]"},
      {.name = "fast/x", .origin = "zfs.datasets[2]"},
      {.name = "gone/x", .origin = "zfs.datasets[3]"},
      {.name = "tank/a", .properties = {{"phoenix:run", "x"}}, .origin = "zfs.datasets[4]"}};
  spec.arc_max_bytes = 1;
  EXPECT_THAT(Refusals(spec),
              UnorderedElementsAre(
                  HasSubstr("zfs.pools[0].raid_level"), HasSubstr("zfs.datasets[0].properties.quota"),
                  HasSubstr("zfs.datasets[0].properties.colour"), HasSubstr("zfs.datasets[1].name"),
                  HasSubstr("zfs.datasets[1].mode"), HasSubstr("zfs.datasets[3].name"),
                  HasSubstr("zfs.datasets[4].name"), HasSubstr("zfs.datasets[4].properties.phoenix:run"),
                  HasSubstr("zfs.arc_max")));
}

TEST(PlanDatasets, RemovesOnlyItsOwnAndOnlyWithoutChildren) {
  const DatasetSpec gone{.name = "tank/data", .presence = Presence::kAbsent};
  EXPECT_THAT(Refusals(One(gone)), ElementsAre(HasSubstr("not created by Phoenix")));
  const Ownership owned{{{"dataset:tank/data", std::to_string(Seen().datasets["tank/data"].guid)}}};
  const ZfsPlan plan = Planned(One(gone), Seen(), owned);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_THAT(plan.steps[0].removes, ElementsAre("dataset:tank/data", "path:/tank/data"));
  // Somebody destroyed ours and made another of that name.
  EXPECT_THAT(Refusals(One(gone), Seen(), {{{"dataset:tank/data", "1"}}}),
              ElementsAre(HasSubstr("not created by Phoenix")));
  ZfsState seen = Seen();
  seen.datasets["tank/data/child"] = Dataset("tank/data/child", {}, "/tank/data/child");
  EXPECT_THAT(Refusals(One(gone), seen, owned), ElementsAre(HasSubstr("holds tank/data/child")));
  EXPECT_THAT(Planned(One({.name = "tank/none", .presence = Presence::kAbsent})).steps, IsEmpty());
}

TEST(Record, ABlankOneOnPoolsThatCarryMarksIsNoFreshStart) {
  ZfsState seen = Seen();
  seen.datasets["tank/data"].properties["phoenix:run"] = {"8f14e45f", "local", "-"};
  const auto lost = MakePlan({}, seen, {.blank = true, .record_directory = "/var/lib/phoenix/zfs"});
  EXPECT_EQ(lost.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(lost.status().message()),
              AllOf(HasSubstr("/var/lib/phoenix/zfs"), HasSubstr("zfs inherit -r phoenix:run tank")));
  EXPECT_TRUE(MakePlan({}, seen, {}).ok());
  // Inherited marks mark nothing, and what an undo set aside is nobody's any more.
  seen.datasets["tank/data"].properties["phoenix:run"].source = "inherited from tank";
  seen.datasets["tank/.phoenix/kept/r/a"] =
      Dataset("tank/.phoenix/kept/r/a", {{"phoenix:run", {"8f14e45f", "local", "-"}}}, "");
  EXPECT_TRUE(MakePlan({}, seen, {.blank = true}).ok());
}

TEST(Record, TheFileSystemThatHoldsItStaysWhereItIs) {
  Ownership owned{{{"dataset:tank/data", std::to_string(Seen().datasets["tank/data"].guid)}}};
  owned.record_directory = "/tank/data/phoenix/zfs";
  EXPECT_THAT(Refusals(One({.name = "tank/data", .presence = Presence::kAbsent}), Seen(), owned),
              ElementsAre(HasSubstr("no run can be undone")));
  ZfsState seen = Seen();
  seen.datasets["tank/data"].properties["mountpoint"] = {"/tank/data", "default", "-"};
  seen.datasets["tank/data"].properties["readonly"] = {"off", "default", "-"};
  seen.paths["/srv"] = {DirectoryState{0, 0, 0755}, {}, false};
  seen.paths["/srv/x"] = {};
  EXPECT_THAT(Refusals(One({.name = "tank/data", .properties = {{"mountpoint", "/srv/x"}}}), seen, owned),
              ElementsAre(HasSubstr("no run can be undone")));
  EXPECT_THAT(Refusals(One({.name = "tank/data", .properties = {{"readonly", "on"}}}), seen, owned),
              ElementsAre(HasSubstr("no run can be undone")));
  // Other properties of it, and the moves of others, are fine.
  EXPECT_EQ(Planned(One({.name = "tank/data", .properties = {{"quota", "1G"}}}), seen, owned).steps.size(),
            1U);
  owned.record_directory = "/var/lib/phoenix/zfs";
  EXPECT_EQ(Planned(One({.name = "tank/data", .properties = {{"readonly", "on"}}}), seen, owned).steps.size(),
            1U);
}

// Trap 14: the limit was lost at reboot.
TEST(Trap14, TheArcLimitIsSetNowAndForTheNextBoot) {
  ZfsSpec spec;
  spec.arc_max_bytes = uint64_t{4} << 30;
  ZfsState seen = Seen();
  EXPECT_EQ(Planned(spec, seen).steps[0].differences.size(), 2u);
  seen.arc.live = spec.arc_max_bytes;
  ASSERT_EQ(Planned(spec, seen).steps.size(), 1u) << "the running value alone does not survive a reboot";
  seen.arc.file = FileState{ArcFileContent(*spec.arc_max_bytes), 0, 0, 0644};
  EXPECT_THAT(Planned(spec, seen).steps, IsEmpty());
  // The installer's file is read before ours.
  seen.arc.elsewhere = {{"/etc/modprobe.d/zfs.conf", "1"}};
  EXPECT_THAT(Planned(spec, seen).notes, IsEmpty());
  seen.arc.elsewhere = {{"/etc/modprobe.d/zzzz.conf", "1"}};
  ASSERT_EQ(Planned(spec, seen).notes.size(), 1u);
  EXPECT_TRUE(Planned(spec, seen).notes[0].warning);
  spec.arc_max_bytes = uint64_t{16} << 30;
  spec.arc_max_origin = "$.zfs.arc_max_gb (line 3)";
  EXPECT_THAT(Refusals(spec, seen),
              ElementsAre(AllOf(HasSubstr("$.zfs.arc_max_gb (line 3): "), HasSubstr("would ignore"))));
}

TEST(Trap14, TheArcLimitCountsWhereItIsInForceAndInTheInitramfs) {
  ZfsSpec spec;
  spec.arc_max_bytes = uint64_t{1} << 30;
  ZfsState seen = Seen();
  seen.arc.live = spec.arc_max_bytes;
  seen.arc.file = FileState{ArcFileContent(*spec.arc_max_bytes), 0, 0, 0644};
  seen.arc.in_force = uint64_t{4} << 30;
  seen.arc.min_in_force = uint64_t{1} << 30;
  ASSERT_EQ(Planned(spec, seen).steps.size(), 1u);
  EXPECT_EQ(std::get<SetArcLimitStep>(Planned(spec, seen).steps[0].step),
            (SetArcLimitStep{uint64_t{1} << 30, uint64_t{512} << 20, false}));
  // No less than ZFS takes.
  spec.arc_max_bytes = kLeastArcBytes;
  EXPECT_EQ(std::get<SetArcLimitStep>(Planned(spec, seen).steps[0].step).min_bytes, kLeastArcMinBytes);
  spec.arc_max_bytes = seen.arc.in_force = *seen.arc.live;
  EXPECT_THAT(Planned(spec, seen).steps, IsEmpty());
  seen.arc.root_on_zfs = seen.arc.updates_initramfs = seen.arc.initramfs_is_older = true;
  ASSERT_EQ(Planned(spec, seen).steps.size(), 1u);
  EXPECT_EQ(std::get<SetArcLimitStep>(Planned(spec, seen).steps[0].step),
            (SetArcLimitStep{uint64_t{1} << 30, 0, true}));
  seen.arc.initramfs_is_older = false;
  EXPECT_THAT(Planned(spec, seen).steps, IsEmpty());
  // Another tool makes it: that is left to a person.
  seen.arc.updates_initramfs = false;
  seen.arc.file = std::nullopt;
  ASSERT_EQ(Planned(spec, seen).notes.size(), 1u);
  EXPECT_THAT(Planned(spec, seen).notes[0].text, HasSubstr("no update-initramfs"));
  EXPECT_FALSE(std::get<SetArcLimitStep>(Planned(spec, seen).steps[0].step).initramfs);
}

// Before ZFS 2.3 xattr=on keeps attributes in hidden folders.
TEST(PlanDatasets, AttributesInInodesAreAnotherValueBeforeZfs23) {
  ZfsState seen = Seen();
  seen.datasets["tank/data"].properties["xattr"] = {"on", "local", "-"};
  const ZfsSpec spec = One({.name = "tank/data", .properties = {{"xattr", "sa"}}});
  for (const char* version : {"", "2.3.2-pve2", "2.4.0"}) {
    seen.version = version;
    EXPECT_THAT(Planned(spec, seen).steps, IsEmpty()) << version;
  }
  for (const char* version : {"2.1.11-1", "2.2.7-pve2", "0.8.6"}) {
    seen.version = version;
    ASSERT_EQ(Planned(spec, seen).steps.size(), 1u) << version;
    EXPECT_THAT(Planned(One({.name = "tank/data", .properties = {{"xattr", "dir"}}}), seen).steps, IsEmpty())
        << version;
  }
}

TEST(Fingerprint, DoesNotMoveByItself) {
  const ZfsSpec spec = One({.name = "tank/data"});
  ZfsState seen = Seen();
  const std::string before = Planned(spec, seen).fingerprint_text;
  seen.datasets["tank/data"].properties["used"] = {"4096", "-", "-"};
  seen.pools["tank"].free_bytes = 17;
  EXPECT_EQ(Planned(spec, seen).fingerprint_text, before);
  seen.datasets["tank/data"].properties["quota"].value = "1";
  EXPECT_NE(Planned(spec, seen).fingerprint_text, before);
}

TEST(Codes, TellAWrongSpecFromAStateThatStandsAgainstIt) {
  ZfsState seen = Seen();
  seen.datasets["fast"] = {.name = "fast", .type = "filesystem", .guid = 1};
  seen.datasets["fast/a"] = {.name = "fast/a", .type = "filesystem", .guid = 2};
  seen.datasets["fast/a/b"] = {.name = "fast/a/b", .type = "filesystem", .guid = 3};
  const auto code = [&](const DatasetSpec& dataset) {
    return MakePlan(ZfsSpec{.datasets = {dataset}, .partial = true}, seen,
                    Ownership{{{"dataset:fast/a", "2"}, {"dataset:fast/a/b", "3"}}})
        .status()
        .code();
  };
  using Code = absl::StatusCode;
  EXPECT_EQ(code({.name = "fast/a/b", .presence = Presence::kAbsent}), Code::kOk);
  EXPECT_EQ(code({.name = "fast/a", .presence = Presence::kAbsent}), Code::kFailedPrecondition)
      << "it holds fast/a/b";
  EXPECT_EQ(code({.name = "fast", .presence = Presence::kAbsent}), Code::kFailedPrecondition)
      << "it is a pool";
  EXPECT_EQ(code({.name = "fast/no/parent"}), Code::kFailedPrecondition);
  EXPECT_EQ(code({.name = "fast/c", .mode = "999"}), Code::kInvalidArgument);
}

TEST(Names, WhatIsListedCanBeLookedAtThoughNotMade) {
  const std::string trashed = AsideName(TrashOf("fast/a/b", "7f1c"), "fast/a/b");
  EXPECT_NE(WrongDatasetName(trashed), "");
  for (const std::string& name : {trashed, std::string("fast"), std::string("fast/.phoenix"),
                                  std::string("fast/_a b"), std::string("rpool/ROOT/pve-1")}) {
    EXPECT_EQ(WrongListedName(name), "") << name;
  }
  for (const char* name :
       {"", "-fast", "/fast", "fast/", "fast//a", "fast/../a", "fast/a@s", "fast/a\nb", "fast/%recv"}) {
    EXPECT_NE(WrongListedName(name), "") << name;
  }
}

}  // namespace
}  // namespace phoenix::zfs
