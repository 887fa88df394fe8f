#include "services/nfs/api/nfs_service.h"

#include "services/nfs/api/nfs_convert.h"
#include "services/nfs/api/nfs_names.h"

namespace phoenix::nfs {
namespace {

using kit::Caller;

v1::NfsSpec Partial(const ExportSpec& wanted) {
  return ToProto(NfsSpec{.exports = {wanted}, .partial = true});
}

}  // namespace

absl::StatusOr<std::vector<v1::Export>> NfsService::ReadAll() {
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  return ToExports(state);
}

absl::StatusOr<v1::Export> NfsService::Read(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const std::string path, PathOfExportName(name));
  return Find(path);
}

absl::StatusOr<v1::Export> NfsService::Find(const std::string& path) {
  PHX_ASSIGN_OR_RETURN(const auto all, ReadAll());
  const v1::Export* found = nullptr;
  for (const auto& candidate : all) {
    if (candidate.path() == path && (found == nullptr || candidate.managed())) found = &candidate;
  }
  if (found == nullptr) return NotFound("{} is not exported", path);
  return *found;
}

grpc::ServerUnaryReactor* NfsService::ListExports(grpc::CallbackServerContext* context,
                                                  const v1::ListExportsRequest* request,
                                                  v1::ListExportsResponse* response) {
  return typed_.Read(context, "ListExports", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto all, ReadAll());
    return kit::FillPage(*request, *response, all,
                         [&](const v1::Export& one) { *response->add_exports() = one; });
  });
}

grpc::ServerUnaryReactor* NfsService::GetExport(grpc::CallbackServerContext* context,
                                                const v1::GetExportRequest* request, v1::Export* response) {
  return typed_.Read(context, "GetExport", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(*response, Read(request->name()));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NfsService::CreateExport(grpc::CallbackServerContext* context,
                                                   const v1::CreateExportRequest* request,
                                                   v1::Export* response) {
  return typed_.Change(context, "CreateExport", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const ExportSpec wanted, ToExportSpec(request->export_()));
    PHX_RETURN_IF_ERROR(
        typed_.RefuseExisting(*request, Find(wanted.path).status(), fmt::format("export '{}'", wanted.path)));
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(wanted), *request).status());
    *response = request->export_();
    if (request->validate_only()) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(*response, Find(wanted.path));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NfsService::UpdateExport(grpc::CallbackServerContext* context,
                                                   const v1::UpdateExportRequest* request,
                                                   v1::Export* response) {
  return typed_.Change(context, "UpdateExport", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const v1::Export now, Read(request->export_().name()));
    PHX_RETURN_IF_ERROR(kit::CheckEtag(request->export_().etag(), now.etag(), now.name()));
    for (const std::string& path : request->update_mask().paths()) {
      if (path == "clients") continue;
      return WithViolations(InvalidArgument("'{}' cannot be updated", path),
                            {{"update_mask", "may name clients"}});
    }
    PHX_ASSIGN_OR_RETURN(const ExportSpec wanted, ToExportSpec(request->export_()));
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(wanted), *request).status());
    *response = request->export_();
    if (request->validate_only()) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(*response, Read(now.name()));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NfsService::DeleteExport(grpc::CallbackServerContext* context,
                                                   const v1::DeleteExportRequest* request,
                                                   v1::Export* response) {
  return typed_.Change(context, "DeleteExport", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(*response, Read(request->name()));
    PHX_RETURN_IF_ERROR(kit::CheckEtag(request->etag(), response->etag(), request->name()));
    const ExportSpec gone{.path = response->path(),
                          .clients = {},
                          .presence = Presence::kAbsent,
                          .origin = "name",
                          .mount_point = ""};
    return typed_.Apply(Partial(gone), *request).status();
  });
}

}  // namespace phoenix::nfs
