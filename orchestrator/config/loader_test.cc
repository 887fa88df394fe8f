#include "orchestrator/config/loader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/config/finding_labels.h"
#include "orchestrator/config/fleet.h"
#include "orchestrator/config/secrets.h"

namespace phoenix::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

std::string ReadFile(const std::string& path) {
  std::ifstream file(std::string(PHOENIX_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

LoadResult LoadTestData(const std::string& name) {
  return Load(ReadFile("orchestrator/config/testdata/" + name));
}

TEST(Load, NothingToDoIsFine) {
  for (const char* text :
       {"{}", R"({"zfs": {}, "nfs": {}, "samba": {}})", R"({"zfs": null, "nfs": null})",
        R"({"zfs": {"pools": [], "datasets": []}, "nfs": {"exports": []}, "samba": {"shares": []},
                               "proxmox_storage_ids": {}, "shared_volumes": {}})"}) {
    const auto result = Load(text);
    EXPECT_TRUE(result.ok()) << text;
    EXPECT_TRUE(result.ToStatus().ok());
    EXPECT_THAT(result.findings.lints, IsEmpty()) << text;
  }
}

TEST(Load, ASyntaxErrorIsTheOnlyError) {
  const auto result = Load("{\n\"zfs\": [\n");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("json-syntax@$"));
  EXPECT_THAT(std::string(result.ToStatus().message()), HasSubstr("line 3, column 1"));
}

TEST(Load, ADocumentIsAnObject) {
  EXPECT_THAT(Labels(Load("[]").findings.errors), ElementsAre("wrong-type@$"));
}

TEST(Load, WrongTypesAreErrorsAndReadingGoesOn) {
  const auto result = Load(R"({
    "zfs": {
      "pools": {},
      "datasets": "x",
      "arc_max_gb": true
    },
    "nfs": [],
    "samba": "y",
    "proxmox_storage_ids": [],
    "shared_volumes": 5
  })");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("wrong-type@$.zfs.pools", "wrong-type@$.zfs.datasets",
                          "wrong-type@$.zfs.arc_max_gb", "wrong-type@$.nfs", "wrong-type@$.samba",
                          "wrong-type@$.proxmox_storage_ids", "wrong-type@$.shared_volumes"));
  EXPECT_EQ(result.findings.errors[0].found, "an object");
  EXPECT_EQ(result.findings.errors[0].allowed, "a list");
  EXPECT_EQ(result.findings.errors[2].ToString(),
            "$.zfs.arc_max_gb (line 5): this has the wrong type; found true; allowed: a whole number");
}

TEST(Load, UnknownKeysInsideOurSectionsAreLintsAndOutsideNobodysBusiness) {
  const auto result = Load(R"({"docker": {"x": 1}, "tests": [], "nvidia_driver": null, "$schema": "s",
    "network": {"external_registry_url": "r", "interfaces": {"gateway": "g"}},
    "zfs": {"poools": [], "settings": {"mode": "safe"}, "pools": [{"name": "tank", "raid": "mirror"}],
            "datasets": [{"name": "tank/a", "props": ""}],
            "dataset_storage_types": [{"dataset": "tank/a", "storage_type": "zfspool:rootdir", "id": "x"}]},
    "nfs": {"export": [], "exports": [{"path": "/tank/a", "clients": ["h"], "options": "ro", "fsid": 1}]},
    "samba": {"user": "u", "usrs": [], "shares": [{"path": "/tank/a", "writable": true}]}})");
  EXPECT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(PathsOf(result.findings.lints, "unknown-key"),
              testing::UnorderedElementsAre("$.zfs.poools", "$.zfs.settings.mode", "$.zfs.pools[0].raid",
                                            "$.zfs.datasets[0].props", "$.zfs.dataset_storage_types[0].id",
                                            "$.nfs.export", "$.nfs.exports[0].fsid", "$.samba.usrs",
                                            "$.samba.shares[0].writable"));
}

