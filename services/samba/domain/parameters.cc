#include "services/samba/domain/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace phoenix::samba {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kSynonyms = {{
    {"browsable", "browseable"},
    {"public", "guest ok"},
    {"onlyguest", "guest only"},
    {"createmode", "create mask"},
    {"directorymode", "directory mask"},
    {"group", "force group"},
    {"allowhosts", "hosts allow"},
    {"denyhosts", "hosts deny"},
    {"vfsobject", "vfs objects"},
    {"casesignames", "case sensitive"},
    {"exec", "preexec"},
    {"directory", "path"},
    {"smbencrypt", "server smb encrypt"},
}};

// All mean the opposite of "read only".
constexpr std::array<std::string_view, 3> kInverted = {"writable", "writeable", "writeok"};

constexpr std::array<std::string_view, 9> kBooleans = {"browseable", "read only",    "guest ok",
                                                       "guest only", "available",    "oplocks",
                                                       "ea support", "inherit acls", "inherit permissions"};

// Whoever may write these may run programs as root, or reach files beyond the share.
constexpr std::array<std::string_view, 18> kRefused = {"configfile",         "copy",
                                                       "dfreecommand",       "include",
                                                       "lppausecommand",     "lpqcommand",
                                                       "lpresumecommand",    "lprmcommand",
                                                       "magicoutput",        "magicscript",
                                                       "postexec",           "preexec",
                                                       "printcommand",       "queuepausecommand",
                                                       "queueresumecommand", "rootpostexec",
                                                       "rootpreexec",        "path"};

constexpr std::array<std::string_view, 12> kGlobals = {
    "workgroup",           "netbios name",   "server string",      "server min protocol",
    "server max protocol", "server signing", "server smb encrypt", "map to guest",
    "log level",           "max log size",   "deadtime",           "disable netbios"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

std::string Trimmed(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return std::string(text);
}

std::string Lowered(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), Lower);
  return lowered;
}

// An octal mask without its leading zeros; nullopt for anything else.
std::optional<std::string> Octal(std::string_view text) {
  if (text.empty() || text.find_first_not_of("01234567") != std::string_view::npos) return std::nullopt;
  while (text.size() > 1 && text.front() == '0') text.remove_prefix(1);
  return std::string(text);
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const size_t more = byte < 0x80                   ? 0
                        : byte >= 0xC2 && byte < 0xE0 ? 1
                        : byte >= 0xE0 && byte < 0xF0 ? 2
                        : byte >= 0xF0 && byte < 0xF5 ? 3
                                                      : text.size();
    if (i + more >= text.size()) return false;
    uint32_t code = more == 0 ? byte : byte & (0x3Fu >> more);
    for (size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<uint8_t>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3F);
    }
    // Longer than needed, a surrogate, or past the end of Unicode.
    if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000)) return false;
    if ((code >= 0xD800 && code < 0xE000) || code > 0x10FFFF) return false;
    i += more + 1;
  }
  return true;
}

// What testparm prints for the first ones is the second ones. "if_required" is a value of signing and
// encryption only, so that "auto" may stand for it everywhere.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kSameWords = {{
    {"mandatory", "required"},
    {"forced", "required"},
    {"enforced", "required"},
    {"auto", "if_required"},
    {"smb2_10", "smb2"},
    {"smb3_11", "smb3"},
    {"disabled", "no"},
}};

std::string MainWord(std::string word) {
  for (const auto& [other, main] : kSameWords) {
    if (word == other) return std::string(main);
  }
  return word;
}

}  // namespace

std::vector<std::string> Words(std::string_view list) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : list) {
    if (IsBlank(c) || c == ',' || c == ';') {
      if (!word.empty()) words.push_back(std::exchange(word, {}));
    } else {
      word += c;
    }
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

std::optional<bool> ParseBool(std::string_view text) {
  const std::string word = Lowered(Trimmed(text));
  if (word == "yes" || word == "true" || word == "on" || word == "1") return true;
  if (word == "no" || word == "false" || word == "off" || word == "0") return false;
  return std::nullopt;
}

std::string Squeezed(std::string_view name) {
  std::string squeezed;
  for (const char c : name) {
    if (!IsBlank(c)) squeezed += Lower(c);
  }
  return squeezed;
}

std::optional<Parameter> Canonical(std::string_view name, std::string_view value) {
  const std::string squeezed = Squeezed(name);
  Parameter parameter{"", Trimmed(value)};
  if (std::find(kInverted.begin(), kInverted.end(), squeezed) != kInverted.end()) {
    const auto writable = ParseBool(value);
    if (!writable) return std::nullopt;
    return Parameter{"read only", *writable ? "No" : "Yes"};
  }
  for (const auto& [other, canonical] : kSynonyms) {
    if (squeezed == other) parameter.name = canonical;
  }
  for (const std::string_view known : kBooleans) {
    if (squeezed == Squeezed(known)) parameter.name = known;
  }
  if (parameter.name.empty()) {
    for (const std::string& word : Words(Lowered(name)))
      parameter.name += (parameter.name.empty() ? "" : " ") + word;
  }
  if (std::find(kBooleans.begin(), kBooleans.end(), parameter.name) != kBooleans.end()) {
    if (const auto boolean = ParseBool(value)) parameter.value = *boolean ? "Yes" : "No";
  }
  return parameter;
}

bool MeansTheSame(std::string_view a, std::string_view b) {
  const std::string left = MainWord(Lowered(Trimmed(a))), right = MainWord(Lowered(Trimmed(b)));
  if (left == right) return true;
  // Two numbers are compared as numbers: "01" is no "yes".
  const auto left_octal = Octal(left), right_octal = Octal(right);
  if (left_octal && right_octal) return *left_octal == *right_octal;
  const auto left_bool = ParseBool(left), right_bool = ParseBool(right);
  if (left_bool && right_bool) return *left_bool == *right_bool;
  return Words(left) == Words(right);
}

bool SameValue(std::string_view name, std::string_view a, std::string_view b) {
  const bool verbatim = name == "path" || name == "comment" || name.find(':') != std::string_view::npos;
  return verbatim ? Trimmed(a) == Trimmed(b) : MeansTheSame(a, b);
}

std::string WhyRefused(std::string_view name, std::string_view value) {
  const std::string squeezed = Squeezed(name);
  for (const std::string_view refused : kRefused) {
    if (squeezed == refused) return "it would run programs, read other files or move the share";
  }
  if (name.empty() || !IsOneLine(name) || name.find_first_of("[]\\%#;\"=") != std::string_view::npos) {
    return "this name cannot be written into smb.conf";
  }
  if (!IsOneLine(value)) return "its value holds control characters or is not UTF-8";
  if (!value.empty() && value.back() == '\\') return "a backslash at the end would swallow the next line";
  return "";
}

bool IsSettableGlobal(std::string_view name) {
  return std::any_of(kGlobals.begin(), kGlobals.end(),
                     [&](std::string_view global) { return Squeezed(global) == Squeezed(name); });
}

bool IsOneLine(std::string_view text) {
  return IsUtf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<uint8_t>(c) < 0x20 || static_cast<uint8_t>(c) == 0x7F;
         });
}

}  // namespace phoenix::samba
