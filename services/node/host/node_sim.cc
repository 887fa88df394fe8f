#include "services/node/host/node_sim.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/node/host/node_parse.h"
#include "services/node/host/sim_catalog.h"

namespace phoenix::node {
namespace {

using Json = nlohmann::json;
using kit::World;

absl::StatusOr<PackageState> StateOf(World& world, std::string_view package) {
  PHX_ASSIGN_OR_RETURN(const auto there, world.Get("package", package));
  if (!there) return PackageState::kAbsent;
  return there->value("state", "") == "installed" ? PackageState::kInstalled : PackageState::kBroken;
}

// Packages that are not there, dependencies first.
absl::Status Collect(World& world, const std::string& name, std::vector<const CatalogPackage*>& missing) {
  PHX_ASSIGN_OR_RETURN(const PackageState state, StateOf(world, name));
  const CatalogPackage* package = FindInCatalog(name);
  if (package == nullptr) return FailedPrecondition("E: Unable to locate package {}", name);
  if (state == PackageState::kInstalled || std::count(missing.begin(), missing.end(), package) > 0) {
    return absl::OkStatus();
  }
  for (const std::string& need : package->needs) PHX_RETURN_IF_ERROR(Collect(world, need, missing));
  missing.push_back(package);
  return absl::OkStatus();
}

absl::Status Configure(World& world, const CatalogPackage& package) {
  for (const std::string& path : package.directories) {
    PHX_ASSIGN_OR_RETURN(const auto there, world.ReadFile(path));
    if (!there) PHX_RETURN_IF_ERROR(world.WriteFile(path, {true, {"", 0, 0, 0755}}));
  }
  // A configuration file that is there already is kept, as with --force-confold.
  for (const CatalogFile& file : package.files) {
    PHX_ASSIGN_OR_RETURN(const auto there, world.ReadFile(file.path));
    if (!there) PHX_RETURN_IF_ERROR(world.WriteFile(file.path, {false, {file.content, 0, 0, 0644}}));
  }
  for (const CatalogUnit& unit : package.units) {
    PHX_ASSIGN_OR_RETURN(const auto there, world.Get("unit", unit.name));
    if (there) continue;
    Json value = {{"package", package.name}, {"enablement", unit.enablement}, {"active", false}};
    value["masked"] = false;
    value["pulls"] = unit.pulls;
    value["alias_of"] = unit.alias_of;
    PHX_RETURN_IF_ERROR(world.Put("unit", unit.name, value));
  }
  return world.Put("package", package.name, {{"state", "installed"}});
}

// Installs what is missing; an interrupted installation leaves the last package unpacked only.
absl::Status InstallInto(World& world, const std::string& name, bool interrupted) {
  std::vector<const CatalogPackage*> missing;
  PHX_RETURN_IF_ERROR(Collect(world, name, missing));
  for (const CatalogPackage* package : missing) {
    if (interrupted && package == missing.back())
      return world.Put("package", package->name, {{"state", "unpacked"}});
    PHX_RETURN_IF_ERROR(Configure(world, *package));
  }
  return absl::OkStatus();
}

std::string InstallName(const std::string& package, const std::string& run_id) {
  return run_id + " " + package;
}

// The unit itself, aliases followed.
absl::StatusOr<std::optional<std::pair<std::string, Json>>> FindUnit(World& world, const std::string& name) {
  PHX_ASSIGN_OR_RETURN(auto unit, world.Get("unit", name));
  if (!unit) return std::optional<std::pair<std::string, Json>>();
  const std::string real = unit->value("alias_of", "");
  if (real.empty()) return std::optional(std::make_pair(name, *std::move(unit)));
  return FindUnit(world, real);
}

absl::Status CollectPulled(World& world, const std::string& name, std::set<std::string>& pulled) {
  PHX_ASSIGN_OR_RETURN(const auto unit, FindUnit(world, name));
  if (!unit) return absl::OkStatus();
  for (const auto& pull : unit->second.value("pulls", std::vector<std::string>())) {
    if (pulled.insert(pull).second) PHX_RETURN_IF_ERROR(CollectPulled(world, pull, pulled));
  }
  return absl::OkStatus();
}

absl::Status SetUnit(World& world, const std::string& name, const std::function<void(Json&)>& change) {
  PHX_ASSIGN_OR_RETURN(auto unit, FindUnit(world, name));
  if (!unit) return NotFound("Unit {} could not be found.", name);
  if (unit->second.value("masked", false)) return FailedPrecondition("Unit {} is masked.", name);
  change(unit->second);
  return world.Put("unit", unit->first, unit->second);
}

// ufw's name for a rule: everything that tells packets apart.
std::string RuleName(const FirewallRule& rule) {
  return fmt::format("{} {} {}", rule.client, rule.port, rule.protocol);
}

absl::Status WriteRule(World& world, const FirewallRule& rule, std::string_view action,
                       const std::string& comment) {
  PHX_ASSIGN_OR_RETURN(const auto there, world.Get("ufw.rule", RuleName(rule)));
  int order = there ? there->value("order", 1) : 1;
  if (!there) {
    PHX_ASSIGN_OR_RETURN(const auto rules, world.List("ufw.rule"));
    for (const auto& [name, value] : rules) order = std::max(order, value.value("order", 0) + 1);
  }
  return world.Put("ufw.rule", RuleName(rule),
                   {{"action", action},
                    {"client", rule.client},
                    {"port", rule.port},
                    {"protocol", rule.protocol},
                    {"comment", comment},
                    {"order", order}});
}

// What the kernel has of a written rule: two of one for any protocol. Others may come to the same packets.
absl::Status SetLive(World& world, const FirewallRule& rule, bool live) {
  const std::vector<std::string> protocols =
      rule.protocol == "any" ? std::vector<std::string>{"tcp", "udp"} : std::vector{rule.protocol};
  for (const std::string& protocol : protocols) {
    const std::string name = fmt::format("{} as {}", RuleName(rule), protocol);
    PHX_RETURN_IF_ERROR(
        live
            ? world.Put(
                  "ufw.live", name,
                  {{"action", "allow"}, {"client", rule.client}, {"port", rule.port}, {"protocol", protocol}})
            : world.Delete("ufw.live", name));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> UfwActive(World& world) {
  PHX_ASSIGN_OR_RETURN(const auto ufw, world.Get("ufw", "state"));
  return ufw.has_value() && ufw->value("active", false);
}

absl::StatusOr<std::string> Content(World& world, std::string_view path) {
  PHX_ASSIGN_OR_RETURN(const auto file, world.ReadFile(path));
  return file && !file->directory ? file->state.content : std::string();
}

SeenRule ToRule(const Json& value) {
  SeenRule rule;
  rule.action = value.value("action", "");
  rule.protocol = value.value("protocol", "");
  rule.port = value.value("port", "");
  rule.client = value.value("client", "");
  rule.direction = "in";
  rule.comment = value.value("comment", "");
  return rule;
}

// The node's rules in Proxmox VE's firewall, in their order.
absl::StatusOr<Json> PveRulesOf(World& world) {
  PHX_ASSIGN_OR_RETURN(const auto kept, world.Get("pve.firewall", "rules"));
  return kept ? kept->value("rules", Json::array()) : Json::array();
}

// Without a rule the file is gone, as Proxmox VE leaves it.
absl::Status PutPveRules(World& world, const Json& rules) {
  if (rules.empty()) return world.Delete("pve.firewall", "rules");
  return world.Put("pve.firewall", "rules", {{"rules", rules}});
}

absl::Status AllowInPve(World& world, const FirewallRule& rule, const std::string& comment) {
  PHX_ASSIGN_OR_RETURN(Json rules, PveRulesOf(world));
  rules.insert(rules.begin(), Json{{"action", "allow"},
                                   {"client", rule.client},
                                   {"port", rule.port},
                                   {"protocol", rule.protocol},
                                   {"comment", comment}});
  return PutPveRules(world, rules);
}

absl::Status DeleteInPve(World& world, const FirewallRule& rule, const std::string& comment) {
  PHX_ASSIGN_OR_RETURN(Json rules, PveRulesOf(world));
  for (auto one = rules.begin(); one != rules.end(); ++one) {
    const SeenRule seen = ToRule(*one);
    if (!SamePackets(seen, rule) || seen.action != "allow" || seen.comment != comment) continue;
    rules.erase(one);
    return PutPveRules(world, rules);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> NodeSim::TakeFault(const std::string& operation, const std::string& object) {
  std::string effect;
  // In a transaction of its own: a failing operation's transaction would put the fault back.
  PHX_RETURN_IF_ERROR(machine_->Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto fault, world.TakeFault(operation + ":" + object));
    if (!fault) {
      PHX_ASSIGN_OR_RETURN(fault, world.TakeFault(operation));
    }
    effect = fault.value_or("");
    return absl::OkStatus();
  }));
  return effect;
}

absl::Status NodeSim::Mutate(const std::string& operation, const std::string& object,
                             const ChildObserver& observer,
                             const std::function<absl::Status(World&, const std::string&)>& body) {
  if (observer) PHX_RETURN_IF_ERROR(observer(ChildIdentity{}));
  PHX_ASSIGN_OR_RETURN(const std::string effect, TakeFault(operation, object));
  if (effect == "fail") return Internal("planned fault: {} of {} failed", operation, object);
  if (effect == "nothing") return absl::OkStatus();
  PHX_RETURN_IF_ERROR(machine_->Change([&](World& world) { return body(world, effect); }));
  if (effect == "lie") return Internal("planned fault: {} of {} says that it failed", operation, object);
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, PackageState>> NodeSim::Packages(const std::vector<std::string>& names) {
  std::map<std::string, PackageState> states;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    for (const std::string& name : names) {
      PHX_ASSIGN_OR_RETURN(states[name], StateOf(world, name));
    }
    return absl::OkStatus();
  }));
  return states;
}

absl::StatusOr<InstallForecast> NodeSim::Forecast(const std::string& package) {
  InstallForecast forecast;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    std::vector<const CatalogPackage*> missing;
    PHX_RETURN_IF_ERROR(Collect(world, package, missing));
    for (const CatalogPackage* one : missing) forecast.brings.push_back(one->name);
    return absl::OkStatus();
  }));
  std::sort(forecast.brings.begin(), forecast.brings.end());
  return forecast;
}

