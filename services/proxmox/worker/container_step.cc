#include "services/proxmox/worker/container_step.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/status/errors.h"
#include "services/kit/plan/keys.h"
#include "services/proxmox/host/container_command.h"
#include "services/proxmox/worker/container_payload.h"

namespace phoenix::proxmox {
namespace {

constexpr std::string_view kKind = "container";

void RenderMounts(const ContainerStep& typed, kit::Step& step) {
  step.id = kit::Key(kKind, fmt::to_string(typed.id));
  step.action = "mount in container";
  if (typed.running) {
    for (const NewMount& mount : typed.mounts)
      step.commands.push_back(ToText(MountCommand(typed.id, {mount}, "")));
  } else {
    step.commands = {ToText(MountCommand(typed.id, typed.mounts, ""))};
  }
  const bool has_volumes = std::any_of(typed.mounts.begin(), typed.mounts.end(),
                                       [](const NewMount& mount) { return mount.is_volume(); });
  step.undo = has_volumes ? "take the mount points away and free the new volumes, as far as they are empty"
                          : "take the mount points away";
  std::vector<std::string> remains;
  if (typed.running) {
    remains.push_back(fmt::format("container {} runs, so that its mount points go with its next stop{}",
                                  typed.id,
                                  has_volumes ? ", and their volumes then stay in it as unused ones" : ""));
    // What it has mounted nobody can destroy, wherever that was unmounted.
    std::vector<std::string> fresh;
    for (const kit::Requirement& needed : typed.requires_keys) {
      if (!needed.satisfied_now && kit::KindOf(needed.key) == "path")
        fresh.push_back(needed.key.substr(needed.key.find(':') + 1));
    }
    if (!fresh.empty()) {
      remains.push_back(fmt::format("until then it uses {}, which comes with this run and cannot go before",
                                    fmt::join(fresh, ", ")));
    }
  }
  if (!typed.opaque.empty()) {
    remains.push_back(
        fmt::format("new volumes on {} stay, as unused ones of container {}: nobody can look into them",
                    fmt::join(typed.opaque, ", "), typed.id));
  }
  if (remains.empty()) return;
  step.step_class = kit::StepClass::kLossy;
  step.remainder = fmt::format("{}", fmt::join(remains, "; "));
}

}  // namespace

kit::Step Render(const ContainerStep& typed) {
  kit::Step step;
  step.step_class = kit::StepClass::kConfig;
  step.resource = fmt::to_string(typed.id);
  step.diffs = typed.diffs;
  step.requires_keys = typed.requires_keys;
  step.provides = typed.provides;
  step.removes = typed.removes;
  step.payload = ToPayload(typed);
  if (typed.action == ContainerAction::kMount) {
    RenderMounts(typed, step);
    return step;
  }
  step.id = kit::Key(kKind, fmt::format("{}:mp{}", typed.id, typed.number));
  step.resource = fmt::format("{}:{}", typed.id, typed.path);
  if (typed.action == ContainerAction::kUnmount) {
    step.action = "unmount from container";
    step.undo = "put the same line back under the same number";
    step.commands = {ToText(DetachCommand(typed.id, {fmt::format("mp{}", typed.number)}, ""))};
    return step;
  }
  step.action = "grow volume of container";
  step.undo = "give the volume its former quota and size";
  if (typed.running) {
    step.step_class = kit::StepClass::kLossy;
    step.undo += ", unless it holds more by then";
    step.remainder = fmt::format(
        "container {} runs; where volume {} holds more than {} by then, it keeps {} (once it holds less: "
        "`{}`, "
        "then `{}`)",
        typed.id, typed.volume, SizeText(typed.size_before), SizeText(typed.size_gib * kGib),
        ToText(QuotaCommand(typed.dataset, QuotaBelow(typed.size_before))),
        ToText(ResizeCommand(typed.id, typed.number, typed.size_before, "")));
  }
  step.commands = {ToText(ResizeCommand(typed.id, typed.number, typed.size_gib << 30, ""))};
  return step;
}

absl::Status LookAtDirectories(const std::vector<ContainerSpec>& containers, const Files& files,
                               ContainersState& state) {
  for (const ContainerSpec& container : containers) {
    if (state.here.count(container.id) == 0) continue;
    for (const ContainerBindSpec& bind : container.binds) {
      if (bind.absent) continue;
      const std::string& path = bind.host_path;
      // Proxmox VE follows no link, neither on the way nor at its end, and a container with such a mount does
      // not start.
      for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string place = path.substr(0, end);
        const auto directory = files.ReadDirectory(place);
        if (!directory.ok()) {
          return WithViolations(
              FailedPrecondition("{}: {} leads over {}, which is a link or no directory; give the real path",
                                 bind.origin, path, place),
              {{bind.origin, fmt::format("{} is a link or no directory; give the real path", place)}});
        }
        if (end != std::string::npos) continue;
        if (*directory) state.directories[path] = {(*directory)->uid, (*directory)->gid};
        break;
      }
    }
  }
  return absl::OkStatus();
}

bool IsContainerStep(const kit::Step& step) { return kit::KindOf(step.id) == kKind; }

}  // namespace phoenix::proxmox
