// The ARC's limit: our file in modprobe.d, the running module, and the initramfs where the module takes its
// options from that.
#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;
using Is = kit::Probe;
using kit::ProbeResult;

absl::StatusOr<ArcState> ReadArc(const Work& work) {
  ObserveRequest request;
  request.arc = true;
  PHX_ASSIGN_OR_RETURN(ZfsState state, work.host.Observe(request));
  return state.arc;
}

json FileJson(const std::optional<FileState>& file) {
  if (!file) return json();
  return {{"content", file->content}, {"uid", file->uid}, {"gid", file->gid}, {"mode", file->mode}};
}

std::optional<FileState> FileOf(const json& value) {
  if (value.is_null()) return std::nullopt;
  return FileState{value.at("content"), value.at("uid"), value.at("gid"), value.at("mode")};
}

PutFile Put(const std::optional<FileState>& file) { return PutFile{std::string(kArcFile), file}; }
FileState ArcFile(const SetArcLimitStep& step) { return {ArcFileContent(step.bytes), 0, 0, 0644}; }

// What is in force and what the parameter says differ where ZFS did not take that: a 0 while it runs, or a
// limit that is not above the minimum.
struct Bound {
  uint64_t live = 0, in_force = 0;
  bool operator==(const Bound&) const = default;
  bool Knows(uint64_t value) const { return value == live || value == in_force; }
};

// As captured.
struct Before {
  bool loaded = false;
  Bound max, min;
};
Before BeforeOf(const json& captured) {
  const json& live = captured.at("live");
  if (live.is_null()) return {};
  const auto number = [&](const char* name) { return captured.at(name).get<uint64_t>(); };
  return {true, {live.get<uint64_t>(), number("in_force")}, {number("min_live"), number("min_in_force")}};
}

// The values while the module runs: a minimum that makes room for the limit comes first.
std::vector<ZfsChange> LiveChanges(const SetArcLimitStep& step) {
  std::vector<ZfsChange> changes;
  if (step.min_bytes != 0) changes.push_back(SetArcLive{step.min_bytes, /*minimum=*/true});
  changes.push_back(SetArcLive{step.bytes});
  return changes;
}

// The other way round: first the limit that was in force, below which the minimum that was in force can be
// set; then what the parameters said, where that is something else.
std::vector<ZfsChange> LiveChangesBack(const SetArcLimitStep& step, const Before& before) {
  std::vector<ZfsChange> changes;
  const auto in_force = [](const Bound& bound) { return bound.in_force == 0 ? bound.live : bound.in_force; };
  changes.push_back(SetArcLive{in_force(before.max)});
  if (step.min_bytes != 0) {
    changes.push_back(SetArcLive{in_force(before.min), /*minimum=*/true});
    if (before.min.live != in_force(before.min))
      changes.push_back(SetArcLive{before.min.live, /*minimum=*/true});
  }
  if (before.max.live != in_force(before.max)) changes.push_back(SetArcLive{before.max.live});
  return changes;
}

}  // namespace

absl::StatusOr<json> Capture(const Work& work, const SetArcLimitStep& step) {
  PHX_ASSIGN_OR_RETURN(const ArcState arc, ReadArc(work));
  json captured = {{"file", FileJson(arc.file)}, {"live", json()}};
  if (arc.live) {
    captured["live"] = *arc.live;
    captured["in_force"] = arc.in_force;
    captured["min_live"] = arc.min_live;
    captured["min_in_force"] = arc.min_in_force;
  }
  // Others changed the folder and left the initramfs as it was.
  if (step.initramfs) captured["initramfs_is_older"] = arc.initramfs_is_older;
  return captured;
}

std::vector<ZfsChange> ChangesOf(const SetArcLimitStep& step, const std::string&) {
  std::vector<ZfsChange> changes = {Put(ArcFile(step))};
  for (auto& change : LiveChanges(step)) changes.push_back(std::move(change));
  if (step.initramfs) changes.push_back(UpdateInitramfs{});
  return changes;
}

