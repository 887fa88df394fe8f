// The steps of this domain, typed. Pure values; run ids are not in them, so that the same plan is the same
// text each time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "services/zfs/domain/zfs_layout.h"
#include "services/zfs/domain/zfs_spec.h"

namespace phoenix::zfs {

// Owner, group, mode and ACL that a mount root shall have; names are resolved when the step runs, since
// another participant may create them in the same run. "" and nullopt leave one alone.
struct RootWish {
  std::string owner, group, mode;
  std::optional<std::vector<std::string>> acl = {};
  bool empty() const { return owner.empty() && group.empty() && mode.empty() && !acl; }
  friend bool operator==(const RootWish&, const RootWish&) = default;
};

// The key of an encryption root, as plans and journals know it.
struct KeyWish {
  EncryptionSpec encryption;  // every field is given
  std::string mac;            // of MacOfKey(); tells whether a secret is the one planned with
  friend bool operator==(const KeyWish&, const KeyWish&) = default;
};

struct CreatePoolStep {
  std::string name;
  std::vector<VdevGroup> layout;
  PropertyMap properties;       // of the pool
  PropertyMap root_properties;  // of its root dataset
  std::string mountpoint;       // of its root dataset; "" where it is not mounted
  RootWish root;
  bool wipe = false;                // the disks hold something that is to go
  std::optional<KeyWish> key = {};  // of its root dataset
  friend bool operator==(const CreatePoolStep&, const CreatePoolStep&) = default;
};

// A pool that is exported comes back, under the name that it has.
struct ImportPoolStep {
  std::string name;
  uint64_t guid = 0;
  friend bool operator==(const ImportPoolStep&, const ImportPoolStep&) = default;
};

// A pool goes, with everything in it that Phoenix made. Its disks keep their labels, so that it can be
// imported again.
struct DestroyPoolStep {
  std::string name;
  uint64_t guid = 0;
  // What opens and mounts again what is encrypted in it, whose keys go with it; "" where nothing is.
  std::string unlock = {};
  friend bool operator==(const DestroyPoolStep&, const DestroyPoolStep&) = default;
};

struct SetPoolPropertiesStep {
  std::string name;
  uint64_t guid = 0;
  PropertyMap properties;
  friend bool operator==(const SetPoolPropertiesStep&, const SetPoolPropertiesStep&) = default;
};

struct AddVdevStep {
  std::string pool;
  uint64_t guid = 0;  // of the pool
  VdevGroup vdev;
  bool wipe = false;        // its disks hold something that is to go
  std::string ashift = {};  // as it is declared; "" leaves it to zpool
  friend bool operator==(const AddVdevStep&, const AddVdevStep&) = default;
};

struct AttachDiskStep {
  std::string pool;
  uint64_t guid = 0;
  std::string existing, disk;  // paths as they are declared; `existing` may be one that ZFS alone knows
  std::string member;          // what zpool takes for `existing`; paths may mean another disk after a reboot
  bool wipe = false;
  friend bool operator==(const AttachDiskStep&, const AttachDiskStep&) = default;
};

struct ReplaceDiskStep {
  std::string pool;
  uint64_t guid = 0;
  std::string existing, disk, member;  // the same
  bool wipe = false;
  friend bool operator==(const ReplaceDiskStep&, const ReplaceDiskStep&) = default;
};

struct CreateDatasetStep {
  std::string name;
  uint64_t volume_size_bytes = 0;
  PropertyMap properties;
  std::string mountpoint;  // where it will be mounted; "" where it is not
  RootWish root;
  bool tree = false;  // `root` is meant for everything in it; it comes empty, so that its root is everything
  std::optional<KeyWish> key = {};
  friend bool operator==(const CreateDatasetStep&, const CreateDatasetStep&) = default;
};

struct SetPropertiesStep {
  std::string name;
  PropertyMap properties;
  bool created = false;  // by us, as the ledger says
  friend bool operator==(const SetPropertiesStep&, const SetPropertiesStep&) = default;
};

struct MountStep {
  std::string name, mountpoint;
  friend bool operator==(const MountStep&, const MountStep&) = default;
};

// The key of an encryption root is loaded, and what is encrypted with it is mounted.
struct LoadKeyStep {
  std::string name;
  uint64_t guid = 0;  // 0: of a pool that comes with the same run, so that nobody could see it yet
  KeyWish key;
  // What is mounted then, parents first.
  struct Mount {
    std::string name, at;
    friend bool operator==(const Mount&, const Mount&) = default;
  };
  std::vector<Mount> mounts;
  friend bool operator==(const LoadKeyStep&, const LoadKeyStep&) = default;
};

struct SetMountRootStep {
  std::string name, mountpoint;
  RootWish root;
  bool created = false;
  friend bool operator==(const SetMountRootStep&, const SetMountRootStep&) = default;
};

// What changes in a dataset's content: owner, group and mode of everything in it, its mount root included,
// and then files that are delivered into it. One step for both, since what guards its undo cannot be nested.
struct ChangeContentStep {
  std::string name, mountpoint;
  std::optional<RootWish> tree;  // nullopt leaves what is there alone
  std::vector<FileSpec> files;   // every field is given; folders that are missing are made root:root 0755
  bool created = false;          // the dataset comes with the same run, empty
  friend bool operator==(const ChangeContentStep&, const ChangeContentStep&) = default;
};

// A directory on the way to a mount point, which would otherwise stay behind after undo.
struct MakeDirectoryStep {
  std::string path;
  friend bool operator==(const MakeDirectoryStep&, const MakeDirectoryStep&) = default;
};

struct SetArcLimitStep {
  uint64_t bytes = 0;
  // What zfs_arc_min becomes while the module runs, where ZFS would ignore the limit otherwise; 0 leaves it.
  uint64_t min_bytes = 0;
  bool initramfs = false;  // the module takes its options from there: it is made again
  friend bool operator==(const SetArcLimitStep&, const SetArcLimitStep&) = default;
};

struct CreateSnapshotStep {
  std::string name;
  friend bool operator==(const CreateSnapshotStep&, const CreateSnapshotStep&) = default;
};

struct DeleteSnapshotStep {
  std::string name;
  uint64_t guid = 0;
  friend bool operator==(const DeleteSnapshotStep&, const DeleteSnapshotStep&) = default;
};

struct DeleteDatasetStep {
  std::string name;
  uint64_t guid = 0;
  std::string mountpoint;  // where it is mounted now
  bool volume = false;
  friend bool operator==(const DeleteDatasetStep&, const DeleteDatasetStep&) = default;
};

// What undo kept goes back to where it was, or to another name.
struct RestoreKeptStep {
  std::string name, to;
  uint64_t guid = 0;
  std::string canmount;    // as it was; kNotSet where it was not set, "" of a volume
  std::string mountpoint;  // where it will be mounted; "" where it is not
  bool volume = false;
  friend bool operator==(const RestoreKeptStep&, const RestoreKeptStep&) = default;
};

// What undo kept goes for good. Until the change is committed it lies in the trash.
struct DiscardKeptStep {
  std::string name;
  uint64_t guid = 0;
  bool volume = false;
  friend bool operator==(const DiscardKeptStep&, const DiscardKeptStep&) = default;
};

using ZfsStep =
    std::variant<CreatePoolStep, ImportPoolStep, DestroyPoolStep, SetPoolPropertiesStep, AddVdevStep,
                 AttachDiskStep, ReplaceDiskStep, CreateDatasetStep, SetPropertiesStep, MountStep,
                 LoadKeyStep, SetMountRootStep, ChangeContentStep, MakeDirectoryStep, SetArcLimitStep,
                 CreateSnapshotStep, DeleteSnapshotStep, DeleteDatasetStep, RestoreKeptStep, DiscardKeptStep>;

}  // namespace phoenix::zfs
