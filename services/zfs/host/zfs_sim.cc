#include "services/zfs/host/zfs_sim.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/host/zfs_command.h"
#include "services/zfs/host/zfs_parse.h"
#include "services/zfs/host/zfs_sim_world.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

// What a pool has where nothing is set.
constexpr std::pair<const char*, const char*> kPoolDefaults[] = {
    {"ashift", "0"},          {"autoexpand", "off"}, {"autoreplace", "off"}, {"autotrim", "off"},
    {"comment", "-"},         {"delegation", "on"},  {"failmode", "wait"},   {"compatibility", "off"},
    {"listsnapshots", "off"}, {"multihost", "off"},  {"fragmentation", "0"}};

// What smartctl prints of a disk of which no test has said anything.
const char kNewDisk[] = R"json({"smart_status": {"passed": true}, "temperature": {"current": 35},
  "power_on_time": {"hours": 24}, "nvme_smart_health_information_log": {"critical_warning": 0, "available_spare": 100,
  "available_spare_threshold": 10, "percentage_used": 0, "media_errors": 0}})json";

Finding FindingOf(const json& value) {
  return {value["where"], value["what"], value["pool"], value["pool_guid"].get<uint64_t>(),
          value["zfs_partition"]};
}

// How a pool is that has lost a disk of this vdev.
std::string HealthWithout(const VdevGroup& vdev) {
  if (vdev.vdev_class == VdevClass::kCache || vdev.vdev_class == VdevClass::kSpare) return "ONLINE";
  return vdev.kind == "disk" && vdev.vdev_class != VdevClass::kLog ? "SUSPENDED" : "DEGRADED";
}

class Observer {
 public:
  Observer(kit::World& world, const ObserveRequest& request)
      : world_(world), zfs_(world), request_(request) {}

  absl::Status Read(ZfsState& state) {
    if (request_.pools || !request_.disks.empty()) PHX_RETURN_IF_ERROR(Pools(state));
    PHX_RETURN_IF_ERROR(Datasets(state));
    if (request_.snapshots) PHX_RETURN_IF_ERROR(Snapshots(state));
    for (const auto& name : request_.written_since) {
      PHX_ASSIGN_OR_RETURN(const auto written, zfs_.WrittenSince(name));
      if (written) state.written_since[name] = *written;
    }
    if (!request_.disks.empty()) PHX_RETURN_IF_ERROR(Disks(state));
    if (!request_.health.empty()) PHX_RETURN_IF_ERROR(Health(state));
    for (const auto& path : request_.paths) PHX_RETURN_IF_ERROR(Path(path, state));
    for (const auto& mount : request_.first_files) PHX_RETURN_IF_ERROR(FirstFile(mount, state));
    for (const auto& [name, paths] : request_.files) {
      for (const auto& path : paths) {
        PHX_ASSIGN_OR_RETURN(const auto seen, zfs_.FileAt(name, path));
        if (seen) state.files[name][path] = *seen;
      }
    }
    state.users.emplace("root", 0);
    state.groups.emplace("root", 0);
    for (const auto& name : request_.users) {
      PHX_ASSIGN_OR_RETURN(const auto user, world_.Get("user", name));
      if (user) state.users[name] = (*user)["uid"].get<uint32_t>();
    }
    for (const auto& name : request_.groups) {
      PHX_ASSIGN_OR_RETURN(const auto group, world_.Get("group", name));
      if (group) state.groups[name] = (*group)["gid"].get<uint32_t>();
    }
    for (const auto& [root, key] : request_.keys) {
      PHX_ASSIGN_OR_RETURN(state.keys_fit[root], zfs_.KeyFits(root, key));
    }
    if (request_.owners) PHX_RETURN_IF_ERROR(Owners(state));
    if (request_.mount_points) PHX_RETURN_IF_ERROR(MountPoints(state));
    if (request_.links) {
      PHX_ASSIGN_OR_RETURN(const auto disks, world_.List("disk"));
      for (const auto& [path, disk] : disks) state.links.emplace(disk["device"], path);
    }
    return request_.arc ? Arc(state) : absl::OkStatus();
  }

