#include "orchestrator/config/lxc_section.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Containers(const std::string& members) {
  return R"({"lxc_configs": {"950": {)" + members + "}}}";
}

std::vector<std::string> Errors(const LxcResult& result) {
  std::vector<std::string> texts;
  for (const Finding& error : result.findings.errors) texts.push_back(error.rule + " " + error.where.path);
  return texts;
}

TEST(LxcSection, VolumesAndBindMountsAreReadAndOtherKeysLeftAlone) {
  const auto result = LoadLxc(R"({"lxc_defaults": {"x": 1}, "lxc_configs": {
    "951": {"memory_mb": 4096},
    "950": {"name": "vllm", "unprivileged": true,
      "zfs_volumes": [{"name": "models", "pool": "quickOS-lxc-disks", "size_gb": 50, "mount_point": "/models//"}],
      "volumes": [{"name": "data", "pool": "local", "size_gb": "20G", "mount_point": "/data", "backup": true,
                   "read_only": true}],
      "mount_points": [{"host_path": "/quickOS/shared", "container_path": "/mnt/shared", "owner_uid": 1000,
                        "owner_gid": "1001"}]}}})");
  ASSERT_TRUE(result.ok()) << result.ToStatus();
  EXPECT_THAT(result.findings.lints, IsEmpty());
  ASSERT_EQ(result.containers.size(), 1u);
  const Container& container = result.containers[0];
  EXPECT_EQ(container.id, 950u);
  ASSERT_EQ(container.volumes.size(), 2u);
  EXPECT_EQ(container.volumes[0].storage, "quickOS-lxc-disks");
  EXPECT_EQ(container.volumes[0].size_gib, 50u);
  EXPECT_EQ(container.volumes[0].path, "/models");
  EXPECT_EQ(container.volumes[0].backup, std::nullopt);
  EXPECT_EQ(container.volumes[1].size_gib, 20u);
  EXPECT_EQ(container.volumes[1].backup, true);
  EXPECT_TRUE(container.volumes[1].read_only);
  ASSERT_EQ(container.binds.size(), 1u);
  EXPECT_EQ(container.binds[0].owner_uid, 1000u);
  EXPECT_EQ(container.binds[0].owner_gid, 1001u);
}

