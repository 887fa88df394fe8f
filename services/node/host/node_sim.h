// The simulated node over the machine that its daemons share. Kinds it owns: "package", "package.record",
// "unit", "ufw", "ufw.rule", "ufw.live", "pve.firewall", "install". Faults: "node.install[:PACKAGE]",
// "node.enable[:UNIT]", "node.disable", "node.start", "node.stop", "node.allow[:CLIENT]", "node.delete".
// Beside the machine's effects there is "half": of an installation, interrupted; of a start, what the unit
// pulls up runs and it does not; of a rule, ufw's file has it and the kernel has not (of a deletion, the
// other way round).
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/kit/sim/machine.h"
#include "services/node/host/node_host.h"

namespace phoenix::node {

class NodeSim final : public NodeHost {
 public:
  explicit NodeSim(std::shared_ptr<kit::Machine> machine) : machine_(std::move(machine)) {}

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
  // How often rules were changed by this host while nobody held the lock.
  int unlocked_changes() const { return unlocked_changes_; }
  using NodeHost::Firewall;
  absl::StatusOr<FirewallState> Firewall(node::Firewall of) override;
  absl::Status AllowRule(node::Firewall firewall, const FirewallRule& rule, const std::string& comment,
                         const ChildObserver& observer) override;
  absl::Status DeleteRule(node::Firewall firewall, const FirewallRule& rule, const std::string& comment,
                          const ChildObserver& observer) override;

 private:
  // The effect of the next planned fault; "" for none.
  absl::StatusOr<std::string> TakeFault(const std::string& operation, const std::string& object);
  absl::Status Mutate(const std::string& operation, const std::string& object, const ChildObserver& observer,
                      const std::function<absl::Status(kit::World&, const std::string& effect)>& body);

  std::shared_ptr<kit::Machine> machine_;
  std::mutex firewall_;
  std::atomic<bool> locked_ = false;
  std::atomic<int> unlocked_changes_ = 0;
};

// A node as it comes: Debian with a root shell, no samba, no nfs-kernel-server, no firewall.
absl::Status SeedNode(kit::Machine& machine);
// Everything installed, nfs-server and smbd enabled and running, ufw active with a rule for ssh.
absl::Status SeedReadyNode(kit::Machine& machine);

// For other domains' Sim hosts, within their own transactions.
absl::StatusOr<bool> IsInstalled(kit::World& world, std::string_view package);
absl::StatusOr<bool> IsActive(kit::World& world, std::string_view unit);

}  // namespace phoenix::node
