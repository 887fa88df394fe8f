#include "services/zfs/worker/zfs_step_json.h"

#include <nlohmann/json.hpp>

#include "base/status/errors.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

json VdevJson(const VdevGroup& vdev) {
  return {{"kind", vdev.kind}, {"disks", vdev.disks}, {"class", ToString(vdev.vdev_class)}};
}
// Journals of before vdevs had classes have data vdevs only.
VdevGroup VdevOf(const json& value) {
  const std::string name = value.value("class", "data");
  const auto vdev_class = VdevClassOf(name);
  if (!vdev_class) throw json::other_error::create(501, "unknown vdev class " + name, &value);
  return {value.at("kind"), value.at("disks").get<std::vector<std::string>>(), *vdev_class};
}

json LayoutJson(const std::vector<VdevGroup>& layout) {
  json groups = json::array();
  for (const auto& group : layout) groups.push_back(VdevJson(group));
  return groups;
}

RootWish RootOf(const json& value) {
  RootWish root{value.at("owner"), value.at("group"), value.at("mode")};
  if (value.contains("acl")) root.acl = value["acl"].get<std::vector<std::string>>();
  return root;
}

json KeyJson(const KeyWish& key) {
  return {{"secret", key.encryption.secret},
          {"format", key.encryption.format},
          {"algorithm", key.encryption.algorithm},
          {"mac", key.mac}};
}
KeyWish KeyFrom(const json& value) {
  return {{value.at("secret"), value.at("format"), value.at("algorithm")}, value.at("mac")};
}
// Journals of before datasets could be encrypted have none.
std::optional<KeyWish> OptionalKey(const json& step) {
  return step.contains("key") ? std::optional(KeyFrom(step["key"])) : std::nullopt;
}
json WithKey(json step, const std::optional<KeyWish>& key) {
  if (key) step["key"] = KeyJson(*key);
  return step;
}

