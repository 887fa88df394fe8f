#include "services/zfs/host/zfs_inode.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/host/zfs_descriptor.h"

namespace phoenix::zfs {
namespace {

constexpr long kZfsMagic = 0x2fc12fc1;
constexpr size_t kBlock = size_t{1} << 20;

std::string NumberOf(dev_t device) { return fmt::format("{}:{}", major(device), minor(device)); }

// The inode of an open mount root of ZFS with that device number; an error for anything else.
absl::StatusOr<struct stat> Prove(const Descriptor& root, const std::string& path,
                                  const std::string& device) {
  struct statfs file_system{};
  if (::fstatfs(root.get(), &file_system) != 0) return ErrnoStatus(errno, path);
  struct stat now{}, above{};
  if (::fstat(root.get(), &now) != 0) return ErrnoStatus(errno, path);
  if (::fstatat(root.get(), "..", &above, AT_SYMLINK_NOFOLLOW) != 0) return ErrnoStatus(errno, path + "/..");
  if (file_system.f_type != kZfsMagic || now.st_dev == above.st_dev || NumberOf(now.st_dev) != device) {
    return FailedPrecondition(
        "{} is not the mounted dataset but a directory of the file system below; it is left alone", path);
  }
  return now;
}

constexpr const char* kAccessAcl = "system.posix_acl_access";
constexpr const char* kDefaultAcl = "system.posix_acl_default";

constexpr std::pair<AclTag, uint16_t> kAclTags[] = {
    {AclTag::kOwner, ACL_USER_OBJ}, {AclTag::kUser, ACL_USER}, {AclTag::kOwningGroup, ACL_GROUP_OBJ},
    {AclTag::kGroup, ACL_GROUP},    {AclTag::kMask, ACL_MASK}, {AclTag::kOther, ACL_OTHER}};

// The kernel's form: a header, then the entries in the order of the list, all little endian.
std::string Encoded(const std::vector<AclEntry>& entries) {
  std::string bytes;
  const auto put = [&](uint32_t value, int size) {
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  };
  put(POSIX_ACL_XATTR_VERSION, 4);
  for (const AclEntry& entry : entries) {
    const auto* tag = std::find_if(std::begin(kAclTags), std::end(kAclTags),
                                   [&](const auto& one) { return one.first == entry.tag; });
    put(tag->second, 2);
    put(entry.rights, 2);
    const bool named = !entry.qualifier.empty();
    put(named ? static_cast<uint32_t>(std::strtoul(entry.qualifier.c_str(), nullptr, 10))
              : static_cast<uint32_t>(ACL_UNDEFINED_ID),
        4);
  }
  return bytes;
}

absl::StatusOr<std::vector<AclEntry>> Decoded(std::string_view bytes, bool inherited) {
  const auto take = [&](size_t size) {
    uint32_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
    bytes.remove_prefix(size);
    return value;
  };
  constexpr size_t kEntry = 8;
  if (bytes.size() % kEntry != 4 || take(4) != POSIX_ACL_XATTR_VERSION)
    return Internal("the kernel tells an ACL of a form that is not known");
  std::vector<AclEntry> entries;
  while (!bytes.empty()) {
    const uint32_t number = take(2), rights = take(2), id = take(4);
    const auto* tag = std::find_if(std::begin(kAclTags), std::end(kAclTags),
                                   [&](const auto& one) { return one.second == number; });
    if (tag == std::end(kAclTags)) return Internal("the kernel tells an ACL with an entry of tag {}", number);
    const bool named = tag->first == AclTag::kUser || tag->first == AclTag::kGroup;
    entries.push_back({inherited, tag->first, named ? std::to_string(id) : "", rights});
  }
  return entries;
}

// "" where there is none.
absl::StatusOr<std::string> ReadAttribute(const std::string& path, const char* name) {
  // Most have none.
  ssize_t size = ::lgetxattr(path.c_str(), name, nullptr, 0);
  std::string bytes(size > 0 ? XATTR_SIZE_MAX : 0, '\0');
  if (size > 0) size = ::lgetxattr(path.c_str(), name, bytes.data(), bytes.size());
  if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP || errno == ENOENT)) return std::string();
  if (size < 0) return ErrnoStatus(errno, path);
  bytes.resize(static_cast<size_t>(size));
  return bytes;
}

