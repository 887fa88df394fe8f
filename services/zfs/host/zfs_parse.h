// Reading what zfs, zpool, zdb, lsblk, wipefs, blkid and the kernel print. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/zfs/domain/zfs_state.h"

namespace phoenix::zfs {

// `zfs get -Hp -o name,property,value,received,source …`, by name.
absl::StatusOr<std::map<std::string, PropertyStates, std::less<>>> ParseProperties(std::string_view text);
// The same as datasets; mounts are not in it.
absl::StatusOr<std::map<std::string, DatasetState, std::less<>>> ParseDatasets(std::string_view text);
absl::StatusOr<std::map<std::string, SnapshotState, std::less<>>> ParseSnapshots(std::string_view text);
// `zfs holds -H …`: the tags by snapshot.
absl::StatusOr<std::map<std::string, std::vector<std::string>, std::less<>>> ParseHolds(
    std::string_view text);
// `zpool get -Hp -o name,property,value,source all`; layouts are not in it.
absl::StatusOr<std::map<std::string, PoolState, std::less<>>> ParsePools(std::string_view text);

// The vdevs of `zpool status -L -P`, as it names them; PoolState tells what counts.
struct PoolLayout {
  std::vector<VdevGroup> vdevs;
  std::map<std::string, MemberState, std::less<>> members;
};
// `guids`: `zpool status -g` of the same moment, for the members' names; "" for none. UNAVAILABLE where that
// is another tree.
absl::StatusOr<std::map<std::string, PoolLayout, std::less<>>> ParseStatus(std::string_view text,
                                                                           std::string_view guids = {});
// Of `zpool status`, besides the vdevs.
struct PoolHealth {
  std::optional<uint64_t> data_errors;
  std::vector<ScanState> scans;
};
std::map<std::string, PoolHealth, std::less<>> ParsePoolHealth(std::string_view status);
// "scrub repaired 0B in 00:10:11 with 0 errors on Sun Oct 12 00:34:12 2025"; nullopt where there was none.
std::optional<ScanState> ParseScan(std::string_view text);
// What `smartctl --json` printed, whatever it ended with: what it could not read is unknown, never an error.
DiskHealth ParseSmart(std::string_view json, int exit_code);

// `zpool import` without a pool.
absl::StatusOr<std::vector<ExportedPool>> ParseImport(std::string_view text);

// `zdb -l`: the label's pool, or nullopt where there is no label.
struct DiskLabel {
  std::string pool;
  uint64_t pool_guid = 0;
  int state = 0;  // 0 active, 1 exported, 2 destroyed
};
std::optional<DiskLabel> ParseLabel(std::string_view text);

// `lsblk -J -b`: disks and partitions.
struct BlockDevice {
  std::string path;
  std::string disk;  // the whole disk that it belongs to; the path itself for a disk
  std::string type;  // "disk", "part", "lvm", "crypt", "raid1" …
  uint64_t size_bytes = 0;
  std::string serial;
  std::string partition_label, partition_type;
  std::vector<std::string> mounted_at;
};
absl::StatusOr<std::vector<BlockDevice>> ParseBlockDevices(std::string_view json);
// `wipefs -J`: (device path, type).
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseSignatures(std::string_view json);
// `blkid -p -o export`: key and value.
std::map<std::string, std::string> ParseProbe(std::string_view text);

// A line of /proc/<pid>/mountinfo.
struct Mount {
  std::string device;  // "0:45"
  std::string path;
  std::string file_system;  // "zfs"
  std::string source;       // "quickOS/vm-disks"
};
std::vector<Mount> ParseMounts(std::string_view mountinfo);

// The datasets that zfs says do not exist; nullopt when it complains about anything else.
std::optional<std::vector<std::string>> ParseMissing(std::string_view err);

// The value of `options zfs … zfs_arc_max=N` in a file of modprobe.d; "" where it sets none.
std::string ParseArcOption(std::string_view modprobe_file);
// MemTotal of /proc/meminfo in bytes; 0 when it is not there.
uint64_t ParseMemory(std::string_view meminfo);
// Of /proc/spl/kstat/zfs/arcstats, such as c_max, the limit that the ARC goes by; 0 where it is not told.
uint64_t ParseArcStatistic(std::string_view arcstats, std::string_view name);
// "2.3.2" of `zfs version`.
std::string ParseVersion(std::string_view text);

}  // namespace phoenix::zfs
