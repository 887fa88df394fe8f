#include "services/zfs/domain/zfs_kept.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

class KeptPlanner {
 public:
  KeptPlanner(Planning& planning, const KeptSpec& wanted) : planning_(planning), wanted_(wanted) {}

  void Plan() {
    if (!IsAside(wanted_.name, "kept") || !WrongListedName(wanted_.name).empty()) {
      planning_.Violate("name", "{} is nothing that undo kept; `phoenix kept list` names what is",
                        wanted_.name);
      return;
    }
    const auto found = planning_.seen.datasets.find(wanted_.name);
    if (found == planning_.seen.datasets.end()) {
      planning_.Refuse("name", "{} is not there any more", wanted_.name);
      return;
    }
    const DatasetState& kept = found->second;
    if (!kept.mounted_at.empty()) {
      planning_.Refuse("name", "{} is mounted at {}; first: zfs unmount {}", kept.name, kept.mounted_at,
                       kept.name);
    }
    if (wanted_.fate == KeptFate::kRestore) {
      Restore(kept);
    } else {
      Discard(kept);
    }
  }

 private:
  void Restore(const DatasetState& kept) {
    const std::string to = RestoredName(wanted_, kept);
    const std::string parent = ParentOf(to);
    if (const std::string wrong = WrongDatasetName(to); !wrong.empty() || parent.empty()) {
      planning_.Violate("to", "'{}' {}", to, wrong.empty() ? "is a pool" : wrong);
      return;
    }
    if (PoolOf(to) != PoolOf(kept.name)) {
      planning_.Violate("to", "{} lies in pool {} and can be restored only there, not as {}", kept.name,
                        PoolOf(kept.name), to);
      return;
    }
    if (planning_.seen.datasets.count(to) != 0) {
      planning_.Refuse("to", "{} is there; restore it under another name (--as), or rename {} first", to, to);
      return;
    }
    const auto above = planning_.seen.datasets.find(parent);
    if (above == planning_.seen.datasets.end()) {
      planning_.Refuse("to",
                       "its parent {} is not there; make that first, or restore it under another name (--as)",
                       parent);
      return;
    }
    if (above->second.type != "filesystem") {
      planning_.Refuse("to", "{} is a {} and can hold no dataset", parent, above->second.type);
      return;
    }
    const std::string root = kept.Value("encryptionroot");
    if (IsEncrypted(kept) && root != kept.name && above->second.Value("encryptionroot") != root) {
      planning_.Refuse(
          "to",
          "{} is encrypted with the key of {}, and ZFS lets it not leave that: {} is not encrypted "
          "with it. Restore it below {}, such as --as {}/{}",
          kept.name, root, parent, root, root, LastOf(to));
    }
    if (IsLocked(kept)) {
      planning_.Refuse("name",
                       "the key of {} is not loaded, so that it cannot be mounted; first: zfs load-key {}",
                       kept.name, kept.Value("encryptionroot"));
    }
    RestoreKeptStep step{.name = kept.name, .to = to, .guid = kept.guid, .volume = kept.type == "volume"};
    if (kept.type == "filesystem") step.canmount = AsKept(kept).value_or(Kept()).canmount;
    step.mountpoint = RestoredAt(planning_.mounts, kept, to);
    CheckMountDirectory(planning_, "to", to, step.mountpoint);
    PlannedStep planned{.id = "restore:" + kept.name, .resource = to, .action = "restore what was kept"};
    planned.differences.push_back({"dataset", kept.name, to});
    if (!step.mountpoint.empty())
      planned.differences.push_back({"mounted at", "not mounted", step.mountpoint});
    planned.undo = "it is unmounted and renamed back to where it was kept";
    if (IsBound(kept)) {
      planned.reversal = Reversal::kLossy;
      planned.undo = "it is unmounted";
      planned.remainder =
          fmt::format("it stays as {}, since ZFS lets it not leave {}, whose key it has", to, root);
    }
    planned.needs.push_back({"dataset:" + parent, true});
    planned.provides.push_back("dataset:" + to);
    if (!step.mountpoint.empty()) {
      AddMountNeeds(planning_, step.mountpoint, planned.needs);
      planned.provides.push_back("path:" + step.mountpoint);
    }
    planned.step = std::move(step);
    planning_.plan.steps.push_back(std::move(planned));
  }

