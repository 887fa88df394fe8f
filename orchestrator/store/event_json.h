// The stored form of events.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "orchestrator/run/event.h"

namespace phoenix::store {

// The event's own content; sequence, hashes, epoch and time are columns of the store.
std::string ToJson(const run::Event& event);
// DATA_LOSS for what is no event.
absl::StatusOr<run::Event> EventFromJson(const std::string& text);

}  // namespace phoenix::store
