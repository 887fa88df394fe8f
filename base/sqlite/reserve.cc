#include "base/sqlite/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix {
namespace {

constexpr int64_t kBlock = int64_t{1024} * 1024;
// ZFS frees a file's blocks some transaction groups after its removal.
constexpr std::chrono::seconds kFreePatience{30};
constexpr std::chrono::milliseconds kFreePause{100};

std::string FolderOf(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

int64_t FreeBytes(const std::string& path) {
  struct statvfs info;
  if (::statvfs(FolderOf(path).c_str(), &info) != 0) return 0;
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

// 0, or errno.
int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return 0;
}

// 0, or errno.
int Fill(int fd, int64_t bytes) {
  // Where the file system can, it says at once that there is no room.
  if (::fallocate(fd, 0, 0, bytes) != 0 && errno != EOPNOTSUPP) return errno;
  for (int64_t written = 0; written < bytes; written += kBlock) {
    const std::string block = RandomBytes(static_cast<int>(std::min(kBlock, bytes - written)));
    if (const int error = WriteAll(fd, block); error != 0) return error;
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

}  // namespace

bool FileReserve::IsWhole() const {
  struct stat info;
  if (::stat(path_.c_str(), &info) != 0 || info.st_size != bytes_) return false;
  // A sparse copy, as a restored backup may hold it, reserves nothing.
  return info.st_blocks * 512 >= bytes_ / 2;
}

absl::Status FileReserve::Missing(int64_t free_bytes, std::string_view cause) const {
  return WithReason(FailedPrecondition("the journal reserve {} cannot be made: {} bytes are wanted, {} are "
                                       "free there ({}). Nothing new is "
                                       "begun without it; what is open is finished or undone. Free space on "
                                       "that file system and try again",
                                       path_, bytes_, free_bytes, cause),
                    {"NO_RESERVE",
                     {{"path", path_},
                      {"wanted_bytes", std::to_string(bytes_)},
                      {"free_bytes", std::to_string(free_bytes)}}});
}

absl::Status FileReserve::Make() {
  const std::string draft = path_ + ".new";
  // What a former life left of a draft or of a reserve of another size counts as free.
  ::unlink(draft.c_str());
  ::unlink(path_.c_str());
  const int64_t free_bytes = FreeBytes(path_);
  if (free_bytes < bytes_) return Missing(free_bytes, std::strerror(ENOSPC));
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Missing(free_bytes, std::strerror(errno));
  int error = Fill(fd, bytes_);
  ::close(fd);
  // Under its own name it is whole.
  if (error == 0 && ::rename(draft.c_str(), path_.c_str()) != 0) error = errno;
  if (error == 0) return absl::OkStatus();
  ::unlink(draft.c_str());
  return Missing(free_bytes, std::strerror(error));
}

absl::Status FileReserve::Hold() {
  absl::MutexLock lock(&mutex_);
  return IsWhole() ? absl::OkStatus() : Make();
}

bool FileReserve::GiveUp() {
  absl::MutexLock lock(&mutex_);
  if (::unlink(path_.c_str()) != 0) return false;
  const auto until = std::chrono::steady_clock::now() + kFreePatience;
  while (FreeBytes(path_) < bytes_ / 2 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kFreePause);
  }
  return true;
}

}  // namespace phoenix
