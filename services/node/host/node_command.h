// The commands of the node's tools. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/host/command.h"
#include "services/node/domain/firewall_rule.h"

namespace phoenix::node {

// "phoenix-install-RUN-PACKAGE.service", with what systemd does not take in a name escaped.
std::string InstallUnitName(const std::string& package, const std::string& run_id);

// --- reading
Command ShowPackages(const std::vector<std::string>& names);
// Says nothing where every package is as it should be.
Command AuditPackages();
Command SimulateInstall(const std::string& package);
Command ListPackageFiles(const std::vector<std::string>& packages);
Command ShowUnits(const std::vector<std::string>& units);
Command ShowDependencies(const std::vector<std::string>& units);
Command ShowInstallUnit(const std::string& unit);
Command ReadInstallLog(const std::string& unit);
Command UfwStatus();
Command SaveIptables(bool ipv6);
Command PveRulesCommand(const std::string& node);

// --- changing
// Starts the unit that installs, and does not wait for it. `finish_first`: packages are half installed, and
// dpkg has to finish them before apt-get does anything.
Command StartInstall(const std::string& package, const std::string& run_id, bool finish_first);
Command ResetFailed(const std::string& unit);
Command EnableUnit(const std::string& unit, bool runtime);
Command DisableUnit(const std::string& unit, bool runtime);
Command StartUnit(const std::string& unit);
Command StopUnit(const std::string& unit);
Command UfwAllow(const FirewallRule& rule, const std::string& comment);
// ufw deletes nothing where a comment is given and the rule has another one.
Command UfwDelete(const FirewallRule& rule, const std::string& comment);
// Proxmox VE puts it in front of all others; everybody is no source at all.
Command PveAllow(const std::string& node, const FirewallRule& rule, const std::string& comment);
// Refused where the rules are not those of this digest any more.
Command PveDelete(const std::string& node, int position, const std::string& digest);

}  // namespace phoenix::node
