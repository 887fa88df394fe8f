// The clients of exports(5): addresses, networks, names, netgroups. Pure: nothing is resolved.
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix::nfs {

struct Client {
  enum class Kind { kAddress, kNetwork, kHost, kPattern, kNetgroup, kEveryone };
  Kind kind = Kind::kHost;
  // As we write it: an address as inet_ntop prints it, a network with its host bits cleared and a prefix
  // length, a name in lower case.
  std::string text;
  // For addresses and networks.
  bool ipv6 = false;
  std::array<uint8_t, 16> bytes{};
  int prefix = 0;
};

// INVALID_ARGUMENT says what is allowed. Accepts what exports(5) does, but for gss/… and IPv6 in brackets.
absl::StatusOr<Client> ParseClient(std::string_view text);

// True when some machine is certainly both: equal names, an address in a network, nested networks, everyone.
bool Overlap(const Client& a, const Client& b);

// True when `address` (text) belongs to `client`; names and netgroups never do, since nothing is resolved.
bool Contains(const Client& client, std::string_view address);

// True when a server that listens at `hosts` only (0.0.0.0 and :: are all of one kind; none: everywhere) is
// certainly met at `address`. Where a name is, nobody knows here.
bool ListensOn(const std::vector<std::string>& hosts, std::string_view address);

}  // namespace phoenix::nfs
