#include "services/node/domain/node_planner.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::node {
namespace {

std::string Join(const std::vector<std::string>& items, std::string_view between) {
  return fmt::format("{}", fmt::join(items, between));
}

PackageState StateOf(const NodeState& state, const std::string& package) {
  const auto found = state.packages.find(package);
  return found == state.packages.end() ? PackageState::kAbsent : found->second;
}

// The parts of one planning, in the order of their keys' dependencies.
class Planning {
 public:
  Planning(const NodeWants& wants, const NodeState& state) : wants_(wants), state_(state) {}

  void PlanPackages() {
    for (const std::string& package : wants_.packages) {
      switch (StateOf(state_, package)) {
        case PackageState::kInstalled:
          plan_.provided_now.push_back("package:" + package);
          break;
        case PackageState::kBroken:
          problems_.push_back(fmt::format(
              "package {} is half installed: run \"dpkg --configure -a\", then plan again", package));
          break;
        case PackageState::kAbsent:
          break;
      }
      Say("package {} {}", package,
          StateOf(state_, package) == PackageState::kInstalled ? "installed" : "absent");
    }
    for (const std::string& package : MissingPackages(wants_, state_)) {
      const InstallForecast& forecast = state_.forecasts.at(package);
      if (!forecast.removes.empty()) {
        problems_.push_back(fmt::format("installing {} would remove {}: solve this by hand first", package,
                                        Join(forecast.removes, ", ")));
      }
      // Its programs are covered up while we install, and dpkg could not replace them.
      if (std::count(forecast.upgrades.begin(), forecast.upgrades.end(), "init-system-helpers") > 0) {
        problems_.push_back(
            fmt::format("installing {} would upgrade init-system-helpers: run \"apt-get install "
                        "init-system-helpers\" first",
                        package));
      }
      plan_.steps.emplace_back(PackageStep{package, forecast.brings, forecast.upgrades});
    }
  }

  void PlanUnits() {
    std::vector<std::string> packages;
    for (const std::string& package : wants_.packages) {
      if (StateOf(state_, package) == PackageState::kAbsent) packages.push_back(package);
    }
    std::vector<std::string> earlier;
    for (const std::string& name : wants_.units) {
      const auto found = state_.units.find(name);
      const UnitState unit = found == state_.units.end() ? UnitState{name} : found->second;
      Say("unit {} {} {}", name, unit.enablement, unit.active ? "active" : "inactive");
      if (unit.masked) {
        problems_.push_back(
            fmt::format("unit {} is masked: somebody decided that it must not run; \"systemctl unmask {}\" "
                        "takes that back",
                        name, name));
        continue;
      }
      if (unit.exists && unit.Enabled() && unit.active) {
        plan_.provided_now.push_back("unit:" + name);
        continue;
      }
      if (!unit.exists && packages.empty()) {
        problems_.push_back(fmt::format("unit {} does not exist, though the packages are installed", name));
        continue;
      }
      UnitStep step{name, unit, {}, earlier};
      if (!unit.exists) step.after_packages = packages;
      plan_.steps.emplace_back(std::move(step));
      // One after the other, so that none starts what another is about to note down as stopped.
      earlier = {name};
    }
  }

