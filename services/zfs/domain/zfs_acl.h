// The POSIX access control list of a mount root, in the text form that setfacl takes and getfacl prints.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace phoenix::zfs {

// In the order of the list.
enum class AclTag { kOwner, kUser, kOwningGroup, kGroup, kMask, kOther };

struct AclEntry {
  bool inherited = false;  // of the default ACL, which is what comes into the directory begins with
  AclTag tag = AclTag::kUser;
  std::string qualifier;  // name or number of a user or group; "" of the other tags
  uint32_t rights = 0;    // read 4, write 2, execute 1
  friend bool operator==(const AclEntry&, const AclEntry&) = default;
};

// "default:group:media:r-x". nullopt for anything else, and for rights that are not three letters.
std::optional<AclEntry> ParseAclEntry(std::string_view text);
std::string ToText(const AclEntry& entry);

// An ACL as an inode has it: entries with numbers, in the order of the list. Of the inode's own ACL only what
// its mode does not say: the named entries and the owning group's ("group::r-x"), whose rights the mode's
// group digit, the mask, limits as it limits those of the named ones. Of the default ACL everything. Empty
// where the mode is all there is.
using Acl = std::vector<std::string>;

// In the order of the list.
Acl ToAcl(std::vector<AclEntry> entries);

// What an inode of that mode has where `declared` is wished for. What is not said of owner, owning group and
// others is as the mode says, and a default ACL of which no mask is said gets one that limits nobody.
// NotFound names who is not there.
absl::StatusOr<Acl> CompleteAcl(const std::vector<std::string>& declared, uint32_t mode,
                                const std::map<std::string, uint32_t, std::less<>>& users,
                                const std::map<std::string, uint32_t, std::less<>>& groups);

// Why it cannot be an ACL; "" where it can. `mode` as declared.
std::string WrongAcl(const std::vector<std::string>& declared, std::string_view mode);

}  // namespace phoenix::zfs
