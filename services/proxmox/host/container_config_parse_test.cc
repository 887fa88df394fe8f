#include "services/proxmox/host/container_config_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kConfig[] =
    "#mp7%3A tank%3Ano,mp=/no\n"
    "#mp8: tank:no,mp=/no\n"
    "arch: amd64\n"
    "lxc.idmap: u 0 100000 1000\n"
    "lxc.idmap: g 0 100000 1000\n"
    "lxc.idmap = u 1000 1000 1\n"
    "mp0: tank:subvol-101-disk-1,mp=/data,backup=1,size=8G\n"
    "mp1: /tank/media,mp=/mnt/media,ro=1\r\n"
    "net0: name=eth0,bridge=vmbr0\n"
    "rootfs: tank:subvol-101-disk-0,size=4G\n"
    "unprivileged: 1\n"
    "unused0: tank:subvol-101-disk-7\n"
    "\n"
    "[pve:pending]\n"
    "delete: mp1,!mp9\n"
    "mp2: tank:1,mp=/later\n"
    "\n"
    "[before-upgrade]\n"
    "#a snapshot\n"
    "mp0: tank:subvol-101-disk-1,mp=/data,size=8G\n"
    "mp5: tank:subvol-101-disk-5,mp=/gone,size=1G\n"
    "rootfs: tank:subvol-101-disk-0,size=4G\n"
    "snaptime: 1700000000\n";

TEST(ContainerConfigParse, LinesInForceAreThoseBeforeTheFirstSection) {
  const auto config = ParseContainerConfig(kConfig);
  EXPECT_EQ(config.digest, Sha1Hex(kConfig));
  ASSERT_EQ(config.mounts.size(), 2u);
  EXPECT_EQ(config.mounts.at(0),
            (ContainerMount{"tank:subvol-101-disk-1", "/data", 8 * kGib, {{"backup", "1"}}}));
  EXPECT_EQ(config.mounts.at(0).storage(), "tank");
  EXPECT_EQ(config.mounts.at(1), (ContainerMount{"/tank/media", "/mnt/media", std::nullopt, {{"ro", "1"}}}));
  EXPECT_FALSE(config.mounts.at(1).is_volume());
  EXPECT_EQ(config.rootfs, "tank:subvol-101-disk-0");
  EXPECT_EQ(config.unused.at(0), "tank:subvol-101-disk-7");
  EXPECT_TRUE(config.unprivileged);
  EXPECT_THAT(config.unreadable, IsEmpty());
}

TEST(ContainerConfigParse, WhatIsPendingAndWhatSnapshotsHoldIsKeptApart) {
  const auto config = ParseContainerConfig(kConfig);
  EXPECT_EQ(config.pending_mounts.at(2).path, "/later");
  EXPECT_THAT(config.pending_removals, ElementsAre("mp1", "mp9"));
  EXPECT_THAT(config.snapshots, ElementsAre("before-upgrade"));
  EXPECT_THAT(config.snapshot_volumes,
              ElementsAre("tank:subvol-101-disk-0", "tank:subvol-101-disk-1", "tank:subvol-101-disk-5"));
}

// Proxmox VE writes commas, and takes the others as well.
TEST(ContainerConfigParse, RemovalsThatWaitArePartedAsTheGenuineReaderPartsThem) {
  EXPECT_THAT(ParseContainerConfig("[pve:pending]\ndelete: mp0 mp1;!mp2,  net0\n").pending_removals,
              ElementsAre("mp0", "mp1", "mp2", "net0"));
}

TEST(ContainerConfigParse, WhatLxcMountsItselfIsSeen) {
  const auto config = ParseContainerConfig(
      "lxc.mount.entry: /srv/media mnt/media none bind,create=dir 0 0\n"
      "lxc.mount.entry = /srv/a\\040b  /var/lib/lxc/101/rootfs/a\\040b/ none bind 0 0\n"
      "lxc.mount.entry: nothing\n"
      "lxc.mount.auto: sys:mixed\n"
      "template: 1\n"
      "\n[before]\nlxc.mount.entry: /srv/old old none bind 0 0\n");
  EXPECT_THAT(
      config.raw_mounts,
      ElementsAre(RawMount{"/mnt/media", "lxc.mount.entry: /srv/media mnt/media none bind,create=dir 0 0"},
                  RawMount{"/a b",
                           "lxc.mount.entry = /srv/a\\040b  /var/lib/lxc/101/rootfs/a\\040b/ none "
                           "bind 0 0"}));
  EXPECT_TRUE(config.is_template);
  EXPECT_FALSE(ParseContainerConfig("template: 0\n").is_template);
}

