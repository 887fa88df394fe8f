// The order of steps, derived from their keys and from nothing else. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "services/kit/plan/step.h"

namespace phoenix::kit {

// A step and the machine it belongs to: keys of different nodes meet only as keys.h says.
struct PlacedStep {
  std::string node;
  std::string participant;
  const Step* step = nullptr;
};

// By what clients call it (an address, a name): the node.
using Hosts = std::map<std::string, std::string, std::less<>>;

struct Order {
  // before[i]: indexes of the steps that must be done before step i, ascending.
  std::vector<std::vector<size_t>> before;
  // A sequence that respects `before`, points of no return and what depends on them last; stable.
  std::vector<size_t> sequence;
  // Position in `sequence` of the first step after the barrier; sequence.size() when there is no point of no
  // return.
  size_t barrier = 0;
};

// before[i] alone: what step i waits for. Requirements that nothing here provides are passed over.
std::vector<std::vector<size_t>> Dependencies(const std::vector<PlacedStep>& steps, const Hosts& hosts = {});

// FAILED_PRECONDITION with every problem in its violations, reason PLAN_INCONSISTENT: a required key that
// nothing provides, a key that a step removes while another step goes on needing it. Their field is the
// step's, "steps[hv1/nfs/export:/a].requirements". FAILED_PRECONDITION with PLAN_CYCLE for a cycle.
// With PLAN_CONFLICT where nodes declare one object of their cluster differently.
// `provided_now`: (node, key) pairs of what participants say is there without any step.
absl::StatusOr<Order> DeriveOrder(const std::vector<PlacedStep>& steps,
                                  const std::vector<std::pair<std::string, std::string>>& provided_now = {},
                                  const Hosts& hosts = {});

}  // namespace phoenix::kit
