#include "services/zfs/api/zfs_service.h"

#include "services/kit/plan/keys.h"
#include "services/zfs/api/zfs_convert.h"
#include "services/zfs/domain/zfs_names.h"

namespace phoenix::zfs {
namespace {

using kit::Caller;

v1::ZfsSpec Partial(const DatasetSpec& dataset) {
  return ToProto(ZfsSpec{.datasets = {dataset}, .partial = true});
}
v1::ZfsSpec Partial(const SnapshotSpec& snapshot) {
  return ToProto(ZfsSpec{.snapshots = {snapshot}, .partial = true});
}

// The fields of `from` that the mask names, and nothing else: an update declares only what it changes.
absl::StatusOr<v1::Dataset> Masked(const v1::Dataset& from, const google::protobuf::FieldMask& mask) {
  v1::Dataset masked;
  masked.set_name(from.name());
  if (mask.paths().empty()) {
    masked = from;
    masked.clear_etag();
    return masked;
  }
  for (const std::string& path : mask.paths()) {
    if (path == "owner") {
      masked.set_owner(from.owner());
    } else if (path == "group") {
      masked.set_group(from.group());
    } else if (path == "mode") {
      masked.set_mode(from.mode());
    } else if (path == "acl") {
      *masked.mutable_acl() = from.acl();
    } else if (path == "properties") {
      *masked.mutable_properties() = from.properties();
    } else if (path.rfind("properties.", 0) == 0 && from.properties().contains(path.substr(11))) {
      (*masked.mutable_properties())[path.substr(11)] = from.properties().at(path.substr(11));
    } else {
      return WithViolations(
          InvalidArgument("'{}' cannot be updated", path),
          {{"update_mask", "may name owner, group, mode, acl, properties and properties.NAME"}});
    }
  }
  return masked;
}

// Null where it was not asked for.
const DiskHealth* HealthOf(const DiskState& disk, const ZfsState& state) {
  const auto health = state.health.find(disk.path);
  return health == state.health.end() ? nullptr : &health->second;
}

}  // namespace

grpc::ServerUnaryReactor* ZfsService::ListPools(grpc::CallbackServerContext* context,
                                                const v1::ListPoolsRequest* request,
                                                v1::ListPoolsResponse* response) {
  return typed_.Read(context, "ListPools", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe({.pools = true, .links = true}));
    PHX_ASSIGN_OR_RETURN(const kit::Ledger ledger, typed_.ReadLedger());
    std::vector<const PoolState*> pools;
    for (const auto& [name, pool] : state.pools) pools.push_back(&pool);
    return kit::FillPage(*request, *response, pools, [&](const PoolState* pool) {
      *response->add_pools() =
          ToProto(*pool, state.links, kit::IsCreated(ledger, kit::Key("pool", pool->name)));
    });
  });
}

grpc::ServerUnaryReactor* ZfsService::GetPool(grpc::CallbackServerContext* context,
                                              const v1::GetPoolRequest* request, v1::Pool* response) {
  return typed_.Read(context, "GetPool", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string name, ParsePoolName(request->name()));
    PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe({.pools = true, .links = true}));
    PHX_ASSIGN_OR_RETURN(const kit::Ledger ledger, typed_.ReadLedger());
    const auto pool = state.pools.find(name);
    if (pool == state.pools.end()) return NotFound("there is no imported pool '{}'", name);
    *response = ToProto(pool->second, state.links, kit::IsCreated(ledger, kit::Key("pool", name)));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ZfsService::ListDisks(grpc::CallbackServerContext* context,
                                                const v1::ListDisksRequest* request,
                                                v1::ListDisksResponse* response) {
  return typed_.Read(context, "ListDisks", [=, this](const Caller&) -> absl::Status {
    ObserveRequest wanted{.pools = true, .disks = {"*"}};
    if (request->health()) wanted.health = {"*"};
    PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe(wanted));
    std::vector<const DiskState*> disks;
    for (const auto& [path, disk] : state.disks) disks.push_back(&disk);
    return kit::FillPage(*request, *response, disks, [&](const DiskState* disk) {
      *response->add_disks() = ToProto(*disk, HealthOf(*disk, state));
    });
  });
}

