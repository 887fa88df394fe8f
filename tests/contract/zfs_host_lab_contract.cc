// The contract on the real ZFS. Run as root on a node that has four blank disks to spare
// (PHOENIX_CONTRACT_DISKS). It makes and destroys the pool phxcontract on them and leaves them blank.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/zfs/host/zfs_cli.h"
#include "services/zfs/host/zfs_inode.h"
#include "tests/contract/zfs_content_contract.h"
#include "tests/contract/zfs_host_contract.h"
#include "tests/contract/zfs_key_contract.h"
#include "tests/contract/zfs_pool_contract.h"
#include "tests/support/lab_setting.h"

namespace phoenix::zfs {
namespace {

class LabNode {
 public:
  LabNode() : runner_(testing::Launcher()), host_(runner_, files_) {}
  static bool Available() { return Disks().size() == 4; }
  ZfsHost& host() { return host_; }
  std::vector<std::string> disks() { return Disks(); }
  void WriteFile(const std::string& path) {
    std::ofstream file(path);
    // Not one letter over and over, which compression would make nothing of.
    for (int i = 0; i < 65536; ++i) file << static_cast<char>('a' + (i * 2654435761U >> 24) % 26) << i % 997;
    EXPECT_TRUE(file.good()) << path;
    EXPECT_EQ(::chmod(path.c_str(), 0644), 0) << path;
  }
  DirectoryState Inode(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return {status.st_uid, status.st_gid, status.st_mode & 07777};
  }
  // A volume that somebody has open as long as the result is kept.
  std::shared_ptr<void> Opened(const std::string& volume) {
    const std::string device = "/dev/zvol/" + volume;
    int file = -1;
    for (int tries = 0; file < 0 && tries < 100; ++tries) {
      file = ::open(device.c_str(), O_RDONLY | O_CLOEXEC);
      if (file < 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    EXPECT_GE(file, 0) << device;
    return {nullptr, [file](void*) { ::close(file); }};
  }
  bool Exists(const std::string& path) {
    return std::filesystem::exists(std::filesystem::symlink_status(path));
  }

 private:
  static std::vector<std::string> Disks() {
    std::vector<std::string> disks;
    std::stringstream list(testing::LabSetting("PHOENIX_CONTRACT_DISKS"));
    for (std::string disk; std::getline(list, disk, ',');) disks.push_back(disk);
    return disks;
  }
  PosixCommandRunner runner_;
  PosixFiles files_;
  ZfsCli host_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Lab, ZfsHostContract, LabNode);
INSTANTIATE_TYPED_TEST_SUITE_P(Lab, ZfsContentContract, LabNode);
INSTANTIATE_TYPED_TEST_SUITE_P(Lab, ZfsPoolContract, LabNode);
INSTANTIATE_TYPED_TEST_SUITE_P(Lab, ZfsKeyContract, LabNode);

TEST(MountNamespace, IsTheHosts) { EXPECT_TRUE(CheckMountNamespace().ok()) << CheckMountNamespace(); }

}  // namespace
}  // namespace phoenix::zfs
