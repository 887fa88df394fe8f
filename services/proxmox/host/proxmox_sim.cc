#include "services/proxmox/host/proxmox_sim.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/host/proxmox_command.h"
#include "services/proxmox/host/proxmox_parse.h"
#include "services/proxmox/host/proxmox_sim_file.h"
#include "services/proxmox/host/vm_command.h"

namespace phoenix::proxmox {
namespace {

using kit::World;

// pmxcfs shows every file as root:www-data 0640.
constexpr uint32_t kWwwData = 33;

absl::StatusOr<std::string> ReadText(World& world, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(auto file, world.ReadFile(path));
  return file && !file->directory ? std::move(file->state.content) : std::string();
}

absl::StatusOr<StorageConfig> ReadConfig(World& world) {
  PHX_ASSIGN_OR_RETURN(const std::string text, ReadText(world, kStorageConfigPath));
  return ParseStorageConfig(text);
}

absl::Status WriteConfig(World& world, StorageConfig config, const std::set<std::string>& bare = {}) {
  PHX_ASSIGN_OR_RETURN(const int64_t seed, world.NextNumber());
  return world.WriteFile(
      kStorageConfigPath,
      {false, {WriteStorageConfig(config, bare, static_cast<uint64_t>(seed)), 0, kWwwData, 0640}});
}

absl::StatusOr<std::string> NodeOf(World& world) {
  PHX_ASSIGN_OR_RETURN(const std::string name, ReadText(world, "/proc/sys/kernel/hostname"));
  return name.substr(0, name.find_first_of(".\n"));
}

// Makes the folder and its missing parents; tells whether there was anything to do.
absl::Status MakeFolders(World& world, const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    PHX_ASSIGN_OR_RETURN(const auto there, world.ReadFile(part));
    if (!there) PHX_RETURN_IF_ERROR(world.WriteFile(part, {true, {"", 0, 0, 0755}}));
    if (slash == std::string::npos) return absl::OkStatus();
  }
}

absl::StatusOr<std::vector<Mount>> MountsOf(World& world) {
  std::vector<Mount> mounts;
  PHX_ASSIGN_OR_RETURN(const auto others, world.List(kSimMount));
  for (const auto& [path, mount] : others)
    mounts.push_back({mount.value("source", ""), path, mount.value("type", "")});
  PHX_ASSIGN_OR_RETURN(const auto datasets, world.List(kSimDataset));
  for (const auto& [name, dataset] : datasets) {
    const std::string path = dataset.value("mounted", "");
    if (!path.empty()) mounts.push_back({name, path, "zfs"});
  }
  return mounts;
}

absl::StatusOr<bool> IsMountPoint(World& world, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(const auto mounts, MountsOf(world));
  return std::any_of(mounts.begin(), mounts.end(), [&](const Mount& mount) { return mount.path == path; });
}

absl::StatusOr<bool> HasPool(World& world, const std::string& pool) {
  PHX_ASSIGN_OR_RETURN(const auto object, world.Get(kSimPool, pool));
  return object.has_value();
}

absl::StatusOr<bool> HasDataset(World& world, const std::string& dataset) {
  PHX_ASSIGN_OR_RETURN(const auto object, world.Get(kSimDataset, dataset));
  return object.has_value();
}

std::string OptionOf(const StorageEntry& entry, std::string_view name) {
  const auto found = entry.options.find(name);
  return found == entry.options.end() ? std::string() : found->second;
}

// What using an enabled entry on a node that belongs to it does; an error is the tool's refusal. `whole`: the
// dataset itself has to be there, as status wants it and add does not.
absl::Status Activate(World& world, const StorageEntry& entry, bool whole) {
  if (entry.type == kZfspool) {
    const std::string dataset = OptionOf(entry, "pool");
    const std::string pool = dataset.substr(0, dataset.find('/'));
    PHX_ASSIGN_OR_RETURN(const bool imported, HasPool(world, pool));
    if (!imported) {
      return FailedPrecondition(
          "could not activate storage '{}', zfs error: cannot import '{}': no such pool available", entry.id,
          pool);
    }
    PHX_ASSIGN_OR_RETURN(const bool there, HasDataset(world, dataset));
    if (whole && pool != dataset && !there) {
      return FailedPrecondition("zfs error: cannot open '{}': dataset does not exist", dataset);
    }
    return absl::OkStatus();
  }
  const Definition definition = DefinitionOf(entry);
  if (entry.type == kDir) {
    const std::string mount = MountPointOf(definition);
    PHX_ASSIGN_OR_RETURN(const bool mounted, IsMountPoint(world, mount));
    if (!mount.empty() && !mounted) {
      return FailedPrecondition(
          "unable to activate storage '{}' - directory is expected to be a mount point but is not "
          "mounted: '{}'",
          entry.id, mount);
    }
    for (const auto& folder : FoldersOf(entry.id, definition))
      PHX_RETURN_IF_ERROR(MakeFolders(world, folder));
    return absl::OkStatus();
  }
  const std::string path = PathOf(entry.id, definition);
  PHX_RETURN_IF_ERROR(MakeFolders(world, path));
  const std::string source = entry.type == kNfs
                                 ? OptionOf(entry, "server") + ":" + OptionOf(entry, "export")
                                 : "//" + OptionOf(entry, "server") + "/" + OptionOf(entry, "share");
  return world.Put(kSimMount, path, {{"source", source}, {"type", entry.type == kNfs ? "nfs4" : "cifs"}});
}

// The checks of pvesm on values, as far as they can go wrong here.
absl::Status CheckEntry(const StorageEntry& entry) {
  const TypeRule* type = FindType(entry.type);
  if (type == nullptr)
    return FailedPrecondition("type: value '{}' does not have a value in the enumeration", entry.type);
  if (!IsStorageId(entry.id)) {
    return FailedPrecondition("storage: invalid format - storage ID '{}' contains illegal characters",
                              entry.id);
  }
  for (const auto& [name, value] : entry.options) {
    if (FindOption(*type, name) == nullptr) return FailedPrecondition("unexpected property '{}'", name);
  }
  for (const OptionRule& rule : type->options) {
    if (rule.required && entry.options.count(rule.name) == 0) {
      return FailedPrecondition("missing value for required option '{}'", rule.name);
    }
  }
  if (entry.type == kDir && !IsDirectoryPath(OptionOf(entry, "path"))) {
    return FailedPrecondition("illegal path for directory storage: {}", OptionOf(entry, "path"));
  }
  return absl::OkStatus();
}

// Drops what the type cannot hold, with the tool's warning; an error when nothing is left.
absl::Status TakeContent(const Words& wanted, StorageEntry& entry, std::vector<std::string>& warnings) {
  const TypeRule& type = *FindType(entry.type);
  entry.content.clear();
  for (const std::string& word : wanted) {
    if (type.content.count(word) != 0) {
      entry.content.insert(word);
    } else {
      warnings.push_back(fmt::format("storage does not support content type '{}'", word));
    }
  }
  if (entry.content.empty()) return FailedPrecondition("storage does not support content type 'none'");
  return absl::OkStatus();
}

absl::Status ChangedByOthers() {
  return Aborted("detected modified configuration - file changed by other user? Try again.");
}

absl::Status CheckQuorum(World& world) {
  PHX_ASSIGN_OR_RETURN(const std::string text, ReadText(world, "/etc/pve/.members"));
  const auto members = ParseMembers(text);
  if (!members || members->quorate) return absl::OkStatus();
  return ExplainFailure({.program = kPvesm}, {13, "", "cfs-lock 'file-storage_cfg' error: no quorum!\n"});
}

}  // namespace

