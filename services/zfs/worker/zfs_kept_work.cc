// What undo kept: back to where it was, or gone for good.
#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

// What restoring takes off the dataset. The run's marks, too: it is the run's no more, whose undo may be
// repeated, and a node without a record must not take it for a thing that it made.
constexpr std::string_view kMarks[] = {kRunMark, kWrittenMark, kKeptMark, kCanmountMark};

json PropertiesOf(const DatasetState& dataset) {
  json properties = json::object();
  if (dataset.type == "filesystem") properties["canmount"] = CaptureProperty(dataset, "canmount");
  for (const std::string_view mark : kMarks)
    properties[std::string(mark)] = CaptureProperty(dataset, std::string(mark));
  return properties;
}

struct Seen {
  // Where it was kept, and where it was restored to; never both.
  std::optional<DatasetState> kept, restored;
  // Another one has the name that it is restored to.
  bool taken = false;
  // What lies in it, once it is restored; parents first.
  std::vector<DatasetState> inside;
};

absl::StatusOr<Seen> Look(const Work& work, const RestoreKeptStep& step) {
  ObserveRequest request;
  request.datasets = {step.name, step.to};
  request.recursive = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState state, work.host.Observe(request));
  Seen seen;
  for (const auto& [name, dataset] : state.datasets) {
    const bool it = dataset.guid == step.guid;
    if (name == step.name && it) {
      seen.kept = dataset;
    } else if (name == step.to) {
      seen.taken = !it;
      if (it) seen.restored = dataset;
    } else if (IsBelow(name, step.to)) {
      seen.inside.push_back(dataset);
    }
  }
  return seen;
}

// Would come up at the next boot, and until then whatever is written to its place lands in the dataset below.
bool WaitsForMount(const DatasetState& dataset) {
  return dataset.type == "filesystem" && dataset.mounted_at.empty() && dataset.Value("canmount") == "on" &&
         dataset.Value("mountpoint").starts_with('/');
}

bool IsCanmountRight(const DatasetState& dataset, const RestoreKeptStep& step) {
  if (step.canmount.empty()) return true;
  return dataset.LocalValue("canmount") == (step.canmount == kNotSet ? "" : step.canmount);
}

ZfsChange PutCanmount(const RestoreKeptStep& step) {
  const bool set = step.canmount != kNotSet;
  return RestoreProperty(step.to, "canmount",
                         {{"source", set ? "local" : "inherited"}, {"value", step.canmount}});
}

absl::Status TakeMarksAway(const Work& work, const RestoreKeptStep& step, const DatasetState& dataset) {
  if (!IsCanmountRight(dataset, step)) PHX_RETURN_IF_ERROR(work.Change(PutCanmount(step)));
  for (const std::string_view mark : kMarks) {
    if (dataset.LocalValue(mark).empty()) continue;
    PHX_RETURN_IF_ERROR(work.Change(InheritProperty{step.to, std::string(mark), false}));
  }
  return absl::OkStatus();
}

// As it was when it was kept: unmounted, with its marks; without them where it stays.
absl::Status PutMarksBack(const Work& work, const RestoreKeptStep& step, const DatasetState& restored,
                          const std::vector<DatasetState>& all_inside) {
  for (auto inside = all_inside.rbegin(); inside != all_inside.rend(); ++inside) {
    if (!inside->mounted_at.empty()) PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{inside->name}));
  }
  if (!restored.mounted_at.empty()) PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{step.to}));
  PropertyMap marks;
  for (const auto& [property, captured] : work.captured.at("properties").items()) {
    if (CaptureProperty(restored, property) == captured) continue;
    if (IsBound(restored) && property != "canmount") continue;
    if (captured.at("source") == "local") {
      marks.emplace(property, captured.at("value").get<std::string>());
    } else {
      PHX_RETURN_IF_ERROR(work.Change(RestoreProperty(step.to, property, captured)));
    }
  }
  return marks.empty() ? absl::OkStatus() : work.Change(SetProperties{step.to, marks});
}

// Neither it nor what lies in it is mounted, nor will be at the next boot.
bool IsShut(const Work& work, const Seen& seen) {
  const json& properties = work.captured.at("properties");
  return seen.restored->mounted_at.empty() &&
         (!properties.contains("canmount") ||
          CaptureProperty(*seen.restored, "canmount") == properties.at("canmount")) &&
         std::all_of(seen.inside.begin(), seen.inside.end(),
                     [](const DatasetState& inside) { return inside.mounted_at.empty(); });
}

