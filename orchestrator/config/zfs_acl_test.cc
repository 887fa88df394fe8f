#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/config/finding_labels.h"
#include "orchestrator/config/loader.h"

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

LoadResult LoadDataset(const std::string& members) {
  return Load(fmt::format(
      R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [{{"name": "d", "pool": "tank", {}}}]}}}})",
      members));
}

std::vector<std::string> Wrong(const std::string& members) {
  return Labels(LoadDataset(members).findings.errors);
}

constexpr char kKept[] = R"("properties": "acltype=posix,xattr=sa")";

TEST(RootAcl, IsAListOrOneString) {
  for (const char* acl : {R"(["user:bob:r-x", " group:100:rwx "])", R"("user:bob:r-x,group:100:rwx")"}) {
    const auto result = LoadDataset(fmt::format(R"({}, "mode": "2770", "acl": {})", kKept, acl));
    ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
    EXPECT_THAT(result.findings.lints, IsEmpty());
    EXPECT_THAT(*result.config.datasets.at(0).ownership->acl, ElementsAre("user:bob:r-x", "group:100:rwx"));
  }
  const auto none = LoadDataset(R"("acl": [])");
  ASSERT_TRUE(none.ok()) << Render(none.findings.errors);
  EXPECT_THAT(*none.config.datasets.at(0).ownership->acl, IsEmpty()) << "which takes away what there is";
  EXPECT_FALSE(LoadDataset(R"("mode": "2770")").config.datasets.at(0).ownership->acl.has_value());
}

TEST(RootAcl, AllThatIsWrongIsToldAtOnce) {
  EXPECT_THAT(
      Wrong(R"("mode": "770", "acl": ["bob", "user:bob:rw", "other::r-x", "mask::rwx", "user:a b:r-x",
                                              "user:bob:r-x", "user:bob:rwx", "default:user:bob:rwx"])"),
      ElementsAre("invalid-acl-entry@$.zfs.datasets[0].acl[0]", "invalid-acl-entry@$.zfs.datasets[0].acl[1]",
                  "invalid-acl-entry@$.zfs.datasets[0].acl[2]", "invalid-acl-entry@$.zfs.datasets[0].acl[3]",
                  "invalid-acl-entry@$.zfs.datasets[0].acl[4]",
                  "invalid-acl-entry@$.zfs.datasets[0].acl[6]"));
  EXPECT_THAT(Wrong(R"("acl": ["user:bob:r-x"])"), ElementsAre("acl-needs-mode@$.zfs.datasets[0].acl"));
  EXPECT_THAT(
      Wrong(R"("mode": "rwx", "acl": ["user:4294967294:r-x", "user:4294967295:r-x"])"),
      ElementsAre("invalid-mode@$.zfs.datasets[0].mode", "invalid-acl-entry@$.zfs.datasets[0].acl[1]"));
  EXPECT_THAT(Wrong(R"("mode": "770", "recursive_owner": true, "acl": ["user:bob:r-x"])"),
              ElementsAre("contradicting-acl@$.zfs.datasets[0].recursive_owner"));
}

// setfacl would widen the mask, which is the mode's group digit, and stat would show another mode ever after.
TEST(RootAcl, GivesNoMoreThanTheGroupDigitOfTheMode) {
  EXPECT_THAT(
      Wrong(R"("mode": "750", "acl": ["group:editors:rwx", "group::r-x", "default:group:editors:rwx"])"),
      ElementsAre("acl-beyond-mode@$.zfs.datasets[0].acl[0]"));
}

TEST(RootAcl, AWarningWhereTheDatasetIsNotSaidToKeepIt) {
  const std::string acl = R"("mode": "770", "acl": ["user:bob:r-x"])";
  EXPECT_THAT(Labels(LoadDataset(acl).findings.lints), ElementsAre("acl-not-kept@$.zfs.datasets[0]"));
  EXPECT_THAT(Labels(LoadDataset(R"("properties": "acltype=off", )" + acl).findings.lints),
              ElementsAre("acl-not-kept@$.zfs.datasets[0]"));
  EXPECT_THAT(LoadDataset(R"("properties": "acltype=posixacl", )" + acl).findings.lints, IsEmpty());
}

}  // namespace
}  // namespace phoenix::config
