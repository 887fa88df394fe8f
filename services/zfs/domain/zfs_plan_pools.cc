#include <algorithm>

#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_growth.h"
#include "services/zfs/domain/zfs_health.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

class PoolPlanner {
 public:
  PoolPlanner(Planning& planning, const PoolSpec& pool) : planning_(planning), pool_(pool) {}

  void Plan() {
    const auto found = planning_.seen.pools.find(pool_.name);
    const size_t before = planning_.violations.size();
    if (pool_.presence == Presence::kAbsent) {
      if (found != planning_.seen.pools.end()) {
        Destroy(found->second);
      } else if (const ExportedPool* exported = FindExported()) {
        planning_.Warn(pool_.name,
                       "pool {} is wanted gone, and is exported (GUID {}): it stays as it is. To have it "
                       "destroyed: zpool import {}, then set up again",
                       pool_.name, exported->guid, exported->guid);
      }
    } else if (found != planning_.seen.pools.end()) {
      Compare(found->second);
    } else if (const ExportedPool* exported = FindExported()) {
      Import(*exported);
    } else {
      Create();
    }
    if (planning_.violations.size() != before) planning_.failed_pools.insert(pool_.name);
  }

 private:
  std::string At(std::string_view field) const { return Place(pool_.origin, "pool", pool_.name, field); }

  const DiskState* Find(const std::string& path) const {
    const auto disk = planning_.seen.disks.find(path);
    return disk == planning_.seen.disks.end() ? nullptr : &disk->second;
  }

  void RefuseAbsent(const std::string& path) {
    planning_.Refuse(At(FieldOf(pool_, path)), "disk {} is not present on this node", path);
  }

  // Reports declared disks that are not there.
  bool HasAllDisks() {
    const size_t before = planning_.violations.size();
    for (const auto& [field, path] : DeclaredDisks(pool_)) {
      if (Find(path) == nullptr) RefuseAbsent(path);
    }
    return HasEachDiskOnce() && planning_.violations.size() == before;
  }

  // Reports declared disks that are one disk under two names.
  bool HasEachDiskOnce() {
    const size_t before = planning_.violations.size();
    std::map<std::string, std::string> devices;
    for (const auto& [field, path] : DeclaredDisks(pool_)) {
      const DiskState* disk = Find(path);
      if (disk == nullptr) continue;
      const auto [first, fresh] = devices.emplace(disk->device_path, path);
      if (!fresh)
        planning_.Refuse(At(field), "{} is the same disk as {} ({})", path, first->second, disk->device_path);
    }
    return planning_.violations.size() == before;
  }

  // An existing pool is never skipped and never made again: what differs is said, or is a step of its own.
  void Compare(const PoolState& seen) {
    if (IsUnusable(seen)) {
      planning_.Refuse(At("name"), "pool {} is {}: nothing can be changed in it until its disks are back",
                       pool_.name, seen.health);
      return;
    }
    CompareProperties(seen);
    if (pool_.disks.empty()) {
      if (!pool_.raid_level.empty()) {
        const auto level = RaidLevelOf(seen.layout);
        planning_.plan.notes.push_back(
            {false, pool_.name,
             fmt::format("pool {} exists as a {}; no disks are declared to compare it with", pool_.name,
                         level)});
      }
      return;
    }
    const auto wanted = DeclaredLayout(pool_);
    if (!wanted.ok()) return;  // told by CheckSpec
    if (!HasEachDiskOnce()) return;
    // A disk that is gone is in nobody's way, unless a step is to take it.
    const NamedLayout named = AsDeclared(pool_, seen, planning_.seen.disks);
    const std::vector<VdevGroup>& there = named.vdevs;
    const LayoutChanges changes = ChangesTo(*wanted, there);
    for (const VdevGroup& vdev : changes.undeclared) {
      planning_.plan.notes.push_back(
          {false, pool_.name,
           fmt::format("pool {} also has {}, which is not declared and stays", pool_.name, ToText({vdev}))});
    }
    if (!changes.problem.empty()) {
      planning_.Refuse(
          At("disks"),
          "pool {} exists and is not what is declared: it is a {} ({}), declared is a {} ({}): {}. Phoenix "
          "neither "
          "skips this nor makes the pool again; declare what is there, or change the pool by hand{}",
          pool_.name, RaidLevelOf(there), ToText(there), RaidLevelOf(*wanted), ToText(*wanted),
          changes.problem,
          named.absent.empty() ? ""
                               : fmt::format(". Not present on this node: {}", fmt::join(named.absent, " ")));
      return;
    }
    for (const LayoutChange& change : changes.changes) {
      const size_t before = planning_.violations.size();
      for (const auto& disk : NewDisksOf(change)) {
        if (Find(disk) == nullptr) RefuseAbsent(disk);
      }
      if (planning_.violations.size() == before) Grow(seen, named, *wanted, change);
    }
    NoteMembers(seen, named, *wanted);
  }

