#include "services/zfs/domain/zfs_layout.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <tuple>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::zfs {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

absl::Status TooFew(std::string_view level, size_t least, size_t given) {
  return InvalidArgument("raid level {} needs at least {} disks, {} given", level, least, given);
}

absl::Status UnknownLevel(std::string_view level) {
  return InvalidArgument(
      "unknown raid level '{}'; known are single, stripe, mirror, raid10, raidz1, raidz2, raidz3, draid1, "
      "draid2, draid3, and those with data disks, children and spares (draid2:4d:1s, draid2:4d:7c:1s)",
      level);
}

// As zpool itself reads it (zpool_vdev.c, draid_config_by_type): the parity, then numbers of data disks of a
// redundancy group, of children, and of distributed spares, in any order. What is left out is chosen as zpool
// chooses it, so that the answer is what `zpool status` will show: "draid2:4d:7c:1s".
absl::StatusOr<std::string> DraidOf(const std::string& level, size_t disks) {
  constexpr size_t kMostChildren = 255, kMostSpares = 100, kDataByDefault = 8;
  std::map<char, size_t> given;
  size_t at = 5, parity = 1;
  if (at < level.size() && level[at] >= '1' && level[at] <= '3')
    parity = static_cast<size_t>(level[at++] - '0');
  while (at < level.size()) {
    const size_t end = level.find_first_not_of("0123456789", at + 1);
    if (level[at] != ':' || end == std::string::npos || end == at + 1 || end - at > 4)
      return UnknownLevel(level);
    const char unit = level[end];
    const bool known = unit == 'd' || unit == 'c' || unit == 's';
    const size_t number = std::strtoul(level.c_str() + at + 1, nullptr, 10);
    if (!known || !given.emplace(unit, number).second) return UnknownLevel(level);
    at = end + 1;
  }
  const size_t spares = given.count('s') == 0 ? 0 : given['s'];
  if (given.count('c') != 0 && given['c'] != disks)
    return InvalidArgument("raid level {} says {} disks, {} given", level, given['c'], disks);
  if (given.count('d') != 0 && given['d'] == 0)
    return InvalidArgument("raid level {}: a redundancy group needs one data disk at least", level);
  if (spares > kMostSpares)
    return InvalidArgument("raid level {}: dRAID takes {} distributed spares at most", level, kMostSpares);
  if (disks > kMostChildren)
    return InvalidArgument("raid level {}: dRAID takes {} disks at most, {} given", level, kMostChildren,
                           disks);
  const size_t least = parity + spares + (given.count('d') == 0 ? 1 : given['d']);
  if (disks < least) {
    return InvalidArgument(
        "raid level {} needs at least {} disks, {} given: {} for data, {} for parity, {} for distributed "
        "spares",
        level, least, disks, least - parity - spares, parity, spares);
  }
  const size_t data = given.count('d') == 0 ? std::min(disks - spares - parity, kDataByDefault) : given['d'];
  return fmt::format("draid{}:{}d:{}c:{}s", parity, data, disks, spares);
}

constexpr std::pair<VdevClass, std::string_view> kClasses[] = {
    {VdevClass::kData, "data"}, {VdevClass::kSpecial, "special"}, {VdevClass::kDedup, "dedup"},
    {VdevClass::kLog, "log"},   {VdevClass::kCache, "cache"},     {VdevClass::kSpare, "spare"}};

// How many disks may be lost.
size_t RedundancyOf(const VdevGroup& group) {
  if (group.kind == "mirror") return group.disks.size() - 1;
  for (const std::string_view kind : {"raidz", "draid"}) {
    if (group.kind.starts_with(kind)) return static_cast<size_t>(group.kind[kind.size()] - '0');
  }
  return 0;
}

std::string Described(const VdevGroup& group) {
  if (group.kind == "disk") return "a single disk";
  if (group.kind == "mirror") return fmt::format("a {}-way mirror", group.disks.size());
  return fmt::format("a {} of {} disks", group.kind, group.disks.size());
}

}  // namespace

std::string_view ToString(VdevClass vdev_class) {
  for (const auto& [one, name] : kClasses) {
    if (one == vdev_class) return name;
  }
  return "";
}