struct ProxmoxSim::Answer {
  ToolReport report;
  std::string fault;
};

ProxmoxSim::ProxmoxSim(std::shared_ptr<kit::Machine> machine)
    : machine_(std::move(machine)),
      files_(machine_),
      reading_(files_,
               [this]() -> absl::StatusOr<std::vector<Mount>> {
                 std::vector<Mount> mounts;
                 PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
                   PHX_ASSIGN_OR_RETURN(mounts, MountsOf(world));
                   return absl::OkStatus();
                 }));
                 return mounts;
               }),
      vms_(machine_, reading_),
      containers_(machine_, reading_) {}

absl::Status ProxmoxSim::Install(kit::Machine& machine, const std::string& node, const std::string& cluster) {
  return machine.Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto there, world.ReadFile(kPvesm));
    if (there) return absl::OkStatus();
    for (const std::string& folder :
         {std::string("/usr/sbin"), std::string("/usr/bin"), std::string("/proc/sys/kernel"),
          fmt::format("/etc/pve/nodes/{}/lxc", node), fmt::format("/etc/pve/nodes/{}/qemu-server", node)}) {
      PHX_RETURN_IF_ERROR(MakeFolders(world, folder));
    }
    PHX_RETURN_IF_ERROR(world.WriteFile(kPvesm, {false, {"", 0, 0, 0755}}));
    PHX_RETURN_IF_ERROR(world.WriteFile(kQm, {false, {"", 0, 0, 0755}}));
    PHX_RETURN_IF_ERROR(world.WriteFile("/proc/sys/kernel/hostname", {false, {node + "\n", 0, 0, 0644}}));
    nlohmann::json members = {{"nodename", node}, {"version", 1}};
    if (!cluster.empty())
      members["cluster"] = {{"name", cluster}, {"version", 1}, {"nodes", 1}, {"quorate", 1}};
    return world.WriteFile("/etc/pve/.members", {false, {members.dump(), 0, kWwwData, 0440}});
  });
}

