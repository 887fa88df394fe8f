// The contract on the node's real NFS server. Run as root on a machine that may be changed: it owns
// /etc/exports.d/phoenix.exports and takes everything back at the end, entries of others stay.
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/nfs/host/nfs_cli.h"
#include "services/nfs/host/nfs_command.h"
#include "tests/contract/nfs_host_contract.h"
#include "tests/support/lab_setting.h"

namespace phoenix::nfs {
namespace {

class CliBench final : public NfsBench {
 public:
  CliBench() : runner_(testing::Launcher()), host_(runner_, files_) {
    had_directory_ = std::filesystem::exists(kExportsDirectory);
    std::filesystem::create_directories(kPlace);
  }
  ~CliBench() override {
    std::filesystem::remove_all(kPlace);
    std::filesystem::remove(kOwnFile);
    for (const char* name : {"phoenix-contract.exports", ".hidden.exports", "phoenix-contract.conf",
                             "phoenix-contract-folder.exports"}) {
      std::filesystem::remove(std::filesystem::path(kExportsDirectory) / name);
    }
    if (!had_directory_) std::filesystem::remove(kExportsDirectory);
    RunExportfs();
  }
  NfsHost& host() override { return host_; }
  Files& files() override { return files_; }
  std::string MakeDirectory(const std::string& name) override {
    const std::string path = std::string(kPlace) + "/" + name;
    std::filesystem::create_directories(path);
    return path;
  }
  std::string MakeLink(const std::string& name, const std::string& target) override {
    const std::string path = std::string(kPlace) + "/" + name;
    std::filesystem::create_directory_symlink(target, path);
    return path;
  }
  void RunExportfs() override { EXPECT_TRUE(runner_.Run(ReexportCommand()).ok()); }

 private:
  static constexpr char kPlace[] = "/srv/phoenix-nfs-contract";
  bool had_directory_ = false;
  PosixCommandRunner runner_;
  PosixFiles files_;
  NfsCli host_;
};

std::unique_ptr<NfsBench> MakeCli() { return std::make_unique<CliBench>(); }

INSTANTIATE_TEST_SUITE_P(Cli, NfsHostContract, ::testing::Values(&MakeCli));

}  // namespace
}  // namespace phoenix::nfs
