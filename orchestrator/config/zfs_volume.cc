#include "orchestrator/config/zfs_volume.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "orchestrator/config/names.h"
#include "orchestrator/config/zfs_size.h"

namespace phoenix::config {
namespace {

// What no volume has. Storages are refused where they are read.
constexpr const char* kOfFileSystems[] = {"owner", "group", "mode", "acl", "recursive_owner", "files"};

void HasNo(const Cursor& key, const char* name) {
  key.Error("volume-key", fmt::format("a volume has no {}: it is a block device, not a file system", name),
            "no such key, or no volume_size");
}

// ZFS takes whole blocks only, and `zfs create` would round up: the size would differ from the declared one
// ever after. No default of any release is above this.
std::uint64_t UnitOf(const Dataset& dataset) {
  constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;
  const auto block = dataset.properties.find("volblocksize");
  if (block == dataset.properties.end()) return kMebibyte;
  return std::max<std::uint64_t>(kMebibyte, std::strtoull(block->second.value.c_str(), nullptr, 10));
}

}  // namespace

void ReadVolume(const Cursor& cursor, Dataset& dataset) {
  for (const char* name : kOfFileSystems) {
    if (const Cursor key = cursor.Key(name); key.present()) HasNo(key, name);
  }
  // An empty one counts as none, as of a file system.
  const Cursor mountpoint = cursor.Key("mountpoint");
  if (mountpoint.present() && mountpoint.String() != "") HasNo(mountpoint, "mountpoint");
  const Cursor size = cursor.Key("volume_size");
  const auto text = size.SizeText();
  if (!text.has_value()) return;
  const auto bytes = ParseZfsSize(*text);
  const std::uint64_t unit = UnitOf(dataset);
  if (!bytes.ok() || *bytes == 0 || *bytes % unit != 0) {
    size.Error("invalid-size", "this is no size of a volume",
               fmt::format("whole blocks of {}M: 512M, 20G", unit >> 20U));
    return;
  }
  dataset.volume_size = *bytes;
  const auto reserved = dataset.properties.find("refreservation");
  if (reserved == dataset.properties.end()) return;
  if (std::strtoull(reserved->second.value.c_str(), nullptr, 10) > *bytes) {
    size.findings().Error("invalid-size", reserved->second.origin,
                          "ZFS keeps no more room for a volume than it is large",
                          Quoted(reserved->second.given), "volume_size at most, or none");
  }
}

void CheckVolumes(const Config& config, Findings& findings) {
  for (const Dataset& volume : config.datasets) {
    if (volume.volume_size == 0 || volume.absent) continue;
    for (const Dataset& other : config.datasets) {
      if (other.absent || !other.full_name.starts_with(volume.full_name + "/")) continue;
      findings.Error("below-volume", other.origin,
                     fmt::format("{} is a volume, declared at {}, and nothing lies below one",
                                 volume.full_name, volume.origin.ToString()),
                     Quoted(other.full_name), "another name");
    }
  }
}

}  // namespace phoenix::config