TEST(Load, DuplicateKeysAreALintAndTheLastWins) {
  const auto result = Load("{\"zfs\": {\"arc_max_gb\": 8,\n\"arc_max_gb\": 16}}");
  EXPECT_EQ(result.config.arc_max_bytes, 17179869184U);
  ASSERT_THAT(Labels(result.findings.lints), ElementsAre("duplicate-key@$.zfs.arc_max_gb"));
  EXPECT_EQ(result.findings.lints[0].where.line, 2);
}

TEST(Load, TheServerAddressComesFromNfsServerOrTheInterface) {
  EXPECT_EQ(Load(R"({"network": {"interfaces": {"address": "10.0.0.13/24"}}})").config.server_address,
            "10.0.0.13");
  EXPECT_EQ(Load(R"({"network": {"nfs_server": "10.0.0.14", "interfaces": {"address": "10.0.0.13/24"}}})")
                .config.server_address,
            "10.0.0.14");
  EXPECT_EQ(Load(R"({"network": {"default_subnet": "10.0.0.13/24"}})").config.default_subnet, "10.0.0.0/24");
  EXPECT_TRUE(Load(R"({"network": {"interfaces": [{"address": 5}]}})").ok());
  const auto result = Load(R"({"network": {"nfs_server": "10.0.0.999", "default_subnet": "everyone else"}})");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("invalid-address@$.network.nfs_server", "invalid-client@$.network.default_subnet"));
}

// Only the address of an interface has a prefix.
TEST(Load, AServerIsNeitherASubnetNorAPath) {
  for (const char* wrong : {"10.0.0.13/24", "nas/srv", "nas:/srv", "@nas", "/srv"}) {
    EXPECT_THAT(Labels(Load(fmt::format(R"({{"network": {{"nfs_server": "{}"}}}})", wrong)).findings.errors),
                ElementsAre("invalid-address@$.network.nfs_server"))
        << wrong;
  }
  for (const char* wrong : {"10.0.0.13/33", "10.0.0.13/srv", "nas/24"}) {
    EXPECT_THAT(Labels(Load(fmt::format(R"({{"network": {{"interfaces": {{"address": "{}"}}}}}})", wrong))
                           .findings.errors),
                ElementsAre("invalid-address@$.network.interfaces.address"))
        << wrong;
  }
}

TEST(Load, AnAddressForTheDefaultSubnetIsToldAsItIsForClients) {
  EXPECT_THAT(Labels(Load(R"({"network": {"default_subnet": "10.0.0.13/24"}})").findings.lints),
              ElementsAre("client-host-bits@$.network.default_subnet"));
}

TEST(Load, SectionsOfAWrongTypeAreTold) {
  for (const char* section : {"network", "zfs", "nfs", "samba", "behavior", "shared_volumes",
                              "proxmox_storage_ids", "mount_point_base"}) {
    EXPECT_THAT(Labels(Load(fmt::format(R"({{"{}": []}})", section)).findings.errors),
                ElementsAre(fmt::format("wrong-type@$.{}", section)));
    EXPECT_TRUE(Load(fmt::format(R"({{"{}": null}})", section)).ok());
  }
}

