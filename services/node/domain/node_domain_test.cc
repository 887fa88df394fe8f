#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/node/domain/firewall_rule.h"
#include "services/node/domain/node_planner.h"
#include "services/node/domain/unit_order.h"

namespace phoenix::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Normalized, WritesRulesAsUfwDoes) {
  struct Case {
    FirewallRule given;
    FirewallRule normalized;
  };
  for (const auto& [given, normalized] : std::vector<Case>{
           {{"10.0.0.0/24", "2049", "tcp"}, {"10.0.0.0/24", "2049", "tcp"}},
           {{"10.0.0.17/24", "2049", "tcp"}, {"10.0.0.0/24", "2049", "tcp"}},
           {{"10.0.0.17/32", "445", "udp"}, {"10.0.0.17", "445", "udp"}},
           {{"10.0.0.129/25", "445", "udp"}, {"10.0.0.128/25", "445", "udp"}},
           {{"0.0.0.0/0", "445", "tcp"}, {"0.0.0.0/0", "445", "tcp"}},
           {{"1.2.3.4/0", "445", "tcp"}, {"0.0.0.0/0", "445", "tcp"}},
           {{"2001:DB8:0:0::1/64", "2049", "tcp"}, {"2001:db8::/64", "2049", "tcp"}},
           {{"2001:db8::1/128", "2049", "tcp"}, {"2001:db8::1", "2049", "tcp"}},
           {{"::/0", "2049", "tcp"}, {"::/0", "2049", "tcp"}},
           {{"10.0.0.1", "138,137", "udp"}, {"10.0.0.1", "137,138", "udp"}},
           {{"10.0.0.1", "6000:6007,111", "tcp"}, {"10.0.0.1", "111,6000:6007", "tcp"}},
       }) {
    const auto got = Normalized(given);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(*got, normalized) << KeyOf(*got);
    EXPECT_EQ(*Normalized(*got), normalized);
  }
}

TEST(Normalized, RefusesWhatUfwWouldReadDifferently) {
  for (const FirewallRule& rule :
       std::vector<FirewallRule>{{"*", "2049", "tcp"},
                                 {"any", "2049", "tcp"},
                                 {"host.example", "2049", "tcp"},
                                 {"10.0.0.0/33", "2049", "tcp"},
                                 {"10.0.0.0/-1", "2049", "tcp"},
                                 {"10.0.0.0/", "2049", "tcp"},
                                 {"10.0.0", "2049", "tcp"},
                                 {"10.0.0.0/24 to any", "2049", "tcp"},
                                 {"", "2049", "tcp"},
                                 {"10.0.0.0/24", "", "tcp"},
                                 {"10.0.0.0/24", "0", "tcp"},
                                 {"10.0.0.0/24", "65536", "tcp"},
                                 {"10.0.0.0/24", "nfs", "tcp"},
                                 {"10.0.0.0/24", "2049,", "tcp"},
                                 {"10.0.0.0/24", "7:6", "tcp"},
                                 {"10.0.0.0/24", "7:7", "tcp"},
                                 {"10.0.0.0/24", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "tcp"},
                                 {"10.0.0.0/24", "2049", "any"},
                                 {"10.0.0.0/24", "2049", "TCP"}}) {
    EXPECT_EQ(Normalized(rule).status().code(), absl::StatusCode::kInvalidArgument)
        << rule.client << " " << rule.port << " " << rule.protocol;
  }
}

SeenRule Written(std::string action, std::string protocol, std::string port, std::string client) {
  SeenRule rule;
  rule.action = std::move(action);
  rule.protocol = std::move(protocol);
  rule.port = std::move(port);
  rule.client = std::move(client);
  rule.direction = "in";
  return rule;
}

