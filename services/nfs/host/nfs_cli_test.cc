#include "services/nfs/host/nfs_cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/nfs/host/nfs_command.h"
#include "services/nfs/host/server_conf.h"

namespace phoenix::nfs {
namespace {

constexpr char kMounts[] =
    "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "25 24 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw\n"
    "60 24 0:50 / /quickOS rw,noatime shared:30 - zfs quickOS rw,xattr,posixacl\n"
    "61 60 0:51 / /quickOS/shared\\040data rw,noatime shared:31 master:2 - zfs quickOS/shared rw\n"
    "62 60 0:52 / /quickOS/over rw shared:32 - zfs quickOS/over rw\n"
    "63 62 0:53 / /quickOS/over rw shared:33 - tmpfs tmpfs rw\n";

TEST(MountOf, TheLongestMountByComponentHoldsAPath) {
  EXPECT_EQ(MountOf(kMounts, "/quickOS/shared data/x"), (PathState{false, "/quickOS/shared data", "zfs"}));
  EXPECT_EQ(MountOf(kMounts, "/quickOS/shared data2"), (PathState{false, "/quickOS", "zfs"}));
  EXPECT_EQ(MountOf(kMounts, "/quickOS-2"), (PathState{false, "/", "ext4"}));
  EXPECT_EQ(MountOf(kMounts, "/quickOS"), (PathState{false, "/quickOS", "zfs"}));
}

TEST(MountOf, AMountOverAnotherHidesIt) {
  EXPECT_EQ(MountOf(kMounts, "/quickOS/over/x"), (PathState{false, "/quickOS/over", "tmpfs"}));
}

TEST(MountOf, NothingIsKnownWithoutMounts) { EXPECT_EQ(MountOf("", "/a"), PathState{}); }

TEST(ServerConfValue, TheLastValueOfTheSectionCounts) {
  constexpr char kConf[] =
      "[mountd]\n# port=1\n manage-gids = y\nPort = 2\n[nfsd]\nport=3\n[MOUNTD]\nport=\"4\" \n[";
  EXPECT_EQ(ServerConfValue(kConf, "mountd", "port"), "4");
  EXPECT_EQ(ServerConfValue(kConf, "nfsd", "port"), "3");
  EXPECT_EQ(ServerConfValue(kConf, "statd", "port"), std::nullopt);
  EXPECT_EQ(ServerConfValue("", "mountd", "port"), std::nullopt);
}

// Trap 16: the server is never restarted for an export.
TEST(NfsCommand, Trap16_OneCommandReexportsAndNothingRestarts) {
  EXPECT_EQ(ReexportCommand().program, "/usr/sbin/exportfs");
  EXPECT_THAT(ReexportCommand().args, ::testing::ElementsAre("-r"));
}

TEST(NfsCommand, ByHandNamesClientAndPath) {
  EXPECT_THAT(ExportCommand({"/a b", "10.0.0.0/24", {"rw", "sync"}}).args,
              ::testing::ElementsAre("-i", "-o", "rw,sync", "10.0.0.0/24:/a b"));
  EXPECT_THAT(UnexportCommand({"/a", "fd00::/64", {}}).args, ::testing::ElementsAre("-u", "[fd00::]/64:/a"));
  EXPECT_THAT(UnexportCommand({"/a", "fd00::1", {}}).args, ::testing::ElementsAre("-u", "[fd00::1]:/a"));
}

}  // namespace
}  // namespace phoenix::nfs
