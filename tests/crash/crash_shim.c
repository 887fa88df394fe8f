// Preloaded into one program of a fleet: the program is ended by kill -9 right after its N-th durable write, which is what
// fsync and fdatasync make of one. With N 0 the writes are only counted.
//
//   PHOENIX_CRASH_PROGRAM  base name of the program that is meant; its children run on
//   PHOENIX_CRASH_AFTER    N
//   PHOENIX_CRASH_COUNT    file that gets a line for each write: what was written
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long written;

static int is_meant(void) {
  static int meant = -1;
  if (meant >= 0) return meant;
  const char* program = getenv("PHOENIX_CRASH_PROGRAM");
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (program == NULL || length <= 0) return meant = 0;
  self[length] = '\0';
  const char* base = strrchr(self, '/');
  return meant = base != NULL && strcmp(base + 1, program) == 0;
}

static void note(int fd) {
  const char* path = getenv("PHOENIX_CRASH_COUNT");
  if (path == NULL) return;
  char link[64], target[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, target, sizeof target - 2);
  if (length <= 0) return;
  target[length] = '\n';
  const int out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (out < 0) return;
  if (write(out, target, (size_t)length + 1) < 0) _exit(99);
  close(out);
}

static int after(int fd, int result) {
  if (!is_meant()) return result;
  const char* limit = getenv("PHOENIX_CRASH_AFTER");
  const long count = atomic_fetch_add(&written, 1) + 1;
  note(fd);
  if (limit != NULL && count == atol(limit)) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  return result;
}

int fsync(int fd) {
  static int (*library)(int);
  if (library == NULL) library = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return after(fd, library(fd));
}

int fdatasync(int fd) {
  static int (*library)(int);
  if (library == NULL) library = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return after(fd, library(fd));
}