TEST(LxcSection, EveryMistakeIsToldAtOnceWithItsPlace) {
  const auto result = LoadLxc(Containers(R"(
    "zfs_volumes": [{"name": "a/b", "pool": "-x", "size_gb": 0, "mount_point": "/"},
                    {"name": "ok", "pool": "st", "size_gb": 1.5, "mount_point": "data"},
                    {"name": "ok", "pool": "st", "size_gb": "many", "mount_point": "/x"}, {}],
    "mount_points": [{"host_path": "/a,b", "container_path": "/x"},
                     {"host_path": "/dev/sda", "container_path": "/y", "owner_uid": 4294967295}])"));
  EXPECT_THAT(Errors(result),
              ::testing::UnorderedElementsAre(
                  "invalid-name $.lxc_configs[\"950\"].zfs_volumes[0].name",
                  "invalid-name $.lxc_configs[\"950\"].zfs_volumes[0].pool",
                  "invalid-size $.lxc_configs[\"950\"].zfs_volumes[0].size_gb",
                  "invalid-path $.lxc_configs[\"950\"].zfs_volumes[0].mount_point",
                  "invalid-size $.lxc_configs[\"950\"].zfs_volumes[1].size_gb",
                  "invalid-path $.lxc_configs[\"950\"].zfs_volumes[1].mount_point",
                  "duplicate-name $.lxc_configs[\"950\"].zfs_volumes[2].name",
                  "invalid-size $.lxc_configs[\"950\"].zfs_volumes[2].size_gb",
                  "missing $.lxc_configs[\"950\"].zfs_volumes[3].name",
                  "missing $.lxc_configs[\"950\"].zfs_volumes[3].pool",
                  "missing $.lxc_configs[\"950\"].zfs_volumes[3].size_gb",
                  "missing $.lxc_configs[\"950\"].zfs_volumes[3].mount_point",
                  "invalid-path $.lxc_configs[\"950\"].mount_points[0].host_path",
                  "duplicate-mount-point $.lxc_configs[\"950\"].mount_points[0].container_path",
                  "invalid-path $.lxc_configs[\"950\"].mount_points[1].host_path",
                  "invalid-owner $.lxc_configs[\"950\"].mount_points[1].owner_uid"));
  EXPECT_EQ(result.ToStatus().code(), absl::StatusCode::kInvalidArgument);
}

// In an mpN line "=" parts a key from its value, and a blank at the end is lost.
TEST(LxcSection, PathsThatAMountLineCannotHoldAreRefused) {
  for (const char* path : {"/srv/a=b", "/srv/a "}) {
    const auto result = LoadLxc(
        Containers(fmt::format(R"("mount_points": [{{"host_path": "{}", "container_path": "/x"}}])", path)));
    EXPECT_THAT(Errors(result),
                ::testing::ElementsAre("invalid-path $.lxc_configs[\"950\"].mount_points[0].host_path"))
        << path;
  }
}

TEST(LxcSection, AContainerIdHasOneSpelling) {
  const auto result =
      LoadLxc(R"({"lxc_configs": {"099": {}, "0101": {}, "x": {}, "99": {}, "1000000000": {}}})");
  EXPECT_EQ(result.findings.errors.size(), 5u);
  for (const Finding& error : result.findings.errors) EXPECT_EQ(error.rule, "invalid-container");
}

TEST(LxcSection, AFileWithoutContainersIsTheWrongFile) {
  EXPECT_THAT(Errors(LoadLxc(R"({"zfs": {}})")), ElementsAre("missing $.lxc_configs"));
}

TEST(LxcSection, APersistentVolumeSaysWhereItIsAndWhoseItIs) {
  const std::string volume =
      R"("zfs_volumes": [{"name": "a", "pool": "st", "size_gb": 1, "mount_point": "/a", "persistent": )";
  auto result = LoadLxc(Containers(volume + R"(true}], "node": "hv2", "unprivileged": false)"));
  ASSERT_TRUE(result.ok()) << result.ToStatus();
  EXPECT_THAT(result.findings.lints, IsEmpty());
  EXPECT_TRUE(result.containers[0].volumes[0].persistent);
  EXPECT_EQ(result.containers[0].node, "hv2");
  EXPECT_FALSE(result.containers[0].unprivileged);
  result = LoadLxc(Containers(volume + "true}]"));
  EXPECT_EQ(result.containers[0].node, "");
  EXPECT_TRUE(result.containers[0].unprivileged);
  // Elsewhere these keys belong to other tools, and may hold whatever these take.
  result = LoadLxc(Containers(volume + R"(false}], "node": 7, "unprivileged": 1)"));
  EXPECT_TRUE(result.ok()) << result.ToStatus();
  EXPECT_FALSE(result.containers[0].volumes[0].persistent);
}

TEST(LxcSection, ABackupOfAPersistentVolumeIsNotPromised) {
  const auto result = LoadLxc(Containers(
      R"("volumes": [{"name": "a", "pool": "st", "size_gb": 1, "mount_point": "/a", "persistent": true,
                                 "backup": true}])"));
  ASSERT_EQ(result.findings.lints.size(), 1u);
  EXPECT_EQ(result.findings.lints[0].rule, "not-in-backups");
}

