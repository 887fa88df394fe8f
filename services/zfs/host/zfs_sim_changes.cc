// What each change does to the simulated world.
#include <algorithm>
#include <set>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/host/zfs_command.h"
#include "services/zfs/host/zfs_sim_world.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

constexpr char kSnapshot[] = "zfs.snapshot";
constexpr char kPool[] = "zfs.pool";

json InodeJson(uint32_t uid, uint32_t gid, uint32_t mode) {
  return {{"uid", uid}, {"gid", gid}, {"mode", mode}};
}

void SetAcl(json& dataset, const json& acl) {
  dataset.erase("acl");
  if (!acl.empty()) dataset["acl"] = acl;
}

json NewDataset(const std::string& type, int64_t guid) {
  json dataset = {{"type", type},
                  {"guid", guid},
                  {"local", json::object()},
                  {"received", json::object()},
                  {"mounted", ""},
                  {"root", InodeJson(0, 0, 0755)},
                  {"content", json::object()}};
  return dataset;
}

}  // namespace

absl::Status SimZfs::Do(const CreatePool& change) {
  PHX_ASSIGN_OR_RETURN(const auto existing, world_.Get(kPool, change.name));
  if (existing) return AlreadyExists("cannot create '{}': pool already exists", change.name);
  PHX_ASSIGN_OR_RETURN(const json layout, CheckVdevs(change.layout, change.force));
  json dataset = NewDataset("filesystem", 0);
  std::string mountpoint = "/" + change.name;
  for (const auto& [property, value] : change.root_properties) {
    PHX_RETURN_IF_ERROR(CheckValue(dataset, property, value));
    dataset["local"][property] = CanonicalValue(property, value).value_or(value);
    if (property == "mountpoint") mountpoint = value;
  }
  PHX_ASSIGN_OR_RETURN(const auto in_the_way, world_.FilesBelow(mountpoint));
  if (mountpoint.starts_with('/') && !in_the_way.empty()) {
    return FailedPrecondition("mountpoint '{}' exists and is not empty", mountpoint);
  }
  PHX_ASSIGN_OR_RETURN(const int64_t guid, world_.NextNumber());
  PHX_ASSIGN_OR_RETURN(dataset["guid"], world_.NextNumber());
  if (change.encryption) {
    PHX_ASSIGN_OR_RETURN(dataset["crypt"], NewEncryption(change.name, change.encryption, dataset["guid"]));
  }
  const json pool = {
      {"guid", guid}, {"health", "ONLINE"}, {"layout", layout}, {"properties", change.properties}};
  for (const auto& path : DisksOf(change.layout)) PHX_RETURN_IF_ERROR(LabelDisk(path, change.name, guid));
  PHX_RETURN_IF_ERROR(world_.Put(kPool, change.name, pool));
  PHX_RETURN_IF_ERROR(Put(change.name, dataset));
  return MountIfWanted(change.name);
}

absl::Status SimZfs::Do(const DestroyPool& change) {
  PHX_ASSIGN_OR_RETURN(const auto pool, world_.Get(kPool, change.name));
  if (!pool) return NotFound("cannot open '{}': no such pool", change.name);
  PHX_RETURN_IF_ERROR(CheckClosed(change.name));
  PHX_ASSIGN_OR_RETURN(auto names, Below(change.name));
  std::reverse(names.begin(), names.end());
  // Until a disk of it is used again or cleared, it can be imported again.
  json gone = {{"pool", *pool}, {"datasets", json::object()}, {"snapshots", json::object()}};
  for (const auto& name : names) {
    PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(name));
    const std::string path = dataset["mounted"];
    if (path.empty()) continue;
    PHX_RETURN_IF_ERROR(Unmount(name));
    PHX_RETURN_IF_ERROR(RemoveMountDirectory(name, path));
  }
  PHX_RETURN_IF_ERROR(ForgetKeys(change.name));
  for (const auto& name : names) {
    PHX_ASSIGN_OR_RETURN(gone["datasets"][name], Dataset(name));
    PHX_RETURN_IF_ERROR(Delete(name));
  }
  PHX_ASSIGN_OR_RETURN(const auto snapshots, world_.List(kSnapshot));
  for (const auto& [name, value] : snapshots) {
    if (PoolOf(name) != change.name) continue;
    gone["snapshots"][name] = value;
    PHX_RETURN_IF_ERROR(world_.Delete(kSnapshot, name));
  }
  PHX_RETURN_IF_ERROR(world_.Put("zfs.destroyed", change.name, gone));
  PHX_ASSIGN_OR_RETURN(const auto disks, world_.List("disk"));
  for (auto [path, disk] : disks) {
    if (disk.value("pool", "") != change.name) continue;
    disk["pool"] = "";
    PHX_RETURN_IF_ERROR(world_.Put("disk", path, disk));
  }
  return world_.Delete(kPool, change.name);
}

