// What a dataset has of properties that it does not say itself. Pure.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/config/config.h"

namespace phoenix::config {

// What is declared of the dataset's property: by itself, or by the nearest parent that it inherits from, up
// to its pool; null where nobody says anything.
const Property* PropertyOf(const Config& config, std::string_view full_name, const std::string& property);

}  // namespace phoenix::config
