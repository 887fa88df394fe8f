#include "services/zfs/host/zfs_sim_world.h"

#include <algorithm>
#include <set>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

constexpr char kDataset[] = "zfs.dataset";
constexpr char kSnapshot[] = "zfs.snapshot";
// As measured with blocks of 512 bytes: what the smallest write costs.
constexpr uint64_t kBlock = 13312;

json InodeJson(uint32_t uid, uint32_t gid, uint32_t mode) {
  return {{"uid", uid}, {"gid", gid}, {"mode", mode}};
}

}  // namespace

absl::StatusOr<bool> SimZfs::Exists(std::string_view name) {
  PHX_ASSIGN_OR_RETURN(const auto found, world_.Get(kDataset, name));
  return found.has_value();
}

absl::StatusOr<const json*> SimZfs::Cached(const std::string& name) {
  if (const auto known = cache_.find(name); known != cache_.end()) return &known->second;
  PHX_ASSIGN_OR_RETURN(auto found, world_.Get(kDataset, name));
  if (!found) return NotFound("cannot open '{}': dataset does not exist", name);
  return &cache_.emplace(name, *std::move(found)).first->second;
}

absl::StatusOr<json> SimZfs::Dataset(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const json* dataset, Cached(name));
  return *dataset;
}

absl::Status SimZfs::Put(const std::string& name, const json& dataset) {
  cache_.erase(name);
  return world_.Put(kDataset, name, dataset);
}

absl::Status SimZfs::Delete(const std::string& name) {
  cache_.erase(name);
  return world_.Delete(kDataset, name);
}

absl::StatusOr<std::vector<std::string>> SimZfs::Below(std::string_view name) {
  PHX_ASSIGN_OR_RETURN(const auto all, world_.List(kDataset));
  std::vector<std::string> names;
  for (const auto& [other, value] : all) {
    if (IsBelow(other, name)) names.push_back(other);
  }
  return names;
}

absl::StatusOr<bool> SimZfs::HasSnapshots(std::string_view name) {
  PHX_ASSIGN_OR_RETURN(const auto all, world_.List(kSnapshot));
  return std::any_of(all.begin(), all.end(), [&](const auto& one) { return DatasetOf(one.first) == name; });
}

absl::StatusOr<std::optional<SimZfs::Effective>> SimZfs::Resolve(const std::string& name,
                                                                 const std::string& property) {
  PHX_ASSIGN_OR_RETURN(const json* cached, Cached(name));
  const json& dataset = *cached;
  if (dataset["local"].contains(property)) {
    return std::optional(Effective{dataset["local"][property].get<std::string>(), "local"});
  }
  const bool masked = dataset.contains("masked") && dataset["masked"].contains(property);
  if (dataset["received"].contains(property) && !masked) {
    return std::optional(Effective{dataset["received"][property].get<std::string>(), "received"});
  }
  const std::string parent = ParentOf(name);
  const PropertyRule* rule = FindProperty(property);
  if (IsInheritable(property) && !parent.empty()) {
    PHX_ASSIGN_OR_RETURN(auto above, Resolve(parent, property));
    if (!above) return std::optional<Effective>();
    if (property == "mountpoint" && above->value.starts_with('/')) above->value += "/" + LastOf(name);
    if (above->source == "local" || above->source == "received") above->source = "inherited from " + parent;
    return above;
  }
  if (rule == nullptr) return std::optional<Effective>();
  if (property == "mountpoint") return std::optional(Effective{"/" + name, "default"});
  return std::optional(Effective{std::string(rule->standard), "default"});
}

absl::StatusOr<std::string> SimZfs::Value(const std::string& name, const std::string& property) {
  PHX_ASSIGN_OR_RETURN(const auto effective, Resolve(name, property));
  return effective ? effective->value : "";
}

