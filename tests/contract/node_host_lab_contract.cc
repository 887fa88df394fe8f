// The contract on a real node. Run as root in a lab VM: it installs and removes packages, makes a unit and,
// where it finds none active, switches ufw on for as long as it runs.
#include <unistd.h>

#include <memory>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/node/host/node_cli.h"
#include "tests/contract/node_host_contract.h"
#include "tests/support/lab_setting.h"

namespace phoenix::node {
namespace {

// Not below /etc, where a unit of ours could not be masked.
constexpr char kUnits[] = "/usr/local/lib/systemd/system";
constexpr char kUnit[] = "/usr/local/lib/systemd/system/phoenix-contract.service";
constexpr char kPulled[] = "/usr/local/lib/systemd/system/phoenix-contract-pulled.service";
constexpr char kAlias[] = "/usr/local/lib/systemd/system/phoenix-contract-alias.service";

class LabEnvironment {
 public:
  LabEnvironment() : runner_(testing::Launcher()), host_(runner_, files_, std::chrono::milliseconds(200)) {
    Must("/usr/bin/mkdir", {"-p", kUnits});
    const std::string service = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";
    Write(kPulled, service);
    Write(kUnit, "[Unit]\nWants=phoenix-contract-pulled.service\n" + service +
                     "[Install]\nWantedBy=multi-user.target\n");
    // A link beside the unit is another name of it.
    Must("/usr/bin/ln", {"-sfn", kUnit, kAlias});
    Must("/usr/bin/systemctl", {"daemon-reload"});
  }

  ~LabEnvironment() {
    for (const char* path : {kUnit, kPulled, kAlias}) Must("/usr/bin/rm", {"-f", path});
    Must("/usr/bin/systemctl", {"daemon-reload"});
  }

  NodeHost& host() { return host_; }
  std::string unit() { return "phoenix-contract.service"; }
  std::string pulled_unit() { return "phoenix-contract-pulled.service"; }
  std::string alias() { return "phoenix-contract-alias.service"; }
  void Mask(bool masked) { Must("/usr/bin/systemctl", {masked ? "mask" : "unmask", unit()}); }
  bool ufw_active() { return UfwForTheSuite().active; }
  std::string package() { return "nfs-kernel-server"; }
  std::string package_unit() { return "nfs-server.service"; }
  void RemovePackage() {
    Must("/usr/bin/apt-get", {"purge", "--yes", "--quiet", package()}, {"DEBIAN_FRONTEND=noninteractive"});
  }

 private:
  // ufw, switched on once for all tests and off again at the end where it was off.
  struct Ufw {
    explicit Ufw(LabEnvironment& environment) {
      const auto state = environment.host_.Firewall();
      if (!state.ok() || !state->ufw_installed) return;
      active = true;
      if (state->ufw_active) return;
      environment.Must("/usr/sbin/ufw", {"allow", "22/tcp"});
      environment.Must("/usr/sbin/ufw", {"--force", "enable"});
      was_off = true;
    }
    ~Ufw() {
      // The environment that switched it on is gone by now.
      if (was_off) {
        EXPECT_EQ(std::system("/usr/sbin/ufw disable && /usr/sbin/ufw delete allow 22/tcp"), 0);
      }
    }
    bool active = false;
    bool was_off = false;
  };
  Ufw& UfwForTheSuite() {
    static Ufw ufw(*this);
    return ufw;
  }

  void Write(const std::string& path, const std::string& content) {
    const absl::Status written = files_.Replace(path, {content, 0, 0, 0644});
    EXPECT_TRUE(written.ok()) << written;
  }
  void Must(const std::string& program, const std::vector<std::string>& args,
            const std::vector<std::string>& environment = {}) {
    Command command{program, args};
    command.environment = environment;
    command.limit = std::chrono::minutes(15);
    const auto result = runner_.Run(command);
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) {
      EXPECT_EQ(result->exit_code, 0) << ToText(command) << "\n" << result->out << result->err;
    }
  }

  PosixCommandRunner runner_;
  PosixFiles files_;
  NodeCli host_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Lab, NodeHostContract, LabEnvironment);

}  // namespace
}  // namespace phoenix::node
