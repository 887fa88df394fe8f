#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "orchestrator/config/finding_labels.h"
#include "orchestrator/config/loader.h"

namespace phoenix::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

LoadResult LoadPool(const std::string& members) {
  return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank", {}}}]}}}})", members));
}

LoadResult LoadDataset(const std::string& members) {
  return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [{{{}}}]}}}})", members));
}

// A dataset with these properties, as JSON.
LoadResult LoadProperties(const std::string& properties) {
  return LoadDataset(fmt::format(R"("name": "d", "pool": "tank", "properties": {})", properties));
}

std::map<std::string, std::string> Values(const LoadResult& result) {
  std::map<std::string, std::string> values;
  for (const auto& [name, property] : result.config.datasets.at(0).properties) values[name] = property.value;
  return values;
}

std::string Disks(int count) {
  std::string list;
  for (int i = 0; i < count; ++i) list += fmt::format("{}\"/dev/disk/by-id/d{}\"", i > 0 ? "," : "", i);
  return list;
}

TEST(Pools, RaidLevelsInAnySpellingAndCase) {
  struct Case {
    const char* given;
    int disks;
    RaidLevel level;
  };
  for (const Case& c : {Case{"single", 1, RaidLevel::kStripe}, Case{"stripe", 2, RaidLevel::kStripe},
                        Case{"raid0", 1, RaidLevel::kStripe}, Case{"mirror", 2, RaidLevel::kMirror},
                        Case{"Mirror", 3, RaidLevel::kMirror}, Case{"RAID1", 2, RaidLevel::kMirror},
                        Case{"raid10", 4, RaidLevel::kStripedMirrors}, Case{"raidz", 3, RaidLevel::kRaidz1},
                        Case{"RAIDZ1", 3, RaidLevel::kRaidz1}, Case{"raidz2", 4, RaidLevel::kRaidz2},
                        Case{"RaidZ3", 5, RaidLevel::kRaidz3}, Case{"draid", 4, RaidLevel::kDraid},
                        Case{"dRAID2", 8, RaidLevel::kDraid}}) {
    const auto result =
        LoadPool(fmt::format(R"("raid_level": "{}", "disks": [{}])", c.given, Disks(c.disks)));
    ASSERT_TRUE(result.ok()) << c.given << "\n" << Render(result.findings.errors);
    EXPECT_EQ(result.config.pools.at(0).raid_level, c.level) << c.given;
    EXPECT_EQ(result.config.pools.at(0).disks.size(), static_cast<std::size_t>(c.disks));
  }
}

TEST(Pools, DraidKeepsItsLayoutAsZpoolTakesIt) {
  const auto result = LoadPool(fmt::format(R"("raid_level": "dRAID2:4d:8c:1s", "disks": [{}])", Disks(8)));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.config.pools.at(0).draid, "draid2:4d:8c:1s");
  for (const char* wrong : {"draid4", "draid:4", "draid:4x", "draid:d", "draid:4d:4d", "draid:", "draidz",
                            "draid:0d", "draid:101s", "draid2:4d:6c:1s"}) {
    const auto refused = LoadPool(fmt::format(R"("raid_level": "{}", "disks": [{}])", wrong, Disks(8)));
    EXPECT_THAT(Labels(refused.findings.errors), ElementsAre("unknown-raid-level@$.zfs.pools[0].raid_level"))
        << wrong;
  }
}

// The scripts silently made a stripe of every level but two.
TEST(Pools, UnknownRaidLevelIsRefused) {
  for (const char* wrong : {"raid5", "raidz4", "mirrored", "", "zraid"}) {
    const auto result = LoadPool(fmt::format(R"("raid_level": "{}", "disks": [{}])", wrong, Disks(3)));
    ASSERT_THAT(Labels(result.findings.errors), ElementsAre("unknown-raid-level@$.zfs.pools[0].raid_level"))
        << wrong;
    EXPECT_THAT(result.findings.errors[0].ToString(),
                AllOf(HasSubstr("(line 1)"), HasSubstr("allowed: single")));
    EXPECT_FALSE(result.config.pools.at(0).raid_level.has_value());
  }
}