absl::Status NodeSim::BeginInstall(const std::string& package, const std::string& run_id,
                                   const ChildObserver& observer) {
  if (observer) PHX_RETURN_IF_ERROR(observer(ChildIdentity{}));
  PHX_ASSIGN_OR_RETURN(const std::string effect, TakeFault("node.install", package));
  return machine_->Change([&](World& world) -> absl::Status {
    if (effect != "fail" && effect != "nothing") {
      PHX_RETURN_IF_ERROR(InstallInto(world, package, /*interrupted=*/effect == "half"));
    }
    const bool says_failed = effect == "fail" || effect == "lie" || effect == "half";
    return world.Put("install", InstallName(package, run_id),
                     {{"progress", says_failed ? "failed" : "succeeded"},
                      {"log", effect.empty() ? "" : "planned fault: " + effect}});
  });
}

absl::StatusOr<InstallProgress> NodeSim::AwaitInstall(const std::string& package, const std::string& run_id,
                                                      std::chrono::seconds) {
  InstallProgress progress = InstallProgress::kNone;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto install, world.Get("install", InstallName(package, run_id)));
    if (!install) return absl::OkStatus();
    progress =
        install->value("progress", "") == "failed" ? InstallProgress::kFailed : InstallProgress::kSucceeded;
    return absl::OkStatus();
  }));
  return progress;
}

