// What changes of pools and their vdevs do to the simulated world.
#include <algorithm>
#include <cctype>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/host/zfs_sim_world.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

constexpr char kPool[] = "zfs.pool";

std::string Partition(const std::string& device, int number) {
  return std::isdigit(static_cast<unsigned char>(device.back())) != 0 ? fmt::format("{}p{}", device, number)
                                                                      : fmt::format("{}{}", device, number);
}

json FindingJson(const std::string& where, const std::string& what, bool zfs) {
  return {{"where", where}, {"what", what}, {"pool", ""}, {"pool_guid", 0}, {"zfs_partition", zfs}};
}

// The vdev as zpool shows it once it is made. Counts are checked by the same rules.
absl::StatusOr<std::string> KindOf(const VdevGroup& group) {
  if (group.kind == "disk") return group.kind;
  const auto layout = LayoutOf(group.vdev_class, group.kind, group.disks);
  if (!layout.ok()) return InvalidArgument("invalid vdev specification: {}", Message(layout.status()));
  return layout->front().kind;
}

std::vector<VdevGroup> LayoutFrom(const json& groups) {
  std::vector<VdevGroup> layout;
  for (const auto& group : groups) {
    layout.push_back({group["kind"], group["disks"].get<std::vector<std::string>>(),
                      *VdevClassOf(group.value("class", "data"))});
  }
  return layout;
}

// By what MemberState names it.
std::string PathOfMember(const json& pool, const std::string& name) {
  const json names = pool.value("names", json::object());
  for (const auto& [path, its] : names.items()) {
    if (its == name) return path;
  }
  return name;
}

// A top-level vdev that falls back to one disk gives that its own GUID: the disk goes by another one then.
void NameTheLastOne(json& pool, const json& group) {
  if (group["disks"].size() != 1) return;
  const std::string path = group["disks"][0];
  pool["names"][path] = path + " with the GUID of its vdev";
}

