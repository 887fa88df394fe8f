// A participant as its callers see it: statuses instead of gRPC's, a deadline on every call. Mutating calls
// are never repeated here; repeating them is the caller's decision.
#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <string>

#include "clients/cpp/peer.h"
#include "phoenix/participant/v1/participant.pb.h"

namespace grpc {
class Channel;
}

namespace phoenix::client {

namespace pb = ::phoenix::participant::v1;

// Thread-safe.
class ParticipantClient {
 public:
  virtual ~ParticipantClient() = default;
  using Limit = std::chrono::milliseconds;
  virtual absl::Status Describe(const pb::DescribeRequest& request, pb::DescribeResponse& response,
                                Limit limit) = 0;
  virtual absl::Status Plan(const pb::PlanRequest& request, pb::PlanResponse& response, Limit limit) = 0;
  virtual absl::Status Prepare(const pb::PrepareRequest& request, pb::PrepareResponse& response,
                               Limit limit) = 0;
  virtual absl::Status Apply(const pb::ApplyRequest& request, pb::ApplyResponse& response, Limit limit) = 0;
  virtual absl::Status Undo(const pb::UndoRequest& request, pb::UndoResponse& response, Limit limit) = 0;
  virtual absl::Status Verify(const pb::VerifyRequest& request, pb::VerifyResponse& response,
                              Limit limit) = 0;
  virtual absl::Status AwaitConfirm(const pb::AwaitConfirmRequest& request,
                                    pb::AwaitConfirmResponse& response, Limit limit) = 0;
  virtual absl::Status PrepareCommit(const pb::PrepareCommitRequest& request,
                                     pb::PrepareCommitResponse& response, Limit limit) = 0;
  virtual absl::Status Commit(const pb::CommitRequest& request, pb::CommitResponse& response,
                              Limit limit) = 0;
};

// Errors name `peer` where it does not answer.
std::unique_ptr<ParticipantClient> MakeParticipantClient(std::shared_ptr<grpc::Channel> channel, Peer peer);

}  // namespace phoenix::client
