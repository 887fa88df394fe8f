// phoenix rollback.
#include <fmt/format.h>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/render/render.h"

namespace phoenix::cli {
namespace {

struct Flags {
  std::string run;
  std::vector<std::string> allow;
  bool plan_only = false;
  bool await_approval = false;
};

int Rollback(const Session& session, const Flags& flags) {
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  const std::string name = RunNameOf(flags.run);
  const auto plan = PlanOfRollback(session, **stub, name, flags.allow);
  if (!plan.ok()) return Fail(session, plan.status());
  if (session.output == Output::kText) ShowPlan(session, *plan);
  if (plan->step_count() == 0 || flags.plan_only) {
    if (session.output == Output::kJson) fmt::print("{}\n", ToJson(*plan));
    return kDone;
  }
  grpc::ClientContext context;
  pb::RollbackRunRequest request;
  request.set_name(name);
  // The run does exactly what was shown, or nothing.
  request.set_plan_digest(plan->plan_digest());
  request.set_request_id(RandomUuid());
  request.set_await_approval(flags.await_approval);
  for (const auto& key : flags.allow) request.add_allow(key);
  pb::Run run;
  const grpc::Status created = (*stub)->RollbackRun(&context, request, &run);
  if (!created.ok()) return Fail(session, session.StatusOf(created));
  return WatchToEnd(session, run.name());
}

}  // namespace

absl::StatusOr<pb::PlanRunResponse> PlanOfRollback(const Session& session,
                                                   pb::OrchestratorService::Stub& stub,
                                                   const std::string& run_name,
                                                   const std::vector<std::string>& allow) {
  grpc::ClientContext context;
  pb::PlanRunRequest request;
  request.set_rollback_of(run_name);
  for (const auto& key : allow) request.add_allow(key);
  pb::PlanRunResponse response;
  const grpc::Status status = stub.PlanRun(&context, request, &response);
  if (!status.ok()) return session.StatusOf(status);
  return response;
}

void AddRollback(CLI::App& app, Session& session, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  auto* rollback = app.add_subcommand(
      "rollback",
      "Take back the last committed run, as one transaction; refused where anything has changed since");
  rollback->add_option("RUN", flags->run, "The run's id")->required();
  rollback
      ->add_option("--allow", flags->allow,
                   "Do the step with this key although it cannot be taken back exactly; may be repeated")
      ->option_text("KEY")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  rollback->add_flag("--plan-only", flags->plan_only, "Show what would be done; changes nothing");
  rollback->add_flag("--await-approval", flags->await_approval,
                     "Do nothing before somebody approves this very plan (`phoenix runs approve`)");
  rollback->callback([&session, &exit_code, flags] { exit_code = Rollback(session, *flags); });
}

}  // namespace phoenix::cli
