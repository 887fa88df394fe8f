// What is wrong with a declared entry by itself, before any state is looked at. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status/errors.h"
#include "services/proxmox/domain/proxmox_spec.h"

namespace phoenix::proxmox {

// Why an entry must not hold `shared` in a folder in which `other` holds it.
std::string OneFolderText(const std::string& path, const std::string& other, const Words& shared);

// All mistakes of all entries, each with the entry's origin and the path of the field in a StorageSpec
// message: "here.options.pool".
std::vector<FieldViolation> CheckSpec(const ProxmoxSpec& spec);

}  // namespace phoenix::proxmox
