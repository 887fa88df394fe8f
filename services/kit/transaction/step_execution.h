// Does and undoes single steps: undo data durable before the do, the real state probed after it. Knows one
// rule set (docs/adr/0002-participant-contract.md) and nothing of runs, deadlines or siblings.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "base/secret.h"
#include "services/kit/participant/domain.h"
#include "services/kit/transaction/journal.h"

namespace phoenix::kit {

// What became of a step.
struct Outcome {
  enum class Result { kDone = 1, kFailed, kUndone, kQuarantined };
  std::string step_id;
  Result result = Result::kDone;
  std::string error;
  std::vector<std::string> remaining_commands;
};

// Thread-safe for different steps.
class StepExecution {
 public:
  StepExecution(Domain& domain, Journal& journal, Secret node_key)
      : domain_(domain), journal_(journal), node_key_(std::move(node_key)) {}

  // Reads what undo needs into `row` (not journaled yet).
  absl::Status Capture(const std::string& run_id, StepRow& row);
  // From kIdle to kDone, or back to kIdle with an error. The error says why; the journal holds the outcome.
  absl::Status Do(const std::string& run_id, StepRow row, const Secrets& secrets);
  // From whatever state to kReverted, or to kQuarantined.
  absl::Status Undo(const std::string& run_id, StepRow row);
  // After a restart: waits for a child of the former life and probes. Brings kIntent to kDone or kIdle.
  absl::Status Settle(const std::string& run_id, StepRow row);

 private:
  StepContext ContextOf(const std::string& run_id, const StepRow& row, const Secrets* secrets);
  absl::StatusOr<bool> IsDoneByAnotherNode(const std::string& run_id, const StepRow& row,
                                           const std::string& now);
  absl::Status RecordDone(const std::string& run_id, StepRow& row, const StepContext& context);
  absl::Status RecordIdle(const std::string& run_id, StepRow& row, const absl::Status& why);
  // `left`: what of the step's remainder stays.
  absl::Status Revert(const std::string& run_id, StepRow& row, const std::string& left);
  absl::Status Quarantine(const std::string& run_id, StepRow& row, const std::string& cause);

  Domain& domain_;
  Journal& journal_;
  const Secret node_key_;
};

}  // namespace phoenix::kit
