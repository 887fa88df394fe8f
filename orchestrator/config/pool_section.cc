#include "orchestrator/config/pool_section.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/config/names.h"
#include "orchestrator/config/sections.h"
#include "orchestrator/config/zfs_encryption.h"
#include "orchestrator/config/zfs_properties.h"

namespace phoenix::config {
namespace {

constexpr const char* kRaidLevels =
    "single, stripe (raid0), mirror (raid1), raid10, raidz (raidz1), raidz2, raidz3, draid, draid1:4d:1s and "
    "the like (a data disk or more, 100 spares at most, and disks for all of them)";

struct Layout {
  RaidLevel level;
  std::string draid;
  std::size_t least_disks;
  std::size_t most_disks = SIZE_MAX;
};

// "draid", "draid2", "draid2:4d:6c:1s": the parity, then numbers of data disks, children and spares in this
// order or another.
std::optional<Layout> ParseDraid(const std::string& text) {
  std::size_t at = 5;
  std::size_t parity = 1;
  if (at < text.size() && text[at] >= '1' && text[at] <= '3')
    parity = static_cast<std::size_t>(text[at++] - '0');
  std::map<char, std::size_t> given;
  while (at < text.size()) {
    if (text[at++] != ':') return std::nullopt;
    const std::size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    if (at == start || at - start > 3 || at == text.size()) return std::nullopt;
    const char unit = text[at++];
    if (unit != 'd' && unit != 'c' && unit != 's') return std::nullopt;
    if (!given.emplace(unit, std::stoul(text.substr(start, at - start - 1))).second) return std::nullopt;
  }
  // As zpool checks them. A group needs a data disk; there is room for the disks of one group and the spares.
  constexpr std::size_t kMostChildren = 255, kMostSpares = 100;
  const std::size_t data = given.emplace('d', 1).first->second;
  const std::size_t spares = given.emplace('s', 0).first->second;
  if (data == 0 || spares > kMostSpares) return std::nullopt;
  Layout layout{RaidLevel::kDraid, text, parity + data + spares, kMostChildren};
  if (const auto children = given.find('c'); children != given.end()) {
    // Fewer disks than the groups and spares need never fit.
    if (children->second < layout.least_disks || children->second > kMostChildren) return std::nullopt;
    layout.least_disks = layout.most_disks = children->second;
  }
  return layout;
}

std::optional<Layout> ParseRaidLevel(std::string_view given) {
  static const std::map<std::string_view, Layout> kLayouts = {
      // "single" promises one disk: with two it would be a stripe that loses everything with either.
      {"single", {RaidLevel::kStripe, "", 1, 1}}, {"stripe", {RaidLevel::kStripe, "", 1}},
      {"raid0", {RaidLevel::kStripe, "", 1}},     {"mirror", {RaidLevel::kMirror, "", 2}},
      {"raid1", {RaidLevel::kMirror, "", 2}},     {"raid10", {RaidLevel::kStripedMirrors, "", 4}},
      {"raidz", {RaidLevel::kRaidz1, "", 2}},     {"raidz1", {RaidLevel::kRaidz1, "", 2}},
      {"raidz2", {RaidLevel::kRaidz2, "", 3}},    {"raidz3", {RaidLevel::kRaidz3, "", 4}},
  };
  const std::string name = ToLower(Trimmed(given));
  const auto found = kLayouts.find(name);
  if (found != kLayouts.end()) return found->second;
  return name.substr(0, 5) == "draid" ? ParseDraid(name) : std::nullopt;
}

void CheckDiskCount(const Cursor& level, const Layout& layout, std::size_t disks) {
  const std::string found = fmt::format("{} disk{}", disks, disks == 1 ? "" : "s");
  const auto refuse = [&](std::string allowed) {
    level.findings().Error("disk-count", level.origin(),
                           fmt::format("raid level {} does not fit the number of disks", level.Shown()),
                           found, std::move(allowed));
  };
  const bool fits = disks >= layout.least_disks && disks <= layout.most_disks;
  if (!fits && layout.least_disks == layout.most_disks && layout.level == RaidLevel::kDraid)
    return refuse(fmt::format("{} disks", layout.least_disks));
  if (disks < layout.least_disks) return refuse(fmt::format("{} disks or more", layout.least_disks));
  if (!fits && layout.level == RaidLevel::kDraid)
    return refuse(fmt::format("{} disks at most", layout.most_disks));
  if (!fits) return refuse("one disk; stripe or mirror for more");
  if (layout.level == RaidLevel::kStripedMirrors && disks % 2 != 0) refuse("an even number of disks");
}

// Where each disk was named first, over all pools.
using DiskPlaces = std::map<std::string, Origin>;

// udev's names of partitions: "…-part3", and the folders of what only partitions have.
bool IsPartition(std::string_view path) {
  for (const std::string_view folder : {"/dev/disk/by-partuuid", "/dev/disk/by-partlabel"}) {
    if (IsAtOrBelow(path, folder)) return true;
  }
  const auto part = path.rfind("-part");
  return part != std::string_view::npos && part + 5 < path.size() &&
         path.find_first_not_of("0123456789", part + 5) == std::string_view::npos;
}

std::vector<std::string> ReadDisks(const Cursor& cursor, DiskPlaces& places) {
  std::vector<std::string> disks;
  for (const Cursor& element : cursor.is_array() ? cursor.Elements() : std::vector<Cursor>()) {
    if (!element.is_string() || !Trimmed(element.json().get_ref<const std::string&>()).empty()) continue;
    // Left out, it would make a smaller pool than the list looks like.
    element.Error("invalid-disk", "this entry names no disk", "/dev/disk/by-id/…, or no entry");
  }
  for (const Text& disk : cursor.StringList(", \t")) {
    const auto path = NormalisedPath(disk.value);
    if (!path.has_value() || !IsAtOrBelow(*path, "/dev") || *path == "/dev" ||
        path->find(' ') != std::string::npos) {
      cursor.findings().Error("invalid-disk", disk.origin, "this is no device path", Quoted(disk.value),
                              "/dev/disk/by-id/…");
      continue;
    }
    const auto [place, is_new] = places.emplace(*path, disk.origin);
    if (!is_new) {
      cursor.findings().Error("duplicate-disk", disk.origin,
                              fmt::format("this disk was named before, at {}", place->second.ToString()),
                              Quoted(disk.value), "every disk once");
      continue;
    }
    constexpr std::string_view kStable = "/dev/disk/by-";
    if (path->substr(0, kStable.size()) != kStable) {
      cursor.findings().Error(
          "disk-path-not-stable", disk.origin,
          fmt::format("this device name can mean another disk after a reboot; `ls -l /dev/disk/by-id` shows "
                      "which name there leads to {}",
                      *path),
          Quoted(disk.value), "/dev/disk/by-id/…");
      continue;
    }
    if (IsPartition(*path)) {
      cursor.findings().Error("invalid-disk", disk.origin,
                              "this is a partition; Phoenix gives a pool whole disks, and compares a pool "
                              "that was made of partitions by the disks that these are on",
                              Quoted(disk.value), "the whole disk, without -part and its number");
      continue;
    }
    disks.push_back(*path);
  }
  return disks;
}

// The level that the zfs service is told.
std::string LevelName(const Layout& layout, std::size_t disks) {
  if (!layout.draid.empty()) return layout.draid;
  return layout.level == RaidLevel::kStripe && disks < 2 ? "single" : ToString(layout.level);
}

std::optional<Layout> ReadLevel(const Cursor& level, std::size_t listed) {
  const auto text = level.String();
  if (!text.has_value()) return std::nullopt;
  const auto layout = ParseRaidLevel(*text);
  if (!layout.has_value()) {
    level.Error("unknown-raid-level", "this raid level is not known", kRaidLevels);
  } else if (listed > 0) {
    CheckDiskCount(level, *layout, listed);
  }
  return layout;
}

std::size_t Listed(const Cursor& disks, const std::vector<std::string>& read) {
  return disks.is_array() ? disks.json().size() : read.size();
}

void ReadVdev(const Cursor& cursor, DiskPlaces& places, Pool& pool) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"class", "raid_level", "disks"});
  Vdev vdev;
  vdev.origin = cursor.origin();
  const Cursor name = cursor.Key("class");
  constexpr const char* kClasses = "data, log, cache, special, dedup or spare";
  if (!name.present()) {
    name.Error("missing", "this vdev has no class", kClasses);
  } else if (const auto text = name.String()) {
    vdev.vdev_class = ToLower(Trimmed(*text));
    static const std::set<std::string> kKnown = {"data", "log", "cache", "special", "dedup", "spare"};
    if (kKnown.count(vdev.vdev_class) == 0) {
      name.Error("unknown-vdev-class", "this class of vdevs is not known", kClasses);
      vdev.vdev_class.clear();
    }
  }
  const Cursor disks = cursor.Key("disks");
  vdev.disks = ReadDisks(disks, places);
  const std::size_t listed = Listed(disks, vdev.disks);
  if (listed == 0 && (!disks.present() || disks.is_array() || disks.is_string()))
    disks.Error("missing", "this vdev has no disks", "/dev/disk/by-id/…");
  const Cursor level = cursor.Key("raid_level");
  std::optional<Layout> layout;
  if (level.present()) layout = ReadLevel(level, listed);
  if (layout.has_value()) {
    vdev.raid_level = LevelName(*layout, listed);
    const bool plain = layout->level == RaidLevel::kStripe;
    const bool mirror = layout->level == RaidLevel::kMirror || layout->level == RaidLevel::kStripedMirrors;
    if (!plain && (vdev.vdev_class == "cache" || vdev.vdev_class == "spare")) {
      level.Error("vdev-raid-level", fmt::format("vdevs of class {} are plain disks", vdev.vdev_class),
                  "no raid level");
    } else if (!plain && !mirror && vdev.vdev_class != "data" && !vdev.vdev_class.empty()) {
      level.Error("vdev-raid-level", fmt::format("vdevs of class {} are disks or mirrors", vdev.vdev_class),
                  "mirror, raid10, or no raid level");
    }
  } else if (!level.present() && vdev.vdev_class == "data") {
    level.Error("missing", "data vdevs need a raid level", kRaidLevels);
  }
  if (!vdev.vdev_class.empty()) pool.vdevs.push_back(std::move(vdev));
}

