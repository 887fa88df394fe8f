// A container's step as the kit and people see it.
#pragma once

#include <absl/status/status.h>

#include <vector>

#include "base/host/files.h"
#include "services/kit/plan/step.h"
#include "services/proxmox/domain/container_planner.h"

namespace phoenix::proxmox {

kit::Step Render(const ContainerStep& step);
// Whether a step of this service is one on a container.
bool IsContainerStep(const kit::Step& step);

// Fills in the declared host paths that are there. FAILED_PRECONDITION where one leads over a link or over
// what is no directory.
absl::Status LookAtDirectories(const std::vector<ContainerSpec>& containers, const Files& files,
                               ContainersState& state);

}  // namespace phoenix::proxmox
