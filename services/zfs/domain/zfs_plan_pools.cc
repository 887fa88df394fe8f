#include <algorithm>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

class PoolPlanner {
 public:
  PoolPlanner(Planning& planning, const PoolSpec& pool) : planning_(planning), pool_(pool) {}

  void Plan() {
    const auto found = planning_.seen.pools.find(pool_.name);
    const size_t before = planning_.violations.size();
    if (found != planning_.seen.pools.end()) {
      Compare(found->second);
    } else {
      Create();
    }
    if (planning_.violations.size() != before) planning_.failed_pools.insert(pool_.name);
  }

 private:
  std::string At(std::string_view field) const { return Place(pool_.origin, "pool", pool_.name, field); }

  // The kernel's disk behind a declared path; reports one that is not there.
  std::string DeviceOf(size_t index) {
    const std::string& path = pool_.disks[index];
    const auto disk = planning_.seen.disks.find(path);
    if (disk != planning_.seen.disks.end()) return disk->second.device_path;
    planning_.Refuse(At(fmt::format("disks[{}]", index)), "disk {} is not present on this node", path);
    return "";
  }

  // An existing pool is never skipped and never made again: what differs is said.
  void Compare(const PoolState& seen) {
    if (seen.health == "SUSPENDED" || seen.health == "UNAVAIL") {
      planning_.Refuse(At("name"), "pool {} is {}: nothing can be changed in it until its disks are back",
                       pool_.name, seen.health);
      return;
    }
    if (seen.health != "ONLINE") planning_.Warn(pool_.name, "pool {} is {}", pool_.name, seen.health);
    for (const auto& [name, value] : pool_.properties) {
      const auto now = seen.properties.find(name);
      if (now == seen.properties.end() || now->second.value == value) continue;
      planning_.Warn(pool_.name,
                     "pool property {} is {}, declared is {}; properties of existing pools are not changed",
                     name, now->second.value, value);
    }
    if (pool_.disks.empty()) {
      if (!pool_.raid_level.empty()) {
        const auto level = RaidLevelOf(seen.layout);
        planning_.plan.notes.push_back(
            {false, pool_.name,
             fmt::format("pool {} exists as a {}; no disks are declared to compare it with", pool_.name,
                         level)});
      }
      return;
    }
    auto wanted = LayoutOf(pool_.raid_level, pool_.disks);
    if (!wanted.ok()) return;  // told by CheckSpec
    bool complete = true;
    for (size_t i = 0; i < pool_.disks.size(); ++i) complete = !DeviceOf(i).empty() && complete;
    if (!complete) return;
    for (auto& group : *wanted) {
      for (auto& disk : group.disks) disk = planning_.seen.disks.find(disk)->second.device_path;
    }
    if (const std::string why = ExplainDifference(*wanted, seen.layout); !why.empty()) {
      planning_.Refuse(
          At("disks"),
          "pool {} exists and is not what is declared: {}. Phoenix neither skips this nor makes the pool "
          "again; declare what is there, or change the pool by hand",
          pool_.name, why);
    }
  }

  void Create() {
    for (const auto& exported : planning_.seen.exported) {
      if (exported.name != pool_.name) continue;
      planning_.Refuse(At("name"),
                       "a pool {} (GUID {}) is there but exported; import it with `zpool import {}`, or name "
                       "another pool",
                       pool_.name, exported.guid, pool_.name);
      return;
    }
    if (pool_.disks.empty()) {
      planning_.Refuse(At("disks"), "pool {} is not there, and no disks are declared to make it of",
                       pool_.name);
      return;
    }
    CheckDisks();
    const auto layout = LayoutOf(pool_.raid_level, pool_.disks);
    // The step is planned even where a disk is refused, so that what lies in the pool is checked in the same
    // answer.
    if (layout.ok()) AddStep(*layout);
    planning_.coming_pools.insert(pool_.name);
    planning_.coming_datasets.insert(pool_.name);
  }

