#include "services/node/worker/node_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "services/kit/plan/keys.h"
#include "services/node/host/node_sim.h"
#include "services/node/worker/only_node.h"
#include "tests/support/step_driver.h"

namespace phoenix::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kRun[] = "5d2b6e54-0000-4000-8000-000000000001";

class NodeStepsTest : public ::testing::Test {
 protected:
  NodeStepsTest() {
    char name[] = "/tmp/phoenix-node-XXXXXX";
    directory_ = ::mkdtemp(name);
    machine_ = *kit::Machine::Open(directory_);
    host_ = std::make_unique<NodeSim>(machine_);
  }
  ~NodeStepsTest() override { std::filesystem::remove_all(directory_); }

  static NodeWants Wants() {
    NodeWants wants;
    wants.participant = "test";
    wants.packages = {"nfs-kernel-server", "samba"};
    wants.units = {"nfs-server.service", "smbd.service"};
    wants.rules = {{"10.0.0.0/24", "2049", "tcp"}, {"10.0.0.0/24", "137,138", "udp"}};
    wants.firewall_packages = {"ufw"};
    return wants;
  }

  // Everything installed, the units down, ufw active: all of its steps are exact.
  void SeedStopped() {
    ASSERT_TRUE(SeedReadyNode(*machine_).ok());
    for (const char* unit :
         {"nfs-server.service", "smbd.service", "rpcbind.socket", "proc-fs-nfsd.mount", "nfs-mountd.service",
          "nfs-idmapd.service", "nfsdcld.service", "var-lib-nfs-rpc_pipefs.mount"}) {
      ASSERT_TRUE(host_->Stop(unit, nullptr).ok());
    }
    ASSERT_TRUE(host_->Disable("smbd.service", false, nullptr).ok());
  }

  void PutUnit(const std::string& name, const std::function<void(nlohmann::json&)>& change) {
    ASSERT_TRUE(machine_
                    ->Change([&](kit::World& world) -> absl::Status {
                      PHX_ASSIGN_OR_RETURN(auto unit, world.Get("unit", name));
                      change(*unit);
                      return world.Put("unit", name, *unit);
                    })
                    .ok());
  }

  UnitState Unit(const std::string& name) { return (*host_->Units({name})).at(name); }
  std::string Dump() { return *machine_->Dump(); }

  static std::vector<std::string> Ids(const kit::Plan& plan) {
    std::vector<std::string> ids;
    for (const auto& step : plan.steps) ids.push_back(step.id);
    return ids;
  }

  std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  std::unique_ptr<NodeSim> host_;
};

TEST_F(NodeStepsTest, BringsABareNodeUpAndThenHasNothingToDo) {
  ASSERT_TRUE(SeedNode(*machine_).ok());
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(Ids(driver.plan()), ElementsAre("package:nfs-kernel-server", "package:samba", "package:ufw",
                                              "unit:nfs-server.service", "unit:smbd.service"));
  ASSERT_EQ(driver.plan().notes.size(), 1U);
  EXPECT_THAT(driver.plan().notes[0].text, HasSubstr("no firewall is active"));
  const absl::Status applied = driver.Apply();
  ASSERT_TRUE(applied.ok()) << applied.ToString();
  EXPECT_TRUE(Unit("nfs-server.service").active);
  EXPECT_TRUE(Unit("smbd.service").active);
  // Enabled by its package, as Debian does, but held back, and nobody asked for it.
  EXPECT_FALSE(Unit("nmbd.service").active);
  EXPECT_FALSE((*host_->Firewall()).ufw_active);
  ASSERT_TRUE(driver.Commit().ok());
  EXPECT_TRUE(driver.ledger().at("package:samba").created);
  EXPECT_FALSE(driver.ledger().at("unit:smbd.service").created);
  ASSERT_TRUE(driver.Prepare({}, "second").ok());
  EXPECT_THAT(Ids(driver.plan()), IsEmpty());
  EXPECT_THAT(driver.plan().provided_now, ElementsAre("package:nfs-kernel-server", "package:samba",
                                                      "unit:nfs-server.service", "unit:smbd.service"));
}

TEST_F(NodeStepsTest, EverythingTwiceIsHarmless) {
  ASSERT_TRUE(SeedNode(*machine_).ok());
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply(100, /*repeat=*/true).ok());
  const absl::Status undone = driver.Undo(/*repeat=*/true);
  EXPECT_TRUE(undone.ok()) << undone.ToString();
}

