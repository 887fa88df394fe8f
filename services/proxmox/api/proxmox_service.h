// phoenix.proxmox.v1.ProxmoxService: name, convert, ask, convert.
#pragma once

#include "phoenix/proxmox/v1/proxmox.grpc.pb.h"
#include "services/kit/rpc/typed.h"
#include "services/proxmox/host/proxmox_host.h"

namespace phoenix::proxmox {

class ProxmoxService final : public v1::ProxmoxService::CallbackService {
 public:
  // All must outlive this object.
  ProxmoxService(ProxmoxHost& host, kit::TypedGround ground)
      : host_(host), typed_(ground, v1::ProxmoxService::service_full_name()) {}

  grpc::ServerUnaryReactor* ListStorages(grpc::CallbackServerContext* context,
                                         const v1::ListStoragesRequest* request,
                                         v1::ListStoragesResponse* response) override;
  grpc::ServerUnaryReactor* GetStorage(grpc::CallbackServerContext* context,
                                       const v1::GetStorageRequest* request, v1::Storage* response) override;
  grpc::ServerUnaryReactor* CreateStorage(grpc::CallbackServerContext* context,
                                          const v1::CreateStorageRequest* request,
                                          v1::Storage* response) override;
  grpc::ServerUnaryReactor* UpdateStorage(grpc::CallbackServerContext* context,
                                          const v1::UpdateStorageRequest* request,
                                          v1::Storage* response) override;
  grpc::ServerUnaryReactor* DeleteStorage(grpc::CallbackServerContext* context,
                                          const v1::DeleteStorageRequest* request,
                                          v1::Storage* response) override;

 private:
  absl::StatusOr<v1::Storage> Read(const std::string& name);

  ProxmoxHost& host_;
  kit::TypedService typed_;
};

}  // namespace phoenix::proxmox
