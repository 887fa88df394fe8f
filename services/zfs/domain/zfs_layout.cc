#include "services/zfs/domain/zfs_layout.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include "base/status/errors.h"

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

}  // namespace

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
  for (const std::string_view family : {"raidz", "draid"}) {
    if (!level.starts_with(family)) continue;
    const std::string digit = level.substr(family.size());
    if (!digit.empty() && digit != "1" && digit != "2" && digit != "3") break;
    const size_t parity = digit.empty() ? 1 : static_cast<size_t>(digit[0] - '0');
    if (count < parity + 1) return TooFew(level, parity + 1, count);
    layout.push_back({fmt::format("{}{}", family, parity), disks});
    return layout;
  }
  return InvalidArgument(
      "unknown raid level '{}'; known are single, stripe, mirror, raid10, raidz1, raidz2, raidz3, draid1, "
      "draid2, draid3",
      raid_level);
}

std::string RaidLevelOf(const std::vector<VdevGroup>& layout) {
  if (layout.empty()) return "";
  for (const auto& group : layout) {
    if (group.kind != layout[0].kind) return "mixed";
  }
  if (layout[0].kind == "disk") return layout.size() == 1 ? "single" : "stripe";
  if (layout[0].kind == "mirror") return layout.size() == 1 ? "mirror" : "raid10";
  return layout[0].kind;
}

std::string ToText(const std::vector<VdevGroup>& layout) {
  std::string text;
  for (const auto& group : layout) {
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", group.kind == "disk" ? "" : group.kind + " of ",
                        Join(group.disks));
  }
  return text;
}

std::string ExplainDifference(const std::vector<VdevGroup>& wanted, const std::vector<VdevGroup>& seen) {
  const auto canonical = [](std::vector<VdevGroup> layout) {
    for (auto& group : layout) std::sort(group.disks.begin(), group.disks.end());
    std::sort(layout.begin(), layout.end(),
              [](const VdevGroup& a, const VdevGroup& b) { return a.disks < b.disks; });
    return layout;
  };
  if (canonical(wanted) == canonical(seen)) return "";
  return fmt::format("it is a {} ({}), declared is a {} ({})", RaidLevelOf(seen), ToText(seen),
                     RaidLevelOf(wanted), ToText(wanted));
}

}  // namespace phoenix::zfs
