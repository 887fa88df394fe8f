#include "orchestrator/config/nfs_grammar.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "absl/status/status.h"
#include "orchestrator/config/names.h"
#include "orchestrator/config/nfs_meaning.h"

namespace phoenix::config {
namespace {

constexpr const char* kClientsAllowed =
    "an address (10.0.0.1), a subnet (10.0.0.0/24), a host name or @netgroup";

std::optional<int> ParseNumber(std::string_view text, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0 || value > most) {
    return std::nullopt;
  }
  return value;
}

// Clears the bits behind the first `prefix` ones; true if one was set.
template <std::size_t kSize>
bool ClearHostBits(std::array<std::uint8_t, kSize>& bytes, int prefix) {
  bool cleared = false;
  for (std::size_t i = 0; i < kSize; ++i) {
    const int kept = std::clamp(prefix - static_cast<int>(i) * 8, 0, 8);
    const auto mask = static_cast<std::uint8_t>(0xff00U >> static_cast<unsigned>(kept));
    cleared = cleared || (bytes[i] & static_cast<std::uint8_t>(~mask)) != 0;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & mask);
  }
  return cleared;
}

template <std::size_t kSize>
std::optional<NfsClient> ParseAddress(int family, const std::string& address,
                                      std::optional<std::string_view> prefix) {
  std::array<std::uint8_t, kSize> bytes{};
  if (inet_pton(family, address.c_str(), bytes.data()) != 1) return std::nullopt;
  constexpr int kBits = static_cast<int>(kSize) * 8;
  NfsClient client;
  std::optional<int> length;
  if (prefix.has_value()) {
    length = ParseNumber(*prefix, kBits);
    // A prefix of 0 is everybody, which nobody may become by a slip.
    if (!length.has_value() || *length == 0) return std::nullopt;
    client.had_host_bits = ClearHostBits(bytes, *length);
  }
  std::array<char, INET6_ADDRSTRLEN> shown{};
  if (inet_ntop(family, bytes.data(), shown.data(), shown.size()) == nullptr) return std::nullopt;
  client.canonical = shown.data();
  // A subnet of one address is that address.
  if (length.has_value() && *length < kBits) client.canonical += fmt::format("/{}", *length);
  return client;
}

// An address or subnet as ParseNfsClient() writes it.
struct Network {
  int family = AF_INET;
  int prefix = 0;
  std::array<std::uint8_t, 16> bytes{};
};

std::optional<Network> NetworkOf(std::string_view canonical) {
  const std::size_t slash = canonical.find('/');
  const std::string address(canonical.substr(0, slash));
  Network network;
  if (inet_pton(AF_INET, address.c_str(), network.bytes.data()) == 1) {
    network.prefix = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), network.bytes.data()) == 1) {
    network.family = AF_INET6;
    network.prefix = 128;
  } else {
    return std::nullopt;
  }
  if (slash != std::string_view::npos)
    network.prefix = ParseNumber(canonical.substr(slash + 1), network.prefix).value_or(network.prefix);
  return network;
}

