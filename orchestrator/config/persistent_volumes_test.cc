#include "orchestrator/config/persistent_volumes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/config/loader.h"

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kConfig[] = R"({"zfs": {
  "pools": [{"name": "tank", "raid_level": "single", "disks": ["/dev/disk/by-id/a"]}],
  "datasets": [
    {"name": "lxc-disks", "pool": "tank", "proxmox_storage_type": "zfspool", "proxmox_content_type": "rootdir"},
    {"name": "dumps", "pool": "tank", "proxmox_storage_type": "dir", "proxmox_content_type": "backup"}]}})";

class PersistentVolumes : public ::testing::Test {
 protected:
  PersistentVolumes() : loaded_(Load(kConfig)) { EXPECT_TRUE(loaded_.ok()) << loaded_.ToStatus(); }

  // A volume of container 950, and what else is said of that.
  void Read(const std::string& volume, const std::string& container = "") {
    const auto lxc = LoadLxc(fmt::format(
        R"({{"lxc_configs": {{"950": {{"zfs_volumes": [{{"name": "data", "pool": "tank-lxc-disks", "size_gb": 8,
            "mount_point": "/data", {}}}] {}}}}}}})",
        volume, container));
    EXPECT_TRUE(lxc.ok()) << lxc.ToStatus();
    containers_ = lxc.containers;
  }
  void Place(const std::string& node = "hv1", const std::vector<std::string>& nodes = {"hv1"}) {
    PlacePersistentVolumes(node, nodes, containers_, loaded_.config, loaded_.findings);
  }
  std::vector<std::string> Errors() {
    std::vector<std::string> texts;
    for (const Finding& error : loaded_.findings.errors)
      texts.push_back(error.rule + " " + error.where.path + ": " + error.Text());
    return texts;
  }

  LoadResult loaded_;
  std::vector<Container> containers_;
};

TEST_F(PersistentVolumes, AreADatasetOfTheContainersRootAndABindMountOfIt) {
  Read(R"("persistent": true, "read_only": true)");
  Place();
  EXPECT_THAT(Errors(), IsEmpty());
  EXPECT_THAT(containers_[0].volumes, IsEmpty());
  ASSERT_EQ(containers_[0].binds.size(), 1u);
  const ContainerBind& bind = containers_[0].binds[0];
  EXPECT_EQ(bind.host_path, "/tank/lxc-disks/persistent-950-data");
  EXPECT_EQ(bind.path, "/data");
  EXPECT_TRUE(bind.read_only);
  EXPECT_EQ(bind.owner_uid, 0u);
  EXPECT_EQ(bind.host_uid, 100000u);
  EXPECT_EQ(bind.host_gid, 100000u);
  EXPECT_THAT(bind.origin.path, HasSubstr("zfs_volumes[0]"));
  const Dataset* dataset = loaded_.config.FindDataset("tank/lxc-disks/persistent-950-data");
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->mountpoint, "/tank/lxc-disks/persistent-950-data");
  EXPECT_EQ(dataset->properties.at("refquota").value, "8589934592");
  EXPECT_EQ(dataset->properties.at("acltype").value, "posix");
  EXPECT_EQ(dataset->ownership->owner, "100000");
  EXPECT_TRUE(dataset->ownership->at_creation_only) << "a service in the container may take it over";
}

// What Proxmox VE takes for a container's own volume, it destroys with it.
TEST_F(PersistentVolumes, HaveNoNameThatProxmoxVeTakesForItsOwn) {
  Read(R"("persistent": true)");
  Place();
  const std::string& name = loaded_.config.datasets.back().full_name;
  const std::string last = name.substr(name.rfind('/') + 1);
  for (const char* prefix : {"subvol-", "basevol-", "vm-", "base-"})
    EXPECT_FALSE(last.starts_with(prefix)) << last;
}

TEST_F(PersistentVolumes, OfAPrivilegedContainerAreRoots) {
  Read(R"("persistent": true)", R"(, "unprivileged": false)");
  Place();
  EXPECT_EQ(containers_[0].binds[0].host_uid, 0u);
  EXPECT_EQ(loaded_.config.datasets.back().ownership->owner, "0");
}

TEST_F(PersistentVolumes, OtherVolumesStayAsTheyAre) {
  Read(R"("persistent": false)");
  Place("hv1", {"hv1", "hv2"});
  EXPECT_THAT(Errors(), IsEmpty());
  EXPECT_EQ(containers_[0].volumes.size(), 1u);
  EXPECT_THAT(containers_[0].binds, IsEmpty());
  EXPECT_EQ(loaded_.config.datasets.size(), 2u);
}

TEST_F(PersistentVolumes, AreMadeOnTheirNodeOnly) {
  Read(R"("persistent": true)", R"(, "node": "HV2")");
  Place("hv1", {"hv1", "hv2"});
  EXPECT_THAT(Errors(), IsEmpty());
  EXPECT_THAT(containers_[0].binds, IsEmpty());
  EXPECT_EQ(containers_[0].placed_on, "HV2");
  EXPECT_EQ(loaded_.config.datasets.size(), 2u);
  Read(R"("persistent": true)", R"(, "node": "HV2")");
  Place("hv2", {"hv1", "hv2"});
  EXPECT_EQ(containers_[0].binds.size(), 1u);
  EXPECT_EQ(containers_[0].placed_on, "");
}

TEST_F(PersistentVolumes, OfAFleetNameTheirNode) {
  Read(R"("persistent": true)");
  Place("hv1", {"hv1", "hv2"});
  EXPECT_THAT(Errors(),
              ElementsAre(HasSubstr("unknown-node $.lxc_configs[\"950\"]: container 950 has a persistent "
                                    "volume")));
  loaded_.findings = {};
  Read(R"("persistent": true)", R"(, "node": "hv3")");
  Place("hv1", {"hv1", "hv2"});
  EXPECT_THAT(Errors(), ElementsAre(HasSubstr("the fleet has no such node")));
}

TEST_F(PersistentVolumes, NeedADeclaredStorageOfDatasetsThatAreMounted) {
  for (const char* storage : {"tank-dumps", "local", "unheard-of"}) {
    loaded_.findings = {};
    Read(R"("persistent": true)");
    containers_[0].volumes[0].storage = storage;
    Place();
    EXPECT_THAT(Errors(), ElementsAre(HasSubstr("persistent-storage $.lxc_configs[\"950\"].zfs_volumes[0]")))
        << storage;
  }
  loaded_.findings = {};
  loaded_.config.datasets[0].mountpoint = "";
  Read(R"("persistent": true)");
  Place();
  EXPECT_THAT(Errors(), ElementsAre(HasSubstr("mounted nowhere")));
}

TEST_F(PersistentVolumes, AreNotDeclaredAsDatasetsBesides) {
  Dataset other = loaded_.config.datasets[0];
  other.full_name = "tank/lxc-disks/persistent-950-data";
  loaded_.config.datasets.push_back(other);
  Read(R"("persistent": true)");
  Place();
  EXPECT_THAT(Errors(), ElementsAre(HasSubstr("duplicate-name")));
}

}  // namespace
}  // namespace phoenix::config
