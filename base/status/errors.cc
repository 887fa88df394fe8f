#include "base/status/errors.h"

#include <absl/strings/cord.h>

#include <cerrno>
#include <cstring>

namespace phoenix {
namespace {

constexpr char kReasonUrl[] = "phoenix/reason";
constexpr char kViolationsUrl[] = "phoenix/violations";
// Unit separator: never part of a text that people read.
constexpr char kSeparator = '\x1f';

std::vector<std::string> SplitFields(const std::string& text) {
  std::vector<std::string> fields;
  std::string::size_type start = 0;
  while (true) {
    const auto end = text.find(kSeparator, start);
    fields.push_back(text.substr(start, end - start));
    if (end == std::string::npos) return fields;
    start = end + 1;
  }
}

}  // namespace

absl::Status WithReason(absl::Status status, ErrorReason reason) {
  std::string text = reason.reason;
  for (const auto& [key, value] : reason.metadata) {
    for (const std::string* part : {&key, &value}) (text += kSeparator) += *part;
  }
  status.SetPayload(kReasonUrl, absl::Cord(text));
  return status;
}

absl::Status WithViolations(absl::Status status, const std::vector<FieldViolation>& violations) {
  std::string text;
  for (const auto& violation : violations) {
    if (!text.empty()) text += kSeparator;
    text += violation.field + kSeparator + violation.description;
  }
  status.SetPayload(kViolationsUrl, absl::Cord(text));
  return status;
}

std::optional<ErrorReason> ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kReasonUrl);
  if (!payload) return std::nullopt;
  const auto fields = SplitFields(std::string(*payload));
  ErrorReason reason{fields[0], {}};
  for (size_t i = 1; i + 1 < fields.size(); i += 2) reason.metadata[fields[i]] = fields[i + 1];
  return reason;
}

std::vector<FieldViolation> ViolationsOf(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  const auto payload = status.GetPayload(kViolationsUrl);
  if (!payload) return violations;
  const auto fields = SplitFields(std::string(*payload));
  for (size_t i = 0; i + 1 < fields.size(); i += 2) violations.push_back({fields[i], fields[i + 1]});
  return violations;
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), fmt::format("{}: {}", context, Message(status)));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { annotated.SetPayload(url, payload); });
  return annotated;
}

absl::Status ErrnoStatus(int error, std::string_view what) {
  absl::StatusCode code = absl::StatusCode::kInternal;
  switch (error) {
    case ENOENT:
      code = absl::StatusCode::kNotFound;
      break;
    case EEXIST:
      code = absl::StatusCode::kAlreadyExists;
      break;
    case EACCES:
    case EPERM:
      code = absl::StatusCode::kPermissionDenied;
      break;
    case ENOSPC:
    case EDQUOT:
      code = absl::StatusCode::kResourceExhausted;
      break;
    case EAGAIN:
    case ECONNREFUSED:
      code = absl::StatusCode::kUnavailable;
      break;
    default:
      break;
  }
  return absl::Status(code, fmt::format("{}: {}", what, std::strerror(error)));
}

}  // namespace phoenix
