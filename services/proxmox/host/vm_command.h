// The commands on VMs as values, and what their failures mean. Pure.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <string>

#include "base/host/command.h"
#include "services/proxmox/domain/vm_state.h"

namespace phoenix::proxmox {

inline constexpr char kQm[] = "/usr/sbin/qm";

// Without a digest (for a person to run) the option is left out.
Command SetCicustomCommand(uint32_t vmid, const Cicustom& cicustom, const std::string& digest);

// Why qm failed, with what to do; exit codes mean nothing beyond zero and not zero.
absl::Status ExplainVmFailure(uint32_t vmid, const Command& command, const CommandResult& result);

}  // namespace phoenix::proxmox
