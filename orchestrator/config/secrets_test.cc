#include "orchestrator/config/secrets.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include "orchestrator/config/finding_labels.h"

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::PrintToString;

TEST(Secret, NeverPrintsItself) {
  const Secret secret("hunter2");
  std::ostringstream out;
  out << secret;
  EXPECT_EQ(out.str(), "<secret>");
  EXPECT_EQ(PrintToString(secret), "<secret>");
  EXPECT_FALSE(fmt::is_formattable<Secret>::value);
  EXPECT_FALSE((std::is_convertible_v<Secret, std::string>));
  EXPECT_FALSE((std::is_convertible_v<Secret, std::string_view>));
  EXPECT_EQ(secret.Reveal(), "hunter2");
}

TEST(Secret, CopiesAreIndependentAndMovesLeaveNothing) {
  Secret first("hunter2");
  Secret second = first;
  second = Secret("other");
  EXPECT_EQ(first.Reveal(), "hunter2");
  EXPECT_EQ(second.Reveal(), "other");
  const Secret third = std::move(first);
  EXPECT_EQ(third.Reveal(), "hunter2");
  EXPECT_EQ(first.Reveal(), "");  // NOLINT(bugprone-use-after-move): that it is empty is what is tested
  EXPECT_FALSE(second == third);
  EXPECT_TRUE(third == Secret("hunter2"));
}

TEST(LoadSecrets, NestedFlatAndShortFormsNameTheSameSecret) {
  for (const char* text :
       {R"({"samba": {"users": {"heads": "hunter2"}}})", R"({"samba/users/heads": "hunter2"})",
        R"({"samba/heads": "hunter2"})", R"({"samba": {"heads": "hunter2"}})",
        R"({"samba/users": {"heads": "hunter2"}})"}) {
    const auto result = LoadSecrets(text);
    ASSERT_TRUE(result.ok()) << text << Render(result.findings.errors);
    ASSERT_EQ(result.secrets.size(), 1U) << text;
    EXPECT_EQ(result.secrets.begin()->first, "samba/users/heads");
    EXPECT_EQ(result.secrets.begin()->second.Reveal(), "hunter2");
  }
}

TEST(LoadSecrets, NothingIsFine) {
  EXPECT_TRUE(LoadSecrets("{}").ok());
  EXPECT_TRUE(LoadSecrets(R"({"samba": {"users": {}}})").ok());
}

TEST(LoadSecrets, TwiceIsAnError) {
  const auto result = LoadSecrets(R"({"samba/heads": "hunter2", "samba": {"users": {"heads": "hunter3"}}})");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("duplicate-name@$[\"samba/heads\"]"));
}

TEST(LoadSecrets, AllErrorsAtOnceAndNoValueInAnyOfThem) {
  const auto result =
      LoadSecrets(R"({"samba": {"users": {"a": "", "b": "hunter2\nx", "c": 4711, "d": ["hunter2"],
                                                          "e f": "hunter2", "g": null}}})");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("invalid-secret@$.samba.users.a", "invalid-secret@$.samba.users.b",
                          "wrong-type@$.samba.users.c", "wrong-type@$.samba.users.d",
                          "invalid-name@$.samba.users[\"e f\"]", "wrong-type@$.samba.users.g"));
  EXPECT_THAT(Render(result.findings.errors), Not(HasSubstr("hunter2")));
  EXPECT_THAT(Render(result.findings.errors), Not(HasSubstr("4711")));
  EXPECT_THAT(result.secrets, IsEmpty());
}

TEST(LoadSecrets, BrokenFilesShowNothingOfThemselves) {
  for (const char* text : {"{\"samba\": {\"users\": {\"heads\": \"hunter2}}}", "\"hunter2\"", "[\"hunter2\"]",
                           "hunter2", "{\"samba\": \"hunter2\\q\"}"}) {
    const auto result = LoadSecrets(text);
    EXPECT_EQ(result.findings.errors.size(), 1U) << text;
    EXPECT_THAT(Render(result.findings.errors), Not(HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace phoenix::config
