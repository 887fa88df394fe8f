#include "services/zfs/host/zfs_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "services/zfs/domain/zfs_spec.h"

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A folder that stands for a mount root, and one outside of it.
class DeliveredFiles : public ::testing::Test {
 protected:
  DeliveredFiles()
      : base_(std::filesystem::temp_directory_path() / ("phoenix-files-" + RandomUuid())),
        root_(base_ / "root"),
        outside_(base_ / "outside") {
    std::filesystem::create_directories(root_);
    std::filesystem::create_directories(outside_);
  }
  ~DeliveredFiles() override { std::filesystem::remove_all(base_); }

  // As whoever runs the test: only root gives files away.
  static FileState Mine(const std::string& content, uint32_t mode = 0640) {
    return {content, ::geteuid(), ::getegid(), mode};
  }
  FileSeen Look(const std::string& path) {
    const auto seen = LookAtFile(root_, path);
    EXPECT_TRUE(seen.ok()) << seen.status();
    return seen.value_or(FileSeen());
  }
  std::string Read(const std::filesystem::path& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  struct stat Of(const std::filesystem::path& path) {
    struct stat status{};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status;
  }
  std::vector<std::string> Names(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  const std::filesystem::path base_, root_, outside_;
};

TEST_F(DeliveredFiles, AFileAndItsFoldersAreMadeAndSeen) {
  if (::geteuid() != 0) GTEST_SKIP() << "new folders are root's";
  EXPECT_EQ(Look("conf/d/app.conf"), FileSeen());
  const ::mode_t umask = ::umask(0077);
  const absl::Status delivered = DeliverFile(root_, "conf/d/app.conf", {"port = 1\n", 1234, 4321, 0640});
  ::umask(umask);
  ASSERT_TRUE(delivered.ok()) << delivered;
  EXPECT_EQ(Look("conf/d/app.conf"), (FileSeen{true, 9, Sha256Hex("port = 1\n"), 1234, 4321, 0640, ""}));
  for (const char* folder : {"conf", "conf/d"}) {
    EXPECT_EQ(Of(root_ / folder).st_mode & 07777, 0755u) << folder;
    EXPECT_EQ(Of(root_ / folder).st_uid, 0u) << folder;
  }
  EXPECT_THAT(Names(root_ / "conf/d"), ElementsAre("app.conf")) << "nothing is left beside it";
}

TEST_F(DeliveredFiles, AnotherContentReplacesTheFileAndNotWhatElseIsTheSameFile) {
  ASSERT_TRUE(DeliverFile(root_, "app.conf", Mine("old", 0600)).ok());
  std::filesystem::create_hard_link(root_ / "app.conf", outside_ / "same");
  const ino_t before = Of(root_ / "app.conf").st_ino;
  ASSERT_TRUE(DeliverFile(root_, "app.conf", Mine("new", 0644)).ok());
  EXPECT_EQ(Read(root_ / "app.conf"), "new");
  EXPECT_NE(Of(root_ / "app.conf").st_ino, before);
  EXPECT_EQ(Read(outside_ / "same"), "old");
  EXPECT_EQ(Of(outside_ / "same").st_mode & 07777, 0600u);
  ASSERT_TRUE(DeliverFile(root_, "app.conf", Mine("new", 0644)).ok()) << "again";
  ASSERT_TRUE(DeliverFile(root_, "empty", Mine("")).ok());
  EXPECT_EQ(Look("empty").digest, Sha256Hex(""));
}

TEST_F(DeliveredFiles, FoldersThatAreThereKeepTheirOwnerAndMode) {
  std::filesystem::create_directories(root_ / "conf");
  ASSERT_EQ(::chmod((root_ / "conf").c_str(), 02770), 0);
  ASSERT_TRUE(DeliverFile(root_, "conf/app.conf", Mine("x")).ok());
  EXPECT_EQ(Of(root_ / "conf").st_mode & 07777, 02770u);
}

// What a user puts into the dataset must not lead root out of it.
TEST_F(DeliveredFiles, NoLinkIsFollowed) {
  std::ofstream(outside_ / "secret") << "x";
  std::filesystem::create_directory_symlink(outside_, root_ / "conf");
  std::filesystem::create_symlink(outside_ / "secret", root_ / "file");
  std::filesystem::create_symlink("/nowhere", root_ / "broken");
  for (const auto& [path, obstacle] :
       {std::pair("conf/secret", "conf is a symbolic link"),
        std::pair("conf/new/secret", "conf is a symbolic link"), std::pair("file", "file is a symbolic link"),
        std::pair("broken", "broken is a symbolic link"),
        std::pair("broken/x", "broken is a symbolic link")}) {
    EXPECT_THAT(Look(path).obstacle, HasSubstr(obstacle)) << path;
    EXPECT_FALSE(Look(path).there) << path;
    const absl::Status refused = DeliverFile(root_, path, Mine("ours"));
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << path;
    EXPECT_THAT(Message(refused), HasSubstr(obstacle)) << path;
  }
  EXPECT_THAT(Names(outside_), ElementsAre("secret"));
  EXPECT_EQ(Read(outside_ / "secret"), "x");
  EXPECT_FALSE(DeliverFile(root_ / "conf", "new", Mine("ours")).ok()) << "the root itself";
}

TEST_F(DeliveredFiles, WhatIsNoFileIsNotReplaced) {
  std::filesystem::create_directories(root_ / "folder");
  ASSERT_EQ(::mkfifo((root_ / "pipe").c_str(), 0600), 0);
  ASSERT_TRUE(DeliverFile(root_, "file", Mine("x")).ok());
  for (const auto& [path, obstacle] :
       {std::pair("folder", "folder is a folder"), std::pair("pipe", "pipe is a device, pipe or socket"),
        std::pair("file/below", "file is a file")}) {
    EXPECT_EQ(Look(path).obstacle, obstacle);
    EXPECT_THAT(Message(DeliverFile(root_, path, Mine("ours"))), HasSubstr(obstacle));
  }
  EXPECT_THAT(Names(root_), ElementsAre("file", "folder", "pipe")) << "no temporary file stays";
}

TEST_F(DeliveredFiles, NoPathLeadsOut) {
  for (const char* path :
       {"", "/etc/x", "../outside/x", "a/../../outside/x", "a//b", "a/", "./a", ".zfs/x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DeliverFile(root_, path, Mine("ours")))) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(LookAtFile(root_, path).status())) << path;
  }
  EXPECT_TRUE(Names(root_).empty());
  EXPECT_TRUE(Names(outside_).empty());
}

TEST_F(DeliveredFiles, WhatIsLongerThanAnyDeliveryIsNotRead) {
  std::ofstream(root_ / "just") << std::string(kMostFileBytes, 'x');
  std::ofstream(root_ / "long") << std::string(kMostFileBytes + 1, 'x');
  EXPECT_EQ(Look("just").digest, Sha256Hex(std::string(kMostFileBytes, 'x')));
  EXPECT_EQ(Look("long").digest, "");
  EXPECT_EQ(Look("long").size_bytes, kMostFileBytes + 1);
  EXPECT_TRUE(Look("long").there);
}

TEST_F(DeliveredFiles, OthersFilesAreToldFromOurs) {
  const std::vector<DeliveredFile> ours = {{"a/file", Mine("x")}, {"absent", Mine("y")}};
  ASSERT_TRUE(DeliverFile(root_, "a/file", Mine("x")).ok());
  std::filesystem::create_directories(root_ / "somebody's/folder");
  std::ofstream(root_ / "a/.phoenix-delivery-0123456789ab") << "half";
  EXPECT_TRUE(ProveOnly(root_, ours).ok()) << ProveOnly(root_, ours);
  const auto foreign = [&](const std::string& found) {
    const absl::Status status = ProveOnly(root_, ours);
    ASSERT_TRUE(ReasonOf(status).has_value()) << found;
    EXPECT_EQ(ReasonOf(status)->reason, "FOREIGN_CHANGE");
    EXPECT_THAT(Message(status), HasSubstr(found));
  };
  std::ofstream(root_ / "a/.phoenix-delivery-mine") << "x";
  foreign("it holds a/.phoenix-delivery-mine");
  std::filesystem::remove(root_ / "a/.phoenix-delivery-mine");
  std::filesystem::create_symlink("/nowhere", root_ / "absent");
  foreign("absent");
  std::filesystem::remove(root_ / "absent");
  std::ofstream(root_ / "a/file") << "theirs";
  foreign("a/file, changed since");
}

TEST_F(DeliveredFiles, LookingMovesNoAccessTime) {
  ASSERT_TRUE(DeliverFile(root_, "a/file", Mine("x")).ok());
  const timespec old[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  for (const char* path : {"a/file", "a"})
    ASSERT_EQ(::utimensat(AT_FDCWD, (root_ / path).c_str(), old, 0), 0);
  Look("a/file");
  for (const char* path : {"a/file", "a"}) EXPECT_EQ(Of(root_ / path).st_atim.tv_sec, 1'000'000'000) << path;
}

TEST_F(DeliveredFiles, AnotherFileSystemOnTheWayIsAnObstacle) {
  std::filesystem::create_directories(root_ / "a/b");
  if (::geteuid() != 0 || ::mount("none", (root_ / "a/b").c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  const FileSeen seen = Look("a/b/file");
  const absl::Status refused = DeliverFile(root_, "a/b/file", Mine("ours"));
  ::umount((root_ / "a/b").c_str());
  EXPECT_EQ(seen.obstacle, "another file system is mounted at a/b");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace phoenix::zfs
