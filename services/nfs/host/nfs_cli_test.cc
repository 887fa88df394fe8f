#include "services/nfs/host/nfs_cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

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

TEST(ServerConfValue, CommentsQuotesAndAnUnendedLineAreAsNfsUtilsReadsThem) {
  constexpr char kConf[] =
      "port=1\n[nfsd]\nvers3=n   # NFSv4 only\nport = 20490;why\r\nhost = 'a, b' # c\n"
      "threads = \"8 # all\" and\nscope=\"open\n"
      "[mountd] # of NFSv3\nport=200\\\n48\nstate-directory-path=\n; threads=1\n"
      "[lockd \"x\"]\nport=5\n[nfsd\nvers4=n\n"
      "[statd]\nname=$HOST\nha-callout=$NOTHING\n[environment]\nhost=nas\n[STATD]\nport=20050";
  EXPECT_EQ(ServerConfValue(kConf, "nfsd", "vers3"), "n");
  EXPECT_EQ(ServerConfValue(kConf, "nfsd", "port"), "20490");
  EXPECT_EQ(ServerConfValue(kConf, "nfsd", "host"), "a, b");
  EXPECT_EQ(ServerConfValue(kConf, "nfsd", "threads"), "8 # all");
  EXPECT_EQ(ServerConfValue(kConf, "nfsd", "scope"), std::nullopt);
  EXPECT_EQ(ServerConfValue(kConf, "nfsd", "vers4"), std::nullopt) << "its section has no end";
  EXPECT_EQ(ServerConfValue(kConf, "mountd", "port"), "200  48") << "a backslash joins lines, by two blanks";
  EXPECT_EQ(ServerConfValue(kConf, "mountd", "state-directory-path"), std::nullopt);
  EXPECT_EQ(ServerConfValue(kConf, "mountd", "threads"), std::nullopt);
  EXPECT_EQ(ServerConfValue(kConf, "lockd", "port"), std::nullopt) << "a section of another name";
  EXPECT_EQ(ServerConfValue(kConf, "statd", "name"), "nas");
  EXPECT_EQ(ServerConfValue(kConf, "statd", "ha-callout"), std::nullopt);
  EXPECT_EQ(ServerConfValue(kConf, "statd", "port"), std::nullopt) << "the last line has no end";
}

TEST(ServerConf, FilesIncludeOthers) {
  const std::map<std::string, std::string> files = {
      {"/etc/more.conf", "port=1\n[statd]\nport=2\n"},
      {"/srv/loop.conf", "[nfsd]\ninclude=/srv/loop.conf\nport=3\n"}};
  const ServerConf::Include include =
      [&files](const std::string& path) -> absl::StatusOr<std::optional<std::string>> {
    const auto found = files.find(path);
    if (found == files.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
  };
  ServerConf conf;
  constexpr char kMain[] = "[mountd]\nport=9\ninclude = more.conf # here\nInclude=-none.conf\nthreads=4\n";
  ASSERT_TRUE(conf.Read(kMain, "/etc/nfs.conf", include).ok());
  EXPECT_EQ(conf.Value("mountd", "port"), "1") << "it begins in the section that includes it";
  EXPECT_EQ(conf.Value("statd", "port"), "2");
  EXPECT_EQ(conf.Value("mountd", "threads"), "4") << "whose section does not change that of the includer";
  ASSERT_TRUE(conf.Read("[mountd]\ninclude=/srv/loop.conf\n", "/etc/nfs.conf", include).ok());
  EXPECT_EQ(conf.Value("nfsd", "port"), "3");
}

TEST(IsAfterDebian12, ComparesNumbers) {
  for (const char* version : {"1:2.8.3-1", "1:2.6.3-1", "2.10.1", "3.0-1", "", "simulated"}) {
    EXPECT_TRUE(IsAfterDebian12(version)) << version;
  }
  for (const char* version : {"1:2.6.2-4+deb12u1", "1:2.6.1-1", "2.6-1", "1:1.3.4-6"}) {
    EXPECT_FALSE(IsAfterDebian12(version)) << version;
  }
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