TEST(Pools, DisksMustFitTheLevel) {
  for (const auto& [level, disks] : {std::pair{"mirror", 1},
                                     {"single", 2},
                                     {"raid10", 2},
                                     {"raid10", 5},
                                     {"raidz2", 2},
                                     {"raidz3", 3},
                                     {"draid2", 2},
                                     {"draid2:4d:1s", 6},
                                     {"draid2:8c", 9},
                                     {"draid", 256}}) {
    const auto result = LoadPool(fmt::format(R"("raid_level": "{}", "disks": [{}])", level, Disks(disks)));
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre("disk-count@$.zfs.pools[0].raid_level")) << level;
  }
}

TEST(Pools, WithoutDisksAPoolMustExist) {
  for (const char* members : {R"("raid_level": "mirror")", R"("disks": [])", R"("disks": null)"}) {
    const auto result = LoadPool(members);
    EXPECT_TRUE(result.ok()) << members;
    EXPECT_THAT(result.config.pools.at(0).disks, IsEmpty());
  }
}

TEST(Pools, DisksWithoutALevelAreNotGuessed) {
  const auto result = LoadPool(fmt::format(R"("disks": [{}])", Disks(1)));
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("missing@$.zfs.pools[0].raid_level"));
}

TEST(Pools, ADiskIsUsedOnceAndIsADevice) {
  const auto result = Load(R"({"zfs": {"pools": [
    {"name": "a", "raid_level": "mirror", "disks": ["/dev/disk/by-id/x", "/dev/disk/by-id//x"]},
    {"name": "b", "raid_level": "single", "disks": ["/dev/disk/by-id/x"]},
    {"name": "c", "raid_level": "single", "disks": ["sdb"]},
    {"name": "d", "raid_level": "single", "disks": ["/dev/../etc/passwd"]},
    {"name": "e", "raid_level": "single", "disks": ["/dev/sdb"]}]}})");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("duplicate-disk@$.zfs.pools[0].disks[1]", "duplicate-disk@$.zfs.pools[1].disks[0]",
                          "invalid-disk@$.zfs.pools[2].disks[0]", "invalid-disk@$.zfs.pools[3].disks[0]",
                          "disk-path-not-stable@$.zfs.pools[4].disks[0]"));
  EXPECT_THAT(result.findings.errors[4].message, HasSubstr("ls -l /dev/disk/by-id"));
}

TEST(Pools, ADiskHasANameThatStays) {
  for (const char* wrong : {"/dev/sdb", "/dev/mapper/x", "/dev/disk/x", "/dev/nvme0n1"}) {
    const auto result = LoadPool(fmt::format(R"("raid_level": "single", "disks": ["{}"])", wrong));
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre("disk-path-not-stable@$.zfs.pools[0].disks[0]"))
        << wrong;
  }
  for (const char* stable :
       {"/dev/disk/by-path/pci-1", "/dev/disk/by-vdev/x", "/dev/disk/by-id/spare-part"}) {
    EXPECT_TRUE(LoadPool(fmt::format(R"("raid_level": "single", "disks": ["{}"])", stable)).ok()) << stable;
  }
}

TEST(Pools, AreGivenWholeDisks) {
  for (const char* part : {"/dev/disk/by-id/x-part1", "/dev/disk/by-path/pci-1-part12/",
                           "/dev/disk/by-partuuid/x", "/dev/disk/by-partlabel/x"}) {
    const auto result = LoadPool(fmt::format(R"("raid_level": "single", "disks": ["{}"])", part));
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre("invalid-disk@$.zfs.pools[0].disks[0]")) << part;
    EXPECT_THAT(result.findings.errors[0].message, HasSubstr("this is a partition"));
  }
}

// A variable that was not filled in would make a mirror of two out of one of three.
TEST(Pools, AnEmptyDiskIsNoDiskAndNotLeftOut) {
  const auto result = LoadPool(fmt::format(R"("raid_level": "mirror", "disks": [{}, "", " "])", Disks(2)));
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("invalid-disk@$.zfs.pools[0].disks[2]", "invalid-disk@$.zfs.pools[0].disks[3]"));
}

