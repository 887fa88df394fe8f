// Preloaded into one program of a fleet: the program is ended by kill -9 right after its N-th durable write, which is what
// fsync and fdatasync make of one. With N 0 the writes are only counted.
//
//   PHOENIX_CRASH_PROGRAM  base name of the program that is meant; its children run on
//   PHOENIX_CRASH_AFTER    N
//   PHOENIX_CRASH_COUNT    file that gets a line for each write: what was written
//   PHOENIX_CRASH_LOSE     a directory: the end comes right before that write is durable, and what the program wrote below
//                          the directory and did not sync is lost, as in a power cut. Files get back the content that was
//                          synced last; renamed and removed names come back unless their directory was synced since. What
//                          was lost is told in the directory's file "lost".
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 4096
#define LIBRARY(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// Everything that writes goes one after the other: what is lost is then what was written, and nothing half.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long synced;

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

// False where it has no path. `path` has room for 4096.
static int path_of(int fd, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, 4095);
  path[length > 0 ? length : 0] = '\0';
  return length > 0;
}

static void say(const char* file, const char* format, ...) {
  char line[8192];
  va_list words;
  va_start(words, format);
  const int length = vsnprintf(line, sizeof line, format, words);
  va_end(words);
  const int out = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (out < 0 || LIBRARY(write)(out, line, (size_t)length) < 0) _exit(99);
  close(out);
}

// --- what would be lost

// A file with writes that were not synced. Its own descriptor stays open for ever: closing any of them would give up the
// program's locks on the file.
static struct {
  dev_t device;
  ino_t inode;
  int fd, dirty;
  char* content;
  off_t size;
} files[MOST];
static int file_count;

// A rename (from, to) or a removal (to); `saved` is another name of what `to` was, "" for nothing.
static struct {
  char from[4096], to[4096], saved[4096];
  int open;
} changes[MOST];
static int change_count;

static int is_lossy(const char* path) {
  const char* directory = getenv("PHOENIX_CRASH_LOSE");
  if (directory == NULL || !is_meant()) return 0;
  const size_t length = strlen(directory);
  return strncmp(path, directory, length) == 0 && path[length] == '/' && strcmp(path + length, "/lost") != 0 &&
         strstr(path, "-shm") == NULL;
}

static int index_of(int fd) {
  struct stat entry;
  if (fstat(fd, &entry) != 0) return -1;
  for (int i = 0; i < file_count; ++i) {
    if (files[i].device == entry.st_dev && files[i].inode == entry.st_ino) return i;
  }
  return -1;
}

// Before a write: keeps what the file is made of now, if that is what was synced last.
static void keep(int fd) {
  char path[4096];
  struct stat entry;
  if (!path_of(fd, path) || !is_lossy(path) || fstat(fd, &entry) != 0 || !S_ISREG(entry.st_mode)) return;
  int i = index_of(fd);
  if (i < 0) {
    if (file_count == MOST) _exit(98);
    i = file_count++;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    files[i].device = entry.st_dev;
    files[i].inode = entry.st_ino;
    files[i].fd = open(link, O_RDWR | O_CLOEXEC);
    if (files[i].fd < 0) _exit(97);
  }
  if (files[i].dirty) return;
  files[i].dirty = 1;
  files[i].size = entry.st_size;
  files[i].content = malloc((size_t)entry.st_size + 1);
  if (files[i].content == NULL || pread(files[i].fd, files[i].content, (size_t)entry.st_size, 0) != entry.st_size)
    _exit(96);
}

static void is_synced(int fd) {
  char path[4096];
  if (!path_of(fd, path) || !is_lossy(path)) return;
  const int i = index_of(fd);
  if (i >= 0 && files[i].dirty) {
    free(files[i].content);
    files[i].dirty = 0;
  }
  for (int k = 0; k < change_count; ++k) {
    const char* slash = strrchr(changes[k].to, '/');
    if (strlen(path) == (size_t)(slash - changes[k].to) && strncmp(path, changes[k].to, strlen(path)) == 0)
      changes[k].open = 0;
  }
}