// Taken for configurations they would be plans of nothing.
TEST(Load, AFleetSecretsOrContainerFileIsNoConfiguration) {
  const auto containers = Load(R"({"lxc_configs": {"950": {}}})");
  ASSERT_THAT(Labels(containers.findings.errors), ElementsAre("other-file@$"));
  EXPECT_THAT(containers.findings.errors[0].Text(), HasSubstr("--lxc FILE"));
  for (const char* fleet : {R"({"nodes": [{"name": "a", "address": "b"}]})",
                            R"({"$schema": "x", "nodes": [{"name": "a", "address": "b", "more": {}}]})"}) {
    const auto result = Load(fleet);
    ASSERT_THAT(Labels(result.findings.errors), ElementsAre("other-file@$")) << fleet;
    EXPECT_THAT(result.findings.errors[0].Text(), HasSubstr("--fleet FILE"));
  }
  for (const char* secrets :
       {R"({"samba": {"users": {"heads": "hunter2"}}})", R"({"samba/users/heads": "hunter2"})",
        R"({"samba/users": {"heads": "hunter2"}})", R"({"samba": {"heads": "hunter2"}})",
        R"({"$schema": "./s.json", "samba": {"users": {}}})", R"({"zfs": {"secure": "hunter2"}})",
        R"({"zfs/secure": "hunter2", "samba": {"users": {"heads": "hunter2"}}})"}) {
    const auto result = Load(secrets);
    ASSERT_THAT(Labels(result.findings.errors), ElementsAre("other-file@$")) << secrets;
    EXPECT_THAT(result.findings.errors[0].Text(), HasSubstr("--secrets FILE"));
    EXPECT_THAT(result.findings.errors[0].Text(), Not(HasSubstr("hunter2")));
    EXPECT_THAT(result.findings.lints, IsEmpty());
  }
  for (const char* config :
       {"{}", R"({"$schema": "x"})", R"({"samba": {}})", R"({"samba": {"user": "heads"}})",
        R"({"nodes": []})", R"({"nodes": ["a"]})", R"({"zfs": {}, "nodes": [{"name": "a", "address": "b"}]})",
        R"({"samba": null})", R"({"samba": {"shares": []}})"}) {
    EXPECT_TRUE(Load(config).ok()) << config;
  }
}

TEST(SharedVolumes, AFirewallOfNothingIsNoVolumeEither) {
  EXPECT_TRUE(Load(R"({"shared_volumes": {"firewall": null}})").ok());
}

TEST(SharedVolumes, AMemberThatHoldsFirewallRulesIsNoVolume) {
  const auto result = Load(R"({"shared_volumes": {
    "ssl_certs": {"host_path": "/srv/ssl", "mounts": {"953": "/etc/nginx/ssl", "910": "/certs"}},
    "firewall": {"enabled": true, "global_firewall_rules": [{"port": "80"}]}}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.findings.lints, IsEmpty());
  ASSERT_THAT(result.config.shared_volumes, SizeIs(1));
  EXPECT_EQ(result.config.shared_volumes[0].name, "ssl_certs");
  EXPECT_EQ(result.config.shared_volumes[0].host_path, "/srv/ssl");
  EXPECT_THAT(result.config.shared_volumes[0].mounts,
              ElementsAre(Pair(910, "/certs"), Pair(953, "/etc/nginx/ssl")));
}

TEST(SharedVolumes, MistakesAreErrorsAtTheirPlace) {
  const auto result =
      Load(R"({"shared_volumes": {"a": {"mounts": {"web": "/x", "99": "/x", "100": "x"}}, "b": 5}})");
  EXPECT_THAT(Labels(result.findings.errors),
              testing::UnorderedElementsAre(
                  "missing@$.shared_volumes.a.host_path", "invalid-container@$.shared_volumes.a.mounts.web",
                  "invalid-container@$.shared_volumes.a.mounts[\"99\"]",
                  "invalid-path@$.shared_volumes.a.mounts[\"100\"]", "wrong-type@$.shared_volumes.b"));
}

// A file as it is found on a hypervisor today, with everything around that is not ours.
TEST(RealisticFiles, TodaysFileLoadsWithoutErrors) {
  const auto result = LoadTestData("today.json");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.config.pools, SizeIs(2));
  EXPECT_THAT(result.config.datasets, SizeIs(4));
  EXPECT_THAT(result.config.exports, SizeIs(2));
  EXPECT_THAT(result.config.samba.shares, SizeIs(1));
  EXPECT_THAT(result.config.storages, SizeIs(4));
  EXPECT_THAT(result.config.shared_volumes, SizeIs(2));
  EXPECT_EQ(result.config.arc_max_bytes, 17179869184U);
  EXPECT_EQ(result.config.server_address, "192.168.7.20");
  EXPECT_THAT(Labels(result.findings.lints),
              ElementsAre("recordsize-on-volumes@$.zfs.datasets[0].properties",
                          "shared-guest-storage@$.zfs.datasets[1].proxmox_storage_type",
                          "shared-guest-storage@$.zfs.datasets[3].proxmox_storage_type",
                          "storage-id-unmatched@$.proxmox_storage_ids.main_vm",
                          "exported-and-shared@$.nfs.exports[0]", "duplicate-key@$.mount_point_base",
                          "rollback-always-on@$.behavior.rollback_on_failure",
                          "undeclared-path@$.shared_volumes.certs",
                          "plaintext-password@$.portainer_api.admin_password"));
}

