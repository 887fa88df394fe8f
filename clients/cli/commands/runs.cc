// phoenix runs list|show|watch|approve|deny|confirm|cancel.
#include <fmt/format.h>

#include "base/status/errors.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/render/progress.h"
#include "clients/cli/render/render.h"

namespace phoenix::cli {
namespace {

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
    return kDone;
  }
  fmt::print("{}", RenderRun(run, {steps->steps().begin(), steps->steps().end()}));
  if (run.state() != pb::Run::STATE_COMMITTED || !run.has_end_time()) return kDone;
  const auto rollback = PlanOfRollback(session, **stub, name);
  if (rollback.ok()) {
    fmt::print("rollback: {} of {} steps can be taken back: phoenix rollback {}\n", rollback->step_count(),
               run.step_count(), run.name().substr(5));
  } else {
    fmt::print("rollback: not possible: {}\n", Message(rollback.status()));
  }
  return kDone;
}

// What was said, and the run as it stands.
int Said(const Session& session, const grpc::Status& status, const pb::Run& run, std::string_view what) {
  if (!status.ok()) return Fail(session, session.StatusOf(status));
  if (session.output == Output::kJson) {
    fmt::print("{}\n", ToJson(run));
  } else {
    fmt::print("{}: {}; it is {}\n", run.name(), what, StateText(run.state()));
  }
  return kDone;
}

int ApproveOrDeny(const Session& session, const std::string& name, std::string digest, bool deny) {
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  pb::Run run;
  if (digest.empty()) {
    grpc::ClientContext context;
    pb::GetRunRequest request;
    request.set_name(name);
    const grpc::Status status = (*stub)->GetRun(&context, request, &run);
    if (!status.ok()) return Fail(session, session.StatusOf(status));
    digest = run.plan_digest();
  }
  grpc::ClientContext context;
  pb::ApproveRunRequest request;
  request.set_name(name);
  request.set_plan_digest(digest);
  request.set_deny(deny);
  const grpc::Status status = (*stub)->ApproveRun(&context, request, &run);
  return Said(session, status, run, deny ? "denied" : "approved");
}

int Confirm(const Session& session, const std::string& name) {
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  grpc::ClientContext context;
  pb::ConfirmRunRequest request;
  request.set_name(name);
  pb::Run run;
  const grpc::Status status = (*stub)->ConfirmRun(&context, request, &run);
  return Said(session, status, run, "confirmed");
}

int Cancel(const Session& session, const std::string& name, const std::string& reason) {
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  grpc::ClientContext context;
  pb::CancelRunRequest request;
  request.set_name(name);
  request.set_reason(reason);
  pb::Run run;
  const grpc::Status status = (*stub)->CancelRun(&context, request, &run);
  return Said(session, status, run, "cancelled");
}

}  // namespace

std::string RunNameOf(const std::string& run) { return run.rfind("runs/", 0) == 0 ? run : "runs/" + run; }

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
  auto* runs = app.add_subcommand("runs", "List, show, watch and steer runs");
  runs->require_subcommand(1);
  runs->add_subcommand("list", "All runs, newest first")->callback([&session, &exit_code] {
    exit_code = List(session);
  });
  auto name = std::make_shared<std::string>();
  auto* show = runs->add_subcommand("show", "One run: its steps, what became of each, what to do");
  show->add_option("RUN", *name, "The run's id")->required();
  show->callback([&session, &exit_code, name] { exit_code = Show(session, RunNameOf(*name)); });
  auto* watch = runs->add_subcommand("watch", "Follow a run to its end; the exit code is that of setup");
  watch->add_option("RUN", *name, "The run's id")->required();
  auto digest = std::make_shared<std::string>();
  for (const bool deny : {false, true}) {
    auto* word = runs->add_subcommand(deny ? "deny" : "approve",
                                      deny ? "End a run that waits for approval; nothing was done"
                                           : "Let a run that waits for approval do its plan");
    word->add_option("RUN", *name, "The run's id")->required();
    word->add_option("--plan", *digest,
                     "The digest of the plan that was looked at; without it, the plan that waits");
    word->callback([&session, &exit_code, name, digest, deny] {
      exit_code = ApproveOrDeny(session, RunNameOf(*name), *digest, deny);
    });
  }
  auto* confirm =
      runs->add_subcommand("confirm", "Keep what a run with --confirm-within did; done once it is committed");
  confirm->add_option("RUN", *name, "The run's id")->required();
  confirm->callback([&session, &exit_code, name] { exit_code = Confirm(session, RunNameOf(*name)); });
  auto reason = std::make_shared<std::string>();
  auto* cancel = runs->add_subcommand("cancel", "Undo a run that is not committed yet");
  cancel->add_option("RUN", *name, "The run's id")->required();
  cancel->add_option("--reason", *reason, "Why, for the record");
  cancel->callback(
      [&session, &exit_code, name, reason] { exit_code = Cancel(session, RunNameOf(*name), *reason); });
  watch->callback([&session, &exit_code, name] { exit_code = WatchToEnd(session, RunNameOf(*name)); });
}

}  // namespace phoenix::cli
