// A process to run, as a value: built purely, compared in tests, run by a CommandRunner. Never a shell.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/secret.h"

namespace phoenix {

struct Command {
  // Absolute path; never looked up in PATH.
  std::string program;
  std::vector<std::string> args;
  // Given on standard input. Secrets travel only here.
  std::string input;
  Secret secret_input;
  // Added to the fixed environment (PATH, LC_ALL=C.UTF-8); never a secret.
  std::vector<std::string> environment;
  // Past it the command is reported as hanging. It is killed only where `kill_at_limit` says that this is
  // safe.
  std::chrono::seconds limit{60};
  bool kill_at_limit = true;
};

// The word as a shell takes it: in quotes where it needs them.
std::string ShellWord(const std::string& word);

// The command as a person would type it, secrets and input left out.
std::string ToText(const Command& command);

struct CommandResult {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Identifies a process across a crash of its parent: a pid alone may be used again.
struct ChildIdentity {
  int64_t pid = 0;
  // Field 22 of /proc/<pid>/stat.
  uint64_t start_time = 0;
  std::string boot_id;
};

// Told who the child is while it waits to be released; an error ends it before it executes the program.
using ChildObserver = std::function<absl::Status(const ChildIdentity&)>;

// Runs commands. Thread-safe.
class CommandRunner {
 public:
  virtual ~CommandRunner() = default;
  // Waits for the end. OK whatever the exit code: exit codes are hints. An error means that the command was
  // not started, or (DEADLINE_EXCEEDED) that it hangs. With an observer, the child does nothing before the
  // observer answered OK.
  virtual absl::StatusOr<CommandResult> Run(const Command& command,
                                            const ChildObserver& observer = nullptr) = 0;
};

// OK for exit code 0, otherwise an error that quotes the command and the first line of its standard error.
absl::Status ExitStatus(const Command& command, const CommandResult& result);

}  // namespace phoenix
