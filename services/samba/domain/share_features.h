// What a share wants that takes several parameters of smb.conf(5), in the manner of Samba's own documents.
//
// Previous versions are the snapshots of the ZFS file system that holds the share: vfs_shadow_copy2(8) finds
// where that is mounted by itself, below it `.zfs/snapshot`, and in there the share's own folder.
// ACLs: `posix` inherits the POSIX ACLs of folders; `windows` keeps what clients set as it is in an extended
// attribute (vfs_acl_xattr(8)), beside what of it a POSIX ACL can say. Both need a file system that keeps
// POSIX ACLs; on ZFS that is acltype=posix, best with xattr=sa.
#pragma once

#include <vector>

#include "base/status/errors.h"
#include "services/samba/domain/samba_spec.h"

namespace phoenix::samba {

// Adds to `options`, which are canonical, what previous versions and ACLs take; a user's modules of `vfs
// objects` keep their order. Adds to `violations` where an option says otherwise.
void AddFeatures(ShareSpec& share, std::vector<FieldViolation>& violations);

// True where smbd has to load modules for the share, which are in a package of their own.
bool NeedsModules(const ShareSpec& share);

}  // namespace phoenix::samba