TEST_F(NodeStepsTest, UndoOfPackagesLeavesWhatThePlanNamedAndNothingRunning) {
  ASSERT_TRUE(SeedNode(*machine_).ok());
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  const kit::Step samba = driver.plan().steps[1];
  EXPECT_EQ(samba.step_class, kit::StepClass::kLossy);
  EXPECT_EQ(samba.remainder,
            "packages libtalloc2, samba, samba-common, samba-common-bin stay installed with their units "
            "stopped and "
            "disabled");
  ASSERT_TRUE(driver.Apply().ok());
  ASSERT_TRUE(driver.Undo().ok());
  EXPECT_EQ((*host_->Packages({"samba"})).at("samba"), PackageState::kInstalled);
  for (const char* name :
       {"smbd.service", "nmbd.service", "samba-ad-dc.service", "nfs-server.service", "nfs-mountd.service",
        "rpcbind.socket", "rpcbind.service", "proc-fs-nfsd.mount", "ufw.service", "nfs-client.target"}) {
    EXPECT_FALSE(Unit(name).active) << name;
    EXPECT_NE(Unit(name).enablement, "enabled") << name;
  }
  EXPECT_FALSE((*host_->ReadRecord("samba")).has_value());
  // What was there before goes on.
  EXPECT_TRUE(Unit("ssh.service").active);
  // The packages are there now, so the next run has the units left only.
  ASSERT_TRUE(driver.Prepare({}, "second").ok());
  EXPECT_THAT(Ids(driver.plan()), ElementsAre("unit:nfs-server.service", "unit:smbd.service"));
}

TEST_F(NodeStepsTest, FailingAtEachStepThenUndoGivesTheStateBefore) {
  SeedStopped();
  const std::string before = Dump();
  const NodeWants wants = Wants();
  size_t steps = 0;
  for (size_t count = 0; count == 0 || count <= steps; ++count) {
    OnlyNode domain(*host_, wants);
    testing::StepDriver driver(domain);
    ASSERT_TRUE(driver.Prepare({}, kRun).ok());
    steps = driver.plan().steps.size();
    ASSERT_EQ(steps, 4U);
    ASSERT_TRUE(driver.Apply(count, /*repeat=*/true).ok()) << count;
    const absl::Status undone = driver.Undo(/*repeat=*/true);
    ASSERT_TRUE(undone.ok()) << count << ": " << undone.ToString();
    EXPECT_EQ(Dump(), before) << count;
  }
}

struct Fault {
  const char* operation;
  const char* effect;
};

class NodeFaultTest : public NodeStepsTest, public ::testing::WithParamInterface<Fault> {};

TEST_P(NodeFaultTest, AFailedOrLyingOperationIsUndoneCompletely) {
  SeedStopped();
  const std::string before = Dump();
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(machine_->PlanFault(GetParam().operation, GetParam().effect).ok());
  EXPECT_FALSE(driver.Apply().ok());
  const absl::Status undone = driver.Undo(/*repeat=*/true);
  ASSERT_TRUE(undone.ok()) << undone.ToString();
  EXPECT_EQ(Dump(), before);
}

INSTANTIATE_TEST_SUITE_P(All, NodeFaultTest,
                         ::testing::Values(Fault{"node.enable:smbd.service", "fail"},
                                           Fault{"node.enable:smbd.service", "lie"},
                                           Fault{"node.enable:smbd.service", "nothing"},
                                           Fault{"node.start:nfs-server.service", "fail"},
                                           Fault{"node.start:nfs-server.service", "lie"},
                                           Fault{"node.start:nfs-server.service", "nothing"},
                                           Fault{"node.start:nfs-server.service", "half"},
                                           Fault{"node.start:smbd.service", "half"},
                                           Fault{"node.allow", "fail"}, Fault{"node.allow", "nothing"},
                                           Fault{"node.allow", "half"}));

TEST_F(NodeStepsTest, AnInstallationThatFailsHalfWayIsFinishedByUndoWithItsUnitsDown) {
  ASSERT_TRUE(SeedNode(*machine_).ok());
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(machine_->PlanFault("node.install:samba", "half").ok());
  const absl::Status applied = driver.Apply();
  EXPECT_THAT(Message(applied), HasSubstr("samba is not installed"));
  EXPECT_EQ((*host_->Packages({"samba"})).at("samba"), PackageState::kBroken);
  const absl::Status undone = driver.Undo(/*repeat=*/true);
  ASSERT_TRUE(undone.ok()) << undone.ToString();
  EXPECT_EQ((*host_->Packages({"samba"})).at("samba"), PackageState::kInstalled);
  EXPECT_FALSE(Unit("smbd.service").active);
  EXPECT_EQ(Unit("smbd.service").enablement, "disabled");
}

