#include "services/zfs/domain/zfs_planner.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_growth.h"
#include "services/zfs/domain/zfs_health.h"
#include "services/zfs/domain/zfs_kept.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

// A uid or gid; the last one of 32 bits stands for none.
bool IsNumber(std::string_view text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size() && id != UINT32_MAX;
}

std::string OwnerText(std::string_view wish, const std::map<std::string, uint32_t, std::less<>>& known) {
  const auto id = IdOf(wish, known);
  return id ? fmt::format("{} ({})", wish, *id) : std::string(wish);
}

void NoteOrphans(Planning& planning) {
  const auto declared = [&](std::string_view key) {
    for (const auto& pool : planning.spec.pools) {
      if (key == "pool:" + pool.name) return true;
    }
    for (const auto& dataset : planning.spec.datasets) {
      if (key == "dataset:" + dataset.name) return true;
    }
    for (const auto& snapshot : planning.spec.snapshots) {
      if (key == "snapshot:" + snapshot.name) return true;
    }
    return key == "arc:limit" && planning.spec.arc_max_bytes.has_value();
  };
  for (const auto& [key, identity] : planning.owned.created) {
    if (declared(key)) continue;
    const std::string name = key.substr(key.find(':') + 1);
    if (key.starts_with("pool:") && planning.seen.pools.count(name) != 0) {
      planning.Warn(name, "orphaned: pool {} was declared and no longer is; it stays as it is", name);
    } else if (key.starts_with("dataset:") && planning.seen.datasets.count(name) != 0) {
      planning.Warn(name, "orphaned: dataset {} was declared and no longer is; it stays as it is", name);
    } else if (key == "arc:limit" && planning.seen.arc.file) {
      planning.Warn("arc", "orphaned: the ARC limit was declared and no longer is; {} stays as it is",
                    kArcFile);
    }
  }
}

void NoteOrphanedFiles(Planning& planning) {
  std::set<std::pair<std::string, std::string>> declared;
  for (const auto& dataset : planning.spec.datasets) {
    for (const auto& file : dataset.files) declared.emplace(dataset.name, file.path);
  }
  for (const auto& [name, identity, path] : planning.owned.deliveries) {
    const auto seen = planning.seen.datasets.find(name);
    if (seen == planning.seen.datasets.end() || std::to_string(seen->second.guid) != identity) continue;
    if (declared.count({name, path}) != 0) continue;
    planning.Warn(name, "orphaned: {} was delivered into {} and is no longer declared; it stays as it is",
                  path, name);
  }
}

// What undo set aside is named until somebody decides about it.
void NoteKept(Planning& planning) {
  for (const auto& [name, dataset] : planning.seen.datasets) {
    const auto kept = AsKept(dataset);
    if (!kept) continue;
    if (kept->before) {
      planning.Warn(
          name,
          "kept: {} is {} as it was before a run that was undone; others wrote to it meanwhile, so that it "
          "was not rolled back. Once it is not needed any more: phoenix kept discard {}",
          name, kept->original, name);
    } else {
      planning.Warn(name,
                    "kept: {} holds what others wrote into {}, a dataset of a run that was undone; "
                    "`phoenix kept restore {}` gives it back, `phoenix kept discard` destroys it",
                    name, kept->original, name);
    }
  }
}

