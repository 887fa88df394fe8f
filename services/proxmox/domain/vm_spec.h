// What is wanted of a VM: cloud-init data of its own. Pure values.
#pragma once

#include <cstdint>
#include <string>

#include "services/proxmox/domain/vm_state.h"

namespace phoenix::proxmox {

struct VmSpec {
  uint32_t vmid = 0;
  // "user", or "vendor" and "meta": each with its volume, "ID:snippets/phoenix-1001-user.yaml".
  Cicustom volumes;
  std::string storage;  // ID
  bool absent = false;  // each part goes where it names its volume
  std::string origin;   // the place in the configuration, for errors
  friend bool operator==(const VmSpec&, const VmSpec&) = default;
};

}  // namespace phoenix::proxmox
