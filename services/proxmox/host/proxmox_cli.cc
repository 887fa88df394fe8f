#include "services/proxmox/host/proxmox_cli.h"

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/host/proxmox_command.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {

ProxmoxCli::ProxmoxCli(CommandRunner& runner, Files& files)
    : runner_(runner),
      files_(files),
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
  return reading_.Observe(question);
}

absl::StatusOr<StorageConfig> ProxmoxCli::ReadStorages() { return reading_.ReadStorages(); }

absl::StatusOr<std::vector<std::string>> ProxmoxCli::UsersOf(const std::string& id) {
  return reading_.UsersOf(id);
}

absl::StatusOr<bool> ProxmoxCli::IsMounted(const std::string& path) { return reading_.IsMounted(path); }

absl::StatusOr<ToolReport> ProxmoxCli::Run(const Command& command, const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(command, on_child));
  if (result.exit_code != 0) return ExplainFailure(command, result);
  return ToolReport{Warnings(result.err)};
}

absl::StatusOr<ToolReport> ProxmoxCli::Add(const NewStorage& storage, const ChildObserver& on_child) {
  return Run(AddCommand(storage), on_child);
}

absl::StatusOr<ToolReport> ProxmoxCli::Set(const StorageChange& change, const ChildObserver& on_child) {
  return Run(SetCommand(change), on_child);
}

absl::StatusOr<ToolReport> ProxmoxCli::Remove(const std::string& id, const ChildObserver& on_child) {
  return Run(RemoveCommand(id), on_child);
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
  return versions;
}

}  // namespace phoenix::proxmox
