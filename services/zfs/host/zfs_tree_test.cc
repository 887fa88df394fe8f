#include "services/zfs/host/zfs_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/digest/digest.h"
#include "base/status/errors.h"

namespace phoenix::zfs {
namespace {

using ::testing::HasSubstr;

TEST(ModeInTree, FilesAreExecutableOnlyWhereTheyWere) {
  struct Row {
    uint32_t wish;
    bool directory;
    uint32_t now, wanted;
  };
  for (const Row& row :
       {Row{02770, true, 0755, 02770}, Row{02770, false, 0644, 0660}, Row{02770, false, 0755, 0770},
        Row{02770, false, 04711, 0770}, Row{01777, false, 0600, 0666}, Row{0640, false, 0755, 0640},
        Row{0750, false, 0001, 0750}, Row{0, true, 0777, 0}}) {
    EXPECT_EQ(ModeInTree(row.wish, row.directory, row.now), row.wanted)
        << std::oct << row.wish << " " << row.now;
    EXPECT_EQ(ModeInTree(row.wish, row.directory, row.wanted), row.wanted) << "again";
  }
}

class Tree : public ::testing::Test {
 protected:
  Tree() : root_(std::filesystem::temp_directory_path() / ("phoenix-tree-" + RandomUuid())) {
    std::filesystem::create_directories(root_ / "a/b");
    for (const char* file : {"top", "a/middle", "a/b/deep"}) {
      std::ofstream(root_ / file) << "x";
      Chmod(file, 0644);
    }
    Chmod("a/middle", 0711);
    Chmod("a", 0755);
    Chmod("a/b", 0755);
  }
  ~Tree() override { std::filesystem::remove_all(root_); }
  void Chmod(const std::string& path, mode_t mode) { EXPECT_EQ(::chmod((root_ / path).c_str(), mode), 0); }
  struct stat Of(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::lstat((root_ / path).c_str(), &status), 0) << path;
    return status;
  }
  uint32_t Mode(const std::string& path) { return Of(path).st_mode & 07777; }
  const std::filesystem::path root_;
};

TEST_F(Tree, EverythingGetsItsMode) {
  const auto first = ChangeTree(root_, {.mode = 0750});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->entries, 6u);
  EXPECT_EQ(Mode(""), 0750u);
  EXPECT_EQ(Mode("a/b"), 0750u);
  EXPECT_EQ(Mode("a/b/deep"), 0640u);
  EXPECT_EQ(Mode("a/middle"), 0750u);
  const auto second = ChangeTree(root_, {.mode = 0750});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->changed, 0u) << "what is right already is not written to";
}

TEST_F(Tree, WithoutAWishNothingIsWritten) {
  const timespec before = Of("a/b/deep").st_ctim;
  const auto count = ChangeTree(root_, {});
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(count->changed, 0u);
  EXPECT_EQ(Of("a/b/deep").st_ctim.tv_nsec, before.tv_nsec);
}

// What a user puts into the tree must not lead root out of it.
TEST_F(Tree, NoLinkIsFollowed) {
  const std::filesystem::path outside = root_.string() + "-outside";
  std::filesystem::create_directories(outside / "below");
  std::ofstream(outside / "secret") << "x";
  ASSERT_EQ(::chmod((outside / "secret").c_str(), 0600), 0);
  ASSERT_EQ(::chmod((outside / "below").c_str(), 0700), 0);
  std::filesystem::create_symlink(outside / "secret", root_ / "a/file-link");
  std::filesystem::create_directory_symlink(outside / "below", root_ / "a/directory-link");
  std::filesystem::create_symlink("/nowhere", root_ / "a/broken");
  const auto count = ChangeTree(root_, {.mode = 0777});
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(count->entries, 9u) << "links count as themselves";
  struct stat status{};
  ASSERT_EQ(::stat((outside / "secret").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  ASSERT_EQ(::stat((outside / "below").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  EXPECT_FALSE(ChangeTree(root_ / "a/directory-link", {.mode = 0777}).ok());
  std::filesystem::remove_all(outside);
}

// A pipe that nobody reads would block whoever opened it.
TEST_F(Tree, APipeIsChangedWithoutBeingOpened) {
  ASSERT_EQ(::mkfifo((root_ / "pipe").c_str(), 0600), 0);
  ASSERT_TRUE(ChangeTree(root_, {.mode = 0770}).ok());
  EXPECT_EQ(Mode("pipe"), 0660u);
}

TEST_F(Tree, OwnersChangeAndSetuidDoesNotSurvive) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  std::filesystem::create_symlink("/nowhere", root_ / "link");
  Chmod("a/middle", 04755);
  const auto count = ChangeTree(root_, {.uid = 1234, .gid = 4321});
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(count->changed, 7u);
  for (const char* path : {"", "a", "a/b/deep", "link"}) {
    EXPECT_EQ(Of(path).st_uid, 1234u) << path;
    EXPECT_EQ(Of(path).st_gid, 4321u) << path;
  }
  EXPECT_EQ(Mode("a/middle"), 0755u) << "another's setuid program is not what anybody wished for";
  EXPECT_EQ(Mode("top"), 0644u);
}

TEST_F(Tree, AnotherFileSystemInItEndsItWithItsPath) {
  if (::geteuid() != 0 || ::mount("none", (root_ / "a/b").c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  const auto count = ChangeTree(root_, {.mode = 0700});
  ::umount((root_ / "a/b").c_str());
  EXPECT_EQ(count.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(count.status()), HasSubstr((root_ / "a/b").string()));
}

}  // namespace
}  // namespace phoenix::zfs