std::string Fingerprint(const ZfsSpec& spec, const ZfsState& seen) {
  std::string text;
  for (const auto& pool : spec.pools) {
    const auto found = seen.pools.find(pool.name);
    if (found == seen.pools.end()) {
      text += fmt::format("pool {} absent\n", pool.name);
    } else {
      text += fmt::format("pool {} {} {}\n", pool.name, found->second.guid, ToText(found->second.layout));
    }
    for (const auto& [field, path] : DeclaredDisks(pool)) {
      const auto disk = seen.disks.find(path);
      if (disk == seen.disks.end() || disk->second.member_of == pool.name) continue;
      text += fmt::format("disk {} {} {} {}", path, disk->second.serial, disk->second.size_bytes,
                          disk->second.member_of);
      for (const auto& finding : disk->second.findings)
        text += fmt::format(" [{} {}]", finding.where, finding.what);
      text += '\n';
    }
    for (const auto& [name, value] : pool.properties) {
      if (found != seen.pools.end() && found->second.properties.count(name) != 0)
        text += fmt::format("pool {} {}={}\n", pool.name, name,
                            found->second.properties.find(name)->second.value);
    }
  }
  for (const auto& dataset : spec.datasets) {
    const auto found = seen.datasets.find(dataset.name);
    if (found == seen.datasets.end()) {
      text += fmt::format("dataset {} absent\n", dataset.name);
      continue;
    }
    text += fmt::format("dataset {} {} {} at {}", dataset.name, found->second.guid, found->second.type,
                        found->second.mounted_at);
    if (found->second.root) {
      text += fmt::format(" {}:{} {:o} {}", found->second.root->uid, found->second.root->gid,
                          found->second.root->mode, fmt::join(found->second.acl, ","));
    }
    for (const auto& [name, property] : found->second.properties) {
      if (FindProperty(name) != nullptr || IsUserProperty(name)) {
        text += fmt::format(" {}={}({})", name, property.value, property.source);
      }
    }
    if (IsEncrypted(found->second)) {
      for (const char* name : {"encryption", "keyformat", "encryptionroot", "keystatus"})
        text += fmt::format(" {}={}", name, found->second.Value(name));
    }
    text += '\n';
    const auto files = seen.files.find(dataset.name);
    if (files == seen.files.end()) continue;
    for (const auto& [path, file] : files->second) {
      text += fmt::format("file {} {} {} {}:{} {:o} {}\n", path, file.there, file.digest, file.uid, file.gid,
                          file.mode, file.obstacle);
    }
  }
  for (const auto& kept : spec.kept) {
    const auto found = seen.datasets.find(kept.name);
    if (found == seen.datasets.end()) continue;
    text += fmt::format("kept {} {} at {}\n", kept.name, found->second.guid, found->second.mounted_at);
  }
  if (spec.arc_max_bytes) {
    text += fmt::format("arc {} {} {} {}\n", seen.arc.live.value_or(0), seen.arc.in_force,
                        seen.arc.initramfs_is_older, seen.arc.file ? seen.arc.file->content : "absent");
  }
  return text;
}

// A record that was lost must not pass for a fresh start: what we created would be taken for found, and an
// undo that is still due would be forgotten.
absl::Status CheckRecord(const ZfsState& seen, const Ownership& owned) {
  if (!owned.blank) return absl::OkStatus();
  std::set<std::string> marked;
  for (const auto& [name, dataset] : seen.datasets) {
    if (!dataset.LocalValue(kRunMark).empty() && !IsAside(name, "kept") && !IsAside(name, "trash")) {
      marked.insert(PoolOf(name));
    }
  }
  if (marked.empty()) return absl::OkStatus();
  std::string commands;
  for (const auto& pool : marked) commands += fmt::format("\n  zfs inherit -r {} {}", kRunMark, pool);
  return WithReason(
      FailedPrecondition(
          "pools {} carry marks of Phoenix's runs, but this node's record of runs is empty. Was {} lost? "
          "Then "
          "put it back from a backup. Were the pools made on another node, or shall Phoenix take them as "
          "found, as nobody's? Then take the marks away:{}",
          fmt::join(marked, ", "),
          owned.record_directory.empty() ? "the service's state directory" : owned.record_directory,
          commands),
      {"RECORD_LOST", {{"pools", fmt::format("{}", fmt::join(marked, ","))}}});
}

}  // namespace

