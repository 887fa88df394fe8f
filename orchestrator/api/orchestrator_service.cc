#include "orchestrator/api/orchestrator_service.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "orchestrator/api/run_convert.h"
#include "orchestrator/run/consent.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/page.h"
#include "services/kit/rpc/status.h"

namespace phoenix::api {
namespace {

using google::protobuf::util::TimeUtil;
using kit::Caller;
using kit::Lane;

constexpr char kService[] = "phoenix.orchestrator.v1.OrchestratorService";
constexpr char kErrorDomain[] = "orchestrator.phoenix";
constexpr size_t kPlanPage = 500;
constexpr std::chrono::minutes kDefaultDeadline{30};
// With the conditions of the node's objects, and where those take too long without.
constexpr std::chrono::seconds kDescribeLimit{7}, kBriefDescribeLimit{2};
constexpr std::chrono::seconds kLeastConfirm{10};

// Of a plan's request, or of a run's.
template <class Message>
absl::Status TakeConsent(const Message& message, run::Request& request) {
  request.allow.assign(message.allow().begin(), message.allow().end());
  request.no_install = message.no_install();
  PHX_ASSIGN_OR_RETURN(request.prune, PruneFrom({message.prune().begin(), message.prune().end()}));
  request.wipe.assign(message.wipe().begin(), message.wipe().end());
  request.allow_unhealthy.assign(message.allow_unhealthy().begin(), message.allow_unhealthy().end());
  return absl::OkStatus();
}

// With its conditions; where they take too long without: a hanging disk makes no service unreachable.
absl::Status DescribeParticipant(client::ParticipantClient& client,
                                 client::pb::DescribeResponse& description) {
  client::pb::DescribeRequest request;
  request.set_conditions(true);
  const absl::Status status = client.Describe(request, description, kDescribeLimit);
  if (!absl::IsDeadlineExceeded(status)) return status;
  description.Clear();
  request.set_conditions(false);
  PHX_RETURN_IF_ERROR(client.Describe(request, description, kBriefDescribeLimit));
  auto* late = description.add_conditions();
  late->set_severity(client::pb::Condition::SEVERITY_WARNING);
  late->set_object(description.participant());
  late->set_text(
      fmt::format("was not read within {} s: something on this node hangs", kDescribeLimit.count()));
  return absl::OkStatus();
}

}  // namespace

OrchestratorService::OrchestratorService(engine::RunEngine& engine, fleet::Channels& channels,
                                         kit::Dispatcher& dispatcher, FleetReader fleet_of,
                                         engine::SecretsReader read_secrets)
    : engine_(engine),
      channels_(channels),
      dispatcher_(dispatcher),
      fleet_of_(std::move(fleet_of)),
      read_secrets_(std::move(read_secrets)) {}

grpc::ServerUnaryReactor* OrchestratorService::Serve(grpc::CallbackServerContext* context, const char* method,
                                                     Lane lane,
                                                     std::function<absl::Status(const Caller&)> body) {
  return dispatcher_.Serve(context, kService, method, lane, kErrorDomain, std::move(body));
}

absl::StatusOr<OrchestratorService::Declared> OrchestratorService::RequestOf(
    const pb::Declaration& declaration) {
  Declared declared;
  run::Request& request = declared.request;
  request.title = declaration.title();
  request.config = declaration.config();
  request.vms = declaration.vms();
  for (const auto& [name, content] : declaration.feature_scripts()) request.feature_scripts[name] = content;
  request.lxc = declaration.lxc();
  PHX_ASSIGN_OR_RETURN(Fleet fleet, fleet_of_(declaration.fleet()));
  request.nodes = std::move(fleet.nodes);
  declared.fleet_notes = std::move(fleet.notes);
  request.secrets_file = declaration.secrets_file();
  request.inline_secrets = !declaration.secrets().empty();
  request.deadline_ns = std::chrono::nanoseconds(kDefaultDeadline).count();
  if (!request.secrets_file.empty()) {
    PHX_ASSIGN_OR_RETURN(declared.secrets, read_secrets_(request.secrets_file));
  }
  for (const auto& [name, value] : declaration.secrets())
    declared.secrets.insert_or_assign(name, Secret(value));
  return declared;
}

absl::StatusOr<run::Request> OrchestratorService::RollbackRequestOf(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const std::string run_id, ParseRunName(name));
  PHX_ASSIGN_OR_RETURN(const engine::RunView view, engine_.GetRun(run_id));
  return run::RollbackOf(run_id, view.state);
}

