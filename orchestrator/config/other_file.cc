// A fleet, secrets, VM or container file where a configuration is wanted: taken for one, it would be an empty
// configuration with nothing to do, and passwords would travel where a configuration does.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/config/sections.h"

namespace phoenix::config {
namespace {

constexpr std::array<std::string_view, 7> kSections = {
    "zfs", "proxmox_storage_ids", "nfs", "samba", "shared_volumes", "network", "vm_features"};

bool HasSection(const Cursor& root) {
  return std::any_of(kSections.begin(), kSections.end(),
                     [&](std::string_view section) { return root.Key(section).present(); });
}

bool IsVms(const Cursor& root) { return root.Key("vms").is_array() && !HasSection(root); }

bool IsFleet(const Cursor& root) {
  const Cursor nodes = root.Key("nodes");
  if (!nodes.is_array() || nodes.json().empty()) return false;
  return !HasSection(root) && std::all_of(nodes.json().begin(), nodes.json().end(), [](const auto& node) {
    return node.is_object() && node.contains("name") && node.contains("address");
  });
}

// {"samba": {"users": {…}}}, and {"samba": {"heads": "…"}}, which is no section of a configuration.
bool IsSecretsOfSamba(const nlohmann::json& samba) {
  if (!samba.is_object() || samba.empty()) return false;
  for (const std::string_view key : {"user", "workgroup", "shares"}) {
    if (samba.contains(key)) return false;
  }
  for (const auto& [key, value] : samba.items()) {
    if (!value.is_string() && (key != "users" || !value.is_object())) return false;
  }
  return true;
}

// {"zfs": {"NAME": "KEY"}}: a configuration has no text there but for the ARC.
bool IsSecretsOfZfs(const nlohmann::json& zfs) {
  if (!zfs.is_object() || zfs.empty()) return false;
  for (const std::string_view key :
       {"pools", "datasets", "settings", "dataset_storage_types", "arc_max_gb", "arc_max"}) {
    if (zfs.contains(key)) return false;
  }
  return std::all_of(zfs.begin(), zfs.end(), [](const auto& value) { return value.is_string(); });
}

bool IsSecrets(const Cursor& root) {
  bool has_secret = false;
  for (const auto& [key, value] : root.json().items()) {
    if (key == "$schema") continue;
    const bool flat = key.starts_with("samba/") || key.starts_with("zfs/");
    const bool nested =
        (key == "samba" && IsSecretsOfSamba(value)) || (key == "zfs" && IsSecretsOfZfs(value));
    if (!flat && !nested) return false;
    has_secret = true;
  }
  return has_secret;
}

}  // namespace

bool IsConfiguration(const Cursor& root) {
  const auto refuse = [&root](const char* found, const char* allowed) {
    root.findings().Error("other-file", root.origin(), found, {}, allowed);
    return false;
  };
  if (IsFleet(root)) {
    return refuse("this is a fleet file, no configuration",
                  "a configuration here; the fleet with --fleet FILE");
  }
  if (IsSecrets(root)) {
    return refuse("this is a secrets file, no configuration",
                  "a configuration here; the secrets with --secrets FILE");
  }
  if (root.Key("lxc_configs").present() && !HasSection(root)) {
    return refuse("this is a file of containers, no configuration",
                  "a configuration here; the containers with --lxc FILE");
  }
  if (IsVms(root))
    return refuse("this is a VM file, no configuration", "a configuration here; the VMs with --vms FILE");
  return true;
}

}  // namespace phoenix::config
