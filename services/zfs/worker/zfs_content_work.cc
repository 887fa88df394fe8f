// Owner, group and mode of everything in a dataset. While that is changed the dataset is out of everybody's
// reach, so that what is written to it is ours; what is written afterwards is somebody else's, and is never
// rolled back.
#include <algorithm>

#include "base/host/posix_command_runner.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_checkpoint_work.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

// Stages of the snapshot that the step begins with: it was rolled back to, but somebody keeps it from being
// destroyed; or others could reach the dataset before the step was done, so that nobody can tell how much of
// what was written is theirs.
constexpr char kRolledBack[] = "rolled back";
constexpr char kReached[] = "reached";
// Others wrote to it: it stays as it is, for a person to look at.
constexpr char kLeft[] = "left";

// A rollback itself writes the block that describes the dataset, in two copies of 512 bytes (measured) to 4
// KiB; the least that anybody else's write was measured to cost is 13 KiB where that is 1 KiB, and grows with
// it.
constexpr uint64_t kRollbackWrites = 8192;

struct Seen {
  std::optional<DatasetState> dataset;
  // What the step takes before its first write and after its last.
  std::optional<SnapshotState> before, given;
  uint64_t written = 0;  // since `before`
  // The step's work has begun, was done, and was not taken back.
  bool begun() const { return before && before->stage != kRolledBack; }
  bool done() const { return begun() && given; }
};

absl::StatusOr<Seen> Look(const Work& work, const std::string& name) {
  const std::string before = ContentSnapshotOf(name, work.run_id), given = GivenSnapshotOf(name, work.run_id);
  ObserveRequest request;
  request.datasets = {name};
  request.snapshots = request.holds = true;
  PHX_ASSIGN_OR_RETURN(ZfsState state, work.host.Observe(request));
  Seen seen;
  if (const auto found = state.datasets.find(name); found != state.datasets.end())
    seen.dataset = std::move(found->second);
  for (auto& [each, snapshot] : state.snapshots) {
    if (snapshot.run != work.run_id) continue;
    if (each == before) {
      seen.before = std::move(snapshot);
    } else if (each == given) {
      seen.given = std::move(snapshot);
    }
  }
  if (!seen.before) return seen;
  ObserveRequest since;
  since.written_since = {before};
  PHX_ASSIGN_OR_RETURN(const ZfsState counted, work.host.Observe(since));
  const auto written = counted.written_since.find(before);
  if (written == counted.written_since.end())
    return Internal("what was written since {} cannot be read", before);
  seen.written = written->second;
  return seen;
}

absl::StatusOr<Seen> SyncAndLook(const Work& work, const std::string& name) {
  PHX_RETURN_IF_ERROR(work.Change(SyncPool{PoolOf(name)}));
  return Look(work, name);
}

absl::StatusOr<TreeWish> WishOf(const Work& work, const RootWish& root) {
  PHX_ASSIGN_OR_RETURN(const DirectoryState resolved, ResolveRoot(work, root, {}));
  TreeWish wish;
  if (!root.owner.empty()) wish.uid = resolved.uid;
  if (!root.group.empty()) wish.gid = resolved.gid;
  if (!root.mode.empty()) wish.mode = resolved.mode;
  return wish;
}

absl::Status MountBack(const Work& work, const std::string& name, const std::string& mountpoint) {
  PHX_ASSIGN_OR_RETURN(auto dataset, work.Dataset(name));
  if (dataset && dataset->mounted_at == mountpoint) return absl::OkStatus();
  const absl::Status told = work.Change(MountDataset{name});
  // What the host's first process sees counts.
  PHX_ASSIGN_OR_RETURN(dataset, work.Dataset(name));
  if (dataset && dataset->mounted_at == mountpoint) return absl::OkStatus();
  return told.ok() ? Internal("{} is not mounted at {} although zfs said so", name, mountpoint) : told;
}

// Taken and held at once: the reaper must not meet it in between.
absl::Status Take(const Work& work, const std::string& snapshot) {
  const PropertyMap marks = {{std::string(kRunMark), work.run_id}, {std::string(kBootMark), ReadBootId()}};
  const absl::MutexLock lock(&work.containers);
  PHX_RETURN_IF_ERROR(work.Change(CreateSnapshots{{snapshot}, marks}));
  return work.Change(HoldSnapshots{HoldOf(work.run_id), {snapshot}});
}

