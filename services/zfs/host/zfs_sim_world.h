// The rules of ZFS over a simulated world. Part of ZfsSim.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/kit/sim/machine.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

inline constexpr uint64_t kMemoryBytes = uint64_t{64} << 30;
// The limit and the least size that the ARC chose by itself on this machine.
inline constexpr uint64_t kArcDefault = uint64_t{63} << 30, kArcMinDefault = kMemoryBytes / 32;

// As measured with blocks of 512 bytes: the block that describes a dataset, which a rollback writes anew.
inline constexpr uint64_t kDescribingBlock = 1024;

// Of a dataset as the world keeps it.
inline bool IsMounted(const nlohmann::json& dataset) { return !dataset.value("mounted", "").empty(); }

// One transaction's view; the changes answer as the tools do.
class SimZfs {
 public:
  // `now_seconds`: when what is made is made.
  explicit SimZfs(kit::World& world, int64_t now_seconds = 0) : world_(world), now_seconds_(now_seconds) {}

  absl::Status Apply(const ZfsChange& change);

  // What properties a dataset shows, with their sources.
  absl::StatusOr<PropertyStates> PropertiesOf(const std::string& name);
  absl::StatusOr<nlohmann::json> Dataset(const std::string& name);
  // Names of all datasets at and below `name`.
  absl::StatusOr<std::vector<std::string>> Below(std::string_view name);
  absl::StatusOr<bool> Exists(std::string_view name);
  absl::Status UnmountAll(const std::string& name);
  // What is there where a file of a dataset is to be; nullopt where the dataset is not mounted.
  absl::StatusOr<std::optional<FileSeen>> FileAt(const std::string& name, const std::string& path);
  // Whether it is the key of that encryption root.
  absl::StatusOr<bool> KeyFits(const std::string& root, const KeyToTry& key);
  // Keys are in memory only: a reboot and an export forget them.
  absl::Status ForgetKeys(std::string_view pool);
  // A bound of the ARC: what the parameter says, and what the ARC goes by.
  struct ArcBound {
    uint64_t value = 0, in_force = 0;
  };
  absl::StatusOr<ArcBound> ReadArcBound(bool minimum);
  // The bytes written since; nullopt where there is no such snapshot.
  absl::StatusOr<std::optional<uint64_t>> WrittenSince(const std::string& snapshot);

 private:
  absl::Status Do(const CreatePool& change);
  absl::Status Do(const DestroyPool& change);
  absl::Status Do(const ImportPool& change);
  absl::Status Do(const ExportPool& change);
  absl::Status Do(const SetPoolProperties& change);
  absl::Status Do(const AddVdev& change);
  absl::Status Do(const RemoveVdev& change);
  absl::Status Do(const AttachDisk& change);
  absl::Status Do(const DetachDisk& change);
  absl::Status Do(const ReplaceDisk& change);
  absl::Status Do(const ClearDisk& change);
  absl::Status Do(const CreateDataset& change);
  absl::Status Do(const LoadKey& change);
  absl::Status Do(const UnloadKey& change);
  absl::Status Do(const DestroyDataset& change);
  absl::Status Do(const SetProperties& change);
  absl::Status Do(const InheritProperty& change);
  // Nobody has open a volume that it is or that lies in it.
  absl::Status CheckClosed(const std::string& dataset);
  absl::Status Do(const RenameDataset& change);
  absl::Status Do(const MountDataset& change);
  absl::Status Do(const UnmountDataset& change);
  absl::Status Do(const SetMountRoot& change);
  absl::Status Do(const SyncPool& change);
  absl::Status Do(const CreateSnapshot& change);
  absl::Status Do(const CreateSnapshots& change);
  absl::Status Do(const HoldSnapshots& change);
  absl::Status Do(const ReleaseSnapshots& change);
  absl::Status Do(const DestroySnapshot& change);
  absl::Status Do(const CloneSnapshot& change);
  absl::Status Do(const RollbackDataset& change);
  absl::Status Do(const SetTreeOwner& change);
  absl::Status Do(const DeliverFiles& change);
  absl::Status Do(const ProveDelivered& change);
  absl::Status Do(const RenameSnapshot& change);
  absl::Status Do(const SetArcLive& change);
  absl::Status Do(const UpdateInitramfs& change);
  absl::Status Do(const PutFile& change);
  absl::Status Do(const MakeDirectory& change);
  absl::Status Do(const RemoveDirectory& change);

  // The vdevs as zpool shows them once they are made; refused as zpool does what cannot be made.
  absl::StatusOr<nlohmann::json> CheckVdevs(const std::vector<VdevGroup>& layout, bool force);
  absl::StatusOr<nlohmann::json> CheckDisk(const std::string& path, bool force);
  // What zpool leaves on a disk that it takes.
  absl::Status LabelDisk(const std::string& path, const std::string& pool, int64_t guid);
  // A disk that leaves its pool; its labels stay where `labelled`.
  absl::Status LeavePool(const std::string& path, bool labelled);
  // An imported pool.
  absl::StatusOr<nlohmann::json> ImportedPool(const std::string& name);

  struct Effective {
    std::string value, source;
  };
  // nullopt for a user property that nothing sets.
  absl::StatusOr<std::optional<Effective>> Resolve(const std::string& name, const std::string& property);
  absl::StatusOr<std::string> Value(const std::string& name, const std::string& property);
  // Valid until the dataset is changed.
  absl::StatusOr<const nlohmann::json*> Cached(const std::string& name);
  absl::Status Put(const std::string& name, const nlohmann::json& dataset);
  absl::Status Delete(const std::string& name);
  absl::StatusOr<nlohmann::json> Snapshot(const std::string& name);
  absl::Status TakeSnapshot(const std::string& name, const PropertyMap& properties);
  // What a snapshot keeps: {"root", "content", "written_more"}.
  absl::StatusOr<nlohmann::json> ContentOf(const nlohmann::json& dataset);
  // Snapshots name their clones; `to` is "" for one that goes.
  absl::Status RenameClone(const std::string& from, const std::string& to);
  absl::StatusOr<bool> HasSnapshots(std::string_view name);
  // Mounts where the properties say so; OK where they do not.
  absl::Status MountIfWanted(const std::string& name);
  absl::Status Mount(const std::string& name, const std::string& path);
  absl::Status Unmount(const std::string& name);
  // What ZFS does with the directory of a mount point that it derived itself.
  absl::Status RemoveMountDirectory(const std::string& name, const std::string& path);
  // Changes properties and lets mounts follow.
  absl::Status Remount(const std::string& name, const std::function<absl::Status()>& change);
  // The encryption root that holds the dataset's key; "" for one that is not encrypted.
  absl::StatusOr<std::string> EncryptionRoot(const nlohmann::json& dataset);
  absl::StatusOr<bool> IsLocked(const nlohmann::json& dataset);
  // What a new dataset keeps of its encryption, with a key of its own or its parent's; null for none.
  absl::StatusOr<nlohmann::json> NewEncryption(const std::string& name, const std::optional<NewKey>& key,
                                               int64_t guid);
  absl::Status AddEncryption(const std::string& name, const nlohmann::json& dataset, PropertyStates& states);
  absl::Status CheckValue(const nlohmann::json& dataset, const std::string& property,
                          const std::string& value);

  kit::World& world_;
  const int64_t now_seconds_;
  std::map<std::string, nlohmann::json> cache_;
};

}  // namespace phoenix::zfs
