#include "services/zfs/host/zfs_parse.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines = Split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  for (auto& word : Split(text, ' ')) {
    for (auto& part : Split(word, '\t')) {
      if (!part.empty()) words.push_back(std::move(part));
    }
  }
  return words;
}

uint64_t Number(std::string_view text) { return std::strtoull(std::string(text).c_str(), nullptr, 10); }

std::string Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return std::string(text);
}

// "\040" and the like in mountinfo.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && text.size() - i > 3) {
      plain += static_cast<char>(std::strtol(std::string(text.substr(i + 1, 3)).c_str(), nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string StringOf(const json& object, const char* field) {
  const auto found = object.find(field);
  return found == object.end() || !found->is_string() ? "" : Trim(found->get<std::string>());
}

void CollectDevices(const json& list, const std::string& disk, std::vector<BlockDevice>& devices) {
  for (const auto& entry : list) {
    BlockDevice device{.path = StringOf(entry, "path"), .type = StringOf(entry, "type")};
    device.disk = disk.empty() ? device.path : disk;
    // Without the column NAME lsblk prints a flat list in which only PKNAME tells what belongs to what.
    if (const std::string parent = StringOf(entry, "pkname"); disk.empty() && !parent.empty()) {
      device.disk = parent[0] == '/' ? parent : "/dev/" + parent;
    }
    // Numbers since util-linux 2.33, strings before.
    const auto size = entry.find("size");
    if (size != entry.end())
      device.size_bytes = size->is_string() ? Number(size->get<std::string>()) : size->get<uint64_t>();
    device.serial = StringOf(entry, "serial");
    device.partition_label = StringOf(entry, "partlabel");
    device.partition_type = StringOf(entry, "parttype");
    if (const auto mounts = entry.find("mountpoints"); mounts != entry.end()) {
      for (const auto& mount : *mounts) {
        if (mount.is_string() && !mount.get<std::string>().empty()) device.mounted_at.push_back(mount);
      }
    }
    const std::string root = device.disk;
    devices.push_back(std::move(device));
    if (const auto children = entry.find("children"); children != entry.end())
      CollectDevices(*children, root, devices);
  }
}

// One line of a vdev tree: how deep it is, its name and state, and the rest.
struct TreeLine {
  size_t depth;
  std::string name, state;
  std::vector<std::string> rest;
};
std::optional<TreeLine> ParseTreeLine(const std::string& line) {
  if (line.empty() || line[0] != '\t') return std::nullopt;
  const size_t indent = line.find_first_not_of(' ', 1);
  if (indent == std::string::npos) return std::nullopt;
  std::vector<std::string> words = Words(line);
  TreeLine parsed{(indent - 1) / 2, words[0], words.size() > 1 ? words[1] : "", {}};
  if (words.size() > 2) parsed.rest.assign(words.begin() + 2, words.end());
  return parsed;
}

// "mirror" of "mirror-0", "draid2:4d:8c:1s" of "draid2:4d:8c:1s-0"; "" of a device.
std::string KindOfVdev(const std::string& name) {
  for (const std::string_view kind : {"mirror", "raidz1", "raidz2", "raidz3", "draid1", "draid2", "draid3"}) {
    if (!name.starts_with(kind) || name.size() == kind.size()) continue;
    if (name[kind.size()] == '-' || name[kind.size()] == ':') return name.substr(0, name.rfind('-'));
  }
  return "";
}

// A distributed spare of a dRAID, "draid2-0-1": space in the vdev's own disks, no disk.
bool IsDistributedSpare(const std::string& name) {
  return name.starts_with("draid") && std::count(name.begin(), name.end(), '-') == 2;
}

// A vdev that stands for a moment where a member is: its first child is that member.
bool IsReplacing(const std::string& name) { return name.starts_with("replacing-"); }
bool IsTemporaryVdev(const std::string& name) { return IsReplacing(name) || name.starts_with("spare-"); }

// A missing disk shows as its GUID, and where it was. A kernel's name may be another disk's by now.
std::string MemberName(const TreeLine& line) {
  for (size_t i = 0; i + 1 < line.rest.size(); ++i) {
    if (line.rest[i] == "was" && line.rest[i + 1].starts_with("/dev/disk/")) return line.rest[i + 1];
  }
  return line.name;
}

// The headings in a pool's tree.
VdevClass ClassOfHeading(const std::string& name) {
  if (name == "logs") return VdevClass::kLog;
  if (name == "spares") return VdevClass::kSpare;
  return VdevClassOf(name).value_or(VdevClass::kData);
}

// The trees of `zpool status`, by pool, without the line of names.
absl::StatusOr<std::map<std::string, std::vector<TreeLine>, std::less<>>> TreesOf(std::string_view text) {
  std::map<std::string, std::vector<TreeLine>, std::less<>> trees;
  std::string pool;
  bool in_config = false;
  for (const auto& line : Lines(text)) {
    const std::string trimmed = Trim(line);
    if (line.find("pool: ") != std::string::npos && line[0] != '\t') {
      pool = trimmed.substr(trimmed.find(' ') + 1);
      trees[pool];
      in_config = false;
    } else if (trimmed == "config:") {
      in_config = true;
    } else if (trimmed.starts_with("errors:")) {
      in_config = false;
    } else if (in_config) {
      auto parsed = ParseTreeLine(line);
      if (!parsed || parsed->name == "NAME") continue;
      if (pool.empty()) return Internal("zpool status shows a vdev before any pool");
      trees[pool].push_back(*std::move(parsed));
    }
  }
  return trees;
}

// Reads one pool's tree; `names`, where it is not empty, is the same tree with GUIDs for names.
class TreeParser {
 public:
  TreeParser(const std::vector<TreeLine>& lines, const std::vector<TreeLine>& names)
      : lines_(lines), names_(names) {}

  absl::StatusOr<PoolLayout> Parse() {
    if (!names_.empty() && names_.size() != lines_.size()) return OtherTree();
    for (at_ = 0; at_ < lines_.size();) {
      const TreeLine& line = lines_[at_];
      if (!names_.empty() && (names_[at_].depth != line.depth || names_[at_].state != line.state))
        return OtherTree();
      if (line.depth == 0) {
        // The pool itself, then "logs", "cache", "spares", "special", "dedup".
        vdev_class_ = at_ == 0 ? VdevClass::kData : ClassOfHeading(line.name);
        ++at_;
      } else if (line.depth > 1 && layout_.vdevs.empty()) {
        return Internal("zpool status shows {} before any vdev", line.name);
      } else {
        Vdev();
      }
    }
    return std::move(layout_);
  }

 private:
  static absl::Status OtherTree() { return Unavailable("the pool's vdevs changed while they were read"); }

  std::string NameAt(size_t at) const { return names_.empty() ? "" : names_[at].name; }

  // The top-level vdev at `at_`, with its members.
  void Vdev() {
    const TreeLine& line = lines_[at_];
    if (IsDistributedSpare(line.name)) {
      ++at_;
      return;
    }
    const std::string kind = KindOfVdev(line.name);
    top_ = NameAt(at_);
    layout_.vdevs.push_back({kind.empty() ? "disk" : kind, {}, vdev_class_});
    if (kind.empty()) {
      Member();
      return;
    }
    ++at_;
    while (at_ < lines_.size() && lines_[at_].depth > line.depth) Member();
  }

  void Member() {
    if (std::string disk = Place(); !disk.empty()) layout_.vdevs.back().disks.push_back(std::move(disk));
  }

  // The member at `at_`, or the one that what stands there for now stands for: a spare may stand in for the
  // old disk of a replacement, and a replacement may go on below a spare. "" for a distributed spare.
  std::string Place() {
    const TreeLine& line = lines_[at_];
    if (!IsTemporaryVdev(line.name)) {
      std::string disk = IsDistributedSpare(line.name) ? "" : Disk();
      ++at_;
      return disk;
    }
    ++at_;
    std::vector<std::string> disks;
    while (at_ < lines_.size() && lines_[at_].depth > line.depth) disks.push_back(Place());
    if (disks.empty()) return "";
    if (!IsReplacing(line.name)) return disks.front();
    if (disks.size() > 1) layout_.members[disks.back()].replaces = disks.front();
    return disks.back();
  }

  // Notes the disk at `at_` and answers its name.
  std::string Disk() {
    const TreeLine& line = lines_[at_];
    std::string disk = MemberName(line);
    const auto count = [&](size_t column) {
      return line.rest.size() > column ? Number(line.rest[column]) : 0;
    };
    // A spare that is in use stands twice, and the list of spares comes last.
    MemberState& member = layout_.members[disk];
    member.state = line.state;
    member.read_errors = std::max(member.read_errors, count(0));
    member.write_errors = std::max(member.write_errors, count(1));
    member.checksum_errors = std::max(member.checksum_errors, count(2));
    member.name = NameAt(at_);
    member.vdev_name = top_;
    return disk;
  }

  const std::vector<TreeLine>& lines_;
  const std::vector<TreeLine>& names_;
  size_t at_ = 0;
  VdevClass vdev_class_ = VdevClass::kData;
  std::string top_;
  PoolLayout layout_;
};

}  // namespace

absl::StatusOr<std::map<std::string, PropertyStates, std::less<>>> ParseProperties(std::string_view text) {
  std::map<std::string, PropertyStates, std::less<>> all;
  for (const auto& line : Lines(text)) {
    // Values of user properties may hold anything but a tab at both ends of the line's fields.
    const std::vector<std::string> fields = Split(line, '\t');
    if (fields.size() < 5)
      return Internal("zfs get printed '{}', which is not name, property, value, received, source", line);
    all[fields[0]][fields[1]] = {fields[2], fields[4], fields[3]};
  }
  return all;
}

absl::StatusOr<std::map<std::string, DatasetState, std::less<>>> ParseDatasets(std::string_view text) {
  PHX_ASSIGN_OR_RETURN(auto all, ParseProperties(text));
  std::map<std::string, DatasetState, std::less<>> datasets;
  for (auto& [name, properties] : all) {
    DatasetState dataset{.name = name, .properties = std::move(properties)};
    dataset.type = dataset.Value("type");
    dataset.guid = Number(dataset.Value("guid"));
    if (dataset.type.empty() || dataset.guid == 0)
      return Internal("zfs get tells no type or GUID of {}", name);
    datasets[name] = std::move(dataset);
  }
  return datasets;
}

absl::StatusOr<std::map<std::string, SnapshotState, std::less<>>> ParseSnapshots(std::string_view text) {
  PHX_ASSIGN_OR_RETURN(const auto all, ParseProperties(text));
  std::map<std::string, SnapshotState, std::less<>> snapshots;
  for (const auto& [name, properties] : all) {
    const auto value = [&](std::string_view property) -> std::string {
      const auto found = properties.find(property);
      return found == properties.end() ? "" : found->second.value;
    };
    SnapshotState snapshot{.name = name, .guid = Number(value("guid")), .used_bytes = Number(value("used"))};
    snapshot.creation_seconds = static_cast<int64_t>(Number(value("creation")));
    snapshot.holds = Number(value("userrefs"));
    if (const std::string clones = value("clones"); !clones.empty() && clones != "-")
      snapshot.clones = Split(clones, ',');
    const auto mark = properties.find(kRunMark);
    if (mark != properties.end() && mark->second.local()) snapshot.run = mark->second.value;
    const auto stage = properties.find(kStageMark);
    if (stage != properties.end() && stage->second.local()) snapshot.stage = stage->second.value;
    const auto boot = properties.find(kBootMark);
    if (boot != properties.end() && boot->second.local()) snapshot.boot_mark = boot->second.value;
    const auto committed = properties.find(kCommittedMark);
    if (committed != properties.end() && committed->second.local()) {
      snapshot.committed_seconds = static_cast<int64_t>(Number(committed->second.value));
    }
    snapshots[name] = std::move(snapshot);
  }
  return snapshots;
}

absl::StatusOr<std::map<std::string, std::vector<std::string>, std::less<>>> ParseHolds(
    std::string_view text) {
  std::map<std::string, std::vector<std::string>, std::less<>> tags;
  for (const auto& line : Lines(text)) {
    const std::vector<std::string> fields = Split(line, '\t');
    if (fields.size() != 3) return Internal("zfs holds printed '{}', which is not name, tag, time", line);
    tags[fields[0]].push_back(fields[1]);
  }
  return tags;
}

absl::StatusOr<std::map<std::string, PoolState, std::less<>>> ParsePools(std::string_view text) {
  std::map<std::string, PoolState, std::less<>> pools;
  for (const auto& line : Lines(text)) {
    const std::vector<std::string> fields = Split(line, '\t');
    if (fields.size() != 4)
      return Internal("zpool get printed '{}', which is not name, property, value, source", line);
    PoolState& pool = pools[fields[0]];
    pool.name = fields[0];
    pool.properties[fields[1]] = {fields[2], fields[3], "-"};
  }
  for (auto& [name, pool] : pools) {
    pool.guid = Number(pool.properties["guid"].value);
    pool.health = pool.properties["health"].value;
    pool.size_bytes = Number(pool.properties["size"].value);
    pool.free_bytes = Number(pool.properties["free"].value);
    if (pool.guid == 0) return Internal("zpool get tells no GUID of {}", name);
  }
  return pools;
}

absl::StatusOr<std::map<std::string, PoolLayout, std::less<>>> ParseStatus(std::string_view text,
                                                                           std::string_view guids) {
  PHX_ASSIGN_OR_RETURN(const auto trees, TreesOf(text));
  PHX_ASSIGN_OR_RETURN(auto names, TreesOf(guids));
  std::map<std::string, PoolLayout, std::less<>> pools;
  for (const auto& [pool, lines] : trees) {
    PHX_ASSIGN_OR_RETURN(pools[pool], TreeParser(lines, names[pool]).Parse());
  }
  return pools;
}

absl::StatusOr<std::vector<ExportedPool>> ParseImport(std::string_view text) {
  std::vector<ExportedPool> pools;
  bool in_config = false;
  for (const auto& line : Lines(text)) {
    const std::string trimmed = Trim(line);
    if (trimmed.starts_with("pool: ")) {
      pools.push_back({.name = trimmed.substr(6)});
      in_config = false;
    } else if (pools.empty()) {
      continue;
    } else if (trimmed.starts_with("id: ")) {
      pools.back().guid = Number(trimmed.substr(4));
    } else if (trimmed.starts_with("state: ")) {
      pools.back().state = trimmed.substr(7);
    } else if (trimmed.find("last accessed by another system") != std::string::npos) {
      pools.back().in_use_elsewhere = true;
    } else if (trimmed == "config:") {
      in_config = true;
    } else if (in_config) {
      const auto parsed = ParseTreeLine(line);
      if (parsed && parsed->depth > 0 && KindOfVdev(parsed->name).empty() && !IsTemporaryVdev(parsed->name) &&
          !IsDistributedSpare(parsed->name)) {
        pools.back().members.push_back(MemberName(*parsed));
      }
    }
  }
  for (const auto& pool : pools) {
    if (pool.guid == 0) return Internal("zpool import tells no id of {}", pool.name);
  }
  return pools;
}

std::optional<DiskLabel> ParseLabel(std::string_view text) {
  DiskLabel label;
  bool in_label = false;
  for (const auto& line : Lines(text)) {
    // Only the label's own fields, four blanks deep; those of the vdev tree lie deeper.
    if (!line.starts_with("    ") || line.size() < 5 || line[4] == ' ') continue;
    const auto colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(4, colon - 4);
    std::string value = line.substr(colon + 2);
    if (value.size() >= 2 && value.front() == '\'' && value.back() == '\'')
      value = value.substr(1, value.size() - 2);
    if (key == "version") in_label = true;
    if (key == "name") label.pool = value;
    if (key == "pool_guid") label.pool_guid = Number(value);
    if (key == "state") label.state = static_cast<int>(Number(value));
  }
  if (!in_label && label.pool_guid == 0 && label.pool.empty()) return std::nullopt;
  return label;
}

absl::StatusOr<std::vector<BlockDevice>> ParseBlockDevices(std::string_view text) {
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || !parsed.contains("blockdevices"))
    return Internal("lsblk printed no list of devices");
  std::vector<BlockDevice> devices;
  CollectDevices(parsed["blockdevices"], "", devices);
  // A parent may have a parent of its own (a volume on a partition): up to the whole disk.
  for (auto& device : devices) {
    for (size_t depth = 0; depth < devices.size(); ++depth) {
      const auto parent = std::find_if(devices.begin(), devices.end(),
                                       [&](const BlockDevice& other) { return other.path == device.disk; });
      if (parent == devices.end() || parent->disk == device.disk) break;
      device.disk = parent->disk;
    }
  }
  return devices;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseSignatures(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> signatures;
  // Older releases print nothing where nothing was found.
  if (Trim(text).empty()) return signatures;
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || !parsed.contains("signatures"))
    return Internal("wipefs printed no list of signatures");
  for (const auto& entry : parsed["signatures"]) {
    signatures.emplace_back("/dev/" + StringOf(entry, "device"), StringOf(entry, "type"));
  }
  return signatures;
}

