// phoenix.orchestrator.v1.OrchestratorService: convert, ask the engine, convert.
#pragma once

#include <functional>
#include <string>

#include "base/workers.h"
#include "orchestrator/engine/run_engine.h"
#include "orchestrator/fleet/channels.h"
#include "phoenix/orchestrator/v1/orchestrator.grpc.pb.h"
#include "services/kit/rpc/dispatcher.h"

namespace phoenix::api {

class OrchestratorService final : public orchestrator::v1::OrchestratorService::CallbackService {
 public:
  // What a fleet file says. Notes are its lints.
  struct Fleet {
    std::vector<run::NodeAddress> nodes;
    std::vector<kit::Note> notes;
  };
  // `fleet_of`: the fleet of a fleet file's text; of an empty text, this very node.
  using FleetReader = std::function<absl::StatusOr<Fleet>(const std::string& fleet)>;
  OrchestratorService(engine::RunEngine& engine, fleet::Channels& channels, kit::Dispatcher& dispatcher,
                      FleetReader fleet_of, engine::SecretsReader read_secrets);

#define PHX_RPC(Name, Request, Response)                                   \
  grpc::ServerUnaryReactor* Name(grpc::CallbackServerContext* context,     \
                                 const orchestrator::v1::Request* request, \
                                 orchestrator::v1::Response* response) override
  PHX_RPC(PlanRun, PlanRunRequest, PlanRunResponse);
  PHX_RPC(CreateRun, CreateRunRequest, Run);
  PHX_RPC(GetRun, GetRunRequest, Run);
  PHX_RPC(ListRuns, ListRunsRequest, ListRunsResponse);
  PHX_RPC(ListRunSteps, ListRunStepsRequest, ListRunStepsResponse);
  PHX_RPC(ApproveRun, ApproveRunRequest, Run);
  PHX_RPC(ConfirmRun, ConfirmRunRequest, Run);
  PHX_RPC(CancelRun, CancelRunRequest, Run);
  PHX_RPC(RollbackRun, RollbackRunRequest, Run);
  PHX_RPC(ListNodes, ListNodesRequest, ListNodesResponse);
  PHX_RPC(GetNode, GetNodeRequest, Node);
#undef PHX_RPC
  grpc::ServerWriteReactor<orchestrator::v1::WatchRunResponse>* WatchRun(
      grpc::CallbackServerContext* context, const orchestrator::v1::WatchRunRequest* request) override;

 private:
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const char* method, kit::Lane lane,
                                  std::function<absl::Status(const kit::Caller&)> body);
  struct Declared {
    run::Request request;
    Secrets secrets;
    std::vector<kit::Note> fleet_notes;
  };
  absl::StatusOr<Declared> RequestOf(const orchestrator::v1::Declaration& declaration);
  // The request of the run that takes this one back.
  absl::StatusOr<run::Request> RollbackRequestOf(const std::string& name);
  absl::Status AnswerRun(const std::string& run_id, orchestrator::v1::Run& response);
  void DescribeNode(const run::NodeAddress& address, orchestrator::v1::Node& out);

  engine::RunEngine& engine_;
  fleet::Channels& channels_;
  kit::Dispatcher& dispatcher_;
  const FleetReader fleet_of_;
  const engine::SecretsReader read_secrets_;
  // Watchers wait for events; each has a thread of its own, so that they cannot starve other calls.
  Workers watchers_{64};
};

}  // namespace phoenix::api