absl::Status WriteAttribute(const Descriptor& file, const std::string& path, const char* name,
                            const std::vector<AclEntry>& entries) {
  const std::string bytes = Encoded(entries);
  if (::fsetxattr(file.get(), name, bytes.data(), bytes.size(), 0) == 0) return absl::OkStatus();
  if (errno == EOPNOTSUPP) return FailedPrecondition("{} keeps no ACLs; set acltype=posix", path);
  return ErrnoStatus(errno, fmt::format("set the ACL of {}", path));
}

absl::Status SetAcl(const Descriptor& root, const std::string& path, const Acl& acl, uint32_t mode) {
  std::vector<AclEntry> own, inherited;
  for (const std::string& text : acl) {
    auto entry = ParseAclEntry(text);
    if (!entry) return Internal("'{}' is no entry of an ACL", text);
    (entry->inherited ? inherited : own).push_back(*std::move(entry));
  }
  const bool extended = !own.empty();
  // What the mode says, each at its place. A list of nothing else the kernel takes for none and for the mode,
  // at once: the mask of the former list gives the owning group nothing for a moment.
  own.insert(own.begin(), {false, AclTag::kOwner, "", mode >> 6U & 7U});
  own.push_back({false, extended ? AclTag::kMask : AclTag::kOwningGroup, "", mode >> 3U & 7U});
  own.push_back({false, AclTag::kOther, "", mode & 7U});
  const absl::Status status = WriteAttribute(root, path, kAccessAcl, own);
  // Where none can be kept there is none to take away.
  if (absl::IsFailedPrecondition(status) && acl.empty()) return absl::OkStatus();
  PHX_RETURN_IF_ERROR(status);
  if (!inherited.empty()) return WriteAttribute(root, path, kDefaultAcl, inherited);
  if (::fremovexattr(root.get(), kDefaultAcl) == 0 || errno == ENODATA) return absl::OkStatus();
  return ErrnoStatus(errno, fmt::format("remove the default ACL of {}", path));
}

using IsOurs = std::function<bool(const std::string& relative)>;

// `from`: where the relative part of a path begins.
absl::StatusOr<std::optional<std::string>> FirstFileIn(int directory_fd, const std::string& path,
                                                       dev_t device, size_t from, const IsOurs& ours) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(directory_fd), &::closedir);
  if (!directory) {
    ::close(directory_fd);
    return ErrnoStatus(errno, path);
  }
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string below = path + "/" + name;
    struct stat status{};
    if (::fstatat(::dirfd(directory.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoStatus(errno, below);
    }
    if (!S_ISDIR(status.st_mode)) {
      if (!ours || !ours(below.substr(from))) return std::optional(below);
      errno = 0;
      continue;
    }
    if (status.st_dev != device) continue;  // another mount: not in this file system
    const int fd = ::openat(::dirfd(directory.get()), entry->d_name,
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus(errno, below);
    PHX_ASSIGN_OR_RETURN(auto found, FirstFileIn(fd, below, device, from, ours));
    if (found) return found;
    errno = 0;
  }
  if (errno != 0) return ErrnoStatus(errno, path);
  return std::optional<std::string>();
}

}  // namespace

absl::Status ProveMountRoot(const std::string& path, const std::string& device) {
  const Descriptor root(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC));
  if (!root.ok()) return ErrnoStatus(errno, path);
  return Prove(root, path, device).status();
}

absl::StatusOr<Acl> ReadAcl(const std::string& path) {
  std::vector<AclEntry> entries;
  PHX_ASSIGN_OR_RETURN(const std::string own, ReadAttribute(path, kAccessAcl));
  if (!own.empty()) {
    PHX_ASSIGN_OR_RETURN(entries, Decoded(own, false));
    // Without a mask it says nothing but the mode.
    const bool extended = std::any_of(entries.begin(), entries.end(),
                                      [](const AclEntry& entry) { return entry.tag == AclTag::kMask; });
    std::erase_if(entries, [&](const AclEntry& entry) {
      return !extended || entry.tag == AclTag::kOwner || entry.tag == AclTag::kMask ||
             entry.tag == AclTag::kOther;
    });
  }
  PHX_ASSIGN_OR_RETURN(const std::string inherited, ReadAttribute(path, kDefaultAcl));
  if (!inherited.empty()) {
    PHX_ASSIGN_OR_RETURN(auto more, Decoded(inherited, true));
    entries.insert(entries.end(), more.begin(), more.end());
  }
  return ToAcl(std::move(entries));
}

