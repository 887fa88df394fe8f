#include "services/proxmox/host/vm_config_parse.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {
namespace {

using Settings = std::map<std::string, std::string, std::less<>>;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

// A list of names, of which `force:` may be one's mark.
void Drop(std::string_view names, Settings& settings) {
  while (!names.empty()) {
    const size_t end = std::min(names.find_first_of(", ;"), names.size());
    std::string_view name = names.substr(0, end);
    if (!name.empty() && name.front() == '!') name.remove_prefix(1);
    if (const auto found = settings.find(name); found != settings.end()) settings.erase(found);
    names.remove_prefix(std::min(end + 1, names.size()));
  }
}

bool IsDrive(std::string_view key) {
  const size_t digits = key.find_first_of("0123456789");
  if (digits == std::string_view::npos) return false;
  const std::string_view bus = key.substr(0, digits);
  return bus == "ide" || bus == "sata" || bus == "scsi" || bus == "virtio";
}

}  // namespace

VmConfig ParseVmConfig(std::string_view text) {
  VmConfig config;
  config.digest = Sha1Hex(text);
  Settings settings, pending;
  std::string gone;
  enum class Section { kCurrent, kPending, kOther } section = Section::kCurrent;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = Trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[') {
      std::string name(line.substr(1, line.find(']') - 1));
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      section = name == "pending" ? Section::kPending : Section::kOther;
      continue;
    }
    const size_t colon = line.find(':');
    if (section == Section::kOther || colon == std::string_view::npos) continue;
    const std::string key(line.substr(0, colon)), value(Trim(line.substr(colon + 1)));
    if (section == Section::kCurrent) {
      settings[key] = value;
    } else if (key == "delete") {
      gone = value;
    } else {
      pending[key] = value;
    }
  }
  const auto lock = settings.find("lock");
  if (lock != settings.end()) config.lock = lock->second;
  Drop(gone, settings);
  for (auto& [key, value] : pending) settings[key] = std::move(value);
  for (const auto& [key, value] : settings) {
    if (key == "cicustom") config.cicustom = ParseCicustom(value);
    if (key == "citype") config.cloud_init_type = value;
    if (key == "ciuser" || key == "cipassword" || key == "sshkeys") config.user_settings.push_back(key);
    // "ide2: local-lvm:vm-101-cloudinit,media=cdrom", or just "STORAGE:cloudinit".
    if (IsDrive(key) && value.find("cloudinit") != std::string::npos) config.has_cloud_init_drive = true;
  }
  return config;
}

}  // namespace phoenix::proxmox