absl::StatusOr<PropertyStates> SimZfs::PropertiesOf(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const json* cached, Cached(name));
  const json& dataset = *cached;
  const bool volume = dataset["type"] == "volume";
  std::set<std::string> names;
  for (const auto& rule : PropertyRules()) {
    if (volume ? rule.volumes : rule.filesystems) names.emplace(rule.name);
  }
  for (std::string above = name; !above.empty(); above = ParentOf(above)) {
    PHX_ASSIGN_OR_RETURN(const json* ancestor, Cached(above));
    for (const char* layer : {"local", "received"}) {
      for (const auto& [property, value] : (*ancestor)[layer].items()) {
        if (IsUserProperty(property)) names.insert(property);
      }
    }
  }
  PropertyStates states;
  for (const auto& property : names) {
    PHX_ASSIGN_OR_RETURN(const auto effective, Resolve(name, property));
    if (!effective) continue;
    const json received = dataset["received"].value(property, json("-"));
    states[property] = {effective->value, effective->source, received.get<std::string>()};
  }
  // Grows with what is written, as the real one does, from what a new dataset has.
  uint64_t written = volume ? 12288 : 98304;
  json content = dataset["content"];
  if (const std::string mounted = dataset["mounted"]; !mounted.empty()) {
    PHX_ASSIGN_OR_RETURN(const auto paths, world_.FilesBelow(mounted));
    for (const auto& path : paths) content[path] = nullptr;
  }
  written += content.size() * 4096 + dataset.value("written_more", uint64_t{0});
  states["written"] = {std::to_string(written), "-", "-"};
  states["used"] = states["referenced"] = {std::to_string(written), "-", "-"};
  states["origin"] = {dataset.value("origin", "-"), "-", "-"};
  states["type"] = {dataset["type"].get<std::string>(), "-", "-"};
  states["guid"] = {std::to_string(dataset["guid"].get<int64_t>()), "-", "-"};
  states["mounted"] = {IsMounted(dataset) ? "yes" : "no", "-", "-"};
  PHX_RETURN_IF_ERROR(AddEncryption(name, dataset, states));
  return states;
}

absl::Status SimZfs::CheckValue(const json& dataset, const std::string& property, const std::string& value) {
  if (IsUserProperty(property)) return absl::OkStatus();
  const PropertyRule* rule = FindProperty(property);
  if (rule == nullptr) return InvalidArgument("bad property list: invalid property '{}'", property);
  if (dataset["type"] == "volume" ? !rule->volumes : !rule->filesystems) {
    return InvalidArgument("'{}' does not apply to datasets of this type", property);
  }
  return CanonicalValue(property, value).status();
}

absl::StatusOr<json> SimZfs::ContentOf(const json& dataset) {
  json kept = {{"root", dataset["root"]}, {"content", dataset["content"]}};
  kept["acl"] = dataset.value("acl", json::array());
  kept["written_more"] = dataset.value("written_more", uint64_t{0});
  const std::string path = dataset["mounted"];
  if (path.empty()) return kept;
  PHX_ASSIGN_OR_RETURN(const auto root, world_.ReadFile(path));
  if (root) kept["root"] = InodeJson(root->state.uid, root->state.gid, root->state.mode);
  // What is mounted below hides a directory of this dataset's.
  std::map<std::string, json> mounts;
  PHX_ASSIGN_OR_RETURN(const auto all, world_.List(kDataset));
  for (const auto& [name, value] : all) {
    const std::string at = value["mounted"];
    if (at != path && IsBelow(at, path)) mounts[at] = value.value("covered", json::object());
  }
  PHX_ASSIGN_OR_RETURN(const auto below, world_.FilesBelow(path));
  for (const auto& each : below) {
    const auto mount =
        std::find_if(mounts.begin(), mounts.end(), [&](const auto& one) { return IsBelow(each, one.first); });
    if (mount != mounts.end() && mount->first != each) continue;
    json saved;
    if (mount != mounts.end()) {
      saved = mount->second.value(each, InodeJson(0, 0, 0755));
      saved["directory"] = true;
      saved["content"] = "";
    } else {
      PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(each));
      saved = InodeJson(file->state.uid, file->state.gid, file->state.mode);
      saved["directory"] = file->directory;
      saved["content"] = file->state.content;
    }
    kept["content"][each.substr(path.size() + 1)] = saved;
  }
  return kept;
}

