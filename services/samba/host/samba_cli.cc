#include "services/samba/host/samba_cli.h"

#include <chrono>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/samba/host/passdb_tdb.h"
#include "services/samba/host/samba_command.h"
#include "services/samba/host/samba_parse.h"

namespace phoenix::samba {
namespace {

// An smbd that has just been started takes a moment before it listens.
constexpr int kLoginTries = 5;
constexpr std::chrono::seconds kBetweenTries{1};

// getent's exit code for a name that is not there.
constexpr int kNoSuchName = 2;

// Output that held hashes.
void Wipe(std::string& text) {
  volatile char* bytes = text.data();
  for (size_t i = 0; i < text.size(); ++i) bytes[i] = 0;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

SambaCli::SambaCli(CommandRunner& runner, Files& files, std::string private_directory, SambaPaths paths)
    : runner_(runner),
      files_(files),
      private_directory_(std::move(private_directory)),
      paths_(std::move(paths)) {}

absl::Status SambaCli::Run(const Command& command, const ChildObserver& observer) {
  PHX_ASSIGN_OR_RETURN(const auto result, runner_.Run(command, observer));
  return ExitStatus(command, result);
}

absl::StatusOr<std::string> SambaCli::Version() {
  const auto result = runner_.Run(VersionCommand());
  if (absl::IsNotFound(result.status())) return "";
  PHX_RETURN_IF_ERROR(result.status());
  PHX_RETURN_IF_ERROR(ExitStatus(VersionCommand(), *result));
  constexpr std::string_view kVersion = "Version ";
  const std::string line = FirstLine(result->out);
  return line.starts_with(kVersion) ? line.substr(kVersion.size()) : line;
}

absl::StatusOr<std::optional<Account>> SambaCli::FindAccount(const std::string& name) {
  const Command command = AccountCommand(name);
  PHX_ASSIGN_OR_RETURN(const auto result, runner_.Run(command));
  if (result.exit_code == kNoSuchName) return std::optional<Account>();
  PHX_RETURN_IF_ERROR(ExitStatus(command, result));
  PHX_ASSIGN_OR_RETURN(Account account, ParseAccount(FirstLine(result.out)));
  return std::optional(std::move(account));
}

absl::StatusOr<std::optional<uint32_t>> SambaCli::FindGroup(const std::string& name) {
  const Command command = GroupCommand(name);
  PHX_ASSIGN_OR_RETURN(const auto result, runner_.Run(command));
  if (result.exit_code == kNoSuchName) return std::optional<uint32_t>();
  PHX_RETURN_IF_ERROR(ExitStatus(command, result));
  PHX_ASSIGN_OR_RETURN(const uint32_t gid, ParseGroup(FirstLine(result.out)));
  return std::optional(gid);
}

absl::Status SambaCli::AddAccount(const std::string& name, const std::string& comment,
                                  const ChildObserver& observer) {
  PHX_ASSIGN_OR_RETURN(const auto group, FindGroup(name));
  return Run(AddAccountCommand(name, comment, group.has_value()), observer);
}

absl::Status SambaCli::RestoreAccount(const Account& account, const ChildObserver& observer) {
  return Run(RestoreAccountCommand(account), observer);
}

absl::Status SambaCli::AddGroup(const std::string& name, uint32_t gid, const ChildObserver& observer) {
  return Run(AddGroupCommand(name, gid), observer);
}

absl::Status SambaCli::RemoveAccount(const std::string& name, const ChildObserver& observer) {
  return Run(RemoveAccountCommand(name), observer);
}

absl::Status SambaCli::RemoveGroup(const std::string& name, const ChildObserver& observer) {
  return Run(RemoveGroupCommand(name), observer);
}

absl::StatusOr<std::vector<uint32_t>> SambaCli::GroupsOf(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const auto account, FindAccount(name));
  if (!account) return NotFound("the account {} is not there", name);
  const Command command = GroupsCommand(name);
  PHX_ASSIGN_OR_RETURN(const auto result, runner_.Run(command));
  PHX_RETURN_IF_ERROR(ExitStatus(command, result));
  return ParseGroups(FirstLine(result.out), account->gid);
}

absl::Status SambaCli::JoinGroups(const std::string& name, const std::vector<uint32_t>& gids,
                                  const ChildObserver& observer) {
  return Run(JoinGroupsCommand(name, gids), observer);
}

absl::StatusOr<std::optional<std::string>> SambaCli::FindFileOf(uint32_t uid,
                                                                const std::vector<std::string>& paths) {
  std::vector<std::string> there;
  for (const std::string& path : paths) {
    PHX_ASSIGN_OR_RETURN(const auto directory, files_.ReadDirectory(path));
    if (directory) there.push_back(path);
  }
  // find without a path would search where the daemon happens to stand.
  if (there.empty()) return std::optional<std::string>();
  const Command command = FindFileCommand(uid, there);
  PHX_ASSIGN_OR_RETURN(const auto result, runner_.Run(command));
  if (!result.out.empty()) return std::optional(FirstLine(result.out));
  PHX_RETURN_IF_ERROR(ExitStatus(command, result));
  return std::optional<std::string>();
}

absl::StatusOr<std::map<std::string, PassdbEntry>> SambaCli::ReadPassdb() {
  const Command command = ListPassdbCommand();
  auto result = runner_.Run(command);
  if (absl::IsNotFound(result.status())) return std::map<std::string, PassdbEntry>();
  PHX_RETURN_IF_ERROR(result.status());
  auto entries = ParsePassdb(result->out);
  Wipe(result->out);
  result->out.clear();
  PHX_RETURN_IF_ERROR(ExitStatus(command, *result));
  return entries;
}

absl::Status SambaCli::AddEntry(const std::string& name, const Secret& password,
                                const ChildObserver& observer) {
  return Run(SetPasswordCommand(name, password, /*add=*/true), observer);
}

absl::Status SambaCli::SetPassword(const std::string& name, const Secret& password,
                                   const ChildObserver& observer) {
  return Run(SetPasswordCommand(name, password, /*add=*/false), observer);
}

absl::Status SambaCli::RemoveEntry(const std::string& name, const ChildObserver& observer) {
  return Run(RemoveEntryCommand(name), observer);
}

absl::StatusOr<std::string> SambaCli::PassdbFile() {
  PHX_ASSIGN_OR_RETURN(const auto config, ReadConfig());
  std::string path = PassdbPath(config.dump.globals);
  if (path.empty())
    return FailedPrecondition("passdb is no tdb file, so an entry cannot be set aside and put back");
  return path;
}

absl::StatusOr<Secret> SambaCli::ExportEntry(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const std::string database, PassdbFile());
  return ReadRecords(database, name);
}

absl::Status SambaCli::ImportEntry(const std::string& name, const Secret& exported) {
  PHX_ASSIGN_OR_RETURN(const std::string database, PassdbFile());
  return WriteRecords(database, name, exported);
}

absl::StatusOr<CheckedConfig> SambaCli::Testparm(const std::string& file) {
  PHX_ASSIGN_OR_RETURN(const auto result, runner_.Run(TestparmCommand(file)));
  return ParseTestparm(result);
}

absl::StatusOr<CheckedConfig> SambaCli::ReadConfig() { return Testparm(paths_.smb_conf); }

absl::StatusOr<CheckedConfig> SambaCli::CheckConfig(const std::string& own_text) {
  PHX_ASSIGN_OR_RETURN(const auto smb_conf, files_.Read(paths_.smb_conf));
  if (!smb_conf) return NotFound("{} is not there", paths_.smb_conf);
  absl::MutexLock lock(&staging_mutex_);
  const std::string own = private_directory_ + "/staged-own.conf",
                    whole = private_directory_ + "/staged-smb.conf";
  PHX_RETURN_IF_ERROR(files_.MakeDirectory(private_directory_, {0, 0, 0700}));
  PHX_RETURN_IF_ERROR(files_.Replace(own, {own_text, 0, 0, 0600}));
  PHX_RETURN_IF_ERROR(
      files_.Replace(whole, {RedirectInclude(smb_conf->content, paths_.own_file, own), 0, 0, 0600}));
  auto checked = Testparm(whole);
  PHX_RETURN_IF_ERROR(files_.Remove(whole));
  PHX_RETURN_IF_ERROR(files_.Remove(own));
  return checked;
}

absl::Status SambaCli::PutFile(const std::string& /*change*/, const std::string& path,
                               const FileState& file) {
  return files_.Replace(path, file);
}

absl::Status SambaCli::TellServer(const Command& command, const ChildObserver& observer) {
  PHX_ASSIGN_OR_RETURN(const auto result, runner_.Run(command, observer));
  // Nobody runs who would have to be told.
  if (result.err.find("Can't find pid for destination") != std::string::npos) return absl::OkStatus();
  return ExitStatus(command, result);
}

absl::Status SambaCli::Reload(const ChildObserver& observer) { return TellServer(ReloadCommand(), observer); }

absl::Status SambaCli::EndSessions(const std::string& share, Cut whom, const ChildObserver& observer) {
  if (whom == Cut::kNobody) return absl::OkStatus();
  return TellServer(EndSessionsCommand(share, whom), observer);
}

absl::StatusOr<MountState> SambaCli::MountOf(const std::string& path) {
  // The machine's: in this unit's own mount namespace the folders that it may write to are mounts, too.
  constexpr char kMounts[] = "/proc/1/mountinfo";
  PHX_ASSIGN_OR_RETURN(const auto mounts, files_.Read(kMounts));
  if (!mounts) return NotFound("{} is not there", kMounts);
  return ParseMount(mounts->content, path);
}

absl::Status SambaCli::TryLogin(const LoginProbe& probe, const Secret& password) {
  absl::Status status;
  for (int tried = 0; tried < kLoginTries; ++tried) {
    if (tried > 0) std::this_thread::sleep_for(kBetweenTries);
    const auto result = runner_.Run(LoginCommand(probe, password));
    if (absl::IsNotFound(result.status())) return FailedPrecondition("smbclient is not installed");
    PHX_RETURN_IF_ERROR(result.status());
    status = ParseLogin(*result);
    if (!absl::IsUnavailable(status)) break;
  }
  if (status.ok() || probe.write.empty() || absl::IsUnavailable(status)) return status;
  // It may have written and failed to delete; where it wrote nothing this finds nothing.
  const auto removed = runner_.Run(RemoveProbeCommand(probe, password));
  return removed.ok() ? status : removed.status();
}

}  // namespace phoenix::samba
