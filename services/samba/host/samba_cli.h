// The real Samba, through its own tools.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/samba/domain/samba_planner.h"
#include "services/samba/host/samba_host.h"

namespace phoenix::samba {

class SambaCli final : public SambaHost {
 public:
  // `private_directory`: below the daemon's state directory; made with mode 0700 when needed. Texts are
  // staged there for testparm. `runner` and `files` outlive this.
  SambaCli(CommandRunner& runner, Files& files, std::string private_directory, SambaPaths paths = {});

  absl::StatusOr<std::string> Version() override;
  absl::StatusOr<std::optional<Account>> FindAccount(const std::string& name) override;
  absl::StatusOr<std::optional<uint32_t>> FindGroup(const std::string& name) override;
  absl::Status AddAccount(const std::string& name, const std::string& comment,
                          const ChildObserver& observer) override;
  absl::Status RestoreAccount(const Account& account, const ChildObserver& observer) override;
  absl::Status AddGroup(const std::string& name, uint32_t gid, const ChildObserver& observer) override;
  absl::Status RemoveAccount(const std::string& name, const ChildObserver& observer) override;
  absl::Status RemoveGroup(const std::string& name, const ChildObserver& observer) override;
  absl::StatusOr<std::vector<uint32_t>> GroupsOf(const std::string& name) override;
  absl::Status JoinGroups(const std::string& name, const std::vector<uint32_t>& gids,
                          const ChildObserver& observer) override;
  absl::StatusOr<std::optional<std::string>> FindFileOf(uint32_t uid,
                                                        const std::vector<std::string>& paths) override;
  absl::StatusOr<std::map<std::string, PassdbEntry>> ReadPassdb() override;
  absl::Status AddEntry(const std::string& name, const Secret& password,
                        const ChildObserver& observer) override;
  absl::Status SetPassword(const std::string& name, const Secret& password,
                           const ChildObserver& observer) override;
  absl::Status RemoveEntry(const std::string& name, const ChildObserver& observer) override;
  absl::StatusOr<Secret> ExportEntry(const std::string& name) override;
  absl::Status ImportEntry(const std::string& name, const Secret& exported) override;
  absl::StatusOr<CheckedConfig> ReadConfig() override;
  absl::StatusOr<CheckedConfig> CheckConfig(const std::string& own_text) override;
  absl::Status PutFile(const std::string& change, const std::string& path, const FileState& file) override;
  absl::Status Reload(const ChildObserver& observer) override;
  absl::Status EndSessions(const std::string& share, Cut whom, const ChildObserver& observer) override;
  absl::StatusOr<MountState> MountOf(const std::string& path) override;
  absl::Status TryLogin(const LoginProbe& probe, const Secret& password) override;

 private:
  absl::Status Run(const Command& command, const ChildObserver& observer);
  // Tells smbd something; OK where none runs.
  absl::Status TellServer(const Command& command, const ChildObserver& observer);
  // Of `file`; "" for the one in force.
  absl::StatusOr<CheckedConfig> Testparm(const std::string& file);
  absl::StatusOr<std::string> PassdbFile();

  CommandRunner& runner_;
  Files& files_;
  const std::string private_directory_;
  const SambaPaths paths_;
  // The staged texts have fixed names, so that a crash leaves one pair at most.
  absl::Mutex staging_mutex_;
};

}  // namespace phoenix::samba