  void Discard(const DatasetState& kept) {
    const std::string root = kept.Value("encryptionroot");
    if (IsBound(kept)) {
      planning_.Refuse("name",
                       "{} is encrypted with the key of {}, and ZFS lets it not leave that for the trash of "
                       "the pool; destroy it by hand: zfs destroy {}",
                       kept.name, root, kept.name);
    }
    for (const auto& [name, dataset] : planning_.seen.datasets) {
      if (name == kept.name || !IsBelow(name, kept.name)) continue;
      planning_.Refuse("name", "{} holds dataset {}; first, if nobody needs that: zfs destroy {}", kept.name,
                       name, name);
    }
    for (const auto& [name, snapshot] : planning_.seen.snapshots) {
      if (DatasetOf(name) == kept.name) CheckSnapshot(snapshot);
    }
    PlannedStep planned{
        .id = "discard:" + kept.name, .resource = kept.name, .action = "destroy what was kept"};
    planned.differences.push_back({"dataset", "there", "absent"});
    planned.reversal = Reversal::kPointOfNoReturn;
    planned.undo = "until the change is committed it is only renamed, and is renamed back";
    planned.remainder = fmt::format("once it is committed {} and all data in it are gone", kept.name);
    planned.needs.push_back({"dataset:" + PoolOf(kept.name), true});
    planned.removes.push_back("dataset:" + kept.name);
    planned.step = DiscardKeptStep{kept.name, kept.guid, kept.type == "volume"};
    planning_.plan.steps.push_back(std::move(planned));
  }

  // A snapshot of a run's goes along with it, unless somebody has a use for it.
  void CheckSnapshot(const SnapshotState& snapshot) {
    const std::string& name = snapshot.name;
    if (snapshot.holds != 0) {
      planning_.Refuse("name", "its snapshot {} is held by {}; first: zfs release TAG {}", name,
                       fmt::join(snapshot.tags, ", "), name);
    } else if (!snapshot.clones.empty()) {
      planning_.Refuse("name",
                       "its snapshot {0} was cloned to {1}; first: zfs promote {1}, or zfs destroy {1}", name,
                       snapshot.clones[0]);
    } else if (RunOfCheckpoint(name).empty() || snapshot.run != RunOfCheckpoint(name)) {
      planning_.Refuse("name", "it has snapshot {}, which others took; first: zfs destroy {}", name, name);
    }
  }

  Planning& planning_;
  const KeptSpec& wanted_;
};

}  // namespace

std::optional<Kept> AsKept(const DatasetState& dataset) {
  Kept kept{.run = RunOfAside(dataset.name, "kept")};
  if (kept.run.empty()) return std::nullopt;
  const std::string origin = dataset.Value("origin");
  kept.before = RunOfCheckpoint(origin) == kept.run;
  kept.original = dataset.LocalValue(kKeptMark);
  if (kept.original.empty() && kept.before) kept.original = DatasetOf(origin);
  if (kept.original.empty()) {
    std::string rest = LastOf(dataset.name);
    std::replace(rest.begin(), rest.end(), ':', '/');
    kept.original = fmt::format("{}/{}", PoolOf(dataset.name), rest);
  }
  const std::string canmount = dataset.LocalValue(kCanmountMark);
  kept.canmount = canmount.empty() ? std::string(kNotSet) : canmount;
  return kept;
}

std::string RestoredName(const KeptSpec& wanted, const DatasetState& dataset) {
  if (!wanted.to.empty()) return wanted.to;
  const auto kept = AsKept(dataset);
  return kept ? kept->original : "";
}

std::string RestoredAt(const MountPoints& mounts, const DatasetState& dataset, std::string_view to) {
  const auto kept = AsKept(dataset);
  if (!kept || dataset.type != "filesystem" || ParentOf(to).empty()) return "";
  if (kept->canmount != kNotSet && kept->canmount != "on") return "";
  const auto own = dataset.properties.find("mountpoint");
  const bool set =
      own != dataset.properties.end() && (own->second.local() || own->second.source == "received");
  const std::string path = set ? own->second.value : mounts.InheritedBy(to);
  return path.starts_with('/') ? path : "";
}

void PlanKept(Planning& planning) {
  for (const KeptSpec& wanted : planning.spec.kept) KeptPlanner(planning, wanted).Plan();
}

}  // namespace phoenix::zfs
