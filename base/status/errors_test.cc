#include "base/status/errors.h"

#include <gtest/gtest.h>

namespace phoenix {
namespace {

TEST(Errors, KeepReasonAndViolationsThroughAnnotation) {
  absl::Status status =
      WithReason(InvalidArgument("pool '{}' is unknown", "tank"), {"POOL_UNKNOWN", {{"pool", "tank"}}});
  status = WithViolations(status, {{"zfs.pools[0]", "unknown"}, {"zfs.pools[1]", "twice"}});
  const absl::Status annotated = Annotate(status, "node a");

  EXPECT_EQ(Message(annotated), "node a: pool 'tank' is unknown");
  EXPECT_EQ(annotated.code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(ReasonOf(annotated));
  EXPECT_EQ(ReasonOf(annotated)->reason, "POOL_UNKNOWN");
  EXPECT_EQ(ReasonOf(annotated)->metadata.at("pool"), "tank");
  ASSERT_EQ(ViolationsOf(annotated).size(), 2u);
  EXPECT_EQ(ViolationsOf(annotated)[1].field, "zfs.pools[1]");
}

TEST(Errors, DiskFullIsResourceExhausted) {
  EXPECT_EQ(ErrnoStatus(ENOSPC, "journal").code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace phoenix
