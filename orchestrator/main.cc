// phoenix-orchestratord: the only place that constructs the orchestrator's real things.
#include <limits.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "base/host/posix_files.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/config/fleet.h"
#include "orchestrator/config/json_cursor.h"
#include "orchestrator/config/loader.h"
#include "orchestrator/config/lxc_section.h"
#include "orchestrator/config/persistent_volumes.h"
#include "orchestrator/config/secrets.h"
#include "orchestrator/config/specs.h"
#include "orchestrator/config/vm_delivery.h"
#include "orchestrator/engine/run_engine.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/durability.h"
#include "services/kit/rpc/server.h"

namespace phoenix {
namespace {

struct Flags {
  std::string state_directory = std::string(kit::kStateDirectory) + "/orchestrator";
  std::string runtime_directory = kit::kRuntimeDirectory;
  std::string node;
  std::string listen;
  kit::TlsFiles server_tls{std::string(kit::kPkiDirectory) + "/ca.crt",
                           std::string(kit::kPkiDirectory) + "/node.crt",
                           std::string(kit::kPkiDirectory) + "/node.key"};
  std::string client_certificate = std::string(kit::kPkiDirectory) + "/orchestrator.crt";
  std::string client_key = std::string(kit::kPkiDirectory) + "/orchestrator.key";
  bool reflection = false;
  int patience_seconds = 120;
  std::optional<int> reserve_mebibytes;
  std::string log_level = "info";
};

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  ::gethostname(name, sizeof name - 1);
  const std::string host = name;
  return host.substr(0, host.find('.'));
}

// The disks as the node knows its own. The configuration must permit what the caller asks for.
absl::StatusOr<std::vector<std::string>> WipeOn(const std::string& node, const std::vector<std::string>& wipe,
                                                const config::Config& config) {
  const bool concerned = std::any_of(wipe.begin(), wipe.end(), [&](const std::string& disk) {
    return disk.starts_with("/") || disk == "*" || disk.starts_with(node + ":/");
  });
  if (concerned && !config.allow_destructive_operations) {
    return WithReason(
        FailedPrecondition("node {}: disks are wiped only where the configuration permits it, too: set "
                           "zfs.settings.allow_destructive_operations to true",
                           node),
        {"WIPE_NOT_PERMITTED", {{"node", node}}});
  }
  // What is meant for another node names no disk of this one, and its mode is the run's all the same.
  std::vector<std::string> here;
  for (const auto& disk : wipe)
    here.push_back(disk.starts_with(node + ":/") ? disk.substr(node.size() + 1) : disk);
  return here;
}

// Disks and pools as the node knows its own. A pool's name may hold a colon itself: every name is passed on
// as it is, too.
std::vector<std::string> AllowedUnhealthyOn(const std::string& node, const std::vector<std::string>& names) {
  std::vector<std::string> here;
  for (const auto& name : names) {
    here.push_back(name);
    if (name.starts_with(node + ":")) here.push_back(name.substr(node.size() + 1));
  }
  return here;
}

absl::StatusOr<engine::NodeSpecs> MakeSpecs(const run::Request& request, const run::NodeAddress& node,
                                            const Secrets& secrets) {
  config::LoadResult loaded = config::Load(request.config, config::OverridesOf(node.name, node.overrides));
  std::vector<std::string> nodes;
  for (const run::NodeAddress& one : request.nodes) nodes.push_back(one.name);
  config::AddVms(request.vms, request.feature_scripts, node.name, nodes, loaded);
  config::LxcResult lxc;
  if (!request.lxc.empty()) {
    lxc = config::LoadLxc(request.lxc);
    if (loaded.ok())
      config::PlacePersistentVolumes(node.name, nodes, lxc.containers, loaded.config, loaded.findings);
  }
  const std::vector<config::Container> containers =
      config::WithSharedVolumes(request.lxc.empty() ? nullptr : &lxc, loaded.config, loaded.findings);
  loaded.findings.errors.insert(loaded.findings.errors.end(), lxc.findings.errors.begin(),
                                lxc.findings.errors.end());
  loaded.findings.lints.insert(loaded.findings.lints.end(), lxc.findings.lints.begin(),
                               lxc.findings.lints.end());
  if (!loaded.ok()) {
    std::vector<FieldViolation> violations;
    for (const auto& error : loaded.findings.errors) {
      const bool in_file = error.where.overridden_by.empty();
      violations.push_back({in_file ? error.where.path : error.where.ToString(), error.Text()});
    }
    return WithViolations(WithReason(loaded.ToStatus(), {"CONFIG_INVALID", {}}), violations);
  }
  engine::NodeSpecs result;
  if (!loaded.config.own_address.empty()) result.addresses.push_back(loaded.config.own_address);
  const auto& machines = loaded.config.virtual_machines;
  if (std::any_of(machines.begin(), machines.end(), [](const auto& machine) { return !machine.absent; })) {
    const config::VmFeatures& features = *loaded.config.vm_features;
    result.own.push_back(
        {features.origin.path + ".server",
         fmt::format("their VMs mount their features from {}, and each has its own VMs' only; "
                     "give each its address in the fleet file's overrides (vm_features.server, "
                     "or network.nfs_server)",
                     config::ToLower(features.server))});
  }
  std::set<std::string> names;
  for (const auto& [name, secret] : secrets) names.insert(name);
  const std::set<std::string> prune(request.prune.begin(), request.prune.end());
  PHX_ASSIGN_OR_RETURN(const auto wipe, WipeOn(node.name, request.wipe, loaded.config));
  for (auto& spec : config::SpecsOf(loaded.config, names, prune, containers, wipe,
                                    AllowedUnhealthyOn(node.name, request.allow_unhealthy))) {
    result.specs.push_back({spec.participant, spec.type, std::move(spec.content)});
  }
  for (const auto& lint : loaded.findings.lints)
    result.notes.push_back({true, lint.where.ToString(), lint.Text()});
  if (request.lxc.empty()) {
    for (auto& [place, text] : config::WaitingForContainers(loaded.config))
      result.notes.push_back({false, place.ToString(), std::move(text)});
  }
  return result;
}

// Only root's own secret files are read, whoever asks: the caller may not be allowed to read them himself.
absl::StatusOr<Secrets> ReadSecrets(const std::string& path) {
  if (path.empty() || path[0] != '/')
    return InvalidArgument("secrets_file must be an absolute path, not '{}'", path);
  PosixFiles files;
  PHX_ASSIGN_OR_RETURN(auto file, files.Read(path));
  if (!file) return NotFound("there is no secrets file {}", path);
  if ((file->mode & 0077) != 0 || file->uid != ::geteuid()) {
    return FailedPrecondition(
        "{} must be owned by the orchestrator's user and have mode 0600, it has {:o}; chmod 600 {}", path,
        file->mode, path);
  }
  const Secret text(std::move(file->content));
  config::SecretsResult loaded = config::LoadSecrets(text.Reveal());
  if (!loaded.ok()) return InvalidArgument("{}:\n{}", path, config::Render(loaded.findings.errors));
  return std::move(loaded.secrets);
}

absl::StatusOr<api::OrchestratorService::Fleet> ReadFleet(const Flags& flags, const std::string& text) {
  api::OrchestratorService::Fleet fleet;
  if (text.empty()) {
    fleet.nodes = {{flags.node, "unix:" + flags.runtime_directory}};
    return fleet;
  }
  const config::FleetResult loaded = config::LoadFleet(text);
  if (!loaded.ok()) return loaded.ToStatus();
  // The places of one plan's notes are in two files, so that these name theirs.
  for (const auto& lint : loaded.findings.lints)
    fleet.notes.push_back({true, "fleet " + lint.where.ToString(), lint.Text()});
  for (const auto& node : loaded.nodes) {
    std::string address = node.address.host;
    if (address.empty()) {
      address = "unix:" + node.address.unix_directory;
    } else {
      if (address.find(':') != std::string::npos) address = "[" + address + "]";
      if (node.address.port) address += fmt::format(":{}", *node.address.port);
    }
    fleet.nodes.push_back({node.name, address, node.overrides});
  }
  return fleet;
}

absl::Status Serve(const Flags& flags) {
  std::error_code error;
  std::filesystem::create_directories(flags.state_directory, error);
  if (!error) std::filesystem::permissions(flags.state_directory, std::filesystem::perms::owner_all, error);
  if (error) return Internal("cannot make {}: {}", flags.state_directory, error.message());
  std::filesystem::create_directories(flags.runtime_directory, error);

  // The socket's lock keeps a second orchestrator of this machine from touching reserve and leadership: it
  // comes first.
  const std::string socket = kit::SocketOf(flags.runtime_directory, "orchestrator");
  PHX_ASSIGN_OR_RETURN(auto listener, kit::UnixListener::Bind(socket));
  SystemClock clock;
  const std::unique_ptr<Reserve> reserve =
      kit::HoldReserve(flags.state_directory, flags.reserve_mebibytes.value_or(kit::kReserveMebibytes));
  PHX_ASSIGN_OR_RETURN(const auto store, store::SqliteRunStore::Open(flags.state_directory + "/runs.db",
                                                                     clock, kit::DurableOptions(*reserve)));
  fleet::GrpcChannels channels({flags.server_tls.ca, flags.client_certificate, flags.client_key});
  engine::FleetPlanner planner(channels, MakeSpecs);
  engine::RunEngine engine(*store, channels, planner, ReadSecrets, clock,
                           {.patience = std::chrono::seconds(flags.patience_seconds)});
  kit::Dispatcher dispatcher;
  api::OrchestratorService service(
      engine, channels, dispatcher, [&](const std::string& text) { return ReadFleet(flags, text); },
      ReadSecrets);
  PHX_RETURN_IF_ERROR(engine.Start());
  const kit::ServerSettings settings{
      .listen = flags.listen, .tls = flags.server_tls, .reflection = flags.reflection};
  PHX_ASSIGN_OR_RETURN(
      const auto server,
      kit::RunningServer::Start(settings, std::move(listener),
                                {{orchestrator::v1::OrchestratorService::service_full_name(), &service}}));
  spdlog::info("phoenix-orchestratord serves {}{}", socket,
               flags.listen.empty() ? "" : " and " + flags.listen);
  sd_notify(0, "READY=1");
  kit::AwaitStopSignal();
  sd_notify(0, "STOPPING=1");
  return absl::OkStatus();
}

}  // namespace
}  // namespace phoenix

