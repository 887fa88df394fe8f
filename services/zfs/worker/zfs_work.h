// How each typed step is captured, done, probed and undone over the host. Part of ZfsDomain; one .cc per kind
// of object.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "services/kit/participant/domain.h"
#include "services/zfs/domain/zfs_step.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

// The surroundings of one step.
struct Work {
  ZfsHost& host;
  // Containers of the trash and of what is kept are made and removed by one step at a time.
  absl::Mutex& containers;
  std::string run_id;
  nlohmann::json captured;
  ChildObserver on_child;
  // Of the run, by name; null where they are not at hand, as for every undo.
  const Secrets* secrets = nullptr;
  Secret node_key = {};
  bool undoing = false;  // as the kit says it (StepContext)

  absl::Status Change(const ZfsChange& change) const { return host.Change(change, on_child); }
  // The dataset, or nullopt where there is none.
  absl::StatusOr<std::optional<DatasetState>> Dataset(const std::string& name) const;
  absl::StatusOr<PathState> Path(const std::string& path) const;
};

// For each kind of step. Capture: what undo needs. ChangesOf: what doing it from scratch changes, for people
// to read and, where that is all there is to it, to do. UndoChanges: the inverse, for people to read where
// undo failed.
#define PHX_DECLARE_WORK(Step)                                                    \
  absl::StatusOr<nlohmann::json> Capture(const Work& work, const Step& step);     \
  absl::Status Do(const Work& work, const Step& step);                            \
  absl::StatusOr<kit::ProbeResult> Probe(const Work& work, const Step& step);     \
  absl::Status Undo(const Work& work, const Step& step);                          \
  absl::StatusOr<kit::LedgerChange> LedgerOf(const Work& work, const Step& step); \
  std::vector<ZfsChange> ChangesOf(const Step& step, const std::string& run_id);  \
  std::vector<ZfsChange> UndoChanges(const Work& work, const Step& step);
PHX_DECLARE_WORK(CreatePoolStep)
PHX_DECLARE_WORK(ImportPoolStep)
PHX_DECLARE_WORK(DestroyPoolStep)
PHX_DECLARE_WORK(SetPoolPropertiesStep)
PHX_DECLARE_WORK(AddVdevStep)
PHX_DECLARE_WORK(AttachDiskStep)
PHX_DECLARE_WORK(ReplaceDiskStep)
PHX_DECLARE_WORK(CreateDatasetStep)
PHX_DECLARE_WORK(SetPropertiesStep)
PHX_DECLARE_WORK(MountStep)
PHX_DECLARE_WORK(LoadKeyStep)
PHX_DECLARE_WORK(SetMountRootStep)
PHX_DECLARE_WORK(ChangeContentStep)
PHX_DECLARE_WORK(MakeDirectoryStep)
PHX_DECLARE_WORK(SetArcLimitStep)
PHX_DECLARE_WORK(CreateSnapshotStep)
PHX_DECLARE_WORK(DeleteSnapshotStep)
PHX_DECLARE_WORK(DeleteDatasetStep)
PHX_DECLARE_WORK(RestoreKeptStep)
PHX_DECLARE_WORK(DiscardKeptStep)
#undef PHX_DECLARE_WORK

// What can be rolled back long after the commit: as long as its snapshots stand and nobody wrote since.
absl::StatusOr<kit::Retrospect> LookBack(const Work& work, const ChangeContentStep& step);
// As long as the copy goes on.
absl::StatusOr<kit::Retrospect> LookBack(const Work& work, const ReplaceDiskStep& step);
// Of logs, caches and spares.
absl::StatusOr<kit::Retrospect> LookBack(const Work& work, const AddVdevStep& step);
// Stays where there was no key to load.
absl::StatusOr<kit::Retrospect> LookBack(const Work& work, const LoadKeyStep& step);

// Shared by the kinds.

// What a declared value is compared with: the local one, but of create-only properties any, since some of
// those tell no source.
std::string ComparedValue(const DatasetState& dataset, std::string_view property);

