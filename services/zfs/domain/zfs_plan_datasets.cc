#include <algorithm>
#include <cstdlib>

#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

std::string Shown(const std::string& value, const std::string& source) {
  return source.empty() || source == "-" ? value : fmt::format("{} ({})", value, source);
}

uint64_t BytesOf(std::string_view property, std::string_view value) {
  return std::strtoull(CanonicalValue(property, value).value_or("0").c_str(), nullptr, 10);
}

class DatasetPlanner {
 public:
  DatasetPlanner(Planning& planning, const DatasetSpec& dataset)
      : planning_(planning),
        spec_(dataset),
        seen_(Find(dataset.name)),
        mountpoint_(planning.mounts.Of(dataset.name)) {}

  void Plan() {
    if (planning_.failed_pools.count(PoolOf(spec_.name)) != 0) return;
    if (planning_.failed_datasets.count(spec_.name) != 0) return;
    if (planning_.imported_pools.count(PoolOf(spec_.name)) != 0) {
      PlanImportedKey(planning_, spec_);
      return;
    }
    if (spec_.presence == Presence::kAbsent) {
      if (seen_ != nullptr) Delete();
      return;
    }
    // A new pool's root dataset is part of the pool's step.
    if (seen_ == nullptr && planning_.coming_datasets.count(spec_.name) != 0) return;
    if (seen_ == nullptr) {
      Create();
    } else {
      Update();
    }
  }

 private:
  std::string At(std::string_view field = {}) const {
    return Place(spec_.origin, "dataset", spec_.name, field);
  }
  const DatasetState* Find(std::string_view name) const {
    const auto found = planning_.seen.datasets.find(name);
    return found == planning_.seen.datasets.end() ? nullptr : &found->second;
  }
  bool IsReadOnly() const { return planning_.Coming("readonly", spec_.name) == "on"; }
  void RefuseReadOnly() {
    planning_.Refuse(
        At("owner"),
        "{} is read-only, so that nobody can give its root directory owner, group, mode or ACL; do that with "
        "readonly=off first",
        spec_.name);
  }
  // As it is, else as declared.
  bool IsVolume(std::string_view name) const {
    if (const DatasetState* seen = Find(name)) return seen->type == "volume";
    return std::any_of(
        planning_.spec.datasets.begin(), planning_.spec.datasets.end(), [&](const DatasetSpec& other) {
          return other.name == name && other.volume_size_bytes != 0 && other.presence == Presence::kPresent;
        });
  }
  RootWish Root() const { return {spec_.owner, spec_.group, spec_.mode, spec_.acl}; }

  // An ACL comes after what keeps it, its own acltype or one that it inherits.
  void AddAclTypeNeeds(PlannedStep& planned) const {
    if (!spec_.acl || spec_.acl->empty()) return;
    for (std::string name = spec_.name; !name.empty(); name = ParentOf(name))
      planned.needs.push_back({"acltype:" + name, true});
  }

