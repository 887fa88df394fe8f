#include "orchestrator/config/samba_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "orchestrator/config/names.h"

namespace phoenix::config {
namespace {

// Other names of the same parameter.
const std::map<std::string_view, std::string_view> kSynonyms = {
    {"browsable", "browseable"},
    {"writeable", "writable"},
    {"write ok", "writable"},
    {"public", "guest ok"},
    {"only guest", "guest only"},
    {"create mode", "create mask"},
    {"directory mode", "directory mask"},
    {"group", "force group"},
    {"allow hosts", "hosts allow"},
    {"deny hosts", "hosts deny"},
    {"vfs object", "vfs objects"},
    {"casesignames", "case sensitive"},
    {"exec", "preexec"},
    {"directory", "path"},
    {"smb encrypt", "server smb encrypt"},
};

const std::set<std::string_view> kKnown = {"acl allow execute always",
                                           "acl group control",
                                           "acl map full control",
                                           "administrative share",
                                           "admin users",
                                           "aio read size",
                                           "aio write size",
                                           "allocation roundup size",
                                           "available",
                                           "blocking locks",
                                           "block size",
                                           "browseable",
                                           "case sensitive",
                                           "check parent directory delete on close",
                                           "comment",
                                           "create mask",
                                           "csc policy",
                                           "default case",
                                           "delete readonly",
                                           "delete veto files",
                                           "dfree cache time",
                                           "directory mask",
                                           "directory name cache size",
                                           "dont descend",
                                           "dos filemode",
                                           "dos filetime resolution",
                                           "dos filetimes",
                                           "durable handles",
                                           "ea support",
                                           "fake directory create times",
                                           "fake oplocks",
                                           "follow symlinks",
                                           "force create mode",
                                           "force directory mode",
                                           "force group",
                                           "force unknown acl user",
                                           "force user",
                                           "fstype",
                                           "guest ok",
                                           "guest only",
                                           "hide dot files",
                                           "hide files",
                                           "hide new files timeout",
                                           "hide special files",
                                           "hide unreadable",
                                           "hide unwriteable files",
                                           "hosts allow",
                                           "hosts deny",
                                           "inherit acls",
                                           "inherit owner",
                                           "inherit permissions",
                                           "invalid users",
                                           "kernel oplocks",
                                           "kernel share modes",
                                           "level2 oplocks",
                                           "locking",
                                           "mangled names",
                                           "mangling char",
                                           "map acl inherit",
                                           "map archive",
                                           "map hidden",
                                           "map readonly",
                                           "map system",
                                           "max connections",
                                           "min print space",
                                           "msdfs proxy",
                                           "msdfs root",
                                           "msdfs shuffle referrals",
                                           "nt acl support",
                                           "oplocks",
                                           "posix locking",
                                           "preserve case",
                                           "printable",
                                           "read list",
                                           "read only",
                                           "server smb encrypt",
                                           "short preserve case",
                                           "smbd async dosmode",
                                           "smbd getinfo ask sharemode",
                                           "smbd max async dosmode",
                                           "smbd max xattr size",
                                           "smbd search ask sharemode",
                                           "spotlight",
                                           "spotlight backend",
                                           "store dos attributes",
                                           "strict allocate",
                                           "strict locking",
                                           "strict rename",
                                           "strict sync",
                                           "sync always",
                                           "use sendfile",
                                           "valid users",
                                           "veto files",
                                           "veto oplock files",
                                           "vfs objects",
                                           "volume",
                                           "volume serial number",
                                           "wide links",
                                           "writable",
                                           "write list"};

// With these a configuration could run programs as root or reach files beyond the share.
const std::set<std::string_view> kRefused = {"config file",
                                             "copy",
                                             "dfree command",
                                             "include",
                                             "lppause command",
                                             "lpq command",
                                             "lpresume command",
                                             "lprm command",
                                             "magic output",
                                             "magic script",
                                             "path",
                                             "postexec",
                                             "preexec",
                                             "print command",
                                             "queuepause command",
                                             "queueresume command",
                                             "root postexec",
                                             "root preexec"};

// Samba compares names without blanks and case.
std::string Squeezed(std::string_view name) {
  std::string squeezed;
  for (const char c : ToLower(name)) {
    if (c != ' ' && c != '\t') squeezed += c;
  }
  return squeezed;
}

// The main name of what `name` stands for, if it is known.
std::optional<std::string> MainName(std::string_view name) {
  static const std::map<std::string, std::string> kByName = [] {
    std::map<std::string, std::string> names;
    for (const std::string_view known : kKnown) names[Squeezed(known)] = known;
    for (const std::string_view refused : kRefused) names[Squeezed(refused)] = refused;
    for (const auto& [other, main] : kSynonyms) names[Squeezed(other)] = main;
    return names;
  }();
  const auto found = kByName.find(Squeezed(name));
  if (found == kByName.end()) return std::nullopt;
  return found->second;
}

void Add(std::string_view given_name, std::string_view given_value, const Cursor& place,
         std::vector<SambaOption>& options) {
  Findings& findings = place.findings();
  std::string_view value = Trimmed(given_value);
  while (!value.empty() && (value.back() == ',' || value.back() == ';')) value.remove_suffix(1);
  const std::string name = MainName(given_name).value_or(ToLower(Trimmed(given_name)));
  if (kRefused.count(name) > 0) {
    findings.Error(
        "refused-samba-option", place.origin(),
        fmt::format("the parameter {} would run programs, read other files or move the share", Quoted(name)),
        {}, "parameters of access and behaviour");
    return;
  }
  if (name.empty() || !IsPrintable(name) || name.find_first_of("[]\\%#;\"=") != std::string::npos) {
    findings.Error("invalid-samba-option", place.origin(), "this is no name of a parameter", Quoted(name),
                   "printable ASCII without [, ], \\, %, #, ;, = and \"");
    return;
  }
  // Samba reads smb.conf as UTF-8, so that a comment may be in any language.
  const bool is_line = std::none_of(value.begin(), value.end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (!is_line || (!value.empty() && value.back() == '\\')) {
    findings.Error("invalid-samba-option", place.origin(), "this value cannot be written into smb.conf",
                   Quoted(name), "one line of text without \\ at its end");
    return;
  }
  const bool parametric = name.find(':') != std::string::npos;
  if (!parametric && kKnown.count(name) == 0) {
    findings.Lint("unknown-samba-option", place.origin(), "Samba may not know this parameter of a share",
                  Quoted(name));
  }
  options.push_back({name, std::string(value), place.origin()});
}

// A word with "=" ends a name that may have begun some words earlier: "read only=no create mask=0660". The
// longest known name wins; the words before it belong to the value before.
void SplitString(const std::string& text, const Cursor& place, std::vector<SambaOption>& options) {
  bool begun = false;  // a "=" was there, with or without a name before it
  std::string name;
  std::vector<std::string> pending;  // words since the last "="
  const auto flush = [&](std::size_t words_of_value) {
    std::string value;
    for (std::size_t i = 0; i < words_of_value; ++i) value += (i > 0 ? " " : "") + pending[i];
    if (begun) Add(name, value, place, options);
    pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(words_of_value));
  };
  const auto refuse = [&](const std::string& words) {
    place.findings().Error("invalid-samba-option", place.origin(), "this item is no parameter", Quoted(words),
                           "name=value");
  };
  for (const std::string_view word : SplitTrimmed(text, " \t\r\n")) {
    const std::size_t equals = word.find('=');
    const std::string head(word.substr(0, equals));
    if (equals == std::string_view::npos) {
      pending.emplace_back(word);
      continue;
    }
    std::size_t first = pending.size();
    for (std::size_t start = 0; start <= pending.size(); ++start) {
      std::string candidate;
      for (std::size_t i = start; i < pending.size(); ++i) candidate += pending[i] + " ";
      if (MainName(candidate + head).has_value()) {
        first = start;
        break;
      }
    }
    if (!begun && first > 0) {
      refuse(pending[0]);
      pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(first));
      first = 0;
    }
    flush(first);
    name.clear();
    for (const std::string& part : pending) name += part + " ";
    name += head;
    begun = true;
    pending.clear();
    const std::string_view value = word.substr(equals + 1);
    if (!value.empty()) pending.emplace_back(value);
  }
  if (!begun && !pending.empty()) refuse(pending[0]);
  flush(pending.size());
}

}  // namespace

std::optional<bool> ParseSambaBool(std::string_view text) {
  const std::string word = ToLower(text);
  if (word == "yes" || word == "true" || word == "on" || word == "1") return true;
  if (word == "no" || word == "false" || word == "off" || word == "0") return false;
  return std::nullopt;
}

std::vector<SambaOption> ReadSambaOptions(const Cursor& cursor) {
  std::vector<SambaOption> options;
  if (cursor.is_string()) {
    SplitString(cursor.json().get_ref<const std::string&>(), cursor, options);
    return options;
  }
  for (const auto& [name, value] : cursor.Members()) {
    if (!value.present()) continue;
    if (value.is_string()) {
      Add(name, value.json().get_ref<const std::string&>(), value, options);
    } else if (value.json().is_boolean()) {
      Add(name, value.json().get<bool>() ? "yes" : "no", value, options);
    } else if (value.json().is_number_unsigned()) {
      Add(name, value.json().dump(), value, options);
    } else {
      value.Error("wrong-type", "this has the wrong type", "a string, a number, true or false");
    }
  }
  return options;
}

}  // namespace phoenix::config
