#include "services/proxmox/host/container_sim.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/host/container_command.h"
#include "services/proxmox/host/container_config_parse.h"
#include "services/proxmox/host/container_sim_file.h"
#include "services/proxmox/host/proxmox_parse.h"
#include "services/proxmox/host/proxmox_sim.h"

namespace phoenix::proxmox {
namespace {

using kit::World;
using nlohmann::json;

constexpr char kSimSnapshot[] = "zfs.snapshot";

// What pct or pvesm would say, taken as its answer is.
template <class... Args>
absl::Status Says(fmt::format_string<Args...> text, Args&&... args) {
  return ExplainContainerFailure({.program = kPct},
                                 {255, "", fmt::format(text, std::forward<Args>(args)...) + "\n"});
}

absl::StatusOr<std::string> ReadText(World& world, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(auto file, world.ReadFile(path));
  return file && !file->directory ? std::move(file->state.content) : std::string();
}

absl::StatusOr<StorageEntry> StorageOf(World& world, const std::string& id) {
  PHX_ASSIGN_OR_RETURN(const std::string text, ReadText(world, kStorageConfigPath));
  const StorageConfig config = ParseStorageConfig(text);
  const auto found = config.entries.find(id);
  if (found == config.entries.end()) return Says("storage '{}' does not exist", id);
  return found->second;
}

std::string OptionOf(const StorageEntry& entry, std::string_view name) {
  const auto found = entry.options.find(name);
  return found == entry.options.end() ? std::string() : found->second;
}

// A volume where it really is: a dataset, or a file that holds its size.
struct Place {
  std::string dataset, file;
};

absl::StatusOr<Place> PlaceOf(World& world, const std::string& volume) {
  const size_t colon = volume.find(':');
  PHX_ASSIGN_OR_RETURN(const StorageEntry storage, StorageOf(world, volume.substr(0, colon)));
  const std::string name = volume.substr(colon + 1);
  if (storage.type == kZfspool) return Place{OptionOf(storage, "pool") + "/" + name, ""};
  return Place{"", OptionOf(storage, "path") + "/images/" + name};
}

absl::StatusOr<std::map<std::string, uint64_t>> VolumesOf(World& world, const std::string& id,
                                                          uint32_t container) {
  PHX_ASSIGN_OR_RETURN(const StorageEntry storage, StorageOf(world, id));
  std::map<std::string, uint64_t> volumes;
  if (storage.type == kZfspool) {
    const std::string prefix = fmt::format("{}/subvol-{}-", OptionOf(storage, "pool"), container);
    PHX_ASSIGN_OR_RETURN(const auto datasets, world.List(kSimDataset));
    for (const auto& [name, dataset] : datasets) {
      if (!name.starts_with(prefix) || name.find('/', prefix.size()) != std::string::npos) continue;
      const std::string quota = dataset.value("/local/refquota"_json_pointer, std::string("0"));
      volumes[id + name.substr(name.rfind('/')).replace(0, 1, ":")] = std::stoull(quota);
    }
    return volumes;
  }
  const std::string folder = fmt::format("{}/images/{}/", OptionOf(storage, "path"), container);
  PHX_ASSIGN_OR_RETURN(const auto files, world.FilesBelow(folder.substr(0, folder.size() - 1)));
  for (const std::string& file : files) {
    PHX_ASSIGN_OR_RETURN(const std::string size, ReadText(world, file));
    volumes[fmt::format("{}:{}/{}", id, container, file.substr(folder.size()))] = std::stoull(size);
  }
  return volumes;
}

absl::Status SetSize(World& world, const std::string& volume, uint64_t bytes) {
  PHX_ASSIGN_OR_RETURN(const Place place, PlaceOf(world, volume));
  if (place.dataset.empty()) return world.WriteFile(place.file, {false, {fmt::to_string(bytes), 0, 0, 0640}});
  PHX_ASSIGN_OR_RETURN(auto dataset, world.Get(kSimDataset, place.dataset));
  if (!dataset) return Says("zfs error: cannot open '{}': dataset does not exist", place.dataset);
  (*dataset)["local"]["refquota"] = fmt::to_string(bytes);
  return world.Put(kSimDataset, place.dataset, *dataset);
}

absl::StatusOr<std::string> Allocate(World& world, uint32_t container, const NewMount& mount) {
  PHX_ASSIGN_OR_RETURN(const StorageEntry storage, StorageOf(world, mount.storage));
  PHX_ASSIGN_OR_RETURN(const auto taken, VolumesOf(world, mount.storage, container));
  const bool is_dataset = storage.type == kZfspool;
  std::string volume;
  for (int number = 0; volume.empty(); ++number) {
    std::string candidate =
        is_dataset ? fmt::format("{}:subvol-{}-disk-{}", mount.storage, container, number)
                   : fmt::format("{}:{}/vm-{}-disk-{}.raw", mount.storage, container, container, number);
    if (taken.count(candidate) == 0) volume = std::move(candidate);
  }
  if (is_dataset) {
    PHX_ASSIGN_OR_RETURN(const Place place, PlaceOf(world, volume));
    PHX_ASSIGN_OR_RETURN(const auto parent, world.Get(kSimDataset, OptionOf(storage, "pool")));
    if (!parent) return Says("zfs error: cannot create '{}': parent does not exist", place.dataset);
    const std::string above = parent->value("mounted", "");
    const std::string path =
        above.empty() ? std::string() : above + place.dataset.substr(place.dataset.rfind('/'));
    PHX_ASSIGN_OR_RETURN(const int64_t guid, world.NextNumber());
    // As the zfs domain keeps a dataset.
    const json dataset = {
        {"type", "filesystem"},       {"guid", guid},    {"local", {{"acltype", "posix"}, {"xattr", "sa"}}},
        {"received", json::object()}, {"mounted", path}, {"root", {{"uid", 0}, {"gid", 0}, {"mode", 0755}}},
        {"content", json::object()}};
    PHX_RETURN_IF_ERROR(world.Put(kSimDataset, place.dataset, dataset));
    if (!path.empty()) PHX_RETURN_IF_ERROR(world.WriteFile(path, {true, {"", 0, 0, 0755}}));
  }
  PHX_RETURN_IF_ERROR(SetSize(world, volume, mount.size_gib * kGib));
  return volume;
}

absl::StatusOr<uint64_t> ReferencedBy(World& world, const json& dataset) {
  // A dataset of the simulated machine may be said to hold more than anybody would write in a test.
  uint64_t bytes = dataset.value("written_more", uint64_t{0});
  const std::string path = dataset.value("mounted", "");
  if (path.empty()) return bytes;
  PHX_ASSIGN_OR_RETURN(const auto files, world.FilesBelow(path));
  for (const std::string& file : files) {
    PHX_ASSIGN_OR_RETURN(const std::string text, ReadText(world, file));
    bytes += text.size();
  }
  return bytes;
}

// The mounts of a container that stopped are no more.
absl::StatusOr<bool> IsInUse(World& world, const std::string& volume) {
  PHX_ASSIGN_OR_RETURN(const std::string sockets, ReadText(world, "/proc/1/net/unix"));
  PHX_ASSIGN_OR_RETURN(const auto live, world.List(kSimLiveMount));
  for (const auto& [key, mount] : live) {
    if (mount.value("volume", "") == volume && IsRunning(sockets, std::stoul(key.substr(0, key.find(':')))))
      return true;
  }
  return false;
}

// With everything below, as pvesm does. What is not there counts as destroyed.
absl::Status Destroy(World& world, const std::string& volume) {
  PHX_ASSIGN_OR_RETURN(const Place place, PlaceOf(world, volume));
  PHX_ASSIGN_OR_RETURN(const bool in_use, IsInUse(world, volume));
  if (in_use) return Says("zfs error: cannot destroy '{}': dataset is busy", place.dataset);
  if (place.dataset.empty()) return world.RemoveFile(place.file);
  PHX_ASSIGN_OR_RETURN(const auto datasets, world.List(kSimDataset));
  for (const auto& [name, dataset] : datasets) {
    if (name != place.dataset && !name.starts_with(place.dataset + "/")) continue;
    const std::string path = dataset.value("mounted", "");
    if (!path.empty()) {
      PHX_ASSIGN_OR_RETURN(const auto files, world.FilesBelow(path));
      for (const std::string& file : files) PHX_RETURN_IF_ERROR(world.RemoveFile(file));
      PHX_RETURN_IF_ERROR(world.RemoveFile(path));
    }
    PHX_RETURN_IF_ERROR(world.Delete(kSimDataset, name));
  }
  PHX_ASSIGN_OR_RETURN(const auto snapshots, world.List(kSimSnapshot));
  for (const auto& [name, snapshot] : snapshots) {
    if (name.starts_with(place.dataset + "@") || name.starts_with(place.dataset + "/"))
      PHX_RETURN_IF_ERROR(world.Delete(kSimSnapshot, name));
  }
  return absl::OkStatus();
}

// One container in one transaction: what pct checks before every change, and the file written afterwards.
class Editing {
 public:
  static absl::StatusOr<Editing> Open(World& world, uint32_t id, const std::string& digest) {
    PHX_ASSIGN_OR_RETURN(const std::string host, ReadText(world, "/proc/sys/kernel/hostname"));
    const std::string node = host.substr(0, host.find_first_of(".\n"));
    Editing editing(world, fmt::format("/etc/pve/nodes/{}/lxc/{}.conf", node, id));
    PHX_ASSIGN_OR_RETURN(const auto found, world.ReadFile(editing.path_));
    if (!found) return Says("Configuration file 'nodes/{}/lxc/{}.conf' does not exist", node, id);
    const std::string& text = found->state.content;
    editing.file = ReadContainerFile(text);
    editing.config = ParseContainerConfig(text);
    PHX_ASSIGN_OR_RETURN(const std::string sockets, ReadText(world, "/proc/1/net/unix"));
    editing.running = IsRunning(sockets, id);
    if (!editing.config.lock.empty()) return Says("CT is locked ({})", editing.config.lock);
    if (!digest.empty() && digest != editing.config.digest)
      return Says("detected modified configuration - file changed by other user? Try again.");
    PHX_ASSIGN_OR_RETURN(const std::string members_text, ReadText(world, "/etc/pve/.members"));
    const auto members = ParseMembers(members_text);
    if (members && !members->quorate)
      return Says("unable to open file '{}.tmp.1' - Permission denied", editing.path_);
    return editing;
  }

