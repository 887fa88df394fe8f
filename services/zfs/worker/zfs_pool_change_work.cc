// Pools that are there: imported, given properties, destroyed.
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

absl::StatusOr<ZfsState> LookAt(const Work& work, const std::string& pool, bool datasets = false) {
  ObserveRequest request;
  request.pools = true;
  request.wanted_pools = {pool};
  if (datasets) {
    request.datasets = {pool};
    request.recursive = true;
  }
  return work.host.Observe(request);
}

// Where the very pool is: imported, exported, neither; or another one is imported under its name.
enum class Stand { kImported, kExported, kGone, kOther };
Stand StandOf(const ZfsState& seen, const std::string& name, uint64_t guid) {
  const auto pool = seen.pools.find(name);
  if (pool != seen.pools.end()) return pool->second.guid == guid ? Stand::kImported : Stand::kOther;
  const bool exported = std::any_of(seen.exported.begin(), seen.exported.end(),
                                    [&](const ExportedPool& one) { return one.guid == guid; });
  return exported ? Stand::kExported : Stand::kGone;
}

std::string InWords(Stand stand) {
  switch (stand) {
    case Stand::kImported:
      return "it is imported";
    case Stand::kExported:
      return "it was exported";
    case Stand::kGone:
      return "it is gone";
    case Stand::kOther:
      break;
  }
  return "another pool has its name";
}

// `comment` shows as "-" where there is none.
PropertyMap Settable(const json& captured) {
  auto properties = captured.get<PropertyMap>();
  for (auto& [name, value] : properties) {
    if (value == "-") value.clear();
  }
  return properties;
}

// Set to nothing, as undo sets it, it shows as nothing: the same as never set.
std::string ValueOf(const PoolState& pool, const std::string& name) {
  const auto found = pool.properties.find(name);
  return found == pool.properties.end() || found->second.value.empty() ? "-" : found->second.value;
}

}  // namespace

// Import.

absl::StatusOr<json> Capture(const Work& work, const ImportPoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(work, step.name));
  if (StandOf(seen, step.name, step.guid) != Stand::kExported)
    return FailedPrecondition("pool {} is no exported pool any more", step.name);
  return json{{"guid", step.guid}};
}

std::vector<ZfsChange> ChangesOf(const ImportPoolStep& step, const std::string&) {
  return {ImportPool{step.name, step.guid}};
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const ImportPoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(work, step.name));
  const Stand stand = StandOf(seen, step.name, step.guid);
  if (stand == Stand::kImported) return ProbeResult{Is::kDone, ""};
  if (stand == Stand::kExported) return ProbeResult{Is::kNotDone, ""};
  return ProbeResult{Is::kForeign, InWords(stand)};
}

absl::Status Do(const Work& work, const ImportPoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, Probe(work, step));
  if (probe.probe == Is::kDone) return absl::OkStatus();
  if (probe.probe == Is::kForeign) return ForeignChange("pool " + step.name, probe.found);
  return work.Change(ImportPool{step.name, step.guid});
}

absl::Status Undo(const Work& work, const ImportPoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, Probe(work, step));
  if (probe.probe == Is::kNotDone) return absl::OkStatus();
  if (probe.probe == Is::kForeign) return ForeignChange("pool " + step.name, probe.found);
  return work.Change(ExportPool{step.name});
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const ImportPoolStep&) { return kit::LedgerChange(); }

std::vector<ZfsChange> UndoChanges(const Work&, const ImportPoolStep& step) {
  return {ExportPool{step.name}};
}

// Properties.

absl::StatusOr<json> Capture(const Work& work, const SetPoolPropertiesStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(work, step.name));
  if (StandOf(seen, step.name, step.guid) != Stand::kImported)
    return FailedPrecondition("pool {} is gone or another one", step.name);
  json captured = {{"guid", step.guid}, {"properties", json::object()}};
  for (const auto& [name, value] : step.properties)
    captured["properties"][name] = ValueOf(seen.pools.find(step.name)->second, name);
  return captured;
}

std::vector<ZfsChange> ChangesOf(const SetPoolPropertiesStep& step, const std::string&) {
  return {SetPoolProperties{step.name, step.properties}};
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const SetPoolPropertiesStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(work, step.name));
  const Stand stand = StandOf(seen, step.name, step.guid);
  if (stand != Stand::kImported) return ProbeResult{Is::kForeign, InWords(stand)};
  const PoolState& pool = seen.pools.find(step.name)->second;
  size_t wanted = 0, before = 0;
  for (const auto& [name, value] : step.properties) {
    const std::string now = ValueOf(pool, name);
    const bool is_wanted = now == value, is_before = now == work.captured.at("properties").value(name, "-");
    if (!is_wanted && !is_before) return ProbeResult{Is::kForeign, fmt::format("{} is {}", name, now)};
    wanted += is_wanted ? 1 : 0;
    before += is_before ? 1 : 0;
  }
  if (wanted == step.properties.size()) return ProbeResult{Is::kDone, ""};
  if (before == step.properties.size()) return ProbeResult{Is::kNotDone, ""};
  return ProbeResult{Is::kPartial, "not all properties are set"};
}

