#include "services/zfs/worker/zfs_work.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

bool IsMountable(const DatasetState& dataset) {
  return dataset.type == "filesystem" && dataset.Value("canmount") != "off" &&
         dataset.Value("mountpoint").starts_with('/');
}

}  // namespace

absl::StatusOr<std::optional<DatasetState>> Work::Dataset(const std::string& name) const {
  ObserveRequest request;
  request.datasets = {name};
  PHX_ASSIGN_OR_RETURN(ZfsState state, host.Observe(request));
  const auto found = state.datasets.find(name);
  if (found == state.datasets.end()) return std::optional<DatasetState>();
  return std::optional(std::move(found->second));
}

absl::StatusOr<PathState> Work::Path(const std::string& path) const {
  ObserveRequest request;
  request.paths = {path};
  PHX_ASSIGN_OR_RETURN(ZfsState state, host.Observe(request));
  return state.paths[path];
}

absl::Status MountBack(const Work& work, const std::string& name, const std::string& mountpoint) {
  PHX_ASSIGN_OR_RETURN(auto dataset, work.Dataset(name));
  if (dataset && dataset->mounted_at == mountpoint) return absl::OkStatus();
  // Its content is as it shall be; the key went with the machine's memory, and the next setup mounts it.
  if (dataset && IsLocked(*dataset)) return absl::OkStatus();
  const absl::Status told = work.Change(MountDataset{name});
  // What the host's first process sees counts.
  PHX_ASSIGN_OR_RETURN(dataset, work.Dataset(name));
  if (dataset && dataset->mounted_at == mountpoint) return absl::OkStatus();
  return told.ok() ? Internal("{} is not mounted at {} although zfs said so", name, mountpoint) : told;
}

absl::StatusOr<json> CaptureDirectory(const Work& work, const std::string& mountpoint) {
  if (mountpoint.empty()) return json();
  PHX_ASSIGN_OR_RETURN(const PathState path, work.Path(mountpoint));
  if (!path.directory) return json();
  return json{{"uid", path.directory->uid}, {"gid", path.directory->gid}, {"mode", path.directory->mode}};
}

absl::Status RestoreDirectory(const Work& work, const std::string& mountpoint, const json& captured) {
  if (mountpoint.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const PathState path, work.Path(mountpoint));
  if (path.mount_point) return absl::OkStatus();
  if (captured.is_null()) {
    // Entries in it are somebody else's: then it is no longer only the directory that mounting made.
    if (!path.directory || !path.entries.empty()) return absl::OkStatus();
    return work.Change(RemoveDirectory{mountpoint});
  }
  if (path.directory) return absl::OkStatus();
  return work.Change(
      MakeDirectory{mountpoint, {captured.at("uid"), captured.at("gid"), captured.at("mode")}});
}

absl::StatusOr<kit::ProbeResult> ProbeDirectory(const Work& work, const std::string& mountpoint) {
  constexpr kit::Probe kAsCaptured = kit::Probe::kNotDone;
  if (mountpoint.empty() || !work.captured.contains("directory")) return kit::ProbeResult{kAsCaptured, ""};
  PHX_ASSIGN_OR_RETURN(const PathState path, work.Path(mountpoint));
  if (path.mount_point) return kit::ProbeResult{kAsCaptured, ""};
  const bool was_there = !work.captured["directory"].is_null();
  // With entries it is somebody else's.
  if (was_there == path.directory.has_value() || !path.entries.empty())
    return kit::ProbeResult{kAsCaptured, ""};
  return kit::ProbeResult{kit::Probe::kPartial, fmt::format("the directory {} is {}", mountpoint,
                                                            was_there ? "gone" : "still there")};
}

absl::StatusOr<SetMountRoot> RootChange(const Work& work, const std::string& name,
                                        const std::string& mountpoint, const RootWish& wish,
                                        const DirectoryState& now) {
  ObserveRequest request;
  if (!wish.owner.empty()) request.users = {wish.owner};
  if (!wish.group.empty()) request.groups = {wish.group};
  for (const auto& [user, who] : NamesOf(wish.acl)) (user ? request.users : request.groups).push_back(who);
  PHX_ASSIGN_OR_RETURN(const ZfsState state, work.host.Observe(request));
  SetMountRoot change{name, mountpoint, now};
  if (!wish.owner.empty()) {
    const auto id = IdOf(wish.owner, state.users);
    if (!id) return NotFound("user {} is not there", wish.owner);
    change.root.uid = *id;
  }
  if (!wish.group.empty()) {
    const auto id = IdOf(wish.group, state.groups);
    if (!id) return NotFound("group {} is not there", wish.group);
    change.root.gid = *id;
  }
  if (!wish.mode.empty()) change.root.mode = ModeOf(wish.mode);
  if (!wish.acl) return change;
  PHX_ASSIGN_OR_RETURN(change.acl, CompleteAcl(*wish.acl, change.root.mode, state.users, state.groups));
  return change;
}