absl::StatusOr<std::optional<uint64_t>> SimZfs::WrittenSince(const std::string& snapshot) {
  PHX_ASSIGN_OR_RETURN(const auto then, world_.Get(kSnapshot, snapshot));
  if (!then) return std::optional<uint64_t>();
  PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(DatasetOf(snapshot)));
  PHX_ASSIGN_OR_RETURN(const json now, ContentOf(dataset));
  const json& before = (*then)["kept"];
  uint64_t written = before["root"] == now["root"] && before["acl"] == now["acl"] ? 0 : kBlock;
  if (then->value("rolled_back", false)) written += kDescribingBlock;
  std::set<std::string> names;
  for (const auto* one : {&before, &now}) {
    for (const auto& [name, file] : (*one)["content"].items()) names.insert(name);
  }
  for (const auto& name : names) {
    if (before["content"].value(name, json()) != now["content"].value(name, json())) written += kBlock;
  }
  return std::optional(written + now["written_more"].get<uint64_t>() -
                       before["written_more"].get<uint64_t>());
}

absl::StatusOr<std::optional<FileSeen>> SimZfs::FileAt(const std::string& name, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(const bool there, Exists(name));
  if (!there) return std::optional<FileSeen>();
  PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(name));
  const std::string root = dataset["mounted"];
  if (root.empty()) return std::optional<FileSeen>();
  FileSeen seen;
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    PHX_ASSIGN_OR_RETURN(const auto folder, world_.ReadFile(root + "/" + path.substr(0, slash)));
    if (!folder) return std::optional(seen);
    if (folder->directory) continue;
    seen.obstacle = path.substr(0, slash) + " is a file";
    return std::optional(seen);
  }
  PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(root + "/" + path));
  if (!file) return std::optional(seen);
  if (file->directory) {
    seen.obstacle = path + " is a folder";
    return std::optional(seen);
  }
  seen = {true, file->state.content.size(), "", file->state.uid, file->state.gid, file->state.mode, ""};
  if (seen.size_bytes <= kMostFileBytes) seen.digest = Sha256Hex(file->state.content);
  return std::optional(seen);
}

absl::Status SimZfs::RenameClone(const std::string& from, const std::string& to) {
  PHX_ASSIGN_OR_RETURN(const auto snapshots, world_.List(kSnapshot));
  for (auto [name, value] : snapshots) {
    json clones = json::array();
    for (const auto& clone : value["clones"]) {
      if (clone != from) {
        clones.push_back(clone);
      } else if (!to.empty()) {
        clones.push_back(to);
      }
    }
    if (clones == value["clones"]) continue;
    value["clones"] = clones;
    PHX_RETURN_IF_ERROR(world_.Put(kSnapshot, name, value));
  }
  return absl::OkStatus();
}

absl::Status SimZfs::Mount(const std::string& name, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(name));
  if (IsMounted(dataset)) return FailedPrecondition("cannot mount '{}': filesystem already mounted", name);
  PHX_ASSIGN_OR_RETURN(const bool locked, IsLocked(dataset));
  if (locked) return FailedPrecondition("cannot mount '{}': encryption key not loaded", name);
  std::vector<std::string> ancestors;
  for (std::string above = DirectoryOf(path); above != "/"; above = DirectoryOf(above))
    ancestors.push_back(above);
  for (auto above = ancestors.rbegin(); above != ancestors.rend(); ++above) {
    PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(*above));
    if (!file) PHX_RETURN_IF_ERROR(world_.WriteFile(*above, {true, {"", 0, 0, 0755}}));
  }
  // What is there already is covered by the mount until it is taken away again.
  json covered = json::object();
  PHX_ASSIGN_OR_RETURN(auto hidden, world_.FilesBelow(path));
  hidden.insert(hidden.begin(), path);
  for (const auto& each : hidden) {
    PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(each));
    if (!file) continue;
    covered[each] = InodeJson(file->state.uid, file->state.gid, file->state.mode);
    covered[each]["directory"] = file->directory;
    covered[each]["content"] = file->state.content;
    PHX_RETURN_IF_ERROR(world_.RemoveFile(each));
  }
  const json& root = dataset["root"];
  PHX_RETURN_IF_ERROR(world_.WriteFile(path, {true, {"", root["uid"], root["gid"], root["mode"]}}));
  for (const auto& [below, file] : dataset["content"].items()) {
    PHX_RETURN_IF_ERROR(world_.WriteFile(
        path + "/" + below, {file["directory"], {file["content"], file["uid"], file["gid"], file["mode"]}}));
  }
  dataset["content"] = json::object();
  dataset["covered"] = covered;
  dataset["mounted"] = path;
  return Put(name, dataset);
}

