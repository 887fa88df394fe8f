#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_step_json.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

constexpr DirectoryState kNewRoot{0, 0, 0755};

// Completes a dataset that this run created, whatever of it is there.
absl::Status Complete(const Work& work, const CreateDatasetStep& step, DatasetState dataset) {
  PropertyMap missing;
  for (const auto& [name, value] : step.properties) {
    const PropertyRule* rule = FindProperty(name);
    if (rule != nullptr && rule->create_only) continue;
    if (!SameValue(name, dataset.LocalValue(name), value)) missing.emplace(name, value);
  }
  if (!missing.empty()) PHX_RETURN_IF_ERROR(work.Change(SetProperties{step.name, missing}));
  if (step.mountpoint.empty()) return absl::OkStatus();
  if (dataset.mounted_at.empty()) {
    PHX_RETURN_IF_ERROR(work.Change(MountDataset{step.name}));
  }
  return absl::OkStatus();
}

absl::Status MarkWritten(const Work& work, const std::string& name) {
  PHX_RETURN_IF_ERROR(work.Change(SyncPool{PoolOf(name)}));
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(name));
  if (!dataset || !dataset->LocalValue(kWrittenMark).empty()) return absl::OkStatus();
  return work.Change(SetProperties{name, {{std::string(kWrittenMark), dataset->Value("written")}}});
}

// A reboot took the key that it inherits: nobody can look into it, and it leaves its encryption root only
// together with that. Where the root came with the same run, undoing its creation is next, and sets both
// aside.
absl::StatusOr<bool> GoesWithItsRoot(const Work& work, const DatasetState& dataset) {
  const std::string root = dataset.Value("encryptionroot");
  if (!IsLocked(dataset) || root == dataset.name) return false;
  PHX_ASSIGN_OR_RETURN(const auto above, work.Dataset(root));
  return above && above->LocalValue(kRunMark) == work.run_id;
}

}  // namespace

absl::StatusOr<json> Capture(const Work& work, const CreateDatasetStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  json captured = {{"dataset", dataset ? dataset->guid : 0}};
  PHX_ASSIGN_OR_RETURN(captured["directory"], CaptureDirectory(work, step.mountpoint));
  return captured;
}

std::vector<ZfsChange> ChangesOf(const CreateDatasetStep& step, const std::string& run_id) {
  PropertyMap properties = step.properties;
  properties.emplace(kRunMark, run_id);
  return {CreateDataset{step.name, step.volume_size_bytes, properties, ShownKey(step.key)}};
}

absl::Status Do(const Work& work, const CreateDatasetStep& step) {
  absl::Status status;
  for (auto& change : ChangesOf(step, work.run_id)) {
    if (auto* create = std::get_if<CreateDataset>(&change)) {
      PHX_ASSIGN_OR_RETURN(create->encryption, NewKeyOf(work, step.key));
    }
    status = work.Change(change);
  }
  DirectoryState root = kNewRoot;
  if (!status.ok()) {
    // It may be there from before a crash, or in spite of what the tool says.
    PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
    if (!dataset) return status;
    if (dataset->LocalValue(kRunMark) != work.run_id) {
      return ForeignChange(step.name, "it is there, and this run did not make it");
    }
    PHX_RETURN_IF_ERROR(Complete(work, step, *dataset));
    PHX_ASSIGN_OR_RETURN(const auto complete, work.Dataset(step.name));
    if (complete && complete->root) root = *complete->root;
  }
  // What nobody can mount can only be told from its counter whether somebody wrote to it.
  if (step.mountpoint.empty()) return MarkWritten(work, step.name);
  if (step.root.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const SetMountRoot change,
                       RootChange(work, step.name, step.mountpoint, step.root, root));
  return work.Change(change);
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const CreateDatasetStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return ProbeDirectory(work, step.mountpoint);
  if (dataset->LocalValue(kRunMark) != work.run_id) {
    return ProbeResult{Is::kForeign, "it is there, and this run did not make it"};
  }
  PHX_ASSIGN_OR_RETURN(const bool left_to_root, GoesWithItsRoot(work, *dataset));
  if (left_to_root) {
    if (work.undoing) return ProbeResult{Is::kNotDone, ""};
    return ProbeResult{Is::kPartial, HowToUnlock(*dataset)};
  }
  const bool volume = dataset->type == "volume";
  if (volume != (step.volume_size_bytes != 0)) return ProbeResult{Is::kForeign, "it is a " + dataset->type};
  if (step.key && dataset->Value("encryptionroot") != step.name)
    return ProbeResult{Is::kForeign, "it is no encryption root"};
  for (const auto& [name, value] : step.properties) {
    if (!SameValue(name, ComparedValue(*dataset, name), value)) {
      return ProbeResult{Is::kPartial, fmt::format("{} is {}", name, dataset->Value(name))};
    }
  }
  if (dataset->mounted_at != step.mountpoint) {
    return ProbeResult{Is::kPartial, dataset->mounted_at.empty() ? "it is not mounted"
                                                                 : "it is mounted at " + dataset->mounted_at};
  }
  if (step.mountpoint.empty() && dataset->LocalValue(kWrittenMark).empty()) {
    return ProbeResult{Is::kPartial, "what was written to it is not marked yet"};
  }
  if (!step.root.empty() && dataset->root) {
    PHX_ASSIGN_OR_RETURN(const SetMountRoot change,
                         RootChange(work, step.name, step.mountpoint, step.root, *dataset->root));
    if (!IsDone(change, *dataset)) return ProbeResult{Is::kPartial, "owner, group, mode or ACL differ"};
  }
  return ProbeResult{Is::kDone, ""};
}

