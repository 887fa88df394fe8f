#include "orchestrator/config/zfs_properties.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/config/finding_labels.h"
#include "orchestrator/config/loader.h"

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PoolProperties, FeaturesAreGivenAndOthersAreExplained) {
  const auto load = [](const char* properties) {
    return Load(
        fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank", "properties": "{}"}}]}}}})", properties));
  };
  const auto given = load("feature@block_cloning=disabled");
  EXPECT_TRUE(given.ok()) << Render(given.findings.errors);
  EXPECT_EQ(given.config.pools.at(0).properties.at("feature@block_cloning").value, "disabled");
  EXPECT_THAT(Labels(load("feature@LZ4=enabled").findings.errors),
              ElementsAre("unknown-property@$.zfs.pools[0].properties"));
  EXPECT_THAT(Labels(load("feature@lz4_compress=active").findings.errors),
              ElementsAre("invalid-property@$.zfs.pools[0].properties"));
  for (const char* name : {"altroot", "bootfs", "cachefile", "dedup_table_quota", "version"}) {
    const auto result = load(fmt::format("{}=x", name).c_str());
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre("unsupported-property@$.zfs.pools[0].properties"))
        << name;
    EXPECT_THAT(Render(result.findings.errors), HasSubstr("of a pool is not declared")) << name;
  }
}

}  // namespace
}  // namespace phoenix::config