absl::Status SimZfs::Do(const ClearDisk& change) {
  PHX_ASSIGN_OR_RETURN(const auto disks, world_.List("disk"));
  for (auto [path, disk] : disks) {
    if (disk["device"] != change.device) continue;
    if (!disk.value("pool", "").empty() || !disk.value("in_use", "").empty()) {
      return FailedPrecondition("{}: Device or resource busy", change.device);
    }
    for (const auto& finding : disk["holds"]) {
      const std::string pool = finding.value("pool", "");
      PHX_ASSIGN_OR_RETURN(const auto gone, world_.Get("zfs.destroyed", pool));
      if (gone) PHX_RETURN_IF_ERROR(world_.Delete("zfs.destroyed", pool));
    }
    disk["holds"] = json::array();
    return world_.Put("disk", path, disk);
  }
  return NotFound("cannot open {}: No such file or directory", change.device);
}

absl::Status SimZfs::Do(const CreateDataset& change) {
  PHX_ASSIGN_OR_RETURN(const bool exists, Exists(change.name));
  if (exists) return AlreadyExists("cannot create '{}': dataset already exists", change.name);
  PHX_ASSIGN_OR_RETURN(const bool parent, Exists(ParentOf(change.name)));
  if (!parent) return NotFound("cannot create '{}': parent does not exist", change.name);
  json dataset = NewDataset(change.volume_size_bytes != 0 ? "volume" : "filesystem", 0);
  for (const auto& [property, value] : change.properties) {
    PHX_RETURN_IF_ERROR(CheckValue(dataset, property, value));
    dataset["local"][property] = CanonicalValue(property, value).value_or(value);
  }
  if (change.volume_size_bytes != 0) {
    dataset["local"]["volsize"] = std::to_string(change.volume_size_bytes);
    dataset["local"].emplace("refreservation", std::to_string(change.volume_size_bytes));
  }
  PHX_ASSIGN_OR_RETURN(dataset["guid"], world_.NextNumber());
  PHX_ASSIGN_OR_RETURN(const json crypt, NewEncryption(change.name, change.encryption, dataset["guid"]));
  if (!crypt.is_null()) dataset["crypt"] = crypt;
  PHX_RETURN_IF_ERROR(Put(change.name, dataset));
  return MountIfWanted(change.name);
}

absl::Status SimZfs::Do(const DestroyDataset& change) {
  PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(change.name));
  PHX_ASSIGN_OR_RETURN(const auto below, Below(change.name));
  PHX_ASSIGN_OR_RETURN(const bool snapshots, HasSnapshots(change.name));
  if (below.size() > 1 || snapshots) {
    return FailedPrecondition("cannot destroy '{}': filesystem has children", change.name);
  }
  if (dataset.value("busy", false))
    return FailedPrecondition("cannot destroy '{}': dataset is busy", change.name);
  if (IsMounted(dataset)) PHX_RETURN_IF_ERROR(Unmount(change.name));
  PHX_ASSIGN_OR_RETURN(const std::string path, Value(change.name, "mountpoint"));
  if (path.starts_with('/')) PHX_RETURN_IF_ERROR(RemoveMountDirectory(change.name, path));
  PHX_RETURN_IF_ERROR(RenameClone(change.name, ""));
  return Delete(change.name);
}

