#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <vector>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_step_json.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

bool MovesMount(const SetPropertiesStep& step) {
  return step.properties.count("mountpoint") != 0 || step.properties.count("canmount") != 0;
}

std::string NewMountPoint(const SetPropertiesStep& step) {
  const auto path = step.properties.find("mountpoint");
  return path != step.properties.end() && path->second.starts_with('/') ? path->second : "";
}

bool ShouldBeMounted(const DatasetState& dataset) {
  return dataset.type == "filesystem" && dataset.Value("canmount") == "on" &&
         dataset.Value("mountpoint").starts_with('/');
}

// How a property stands: as captured, as wanted, or as neither.
enum class Stand { kCaptured, kWanted, kOther };

Stand StandOf(const DatasetState& dataset, const std::string& property, const std::string& wanted,
              const json& captured) {
  const bool as_captured = CaptureProperty(dataset, property) == captured;
  // Before ZFS 2.3 `on`, which `sa` takes the place of then, is another value.
  if (property == "xattr" && as_captured && dataset.Value(property) != wanted) return Stand::kCaptured;
  if (dataset.properties.count(property) != 0 && dataset.properties.find(property)->second.local() &&
      SameValue(property, dataset.Value(property), wanted)) {
    return Stand::kWanted;
  }
  return as_captured ? Stand::kCaptured : Stand::kOther;
}

bool IsLimit(std::string_view property) {
  return property == "quota" || property == "refquota" || property == "reservation" ||
         property == "refreservation";
}

// Limits hold each other: a reservation goes back only once the quota above it did, whichever way each goes.
absl::Status PutBack(const Work& work, const SetPropertiesStep& step, const PropertyMap& local,
                     const std::vector<ZfsChange>& inherits) {
  const bool limits = std::any_of(step.properties.begin(), step.properties.end(),
                                  [](const auto& property) { return IsLimit(property.first); });
  const auto set = [&] {
    return local.empty() ? absl::OkStatus() : work.Change(SetProperties{step.name, local});
  };
  absl::Status first = set();
  if (!first.ok() && !limits) return first;
  std::vector<const ZfsChange*> refused;
  for (const auto& change : inherits) {
    const absl::Status inherited = work.Change(change);
    if (!inherited.ok() && !limits) return inherited;
    if (!inherited.ok()) refused.push_back(&change);
  }
  if (!first.ok()) PHX_RETURN_IF_ERROR(set());
  for (const ZfsChange* change : refused) PHX_RETURN_IF_ERROR(work.Change(*change));
  return absl::OkStatus();
}

// The datasets below that ZFS would mount at boot, too.
absl::Status MountWhatLiesBelow(const Work& work, const std::string& name) {
  ObserveRequest request;
  request.datasets = {name};
  request.recursive = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(request));
  for (const auto& [below, dataset] : seen.datasets) {
    if (below == name || !dataset.mounted_at.empty() || !ShouldBeMounted(dataset) || IsLocked(dataset))
      continue;
    PHX_RETURN_IF_ERROR(MountBack(work, below, dataset.Value("mountpoint")));
  }
  return absl::OkStatus();
}

// Over the datasets below that are mounted meanwhile it would hide them: they are unmounted first.
absl::Status MountUnder(const Work& work, const DatasetState& dataset, const std::string& path) {
  if (IsLocked(dataset)) return absl::OkStatus();
  ObserveRequest request;
  request.datasets = {dataset.name};
  request.recursive = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(request));
  absl::Status status;
  for (auto one = seen.datasets.rbegin(); one != seen.datasets.rend() && status.ok(); ++one) {
    const DatasetState& below = one->second;
    const bool hidden =
        below.mounted_at.starts_with(path + "/") && below.mounted_at == below.Value("mountpoint");
    if (hidden) status = work.Change(UnmountDataset{one->first});
  }
  if (status.ok()) status = MountUnlessLocked(work, dataset);
  const absl::Status rest = MountWhatLiesBelow(work, dataset.name);
  return status.ok() ? rest : status;
}

}  // namespace