absl::StatusOr<DirectoryState> ResolveRoot(const Work& work, const RootWish& wish,
                                           const DirectoryState& now) {
  PHX_ASSIGN_OR_RETURN(const SetMountRoot change, RootChange(work, "", "", wish, now));
  return change.root;
}

bool IsDone(const SetMountRoot& change, const DatasetState& dataset) {
  return dataset.root == change.root && (!change.acl || *change.acl == dataset.acl);
}

absl::Status EnsureContainer(const Work& work, const std::string& container) {
  std::vector<std::string> chain;
  for (std::string name = container; !ParentOf(name).empty(); name = ParentOf(name)) chain.push_back(name);
  ObserveRequest request;
  request.datasets = chain;
  PHX_ASSIGN_OR_RETURN(const ZfsState state, work.host.Observe(request));
  for (auto name = chain.rbegin(); name != chain.rend(); ++name) {
    if (state.datasets.count(*name) != 0) continue;
    PHX_RETURN_IF_ERROR(work.Change(CreateDataset{*name, 0, {{"canmount", "off"}, {"mountpoint", "none"}}}));
  }
  return absl::OkStatus();
}

absl::Status DropEmptyContainers(ZfsHost& host, const std::string& container, const ChildObserver& on_child) {
  ObserveRequest request;
  request.datasets = {PoolOf(container) + "/.phoenix"};
  request.recursive = true;
  PHX_ASSIGN_OR_RETURN(ZfsState state, host.Observe(request));
  for (std::string name = container; !ParentOf(name).empty(); name = ParentOf(name)) {
    if (state.datasets.count(name) == 0) continue;
    const bool holds = std::any_of(state.datasets.begin(), state.datasets.end(), [&](const auto& other) {
      return other.first != name && IsBelow(other.first, name);
    });
    if (holds) return absl::OkStatus();
    PHX_RETURN_IF_ERROR(host.Change(DestroyDataset{name}, on_child));
    state.datasets.erase(name);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ProveEmpty(const Work& work, const std::string& name) {
  const auto look = [&]() -> absl::StatusOr<ZfsState> {
    // `written` counts what has reached a transaction group only.
    PHX_RETURN_IF_ERROR(work.Change(SyncPool{PoolOf(name)}));
    ObserveRequest request;
    request.datasets = {name};
    request.recursive = true;
    request.snapshots = true;
    return work.host.Observe(request);
  };
  PHX_ASSIGN_OR_RETURN(ZfsState before, look());
  auto found = before.datasets.find(name);
  if (found == before.datasets.end()) return std::string();
  for (const auto& [other, dataset] : before.datasets) {
    if (other != name) return fmt::format("it holds dataset {}", other);
  }
  for (const auto& [snapshot, state] : before.snapshots) return fmt::format("it has snapshot {}", snapshot);
  const std::string mark = found->second.LocalValue(kWrittenMark);
  if (found->second.mounted_at.empty()) {
    if (!mark.empty()) {
      return mark == found->second.Value("written") ? "" : "something was written to it";
    }
    // An undo that was cut off after its unmount comes here again: only a mounted file system can be looked
    // into.
    if (IsLocked(found->second))
      return "what was written to it cannot be told: " + HowToUnlock(found->second);
    if (!IsMountable(found->second)) return std::string("what was written to it cannot be told");
    PHX_RETURN_IF_ERROR(work.Change(MountDataset{name}));
    PHX_ASSIGN_OR_RETURN(before, look());
    found = before.datasets.find(name);
    if (found == before.datasets.end() || found->second.mounted_at.empty()) {
      return std::string("it cannot be mounted to be looked into");
    }
  }
  ObserveRequest files;
  files.first_files = {found->second.mounted_at};
  PHX_ASSIGN_OR_RETURN(const ZfsState content, work.host.Observe(files));
  if (!content.first_files.empty()) return fmt::format("it holds {}", content.first_files.begin()->second);
  PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{name}));
  PHX_ASSIGN_OR_RETURN(const ZfsState after, look());
  const auto still = after.datasets.find(name);
  if (still == after.datasets.end()) return std::string();
  // Somebody wrote between the look and the unmount.
  if (still->second.Value("written") != found->second.Value("written") ||
      after.snapshots.size() != before.snapshots.size()) {
    return std::string("something was written to it just now");
  }
  return std::string();
}

