#include "services/kit/rpc/typed.h"

#include <gtest/gtest.h>

#include "phoenix/participant/v1/participant.pb.h"

namespace phoenix::kit {
namespace {

std::string FieldOf(const google::protobuf::Message& request, const std::string& field) {
  const absl::Status status =
      InRequest(WithViolations(InvalidArgument("it is wrong"), {{field, "why"}}), request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ViolationsOf(status)[0].description, "why");
  return ViolationsOf(status)[0].field;
}

TEST(InRequest, EveryFieldIsOneThatTheCallerSent) {
  // The object is `spec`, with `type` and `content`.
  const participant::v1::PlanRequest create;
  EXPECT_EQ(FieldOf(create, "spec"), "spec");
  EXPECT_EQ(FieldOf(create, "spec.type"), "spec.type");
  EXPECT_EQ(FieldOf(create, "spec.content[0].path"), "spec.content[0].path");
  EXPECT_EQ(FieldOf(create, "spec.type.create mask"), "spec.type.create mask");
  EXPECT_EQ(FieldOf(create, "removed_keys"), "removed_keys");
  EXPECT_EQ(FieldOf(create, "type"), "spec.type") << "resource names are parsed without their place";
  EXPECT_EQ(FieldOf(create, "spec.id"), "spec") << "a field of the domain's spec alone";
  EXPECT_EQ(FieldOf(create, "steps[share:data].requirements"), "spec");
  EXPECT_EQ(FieldOf(create, "/etc/samba/smb.conf"), "spec");
  // The object's name is `run_id`.
  const participant::v1::JoinUndoRequest gone;
  EXPECT_EQ(FieldOf(gone, "run_id"), "run_id");
  EXPECT_EQ(FieldOf(gone, "run_id.path"), "run_id");
  EXPECT_EQ(FieldOf(gone, "exports[/a]"), "run_id");
  EXPECT_EQ(FieldOf(gone, "participant"), "participant");
}

TEST(InRequest, ErrorsWithoutViolationsStay) {
  const absl::Status status = WithReason(NotFound("gone"), {"GONE", {}});
  EXPECT_EQ(InRequest(status, participant::v1::JoinUndoRequest()), status);
}

}  // namespace
}  // namespace phoenix::kit
