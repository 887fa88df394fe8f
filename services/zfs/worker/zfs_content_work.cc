// What changes in a dataset's content. While that is changed the dataset is out of everybody's reach, so that
// what is written to it is ours; what is written afterwards is somebody else's, and is never rolled back.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/digest/digest.h"
#include "base/host/posix_command_runner.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_checkpoint_work.h"
#include "services/zfs/worker/zfs_content_look.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

absl::StatusOr<ContentSeen> SyncAndLook(const Work& work, const std::string& name) {
  PHX_RETURN_IF_ERROR(work.Change(SyncPool{PoolOf(name)}));
  return LookAtContent(work, name);
}

absl::StatusOr<TreeWish> WishOf(const Work& work, const RootWish& root) {
  PHX_ASSIGN_OR_RETURN(const DirectoryState resolved, ResolveRoot(work, root, {}));
  TreeWish wish;
  if (!root.owner.empty()) wish.uid = resolved.uid;
  if (!root.group.empty()) wish.gid = resolved.gid;
  if (!root.mode.empty()) wish.mode = resolved.mode;
  return wish;
}

// Taken and held at once: the reaper must not meet it in between.
absl::Status Take(const Work& work, const std::string& snapshot) {
  const PropertyMap marks = {{std::string(kRunMark), work.run_id}, {std::string(kBootMark), ReadBootId()}};
  const absl::MutexLock lock(&work.containers);
  PHX_RETURN_IF_ERROR(work.Change(CreateSnapshots{{snapshot}, marks}));
  return work.Change(HoldSnapshots{HoldOf(work.run_id), {snapshot}});
}

bool IsForeign(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  return reason && reason->reason == "FOREIGN_CHANGE";
}

// `zfs mount -a`, which Proxmox VE runs whenever it looks at a zfspool storage, mounts what was unmounted.
constexpr int kTimesMountedByOthers = 3;

// Of a dataset that is unmounted.
absl::Status ChangeUnmounted(const Work& work, const std::string& name, const ZfsChange& change) {
  for (int times = 0;; ++times) {
    const absl::Status changed = work.Change(change);
    if (changed.ok() || times == kTimesMountedByOthers) return changed;
    PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(name));
    if (!dataset || dataset->mounted_at.empty()) return changed;
    PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{name}));
  }
}

// The rollback that discards nothing but what this step wrote. A step that was cut off while nobody could
// reach the dataset wrote all there is; mounted where everybody looks, or at any time of another boot, some
// of it may be somebody's.
absl::StatusOr<RollbackDataset> RollbackOf(const Work& work, const ContentSeen& seen,
                                           const ChangeContentStep& step) {
  const auto part = [](const std::string& snapshot) { return snapshot.substr(snapshot.find('@') + 1); };
  // The intent log of our own writes may have gone since, and an undo that was cut off may have been here.
  RollbackDataset rollback{step.name, part(seen.before->name), kOwnWrites};
  if (seen.done()) {
    rollback.guard = part(seen.given->name);
    return rollback;
  }
  const bool reached = seen.dataset->mounted_at == step.mountpoint || seen.before->boot_mark != ReadBootId();
  if (seen.before->stage.empty() && reached) {
    // Durable before it is unmounted: afterwards nobody could tell any more.
    PHX_RETURN_IF_ERROR(work.Change(SetProperties{seen.before->name, {{std::string(kStageMark), kReached}}}));
  }
  if (seen.before->stage.empty() && !reached) rollback.max_written = INT64_MAX;
  return rollback;
}

absl::Status Rollback(const Work& work, const ContentSeen& seen, const RollbackDataset& rollback) {
  const std::string hold = HoldOf(work.run_id);
  const absl::MutexLock lock(&work.containers);
  if (seen.done() &&
      std::find(seen.given->tags.begin(), seen.given->tags.end(), hold) != seen.given->tags.end())
    PHX_RETURN_IF_ERROR(work.Change(ReleaseSnapshots{hold, {seen.given->name}}));
  return work.Change(rollback);
}