  static std::vector<std::string> NewDisksOf(const LayoutChange& change) {
    if (change.kind == LayoutChange::Kind::kAddVdev) return change.vdev.disks;
    return {change.disk};
  }

  // Native pool properties are set back as they were, but for those that only vdevs still to come go by.
  void CompareProperties(const PoolState& seen) {
    SetPoolPropertiesStep step{.name = pool_.name, .guid = seen.guid, .properties = {}};
    PlannedStep planned{
        .id = "pool-properties:" + pool_.name, .resource = pool_.name, .action = "set pool properties"};
    for (const auto& [name, value] : pool_.properties) {
      const auto now = seen.properties.find(name);
      if (now == seen.properties.end()) {
        planning_.Refuse(At("properties"), "this node's ZFS does not know the pool property {}", name);
        continue;
      }
      // A feature is active once something uses it.
      const bool is_used = name.starts_with("feature@") && now->second.value == "active";
      if (now->second.value == value || (is_used && value == "enabled")) continue;
      if (name == "ashift" || name == "compatibility" || name.starts_with("feature@")) {
        planning_.Warn(pool_.name, "pool property {} is {}, declared is {}; {}", name, now->second.value,
                       value,
                       name == "ashift" ? "the vdevs that are there keep their sector size"
                                        : "what a pool's disks can be read with is not changed");
        continue;
      }
      step.properties[name] = value;
      planned.differences.push_back({"pool " + name, now->second.value, value});
    }
    if (step.properties.empty()) return;
    planned.undo = "the values of before are set again";
    if (const auto grows = step.properties.find("autoexpand");
        grows != step.properties.end() && grows->second == "on") {
      planned.reversal = Reversal::kLossy;
      planned.remainder = fmt::format(
          "where disks are larger than what pool {} used of them, it has grown, and stays so", pool_.name);
    }
    planned.needs.push_back({"pool:" + pool_.name, true});
    planned.provides.push_back("pool-properties:" + pool_.name);
    planned.step = std::move(step);
    planning_.plan.steps.push_back(std::move(planned));
  }

  // Members that are not well are no difference, and neither is a replacement that goes on.
  void NoteMembers(const PoolState& seen, const NamedLayout& named, const std::vector<VdevGroup>& wanted) {
    std::map<std::string, std::string> declared;
    for (const auto& [path, name] : named.members) {
      declared[name] = path;
      const auto member = seen.members.find(name);
      if (member != seen.members.end()) NoteMember(path, name, member->second, wanted);
    }
    for (const auto& [disk, member] : seen.members) {
      if (member.replaces.empty()) continue;
      const auto name = declared.find(disk);
      planning_.plan.notes.push_back(
          {false, pool_.name,
           fmt::format("{} is taking the place of {} in pool {}; `zpool status {}` tells how far it is",
                       name == declared.end() ? disk : name->second, member.replaces, pool_.name,
                       pool_.name)});
    }
  }

  void NoteMember(const std::string& path, const std::string& name, const MemberState& member,
                  const std::vector<VdevGroup>& wanted) {
    const bool there = Find(path) != nullptr;
    if (there && (member.state == "ONLINE" || member.state == "AVAIL" || member.state == "INUSE")) return;
    bool replaceable = true;
    for (const VdevGroup& vdev : wanted) {
      if (std::find(vdev.disks.begin(), vdev.disks.end(), path) != vdev.disks.end())
        replaceable = vdev.vdev_class != VdevClass::kCache && vdev.vdev_class != VdevClass::kSpare;
    }
    std::string what =
        there ? fmt::format("disk {} of pool {} is {}", path, pool_.name, member.state)
              : fmt::format("disk {} of pool {} is not present on this node any more, and {} to ZFS", path,
                            pool_.name, member.state);
    if (!there && name != path) what += fmt::format(", which knows it as {}", name);
    planning_.Warn(pool_.name, "{}{}{}", what, there ? ": " : ". Put it back, or ",
                   replaceable ? fmt::format("declare another disk in its place, and a run replaces it. "
                                             "`zpool status -v {}` says how the pool is",
                                             pool_.name)
                               : fmt::format("take it out (zpool remove {} {}) and out of the declaration",
                                             pool_.name, member.name.empty() ? name : member.name));
  }