TEST(Hinders, FindsEarlierRulesThatKeepOurClientsOut) {
  const FirewallRule ours{"10.0.0.0/24", "2049", "tcp"};
  EXPECT_TRUE(Hinders(Written("deny", "any", "any", "10.0.0.66"), ours));
  EXPECT_TRUE(Hinders(Written("reject", "tcp", "2000:3000", "0.0.0.0/0"), ours));
  EXPECT_TRUE(Hinders(Written("limit", "tcp", "2049", "10.0.0.0/8"), ours));
  EXPECT_FALSE(Hinders(Written("allow", "any", "any", "10.0.0.66"), ours));
  EXPECT_FALSE(Hinders(Written("deny", "udp", "2049", "10.0.0.66"), ours));
  EXPECT_FALSE(Hinders(Written("deny", "tcp", "22", "10.0.0.66"), ours));
  EXPECT_FALSE(Hinders(Written("deny", "tcp", "2049", "10.0.1.0/24"), ours));
  EXPECT_FALSE(Hinders(Written("deny", "tcp", "2049", "::/0"), ours));
  SeenRule out = Written("deny", "tcp", "2049", "0.0.0.0/0");
  out.direction = "out";
  EXPECT_FALSE(Hinders(out, ours));
}

TEST(Opens, FindsRulesThatLetSomebodyThroughToAPort) {
  EXPECT_TRUE(Opens(Written("allow", "tcp", "445", "10.0.0.7"), "445", "tcp"));
  EXPECT_TRUE(Opens(Written("allow", "any", "any", "10.0.0.0/24"), "445", "tcp"));
  EXPECT_TRUE(Opens(Written("allow", "tcp", "137:445", "0.0.0.0/0"), "445", "tcp"));
  EXPECT_TRUE(Opens(Written("allow", "any", "", "0.0.0.0/0"), "445", "tcp")) << "an application's";
  EXPECT_FALSE(Opens(Written("deny", "tcp", "445", "10.0.0.7"), "445", "tcp"));
  EXPECT_FALSE(Opens(Written("allow", "udp", "445", "10.0.0.7"), "445", "tcp"));
  EXPECT_FALSE(Opens(Written("allow", "tcp", "22", "10.0.0.7"), "445", "tcp"));
  SeenRule out = Written("allow", "tcp", "445", "10.0.0.7");
  out.direction = "out";
  EXPECT_FALSE(Opens(out, "445", "tcp"));
}

TEST(InStopOrder, TakesWhatStartsOthersFirstAndMountsLast) {
  EXPECT_THAT(InStopOrder({"proc-fs-nfsd.mount", "nfs-client.target", "nfs-server.service", "rpcbind.service",
                           "rpcbind.socket", "x.timer"}),
              ElementsAre("rpcbind.socket", "x.timer", "nfs-server.service", "rpcbind.service",
                          "nfs-client.target", "proc-fs-nfsd.mount"));
}

class NodePlannerTest : public ::testing::Test {
 protected:
  NodePlannerTest() {
    wants_.participant = "samba";
    wants_.packages = {"samba"};
    wants_.units = {"smbd.service", "nmbd.service"};
    wants_.rules = {{"10.0.0.0/24", "445", "tcp"}};
    wants_.firewall_packages = {"ufw"};
    state_.packages["samba"] = PackageState::kInstalled;
    state_.packages["ufw"] = PackageState::kInstalled;
    for (const std::string& unit : wants_.units) state_.units[unit] = {unit, true, false, "enabled", true};
    state_.firewall.ufw_installed = state_.firewall.ufw_active = state_.firewall.ufw_enabled = true;
    state_.firewall.rules = state_.firewall.live = {Written("allow", "tcp", "445", "10.0.0.0/24")};
  }

  absl::StatusOr<NodePlanning> Plan() { return MakeNodePlan(wants_, state_, our_rules_); }
  std::string Refusal() {
    const auto plan = Plan();
    EXPECT_EQ(plan.status().code(), absl::StatusCode::kFailedPrecondition) << plan.status();
    return Message(plan.status());
  }
  void Bare() {
    state_.packages.clear();
    state_.units.clear();
    state_.firewall = {};
    state_.forecasts["samba"] = {{"samba", "samba-common"}, {}, {}};
    state_.forecasts["ufw"] = {{"iptables", "ufw"}, {}, {}};
  }

