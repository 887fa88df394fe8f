// Datasets that are volumes (zvols): block devices of a fixed size, without a mount point.
#pragma once

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// Reads `volume_size` of a dataset whose properties are read, and refuses beside it what only file systems
// have.
void ReadVolume(const Cursor& cursor, Dataset& dataset);

// Needs all datasets: nothing lies below a volume.
void CheckVolumes(const Config& config, Findings& findings);

}  // namespace phoenix::config
