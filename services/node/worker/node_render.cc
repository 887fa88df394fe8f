#include "services/node/worker/node_render.h"

#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "services/kit/plan/keys.h"

namespace phoenix::node {
namespace {

using Json = nlohmann::json;

// The member that tells our payloads from those of the domain around us.
constexpr char kKind[] = "node_step";

// Whose rule it is, in a payload; without the member, one of ufw's.
constexpr char kUfw[] = "ufw", kPve[] = "pve-firewall";

kit::Step RenderStep(const PackageStep& package) {
  kit::Step step;
  step.id = kit::Key("package", package.package);
  step.resource = package.package;
  step.action = "install package";
  step.diffs = {{"package", "absent", "installed"},
                {"brings", "", fmt::format("{}", fmt::join(package.brings, ", "))}};
  step.step_class = kit::StepClass::kLossy;
  step.undo = "stop and disable the units that the packages brought";
  step.remainder = fmt::format("packages {} stay installed with their units stopped and disabled",
                               fmt::join(package.brings, ", "));
  if (!package.upgrades.empty()) {
    step.diffs.push_back({"upgrades", "", fmt::format("{}", fmt::join(package.upgrades, ", "))});
    step.remainder += fmt::format("; packages {} stay upgraded", fmt::join(package.upgrades, ", "));
  }
  step.commands = {fmt::format("apt-get install -y --no-install-recommends {}", package.package)};
  step.provides = {step.id};
  step.payload = Json{{kKind, "package"},
                      {"package", package.package},
                      {"brings", package.brings},
                      {"upgrades", package.upgrades}}
                     .dump();
  return step;
}

kit::Step RenderStep(const UnitStep& unit) {
  kit::Step step;
  step.id = kit::Key("unit", unit.unit);
  step.resource = unit.unit;
  step.action = "enable and start unit";
  if (!unit.before.Enabled()) {
    step.diffs.push_back(
        {"enabled", unit.before.enablement.empty() ? "absent" : unit.before.enablement, "enabled"});
  }
  if (!unit.before.active) step.diffs.push_back({"active", "inactive", "active"});
  step.step_class = kit::StepClass::kExact;
  step.undo = "put enablement and activity back, with what the unit started";
  if (!unit.before.Enabled()) step.commands.push_back("systemctl enable " + unit.unit);
  if (!unit.before.active) step.commands.push_back("systemctl start " + unit.unit);
  for (const auto& package : unit.after_packages)
    step.requires_keys.push_back({kit::Key("package", package), false});
  for (const auto& earlier : unit.after_units)
    step.requires_keys.push_back({kit::Key("unit", earlier), false});
  step.provides = {step.id};
  step.payload = Json{{kKind, "unit"}, {"unit", unit.unit}}.dump();
  return step;
}

kit::Step RenderStep(const RuleStep& rule) {
  const FirewallRule& wanted = rule.rule;
  kit::Step step;
  step.id = KeyOf(wanted);
  step.resource = step.id.substr(5);
  step.step_class = kit::StepClass::kExact;
  const bool goes = !rule.goes.empty();
  if (goes) {
    step.action = "delete firewall rule";
    step.diffs = {{"rule", "allow", "absent"}};
    step.undo = "add the rule again, with its comment";
    step.removes = {step.id};
  } else {
    step.action = "add firewall rule";
    step.diffs = {{"rule", "absent", "allow"}};
    step.undo = "delete the rule that carries our comment";
    step.provides = {step.id};
  }
  const std::string comment = goes ? rule.goes : "phoenix RUN";
  const bool pve = rule.firewall == Firewall::kPve;
  if (pve && goes) {
    step.commands = {"pvesh delete /nodes/NODE/firewall/rules/POSITION --digest DIGEST"};
  } else if (pve) {
    step.commands = {
        fmt::format("pvesh create /nodes/NODE/firewall/rules --type in --action ACCEPT --enable 1 "
                    "{}--proto {} --dport {} --comment '{}'",
                    wanted.client == "0.0.0.0/0" ? "" : fmt::format("--source {} ", wanted.client),
                    wanted.protocol, wanted.port, comment)};
  } else {
    step.commands = {fmt::format("ufw {}allow proto {} from {} to any port {} comment '{}'",
                                 goes ? "delete " : "", wanted.protocol, wanted.client, wanted.port,
                                 comment)};
  }
  step.payload = Json{{kKind, "rule"},       {"client", wanted.client},
                      {"port", wanted.port}, {"protocol", wanted.protocol},
                      {"goes", rule.goes},   {"firewall", pve ? kPve : kUfw}}
                     .dump();
  return step;
}

}  // namespace

kit::Step Render(const NodeStep& step) {
  return std::visit([](const auto& typed) { return RenderStep(typed); }, step);
}

absl::StatusOr<NodeStep> ParsePayload(const std::string& payload) {
  const Json json = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains(kKind)) return NotFound("no step of the node's");
  const auto text = [&](const char* name) { return json.value(name, std::string()); };
  const auto list = [&](const char* name) { return json.value(name, std::vector<std::string>()); };
  const std::string kind = text(kKind);
  if (kind == "package") return NodeStep(PackageStep{text("package"), list("brings"), list("upgrades")});
  if (kind == "unit") {
    UnitStep step;
    step.unit = text("unit");
    return NodeStep(step);
  }
  if (kind == "rule") {
    const Firewall firewall = text("firewall") == kPve ? Firewall::kPve : Firewall::kUfw;
    return NodeStep(RuleStep{{text("client"), text("port"), text("protocol")}, text("goes"), firewall});
  }
  return Internal("unknown step of the node's: {}", kind);
}

}  // namespace phoenix::node
