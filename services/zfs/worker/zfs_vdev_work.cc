// Pools that grow: vdevs that come, disks that are mirrored or replaced.
#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/worker/zfs_disk_work.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

std::vector<std::string> FreshDisks(const AddVdevStep& step) { return step.vdev.disks; }
std::vector<std::string> FreshDisks(const AttachDiskStep& step) { return {step.disk}; }
std::vector<std::string> FreshDisks(const ReplaceDiskStep& step) { return {step.disk}; }

// The member that the step goes by, as zpool names it; "" for none.
std::string MemberOf(const AddVdevStep&) { return ""; }
std::string MemberOf(const AttachDiskStep& step) { return step.member; }
std::string MemberOf(const ReplaceDiskStep& step) { return step.member; }

// The disk that this is, as it is declared.
std::string ExistingOf(const AddVdevStep&) { return ""; }
std::string ExistingOf(const AttachDiskStep& step) { return step.existing; }
std::string ExistingOf(const ReplaceDiskStep& step) { return step.existing; }

bool IsRemovable(VdevClass vdev_class) {
  return vdev_class == VdevClass::kLog || vdev_class == VdevClass::kCache || vdev_class == VdevClass::kSpare;
}

// The pool of a step and its disks, as they are now.
struct Look {
  ZfsState seen;
  const PoolState* pool = nullptr;  // null where it is gone or another one

  // As the pool's layout names it.
  std::string Device(const std::string& path) const {
    const auto disk = seen.disks.find(path);
    return disk == seen.disks.end() ? path : disk->second.device_path;
  }
  const MemberState* Member(const std::string& path) const {
    const auto member = pool->members.find(Device(path));
    return member == pool->members.end() ? nullptr : &member->second;
  }
  // The vdev that has the disk as a member for good.
  const VdevGroup* VdevOf(const std::string& path) const { return VdevWith(Device(path)); }
  // The same for a member by the name that zpool has for it.
  const VdevGroup* VdevOfMember(const std::string& name) const {
    for (const auto& [device, member] : pool->members) {
      if (member.name == name) return VdevWith(device);
    }
    return nullptr;
  }
  const VdevGroup* VdevWith(const std::string& device) const {
    for (const auto& vdev : pool->layout) {
      if (std::find(vdev.disks.begin(), vdev.disks.end(), device) != vdev.disks.end()) return &vdev;
    }
    return nullptr;
  }
};

template <class Step>
absl::StatusOr<Look> LookAt(const Work& work, const Step& step) {
  ObserveRequest request;
  request.pools = request.vdev_names = true;
  request.disks = FreshDisks(step);
  if (const std::string existing = ExistingOf(step); existing.starts_with("/dev/"))
    request.disks.push_back(existing);
  Look look;
  PHX_ASSIGN_OR_RETURN(look.seen, work.host.Observe(request));
  const auto pool = look.seen.pools.find(step.pool);
  if (pool != look.seen.pools.end() && pool->second.guid == step.guid) look.pool = &pool->second;
  return look;
}

// Where the step's disks are in the pool: as the step puts them, or otherwise.
enum class Place { kOutside, kDone, kOther };

Place PlaceOf(const Look& look, const AddVdevStep& step) {
  std::vector<std::string> devices;
  for (const auto& disk : step.vdev.disks) devices.push_back(look.Device(disk));
  std::sort(devices.begin(), devices.end());
  for (VdevGroup vdev : look.pool->layout) {
    std::sort(vdev.disks.begin(), vdev.disks.end());
    if (vdev.disks == devices && vdev.vdev_class == step.vdev.vdev_class && vdev.kind == step.vdev.kind)
      return Place::kDone;
  }
  const bool member = std::any_of(step.vdev.disks.begin(), step.vdev.disks.end(),
                                  [&](const std::string& disk) { return look.Member(disk) != nullptr; });
  return member ? Place::kOther : Place::kOutside;
}

Place PlaceOf(const Look& look, const AttachDiskStep& step) {
  if (look.Member(step.disk) == nullptr) return Place::kOutside;
  const VdevGroup* vdev = look.VdevOf(step.disk);
  return vdev != nullptr && vdev->kind == "mirror" && vdev == look.VdevOfMember(step.member) ? Place::kDone
                                                                                             : Place::kOther;
}

Place PlaceOf(const Look& look, const ReplaceDiskStep& step) {
  if (look.Member(step.disk) == nullptr) return Place::kOutside;
  return look.VdevOf(step.disk) != nullptr && look.VdevOfMember(step.member) == nullptr ? Place::kDone
                                                                                        : Place::kOther;
}

template <class Step>
absl::StatusOr<json> CaptureStep(const Work& work, const Step& step) {
  PHX_ASSIGN_OR_RETURN(const Look look, LookAt(work, step));
  if (look.pool == nullptr) return FailedPrecondition("pool {} is gone or another one", step.pool);
  json captured = {{"pool", step.guid}};
  PHX_ASSIGN_OR_RETURN(captured["disks"], CaptureDisks(look.seen, FreshDisks(step)));
  return captured;
}

