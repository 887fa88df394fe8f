#include "orchestrator/config/specs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/config/loader.h"
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

}  // namespace
}  // namespace phoenix::config
