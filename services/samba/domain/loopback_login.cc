#include "services/samba/domain/loopback_login.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include "services/samba/domain/parameters.h"

namespace phoenix::samba {
namespace {

constexpr std::string_view kLoopback = "127.0.0.1";

std::optional<uint32_t> ParseIpv4(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

bool SameWord(std::string_view a, std::string_view b) { return Squeezed(a) == Squeezed(b); }

// As Samba matches names: * is any text, ? any character, case does not count.
bool Matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*')
    return Matches(pattern.substr(1), name) || (!name.empty() && Matches(pattern, name.substr(1)));
  if (name.empty()) return false;
  const bool same = pattern[0] == '?' || SameWord(pattern.substr(0, 1), name.substr(0, 1));
  return same && Matches(pattern.substr(1), name.substr(1));
}

// "127.0.0.0/8", "127.0.0.0/255.0.0.0".
bool NetworkHasLoopback(const std::string& token, size_t slash) {
  const auto network = ParseIpv4(token.substr(0, slash));
  const std::string rest = token.substr(slash + 1);
  if (!network || rest.empty()) return false;
  uint32_t mask = 0;
  if (const auto given = ParseIpv4(rest)) {
    mask = *given;
  } else {
    const long bits = std::strtol(rest.c_str(), nullptr, 10);
    if (bits < 0 || bits > 32) return false;
    mask = bits == 0 ? 0 : ~uint32_t{0} << (32 - bits);
  }
  return (*network & mask) == (*ParseIpv4(std::string(kLoopback)) & mask);
}

// One word of hosts_access(5) as Samba reads it. Names are left out: whether smbd looks them up depends on
// other settings.
bool NamesLoopback(const std::string& token) {
  if (SameWord(token, "ALL") || SameWord(token, "FAIL") || token == kLoopback) return true;
  if (token.back() == '.') return kLoopback.starts_with(token);
  if (const auto slash = token.find('/'); slash != std::string::npos) return NetworkHasLoopback(token, slash);
  return token.find_first_of("*?") != std::string::npos && Matches(token, kLoopback);
}

bool ListHasLoopback(const std::string& list) {
  const std::vector<std::string> words = Words(list);
  const auto except = std::find_if(words.begin(), words.end(),
                                   [](const std::string& word) { return SameWord(word, "EXCEPT"); });
  return std::any_of(words.begin(), except, NamesLoopback) &&
         std::none_of(except, words.end(), [](const std::string& word) {
           return !SameWord(word, "EXCEPT") && NamesLoopback(word);
         });
}

std::string ValueOf(const Parameters& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? "" : found->second;
}

// The share's own value, or else the one that holds for all shares.
std::string ValueOf(const ConfigDump& live, const std::string& share, const std::string& name) {
  const auto section = live.shares.find(ShareKey(share));
  if (section != live.shares.end() && section->second.parameters.count(name) > 0)
    return section->second.parameters.at(name);
  return ValueOf(live.globals, name);
}

bool Denies(const std::string& deny, const std::string& allow) {
  return ListHasLoopback(deny) && !ListHasLoopback(allow);
}

// A name of an interface, its pattern, or an address with or without a mask.
bool IsLoopbackInterface(const std::string& word) {
  const std::string name = word.substr(0, word.find(';'));
  if (Matches(name, "lo")) return true;
  const auto slash = name.find('/');
  return slash == std::string::npos ? name.starts_with("127.")
                                    : name.starts_with("127.") && NetworkHasLoopback(name, slash);
}

}  // namespace

std::string WhyLoopbackIsShutOut(const ConfigDump& live, const std::string& share) {
  const std::string only = ValueOf(live.globals, "bind interfaces only"),
                    interfaces = ValueOf(live.globals, "interfaces");
  const std::vector<std::string> listened = Words(interfaces);
  if (ParseBool(only).value_or(false) && !listened.empty() &&
      std::none_of(listened.begin(), listened.end(), IsLoopbackInterface))
    return fmt::format("bind interfaces only, and interfaces = {} without lo", interfaces);
  const std::string everywhere = ValueOf(live.globals, "hosts deny");
  if (Denies(everywhere, ValueOf(live.globals, "hosts allow")))
    return fmt::format("hosts deny = {} for the whole server", everywhere);
  const std::string denied = ValueOf(live, share, "hosts deny");
  if (Denies(denied, ValueOf(live, share, "hosts allow"))) return fmt::format("hosts deny = {}", denied);
  if (!ParseBool(ValueOf(live, share, "available")).value_or(true)) return "available = No";
  return "";
}

bool IsVetoed(const ConfigDump& live, const std::string& share, std::string_view name) {
  const std::string patterns = ValueOf(live, share, "veto files");
  size_t begin = 0;
  while (begin < patterns.size()) {
    const size_t end = std::min(patterns.find('/', begin), patterns.size());
    if (end > begin && Matches(std::string_view(patterns).substr(begin, end - begin), name)) return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace phoenix::samba