TEST(Pools, NamesAreRequiredValidAndUnique) {
  const auto result = Load(R"({"zfs": {"pools": [{"raid_level": "mirror"}, {"name": "raidz9"}, {"name": "a"},
                                                 {"name": "a"}, {"name": 7}, "tank"]}})");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("missing@$.zfs.pools[0].name", "invalid-name@$.zfs.pools[1].name",
                          "duplicate-name@$.zfs.pools[3].name", "wrong-type@$.zfs.pools[4].name",
                          "wrong-type@$.zfs.pools[5]"));
  EXPECT_EQ(result.config.pools.size(), 1U);
}

TEST(Datasets, NameBesideItsPoolOrQualified) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "a", "pool": "tank"}, {"name": "tank/b"}, {"name": "a/c", "pool": "tank"},
    {"name": "tank/d", "pool": "tank"}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  const auto& datasets = result.config.datasets;
  ASSERT_EQ(datasets.size(), 4U);
  EXPECT_EQ(datasets[0].full_name, "tank/a");
  EXPECT_EQ(datasets[0].mountpoint, "/tank/a");
  EXPECT_EQ(datasets[1].pool, "tank");
  EXPECT_EQ(datasets[1].name, "b");
  EXPECT_EQ(datasets[2].full_name, "tank/a/c");
  EXPECT_EQ(datasets[3].full_name, "tank/d");
  EXPECT_THAT(Labels(result.findings.lints), ElementsAre("qualified-name@$.zfs.datasets[3].name"));
}

TEST(Datasets, BadNamesAreErrorsAtTheirPlace) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "a"}, {"pool": "tank"}, {"name": "-a", "pool": "tank"}, {"name": "a", "pool": "mirror"},
    {"name": "log/x"}, {"name": "x", "pool": "tank"}, {"name": "tank/x"}, {"name": 5, "pool": "tank"}]}})");
  EXPECT_THAT(
      Labels(result.findings.errors),
      UnorderedElementsAre("missing@$.zfs.datasets[0].pool", "missing@$.zfs.datasets[1].name",
                           "invalid-name@$.zfs.datasets[2].name", "invalid-name@$.zfs.datasets[3].pool",
                           "invalid-name@$.zfs.datasets[4].name", "duplicate-name@$.zfs.datasets[6]",
                           "wrong-type@$.zfs.datasets[7].name"));
}

TEST(Datasets, UndeclaredPoolAndParentAreLints) {
  const auto result = Load(R"({"zfs": {"datasets": [{"name": "rpool/a/b"}]}})");
  EXPECT_TRUE(result.ok());
  EXPECT_THAT(Labels(result.findings.lints),
              ElementsAre("pool-not-declared@$.zfs.datasets[0]", "parent-not-declared@$.zfs.datasets[0]"));
}

TEST(Datasets, MountPointsBesideOrAmongThePropertiesAgree) {
  auto result = LoadDataset(R"("name": "d", "pool": "tank", "mountpoint": "/srv//d/")");
  EXPECT_EQ(result.config.datasets.at(0).mountpoint, "/srv/d");
  EXPECT_EQ(Values(result).at("mountpoint"), "/srv/d");

  result = LoadProperties(R"("mountpoint=/srv/d")");
  EXPECT_EQ(result.config.datasets.at(0).mountpoint, "/srv/d");

  for (const char* nowhere : {"none", "legacy"}) {
    result = LoadDataset(fmt::format(R"("name": "d", "pool": "tank", "mountpoint": "{}")", nowhere));
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(result.config.datasets.at(0).mountpoint, "");
    EXPECT_EQ(Values(result).at("mountpoint"), nowhere);
  }

  result = LoadDataset(R"("name": "d", "pool": "tank", "mountpoint": "/a", "properties": "mountpoint=/b")");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("contradicting-mountpoint@$.zfs.datasets[0].mountpoint"));
  result = LoadDataset(R"("name": "d", "pool": "tank", "mountpoint": "srv/../d")");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("invalid-path@$.zfs.datasets[0].mountpoint"));
  result = Load(
      R"({"zfs": {"datasets": [{"name": "p/a", "mountpoint": "/m"}, {"name": "p/b", "mountpoint": "/m"}]}})");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("duplicate-mountpoint@$.zfs.datasets[1]"));
}

