#include "services/kit/transaction/step_execution.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "base/host/posix_command_runner.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::kit {
namespace {

constexpr int kUndoTries = 3;
constexpr std::chrono::minutes kChildPatience{10};

absl::Status Failure(const StepRow& row, const absl::Status& did, const ProbeResult& probe) {
  if (!did.ok()) return did;
  return Internal("{} {} said that it succeeded, but {}", row.step.action, row.step.resource,
                  probe.found.empty() ? "nothing of it is there" : "what is there is: " + probe.found);
}

}  // namespace

StepContext StepExecution::ContextOf(const std::string& run_id, const StepRow& row, const Secrets* secrets) {
  StepContext context;
  context.run_id = run_id;
  context.captured = row.captured.value_or("");
  context.secrets = secrets;
  context.node_key = node_key_;
  context.on_child = [this, run_id, step_id = row.step.id](const ChildIdentity& child) {
    return journal_.WriteChild(run_id, step_id, child);
  };
  return context;
}

absl::Status StepExecution::Capture(const std::string& run_id, StepRow& row) {
  PHX_ASSIGN_OR_RETURN(row.captured, domain_.Capture(row.step, run_id));
  return absl::OkStatus();
}

absl::Status StepExecution::Do(const std::string& run_id, StepRow row, const Secrets& secrets) {
  row.error.clear();
  for (const std::string& name : row.step.secrets) {
    if (secrets.contains(name)) continue;
    return RecordIdle(
        run_id, row,
        FailedPrecondition("the secret '{}' is not in this daemon's memory (it restarted?)", name));
  }
  const auto now = domain_.Capture(row.step, run_id);
  if (!now.ok()) return RecordIdle(run_id, row, now.status());
  if (row.captured && *row.captured != *now) {
    const auto done = IsDoneByAnotherNode(run_id, row, *now);
    if (!done.ok()) return RecordIdle(run_id, row, done.status());
    if (!*done) {
      return RecordIdle(
          run_id, row,
          WithReason(
              Aborted("{} was changed by somebody else since the run was prepared; nothing of this step "
                      "was done. Plan again.",
                      row.step.resource),
              {"FOREIGN_CHANGE", {{"resource", row.step.resource}}}));
    }
  } else {
    row.captured = *now;
  }
  row.state = StepState::kIntent;
  PHX_RETURN_IF_ERROR(journal_.WriteStep(run_id, TransactionState::kPrepared, row));

  const StepContext context = ContextOf(run_id, row, &secrets);
  const absl::Status did = domain_.Do(row.step, context);
  // Exit codes are hints: only what is there now counts.
  auto probe = domain_.ProbeStep(row.step, context);
  if (!probe.ok()) return RecordIdle(run_id, row, did.ok() ? probe.status() : did);
  if (probe->probe == Probe::kDone) return RecordDone(run_id, row, context);
  const absl::Status failure = Failure(row, did, *probe);
  if (probe->probe == Probe::kPartial) {
    const absl::Status undone = domain_.Undo(row.step, context);
    if (!undone.ok())
      return RecordIdle(run_id, row, Annotate(failure, "and its beginnings could not be undone yet"));
  }
  return RecordIdle(run_id, row, failure);
}

// What the nodes of a cluster have in common each of them changes in the run, and the first one does it for
// all. What was captured before that is what undo brings back.
absl::StatusOr<bool> StepExecution::IsDoneByAnotherNode(const std::string& run_id, const StepRow& row,
                                                        const std::string& now) {
  if (row.step.scope.empty() || !domain_.MayBeAnotherNodes(row.step, *row.captured, now)) return false;
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, domain_.ProbeStep(row.step, ContextOf(run_id, row, nullptr)));
  // In part: what is the node's own (folders) it has still to do.
  return probe.probe == Probe::kDone || probe.probe == Probe::kPartial;
}

absl::Status StepExecution::RecordDone(const std::string& run_id, StepRow& row, const StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const LedgerChange change, domain_.LedgerOf(row.step, context));
  row.state = StepState::kDone;
  row.child.reset();
  row.error.clear();
  absl::Status finished = journal_.FinishStep(run_id, TransactionState::kPrepared, row, change);
  // Undo may have begun while the step ran: the row then stays kIntent, and undo probes it.
  return finished;
}

