// RAID levels and the vdevs that they mean. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix::zfs {

// zpool takes disks for equally large that differ by no more.
inline constexpr uint64_t kLikeSize = uint64_t{16} << 20;

// What a vdev is for. "data" is the pool's normal class.
enum class VdevClass { kData, kSpecial, kDedup, kLog, kCache, kSpare };
// As zpool names them: "data", "special", "dedup", "log", "cache", "spare".
std::string_view ToString(VdevClass vdev_class);
std::optional<VdevClass> VdevClassOf(std::string_view name);

// A top-level vdev: "disk", "mirror", "raidz1" … "raidz3", or a dRAID as `zpool status` shows it, with every
// number ("draid2:4d:7c:1s"), with its members.
struct VdevGroup {
  std::string kind;
  std::vector<std::string> disks;
  VdevClass vdev_class = VdevClass::kData;
  friend bool operator==(const VdevGroup&, const VdevGroup&) = default;
};

// The vdevs that a declared level makes of `disks`. Upper or lower case; single, stripe, mirror (raid1),
// raid10, raidz[1-3], draid[1-3] with or without ":<data>d:<children>c:<spares>s" in any order.
// INVALID_ARGUMENT for anything else (an unknown level never becomes a stripe) and for a wrong number of
// disks.
absl::StatusOr<std::vector<VdevGroup>> LayoutOf(std::string_view raid_level,
                                                const std::vector<std::string>& disks);

// The same for vdevs of a class. "" as the level: plain disks. zpool takes nothing but disks as cache and
// spare, and nothing but disks and mirrors as log, special and dedup.
absl::StatusOr<std::vector<VdevGroup>> LayoutOf(VdevClass vdev_class, std::string_view raid_level,
                                                const std::vector<std::string>& disks);

// Why zpool takes such vdevs into one pool only by force, for people; "" where it takes them. Logs, caches
// and spares may be as they like; everything else shall lose data at the same number of lost disks.
std::string ExplainMismatch(const std::vector<VdevGroup>& layout);

// The level that the data vdevs amount to; "mixed" where they are of several kinds.
std::string RaidLevelOf(const std::vector<VdevGroup>& layout);

// Why two layouts differ, for people; "" where they are the same but for the order of members.
std::string ExplainDifference(const std::vector<VdevGroup>& wanted, const std::vector<VdevGroup>& seen);

// "mirror of /dev/a /dev/b, mirror of …, log mirror of …".
std::string ToText(const std::vector<VdevGroup>& layout);

// Of all its vdevs.
std::vector<std::string> DisksOf(const std::vector<VdevGroup>& layout);

}  // namespace phoenix::zfs