template <class Step>
absl::StatusOr<ProbeResult> ProbeLook(const Work& work, const Step& step, const Look& look,
                                      std::vector<const DiskState*>* dirty) {
  if (look.pool == nullptr) return ProbeResult{Is::kForeign, "the pool is gone or another one"};
  switch (PlaceOf(look, step)) {
    case Place::kDone:
      return ProbeResult{Is::kDone, ""};
    case Place::kOther:
      return ProbeResult{Is::kForeign, fmt::format("the pool is {}", ToText(look.pool->layout))};
    case Place::kOutside:
      break;
  }
  // Taken out of a top-level vdev of two, a disk leaves the other one with the GUID of that vdev: it goes by
  // its path then.
  if (const std::string member = MemberOf(step);
      !member.empty() && look.VdevOfMember(member) == nullptr && look.VdevOf(ExistingOf(step)) == nullptr)
    return ProbeResult{Is::kForeign, fmt::format("member {} is not in the pool any more", member)};
  return ProbeDisks(work, step.pool, FreshDisks(step), step.wipe, look.seen, dirty);
}

template <class Step>
absl::StatusOr<ProbeResult> ProbeStep(const Work& work, const Step& step) {
  PHX_ASSIGN_OR_RETURN(const Look look, LookAt(work, step));
  return ProbeLook(work, step, look, nullptr);
}

ZfsChange Change(const AddVdevStep& step) { return AddVdev{step.pool, step.vdev, step.ashift}; }
ZfsChange Change(const AttachDiskStep& step) { return AttachDisk{step.pool, step.member, step.disk}; }
ZfsChange Change(const ReplaceDiskStep& step) { return ReplaceDisk{step.pool, step.member, step.disk}; }

template <class Step>
absl::Status DoStep(const Work& work, const Step& step) {
  PHX_ASSIGN_OR_RETURN(const Look look, LookAt(work, step));
  std::vector<const DiskState*> dirty;
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, ProbeLook(work, step, look, &dirty));
  if (probe.probe == Is::kDone) return absl::OkStatus();
  if (probe.probe == Is::kForeign) return ForeignChange("pool " + step.pool, probe.found);
  PHX_RETURN_IF_ERROR(ClearForUse(work, look.seen, FreshDisks(step), step.wipe, std::move(dirty)));
  return work.Change(Change(step));
}

absl::Status HasReplaced(const ReplaceDiskStep& step) {
  return FailedPrecondition(
      "{} has taken the place of {} in pool {}, and its copy is complete. It stays; to have the old disk "
      "back: zpool replace {} {} {}",
      step.disk, step.existing, step.pool, step.pool, step.disk, step.existing);
}

// What takes the disks out of the pool again. FAILED_PRECONDITION where nothing does.
absl::StatusOr<ZfsChange> Removal(const Look& look, const AddVdevStep& step) {
  if (!IsRemovable(step.vdev.vdev_class)) {
    return FailedPrecondition("{} was added to pool {} for good: Phoenix takes no {} vdev out of a pool",
                              ToText({step.vdev}), step.pool, ToString(step.vdev.vdev_class));
  }
  return RemoveVdev{step.pool, look.Member(step.vdev.disks.front())->vdev_name};
}
absl::StatusOr<ZfsChange> Removal(const Look& look, const AttachDiskStep& step) {
  return DetachDisk{step.pool, look.Member(step.disk)->name};
}
absl::StatusOr<ZfsChange> Removal(const Look& look, const ReplaceDiskStep& step) {
  const MemberState* member = look.Member(step.disk);
  if (member->replaces.empty()) return HasReplaced(step);
  return DetachDisk{step.pool, member->name};
}

// What the removal took that it was not meant to take is given back: an error then, that says what stays.
template <class Step>
absl::Status MakeGood(const Work&, const Step&, const Look&, const Look&) {
  return absl::OkStatus();
}
// `zpool detach` goes by the disk alone: where its copy ended right before, the former disk has left, and
// what went is a side of the mirror.
absl::Status MakeGood(const Work& work, const ReplaceDiskStep& step, const Look& before, const Look& after) {
  if (after.pool == nullptr || after.Member(step.disk) != nullptr || after.Member(step.existing) != nullptr ||
      after.VdevOfMember(step.member) != nullptr)
    return absl::OkStatus();
  const VdevGroup* vdev = before.VdevOf(step.disk);
  if (vdev == nullptr) return absl::OkStatus();
  for (const auto& device : vdev->disks) {
    const auto side = after.pool->members.find(device);
    if (side == after.pool->members.end()) continue;
    absl::Status attached = ClearForUse(work, after.seen, {step.disk}, /*wipe=*/true, {});
    if (attached.ok()) attached = work.Change(AttachDisk{step.pool, side->second.name, step.disk});
    if (attached.ok()) return HasReplaced(step);
    return Annotate(attached,
                    fmt::format("{} was taken out of pool {} right after its copy was complete, and is "
                                "not in it again; do that yourself: zpool attach {} {} {}",
                                step.disk, step.pool, step.pool, device, step.disk));
  }
  return absl::OkStatus();
}

