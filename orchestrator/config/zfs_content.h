// Who owns what is in a dataset, and which files are delivered into it.
#pragma once

#include <cstddef>

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// How long delivered files may be: one, those of a dataset, and all. All of them go to the node in one
// message, as a part of the spec.
inline constexpr std::size_t kMostFileBytes = std::size_t{64} * 1024;
inline constexpr std::size_t kMostDatasetBytes = std::size_t{256} * 1024;
inline constexpr std::size_t kMostBytes = std::size_t{1024} * 1024;

// `owner`, `group`, `mode` and `acl` of a dataset.
void ReadOwnership(const Cursor& cursor, Dataset& dataset);
// `recursive_owner`, after the ownership.
void ReadRecursiveOwner(const Cursor& cursor, Dataset& dataset);
// `files`.
void ReadFiles(const Cursor& cursor, Dataset& dataset);
// What is wrong with the files of all datasets, once the mount points are known. `datasets` is their list.
void CheckFilesTogether(const Cursor& datasets, const Config& config);

}  // namespace phoenix::config
