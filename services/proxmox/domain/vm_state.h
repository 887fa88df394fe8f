// What is seen of VMs. Pure values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix::proxmox {

// The parts of a VM's cicustom by name: "user", "vendor", "meta", "network", each a volume.
using Cicustom = std::map<std::string, std::string, std::less<>>;
inline constexpr char kMetaPart[] = "meta";

// "user=a:snippets/b,network=c:snippets/d"; what is no NAME=VOLUME is kept under its own text.
Cicustom ParseCicustom(std::string_view text);
std::string ToText(const Cicustom& cicustom);

// A VM's file as the VM takes it at its next start: pending changes count.
struct VmConfig {
  std::string digest;  // SHA-1 of the file's bytes, which `qm set --digest` wants
  Cicustom cicustom;
  // What Proxmox VE makes user data of, where the VM has no own: some of ciuser, cipassword, sshkeys.
  std::vector<std::string> user_settings;
  bool has_cloud_init_drive = false;
  std::string cloud_init_type;  // citype: "nocloud", "configdrive2", …; empty for the guest's usual one
  std::string lock;             // what holds the VM ("backup"), or empty

  // The volumes of the parts that are in `which`, "" for none.
  Cicustom PartsIn(const Cicustom& which) const {
    Cicustom parts;
    for (const auto& [part, volume] : which) parts[part] = PartOf(part);
    return parts;
  }
  // The volume of that part, "" for none.
  std::string PartOf(std::string_view part) const {
    const auto found = cicustom.find(part);
    return found == cicustom.end() ? std::string() : found->second;
  }
};

// Where the VMs that were asked for are. One that is nowhere in the cluster is in neither.
struct VmPlaces {
  bool has_tool = false;  // qm is installed
  std::map<uint32_t, VmConfig> here;
  std::map<uint32_t, std::string> elsewhere;  // the other node that has it
};

}  // namespace phoenix::proxmox
