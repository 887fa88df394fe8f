// The gate before unhealthy disks and pools: looks at the steps that the rest of the planner has made.
#include <algorithm>
#include <type_traits>

#include "services/zfs/domain/zfs_growth.h"
#include "services/zfs/domain/zfs_health.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"

namespace phoenix::zfs {
namespace {

// What a step does to the pool that it touches.
enum class Touch {
  kUse,      // changes what is in it
  kMend,     // puts a good disk in the place of a bad one
  kGrow,     // gives it more disks
  kDestroy,  // takes it, or what is in it, away
};

// The pool that is there already and that the step touches; "" for none.
template <class Step>
std::string PoolIn(const Step& step) {
  if constexpr (std::is_same_v<Step, CreatePoolStep> || std::is_same_v<Step, ImportPoolStep>) {
    return "";
  } else if constexpr (requires { step.pool; }) {
    return step.pool;
  } else if constexpr (requires { step.name; }) {
    return PoolOf(step.name);
  } else {
    return "";
  }
}
std::string PoolIn(const ZfsStep& step) {
  return std::visit([](const auto& one) { return PoolIn(one); }, step);
}

// The disks that get data by the step.
std::vector<std::string> DisksIn(const ZfsStep& step) {
  std::vector<std::string> disks;
  if (const auto* made = std::get_if<CreatePoolStep>(&step)) {
    for (const VdevGroup& vdev : made->layout)
      disks.insert(disks.end(), vdev.disks.begin(), vdev.disks.end());
  } else if (const auto* added = std::get_if<AddVdevStep>(&step)) {
    disks = added->vdev.disks;
  } else if (const auto* attached = std::get_if<AttachDiskStep>(&step)) {
    disks = {attached->disk};
  } else if (const auto* replaced = std::get_if<ReplaceDiskStep>(&step)) {
    disks = {replaced->disk};
  }
  return disks;
}

class HealthGate {
 public:
  explicit HealthGate(Planning& planning) : planning_(planning) {}

  void Check() {
    for (const PoolSpec& pool : planning_.spec.pools) {
      const auto seen = planning_.seen.pools.find(pool.name);
      if (pool.presence == Presence::kPresent && seen != planning_.seen.pools.end()) WarnOf(seen->second);
    }
    for (const PlannedStep& planned : planning_.plan.steps) {
      for (const auto& disk : DisksIn(planned.step)) CheckDisk(planned, disk);
      const auto pool = planning_.seen.pools.find(PoolIn(planned.step));
      if (pool != planning_.seen.pools.end()) CheckPool(planned, pool->second);
    }
  }

