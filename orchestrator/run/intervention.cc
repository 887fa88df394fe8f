#include "orchestrator/run/intervention.h"

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::run {
namespace {

absl::Status TooLate(const RunState& state, std::string_view what) {
  return WithReason(FailedPrecondition("the run is {}: it cannot be {} any more", ToText(state.phase), what),
                    {"TOO_LATE", {{"state", std::string(ToText(state.phase))}}});
}

absl::Status NotYet(const RunState& state, std::string_view what) {
  return WithReason(
      FailedPrecondition("the run is {}: there is nothing to {} yet", ToText(state.phase), what),
      {"NOT_YET", {{"state", std::string(ToText(state.phase))}}});
}

absl::Status CheckApproval(const RunState& state, const std::string& plan_digest) {
  if (!state.request->await_approval) return FailedPrecondition("the run waits for no approval");
  if (state.phase == Phase::kPlanning) return NotYet(state, "approve");
  if (state.plan->digest != plan_digest) {
    return WithReason(
        FailedPrecondition("the run's plan is {}, not {}: look at it again (`phoenix runs show`)",
                           state.plan->digest, plan_digest),
        {"OTHER_PLAN", {{"plan_digest", state.plan->digest}}});
  }
  return absl::OkStatus();
}

Event Ended(std::string error) {
  Event event;
  event.kind = Event::Kind::kEnded;
  event.phase = Phase::kNothingDone;
  event.error = std::move(error);
  return event;
}

}  // namespace

Intervention Approve(const RunState& state, const std::string& plan_digest) {
  PHX_RETURN_IF_ERROR(CheckApproval(state, plan_digest));
  if (state.approved) return std::nullopt;
  if (state.phase != Phase::kAwaitingApproval) return TooLate(state, "approved");
  Event event;
  event.kind = Event::Kind::kApproved;
  return event;
}

Intervention Deny(const RunState& state, const std::string& plan_digest) {
  PHX_RETURN_IF_ERROR(CheckApproval(state, plan_digest));
  if (state.phase != Phase::kAwaitingApproval || state.approved) return TooLate(state, "denied");
  return Ended("the plan was denied");
}

Intervention Confirm(const RunState& state) {
  if (state.request->confirm_within_ns == 0) return FailedPrecondition("the run waits for no confirmation");
  if (state.confirmed && state.phase != Phase::kRollingBack && state.phase != Phase::kRolledBack)
    return std::nullopt;
  if (state.Ended() || state.phase == Phase::kRollingBack) return TooLate(state, "confirmed");
  const bool armed = std::all_of(state.participants.begin(), state.participants.end(),
                                 [](const auto& participant) { return participant.second.confirm_armed; });
  if (state.phase != Phase::kAwaitingConfirm || !armed) return NotYet(state, "confirm");
  Event event;
  event.kind = Event::Kind::kConfirmed;
  return event;
}

Intervention Cancel(const RunState& state, const std::string& reason) {
  if (state.phase == Phase::kRollingBack) return std::nullopt;
  if (state.Ended() || state.phase == Phase::kCommitted) return TooLate(state, "cancelled");
  const std::string text = reason.empty() ? "cancelled" : "cancelled: " + reason;
  if (state.phase == Phase::kPlanning || state.phase == Phase::kAwaitingApproval) return Ended(text);
  Event event;
  event.kind = Event::Kind::kRollingBack;
  event.error = text;
  return event;
}

absl::StatusOr<Request> RollbackOf(const std::string& run_id, const RunState& state) {
  const auto refuse = [&](std::string_view why) {
    return WithReason(FailedPrecondition("run {} cannot be rolled back: {}", run_id, why),
                      {"NOT_REVERSIBLE", {{"run", run_id}, {"state", std::string(ToText(state.phase))}}});
  };
  if (!state.request->rollback_of.empty()) {
    return refuse(fmt::format("it is itself the rollback of run {}; set up the configuration again instead",
                              state.request->rollback_of));
  }
  if (state.phase != Phase::kCommitted || !state.Ended())
    return refuse(fmt::format("it is {}, not COMMITTED", ToText(state.phase)));
  Request request;
  request.title = "rollback of " + run_id;
  request.rollback_of = run_id;
  request.deadline_ns = state.request->deadline_ns;
  for (const auto& [id, standing] : state.participants) request.rollback_participants.push_back(id);
  for (const NodeAddress& node : state.request->nodes) {
    const bool took_part = std::any_of(state.participants.begin(), state.participants.end(),
                                       [&](const auto& one) { return one.first.node == node.name; });
    if (took_part) request.nodes.push_back(node);
  }
  return request;
}

}  // namespace phoenix::run
