// Typed steps as the kit's steps and back. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "services/kit/plan/step.h"
#include "services/node/domain/node_planner.h"

namespace phoenix::node {

kit::Step Render(const NodeStep& step);
// The typed step of a rendered one; NOT_FOUND for a step that is not of the node's.
absl::StatusOr<NodeStep> ParsePayload(const std::string& payload);

}  // namespace phoenix::node
