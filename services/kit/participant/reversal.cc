#include "services/kit/participant/reversal.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/reversal_spec.h"

namespace phoenix::kit {
namespace {

constexpr std::string_view kPrefix = "take-back:";

bool IsReversal(const Step& step) { return step.id.starts_with(kPrefix); }

// What was provided goes, what was removed comes back, and what was needed must not go before.
Step Inverse(const std::string& run_id, const StepRow& row, std::vector<std::string> commands) {
  const Step& original = row.step;
  Step step{.id = std::string(kPrefix) + original.id, .resource = original.resource};
  step.action = "take back: " + original.action;
  for (const FieldDiff& diff : original.diffs) step.diffs.push_back({diff.field, diff.after, diff.before});
  step.step_class = original.step_class;
  step.undo = "do it again: " + original.action;
  step.remainder = original.remainder;
  if (!original.secrets.empty()) {
    step.step_class = StepClass::kPointOfNoReturn;
    step.undo = "none: it was done with a secret, which was not kept";
    step.remainder = fmt::format("{} is gone; the next setup makes it again", original.resource);
  }
  step.commands = std::move(commands);
  step.scope = original.scope;
  for (const Requirement& need : original.requires_keys) step.requires_keys.push_back({need.key, true});
  step.provides = original.removes;
  step.removes = original.provides;
  // A key of its own, since a step that takes something away may need what another one takes away after it.
  step.removes.push_back(fmt::format("step:{}/{}", run_id, original.id));
  step.disturbs = original.disturbs;
  step.payload = run_id + '\n' + original.id;
  return step;
}

}  // namespace

StepContext Reversal::ContextOf(const std::string& run_id, const StepRow& row) const {
  StepContext context;
  context.run_id = run_id;
  context.captured = row.captured.value_or("");
  context.node_key = node_key_;
  return context;
}

absl::StatusOr<Reversal::Original> Reversal::OriginalOf(const Step& step, const StepContext& context) {
  // RUN, a newline, and the id of the step there.
  const auto newline = step.payload.find('\n');
  if (newline == std::string::npos) return DataLoss("the journaled step {} cannot be read", step.id);
  const std::string run_id = step.payload.substr(0, newline), step_id = step.payload.substr(newline + 1);
  PHX_ASSIGN_OR_RETURN(const auto record, journal_.Read(run_id));
  if (!record) return DataLoss("run {} is not in this participant's journal any more", run_id);
  for (const StepRow& row : record->steps) {
    if (row.step.id != step_id) continue;
    Original original{row, ContextOf(run_id, row)};
    original.context.secrets = context.secrets;
    original.context.on_child = context.on_child;
    return original;
  }
  return DataLoss("run {} has no step {} in this participant's journal", run_id, step_id);
}

absl::StatusOr<TransactionRecord> Reversal::CommittedRun(const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(auto record, journal_.Read(run_id));
  const auto refuse = [&](std::string text) {
    return WithReason(FailedPrecondition("run {} cannot be rolled back here: {}", run_id, text),
                      {"NOT_REVERSIBLE", {{"run", run_id}}});
  };
  if (!record) return refuse("this participant's journal does not know it");
  if (record->row.state != TransactionState::kCommitted)
    return refuse(fmt::format("it is {}, not COMMITTED", ToText(record->row.state)));
  if (record->row.spec_type == kReversalType)
    return refuse(fmt::format("it is itself the rollback of run {}; set up the configuration again instead",
                              record->row.spec));
  PHX_ASSIGN_OR_RETURN(const auto rows, journal_.List());
  std::set<std::string> taken_back;
  for (const TransactionRow& newer : rows) {
    if (newer.run_id == run_id) break;
    if (newer.state != TransactionState::kCommitted || taken_back.contains(newer.run_id)) continue;
    if (newer.spec_type == kReversalType) {
      if (newer.spec == run_id) return refuse(fmt::format("run {} has done so already", newer.run_id));
      taken_back.insert(newer.spec);
      continue;
    }
    // A run for which this participant only kept checkpoints changed nothing here.
    if (record->steps.empty()) continue;
    PHX_ASSIGN_OR_RETURN(const auto changed, journal_.Read(newer.run_id));
    if (changed && changed->steps.empty()) continue;
    return refuse(fmt::format("{} {} was committed after it", newer.local ? "a typed change, run" : "run",
                              newer.run_id));
  }
  return *std::move(record);
}

DomainDescription Reversal::Describe() {
  DomainDescription description = domain_.Describe();
  description.spec_types.emplace_back(kReversalType);
  return description;
}

absl::StatusOr<std::vector<ObservedField>> Reversal::Observe(const std::vector<std::string>& keys) {
  return domain_.Observe(keys);
}

absl::StatusOr<Plan> Reversal::MakePlan(const PlanInput& input) {
  if (input.spec_type != kReversalType) return domain_.MakePlan(input);
  const std::string& run_id = input.spec;
  PHX_ASSIGN_OR_RETURN(const TransactionRecord record, CommittedRun(run_id));
  Plan plan;
  std::vector<FieldViolation> changed;
  std::string fingerprint = run_id;
  for (auto row = record.steps.rbegin(); row != record.steps.rend(); ++row) {
    if (row->state != StepState::kDone) continue;
    const StepContext context = ContextOf(run_id, *row);
    const std::string& resource = row->step.resource;
    PHX_ASSIGN_OR_RETURN(const ProbeResult probe, domain_.ProbeStep(row->step, context));
    fingerprint += fmt::format("\n{} {} {}", row->step.id, static_cast<int>(probe.probe), probe.found);
    PHX_ASSIGN_OR_RETURN(Retrospect retrospect, domain_.LookBack(row->step, context));
    if (row->step.step_class == StepClass::kPointOfNoReturn)
      retrospect = {Retrospect::Kind::kObstacle, "it was a point of no return"};
    // What stays may have lost all by which it could be told.
    if (retrospect.kind != Retrospect::Kind::kStays) {
      if (probe.probe == Probe::kNotDone) continue;
      if (probe.probe != Probe::kDone) {
        changed.push_back({row->step.id, fmt::format("{} has changed since: {}", resource, probe.found)});
        continue;
      }
    }
    switch (retrospect.kind) {
      case Retrospect::Kind::kReversible:
        plan.steps.push_back(Inverse(run_id, *row, domain_.RemainingCommands(row->step, context)));
        break;
      case Retrospect::Kind::kStays:
        plan.notes.push_back({true, resource, fmt::format("not rolled back: {}", retrospect.reason)});
        break;
      case Retrospect::Kind::kObstacle:
        changed.push_back(
            {row->step.id, fmt::format("{} cannot be taken back: {}", resource, retrospect.reason)});
        break;
    }
  }
  if (!changed.empty()) {
    std::string text;
    for (const FieldViolation& one : changed) text += "\n  " + one.description;
    return WithViolations(
        WithReason(
            FailedPrecondition("run {} cannot be rolled back here, and nothing of it was:{}", run_id, text),
            {"NOT_REVERSIBLE", {{"run", run_id}}}),
        changed);
  }
  plan.base_fingerprint = Sha256Hex(fingerprint);
  PHX_ASSIGN_OR_RETURN(plan.checkpoints, CheckpointsOf(plan.steps, input.disturbed_keys));
  return plan;
}

absl::StatusOr<std::vector<Step>> Reversal::OriginalsOf(const std::vector<Step>& steps) {
  std::vector<Step> originals;
  for (const Step& step : steps) {
    if (!IsReversal(step)) {
      originals.push_back(step);
      continue;
    }
    PHX_ASSIGN_OR_RETURN(const Original original, OriginalOf(step, {}));
    originals.push_back(original.row.step);
  }
  return originals;
}

absl::StatusOr<std::vector<std::string>> Reversal::CheckpointsOf(
    const std::vector<Step>& steps, const std::vector<std::string>& disturbed_keys) {
  PHX_ASSIGN_OR_RETURN(const std::vector<Step> originals, OriginalsOf(steps));
  return domain_.CheckpointsOf(originals, disturbed_keys);
}

absl::Status Reversal::Checkpoint(const std::string& run_id, const std::vector<Step>& steps,
                                  const std::vector<std::string>& disturbed_keys) {
  PHX_ASSIGN_OR_RETURN(const std::vector<Step> originals, OriginalsOf(steps));
  return domain_.Checkpoint(run_id, originals, disturbed_keys);
}

absl::StatusOr<std::string> Reversal::Capture(const Step& step, const std::string& run_id) {
  if (!IsReversal(step)) return domain_.Capture(step, run_id);
  PHX_ASSIGN_OR_RETURN(const Original original, OriginalOf(step, {}));
  PHX_ASSIGN_OR_RETURN(const ProbeResult probe, domain_.ProbeStep(original.row.step, original.context));
  // What taking it back restores was captured by the run itself; here only that nothing came in between
  // counts.
  return std::string(probe.probe == Probe::kDone ? "standing" : "not as the run left it");
}

absl::Status Reversal::Do(const Step& step, const StepContext& context) {
  if (!IsReversal(step)) return domain_.Do(step, context);
  PHX_ASSIGN_OR_RETURN(const Original original, OriginalOf(step, context));
  return domain_.Undo(original.row.step, original.context);
}

absl::StatusOr<ProbeResult> Reversal::ProbeStep(const Step& step, const StepContext& context) {
  if (!IsReversal(step)) return domain_.ProbeStep(step, context);
  PHX_ASSIGN_OR_RETURN(const Original original, OriginalOf(step, context));
  PHX_ASSIGN_OR_RETURN(ProbeResult probe, domain_.ProbeStep(original.row.step, original.context));
  if (probe.probe == Probe::kDone) {
    probe.probe = Probe::kNotDone;
  } else if (probe.probe == Probe::kNotDone) {
    probe.probe = Probe::kDone;
  }
  return probe;
}

absl::Status Reversal::Undo(const Step& step, const StepContext& context) {
  if (!IsReversal(step)) return domain_.Undo(step, context);
  PHX_ASSIGN_OR_RETURN(const Original original, OriginalOf(step, context));
  return domain_.Do(original.row.step, original.context);
}

std::vector<std::string> Reversal::RemainingCommands(const Step& step, const StepContext& context) {
  if (!IsReversal(step)) return domain_.RemainingCommands(step, context);
  const auto original = OriginalOf(step, context);
  if (!original.ok()) return {"# " + Message(original.status())};
  return original->row.step.commands;
}

absl::StatusOr<LedgerChange> Reversal::LedgerOf(const Step& step, const StepContext& context) {
  if (!IsReversal(step)) return domain_.LedgerOf(step, context);
  PHX_ASSIGN_OR_RETURN(const Original original, OriginalOf(step, context));
  return journal_.FormerLedger(original.context.run_id, original.row.step.id);
}

absl::StatusOr<LedgerChange> Reversal::LedgerOfUndone(const Step& step, const StepContext& context) {
  if (!IsReversal(step)) return domain_.LedgerOfUndone(step, context);
  // Made again it may have another identity than the ledger knew it by.
  PHX_ASSIGN_OR_RETURN(const Original original, OriginalOf(step, context));
  PHX_ASSIGN_OR_RETURN(LedgerChange change, domain_.LedgerOf(original.row.step, original.context));
  for (LedgerEntry& entry : change.put) entry.run_id = original.context.run_id;
  return change;
}

absl::StatusOr<Retrospect> Reversal::LookBack(const Step& step, const StepContext& context) {
  return domain_.LookBack(step, context);
}

absl::StatusOr<VerifyReport> Reversal::Verify(const VerifyInput& input) {
  VerifyInput own{.applied = {}, .secrets = input.secrets};
  VerifyReport report;
  for (const Step& step : input.applied) {
    if (IsReversal(step)) {
      report.probes.push_back(fmt::format("{} is as it was before", step.resource));
    } else {
      own.applied.push_back(step);
    }
  }
  if (own.applied.empty() && !report.probes.empty()) return report;
  return domain_.Verify(own);
}

absl::Status Reversal::Close(const std::string& run_id, bool committed) {
  PHX_RETURN_IF_ERROR(domain_.Close(run_id, committed));
  if (committed) return absl::OkStatus();
  // What was done again is the other run's, which stands as committed: what it holds once more is let go.
  PHX_ASSIGN_OR_RETURN(const auto record, journal_.Read(run_id));
  if (!record || record->row.spec_type != kReversalType) return absl::OkStatus();
  return domain_.Close(record->row.spec, /*committed=*/true);
}

}  // namespace phoenix::kit
