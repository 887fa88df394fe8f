#include "services/proxmox/domain/container_state.h"

namespace phoenix::proxmox {
namespace {

// What Proxmox VE takes where the file says nothing (/etc/subuid of a fresh installation).
constexpr IdRange kUnprivileged{0, 100000, 65536};

}  // namespace

std::optional<uint32_t> OnHost(const ContainerConfig& config, const std::vector<IdRange>& ranges,
                               uint32_t inside) {
  if (!config.unprivileged && ranges.empty()) return inside;
  const std::vector<IdRange> used = ranges.empty() ? std::vector<IdRange>{kUnprivileged} : ranges;
  for (const IdRange& range : used) {
    if (inside >= range.inside && inside - range.inside < range.count)
      return range.outside + (inside - range.inside);
  }
  return std::nullopt;
}

std::string DatasetOfVolume(const std::string& pool, const std::string& volume) {
  const std::string name = volume.substr(volume.find(':') + 1);
  return pool + "/" + name.substr(name.rfind('/') + 1);
}

}  // namespace phoenix::proxmox
