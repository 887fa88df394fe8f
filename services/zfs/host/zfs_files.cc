#include "services/zfs/host/zfs_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_spec.h"
#include "services/zfs/host/zfs_descriptor.h"
#include "services/zfs/host/zfs_inode.h"

namespace phoenix::zfs {
namespace {

constexpr mode_t kPermissionBits = 07777;
constexpr DirectoryState kNewFolder{0, 0, 0755};

constexpr std::string_view kUnfinished = ".phoenix-delivery-";
constexpr size_t kRandomBytes = 6;

const char* KindOf(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link, which is not followed";
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISREG(mode)) return "a file";
  return "a device, pipe or socket";
}

// Where a path leads: its last folder, open, and the name in it; or no folder at all.
struct Place {
  Descriptor folder{-1};
  std::string name;
  std::string obstacle;
};

absl::Status OwnBy(int fd, uint32_t uid, uint32_t gid, uint32_t mode, const std::string& path) {
  struct stat now{};
  if (::fstat(fd, &now) != 0) return ErrnoStatus(errno, path);
  if ((now.st_uid != uid || now.st_gid != gid) && ::fchown(fd, uid, gid) != 0)
    return ErrnoStatus(errno, "chown " + path);
  // After chown, which takes bits away.
  if (::fchmod(fd, mode) != 0) return ErrnoStatus(errno, "chmod " + path);
  if (::fsync(fd) != 0) return ErrnoStatus(errno, "fsync " + path);
  return absl::OkStatus();
}

int OpenFolder(int parent, const std::string& name) {
  return ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
}

absl::Status MakeFolder(int parent, const std::string& name, const std::string& path) {
  if (::mkdirat(parent, name.c_str(), 0700) != 0) return ErrnoStatus(errno, "make directory " + path);
  const Descriptor made(OpenFolder(parent, name));
  if (!made.ok()) return ErrnoStatus(errno, path);
  PHX_RETURN_IF_ERROR(OwnBy(made.get(), kNewFolder.uid, kNewFolder.gid, kNewFolder.mode, path));
  if (::fsync(parent) != 0) return ErrnoStatus(errno, "fsync above " + path);
  return absl::OkStatus();
}

// Why the entry cannot be gone through.
absl::StatusOr<std::string> ObstacleAt(int parent, const std::string& name, const std::string& path) {
  struct stat now{};
  if (::fstatat(parent, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0) return ErrnoStatus(errno, path);
  return fmt::format("{} is {}", path, KindOf(now.st_mode));
}

absl::StatusOr<Place> Walk(const std::string& root, const std::string& path, bool make) {
  if (const auto wrong = WrongFilePath(path); !wrong.empty())
    return InvalidArgument("path '{}' {}", path, wrong);
  Place place;
  int folder = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
  if (folder < 0) return ErrnoStatus(errno, root);
  struct stat top{};
  for (size_t from = 0; true;) {
    Descriptor here(folder);
    struct stat now{};
    if (::fstat(here.get(), &now) != 0) return ErrnoStatus(errno, path);
    if (from == 0) top = now;
    if (now.st_dev != top.st_dev) {
      place.obstacle = fmt::format("another file system is mounted at {}", path.substr(0, from - 1));
      return place;
    }
    const size_t slash = path.find('/', from);
    if (slash == std::string::npos) {
      return Place{Descriptor(here.Release()), path.substr(from), ""};
    }
    const std::string part = path.substr(from, slash - from), so_far = path.substr(0, slash);
    folder = OpenFolder(here.get(), part);
    if (folder < 0 && errno == ENOENT) {
      if (!make) return place;
      PHX_RETURN_IF_ERROR(MakeFolder(here.get(), part, so_far));
      folder = OpenFolder(here.get(), part);
    }
    if (folder < 0 && (errno == ENOTDIR || errno == ELOOP)) {
      PHX_ASSIGN_OR_RETURN(place.obstacle, ObstacleAt(here.get(), part, so_far));
      return place;
    }
    if (folder < 0) return ErrnoStatus(errno, so_far);
    from = slash + 1;
  }
}

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string content;
  char buffer[16384];
  // One byte more than fits tells that it grew meanwhile.
  while (content.size() <= kMostFileBytes) {
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "read " + path);
    if (count == 0) break;
    content.append(buffer, static_cast<size_t>(count));
  }
  return content;
}

