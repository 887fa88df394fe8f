#include "services/zfs/host/zfs_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "services/zfs/host/zfs_disks.h"

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Transcript(const std::string& name) {
  std::ifstream file(std::string(PHOENIX_TESTDATA) + "/" + name);
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ParseDatasets, Reads23) {
  const auto datasets = ParseDatasets(Transcript("zfs-get-2.3.txt"));
  ASSERT_TRUE(datasets.ok()) << datasets.status();
  ASSERT_EQ(datasets->size(), 3u);
  const DatasetState& disks = datasets->at("quickOS/vm-disks");
  EXPECT_EQ(disks.type, "filesystem");
  EXPECT_EQ(disks.guid, 16184094870271264302u);
  EXPECT_EQ(disks.properties.at("quota"), (PropertyState{"858993459200", "local", "-"}));
  EXPECT_EQ(disks.properties.at("org:owner"), (PropertyState{"Ann & Bob's", "inherited from quickOS", "-"}));
  EXPECT_EQ(disks.LocalValue("phoenix:run"), "7c2e5b3e-6d6b-4d34-9a41-9b5a4f2e8f01");
  const DatasetState& received = datasets->at("quickOS/received");
  EXPECT_EQ(received.properties.at("recordsize"), (PropertyState{"65536", "received", "65536"}));
  EXPECT_EQ(received.properties.at("atime"), (PropertyState{"off", "local", "on"}));
  EXPECT_EQ(received.LocalValue("phoenix:run"), "") << "an inherited mark marks nothing";
}

// Taken from a machine, as it was printed.
TEST(Transcripts, OfARealMachine) {
  const auto datasets = ParseDatasets(Transcript("zfs-get-2.3.2-lab.txt"));
  ASSERT_TRUE(datasets.ok()) << datasets.status();
  EXPECT_EQ(datasets->at("tst/a").Value("quota"), "1539316278886");
  EXPECT_EQ(datasets->at("tst/a").properties.at("filesystem_limit"), (PropertyState{"none", "default", "-"}));
  EXPECT_EQ(datasets->at("tst/a").LocalValue("phoenix:run"), "");
  EXPECT_EQ(datasets->at("tst/v").type, "volume");
  EXPECT_EQ(datasets->at("tst/v").properties.at("refreservation"), (PropertyState{"18874368", "local", "-"}));
  const auto pools = ParseStatus(Transcript("zpool-status-2.3.2-lab.txt"));
  ASSERT_TRUE(pools.ok()) << pools.status();
  EXPECT_THAT(pools->at("tst").vdevs, ElementsAre(VdevGroup{"mirror", {"/dev/nvme2n1p1", "/dev/nvme1n1p1"}}));
  const auto exported = ParseImport(Transcript("zpool-import-2.3.2-lab.txt"));
  ASSERT_TRUE(exported.ok()) << exported.status();
  EXPECT_EQ(exported->at(0).guid, 8713471464251529256u);
  EXPECT_THAT(exported->at(0).members, ElementsAre("nvme-QEMU_NVMe_Ctrl_S1A", "nvme-QEMU_NVMe_Ctrl_S1B"));
}

TEST(ParseDatasets, Reads21AndVolumes) {
  const auto datasets = ParseDatasets(Transcript("zfs-get-2.1.txt"));
  ASSERT_TRUE(datasets.ok()) << datasets.status();
  EXPECT_EQ(datasets->at("tank/vol").type, "volume");
  EXPECT_EQ(datasets->at("tank/vol").Value("volsize"), "1073741824");
  EXPECT_EQ(datasets->at("tank/data").Value("acltype"), "posix");
}

TEST(ParseDatasets, RefusesWhatItDoesNotUnderstand) {
  EXPECT_FALSE(ParseDatasets("tank\ttype\tfilesystem\n").ok());
  EXPECT_FALSE(ParseDatasets("tank\ttype\tfilesystem\t-\t-\n").ok()) << "no GUID";
  EXPECT_TRUE(ParseDatasets("")->empty());
}

