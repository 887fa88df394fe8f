// A container's step as the kit and people see it.
#pragma once

#include "services/kit/plan/step.h"
#include "services/proxmox/domain/container_planner.h"

namespace phoenix::proxmox {

kit::Step Render(const ContainerStep& step);
// Whether a step of this service is one on a container.
bool IsContainerStep(const kit::Step& step);

}  // namespace phoenix::proxmox
