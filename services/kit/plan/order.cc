#include "services/kit/plan/order.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
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

// Where what a step needs is looked for.
struct Wanted {
  bool everywhere = false;
  std::string node;
  std::string key;

  bool IsLookedForOn(const std::string& other) const { return everywhere || node == other; }
};

Wanted WantedBy(const PlacedStep& placed, const std::string& key, const Hosts& hosts) {
  if (IsDefinition(key)) return {true, "", key};
  const auto remote = ServerAndKey(key);
  if (!remote) return {false, placed.node, key};
  const auto host = hosts.find(remote->first);
  // A server that no node of the run is has its own ways: nothing here has this key.
  if (host == hosts.end()) return {false, placed.node, key};
  return {false, host->second, std::string(remote->second)};
}

// The steps whose provided key satisfies the wanted one most specifically.
std::vector<size_t> ProvidersOf(const std::vector<PlacedStep>& steps, const Wanted& wanted) {
  std::vector<size_t> providers;
  size_t best = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!wanted.IsLookedForOn(steps[i].node)) continue;
    for (const std::string& provided : steps[i].step->provides) {
      if (!Satisfies(provided, wanted.key)) continue;
      if (Specificity(provided) > best) {
        best = Specificity(provided);
        providers.clear();
      }
      if (Specificity(provided) == best) providers.push_back(i);
    }
  }
  return providers;
}

std::string TextOfMissing(const PlacedStep& placed, const std::string& key) {
  if (!IsDefinition(key)) {
    const std::string_view way_out = WayOutOf(key);
    return fmt::format("{} needs {}, which is not there and which no step provides{}{}", NameOfStep(placed),
                       WithoutWayOut(key), way_out.empty() ? "" : ": ", way_out);
  }
  return fmt::format(
      "{} wants it to be \"{}\", which it is not on the nodes that have it, and no step makes it so; one "
      "entry "
      "has one definition: declare the same on every node, or another id",
      NameOfStep(placed), ObjectAndDefinition(key).second);
}

// One object of a cluster has one definition, whoever declares it.
absl::Status CheckDefinitions(const std::vector<PlacedStep>& steps,
                              const std::vector<std::pair<std::string, std::string>>& provided_now) {
  struct Claim {
    std::string node;
    std::string_view definition;
  };
  std::map<std::string_view, Claim> claims;
  std::map<std::string_view, FieldViolation> problems;
  const auto claim = [&](const std::string& node, std::string_view key) {
    if (!IsDefinition(key)) return;
    const auto [object, definition] = ObjectAndDefinition(key);
    const auto [first, is_new] = claims.emplace(object, Claim{node, definition});
    if (is_new || first->second.definition == definition) return;
    const std::string_view name = object.substr(object.find('/') + 1);
    problems.emplace(
        object, FieldViolation{
                    std::string(name),
                    fmt::format("the nodes of cluster {} have one {}, which {} declares as \"{}\" and {} as "
                                "\"{}\": declare the same on both, or another id on one of them",
                                object.substr(0, object.find('/')), name, first->second.node,
                                first->second.definition, node, definition)});
  };
  for (const auto& [node, key] : provided_now) claim(node, key);
  for (const PlacedStep& placed : steps) {
    for (const std::string& key : placed.step->provides) claim(placed.node, key);
    for (const Requirement& requirement : placed.step->requires_keys) claim(placed.node, requirement.key);
  }
  if (problems.empty()) return absl::OkStatus();
  std::string text = "the plan does not fit together:";
  std::vector<FieldViolation> violations;
  for (auto& [object, problem] : problems) {
    text += "\n  " + problem.description;
    violations.push_back(std::move(problem));
  }
  return WithViolations(WithReason(FailedPrecondition("{}", text), {"PLAN_CONFLICT", {}}), violations);
}