// The rollback that discards nothing but what this step wrote. A step that was cut off while nobody could
// reach the dataset wrote all there is; mounted where everybody looks, or at any time of another boot, some
// of it may be somebody's.
absl::StatusOr<RollbackDataset> RollbackOf(const Work& work, const Seen& seen, const SetTreeOwnerStep& step) {
  const auto part = [](const std::string& snapshot) { return snapshot.substr(snapshot.find('@') + 1); };
  RollbackDataset rollback{step.name, part(seen.before->name), 0};
  if (seen.done()) {
    rollback.guard = part(seen.given->name);
    return rollback;
  }
  // An undo that was cut off may have been here already.
  rollback.max_written = kRollbackWrites;
  const bool reached = seen.dataset->mounted_at == step.mountpoint || seen.before->boot_mark != ReadBootId();
  if (seen.before->stage.empty() && reached) {
    // Durable before it is unmounted: afterwards nobody could tell any more.
    PHX_RETURN_IF_ERROR(work.Change(SetProperties{seen.before->name, {{std::string(kStageMark), kReached}}}));
  }
  if (seen.before->stage.empty() && !reached) rollback.max_written = INT64_MAX;
  return rollback;
}

absl::Status Rollback(const Work& work, const Seen& seen, const RollbackDataset& rollback) {
  const std::string hold = HoldOf(work.run_id);
  const absl::MutexLock lock(&work.containers);
  if (seen.done() &&
      std::find(seen.given->tags.begin(), seen.given->tags.end(), hold) != seen.given->tags.end())
    PHX_RETURN_IF_ERROR(work.Change(ReleaseSnapshots{hold, {seen.given->name}}));
  return work.Change(rollback);
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

}  // namespace

kit::LedgerEntry TreeEntry(const std::string& name, uint64_t guid, const RootWish& root) {
  kit::LedgerEntry entry{.key = "tree:" + name, .identity = std::to_string(guid)};
  entry.fields = json({{"given", TreeText(root)}}).dump();
  return entry;
}

absl::StatusOr<json> Capture(const Work& work, const SetTreeOwnerStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset || dataset->mounted_at != step.mountpoint) {
    return FailedPrecondition("{} is not mounted at {}", step.name, step.mountpoint);
  }
  return json{{"guid", dataset->guid}};
}

std::vector<ZfsChange> ChangesOf(const SetTreeOwnerStep& step, const std::string& run_id) {
  return {UnmountDataset{step.name},
          CreateSnapshots{{ContentSnapshotOf(step.name, run_id)}, {{std::string(kRunMark), run_id}}}};
}

absl::Status Do(const Work& work, const SetTreeOwnerStep& step) {
  PHX_ASSIGN_OR_RETURN(const TreeWish wish, WishOf(work, step.root));
  PHX_ASSIGN_OR_RETURN(const Seen seen, Look(work, step.name));
  if (!seen.dataset || seen.dataset->guid != work.captured.at("guid").get<uint64_t>())
    return ForeignChange(step.name, "the dataset is gone or another one");
  if (seen.done()) return MountBack(work, step.name, step.mountpoint);
  if (seen.before) {
    return FailedPrecondition("{} is there from an attempt that was cut off; the step has to be undone first",
                              seen.before->name);
  }
  // What cannot be unmounted could not be rolled back either: then nothing is begun.
  if (!seen.dataset->mounted_at.empty()) PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{step.name}));
  PHX_RETURN_IF_ERROR(Take(work, ContentSnapshotOf(step.name, work.run_id)));
  PHX_RETURN_IF_ERROR(work.Change(SetTreeOwner{step.name, wish}));
  // From here on whatever is written is somebody else's.
  PHX_RETURN_IF_ERROR(Take(work, GivenSnapshotOf(step.name, work.run_id)));
  return MountBack(work, step.name, step.mountpoint);
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const SetTreeOwnerStep& step) {
  PHX_ASSIGN_OR_RETURN(const Seen seen, Look(work, step.name));
  if (!seen.dataset || seen.dataset->guid != work.captured.at("guid").get<uint64_t>())
    return ProbeResult{Is::kForeign, "the dataset is gone or another one"};
  const std::string& at = seen.dataset->mounted_at;
  const bool left = seen.begun() && seen.before->stage == kLeft;
  if (seen.begun() && !seen.done() && !left) return ProbeResult{Is::kPartial, "not everything in it is set"};
  if (at != step.mountpoint)
    return ProbeResult{Is::kPartial, at.empty() ? "it is not mounted" : "it is mounted at " + at};
  if (left) return ProbeResult{Is::kDone, ""};
  if (!seen.done()) return ProbeResult{Is::kNotDone, ""};
  // The root is changed last: where it is as wished, all is.
  const auto wanted = ResolveRoot(work, step.root, seen.dataset->root.value_or(DirectoryState{}));
  if (!wanted.ok() || seen.dataset->root == *wanted) return ProbeResult{Is::kDone, ""};
  return ProbeResult{Is::kPartial, "its mount root is not as it shall be"};
}