absl::Status NodeSim::ForgetInstall(const std::string& package, const std::string& run_id,
                                    const ChildObserver&) {
  return machine_->Change(
      [&](World& world) { return world.Delete("install", InstallName(package, run_id)); });
}

std::string NodeSim::InstallLog(const std::string& package, const std::string& run_id) {
  std::string log;
  const absl::Status looked = machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto install, world.Get("install", InstallName(package, run_id)));
    if (install) log = install->value("log", "");
    return absl::OkStatus();
  });
  return looked.ok() ? log : std::string();
}

absl::StatusOr<std::optional<InstallRecord>> NodeSim::ReadRecord(const std::string& package) {
  std::optional<InstallRecord> record;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto there, world.Get("package.record", package));
    if (there) record = {there->value("run_id", ""), there->value("brings", std::vector<std::string>())};
    return absl::OkStatus();
  }));
  return record;
}

absl::Status NodeSim::WriteRecord(const std::string& package, const InstallRecord& record) {
  return machine_->Change([&](World& world) {
    return world.Put("package.record", package, {{"run_id", record.run_id}, {"brings", record.brings}});
  });
}

absl::Status NodeSim::RemoveRecord(const std::string& package) {
  return machine_->Change([&](World& world) { return world.Delete("package.record", package); });
}

absl::StatusOr<std::vector<std::string>> NodeSim::UnitsOf(const std::vector<std::string>& packages) {
  std::vector<std::string> names;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto units, world.List("unit"));
    for (const auto& [name, unit] : units) {
      if (std::count(packages.begin(), packages.end(), unit.value("package", "")) > 0) names.push_back(name);
    }
    return absl::OkStatus();
  }));
  return names;
}