TEST(ParseSnapshots, ReadsHoldsClonesAndMarks) {
  const auto snapshots = ParseSnapshots(Transcript("zfs-get-snapshots.txt"));
  ASSERT_TRUE(snapshots.ok()) << snapshots.status();
  EXPECT_EQ(snapshots->at("tank/data@daily-01").used_bytes, 12288u);
  EXPECT_EQ(snapshots->at("tank/data@daily-01").run, "");
  EXPECT_TRUE(snapshots->at("tank/data@daily-01").clones.empty());
  const SnapshotState& before = snapshots->at("tank/data@before");
  EXPECT_EQ(before.holds, 2u);
  EXPECT_THAT(before.clones, ElementsAre("tank/clone1", "tank/clone2"));
  EXPECT_EQ(before.run, "ours");
  EXPECT_EQ(before.committed_seconds, 1762000250);
  EXPECT_EQ(snapshots->at("tank/data@child").run, "") << "inherited from its dataset";
  EXPECT_EQ(snapshots->at("tank/data@child").committed_seconds, 0) << "inherited from its dataset";
}

TEST(ParseHolds, ReadsTagsBySnapshot) {
  const auto holds = ParseHolds(
      "tank/data@before\tbackup\tSat Nov 28 17:09 2026\n"
      "tank/data@before\tphoenix:r1\tSat Nov 28 17:10 2026\n"
      "tank/a b@x\tphoenix:r1\tSat Nov 28 17:10 2026\n");
  ASSERT_TRUE(holds.ok()) << holds.status();
  EXPECT_THAT(holds->at("tank/data@before"), ElementsAre("backup", "phoenix:r1"));
  EXPECT_THAT(holds->at("tank/a b@x"), ElementsAre("phoenix:r1"));
  EXPECT_TRUE(ParseHolds("")->empty());
  EXPECT_FALSE(ParseHolds("tank/data@before backup\n").ok());
}

TEST(ParsePools, ReadsProperties) {
  const auto pools = ParsePools(Transcript("zpool-get.txt"));
  ASSERT_TRUE(pools.ok()) << pools.status();
  EXPECT_EQ(pools->at("quickOS").guid, 4839277103378446001u);
  EXPECT_EQ(pools->at("quickOS").health, "DEGRADED");
  EXPECT_EQ(pools->at("fastData").size_bytes, 3985729650688u);
  EXPECT_EQ(pools->at("fastData").properties.at("ashift").value, "12");
  EXPECT_FALSE(ParsePools("quickOS\tsize\n").ok());
}

TEST(ParseStatus, ReadsSingleAndDegradedMirror) {
  const auto pools = ParseStatus(Transcript("zpool-status-2.3.txt"));
  ASSERT_TRUE(pools.ok()) << pools.status();
  EXPECT_THAT(pools->at("fastData").vdevs, ElementsAre(VdevGroup{"disk", {"/dev/nvme2n1p1"}}));
  constexpr char kMissing[] = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1B-part1";
  EXPECT_THAT(pools->at("quickOS").vdevs, ElementsAre(VdevGroup{"mirror", {"/dev/nvme0n1p1", kMissing}}));
  EXPECT_EQ(pools->at("quickOS").members.at(kMissing).state, "UNAVAIL");
}