// A dataset that came with this run holds nothing worth keeping but files of others. Folders that other steps
// of the run made in it, or an access time that moved, are none; nor is what a delivery left that was cut off
// by a power cut. Nobody can reach it between the look and the rollback.
absl::Status RollbackOfNothingElse(const Work& work, const ChangeContentStep& step,
                                   const absl::Status& refused) {
  auto files = FilesOf(work, step);
  if (!files.ok()) return refused;
  const absl::Status proven = work.Change(ProveDelivered{step.name, *std::move(files)});
  if (!proven.ok()) return IsForeign(proven) ? Annotate(refused, Message(proven)) : proven;
  PHX_ASSIGN_OR_RETURN(const ContentSeen seen, LookAtContent(work, step.name));
  if (!seen.dataset || !seen.before) return refused;
  PHX_ASSIGN_OR_RETURN(RollbackDataset rollback, RollbackOf(work, seen, step));
  rollback.max_written = INT64_MAX;
  return Rollback(work, seen, rollback);
}

// How it was before stays reachable beside what others wrote to it since.
absl::Status KeepBefore(const Work& work, const std::string& name) {
  const std::string container = KeptOf(name, work.run_id);
  const std::string kept = AsideName(container, name);
  const absl::MutexLock lock(&work.containers);
  PHX_ASSIGN_OR_RETURN(const auto there, work.Dataset(kept));
  if (there) return absl::OkStatus();
  PHX_RETURN_IF_ERROR(EnsureContainer(work, container));
  return work.Change(CloneSnapshot{
      ContentSnapshotOf(name, work.run_id),
      kept,
      {{"canmount", "noauto"}, {std::string(kRunMark), work.run_id}, {std::string(kKeptMark), name}}});
}

const char* WhatStays(const ChangeContentStep& step) {
  if (!step.tree) return "the files";
  return step.files.empty() ? "the owners and modes" : "the owners, modes and files";
}

// The dataset is as the step found it, or stays for another reason: its snapshots are needed no longer.
absl::Status DropGuards(const Work& work, const ContentSeen& seen) {
  for (const auto* snapshot : {&seen.given, &seen.before}) {
    if (*snapshot) PHX_RETURN_IF_ERROR(DropSnapshot(work.host, work.run_id, **snapshot));
  }
  return absl::OkStatus();
}

// Others wrote to it: nothing is rolled back.
absl::Status LeaveToOthers(const Work& work, const ChangeContentStep& step, const ContentSeen& seen,
                           const absl::Status& why) {
  // How it was before is nothing at all where the dataset came with this run: undoing its creation, which is
  // next, sets all of it aside.
  const absl::Status kept = step.created ? absl::OkStatus() : KeepBefore(work, step.name);
  PHX_RETURN_IF_ERROR(MountBack(work, step.name, step.mountpoint));
  PHX_RETURN_IF_ERROR(Annotate(kept, "how it was before cannot be kept aside"));
  // Before a guard goes: without this mark what is written to it would be taken for ours.
  PHX_RETURN_IF_ERROR(work.Change(SetProperties{seen.before->name, {{std::string(kStageMark), kLeft}}}));
  if (step.created) {
    spdlog::warn("{} is not rolled back: {}", step.name, Message(why));
    return DropGuards(work, seen);
  }
  return Annotate(
      why, fmt::format("{} stays with {} that this run set, and how it was before is kept as {}; `phoenix "
                       "kept` gives it back under another name or destroys it",
                       step.name, WhatStays(step), AsideName(KeptOf(step.name, work.run_id), step.name)));
}

}  // namespace

std::string DeliveryKey(std::string_view dataset, std::string_view path) {
  return fmt::format("delivery:{}//{}", dataset, path);
}