  void Create() {
    const std::string parent = ParentOf(spec_.name);
    if (parent.empty()) {
      planning_.Refuse(At("name"), "pool {} is neither there nor declared", spec_.name);
      return;
    }
    const bool parent_there = Find(parent) != nullptr;
    if (!parent_there && planning_.coming_datasets.count(parent) == 0) {
      planning_.Refuse(At("name"), "{} {} is neither there nor declared",
                       parent.find('/') == std::string::npos ? "pool" : "parent dataset", parent);
      return;
    }
    if (IsVolume(parent)) {
      planning_.Refuse(At("name"), "{} is a volume, and nothing lies below one", parent);
      planning_.coming_datasets.insert(spec_.name);
      return;
    }
    if (const std::string root = LockedBy(planning_.seen, parent); !root.empty() && IsShut(root)) {
      if (planning_.failed_keys.count(root) == 0) {
        planning_.Refuse(At("name"), "{} cannot be made while the key of {} is not loaded; {}", spec_.name,
                         root, WaysToLoad(root));
      }
      planning_.coming_datasets.insert(spec_.name);
      return;
    }
    CheckMountDirectory(planning_, At("properties.mountpoint"), spec_.name, mountpoint_);
    if (IsReadOnly() && !Root().empty()) RefuseReadOnly();
    CheckAcl(planning_, spec_);
    CreateDatasetStep step{.name = spec_.name,
                           .volume_size_bytes = spec_.volume_size_bytes,
                           .properties = spec_.properties,
                           .mountpoint = mountpoint_,
                           .root = Root(),
                           .tree = spec_.recursive_owner};
    // A mount point that is inherited anyway is left to ZFS: it then also cleans the directory up, and a
    // later change of the parent's goes on applying.
    if (const auto path = step.properties.find("mountpoint");
        path != step.properties.end() &&
        SameValue("mountpoint", path->second, planning_.mounts.InheritedBy(spec_.name))) {
      step.properties.erase(path);
    }
    PlannedStep planned{.id = "dataset:" + spec_.name, .resource = spec_.name, .action = "create dataset"};
    for (const auto& [name, value] : spec_.properties) planned.differences.push_back({name, "", value});
    if (spec_.volume_size_bytes != 0) {
      planned.action = "create volume";
      planned.differences.push_back({"volume_size_bytes", "", std::to_string(spec_.volume_size_bytes)});
    }
    for (auto& difference : RootDifferences(step.root, std::nullopt, planning_.seen)) {
      planned.differences.push_back(std::move(difference));
    }
    step.key = KeyOfNew(planning_, spec_);
    if (step.key) ShowEncryption(*step.key, planned);
    planned.undo =
        "zfs destroy, if it is still the very dataset and holds nothing of others; otherwise it is renamed "
        "aside";
    planned.needs.push_back(
        {"pool:" + PoolOf(spec_.name), planning_.seen.pools.count(PoolOf(spec_.name)) != 0});
    planned.needs.push_back({"dataset:" + parent, parent_there});
    AddRootNeeds(step.root, planning_.seen, planned.needs);
    AddAclTypeNeeds(planned);
    planned.provides.push_back("dataset:" + spec_.name);
    if (!mountpoint_.empty()) {
      AddMountNeeds(planned);
      planned.provides.push_back("path:" + mountpoint_);
    }
    planned.step = std::move(step);
    planning_.plan.steps.push_back(std::move(planned));
    planning_.coming_datasets.insert(spec_.name);
    PlanContent(planning_, spec_, nullptr, mountpoint_);
  }

  void Update() {
    const bool volume = seen_->type == "volume";
    if (volume != (spec_.volume_size_bytes != 0)) {
      planning_.Refuse(At(), "{} exists as a {}, declared is a {}", spec_.name, seen_->type,
                       volume ? "filesystem" : "volume");
      return;
    }
    if (volume && !SameValue("volsize", seen_->Value("volsize"), std::to_string(spec_.volume_size_bytes))) {
      const bool shrinks =
          std::strtoull(seen_->Value("volsize").c_str(), nullptr, 10) > spec_.volume_size_bytes;
      planning_.Refuse(
          At("volume_size_bytes"),
          "volume {} has {} bytes, declared are {}; a run does not resize volumes, since it could not "
          "take that back from whoever uses the device{}. By hand: zfs set volsize={} {}",
          spec_.name, seen_->Value("volsize"), spec_.volume_size_bytes,
          shrinks ? ", and what lies behind the new end would be lost" : "", spec_.volume_size_bytes,
          spec_.name);
    }
    PlanKey(planning_, spec_, *seen_);
    const bool created = planning_.Created("dataset", spec_.name, seen_->guid);
    const bool mounts_itself = SetProperties(created);
    if (const std::string root = LockedBy(planning_.seen, spec_.name); !root.empty()) {
      Locked(root, volume);
      return;
    }
    if (volume) return;
    if (!mountpoint_.empty() && seen_->mounted_at != mountpoint_ && !mounts_itself) Mount();
    const bool content = PlanContent(planning_, spec_, seen_, mountpoint_);
    if (!content && !spec_.owner_at_creation_only) SetRoot(created);
  }

  bool IsShut(const std::string& root) const { return planning_.coming_keys.count(root) == 0; }
  static std::string WaysToLoad(const std::string& root) {
    return fmt::format("declare `encryption` of {} with its key, or: zfs load-key {}", root, root);
  }

  // Nobody can look into it yet; the step that loads the key of `root` mounts it, too.
  void Locked(const std::string& root, bool volume) {
    if (IsShut(root)) {
      if ((mountpoint_.empty() && !volume) || planning_.failed_keys.count(root) != 0) return;
      planning_.Refuse(At(), "{} cannot be {}: the key of {} is not loaded; {}", spec_.name,
                       volume ? "used" : "mounted", root, WaysToLoad(root));
    } else if (!Root().empty() || !spec_.files.empty()) {
      planning_.plan.notes.push_back(
          {false, spec_.name,
           fmt::format("what is in {} can be compared only once its key is loaded: set up again after this "
                       "run",
                       spec_.name)});
    }
  }

