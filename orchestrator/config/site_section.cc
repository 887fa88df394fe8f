#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <utility>

#include "orchestrator/config/names.h"
#include "orchestrator/config/nfs_grammar.h"
#include "orchestrator/config/sections.h"

namespace phoenix::config {
namespace {

// Looks through the whole document, foreign sections too: a password is a password wherever the file keeps
// it.
void LintPasswords(const Cursor& cursor) {
  if (cursor.is_array()) {
    for (const Cursor& element : cursor.Elements()) LintPasswords(element);
  }
  if (!cursor.is_object()) return;
  for (const auto& [key, value] : cursor.Members()) {
    // The name of a secret, not a secret.
    if (value.origin().path.ends_with(".encryption.key.secret")) continue;
    const bool has_text = value.is_string() && !value.json().get_ref<const std::string&>().empty();
    if (has_text && IsSecretKey(key)) {
      cursor.findings().Lint("plaintext-password", value.origin(),
                             "a secret stands here as plain text; keep it in the secrets file");
    }
    LintPasswords(value);
  }
}

// A host name or an address.
std::string ReadServerAddress(const Cursor& cursor) {
  const auto text = cursor.String();
  if (!text.has_value()) return {};
  // A prefix would be the mark of a subnet, and a path that of an export: the server of a storage has
  // neither.
  if (text->find('/') == std::string::npos) {
    const auto client = ParseNfsClient(*text);
    if (client.ok() && client->canonical[0] != '@') return client->canonical;
  }
  cursor.Error("invalid-address", "this is no address of a server",
               "a host name or an address alone (10.0.0.13); the prefix belongs into interfaces.address");
  return {};
}

// The address of "10.0.0.13/24", or of "10.0.0.13".
std::string ReadInterfaceAddress(const Cursor& cursor) {
  const auto text = cursor.String();
  if (!text.has_value()) return {};
  const std::string address = text->substr(0, text->find('/'));
  const auto client = ParseNfsClient(address);
  if (client.ok() && client->canonical[0] != '@' && (address == *text || ParseNfsClient(*text).ok()))
    return client->canonical;
  cursor.Error("invalid-address", "this is no address",
               "an address, with or without a prefix (10.0.0.13/24)");
  return {};
}

// The object of that name; absent, after an error, where something else stands there.
Cursor ReadObject(const Cursor& root, std::string_view name) {
  const Cursor object = root.Key(name);
  if (object.present()) object.RequireObject();
  return object;
}

void ReadDefaultSubnet(const Cursor& subnet, Config& config) {
  const auto text = subnet.String();
  if (!text.has_value()) return;
  const auto client = ParseNfsClient(*text);
  if (!client.ok()) {
    subnet.Error("invalid-client", "this is no subnet", std::string(client.status().message()));
    return;
  }
  if (client->had_host_bits) {
    subnet.Lint("client-host-bits",
                fmt::format("this is an address inside a subnet; read as {}", client->canonical));
  }
  config.default_subnet = client->canonical;
}

void ReadSharedVolume(const std::string& name, const Cursor& cursor, Config& config) {
  SharedVolume volume{name, {}, {}, cursor.origin()};
  cursor.ExpectKeys({"host_path", "mounts"});
  const auto path = ReadPath(cursor.Key("host_path"), config);
  for (const auto& [key, inside] : cursor.Key("mounts").Members()) {
    std::uint32_t container = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), container);
    if (error != std::errc() || end != key.data() + key.size() || container < 100 || container > 999999999) {
      inside.findings().Error("invalid-container", inside.origin(), "this is no container id", Quoted(key),
                              "a number from 100");
      continue;
    }
    const auto text = inside.String();
    const auto target = text.has_value() ? NormalisedPath(*text) : std::nullopt;
    if (target.has_value() && *target != "/") {
      volume.mounts[container] = *target;
    } else {
      inside.Error("invalid-path", "this is no path inside the container", "an absolute path");
    }
  }
  if (!path.has_value()) return;
  volume.host_path = *path;
  config.shared_volumes.push_back(std::move(volume));
}

}  // namespace

std::optional<std::string> ReadPath(const Cursor& path, const Config& config) {
  constexpr const char* kAllowed = "an absolute path, or a dataset name; no . or .. and plain ASCII only";
  if (!path.present()) {
    path.Error("missing", "the path is missing", kAllowed);
    return std::nullopt;
  }
  const auto text = path.String();
  if (!text.has_value()) return std::nullopt;
  const bool relative = !text->empty() && (*text)[0] != '/';
  auto normal = NormalisedPath(relative ? "/" + *text : *text);
  if (!normal.has_value() || *normal == "/") {
    path.Error("invalid-path", "this is no usable path", kAllowed);
    return std::nullopt;
  }
  if (!relative) return normal;
  // Without a leading slash the text is a dataset's name, whose mount point may be elsewhere.
  const Dataset* best = nullptr;
  for (const Dataset& dataset : config.datasets) {
    if (!IsAtOrBelow(*normal, "/" + dataset.full_name)) continue;
    if (dataset.volume_size != 0) {
      path.Error("volume-key", fmt::format("{} is a volume, which has no files", dataset.full_name),
                 "the path of a file system");
      return std::nullopt;
    }
    if (dataset.mountpoint.empty()) continue;
    if (best == nullptr || dataset.full_name.size() > best->full_name.size()) best = &dataset;
  }
  return best == nullptr ? *normal : best->mountpoint + normal->substr(best->full_name.size() + 1);
}

void ReadSite(const Cursor& root, Config& config) {
  LintPasswords(root);
  const Cursor network = ReadObject(root, "network");
  config.server_address = ReadServerAddress(network.Key("nfs_server"));
  const Cursor interfaces = network.Key("interfaces");
  // Other shapes of `interfaces` belong to someone else.
  if (config.server_address.empty() && interfaces.is_object()) {
    config.server_address = config.own_address = ReadInterfaceAddress(interfaces.Key("address"));
  }
  ReadDefaultSubnet(network.Key("default_subnet"), config);
  root.Key("mount_point_base").String();  // only ever a hint, but a mistyped one is told
  const Cursor rollback = ReadObject(root, "behavior").Key("rollback_on_failure");
  if (rollback.present() && rollback.json() == nlohmann::json(false)) {
    rollback.Lint("rollback-always-on", "a failed run is always undone; this key has no effect");
  }
}

void ReadSharedVolumes(const Cursor& root, Config& config) {
  for (const auto& [name, volume] : root.Key("shared_volumes").Members()) {
    // Real files keep firewall rules here, between the volumes.
    if (name == "firewall" &&
        (!volume.present() || (volume.is_object() && !volume.Key("host_path").present())))
      continue;
    if (volume.RequireObject()) ReadSharedVolume(name, volume, config);
  }
}

}  // namespace phoenix::config