absl::Status Undo(const Work& work, const CreateDatasetStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (dataset) {
    if (dataset->LocalValue(kRunMark) != work.run_id) {
      return ForeignChange(step.name, "it is there, and this run did not make it");
    }
    PHX_ASSIGN_OR_RETURN(const bool left_to_root, GoesWithItsRoot(work, *dataset));
    if (left_to_root) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(const std::string found, ProveEmpty(work, step.name));
    if (found.empty()) {
      PHX_RETURN_IF_ERROR(work.Change(DestroyDataset{step.name}));
    } else {
      PHX_RETURN_IF_ERROR(
          Annotate(SetAside(work, step.name, found),
                   fmt::format("{} holds what others made ({}) and cannot be set aside", step.name, found)));
    }
  }
  return RestoreDirectory(work, step.mountpoint, work.captured.value("directory", json()));
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const CreateDatasetStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return NotFound("dataset {} is not there", step.name);
  kit::LedgerEntry entry{
      .key = "dataset:" + step.name, .identity = std::to_string(dataset->guid), .created = true};
  json fields = RootJson(step.root);
  fields["properties"] = step.properties;
  entry.fields = fields.dump();
  kit::LedgerChange change{{entry}, {}};
  // Nothing was in it that could have been given to anybody before.
  if (step.tree) change.put.push_back(TreeEntry(step.name, dataset->guid, step.root));
  return change;
}

// Nobody is told to destroy what nobody could look into, what others wrote to, or what is not the run's.
std::vector<ZfsChange> UndoChanges(const Work& work, const CreateDatasetStep& step) {
  const auto read = work.Dataset(step.name);
  if (!read.ok()) return {};
  const auto& dataset = *read;
  if (!dataset || dataset->LocalValue(kRunMark) != work.run_id) return {};
  const auto destroy_if_empty = [&]() -> std::vector<ZfsChange> {
    const auto others = FindOthersIn(work, step.name);
    if (!others.ok() || !others->empty()) return {};
    return {DestroyDataset{step.name}};
  };
  if (!IsEncrypted(*dataset)) return destroy_if_empty();
  const std::string root = dataset->Value("encryptionroot");
  if (root == step.name && !IsLocked(*dataset)) return destroy_if_empty();
  std::vector<ZfsChange> changes;
  if (IsLocked(*dataset)) changes.push_back(LoadKey{root, dataset->Value("keyformat"), NoKey()});
  const bool marked = !dataset->LocalValue(kWrittenMark).empty();
  if (IsLocked(*dataset) || (dataset->mounted_at.empty() && !marked)) {
    ObserveRequest request;
    request.datasets = {root};
    request.recursive = true;
    const auto seen = work.host.Observe(request);
    if (!seen.ok()) return changes;
    for (const auto& mount : MountsOf(*seen, root)) {
      if (IsBelow(step.name, mount.name)) changes.push_back(MountDataset{mount.name});
    }
    return changes;
  }
  // What others made in it stays where it is, since it cannot leave its root.
  return destroy_if_empty();
}

// Into the trash.

absl::StatusOr<json> Capture(const Work& work, const DeleteDatasetStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return NotFound("dataset {} is not there any more", step.name);
  return json{{"guid", dataset->guid},
              {"mounted", dataset->mounted_at},
              {"filesystem", dataset->type == "filesystem"},
              {"canmount", CaptureProperty(*dataset, "canmount")}};
}

std::vector<ZfsChange> ChangesOf(const DeleteDatasetStep& step, const std::string& run_id) {
  std::vector<ZfsChange> changes;
  if (!step.mountpoint.empty()) changes.push_back(UnmountDataset{step.name});
  PropertyMap marks = {{std::string(kTrashMark), run_id}};
  // Its own mount point would bring it back at the next boot.
  if (!step.mountpoint.empty()) marks.emplace("canmount", "noauto");
  changes.push_back(SetProperties{step.name, marks});
  changes.push_back(
      RenameDataset{step.name, AsideName(TrashOf(step.name, run_id), step.name), step.volume, true});
  return changes;
}