// The group that has the disk; null where none has.
json* GroupOf(json& pool, const std::string& disk) {
  for (auto& group : pool["layout"]) {
    for (const auto& one : group["disks"]) {
      if (one == disk) return &group;
    }
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<json> SimZfs::CheckDisk(const std::string& path, bool force) {
  PHX_ASSIGN_OR_RETURN(auto disk, world_.Get("disk", path));
  if (!disk) return NotFound("cannot resolve path '{}'", path);
  if (!disk->value("pool", "").empty()) {
    return FailedPrecondition("{} is part of active pool '{}'", path, disk->value("pool", ""));
  }
  if (!force && !(*disk)["holds"].empty()) {
    return FailedPrecondition("invalid vdev specification: use '-f' to override: {} contains a filesystem",
                              path);
  }
  return *std::move(disk);
}

absl::StatusOr<json> SimZfs::CheckVdevs(const std::vector<VdevGroup>& layout, bool force) {
  json groups = json::array();
  for (const auto& group : layout) {
    PHX_ASSIGN_OR_RETURN(const std::string kind, KindOf(group));
    json made = {{"kind", kind}, {"disks", group.disks}};
    if (group.vdev_class != VdevClass::kData) made["class"] = ToString(group.vdev_class);
    groups.push_back(std::move(made));
    std::vector<uint64_t> sizes;
    for (const auto& path : group.disks) {
      PHX_ASSIGN_OR_RETURN(const json disk, CheckDisk(path, force));
      sizes.push_back(disk["size"].get<uint64_t>());
    }
    const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
    if (!force && *most - *least > kLikeSize) {
      return InvalidArgument(
          "invalid vdev specification: use '-f' to override: {} contains devices of different sizes", kind);
    }
  }
  if (const std::string why = ExplainMismatch(layout); !force && !why.empty())
    return InvalidArgument("invalid vdev specification: use '-f' to override: mismatched replication level");
  return groups;
}

absl::Status SimZfs::LabelDisk(const std::string& path, const std::string& pool, int64_t guid) {
  PHX_ASSIGN_OR_RETURN(auto disk, world_.Get("disk", path));
  if (!disk) return NotFound("cannot resolve path '{}'", path);
  for (const auto& finding : (*disk)["holds"]) {
    const std::string other = finding.value("pool", "");
    PHX_ASSIGN_OR_RETURN(const auto gone, world_.Get("zfs.destroyed", other));
    if (gone) PHX_RETURN_IF_ERROR(world_.Delete("zfs.destroyed", other));
  }
  const std::string device = (*disk)["device"];
  json label = FindingJson(Partition(device, 1), fmt::format("ZFS label of pool {} (zdb)", pool), true);
  label["pool"] = pool;
  label["pool_guid"] = guid;
  (*disk)["holds"] = json::array({FindingJson(device, "gpt partition table (wipefs)", true), label,
                                  FindingJson(Partition(device, 9), "partition 'zfs reserved'", true)});
  (*disk)["pool"] = pool;
  return world_.Put("disk", path, *disk);
}

absl::Status SimZfs::LeavePool(const std::string& path, bool labelled) {
  PHX_ASSIGN_OR_RETURN(auto disk, world_.Get("disk", path));
  if (!disk) return absl::OkStatus();
  (*disk)["pool"] = "";
  if (!labelled) {
    const std::string device = (*disk)["device"];
    (*disk)["holds"] = json::array({FindingJson(device, "gpt partition table (wipefs)", true),
                                    FindingJson(Partition(device, 9), "partition 'zfs reserved'", true)});
  }
  return world_.Put("disk", path, *disk);
}

absl::StatusOr<json> SimZfs::ImportedPool(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(auto pool, world_.Get(kPool, name));
  if (!pool || pool->value("exported", false)) return NotFound("cannot open '{}': no such pool", name);
  return *std::move(pool);
}

absl::Status SimZfs::Do(const ImportPool& change) {
  if (change.destroyed) {
    PHX_ASSIGN_OR_RETURN(const auto gone, world_.Get("zfs.destroyed", change.name));
    if (!gone || (*gone)["pool"]["guid"] != change.guid)
      return NotFound("cannot import '{}': no such pool available", change.guid);
    for (const auto& group : (*gone)["pool"]["layout"]) {
      for (const auto& path : group["disks"]) {
        PHX_ASSIGN_OR_RETURN(const auto disk, world_.Get("disk", path.get<std::string>()));
        const bool labelled =
            disk && std::any_of((*disk)["holds"].begin(), (*disk)["holds"].end(),
                                [&](const json& one) { return one["pool_guid"] == change.guid; });
        if (!labelled)
          return FailedPrecondition("cannot import '{}': one or more devices is currently unavailable",
                                    change.name);
        PHX_RETURN_IF_ERROR(LabelDisk(path, change.name, static_cast<int64_t>(change.guid)));
      }
    }
    PHX_RETURN_IF_ERROR(world_.Put(kPool, change.name, (*gone)["pool"]));
    for (const auto& [name, dataset] : (*gone)["datasets"].items()) PHX_RETURN_IF_ERROR(Put(name, dataset));
    for (const auto& [name, snapshot] : (*gone)["snapshots"].items())
      PHX_RETURN_IF_ERROR(world_.Put("zfs.snapshot", name, snapshot));
    return absl::OkStatus();
  }
  PHX_ASSIGN_OR_RETURN(auto pool, world_.Get(kPool, change.name));
  if (!pool || !pool->value("exported", false) || (*pool)["guid"] != change.guid)
    return NotFound("cannot import '{}': no such pool available", change.guid);
  pool->erase("exported");
  PHX_RETURN_IF_ERROR(world_.Put(kPool, change.name, *pool));
  PHX_ASSIGN_OR_RETURN(const auto names, Below(change.name));
  for (const auto& name : names) PHX_RETURN_IF_ERROR(MountIfWanted(name));
  return absl::OkStatus();
}

absl::Status SimZfs::Do(const ExportPool& change) {
  PHX_ASSIGN_OR_RETURN(json pool, ImportedPool(change.name));
  PHX_RETURN_IF_ERROR(CheckClosed(change.name));
  PHX_RETURN_IF_ERROR(UnmountAll(change.name));
  PHX_RETURN_IF_ERROR(ForgetKeys(change.name));
  pool["exported"] = true;
  return world_.Put(kPool, change.name, pool);
}

absl::Status SimZfs::Do(const SetPoolProperties& change) {
  PHX_ASSIGN_OR_RETURN(json pool, ImportedPool(change.name));
  for (const auto& [name, value] : change.properties) pool["properties"][name] = value;
  return world_.Put(kPool, change.name, pool);
}

absl::Status SimZfs::Do(const AddVdev& change) {
  PHX_ASSIGN_OR_RETURN(json pool, ImportedPool(change.pool));
  PHX_ASSIGN_OR_RETURN(const json made, CheckVdevs({change.vdev}, false));
  std::vector<VdevGroup> all = LayoutFrom(pool["layout"]);
  all.push_back(change.vdev);
  if (!ExplainMismatch(all).empty())
    return InvalidArgument("invalid vdev specification: use '-f' to override: mismatched replication level");
  pool["layout"].push_back(made[0]);
  for (const auto& path : change.vdev.disks)
    PHX_RETURN_IF_ERROR(LabelDisk(path, change.pool, pool["guid"].get<int64_t>()));
  return world_.Put(kPool, change.pool, pool);
}

absl::Status SimZfs::Do(const RemoveVdev& change) {
  PHX_ASSIGN_OR_RETURN(json pool, ImportedPool(change.pool));
  for (size_t i = 0; i < pool["layout"].size(); ++i) {
    const json group = pool["layout"][i];
    if (group["disks"][0] != change.vdev) continue;
    const std::string vdev_class = group.value("class", "data");
    if (vdev_class != "log" && vdev_class != "cache" && vdev_class != "spare")
      return FailedPrecondition("cannot remove {}: operation not supported", change.vdev);
    for (const auto& path : group["disks"]) PHX_RETURN_IF_ERROR(LeavePool(path, false));
    pool["layout"].erase(i);
    return world_.Put(kPool, change.pool, pool);
  }
  return NotFound("cannot remove {}: no such device in pool", change.vdev);
}

absl::Status SimZfs::Do(const AttachDisk& change) {
  PHX_ASSIGN_OR_RETURN(json pool, ImportedPool(change.pool));
  const std::string member = PathOfMember(pool, change.member);
  json* group = GroupOf(pool, member);
  if (group == nullptr) return NotFound("cannot attach {}: no such device in pool", member);
  if ((*group)["kind"] != "disk" && (*group)["kind"] != "mirror")
    return FailedPrecondition("cannot attach {}: can only attach to mirrors and top-level disks",
                              change.disk);
  PHX_ASSIGN_OR_RETURN(const json disk, CheckDisk(change.disk, false));
  PHX_ASSIGN_OR_RETURN(const auto beside, world_.Get("disk", member));
  if (beside && disk["size"].get<uint64_t>() + kLikeSize < (*beside)["size"].get<uint64_t>())
    return FailedPrecondition("cannot attach {} to {}: device is too small", change.disk, member);
  (*group)["kind"] = "mirror";
  (*group)["disks"].push_back(change.disk);
  PHX_RETURN_IF_ERROR(LabelDisk(change.disk, change.pool, pool["guid"].get<int64_t>()));
  return world_.Put(kPool, change.pool, pool);
}

absl::Status SimZfs::Do(const DetachDisk& change) {
  PHX_ASSIGN_OR_RETURN(json pool, ImportedPool(change.pool));
  const std::string member = PathOfMember(pool, change.member);
  json* group = GroupOf(pool, member);
  json replacing = pool.value("replacing", json::object());
  // A copy that ends right before the command: it goes for the side of the mirror then.
  if (pool.value("copied", false) && replacing.contains(member)) {
    PHX_RETURN_IF_ERROR(LeavePool(replacing[member], true));
    pool["replacing"].erase(member);
    replacing.erase(member);
  }
  if (group != nullptr && replacing.contains(member)) {
    // A replacement that is not done is called off.
    for (auto& disk : (*group)["disks"]) {
      if (disk == member) disk = replacing[member];
    }
    pool["replacing"].erase(member);
    NameTheLastOne(pool, *group);
  } else if (group == nullptr || (*group)["kind"] != "mirror") {
    return FailedPrecondition("cannot detach {}: only applicable to mirror and replacing vdevs", member);
  } else {
    json left = json::array();
    for (const auto& disk : (*group)["disks"]) {
      if (disk != member) left.push_back(disk);
    }
    (*group)["disks"] = left;
    if (left.size() == 1) (*group)["kind"] = "disk";
    NameTheLastOne(pool, *group);
  }
  PHX_RETURN_IF_ERROR(LeavePool(member, false));
  return world_.Put(kPool, change.pool, pool);
}

absl::Status SimZfs::Do(const ReplaceDisk& change) {
  PHX_ASSIGN_OR_RETURN(json pool, ImportedPool(change.pool));
  const std::string member = PathOfMember(pool, change.member);
  json* group = GroupOf(pool, member);
  if (group == nullptr) return NotFound("cannot replace {}: no such device in pool", member);
  PHX_RETURN_IF_ERROR(CheckDisk(change.disk, false).status());
  for (auto& disk : (*group)["disks"]) {
    if (disk == member) disk = change.disk;
  }
  PHX_RETURN_IF_ERROR(LabelDisk(change.disk, change.pool, pool["guid"].get<int64_t>()));
  // A pool with much in it is not copied at once.
  if (pool.value("slow", false)) {
    pool["replacing"][change.disk] = member;
  } else {
    PHX_RETURN_IF_ERROR(LeavePool(member, true));
  }
  return world_.Put(kPool, change.pool, pool);
}

}  // namespace phoenix::zfs