bool IsNetgroup(std::string_view text) {
  if (text.size() < 2 || text[0] != '@') return false;
  return std::all_of(text.begin() + 1, text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

// Words of nfs(5) and mount(8) that people put here by mistake.
const std::set<std::string_view> kMountOptions = {"noatime",      "atime",      "relatime",
                                                  "nodiratime",   "diratime",   "nolock",
                                                  "lock",         "soft",       "hard",
                                                  "vers",         "nfsvers",    "rsize",
                                                  "wsize",        "timeo",      "retrans",
                                                  "retry",        "_netdev",    "noexec",
                                                  "exec",         "nosuid",     "suid",
                                                  "nodev",        "dev",        "defaults",
                                                  "auto",         "noauto",     "user",
                                                  "nouser",       "users",      "bg",
                                                  "fg",           "intr",       "nointr",
                                                  "tcp",          "udp",        "proto",
                                                  "port",         "nconnect",   "ac",
                                                  "noac",         "actimeo",    "acregmin",
                                                  "acregmax",     "acdirmin",   "acdirmax",
                                                  "lookupcache",  "local_lock", "fsc",
                                                  "nofail",       "namlen",     "mountport",
                                                  "mountproto",   "mountvers",  "mountaddr",
                                                  "minorversion", "clientaddr", "x-systemd.automount"};

// The table of exports is written without any escape, so that another character would break it.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_./:@+-").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

bool IsUnsigned(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

bool IsUuid(std::string_view text) {
  const auto hex =
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  return hex == 32 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isxdigit(c) != 0 || c == '-' || c == ':';
         });
}

// What is allowed behind `name=`, where `value` is not; nothing if it is fine.
std::optional<std::string> ValueProblem(std::string_view name, std::string_view value) {
  if (!IsPlain(value)) return "letters, digits and _./:@+-, without blanks";
  if (name == "anonuid" || name == "anongid") {
    if (IsUnsigned(value)) return std::nullopt;
    return "a number from 0 to 4294967295";
  }
  if (name == "fsid") {
    // exportfs takes 010 for 8, and drops the line for 08.
    if (IsUnsigned(value) && value.size() > 1 && value.front() == '0')
      return "a number without a 0 in front, which makes it octal";
    if (value == "root" || IsUnsigned(value) || IsUuid(value)) return std::nullopt;
    return "a number, root or a UUID";
  }
  if (name == "sec") {
    static const std::set<std::string_view> kFlavours = {"sys",  "krb5", "krb5i", "krb5p",
                                                         "none", "null", "unix"};
    for (std::string_view rest = value;;) {
      const std::size_t colon = rest.find(':');
      if (kFlavours.count(rest.substr(0, colon)) == 0)
        return "sys, krb5, krb5i, krb5p or none, joined by colons";
      if (colon == std::string_view::npos) return std::nullopt;
      rest.remove_prefix(colon + 1);
    }
  }
  if (name == "mountpoint" || name == "mp") {
    if (NormalisedPath(value).has_value()) return std::nullopt;
    return "an absolute path";
  }
  if (!value.empty() && value.front() == '/' && value.find('@') != std::string_view::npos)
    return std::nullopt;
  return "PATH@HOST, joined by colons";
}

const std::set<std::string_view> kWithValue = {"anonuid",    "anongid", "fsid",  "sec",
                                               "mountpoint", "mp",      "refer", "replicas"};

// Options of exports(5) whose effect on a node cannot be compared yet.
const std::set<std::string_view> kUnsupported = {"security_label", "xprtsec", "reexport"};

// Says what is wrong with one option; true if nothing is.
bool CheckOption(const Text& option, Findings& findings) {
  const std::size_t equals = option.value.find('=');
  const std::string name = option.value.substr(0, equals);
  const bool may_be_alone = ExportFlags().count(name) > 0 || name == "mountpoint" || name == "mp";
  if (equals == std::string::npos && may_be_alone) return true;
  if (equals != std::string::npos && kWithValue.count(name) > 0) {
    const auto allowed = ValueProblem(name, option.value.substr(equals + 1));
    if (!allowed.has_value()) return true;
    findings.Error("invalid-export-option", option.origin,
                   fmt::format("option {} has no valid value", Quoted(name)), Quoted(option.value), *allowed);
    return false;
  }
  if (kUnsupported.count(name) > 0) {
    findings.Error("unsupported-export-option", option.origin,
                   fmt::format("option {} is not supported yet", Quoted(name)), Quoted(option.value),
                   "an export without it");
    return false;
  }
  if (kMountOptions.count(name) > 0) {
    const bool atime = name == "noatime" || name == "atime" || name == "relatime";
    findings.Error(
        "mount-option-in-export", option.origin,
        fmt::format("{} is an option of the client's mount; exportfs refuses it and drops the export{}",
                    Quoted(name), atime ? " (the dataset property atime=off may be meant)" : ""),
        Quoted(option.value), "the options of exports(5)");
    return false;
  }
  std::vector<std::string> known;
  known.reserve(ExportFlags().size() + kWithValue.size() + 2);
  for (const auto& [flag, meaning] : ExportFlags()) known.emplace_back(flag);
  for (const char* word : {"mountpoint", "mp"}) known.emplace_back(word);
  for (const std::string_view word : kWithValue) known.push_back(fmt::format("{}=", word));
  std::sort(known.begin(), known.end());
  findings.Error("unknown-export-option", option.origin, "exportfs does not know this option",
                 Quoted(option.value), OneOf(known));
  return false;
}

}  // namespace

absl::StatusOr<NfsClient> ParseNfsClient(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  std::optional<std::string_view> prefix;
  if (slash != std::string_view::npos) prefix = text.substr(slash + 1);
  if (const auto client = ParseAddress<4>(AF_INET, address, prefix)) return *client;
  if (const auto client = ParseAddress<16>(AF_INET6, address, prefix)) return *client;
  if (!prefix.has_value() && IsHostName(text)) return NfsClient{ToLower(text)};
  if (!prefix.has_value() && IsNetgroup(text)) return NfsClient{std::string(text)};
  return absl::InvalidArgumentError(kClientsAllowed);
}

bool IsAddressOrSubnet(std::string_view canonical) { return NetworkOf(canonical).has_value(); }

bool ClientsOverlap(std::string_view a, std::string_view b) {
  const auto left = NetworkOf(a);
  const auto right = NetworkOf(b);
  if (!left.has_value() || !right.has_value()) return a == b;
  if (left->family != right->family) return false;
  const int prefix = std::min(left->prefix, right->prefix);
  auto first = left->bytes;
  auto second = right->bytes;
  ClearHostBits(first, prefix);
  ClearHostBits(second, prefix);
  return first == second;
}

std::vector<std::string> CheckExportOptions(const std::vector<Text>& options, Findings& findings) {
  std::vector<std::string> checked;
  std::map<std::string, std::string> said;  // what each subject was last said to be, by the option
  for (const Text& option : options) {
    if (!CheckOption(option, findings)) continue;
    const auto flag = ExportFlags().find(option.value);
    std::string subject = option.value.substr(0, option.value.find('='));
    if (subject == "mp") subject = "mountpoint";
    if (flag != ExportFlags().end()) subject = flag->second.subject;
    // Options behind a sec= hold for its flavours only, so they may come again.
    if (subject == "sec") said.clear();
    const auto [before, is_new] = said.emplace(subject, option.value);
    if (is_new) {
      checked.push_back(option.value);
      continue;
    }
    const auto earlier = ExportFlags().find(before->second);
    const bool same = flag != ExportFlags().end() && earlier != ExportFlags().end()
                          ? flag->second.on == earlier->second.on
                          : before->second == option.value;
    if (same) continue;
    findings.Error("contradicting-options", option.origin,
                   fmt::format("{} contradicts {}", Quoted(option.value), Quoted(before->second)), {},
                   "one of the two");
  }
  return checked;
}

}  // namespace phoenix::config