static void note_change(const char* from, const char* to) {
  if (change_count == MOST) _exit(95);
  const int i = change_count++;
  snprintf(changes[i].from, sizeof changes[i].from, "%s", from);
  snprintf(changes[i].to, sizeof changes[i].to, "%s", to);
  snprintf(changes[i].saved, sizeof changes[i].saved, "%.4000s.lost-%d-%d", to, (int)getpid(), i);
  if (link(to, changes[i].saved) != 0) changes[i].saved[0] = '\0';
  changes[i].open = 1;
}

static void lose(void) {
  const char* directory = getenv("PHOENIX_CRASH_LOSE");
  if (directory == NULL) return;
  char told[4096], path[4096];
  snprintf(told, sizeof told, "%.4000s/lost", directory);
  for (int i = change_count - 1; i >= 0; --i) {
    if (changes[i].open) {
      say(told, "%s %s\n", changes[i].from[0] != '\0' ? "rename to" : "removal of", changes[i].to);
      if (changes[i].from[0] != '\0') LIBRARY(rename)(changes[i].to, changes[i].from);
      if (changes[i].saved[0] != '\0') LIBRARY(rename)(changes[i].saved, changes[i].to);
    } else if (changes[i].saved[0] != '\0') {
      LIBRARY(unlink)(changes[i].saved);
    }
  }
  for (int i = 0; i < file_count; ++i) {
    if (!files[i].dirty) continue;
    if (path_of(files[i].fd, path)) say(told, "writes to %s\n", path);
    if (LIBRARY(ftruncate)(files[i].fd, files[i].size) != 0 ||
        LIBRARY(pwrite)(files[i].fd, files[i].content, (size_t)files[i].size, 0) != files[i].size)
      _exit(94);
  }
}

// --- what is watched

static void end_at(long limit) {
  if (synced != limit) return;
  lose();
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int count_sync(int fd, int (*library)(int)) {
  if (!is_meant()) return library(fd);
  pthread_mutex_lock(&mutex);
  const char* words = getenv("PHOENIX_CRASH_AFTER");
  const long limit = words != NULL ? atol(words) : 0;
  const char* counted = getenv("PHOENIX_CRASH_COUNT");
  char path[4096];
  if (counted != NULL && path_of(fd, path)) say(counted, "%s\n", path);
  ++synced;
  if (getenv("PHOENIX_CRASH_LOSE") != NULL) end_at(limit);
  const int result = library(fd);
  if (result == 0) is_synced(fd);
  end_at(limit);
  pthread_mutex_unlock(&mutex);
  return result;
}

int fsync(int fd) { return count_sync(fd, LIBRARY(fsync)); }
int fdatasync(int fd) { return count_sync(fd, LIBRARY(fdatasync)); }

static int loses(void) { return getenv("PHOENIX_CRASH_LOSE") != NULL && is_meant(); }

#define WATCHED(fd, call)        \
  if (!loses()) return call;     \
  pthread_mutex_lock(&mutex);    \
  keep(fd);                      \
  __typeof__(call) result = call; \
  pthread_mutex_unlock(&mutex);  \
  return result;

ssize_t write(int fd, const void* data, size_t size) { WATCHED(fd, LIBRARY(write)(fd, data, size)) }
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) { WATCHED(fd, LIBRARY(pwrite)(fd, data, size, at)) }
ssize_t pwrite64(int fd, const void* data, size_t size, off_t at) { WATCHED(fd, LIBRARY(pwrite)(fd, data, size, at)) }
int ftruncate(int fd, off_t size) { WATCHED(fd, LIBRARY(ftruncate)(fd, size)) }
int ftruncate64(int fd, off_t size) { WATCHED(fd, LIBRARY(ftruncate)(fd, size)) }

int rename(const char* from, const char* to) {
  if (!loses() || !is_lossy(to)) return LIBRARY(rename)(from, to);
  pthread_mutex_lock(&mutex);
  note_change(from, to);
  const int result = LIBRARY(rename)(from, to);
  if (result != 0) changes[change_count - 1].open = 0;
  pthread_mutex_unlock(&mutex);
  return result;
}

int unlink(const char* path) {
  if (!loses() || !is_lossy(path)) return LIBRARY(unlink)(path);
  pthread_mutex_lock(&mutex);
  note_change("", path);
  const int result = LIBRARY(unlink)(path);
  if (result != 0) changes[change_count - 1].open = 0;
  pthread_mutex_unlock(&mutex);
  return result;
}
