// The parts of exports(5) that a configuration may use. exportfs drops a line and all later lines of the file
// at the first word it does not know, and exports to the whole world at a misplaced blank: so every word is
// checked here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// What to write as the client of an export.
struct NfsClient {
  std::string canonical;
  // The address had bits outside its prefix ("10.0.0.13/24"); they are cleared in `canonical`.
  bool had_host_bits = false;
};

// Who may be a client: an IPv4 or IPv6 address, either with /prefix, a host name, or @netgroup. Patterns and
// "*" are refused. INVALID_ARGUMENT says what is allowed.
absl::StatusOr<NfsClient> ParseNfsClient(std::string_view text);

// True for an address or a subnet, false for a host name or netgroup. All are written as `canonical` is.
bool IsAddressOrSubnet(std::string_view canonical);
// True where a machine may be both: the same, or an address and a subnet around it.
bool ClientsOverlap(std::string_view a, std::string_view b);

// The options of one export in the order given, each once. Words unknown to exports(5), options of the
// client's mount, and pairs that contradict each other are errors at their place.
std::vector<std::string> CheckExportOptions(const std::vector<Text>& options, Findings& findings);

}  // namespace phoenix::config
