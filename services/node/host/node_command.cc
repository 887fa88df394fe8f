#include "services/node/host/node_command.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace phoenix::node {
namespace {

constexpr char kAptGet[] = "/usr/bin/apt-get";
constexpr char kDpkgQuery[] = "/usr/bin/dpkg-query";
constexpr char kSystemctl[] = "/usr/bin/systemctl";
constexpr char kUfw[] = "/usr/sbin/ufw";
constexpr char kPvesh[] = "/usr/bin/pvesh";

// Maintainer scripts start services through these two and nothing else. In the unit's own mount namespace
// they do nothing and succeed, which is what they do themselves where a policy forbids them to start
// anything. Covering programs that are there needs no new file on the host; a policy-rc.d would need a mount
// point, and systemd makes a missing one in the host's /usr/sbin.
constexpr char kHeldBack[] =
    "BindReadOnlyPaths=/usr/bin/true:/usr/sbin/invoke-rc.d /usr/bin/true:/usr/bin/deb-systemd-invoke";

Command Systemctl(std::vector<std::string> args, const std::vector<std::string>& units) {
  Command command{kSystemctl, std::move(args)};
  // Names of mounts begin with a dash.
  command.args.push_back("--");
  command.args.insert(command.args.end(), units.begin(), units.end());
  return command;
}

Command Show(const char* properties, const std::vector<std::string>& units) {
  return Systemctl({"show", "--no-pager", fmt::format("--property={}", properties)}, units);
}

// Changes of units wait for their job; killing systemctl does not end it.
Command Change(std::vector<std::string> args, const std::string& unit) {
  args.push_back("--no-ask-password");
  Command command = Systemctl(std::move(args), {unit});
  command.limit = std::chrono::minutes(5);
  return command;
}

Command Ufw(std::vector<std::string> args) {
  Command command{kUfw, std::move(args)};
  // Killed while it writes its rules in place, it would leave half a file, and a closed machine after the
  // next boot.
  command.kill_at_limit = false;
  return command;
}

// Waits ten seconds for its lock, and as long for a cluster without quorum.
Command Pvesh(std::vector<std::string> args) {
  Command command{kPvesh, std::move(args)};
  command.limit = std::chrono::minutes(2);
  return command;
}

std::string PveRulesPath(const std::string& node) { return fmt::format("/nodes/{}/firewall/rules", node); }

std::vector<std::string> RuleArgs(const FirewallRule& rule, const std::string& comment) {
  return {"allow", "proto", rule.protocol, "from",    rule.client, "to",
          "any",   "port",  rule.port,     "comment", comment};
}

}  // namespace

std::string InstallUnitName(const std::string& package, const std::string& run_id) {
  std::string name = "phoenix-install-";
  for (const char c : run_id + "-" + package) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_';
    name += plain ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return name + ".service";
}

Command ShowPackages(const std::vector<std::string>& names) {
  Command command{kDpkgQuery, {"--show", "--showformat=${Package} ${db:Status-Status}\\n", "--"}};
  command.args.insert(command.args.end(), names.begin(), names.end());
  return command;
}

Command AuditPackages() { return {"/usr/bin/dpkg", {"--audit"}}; }

Command SimulateInstall(const std::string& package) {
  Command command{kAptGet, {"--simulate", "--no-install-recommends", "install", "--", package}};
  command.limit = std::chrono::minutes(2);
  return command;
}

Command ListPackageFiles(const std::vector<std::string>& packages) {
  Command command{kDpkgQuery, {"--listfiles", "--"}};
  command.args.insert(command.args.end(), packages.begin(), packages.end());
  return command;
}

Command ShowUnits(const std::vector<std::string>& units) {
  return Show("Id,LoadState,ActiveState,UnitFileState", units);
}

Command ShowDependencies(const std::vector<std::string>& units) {
  return Show("Id,LoadState,Requires,Requisite,BindsTo,Wants,Triggers", units);
}

Command ShowInstallUnit(const std::string& unit) {
  return Show("Id,LoadState,ActiveState,Result,Job", {unit});
}

Command ReadInstallLog(const std::string& unit) {
  return {"/usr/bin/journalctl", {"--no-pager", "--output=cat", "--lines=5", "--unit=" + unit}};
}

Command UfwStatus() { return Ufw({"status"}); }

Command SaveIptables(bool ipv6) {
  return {ipv6 ? "/usr/sbin/ip6tables-save" : "/usr/sbin/iptables-save", {"-t", "filter"}};
}

Command StartInstall(const std::string& package, const std::string& run_id, bool finish_first) {
  Command command{
      "/usr/bin/systemd-run",
      {"--no-ask-password", "--quiet", "--no-block", "--unit=" + InstallUnitName(package, run_id),
       fmt::format("--description=phoenix run {}: install {}", run_id, package), "--service-type=oneshot",
       // Stays to be asked once it has ended, and is never ended by a limit.
       "--property=RemainAfterExit=yes", "--property=TimeoutStartSec=infinity",
       fmt::format("--property={}", kHeldBack), "--setenv=DEBIAN_FRONTEND=noninteractive",
       "--setenv=APT_LISTCHANGES_FRONTEND=none", "--setenv=NEEDRESTART_SUSPEND=1",
       "--setenv=LC_ALL=C.UTF-8"}};
  if (finish_first) {
    command.args.push_back(
        "--property=ExecStartPre=/usr/bin/dpkg --force-confdef --force-confold --configure -a");
  }
  for (const char* arg :
       {"--", kAptGet, "install", "--yes", "--quiet", "--no-install-recommends", "--no-remove",
        "--option=Dpkg::Options::=--force-confdef", "--option=Dpkg::Options::=--force-confold",
        // Another installation, ours or not, may be under way.
        "--option=DPkg::Lock::Timeout=1800", "--"}) {
    command.args.emplace_back(arg);
  }
  command.args.push_back(package);
  return command;
}

Command ResetFailed(const std::string& unit) { return Change({"reset-failed"}, unit); }

Command EnableUnit(const std::string& unit, bool runtime) {
  return runtime ? Change({"enable", "--runtime"}, unit) : Change({"enable"}, unit);
}

Command DisableUnit(const std::string& unit, bool runtime) {
  return runtime ? Change({"disable", "--runtime"}, unit) : Change({"disable"}, unit);
}

Command StartUnit(const std::string& unit) { return Change({"start"}, unit); }

Command StopUnit(const std::string& unit) { return Change({"stop"}, unit); }

Command UfwAllow(const FirewallRule& rule, const std::string& comment) {
  return Ufw(RuleArgs(rule, comment));
}

Command UfwDelete(const FirewallRule& rule, const std::string& comment) {
  std::vector<std::string> args = RuleArgs(rule, comment);
  args.insert(args.begin(), "delete");
  return Ufw(std::move(args));
}

Command PveRulesCommand(const std::string& node) {
  return Pvesh({"get", PveRulesPath(node), "--output-format", "json"});
}

Command PveAllow(const std::string& node, const FirewallRule& rule, const std::string& comment) {
  std::vector<std::string> args = {"create",  PveRulesPath(node), "--type",    "in",      "--action",
                                   "ACCEPT",  "--enable",         "1",         "--proto", rule.protocol,
                                   "--dport", rule.port,          "--comment", comment};
  // Always with a source: without one a rule is for IPv6, too.
  args.insert(args.end(), {"--source", rule.client});
  return Pvesh(std::move(args));
}

Command PveDelete(const std::string& node, int position, const std::string& digest) {
  return Pvesh({"delete", fmt::format("{}/{}", PveRulesPath(node), position), "--digest", digest});
}

}  // namespace phoenix::node
