// Errors on the wire: canonical code, text, and google.rpc details (ErrorInfo, BadRequest), both ways.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

#include <string>

namespace phoenix::kit {

// `domain` names who defines the reason, for example "zfs.phoenix".
grpc::Status ToGrpc(const absl::Status& status, const std::string& domain);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace phoenix::kit
