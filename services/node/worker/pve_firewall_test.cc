// Rules in Proxmox VE's firewall, on the simulated node, and on the real host over two APIs that keep their
// rules as PVE/API2/Firewall/Rules.pm does: a new one comes first and is off unless told otherwise, the
// digest is one of all rules, creating looks at none and deleting does. One is a fake that can let others
// come in between, the other the lab's stand-in for pvesh, which keeps them in host.fw.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/digest/digest.h"
#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/node/host/node_cli.h"
#include "services/node/host/node_sim.h"
#include "services/node/worker/only_node.h"
#include "tests/support/lab_setting.h"
#include "tests/support/step_driver.h"

namespace phoenix::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

constexpr char kRun[] = "5d2b6e54-0000-4000-8000-000000000001";
constexpr char kClusterFw[] = "/etc/pve/firewall/cluster.fw";
const FirewallRule kNfs{"10.0.0.0/24", "2049", "tcp"};

class Api final : public CommandRunner {
 public:
  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& observer) override {
    if (observer) PHX_RETURN_IF_ERROR(observer(ChildIdentity{}));
    CommandResult result;
    if (command.program == "/usr/bin/dpkg-query") {
      result.out = "pve-firewall installed\nufw " + ufw + "\n";
      return result;
    }
    if (command.program == "/usr/sbin/ufw") {
      result.out = "Status: inactive\n";
      return result;
    }
    EXPECT_EQ(command.program, "/usr/bin/pvesh");
    const std::string& verb = command.args.at(0);
    if (verb != "get" && before_change) std::exchange(before_change, nullptr)(*this);
    const std::string& path = command.args.at(1);
    EXPECT_EQ(path.find("/nodes/pve1/firewall/rules"), 0u) << path;
    Json given;
    for (size_t i = 2; i + 1 < command.args.size(); i += 2)
      given[command.args[i].substr(2)] = command.args[i + 1];
    if (verb == "get") {
      result.out = List().dump();
    } else if (verb == "create") {
      if (!given.contains("enable")) given["enable"] = 0;
      rules.insert(rules.begin(), given);
    } else {
      EXPECT_EQ(verb, "delete");
      const size_t position = std::stoul(path.substr(path.rfind('/') + 1));
      if (given.value("digest", "") != Digest() || position >= rules.size()) {
        ++refused;
        result.exit_code = 255;
        result.err = "detected modified configuration - file changed by other user? Try again.\n";
        return result;
      }
      rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(position));
    }
    return result;
  }

  std::vector<Json> rules;
  std::string ufw = "not-installed";
  int refused = 0;
  // Once, right before the next change: somebody else is faster.
  std::function<void(Api&)> before_change;

 private:
  std::string Digest() const { return Sha256Hex(Json(rules).dump()).substr(0, 40); }
  Json List() const {
    Json list = Json::array();
    for (const Json& rule : rules) {
      list.push_back(rule);
      list.back()["pos"] = list.size() - 1;
      list.back()["digest"] = Digest();
    }
    return list;
  }
};

// pvesh is the lab's stand-in, in a folder that it takes for the whole machine.
class StandinApi final : public CommandRunner {
 public:
  explicit StandinApi(std::string root) : root_(std::move(root)), runner_(testing::Launcher()) {
    for (const char* folder : {"/etc/pve/priv/lock", "/etc/pve/nodes/pve1"})
      std::filesystem::create_directories(root_ + folder);
  }
  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& observer) override {
    CommandResult installed;
    installed.out = "pve-firewall installed\nufw " + ufw + "\n";
    if (command.program == "/usr/bin/dpkg-query") return installed;
    installed.out = "Status: inactive\n";
    if (command.program == "/usr/sbin/ufw") return installed;
    EXPECT_EQ(command.program, "/usr/bin/pvesh");
    Command instead = command;
    instead.program = testing::LabSetting("PHOENIX_STANDIN", "tests/lab/standin") + "/pvesh";
    for (const std::string& variable :
         {"STANDIN_ROOT=" + root_, std::string("STANDIN_NODE=pve1"), std::string("STANDIN_LOCK_PAUSE=0")})
      instead.environment.push_back(variable);
    return runner_.Run(instead, observer);
  }

  std::string ufw = "not-installed";

 private:
  const std::string root_;
  PosixCommandRunner runner_;
};

