// The simulated node's containers: the same files, written as pct writes them, the same refusals in the same
// words, volumes that are datasets of the simulated machine. A container runs where the machine's table of
// sockets (/proc/1/net/unix) says so; what was then mounted into it is kSimLiveMount, by "ID:mpN", with the
// volume that is in use by it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "services/kit/sim/machine.h"
#include "services/proxmox/host/container_host.h"
#include "services/proxmox/host/proxmox_reading.h"

namespace phoenix::proxmox {

inline constexpr char kSimLiveMount[] = "lxc.mount";

// Planned faults: "pct.set", "pct.resize", "pvesm.free", "zfs.quota", and each with ":" and the container's
// id, the volume or the dataset. Besides the machine's effects there is "orphans": a `pct set` that makes its
// volumes and then fails, so that no container names them; and "half": a resize that changes the volume and
// not the container's file. "pct.hotplug:ID:mpN" is met when that one is mounted into a container that runs.
class ContainerSim final : public ContainerHost {
 public:
  // `reading` must outlive this object.
  ContainerSim(std::shared_ptr<kit::Machine> machine, const ProxmoxReading& reading)
      : machine_(std::move(machine)), reading_(reading) {}

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
  // Faults first, then `body` in one transaction of the world.
  absl::Status Run(const std::string& operation, const std::string& object, const ChildObserver& on_child,
                   const std::function<absl::Status(kit::World&, std::string_view fault)>& body);

  const std::shared_ptr<kit::Machine> machine_;
  const ProxmoxReading& reading_;
};

}  // namespace phoenix::proxmox
