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

bool IsNetgroup(std::string_view text) {
  if (text.size() < 2 || text[0] != '@') return false;
  return std::all_of(text.begin() + 1, text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

// Options that stand alone, each with the one that says the contrary (or "").
const std::map<std::string_view, std::string_view> kFlags = {
    {"ro", "rw"},
    {"rw", "ro"},
    {"secure", "insecure"},
    {"insecure", "secure"},
    {"sync", "async"},
    {"async", "sync"},
    {"wdelay", "no_wdelay"},
    {"no_wdelay", "wdelay"},
    {"hide", "nohide"},
    {"nohide", "hide"},
    {"crossmnt", "nocrossmnt"},
    {"nocrossmnt", "crossmnt"},
    {"subtree_check", "no_subtree_check"},
    {"no_subtree_check", "subtree_check"},
    {"root_squash", "no_root_squash"},
    {"no_root_squash", "root_squash"},
    {"all_squash", "no_all_squash"},
    {"no_all_squash", "all_squash"},
    {"secure_locks", "insecure_locks"},
    {"insecure_locks", "secure_locks"},
    {"auth_nlm", "no_auth_nlm"},
    {"no_auth_nlm", "auth_nlm"},
    {"acl", "no_acl"},
    {"no_acl", "acl"},
    {"pnfs", "no_pnfs"},
    {"no_pnfs", "pnfs"},
    {"nordirplus", ""},
    {"security_label", ""},
    {"mountpoint", ""},
    {"mp", ""},
};

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

bool IsWord(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x20 && c < 0x7f && std::string_view("\"'(),\\#").find(c) == std::string_view::npos;
  });
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
  if (name == "anonuid" || name == "anongid") {
    const bool fine = value == "-1" || ParseNumber(value, 2147483647).has_value();
    return fine ? std::nullopt : std::optional<std::string>("a number");
  }
  if (name == "fsid") {
    const bool fine = value == "root" || ParseNumber(value, 2147483647).has_value() || IsUuid(value);
    return fine ? std::nullopt : std::optional<std::string>("a number, root or a UUID");
  }
  const auto each_of = [&](const std::set<std::string_view>& known) {
    const auto words = SplitTrimmed(value, ":");
    return !words.empty() &&
           std::all_of(words.begin(), words.end(), [&](auto word) { return known.count(word) > 0; });
  };
  if (name == "sec") {
    if (each_of({"sys", "krb5", "krb5i", "krb5p", "none", "null", "unix"})) return std::nullopt;
    return "sys, krb5, krb5i, krb5p or none, joined by colons";
  }
  if (name == "xprtsec") {
    if (each_of({"none", "tls", "mtls"})) return std::nullopt;
    return "none, tls or mtls, joined by colons";
  }
  if (name == "mountpoint" || name == "mp") {
    if (IsWord(value) && NormalisedPath(value).has_value()) return std::nullopt;
    return "an absolute path";
  }
  if (name == "reexport") {
    if (value == "auto-fsidnum" || value == "predefined-fsidnum") return std::nullopt;
    return "auto-fsidnum or predefined-fsidnum";
  }
  return IsWord(value) ? std::nullopt : std::optional<std::string>("path@host, joined by colons");
}

const std::set<std::string_view> kWithValue = {"anonuid", "anongid", "fsid",     "sec",      "mountpoint",
                                               "mp",      "refer",   "replicas", "reexport", "xprtsec"};

// Says what is wrong with one option; true if nothing is.
bool CheckOption(const Text& option, Findings& findings) {
  const std::size_t equals = option.value.find('=');
  const std::string name = option.value.substr(0, equals);
  if (equals == std::string::npos && kFlags.count(name) > 0) return true;
  if (equals != std::string::npos && kWithValue.count(name) > 0) {
    const auto allowed = ValueProblem(name, option.value.substr(equals + 1));
    if (!allowed.has_value()) return true;
    findings.Error("invalid-export-option", option.origin,
                   fmt::format("option {} has no valid value", Quoted(name)), Quoted(option.value), *allowed);
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
  known.reserve(kFlags.size() + kWithValue.size());
  for (const auto& [flag, contrary] : kFlags) known.emplace_back(flag);
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
  if (!prefix.has_value() && (IsHostName(text) || IsNetgroup(text))) return NfsClient{std::string(text)};
  return absl::InvalidArgumentError(kClientsAllowed);
}

std::vector<std::string> CheckExportOptions(const std::vector<Text>& options, Findings& findings) {
  std::vector<std::string> checked;
  std::size_t scope = 0;  // options behind a sec= hold for its flavours only, so they may come again
  for (const Text& option : options) {
    if (!CheckOption(option, findings)) continue;
    if (option.value.substr(0, 4) == "sec=") scope = checked.size();
    const auto given = [&](std::string_view word) {
      return std::find(checked.begin() + static_cast<std::ptrdiff_t>(scope), checked.end(), word) !=
             checked.end();
    };
    if (given(option.value)) continue;
    const auto flag = kFlags.find(option.value);
    const bool contradicts = flag != kFlags.end() && !flag->second.empty() && given(flag->second);
    if (contradicts) {
      findings.Error("contradicting-options", option.origin,
                     fmt::format("{} contradicts {}", Quoted(option.value), Quoted(flag->second)), {},
                     "one of the two");
      continue;
    }
    checked.push_back(option.value);
  }
  return checked;
}

}  // namespace phoenix::config
