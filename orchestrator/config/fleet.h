// The fleet file: which nodes there are and where to reach them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/config/finding.h"

namespace phoenix::config {

// Either a host, or the directory of the unix sockets of daemons on this machine.
struct NodeAddress {
  std::string host;                   // name or address; an IPv6 address without brackets
  std::optional<std::uint16_t> port;  // absent: the ports by convention
  std::string unix_directory;         // absolute; set if and only if `host` is empty

  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

struct FleetNode {
  std::string name;
  NodeAddress address;
  // What this node has otherwise than the configuration says, a JSON object as text (RFC 7386); empty:
  // nothing.
  std::string overrides;
  Origin origin;
};

struct FleetResult {
  std::vector<FleetNode> nodes;  // in the order of the file
  Findings findings;

  bool ok() const { return findings.errors.empty(); }
  // OK, or INVALID_ARGUMENT with every error on its own line.
  absl::Status ToStatus() const;
};

// Reads {"nodes": [{"name": "pve1", "address": "10.77.0.11"}]}. An address is a host, host:port, [IPv6]:port
// or unix:/DIRECTORY. Names (in upper or lower case) and addresses are each used once. "overrides" is a JSON
// Merge Patch for the configuration; what it makes of one is for the loader to say (Overrides of loader.h).
// All errors are reported at once.
FleetResult LoadFleet(std::string_view json_text);

}  // namespace phoenix::config