absl::StatusOr<json> Capture(const Work& work, const SetPropertiesStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return NotFound("dataset {} is not there any more", step.name);
  json captured = {{"guid", dataset->guid}, {"properties", json::object()}};
  for (const auto& [name, value] : step.properties)
    captured["properties"][name] = CaptureProperty(*dataset, name);
  if (MovesMount(step)) {
    captured["mounted"] = dataset->mounted_at;
    PHX_ASSIGN_OR_RETURN(captured["directory"], CaptureDirectory(work, NewMountPoint(step)));
  }
  return captured;
}

std::vector<ZfsChange> ChangesOf(const SetPropertiesStep& step, const std::string&) {
  return {SetProperties{step.name, step.properties}};
}

absl::Status Do(const Work& work, const SetPropertiesStep& step) {
  PHX_RETURN_IF_ERROR(work.Change(SetProperties{step.name, step.properties}));
  if (!MovesMount(step)) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (dataset && dataset->mounted_at.empty() && ShouldBeMounted(*dataset))
    return work.Change(MountDataset{step.name});
  return absl::OkStatus();
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const SetPropertiesStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return ProbeResult{Is::kForeign, "the dataset is gone"};
  size_t wanted = 0, captured = 0;
  std::string differing;
  for (const auto& [name, value] : step.properties) {
    const json& before = work.captured.at("properties").at(name);
    switch (StandOf(*dataset, name, value, before)) {
      case Stand::kWanted:
        ++wanted;
        break;
      case Stand::kCaptured:
        ++captured;
        break;
      case Stand::kOther: {
        const auto now = dataset->properties.find(name);
        return ProbeResult{Is::kForeign,
                           fmt::format("{} is {} ({})", name, dataset->Value(name),
                                       now == dataset->properties.end() ? "-" : now->second.source)};
      }
    }
    if (differing.empty() && wanted == 0) differing = name;
  }
  const bool mounted_right = !MovesMount(step) || ShouldBeMounted(*dataset) == !dataset->mounted_at.empty();
  if (wanted == step.properties.size()) {
    return mounted_right ? ProbeResult{Is::kDone, ""}
                         : ProbeResult{Is::kPartial, "it is not mounted as it should be"};
  }
  // Where its key went with the machine's memory nobody can mount it.
  const bool mounted_back =
      !MovesMount(step) || dataset->mounted_at == work.captured.value("mounted", "") || IsLocked(*dataset);
  if (captured == step.properties.size() && mounted_back) {
    return MovesMount(step) ? ProbeDirectory(work, NewMountPoint(step)) : ProbeResult{Is::kNotDone, ""};
  }
  return ProbeResult{Is::kPartial, fmt::format("{} is not set yet", differing)};
}

