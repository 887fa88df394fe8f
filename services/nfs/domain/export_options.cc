#include "services/nfs/domain/export_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <map>

namespace phoenix::nfs {
namespace {

// A word that switches something, and what it switches to.
struct Switch {
  std::string_view word;
  // One of the two is set.
  bool FlavourFlags::* flavour_flag;
  bool ExportOptions::* flag;
  bool value;
};

constexpr std::array<Switch, 27> kSwitches = {{
    {"ro", &FlavourFlags::read_only, nullptr, true},
    {"rw", &FlavourFlags::read_only, nullptr, false},
    {"insecure", &FlavourFlags::insecure, nullptr, true},
    {"secure", &FlavourFlags::insecure, nullptr, false},
    {"root_squash", &FlavourFlags::root_squash, nullptr, true},
    {"no_root_squash", &FlavourFlags::root_squash, nullptr, false},
    {"all_squash", &FlavourFlags::all_squash, nullptr, true},
    {"no_all_squash", &FlavourFlags::all_squash, nullptr, false},
    {"async", nullptr, &ExportOptions::async, true},
    {"sync", nullptr, &ExportOptions::async, false},
    {"wdelay", nullptr, &ExportOptions::wdelay, true},
    {"no_wdelay", nullptr, &ExportOptions::wdelay, false},
    {"nohide", nullptr, &ExportOptions::nohide, true},
    {"hide", nullptr, &ExportOptions::nohide, false},
    {"crossmnt", nullptr, &ExportOptions::crossmnt, true},
    {"nocrossmnt", nullptr, &ExportOptions::crossmnt, false},
    {"subtree_check", nullptr, &ExportOptions::subtree_check, true},
    {"no_subtree_check", nullptr, &ExportOptions::subtree_check, false},
    {"insecure_locks", nullptr, &ExportOptions::insecure_locks, true},
    {"secure_locks", nullptr, &ExportOptions::insecure_locks, false},
    {"no_auth_nlm", nullptr, &ExportOptions::insecure_locks, true},
    {"auth_nlm", nullptr, &ExportOptions::insecure_locks, false},
    {"no_acl", nullptr, &ExportOptions::no_acl, true},
    {"acl", nullptr, &ExportOptions::no_acl, false},
    {"nordirplus", nullptr, &ExportOptions::nordirplus, true},
    {"pnfs", nullptr, &ExportOptions::pnfs, true},
    {"no_pnfs", nullptr, &ExportOptions::pnfs, false},
}};

// Words that belong on the client's side and that configurations in use contain all the same.
constexpr std::array<std::string_view, 24> kMountOptions = {
    "noatime", "atime",  "relatime", "nodiratime", "defaults", "soft",   "hard",  "intr",
    "nointr",  "nolock", "lock",     "bg",         "fg",       "tcp",    "udp",   "noauto",
    "auto",    "user",   "exec",     "noexec",     "suid",     "nosuid", "nodev", "_netdev"};
constexpr std::array<std::string_view, 8> kMountValues = {"vers",  "nfsvers", "rsize", "wsize",
                                                          "timeo", "retrans", "proto", "actimeo"};

constexpr std::array<std::string_view, 7> kFlavours = {"sys",  "krb5", "krb5i", "krb5p",
                                                       "none", "null", "unix"};
// Values of xprtsec= and of reexport=.
constexpr std::array<std::string_view, 3> kTransports = {"none", "tls", "mtls"};
constexpr std::array<std::string_view, 3> kReexports = {"auto-fsidnum", "predefined-fsidnum", "none"};

const Switch* FindSwitch(std::string_view word) {
  for (const Switch& one : kSwitches) {
    if (one.word == word) return &one;
  }
  return nullptr;
}

std::pair<std::string_view, std::optional<std::string_view>> SplitValue(std::string_view option) {
  const auto equals = option.find('=');
  if (equals == std::string_view::npos) return {option, std::nullopt};
  return {option.substr(0, equals), option.substr(equals + 1)};
}

std::optional<uint32_t> ParseNumber(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// An anonuid or anongid as exportfs takes it: -2 is 4294967294, and all of it is kept in 32 bits.
std::optional<uint32_t> IdOf(std::string_view text) {
  const std::string terminated(text);
  char* end = nullptr;
  const long number = std::strtol(terminated.c_str(), &end, 10);
  if (terminated.empty() || *end != '\0') return std::nullopt;
  return static_cast<uint32_t>(number);
}

// The same of an fsid, where 0x10 is 16 and 010 is 8. A UUID is none, but for one of 32 decimal digits:
// exportfs takes that for a number far too large, and keeps the largest there is.
std::optional<uint32_t> FsidNumber(std::string_view text) {
  const std::string terminated(text);
  char* end = nullptr;
  const unsigned long number = std::strtoul(terminated.c_str(), &end, 0);
  if (terminated.empty() || *end != '\0') return std::nullopt;
  return static_cast<uint32_t>(number);
}

// All that exportfs asks of a UUID.
bool HasUuidDigits(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); }) == 32;
}

