// Proves that changes of storage entries went through the node's API: pvesm may not make any.
#pragma once

#include <string>

#include "base/host/command.h"
#include "base/status/errors.h"
#include "services/proxmox/host/proxmox_command.h"

namespace phoenix::proxmox {

class ApiOnlyRunner final : public CommandRunner {
 public:
  // With `only` false every command is passed on.
  ApiOnlyRunner(CommandRunner& next, bool only) : next_(next), only_(only) {}

  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& observer) override {
    const std::string what = command.args.empty() ? "" : command.args.front();
    if (only_ && command.program == kPvesm && (what == "add" || what == "set" || what == "remove"))
      return Internal("`{}` was run, where the node's API was to be asked", phoenix::ToText(command));
    return next_.Run(command, observer);
  }

 private:
  CommandRunner& next_;
  const bool only_;
};

}  // namespace phoenix::proxmox
