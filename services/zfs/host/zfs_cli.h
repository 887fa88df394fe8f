// The real ZFS: runs zfs, zpool and the probes, reads the kernel's tables.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/zfs/host/zfs_host.h"
#include "services/zfs/host/zfs_parse.h"

namespace phoenix::zfs {

class ZfsCli final : public ZfsHost {
 public:
  ZfsCli(CommandRunner& runner, Files& files) : runner_(runner), files_(files) {}
  std::map<std::string, std::string> Versions() override;
  absl::StatusOr<ZfsState> Observe(const ObserveRequest& request) override;
  absl::Status Change(const ZfsChange& change, const ChildObserver& on_child) override;

 private:
  absl::StatusOr<ZfsState> Look(const ObserveRequest& request);
  // Runs all at once, but for no more than `most` at a time.
  static constexpr size_t kMostAtOnce = 8;
  using Results = std::vector<absl::StatusOr<CommandResult>>;
  // `children`, where not null: who they were, in the same order.
  Results RunAll(const std::vector<Command>& commands, size_t most = kMostAtOnce,
                 std::vector<ChildIdentity>* children = nullptr);
  // The same for an overview, one at a time, which does not ask again what hung before.
  absl::StatusOr<Results> RunForOverview(const std::vector<Command>& commands);
  // What the host's first process sees mounted.
  absl::StatusOr<std::vector<Mount>> Mounts();
  absl::StatusOr<std::string> ReadText(const std::string& path);
  absl::StatusOr<std::map<std::string, std::string, std::less<>>> Links();
  absl::Status AddWritten(const std::string& snapshot, ZfsState& state);
  absl::Status AddFiles(const ObserveRequest& request, const std::vector<Mount>& mounts, ZfsState& state);
  // Runs `body` on the mount root of a dataset that is mounted where nobody else can look, and that is
  // unmounted before and after.
  absl::Status Privately(const std::string& name, const ChildObserver& on_child,
                         const std::function<absl::Status(const std::string& path)>& body);
  // Again where the change unmounts and found something busy, which the NFS server may only remember.
  absl::Status RetryWhileRemembered(const ZfsChange& change, const Command& command, CommandResult& result,
                                    const ChildObserver& on_child);
  absl::Status AddHolds(ZfsState& state);
  absl::Status TryKeys(const ObserveRequest& request, ZfsState& state);
  absl::Status AddMounts(const ObserveRequest& request, const std::vector<Mount>& mounts, ZfsState& state);
  absl::Status AddDisks(const ObserveRequest& request, const std::vector<BlockDevice>& devices,
                        bool look_for_exported, ZfsState& state);
  // Fills the findings of `disks`, and the exported pools.
  absl::Status Probe(const std::map<std::string, std::vector<const BlockDevice*>>& disks,
                     const std::map<std::string, std::optional<uint64_t>>& first_bytes,
                     const std::vector<std::string>& signed_devices,
                     const std::vector<std::string>& labelled_devices, bool look_for_exported,
                     ZfsState& state);
  // smartctl for all disks at once. What it cannot tell is unknown.
  absl::Status AddHealth(const ObserveRequest& request, const std::vector<BlockDevice>& devices,
                         ZfsState& state);
  absl::Status AddArc(const std::vector<Mount>& mounts, ZfsState& state);
  absl::Status AddNames(const ObserveRequest& request, ZfsState& state);

  CommandRunner& runner_;
  Files& files_;
  // Reads that an overview has waited for in vain, by their text, and until when it does not ask again: as
  // long as the kernel does not answer, each asking leaves a process that nothing can end.
  struct Hang {
    std::chrono::steady_clock::time_point until;
    ChildIdentity child;
  };
  absl::Mutex overview_mutex_;
  std::map<std::string, Hang> hung_ ABSL_GUARDED_BY(overview_mutex_);
  absl::Mutex silent_mutex_;
  // Disks that smartctl has waited for in vain, and until when they are not asked again: each asking leaves a
  // process that nothing can end.
  std::map<std::string, std::chrono::steady_clock::time_point> silent_ ABSL_GUARDED_BY(silent_mutex_);
};

// Whether the newest image of an initramfs in `boot` was made before `file` became as it is or, where that is
// not there, before the last change in its `folder`; nullopt without any image. update-initramfs begins with
// the newest kernel's.
std::optional<bool> InitramfsIsOlder(const std::string& boot, const std::string& file,
                                     const std::string& folder);

}  // namespace phoenix::zfs
