#include "orchestrator/config/specs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "orchestrator/config/loader.h"
#include "phoenix/nfs/v1/nfs.pb.h"
#include "phoenix/proxmox/v1/proxmox.pb.h"
#include "phoenix/samba/v1/samba.pb.h"
#include "phoenix/zfs/v1/zfs.pb.h"

namespace phoenix::config {
namespace {

std::string LevelAskedFor(const std::string& declared, const std::string& disks) {
  const auto loaded = Load(R"({"zfs": {"pools": [{"name": "tank", "raid_level": ")" + declared +
                           R"(", "disks": [)" + disks + "]}]}}");
  EXPECT_TRUE(loaded.ok()) << declared;
  zfs::v1::ZfsSpec spec;
  EXPECT_TRUE(spec.ParseFromString(ZfsSpecOf(loaded.config).content));
  EXPECT_EQ(spec.pools_size(), 1);
  return spec.pools(0).raid_level();
}

// A stripe of two disks was asked for as "single", which takes one, and no node made it.
TEST(ZfsSpec, ALevelIsAskedForInTheWordsOfTheService) {
  const std::string a = R"("/dev/disk/by-id/a")", b = R"("/dev/disk/by-id/b")";
  EXPECT_EQ(LevelAskedFor("single", a), "single");
  EXPECT_EQ(LevelAskedFor("stripe", a), "single");
  EXPECT_EQ(LevelAskedFor("stripe", a + "," + b), "stripe");
  EXPECT_EQ(LevelAskedFor("RAID0", a + "," + b), "stripe");
  EXPECT_EQ(LevelAskedFor("RAID1", a + "," + b), "mirror");
  EXPECT_EQ(LevelAskedFor("RAIDZ", a + "," + b), "raidz1");
}

TEST(ZfsSpec, AVolumeIsAskedForByItsSize) {
  const auto loaded = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "tank/v", "volume_size": "20G", "properties": "volblocksize=64K"}, {"name": "tank/b"}]}})");
  ASSERT_TRUE(loaded.ok());
  zfs::v1::ZfsSpec spec;
  ASSERT_TRUE(spec.ParseFromString(ZfsSpecOf(loaded.config).content));
  EXPECT_EQ(spec.datasets(0).volume_size_bytes(), uint64_t{20} << 30U);
  EXPECT_EQ(spec.datasets(0).properties().at("volblocksize"), "64K");
  EXPECT_EQ(spec.datasets(1).volume_size_bytes(), 0U);
}

TEST(ZfsSpec, EncryptionReachesTheServiceWithoutAKey) {
  const auto loaded = Load(R"({"zfs": {
    "pools": [{"name": "tank", "encryption": {"key": {"secret": "zfs/tank"}, "format": "hex"}}],
    "datasets": [{"name": "tank/a", "encryption": {"key": {"secret": "zfs/a"}}}, {"name": "tank/b"}]}})");
  ASSERT_TRUE(loaded.ok());
  zfs::v1::ZfsSpec spec;
  ASSERT_TRUE(spec.ParseFromString(ZfsSpecOf(loaded.config).content));
  ASSERT_EQ(spec.datasets_size(), 3);
  EXPECT_EQ(spec.datasets(0).name(), "tank") << "the root dataset of the pool";
  EXPECT_EQ(spec.datasets(0).encryption().key_secret(), "zfs/tank");
  EXPECT_EQ(spec.datasets(0).encryption().key_format(), "hex");
  EXPECT_EQ(spec.datasets(1).encryption().key_secret(), "zfs/a");
  EXPECT_EQ(spec.datasets(1).encryption().key_format(), "passphrase");
  EXPECT_EQ(spec.datasets(1).encryption().algorithm(), "aes-256-gcm");
  EXPECT_FALSE(spec.datasets(2).has_encryption());
}

// Only a node knows whether its memory suffices, and has to say where the limit stands.
TEST(ZfsSpec, TheLimitOfTheArcIsToldWithItsPlace) {
  const auto loaded = Load(R"({"zfs": {
    "arc_max_gb": 2}})");
  ASSERT_TRUE(loaded.ok());
  zfs::v1::ZfsSpec spec;
  ASSERT_TRUE(spec.ParseFromString(ZfsSpecOf(loaded.config).content));
  EXPECT_EQ(spec.arc_max_bytes(), uint64_t{2} << 30);
  EXPECT_EQ(spec.arc_max_origin(), "$.zfs.arc_max_gb (line 2)");
}

