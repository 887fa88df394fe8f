// From what is wanted of VMs and what is seen of them to steps. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/status/errors.h"
#include "services/kit/plan/step.h"
#include "services/proxmox/domain/proxmox_state.h"
#include "services/proxmox/domain/vm_spec.h"
#include "services/proxmox/domain/vm_state.h"

namespace phoenix::proxmox {

enum class VmAction {
  kSetCloudInit,       // a part of the VM's cicustom names a volume
  kTakeCloudInitAway,  // it names none any more
};

// Parts of one VM's cicustom get other volumes; the other parts are others'.
struct VmStep {
  uint32_t vmid = 0;
  // The same parts in both: the volume that each has, and the one that it gets; "" for none.
  Cicustom before, after;
  std::string storage;  // of the volumes that they get, or had
  bool needs_storage = false;
  VmAction action() const;
  friend bool operator==(const VmStep&, const VmStep&) = default;
};

struct VmPlan {
  std::vector<VmStep> steps;
  std::vector<kit::Note> notes;
  // For each VM that cannot become what is wanted, or is wanted wrongly.
  std::vector<FieldViolation> problems;
};

// The key of a VM: "vm:1001".
std::string VmKey(uint32_t vmid);
// The VM of a key; 0 for another key.
uint32_t VmidOf(std::string_view key);

// `owned`: the VMs whose part Phoenix set. `partial`: what the specs do not name is not reported.
VmPlan PlanVms(const std::vector<VmSpec>& specs, const VmPlaces& places, const ProxmoxState& state,
               const std::set<uint32_t>& owned, bool partial);

}  // namespace phoenix::proxmox
