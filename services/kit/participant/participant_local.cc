// Typed mutations: transactions of this participant alone, under the same lock, decided by their own journal
// row.
#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/participant/participant.h"
#include "services/kit/plan/order.h"

namespace phoenix::kit {

absl::Status Participant::ApplyInOrder(const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(const TransactionRecord planned, Get(run_id));
  std::vector<PlacedStep> placed;
  for (const StepRow& row : planned.steps) placed.push_back({"", "", &row.step});
  PHX_ASSIGN_OR_RETURN(const Order order, DeriveOrder(placed));
  for (const size_t index : order.sequence) {
    const StepRow& row = planned.steps[index];
    {
      absl::MutexLock lock(&mutex_);
      StartStep(run_id, row);
    }
    AwaitSteps(run_id, {row.step.id});
    PHX_ASSIGN_OR_RETURN(const TransactionRecord now, Get(run_id));
    const StepRow& done = now.steps[static_cast<size_t>(row.ordinal)];
    if (done.state != StepState::kDone)
      return Internal("{} {}: {}", row.step.action, row.step.resource, done.error);
  }
  return absl::OkStatus();
}

absl::StatusOr<Plan> Participant::ChangeLocally(LocalChange change) {
  absl::MutexLock begin(&begin_mutex_);
  change.wanted.local = true;
  PHX_ASSIGN_OR_RETURN(const auto repeated, journal_.FindByRequest(change.request_id));
  if (repeated) {
    PHX_ASSIGN_OR_RETURN(const TransactionRecord record, Get(repeated->run_id));
    if (record.row.state != TransactionState::kCommitted) {
      return Aborted("the request {} failed the first time: {}", change.request_id, record.row.reason);
    }
    Plan plan;
    for (const StepRow& row : record.steps) plan.steps.push_back(row.step);
    return plan;
  }
  PHX_ASSIGN_OR_RETURN(const PlanAnswer answer, PlanWithLedger(change.wanted));
  std::vector<PlacedStep> placed;
  for (const Step& step : answer.plan.steps) placed.push_back({"", "", &step});
  std::vector<std::pair<std::string, std::string>> provided;
  for (const std::string& key : answer.plan.provided_now) provided.emplace_back("", key);
  PHX_RETURN_IF_ERROR(DeriveOrder(placed, provided).status());
  // A run plans a second time with what others take away; a change of one participant asks the others.
  const std::vector<std::string> removed = RemovedBy(answer.plan);
  if (!removed.empty()) PHX_RETURN_IF_ERROR(siblings_.MayGo(removed, {}));
  const std::string run_id = RandomUuid();
  PHX_RETURN_IF_ERROR(RefuseWhatIsLocked(answer.plan, run_id));
  if (change.validate_only || answer.plan.steps.empty()) return answer.plan;
  PHX_RETURN_IF_ERROR(journal_.HoldReserve());

  PrepareInput input{.context = {.run_id = run_id}, .wanted = std::move(change.wanted)};
  input.plan_digest = answer.plan_digest;
  PHX_ASSIGN_OR_RETURN(TransactionRecord record,
                       BeginTransaction(input, answer.plan, /*local=*/true, change.request_id));
  absl::Status status = CaptureAll(record);
  if (status.ok()) status = ApplyInOrder(run_id);
  if (!status.ok()) {
    PHX_ASSIGN_OR_RETURN(const TransactionRow row, RowOf(run_id));
    PHX_RETURN_IF_ERROR(BeginUndo(run_id, row.state, "undo", Message(status)));
    PHX_ASSIGN_OR_RETURN(const TransactionRecord undone, AwaitUndone(run_id, {}));
    for (const StepRow& row_after : undone.steps) {
      if (row_after.state == StepState::kQuarantined)
        return Annotate(status, "undone but for " + row_after.step.resource);
    }
    return Annotate(status, "nothing was changed");
  }
  // Its own row decides: one write from prepared to committed, with no doubt in between.
  PHX_RETURN_IF_ERROR(journal_.Move(run_id, TransactionState::kPrepared, [](TransactionRow& row) {
    row.state = TransactionState::kCommitted;
    row.decided_by = "commit";
  }));
  {
    absl::MutexLock lock(&mutex_);
    secrets_.erase(run_id);
  }
  if (domain_.Close(run_id, /*committed=*/true).ok()) {
    PHX_RETURN_IF_ERROR(journal_.Touch(run_id, [](TransactionRow& row) { row.closed = true; }));
  }
  return answer.plan;
}

}  // namespace phoenix::kit
