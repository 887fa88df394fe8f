// IsOk and friends, named as in newer Abseil, which Debian's releases do not have yet.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gmock/gmock.h>

#include <string>

namespace phoenix::testing {

inline absl::Status StatusOf(const absl::Status& status) { return status; }
template <class T>
absl::Status StatusOf(const absl::StatusOr<T>& value) {
  return value.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

MATCHER_P2(StatusIs, code, message, "") {
  *result_listener << StatusOf(arg).ToString();
  return ::testing::ExplainMatchResult(code, StatusOf(arg).code(), result_listener) &&
         ::testing::ExplainMatchResult(message, std::string(StatusOf(arg).message()), result_listener);
}

}  // namespace phoenix::testing

#define PHX_ASSERT_OK(expression) ASSERT_THAT(expression, ::phoenix::testing::IsOk())
#define PHX_EXPECT_OK(expression) EXPECT_THAT(expression, ::phoenix::testing::IsOk())