TEST(ParseStatus, TellsClassesAndWhatStandsInForAMember) {
  const auto pools = ParseStatus(Transcript("zpool-status-2.1.txt"));
  ASSERT_TRUE(pools.ok()) << pools.status();
  const PoolLayout& tank = pools->at("tank");
  EXPECT_THAT(tank.vdevs,
              ElementsAre(VdevGroup{"mirror", {"/dev/sda1", "/dev/sdk1"}},
                          VdevGroup{"mirror", {"/dev/sdc1", "/dev/sdd1"}},
                          VdevGroup{"mirror", {"/dev/nvme0n1p1", "/dev/nvme1n1p1"}, VdevClass::kSpecial},
                          VdevGroup{"disk", {"/dev/nvme2n1p2"}, VdevClass::kLog},
                          VdevGroup{"disk", {"/dev/nvme3n1p1"}, VdevClass::kCache},
                          VdevGroup{"disk", {"/dev/sdj1"}, VdevClass::kSpare}));
  EXPECT_EQ(tank.members.at("/dev/sdk1").replaces, "/dev/sdb1");
  EXPECT_EQ(tank.members.at("/dev/sdb1").replaces, "") << "it is seen, although its place is taken";
  EXPECT_EQ(tank.members.at("/dev/sdj1").state, "AVAIL");
  EXPECT_THAT(pools->at("wide").vdevs, ElementsAre(VdevGroup{"draid2:4d:8c:1s", {"/dev/sde1", "/dev/sdf1"}},
                                                   VdevGroup{"raidz2", {"/dev/sdg1"}}));
  EXPECT_TRUE(ParseStatus("")->empty());
}

// The replacement of a disk for which a spare stands in goes on below the spare: taken for a disk outside of
// the pool, the new one would be cleared by undo.
TEST(ParseStatus, ReadsAReplacementBelowASpare) {
  const auto pools = ParseStatus(
      "  pool: a\n state: DEGRADED\nconfig:\n\n"
      "\tNAME                  STATE     READ WRITE CKSUM\n"
      "\ta                     DEGRADED     0     0     0\n"
      "\t  raidz1-0            DEGRADED     0     0     0\n"
      "\t    /dev/sda1         ONLINE       0     0     0\n"
      "\t    spare-1           DEGRADED     0     0     0\n"
      "\t      replacing-0     DEGRADED     0     0     0\n"
      "\t        4711          UNAVAIL      0     0     0  was /dev/sdb1\n"
      "\t        /dev/sdc1     ONLINE       0     0     0  (resilvering)\n"
      "\t      /dev/sds1       ONLINE       0     0     0\n"
      "\t    /dev/sdd1         ONLINE       0     0     0\n"
      "\tspares\n"
      "\t  /dev/sds1           INUSE     currently in use\n"
      "\nerrors: No known data errors\n");
  ASSERT_TRUE(pools.ok()) << pools.status();
  const PoolLayout& pool = pools->at("a");
  EXPECT_THAT(pool.vdevs, ElementsAre(VdevGroup{"raidz1", {"/dev/sda1", "/dev/sdc1", "/dev/sdd1"}},
                                      VdevGroup{"disk", {"/dev/sds1"}, VdevClass::kSpare}));
  // By now the kernel's name may be another disk's.
  EXPECT_EQ(pool.members.at("/dev/sdc1").replaces, "4711");
  EXPECT_EQ(pool.members.count("/dev/sdb1"), 0u);
}

// As 2.3.2 shows a dRAID of three disks with a distributed spare, which is no disk.
TEST(ParseStatus, TakesNoDistributedSpareForADisk) {
  const auto pools = ParseStatus(
      "  pool: a\n state: ONLINE\nconfig:\n\n"
      "\tNAME                 STATE     READ WRITE CKSUM\n"
      "\ta                    ONLINE       0     0     0\n"
      "\t  draid1:1d:3c:1s-0  ONLINE       0     0     0\n"
      "\t    /dev/sda1        ONLINE       0     0     0\n"
      "\t    /dev/sdb1        ONLINE       0     0     0\n"
      "\t    /dev/sdc1        ONLINE       0     0     0\n"
      "\tspares\n"
      "\t  draid1-0-0         AVAIL   \n"
      "\nerrors: No known data errors\n");
  ASSERT_TRUE(pools.ok()) << pools.status();
  EXPECT_THAT(pools->at("a").vdevs,
              ElementsAre(VdevGroup{"draid1:1d:3c:1s", {"/dev/sda1", "/dev/sdb1", "/dev/sdc1"}}));
  EXPECT_EQ(pools->at("a").members.size(), 3u);
}