absl::Status SetRootInode(const std::string& path, const std::string& device, const DirectoryState& wanted,
                          const std::optional<Acl>& acl) {
  const Descriptor root(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC));
  if (!root.ok()) return ErrnoStatus(errno, path);
  PHX_ASSIGN_OR_RETURN(const struct stat now, Prove(root, path, device));
  if ((now.st_uid != wanted.uid || now.st_gid != wanted.gid) &&
      ::fchown(root.get(), wanted.uid, wanted.gid) != 0) {
    return ErrnoStatus(errno, "chown " + path);
  }
  if (acl) PHX_RETURN_IF_ERROR(SetAcl(root, path, *acl, wanted.mode));
  // After chown, which takes setuid and setgid away, and after the ACL, which may do so, too.
  if (::fchmod(root.get(), wanted.mode) != 0) return ErrnoStatus(errno, "chmod " + path);
  if (::fsync(root.get()) != 0) return ErrnoStatus(errno, "fsync " + path);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> FirstFileBelow(
    const std::string& path, const std::function<bool(const std::string& relative)>& ours) {
  Descriptor root(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC));
  if (!root.ok()) return ErrnoStatus(errno, path);
  struct stat status{};
  if (::fstat(root.get(), &status) != 0) return ErrnoStatus(errno, path);
  return FirstFileIn(root.Release(), path, status.st_dev, path.size() + 1, ours);
}

absl::Status WriteParameter(const std::string& path, uint64_t value) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.ok()) return ErrnoStatus(errno, path);
  const std::string text = std::to_string(value);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(errno, "write " + path);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<uint64_t>> FirstByteAtEdges(const std::string& device, uint64_t size,
                                                         uint64_t edge) {
  int fd = ::open(device.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  // Not every file system under a test has direct reads.
  if (fd < 0 && errno == EINVAL) fd = ::open(device.c_str(), O_RDONLY | O_CLOEXEC);
  const Descriptor disk(fd);
  if (!disk.ok()) return ErrnoStatus(errno, device);
  const std::unique_ptr<void, void (*)(void*)> buffer(std::aligned_alloc(4096, kBlock), &std::free);
  const auto scan = [&](uint64_t from, uint64_t to) -> absl::StatusOr<std::optional<uint64_t>> {
    for (uint64_t offset = from; offset < to;) {
      const size_t wanted = std::min<uint64_t>(kBlock, to - offset);
      const ssize_t count = ::pread(disk.get(), buffer.get(), wanted, static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoStatus(errno, "read " + device);
      if (count == 0) break;
      const char* bytes = static_cast<const char*>(buffer.get());
      const char* found = std::find_if(bytes, bytes + count, [](char byte) { return byte != 0; });
      if (found != bytes + count)
        return std::optional<uint64_t>(offset + static_cast<uint64_t>(found - bytes));
      offset += static_cast<uint64_t>(count);
    }
    return std::optional<uint64_t>();
  };
  PHX_ASSIGN_OR_RETURN(auto found, scan(0, std::min(edge, size)));
  if (found || size <= edge) return found;
  // Direct reads begin at whole blocks.
  return scan((size - edge) / 4096 * 4096, size);
}

absl::StatusOr<std::optional<std::string>> ResolveLink(const std::string& path) {
  char real[PATH_MAX];
  if (::realpath(path.c_str(), real) == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<std::string>();
    return ErrnoStatus(errno, path);
  }
  return std::optional<std::string>(real);
}

absl::Status CheckMountNamespace() {
  std::string names[2];
  const char* const links[2] = {"/proc/self/ns/mnt", "/proc/1/ns/mnt"};
  for (int i = 0; i < 2; ++i) {
    char target[256];
    const ssize_t length = ::readlink(links[i], target, sizeof target);
    if (length < 0) return ErrnoStatus(errno, links[i]);
    names[i].assign(target, static_cast<size_t>(length));
  }
  if (names[0] == names[1]) return absl::OkStatus();
  return FailedPrecondition(
      "this service runs in a mount namespace of its own ({}, the host's is {}): datasets would be mounted "
      "where nobody else "
      "sees them. Remove the sandbox options of its systemd unit that make one (ProtectSystem, PrivateTmp, "
      "…)",
      names[0], names[1]);
}

}  // namespace phoenix::zfs
