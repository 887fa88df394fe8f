#include "services/kit/rpc/access.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/security/auth_context.h>

#include "base/status/errors.h"
#include "phoenix/access/v1/access.pb.h"

namespace phoenix::kit {

Caller CallerOf(const grpc::ServerContextBase& context) {
  Caller caller;
  const auto auth = context.auth_context();
  if (auth && auth->IsPeerAuthenticated()) {
    caller.authenticated = true;
    for (const auto& part : auth->GetPeerIdentity()) {
      caller.identity = std::string(part.data(), part.size());
    }
    return caller;
  }
  // Without TLS there is only the unix socket, whose connections are handed to gRPC as descriptors after the
  // peer's credentials were checked.
  if (context.peer().rfind("fd:", 0) == 0) caller = {"local", true, true};
  return caller;
}

absl::Status Authorize(const Caller& caller, const std::string& method) {
  const auto* descriptor = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(method);
  if (descriptor == nullptr) return Internal("method {} has no descriptor", method);
  const auto role = descriptor->options().GetExtension(access::v1::role);
  if (role == access::v1::ROLE_UNSPECIFIED)
    return PermissionDenied("{} states no role and is refused to everybody", method);
  if (!caller.authenticated) return PermissionDenied("{} needs an authenticated caller", method);
  // Both roads lead to every role for now: root, the daemons' user and `phoenix` locally, any client
  // certificate of our CA on TCP (node certificates cannot be clients).
  return absl::OkStatus();
}

}  // namespace phoenix::kit
