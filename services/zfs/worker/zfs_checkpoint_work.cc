#include "services/zfs/worker/zfs_checkpoint_work.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_checkpoint.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

using Names = std::vector<std::string>;

absl::StatusOr<ZfsState> LookAt(ZfsHost& host, Names datasets, bool mount_points = false) {
  ObserveRequest request;
  request.mount_points = mount_points;
  request.all_datasets = datasets.empty();
  request.datasets = std::move(datasets);
  request.snapshots = request.holds = true;
  return host.Observe(request);
}

bool IsHeldBy(const SnapshotState& snapshot, const std::string& run_id) {
  return std::find(snapshot.tags.begin(), snapshot.tags.end(), HoldOf(run_id)) != snapshot.tags.end();
}

bool IsCheckpoint(const SnapshotState& snapshot, const std::string& run_id) {
  return snapshot.run == run_id && RunOfCheckpoint(snapshot.name) == run_id;
}

// The run's snapshots of these datasets that it does not hold yet; an error where one of them is missing.
absl::StatusOr<Names> Loose(ZfsHost& host, const std::string& run_id, const Names& datasets,
                            const absl::Status& told) {
  PHX_ASSIGN_OR_RETURN(const ZfsState now, LookAt(host, datasets));
  Names loose;
  for (const auto& dataset : datasets) {
    const auto snapshot = now.snapshots.find(CheckpointOf(dataset, run_id));
    if (snapshot == now.snapshots.end() || !IsCheckpoint(snapshot->second, run_id)) {
      return told.ok() ? Internal("{} is not there although zfs said so", CheckpointOf(dataset, run_id))
                       : told;
    }
    if (!IsHeldBy(snapshot->second, run_id)) loose.push_back(snapshot->first);
  }
  return loose;
}

// All of the pool's snapshots are of one moment, or none: what an attempt that was cut off left is taken
// anew.
absl::Status TakeInPool(ZfsHost& host, const std::string& run_id, const Names& datasets,
                        const ZfsState& seen) {
  Names wanted;
  std::vector<const SnapshotState*> there;
  for (const auto& dataset : datasets) {
    wanted.push_back(CheckpointOf(dataset, run_id));
    const auto snapshot = seen.snapshots.find(wanted.back());
    if (snapshot == seen.snapshots.end()) continue;
    if (!IsCheckpoint(snapshot->second, run_id)) {
      return FailedPrecondition(
          "{} is there, and this run did not make it; it is in the way of the run's snapshot", wanted.back());
    }
    there.push_back(&snapshot->second);
  }
  absl::Status told;
  if (there.size() != wanted.size()) {
    for (const SnapshotState* snapshot : there) PHX_RETURN_IF_ERROR(DropSnapshot(host, run_id, *snapshot));
    told = host.Change(CreateSnapshots{wanted, {{std::string(kRunMark), run_id}}}, nullptr);
  }
  // What is there counts, whatever the tool said.
  PHX_ASSIGN_OR_RETURN(const Names loose, Loose(host, run_id, datasets, told));
  if (loose.empty()) return absl::OkStatus();
  told = host.Change(HoldSnapshots{HoldOf(run_id), loose}, nullptr);
  PHX_ASSIGN_OR_RETURN(const Names still, Loose(host, run_id, datasets, told));
  if (still.empty()) return absl::OkStatus();
  return told.ok() ? Internal("{} is not held although zfs said so", still[0]) : told;
}

// What it rests on: the same datasets, none of them another one of that name.
std::map<std::string, uint64_t> GuidsOf(const Touching& touching, const ZfsState& seen) {
  std::map<std::string, uint64_t> guids;
  for (const auto& name : DatasetsToCheckpoint(touching, seen))
    guids[name] = seen.datasets.find(name)->second.guid;
  return guids;
}

}  // namespace

absl::Status DropSnapshot(ZfsHost& host, const std::string& run_id, const SnapshotState& snapshot) {
  const bool ours = IsHeldBy(snapshot, run_id);
  if (ours) PHX_RETURN_IF_ERROR(host.Change(ReleaseSnapshots{HoldOf(run_id), {snapshot.name}}, nullptr));
  if (snapshot.holds > (ours ? 1U : 0U) || !snapshot.clones.empty()) {
    spdlog::warn(
        "{} of run {} stays: {}", snapshot.name, run_id,
        snapshot.clones.empty() ? "somebody else holds it" : "it was cloned to " + snapshot.clones[0]);
    return absl::OkStatus();
  }
  return host.Change(DestroySnapshot{snapshot.name}, nullptr);
}

absl::StatusOr<std::vector<std::string>> CheckpointsOf(ZfsHost& host, const Touching& touching) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(host, {}, /*mount_points=*/true));
  return DatasetsToCheckpoint(touching, seen);
}

absl::Status TakeCheckpoint(ZfsHost& host, const std::string& run_id, const Touching& touching) {
  PHX_ASSIGN_OR_RETURN(const ZfsState before, LookAt(host, {}, /*mount_points=*/true));
  const auto guids = GuidsOf(touching, before);
  std::map<std::string, Names> by_pool;
  for (const auto& [name, guid] : guids) by_pool[PoolOf(name)].push_back(name);
  for (const auto& [pool, datasets] : by_pool) {
    PHX_RETURN_IF_ERROR(Annotate(TakeInPool(host, run_id, datasets, before),
                                 fmt::format("the snapshot of pool {} before the run", pool)));
  }
  if (guids.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const ZfsState after, LookAt(host, {}, /*mount_points=*/true));
  if (GuidsOf(touching, after) != guids) {
    return WithReason(
        Aborted("datasets that this run touches came or went while its snapshot was taken; plan again"),
        {"FOREIGN_CHANGE", {}});
  }
  return absl::OkStatus();
}

absl::Status ReleaseCheckpoint(ZfsHost& host, const std::string& run_id, int64_t now_seconds) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(host, {}));
  const PropertyMap committed = {{std::string(kCommittedMark), std::to_string(now_seconds)}};
  for (const auto& [name, dataset] : seen.datasets) {
    if (!IsAside(name, "trash") || dataset.LocalValue(kTrashMark) != run_id) continue;
    if (!dataset.LocalValue(kCommittedMark).empty()) continue;
    PHX_RETURN_IF_ERROR(host.Change(SetProperties{name, committed}, nullptr));
  }
  for (const auto& [name, snapshot] : seen.snapshots) {
    if (RunOfTrashedSnapshot(name) == run_id) {
      if (snapshot.holds == 0 && snapshot.clones.empty()) {
        PHX_RETURN_IF_ERROR(host.Change(DestroySnapshot{name}, nullptr));
      } else if (snapshot.committed_seconds == 0) {
        spdlog::warn("{}, which run {} deleted, stays until nobody holds or uses it any more", name, run_id);
        PHX_RETURN_IF_ERROR(host.Change(SetProperties{name, committed}, nullptr));
      }
    } else if (IsCheckpoint(snapshot, run_id) && IsHeldBy(snapshot, run_id)) {
      PHX_RETURN_IF_ERROR(host.Change(ReleaseSnapshots{HoldOf(run_id), {name}}, nullptr));
    }
  }
  return absl::OkStatus();
}

absl::Status DropCheckpoint(ZfsHost& host, const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(host, {}));
  for (const auto& [name, snapshot] : seen.snapshots) {
    if (IsCheckpoint(snapshot, run_id)) PHX_RETURN_IF_ERROR(DropSnapshot(host, run_id, snapshot));
  }
  return absl::OkStatus();
}

}  // namespace phoenix::zfs