 private:
  // What is mounted below is another file system.
  absl::Status FirstFile(const std::string& mount, ZfsState& state) {
    std::vector<std::string> others;
    PHX_ASSIGN_OR_RETURN(const auto datasets, world_.List("zfs.dataset"));
    for (const auto& [name, value] : datasets) {
      const std::string at = value.value("mounted", "");
      if (at.starts_with(mount + "/")) others.push_back(at + "/");
    }
    PHX_ASSIGN_OR_RETURN(const auto below, world_.FilesBelow(mount));
    for (const auto& path : below) {
      const bool elsewhere = std::any_of(others.begin(), others.end(),
                                         [&](const std::string& other) { return path.starts_with(other); });
      PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(path));
      if (!file->directory && !elsewhere && request_.ours.count(path) == 0)
        state.first_files.emplace(mount, path);
    }
    return absl::OkStatus();
  }

  absl::Status Pools(ZfsState& state) {
    PHX_ASSIGN_OR_RETURN(const auto disks, world_.List("disk"));
    std::map<std::string, json> by_path(disks.begin(), disks.end());
    PHX_ASSIGN_OR_RETURN(const auto pools, world_.List("zfs.pool"));
    for (const auto& [name, value] : pools) {
      if (value.value("exported", false)) {
        ExportedPool exported{.name = name, .guid = value["guid"].get<uint64_t>(), .state = "ONLINE"};
        exported.in_use_elsewhere = value.value("elsewhere", false);
        for (const auto& group : value["layout"]) {
          for (const auto& disk : group["disks"]) exported.members.push_back(disk.get<std::string>());
        }
        state.exported.push_back(std::move(exported));
        continue;
      }
      PoolState pool{.name = name, .guid = value["guid"].get<uint64_t>(), .health = value["health"]};
      // A disk that is gone is known by the path that it was imported with.
      const auto device = [&](const std::string& path) {
        const auto disk = by_path.find(path);
        return disk == by_path.end() ? path : disk->second["device"].get<std::string>();
      };
      for (const auto& group : value["layout"]) {
        VdevGroup seen{group["kind"], {}, *VdevClassOf(group.value("class", "data"))};
        for (const auto& path : group["disks"]) {
          seen.disks.push_back(device(path));
          MemberState& member = pool.members[seen.disks.back()];
          const auto disk = by_path.find(path.get<std::string>());
          if (disk == by_path.end()) {
            member.state = "UNAVAIL";
            if (const std::string health = HealthWithout(seen); pool.health == "ONLINE") pool.health = health;
          } else {
            member.size_bytes = disk->second["size"].get<uint64_t>();
            member.state = seen.vdev_class == VdevClass::kSpare ? "AVAIL" : "ONLINE";
          }
          if (seen.vdev_class == VdevClass::kData) pool.size_bytes += member.size_bytes;
          if (request_.vdev_names) {
            member.name =
                value.value("names", json::object()).value(path.get<std::string>(), path.get<std::string>());
            member.vdev_name = group["disks"][0];
          }
        }
        pool.layout.push_back(std::move(seen));
      }
      const json replacing = value.value("replacing", json::object());
      for (const auto& [fresh, old] : replacing.items()) {
        MemberState& before = pool.members[device(old)];
        before.state = by_path.count(old.get<std::string>()) == 0 ? "UNAVAIL" : "ONLINE";
        if (request_.vdev_names) before.name = old.get<std::string>();
        pool.members[device(fresh)].replaces = device(old);
      }
      pool.free_bytes = pool.size_bytes - value.value("allocated", uint64_t{0});
      pool.data_errors = value.value("data_errors", uint64_t{0});
      if (const auto scan = ParseScan(value.value("scan", ""))) pool.scans.push_back(*scan);
      for (const auto& [property, standard] : kPoolDefaults)
        pool.properties[property] = {standard, "default", "-"};
      for (const auto& [property, set] : value["properties"].items()) {
        pool.properties[property] = {set.get<std::string>(), "local", "-"};
      }
      state.pools[name] = std::move(pool);
    }
    return absl::OkStatus();
  }

  absl::Status Datasets(ZfsState& state) {
    PHX_ASSIGN_OR_RETURN(const auto all, world_.List("zfs.dataset"));
    for (const auto& [name, value] : all) {
      const std::string& each = name;
      const bool asked =
          request_.all_datasets ||
          std::any_of(request_.datasets.begin(), request_.datasets.end(), [&](const std::string& wanted) {
            return wanted == each || (request_.recursive && IsBelow(each, wanted));
          });
      PHX_ASSIGN_OR_RETURN(const auto pool, world_.Get("zfs.pool", PoolOf(name)));
      if (!asked || !pool || pool->value("exported", false)) continue;
      DatasetState dataset{.name = name, .type = value["type"], .guid = value["guid"].get<uint64_t>()};
      PHX_ASSIGN_OR_RETURN(dataset.properties, zfs_.PropertiesOf(name));
      dataset.mounted_at = value["mounted"];
      if (!dataset.mounted_at.empty()) {
        PHX_ASSIGN_OR_RETURN(const auto root, world_.ReadFile(dataset.mounted_at));
        if (root) dataset.root = DirectoryState{root->state.uid, root->state.gid, root->state.mode};
        // What there is of another time shows again with the type.
        if (SameValue("acltype", dataset.Value("acltype"), "posix")) dataset.acl = value.value("acl", Acl());
      }
      state.datasets[name] = std::move(dataset);
    }
    return absl::OkStatus();
  }

  absl::Status Snapshots(ZfsState& state) {
    PHX_ASSIGN_OR_RETURN(const auto all, world_.List("zfs.snapshot"));
    for (const auto& [name, value] : all) {
      const std::string dataset = DatasetOf(name);
      const bool asked = request_.datasets.empty() ||
                         std::any_of(request_.datasets.begin(), request_.datasets.end(),
                                     [&](const std::string& wanted) { return IsBelow(dataset, wanted); });
      if (!asked) continue;
      SnapshotState snapshot{.name = name, .guid = value["guid"].get<uint64_t>()};
      snapshot.creation_seconds = value["created"].get<int64_t>();
      snapshot.used_bytes = value.value("used", uint64_t{0});
      const auto tags = value["tags"].get<std::vector<std::string>>();
      snapshot.holds = tags.size();
      if (request_.holds) snapshot.tags = tags;
      snapshot.clones = value["clones"].get<std::vector<std::string>>();
      snapshot.run = value["local"].value(std::string(kRunMark), "");
      snapshot.stage = value["local"].value(std::string(kStageMark), "");
      snapshot.boot_mark = value["local"].value(std::string(kBootMark), "");
      snapshot.committed_seconds =
          std::strtoll(value["local"].value(std::string(kCommittedMark), "").c_str(), nullptr, 10);
      state.snapshots[name] = std::move(snapshot);
    }
    return absl::OkStatus();
  }

  absl::Status Disks(ZfsState& state) {
    PHX_ASSIGN_OR_RETURN(const auto disks, world_.List("disk"));
    for (const auto& [path, value] : disks) {
      const bool asked =
          std::find(request_.disks.begin(), request_.disks.end(), path) != request_.disks.end() ||
          (request_.disks.size() == 1 && request_.disks[0] == "*");
      if (!asked) continue;
      DiskState disk{.path = path,
                     .device_path = value["device"],
                     .serial = value["serial"],
                     .size_bytes = value["size"].get<uint64_t>()};
      disk.in_use = value.value("in_use", "");
      const std::string pool = value.value("pool", "");
      PHX_ASSIGN_OR_RETURN(const auto owner, world_.Get("zfs.pool", pool));
      if (owner && !owner->value("exported", false)) {
        disk.member_of = pool;
      } else {
        for (const auto& finding : value["holds"]) disk.findings.push_back(FindingOf(finding));
      }
      state.disks[path] = std::move(disk);
    }
    return absl::OkStatus();
  }

  absl::Status Health(ZfsState& state) {
    PHX_ASSIGN_OR_RETURN(const auto disks, world_.List("disk"));
    const bool all = request_.health.size() == 1 && request_.health[0] == "*";
    for (const auto& [path, disk] : disks) {
      const auto& asked = request_.health;
      if (!all && std::find(asked.begin(), asked.end(), path) == asked.end()) continue;
      // A disk that no limit helps against.
      std::this_thread::sleep_for(std::chrono::seconds(disk.value("smart_hangs_seconds", 0)));
      const std::string smart = disk.contains("smart") ? disk["smart"].dump() : kNewDisk;
      state.health[path] = ParseSmart(smart, disk.value("exit", 0));
    }
    return absl::OkStatus();
  }

  absl::Status Path(const std::string& path, ZfsState& state) {
    PathState seen;
    PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(path));
    if (file && file->directory) {
      seen.directory = DirectoryState{file->state.uid, file->state.gid, file->state.mode};
      PHX_ASSIGN_OR_RETURN(const auto below, world_.FilesBelow(path));
      for (const auto& each : below) {
        if (DirectoryOf(each) == path) seen.entries.push_back(LastOf(each));
      }
    } else if (file) {
      return FailedPrecondition("{} is not a directory", path);
    }
    PHX_ASSIGN_OR_RETURN(const auto datasets, world_.List("zfs.dataset"));
    for (const auto& [name, value] : datasets)
      seen.mount_point = seen.mount_point || value["mounted"] == path;
    state.paths[path] = std::move(seen);
    return absl::OkStatus();
  }

  absl::Status MountPoints(ZfsState& state) {
    PHX_ASSIGN_OR_RETURN(const auto others, world_.List("mount"));
    for (const auto& [path, mount] : others) state.mount_points.insert(path);
    PHX_ASSIGN_OR_RETURN(const auto datasets, world_.List("zfs.dataset"));
    for (const auto& [name, dataset] : datasets) {
      if (const std::string path = dataset.value("mounted", ""); !path.empty())
        state.mount_points.insert(path);
    }
    return absl::OkStatus();
  }

  absl::Status Owners(ZfsState& state) {
    std::map<uint32_t, std::string> users = {{0, "root"}}, groups = {{0, "root"}};
    PHX_ASSIGN_OR_RETURN(const auto all_users, world_.List("user"));
    for (const auto& [name, user] : all_users) users.emplace(user["uid"].get<uint32_t>(), name);
    PHX_ASSIGN_OR_RETURN(const auto all_groups, world_.List("group"));
    for (const auto& [name, group] : all_groups) groups.emplace(group["gid"].get<uint32_t>(), name);
    for (auto& [name, dataset] : state.datasets) {
      if (!dataset.root) continue;
      dataset.owner = users[dataset.root->uid];
      dataset.group = groups[dataset.root->gid];
    }
    return absl::OkStatus();
  }

  absl::Status Arc(ZfsState& state) {
    PHX_ASSIGN_OR_RETURN(const auto max, zfs_.ReadArcBound(false));
    PHX_ASSIGN_OR_RETURN(const auto min, zfs_.ReadArcBound(true));
    state.arc.live = max.value;
    state.arc.in_force = max.in_force;
    state.arc.min_live = min.value;
    state.arc.min_in_force = min.in_force;
    PHX_ASSIGN_OR_RETURN(const auto file, world_.ReadFile(kArcFile));
    if (file) state.arc.file = file->state;
    state.arc.memory_bytes = kMemoryBytes;
    PHX_ASSIGN_OR_RETURN(const auto initramfs, world_.Get("zfs.initramfs", "all"));
    if (!initramfs) return absl::OkStatus();
    state.arc.root_on_zfs = state.arc.updates_initramfs = true;
    state.arc.initramfs_is_older = (*initramfs)["file"] != (file ? json(file->state.content) : json());
    return absl::OkStatus();
  }

  kit::World& world_;
  SimZfs zfs_;
  const ObserveRequest& request_;
};

}  // namespace

