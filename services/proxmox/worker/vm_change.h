// Doing, probing and undoing the step of a VM on the host. What its cicustom says is read right before each
// change; only the step's own parts of it are touched.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/host/command.h"
#include "services/kit/participant/domain.h"
#include "services/proxmox/domain/vm_planner.h"
#include "services/proxmox/host/vm_host.h"

namespace phoenix::proxmox {

std::string ToPayload(const VmStep& step);
absl::StatusOr<VmStep> VmFromPayload(std::string_view payload);
// What the ledger keeps: what was set last.
std::string LedgerFields(const VmStep& step);
// The step as the kit sees it.
kit::Step Render(const VmStep& step);

class VmChanges {
 public:
  explicit VmChanges(VmHost& host) : host_(host) {}

  // The volumes of the step's parts, as JSON.
  absl::StatusOr<std::string> Capture(const VmStep& step);
  absl::Status Do(const VmStep& step, const std::string& captured, const ChildObserver& on_child);
  absl::StatusOr<kit::ProbeResult> Probe(const VmStep& step, const std::string& captured);
  absl::Status Undo(const VmStep& step, const std::string& captured, const ChildObserver& on_child);
  // What a person runs where Undo failed.
  std::vector<std::string> RemainingCommands(const VmStep& step, const std::string& captured);

 private:
  absl::StatusOr<VmConfig> Read(uint32_t vmid);
  // From `from` to `to`; anything else is somebody else's.
  absl::Status Set(const VmStep& step, const Cicustom& from, const Cicustom& to,
                   const ChildObserver& on_child);

  VmHost& host_;
};

}  // namespace phoenix::proxmox