 private:
  bool Allowed(const std::string& name) const {
    const auto& names = planning_.spec.allow_unhealthy;
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  // Where the configuration speaks of what the step is about.
  std::string PlaceOf(const PlannedStep& planned, std::string_view field) const {
    std::string pool = PoolIn(planned.step);
    if (const auto* made = std::get_if<CreatePoolStep>(&planned.step)) pool = made->name;
    for (const DatasetSpec& dataset : planning_.spec.datasets) {
      if (dataset.name == planned.resource && dataset.name != pool)
        return Place(dataset.origin, "dataset", dataset.name, "name");
    }
    for (const PoolSpec& declared : planning_.spec.pools) {
      if (declared.name == pool) return Place(declared.origin, "pool", pool, field);
    }
    return Place("", "pool", pool);
  }

  std::string PlaceOfDisk(const PlannedStep& planned, const std::string& path) const {
    for (const PoolSpec& pool : planning_.spec.pools) {
      for (const auto& [field, disk] : DeclaredDisks(pool)) {
        if (disk == path) return Place(pool.origin, "pool", pool.name, field);
      }
    }
    return PlaceOf(planned, "disks");
  }

  void CheckDisk(const PlannedStep& planned, const std::string& path) {
    const auto found = planning_.seen.health.find(path);
    if (found == planning_.seen.health.end() || !told_disks_.insert(path).second) return;
    const DiskHealth& disk = found->second;
    const std::vector<std::string> why = WhyUnhealthy(disk, planning_.spec.health);
    if (why.empty()) {
      if (const auto doubts = Doubts(disk); !doubts.empty())
        planning_.Warn(planned.resource, "disk {}: {}", path, fmt::join(doubts, ", "));
      if (disk.verdict == DiskHealth::Verdict::kUnknown)
        planning_.plan.notes.push_back(
            {false, planned.resource,
             fmt::format("the health of disk {} is not known: {}", path, disk.unknown)});
    } else if (Allowed(path)) {
      planning_.Warn(planned.resource, "disk {} is used although it is unhealthy (--allow-unhealthy): {}",
                     path, fmt::join(why, "; "));
    } else {
      planning_.Refuse(PlaceOfDisk(planned, path),
                       "disk {} is unhealthy: {}. Declare another disk, or take this one all the same, for "
                       "this run: --allow-unhealthy {}",
                       path, fmt::join(why, "; "), path);
    }
  }

  Touch TouchOf(const ZfsStep& step, const PoolState& pool) const {
    if (const auto* replaced = std::get_if<ReplaceDiskStep>(&step)) {
      for (const auto& [disk, member] : pool.members) {
        if (member.name != replaced->member && disk != replaced->existing) continue;
        const bool errors = member.read_errors + member.write_errors + member.checksum_errors != 0;
        if (member.state != "ONLINE" || errors) return Touch::kMend;
      }
      return Touch::kGrow;
    }
    if (std::holds_alternative<AddVdevStep>(step) || std::holds_alternative<AttachDiskStep>(step))
      return Touch::kGrow;
    if (std::holds_alternative<DestroyPoolStep>(step)) return Touch::kDestroy;
    // A typed change names the one object that it takes away: that is the word for it.
    if (std::holds_alternative<DeleteDatasetStep>(step) && !planning_.spec.partial) return Touch::kDestroy;
    return Touch::kUse;
  }

  void CheckPool(const PlannedStep& planned, const PoolState& pool) {
    const std::vector<std::string> why = WhyUnhealthy(pool);
    if (why.empty()) return;
    if (IsUnusable(pool)) {
      if (planning_.failed_pools.insert(pool.name).second)
        planning_.Refuse(PlaceOf(planned, "name"),
                         "pool {} is {}: nothing can be changed in it until its disks are back", pool.name,
                         pool.health);
      return;
    }
    WarnOf(pool);
    const Touch touch = TouchOf(planned.step, pool);
    if (touch == Touch::kUse || touch == Touch::kMend) return;
    if (Allowed(pool.name)) {
      planning_.Warn(planned.resource,
                     "{} {} goes ahead although pool {} is unhealthy (--allow-unhealthy): {}", planned.action,
                     planned.resource, pool.name, fmt::join(why, "; "));
      return;
    }
    planning_.Refuse(
        PlaceOf(planned, touch == Touch::kGrow ? "disks" : "state"),
        "pool {} is unhealthy: {}. '{}' waits until it is mended; `zpool status -v {}` says how. To "
        "do it all the same, in this run: --allow-unhealthy {}",
        pool.name, fmt::join(why, "; "), planned.action, pool.name, pool.name);
  }

  void WarnOf(const PoolState& pool) {
    const std::vector<std::string> why = WhyUnhealthy(pool);
    if (why.empty() || IsUnusable(pool) || !told_pools_.insert(pool.name).second) return;
    planning_.Warn(pool.name, "pool {} is unhealthy: {}", pool.name, fmt::join(why, "; "));
  }

  Planning& planning_;
  std::set<std::string> told_pools_, told_disks_;
};

}  // namespace

void CheckHealth(Planning& planning) { HealthGate(planning).Check(); }

}  // namespace phoenix::zfs