bool IsUuid(std::string_view text) {
  return HasUuidDigits(text) && text.find_first_not_of("0123456789abcdefABCDEF-:") == std::string_view::npos;
}

// The table is written without any escape, so that a value with another character would break it for mountd.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("_./:@+-").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::vector<std::string_view> SplitFlavours(std::string_view text) {
  std::vector<std::string_view> flavours;
  while (true) {
    const auto colon = text.find(':');
    flavours.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return flavours;
    text.remove_prefix(colon + 1);
  }
}

template <size_t N>
bool Has(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// True where every one of the words between the colons is among `words`.
template <size_t N>
bool HasAll(const std::array<std::string_view, N>& words, std::string_view text) {
  const auto parts = SplitFlavours(text);
  return std::all_of(parts.begin(), parts.end(), [&](std::string_view part) { return Has(words, part); });
}

// squash_uids= and squash_gids= take ID or ID-ID, and for ID any digits, none too; -1 is refused. What
// follows a comma is another option: a list of ranges drops the line.
bool IsSquashRange(std::string_view text) {
  const auto take_id = [&text]() -> std::optional<int> {
    size_t length = text.starts_with('-') ? 1 : 0;
    while (length < text.size() && std::isdigit(static_cast<unsigned char>(text[length]))) ++length;
    const std::string id(text.substr(0, length));
    text.remove_prefix(length);
    const int number = static_cast<int>(std::strtol(id.c_str(), nullptr, 10));
    if (number == -1) return std::nullopt;
    return number;
  };
  if (!take_id()) return false;
  if (text.starts_with('-')) {
    text.remove_prefix(1);
    if (!take_id()) return false;
  }
  // A parenthesis would have ended the list before.
  return text.empty();
}

// Whether exportfs takes one option, whatever stands beside it.
bool IsTakenByExportfs(std::string_view option, bool knows_newer) {
  if (FindSwitch(option) != nullptr || option == "security_label") return true;
  const auto [name, value] = SplitValue(option);
  if (name == "mountpoint" || name == "mp") return true;
  if (!value) return false;
  if (name == "refer" || name == "replicas") return true;
  if (name == "anonuid" || name == "anongid") return IdOf(*value).has_value();
  if (name == "fsid") return *value == "root" || FsidNumber(*value) || HasUuidDigits(*value);
  if (name == "squash_uids" || name == "squash_gids") return IsSquashRange(*value);
  if (name == "sec") return HasAll(kFlavours, *value);
  if (name == "xprtsec") return knows_newer && HasAll(kTransports, *value);
  if (name == "reexport") return knows_newer && Has(kReexports, *value);
  return false;
}

std::string_view WithoutFirstBlanks(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  return text;
}

}  // namespace

std::optional<std::string> ProblemOf(std::string_view option) {
  if (FindSwitch(option) != nullptr) return std::nullopt;
  const auto [name, value] = SplitValue(option);
  if (option.empty()) return "an empty option";
  if (Has(kMountOptions, option) || (value && Has(kMountValues, name))) {
    return fmt::format(
        "«{}» is an option of mounting, not of exporting: exportfs rejects it. Set it where the export is "
        "mounted{}",
        option, option.ends_with("atime") ? ", or on the dataset" : "");
  }
  if (!IsPlain(value.value_or("")))
    return fmt::format("«{}» holds a character that the export table cannot carry", option);
  if (name == "anonuid" || name == "anongid") {
    // -2 is how other systems write nobody; exportfs takes it and means 4294967294.
    if (!value || !ParseNumber(*value)) return fmt::format("«{}» needs a number", option);
    return std::nullopt;
  }
  if (name == "fsid") {
    // exportfs drops the line for 08 or 09.
    if (value && ParseNumber(*value) && !FsidNumber(*value))
      return fmt::format("«{}» is octal by its first 0, and no such number: write it without", option);
    if (value && (*value == "root" || ParseNumber(*value) || IsUuid(*value))) return std::nullopt;
    return fmt::format("«{}» needs root, a number or a UUID", option);
  }
  if (name == "mountpoint" || name == "mp") {
    if (!value || value->starts_with('/')) return std::nullopt;
    return fmt::format("«{}» needs an absolute path", option);
  }
  if (name == "refer" || name == "replicas") {
    if (value && value->starts_with('/') && value->find('@') != std::string_view::npos) return std::nullopt;
    return fmt::format("«{}» needs PATH@HOST", option);
  }
  if (name == "sec") {
    for (const auto flavour : SplitFlavours(value.value_or(""))) {
      if (!Has(kFlavours, flavour))
        return fmt::format("«{}» names the unknown security flavour «{}»", option, flavour);
    }
    return std::nullopt;
  }
  return fmt::format("«{}» is no option of exports(5)", option);
}