  absl::Status CheckProtection(uint32_t id, std::string_view what, const std::string& key) {
    if (!config.protection) return absl::OkStatus();
    return Says("can't {} CT {} drive '{}' - protection mode enabled", what, id, key);
  }

  // A volume that lost its place stands under the first free unusedN.
  void Park(const std::string& volume) {
    for (int number = 0;; ++number) {
      if (file.set.emplace(fmt::format("unused{}", number), volume).second) return;
    }
  }

  absl::Status Save() {
    // pmxcfs shows every file as root:www-data 0640.
    return world_.WriteFile(path_, {false, {WriteContainerFile(file), 0, 33, 0640}});
  }

  ContainerFile file;
  ContainerConfig config;
  bool running = false;

 private:
  Editing(World& world, std::string path) : world_(world), path_(std::move(path)) {}
  World& world_;
  std::string path_;
};

absl::Status DetachOne(World& world, Editing& editing, uint32_t id, const std::string& key) {
  PHX_RETURN_IF_ERROR(editing.CheckProtection(id, "remove", key));
  const auto found = editing.file.set.find(key);
  // pct only warns.
  if (found == editing.file.set.end()) return absl::OkStatus();
  const std::string value = found->second;
  if (key.starts_with("unused")) {
    if (editing.config.snapshot_volumes.count(value) == 0) PHX_RETURN_IF_ERROR(Destroy(world, value));
  } else if (editing.running) {
    std::string& waiting = editing.file.pending["delete"];
    waiting += (waiting.empty() ? "" : ",") + key;
    return absl::OkStatus();
  }
  editing.file.set.erase(key);
  const auto mount = ParseContainerMount(value);
  if (key.starts_with("mp") && mount && mount->is_volume()) editing.Park(mount->source);
  return absl::OkStatus();
}

}  // namespace

absl::Status ContainerSim::Run(const std::string& operation, const std::string& object,
                               const ChildObserver& on_child,
                               const std::function<absl::Status(World&, std::string_view fault)>& body) {
  if (on_child) PHX_RETURN_IF_ERROR(on_child({0, 0, "simulated"}));
  std::string fault;
  PHX_RETURN_IF_ERROR(machine_->Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto planned, world.TakeFault(operation));
    if (!planned) {
      PHX_ASSIGN_OR_RETURN(planned, world.TakeFault(fmt::format("{}:{}", operation, object)));
    }
    fault = planned.value_or("");
    return absl::OkStatus();
  }));
  if (fault == "fail") return FailedPrecondition("{} {} failed (planned fault)", operation, object);
  if (fault == "nothing") return absl::OkStatus();
  PHX_RETURN_IF_ERROR(machine_->Change([&](World& world) { return body(world, fault); }));
  if (fault.empty()) return absl::OkStatus();
  return FailedPrecondition("{} {} failed (planned fault: {})", operation, object, fault);
}

