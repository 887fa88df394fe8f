// Which datasets are encryption roots, and which secrets hold their keys.
#pragma once

#include <optional>

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// `encryption` of a dataset or pool; nothing where it is absent, or after an error.
std::optional<Encryption> ReadEncryption(const Cursor& encryption);

}  // namespace phoenix::config