enum class Where { kSim, kFake, kStandin };

class PveFirewallTest : public ::testing::TestWithParam<Where> {
 protected:
  PveFirewallTest()
      : root_(MakeRoot()), machine_(*kit::Machine::Open(root_ + "/sim")), files_(root_), standin_(root_) {
    if (GetParam() != Where::kSim) {
      CommandRunner* runner = &api_;
      if (GetParam() == Where::kStandin) runner = &standin_;
      host_ = std::make_unique<NodeCli>(*runner, files_);
      Put("/proc/sys/kernel/hostname", "pve1.example.org\n");
    } else {
      host_ = std::make_unique<NodeSim>(machine_);
      EXPECT_TRUE(machine_
                      ->Change([](kit::World& world) {
                        return world.Put("package", "pve-firewall", {{"state", "installed"}});
                      })
                      .ok());
    }
    Put(kClusterFw, "[OPTIONS]\nenable: 1\n");
    ByHand({"192.0.2.0/24", "22", "tcp"}, "ssh");
  }
  ~PveFirewallTest() override { std::filesystem::remove_all(root_); }

  static std::string MakeRoot() {
    char name[] = "/tmp/phoenix-pve-firewall-XXXXXX";
    return ::mkdtemp(name);
  }
  void Put(const std::string& path, const std::string& text) {
    if (GetParam() != Where::kSim) {
      std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
      std::ofstream(root_ + path) << text;
      return;
    }
    EXPECT_TRUE(
        machine_
            ->Change([&](kit::World& world) { return world.WriteFile(path, {false, {text, 0, 0, 0640}}); })
            .ok());
  }
  void ByHand(const FirewallRule& rule, const std::string& comment) {
    ASSERT_TRUE(host_->AllowRule(Firewall::kPve, rule, comment, nullptr).ok());
  }
  // "COMMENT CLIENT:PORT", in order.
  std::vector<std::string> Rules() {
    std::vector<std::string> texts;
    const auto firewall = host_->Firewall();
    EXPECT_TRUE(firewall.ok()) << firewall.status();
    for (const SeenRule& rule : firewall->rules)
      texts.push_back(fmt::format("{} {} {}:{}", rule.action, rule.comment, rule.client, rule.port));
    return texts;
  }
  absl::Status Prepare(const NodeWants& wants) {
    domain_ = std::make_unique<OnlyNode>(*host_, wants);
    auto ledger = driver_ ? driver_->ledger() : kit::Ledger();
    driver_ = std::make_unique<testing::StepDriver>(*domain_);
    driver_->ledger() = std::move(ledger);
    return driver_->Prepare({}, kRun);
  }
  static NodeWants Wants(std::vector<FirewallRule> rules = {kNfs}) {
    NodeWants wants;
    wants.participant = "nfs";
    wants.rules = std::move(rules);
    return wants;
  }

  const std::string root_;
  std::shared_ptr<kit::Machine> machine_;
  PosixFiles files_;
  Api api_;
  StandinApi standin_;
  std::unique_ptr<NodeHost> host_;
  std::unique_ptr<OnlyNode> domain_;
  std::unique_ptr<testing::StepDriver> driver_;
};

INSTANTIATE_TEST_SUITE_P(Hosts, PveFirewallTest,
                         ::testing::Values(Where::kSim, Where::kFake, Where::kStandin), [](const auto& info) {
                           return info.param == Where::kSim    ? "Sim"
                                  : info.param == Where::kFake ? "Cli"
                                                               : "Standin";
                         });

