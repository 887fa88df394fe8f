// What every NodeHost must hold, the simulated one and the real one. A suite is instantiated with an
// environment:
//
//   struct Environment {
//     NodeHost& host();
//     std::string unit();         // inactive and disabled, can be enabled; "ssh.service" it is not
//     std::string pulled_unit();  // started along with it
//     std::string alias();        // another name of `unit`
//     void Mask(bool masked);     // `unit`
//     bool ufw_active();          // without it the firewall's tests are skipped
//     std::string package();      // not installed; its unit would be started by a plain installation
//     std::string package_unit();
//     void RemovePackage();       // as if it had never been there
//   };
//
// Each test leaves the node as it was.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "services/node/host/node_host.h"

namespace phoenix::node {

template <class Environment>
class NodeHostContract : public ::testing::Test {
 protected:
  UnitState Unit(const std::string& name) {
    const auto units = host().Units({name});
    EXPECT_TRUE(units.ok()) << units.status();
    return units.ok() ? units->at(name) : UnitState();
  }
  PackageState Package(const std::string& name) {
    const auto packages = host().Packages({name});
    EXPECT_TRUE(packages.ok()) << packages.status();
    return packages.ok() ? packages->at(name) : PackageState::kAbsent;
  }
  FirewallState Firewall() {
    const auto firewall = host().Firewall();
    EXPECT_TRUE(firewall.ok()) << firewall.status();
    return firewall.value_or(FirewallState());
  }
  const SeenRule* Written(const FirewallState& state, const FirewallRule& rule) {
    return FindRule(state.rules, rule);
  }

  NodeHost& host() { return environment_.host(); }