std::optional<VdevClass> VdevClassOf(std::string_view name) {
  for (const auto& [vdev_class, one] : kClasses) {
    if (one == name) return vdev_class;
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<VdevGroup>> LayoutOf(VdevClass vdev_class, std::string_view raid_level,
                                                const std::vector<std::string>& disks) {
  PHX_ASSIGN_OR_RETURN(auto layout, LayoutOf(raid_level.empty() ? "stripe" : raid_level, disks));
  const bool disks_only = vdev_class == VdevClass::kCache || vdev_class == VdevClass::kSpare;
  for (VdevGroup& group : layout) {
    if (disks_only && group.kind != "disk")
      return InvalidArgument("{} vdevs are plain disks: leave the raid level out", ToString(vdev_class));
    if (vdev_class != VdevClass::kData && group.kind != "disk" && group.kind != "mirror")
      return InvalidArgument("{} vdevs are disks or mirrors, no {}", ToString(vdev_class), group.kind);
    group.vdev_class = vdev_class;
  }
  return layout;
}

std::string ExplainMismatch(const std::vector<VdevGroup>& layout) {
  const VdevGroup* first = nullptr;
  for (const VdevGroup& group : layout) {
    if (group.vdev_class != VdevClass::kData && group.vdev_class != VdevClass::kSpecial &&
        group.vdev_class != VdevClass::kDedup)
      continue;
    if (first == nullptr) first = &group;
    // A mirror beside a raidz is taken where both may lose as many disks; of one kind all are alike.
    const bool same = group.kind == first->kind
                          ? group.disks.size() == first->disks.size() || group.kind == "disk"
                          : RedundancyOf(group) == RedundancyOf(*first) &&
                                (group.kind == "mirror" || first->kind == "mirror");
    if (same) continue;
    return fmt::format("{} ({}) beside {} ({}) makes a pool that is only as safe as the weaker of them",
                       Described(group), ToString(group.vdev_class), Described(*first),
                       ToString(first->vdev_class));
  }
  return "";
}

std::vector<std::string> DisksOf(const std::vector<VdevGroup>& layout) {
  std::vector<std::string> disks;
  for (const auto& group : layout) disks.insert(disks.end(), group.disks.begin(), group.disks.end());
  return disks;
}

absl::StatusOr<std::vector<VdevGroup>> LayoutOf(std::string_view raid_level,
                                                const std::vector<std::string>& disks) {
  const std::string level = Lower(raid_level);
  const size_t count = disks.size();
  std::vector<VdevGroup> layout;
  if (level == "single" || level == "stripe" || level == "raid0") {
    if (count == 0) return TooFew(level, 1, count);
    if (level == "single" && count != 1) {
      return InvalidArgument(
          "raid level single takes one disk, {} given; say stripe for a pool without redundancy", count);
    }
    for (const auto& disk : disks) layout.push_back({"disk", {disk}});
    return layout;
  }
  if (level == "mirror" || level == "raid1") {
    if (count < 2) return TooFew(level, 2, count);
    layout.push_back({"mirror", disks});
    return layout;
  }
  if (level == "raid10") {
    if (count < 4) return TooFew(level, 4, count);
    if (count % 2 != 0)
      return InvalidArgument("raid level raid10 needs an even number of disks, {} given", count);
    for (size_t i = 0; i < count; i += 2) layout.push_back({"mirror", {disks[i], disks[i + 1]}});
    return layout;
  }
  if (level.starts_with("draid")) {
    PHX_ASSIGN_OR_RETURN(std::string kind, DraidOf(level, count));
    layout.push_back({std::move(kind), disks});
    return layout;
  }
  if (level.starts_with("raidz")) {
    const std::string digit = level.substr(5);
    if (digit.empty() || digit == "1" || digit == "2" || digit == "3") {
      const size_t parity = digit.empty() ? 1 : static_cast<size_t>(digit[0] - '0');
      if (count < parity + 1) return TooFew(level, parity + 1, count);
      layout.push_back({fmt::format("raidz{}", parity), disks});
      return layout;
    }
  }
  return UnknownLevel(raid_level);
}

std::string RaidLevelOf(const std::vector<VdevGroup>& layout) {
  const VdevGroup* first = nullptr;
  size_t count = 0;
  for (const auto& group : layout) {
    if (group.vdev_class != VdevClass::kData) continue;
    if (first == nullptr) first = &group;
    if (group.kind != first->kind) return "mixed";
    ++count;
  }
  if (first == nullptr) return "";
  if (first->kind == "disk") return count == 1 ? "single" : "stripe";
  if (first->kind == "mirror") return count == 1 ? "mirror" : "raid10";
  return first->kind;
}

std::string ToText(const std::vector<VdevGroup>& layout) {
  std::string text;
  for (const auto& group : layout) {
    text += fmt::format(
        "{}{}{}{}", text.empty() ? "" : ", ",
        group.vdev_class == VdevClass::kData ? "" : fmt::format("{} ", ToString(group.vdev_class)),
        group.kind == "disk" ? "" : group.kind + " of ", Join(group.disks));
  }
  return text;
}

std::string ExplainDifference(const std::vector<VdevGroup>& wanted, const std::vector<VdevGroup>& seen) {
  const auto canonical = [](std::vector<VdevGroup> layout) {
    for (auto& group : layout) {
      std::sort(group.disks.begin(), group.disks.end());
      // Steps that were journaled before the numbers were told have the parity only.
      if (!group.kind.starts_with("draid") || group.kind.find(':') != std::string::npos) continue;
      if (auto kind = DraidOf(group.kind, group.disks.size()); kind.ok()) group.kind = *std::move(kind);
    }
    std::sort(layout.begin(), layout.end(), [](const VdevGroup& a, const VdevGroup& b) {
      return std::tie(a.vdev_class, a.disks) < std::tie(b.vdev_class, b.disks);
    });
    return layout;
  };
  if (canonical(wanted) == canonical(seen)) return "";
  return fmt::format("it is a {} ({}), declared is a {} ({})", RaidLevelOf(seen), ToText(seen),
                     RaidLevelOf(wanted), ToText(wanted));
}

}  // namespace phoenix::zfs