grpc::ServerUnaryReactor* ZfsService::GetDisk(grpc::CallbackServerContext* context,
                                              const v1::GetDiskRequest* request, v1::Disk* response) {
  return typed_.Read(context, "GetDisk", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string path, ParseDiskName(request->name()));
    ObserveRequest wanted{.pools = true, .disks = {path}};
    if (request->health()) wanted.health = {path};
    PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe(wanted));
    if (state.disks.empty()) return NotFound("there is no disk {}", path);
    const DiskState& disk = state.disks.begin()->second;
    *response = ToProto(disk, HealthOf(disk, state));
    return absl::OkStatus();
  });
}

absl::StatusOr<v1::Dataset> ZfsService::ReadDataset(const std::string& native_name) {
  PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe({.datasets = {native_name}, .owners = true}));
  PHX_ASSIGN_OR_RETURN(const kit::Ledger ledger, typed_.ReadLedger());
  const auto dataset = state.datasets.find(native_name);
  if (dataset == state.datasets.end()) return NotFound("there is no dataset '{}'", native_name);
  return ToProto(dataset->second, kit::IsCreated(ledger, kit::Key("dataset", native_name)));
}

grpc::ServerUnaryReactor* ZfsService::ListDatasets(grpc::CallbackServerContext* context,
                                                   const v1::ListDatasetsRequest* request,
                                                   v1::ListDatasetsResponse* response) {
  return typed_.Read(context, "ListDatasets", [=, this](const Caller&) -> absl::Status {
    ObserveRequest wanted{.all_datasets = request->pool().empty(), .owners = true};
    if (!request->pool().empty()) {
      wanted.datasets = {request->pool()};
      wanted.recursive = true;
    }
    PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe(wanted));
    PHX_ASSIGN_OR_RETURN(const kit::Ledger ledger, typed_.ReadLedger());
    std::vector<const DatasetState*> datasets;
    for (const auto& [name, dataset] : state.datasets) datasets.push_back(&dataset);
    return kit::FillPage(*request, *response, datasets, [&](const DatasetState* dataset) {
      *response->add_datasets() =
          ToProto(*dataset, kit::IsCreated(ledger, kit::Key("dataset", dataset->name)));
    });
  });
}

grpc::ServerUnaryReactor* ZfsService::GetDataset(grpc::CallbackServerContext* context,
                                                 const v1::GetDatasetRequest* request,
                                                 v1::Dataset* response) {
  return typed_.Read(context, "GetDataset", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string name, ParseDatasetName(request->name()));
    PHX_ASSIGN_OR_RETURN(*response, ReadDataset(name));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ZfsService::CreateDataset(grpc::CallbackServerContext* context,
                                                    const v1::CreateDatasetRequest* request,
                                                    v1::Dataset* response) {
  return typed_.Change(context, "CreateDataset", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const DatasetSpec dataset, ToDatasetSpec(request->dataset()));
    PHX_RETURN_IF_ERROR(typed_.RefuseExisting(*request, ReadDataset(dataset.name).status(),
                                              fmt::format("dataset '{}'", dataset.name)));
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(dataset), *request).status());
    *response = request->dataset();
    if (request->validate_only()) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(*response, ReadDataset(dataset.name));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ZfsService::UpdateDataset(grpc::CallbackServerContext* context,
                                                    const v1::UpdateDatasetRequest* request,
                                                    v1::Dataset* response) {
  return typed_.Change(context, "UpdateDataset", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string name, ParseDatasetName(request->dataset().name()));
    PHX_ASSIGN_OR_RETURN(const v1::Dataset now, ReadDataset(name));
    PHX_RETURN_IF_ERROR(kit::CheckEtag(request->dataset().etag(), now.etag(), request->dataset().name()));
    PHX_ASSIGN_OR_RETURN(v1::Dataset masked, Masked(request->dataset(), request->update_mask()));
    // A volume is declared by its size, whatever of it is to change.
    if (masked.volume_size_bytes() == 0) masked.set_volume_size_bytes(now.volume_size_bytes());
    PHX_ASSIGN_OR_RETURN(const DatasetSpec dataset, ToDatasetSpec(masked));
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(dataset), *request).status());
    PHX_ASSIGN_OR_RETURN(*response, ReadDataset(name));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ZfsService::DeleteDataset(grpc::CallbackServerContext* context,
                                                    const v1::DeleteDatasetRequest* request,
                                                    v1::Dataset* response) {
  return typed_.Change(context, "DeleteDataset", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string name, ParseDatasetName(request->name()));
    PHX_ASSIGN_OR_RETURN(*response, ReadDataset(name));
    PHX_RETURN_IF_ERROR(kit::CheckEtag(request->etag(), response->etag(), request->name()));
    DatasetSpec gone{.name = name, .presence = Presence::kAbsent, .origin = "name"};
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(gone), *request).status());
    if (request->validate_only()) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(*response, FindTrashed(PoolOf(name), response->guid()));
    return absl::OkStatus();
  });
}