absl::Status Do(const Work& work, const DeleteDatasetStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return absl::OkStatus();
  if (dataset->guid != step.guid) return ForeignChange(step.name, "it is another dataset of that name");
  const absl::MutexLock lock(&work.containers);
  PHX_RETURN_IF_ERROR(EnsureContainer(work, TrashOf(step.name, work.run_id)));
  for (auto& change : ChangesOf(step, work.run_id)) {
    if (std::holds_alternative<UnmountDataset>(change) && dataset->mounted_at.empty()) continue;
    // Nor may one that is not mounted now come up from the trash at the next boot.
    auto* marks = std::get_if<SetProperties>(&change);
    if (marks != nullptr && dataset->type == "filesystem") marks->properties.emplace("canmount", "noauto");
    PHX_RETURN_IF_ERROR(work.Change(change));
  }
  return RestoreDirectory(work, step.mountpoint, json());
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const DeleteDatasetStep& step) {
  const std::string trash = AsideName(TrashOf(step.name, work.run_id), step.name);
  ObserveRequest request;
  request.datasets = {step.name, trash};
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(request));
  const auto there = seen.datasets.find(step.name);
  const auto gone = seen.datasets.find(trash);
  if (gone != seen.datasets.end() && gone->second.guid == step.guid) {
    if (there != seen.datasets.end())
      return ProbeResult{Is::kForeign, "another dataset of that name was made"};
    return ProbeResult{Is::kDone, ""};
  }
  if (there == seen.datasets.end() || there->second.guid != step.guid) {
    return ProbeResult{Is::kForeign, "it is neither where it was nor in the trash"};
  }
  const bool marked = there->second.LocalValue(kTrashMark) == work.run_id;
  // Where its key went with the machine's memory nobody can mount it.
  const bool mounted = there->second.mounted_at == step.mountpoint || IsLocked(there->second);
  if (!marked && mounted) return ProbeResult{Is::kNotDone, ""};
  return ProbeResult{Is::kPartial, marked ? "it is marked for the trash" : "it is not mounted"};
}

absl::Status Undo(const Work& work, const DeleteDatasetStep& step) {
  const std::string container = TrashOf(step.name, work.run_id);
  const std::string trash = AsideName(container, step.name);
  ObserveRequest request;
  request.datasets = {step.name, trash};
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(request));
  const bool there = seen.datasets.count(step.name) != 0;
  const absl::MutexLock lock(&work.containers);
  if (!there) {
    if (seen.datasets.count(trash) == 0)
      return ForeignChange(step.name, "it is neither where it was nor in the trash");
    PHX_RETURN_IF_ERROR(work.Change(RenameDataset{trash, step.name, step.volume}));
  } else if (seen.datasets.find(step.name)->second.guid != step.guid) {
    return ForeignChange(step.name, "another dataset of that name was made");
  }
  PHX_ASSIGN_OR_RETURN(auto dataset, work.Dataset(step.name));
  if (!dataset) return Internal("{} is not there after it was renamed back", step.name);
  if (work.captured.value("filesystem", false) &&
      CaptureProperty(*dataset, "canmount") != work.captured.at("canmount")) {
    PHX_RETURN_IF_ERROR(work.Change(RestoreProperty(step.name, "canmount", work.captured.at("canmount"))));
  }
  if (!dataset->LocalValue(kTrashMark).empty()) {
    PHX_RETURN_IF_ERROR(work.Change(InheritProperty{step.name, std::string(kTrashMark), false}));
  }
  PHX_ASSIGN_OR_RETURN(dataset, work.Dataset(step.name));
  if (dataset && dataset->mounted_at.empty() && !work.captured.value("mounted", "").empty()) {
    PHX_RETURN_IF_ERROR(MountUnlessLocked(work, *dataset));
  }
  return DropEmptyContainers(work.host, container, work.on_child);
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const DeleteDatasetStep& step) {
  return kit::LedgerChange{{}, {"dataset:" + step.name, "tree:" + step.name}};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const DeleteDatasetStep& step) {
  std::vector<ZfsChange> changes = {
      RenameDataset{AsideName(TrashOf(step.name, work.run_id), step.name), step.name, step.volume}};
  if (work.captured.contains("canmount") && work.captured.value("filesystem", false)) {
    changes.push_back(RestoreProperty(step.name, "canmount", work.captured["canmount"]));
  }
  changes.push_back(InheritProperty{step.name, std::string(kTrashMark), false});
  if (!step.mountpoint.empty()) changes.push_back(MountDataset{step.name});
  return changes;
}

}  // namespace phoenix::zfs