TEST(Datasets, MountPointsAreInheritedAsZfsInheritsThem) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "tank/a/b/c"}, {"name": "tank/a/b"}, {"name": "tank/a", "mountpoint": "/srv/a"},
    {"name": "tank/ab"}, {"name": "tank/n", "mountpoint": "none"}, {"name": "tank/n/x"},
    {"name": "tank/n/y", "mountpoint": "/y"}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  std::vector<std::string> mountpoints;
  mountpoints.reserve(result.config.datasets.size());
  for (const Dataset& dataset : result.config.datasets) mountpoints.push_back(dataset.mountpoint);
  EXPECT_THAT(mountpoints, ElementsAre("/srv/a/b/c", "/srv/a/b", "/srv/a", "/tank/ab", "", "", "/y"));
  EXPECT_EQ(result.config.datasets[1].properties.count("mountpoint"), 0U);
}

TEST(Datasets, OwnershipIsOptionalAndModeIsAnOctalString) {
  auto result = LoadDataset(R"("name": "d", "pool": "tank")");
  EXPECT_FALSE(result.config.datasets.at(0).ownership.has_value());

  result = LoadDataset(R"("name": "d", "pool": "tank", "owner": "heads", "group": 1000, "mode": "2770")");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  const Ownership& ownership = *result.config.datasets.at(0).ownership;
  EXPECT_EQ(ownership.owner, "heads");
  EXPECT_EQ(ownership.group, "1000");
  EXPECT_EQ(ownership.mode, 02770U);
  EXPECT_FALSE(ownership.from_share);

  result = LoadDataset(R"("name": "d", "pool": "tank", "mode": "0755")");
  EXPECT_EQ(result.config.datasets.at(0).ownership->mode, 0755U);
  EXPECT_EQ(result.config.datasets.at(0).ownership->owner, "");

  for (const char* wrong : {"770", "\"8\"", "\"rwx\"", "\"17777\"", "\"\"", "\"-77\"", "true"}) {
    result = LoadDataset(fmt::format(R"("name": "d", "pool": "tank", "mode": {})", wrong));
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre("invalid-mode@$.zfs.datasets[0].mode")) << wrong;
  }
  result = LoadDataset(R"("name": "d", "pool": "tank", "owner": "a b", "group": "-x")");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("invalid-name@$.zfs.datasets[0].owner", "invalid-name@$.zfs.datasets[0].group"));
}

TEST(Datasets, ARecursiveOwnerIsAskedForByNameAndNeedsSomethingToGive) {
  auto result = LoadDataset(R"("name": "d", "pool": "tank", "owner": "heads")");
  EXPECT_FALSE(result.config.datasets.at(0).recursive_owner);
  result = LoadDataset(R"("name": "d", "pool": "tank", "owner": "heads", "recursive_owner": true)");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_TRUE(result.config.datasets.at(0).recursive_owner);
  result = LoadDataset(R"("name": "d", "pool": "tank", "recursive_owner": true)");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("missing-owner@$.zfs.datasets[0].recursive_owner"));
  result = LoadDataset(R"("name": "d", "pool": "tank", "owner": "heads", "recursive_owner": "yes please")");
  EXPECT_EQ(result.findings.errors.size(), 1u);
}

LoadResult LoadFiles(const std::string& files) {
  return LoadDataset(fmt::format(R"("name": "d", "pool": "tank", "files": [{}])", files));
}

TEST(Files, AreRootsAndReadableWhereNothingElseIsSaid) {
  const auto result = LoadFiles(R"({"path": "conf/app.conf", "content": "port = 1\n"},
                                   {"path": "x", "content": "", "owner": "app", "group": 33, "mode": "600"})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.findings.lints, IsEmpty());
  const auto& files = result.config.datasets.at(0).files;
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, "conf/app.conf");
  EXPECT_EQ(files[0].content, "port = 1\n");
  EXPECT_EQ(files[0].owner + ":" + files[0].group, "root:root");
  EXPECT_EQ(files[0].mode, 0644U);
  EXPECT_EQ(files[0].origin.path, "$.zfs.datasets[0].files[0]");
  EXPECT_EQ(files[1].owner + ":" + files[1].group, "app:33");
  EXPECT_EQ(files[1].mode, 0600U);
  EXPECT_THAT(LoadDataset(R"("name": "d", "pool": "tank", "files": [])").config.datasets.at(0).files,
              IsEmpty());
}

