#include "orchestrator/config/specs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/config/loader.h"
#include "phoenix/proxmox/v1/proxmox.pb.h"
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

TEST(ProxmoxSpec, ContainersAreAskedForWithTheirPlaces) {
  auto loaded = Load(R"({"shared_volumes": {"ssl": {"host_path": "/srv/ssl", "mounts": {"950": "/ssl"}}}})");
  auto lxc = LoadLxc(R"({"lxc_configs": {"950": {
    "zfs_volumes": [{"name": "data", "pool": "st", "size_gb": 8, "mount_point": "/data", "backup": false}],
    "mount_points": [{"host_path": "/srv/a", "container_path": "/a", "owner_uid": 1000}]}}})");
  const auto containers = WithSharedVolumes(lxc.containers, loaded.config, loaded.findings);
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

}  // namespace
}  // namespace phoenix::config
