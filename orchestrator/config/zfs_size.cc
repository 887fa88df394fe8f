#include "orchestrator/config/zfs_size.h"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace phoenix::config {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The power of two that a suffix stands for.
std::optional<int> ShiftOf(std::string_view suffix) {
  constexpr std::string_view kUnits = "BKMGTPEZ";
  if (suffix.empty()) return 0;
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
  const std::size_t unit = kUnits.find(upper(suffix[0]));
  if (unit == std::string_view::npos) return std::nullopt;
  std::string rest;
  for (const char c : suffix.substr(1)) rest += upper(c);
  if (rest.empty() || (unit > 0 && (rest == "B" || rest == "IB"))) return static_cast<int>(unit) * 10;
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::uint64_t> ParseZfsSize(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && IsDigit(text[digits])) ++digits;
  std::size_t end = digits;
  const bool fraction = end < text.size() && text[end] == '.';
  if (fraction) {
    ++end;
    while (end < text.size() && IsDigit(text[end])) ++end;
  }
  if (end == 0 || (fraction && end == 1))
    return absl::InvalidArgumentError("it does not start with a number");
  const std::optional<int> shift = ShiftOf(text.substr(end));
  if (!shift.has_value()) return absl::InvalidArgumentError("its unit is none of B, K, M, G, T, P, E, Z");

  const std::string number(text.substr(0, end));
  std::uint64_t whole = 0;
  const bool fits =
      digits == 0 || std::from_chars(number.data(), number.data() + digits, whole).ec == std::errc();
  if (!fits) return absl::InvalidArgumentError("it is larger than 2^64 bytes");
  if (!fraction) {
    if (*shift >= 64 || (whole << *shift) >> *shift != whole) {
      return absl::InvalidArgumentError("it is larger than 2^64 bytes");
    }
    return whole << *shift;
  }
  double value = 0;
  std::from_chars(number.data(), number.data() + number.size(), value);
  value = std::ldexp(value, *shift);
  if (!(value < 18446744073709551616.0)) return absl::InvalidArgumentError("it is larger than 2^64 bytes");
  return static_cast<std::uint64_t>(value);
}

}  // namespace phoenix::config
