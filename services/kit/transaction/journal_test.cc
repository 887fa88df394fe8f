#include "services/kit/transaction/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/status_matchers.h"

namespace phoenix::kit {
namespace {

using ::phoenix::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Code = absl::StatusCode;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    char name[] = "/tmp/phoenix-journal-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  ~JournalTest() override { std::filesystem::remove_all(directory_); }
  std::string path() const { return directory_ + "/journal.db"; }

  // A journal with one transaction in it, closed.
  void Write() {
    const auto journal = *Journal::Open(directory_);
    TransactionRecord record;
    record.row.run_id = "run-1";
    record.row.state = TransactionState::kPrepared;
    PHX_ASSERT_OK(journal->Insert(record));
  }
  absl::Status Execute(const std::string& sql) {
    return (*Database::Open(path()))->Transaction([&](Database& db) { return db.Execute(sql); });
  }

  std::string directory_;
};

TEST_F(JournalTest, ADamagedFileIsNamedWithAWayOutAndLeftAlone) {
  Write();
  const auto size = std::filesystem::file_size(path());
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 + 1);
    file << std::string(300, '\xff');
  }
  EXPECT_THAT(
      Journal::Open(directory_).status(),
      StatusIs(Code::kDataLoss, AllOf(HasSubstr(path()), HasSubstr("Copy"), HasSubstr("new journal"))));
  EXPECT_EQ(std::filesystem::file_size(path()), size);
}

TEST_F(JournalTest, ARowThatCannotBeReadIsDataLossAndNoCrash) {
  Write();
  PHX_ASSERT_OK(Execute("UPDATE transactions SET body = substr(body, 5)"));
  const auto journal = *Journal::Open(directory_);
  EXPECT_THAT(journal->ReadRow("run-1").status(), StatusIs(Code::kDataLoss, HasSubstr(path())));
}

TEST_F(JournalTest, AJournalOfANewerVersionIsRefusedAndLeftAlone) {
  Write();
  PHX_ASSERT_OK(Execute("UPDATE meta SET value='2' WHERE key='version'"));
  EXPECT_THAT(Journal::Open(directory_).status(),
              StatusIs(Code::kFailedPrecondition, HasSubstr("install the newer Phoenix")));
  PHX_ASSERT_OK(Execute("UPDATE meta SET value='1' WHERE key='version'"));
  EXPECT_TRUE((*(*Journal::Open(directory_))->ReadRow("run-1")).has_value());
}

}  // namespace
}  // namespace phoenix::kit
