// Requests to the node's own API and what its answers mean, as values. Pure.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "services/proxmox/host/proxmox_host.h"

namespace phoenix::proxmox {

struct ApiRequest {
  std::string method;  // POST, PUT, DELETE or GET
  std::string path;    // below /api2/json, encoded
  Secret body;         // form-encoded; empty for none. It may hold a password.
};

struct ApiAnswer {
  int code = 0;
  std::string reason;  // of the status line: where the API has only a line to say, it stands there
  std::string body;
};

ApiRequest AddRequest(const NewStorage& storage);
ApiRequest SetRequest(const StorageChange& change);
ApiRequest RemoveRequest(const std::string& id);
// Changes nothing, and is answered to whoever has a valid token, with what the token may do.
ApiRequest PermissionsRequest();
// Whether the answer to that says that storages may be changed.
absl::Status CheckPermissions(const ApiAnswer& answer);

// "POST /storage", for people.
std::string ToText(const ApiRequest& request);

// OK for a success; otherwise the error, with the same codes and reasons as ExplainFailure() gives where
// pvesm says the same, and with one violation for each parameter that the API refuses.
absl::Status Explain(const ApiRequest& request, const ApiAnswer& answer);

}  // namespace phoenix::proxmox
