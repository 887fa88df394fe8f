#include "base/sqlite/database.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/status_matchers.h"

namespace phoenix {
namespace {

using ::phoenix::testing::DiskFault;
using ::phoenix::testing::FaultVfs;
using ::phoenix::testing::StatusIs;
using ::testing::_;
using ::testing::HasSubstr;
using Code = absl::StatusCode;

// A file on a disk that a test breaks.
class DiskTest : public ::testing::Test {
 protected:
  DiskTest() {
    char name[] = "/tmp/phoenix-sqlite-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/t.db";
  }
  ~DiskTest() override {
    database_.reset();
    std::filesystem::remove_all(directory_);
  }
  absl::Status Open(Reserve* reserve = nullptr) {
    database_.reset();
    DatabaseOptions options{.reserve = reserve, .on_broken = [this](const absl::Status&) { ++broken_; }};
    options.vfs = disk_.name();
    PHX_ASSIGN_OR_RETURN(database_, Database::Open(path_, std::move(options)));
    return database_->Transaction([](Database& db) { return db.Execute("CREATE TABLE IF NOT EXISTS t(x)"); });
  }
  absl::Status Insert() {
    return database_->Transaction([](Database& db) { return db.Execute("INSERT INTO t VALUES('one row')"); });
  }
  int64_t Rows() {
    int64_t rows = -1;
    (void)database_->Transaction([&](Database& db) -> absl::Status {
      PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT count(*) FROM t"));
      PHX_RETURN_IF_ERROR(select.Step().status());
      rows = select.Int(0);
      return absl::OkStatus();
    });
    return rows;
  }
  std::string Bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string directory_, path_;
  FaultVfs disk_;
  int broken_ = 0;
  std::unique_ptr<Database> database_;
};

// A reserve that the disk always has room for.
class CountedReserve final : public Reserve {
 public:
  explicit CountedReserve(FaultVfs& disk) : disk_(disk) {}
  absl::Status Hold() override { return absl::OkStatus(); }
  bool GiveUp() override {
    ++given_up;
    disk_.Heal();
    return given_up == 1;
  }
  int given_up = 0;

 private:
  FaultVfs& disk_;
};

TEST_F(DiskTest, AFullDiskCostsTheReserveAndNothingElse) {
  CountedReserve reserve(disk_);
  PHX_ASSERT_OK(Open(&reserve));
  disk_.Plan(DiskFault::kFull, 1, 1000);
  PHX_EXPECT_OK(Insert());
  EXPECT_EQ(reserve.given_up, 1);
  EXPECT_EQ(Rows(), 1);
  EXPECT_EQ(broken_, 0);
}

TEST_F(DiskTest, AQuotaIsAFullDiskThoughSqliteCallsItAnError) {
  CountedReserve reserve(disk_);
  PHX_ASSERT_OK(Open(&reserve));
  disk_.Plan(DiskFault::kQuota, 1, 1000);
  PHX_EXPECT_OK(Insert());
  EXPECT_EQ(reserve.given_up, 1);
  EXPECT_EQ(broken_, 0);
}

TEST_F(DiskTest, AFullDiskWithoutReserveIsSaidAndGoesBy) {
  PHX_ASSERT_OK(Open());
  disk_.Plan(DiskFault::kFull, 1, 1000);
  const absl::Status status = Insert();
  EXPECT_THAT(status, StatusIs(Code::kResourceExhausted, HasSubstr(path_)));
  EXPECT_EQ(ReasonOf(status)->reason, "DISK_FULL");
  EXPECT_EQ(Rows(), 0);
  disk_.Heal();
  PHX_EXPECT_OK(Insert());
  EXPECT_EQ(broken_, 0);
}

TEST_F(DiskTest, AfterAFailedFsyncTheHandleIsNeverUsedAgain) {
  CountedReserve reserve(disk_);
  PHX_ASSERT_OK(Open(&reserve));
  disk_.Plan(DiskFault::kSyncError, 1);
  EXPECT_THAT(Insert(), StatusIs(Code::kUnavailable, HasSubstr("opened anew")));
  // The disk is well again, but what it holds is known only to whoever opens the file anew.
  EXPECT_THAT(Insert(), StatusIs(Code::kUnavailable, _));
  EXPECT_EQ(Rows(), -1);
  EXPECT_EQ(broken_, 1);
  EXPECT_EQ(reserve.given_up, 0) << "an I/O error is not a full disk";
  PHX_ASSERT_OK(Open(&reserve));
  PHX_EXPECT_OK(Insert());
}

TEST_F(DiskTest, AFailedCheckpointBreaksTheHandleThoughTheTransactionIsKept) {
  PHX_ASSERT_OK(Open());
  // More pages than the log holds before it is written into the file.
  const auto fill = [](Database& db) {
    return db.Execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100) "
        "INSERT INTO t SELECT randomblob(4000) FROM n");
  };
  // The commit's own fsync is the first; the checkpoint's come after it.
  disk_.Plan(DiskFault::kSyncError, 3, 1000);
  PHX_EXPECT_OK(database_->Transaction(fill));
  EXPECT_TRUE(disk_.fired());
  EXPECT_EQ(broken_, 1);
  EXPECT_THAT(Insert(), StatusIs(Code::kUnavailable, HasSubstr("checkpoint")));
  disk_.Heal();
  PHX_ASSERT_OK(Open());
  EXPECT_EQ(Rows(), 1100);
}

