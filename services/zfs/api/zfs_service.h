// phoenix.zfs.v1.ZfsService: name, convert, ask, convert.
#pragma once

#include <string>

#include "phoenix/zfs/v1/zfs.grpc.pb.h"
#include "services/kit/rpc/typed.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

class ZfsService final : public v1::ZfsService::CallbackService {
 public:
  // All must outlive this object.
  ZfsService(ZfsHost& host, kit::TypedGround ground)
      : host_(host), typed_(ground, v1::ZfsService::service_full_name()) {}

#define PHX_ZFS_RPC(Name, Request, Response)                                                       \
  grpc::ServerUnaryReactor* Name(grpc::CallbackServerContext* context, const v1::Request* request, \
                                 v1::Response* response) override
  PHX_ZFS_RPC(ListPools, ListPoolsRequest, ListPoolsResponse);
  PHX_ZFS_RPC(GetPool, GetPoolRequest, Pool);
  PHX_ZFS_RPC(ListDisks, ListDisksRequest, ListDisksResponse);
  PHX_ZFS_RPC(GetDisk, GetDiskRequest, Disk);
  PHX_ZFS_RPC(ListDatasets, ListDatasetsRequest, ListDatasetsResponse);
  PHX_ZFS_RPC(GetDataset, GetDatasetRequest, Dataset);
  PHX_ZFS_RPC(CreateDataset, CreateDatasetRequest, Dataset);
  PHX_ZFS_RPC(UpdateDataset, UpdateDatasetRequest, Dataset);
  PHX_ZFS_RPC(DeleteDataset, DeleteDatasetRequest, Dataset);
  PHX_ZFS_RPC(ListSnapshots, ListSnapshotsRequest, ListSnapshotsResponse);
  PHX_ZFS_RPC(CreateSnapshot, CreateSnapshotRequest, Snapshot);
  PHX_ZFS_RPC(DeleteSnapshot, DeleteSnapshotRequest, Snapshot);
  PHX_ZFS_RPC(ListKept, ListKeptRequest, ListKeptResponse);
  PHX_ZFS_RPC(RestoreKept, RestoreKeptRequest, Dataset);
  PHX_ZFS_RPC(DiscardKept, DiscardKeptRequest, Kept);
#undef PHX_ZFS_RPC

 private:
  absl::StatusOr<v1::Dataset> ReadDataset(const std::string& native_name);
  // By its GUID: its name there is made of the change's run.
  absl::StatusOr<v1::Dataset> FindTrashed(const std::string& pool, uint64_t guid);
  // What was kept under this resource name; ABORTED where it has another GUID than the one asked for.
  absl::StatusOr<DatasetState> ReadKept(const std::string& name, uint64_t guid);
  // FAILED_PRECONDITION while what was discarded is still in the trash.
  absl::Status CheckGone(const std::string& pool, uint64_t guid);
  absl::StatusOr<v1::Snapshot> ReadSnapshot(const std::string& native_name);

  ZfsHost& host_;
  kit::TypedService typed_;
};

}  // namespace phoenix::zfs
