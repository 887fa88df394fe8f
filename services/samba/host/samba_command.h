// The commands of Samba and of the account tools, as values. Pure. Absolute paths, never a shell; a secret
// travels on standard input only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "services/samba/host/samba_host.h"

namespace phoenix::samba {

Command VersionCommand();
Command AccountCommand(const std::string& name);
Command GroupCommand(const std::string& name);
Command AddAccountCommand(const std::string& name, const std::string& comment, bool group_exists);
Command RestoreAccountCommand(const Account& account);
Command RemoveAccountCommand(const std::string& name);
Command AddGroupCommand(const std::string& name, uint32_t gid);
Command RemoveGroupCommand(const std::string& name);
// The gids of all its groups, its own among them.
Command GroupsCommand(const std::string& name);
Command JoinGroupsCommand(const std::string& name, const std::vector<uint32_t>& gids);
Command FindFileCommand(uint32_t uid, const std::vector<std::string>& paths);

Command ListPassdbCommand();
Command SetPasswordCommand(const std::string& name, const Secret& password, bool add);
Command RemoveEntryCommand(const std::string& name);

// `file`: "" for the configuration in force.
Command TestparmCommand(const std::string& file);
Command ReloadCommand();
// Never of nobody.
Command EndSessionsCommand(const std::string& share, Cut whom);

Command LoginCommand(const LoginProbe& probe, const Secret& password);
// Deletes the probe's file where a login wrote it and went no further.
Command RemoveProbeCommand(const LoginProbe& probe, const Secret& password);

}  // namespace phoenix::samba