TEST(RealisticFiles, TheOlderDialectMeansTheSame) {
  const auto result = LoadTestData("older.json");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.config.pools, SizeIs(1));
  EXPECT_THAT(result.config.pools[0].disks, IsEmpty());
  ASSERT_THAT(result.config.datasets, SizeIs(3));
  EXPECT_EQ(result.config.datasets[0].full_name, "main/vm");
  EXPECT_EQ(result.config.datasets[1].properties.at("quota").value, "439804651110");
  EXPECT_THAT(result.config.datasets[2].properties, IsEmpty());
  ASSERT_THAT(result.config.storages, SizeIs(3));
  EXPECT_EQ(result.config.storages[0].type, StorageType::kZfsPool);
  EXPECT_EQ(result.config.storages[1].type, StorageType::kCifs);
  EXPECT_EQ(result.config.storages[2].type, StorageType::kDir);
  ASSERT_THAT(result.config.exports, SizeIs(1));
  EXPECT_EQ(result.config.exports[0].path, "/main/data");
  EXPECT_THAT(result.config.exports[0].clients, ElementsAre("192.168.7.0/24"));
  EXPECT_EQ(result.config.samba.shares.at(0).name, "data");
  EXPECT_THAT(result.config.samba.shares.at(0).valid_users, ElementsAre("heads"));
  EXPECT_EQ(result.config.arc_max_bytes, 8589934592U);
}

