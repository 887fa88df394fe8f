// Properties of ZFS pools and file systems: which there are, and what `zfs set` makes of a value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/config/config.h"
#include "orchestrator/config/finding.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// Reads `properties` of one dataset: a string "recordsize=128K,compression=lz4" (items parted by commas or
// blanks), an object, or nothing. Names come out native, sizes in bytes. Every mistake is an error at its
// place; a name ZFS may not know is a lint, since newer releases add properties.
std::map<std::string, Property> ReadProperties(const Cursor& properties);

// The same for a pool, whose own properties and those of its root dataset stand side by side.
struct PoolProperties {
  std::map<std::string, Property> pool, root;
};
PoolProperties ReadPoolProperties(const Cursor& properties);

}  // namespace phoenix::config
