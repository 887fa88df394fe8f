#include "orchestrator/engine/node_calls.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "orchestrator/run/fleet_plan.h"
#include "services/kit/rpc/participant_convert.h"

namespace phoenix::engine {
namespace {

using google::protobuf::util::TimeUtil;
using Kind = run::Command::Kind;

constexpr std::chrono::seconds kShort{30};
constexpr std::chrono::minutes kPrepareLimit{10};
// A step may install packages or probe slow disks; the call only waits, and repeating it waits again.
constexpr std::chrono::minutes kWorkLimit{30};

class Call {
 public:
  Call(const store::Leadership& leadership, const std::string& run_id, const run::RunState& state,
       const run::Command& command, const Secrets& secrets)
      : state_(state), command_(command), secrets_(secrets), planned_(*state.plan->Find(command.who)) {
    context_.set_run_id(run_id);
    context_.set_attempt(1);
    context_.set_authority(leadership.authority);
    context_.set_epoch(leadership.epoch);
    context_.set_journal_id(planned_.journal_id);
  }

  absl::Status Make(client::ParticipantClient& client, run::Event& event) {
    event.who = command_.who;
    switch (command_.kind) {
      case Kind::kPrepare:
        return Prepare(client, event);
      case Kind::kApply:
        return Apply(client, event);
      case Kind::kVerify:
        return Verify(client, event);
      case Kind::kAwaitConfirm:
        return AwaitConfirm(client, event);
      case Kind::kPrepareCommit:
        return PrepareCommit(client, event);
      case Kind::kCommit:
        return Commit(client, event);
      case Kind::kUndo:
        return Undo(client, event);
      case Kind::kAppend:
      case Kind::kPlan:
        break;
    }
    return Internal("not a call");
  }

 private:
  template <class Request>
  void Fill(Request& request) {
    *request.mutable_context() = context_;
  }

  absl::Status Prepare(client::ParticipantClient& client, run::Event& event) {
    event.kind = run::Event::Kind::kPrepared;
    kit::pb::PrepareRequest request;
    Fill(request);
    request.mutable_spec()->set_type(planned_.spec_type);
    request.mutable_spec()->set_content(planned_.spec);
    for (const auto& [name, secret] : secrets_) (*request.mutable_secrets())[name] = secret.Reveal();
    for (const auto& key : planned_.disturbed_keys) request.add_disturbed_keys(key);
    for (const auto& key : planned_.removed_keys) request.add_removed_keys(key);
    request.set_plan_digest(planned_.plan_digest);
    *request.mutable_deadline() = TimeUtil::NanosecondsToDuration(state_.request->deadline_ns);
    for (const auto& [who, standing] : state_.participants) {
      if (who.node == command_.who.node) request.add_participants(who.participant);
    }
    std::map<std::string, kit::pb::UndoAfter> after;
    for (const auto& edge : run::UndoEdgesOf(*state_.plan, command_.who)) {
      auto& entry = after[edge.step_id];
      entry.set_step_id(edge.step_id);
      auto* sibling = entry.add_after();
      sibling->set_participant(edge.sibling);
      sibling->set_step_id(edge.sibling_step_id);
    }
    for (auto& [step_id, entry] : after) *request.add_undo_after() = entry;
    kit::pb::PrepareResponse response;
    PHX_RETURN_IF_ERROR(client.Prepare(request, response, kPrepareLimit));
    event.texts.assign(response.captured().begin(), response.captured().end());
    return absl::OkStatus();
  }

  void TakeOutcomes(const google::protobuf::RepeatedPtrField<kit::pb::StepOutcome>& outcomes,
                    run::Event& event) {
    for (const auto& outcome : outcomes) {
      event.results.push_back({outcome.step_id(),
                               static_cast<run::StepResult::Result>(outcome.result()),
                               outcome.error(),
                               {outcome.remaining_commands().begin(), outcome.remaining_commands().end()}});
    }
  }

