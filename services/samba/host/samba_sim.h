// The simulated Samba over the machine that a node's daemons share. Kinds it owns: "user", "group", "passdb",
// and "samba.session" with {"share", "user"}: one that is open, whoever began it.
// smb.conf and our file are files of the machine; whether Samba is installed and smbd runs is the node's to
// say. Passwords are set at a time of their own each, unless ("clock", "samba") says {"seconds": N}. Faults,
// each also with ":OBJECT": "samba.useradd", "samba.userdel", "samba.smbpasswd", "samba.pdbedit",
// "samba.import", "samba.check", "samba.reload", "samba.end-sessions", "samba.login", and by what a change of
// our file is for: "samba.set-share", "samba.remove-share", "samba.set-globals", "samba.make-file",
// "samba.include", "samba.restore".
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/kit/sim/machine.h"
#include "services/samba/domain/samba_planner.h"
#include "services/samba/host/samba_host.h"

namespace phoenix::samba {

class SambaSim final : public SambaHost {
 public:
  explicit SambaSim(std::shared_ptr<kit::Machine> machine, SambaPaths paths = {})
      : machine_(std::move(machine)), paths_(std::move(paths)) {}

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
  std::shared_ptr<kit::Machine> machine_;
  const SambaPaths paths_;
};

}  // namespace phoenix::samba