absl::Status SimZfs::Do(const SetProperties& change) {
  if (change.name.find('@') != std::string::npos) {
    PHX_ASSIGN_OR_RETURN(json snapshot, Snapshot(change.name));
    for (const auto& [property, value] : change.properties) {
      if (!IsUserProperty(property))
        return InvalidArgument("cannot set property for '{}': not applicable to snapshots", change.name);
      snapshot["local"][property] = value;
    }
    return world_.Put(kSnapshot, change.name, snapshot);
  }
  const auto set = [&]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.name));
    for (const auto& [property, value] : change.properties) {
      PHX_RETURN_IF_ERROR(CheckValue(dataset, property, value));
      const PropertyRule* rule = FindProperty(property);
      if (rule != nullptr && rule->create_only) {
        return InvalidArgument("cannot set property for '{}': '{}' is readonly", change.name, property);
      }
      dataset["local"][property] = CanonicalValue(property, value).value_or(value);
    }
    return Put(change.name, dataset);
  };
  PHX_ASSIGN_OR_RETURN(const json before, Dataset(change.name));
  if (change.properties.count("mountpoint") == 0 && change.properties.count("canmount") == 0) return set();
  if (change.properties.count("mountpoint") != 0 &&
      before["local"].value("mountpoint", "") == change.properties.find("mountpoint")->second) {
    return set();  // it moves nothing
  }
  // Like `zfs set canmount=noauto`, which leaves a mount alone.
  const auto canmount = change.properties.find("canmount");
  if (change.properties.count("mountpoint") == 0 && canmount->second != "off") return set();
  return Remount(change.name, set);
}

absl::Status SimZfs::Do(const InheritProperty& change) {
  if (!IsInheritable(change.property) && !change.received) {
    return InvalidArgument("'{}' property cannot be inherited", change.property);
  }
  const auto inherit = [&]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.name));
    dataset["local"].erase(change.property);
    json masked = dataset.value("masked", json::object());
    masked.erase(change.property);
    if (!change.received && dataset["received"].contains(change.property)) masked[change.property] = true;
    dataset.erase("masked");
    if (!masked.empty()) dataset["masked"] = masked;
    return Put(change.name, dataset);
  };
  PHX_RETURN_IF_ERROR(Dataset(change.name).status());
  return change.property == "mountpoint" ? Remount(change.name, inherit) : inherit();
}

absl::Status SimZfs::CheckClosed(const std::string& dataset) {
  PHX_ASSIGN_OR_RETURN(const auto names, Below(dataset));
  for (const auto& name : names) {
    PHX_ASSIGN_OR_RETURN(const json one, Dataset(name));
    if (one["type"] == "volume" && one.value("busy", false)) return FailedPrecondition("{} is open", name);
  }
  return absl::OkStatus();
}

absl::Status SimZfs::Do(const RenameDataset& change) {
  PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(change.from));
  if (change.volume != (dataset["type"] == "volume"))
    return InvalidArgument("cannot open '{}': operation not applicable to datasets of this type",
                           change.from);
  if (change.closed) PHX_RETURN_IF_ERROR(CheckClosed(change.from));
  PHX_ASSIGN_OR_RETURN(const bool taken, Exists(change.to));
  if (taken) return AlreadyExists("cannot rename '{}': dataset '{}' exists", change.from, change.to);
  PHX_ASSIGN_OR_RETURN(const bool parent, Exists(ParentOf(change.to)));
  if (!parent) return NotFound("cannot rename '{}': parent of '{}' does not exist", change.from, change.to);
  if (PoolOf(change.from) != PoolOf(change.to)) return InvalidArgument("datasets must be within same pool");
  if (dataset.contains("crypt") && dataset["crypt"]["root"] != dataset["guid"]) {
    PHX_ASSIGN_OR_RETURN(const json above, Dataset(ParentOf(change.to)));
    if (!above.contains("crypt") || above["crypt"]["root"] != dataset["crypt"]["root"]) {
      return FailedPrecondition(
          "cannot rename '{}': cannot move encrypted child outside of its encryption root", change.from);
    }
  }
  PHX_ASSIGN_OR_RETURN(const auto names, Below(change.from));
  for (const auto& name : names) {
    PHX_ASSIGN_OR_RETURN(const json moved, Dataset(name));
    PHX_RETURN_IF_ERROR(Delete(name));
    PHX_RETURN_IF_ERROR(Put(change.to + name.substr(change.from.size()), moved));
    PHX_RETURN_IF_ERROR(RenameClone(name, change.to + name.substr(change.from.size())));
  }
  PHX_ASSIGN_OR_RETURN(const auto snapshots, world_.List(kSnapshot));
  for (const auto& [name, value] : snapshots) {
    if (!IsBelow(DatasetOf(name), change.from)) continue;
    PHX_RETURN_IF_ERROR(world_.Delete(kSnapshot, name));
    PHX_RETURN_IF_ERROR(world_.Put(kSnapshot, change.to + name.substr(change.from.size()), value));
  }
  return absl::OkStatus();
}

