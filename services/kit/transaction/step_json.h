// The journal's form of steps. A reader must take every older form (journal versions).
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "services/kit/participant/domain.h"
#include "services/kit/plan/step.h"

namespace phoenix::kit {

nlohmann::json ToJson(const Step& step);
// Throws nlohmann::json::exception on what is no step.
Step StepFromJson(const nlohmann::json& json);

nlohmann::json ToJson(const LedgerEntry& entry);
LedgerEntry LedgerEntryFromJson(const nlohmann::json& json);

}  // namespace phoenix::kit
