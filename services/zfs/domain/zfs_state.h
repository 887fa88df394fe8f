// What was seen of a node's ZFS. Pure values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/host/files.h"
#include "base/secret.h"
#include "services/zfs/domain/zfs_acl.h"
#include "services/zfs/domain/zfs_layout.h"

namespace phoenix::zfs {

// A property as ZFS tells it.
struct PropertyState {
  std::string value;     // sizes in bytes
  std::string source;    // "local", "default", "received", "temporary", "inherited from X", "-"
  std::string received;  // the received value beneath, "-" for none
  bool local() const { return source == "local"; }
  friend bool operator==(const PropertyState&, const PropertyState&) = default;
};

using PropertyStates = std::map<std::string, PropertyState, std::less<>>;

struct DatasetState {
  std::string name;
  std::string type;  // "filesystem" or "volume"
  uint64_t guid = 0;
  PropertyStates properties;
  // Where it is mounted in the host's own mount namespace; "" where it is not.
  std::string mounted_at;
  // The mount root's inode, where it is mounted.
  std::optional<DirectoryState> root;
  Acl acl = {};
  // The names of its owner and group, where they were asked for and the node has them.
  std::string owner, group;

  // "" for an unknown property.
  std::string Value(std::string_view property) const {
    const auto found = properties.find(property);
    return found == properties.end() ? "" : found->second.value;
  }
  // The value where it is set on this very dataset; user properties are inherited, and an inherited mark
  // marks nothing.
  std::string LocalValue(std::string_view property) const {
    const auto found = properties.find(property);
    return found == properties.end() || !found->second.local() ? "" : found->second.value;
  }
};

struct SnapshotState {
  std::string name;  // "quickOS/vm-disks@before"
  uint64_t guid = 0;
  uint64_t used_bytes = 0;
  int64_t creation_seconds = 0;
  uint64_t holds = 0;
  // The tags of its holds, where they were asked for.
  std::vector<std::string> tags;
  std::vector<std::string> clones;
  // The run of our mark, where it is set on this very snapshot.
  std::string run;
  // From kStageMark, the same way; "" where it is not set.
  std::string stage;
  // From kBootMark, the same way.
  std::string boot_mark;
  // From kCommittedMark, the same way; 0 where it is not set.
  int64_t committed_seconds = 0;
};

// A disk of a pool.
struct MemberState {
  std::string state;  // "ONLINE", "FAULTED", "UNAVAIL", "AVAIL" and "INUSE" of a spare …
  uint64_t read_errors = 0, write_errors = 0, checksum_errors = 0;
  // The member whose place it is taking; "" for none.
  std::string replaces;
  uint64_t size_bytes = 0;  // of the whole disk; 0 where it is missing
  // "/dev/sda3" where ZFS has that partition only and the disk has others (to boot from); "" for a whole
  // disk.
  std::string partition;
  // What zpool takes for it, and for the top-level vdev that it belongs to, in commands; where asked for.
  std::string name, vdev_name;
  friend bool operator==(const MemberState&, const MemberState&) = default;
};

// A scrub or resilver that ZFS still knows of.
struct ScanState {
  enum class Kind { kScrub, kResilver };
  enum class Stage { kRunning, kFinished, kStopped };
  Kind kind = Kind::kScrub;
  Stage stage = Stage::kFinished;
  uint64_t errors = 0;   // that it could not repair, where it is finished
  std::string date;      // "2026-11-20", when it ended, or began where it goes on
  std::string progress;  // "12.34%", where it goes on and ZFS tells
  friend bool operator==(const ScanState&, const ScanState&) = default;
};

struct PoolState {
  std::string name;
  uint64_t guid = 0;
  std::string health;  // "ONLINE", "DEGRADED", "SUSPENDED" …
  uint64_t size_bytes = 0;
  uint64_t free_bytes = 0;
  PropertyStates properties;
  // All vdevs; members as kernel paths of whole disks ("/dev/nvme0n1"), or as ZFS names them where the disk
  // is missing. A disk that takes another's place counts, that one not; a spare counts as a spare only, even
  // while it stands in for a member.
  std::vector<VdevGroup> layout;
  // Each member and each disk whose place is being taken, by the same names.
  std::map<std::string, MemberState, std::less<>> members;
  // Places that cannot be read any more; nullopt where ZFS cannot tell.
  std::optional<uint64_t> data_errors;
  std::vector<ScanState> scans;
};

// What a disk says of itself by SMART; what it does not say is nullopt.
struct DiskHealth {
  enum class Verdict { kUnknown, kPassed, kFailed };
  Verdict verdict = Verdict::kUnknown;
  std::string unknown;                    // why nothing is known
  std::optional<uint32_t> wear_percent;   // of what the disk is made for; may pass 100
  std::optional<uint32_t> spare_percent;  // NVMe, as the next
  std::optional<uint32_t> spare_threshold_percent;
  uint32_t critical_warning = 0;  // NVMe's bits
  std::optional<uint64_t> media_errors;
  std::optional<uint64_t> reallocated_sectors, pending_sectors, uncorrectable_sectors;
  std::optional<int32_t> temperature_celsius;
  std::optional<uint64_t> power_on_hours;
  friend bool operator==(const DiskHealth&, const DiskHealth&) = default;
};

// Something a probe found on a disk.
struct Finding {
  std::string where;  // "/dev/nvme0n1p1"
  std::string what;   // "ext4 file system (wipefs)"
  // For a label of a ZFS pool: its name and GUID.
  std::string pool;
  uint64_t pool_guid = 0;
  // True for a partition table or partition as `zpool create` writes it, and for the label of a cache or
  // spare.
  bool zfs_partition = false;
  friend bool operator==(const Finding&, const Finding&) = default;
};

struct DiskState {
  std::string path;         // as it was asked for, "/dev/disk/by-id/…"
  std::string device_path;  // the kernel's whole disk, "/dev/nvme0n1"
  std::string serial;
  uint64_t size_bytes = 0;
  // The imported pool that it is a member of; such a disk is not probed.
  std::string member_of;
  // Mounted, swap, or held by another device: never to be written to, whatever the mode.
  std::string in_use;
  // Empty: blank to every probe.
  std::vector<Finding> findings;
};

struct ExportedPool {
  std::string name;
  uint64_t guid = 0;
  std::string state;
  // Another system had it last and did not export it.
  bool in_use_elsewhere = false;
  // Members as `zpool import` names them.
  std::vector<std::string> members;
};

struct ArcState {
  // /sys/module/zfs/parameters/zfs_arc_max; nullopt while the module is not loaded.
  std::optional<uint64_t> live;
  // What the ARC goes by now (c_max in /proc/spl/kstat/zfs/arcstats): with a parameter of 0 its own default,
  // or what was set before the 0. 0 where it cannot be told.
  uint64_t in_force = 0;
  // The same of zfs_arc_min (c_min). ZFS takes no limit that is not above the minimum in force.
  uint64_t min_live = 0, min_in_force = 0;
  std::optional<FileState> file;
  // Other files in modprobe.d that set zfs_arc_max: (path, value).
  std::vector<std::pair<std::string, std::string>> elsewhere;
  uint64_t memory_bytes = 0;
  // The root file system is ZFS: the module takes its options from the initramfs.
  bool root_on_zfs = false;
  // Then: whether update-initramfs makes it, and whether it is older than our file or, where there is none,
  // than the last change in the file's folder.
  bool updates_initramfs = false, initramfs_is_older = false;
};

// A path as the planner needs to know it before something is mounted there.
struct PathState {
  std::optional<DirectoryState> directory;
  // Names in it.
  std::vector<std::string> entries;
  // True where something (of any file system) is mounted at exactly this path.
  bool mount_point = false;
};

// What there is where a file is to be delivered.
struct FileSeen {
  bool there = false;
  uint64_t size_bytes = 0;
  std::string digest;  // SHA-256 of its content; "" where it is longer than any that is delivered
  uint32_t uid = 0, gid = 0, mode = 0;
  // In words, what is in the way: a link, a folder, something else that is no regular file; "" for nothing.
  std::string obstacle;
  friend bool operator==(const FileSeen&, const FileSeen&) = default;
};
using FilesSeen = std::map<std::string, FileSeen, std::less<>>;  // by path below the mount root

// A key to try on an encryption root, which changes nothing.
struct KeyToTry {
  std::string format;
  Secret key;
};

// What to look at. Empty: nothing.
struct ObserveRequest {
  bool pools = false;
  std::vector<std::string> wanted_pools;  // where one of them is not imported, exported pools are looked for
  bool all_datasets = false;
  std::vector<std::string> datasets;       // single ones, by name; missing ones are simply not in the answer
  bool recursive = false;                  // `datasets` and everything below
  bool snapshots = false;                  // all, or those of `datasets` where it names any
  bool holds = false;                      // the tags of their holds, too
  std::vector<std::string> written_since;  // snapshots: what was written to their datasets since
  std::vector<std::string> disks;          // paths; "*" for every whole disk
  std::vector<std::string> paths;
  std::vector<std::string> first_files;    // mount points
  std::set<std::string> ours;              // paths that do not count among those
  std::vector<std::string> users, groups;  // names
  // Paths below the mount roots of datasets that are looked at, too.
  std::map<std::string, std::vector<std::string>, std::less<>> files;
  // By encryption root, whether or not its key is loaded.
  std::map<std::string, KeyToTry, std::less<>> keys;
  bool owners = false;      // the names of the datasets' owners and groups
  bool links = false;       // the links of all disks, with `pools` or `disks`
  bool vdev_names = false;  // with `pools`: what zpool takes for their members
  bool arc = false;
  bool mount_points = false;
  std::vector<std::string> health;  // disks, by path; "*" for every whole disk with a link in by-id
  // What each tool may take; 0 for as long as it needs. Then an error, and of `health` an unknown one.
  uint32_t limit_seconds = 0;
};

struct ZfsState {
  std::map<std::string, PoolState, std::less<>> pools;
  std::map<std::string, DatasetState, std::less<>> datasets;
  std::map<std::string, SnapshotState, std::less<>> snapshots;
  // Bytes, by the snapshots asked for; those that are not there are not in it. What no transaction group
  // holds yet is not counted: SyncPool first.
  std::map<std::string, uint64_t, std::less<>> written_since;
  std::map<std::string, DiskState, std::less<>> disks;    // by the path asked for; absent where there is none
  std::map<std::string, DiskHealth, std::less<>> health;  // by the path asked for; absent where there is none
  std::vector<ExportedPool> exported;
  std::map<std::string, PathState, std::less<>> paths;
  // Where anything is mounted, of whatever file system.
  std::set<std::string, std::less<>> mount_points;
  // The first entry below a mount root that is no directory: (mount point, path); for what was asked.
  std::map<std::string, std::string, std::less<>> first_files;
  std::map<std::string, uint32_t, std::less<>> users, groups;  // those asked for that exist
  // By dataset; those that are not mounted are not in it. No link is followed.
  std::map<std::string, FilesSeen, std::less<>> files;
  // The kernel's whole disks by the names that stay: "/dev/nvme0n1" to "/dev/disk/by-id/…".
  std::map<std::string, std::string, std::less<>> links;
  // Whether the keys that were tried are the ones, by encryption root.
  std::map<std::string, bool, std::less<>> keys_fit;
  ArcState arc;
  // Of the module, "2.2.7-pve2", with datasets; "" where it is not told.
  std::string version;
};

}  // namespace phoenix::zfs
