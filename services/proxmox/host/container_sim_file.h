// A container's configuration file of the simulated node, as pct reads and rewrites it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/proxmox/domain/container_state.h"

namespace phoenix::proxmox {

struct ContainerFile {
  std::vector<std::string> description;  // lines with their #
  std::map<std::string, std::string> set;
  std::vector<std::string> raw;  // lxc.* lines
  std::map<std::string, std::string> pending;
  std::string rest;  // the sections of snapshots, as they are
};

ContainerFile ReadContainerFile(std::string_view text);
// Keys by name, low-level lines behind them, then what is pending; what could not be read is lost.
std::string WriteContainerFile(const ContainerFile& file);

// "tank:subvol-101-disk-1,mp=/data,backup=1,size=8G": volume and mp first, the rest by name.
std::string ContainerMountText(const ContainerMount& mount);

}  // namespace phoenix::proxmox