// A spare that stands in for a member is no member, nor does a single disk lose its name while it is
// replaced.
TEST(ParseStatus, ReadsSparesInUseAndSingleDisksBeingReplaced) {
  constexpr char kStatus[] =
      "  pool: a\n state: DEGRADED\nconfig:\n\n"
      "\tNAME                STATE     READ WRITE CKSUM\n"
      "\ta                   DEGRADED     0     0     0\n"
      "\t  mirror-0          DEGRADED     0     0     0\n"
      "\t    /dev/sda1       ONLINE       0     0     3\n"
      "\t    spare-1         DEGRADED     0     0     0\n"
      "\t      /dev/sdb1     FAULTED      7    12     0  too many errors\n"
      "\t      /dev/sdc1     ONLINE       0     0     0\n"
      "\t  replacing-1       ONLINE       0     0     0\n"
      "\t    /dev/sdd1       ONLINE       0     0     0\n"
      "\t    /dev/sde1       ONLINE       0     0     0  (resilvering)\n"
      "\tspares\n"
      "\t  /dev/sdc1         INUSE     currently in use\n"
      "\nerrors: No known data errors\n";
  constexpr char kGuids[] =
      "  pool: a\n state: DEGRADED\nconfig:\n\n"
      "\tNAME      STATE     READ WRITE CKSUM\n"
      "\ta         DEGRADED     0     0     0\n"
      "\t  100     DEGRADED     0     0     0\n"
      "\t    1     ONLINE       0     0     3\n"
      "\t    200   DEGRADED     0     0     0\n"
      "\t      2   FAULTED      7    12     0  too many errors\n"
      "\t      3   ONLINE       0     0     0\n"
      "\t  300     ONLINE       0     0     0\n"
      "\t    4     ONLINE       0     0     0\n"
      "\t    5     ONLINE       0     0     0  (resilvering)\n"
      "\tspares\n"
      "\t  3       INUSE     currently in use\n"
      "\nerrors: No known data errors\n";
  const auto pools = ParseStatus(kStatus, kGuids);
  ASSERT_TRUE(pools.ok()) << pools.status();
  const PoolLayout& pool = pools->at("a");
  EXPECT_THAT(pool.vdevs,
              ElementsAre(VdevGroup{"mirror", {"/dev/sda1", "/dev/sdb1"}}, VdevGroup{"disk", {"/dev/sde1"}},
                          VdevGroup{"disk", {"/dev/sdc1"}, VdevClass::kSpare}));
  EXPECT_EQ(pool.members.at("/dev/sdb1"), (MemberState{"FAULTED", 7, 12, 0, "", 0, "", "2", "100"}));
  EXPECT_EQ(pool.members.at("/dev/sda1").checksum_errors, 3u);
  EXPECT_EQ(pool.members.at("/dev/sdc1").state, "INUSE");
  EXPECT_EQ(pool.members.at("/dev/sde1"), (MemberState{"ONLINE", 0, 0, 0, "/dev/sdd1", 0, "", "5", "300"}));
  EXPECT_EQ(pool.members.size(), 5u);
  // Read while somebody changed the pool.
  std::string other = kGuids;
  other.erase(other.find("\t    1"), std::string("\t    1     ONLINE       0     0     3\n").size());
  EXPECT_TRUE(absl::IsUnavailable(ParseStatus(kStatus, other).status()));
}