// What a pool's properties are told for is the pool or its root dataset, whichever has them.
TEST(ZfsSpec, VdevsAndPropertiesOfAPoolReachTheService) {
  const auto loaded = Load(R"({"zfs": {"pools": [
    {"name": "tank", "raid_level": "mirror", "disks": ["/dev/disk/by-id/a", "/dev/disk/by-id/b"],
     "vdevs": [{"class": "LOG", "disks": ["/dev/disk/by-id/c"]},
               {"class": "data", "raid_level": "RAID1", "disks": ["/dev/disk/by-id/d", "/dev/disk/by-id/e"]}],
     "properties": "ashift=12, autotrim=on, compress=lz4, atime=off"},
    {"name": "gone", "state": "absent", "properties": {"compression": "lz4"}}]}})");
  ASSERT_TRUE(loaded.ok());
  zfs::v1::ZfsSpec spec;
  ASSERT_TRUE(spec.ParseFromString(ZfsSpecOf(loaded.config).content));
  ASSERT_EQ(spec.pools_size(), 2);
  const auto& tank = spec.pools(0);
  ASSERT_EQ(tank.vdevs_size(), 2);
  EXPECT_EQ(tank.vdevs(0).vdev_class(), "log");
  EXPECT_EQ(tank.vdevs(0).raid_level(), "");
  EXPECT_EQ(tank.vdevs(1).raid_level(), "mirror");
  EXPECT_EQ(tank.vdevs(1).disks(1), "/dev/disk/by-id/e");
  EXPECT_EQ(tank.properties_size(), 2);
  EXPECT_EQ(tank.properties().at("ashift"), "12");
  ASSERT_EQ(spec.datasets_size(), 1) << "nothing is set on what goes";
  EXPECT_EQ(spec.datasets(0).name(), "tank");
  EXPECT_EQ(spec.datasets(0).properties().at("compression"), "lz4");
  EXPECT_EQ(spec.datasets(0).properties().at("atime"), "off");
  EXPECT_EQ(spec.pools(1).presence(), zfs::v1::PRESENCE_ABSENT);
}

samba::v1::SambaSpec SambaOf(const std::string& members) {
  const auto loaded = Load(R"({"samba": {"user": "u", )" + members + "}}");
  EXPECT_TRUE(loaded.ok()) << Render(loaded.findings.errors);
  samba::v1::SambaSpec spec;
  EXPECT_TRUE(spec.ParseFromString(SambaSpecOf(loaded.config, {}, {}).content));
  return spec;
}

TEST(SambaSpec, SettingsOfTheServerGoWithTheFirstShare) {
  using Globals = std::map<std::string, std::string>;
  const auto globals = [](const samba::v1::SambaSpec& spec) {
    return Globals(spec.globals().begin(), spec.globals().end());
  };
  const std::string shares = R"("shares": [{"path": "/srv/x"}])";
  EXPECT_EQ(globals(SambaOf(shares)), (Globals{{"workgroup", "WORKGROUP"}, {"server min protocol", "SMB2"}}));
  EXPECT_THAT(SambaOf(shares).usual_globals(), ::testing::ElementsAre("workgroup", "server min protocol"));
  EXPECT_THAT(SambaOf(R"("min_protocol": "SMB2", "workgroup": "WORKGROUP", )" + shares).usual_globals(),
              ::testing::IsEmpty());
  EXPECT_EQ(globals(SambaOf(R"("netbios": false, )" + shares)).at("disable netbios"), "Yes");
  EXPECT_EQ(globals(SambaOf(R"("min_protocol": "SMB3", "signing": "mandatory", "netbios": true, )" + shares)),
            (Globals{{"workgroup", "WORKGROUP"},
                     {"server min protocol", "SMB3"},
                     {"disable netbios", "No"},
                     {"server signing", "mandatory"}}));
  EXPECT_EQ(globals(SambaOf(R"("netbios": true)")), Globals());
}

TEST(SambaSpec, FeaturesOfSharesAreHandedOn) {
  const auto spec = SambaOf(R"("shares": [{"path": "/srv/x", "acl": "windows", "previous_versions":
                               {"format": "%F", "local_time": true}}, {"path": "/srv/y", "acl": "posix"}])");
  EXPECT_EQ(spec.shares(0).acl(), samba::v1::SHARE_ACL_WINDOWS);
  EXPECT_EQ(spec.shares(0).previous_versions().format(), "%F");
  EXPECT_TRUE(spec.shares(0).previous_versions().local_time());
  EXPECT_EQ(spec.shares(1).acl(), samba::v1::SHARE_ACL_POSIX);
  EXPECT_FALSE(spec.shares(1).has_previous_versions());
}