  void Grow(const PoolState& seen, const NamedLayout& named, const std::vector<VdevGroup>& wanted,
            const LayoutChange& change) {
    const bool adds = change.kind == LayoutChange::Kind::kAddVdev;
    const MemberState existing = adds ? MemberState{} : MemberOf(seen, named, change.existing);
    const std::vector<std::string> disks = NewDisksOf(change);
    wiped_.clear();
    for (const auto& [field, path] : DeclaredDisks(pool_)) {
      if (std::find(disks.begin(), disks.end(), path) != disks.end()) CheckDisk(At(field), *Find(path));
    }
    if (adds) {
      CheckSizes({change.vdev});
      // zpool asks nothing of a pool that is uneven already.
      if (ExplainMismatch(seen.layout).empty()) CheckRedundancy(wanted);
    } else if (!existing.partition.empty()) {
      planning_.Refuse(
          At("disks"),
          "member {} of pool {} is one partition of a disk that has others, which may be what the "
          "node boots from; Phoenix gives a pool whole disks only. By hand: copy the partitions "
          "(`sgdisk --replicate`), then `zpool attach` or `zpool replace`, then `proxmox-boot-tool "
          "init` where it is the boot pool",
          existing.partition, pool_.name);
    } else if (Find(change.disk)->size_bytes + kLikeSize < existing.size_bytes) {
      planning_.Refuse(At(FieldOf(pool_, change.disk)), "disk {} ({} bytes) is smaller than {} ({} bytes)",
                       change.disk, Find(change.disk)->size_bytes, change.existing, existing.size_bytes);
    }
    PlannedStep planned{.id = fmt::format("vdev:{}/{}", pool_.name, LastOf(disks.front())),
                        .resource = pool_.name};
    planned.differences.push_back({"layout", ToText(seen.layout), Describe(change)});
    planned.needs.push_back({"pool:" + pool_.name, true});
    planned.provides.push_back(planned.id);
    planned.reversal = Reversal::kConfig;
    const bool wipe = !wiped_.empty();
    switch (change.kind) {
      case LayoutChange::Kind::kAddVdev:
        planned.action = "add vdev";
        planned.step = AddVdevStep{pool_.name, seen.guid, change.vdev, wipe, DeclaredAshift()};
        if (change.vdev.vdev_class == VdevClass::kLog || change.vdev.vdev_class == VdevClass::kCache ||
            change.vdev.vdev_class == VdevClass::kSpare) {
          planned.undo = "zpool remove; its disks are cleared, so that they are blank to every probe again";
        } else {
          planned.reversal = Reversal::kPointOfNoReturn;
          planned.undo = "none: what is written to the pool from now on lies on it, too";
          planned.remainder = fmt::format("pool {} keeps {}", pool_.name, ToText({change.vdev}));
        }
        break;
      case LayoutChange::Kind::kAttachDisk:
        planned.action = "attach disk";
        planned.step =
            AttachDiskStep{pool_.name, seen.guid, change.existing, change.disk, existing.name, wipe};
        planned.undo = "zpool detach; the disk is cleared, so that it is blank to every probe again";
        break;
      case LayoutChange::Kind::kReplaceDisk:
        planned.action = "replace disk";
        planned.step =
            ReplaceDiskStep{pool_.name, seen.guid, change.existing, change.disk, existing.name, wipe};
        planned.reversal = Reversal::kLossy;
        planned.undo = "zpool detach of the new disk, while its copy is not complete";
        planned.remainder = fmt::format("once the copy is complete, {} stays in the place of {}", change.disk,
                                        change.existing);
        break;
    }
    if (wipe) Wiping(planned);
    planning_.plan.steps.push_back(std::move(planned));
  }

  // zpool goes by the pool's property, which need not be what is declared. A disk beside another one, or in
  // its place, has the sector size of its vdev.
  std::string DeclaredAshift() const {
    const auto ashift = pool_.properties.find("ashift");
    return ashift == pool_.properties.end() || ashift->second == "0" ? "" : ashift->second;
  }

  // A member by the name that the comparison has for it.
  static MemberState MemberOf(const PoolState& seen, const NamedLayout& named, const std::string& name) {
    const auto declared = named.members.find(name);
    const auto member = seen.members.find(declared == named.members.end() ? name : declared->second);
    return member == seen.members.end() ? MemberState{} : member->second;
  }

