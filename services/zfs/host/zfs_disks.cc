#include "services/zfs/host/zfs_disks.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace phoenix::zfs {
namespace {

// Partition types that zpool gives to the data and the reserved partition of a whole disk.
constexpr std::string_view kDataType = "6a898cc3-1dd2-11b2-99a6-080020736631";
constexpr std::string_view kReservedType = "6a945a3b-1dd2-11b2-99a6-080020736631";

// What udev does not know yet of a partition (on a busy node that takes it a while after each change of a
// table) blkid reads from the table itself.
std::string EntryOf(const BlockDevice& device, const DiskProbes& probes, const std::string& known,
                    const char* field) {
  if (!known.empty()) return known;
  const auto low = probes.low_level.find(device.path);
  if (low == probes.low_level.end()) return "";
  const auto value = low->second.find(field);
  return value == low->second.end() ? "" : value->second;
}

bool IsZfsPartition(const BlockDevice& device, const DiskProbes& probes) {
  if (device.type != "part") return false;
  const std::string type = EntryOf(device, probes, device.partition_type, "PART_ENTRY_TYPE");
  const std::string label = EntryOf(device, probes, device.partition_label, "PART_ENTRY_NAME");
  return type == kDataType || type == kReservedType || label.starts_with("zfs-");
}

std::string LastOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string StateOf(const DiskLabel& label) {
  switch (label.state) {
    case 1:
      return "exported ";
    case 2:
      return "destroyed ";
    default:
      return "";
  }
}

// Where the name of a partition's link has its "-part3"; its size where it has none.
size_t EndOfDisk(const std::string& member) {
  const auto part = member.rfind("-part");
  const bool number = part != std::string::npos && part + 5 < member.size() &&
                      member.find_first_not_of("0123456789", part + 5) == std::string::npos;
  return number ? part : member.size();
}

bool IsPlain(std::string_view link) {
  link.remove_prefix(link.rfind('/') + 1);
  constexpr std::string_view kNumbers[] = {"wwn-", "nvme-eui.", "nvme-nvme.", "scsi-3", "dm-", "md-", "lvm-"};
  return std::none_of(std::begin(kNumbers), std::end(kNumbers),
                      [&](std::string_view number) { return link.starts_with(number); });
}

}  // namespace

std::map<std::string, std::string, std::less<>> BestLinks(
    const std::vector<std::pair<std::string, std::string>>& links) {
  std::map<std::string, std::string, std::less<>> best;
  for (const bool plain : {true, false}) {
    for (const auto& [link, device] : links) {
      if (IsPlain(link) == plain && link.find("-part") == std::string::npos) best.emplace(device, link);
    }
  }
  return best;
}

std::vector<const BlockDevice*> DevicesOf(const std::vector<BlockDevice>& all, const std::string& disk) {
  std::vector<const BlockDevice*> devices;
  // lsblk goes by device numbers: that of a disk that was pulled becomes one of the next partition's, of
  // whichever disk.
  for (const auto& device : all) {
    if (device.disk == disk) devices.insert(device.path == disk ? devices.begin() : devices.end(), &device);
  }
  return devices;
}

std::string UseOf(const std::vector<const BlockDevice*>& devices) {
  for (const BlockDevice* device : devices) {
    if (!device->mounted_at.empty())
      return fmt::format("{} is mounted at {}", device->path, device->mounted_at[0]);
    if (device->type != "disk" && device->type != "part") {
      return fmt::format("it carries {} ({})", device->path, device->type);
    }
  }
  return "";
}

