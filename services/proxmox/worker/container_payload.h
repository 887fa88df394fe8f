// A typed step on a container and what was captured for it, as the JSON that is journaled.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "services/proxmox/domain/container_planner.h"

namespace phoenix::proxmox {

// Steps written by an older build must stay readable: new members get defaults. Diffs and keys are the kit's.
std::string ToPayload(const ContainerStep& step);
absl::StatusOr<ContainerStep> ContainerStepOf(std::string_view payload);

// What undoing a step on a container needs, and what must not change between Prepare and the step.
struct CapturedContainer {
  // kMount: the volumes that the container has on the storages of its new ones, whether or not it names them:
  // none of these is ours.
  Words volumes;
  // kGrow: the size of the volume, which its storage and the container's file agree on.
  uint64_t size = 0;
};

std::string ToJson(const CapturedContainer& captured);
absl::StatusOr<CapturedContainer> ParseCapturedContainer(std::string_view json);

}  // namespace phoenix::proxmox
