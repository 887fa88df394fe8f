// The payload of a step: its typed value as JSON.
#pragma once

#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <string>

#include "services/samba/domain/samba_step.h"

namespace phoenix::samba {

std::string ToPayload(const SambaStep& step);
// INTERNAL for what ToPayload() did not write.
absl::StatusOr<SambaStep> ParsePayload(const std::string& payload);

nlohmann::json ToJson(const Section& section);
// An empty section for anything else.
Section ToSection(const nlohmann::json& json);

}  // namespace phoenix::samba
