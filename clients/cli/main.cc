// phoenix: the command line.
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "clients/cli/commands/command_line.h"

int main(int argc, char** argv) {
  phoenix::cli::Screen screen;
  screen.terminal = ::isatty(STDOUT_FILENO) != 0;
  screen.color = screen.terminal && std::getenv("NO_COLOR") == nullptr;
  winsize size{};
  if (screen.terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    screen.columns = size.ws_col;
  }
  return phoenix::cli::RunCommandLine(argc, argv, screen);
}
