#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/config/specs.h"
#include "phoenix/zfs/v1/zfs.pb.h"

namespace phoenix::config {
namespace {

void Encrypt(const std::optional<Encryption>& encryption, zfs::v1::DatasetSpec& dataset) {
  if (!encryption) return;
  dataset.mutable_encryption()->set_key_secret(encryption->secret);
  dataset.mutable_encryption()->set_key_format(encryption->format);
  dataset.mutable_encryption()->set_algorithm(encryption->algorithm);
}

}  // namespace

Spec ZfsSpecOf(const Config& config, const std::vector<std::string>& wipe,
               const std::vector<std::string>& allow_unhealthy) {
  zfs::v1::ZfsSpec spec;
  for (const Pool& pool : config.pools) {
    auto* out = spec.add_pools();
    out->set_name(pool.name);
    if (pool.absent) out->set_presence(zfs::v1::PRESENCE_ABSENT);
    if (!pool.draid.empty()) {
      out->set_raid_level(pool.draid);
    } else if (pool.raid_level) {
      const bool single = *pool.raid_level == RaidLevel::kStripe && pool.disks.size() < 2;
      out->set_raid_level(single ? "single" : ToString(*pool.raid_level));
    }
    for (const auto& disk : pool.disks) out->add_disks(disk);
    for (const Vdev& vdev : pool.vdevs) {
      auto* more = out->add_vdevs();
      more->set_vdev_class(vdev.vdev_class);
      more->set_raid_level(vdev.raid_level);
      for (const auto& disk : vdev.disks) more->add_disks(disk);
    }
    for (const auto& [name, property] : pool.properties) (*out->mutable_properties())[name] = property.given;
    out->set_origin(pool.origin.ToString());
    if ((pool.root_properties.empty() && !pool.encryption) || pool.absent) continue;
    auto* root = spec.add_datasets();
    root->set_name(pool.name);
    root->set_origin(pool.origin.ToString());
    root->set_presence(zfs::v1::PRESENCE_PRESENT);
    for (const auto& [name, property] : pool.root_properties)
      (*root->mutable_properties())[name] = property.given;
    Encrypt(pool.encryption, *root);
  }
  for (const Dataset& dataset : config.datasets) {
    auto* out = spec.add_datasets();
    out->set_name(dataset.full_name);
    out->set_origin(dataset.origin.ToString());
    if (dataset.absent) {
      out->set_presence(zfs::v1::PRESENCE_ABSENT);
      continue;
    }
    // As the user gave them: the zfs service compares in native units and shows what the user wrote.
    for (const auto& [name, property] : dataset.properties)
      (*out->mutable_properties())[name] = property.given;
    out->set_volume_size_bytes(dataset.volume_size);
    if (dataset.ownership) {
      out->set_owner(dataset.ownership->owner);
      out->set_group(dataset.ownership->group);
      out->set_owner_at_creation_only(dataset.ownership->at_creation_only);
      if (dataset.ownership->mode) out->set_mode(fmt::format("{:o}", *dataset.ownership->mode));
      if (const auto& acl = dataset.ownership->acl)
        out->mutable_acl()->mutable_entries()->Assign(acl->begin(), acl->end());
    }
    out->set_recursive_owner(dataset.recursive_owner);
    Encrypt(dataset.encryption, *out);
    for (const DatasetFile& file : dataset.files) {
      auto* delivered = out->add_files();
      delivered->set_path(file.path);
      delivered->set_content(file.content);
      delivered->set_owner(file.owner);
      delivered->set_group(file.group);
      delivered->set_mode(fmt::format("{:04o}", file.mode));
    }
    out->set_presence(zfs::v1::PRESENCE_PRESENT);
  }
  if (config.arc_max_bytes) {
    spec.set_arc_max_bytes(*config.arc_max_bytes);
    spec.set_arc_max_origin(config.arc_max_origin.ToString());
  }
  const bool any = std::find(wipe.begin(), wipe.end(), "*") != wipe.end();
  spec.set_mode(wipe.empty() ? zfs::v1::MODE_SAFE
                : any        ? zfs::v1::MODE_INTERACTIVE
                             : zfs::v1::MODE_FORCE_DESTRUCTIVE);
  if (!any) spec.mutable_wipe()->Assign(wipe.begin(), wipe.end());
  spec.mutable_health()->set_max_wear_percent(config.max_wear_percent);
  spec.mutable_allow_unhealthy()->Assign(allow_unhealthy.begin(), allow_unhealthy.end());
  return {"zfs", "phoenix.zfs.v1.ZfsSpec", spec.SerializeAsString()};
}

}  // namespace phoenix::config
