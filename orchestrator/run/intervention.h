// What a person may say to a run, and the event that it becomes. Pure: the state decides whether it still
// counts.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "orchestrator/run/event.h"
#include "orchestrator/run/state.h"

namespace phoenix::run {

// nullopt: it was said before, and nothing is to be written.
using Intervention = absl::StatusOr<std::optional<Event>>;

// `plan_digest` must be the plan's that waits: nobody approves what he has not seen.
Intervention Approve(const RunState& state, const std::string& plan_digest);
// Nothing was touched yet, so the run ends there.
Intervention Deny(const RunState& state, const std::string& plan_digest);
// Counts once every participant has armed its own deadline.
Intervention Confirm(const RunState& state);
// At any point before COMMITTED is in the log.
Intervention Cancel(const RunState& state, const std::string& reason);

// The request of a run that takes `run_id` back. FAILED_PRECONDITION where it is not a committed run that did
// something.
absl::StatusOr<Request> RollbackOf(const std::string& run_id, const RunState& state);

}  // namespace phoenix::run