absl::Status SimZfs::Do(const MountDataset& change) {
  PHX_ASSIGN_OR_RETURN(const std::string canmount, Value(change.name, "canmount"));
  PHX_ASSIGN_OR_RETURN(const std::string path, Value(change.name, "mountpoint"));
  if (canmount == "off")
    return FailedPrecondition("cannot mount '{}': 'canmount' property is set to 'off'", change.name);
  if (!path.starts_with('/')) return FailedPrecondition("cannot mount '{}': no mountpoint set", change.name);
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.name));
  if (dataset.value("intent_log", false)) {
    // As seen on real nodes: after synchronous writes that block is written once more, as their intent log
    // goes.
    dataset.erase("intent_log");
    dataset["written_more"] = dataset.value("written_more", uint64_t{0}) + kDescribingBlock;
    PHX_RETURN_IF_ERROR(Put(change.name, dataset));
  }
  return Mount(change.name, path);
}

absl::Status SimZfs::Do(const UnmountDataset& change) { return UnmountAll(change.name); }

absl::Status SimZfs::Do(const SetMountRoot& change) {
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.name));
  if (dataset["mounted"] != change.mountpoint) {
    return FailedPrecondition("{} is not the mount root of {}", change.mountpoint, change.name);
  }
  if (change.acl) {
    PHX_ASSIGN_OR_RETURN(const std::string type, Value(change.name, "acltype"));
    const bool kept = SameValue("acltype", type, "posix");
    if (!kept && !change.acl->empty())
      return FailedPrecondition("setxattr {}: Operation not supported", change.mountpoint);
    if (kept) SetAcl(dataset, *change.acl);
    PHX_RETURN_IF_ERROR(Put(change.name, dataset));
  }
  return world_.WriteFile(change.mountpoint,
                          {true, {"", change.root.uid, change.root.gid, change.root.mode}});
}

absl::Status SimZfs::Do(const SyncPool& change) {
  PHX_ASSIGN_OR_RETURN(const auto pool, world_.Get(kPool, change.name));
  return pool ? absl::OkStatus() : NotFound("cannot open '{}': no such pool", change.name);
}

absl::StatusOr<json> SimZfs::Snapshot(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(auto snapshot, world_.Get(kSnapshot, name));
  if (!snapshot) return NotFound("cannot open '{}': dataset does not exist", name);
  return *std::move(snapshot);
}

absl::Status SimZfs::TakeSnapshot(const std::string& name, const PropertyMap& properties) {
  PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(DatasetOf(name)));
  PHX_ASSIGN_OR_RETURN(const json kept, ContentOf(dataset));
  PHX_ASSIGN_OR_RETURN(const auto existing, world_.Get(kSnapshot, name));
  if (existing) return AlreadyExists("cannot create snapshot '{}': dataset already exists", name);
  PHX_ASSIGN_OR_RETURN(const int64_t guid, world_.NextNumber());
  return world_.Put(kSnapshot, name,
                    {{"guid", guid},
                     {"created", now_seconds_},
                     {"kept", kept},
                     {"local", properties},
                     {"tags", json::array()},
                     {"clones", json::array()}});
}

absl::Status SimZfs::Do(const CreateSnapshot& change) { return TakeSnapshot(change.name, change.properties); }

absl::Status SimZfs::Do(const CreateSnapshots& change) {
  std::set<std::string> datasets;
  for (const auto& name : change.names) {
    if (!datasets.insert(DatasetOf(name)).second) {
      return InvalidArgument(
          "cannot create snapshots : multiple snapshots of same fs not allowed\nno snapshots were created");
    }
  }
  for (const auto& name : change.names) {
    if (PoolOf(name) != PoolOf(change.names[0]))
      return InvalidArgument("cannot create snapshots : snapshots must all be in the same pool");
    PHX_RETURN_IF_ERROR(TakeSnapshot(name, change.properties));
  }
  return absl::OkStatus();
}

