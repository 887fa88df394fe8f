#include "services/node/host/node_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/node/host/node_cli.h"

namespace phoenix::node {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kRun[] = "5d2b6e54-0000-4000-8000-000000000001";

TEST(InstallUnitName, TellsRunAndPackageAndIsAValidName) {
  EXPECT_EQ(InstallUnitName("samba", kRun),
            "phoenix-install-5d2b6e54-0000-4000-8000-000000000001-samba.service");
  EXPECT_EQ(InstallUnitName("g++", "r/1"), "phoenix-install-r\\x2f1-g\\x2b\\x2b.service");
}

TEST(StartInstall, KeepsConfigurationAsksNothingRemovesNothing) {
  const Command command = StartInstall("samba", kRun, /*finish_first=*/false);
  EXPECT_EQ(command.program, "/usr/bin/systemd-run");
  EXPECT_EQ(command.args.back(), "samba");
  for (const char* arg :
       {"--no-block", "--service-type=oneshot", "--property=RemainAfterExit=yes",
        "--property=TimeoutStartSec=infinity", "--setenv=DEBIAN_FRONTEND=noninteractive",
        "--option=Dpkg::Options::=--force-confold", "--no-install-recommends", "--no-remove"}) {
    EXPECT_THAT(command.args, Contains(arg));
  }
  EXPECT_THAT(command.args, Not(Contains(HasSubstr("--configure"))));
  EXPECT_THAT(
      StartInstall("samba", kRun, true).args,
      Contains("--property=ExecStartPre=/usr/bin/dpkg --force-confdef --force-confold --configure -a"));
}

// systemd makes a missing mount point on the host, so only programs that every Debian has may be covered.
TEST(StartInstall, HoldsStartsBackWithoutAFileOnTheHost) {
  const Command command = StartInstall("samba", kRun, false);
  const auto bind = std::find_if(command.args.begin(), command.args.end(), [](const std::string& arg) {
    return arg.find("BindReadOnlyPaths") != arg.npos;
  });
  ASSERT_NE(bind, command.args.end());
  EXPECT_THAT(*bind, HasSubstr("/usr/bin/true:/usr/sbin/invoke-rc.d"));
  EXPECT_THAT(*bind, HasSubstr("/usr/bin/true:/usr/bin/deb-systemd-invoke"));
  EXPECT_THAT(*bind, Not(HasSubstr("policy-rc.d")));
}

TEST(Ufw, IsNeverKilledAndNamesOurComment) {
  const FirewallRule rule{"10.0.0.0/24", "2049", "tcp"};
  EXPECT_EQ(ToText(UfwAllow(rule, "phoenix run")),
            "ufw allow proto tcp from 10.0.0.0/24 to any port 2049 comment 'phoenix run'");
  EXPECT_EQ(ToText(UfwDelete(rule, "phoenix run")),
            "ufw delete allow proto tcp from 10.0.0.0/24 to any port 2049 comment 'phoenix run'");
  EXPECT_FALSE(UfwAllow(rule, "phoenix run").kill_at_limit);
  EXPECT_FALSE(UfwDelete(rule, "phoenix run").kill_at_limit);
  EXPECT_FALSE(UfwStatus().kill_at_limit);
}

TEST(Systemctl, TakesNamesThatBeginWithADash) {
  EXPECT_EQ(ToText(StopUnit("-.mount")), "systemctl stop --no-ask-password -- -.mount");
  EXPECT_EQ(ToText(EnableUnit("smbd.service", true)),
            "systemctl enable --runtime --no-ask-password -- smbd.service");
  EXPECT_EQ(ToText(DisableUnit("smbd.service", false)),
            "systemctl disable --no-ask-password -- smbd.service");
  EXPECT_EQ(ToText(DisableUnit("smbd.service", true)),
            "systemctl disable --runtime --no-ask-password -- smbd.service");
}

TEST(PveCommands, NameTheNodeTheDigestAndNoSourceForEverybody) {
  EXPECT_EQ(ToText(PveRulesCommand("pve1")), "pvesh get /nodes/pve1/firewall/rules --output-format json");
  EXPECT_EQ(ToText(PveAllow("pve1", {"10.0.0.0/24", "2049", "tcp"}, "phoenix run")),
            "pvesh create /nodes/pve1/firewall/rules --type in --action ACCEPT --enable 1 --proto tcp "
            "--dport 2049 --comment 'phoenix run' --source 10.0.0.0/24");
  // Without a source it would be for IPv6, too.
  EXPECT_THAT(ToText(PveAllow("pve1", {"0.0.0.0/0", "445", "tcp"}, "x")),
              ::testing::HasSubstr("--source 0.0.0.0/0"));
  EXPECT_EQ(ToText(PveDelete("pve1", 3, "abc")), "pvesh delete /nodes/pve1/firewall/rules/3 --digest abc");
}

// Each service of a node has a host of its own, and all of them change the one firewall.
TEST(FirewallLock, IsHeldByOneHostAtATime) {
  const std::string path = ::testing::TempDir() + "firewall.lock";
  PosixCommandRunner runner("/no/launcher");
  PosixFiles files;
  NodeCli one(runner, files, std::chrono::milliseconds(1), path);
  NodeCli other(runner, files, std::chrono::milliseconds(1), path);
  std::atomic<int> at_once = 0, most = 0;
  const auto change = [&](NodeCli& host) {
    for (int i = 0; i < 200; ++i) {
      const auto lock = host.LockFirewall();
      ASSERT_TRUE(lock.ok()) << lock.status();
      if (const int now = ++at_once; now > most) most = now;
      std::this_thread::yield();
      --at_once;
    }
  };
  std::thread beside([&] { change(other); });
  change(one);
  beside.join();
  EXPECT_EQ(most, 1);
  EXPECT_FALSE(
      NodeCli(runner, files, std::chrono::milliseconds(1), "/no/such/folder/lock").LockFirewall().ok());
}

}  // namespace
}  // namespace phoenix::node