absl::StatusOr<ContainerPlaces> ContainerSim::Read(const std::set<uint32_t>& ids) {
  return reading_.ReadContainers(ids);
}

absl::StatusOr<std::map<std::string, uint64_t>> ContainerSim::Volumes(const std::string& storage,
                                                                      uint32_t id) {
  std::map<std::string, uint64_t> volumes;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(volumes, VolumesOf(world, storage, id));
    return absl::OkStatus();
  }));
  return volumes;
}

absl::StatusOr<VolumeContent> ContainerSim::Look(const std::string& dataset) {
  VolumeContent content;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto there, world.Get(kSimDataset, dataset));
    if (!there) return Says("cannot open '{}': dataset does not exist", dataset);
    for (const char* kind : {kSimDataset, kSimSnapshot}) {
      PHX_ASSIGN_OR_RETURN(const auto all, world.List(kind));
      for (const auto& [name, value] : all) {
        if (name.starts_with(dataset + "/") || name.starts_with(dataset + "@"))
          content.others.push_back(name);
      }
    }
    const std::string path = there->value("mounted", "");
    if (path.empty()) return absl::OkStatus();
    content.names.emplace();
    PHX_ASSIGN_OR_RETURN(const auto files, world.FilesBelow(path));
    for (const std::string& file : files) {
      if (file.find('/', path.size() + 1) == std::string::npos)
        content.names->push_back(file.substr(path.size() + 1));
    }
    return absl::OkStatus();
  }));
  return content;
}

