#include "services/zfs/host/zfs_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/host/zfs_descriptor.h"

namespace phoenix::zfs {
namespace {

class Walk {
 public:
  Walk(const TreeWish& wish, dev_t device) : wish_(wish), device_(device) {}

  // Takes the descriptor. One for each level: the tree may be deep.
  absl::Status Directory(int directory, const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory), &::closedir);
    if (!stream) {
      const int error = errno;
      ::close(directory);
      return ErrnoStatus(error, path);
    }
    struct stat now{};
    if (::fstat(directory, &now) != 0) return ErrnoStatus(errno, path);
    if (now.st_dev != device_) return Mounted(path);
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..")
        PHX_RETURN_IF_ERROR(Entry(directory, name, fmt::format("{}/{}", path, name)));
      errno = 0;
    }
    if (errno != 0) return ErrnoStatus(errno, path);
    // Last, so that a root that is as wished says the same of all below it.
    return Change(directory, now, path);
  }

  const TreeCount& count() const { return count_; }

 private:
  static absl::Status Mounted(const std::string& path) {
    return FailedPrecondition(
        "another file system is mounted at {}; a tree is changed on its own file system only", path);
  }

  absl::Status Entry(int parent, const std::string& name, const std::string& path) {
    int directory = -1;
    {
      // Opens nothing for reading or writing: a device or a pipe notices nothing.
      const Descriptor entry(::openat(parent, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      // Somebody removed it meanwhile: then there is nothing to change.
      if (!entry.ok()) return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, path);
      struct stat now{};
      if (::fstat(entry.get(), &now) != 0) return ErrnoStatus(errno, path);
      if (now.st_dev != device_) return Mounted(path);
      if (!S_ISDIR(now.st_mode)) return Change(entry.get(), now, path);
      directory = ::openat(entry.get(), ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
    }
    if (directory < 0) return ErrnoStatus(errno, path);
    return Directory(directory, path);
  }

  absl::Status Change(int fd, const struct stat& now, const std::string& path) {
    ++count_.entries;
    const uid_t uid = wish_.uid.value_or(now.st_uid);
    const gid_t gid = wish_.gid.value_or(now.st_gid);
    const bool owner = uid != now.st_uid || gid != now.st_gid;
    if (owner && ::fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoStatus(errno, "chown " + path);
    }
    bool mode = false;
    // A link has no mode of its own.
    if (wish_.mode && !S_ISLNK(now.st_mode)) {
      const uint32_t wanted = ModeInTree(*wish_.mode, S_ISDIR(now.st_mode), now.st_mode & 07777);
      mode = wanted != (now.st_mode & 07777);
      // chown takes bits away, and a descriptor without access rights is changed through its link only.
      const std::string link = fmt::format("/proc/self/fd/{}", fd);
      if ((mode || owner) && ::chmod(link.c_str(), wanted) != 0) return ErrnoStatus(errno, "chmod " + path);
    }
    if (owner || mode) ++count_.changed;
    return absl::OkStatus();
  }

  const TreeWish wish_;
  const dev_t device_;
  TreeCount count_;
};

}  // namespace

uint32_t ModeInTree(uint32_t mode, bool directory, uint32_t now) {
  if (directory) return mode & 07777;
  return (mode & 0666) | ((now & 0111) != 0 ? mode & 0111 : 0);
}

absl::StatusOr<TreeCount> ChangeTree(const std::string& root, const TreeWish& wish) {
  Descriptor directory(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC));
  if (!directory.ok()) return ErrnoStatus(errno, root);
  struct stat status{};
  if (::fstat(directory.get(), &status) != 0) return ErrnoStatus(errno, root);
  Walk walk(wish, status.st_dev);
  PHX_RETURN_IF_ERROR(walk.Directory(directory.Release(), root));
  return walk.count();
}

}  // namespace phoenix::zfs