TEST_F(DiskTest, ADamagedPageIsDataLossWhenOpenedAndNothingIsChanged) {
  PHX_ASSERT_OK(Open());
  PHX_ASSERT_OK(Insert());
  database_.reset();
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 + 1);
    file << std::string(200, 'x');
  }
  const std::string damaged = Bytes();
  EXPECT_THAT(Open(), StatusIs(Code::kDataLoss, HasSubstr(path_)));
  EXPECT_EQ(Bytes(), damaged);
  EXPECT_EQ(broken_, 0) << "whoever opens it hears it as an answer";
}

TEST_F(DiskTest, StoredTextThatCannotBeParsedIsDataLoss) {
  PHX_ASSERT_OK(Open());
  const auto read = [](Database&) -> absl::Status { throw std::invalid_argument("no number"); };
  EXPECT_THAT(database_->Transaction(read), StatusIs(Code::kDataLoss, HasSubstr("no number")));
  PHX_EXPECT_OK(Insert());
}

TEST_F(DiskTest, AReserveIsWholeOrNotThere) {
  FileReserve reserve(directory_ + "/reserve", 3 << 20);
  PHX_ASSERT_OK(reserve.Hold());
  EXPECT_EQ(std::filesystem::file_size(directory_ + "/reserve"), 3U << 20);
  EXPECT_TRUE(reserve.GiveUp());
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/reserve"));
  EXPECT_FALSE(reserve.GiveUp());
  // A sparse file of the right size reserves nothing.
  {
    std::ofstream(directory_ + "/reserve").put('x');
  }
  std::filesystem::resize_file(directory_ + "/reserve", 3 << 20);
  PHX_ASSERT_OK(reserve.Hold());
  std::ifstream file(directory_ + "/reserve", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(bytes.find_first_not_of(bytes[0]), std::string::npos) << "a file system may compress it away";
  EXPECT_NE(bytes.substr(0, 1 << 20), bytes.substr(1 << 20, 1 << 20)) << "or store it once";
}

TEST_F(DiskTest, AReserveThatDoesNotFitIsRefusedWithItsNumbers) {
  const int64_t wanted = int64_t{1} << 50;
  FileReserve reserve(directory_ + "/reserve", wanted);
  const absl::Status status = reserve.Hold();
  EXPECT_THAT(status, StatusIs(Code::kFailedPrecondition, HasSubstr("Free space")));
  const auto reason = ReasonOf(status);
  EXPECT_EQ(reason->reason, "NO_RESERVE");
  EXPECT_EQ(reason->metadata.at("path"), directory_ + "/reserve");
  EXPECT_EQ(reason->metadata.at("wanted_bytes"), std::to_string(wanted));
  EXPECT_GT(std::stoll(reason->metadata.at("free_bytes")), 0);
  EXPECT_TRUE(std::filesystem::is_empty(directory_)) << "nothing is left of the try";
}

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
