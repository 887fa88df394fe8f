// What a node has of packages, units and firewalls. Pure values.
#pragma once

#include <string>
#include <vector>

namespace phoenix::node {

enum class PackageState {
  kAbsent,     // not installed; configuration files may be left
  kInstalled,  // unpacked and configured
  kBroken,     // begun and not finished: "unpacked", "half-configured" …
};

// What `apt-get install` would do.
struct InstallForecast {
  std::vector<std::string> brings;    // packages that are not there now, sorted, the wanted one among them
  std::vector<std::string> upgrades;  // packages that would get another version, sorted
  std::vector<std::string> removes;   // packages that would go, sorted
  friend bool operator==(const InstallForecast&, const InstallForecast&) = default;
};

// Who installed a package: kept durably from before the installation begins until it is undone, and for ever
// after a commit. It tells our own work from that of others, and a package that an undo left behind from one
// in use.
struct InstallRecord {
  std::string run_id;
  std::vector<std::string> brings;
  friend bool operator==(const InstallRecord&, const InstallRecord&) = default;
};

enum class InstallProgress { kNone, kRunning, kSucceeded, kFailed };

struct UnitState {
  std::string name;
  bool exists = false;
  bool masked = false;
  // As systemd says: "enabled", "disabled", "static", "generated", "enabled-runtime" …; "" where there is no
  // file.
  std::string enablement;
  bool active = false;
  friend bool operator==(const UnitState&, const UnitState&) = default;

  // Started with the machine, or, for static ones, as far as it can be.
  bool Enabled() const {
    return enablement == "enabled" || enablement == "static" || enablement == "alias" ||
           enablement == "indirect" || enablement == "generated";
  }
};

// Who decides which packets come in: the one firewall that is active. Both active is refused.
enum class Firewall { kNone, kUfw, kPve };

// "ufw", "pve-firewall"; "" for none.
inline const char* NameOf(Firewall firewall) {
  if (firewall == Firewall::kNone) return "";
  return firewall == Firewall::kUfw ? "ufw" : "pve-firewall";
}

// A rule of ufw's user.rules, one of the node's in Proxmox VE's firewall in the same words, or as the kernel
// has it.
struct SeenRule {
  std::string action;     // "allow", "deny", "reject", "limit"
  std::string protocol;   // "tcp", "udp", "any"
  std::string port;       // destination; "any"; "" for an application's
  std::string client;     // source, as ufw writes it: "10.0.0.0/24", "10.0.0.5", "0.0.0.0/0" for everybody
  std::string direction;  // "in", "out", with an interface "in_eth0"
  // True where destination address and source port are "any", so that the fields above say all.
  bool plain = true;
  std::string comment;
  friend bool operator==(const SeenRule&, const SeenRule&) = default;
};

struct FirewallState {
  bool ufw_installed = false;
  bool ufw_active = false;   // filters now
  bool ufw_enabled = false;  // will after the next boot; without it ufw changes its files only
  bool ufw_ipv6 = true;      // ufw is set to manage IPv6 too
  bool pve_installed = false;
  bool pve_enabled = false;
  std::vector<SeenRule> rules;  // of the firewall in charge or asked for, as written down, in order
  std::vector<SeenRule> live;   // allowing ones of ufw's that the kernel has; without comments

  Firewall InCharge() const {
    if (ufw_active) return Firewall::kUfw;
    return pve_enabled ? Firewall::kPve : Firewall::kNone;
  }
};

}  // namespace phoenix::node
