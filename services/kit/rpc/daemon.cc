#include "services/kit/rpc/daemon.h"

#include <limits.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/digest/digest.h"
#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/durability.h"
#include "services/kit/rpc/grpc_siblings.h"
#include "services/kit/rpc/participant_service.h"
#include "services/kit/rpc/server.h"

namespace phoenix::kit {
namespace {

constexpr char kDefaultLauncher[] = "/usr/libexec/phoenix/phoenix-launch";

struct Flags {
  std::string state_directory = kStateDirectory;
  std::string runtime_directory = kRuntimeDirectory;
  std::string sim;
  std::string node;
  std::string listen;
  std::string launcher = kDefaultLauncher;
  TlsFiles tls{std::string(kPkiDirectory) + "/ca.crt", std::string(kPkiDirectory) + "/node.crt",
               std::string(kPkiDirectory) + "/node.key"};
  bool reflection = false;
  std::optional<int> reserve_mebibytes;
  std::string log_level = "info";
};

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  ::gethostname(name, sizeof name - 1);
  std::string host = name;
  return host.substr(0, host.find('.'));
}

absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  return error ? Internal("cannot make {}: {}", path, error.message()) : absl::OkStatus();
}

// The key of this daemon's HMACs and sealed files. It never leaves the node.
absl::StatusOr<Secret> ReadNodeKey(const std::string& directory) {
  PosixFiles files;
  const std::string path = directory + "/node.key";
  PHX_ASSIGN_OR_RETURN(auto file, files.Read(path));
  if (!file) {
    PHX_RETURN_IF_ERROR(files.Replace(path, {RandomBytes(32), ::geteuid(), ::getegid(), 0600}));
    PHX_ASSIGN_OR_RETURN(file, files.Read(path));
  }
  if (file->content.size() != 32) return DataLoss("{} is damaged: it must hold 32 bytes", path);
  return Secret(file->content);
}

absl::Status Serve(const DaemonDefinition& definition, const Flags& flags) {
  const std::string state = flags.state_directory + "/" + definition.participant;
  PHX_RETURN_IF_ERROR(MakePrivateDirectory(state));
  std::error_code ignored;
  std::filesystem::create_directories(flags.runtime_directory, ignored);
  const std::string socket = SocketOf(flags.runtime_directory, definition.participant);
  PHX_ASSIGN_OR_RETURN(auto listener, UnixListener::Bind(socket));
  PHX_ASSIGN_OR_RETURN(const Secret node_key, ReadNodeKey(state));
  const std::unique_ptr<Reserve> reserve = HoldReserve(
      state, flags.reserve_mebibytes.value_or(flags.sim.empty() ? kReserveMebibytes : kSimReserveMebibytes));
  PHX_ASSIGN_OR_RETURN(const std::unique_ptr<Journal> journal,
                       Journal::Open(state, DurableOptions(*reserve)));

  const std::string boot_id = ReadBootId();
  PosixCommandRunner runner(flags.launcher);
  PosixFiles real_files;
  Surroundings surroundings;
  surroundings.runner = &runner;
  surroundings.files = &real_files;
  surroundings.state_directory = state;
  surroundings.node = flags.node;
  std::unique_ptr<SimFiles> sim_files;
  if (!flags.sim.empty()) {
    PHX_ASSIGN_OR_RETURN(surroundings.machine, Machine::Open(flags.sim));
    sim_files = std::make_unique<SimFiles>(surroundings.machine);
    surroundings.files = sim_files.get();
  }
  PHX_ASSIGN_OR_RETURN(const std::shared_ptr<Domain> domain, definition.make_domain(surroundings));

  SystemClock clock;
  GrpcSiblings siblings(flags.runtime_directory, flags.state_directory, definition.participant);
  Participant participant(*domain, *journal, clock, siblings, {.node_key = node_key, .boot_id = boot_id});
  PHX_RETURN_IF_ERROR(Annotate(participant.Recover(), "recovery"));

  Dispatcher dispatcher;
  ParticipantService participant_service(participant, dispatcher, flags.node, boot_id);
  PHX_ASSIGN_OR_RETURN(const std::unique_ptr<Answers> answers,
                       Answers::Open(state, kKeptAnswers, DurableOptions(*reserve)));
  const std::shared_ptr<grpc::Service> typed = definition.make_service({participant, dispatcher, *answers});
  const std::vector<ServedService> services = {
      {participant::v1::ParticipantService::service_full_name(), &participant_service},
      {definition.typed_service, typed.get()}};
  ServerSettings settings{.listen = flags.listen, .tls = flags.tls, .reflection = flags.reflection};
  PHX_ASSIGN_OR_RETURN(const auto server, RunningServer::Start(settings, std::move(listener), services));
  spdlog::info("{} serves {}{} on node {}{}", definition.program, socket,
               flags.listen.empty() ? "" : " and " + flags.listen, flags.node,
               flags.sim.empty() ? "" : " (simulated machine " + flags.sim + ")");
  sd_notify(0, "READY=1");
  AwaitStopSignal();
  sd_notify(0, "STOPPING=1");
  spdlog::info("{} stops", definition.program);
  return absl::OkStatus();
}

}  // namespace

int RunDaemon(int argc, char** argv, const DaemonDefinition& definition) {
  BlockStopSignals();
  // Core dumps would hold secrets.
  ::prctl(PR_SET_DUMPABLE, 0);
  spdlog::set_default_logger(spdlog::stderr_color_mt("phoenix"));
  Flags flags;
  flags.node = HostName();
  CLI::App app{definition.description, definition.program};
  app.add_option("--state-dir", flags.state_directory, "Folder of journals, one below it per service")
      ->capture_default_str();
  app.add_option("--runtime-dir", flags.runtime_directory, "Folder of the unix sockets")
      ->capture_default_str();
  app.add_option("--sim", flags.sim, "Serve the simulated machine in this folder instead of the real one");
  app.add_option("--node", flags.node, "This node's name")->capture_default_str();
  app.add_option("--listen", flags.listen,
                 fmt::format("HOST:PORT for TCP with mutual TLS (by convention port {})",
                             PortOf(definition.participant)));
  app.add_option("--tls-ca", flags.tls.ca, "CA certificate")->capture_default_str();
  app.add_option("--tls-cert", flags.tls.certificate, "Node certificate")->capture_default_str();
  app.add_option("--tls-key", flags.tls.key, "Node key")->capture_default_str();
  app.add_option("--launcher", flags.launcher, "phoenix-launch")->capture_default_str();
  AddReserveFlag(app, flags.reserve_mebibytes);
  app.add_flag("--reflection", flags.reflection, "Offer reflection on TCP too");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn or error")->capture_default_str();
  if (definition.add_flags) definition.add_flags(app);
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  const absl::Status status = Serve(definition, flags);
  if (status.ok()) return 0;
  spdlog::error("{}: {}", definition.program, Message(status));
  return ExitCodeOf(status);
}

}  // namespace phoenix::kit
