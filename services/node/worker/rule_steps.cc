// Firewall steps: allow with our comment, and delete what carries it. ufw's exit code says little (it builds
// an error without raising it when iptables fails), so the file and the kernel are both asked after each
// change.
#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/node/worker/node_steps.h"

namespace phoenix::node {
namespace {

struct RuleView {
  bool ufw_active = false;
  bool written = false;
  bool ours = false;  // allowing, with our run's comment
  bool live = false;
  std::string found;
};

absl::StatusOr<RuleView> Look(NodeHost& host, const FirewallRule& rule, const std::string& comment) {
  PHX_ASSIGN_OR_RETURN(const FirewallState firewall, host.Firewall());
  RuleView view;
  view.ufw_active = firewall.ufw_active;
  view.live = FindRule(firewall.live, rule) != nullptr;
  if (const UfwRule* there = FindRule(firewall.rules, rule); there != nullptr) {
    view.written = true;
    view.ours = there->action == "allow" && there->comment == comment;
    view.found = fmt::format("{} with comment \"{}\"", there->action, there->comment);
  }
  return view;
}

std::string CommentOf(const RuleStep& step, const std::string& run_id) {
  return step.goes.empty() ? RuleComment(run_id) : step.goes;
}

}  // namespace

std::string RuleComment(const std::string& run_id) { return std::string(kRuleMark) + run_id; }

absl::StatusOr<std::string> NodeSteps::CaptureRule(const RuleStep& step, const std::string& run_id) {
  const std::lock_guard<std::mutex> lock(firewall_mutex_);
  PHX_ASSIGN_OR_RETURN(const RuleView view, Look(host_, step.rule, CommentOf(step, run_id)));
  return nlohmann::json{{"there", view.written && !view.ours ? view.found : ""}}.dump();
}

absl::Status NodeSteps::PutRule(const RuleStep& step, const kit::StepContext& context) {
  const std::lock_guard<std::mutex> lock(firewall_mutex_);
  const std::string comment = CommentOf(step, context.run_id);
  PHX_ASSIGN_OR_RETURN(RuleView view, Look(host_, step.rule, comment));
  if (!view.ufw_active) return Aborted("ufw was switched off by somebody else meanwhile");
  if (view.written && !view.ours) {
    return Aborted("{} was set by somebody else meanwhile: {}", KeyOf(step.rule), view.found);
  }
  if (view.ours && view.live) return absl::OkStatus();
  // Written down but not in force: ufw would skip it as existing, so it is taken out first.
  if (view.ours) PHX_RETURN_IF_ERROR(host_.DeleteRule(step.rule, comment, context.on_child));
  const absl::Status said = host_.AllowRule(step.rule, comment, context.on_child);
  PHX_ASSIGN_OR_RETURN(view, Look(host_, step.rule, comment));
  if (view.ours && view.live) return absl::OkStatus();
  return Internal("{} is {} and {}: {}", KeyOf(step.rule), view.ours ? "written down" : "not written down",
                  view.live ? "in force" : "not in force",
                  said.ok() ? "ufw reported success" : Message(said));
}

absl::StatusOr<kit::ProbeResult> NodeSteps::ProbeRule(const RuleStep& step, const kit::StepContext& context) {
  const std::lock_guard<std::mutex> lock(firewall_mutex_);
  PHX_ASSIGN_OR_RETURN(const RuleView view, Look(host_, step.rule, CommentOf(step, context.run_id)));
  const bool goes = !step.goes.empty();
  if (view.written && !view.ours) return kit::ProbeResult{kit::Probe::kForeign, view.found};
  if (view.ours && view.live) return kit::ProbeResult{goes ? kit::Probe::kNotDone : kit::Probe::kDone, ""};
  if (view.ours) return kit::ProbeResult{kit::Probe::kPartial, "written down but not in force"};
  if (view.live) return kit::ProbeResult{kit::Probe::kPartial, "in force but not written down"};
  return kit::ProbeResult{goes ? kit::Probe::kDone : kit::Probe::kNotDone, ""};
}

absl::Status NodeSteps::TakeRuleAway(const RuleStep& step, const kit::StepContext& context) {
  const std::lock_guard<std::mutex> lock(firewall_mutex_);
  const std::string comment = CommentOf(step, context.run_id);
  PHX_ASSIGN_OR_RETURN(RuleView view, Look(host_, step.rule, comment));
  if (view.written && !view.ours) {
    return FailedPrecondition("{} was changed by somebody else and stays: {}", KeyOf(step.rule), view.found);
  }
  absl::Status said;
  // ufw writes its file first, then loads it: what is in force only is half of a deletion, and deleting loads
  // anew.
  if (!view.written && view.live) said.Update(host_.AllowRule(step.rule, comment, context.on_child));
  if (view.written || view.live) said.Update(host_.DeleteRule(step.rule, comment, context.on_child));
  PHX_ASSIGN_OR_RETURN(view, Look(host_, step.rule, comment));
  if (!view.written && !view.live) return absl::OkStatus();
  return Internal("{} is still {}: {}", KeyOf(step.rule), view.written ? "written down" : "in force",
                  said.ok() ? "ufw reported success" : Message(said));
}

std::vector<std::string> NodeSteps::CommandsToUndoRule(const RuleStep& step,
                                                       const kit::StepContext& context) {
  return {fmt::format("ufw {}allow proto {} from {} to any port {} comment '{}'",
                      step.goes.empty() ? "delete " : "", step.rule.protocol, step.rule.client,
                      step.rule.port, CommentOf(step, context.run_id))};
}

}  // namespace phoenix::node
