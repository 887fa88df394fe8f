// Runs and plans -> phoenix.orchestrator.v1.
#pragma once

#include "orchestrator/engine/run_engine.h"
#include "orchestrator/run/consent.h"
#include "orchestrator/run/waits.h"
#include "phoenix/orchestrator/v1/orchestrator.pb.h"

namespace phoenix::api {

namespace pb = ::phoenix::orchestrator::v1;

std::string RunName(const std::string& run_id);
// INVALID_ARGUMENT for what is not "runs/{run}".
absl::StatusOr<std::string> ParseRunName(const std::string& name);

void ToProto(const std::string& run_id, const run::RunState& state, pb::Run& out);
// Step `position` of the plan; `with_plan`: the step's own text too.
void ToProto(const run::FleetPlan& plan, size_t position, const run::StepStanding& standing, bool with_plan,
             pb::RunStep& out);
// Marks the steps of `plan` that would be refused, and names every missing key once.
void MarkMissing(const std::vector<run::MissingConsent>& missing, pb::PlanRunResponse& plan);
void ToProto(const run::Wait& wait, pb::RunWait& out);
// Every remark of the plan.
std::vector<pb::NodeNote> NotesOf(const run::FleetPlan& plan);
// What every participant keeps before the first step.
void AddCheckpoints(const run::FleetPlan& plan, pb::PlanRunResponse& out);

// The words of run::Request::prune. INVALID_ARGUMENT for a kind that is not known here.
absl::StatusOr<std::vector<std::string>> PruneFrom(const std::vector<int>& kinds);

}  // namespace phoenix::api