json Write(const CreatePoolStep& step) {
  return WithKey({{"step", "create_pool"},
                  {"name", step.name},
                  {"layout", LayoutJson(step.layout)},
                  {"properties", step.properties},
                  {"root_properties", step.root_properties},
                  {"mountpoint", step.mountpoint},
                  {"root", RootJson(step.root)},
                  {"wipe", step.wipe}},
                 step.key);
}
json Write(const ImportPoolStep& step) {
  return {{"step", "import_pool"}, {"name", step.name}, {"guid", step.guid}};
}
json Write(const DestroyPoolStep& step) {
  return {{"step", "destroy_pool"}, {"name", step.name}, {"guid", step.guid}, {"unlock", step.unlock}};
}
json Write(const SetPoolPropertiesStep& step) {
  return {{"step", "set_pool_properties"},
          {"name", step.name},
          {"guid", step.guid},
          {"properties", step.properties}};
}
json Write(const AddVdevStep& step) {
  return {{"step", "add_vdev"},          {"pool", step.pool}, {"guid", step.guid},
          {"vdev", VdevJson(step.vdev)}, {"wipe", step.wipe}, {"ashift", step.ashift}};
}
json Write(const AttachDiskStep& step) {
  return {{"member", step.member},     {"step", "attach_disk"}, {"pool", step.pool}, {"guid", step.guid},
          {"existing", step.existing}, {"disk", step.disk},     {"wipe", step.wipe}};
}
json Write(const ReplaceDiskStep& step) {
  return {{"member", step.member},     {"step", "replace_disk"}, {"pool", step.pool}, {"guid", step.guid},
          {"existing", step.existing}, {"disk", step.disk},      {"wipe", step.wipe}};
}
json Write(const CreateDatasetStep& step) {
  return WithKey({{"step", "create_dataset"},
                  {"name", step.name},
                  {"volume_size_bytes", step.volume_size_bytes},
                  {"properties", step.properties},
                  {"mountpoint", step.mountpoint},
                  {"root", RootJson(step.root)},
                  {"tree", step.tree}},
                 step.key);
}
json Write(const SetPropertiesStep& step) {
  return {{"step", "set_properties"},
          {"name", step.name},
          {"properties", step.properties},
          {"created", step.created}};
}
json Write(const MountStep& step) {
  return {{"step", "mount"}, {"name", step.name}, {"mountpoint", step.mountpoint}};
}
json Write(const LoadKeyStep& step) {
  json mounts = json::array();
  for (const auto& mount : step.mounts) mounts.push_back({{"name", mount.name}, {"at", mount.at}});
  return {{"step", "load_key"},
          {"name", step.name},
          {"guid", step.guid},
          {"key", KeyJson(step.key)},
          {"mounts", mounts}};
}
json Write(const SetMountRootStep& step) {
  return {{"step", "set_mount_root"},
          {"name", step.name},
          {"mountpoint", step.mountpoint},
          {"root", RootJson(step.root)},
          {"created", step.created}};
}
json Write(const ChangeContentStep& step) {
  json value = {{"step", "change_content"},
                {"name", step.name},
                {"mountpoint", step.mountpoint},
                {"files", json::array()},
                {"created", step.created}};
  if (step.tree) value["tree"] = RootJson(*step.tree);
  for (const FileSpec& file : step.files) {
    value["files"].push_back({{"path", file.path},
                              {"content", file.content},
                              {"owner", file.owner},
                              {"group", file.group},
                              {"mode", file.mode}});
  }
  return value;
}
json Write(const MakeDirectoryStep& step) { return {{"step", "make_directory"}, {"path", step.path}}; }
json Write(const SetArcLimitStep& step) {
  return {{"step", "set_arc_limit"},
          {"bytes", step.bytes},
          {"min_bytes", step.min_bytes},
          {"initramfs", step.initramfs}};
}
json Write(const CreateSnapshotStep& step) { return {{"step", "create_snapshot"}, {"name", step.name}}; }
json Write(const DeleteSnapshotStep& step) {
  return {{"step", "delete_snapshot"}, {"name", step.name}, {"guid", step.guid}};
}
json Write(const DeleteDatasetStep& step) {
  return {{"step", "delete_dataset"},
          {"name", step.name},
          {"guid", step.guid},
          {"mountpoint", step.mountpoint},
          {"volume", step.volume}};
}
json Write(const RestoreKeptStep& step) {
  return {{"step", "restore_kept"}, {"name", step.name},         {"to", step.to},
          {"guid", step.guid},      {"canmount", step.canmount}, {"mountpoint", step.mountpoint},
          {"volume", step.volume}};
}
json Write(const DiscardKeptStep& step) {
  return {{"step", "discard_kept"}, {"name", step.name}, {"guid", step.guid}, {"volume", step.volume}};
}

