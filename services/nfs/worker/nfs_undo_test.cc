// What the server and the machine's other programs leave behind when exports are taken back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/nfs/worker/nfs_fixture.h"

namespace phoenix::nfs {
namespace {

using ::testing::HasSubstr;

// Measured: of two flushes within a second the kernel notes the second and keeps the file system busy for
// half a minute.
TEST_F(NfsDomainTest, AnUnexportedPathIsLetGoByTheKernel) {
  Ready();
  spec_.exports = {Wanted("/quickOS/a")};
  MountSeed();
  StepDriver driver(*domain_);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  for (const char* path : {"/proc", "/proc/fs", "/proc/fs/nfsd"}) {
    ASSERT_TRUE(files_->MakeDirectory(path, {}).ok());
  }
  const auto kernel_has_it = [&] {
    Write("/proc/fs/nfsd/exports", "# Version 1.1\n/\t*(ro,v4root)\n/quickOS/a\t10.0.0.0/24(rw)\n");
  };
  kernel_has_it();
  // Twice without an effect, then obeyed.
  ASSERT_TRUE(machine_->PlanFault("nfs.flush", "nothing", 2).ok());
  ASSERT_TRUE(driver.Undo().ok());
  EXPECT_FALSE(files_->Read("/proc/fs/nfsd/exports")->has_value());

  StepDriver again(*domain_);
  ASSERT_TRUE(again.Prepare({}, kRun).ok());
  ASSERT_TRUE(again.Apply().ok());
  kernel_has_it();
  ASSERT_TRUE(machine_->PlanFault("nfs.flush", "nothing", 3).ok());
  const absl::Status held = again.Undo();
  ASSERT_TRUE(ReasonOf(held).has_value()) << held;
  EXPECT_EQ(ReasonOf(held)->reason, "KERNEL_HOLDS_EXPORT");
  EXPECT_THAT(Message(held), HasSubstr("/quickOS/a is unexported, but the kernel still holds it"));
  ASSERT_TRUE(again.Undo().ok());
}

// At each boot ZFS puts its lock into the directory, once there is one.
TEST_F(NfsDomainTest, ADirectoryThatZfsUsesByNowStaysAndIsNoReasonToQuarantine) {
  Ready();
  spec_.exports = {Wanted("/quickOS/a")};
  MountSeed();
  StepDriver driver(*domain_);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  const std::string lock = std::string(kExportsDirectory) + "/zfs.exports.lock";
  Write(lock, "");
  const absl::Status undone = driver.Undo(/*repeat=*/true);
  EXPECT_TRUE(undone.ok()) << undone;
  EXPECT_FALSE(files_->Read(kOwnFile)->has_value());
  EXPECT_TRUE(files_->Read(lock)->has_value());
}

}  // namespace
}  // namespace phoenix::nfs
