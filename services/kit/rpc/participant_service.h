// phoenix.participant.v1.ParticipantService over a Participant: convert, ask, convert.
#pragma once

#include <string>

#include "phoenix/participant/v1/participant.grpc.pb.h"
#include "services/kit/participant/participant.h"
#include "services/kit/rpc/dispatcher.h"

namespace phoenix::kit {

class ParticipantService final : public participant::v1::ParticipantService::CallbackService {
 public:
  ParticipantService(Participant& participant, Dispatcher& dispatcher, std::string node, std::string boot_id);

#define PHX_PARTICIPANT_RPC(Name, Request, Response)                      \
  grpc::ServerUnaryReactor* Name(grpc::CallbackServerContext* context,    \
                                 const participant::v1::Request* request, \
                                 participant::v1::Response* response) override
  PHX_PARTICIPANT_RPC(Describe, DescribeRequest, DescribeResponse);
  PHX_PARTICIPANT_RPC(Observe, ObserveRequest, ObserveResponse);
  PHX_PARTICIPANT_RPC(Plan, PlanRequest, PlanResponse);
  PHX_PARTICIPANT_RPC(Prepare, PrepareRequest, PrepareResponse);
  PHX_PARTICIPANT_RPC(Apply, ApplyRequest, ApplyResponse);
  PHX_PARTICIPANT_RPC(Undo, UndoRequest, UndoResponse);
  PHX_PARTICIPANT_RPC(Verify, VerifyRequest, VerifyResponse);
  PHX_PARTICIPANT_RPC(AwaitConfirm, AwaitConfirmRequest, AwaitConfirmResponse);
  PHX_PARTICIPANT_RPC(PrepareCommit, PrepareCommitRequest, PrepareCommitResponse);
  PHX_PARTICIPANT_RPC(Commit, CommitRequest, CommitResponse);
  PHX_PARTICIPANT_RPC(GetTransaction, GetTransactionRequest, Transaction);
  PHX_PARTICIPANT_RPC(ListTransactions, ListTransactionsRequest, ListTransactionsResponse);
  PHX_PARTICIPANT_RPC(Resolve, ResolveRequest, ResolveResponse);
  PHX_PARTICIPANT_RPC(JoinUndo, JoinUndoRequest, Transaction);
  PHX_PARTICIPANT_RPC(Adopt, AdoptRequest, AdoptResponse);
#undef PHX_PARTICIPANT_RPC

 private:
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const char* method, Lane lane,
                                  std::function<absl::Status(const Caller&)> body);

  Participant& participant_;
  Dispatcher& dispatcher_;
  const std::string node_;
  const std::string boot_id_;
  const std::string error_domain_;
};

}  // namespace phoenix::kit
