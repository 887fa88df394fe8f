#include "orchestrator/run/event.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace phoenix::run {

namespace {

// The first few of many texts; all of them are in the event.
std::string Some(const std::vector<std::string>& texts) {
  constexpr size_t kShown = 3;
  std::string some;
  for (size_t i = 0; i < texts.size() && i < kShown; ++i) some += (i == 0 ? ": " : "; ") + texts[i];
  if (texts.size() > kShown) some += fmt::format("; and {} probes more", texts.size() - kShown);
  return some;
}

}  // namespace

std::string ToText(const ParticipantId& id) { return id.node + "/" + id.participant; }

const PlannedParticipant* FleetPlan::Find(const ParticipantId& id) const {
  for (const auto& participant : participants) {
    if (participant.id == id) return &participant;
  }
  return nullptr;
}

std::string_view ToText(Phase phase) {
  switch (phase) {
    case Phase::kPlanning:
      return "PLANNING";
    case Phase::kAwaitingApproval:
      return "AWAITING_APPROVAL";
    case Phase::kPreparing:
      return "PREPARING";
    case Phase::kApplying:
      return "APPLYING";
    case Phase::kVerifying:
      return "VERIFYING";
    case Phase::kAwaitingConfirm:
      return "AWAITING_CONFIRM";
    case Phase::kCommitting:
      return "COMMITTING";
    case Phase::kCommitted:
      return "COMMITTED";
    case Phase::kRollingBack:
      return "ROLLING_BACK";
    case Phase::kRolledBack:
      return "ROLLED_BACK";
    case Phase::kQuarantined:
      return "QUARANTINED";
    case Phase::kNothingDone:
      return "NOTHING_DONE";
  }
  return "?";
}

std::string_view ToText(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::kCreated:
      return "CREATED";
    case Event::Kind::kPlanned:
      return "PLANNED";
    case Event::Kind::kPhaseBegan:
      return "PHASE_BEGAN";
    case Event::Kind::kPrepared:
      return "PREPARED";
    case Event::Kind::kDispatched:
      return "STEPS_DISPATCHED";
    case Event::Kind::kApplied:
      return "STEPS_APPLIED";
    case Event::Kind::kVerified:
      return "VERIFIED";
    case Event::Kind::kConfirmArmed:
      return "CONFIRM_ARMED";
    case Event::Kind::kCommitPrepared:
      return "COMMIT_PREPARED";
    case Event::Kind::kCommitted:
      return "COMMITTED";
    case Event::Kind::kCommitDelivered:
      return "COMMIT_DELIVERED";
    case Event::Kind::kRollingBack:
      return "ROLLING_BACK";
    case Event::Kind::kUndone:
      return "UNDONE";
    case Event::Kind::kApproved:
      return "APPROVED";
    case Event::Kind::kConfirmed:
      return "CONFIRMED";
    case Event::Kind::kEnded:
      return "ENDED";
  }
  return "?";
}

std::string Describe(const Event& event) {
  const std::string who = ToText(event.who);
  switch (event.kind) {
    case Event::Kind::kCreated:
      return fmt::format("run created over {} node(s){}{}", event.request->nodes.size(),
                         event.request->allow.empty()
                             ? ""
                             : fmt::format(", allowed: {}", fmt::join(event.request->allow, ", ")),
                         event.request->no_install ? ", no packages" : "");
    case Event::Kind::kPlanned:
      return fmt::format("planned {} steps", event.plan->sequence.size());
    case Event::Kind::kPhaseBegan:
      return fmt::format("{}", ToText(event.phase));
    case Event::Kind::kPrepared:
      return event.ok ? fmt::format("{}: lock taken, undo captured", who)
                      : fmt::format("{}: not prepared: {}", who, event.error);
    case Event::Kind::kDispatched:
      return fmt::format("{}: doing {}", who, fmt::join(event.step_ids, ", "));
    case Event::Kind::kApplied:
      if (!event.ok) return fmt::format("{}: {}", who, event.error);
      for (const auto& result : event.results) {
        if (result.result != StepResult::Result::kDone) {
          return fmt::format("{}: {} failed: {}", who, result.step_id, result.error);
        }
      }
      return fmt::format("{}: done {}", who, fmt::join(event.step_ids, ", "));
    case Event::Kind::kVerified:
      return event.ok ? fmt::format("{}: verified{}", who, Some(event.texts))
                      : fmt::format("{}: not verified: {}", who, event.error);
    case Event::Kind::kConfirmArmed:
      return event.ok ? fmt::format("{}: waits for confirmation", who)
                      : fmt::format("{}: cannot wait for confirmation: {}", who, event.error);
    case Event::Kind::kCommitPrepared:
      return fmt::format("{}: ready to commit", who);
    case Event::Kind::kCommitted:
      return "committed: every node keeps the new state";
    case Event::Kind::kCommitDelivered:
      return fmt::format("{}: committed", who);
    case Event::Kind::kRollingBack:
      return fmt::format("rolling back: {}", event.error);
    case Event::Kind::kUndone:
      return event.ok ? fmt::format("{}: undone", who) : fmt::format("{}: not undone: {}", who, event.error);
    case Event::Kind::kApproved:
      return "approved";
    case Event::Kind::kConfirmed:
      return "confirmed";
    case Event::Kind::kEnded:
      return fmt::format("ended {}", ToText(event.phase));
  }
  return "?";
}

}  // namespace phoenix::run
