#include "services/node/domain/firewall_rule.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::node {
namespace {

// An address with its prefix, as bytes.
struct Network {
  int family = AF_INET;
  std::array<unsigned char, 16> bytes{};
  int prefix = 0;

  int Bits() const { return family == AF_INET ? 32 : 128; }
};

std::optional<int> ParseNumber(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

void ClearHostBits(Network& network) {
  for (int bit = network.prefix; bit < network.Bits(); ++bit) {
    network.bytes[bit / 8] &= static_cast<unsigned char>(~(0x80U >> (bit % 8)));
  }
}

std::optional<Network> ParseNetwork(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  Network network;
  network.family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (inet_pton(network.family, address.c_str(), network.bytes.data()) != 1) return std::nullopt;
  network.prefix = network.Bits();
  if (slash != std::string_view::npos) {
    const auto prefix = ParseNumber(text.substr(slash + 1));
    if (!prefix || *prefix < 0 || *prefix > network.Bits()) return std::nullopt;
    network.prefix = *prefix;
  }
  ClearHostBits(network);
  return network;
}

std::string ToText(const Network& network) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(network.family, network.bytes.data(), text, sizeof text);
  if (network.prefix == network.Bits()) return text;
  return fmt::format("{}/{}", text, network.prefix);
}

bool Overlap(const Network& a, const Network& b) {
  if (a.family != b.family) return false;
  Network left = a, right = b;
  left.prefix = right.prefix = std::min(a.prefix, b.prefix);
  ClearHostBits(left);
  ClearHostBits(right);
  return left.bytes == right.bytes;
}

using Range = std::pair<int, int>;

std::optional<std::vector<Range>> ParsePorts(std::string_view text) {
  std::vector<Range> ranges;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const size_t colon = item.find(':');
    const auto first = ParseNumber(item.substr(0, colon));
    const auto last = colon == std::string_view::npos ? first : ParseNumber(item.substr(colon + 1));
    if (!first || !last || *first < 1 || *last > 65535 || *first > *last) return std::nullopt;
    if (colon != std::string_view::npos && *first == *last) return std::nullopt;
    ranges.emplace_back(*first, *last);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

std::string ToText(const std::vector<Range>& ranges) {
  std::string text;
  for (const auto& [first, last] : ranges) {
    if (!text.empty()) text += ',';
    text += first == last ? fmt::format("{}", first) : fmt::format("{}:{}", first, last);
  }
  return text;
}

// True where packets to the port that come in may be decided by the rule.
bool IsAbout(const SeenRule& there, const std::string& port, const std::string& protocol) {
  if (there.direction.rfind("in", 0) != 0) return false;
  if (there.protocol != "any" && there.protocol != protocol) return false;
  const auto their_ports = ParsePorts(there.port), our_ports = ParsePorts(port);
  // An application's ports are not written in the rule: better a warning too many.
  if (!their_ports || !our_ports) return true;
  for (const Range& their : *their_ports) {
    for (const Range& our : *our_ports) {
      if (their.first <= our.second && our.first <= their.second) return true;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<FirewallRule> Normalized(const FirewallRule& rule) {
  const auto network = ParseNetwork(rule.client);
  if (!network) {
    return InvalidArgument("firewall client \"{}\" is neither an address nor a network like 10.0.0.0/24",
                           rule.client);
  }
  const auto ports = ParsePorts(rule.port);
  // Fifteen ports, a range counting as two, is what one rule of the kernel holds.
  size_t count = 0;
  if (ports) {
    for (const auto& [first, last] : *ports) count += first == last ? 1 : 2;
  }
  if (!ports || count > 15) {
    return InvalidArgument("firewall port \"{}\" is no port, range or list of at most 15", rule.port);
  }
  if (rule.protocol != "tcp" && rule.protocol != "udp") {
    return InvalidArgument("firewall protocol \"{}\" is neither tcp nor udp", rule.protocol);
  }
  FirewallRule normalized{ToText(*network), ToText(*ports), rule.protocol};
  if (network->prefix == 0) normalized.client = network->family == AF_INET ? "0.0.0.0/0" : "::/0";
  return normalized;
}

bool IsIpv6(const FirewallRule& normalized) { return normalized.client.find(':') != std::string::npos; }

std::string KeyOf(const FirewallRule& normalized) {
  return fmt::format("rule:{}:{}/{}", normalized.client, normalized.port, normalized.protocol);
}

bool SamePackets(const SeenRule& there, const FirewallRule& normalized) {
  return there.plain && there.direction == "in" && there.protocol == normalized.protocol &&
         there.port == normalized.port && there.client == normalized.client;
}

const SeenRule* FindRule(const std::vector<SeenRule>& rules, const FirewallRule& normalized) {
  for (const SeenRule& rule : rules) {
    if (SamePackets(rule, normalized)) return &rule;
  }
  return nullptr;
}

bool IsInForce(const FirewallState& firewall, const FirewallRule& normalized) {
  const auto others = std::count_if(firewall.rules.begin(), firewall.rules.end(), [&](const SeenRule& there) {
    if (SamePackets(there, normalized) || !there.plain || there.direction != "in" ||
        there.action.rfind("allow", 0) != 0 || there.port != normalized.port ||
        (there.protocol != "any" && there.protocol != normalized.protocol)) {
      return false;
    }
    // ufw clears the host bits of IPv4 addresses only, the kernel those of all.
    const auto same = Normalized({there.client, normalized.port, normalized.protocol});
    if (!same.ok() || same->client != normalized.client) return false;
    // One for any protocol that is not loaded has no rule for the other protocol either.
    const FirewallRule twin{normalized.client, normalized.port, normalized.protocol == "tcp" ? "udp" : "tcp"};
    return there.protocol != "any" || FindRule(firewall.live, twin) != nullptr;
  });
  return std::count_if(firewall.live.begin(), firewall.live.end(),
                       [&](const SeenRule& live) { return SamePackets(live, normalized); }) > others;
}

bool Opens(const SeenRule& there, const std::string& port, const std::string& protocol) {
  return there.action.rfind("allow", 0) == 0 && IsAbout(there, port, protocol);
}

bool Hinders(const SeenRule& there, const FirewallRule& normalized) {
  if (there.action.rfind("allow", 0) == 0 || !IsAbout(there, normalized.port, normalized.protocol))
    return false;
  const auto theirs = ParseNetwork(there.client), ours = ParseNetwork(normalized.client);
  return !theirs || !ours || Overlap(*theirs, *ours);
}

}  // namespace phoenix::node
