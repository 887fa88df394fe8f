#include "services/nfs/host/nfs_command.h"

#include "services/nfs/domain/export_options.h"

namespace phoenix::nfs {
namespace {

// CLIENT:PATH, with IPv6 in brackets and its prefix length behind them.
std::string Target(const LiveExport& live) {
  std::string client = live.client;
  if (client.find(':') != std::string::npos) {
    const auto slash = client.find('/');
    client = slash == std::string::npos ? "[" + client + "]"
                                        : "[" + client.substr(0, slash) + "]" + client.substr(slash);
  }
  return client + ":" + live.path;
}

}  // namespace

Command ReexportCommand() {
  Command command;
  command.program = "/usr/sbin/exportfs";
  // -r, not -a: -a would leave entries that no file has any more. Not `systemctl reload nfs-server`: its unit
  // ignores exportfs's exit code and hides what it says. Never a restart: that throws away every lock and
  // open file.
  command.args = {"-r"};
  // It looks host names up, one after the other. Killing it is safe: it writes its table aside and renames
  // it.
  command.limit = std::chrono::seconds(120);
  return command;
}

Command ExportCommand(const LiveExport& live) {
  Command command;
  command.program = "/usr/sbin/exportfs";
  // -i: nothing but what is said here; the files are not read.
  command.args = {"-i", "-o", JoinOptions(live.options), Target(live)};
  return command;
}

Command UnexportCommand(const LiveExport& live) {
  Command command;
  command.program = "/usr/sbin/exportfs";
  command.args = {"-u", Target(live)};
  return command;
}

Command FlushCommand() {
  Command command;
  command.program = "/usr/sbin/exportfs";
  command.args = {"-f"};
  return command;
}

Command PackageVersionCommand() {
  Command command;
  command.program = "/usr/bin/dpkg-query";
  // -W with a format: nothing but the version, for installed packages.
  command.args = {"-W", "-f=${Version}\n", "nfs-kernel-server"};
  return command;
}

}  // namespace phoenix::nfs
