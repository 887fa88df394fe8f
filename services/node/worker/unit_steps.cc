// Unit steps: enable and start, and put back.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/node/domain/unit_order.h"
#include "services/node/worker/node_steps.h"

namespace phoenix::node {
namespace {

using Json = nlohmann::json;

struct CapturedUnit {
  std::string enablement;
  bool active = false;
  // Units that starting this one starts too, and that did not run.
  std::vector<std::string> idle;
};

absl::StatusOr<CapturedUnit> ParseCaptured(const std::string& captured) {
  const Json json = Json::parse(captured, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Internal("what was captured of a unit is no JSON object");
  return CapturedUnit{json.value("enablement", std::string()), json.value("active", false),
                      json.value("idle", std::vector<std::string>())};
}

absl::StatusOr<UnitState> Look(NodeHost& host, const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const auto units, host.Units({name}));
  const UnitState& unit = units.at(name);
  if (!unit.exists) return FailedPrecondition("unit {} is no longer there", name);
  if (unit.masked) return FailedPrecondition("unit {} was masked by somebody else", name);
  return unit;
}

absl::StatusOr<std::vector<std::string>> RunningOf(NodeHost& host, const std::vector<std::string>& names) {
  std::vector<std::string> running;
  PHX_ASSIGN_OR_RETURN(const auto units, host.Units(names));
  for (const std::string& name : InStopOrder(names)) {
    if (units.at(name).active) running.push_back(name);
  }
  return running;
}

}  // namespace

absl::StatusOr<std::string> NodeSteps::CaptureUnit(const UnitStep& step) {
  PHX_ASSIGN_OR_RETURN(const UnitState unit, Look(host_, step.unit));
  PHX_ASSIGN_OR_RETURN(const auto pulled, host_.PulledBy(step.unit));
  PHX_ASSIGN_OR_RETURN(const auto running, RunningOf(host_, pulled));
  std::vector<std::string> idle;
  for (const std::string& name : pulled) {
    if (std::find(running.begin(), running.end(), name) == running.end()) idle.push_back(name);
  }
  return Json{{"enablement", unit.enablement}, {"active", unit.active}, {"idle", idle}}.dump();
}

absl::Status NodeSteps::StartUnit(const UnitStep& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const UnitState unit, Look(host_, step.unit));
  if (!unit.Enabled()) PHX_RETURN_IF_ERROR(host_.Enable(step.unit, /*runtime=*/false, context.on_child));
  if (!unit.active) PHX_RETURN_IF_ERROR(host_.Start(step.unit, context.on_child));
  return absl::OkStatus();
}

absl::StatusOr<kit::ProbeResult> NodeSteps::ProbeUnit(const UnitStep& step, const kit::StepContext& context) {
  const auto unit = Look(host_, step.unit);
  if (unit.status().code() == absl::StatusCode::kFailedPrecondition) {
    // Before the package that brings it is there, nothing of the step can be.
    if (context.captured.empty()) return kit::ProbeResult{kit::Probe::kNotDone, ""};
    return kit::ProbeResult{kit::Probe::kForeign, Message(unit.status())};
  }
  PHX_RETURN_IF_ERROR(unit.status());
  if (unit->Enabled() && unit->active) return kit::ProbeResult{kit::Probe::kDone, ""};
  std::string found = fmt::format("{}, {}", unit->enablement, unit->active ? "active" : "inactive");
  if (context.captured.empty()) return kit::ProbeResult{kit::Probe::kNotDone, ""};
  PHX_ASSIGN_OR_RETURN(const CapturedUnit before, ParseCaptured(context.captured));
  const bool as_before = unit->enablement == before.enablement && unit->active == before.active;
  if (!as_before) return kit::ProbeResult{kit::Probe::kPartial, std::move(found)};
  // A unit that did not come up may have left running what it pulled up.
  if (!before.active) {
    PHX_ASSIGN_OR_RETURN(const auto running, RunningOf(host_, before.idle));
    if (!running.empty())
      return kit::ProbeResult{kit::Probe::kPartial, running.front() + " was started with it"};
  }
  return kit::ProbeResult{kit::Probe::kNotDone, ""};
}

absl::Status NodeSteps::RestoreUnit(const UnitStep& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const CapturedUnit before, ParseCaptured(context.captured));
  PHX_ASSIGN_OR_RETURN(const UnitState unit, Look(host_, step.unit));
  absl::Status first_error;
  if (!before.active) {
    if (unit.active) first_error.Update(host_.Stop(step.unit, context.on_child));
    PHX_ASSIGN_OR_RETURN(const auto running, RunningOf(host_, before.idle));
    for (const std::string& name : running) first_error.Update(host_.Stop(name, context.on_child));
  }
  if (unit.enablement != before.enablement && unit.Enabled()) {
    // What was enabled for this boot only still is, below.
    first_error.Update(host_.Disable(step.unit, /*runtime=*/false, context.on_child));
  }
  PHX_ASSIGN_OR_RETURN(const UnitState now, Look(host_, step.unit));
  if (now.enablement == before.enablement && now.active == before.active) return absl::OkStatus();
  return Internal("unit {} is {} and {} instead of {} and {}: {}", step.unit, now.enablement,
                  now.active ? "active" : "inactive", before.enablement,
                  before.active ? "active" : "inactive",
                  first_error.ok() ? "systemctl said nothing" : Message(first_error));
}

std::vector<std::string> NodeSteps::CommandsToRestoreUnit(const UnitStep& step,
                                                          const kit::StepContext& context) {
  const auto before = ParseCaptured(context.captured);
  const auto unit = Look(host_, step.unit);
  if (!before.ok() || !unit.ok()) return {};
  std::vector<std::string> commands;
  if (!before->active) {
    if (unit->active) commands.push_back("systemctl stop " + step.unit);
    const auto running = RunningOf(host_, before->idle);
    if (running.ok()) {
      for (const std::string& name : *running) commands.push_back("systemctl stop " + name);
    }
  }
  if (unit->enablement != before->enablement && unit->Enabled()) {
    commands.push_back("systemctl disable " + step.unit);
  }
  return commands;
}

}  // namespace phoenix::node
