#include "services/proxmox/worker/container_payload.h"

#include <nlohmann/json.hpp>

#include "base/status/errors.h"

namespace phoenix::proxmox {
namespace {

using nlohmann::json;

json ToJson(const NewMount& mount) {
  json object = {{"number", mount.number}, {"path", mount.path}, {"read_only", mount.read_only}};
  if (mount.is_volume()) {
    object["storage"] = mount.storage;
    object["size_gib"] = mount.size_gib;
  } else {
    object["host_path"] = mount.host_path;
  }
  if (mount.backup) object["backup"] = *mount.backup;
  if (!mount.options.empty()) object["options"] = mount.options;
  return object;
}

NewMount ParseMount(const json& object) {
  NewMount mount;
  mount.number = object.at("number").get<int>();
  mount.path = object.at("path").get<std::string>();
  mount.read_only = object.at("read_only").get<bool>();
  mount.storage = object.value("storage", "");
  mount.size_gib = object.value("size_gib", uint64_t{0});
  mount.host_path = object.value("host_path", "");
  if (object.contains("backup")) mount.backup = object.at("backup").get<bool>();
  if (object.contains("options")) mount.options = object.at("options").get<Options>();
  return mount;
}

}  // namespace

std::string ToPayload(const ContainerStep& step) {
  json object = {{"container", step.id}, {"running", step.running}};
  if (step.action == ContainerAction::kUnmount) {
    object["action"] = "unmount";
    object["mounts"] = json::array({ToJson(step.mounts.at(0))});
  } else if (step.action == ContainerAction::kMount) {
    object["action"] = "mount";
    object["opaque"] = step.opaque;
    object["mounts"] = json::array();
    for (const NewMount& mount : step.mounts) object["mounts"].push_back(ToJson(mount));
  } else {
    object["action"] = "grow";
    object["number"] = step.number;
    object["volume"] = step.volume;
    object["dataset"] = step.dataset;
    object["path"] = step.path;
    object["size_before"] = step.size_before;
    object["size_gib"] = step.size_gib;
  }
  return object.dump();
}

absl::StatusOr<ContainerStep> ContainerStepOf(std::string_view payload) {
  try {
    const json object = json::parse(payload);
    ContainerStep step;
    step.id = object.at("container").get<uint32_t>();
    step.running = object.value("running", false);
    const std::string action = object.at("action").get<std::string>();
    if (action == "mount") {
      step.opaque = object.at("opaque").get<Words>();
      for (const json& mount : object.at("mounts")) step.mounts.push_back(ParseMount(mount));
    } else if (action == "unmount") {
      step.action = ContainerAction::kUnmount;
      step.mounts.push_back(ParseMount(object.at("mounts").at(0)));
      step.number = step.mounts.front().number;
      step.path = step.mounts.front().path;
    } else if (action == "grow") {
      step.action = ContainerAction::kGrow;
      step.number = object.at("number").get<int>();
      step.volume = object.at("volume").get<std::string>();
      step.dataset = object.value("dataset", "");
      step.path = object.at("path").get<std::string>();
      step.size_before = object.at("size_before").get<uint64_t>();
      step.size_gib = object.at("size_gib").get<uint64_t>();
    } else {
      return DataLoss("a journaled step on a container has the unknown action '{}'", action);
    }
    return step;
  } catch (const json::exception& error) {
    return DataLoss("a journaled step on a container cannot be read: {}", error.what());
  }
}

std::string ToJson(const CapturedContainer& captured) {
  return json{{"volumes", captured.volumes}, {"size", captured.size}}.dump();
}

absl::StatusOr<CapturedContainer> ParseCapturedContainer(std::string_view text) {
  try {
    const json object = json::parse(text);
    return CapturedContainer{object.at("volumes").get<Words>(), object.at("size").get<uint64_t>()};
  } catch (const json::exception& error) {
    return DataLoss("what was captured for a step on a container cannot be read: {}", error.what());
  }
}

}  // namespace phoenix::proxmox
