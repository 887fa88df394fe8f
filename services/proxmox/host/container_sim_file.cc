#include "services/proxmox/host/container_sim_file.h"

#include <fmt/format.h>

namespace phoenix::proxmox {
namespace {

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return line;
}

std::string WrittenSize(uint64_t bytes) {
  size_t unit = 0;
  for (; bytes != 0 && bytes % 1024 == 0 && unit < 4; ++unit) bytes /= 1024;
  return unit == 0 ? fmt::to_string(bytes) : fmt::format("{}{}", bytes, "KMGT"[unit - 1]);
}

}  // namespace

ContainerFile ReadContainerFile(std::string_view text) {
  ContainerFile file;
  bool is_pending = false;
  while (!text.empty()) {
    if (text.front() == '[' && text.substr(0, text.find('\n')) != "[pve:pending]") {
      file.rest = std::string(text);
      return file;
    }
    const std::string_view line = TakeLine(text);
    if (line == "[pve:pending]") is_pending = true;
    const size_t colon = line.find(": ");
    if (line.starts_with("#")) {
      if (!is_pending) file.description.emplace_back(line);
    } else if (line.starts_with("lxc.")) {
      file.raw.emplace_back(line);
    } else if (colon != std::string_view::npos) {
      (is_pending ? file.pending : file.set)[std::string(line.substr(0, colon))] = line.substr(colon + 2);
    }
  }
  return file;
}

std::string WriteContainerFile(const ContainerFile& file) {
  std::string text;
  for (const std::string& line : file.description) text += line + "\n";
  for (const auto& [key, value] : file.set) text += fmt::format("{}: {}\n", key, value);
  for (const std::string& line : file.raw) text += line + "\n";
  if (!file.pending.empty()) {
    text += "\n[pve:pending]\n";
    for (const auto& [key, value] : file.pending) text += fmt::format("{}: {}\n", key, value);
  }
  if (!file.rest.empty()) text += "\n" + file.rest;
  return text;
}

std::string ContainerMountText(const ContainerMount& mount) {
  std::map<std::string, std::string> options(mount.options.begin(), mount.options.end());
  if (mount.size) options["size"] = WrittenSize(*mount.size);
  std::string text = mount.source + ",mp=" + mount.path;
  for (const auto& [name, value] : options) text += fmt::format(",{}={}", name, value);
  return text;
}

}  // namespace phoenix::proxmox
