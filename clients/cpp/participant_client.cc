#include "clients/cpp/participant_client.h"

#include <grpcpp/grpcpp.h>

#include "phoenix/participant/v1/participant.grpc.pb.h"
#include "services/kit/rpc/status.h"

namespace phoenix::client {
namespace {

using Stub = pb::ParticipantService::Stub;

class GrpcParticipantClient final : public ParticipantClient {
 public:
  GrpcParticipantClient(std::shared_ptr<grpc::Channel> channel, Peer peer)
      : peer_(std::move(peer)), stub_(pb::ParticipantService::NewStub(std::move(channel))) {}

#define PHX_CALL(Name)                                                                                      \
  absl::Status Name(const pb::Name##Request& request, pb::Name##Response& response, Limit limit) override { \
    return Call(&Stub::Name, request, response, limit);                                                     \
  }
  PHX_CALL(Describe)
  PHX_CALL(Plan)
  PHX_CALL(Prepare)
  PHX_CALL(Apply)
  PHX_CALL(Undo)
  PHX_CALL(Verify)
  PHX_CALL(AwaitConfirm)
  PHX_CALL(PrepareCommit)
  PHX_CALL(Commit)
#undef PHX_CALL

 private:
  template <class Request, class Response>
  absl::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response, Limit limit) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + limit);
    return Explain(peer_, kit::FromGrpc((stub_.get()->*method)(&context, request, &response)));
  }

  const Peer peer_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace

std::unique_ptr<ParticipantClient> MakeParticipantClient(std::shared_ptr<grpc::Channel> channel, Peer peer) {
  return std::make_unique<GrpcParticipantClient>(std::move(channel), std::move(peer));
}

}  // namespace phoenix::client