  void CheckDisks() {
    std::map<std::string, size_t> devices;
    for (size_t i = 0; i < pool_.disks.size(); ++i) {
      const std::string device = DeviceOf(i);
      if (device.empty()) continue;
      const std::string field = At(fmt::format("disks[{}]", i));
      const auto [first, fresh] = devices.emplace(device, i);
      if (!fresh) {
        planning_.Refuse(field, "{} is the same disk as {} ({})", pool_.disks[i], pool_.disks[first->second],
                         device);
        continue;
      }
      CheckDisk(field, planning_.seen.disks.find(pool_.disks[i])->second);
    }
  }

  void CheckDisk(const std::string& field, const DiskState& disk) {
    if (!disk.member_of.empty()) {
      planning_.Refuse(field, "disk {} ({}) is a member of the imported pool {}", disk.path, disk.device_path,
                       disk.member_of);
      return;
    }
    if (!disk.in_use.empty()) {
      planning_.Refuse(field, "disk {} ({}) is in use: {}", disk.path, disk.device_path, disk.in_use);
      return;
    }
    if (disk.findings.empty()) return;
    std::string found;
    for (const auto& finding : disk.findings) {
      found += fmt::format("{}{}: {}", found.empty() ? "" : "; ", finding.where, finding.what);
    }
    if (planning_.spec.mode == Mode::kForceDestructive) {
      wiped_ += fmt::format("{}{} ({})", wiped_.empty() ? "" : ", ", disk.path, found);
      return;
    }
    planning_.Refuse(
        field, "disk {} is not blank, and {} mode wipes nothing. Found: {}", disk.path,
        planning_.spec.mode == Mode::kSafe ? "safe" : "interactive (approvals are not available yet)", found);
  }

  void AddStep(const std::vector<VdevGroup>& layout) {
    CreatePoolStep step{.name = pool_.name, .layout = layout, .properties = pool_.properties};
    step.mountpoint = planning_.mounts.Of(pool_.name);
    CheckMountDirectory(planning_, At("name"), pool_.name, step.mountpoint);
    AddMountNeeds(planning_, step.mountpoint, mount_needs_);
    step.wipe = !wiped_.empty();
    PlannedStep planned{.id = "pool:" + pool_.name, .resource = pool_.name, .action = "create pool"};
    planned.needs = mount_needs_;
    for (const auto& dataset : planning_.spec.datasets) {
      if (dataset.name != pool_.name || dataset.presence != Presence::kPresent) continue;
      step.root_properties = dataset.properties;
      step.root = {dataset.owner, dataset.group, dataset.mode};
      AddRootNeeds(step.root, planning_.seen, planned.needs);
      for (const auto& [name, value] : dataset.properties) planned.differences.push_back({name, "", value});
      for (auto& difference : RootDifferences(step.root, std::nullopt, planning_.seen)) {
        planned.differences.push_back(std::move(difference));
      }
    }
    // A mount point that ZFS derives by itself is left to it: it then also cleans the directory up.
    if (const auto path = step.root_properties.find("mountpoint");
        path != step.root_properties.end() && path->second == "/" + pool_.name) {
      step.root_properties.erase(path);
    }
    planned.differences.push_back({"layout", "absent", ToText(layout)});
    for (const auto& [name, value] : pool_.properties)
      planned.differences.push_back({"pool " + name, "", value});
    planned.reversal = Reversal::kConfig;
    planned.undo =
        "zpool destroy, if it is still the very pool and holds nothing of others; its labels and partition "
        "tables are cleared, so that the disks are blank to every probe again";
    if (step.wipe) {
      planned.reversal = Reversal::kPointOfNoReturn;
      planned.differences.push_back({"wiped", wiped_, "gone"});
      planned.undo = "zpool destroy; what the disks held before cannot come back";
      planned.remainder = fmt::format("disks empty: {}", wiped_);
    }
    planned.provides = {"pool:" + pool_.name, "dataset:" + pool_.name};
    if (!step.mountpoint.empty()) planned.provides.push_back("path:" + step.mountpoint);
    planned.step = std::move(step);
    planning_.plan.steps.push_back(std::move(planned));
  }

  Planning& planning_;
  const PoolSpec& pool_;
  std::string wiped_;
  std::vector<Need> mount_needs_;
};

}  // namespace

void PlanPools(Planning& planning) {
  for (const auto& pool : planning.spec.pools) {
    if (planning.failed_pools.count(pool.name) == 0) PoolPlanner(planning, pool).Plan();
  }
}

}  // namespace phoenix::zfs
