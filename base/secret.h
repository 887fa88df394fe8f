// A value that cannot be printed, compared by accident or left in memory: no operator<<, no formatter, no
// conversion; its bytes are wiped when it goes and from whatever it is moved or taken from.
#pragma once

#include <map>
#include <string>
#include <utility>

namespace phoenix {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) { Wipe(value); }
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { Wipe(other.value_); }
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { Wipe(value_); }
  // The value, for the one place that hands it to a tool's standard input or to a digest. Valid as long as
  // this lives and is not assigned to.
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  // Overwrites all that `text` holds room for and empties it.
  static void Wipe(std::string& text) noexcept;

  std::string value_;
};

// By name, for example "samba/users/heads".
using Secrets = std::map<std::string, Secret, std::less<>>;

}  // namespace phoenix