absl::Status Undo(const Work& work, const SetPropertiesStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset || dataset->guid != work.captured.at("guid").get<uint64_t>()) {
    return ForeignChange(step.name, "the dataset is gone or another one");
  }
  PropertyMap local;
  std::vector<ZfsChange> inherits;
  // All are looked at before one is touched: an object is put back as a whole or left as a whole.
  for (const auto& [name, value] : step.properties) {
    const json& before = work.captured.at("properties").at(name);
    const Stand stand = StandOf(*dataset, name, value, before);
    if (stand == Stand::kCaptured) continue;
    if (stand == Stand::kOther) {
      return ForeignChange(step.name,
                           fmt::format("{} is {}, this run set {}", name, dataset->Value(name), value));
    }
    ZfsChange restore = RestoreProperty(step.name, name, before);
    if (const auto* set = std::get_if<SetProperties>(&restore)) {
      local.insert(set->properties.begin(), set->properties.end());
    } else {
      inherits.push_back(std::move(restore));
    }
  }
  PHX_RETURN_IF_ERROR(PutBack(work, step, local, inherits));
  if (!MovesMount(step)) return absl::OkStatus();
  const std::string mounted = work.captured.value("mounted", "");
  PHX_ASSIGN_OR_RETURN(const auto now, work.Dataset(step.name));
  const bool hides = step.properties.count("canmount") != 0 && !mounted.empty();
  if (now && now->mounted_at.empty() && !mounted.empty())
    PHX_RETURN_IF_ERROR(hides ? MountUnder(work, *now, mounted) : MountUnlessLocked(work, *now));
  // An undo that was cut off had unmounted them.
  if (now && !now->mounted_at.empty() && hides) PHX_RETURN_IF_ERROR(MountWhatLiesBelow(work, step.name));
  if (now && !now->mounted_at.empty() && mounted.empty())
    PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{step.name}));
  return RestoreDirectory(work, NewMountPoint(step), work.captured.value("directory", json()));
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const SetPropertiesStep& step) {
  kit::LedgerEntry entry{.key = "dataset:" + step.name,
                         .identity = std::to_string(work.captured.at("guid").get<uint64_t>()),
                         .created = step.created};
  entry.fields = json({{"properties", step.properties}}).dump();
  return kit::LedgerChange{{entry}, {}};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const SetPropertiesStep& step) {
  std::vector<ZfsChange> changes;
  if (!work.captured.contains("properties")) return changes;
  for (const auto& [name, before] : work.captured["properties"].items()) {
    changes.push_back(RestoreProperty(step.name, name, before));
  }
  return changes;
}

// Mounting.

absl::StatusOr<json> Capture(const Work& work, const MountStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return NotFound("dataset {} is not there any more", step.name);
  json captured = {{"mounted", dataset->mounted_at}};
  if (!dataset->mounted_at.empty()) return captured;
  PHX_ASSIGN_OR_RETURN(captured["directory"], CaptureDirectory(work, step.mountpoint));
  return captured;
}

std::vector<ZfsChange> ChangesOf(const MountStep& step, const std::string&) {
  return {MountDataset{step.name}};
}

absl::Status Do(const Work& work, const MountStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (dataset && dataset->mounted_at == step.mountpoint) return absl::OkStatus();
  return work.Change(MountDataset{step.name});
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const MountStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset) return ProbeResult{Is::kForeign, "the dataset is gone"};
  if (dataset->mounted_at == step.mountpoint) return ProbeResult{Is::kDone, ""};
  if (dataset->mounted_at == work.captured.value("mounted", "")) return ProbeDirectory(work, step.mountpoint);
  return ProbeResult{Is::kForeign, "it is mounted at " + dataset->mounted_at};
}

absl::Status Undo(const Work& work, const MountStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (dataset && dataset->mounted_at == step.mountpoint &&
      work.captured.value("mounted", "") != step.mountpoint) {
    PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{step.name}));
  }
  return RestoreDirectory(work, step.mountpoint, work.captured.value("directory", json()));
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const MountStep&) { return kit::LedgerChange{}; }

std::vector<ZfsChange> UndoChanges(const Work&, const MountStep& step) { return {UnmountDataset{step.name}}; }

// Owner, group, mode and ACL of a mount root.

