// What Proxmox VE offers on the storage of containers: pct, and what pvesm and zfs say of volumes. Part of
// ProxmoxHost.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "services/proxmox/domain/container_planner.h"
#include "services/proxmox/domain/container_state.h"

namespace phoenix::proxmox {

// Where the containers that were asked for are. One that is nowhere in the cluster is in neither.
struct ContainerPlaces {
  std::map<uint32_t, ContainerConfig> here;
  std::set<uint32_t> running;                 // of those here
  std::map<uint32_t, std::string> elsewhere;  // the other node that has it
};

// What is in a volume that is a ZFS file system.
struct VolumeContent {
  // Names in its root; nullopt where it is not mounted, so that nobody can tell.
  std::optional<std::vector<std::string>> names;
  // Its snapshots, and the datasets below it.
  std::vector<std::string> others;

  bool IsEmpty() const { return names && names->empty() && others.empty(); }
};

// All calls are thread-safe. Errors of changes: NOT_FOUND where this node has no such container, ABORTED for
// another digest, UNAVAILABLE where a lock or /etc/pve cannot be had, FAILED_PRECONDITION for everything else
// that the tool refuses. A change that answered an error may have happened all the same: read again.
class ContainerHost {
 public:
  virtual ~ContainerHost() = default;

  // Straight from their files: cheap. UNAVAILABLE where /etc/pve is not mounted.
  virtual absl::StatusOr<ContainerPlaces> Read(const std::set<uint32_t>& ids) = 0;
  // Volume ids of the container's volumes on a storage, used or not, with their sizes in bytes. Activates the
  // storage.
  virtual absl::StatusOr<std::map<std::string, uint64_t>> Volumes(const std::string& storage,
                                                                  uint32_t id) = 0;
  // NOT_FOUND where there is no such dataset.
  virtual absl::StatusOr<VolumeContent> Look(const std::string& dataset) = 0;

  // How many bytes a volume that is a ZFS file system holds, as its quota counts them. NOT_FOUND likewise.
  virtual absl::StatusOr<uint64_t> Referenced(const std::string& dataset) = 0;

  // New mpN lines, all or none. A failure may leave new volumes behind that no container names, and mounts in
  // a container that runs: pct mounts one after the other into it, and writes the lines last.
  virtual absl::StatusOr<std::vector<std::string>> Mount(uint32_t id, const std::vector<NewMount>& mounts,
                                                         const std::string& digest,
                                                         const ChildObserver& on_child) = 0;
  // Takes lines away; of a running container with its next stop. "mp0" of a volume becomes an unusedN;
  // "unused0" destroys its volume with all its snapshots, unless the container has a snapshot of it.
  virtual absl::Status Detach(uint32_t id, const std::vector<std::string>& keys, const std::string& digest,
                              const ChildObserver& on_child) = 0;
  // Never smaller than it is.
  virtual absl::Status Resize(uint32_t id, int number, uint64_t bytes, const std::string& digest,
                              const ChildObserver& on_child) = 0;
  // Destroys a volume with all its snapshots, whoever names it. OK where there is none.
  virtual absl::Status Free(const std::string& volume, const ChildObserver& on_child) = 0;
  // The size of a volume that is a ZFS file system, larger or smaller; the container's file still says the
  // former one. Refused by ZFS where the volume holds more.
  virtual absl::Status SetQuota(const std::string& dataset, uint64_t bytes,
                                const ChildObserver& on_child) = 0;
};

}  // namespace phoenix::proxmox
