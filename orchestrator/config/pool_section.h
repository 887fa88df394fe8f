// Reading `zfs.pools`.
#pragma once

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// Adds the pools that `pools` lists. A disk is used once in all of them.
void ReadPools(const Cursor& pools, Config& config);

}  // namespace phoenix::config
