#include "services/kit/rpc/answers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/status/errors.h"
#include "phoenix/participant/v1/participant.pb.h"

namespace phoenix::kit {
namespace {

constexpr char kMethod[] = "x.v1.XService.CreateX";

// Any messages will do: what is asked for has a map, what carries a secret has bytes.
class AnswersTest : public ::testing::Test {
 protected:
  AnswersTest() {
    char name[] = "/tmp/phoenix-answers-XXXXXX";
    directory_ = ::mkdtemp(name);
    request_.set_participant("x");
    for (char c = 'a'; c < 'k'; ++c) (*request_.mutable_tool_versions())[std::string(1, c)] = "1";
    response_.set_id("first");
  }
  ~AnswersTest() override { std::filesystem::remove_all(directory_); }

  absl::StatusOr<bool> Find(Answers& answers, const std::string& id) {
    return answers.Find(kMethod, request_, id, found_);
  }

  std::string directory_;
  participant::v1::DescribeResponse request_;
  participant::v1::Step response_, found_;
};

TEST_F(AnswersTest, TheFirstAnswerIsGivenAgainEvenAfterARestart) {
  {
    auto answers = Answers::Open(directory_);
    ASSERT_TRUE(answers.ok()) << answers.status();
    EXPECT_FALSE(*Find(**answers, "id-1"));
    ASSERT_TRUE((*answers)->Keep(kMethod, request_, "id-1", response_).ok());
    response_.set_id("second");
    ASSERT_TRUE((*answers)->Keep(kMethod, request_, "id-1", response_).ok());
  }
  auto answers = Answers::Open(directory_);
  ASSERT_TRUE(answers.ok()) << answers.status();
  // Maps have no order of their own.
  participant::v1::DescribeResponse same;
  same.set_participant("x");
  for (char c = 'j'; c >= 'a'; --c) (*same.mutable_tool_versions())[std::string(1, c)] = "1";
  request_ = same;
  ASSERT_TRUE(*Find(**answers, "id-1"));
  EXPECT_EQ(found_.id(), "first");
  EXPECT_FALSE(*Find(**answers, "id-2"));
}

TEST_F(AnswersTest, AnIdOfAnotherRequestIsRefused) {
  auto answers = Answers::Open(directory_);
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_TRUE((*answers)->Keep(kMethod, request_, "id-1", response_).ok());
  EXPECT_TRUE(
      absl::IsInvalidArgument((*answers)->Find("x.v1.XService.UpdateX", request_, "id-1", found_).status()));
  (*request_.mutable_tool_versions())["a"] = "2";
  const absl::Status status = Find(**answers, "id-1").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  ASSERT_EQ(ViolationsOf(status).size(), 1u);
  EXPECT_EQ(ViolationsOf(status)[0].field, "request_id");
}

// Were a password part of the digest, somebody who reads it could try passwords on it.
TEST_F(AnswersTest, NothingOfASecretIsKept) {
  auto answers = Answers::Open(directory_);
  ASSERT_TRUE(answers.ok()) << answers.status();
  participant::v1::PlanRequest request;
  request.mutable_spec()->set_content("the password");
  (*request.mutable_secrets())["user"] = "the password";
  ASSERT_TRUE((*answers)->Keep(kMethod, request, "id-1", response_).ok());
  request.mutable_spec()->set_content("another one");
  (*request.mutable_secrets())["user"] = "another one";
  EXPECT_TRUE(*(*answers)->Find(kMethod, request, "id-1", found_));
  request.mutable_spec()->set_type("other");
  EXPECT_FALSE((*answers)->Find(kMethod, request, "id-1", found_).ok());
}

TEST_F(AnswersTest, OnlyTheNewestAreKept) {
  auto answers = Answers::Open(directory_, /*limit=*/2);
  ASSERT_TRUE(answers.ok()) << answers.status();
  for (const char* id : {"id-1", "id-2", "id-3"})
    ASSERT_TRUE((*answers)->Keep(kMethod, request_, id, response_).ok());
  EXPECT_FALSE(*Find(**answers, "id-1"));
  EXPECT_TRUE(*Find(**answers, "id-2"));
  EXPECT_TRUE(*Find(**answers, "id-3"));
}

}  // namespace
}  // namespace phoenix::kit
