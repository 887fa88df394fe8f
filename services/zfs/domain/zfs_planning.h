// The planner's working set, shared by its parts: pools, datasets and the rest. Not for other rooms.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status/errors.h"
#include "services/zfs/domain/zfs_planner.h"

namespace phoenix::zfs {

// Where datasets are mounted, now and after the plan.
class MountPoints {
 public:
  MountPoints(const ZfsSpec& spec, const ZfsState& seen);
  // Where the dataset will be mounted once the spec holds; "" where it will not.
  std::string Of(std::string_view dataset) const;
  // Its mountpoint property as it will be, whether or not it is mounted: a path, "none" or "legacy".
  std::string PropertyOf(std::string_view dataset) const;
  // What the property would be, were it not set on the dataset itself.
  std::string InheritedBy(std::string_view dataset) const;

 private:
  const ZfsState& seen_;
  std::map<std::string, const DatasetSpec*, std::less<>> wanted_;
};

struct Planning {
  Planning(const ZfsSpec& the_spec, const ZfsState& the_state, const Ownership& ownership,
           const GivenKeys& given_keys)
      : spec(the_spec), seen(the_state), owned(ownership), keys(given_keys), mounts(the_spec, the_state) {}

  const ZfsSpec& spec;
  const ZfsState& seen;
  const Ownership& owned;
  const GivenKeys& keys;
  MountPoints mounts;
  ZfsPlan plan;
  std::vector<FieldViolation> violations;
  bool spec_is_wrong = false;
  // Pools and datasets that will be there once the steps so far are done.
  std::set<std::string, std::less<>> coming_pools, coming_datasets;
  // Pools that come with all that is in them, which nobody can see yet.
  std::set<std::string, std::less<>> imported_pools;
  // What is wanted but in error: what depends on it is not reported again.
  std::set<std::string, std::less<>> failed_pools, failed_datasets;
  // Encryption roots whose key a step of this plan loads, and those of which an error says why none does.
  std::set<std::string, std::less<>> coming_keys, failed_keys;

  template <class... Args>
  void Violate(const std::string& field, fmt::format_string<Args...> format, Args&&... args) {
    violations.push_back({field, fmt::format(format, std::forward<Args>(args)...)});
    spec_is_wrong = true;
  }
  // The same for a wish that nothing is wrong with but for the state that the node is in.
  template <class... Args>
  void Refuse(const std::string& field, fmt::format_string<Args...> format, Args&&... args) {
    violations.push_back({field, fmt::format(format, std::forward<Args>(args)...)});
  }
  template <class... Args>
  void Warn(const std::string& resource, fmt::format_string<Args...> format, Args&&... args) {
    plan.notes.push_back({true, resource, fmt::format(format, std::forward<Args>(args)...)});
  }
  // A property as it will be: what is declared of the dataset, else what is there, else as of what it lies
  // in.
  std::string Coming(std::string_view property, std::string_view dataset) const;
  // True where the node's record lies on the dataset's file system: without it no undo is possible.
  bool HoldsRecord(std::string_view dataset) const;
  void RefuseRecord(const std::string& place);
  // True when the ledger says that we created exactly this object.
  bool Created(std::string_view kind, std::string_view name, uint64_t guid) const;
};

// Adds what the names, values and combinations of the spec violate by themselves; the rest of the planner
// leaves out the objects concerned, so that all problems are told at once and none twice.
void CheckSpec(Planning& planning);
// `origin` with a field, "zfs.pools[0].disks"; a readable place where the spec names no origin.
std::string Place(std::string_view origin, std::string_view kind, std::string_view name,
                  std::string_view field = {});

void PlanPools(Planning& planning);
void PlanDatasets(Planning& planning);
void PlanSnapshots(Planning& planning);
void PlanKept(Planning& planning);
void PlanArc(Planning& planning);
// Refuses planned steps that would put data on unhealthy disks, or that an unhealthy pool should not go
// through; what is allowed all the same is a warning.
void CheckHealth(Planning& planning);

// Warns where the quotas of a pool's datasets add up to more than the pool holds, or about will hold.
void WarnOfOvercommittedPools(Planning& planning);

// Where something that was kept will be mounted once it is restored to `to`; "" where it will not.
std::string RestoredAt(const MountPoints& mounts, const DatasetState& kept, std::string_view to);

// The one step that changes the content of a dataset, where anything is to be changed. `seen` is null for one
// that this plan creates. True where the step gives the mount root its owner, group and mode, too.
bool PlanContent(Planning& planning, const DatasetSpec& dataset, const DatasetState* seen,
                 const std::string& mountpoint);

// The key of a new encryption root, as its step has it; adds an error, and answers nullopt, where it is not
// usable or was not given. nullopt for a dataset that declares none.
std::optional<KeyWish> KeyOfNew(Planning& planning, const DatasetSpec& dataset);
// What a plan shows of a new encryption root.
void ShowEncryption(const KeyWish& key, PlannedStep& planned);
// Compares the encryption of a dataset that is there with what is declared; adds the step that loads its key
// where that is not loaded. False after an error.
bool PlanKey(Planning& planning, const DatasetSpec& dataset, const DatasetState& seen);
// Loads the key of a dataset in a pool that this plan imports.
void PlanImportedKey(Planning& planning, const DatasetSpec& dataset);
// Steps in what a key opens come after the step that loads it.
void AddKeyNeeds(Planning& planning);
// The dataset's encryption root where its key is not loaded, "" otherwise; `name` need not be there.
std::string LockedBy(const ZfsState& seen, std::string_view name);

// Adds a violation at `place` where mounting `name` at `mountpoint` would hide something.
void CheckMountDirectory(Planning& planning, const std::string& place, std::string_view name,
                         const std::string& mountpoint);
// The directory that a mount point lies in.
void AddMountNeeds(const Planning& planning, const std::string& mountpoint, std::vector<Need>& needs);
// The keys of a mount that brings what was in the dataset before.
void ProvideWithContent(const std::string& mountpoint, std::vector<std::string>& provides);
// The needs of an owner, a group and those of an ACL that are named, not numbered.
void AddRootNeeds(const RootWish& root, const ZfsState& seen, std::vector<Need>& needs);
// The differences that owner, group, mode and ACL make to `before`.
std::vector<Difference> RootDifferences(const RootWish& root, const std::optional<DirectoryState>& before,
                                        const ZfsState& seen, const Acl& acl_before = {});
// Refuses an ACL where the dataset will keep none, and one that gives somebody two entries by name and
// number.
void CheckAcl(Planning& planning, const DatasetSpec& dataset);
}  // namespace phoenix::zfs
