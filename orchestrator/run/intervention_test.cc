#include "orchestrator/run/intervention.h"

#include <gtest/gtest.h>

#include "base/status/errors.h"

namespace phoenix::run {
namespace {

RunState In(Phase phase) {
  RunState state;
  auto request = std::make_shared<Request>();
  request->await_approval = true;
  request->confirm_within_ns = 1;
  state.request = request;
  auto plan = std::make_shared<FleetPlan>();
  plan->digest = "d";
  state.plan = plan;
  state.phase = phase;
  state.participants[{"a", "zfs"}].confirm_armed = true;
  if (phase == Phase::kCommitted) state.ended_seconds = 1;
  return state;
}

constexpr Phase kAll[] = {Phase::kPlanning,   Phase::kAwaitingApproval, Phase::kPreparing,
                          Phase::kApplying,   Phase::kVerifying,        Phase::kAwaitingConfirm,
                          Phase::kCommitting, Phase::kCommitted,        Phase::kRollingBack,
                          Phase::kRolledBack, Phase::kQuarantined,      Phase::kNothingDone};

TEST(Intervention, ApproveAndDenyCountOnlyWhileThePlanWaits) {
  for (const Phase phase : kAll) {
    EXPECT_EQ(Approve(In(phase), "d").ok(), phase == Phase::kAwaitingApproval) << ToText(phase);
    EXPECT_EQ(Deny(In(phase), "d").ok(), phase == Phase::kAwaitingApproval) << ToText(phase);
  }
  EXPECT_EQ((*Approve(In(Phase::kAwaitingApproval), "d"))->kind, Event::Kind::kApproved);
  EXPECT_EQ((*Deny(In(Phase::kAwaitingApproval), "d"))->phase, Phase::kNothingDone);
  EXPECT_FALSE(Approve(In(Phase::kAwaitingApproval), "other").ok());
  EXPECT_FALSE(Deny(In(Phase::kAwaitingApproval), "other").ok());
  RunState approved = In(Phase::kApplying);
  approved.approved = true;
  EXPECT_FALSE((*Approve(approved, "d")).has_value()) << "said twice, written once";
  EXPECT_FALSE(Deny(approved, "d").ok());
}

TEST(Intervention, ConfirmCountsOnceEverybodyHasArmed) {
  for (const Phase phase : kAll)
    EXPECT_EQ(Confirm(In(phase)).ok(), phase == Phase::kAwaitingConfirm) << ToText(phase);
  RunState half = In(Phase::kAwaitingConfirm);
  half.participants[{"b", "zfs"}];
  EXPECT_FALSE(Confirm(half).ok());
  RunState said = In(Phase::kCommitted);
  said.confirmed = true;
  EXPECT_FALSE((*Confirm(said)).has_value());
  said = In(Phase::kRolledBack);
  said.confirmed = true;
  EXPECT_FALSE(Confirm(said).ok()) << "confirmed, and undone all the same";
}

TEST(Intervention, CancelUndoesUntilTheDecisionIsLogged) {
  for (const Phase phase : kAll) {
    const auto cancelled = Cancel(In(phase), "why");
    switch (phase) {
      case Phase::kPlanning:
      case Phase::kAwaitingApproval:
        EXPECT_EQ((*cancelled)->kind, Event::Kind::kEnded);
        break;
      case Phase::kPreparing:
      case Phase::kApplying:
      case Phase::kVerifying:
      case Phase::kAwaitingConfirm:
      case Phase::kCommitting:
        EXPECT_EQ((*cancelled)->kind, Event::Kind::kRollingBack);
        EXPECT_EQ((*cancelled)->error, "cancelled: why");
        break;
      case Phase::kRollingBack:
        EXPECT_FALSE((*cancelled).has_value());
        break;
      case Phase::kCommitted:
      case Phase::kRolledBack:
      case Phase::kQuarantined:
      case Phase::kNothingDone:
        EXPECT_FALSE(cancelled.ok());
        break;
    }
  }
}

}  // namespace
}  // namespace phoenix::run