  NodeWants wants_;
  NodeState state_;
  std::set<std::string> our_rules_;
};

TEST_F(NodePlannerTest, NothingToDoWhereEverythingIsThere) {
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, IsEmpty());
  EXPECT_THAT(plan->notes, IsEmpty());
  EXPECT_THAT(plan->provided_now, ElementsAre("package:samba", "unit:smbd.service", "unit:nmbd.service"));
}

TEST_F(NodePlannerTest, PlansPackagesThenUnitsOneAfterTheOther) {
  Bare();
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps,
              ElementsAre(NodeStep(PackageStep{"samba", {"samba", "samba-common"}, {}}),
                          NodeStep(PackageStep{"ufw", {"iptables", "ufw"}, {}}),
                          NodeStep(UnitStep{"smbd.service", {"smbd.service"}, {"samba"}, {}}),
                          NodeStep(UnitStep{"nmbd.service", {"nmbd.service"}, {"samba"}, {"smbd.service"}})));
}

TEST_F(NodePlannerTest, AUnitOfAPackageThatIsThereWaitsForNoPackage) {
  state_.units["nmbd.service"].active = false;
  state_.packages["ufw"] = PackageState::kAbsent;
  state_.firewall = {};
  state_.forecasts["ufw"] = {{"ufw"}, {}, {}};
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_THAT(plan->steps, SizeIs(2));
  EXPECT_THAT(std::get<UnitStep>(plan->steps[1]).after_packages, IsEmpty());
}

TEST_F(NodePlannerTest, InstallsNoFirewallBesideAnother) {
  Bare();
  state_.firewall.pve_installed = true;
  EXPECT_THAT(MissingPackages(wants_, state_), ElementsAre("samba"));
  state_.firewall = {};
  state_.firewall.ufw_installed = true;
  state_.packages["ufw"] = PackageState::kInstalled;
  EXPECT_THAT(MissingPackages(wants_, state_), ElementsAre("samba"));
}

TEST_F(NodePlannerTest, NamesEveryProblemAtOnce) {
  state_.packages["samba"] = PackageState::kBroken;
  state_.units["smbd.service"].masked = true;
  state_.units["nmbd.service"] = {"nmbd.service"};
  state_.firewall.rules[0].action = "deny";
  const std::string refusal = Refusal();
  EXPECT_THAT(refusal, HasSubstr("package samba is half installed"));
  EXPECT_THAT(refusal, HasSubstr("unit smbd.service is masked"));
  EXPECT_THAT(refusal, HasSubstr("unit nmbd.service does not exist"));
  EXPECT_THAT(refusal,
              HasSubstr("\"deny proto tcp from 10.0.0.0/24 to any port 445\", and ours would overwrite it"));
}

TEST_F(NodePlannerTest, RefusesAnInstallationThatRemovesPackages) {
  Bare();
  state_.forecasts["samba"].removes = {"samba-libs"};
  EXPECT_THAT(Refusal(), HasSubstr("installing samba would remove samba-libs"));
}

TEST_F(NodePlannerTest, RefusesToReplaceTheProgramsThatHoldStartsBack) {
  Bare();
  state_.forecasts["samba"].upgrades = {"init-system-helpers"};
  EXPECT_THAT(Refusal(), HasSubstr("would upgrade init-system-helpers"));
}

TEST_F(NodePlannerTest, AddsOnlyTheRulesThatAreMissing) {
  wants_.rules.push_back({"10.0.0.0/24", "139", "tcp"});
  // The same once more, as another share may name it.
  wants_.rules.push_back({"10.0.0.99/24", "139", "tcp"});
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, ElementsAre(NodeStep(RuleStep{{"10.0.0.0/24", "139", "tcp"}})));
}