// What zpool asks of data, special and dedup vdevs of one pool.
struct Redundancy {
  std::string kind;  // "disk", "mirror", "raidz2", "draid1"
  std::size_t width = 0, lost = 0;
};
Redundancy RedundancyOf(const std::string& level, std::size_t disks) {
  if (level.starts_with("raidz") || level.starts_with("draid"))
    return {level.substr(0, 6), disks,
            static_cast<std::size_t>(level[5] >= '1' && level[5] <= '3' ? level[5] - '0' : 1)};
  if (level == "mirror") return {level, disks, disks - 1};
  if (level == "raid10") return {"mirror", 2, 1};
  return {"disk", 1, 0};
}

void CheckRedundancy(const Pool& pool, Findings& findings) {
  if (!pool.raid_level || pool.disks.empty()) return;
  const Redundancy own =
      RedundancyOf(pool.draid.empty() ? ToString(*pool.raid_level) : pool.draid, pool.disks.size());
  for (const Vdev& vdev : pool.vdevs) {
    if (vdev.vdev_class != "data" && vdev.vdev_class != "special" && vdev.vdev_class != "dedup") continue;
    if (vdev.disks.empty()) continue;
    const Redundancy other = RedundancyOf(vdev.raid_level, vdev.disks.size());
    const bool alike = other.kind == own.kind
                           ? other.width == own.width
                           : other.lost == own.lost && (other.kind == "mirror" || own.kind == "mirror");
    if (alike) continue;
    findings.Lint(
        "mismatched-redundancy", vdev.origin,
        fmt::format(
            "of this vdev {} may be lost, of the pool's own disks {}; zpool makes no such pool, though one "
            "may exist",
            other.lost, own.lost));
  }
}

