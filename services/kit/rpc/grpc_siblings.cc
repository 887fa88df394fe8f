#include "services/kit/rpc/grpc_siblings.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/participant_convert.h"
#include "services/kit/rpc/status.h"

namespace phoenix::kit {
namespace {

// A sibling on the same machine answers at once or is down.
constexpr std::chrono::seconds kSoon{5};
// It looks at the machine first.
constexpr std::chrono::seconds kPlanning{60};

void SetDeadline(grpc::ClientContext& context, std::chrono::seconds limit = kSoon) {
  context.set_deadline(std::chrono::system_clock::now() + limit);
}

}  // namespace

GrpcSiblings::Stub& GrpcSiblings::StubOf(const std::string& participant) {
  absl::MutexLock lock(&mutex_);
  auto& stub = stubs_[participant];
  if (!stub) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    stub = participant::v1::ParticipantService::NewStub(grpc::CreateCustomChannel(
        "unix:" + SocketOf(runtime_directory_, participant), grpc::InsecureChannelCredentials(), arguments));
  }
  return *stub;
}

absl::StatusOr<SiblingState> GrpcSiblings::Get(const std::string& participant, const std::string& run_id) {
  grpc::ClientContext context;
  SetDeadline(context);
  participant::v1::GetTransactionRequest request;
  request.set_run_id(run_id);
  participant::v1::Transaction transaction;
  const grpc::Status status = StubOf(participant).GetTransaction(&context, request, &transaction);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return SiblingState{};
  if (!status.ok()) return FromGrpc(status);
  SiblingState state;
  state.state = static_cast<TransactionState>(transaction.state());
  state.decided_by = transaction.decided_by();
  for (const auto& outcome : transaction.outcomes()) {
    if (!UndoIsThroughWith(FromProto(outcome).result)) state.applied.insert(outcome.step_id());
  }
  return state;
}

absl::Status GrpcSiblings::JoinUndo(const std::string& participant, const std::string& run_id) {
  grpc::ClientContext context;
  SetDeadline(context);
  participant::v1::JoinUndoRequest request;
  request.set_run_id(run_id);
  request.set_participant(self_);
  participant::v1::Transaction transaction;
  return FromGrpc(StubOf(participant).JoinUndo(&context, request, &transaction));
}

absl::Status GrpcSiblings::PlanWithout(const std::string& participant, const std::vector<std::string>& keys) {
  participant::v1::DescribeResponse description;
  {
    grpc::ClientContext context;
    SetDeadline(context);
    // A channel that has just seen its daemon restart fails at once for a while.
    context.set_wait_for_ready(true);
    PHX_RETURN_IF_ERROR(FromGrpc(StubOf(participant).Describe(&context, {}, &description)));
  }
  if (description.spec_types().empty()) return Internal("{} accepts no specs", participant);
  participant::v1::PlanRequest request;
  request.mutable_spec()->set_type(description.spec_types(0));
  for (const std::string& key : keys) request.add_removed_keys(key);
  grpc::ClientContext context;
  SetDeadline(context, kPlanning);
  participant::v1::PlanResponse plan;
  return FromGrpc(StubOf(participant).Plan(&context, request, &plan));
}

absl::Status GrpcSiblings::MayGo(const std::vector<std::string>& keys,
                                 const std::vector<std::string>& except) {
  std::string text;
  std::vector<FieldViolation> consumers;
  for (const std::string_view name : kParticipants) {
    const std::string participant(name);
    std::error_code unreadable;
    if (participant == self_ || std::find(except.begin(), except.end(), participant) != except.end() ||
        !std::filesystem::exists(state_directory_ + "/" + participant + "/journal.db", unreadable)) {
      continue;
    }
    const absl::Status status = PlanWithout(participant, keys);
    if (status.ok()) continue;
    if (status.code() != absl::StatusCode::kFailedPrecondition) {
      return WithReason(
          Unavailable("{} cannot say whether it stands on what is to go ({}); when it runs again, "
                      "try again",
                      participant, Message(status)),
          {"SIBLING_SILENT", {{"participant", participant}}});
    }
    auto violations = ViolationsOf(status);
    if (violations.empty()) violations = {{participant, Message(status)}};
    for (const FieldViolation& violation : violations) {
      consumers.push_back({violation.field, fmt::format("{}: {}", participant, violation.description)});
      text += "\n  " + consumers.back().description;
    }
  }
  if (consumers.empty()) return absl::OkStatus();
  return WithViolations(
      WithReason(FailedPrecondition("others stand on what is to go; take them away first:{}", text),
                 {"STILL_NEEDED", {}}),
      consumers);
}

}  // namespace phoenix::kit