  static std::string Describe(const LayoutChange& change) {
    switch (change.kind) {
      case LayoutChange::Kind::kAddVdev:
        return "+ " + ToText({change.vdev});
      case LayoutChange::Kind::kAttachDisk:
        return fmt::format("{} mirrored to {}", change.existing, change.disk);
      case LayoutChange::Kind::kReplaceDisk:
        break;
    }
    return fmt::format("{} in the place of {}", change.disk, change.existing);
  }

  const ExportedPool* FindExported() const {
    for (const auto& exported : planning_.seen.exported) {
      if (exported.name == pool_.name) return &exported;
    }
    return nullptr;
  }

  void Import(const ExportedPool& exported) {
    const auto same = [&](const ExportedPool& other) { return other.name == pool_.name; };
    if (std::count_if(planning_.seen.exported.begin(), planning_.seen.exported.end(), same) != 1) {
      planning_.Refuse(
          At("name"),
          "several exported pools are named {}; import the right one by its number, as `zpool import` "
          "shows it",
          pool_.name);
      return;
    }
    if (exported.in_use_elsewhere) {
      planning_.Refuse(
          At("name"),
          "pool {} (GUID {}) is exported to nobody: another system had it last. Once you are sure that "
          "no other system uses it: zpool import -f {}",
          pool_.name, exported.guid, exported.guid);
      return;
    }
    if (exported.state != "ONLINE") {
      planning_.Refuse(At("name"),
                       "the exported pool {} (GUID {}) is {}; it is not imported until its disks are back{}",
                       pool_.name, exported.guid, exported.state,
                       exported.state == "DEGRADED"
                           ? fmt::format(". With those that are there: zpool import {}", exported.guid)
                           : "");
      return;
    }
    if (pool_.disks.empty()) {
      planning_.Refuse(At("disks"),
                       "a pool {} is there but exported, made of {}. Declare its disks to have it imported, "
                       "or: zpool import {}",
                       pool_.name, fmt::join(exported.members, " "), exported.guid);
      return;
    }
    if (!HasAllDisks() || !IsMadeOfDeclared(exported)) return;
    PlannedStep planned{.id = "import:" + pool_.name, .resource = pool_.name, .action = "import pool"};
    planned.differences.push_back({"pool", fmt::format("exported (GUID {})", exported.guid), "imported"});
    planned.undo = "zpool export";
    planned.provides = {"pool:" + pool_.name, "dataset:" + pool_.name};
    // What is in it shows when it is there; what is declared is taken for being there.
    for (const auto& dataset : planning_.spec.datasets) {
      if (PoolOf(dataset.name) != pool_.name || dataset.presence != Presence::kPresent) continue;
      if (dataset.name != pool_.name) planned.provides.push_back("dataset:" + dataset.name);
      const std::string path = planning_.mounts.Of(dataset.name);
      // What is encrypted is mounted by the step that loads its key.
      if (!path.empty() && DeclaredRootOf(planning_.spec, dataset.name).empty())
        ProvideWithContent(path, planned.provides);
    }
    planned.step = ImportPoolStep{pool_.name, exported.guid};
    planning_.plan.steps.push_back(std::move(planned));
    planning_.Warn(pool_.name,
                   "what is in pool {} can be compared only once it is imported: set up again after this run",
                   pool_.name);
    planning_.imported_pools.insert(pool_.name);
  }

  // The declared disks that carry the pool's own label.
  std::vector<std::string> Members() const {
    std::vector<std::string> members = pool_.disks;
    for (const VdevSpec& vdev : pool_.vdevs) {
      if (vdev.vdev_class == VdevClass::kCache || vdev.vdev_class == VdevClass::kSpare) continue;
      members.insert(members.end(), vdev.disks.begin(), vdev.disks.end());
    }
    return members;
  }

  bool IsMadeOfDeclared(const ExportedPool& exported) {
    // Caches and spares name no pool; what else differs is compared once it is imported.
    bool same = true;
    for (const auto& path : Members()) {
      const DiskState* disk = Find(path);
      same = same && std::any_of(disk->findings.begin(), disk->findings.end(),
                                 [&](const Finding& finding) { return finding.pool_guid == exported.guid; });
    }
    if (!same) {
      planning_.Refuse(
          At("disks"),
          "an exported pool {} (GUID {}) is there, made of {}; declared are other disks. Name another "
          "pool, or declare what is there",
          pool_.name, exported.guid, fmt::join(exported.members, " "));
    }
    return same;
  }