TEST(LxcSection, SharedVolumesJoinTheContainers) {
  auto lxc = LoadLxc(Containers(R"("mount_points": [{"host_path": "/srv/a", "container_path": "/a"}])"));
  Config config;
  config.shared_volumes.push_back(
      {"same", "/srv/a", {{950, "/a"}, {953, "/b"}}, {"$.shared_volumes.same", 3}});
  Findings findings;
  lxc.declared.insert(953);
  const auto containers = WithSharedVolumes(&lxc, config, findings);
  EXPECT_THAT(findings.errors, IsEmpty());
  EXPECT_THAT(findings.lints, IsEmpty());
  ASSERT_EQ(containers.size(), 2u);
  EXPECT_EQ(containers[0].binds.size(), 1u);
  EXPECT_EQ(containers[1].id, 953u);
  EXPECT_EQ(containers[1].binds[0].host_path, "/srv/a");

  config.shared_volumes.push_back({"other", "/srv/b", {{950, "/a"}}, {"$.shared_volumes.other", 4}});
  WithSharedVolumes(&lxc, config, findings);
  ASSERT_EQ(findings.errors.size(), 1u);
  EXPECT_EQ(findings.errors[0].rule, "duplicate-mount-point");
  EXPECT_THAT(findings.errors[0].message, HasSubstr("/a of container 950 is taken"));
}

TEST(LxcSection, AMountPointGoesByName) {
  const std::string gone =
      R"("mount_points": [{"host_path": "/srv/a", "container_path": "/a", "state": "absent"}])";
  const auto lxc = LoadLxc(Containers(gone));
  ASSERT_TRUE(lxc.ok()) << lxc.ToStatus();
  EXPECT_TRUE(lxc.containers.at(0).binds.at(0).absent);
  EXPECT_THAT(Errors(LoadLxc(Containers(
                  R"("mount_points": [{"host_path": "/srv/a", "container_path": "/a", "state": "gone"}])"))),
              ElementsAre(HasSubstr("unknown-state")));
  // The other file wants the very same.
  Config config;
  config.shared_volumes.push_back({"same", "/srv/a", {{950, "/a"}}, {"$.shared_volumes.same", 3}});
  Findings findings;
  WithSharedVolumes(&lxc, config, findings);
  ASSERT_EQ(findings.errors.size(), 1u);
  EXPECT_EQ(findings.errors[0].rule, "duplicate-mount-point");
}

TEST(LxcSection, NoContainerThatItsFileDoesNotDeclareIsTouched) {
  const auto lxc = LoadLxc(R"({"lxc_configs": {"950": {"memory_mb": 512}}})");
  Config config;
  config.shared_volumes.push_back({"ssl", "/srv/a", {{950, "/a"}, {953, "/b"}}, {"$.shared_volumes.ssl", 3}});
  config.shared_volumes.push_back({"none", "/srv/b", {}, {"$.shared_volumes.none", 4}});
  Findings findings;
  const auto containers = WithSharedVolumes(&lxc, config, findings);
  ASSERT_EQ(containers.size(), 1u);
  EXPECT_EQ(containers[0].id, 950u);
  ASSERT_EQ(findings.lints.size(), 1u);
  EXPECT_EQ(findings.lints[0].rule, "undeclared-container");
  EXPECT_THAT(findings.lints[0].message, HasSubstr("does not declare container 953"));
  // Without such a file no container is touched at all, and mistakes are found all the same.
  findings = {};
  config.shared_volumes.push_back({"twice", "/srv/c", {{950, "/a"}}, {"$.shared_volumes.twice", 5}});
  EXPECT_THAT(WithSharedVolumes(nullptr, config, findings), IsEmpty());
  EXPECT_THAT(findings.lints, IsEmpty());
  ASSERT_EQ(findings.errors.size(), 1u);
  const auto waiting = WaitingForContainers(config);
  ASSERT_EQ(waiting.size(), 2u);
  EXPECT_THAT(waiting[0].second,
              HasSubstr("/srv/a is mounted into containers (950, 953) by a run that is given"));
}

TEST(LxcSection, TheShippedExampleHasNeitherErrorsNorLints) {
  std::ifstream file(std::string(PHOENIX_SOURCE_DIR) + "/deploy/examples/phoenix_lxc_configs.example.json");
  std::stringstream text;
  text << file.rdbuf();
  const auto result = LoadLxc(text.str());
  EXPECT_TRUE(result.ok()) << result.ToStatus();
  EXPECT_THAT(result.findings.lints, IsEmpty());
  EXPECT_EQ(result.containers.size(), 2u);
}

}  // namespace
}  // namespace phoenix::config
