// Keys of encryption roots: those of new ones, and those that are not loaded, as after every reboot.
#include <algorithm>

#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_health.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"

namespace phoenix::zfs {
namespace {

std::string At(const DatasetSpec& dataset, std::string_view field = {}) {
  return Place(dataset.origin, "dataset", dataset.name,
               field.empty() ? std::string("encryption") : fmt::format("encryption.{}", field));
}

// As declared; adds an error where its value was given and is no key of that format.
bool IsUsable(Planning& planning, const DatasetSpec& dataset) {
  const auto wrong = planning.keys.wrong.find(dataset.name);
  if (wrong == planning.keys.wrong.end()) return true;
  planning.Violate(At(dataset, "key"), "the secret '{}' cannot be the key of {}: {}",
                   dataset.encryption->secret, dataset.name, wrong->second);
  return false;
}

// The dataset that a step changes, or loads the key of; "" for none.
struct ChangedBy {
  std::string operator()(const CreateDatasetStep& step) const { return step.name; }
  std::string operator()(const SetPropertiesStep& step) const { return step.name; }
  std::string operator()(const MountStep& step) const { return step.name; }
  std::string operator()(const SetMountRootStep& step) const { return step.name; }
  std::string operator()(const ChangeContentStep& step) const { return step.name; }
  std::string operator()(const DeleteDatasetStep& step) const { return step.name; }
  std::string operator()(const LoadKeyStep& step) const { return step.name; }
  template <class Step>
  std::string operator()(const Step&) const {
    return "";
  }
};

// Compares what can be given at creation only. False after an error.
bool IsAsDeclared(Planning& planning, const DatasetSpec& dataset, const DatasetState& seen) {
  const EncryptionSpec wanted = Completed(*dataset.encryption);
  const std::string& name = dataset.name;
  const size_t before = planning.violations.size();
  if (!IsEncrypted(seen)) {
    planning.Refuse(
        At(dataset),
        "{} exists and is not encrypted; ZFS encrypts at creation only. Declare an encrypted "
        "dataset under another name and bring the data into it (zfs send {}@SNAPSHOT | zfs receive "
        "NEW/NAME), or leave `encryption` away",
        name, name);
    return false;
  }
  if (const std::string root = seen.Value("encryptionroot"); root != name) {
    planning.Refuse(At(dataset),
                    "{} exists and is encrypted with the key of {}, not with one of its own. Leave "
                    "`encryption` away: what lies below an encrypted dataset needs nothing declared",
                    name, root);
    return false;
  }
  if (const std::string now = seen.Value("encryption"); now != wanted.algorithm) {
    planning.Refuse(At(dataset, "algorithm"),
                    "{} is encrypted with {}, declared is {}; it can be given at creation only. Declare what "
                    "is there, or another dataset, and bring the data into that (zfs send {}@SNAPSHOT | zfs "
                    "receive NEW/NAME)",
                    name, now, wanted.algorithm, name);
  }
  if (const std::string now = seen.Value("keyformat"); now != wanted.format) {
    planning.Refuse(At(dataset, "format"),
                    "the key of {} is a {} key, declared is {}; Phoenix changes no keys. Declare what is "
                    "there, or by hand: zfs change-key -o keyformat={} {}",
                    name, now, wanted.format, wanted.format, name);
  }
  return planning.violations.size() == before;
}

void Provide(const Planning& planning, const std::vector<LoadKeyStep::Mount>& mounts, PlannedStep& planned,
             const std::string& root) {
  planned.provides = {"key:" + root, "dataset:" + root};
  // A storage of a whole pool asks for the pool.
  if (ParentOf(root).empty()) planned.provides.push_back("pool:" + root);
  for (const auto& [name, dataset] : planning.seen.datasets) {
    if (name != root && dataset.Value("encryptionroot") == root)
      planned.provides.push_back("dataset:" + name);
  }
  for (const auto& mount : mounts) {
    const std::string field = mount.name == root ? "mounted at" : mount.name + " mounted at";
    planned.differences.push_back({field, "not mounted", mount.at});
    // A mount point that the same plan changes is the place only until then.
    if (planning.mounts.Of(mount.name) == mount.at) ProvideWithContent(mount.at, planned.provides);
  }
}

PlannedStep LoadStep(const EncryptionSpec& encryption, const std::string& name) {
  PlannedStep planned{.id = "key:" + name, .resource = "key of " + name, .action = "load"};
  planned.differences.push_back({"key", "not loaded", fmt::format("loaded (secret {})", encryption.secret)});
  planned.reversal = Reversal::kConfig;
  planned.undo = "what it mounted is unmounted, and the key unloaded (zfs unload-key)";
  return planned;
}

// What can be mounted without hiding anything. What is declared must be; what is not stays unmounted.
std::vector<LoadKeyStep::Mount> CheckedMounts(Planning& planning, const DatasetSpec& root) {
  std::vector<LoadKeyStep::Mount> mounts;
  for (auto& mount : MountsOf(planning.seen, root.name)) {
    const auto declared = std::find_if(planning.spec.datasets.begin(), planning.spec.datasets.end(),
                                       [&](const DatasetSpec& one) { return one.name == mount.name; });
    const auto path = planning.seen.paths.find(mount.at);
    const bool free =
        path == planning.seen.paths.end() || (!path->second.mount_point && path->second.entries.empty());
    if (declared != planning.spec.datasets.end() && declared->presence == Presence::kPresent) {
      CheckMountDirectory(planning, Place(declared->origin, "dataset", mount.name), mount.name, mount.at);
    } else if (!free) {
      planning.Warn(mount.name,
                    "{} stays unmounted although its key is loaded: something else is mounted at {}, or the "
                    "directory is not empty",
                    mount.name, mount.at);
      continue;
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

}  // namespace

std::optional<KeyWish> KeyOfNew(Planning& planning, const DatasetSpec& dataset) {
  if (!dataset.encryption || !IsUsable(planning, dataset)) return std::nullopt;
  KeyWish key{Completed(*dataset.encryption), ""};
  const auto mac = planning.keys.macs.find(key.encryption.secret);
  if (mac == planning.keys.macs.end()) {
    planning.Violate(At(dataset, "key"), "{} needs a key to be made: the secret '{}' was not given",
                     dataset.name, key.encryption.secret);
    return std::nullopt;
  }
  key.mac = mac->second;
  return key;
}

void ShowEncryption(const KeyWish& key, PlannedStep& planned) {
  planned.differences.push_back({"encryption", "", key.encryption.algorithm});
  planned.differences.push_back(
      {"key", "", fmt::format("{} (secret {})", key.encryption.format, key.encryption.secret)});
}

bool PlanKey(Planning& planning, const DatasetSpec& dataset, const DatasetState& seen) {
  if (!dataset.encryption) return true;
  const std::string pool_name = PoolOf(dataset.name);
  const auto pool = planning.seen.pools.find(pool_name);
  if (pool != planning.seen.pools.end() && IsUnusable(pool->second)) {
    if (!IsLocked(seen)) return true;
    if (planning.failed_pools.insert(pool_name).second) {
      planning.Refuse(Place(dataset.origin, "dataset", dataset.name, "name"),
                      "pool {} is {}: nothing can be changed in it until its disks are back", pool_name,
                      pool->second.health);
    }
    planning.failed_keys.insert(dataset.name);
    return false;
  }
  const bool usable = IsUsable(planning, dataset), declared = IsAsDeclared(planning, dataset, seen);
  if (!usable || !declared) {
    planning.failed_keys.insert(dataset.name);
    return false;
  }
  const EncryptionSpec wanted = Completed(*dataset.encryption);
  const auto mac = planning.keys.macs.find(wanted.secret);
  if (mac == planning.keys.macs.end()) {
    if (!IsLocked(seen)) {
      planning.plan.notes.push_back({false, dataset.name, "key: not compared, its secret was not given"});
      return true;
    }
    planning.Violate(At(dataset, "key"),
                     "the key of {} is not loaded, as after every reboot: the secret '{}' was not given",
                     dataset.name, wanted.secret);
    planning.failed_keys.insert(dataset.name);
    return false;
  }
  const auto fits = planning.seen.keys_fit.find(dataset.name);
  if (fits == planning.seen.keys_fit.end() || !fits->second) {
    planning.Refuse(
        At(dataset, "key"),
        "the secret '{}' is not the key of {}; Phoenix changes no keys. Give the right one, or by "
        "hand: zfs change-key {}",
        wanted.secret, dataset.name, dataset.name);
    planning.failed_keys.insert(dataset.name);
    return false;
  }
  if (!IsLocked(seen)) {
    planning.plan.notes.push_back({false, dataset.name, "key: unchanged"});
    return true;
  }
  const size_t before = planning.violations.size();
  LoadKeyStep step{dataset.name, seen.guid, {wanted, mac->second}, CheckedMounts(planning, dataset)};
  if (planning.violations.size() != before) {
    planning.failed_keys.insert(dataset.name);
    return false;
  }
  PlannedStep planned = LoadStep(wanted, dataset.name);
  planned.needs.push_back({"dataset:" + dataset.name, true});
  for (const auto& mount : step.mounts) {
    const std::string parent = DirectoryOf(mount.at);
    const bool within = std::any_of(step.mounts.begin(), step.mounts.end(),
                                    [&](const auto& other) { return IsBelow(parent, other.at); });
    if (!within) AddMountNeeds(planning, mount.at, planned.needs);
  }
  Provide(planning, step.mounts, planned, dataset.name);
  planned.step = std::move(step);
  planning.plan.steps.push_back(std::move(planned));
  planning.coming_keys.insert(dataset.name);
  return true;
}

void PlanImportedKey(Planning& planning, const DatasetSpec& dataset) {
  if (dataset.presence != Presence::kPresent) return;
  const auto key = KeyOfNew(planning, dataset);
  if (!key) return;
  LoadKeyStep step{dataset.name, 0, *key, {}};
  for (const auto& other : planning.spec.datasets) {
    const std::string at = planning.mounts.Of(other.name);
    if (other.presence == Presence::kPresent && !at.empty() &&
        DeclaredRootOf(planning.spec, other.name) == dataset.name)
      step.mounts.push_back({other.name, at});
  }
  SortForMounting(step.mounts);
  PlannedStep planned = LoadStep(key->encryption, dataset.name);
  planned.needs.push_back({"dataset:" + dataset.name, false});
  Provide(planning, step.mounts, planned, dataset.name);
  planned.step = std::move(step);
  planning.plan.steps.push_back(std::move(planned));
  planning.coming_keys.insert(dataset.name);
}

void AddKeyNeeds(Planning& planning) {
  for (auto& step : planning.plan.steps) {
    const std::string name = std::visit(ChangedBy(), step.step);
    for (const auto& root : planning.coming_keys) {
      const bool own = std::holds_alternative<LoadKeyStep>(step.step) && name == root;
      if (!name.empty() && IsBelow(name, root) && !own) step.needs.push_back({"key:" + root, false});
    }
  }
}

std::string LockedBy(const ZfsState& seen, std::string_view name) {
  const auto dataset = seen.datasets.find(name);
  if (dataset != seen.datasets.end())
    return IsLocked(dataset->second) ? dataset->second.Value("encryptionroot") : "";
  const std::string parent = ParentOf(name);
  return parent.empty() ? "" : LockedBy(seen, parent);
}

}  // namespace phoenix::zfs
