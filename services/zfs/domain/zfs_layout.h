// RAID levels and the vdevs that they mean. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace phoenix::zfs {

// A top-level vdev: "disk", "mirror", "raidz1" … "raidz3", or a dRAID as `zpool status` shows it, with every
// number ("draid2:4d:7c:1s"), with its members.
struct VdevGroup {
  std::string kind;
  std::vector<std::string> disks;
  friend bool operator==(const VdevGroup&, const VdevGroup&) = default;
};

// The vdevs that a declared level makes of `disks`. Upper or lower case; single, stripe, mirror (raid1),
// raid10, raidz[1-3], draid[1-3] with or without ":<data>d:<children>c:<spares>s" in any order.
// INVALID_ARGUMENT for anything else (an unknown level never becomes a stripe) and for a wrong number of
// disks.
absl::StatusOr<std::vector<VdevGroup>> LayoutOf(std::string_view raid_level,
                                                const std::vector<std::string>& disks);

// The level that real vdevs amount to; "mixed" where they are of several kinds.
std::string RaidLevelOf(const std::vector<VdevGroup>& layout);

// Why two layouts differ, for people; "" where they are the same but for the order of members.
std::string ExplainDifference(const std::vector<VdevGroup>& wanted, const std::vector<VdevGroup>& seen);

// "mirror of /dev/a /dev/b, mirror of …".
std::string ToText(const std::vector<VdevGroup>& layout);

}  // namespace phoenix::zfs