absl::Status Do(const Work& work, const SetPoolPropertiesStep& step) {
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, Probe(work, step));
  if (probe.probe == Is::kForeign) return ForeignChange("pool " + step.name, probe.found);
  return work.Change(SetPoolProperties{step.name, step.properties});
}

absl::Status Undo(const Work& work, const SetPoolPropertiesStep& step) {
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, Probe(work, step));
  if (probe.probe == Is::kNotDone) return absl::OkStatus();
  if (probe.probe == Is::kForeign) return ForeignChange("pool " + step.name, probe.found);
  return work.Change(UndoChanges(work, step).front());
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const SetPoolPropertiesStep&) {
  return kit::LedgerChange();
}

std::vector<ZfsChange> UndoChanges(const Work& work, const SetPoolPropertiesStep& step) {
  return {SetPoolProperties{step.name, Settable(work.captured.at("properties"))}};
}

// Destroying.

absl::StatusOr<json> Capture(const Work& work, const DestroyPoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(work, step.name, /*datasets=*/true));
  if (StandOf(seen, step.name, step.guid) != Stand::kImported)
    return FailedPrecondition("pool {} is gone or another one", step.name);
  // Whatever else is mounted there goes before, by a step of its own.
  const auto root = seen.datasets.find(step.name);
  json captured = {{"guid", step.guid},
                   {"mounted", root != seen.datasets.end() && !root->second.mounted_at.empty()}};
  if (root != seen.datasets.end() && IsEncrypted(root->second))
    captured["keyformat"] = root->second.Value("keyformat");
  return captured;
}

std::vector<ZfsChange> ChangesOf(const DestroyPoolStep& step, const std::string&) {
  return {DestroyPool{step.name}};
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const DestroyPoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(work, step.name, /*datasets=*/work.undoing));
  const Stand stand = StandOf(seen, step.name, step.guid);
  if (stand == Stand::kImported) {
    const bool locked = std::any_of(seen.datasets.begin(), seen.datasets.end(),
                                    [](const auto& dataset) { return IsLocked(dataset.second); });
    if (!work.undoing || !locked || step.unlock.empty()) return ProbeResult{Is::kNotDone, ""};
    return ProbeResult{Is::kNotDone, "",
                       fmt::format("pool {} came back without the keys of what is encrypted in it; the next "
                                   "setup with the secrets loads them, or by hand: {}",
                                   step.name, step.unlock)};
  }
  if (stand == Stand::kGone) return ProbeResult{Is::kDone, ""};
  return ProbeResult{Is::kForeign, InWords(stand)};
}

absl::Status Do(const Work& work, const DestroyPoolStep& step) {
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, LookAt(work, step.name, /*datasets=*/true));
  const Stand stand = StandOf(seen, step.name, step.guid);
  if (stand == Stand::kGone) return absl::OkStatus();
  if (stand != Stand::kImported) return ForeignChange("pool " + step.name, InWords(stand));
  // The plan had all datasets put into the trash before: what is there besides came since.
  for (const auto& [name, dataset] : seen.datasets) {
    if (name != step.name && !IsContainer(name) && !IsAside(name, "trash"))
      return ForeignChange("pool " + step.name, fmt::format("it holds {}", name));
  }
  return work.Change(DestroyPool{step.name});
}

absl::Status Undo(const Work& work, const DestroyPoolStep& step) {
  PHX_ASSIGN_OR_RETURN(ZfsState seen, LookAt(work, step.name));
  Stand stand = StandOf(seen, step.name, step.guid);
  if (stand == Stand::kGone) {
    PHX_RETURN_IF_ERROR(work.Change(UndoChanges(work, step).front()));
    PHX_ASSIGN_OR_RETURN(seen, LookAt(work, step.name, /*datasets=*/true));
    stand = StandOf(seen, step.name, step.guid);
    if (stand == Stand::kGone) return Internal("pool {} is not there after zpool import -D", step.name);
  } else if (stand == Stand::kImported) {
    PHX_ASSIGN_OR_RETURN(seen, LookAt(work, step.name, /*datasets=*/true));
  }
  if (stand != Stand::kImported) return ForeignChange("pool " + step.name, InWords(stand));
  // It comes back unmounted.
  const auto root = seen.datasets.find(step.name);
  const bool mounted = root != seen.datasets.end() && !root->second.mounted_at.empty();
  if (!work.captured.at("mounted").get<bool>() || mounted || root == seen.datasets.end())
    return absl::OkStatus();
  return MountUnlessLocked(work, root->second);
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const DestroyPoolStep& step) {
  return kit::LedgerChange{{}, {"pool:" + step.name, "dataset:" + step.name}};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const DestroyPoolStep& step) {
  std::vector<ZfsChange> changes = {ImportPool{step.name, step.guid, /*destroyed=*/true}};
  const std::string format = work.captured.value("keyformat", "");
  if (!format.empty()) changes.push_back(LoadKey{step.name, format, NoKey()});
  if (work.captured.value("mounted", false)) changes.push_back(MountDataset{step.name});
  return changes;
}

}  // namespace phoenix::zfs
