#include "services/proxmox/api/proxmox_service.h"

#include <algorithm>

#include "services/kit/plan/keys.h"
#include "services/proxmox/api/proxmox_convert.h"

namespace phoenix::proxmox {
namespace {

// The fields that an update mask names, from `from` into `into`; "" names every field that is set.
absl::Status Merge(const v1::Storage& from, const google::protobuf::FieldMask& mask, v1::Storage& into) {
  std::vector<std::string> paths(mask.paths().begin(), mask.paths().end());
  if (paths.empty()) {
    if (from.content_size() > 0) paths.push_back("content");
    for (const auto& [name, value] : from.options()) paths.push_back("options." + name);
  }
  for (const std::string& path : paths) {
    if (path == "content") {
      *into.mutable_content() = from.content();
    } else if (path == "options") {
      *into.mutable_options() = from.options();
    } else if (path.rfind("options.", 0) == 0 && from.options().contains(path.substr(8))) {
      (*into.mutable_options())[path.substr(8)] = from.options().at(path.substr(8));
    } else {
      return WithViolations(InvalidArgument("'{}' cannot be updated", path),
                            {{"update_mask", "may name content, options and options.NAME"}});
    }
  }
  return absl::OkStatus();
}

v1::ProxmoxSpec PartialSpec(const StorageSpec& storage) {
  return ToProto(ProxmoxSpec{.storages = {storage}, .partial = true});
}

}  // namespace

absl::StatusOr<v1::Storage> ProxmoxService::Read(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const std::string id, ParseStorageName(name));
  PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
  const auto entry = config.entries.find(id);
  if (entry == config.entries.end()) return NotFound("there is no storage '{}'", id);
  PHX_ASSIGN_OR_RETURN(const kit::Ledger ledger, typed_.ReadLedger());
  return ToProto(entry->second, kit::IsCreated(ledger, kit::Key("storage", id)));
}

grpc::ServerUnaryReactor* ProxmoxService::ListStorages(grpc::CallbackServerContext* context,
                                                       const v1::ListStoragesRequest* request,
                                                       v1::ListStoragesResponse* response) {
  return typed_.Read(context, "ListStorages", [=, this](const kit::Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
    PHX_ASSIGN_OR_RETURN(const kit::Ledger ledger, typed_.ReadLedger());
    std::vector<const StorageEntry*> entries;
    for (const auto& [id, entry] : config.entries) entries.push_back(&entry);
    return kit::FillPage(*request, *response, entries, [&](const StorageEntry* entry) {
      *response->add_storages() = ToProto(*entry, kit::IsCreated(ledger, kit::Key("storage", entry->id)));
    });
  });
}

grpc::ServerUnaryReactor* ProxmoxService::GetStorage(grpc::CallbackServerContext* context,
                                                     const v1::GetStorageRequest* request,
                                                     v1::Storage* response) {
  return typed_.Read(context, "GetStorage", [=, this](const kit::Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(*response, Read(request->name()));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ProxmoxService::CreateStorage(grpc::CallbackServerContext* context,
                                                        const v1::CreateStorageRequest* request,
                                                        v1::Storage* response) {
  return typed_.Change(context, "CreateStorage", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const StorageSpec storage, ToStorageSpec(request->storage()));
    PHX_RETURN_IF_ERROR(typed_.RefuseExisting(*request, Read(request->storage().name()).status(),
                                              fmt::format("storage '{}'", storage.id)));
    PHX_RETURN_IF_ERROR(typed_.Apply(PartialSpec(storage), *request).status());
    if (request->validate_only()) {
      *response = request->storage();
      return absl::OkStatus();
    }
    PHX_ASSIGN_OR_RETURN(*response, Read(request->storage().name()));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ProxmoxService::UpdateStorage(grpc::CallbackServerContext* context,
                                                        const v1::UpdateStorageRequest* request,
                                                        v1::Storage* response) {
  return typed_.Change(context, "UpdateStorage", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(v1::Storage wanted, Read(request->storage().name()));
    PHX_RETURN_IF_ERROR(kit::CheckEtag(request->storage().etag(), wanted.etag(), wanted.name()));
    PHX_RETURN_IF_ERROR(Merge(request->storage(), request->update_mask(), wanted));
    // Nodes and the switch are not declared: they stay as they are.
    wanted.clear_nodes();
    wanted.clear_disabled();
    PHX_ASSIGN_OR_RETURN(const StorageSpec storage, ToStorageSpec(wanted));
    PHX_RETURN_IF_ERROR(typed_.Apply(PartialSpec(storage), *request).status());
    *response = wanted;
    if (request->validate_only()) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(*response, Read(wanted.name()));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ProxmoxService::DeleteStorage(grpc::CallbackServerContext* context,
                                                        const v1::DeleteStorageRequest* request,
                                                        v1::Storage* response) {
  return typed_.Change(context, "DeleteStorage", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(*response, Read(request->name()));
    PHX_RETURN_IF_ERROR(kit::CheckEtag(request->etag(), response->etag(), request->name()));
    PHX_ASSIGN_OR_RETURN(const std::string id, ParseStorageName(request->name()));
    StorageSpec storage{
        .id = id, .type = response->type(), .content = {}, .options = {}, .absent = true, .origin = "name"};
    return typed_.Apply(PartialSpec(storage), *request).status();
  });
}

}  // namespace phoenix::proxmox
