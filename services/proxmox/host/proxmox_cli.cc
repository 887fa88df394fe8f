#include "services/proxmox/host/proxmox_cli.h"

#include <fmt/format.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/host/proxmox_command.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {

ProxmoxCli::ProxmoxCli(CommandRunner& runner, Files& files, NodeApi* api, Warn warn)
    : runner_(runner),
      files_(files),
      api_(api),
      warn_(std::move(warn)),
      reading_(files,
               [&files]() -> absl::StatusOr<std::vector<Mount>> {
                 // The first process's table, since a sandboxed daemon has one of its own.
                 PHX_ASSIGN_OR_RETURN(const auto table, files.Read("/proc/1/mounts"));
                 if (!table) return Internal("/proc/1/mounts cannot be read");
                 return ParseMounts(table->content);
               }),
      vms_(runner, reading_),
      containers_(runner, files, reading_) {}

absl::StatusOr<ProxmoxState> ProxmoxCli::Observe(const Question& question) {
  PHX_RETURN_IF_ERROR(Settle());
  PHX_ASSIGN_OR_RETURN(ProxmoxState state, reading_.Observe(question));
  if (api_ != nullptr) {
    // One that cannot be used is told by CanChange().
    const auto token = api_->Token();
    state.has_api_token = token.ok() && token->has_value();
  }
  return state;
}

absl::StatusOr<StorageConfig> ProxmoxCli::ReadStorages() {
  PHX_RETURN_IF_ERROR(Settle());
  return reading_.ReadStorages();
}

// What a request of ours may still change is not read: undo would take it for never done.
absl::Status ProxmoxCli::Settle() { return api_ == nullptr ? absl::OkStatus() : api_->Settle(); }

absl::StatusOr<std::vector<std::string>> ProxmoxCli::UsersOf(const std::string& id, const std::string& node) {
  return reading_.UsersOf(id, node);
}

absl::StatusOr<bool> ProxmoxCli::IsMounted(const std::string& path) { return reading_.IsMounted(path); }

absl::StatusOr<ToolReport> ProxmoxCli::Change(const ApiRequest& request,
                                              const std::optional<Command>& command,
                                              const ChildObserver& on_child) {
  if (api_ != nullptr) {
    PHX_ASSIGN_OR_RETURN(const auto token, api_->Token());
    if (token) {
      PHX_ASSIGN_OR_RETURN(const auto answer, api_->Send(request, *token));
      if (answer) {
        PHX_RETURN_IF_ERROR(Explain(request, *answer));
        // What pvesm would have warned of goes to pvedaemon's log; the callers compare the file themselves.
        return ToolReport{};
      }
      if (warn_ && command) {
        warn_(
            fmt::format("nobody answers at the node's API although there is a token ({}); {} goes through "
                        "pvesm, which is slower: look at `systemctl status pvedaemon`",
                        token->id, ToText(request)));
      }
    }
  }
  if (!command) {
    return FailedPrecondition(
        "{} carries a password, which only the node's own API is told, and that cannot be asked: it needs a "
        "token "
        "({}) and a running pvedaemon (`systemctl status pvedaemon`)",
        ToText(request), kTokenPath);
  }
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(*command, on_child));
  if (result.exit_code != 0) return ExplainFailure(*command, result);
  return ToolReport{Warnings(result.err)};
}

absl::StatusOr<ToolReport> ProxmoxCli::Add(const NewStorage& storage, const ChildObserver& on_child) {
  // pvesm takes a password as an argument only, which every process can read.
  return Change(AddRequest(storage),
                storage.password.empty() ? std::optional(AddCommand(storage)) : std::nullopt, on_child);
}

absl::StatusOr<ToolReport> ProxmoxCli::Set(const StorageChange& change, const ChildObserver& on_child) {
  return Change(SetRequest(change), SetCommand(change), on_child);
}

absl::StatusOr<ToolReport> ProxmoxCli::Remove(const std::string& id, const ChildObserver& on_child) {
  return Change(RemoveRequest(id), RemoveCommand(id), on_child);
}

absl::Status ProxmoxCli::CanChange() {
  if (api_ == nullptr) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto token, api_->Token());
  if (!token) return absl::OkStatus();
  const ApiRequest request = PermissionsRequest();
  const auto answer = api_->Send(request, *token);
  // An API that is down or slow now may be neither when it is needed, and pvesm is there.
  if (!answer.ok() || !*answer) return absl::OkStatus();
  absl::Status status = Explain(request, **answer);
  if (status.ok()) return CheckPermissions(**answer);
  const auto reason = ReasonOf(status);
  return reason && reason->reason == kNodeApiToken ? status : absl::OkStatus();
}

absl::StatusOr<StatusReport> ProxmoxCli::Status() {
  const Command command = StatusCommand();
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(command));
  if (result.exit_code != 0) return ExplainFailure(command, result);
  StatusReport report;
  PHX_ASSIGN_OR_RETURN(report.storages, ParseStatus(result.out));
  report.warnings = Warnings(result.err);
  return report;
}

absl::Status ProxmoxCli::Unmount(const std::string& path, const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const bool mounted, IsMounted(path));
  if (!mounted) return absl::OkStatus();
  const Command command = UnmountCommand(path);
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(command, on_child));
  PHX_ASSIGN_OR_RETURN(const bool still, IsMounted(path));
  if (!still) return absl::OkStatus();
  const absl::Status status = ExitStatus(command, result);
  return status.ok() ? FailedPrecondition("{} is still mounted after umount", path) : status;
}

std::map<std::string, std::string> ProxmoxCli::Versions() {
  std::map<std::string, std::string> versions;
  const auto installed = reading_.IsInstalled();
  if (!installed.ok() || !*installed) return versions;
  const std::string version = reading_.PackageVersion("libpve-storage-perl");
  versions["pvesm"] = version.empty() ? "unknown" : version;
  const std::string product = reading_.PackageVersion("pve-manager");
  if (!product.empty()) versions["pve-manager"] = product;
  if (api_ != nullptr) {
    const auto token = api_->Token();
    if (!token.ok()) {
      versions["node-api"] = "not used: " + Message(token.status());
    } else if (*token) {
      versions["node-api"] = "token of " + (*token)->id;
    }
  }
  return versions;
}

}  // namespace phoenix::proxmox
