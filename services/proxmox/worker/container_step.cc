#include "services/proxmox/worker/container_step.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "services/kit/plan/keys.h"
#include "services/proxmox/host/container_command.h"
#include "services/proxmox/worker/container_payload.h"

namespace phoenix::proxmox {
namespace {

constexpr std::string_view kKind = "container";

void RenderMounts(const ContainerStep& typed, kit::Step& step) {
  step.id = kit::Key(kKind, fmt::to_string(typed.id));
  step.action = "mount in container";
  step.commands = {ToText(MountCommand(typed.id, typed.mounts, ""))};
  const bool has_volumes = std::any_of(typed.mounts.begin(), typed.mounts.end(),
                                       [](const NewMount& mount) { return mount.is_volume(); });
  step.undo = has_volumes ? "take the mount points away and free the new volumes, as far as they are empty"
                          : "take the mount points away";
  std::vector<std::string> remains;
  if (typed.running) {
    remains.push_back(fmt::format("container {} runs, so that its mount points go with its next stop{}",
                                  typed.id,
                                  has_volumes ? ", and their volumes then stay in it as unused ones" : ""));
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
  step.payload = ToPayload(typed);
  if (typed.action == ContainerAction::kMount) {
    RenderMounts(typed, step);
    return step;
  }
  step.id = kit::Key(kKind, fmt::format("{}:mp{}", typed.id, typed.number));
  step.resource = fmt::format("{}:{}", typed.id, typed.path);
  step.action = "grow volume of container";
  step.undo = "give the volume its former quota and size, unless it holds more by then";
  step.commands = {ToText(ResizeCommand(typed.id, typed.number, typed.size_gib << 30, ""))};
  return step;
}

bool IsContainerStep(const kit::Step& step) { return kit::KindOf(step.id) == kKind; }

}  // namespace phoenix::proxmox