absl::StatusOr<std::string> FindOthersIn(const Work& work, const std::string& name) {
  ObserveRequest request;
  request.datasets = {name};
  request.recursive = true;
  request.snapshots = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(request));
  const auto found = seen.datasets.find(name);
  if (found == seen.datasets.end()) return std::string();
  for (const auto& [other, dataset] : seen.datasets) {
    if (other == name || dataset.LocalValue(kRunMark) == work.run_id || IsContainer(other)) continue;
    return fmt::format("it holds dataset {}", other);
  }
  bool given = false;
  for (const auto& [snapshot, state] : seen.snapshots) {
    const bool ours = state.run == work.run_id && RunOfCheckpoint(snapshot) == work.run_id;
    if (ours && snapshot == GivenSnapshotOf(name, work.run_id)) given = true;
    if (DatasetOf(snapshot) == name && !ours) return fmt::format("it has snapshot {}", snapshot);
  }
  // What is in it was delivered by another step of the run, which tells what came later.
  if (given) return std::string();
  if (found->second.mounted_at.empty()) {
    const std::string mark = found->second.LocalValue(kWrittenMark);
    if (!mark.empty() && mark != found->second.Value("written"))
      return std::string("something was written to it");
    return std::string();
  }
  ObserveRequest files;
  files.first_files = {found->second.mounted_at};
  PHX_ASSIGN_OR_RETURN(const ZfsState content, work.host.Observe(files));
  if (content.first_files.empty()) return std::string();
  return fmt::format("it holds {}", content.first_files.begin()->second);
}

absl::Status SetAside(const Work& work, const std::string& name, const std::string& why) {
  const std::string container = KeptOf(name, work.run_id);
  const std::string kept = AsideName(container, name);
  const absl::MutexLock lock(&work.containers);
  PHX_ASSIGN_OR_RETURN(const auto dataset, work.Dataset(name));
  if (!dataset) return absl::OkStatus();
  if (IsBound(*dataset)) {
    // ZFS would refuse the last step of it.
    return FailedPrecondition("{} is encrypted with the key of {} and cannot leave that", name,
                              dataset->Value("encryptionroot"));
  }
  if (!dataset->mounted_at.empty()) PHX_RETURN_IF_ERROR(work.Change(UnmountDataset{name}));
  PHX_RETURN_IF_ERROR(EnsureContainer(work, container));
  // Written down with the change itself, and only once: an undo that was cut off comes here again.
  PropertyMap marks;
  const bool filesystem = dataset->type == "filesystem";
  if (dataset->LocalValue(kKeptMark).empty()) {
    marks.emplace(kKeptMark, name);
    const std::string canmount = dataset->LocalValue("canmount");
    if (filesystem) marks.emplace(kCanmountMark, canmount.empty() ? kNotSet : std::string_view(canmount));
  }
  // Its own mount point would bring it back at the next boot.
  if (filesystem) marks.emplace("canmount", "noauto");
  if (!marks.empty()) PHX_RETURN_IF_ERROR(work.Change(SetProperties{name, marks}));
  PHX_RETURN_IF_ERROR(work.Change(RenameDataset{name, kept, !filesystem, true}));
  spdlog::warn(
      "{} was created by run {} and is not destroyed with it: {}. It is kept as {}; "
      "`phoenix kept` gives it back or destroys it",
      name, work.run_id, why, kept);
  return absl::OkStatus();
}

std::string ComparedValue(const DatasetState& dataset, std::string_view property) {
  const PropertyRule* rule = FindProperty(property);
  const bool anywhere = rule != nullptr && rule->create_only;
  return anywhere ? dataset.Value(property) : dataset.LocalValue(property);
}

json CaptureProperty(const DatasetState& dataset, const std::string& property) {
  const auto found = dataset.properties.find(property);
  if (found == dataset.properties.end()) return {{"source", "inherited"}, {"received", "-"}};
  const PropertyState& state = found->second;
  json captured = {{"received", state.received}};
  if (state.local()) {
    captured["source"] = "local";
    captured["value"] = state.value;
  } else {
    captured["source"] = state.source == "received" ? "received" : "inherited";
  }
  return captured;
}

ZfsChange RestoreProperty(const std::string& dataset, const std::string& property, const json& captured) {
  const std::string source = captured.at("source");
  if (source == "local") return SetProperties{dataset, {{property, captured.at("value").get<std::string>()}}};
  // What cannot be inherited goes back to its default by -S, too.
  return InheritProperty{dataset, property, source == "received" || !IsInheritable(property)};
}

absl::Status ForeignChange(std::string_view object, std::string_view found) {
  return WithReason(FailedPrecondition("{} was changed by somebody else: {}", object, found),
                    {"FOREIGN_CHANGE", {{"object", std::string(object)}}});
}

}  // namespace phoenix::zfs
