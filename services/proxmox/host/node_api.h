// The node's own API as the host sees it: pvedaemon, which does what pvesm does without Perl's start-up.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>

#include "services/proxmox/host/api_request.h"
#include "services/proxmox/host/api_token.h"

namespace phoenix::proxmox {

// The reason of an error after which nobody knows whether the request was done.
inline constexpr char kNodeApiNoAnswer[] = "NODE_API_NO_ANSWER";

// Thread-safe; requests go one at a time.
class NodeApi {
 public:
  virtual ~NodeApi() = default;
  // Read anew each time: a token that is made or taken away counts from the next change on. nullopt where
  // there is none.
  virtual absl::StatusOr<std::optional<ApiToken>> Token() = 0;
  // Waits for the answer, whatever it says. nullopt where nobody listens: nothing was sent. UNAVAILABLE with
  // kNodeApiNoAnswer, and DEADLINE_EXCEEDED: the request may have been done, or be done still.
  virtual absl::StatusOr<std::optional<ApiAnswer>> Send(const ApiRequest& request, const ApiToken& token) = 0;
  // OK once no request whose end this daemon, or an earlier life of it, did not see is being worked on any
  // more: what is read from then on is final. UNAVAILABLE where one still is after some minutes.
  virtual absl::Status Settle() = 0;
};

}  // namespace phoenix::proxmox
