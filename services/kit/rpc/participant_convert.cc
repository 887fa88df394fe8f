#include "services/kit/rpc/participant_convert.h"

#include <google/protobuf/util/time_util.h>

#include "base/status/errors.h"

namespace phoenix::kit {
namespace {

using google::protobuf::util::TimeUtil;

template <class Repeated>
std::vector<std::string> Strings(const Repeated& repeated) {
  return {repeated.begin(), repeated.end()};
}

template <class Repeated>
void Fill(Repeated* repeated, const std::vector<std::string>& strings) {
  for (const auto& text : strings) *repeated->Add() = text;
}

pb::Condition::Severity ToProto(Condition::Severity severity) {
  switch (severity) {
    case Condition::Severity::kOk:
      return pb::Condition::SEVERITY_OK;
    case Condition::Severity::kInfo:
      return pb::Condition::SEVERITY_INFO;
    case Condition::Severity::kWarning:
      return pb::Condition::SEVERITY_WARNING;
    case Condition::Severity::kCritical:
      break;
  }
  return pb::Condition::SEVERITY_CRITICAL;
}

}  // namespace

void ToProto(const Step& step, pb::Step& out) {
  out.set_id(step.id);
  out.set_resource(step.resource);
  out.set_action(step.action);
  for (const auto& diff : step.diffs) {
    auto* field = out.add_diffs();
    field->set_field(diff.field);
    field->set_before(diff.before);
    field->set_after(diff.after);
  }
  out.set_step_class(static_cast<pb::StepClass>(step.step_class));
  out.set_undo(step.undo);
  out.set_remainder(step.remainder);
  Fill(out.mutable_commands(), step.commands);
  out.set_scope(step.scope);
  for (const auto& need : step.requires_keys) {
    auto* requirement = out.add_requirements();
    requirement->set_key(need.key);
    requirement->set_satisfied_now(need.satisfied_now);
  }
  Fill(out.mutable_provides(), step.provides);
  Fill(out.mutable_removes(), step.removes);
  Fill(out.mutable_disturbs(), step.disturbs);
}

Step FromProto(const pb::Step& in) {
  Step step;
  step.id = in.id();
  step.resource = in.resource();
  step.action = in.action();
  for (const auto& diff : in.diffs()) step.diffs.push_back({diff.field(), diff.before(), diff.after()});
  step.step_class = static_cast<StepClass>(in.step_class());
  step.undo = in.undo();
  step.remainder = in.remainder();
  step.commands = Strings(in.commands());
  step.scope = in.scope();
  for (const auto& need : in.requirements()) step.requires_keys.push_back({need.key(), need.satisfied_now()});
  step.provides = Strings(in.provides());
  step.removes = Strings(in.removes());
  step.disturbs = Strings(in.disturbs());
  return step;
}

void ToProto(const Note& note, pb::Note& out) {
  out.set_severity(note.warning ? pb::Note::SEVERITY_WARNING : pb::Note::SEVERITY_INFO);
  out.set_resource(note.resource);
  out.set_text(note.text);
  out.set_unless_provided(note.unless_provided);
}

Note FromProto(const pb::Note& note) {
  return {note.severity() == pb::Note::SEVERITY_WARNING, note.resource(), note.text(),
          note.unless_provided()};
}

void ToProto(const PlanAnswer& answer, pb::PlanResponse& out) {
  for (const Step& step : answer.plan.steps) ToProto(step, *out.add_steps());
  for (const Note& note : answer.plan.notes) ToProto(note, *out.add_notes());
  Fill(out.mutable_provided_now(), answer.plan.provided_now);
  Fill(out.mutable_checkpoints(), answer.plan.checkpoints);
  out.set_plan_digest(answer.plan_digest);
  out.set_base_fingerprint(answer.plan.base_fingerprint);
  out.set_journal_id(answer.journal_id);
  out.set_authority(answer.authority);
}

void ToProto(const Outcome& outcome, pb::StepOutcome& out) {
  out.set_step_id(outcome.step_id);
  out.set_result(static_cast<pb::StepOutcome::Result>(outcome.result));
  out.set_error(outcome.error);
  Fill(out.mutable_remaining_commands(), outcome.remaining_commands);
}

Outcome FromProto(const pb::StepOutcome& in) {
  return {in.step_id(), static_cast<Outcome::Result>(in.result()), in.error(),
          Strings(in.remaining_commands())};
}

void ToProto(const TransactionRecord& record, std::optional<Duration> remaining, pb::Transaction& out) {
  const TransactionRow& row = record.row;
  out.set_run_id(row.run_id);
  out.set_state(static_cast<pb::Transaction::State>(row.state));
  out.set_authority(row.authority);
  out.set_epoch(row.epoch);
  out.set_plan_digest(row.plan_digest);
  for (const StepRow& step : record.steps) ToProto(OutcomeOf(step), *out.add_outcomes());
  if (remaining) *out.mutable_deadline_remaining() = TimeUtil::NanosecondsToDuration(remaining->count());
  out.set_decided_by(row.decided_by);
  *out.mutable_create_time() = TimeUtil::SecondsToTimestamp(row.create_seconds);
  out.set_reason(row.reason);
  Fill(out.mutable_participants(), row.participants);
  out.set_local(row.local);
}

void ToProto(const Journal::Adoption& adoption, pb::Adoption& out) {
  out.set_former_authority(adoption.former.authority);
  out.set_former_epoch(adoption.former.epoch);
  out.set_authority(adoption.authority);
  out.set_adopted_by(adoption.adopted_by);
  *out.mutable_adopt_time() = TimeUtil::SecondsToTimestamp(adoption.seconds);
}

RunContext FromProto(const pb::RunContext& context) {
  return {context.run_id(), context.attempt() == 0 ? 1 : context.attempt(), context.authority(),
          context.epoch(), context.journal_id()};
}

PlanInput FromProto(const pb::PlanRequest& request) {
  PlanInput input;
  input.spec_type = request.spec().type();
  input.spec = request.spec().content();
  input.secrets = SecretsFrom(request.secrets());
  input.disturbed_keys = Strings(request.disturbed_keys());
  input.removed_keys = Strings(request.removed_keys());
  return input;
}

PrepareInput FromProto(const pb::PrepareRequest& request) {
  PrepareInput input;
  input.context = FromProto(request.context());
  input.wanted.spec_type = request.spec().type();
  input.wanted.spec = request.spec().content();
  input.wanted.secrets = SecretsFrom(request.secrets());
  input.wanted.disturbed_keys = Strings(request.disturbed_keys());
  input.wanted.removed_keys = Strings(request.removed_keys());
  input.plan_digest = request.plan_digest();
  for (const auto& after : request.undo_after()) {
    for (const auto& sibling : after.after()) {
      input.undo_after[after.step_id()].push_back({sibling.participant(), sibling.step_id()});
    }
  }
  if (request.has_deadline()) {
    input.deadline = std::chrono::nanoseconds(TimeUtil::DurationToNanoseconds(request.deadline()));
  }
  input.participants = Strings(request.participants());
  return input;
}

void AddConditions(const absl::StatusOr<std::vector<Condition>>& conditions, pb::DescribeResponse& response) {
  if (!conditions.ok()) {
    auto* out = response.add_conditions();
    out->set_severity(pb::Condition::SEVERITY_WARNING);
    out->set_object(response.participant());
    out->set_text(fmt::format("cannot be read: {}", Message(conditions.status())));
    return;
  }
  for (const Condition& condition : *conditions) {
    auto* out = response.add_conditions();
    out->set_severity(ToProto(condition.severity));
    out->set_object(condition.object);
    out->set_text(condition.text);
  }
}

}  // namespace phoenix::kit
