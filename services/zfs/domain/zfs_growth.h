// What turns the vdevs of a pool that is there into those that are declared. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/zfs/domain/zfs_layout.h"
#include "services/zfs/domain/zfs_spec.h"

namespace phoenix::zfs {

// The vdevs that are declared, those of `raid_level` and `disks` first. INVALID_ARGUMENT as LayoutOf().
absl::StatusOr<std::vector<VdevGroup>> DeclaredLayout(const PoolSpec& pool);
// The disks of all of them, with their places: ("disks[0]", path), ("vdevs[1].disks[0]", path).
std::vector<std::pair<std::string, std::string>> DeclaredDisks(const PoolSpec& pool);

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
