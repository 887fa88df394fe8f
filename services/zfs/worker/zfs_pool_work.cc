#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_disk_work.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

ObserveRequest LookAt(const CreatePoolStep& step) {
  ObserveRequest request;
  request.pools = true;
  request.wanted_pools = {step.name};
  request.datasets = {step.name};
  request.disks = DisksOf(step.layout);
  return request;
}

PropertyMap MarkedProperties(const CreatePoolStep& step, const std::string& run_id) {
  PropertyMap properties = step.root_properties;
  properties.emplace(kRunMark, run_id);
  return properties;
}

absl::StatusOr<std::string> WhyPoolMustStay(const Work& work, const CreatePoolStep& step) {
  ObserveRequest request;
  request.datasets = {step.name};
  request.recursive = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState below, work.host.Observe(request));
  std::string others;
  std::vector<std::string> containers;
  for (const auto& [name, dataset] : below.datasets) {
    if (name == step.name) continue;
    if (IsContainer(name)) {
      containers.push_back(name);
    } else {
      others += (others.empty() ? "" : ", ") + name;
    }
  }
  if (!others.empty()) return "it holds " + others;
  // Empty by now; deepest first.
  std::sort(containers.rbegin(), containers.rend());
  for (const auto& container : containers) PHX_RETURN_IF_ERROR(work.Change(DestroyDataset{container}));
  return ProveEmpty(work, step.name);
}

}  // namespace

absl::StatusOr<json> Capture(const Work& work, const CreatePoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(LookAt(step)));
  json captured = {{"pool", 0}};
  if (const auto pool = seen.pools.find(step.name); pool != seen.pools.end())
    captured["pool"] = pool->second.guid;
  PHX_ASSIGN_OR_RETURN(captured["disks"], CaptureDisks(seen, DisksOf(step.layout)));
  PHX_ASSIGN_OR_RETURN(captured["directory"], CaptureDirectory(work, step.mountpoint));
  return captured;
}

std::vector<ZfsChange> ChangesOf(const CreatePoolStep& step, const std::string& run_id) {
  return {CreatePool{step.name, step.layout, step.properties, MarkedProperties(step, run_id), step.wipe,
                     ShownKey(step.key)}};
}

absl::Status Do(const Work& work, const CreatePoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(LookAt(step)));
  const auto root = seen.datasets.find(step.name);
  if (seen.pools.count(step.name) == 0) {
    std::vector<const DiskState*> dirty;
    PHX_ASSIGN_OR_RETURN(const auto probe,
                         ProbeDisks(work, step.name, DisksOf(step.layout), step.wipe, seen, &dirty));
    if (probe.probe == kit::Probe::kForeign) return ForeignChange("pool " + step.name, probe.found);
    PHX_RETURN_IF_ERROR(ClearForUse(work, seen, DisksOf(step.layout), step.wipe, std::move(dirty)));
    for (auto& change : ChangesOf(step, work.run_id)) {
      if (auto* create = std::get_if<CreatePool>(&change)) {
        PHX_ASSIGN_OR_RETURN(create->encryption, NewKeyOf(work, step.key));
      }
      PHX_RETURN_IF_ERROR(work.Change(change));
    }
  } else if (root == seen.datasets.end() || root->second.LocalValue(kRunMark) != work.run_id) {
    return ForeignChange("pool " + step.name, "it is there, and this run did not make it");
  }
  if (step.mountpoint.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto now, work.Dataset(step.name));
  if (now && now->mounted_at.empty()) PHX_RETURN_IF_ERROR(work.Change(MountDataset{step.name}));
  if (step.root.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto mounted, work.Dataset(step.name));
  if (!mounted || !mounted->root) return Internal("{} is not mounted", step.name);
  PHX_ASSIGN_OR_RETURN(const SetMountRoot change,
                       RootChange(work, step.name, step.mountpoint, step.root, *mounted->root));
  return work.Change(change);
}

absl::StatusOr<kit::ProbeResult> Probe(const Work& work, const CreatePoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(LookAt(step)));
  for (const auto& exported : seen.exported) {
    if (exported.name == step.name) return kit::ProbeResult{kit::Probe::kForeign, "the pool was exported"};
  }
  const auto pool = seen.pools.find(step.name);
  if (pool == seen.pools.end()) {
    PHX_ASSIGN_OR_RETURN(auto disks,
                         ProbeDisks(work, step.name, DisksOf(step.layout), step.wipe, seen, nullptr));
    if (disks.probe != kit::Probe::kNotDone) return disks;
    return ProbeDirectory(work, step.mountpoint);
  }
  const auto root = seen.datasets.find(step.name);
  if (root == seen.datasets.end() || root->second.LocalValue(kRunMark) != work.run_id) {
    return kit::ProbeResult{kit::Probe::kForeign,
                            fmt::format("pool {} is there, and this run did not make it", step.name)};
  }
  std::vector<VdevGroup> wanted = step.layout;
  for (auto& group : wanted) {
    for (auto& path : group.disks) {
      const auto disk = seen.disks.find(path);
      if (disk != seen.disks.end()) path = disk->second.device_path;
    }
  }
  if (const std::string why = ExplainDifference(wanted, pool->second.layout); !why.empty()) {
    return kit::ProbeResult{kit::Probe::kForeign, why};
  }
  if (step.key && root->second.Value("encryptionroot") != step.name)
    return kit::ProbeResult{kit::Probe::kForeign, "its root dataset is no encryption root"};
  for (const auto& [name, value] : step.root_properties) {
    if (!SameValue(name, ComparedValue(root->second, name), value)) {
      return kit::ProbeResult{kit::Probe::kPartial, fmt::format("{} is {}", name, root->second.Value(name))};
    }
  }
  if (root->second.mounted_at != step.mountpoint)
    return kit::ProbeResult{kit::Probe::kPartial, "it is not mounted"};
  if (!step.root.empty() && root->second.root) {
    PHX_ASSIGN_OR_RETURN(const SetMountRoot change,
                         RootChange(work, step.name, step.mountpoint, step.root, *root->second.root));
    if (!IsDone(change, root->second))
      return kit::ProbeResult{kit::Probe::kPartial, "owner, group, mode or ACL differ"};
  }
  return kit::ProbeResult{kit::Probe::kDone, ""};
}