bool IsNewerOption(std::string_view option) {
  const std::string_view name = SplitValue(option).first;
  return name == "xprtsec" || name == "reexport";
}

std::optional<std::string> RejectedByExportfs(std::string_view options, bool knows_newer) {
  bool reexported = false;
  // Blanks are passed over before an option only: behind one they are a part of it.
  for (options = WithoutFirstBlanks(options); !options.empty(); options = WithoutFirstBlanks(options)) {
    const auto comma = options.find(',');
    const std::string_view option = options.substr(0, comma);
    options.remove_prefix(comma == std::string_view::npos ? options.size() : comma + 1);
    const std::string_view name = SplitValue(option).first;
    // Once, and behind fsid=.
    const bool too_late = reexported && (name == "fsid" || name == "reexport");
    if (too_late) return fmt::format("«{}» stands behind reexport=", option);
    if (!IsTakenByExportfs(option, knows_newer)) {
      if (auto problem = ProblemOf(option)) return problem;
      return fmt::format("«{}» is nothing that exportfs takes", option);
    }
    reexported = reexported || name == "reexport";
  }
  return std::nullopt;
}

std::optional<std::string> ContradictionIn(const std::vector<std::string>& options) {
  std::map<std::string, std::string> said;
  for (const std::string& option : options) {
    const auto [name, value] = SplitValue(option);
    // What follows sec= speaks of those flavours only and may differ.
    if (name == "sec") return std::nullopt;
    std::string subject = name == "mp" ? "mountpoint" : std::string(name);
    std::string meaning = option;
    if (const Switch* found = FindSwitch(option)) {
      for (const Switch& other : kSwitches) {
        const bool same = found->flavour_flag != nullptr
                              ? other.flavour_flag == found->flavour_flag
                              : other.flavour_flag == nullptr && other.flag == found->flag;
        if (!same) continue;
        subject = other.word;  // the first word of the subject names it
        break;
      }
      meaning = found->value ? "on" : "off";
    }
    const auto [before, first] = said.emplace(subject, option);
    if (first) continue;
    const Switch* earlier = FindSwitch(before->second);
    const std::string earlier_meaning = earlier != nullptr ? (earlier->value ? "on" : "off") : before->second;
    if (earlier_meaning != meaning)
      return fmt::format("«{}» and «{}» contradict each other", before->second, option);
  }
  return std::nullopt;
}

std::vector<std::string> SplitOptions(std::string_view text) {
  std::vector<std::string> options;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view option = text.substr(0, comma);
    while (!option.empty() && (option.front() == ' ' || option.front() == '\t')) option.remove_prefix(1);
    while (!option.empty() && (option.back() == ' ' || option.back() == '\t')) option.remove_suffix(1);
    if (!option.empty()) options.emplace_back(option);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return options;
}

std::string JoinOptions(const std::vector<std::string>& options) {
  return fmt::format("{}", fmt::join(options, ","));
}