absl::StatusOr<std::map<std::string, UnitState>> NodeSim::Units(const std::vector<std::string>& names) {
  std::map<std::string, UnitState> units;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    for (const std::string& name : names) {
      PHX_ASSIGN_OR_RETURN(const auto unit, FindUnit(world, name));
      UnitState state{name};
      if (unit) {
        state.name = unit->first;
        state.exists = true;
        state.masked = unit->second.value("masked", false);
        state.enablement = state.masked ? "masked" : unit->second.value("enablement", "");
        if (state.enablement == "disabled" && unit->second.value("runtime", false))
          state.enablement = "enabled-runtime";
        state.active = unit->second.value("active", false);
      }
      units[name] = std::move(state);
    }
    return absl::OkStatus();
  }));
  return units;
}

absl::StatusOr<std::vector<std::string>> NodeSim::PulledBy(const std::string& unit) {
  std::set<std::string> pulled;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) { return CollectPulled(world, unit, pulled); }));
  return std::vector<std::string>(pulled.begin(), pulled.end());
}

absl::Status NodeSim::Enable(const std::string& unit, bool runtime, const ChildObserver& observer) {
  return Mutate("node.enable", unit, observer, [&](World& world, const std::string&) {
    return SetUnit(world, unit, [&](Json& value) {
      if (runtime) {
        value["runtime"] = true;
      } else if (value["enablement"] == "disabled") {
        value["enablement"] = "enabled";
      }
    });
  });
}

absl::Status NodeSim::Disable(const std::string& unit, bool runtime, const ChildObserver& observer) {
  return Mutate("node.disable", unit, observer, [&](World& world, const std::string&) {
    return SetUnit(world, unit, [&](Json& value) {
      if (runtime) {
        value.erase("runtime");
      } else if (value["enablement"] == "enabled") {
        value["enablement"] = "disabled";
      }
    });
  });
}

absl::Status NodeSim::Start(const std::string& unit, const ChildObserver& observer) {
  return Mutate("node.start", unit, observer, [&](World& world, const std::string& effect) -> absl::Status {
    std::set<std::string> starting;
    PHX_RETURN_IF_ERROR(CollectPulled(world, unit, starting));
    // A unit that does not come up still leaves running what it pulled up.
    if (effect != "half") starting.insert(unit);
    for (const std::string& name : starting) {
      PHX_RETURN_IF_ERROR(SetUnit(world, name, [](Json& value) { value["active"] = true; }));
    }
    return absl::OkStatus();
  });
}

absl::Status NodeSim::Stop(const std::string& unit, const ChildObserver& observer) {
  return Mutate("node.stop", unit, observer, [&](World& world, const std::string&) {
    return SetUnit(world, unit, [](Json& value) { value["active"] = false; });
  });
}

absl::StatusOr<FirewallState> NodeSim::Firewall(node::Firewall of) {
  FirewallState firewall;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(firewall.ufw_installed, IsInstalled(world, "ufw"));
    PHX_ASSIGN_OR_RETURN(firewall.pve_installed, IsInstalled(world, "pve-firewall"));
    PHX_ASSIGN_OR_RETURN(firewall.ufw_active, UfwActive(world));
    PHX_ASSIGN_OR_RETURN(const auto ufw, world.Get("ufw", "state"));
    firewall.ufw_enabled = ufw ? ufw->value("enabled", firewall.ufw_active) : false;
    firewall.ufw_ipv6 = !ufw || ufw->value("ipv6", true);
    PHX_ASSIGN_OR_RETURN(const std::string cluster, Content(world, "/etc/pve/firewall/cluster.fw"));
    PHX_ASSIGN_OR_RETURN(const std::string host, Content(world, "/etc/pve/local/host.fw"));
    firewall.pve_enabled = firewall.pve_installed && PveFirewallEnabled(cluster, host);
    if ((of == node::Firewall::kNone ? firewall.InCharge() : of) == node::Firewall::kPve) {
      PHX_ASSIGN_OR_RETURN(const Json rules, PveRulesOf(world));
      for (const Json& rule : rules) firewall.rules.push_back(ToRule(rule));
      return absl::OkStatus();
    }
    PHX_ASSIGN_OR_RETURN(auto written, world.List("ufw.rule"));
    std::sort(written.begin(), written.end(), [](const auto& a, const auto& b) {
      return a.second.value("order", 0) < b.second.value("order", 0);
    });
    for (const auto& [name, value] : written) firewall.rules.push_back(ToRule(value));
    PHX_ASSIGN_OR_RETURN(const auto live, world.List("ufw.live"));
    for (const auto& [name, value] : live) firewall.live.push_back(ToRule(value));
    return absl::OkStatus();
  }));
  return firewall;
}