absl::StatusOr<ProxmoxState> ProxmoxSim::Observe(const Question& question) {
  PHX_ASSIGN_OR_RETURN(ProxmoxState state, reading_.Observe(question));
  // Here the road costs nothing.
  state.has_api_token = true;
  // The simulated machine has no kernel that lists pools.
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto pools, world.List(kSimPool));
    for (const auto& [name, pool] : pools) state.pools.insert(name);
    return absl::OkStatus();
  }));
  return state;
}

absl::StatusOr<StorageConfig> ProxmoxSim::ReadStorages() { return reading_.ReadStorages(); }

absl::StatusOr<std::vector<std::string>> ProxmoxSim::UsersOf(const std::string& id, const std::string& node) {
  return reading_.UsersOf(id, node);
}

absl::StatusOr<bool> ProxmoxSim::IsMounted(const std::string& path) { return reading_.IsMounted(path); }

absl::StatusOr<ToolReport> ProxmoxSim::RunTool(const std::string& operation, const std::string& object,
                                               const ChildObserver& on_child,
                                               const std::function<absl::Status(World&, Answer&)>& body) {
  // There is no process; whoever journals children sees an identity that belongs to none.
  if (on_child) PHX_RETURN_IF_ERROR(on_child({0, 0, "simulated"}));
  Answer answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto fault, world.TakeFault(operation));
    if (!fault) {
      PHX_ASSIGN_OR_RETURN(fault, world.TakeFault(fmt::format("{}:{}", operation, object)));
    }
    answer.fault = fault.value_or("");
    return absl::OkStatus();
  }));
  if (answer.fault == "fail") return FailedPrecondition("{} {} failed (planned fault)", operation, object);
  if (answer.fault == "nothing") return ToolReport{};
  if (answer.fault == "locked") {
    return ExplainFailure({.program = kPvesm},
                          {17, "", "cfs-lock 'file-storage_cfg' error: got lock request timeout\n"});
  }
  if (answer.fault == "raced") return ChangedByOthers();
  // A refusal takes back what the body did, as pvesm takes its section back.
  PHX_RETURN_IF_ERROR(machine_->Change([&](World& world) { return body(world, answer); }));
  if (answer.fault == "lie") return FailedPrecondition("{} {} failed (planned lie)", operation, object);
  if (answer.fault == "folders")
    return FailedPrecondition("{} {} failed half-way (planned fault)", operation, object);
  return answer.report;
}

absl::StatusOr<ToolReport> ProxmoxSim::Add(const NewStorage& storage, const ChildObserver& on_child) {
  return RunTool("proxmox.add", storage.id, on_child, [&](World& world, Answer& answer) -> absl::Status {
    PHX_RETURN_IF_ERROR(CheckQuorum(world));
    PHX_ASSIGN_OR_RETURN(StorageConfig config, ReadConfig(world));
    if (config.entries.count(storage.id) != 0)
      return AlreadyExists("storage ID '{}' already defined", storage.id);
    const Definition definition = Normal({storage.type, storage.content, storage.options});
    StorageEntry entry{storage.id,       storage.type,       {},   storage.nodes,
                       storage.disabled, definition.options, false};
    PHX_RETURN_IF_ERROR(CheckEntry(entry));
    Words content = storage.content.value_or(FindType(storage.type)->default_content);
    if (answer.fault == "partial" && content.size() > 1) content.erase(content.begin());
    PHX_RETURN_IF_ERROR(TakeContent(content, entry, answer.report.warnings));
    if (storage.type == kNfs || storage.type == kCifs)
      entry.options.emplace("path", PathOf(entry.id, definition));
    if (!storage.password.empty()) {
      const std::string line = "password=" + storage.password.Reveal() + "\n";
      PHX_RETURN_IF_ERROR(MakeFolders(world, kPasswordFolder));
      PHX_RETURN_IF_ERROR(world.WriteFile(PasswordPath(entry.id), {false, {line, 0, kWwwData, 0600}}));
    }
    PHX_ASSIGN_OR_RETURN(const std::string node, NodeOf(world));
    if (!entry.disabled && IsMember(entry, node))
      PHX_RETURN_IF_ERROR(Activate(world, entry, /*whole=*/false));
    if (answer.fault == "folders") return absl::OkStatus();
    if (entry.type == kZfspool) {
      // The mount point is noted once, at add.
      PHX_ASSIGN_OR_RETURN(const auto mounts, MountsOf(world));
      for (const Mount& mount : mounts) {
        if (mount.source == OptionOf(entry, "pool")) entry.options.emplace("mountpoint", mount.path);
      }
    }
    std::set<std::string> bare;
    if (!storage.content) bare.insert(entry.id);
    config.entries[entry.id] = std::move(entry);
    return WriteConfig(world, std::move(config), bare);
  });
}

