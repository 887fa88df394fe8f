#include "services/node/host/node_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/status/errors.h"
#include "services/node/domain/firewall_rule.h"

namespace phoenix::node {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

std::string Transcript(const std::string& name) {
  std::ifstream file(std::string(PHOENIX_TESTDATA) + "/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(ParsePackages, TellsInstalledAbsentAndHalfInstalled) {
  const auto states = ParsePackages(
      "nfs-kernel-server installed\n"
      "samba not-installed\n"
      "ufw config-files\n"
      "rpcbind half-configured\n"
      "smbclient unpacked\n"
      "libc6 not-installed\n"
      "libc6 installed\n"
      "something-else installed\n",
      {"nfs-kernel-server", "samba", "ufw", "rpcbind", "smbclient", "libc6", "unknown"});
  EXPECT_EQ(states.size(), 7U);
  EXPECT_EQ(states.at("nfs-kernel-server"), PackageState::kInstalled);
  EXPECT_EQ(states.at("samba"), PackageState::kAbsent);
  EXPECT_EQ(states.at("ufw"), PackageState::kAbsent);
  EXPECT_EQ(states.at("rpcbind"), PackageState::kBroken);
  EXPECT_EQ(states.at("smbclient"), PackageState::kBroken);
  EXPECT_EQ(states.at("libc6"), PackageState::kInstalled);
  EXPECT_EQ(states.at("unknown"), PackageState::kAbsent);
}

TEST(ParseForecast, TellsNewUpgradedAndRemovedPackages) {
  const InstallForecast forecast = ParseForecast(
      "Reading package lists...\n"
      "The following NEW packages will be installed:\n"
      "  netbase nfs-kernel-server\n"
      "Inst nfs-kernel-server (1:2.6.2-4+deb12u1 localhost [amd64])\n"
      "Inst netbase (6.4 localhost [all])\n"
      "Inst libwbclient0 [2:4.17.11+dfsg-0+deb12u1] (2:4.17.12+dfsg-0+deb12u1 Debian:12/stable [amd64]) []\n"
      "Remv inetutils-inetd [2:2.4-2]\n"
      "Conf netbase (6.4 localhost [all])\n"
      "Conf nfs-kernel-server (1:2.6.2-4+deb12u1 localhost [amd64])\n");
  EXPECT_THAT(forecast.brings, ElementsAre("netbase", "nfs-kernel-server"));
  EXPECT_THAT(forecast.upgrades, ElementsAre("libwbclient0"));
  EXPECT_THAT(forecast.removes, ElementsAre("inetutils-inetd"));
}

TEST(ParseUnitFiles, TakesUnitsAndLeavesTemplatesAndOtherFiles) {
  EXPECT_THAT(ParseUnitFiles("/.\n"
                             "/lib/systemd/system\n"
                             "/lib/systemd/system/nfs-server.service\n"
                             "/usr/lib/systemd/system/rpcbind.socket\n"
                             "/lib/systemd/system/proc-fs-nfsd.mount\n"
                             "/lib/systemd/system/user@.service\n"
                             "/lib/systemd/system/nfs-server.service.d/x.conf\n"
                             "/lib/systemd/system-generators/nfs-server-generator\n"
                             "/usr/lib/systemd/user/mpris.service\n"
                             "\n"
                             "/lib/systemd/system/nfs-server.service\n"),
              ElementsAre("nfs-server.service", "proc-fs-nfsd.mount", "rpcbind.socket"));
}

TEST(ParseShow, ReadsOneBlockForEachUnitAskedFor) {
  const auto units = ParseShow(Transcript("systemctl-show-252.txt"));
  ASSERT_EQ(units.size(), 7U);
  const UnitState server = ToUnitState("nfs-server.service", units[0]);
  EXPECT_EQ(server, (UnitState{"nfs-server.service", true, false, "enabled", false}));
  EXPECT_TRUE(server.Enabled());
  // An alias answers with the unit's own name.
  EXPECT_EQ(ToUnitState("nfs-kernel-server.service", units[1]).name, "nfs-server.service");
  const UnitState mount = ToUnitState("proc-fs-nfsd.mount", units[3]);
  EXPECT_EQ(mount.enablement, "static");
  EXPECT_TRUE(mount.Enabled());
  EXPECT_TRUE(ToUnitState("rpcbind.socket", units[4]).active);
  const UnitState missing = ToUnitState("nosuch.service", units[5]);
  EXPECT_FALSE(missing.exists);
  EXPECT_EQ(missing.name, "nosuch.service");
  EXPECT_TRUE(ToUnitState("nfs-common.service", units[6]).masked);
}

TEST(PulledUnits, TakesWhatComesUpAndLeavesTargetsAndSlices) {
  const auto units = ParseShow(Transcript("systemctl-show-dependencies-252.txt"));
  ASSERT_EQ(units.size(), 3U);
  EXPECT_THAT(PulledUnits(units[0]),
              ElementsAre("auth-rpcgss-module.service", "nfs-idmapd.service", "nfs-mountd.service",
                          "nfsdcld.service", "proc-fs-nfsd.mount", "rpc-statd-notify.service",
                          "rpc-statd.service", "rpc-svcgssd.service", "rpcbind.socket"));
  EXPECT_THAT(PulledUnits(units[1]), Contains("rpcbind.service"));
  EXPECT_THAT(PulledUnits(units[1]), Not(Contains("system.slice")));
}

TEST(ToProgress, FollowsTheUnitFromQueuedToEnded) {
  const auto progress = [](const std::string& text) { return ToProgress(ParseShow(text).front()); };
  EXPECT_EQ(progress("LoadState=not-found\nActiveState=inactive\nResult=success\nJob=\n"),
            InstallProgress::kNone);
  EXPECT_EQ(progress("LoadState=loaded\nActiveState=inactive\nResult=success\nJob=149\n"),
            InstallProgress::kRunning);
  EXPECT_EQ(progress("LoadState=loaded\nActiveState=activating\nResult=success\nJob=149\n"),
            InstallProgress::kRunning);
  EXPECT_EQ(progress("LoadState=loaded\nActiveState=active\nResult=success\nJob=\n"),
            InstallProgress::kSucceeded);
  EXPECT_EQ(progress("LoadState=loaded\nActiveState=inactive\nResult=success\nJob=\n"),
            InstallProgress::kNone);
  EXPECT_EQ(progress("LoadState=loaded\nActiveState=failed\nResult=exit-code\nJob=\n"),
            InstallProgress::kFailed);
}

TEST(Ufw, TellsWhetherItIsActive) {
  EXPECT_TRUE(UfwStatusActive("Status: active\n\nTo  Action  From\n"));
  EXPECT_FALSE(UfwStatusActive("Status: inactive\n"));
  EXPECT_FALSE(UfwStatusActive(""));
}

TEST(ShellValue, TakesTheLastAssignmentWithoutQuotes) {
  const std::string text = "# IPV6=no\nIPV6=\"yes\"\nIPV6_X=no\nENABLED='no'\nENABLED=yes\n";
  EXPECT_EQ(ShellValue(text, "IPV6"), "yes");
  EXPECT_EQ(ShellValue(text, "ENABLED"), "yes");
  EXPECT_EQ(ShellValue(text, "LOGLEVEL"), std::nullopt);
}

TEST(ShellSwitch, IsReadWithoutRegardToCase) {
  for (const char* yes : {"ENABLED=yes\n", "ENABLED=YES\n", "ENABLED=\"Yes\"\n"})
    EXPECT_TRUE(ShellSwitch(yes, "ENABLED")) << yes;
  for (const char* no : {"", "ENABLED=no\n", "ENABLED=1\n", "IPV6=yes\n"})
    EXPECT_FALSE(ShellSwitch(no, "ENABLED")) << no;
}

TEST(ParseUserRules, ReadsWhatUfwWrites) {
  const auto rules = ParseUserRules(Transcript("ufw-0.36.2-user.rules"));
  ASSERT_TRUE(rules.ok()) << rules.status();
  ASSERT_EQ(rules->size(), 9U);
  EXPECT_EQ((*rules)[0], (SeenRule{"allow", "tcp", "22", "0.0.0.0/0", "in", true, ""}));
  EXPECT_EQ((*rules)[1], (SeenRule{"allow", "tcp", "2049", "10.77.0.0/24", "in", true,
                                   "phoenix 5d2b6e54-0000-4000-8000-000000000001"}));
  EXPECT_EQ((*rules)[2], (SeenRule{"allow", "udp", "137,138", "10.77.0.0/24", "in", true, "phoenix x"}));
  EXPECT_EQ((*rules)[3].client, "10.77.0.9");
  EXPECT_EQ((*rules)[4], (SeenRule{"deny", "any", "any", "10.77.0.66", "in", true, ""}));
  EXPECT_EQ((*rules)[5].port, "6000:6007");
  EXPECT_EQ((*rules)[6].direction, "in_eth0");
  // An application's rule is not the plain one for the same port.
  EXPECT_FALSE((*rules)[7].plain);
  EXPECT_EQ((*rules)[8].action, "limit");
}

TEST(ParseUserRules, ReadsIpv6) {
  const auto rules = ParseUserRules(Transcript("ufw-0.36.2-user6.rules"));
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_NE(FindRule(*rules, {"2001:db8::/64", "2049", "tcp"}), nullptr);
}

// F1: ufw writes the file in place.
TEST(ParseUserRules, F1HalfAFileIsNoAnswer) {
  const std::string whole = Transcript("ufw-0.36.2-user.rules");
  for (const size_t size : {size_t{0}, size_t{100}, whole.size() / 2, whole.size() - 8}) {
    EXPECT_EQ(ParseUserRules(whole.substr(0, size)).status().code(), absl::StatusCode::kUnavailable) << size;
  }
}

TEST(ParseUserRules, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(ParseUserRules("### tuple ### allow tcp 22\nCOMMIT\n").status().code(),
            absl::StatusCode::kInternal);
}

TEST(ParseUserRules, ReadsTheOldShortForm) {
  const auto rules = ParseUserRules("### tuple ### allow tcp 2049 0.0.0.0/0 any 10.0.0.0/8\nCOMMIT\n");
  ASSERT_TRUE(rules.ok());
  EXPECT_NE(FindRule(*rules, {"10.0.0.0/8", "2049", "tcp"}), nullptr);
}

TEST(ParseUserRules, ARoutedRuleIsNotOurs) {
  const auto rules =
      ParseUserRules("### tuple ### route:allow tcp 2049 0.0.0.0/0 any 10.0.0.0/8 in\nCOMMIT\n");
  ASSERT_TRUE(rules.ok());
  EXPECT_EQ(FindRule(*rules, {"10.0.0.0/8", "2049", "tcp"}), nullptr);
}

TEST(ParseLiveRules, EveryPlainAllowingRuleOfTheFileIsFoundInTheKernelsTable) {
  for (const bool ipv6 : {false, true}) {
    const auto written =
        ParseUserRules(Transcript(ipv6 ? "ufw-0.36.2-user6.rules" : "ufw-0.36.2-user.rules"));
    const auto live =
        ParseLiveRules(Transcript(ipv6 ? "ip6tables-save-1.8.9.txt" : "iptables-save-1.8.9.txt"), ipv6);
    ASSERT_TRUE(written.ok());
    int compared = 0;
    for (const SeenRule& rule : *written) {
      if (rule.action != "allow" || !rule.plain || rule.direction != "in") continue;
      EXPECT_NE(FindRule(live, {rule.client, rule.port, rule.protocol}), nullptr)
          << rule.client << " " << rule.port << "/" << rule.protocol;
      ++compared;
    }
    EXPECT_EQ(compared, ipv6 ? 2 : 5);
  }
}

TEST(ParseLiveRules, LeavesOutWhatIsNarrowerOrDenies) {
  const auto live = ParseLiveRules(
      "-A ufw-user-input -s 10.0.0.0/24 -i eth1 -p tcp -m tcp --dport 2049 -j ACCEPT\n"
      "-A ufw-user-input -s 10.0.1.0/24 -p tcp -m tcp --dport 2049 -j DROP\n"
      "-A INPUT -s 10.0.2.0/24 -p tcp -m tcp --dport 2049 -j ACCEPT\n"
      "-A ufw-user-input ! -s 10.0.3.0/24 -p tcp -m tcp --dport 2049 -j ACCEPT\n",
      false);
  for (const char* client : {"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24", "0.0.0.0/0"}) {
    EXPECT_EQ(FindRule(live, {client, "2049", "tcp"}), nullptr) << client;
  }
}

TEST(PveFirewall, IsEnabledByTheDataCentreUnlessTheNodeSaysNo) {
  const std::string on = "[OPTIONS]\n\nenable: 1\npolicy_in: ACCEPT\n\n[RULES]\n\nIN SSH(ACCEPT) -i vmbr0\n";
  EXPECT_TRUE(PveFirewallEnabled(on, ""));
  EXPECT_TRUE(PveFirewallEnabled(on, "[OPTIONS]\nenable: 1\n"));
  EXPECT_TRUE(PveFirewallEnabled(on, "[options]\nlog_level_in: info\n"));
  EXPECT_FALSE(PveFirewallEnabled(on, "[OPTIONS]\nenable: 0 # for now\n"));
  EXPECT_FALSE(PveFirewallEnabled("", ""));
  EXPECT_FALSE(PveFirewallEnabled("", "[OPTIONS]\nenable: 1\n"));
  EXPECT_FALSE(PveFirewallEnabled("[OPTIONS]\nenable: 0\n", ""));
  EXPECT_FALSE(PveFirewallEnabled("[ALIASES]\nenable: 1\n", ""));
  EXPECT_FALSE(PveFirewallEnabled("[OPTIONS]\n# enable: 1\n", ""));
}

// As the API answers, numbers now as numbers, now as strings.
TEST(ParsePveRules, ReadsWhatTellsPacketsApart) {
  const auto rules = ParsePveRules(R"([
    {"pos": 0, "type": "in", "action": "ACCEPT", "enable": 1, "source": "10.0.0.7/24", "proto": "tcp",
     "dport": "2049", "comment": "phoenix run", "digest": "d1"},
    {"pos": "1", "type": "in", "action": "DROP", "enable": "0", "digest": "d1"},
    {"pos": 2, "type": "group", "action": "web", "enable": 1, "digest": "d1"},
    {"pos": 3, "type": "in", "action": "ACCEPT", "macro": "SSH", "enable": 1, "digest": "d1"},
    {"pos": 4, "type": "in", "action": "ACCEPT", "enable": 1, "proto": "udp", "dport": "138,137", "log": "nolog"},
    {"pos": 5, "type": "in", "action": "REJECT", "enable": 1, "source": "+blocked"},
    {"pos": 6, "type": "out", "action": "DROP", "enable": 1, "iface": "vmbr0", "dest": "192.0.2.1"}])");
  ASSERT_TRUE(rules.ok()) << rules.status();
  ASSERT_EQ(rules->size(), 5u);
  EXPECT_EQ((*rules)[0].rule, (SeenRule{"allow", "tcp", "2049", "10.0.0.0/24", "in", true, "phoenix run"}));
  EXPECT_EQ((*rules)[0].digest, "d1");
  // A macro's ports are not written in the rule.
  EXPECT_EQ((*rules)[1].position, 3);
  EXPECT_FALSE((*rules)[1].rule.plain);
  EXPECT_EQ((*rules)[2].rule, (SeenRule{"allow", "udp", "137,138", "0.0.0.0/0", "in", true, ""}));
  EXPECT_EQ((*rules)[2].position, 4);
  // What it shuts out is not known here: better a warning too many.
  EXPECT_TRUE(Hinders((*rules)[3].rule, {"10.0.0.0/24", "2049", "tcp"}));
  EXPECT_EQ((*rules)[4].rule.direction, "out_vmbr0");
  EXPECT_FALSE(Hinders((*rules)[4].rule, {"10.0.0.0/24", "2049", "tcp"}));
  EXPECT_TRUE(ParsePveRules("[]")->empty());
  EXPECT_FALSE(ParsePveRules("no quorum!").ok());
}

}  // namespace
}  // namespace phoenix::node
