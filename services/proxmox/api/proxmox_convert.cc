#include "services/proxmox/api/proxmox_convert.h"

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

constexpr std::string_view kPrefix = "storages/";
constexpr size_t kEtagLength = 16;

ContainerSpec FromProto(const v1::ContainerSpec& proto) {
  ContainerSpec container;
  container.id = proto.id();
  container.origin = proto.origin();
  container.placed_on = proto.placed_on();
  for (const v1::ContainerVolume& from : proto.volumes()) {
    ContainerVolumeSpec volume;
    volume.name = from.name();
    volume.storage = from.storage();
    volume.size_gib = from.size_gib();
    volume.path = from.path();
    if (from.has_backup()) volume.backup = from.backup();
    volume.read_only = from.read_only();
    volume.origin = from.origin();
    container.volumes.push_back(std::move(volume));
  }
  for (const v1::ContainerBind& from : proto.binds()) {
    ContainerBindSpec bind;
    bind.host_path = from.host_path();
    bind.path = from.path();
    if (from.has_owner_uid()) bind.owner_uid = from.owner_uid();
    if (from.has_owner_gid()) bind.owner_gid = from.owner_gid();
    bind.read_only = from.read_only();
    bind.origin = from.origin();
    if (from.has_host_uid()) bind.host_uid = from.host_uid();
    if (from.has_host_gid()) bind.host_gid = from.host_gid();
    bind.absent = from.presence() == v1::PRESENCE_ABSENT;
    container.binds.push_back(std::move(bind));
  }
  return container;
}

void ToProto(const ContainerSpec& container, v1::ContainerSpec& proto) {
  proto.set_id(container.id);
  proto.set_origin(container.origin);
  proto.set_placed_on(container.placed_on);
  for (const ContainerVolumeSpec& volume : container.volumes) {
    v1::ContainerVolume& to = *proto.add_volumes();
    to.set_name(volume.name);
    to.set_storage(volume.storage);
    to.set_size_gib(volume.size_gib);
    to.set_path(volume.path);
    if (volume.backup) to.set_backup(*volume.backup);
    to.set_read_only(volume.read_only);
    to.set_origin(volume.origin);
  }
  for (const ContainerBindSpec& bind : container.binds) {
    v1::ContainerBind& to = *proto.add_binds();
    to.set_host_path(bind.host_path);
    to.set_path(bind.path);
    if (bind.owner_uid) to.set_owner_uid(*bind.owner_uid);
    if (bind.owner_gid) to.set_owner_gid(*bind.owner_gid);
    to.set_read_only(bind.read_only);
    to.set_origin(bind.origin);
    if (bind.host_uid) to.set_host_uid(*bind.host_uid);
    if (bind.host_gid) to.set_host_gid(*bind.host_gid);
    to.set_presence(bind.absent ? v1::PRESENCE_ABSENT : v1::PRESENCE_PRESENT);
  }
}

}  // namespace

absl::StatusOr<ProxmoxSpec> ParseSpec(std::string_view type, std::string_view bytes) {
  if (type != v1::ProxmoxSpec::descriptor()->full_name()) {
    return InvalidArgument("the proxmox service takes specs of type {}, not '{}'",
                           v1::ProxmoxSpec::descriptor()->full_name(), type);
  }
  v1::ProxmoxSpec proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("the spec's content is no {} message", type);
  }
  return ToSpec(proto);
}

absl::StatusOr<ProxmoxSpec> ToSpec(const v1::ProxmoxSpec& proto) {
  ProxmoxSpec spec;
  spec.partial = proto.partial();
  spec.prune_storages = proto.prune_storages();
  for (const v1::StorageSpec& storage : proto.storages()) {
    StorageSpec wanted;
    wanted.id = storage.id();
    wanted.type = storage.type();
    wanted.content.insert(storage.content().begin(), storage.content().end());
    wanted.options.insert(storage.options().begin(), storage.options().end());
    wanted.origin = storage.origin();
    wanted.password_secret = storage.password_secret();
    wanted.mount_point = storage.mount_point();
    switch (storage.presence()) {
      case v1::PRESENCE_UNSPECIFIED:
      case v1::PRESENCE_PRESENT:
        break;
      case v1::PRESENCE_ABSENT:
        wanted.absent = true;
        break;
      default:
        // Taking an unknown wish for "present" could undo what a newer client meant.
        return WithViolations(InvalidArgument("storage '{}' has an unknown presence", wanted.id),
                              {{wanted.origin + ".presence", "unknown value; present or absent"}});
    }
    spec.storages.push_back(std::move(wanted));
  }
  for (const v1::VirtualMachineSpec& vm : proto.virtual_machines()) {
    if (!v1::Presence_IsValid(vm.presence())) {
      return WithViolations(InvalidArgument("VM {} has an unknown presence", vm.vmid()),
                            {{vm.origin() + ".presence", "unknown value; present or absent"}});
    }
    Cicustom volumes{{vm.cloud_init(), vm.volume()}};
    if (!vm.meta_volume().empty()) volumes.emplace(kMetaPart, vm.meta_volume());
    spec.vms.push_back(
        {vm.vmid(), std::move(volumes), vm.storage(), vm.presence() == v1::PRESENCE_ABSENT, vm.origin()});
  }
  for (const v1::ContainerSpec& container : proto.containers()) {
    for (const v1::ContainerBind& bind : container.binds()) {
      if (v1::Presence_IsValid(bind.presence())) continue;
      return WithViolations(
          InvalidArgument("a mount point of container {} has an unknown presence", container.id()),
          {{bind.origin() + ".presence", "unknown value; present or absent"}});
    }
    spec.containers.push_back(FromProto(container));
  }
  return spec;
}

