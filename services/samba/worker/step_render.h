// Typed steps as the kit and people see them.
#pragma once

#include <string>
#include <vector>

#include "services/kit/plan/step.h"
#include "services/samba/domain/samba_planner.h"

namespace phoenix::samba {

// What the step on [global] of our file provides.
inline constexpr char kGlobalsKey[] = "samba:globals";

kit::Step Render(const PlannedStep& planned, const SambaPaths& paths);

// The comment that marks an account of a run in /etc/passwd, where a colon would end the field.
std::string AccountComment(const std::string& run_id);

}  // namespace phoenix::samba
