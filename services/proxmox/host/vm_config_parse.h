// A VM's configuration file as a value. Pure.
#pragma once

#include <string_view>

#include "services/proxmox/domain/vm_state.h"

namespace phoenix::proxmox {

// /etc/pve/nodes/NODE/qemu-server/VMID.conf: the current section with the pending changes over it; sections
// of snapshots are not looked at.
VmConfig ParseVmConfig(std::string_view text);

}  // namespace phoenix::proxmox
