#include "services/samba/api/samba_service.h"

#include "services/kit/plan/keys.h"
#include "services/samba/api/samba_convert.h"

namespace phoenix::samba {
namespace {

using kit::Caller;

v1::SambaSpec Partial(const ShareSpec& share) {
  SambaSpec spec;
  spec.shares = {share};
  spec.partial = true;
  return ToProto(spec);
}

v1::SambaSpec Partial(const UserSpec& user) {
  SambaSpec spec;
  spec.users = {user};
  spec.partial = true;
  return ToProto(spec);
}

}  // namespace

absl::StatusOr<std::vector<v1::Share>> SambaService::ReadShares() {
  PHX_ASSIGN_OR_RETURN(const std::string version, host_.Version());
  if (version.empty()) return std::vector<v1::Share>();
  PHX_ASSIGN_OR_RETURN(const CheckedConfig config, host_.ReadConfig());
  PHX_ASSIGN_OR_RETURN(const auto text, files_.Read(SambaPaths{}.own_file));
  OwnFile own;
  if (text) {
    PHX_ASSIGN_OR_RETURN(own, ParseOwnFile(text->content));
  }
  std::vector<v1::Share> shares;
  for (const auto& [key, section] : config.dump.shares) {
    shares.push_back(ToProto(section, own.Find(section.name) != nullptr));
  }
  return shares;
}

absl::StatusOr<v1::Share> SambaService::ReadShare(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const std::string wanted, ParseShareName(name));
  PHX_ASSIGN_OR_RETURN(const auto shares, ReadShares());
  for (const auto& share : shares) {
    if (ShareKey(share.name()) == ShareKey("shares/" + wanted)) return share;
  }
  return NotFound("there is no share '{}'", wanted);
}

grpc::ServerUnaryReactor* SambaService::ListShares(grpc::CallbackServerContext* context,
                                                   const v1::ListSharesRequest* request,
                                                   v1::ListSharesResponse* response) {
  return typed_.Read(context, "ListShares", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto shares, ReadShares());
    return kit::FillPage(*request, *response, shares,
                         [&](const v1::Share& share) { *response->add_shares() = share; });
  });
}

grpc::ServerUnaryReactor* SambaService::GetShare(grpc::CallbackServerContext* context,
                                                 const v1::GetShareRequest* request, v1::Share* response) {
  return typed_.Read(context, "GetShare", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(*response, ReadShare(request->name()));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* SambaService::CreateShare(grpc::CallbackServerContext* context,
                                                    const v1::CreateShareRequest* request,
                                                    v1::Share* response) {
  return typed_.Change(context, "CreateShare", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const ShareSpec share, ToShareSpec(request->share()));
    PHX_RETURN_IF_ERROR(typed_.RefuseExisting(*request, ReadShare(request->share().name()).status(),
                                              fmt::format("share '{}'", share.name)));
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(share), *request).status());
    *response = request->share();
    if (request->validate_only()) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(*response, ReadShare(request->share().name()));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* SambaService::UpdateShare(grpc::CallbackServerContext* context,
                                                    const v1::UpdateShareRequest* request,
                                                    v1::Share* response) {
  return typed_.Change(context, "UpdateShare", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(v1::Share wanted, ReadShare(request->share().name()));
    PHX_RETURN_IF_ERROR(kit::CheckEtag(request->share().etag(), wanted.etag(), wanted.name()));
    PHX_RETURN_IF_ERROR(MergeShare(request->share(), request->update_mask(), wanted));
    PHX_ASSIGN_OR_RETURN(const ShareSpec share, ToShareSpec(wanted));
    PHX_RETURN_IF_ERROR(typed_.Apply(Partial(share), *request).status());
    *response = wanted;
    if (request->validate_only()) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(*response, ReadShare(wanted.name()));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* SambaService::DeleteShare(grpc::CallbackServerContext* context,
                                                    const v1::DeleteShareRequest* request,
                                                    v1::Share* response) {
  return typed_.Change(context, "DeleteShare", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(*response, ReadShare(request->name()));
    PHX_RETURN_IF_ERROR(kit::CheckEtag(request->etag(), response->etag(), request->name()));
    PHX_ASSIGN_OR_RETURN(ShareSpec gone, ToShareSpec(*response));
    gone.absent = true;
    return typed_.Apply(Partial(gone), *request).status();
  });
}

absl::StatusOr<std::vector<v1::User>> SambaService::ReadUsers() {
  PHX_ASSIGN_OR_RETURN(const auto entries, host_.ReadPassdb());
  PHX_ASSIGN_OR_RETURN(const kit::Ledger ledger, typed_.ReadLedger());
  std::vector<v1::User> users;
  for (const auto& [name, entry] : entries) {
    v1::User user;
    user.set_name("users/" + name);
    user.set_password_set_seconds(entry.last_set);
    user.set_managed(kit::IsCreated(ledger, kit::Key("passdb", name)));
    PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(name));
    if (account) user.set_uid(account->uid);
    users.push_back(std::move(user));
  }
  return users;
}

absl::StatusOr<v1::User> SambaService::ReadUser(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const std::string wanted, ParseUserName(name));
  PHX_ASSIGN_OR_RETURN(const auto users, ReadUsers());
  for (const auto& user : users) {
    if (user.name() == name) return user;
  }
  return NotFound("there is no Samba user '{}'", wanted);
}