std::map<std::string, std::string> ZfsSim::Versions() { return {{"zfs", "simulated"}}; }

absl::StatusOr<ZfsState> ZfsSim::Observe(const ObserveRequest& request) {
  ZfsState state;
  PHX_RETURN_IF_ERROR(
      machine_->Look([&](kit::World& world) { return Observer(world, request).Read(state); }));
  return state;
}

absl::Status ZfsSim::Change(const ZfsChange& change, const ChildObserver& on_child) {
  const std::string operation = "zfs." + OperationOf(change);
  std::optional<std::string> fault;
  // A transaction of its own: the fault is used up even where the change then fails.
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(fault, world.TakeFault(operation + ":" + ObjectOf(change)));
    if (!fault) {
      PHX_ASSIGN_OR_RETURN(fault, world.TakeFault(operation));
    }
    return absl::OkStatus();
  }));
  if (on_child && !CommandsFor(change).empty())
    PHX_RETURN_IF_ERROR(on_child(ChildIdentity{0, 0, "simulated"}));
  if (fault == "fail") return Internal("planned fault: {} {} failed", operation, ObjectOf(change));
  if (fault != "nothing") {
    PHX_RETURN_IF_ERROR(machine_->Change(
        [&](kit::World& world) { return SimZfs(world, clock_.WallSeconds()).Apply(change); }));
  }
  if (fault == "lie")
    return Internal("planned fault: {} {} says that it failed", operation, ObjectOf(change));
  return absl::OkStatus();
}

