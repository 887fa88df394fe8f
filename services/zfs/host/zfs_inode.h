// What is done to files and devices without a tool, by descriptor.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/host/files.h"
#include "services/zfs/domain/zfs_acl.h"

namespace phoenix::zfs {

// OK where a ZFS with this device number is mounted at exactly this path.
absl::Status ProveMountRoot(const std::string& path, const std::string& device);

// The ACL of a directory; empty where its file system keeps none, and where it is gone.
absl::StatusOr<Acl> ReadAcl(const std::string& path);

// Sets owner, group, mode and, where one is given, the ACL of a mount root. `device` ("0:45") is the mounted
// dataset's, from the mount table: refuses anything that is not a ZFS mount root with that number, so that
// the directory of an unmounted dataset on the file system below is never touched.
absl::Status SetRootInode(const std::string& path, const std::string& device, const DirectoryState& wanted,
                          const std::optional<Acl>& acl = std::nullopt);

// The first entry below `path` that is no directory, and that is not `ours` by its path relative to `path`;
// nullopt where there is none. Stays on its file system, follows no link, leaves access times alone.
absl::StatusOr<std::optional<std::string>> FirstFileBelow(
    const std::string& path, const std::function<bool(const std::string& relative)>& ours = nullptr);

// Writes a kernel module's parameter.
absl::Status WriteParameter(const std::string& path, uint64_t value);

// The offset of the first byte that is not zero within `edge` bytes of either end; nullopt for none. Reads
// past the page cache, which does not see what was written to partitions.
absl::StatusOr<std::optional<uint64_t>> FirstByteAtEdges(const std::string& device, uint64_t size,
                                                         uint64_t edge);

// The kernel's path behind a link, "/dev/nvme0n1"; nullopt where there is none.
absl::StatusOr<std::optional<std::string>> ResolveLink(const std::string& path);

// OK when this process shares the mount namespace of the host's first process. In one of its own, `zfs
// create` would mount where nobody else sees it.
absl::Status CheckMountNamespace();

}  // namespace phoenix::zfs
