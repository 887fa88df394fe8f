// Who owns what is in a dataset, and which files are delivered into it.
#pragma once

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// `owner`, `group` and `mode` of a dataset.
void ReadOwnership(const Cursor& cursor, Dataset& dataset);
// `recursive_owner`, after the ownership.
void ReadRecursiveOwner(const Cursor& cursor, Dataset& dataset);
// `files`.
void ReadFiles(const Cursor& cursor, Dataset& dataset);
// What is wrong with the files of all datasets, once the mount points are known. `datasets` is their list.
void CheckFilesTogether(const Cursor& datasets, const Config& config);

}  // namespace phoenix::config
