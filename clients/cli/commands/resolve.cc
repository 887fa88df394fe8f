// phoenix resolve RUN [--commit|--undo] [OBJECT]: a human's word on this node, to all of its participants in
// order.
#include <fmt/format.h>

#include <algorithm>

#include "base/status/errors.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/node_services.h"
#include "phoenix/participant/v1/participant.grpc.pb.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/status.h"

namespace phoenix::cli {
namespace {

namespace part = ::phoenix::participant::v1;

struct Flags {
  std::string run;
  std::string object;
  bool commit = false;
  bool undo = false;
};

struct Result {
  int exit_code = kDone;
  bool known = false;
};

std::string RunIdOf(const Flags& flags) {
  return flags.run.rfind("runs/", 0) == 0 ? flags.run.substr(5) : flags.run;
}

std::string StateText(part::Transaction::State state) {
  return part::Transaction::State_Name(state).substr(sizeof "STATE_" - 1);
}

// A service of this node.
struct Service {
  client::Peer peer;
  std::unique_ptr<part::ParticipantService::Stub> stub;
};

Service ReachService(const Session& session, const std::string& participant) {
  const Reached here = ReachHere(session, participant);
  return {here.peer, part::ParticipantService::NewStub(here.channel)};
}

Result ResolveOne(const Session& session, const std::string& participant, const Flags& flags) {
  const Service service = ReachService(session, participant);
  part::ResolveRequest request;
  request.set_run_id(RunIdOf(flags));
  request.set_object(flags.object);
  if (flags.commit) request.set_decision(part::ResolveRequest::DECISION_COMMIT);
  if (flags.undo) request.set_decision(part::ResolveRequest::DECISION_UNDO);
  grpc::ClientContext context;
  part::ResolveResponse response;
  const grpc::Status status = service.stub->Resolve(&context, request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return {kDone, false};
  if (!status.ok()) {
    fmt::print(stderr, "{}: ", participant);
    return {Fail(session, client::Explain(service.peer, kit::FromGrpc(status))), true};
  }
  const part::Transaction::State state = response.transaction().state();
  fmt::print("{}: {}\n", participant, StateText(state));
  const bool in_doubt = state == part::Transaction::STATE_IN_DOUBT;
  if (in_doubt) {
    fmt::print(
        "  in doubt: no other service knows the outcome; `phoenix runs show {}` at the orchestrator does,\n"
        "  then `phoenix resolve {} --commit` or `--undo` here\n",
        request.run_id(), request.run_id());
  }
  for (const auto& lifted : response.lifted()) fmt::print("  lifted: {}\n", lifted);
  for (const auto& remaining : response.remaining()) {
    fmt::print("  still quarantined: {}: {}\n", remaining.step_id(), remaining.error());
    for (const auto& command : remaining.remaining_commands()) fmt::print("    by hand: {}\n", command);
  }
  return {response.remaining().empty() && !in_doubt ? kDone : kUnresolved, true};
}

// OK when every service of this node that knows the run has disarmed: only then can the run have been
// committed. One that has not would undo sooner or later, under the feet of those that kept.
absl::Status CheckAllDisarmed(const Session& session, const std::vector<std::string>& participants,
                              const std::string& run_id) {
  for (const auto& participant : participants) {
    const Service service = ReachService(session, participant);
    grpc::ClientContext context;
    part::GetTransactionRequest request;
    request.set_run_id(run_id);
    part::Transaction transaction;
    const grpc::Status status = service.stub->GetTransaction(&context, request, &transaction);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) continue;
    if (!status.ok()) return client::Explain(service.peer, kit::FromGrpc(status));
    if (transaction.state() == part::Transaction::STATE_IN_DOUBT ||
        transaction.state() == part::Transaction::STATE_COMMITTED) {
      continue;
    }
    return FailedPrecondition(
        "run {} is {} in {}, so it was never committed; nothing was decided here. `phoenix resolve {} "
        "--undo` takes "
        "all services of this node back",
        run_id, StateText(transaction.state()), participant, run_id);
  }
  return absl::OkStatus();
}

int Resolve(const Session& session, const Flags& flags) {
  std::vector<std::string> participants(std::begin(kit::kParticipants), std::end(kit::kParticipants));
  if (flags.commit) {
    if (const absl::Status status = CheckAllDisarmed(session, participants, RunIdOf(flags)); !status.ok())
      return Fail(session, status);
  }
  // Providers keep before their consumers; consumers go before their providers.
  if (flags.undo) std::reverse(participants.begin(), participants.end());
  int exit_code = kDone;
  bool known = false;
  for (const auto& participant : participants) {
    const Result result = ResolveOne(session, participant, flags);
    known = known || result.known;
    exit_code = std::max(exit_code, result.exit_code);
  }
  if (!known) {
    fmt::print(stderr, "phoenix: no service of this node knows run {}\n", flags.run);
    return kError;
  }
  return exit_code;
}

}  // namespace

void AddResolve(CLI::App& app, Session& session, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  auto* command =
      app.add_subcommand("resolve", "On a node: look again at quarantined objects, or decide a run in doubt");
  command->add_option("RUN", flags->run, "The run's id")->required();
  command->add_option("OBJECT", flags->object, "Only this quarantined object");
  auto* commit =
      command->add_flag("--commit", flags->commit, "The run in doubt was committed: keep the new state");
  command->add_flag("--undo", flags->undo, "The run in doubt was rolled back: go back to the old state")
      ->excludes(commit);
  command->callback([&session, &exit_code, flags] { exit_code = Resolve(session, *flags); });
}

}  // namespace phoenix::cli
