#include "clients/cli/commands/command_line.h"

#include <CLI/CLI.hpp>
#include <string>

#include "clients/cli/commands/commands.h"
#include "services/kit/rpc/conventions.h"

namespace phoenix::cli {

int RunCommandLine(int argc, const char* const* argv, Screen screen) {
  Session session;
  session.runtime_directory = kit::kRuntimeDirectory;
  session.tls_ca = std::string(kit::kPkiDirectory) + "/ca.crt";
  session.tls_certificate = std::string(kit::kPkiDirectory) + "/client.crt";
  session.tls_key = std::string(kit::kPkiDirectory) + "/client.key";
  session.terminal = screen.terminal;
  session.color = screen.color;
  session.columns = screen.columns;
  std::string output = "text";
  int exit_code = kDone;

  CLI::App app{
      "Brings the storage of a fleet of Proxmox VE hypervisors to a declared state, as one transaction",
      "phoenix"};
  app.set_version_flag("--version", PHOENIX_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--server", session.server,
                 "HOST:PORT of the orchestrator; without it, this machine's unix socket");
  app.add_option("--runtime-dir", session.runtime_directory, "Folder of the unix sockets")
      ->capture_default_str();
  app.add_option("--tls-ca", session.tls_ca, "CA certificate for --server")->capture_default_str();
  app.add_option("--tls-cert", session.tls_certificate, "Client certificate for --server")
      ->capture_default_str();
  app.add_option("--tls-key", session.tls_key, "Its key")->capture_default_str();
  app.add_option("--tls-name", session.tls_name,
                 "The name in the server's certificate, where it is not its host name");
  app.add_option("--output", output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.parse_complete_callback([&] { session.output = output == "json" ? Output::kJson : Output::kText; });
  AddValidate(app, session, exit_code);
  AddPlanAndSetup(app, session, exit_code);
  AddRuns(app, session, exit_code);
  AddRollback(app, session, exit_code);
  AddNodes(app, session, exit_code);
  AddNode(app, session, exit_code);
  AddResolve(app, session, exit_code);
  AddKept(app, session, exit_code);
  AddPki(app, session, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // A wrong command line is an error like any other; --help and --version are not.
    return app.exit(error) == 0 ? kDone : kError;
  }
  return exit_code;
}

}  // namespace phoenix::cli
