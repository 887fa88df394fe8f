// Reads Proxmox VE's files: the part that the real and the simulated machine have in common.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/host/files.h"
#include "services/proxmox/host/proxmox_host.h"

namespace phoenix::proxmox {

// Thread-safe as far as the files and the mount table are.
class ProxmoxReading {
 public:
  using MountTable = std::function<absl::StatusOr<std::vector<Mount>>()>;
  // `files` must outlive this object.
  ProxmoxReading(const Files& files, MountTable mounts) : files_(files), mounts_(std::move(mounts)) {}

  // True where pvesm is there.
  absl::StatusOr<bool> IsInstalled() const;
  absl::StatusOr<ProxmoxState> Observe(const Question& question) const;
  absl::StatusOr<StorageConfig> ReadStorages() const;
  absl::StatusOr<std::vector<std::string>> UsersOf(const std::string& id, const std::string& node) const;
  absl::StatusOr<VmPlaces> ReadVms(const std::set<uint32_t>& vmids) const;
  absl::StatusOr<ContainerPlaces> ReadContainers(const std::set<uint32_t>& ids) const;
  absl::StatusOr<bool> IsMounted(const std::string& path) const;
  // Where a dataset is mounted; "" for nowhere.
  absl::StatusOr<std::string> MountOf(const std::string& dataset) const;
  std::string PackageVersion(const std::string& package) const;

 private:
  absl::Status CheckMounted(const std::vector<Mount>& mounts) const;
  absl::StatusOr<std::string> ReadOr(const std::string& path, const std::string& missing) const;
  absl::StatusOr<std::string> NodeName() const;
  absl::Status FillCluster(ProxmoxState& state) const;

  const Files& files_;
  const MountTable mounts_;
};

}  // namespace phoenix::proxmox
