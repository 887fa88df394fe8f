// The real node: dpkg, apt, systemd, ufw, Proxmox VE's firewall.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/node/host/node_host.h"
#include "services/node/host/node_parse.h"

namespace phoenix::node {

// Installations run in a transient oneshot unit, so they outlive the daemon. Service starts are held back
// inside the unit's own mount namespace (README.md tells how and why); nothing is written to the host for it.
class NodeCli final : public NodeHost {
 public:
  // `lock`: the file that the programs of this node lock for the firewall; made where it is not there.
  NodeCli(CommandRunner& runner, Files& files,
          std::chrono::milliseconds poll_every = std::chrono::milliseconds(500),
          std::string lock = "/run/phoenix-firewall.lock")
      : runner_(runner), files_(files), poll_every_(poll_every), lock_(std::move(lock)) {}

  absl::StatusOr<std::map<std::string, PackageState>> Packages(
      const std::vector<std::string>& names) override;
  absl::StatusOr<InstallForecast> Forecast(const std::string& package) override;
  absl::Status BeginInstall(const std::string& package, const std::string& run_id,
                            const ChildObserver& observer) override;
  absl::StatusOr<InstallProgress> AwaitInstall(const std::string& package, const std::string& run_id,
                                               std::chrono::seconds limit) override;
  absl::Status ForgetInstall(const std::string& package, const std::string& run_id,
                             const ChildObserver& observer) override;
  std::string InstallLog(const std::string& package, const std::string& run_id) override;
  absl::StatusOr<std::optional<InstallRecord>> ReadRecord(const std::string& package) override;
  absl::Status WriteRecord(const std::string& package, const InstallRecord& record) override;
  absl::Status RemoveRecord(const std::string& package) override;
  absl::StatusOr<std::vector<std::string>> UnitsOf(const std::vector<std::string>& packages) override;
  absl::StatusOr<std::map<std::string, UnitState>> Units(const std::vector<std::string>& names) override;
  absl::StatusOr<std::vector<std::string>> PulledBy(const std::string& unit) override;
  absl::Status Enable(const std::string& unit, bool runtime, const ChildObserver& observer) override;
  absl::Status Disable(const std::string& unit, bool runtime, const ChildObserver& observer) override;
  absl::Status Start(const std::string& unit, const ChildObserver& observer) override;
  absl::Status Stop(const std::string& unit, const ChildObserver& observer) override;
  absl::StatusOr<std::unique_ptr<FirewallLock>> LockFirewall() override;
  using NodeHost::Firewall;
  absl::StatusOr<FirewallState> Firewall(node::Firewall of) override;
  absl::Status AllowRule(node::Firewall firewall, const FirewallRule& rule, const std::string& comment,
                         const ChildObserver& observer) override;
  absl::Status DeleteRule(node::Firewall firewall, const FirewallRule& rule, const std::string& comment,
                          const ChildObserver& observer) override;

 private:
  absl::Status ReadUfw(FirewallState& firewall);
  // The name under which Proxmox VE knows this node: another one would take another lock.
  absl::StatusOr<std::string> PveNode();
  absl::StatusOr<std::vector<PveRule>> PveRules();
  absl::Status DeletePveRule(const FirewallRule& rule, const std::string& comment,
                             const ChildObserver& observer);
  absl::StatusOr<InstallProgress> Progress(const std::string& package, const std::string& run_id);

  CommandRunner& runner_;
  Files& files_;
  const std::chrono::milliseconds poll_every_;
  const std::string lock_;
};

}  // namespace phoenix::node
