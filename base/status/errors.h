// Named makers of absl::Status with formatted text, and the payloads that travel to clients as google.rpc
// details.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix {

// A stable reason for programs: becomes google.rpc.ErrorInfo. `metadata` holds the values that the text
// speaks of.
struct ErrorReason {
  std::string reason;  // UPPER_SNAKE_CASE
  std::map<std::string, std::string> metadata;
};

// One wrong field: becomes google.rpc.BadRequest.FieldViolation.
struct FieldViolation {
  std::string field;
  std::string description;
};

// Attach and read the payloads. A second reason replaces the first.
absl::Status WithReason(absl::Status status, ErrorReason reason);
absl::Status WithViolations(absl::Status status, const std::vector<FieldViolation>& violations);
std::optional<ErrorReason> ReasonOf(const absl::Status& status);
std::vector<FieldViolation> ViolationsOf(const absl::Status& status);

// The message as std::string, since Debian's absl::string_view is a type of its own.
inline std::string Message(const absl::Status& status) { return std::string(status.message()); }

// The same error with "context: " before its text; payloads are kept.
absl::Status Annotate(const absl::Status& status, std::string_view context);

// errno as a status, with `what` before strerror's text.
absl::Status ErrnoStatus(int error, std::string_view what);

#define PHX_DEFINE_ERROR(Name, Code)                                             \
  template <class... Args>                                                       \
  absl::Status Name(fmt::format_string<Args...> format, Args&&... args) {        \
    return absl::Status(Code, fmt::format(format, std::forward<Args>(args)...)); \
  }
PHX_DEFINE_ERROR(InvalidArgument, absl::StatusCode::kInvalidArgument)
PHX_DEFINE_ERROR(NotFound, absl::StatusCode::kNotFound)
PHX_DEFINE_ERROR(AlreadyExists, absl::StatusCode::kAlreadyExists)
PHX_DEFINE_ERROR(FailedPrecondition, absl::StatusCode::kFailedPrecondition)
PHX_DEFINE_ERROR(Aborted, absl::StatusCode::kAborted)
PHX_DEFINE_ERROR(PermissionDenied, absl::StatusCode::kPermissionDenied)
PHX_DEFINE_ERROR(ResourceExhausted, absl::StatusCode::kResourceExhausted)
PHX_DEFINE_ERROR(Unavailable, absl::StatusCode::kUnavailable)
PHX_DEFINE_ERROR(Unimplemented, absl::StatusCode::kUnimplemented)
PHX_DEFINE_ERROR(DeadlineExceeded, absl::StatusCode::kDeadlineExceeded)
PHX_DEFINE_ERROR(Internal, absl::StatusCode::kInternal)
PHX_DEFINE_ERROR(DataLoss, absl::StatusCode::kDataLoss)
#undef PHX_DEFINE_ERROR

}  // namespace phoenix