TEST(RealisticFiles, EveryMistakeIsToldAtOnceInTheOrderOfTheFile) {
  const auto result = LoadTestData("broken.json");
  EXPECT_THAT(
      Labels(result.findings.errors),
      ElementsAre("unknown-raid-level@$.zfs.pools[0].raid_level", "invalid-name@$.zfs.pools[1].name",
                  "invalid-size@$.zfs.datasets[0].properties",
                  "invalid-content@$.zfs.datasets[0].proxmox_content_type", "missing@$.zfs.datasets[1].pool",
                  "invalid-mode@$.zfs.datasets[2].mode", "invalid-client@$.nfs.exports[0].clients[1]",
                  "mount-option-in-export@$.nfs.exports[0].options[2]", "missing@$.samba.shares[0].path",
                  "missing@$.samba.shares[1].valid_users"));
  EXPECT_EQ(result.ToStatus().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(result.ToStatus().message().back(), '\n');
  for (const Finding& error : result.findings.errors) {
    EXPECT_THAT(std::string(result.ToStatus().message()), HasSubstr(error.ToString()));
  }
  EXPECT_EQ(result.findings.errors[0].where.line, 6);
  EXPECT_THAT(result.findings.errors[0].ToString(), AllOf(HasSubstr("$.zfs.pools[0].raid_level (line 6)"),
                                                          HasSubstr("found \"raid5\""), HasSubstr("raidz2")));
}

class Example : public testing::Test {
 protected:
  LoadResult result_ = Load(ReadFile("deploy/examples/phoenix_hypervisor_config.json"));
};

TEST_F(Example, LoadsWithoutErrors) {
  ASSERT_TRUE(result_.ok()) << Render(result_.findings.errors);
  // What its lints say is in the nature of the declared storage; anything else would be a slip.
  for (const Finding& lint : result_.findings.lints) {
    EXPECT_THAT(lint.rule,
                testing::AnyOf("recordsize-on-volumes", "shared-guest-storage", "exported-and-shared"));
  }
}

TEST_F(Example, HasTheTwoPools) {
  const auto& pools = result_.config.pools;
  ASSERT_THAT(pools, SizeIs(2));
  EXPECT_EQ(pools[0].name, "quickOS");
  EXPECT_EQ(pools[0].raid_level, RaidLevel::kMirror);
  EXPECT_THAT(pools[0].disks, ElementsAre("/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1A",
                                          "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1B"));
  EXPECT_EQ(pools[1].name, "fastData");
  EXPECT_EQ(pools[1].raid_level, RaidLevel::kStripe);
  EXPECT_THAT(pools[1].disks, ElementsAre("/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S2A"));
}

TEST_F(Example, HasTheEightDatasetsAndTheirStorages) {
  struct Row {
    const char* name;
    const char* recordsize;
    const char* compression;
    const char* sync;
    const char* quota;
    StorageType type;
    std::vector<std::string> contents;
  };
  const std::vector<std::string> both = {"images", "rootdir"};
  const std::vector<Row> rows = {
      {"quickOS/vm-disks", "128K", "lz4", "standard", "858993459200", StorageType::kZfsPool, {"images"}},
      {"quickOS/lxc-disks", "16K", "lz4", "standard", "644245094400", StorageType::kZfsPool, {"rootdir"}},
      {"quickOS/shared-prod-data", "128K", "lz4", "standard", "429496729600", StorageType::kZfsPool, both},
      {"quickOS/shared-prod-data-sync", "16K", "lz4", "always", "107374182400", StorageType::kZfsPool, both},
      {"fastData/shared-test-data", "128K", "lz4", "standard", "536870912000", StorageType::kZfsPool, both},
      {"fastData/shared-test-data-sync", "16K", "lz4", "always", "107374182400", StorageType::kZfsPool, both},
      {"fastData/shared-backups", "1M", "zstd", "standard", "2199023255552", StorageType::kDir, {"backup"}},
      {"fastData/shared-bulk-data", "1M", "lz4", "standard", "1539316278886", StorageType::kZfsPool, both},
  };
  ASSERT_THAT(result_.config.datasets, SizeIs(rows.size()));
  ASSERT_THAT(result_.config.storages, SizeIs(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Dataset& dataset = result_.config.datasets[i];
    EXPECT_EQ(dataset.full_name, rows[i].name);
    EXPECT_EQ(dataset.mountpoint, std::string("/") + rows[i].name);
    EXPECT_EQ(dataset.properties.at("recordsize").given, rows[i].recordsize);
    EXPECT_EQ(dataset.properties.at("compression").value, rows[i].compression);
    EXPECT_EQ(dataset.properties.at("sync").value, rows[i].sync);
    EXPECT_EQ(dataset.properties.at("quota").value, rows[i].quota);
    const ProxmoxStorage& storage = result_.config.storages[i];
    std::string id = rows[i].name;
    id.replace(id.find('/'), 1, "-");
    EXPECT_EQ(storage.id, id);
    EXPECT_EQ(storage.type, rows[i].type);
    EXPECT_EQ(storage.contents, rows[i].contents);
    EXPECT_EQ(storage.dataset, rows[i].name);
  }
}

TEST_F(Example, SharesWhatTheTableSays) {
  std::vector<std::string> exported;
  for (const NfsExport& entry : result_.config.exports) {
    exported.push_back(entry.dataset);
    EXPECT_THAT(entry.clients, ElementsAre("10.77.0.0/24"));
  }
  EXPECT_THAT(exported, ElementsAre("quickOS/shared-prod-data", "quickOS/shared-prod-data-sync",
                                    "fastData/shared-bulk-data"));
  std::vector<std::string> shared;
  for (const SambaShare& share : result_.config.samba.shares) {
    shared.push_back(share.dataset);
    EXPECT_THAT(share.valid_users, ElementsAre("heads"));
    EXPECT_FALSE(share.read_only);
    const Dataset* dataset = result_.config.FindDataset(share.dataset);
    ASSERT_NE(dataset, nullptr);
    ASSERT_TRUE(dataset->ownership.has_value());
    EXPECT_EQ(dataset->ownership->group, "heads");
    EXPECT_EQ(dataset->ownership->mode, 02770U);
  }
  EXPECT_THAT(shared, ElementsAre("quickOS/shared-prod-data", "quickOS/shared-prod-data-sync",
                                  "fastData/shared-test-data", "fastData/shared-bulk-data"));
  EXPECT_FALSE(result_.config.FindDataset("fastData/shared-backups")->ownership.has_value());
}

TEST_F(Example, ItsSecretsAndFleetLoadAndFit) {
  const SecretsResult secrets = LoadSecrets(ReadFile("deploy/examples/phoenix_secrets.example.json"));
  EXPECT_TRUE(secrets.ok()) << Render(secrets.findings.errors);
  ASSERT_THAT(result_.config.samba.users, SizeIs(1));
  EXPECT_EQ(secrets.secrets.count(result_.config.samba.users[0].secret_name), 1U);
  const FleetResult fleet = LoadFleet(ReadFile("deploy/examples/phoenix_fleet.example.json"));
  EXPECT_TRUE(fleet.ok()) << Render(fleet.findings.errors);
  EXPECT_THAT(fleet.nodes, SizeIs(2));
}

constexpr char kTwoDisks[] = R"({
  "zfs": {
    "pools": [{"name": "tank", "raid_level": "mirror", "disks": ["/dev/disk/by-id/a", "/dev/disk/by-id/b"]}],
    "arc_max_gb": 0
  },
  "nfs": {"exports": [{"path": "/srv", "clients": ["10.0.0.0/24"], "options": ["rw"]}]}
})";

