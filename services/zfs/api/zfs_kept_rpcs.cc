// What undo kept: listed, restored, discarded.
#include "services/zfs/api/zfs_convert.h"
#include "services/zfs/api/zfs_service.h"
#include "services/zfs/domain/zfs_kept.h"
#include "services/zfs/domain/zfs_names.h"

namespace phoenix::zfs {
namespace {

using kit::Caller;

v1::ZfsSpec Partial(const KeptSpec& kept) { return ToProto(ZfsSpec{.kept = {kept}, .partial = true}); }

}  // namespace

absl::StatusOr<DatasetState> ZfsService::ReadKept(const std::string& name, uint64_t guid) {
  PHX_ASSIGN_OR_RETURN(const std::string native, ParseDatasetName(name));
  PHX_ASSIGN_OR_RETURN(ZfsState state, host_.Observe({.datasets = {native}}));
  const auto found = state.datasets.find(native);
  if (found == state.datasets.end() || !AsKept(found->second))
    return NotFound("'{}' is nothing that undo kept; ListKept names what is", native);
  if (guid != 0 && guid != found->second.guid) {
    return WithReason(Aborted("{} is another dataset than the one that was read; read it again", name),
                      {"ANOTHER_GUID", {{"guid", std::to_string(found->second.guid)}}});
  }
  return std::move(found->second);
}

absl::Status ZfsService::CheckGone(const std::string& pool, uint64_t guid) {
  const auto rest = FindTrashed(pool, guid);
  if (absl::IsNotFound(rest.status())) return absl::OkStatus();
  PHX_RETURN_IF_ERROR(rest.status());
  return WithReason(
      FailedPrecondition(
          "it is discarded, but something keeps {} from being destroyed (it is open, or somebody "
          "has just made something in it); it goes by itself as soon as nothing does, and the "
          "service's log names what it is",
          rest->native_name()),
      {"STILL_IN_USE", {{"dataset", rest->native_name()}}});
}

grpc::ServerUnaryReactor* ZfsService::ListKept(grpc::CallbackServerContext* context,
                                               const v1::ListKeptRequest* request,
                                               v1::ListKeptResponse* response) {
  return typed_.Read(context, "ListKept", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const ZfsState state, host_.Observe({.all_datasets = true}));
    std::vector<const DatasetState*> kept;
    for (const auto& [name, dataset] : state.datasets) {
      const bool asked = request->pool().empty() || request->pool() == PoolOf(name);
      if (asked && AsKept(dataset)) kept.push_back(&dataset);
    }
    return kit::FillPage(*request, *response, kept,
                         [&](const DatasetState* dataset) { *response->add_kept() = ToKept(*dataset); });
  });
}

grpc::ServerUnaryReactor* ZfsService::RestoreKept(grpc::CallbackServerContext* context,
                                                  const v1::RestoreKeptRequest* request,
                                                  v1::Dataset* response) {
  return typed_.Change(context, "RestoreKept", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const DatasetState kept, ReadKept(request->name(), request->guid()));
    KeptSpec wanted{.name = kept.name, .fate = KeptFate::kRestore};
    if (!request->to().empty()) {
      PHX_ASSIGN_OR_RETURN(wanted.to, ParseDatasetName(request->to()));
    }
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(wanted), *request).status());
    PHX_ASSIGN_OR_RETURN(*response,
                         ReadDataset(request->validate_only() ? kept.name : RestoredName(wanted, kept)));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ZfsService::DiscardKept(grpc::CallbackServerContext* context,
                                                  const v1::DiscardKeptRequest* request, v1::Kept* response) {
  return typed_.Change(context, "DiscardKept", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const DatasetState kept, ReadKept(request->name(), request->guid()));
    *response = ToKept(kept);
    const KeptSpec wanted{.name = kept.name, .fate = KeptFate::kDiscard};
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(wanted), *request).status());
    return request->validate_only() ? absl::OkStatus() : CheckGone(PoolOf(kept.name), kept.guid);
  });
}

}  // namespace phoenix::zfs