absl::Status SimZfs::Do(const HoldSnapshots& change) {
  for (const auto& name : change.names) {
    PHX_ASSIGN_OR_RETURN(json snapshot, Snapshot(name));
    json& tags = snapshot["tags"];
    if (std::find(tags.begin(), tags.end(), change.tag) != tags.end())
      return AlreadyExists("cannot hold snapshot '{}': tag already exists on this dataset", name);
    tags.push_back(change.tag);
    PHX_RETURN_IF_ERROR(world_.Put(kSnapshot, name, snapshot));
  }
  return absl::OkStatus();
}

absl::Status SimZfs::Do(const ReleaseSnapshots& change) {
  for (const auto& name : change.names) {
    PHX_ASSIGN_OR_RETURN(json snapshot, Snapshot(name));
    json& tags = snapshot["tags"];
    const auto tag = std::find(tags.begin(), tags.end(), change.tag);
    if (tag == tags.end())
      return NotFound("cannot release hold from snapshot '{}': no such tag on this dataset", name);
    tags.erase(tag);
    PHX_RETURN_IF_ERROR(world_.Put(kSnapshot, name, snapshot));
  }
  return absl::OkStatus();
}

absl::Status SimZfs::Do(const DestroySnapshot& change) {
  PHX_ASSIGN_OR_RETURN(const auto snapshot, world_.Get(kSnapshot, change.name));
  if (!snapshot) return NotFound("could not find any snapshots to destroy; check snapshot names.");
  if (!(*snapshot)["tags"].empty() || !(*snapshot)["clones"].empty()) {
    return FailedPrecondition("cannot destroy snapshot {}: dataset is busy", change.name);
  }
  return world_.Delete(kSnapshot, change.name);
}

absl::Status SimZfs::Do(const CloneSnapshot& change) {
  PHX_ASSIGN_OR_RETURN(json snapshot, Snapshot(change.snapshot));
  PHX_ASSIGN_OR_RETURN(const bool taken, Exists(change.dataset));
  if (taken) return AlreadyExists("cannot create '{}': dataset already exists", change.dataset);
  PHX_ASSIGN_OR_RETURN(const bool parent, Exists(ParentOf(change.dataset)));
  if (!parent) return NotFound("cannot create '{}': parent does not exist", change.dataset);
  PHX_ASSIGN_OR_RETURN(const json origin, Dataset(DatasetOf(change.snapshot)));
  json clone = NewDataset(origin["type"], 0);
  clone["root"] = snapshot["kept"]["root"];
  clone["content"] = snapshot["kept"]["content"];
  SetAcl(clone, snapshot["kept"]["acl"]);
  clone["origin"] = change.snapshot;
  if (origin.contains("crypt")) {
    clone["crypt"] = {{"root", origin["crypt"]["root"]}, {"algorithm", origin["crypt"]["algorithm"]}};
  }
  for (const auto& [property, value] : change.properties) {
    PHX_RETURN_IF_ERROR(CheckValue(clone, property, value));
    clone["local"][property] = CanonicalValue(property, value).value_or(value);
  }
  PHX_ASSIGN_OR_RETURN(clone["guid"], world_.NextNumber());
  snapshot["clones"].push_back(change.dataset);
  PHX_RETURN_IF_ERROR(world_.Put(kSnapshot, change.snapshot, snapshot));
  PHX_RETURN_IF_ERROR(Put(change.dataset, clone));
  return MountIfWanted(change.dataset);
}