  // True when the step also brings the mount where it is wanted.
  bool SetProperties(bool created) {
    SetPropertiesStep step{.name = spec_.name, .created = created};
    PlannedStep planned{.id = "properties:" + spec_.name, .resource = spec_.name, .action = "set properties"};
    for (const auto& [name, value] : spec_.properties) {
      const auto now = seen_->properties.find(name);
      const PropertyState before =
          now == seen_->properties.end() ? PropertyState{"-", "-", "-"} : now->second;
      const bool same = SameValueIn(planning_.seen.version, name, before.value, value);
      const PropertyRule* rule = FindProperty(name);
      if (rule != nullptr && rule->create_only) {
        if (!same) {
          planning_.Refuse(At("properties." + name),
                           "{} of {} is {}, declared is {}; it can be given at creation only", name,
                           spec_.name, before.value, value);
        }
        continue;
      }
      if (now == seen_->properties.end() && rule != nullptr) {
        planning_.Refuse(At("properties." + name), "this node's ZFS does not know {}", name);
        continue;
      }
      // An equal value that comes from elsewhere would move with it: what is declared is set here. The mount
      // point alone may be inherited, since setting it would only remount.
      if (same && (before.local() || name == "mountpoint")) continue;
      CheckLimit(name, value);
      step.properties[name] = value;
      planned.differences.push_back({name, Shown(before.value, before.source), Shown(value, "local")});
    }
    if (step.properties.empty()) return false;
    planned.reversal = Reversal::kConfig;
    planned.undo =
        "every property gets its value and its source back; data written meanwhile stays as it was written";
    planned.needs.push_back({"dataset:" + spec_.name, true});
    const bool moves = step.properties.count("mountpoint") != 0 || step.properties.count("canmount") != 0;
    if (moves) Move(planned);
    if (step.properties.count("acltype") != 0) {
      planned.provides.push_back("acltype:" + spec_.name);
      // One that is taken away goes before what keeps it.
      if (spec_.acl && spec_.acl->empty()) planned.needs.push_back({"root:" + spec_.name, true});
    }
    if (step.properties.count("readonly") != 0 && planning_.HoldsRecord(spec_.name)) {
      planning_.RefuseRecord(At("properties.readonly"));
    }
    planned.step = std::move(step);
    planning_.plan.steps.push_back(std::move(planned));
    return moves && !mountpoint_.empty();
  }

  // As declared, or as it is.
  uint64_t Reserved(const std::string& name) const {
    if (const auto wanted = spec_.properties.find(name); wanted != spec_.properties.end())
      return BytesOf(name, wanted->second);
    const auto seen = seen_->properties.find(name);
    return seen == seen_->properties.end() ? 0 : std::strtoull(seen->second.value.c_str(), nullptr, 10);
  }

  // ZFS takes a quota below what is in use, and then every write fails.
  void CheckLimit(const std::string& name, const std::string& value) {
    if (name != "quota" && name != "refquota") return;
    const uint64_t limit = BytesOf(name, value);
    const auto used = seen_->properties.find(name == "quota" ? "used" : "referenced");
    if (limit == 0 || used == seen_->properties.end()) return;
    const std::string kept = name == "quota" ? "reservation" : "refreservation";
    if (const uint64_t reserved = Reserved(kept); reserved > limit) {
      planning_.Refuse(At("properties." + name),
                       "{} of {} is to be {} bytes, and its {} is {} bytes: ZFS takes no limit below what it "
                       "keeps free; lower {} first, or with it",
                       name, spec_.name, limit, kept, reserved, kept);
    }
    const uint64_t in_use = std::strtoull(used->second.value.c_str(), nullptr, 10);
    if (in_use <= limit) return;
    planning_.Refuse(At("properties." + name),
                     "{} of {} is to be {} bytes, and {} bytes are in use{}: nobody could write any more",
                     name, spec_.name, limit, in_use,
                     name == "quota" ? ", snapshots and what lies below it included" : "");
  }

  // The keys of a changed mount point: of the dataset and of those below that follow it.
  void Move(PlannedStep& planned) {
    for (const auto& [name, dataset] : planning_.seen.datasets) {
      const bool follows = name != spec_.name && IsBelow(name, spec_.name) &&
                           dataset.properties.count("mountpoint") != 0 &&
                           dataset.properties.find("mountpoint")->second.source.starts_with("inherited");
      if (name != spec_.name && !follows) continue;
      const std::string after = planning_.mounts.Of(name);
      if (dataset.mounted_at == after) continue;
      if (planning_.HoldsRecord(name)) planning_.RefuseRecord(At("properties.mountpoint"));
      if (!dataset.mounted_at.empty()) planned.removes.push_back("path:" + dataset.mounted_at);
      // ZFS mounts none whose key is not loaded.
      if (!after.empty() && !(follows && IsLocked(dataset))) ProvideWithContent(after, planned.provides);
    }
    if (!mountpoint_.empty() && seen_->mounted_at != mountpoint_) {
      CheckMountDirectory(planning_, At("properties.mountpoint"), spec_.name, mountpoint_);
      AddMountNeeds(planned);
    }
  }

