// phoenix plan and phoenix setup.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <thread>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/declaration.h"
#include "clients/cli/render/render.h"

namespace phoenix::cli {
namespace {

struct Flags {
  DeclarationFiles files;
  std::vector<std::string> allow;
  bool no_install = false;
  std::vector<std::string> prune;
  std::string mode = "safe";
  std::vector<std::string> wipe;
  std::vector<std::string> allow_unhealthy;
  bool detailed_exit_code = false;
  bool await_approval = false;
  int64_t confirm_within_seconds = 0;
  int64_t wait_seconds = 0;
};

// What is asked of a plan and of a run alike.
template <class Request>
void Fill(const Flags& flags, const pb::Declaration& declaration, Request& request) {
  *request.mutable_declaration() = declaration;
  for (const auto& key : flags.allow) request.add_allow(key);
  request.set_no_install(flags.no_install);
  for (const auto& disk : flags.wipe) request.add_wipe(disk);
  for (const auto& name : flags.allow_unhealthy) request.add_allow_unhealthy(name);
  for (int kind = pb::Orphans_MIN; kind <= pb::Orphans_MAX; ++kind) {
    const auto orphans = static_cast<pb::Orphans>(kind);
    if (std::count(flags.prune.begin(), flags.prune.end(), PruneWord(orphans)) > 0)
      request.add_prune(orphans);
  }
}

absl::StatusOr<pb::PlanRunResponse> MakePlan(const Session& session, const Flags& flags,
                                             pb::OrchestratorService::Stub& stub,
                                             const pb::Declaration& declaration) {
  grpc::ClientContext context;
  pb::PlanRunRequest request;
  Fill(flags, declaration, request);
  pb::PlanRunResponse response;
  const grpc::Status status = stub.PlanRun(&context, request, &response);
  if (!status.ok()) return session.StatusOf(status);
  return response;
}

// What the mode asks for, before anything is planned.
absl::Status CheckMode(const Flags& flags) {
  const bool force = flags.mode == "force-destructive";
  if (force && flags.wipe.empty())
    return InvalidArgument("--mode force-destructive wipes named disks only: name each with --wipe");
  if (!force && !flags.wipe.empty())
    return InvalidArgument("--wipe belongs to --mode force-destructive; {} mode {}", flags.mode,
                           flags.mode == "safe" ? "wipes nothing" : "asks for each disk");
  return absl::OkStatus();
}

// The disks that the plan would wipe and what each holds: ("NODE:/dev/disk/by-id/…", text), and the key to
// allow.
struct Wipe {
  std::string disk, holds, key, step;
};
std::vector<Wipe> WipesOf(const pb::PlanRunResponse& plan) {
  constexpr std::string_view kField = "wipe ";
  std::vector<Wipe> wipes;
  for (const pb::RunStep& step : plan.steps()) {
    for (const auto& diff : step.step().diffs()) {
      if (!diff.field().starts_with(kField)) continue;
      wipes.push_back(
          {step.node() + ":" + diff.field().substr(kField.size()), diff.before(), step.needs_allow(),
           fmt::format(
               "{} {}{}{}", step.step().action(), step.step().resource(),
               step.step().remainder().empty() ? "" : "; remains after undo: ", step.step().remainder())});
    }
  }
  return wipes;
}

// Asks on the terminal, never anything else, for each disk; what is agreed to becomes the run's word.
absl::Status AskForWipes(const Session& session, pb::OrchestratorService::Stub& stub,
                         const pb::Declaration& declaration, Flags& flags) {
  if (::isatty(STDIN_FILENO) == 0) {
    return FailedPrecondition(
        "interactive mode asks on the terminal, and there is none; name the disks with --mode "
        "force-destructive --wipe "
        "DISK");
  }
  flags.wipe = {"*"};
  PHX_ASSIGN_OR_RETURN(const auto plan, MakePlan(session, flags, stub, declaration));
  flags.wipe.clear();
  for (const Wipe& wipe : WipesOf(plan)) {
    fmt::print(stderr,
               "Disk {} holds: {}\nIt would be wiped to {}.\nWhat it holds is lost for good. Type yes: ",
               wipe.disk, wipe.holds, wipe.step);
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "yes") return FailedPrecondition("nothing was done: {} is not to be wiped", wipe.disk);
    flags.wipe.push_back(wipe.disk);
    if (!wipe.key.empty()) flags.allow.push_back(wipe.key);
  }
  return absl::OkStatus();
}

int Plan(const Session& session, Flags flags) {
  if (const absl::Status mode = CheckMode(flags); !mode.ok()) return Fail(session, mode);
  if (flags.mode == "interactive") flags.wipe = {"*"};
  const auto declaration = ReadDeclaration(flags.files, !session.server.empty());
  if (!declaration.ok()) return Fail(session, declaration.status());
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  const auto plan = MakePlan(session, flags, **stub, *declaration);
  if (!plan.ok()) return Fail(session, plan.status());
  if (session.output == Output::kJson) {
    fmt::print("{}\n", ToJson(*plan));
  } else {
    ShowPlan(session, *plan);
  }
  return flags.detailed_exit_code && plan->step_count() > 0 ? kHasSteps : kDone;
}

// The newest run that is not over, "" for none.
absl::StatusOr<std::string> OpenRun(const Session& session, pb::OrchestratorService::Stub& stub) {
  grpc::ClientContext context;
  pb::ListRunsRequest request;
  request.set_page_size(1000);
  pb::ListRunsResponse response;
  const grpc::Status status = stub.ListRuns(&context, request, &response);
  if (!status.ok()) return session.StatusOf(status);
  for (const pb::Run& run : response.runs()) {
    if (!run.has_end_time()) return run.name().substr(5);
  }
  return std::string();
}

// Runs hold the locks of their nodes until they are over. Returns once none is open.
absl::Status WaitForOpenRuns(const Session& session, pb::OrchestratorService::Stub& stub, int64_t seconds) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + std::chrono::seconds(seconds);
  std::string told;
  while (true) {
    PHX_ASSIGN_OR_RETURN(const std::string open, OpenRun(session, stub));
    if (open.empty()) return absl::OkStatus();
    if (steady_clock::now() >= deadline) {
      return DeadlineExceeded("run {0} is still open; nothing was begun. See: phoenix runs show {0}", open);
    }
    if (session.output == Output::kText && open != told) fmt::print("Waiting for the end of run {}\n", open);
    told = open;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

int Setup(const Session& session, Flags flags) {
  if (const absl::Status mode = CheckMode(flags); !mode.ok()) return Fail(session, mode);
  const auto declaration = ReadDeclaration(flags.files, !session.server.empty());
  if (!declaration.ok()) return Fail(session, declaration.status());
  const auto stub = session.Connect();
  if (!stub.ok()) return Fail(session, stub.status());
  if (flags.wait_seconds > 0) {
    const absl::Status waited = WaitForOpenRuns(session, **stub, flags.wait_seconds);
    if (!waited.ok()) return Fail(session, waited);
  }
  if (flags.mode == "interactive") {
    const absl::Status asked = AskForWipes(session, **stub, *declaration, flags);
    if (!asked.ok()) return Fail(session, asked);
  }
  const auto plan = MakePlan(session, flags, **stub, *declaration);
  if (!plan.ok()) return Fail(session, plan.status());
  if (session.output == Output::kText) ShowPlan(session, *plan);
  if (plan->step_count() == 0) {
    if (session.output == Output::kJson) fmt::print("{}\n", ToJson(*plan));
    return kDone;
  }
  grpc::ClientContext context;
  pb::CreateRunRequest request;
  Fill(flags, *declaration, request);
  // The run does exactly what was shown, or nothing.
  request.set_plan_digest(plan->plan_digest());
  request.set_request_id(RandomUuid());
  request.set_await_approval(flags.await_approval);
  if (flags.confirm_within_seconds > 0)
    request.mutable_confirm_within()->set_seconds(flags.confirm_within_seconds);
  pb::Run run;
  const grpc::Status created = (*stub)->CreateRun(&context, request, &run);
  if (!created.ok()) return Fail(session, session.StatusOf(created));
  const std::string id = run.name().substr(5);
  if (session.output == Output::kText && flags.await_approval) {
    fmt::print("Nothing is done before it is approved: phoenix runs approve {0}, or phoenix runs deny {0}\n",
               id);
  }
  if (session.output == Output::kText && flags.confirm_within_seconds > 0) {
    fmt::print("Undone on every node unless confirmed in time: phoenix runs confirm {}\n", id);
  }
  return WatchToEnd(session, run.name());
}

void AddFiles(CLI::App& command, Flags& flags) {
  command.add_option("-f,--file", flags.files.config, "The configuration, phoenix_hypervisor_config.json")
      ->required();
  command.add_option("--secrets", flags.files.secrets, "File of secrets, mode 0600");
  command.add_option("--lxc", flags.files.lxc, "Containers, phoenix_lxc_configs.json");
  command.add_option("--fleet", flags.files.fleet, "The fleet; without it, this very node");
  command.add_option(
      "--vms", flags.files.vms,
      "The VMs that get features, phoenix_vm_configs.json; the scripts are read from the folder "
      "that the configuration names");
  command
      .add_option("--allow", flags.allow,
                  "Do the step with this key although it cannot be taken back exactly; may be repeated")
      ->option_text("KEY")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--no-install", flags.no_install,
                   "Install no packages but those that --allow package:NAME names");
  command
      .add_option("--prune", flags.prune,
                  "Remove what Phoenix created and the configuration does not name any more: exports, "
                  "shares, rules, storages")
      ->option_text("KIND,…")
      ->delimiter(',')
      ->check(CLI::IsMember({"exports", "shares", "rules", "storages"}));
  command
      .add_option("--mode", flags.mode,
                  "What may be done to disks that hold something: safe refuses them, interactive asks for "
                  "each on the "
                  "terminal, force-destructive wipes those that --wipe names")
      ->option_text("MODE")
      ->check(CLI::IsMember({"safe", "interactive", "force-destructive"}));
  command
      .add_option(
          "--wipe", flags.wipe,
          "A disk that may be wiped: /dev/disk/by-id/…, or NODE:/dev/disk/by-id/… on one node only; may be "
          "repeated")
      ->option_text("DISK")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option(
          "--allow-unhealthy", flags.allow_unhealthy,
          "A disk or pool that is used although it is unhealthy: /dev/disk/by-id/… or POOL, with NODE: "
          "in front on one node only; may be repeated")
      ->option_text("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace

void ShowPlan(const Session& session, const pb::PlanRunResponse& plan) {
  const std::vector<pb::RunStep> steps(plan.steps().begin(), plan.steps().end());
  const std::vector<pb::NodeNote> notes(plan.notes().begin(), plan.notes().end());
  fmt::print("{}", RenderPlan(steps, notes, plan.barrier_ordinal(), session.color));
  fmt::print("{}", RenderCheckpoints({plan.checkpoints().begin(), plan.checkpoints().end()}));
  if (plan.step_count() > static_cast<int>(steps.size()))
    fmt::print("  … and {} more\n", plan.step_count() - static_cast<int>(steps.size()));
  fmt::print("Plan: {} steps{}\n", plan.step_count(),
             plan.step_count() == 0 ? ", nothing to do"
                                    : fmt::format(" (digest {})", plan.plan_digest().substr(0, 12)));
  if (plan.needs_allow().empty()) return;
  fmt::print("Nothing is done without:");
  for (const auto& key : plan.needs_allow()) fmt::print(" {}", AllowWord(key));
  fmt::print("\n");
}

void AddPlanAndSetup(CLI::App& app, Session& session, int& exit_code) {
  auto plan_flags = std::make_shared<Flags>();
  auto* plan = app.add_subcommand("plan", "Show what setup would do; changes nothing");
  AddFiles(*plan, *plan_flags);
  plan->add_flag("--detailed-exitcode", plan_flags->detailed_exit_code,
                 "Exit with 2 when the plan has steps");
  plan->callback([&session, &exit_code, plan_flags] { exit_code = Plan(session, *plan_flags); });

  auto setup_flags = std::make_shared<Flags>();
  auto* setup = app.add_subcommand("setup", "Bring the fleet to the declared state, or leave it as it was");
  AddFiles(*setup, *setup_flags);
  setup->add_flag("--await-approval", setup_flags->await_approval,
                  "Do nothing before somebody approves this very plan (`phoenix runs approve`)");
  const auto duration =
      CLI::AsNumberWithUnit(std::map<std::string, int64_t>{{"s", 1}, {"m", 60}, {"h", 3600}},
                            CLI::AsNumberWithUnit::UNIT_REQUIRED, "DURATION");
  setup
      ->add_option(
          "--confirm-within", setup_flags->confirm_within_seconds,
          "Undo everything unless `phoenix runs confirm` says in time that all is well: 90s, 10m, 1h")
      ->transform(duration);
  setup
      ->add_option(
          "--wait", setup_flags->wait_seconds,
          "Where another run is open, wait for its end before planning, at most so long: 90s, 10m, 1h")
      ->transform(duration);
  setup->callback([&session, &exit_code, setup_flags] { exit_code = Setup(session, *setup_flags); });
}

}  // namespace phoenix::cli
