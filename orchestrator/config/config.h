// What a configuration file declares, free of the file's dialects: one spelling, every default filled in,
// every name checked. The planners' specs are made from these values; nothing here knows JSON, gRPC or a
// machine.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/config/finding.h"

namespace phoenix::config {

enum class RaidLevel { kStripe, kMirror, kStripedMirrors, kRaidz1, kRaidz2, kRaidz3, kDraid };

// "stripe", "mirror", "raid10", "raidz1", "raidz2", "raidz3", "draid".
std::string ToString(RaidLevel level);

// A ZFS property. For sizes `value` is bytes in decimal, exactly what `zfs set` makes of `given` and `zfs get
// -Hp` prints; otherwise it equals `given`.
struct Property {
  std::string given;
  std::string value;
  Origin origin;
};

// Vdevs besides those of a pool's own disks.
struct Vdev {
  std::string vdev_class;  // "data", "log", "cache", "special", "dedup", "spare"
  // As the zfs service takes it ("mirror", "draid2:4d:1s"); empty for plain disks.
  std::string raid_level;
  std::vector<std::string> disks;
  Origin origin;
};

// Makes a dataset an encryption root; what lies below it inherits its key.
struct Encryption {
  std::string secret;                 // the name of the secret that holds the key
  std::string format = "passphrase";  // or "hex", "raw"
  std::string algorithm = "aes-256-gcm";
  Origin origin;
};

struct Pool {
  std::string name;
  bool absent = false;  // wanted gone
  // Absent only where `disks` is empty.
  std::optional<RaidLevel> raid_level;
  // For kDraid the vdev as `zpool create` takes it ("draid2:4d:1s"), else empty.
  std::string draid;
  // Device paths in the order of the file; kStripedMirrors pairs them two by two. Empty: the pool must exist
  // already.
  std::vector<std::string> disks;
  std::vector<Vdev> vdevs;
  // Of the pool ("ashift", "autotrim"), and of its root dataset, from which all others inherit.
  std::map<std::string, Property> properties, root_properties;
  std::optional<Encryption> encryption;  // of its root dataset
  Origin origin;
};

// From this wear on, in percent, a disk counts as unhealthy.
inline constexpr std::uint32_t kDefaultMaxWearPercent = 90;

// Who owns the root directory of a dataset.
struct Ownership {
  std::string owner;                  // name or number; empty: left as it is
  std::string group;                  // name or number; empty: left as it is
  std::optional<std::uint32_t> mode;  // permission bits, 07777 at most; absent: left as it is
  // True where the file says nothing and a Samba share needs it: root, the first valid user's group, 2770.
  bool from_share = false;
  // Given when the dataset is created, and its users' business afterwards.
  bool at_creation_only = false;
  // "group:media:rwx", "default:group:media:rwx"; empty: none; absent: left as it is.
  std::optional<std::vector<std::string>> acl = {};
};

// A file that is delivered into a dataset.
struct DatasetFile {
  std::string path;     // below the mount root
  std::string content;  // text
  std::string owner = "root", group = "root";
  std::uint32_t mode = 0644;
  Origin origin;
};

struct Dataset {
  std::string pool;
  std::string name;       // below the pool, "vm-disks" or "a/b"
  std::string full_name;  // "quickOS/vm-disks"
  // Where ZFS will mount it, inherited from a declared parent where one says so; absolute and normalised.
  // Empty where ZFS itself mounts it nowhere (none or legacy, said here or by a parent). The property
  // `mountpoint` is in `properties` only where the file gives it for this dataset.
  std::string mountpoint;
  // By native name ("recordsize"), the short forms of `zfs list` translated.
  std::map<std::string, Property> properties;
  std::optional<Ownership> ownership;
  // Bytes of a volume (zvol), which has no mount point, ownership and files; 0: it is a file system.
  std::uint64_t volume_size = 0;
  // The ownership is for everything that is in the dataset, once.
  bool recursive_owner = false;
  // In the order of the file; no path twice, none below another one.
  std::vector<DatasetFile> files;
  std::optional<Encryption> encryption;
  std::string storage_class;  // as in the file; decides nothing
  bool absent = false;        // wanted gone
  Origin origin;
};

struct NfsExport {
  std::string path;     // absolute, normalised
  bool absent = false;  // wanted gone; then only the path counts
  // Canonical: "10.77.0.0/24", "10.0.0.1", "host.example", "@group"; an IPv6 address in its shortest form.
  // Empty only where it is absent.
  std::vector<std::string> clients;
  // In the order of the file, each once, every one known to exports(5). One list for all clients of this
  // export; the same path may be exported again to other clients with other options.
  std::vector<std::string> options;
  std::string dataset;  // the declared dataset that provides the path, or empty
  Origin origin;
};

// Snapshots of the dataset that Windows clients see as previous versions of files and folders.
struct PreviousVersions {
  std::string format;       // of the snapshots' names, as strftime(3) takes it
  bool local_time = false;  // the names are in the node's time zone, not in UTC
};

// How a share keeps the access control lists that clients set.
enum class ShareAcl {
  kUnsaid,   // as the share's parameters and Samba's defaults have it
  kPosix,    // as POSIX ACLs of the file system
  kWindows,  // as they are, beside the POSIX ones
};

struct SambaShare {
  std::string name;
  std::string path;                      // absolute, normalised
  bool absent = false;                   // wanted gone; then only the name counts
  std::vector<std::string> valid_users;  // user, or @group; empty only where it is absent
  bool browsable = true;
  bool read_only = false;
  bool guest_ok = false;
  // The other smb.conf(5) parameters of the share by their main name ("create mask").
  std::map<std::string, std::string> options;
  std::optional<PreviousVersions> previous_versions;
  ShareAcl acl = ShareAcl::kUnsaid;
  std::string dataset;  // the declared dataset that provides the path, or empty
  Origin origin;
};

struct SambaUser {
  std::string name;
  std::string secret_name;  // "samba/users/heads": where the secrets hold the password
  // True for `samba.user`, which must be able to log in. The others stand in some `valid_users` only: they
  // are ours to make where the secrets hold their password, and must exist already where they do not.
  // So are those that `samba.users` names.
  bool is_samba_user = false;
  bool absent = false;  // wanted gone
  Origin origin;
};

struct Samba {
  std::string workgroup = "WORKGROUP";
  std::string min_protocol = "SMB2";  // never older where the file says it
  // The file says them itself: they go over what smb.conf has by hand.
  bool says_workgroup = false, says_min_protocol = false;
  std::string signing;          // "auto" or "mandatory"; empty: as it is
  std::optional<bool> netbios;  // names and sessions of NetBIOS; absent: as it is
  std::string user;             // `samba.user`, or empty
  std::vector<SambaUser> users;
  std::vector<SambaShare> shares;
};

enum class StorageType { kZfsPool, kDir, kNfs, kCifs };

// "zfspool", "dir", "nfs", "cifs".
std::string ToString(StorageType type);

// One entry of Proxmox's storage.cfg.
struct ProxmoxStorage {
  std::string id;
  bool absent = false;  // wanted gone; then only the id counts
  StorageType type = StorageType::kZfsPool;
  // Sorted, each once, all of them possible for the type; empty only where it is absent.
  std::vector<std::string> contents;
  std::string dataset;      // the declared dataset behind it
  std::string mount_point;  // of that dataset; empty where ZFS mounts it nowhere
  std::string path;         // kDir: the same
  std::string server;       // kNfs, kCifs
  std::string remote;       // kNfs: the exported path; kCifs: the share's name
  // kCifs: the Samba user that the node mounts the share as, and where the secrets hold the password. Empty:
  // as a guest.
  std::string user;
  std::string secret_name;
  // What the file says besides, by native name: none of those that the other members say.
  std::map<std::string, std::string> options;
  Origin origin;
};

// A host directory bound into containers.
struct SharedVolume {
  std::string name;
  std::string host_path;
  std::map<std::uint32_t, std::string> mounts;  // container id -> path inside
  Origin origin;
};

// Where and how features are delivered to VMs.
struct VmFeatures {
  std::string dataset;     // full name; what holds one dataset for each VM, and one for its answers
  std::string mountpoint;  // of that dataset
  std::string scripts;     // the folder of scripts as the file names it; read by whoever reads the file
  // Files of that folder that every VM gets beside its scripts, which source them.
  std::vector<std::string> common_files;
  std::string server;             // the node as VMs reach it
  std::string snippets_storage;   // id of a declared dir storage, or empty: one is made for it
  std::string cloud_init;         // what cloud-init takes the file for: "user" or "vendor" data
  std::string mount_point;        // in the VM: the scripts
  std::string inbox_mount_point;  // in the VM: the answers
  std::string inbox_quota;        // as the file gives it
  Origin origin;
};

// What a VM shall take as cloud-init data of its own.
struct VirtualMachine {
  std::uint32_t vmid = 0;
  std::string cloud_init;   // "user" or "vendor"
  std::string storage;      // the storage that holds the file
  std::string volume;       // "ID:snippets/phoenix-1001-user.yaml"
  std::string meta_volume;  // beside vendor data: meta data with an instance id of theirs; else empty
  bool absent = false;      // wanted gone
  Origin origin;
};

struct Config {
  std::vector<Pool> pools;
  std::vector<Dataset> datasets;
  std::vector<NfsExport> exports;
  Samba samba;
  std::vector<ProxmoxStorage> storages;
  std::vector<SharedVolume> shared_volumes;
  std::optional<VmFeatures> vm_features;
  // Filled by DeliverFeatures() only.
  std::vector<VirtualMachine> virtual_machines;
  std::optional<std::uint64_t> arc_max_bytes;
  Origin arc_max_origin;
  // `zfs.settings.allow_destructive_operations`: what the file permits. Only the command line may ask for it.
  bool allow_destructive_operations = false;
  // `zfs.settings.health.max_wear_percent`, 1 to 255: a disk that is worn so far gets no data.
  std::uint32_t max_wear_percent = kDefaultMaxWearPercent;
  std::string server_address;  // this node as its network clients reach it, or empty
  std::string own_address;     // the same where it is this node's for certain: nfs_server may be one for all
  std::string default_subnet;  // canonical, or empty

  // The declared dataset of that full name, or null.
  const Dataset* FindDataset(std::string_view full_name) const;
  // Where ZFS will mount the dataset of that full name, declared or not, as far as the file knows; empty
  // where it is mounted nowhere.
  std::string MountPointOf(std::string_view full_name) const;
  // The declared dataset that provides `path`: the one with the longest mount point at or above it; null if
  // none does. Absent ones provide nothing.
  const Dataset* DatasetProviding(std::string_view path) const;
};

// What is wanted of it, without what is wanted gone.
Config Present(Config config);

// True if `path` is `parent` or lies below it, by component: "/a/bc" is not below "/a/b". Both are
// normalised.
bool IsAtOrBelow(std::string_view path, std::string_view parent);

}  // namespace phoenix::config
