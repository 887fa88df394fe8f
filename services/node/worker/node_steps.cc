#include "services/node/worker/node_steps.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/keys.h"
#include "services/node/domain/node_planner.h"
#include "services/node/worker/node_render.h"

namespace phoenix::node {
namespace {

using Json = nlohmann::json;

absl::StatusOr<NodeStep> Typed(const kit::Step& step) {
  auto typed = ParsePayload(step.payload);
  if (!typed.ok()) return Annotate(typed.status(), step.id);
  return typed;
}

}  // namespace

absl::StatusOr<NodePlan> NodeSteps::MakePlan(const NodeWants& wants, const kit::Ledger& ledger) {
  NodeState state;
  std::vector<std::string> packages = wants.packages;
  packages.insert(packages.end(), wants.firewall_packages.begin(), wants.firewall_packages.end());
  PHX_ASSIGN_OR_RETURN(state.packages, host_.Packages(packages));
  PHX_ASSIGN_OR_RETURN(state.units, host_.Units(wants.units));
  {
    PHX_ASSIGN_OR_RETURN(const auto lock, host_.LockFirewall());
    PHX_ASSIGN_OR_RETURN(state.firewall, host_.Firewall());
  }
  for (const std::string& package : MissingPackages(wants, state)) {
    PHX_ASSIGN_OR_RETURN(state.forecasts[package], host_.Forecast(package));
  }
  std::set<std::string> our_rules;
  for (const auto& [key, entry] : ledger) {
    if (entry.created && kit::KindOf(key) == "rule") our_rules.insert(key);
  }
  PHX_ASSIGN_OR_RETURN(NodePlanning planning, MakeNodePlan(wants, state, our_rules));
  NodePlan plan;
  for (const NodeStep& step : planning.steps) plan.steps.push_back(Render(step));
  for (NodeNote& note : planning.notes) {
    plan.notes.push_back({note.warning, std::move(note.resource), std::move(note.text)});
  }
  plan.provided_now = std::move(planning.provided_now);
  plan.fingerprint_text = std::move(planning.fingerprint_text);
  plan.firewall = std::move(state.firewall);
  return plan;
}

bool NodeSteps::Owns(const kit::Step& step) { return ParsePayload(step.payload).ok(); }

absl::StatusOr<std::string> NodeSteps::Capture(const kit::Step& step, const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(const NodeStep typed, Typed(step));
  if (const auto* package = std::get_if<PackageStep>(&typed)) return CapturePackage(*package, run_id);
  if (const auto* unit = std::get_if<UnitStep>(&typed)) return CaptureUnit(*unit);
  return CaptureRule(std::get<RuleStep>(typed), run_id);
}

absl::Status NodeSteps::Do(const kit::Step& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const NodeStep typed, Typed(step));
  if (const auto* package = std::get_if<PackageStep>(&typed)) return Install(*package, context);
  if (const auto* unit = std::get_if<UnitStep>(&typed)) return StartUnit(*unit, context);
  const auto& rule = std::get<RuleStep>(typed);
  return rule.goes.empty() ? PutRule(rule, context) : TakeRuleAway(rule, context);
}

absl::StatusOr<kit::ProbeResult> NodeSteps::ProbeStep(const kit::Step& step,
                                                      const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const NodeStep typed, Typed(step));
  if (const auto* package = std::get_if<PackageStep>(&typed)) return ProbePackage(*package, context);
  if (const auto* unit = std::get_if<UnitStep>(&typed)) return ProbeUnit(*unit, context);
  return ProbeRule(std::get<RuleStep>(typed), context);
}

absl::Status NodeSteps::Undo(const kit::Step& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const NodeStep typed, Typed(step));
  if (const auto* package = std::get_if<PackageStep>(&typed)) return LeaveInstalled(*package, context);
  if (const auto* unit = std::get_if<UnitStep>(&typed)) return RestoreUnit(*unit, context);
  const auto& rule = std::get<RuleStep>(typed);
  return rule.goes.empty() ? TakeRuleAway(rule, context) : PutRule(rule, context);
}

std::vector<std::string> NodeSteps::RemainingCommands(const kit::Step& step,
                                                      const kit::StepContext& context) {
  const auto typed = Typed(step);
  if (!typed.ok()) return {};
  if (const auto* package = std::get_if<PackageStep>(&*typed))
    return CommandsToLeaveInstalled(*package, context);
  if (const auto* unit = std::get_if<UnitStep>(&*typed)) return CommandsToRestoreUnit(*unit, context);
  return CommandsToUndoRule(std::get<RuleStep>(*typed), context);
}

absl::StatusOr<kit::LedgerChange> NodeSteps::LedgerOf(const kit::Step& step,
                                                      const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const NodeStep typed, Typed(step));
  kit::LedgerEntry entry;
  entry.key = step.id;
  entry.run_id = context.run_id;
  if (const auto* package = std::get_if<PackageStep>(&typed)) {
    entry.created = true;
    entry.fields = Json{{"brings", package->brings}}.dump();
  } else if (std::holds_alternative<UnitStep>(typed)) {
    // The unit belongs to its package; that it runs is what we declared.
    entry.fields = Json{{"enabled", true}, {"active", true}}.dump();
  } else if (!std::get<RuleStep>(typed).goes.empty()) {
    return kit::LedgerChange{{}, {step.id}};
  } else {
    entry.created = true;
    entry.identity = RuleComment(context.run_id);
    entry.fields = Json::object().dump();
  }
  kit::LedgerChange change;
  change.put.push_back(std::move(entry));
  return change;
}

}  // namespace phoenix::node