TEST(ParseImport, ReadsExportedPools) {
  const auto pools = ParseImport(Transcript("zpool-import.txt"));
  ASSERT_TRUE(pools.ok()) << pools.status();
  ASSERT_EQ(pools->size(), 2u);
  EXPECT_EQ((*pools)[0].name, "oldData");
  EXPECT_EQ((*pools)[0].guid, 6103927654321098765u);
  EXPECT_THAT((*pools)[0].members, ElementsAre("nvme-QEMU_NVMe_Ctrl_S2A", "sdb"));
  EXPECT_TRUE((*pools)[0].in_use_elsewhere);
  EXPECT_FALSE((*pools)[1].in_use_elsewhere);
  EXPECT_EQ((*pools)[1].state, "UNAVAIL");
  EXPECT_TRUE(ParseImport("no pools available to import\n")->empty());
}

TEST(ParseLabel, ReadsThePoolNotTheVdev) {
  const auto label = ParseLabel(Transcript("zdb-l.txt"));
  ASSERT_TRUE(label.has_value());
  EXPECT_EQ(label->pool, "oldData");
  EXPECT_EQ(label->pool_guid, 6103927654321098765u);
  EXPECT_EQ(label->state, 1);
  EXPECT_FALSE(ParseLabel(Transcript("zdb-l-none.txt")).has_value());
}

TEST(ParseBlockDevices, ReadsTheTree) {
  const auto devices = ParseBlockDevices(Transcript("lsblk.txt"));
  ASSERT_TRUE(devices.ok()) << devices.status();
  const auto parts = DevicesOf(*devices, "/dev/nvme0n1");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0]->serial, "S1A");
  EXPECT_EQ(parts[0]->size_bytes, 2000398934016u);
  EXPECT_EQ(parts[1]->partition_label, "zfs-6c5ca0a5d0a1e9c3");
  EXPECT_EQ(DevicesOf(*devices, "/dev/nvme1n1")[0]->size_bytes, 2000398934016u)
      << "older releases print text";
  EXPECT_EQ(UseOf(parts), "");
  EXPECT_EQ(UseOf(DevicesOf(*devices, "/dev/vda")), "/dev/vda is mounted at /");
  EXPECT_THAT(UseOf(DevicesOf(*devices, "/dev/nvme1n1")), HasSubstr("/dev/mapper/vg-root (lvm)"));
  EXPECT_EQ(DiskOfMember(*devices, "/dev/nvme0n1p1"), "/dev/nvme0n1");
  EXPECT_EQ(DiskOfMember(*devices, "/dev/disk/by-id/ata-X-part1"), "/dev/disk/by-id/ata-X");
  EXPECT_FALSE(IsOwnPartition("/dev/disk/by-id/ata-X-part1"));
  EXPECT_TRUE(IsOwnPartition("/dev/disk/by-id/ata-X-part3"));
  EXPECT_FALSE(IsOwnPartition("/dev/disk/by-id/ata-spare-part"));
  EXPECT_FALSE(IsOwnPartition("1234567890"));
  EXPECT_FALSE(ParseBlockDevices("lsblk: failed").ok());
}

// The order of a lab's numbers: nvme1n1 is 259:3, and its partition got 259:1 from a disk that was pulled.
// Taken for no disk, the new member was unknown, and the run that had put it into the pool was undone.
TEST(ParseBlockDevices, ADiskComesBeforeItsPartitionsWhateverTheirNumbers) {
  const auto devices = ParseBlockDevices(R"({"blockdevices": [
    {"path": "/dev/nvme1n1p1", "pkname": "nvme1n1", "type": "part", "size": 1099502190592, "mountpoints": [null]},
    {"path": "/dev/nvme1n1", "pkname": null, "type": "disk", "size": 1099511627776, "mountpoints": [null]},
    {"path": "/dev/nvme1n1p9", "pkname": "nvme1n1", "type": "part", "size": 8388608, "mountpoints": [null]}]})");
  ASSERT_TRUE(devices.ok()) << devices.status();
  std::vector<std::string> paths;
  for (const BlockDevice* device : DevicesOf(*devices, "/dev/nvme1n1")) paths.push_back(device->path);
  EXPECT_THAT(paths, ElementsAre("/dev/nvme1n1", "/dev/nvme1n1p1", "/dev/nvme1n1p9"));
}