kit::LedgerEntry TreeEntry(const std::string& name, uint64_t guid, const RootWish& root) {
  kit::LedgerEntry entry{.key = "tree:" + name, .identity = std::to_string(guid)};
  entry.fields = json({{"given", TreeText(root)}}).dump();
  return entry;
}

absl::StatusOr<json> Capture(const Work& work, const ChangeContentStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset || dataset->mounted_at != step.mountpoint) {
    return FailedPrecondition("{} is not mounted at {}", step.name, step.mountpoint);
  }
  json captured = {{"guid", dataset->guid}};
  if (step.files.empty()) return captured;
  PHX_ASSIGN_OR_RETURN(const FilesSeen files, LookAtFiles(work, step));
  captured["files"] = FilesJson(files);
  return captured;
}

std::vector<ZfsChange> ChangesOf(const ChangeContentStep& step, const std::string& run_id) {
  return {UnmountDataset{step.name},
          CreateSnapshots{{ContentSnapshotOf(step.name, run_id)}, {{std::string(kRunMark), run_id}}}};
}

absl::Status Do(const Work& work, const ChangeContentStep& step) {
  TreeWish wish;
  if (step.tree) {
    PHX_ASSIGN_OR_RETURN(wish, WishOf(work, *step.tree));
  }
  PHX_ASSIGN_OR_RETURN(auto files, FilesOf(work, step));
  PHX_ASSIGN_OR_RETURN(const ContentSeen seen, LookAtContent(work, step.name));
  if (!IsSame(work, step, seen.dataset))
    return ForeignChange(step.name, "the dataset is gone or another one");
  if (seen.done()) return MountBack(work, step.name, step.mountpoint);
  if (seen.before) {
    return FailedPrecondition("{} is there from an attempt that was cut off; the step has to be undone first",
                              seen.before->name);
  }
  // What cannot be unmounted could not be rolled back either: then nothing is begun.
  if (!seen.dataset->mounted_at.empty()) PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{step.name}));
  PHX_RETURN_IF_ERROR(Take(work, ContentSnapshotOf(step.name, work.run_id)));
  if (step.tree) PHX_RETURN_IF_ERROR(ChangeUnmounted(work, step.name, SetTreeOwner{step.name, wish}));
  // Last, so that they have the owners of their own.
  if (!files.empty())
    PHX_RETURN_IF_ERROR(ChangeUnmounted(work, step.name, DeliverFiles{step.name, std::move(files)}));
  // From here on whatever is written is somebody else's.
  PHX_RETURN_IF_ERROR(Take(work, GivenSnapshotOf(step.name, work.run_id)));
  return MountBack(work, step.name, step.mountpoint);
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const ChangeContentStep& step) {
  PHX_ASSIGN_OR_RETURN(const ContentSeen seen, LookAtContent(work, step.name));
  if (!IsSame(work, step, seen.dataset))
    return ProbeResult{Is::kForeign, "the dataset is gone or another one"};
  const std::string& at = seen.dataset->mounted_at;
  const bool left = seen.begun() && seen.before->stage == kLeft;
  if (seen.begun() && !seen.done() && !left) return ProbeResult{Is::kPartial, "its content is half changed"};
  if (at != step.mountpoint && !(IsLocked(*seen.dataset) && !seen.done()))
    return ProbeResult{Is::kPartial, at.empty() ? "it is not mounted" : "it is mounted at " + at};
  if (left) return ProbeResult{Is::kDone, ""};
  if (!seen.done()) return ProbeResult{Is::kNotDone, ""};
  if (step.tree) {
    // The root is changed last of the tree: where it is as wished, all is.
    const auto wanted = ResolveRoot(work, *step.tree, seen.dataset->root.value_or(DirectoryState{}));
    if (wanted.ok() && seen.dataset->root != *wanted)
      return ProbeResult{Is::kPartial, "its mount root is not as it shall be"};
  }
  PHX_ASSIGN_OR_RETURN(const std::string other, FirstOther(work, step));
  if (!other.empty()) return ProbeResult{Is::kPartial, other + " is not as it was delivered"};
  return ProbeResult{Is::kDone, ""};
}

