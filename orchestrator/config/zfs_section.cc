#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/config/names.h"
#include "orchestrator/config/pool_section.h"
#include "orchestrator/config/sections.h"
#include "orchestrator/config/zfs_content.h"
#include "orchestrator/config/zfs_encryption.h"
#include "orchestrator/config/zfs_properties.h"
#include "orchestrator/config/zfs_volume.h"

namespace phoenix::config {
namespace {

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
    if (dataset.volume_size != 0) continue;
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
                     "proxmox_content_type", "storage_class", "owner", "group", "mode", "acl",
                     "recursive_owner", "files", "encryption", "volume_size", "state",
                     "proxmox_storage_state", "proxmox_storage_user", "proxmox_storage_options"});
  Dataset dataset;
  dataset.origin = cursor.origin();
  const bool named = ReadDatasetName(cursor, dataset);
  const bool volume = cursor.Key("volume_size").present();
  dataset.properties =
      ReadProperties(cursor.Key("properties"), volume ? DatasetType::kVolume : DatasetType::kFileSystem);
  if (volume) {
    ReadVolume(cursor, dataset);
  } else {
    ReadMountPoint(cursor, dataset);
    ReadOwnership(cursor, dataset);
    ReadRecursiveOwner(cursor, dataset);
    ReadFiles(cursor, dataset);
  }
  dataset.encryption = ReadEncryption(cursor.Key("encryption"));
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

void ReadHealth(const Cursor& health, Config& config) {
  constexpr std::uint64_t kMost = 255;  // NVMe counts no further
  constexpr std::uint64_t kEnd = 100;   // what the disk is made for
  if (!health.present() || !health.RequireObject()) return;
  health.ExpectKeys({"max_wear_percent"});
  const Cursor wear = health.Key("max_wear_percent");
  const auto percent = wear.Unsigned();
  if (!percent.has_value()) return;
  if (*percent < 1 || *percent > kMost) {
    wear.Error("wear-limit", "this is no wear of a disk",
               "1 to 255 percent; leave the key out for 90, and use --allow-unhealthy for a single disk");
    return;
  }
  if (*percent > kEnd)
    wear.Lint("wear-limit-late", "disks are taken that are worn past what they are made for, which is 100");
  config.max_wear_percent = static_cast<std::uint32_t>(*percent);
}

}  // namespace

void ReadZfs(const Cursor& root, Config& config) {
  const Cursor zfs = root.Key("zfs");
  if (!zfs.present() || !zfs.RequireObject()) return;
  zfs.ExpectKeys({"pools", "datasets", "arc_max_gb", "arc_max", "settings", "dataset_storage_types"});
  ReadPools(zfs.Key("pools"), config);
  for (const Cursor& dataset : zfs.Key("datasets").Elements()) ReadDataset(dataset, config);
  ResolveMountPoints(config, zfs.findings());
  CheckVolumes(config, zfs.findings());
  CheckFilesTogether(zfs.Key("datasets"), config);
  ReadArcLimit(zfs, config);
  const Cursor settings = zfs.Key("settings");
  if (settings.present() && settings.RequireObject()) {
    settings.ExpectKeys({"allow_destructive_operations", "health"});
    config.allow_destructive_operations = settings.Key("allow_destructive_operations").Bool().value_or(false);
    ReadHealth(settings.Key("health"), config);
  }
}

}  // namespace phoenix::config
