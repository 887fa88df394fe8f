// Keys of encryption roots.
#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

// The root and what is mounted with it; those that are not there are not in it.
absl::StatusOr<ZfsState> Look(const Work& work, const LoadKeyStep& step) {
  ObserveRequest request;
  request.datasets = {step.name};
  for (const auto& mount : step.mounts) {
    if (mount.name != step.name) request.datasets.push_back(mount.name);
  }
  return work.host.Observe(request);
}

std::string MountedAt(const ZfsState& seen, const std::string& name) {
  const auto dataset = seen.datasets.find(name);
  return dataset == seen.datasets.end() ? "" : dataset->second.mounted_at;
}

// "" for the encryption root that is meant.
std::string WhyAnother(const LoadKeyStep& step, const ZfsState& seen) {
  const auto root = seen.datasets.find(step.name);
  if (root == seen.datasets.end()) return "it is not there";
  if (step.guid != 0 && root->second.guid != step.guid) return "it is another dataset of that name";
  if (root->second.Value("encryptionroot") != step.name) return "it is no encryption root";
  return "";
}

// With the places as they are: of a pool that comes with the same run only what was declared was known.
LoadKeyStep AsSeen(LoadKeyStep step, const ZfsState& seen) {
  for (auto& mount : step.mounts) {
    const auto dataset = seen.datasets.find(mount.name);
    if (dataset == seen.datasets.end()) continue;
    const std::string at = dataset->second.Value("mountpoint");
    if (at.starts_with('/')) mount.at = at;
  }
  SortForMounting(step.mounts);
  return step;
}

// What cannot be mounted is left to the next plan.
bool IsToBeMounted(const ZfsState& seen, const std::string& name) {
  const auto found = seen.datasets.find(name);
  if (found == seen.datasets.end()) return false;
  const DatasetState& dataset = found->second;
  return dataset.mounted_at.empty() && !IsLocked(dataset) && dataset.Value("canmount") == "on" &&
         dataset.Value("mountpoint").starts_with('/');
}

// It was declared, and the pool that came with the same run does not hold it: the next plan says so.
bool HasNothing(const Work& work) { return work.captured.contains("nothing"); }

// A directory that a mount of this step covers is part of what was locked until then.
bool IsWithin(const LoadKeyStep& step, const std::string& at) {
  return std::any_of(step.mounts.begin(), step.mounts.end(),
                     [&](const auto& other) { return other.at != at && IsBelow(at, other.at); });
}

}  // namespace

absl::Status MountUnlessLocked(const Work& work, const DatasetState& dataset) {
  return IsLocked(dataset) ? absl::OkStatus() : work.Change(MountDataset{dataset.name});
}

absl::StatusOr<Secret> KeyOf(const Work& work, const KeyWish& wish) {
  const std::string& name = wish.encryption.secret;
  if (work.secrets == nullptr || work.secrets->count(name) == 0)
    return FailedPrecondition("the secret '{}' is not at hand any more", name);
  Secret key = work.secrets->find(name)->second;
  if (MacOfKey(work.node_key, key) != wish.mac)
    return Aborted("the secret '{}' is not the one that was planned with", name);
  return key;
}

absl::StatusOr<std::optional<NewKey>> NewKeyOf(const Work& work, const std::optional<KeyWish>& wish) {
  if (!wish) return std::optional<NewKey>();
  PHX_ASSIGN_OR_RETURN(Secret key, KeyOf(work, *wish));
  return std::optional(NewKey{wish->encryption.algorithm, wish->encryption.format, std::move(key)});
}

Secret NoKey() { return Secret("-"); }

std::optional<NewKey> ShownKey(const std::optional<KeyWish>& wish) {
  if (!wish) return std::nullopt;
  return NewKey{wish->encryption.algorithm, wish->encryption.format, NoKey()};
}

absl::StatusOr<json> Capture(const Work& work, const LoadKeyStep& planned) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, Look(work, planned));
  const LoadKeyStep step = AsSeen(planned, seen);
  const auto root = seen.datasets.find(step.name);
  if (const std::string why = WhyAnother(step, seen); step.guid == 0 && !why.empty())
    return json{{"nothing", why}};
  if (root == seen.datasets.end()) return NotFound("{} is not there any more", step.name);
  json captured = {{"guid", root->second.guid},
                   {"loaded", !IsLocked(root->second)},
                   {"directories", json::object()},
                   {"mounted", json::object()}};
  for (const auto& mount : step.mounts) {
    if (seen.datasets.count(mount.name) == 0) continue;
    captured["mounted"][mount.name] = MountedAt(seen, mount.name);
    if (IsWithin(step, mount.at)) continue;
    PHX_ASSIGN_OR_RETURN(captured["directories"][mount.at], CaptureDirectory(work, mount.at));
  }
  return captured;
}

std::vector<ZfsChange> ChangesOf(const LoadKeyStep& step, const std::string&) {
  std::vector<ZfsChange> changes = {LoadKey{step.name, step.key.encryption.format, NoKey()}};
  for (const auto& mount : step.mounts) changes.push_back(MountDataset{mount.name});
  return changes;
}

