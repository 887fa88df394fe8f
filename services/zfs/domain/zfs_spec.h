// What is wanted of a node's ZFS. Pure values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/zfs/domain/zfs_layout.h"

namespace phoenix::zfs {

enum class Presence { kPresent, kAbsent };

// What may be done to disks that hold something: nothing; a plan shows what would be wiped; those that `wipe`
// names are wiped.
enum class Mode { kSafe, kInteractive, kForceDestructive };

// Native property names and values.
using PropertyMap = std::map<std::string, std::string, std::less<>>;

// Vdevs besides those that a pool's own `raid_level` and `disks` make.
struct VdevSpec {
  VdevClass vdev_class = VdevClass::kData;
  std::string raid_level;  // "" for plain disks
  std::vector<std::string> disks;
  friend bool operator==(const VdevSpec&, const VdevSpec&) = default;
};

struct PoolSpec {
  std::string name;
  std::string raid_level;          // "" where no disks are declared
  std::vector<std::string> disks;  // paths below /dev/disk/; empty: the pool must exist already
  PropertyMap properties;          // pool properties
  std::string origin;              // the place in the configuration, for errors
  std::vector<VdevSpec> vdevs;     // only where `disks` is not empty
  Presence presence = Presence::kPresent;
  friend bool operator==(const PoolSpec&, const PoolSpec&) = default;
};

// A file that is delivered into a dataset. Its content is text and no secret: it stands in specs and
// journals.
struct FileSpec {
  std::string path;  // below the mount root, "conf/app.conf"
  std::string content;
  std::string owner, group;  // name or number; "" for root
  std::string mode;          // octal; "" for 0644
  friend bool operator==(const FileSpec&, const FileSpec&) = default;
};

// Of one file, and of all files of a dataset together.
inline constexpr size_t kMostFileBytes = size_t{64} << 10, kMostFilesBytes = size_t{256} << 10;

// Of an encryption root: a dataset with a key of its own. What lies below it inherits that key.
struct EncryptionSpec {
  std::string secret;     // the name of the secret that holds the key, never its value
  std::string format;     // "passphrase", "hex" or "raw"; "" for passphrase
  std::string algorithm;  // "aes-256-gcm" …; "" for that one
  friend bool operator==(const EncryptionSpec&, const EncryptionSpec&) = default;
};

struct DatasetSpec {
  std::string name;  // "quickOS/vm-disks"; a pool's name alone means its root dataset
  PropertyMap properties;
  std::string owner;  // name or uid; "" leaves it alone
  std::string group;  // name or gid; "" leaves it alone
  std::string mode;   // octal; "" leaves it alone
  Presence presence = Presence::kPresent;
  std::string origin;
  uint64_t volume_size_bytes = 0;  // 0: a file system
  // Owner, group and mode are for everything that is in it when they are given, once; not for what comes
  // later.
  bool recursive_owner = false;
  // What others put beside them is theirs; what is no longer named stays.
  std::vector<FileSpec> files;
  // nullopt: encrypted as what it lies in is, or not at all; what there is stays.
  std::optional<EncryptionSpec> encryption = {};
  // Owner, group and mode are given when it is created, and are its users' business afterwards.
  bool owner_at_creation_only = false;
  // The mount root's ACL as setfacl takes it ("group:media:rwx", "default:group:media:rwx"), beside a mode;
  // empty for none, nullopt leaves it alone.
  std::optional<std::vector<std::string>> acl = {};
  friend bool operator==(const DatasetSpec&, const DatasetSpec&) = default;
};

struct SnapshotSpec {
  std::string name;  // "quickOS/vm-disks@before"
  Presence presence = Presence::kPresent;
  friend bool operator==(const SnapshotSpec&, const SnapshotSpec&) = default;
};

// What a person decided about something that undo kept.
enum class KeptFate { kRestore, kDiscard };

struct KeptSpec {
  std::string name;  // "quickOS/.phoenix/kept/<run>/vm-disks"
  KeptFate fate = KeptFate::kRestore;
  std::string to;  // where it is restored to; "" for the name that it had
  friend bool operator==(const KeptSpec&, const KeptSpec&) = default;
};

// From where on a disk counts as unhealthy. What it says of its own failure needs no limit.
struct HealthLimits {
  uint32_t max_wear_percent = 90;  // refused where it is reached
  friend bool operator==(const HealthLimits&, const HealthLimits&) = default;
};

struct ZfsSpec {
  std::vector<PoolSpec> pools;
  std::vector<DatasetSpec> datasets;
  std::optional<uint64_t> arc_max_bytes;
  std::vector<SnapshotSpec> snapshots;
  std::vector<KeptSpec> kept;
  Mode mode = Mode::kSafe;
  std::vector<std::string> wipe;  // disks, as pools name them
  // What is not named is not reported as orphaned.
  bool partial = false;
  HealthLimits health = {};
  std::vector<std::string> allow_unhealthy = {};  // disks, as pools name them, and pools
  std::string arc_max_origin = {};                // the place in the configuration, for errors
  friend bool operator==(const ZfsSpec&, const ZfsSpec&) = default;
};

}  // namespace phoenix::zfs
