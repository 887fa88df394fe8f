// Runs commands as child processes: posix_spawn of absolute programs, own process group, fixed environment,
// no inherited descriptors. The one place of the product that starts processes.
#pragma once

#include <string>

#include "base/host/command.h"

namespace phoenix {

// The kernel's boot id.
std::string ReadBootId();

// True while the very process that `child` names still runs (same boot, pid and start time).
bool IsRunning(const ChildIdentity& child);

// Waits for the process that `child` names, which need not be a child of ours, to end. False after `limit`.
bool WaitForEnd(const ChildIdentity& child, std::chrono::seconds limit);

class PosixCommandRunner final : public CommandRunner {
 public:
  // `launcher`: absolute path of phoenix-launch, which waits on descriptor 3 before it executes the program.
  explicit PosixCommandRunner(std::string launcher);
  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& observer = nullptr) override;

 private:
  const std::string launcher_;
  const std::string boot_id_;
};

}  // namespace phoenix