  absl::Status Apply(client::ParticipantClient& client, run::Event& event) {
    event.kind = run::Event::Kind::kApplied;
    event.step_ids = command_.step_ids;
    kit::pb::ApplyRequest request;
    Fill(request);
    for (const auto& id : command_.step_ids) request.add_step_ids(id);
    kit::pb::ApplyResponse response;
    PHX_RETURN_IF_ERROR(client.Apply(request, response, kWorkLimit));
    TakeOutcomes(response.outcomes(), event);
    return absl::OkStatus();
  }

  absl::Status Verify(client::ParticipantClient& client, run::Event& event) {
    event.kind = run::Event::Kind::kVerified;
    kit::pb::VerifyRequest request;
    Fill(request);
    for (const auto& [name, secret] : secrets_) (*request.mutable_secrets())[name] = secret.Reveal();
    kit::pb::VerifyResponse response;
    PHX_RETURN_IF_ERROR(client.Verify(request, response, kPrepareLimit));
    event.texts.assign(response.probes().begin(), response.probes().end());
    event.texts.insert(event.texts.end(), response.not_probed().begin(), response.not_probed().end());
    return absl::OkStatus();
  }

  absl::Status AwaitConfirm(client::ParticipantClient& client, run::Event& event) {
    event.kind = run::Event::Kind::kConfirmArmed;
    kit::pb::AwaitConfirmRequest request;
    Fill(request);
    *request.mutable_confirm_within() = TimeUtil::NanosecondsToDuration(state_.request->confirm_within_ns);
    kit::pb::AwaitConfirmResponse response;
    return client.AwaitConfirm(request, response, kShort);
  }

  absl::Status PrepareCommit(client::ParticipantClient& client, run::Event& event) {
    event.kind = run::Event::Kind::kCommitPrepared;
    kit::pb::PrepareCommitRequest request;
    Fill(request);
    kit::pb::PrepareCommitResponse response;
    return client.PrepareCommit(request, response, kShort);
  }

  absl::Status Commit(client::ParticipantClient& client, run::Event& event) {
    event.kind = run::Event::Kind::kCommitDelivered;
    kit::pb::CommitRequest request;
    Fill(request);
    kit::pb::CommitResponse response;
    return client.Commit(request, response, kShort);
  }

  absl::Status Undo(client::ParticipantClient& client, run::Event& event) {
    event.kind = run::Event::Kind::kUndone;
    kit::pb::UndoRequest request;
    Fill(request);
    request.set_reason(state_.error);
    kit::pb::UndoResponse response;
    PHX_RETURN_IF_ERROR(client.Undo(request, response, kWorkLimit));
    if (!response.undone()) return Unavailable("undo goes on");
    TakeOutcomes(response.outcomes(), event);
    return absl::OkStatus();
  }

  const run::RunState& state_;
  const run::Command& command_;
  const Secrets& secrets_;
  const run::PlannedParticipant& planned_;
  kit::pb::RunContext context_;
};

}  // namespace

bool IsTransient(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

Answer MakeCall(fleet::Channels& channels, const store::Leadership& leadership, const std::string& run_id,
                const run::RunState& state, const run::Command& command, const Secrets& secrets) {
  const auto node =
      std::find_if(state.request->nodes.begin(), state.request->nodes.end(),
                   [&](const run::NodeAddress& address) { return address.name == command.who.node; });
  const auto client = channels.Get(*node, command.who.participant);
  if (!client.ok()) return {std::nullopt, client.status()};
  run::Event event;
  Call call(leadership, run_id, state, command, secrets);
  absl::Status status = call.Make(**client, event);
  if (!status.ok()) {
    if (IsTransient(status)) return {std::nullopt, status};
    event.ok = false;
    event.error = Message(status);
  }
  return {std::move(event), std::move(status)};
}

}  // namespace phoenix::engine