// The world itself takes one change after the other; what is to be shown is who forgets to ask.
absl::StatusOr<std::unique_ptr<FirewallLock>> NodeSim::LockFirewall() {
  class Held final : public FirewallLock {
   public:
    Held(std::mutex& mutex, std::atomic<bool>& locked) : held_(mutex), locked_(locked) { locked_ = true; }
    ~Held() override { locked_ = false; }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    const std::lock_guard<std::mutex> held_;
    std::atomic<bool>& locked_;
  };
  return std::make_unique<Held>(firewall_, locked_);
}

absl::Status NodeSim::AllowRule(node::Firewall firewall, const FirewallRule& rule, const std::string& comment,
                                const ChildObserver& observer) {
  if (!locked_) ++unlocked_changes_;
  return Mutate("node.allow", rule.client, observer,
                [&](World& world, const std::string& effect) -> absl::Status {
                  if (firewall == node::Firewall::kPve) return AllowInPve(world, rule, comment);
                  // What tells the same packets apart is overwritten, as ufw does.
                  PHX_RETURN_IF_ERROR(WriteRule(world, rule, "allow", comment));
                  PHX_ASSIGN_OR_RETURN(const bool active, UfwActive(world));
                  if (!active || effect == "half") return absl::OkStatus();
                  return SetLive(world, rule, true);
                });
}

absl::Status NodeSim::DeleteRule(node::Firewall firewall, const FirewallRule& rule,
                                 const std::string& comment, const ChildObserver& observer) {
  if (!locked_) ++unlocked_changes_;
  return Mutate("node.delete", rule.client, observer,
                [&](World& world, const std::string& effect) -> absl::Status {
                  if (firewall == node::Firewall::kPve) return DeleteInPve(world, rule, comment);
                  PHX_ASSIGN_OR_RETURN(const auto there, world.Get("ufw.rule", RuleName(rule)));
                  // "Could not delete non-existent rule", with success.
                  if (!there || there->value("comment", "") != comment) return absl::OkStatus();
                  PHX_RETURN_IF_ERROR(world.Delete("ufw.rule", RuleName(rule)));
                  if (effect == "half") return absl::OkStatus();
                  return SetLive(world, rule, false);
                });
}

absl::Status SeedNode(kit::Machine& machine) {
  return machine.Change([](World& world) -> absl::Status {
    // A minimal Debian carries neither of the packages that the catalog knows.
    return world.Put(
        "unit", "ssh.service",
        {{"package", "openssh-server"}, {"enablement", "enabled"}, {"active", true}, {"masked", false}});
  });
}

absl::Status SeedReadyNode(kit::Machine& machine) {
  PHX_RETURN_IF_ERROR(SeedNode(machine));
  return machine.Change([](World& world) -> absl::Status {
    for (const char* package : {"nfs-kernel-server", "samba", "smbclient", "ufw"}) {
      PHX_RETURN_IF_ERROR(InstallInto(world, package, /*interrupted=*/false));
    }
    for (const char* unit : {"nfs-server.service", "smbd.service", "nmbd.service", "ufw.service"}) {
      std::set<std::string> starting{unit};
      PHX_RETURN_IF_ERROR(CollectPulled(world, unit, starting));
      for (const std::string& name : starting) {
        PHX_RETURN_IF_ERROR(SetUnit(world, name, [](Json& value) { value["active"] = true; }));
      }
    }
    PHX_RETURN_IF_ERROR(
        world.WriteFile("/etc/ufw/ufw.conf", {false, {"ENABLED=yes\nLOGLEVEL=low\n", 0, 0, 0644}}));
    PHX_RETURN_IF_ERROR(world.Put("ufw", "state", {{"active", true}, {"ipv6", true}}));
    const FirewallRule ssh{"0.0.0.0/0", "22", "tcp"};
    PHX_RETURN_IF_ERROR(WriteRule(world, ssh, "allow", ""));
    return SetLive(world, ssh, true);
  });
}

absl::StatusOr<bool> IsInstalled(kit::World& world, std::string_view package) {
  PHX_ASSIGN_OR_RETURN(const PackageState state, StateOf(world, package));
  return state == PackageState::kInstalled;
}

absl::StatusOr<bool> IsActive(kit::World& world, std::string_view unit) {
  PHX_ASSIGN_OR_RETURN(const auto found, FindUnit(world, std::string(unit)));
  return found.has_value() && found->second.value("active", false);
}

}  // namespace phoenix::node
