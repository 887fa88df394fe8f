// The whole command line as a function: what main() calls, and what tests call.
#pragma once

namespace phoenix::cli {

struct Screen {
  bool terminal = false;
  bool color = false;
  int columns = 80;
};

// Runs the command in `argv` and answers the process's exit code. Prints to standard output, errors to
// standard error.
int RunCommandLine(int argc, const char* const* argv, Screen screen);

}  // namespace phoenix::cli
