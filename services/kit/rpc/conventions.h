// Where things are unless a flag says otherwise.
#pragma once

#include <string>
#include <string_view>

#include "services/kit/plan/reversal_spec.h"

namespace phoenix::kit {

inline constexpr char kRuntimeDirectory[] = "/run/phoenix";
inline constexpr char kStateDirectory[] = "/var/lib/phoenix";
inline constexpr char kPkiDirectory[] = "/etc/phoenix/pki";
inline constexpr std::string_view kParticipants[] = {"zfs", "nfs", "samba", "proxmox"};

// The TCP port of a service: orchestrator 7440, zfs 7441, nfs 7442, samba 7443, proxmox 7444; 0 for any other
// name.
constexpr int PortOf(std::string_view service) {
  if (service == "orchestrator") return 7440;
  int port = 7441;
  for (const std::string_view name : kParticipants) {
    if (name == service) return port;
    ++port;
  }
  return 0;
}

inline std::string SocketOf(std::string_view runtime_directory, std::string_view service) {
  return std::string(runtime_directory) + "/" + std::string(service) + ".sock";
}

}  // namespace phoenix::kit
