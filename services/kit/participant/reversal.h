// Takes back a run that was committed: its plan is the inverse of the steps that this participant journaled
// for it, done by the domain's own Undo and undone by its own Do. Everything else goes to the domain
// unchanged.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "services/kit/participant/domain.h"
#include "services/kit/transaction/journal.h"

namespace phoenix::kit {

// Thread-safe, as the domain is.
class Reversal final : public Domain {
 public:
  Reversal(Domain& domain, Journal& journal, Secret node_key)
      : domain_(domain), journal_(journal), node_key_(std::move(node_key)) {}

  DomainDescription Describe() override;
  absl::StatusOr<std::vector<Condition>> Conditions() override { return domain_.Conditions(); }
  absl::StatusOr<std::vector<ObservedField>> Observe(const std::vector<std::string>& keys) override;
  // FAILED_PRECONDITION, with one violation for each object, where the run is not the last one that changed
  // something here, or what it made has changed since. A step that is back already has no step in the plan.
  absl::StatusOr<Plan> MakePlan(const PlanInput& input) override;
  // Of the steps that are taken back, their originals.
  absl::StatusOr<std::vector<std::string>> CheckpointsOf(
      const std::vector<Step>& steps, const std::vector<std::string>& disturbed_keys) override;
  absl::Status Checkpoint(const std::string& run_id, const std::vector<Step>& steps,
                          const std::vector<std::string>& disturbed_keys) override;
  absl::StatusOr<std::string> Capture(const Step& step, const std::string& run_id) override;
  absl::Status Do(const Step& step, const StepContext& context) override;
  absl::StatusOr<ProbeResult> ProbeStep(const Step& step, const StepContext& context) override;
  absl::Status Undo(const Step& step, const StepContext& context) override;
  std::vector<std::string> RemainingCommands(const Step& step, const StepContext& context) override;
  absl::StatusOr<LedgerChange> LedgerOf(const Step& step, const StepContext& context) override;
  absl::StatusOr<LedgerChange> LedgerOfUndone(const Step& step, const StepContext& context) override;
  absl::StatusOr<Retrospect> LookBack(const Step& step, const StepContext& context) override;
  bool ComesToLight(const Step& step, const std::vector<Step>& applied) override {
    return domain_.ComesToLight(step, applied);
  }
  absl::StatusOr<VerifyReport> Verify(const VerifyInput& input) override;
  absl::Status Close(const std::string& run_id, bool committed) override;

 private:
  // A journaled step of the run that is taken back, with its surroundings.
  struct Original {
    StepRow row;
    StepContext context;
  };
  absl::StatusOr<Original> OriginalOf(const Step& step, const StepContext& context);
  absl::StatusOr<std::vector<Step>> OriginalsOf(const std::vector<Step>& steps);
  absl::StatusOr<TransactionRecord> CommittedRun(const std::string& run_id);
  StepContext ContextOf(const std::string& run_id, const StepRow& row) const;

  Domain& domain_;
  Journal& journal_;
  const Secret node_key_;
};

}  // namespace phoenix::kit