// Mounts it, unless its key is not loaded: the key went with the machine's memory, and the next setup brings
// both back.
absl::Status MountUnlessLocked(const Work& work, const DatasetState& dataset);
// Mounts it where it is not mounted there yet, and unless it is locked. Others may be first: whenever Proxmox
// VE looks at a zfspool storage it runs `zfs mount -a`, and ours then fails although it is mounted.
absl::Status MountBack(const Work& work, const std::string& name, const std::string& mountpoint);
// The key that was planned with. FAILED_PRECONDITION where it is not at hand, ABORTED where another one is.
absl::StatusOr<Secret> KeyOf(const Work& work, const KeyWish& wish);
// For a change that makes an encryption root; nullopt where none is wanted.
absl::StatusOr<std::optional<NewKey>> NewKeyOf(const Work& work, const std::optional<KeyWish>& wish);
// Stands for a key in what people read.
Secret NoKey();
std::optional<NewKey> ShownKey(const std::optional<KeyWish>& wish);

// The directory at a mount point as JSON, null where there is none; captured so that undo leaves it as it
// was.
absl::StatusOr<nlohmann::json> CaptureDirectory(const Work& work, const std::string& mountpoint);
// kNotDone where the directory is as captured, otherwise kPartial: an undo was cut off before it came to it.
absl::StatusOr<kit::ProbeResult> ProbeDirectory(const Work& work, const std::string& mountpoint);
// After a mount is gone: removes the empty directory that it left, or makes the one again that ZFS removed.
absl::Status RestoreDirectory(const Work& work, const std::string& mountpoint,
                              const nlohmann::json& captured);

// Names become numbers; what is not wished stays as `now`. NOT_FOUND for an unknown name.
absl::StatusOr<DirectoryState> ResolveRoot(const Work& work, const RootWish& wish, const DirectoryState& now);
// The change that gives a mount root what is wished; the same.
absl::StatusOr<SetMountRoot> RootChange(const Work& work, const std::string& name,
                                        const std::string& mountpoint, const RootWish& wish,
                                        const DirectoryState& now);
// Whether the mount root has what the change gives.
bool IsDone(const SetMountRoot& change, const DatasetState& dataset);

// The ledger's entry of what everything in a dataset was given.
kit::LedgerEntry TreeEntry(const std::string& name, uint64_t guid, const RootWish& root);
// The ledger's key of a file that was delivered; no dataset's name holds "//".
std::string DeliveryKey(std::string_view dataset, std::string_view path);

// Makes pool/.phoenix/<kind>/<run>, none of it mounted.
absl::Status EnsureContainer(const Work& work, const std::string& container)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(work.containers);
// Removes the container and those above it that are empty. The caller holds the lock of the containers.
absl::Status DropEmptyContainers(ZfsHost& host, const std::string& container, const ChildObserver& on_child);

// Unmounts the dataset for good, after proof that it holds nothing but what we made: no snapshot, no child,
// no file, and nothing written between the look and the unmount. Answers what was found; "" means that it may
// be destroyed.
absl::StatusOr<std::string> ProveEmpty(const Work& work, const std::string& name);
// The same without touching anything, and therefore only as of now: what others made in a dataset of the run,
// "" for nothing. What the run itself made below it is not meant.
absl::StatusOr<std::string> FindOthersIn(const Work& work, const std::string& name);
// Moves what holds data of others to pool/.phoenix/kept/<run>/…, where it carries its name and canmount of
// before. Repeatable.
absl::Status SetAside(const Work& work, const std::string& name, const std::string& why);

// A change is committed: what is empty of pool/.phoenix/kept goes. Answers whether the change's run discarded
// something, which is to go now. The caller holds the lock of the containers.
absl::StatusOr<bool> TidyKept(ZfsHost& host, const std::string& run_id);

// How a property was set, without what a parent's change moves: {"source": "local" | "received" |
// "inherited", …}.
nlohmann::json CaptureProperty(const DatasetState& dataset, const std::string& property);
// The change that puts it back.
ZfsChange RestoreProperty(const std::string& dataset, const std::string& property,
                          const nlohmann::json& captured);

absl::Status ForeignChange(std::string_view object, std::string_view found);

}  // namespace phoenix::zfs