absl::Status Undo(const Work& work, const SetTreeOwnerStep& step) {
  PHX_ASSIGN_OR_RETURN(Seen seen, Look(work, step.name));
  if (!seen.dataset || seen.dataset->guid != work.captured.at("guid").get<uint64_t>())
    return ForeignChange(step.name, "the dataset is gone or another one");
  if (seen.begun()) {
    PHX_ASSIGN_OR_RETURN(const RollbackDataset rollback, RollbackOf(work, seen, step));
    if (!seen.dataset->mounted_at.empty()) PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{step.name}));
    const absl::Status rolled_back = Rollback(work, seen, rollback);
    PHX_ASSIGN_OR_RETURN(seen, SyncAndLook(work, step.name));
    if (!seen.before) return Internal("{} is gone", ContentSnapshotOf(step.name, work.run_id));
    if (seen.written > kRollbackWrites) {
      absl::Status why =
          rolled_back.ok() ? Internal("{} was not rolled back although zfs said so", step.name) : rolled_back;
      const auto reason = ReasonOf(why);
      const bool foreign = reason && reason->reason == "FOREIGN_CHANGE";
      const absl::Status kept = foreign ? KeepBefore(work, step.name) : absl::OkStatus();
      PHX_RETURN_IF_ERROR(MountBack(work, step.name, step.mountpoint));
      PHX_RETURN_IF_ERROR(Annotate(kept, "how it was before cannot be kept aside"));
      if (!foreign) return why;
      PHX_RETURN_IF_ERROR(work.Change(SetProperties{seen.before->name, {{std::string(kStageMark), kLeft}}}));
      return Annotate(
          why, fmt::format("{} stays with the owners and modes that this run set, and how it was before is "
                           "kept as {}; `phoenix kept` gives it back under another name or destroys it",
                           step.name, AsideName(KeptOf(step.name, work.run_id), step.name)));
    }
    PHX_RETURN_IF_ERROR(
        work.Change(SetProperties{seen.before->name, {{std::string(kStageMark), kRolledBack}}}));
  }
  PHX_RETURN_IF_ERROR(MountBack(work, step.name, step.mountpoint));
  for (const auto* snapshot : {&seen.given, &seen.before}) {
    if (*snapshot) PHX_RETURN_IF_ERROR(DropSnapshot(work.host, work.run_id, **snapshot));
  }
  return absl::OkStatus();
}

absl::StatusOr<kit::Retrospect> LookBack(const Work& work, const SetTreeOwnerStep& step) {
  using Kind = kit::Retrospect::Kind;
  PHX_ASSIGN_OR_RETURN(const Seen seen, Look(work, step.name));
  if (!seen.done()) {
    return kit::Retrospect{
        Kind::kStays, "the snapshots that it needs are gone by retention; owners and modes stay as they are"};
  }
  ObserveRequest since;
  since.written_since = {seen.given->name};
  PHX_ASSIGN_OR_RETURN(const ZfsState counted, work.host.Observe(since));
  const auto written = counted.written_since.find(seen.given->name);
  if (written == counted.written_since.end())
    return Internal("what was written since {} cannot be read", seen.given->name);
  if (written->second != 0) return kit::Retrospect{Kind::kObstacle, "something was written to it since"};
  return kit::Retrospect();
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const SetTreeOwnerStep& step) {
  return kit::LedgerChange{{TreeEntry(step.name, work.captured.at("guid").get<uint64_t>(), step.root)}, {}};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const SetTreeOwnerStep& step) {
  const std::string snapshot = ContentSnapshotOf(step.name, work.run_id).substr(step.name.size() + 1);
  return {UnmountDataset{step.name}, RollbackDataset{step.name, snapshot, 0}, MountDataset{step.name}};
}

}  // namespace phoenix::zfs