TEST(ParseBlockDevices, TellsADiskWithOtherPartitionsFromOneThatIsZfsAlone) {
  const auto disk = ParseBlockDevices(Transcript("lsblk.txt"));
  ASSERT_TRUE(disk.ok()) << disk.status();
  EXPECT_FALSE(HasOtherPartitions(DevicesOf(*disk, "/dev/nvme0n1")));
  // As the installer of Proxmox VE leaves it.
  const auto boot = ParseBlockDevices(R"({"blockdevices": [
    {"path": "/dev/sda", "pkname": null, "type": "disk", "size": 2199023255552, "mountpoints": [null]},
    {"path": "/dev/sda1", "pkname": "sda", "type": "part", "size": 1031168, "parttype": "21686148-6449-6e6f-744e-656564454649", "mountpoints": [null]},
    {"path": "/dev/sda2", "pkname": "sda", "type": "part", "size": 1073741824, "parttype": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "mountpoints": [null]},
    {"path": "/dev/sda3", "pkname": "sda", "type": "part", "size": 2197948000000, "parttype": "6a898cc3-1dd2-11b2-99a6-080020736631", "mountpoints": [null]}]})");
  ASSERT_TRUE(boot.ok()) << boot.status();
  EXPECT_TRUE(HasOtherPartitions(DevicesOf(*boot, "/dev/sda")));
}

// A partition that is not led back to its disk makes every pool look as if it had other members than
// declared.
TEST(ParseBlockDevices, ReadsTheFlatListThatColumnsWithoutNameGive) {
  const auto devices = ParseBlockDevices(R"({"blockdevices": [
    {"path": "/dev/nvme0n1", "pkname": null, "type": "disk", "size": 2199023255552, "serial": "S1A", "mountpoints": [null]},
    {"path": "/dev/nvme0n1p1", "pkname": "nvme0n1", "type": "part", "size": 2199012769792, "mountpoints": [null]},
    {"path": "/dev/mapper/vg-root", "pkname": "nvme0n1p1", "type": "lvm", "size": 8388608, "mountpoints": ["/"]}]})");
  ASSERT_TRUE(devices.ok()) << devices.status();
  EXPECT_EQ(DiskOfMember(*devices, "/dev/nvme0n1p1"), "/dev/nvme0n1");
  EXPECT_EQ(DiskOfMember(*devices, "/dev/mapper/vg-root"), "/dev/nvme0n1");
}

TEST(ParseSignatures, ReadsAllAndNone) {
  const auto signatures = ParseSignatures(Transcript("wipefs.txt"));
  ASSERT_TRUE(signatures.ok()) << signatures.status();
  EXPECT_EQ(signatures->size(), 4u);
  EXPECT_EQ(signatures->back(), (std::pair<std::string, std::string>("/dev/nvme0n1p1", "zfs_member")));
  EXPECT_TRUE(ParseSignatures("{\n   \"signatures\": [\n\n   ]\n}\n")->empty());
  EXPECT_TRUE(ParseSignatures("")->empty());
  EXPECT_FALSE(ParseSignatures("wipefs: error").ok());
}

TEST(ParseMounts, ReadsNumbersPathsAndSources) {
  const auto mounts = ParseMounts(Transcript("mountinfo.txt"));
  ASSERT_EQ(mounts.size(), 5u);
  EXPECT_EQ(mounts[2].device, "0:46");
  EXPECT_EQ(mounts[2].source, "quickOS/vm-disks");
  EXPECT_EQ(mounts[3].path, "/srv/with blank");
  EXPECT_EQ(mounts[3].file_system, "zfs");
}

