#include "services/proxmox/domain/vm_state.h"

#include <algorithm>

namespace phoenix::proxmox {

Cicustom ParseCicustom(std::string_view text) {
  Cicustom parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view one = text.substr(0, end);
    const size_t equals = one.find('=');
    if (equals != std::string_view::npos) {
      parts[std::string(one.substr(0, equals))] = one.substr(equals + 1);
    } else if (!one.empty()) {
      parts[std::string(one)] = "";
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string ToText(const Cicustom& cicustom) {
  std::string text;
  for (const auto& [part, volume] : cicustom) {
    if (!text.empty()) text += ',';
    text += volume.empty() ? part : part + "=" + volume;
  }
  return text;
}

}  // namespace phoenix::proxmox
