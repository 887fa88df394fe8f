// The real machine's containers: their files are read directly, changes go through pct.
#pragma once

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/proxmox/host/container_host.h"
#include "services/proxmox/host/proxmox_reading.h"

namespace phoenix::proxmox {

class ContainerCli final : public ContainerHost {
 public:
  // All must outlive this object.
  ContainerCli(CommandRunner& runner, const Files& files, const ProxmoxReading& reading)
      : runner_(runner), files_(files), reading_(reading) {}

  absl::StatusOr<ContainerPlaces> Read(const std::set<uint32_t>& ids) override;
  absl::StatusOr<std::map<std::string, uint64_t>> Volumes(const std::string& storage, uint32_t id) override;
  absl::StatusOr<VolumeContent> Look(const std::string& dataset) override;
  absl::StatusOr<uint64_t> Referenced(const std::string& dataset) override;
  absl::StatusOr<std::vector<std::string>> Mount(uint32_t id, const std::vector<NewMount>& mounts,
                                                 const std::string& digest,
                                                 const ChildObserver& on_child) override;
  absl::Status Detach(uint32_t id, const std::vector<std::string>& keys, const std::string& digest,
                      const ChildObserver& on_child) override;
  absl::Status Resize(uint32_t id, int number, uint64_t bytes, const std::string& digest,
                      const ChildObserver& on_child) override;
  absl::Status Free(const std::string& volume, const ChildObserver& on_child) override;
  absl::Status SetQuota(const std::string& dataset, uint64_t bytes, const ChildObserver& on_child) override;

 private:
  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& on_child);

  CommandRunner& runner_;
  const Files& files_;
  const ProxmoxReading& reading_;
};

}  // namespace phoenix::proxmox