std::vector<Finding> Findings(const std::vector<const BlockDevice*>& devices, const DiskProbes& probes) {
  std::vector<Finding> findings;
  bool all_zfs = true;
  for (const BlockDevice* device : devices)
    all_zfs = all_zfs && (device->type != "part" || IsZfsPartition(*device, probes));
  for (const BlockDevice* device : devices) {
    std::map<std::string, std::string> kinds;  // what, by whom
    const auto add = [&](const std::string& kind, const char* probe) {
      std::string& probes_of_kind = kinds[kind];
      if (probes_of_kind.find(probe) == std::string::npos)
        probes_of_kind += (probes_of_kind.empty() ? "" : ", ") + std::string(probe);
    };
    for (const auto& [where, type] : probes.signatures) {
      if (where == device->path) add(type, "wipefs");
    }
    if (const auto low = probes.low_level.find(device->path); low != probes.low_level.end()) {
      for (const char* field : {"TYPE", "PTTYPE"}) {
        const auto value = low->second.find(field);
        if (value != low->second.end()) add(value->second, "blkid");
      }
      if (low->second.count("AMBIVALENT") != 0) add("several signatures at once", "blkid");
    }
    if (device->type == "part") {
      const std::string label = EntryOf(*device, probes, device->partition_label, "PART_ENTRY_NAME");
      findings.push_back({device->path, label.empty() ? "partition" : fmt::format("partition '{}'", label),
                          "", 0, IsZfsPartition(*device, probes)});
    }
    const auto label = probes.labels.find(device->path);
    if (label != probes.labels.end() && label->second.pool.empty()) {
      // Caches and spares name no pool, and hold nothing that is nowhere else.
      findings.push_back({device->path, "label of a cache or spare of a ZFS pool (zdb)", "", 0, true});
    } else if (label != probes.labels.end()) {
      findings.push_back(
          {device->path,
           fmt::format("label of the {}ZFS pool {} (zdb)", StateOf(label->second), label->second.pool),
           label->second.pool, label->second.pool_guid, false});
    }
    for (const auto& [kind, by] : kinds) {
      if (kind == "zfs_member" && label != probes.labels.end()) continue;  // told with its pool
      const bool table = kind == "gpt" || kind == "PMBR";
      // A table with nothing but ZFS's own partitions, and a label that names no pool any more, belong to no
      // data.
      const bool ours = (table && all_zfs) || kind == "zfs_member";
      findings.push_back(
          {device->path, fmt::format("{}{} ({})", kind, table || kind == "dos" ? " partition table" : "", by),
           "", 0, ours});
    }
  }
  if (findings.empty() && probes.first_byte && !devices.empty()) {
    findings.push_back(
        {devices[0]->path,
         fmt::format("data without a known signature, the first of it at byte {}; if nobody needs it, "
                     "`blkdiscard -z` makes the disk blank",
                     *probes.first_byte),
         "", 0, false});
  }
  return findings;
}

void AddExported(const std::vector<const BlockDevice*>& devices, const std::string& path,
                 const std::vector<ExportedPool>& exported, std::vector<Finding>& findings) {
  for (const auto& pool : exported) {
    const bool told = std::any_of(findings.begin(), findings.end(),
                                  [&](const Finding& finding) { return finding.pool_guid == pool.guid; });
    if (told) continue;
    for (const auto& member : pool.members) {
      const std::string name = LastOf(member);
      const bool here = name == LastOf(path) ||
                        std::any_of(devices.begin(), devices.end(),
                                    [&](const BlockDevice* device) { return name == LastOf(device->path); });
      if (!here) continue;
      findings.push_back({devices.empty() ? path : devices[0]->path,
                          fmt::format("member of the exported ZFS pool {} (zpool import)", pool.name),
                          pool.name, pool.guid, false});
      break;
    }
  }
}

bool HasOtherPartitions(const std::vector<const BlockDevice*>& devices) {
  return std::any_of(devices.begin(), devices.end(), [](const BlockDevice* device) {
    const bool known = !device->partition_type.empty() || !device->partition_label.empty();
    return device->type == "part" && known && !IsZfsPartition(*device, {});
  });
}

bool IsOwnPartition(const std::string& member) {
  const size_t end = EndOfDisk(member);
  return end < member.size() && member.substr(end) != "-part1";
}

std::string DiskOfMember(const std::vector<BlockDevice>& devices, const std::string& member) {
  for (const auto& device : devices) {
    if (device.path == member) return device.disk;
  }
  return member.substr(0, EndOfDisk(member));
}

}  // namespace phoenix::zfs