  void Mount() {
    CheckMountDirectory(planning_, At("properties.mountpoint"), spec_.name, mountpoint_);
    PlannedStep planned{.id = "mount:" + spec_.name, .resource = spec_.name, .action = "mount"};
    planned.differences.push_back(
        {"mounted at", seen_->mounted_at.empty() ? "not mounted" : seen_->mounted_at, mountpoint_});
    planned.undo = "zfs unmount";
    planned.needs.push_back({"dataset:" + spec_.name, true});
    AddMountNeeds(planned);
    ProvideWithContent(mountpoint_, planned.provides);
    planned.step = MountStep{spec_.name, mountpoint_};
    planning_.plan.steps.push_back(std::move(planned));
  }

  void SetRoot(bool created) {
    const RootWish root = Root();
    if (root.empty()) return;
    if (mountpoint_.empty()) {
      planning_.Refuse(At("owner"),
                       "{} is not mounted, so its mount root cannot get owner, group, mode or ACL",
                       spec_.name);
      return;
    }
    PlannedStep planned{.id = "root:" + spec_.name, .resource = spec_.name, .action = "set owner and mode"};
    planned.differences = RootDifferences(root, seen_->root, planning_.seen, seen_->acl);
    if (planned.differences.empty()) return;
    if (IsReadOnly()) return RefuseReadOnly();
    CheckAcl(planning_, spec_);
    if (planned.differences.front().field == "acl") planned.action = "set ACL";
    planned.undo = "owner, group, mode and ACL of this one directory are put back";
    planned.needs.push_back({"dataset:" + spec_.name, true});
    planned.needs.push_back({"path:" + mountpoint_, seen_->mounted_at == mountpoint_});
    AddRootNeeds(root, planning_.seen, planned.needs);
    AddAclTypeNeeds(planned);
    planned.provides.push_back("root:" + spec_.name);
    planned.step = SetMountRootStep{spec_.name, mountpoint_, root, created};
    planning_.plan.steps.push_back(std::move(planned));
  }

  void Delete() {
    if (ParentOf(spec_.name).empty()) {
      planning_.Refuse(At(), "{} is a pool; pools are not removed this way", spec_.name);
      return;
    }
    if (!planning_.Created("dataset", spec_.name, seen_->guid)) {
      planning_.Refuse(At(), "{} was not created by Phoenix, so Phoenix does not remove it", spec_.name);
      return;
    }
    if (planning_.HoldsRecord(spec_.name)) planning_.RefuseRecord(At());
    const std::string root = seen_->Value("encryptionroot");
    if (IsBound(*seen_)) {
      planning_.Refuse(At(),
                       "{} is encrypted with the key of {}, and ZFS lets it not leave that for the trash of "
                       "the pool; destroy it by hand: zfs destroy {}",
                       spec_.name, root, spec_.name);
    }
    for (const auto& [name, dataset] : planning_.seen.datasets) {
      if (name == spec_.name || !IsBelow(name, spec_.name)) continue;
      const auto declared = std::find_if(planning_.spec.datasets.begin(), planning_.spec.datasets.end(),
                                         [&](const DatasetSpec& other) { return other.name == name; });
      if (declared == planning_.spec.datasets.end() || declared->presence != Presence::kAbsent) {
        planning_.Refuse(At(), "{} holds {}, which is not wanted gone", spec_.name, name);
      }
    }
    PlannedStep planned{
        .id = "delete:" + spec_.name, .resource = spec_.name, .action = "put dataset into the trash"};
    planned.differences.push_back({"dataset", "there", PoolOf(spec_.name) + "/.phoenix/trash/…"});
    planned.undo = "it is renamed back and mounted again";
    planned.needs.push_back({"dataset:" + ParentOf(spec_.name), true});
    planned.removes.push_back("dataset:" + spec_.name);
    if (!seen_->mounted_at.empty()) planned.removes.push_back("path:" + seen_->mounted_at);
    planned.step = DeleteDatasetStep{spec_.name, seen_->guid, seen_->mounted_at, seen_->type == "volume"};
    planning_.plan.steps.push_back(std::move(planned));
  }