bool Disturbs(const Step& step, std::string_view path) {
  return std::any_of(step.disturbs.begin(), step.disturbs.end(),
                     [&](const std::string& key) { return KindOf(key) == "path" && Satisfies(key, path); });
}

bool NeedsDisturbed(const Step& step, const Step& disturber) {
  return std::any_of(step.requires_keys.begin(), step.requires_keys.end(),
                     [&](const Requirement& requirement) {
                       return KindOf(requirement.key) == "path" && Disturbs(disturber, requirement.key);
                     });
}

// A path that a step takes from everybody for a while, by unmounting it. Who writes into it has done so by
// then, so that whatever is written afterwards is somebody else's; who gives it up no longer keeps it from
// being unmounted, and who begins to use it does not yet. Among one participant's steps only the keys decide:
// it knows its own.
enum class Turn { kNone, kBefore, kAfter };
Turn TurnAt(const PlacedStep& other, const PlacedStep& disturber) {
  if (other.node != disturber.node || other.participant == disturber.participant) return Turn::kNone;
  const auto written = WrittenPaths(other.step->disturbs);
  const bool writes = std::any_of(written.begin(), written.end(), [&](const std::string& path) {
    return Disturbs(*disturber.step, Key("path", path));
  });
  if (writes) return Turn::kBefore;
  if (!NeedsDisturbed(*other.step, *disturber.step)) return Turn::kNone;
  return other.step->removes.empty() ? Turn::kAfter : Turn::kBefore;
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

std::vector<std::vector<size_t>> Dependencies(const std::vector<PlacedStep>& steps, const Hosts& hosts) {
  std::vector<std::set<size_t>> before(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    for (const Requirement& requirement : steps[i].step->requires_keys) {
      const Wanted wanted = WantedBy(steps[i], requirement.key, hosts);
      for (const size_t provider : ProvidersOf(steps, wanted)) {
        if (provider != i) before[i].insert(provider);
      }
      for (size_t remover = 0; remover < steps.size(); ++remover) {
        if (remover == i || !wanted.IsLookedForOn(steps[remover].node)) continue;
        if (SatisfiedBy(steps[remover].step->removes, wanted.key)) before[remover].insert(i);
      }
    }
    for (size_t disturber = 0; disturber < steps.size(); ++disturber) {
      const Turn turn = TurnAt(steps[i], steps[disturber]);
      if (turn == Turn::kBefore) before[disturber].insert(i);
      if (turn == Turn::kAfter) before[i].insert(disturber);
    }
  }
  std::vector<std::vector<size_t>> sorted;
  for (const auto& earlier : before) sorted.emplace_back(earlier.begin(), earlier.end());
  return sorted;
}

absl::StatusOr<Order> DeriveOrder(const std::vector<PlacedStep>& steps,
                                  const std::vector<std::pair<std::string, std::string>>& provided_now,
                                  const Hosts& hosts) {
  PHX_RETURN_IF_ERROR(CheckDefinitions(steps, provided_now));
  std::vector<FieldViolation> problems;
  for (const PlacedStep& placed : steps) {
    for (const Requirement& requirement : placed.step->requires_keys) {
      const Wanted wanted = WantedBy(placed, requirement.key, hosts);
      bool satisfied = requirement.satisfied_now;
      for (const auto& [node, key] : provided_now) {
        satisfied = satisfied || (wanted.IsLookedForOn(node) && Satisfies(key, wanted.key));
      }
      for (const size_t provider : ProvidersOf(steps, wanted)) {
        satisfied = satisfied || steps[provider].step != placed.step;
      }
      if (!satisfied) problems.push_back({RequirementsOf(placed), TextOfMissing(placed, requirement.key)});
      for (const PlacedStep& remover : steps) {
        if (remover.step == placed.step || !wanted.IsLookedForOn(remover.node) ||
            !placed.step->removes.empty())
          continue;
        if (!SatisfiedBy(remover.step->removes, wanted.key)) continue;
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
  order.before = Dependencies(steps, hosts);
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