absl::Status Undo(const Work& work, const ChangeContentStep& step) {
  PHX_ASSIGN_OR_RETURN(ContentSeen seen, LookAtContent(work, step.name));
  if (!IsSame(work, step, seen.dataset))
    return ForeignChange(step.name, "the dataset is gone or another one");
  if (seen.begun()) {
    absl::Status rolled_back;
    for (int times = 0; times <= kTimesMountedByOthers; ++times) {
      PHX_ASSIGN_OR_RETURN(const RollbackDataset rollback, RollbackOf(work, seen, step));
      if (!seen.dataset->mounted_at.empty()) PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{step.name}));
      rolled_back = Rollback(work, seen, rollback);
      if (rolled_back.ok() || IsForeign(rolled_back)) break;
      PHX_ASSIGN_OR_RETURN(seen, LookAtContent(work, step.name));
      if (!seen.begun() || !seen.dataset || seen.dataset->mounted_at.empty()) break;
    }
    if (step.created && IsForeign(rolled_back)) rolled_back = RollbackOfNothingElse(work, step, rolled_back);
    PHX_ASSIGN_OR_RETURN(seen, SyncAndLook(work, step.name));
    if (!seen.before) return Internal("{} is gone", ContentSnapshotOf(step.name, work.run_id));
    if (seen.written > kOwnWrites) {
      absl::Status why =
          rolled_back.ok() ? Internal("{} was not rolled back although zfs said so", step.name) : rolled_back;
      if (IsForeign(why)) return LeaveToOthers(work, step, seen, why);
      PHX_RETURN_IF_ERROR(MountBack(work, step.name, step.mountpoint));
      return why;
    }
    PHX_RETURN_IF_ERROR(
        work.Change(SetProperties{seen.before->name, {{std::string(kStageMark), kRolledBack}}}));
  }
  PHX_RETURN_IF_ERROR(MountBack(work, step.name, step.mountpoint));
  return DropGuards(work, seen);
}

absl::StatusOr<kit::Retrospect> LookBack(const Work& work, const ChangeContentStep& step) {
  using Kind = kit::Retrospect::Kind;
  PHX_ASSIGN_OR_RETURN(const ContentSeen seen, LookAtContent(work, step.name));
  if (!seen.done()) {
    return kit::Retrospect{
        Kind::kStays, fmt::format("the snapshots that it needs are gone by retention; {} stay as they are",
                                  WhatStays(step))};
  }
  PHX_ASSIGN_OR_RETURN(const std::string newer, NewerThan(work, step, *seen.given));
  if (!newer.empty()) return kit::Retrospect{Kind::kObstacle, newer};
  return kit::Retrospect();
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const ChangeContentStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return NotFound("dataset {} is not there", step.name);
  kit::LedgerChange change;
  if (step.tree) change.put.push_back(TreeEntry(step.name, dataset->guid, *step.tree));
  for (const FileSpec& file : step.files) {
    kit::LedgerEntry entry{.key = DeliveryKey(step.name, file.path),
                           .identity = std::to_string(dataset->guid)};
    entry.fields = json({{"digest", Sha256Hex(file.content)},
                         {"owner", file.owner},
                         {"group", file.group},
                         {"mode", file.mode}})
                       .dump();
    change.put.push_back(std::move(entry));
  }
  return change;
}

std::vector<ZfsChange> UndoChanges(const Work& work, const ChangeContentStep& step) {
  const std::string snapshot = ContentSnapshotOf(step.name, work.run_id).substr(step.name.size() + 1);
  return {UnmountDataset{step.name}, RollbackDataset{step.name, snapshot, 0}, MountDataset{step.name}};
}

}  // namespace phoenix::zfs