ZfsStep Read(const json& value) {
  const std::string kind = value.at("step");
  if (kind == "create_pool") {
    CreatePoolStep step{.name = value.at("name"),
                        .properties = value.at("properties").get<PropertyMap>(),
                        .root_properties = value.at("root_properties").get<PropertyMap>(),
                        .mountpoint = value.at("mountpoint"),
                        .root = RootOf(value.at("root")),
                        .wipe = value.at("wipe"),
                        .key = OptionalKey(value)};
    for (const auto& group : value.at("layout")) {
      step.layout.push_back(VdevOf(group));
    }
    return step;
  }
  if (kind == "import_pool") return ImportPoolStep{value.at("name"), value.at("guid")};
  if (kind == "destroy_pool")
    return DestroyPoolStep{value.at("name"), value.at("guid"), value.value("unlock", "")};
  if (kind == "set_pool_properties") {
    return SetPoolPropertiesStep{value.at("name"), value.at("guid"),
                                 value.at("properties").get<PropertyMap>()};
  }
  if (kind == "add_vdev") {
    return AddVdevStep{value.at("pool"), value.at("guid"), VdevOf(value.at("vdev")), value.at("wipe"),
                       value.value("ashift", "")};
  }
  if (kind == "attach_disk") {
    return AttachDiskStep{value.at("pool"), value.at("guid"),   value.at("existing"),
                          value.at("disk"), value.at("member"), value.at("wipe")};
  }
  if (kind == "replace_disk") {
    return ReplaceDiskStep{value.at("pool"), value.at("guid"),   value.at("existing"),
                           value.at("disk"), value.at("member"), value.at("wipe")};
  }
  if (kind == "create_dataset") {
    return CreateDatasetStep{
        value.at("name"),       value.at("volume_size_bytes"), value.at("properties").get<PropertyMap>(),
        value.at("mountpoint"), RootOf(value.at("root")),      value.value("tree", false),
        OptionalKey(value)};
  }
  if (kind == "set_properties") {
    return SetPropertiesStep{value.at("name"), value.at("properties").get<PropertyMap>(),
                             value.at("created")};
  }
  if (kind == "mount") return MountStep{value.at("name"), value.at("mountpoint")};
  if (kind == "load_key") {
    LoadKeyStep step{value.at("name"), value.at("guid"), KeyFrom(value.at("key")), {}};
    for (const auto& mount : value.at("mounts")) step.mounts.push_back({mount.at("name"), mount.at("at")});
    return step;
  }
  if (kind == "set_mount_root") {
    return SetMountRootStep{value.at("name"), value.at("mountpoint"), RootOf(value.at("root")),
                            value.at("created")};
  }
  if (kind == "change_content") {
    ChangeContentStep step{
        .name = value.at("name"), .mountpoint = value.at("mountpoint"), .created = value.at("created")};
    if (value.contains("tree")) step.tree = RootOf(value["tree"]);
    for (const auto& file : value.at("files")) {
      step.files.push_back(
          {file.at("path"), file.at("content"), file.at("owner"), file.at("group"), file.at("mode")});
    }
    return step;
  }
  // As journals of before files could be delivered have it.
  if (kind == "set_tree_owner") {
    return ChangeContentStep{
        .name = value.at("name"), .mountpoint = value.at("mountpoint"), .tree = RootOf(value.at("root"))};
  }
  if (kind == "make_directory") return MakeDirectoryStep{value.at("path")};
  if (kind == "set_arc_limit") {
    return SetArcLimitStep{value.at("bytes"), value.value("min_bytes", uint64_t{0}),
                           value.value("initramfs", false)};
  }
  if (kind == "create_snapshot") return CreateSnapshotStep{value.at("name")};
  if (kind == "delete_snapshot") return DeleteSnapshotStep{value.at("name"), value.at("guid")};
  const bool is_volume = value.value("volume", false);
  if (kind == "delete_dataset")
    return DeleteDatasetStep{value.at("name"), value.at("guid"), value.at("mountpoint"), is_volume};
  if (kind == "restore_kept") {
    return RestoreKeptStep{value.at("name"),     value.at("to"),         value.at("guid"),
                           value.at("canmount"), value.at("mountpoint"), is_volume};
  }
  if (kind == "discard_kept") return DiscardKeptStep{value.at("name"), value.at("guid"), is_volume};
  throw json::other_error::create(501, "unknown step " + kind, &value);
}

}  // namespace

json RootJson(const RootWish& root) {
  json value = {{"owner", root.owner}, {"group", root.group}, {"mode", root.mode}};
  if (root.acl) value["acl"] = *root.acl;
  return value;
}

std::string ToJson(const ZfsStep& step) {
  return std::visit([](const auto& one) { return Write(one).dump(); }, step);
}

absl::StatusOr<ZfsStep> StepFromJson(std::string_view text) {
  try {
    return Read(json::parse(text));
  } catch (const json::exception& error) {
    return DataLoss("the journaled step cannot be read: {}", error.what());
  }
}

}  // namespace phoenix::zfs
