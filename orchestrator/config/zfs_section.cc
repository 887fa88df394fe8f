#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/config/names.h"
#include "orchestrator/config/sections.h"
#include "orchestrator/config/zfs_content.h"
#include "orchestrator/config/zfs_properties.h"

namespace phoenix::config {
namespace {

constexpr const char* kRaidLevels =
    "single, stripe (raid0), mirror (raid1), raid10, raidz (raidz1), raidz2, raidz3, draid (draid1), draid2, "
    "draid3";

struct Layout {
  RaidLevel level;
  std::string draid;
  std::size_t least_disks;
  std::size_t most_disks = SIZE_MAX;
};

// "draid" or "draid2". A layout behind it ("draid2:4d:1s") is not compared on a node yet, so it is refused.
std::optional<Layout> ParseDraid(const std::string& text) {
  const std::string parity = text.substr(5);
  if (!parity.empty() && parity != "1" && parity != "2" && parity != "3") return std::nullopt;
  return Layout{RaidLevel::kDraid, text, parity.empty() ? 2 : static_cast<std::size_t>(parity[0] - '0') + 1};
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
  if (disks < layout.least_disks) return refuse(fmt::format("{} disks or more", layout.least_disks));
  if (disks > layout.most_disks) return refuse("one disk; stripe or mirror for more");
  if (layout.level == RaidLevel::kStripedMirrors && disks % 2 != 0) refuse("an even number of disks");
}

// Where each disk was named first, over all pools.
using DiskPlaces = std::map<std::string, Origin>;

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
    disks.push_back(*path);
  }
  return disks;
}

void ReadPool(const Cursor& cursor, DiskPlaces& places, Config& config) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"name", "raid_level", "disks", "state"});
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
  const std::size_t listed =
      cursor.Key("disks").is_array() ? cursor.Key("disks").json().size() : pool.disks.size();
  const Cursor level = cursor.Key("raid_level");
  if (level.present()) {
    if (const auto text = level.String()) {
      const auto layout = ParseRaidLevel(*text);
      if (!layout.has_value()) {
        level.Error("unknown-raid-level", "this raid level is not known", kRaidLevels);
      } else {
        pool.raid_level = layout->level;
        pool.draid = layout->draid;
        if (listed > 0) CheckDiskCount(level, *layout, listed);
      }
    }
  } else if (listed > 0) {
    level.Error("missing", "a pool with disks needs a raid level", kRaidLevels);
  }
  const auto absent = ReadAbsent(cursor);
  if (absent.value_or(false)) {
    cursor.Key("state").Error("unsupported-state",
                              "pools are not removed by the configuration; take their datasets away here, "
                              "and then the pool by hand: zpool destroy",
                              "present");
  }
  if (absent.value_or(true) || pool.name.empty()) return;
  for (const Pool& other : config.pools) {
    if (other.name != pool.name) continue;
    name.Error("duplicate-name", fmt::format("this pool was declared before, at {}", other.origin.ToString()),
               "every pool once");
    return;
  }
  config.pools.push_back(std::move(pool));
}

// Fills pool, name and full_name; false after an error.
bool ReadDatasetName(const Cursor& cursor, Dataset& dataset) {
  const Cursor name = cursor.Key("name");
  const Cursor pool = cursor.Key("pool");
  if (!name.present()) {
    name.Error("missing", "this dataset has no name",
               "a name, with its pool beside it or in front (pool/name)");
    return false;
  }
  const auto name_text = name.String();
  const auto pool_text = pool.String();
  if (!name_text.has_value() || (pool.present() && !pool_text.has_value())) return false;
  dataset.pool = pool_text.value_or("");
  dataset.name = *name_text;
  const std::size_t slash = dataset.name.find('/');
  const bool qualified = slash != std::string::npos;
  if (dataset.pool.empty()) {
    if (!qualified) {
      pool.Error("missing", fmt::format("the dataset {} has no pool", Quoted(dataset.name)),
                 "a pool name here, or a name like pool/dataset");
      return false;
    }
    dataset.pool = dataset.name.substr(0, slash);
    dataset.name.erase(0, slash + 1);
  } else if (qualified && dataset.name.substr(0, slash) == dataset.pool) {
    dataset.name.erase(0, slash + 1);
    name.Lint("qualified-name",
              fmt::format("the name holds its pool already; read as {}/{}", dataset.pool, dataset.name));
  }
  const Cursor& pool_place = pool.present() ? pool : name;
  if (const auto problem = PoolNameProblem(dataset.pool)) {
    pool_place.Error("invalid-name", "this is no pool name", *problem);
    return false;
  }
  dataset.full_name = fmt::format("{}/{}", dataset.pool, dataset.name);
  auto problem = DatasetNameProblem(dataset.name);
  if (!problem.has_value()) problem = DatasetNameProblem(dataset.full_name);
  if (problem.has_value()) {
    name.Error("invalid-name", "this is no dataset name", *problem);
    return false;
  }
  return true;
}

