// ZFS of the simulated machine: pools, datasets, snapshots, mounts and disks in the machine's one world, with
// ZFS's own rules and refusals.
//
// Objects of the world: "disk" by path (its "smart" is what smartctl prints of it, "exit" and
// "smart_hangs_seconds" beside it), "zfs.pool", "zfs.dataset", "zfs.snapshot" by name, "zfs.parameter"
// "zfs_arc_max" and "zfs_arc_min"; "zfs.initramfs" "all" where the root file system is ZFS, with what the
// initramfs holds of our file in modprobe.d. Users and groups are read from "user" {uid, gid} and "group"
// {gid}. A mounted dataset's root and content are files of the world at its mount point; unmounted they are
// kept in the dataset.
//
// Faults (Machine::PlanFault): "zfs.<operation>" or "zfs.<operation>:<object>", operations as in
// zfs_command.h: pool_create, pool_destroy, disk_clear, create, destroy, set, inherit, rename, mount,
// unmount, load_key, unload_key, root, sync, snapshot, checkpoint (several snapshots at once), hold, release,
// snapshot_destroy, snapshot_rename, clone, rollback, tree, deliver, prove, arc, initramfs, file, mkdir,
// rmdir.
#pragma once

#include <memory>
#include <string>

#include "base/time/clock.h"
#include "services/kit/sim/machine.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

class ZfsSim final : public ZfsHost {
 public:
  // `clock` tells when snapshots were made.
  ZfsSim(std::shared_ptr<kit::Machine> machine, const Clock& clock)
      : machine_(std::move(machine)), clock_(clock) {}
  std::map<std::string, std::string> Versions() override;
  absl::StatusOr<ZfsState> Observe(const ObserveRequest& request) override;
  absl::Status Change(const ZfsChange& change, const ChildObserver& on_child) override;

 private:
  std::shared_ptr<kit::Machine> machine_;
  const Clock& clock_;
};

// The disks of a fresh simulated node, all blank: serials S1A and S1B of 2 TB, S2A of 4 TB. A machine that
// has disks already is left as it is.
absl::Status SeedDisks(kit::Machine& machine);

// For tests: what somebody else does on the machine.
// Puts something on a disk; `finding.where` is relative to the disk: "" for itself, "p1" for its first
// partition.
absl::Status PutOnDisk(kit::Machine& machine, const std::string& disk, const Finding& finding);
// A disk is gone, whatever uses it.
absl::Status PullDisk(kit::Machine& machine, const std::string& disk);
// What a disk says of itself from now on: a part of what `smartctl --json` prints, as
// {"smart_status": {"passed": true}, "nvme_smart_health_information_log": {"percentage_used": 93}}. A disk of
// which nothing was said is a new NVMe.
absl::Status SetSmart(kit::Machine& machine, const std::string& disk, const std::string& smart);
// The pool's health as zpool shows it, and how many places of it cannot be read any more.
absl::Status SetPoolHealth(kit::Machine& machine, const std::string& pool, const std::string& health,
                           uint64_t data_errors = 0);
// Exports a pool.
absl::Status ExportFromOutside(kit::Machine& machine, const std::string& pool);
// What a reboot does to a pool's encryption roots: what they open is unmounted, and their keys are gone.
absl::Status LockFromOutside(kit::Machine& machine, const std::string& pool);

}  // namespace phoenix::zfs