TEST(Files, PathsLeadNowhereElse) {
  for (const char* wrong : {"", "/etc/passwd", "..", "../x", "a/../b", "a//b", "a/", "./a", "a/.", ".zfs/x",
                            ".zfs", "a\\nb", "\u00e4"}) {
    const auto result = LoadFiles(fmt::format(R"({{"path": "{}", "content": ""}})", wrong));
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre("invalid-path@$.zfs.datasets[0].files[0].path"))
        << wrong;
    EXPECT_THAT(result.config.datasets.at(0).files, IsEmpty()) << wrong;
  }
  for (const std::string& path : {std::string(256, 'x'), "a/" + std::string(1023, 'x')}) {
    EXPECT_FALSE(LoadFiles(fmt::format(R"({{"path": "{}", "content": ""}})", path)).ok());
  }
  for (const char* fine : {"a", "..a/b..", ".conf", "a b", ".zfsx/a", "a/.zfs"}) {
    EXPECT_TRUE(LoadFiles(fmt::format(R"({{"path": "{}", "content": ""}})", fine)).ok()) << fine;
  }
}

TEST(Files, AllMistakesAtOnceWithTheirPlacesAndNoContent) {
  const auto result = LoadFiles(R"({"path": "a", "content": "x", "mode": "4755"},
                                   {"path": "a", "content": "x"},
                                   {"path": "a/b", "content": "x"},
                                   {"content": "x"},
                                   {"path": "c"},
                                   {"path": "d", "content": 5, "owner": "a b"},
                                   {"path": "e", "content": "x", "mode": 644, "group": "-x"},
                                   "f",
                                   {"path": "g", "content": "x", "modus": "0644"})");
  EXPECT_THAT(
      Labels(result.findings.errors),
      ElementsAre(
          "invalid-mode@$.zfs.datasets[0].files[0].mode", "duplicate-path@$.zfs.datasets[0].files[1].path",
          "duplicate-path@$.zfs.datasets[0].files[2].path", "missing@$.zfs.datasets[0].files[3].path",
          "missing@$.zfs.datasets[0].files[4].content", "wrong-type@$.zfs.datasets[0].files[5].content",
          "invalid-name@$.zfs.datasets[0].files[5].owner", "invalid-name@$.zfs.datasets[0].files[6].group",
          "invalid-mode@$.zfs.datasets[0].files[6].mode", "wrong-type@$.zfs.datasets[0].files[7]"));
  EXPECT_THAT(Labels(result.findings.lints), ElementsAre("unknown-key@$.zfs.datasets[0].files[8].modus"));
  EXPECT_EQ(Labels(LoadDataset(R"("name": "d", "pool": "tank", "files": {"path": "a"})").findings.errors),
            std::vector<std::string>{"wrong-type@$.zfs.datasets[0].files"});
}

TEST(Files, HaveTheirLimits) {
  const auto file = [](int number, std::size_t bytes) {
    return fmt::format(R"({{"path": "{}", "content": "{}"}})", number, std::string(bytes, 'x'));
  };
  EXPECT_TRUE(LoadFiles(file(0, 65536)).ok());
  const auto longer = LoadFiles(file(0, 65537));
  EXPECT_THAT(Labels(longer.findings.errors), ElementsAre("too-long@$.zfs.datasets[0].files[0].content"));
  EXPECT_EQ(Render(longer.findings.errors).find("xxx"), std::string::npos) << "no content in messages";
  std::string four;
  for (int i = 0; i < 4; ++i) four += (i == 0 ? "" : ",") + file(i, 65536);
  EXPECT_TRUE(LoadFiles(four).ok());
  EXPECT_THAT(Labels(LoadFiles(four + "," + file(4, 1)).findings.errors),
              ElementsAre("too-long@$.zfs.datasets[0].files"));
  std::string datasets;
  for (int i = 0; i < 5; ++i)
    datasets += fmt::format(R"({}{{"name": "tank/{}", "files": [{}]}})", i == 0 ? "" : ",", i, four);
  const auto all =
      Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [{}]}}}})", datasets));
  EXPECT_THAT(Labels(all.findings.errors), ElementsAre("too-long@$.zfs.datasets"));
}

TEST(Files, NeedAMountedDataset) {
  const auto result = LoadDataset(
      R"("name": "d", "pool": "tank", "mountpoint": "none", "files": [{"path": "a", "content": ""}])");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("not-mounted@$.zfs.datasets[0].files[0]"));
}