absl::Status Undo(const Work& work, const CreatePoolStep& step) {
  PHX_ASSIGN_OR_RETURN(ZfsState seen, work.host.Observe(LookAt(step)));
  for (const auto& exported : seen.exported) {
    if (exported.name == step.name) return ForeignChange("pool " + step.name, "it was exported");
  }
  if (seen.pools.count(step.name) != 0) {
    const auto root = seen.datasets.find(step.name);
    if (root == seen.datasets.end() || root->second.LocalValue(kRunMark) != work.run_id) {
      return ForeignChange("pool " + step.name, "it is there, and this run did not make it");
    }
    PHX_ASSIGN_OR_RETURN(const std::string why, WhyPoolMustStay(work, step));
    if (!why.empty()) {
      return WithReason(
          FailedPrecondition("pool {} was created by this run and stays, since others use it: {}", step.name,
                             why),
          {"POOL_HOLDS_DATA", {{"pool", step.name}}});
    }
    PHX_RETURN_IF_ERROR(work.Change(DestroyPool{step.name}));
    PHX_ASSIGN_OR_RETURN(seen, work.host.Observe(LookAt(step)));
    if (seen.pools.count(step.name) != 0)
      return Internal("pool {} is still there after zpool destroy", step.name);
  }
  std::vector<const DiskState*> dirty;
  PHX_ASSIGN_OR_RETURN(const auto probe,
                       ProbeDisks(work, step.name, DisksOf(step.layout), step.wipe, seen, &dirty));
  if (probe.probe == kit::Probe::kForeign) return ForeignChange("pool " + step.name, probe.found);
  for (const DiskState* disk : dirty) PHX_RETURN_IF_ERROR(work.Change(Clearing(*disk)));
  return RestoreDirectory(work, step.mountpoint, work.captured.value("directory", json()));
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const CreatePoolStep& step) {
  ObserveRequest request;
  request.pools = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, work.host.Observe(request));
  const auto pool = seen.pools.find(step.name);
  if (pool == seen.pools.end()) return NotFound("pool {} is not there", step.name);
  kit::LedgerEntry entry{
      .key = "pool:" + step.name, .identity = std::to_string(pool->second.guid), .created = true};
  entry.fields = json({{"layout", ToText(step.layout)}, {"properties", step.properties}}).dump();
  return kit::LedgerChange{{entry}, {}};
}

// Nobody is told to destroy what nobody could look into, what others wrote to, or what is not the run's.
std::vector<ZfsChange> UndoChanges(const Work& work, const CreatePoolStep& step) {
  ObserveRequest request = LookAt(step);
  request.recursive = true;
  const auto seen = work.host.Observe(request);
  if (!seen.ok()) return {};
  if (seen->pools.count(step.name) == 0) {
    // Its disks are left, unless it was exported: it may hold something by then.
    const bool exported = std::any_of(seen->exported.begin(), seen->exported.end(),
                                      [&](const auto& pool) { return pool.name == step.name; });
    const auto disks = ProbeDisks(work, step.name, DisksOf(step.layout), step.wipe, *seen, nullptr);
    if (exported || !disks.ok() || disks->probe == kit::Probe::kForeign) return {};
    return ClearingCaptured(work);
  }
  const auto root = seen->datasets.find(step.name);
  if (root == seen->datasets.end() || root->second.LocalValue(kRunMark) != work.run_id) return {};
  std::vector<ZfsChange> changes;
  for (const auto& [name, dataset] : seen->datasets) {
    if (IsLocked(dataset) && dataset.Value("encryptionroot") == name)
      changes.push_back(LoadKey{name, dataset.Value("keyformat"), NoKey()});
  }
  if (!changes.empty()) {
    for (const auto& mount : MountsOf(*seen, step.name)) changes.push_back(MountDataset{mount.name});
    return changes;
  }
  for (const auto& [name, dataset] : seen->datasets) {
    if (name != step.name && !IsContainer(name)) return {};
  }
  const auto others = FindOthersIn(work, step.name);
  if (!others.ok() || !others->empty()) return {};
  changes.push_back(DestroyPool{step.name});
  for (auto& clear : ClearingCaptured(work)) changes.push_back(std::move(clear));
  return changes;
}

}  // namespace phoenix::zfs
