// Quotas that add up to more than their pool holds promise what it cannot keep.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <variant>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

// What is in a pool for datasets.
struct Room {
  uint64_t bytes = 0;
  bool estimated = false;
};

double InGib(uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(uint64_t{1} << 30); }

uint64_t Sum(uint64_t a, uint64_t b) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  return a > kMost - b ? kMost : a + b;
}

// Of a volume its size.
uint64_t QuotaOf(const DatasetSpec& dataset) {
  if (dataset.presence == Presence::kPresent && dataset.volume_size_bytes != 0)
    return dataset.volume_size_bytes;
  const auto quota = dataset.properties.find("quota");
  if (dataset.presence != Presence::kPresent || quota == dataset.properties.end()) return 0;
  return std::strtoull(CanonicalValue("quota", quota->second).value_or("0").c_str(), nullptr, 10);
}

// By pool; what lies within another quota does not count twice.
std::map<std::string, uint64_t> Promised(const ZfsSpec& spec) {
  std::map<std::string, uint64_t> promised;
  for (const auto& dataset : spec.datasets) {
    const uint64_t quota = QuotaOf(dataset);
    const bool within_another =
        std::any_of(spec.datasets.begin(), spec.datasets.end(), [&](const DatasetSpec& other) {
          return IsBelow(dataset.name, other.name) && other.name != dataset.name && QuotaOf(other) != 0;
        });
    uint64_t& sum = promised[PoolOf(dataset.name)];
    if (!within_another) sum = Sum(sum, quota);
  }
  return promised;
}

// Of "draid2:4d:7c:1s" 2, 4, 7 and 1: parity, data, children and spares.
std::vector<uint64_t> NumbersIn(std::string_view kind) {
  std::vector<uint64_t> numbers;
  bool within = false;
  for (const char c : kind) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (digit && !within) numbers.push_back(0);
    if (digit) numbers.back() = numbers.back() * 10 + static_cast<uint64_t>(c - '0');
    within = digit;
  }
  return numbers;
}

// Without parity and distributed spares; nullopt where a disk's size is not known.
std::optional<uint64_t> DataBytesOf(const VdevGroup& vdev, const ZfsState& seen) {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (const std::string& path : vdev.disks) {
    const auto disk = seen.disks.find(path);
    if (disk == seen.disks.end() || disk->second.size_bytes == 0) return std::nullopt;
    least = std::min(least, disk->second.size_bytes);
  }
  const std::vector<uint64_t> numbers = NumbersIn(vdev.kind);
  if (vdev.kind.starts_with("raidz") && numbers.size() == 1 && numbers[0] < vdev.disks.size())
    return least * (vdev.disks.size() - numbers[0]);
  if (vdev.kind.starts_with("draid") && numbers.size() == 4 && numbers[3] < numbers[2]) {
    const uint64_t group = numbers[0] + numbers[1];
    return least / group * numbers[1] * (numbers[2] - numbers[3]);
  }
  return least;
}

// What ZFS gives to nobody: a 32nd, of 128 MiB at least and 128 GiB at most (spa_get_slop_space in its
// source).
uint64_t WithoutSlop(uint64_t bytes) {
  const uint64_t least = std::min(bytes / 2, uint64_t{128} << 20), most = uint64_t{128} << 30;
  return bytes - std::max(std::min(bytes / 32, most), least);
}

// What data vdevs that this plan makes will bring, by pool; what else ZFS needs of them is little. 0 where
// that cannot be told.
std::map<std::string, uint64_t> Coming(const Planning& planning) {
  std::map<std::string, uint64_t> coming;
  std::set<std::string> unknown;
  const auto add = [&](const std::string& pool, const VdevGroup& vdev) {
    if (vdev.vdev_class != VdevClass::kData) return;
    const auto bytes = DataBytesOf(vdev, planning.seen);
    if (!bytes) unknown.insert(pool);
    coming[pool] = Sum(coming[pool], bytes.value_or(0));
  };
  for (const PlannedStep& planned : planning.plan.steps) {
    if (const auto* pool = std::get_if<CreatePoolStep>(&planned.step)) {
      for (const VdevGroup& vdev : pool->layout) add(pool->name, vdev);
    } else if (const auto* grown = std::get_if<AddVdevStep>(&planned.step)) {
      add(grown->pool, grown->vdev);
    }
  }
  for (const std::string& pool : unknown) coming[pool] = 0;
  return coming;
}

// nullopt where it cannot be told.
std::optional<Room> RoomOf(const std::string& pool, const ZfsState& seen, uint64_t coming) {
  const auto root = seen.datasets.find(pool);
  if (root == seen.datasets.end()) {
    if (coming == 0) return std::nullopt;
    return Room{WithoutSlop(coming), true};
  }
  if (root->second.properties.count("available") == 0) return std::nullopt;
  const uint64_t now = Sum(std::strtoull(root->second.Value("used").c_str(), nullptr, 10),
                           std::strtoull(root->second.Value("available").c_str(), nullptr, 10));
  return Room{Sum(now, coming == 0 ? 0 : WithoutSlop(coming)), coming != 0};
}

}  // namespace

void WarnOfOvercommittedPools(Planning& planning) {
  const std::map<std::string, uint64_t> coming = Coming(planning);
  for (const auto& [pool, bytes] : Promised(planning.spec)) {
    const auto brought = coming.find(pool);
    const auto room = RoomOf(pool, planning.seen, brought == coming.end() ? 0 : brought->second);
    if (!room || bytes <= room->bytes) continue;
    planning.Warn(pool,
                  "the quotas and volumes declared in pool {} add up to {:.1f} GiB, and it {} {:.1f} GiB: "
                  "not all of them "
                  "can be used up",
                  pool, InGib(bytes), room->estimated ? "will hold about" : "holds", InGib(room->bytes));
  }
}

}  // namespace phoenix::zfs
