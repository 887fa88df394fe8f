#include "services/nfs/domain/export_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
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

bool IsUuid(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); }) == 32 &&
         text.find_first_not_of("0123456789abcdefABCDEF-:") == std::string_view::npos;
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
    if (ProblemOf(option)) continue;
    const auto [name, value] = SplitValue(option);
    const std::string text(value.value_or(""));
    if (name == "anonuid") meaning.anonuid = *ParseNumber(text);
    if (name == "anongid") meaning.anongid = *ParseNumber(text);
    if (name == "fsid") meaning.fsid = text == "root" ? "0" : text;
    if (name == "mountpoint" || name == "mp") meaning.mount_point = text;
    if (name == "refer") meaning.refer = text;
    if (name == "replicas") meaning.replicas = text;
    if (name != "sec") continue;
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
  if (!options.fsid.empty()) text += ",fsid=" + options.fsid;
  if (options.mount_point)
    text += options.mount_point->empty() ? ",mountpoint" : ",mountpoint=" + *options.mount_point;
  if (!options.refer.empty()) text += ",refer=" + options.refer;
  if (!options.replicas.empty()) text += ",replicas=" + options.replicas;
  text += fmt::format(",anonuid={},anongid={}", options.anonuid, options.anongid);
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