v1::ProxmoxSpec ToProto(const ProxmoxSpec& spec) {
  v1::ProxmoxSpec proto;
  proto.set_partial(spec.partial);
  proto.set_prune_storages(spec.prune_storages);
  for (const StorageSpec& storage : spec.storages) {
    v1::StorageSpec& wanted = *proto.add_storages();
    wanted.set_id(storage.id);
    wanted.set_type(storage.type);
    for (const std::string& word : storage.content) wanted.add_content(word);
    for (const auto& [name, value] : storage.options) (*wanted.mutable_options())[name] = value;
    wanted.set_presence(storage.absent ? v1::PRESENCE_ABSENT : v1::PRESENCE_PRESENT);
    wanted.set_origin(storage.origin);
    wanted.set_password_secret(storage.password_secret);
    wanted.set_mount_point(storage.mount_point);
  }
  for (const VmSpec& vm : spec.vms) {
    v1::VirtualMachineSpec& wanted = *proto.add_virtual_machines();
    wanted.set_vmid(vm.vmid);
    for (const auto& [part, volume] : vm.volumes) {
      if (part == kMetaPart) {
        wanted.set_meta_volume(volume);
      } else {
        wanted.set_cloud_init(part);
        wanted.set_volume(volume);
      }
    }
    wanted.set_storage(vm.storage);
    wanted.set_presence(vm.absent ? v1::PRESENCE_ABSENT : v1::PRESENCE_PRESENT);
    wanted.set_origin(vm.origin);
  }
  for (const ContainerSpec& container : spec.containers) ToProto(container, *proto.add_containers());
  return proto;
}

v1::Storage ToProto(const StorageEntry& entry, bool managed) {
  v1::Storage storage;
  storage.set_name(StorageName(entry.id));
  storage.set_type(entry.type);
  for (const std::string& word : entry.content) storage.add_content(word);
  for (const std::string& node : entry.nodes) storage.add_nodes(node);
  for (const auto& [name, value] : entry.options) (*storage.mutable_options())[name] = value;
  storage.set_disabled(entry.disabled);
  storage.set_managed(managed);
  storage.set_etag(EtagOf(entry));
  return storage;
}

absl::StatusOr<StorageSpec> ToStorageSpec(const v1::Storage& storage) {
  StorageSpec spec;
  PHX_ASSIGN_OR_RETURN(spec.id, ParseStorageName(storage.name()));
  std::vector<FieldViolation> violations;
  if (!storage.nodes().empty()) {
    violations.push_back({"storage.nodes", "output only: an entry belongs to the nodes that declare it"});
  }
  if (storage.disabled()) {
    violations.push_back(
        {"storage.disabled", "Phoenix does not switch entries off; use `pvesm set ID --disable 1`"});
  }
  if (!violations.empty()) {
    return WithViolations(InvalidArgument("{}: {}", violations.front().field, violations.front().description),
                          violations);
  }
  spec.type = storage.type();
  spec.content.insert(storage.content().begin(), storage.content().end());
  spec.options.insert(storage.options().begin(), storage.options().end());
  spec.origin = "storage";
  return spec;
}

absl::StatusOr<std::string> ParseStorageName(std::string_view name) {
  const std::string_view id = name.substr(std::min(kPrefix.size(), name.size()));
  if (!name.starts_with(kPrefix) || !IsStorageId(id)) {
    return WithViolations(
        InvalidArgument("'{}' is no name of a storage; names look like storages/quickOS-vm-disks", name),
        {{"name", "must be storages/ and a storage id"}});
  }
  return std::string(id);
}

std::string StorageName(std::string_view id) { return std::string(kPrefix) + std::string(id); }

std::string EtagOf(const StorageEntry& entry) {
  return Sha256Hex(CanonicalText(entry)).substr(0, kEtagLength);
}

}  // namespace phoenix::proxmox
