// What is wanted of a VM: cloud-init data of its own. Pure values.
#pragma once

#include <cstdint>
#include <string>

namespace phoenix::proxmox {

struct VmSpec {
  uint32_t vmid = 0;
  std::string part;     // of cicustom: "user" or "vendor"
  std::string volume;   // "ID:snippets/phoenix-1001-user.yaml"
  std::string storage;  // ID
  bool absent = false;  // the part goes where it names this volume
  std::string origin;   // the place in the configuration, for errors
  friend bool operator==(const VmSpec&, const VmSpec&) = default;
};

}  // namespace phoenix::proxmox
