// phoenix.nfs.v1.NfsService: name, convert, ask, convert.
#pragma once

#include <string>

#include "phoenix/nfs/v1/nfs.grpc.pb.h"
#include "services/kit/rpc/typed.h"
#include "services/nfs/host/nfs_host.h"

namespace phoenix::nfs {

class NfsService final : public v1::NfsService::CallbackService {
 public:
  // All must outlive this object.
  NfsService(NfsHost& host, kit::TypedGround ground)
      : host_(host), typed_(ground, v1::NfsService::service_full_name()) {}

  grpc::ServerUnaryReactor* ListExports(grpc::CallbackServerContext* context,
                                        const v1::ListExportsRequest* request,
                                        v1::ListExportsResponse* response) override;
  grpc::ServerUnaryReactor* GetExport(grpc::CallbackServerContext* context,
                                      const v1::GetExportRequest* request, v1::Export* response) override;
  grpc::ServerUnaryReactor* CreateExport(grpc::CallbackServerContext* context,
                                         const v1::CreateExportRequest* request,
                                         v1::Export* response) override;
  grpc::ServerUnaryReactor* UpdateExport(grpc::CallbackServerContext* context,
                                         const v1::UpdateExportRequest* request,
                                         v1::Export* response) override;
  grpc::ServerUnaryReactor* DeleteExport(grpc::CallbackServerContext* context,
                                         const v1::DeleteExportRequest* request,
                                         v1::Export* response) override;

 private:
  absl::StatusOr<std::vector<v1::Export>> ReadAll();
  // Ours before those of others of the same path.
  absl::StatusOr<v1::Export> Read(const std::string& name);
  absl::StatusOr<v1::Export> Find(const std::string& path);

  NfsHost& host_;
  kit::TypedService typed_;
};

}  // namespace phoenix::nfs