// Trap 9: an export waits for the file system that is declared for its path, and is nothing without it.
TEST(NfsSpec, WhatMustBeMountedReachesTheService) {
  const auto loaded = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "tank/a", "mountpoint": "/srv/a"},
    {"name": "tank/a/off", "properties": {"canmount": "off"}},
    {"name": "tank/b", "mountpoint": "/srv/b", "properties": {"canmount": "noauto"}}]},
    "nfs": {"exports": [{"path": "/srv/a", "clients": "10.0.0.1"}, {"path": "/srv/a/sub", "clients": "10.0.0.2"},
                        {"path": "/srv/a/off", "clients": "10.0.0.1"}, {"path": "/srv/b", "clients": "10.0.0.1"}, {"path": "/opt/c", "clients": "10.0.0.1"}]}})");
  ASSERT_TRUE(loaded.ok()) << Render(loaded.findings.errors);
  nfs::v1::NfsSpec spec;
  ASSERT_TRUE(spec.ParseFromString(NfsSpecOf(loaded.config, {}).content));
  std::map<std::string, std::string> mount_points;
  for (const auto& one : spec.exports()) mount_points[one.path()] = one.mount_point();
  EXPECT_EQ(mount_points, (std::map<std::string, std::string>{{"/srv/a", "/srv/a"},
                                                              {"/srv/a/sub", "/srv/a"},
                                                              {"/srv/a/off", "/srv/a"},
                                                              {"/srv/b", ""},
                                                              {"/opt/c", ""}}));
}

TEST(ProxmoxSpec, ContainersAreAskedForWithTheirPlaces) {
  auto loaded = Load(R"({"shared_volumes": {"ssl": {"host_path": "/srv/ssl", "mounts": {"950": "/ssl"}}}})");
  auto lxc = LoadLxc(R"({"lxc_configs": {"950": {
    "zfs_volumes": [{"name": "data", "pool": "st", "size_gb": 8, "mount_point": "/data", "backup": false}],
    "mount_points": [{"host_path": "/srv/a", "container_path": "/a", "owner_uid": 1000}]}}})");
  const auto containers = WithSharedVolumes(&lxc, loaded.config, loaded.findings);
  ASSERT_TRUE(loaded.ok() && lxc.ok());
  proxmox::v1::ProxmoxSpec spec;
  ASSERT_TRUE(spec.ParseFromString(ProxmoxSpecOf(loaded.config, containers, {}).content));
  ASSERT_EQ(spec.containers_size(), 1);
  const auto& container = spec.containers(0);
  EXPECT_EQ(container.id(), 950u);
  ASSERT_EQ(container.volumes_size(), 1);
  EXPECT_EQ(container.volumes(0).storage(), "st");
  EXPECT_EQ(container.volumes(0).size_gib(), 8u);
  EXPECT_TRUE(container.volumes(0).has_backup());
  EXPECT_FALSE(container.volumes(0).backup());
  EXPECT_THAT(container.volumes(0).origin(), ::testing::StartsWith("$.lxc_configs"));
  ASSERT_EQ(container.binds_size(), 2);
  EXPECT_EQ(container.binds(0).owner_uid(), 1000u);
  EXPECT_FALSE(container.binds(0).has_owner_gid());
  EXPECT_EQ(container.binds(1).host_path(), "/srv/ssl");
  EXPECT_THAT(container.binds(1).origin(), ::testing::StartsWith("$.shared_volumes"));
}

TEST(ProxmoxSpec, OptionsAndTheMountPointReachTheService) {
  const auto loaded = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "tank/a", "mountpoint": "/srv/a", "proxmox_storage_type": "zfspool", "proxmox_content_type": "images",
     "proxmox_storage_options": {"sparse": true}},
    {"name": "tank/b", "proxmox_storage_type": "dir", "proxmox_content_type": "backup",
     "proxmox_storage_options": "is_mountpoint=/tank,prune-backups=keep-last=3"}]}})");
  ASSERT_TRUE(loaded.ok()) << Render(loaded.findings.errors);
  proxmox::v1::ProxmoxSpec spec;
  ASSERT_TRUE(spec.ParseFromString(ProxmoxSpecOf(loaded.config, {}, {}).content));
  ASSERT_EQ(spec.storages_size(), 2);
  EXPECT_EQ(spec.storages(0).options().at("sparse"), "1");
  EXPECT_EQ(spec.storages(0).options().at("pool"), "tank/a");
  EXPECT_EQ(spec.storages(0).mount_point(), "/srv/a");
  EXPECT_EQ(spec.storages(1).options().at("is_mountpoint"), "/tank") << "what is said counts";
  EXPECT_EQ(spec.storages(1).options().at("prune-backups"), "keep-last=3");
  EXPECT_EQ(spec.storages(1).mount_point(), "");
}

}  // namespace
}  // namespace phoenix::config
