// What the real host does inside of datasets.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/host/zfs_cli.h"
#include "services/zfs/host/zfs_command.h"
#include "services/zfs/host/zfs_files.h"
#include "services/zfs/host/zfs_inode.h"

namespace phoenix::zfs {

absl::Status ZfsCli::AddFiles(const ObserveRequest& request, const std::vector<Mount>& mounts,
                              ZfsState& state) {
  for (const auto& [name, paths] : request.files) {
    const auto dataset = state.datasets.find(name);
    if (dataset == state.datasets.end() || dataset->second.mounted_at.empty()) continue;
    const std::string& root = dataset->second.mounted_at;
    const auto mount = std::find_if(mounts.begin(), mounts.end(), [&](const Mount& one) {
      return one.file_system == "zfs" && one.source == dataset->first && one.path == root;
    });
    if (mount == mounts.end()) continue;
    PHX_RETURN_IF_ERROR(ProveMountRoot(root, mount->device));
    FilesSeen& files = state.files[name];
    for (const auto& path : paths) {
      PHX_ASSIGN_OR_RETURN(files[path], LookAtFile(root, path));
    }
  }
  return absl::OkStatus();
}

absl::Status ZfsCli::Privately(const std::string& name, const ChildObserver& on_child,
                               const std::function<absl::Status(const std::string& path)>& body) {
  PHX_ASSIGN_OR_RETURN(auto mounts, Mounts());
  const auto mount_of = [&] {
    return std::find_if(mounts.begin(), mounts.end(), [&](const Mount& mount) {
      return mount.file_system == "zfs" && mount.source == name;
    });
  };
  if (mount_of() != mounts.end()) return FailedPrecondition("{} is mounted at {}", name, mount_of()->path);
  // One for each dataset, so that nothing is mounted over another.
  std::string path = fmt::format("{}/{}", kPrivateMount, name);
  std::replace(path.begin() + sizeof kPrivateMount, path.end(), '/', ':');
  for (const std::string& each : {std::string(kPrivateMount), path}) {
    PHX_RETURN_IF_ERROR(files_.MakeDirectory(each, {0, 0, 0700}));
    PHX_ASSIGN_OR_RETURN(const auto directory, files_.ReadDirectory(each));
    if (directory != DirectoryState{0, 0, 0700})
      return FailedPrecondition("{} is not a directory that only root may enter; remove it", each);
  }
  const Command mounting = MountAt(name, path);
  PHX_ASSIGN_OR_RETURN(const CommandResult mounted, runner_.Run(mounting, on_child));
  PHX_RETURN_IF_ERROR(ExitStatus(mounting, mounted));
  PHX_ASSIGN_OR_RETURN(mounts, Mounts());
  absl::Status changed = FailedPrecondition("{} is not mounted at {} although mount said so", name, path);
  if (mount_of() != mounts.end() && mount_of()->path == path) {
    changed = ProveMountRoot(path, mount_of()->device);
    if (changed.ok()) changed = body(path);
  }
  const Command unmounting = CommandsFor(UnmountDataset{name}).front();
  PHX_ASSIGN_OR_RETURN(const CommandResult unmounted, runner_.Run(unmounting, on_child));
  PHX_RETURN_IF_ERROR(changed);
  PHX_RETURN_IF_ERROR(ExitStatus(unmounting, unmounted));
  return files_.RemoveDirectory(path);
}

// Once a client has asked for it, the kernel's NFS server holds an exported file system for half an hour by
// what it remembers of it, though nobody uses it. Told to forget, it asks again with the next request; a
// client waits meanwhile. Files that are open stay so, and the dataset busy.
absl::Status ZfsCli::RetryWhileRemembered(const ZfsChange& change, const Command& command,
                                          CommandResult& result, const ChildObserver& on_child) {
  constexpr int kTries = 5;
  constexpr std::chrono::milliseconds kPause{200};
  const bool unmounts =
      std::holds_alternative<UnmountDataset>(change) || std::holds_alternative<SetProperties>(change) ||
      std::holds_alternative<InheritProperty>(change) || std::holds_alternative<ExportPool>(change) ||
      std::holds_alternative<DestroyPool>(change);
  for (int attempt = 1; unmounts && attempt < kTries; ++attempt) {
    if (ExitStatus(command, result).ok() || result.err.find("busy") == std::string::npos) break;
    const auto now = static_cast<uint64_t>(::time(nullptr));
    for (const char* memory : {"nfsd.fh", "nfsd.export"}) {
      // Not there where no NFS server runs.
      WriteParameter(fmt::format("/proc/net/rpc/{}/flush", memory), now).IgnoreError();
    }
    std::this_thread::sleep_for(kPause);
    PHX_ASSIGN_OR_RETURN(result, runner_.Run(command, on_child));
  }
  return absl::OkStatus();
}

}  // namespace phoenix::zfs