absl::Status Do(const Work& work, const LoadKeyStep& step) {
  if (HasNothing(work)) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(ZfsState seen, Look(work, step));
  if (const std::string why = WhyAnother(step, seen); !why.empty()) return ForeignChange(step.name, why);
  if (IsLocked(seen.datasets.find(step.name)->second)) {
    PHX_ASSIGN_OR_RETURN(Secret key, KeyOf(work, step.key));
    const absl::Status told = work.Change(LoadKey{step.name, step.key.encryption.format, std::move(key)});
    PHX_ASSIGN_OR_RETURN(seen, Look(work, step));
    if (!WhyAnother(step, seen).empty() || IsLocked(seen.datasets.find(step.name)->second)) {
      if (told.ok()) return Internal("the key of {} is not loaded although zfs said so", step.name);
      return Annotate(told,
                      fmt::format("the secret '{}' does not open {}", step.key.encryption.secret, step.name));
    }
  }
  for (const auto& mount : AsSeen(step, seen).mounts) {
    if (IsToBeMounted(seen, mount.name)) PHX_RETURN_IF_ERROR(MountBack(work, mount.name, mount.at));
  }
  return absl::OkStatus();
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const LoadKeyStep& step) {
  if (HasNothing(work)) return ProbeResult{work.undoing ? Is::kNotDone : Is::kDone, ""};
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, Look(work, step));
  if (std::string why = WhyAnother(step, seen); !why.empty())
    return ProbeResult{Is::kForeign, std::move(why)};
  const json mounted = work.captured.value("mounted", json::object());
  std::string missing, changed;
  for (const auto& mount : step.mounts) {
    // One that was declared and is not there is not this step's to make.
    if (seen.datasets.count(mount.name) == 0 || !mounted.contains(mount.name)) continue;
    const std::string now = MountedAt(seen, mount.name);
    if (IsToBeMounted(seen, mount.name)) missing = mount.name;
    if (now != mounted.value(mount.name, "")) changed = mount.name;
  }
  if (IsLocked(seen.datasets.find(step.name)->second)) {
    if (work.captured.value("loaded", false)) return ProbeResult{Is::kForeign, "its key was unloaded"};
    const json directories = work.captured.value("directories", json::object());
    for (const auto& [at, directory] : directories.items()) {
      Work one = work;
      one.captured = {{"directory", directory}};
      PHX_ASSIGN_OR_RETURN(ProbeResult found, ProbeDirectory(one, at));
      if (found.probe != Is::kNotDone) return found;
    }
    return ProbeResult{Is::kNotDone, ""};
  }
  if (missing.empty()) return ProbeResult{Is::kDone, ""};
  if (work.captured.value("loaded", false) && changed.empty()) return ProbeResult{Is::kNotDone, ""};
  return ProbeResult{Is::kPartial, missing + " is not mounted"};
}

absl::Status Undo(const Work& work, const LoadKeyStep& planned) {
  if (HasNothing(work)) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, Look(work, planned));
  const LoadKeyStep step = AsSeen(planned, seen);
  if (const std::string why = WhyAnother(step, seen); !why.empty()) return ForeignChange(step.name, why);
  const json mounted = work.captured.value("mounted", json::object());
  for (auto mount = step.mounts.rbegin(); mount != step.mounts.rend(); ++mount) {
    if (mounted.value(mount->name, "").empty() && !MountedAt(seen, mount->name).empty())
      PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{mount->name}));
  }
  // What others mounted with it meanwhile keeps the key in use, and ZFS refuses.
  if (!work.captured.value("loaded", false) && !IsLocked(seen.datasets.find(step.name)->second))
    PHX_RETURN_IF_ERROR(work.Change(UnloadKey{step.name}));
  const json directories = work.captured.value("directories", json::object());
  for (auto mount = step.mounts.rbegin(); mount != step.mounts.rend(); ++mount) {
    if (directories.contains(mount->at))
      PHX_RETURN_IF_ERROR(RestoreDirectory(work, mount->at, directories[mount->at]));
  }
  return absl::OkStatus();
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const LoadKeyStep&) { return kit::LedgerChange{}; }

absl::StatusOr<kit::Retrospect> LookBack(const Work& work, const LoadKeyStep& step) {
  if (!HasNothing(work)) return kit::Retrospect();
  return kit::Retrospect{kit::Retrospect::Kind::kStays, fmt::format("no key of {} was loaded: {}", step.name,
                                                                    work.captured.value("nothing", ""))};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const LoadKeyStep& step) {
  if (HasNothing(work)) return {};
  std::vector<ZfsChange> changes;
  for (auto mount = step.mounts.rbegin(); mount != step.mounts.rend(); ++mount)
    changes.push_back(UnmountDataset{mount->name});
  changes.push_back(UnloadKey{step.name});
  return changes;
}

}  // namespace phoenix::zfs