absl::Status SimZfs::Unmount(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(name));
  const std::string path = dataset["mounted"];
  if (path.empty()) return FailedPrecondition("cannot unmount '{}': not currently mounted", name);
  if (dataset.value("busy", false))
    return FailedPrecondition("cannot unmount '{}': pool or dataset is busy", path);
  PHX_ASSIGN_OR_RETURN(const auto all, world_.List(kDataset));
  for (const auto& [other, value] : all) {
    if (other != name && IsBelow(value["mounted"].get<std::string>(), path)) {
      return FailedPrecondition("cannot unmount '{}': pool or dataset is busy", path);
    }
  }
  PHX_ASSIGN_OR_RETURN(const auto root, world_.ReadFile(path));
  if (root) dataset["root"] = InodeJson(root->state.uid, root->state.gid, root->state.mode);
  PHX_ASSIGN_OR_RETURN(const auto below, world_.FilesBelow(path));
  for (const auto& each : below) {
    PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(each));
    json saved = InodeJson(file->state.uid, file->state.gid, file->state.mode);
    saved["directory"] = file->directory;
    saved["content"] = file->state.content;
    dataset["content"][each.substr(path.size() + 1)] = saved;
    PHX_RETURN_IF_ERROR(world_.RemoveFile(each));
  }
  PHX_RETURN_IF_ERROR(world_.RemoveFile(path));
  const json covered = dataset.value("covered", json::object());
  for (const auto& [each, file] : covered.items()) {
    PHX_RETURN_IF_ERROR(world_.WriteFile(
        each, {file["directory"], {file["content"], file["uid"], file["gid"], file["mode"]}}));
  }
  // The directory that mounting made stays, empty.
  if (!covered.contains(path)) PHX_RETURN_IF_ERROR(world_.WriteFile(path, {true, {"", 0, 0, 0755}}));
  dataset["mounted"] = "";
  dataset.erase("covered");
  return Put(name, dataset);
}

absl::Status SimZfs::UnmountAll(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(auto names, Below(name));
  std::reverse(names.begin(), names.end());
  for (const auto& each : names) {
    PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(each));
    if (IsMounted(dataset)) PHX_RETURN_IF_ERROR(Unmount(each));
  }
  return absl::OkStatus();
}

absl::Status SimZfs::RemoveMountDirectory(const std::string& name, const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto source, Resolve(name, "mountpoint"));
  if (!source || source->source == "local" || source->source == "received") return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto below, world_.FilesBelow(path));
  return below.empty() ? world_.RemoveFile(path) : absl::OkStatus();
}

absl::Status SimZfs::MountIfWanted(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(name));
  if (dataset["type"] != "filesystem" || IsMounted(dataset)) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const std::string canmount, Value(name, "canmount"));
  PHX_ASSIGN_OR_RETURN(const std::string path, Value(name, "mountpoint"));
  PHX_ASSIGN_OR_RETURN(const bool locked, IsLocked(dataset));
  if (canmount != "on" || !path.starts_with('/') || locked) return absl::OkStatus();
  return Mount(name, path);
}

absl::Status SimZfs::Remount(const std::string& name, const std::function<absl::Status()>& change) {
  PHX_ASSIGN_OR_RETURN(const auto names, Below(name));
  std::vector<std::string> were;
  for (const auto& each : names) {
    PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(each));
    if (IsMounted(dataset)) were.push_back(each);
  }
  std::vector<std::pair<std::string, std::string>> directories;
  for (auto each = were.rbegin(); each != were.rend(); ++each) {
    PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(*each));
    directories.emplace_back(*each, dataset["mounted"].get<std::string>());
    PHX_RETURN_IF_ERROR(Unmount(*each));
    PHX_RETURN_IF_ERROR(RemoveMountDirectory(*each, directories.back().second));
  }
  PHX_RETURN_IF_ERROR(change());
  for (const auto& each : were) PHX_RETURN_IF_ERROR(MountIfWanted(each));
  return absl::OkStatus();
}

}  // namespace phoenix::zfs
