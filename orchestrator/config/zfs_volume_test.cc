#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/config/finding_labels.h"
#include "orchestrator/config/loader.h"

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

LoadResult LoadDatasets(const std::string& datasets) {
  return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [{}]}}}})", datasets));
}

LoadResult LoadVolume(const std::string& members) {
  return LoadDatasets(fmt::format(R"({{"name": "tank/v", {}}})", members));
}

TEST(Volumes, HaveASizeAndPropertiesOfTheirOwn) {
  const auto result = LoadVolume(
      R"("volume_size": "1.5G", "properties": "volblock=16K,compression=lz4,refreservation=none,snapdev=visible")");
  EXPECT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.findings.lints, IsEmpty());
  const Dataset& volume = result.config.datasets.at(0);
  EXPECT_EQ(volume.volume_size, 1610612736U);
  EXPECT_EQ(volume.mountpoint, "") << "nothing is mounted from it";
  EXPECT_EQ(volume.properties.at("volblocksize").value, "16384");
  EXPECT_EQ(volume.properties.at("refreservation").value, "0");
  EXPECT_EQ(LoadVolume(R"("volume_size": 20971520)").config.datasets.at(0).volume_size, 20971520U);
}

// `zfs create` rounds a size up to whole blocks, and the volume would differ from its declaration ever after.
TEST(Volumes, HaveWholeBlocks) {
  for (const char* wrong : {R"("volume_size": "0")", R"("volume_size": 1000000)", R"("volume_size": "10Q")",
                            R"("volume_size": "3M", "properties": "volblocksize=2M")"}) {
    EXPECT_THAT(Labels(LoadVolume(wrong).findings.errors),
                ElementsAre("invalid-size@$.zfs.datasets[0].volume_size"))
        << wrong;
  }
  EXPECT_TRUE(LoadVolume(R"("volume_size": "4M", "properties": "volblocksize=2M")").ok());
}

TEST(Volumes, HaveNothingOfFileSystems) {
  EXPECT_THAT(Labels(LoadVolume(R"("volume_size": "1G", "mountpoint": "/srv", "owner": "root", "files": [],
                                   "proxmox_storage_type": "dir", "proxmox_content_type": "iso",
                                   "properties": "recordsize=128K,quota=1G")")
                         .findings.errors),
              UnorderedElementsAre("volume-key@$.zfs.datasets[0].mountpoint",
                                   "volume-key@$.zfs.datasets[0].owner", "volume-key@$.zfs.datasets[0].files",
                                   "volume-key@$.zfs.datasets[0].proxmox_storage_type",
                                   "volume-key@$.zfs.datasets[0].proxmox_content_type",
                                   "file-system-property@$.zfs.datasets[0].properties",
                                   "file-system-property@$.zfs.datasets[0].properties",
                                   "storage-without-place@$.zfs.datasets[0].proxmox_storage_type"));
  EXPECT_THAT(Labels(LoadDatasets(R"({"name": "tank/v/below"}, {"name": "tank/v", "volume_size": "1G"})")
                         .findings.errors),
              ElementsAre("below-volume@$.zfs.datasets[0]"));
  // What is exported from there would be the directory above.
  const auto exported = Load(R"({"zfs": {"datasets": [{"name": "tank/v", "volume_size": "1G"}]},
    "nfs": {"exports": [{"path": "tank/v", "clients": "10.0.0.0/24", "options": "ro"}]}})");
  EXPECT_EQ(exported.config.exports.at(0).dataset, "");
}

TEST(Volumes, TakeTheirSizeFromTheQuotaAbove) {
  const auto lints = [](const char* properties) {
    return Labels(LoadDatasets(fmt::format(
                                   R"({{"name": "tank/a", "properties": "quota=3G"}},
                   {{"name": "tank/a/one", "volume_size": "2G", "properties": "{0}"}},
                   {{"name": "tank/a/two", "volume_size": "2G", "properties": "{0}"}})",
                                   properties))
                      .findings.lints);
  };
  EXPECT_THAT(lints(""), ElementsAre("quota-past-parent@$.zfs.datasets[0].properties",
                                     "quota-past-parent@$.zfs.datasets[0].properties"));
  EXPECT_THAT(lints("refreservation=none"), ElementsAre("quota-past-parent@$.zfs.datasets[0].properties"))
      << "no room is kept for them";
}

TEST(PoolProperties, FeaturesAreGivenAndOthersAreExplained) {
  const auto load = [](const char* properties) {
    return Load(
        fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank", "properties": "{}"}}]}}}})", properties));
  };
  const auto given = load("feature@block_cloning=disabled");
  EXPECT_TRUE(given.ok()) << Render(given.findings.errors);
  EXPECT_EQ(given.config.pools.at(0).properties.at("feature@block_cloning").value, "disabled");
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
