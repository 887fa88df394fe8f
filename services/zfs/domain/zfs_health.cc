#include "services/zfs/domain/zfs_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "services/zfs/domain/zfs_growth.h"
#include "services/zfs/domain/zfs_names.h"

namespace phoenix::zfs {
namespace {

// Above this ZFS has to search for free space, and slows down.
constexpr uint64_t kFullPercent = 90;

// NVMe's bits, from the lowest.
constexpr const char* kCriticalWarnings[] = {
    "spare blocks are below their threshold",         "temperature is past a threshold",
    "reliability is degraded by errors of the media", "it only reads any more",
    "backup of its volatile memory has failed",       "its persistent memory only reads, or is unreliable",
};

uint64_t PercentFull(const PoolState& pool) {
  if (pool.size_bytes == 0 || pool.free_bytes > pool.size_bytes) return 0;
  // In two steps: the size of a large pool times 100 passes 64 bits.
  const uint64_t hundredth = std::max<uint64_t>(pool.size_bytes / 100, 1);
  return std::min<uint64_t>((pool.size_bytes - pool.free_bytes) / hundredth, 100);
}

std::string TextOf(const ScanState& scan) {
  const bool scrub = scan.kind == ScanState::Kind::kScrub;
  switch (scan.stage) {
    case ScanState::Stage::kRunning:
      return fmt::format("{} running since {}{}", scrub ? "scrub" : "resilver", scan.date,
                         scan.progress.empty() ? "" : fmt::format(" ({} done)", scan.progress));
    case ScanState::Stage::kStopped:
      return fmt::format("{} stopped {}", scrub ? "scrub" : "resilver", scan.date);
    case ScanState::Stage::kFinished:
      break;
  }
  const std::string end = scan.errors == 0 ? "without errors" : fmt::format("with {} errors", scan.errors);
  return fmt::format("{} {} {}", scrub ? "last scrub" : "resilvered", scan.date, end);
}

std::string NameOf(const std::string& disk, const ZfsState& seen) {
  const auto link = seen.links.find(disk);
  return LastOf(link == seen.links.end() ? disk : link->second);
}

HealthLine LineOf(const PoolState& pool, const ZfsState& seen) {
  HealthLine line{.urgency = HealthLine::Urgency::kOverview, .object = pool.name, .text = pool.health};
  const uint64_t full = PercentFull(pool);
  line.text += fmt::format(", {} % full", full);
  const auto fragmented = pool.properties.find("fragmentation");
  if (fragmented != pool.properties.end() && fragmented->second.value != "-" &&
      fragmented->second.value != "0" && !fragmented->second.value.empty())
    line.text += fmt::format(", {} % fragmented", fragmented->second.value);
  for (const ScanState& scan : pool.scans) line.text += ", " + TextOf(scan);
  if (pool.scans.empty()) line.text += ", no scrub known";
  if (full >= kFullPercent) line.urgency = HealthLine::Urgency::kLookAt;
  const auto lossy = [](const ScanState& scan) { return scan.errors != 0; };
  if (std::any_of(pool.scans.begin(), pool.scans.end(), lossy)) line.urgency = HealthLine::Urgency::kLookAt;
  for (const auto& [disk, member] : pool.members) {
    const bool errors = member.read_errors + member.write_errors + member.checksum_errors != 0;
    const bool well = member.state == "ONLINE" || member.state == "AVAIL" || member.state == "INUSE";
    if (!errors && well) continue;
    line.urgency = HealthLine::Urgency::kLookAt;
    line.text += fmt::format("; {} is {}", NameOf(disk, seen), member.state);
    if (errors)
      line.text += fmt::format(" with {} read, {} write, {} checksum errors", member.read_errors,
                               member.write_errors, member.checksum_errors);
  }
  if (pool.data_errors.value_or(0) != 0) line.text += fmt::format("; {} data errors", *pool.data_errors);
  if (!WhyUnhealthy(pool).empty()) line.urgency = HealthLine::Urgency::kAct;
  return line;
}

HealthLine LineOf(const std::string& path, const DiskHealth& disk, const HealthLimits& limits) {
  HealthLine line;
  line.object = LastOf(path);
  if (disk.verdict == DiskHealth::Verdict::kUnknown && !disk.unknown.empty()) {
    line.text = "health unknown: " + disk.unknown;
    return line;
  }
  std::vector<std::string> parts = WhyUnhealthy(disk, limits);
  if (!parts.empty()) {
    line.urgency = HealthLine::Urgency::kAct;
    parts.front() = "unhealthy: " + parts.front();
  } else if (parts = Doubts(disk); !parts.empty()) {
    line.urgency = HealthLine::Urgency::kLookAt;
  }
  if (disk.wear_percent && line.urgency != HealthLine::Urgency::kAct)
    parts.insert(parts.begin(), fmt::format("wear {} %", *disk.wear_percent));
  // QEMU's NVMe and the like count no spare blocks, and have no threshold then.
  if (disk.spare_percent && disk.spare_threshold_percent.value_or(0) != 0)
    parts.push_back(fmt::format("spare blocks {} %", *disk.spare_percent));
  if (disk.temperature_celsius) parts.push_back(fmt::format("{} °C", *disk.temperature_celsius));
  if (disk.power_on_hours) parts.push_back(fmt::format("{} h under power", *disk.power_on_hours));
  if (line.urgency == HealthLine::Urgency::kNone) parts.emplace_back("ok");
  line.text = fmt::format("{}", fmt::join(parts, ", "));
  return line;
}

}  // namespace

std::vector<std::string> CriticalWarnings(uint32_t bits) {
  std::vector<std::string> warnings;
  for (size_t bit = 0; bit < 32; ++bit) {
    if ((bits >> bit & 1) == 0) continue;
    warnings.push_back(bit < std::size(kCriticalWarnings) ? kCriticalWarnings[bit]
                                                          : fmt::format("bit {}", bit));
  }
  return warnings;
}

std::vector<std::string> WhyUnhealthy(const DiskHealth& disk, const HealthLimits& limits) {
  std::vector<std::string> why;
  for (const auto& warning : CriticalWarnings(disk.critical_warning))
    why.push_back("critical warning: " + warning);
  // NVMe's verdict is made of the warnings, and says no more.
  if (disk.verdict == DiskHealth::Verdict::kFailed && why.empty())
    why.emplace_back("its SMART verdict is FAILED");
  if (disk.wear_percent && *disk.wear_percent >= limits.max_wear_percent) {
    why.push_back(fmt::format("wear {} %, allowed below {} %", *disk.wear_percent, limits.max_wear_percent));
  }
  return why;
}

std::vector<std::string> Doubts(const DiskHealth& disk) {
  std::vector<std::string> doubts;
  const auto add = [&](const std::optional<uint64_t>& count, const char* what) {
    if (count.value_or(0) != 0) doubts.push_back(fmt::format("{} {}", *count, what));
  };
  add(disk.pending_sectors, "sectors cannot be read now");
  add(disk.uncorrectable_sectors, "sectors are uncorrectable");
  add(disk.reallocated_sectors, "sectors were replaced");
  add(disk.media_errors, "media errors");
  return doubts;
}

bool IsUnusable(const PoolState& pool) {
  return pool.health == "FAULTED" || pool.health == "SUSPENDED" || pool.health == "UNAVAIL";
}

std::vector<std::string> WhyUnhealthy(const PoolState& pool) {
  std::vector<std::string> why;
  if (pool.health != "ONLINE") why.push_back(pool.health);
  if (const uint64_t errors = pool.data_errors.value_or(0); errors != 0)
    why.push_back(fmt::format("{} data errors", errors));
  return why;
}

std::vector<std::string> DisksToJudge(const ZfsSpec& spec, const ZfsState& seen) {
  std::set<std::string> disks;
  for (const PoolSpec& pool : spec.pools) {
    if (pool.presence == Presence::kAbsent) continue;
    for (const auto& [field, path] : DeclaredDisks(pool)) {
      const auto disk = seen.disks.find(path);
      // What is in a pool or in use gets no label, and is not asked.
      if (disk != seen.disks.end() && disk->second.member_of.empty() && disk->second.in_use.empty())
        disks.insert(path);
    }
  }
  return {disks.begin(), disks.end()};
}

std::vector<HealthLine> HealthLines(const ZfsState& seen, const HealthLimits& limits) {
  std::vector<HealthLine> lines;
  for (const auto& [name, pool] : seen.pools) lines.push_back(LineOf(pool, seen));
  for (const auto& [path, disk] : seen.health) lines.push_back(LineOf(path, disk, limits));
  return lines;
}

}  // namespace phoenix::zfs
