// The contract on the lab's stand-ins for Proxmox's tools, in a folder that they take for the whole machine:
// by their pvesm, and by their API over real connections. Needs neither root nor a VM; tests/lab runs the
// same on real nodes.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/proxmox/host/curl_node_api.h"
#include "services/proxmox/host/proxmox_cli.h"
#include "tests/contract/api_only_runner.h"
#include "tests/contract/proxmox_host_contract.h"
#include "tests/support/lab_setting.h"

namespace phoenix::proxmox {
namespace {

std::string Tool(const std::string& name) {
  return testing::LabSetting("PHOENIX_STANDIN", "tests/lab/standin") + "/" + name;
}

// Runs the stand-in where the product runs the tool.
class StandinRunner final : public CommandRunner {
 public:
  explicit StandinRunner(std::vector<std::string> environment)
      : environment_(std::move(environment)), runner_(testing::Launcher()) {}

  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& observer) override {
    Command instead = command;
    instead.program = Tool(std::filesystem::path(command.program).filename());
    instead.environment.insert(instead.environment.end(), environment_.begin(), environment_.end());
    return runner_.Run(instead, observer);
  }

 private:
  const std::vector<std::string> environment_;
  PosixCommandRunner runner_;
};

// The stand-in of pvedaemon, on a port of its own.
class Daemon {
 public:
  explicit Daemon(const std::vector<std::string>& environment) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe[1], 2);
    std::string program = Tool("pvedaemon"), port = "STANDIN_API_PORT=0";
    std::array<char*, 2> arguments = {program.data(), nullptr};
    std::vector<std::string> words = environment;
    std::vector<char*> variables;
    for (std::string& word : words) variables.push_back(word.data());
    variables.push_back(port.data());
    variables.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), variables.data()),
              0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    error_ = ::fdopen(pipe[0], "r");
    unsigned number = 0;
    EXPECT_EQ(std::fscanf(error_, "listening on 127.0.0.1:%u", &number), 1);
    port_ = static_cast<uint16_t>(number);
  }
  ~Daemon() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    std::fclose(error_);
  }
  uint16_t port() const { return port_; }

 private:
  pid_t pid_ = 0;
  std::FILE* error_ = nullptr;
  uint16_t port_ = 0;
};

template <bool kApi>
class StandinWorld {
 public:
  StandinWorld()
      : root_(MakeRoot()),
        files_(root_),
        environment_({"STANDIN_ROOT=" + root_, "STANDIN_NODE=pve1", "STANDIN_LOCK_PAUSE=0"}),
        tools_(environment_),
        runner_(tools_, kApi) {
    const std::string mounts =
        "/dev/sda1 / ext4 rw 0 0\n/dev/fuse /etc/pve fuse rw 0 0\ntank/guests /tank/guests zfs rw 0 0\n";
    Write("/proc/mounts", mounts);
    Write("/proc/1/mounts", mounts);
    Write("/proc/sys/kernel/hostname", "pve1\n");
    Write("/zfs",
          "pool tank imported\nset tank filesystem none no 0 -\n"
          "set tank/guests filesystem /tank/guests yes 0 -\n");
    for (const char* tool : {"pvesm", "qm"}) Write(std::string("/usr/sbin/") + tool, "");
    for (const char* folder :
         {"/etc/pve/priv/lock", "/etc/pve/nodes/pve1/lxc", "/etc/pve/nodes/pve1/qemu-server", "/usr/bin",
          "/srv/contract", "/tank/guests", "/bin", "/run"})
      std::filesystem::create_directories(root_ + folder);
    for (const char* name : {"zfs", "zpool"})
      std::filesystem::create_symlink(std::filesystem::absolute(Tool("t/fake/zfs")), root_ + "/bin/" + name);
    if (kApi) StartApi();
    host_ = std::make_unique<ProxmoxCli>(runner_, files_, api_.get());
  }
  ~StandinWorld() { std::filesystem::remove_all(root_); }

  ProxmoxHost& host() { return *host_; }
  bool tells_warnings() { return !kApi; }
  std::string node() { return "pve1"; }
  std::string folder() { return "/srv/contract"; }
  std::string dataset() { return "tank/guests"; }
  void WriteVm(uint32_t vmid, const std::string& text) {
    Write("/etc/pve/nodes/pve1/qemu-server/" + std::to_string(vmid) + ".conf", text);
  }

 private:
  static std::string MakeRoot() {
    std::string pattern = (std::filesystem::temp_directory_path() / "phoenix-standin-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    return pattern;
  }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void StartApi() {
    const auto made = tools_.Run({.program = "/usr/sbin/pveum",
                                  .args = {"user", "token", "add", "root@pam", "phoenix", "--privsep", "0",
                                           "--output-format", "json"}},
                                 nullptr);
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_EQ(made->exit_code, 0) << made->err;
    const std::string mark = "\"value\":\"";
    const auto value = made->out.find(mark);
    ASSERT_NE(value, std::string::npos) << made->out;
    const std::string token = "root@pam!phoenix=" + made->out.substr(value + mark.size(), 36);
    ASSERT_TRUE(machine_.Replace(root_ + "/token", {token, ::geteuid(), ::getegid(), 0600}).ok());
    daemon_ = std::make_unique<Daemon>(environment_);
    auto api = CurlNodeApi::Open(machine_, {.token_file = root_ + "/token",
                                            .sent_file = root_ + "/api-request",
                                            .port = daemon_->port(),
                                            .token_owner = ::geteuid()});
    ASSERT_TRUE(api.ok()) << api.status();
    api_ = *std::move(api);
  }

  const std::string root_;
  PosixFiles machine_;
  PosixFiles files_;
  const std::vector<std::string> environment_;
  StandinRunner tools_;
  ApiOnlyRunner runner_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<CurlNodeApi> api_;
  std::unique_ptr<ProxmoxCli> host_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(StandinPvesm, ProxmoxHostContract, StandinWorld<false>);
INSTANTIATE_TYPED_TEST_SUITE_P(StandinApi, ProxmoxHostContract, StandinWorld<true>);

}  // namespace
}  // namespace phoenix::proxmox
