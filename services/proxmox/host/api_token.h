// The token that the node's own API knows us by, as a file that root alone can read.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/host/files.h"
#include "base/secret.h"

namespace phoenix::proxmox {

inline constexpr char kTokenPath[] = "/etc/phoenix/pve-token";

// The reason of errors about the token: a file that cannot be used, or a token that the API does not accept.
inline constexpr char kNodeApiToken[] = "NODE_API_TOKEN";

struct ApiToken {
  std::string id;  // "root@pam!phoenix": no secret
  Secret value;    // the whole token: id, '=', UUID
};

// nullopt where there is no such file. FAILED_PRECONDITION, saying what to do, where it belongs to somebody
// else than `owner`, where others can read it, and where it holds no token; its content is never quoted.
absl::StatusOr<std::optional<ApiToken>> ReadToken(const Files& files, const std::string& path,
                                                  uint32_t owner);

}  // namespace phoenix::proxmox
