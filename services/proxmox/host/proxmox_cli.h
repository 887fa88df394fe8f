// The real machine: reads /etc/pve directly, since pvesm takes a hundred times as long, and changes through
// the node's own API where there is a token for it, else through pvesm.
#pragma once

#include <functional>

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/proxmox/host/container_cli.h"
#include "services/proxmox/host/node_api.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/host/proxmox_reading.h"
#include "services/proxmox/host/vm_cli.h"

namespace phoenix::proxmox {

class ProxmoxCli final : public ProxmoxHost {
 public:
  using Warn = std::function<void(const std::string&)>;
  // All must outlive this object. Without an API (null) all changes are pvesm's. `warn` is told where a token
  // is there and nobody answers at the API.
  ProxmoxCli(CommandRunner& runner, Files& files, NodeApi* api = nullptr, Warn warn = nullptr);

  absl::StatusOr<ProxmoxState> Observe(const Question& question) override;
  absl::StatusOr<StorageConfig> ReadStorages() override;
  absl::StatusOr<std::vector<std::string>> UsersOf(const std::string& id, const std::string& node) override;
  absl::StatusOr<ToolReport> Add(const NewStorage& storage, const ChildObserver& on_child) override;
  absl::StatusOr<ToolReport> Set(const StorageChange& change, const ChildObserver& on_child) override;
  absl::StatusOr<ToolReport> Remove(const std::string& id, const ChildObserver& on_child) override;
  absl::Status CanChange() override;
  absl::StatusOr<StatusReport> Status() override;
  absl::StatusOr<bool> IsMounted(const std::string& path) override;
  absl::Status Unmount(const std::string& path, const ChildObserver& on_child) override;
  VmHost& vms() override { return vms_; }
  ContainerHost& containers() override { return containers_; }
  Files& files() override { return files_; }
  std::map<std::string, std::string> Versions() override;

 private:
  // By the API, or by the command where there is no token or nobody who answers. Without a command (nullopt)
  // it is the API or an error.
  absl::StatusOr<ToolReport> Change(const ApiRequest& request, const std::optional<Command>& command,
                                    const ChildObserver& on_child);
  absl::Status Settle();

  CommandRunner& runner_;
  Files& files_;
  NodeApi* const api_;
  const Warn warn_;
  const ProxmoxReading reading_;
  VmCli vms_;
  ContainerCli containers_;
};

}  // namespace phoenix::proxmox
