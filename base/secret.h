// A value that cannot be printed, compared by accident or left in memory: no operator<<, no formatter, zeroed
// at the end.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace phoenix {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret() {
    volatile char* bytes = value_.data();
    for (size_t i = 0; i < value_.size(); ++i) bytes[i] = 0;
  }
  // The value, for the one place that hands it to a tool's standard input or to a digest.
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  std::string value_;
};

// By name, for example "samba/users/heads".
using Secrets = std::map<std::string, Secret, std::less<>>;

}  // namespace phoenix
