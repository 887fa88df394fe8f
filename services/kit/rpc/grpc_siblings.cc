#include "services/kit/rpc/grpc_siblings.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/status.h"

namespace phoenix::kit {
namespace {

// A sibling on the same machine answers at once or is down.
void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
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
    if (outcome.result() != participant::v1::StepOutcome::RESULT_UNDONE)
      state.applied.insert(outcome.step_id());
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

}  // namespace phoenix::kit