TEST_F(NodeStepsTest, AnInstallationThatDidNothingLeavesNothing) {
  ASSERT_TRUE(SeedNode(*machine_).ok());
  const std::string before = Dump();
  for (const char* effect : {"fail", "nothing"}) {
    NodeWants wants = Wants();
    wants.packages = {"samba"};
    wants.firewall_packages.clear();
    wants.units = {"smbd.service"};
    OnlyNode domain(*host_, wants);
    testing::StepDriver driver(domain);
    ASSERT_TRUE(driver.Prepare({}, kRun).ok());
    ASSERT_TRUE(machine_->PlanFault("node.install:samba", effect).ok());
    EXPECT_FALSE(driver.Apply().ok()) << effect;
    ASSERT_TRUE(driver.Undo(/*repeat=*/true).ok()) << effect;
    EXPECT_EQ(Dump(), before) << effect;
  }
}

// J3: exit codes are hints.
TEST_F(NodeStepsTest, AnInstallationThatSucceededButSaysItFailedCounts) {
  ASSERT_TRUE(SeedNode(*machine_).ok());
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(machine_->PlanFault("node.install:samba", "lie").ok());
  EXPECT_TRUE(driver.Apply().ok());
}

TEST_F(NodeStepsTest, TwoParticipantsOfOneRunMayBringTheSamePackage) {
  ASSERT_TRUE(SeedNode(*machine_).ok());
  NodeWants wants;
  wants.firewall_packages = {"ufw"};
  OnlyNode nfs(*host_, wants), samba(*host_, wants);
  testing::StepDriver nfs_driver(nfs), samba_driver(samba);
  ASSERT_TRUE(nfs_driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(samba_driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(nfs_driver.Apply().ok());
  const absl::Status applied = samba_driver.Apply();
  EXPECT_TRUE(applied.ok()) << applied.ToString();
  EXPECT_TRUE(samba_driver.Undo().ok());
  EXPECT_TRUE(nfs_driver.Undo().ok());
  EXPECT_EQ(Unit("ufw.service").enablement, "disabled");
}

TEST_F(NodeStepsTest, APackageThatSomebodyElseInstalledMeanwhileIsAForeignChange) {
  ASSERT_TRUE(SeedNode(*machine_).ok());
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(host_->BeginInstall("samba", "by hand", nullptr).ok());
  ASSERT_TRUE(host_->ForgetInstall("samba", "by hand", nullptr).ok());
  const absl::Status applied = driver.Apply();
  EXPECT_EQ(applied.code(), absl::StatusCode::kAborted) << applied.ToString();
  ASSERT_TRUE(driver.Undo().ok());
  // Theirs stays as they have it.
  EXPECT_EQ(Unit("smbd.service").enablement, "enabled");
}

TEST_F(NodeStepsTest, UndoStopsWhatTheUnitPulledUpAndNotWhatRanBefore) {
  SeedStopped();
  ASSERT_TRUE(host_->Start("rpcbind.socket", nullptr).ok());
  NodeWants wants;
  wants.units = {"nfs-kernel-server.service"};
  OnlyNode domain(*host_, wants);
  testing::StepDriver driver(domain);
  const std::string before = Dump();
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  EXPECT_TRUE(Unit("proc-fs-nfsd.mount").active);
  ASSERT_TRUE(driver.Undo().ok());
  EXPECT_FALSE(Unit("proc-fs-nfsd.mount").active);
  EXPECT_TRUE(Unit("rpcbind.socket").active);
  EXPECT_EQ(Dump(), before);
}

TEST_F(NodeStepsTest, EnablementForThisBootOnlyComesBackAsSuch) {
  SeedStopped();
  ASSERT_TRUE(host_->Enable("smbd.service", /*runtime=*/true, nullptr).ok());
  const std::string before = Dump();
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  EXPECT_EQ(Unit("smbd.service").enablement, "enabled");
  ASSERT_TRUE(driver.Undo().ok());
  EXPECT_EQ(Dump(), before);
}

TEST_F(NodeStepsTest, AUnitMaskedMeanwhileIsForeignAndStaysMasked) {
  SeedStopped();
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  PutUnit("smbd.service", [](nlohmann::json& unit) { unit["masked"] = true; });
  const absl::Status undone = driver.Undo();
  EXPECT_THAT(Message(undone), HasSubstr("smbd.service was masked by somebody else"));
  EXPECT_TRUE(Unit("smbd.service").masked);
}

// Beside another service's change a rule gets lost, or is looked for while the kernel has none.
TEST_F(NodeStepsTest, RulesAreChangedUnderTheLockOfTheNode) {
  SeedStopped();
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  ASSERT_TRUE(driver.Undo().ok());
  EXPECT_EQ(host_->unlocked_changes(), 0);
  ASSERT_TRUE(host_->AllowRule(Firewall::kUfw, {"10.0.0.0/24", "2049", "tcp"}, "by hand", nullptr).ok());
  EXPECT_EQ(host_->unlocked_changes(), 1) << "the test can tell";
}

// F1: ufw may say that it worked and not have applied the rule.
TEST_F(NodeStepsTest, F1ARuleThatIsWrittenDownButNotInForceIsNoSuccess) {
  SeedStopped();
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(machine_->PlanFault("node.allow", "half").ok());
  EXPECT_THAT(Message(driver.Apply()), HasSubstr("not in force: ufw reported success"));
}

TEST_F(NodeStepsTest, ARuleWrittenDownByUsButNotInForceIsCompletedByDoingItAgain) {
  SeedStopped();
  NodeWants wants;
  wants.rules = {{"10.0.0.0/24", "2049", "tcp"}};
  OnlyNode domain(*host_, wants);
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(machine_->PlanFault("node.allow", "half").ok());
  ASSERT_TRUE(host_->AllowRule(Firewall::kUfw, wants.rules[0], RuleComment(kRun), nullptr).ok());
  ASSERT_TRUE(driver.Apply().ok());
  EXPECT_NE(FindRule((*host_->Firewall()).live, wants.rules[0]), nullptr);
}

TEST_F(NodeStepsTest, ADeletionThatStoppedHalfWayIsCompletedByUndoingItAgain) {
  SeedStopped();
  const std::string before = Dump();
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  ASSERT_TRUE(machine_->PlanFault("node.delete", "half").ok());
  EXPECT_THAT(Message(driver.Undo()), HasSubstr("is still in force"));
  ASSERT_TRUE(driver.Undo().ok());
  EXPECT_EQ(Dump(), before);
}

// ufw makes two rules of the kernel of `ufw allow from NET to any port nfs`, and one is for our packets.
TEST_F(NodeStepsTest, UndoOfOurRuleIsDoneThoughSomebodysRuleOfAnyProtocolLetsTheSamePacketsIn) {
  SeedStopped();
  ASSERT_TRUE(host_->AllowRule(Firewall::kUfw, {"10.0.0.0/24", "2049", "any"}, "by hand", nullptr).ok());
  const std::string before = Dump();
  NodeWants wants;
  wants.rules = {{"10.0.0.0/24", "2049", "tcp"}};
  OnlyNode domain(*host_, wants);
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply(1, /*repeat=*/true).ok());
  const auto undone = driver.Undo();
  EXPECT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Dump(), before);
}

