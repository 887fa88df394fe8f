#include "services/kit/rpc/participant_service.h"

#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/rpc/page.h"
#include "services/kit/rpc/participant_convert.h"

#ifndef PHOENIX_VERSION
#define PHOENIX_VERSION "unversioned"
#endif

namespace phoenix::kit {
namespace {

constexpr int kProtocolVersion = 1;

std::chrono::nanoseconds FromDuration(const google::protobuf::Duration& duration) {
  return std::chrono::nanoseconds(google::protobuf::util::TimeUtil::DurationToNanoseconds(duration));
}

}  // namespace

ParticipantService::ParticipantService(Participant& participant, Dispatcher& dispatcher, std::string node,
                                       std::string boot_id)
    : participant_(participant),
      dispatcher_(dispatcher),
      node_(std::move(node)),
      boot_id_(std::move(boot_id)),
      error_domain_(participant.domain().Describe().participant + ".phoenix") {}

grpc::ServerUnaryReactor* ParticipantService::Serve(grpc::CallbackServerContext* context, const char* method,
                                                    Lane lane,
                                                    std::function<absl::Status(const Caller&)> body) {
  return dispatcher_.Serve(context, "phoenix.participant.v1.ParticipantService", method, lane, error_domain_,
                           std::move(body));
}

grpc::ServerUnaryReactor* ParticipantService::Describe(grpc::CallbackServerContext* context,
                                                       const pb::DescribeRequest* request,
                                                       pb::DescribeResponse* response) {
  return Serve(context, "Describe", Lane::kRead, [this, request, response](const Caller&) -> absl::Status {
    const DomainDescription description = participant_.domain().Describe();
    response->set_participant(description.participant);
    response->set_build(PHOENIX_VERSION);
    response->set_protocol_version(kProtocolVersion);
    response->set_journal_version(kJournalVersion);
    for (const auto& type : description.spec_types) response->add_spec_types(type);
    for (const auto& [tool, version] : description.tool_versions)
      (*response->mutable_tool_versions())[tool] = version;
    response->set_boot_id(boot_id_);
    response->set_journal_id(participant_.journal().id());
    PHX_ASSIGN_OR_RETURN(const auto fence, participant_.journal().ReadFence());
    response->set_authority(fence.authority);
    response->set_epoch(fence.epoch);
    PHX_ASSIGN_OR_RETURN(*response->mutable_open_run_id(), participant_.OpenRun());
    response->set_node(node_);
    PHX_ASSIGN_OR_RETURN(const auto adoptions, participant_.journal().Adoptions());
    for (const auto& adoption : adoptions) ToProto(adoption, *response->add_adoptions());
    if (request->conditions()) AddConditions(participant_.domain().Conditions(), *response);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ParticipantService::Observe(grpc::CallbackServerContext* context,
                                                      const pb::ObserveRequest* request,
                                                      pb::ObserveResponse* response) {
  return Serve(context, "Observe", Lane::kRead, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto fields,
                         participant_.domain().Observe({request->keys().begin(), request->keys().end()}));
    for (const auto& field : fields) {
      auto* out = response->add_fields();
      out->set_key(field.key);
      out->set_field(field.field);
      out->set_value(field.value);
      out->set_source(field.source);
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ParticipantService::Plan(grpc::CallbackServerContext* context,
                                                   const pb::PlanRequest* request,
                                                   pb::PlanResponse* response) {
  return Serve(context, "Plan", Lane::kRead, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const PlanAnswer answer, participant_.MakePlan(FromProto(*request)));
    ToProto(answer, *response);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ParticipantService::Prepare(grpc::CallbackServerContext* context,
                                                      const pb::PrepareRequest* request,
                                                      pb::PrepareResponse* response) {
  return Serve(context, "Prepare", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto captured, participant_.Prepare(FromProto(*request)));
    for (const auto& text : captured) response->add_captured(text);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ParticipantService::Apply(grpc::CallbackServerContext* context,
                                                    const pb::ApplyRequest* request,
                                                    pb::ApplyResponse* response) {
  return Serve(context, "Apply", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto outcomes,
                         participant_.Apply(FromProto(request->context()),
                                            {request->step_ids().begin(), request->step_ids().end()}));
    for (const Outcome& outcome : outcomes) ToProto(outcome, *response->add_outcomes());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ParticipantService::Undo(grpc::CallbackServerContext* context,
                                                   const pb::UndoRequest* request,
                                                   pb::UndoResponse* response) {
  return Serve(context, "Undo", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(
        const UndoAnswer answer,
        participant_.Undo(FromProto(request->context()),
                          {request->step_ids().begin(), request->step_ids().end()}, request->reason()));
    for (const Outcome& outcome : answer.outcomes) ToProto(outcome, *response->add_outcomes());
    response->set_undone(answer.undone);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ParticipantService::Verify(grpc::CallbackServerContext* context,
                                                     const pb::VerifyRequest* request,
                                                     pb::VerifyResponse* response) {
  return Serve(context, "Verify", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const VerifyReport report,
                         participant_.Verify(FromProto(request->context()), SecretsFrom(request->secrets())));
    for (const auto& text : report.probes) response->add_probes(text);
    for (const auto& text : report.not_probed) response->add_not_probed(text);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ParticipantService::AwaitConfirm(grpc::CallbackServerContext* context,
                                                           const pb::AwaitConfirmRequest* request,
                                                           pb::AwaitConfirmResponse*) {
  return Serve(context, "AwaitConfirm", Lane::kChange, [this, request](const Caller&) {
    return participant_.AwaitConfirm(FromProto(request->context()), FromDuration(request->confirm_within()));
  });
}

grpc::ServerUnaryReactor* ParticipantService::PrepareCommit(grpc::CallbackServerContext* context,
                                                            const pb::PrepareCommitRequest* request,
                                                            pb::PrepareCommitResponse*) {
  return Serve(context, "PrepareCommit", Lane::kChange, [this, request](const Caller&) {
    return participant_.PrepareCommit(FromProto(request->context()));
  });
}

grpc::ServerUnaryReactor* ParticipantService::Commit(grpc::CallbackServerContext* context,
                                                     const pb::CommitRequest* request, pb::CommitResponse*) {
  return Serve(context, "Commit", Lane::kChange,
               [this, request](const Caller&) { return participant_.Commit(FromProto(request->context())); });
}

grpc::ServerUnaryReactor* ParticipantService::GetTransaction(grpc::CallbackServerContext* context,
                                                             const pb::GetTransactionRequest* request,
                                                             pb::Transaction* response) {
  return Serve(context, "GetTransaction", Lane::kRead,
               [this, request, response](const Caller&) -> absl::Status {
                 PHX_ASSIGN_OR_RETURN(const TransactionRecord record, participant_.Get(request->run_id()));
                 ToProto(record, participant_.Remaining(record.row), *response);
                 return absl::OkStatus();
               });
}

grpc::ServerUnaryReactor* ParticipantService::ListTransactions(grpc::CallbackServerContext* context,
                                                               const pb::ListTransactionsRequest* request,
                                                               pb::ListTransactionsResponse* response) {
  return Serve(context, "ListTransactions", Lane::kRead,
               [this, request, response](const Caller&) -> absl::Status {
                 PHX_ASSIGN_OR_RETURN(const auto rows, participant_.journal().List());
                 PHX_ASSIGN_OR_RETURN(const Page page,
                                      PageOf(rows.size(), request->page_size(), request->page_token(), 50));
                 for (size_t i = page.begin; i < page.end; ++i) {
                   PHX_ASSIGN_OR_RETURN(const TransactionRecord record, participant_.Get(rows[i].run_id));
                   ToProto(record, participant_.Remaining(record.row), *response->add_transactions());
                 }
                 response->set_next_page_token(page.next_token);
                 return absl::OkStatus();
               });
}

grpc::ServerUnaryReactor* ParticipantService::Resolve(grpc::CallbackServerContext* context,
                                                      const pb::ResolveRequest* request,
                                                      pb::ResolveResponse* response) {
  return Serve(context, "Resolve", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    const Decision decision = request->decision() == pb::ResolveRequest::DECISION_COMMIT ? Decision::kCommit
                              : request->decision() == pb::ResolveRequest::DECISION_UNDO ? Decision::kUndo
                                                                                         : Decision::kNone;
    PHX_ASSIGN_OR_RETURN(const ResolveAnswer answer,
                         participant_.Resolve(request->run_id(), request->object(), decision));
    ToProto(answer.record, participant_.Remaining(answer.record.row), *response->mutable_transaction());
    for (const auto& object : answer.lifted) response->add_lifted(object);
    for (const auto& outcome : answer.remaining) ToProto(outcome, *response->add_remaining());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ParticipantService::JoinUndo(grpc::CallbackServerContext* context,
                                                       const pb::JoinUndoRequest* request,
                                                       pb::Transaction* response) {
  return Serve(context, "JoinUndo", Lane::kRead,
               [this, request, response](const Caller& caller) -> absl::Status {
                 // It carries no epoch, so it must come from a sibling of this very node.
                 if (!caller.local) return PermissionDenied("JoinUndo is for siblings of the same node only");
                 PHX_ASSIGN_OR_RETURN(const TransactionRecord record,
                                      participant_.JoinUndo(request->run_id(), request->participant()));
                 ToProto(record, participant_.Remaining(record.row), *response);
                 return absl::OkStatus();
               });
}

grpc::ServerUnaryReactor* ParticipantService::Adopt(grpc::CallbackServerContext* context,
                                                    const pb::AdoptRequest* request,
                                                    pb::AdoptResponse* response) {
  return Serve(context, "Adopt", Lane::kChange,
               [this, request, response](const Caller& caller) -> absl::Status {
                 PHX_ASSIGN_OR_RETURN(const std::string former,
                                      participant_.Adopt(request->authority(), caller.identity));
                 if (former != request->authority()) {
                   spdlog::warn("obeys authority {} from now on, by the word of {}; before: {}",
                                request->authority(), caller.identity, former.empty() ? "none" : former);
                 }
                 response->set_former_authority(former);
                 return absl::OkStatus();
               });
}

}  // namespace phoenix::kit
