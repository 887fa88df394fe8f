// Directories and snapshots.
#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

constexpr DirectoryState kNewDirectory{0, 0, 0755};

absl::StatusOr<std::optional<SnapshotState>> ReadSnapshot(const Work& work, const std::string& name) {
  ObserveRequest request;
  request.snapshots = true;
  request.datasets = {DatasetOf(name)};
  PHX_ASSIGN_OR_RETURN(ZfsState state, work.host.Observe(request));
  const auto found = state.snapshots.find(name);
  if (found == state.snapshots.end()) return std::optional<SnapshotState>();
  return std::optional(std::move(found->second));
}

}  // namespace

absl::StatusOr<json> Capture(const Work& work, const MakeDirectoryStep& step) {
  PHX_ASSIGN_OR_RETURN(const PathState path, work.Path(step.path));
  return json{{"there", path.directory.has_value()}};
}

std::vector<ZfsChange> ChangesOf(const MakeDirectoryStep& step, const std::string&) {
  return {MakeDirectory{step.path, kNewDirectory}};
}

absl::Status Do(const Work& work, const MakeDirectoryStep& step) {
  return work.Change(MakeDirectory{step.path, kNewDirectory});
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const MakeDirectoryStep& step) {
  PHX_ASSIGN_OR_RETURN(const PathState path, work.Path(step.path));
  return ProbeResult{path.directory ? Is::kDone : Is::kNotDone, ""};
}

absl::Status Undo(const Work& work, const MakeDirectoryStep& step) {
  if (work.captured.value("there", false)) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const PathState path, work.Path(step.path));
  if (!path.directory) return absl::OkStatus();
  if (!path.entries.empty()) return ForeignChange(step.path, "it holds " + path.entries[0]);
  return work.Change(RemoveDirectory{step.path});
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const MakeDirectoryStep& step) {
  return kit::LedgerChange{{kit::LedgerEntry{.key = "directory:" + step.path, .created = true}}, {}};
}

std::vector<ZfsChange> UndoChanges(const Work&, const MakeDirectoryStep& step) {
  return {RemoveDirectory{step.path}};
}

// Snapshots.

absl::StatusOr<json> Capture(const Work& work, const CreateSnapshotStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto snapshot, ReadSnapshot(work, step.name));
  return json{{"snapshot", snapshot ? snapshot->guid : 0}};
}

std::vector<ZfsChange> ChangesOf(const CreateSnapshotStep& step, const std::string& run_id) {
  return {CreateSnapshot{step.name, {{std::string(kRunMark), run_id}}}};
}

absl::Status Do(const Work& work, const CreateSnapshotStep& step) {
  absl::Status status = work.Change(ChangesOf(step, work.run_id).front());
  if (status.ok()) return status;
  PHX_ASSIGN_OR_RETURN(const auto snapshot, ReadSnapshot(work, step.name));
  return snapshot && snapshot->run == work.run_id ? absl::OkStatus() : status;
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const CreateSnapshotStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto snapshot, ReadSnapshot(work, step.name));
  if (!snapshot) return ProbeResult{Is::kNotDone, ""};
  if (snapshot->run == work.run_id) return ProbeResult{Is::kDone, ""};
  return ProbeResult{Is::kForeign, "it is there, and this run did not make it"};
}

absl::Status Undo(const Work& work, const CreateSnapshotStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto snapshot, ReadSnapshot(work, step.name));
  if (!snapshot) return absl::OkStatus();
  if (snapshot->run != work.run_id)
    return ForeignChange(step.name, "it is there, and this run did not make it");
  if (snapshot->holds != 0) return ForeignChange(step.name, "somebody holds it");
  if (!snapshot->clones.empty()) return ForeignChange(step.name, "it was cloned to " + snapshot->clones[0]);
  return work.Change(DestroySnapshot{step.name});
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const CreateSnapshotStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto snapshot, ReadSnapshot(work, step.name));
  if (!snapshot) return NotFound("snapshot {} is not there", step.name);
  return kit::LedgerChange{
      {kit::LedgerEntry{
          .key = "snapshot:" + step.name, .identity = std::to_string(snapshot->guid), .created = true}},
      {}};
}

std::vector<ZfsChange> UndoChanges(const Work&, const CreateSnapshotStep& step) {
  return {DestroySnapshot{step.name}};
}

absl::StatusOr<json> Capture(const Work& work, const DeleteSnapshotStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto snapshot, ReadSnapshot(work, step.name));
  if (!snapshot) return NotFound("snapshot {} is not there any more", step.name);
  return json{{"guid", snapshot->guid}};
}

std::vector<ZfsChange> ChangesOf(const DeleteSnapshotStep& step, const std::string& run_id) {
  return {RenameSnapshot{step.name, TrashedSnapshot(step.name, run_id)}};
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const DeleteSnapshotStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto there, ReadSnapshot(work, step.name));
  PHX_ASSIGN_OR_RETURN(const auto gone, ReadSnapshot(work, TrashedSnapshot(step.name, work.run_id)));
  if (there && there->guid == step.guid) return ProbeResult{Is::kNotDone, ""};
  if (there) return ProbeResult{Is::kForeign, "another snapshot of that name was made"};
  if (gone && gone->guid == step.guid) return ProbeResult{Is::kDone, ""};
  return ProbeResult{Is::kForeign, "somebody else destroyed it"};
}

absl::Status Do(const Work& work, const DeleteSnapshotStep& step) {
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, Probe(work, step));
  if (probe.probe == Is::kDone) return absl::OkStatus();
  if (probe.probe == Is::kForeign) return ForeignChange(step.name, probe.found);
  return work.Change(ChangesOf(step, work.run_id).front());
}

absl::Status Undo(const Work& work, const DeleteSnapshotStep& step) {
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, Probe(work, step));
  if (probe.probe == Is::kNotDone) return absl::OkStatus();
  if (probe.probe == Is::kForeign) return ForeignChange(step.name, probe.found);
  return work.Change(UndoChanges(work, step).front());
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const DeleteSnapshotStep& step) {
  return kit::LedgerChange{{}, {"snapshot:" + step.name}};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const DeleteSnapshotStep& step) {
  return {RenameSnapshot{TrashedSnapshot(step.name, work.run_id), step.name}};
}

}  // namespace phoenix::zfs