namespace {

// Without an ACL where none is declared: then it is left alone.
SetMountRoot Before(const Work& work, const SetMountRootStep& step) {
  const json& was = work.captured;
  SetMountRoot before{step.name, step.mountpoint, {was.at("uid"), was.at("gid"), was.at("mode")}};
  if (was.contains("acl")) before.acl = was["acl"].get<Acl>();
  return before;
}

// The inode's own ACL, or its default one.
Acl PartOf(const Acl& acl, bool inherited) {
  Acl part;
  std::copy_if(acl.begin(), acl.end(), std::back_inserter(part),
               [&](const std::string& entry) { return entry.starts_with("default:") == inherited; });
  return part;
}

// What a step, or its undo, that was cut off may have left: first chown, which may take setuid and setgid
// away, then the two lists one after the other, of which the first brings the rights of the mode, then chmod.
bool IsBetween(const SetMountRoot& before, const SetMountRoot& wanted, const DatasetState& dataset) {
  const DirectoryState &was = before.root, &wish = wanted.root, &now = *dataset.root;
  if (now.uid != wish.uid && now.uid != was.uid) return false;
  if (now.gid != wish.gid && now.gid != was.gid) return false;
  std::set<uint32_t> modes = {was.mode, wish.mode, was.mode & 01777U, wish.mode & 01777U};
  if (wanted.acl) {
    for (const uint32_t kept : {07000U, 01000U}) {
      modes.insert((was.mode & kept) | (wish.mode & 0777U));
      modes.insert((wish.mode & kept) | (was.mode & 0777U));
    }
    for (const bool inherited : {false, true}) {
      const Acl part = PartOf(dataset.acl, inherited);
      if (part != PartOf(*wanted.acl, inherited) && part != PartOf(before.acl.value_or(Acl()), inherited))
        return false;
    }
  }
  return modes.count(now.mode) != 0;
}

}  // namespace

absl::StatusOr<json> Capture(const Work& work, const SetMountRootStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset || !dataset->root || dataset->mounted_at != step.mountpoint) {
    return FailedPrecondition("{} is not mounted at {}", step.name, step.mountpoint);
  }
  json captured = {{"guid", dataset->guid},
                   {"uid", dataset->root->uid},
                   {"gid", dataset->root->gid},
                   {"mode", dataset->root->mode}};
  if (step.root.acl) captured["acl"] = dataset->acl;
  return captured;
}

std::vector<ZfsChange> ChangesOf(const SetMountRootStep&, const std::string&) { return {}; }

absl::Status Do(const Work& work, const SetMountRootStep& step) {
  PHX_ASSIGN_OR_RETURN(const SetMountRoot change,
                       RootChange(work, step.name, step.mountpoint, step.root, Before(work, step).root));
  return work.Change(change);
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const SetMountRootStep& step) {
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(step.name));
  if (!dataset || !dataset->root || dataset->mounted_at != step.mountpoint) {
    std::string found = "it is not mounted at " + step.mountpoint;
    if (dataset && IsLocked(*dataset)) found += ": " + HowToUnlock(*dataset);
    return ProbeResult{Is::kForeign, std::move(found)};
  }
  const SetMountRoot before = Before(work, step);
  if (IsDone(before, *dataset)) return ProbeResult{Is::kNotDone, ""};
  const auto resolved = RootChange(work, step.name, step.mountpoint, step.root, before.root);
  // A name that another participant has not made yet, or has taken away again: then nothing of ours can be
  // there.
  const SetMountRoot wanted = resolved.ok() ? *resolved : before;
  if (IsDone(wanted, *dataset)) return ProbeResult{Is::kDone, ""};
  const DirectoryState& now = *dataset->root;
  std::string found = fmt::format("it is {}:{} {:o}", now.uid, now.gid, now.mode);
  if (wanted.acl && !dataset->acl.empty())
    found += fmt::format(" with the ACL {}", fmt::join(dataset->acl, ","));
  const bool ours = IsBetween(before, wanted, *dataset);
  return ProbeResult{ours ? Is::kPartial : Is::kForeign, found};
}

absl::Status Undo(const Work& work, const SetMountRootStep& step) {
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, Probe(work, step));
  if (probe.probe == Is::kNotDone) return absl::OkStatus();
  if (probe.probe == Is::kForeign) return ForeignChange(step.mountpoint, probe.found);
  return work.Change(Before(work, step));
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const SetMountRootStep& step) {
  kit::LedgerEntry entry{.key = "dataset:" + step.name,
                         .identity = std::to_string(work.captured.at("guid").get<uint64_t>()),
                         .created = step.created};
  entry.fields = RootJson(step.root).dump();
  return kit::LedgerChange{{entry}, {}};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const SetMountRootStep& step) {
  if (!work.captured.contains("uid")) return {};
  return {Before(work, step)};
}

}  // namespace phoenix::zfs
