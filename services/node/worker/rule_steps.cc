// Firewall steps: allow with our comment, and delete what carries it. ufw's exit code says little (it builds
// an error without raising it when iptables fails), so the file and the kernel are both asked after each
// change. Of Proxmox VE's firewall only what is written down is asked: its own service has it in force within
// ten seconds.
#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/node/worker/node_steps.h"

namespace phoenix::node {
namespace {

struct RuleView {
  bool in_charge = false;  // the rule's firewall still decides
  bool written = false;
  bool ours = false;  // allowing, with our run's comment
  bool live = false;
  std::string found;
};

absl::StatusOr<RuleView> Look(NodeHost& host, const RuleStep& step, const std::string& comment) {
  PHX_ASSIGN_OR_RETURN(const FirewallState firewall, host.Firewall(step.firewall));
  RuleView view;
  view.in_charge = firewall.InCharge() == step.firewall;
  view.live = IsInForce(firewall, step.rule);
  if (const SeenRule* there = FindRule(firewall.rules, step.rule); there != nullptr) {
    view.written = true;
    view.live = view.live || step.firewall == Firewall::kPve;
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
  PHX_ASSIGN_OR_RETURN(const auto lock, host_.LockFirewall());
  PHX_ASSIGN_OR_RETURN(const RuleView view, Look(host_, step, CommentOf(step, run_id)));
  return nlohmann::json{{"there", view.written && !view.ours ? view.found : ""}}.dump();
}

absl::Status NodeSteps::PutRule(const RuleStep& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const auto lock, host_.LockFirewall());
  const std::string comment = CommentOf(step, context.run_id);
  PHX_ASSIGN_OR_RETURN(RuleView view, Look(host_, step, comment));
  if (!view.in_charge)
    return Aborted("{} was switched off by somebody else meanwhile", NameOf(step.firewall));
  if (view.written && !view.ours) {
    return Aborted("{} was set by somebody else meanwhile: {}", KeyOf(step.rule), view.found);
  }
  if (view.ours && view.live) return absl::OkStatus();
  // Written down but not in force: ufw would skip it as existing, so it is taken out first.
  if (view.ours) PHX_RETURN_IF_ERROR(host_.DeleteRule(step.firewall, step.rule, comment, context.on_child));
  const absl::Status said = host_.AllowRule(step.firewall, step.rule, comment, context.on_child);
  PHX_ASSIGN_OR_RETURN(view, Look(host_, step, comment));
  if (view.ours && view.live) return absl::OkStatus();
  return Internal("{} is {} and {}: {}", KeyOf(step.rule), view.ours ? "written down" : "not written down",
                  view.live ? "in force" : "not in force",
                  said.ok() ? std::string(NameOf(step.firewall)) + " reported success" : Message(said));
}

absl::StatusOr<kit::ProbeResult> NodeSteps::ProbeRule(const RuleStep& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const auto lock, host_.LockFirewall());
  PHX_ASSIGN_OR_RETURN(const RuleView view, Look(host_, step, CommentOf(step, context.run_id)));
  const bool goes = !step.goes.empty();
  if (view.written && !view.ours) return kit::ProbeResult{kit::Probe::kForeign, view.found};
  if (view.ours && view.live) return kit::ProbeResult{goes ? kit::Probe::kNotDone : kit::Probe::kDone, ""};
  if (view.ours) return kit::ProbeResult{kit::Probe::kPartial, "written down but not in force"};
  if (view.live) return kit::ProbeResult{kit::Probe::kPartial, "in force but not written down"};
  return kit::ProbeResult{goes ? kit::Probe::kDone : kit::Probe::kNotDone, ""};
}

absl::Status NodeSteps::TakeRuleAway(const RuleStep& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const auto lock, host_.LockFirewall());
  const std::string comment = CommentOf(step, context.run_id);
  PHX_ASSIGN_OR_RETURN(RuleView view, Look(host_, step, comment));
  if (view.written && !view.ours) {
    return FailedPrecondition("{} was changed by somebody else and stays: {}", KeyOf(step.rule), view.found);
  }
  absl::Status said;
  // ufw writes its file first, then loads it: what is in force only is half of a deletion, and deleting loads
  // anew.
  if (!view.written && view.live)
    said.Update(host_.AllowRule(step.firewall, step.rule, comment, context.on_child));
  if (view.written || view.live)
    said.Update(host_.DeleteRule(step.firewall, step.rule, comment, context.on_child));
  PHX_ASSIGN_OR_RETURN(view, Look(host_, step, comment));
  if (!view.written && !view.live) return absl::OkStatus();
  return Internal("{} is still {}: {}", KeyOf(step.rule), view.written ? "written down" : "in force",
                  said.ok() ? std::string(NameOf(step.firewall)) + " reported success" : Message(said));
}

std::vector<std::string> NodeSteps::CommandsToUndoRule(const RuleStep& step,
                                                       const kit::StepContext& context) {
  const std::string comment = CommentOf(step, context.run_id);
  if (step.firewall == Firewall::kPve) {
    return {fmt::format(
        "# in the firewall of the node in Proxmox VE, {} the rule IN ACCEPT from {} to port {}/{} "
        "with the comment \"{}\"",
        step.goes.empty() ? "delete" : "add", step.rule.client, step.rule.port, step.rule.protocol, comment)};
  }
  return {fmt::format("ufw {}allow proto {} from {} to any port {} comment '{}'",
                      step.goes.empty() ? "delete " : "", step.rule.protocol, step.rule.client,
                      step.rule.port, comment)};
}

}  // namespace phoenix::node