// Trap 12: what cannot be read is not absent.
TEST(ParseMissing, OnlyWhatZfsCallsMissingIsMissing) {
  EXPECT_THAT(
      *ParseMissing("cannot open 'a/b': dataset does not exist\ncannot open 'c': dataset does not exist\n"),
      ElementsAre("a/b", "c"));
  EXPECT_FALSE(ParseMissing("cannot open 'a': I/O error\n").has_value());
  EXPECT_FALSE(ParseMissing("The ZFS modules cannot be auto-loaded.\n").has_value());
}

TEST(ParseSmallThings, ArcOptionMemoryVersion) {
  EXPECT_EQ(ParseArcOption("# options zfs zfs_arc_max=1\noptions zfs zfs_arc_min=5 zfs_arc_max=8589934592\n"),
            "8589934592");
  EXPECT_EQ(ParseArcOption("options zfs zfs_prefetch_disable=1\n"), "");
  EXPECT_EQ(ParseMemory("MemTotal:        2014352 kB\nMemFree: 1 kB\n"), 2062696448u);
  EXPECT_EQ(ParseVersion("zfs-2.3.2-2~bpo12+2\nzfs-kmod-2.3.2-2~bpo12+2\n"), "2.3.2");
  EXPECT_EQ(ParseVersion("nonsense"), "");
}

DiskProbes ProbesOfOldData() {
  DiskProbes probes;
  probes.signatures = *ParseSignatures(Transcript("wipefs.txt"));
  probes.low_level["/dev/nvme0n1"] = {{"PTTYPE", "gpt"}};
  probes.labels["/dev/nvme0n1p1"] = *ParseLabel(Transcript("zdb-l.txt"));
  return probes;
}

// Trap 2: on the whole disk a pool's disk looks like nothing but a partition table.
TEST(Trap2, TheLabelInsideThePartitionIsFound) {
  const auto devices = *ParseBlockDevices(Transcript("lsblk.txt"));
  const auto findings = Findings(DevicesOf(devices, "/dev/nvme0n1"), ProbesOfOldData());
  std::string all;
  for (const auto& finding : findings) all += finding.where + " " + finding.what + "\n";
  EXPECT_THAT(all, HasSubstr("/dev/nvme0n1 gpt partition table (wipefs, blkid)"));
  EXPECT_THAT(all, HasSubstr("/dev/nvme0n1p1 label of the exported ZFS pool oldData (zdb)"));
  EXPECT_THAT(all, HasSubstr("/dev/nvme0n1p1 partition 'zfs-6c5ca0a5d0a1e9c3'"));
  int with_pool = 0;
  for (const auto& finding : findings) with_pool += finding.pool == "oldData" ? 1 : 0;
  EXPECT_EQ(with_pool, 1);
}

TEST(Trap2, AnExportedPoolIsFoundByItsMembersName) {
  const auto devices = *ParseBlockDevices(Transcript("lsblk.txt"));
  const auto parts = DevicesOf(devices, "/dev/nvme2n1");
  auto findings = Findings(parts, DiskProbes{});
  EXPECT_TRUE(findings.empty());
  AddExported(parts, "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S2A", *ParseImport(Transcript("zpool-import.txt")),
              findings);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].what, "member of the exported ZFS pool oldData (zpool import)");
}

TEST(Findings, DataWithoutASignatureIsAFinding) {
  const auto devices = *ParseBlockDevices(Transcript("lsblk.txt"));
  DiskProbes probes;
  probes.first_byte = 1048576;
  const auto findings = Findings(DevicesOf(devices, "/dev/nvme2n1"), probes);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_THAT(findings[0].what, HasSubstr("byte 1048576"));
  EXPECT_FALSE(findings[0].zfs_partition);
}

