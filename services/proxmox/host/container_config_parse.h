// A container's configuration file as a value. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "services/proxmox/domain/container_state.h"

namespace phoenix::proxmox {

// The lines in force end with the first [section]: those of snapshots are what the container was, those of
// [pve:pending] what it is to be. Lines that begin with # are the description, whatever they hold. Never
// fails: what cannot be read is told in `unreadable`.
ContainerConfig ParseContainerConfig(std::string_view text);
// The guests that jobs of /etc/pve/replication.cfg copy ("local: 101-0").
std::set<uint32_t> ParseReplicatedGuests(std::string_view text);

// "tank:subvol-101-disk-1,mp=/data,backup=1,size=8G"; nullopt where the source or the path is missing.
std::optional<ContainerMount> ParseContainerMount(std::string_view text);

}  // namespace phoenix::proxmox
