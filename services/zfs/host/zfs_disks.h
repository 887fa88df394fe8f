// What the probes say about disks, put together. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/zfs/domain/zfs_state.h"
#include "services/zfs/host/zfs_parse.h"

namespace phoenix::zfs {

// Everything that the probes printed about the devices of one disk.
struct DiskProbes {
  // Of the disk and its partitions, by device path.
  std::vector<std::pair<std::string, std::string>> signatures;          // wipefs
  std::map<std::string, std::map<std::string, std::string>> low_level;  // blkid -p
  std::map<std::string, DiskLabel> labels;                              // zdb -l
  std::optional<uint64_t> first_byte;                                   // not zero, near an end of the disk
};

// The block devices of one whole disk: itself first.
std::vector<const BlockDevice*> DevicesOf(const std::vector<BlockDevice>& all, const std::string& disk);
// Who uses it, whatever it holds: mounts, swap, other devices on top; "" for nobody.
std::string UseOf(const std::vector<const BlockDevice*>& devices);
// The findings; empty for a disk that is blank to every probe.
std::vector<Finding> Findings(const std::vector<const BlockDevice*>& devices, const DiskProbes& probes);
// Of (link, device) pairs the best link of each whole disk, by device: one that names the disk by model and
// serial comes before one that names it by a number only.
std::map<std::string, std::string, std::less<>> BestLinks(
    const std::vector<std::pair<std::string, std::string>>& links);
// Adds what `zpool import` found on the disk, where no label said so.
void AddExported(const std::vector<const BlockDevice*>& devices, const std::string& path,
                 const std::vector<ExportedPool>& exported, std::vector<Finding>& findings);
// Whether the disk has partitions that ZFS did not make for itself: then a member on it is one partition
// only. What udev does not know yet counts as ZFS's own.
bool HasOtherPartitions(const std::vector<const BlockDevice*>& devices);
// Whether a member that is gone was a partition that somebody made for it: ZFS names its own "-part1".
bool IsOwnPartition(const std::string& member);
// The whole disk of a pool's member: by the block devices, otherwise by the name's partition suffix.
std::string DiskOfMember(const std::vector<BlockDevice>& devices, const std::string& member);

}  // namespace phoenix::zfs
