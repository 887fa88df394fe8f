#include "services/zfs/host/zfs_inode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/digest/digest.h"
#include "base/status/errors.h"

namespace phoenix::zfs {
namespace {

using ::testing::HasSubstr;

class Inode : public ::testing::Test {
 protected:
  Inode() : path_(std::filesystem::temp_directory_path() / ("phoenix-inode-" + RandomUuid())) {
    std::filesystem::create_directories(path_);
  }
  ~Inode() override { std::filesystem::remove_all(path_); }
  const std::filesystem::path path_;
};

// Trap 9: the path of an unmounted dataset is a directory on the root disk.
TEST_F(Inode, Trap9ADirectoryThatIsNoMountRootIsLeftAlone) {
  struct stat before{}, after{};
  ASSERT_EQ(::stat(path_.c_str(), &before), 0);
  const absl::Status status = SetRootInode(path_, "0:45", {0, 0, 02770});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), HasSubstr("not the mounted dataset"));
  ASSERT_EQ(::stat(path_.c_str(), &after), 0);
  EXPECT_EQ(before.st_mode, after.st_mode);
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

TEST_F(Inode, ALinkIsNotFollowed) {
  std::filesystem::create_directory_symlink("/etc", path_ / "link");
  EXPECT_FALSE(SetRootInode(path_ / "link", "0:45", {0, 0, 0777}).ok());
  EXPECT_FALSE(FirstFileBelow(path_ / "link").ok());
}

TEST_F(Inode, FindsTheFirstFileInEmptyDirectories) {
  std::filesystem::create_directories(path_ / "a/b/c");
  std::filesystem::create_directories(path_ / "d");
  auto found = FirstFileBelow(path_);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(found->has_value()) << **found;
  std::ofstream(path_ / "a/b/letter") << "x";
  found = FirstFileBelow(path_);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->value_or(""), (path_ / "a/b/letter").string());
}

TEST_F(Inode, FindsTheFirstFileThatIsNotOurs) {
  std::filesystem::create_directories(path_ / "a/b");
  for (const char* file : {"a/b/letter", "letter"}) std::ofstream(path_ / file) << "x";
  const auto found = FirstFileBelow(path_, [](const std::string& path) { return path == "letter"; });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->value_or(""), (path_ / "a/b/letter").string()) << "by its whole path";
  EXPECT_EQ(*FirstFileBelow(path_, [](const std::string&) { return true; }), std::nullopt);
}

TEST_F(Inode, ABrokenLinkIsAFileToo) {
  std::filesystem::create_symlink("/nowhere", path_ / "link");
  EXPECT_TRUE(FirstFileBelow(path_)->has_value());
}

TEST_F(Inode, LooksAtBothEndsOfADisk) {
  const std::string disk = path_ / "disk";
  constexpr uint64_t kSize = uint64_t{8} << 20, kEdge = uint64_t{1} << 20;
  std::ofstream(disk).close();
  std::filesystem::resize_file(disk, kSize);
  const auto put = [&](uint64_t offset, char byte) {
    std::fstream file(disk, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte);
  };
  EXPECT_EQ(*FirstByteAtEdges(disk, kSize, kEdge), std::nullopt);
  put(kSize / 2, 'x');
  EXPECT_EQ(*FirstByteAtEdges(disk, kSize, kEdge), std::nullopt) << "the middle is not looked at";
  put(kSize - 1, 'x');
  EXPECT_EQ(*FirstByteAtEdges(disk, kSize, kEdge), kSize - 1);
  put(kEdge - 1, 'x');
  EXPECT_EQ(*FirstByteAtEdges(disk, kSize, kEdge), kEdge - 1);
  EXPECT_FALSE(FirstByteAtEdges(disk + ".none", kSize, kEdge).ok());
}

TEST_F(Inode, ResolvesLinks) {
  std::filesystem::create_directories(path_ / "real");
  std::filesystem::create_directory_symlink(path_ / "real", path_ / "link");
  EXPECT_EQ(*ResolveLink(path_ / "link"), std::filesystem::canonical(path_ / "real").string());
  EXPECT_EQ(*ResolveLink(path_ / "none"), std::nullopt);
}

TEST_F(Inode, WritesAParameter) {
  const std::string file = path_ / "parameter";
  std::ofstream(file) << "";
  ASSERT_TRUE(WriteParameter(file, 8589934592).ok());
  std::ifstream in(file);
  std::string text;
  in >> text;
  EXPECT_EQ(text, "8589934592");
  EXPECT_FALSE(WriteParameter(path_ / "none", 1).ok());
}

}  // namespace
}  // namespace phoenix::zfs