DeleteDatasetStep AsDelete(const DiscardKeptStep& step) { return {step.name, step.guid, "", step.volume}; }

}  // namespace

absl::StatusOr<json> Capture(const Work& work, const RestoreKeptStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset || dataset->guid != step.guid) return NotFound("{} is not there any more", step.name);
  json captured = {{"guid", dataset->guid}, {"properties", PropertiesOf(*dataset)}};
  PHX_ASSIGN_OR_RETURN(captured["directory"], CaptureDirectory(work, step.mountpoint));
  return captured;
}

std::vector<ZfsChange> ChangesOf(const RestoreKeptStep& step, const std::string&) {
  std::vector<ZfsChange> changes = {RenameDataset{step.name, step.to, step.volume}};
  if (!step.canmount.empty()) changes.push_back(PutCanmount(step));
  for (const std::string_view mark : {kRunMark, kKeptMark, kCanmountMark})
    changes.push_back(InheritProperty{step.to, std::string(mark), false});
  if (!step.mountpoint.empty()) changes.push_back(MountDataset{step.to});
  return changes;
}

absl::Status Do(const Work& work, const RestoreKeptStep& step) {
  PHX_ASSIGN_OR_RETURN(Seen seen, Look(work, step));
  if (seen.taken) return ForeignChange(step.to, "it was made meanwhile");
  if (seen.kept) {
    const absl::MutexLock lock(&work.containers);
    PHX_RETURN_IF_ERROR(work.Change(RenameDataset{step.name, step.to, step.volume}));
  } else if (!seen.restored) {
    return ForeignChange(step.name, "it is neither kept nor restored");
  }
  PHX_ASSIGN_OR_RETURN(seen, Look(work, step));
  if (!seen.restored) return Internal("{} is not there although zfs said so", step.to);
  PHX_RETURN_IF_ERROR(TakeMarksAway(work, step, *seen.restored));
  if (!step.mountpoint.empty() && seen.restored->mounted_at.empty())
    PHX_RETURN_IF_ERROR(work.Change(MountDataset{step.to}));
  for (const DatasetState& inside : seen.inside) {
    if (WaitsForMount(inside)) PHX_RETURN_IF_ERROR(work.Change(MountDataset{inside.name}));
  }
  return absl::OkStatus();
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const RestoreKeptStep& step) {
  PHX_ASSIGN_OR_RETURN(const Seen seen, Look(work, step));
  if (seen.kept) {
    if (PropertiesOf(*seen.kept) != work.captured.at("properties"))
      return ProbeResult{Is::kForeign, "its marks or its canmount were changed where it is kept"};
    return ProbeDirectory(work, step.mountpoint);
  }
  if (!seen.restored) {
    return ProbeResult{Is::kForeign, "it is neither kept nor restored"};
  }
  for (const std::string_view mark : kMarks) {
    if (!seen.restored->LocalValue(mark).empty())
      return ProbeResult{Is::kPartial, fmt::format("it carries {}", mark)};
  }
  if (work.undoing && IsBound(*seen.restored) && IsShut(work, seen)) {
    PHX_ASSIGN_OR_RETURN(ProbeResult found, ProbeDirectory(work, step.mountpoint));
    if (found.probe != Is::kNotDone) return found;
    found.left = fmt::format(
        "{} stays as {}, unmounted: ZFS lets it not leave {}, whose key it has. Once nobody needs it: zfs "
        "destroy {}",
        step.name, step.to, seen.restored->Value("encryptionroot"), step.to);
    return found;
  }
  if (!IsCanmountRight(*seen.restored, step))
    return ProbeResult{Is::kPartial, "canmount is " + seen.restored->Value("canmount")};
  const std::string& at = seen.restored->mounted_at;
  if (at != step.mountpoint)
    return ProbeResult{Is::kPartial, at.empty() ? "it is not mounted" : "it is mounted at " + at};
  for (const DatasetState& inside : seen.inside) {
    if (WaitsForMount(inside)) return ProbeResult{Is::kPartial, inside.name + " is not mounted"};
  }
  return ProbeResult{Is::kDone, ""};
}

