// What deserves to be told of storage entries although nothing is done about it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/kit/plan/step.h"
#include "services/proxmox/domain/proxmox_planner.h"

namespace phoenix::proxmox {

bool HasMount(const ProxmoxState& state, std::string_view path);
// Where the dataset is mounted; "" for nowhere.
std::string MountOfDataset(const ProxmoxState& state, std::string_view dataset);
bool IsThisNode(const std::string& server, const ProxmoxState& state);
// "" where the definition does not name the option.
std::string OptionOf(const Definition& definition, std::string_view name);

// The mount point by which Proxmox VE reaches what is on a zfspool: it notes the dataset's when the entry is
// added, and never looks again.
std::string NotedMountPoint(const Definition& zfspool);

// Mounts an export of this very node so that what is written may be lost without an error, and holds disks of
// guests.
bool LosesWritesOfGuests(const Definition& definition, const ProxmoxState& state);

// Of a new entry.
std::vector<kit::Note> RemarksOnNew(const StorageSpec& spec, const Definition& wanted,
                                    const ProxmoxState& state);
// Of an entry that is there; `compared` is what it is compared with.
std::vector<kit::Note> RemarksOnFound(const StorageSpec& spec, const StorageEntry& entry,
                                      const Definition& compared, PasswordState password,
                                      const ProxmoxState& state);

}  // namespace phoenix::proxmox
