// A node's accounts, passdb and Samba configuration behind an interface. Two hosts: SambaCli (the machine)
// and SambaSim (a simulated one). Both pass tests/contract/samba_host_contract.h. Plain files go through
// Files, beside it.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/host/files.h"
#include "base/secret.h"
#include "services/samba/domain/samba_state.h"
#include "services/samba/domain/share_sessions.h"

namespace phoenix::samba {

// An entry of passdb as the tools show it.
struct PassdbEntry {
  int64_t last_set = 0;
  Secret nt_hash;          // 32 upper-case hex digits
  std::string flags = {};  // "[U          ]"
};

// What testparm makes of a configuration.
struct CheckedConfig {
  // False where smbd would not load it at all.
  bool loads = false;
  // Unknown parameters, bad values: one text each. testparm's exit code tells only of some (facts-safety S1).
  std::vector<std::string> problems;
  ConfigDump dump;
};

struct LoginProbe {
  std::string share;
  std::string user;
  // Also writes a file of this name, reads it and deletes it again; "" to only list.
  std::string write;
};

// Answers of mutating calls are hints: ask the state. Thread-safe.
class SambaHost {
 public:
  virtual ~SambaHost() = default;

  // "" where Samba is not installed.
  virtual absl::StatusOr<std::string> Version() = 0;

  // --- system accounts
  virtual absl::StatusOr<std::optional<Account>> FindAccount(const std::string& name) = 0;
  // The group's gid.
  virtual absl::StatusOr<std::optional<uint32_t>> FindGroup(const std::string& name) = 0;
  // Without home, password and login shell, in a group of its own name, which is created unless it is there.
  virtual absl::Status AddAccount(const std::string& name, const std::string& comment,
                                  const ChildObserver& observer) = 0;
  // Exactly this account, as it was.
  virtual absl::Status RestoreAccount(const Account& account, const ChildObserver& observer) = 0;
  virtual absl::Status AddGroup(const std::string& name, uint32_t gid, const ChildObserver& observer) = 0;
  // With its own group where nobody else is in it.
  virtual absl::Status RemoveAccount(const std::string& name, const ChildObserver& observer) = 0;
  virtual absl::Status RemoveGroup(const std::string& name, const ChildObserver& observer) = 0;
  // The gids of the groups that an existing account is in beside its own, sorted.
  virtual absl::StatusOr<std::vector<uint32_t>> GroupsOf(const std::string& name) = 0;
  // Also into these; it stays in those that it is in.
  virtual absl::Status JoinGroups(const std::string& name, const std::vector<uint32_t>& gids,
                                  const ChildObserver& observer) = 0;
  // One file or directory below the paths (each on its own file system only) that the uid owns.
  virtual absl::StatusOr<std::optional<std::string>> FindFileOf(uint32_t uid,
                                                                const std::vector<std::string>& paths) = 0;

  // --- passdb
  // Empty where Samba is not installed.
  virtual absl::StatusOr<std::map<std::string, PassdbEntry>> ReadPassdb() = 0;
  // The account must exist.
  virtual absl::Status AddEntry(const std::string& name, const Secret& password,
                                const ChildObserver& observer) = 0;
  virtual absl::Status SetPassword(const std::string& name, const Secret& password,
                                   const ChildObserver& observer) = 0;
  virtual absl::Status RemoveEntry(const std::string& name, const ChildObserver& observer) = 0;
  // The whole entry, every field, as bytes that only ImportEntry() understands. FAILED_PRECONDITION where
  // passdb is no tdb file.
  virtual absl::StatusOr<Secret> ExportEntry(const std::string& name) = 0;
  // Puts it back, over what is there or where there is none.
  virtual absl::Status ImportEntry(const std::string& name, const Secret& exported) = 0;

  // --- configuration
  // What smbd reads now, as testparm tells it.
  virtual absl::StatusOr<CheckedConfig> ReadConfig() = 0;
  // What it would read if our file had this text and smb.conf included it. Changes nothing.
  virtual absl::StatusOr<CheckedConfig> CheckConfig(const std::string& own_text) = 0;
  // Puts a file in place in one step: ours, or smb.conf. `change` names what it is for ("set-share:data"),
  // for planned faults.
  virtual absl::Status PutFile(const std::string& change, const std::string& path, const FileState& file) = 0;
  // smbd reads its configuration anew; OK where it does not run. Never a restart: sessions go on.
  virtual absl::Status Reload(const ChildObserver& observer) = 0;
  // Ends sessions with this one share, by the configuration as it is then; OK where smbd does not run, or
  // nobody is in the share. smbd does it soon after the answer. Clients connect again by themselves, and are
  // let in or refused then.
  virtual absl::Status EndSessions(const std::string& share, Cut whom, const ChildObserver& observer) = 0;

  // The file system that holds a path which is there.
  virtual absl::StatusOr<MountState> MountOf(const std::string& path) = 0;

  // --- probing
  // A login by the loopback address. FAILED_PRECONDITION where there is no client to probe with;
  // PERMISSION_DENIED and the like where the login or the write fails. Leaves nothing behind.
  virtual absl::Status TryLogin(const LoginProbe& probe, const Secret& password) = 0;
};

}  // namespace phoenix::samba
