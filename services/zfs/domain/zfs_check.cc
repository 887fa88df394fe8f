// What can be wrong with a spec whatever the machine looks like.
#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>

#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_growth.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

class Checker {
 public:
  explicit Checker(std::vector<FieldViolation>& violations) : violations_(violations) {}

  void Pool(const PoolSpec& pool) {
    const auto place = [&](std::string_view field) { return Place(pool.origin, "pool", pool.name, field); };
    if (const auto wrong = WrongPoolName(pool.name); !wrong.empty()) {
      Add(place("name"), fmt::format("pool name '{}' {}", pool.name, wrong));
    }
    if (!pools_.insert(pool.name).second)
      Add(place("name"), fmt::format("pool {} is declared twice", pool.name));
    std::set<std::string> seen;
    for (const auto& [field, disk] : DeclaredDisks(pool)) {
      if (!disk.starts_with("/dev/disk/by-") || disk.find("/../") != std::string::npos ||
          disk.find('\n') != std::string::npos) {
        Add(place(field), fmt::format("disk '{}' is not a stable path below /dev/disk/by-id", disk));
      } else if (IsPartition(disk)) {
        Add(place(field), fmt::format("'{}' is a partition; a pool is given whole disks", disk));
      }
      if (!seen.insert(disk).second) Add(place(field), fmt::format("disk {} is named twice", disk));
      if (const auto [other, fresh] = disks_.emplace(disk, pool.name); !fresh && other->second != pool.name) {
        Add(place(field), fmt::format("disk {} is also named for pool {}", disk, other->second));
      }
    }
    if (!pool.disks.empty()) {
      if (const auto layout = LayoutOf(pool.raid_level, pool.disks); !layout.ok()) {
        Add(place("raid_level"), Message(layout.status()));
      }
    } else if (!pool.vdevs.empty()) {
      Add(place("vdevs"), "vdevs come beside the pool's own disks: declare those, too");
    }
    for (size_t i = 0; i < pool.vdevs.size(); ++i) {
      const VdevSpec& vdev = pool.vdevs[i];
      const auto layout = LayoutOf(vdev.vdev_class, vdev.raid_level, vdev.disks);
      if (!layout.ok()) Add(place(fmt::format("vdevs[{}].raid_level", i)), Message(layout.status()));
    }
    for (const auto& [name, value] : pool.properties) PoolProperty(place("properties." + name), name, value);
  }

  void Dataset(const DatasetSpec& dataset) {
    const auto place = [&](std::string_view field) {
      return Place(dataset.origin, "dataset", dataset.name, field);
    };
    if (const auto wrong = WrongDatasetName(dataset.name); !wrong.empty()) {
      Add(place("name"), fmt::format("dataset name '{}' {}", dataset.name, wrong));
    }
    if (!datasets_.insert(dataset.name).second) {
      Add(place("name"), fmt::format("dataset {} is declared twice", dataset.name));
    }
    const bool volume = dataset.volume_size_bytes != 0;
    for (const auto& [name, value] : dataset.properties)
      Property(place("properties." + name), name, value, volume);
    if (const auto path = dataset.properties.find("mountpoint"); path != dataset.properties.end() &&
                                                                 path->second.starts_with('/') &&
                                                                 dataset.presence == Presence::kPresent) {
      const auto [other, fresh] = mountpoints_.emplace(path->second, dataset.name);
      if (!fresh) {
        Add(place("properties.mountpoint"),
            fmt::format("{} is also the mount point of {}", path->second, other->second));
      }
    }
    if (volume && !(dataset.owner.empty() && dataset.group.empty() && dataset.mode.empty() && !dataset.acl)) {
      Add(place("owner"), "a volume has no mount root, so it has no owner, group, mode or ACL");
    }
    if (dataset.recursive_owner && volume) {
      Add(place("recursive_owner"), "a volume has no files that could have an owner");
    } else if (dataset.recursive_owner && dataset.owner.empty() && dataset.group.empty() &&
               dataset.mode.empty()) {
      Add(place("recursive_owner"), "there is nothing to set: give owner, group or mode");
    }
    Name(place("owner"), "owner", dataset.owner);
    Name(place("group"), "group", dataset.group);
    if (!IsMode(dataset.mode, 07777))
      Add(place("mode"), fmt::format("mode '{}' is not octal such as 2770", dataset.mode));
    if (dataset.acl) RootAcl(dataset);
    Files(dataset);
    Encryption(dataset);
  }