// The mount point may stand beside the properties or among them; the two must agree.
void ReadMountPoint(const Cursor& cursor, Dataset& dataset) {
  const Cursor place = cursor.Key("mountpoint");
  const auto among = dataset.properties.find("mountpoint");
  const std::string wanted = among == dataset.properties.end() ? "" : among->second.value;
  if (const auto text = place.String(); text.has_value() && !text->empty()) {
    const bool nowhere = *text == "none" || *text == "legacy";
    const auto path = nowhere ? text : NormalisedPath(*text);
    if (!path.has_value() || *path == "/") {
      place.Error("invalid-path", "this is no mount point", "an absolute path other than /, none or legacy");
    } else if (!wanted.empty() && wanted != *path) {
      place.Error("contradicting-mountpoint", fmt::format("the properties say mountpoint={}", wanted),
                  "one mount point");
    } else {
      dataset.properties["mountpoint"] = {*path, *path, place.origin()};
    }
  }
}

// Mounts every dataset where ZFS would: where it says itself, else below the nearest ancestor that says
// something, else at /<its name>. Needs all datasets, for an ancestor may stand behind its child in the file.
void ResolveMountPoints(Config& config, Findings& findings) {
  std::map<std::string, Origin> places;
  for (Dataset& dataset : config.datasets) {
    const Dataset* speaker = nullptr;
    for (const Dataset& other : config.datasets) {
      const bool speaks = other.properties.count("mountpoint") > 0 &&
                          IsAtOrBelow("/" + dataset.full_name, "/" + other.full_name);
      if (!speaks) continue;
      if (speaker == nullptr || other.full_name.size() > speaker->full_name.size()) speaker = &other;
    }
    dataset.mountpoint = "/" + dataset.full_name;
    if (speaker != nullptr) {
      const std::string& said = speaker->properties.at("mountpoint").value;
      dataset.mountpoint = said[0] == '/' ? said + dataset.full_name.substr(speaker->full_name.size()) : "";
    }
    if (dataset.mountpoint.empty()) continue;
    const auto [place, is_new] = places.emplace(dataset.mountpoint, dataset.origin);
    if (is_new) continue;
    findings.Error("duplicate-mountpoint", dataset.origin,
                   fmt::format("another dataset is mounted there, declared at {}", place->second.ToString()),
                   Quoted(dataset.mountpoint), "every mount point once");
  }
}

void ReadDataset(const Cursor& cursor, Config& config) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"name", "pool", "properties", "mountpoint", "proxmox_storage_type",
                     "proxmox_content_type", "storage_class", "owner", "group", "mode", "recursive_owner",
                     "files", "state", "proxmox_storage_state"});
  Dataset dataset;
  dataset.origin = cursor.origin();
  const bool named = ReadDatasetName(cursor, dataset);
  dataset.properties = ReadProperties(cursor.Key("properties"));
  ReadMountPoint(cursor, dataset);
  ReadOwnership(cursor, dataset);
  ReadRecursiveOwner(cursor, dataset);
  ReadFiles(cursor, dataset);
  dataset.storage_class = cursor.Key("storage_class").String().value_or("");
  const auto absent = ReadAbsent(cursor);
  if (!absent.has_value() || !named) return;
  dataset.absent = *absent;
  if (const Dataset* other = config.FindDataset(dataset.full_name)) {
    cursor.findings().Error("duplicate-name", cursor.origin(),
                            fmt::format("this dataset was declared before, at {}", other->origin.ToString()),
                            Quoted(dataset.full_name), "every dataset once");
    return;
  }
  config.datasets.push_back(std::move(dataset));
}

void ReadArcLimit(const Cursor& zfs, Config& config) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
  constexpr std::uint64_t kLeast = std::uint64_t{64} << 20U;  // ZFS ignores a smaller limit
  constexpr std::uint64_t kMost = 16384 * kGiB;               // beyond any machine: a slip of units
  const Cursor gib = zfs.Key("arc_max_gb");
  const Cursor bytes = zfs.Key("arc_max");
  const auto accept = [&](const Cursor& place, std::uint64_t value) {
    if (value < kLeast || value > kMost) {
      place.Error("arc-limit", "this limit makes no sense",
                  "64 MiB to 16384 GiB; leave the key out for the default of ZFS");
      return;
    }
    config.arc_max_bytes = value;
    config.arc_max_origin = place.origin();
  };
  if (const auto value = bytes.Unsigned()) accept(bytes, *value);
  const auto value = gib.Unsigned();
  if (!value.has_value()) return;
  if (bytes.present()) bytes.Lint("arc-limit-twice", "zfs.arc_max_gb is given as well and wins");
  accept(gib, *value > kMost / kGiB ? kMost + 1 : *value * kGiB);
}

}  // namespace

void ReadZfs(const Cursor& root, Config& config) {
  const Cursor zfs = root.Key("zfs");
  if (!zfs.present() || !zfs.RequireObject()) return;
  zfs.ExpectKeys({"pools", "datasets", "arc_max_gb", "arc_max", "settings", "dataset_storage_types"});
  DiskPlaces places;
  for (const Cursor& pool : zfs.Key("pools").Elements()) ReadPool(pool, places, config);
  for (const Cursor& dataset : zfs.Key("datasets").Elements()) ReadDataset(dataset, config);
  ResolveMountPoints(config, zfs.findings());
  CheckFilesTogether(zfs.Key("datasets"), config);
  ReadArcLimit(zfs, config);
  const Cursor settings = zfs.Key("settings");
  if (settings.present() && settings.RequireObject()) {
    settings.ExpectKeys({"allow_destructive_operations"});
    config.allow_destructive_operations = settings.Key("allow_destructive_operations").Bool().value_or(false);
  }
}

}  // namespace phoenix::config
