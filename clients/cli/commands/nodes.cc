// phoenix nodes.
#include <fmt/format.h>

#include "base/status/errors.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/declaration.h"
#include "clients/cli/render/render.h"

namespace phoenix::cli {
namespace {

int Nodes(const Session& session, const std::string& fleet, bool verbose) {
  pb::ListNodesRequest request;
  if (!fleet.empty()) {
    auto text = ReadText(fleet);
    if (!text.ok()) return Fail(session, text.status());
    request.set_fleet(*std::move(text));
  }
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  grpc::ClientContext context;
  pb::ListNodesResponse response;
  const grpc::Status status = (*stub)->ListNodes(&context, request, &response);
  if (!status.ok()) return Fail(session, session.StatusOf(status));
  fmt::print("{}", session.output == Output::kJson
                       ? ToJson(response) + "\n"
                       : RenderNodes({response.nodes().begin(), response.nodes().end()}, verbose));
  return kDone;
}

}  // namespace

void AddNodes(CLI::App& app, Session& session, int& exit_code) {
  auto fleet = std::make_shared<std::string>();
  auto* command = app.add_subcommand("nodes", "The nodes of a fleet and their services");
  command->add_option("--fleet", *fleet, "The fleet; without it, this very node");
  auto verbose = std::make_shared<bool>(false);
  command->add_flag("-v,--verbose", *verbose, "Also what is as it should be, disk by disk");
  command->callback([&session, &exit_code, fleet, verbose] { exit_code = Nodes(session, *fleet, *verbose); });
}

}  // namespace phoenix::cli
