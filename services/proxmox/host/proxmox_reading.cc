#include "services/proxmox/host/proxmox_reading.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/host/container_config_parse.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {
namespace {

bool Lists(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

absl::StatusOr<bool> ProxmoxReading::IsInstalled() const {
  PHX_ASSIGN_OR_RETURN(const auto names, files_.List("/usr/sbin"));
  return Lists(names, "pvesm");
}

// With pmxcfs down /etc/pve is an empty plain folder: reading it would show no entry at all, and every
// declared one would look new. On a node that has pmxcfs only its mount counts; elsewhere (a lab without it)
// the folder must hold something.
absl::Status ProxmoxReading::CheckMounted(const std::vector<Mount>& mounts) const {
  for (const Mount& mount : mounts) {
    if (mount.path == "/etc/pve" && mount.type.starts_with("fuse")) return absl::OkStatus();
  }
  PHX_ASSIGN_OR_RETURN(const auto programs, files_.List("/usr/bin"));
  PHX_ASSIGN_OR_RETURN(const auto content, files_.List("/etc/pve"));
  if (!Lists(programs, "pmxcfs") && !content.empty()) return absl::OkStatus();
  return WithReason(
      Unavailable("/etc/pve is not mounted: start Proxmox VE's cluster file system (`systemctl status "
                  "pve-cluster`) and try again"),
      {kPmxcfsDown, {}});
}

absl::StatusOr<std::string> ProxmoxReading::ReadOr(const std::string& path,
                                                   const std::string& missing) const {
  PHX_ASSIGN_OR_RETURN(auto file, files_.Read(path));
  return file ? file->content : missing;
}

absl::StatusOr<std::string> ProxmoxReading::NodeName() const {
  PHX_ASSIGN_OR_RETURN(std::string name, ReadOr("/proc/sys/kernel/hostname", ""));
  // Proxmox VE takes the part before the first dot.
  name = name.substr(0, name.find_first_of(".\n"));
  if (name.empty()) return Internal("the node's name cannot be read from /proc/sys/kernel/hostname");
  return name;
}

absl::Status ProxmoxReading::FillCluster(ProxmoxState& state) const {
  PHX_ASSIGN_OR_RETURN(const std::string members_text, ReadOr("/etc/pve/.members", ""));
  if (const auto members = ParseMembers(members_text)) {
    state.cluster = members->cluster;
    state.quorate = members->quorate;
  }
  if (!state.cluster.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const std::string corosync, ReadOr("/etc/pve/corosync.conf", ""));
  state.cluster = ParseClusterName(corosync);
  return absl::OkStatus();
}

absl::StatusOr<ProxmoxState> ProxmoxReading::Observe(const Question& question) const {
  ProxmoxState state;
  PHX_ASSIGN_OR_RETURN(state.installed, IsInstalled());
  if (!state.installed) return state;
  PHX_ASSIGN_OR_RETURN(state.mounts, mounts_());
  PHX_ASSIGN_OR_RETURN(state.config, ReadStorages());
  PHX_ASSIGN_OR_RETURN(state.node, NodeName());
  PHX_RETURN_IF_ERROR(FillCluster(state));
  PHX_ASSIGN_OR_RETURN(const std::string trie, ReadOr("/proc/net/fib_trie", ""));
  PHX_ASSIGN_OR_RETURN(const std::string six, ReadOr("/proc/net/if_inet6", ""));
  PHX_ASSIGN_OR_RETURN(const std::string hosts, ReadOr("/etc/hosts", ""));
  state.addresses = ParseAddresses(trie);
  state.addresses.merge(ParseAddresses6(six));
  state.addresses.merge(ParseHostNames(hosts, state.addresses));
  PHX_ASSIGN_OR_RETURN(const auto pools, files_.List("/proc/spl/kstat/zfs"));
  state.pools.insert(pools.begin(), pools.end());
  for (const Mount& mount : state.mounts) {
    if (mount.type == "zfs") state.pools.insert(mount.source.substr(0, mount.source.find('/')));
  }
  Words folders = question.folders;
  for (const auto& [id, wanted] : question.dirs) {
    const auto entry = state.config.entries.find(id);
    const bool there = entry != state.config.entries.end();
    for (std::string& folder : FoldersOf(id, After(there ? &entry->second : nullptr, wanted)))
      folders.insert(std::move(folder));
  }
  for (const std::string& folder : folders) {
    const auto present = files_.ReadDirectory(folder);
    if (present.ok() && *present) state.folders.insert(folder);
  }
  for (const std::string& id : question.users) {
    const auto entry = state.config.entries.find(id);
    // Where other nodes keep it, their guests and the cluster's jobs keep it, too.
    const bool kept = entry != state.config.entries.end() && StaysWithOthers(entry->second, state.node);
    PHX_ASSIGN_OR_RETURN(state.users[id], UsersOf(id, kept ? state.node : ""));
  }
  return state;
}

absl::StatusOr<StorageConfig> ProxmoxReading::ReadStorages() const {
  PHX_ASSIGN_OR_RETURN(const auto mounts, mounts_());
  PHX_RETURN_IF_ERROR(CheckMounted(mounts));
  // No file is the same as an empty one: nothing was ever added.
  PHX_ASSIGN_OR_RETURN(const std::string text, ReadOr(kStorageConfigPath, ""));
  return ParseStorageConfig(text);
}

absl::StatusOr<std::vector<std::string>> ProxmoxReading::UsersOf(const std::string& id,
                                                                 const std::string& only) const {
  std::vector<std::string> users;
  PHX_ASSIGN_OR_RETURN(const auto nodes, files_.List("/etc/pve/nodes"));
  for (const std::string& node : nodes) {
    if (!only.empty() && node != only) continue;
    for (const auto& [folder, kind] : {std::pair{"lxc", "CT"}, std::pair{"qemu-server", "VM"}}) {
      const std::string place = fmt::format("/etc/pve/nodes/{}/{}", node, folder);
      PHX_ASSIGN_OR_RETURN(const auto names, files_.List(place));
      for (const std::string& name : names) {
        if (!name.ends_with(".conf")) continue;
        PHX_ASSIGN_OR_RETURN(const std::string text, ReadOr(place + "/" + name, ""));
        if (GuestUses(text, id)) {
          users.push_back(fmt::format("{} {} on {}", kind, name.substr(0, name.size() - 5), node));
        }
      }
    }
  }
  // The node's own defaults of backups.
  PHX_ASSIGN_OR_RETURN(const std::string defaults, ReadOr("/etc/vzdump.conf", ""));
  if (JobUses(defaults, id)) users.emplace_back("/etc/vzdump.conf");
  if (!only.empty()) return users;
  PHX_ASSIGN_OR_RETURN(const std::string jobs, ReadOr("/etc/pve/jobs.cfg", ""));
  if (JobUses(jobs, id)) users.emplace_back("a backup job");
  return users;
}

absl::StatusOr<ContainerPlaces> ProxmoxReading::ReadContainers(const std::set<uint32_t>& ids) const {
  ContainerPlaces places;
  if (ids.empty()) return places;
  PHX_ASSIGN_OR_RETURN(const auto mounts, mounts_());
  PHX_RETURN_IF_ERROR(CheckMounted(mounts));
  PHX_ASSIGN_OR_RETURN(const std::string self, NodeName());
  PHX_ASSIGN_OR_RETURN(const auto nodes, files_.List("/etc/pve/nodes"));
  // The first process's table, since a sandboxed daemon has one of its own.
  PHX_ASSIGN_OR_RETURN(const std::string sockets, ReadOr("/proc/1/net/unix", ""));
  PHX_ASSIGN_OR_RETURN(const std::string jobs, ReadOr("/etc/pve/replication.cfg", ""));
  const std::set<uint32_t> replicated = ParseReplicatedGuests(jobs);
  for (const uint32_t id : ids) {
    for (const std::string& node : nodes) {
      PHX_ASSIGN_OR_RETURN(const auto file,
                           files_.Read(fmt::format("/etc/pve/nodes/{}/lxc/{}.conf", node, id)));
      if (!file) continue;
      if (node == self) {
        places.here[id] = ParseContainerConfig(file->content);
        places.here[id].replicated = replicated.count(id) != 0;
        if (IsRunning(sockets, id)) places.running.insert(id);
      } else {
        places.elsewhere[id] = node;
      }
    }
  }
  return places;
}

absl::StatusOr<bool> ProxmoxReading::IsMounted(const std::string& path) const {
  PHX_ASSIGN_OR_RETURN(const auto mounts, mounts_());
  return std::any_of(mounts.begin(), mounts.end(), [&](const Mount& mount) { return mount.path == path; });
}

absl::StatusOr<std::string> ProxmoxReading::MountOf(const std::string& dataset) const {
  PHX_ASSIGN_OR_RETURN(const auto mounts, mounts_());
  for (const Mount& mount : mounts) {
    if (mount.type == "zfs" && mount.source == dataset) return mount.path;
  }
  return std::string();
}

std::string ProxmoxReading::PackageVersion(const std::string& package) const {
  const auto status = ReadOr("/var/lib/dpkg/status", "");
  return status.ok() ? ParsePackageVersion(*status, package) : std::string();
}

}  // namespace phoenix::proxmox
