// What is seen of a container's configuration. Pure values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/proxmox/domain/proxmox_spec.h"

namespace phoenix::proxmox {

inline constexpr uint64_t kGib = uint64_t{1} << 30;

// What an mpN line says.
struct ContainerMount {
  std::string source;            // a volume id ("tank:subvol-101-disk-1"), or an absolute path of the host
  std::string path;              // where the container sees it
  std::optional<uint64_t> size;  // bytes; volumes only
  Options options;               // the others, as written: backup, ro, quota …

  bool is_volume() const { return !source.empty() && source.front() != '/'; }
  // The storage of a volume, "" for a bind mount.
  std::string storage() const { return is_volume() ? source.substr(0, source.find(':')) : std::string(); }
  friend bool operator==(const ContainerMount&, const ContainerMount&) = default;
};

// A range of users or groups: `count` from `inside` on are those from `outside` on on the host.
struct IdRange {
  uint32_t inside = 0, outside = 0, count = 0;
  friend bool operator==(const IdRange&, const IdRange&) = default;
};

// A lxc.mount.entry line: what LXC mounts beside the mpN lines, and after them.
struct RawMount {
  std::string path;  // where the container sees it, absolute
  std::string line;  // as it is written
  friend bool operator==(const RawMount&, const RawMount&) = default;
};

// What is in force of /etc/pve/nodes/NODE/lxc/ID.conf, and what waits for the container's next stop.
struct ContainerConfig {
  std::string digest;                    // SHA-1 of the file's bytes, which `pct set --digest` wants
  std::map<int, ContainerMount> mounts;  // by N of mpN
  std::map<int, std::string> unused;     // volume ids by N of unusedN
  std::string rootfs;                    // its volume id
  bool unprivileged = false;
  std::vector<IdRange> users, groups;  // from lxc.idmap; empty: Proxmox VE's own
  std::string lock;                    // what holds the container: "backup", "snapshot" …; "" for nothing
  bool protection = false;             // no volume may go or be replaced
  bool replicated = false;             // copied to other nodes, by a job of the cluster's
  bool is_template = false;  // clones are made of it; it never starts, and its volumes are read-only
  std::vector<RawMount> raw_mounts;
  std::map<int, ContainerMount> pending_mounts;  // come with the next start
  Words pending_removals;                        // keys that go with the next stop: "mp0"
  Words snapshots;                               // by name
  // Volume ids that snapshots name: such a volume is in use whatever the lines in force say.
  Words snapshot_volumes;
  // mpN lines that cannot be read, as they are.
  std::vector<std::string> unreadable;
};

// The number on the host of a number inside; nullopt where nothing is mapped to it. A privileged container
// has the host's numbers.
std::optional<uint32_t> OnHost(const ContainerConfig& config, const std::vector<IdRange>& ranges,
                               uint32_t inside);

// The dataset of a volume on a zfspool over `pool`; of a linked clone's
// ("st:basevol-100-disk-0/subvol-101-disk-0") the last part names it.
std::string DatasetOfVolume(const std::string& pool, const std::string& volume);

}  // namespace phoenix::proxmox
