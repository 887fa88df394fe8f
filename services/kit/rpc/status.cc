#include "services/kit/rpc/status.h"

#include "base/status/errors.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace phoenix::kit {

grpc::Status ToGrpc(const absl::Status& status, const std::string& domain) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status wire;
  wire.set_code(static_cast<int>(status.code()));
  wire.set_message(Message(status));
  google::rpc::ErrorInfo info;
  info.set_domain(domain);
  if (const auto reason = ReasonOf(status)) {
    info.set_reason(reason->reason);
    for (const auto& [key, value] : reason->metadata) (*info.mutable_metadata())[key] = value;
  } else {
    info.set_reason(absl::StatusCodeToString(status.code()));
  }
  wire.add_details()->PackFrom(info);
  if (const auto violations = ViolationsOf(status); !violations.empty()) {
    google::rpc::BadRequest bad;
    for (const auto& violation : violations) {
      auto* field = bad.add_field_violations();
      field->set_field(violation.field);
      field->set_description(violation.description);
    }
    wire.add_details()->PackFrom(bad);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), Message(status),
                      wire.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status wire;
  if (!wire.ParseFromString(status.error_details())) return result;
  for (const auto& detail : wire.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    if (detail.UnpackTo(&info)) {
      ErrorReason reason{info.reason(), {}};
      for (const auto& [key, value] : info.metadata()) reason.metadata[key] = value;
      result = WithReason(result, reason);
    } else if (detail.UnpackTo(&bad)) {
      std::vector<FieldViolation> violations;
      for (const auto& field : bad.field_violations())
        violations.push_back({field.field(), field.description()});
      result = WithViolations(result, violations);
    }
  }
  return result;
}

}  // namespace phoenix::kit
