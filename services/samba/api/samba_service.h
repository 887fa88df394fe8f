// phoenix.samba.v1.SambaService: name, convert, ask, convert.
#pragma once

#include <string>

#include "phoenix/samba/v1/samba.grpc.pb.h"
#include "services/kit/rpc/typed.h"
#include "services/samba/domain/samba_planner.h"
#include "services/samba/host/samba_host.h"

namespace phoenix::samba {

class SambaService final : public v1::SambaService::CallbackService {
 public:
  // All must outlive this object.
  SambaService(SambaHost& host, Files& files, kit::TypedGround ground)
      : host_(host), files_(files), typed_(ground, v1::SambaService::service_full_name()) {}

#define PHX_SAMBA_RPC(Name, Request, Response)                                                     \
  grpc::ServerUnaryReactor* Name(grpc::CallbackServerContext* context, const v1::Request* request, \
                                 v1::Response* response) override
  PHX_SAMBA_RPC(ListShares, ListSharesRequest, ListSharesResponse);
  PHX_SAMBA_RPC(GetShare, GetShareRequest, Share);
  PHX_SAMBA_RPC(CreateShare, CreateShareRequest, Share);
  PHX_SAMBA_RPC(UpdateShare, UpdateShareRequest, Share);
  PHX_SAMBA_RPC(DeleteShare, DeleteShareRequest, Share);
  PHX_SAMBA_RPC(ListUsers, ListUsersRequest, ListUsersResponse);
  PHX_SAMBA_RPC(GetUser, GetUserRequest, User);
  PHX_SAMBA_RPC(CreateUser, CreateUserRequest, User);
  PHX_SAMBA_RPC(UpdateUser, UpdateUserRequest, User);
  PHX_SAMBA_RPC(DeleteUser, DeleteUserRequest, User);
#undef PHX_SAMBA_RPC

 private:
  absl::StatusOr<std::vector<v1::Share>> ReadShares();
  absl::StatusOr<v1::Share> ReadShare(const std::string& name);
  absl::StatusOr<std::vector<v1::User>> ReadUsers();
  absl::StatusOr<v1::User> ReadUser(const std::string& name);
  // Creates the user, or sets its password.
  template <class Request>
  absl::Status PutUser(const Request& request, v1::User& response);

  SambaHost& host_;
  Files& files_;
  kit::TypedService typed_;
};

}  // namespace phoenix::samba