absl::StatusOr<ToolReport> ProxmoxSim::Set(const StorageChange& change, const ChildObserver& on_child) {
  return RunTool("proxmox.set", change.id, on_child, [&](World& world, Answer& answer) -> absl::Status {
    PHX_RETURN_IF_ERROR(CheckQuorum(world));
    PHX_ASSIGN_OR_RETURN(StorageConfig config, ReadConfig(world));
    if (change.digest != config.digest) return ChangedByOthers();
    const auto found = config.entries.find(change.id);
    if (found == config.entries.end()) return NotFound("storage '{}' does not exist", change.id);
    StorageEntry& entry = found->second;
    const TypeRule& type = *FindType(entry.type);
    for (const auto& [name, value] : Normal({entry.type, std::nullopt, change.set}).options) {
      const OptionRule* rule = FindOption(type, name);
      if (rule == nullptr) return FailedPrecondition("unexpected property '{}'", name);
      if (rule->fixed) return FailedPrecondition("can't change value of fixed parameter '{}'", name);
      entry.options[name] = NormalValue(*rule, value, OptionOf(entry, "path"));
    }
    for (const std::string& name : change.remove) {
      const OptionRule* rule = FindOption(type, name);
      if (rule == nullptr && name != "nodes" && name != "disable")
        return FailedPrecondition("no such option '{}'", name);
      if (rule != nullptr && rule->fixed)
        return FailedPrecondition("unable to delete fixed option '{}'", name);
      if (name == "nodes") entry.nodes.clear();
      if (name == "disable") entry.disabled = false;
      entry.options.erase(name);
    }
    if (change.content) PHX_RETURN_IF_ERROR(TakeContent(*change.content, entry, answer.report.warnings));
    if (change.nodes) entry.nodes = *change.nodes;
    return WriteConfig(world, std::move(config));
  });
}

absl::StatusOr<ToolReport> ProxmoxSim::Remove(const std::string& id, const ChildObserver& on_child) {
  return RunTool("proxmox.remove", id, on_child, [&](World& world, Answer&) -> absl::Status {
    PHX_RETURN_IF_ERROR(CheckQuorum(world));
    PHX_ASSIGN_OR_RETURN(StorageConfig config, ReadConfig(world));
    if (config.entries.erase(id) == 0) return NotFound("storage '{}' does not exist", id);
    PHX_ASSIGN_OR_RETURN(const auto password, world.ReadFile(PasswordPath(id)));
    if (password) PHX_RETURN_IF_ERROR(world.RemoveFile(PasswordPath(id)));
    return WriteConfig(world, std::move(config));
  });
}

absl::StatusOr<StatusReport> ProxmoxSim::Status() {
  StatusReport report;
  PHX_ASSIGN_OR_RETURN(const ToolReport tool,
                       RunTool("proxmox.status", "all", nullptr, [&](World& world, Answer&) -> absl::Status {
                         PHX_ASSIGN_OR_RETURN(const StorageConfig config, ReadConfig(world));
                         PHX_ASSIGN_OR_RETURN(const std::string node, NodeOf(world));
                         for (const auto& [id, entry] : config.entries) {
                           StorageStatus& status = report.storages[id];
                           status.type = entry.type;
                           if (entry.implicit) {
                             status.state = "active";
                           } else if (entry.disabled || !IsMember(entry, node)) {
                             status.state = "disabled";
                           } else {
                             const absl::Status active = Activate(world, entry, /*whole=*/true);
                             status.state = active.ok() ? "active" : "inactive";
                             if (!active.ok()) report.warnings.push_back(Message(active));
                           }
                         }
                         return absl::OkStatus();
                       }));
  return report;
}

absl::Status ProxmoxSim::Unmount(const std::string& path, const ChildObserver& on_child) {
  return RunTool("proxmox.unmount", path, on_child,
                 [&](World& world, Answer&) -> absl::Status { return world.Delete(kSimMount, path); })
      .status();
}

std::map<std::string, std::string> ProxmoxSim::Versions() {
  const auto installed = reading_.IsInstalled();
  if (!installed.ok() || !*installed) return {};
  return {{"pvesm", "simulated"}};
}

}  // namespace phoenix::proxmox
