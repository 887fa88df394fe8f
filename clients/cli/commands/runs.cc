// phoenix runs list|show|watch.
#include <fmt/format.h>

#include "base/status/errors.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/render/progress.h"
#include "clients/cli/render/render.h"

namespace phoenix::cli {
namespace {

std::string FullName(const std::string& run) { return run.rfind("runs/", 0) == 0 ? run : "runs/" + run; }

int List(const Session& session) {
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  pb::ListRunsRequest request;
  pb::ListRunsResponse all;
  do {
    grpc::ClientContext context;
    pb::ListRunsResponse page;
    const grpc::Status status = (*stub)->ListRuns(&context, request, &page);
    if (!status.ok()) return Fail(session, session.StatusOf(status));
    all.mutable_runs()->MergeFrom(page.runs());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  fmt::print("{}", session.output == Output::kJson ? ToJson(all) + "\n"
                                                   : RenderRuns({all.runs().begin(), all.runs().end()}));
  return kDone;
}

absl::StatusOr<pb::ListRunStepsResponse> AllSteps(const Session& session, pb::OrchestratorService::Stub& stub,
                                                  const std::string& name) {
  pb::ListRunStepsRequest request;
  request.set_parent(name);
  pb::ListRunStepsResponse all;
  do {
    grpc::ClientContext context;
    pb::ListRunStepsResponse page;
    const grpc::Status status = stub.ListRunSteps(&context, request, &page);
    if (!status.ok()) return session.StatusOf(status);
    all.mutable_steps()->MergeFrom(page.steps());
    all.mutable_notes()->MergeFrom(page.notes());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

int Show(const Session& session, const std::string& name) {
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  grpc::ClientContext context;
  pb::GetRunRequest request;
  request.set_name(name);
  pb::Run run;
  const grpc::Status status = (*stub)->GetRun(&context, request, &run);
  if (!status.ok()) return Fail(session, session.StatusOf(status));
  const auto steps = AllSteps(session, **stub, name);
  if (!steps.ok()) return Fail(session, steps.status());
  if (session.output == Output::kJson) {
    fmt::print("{{\"run\": {}, \"plan\": {}}}\n", ToJson(run), ToJson(*steps));
  } else {
    fmt::print("{}", RenderRun(run, {steps->steps().begin(), steps->steps().end()}));
  }
  return kDone;
}

}  // namespace

int ExitCodeOf(pb::Run::State state) {
  switch (state) {
    case pb::Run::STATE_COMMITTED:
      return kDone;
    case pb::Run::STATE_ROLLED_BACK:
      return kRolledBack;
    case pb::Run::STATE_QUARANTINED:
      return kUnresolved;
    default:
      return kError;
  }
}

int WatchToEnd(const Session& session, const std::string& run_name) {
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  grpc::ClientContext context;
  pb::WatchRunRequest request;
  request.set_name(run_name);
  const auto reader = (*stub)->WatchRun(&context, request);
  Progress progress(session.terminal, session.color, session.columns);
  pb::WatchRunResponse event;
  pb::Run run;
  while (reader->Read(&event)) {
    run = event.run();
    if (session.output == Output::kText) progress.Show(event);
  }
  progress.End();
  const grpc::Status status = reader->Finish();
  if (!status.ok()) {
    fmt::print(stderr, "The run goes on without this client: phoenix runs watch {}\n", run_name.substr(5));
    return Fail(session, session.StatusOf(status));
  }
  if (session.output == Output::kJson) {
    fmt::print("{}\n", ToJson(run));
    return ExitCodeOf(run.state());
  }
  fmt::print("{}: {}", run_name, StateText(run.state()));
  if (run.state() == pb::Run::STATE_COMMITTED)
    fmt::print(", {} steps done on {} node(s)", run.done_count(), run.nodes_size());
  if (run.state() == pb::Run::STATE_ROLLED_BACK) fmt::print(": every node is as it was");
  fmt::print("\n");
  if (!run.error().empty()) fmt::print("cause: {}\n", run.error());
  for (const auto& text : run.unresolved()) fmt::print("unresolved: {}\n", text);
  if (run.state() == pb::Run::STATE_QUARANTINED)
    fmt::print("see: phoenix runs show {}\n", run_name.substr(5));
  return ExitCodeOf(run.state());
}

void AddRuns(CLI::App& app, Session& session, int& exit_code) {
  auto* runs = app.add_subcommand("runs", "List, show and watch runs");
  runs->require_subcommand(1);
  runs->add_subcommand("list", "All runs, newest first")->callback([&session, &exit_code] {
    exit_code = List(session);
  });
  auto name = std::make_shared<std::string>();
  auto* show = runs->add_subcommand("show", "One run: its steps, what became of each, what to do");
  show->add_option("RUN", *name, "The run's id")->required();
  show->callback([&session, &exit_code, name] { exit_code = Show(session, FullName(*name)); });
  auto* watch = runs->add_subcommand("watch", "Follow a run to its end; the exit code is that of setup");
  watch->add_option("RUN", *name, "The run's id")->required();
  watch->callback([&session, &exit_code, name] { exit_code = WatchToEnd(session, FullName(*name)); });
}

}  // namespace phoenix::cli
