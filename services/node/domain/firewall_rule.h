// One port that one client may reach. A pure value.
#pragma once

#include <string>

namespace phoenix::node {

struct FirewallRule {
  std::string client;    // a CIDR or an address
  std::string port;      // "2049", "137,138"
  std::string protocol;  // "tcp" or "udp"
  friend bool operator==(const FirewallRule&, const FirewallRule&) = default;
};

}  // namespace phoenix::node
