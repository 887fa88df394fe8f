#include "services/kit/plan/order.h"

#include <algorithm>
#include <set>

#include "base/status/errors.h"
#include "services/kit/plan/keys.h"

namespace phoenix::kit {
namespace {

// A typed change has the steps of one participant only, which need no place.
std::string NameOfStep(const PlacedStep& placed) {
  const std::string name = fmt::format("{} {}", placed.step->action, placed.step->resource);
  return placed.node.empty() ? name : fmt::format("{}/{}: {}", placed.node, placed.participant, name);
}

std::string RequirementsOf(const PlacedStep& placed) {
  const std::string place = placed.node.empty() ? "" : placed.node + "/" + placed.participant + "/";
  return fmt::format("steps[{}{}].requirements", place, placed.step->id);
}

// The steps of `node` whose provided key satisfies `key` most specifically.
std::vector<size_t> ProvidersOf(const std::vector<PlacedStep>& steps, const std::string& node,
                                const std::string& key) {
  std::vector<size_t> providers;
  size_t best = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].node != node) continue;
    for (const std::string& provided : steps[i].step->provides) {
      if (!Satisfies(provided, key)) continue;
      if (Specificity(provided) > best) {
        best = Specificity(provided);
        providers.clear();
      }
      if (Specificity(provided) == best) providers.push_back(i);
    }
  }
  return providers;
}

// Depth-first topological order that keeps the given order where it can.
class Sorter {
 public:
  explicit Sorter(const std::vector<std::vector<size_t>>& before)
      : before_(before), mark_(before.size(), 0) {}
  // False on a cycle, which `cycle()` then names.
  bool Visit(size_t index) {
    if (mark_[index] == 2) return true;
    path_.push_back(index);
    if (mark_[index] == 1) return false;
    mark_[index] = 1;
    for (const size_t earlier : before_[index]) {
      if (!Visit(earlier)) return false;
    }
    mark_[index] = 2;
    path_.pop_back();
    sequence_.push_back(index);
    return true;
  }
  const std::vector<size_t>& sequence() const { return sequence_; }
  const std::vector<size_t>& cycle() const { return path_; }

 private:
  const std::vector<std::vector<size_t>>& before_;
  std::vector<int> mark_;
  std::vector<size_t> sequence_;
  std::vector<size_t> path_;
};

}  // namespace

std::vector<std::vector<size_t>> Dependencies(const std::vector<PlacedStep>& steps) {
  std::vector<std::set<size_t>> before(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    for (const Requirement& requirement : steps[i].step->requires_keys) {
      for (const size_t provider : ProvidersOf(steps, steps[i].node, requirement.key)) {
        if (provider != i) before[i].insert(provider);
      }
      for (size_t remover = 0; remover < steps.size(); ++remover) {
        if (remover == i || steps[remover].node != steps[i].node) continue;
        if (SatisfiedBy(steps[remover].step->removes, requirement.key)) before[remover].insert(i);
      }
    }
  }
  std::vector<std::vector<size_t>> sorted;
  for (const auto& earlier : before) sorted.emplace_back(earlier.begin(), earlier.end());
  return sorted;
}

absl::StatusOr<Order> DeriveOrder(const std::vector<PlacedStep>& steps,
                                  const std::vector<std::pair<std::string, std::string>>& provided_now) {
  std::vector<FieldViolation> problems;
  for (const PlacedStep& placed : steps) {
    for (const Requirement& requirement : placed.step->requires_keys) {
      bool satisfied = requirement.satisfied_now;
      for (const auto& [node, key] : provided_now) {
        satisfied = satisfied || (node == placed.node && Satisfies(key, requirement.key));
      }
      for (const size_t provider : ProvidersOf(steps, placed.node, requirement.key)) {
        satisfied = satisfied || steps[provider].step != placed.step;
      }
      if (!satisfied) {
        problems.push_back(
            {RequirementsOf(placed), fmt::format("{} needs {}, which is not there and which no step provides",
                                                 NameOfStep(placed), requirement.key)});
      }
      for (const PlacedStep& remover : steps) {
        if (remover.step == placed.step || remover.node != placed.node || !placed.step->removes.empty())
          continue;
        if (!SatisfiedBy(remover.step->removes, requirement.key)) continue;
        problems.push_back(
            {RequirementsOf(placed), fmt::format("{} needs {}, which «{}» takes away", NameOfStep(placed),
                                                 requirement.key, NameOfStep(remover))});
      }
    }
  }
  if (!problems.empty()) {
    std::string text = "the plan does not fit together:";
    for (const auto& problem : problems) text += "\n  " + problem.description;
    return WithViolations(WithReason(FailedPrecondition("{}", text), {"PLAN_INCONSISTENT", {}}), problems);
  }

  Order order;
  order.before = Dependencies(steps);
  Sorter sorter(order.before);
  for (size_t i = 0; i < steps.size(); ++i) {
    if (sorter.Visit(i)) continue;
    std::string text = "the steps need each other in a circle:";
    for (const size_t index : sorter.cycle()) text += fmt::format("\n  {}", NameOfStep(steps[index]));
    return WithReason(FailedPrecondition("{}", text), {"PLAN_CYCLE", {}});
  }
  // Points of no return, and whatever depends on one, come after everything that does not.
  std::vector<bool> late(steps.size(), false);
  for (const size_t index : sorter.sequence()) {
    late[index] = steps[index].step->step_class == StepClass::kPointOfNoReturn;
    for (const size_t earlier : order.before[index]) late[index] = late[index] || late[earlier];
  }
  for (const bool after_barrier : {false, true}) {
    for (const size_t index : sorter.sequence()) {
      if (late[index] == after_barrier) order.sequence.push_back(index);
    }
    if (!after_barrier) order.barrier = order.sequence.size();
  }
  return order;
}

}  // namespace phoenix::kit