  void Snapshot(const SnapshotSpec& snapshot) {
    if (const auto wrong = WrongSnapshotName(snapshot.name); !wrong.empty()) {
      Add(Place("", "snapshot", snapshot.name), fmt::format("snapshot name '{}' {}", snapshot.name, wrong));
    }
  }

 private:
  void Add(std::string field, std::string text) {
    violations_.push_back({std::move(field), std::move(text)});
  }

  // udev's names of partitions: "…-part3", and the folders of what only partitions have.
  static bool IsPartition(const std::string& disk) {
    if (disk.starts_with("/dev/disk/by-partuuid/") || disk.starts_with("/dev/disk/by-partlabel/"))
      return true;
    const auto part = disk.rfind("-part");
    return part != std::string::npos && part + 5 < disk.size() &&
           disk.find_first_not_of("0123456789", part + 5) == std::string::npos;
  }

  static bool IsMode(const std::string& mode, uint32_t most) {
    if (mode.empty()) return true;
    bool good = mode.size() <= 5;
    for (const char c : mode) good = good && c >= '0' && c <= '7';
    return good && ModeOf(mode) <= most;
  }

  void RootAcl(const DatasetSpec& dataset) {
    const std::string place = Place(dataset.origin, "dataset", dataset.name, "acl");
    if (dataset.recursive_owner)
      Add(place, "an ACL is for the mount root, and recursive_owner for everything: one of the two");
    if (const auto wrong = WrongAcl(*dataset.acl, dataset.mode); !wrong.empty()) Add(place, wrong);
    for (const std::string& text : *dataset.acl) {
      if (const auto entry = ParseAclEntry(text)) Name(place, "user or group", entry->qualifier);
    }
  }

  void Files(const DatasetSpec& dataset) {
    const auto place = [&](std::string_view field) {
      return Place(dataset.origin, "dataset", dataset.name, field);
    };
    if (!dataset.files.empty() && dataset.volume_size_bytes != 0)
      Add(place("files"), "a volume has no files");
    if (!dataset.files.empty() && dataset.presence == Presence::kAbsent)
      Add(place("files"), "nothing is delivered into what is wanted gone");
    std::set<std::string> paths;
    size_t bytes = 0;
    for (size_t i = 0; i < dataset.files.size(); ++i) {
      const FileSpec& file = dataset.files[i];
      const auto at = [&](const char* field) { return place(fmt::format("files[{}].{}", i, field)); };
      if (const auto wrong = WrongFilePath(file.path); !wrong.empty())
        Add(at("path"), fmt::format("path '{}' {}", file.path, wrong));
      for (const auto& other : paths) {
        if (IsBelow(file.path, other) || IsBelow(other, file.path))
          Add(at("path"), fmt::format("{} and {} cannot both be files", other, file.path));
      }
      paths.insert(file.path);
      if (file.content.size() > kMostFileBytes)
        Add(at("content"), fmt::format("it has {} bytes, more than {}", file.content.size(), kMostFileBytes));
      bytes += file.content.size();
      Name(at("owner"), "owner", file.owner);
      Name(at("group"), "group", file.group);
      if (!IsMode(file.mode, 0777))
        Add(at("mode"), fmt::format("mode '{}' is not octal such as 0644", file.mode));
    }
    if (bytes > kMostFilesBytes)
      Add(place("files"), fmt::format("they have {} bytes together, more than {}", bytes, kMostFilesBytes));
  }

  void Encryption(const DatasetSpec& dataset) {
    if (!dataset.encryption) return;
    const auto place = [&](std::string_view field) {
      return Place(dataset.origin, "dataset", dataset.name, field);
    };
    const EncryptionSpec encryption = Completed(*dataset.encryption);
    if (encryption.secret.empty())
      Add(place("encryption.key"), "the name of the secret that holds the key is missing");
    if (!IsKeyFormat(encryption.format)) {
      Add(place("encryption.format"),
          fmt::format("'{}' is no format of keys: passphrase, hex or raw", encryption.format));
    }
    if (!IsAlgorithm(encryption.algorithm)) {
      Add(place("encryption.algorithm"),
          fmt::format("'{}' is none of aes-128-ccm, aes-192-ccm, aes-256-ccm, aes-128-gcm, aes-192-gcm and "
                      "aes-256-gcm",
                      encryption.algorithm));
    }
  }

