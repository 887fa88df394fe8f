#include "orchestrator/config/persistent_volumes.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "orchestrator/config/json_cursor.h"
#include "orchestrator/config/names.h"

namespace phoenix::config {
namespace {

// User 0 of an unprivileged container, as Proxmox VE maps it where the container's file says nothing.
constexpr std::uint32_t kUnprivilegedRoot = 100000;

bool SameNode(const std::string& a, const std::string& b) { return ToLower(a) == ToLower(b); }

class Placement {
 public:
  Placement(const std::string& node, const std::vector<std::string>& nodes, Config& config,
            Findings& findings)
      : node_(node), nodes_(nodes), config_(config), findings_(findings) {}

  void Place(Container& container) {
    std::vector<ContainerVolume> persistent, others;
    for (ContainerVolume& volume : container.volumes)
      (volume.persistent ? persistent : others).push_back(std::move(volume));
    container.volumes = std::move(others);
    if (persistent.empty() || !CheckNode(container)) return;
    if (!container.node.empty() && !node_.empty() && !SameNode(container.node, node_)) {
      container.placed_on = container.node;
      return;
    }
    for (const ContainerVolume& volume : persistent) Add(container, volume);
  }

 private:
  // Every node gets the same configuration, and only one is to get the dataset.
  bool CheckNode(const Container& container) {
    if (nodes_.empty()) return true;
    if (container.node.empty()) {
      if (nodes_.size() == 1) return true;
      findings_.Error(
          "unknown-node", container.origin,
          fmt::format("container {} has a persistent volume, which is a dataset of one node, and it is "
                      "not said of which",
                      container.id),
          {}, "\"node\": " + OneOf(nodes_));
      return false;
    }
    if (std::any_of(nodes_.begin(), nodes_.end(),
                    [&](const std::string& one) { return SameNode(one, container.node); }))
      return true;
    findings_.Error("unknown-node", container.origin, "the fleet has no such node", Quoted(container.node),
                    OneOf(nodes_));
    return false;
  }

  void Add(Container& container, const ContainerVolume& volume) {
    const auto storage = std::find_if(config_.storages.begin(), config_.storages.end(),
                                      [&](const ProxmoxStorage& one) { return one.id == volume.storage; });
    if (storage == config_.storages.end() || storage->absent || storage->type != StorageType::kZfsPool) {
      findings_.Error(
          "persistent-storage", volume.origin,
          "a persistent volume is a dataset beside those of its storage, and the configuration "
          "declares no such storage of type zfspool",
          Quoted(volume.storage),
          "the id of a storage that the configuration declares with proxmox_storage_type zfspool");
      return;
    }
    Dataset dataset = MakeDataset(*storage, container, volume);
    if (!CheckDataset(dataset, volume)) return;
    ContainerBind bind;
    bind.host_path = dataset.mountpoint;
    bind.path = volume.path;
    bind.owner_uid = 0;
    bind.owner_gid = 0;
    bind.host_uid = bind.host_gid = RootOf(container);
    bind.read_only = volume.read_only;
    bind.origin = volume.origin;
    container.binds.push_back(std::move(bind));
    config_.datasets.push_back(std::move(dataset));
  }

  static std::uint32_t RootOf(const Container& container) {
    return container.unprivileged ? kUnprivilegedRoot : 0;
  }

  // Proxmox VE takes what is named subvol-ID-…, vm-ID-… or base…-ID-… for the container's, and nothing else.
  Dataset MakeDataset(const ProxmoxStorage& storage, const Container& container,
                      const ContainerVolume& volume) const {
    Dataset dataset;
    dataset.full_name = fmt::format("{}/persistent-{}-{}", storage.dataset, container.id, volume.name);
    dataset.pool = dataset.full_name.substr(0, dataset.full_name.find('/'));
    dataset.name = dataset.full_name.substr(dataset.pool.size() + 1);
    dataset.mountpoint = config_.MountPointOf(dataset.full_name);
    dataset.origin = volume.origin;
    const auto set = [&](const std::string& name, const std::string& given, const std::string& value) {
      dataset.properties[name] = {given, value, volume.origin};
    };
    set("refquota", fmt::format("{}G", volume.size_gib), fmt::to_string(volume.size_gib << 30));
    // As Proxmox VE makes volumes of containers.
    set("acltype", "posix", "posix");
    set("xattr", "sa", "sa");
    const std::string root = fmt::to_string(RootOf(container));
    // A service in the container may take its directory over, as MySQL does.
    dataset.ownership = Ownership{
        .owner = root, .group = root, .mode = std::nullopt, .from_share = false, .at_creation_only = true};
    return dataset;
  }

  bool CheckDataset(const Dataset& dataset, const ContainerVolume& volume) {
    if (const auto problem = DatasetNameProblem(dataset.full_name)) {
      findings_.Error("invalid-name", volume.origin, "the dataset of this volume would have no valid name",
                      Quoted(dataset.full_name), *problem);
      return false;
    }
    if (config_.FindDataset(dataset.full_name) != nullptr) {
      findings_.Error("duplicate-name", volume.origin,
                      "the configuration declares the dataset of this volume itself, as zfs.datasets",
                      Quoted(dataset.full_name),
                      "no such dataset; or no persistent volume, and the dataset as one of mount_points");
      return false;
    }
    if (dataset.mountpoint.empty()) {
      findings_.Error("persistent-storage", volume.origin,
                      "a persistent volume is bound into its container, and the datasets of this storage are "
                      "mounted nowhere",
                      Quoted(volume.storage), "a storage whose dataset has a mount point");
      return false;
    }
    return true;
  }

  const std::string& node_;
  const std::vector<std::string>& nodes_;
  Config& config_;
  Findings& findings_;
};

}  // namespace

void PlacePersistentVolumes(const std::string& node, const std::vector<std::string>& nodes,
                            std::vector<Container>& containers, Config& config, Findings& findings) {
  Placement placement(node, nodes, config, findings);
  for (Container& container : containers) placement.Place(container);
}

}  // namespace phoenix::config