// Seen in the lab while packages were being installed: lsblk had neither type nor label yet for the
// partitions of a pool that undo had just destroyed, and they were taken for somebody else's.
TEST(Findings, WhatUdevDoesNotKnowYetIsReadFromTheTable) {
  const BlockDevice disk{.path = "/dev/sdx", .disk = "/dev/sdx", .type = "disk"};
  const BlockDevice data{.path = "/dev/sdx1", .disk = "/dev/sdx", .type = "part"};
  const BlockDevice reserved{.path = "/dev/sdx9", .disk = "/dev/sdx", .type = "part"};
  DiskProbes probes;
  probes.signatures = {{"/dev/sdx", "gpt"}};
  probes.low_level["/dev/sdx1"] = ParseProbe(
      "DEVNAME=/dev/sdx1\nPART_ENTRY_SCHEME=gpt\nPART_ENTRY_NAME=zfs-6c5ca0a5d0a1e9c3\n"
      "PART_ENTRY_TYPE=6a898cc3-1dd2-11b2-99a6-080020736631\nPART_ENTRY_NUMBER=1\n");
  probes.low_level["/dev/sdx9"] =
      ParseProbe("DEVNAME=/dev/sdx9\nPART_ENTRY_TYPE=6a945a3b-1dd2-11b2-99a6-080020736631\n");
  for (const Finding& finding : Findings({&disk, &data, &reserved}, probes))
    EXPECT_TRUE(finding.zfs_partition) << finding.where << ": " << finding.what;
  // The table says that it is somebody else's.
  probes.low_level["/dev/sdx9"] = {{"PART_ENTRY_TYPE", "0fc63daf-8483-4772-8e79-3d69d8477de4"}};
  for (const Finding& finding : Findings({&disk, &data, &reserved}, probes))
    EXPECT_EQ(finding.zfs_partition, finding.where == "/dev/sdx1") << finding.where << ": " << finding.what;
}

// Only a table without anybody's partitions may be cleared as residue of our own.
TEST(Findings, ATableWithOthersPartitionsIsNotResidue) {
  BlockDevice disk{.path = "/dev/sdx", .disk = "/dev/sdx", .type = "disk"};
  BlockDevice zfs{.path = "/dev/sdx1", .disk = "/dev/sdx", .type = "part", .partition_label = "zfs-1"};
  BlockDevice other{.path = "/dev/sdx2", .disk = "/dev/sdx", .type = "part", .partition_label = "home"};
  DiskProbes probes;
  probes.signatures = {{"/dev/sdx", "gpt"}};
  EXPECT_TRUE(Findings({&disk, &zfs}, probes)[0].zfs_partition);
  EXPECT_FALSE(Findings({&disk, &zfs, &other}, probes)[0].zfs_partition);
  // The label of a cache names no pool: what is left of one that was removed is not for others to keep.
  probes.labels["/dev/sdx1"] = {"", 0, 4};
  const auto cache = Findings({&disk, &zfs}, probes);
  EXPECT_TRUE(std::any_of(cache.begin(), cache.end(), [](const Finding& finding) {
    return finding.what.starts_with("label of a cache or spare") && finding.zfs_partition;
  }));
}

TEST(BestLinks, NameADiskByModelAndSerialWhereTheyCan) {
  const std::string by_id = "/dev/disk/by-id/";
  const auto links = BestLinks({{by_id + "nvme-QEMU_NVMe_Ctrl_S1A", "/dev/nvme0n1"},
                                {by_id + "nvme-QEMU_NVMe_Ctrl_S1A-part1", "/dev/nvme0n1p1"},
                                {by_id + "nvme-eui.0001", "/dev/nvme0n1"},
                                {by_id + "scsi-SATA_disk_1", "/dev/sda"},
                                {by_id + "wwn-0x5000", "/dev/sda"},
                                {by_id + "wwn-0x5001", "/dev/sdb"}});
  EXPECT_THAT(links,
              ::testing::ElementsAre(::testing::Pair("/dev/nvme0n1", by_id + "nvme-QEMU_NVMe_Ctrl_S1A"),
                                     ::testing::Pair("/dev/sda", by_id + "scsi-SATA_disk_1"),
                                     ::testing::Pair("/dev/sdb", by_id + "wwn-0x5001")));
}

}  // namespace
}  // namespace phoenix::zfs