TEST_P(PveFirewallTest, ARuleComesFirstWithTheRunsCommentAndGoesWithUndo) {
  const auto before = Rules();
  EXPECT_THAT(before, ElementsAre("allow ssh 192.0.2.0/24:22"));
  ASSERT_TRUE(Prepare(Wants({kNfs, {"0.0.0.0/0", "445", "tcp"}, {"fd00::/64", "137,138", "udp"}})).ok());
  ASSERT_EQ(driver_->plan().steps.size(), 3u);
  EXPECT_THAT(driver_->plan().steps[0].commands, ElementsAre(HasSubstr("pvesh create")));
  const auto applied = driver_->Apply(3, /*repeat=*/true);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_THAT(Rules(),
              ::testing::UnorderedElementsAre("allow ssh 192.0.2.0/24:22",
                                              "allow phoenix " + std::string(kRun) + " 10.0.0.0/24:2049",
                                              "allow phoenix " + std::string(kRun) + " 0.0.0.0/0:445",
                                              "allow phoenix " + std::string(kRun) + " fd00::/64:137,138"));
  EXPECT_EQ(Rules().back(), before.back());
  ASSERT_TRUE(driver_->Undo(/*repeat=*/true).ok());
  EXPECT_EQ(Rules(), before);
}

TEST_P(PveFirewallTest, ASecondPlanIsEmptyAndARuleBySomebodyElseIsEnough) {
  ByHand(kNfs, "by hand");
  ASSERT_TRUE(Prepare(Wants()).ok());
  EXPECT_THAT(driver_->plan().steps, IsEmpty());
  const FirewallRule smb{"10.0.0.0/24", "445", "tcp"};
  ASSERT_TRUE(Prepare(Wants({kNfs, smb})).ok());
  ASSERT_TRUE(driver_->Apply().ok());
  ASSERT_TRUE(driver_->Commit().ok());
  ASSERT_TRUE(Prepare(Wants({kNfs, smb})).ok());
  EXPECT_THAT(driver_->plan().steps, IsEmpty());
}

TEST_P(PveFirewallTest, APrunedRuleComesBackWithItsComment) {
  ByHand(kNfs, RuleComment("former"));
  const auto before = Rules();
  NodeWants wants = Wants({});
  wants.prune_rules = true;
  ASSERT_TRUE(Prepare(wants).ok());
  driver_->ledger()[KeyOf(kNfs)] = {.key = KeyOf(kNfs), .created = true};
  ASSERT_TRUE(driver_->Prepare({}, kRun).ok());
  ASSERT_EQ(driver_->plan().steps.size(), 1u);
  ASSERT_TRUE(driver_->Apply().ok());
  EXPECT_THAT(Rules(), ElementsAre("allow ssh 192.0.2.0/24:22"));
  ASSERT_TRUE(driver_->Undo().ok());
  EXPECT_EQ(Rules(), before);
}

TEST_P(PveFirewallTest, SwitchedOffMeanwhileItIsNotTouched) {
  ASSERT_TRUE(Prepare(Wants()).ok());
  Put(kClusterFw, "[OPTIONS]\nenable: 0\n");
  const auto applied = driver_->Apply();
  EXPECT_TRUE(absl::IsAborted(applied)) << applied;
  EXPECT_THAT(std::string(applied.message()), HasSubstr("pve-firewall was switched off"));
}

// Nothing is in force then, but a rule that is left would be as soon as it is switched on again.
TEST_P(PveFirewallTest, SwitchedOffMeanwhileTheRuleGoesAllTheSame) {
  const auto before = Rules();
  ASSERT_TRUE(Prepare(Wants()).ok());
  ASSERT_TRUE(driver_->Apply().ok());
  Put(kClusterFw, "[OPTIONS]\nenable: 0\n");
  const auto undone = driver_->Undo();
  EXPECT_TRUE(undone.ok()) << undone;
  Put(kClusterFw, "[OPTIONS]\nenable: 1\n");
  EXPECT_EQ(Rules(), before);
}