// A step that failed is kept as kIntent unless the probe says that nothing of it is there: undo then looks
// again.
absl::Status StepExecution::RecordIdle(const std::string& run_id, StepRow& row, const absl::Status& why) {
  row.error = Message(why);
  if (row.state == StepState::kIntent) {
    const auto probe = domain_.ProbeStep(row.step, ContextOf(run_id, row, nullptr));
    if (probe.ok() && probe->probe == Probe::kNotDone) {
      row.state = StepState::kIdle;
      row.child.reset();
    }
  }
  const absl::Status written = journal_.WriteStep(run_id, TransactionState::kPrepared, row);
  return written.ok() ? why : written;
}

absl::Status StepExecution::Settle(const std::string& run_id, StepRow row) {
  if (row.child && !WaitForEnd(*row.child, kChildPatience)) {
    return DeadlineExceeded("process {} of {} still runs", row.child->pid, row.step.id);
  }
  if (row.state != StepState::kIntent) return absl::OkStatus();
  const StepContext context = ContextOf(run_id, row, nullptr);
  PHX_ASSIGN_OR_RETURN(ProbeResult probe, domain_.ProbeStep(row.step, context));
  if (probe.probe == Probe::kDone) return RecordDone(run_id, row, context);
  if (probe.probe == Probe::kPartial) {
    // Without its secrets a half-done step may not be completable; undone it can be asked for again.
    PHX_RETURN_IF_ERROR(domain_.Undo(row.step, context));
    PHX_ASSIGN_OR_RETURN(probe, domain_.ProbeStep(row.step, context));
  }
  if (probe.probe != Probe::kNotDone) return absl::OkStatus();
  row.state = StepState::kIdle;
  row.child.reset();
  return journal_.WriteStep(run_id, TransactionState::kPrepared, row);
}

absl::Status StepExecution::Undo(const std::string& run_id, StepRow row) {
  if (row.state == StepState::kReverted || row.state == StepState::kQuarantined) return absl::OkStatus();
  if (row.child && !WaitForEnd(*row.child, kChildPatience)) {
    return Quarantine(run_id, row, fmt::format("process {} still runs", row.child->pid));
  }
  if (row.state == StepState::kIdle) return Revert(run_id, row, "");
  StepContext context = ContextOf(run_id, row, nullptr);
  context.undoing = row.state == StepState::kUndoIntent;
  auto probe = domain_.ProbeStep(row.step, context);
  if (!probe.ok()) return Quarantine(run_id, row, "its state cannot be read: " + Message(probe.status()));
  if (probe->probe == Probe::kNotDone) return Revert(run_id, row, probe->left);
  if (probe->probe == Probe::kForeign) {
    return Quarantine(run_id, row, "somebody else changed it since: " + probe->found);
  }
  row.state = StepState::kUndoIntent;
  PHX_RETURN_IF_ERROR(journal_.WriteStep(run_id, TransactionState::kUndoing, row));
  context.undoing = true;
  absl::Status undone;
  for (int attempt = 0; attempt < kUndoTries; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(std::chrono::milliseconds(200 << attempt));
    undone = domain_.Undo(row.step, context);
    probe = domain_.ProbeStep(row.step, context);
    if (probe.ok() && probe->probe == Probe::kNotDone) return Revert(run_id, row, probe->left);
    if (undone.ok())
      undone = probe.ok() ? Internal("after undo there is still: {}", probe->found) : probe.status();
  }
  return Quarantine(run_id, row, Message(undone));
}

absl::Status StepExecution::Revert(const std::string& run_id, StepRow& row, const std::string& left) {
  LedgerChange change;
  // Of what the plan named beforehand: no quarantine, but whoever looks at the run is told.
  if (!left.empty()) row.error = row.error.empty() ? left : fmt::format("{}; undo: {}", row.error, left);
  if (row.state != StepState::kIdle) {
    // What the ledger does not know is unmanaged, and never deleted: no reason to keep the undo from ending.
    auto known = domain_.LedgerOfUndone(row.step, ContextOf(run_id, row, nullptr));
    if (known.ok()) change = *std::move(known);
  }
  row.state = StepState::kReverted;
  row.child.reset();
  return journal_.RevertStep(run_id, row, change);
}

absl::Status StepExecution::Quarantine(const std::string& run_id, StepRow& row, const std::string& cause) {
  row.state = StepState::kQuarantined;
  row.child.reset();
  row.error = row.error.empty() ? "undo: " + cause : fmt::format("{}; undo: {}", row.error, cause);
  row.remaining_commands = domain_.RemainingCommands(row.step, ContextOf(run_id, row, nullptr));
  return journal_.Quarantine(run_id, row, cause);
}

}  // namespace phoenix::kit