grpc::ServerUnaryReactor* OrchestratorService::PlanRun(grpc::CallbackServerContext* context,
                                                       const pb::PlanRunRequest* request,
                                                       pb::PlanRunResponse* response) {
  return Serve(context, "PlanRun", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    Declared declared;
    if (request->rollback_of().empty()) {
      PHX_ASSIGN_OR_RETURN(declared, RequestOf(request->declaration()));
    } else {
      PHX_ASSIGN_OR_RETURN(declared.request, RollbackRequestOf(request->rollback_of()));
    }
    PHX_RETURN_IF_ERROR(TakeConsent(*request, declared.request));
    PHX_ASSIGN_OR_RETURN(run::FleetPlan plan, engine_.MakePlan(declared.request, declared.secrets));
    PHX_RETURN_IF_ERROR(run::CheckAllowedKeys(plan, declared.request));
    plan.notes.insert(plan.notes.begin(), declared.fleet_notes.begin(), declared.fleet_notes.end());
    for (size_t i = 0; i < plan.sequence.size() && i < kPlanPage; ++i) {
      ToProto(plan, i, {}, /*with_plan=*/true, *response->add_steps());
    }
    MarkMissing(run::MissingConsents(plan, declared.request), *response);
    response->set_step_count(static_cast<int>(plan.sequence.size()));
    response->set_plan_digest(plan.digest);
    for (auto& note : NotesOf(plan)) *response->add_notes() = std::move(note);
    AddCheckpoints(plan, *response);
    if (plan.barrier < plan.sequence.size())
      response->set_barrier_ordinal(static_cast<int>(plan.barrier) + 1);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* OrchestratorService::CreateRun(grpc::CallbackServerContext* context,
                                                         const pb::CreateRunRequest* request,
                                                         pb::Run* response) {
  return Serve(context, "CreateRun", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto declared, RequestOf(request->declaration()));
    PHX_RETURN_IF_ERROR(TakeConsent(*request, declared.request));
    const auto& wipe = declared.request.wipe;
    if (std::find(wipe.begin(), wipe.end(), "*") != wipe.end())
      return InvalidArgument("wipe: * is for plans; a run wipes disks that are named one by one");
    declared.request.await_approval = request->await_approval();
    if (request->has_confirm_within()) {
      declared.request.confirm_within_ns = TimeUtil::DurationToNanoseconds(request->confirm_within());
      if (declared.request.confirm_within_ns < std::chrono::nanoseconds(kLeastConfirm).count()) {
        return WithViolations(InvalidArgument("confirm_within is shorter than {} s", kLeastConfirm.count()),
                              {{"confirm_within", "must leave time to look at what was done"}});
      }
    }
    declared.request.expected_plan_digest = request->plan_digest();
    declared.request.request_id = request->request_id();
    if (request->has_deadline())
      declared.request.deadline_ns = TimeUtil::DurationToNanoseconds(request->deadline());
    PHX_ASSIGN_OR_RETURN(const std::string run_id, engine_.CreateRun(declared.request, declared.secrets));
    return AnswerRun(run_id, *response);
  });
}

grpc::ServerUnaryReactor* OrchestratorService::GetRun(grpc::CallbackServerContext* context,
                                                      const pb::GetRunRequest* request, pb::Run* response) {
  return Serve(context, "GetRun", Lane::kRead, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string run_id, ParseRunName(request->name()));
    return AnswerRun(run_id, *response);
  });
}

grpc::ServerUnaryReactor* OrchestratorService::ListRuns(grpc::CallbackServerContext* context,
                                                        const pb::ListRunsRequest* request,
                                                        pb::ListRunsResponse* response) {
  return Serve(context, "ListRuns", Lane::kRead, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto views, engine_.ListRuns());
    PHX_ASSIGN_OR_RETURN(const kit::Page page,
                         kit::PageOf(views.size(), request->page_size(), request->page_token(), 50));
    for (size_t i = page.begin; i < page.end; ++i)
      ToProto(views[i].run_id, views[i].state, *response->add_runs());
    response->set_next_page_token(page.next_token);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* OrchestratorService::ListRunSteps(grpc::CallbackServerContext* context,
                                                            const pb::ListRunStepsRequest* request,
                                                            pb::ListRunStepsResponse* response) {
  return Serve(
      context, "ListRunSteps", Lane::kRead, [this, request, response](const Caller&) -> absl::Status {
        PHX_ASSIGN_OR_RETURN(const std::string run_id, ParseRunName(request->parent()));
        PHX_ASSIGN_OR_RETURN(const engine::RunView view, engine_.GetRun(run_id));
        if (!view.state.plan) return absl::OkStatus();
        PHX_ASSIGN_OR_RETURN(const kit::Page page, kit::PageOf(view.state.steps.size(), request->page_size(),
                                                               request->page_token(), 100));
        for (size_t i = page.begin; i < page.end; ++i) {
          ToProto(*view.state.plan, i, view.state.steps[i], /*with_plan=*/true, *response->add_steps());
        }
        response->set_next_page_token(page.next_token);
        if (page.begin == 0) {
          for (auto& note : NotesOf(*view.state.plan)) *response->add_notes() = std::move(note);
        }
        return absl::OkStatus();
      });
}

absl::Status OrchestratorService::AnswerRun(const std::string& run_id, pb::Run& response) {
  PHX_ASSIGN_OR_RETURN(const engine::RunView view, engine_.GetRun(run_id));
  ToProto(run_id, view.state, response);
  for (const run::Wait& wait : run::Notable(engine_.WaitsOf(run_id))) ToProto(wait, *response.add_waits());
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* OrchestratorService::ApproveRun(grpc::CallbackServerContext* context,
                                                          const pb::ApproveRunRequest* request,
                                                          pb::Run* response) {
  return Serve(context, "ApproveRun", Lane::kChange,
               [this, request, response](const Caller&) -> absl::Status {
                 PHX_ASSIGN_OR_RETURN(const std::string run_id, ParseRunName(request->name()));
                 PHX_RETURN_IF_ERROR(engine_.Intervene(run_id, [request](const run::RunState& state) {
                   return request->deny() ? run::Deny(state, request->plan_digest())
                                          : run::Approve(state, request->plan_digest());
                 }));
                 return AnswerRun(run_id, *response);
               });
}

grpc::ServerUnaryReactor* OrchestratorService::ConfirmRun(grpc::CallbackServerContext* context,
                                                          const pb::ConfirmRunRequest* request,
                                                          pb::Run* response) {
  return Serve(context, "ConfirmRun", Lane::kChange,
               [this, request, response](const Caller&) -> absl::Status {
                 PHX_ASSIGN_OR_RETURN(const std::string run_id, ParseRunName(request->name()));
                 PHX_RETURN_IF_ERROR(engine_.Confirm(run_id));
                 return AnswerRun(run_id, *response);
               });
}

grpc::ServerUnaryReactor* OrchestratorService::CancelRun(grpc::CallbackServerContext* context,
                                                         const pb::CancelRunRequest* request,
                                                         pb::Run* response) {
  return Serve(context, "CancelRun", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string run_id, ParseRunName(request->name()));
    PHX_RETURN_IF_ERROR(engine_.Intervene(
        run_id, [request](const run::RunState& state) { return run::Cancel(state, request->reason()); }));
    return AnswerRun(run_id, *response);
  });
}

