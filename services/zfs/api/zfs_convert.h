// Between protos and domain values; with the handlers the only place of this service that knows protobuf.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>

#include "phoenix/zfs/v1/zfs.pb.h"
#include "services/zfs/domain/zfs_spec.h"
#include "services/zfs/domain/zfs_state.h"

namespace phoenix::zfs {

// INVALID_ARGUMENT for another type, bytes that are no such message, or an enum value that is unknown here.
absl::StatusOr<ZfsSpec> ParseSpec(std::string_view type, std::string_view bytes);
absl::StatusOr<ZfsSpec> ToSpec(const v1::ZfsSpec& proto);
v1::ZfsSpec ToProto(const ZfsSpec& spec);

// Resources; `managed`: Phoenix made it.
// `links`: see ZfsState. A disk without one is told by the kernel's path.
v1::Pool ToProto(const PoolState& pool, const std::map<std::string, std::string, std::less<>>& links,
                 bool managed);
// `health`: null where it was not asked for.
v1::Disk ToProto(const DiskState& disk, const DiskHealth* health = nullptr);
v1::Dataset ToProto(const DatasetState& dataset, bool managed);
v1::Snapshot ToProto(const SnapshotState& snapshot);
// `dataset` must be kept itself (AsKept).
v1::Kept ToKept(const DatasetState& dataset);
// What a typed create or update wants: the resource as a declared dataset.
absl::StatusOr<DatasetSpec> ToDatasetSpec(const v1::Dataset& dataset);

// Resource names. "/" of a dataset is "~" in its name: datasets/quickOS~vm-disks. INVALID_ARGUMENT for
// anything else. A dataset's name may be one that could not be created: what is put away can be looked at.
absl::StatusOr<std::string> ParsePoolName(std::string_view name);
// Answers the path in /dev/disk/by-id.
absl::StatusOr<std::string> ParseDiskName(std::string_view name);
absl::StatusOr<std::string> ParseDatasetName(std::string_view name);
absl::StatusOr<std::string> ParseSnapshotName(std::string_view name);
std::string DatasetName(std::string_view native_name);
std::string SnapshotName(std::string_view native_name);

}  // namespace phoenix::zfs