  absl::Status PlanRules(const std::set<std::string>& our_rules) {
    std::vector<FirewallRule> rules;
    std::vector<FieldViolation> violations;
    for (const FirewallRule& rule : wants_.rules) {
      const auto normalized = Normalized(rule);
      if (!normalized.ok()) {
        violations.push_back({"firewall", Message(normalized.status())});
      } else if (std::find(rules.begin(), rules.end(), *normalized) == rules.end()) {
        rules.push_back(*normalized);
      }
    }
    if (!violations.empty()) {
      return WithViolations(InvalidArgument("{}: {}", wants_.participant, violations.front().description),
                            violations);
    }
    const FirewallState& firewall = state_.firewall;
    if (wants_.everyone && firewall.ufw_active && firewall.ufw_ipv6) AddIpv6(rules);
    Say("ufw {}", firewall.ufw_active ? "active" : "inactive");
    Say("pve-firewall {}", firewall.pve_enabled ? "enabled" : "disabled");
    if (firewall.InCharge() != Firewall::kNone) PlanOrphans(rules, our_rules);
    if (rules.empty()) return absl::OkStatus();
    if (firewall.ufw_active != firewall.ufw_enabled) {
      problems_.push_back(
          fmt::format("ufw is {} and set to ENABLED={}: run \"ufw enable\" or \"ufw disable\" first",
                      firewall.ufw_active ? "active" : "inactive", firewall.ufw_enabled ? "yes" : "no"));
    } else if (firewall.ufw_active && firewall.pve_enabled) {
      problems_.push_back(
          "ufw and pve-firewall are both active on this node, and which one sees a packet first depends "
          "on which started first: switch one off");
    } else if (firewall.InCharge() != Firewall::kNone) {
      for (const FirewallRule& rule : rules) PlanRule(rule);
    } else {
      std::vector<std::string> keys;
      for (const FirewallRule& rule : rules) keys.push_back(KeyOf(rule).substr(5));
      Note(false,
           fmt::format("no firewall is active on this node, so no rules are needed; were ufw switched on, it "
                       "would have to allow {}",
                       Join(keys, ", ")));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<NodePlanning> Finish() && {
    if (!problems_.empty()) return FailedPrecondition("{}", Join(problems_, "; "));
    return std::move(plan_);
  }

 private:
  template <class... Args>
  void Say(fmt::format_string<Args...> format, Args&&... args) {
    plan_.fingerprint_text += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  void Note(bool warning, std::string text) {
    plan_.notes.push_back({warning, "firewall", wants_.participant + ": " + std::move(text)});
  }

  // ufw takes 0.0.0.0/0 for a network of IPv4. What it does not manage it keeps out, as its owner wants.
  static void AddIpv6(std::vector<FirewallRule>& rules) {
    for (size_t i = 0, count = rules.size(); i < count; ++i) {
      FirewallRule rule = rules[i];
      if (std::exchange(rule.client, "::/0") != "0.0.0.0/0") continue;
      if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(std::move(rule));
    }
  }

  void PlanRule(const FirewallRule& rule) {
    const FirewallState& firewall = state_.firewall;
    const bool ufw = firewall.InCharge() == Firewall::kUfw;
    const std::string_view name = ufw ? "ufw" : "pve-firewall";
    const SeenRule* there = FindRule(firewall.rules, rule);
    Say("{} {}", KeyOf(rule), there == nullptr ? "absent" : there->action);
    NoteHindering(rule, there);
    if (there != nullptr && there->action.rfind("allow", 0) != 0) {
      problems_.push_back(fmt::format(
          "{} has the rule \"{} proto {} from {} to any port {}\", and ours would {} it: "
          "delete it first",
          name, there->action, rule.protocol, rule.client, rule.port, ufw ? "overwrite" : "overrule"));
      return;
    }
    if (ufw && IsIpv6(rule) && !firewall.ufw_ipv6) {
      problems_.push_back(fmt::format(
          "client {} is an IPv6 one, and ufw is set to IPV6=no in /etc/default/ufw", rule.client));
      return;
    }
    if (there == nullptr) {
      plan_.steps.emplace_back(RuleStep{rule, "", firewall.InCharge()});
      return;
    }
    if (ufw && !IsInForce(firewall, rule)) {
      Note(true, fmt::format("ufw's rule for {} is written down but not in force: run \"ufw reload\"",
                             KeyOf(rule)));
    }
  }

  // ufw puts a new rule last, Proxmox VE first. What stands before a rule decides before it.
  void NoteHindering(const FirewallRule& rule, const SeenRule* there) {
    const FirewallState& firewall = state_.firewall;
    const bool last = firewall.InCharge() == Firewall::kUfw;
    for (const SeenRule& other : firewall.rules) {
      if (&other == there) break;
      if (!Hinders(other, rule)) continue;
      const std::string words = fmt::format("rule \"{} {} from {} to port {}\"", other.action, other.protocol,
                                            other.client, other.port.empty() ? "?" : other.port);
      if (last || there != nullptr) {
        Note(true, fmt::format("{}'s {} comes before ours and may keep {} out", last ? "ufw" : "pve-firewall",
                               words, rule.client));
      } else {
        Note(true, fmt::format("ours for {} comes before pve-firewall's {}, which shuts it out as yet",
                               rule.client, words));
      }
    }
  }

  void PlanOrphans(const std::vector<FirewallRule>& rules, const std::set<std::string>& our_rules) {
    if (wants_.partial) return;
    std::set<std::string> wanted;
    for (const FirewallRule& rule : rules) wanted.insert(KeyOf(rule));
    for (const SeenRule& there : state_.firewall.rules) {
      const std::string key = KeyOf(FirewallRule{there.client, there.port, there.protocol});
      if (!there.plain || our_rules.count(key) == 0 || wanted.count(key) > 0) continue;
      if (Prune(there)) continue;
      plan_.notes.push_back(
          {true, key,
           fmt::format("orphaned: we opened port {}/{} to {} and nothing declares it any more; it "
                       "stays open",
                       there.port, there.protocol, there.client)});
    }
  }

  // Plans that a rule of ours goes; false where it is only to be told.
  bool Prune(const SeenRule& there) {
    // What somebody gave another comment or action is not ours any more.
    if (!wants_.prune_rules || there.action != "allow" || !there.comment.starts_with(kRuleMark)) return false;
    const FirewallRule rule{there.client, there.port, there.protocol};
    const auto& rules = state_.firewall.rules;
    const bool ufw = state_.firewall.InCharge() == Firewall::kUfw;
    // Undo puts it where a new one goes: what would decide before it then, and does not now, is in the way.
    const auto position = rules.begin() + (&there - rules.data());
    const auto begin = ufw ? position + 1 : rules.begin(), end = ufw ? rules.end() : position;
    const auto other = std::find_if(begin, end, [&](const SeenRule& one) { return Hinders(one, rule); });
    if (other != end) {
      Note(true,
           fmt::format("not pruned: {} rule \"{} {} from {}\" comes {} it, and undo could put it back {} "
                       "that one only; delete it by hand: {}",
                       ufw ? "ufw's" : "pve-firewall's", other->action, other->protocol, other->client,
                       ufw ? "after" : "before", ufw ? "behind" : "in front of",
                       ufw ? fmt::format("ufw delete allow proto {} from {} to any port {}", rule.protocol,
                                         rule.client, rule.port)
                           : "in the node's firewall"));
      return false;
    }
    plan_.steps.emplace_back(RuleStep{rule, there.comment, state_.firewall.InCharge()});
    return true;
  }

  const NodeWants& wants_;
  const NodeState& state_;
  NodePlanning plan_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> MissingPackages(const NodeWants& wants, const NodeState& state) {
  std::vector<std::string> missing;
  const auto add = [&](const std::string& package) {
    if (StateOf(state, package) == PackageState::kAbsent) missing.push_back(package);
  };
  for (const std::string& package : wants.packages) add(package);
  if (!state.firewall.ufw_installed && !state.firewall.pve_installed) {
    for (const std::string& package : wants.firewall_packages) add(package);
  }
  return missing;
}

absl::StatusOr<NodePlanning> MakeNodePlan(const NodeWants& wants, const NodeState& state,
                                          const std::set<std::string>& our_rules) {
  Planning planning(wants, state);
  planning.PlanPackages();
  planning.PlanUnits();
  PHX_RETURN_IF_ERROR(planning.PlanRules(our_rules));
  return std::move(planning).Finish();
}

}  // namespace phoenix::node
