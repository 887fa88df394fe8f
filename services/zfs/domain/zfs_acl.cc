#include "services/zfs/domain/zfs_acl.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "base/status/errors.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"

namespace phoenix::zfs {
namespace {

constexpr std::string_view kDefault = "default:";

uint32_t NumberOf(const AclEntry& entry) {
  return static_cast<uint32_t>(std::strtoul(entry.qualifier.c_str(), nullptr, 10));
}

std::string_view WordOf(AclTag tag) {
  switch (tag) {
    case AclTag::kOwner:
    case AclTag::kUser:
      return "user";
    case AclTag::kOwningGroup:
    case AclTag::kGroup:
      return "group";
    case AclTag::kMask:
      return "mask";
    case AclTag::kOther:
      break;
  }
  return "other";
}

std::optional<AclTag> TagOf(std::string_view word, bool named) {
  if (word == "user") return named ? AclTag::kUser : AclTag::kOwner;
  if (word == "group") return named ? AclTag::kGroup : AclTag::kOwningGroup;
  if (named) return std::nullopt;
  if (word == "mask") return AclTag::kMask;
  return word == "other" ? std::optional(AclTag::kOther) : std::nullopt;
}

std::optional<uint32_t> RightsOf(std::string_view text) {
  constexpr std::string_view kLetters = "rwx";
  if (text.size() != kLetters.size()) return std::nullopt;
  uint32_t rights = 0;
  for (size_t i = 0; i < kLetters.size(); ++i) {
    if (text[i] != kLetters[i] && text[i] != '-') return std::nullopt;
    rights = rights * 2 + (text[i] == '-' ? 0 : 1);
  }
  return rights;
}

uint32_t DigitOf(uint32_t mode, AclTag tag) {
  return mode >> (tag == AclTag::kOwner ? 6U : tag == AclTag::kOwningGroup ? 3U : 0U) & 7U;
}

bool IsNamed(const AclEntry& entry) { return entry.tag == AclTag::kUser || entry.tag == AclTag::kGroup; }

}  // namespace

std::optional<AclEntry> ParseAclEntry(std::string_view text) {
  AclEntry entry;
  if (text.starts_with(kDefault)) {
    entry.inherited = true;
    text.remove_prefix(kDefault.size());
  }
  const auto first = text.find(':');
  const auto last = text.rfind(':');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  entry.qualifier = text.substr(first + 1, last - first - 1);
  const auto tag = TagOf(text.substr(0, first), !entry.qualifier.empty());
  const auto rights = RightsOf(text.substr(last + 1));
  if (!tag || !rights) return std::nullopt;
  entry.tag = *tag;
  entry.rights = *rights;
  return entry;
}

std::string ToText(const AclEntry& entry) {
  const auto letter = [&](uint32_t bit, char one) { return (entry.rights & bit) != 0 ? one : '-'; };
  return fmt::format("{}{}:{}:{}{}{}", entry.inherited ? kDefault : "", WordOf(entry.tag), entry.qualifier,
                     letter(4, 'r'), letter(2, 'w'), letter(1, 'x'));
}

Acl ToAcl(std::vector<AclEntry> entries) {
  std::sort(entries.begin(), entries.end(), [](const AclEntry& a, const AclEntry& b) {
    return std::tuple(a.inherited, a.tag, NumberOf(a)) < std::tuple(b.inherited, b.tag, NumberOf(b));
  });
  Acl acl;
  for (const AclEntry& entry : entries) acl.push_back(ToText(entry));
  return acl;
}

absl::StatusOr<Acl> CompleteAcl(const std::vector<std::string>& declared, uint32_t mode,
                                const std::map<std::string, uint32_t, std::less<>>& users,
                                const std::map<std::string, uint32_t, std::less<>>& groups) {
  std::vector<AclEntry> entries;
  std::set<std::pair<bool, AclTag>> said;
  for (const std::string& text : declared) {
    auto entry = ParseAclEntry(text);
    if (!entry) return InvalidArgument("'{}' is no entry of an ACL", text);
    if (IsNamed(*entry)) {
      const bool user = entry->tag == AclTag::kUser;
      const auto id = IdOf(entry->qualifier, user ? users : groups);
      if (!id) return NotFound("{} {} is not there", user ? "user" : "group", entry->qualifier);
      entry->qualifier = std::to_string(*id);
    }
    said.emplace(entry->inherited, entry->tag);
    entries.push_back(*std::move(entry));
  }
  const auto complete = [&](bool inherited, AclTag tag) {
    if (said.emplace(inherited, tag).second) entries.push_back({inherited, tag, "", DigitOf(mode, tag)});
  };
  const bool own = !said.empty() && !said.begin()->first, inherited = !said.empty() && said.rbegin()->first;
  if (own) complete(false, AclTag::kOwningGroup);
  if (inherited) {
    for (const AclTag tag : {AclTag::kOwner, AclTag::kOwningGroup, AclTag::kOther}) complete(true, tag);
  }
  if ((said.count({true, AclTag::kUser}) != 0 || said.count({true, AclTag::kGroup}) != 0) &&
      said.count({true, AclTag::kMask}) == 0) {
    uint32_t mask = 0;
    for (const AclEntry& entry : entries) {
      if (entry.inherited && (IsNamed(entry) || entry.tag == AclTag::kOwningGroup)) mask |= entry.rights;
    }
    entries.push_back({true, AclTag::kMask, "", mask});
  }
  Acl acl = ToAcl(std::move(entries));
  // By name and by number.
  const auto somebody = [](const std::string& text) { return text.substr(0, text.rfind(':')); };
  const auto twice = std::adjacent_find(acl.begin(), acl.end(), [&](const auto& one, const auto& next) {
    return somebody(one) == somebody(next);
  });
  if (twice != acl.end()) return InvalidArgument("{} has two entries in one ACL", somebody(*twice));
  return acl;
}

std::string WrongAcl(const std::vector<std::string>& declared, std::string_view mode) {
  if (!declared.empty() && mode.empty())
    return "an ACL needs a mode beside it: its group digit limits what the entries give";
  const uint32_t mask = DigitOf(ModeOf(mode), AclTag::kOwningGroup);
  std::set<std::tuple<bool, AclTag, std::string>> seen;
  for (const std::string& text : declared) {
    const auto entry = ParseAclEntry(text);
    if (!entry) {
      return fmt::format("'{}' is no entry such as user:NAME:r-x, group:NAME:rwx or default:group:NAME:rwx",
                         text);
    }
    if (!entry->inherited && !IsNamed(*entry) && entry->tag != AclTag::kOwningGroup)
      return fmt::format("'{}' is what the mode {} says", text, mode);
    if (!seen.emplace(entry->inherited, entry->tag, entry->qualifier).second)
      return fmt::format("'{}': somebody has two entries", text);
    if (!entry->inherited && (entry->rights & ~mask) != 0) {
      return fmt::format("'{}' gives more than the mode {} lets a group have, which is the mask of an ACL",
                         text, mode);
    }
  }
  return "";
}

}  // namespace phoenix::zfs