absl::Status SeedDisks(kit::Machine& machine) {
  return machine.Change([](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto disks, world.List("disk"));
    if (!disks.empty()) return absl::OkStatus();
    int number = 0;
    for (const auto& [serial, terabytes] : {std::pair("S1A", 2), {"S1B", 2}, {"S2A", 4}}) {
      PHX_RETURN_IF_ERROR(world.Put("disk", fmt::format("/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_{}", serial),
                                    {{"serial", serial},
                                     {"size", uint64_t(terabytes) * 1'000'000'000'000},
                                     {"device", fmt::format("/dev/nvme{}n1", number++)},
                                     {"holds", json::array()},
                                     {"pool", ""}}));
    }
    return absl::OkStatus();
  });
}

absl::Status PutOnDisk(kit::Machine& machine, const std::string& disk, const Finding& finding) {
  return machine.Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto value, world.Get("disk", disk));
    if (!value) return NotFound("no disk {}", disk);
    (*value)["holds"].push_back({{"where", (*value)["device"].get<std::string>() + finding.where},
                                 {"what", finding.what},
                                 {"pool", finding.pool},
                                 {"pool_guid", finding.pool_guid},
                                 {"zfs_partition", finding.zfs_partition}});
    return world.Put("disk", disk, *value);
  });
}

