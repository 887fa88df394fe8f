// The NFS exports of a node as the kit's domain: plans, does, probes and undoes.
//
// Order: the server's package, then its unit, then our file, then one step for each export (before
// them `exportfs -r`, where the server's table is not what our file says already). So an export comes live
// with its step and goes with it; undo meets a running server too, and stopping that comes after. (`exportfs
// -r` writes its table whether or not the server runs; the server's own start runs it as well, so that either
// order ends the same.)
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "services/kit/participant/domain.h"
#include "services/nfs/domain/nfs_planner.h"
#include "services/nfs/domain/nfs_spec.h"
#include "services/nfs/host/nfs_host.h"
#include "services/nfs/host/nfs_probe.h"
#include "services/node/host/node_host.h"
#include "services/node/worker/node_steps.h"

namespace phoenix::nfs {

inline constexpr char kSpecType[] = "phoenix.nfs.v1.NfsSpec";

// The spec of a type and its bytes; INVALID_ARGUMENT with violations.
using SpecParser = std::function<absl::StatusOr<NfsSpec>(std::string_view type, std::string_view bytes)>;

class NfsDomain final : public kit::Domain {
 public:
  NfsDomain(NfsHost& host, NfsProbe& probe, node::NodeHost& node, SpecParser parse_spec)
      : host_(host), probe_(probe), node_(node), parse_spec_(std::move(parse_spec)) {}

  kit::DomainDescription Describe() override;
  absl::StatusOr<std::vector<kit::ObservedField>> Observe(const std::vector<std::string>& keys) override;
  absl::StatusOr<kit::Plan> MakePlan(const kit::PlanInput& input) override;
  absl::StatusOr<std::string> Capture(const kit::Step& step, const std::string& run_id) override;
  absl::Status Do(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::ProbeResult> ProbeStep(const kit::Step& step, const kit::StepContext& context) override;
  absl::Status Undo(const kit::Step& step, const kit::StepContext& context) override;
  std::vector<std::string> RemainingCommands(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::LedgerChange> LedgerOf(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::VerifyReport> Verify(const kit::VerifyInput& input) override;
  absl::Status Close(const std::string& run_id, bool committed) override;

 private:
  absl::StatusOr<kit::ProbeResult> ProbeLive(const std::vector<std::string>& paths,
                                             const kit::StepContext& context);
  absl::Status DoExport(const SetExport& set, const kit::StepContext& context);
  absl::StatusOr<kit::ProbeResult> ProbeFile(const kit::StepContext& context);
  absl::StatusOr<kit::ProbeResult> ProbeExport(const SetExport& set, const kit::StepContext& context);
  absl::Status UndoExport(const SetExport& set, const kit::StepContext& context);
  // `addresses`: those of the node at which its server listens.
  absl::Status VerifyExport(const SetExport& set, const std::vector<std::string>& addresses,
                            const NfsState& state, kit::VerifyReport& report);

  NfsHost& host_;
  NfsProbe& probe_;
  node::NodeSteps node_;
  const SpecParser parse_spec_;
};

}  // namespace phoenix::nfs