template <class Step>
absl::Status UndoStep(const Work& work, const Step& step) {
  PHX_ASSIGN_OR_RETURN(Look look, LookAt(work, step));
  std::vector<const DiskState*> dirty;
  PHX_ASSIGN_OR_RETURN(ProbeResult probe, ProbeLook(work, step, look, &dirty));
  if (probe.probe == Is::kDone) {
    PHX_ASSIGN_OR_RETURN(const ZfsChange removal, Removal(look, step));
    PHX_RETURN_IF_ERROR(work.Change(removal));
    PHX_ASSIGN_OR_RETURN(Look after, LookAt(work, step));
    PHX_RETURN_IF_ERROR(MakeGood(work, step, look, after));
    look = std::move(after);
    PHX_ASSIGN_OR_RETURN(probe, ProbeLook(work, step, look, &dirty));
    if (probe.probe == Is::kDone)
      return Internal("pool {} still has {}", step.pool, FreshDisks(step).front());
  }
  if (probe.probe == Is::kForeign) return ForeignChange("pool " + step.pool, probe.found);
  for (const DiskState* disk : dirty) PHX_RETURN_IF_ERROR(work.Change(Clearing(*disk)));
  return absl::OkStatus();
}

std::vector<ZfsChange> Then(ZfsChange first, std::vector<ZfsChange> more) {
  more.insert(more.begin(), std::move(first));
  return more;
}

}  // namespace

#define PHX_DEFINE_VDEV_WORK(Step)                                                                        \
  absl::StatusOr<json> Capture(const Work& work, const Step& step) { return CaptureStep(work, step); }    \
  absl::Status Do(const Work& work, const Step& step) { return DoStep(work, step); }                      \
  absl::StatusOr<ProbeResult> Probe(const Work& work, const Step& step) { return ProbeStep(work, step); } \
  absl::Status Undo(const Work& work, const Step& step) { return UndoStep(work, step); }                  \
  absl::StatusOr<kit::LedgerChange> LedgerOf(const Work&, const Step&) { return kit::LedgerChange(); }
PHX_DEFINE_VDEV_WORK(AddVdevStep)
PHX_DEFINE_VDEV_WORK(AttachDiskStep)
PHX_DEFINE_VDEV_WORK(ReplaceDiskStep)
#undef PHX_DEFINE_VDEV_WORK

absl::StatusOr<kit::Retrospect> LookBack(const Work& work, const ReplaceDiskStep& step) {
  PHX_ASSIGN_OR_RETURN(const Look look, LookAt(work, step));
  const MemberState* member = look.pool == nullptr ? nullptr : look.Member(step.disk);
  if (member == nullptr || !member->replaces.empty()) return kit::Retrospect();
  return kit::Retrospect{
      kit::Retrospect::Kind::kStays,
      fmt::format("{} stays in the place of {}: its copy is complete", step.disk, step.existing)};
}

absl::StatusOr<kit::Retrospect> LookBack(const Work&, const AddVdevStep& step) {
  if (IsRemovable(step.vdev.vdev_class)) return kit::Retrospect();
  return kit::Retrospect{kit::Retrospect::Kind::kStays,
                         fmt::format("pool {} keeps {}", step.pool, ToText({step.vdev}))};
}

std::vector<ZfsChange> ChangesOf(const AddVdevStep& step, const std::string&) {
  return {AddVdev{step.pool, step.vdev, step.ashift}};
}
std::vector<ZfsChange> ChangesOf(const AttachDiskStep& step, const std::string&) {
  return {AttachDisk{step.pool, step.existing, step.disk}};
}
std::vector<ZfsChange> ChangesOf(const ReplaceDiskStep& step, const std::string&) {
  return {ReplaceDisk{step.pool, step.existing, step.disk}};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const AddVdevStep& step) {
  if (!IsRemovable(step.vdev.vdev_class)) return {};
  return Then(RemoveVdev{step.pool, step.vdev.disks.front()}, ClearingCaptured(work));
}
std::vector<ZfsChange> UndoChanges(const Work& work, const AttachDiskStep& step) {
  return Then(DetachDisk{step.pool, step.disk}, ClearingCaptured(work));
}
std::vector<ZfsChange> UndoChanges(const Work&, const ReplaceDiskStep& step) {
  // Without the old disk nothing is to be cleared: with both it is the copy that is called off.
  return {ReplaceDisk{step.pool, step.disk, step.existing}};
}

}  // namespace phoenix::zfs
