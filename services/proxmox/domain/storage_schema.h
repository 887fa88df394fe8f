// What Proxmox VE accepts in a storage entry: types, options, contents, and when two values mean the same.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/proxmox/domain/proxmox_spec.h"

namespace phoenix::proxmox {

// Types that Phoenix makes and changes.
inline constexpr std::string_view kZfspool = "zfspool";
inline constexpr std::string_view kDir = "dir";
inline constexpr std::string_view kNfs = "nfs";
inline constexpr std::string_view kCifs = "cifs";

// The storage that every node has, in the file or not.
inline constexpr std::string_view kLocal = "local";
inline constexpr std::string_view kLocalPath = "/var/lib/vz";

enum class OptionKind { kText, kBoolean, kNumber, kPath, kMountPoint, kList };

struct OptionRule {
  std::string_view name;
  OptionKind kind = OptionKind::kText;
  bool required = false;
  bool fixed = false;  // cannot change after creation
};

struct TypeRule {
  std::string_view name;
  // All options of the four managed types; of the other types only the required ones are known here.
  std::vector<OptionRule> options;
  Words content;          // possible
  Words default_content;  // where none is named
  bool managed = false;
};

// Null for a type that no Proxmox VE release 8 or 9 has.
const TypeRule* FindType(std::string_view type);
// Null for an option that the type does not have, or (types that are not managed) that is not known here.
const OptionRule* FindOption(const TypeRule& type, std::string_view option);
// A content word that at least one type knows.
bool IsContentWord(std::string_view word);

// Letter first, letter or digit last, at least two characters: letters, digits, dot, dash, underscore.
bool IsStorageId(std::string_view id);
bool IsNodeName(std::string_view name);
// A path that a dir entry may have: no blanks, no colon, plain ASCII.
bool IsDirectoryPath(std::string_view path);

std::string LowerCase(std::string_view text);

// true, false or neither, for the words that Proxmox takes for booleans.
std::optional<bool> ParseBoolean(std::string_view text);

// The value in the one form used for comparing: booleans 1 and 0, paths without a trailing slash, lists
// sorted. `path`: the entry's own path, since is_mountpoint may repeat it.
std::string NormalValue(const OptionRule& rule, std::string_view value, std::string_view path);

// Items between commas, semicolons and blanks.
std::vector<std::string> SplitList(std::string_view text);
std::string Join(const Words& words, std::string_view separator = ",");

// A path with repeated and trailing slashes taken out.
std::string CleanPath(std::string_view path);

}  // namespace phoenix::proxmox
