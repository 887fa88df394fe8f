// The machine's ZFS behind an interface: what can be seen, and every change as a value.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/zfs/domain/zfs_spec.h"
#include "services/zfs/domain/zfs_state.h"
#include "services/zfs/host/zfs_files.h"
#include "services/zfs/host/zfs_tree.h"

namespace phoenix::zfs {

// Makes what is created an encryption root. zfs reads the key from its standard input.
struct NewKey {
  std::string algorithm, format;
  Secret key;  // a good one (WrongKey of zfs_encryption.h)
};
struct CreatePool {
  std::string name;
  std::vector<VdevGroup> layout;
  PropertyMap properties;       // of the pool
  PropertyMap root_properties;  // of its root dataset, our mark among them
  bool force = false;           // although the disks hold something
  std::optional<NewKey> encryption = {};
};
// Fails where the pool is busy.
struct DestroyPool {
  std::string name;
};
// By GUID, under the name that it has; its datasets are mounted. `destroyed`: one that was destroyed, while
// its disks hold its labels; its datasets are not mounted.
struct ImportPool {
  std::string name;
  uint64_t guid = 0;
  bool destroyed = false;
};
// Fails where the pool is busy.
struct ExportPool {
  std::string name;
};
// One after the other.
struct SetPoolProperties {
  std::string name;
  PropertyMap properties;
};
// Members and vdevs are named as MemberState does, new disks by their paths.
struct AddVdev {
  std::string pool;
  VdevGroup vdev;
  std::string ashift = {};  // "" leaves it to zpool
};
// Of logs, caches and spares.
struct RemoveVdev {
  std::string pool, vdev;
};
struct AttachDisk {
  std::string pool, member, disk;
};
struct DetachDisk {
  std::string pool, member;
};
// Comes back when the copying has begun.
struct ReplaceDisk {
  std::string pool, member, disk;
};
// Takes the labels and the partition tables away: afterwards the disk is blank to every probe. For disks of
// pools that are destroyed.
struct ClearDisk {
  std::string device;  // the kernel's whole disk
  uint64_t size_bytes = 0;
  std::vector<std::string> labelled;  // devices with a ZFS label, the disk itself or its partitions
};
// Creates and mounts it where it is to be mounted.
struct CreateDataset {
  std::string name;
  uint64_t volume_size_bytes = 0;
  PropertyMap properties;
  std::optional<NewKey> encryption = {};
};
// Of an encryption root; what is encrypted with it can be mounted then. Fails where it is not the key, or
// where that is loaded.
struct LoadKey {
  std::string name, format;
  Secret key;
};
// Fails where anything that is encrypted with it is mounted or open, or where it is not loaded.
struct UnloadKey {
  std::string name;
};
// Never recursive: fails where children, snapshots or clones are, and where it is busy.
struct DestroyDataset {
  std::string name;
};
// Of a dataset, or user properties of a snapshot.
struct SetProperties {
  std::string name;
  PropertyMap properties;
};
// With `received` the received value or the default comes back (`-S`), otherwise the parent's value.
struct InheritProperty {
  std::string name, property;
  bool received = false;
};
// Mounts are left as they are.
struct RenameDataset {
  std::string from, to;
  bool volume = false;
  // Fails where anybody has open a volume that it is or that lies in it, who would write into that under its
  // new name and be told nothing.
  bool closed = false;
};
struct MountDataset {
  std::string name;
};
// Fails where it is busy.
struct UnmountDataset {
  std::string name;
};
// Owner, group, mode and ACL of the mount root, by descriptor, after proof that it is this dataset's root and
// not a directory of the file system below.
struct SetMountRoot {
  std::string name, mountpoint;
  DirectoryState root;
  std::optional<Acl> acl = {};  // nullopt leaves it alone
};
// Waits until everything written is on disk and counted.
struct SyncPool {
  std::string name;
};
struct CreateSnapshot {
  std::string name;
  PropertyMap properties;
};
// Of datasets of one pool, in one transaction group: all of them or none.
struct CreateSnapshots {
  std::vector<std::string> names;
  PropertyMap properties;
};
// Held snapshots cannot be destroyed. Fails where one of them has the tag already; which of the others are
// held then is to be looked at.
struct HoldSnapshots {
  std::string tag;
  std::vector<std::string> names;
};
struct ReleaseSnapshots {
  std::string tag;
  std::vector<std::string> names;
};
// Fails where it is held or cloned.
struct DestroySnapshot {
  std::string name;
};
struct CloneSnapshot {
  std::string snapshot, dataset;
  PropertyMap properties;
};
// Puts the content of an unmounted dataset back to its newest snapshot, all within one transaction group:
// only while that is `snapshot` ("before"), nobody has the dataset open, and no more than `max_written` bytes
// were written since. FAILED_PRECONDITION with reason FOREIGN_CHANGE where more were, or
// where another snapshot is newer: nothing was changed then. Properties stay as they are. Never takes a
// snapshot, bookmark or clone away.
//
// With a `guard`, taken when our own last write was done, bytes are counted from there: what was written
// before that to blocks that are written again later shows in no other count. The guard is the one snapshot
// that may be newer, and goes in the same group.
struct RollbackDataset {
  std::string dataset, snapshot;
  uint64_t max_written = 0;
  std::string guard = {};
};
// Owner, group and mode of everything in a dataset (zfs_tree.h), which is unmounted before and after:
// meanwhile it is mounted where nobody else can look. Fails where it is mounted.
struct SetTreeOwner {
  std::string name;
  TreeWish wish;
};
// Files into a dataset (zfs_files.h), which is unmounted before and after, in the same place as for
// SetTreeOwner. Where one cannot be delivered those before it are there.
struct DeliverFiles {
  std::string name;
  std::vector<DeliveredFile> files;
};
// Changes nothing: FAILED_PRECONDITION with reason FOREIGN_CHANGE where a dataset, which is unmounted before
// and after, holds any file but these. See ProveOnly().
struct ProveDelivered {
  std::string name;
  std::vector<DeliveredFile> files;
};
struct RenameSnapshot {
  std::string from, to;
};
// The running module's limit, or the least size of its cache. What ZFS does not take (a 0, a limit that is
// not above the least size) is written down all the same.
struct SetArcLive {
  uint64_t bytes = 0;
  bool minimum = false;
};
// Makes the initramfs of every kernel again, with what is in modprobe.d.
struct UpdateInitramfs {};
// nullopt removes the file.
struct PutFile {
  std::string path;
  std::optional<FileState> file;
};
struct MakeDirectory {
  std::string path;
  DirectoryState directory;
};
// Of an empty directory.
struct RemoveDirectory {
  std::string path;
};

using ZfsChange =
    std::variant<CreatePool, DestroyPool, ImportPool, ExportPool, SetPoolProperties, AddVdev, RemoveVdev,
                 AttachDisk, DetachDisk, ReplaceDisk, ClearDisk, CreateDataset, LoadKey, UnloadKey,
                 DestroyDataset, SetProperties, InheritProperty, RenameDataset, MountDataset, UnmountDataset,
                 SetMountRoot, SyncPool, CreateSnapshot, CreateSnapshots, HoldSnapshots, ReleaseSnapshots,
                 DestroySnapshot, CloneSnapshot, RollbackDataset, SetTreeOwner, DeliverFiles, ProveDelivered,
                 RenameSnapshot, SetArcLive, UpdateInitramfs, PutFile, MakeDirectory, RemoveDirectory>;

// Thread-safe.
class ZfsHost {
 public:
  virtual ~ZfsHost() = default;
  // Programs and versions, "" for what is missing.
  virtual std::map<std::string, std::string> Versions() = 0;
  // What was asked for and is there. An error when something could not be read: never is "unreadable" told as
  // "absent".
  virtual absl::StatusOr<ZfsState> Observe(const ObserveRequest& request) = 0;
  // The answer is a hint; the state is what Observe() then says.
  virtual absl::Status Change(const ZfsChange& change, const ChildObserver& on_child) = 0;
};

}  // namespace phoenix::zfs
