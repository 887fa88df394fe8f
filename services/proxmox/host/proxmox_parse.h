// What Proxmox VE's files and tools say, as values. Pure.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/host/command.h"
#include "services/proxmox/domain/proxmox_state.h"
#include "services/proxmox/host/proxmox_host.h"

namespace phoenix::proxmox {

// SHA-1 in lower-case hex: the digest that Proxmox VE knows a file by.
std::string Sha1Hex(std::string_view bytes);

// storage.cfg with everything that the genuine reader does to it: a section lasts to the next empty line and
// swallows headers before it; comments, unknown types and unknown properties are dropped; an unknown content
// word drops its line; of two sections with one id the last wins; `local` is always there. Never fails: what
// is fatal there is in `broken`.
StorageConfig ParseStorageConfig(std::string_view text);

// Standard output of `pvesm status`, of release 8 or 9.
absl::StatusOr<std::map<std::string, StorageStatus, std::less<>>> ParseStatus(std::string_view out);

// /proc/1/mounts.
std::vector<Mount> ParseMounts(std::string_view text);

// Addresses of this machine in /proc/net/fib_trie, and in /proc/net/if_inet6 in their shortest form.
Words ParseAddresses(std::string_view fib_trie);
Words ParseAddresses6(std::string_view if_inet6);
// The names that /etc/hosts has for these addresses and for 127.0.0.0/8, in lower case.
Words ParseHostNames(std::string_view hosts, const Words& addresses);

struct Members {
  std::string cluster;
  bool quorate = true;
};
// /etc/pve/.members; nullopt where it cannot be read as such. A standalone node has no cluster there.
std::optional<Members> ParseMembers(std::string_view text);
// The cluster's name in corosync.conf, "" without one.
std::string ParseClusterName(std::string_view corosync_conf);

// True when a guest's configuration names a volume of the storage.
bool GuestUses(std::string_view guest_config, std::string_view id);
// True when a backup job in jobs.cfg writes to the storage.
bool JobUses(std::string_view jobs_config, std::string_view id);

// True where the table of sockets (/proc/net/unix) has the one of the container's monitor; Proxmox VE looks
// at the same.
bool IsRunning(std::string_view sockets, uint32_t container);

// Standard output of `pvesm list STORAGE`: sizes in bytes by volume id.
absl::StatusOr<std::map<std::string, uint64_t>> ParseVolumes(std::string_view out);

// Version of a package in dpkg's status file, "" when not installed.
std::string ParsePackageVersion(std::string_view dpkg_status, std::string_view package);

// The lines of a tool's standard error that say something: without those about waiting for the lock.
std::vector<std::string> Warnings(std::string_view err);

// What a complaint of Proxmox VE's tools or of its API means for whoever asked; OK where it is none of those
// that the callers tell apart. `who` said `said`.
absl::Status ExplainComplaint(std::string_view who, std::string_view complaint, std::string_view said);

// Why a pvesm command failed, with what to do; exit codes mean nothing beyond zero and not zero.
absl::Status ExplainFailure(const Command& command, const CommandResult& result);

}  // namespace phoenix::proxmox
