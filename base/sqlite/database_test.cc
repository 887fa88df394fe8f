#include "base/sqlite/database.h"

#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix {
namespace {

TEST(Database, FailedTransactionLeavesNothing) {
  auto database = Database::Open(":memory:");
  ASSERT_TRUE(database.ok());
  ASSERT_TRUE((*database)->Transaction([](Database& db) { return db.Execute("CREATE TABLE t(x)"); }).ok());
  const absl::Status status = (*database)->Transaction([](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(db.Execute("INSERT INTO t VALUES(1)"));
    return Aborted("changed my mind");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  int64_t rows = -1;
  ASSERT_TRUE((*database)
                  ->Transaction([&](Database& db) -> absl::Status {
                    PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT count(*) FROM t"));
                    PHX_RETURN_IF_ERROR(select.Step().status());
                    rows = select.Int(0);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(rows, 0);
}

TEST(Database, BytesSurvive) {
  auto database = Database::Open(":memory:");
  ASSERT_TRUE(database.ok());
  const std::string bytes("a\0b", 3);
  ASSERT_TRUE((*database)
                  ->Transaction([&](Database& db) -> absl::Status {
                    PHX_RETURN_IF_ERROR(db.Execute("CREATE TABLE t(x BLOB)"));
                    PHX_ASSIGN_OR_RETURN(auto insert, db.Prepare("INSERT INTO t VALUES(?)"));
                    PHX_RETURN_IF_ERROR(insert.BindBlob(1, bytes).Step().status());
                    PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT x FROM t"));
                    PHX_RETURN_IF_ERROR(select.Step().status());
                    EXPECT_EQ(select.Text(0), bytes);
                    return absl::OkStatus();
                  })
                  .ok());
}

TEST(Database, FileThatIsNoDatabaseIsDataLoss) {
  EXPECT_EQ(Database::Open("/etc/passwd").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace phoenix
