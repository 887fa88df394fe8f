// From what is wanted, what is seen and what is ours to steps. Pure: no clock, no I/O.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

#include "services/kit/plan/step.h"
#include "services/proxmox/domain/proxmox_spec.h"
#include "services/proxmox/domain/proxmox_state.h"
#include "services/proxmox/domain/storage_entry.h"

namespace phoenix::proxmox {

enum class StorageAction {
  kAdd,     // this node becomes a member: the entry is added, or its nodes are extended
  kSet,     // content or options change
  kRemove,  // this node is no member any more; the last one takes the entry along
};

// One step on one entry.
struct StorageStep {
  StorageAction action = StorageAction::kAdd;
  std::string id;
  std::string node;
  // kAdd and kRemove: the whole definition; kSet: type, and only what changes.
  Definition definition;
  // Phoenix made the entry, or does so now: only then may undo take it away with its last member.
  bool created = false;
  // Phoenix made this node a member, or does so now: only then may it be taken out.
  bool joined = false;
  // What is shown and ordered by.
  std::vector<kit::FieldDiff> diffs;
  std::vector<kit::Requirement> requires_keys;
  std::vector<std::string> disturbs;
  bool extends = false;  // kAdd: other nodes have the entry already; kRemove: they keep it
  // kAdd of a new cifs entry: the secret with its password.
  std::string password_secret;
  // In a cluster, of kAdd and kSet: what the entry is for all its nodes afterwards (definition:…).
  std::string definition_key;
};

// What the ledger says of one entry.
struct OwnedStorage {
  bool joined = false;   // Phoenix made this node a member
  bool created = false;  // and made the entry at that
};
// How the password of an entry compares with the declared secret.
enum class PasswordState {
  kNotGiven,  // the secret was not handed over
  kMissing,   // the entry has none
  kSame,
  kOther,
};

using OwnedStorages = std::map<std::string, OwnedStorage, std::less<>>;  // by id

struct StoragePlan {
  std::vector<StorageStep> steps;
  std::vector<kit::Note> notes;
  // What entries that need no step are for all nodes of the cluster (definition:…).
  std::vector<std::string> provided_now;
};

struct PlanSurroundings {
  OwnedStorages owned;
  std::vector<std::string> disturbed_keys;
  std::vector<std::string> removed_keys;
  // What the spec does not name is not reported.
  bool partial = false;
  // By id, of entries whose password is declared.
  std::map<std::string, PasswordState, std::less<>> passwords;
};

// Where the spec asks for it, adds entries of ours that it does not name any more, as absent ones.
void AddOrphans(ProxmoxSpec& spec, const OwnedStorages& owned);

// INVALID_ARGUMENT with one violation for each mistake in the spec; FAILED_PRECONDITION with one for each
// entry that cannot become what is wanted.
absl::StatusOr<StoragePlan> PlanStorages(const ProxmoxSpec& spec, const ProxmoxState& state,
                                         const PlanSurroundings& surroundings);

// The definition that a new entry gets: what is declared, and for a dir `is_mountpoint 1` unless declared
// otherwise, since without it Proxmox VE makes the folder on whatever file system is there when the dataset
// is not mounted.
Definition WantedDefinition(const StorageSpec& spec);

// The key that the entry stands on: dataset:…, pool:…, path:… or (a server that is this node) export:… and
// share:…; "" for none.
std::string GroundOf(const std::string& id, const Definition& definition, const ProxmoxState& state);
// The remote: key of what an nfs or cifs entry mounts from another machine; "" for none.
std::string ServedElsewhere(const Definition& definition, const ProxmoxState& state);

}  // namespace phoenix::proxmox
