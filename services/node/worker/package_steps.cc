// Package steps: install, and, as undo, leave installed with units down.
#include <fmt/ranges.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/node/domain/unit_order.h"
#include "services/node/worker/node_steps.h"

namespace phoenix::node {
namespace {

// Past it the installation is reported as hanging; it runs on.
constexpr std::chrono::minutes kInstallLimit(30);

struct PackageView {
  PackageState state = PackageState::kAbsent;
  bool ours = false;  // recorded as installed by this run
};

absl::StatusOr<PackageView> Look(NodeHost& host, const std::string& package, const std::string& run_id) {
  PackageView view;
  PHX_ASSIGN_OR_RETURN(const auto states, host.Packages({package}));
  view.state = states.at(package);
  PHX_ASSIGN_OR_RETURN(const auto record, host.ReadRecord(package));
  view.ours = record.has_value() && record->run_id == run_id;
  return view;
}

// Begins the installation, or finds it under way, and sees its end.
absl::Status RunInstall(NodeHost& host, const std::string& package, const kit::StepContext& context) {
  PHX_RETURN_IF_ERROR(host.BeginInstall(package, context.run_id, context.on_child));
  PHX_ASSIGN_OR_RETURN(const InstallProgress progress,
                       host.AwaitInstall(package, context.run_id, kInstallLimit));
  if (progress == InstallProgress::kRunning) {
    return DeadlineExceeded("the installation of {} is still running and is not ended by us: {}", package,
                            host.InstallLog(package, context.run_id));
  }
  PHX_ASSIGN_OR_RETURN(const auto states, host.Packages({package}));
  if (states.at(package) == PackageState::kInstalled) {
    return host.ForgetInstall(package, context.run_id, context.on_child);
  }
  const std::string log = host.InstallLog(package, context.run_id);
  PHX_RETURN_IF_ERROR(host.ForgetInstall(package, context.run_id, context.on_child));
  return Internal("package {} is not installed: {}", package, log.empty() ? "apt-get said nothing" : log);
}

// Those units of the packages that would run now or after the next boot.
absl::StatusOr<std::vector<UnitState>> UnitsUp(NodeHost& host, const std::vector<std::string>& packages) {
  PHX_ASSIGN_OR_RETURN(const auto names, host.UnitsOf(packages));
  PHX_ASSIGN_OR_RETURN(const auto units, host.Units(names));
  std::vector<UnitState> up;
  for (const std::string& name : InStopOrder(names)) {
    const UnitState& unit = units.at(name);
    // An alias stands for a unit that is listed itself.
    if (!unit.exists || unit.masked || unit.name != name) continue;
    if (unit.active || unit.enablement == "enabled" || unit.enablement == "enabled-runtime")
      up.push_back(unit);
  }
  return up;
}

}  // namespace

absl::StatusOr<std::string> NodeSteps::CapturePackage(const PackageStep& step, const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(const PackageView view, Look(host_, step.package, run_id));
  // Another participant of this run may have installed it meanwhile; that is no foreign change.
  const bool absent = view.ours || view.state == PackageState::kAbsent;
  return nlohmann::json{{"absent", absent}}.dump();
}

absl::Status NodeSteps::Install(const PackageStep& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const PackageView view, Look(host_, step.package, context.run_id));
  if (!view.ours && view.state != PackageState::kAbsent) {
    return Aborted("package {} was installed by somebody else meanwhile", step.package);
  }
  if (view.ours && view.state == PackageState::kInstalled) {
    return host_.ForgetInstall(step.package, context.run_id, context.on_child);
  }
  PHX_RETURN_IF_ERROR(host_.WriteRecord(step.package, {context.run_id, step.brings}));
  return RunInstall(host_, step.package, context);
}

absl::StatusOr<kit::ProbeResult> NodeSteps::ProbePackage(const PackageStep& step,
                                                         const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const InstallProgress progress,
                       host_.AwaitInstall(step.package, context.run_id, kInstallLimit));
  PHX_ASSIGN_OR_RETURN(const PackageView view, Look(host_, step.package, context.run_id));
  // Without our record there is nothing of ours: not begun, or undone and left behind as the plan said.
  if (!view.ours) return kit::ProbeResult{kit::Probe::kNotDone, ""};
  if (progress == InstallProgress::kRunning) {
    return kit::ProbeResult{kit::Probe::kPartial, step.package + " is still being installed"};
  }
  if (view.state == PackageState::kInstalled) return kit::ProbeResult{kit::Probe::kDone, ""};
  return kit::ProbeResult{
      kit::Probe::kPartial,
      fmt::format("{} is {}", step.package,
                  view.state == PackageState::kBroken ? "half installed" : "not installed yet")};
}

absl::Status NodeSteps::LeaveInstalled(const PackageStep& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const InstallProgress progress,
                       host_.AwaitInstall(step.package, context.run_id, kInstallLimit));
  if (progress == InstallProgress::kRunning) {
    return Unavailable("package {} is still being installed; its units cannot be taken down before that ends",
                       step.package);
  }
  PHX_ASSIGN_OR_RETURN(const PackageView view, Look(host_, step.package, context.run_id));
  if (!view.ours) return absl::OkStatus();
  // Half a package blocks every later installation on this node, so it is brought to an end.
  if (view.state == PackageState::kBroken) PHX_RETURN_IF_ERROR(RunInstall(host_, step.package, context));
  PHX_RETURN_IF_ERROR(host_.ForgetInstall(step.package, context.run_id, context.on_child));
  PHX_ASSIGN_OR_RETURN(const auto up, UnitsUp(host_, step.brings));
  absl::Status first_error;
  for (const UnitState& unit : up) {
    if (unit.active) first_error.Update(host_.Stop(unit.name, context.on_child));
    for (const bool runtime : {false, true})
      first_error.Update(host_.Disable(unit.name, runtime, context.on_child));
  }
  PHX_ASSIGN_OR_RETURN(const auto still_up, UnitsUp(host_, step.brings));
  if (!still_up.empty()) {
    std::vector<std::string> names;
    for (const UnitState& unit : still_up) names.push_back(unit.name);
    return Internal("units {} of package {} are still up: {}", fmt::join(names, ", "), step.package,
                    first_error.ok() ? "systemctl said nothing" : Message(first_error));
  }
  return host_.RemoveRecord(step.package);
}

std::vector<std::string> NodeSteps::CommandsToLeaveInstalled(const PackageStep& step,
                                                             const kit::StepContext& context) {
  std::vector<std::string> commands;
  const auto view = Look(host_, step.package, context.run_id);
  if (view.ok() && view->state == PackageState::kBroken) commands.push_back("dpkg --configure -a");
  const auto up = UnitsUp(host_, step.brings);
  if (up.ok()) {
    for (const UnitState& unit : *up) commands.push_back("systemctl disable --now " + unit.name);
  }
  return commands;
}

}  // namespace phoenix::node
