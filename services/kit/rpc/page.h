// Pages of a list that fits in memory: the token is the position of the next element.
#pragma once

#include <absl/status/statusor.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/status/errors.h"

namespace phoenix::kit {

struct Page {
  size_t begin = 0;
  size_t end = 0;
  std::string next_token;
};

inline absl::StatusOr<Page> PageOf(size_t size, int page_size, const std::string& token, int default_size) {
  if (page_size < 0) return InvalidArgument("page_size must not be negative");
  const size_t count = static_cast<size_t>(page_size == 0 ? default_size : std::min(page_size, 1000));
  Page page;
  if (!token.empty()) {
    const auto parsed = std::from_chars(token.data(), token.data() + token.size(), page.begin);
    if (parsed.ec != std::errc() || parsed.ptr != token.data() + token.size() || page.begin > size) {
      return InvalidArgument("page_token '{}' is not one of ours", token);
    }
  }
  page.end = std::min(size, page.begin + count);
  if (page.end < size) page.next_token = std::to_string(page.end);
  return page;
}

}  // namespace phoenix::kit
