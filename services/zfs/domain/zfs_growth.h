// What turns the vdevs of a pool that is there into those that are declared. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

#include "services/zfs/domain/zfs_layout.h"
#include "services/zfs/domain/zfs_spec.h"
#include "services/zfs/domain/zfs_state.h"

namespace phoenix::zfs {

// The vdevs that are declared, those of `raid_level` and `disks` first. INVALID_ARGUMENT as LayoutOf().
absl::StatusOr<std::vector<VdevGroup>> DeclaredLayout(const PoolSpec& pool);
// The disks of all of them, with their places: ("disks[0]", path), ("vdevs[1].disks[0]", path).
std::vector<std::pair<std::string, std::string>> DeclaredDisks(const PoolSpec& pool);

// Where a declared disk stands, "vdevs[1].disks[0]"; "disks" for one that is not declared.
std::string FieldOf(const PoolSpec& pool, const std::string& disk);

// The vdevs of a pool that is there, with the names that are declared.
struct NamedLayout {
  std::vector<VdevGroup> vdevs;
  // Declared disks that are members, by their names in PoolState: kernel paths, or of those that are not on
  // the node any more what ZFS knows them by.
  std::map<std::string, std::string> members;
  // Declared disks that are neither on the node nor, as far as their names tell, in the pool.
  std::vector<std::string> absent;
};
// A disk that is gone has no device that its names lead to. It is told by the name in its label or, where one
// disk of a class is gone and one that is declared there is absent, by that, unless both names would be alike
// if they were the same disk's. `disks`: those on the node, by path.
NamedLayout AsDeclared(const PoolSpec& pool, const PoolState& seen,
                       const std::map<std::string, DiskState, std::less<>>& disks);

struct LayoutChange {
  enum class Kind {
    kAddVdev,      // `vdev` comes beside those that are there
    kAttachDisk,   // `disk` becomes a mirror's side, beside `existing`
    kReplaceDisk,  // `disk` takes the place of `existing`
  };
  Kind kind = Kind::kAddVdev;
  VdevGroup vdev;
  std::string existing, disk;
  friend bool operator==(const LayoutChange&, const LayoutChange&) = default;
};

struct LayoutChanges {
  std::vector<LayoutChange> changes;
  // Why none of them, nor all together, lead to what is declared; "" where they do.
  std::string problem;
  // Logs, caches, spares and the like of a class that is not declared: they stay as they are.
  std::vector<VdevGroup> undeclared;
};

// Disks of both are named alike. Nothing is ever taken away, and of each vdev one disk is replaced at a time.
LayoutChanges ChangesTo(const std::vector<VdevGroup>& wanted, const std::vector<VdevGroup>& seen);

}  // namespace phoenix::zfs
