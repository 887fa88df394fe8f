#include "orchestrator/config/names.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace phoenix::config {
namespace {

constexpr std::size_t kLongestZfsName = 255;
// ZFS keeps room behind a pool's name for "/$ORIGIN@$ORIGIN".
constexpr std::size_t kLongestPoolName = 239;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsAlnum(char c) { return IsDigit(c) || IsLetter(c); }

bool AllOf(std::string_view text, std::string_view also) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return IsAlnum(c) || also.find(c) != std::string_view::npos; });
}

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool IsComponent(std::string_view name) { return !name.empty() && IsAlnum(name[0]) && AllOf(name, "_.:-"); }

bool IsLabel(std::string_view label) {
  return !label.empty() && label.size() <= 63 && IsAlnum(label.front()) && IsAlnum(label.back()) &&
         AllOf(label, "-");
}

}  // namespace

std::optional<std::string> PoolNameProblem(std::string_view name) {
  // Words of `zpool create`: the types of vdevs, some of them with more behind, and the classes of devices.
  const bool reserved = StartsWith(name, "mirror") || StartsWith(name, "raidz") ||
                        StartsWith(name, "draid") || StartsWith(name, "spare") || name == "log" ||
                        name == "cache" || name == "special" || name == "dedup";
  // ZFS itself asks for a letter first.
  if (IsComponent(name) && IsLetter(name[0]) && name.size() <= kLongestPoolName && !reserved)
    return std::nullopt;
  return "239 characters at most: a letter, then letters, digits and _.:-, and not mirror*, raidz*, draid*, "
         "spare*, log, cache, special or dedup";
}

std::optional<std::string> DatasetNameProblem(std::string_view name) {
  bool valid = !name.empty() && name.size() <= kLongestZfsName;
  for (std::string_view rest = name; valid;) {
    const std::size_t slash = rest.find('/');
    valid = IsComponent(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (valid) return std::nullopt;
  return "components of letters, digits and _.:- that start with a letter or digit, joined by /, 255 "
         "characters at most";
}

std::optional<std::string> StorageIdProblem(std::string_view id) {
  if (id == "local") return "any id but \"local\", which Proxmox defines itself";
  if (id.size() >= 2 && IsLetter(id.front()) && IsAlnum(id.back()) && AllOf(id, "._-")) return std::nullopt;
  return "two characters at least: a letter, then letters, digits and ._-, with a letter or digit at the end";
}

std::optional<std::string> ShareNameProblem(std::string_view name) {
  const bool reserved = [&] {
    std::string lower(name);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return lower == "global" || lower == "homes" || lower == "printers" || lower == "print$" ||
           lower == "ipc$" || lower == "admin$";
  }();
  if (!name.empty() && name.size() <= 80 && IsAlnum(name.front()) && name.back() != ' ' &&
      AllOf(name, " _.$-") && !reserved) {
    return std::nullopt;
  }
  return "80 characters at most: letters, digits, blanks and _.$- with a letter or digit first, and not "
         "global, homes, printers, print$, IPC$ or ADMIN$";
}

std::optional<std::string> UserNameProblem(std::string_view name) {
  std::string_view body = name;
  if (!body.empty() && body.back() == '$') body.remove_suffix(1);
  if (!body.empty() && name.size() <= 32 && (IsLetter(body[0]) || body[0] == '_') && AllOf(body, "_.-")) {
    return std::nullopt;
  }
  return "32 characters at most: a letter or _, then letters, digits and _.-";
}

bool IsId(std::string_view text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size() && id != UINT32_MAX;
}

std::optional<std::string> SambaAccountProblem(std::string_view name) {
  const bool valid = !name.empty() && name.size() <= 32 && !IsDigit(name[0]) && name[0] != '-' &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || IsDigit(c) || c == '_' || c == '-';
                     });
  if (valid) return std::nullopt;
  return "32 characters at most: a lower-case letter or _, then lower-case letters, digits, _ and -";
}

std::optional<std::string> WorkgroupProblem(std::string_view name) {
  if (!name.empty() && name.size() <= 15 && IsAlnum(name[0]) && AllOf(name, "_.-")) return std::nullopt;
  return "15 characters at most: letters, digits and _.- with a letter or digit first";
}

std::optional<std::string> HostLabelProblem(std::string_view name) {
  if (IsLabel(name)) return std::nullopt;
  return "63 characters at most: letters, digits and -, with a letter or digit at both ends";
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

bool IsHostName(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  std::string_view last;
  for (std::string_view rest = text;;) {
    const std::size_t dot = rest.find('.');
    last = rest.substr(0, dot);
    if (!IsLabel(last)) return false;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  return !std::all_of(last.begin(), last.end(), IsDigit);
}

std::optional<std::string> NormalisedPath(std::string_view path) {
  if (path.empty() || path[0] != '/' || !IsPrintable(path)) return std::nullopt;
  std::string normal;
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t start = rest.find_first_not_of('/');
    if (start == std::string_view::npos) break;
    rest.remove_prefix(start);
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part == "." || part == "..") return std::nullopt;
    normal += '/';
    normal += part;
    rest.remove_prefix(part.size());
  }
  return normal.empty() ? "/" : normal;
}

}  // namespace phoenix::config
