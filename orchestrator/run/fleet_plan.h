// One plan out of every participant's. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <utility>
#include <vector>

#include "orchestrator/run/event.h"
#include "services/kit/plan/order.h"

namespace phoenix::run {

// Orders the steps of all participants by their keys and digests the whole. `provided_now`: (node, key)
// pairs. `hosts`: the nodes by their names and addresses, as they know each other.
absl::StatusOr<FleetPlan> MakeFleetPlan(std::vector<PlannedParticipant> participants,
                                        const std::vector<std::pair<std::string, std::string>>& provided_now,
                                        const kit::Hosts& hosts = {});

// For one step of a participant: a step of a sibling on the same node that was built on it, and must be
// undone first.
struct UndoEdge {
  std::string step_id;
  std::string sibling;
  std::string sibling_step_id;
};
std::vector<UndoEdge> UndoEdgesOf(const FleetPlan& plan, const ParticipantId& id);

}  // namespace phoenix::run
