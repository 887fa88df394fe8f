// Who is called, and what a silent one's callers are told. Pure.
#pragma once

#include <absl/status/status.h>

#include <string>

namespace phoenix::client {

struct Peer {
  std::string node;     // empty: this machine
  std::string service;  // "zfs", "orchestrator"
  std::string target;   // what the channel was made for: "unix:/run/phoenix/zfs.sock", "10.0.0.11:7441"
};

// What a channel to a participant is made for. `address`: "unix:DIR"; "HOST", with the ports by convention;
// or "HOST:PORT", where PORT is the zfs service's and the others follow it.
std::string TargetOf(const std::string& address, const std::string& participant);
bool IsUnix(const std::string& target);

// A transport's error (UNAVAILABLE or DEADLINE_EXCEEDED without a reason) in words that say who is silent,
// where, why, and what to look at, with reason UNREACHABLE. What the service itself answered stays as it is.
absl::Status Explain(const Peer& peer, const absl::Status& status);

}  // namespace phoenix::client
