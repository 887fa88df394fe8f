// Who calls, and whether they may: the one place that checks roles.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/server_context.h>

#include <string>

namespace phoenix::kit {

struct Caller {
  // "local", or the certificate's subject.
  std::string identity;
  // Came over a unix socket, whose acceptor has checked the peer's uid.
  bool local = false;
  bool authenticated = false;
};

Caller CallerOf(const grpc::ServerContextBase& context);

// Checks the role that `method` ("phoenix.zfs.v1.ZfsService.ListPools") states in its option. Default deny: a
// method that states none is refused to everybody.
absl::Status Authorize(const Caller& caller, const std::string& method);

}  // namespace phoenix::kit
