// storage.cfg of the simulated node: the text that the genuine tools would write.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "services/proxmox/domain/proxmox_state.h"

namespace phoenix::proxmox {

// The whole file, with the entries in the file's order and newcomers, the implicit `local` among them,
// behind. Lists come in an order drawn from `seed`, as they do from Perl's hashes. `bare`: ids whose content
// line is left out, as the genuine add leaves it out where no content was given.
std::string WriteStorageConfig(const StorageConfig& config, const std::set<std::string>& bare, uint64_t seed);

}  // namespace phoenix::proxmox