int main(int argc, char** argv) {
  using namespace phoenix;
  kit::BlockStopSignals();
  ::prctl(PR_SET_DUMPABLE, 0);
  spdlog::set_default_logger(spdlog::stderr_color_mt("phoenix"));
  Flags flags;
  flags.node = HostName();
  CLI::App app{"Plans and carries out runs over a fleet of Phoenix nodes", "phoenix-orchestratord"};
  app.add_option("--state-dir", flags.state_directory, "Folder of the run store")->capture_default_str();
  app.add_option("--runtime-dir", flags.runtime_directory, "Folder of the unix sockets")
      ->capture_default_str();
  app.add_option("--node", flags.node, "This node's name, where there is no fleet file")
      ->capture_default_str();
  app.add_option("--listen", flags.listen, "HOST:PORT for TCP with mutual TLS (by convention port 7440)");
  app.add_option("--tls-ca", flags.server_tls.ca, "CA certificate")->capture_default_str();
  app.add_option("--tls-cert", flags.server_tls.certificate, "Server certificate")->capture_default_str();
  app.add_option("--tls-key", flags.server_tls.key, "Server key")->capture_default_str();
  app.add_option("--client-cert", flags.client_certificate, "Certificate shown to nodes")
      ->capture_default_str();
  app.add_option("--client-key", flags.client_key, "Its key")->capture_default_str();
  app.add_option("--patience", flags.patience_seconds,
                 "Seconds a node may be silent before the run is undone")
      ->capture_default_str();
  kit::AddReserveFlag(app, flags.reserve_mebibytes);
  app.add_flag("--reflection", flags.reflection, "Offer reflection on TCP too");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn or error")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  const absl::Status status = Serve(flags);
  if (status.ok()) return 0;
  spdlog::error("phoenix-orchestratord: {}", Message(status));
  return kit::ExitCodeOf(status);
}
