// What Proxmox VE offers on the cloud-init data of VMs: their files, and qm. Part of ProxmoxHost.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <set>
#include <string>

#include "base/host/command.h"
#include "services/proxmox/domain/vm_state.h"

namespace phoenix::proxmox {

// All calls are thread-safe.
class VmHost {
 public:
  virtual ~VmHost() = default;

  // Straight from their files: cheap. UNAVAILABLE where /etc/pve is not mounted.
  virtual absl::StatusOr<VmPlaces> Read(const std::set<uint32_t>& vmids) = 0;
  // Gives the VM that cicustom, or none. `digest`: SHA-1 of the file that this was decided on; another one is
  // answered ABORTED and nothing changes. NOT_FOUND where this node has no such VM, UNAVAILABLE where a lock
  // or /etc/pve cannot be had, FAILED_PRECONDITION for everything else that the tool refuses. A change that
  // answered an error may have happened all the same: read again.
  virtual absl::Status SetCicustom(uint32_t vmid, const Cicustom& cicustom, const std::string& digest,
                                   const ChildObserver& on_child) = 0;
};

}  // namespace phoenix::proxmox
