// Plans what a node lacks of what a participant needs. Pure: state and wants in, typed steps out.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "services/node/domain/firewall_rule.h"
#include "services/node/domain/node_state.h"
#include "services/node/domain/node_wants.h"

namespace phoenix::node {

struct PackageStep {
  std::string package;
  std::vector<std::string> brings;    // with what it depends on; stays after undo
  std::vector<std::string> upgrades;  // keeps its new version after undo
  friend bool operator==(const PackageStep&, const PackageStep&) = default;
};

struct UnitStep {
  std::string unit;
  // As it is at planning time; `exists` is false where a package of this plan brings it.
  UnitState before;
  // Packages and units of this plan that must be there first.
  std::vector<std::string> after_packages;
  std::vector<std::string> after_units;
  friend bool operator==(const UnitStep&, const UnitStep&) = default;
};

struct RuleStep {
  FirewallRule rule;  // normalized
  // The comment of a rule of ours that goes; empty for one that comes, with the comment of its run.
  std::string goes = {};
  Firewall firewall = Firewall::kUfw;  // whose rule it is
  friend bool operator==(const RuleStep&, const RuleStep&) = default;
};

using NodeStep = std::variant<PackageStep, UnitStep, RuleStep>;

struct NodeNote {
  bool warning = false;
  std::string resource;
  std::string text;
  friend bool operator==(const NodeNote&, const NodeNote&) = default;
};

// What was read for a plan.
struct NodeState {
  std::map<std::string, PackageState> packages;
  std::map<std::string, UnitState> units;
  FirewallState firewall;
  // Of those wanted packages that are not there.
  std::map<std::string, InstallForecast> forecasts;
};

struct NodePlanning {
  std::vector<NodeStep> steps;
  std::vector<NodeNote> notes;
  std::vector<std::string> provided_now;
  std::string fingerprint_text;
};

// The packages that MakeNodePlan() would install, to be forecast first.
std::vector<std::string> MissingPackages(const NodeWants& wants, const NodeState& state);

// `our_rules`: ledger keys of rules that we created. Fails with every problem in its text: a masked unit,
// packages that are half installed, a rule that contradicts ours, two active firewalls. Bad clients and ports
// are INVALID_ARGUMENT.
absl::StatusOr<NodePlanning> MakeNodePlan(const NodeWants& wants, const NodeState& state,
                                          const std::set<std::string>& our_rules);

}  // namespace phoenix::node
