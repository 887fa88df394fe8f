#include "orchestrator/config/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/config/finding_labels.h"

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

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

TEST(LoadSecrets, TheSchemaOfTheFileIsNoSecret) {
  const auto result = LoadSecrets(R"({"$schema": "./s.json", "samba": {"users": {"heads": "hunter2"}}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  ASSERT_EQ(result.secrets.size(), 1U);
  EXPECT_EQ(result.secrets.begin()->first, "samba/users/heads");
}

TEST(LoadSecrets, TwiceIsAnError) {
  const auto result = LoadSecrets(R"({"samba/heads": "hunter2", "samba": {"users": {"heads": "hunter3"}}})");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("duplicate-name@$[\"samba/heads\"]"));
  const auto same_key = LoadSecrets(R"({"samba/heads": "hunter2", "samba/heads": "hunter3"})");
  EXPECT_THAT(Labels(same_key.findings.errors), ElementsAre("duplicate-name@$[\"samba/heads\"]"));
  EXPECT_THAT(Render(same_key.findings.errors), Not(HasSubstr("hunter")));
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

TEST(LoadSecrets, NamesAreNeitherEmptyNorHoldBlanks) {
  for (const char* wrong :
       {R"({"": "hunter2"})", R"({"": {"samba": "hunter2"}})", R"({" ": "hunter2"})",
        R"({"samba/": "hunter2"})", R"({"samba": {"": "hunter2"}})",
        R"({"samba": {"users": {" heads": "hunter2"}}})", R"({"samba /heads": "hunter2"})",
        R"({"samba/ heads": "hunter2"})", R"({"/samba": "hunter2"})", R"({"samba//heads": "hunter2"})"}) {
    const auto result = LoadSecrets(wrong);
    ASSERT_EQ(result.findings.errors.size(), 1U) << wrong;
    EXPECT_EQ(result.findings.errors[0].rule, "invalid-name") << wrong;
    EXPECT_THAT(Render(result.findings.errors), Not(HasSubstr("hunter2")));
    EXPECT_THAT(result.secrets, IsEmpty());
  }
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