absl::Status SimZfs::Do(const RollbackDataset& change) {
  const std::string name = change.dataset + "@" + change.snapshot;
  const std::string last = change.guard.empty() ? name : change.dataset + "@" + change.guard;
  PHX_ASSIGN_OR_RETURN(const json snapshot, Snapshot(name));
  PHX_ASSIGN_OR_RETURN(const json guard, Snapshot(last));
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.dataset));
  const auto foreign = [&](const std::string& text) {
    return WithReason(FailedPrecondition("{}", text), {"FOREIGN_CHANGE", {{"object", change.dataset}}});
  };
  PHX_ASSIGN_OR_RETURN(const auto all, world_.List(kSnapshot));
  for (const auto& [other, value] : all) {
    if (DatasetOf(other) == change.dataset && other != last && value["guid"] > snapshot["guid"])
      return foreign(fmt::format("{}: {} is newer than {}", kForeignSnapshot, other, name));
  }
  PHX_ASSIGN_OR_RETURN(const auto written, WrittenSince(last));
  if (written.value_or(0) > change.max_written) {
    return foreign(fmt::format("{}: {} bytes since {}, no more than {} were ours", kForeignWrites, *written,
                               last, change.max_written));
  }
  const bool held = last != name && (!guard["tags"].empty() || !guard["clones"].empty());
  if (IsMounted(dataset) || dataset.value("busy", false) || held)
    return FailedPrecondition("phoenix: rollback of {} is refused with error 16", change.dataset);
  if (last != name) PHX_RETURN_IF_ERROR(world_.Delete(kSnapshot, last));
  // As measured: the rollback's own write counts as written since.
  json rolled_back = snapshot;
  rolled_back["rolled_back"] = true;
  PHX_RETURN_IF_ERROR(world_.Put(kSnapshot, name, rolled_back));
  for (const char* part : {"root", "content", "written_more"}) dataset[part] = snapshot["kept"][part];
  SetAcl(dataset, snapshot["kept"]["acl"]);
  if (dataset["written_more"] == 0) dataset.erase("written_more");
  dataset.erase("intent_log");
  return Put(change.dataset, dataset);
}

absl::Status SimZfs::Do(const SetTreeOwner& change) {
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.name));
  if (IsMounted(dataset))
    return FailedPrecondition("{} is mounted at {}", change.name, dataset["mounted"].get<std::string>());
  PHX_ASSIGN_OR_RETURN(const bool locked, IsLocked(dataset));
  if (locked) return FailedPrecondition("cannot mount '{}': encryption key not loaded", change.name);
  if (dataset["type"] != "filesystem") return InvalidArgument("{} is no file system", change.name);
  const auto set = [&](json& inode, bool directory) {
    if (change.wish.uid) inode["uid"] = *change.wish.uid;
    if (change.wish.gid) inode["gid"] = *change.wish.gid;
    if (change.wish.mode)
      inode["mode"] = ModeInTree(*change.wish.mode, directory, inode["mode"].get<uint32_t>());
  };
  set(dataset["root"], true);
  for (auto& [path, file] : dataset["content"].items()) set(file, file["directory"].get<bool>());
  return Put(change.name, dataset);
}

absl::Status SimZfs::Do(const DeliverFiles& change) {
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.name));
  if (IsMounted(dataset))
    return FailedPrecondition("{} is mounted at {}", change.name, dataset["mounted"].get<std::string>());
  PHX_ASSIGN_OR_RETURN(const bool locked, IsLocked(dataset));
  if (locked) return FailedPrecondition("cannot mount '{}': encryption key not loaded", change.name);
  if (dataset["type"] != "filesystem") return InvalidArgument("{} is no file system", change.name);
  json& content = dataset["content"];
  for (const auto& [path, file] : change.files) {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      json& folder = content[path.substr(0, slash)];
      if (folder.is_null()) {
        folder = InodeJson(0, 0, 0755);
        folder.update({{"directory", true}, {"content", ""}});
      } else if (!folder["directory"].get<bool>()) {
        return FailedPrecondition("{} is a file", path.substr(0, slash));
      }
    }
    json& target = content[path];
    if (!target.is_null() && target["directory"].get<bool>())
      return FailedPrecondition("{} is a folder", path);
    target = InodeJson(file.uid, file.gid, file.mode);
    target.update({{"directory", false}, {"content", file.content}});
  }
  dataset["intent_log"] = true;
  return Put(change.name, dataset);
}

absl::Status SimZfs::Do(const ProveDelivered& change) {
  PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(change.name));
  if (IsMounted(dataset))
    return FailedPrecondition("{} is mounted at {}", change.name, dataset["mounted"].get<std::string>());
  PHX_ASSIGN_OR_RETURN(const bool locked, IsLocked(dataset));
  if (locked) return FailedPrecondition("cannot mount '{}': encryption key not loaded", change.name);
  for (const auto& [path, file] : dataset["content"].items()) {
    if (file["directory"].get<bool>() || IsUnfinished(LastOf(path))) continue;
    const auto ours = std::find_if(change.files.begin(), change.files.end(),
                                   [&, &at = path](const DeliveredFile& one) { return one.path == at; });
    if (ours != change.files.end() && file["content"] == ours->state.content) continue;
    return WithReason(FailedPrecondition("it holds {}", path), {"FOREIGN_CHANGE", {{"object", path}}});
  }
  return absl::OkStatus();
}

