// The simulated node's VMs: the same files, written as qm writes them, and the same refusals in the same
// words.
#pragma once

#include <memory>
#include <string>

#include "services/kit/sim/machine.h"
#include "services/proxmox/host/proxmox_reading.h"
#include "services/proxmox/host/vm_host.h"

namespace phoenix::proxmox {

// Planned faults: "qm.set" and "qm.set:VMID", with the machine's effects and "locked" (somebody holds the VM;
// nothing happens).
class VmSim final : public VmHost {
 public:
  // `reading` must outlive this object.
  VmSim(std::shared_ptr<kit::Machine> machine, const ProxmoxReading& reading)
      : machine_(std::move(machine)), reading_(reading) {}

  absl::StatusOr<VmPlaces> Read(const std::set<uint32_t>& vmids) override;
  absl::Status SetCicustom(uint32_t vmid, const Cicustom& cicustom, const std::string& digest,
                           const ChildObserver& on_child) override;

 private:
  const std::shared_ptr<kit::Machine> machine_;
  const ProxmoxReading& reading_;
};

}  // namespace phoenix::proxmox