std::map<std::string, std::string> ParseProbe(std::string_view text) {
  std::map<std::string, std::string> values;
  for (const auto& line : Lines(text)) {
    const auto equals = line.find('=');
    if (equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return values;
}

std::vector<Mount> ParseMounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const auto& line : Lines(mountinfo)) {
    const std::vector<std::string> fields = Split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || fields.end() - dash < 3) continue;
    mounts.push_back({fields[2], Unescape(fields[4]), dash[1], Unescape(dash[2])});
  }
  return mounts;
}

std::optional<std::vector<std::string>> ParseMissing(std::string_view err) {
  std::vector<std::string> missing;
  for (const auto& line : Lines(err)) {
    constexpr std::string_view kBegin = "cannot open '", kEnd = "': dataset does not exist";
    if (!line.starts_with(kBegin) || !line.ends_with(kEnd)) return std::nullopt;
    missing.push_back(line.substr(kBegin.size(), line.size() - kBegin.size() - kEnd.size()));
  }
  return missing;
}

std::string ParseArcOption(std::string_view modprobe_file) {
  std::string value;
  for (const auto& line : Lines(modprobe_file)) {
    const std::vector<std::string> words = Words(line);
    if (words.size() < 3 || words[0] != "options" || words[1] != "zfs") continue;
    for (const auto& word : words) {
      if (word.starts_with("zfs_arc_max=")) value = word.substr(12);
    }
  }
  return value;
}

uint64_t ParseMemory(std::string_view meminfo) {
  for (const auto& line : Lines(meminfo)) {
    const std::vector<std::string> words = Words(line);
    if (words.size() >= 2 && words[0] == "MemTotal:") return Number(words[1]) * 1024;
  }
  return 0;
}

uint64_t ParseArcStatistic(std::string_view arcstats, std::string_view name) {
  for (const auto& line : Lines(arcstats)) {
    const std::vector<std::string> words = Words(line);
    if (words.size() == 3 && words[0] == name) return Number(words[2]);
  }
  return 0;
}

std::string ParseVersion(std::string_view text) {
  for (const auto& line : Lines(text)) {
    if (!line.starts_with("zfs-") || line.starts_with("zfs-kmod")) continue;
    const std::string version = line.substr(4);
    return version.substr(0, version.find('-'));
  }
  return "";
}

}  // namespace phoenix::zfs
