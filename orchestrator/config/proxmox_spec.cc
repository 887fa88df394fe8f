#include "orchestrator/config/specs.h"
#include "phoenix/proxmox/v1/proxmox.pb.h"

namespace phoenix::config {

namespace {

void Fill(const Container& container, proxmox::v1::ContainerSpec& out) {
  out.set_id(container.id);
  out.set_origin(container.origin.ToString());
  out.set_placed_on(container.placed_on);
  for (const ContainerVolume& volume : container.volumes) {
    auto* to = out.add_volumes();
    to->set_name(volume.name);
    to->set_storage(volume.storage);
    to->set_size_gib(volume.size_gib);
    to->set_path(volume.path);
    if (volume.backup.has_value()) to->set_backup(*volume.backup);
    to->set_read_only(volume.read_only);
    to->set_origin(volume.origin.ToString());
  }
  for (const ContainerBind& bind : container.binds) {
    auto* to = out.add_binds();
    to->set_host_path(bind.host_path);
    to->set_path(bind.path);
    if (bind.owner_uid.has_value()) to->set_owner_uid(*bind.owner_uid);
    if (bind.owner_gid.has_value()) to->set_owner_gid(*bind.owner_gid);
    to->set_read_only(bind.read_only);
    if (bind.host_uid.has_value()) to->set_host_uid(*bind.host_uid);
    if (bind.host_gid.has_value()) to->set_host_gid(*bind.host_gid);
    to->set_presence(bind.absent ? proxmox::v1::PRESENCE_ABSENT : proxmox::v1::PRESENCE_PRESENT);
    to->set_origin(bind.origin.ToString());
  }
}

}  // namespace

Spec ProxmoxSpecOf(const Config& config, const std::vector<Container>& containers,
                   const std::set<std::string>& prune) {
  proxmox::v1::ProxmoxSpec spec;
  spec.set_prune_storages(prune.contains("storages"));
  for (const ProxmoxStorage& storage : config.storages) {
    auto* out = spec.add_storages();
    out->set_id(storage.id);
    out->set_type(ToString(storage.type));
    for (const auto& content : storage.contents) out->add_content(content);
    auto& options = *out->mutable_options();
    switch (storage.type) {
      case StorageType::kZfsPool:
        options["pool"] = storage.dataset;
        out->set_mount_point(storage.mount_point);
        break;
      case StorageType::kDir:
        options["path"] = storage.path;
        // Otherwise Proxmox writes to the root disk whenever the dataset is not mounted.
        options["is_mountpoint"] = "1";
        break;
      case StorageType::kNfs:
        options["server"] = storage.server;
        options["export"] = storage.remote;
        break;
      case StorageType::kCifs:
        options["server"] = storage.server;
        options["share"] = storage.remote;
        if (!storage.user.empty()) {
          options["username"] = storage.user;
          out->set_password_secret(storage.secret_name);
        }
        break;
    }
    for (const auto& [name, value] : storage.options) options[name] = value;
    out->set_presence(storage.absent ? proxmox::v1::PRESENCE_ABSENT : proxmox::v1::PRESENCE_PRESENT);
    out->set_origin(storage.origin.ToString());
  }
  for (const VirtualMachine& vm : config.virtual_machines) {
    auto* out = spec.add_virtual_machines();
    out->set_vmid(vm.vmid);
    out->set_cloud_init(vm.cloud_init);
    out->set_volume(vm.volume);
    out->set_meta_volume(vm.meta_volume);
    out->set_storage(vm.storage);
    out->set_presence(vm.absent ? proxmox::v1::PRESENCE_ABSENT : proxmox::v1::PRESENCE_PRESENT);
    out->set_origin(vm.origin.ToString());
  }
  for (const Container& container : containers) Fill(container, *spec.add_containers());
  return {"proxmox", "phoenix.proxmox.v1.ProxmoxSpec", spec.SerializeAsString()};
}

}  // namespace phoenix::config