TEST_F(NodePlannerTest, PrunesOnlyARuleThatUndoCanPutBackWhereItWas) {
  our_rules_ = {"rule:10.0.0.0/24:445/tcp"};
  wants_.rules.clear();
  wants_.prune_rules = true;
  state_.firewall.rules[0].comment = "phoenix former";
  auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, ElementsAre(NodeStep(RuleStep{{"10.0.0.0/24", "445", "tcp"}, "phoenix former"})));
  state_.firewall.rules.push_back(Written("deny", "any", "any", "10.0.0.66"));
  plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, IsEmpty());
  ASSERT_THAT(plan->notes, SizeIs(2));
  EXPECT_THAT(plan->notes[0].text, HasSubstr("not pruned"));
}

TEST_F(NodePlannerTest, PutsARuleOfOursBackThatSomebodyDeleted) {
  our_rules_ = {"rule:10.0.0.0/24:445/tcp"};
  state_.firewall.rules.clear();
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, SizeIs(1));
}

TEST_F(NodePlannerTest, WarnsOfARuleThatIsNotInForce) {
  state_.firewall.live.clear();
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, IsEmpty());
  ASSERT_THAT(plan->notes, SizeIs(1));
  EXPECT_TRUE(plan->notes[0].warning);
  EXPECT_THAT(plan->notes[0].text, HasSubstr("written down but not in force"));
}

TEST_F(NodePlannerTest, WarnsOfAnEarlierRuleThatKeepsClientsOut) {
  state_.firewall.rules.insert(state_.firewall.rules.begin(), Written("deny", "any", "any", "10.0.0.66"));
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_THAT(plan->notes, SizeIs(1));
  EXPECT_THAT(plan->notes[0].text, HasSubstr("comes before ours"));
  // One that comes later decides nothing.
  std::swap(state_.firewall.rules[0], state_.firewall.rules[1]);
  EXPECT_THAT(Plan()->notes, IsEmpty());
}

TEST_F(NodePlannerTest, SaysThatNoFirewallIsActiveAndPlansNoRule) {
  state_.firewall.ufw_active = state_.firewall.ufw_enabled = false;
  state_.firewall.rules.clear();
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, IsEmpty());
  ASSERT_THAT(plan->notes, SizeIs(1));
  EXPECT_FALSE(plan->notes[0].warning);
  EXPECT_THAT(plan->notes[0].text, HasSubstr("10.0.0.0/24:445/tcp"));
}

class PveFirewallTest : public NodePlannerTest {
 protected:
  PveFirewallTest() {
    state_.firewall = {};
    state_.firewall.pve_installed = state_.firewall.pve_enabled = true;
  }
};

TEST_F(PveFirewallTest, TakesTheRulesWhereItIsTheNodesFirewall) {
  auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps,
              ElementsAre(NodeStep(RuleStep{{"10.0.0.0/24", "445", "tcp"}, "", Firewall::kPve})));
  EXPECT_THAT(plan->notes, IsEmpty());
  // As somebody has it already. Whether it is in force is for Proxmox VE to see to.
  state_.firewall.rules = {Written("allow", "tcp", "445", "10.0.0.0/24")};
  plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, IsEmpty());
  EXPECT_THAT(plan->notes, IsEmpty());
}

TEST_F(PveFirewallTest, SaysWhoDecidesBeforeWhom) {
  // A new rule comes first.
  state_.firewall.rules = {Written("deny", "any", "any", "10.0.0.66")};
  EXPECT_THAT(Plan()->notes.at(0).text,
              HasSubstr("comes before pve-firewall's rule \"deny any from 10.0.0.66"));
  // One that is there may come too late.
  state_.firewall.rules.push_back(Written("allow", "tcp", "445", "10.0.0.0/24"));
  EXPECT_THAT(Plan()->notes.at(0).text, HasSubstr("comes before ours and may keep 10.0.0.0/24 out"));
  state_.firewall.rules = {Written("deny", "tcp", "445", "10.0.0.0/24")};
  EXPECT_THAT(Refusal(), HasSubstr("pve-firewall has the rule \"deny proto tcp from 10.0.0.0/24"));
}

