// One call of a run to one participant, and the event that its answer becomes.
#pragma once

#include <absl/status/status.h>

#include <optional>
#include <string>

#include "base/secret.h"
#include "orchestrator/fleet/channels.h"
#include "orchestrator/run/decide.h"
#include "orchestrator/run/state.h"
#include "orchestrator/store/run_store.h"

namespace phoenix::engine {

// What came of a call. Either an event to append, or the outcome is unknown and the call is made again.
struct Answer {
  std::optional<run::Event> event;
  absl::Status status;
};

// True when the effect of the call is unknown or it never arrived: ask again, never guess.
bool IsTransient(const absl::Status& status);

// Blocks until the participant answers. Thread-safe.
Answer MakeCall(fleet::Channels& channels, const store::Leadership& leadership, const std::string& run_id,
                const run::RunState& state, const run::Command& command, const Secrets& secrets);

}  // namespace phoenix::engine
