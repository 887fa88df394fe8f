// Options of Proxmox VE storages that a file may give besides what the other keys say.
#pragma once

#include <map>
#include <string>

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// `proxmox_storage_options` of a dataset: native names and values as Proxmox VE takes them, booleans as 1 and
// 0. What cannot be given is an error and left out.
std::map<std::string, std::string> ReadStorageOptions(const Cursor& cursor, StorageType type);

}  // namespace phoenix::config
