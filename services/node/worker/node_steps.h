// Steps on what several domains need of a node beside their own tools: packages, systemd units, firewall
// rules. A domain adds these steps to its plan and hands them back here to be done, probed and undone.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/kit/participant/domain.h"
#include "services/kit/plan/step.h"
#include "services/node/domain/node_planner.h"
#include "services/node/domain/node_wants.h"
#include "services/node/host/node_host.h"

namespace phoenix::node {

// The comment that marks a run's rules.
std::string RuleComment(const std::string& run_id);

struct NodePlan {
  std::vector<kit::Step> steps;
  std::vector<kit::Note> notes;
  // package:NAME and unit:NAME that are there now, for the domain's Plan::provided_now and
  // Requirement::satisfied_now.
  std::vector<std::string> provided_now;
  // As it was read for the plan.
  FirewallState firewall;
  // What the state says in words that do not move by themselves, for the base fingerprint.
  std::string fingerprint_text;
};

// All calls are thread-safe. The steps:
//   package:NAME   LOSSY, provides package:NAME; installed by a oneshot unit of ours with service starts held
//   back; undo
//                  leaves the packages, with their units stopped and disabled, as the step's remainder says
//   unit:NAME      EXACT, requires package:… where a package step of this plan brings it; enables and starts;
//   undo puts
//                  enablement and activity back
//   firewall rule  EXACT, key rule:CLIENT:PORT/PROTO; tagged with the run; in ufw, or in Proxmox VE's
//   firewall, whichever is active
// A note instead of steps: neither is. Both active: an error.
class NodeSteps {
 public:
  explicit NodeSteps(NodeHost& host) : host_(host) {}

  // Reads the node and plans. `ledger` tells which rules and units are ours.
  absl::StatusOr<NodePlan> MakePlan(const NodeWants& wants, const kit::Ledger& ledger);

  // True for steps that MakePlan() made; the others are the domain's own.
  static bool Owns(const kit::Step& step);
  absl::StatusOr<std::string> Capture(const kit::Step& step, const std::string& run_id);
  absl::Status Do(const kit::Step& step, const kit::StepContext& context);
  absl::StatusOr<kit::ProbeResult> ProbeStep(const kit::Step& step, const kit::StepContext& context);
  absl::Status Undo(const kit::Step& step, const kit::StepContext& context);
  std::vector<std::string> RemainingCommands(const kit::Step& step, const kit::StepContext& context);
  absl::StatusOr<kit::LedgerChange> LedgerOf(const kit::Step& step, const kit::StepContext& context);

 private:
  // package_steps.cc
  absl::StatusOr<std::string> CapturePackage(const PackageStep& step, const std::string& run_id);
  absl::Status Install(const PackageStep& step, const kit::StepContext& context);
  absl::StatusOr<kit::ProbeResult> ProbePackage(const PackageStep& step, const kit::StepContext& context);
  absl::Status LeaveInstalled(const PackageStep& step, const kit::StepContext& context);
  std::vector<std::string> CommandsToLeaveInstalled(const PackageStep& step, const kit::StepContext& context);
  // unit_steps.cc
  absl::StatusOr<std::string> CaptureUnit(const UnitStep& step);
  absl::Status StartUnit(const UnitStep& step, const kit::StepContext& context);
  absl::StatusOr<kit::ProbeResult> ProbeUnit(const UnitStep& step, const kit::StepContext& context);
  absl::Status RestoreUnit(const UnitStep& step, const kit::StepContext& context);
  std::vector<std::string> CommandsToRestoreUnit(const UnitStep& step, const kit::StepContext& context);
  // rule_steps.cc
  absl::StatusOr<std::string> CaptureRule(const RuleStep& step, const std::string& run_id);
  absl::Status PutRule(const RuleStep& step, const kit::StepContext& context);
  absl::StatusOr<kit::ProbeResult> ProbeRule(const RuleStep& step, const kit::StepContext& context);
  absl::Status TakeRuleAway(const RuleStep& step, const kit::StepContext& context);
  std::vector<std::string> CommandsToUndoRule(const RuleStep& step, const kit::StepContext& context);

  NodeHost& host_;
};

}  // namespace phoenix::node
