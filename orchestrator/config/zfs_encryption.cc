#include "orchestrator/config/zfs_encryption.h"

#include <algorithm>
#include <string>
#include <vector>

#include "orchestrator/config/secrets.h"

namespace phoenix::config {
namespace {

void ReadChoice(const Cursor& cursor, const std::vector<std::string>& choices, std::string& value) {
  const auto text = cursor.String();
  if (!text.has_value()) return;
  if (std::find(choices.begin(), choices.end(), *text) == choices.end()) {
    cursor.Error("invalid-encryption", "ZFS knows no such value", OneOf(choices));
    return;
  }
  value = *text;
}

}  // namespace

std::optional<Encryption> ReadEncryption(const Cursor& encryption) {
  if (!encryption.present() || !encryption.RequireObject()) return std::nullopt;
  encryption.ExpectKeys({"key", "format", "algorithm"});
  Encryption read;
  read.origin = encryption.origin();
  ReadChoice(encryption.Key("format"), {"passphrase", "hex", "raw"}, read.format);
  ReadChoice(encryption.Key("algorithm"),
             {"aes-256-gcm", "aes-192-gcm", "aes-128-gcm", "aes-256-ccm", "aes-192-ccm", "aes-128-ccm"},
             read.algorithm);
  constexpr const char* kReference =
      "{\"secret\": \"NAME\"}, and the key under that name in the secrets file";
  const Cursor key = encryption.Key("key");
  if (!key.present()) {
    key.Error("missing", "this encryption has no key", kReference);
    return std::nullopt;
  }
  // Not shown: it may be the key itself.
  if (!key.is_object()) {
    key.findings().Error("wrong-type", key.origin(), "a key never stands in this file", {}, kReference);
    return std::nullopt;
  }
  key.ExpectKeys({"secret"});
  const Cursor secret = key.Key("secret");
  if (!secret.present()) {
    secret.Error("missing", "this key names no secret", "a name in the secrets file, like zfs/secure");
    return std::nullopt;
  }
  const auto name = secret.String();
  if (!name.has_value()) return std::nullopt;
  if (!IsSecretName(*name)) {
    secret.Error("invalid-name", "this is no name of a secret",
                 "letters, digits and _.$-, parted by /, like zfs/secure");
    return std::nullopt;
  }
  read.secret = FullSecretName(*name);
  return read;
}

}  // namespace phoenix::config
