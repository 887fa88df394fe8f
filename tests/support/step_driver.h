// Drives a domain's steps without journal or daemon, as the kit would: plan, order, capture, do, probe, undo
// in reverse. The three property tests of every domain stand on it.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/participant/domain.h"
#include "services/kit/plan/order.h"

namespace phoenix::testing {

class StepDriver {
 public:
  // `given`: keys that other participants are taken to have provided.
  explicit StepDriver(kit::Domain& domain, std::vector<std::string> given = {})
      : domain_(domain), given_(std::move(given)) {}

  // Plans, takes the checkpoint and captures, as a Prepare would. Repeats on this object begin a new run.
  absl::Status Prepare(const kit::PlanInput& wanted, const std::string& run_id) {
    run_id_ = run_id;
    kit::PlanInput input = wanted;
    input.ledger = ledger_;
    secrets_ = input.secrets;
    PHX_ASSIGN_OR_RETURN(plan_, domain_.MakePlan(input));
    std::vector<kit::PlacedStep> placed;
    for (const auto& step : plan_.steps) placed.push_back({"node", "domain", &step});
    std::vector<std::pair<std::string, std::string>> provided;
    for (const auto& key : given_) provided.emplace_back("node", key);
    for (const auto& key : plan_.provided_now) provided.emplace_back("node", key);
    PHX_ASSIGN_OR_RETURN(order_, kit::DeriveOrder(placed, provided));
    captured_.clear();
    done_.clear();
    PHX_RETURN_IF_ERROR(domain_.Checkpoint(run_id_, plan_.steps, input.disturbed_keys));
    for (const auto& step : plan_.steps) {
      bool satisfied = true;
      for (const auto& need : step.requires_keys) satisfied = satisfied && need.satisfied_now;
      if (!satisfied) continue;
      PHX_ASSIGN_OR_RETURN(captured_[step.id], domain_.Capture(step, run_id_));
    }
    return absl::OkStatus();
  }

  // Does the first `count` steps in order; `repeat` does each twice.
  absl::Status Apply(size_t count = static_cast<size_t>(-1), bool repeat = false) {
    for (size_t i = 0; i < order_.sequence.size() && i < count; ++i) {
      PHX_RETURN_IF_ERROR(ApplyOne(plan_.steps[order_.sequence[i]], repeat));
    }
    return absl::OkStatus();
  }

  // Undoes everything that was done, or begun, in reverse; `repeat` undoes each twice.
  absl::Status Undo(bool repeat = false) {
    left_.clear();
    while (!done_.empty()) {
      const kit::Step& step = *done_.back();
      kit::StepContext context = Context(step);
      context.undoing = true;
      for (int times = repeat ? 2 : 1; times > 0; --times) {
        PHX_RETURN_IF_ERROR(Annotate(domain_.Undo(step, context), "undo " + step.id));
      }
      PHX_ASSIGN_OR_RETURN(const auto probe, domain_.ProbeStep(step, context));
      if (probe.probe != kit::Probe::kNotDone) {
        return Internal("{} is still there after undo: {}", step.id, probe.found);
      }
      if (!probe.left.empty()) left_.push_back(probe.left);
      done_.pop_back();
    }
    return domain_.Close(run_id_, /*committed=*/false);
  }

  // What is there of the step whose undo went wrong.
  absl::StatusOr<kit::ProbeResult> ProbeLast() {
    return domain_.ProbeStep(*done_.back(), Context(*done_.back()));
  }

  // What is left to a person of that step.
  std::vector<std::string> RemainingOfLast() {
    return domain_.RemainingCommands(*done_.back(), Context(*done_.back()));
  }
  // What becomes of a step of the plan when its run is rolled back.
  absl::StatusOr<kit::Retrospect> LookBackOn(const std::string& id) {
    for (const auto& step : plan_.steps) {
      if (step.id == id) return domain_.LookBack(step, Context(step));
    }
    return NotFound("the plan has no step {}", id);
  }

  // What the last undo left of what the steps named as their remainders.
  const std::vector<std::string>& left() const { return left_; }

  absl::Status Commit() { return domain_.Close(run_id_, /*committed=*/true); }

  const kit::Plan& plan() const { return plan_; }
  const kit::Order& order() const { return order_; }
  kit::Ledger& ledger() { return ledger_; }
  const kit::Step& StepAt(size_t position) const { return plan_.steps[order_.sequence[position]]; }

 private:
  kit::StepContext Context(const kit::Step& step) {
    kit::StepContext context{.run_id = run_id_, .captured = captured_[step.id], .secrets = &secrets_};
    context.node_key = Secret("test node key");
    context.on_child = [](const ChildIdentity&) { return absl::OkStatus(); };
    return context;
  }

  absl::Status ApplyOne(const kit::Step& step, bool repeat) {
    PHX_ASSIGN_OR_RETURN(const std::string captured, domain_.Capture(step, run_id_));
    if (captured_.count(step.id) == 0) captured_[step.id] = captured;
    if (captured_[step.id] != captured) {
      return Aborted("{} changed between prepare and do:\n{}\n{}", step.id, captured_[step.id], captured);
    }
    done_.push_back(&step);
    for (int times = repeat ? 2 : 1; times > 0; --times) {
      PHX_RETURN_IF_ERROR(Annotate(domain_.Do(step, Context(step)), "do " + step.id));
    }
    PHX_ASSIGN_OR_RETURN(const auto probe, domain_.ProbeStep(step, Context(step)));
    if (probe.probe != kit::Probe::kDone) return Internal("{} is not done: {}", step.id, probe.found);
    PHX_ASSIGN_OR_RETURN(const auto change, domain_.LedgerOf(step, Context(step)));
    for (auto entry : change.put) {
      entry.run_id = run_id_;
      ledger_[entry.key] = entry;
    }
    for (const auto& key : change.remove) ledger_.erase(key);
    return absl::OkStatus();
  }

  kit::Domain& domain_;
  std::vector<std::string> given_, left_;
  std::string run_id_;
  Secrets secrets_;
  kit::Plan plan_;
  kit::Order order_;
  std::map<std::string, std::string> captured_;
  std::vector<const kit::Step*> done_;
  kit::Ledger ledger_;
};

}  // namespace phoenix::testing