absl::Status Do(const Work& work, const SetArcLimitStep& step) {
  PHX_RETURN_IF_ERROR(work.Change(Put(ArcFile(step))));
  if (!work.captured.at("live").is_null()) {
    for (const auto& change : LiveChanges(step)) PHX_RETURN_IF_ERROR(work.Change(change));
  }
  if (!step.initramfs) return absl::OkStatus();
  const absl::Status updated = work.Change(UpdateInitramfs{});
  // It begins with the newest kernel's, which is in place when a hook or another kernel's fails: our file,
  // written anew, is younger than it again, and nobody takes that for done.
  if (!updated.ok()) PHX_RETURN_IF_ERROR(work.Change(Put(ArcFile(step))));
  return updated;
}

absl::StatusOr<ProbeResult> Probe(const Work& work, const SetArcLimitStep& step) {
  PHX_ASSIGN_OR_RETURN(const ArcState arc, ReadArc(work));
  const Before before = BeforeOf(work.captured);
  const Bound max{arc.live.value_or(0), arc.in_force}, min{arc.min_live, arc.min_in_force};
  const bool moves_min = step.min_bytes != 0;
  const bool file_is_new = arc.file == ArcFile(step),
             file_is_old = arc.file == FileOf(work.captured.at("file"));
  // What is in force counts, where it can be told.
  const bool live_is_new =
      !before.loaded || (max.live == step.bytes && (max.in_force == step.bytes || max.in_force == 0) &&
                         (!moves_min || min.live == step.min_bytes));
  const bool live_is_old = !before.loaded || (max == before.max && (!moves_min || min == before.min));
  const bool fresh = !step.initramfs || !arc.initramfs_is_older;
  const bool done = file_is_new && live_is_new && fresh;
  const bool undone =
      file_is_old && live_is_old && (fresh || work.captured.value("initramfs_is_older", false));
  // Both where only the initramfs was older than the file: a newer one takes nothing back.
  if (undone && (work.undoing || !done)) return ProbeResult{Is::kNotDone, ""};
  if (done) return ProbeResult{Is::kDone, ""};
  if (!file_is_new && !file_is_old)
    return ProbeResult{Is::kForeign, fmt::format("{} has other content", kArcFile)};
  if (before.loaded && max.live != step.bytes && !before.max.Knows(max.live))
    return ProbeResult{Is::kForeign, fmt::format("zfs_arc_max is {}", max.live)};
  if (before.loaded && moves_min && min.live != step.min_bytes && !before.min.Knows(min.live))
    return ProbeResult{Is::kForeign, fmt::format("zfs_arc_min is {}", min.live)};
  if (before.loaded && !live_is_new && max.live == step.bytes)
    return ProbeResult{Is::kPartial,
                       fmt::format("zfs_arc_max is {}, and the ARC goes by {}", max.live, max.in_force)};
  return ProbeResult{Is::kPartial, "file, running value and initramfs do not agree yet"};
}

absl::Status Undo(const Work& work, const SetArcLimitStep& step) {
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, Probe(work, step));
  if (probe.probe == Is::kNotDone) return absl::OkStatus();
  if (probe.probe == Is::kForeign) return ForeignChange("the ARC's limit", probe.found);
  for (const auto& change : UndoChanges(work, step)) PHX_RETURN_IF_ERROR(work.Change(change));
  return absl::OkStatus();
}

absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const SetArcLimitStep& step) {
  kit::LedgerEntry entry{.key = "arc:limit", .created = work.captured.at("file").is_null()};
  entry.fields = json({{"bytes", step.bytes}}).dump();
  return kit::LedgerChange{{entry}, {}};
}

std::vector<ZfsChange> UndoChanges(const Work& work, const SetArcLimitStep& step) {
  if (!work.captured.contains("file")) return {};
  std::vector<ZfsChange> changes = {Put(FileOf(work.captured["file"]))};
  // Before the running values: those tell an undo that was cut off here from one that is complete.
  if (step.initramfs) changes.push_back(UpdateInitramfs{});
  if (const Before before = BeforeOf(work.captured); before.loaded) {
    for (auto& change : LiveChangesBack(step, before)) changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace phoenix::zfs
