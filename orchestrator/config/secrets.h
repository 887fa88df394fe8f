// Passwords from the secrets file. Whether the file's mode is safe is the command line's question.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/config/finding.h"

namespace phoenix::config {

// A value that shows itself only where somebody asks for it by name. Its bytes are wiped when it goes.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view value) : bytes_(value.begin(), value.end()) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other);
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { Wipe(); }

  // Valid as long as this lives. Never into a message, a log or a spec.
  std::string_view Reveal() const { return {bytes_.data(), bytes_.size()}; }

  friend bool operator==(const Secret&, const Secret&) = default;
  // Prints "<secret>".
  friend std::ostream& operator<<(std::ostream& out, const Secret& secret);

 private:
  void Wipe();

  std::vector<char> bytes_;  // on the heap even when short, so that a move leaves no copy behind
};

// By name ("samba/users/heads").
using Secrets = std::map<std::string, Secret>;

struct SecretsResult {
  Secrets secrets;
  Findings findings;  // never holds a value

  bool ok() const { return findings.errors.empty(); }
};

// Reads {"samba": {"users": {"heads": "…"}}}, or flat {"samba/users/heads": "…"}, or short {"samba/heads":
// "…"}; all name the same secret, and giving it twice is an error. Values are non-empty single lines without
// control characters.
SecretsResult LoadSecrets(std::string_view json_text);

}  // namespace phoenix::config
