#include "orchestrator/config/json_document.h"

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

TEST(JsonDocument, KnowsTheLineOfEveryElement) {
  Findings findings;
  const auto document =
      JsonDocument::Parse("{\n \"a\": 1\n ,\n \"b\": [\n  10,\n  {\"c d\":\n   true}]\n}\n", findings);
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->At("$").line, 1);
  EXPECT_EQ(document->At("$.a").line, 2);
  EXPECT_EQ(document->At("$.b").line, 4);
  EXPECT_EQ(document->At("$.b[0]").line, 5);
  EXPECT_EQ(document->At("$.b[1]").line, 6);
  EXPECT_EQ(document->At("$.b[1][\"c d\"]").line, 6);
  EXPECT_EQ(document->At("$.nowhere").line, 1);
  EXPECT_EQ(document->At("$.b[1].x.y[3]").line, 6);
  EXPECT_EQ(document->At("elsewhere").line, 0);
  EXPECT_EQ(document->root().at("b").at(1).at("c d"), true);
}

TEST(JsonDocument, ANumberBeforeALineBreakIsOnItsOwnLine) {
  Findings findings;
  const auto document = JsonDocument::Parse("[\n1\n,\n2\n]", findings);
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->At("$[0]").line, 2);
  EXPECT_EQ(document->At("$[1]").line, 4);
}

TEST(JsonDocument, ASyntaxErrorNamesLineAndColumn) {
  Findings findings;
  EXPECT_FALSE(JsonDocument::Parse("{\n  \"zfs\": {\n    \"pools\": [],,\n  }\n}", findings).has_value());
  ASSERT_EQ(findings.errors.size(), 1U);
  EXPECT_EQ(findings.errors[0].where.line, 3);
  EXPECT_THAT(findings.errors[0].message, HasSubstr("line 3, column 17"));
}

TEST(JsonDocument, ASyntaxErrorNeverQuotesTheFile) {
  for (const std::string text :
       {"{\"password\": \"hunter2\n\"}", "{\"password\": hunter2}", "{\"password\" \"hunter2\"}",
        "{\"password\": \"hunter2\\x\"}", "{\"password\": \"hunter2; last read: 'hunter2"}) {
    Findings findings;
    EXPECT_FALSE(JsonDocument::Parse(text, findings).has_value()) << text;
    ASSERT_EQ(findings.errors.size(), 1U) << text;
    EXPECT_THAT(findings.errors[0].ToString(), Not(HasSubstr("hunter2")));
    EXPECT_THAT(findings.errors[0].ToString(), HasSubstr("line 1"));
  }
}

TEST(JsonDocument, EndOfFileAndRestsAreSyntaxErrors) {
  for (const std::string text :
       {"", "   ", "{", "[1", "{} {}", "{\"a\":1e999}", "\xff", "{\"a\":\"\xc3\"}"}) {
    Findings findings;
    EXPECT_FALSE(JsonDocument::Parse(text, findings).has_value()) << text;
    EXPECT_THAT(Labels(findings.errors), ElementsAre("json-syntax@$")) << text;
  }
}

TEST(JsonDocument, BracketsCannotExhaustMemory) {
  Findings findings;
  EXPECT_FALSE(JsonDocument::Parse(std::string(1000000, '['), findings).has_value());
  ASSERT_EQ(findings.errors.size(), 1U);
  EXPECT_THAT(findings.errors[0].message, HasSubstr("nested deeper"));
}

TEST(JsonDocument, OfAKeyGivenTwiceTheLastWins) {
  Findings findings;
  const auto document =
      JsonDocument::Parse("{\"a\": {\"x\": 1,\n\"x\": 2},\n\"b\": [{\"y\": 3, \n\"y\": 3}]}", findings);
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->root().at("a").at("x"), 2);
  EXPECT_THAT(findings.errors, IsEmpty());
  ASSERT_THAT(Labels(findings.lints), ElementsAre("duplicate-key@$.a.x", "duplicate-key@$.b[0].y"));
  EXPECT_EQ(findings.lints[0].where.line, 2);
  EXPECT_THAT(findings.lints[0].message, HasSubstr("another value"));
  EXPECT_EQ(findings.lints[1].where.line, 4);
  EXPECT_THAT(findings.lints[1].message, HasSubstr("the same value"));
}

TEST(JsonDocument, ARepeatedObjectReplacesTheFirstWhole) {
  Findings findings;
  const auto document = JsonDocument::Parse(R"({"a": {"x": 1}, "a": {"y": 2}})", findings);
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->root().at("a"), nlohmann::json({{"y", 2}}));
  EXPECT_THAT(Labels(findings.lints), ElementsAre("duplicate-key@$.a"));
}

}  // namespace
}  // namespace phoenix::config
