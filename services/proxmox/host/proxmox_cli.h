// The real machine: reads /etc/pve directly, since pvesm takes a hundred times as long, and changes through
// pvesm.
#pragma once

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/proxmox/host/container_cli.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/host/proxmox_reading.h"
#include "services/proxmox/host/vm_cli.h"

namespace phoenix::proxmox {

class ProxmoxCli final : public ProxmoxHost {
 public:
  // Both must outlive this object.
  ProxmoxCli(CommandRunner& runner, Files& files);

  absl::StatusOr<ProxmoxState> Observe(const Question& question) override;
  absl::StatusOr<StorageConfig> ReadStorages() override;
  absl::StatusOr<std::vector<std::string>> UsersOf(const std::string& id) override;
  absl::StatusOr<ToolReport> Add(const NewStorage& storage, const ChildObserver& on_child) override;
  absl::StatusOr<ToolReport> Set(const StorageChange& change, const ChildObserver& on_child) override;
  absl::StatusOr<ToolReport> Remove(const std::string& id, const ChildObserver& on_child) override;
  absl::StatusOr<StatusReport> Status() override;
  absl::StatusOr<bool> IsMounted(const std::string& path) override;
  absl::Status Unmount(const std::string& path, const ChildObserver& on_child) override;
  VmHost& vms() override { return vms_; }
  ContainerHost& containers() override { return containers_; }
  Files& files() override { return files_; }
  std::map<std::string, std::string> Versions() override;

 private:
  absl::StatusOr<ToolReport> Run(const Command& command, const ChildObserver& on_child);

  CommandRunner& runner_;
  Files& files_;
  const ProxmoxReading reading_;
  VmCli vms_;
  ContainerCli containers_;
};

}  // namespace phoenix::proxmox
