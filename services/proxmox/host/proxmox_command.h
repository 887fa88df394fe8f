// The commands of the Proxmox domain as values. Pure.
#pragma once

#include <string>

#include "base/host/command.h"
#include "services/proxmox/host/proxmox_host.h"

namespace phoenix::proxmox {

inline constexpr char kPvesm[] = "/usr/sbin/pvesm";

Command AddCommand(const NewStorage& storage);
// Without a digest (for a person to run) the option is left out.
Command SetCommand(const StorageChange& change);
Command RemoveCommand(const std::string& id);
Command StatusCommand();
Command UnmountCommand(const std::string& path);

}  // namespace phoenix::proxmox
