#include "base/host/posix_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix {
namespace {

constexpr mode_t kPermissionBits = 07777;

struct OpenFile {
  int fd;
  explicit OpenFile(int descriptor) : fd(descriptor) {}
  ~OpenFile() {
    if (fd >= 0) ::close(fd);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
};

std::string ParentOf(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status SyncDirectory(const std::string& path) {
  OpenFile directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd < 0) return ErrnoStatus(errno, path);
  if (::fsync(directory.fd) != 0) return ErrnoStatus(errno, "fsync " + path);
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, const std::string& content, const std::string& path) {
  size_t written = 0;
  while (written < content.size()) {
    const ssize_t count = ::write(fd, content.data() + written, content.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "write " + path);
    written += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

}  // namespace

PosixFiles::PosixFiles(std::string root) : root_(root == "/" ? "" : std::move(root)) {}

std::string PosixFiles::Real(const std::string& path) const { return root_ + path; }

absl::StatusOr<std::optional<FileState>> PosixFiles::Read(const std::string& path) const {
  OpenFile file(::open(Real(path).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<FileState>();
    if (errno == ELOOP) return FailedPrecondition("{} is a symbolic link; Phoenix does not follow it", path);
    return ErrnoStatus(errno, path);
  }
  struct stat status{};
  if (::fstat(file.fd, &status) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(status.st_mode)) return FailedPrecondition("{} is not a regular file", path);
  FileState state{"", status.st_uid, status.st_gid, status.st_mode & kPermissionBits};
  char buffer[65536];
  while (true) {
    const ssize_t count = ::read(file.fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, path);
    if (count == 0) return std::optional(std::move(state));
    state.content.append(buffer, static_cast<size_t>(count));
  }
}

absl::Status PosixFiles::Replace(const std::string& path, const FileState& file) {
  const std::string real = Real(path);
  // The leading dot keeps programs that read a whole folder (exports.d) from taking the half-written file.
  const std::string temporary = fmt::format("{}/.{}.phoenix-{}", ParentOf(real),
                                            real.substr(real.rfind('/') + 1), ToHex(RandomBytes(6)));
  OpenFile out(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (out.fd < 0) return ErrnoStatus(errno, temporary);
  absl::Status status = WriteAll(out.fd, file.content, path);
  if (status.ok()) {
    struct stat now{};
    ::fstat(out.fd, &now);
    if ((now.st_uid != file.uid || now.st_gid != file.gid) && ::fchown(out.fd, file.uid, file.gid) != 0) {
      status = ErrnoStatus(errno, "chown " + path);
    }
  }
  if (status.ok() && ::fchmod(out.fd, file.mode) != 0) status = ErrnoStatus(errno, "chmod " + path);
  if (status.ok() && ::fsync(out.fd) != 0) status = ErrnoStatus(errno, "fsync " + path);
  if (status.ok() && ::rename(temporary.c_str(), real.c_str()) != 0)
    status = ErrnoStatus(errno, "rename to " + path);
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(ParentOf(real));
}

absl::Status PosixFiles::Remove(const std::string& path) {
  const std::string real = Real(path);
  if (::unlink(real.c_str()) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return absl::OkStatus();
    return ErrnoStatus(errno, "remove " + path);
  }
  return SyncDirectory(ParentOf(real));
}

absl::StatusOr<std::optional<DirectoryState>> PosixFiles::ReadDirectory(const std::string& path) const {
  struct stat status{};
  if (::lstat(Real(path).c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<DirectoryState>();
    return ErrnoStatus(errno, path);
  }
  if (!S_ISDIR(status.st_mode)) return FailedPrecondition("{} is not a directory", path);
  return std::optional(DirectoryState{status.st_uid, status.st_gid, status.st_mode & kPermissionBits});
}

absl::Status PosixFiles::MakeDirectory(const std::string& path, const DirectoryState& directory) {
  const std::string real = Real(path);
  if (::mkdir(real.c_str(), 0700) != 0) {
    if (errno == EEXIST) return absl::OkStatus();
    return ErrnoStatus(errno, "make directory " + path);
  }
  PHX_RETURN_IF_ERROR(SetDirectory(path, directory));
  return SyncDirectory(ParentOf(real));
}

absl::Status PosixFiles::SetDirectory(const std::string& path, const DirectoryState& directory) {
  OpenFile opened(::open(Real(path).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (opened.fd < 0) return ErrnoStatus(errno, path);
  struct stat now{};
  if (::fstat(opened.fd, &now) != 0) return ErrnoStatus(errno, path);
  // chown clears setgid, so the mode comes after it.
  if ((now.st_uid != directory.uid || now.st_gid != directory.gid) &&
      ::fchown(opened.fd, directory.uid, directory.gid) != 0) {
    return ErrnoStatus(errno, "chown " + path);
  }
  if (::fchmod(opened.fd, directory.mode) != 0) return ErrnoStatus(errno, "chmod " + path);
  if (::fsync(opened.fd) != 0) return ErrnoStatus(errno, "fsync " + path);
  return absl::OkStatus();
}

absl::Status PosixFiles::RemoveDirectory(const std::string& path) {
  const std::string real = Real(path);
  if (::rmdir(real.c_str()) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return absl::OkStatus();
    if (errno == ENOTEMPTY || errno == EEXIST) return FailedPrecondition("{} is not empty", path);
    return ErrnoStatus(errno, "remove directory " + path);
  }
  return SyncDirectory(ParentOf(real));
}

absl::StatusOr<std::vector<std::string>> PosixFiles::List(const std::string& path) const {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(Real(path).c_str()), &::closedir);
  if (!directory) {
    if (errno == ENOENT || errno == ENOTDIR) return names;
    return ErrnoStatus(errno, path);
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace phoenix
