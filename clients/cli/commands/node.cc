// phoenix node adopt NODE: the node's services obey the orchestrator that is reached. A human's word, so it
// goes to the services directly, with the caller's own credentials: no orchestrator can take a node for
// itself.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/node_services.h"
#include "phoenix/participant/v1/participant.grpc.pb.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/status.h"

namespace phoenix::cli {
namespace {

namespace part = ::phoenix::participant::v1;

constexpr std::chrono::seconds kLimit{30};

struct Flags {
  std::string node;
  std::string fleet;
};

// Before the first service is asked: half a node is worse than none of it.
absl::Status CheckReady(const pb::Node& node) {
  std::vector<FieldViolation> problems;
  for (const auto& service : node.participants()) {
    const std::string& open = service.description().open_run_id();
    if (!service.reachable()) {
      problems.push_back({service.name(), service.error()});
    } else if (!open.empty() && service.description().authority() != node.orchestrator_authority()) {
      problems.push_back(
          {service.name(),
           fmt::format(
               "{}: run {} is open; it ends by its orchestrator, or by itself when its deadline has passed; "
               "one in doubt by `phoenix resolve {}` on {}",
               service.name(), open, open, NameOf(node))});
    }
  }
  if (problems.empty()) return absl::OkStatus();
  std::string text = fmt::format("node {} obeys whom it obeyed before: nothing was changed", NameOf(node));
  for (const auto& problem : problems) text += "\n  " + problem.description;
  return WithViolations(WithReason(FailedPrecondition("{}", text), {"NOT_READY", {}}), problems);
}

// Answers the authority obeyed before.
absl::StatusOr<std::string> AdoptOne(const Session& session, const pb::Node& node,
                                     const std::string& service) {
  PHX_ASSIGN_OR_RETURN(const Reached reached, Reach(session, node, service));
  const auto stub = part::ParticipantService::NewStub(reached.channel);
  part::AdoptRequest request;
  request.set_authority(node.orchestrator_authority());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kLimit);
  part::AdoptResponse response;
  const grpc::Status status = stub->Adopt(&context, request, &response);
  if (!status.ok()) return client::Explain(reached.peer, kit::FromGrpc(status));
  return response.former_authority();
}

std::string ResultText(const std::string& former, const std::string& authority) {
  if (former == authority) return "obeyed it already";
  return "obeys it now; before: " + (former.empty() ? "nobody" : former);
}

// One service after the other in a fixed order, up to the first that refuses.
int Adopt(const Session& session, const Flags& flags) {
  const auto node = FindNode(session, flags.node, flags.fleet);
  if (!node.ok()) return Fail(session, node.status());
  if (const absl::Status ready = CheckReady(*node); !ready.ok()) return Fail(session, ready);
  const std::string& authority = node->orchestrator_authority();
  const bool text = session.output == Output::kText;
  if (text) fmt::print("{}: this orchestrator's authority is {}\n", NameOf(*node), authority);
  nlohmann::json services = nlohmann::json::array();
  absl::Status status;
  for (const std::string_view name : kit::kParticipants) {
    const auto former = AdoptOne(session, *node, std::string(name));
    status = former.ok() ? absl::OkStatus() : Annotate(former.status(), name);
    if (!status.ok()) break;
    services.push_back({{"name", name}, {"former_authority", *former}, {"changed", *former != authority}});
    if (text) fmt::print("{}: {}\n", name, ResultText(*former, authority));
  }
  nlohmann::json report = {{"node", node->name()}, {"authority", authority}, {"services", services}};
  if (!status.ok()) {
    const std::string problem = fmt::format(
        "{}\n{} of {} services of {} obey this orchestrator; repeat it when the cause is gone: "
        "phoenix node adopt {}",
        Message(status), services.size(), std::size(kit::kParticipants), NameOf(*node), NameOf(*node));
    report["error"] = problem;
    if (text) fmt::print(stderr, "phoenix: {}\n", problem);
  }
  if (!text) fmt::print("{}\n", report.dump(2));
  if (status.ok()) return kDone;
  return services.empty() ? kError : kUnresolved;
}

}  // namespace

void AddNode(CLI::App& app, Session& session, int& exit_code) {
  auto* node = app.add_subcommand("node", "Decide for a node by hand");
  node->require_subcommand(1);
  auto flags = std::make_shared<Flags>();
  auto* adopt = node->add_subcommand(
      "adopt",
      "Make a node obey this orchestrator, where the one it obeyed is gone; 4: done in part, repeat it");
  adopt->add_option("NODE", flags->node, "The node's name")->required();
  adopt->add_option("--fleet", flags->fleet, "The fleet; without it, this very node");
  adopt->callback([&session, &exit_code, flags] { exit_code = Adopt(session, *flags); });
}

}  // namespace phoenix::cli
