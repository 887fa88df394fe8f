// Reads what the node's tools print and what ufw and Proxmox keep in files. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/node/domain/node_state.h"

namespace phoenix::node {

// Output of dpkg-query with the format of ShowPackages(). Names that are not in it are absent.
std::map<std::string, PackageState> ParsePackages(std::string_view text,
                                                  const std::vector<std::string>& names);
// Output of `apt-get --simulate install`.
InstallForecast ParseForecast(std::string_view text);
// Unit files among the paths of `dpkg-query --listfiles`, templates left out, sorted.
std::vector<std::string> ParseUnitFiles(std::string_view text);

// One unit's properties as `systemctl show` prints them.
using UnitProperties = std::map<std::string, std::string, std::less<>>;
// One element per unit, in the order asked for.
std::vector<UnitProperties> ParseShow(std::string_view text);
UnitState ToUnitState(const std::string& asked, const UnitProperties& properties);
InstallProgress ToProgress(const UnitProperties& properties);
// Units that come up with the unit: what it needs, wants or triggers, without targets, slices and devices.
std::vector<std::string> PulledUnits(const UnitProperties& properties);

// "Status: active"
bool UfwStatusActive(std::string_view text);
// The value of a NAME=value line of a shell-like file, quotes removed.
std::optional<std::string> ShellValue(std::string_view text, std::string_view name);
// Whether ufw takes the value for a yes: it does so in capitals, too.
bool ShellSwitch(std::string_view text, std::string_view name);
// The rules of user.rules or user6.rules. UNAVAILABLE where the file is cut short: ufw writes it in place, so
// a reader can meet half of it.
absl::StatusOr<std::vector<SeenRule>> ParseUserRules(std::string_view text);
// Allowing rules of ufw's own input chain in the output of iptables-save or ip6tables-save.
std::vector<SeenRule> ParseLiveRules(std::string_view text, bool ipv6);

// A rule of the node's in Proxmox VE's firewall: where it stands, and the digest of all of them.
struct PveRule {
  int position = 0;
  std::string digest;
  SeenRule rule;
};
// What `pvesh get /nodes/NODE/firewall/rules` prints, in order. Rules that are switched off are left out, and
// so are security groups, of which nothing is known here.
absl::StatusOr<std::vector<PveRule>> ParsePveRules(std::string_view json);

// True where the data centre's file switches the firewall on and the node's does not switch it off.
bool PveFirewallEnabled(std::string_view cluster_fw, std::string_view host_fw);

}  // namespace phoenix::node
