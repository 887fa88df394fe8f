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
  EXPECT_THAT(Labels(LoadVolume(R"("volume_size": "1.5", "mountpoint": "/srv", "owner": "root", "files": [],
                                   "properties": "recordsize=128K,quota=1G")")
                         .findings.errors),
              UnorderedElementsAre("invalid-size@$.zfs.datasets[0].volume_size",
                                   "volume-key@$.zfs.datasets[0].mountpoint",
                                   "volume-key@$.zfs.datasets[0].owner", "volume-key@$.zfs.datasets[0].files",
                                   "file-system-property@$.zfs.datasets[0].properties",
                                   "file-system-property@$.zfs.datasets[0].properties"))
      << "all at once";
  EXPECT_THAT(Labels(LoadDatasets(R"({"name": "tank/v/below"}, {"name": "tank/v", "volume_size": "1G"})")
                         .findings.errors),
              ElementsAre("below-volume@$.zfs.datasets[0]"));
  EXPECT_THAT(Labels(LoadVolume(R"("volume_size": "1G", "properties": "refreservation=2G")").findings.errors),
              ElementsAre("invalid-size@$.zfs.datasets[0].properties"));
}

TEST(Volumes, AreNeitherStoragesNorExportsNorShares) {
  EXPECT_THAT(Labels(LoadVolume(R"("volume_size": "1G", "proxmox_storage_type": "zfspool",
                                   "proxmox_content_type": "images")")
                         .findings.errors),
              ElementsAre("volume-key@$.zfs.datasets[0].proxmox_storage_type"));
  const auto around = [](const char* more) {
    return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}],
                                          "datasets": [{{"name": "tank/a"}}, {{"name": "tank/a/v", "volume_size": "1G"}}]{}}})",
                            more));
  };
  EXPECT_THAT(
      Labels(
          around(R"(, "dataset_storage_types": [{"dataset": "tank/a/v", "storage_type": "zfspool:images"}]})")
              .findings.errors),
      ElementsAre("volume-key@$.zfs.dataset_storage_types[0].storage_type"));
  // It would be a directory of the dataset above.
  EXPECT_THAT(
      Labels(
          around(
              R"(}, "nfs": {"exports": [{"path": "tank/a/v", "clients": "10.0.0.0/24", "options": "ro"}]})")
              .findings.errors),
      ElementsAre("volume-key@$.nfs.exports[0].path"));
  EXPECT_THAT(
      Labels(around(R"(}, "samba": {"user": "u", "shares": [{"path": "tank/a/v/b"}]})").findings.errors),
      ElementsAre("volume-key@$.samba.shares[0].path"));
}

// A file system's are for the volumes below it.
TEST(Volumes, SomePropertiesAreGivenAbove) {
  EXPECT_TRUE(LoadDatasets(R"({"name": "tank/a", "properties": "volmode=dev,snapdev=visible"})").ok());
  EXPECT_THAT(Labels(LoadDatasets(R"({"name": "tank/a", "properties": "volblocksize=16K"})").findings.errors),
              ElementsAre("volume-property@$.zfs.datasets[0].properties"));
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

}  // namespace
}  // namespace phoenix::config
