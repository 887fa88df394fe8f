// The real machine's VMs: their files are read directly, changes go through qm.
#pragma once

#include "base/host/command.h"
#include "services/proxmox/host/proxmox_reading.h"
#include "services/proxmox/host/vm_host.h"

namespace phoenix::proxmox {

class VmCli final : public VmHost {
 public:
  // Both must outlive this object.
  VmCli(CommandRunner& runner, const ProxmoxReading& reading) : runner_(runner), reading_(reading) {}

  absl::StatusOr<VmPlaces> Read(const std::set<uint32_t>& vmids) override;
  absl::Status SetCicustom(uint32_t vmid, const Cicustom& cicustom, const std::string& digest,
                           const ChildObserver& on_child) override;

 private:
  CommandRunner& runner_;
  const ProxmoxReading& reading_;
};

}  // namespace phoenix::proxmox
