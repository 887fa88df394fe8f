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

}  // namespace
}  // namespace phoenix::config
