#include "services/zfs/worker/zfs_content_look.h"

#include <fmt/format.h>

#include <utility>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {

using nlohmann::json;

namespace {

absl::StatusOr<uint64_t> WrittenSince(const Work& work, const std::string& snapshot) {
  ObserveRequest since;
  since.written_since = {snapshot};
  PHX_ASSIGN_OR_RETURN(const ZfsState counted, work.host.Observe(since));
  const auto written = counted.written_since.find(snapshot);
  if (written == counted.written_since.end())
    return Internal("what was written since {} cannot be read", snapshot);
  return written->second;
}

}  // namespace

absl::StatusOr<ContentSeen> LookAtContent(const Work& work, const std::string& name) {
  const std::string before = ContentSnapshotOf(name, work.run_id), given = GivenSnapshotOf(name, work.run_id);
  ObserveRequest request;
  request.datasets = {name};
  request.snapshots = request.holds = true;
  PHX_ASSIGN_OR_RETURN(ZfsState state, work.host.Observe(request));
  ContentSeen seen;
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
  PHX_ASSIGN_OR_RETURN(seen.written, WrittenSince(work, before));
  return seen;
}

absl::StatusOr<std::vector<DeliveredFile>> FilesOf(const Work& work, const ChangeContentStep& step) {
  std::vector<DeliveredFile> files;
  for (const FileSpec& file : step.files) {
    PHX_ASSIGN_OR_RETURN(const DirectoryState as, ResolveRoot(work, {file.owner, file.group, file.mode}, {}));
    files.push_back({file.path, {file.content, as.uid, as.gid, as.mode}});
  }
  return files;
}

absl::StatusOr<FilesSeen> LookAtFiles(const Work& work, const ChangeContentStep& step) {
  if (step.files.empty()) return FilesSeen();
  ObserveRequest request;
  request.datasets = {step.name};
  for (const FileSpec& file : step.files) request.files[step.name].push_back(file.path);
  PHX_ASSIGN_OR_RETURN(ZfsState state, work.host.Observe(request));
  const auto found = state.files.find(step.name);
  if (found == state.files.end()) return FailedPrecondition("{} is not mounted", step.name);
  return std::move(found->second);
}

json FilesJson(const FilesSeen& files) {
  json captured = json::object();
  for (const auto& [path, file] : files) {
    captured[path] = !file.obstacle.empty() ? json(file.obstacle)
                     : !file.there          ? json()
                                            : json{{"digest", file.digest},
                                                   {"size", file.size_bytes},
                                                   {"uid", file.uid},
                                                   {"gid", file.gid},
                                                   {"mode", file.mode}};
  }
  return captured;
}

absl::StatusOr<std::string> FirstOther(const Work& work, const ChangeContentStep& step) {
  PHX_ASSIGN_OR_RETURN(const FilesSeen seen, LookAtFiles(work, step));
  const auto wanted = FilesOf(work, step);
  if (!wanted.ok()) return std::string();
  for (const auto& [path, file] : *wanted) {
    const auto found = seen.find(path);
    const FileSeen right{true, file.content.size(), Sha256Hex(file.content), file.uid, file.gid, file.mode,
                         ""};
    if (found == seen.end() || found->second != right) return path;
  }
  return std::string();
}

namespace {

// What others wrote since the step was done, in words; "" for nothing.
absl::StatusOr<std::string> WrittenByOthers(const Work& work, const ChangeContentStep& step,
                                            const std::string& given) {
  PHX_ASSIGN_OR_RETURN(const uint64_t written, WrittenSince(work, given));
  if (written <= kOwnWrites) return std::string();
  if (!step.created) return std::string("something was written to it since");
  // Folders and access times are nothing that a rollback would cost; what is a file is proven once nobody can
  // reach it any more.
  ObserveRequest look;
  look.datasets = {step.name};
  look.first_files = {step.mountpoint};
  for (const FileSpec& file : step.files) look.ours.insert(fmt::format("{}/{}", step.mountpoint, file.path));
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(look));
  if (seen.first_files.empty()) return std::string();
  return fmt::format("it holds {}", seen.first_files.begin()->second);
}

}  // namespace

absl::StatusOr<std::string> NewerThan(const Work& work, const ChangeContentStep& step,
                                      const SnapshotState& given) {
  const std::string name = DatasetOf(given.name);
  PHX_ASSIGN_OR_RETURN(std::string written, WrittenByOthers(work, step, given.name));
  if (!written.empty()) return written;
  ObserveRequest snapshots;
  snapshots.datasets = {name};
  snapshots.snapshots = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(snapshots));
  for (const auto& [other, snapshot] : seen.snapshots) {
    if (DatasetOf(other) != name || RunOfCheckpoint(other) == work.run_id) continue;
    if (snapshot.creation_seconds >= given.creation_seconds)
      return fmt::format("snapshot {} was taken since, and a rollback would cost it", other);
  }
  return std::string();
}

bool IsSame(const Work& work, const ChangeContentStep& step, const std::optional<DatasetState>& dataset) {
  if (!dataset) return false;
  return step.created ? dataset->LocalValue(kRunMark) == work.run_id
                      : dataset->guid == work.captured.at("guid").get<uint64_t>();
}

}  // namespace phoenix::zfs
