#include "services/zfs/worker/zfs_disk_work.h"

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

json HoldsOf(const DiskState& disk) {
  json holds = json::array();
  for (const auto& finding : disk.findings) holds.push_back(finding.where + ": " + finding.what);
  return holds;
}

// What an interrupted create or destroy of this very pool leaves, and nothing else. The disks were proven
// blank before, and nobody else's tool names the pool on them.
bool IsOurResidue(const DiskState& disk, const std::string& pool) {
  return std::all_of(disk.findings.begin(), disk.findings.end(), [&](const Finding& finding) {
    return finding.pool.empty() ? finding.zfs_partition : finding.pool == pool;
  });
}

// What a wipe that was cut short may leave. A pool that was not there before is somebody else's.
bool IsLeftOfWipe(const DiskState& disk, const std::string& pool, const json& before) {
  if (before.empty()) return false;
  return std::all_of(disk.findings.begin(), disk.findings.end(), [&](const Finding& finding) {
    return finding.pool.empty() || finding.pool == pool ||
           std::find(before.begin(), before.end(), json(finding.where + ": " + finding.what)) != before.end();
  });
}

}  // namespace

ClearDisk Clearing(const DiskState& disk) {
  ClearDisk clear{disk.device_path, disk.size_bytes, {}};
  for (const auto& finding : disk.findings) {
    const auto& labelled = clear.labelled;
    if (!finding.pool.empty() &&
        std::find(labelled.begin(), labelled.end(), finding.where) == labelled.end()) {
      clear.labelled.push_back(finding.where);
    }
  }
  return clear;
}

absl::StatusOr<json> CaptureDisks(const ZfsState& seen, const std::vector<std::string>& disks) {
  json captured = json::object();
  for (const auto& path : disks) {
    const auto disk = seen.disks.find(path);
    if (disk == seen.disks.end()) return FailedPrecondition("disk {} is not present", path);
    captured[path] = {{"device", disk->second.device_path},
                      {"serial", disk->second.serial},
                      {"size", disk->second.size_bytes},
                      {"holds", HoldsOf(disk->second)}};
  }
  return captured;
}

absl::StatusOr<kit::ProbeResult> ProbeDisks(const Work& work, const std::string& pool,
                                            const std::vector<std::string>& disks, bool wipe,
                                            const ZfsState& seen, std::vector<const DiskState*>* dirty) {
  kit::ProbeResult result{kit::Probe::kNotDone, ""};
  for (const auto& path : disks) {
    const auto disk = seen.disks.find(path);
    if (disk == seen.disks.end())
      return kit::ProbeResult{kit::Probe::kForeign, fmt::format("disk {} is gone", path)};
    if (!disk->second.member_of.empty()) {
      return kit::ProbeResult{kit::Probe::kForeign,
                              fmt::format("disk {} is a member of pool {}", path, disk->second.member_of)};
    }
    const json holds = HoldsOf(disk->second);
    const json before = work.captured.contains("disks") && work.captured["disks"].contains(path)
                            ? work.captured["disks"][path]["holds"]
                            : json::array();
    if (holds.empty() || holds == before) continue;
    if (!IsOurResidue(disk->second, pool) && !(wipe && IsLeftOfWipe(disk->second, pool, before))) {
      return kit::ProbeResult{kit::Probe::kForeign, fmt::format("disk {} now holds {}", path, holds.dump())};
    }
    result = {kit::Probe::kPartial, fmt::format("disk {} holds {}", path, holds.dump())};
    if (dirty != nullptr) dirty->push_back(&disk->second);
  }
  return result;
}

std::vector<ZfsChange> ClearingCaptured(const Work& work) {
  std::vector<ZfsChange> changes;
  if (!work.captured.contains("disks")) return changes;
  for (const auto& [path, disk] : work.captured["disks"].items()) {
    changes.push_back(
        ClearDisk{disk.value("device", path), disk.value("size", uint64_t{0}), {path + "-part1"}});
  }
  return changes;
}

absl::Status ClearForUse(const Work& work, const ZfsState& seen, const std::vector<std::string>& disks,
                         bool wipe, std::vector<const DiskState*> dirty) {
  if (wipe) {
    dirty.clear();
    for (const auto& path : disks) {
      const auto found = seen.disks.find(path);
      if (found == seen.disks.end()) return FailedPrecondition("disk {} is not present", path);
      const DiskState& disk = found->second;
      if (!disk.in_use.empty()) return FailedPrecondition("disk {} is in use: {}", path, disk.in_use);
      if (!disk.findings.empty()) dirty.push_back(&disk);
    }
  }
  for (const DiskState* disk : dirty) PHX_RETURN_IF_ERROR(work.Change(Clearing(*disk)));
  return absl::OkStatus();
}

}  // namespace phoenix::zfs
