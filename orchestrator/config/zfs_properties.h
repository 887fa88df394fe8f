// Properties of ZFS pools and datasets: which there are, and what `zfs set` makes of a value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/config/config.h"
#include "orchestrator/config/finding.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

enum class DatasetType { kFileSystem, kVolume };

// Reads `properties` of one dataset: a string "recordsize=128K,compression=lz4" (items parted by commas or
// blanks), an object, or nothing. Names come out native, sizes in bytes. Every mistake is an error at its
// place, and so is a name that ZFS does not know, or not for this type.
std::map<std::string, Property> ReadProperties(const Cursor& properties,
                                               DatasetType type = DatasetType::kFileSystem);

// The same for a pool, whose own properties and those of its root dataset stand side by side.
struct PoolProperties {
  std::map<std::string, Property> pool, root;
};
PoolProperties ReadPoolProperties(const Cursor& properties);

}  // namespace phoenix::config
