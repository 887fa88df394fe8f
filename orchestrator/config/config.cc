#include "orchestrator/config/config.h"

#include <string>
#include <string_view>

namespace phoenix::config {

std::string ToString(RaidLevel level) {
  switch (level) {
    case RaidLevel::kStripe:
      return "stripe";
    case RaidLevel::kMirror:
      return "mirror";
    case RaidLevel::kStripedMirrors:
      return "raid10";
    case RaidLevel::kRaidz1:
      return "raidz1";
    case RaidLevel::kRaidz2:
      return "raidz2";
    case RaidLevel::kRaidz3:
      return "raidz3";
    case RaidLevel::kDraid:
      return "draid";
  }
  return "";
}

std::string ToString(StorageType type) {
  switch (type) {
    case StorageType::kZfsPool:
      return "zfspool";
    case StorageType::kDir:
      return "dir";
    case StorageType::kNfs:
      return "nfs";
    case StorageType::kCifs:
      return "cifs";
  }
  return "";
}

bool IsAtOrBelow(std::string_view path, std::string_view parent) {
  if (parent == "/") return !path.empty() && path[0] == '/';
  return path.substr(0, parent.size()) == parent &&
         (path.size() == parent.size() || path[parent.size()] == '/');
}

Config Present(Config config) {
  const auto absent = [](const auto& one) { return one.absent; };
  std::erase_if(config.pools, absent);
  std::erase_if(config.datasets, absent);
  std::erase_if(config.exports, absent);
  std::erase_if(config.samba.shares, absent);
  std::erase_if(config.samba.users, absent);
  std::erase_if(config.storages, absent);
  return config;
}

const Dataset* Config::FindDataset(std::string_view full_name) const {
  for (const Dataset& dataset : datasets) {
    if (dataset.full_name == full_name) return &dataset;
  }
  return nullptr;
}

std::string Config::MountPointOf(std::string_view full_name) const {
  const Dataset* nearest = nullptr;
  for (const Dataset& dataset : datasets) {
    if (!IsAtOrBelow(full_name, dataset.full_name)) continue;
    if (nearest == nullptr || dataset.full_name.size() > nearest->full_name.size()) nearest = &dataset;
  }
  if (nearest == nullptr) return "/" + std::string(full_name);
  if (nearest->mountpoint.empty()) return {};
  return nearest->mountpoint + std::string(full_name.substr(nearest->full_name.size()));
}

const Dataset* Config::DatasetProviding(std::string_view path) const {
  const Dataset* best = nullptr;
  for (const Dataset& dataset : datasets) {
    if (dataset.absent || dataset.mountpoint.empty() || !IsAtOrBelow(path, dataset.mountpoint)) continue;
    if (best == nullptr || dataset.mountpoint.size() > best->mountpoint.size()) best = &dataset;
  }
  return best;
}

}  // namespace phoenix::config