absl::Status SimZfs::Do(const RenameSnapshot& change) {
  PHX_ASSIGN_OR_RETURN(const auto snapshot, world_.Get(kSnapshot, change.from));
  if (!snapshot) return NotFound("cannot open '{}': dataset does not exist", change.from);
  PHX_ASSIGN_OR_RETURN(const auto taken, world_.Get(kSnapshot, change.to));
  if (taken) return AlreadyExists("cannot rename to '{}': dataset already exists", change.to);
  PHX_RETURN_IF_ERROR(world_.Delete(kSnapshot, change.from));
  return world_.Put(kSnapshot, change.to, *snapshot);
}

absl::StatusOr<SimZfs::ArcBound> SimZfs::ReadArcBound(bool minimum) {
  PHX_ASSIGN_OR_RETURN(const auto bound,
                       world_.Get("zfs.parameter", minimum ? "zfs_arc_min" : "zfs_arc_max"));
  if (!bound) return ArcBound{0, minimum ? kArcMinDefault : kArcDefault};
  return ArcBound{(*bound)["value"].get<uint64_t>(), (*bound)["in_force"].get<uint64_t>()};
}

absl::Status SimZfs::Do(const SetArcLive& change) {
  // As arc_tuning_update() of the module does it: what it does not take is written down and changes nothing.
  PHX_ASSIGN_OR_RETURN(ArcBound min, ReadArcBound(true));
  PHX_ASSIGN_OR_RETURN(ArcBound max, ReadArcBound(false));
  (change.minimum ? min : max).value = change.bytes;
  if (min.value >= kLeastArcMinBytes && min.value <= max.in_force) min.in_force = min.value;
  if (max.value >= kLeastArcBytes && max.value < kMemoryBytes && max.value > min.in_force)
    max.in_force = max.value;
  const auto put = [&](const char* name, const ArcBound& bound, uint64_t standard) {
    // What a machine has that nobody ever set.
    if (bound.value == 0 && bound.in_force == standard) return world_.Delete("zfs.parameter", name);
    return world_.Put("zfs.parameter", name, {{"value", bound.value}, {"in_force", bound.in_force}});
  };
  PHX_RETURN_IF_ERROR(put("zfs_arc_min", min, kArcMinDefault));
  return put("zfs_arc_max", max, kArcDefault);
}

absl::Status SimZfs::Do(const UpdateInitramfs&) {
  PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(std::string(kArcFile)));
  return world_.Put("zfs.initramfs", "all", {{"file", file ? json(file->state.content) : json()}});
}

absl::Status SimZfs::Do(const PutFile& change) {
  if (change.path == kArcFile) {
    // Younger than the image by now, whatever is in it.
    PHX_ASSIGN_OR_RETURN(const auto initramfs, world_.Get("zfs.initramfs", "all"));
    if (initramfs) PHX_RETURN_IF_ERROR(world_.Put("zfs.initramfs", "all", {{"file", "another one"}}));
  }
  if (!change.file) return world_.RemoveFile(change.path);
  PHX_ASSIGN_OR_RETURN(const auto parent, world_.ReadFile(DirectoryOf(change.path)));
  if (!parent) return NotFound("{}: No such file or directory", change.path);
  return world_.WriteFile(change.path, {false, *change.file});
}

absl::Status SimZfs::Do(const MakeDirectory& change) {
  PHX_ASSIGN_OR_RETURN(const auto existing, world_.ReadFile(change.path));
  if (existing) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto parent, world_.ReadFile(DirectoryOf(change.path)));
  if (!parent) return NotFound("{}: No such file or directory", change.path);
  const auto& wanted = change.directory;
  return world_.WriteFile(change.path, {true, {"", wanted.uid, wanted.gid, wanted.mode}});
}

absl::Status SimZfs::Do(const RemoveDirectory& change) {
  PHX_ASSIGN_OR_RETURN(const auto below, world_.FilesBelow(change.path));
  if (!below.empty()) return FailedPrecondition("{} is not empty", change.path);
  return world_.RemoveFile(change.path);
}

absl::Status SimZfs::Apply(const ZfsChange& change) {
  return std::visit([this](const auto& one) { return Do(one); }, change);
}

}  // namespace phoenix::zfs
