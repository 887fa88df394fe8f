// A node's packages, units and firewall behind an interface. Two hosts: NodeCli (the machine) and NodeSim (a
// simulated one). Both pass tests/contract/node_host_contract.h.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "services/node/domain/firewall_rule.h"
#include "services/node/domain/node_state.h"

namespace phoenix::node {

// Held while rules are read, changed and looked at again; given back when it goes.
class FirewallLock {
 public:
  virtual ~FirewallLock() = default;
};

// Answers of mutating calls are hints: ask the state. Thread-safe.
class NodeHost {
 public:
  virtual ~NodeHost() = default;

  // --- packages
  virtual absl::StatusOr<std::map<std::string, PackageState>> Packages(
      const std::vector<std::string>& names) = 0;
  // FAILED_PRECONDITION where the package cannot be had or the package system is not in order.
  virtual absl::StatusOr<InstallForecast> Forecast(const std::string& package) = 0;
  // Installs in the background, by a unit named after run and package, with service starts held back; returns
  // once that has begun. OK and nothing else where it is under way already. Never killed.
  virtual absl::Status BeginInstall(const std::string& package, const std::string& run_id,
                                    const ChildObserver& observer) = 0;
  // Waits while the installation runs, at most `limit`: kRunning when it still does then.
  virtual absl::StatusOr<InstallProgress> AwaitInstall(const std::string& package, const std::string& run_id,
                                                       std::chrono::seconds limit) = 0;
  // Takes the ended unit away. OK when there is none.
  virtual absl::Status ForgetInstall(const std::string& package, const std::string& run_id,
                                     const ChildObserver& observer) = 0;
  // The last lines that the installation said, for errors; "" where nothing is known.
  virtual std::string InstallLog(const std::string& package, const std::string& run_id) = 0;
  virtual absl::StatusOr<std::optional<InstallRecord>> ReadRecord(const std::string& package) = 0;
  virtual absl::Status WriteRecord(const std::string& package, const InstallRecord& record) = 0;
  virtual absl::Status RemoveRecord(const std::string& package) = 0;
  // Names of the units (no templates) that the installed ones of the packages ship, sorted.
  virtual absl::StatusOr<std::vector<std::string>> UnitsOf(const std::vector<std::string>& packages) = 0;

  // --- units
  virtual absl::StatusOr<std::map<std::string, UnitState>> Units(const std::vector<std::string>& names) = 0;
  // Units, targets left out, that starting `unit` starts with it, all levels down, sorted.
  virtual absl::StatusOr<std::vector<std::string>> PulledBy(const std::string& unit) = 0;
  // For good, or, with `runtime`, until the next boot. The two are apart: disabling one leaves the other.
  virtual absl::Status Enable(const std::string& unit, bool runtime, const ChildObserver& observer) = 0;
  virtual absl::Status Disable(const std::string& unit, bool runtime, const ChildObserver& observer) = 0;
  virtual absl::Status Start(const std::string& unit, const ChildObserver& observer) = 0;
  virtual absl::Status Stop(const std::string& unit, const ChildObserver& observer) = 0;

  // --- firewall
  // Waits until no other program of Phoenix on this node holds it. Each of the node's services changes rules,
  // and ufw reads all of them, writes them whole and loads them anew: one beside the other loses rules, or
  // sees none.
  virtual absl::StatusOr<std::unique_ptr<FirewallLock>> LockFirewall() = 0;
  // With the rules of `of`, whoever is in charge; of kNone with those of the one in charge.
  virtual absl::StatusOr<FirewallState> Firewall(node::Firewall of) = 0;
  absl::StatusOr<FirewallState> Firewall() { return Firewall(node::Firewall::kNone); }
  // Must not be called while an identical rule is there: ufw would give it our comment, Proxmox VE would have
  // two. ufw puts the rule last, and in force at once; Proxmox VE puts it first, and has it in force within
  // ten seconds.
  virtual absl::Status AllowRule(node::Firewall firewall, const FirewallRule& rule,
                                 const std::string& comment, const ChildObserver& observer) = 0;
  // Deletes the rule only where it carries this very comment.
  virtual absl::Status DeleteRule(node::Firewall firewall, const FirewallRule& rule,
                                  const std::string& comment, const ChildObserver& observer) = 0;
};

}  // namespace phoenix::node
