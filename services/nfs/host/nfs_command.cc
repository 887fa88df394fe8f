#include "services/nfs/host/nfs_command.h"

namespace phoenix::nfs {

Command ReexportCommand() {
  Command command;
  command.program = "/usr/sbin/exportfs";
  // -r, not -a: -a would leave entries that no file has any more. Not `systemctl reload nfs-server`: its unit ignores
  // exportfs's exit code and hides what it says. Never a restart: that throws away every lock and open file.
  command.args = {"-r"};
  // It looks host names up, one after the other. Killing it is safe: it writes its table aside and renames it.
  command.limit = std::chrono::seconds(120);
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
