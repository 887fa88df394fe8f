#include "services/proxmox/worker/step_payload.h"

#include <nlohmann/json.hpp>

#include "base/status/errors.h"

namespace phoenix::proxmox {
namespace {

using nlohmann::json;

std::string_view ToText(StorageAction action) {
  switch (action) {
    case StorageAction::kAdd:
      return "add";
    case StorageAction::kSet:
      return "set";
    case StorageAction::kRemove:
      return "remove";
  }
  return "";
}

json ToJson(const Definition& definition) {
  json object = {{"type", definition.type}, {"options", definition.options}};
  if (definition.content) object["content"] = *definition.content;
  return object;
}

Definition ParseDefinition(const json& object) {
  Definition definition;
  definition.type = object.at("type").get<std::string>();
  definition.options = object.at("options").get<Options>();
  if (object.contains("content")) definition.content = object.at("content").get<Words>();
  return definition;
}

json ToJson(const StorageEntry& entry) {
  return {{"id", entry.id},       {"type", entry.type},         {"content", entry.content},
          {"nodes", entry.nodes}, {"disabled", entry.disabled}, {"options", entry.options}};
}

StorageEntry ParseEntry(const json& object) {
  StorageEntry entry;
  entry.id = object.at("id").get<std::string>();
  entry.type = object.at("type").get<std::string>();
  entry.content = object.at("content").get<Words>();
  entry.nodes = object.at("nodes").get<Words>();
  entry.disabled = object.at("disabled").get<bool>();
  entry.options = object.at("options").get<Options>();
  return entry;
}

}  // namespace

std::string ToPayload(const StorageStep& step) {
  json object = {{"action", ToText(step.action)},
                 {"id", step.id},
                 {"node", step.node},
                 {"definition", ToJson(step.definition)},
                 {"created", step.created},
                 {"joined", step.joined},
                 {"extends", step.extends}};
  // Only where there is one: digests of plans without passwords stay as they are.
  if (!step.password_secret.empty()) object["password_secret"] = step.password_secret;
  return object.dump();
}

absl::StatusOr<StorageStep> FromPayload(std::string_view payload) {
  try {
    const json object = json::parse(payload);
    StorageStep step;
    const std::string action = object.at("action").get<std::string>();
    if (action == "add") {
      step.action = StorageAction::kAdd;
    } else if (action == "set") {
      step.action = StorageAction::kSet;
    } else if (action == "remove") {
      step.action = StorageAction::kRemove;
    } else {
      return DataLoss("a journaled storage step has the unknown action '{}'", action);
    }
    step.id = object.at("id").get<std::string>();
    step.node = object.at("node").get<std::string>();
    step.definition = ParseDefinition(object.at("definition"));
    step.created = object.at("created").get<bool>();
    step.joined = object.value("joined", step.created);
    step.extends = object.value("extends", false);
    step.password_secret = object.value("password_secret", "");
    return step;
  } catch (const json::exception& error) {
    return DataLoss("a journaled storage step cannot be read: {}", error.what());
  }
}

std::string ToJson(const Captured& captured) {
  json object = {{"member", captured.member}, {"folders", captured.folders}, {"mounted", captured.mounted}};
  if (captured.password) object["password"] = true;
  if (!captured.type.empty()) object["type"] = captured.type;
  if (captured.content) object["content"] = *captured.content;
  if (!captured.options.empty()) {
    json options = json::object();
    for (const auto& [name, value] : captured.options) options[name] = value ? json(*value) : json(nullptr);
    object["options"] = std::move(options);
  }
  if (captured.entry) object["entry"] = ToJson(*captured.entry);
  return object.dump();
}

absl::StatusOr<Captured> ParseCaptured(std::string_view text) {
  try {
    const json object = json::parse(text);
    Captured captured;
    captured.member = object.at("member").get<bool>();
    captured.folders = object.at("folders").get<Words>();
    captured.mounted = object.value("mounted", false);
    captured.password = object.value("password", false);
    captured.type = object.value("type", "");
    if (object.contains("content")) captured.content = object.at("content").get<Words>();
    if (object.contains("options")) {
      for (const auto& [name, value] : object.at("options").items()) {
        captured.options[name] = value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
      }
    }
    if (object.contains("entry")) captured.entry = ParseEntry(object.at("entry"));
    return captured;
  } catch (const json::exception& error) {
    return DataLoss("what was captured for a storage step cannot be read: {}", error.what());
  }
}

std::string LedgerFields(const StorageStep& step) {
  return json{{"definition", ToJson(step.definition)}, {"entry_created", step.created}}.dump();
}

bool LedgerSaysEntryCreated(std::string_view fields) {
  const json object = json::parse(fields, nullptr, /*allow_exceptions=*/false);
  return object.is_object() && object.value("entry_created", false);
}

}  // namespace phoenix::proxmox
