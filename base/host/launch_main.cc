// phoenix-launch PROGRAM ARG…: waits for one byte on descriptor 3, then executes PROGRAM. If the daemon dies
// before it has journaled this process, the descriptor ends without a byte and nothing is executed.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: phoenix-launch PROGRAM [ARG...]; started by the Phoenix daemons only\n");
    return 125;
  }
  char byte = 0;
  ssize_t count = 0;
  do {
    count = read(3, &byte, 1);
  } while (count < 0 && errno == EINTR);
  if (count != 1) return 125;
  close(3);
  execv(argv[1], argv + 1);
  std::fprintf(stderr, "cannot execute %s: %s\n", argv[1], std::strerror(errno));
  return 127;
}