TEST_F(PveFirewallTest, PrunesOnlyARuleThatUndoCanPutBackWhereItWas) {
  our_rules_ = {"rule:10.0.0.0/24:445/tcp"};
  wants_.rules.clear();
  wants_.prune_rules = true;
  state_.firewall.rules = {Written("allow", "tcp", "445", "10.0.0.0/24"),
                           Written("deny", "any", "any", "10.0.0.66")};
  state_.firewall.rules[0].comment = "phoenix former";
  EXPECT_THAT(
      Plan()->steps,
      ElementsAre(NodeStep(RuleStep{{"10.0.0.0/24", "445", "tcp"}, "phoenix former", Firewall::kPve})));
  // Undo would put it in front of that one.
  std::swap(state_.firewall.rules[0], state_.firewall.rules[1]);
  EXPECT_THAT(Plan()->steps, IsEmpty());
  EXPECT_THAT(Plan()->notes.at(0).text,
              HasSubstr("not pruned: pve-firewall's rule \"deny any from 10.0.0.66\""));
}

// F3: which of two firewalls sees a packet first depends on which started first.
TEST_F(NodePlannerTest, F3RefusesTwoActiveFirewalls) {
  state_.firewall.pve_installed = state_.firewall.pve_enabled = true;
  EXPECT_THAT(Refusal(), HasSubstr("both active"));
  // Where no rule is needed it is nobody's business.
  wants_.rules.clear();
  EXPECT_TRUE(Plan().ok());
}

TEST_F(NodePlannerTest, RefusesAUfwWhoseSettingAndStateContradictEachOther) {
  state_.firewall.ufw_enabled = false;
  EXPECT_THAT(Refusal(), HasSubstr("ufw is active and set to ENABLED=no"));
}

TEST_F(NodePlannerTest, RefusesIpv6ClientsWhereUfwDoesNotDoIpv6) {
  wants_.rules = {{"2001:db8::/64", "445", "tcp"}};
  state_.firewall.ufw_ipv6 = false;
  EXPECT_THAT(Refusal(), HasSubstr("IPV6=no"));
}

// An export to everybody wants a rule for each family: `from 0.0.0.0/0` is one for IPv4 only.
TEST_F(NodePlannerTest, EverybodyIsLetInOverIpv6WhereUfwDoesIpv6) {
  wants_.rules = {{"0.0.0.0/0", "2049", "tcp"}, {"10.0.0.5", "2049", "tcp"}};
  wants_.everyone = true;
  for (const bool ipv6 : {true, false}) {
    state_.firewall.ufw_ipv6 = ipv6;
    const auto plan = Plan();
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->steps.size(), ipv6 ? 3u : 2u);
  }
}

TEST_F(NodePlannerTest, NamesEveryBadRule) {
  wants_.rules = {{"*", "445", "tcp"}, {"10.0.0.0/24", "smb", "tcp"}};
  const auto plan = Plan();
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(ViolationsOf(plan.status()), SizeIs(2));
}

TEST_F(NodePlannerTest, TheFingerprintFollowsWhatThePlanWasMadeFrom) {
  const std::string before = Plan()->fingerprint_text;
  EXPECT_EQ(Plan()->fingerprint_text, before);
  state_.units["smbd.service"].active = false;
  const std::string stopped = Plan()->fingerprint_text;
  EXPECT_NE(stopped, before);
  state_.firewall.rules.clear();
  EXPECT_NE(Plan()->fingerprint_text, stopped);
  // Somebody else's rule for somebody else is not what this plan stands on.
  const std::string now = Plan()->fingerprint_text;
  state_.firewall.rules.push_back(Written("allow", "tcp", "8006", "192.0.2.1"));
  EXPECT_EQ(Plan()->fingerprint_text, now);
}

}  // namespace
}  // namespace phoenix::node
