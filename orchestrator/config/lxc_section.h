// From the text of a container configuration file to what concerns storage in it: the volumes and the bind
// mounts of containers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/config/config.h"
#include "orchestrator/config/finding.h"

namespace phoenix::config {

// A volume of a container on a storage of Proxmox VE.
struct ContainerVolume {
  std::string name;     // unique in the container
  std::string storage;  // a storage id
  std::uint64_t size_gib = 0;
  std::string path;            // in the container: absolute, normalised, not "/"
  std::optional<bool> backup;  // absent: left at Proxmox VE's default
  bool read_only = false;
  Origin origin;
};

// A directory of the host that a container sees.
struct ContainerBind {
  std::string host_path;  // absolute, normalised
  std::string path;       // in the container
  // Who owns the directory, as the container counts users.
  std::optional<std::uint32_t> owner_uid;
  std::optional<std::uint32_t> owner_gid;
  bool read_only = false;
  Origin origin;
};

struct Container {
  std::uint32_t id = 0;
  std::vector<ContainerVolume> volumes;
  std::vector<ContainerBind> binds;
  Origin origin;
};

struct LxcResult {
  std::vector<Container> containers;  // by id; only those that have volumes or bind mounts
  Findings findings;

  bool ok() const { return findings.errors.empty(); }
  // OK, or INVALID_ARGUMENT with every error on its own line.
  absl::Status ToStatus() const;
};

// Never stops at the first error. What belongs to other tools is not looked at.
LxcResult LoadLxc(std::string_view json_text);

// The containers, and what `shared_volumes` of the hypervisor configuration adds to them. The same bind mount
// in both files is one. An error where both want different things at one place of a container.
std::vector<Container> WithSharedVolumes(std::vector<Container> containers, const Config& config,
                                         Findings& findings);

}  // namespace phoenix::config