// A rule that the ledger calls ours and that nothing wants any more, in a run that prunes.
class PrunedRuleTest : public NodeStepsTest {
 protected:
  void Prepare(const std::string& comment) {
    SeedStopped();
    ASSERT_TRUE(host_->AllowRule(Firewall::kUfw, rule_, comment, nullptr).ok());
    before_ = Dump();
    NodeWants wants;
    wants.prune_rules = true;
    domain_.emplace(*host_, wants);
    driver_.emplace(*domain_);
    driver_->ledger()[KeyOf(rule_)] = {.key = KeyOf(rule_), .created = true};
    ASSERT_TRUE(driver_->Prepare({}, kRun).ok());
    ASSERT_TRUE(driver_->Apply().ok());
  }
  bool IsThere() { return FindRule((*host_->Firewall()).rules, rule_) != nullptr; }

  const FirewallRule rule_{"10.0.0.0/24", "2049", "tcp"};
  std::string before_;
  std::optional<OnlyNode> domain_;
  std::optional<testing::StepDriver> driver_;
};

TEST_F(PrunedRuleTest, GoesAndUndoBringsItBackWithItsComment) {
  Prepare(RuleComment("former"));
  EXPECT_FALSE(IsThere());
  ASSERT_TRUE(driver_->Undo().ok());
  EXPECT_EQ(Dump(), before_);
}