absl::Status WriteAll(int fd, const std::string& content, const std::string& path) {
  for (size_t written = 0; written < content.size();) {
    const ssize_t count = ::write(fd, content.data() + written, content.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "write " + path);
    written += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FileSeen> LookAtFile(const std::string& root, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(const Place place, Walk(root, path, /*make=*/false));
  FileSeen seen{.obstacle = place.obstacle};
  if (!place.folder.ok()) return seen;
  // Opens nothing for reading: a device or a pipe notices nothing.
  const Descriptor entry(::openat(place.folder.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!entry.ok()) return errno == ENOENT ? absl::StatusOr<FileSeen>(seen) : ErrnoStatus(errno, path);
  struct stat now{};
  if (::fstat(entry.get(), &now) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(now.st_mode)) {
    seen.obstacle = fmt::format("{} is {}", path, KindOf(now.st_mode));
    return seen;
  }
  seen.there = true;
  seen.size_bytes = static_cast<uint64_t>(now.st_size);
  seen.uid = now.st_uid;
  seen.gid = now.st_gid;
  seen.mode = now.st_mode & kPermissionBits;
  if (seen.size_bytes > kMostFileBytes) return seen;
  // Through the descriptor, so that it is the very file that was looked at.
  const std::string link = fmt::format("/proc/self/fd/{}", entry.get());
  const Descriptor file(::open(link.c_str(), O_RDONLY | O_NOATIME | O_CLOEXEC));
  if (!file.ok()) return ErrnoStatus(errno, path);
  PHX_ASSIGN_OR_RETURN(const std::string content, ReadAll(file.get(), path));
  seen.size_bytes = content.size();
  if (content.size() <= kMostFileBytes) seen.digest = Sha256Hex(content);
  return seen;
}

absl::Status DeliverFile(const std::string& root, const std::string& path, const FileState& file) {
  PHX_ASSIGN_OR_RETURN(const Place place, Walk(root, path, /*make=*/true));
  if (!place.obstacle.empty()) return FailedPrecondition("{}", place.obstacle);
  struct stat now{};
  if (::fstatat(place.folder.get(), place.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISREG(now.st_mode)) return FailedPrecondition("{} is {}", path, KindOf(now.st_mode));
  } else if (errno != ENOENT) {
    return ErrnoStatus(errno, path);
  }
  const std::string temporary = std::string(kUnfinished) + ToHex(RandomBytes(kRandomBytes));
  const int folder = place.folder.get();
  const Descriptor out(
      ::openat(folder, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out.ok()) return ErrnoStatus(errno, "create a file beside " + path);
  absl::Status status = WriteAll(out.get(), file.content, path);
  if (status.ok()) status = OwnBy(out.get(), file.uid, file.gid, file.mode, path);
  if (status.ok() && ::renameat(folder, temporary.c_str(), folder, place.name.c_str()) != 0)
    status = ErrnoStatus(errno, "rename to " + path);
  if (!status.ok()) {
    ::unlinkat(folder, temporary.c_str(), 0);
    return status;
  }
  return ::fsync(folder) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "fsync the folder of " + path);
}

bool IsUnfinished(std::string_view name) {
  return name.starts_with(kUnfinished) && name.size() == kUnfinished.size() + 2 * kRandomBytes;
}

absl::Status ProveOnly(const std::string& root, const std::vector<DeliveredFile>& files) {
  const auto foreign = [](const std::string& found) {
    return WithReason(FailedPrecondition("it holds {}", found), {"FOREIGN_CHANGE", {{"object", found}}});
  };
  PHX_ASSIGN_OR_RETURN(const auto other, FirstFileBelow(root, [&](const std::string& path) {
                         if (IsUnfinished(path.substr(path.rfind('/') + 1))) return true;
                         return std::any_of(files.begin(), files.end(),
                                            [&](const DeliveredFile& file) { return file.path == path; });
                       }));
  if (other) return foreign(other->substr(root.size() + 1));
  for (const auto& [path, file] : files) {
    PHX_ASSIGN_OR_RETURN(const FileSeen seen, LookAtFile(root, path));
    const bool as_delivered = seen.there && seen.digest == Sha256Hex(file.content);
    if (!seen.obstacle.empty() || (seen.there && !as_delivered)) return foreign(path + ", changed since");
  }
  return absl::OkStatus();
}

}  // namespace phoenix::zfs