grpc::ServerUnaryReactor* SambaService::ListUsers(grpc::CallbackServerContext* context,
                                                  const v1::ListUsersRequest* request,
                                                  v1::ListUsersResponse* response) {
  return typed_.Read(context, "ListUsers", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto users, ReadUsers());
    return kit::FillPage(*request, *response, users,
                         [&](const v1::User& user) { *response->add_users() = user; });
  });
}

grpc::ServerUnaryReactor* SambaService::GetUser(grpc::CallbackServerContext* context,
                                                const v1::GetUserRequest* request, v1::User* response) {
  return typed_.Read(context, "GetUser", [=, this](const Caller&) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(*response, ReadUser(request->name()));
    return absl::OkStatus();
  });
}

template <class Request>
absl::Status SambaService::PutUser(const Request& request, v1::User& response) {
  PHX_ASSIGN_OR_RETURN(const std::string name, ParseUserName(request.user().name()));
  if (request.user().password().empty()) {
    return WithViolations(InvalidArgument("user '{}' needs a password", name),
                          {{"user.password", "must not be empty"}});
  }
  const UserSpec user{.name = name, .password_secret = "password", .absent = false, .origin = "user"};
  Secrets secrets;
  secrets.emplace("password", Secret(request.user().password()));
  PHX_RETURN_IF_ERROR(typed_.Apply(Partial(user), request, std::move(secrets)).status());
  response.set_name(request.user().name());
  if (request.validate_only()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(response, ReadUser(request.user().name()));
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* SambaService::CreateUser(grpc::CallbackServerContext* context,
                                                   const v1::CreateUserRequest* request, v1::User* response) {
  return typed_.Change(context, "CreateUser", request, response, [=, this]() -> absl::Status {
    PHX_RETURN_IF_ERROR(typed_.RefuseExisting(*request, ReadUser(request->user().name()).status(),
                                              fmt::format("Samba user '{}'", request->user().name())));
    return PutUser(*request, *response);
  });
}

grpc::ServerUnaryReactor* SambaService::UpdateUser(grpc::CallbackServerContext* context,
                                                   const v1::UpdateUserRequest* request, v1::User* response) {
  return typed_.Change(context, "UpdateUser", request, response, [=, this]() -> absl::Status {
    PHX_RETURN_IF_ERROR(ReadUser(request->user().name()).status());
    for (const std::string& path : request->update_mask().paths()) {
      if (path == "password") continue;
      return WithViolations(InvalidArgument("'{}' cannot be updated", path),
                            {{"update_mask", "may name password"}});
    }
    return PutUser(*request, *response);
  });
}

grpc::ServerUnaryReactor* SambaService::DeleteUser(grpc::CallbackServerContext* context,
                                                   const v1::DeleteUserRequest* request, v1::User* response) {
  return typed_.Change(context, "DeleteUser", request, response, [=, this]() -> absl::Status {
    PHX_ASSIGN_OR_RETURN(*response, ReadUser(request->name()));
    PHX_ASSIGN_OR_RETURN(const std::string name, ParseUserName(request->name()));
    const UserSpec gone{.name = name, .password_secret = "", .absent = true, .origin = "name"};
    return typed_.Apply(Partial(gone), *request).status();
  });
}

}  // namespace phoenix::samba