  void AddMountNeeds(PlannedStep& planned) { zfs::AddMountNeeds(planning_, mountpoint_, planned.needs); }

  Planning& planning_;
  const DatasetSpec& spec_;
  const DatasetState* seen_;
  const std::string mountpoint_;
};

bool IsProvided(const std::vector<PlannedStep>& steps, std::string_view path) {
  for (const auto& step : steps) {
    for (const auto& key : step.provides) {
      if (!key.starts_with("path:")) continue;
      const std::string_view mount = std::string_view(key).substr(5);
      if (path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/')) return true;
    }
  }
  return false;
}

// Directories above mount points that nothing provides become steps, so that undo takes them away again.
void AddMissingDirectories(Planning& planning) {
  std::set<std::string> missing;
  for (const auto& step : planning.plan.steps) {
    for (const auto& need : step.needs) {
      if (!need.key.starts_with("path:") || need.satisfied_now) continue;
      for (std::string path = need.key.substr(5); path != "/"; path = DirectoryOf(path)) {
        const auto seen = planning.seen.paths.find(path);
        if (seen != planning.seen.paths.end() && seen->second.directory) break;
        if (IsProvided(planning.plan.steps, path)) break;
        missing.insert(path);
      }
    }
  }
  for (const auto& path : missing) {  // parents sort before what is below them
    PlannedStep planned{.id = "directory:" + path, .resource = path, .action = "make directory"};
    planned.differences.push_back({"directory", "absent", "root:root 755"});
    planned.undo = "removed again if it is empty";
    if (const std::string parent = DirectoryOf(path); parent != "/") {
      planned.needs.push_back({"path:" + parent, missing.count(parent) == 0});
    }
    planned.provides.push_back("path:" + path);
    planned.step = MakeDirectoryStep{path};
    planning.plan.steps.push_back(std::move(planned));
  }
}

}  // namespace

void AddMountNeeds(const Planning& planning, const std::string& mountpoint, std::vector<Need>& needs) {
  if (mountpoint.empty()) return;
  const std::string parent = DirectoryOf(mountpoint);
  if (parent == "/") return;
  const auto path = planning.seen.paths.find(parent);
  needs.push_back(
      {"path:" + parent, path != planning.seen.paths.end() && path->second.directory.has_value()});
}

void ProvideWithContent(const std::string& mountpoint, std::vector<std::string>& provides) {
  provides.push_back("path:" + mountpoint);
  provides.push_back("tree:" + mountpoint);
}

// Entries would be hidden; and whatever is written there while the dataset is not mounted lands on the disk
// below.
void CheckMountDirectory(Planning& planning, const std::string& place, std::string_view name,
                         const std::string& mountpoint) {
  const auto path = planning.seen.paths.find(mountpoint);
  if (mountpoint.empty() || path == planning.seen.paths.end()) return;
  const auto& entries = path->second.entries;
  if (path->second.mount_point) {
    planning.Refuse(place, "something else is mounted at {}", mountpoint);
  } else if (!entries.empty()) {
    planning.Refuse(place, "directory {} is not empty (it holds {}{}); mounting {} there would hide that",
                    mountpoint, entries[0], entries.size() > 1 ? " and more" : "", name);
  }
}

void PlanDatasets(Planning& planning) {
  // Parents before children, whatever the order of the spec, so that a child finds its parent coming.
  std::vector<const DatasetSpec*> datasets;
  for (const auto& dataset : planning.spec.datasets) datasets.push_back(&dataset);
  const auto depth = [](const DatasetSpec* dataset) {
    return std::count(dataset->name.begin(), dataset->name.end(), '/');
  };
  std::sort(datasets.begin(), datasets.end(), [&](const DatasetSpec* a, const DatasetSpec* b) {
    return depth(a) != depth(b) ? depth(a) < depth(b) : a < b;  // both lie in the spec's vector
  });
  for (const DatasetSpec* dataset : datasets) DatasetPlanner(planning, *dataset).Plan();
  AddKeyNeeds(planning);
  AddMissingDirectories(planning);
  WarnOfOvercommittedPools(planning);
  // A path that a step of this plan changes is not there yet, even where a directory of that name is.
  for (auto& step : planning.plan.steps) {
    for (auto& need : step.needs) {
      if (!need.key.starts_with("path:") || !need.satisfied_now) continue;
      const bool own = std::find(step.provides.begin(), step.provides.end(), need.key) != step.provides.end();
      if (!own && IsProvided(planning.plan.steps, std::string_view(need.key).substr(5)))
        need.satisfied_now = false;
    }
  }
}

}  // namespace phoenix::zfs
