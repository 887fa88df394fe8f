#include "base/host/posix_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace phoenix {
namespace {

class PosixFilesTest : public ::testing::Test {
 protected:
  PosixFilesTest() {
    char name[] = "/tmp/phoenix-files-XXXXXX";
    root_ = ::mkdtemp(name);
  }
  ~PosixFilesTest() override { std::filesystem::remove_all(root_); }
  FileState Own(std::string content, uint32_t mode = 0644) const {
    return {std::move(content), ::getuid(), ::getgid(), mode};
  }

  std::string root_;
};

TEST_F(PosixFilesTest, AbsentFileIsAValueNotAnError) {
  const PosixFiles files(root_);
  const auto state = files.Read("/etc/none");
  ASSERT_TRUE(state.ok());
  EXPECT_FALSE(state->has_value());
}

TEST_F(PosixFilesTest, ReplaceKeepsBytesAndMode) {
  PosixFiles files(root_);
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(files.Replace("/f", Own(bytes, 0640)).ok());
  ASSERT_TRUE(files.Replace("/f", Own("second", 0600)).ok());
  const auto state = files.Read("/f");
  ASSERT_TRUE(state.ok() && state->has_value());
  EXPECT_EQ((*state)->content, "second");
  EXPECT_EQ((*state)->mode, 0600u);
  EXPECT_EQ(files.List("/")->size(), 1u) << "a temporary file is left";
}

TEST_F(PosixFilesTest, ReplaceLeavesNothingWhenTheDirectoryIsMissing) {
  PosixFiles files(root_);
  EXPECT_EQ(files.Replace("/none/f", Own("x")).code(), absl::StatusCode::kNotFound);
}

TEST_F(PosixFilesTest, DoesNotFollowALinkInPlaceOfAFile) {
  PosixFiles files(root_);
  ASSERT_EQ(::symlink("/etc/passwd", (root_ + "/link").c_str()), 0);
  EXPECT_EQ(files.Read("/link").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(PosixFilesTest, DirectoriesKeepSetgid) {
  PosixFiles files(root_);
  ASSERT_TRUE(files.MakeDirectory("/d", {::getuid(), ::getgid(), 02770}).ok());
  EXPECT_EQ((*files.ReadDirectory("/d"))->mode, 02770u);
  ASSERT_TRUE(files.Replace("/d/f", Own("x")).ok());
  EXPECT_EQ(files.RemoveDirectory("/d").code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(files.Remove("/d/f").ok());
  EXPECT_TRUE(files.RemoveDirectory("/d").ok());
  EXPECT_TRUE(files.RemoveDirectory("/d").ok());
}

}  // namespace
}  // namespace phoenix