absl::Status PullDisk(kit::Machine& machine, const std::string& disk) {
  return machine.Change([&](kit::World& world) { return world.Delete("disk", disk); });
}

absl::Status SetSmart(kit::Machine& machine, const std::string& disk, const std::string& smart) {
  return machine.Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto value, world.Get("disk", disk));
    if (!value) return NotFound("no disk {}", disk);
    (*value)["smart"] = json::parse(smart, nullptr, /*allow_exceptions=*/false);
    return world.Put("disk", disk, *value);
  });
}

absl::Status SetPoolHealth(kit::Machine& machine, const std::string& pool, const std::string& health,
                           uint64_t data_errors) {
  return machine.Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto value, world.Get("zfs.pool", pool));
    if (!value) return NotFound("no pool {}", pool);
    (*value)["health"] = health;
    (*value)["data_errors"] = data_errors;
    return world.Put("zfs.pool", pool, *value);
  });
}

absl::Status ExportFromOutside(kit::Machine& machine, const std::string& pool) {
  return machine.Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto value, world.Get("zfs.pool", pool));
    if (!value) return NotFound("no pool {}", pool);
    SimZfs zfs(world);
    PHX_RETURN_IF_ERROR(zfs.UnmountAll(pool));
    PHX_RETURN_IF_ERROR(zfs.ForgetKeys(pool));
    (*value)["exported"] = true;
    return world.Put("zfs.pool", pool, *value);
  });
}

absl::Status LockFromOutside(kit::Machine& machine, const std::string& pool) {
  return machine.Change([&](kit::World& world) -> absl::Status {
    SimZfs zfs(world);
    PHX_ASSIGN_OR_RETURN(const auto names, zfs.Below(pool));
    for (const auto& name : names) {
      PHX_ASSIGN_OR_RETURN(const auto dataset, zfs.Dataset(name));
      if (dataset.contains("crypt") && IsMounted(dataset)) PHX_RETURN_IF_ERROR(zfs.UnmountAll(name));
    }
    return zfs.ForgetKeys(pool);
  });
}

}  // namespace phoenix::zfs