absl::StatusOr<v1::Dataset> ZfsService::FindTrashed(const std::string& pool, uint64_t guid) {
  PHX_ASSIGN_OR_RETURN(const ZfsState state,
                       host_.Observe({.datasets = {pool}, .recursive = true, .owners = true}));
  for (const auto& [name, dataset] : state.datasets) {
    if (dataset.guid == guid && IsAside(name, "trash")) return ToProto(dataset, /*managed=*/false);
  }
  return NotFound("the dataset was put into the trash of pool {}, and is not there any more", pool);
}

absl::StatusOr<v1::Snapshot> ZfsService::ReadSnapshot(const std::string& native_name) {
  const std::string dataset = native_name.substr(0, native_name.find('@'));
  PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe({.datasets = {dataset}, .snapshots = true}));
  const auto snapshot = state.snapshots.find(native_name);
  if (snapshot == state.snapshots.end()) return NotFound("there is no snapshot '{}'", native_name);
  return ToProto(snapshot->second);
}

grpc::ServerUnaryReactor* ZfsService::ListSnapshots(grpc::CallbackServerContext* context,
                                                    const v1::ListSnapshotsRequest* request,
                                                    v1::ListSnapshotsResponse* response) {
  return typed_.Read(context, "ListSnapshots", [=, this](const Caller&) -> absl::Status {
    ObserveRequest wanted{.snapshots = true};
    if (!request->dataset().empty()) {
      PHX_ASSIGN_OR_RETURN(const std::string dataset, ParseDatasetName(request->dataset()));
      wanted.datasets = {dataset};
    }
    PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe(wanted));
    std::vector<const SnapshotState*> snapshots;
    for (const auto& [name, snapshot] : state.snapshots) snapshots.push_back(&snapshot);
    return kit::FillPage(*request, *response, snapshots, [&](const SnapshotState* snapshot) {
      *response->add_snapshots() = ToProto(*snapshot);
    });
  });
}

grpc::ServerUnaryReactor* ZfsService::CreateSnapshot(grpc::CallbackServerContext* context,
                                                     const v1::CreateSnapshotRequest* request,
                                                     v1::Snapshot* response) {
  return typed_.Change(context, "CreateSnapshot", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string name, ParseSnapshotName(request->snapshot().name()));
    PHX_RETURN_IF_ERROR(
        typed_.RefuseExisting(*request, ReadSnapshot(name).status(), fmt::format("snapshot '{}'", name)));
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(SnapshotSpec{.name = name}), *request).status());
    *response = request->snapshot();
    if (request->validate_only()) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(*response, ReadSnapshot(name));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ZfsService::DeleteSnapshot(grpc::CallbackServerContext* context,
                                                     const v1::DeleteSnapshotRequest* request,
                                                     v1::Snapshot* response) {
  return typed_.Change(context, "DeleteSnapshot", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const std::string name, ParseSnapshotName(request->name()));
    PHX_ASSIGN_OR_RETURN(*response, ReadSnapshot(name));
    return typed_.Apply(Partial(SnapshotSpec{.name = name, .presence = Presence::kAbsent}), *request)
        .status();
  });
}

}  // namespace phoenix::zfs
