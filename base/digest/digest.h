// Digests, random identifiers and the like, over OpenSSL.
#pragma once

#include <string>
#include <string_view>

namespace phoenix {

// Lower-case hex, 64 characters.
std::string Sha256Hex(std::string_view data);
// HMAC-SHA256 as lower-case hex.
std::string HmacSha256Hex(std::string_view key, std::string_view data);
// A random UUID (version 4), lower case with dashes.
std::string RandomUuid();
// `bytes` random bytes.
std::string RandomBytes(int bytes);
std::string ToHex(std::string_view bytes);

}  // namespace phoenix