TEST(ContainerConfigParse, NumbersOfUsersAreMappedAsTheFileSays) {
  const auto config = ParseContainerConfig(kConfig);
  EXPECT_EQ(OnHost(config, config.users, 0), 100000u);
  EXPECT_EQ(OnHost(config, config.users, 999), 100999u);
  EXPECT_EQ(OnHost(config, config.users, 1000), 1000u);
  EXPECT_EQ(OnHost(config, config.users, 1001), std::nullopt);
  EXPECT_EQ(OnHost(config, config.groups, 1000), std::nullopt);
}

TEST(ContainerConfigParse, WithoutAMapUnprivilegedContainersAreShiftedAndOthersNot) {
  const auto shifted = ParseContainerConfig("unprivileged: 1\n");
  EXPECT_EQ(OnHost(shifted, shifted.users, 1000), 101000u);
  EXPECT_EQ(OnHost(shifted, shifted.users, 65536), std::nullopt);
  const auto plain = ParseContainerConfig("unprivileged: 0\n");
  EXPECT_EQ(OnHost(plain, plain.users, 70000), 70000u);
}

TEST(ContainerConfigParse, SizesAreReadAsProxmoxVeWritesThem) {
  const auto size = [](const std::string& text) {
    const auto mount = ParseContainerMount("s:v,mp=/x,size=" + text);
    return mount ? mount->size : std::nullopt;
  };
  EXPECT_EQ(size("8G"), 8 * kGib);
  EXPECT_EQ(size("512M"), kGib / 2);
  EXPECT_EQ(size("8388608K"), 8 * kGib);
  EXPECT_EQ(size("1.5G"), kGib + kGib / 2);
  EXPECT_EQ(size("4096"), 4096u);
  EXPECT_EQ(size("0T"), 0u);
  for (const char* wrong : {"", "G", "x", "-1G", "99999999999999T"})
    EXPECT_EQ(size(wrong), std::nullopt) << wrong;
}

TEST(ContainerConfigParse, LinesThatCannotBeReadAreTold) {
  const auto config = ParseContainerConfig(
      "lock: backup\nprotection: 1\nmp0: tank:v\nmp1: mp=/x\nmp2: a:b,c:d,mp=/x\nmp256: t:v,mp=/y\nmp3: "
      "volume=t:v,mp=/z");
  EXPECT_THAT(config.unreadable, ElementsAre("mp0: tank:v", "mp1: mp=/x", "mp2: a:b,c:d,mp=/x"));
  ASSERT_EQ(config.mounts.size(), 1u);
  EXPECT_EQ(config.mounts.at(3).source, "t:v");
  EXPECT_EQ(config.lock, "backup");
  EXPECT_TRUE(config.protection);
}

TEST(ContainerConfigParse, NoTextIsAContainerWithoutAnything) {
  EXPECT_THAT(ParseContainerConfig("").mounts, IsEmpty());
  EXPECT_THAT(ParseContainerConfig("[").mounts, IsEmpty());
  EXPECT_THAT(ParseContainerConfig("[]\nmp0: t:v,mp=/x").mounts, IsEmpty());
}

TEST(ParseReplicatedGuests, TakesTheGuestOfEachJob) {
  EXPECT_EQ(ParseReplicatedGuests(
                "# by hand: 7-0\nlocal: 101-0\n\ttarget pve2\n\tcomment local: 9-0\n\nlocal: 101-1\n"
                "\ttarget pve3\n\nlocal: 950-0\n\ttarget pve2\n"),
            (std::set<uint32_t>{101, 950}));
  EXPECT_TRUE(ParseReplicatedGuests("").empty());
}

}  // namespace
}  // namespace phoenix::proxmox
