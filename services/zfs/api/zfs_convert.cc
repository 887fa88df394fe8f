#include "services/zfs/api/zfs_convert.h"

#include <algorithm>
#include <cstdlib>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_health.h"
#include "services/zfs/domain/zfs_kept.h"
#include "services/zfs/domain/zfs_names.h"

namespace phoenix::zfs {
namespace {

constexpr char kById[] = "/dev/disk/by-id/";
constexpr size_t kEtagLength = 16;

absl::Status BadName(std::string_view name, std::string_view form, std::string_view why) {
  return WithViolations(InvalidArgument("'{}' is not a resource name of the form {}{}{}", name, form,
                                        why.empty() ? "" : ": ", why),
                        {{"name", fmt::format("must have the form {}", form)}});
}

absl::StatusOr<std::string> Strip(std::string_view name, std::string_view prefix, std::string_view form) {
  if (!name.starts_with(prefix) || name.size() == prefix.size()) return BadName(name, form, "");
  return std::string(name.substr(prefix.size()));
}

PropertyMap Properties(const google::protobuf::Map<std::string, std::string>& map) {
  return {map.begin(), map.end()};
}

absl::StatusOr<Presence> PresenceOf(v1::Presence presence) {
  switch (presence) {
    case v1::PRESENCE_UNSPECIFIED:
    case v1::PRESENCE_PRESENT:
      return Presence::kPresent;
    case v1::PRESENCE_ABSENT:
      return Presence::kAbsent;
    default:
      return InvalidArgument("presence {} is unknown to this version", static_cast<int>(presence));
  }
}

absl::StatusOr<KeptFate> FateOf(v1::KeptSpec::Fate fate) {
  switch (fate) {
    case v1::KeptSpec::FATE_RESTORE:
      return KeptFate::kRestore;
    case v1::KeptSpec::FATE_DISCARD:
      return KeptFate::kDiscard;
    default:
      return InvalidArgument("fate {} is unknown to this version", static_cast<int>(fate));
  }
}

uint64_t NumberOf(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

v1::Presence ToProto(Presence presence) {
  return presence == Presence::kAbsent ? v1::PRESENCE_ABSENT : v1::PRESENCE_PRESENT;
}

std::string Octal(uint32_t mode) { return fmt::format("{:o}", mode); }

// Native name in a resource name: ZFS names hold no "~", resource names no "/".
std::string Swap(std::string_view text, char from, char to) {
  std::string swapped(text);
  std::replace(swapped.begin(), swapped.end(), from, to);
  return swapped;
}

// Of a dataset or its spec.
template <class Proto>
std::optional<std::vector<std::string>> AclOf(const Proto& dataset) {
  if (!dataset.has_acl()) return std::nullopt;
  return std::vector<std::string>(dataset.acl().entries().begin(), dataset.acl().entries().end());
}

}  // namespace

absl::StatusOr<ZfsSpec> ParseSpec(std::string_view type, std::string_view bytes) {
  if (type != v1::ZfsSpec::descriptor()->full_name()) {
    return InvalidArgument("the zfs service takes specs of type {}, not '{}'",
                           v1::ZfsSpec::descriptor()->full_name(), type);
  }
  v1::ZfsSpec proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("the spec's content is no {} message", type);
  }
  return ToSpec(proto);
}

absl::StatusOr<ZfsSpec> ToSpec(const v1::ZfsSpec& proto) {
  ZfsSpec spec;
  for (const auto& pool : proto.pools()) {
    PHX_ASSIGN_OR_RETURN(const Presence presence, PresenceOf(pool.presence()));
    std::vector<VdevSpec> vdevs;
    for (const auto& vdev : pool.vdevs()) {
      const auto vdev_class = VdevClassOf(vdev.vdev_class());
      if (!vdev_class)
        return InvalidArgument("pool {}: vdev class '{}' is unknown", pool.name(), vdev.vdev_class());
      vdevs.push_back({*vdev_class, vdev.raid_level(), {vdev.disks().begin(), vdev.disks().end()}});
    }
    spec.pools.push_back({pool.name(),
                          pool.raid_level(),
                          {pool.disks().begin(), pool.disks().end()},
                          Properties(pool.properties()),
                          pool.origin(),
                          std::move(vdevs),
                          presence});
  }
  for (const auto& dataset : proto.datasets()) {
    PHX_ASSIGN_OR_RETURN(const Presence presence, PresenceOf(dataset.presence()));
    std::vector<FileSpec> files;
    for (const auto& file : dataset.files())
      files.push_back({file.path(), file.content(), file.owner(), file.group(), file.mode()});
    std::optional<EncryptionSpec> encryption;
    if (dataset.has_encryption()) {
      encryption = {dataset.encryption().key_secret(), dataset.encryption().key_format(),
                    dataset.encryption().algorithm()};
    }
    spec.datasets.push_back({dataset.name(), Properties(dataset.properties()), dataset.owner(),
                             dataset.group(), dataset.mode(), presence, dataset.origin(),
                             dataset.volume_size_bytes(), dataset.recursive_owner(), std::move(files),
                             std::move(encryption), dataset.owner_at_creation_only(), AclOf(dataset)});
  }
  for (const auto& snapshot : proto.snapshots()) {
    PHX_ASSIGN_OR_RETURN(const Presence presence, PresenceOf(snapshot.presence()));
    spec.snapshots.push_back({snapshot.name(), presence});
  }
  for (const auto& kept : proto.kept()) {
    PHX_ASSIGN_OR_RETURN(const KeptFate fate, FateOf(kept.fate()));
    spec.kept.push_back({kept.name(), fate, kept.to()});
  }
  if (proto.has_arc_max_bytes()) spec.arc_max_bytes = proto.arc_max_bytes();
  spec.arc_max_origin = proto.arc_max_origin();
  switch (proto.mode()) {
    case v1::MODE_UNSPECIFIED:
    case v1::MODE_SAFE:
      spec.mode = Mode::kSafe;
      break;
    case v1::MODE_INTERACTIVE:
      spec.mode = Mode::kInteractive;
      break;
    case v1::MODE_FORCE_DESTRUCTIVE:
      spec.mode = Mode::kForceDestructive;
      break;
    default:
      return InvalidArgument("mode {} is unknown to this version", static_cast<int>(proto.mode()));
  }
  spec.wipe.assign(proto.wipe().begin(), proto.wipe().end());
  spec.partial = proto.partial();
  if (const uint32_t wear = proto.health().max_wear_percent(); wear != 0) {
    if (wear > 255) return InvalidArgument("max_wear_percent is {}; disks count from 1 to 255", wear);
    spec.health.max_wear_percent = wear;
  }
  spec.allow_unhealthy.assign(proto.allow_unhealthy().begin(), proto.allow_unhealthy().end());
  return spec;
}

v1::ZfsSpec ToProto(const ZfsSpec& spec) {
  v1::ZfsSpec proto;
  for (const PoolSpec& pool : spec.pools) {
    auto* out = proto.add_pools();
    out->set_name(pool.name);
    out->set_raid_level(pool.raid_level);
    for (const auto& disk : pool.disks) out->add_disks(disk);
    for (const auto& [name, value] : pool.properties) (*out->mutable_properties())[name] = value;
    out->set_origin(pool.origin);
    out->set_presence(ToProto(pool.presence));
    for (const VdevSpec& vdev : pool.vdevs) {
      auto* more = out->add_vdevs();
      more->set_vdev_class(std::string(ToString(vdev.vdev_class)));
      more->set_raid_level(vdev.raid_level);
      for (const auto& disk : vdev.disks) more->add_disks(disk);
    }
  }
  for (const DatasetSpec& dataset : spec.datasets) {
    auto* out = proto.add_datasets();
    out->set_name(dataset.name);
    for (const auto& [name, value] : dataset.properties) (*out->mutable_properties())[name] = value;
    out->set_owner(dataset.owner);
    out->set_group(dataset.group);
    out->set_mode(dataset.mode);
    out->set_presence(ToProto(dataset.presence));
    out->set_origin(dataset.origin);
    out->set_volume_size_bytes(dataset.volume_size_bytes);
    out->set_recursive_owner(dataset.recursive_owner);
    out->set_owner_at_creation_only(dataset.owner_at_creation_only);
    if (dataset.acl) out->mutable_acl()->mutable_entries()->Assign(dataset.acl->begin(), dataset.acl->end());
    if (dataset.encryption) {
      out->mutable_encryption()->set_key_secret(dataset.encryption->secret);
      out->mutable_encryption()->set_key_format(dataset.encryption->format);
      out->mutable_encryption()->set_algorithm(dataset.encryption->algorithm);
    }
    for (const FileSpec& file : dataset.files) {
      auto* out_file = out->add_files();
      out_file->set_path(file.path);
      out_file->set_content(file.content);
      out_file->set_owner(file.owner);
      out_file->set_group(file.group);
      out_file->set_mode(file.mode);
    }
  }
  for (const SnapshotSpec& snapshot : spec.snapshots) {
    auto* out = proto.add_snapshots();
    out->set_name(snapshot.name);
    out->set_presence(ToProto(snapshot.presence));
  }
  for (const KeptSpec& kept : spec.kept) {
    auto* out = proto.add_kept();
    out->set_name(kept.name);
    out->set_fate(kept.fate == KeptFate::kDiscard ? v1::KeptSpec::FATE_DISCARD : v1::KeptSpec::FATE_RESTORE);
    out->set_to(kept.to);
  }
  if (spec.arc_max_bytes) proto.set_arc_max_bytes(*spec.arc_max_bytes);
  proto.set_arc_max_origin(spec.arc_max_origin);
  proto.set_mode(spec.mode == Mode::kSafe          ? v1::MODE_SAFE
                 : spec.mode == Mode::kInteractive ? v1::MODE_INTERACTIVE
                                                   : v1::MODE_FORCE_DESTRUCTIVE);
  for (const auto& disk : spec.wipe) proto.add_wipe(disk);
  proto.set_partial(spec.partial);
  proto.mutable_health()->set_max_wear_percent(spec.health.max_wear_percent);
  for (const auto& name : spec.allow_unhealthy) proto.add_allow_unhealthy(name);
  return proto;
}

namespace {

v1::Scan ToProto(const ScanState& scan) {
  v1::Scan out;
  out.set_kind(scan.kind == ScanState::Kind::kScrub ? v1::Scan::KIND_SCRUB : v1::Scan::KIND_RESILVER);
  out.set_state(scan.stage == ScanState::Stage::kRunning    ? v1::Scan::STATE_RUNNING
                : scan.stage == ScanState::Stage::kFinished ? v1::Scan::STATE_FINISHED
                                                            : v1::Scan::STATE_STOPPED);
  out.set_errors(scan.errors);
  out.set_date(scan.date);
  out.set_progress(scan.progress);
  return out;
}

v1::DiskHealth ToProto(const DiskHealth& disk) {
  v1::DiskHealth out;
  out.set_verdict(disk.verdict == DiskHealth::Verdict::kPassed   ? v1::DiskHealth::VERDICT_PASSED
                  : disk.verdict == DiskHealth::Verdict::kFailed ? v1::DiskHealth::VERDICT_FAILED
                                                                 : v1::DiskHealth::VERDICT_UNKNOWN);
  out.set_unknown(disk.unknown);
  if (disk.wear_percent) out.set_wear_percent(*disk.wear_percent);
  if (disk.spare_percent) out.set_spare_percent(*disk.spare_percent);
  if (disk.spare_threshold_percent) out.set_spare_threshold_percent(*disk.spare_threshold_percent);
  for (auto& warning : CriticalWarnings(disk.critical_warning)) out.add_critical_warnings(std::move(warning));
  if (disk.media_errors) out.set_media_errors(*disk.media_errors);
  if (disk.reallocated_sectors) out.set_reallocated_sectors(*disk.reallocated_sectors);
  if (disk.pending_sectors) out.set_pending_sectors(*disk.pending_sectors);
  if (disk.uncorrectable_sectors) out.set_uncorrectable_sectors(*disk.uncorrectable_sectors);
  if (disk.temperature_celsius) out.set_temperature_celsius(*disk.temperature_celsius);
  if (disk.power_on_hours) out.set_power_on_hours(*disk.power_on_hours);
  for (auto& why : WhyUnhealthy(disk)) out.add_unhealthy(std::move(why));
  return out;
}

}  // namespace

v1::Pool ToProto(const PoolState& pool, const std::map<std::string, std::string, std::less<>>& links,
                 bool managed) {
  v1::Pool out;
  out.set_name("pools/" + pool.name);
  out.set_guid(pool.guid);
  out.set_health(pool.health);
  out.set_raid_level(RaidLevelOf(pool.layout));
  const auto name = [&](const std::string& disk) {
    const auto link = links.find(disk);
    return link == links.end() ? disk : link->second;
  };
  for (const auto& group : pool.layout) {
    auto* vdev = out.add_vdevs();
    vdev->set_vdev_class(std::string(ToString(group.vdev_class)));
    vdev->set_kind(group.kind);
    for (const auto& disk : group.disks) {
      if (group.vdev_class == VdevClass::kData) out.add_disks(name(disk));
      auto* member = vdev->add_members();
      member->set_disk(name(disk));
      const auto state = pool.members.find(disk);
      if (state == pool.members.end()) continue;
      member->set_state(state->second.state);
      member->set_read_errors(state->second.read_errors);
      member->set_write_errors(state->second.write_errors);
      member->set_checksum_errors(state->second.checksum_errors);
      if (!state->second.replaces.empty()) member->set_replaces(name(state->second.replaces));
    }
  }
  out.set_size_bytes(pool.size_bytes);
  out.set_free_bytes(pool.free_bytes);
  out.set_managed(managed);
  if (const auto known = pool.properties.find("fragmentation"); known != pool.properties.end()) {
    const std::string& percent = known->second.value;
    if (!percent.empty() && percent.find_first_not_of("0123456789") == std::string::npos)
      out.set_fragmentation_percent(static_cast<uint32_t>(NumberOf(percent)));
  }
  if (pool.data_errors) out.set_data_errors(*pool.data_errors);
  for (const ScanState& scan : pool.scans) *out.add_scans() = ToProto(scan);
  return out;
}

v1::Disk ToProto(const DiskState& disk, const DiskHealth* health) {
  v1::Disk out;
  out.set_name("disks/" + disk.path.substr(disk.path.rfind('/') + 1));
  out.set_device_path(disk.device_path);
  out.set_serial(disk.serial);
  out.set_size_bytes(disk.size_bytes);
  if (!disk.member_of.empty()) out.add_holds(fmt::format("member of the imported pool {}", disk.member_of));
  if (!disk.in_use.empty()) out.add_holds(disk.in_use);
  for (const auto& finding : disk.findings) out.add_holds(fmt::format("{}: {}", finding.where, finding.what));
  if (health != nullptr) *out.mutable_health() = ToProto(*health);
  return out;
}

v1::Dataset ToProto(const DatasetState& dataset, bool managed) {
  v1::Dataset out;
  out.set_name(DatasetName(dataset.name));
  out.set_native_name(dataset.name);
  out.set_guid(dataset.guid);
  out.set_type(dataset.type);
  std::string text = dataset.name;
  for (const auto& [name, property] : dataset.properties) {
    auto& field = (*out.mutable_properties())[name];
    field.set_value(property.value);
    field.set_source(property.source);
    // Only what somebody set: space in use moves by itself.
    if (property.local() || property.source == "received")
      text += fmt::format("\n{}={}", name, property.value);
  }
  out.set_mounted(!dataset.mounted_at.empty());
  if (dataset.root) {
    const DirectoryState& root = *dataset.root;
    out.set_owner(dataset.owner.empty() ? std::to_string(root.uid) : dataset.owner);
    out.set_group(dataset.group.empty() ? std::to_string(root.gid) : dataset.group);
    out.set_mode(Octal(root.mode));
    // Numbers: they are what the directory has, whoever bears them.
    text += fmt::format("\n{} {} {}", root.uid, root.gid, out.mode());
    out.mutable_acl()->mutable_entries()->Assign(dataset.acl.begin(), dataset.acl.end());
    for (const std::string& entry : dataset.acl) text += "\n" + entry;
  }
  if (dataset.type == "volume") {
    const std::string size = dataset.Value("volsize");
    if (!size.empty() && size.find_first_not_of("0123456789") == std::string::npos) {
      out.set_volume_size_bytes(std::stoull(size));
    }
  }
  out.set_etag(Sha256Hex(text).substr(0, kEtagLength));
  out.set_managed(managed);
  return out;
}

v1::Snapshot ToProto(const SnapshotState& snapshot) {
  v1::Snapshot out;
  out.set_name(SnapshotName(snapshot.name));
  out.set_native_name(snapshot.name);
  out.set_guid(snapshot.guid);
  out.set_used_bytes(snapshot.used_bytes);
  out.set_creation_seconds(snapshot.creation_seconds);
  return out;
}

v1::Kept ToKept(const DatasetState& dataset) {
  const Kept kept = AsKept(dataset).value_or(Kept());
  v1::Kept out;
  out.set_name(DatasetName(dataset.name));
  out.set_native_name(dataset.name);
  out.set_original_name(kept.original);
  out.set_pool(PoolOf(dataset.name));
  out.set_run(kept.run);
  out.set_kind(kept.before ? v1::Kept::KIND_BEFORE : v1::Kept::KIND_SET_ASIDE);
  out.set_guid(dataset.guid);
  out.set_used_bytes(NumberOf(dataset.Value("used")));
  out.set_creation_seconds(static_cast<int64_t>(NumberOf(dataset.Value("creation"))));
  return out;
}

absl::StatusOr<DatasetSpec> ToDatasetSpec(const v1::Dataset& dataset) {
  DatasetSpec spec;
  PHX_ASSIGN_OR_RETURN(spec.name, ParseDatasetName(dataset.name()));
  for (const auto& [name, property] : dataset.properties()) spec.properties[name] = property.value();
  spec.owner = dataset.owner();
  spec.group = dataset.group();
  spec.mode = dataset.mode();
  spec.acl = AclOf(dataset);
  spec.volume_size_bytes = dataset.volume_size_bytes();
  if (!dataset.type().empty() && dataset.type() != "filesystem" && dataset.type() != "volume") {
    return WithViolations(InvalidArgument("type is '{}'", dataset.type()),
                          {{"dataset.type", "must be filesystem or volume"}});
  }
  spec.origin = "dataset";
  return spec;
}

absl::StatusOr<std::string> ParsePoolName(std::string_view name) {
  PHX_ASSIGN_OR_RETURN(std::string pool, Strip(name, "pools/", "pools/POOL"));
  if (const std::string wrong = WrongPoolName(pool); !wrong.empty())
    return BadName(name, "pools/POOL", wrong);
  return pool;
}

absl::StatusOr<std::string> ParseDiskName(std::string_view name) {
  PHX_ASSIGN_OR_RETURN(const std::string disk, Strip(name, "disks/", "disks/DISK"));
  if (disk.find('/') != std::string::npos || disk[0] == '.') return BadName(name, "disks/DISK", "");
  return kById + disk;
}

absl::StatusOr<std::string> ParseDatasetName(std::string_view name) {
  constexpr std::string_view kForm = "datasets/POOL~DATASET";
  PHX_ASSIGN_OR_RETURN(const std::string segment, Strip(name, "datasets/", kForm));
  if (segment.find('/') != std::string::npos) return BadName(name, kForm, "write ~ for /");
  std::string native = Swap(segment, '~', '/');
  if (const std::string wrong = WrongListedName(native); !wrong.empty()) return BadName(name, kForm, wrong);
  return native;
}

absl::StatusOr<std::string> ParseSnapshotName(std::string_view name) {
  constexpr std::string_view kForm = "snapshots/POOL~DATASET@SNAPSHOT";
  PHX_ASSIGN_OR_RETURN(const std::string segment, Strip(name, "snapshots/", kForm));
  if (segment.find('/') != std::string::npos) return BadName(name, kForm, "write ~ for /");
  std::string native = Swap(segment, '~', '/');
  if (const std::string wrong = WrongSnapshotName(native); !wrong.empty()) return BadName(name, kForm, wrong);
  return native;
}

std::string DatasetName(std::string_view native_name) { return "datasets/" + Swap(native_name, '/', '~'); }
std::string SnapshotName(std::string_view native_name) { return "snapshots/" + Swap(native_name, '/', '~'); }

}  // namespace phoenix::zfs