TEST(Overrides, MergeMembersReplaceListsAndTakeAwayWhatIsNull) {
  const LoadResult result =
      Load(kTwoDisks, OverridesOf("pve2", R"({"zfs": {"pools": [{"name": "fast", "raid_level": "single",
                                         "disks": ["/dev/disk/by-id/c"]}], "arc_max_gb": 2}, "nfs": null})"));
  ASSERT_TRUE(result.ok()) << result.ToStatus();
  ASSERT_EQ(result.config.pools.size(), 1u);
  EXPECT_EQ(result.config.pools[0].name, "fast");
  EXPECT_EQ(result.config.pools[0].origin.ToString(), "$.zfs.pools[0] (overrides of node pve2)");
  EXPECT_EQ(result.config.arc_max_bytes, std::uint64_t{2} << 30);
  EXPECT_THAT(result.config.exports, testing::IsEmpty());
}

TEST(Overrides, AnErrorSaysWhetherTheFileOrTheNodeIsWrong) {
  const LoadResult result =
      Load(kTwoDisks,
           OverridesOf("pve2", R"({"nfs": {"exports": [{"path": "/a/../b", "clients": "10.0.0.1"}]}})"));
  ASSERT_EQ(result.findings.errors.size(), 2u);
  EXPECT_EQ(result.findings.errors[0].where.ToString(), "$.nfs.exports[0].path (overrides of node pve2)");
  EXPECT_EQ(result.findings.errors[1].where.ToString(), "$.zfs.arc_max_gb (line 4)");
  // An object in the place of a list, or of nothing, is the node's as a whole.
  const LoadResult whole =
      Load(kTwoDisks, OverridesOf("pve2", R"({"zfs": {"pools": {"0": {"name": "x"}}, "arc_max_gb": 2},
                                                                "vm_features": {"server": "a"}})"));
  std::vector<std::string> places;
  for (const auto& error : whole.findings.errors) places.push_back(error.where.ToString());
  EXPECT_THAT(places, testing::IsSupersetOf({"$.zfs.pools (overrides of node pve2)",
                                             "$.vm_features.dataset (overrides of node pve2)"}));
}

}  // namespace
}  // namespace phoenix::config
