// One port that one client may reach, and how rules compare. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "services/node/domain/node_state.h"

namespace phoenix::node {

struct FirewallRule {
  std::string client;    // a CIDR or an address
  std::string port;      // "2049", "137,138", "6000:6007"
  std::string protocol;  // "tcp" or "udp"
  friend bool operator==(const FirewallRule&, const FirewallRule&) = default;
};

// The rule as ufw writes it down: host bits cleared, /32 and /128 left out, "any" for 0.0.0.0/0, ports in
// order. INVALID_ARGUMENT naming what is wrong.
absl::StatusOr<FirewallRule> Normalized(const FirewallRule& rule);
bool IsIpv6(const FirewallRule& normalized);

// What the comment of a rule of ours begins with; its run follows.
inline constexpr std::string_view kRuleMark = "phoenix ";

// "rule:10.0.0.0/24:2049/tcp"
std::string KeyOf(const FirewallRule& normalized);

// Same packets and nothing else, whatever the action: ufw keeps at most one such rule, and adding ours would
// overwrite it.
bool SamePackets(const SeenRule& there, const FirewallRule& normalized);
// The first such rule, or nullptr.
const SeenRule* FindRule(const std::vector<SeenRule>& rules, const FirewallRule& normalized);
// True where the kernel lets exactly the rule's packets in, and not only by what others wrote down: ufw makes
// a rule for tcp and one for udp of what is written for any protocol.
bool IsInForce(const FirewallState& firewall, const FirewallRule& normalized);
// True where `there` lets somebody through to the port, as far as it can be told: an application's rule may.
bool Opens(const SeenRule& there, const std::string& port, const std::string& protocol);
// True where `there`, which does not allow, decides about some of our packets before our rule does.
bool Hinders(const SeenRule& there, const FirewallRule& normalized);

}  // namespace phoenix::node
