// Secrets from the secrets file. Whether the file's mode is safe is the command line's question.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "orchestrator/config/finding.h"

namespace phoenix::config {

struct SecretsResult {
  Secrets secrets;
  Findings findings;  // never holds a value

  bool ok() const { return findings.errors.empty(); }
};

// Letters, digits and _.$- in parts, parted by /.
bool IsSecretName(std::string_view name);
// "samba/heads" is short for "samba/users/heads"; user names hold no slash. Any other name is its own.
std::string FullSecretName(const std::string& name);

// Reads {"samba": {"users": {"heads": "…"}}}, or flat {"samba/users/heads": "…"}, or short {"samba/heads":
// "…"}; all name the same secret, and giving it twice is an error. Values are non-empty single lines without
// control characters. "$schema" at the top is for editors, and no secret.
SecretsResult LoadSecrets(std::string_view json_text);

}  // namespace phoenix::config
