// The machine behind the Proxmox domain: what is there, and the three changes that Proxmox VE offers. The
// real one speaks to the node's own API or runs pvesm, the simulated one lives in the node's simulated
// machine.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/host/files.h"
#include "base/secret.h"
#include "services/proxmox/domain/proxmox_spec.h"
#include "services/proxmox/domain/proxmox_state.h"
#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/host/container_host.h"
#include "services/proxmox/host/vm_host.h"

namespace phoenix::proxmox {

inline constexpr char kStorageConfigPath[] = "/etc/pve/storage.cfg";
// Where Proxmox VE keeps the password of a cifs entry, as one line `password=…`; for the whole cluster.
inline constexpr char kPasswordFolder[] = "/etc/pve/priv/storage";
inline std::string PasswordPath(const std::string& id) {
  return kPasswordFolder + std::string("/") + id + ".pw";
}

// Reasons that errors carry.
inline constexpr char kNoQuorum[] = "NO_QUORUM";
inline constexpr char kStorageLocked[] = "STORAGE_LOCKED";
inline constexpr char kPmxcfsDown[] = "PMXCFS_DOWN";
inline constexpr char kStorageConfigChanged[] = "STORAGE_CONFIG_CHANGED";

// What Observe() is to look at besides the entries.
struct Question {
  Words folders;  // paths whose presence matters
  Words users;    // storage ids whose use by guests matters
  // By id, what dir entries are to be: every folder of the entry as it then is matters, too.
  std::map<std::string, Definition, std::less<>> dirs;
};

// A new entry. One without nodes makes noise, or folders, on every node of the cluster.
struct NewStorage {
  std::string id;
  std::string type;
  std::optional<Words> content;
  Words nodes;
  Options options;
  bool disabled = false;
  // cifs: taken by the node's own API only; FAILED_PRECONDITION where that cannot be asked.
  Secret password;
};

// A change of an entry's free fields.
struct StorageChange {
  std::string id;
  std::optional<Words> content;
  std::optional<Words> nodes;
  Options set;
  Words remove;  // options that go back to their default
  // SHA-1 of the file that the change was decided on; another one is answered ABORTED and nothing changes.
  std::string digest;
};

// What a tool said although it succeeded: dropped contents, missing datasets, other storages' troubles.
struct ToolReport {
  std::vector<std::string> warnings;
};

struct StorageStatus {
  std::string type;
  std::string state;  // "active", "inactive", "disabled"
};

struct StatusReport {
  std::map<std::string, StorageStatus, std::less<>> storages;
  std::vector<std::string> warnings;
};

// All calls are thread-safe; changes are taken one at a time by Proxmox VE itself (a lock in /etc/pve).
// Errors of changes: ALREADY_EXISTS and NOT_FOUND for the entry, ABORTED for another digest, UNAVAILABLE
// where the lock or /etc/pve cannot be had, FAILED_PRECONDITION without quorum and for everything that the
// tool refuses (the node's API names refused parameters: INVALID_ARGUMENT). A change that answered an error
// may have happened all the same: read again; reading waits for a request to the API whose end nobody saw.
class ProxmoxHost {
 public:
  virtual ~ProxmoxHost() = default;

  // Everything that a plan needs, read once. Where Proxmox VE is not installed the state says so and holds
  // nothing else. UNAVAILABLE where /etc/pve is not mounted.
  virtual absl::StatusOr<ProxmoxState> Observe(const Question& question) = 0;
  // The entries alone: cheap.
  virtual absl::StatusOr<StorageConfig> ReadStorages() = 0;
  // Guests and backup jobs that name the storage, "CT 101 on pve1"; of the whole cluster, or the guests of
  // one node where it is named.
  virtual absl::StatusOr<std::vector<std::string>> UsersOf(const std::string& id,
                                                           const std::string& node) = 0;

  virtual absl::StatusOr<ToolReport> Add(const NewStorage& storage, const ChildObserver& on_child) = 0;
  virtual absl::StatusOr<ToolReport> Set(const StorageChange& change, const ChildObserver& on_child) = 0;
  virtual absl::StatusOr<ToolReport> Remove(const std::string& id, const ChildObserver& on_child) = 0;
  // What keeps changes of entries from being tried at all: a token for the node's API that is there and
  // cannot be used.
  virtual absl::Status CanChange() = 0;
  // The state of all entries in one call: it takes seconds, and activates every storage of this node.
  virtual absl::StatusOr<StatusReport> Status() = 0;

  virtual absl::StatusOr<bool> IsMounted(const std::string& path) = 0;
  // Takes away the mount of an nfs or cifs entry, which removing the entry leaves behind. OK when nothing is
  // mounted.
  virtual absl::Status Unmount(const std::string& path, const ChildObserver& on_child) = 0;

  // VMs, as far as their cloud-init data go.
  virtual VmHost& vms() = 0;
  virtual ContainerHost& containers() = 0;
  // The machine's files, for the folders that entries leave behind.
  virtual Files& files() = 0;
  // Versions of the tools, for people; empty where they are not installed.
  virtual std::map<std::string, std::string> Versions() = 0;
};

}  // namespace phoenix::proxmox
