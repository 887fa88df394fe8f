// From the text of a container configuration file to what concerns storage in it: the volumes and the bind
// mounts of containers.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
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
  bool persistent = false;  // outlives the container: PlacePersistentVolumes() makes a bind mount of it
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
  // Whom the configuration makes its owners, as the host counts; of persistent volumes only.
  std::optional<std::uint32_t> host_uid;
  std::optional<std::uint32_t> host_gid;
  bool absent = false;  // wanted gone: the mount point, never the directory
};

struct Container {
  std::uint32_t id = 0;
  std::vector<ContainerVolume> volumes;
  std::vector<ContainerBind> binds;
  Origin origin;
  // Both are read only where a volume is persistent: otherwise they belong to other tools.
  std::string node;  // of the fleet, or empty
  bool unprivileged = true;
  // The other node that holds its persistent volumes; empty: this one, or there are none.
  std::string placed_on;
};

struct LxcResult {
  std::vector<Container> containers;  // by id; only those that have volumes or bind mounts
  std::set<std::uint32_t> declared;   // all that the file names
  Findings findings;

  bool ok() const { return findings.errors.empty(); }
  // OK, or INVALID_ARGUMENT with every error on its own line.
  absl::Status ToStatus() const;
};

// Never stops at the first error. What belongs to other tools is not looked at.
LxcResult LoadLxc(std::string_view json_text);

// The containers, and what `shared_volumes` of the hypervisor configuration adds to those that the container
// file declares, whether or not it gives them volumes: no other container is touched. The same bind mount in
// both files is one. An error where both want different things at one place of a container. `lxc` is null
// where there is no container file: there are no containers then, and only mistakes are found.
std::vector<Container> WithSharedVolumes(const LxcResult* lxc, const Config& config, Findings& findings);

// What of `shared_volumes` waits for a container file, for people, by its place; empty where nothing does.
std::vector<std::pair<Origin, std::string>> WaitingForContainers(const Config& config);

}  // namespace phoenix::config