  void PoolProperty(const std::string& field, const std::string& name, const std::string& value) {
    constexpr std::string_view kKnown[] = {"ashift",        "autoexpand",    "autoreplace", "autotrim",
                                           "comment",       "compatibility", "delegation",  "failmode",
                                           "listsnapshots", "multihost"};
    const bool known = std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown);
    const bool feature =
        name.starts_with("feature@") && name.find_first_of(" \t\n,=/@", 8) == std::string::npos;
    if (!known && !feature) {
      Add(field, fmt::format("'{}' is no property that a pool can be given", name));
      return;
    }
    bool good = !value.empty();
    for (const char c : value) good = good && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
    if (name == "ashift") {
      good = good && value.size() <= 2 && value.find_first_not_of("0123456789") == std::string::npos &&
             (value == "0" || (std::stoi(value) >= 9 && std::stoi(value) <= 16));
    }
    if (!good) Add(field, fmt::format("pool property {} does not take '{}'", name, value));
  }

  void Property(const std::string& field, const std::string& name, const std::string& value, bool volume) {
    if (IsUserProperty(name)) {
      if (name.starts_with("phoenix:")) Add(field, fmt::format("{} belongs to Phoenix", name));
      for (const char c : name) {
        if ((std::isalnum(static_cast<unsigned char>(c)) == 0 ||
             std::isupper(static_cast<unsigned char>(c)) != 0) &&
            std::string_view(":._-").find(c) == std::string_view::npos) {
          Add(field,
              fmt::format("user property '{}' may hold lower-case letters, digits and : . _ - only", name));
          break;
        }
      }
    } else if (name == "volsize") {
      Add(field, "the size of a volume is its volume_size_bytes");
      return;
    } else if (name == "encryption" || name == "keyformat" || name == "keylocation" ||
               name == "pbkdf2iters") {
      Add(field, fmt::format("{}: what is encrypted, and with which key, its `encryption` says", name));
      return;
    } else {
      const PropertyRule* rule = FindProperty(name);
      if (rule == nullptr) {
        Add(field, fmt::format("'{}' is no settable property of a dataset", name));
        return;
      }
      if (volume ? !rule->volumes : !rule->filesystems) {
        Add(field, fmt::format("{} does not apply to a {}", name, volume ? "volume" : "file system"));
        return;
      }
    }
    if (const auto canonical = CanonicalValue(name, value); !canonical.ok())
      Add(field, Message(canonical.status()));
  }

  void Name(const std::string& field, std::string_view what, const std::string& name) {
    if (name.empty()) return;
    bool good = name[0] != '-';
    for (const char c : name) {
      good = good && (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                      std::string_view("_.-$@\\").find(c) != std::string_view::npos);
    }
    if (!good) Add(field, fmt::format("'{}' is not a usable {} name", name, what));
  }

  std::vector<FieldViolation>& violations_;
  std::set<std::string> pools_, datasets_;
  std::map<std::string, std::string> disks_, mountpoints_;
};

}  // namespace

std::string Place(std::string_view origin, std::string_view kind, std::string_view name,
                  std::string_view field) {
  std::string place = origin.empty() ? fmt::format("{} {}", kind, name) : std::string(origin);
  if (!field.empty()) place += fmt::format(".{}", field);
  return place;
}

void CheckSpec(Planning& planning) {
  Checker checker(planning.violations);
  for (const auto& pool : planning.spec.pools) {
    const size_t before = planning.violations.size();
    checker.Pool(pool);
    if (planning.violations.size() != before) planning.failed_pools.insert(pool.name);
  }
  for (const auto& dataset : planning.spec.datasets) {
    const size_t before = planning.violations.size();
    checker.Dataset(dataset);
    if (planning.violations.size() == before) continue;
    planning.failed_datasets.insert(dataset.name);
    planning.coming_datasets.insert(dataset.name);
  }
  for (const auto& snapshot : planning.spec.snapshots) checker.Snapshot(snapshot);
  planning.spec_is_wrong = !planning.violations.empty();
}

}  // namespace phoenix::zfs
