// The contract of SambaHost on a real machine: run as root where Samba and smbclient are installed, smbd
// runs, and nothing of Phoenix is set up. Not part of the unit tests.
#include <sys/stat.h>

#include <filesystem>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/samba/host/samba_cli.h"
#include "tests/contract/samba_host_contract.h"
#include "tests/contract/smb_session.h"
#include "tests/support/lab_setting.h"

namespace phoenix::samba {
namespace {

class RealWorld {
 public:
  RealWorld() : runner_(testing::Launcher()) {
    char name[] = "/var/lib/phxtest-XXXXXX";
    directory_ = ::mkdtemp(name);
    // Users of shares must be able to pass.
    ::chmod(directory_.c_str(), 0755);
    host_ = std::make_unique<SambaCli>(runner_, files_, directory_ + "/private");
  }
  ~RealWorld() { std::filesystem::remove_all(directory_); }

  SambaHost& host() { return *host_; }
  Files& files() { return files_; }
  std::string MakeShareDirectory() {
    const std::string path = directory_ + "/share";
    EXPECT_TRUE(files_.MakeDirectory(path, {0, 0, 0777}).ok());
    return path;
  }
  static std::unique_ptr<SmbSession> OpenSession(const std::string& share, const std::string& user,
                                                 const std::string& password) {
    return SmbSession::Open(share, user, password);
  }

 private:
  PosixCommandRunner runner_;
  PosixFiles files_;
  std::string directory_;
  std::unique_ptr<SambaCli> host_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Lab, SambaHostContract, RealWorld);

}  // namespace
}  // namespace phoenix::samba