TEST(Properties, StringObjectEmptyAndAbsentAreTheSameThing) {
  for (const char* given : {R"("recordsize=128K,compression=lz4,quota=1.4T")",
                            R"(" recordsize=128K , compression=lz4, quota=1.4T, ")",
                            R"("recordsize=128K compression=lz4 quota=1.4T")",
                            R"("recordsize = 128K, compression = lz4, quota = 1.4T")",
                            R"({"recordsize": "128K", "compression": "lz4", "quota": "1.4T"})",
                            R"({"recordsize": 131072, "compress": "lz4", "quota": " 1.4T"})"}) {
    const auto result = LoadProperties(given);
    ASSERT_TRUE(result.ok()) << given << "\n" << Render(result.findings.errors);
    EXPECT_THAT(Values(result), ElementsAre(Pair("compression", "lz4"), Pair("quota", "1539316278886"),
                                            Pair("recordsize", "131072")))
        << given;
  }
  for (const char* empty : {R"("")", R"("  ")", "{}", "null"}) {
    const auto result = LoadProperties(empty);
    EXPECT_TRUE(result.ok()) << empty;
    EXPECT_THAT(Values(result), IsEmpty()) << empty;
  }
}

TEST(Properties, SizesAreKeptAsGivenAndInBytes) {
  const auto result =
      LoadProperties(R"("quota=1.4T,refquota=none,reservation=0,recordsize=1M,refreservation=.5T")");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  const auto& properties = result.config.datasets.at(0).properties;
  EXPECT_EQ(properties.at("quota").given, "1.4T");
  EXPECT_EQ(properties.at("quota").value, "1539316278886");
  EXPECT_EQ(properties.at("refquota").given, "none");
  EXPECT_EQ(properties.at("refquota").value, "0");
  EXPECT_EQ(properties.at("recordsize").value, "1048576");
  EXPECT_EQ(properties.at("refreservation").value, "549755813888");
  EXPECT_EQ(properties.at("quota").origin.path, "$.zfs.datasets[0].properties");
}

TEST(Properties, ObjectsMayHoldBooleansAndNameTheirPlace) {
  const auto result = LoadProperties(R"({"atime": false, "copies": 2, "quota": "12Q", "exec": []})");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("wrong-type@$.zfs.datasets[0].properties.exec",
                                                          "invalid-size@$.zfs.datasets[0].properties.quota"));
  EXPECT_THAT(Values(result), ElementsAre(Pair("atime", "off"), Pair("copies", "2")));
}

TEST(Properties, ValuesZfsWouldRefuseAreErrors) {
  for (const char* wrong : {"recordsize=100K",
                            "recordsize=256",
                            "recordsize=32M",
                            "recordsize=none",
                            "quota=lots",
                            "quota=-1",
                            "sync=sometimes",
                            "compression=lz5",
                            "compression=gzip-10",
                            "compression=zstd-20",
                            "compression=zstd-fast-11",
                            "atime=yes",
                            "copies=4",
                            "acltype=posix2",
                            "snapshot_limit=10K",
                            "dnodesize=32k",
                            "used=1G",
                            "volsize=1G",
                            "mountpoint=relative",
                            "quota",
                            "=1G",
                            "quota=",
                            "phoenix:run=1",
                            "Org:X=1"}) {
    const auto result = LoadProperties(fmt::format("\"{}\"", wrong));
    EXPECT_EQ(result.findings.errors.size(), 1U) << wrong;
    EXPECT_THAT(Values(result), IsEmpty()) << wrong;
  }
}

TEST(Properties, EveryValidCompressionPasses) {
  for (const char* value : {"on", "off", "lz4", "zstd", "zstd-1", "zstd-19", "zstd-fast", "zstd-fast-10",
                            "zstd-fast-1000", "gzip", "gzip-9", "zle", "lzjb"}) {
    EXPECT_TRUE(LoadProperties(fmt::format("\"compression={}\"", value)).ok()) << value;
  }
}

