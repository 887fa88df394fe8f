#include "services/proxmox/host/api_request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/host/api_token.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {
namespace {

constexpr size_t kShown = 500;

constexpr size_t kLongestCode = 3;  // "%2F"

// Adds to `encoded` within its capacity, so that nothing of it is left behind in memory.
void Encode(std::string_view text, std::string& encoded) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[static_cast<unsigned char>(c) >> 4U];
      encoded += kDigits[static_cast<unsigned char>(c) & 0xFU];
    }
  }
}

std::string Encoded(std::string_view text) {
  std::string encoded;
  Encode(text, encoded);
  return encoded;
}

void Put(std::string& body, std::string_view name, std::string_view value) {
  if (!body.empty()) body += '&';
  body += Encoded(name) + "=" + Encoded(value);
}

std::string PathOfStorage(const std::string& id) { return "/storage/" + Encoded(id); }

// One line that a person can read, whatever was sent.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text.substr(0, kShown)) {
    if (c == '\n') {
      line += "; ";
    } else if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      line += c;
    }
  }
  while (line.ends_with(' ') || line.ends_with(';')) line.pop_back();
  return line;
}

struct Refusal {
  std::string said;
  std::vector<FieldViolation> violations;
};

Refusal ReadRefusal(const ApiAnswer& answer) {
  Refusal refusal;
  const auto json = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) {
    if (const auto message = json.find("message"); message != json.end() && message->is_string())
      refusal.said = OneLine(message->get<std::string>());
    if (const auto errors = json.find("errors"); errors != json.end() && errors->is_object()) {
      for (const auto& [field, why] : errors->items()) {
        refusal.violations.push_back(
            {OneLine(field), OneLine(why.is_string() ? why.get<std::string>() : why.dump())});
      }
    }
  }
  // Older releases, and whatever is refused before a method runs, say it in the status line only.
  if (refusal.said.empty()) refusal.said = OneLine(answer.reason);
  for (const FieldViolation& violation : refusal.violations)
    refusal.said += fmt::format("; {}: {}", violation.field, violation.description);
  if (refusal.said.empty()) refusal.said = "nothing";
  return refusal;
}

absl::Status TokenRefused(absl::Status status) { return WithReason(std::move(status), {kNodeApiToken, {}}); }

}  // namespace

ApiRequest AddRequest(const NewStorage& storage) {
  std::string body;
  Put(body, "storage", storage.id);
  Put(body, "type", storage.type);
  for (const auto& [name, value] : storage.options) Put(body, name, value);
  if (storage.content) Put(body, "content", Join(*storage.content));
  if (!storage.nodes.empty()) Put(body, "nodes", Join(storage.nodes));
  if (storage.disabled) Put(body, "disable", "1");
  if (!storage.password.empty()) {
    constexpr std::string_view kField = "&password=";
    body.reserve(body.size() + kField.size() + kLongestCode * storage.password.Reveal().size());
    body += kField;
    Encode(storage.password.Reveal(), body);
  }
  return {"POST", "/storage", Secret(std::move(body))};
}

ApiRequest SetRequest(const StorageChange& change) {
  std::string body;
  for (const auto& [name, value] : change.set) Put(body, name, value);
  if (change.content) Put(body, "content", Join(*change.content));
  if (change.nodes) Put(body, "nodes", Join(*change.nodes));
  if (!change.remove.empty()) Put(body, "delete", Join(change.remove));
  // Refused where the file is not the one that the change was decided on.
  if (!change.digest.empty()) Put(body, "digest", change.digest);
  return {"PUT", PathOfStorage(change.id), Secret(std::move(body))};
}

ApiRequest RemoveRequest(const std::string& id) { return {"DELETE", PathOfStorage(id), Secret()}; }

ApiRequest PermissionsRequest() { return {"GET", "/access/permissions?path=/storage", Secret()}; }

absl::Status CheckPermissions(const ApiAnswer& answer) {
  const auto json = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  const nlohmann::json::json_pointer right("/data/~1storage/Datastore.Allocate");
  if (json.is_object() && json.contains(right)) return absl::OkStatus();
  return Explain(AddRequest({}), {403, "Permission check failed (/storage, Datastore.Allocate)", ""});
}

std::string ToText(const ApiRequest& request) { return request.method + " " + request.path; }

absl::Status Explain(const ApiRequest& request, const ApiAnswer& answer) {
  const std::string who = fmt::format("{} at the node's API", ToText(request));
  if (answer.code == 200) {
    const auto json = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("data")) return absl::OkStatus();
    return Internal(
        "{} was answered with something that is no answer of Proxmox VE: is it pvedaemon that "
        "listens on 127.0.0.1:85? (`ss -ltnp`)",
        who);
  }
  const Refusal refusal = ReadRefusal(answer);
  // By the words first: without /etc/pve no token is known, so that the API answers 401 to a good one.
  absl::Status known = ExplainComplaint(who, refusal.said, refusal.said);
  if (!known.ok()) return known;
  switch (answer.code) {
    case 400: {
      absl::Status status = InvalidArgument("the node's API refuses {} ({})", ToText(request), refusal.said);
      return refusal.violations.empty() ? status : WithViolations(status, refusal.violations);
    }
    case 401:
      return TokenRefused(FailedPrecondition(
          "the node's API does not know the token of phoenix-proxmoxd ({} said: {}). Make a new one (`pveum "
          "user token remove root@pam phoenix`, `pveum user token add root@pam phoenix --privsep 0`) and put "
          "it into the token file, or remove that file to go on with pvesm",
          who, refusal.said));
    case 403:
      return TokenRefused(FailedPrecondition(
          "the token of phoenix-proxmoxd may not change storages ({} said: {}). Give it the rights of its "
          "user (`pveum user token modify root@pam phoenix --privsep 0`), or remove the token file to go on "
          "with pvesm",
          who, refusal.said));
    default:
      break;
  }
  if (answer.code >= 300 && answer.code < 400) {
    return FailedPrecondition(
        "{} was answered with a redirect ({}), which is not followed: is it pvedaemon that "
        "listens on 127.0.0.1:85? (`ss -ltnp`)",
        who, answer.code);
  }
  return FailedPrecondition("{} failed with {} and said: {}", who, answer.code, refusal.said);
}

}  // namespace phoenix::proxmox