std::set<std::pair<bool, std::string>> NamesOf(const std::optional<std::vector<std::string>>& acl) {
  std::set<std::pair<bool, std::string>> names;
  for (const std::string& text : acl.value_or(std::vector<std::string>())) {
    const auto entry = ParseAclEntry(text);
    if (entry && !entry->qualifier.empty() && !IsNumber(entry->qualifier))
      names.emplace(entry->tag == AclTag::kUser, entry->qualifier);
  }
  return names;
}

std::optional<uint32_t> IdOf(std::string_view name_or_number,
                             const std::map<std::string, uint32_t, std::less<>>& known) {
  if (IsNumber(name_or_number)) {
    return static_cast<uint32_t>(std::strtoul(std::string(name_or_number).c_str(), nullptr, 10));
  }
  const auto found = known.find(name_or_number);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

std::string TreeText(const RootWish& root) {
  return fmt::format("{}:{} {}", root.owner, root.group, root.mode);
}

uint32_t ModeOf(std::string_view octal) {
  return static_cast<uint32_t>(std::strtoul(std::string(octal).c_str(), nullptr, 8));
}

void AddRootNeeds(const RootWish& root, const ZfsState& seen, std::vector<Need>& needs) {
  if (!root.owner.empty() && !IsNumber(root.owner)) {
    needs.push_back({"user:" + root.owner, seen.users.count(root.owner) != 0});
  }
  if (!root.group.empty() && !IsNumber(root.group)) {
    needs.push_back({"group:" + root.group, seen.groups.count(root.group) != 0});
  }
  for (const auto& [user, name] : NamesOf(root.acl)) {
    Need need{(user ? "user:" : "group:") + name, (user ? seen.users : seen.groups).count(name) != 0};
    if (std::none_of(needs.begin(), needs.end(), [&](const Need& one) { return one.key == need.key; }))
      needs.push_back(std::move(need));
  }
}

std::vector<Difference> RootDifferences(const RootWish& root, const std::optional<DirectoryState>& before,
                                        const ZfsState& seen, const Acl& acl_before) {
  std::vector<Difference> differences;
  const auto owner = IdOf(root.owner, seen.users);
  const auto group = IdOf(root.group, seen.groups);
  if (!root.owner.empty() && !(before && owner == before->uid)) {
    differences.push_back(
        {"owner", before ? std::to_string(before->uid) : "", OwnerText(root.owner, seen.users)});
  }
  if (!root.group.empty() && !(before && group == before->gid)) {
    differences.push_back(
        {"group", before ? std::to_string(before->gid) : "", OwnerText(root.group, seen.groups)});
  }
  if (!root.mode.empty() && !(before && ModeOf(root.mode) == before->mode)) {
    differences.push_back({"mode", before ? fmt::format("{:o}", before->mode) : "", root.mode});
  }
  if (root.acl) {
    // Whoever is not there yet makes it differ.
    const auto wanted = CompleteAcl(*root.acl, ModeOf(root.mode), seen.users, seen.groups);
    if (!wanted.ok() || *wanted != acl_before) {
      const auto text = [](const std::vector<std::string>& acl) {
        return acl.empty() ? std::string("none") : fmt::format("{}", fmt::join(acl, ","));
      };
      differences.push_back({"acl", before ? text(acl_before) : "", text(*root.acl)});
    }
  }
  return differences;
}

bool Planning::Created(std::string_view kind, std::string_view name, uint64_t guid) const {
  const auto entry = owned.created.find(fmt::format("{}:{}", kind, name));
  return entry != owned.created.end() && entry->second == std::to_string(guid);
}

std::string Planning::Coming(std::string_view property, std::string_view dataset) const {
  std::string inherited;
  for (std::string name(dataset); !name.empty(); name = ParentOf(name)) {
    for (const DatasetSpec& wanted : spec.datasets) {
      const auto declared = wanted.properties.find(property);
      if (wanted.name == name && declared != wanted.properties.end())
        return CanonicalValue(property, declared->second).value_or(declared->second);
    }
    const auto there = seen.datasets.find(name);
    if (there == seen.datasets.end()) continue;
    const auto found = there->second.properties.find(property);
    if (found == there->second.properties.end()) continue;
    const PropertyState& state = found->second;
    if (state.source != "default" && !state.source.starts_with("inherited")) return state.value;
    // What lies above may get another one.
    if (inherited.empty()) inherited = state.value;
  }
  return inherited;
}

void CheckAcl(Planning& planning, const DatasetSpec& dataset) {
  if (!dataset.acl || dataset.acl->empty()) return;
  const auto complete =
      CompleteAcl(*dataset.acl, ModeOf(dataset.mode), planning.seen.users, planning.seen.groups);
  // Who is not there may come with the run.
  if (absl::IsInvalidArgument(complete.status())) {
    planning.Violate(Place(dataset.origin, "dataset", dataset.name, "acl"), "{}", Message(complete.status()));
    return;
  }
  const std::string type = planning.Coming("acltype", dataset.name);
  if (SameValue("acltype", type.empty() ? "off" : type, "posix")) return;
  planning.Refuse(Place(dataset.origin, "dataset", dataset.name, "acl"),
                  "{} keeps no ACLs (acltype={}): declare acltype=posix for it, and xattr=sa", dataset.name,
                  type.empty() ? "off" : type);
}

bool Planning::HoldsRecord(std::string_view dataset) const {
  std::string_view holder, deepest;
  for (const auto& [name, state] : seen.datasets) {
    const std::string_view at = state.mounted_at;
    if (at.empty() || at.size() <= deepest.size()) continue;
    const bool above = at == "/" || owned.record_directory == at ||
                       owned.record_directory.starts_with(std::string(at) + "/");
    if (above && !owned.record_directory.empty()) holder = name, deepest = at;
  }
  return !holder.empty() && holder == dataset;
}

void Planning::RefuseRecord(const std::string& place) {
  Violate(place,
          "{} lies on this file system: without it no run can be undone. Move it first, with Phoenix's "
          "services stopped, or leave this as it is",
          owned.record_directory);
}

MountPoints::MountPoints(const ZfsSpec& spec, const ZfsState& seen) : seen_(seen) {
  for (const auto& dataset : spec.datasets) {
    if (dataset.presence == Presence::kPresent) wanted_.emplace(dataset.name, &dataset);
  }
}

std::string MountPoints::PropertyOf(std::string_view dataset) const {
  if (const auto wanted = wanted_.find(dataset); wanted != wanted_.end()) {
    const auto path = wanted->second->properties.find("mountpoint");
    if (path != wanted->second->properties.end()) {
      return CanonicalValue("mountpoint", path->second).value_or(path->second);
    }
  }
  const auto seen = seen_.datasets.find(dataset);
  if (seen != seen_.datasets.end()) {
    const auto path = seen->second.properties.find("mountpoint");
    if (path != seen->second.properties.end() && !path->second.source.starts_with("inherited") &&
        path->second.source != "default") {
      return path->second.value;
    }
  }
  return InheritedBy(dataset);
}

std::string MountPoints::InheritedBy(std::string_view dataset) const {
  const std::string parent = ParentOf(dataset);
  if (parent.empty()) {
    // An imported pool may have an alternate root, which shows in the root dataset's value.
    const auto seen = seen_.datasets.find(dataset);
    if (seen != seen_.datasets.end() && seen->second.properties.count("mountpoint") != 0 &&
        seen->second.properties.find("mountpoint")->second.source == "default") {
      return seen->second.Value("mountpoint");
    }
    return "/" + std::string(dataset);
  }
  std::string above = PropertyOf(parent);
  if (above == "none" || above == "legacy") return above;
  return above == "/" ? "/" + LastOf(dataset) : above + "/" + LastOf(dataset);
}

std::string MountPoints::Of(std::string_view dataset) const {
  std::string canmount = "on";
  uint64_t volume = 0;
  if (const auto seen = seen_.datasets.find(dataset); seen != seen_.datasets.end()) {
    if (seen->second.properties.count("canmount") != 0) canmount = seen->second.Value("canmount");
    volume = seen->second.type == "volume" ? 1 : 0;
  }
  if (const auto wanted = wanted_.find(dataset); wanted != wanted_.end()) {
    const auto declared = wanted->second->properties.find("canmount");
    if (declared != wanted->second->properties.end()) canmount = declared->second;
    volume = std::max<uint64_t>(volume, wanted->second->volume_size_bytes);
  }
  if (volume != 0 || canmount != "on") return "";
  const std::string path = PropertyOf(dataset);
  return path.starts_with('/') ? path : "";
}

void PlanSnapshots(Planning& planning) {
  for (const auto& snapshot : planning.spec.snapshots) {
    const std::string place = Place("", "snapshot", snapshot.name);
    const std::string dataset = DatasetOf(snapshot.name);
    const auto seen = planning.seen.snapshots.find(snapshot.name);
    const bool there = seen != planning.seen.snapshots.end();
    PlannedStep planned{.id = "snapshot:" + snapshot.name, .resource = snapshot.name};
    if (snapshot.presence == Presence::kPresent) {
      if (there) continue;
      const bool dataset_there = planning.seen.datasets.count(dataset) != 0;
      if (!dataset_there && planning.coming_datasets.count(dataset) == 0) {
        planning.Refuse(place, "dataset {} is neither there nor declared", dataset);
        continue;
      }
      planned.action = "create snapshot";
      planned.undo = "zfs destroy of this snapshot, if nobody holds or cloned it";
      planned.differences.push_back({"snapshot", "absent", "there"});
      planned.needs.push_back({"dataset:" + dataset, dataset_there});
      planned.provides.push_back("snapshot:" + snapshot.name);
      planned.step = CreateSnapshotStep{snapshot.name};
    } else {
      if (!there) continue;
      if (!planning.Created("snapshot", snapshot.name, seen->second.guid)) {
        planning.Refuse(place, "{} was not created by Phoenix, so Phoenix does not remove it", snapshot.name);
        continue;
      }
      if (seen->second.holds != 0 || !seen->second.clones.empty()) {
        planning.Refuse(place, "{} is {}", snapshot.name,
                        seen->second.holds != 0 ? "held" : "the origin of " + seen->second.clones[0]);
        continue;
      }
      planned.action = "delete snapshot";
      planned.undo = "until the run is committed it is only renamed, and is renamed back";
      planned.differences.push_back({"snapshot", "there", "absent"});
      planned.needs.push_back({"dataset:" + dataset, true});
      planned.removes.push_back("snapshot:" + snapshot.name);
      planned.step = DeleteSnapshotStep{snapshot.name, seen->second.guid};
    }
    planning.plan.steps.push_back(std::move(planned));
  }
}

ObserveRequest FirstLook(const ZfsSpec& spec) {
  ObserveRequest request{.pools = true,
                         .all_datasets = true,
                         .snapshots = !spec.snapshots.empty() || !spec.kept.empty(),
                         .holds = !spec.kept.empty(),
                         .arc = spec.arc_max_bytes.has_value()};
  for (const auto& pool : spec.pools) {
    request.wanted_pools.push_back(pool.name);
    for (auto& [field, path] : DeclaredDisks(pool)) request.disks.push_back(std::move(path));
  }
  request.vdev_names = !spec.pools.empty();
  std::set<std::string> users, groups;
  for (const auto& dataset : spec.datasets) {
    if (!dataset.owner.empty() && !IsNumber(dataset.owner)) users.insert(dataset.owner);
    if (!dataset.group.empty() && !IsNumber(dataset.group)) groups.insert(dataset.group);
    for (const auto& [user, name] : NamesOf(dataset.acl)) (user ? users : groups).insert(name);
    for (const auto& declared : dataset.files) {
      // What is wrong with it is told later; nothing outside of the dataset is looked at for it.
      if (!WrongFilePath(declared.path).empty()) continue;
      const FileSpec file = Completed(declared);
      request.files[dataset.name].push_back(file.path);
      if (!IsNumber(file.owner)) users.insert(file.owner);
      if (!IsNumber(file.group)) groups.insert(file.group);
    }
  }
  request.users.assign(users.begin(), users.end());
  request.groups.assign(groups.begin(), groups.end());
  return request;
}

ObserveRequest SecondLook(const ZfsSpec& spec, const ZfsState& seen) {
  const MountPoints mounts(spec, seen);
  std::set<std::string> paths;
  const auto above = [&](const std::string& mountpoint) {
    if (mountpoint.empty()) return;
    for (std::string path = mountpoint; path != "/"; path = DirectoryOf(path)) paths.insert(path);
  };
  const auto add = [&](std::string_view dataset) {
    const std::string mountpoint = mounts.Of(dataset);
    const auto now = seen.datasets.find(dataset);
    if (now == seen.datasets.end() || now->second.mounted_at != mountpoint) above(mountpoint);
  };
  for (const auto& pool : spec.pools) add(pool.name);
  for (const auto& dataset : spec.datasets) {
    if (dataset.presence != Presence::kPresent) continue;
    add(dataset.name);
    const auto there = seen.datasets.find(dataset.name);
    if (!dataset.encryption || there == seen.datasets.end() || !IsLocked(there->second)) continue;
    for (const auto& mount : MountsOf(seen, dataset.name)) above(mount.at);
  }
  for (const auto& wanted : spec.kept) {
    const auto kept = seen.datasets.find(wanted.name);
    if (kept == seen.datasets.end() || wanted.fate != KeptFate::kRestore) continue;
    above(RestoredAt(mounts, kept->second, RestoredName(wanted, kept->second)));
  }
  ObserveRequest request;
  request.paths.assign(paths.begin(), paths.end());
  request.health = DisksToJudge(spec, seen);
  return request;
}

absl::StatusOr<ZfsPlan> MakePlan(const ZfsSpec& spec, const ZfsState& seen, const Ownership& owned,
                                 const GivenKeys& keys) {
  PHX_RETURN_IF_ERROR(CheckRecord(seen, owned));
  Planning planning(spec, seen, owned, keys);
  CheckSpec(planning);
  PlanPools(planning);
  PlanKept(planning);
  PlanDatasets(planning);
  PlanSnapshots(planning);
  PlanArc(planning);
  CheckHealth(planning);
  if (!planning.violations.empty()) {
    std::string text = "what is wanted of ZFS cannot be brought about:";
    for (const auto& violation : planning.violations) {
      text += fmt::format("\n  {}: {}", violation.field, violation.description);
    }
    const absl::Status refused =
        planning.spec_is_wrong ? InvalidArgument("{}", text) : FailedPrecondition("{}", text);
    return WithViolations(WithReason(refused, {"ZFS_SPEC_REFUSED", {}}), planning.violations);
  }
  if (!spec.partial) {
    NoteOrphans(planning);
    NoteOrphanedFiles(planning);
    NoteKept(planning);
  }
  for (const auto& [name, pool] : seen.pools) planning.plan.provided_now.push_back("pool:" + name);
  for (const auto& [name, dataset] : seen.datasets) {
    planning.plan.provided_now.push_back("dataset:" + name);
    // Where / is a dataset every path lies below it, and none would be missing any more.
    if (!dataset.mounted_at.empty() && dataset.mounted_at != "/")
      planning.plan.provided_now.push_back("path:" + dataset.mounted_at);
  }
  planning.plan.fingerprint_text = Fingerprint(spec, seen);
  return std::move(planning.plan);
}

}  // namespace phoenix::zfs
