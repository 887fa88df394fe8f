#include "services/samba/host/samba_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace phoenix::samba {
namespace {

using std::chrono::seconds;

Command Make(const std::string& program, std::vector<std::string> args, seconds limit = seconds(60)) {
  Command command;
  command.program = program;
  command.args = std::move(args);
  command.limit = limit;
  return command;
}

// The account tools hold locks on /etc/passwd while they write: ending them half way would leave the locks.
Command AccountTool(const std::string& program, std::vector<std::string> args) {
  Command command = Make(program, std::move(args), seconds(120));
  command.kill_at_limit = false;
  return command;
}

Command Client(const LoginProbe& probe, const Secret& password, const std::string& commands) {
  Command command = Make("/usr/bin/smbclient",
                         {"//127.0.0.1/" + probe.share, "-U", probe.user, "-c", commands}, seconds(60));
  // The client reads the password from the descriptor that this names: standard input.
  command.environment = {"PASSWD_FD=0"};
  command.secret_input = Secret(password.Reveal() + "\n");
  return command;
}

}  // namespace

Command VersionCommand() { return Make("/usr/sbin/smbd", {"-V"}); }

Command AccountCommand(const std::string& name) { return Make("/usr/bin/getent", {"passwd", name}); }

Command GroupCommand(const std::string& name) { return Make("/usr/bin/getent", {"group", name}); }

Command AddAccountCommand(const std::string& name, const std::string& comment, bool group_exists) {
  // -M: no home. No ranges in /etc/subuid: the account runs no containers, and on a hypervisor the ranges are
  // scarce.
  std::vector<std::string> args = {"-M", "-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"};
  if (group_exists) {
    args.insert(args.end(), {"-N", "-g", name});  // -N: no group of its own, since -g names one
  } else {
    args.push_back("-U");  // with a group of its own name
  }
  args.insert(args.end(), {"-d", "/nonexistent", "-s", "/usr/sbin/nologin", "-c", comment, name});
  return AccountTool("/usr/sbin/useradd", args);
}

Command RestoreAccountCommand(const Account& account) {
  return AccountTool("/usr/sbin/useradd",
                     {"-M", "-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0", "-N", "-u",
                      std::to_string(account.uid), "-g", std::to_string(account.gid), "-d", account.home,
                      "-s", account.shell, "-c", account.comment, account.name});
}

Command RemoveAccountCommand(const std::string& name) { return AccountTool("/usr/sbin/userdel", {name}); }

Command AddGroupCommand(const std::string& name, uint32_t gid) {
  return AccountTool("/usr/sbin/groupadd", {"-g", std::to_string(gid), name});
}

Command RemoveGroupCommand(const std::string& name) { return AccountTool("/usr/sbin/groupdel", {name}); }

Command GroupsCommand(const std::string& name) { return Make("/usr/bin/id", {"-G", "--", name}); }

Command JoinGroupsCommand(const std::string& name, const std::vector<uint32_t>& gids) {
  return AccountTool("/usr/sbin/usermod", {"-a", "-G", fmt::format("{}", fmt::join(gids, ",")), name});
}

Command FindFileCommand(uint32_t uid, const std::vector<std::string>& paths) {
  std::vector<std::string> args = paths;
  // -xdev: a dataset mounted below is another share's, or nobody's. The first hit is enough.
  args.insert(args.end(), {"-xdev", "-uid", std::to_string(uid), "-print", "-quit"});
  return Make("/usr/bin/find", args, seconds(900));
}

Command ListPassdbCommand() {
  // -w: one line per entry with its hash and the time it was set, in seconds.
  return Make("/usr/bin/pdbedit", {"-L", "-w"});
}

Command SetPasswordCommand(const std::string& name, const Secret& password, bool add) {
  // -s: the password, twice, from standard input. -a: add the entry.
  Command command = Make("/usr/bin/smbpasswd", add ? std::vector<std::string>{"-s", "-a", name}
                                                   : std::vector<std::string>{"-s", name});
  command.secret_input = Secret(password.Reveal() + "\n" + password.Reveal() + "\n");
  return command;
}

Command RemoveEntryCommand(const std::string& name) { return Make("/usr/bin/pdbedit", {"-x", name}); }

Command TestparmCommand(const std::string& file) {
  // -s: do not wait for a key. -v: defaults too, so that a share's left-out parameters have a known value.
  Command command = Make("/usr/bin/testparm", {"-s", "-v"});
  if (!file.empty()) command.args.push_back(file);
  return command;
}

Command ReloadCommand() { return Make("/usr/bin/smbcontrol", {"smbd", "reload-config"}, seconds(30)); }

Command EndSessionsCommand(const std::string& share, Cut whom) {
  return Make("/usr/bin/smbcontrol",
              {"smbd", whom == Cut::kDenied ? "close-denied-share" : "close-share", share}, seconds(30));
}

Command LoginCommand(const LoginProbe& probe, const Secret& password) {
  if (probe.write.empty()) return Client(probe, password, "ls");
  // Any readable file of some bytes does.
  return Client(probe, password,
                fmt::format("put /etc/os-release {0}; get {0} /dev/null; rm {0}", probe.write));
}

Command RemoveProbeCommand(const LoginProbe& probe, const Secret& password) {
  return Client(probe, password, "rm " + probe.write);
}

}  // namespace phoenix::samba