void ReadPool(const Cursor& cursor, DiskPlaces& places, Config& config) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"name", "raid_level", "disks", "vdevs", "properties", "encryption", "state"});
  Pool pool;
  pool.origin = cursor.origin();
  const Cursor name = cursor.Key("name");
  if (!name.present()) {
    name.Error("missing", "this pool has no name", "a pool name");
  } else if (const auto text = name.String()) {
    pool.name = *text;
    if (const auto problem = PoolNameProblem(pool.name)) {
      name.Error("invalid-name", "this is no pool name", *problem);
      pool.name.clear();
    }
  }
  pool.disks = ReadDisks(cursor.Key("disks"), places);
  const std::size_t listed = Listed(cursor.Key("disks"), pool.disks);
  const Cursor level = cursor.Key("raid_level");
  if (level.present()) {
    if (const auto layout = ReadLevel(level, listed)) {
      pool.raid_level = layout->level;
      pool.draid = layout->draid;
    }
  } else if (listed > 0) {
    level.Error("missing", "a pool with disks needs a raid level", kRaidLevels);
  }
  for (const Cursor& vdev : cursor.Key("vdevs").Elements()) ReadVdev(vdev, places, pool);
  if (!pool.vdevs.empty() && listed == 0)
    cursor.Key("disks").Error("missing", "vdevs come beside the pool's own disks", "the pool's disks");
  CheckRedundancy(pool, cursor.findings());
  PoolProperties properties = ReadPoolProperties(cursor.Key("properties"));
  pool.properties = std::move(properties.pool);
  pool.root_properties = std::move(properties.root);
  pool.encryption = ReadEncryption(cursor.Key("encryption"));
  const auto absent = ReadAbsent(cursor);
  if (!absent.has_value() || pool.name.empty()) return;
  pool.absent = *absent;
  for (const Pool& other : config.pools) {
    if (other.name != pool.name) continue;
    name.Error("duplicate-name", fmt::format("this pool was declared before, at {}", other.origin.ToString()),
               "every pool once");
    return;
  }
  config.pools.push_back(std::move(pool));
}

}  // namespace

void ReadPools(const Cursor& pools, Config& config) {
  DiskPlaces places;
  for (const Cursor& pool : pools.Elements()) ReadPool(pool, places, config);
}

}  // namespace phoenix::config
