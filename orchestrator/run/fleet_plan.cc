#include "orchestrator/run/fleet_plan.h"

#include <algorithm>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::run {

absl::StatusOr<FleetPlan> MakeFleetPlan(std::vector<PlannedParticipant> participants,
                                        const std::vector<std::pair<std::string, std::string>>& provided_now,
                                        const kit::Hosts& hosts) {
  FleetPlan plan;
  std::sort(participants.begin(), participants.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  plan.participants = std::move(participants);
  std::vector<kit::PlacedStep> placed;
  std::vector<PlannedStep> places;
  std::string digests = "phoenix fleet plan 1\n";
  for (size_t p = 0; p < plan.participants.size(); ++p) {
    const PlannedParticipant& participant = plan.participants[p];
    if (participant.TakesPart()) {
      digests +=
          fmt::format("{} {} {}\n", participant.id.node, participant.id.participant, participant.plan_digest);
    }
    for (size_t s = 0; s < participant.steps.size(); ++s) {
      placed.push_back({participant.id.node, participant.id.participant, &participant.steps[s]});
      places.push_back({p, s, {}});
    }
  }
  PHX_ASSIGN_OR_RETURN(const kit::Order order, kit::DeriveOrder(placed, provided_now, hosts));
  std::vector<size_t> position_of(placed.size());
  for (size_t i = 0; i < order.sequence.size(); ++i) position_of[order.sequence[i]] = i;
  for (const size_t index : order.sequence) {
    PlannedStep step = places[index];
    for (const size_t earlier : order.before[index]) step.before.push_back(position_of[earlier]);
    std::sort(step.before.begin(), step.before.end());
    plan.sequence.push_back(std::move(step));
  }
  plan.barrier = order.barrier;
  for (const auto& [node, key] : provided_now) plan.provided_now.push_back(key);
  plan.digest = Sha256Hex(digests);
  return plan;
}

std::vector<UndoEdge> UndoEdgesOf(const FleetPlan& plan, const ParticipantId& id) {
  std::vector<UndoEdge> edges;
  for (size_t i = 0; i < plan.sequence.size(); ++i) {
    const ParticipantId& consumer = plan.OwnerOf(i);
    if (consumer.node != id.node || consumer.participant == id.participant) continue;
    for (const size_t earlier : plan.sequence[i].before) {
      if (plan.OwnerOf(earlier) != id) continue;
      edges.push_back({plan.StepAt(earlier).id, consumer.participant, plan.StepAt(i).id});
    }
  }
  return edges;
}

}  // namespace phoenix::run
