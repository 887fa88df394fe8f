// Bind mounts of containers that go by name, and come back by undo.
#include <fmt/format.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/worker/container_change.h"

namespace phoenix::proxmox {
namespace {

enum class Line { kAbsent, kOurs, kOther };

// Any difference is somebody else's: what goes must be what the plan showed.
Line LineOf(const ContainerConfig& config, const NewMount& mount) {
  const auto line = config.mounts.find(mount.number);
  const bool waits = config.pending_mounts.count(mount.number) != 0 ||
                     config.pending_removals.count(fmt::format("mp{}", mount.number)) != 0;
  if (waits) return Line::kOther;
  if (line == config.mounts.end()) return Line::kAbsent;
  const ContainerMount& there = line->second;
  const bool same =
      there.source == mount.host_path && there.path == mount.path && there.options == mount.options;
  return same ? Line::kOurs : Line::kOther;
}

absl::Status SomethingElse(const ContainerStep& step) {
  return FailedPrecondition(
      "mp{} of container {} was changed by somebody else since the plan was made; Phoenix leaves it alone",
      step.number, step.id);
}

}  // namespace

absl::Status ContainerChanges::SetLine(const ContainerStep& step, bool there, const ChildObserver& on_child) {
  const NewMount& mount = step.mounts.front();
  const Line wanted = there ? Line::kOurs : Line::kAbsent;
  absl::Status last;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
    const Line line = LineOf(seen.config, mount);
    if (line == wanted) return absl::OkStatus();
    if (line == Line::kOther) return SomethingElse(step);
    if (seen.running) {
      return FailedPrecondition(
          "container {} was started since the plan was made, and {} only while it stands still: stop it{}",
          step.id, there ? "its mount point comes back" : "a mount point goes",
          there ? "" : ", and plan again");
    }
    last = there ? host_.containers().Mount(step.id, step.mounts, seen.config.digest, on_child).status()
                 : host_.containers().Detach(step.id, {fmt::format("mp{}", step.number)}, seen.config.digest,
                                             on_child);
    if (last.code() == absl::StatusCode::kAborted) continue;
    // Whatever pct said, the file knows.
    PHX_ASSIGN_OR_RETURN(const Seen after, See(step.id));
    if (LineOf(after.config, mount) == wanted) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition("pct said that mp{} of container {} was changed, but its file says otherwise",
                              step.number, step.id);
  }
  return last;
}

absl::StatusOr<kit::ProbeResult> ContainerChanges::ProbeLine(const ContainerStep& step) {
  const auto seen = See(step.id);
  if (seen.status().code() == absl::StatusCode::kNotFound)
    return kit::ProbeResult{kit::Probe::kForeign, Message(seen.status())};
  PHX_RETURN_IF_ERROR(seen.status());
  switch (LineOf(seen->config, step.mounts.front())) {
    case Line::kAbsent:
      return kit::ProbeResult{kit::Probe::kDone, ""};
    case Line::kOurs:
      return kit::ProbeResult{kit::Probe::kNotDone, ""};
    case Line::kOther:
      break;
  }
  return kit::ProbeResult{kit::Probe::kForeign, Message(SomethingElse(step))};
}

}  // namespace phoenix::proxmox
