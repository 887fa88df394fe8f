#include "services/proxmox/host/container_cli.h"

#include <absl/strings/numbers.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/host/container_command.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {

absl::StatusOr<CommandResult> ContainerCli::Run(const Command& command, const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(CommandResult result, runner_.Run(command, on_child));
  if (result.exit_code != 0) return ExplainContainerFailure(command, result);
  return result;
}

absl::StatusOr<ContainerPlaces> ContainerCli::Read(const std::set<uint32_t>& ids) {
  return reading_.ReadContainers(ids);
}

absl::StatusOr<std::map<std::string, uint64_t>> ContainerCli::Volumes(const std::string& storage,
                                                                      uint32_t id) {
  PHX_ASSIGN_OR_RETURN(const CommandResult result, Run(VolumesCommand(storage, id), nullptr));
  return ParseVolumes(result.out);
}

absl::StatusOr<VolumeContent> ContainerCli::Look(const std::string& dataset) {
  PHX_ASSIGN_OR_RETURN(const CommandResult result, Run(LookCommand(dataset), nullptr));
  VolumeContent content;
  for (size_t at = 0; at < result.out.size();) {
    const size_t end = std::min(result.out.find('\n', at), result.out.size());
    std::string name = result.out.substr(at, end - at);
    if (!name.empty() && name != dataset) content.others.push_back(std::move(name));
    at = end + 1;
  }
  PHX_ASSIGN_OR_RETURN(const std::string path, reading_.MountOf(dataset));
  if (path.empty()) return content;
  PHX_ASSIGN_OR_RETURN(content.names, files_.List(path));
  return content;
}

absl::StatusOr<uint64_t> ContainerCli::Referenced(const std::string& dataset) {
  PHX_ASSIGN_OR_RETURN(const CommandResult result, Run(ReferencedCommand(dataset), nullptr));
  uint64_t bytes = 0;
  if (absl::SimpleAtoi(result.out, &bytes)) return bytes;
  return Internal("zfs does not say how much {} holds: '{}'", dataset, result.out);
}

absl::StatusOr<std::vector<std::string>> ContainerCli::Mount(uint32_t id, const std::vector<NewMount>& mounts,
                                                             const std::string& digest,
                                                             const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const CommandResult result, Run(MountCommand(id, mounts, digest), on_child));
  return Warnings(result.err);
}

absl::Status ContainerCli::Detach(uint32_t id, const std::vector<std::string>& keys,
                                  const std::string& digest, const ChildObserver& on_child) {
  return Run(DetachCommand(id, keys, digest), on_child).status();
}

absl::Status ContainerCli::Resize(uint32_t id, int number, uint64_t bytes, const std::string& digest,
                                  const ChildObserver& on_child) {
  return Run(ResizeCommand(id, number, bytes, digest), on_child).status();
}

absl::Status ContainerCli::Free(const std::string& volume, const ChildObserver& on_child) {
  return Run(FreeCommand(volume), on_child).status();
}

absl::Status ContainerCli::SetQuota(const std::string& dataset, uint64_t bytes,
                                    const ChildObserver& on_child) {
  return Run(QuotaCommand(dataset, bytes), on_child).status();
}

}  // namespace phoenix::proxmox