// They are written down, and let nobody in.
TEST_P(PveFirewallTest, RulesOfAnInactiveUfwAreNotThoseOfTheNode) {
  if (GetParam() == Where::kSim) {
    ASSERT_TRUE(machine_
                    ->Change([](kit::World& world) -> absl::Status {
                      PHX_RETURN_IF_ERROR(world.Put("package", "ufw", {{"state", "installed"}}));
                      PHX_RETURN_IF_ERROR(world.Put("ufw", "state", {{"active", false}, {"enabled", false}}));
                      return world.Put("ufw.rule", KeyOf(kNfs),
                                       {{"action", "allow"},
                                        {"client", kNfs.client},
                                        {"port", kNfs.port},
                                        {"protocol", kNfs.protocol},
                                        {"comment", ""},
                                        {"order", 1}});
                    })
                    .ok());
  } else {
    api_.ufw = standin_.ufw = "installed";
    Put("/etc/default/ufw", "IPV6=no\n");
    Put("/etc/ufw/user.rules",
        "*filter\n### RULES ###\n\n### tuple ### allow tcp 2049 0.0.0.0/0 any 10.0.0.0/24 in\n"
        "-A ufw-user-input -p tcp --dport 2049 -s 10.0.0.0/24 -j ACCEPT\n\n### END RULES ###\nCOMMIT\n");
  }
  EXPECT_THAT(Rules(), ElementsAre("allow ssh 192.0.2.0/24:22"));
  ASSERT_TRUE(Prepare(Wants()).ok());
  ASSERT_EQ(driver_->plan().steps.size(), 1u);
  EXPECT_THAT(driver_->plan().steps[0].commands, ElementsAre(HasSubstr("pvesh create")));
}

TEST_P(PveFirewallTest, ARuleThatSomebodyMadeHisOwnStays) {
  ASSERT_TRUE(Prepare(Wants()).ok());
  ASSERT_TRUE(driver_->Apply().ok());
  ASSERT_TRUE(host_->DeleteRule(Firewall::kPve, kNfs, RuleComment(kRun), nullptr).ok());
  ByHand(kNfs, "mine now");
  EXPECT_TRUE(absl::IsFailedPrecondition(driver_->Undo()));
  EXPECT_THAT(Rules(), ElementsAre("allow mine now 10.0.0.0/24:2049", "allow ssh 192.0.2.0/24:22"));
}

// Rules are deleted by their place: the digest keeps us from deleting the one that has moved there.
TEST(PveFirewallApi, ARuleThatSomebodyPutInFrontMeanwhileIsNotDeletedInsteadOfOurs) {
  const std::string root = ::testing::TempDir() + "pve-firewall-digest";
  std::filesystem::create_directories(root + "/proc/sys/kernel");
  std::filesystem::create_directories(root + "/etc/pve/firewall");
  std::ofstream(root + "/proc/sys/kernel/hostname") << "pve1\n";
  std::ofstream(root + "/etc/pve/firewall/cluster.fw") << "[OPTIONS]\nenable: 1\n";
  Api api;
  PosixFiles files(root);
  NodeCli host(api, files);
  ASSERT_TRUE(host.AllowRule(Firewall::kPve, kNfs, "phoenix run", nullptr).ok());
  api.before_change = [](Api& other) {
    other.rules.insert(other.rules.begin(), Json({{"type", "in"}, {"action", "DROP"}, {"enable", 1}}));
  };
  const absl::Status deleted = host.DeleteRule(Firewall::kPve, kNfs, "phoenix run", nullptr);
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_EQ(api.refused, 1);
  ASSERT_EQ(api.rules.size(), 1u);
  EXPECT_EQ(api.rules[0]["action"], "DROP");
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace phoenix::node
