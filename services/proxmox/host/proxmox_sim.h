// The simulated node's Proxmox VE, over the node's simulated machine: the same files, written as the genuine
// pvesm writes them (comments lost, lists in any order), the same refusals.
#pragma once

#include <memory>
#include <string>

#include "services/kit/sim/machine.h"
#include "services/proxmox/host/container_sim.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/host/proxmox_reading.h"
#include "services/proxmox/host/vm_sim.h"

namespace phoenix::proxmox {

// Kinds of the simulated world that are read here. The zfs domain's: pools, and datasets that say where they
// are mounted
// ("mounted": path or ""). Any other mount by its path: {"source": "10.0.0.5:/srv", "type": "nfs4"}; nfs and
// cifs entries make such ones.
inline constexpr char kSimPool[] = "zfs.pool";
inline constexpr char kSimDataset[] = "zfs.dataset";
inline constexpr char kSimMount[] = "mount";

// Planned faults: "proxmox.add", "proxmox.set", "proxmox.remove", "proxmox.status", "proxmox.unmount", and
// each with
// ":ID". Besides the machine's effects there are "folders" (an add that makes its folders and then fails) and
// "partial" (an add that drops one of the contents it was given), "locked" (somebody holds the lock; nothing
// happens) and "raced" (somebody wrote the file right before; nothing happens).
class ProxmoxSim final : public ProxmoxHost {
 public:
  explicit ProxmoxSim(std::shared_ptr<kit::Machine> machine);

  // Installs Proxmox VE on a simulated machine, as node `node` of `cluster` ("" for none). OK when it is
  // there already.
  static absl::Status Install(kit::Machine& machine, const std::string& node,
                              const std::string& cluster = "");

  absl::StatusOr<ProxmoxState> Observe(const Question& question) override;
  absl::StatusOr<StorageConfig> ReadStorages() override;
  absl::StatusOr<std::vector<std::string>> UsersOf(const std::string& id, const std::string& node) override;
  absl::StatusOr<ToolReport> Add(const NewStorage& storage, const ChildObserver& on_child) override;
  absl::StatusOr<ToolReport> Set(const StorageChange& change, const ChildObserver& on_child) override;
  absl::StatusOr<ToolReport> Remove(const std::string& id, const ChildObserver& on_child) override;
  absl::Status CanChange() override { return absl::OkStatus(); }
  absl::StatusOr<StatusReport> Status() override;
  absl::StatusOr<bool> IsMounted(const std::string& path) override;
  absl::Status Unmount(const std::string& path, const ChildObserver& on_child) override;
  VmHost& vms() override { return vms_; }
  ContainerHost& containers() override { return containers_; }
  Files& files() override { return files_; }
  std::map<std::string, std::string> Versions() override;

 private:
  struct Answer;
  // Runs a tool in the world: faults first, then `body`, whose refusal is the answer's error, not the
  // transaction's.
  absl::StatusOr<ToolReport> RunTool(const std::string& operation, const std::string& object,
                                     const ChildObserver& on_child,
                                     const std::function<absl::Status(kit::World&, Answer&)>& body);

  const std::shared_ptr<kit::Machine> machine_;
  kit::SimFiles files_;
  const ProxmoxReading reading_;
  VmSim vms_;
  ContainerSim containers_;
};

}  // namespace phoenix::proxmox
