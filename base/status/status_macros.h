// The two macros that early returns need, and no more.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <utility>

#define PHX_RETURN_IF_ERROR(expression)                                      \
  do {                                                                       \
    if (auto phx_status = (expression); !phx_status.ok()) return phx_status; \
  } while (false)

#define PHX_CONCAT_INNER(a, b) a##b
#define PHX_CONCAT(a, b) PHX_CONCAT_INNER(a, b)

// PHX_ASSIGN_OR_RETURN(auto value, Compute());
#define PHX_ASSIGN_OR_RETURN(target, expression) \
  PHX_ASSIGN_OR_RETURN_INNER(PHX_CONCAT(phx_status_or_, __LINE__), target, expression)
#define PHX_ASSIGN_OR_RETURN_INNER(holder, target, expression) \
  auto holder = (expression);                                  \
  if (!holder.ok()) return holder.status();                    \
  target = *std::move(holder)