TEST(Properties, ControlCharactersNeverReachATool) {
  for (const char* wrong : {R"({"org:note": "a\nb"})", R"({"org:note": "a\u0000b"})",
                            R"({"org:note": "\u001b[1m"})", R"({"org:note": "ä"})"}) {
    EXPECT_THAT(Labels(LoadProperties(wrong).findings.errors),
                ElementsAre("invalid-property@$.zfs.datasets[0].properties[\"org:note\"]"))
        << wrong;
  }
}

TEST(Properties, OfAnUnknownNameAreErrors) {
  for (const char* wrong : {"recordsiz", "written@snap", "jailed"}) {
    EXPECT_THAT(Labels(LoadProperties(fmt::format("\"{}=1\"", wrong)).findings.errors),
                ElementsAre("unknown-property@$.zfs.datasets[0].properties"))
        << wrong;
  }
}

TEST(Properties, WhatIsNotSupportedYetSaysSo) {
  for (const char* name :
       {"userquota@heads", "groupquota@staff", "projectquota@7", "userobjquota@heads", "version"}) {
    const auto result = LoadProperties(fmt::format(R"({{"{}": "1"}})", name));
    ASSERT_EQ(result.findings.errors.size(), 1U) << name;
    EXPECT_EQ(result.findings.errors[0].rule, "unsupported-property") << name;
    EXPECT_THAT(result.findings.errors[0].message, HasSubstr("not supported yet")) << name;
  }
}

TEST(Properties, WhatEncryptionSaysIsNoProperty) {
  for (const char* name : {"encryption", "keyformat", "keylocation", "pbkdf2iters"}) {
    const auto result = LoadProperties(fmt::format(R"({{"{}": "off"}})", name));
    ASSERT_EQ(result.findings.errors.size(), 1U) << name;
    EXPECT_EQ(result.findings.errors[0].rule, "unsupported-property") << name;
    EXPECT_THAT(result.findings.errors[0].message, HasSubstr("`encryption` beside the properties")) << name;
  }
}

TEST(Encryption, OfADatasetAndOfAPool) {
  const auto result = Load(R"({"zfs": {
    "pools": [{"name": "tank", "encryption": {"key": {"secret": "zfs/tank"}, "format": "raw"}}],
    "datasets": [{"name": "tank/a", "encryption": {"key": {"secret": "samba/heads"}, "algorithm": "aes-128-ccm"}},
                 {"name": "tank/b", "encryption": null}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.findings.lints, IsEmpty()) << "the name of a secret is no password";
  const auto& pool = result.config.pools.at(0).encryption;
  ASSERT_TRUE(pool.has_value());
  EXPECT_EQ(pool->secret, "zfs/tank");
  EXPECT_EQ(pool->format, "raw");
  EXPECT_EQ(pool->algorithm, "aes-256-gcm");
  const auto& dataset = result.config.datasets.at(0).encryption;
  ASSERT_TRUE(dataset.has_value());
  EXPECT_EQ(dataset->secret, "samba/users/heads") << "as the secrets file has it";
  EXPECT_EQ(dataset->format, "passphrase");
  EXPECT_EQ(dataset->algorithm, "aes-128-ccm");
  EXPECT_FALSE(result.config.datasets.at(1).encryption.has_value());
}

// Somebody wrote the key where its name belongs: it is shown nowhere.
TEST(Encryption, AKeyInTheFileIsRefusedWithoutBeingShown) {
  for (const char* wrong : {R"({"key": "correct horse"})", R"({"key": {"secret": "correct horse"}})"}) {
    const auto result = LoadDataset(fmt::format(R"("name": "tank/a", "encryption": {})", wrong));
    ASSERT_EQ(result.findings.errors.size(), 1U) << wrong;
    EXPECT_THAT(Render(result.findings.errors), ::testing::Not(HasSubstr("correct horse")));
  }
}

TEST(Properties, BlanksAroundANameAreDropped) {
  EXPECT_THAT(Values(LoadProperties(R"({" quota ": "1K", "copies\t": 2, " atime": true})")),
              ElementsAre(Pair("atime", "on"), Pair("copies", "2"), Pair("quota", "1024")));
}

TEST(Properties, AMountPointIsPassedOnAsANodeTakesIt) {
  for (const char* given : {R"("mountpoint": "/srv//a/")", R"("properties": "mountpoint=/srv//a/")"}) {
    const auto result = LoadDataset(fmt::format(R"("name": "d", "pool": "tank", {})", given));
    EXPECT_EQ(result.config.datasets.at(0).properties.at("mountpoint").given, "/srv/a") << given;
  }
}

TEST(Properties, TheLastOfTwoCounts) {
  const auto result = LoadProperties(R"("quota=1G,quota=2G,org:note=hello world")");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(Labels(result.findings.lints), ElementsAre("property-repeated@$.zfs.datasets[0].properties"));
  EXPECT_EQ(Values(result).at("quota"), "2147483648");
  EXPECT_EQ(Values(result).at("org:note"), "hello world");
}

TEST(ArcLimit, InGibOrAsOlderByteString) {
  EXPECT_EQ(Load(R"({"zfs": {"arc_max_gb": 32}})").config.arc_max_bytes, 34359738368U);
  EXPECT_EQ(Load(R"({"zfs": {"arc_max": "32212254720"}})").config.arc_max_bytes, 32212254720U);
  EXPECT_EQ(Load(R"({"zfs": {"arc_max_gb": 32}})").config.arc_max_origin.path, "$.zfs.arc_max_gb");
  EXPECT_EQ(Load(R"({"zfs": {}})").config.arc_max_bytes, std::nullopt);
  const auto both = Load(R"({"zfs": {"arc_max_gb": 1, "arc_max": "32212254720"}})");
  EXPECT_EQ(both.config.arc_max_bytes, 1073741824U);
  EXPECT_THAT(Labels(both.findings.lints), ElementsAre("arc-limit-twice@$.zfs.arc_max"));
}

TEST(ArcLimit, HasAFloorAndACeiling) {
  for (const char* wrong : {R"("arc_max_gb": 0)", R"("arc_max_gb": 32768)", R"("arc_max": "1048576")",
                            R"("arc_max_gb": 18446744073709551615)"}) {
    const auto result = Load(fmt::format(R"({{"zfs": {{{}}}}})", wrong));
    ASSERT_EQ(result.findings.errors.size(), 1U) << wrong;
    EXPECT_EQ(result.findings.errors[0].rule, "arc-limit");
    EXPECT_EQ(result.config.arc_max_bytes, std::nullopt);
  }
  for (const char* wrong : {R"("arc_max_gb": -1)", R"("arc_max_gb": 1.5)", R"("arc_max": "32G")"}) {
    const auto result = Load(fmt::format(R"({{"zfs": {{{}}}}})", wrong));
    ASSERT_EQ(result.findings.errors.size(), 1U) << wrong;
    EXPECT_EQ(result.findings.errors[0].rule, "wrong-type");
  }
}

TEST(Settings, DestructiveOperationsAreOffUnlessTheFilePermitsThem) {
  EXPECT_FALSE(Load("{}").config.allow_destructive_operations);
  EXPECT_TRUE(Load(R"({"zfs": {"settings": {"allow_destructive_operations": true}}})")
                  .config.allow_destructive_operations);
  EXPECT_TRUE(Load(R"({"zfs": {"settings": {"allow_destructive_operations": "true"}}})")
                  .config.allow_destructive_operations);
  const auto result = Load(R"({"zfs": {"settings": {"allow_destructive_operations": "maybe"}}})");
  EXPECT_FALSE(result.ok());
  EXPECT_FALSE(result.config.allow_destructive_operations);
}

TEST(ZfsSettings, TheWearThatADiskMayHave) {
  EXPECT_EQ(Load("{}").config.max_wear_percent, 90U);
  const auto load = [](const char* percent) {
    return Load(
        fmt::format(R"({{"zfs": {{"settings": {{"health": {{"max_wear_percent": {}}}}}}}}})", percent));
  };
  EXPECT_EQ(load("75").config.max_wear_percent, 75U);
  EXPECT_EQ(load("\"100\"").config.max_wear_percent, 100U);
  EXPECT_THAT(Labels(load("100").findings.lints), IsEmpty());
  EXPECT_THAT(Labels(load("101").findings.lints),
              ElementsAre("wear-limit-late@$.zfs.settings.health.max_wear_percent"));
  for (const char* wrong : {"0", "256"}) {
    EXPECT_THAT(Labels(load(wrong).findings.errors),
                ElementsAre("wear-limit@$.zfs.settings.health.max_wear_percent"))
        << wrong;
  }
}

}  // namespace
}  // namespace phoenix::config