grpc::ServerUnaryReactor* OrchestratorService::RollbackRun(grpc::CallbackServerContext* context,
                                                           const pb::RollbackRunRequest* request,
                                                           pb::Run* response) {
  return Serve(context, "RollbackRun", Lane::kChange,
               [this, request, response](const Caller&) -> absl::Status {
                 PHX_ASSIGN_OR_RETURN(run::Request rollback, RollbackRequestOf(request->name()));
                 rollback.expected_plan_digest = request->plan_digest();
                 rollback.request_id = request->request_id();
                 rollback.await_approval = request->await_approval();
                 rollback.allow.assign(request->allow().begin(), request->allow().end());
                 PHX_ASSIGN_OR_RETURN(const std::string run_id, engine_.CreateRun(rollback, {}));
                 return AnswerRun(run_id, *response);
               });
}

void OrchestratorService::DescribeNode(const run::NodeAddress& address, pb::Node& out) {
  out.set_name("nodes/" + address.name);
  out.set_address(address.address);
  out.set_orchestrator_authority(engine_.authority());
  for (const std::string_view name : kit::kParticipants) {
    auto* participant = out.add_participants();
    participant->set_name(std::string(name));
  }
  std::vector<std::thread> threads;
  for (auto& participant : *out.mutable_participants()) {
    threads.emplace_back([this, &address, &participant] {
      const auto client = channels_.Get(address, participant.name());
      const absl::Status status =
          client.ok() ? DescribeParticipant(**client, *participant.mutable_description()) : client.status();
      participant.set_reachable(status.ok());
      participant.set_error(Message(status));
    });
  }
  for (auto& thread : threads) thread.join();
}

grpc::ServerUnaryReactor* OrchestratorService::ListNodes(grpc::CallbackServerContext* context,
                                                         const pb::ListNodesRequest* request,
                                                         pb::ListNodesResponse* response) {
  return Serve(context, "ListNodes", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const Fleet fleet, fleet_of_(request->fleet()));
    const std::vector<run::NodeAddress>& nodes = fleet.nodes;
    PHX_ASSIGN_OR_RETURN(const kit::Page page,
                         kit::PageOf(nodes.size(), request->page_size(), request->page_token(), 100));
    std::vector<std::thread> threads;
    for (size_t i = page.begin; i < page.end; ++i) response->add_nodes();
    for (size_t i = page.begin; i < page.end; ++i) {
      threads.emplace_back([this, &nodes, response, i, &page] {
        DescribeNode(nodes[i], *response->mutable_nodes(static_cast<int>(i - page.begin)));
      });
    }
    for (auto& thread : threads) thread.join();
    response->set_next_page_token(page.next_token);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* OrchestratorService::GetNode(grpc::CallbackServerContext* context,
                                                       const pb::GetNodeRequest* request,
                                                       pb::Node* response) {
  return Serve(context, "GetNode", Lane::kChange, [this, request, response](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const Fleet fleet, fleet_of_(request->fleet()));
    for (const auto& node : fleet.nodes) {
      if ("nodes/" + node.name != request->name()) continue;
      DescribeNode(node, *response);
      return absl::OkStatus();
    }
    return NotFound("'{}' is not a node of this fleet; names have the form nodes/NODE", request->name());
  });
}

}  // namespace phoenix::api
