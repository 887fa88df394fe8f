// Sizes as ZFS reads them.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace phoenix::config {

// The bytes `zfs set` makes of `text`: digits with an optional fraction and an optional suffix B, or one of K
// M G T P E Z alone or followed by B or iB, in either case, all powers of 1024. Whole numbers are exact; a
// fraction is computed in double and cut, as ZFS does ("1.4T" is 1539316278886). INVALID_ARGUMENT says what
// is wrong.
absl::StatusOr<std::uint64_t> ParseZfsSize(std::string_view text);

}  // namespace phoenix::config
