// The Proxmox domain as the kit drives it: renders the planner's steps, does, probes and undoes them through
// the host.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "services/kit/participant/domain.h"
#include "services/proxmox/domain/proxmox_planner.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/worker/container_change.h"
#include "services/proxmox/worker/storage_change.h"
#include "services/proxmox/worker/vm_change.h"

namespace phoenix::proxmox {

// From the spec's type and bytes; INVALID_ARGUMENT for another type or unreadable bytes.
using SpecParser = std::function<absl::StatusOr<ProxmoxSpec>(std::string_view type, std::string_view bytes)>;

inline constexpr char kSpecType[] = "phoenix.proxmox.v1.ProxmoxSpec";

class ProxmoxDomain final : public kit::Domain {
 public:
  // The host must outlive this object.
  ProxmoxDomain(ProxmoxHost& host, SpecParser parse);

  kit::DomainDescription Describe() override;
  absl::StatusOr<std::vector<kit::ObservedField>> Observe(const std::vector<std::string>& keys) override;
  absl::StatusOr<kit::Plan> MakePlan(const kit::PlanInput& input) override;
  absl::StatusOr<std::string> Capture(const kit::Step& step, const std::string& run_id) override;
  bool MayBeAnotherNodes(const kit::Step& step, const std::string& before, const std::string& now) override;
  absl::Status Do(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::ProbeResult> ProbeStep(const kit::Step& step, const kit::StepContext& context) override;
  absl::Status Undo(const kit::Step& step, const kit::StepContext& context) override;
  std::vector<std::string> RemainingCommands(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::LedgerChange> LedgerOf(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::Retrospect> LookBack(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::VerifyReport> Verify(const kit::VerifyInput& input) override;
  absl::Status Close(const std::string& run_id, bool committed) override;

 private:
  // Of entries whose password is declared and was handed over.
  absl::StatusOr<std::map<std::string, PasswordState, std::less<>>> PasswordsOf(const ProxmoxSpec& spec,
                                                                                const Secrets& secrets);
  // Adds the steps and notes of VMs to a plan of storage entries.
  absl::Status PlanVmsInto(const ProxmoxSpec& spec, const ProxmoxState& state, const kit::PlanInput& input,
                           kit::Plan& plan);
  // What was done to VMs is still so.
  absl::Status VerifyVms(const std::vector<kit::Step>& applied, kit::VerifyReport& report);
  // Adds the containers' steps to those of the storages.
  absl::Status PlanContainers(const ProxmoxSpec& spec, const ProxmoxState& state,
                              const std::vector<std::string>& removed_keys, kit::Plan& plan,
                              std::string& fingerprint);
  absl::Status VerifyStorages(const std::vector<StorageStep>& kept, kit::VerifyReport& report);
  void Remember(const std::string& run_id, const std::string& step, std::string_view tool,
                const std::vector<std::string>& warnings);

  ProxmoxHost& host_;
  const SpecParser parse_;
  // One change at a time: all entries are one file, and the tool takes a cluster-wide lock; a container's
  // steps share its file.
  absl::Mutex change_mutex_;
  StorageChanges changes_ ABSL_GUARDED_BY(change_mutex_);
  VmChanges vm_changes_ ABSL_GUARDED_BY(change_mutex_);
  ContainerChanges containers_ ABSL_GUARDED_BY(change_mutex_);
  absl::Mutex warnings_mutex_;
  // What the tool said while it succeeded, by run and step; told by Verify(). Lost in a crash: it is for
  // people only.
  std::map<std::string, std::vector<std::string>> warnings_ ABSL_GUARDED_BY(warnings_mutex_);
};

}  // namespace phoenix::proxmox