absl::StatusOr<uint64_t> ContainerSim::Referenced(const std::string& dataset) {
  uint64_t bytes = 0;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto there, world.Get(kSimDataset, dataset));
    if (!there) return Says("cannot open '{}': dataset does not exist", dataset);
    PHX_ASSIGN_OR_RETURN(bytes, ReferencedBy(world, *there));
    return absl::OkStatus();
  }));
  return bytes;
}

absl::StatusOr<std::vector<std::string>> ContainerSim::Mount(uint32_t id, const std::vector<NewMount>& mounts,
                                                             const std::string& digest,
                                                             const ChildObserver& on_child) {
  absl::Status hotplug;
  PHX_RETURN_IF_ERROR(
      Run("pct.set", fmt::to_string(id), on_child, [&](World& world, std::string_view fault) -> absl::Status {
        PHX_ASSIGN_OR_RETURN(Editing editing, Editing::Open(world, id, digest));
        PHX_ASSIGN_OR_RETURN(const std::string jobs, ReadText(world, "/etc/pve/replication.cfg"));
        const std::set<uint32_t> replicated = ParseReplicatedGuests(jobs);
        for (const NewMount& mount : mounts) {
          PHX_RETURN_IF_ERROR(editing.CheckProtection(id, "update", fmt::format("mp{}", mount.number)));
          const auto copied = mount.options.find("replicate");
          if (replicated.count(id) != 0 && !mount.is_volume() &&
              (copied == mount.options.end() || copied->second != "0"))
            return Says("cannot add non-replicatable volume to a replicated VM");
          if (!mount.is_volume()) continue;
          PHX_ASSIGN_OR_RETURN(const StorageEntry storage, StorageOf(world, mount.storage));
          if (storage.content.count("rootdir") == 0)
            return Says("storage '{}' does not allow content type 'rootdir' (Container)", mount.storage);
        }
        for (const NewMount& mount : mounts) {
          ContainerMount line{mount.host_path, mount.path, std::nullopt, {}};
          if (mount.is_volume()) {
            PHX_ASSIGN_OR_RETURN(line.source, Allocate(world, id, mount));
            line.size = mount.size_gib * kGib;
          }
          if (mount.backup) line.options["backup"] = *mount.backup ? "1" : "0";
          if (mount.read_only) line.options["ro"] = "1";
          line.options.insert(mount.options.begin(), mount.options.end());
          const std::string key = fmt::format("mp{}", mount.number);
          if (editing.running) {
            // Once it is mounted it stays, whatever becomes of the others; one that fails takes its own
            // volume away, and nothing is written.
            const std::string place = fmt::format("{}:{}", id, key);
            PHX_ASSIGN_OR_RETURN(const auto refused, world.TakeFault("pct.hotplug:" + place));
            if (refused) {
              if (line.is_volume()) PHX_RETURN_IF_ERROR(Destroy(world, line.source));
              hotplug = Says("unable to hotplug {}: mount failed (planned fault)", key);
              continue;
            }
            PHX_RETURN_IF_ERROR(
                world.Put(kSimLiveMount, place, {{"volume", line.source}, {"at", line.path}}));
          }
          std::string& value = editing.file.set[key];
          const auto former = ParseContainerMount(value);
          value = ContainerMountText(line);
          if (former && former->is_volume()) editing.Park(former->source);
        }
        return fault == "orphans" || !hotplug.ok() ? absl::OkStatus() : editing.Save();
      }));
  if (!hotplug.ok()) return hotplug;
  return std::vector<std::string>();
}

