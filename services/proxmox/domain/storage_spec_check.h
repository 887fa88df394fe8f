// What is wrong with a declared entry by itself, before any state is looked at. Pure.
#pragma once

#include <vector>

#include "base/status/errors.h"
#include "services/proxmox/domain/proxmox_spec.h"

namespace phoenix::proxmox {

// All mistakes of all entries, each with the entry's origin.
std::vector<FieldViolation> CheckSpec(const ProxmoxSpec& spec);

}  // namespace phoenix::proxmox