TEST_F(PrunedRuleTest, StaysWhereSomebodyElseMadeItHisOwn) {
  Prepare("by hand");
  EXPECT_TRUE(IsThere());
}

TEST_F(NodeStepsTest, AnIdenticalRuleIsAdoptedAndKeepsItsComment) {
  SeedStopped();
  const FirewallRule rule{"10.0.0.0/24", "2049", "tcp"};
  ASSERT_TRUE(host_->AllowRule(Firewall::kUfw, rule, "by hand", nullptr).ok());
  NodeWants wants;
  // As a person may write it.
  wants.rules = {{"10.0.0.17/24", "2049", "tcp"}};
  OnlyNode domain(*host_, wants);
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(Ids(driver.plan()), IsEmpty());
  EXPECT_EQ(FindRule((*host_->Firewall()).rules, rule)->comment, "by hand");
}

TEST_F(NodeStepsTest, ARuleThatSomebodyElseChangedSinceStaysAsItIs) {
  SeedStopped();
  NodeWants wants;
  wants.rules = {{"10.0.0.0/24", "2049", "tcp"}};
  OnlyNode domain(*host_, wants);
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  ASSERT_TRUE(host_->AllowRule(Firewall::kUfw, wants.rules[0], "mine now", nullptr).ok());
  EXPECT_THAT(Message(driver.Undo()), HasSubstr("changed by somebody else and stays"));
  EXPECT_EQ(FindRule((*host_->Firewall()).rules, wants.rules[0])->comment, "mine now");
}

TEST_F(NodeStepsTest, ARuleAddedByHandBetweenPrepareAndDoIsAForeignChange) {
  SeedStopped();
  NodeWants wants;
  wants.rules = {{"10.0.0.0/24", "2049", "tcp"}};
  OnlyNode domain(*host_, wants);
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(host_->AllowRule(Firewall::kUfw, wants.rules[0], "by hand", nullptr).ok());
  EXPECT_EQ(driver.Apply().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(FindRule((*host_->Firewall()).rules, wants.rules[0])->comment, "by hand");
}

TEST_F(NodeStepsTest, ARuleOfOursThatNothingDeclaresIsOrphanedAndStays) {
  SeedStopped();
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  domain.wants().rules.pop_back();
  ASSERT_TRUE(driver.Prepare({}, "second").ok());
  EXPECT_THAT(Ids(driver.plan()), IsEmpty());
  ASSERT_EQ(driver.plan().notes.size(), 1U);
  EXPECT_TRUE(driver.plan().notes[0].warning);
  EXPECT_EQ(driver.plan().notes[0].resource, "rule:10.0.0.0/24:137,138/udp");
  EXPECT_THAT(driver.plan().notes[0].text, HasSubstr("orphaned"));
  domain.wants().partial = true;
  ASSERT_TRUE(driver.Prepare({}, "third").ok());
  EXPECT_THAT(driver.plan().notes, IsEmpty());
}

TEST_F(NodeStepsTest, NamesTheCommandsThatAPersonHasToRun) {
  SeedStopped();
  OnlyNode domain(*host_, Wants());
  testing::StepDriver driver(domain);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  kit::StepContext smbd{.run_id = kRun, .captured = *domain.Capture(driver.plan().steps[1], kRun)};
  ASSERT_TRUE(driver.Apply().ok());
  EXPECT_THAT(domain.RemainingCommands(driver.plan().steps[1], smbd),
              ElementsAre("systemctl stop smbd.service", "systemctl disable smbd.service"));
  EXPECT_THAT(
      domain.RemainingCommands(driver.plan().steps[2], {.run_id = kRun}),
      ElementsAre(fmt::format(
          "ufw delete allow proto tcp from 10.0.0.0/24 to any port 2049 comment 'phoenix {}'", kRun)));
}

TEST_F(NodeStepsTest, OwnsNoStepOfTheDomainAroundIt) {
  kit::Step step;
  EXPECT_FALSE(NodeSteps::Owns(step));
  step.payload = R"({"export":"/quickOS/x"})";
  EXPECT_FALSE(NodeSteps::Owns(step));
}

}  // namespace
}  // namespace phoenix::node
