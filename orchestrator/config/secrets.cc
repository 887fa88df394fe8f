#include "orchestrator/config/secrets.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "orchestrator/config/json_cursor.h"
#include "orchestrator/config/json_document.h"

namespace phoenix::config {
std::string FullSecretName(const std::string& name) {
  constexpr std::string_view kSamba = "samba/";
  if (name.substr(0, kSamba.size()) != kSamba) return name;
  const std::string rest = name.substr(kSamba.size());
  return rest.find('/') == std::string::npos ? fmt::format("samba/users/{}", rest) : name;
}

namespace {

bool IsName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.$-").find(c) != std::string_view::npos;
  });
}

}  // namespace

bool IsSecretName(std::string_view name) {
  while (true) {
    const std::size_t slash = name.find('/');
    if (!IsName(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

namespace {

// `name` is the way to here from the top, which itself has none.
void Read(const Cursor& cursor, const std::optional<std::string>& name, SecretsResult& result) {
  Findings& findings = result.findings;
  if (name.has_value() && !IsSecretName(*name)) {
    findings.Error("invalid-name", cursor.origin(), "this is no name of a secret", {},
                   "letters, digits and _.$-, parted by /");
    return;
  }
  if (cursor.is_object()) {
    for (const auto& [key, member] : cursor.Members()) {
      // Names the schema for the editor; no secret of anybody.
      if (!name.has_value() && key == "$schema") continue;
      Read(member, name.has_value() ? fmt::format("{}/{}", *name, key) : key, result);
    }
    return;
  }
  if (!cursor.is_string()) {
    // Not shown: a number may well be somebody's password.
    findings.Error("wrong-type", cursor.origin(), "a secret is a string", {}, "a string");
    return;
  }
  const auto& value = cursor.json().get_ref<const std::string&>();
  const bool clean = std::all_of(value.begin(), value.end(),
                                 [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
  if (value.empty() || !clean) {
    findings.Error("invalid-secret", cursor.origin(),
                   value.empty() ? "this secret is empty" : "this secret holds a control character", {},
                   "one line of text");
    return;
  }
  const std::string full = FullSecretName(name.value_or(""));
  if (!result.secrets.emplace(full, Secret(value)).second) {
    findings.Error("duplicate-name", cursor.origin(), fmt::format("the secret {} is given twice", full), {},
                   "every secret once");
  }
}

}  // namespace

SecretsResult LoadSecrets(std::string_view json_text) {
  SecretsResult result;
  const std::optional<JsonDocument> document = JsonDocument::Parse(json_text, result.findings);
  if (!document.has_value()) return result;
  // In a configuration a repeated key is doubtful; of two passwords nobody would be told which one counts.
  for (const Finding& repeated : std::exchange(result.findings.lints, {})) {
    result.findings.Error("duplicate-name", repeated.where, "this key was given before", {},
                          "every secret once");
  }
  const Cursor root = Cursor::Root(*document, result.findings);
  if (!root.is_object()) {
    result.findings.Error("wrong-type", root.origin(), "a secrets file is an object", {}, "an object");
    return result;
  }
  Read(root, std::nullopt, result);
  result.findings.SortByPlace();
  return result;
}

}  // namespace phoenix::config