  void Destroy(const PoolState& seen) {
    if (!planning_.Created("pool", pool_.name, seen.guid)) {
      planning_.Refuse(At("state"), "pool {} was not created by Phoenix, so Phoenix does not remove it",
                       pool_.name);
      return;
    }
    PlannedStep planned{.id = "destroy:" + pool_.name, .resource = pool_.name, .action = "destroy pool"};
    // First: it is the word that allows the step.
    planned.removes.push_back("pool:" + pool_.name);
    for (const auto& [name, dataset] : planning_.seen.datasets) {
      if (PoolOf(name) != pool_.name) continue;
      if (planning_.HoldsRecord(name)) planning_.RefuseRecord(At("state"));
      if (IsAside(name, "kept")) {
        planning_.Refuse(At("state"),
                         "pool {} holds what undo kept: {}. `phoenix kept list` shows what can be done",
                         pool_.name, name);
      }
      planned.removes.push_back("dataset:" + name);
      if (!dataset.mounted_at.empty()) planned.removes.push_back("path:" + dataset.mounted_at);
      if (name == pool_.name || IsAside(name, "trash") || IsContainer(name)) continue;
      const auto declared = std::find_if(planning_.spec.datasets.begin(), planning_.spec.datasets.end(),
                                         [&](const DatasetSpec& other) { return other.name == name; });
      if (declared == planning_.spec.datasets.end() || declared->presence != Presence::kAbsent)
        planning_.Refuse(At("state"), "pool {} holds {}, which is not wanted gone", pool_.name, name);
    }
    planned.differences.push_back({"pool", "there", "destroyed"});
    planned.reversal = Reversal::kLossy;
    planned.undo = "zpool import -D: its disks keep their labels until they are used for something else";
    planned.remainder =
        "what is in its root and its trash is lost once its disks are used for something else";
    const std::string unlock = HowToUnlockAll(planning_.seen, pool_.name);
    if (!unlock.empty()) {
      planned.undo += ". It comes back without the keys of what is encrypted in it";
      planned.remainder +=
          "; the keys of what is encrypted in it are gone after an undo, and are loaded by "
          "the next setup with the secrets, or by hand: " +
          unlock;
    }
    planned.needs.push_back({"pool:" + pool_.name, true});
    planned.step = DestroyPoolStep{pool_.name, seen.guid, unlock};
    planning_.plan.steps.push_back(std::move(planned));
  }

  void Create() {
    if (pool_.disks.empty()) {
      planning_.Refuse(At("disks"), "pool {} is not there, and no disks are declared to make it of",
                       pool_.name);
      return;
    }
    const auto layout = DeclaredLayout(pool_);
    if (HasAllDisks()) {
      for (const auto& [field, path] : DeclaredDisks(pool_)) CheckDisk(At(field), *Find(path));
      if (layout.ok()) CheckSizes(*layout);
    }
    if (layout.ok()) CheckRedundancy(*layout);
    // The step is planned even where a disk is refused, so that what lies in the pool is checked in the same
    // answer.
    if (layout.ok()) AddStep(*layout);
    planning_.coming_pools.insert(pool_.name);
    planning_.coming_datasets.insert(pool_.name);
  }

  // zpool takes disks of different sizes into one vdev only by force: the difference would be lost.
  void CheckSizes(const std::vector<VdevGroup>& layout) {
    for (const VdevGroup& vdev : layout) {
      const auto smaller = [&](const std::string& a, const std::string& b) {
        return Find(a)->size_bytes < Find(b)->size_bytes;
      };
      const auto [least, most] = std::minmax_element(vdev.disks.begin(), vdev.disks.end(), smaller);
      const uint64_t low = Find(*least)->size_bytes, high = Find(*most)->size_bytes;
      if (high - low <= kLikeSize) continue;
      const std::string field = FieldOf(pool_, vdev.disks.front());
      planning_.Refuse(
          At(field.substr(0, field.rfind('['))),
          "disks of different sizes in one {}: {} has {} bytes, {} has {}; zpool refuses that, since the "
          "difference would be lost",
          vdev.kind, *least, low, *most, high);
    }
  }

  void CheckRedundancy(const std::vector<VdevGroup>& layout) {
    if (const std::string why = ExplainMismatch(layout); !why.empty())
      planning_.Violate(At("vdevs"), "{}; zpool refuses that, too", why);
  }