absl::Status Undo(const Work& work, const RestoreKeptStep& step) {
  PHX_ASSIGN_OR_RETURN(const Seen seen, Look(work, step));
  if (seen.restored) {
    PHX_RETURN_IF_ERROR(PutMarksBack(work, step, *seen.restored, seen.inside));
    if (!IsBound(*seen.restored)) {
      const absl::MutexLock lock(&work.containers);
      PHX_RETURN_IF_ERROR(EnsureContainer(work, ParentOf(step.name)));
      PHX_RETURN_IF_ERROR(work.Change(RenameDataset{step.to, step.name, step.volume, true}));
    } else {
      for (const std::string_view mark : kMarks) {
        if (!seen.restored->LocalValue(mark).empty())
          PHX_RETURN_IF_ERROR(work.Change(InheritProperty{step.to, std::string(mark), false}));
      }
    }
  } else if (!seen.kept) {
    return ForeignChange(step.name, "it is neither kept nor restored");
  }
  return RestoreDirectory(work, step.mountpoint, work.captured.value("directory", json()));
}

// It holds others' data: from now on it is theirs.
absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const RestoreKeptStep&) {
  return kit::LedgerChange();
}

std::vector<ZfsChange> UndoChanges(const Work& work, const RestoreKeptStep& step) {
  std::vector<ZfsChange> changes;
  if (!step.mountpoint.empty()) changes.push_back(UnmountDataset{step.to});
  const auto restored = work.Dataset(step.to);
  const bool bound = restored.ok() && *restored && IsBound(**restored);
  // By name: a loop over the items of a temporary outlives it.
  const json properties = work.captured.value("properties", json::object());
  for (const auto& [property, captured] : properties.items()) {
    if (!bound || property == "canmount") changes.push_back(RestoreProperty(step.to, property, captured));
  }
  if (!bound) changes.push_back(RenameDataset{step.to, step.name, step.volume, true});
  return changes;
}

// Gone for good: the trash takes it until the change is committed.

absl::StatusOr<json> Capture(const Work& work, const DiscardKeptStep& step) {
  return Capture(work, AsDelete(step));
}

std::vector<ZfsChange> ChangesOf(const DiscardKeptStep& step, const std::string& run_id) {
  return ChangesOf(AsDelete(step), run_id);
}

absl::Status Do(const Work& work, const DiscardKeptStep& step) { return Do(work, AsDelete(step)); }

absl::StatusOr<ProbeResult> Probe(const Work& work, const DiscardKeptStep& step) {
  PHX_ASSIGN_OR_RETURN(ProbeResult probe, Probe(work, AsDelete(step)));
  if (probe.probe != Is::kDone) return probe;
  // Without its mark nobody would ever destroy it.
  PHX_ASSIGN_OR_RETURN(const auto gone, work.Dataset(AsideName(TrashOf(step.name, work.run_id), step.name)));
  if (gone && gone->LocalValue(kTrashMark) == work.run_id) return probe;
  return ProbeResult{Is::kPartial, "it is not marked for the trash"};
}

absl::Status Undo(const Work& work, const DiscardKeptStep& step) {
  {
    const absl::MutexLock lock(&work.containers);
    PHX_RETURN_IF_ERROR(EnsureContainer(work, ParentOf(step.name)));
  }
  return Undo(work, AsDelete(step));
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const DiscardKeptStep&) {
  return kit::LedgerChange();
}

std::vector<ZfsChange> UndoChanges(const Work& work, const DiscardKeptStep& step) {
  return UndoChanges(work, AsDelete(step));
}

absl::StatusOr<bool> TidyKept(ZfsHost& host, const std::string& run_id) {
  ObserveRequest request;
  request.all_datasets = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, host.Observe(request));
  bool discarded = false;
  for (const auto& [name, dataset] : seen.datasets) {
    discarded = discarded || (IsDiscarded(name) && RunOfAside(name, "trash") == run_id);
    if (!IsContainer(name) || ParentOf(name) != PoolOf(name) + "/.phoenix/kept") continue;
    const auto next = seen.datasets.upper_bound(name + "/");
    if (next != seen.datasets.end() && IsBelow(next->first, name)) continue;
    PHX_RETURN_IF_ERROR(DropEmptyContainers(host, name, nullptr));
  }
  return discarded;
}

}  // namespace phoenix::zfs
