// From what containers are to have and what they have to steps. Pure: no clock, no I/O.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/kit/plan/step.h"
#include "services/proxmox/domain/container_spec.h"
#include "services/proxmox/domain/container_state.h"

namespace phoenix::proxmox {

// "20 GiB", or bytes.
std::string SizeText(uint64_t bytes);

enum class ContainerAction {
  // New mpN lines of one container: all in one `pct set` where it stands still, one after the other where it
  // runs. pct then mounts each at once, and where one fails writes none of its call's lines, though the
  // container keeps those that came before.
  kMount,
  kGrow,  // one volume of a zfspool storage becomes larger
  // A bind mount of a container that stands still goes, by name.
  kUnmount,
};

// A new mpN line.
struct NewMount {
  int number = 0;         // N of mpN
  std::string storage;    // of a new volume; "" for a bind mount
  uint64_t size_gib = 0;  // of a new volume
  std::string host_path;  // of a bind mount
  std::string path;       // in the container
  std::optional<bool> backup;
  bool read_only = false;
  // Of a line that is put back: all of its options, as they were written; then the two above say nothing. Of
  // a new one further options.
  Options options = {};

  bool is_volume() const { return !storage.empty(); }
  friend bool operator==(const NewMount&, const NewMount&) = default;
};

// What is given back to a volume whose growth is undone, before pct takes it up to its former size: pct only
// makes larger.
uint64_t QuotaBelow(uint64_t size);

// The line's value as `pct set` takes it: "tank:8,mp=/data,backup=1" makes a volume of 8 GiB.
std::string MountValue(const NewMount& mount);

struct ContainerStep {
  ContainerAction action = ContainerAction::kMount;
  uint32_t id = 0;
  // The container runs: Proxmox VE takes no mount point away from it before its next stop, and it may write
  // into a volume that grows.
  bool running = false;
  // kMount: the new ones; kUnmount: the one that goes, as it is.
  std::vector<NewMount> mounts;
  // Storages of new volumes that nobody can look into without mounting them: such a volume is never freed.
  Words opaque;
  // kGrow.
  int number = 0;
  std::string volume;
  std::string dataset;  // the volume's; "" in a step of an older build
  std::string path;
  uint64_t size_before = 0;  // bytes
  uint64_t size_gib = 0;
  std::vector<kit::FieldDiff> diffs;
  std::vector<kit::Requirement> requires_keys;
  std::vector<std::string> provides;
  std::vector<std::string> removes;
};

// A storage that this node has, or that comes with the same plan.
struct ContainerStorage {
  std::string type;
  bool usable_now = false;
  bool holds_containers = false;  // its contents include rootdir
  std::string pool = {};          // of a zfspool: the dataset whose children are its volumes
};

struct HostDirectory {
  uint32_t uid = 0, gid = 0;
};

// What is seen of this node.
struct ContainersState {
  std::string node;
  std::string cluster;  // "" on a standalone node
  bool quorate = true;
  std::map<uint32_t, ContainerConfig> here;   // the declared ones that are on this node
  std::map<uint32_t, std::string> elsewhere;  // the declared ones that are on another node of the cluster
  std::set<uint32_t> running;                 // of those here
  std::map<std::string, ContainerStorage, std::less<>> storages;  // by id
  std::vector<std::string> removed_keys;                          // by others, in the same run
  std::map<std::string, HostDirectory> directories;  // of the declared host paths, those that are there
};

struct ContainerPlan {
  std::vector<ContainerStep> steps;
  std::vector<kit::Note> notes;
};

// FAILED_PRECONDITION with one violation for each thing that cannot become what is wanted. What the spec does
// not name is never touched.
// Containers are made by others: one that is on no node of the fleet is told of and waits for a later run.
absl::StatusOr<ContainerPlan> PlanContainers(const std::vector<ContainerSpec>& specs,
                                             const ContainersState& state);

}  // namespace phoenix::proxmox