  Environment environment_;
  int observed_ = 0;
  const ChildObserver observer_ = [this](const ChildIdentity&) {
    ++observed_;
    return absl::OkStatus();
  };
};

TYPED_TEST_SUITE_P(NodeHostContract);

TYPED_TEST_P(NodeHostContract, AskedForNothingItAnswersNothing) {
  EXPECT_TRUE(this->host().Packages({})->empty());
  EXPECT_TRUE(this->host().Units({})->empty());
  EXPECT_TRUE(this->host().UnitsOf({})->empty());
}

TYPED_TEST_P(NodeHostContract, WhatDoesNotExistIsAbsent) {
  EXPECT_EQ(this->Package("phoenix-no-such-package"), PackageState::kAbsent);
  EXPECT_FALSE(this->Unit("phoenix-no-such-unit.service").exists);
  EXPECT_EQ(this->host().Forecast("phoenix-no-such-package").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(this->host().UnitsOf({"phoenix-no-such-package"})->empty());
  EXPECT_EQ(*this->host().AwaitInstall("phoenix-no-such-package", "no-run", std::chrono::seconds(1)),
            InstallProgress::kNone);
  EXPECT_TRUE(this->host().ForgetInstall("phoenix-no-such-package", "no-run", nullptr).ok());
  EXPECT_FALSE(this->host().Start("phoenix-no-such-unit.service", nullptr).ok());
}

TYPED_TEST_P(NodeHostContract, AUnitIsStartedAndStoppedWithWhatItPulls) {
  const std::string unit = this->environment_.unit(), pulled = this->environment_.pulled_unit();
  EXPECT_TRUE(this->Unit(unit).exists);
  EXPECT_FALSE(this->Unit(unit).active);
  EXPECT_THAT(*this->host().PulledBy(unit), ::testing::Contains(pulled));
  ASSERT_TRUE(this->host().Start(unit, this->observer_).ok());
  EXPECT_TRUE(this->Unit(unit).active);
  EXPECT_TRUE(this->Unit(pulled).active);
  ASSERT_TRUE(this->host().Start(unit, this->observer_).ok());
  ASSERT_TRUE(this->host().Stop(unit, this->observer_).ok());
  EXPECT_FALSE(this->Unit(unit).active);
  EXPECT_TRUE(this->Unit(pulled).active);
  ASSERT_TRUE(this->host().Stop(pulled, this->observer_).ok());
  ASSERT_TRUE(this->host().Stop(pulled, this->observer_).ok());
  EXPECT_FALSE(this->Unit(pulled).active);
  EXPECT_EQ(this->observed_, 5);
}

TYPED_TEST_P(NodeHostContract, AUnitIsEnabledForGoodOrForThisBoot) {
  const std::string unit = this->environment_.unit();
  EXPECT_EQ(this->Unit(unit).enablement, "disabled");
  EXPECT_FALSE(this->Unit(unit).Enabled());
  ASSERT_TRUE(this->host().Enable(unit, false, this->observer_).ok());
  EXPECT_EQ(this->Unit(unit).enablement, "enabled");
  EXPECT_TRUE(this->Unit(unit).Enabled());
  ASSERT_TRUE(this->host().Enable(unit, true, this->observer_).ok());
  EXPECT_EQ(this->Unit(unit).enablement, "enabled");
  ASSERT_TRUE(this->host().Disable(unit, false, this->observer_).ok());
  EXPECT_EQ(this->Unit(unit).enablement, "enabled-runtime");
  EXPECT_FALSE(this->Unit(unit).Enabled());
  for (int times = 0; times < 2; ++times) {
    ASSERT_TRUE(this->host().Disable(unit, true, this->observer_).ok());
    ASSERT_TRUE(this->host().Disable(unit, false, this->observer_).ok());
  }
  EXPECT_EQ(this->Unit(unit).enablement, "disabled");
  EXPECT_FALSE(this->Unit(unit).active);
}

TYPED_TEST_P(NodeHostContract, AnAliasAnswersWithTheUnitItself) {
  const UnitState unit = this->Unit(this->environment_.alias());
  EXPECT_TRUE(unit.exists);
  EXPECT_EQ(unit.name, this->environment_.unit());
}

TYPED_TEST_P(NodeHostContract, AMaskedUnitSaysSoAndDoesNotStart) {
  const std::string unit = this->environment_.unit();
  this->environment_.Mask(true);
  EXPECT_TRUE(this->Unit(unit).exists);
  EXPECT_TRUE(this->Unit(unit).masked);
  EXPECT_FALSE(this->host().Start(unit, this->observer_).ok());
  this->environment_.Mask(false);
  EXPECT_FALSE(this->Unit(unit).masked);
}

TYPED_TEST_P(NodeHostContract, ARecordIsKeptUntilItIsRemoved) {
  NodeHost& host = this->host();
  EXPECT_FALSE(host.ReadRecord("phoenix-contract")->has_value());
  const InstallRecord record{"run 1", {"a", "b"}};
  ASSERT_TRUE(host.WriteRecord("phoenix-contract", record).ok());
  EXPECT_EQ(**host.ReadRecord("phoenix-contract"), record);
  ASSERT_TRUE(host.WriteRecord("phoenix-contract", {"run 2", {}}).ok());
  EXPECT_EQ((*host.ReadRecord("phoenix-contract"))->run_id, "run 2");
  ASSERT_TRUE(host.RemoveRecord("phoenix-contract").ok());
  ASSERT_TRUE(host.RemoveRecord("phoenix-contract").ok());
  EXPECT_FALSE(host.ReadRecord("phoenix-contract")->has_value());
}

TYPED_TEST_P(NodeHostContract, AnInstallationHoldsStartsBackAndCanBeFoundAgain) {
  const std::string package = this->environment_.package(), unit = this->environment_.package_unit();
  NodeHost& host = this->host();
  ASSERT_EQ(this->Package(package), PackageState::kAbsent);
  ASSERT_FALSE(this->Unit(unit).exists);
  const auto forecast = host.Forecast(package);
  ASSERT_TRUE(forecast.ok()) << forecast.status();
  EXPECT_THAT(forecast->brings, ::testing::Contains(package));
  EXPECT_THAT(forecast->removes, ::testing::IsEmpty());

  ASSERT_TRUE(host.BeginInstall(package, "contract-run", this->observer_).ok());
  EXPECT_GE(this->observed_, 1);
  // Under way, or ended already: either way there is nothing to begin.
  ASSERT_TRUE(host.BeginInstall(package, "contract-run", this->observer_).ok());
  EXPECT_EQ(*host.AwaitInstall(package, "contract-run", std::chrono::minutes(15)),
            InstallProgress::kSucceeded)
      << host.InstallLog(package, "contract-run");
  EXPECT_EQ(this->Package(package), PackageState::kInstalled);
  EXPECT_EQ(this->Unit(unit).enablement, "enabled");
  EXPECT_FALSE(this->Unit(unit).active) << "the start was not held back";
  EXPECT_THAT(*host.UnitsOf({package}), ::testing::Contains(unit));
  const auto units = host.Units(*host.UnitsOf(forecast->brings));
  ASSERT_TRUE(units.ok()) << units.status();
  for (const auto& [name, state] : *units) {
    EXPECT_FALSE(state.active) << name;
  }
  ASSERT_TRUE(host.ForgetInstall(package, "contract-run", this->observer_).ok());
  ASSERT_TRUE(host.ForgetInstall(package, "contract-run", this->observer_).ok());
  EXPECT_EQ(*host.AwaitInstall(package, "contract-run", std::chrono::seconds(1)), InstallProgress::kNone);
  this->environment_.RemovePackage();
  EXPECT_EQ(this->Package(package), PackageState::kAbsent);
}

TYPED_TEST_P(NodeHostContract, ARuleIsWrittenDownAndInForceUntilItIsDeleted) {
  if (!this->environment_.ufw_active()) GTEST_SKIP() << "ufw is not active here";
  NodeHost& host = this->host();
  const FirewallState before = this->Firewall();
  EXPECT_TRUE(before.ufw_installed);
  EXPECT_TRUE(before.ufw_active);
  EXPECT_TRUE(before.ufw_enabled);
  std::vector<FirewallRule> rules = {{"192.0.2.0/24", "2049", "tcp"},
                                     {"192.0.2.7", "445", "tcp"},
                                     {"192.0.2.0/24", "137,138", "udp"},
                                     {"192.0.2.0/24", "6000:6007", "tcp"},
                                     {"0.0.0.0/0", "2050", "tcp"}};
  if (before.ufw_ipv6) rules.push_back({"2001:db8::/64", "2049", "tcp"});
  for (const FirewallRule& rule : rules) {
    EXPECT_EQ(*Normalized(rule), rule) << KeyOf(rule);
    ASSERT_TRUE(host.AllowRule(Firewall::kUfw, rule, "phoenix contract", this->observer_).ok())
        << KeyOf(rule);
    const FirewallState state = this->Firewall();
    const SeenRule* written = FindRule(state.rules, rule);
    ASSERT_NE(written, nullptr) << KeyOf(rule);
    EXPECT_EQ(written->action, "allow");
    EXPECT_EQ(written->comment, "phoenix contract");
    EXPECT_NE(FindRule(state.live, rule), nullptr) << KeyOf(rule);
  }
  for (const FirewallRule& rule : rules) {
    // Another comment is another person's rule.
    ASSERT_TRUE(host.DeleteRule(Firewall::kUfw, rule, "phoenix another", this->observer_).ok());
    EXPECT_NE(FindRule(this->Firewall().rules, rule), nullptr) << KeyOf(rule);
    ASSERT_TRUE(host.DeleteRule(Firewall::kUfw, rule, "phoenix contract", this->observer_).ok());
    const FirewallState state = this->Firewall();
    EXPECT_EQ(FindRule(state.rules, rule), nullptr) << KeyOf(rule);
    EXPECT_EQ(FindRule(state.live, rule), nullptr) << KeyOf(rule);
  }
  const FirewallState after = this->Firewall();
  EXPECT_EQ(after.rules, before.rules);
  EXPECT_EQ(after.live, before.live);
}

// Why the planner refuses contradicting rules and never touches identical ones.
TYPED_TEST_P(NodeHostContract, AllowingOverwritesARuleForTheSamePackets) {
  if (!this->environment_.ufw_active()) GTEST_SKIP() << "ufw is not active here";
  NodeHost& host = this->host();
  const FirewallState before = this->Firewall();
  const FirewallRule rule{"192.0.2.0/24", "2049", "tcp"};
  ASSERT_TRUE(host.AllowRule(Firewall::kUfw, rule, "by hand", this->observer_).ok());
  ASSERT_TRUE(host.AllowRule(Firewall::kUfw, rule, "phoenix contract", this->observer_).ok());
  const FirewallState state = this->Firewall();
  EXPECT_EQ(state.rules.size(), before.rules.size() + 1);
  EXPECT_EQ(FindRule(state.rules, rule)->comment, "phoenix contract");
  ASSERT_TRUE(host.DeleteRule(Firewall::kUfw, rule, "phoenix contract", this->observer_).ok());
  EXPECT_EQ(this->Firewall().rules, before.rules);
}

REGISTER_TYPED_TEST_SUITE_P(NodeHostContract, AskedForNothingItAnswersNothing, WhatDoesNotExistIsAbsent,
                            AUnitIsStartedAndStoppedWithWhatItPulls, AUnitIsEnabledForGoodOrForThisBoot,
                            AnAliasAnswersWithTheUnitItself, AMaskedUnitSaysSoAndDoesNotStart,
                            ARecordIsKeptUntilItIsRemoved, AnInstallationHoldsStartsBackAndCanBeFoundAgain,
                            ARuleIsWrittenDownAndInForceUntilItIsDeleted,
                            AllowingOverwritesARuleForTheSamePackets);

}  // namespace phoenix::node