  void CheckDisk(const std::string& field, const DiskState& disk) {
    if (!disk.member_of.empty()) {
      planning_.Refuse(field, "disk {} ({}) is a member of the imported pool {}", disk.path, disk.device_path,
                       disk.member_of);
      return;
    }
    if (!disk.in_use.empty()) {
      planning_.Refuse(field, "disk {} ({}) is in use: {}", disk.path, disk.device_path, disk.in_use);
      return;
    }
    if (disk.findings.empty()) return;
    std::string found;
    for (const auto& finding : disk.findings) {
      found += fmt::format("{}{}: {}", found.empty() ? "" : "; ", finding.where, finding.what);
    }
    const auto& named = planning_.spec.wipe;
    if (planning_.spec.mode == Mode::kInteractive ||
        (planning_.spec.mode == Mode::kForceDestructive &&
         std::find(named.begin(), named.end(), disk.path) != named.end())) {
      wiped_.emplace_back(disk.path, found);
      return;
    }
    planning_.Refuse(field, "disk {} is not blank, and {}. Found: {}", disk.path,
                     planning_.spec.mode == Mode::kSafe ? "safe mode wipes nothing"
                                                        : "it is not among the disks that may be wiped",
                     found);
  }

  void Wiping(PlannedStep& planned) const {
    planned.reversal = Reversal::kPointOfNoReturn;
    planned.undo += "; what the disks held before cannot come back";
    std::string names;
    for (const auto& [disk, found] : wiped_) {
      planned.differences.push_back({"wipe " + disk, found, "blank"});
      names += (names.empty() ? "" : ", ") + disk;
    }
    planned.remainder += fmt::format("{}disks empty: {}", planned.remainder.empty() ? "" : "; ", names);
  }

  void AddStep(const std::vector<VdevGroup>& layout) {
    CreatePoolStep step{.name = pool_.name, .layout = layout, .properties = pool_.properties};
    step.mountpoint = planning_.mounts.Of(pool_.name);
    CheckMountDirectory(planning_, At("name"), pool_.name, step.mountpoint);
    AddMountNeeds(planning_, step.mountpoint, mount_needs_);
    step.wipe = !wiped_.empty();
    PlannedStep planned{.id = "pool:" + pool_.name, .resource = pool_.name, .action = "create pool"};
    planned.needs = mount_needs_;
    for (const auto& dataset : planning_.spec.datasets) {
      if (dataset.name != pool_.name || dataset.presence != Presence::kPresent) continue;
      step.root_properties = dataset.properties;
      step.root = {dataset.owner, dataset.group, dataset.mode, dataset.acl};
      CheckAcl(planning_, dataset);
      step.key = KeyOfNew(planning_, dataset);
      if (step.key) ShowEncryption(*step.key, planned);
      AddRootNeeds(step.root, planning_.seen, planned.needs);
      for (const auto& [name, value] : dataset.properties) planned.differences.push_back({name, "", value});
      for (auto& difference : RootDifferences(step.root, std::nullopt, planning_.seen)) {
        planned.differences.push_back(std::move(difference));
      }
    }
    // A mount point that ZFS derives by itself is left to it: it then also cleans the directory up.
    if (const auto path = step.root_properties.find("mountpoint");
        path != step.root_properties.end() && path->second == "/" + pool_.name) {
      step.root_properties.erase(path);
    }
    planned.differences.push_back({"layout", "absent", ToText(layout)});
    for (const auto& [name, value] : pool_.properties)
      planned.differences.push_back({"pool " + name, "", value});
    planned.reversal = Reversal::kConfig;
    planned.undo =
        "zpool destroy, if it is still the very pool and holds nothing of others; its labels and partition "
        "tables are cleared, so that the disks are blank to every probe again";
    if (step.wipe) {
      planned.undo = "zpool destroy";
      Wiping(planned);
    }
    planned.provides = {"pool:" + pool_.name, "dataset:" + pool_.name};
    if (!step.mountpoint.empty()) planned.provides.push_back("path:" + step.mountpoint);
    planned.step = std::move(step);
    planning_.plan.steps.push_back(std::move(planned));
  }

  Planning& planning_;
  const PoolSpec& pool_;
  std::vector<std::pair<std::string, std::string>> wiped_;  // disk, and what it holds
  std::vector<Need> mount_needs_;
};

}  // namespace

void PlanPools(Planning& planning) {
  for (const auto& pool : planning.spec.pools) {
    if (planning.failed_pools.count(pool.name) == 0) PoolPlanner(planning, pool).Plan();
  }
}

}  // namespace phoenix::zfs