absl::Status ContainerSim::Detach(uint32_t id, const std::vector<std::string>& keys,
                                  const std::string& digest, const ChildObserver& on_child) {
  return Run("pct.set", fmt::to_string(id), on_child, [&](World& world, std::string_view) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(Editing editing, Editing::Open(world, id, digest));
    for (const std::string& key : keys) PHX_RETURN_IF_ERROR(DetachOne(world, editing, id, key));
    return editing.Save();
  });
}

absl::Status ContainerSim::Resize(uint32_t id, int number, uint64_t bytes, const std::string& digest,
                                  const ChildObserver& on_child) {
  return Run("pct.resize", fmt::to_string(id), on_child,
             [&](World& world, std::string_view fault) -> absl::Status {
               PHX_ASSIGN_OR_RETURN(Editing editing, Editing::Open(world, id, digest));
               std::string& value = editing.file.set[fmt::format("mp{}", number)];
               auto mount = ParseContainerMount(value);
               if (!mount || !mount->is_volume()) return Says("unable to parse volume ID '{}'", value);
               PHX_ASSIGN_OR_RETURN(const auto volumes, VolumesOf(world, mount->storage(), id));
               const auto volume = volumes.find(mount->source);
               if (volume == volumes.end()) return Says("zfs error: cannot open '{}'", mount->source);
               if (volume->second > bytes) return Says("unable to shrink disk size");
               if (volume->second == bytes) return Says("disk is already at specified size");
               PHX_RETURN_IF_ERROR(SetSize(world, mount->source, bytes));
               if (fault == "half") return absl::OkStatus();
               mount->size = bytes;
               value = ContainerMountText(*mount);
               return editing.Save();
             });
}

absl::Status ContainerSim::Free(const std::string& volume, const ChildObserver& on_child) {
  return Run("pvesm.free", volume, on_child,
             [&](World& world, std::string_view) { return Destroy(world, volume); });
}

absl::Status ContainerSim::SetQuota(const std::string& dataset, uint64_t bytes,
                                    const ChildObserver& on_child) {
  return Run("zfs.quota", dataset, on_child, [&](World& world, std::string_view) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto there, world.Get(kSimDataset, dataset));
    if (!there) return Says("cannot open '{}': dataset does not exist", dataset);
    PHX_ASSIGN_OR_RETURN(const uint64_t used, ReferencedBy(world, *there));
    if (used > bytes)
      return Says("cannot set property for '{}': size is less than current used or reserved space", dataset);
    (*there)["local"]["refquota"] = fmt::to_string(bytes);
    return world.Put(kSimDataset, dataset, *there);
  });
}

}  // namespace phoenix::proxmox