ExportOptions Meaning(const std::vector<std::string>& options) {
  ExportOptions meaning;
  std::vector<size_t> active;  // flavours that the last sec= named: flags speak of them too
  for (const std::string& option : options) {
    if (const Switch* found = FindSwitch(option)) {
      if (found->flavour_flag != nullptr) {
        meaning.flags.*(found->flavour_flag) = found->value;
        for (const size_t index : active)
          meaning.flavours[index].second.*(found->flavour_flag) = found->value;
      } else {
        meaning.*(found->flag) = found->value;
      }
      continue;
    }
    const auto [name, value] = SplitValue(option);
    const std::string text(value.value_or(""));
    if (name == "mountpoint" || name == "mp") meaning.mount_point = text;
    if (!value) continue;
    if (name == "anonuid") meaning.anonuid = IdOf(text).value_or(meaning.anonuid);
    if (name == "anongid") meaning.anongid = IdOf(text).value_or(meaning.anongid);
    if (name == "refer") meaning.refer = text;
    if (name == "replicas") meaning.replicas = text;
    if (name == "fsid") {
      if (const auto number = text == "root" ? std::optional<uint32_t>(0) : FsidNumber(text)) {
        meaning.fsid = number;
      } else if (HasUuidDigits(text)) {
        meaning.uuid = text;
      }
    }
    if (name != "sec" || !HasAll(kFlavours, text)) continue;
    active.clear();
    for (const auto word : SplitFlavours(text)) {
      const std::string flavour(word == "unix" ? "sys" : word == "null" ? "none" : word);
      size_t index = 0;
      while (index < meaning.flavours.size() && meaning.flavours[index].first != flavour) ++index;
      if (index == meaning.flavours.size()) meaning.flavours.emplace_back(flavour, meaning.flags);
      active.push_back(index);
    }
  }
  if (meaning.flavours.empty()) meaning.flavours.emplace_back("sys", meaning.flags);
  return meaning;
}

bool TableSays(const std::vector<std::string>& table, const std::vector<std::string>& wanted) {
  ExportOptions there = Meaning(table);
  ExportOptions here = Meaning(wanted);
  const auto flavours =
      std::find_if(table.begin(), table.end(), [](const auto& word) { return word.starts_with("sec="); });
  const bool told = std::any_of(flavours, table.end(),
                                [](const auto& word) { return word == "secure" || word == "insecure"; });
  if (!told) {
    for (ExportOptions* options : {&there, &here}) {
      for (auto& [flavour, flags] : options->flavours) flags.insecure = options->flags.insecure;
    }
  }
  return there == here;
}

std::string TableText(const ExportOptions& options) {
  std::string text = fmt::format(
      "{},{},{},{},{},{},{},{},{},{},{}", options.flags.read_only ? "ro" : "rw",
      options.async ? "async" : "sync", options.wdelay ? "wdelay" : "no_wdelay",
      options.nohide ? "nohide" : "hide", options.crossmnt ? "crossmnt" : "nocrossmnt",
      options.flags.insecure ? "insecure" : "secure",
      options.flags.root_squash ? "root_squash" : "no_root_squash",
      options.flags.all_squash ? "all_squash" : "no_all_squash",
      options.subtree_check ? "subtree_check" : "no_subtree_check",
      options.insecure_locks ? "insecure_locks" : "secure_locks", options.no_acl ? "no_acl" : "acl");
  if (options.nordirplus) text += ",nordirplus";
  text += options.pnfs ? ",pnfs" : ",no_pnfs";
  // All numbers are printed as signed ones.
  if (options.fsid) text += fmt::format(",fsid={}", static_cast<int32_t>(*options.fsid));
  if (!options.uuid.empty()) text += ",fsid=" + options.uuid;
  if (options.mount_point)
    text += options.mount_point->empty() ? ",mountpoint" : ",mountpoint=" + *options.mount_point;
  if (!options.refer.empty()) text += ",refer=" + options.refer;
  if (!options.replicas.empty()) text += ",replicas=" + options.replicas;
  text += fmt::format(",anonuid={},anongid={}", static_cast<int32_t>(options.anonuid),
                      static_cast<int32_t>(options.anongid));
  for (size_t i = 0; i < options.flavours.size(); ++i) {
    const auto& [flavour, flags] = options.flavours[i];
    if (i > 0 && options.flavours[i - 1].second == flags) continue;
    text += ",sec=" + flavour;
    for (size_t next = i + 1; next < options.flavours.size() && options.flavours[next].second == flags;
         ++next) {
      text += ":" + options.flavours[next].first;
    }
    text += fmt::format(",{},{},{},{}", flags.read_only ? "ro" : "rw", flags.insecure ? "insecure" : "secure",
                        flags.root_squash ? "root_squash" : "no_root_squash",
                        flags.all_squash ? "all_squash" : "no_all_squash");
  }
  return text;
}

}  // namespace phoenix::nfs
