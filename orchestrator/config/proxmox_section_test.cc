#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "orchestrator/config/finding_labels.h"
#include "orchestrator/config/loader.h"

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// The dataset tank/vm-disks with these members, and these further top-level members.
LoadResult LoadStorage(const std::string& members, const std::string& more = "") {
  return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}],
                               "datasets": [{{"name": "vm-disks", "pool": "tank"{}{}}}]}}{}{}}})",
                          members.empty() ? "" : ", ", members, more.empty() ? "" : ", ", more));
}

constexpr const char* kZfsPool =
    R"("proxmox_storage_type": "zfspool", "proxmox_content_type": "images,rootdir")";

TEST(Storages, ZfsPoolNamesItsDataset) {
  const auto result = LoadStorage(kZfsPool);
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  const ProxmoxStorage& storage = result.config.storages.at(0);
  EXPECT_EQ(storage.id, "tank-vm-disks");
  EXPECT_EQ(storage.type, StorageType::kZfsPool);
  EXPECT_EQ(storage.dataset, "tank/vm-disks");
  EXPECT_THAT(storage.contents, ElementsAre("images", "rootdir"));
  EXPECT_EQ(storage.origin.path, "$.zfs.datasets[0].proxmox_storage_type");
}

TEST(Storages, DirIsAtTheMountPointNotAtMountPointBase) {
  auto result = LoadStorage(R"("proxmox_storage_type": "dir", "proxmox_content_type": "backup")",
                            R"("mount_point_base": "/mnt/pve")");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.config.storages.at(0).path, "/tank/vm-disks");
  result = LoadStorage(
      R"("mountpoint": "/srv/b", "proxmox_storage_type": "dir", "proxmox_content_type": ["iso", "vztmpl"])");
  EXPECT_EQ(result.config.storages.at(0).path, "/srv/b");
  EXPECT_THAT(result.config.storages.at(0).contents, ElementsAre("iso", "vztmpl"));
  for (const char* place : {"none", "/srv/b c", "/srv/b:c"}) {
    result = LoadStorage(fmt::format(
        R"("mountpoint": "{}", "proxmox_storage_type": "dir", "proxmox_content_type": "backup")", place));
    EXPECT_THAT(Labels(result.findings.errors),
                ElementsAre("storage-without-place@$.zfs.datasets[0].proxmox_storage_type"));
  }
}

TEST(Storages, WithoutATypeADatasetIsNoStorage) {
  EXPECT_THAT(LoadStorage("").config.storages, IsEmpty());
  EXPECT_THAT(LoadStorage(R"("proxmox_storage_type": "")").config.storages, IsEmpty());
  EXPECT_TRUE(LoadStorage(R"("proxmox_storage_type": "")").ok());
  EXPECT_THAT(Labels(LoadStorage(R"("proxmox_content_type": "images")").findings.errors),
              ElementsAre("missing@$.zfs.datasets[0].proxmox_storage_type"));
  EXPECT_THAT(Labels(LoadStorage(R"("proxmox_storage_type": "zfspool")").findings.errors),
              ElementsAre("missing@$.zfs.datasets[0].proxmox_content_type"));
}

TEST(Storages, ContentsMustBePossibleForTheType) {
  for (const char* word : {"iso", "vztmpl", "backup", "snippets", "import", "image", "none"}) {
    const auto result = LoadStorage(
        fmt::format(R"("proxmox_storage_type": "zfspool", "proxmox_content_type": "images,{}")", word));
    ASSERT_THAT(Labels(result.findings.errors),
                ElementsAre("invalid-content@$.zfs.datasets[0].proxmox_content_type"));
    EXPECT_EQ(result.findings.errors[0].allowed, "images or rootdir");
  }
  EXPECT_TRUE(LoadStorage(R"("proxmox_storage_type": "dir",
                             "proxmox_content_type": "backup, iso,vztmpl,snippets,images,rootdir,import")")
                  .ok());
  EXPECT_FALSE(LoadStorage(R"("proxmox_storage_type": "dir", "proxmox_content_type": "backups")").ok());
}

std::map<std::string, std::string> Options(const std::string& json, const std::string& type = "zfspool") {
  const auto result = LoadStorage(fmt::format(
      R"("proxmox_storage_type": "{}", "proxmox_content_type": "images", "proxmox_storage_options": {})",
      type, json));
  EXPECT_TRUE(result.ok()) << Render(result.findings.errors);
  return result.ok() ? result.config.storages.at(0).options : std::map<std::string, std::string>();
}

TEST(StorageOptions, AreTakenAsAnObjectAndAsAString) {
  const std::map<std::string, std::string> both = {{"sparse", "1"}, {"blocksize", "16k"}};
  EXPECT_EQ(Options(R"({"sparse": true, "blocksize": "16k", "bwlimit": null})"), both);
  EXPECT_EQ(Options(R"(" sparse=yes, blocksize = 16k ,")"), both);
  EXPECT_EQ(Options(R"({"sparse": 0, "blocksize": 16384})"),
            (std::map<std::string, std::string>{{"sparse", "0"}, {"blocksize", "16384"}}));
  EXPECT_THAT(Options("{}"), IsEmpty());
  // A list goes on until the next option begins.
  EXPECT_EQ(
      Options(R"("prune-backups=keep-last=3,keep-weekly=2,shared=0,is_mountpoint=/tank")", "dir"),
      (std::map<std::string, std::string>{
          {"prune-backups", "keep-last=3,keep-weekly=2"}, {"shared", "0"}, {"is_mountpoint", "/tank"}}));
}

TEST(StorageOptions, WhatTheTypeHasNotOrAnotherKeySaysIsRefusedAtItsPlace) {
  for (const auto& [option, allowed] :
       {std::pair{R"("shared": 0)", "blocksize, sparse, mountpoint or bwlimit"},
        {R"("content": "images")", "proxmox_content_type"},
        {R"("nodes": "pve1")", "belongs to the nodes that declare it"},
        {R"("pool": "tank/x")", "it is the dataset"},
        {R"("username": "heads")", "proxmox_storage_user"},
        {R"("disable": true)", "pvesm set ID --disable 1"},
        {R"("sparse": "perhaps")", "true or false"},
        {R"("blocksize": "12k")", "a power of two"},
        {R"("mountpoint": "srv")", "an absolute path"}}) {
    const auto result =
        LoadStorage(fmt::format(R"({}, "proxmox_storage_options": {{{}}})", kZfsPool, option));
    const std::string name = std::string(option).substr(1, std::string(option).find('"', 1) - 1);
    ASSERT_THAT(Labels(result.findings.errors),
                ElementsAre("invalid-storage-option@$.zfs.datasets[0].proxmox_storage_options." + name));
    EXPECT_THAT(result.findings.errors[0].allowed, HasSubstr(allowed));
  }
  EXPECT_THAT(Labels(LoadStorage(R"("proxmox_storage_options": "sparse=1")").findings.errors),
              ElementsAre("missing@$.zfs.datasets[0].proxmox_storage_type"));
}

TEST(Storages, UnknownTypesAreRefused) {
  for (const char* type : {"lvm", "zfs", "ZFSPOOL"}) {
    const auto result =
        LoadStorage(fmt::format(R"("proxmox_storage_type": "{}", "proxmox_content_type": "images")", type));
    EXPECT_THAT(Labels(result.findings.errors),
                ElementsAre("unknown-storage-type@$.zfs.datasets[0].proxmox_storage_type"));
  }
}

TEST(StorageIds, TheMapNamesDatasetsByPoolAndUnderscores) {
  const auto result = LoadStorage(kZfsPool, R"("proxmox_storage_ids": {"tank_vm_disks": "fast-vms"})");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.config.storages.at(0).id, "fast-vms");
  EXPECT_THAT(PathsOf(result.findings.lints, "storage-id-unmatched"), IsEmpty());
}

TEST(StorageIds, KeysThatMatchNothingAreLintsAndNeverGuessed) {
  const auto result = LoadStorage(
      kZfsPool,
      R"("proxmox_storage_ids": {"tank_vm": "tank-vm", "Tank_vm_disks": "other", "x": "tank-vm-disks"})");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.config.storages.at(0).id, "tank-vm-disks");
  ASSERT_THAT(Labels(result.findings.lints),
              ElementsAre("storage-id-unmatched@$.proxmox_storage_ids.Tank_vm_disks",
                          "storage-id-unmatched@$.proxmox_storage_ids.tank_vm",
                          "storage-id-unmatched@$.proxmox_storage_ids.x"));
  EXPECT_THAT(result.findings.lints[0].message, HasSubstr("upper and lower case differ"));
  EXPECT_THAT(result.findings.lints[2].message, HasSubstr("gets this id anyway"));
}

TEST(StorageIds, AnIdForADatasetThatIsNoStorageIsALint) {
  const auto result = LoadStorage("", R"("proxmox_storage_ids": {"tank_vm_disks": "fast-vms"})");
  EXPECT_THAT(Labels(result.findings.lints),
              ElementsAre("storage-id-unmatched@$.proxmox_storage_ids.tank_vm_disks"));
}

TEST(StorageIds, BadIdsAreErrors) {
  for (const char* id : {"", "x", "1a", "a b", "local", "a-"}) {
    const auto result =
        LoadStorage(kZfsPool, fmt::format(R"("proxmox_storage_ids": {{"tank_vm_disks": "{}"}})", id));
    EXPECT_THAT(Labels(result.findings.errors),
                ElementsAre("invalid-name@$.proxmox_storage_ids.tank_vm_disks"))
        << id;
  }
}

TEST(StorageIds, AreUniqueAndAmbiguityIsNotGuessed) {
  const std::string two = R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "tank/a-b", "proxmox_storage_type": "zfspool", "proxmox_content_type": "images"},
    {"name": "tank/a_b", "proxmox_storage_type": "zfspool", "proxmox_content_type": "images"}]},
    "proxmox_storage_ids": {"tank_a_b": "store"}})";
  EXPECT_THAT(Labels(Load(two).findings.errors),
              ElementsAre("ambiguous-storage-id@$.proxmox_storage_ids.tank_a_b"));
  const auto same = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "tank/a-b", "proxmox_storage_type": "zfspool", "proxmox_content_type": "images"},
    {"name": "tank/a/b", "proxmox_storage_type": "zfspool", "proxmox_content_type": "images"}]}})");
  EXPECT_THAT(Labels(same.findings.errors),
              ElementsAre("duplicate-name@$.zfs.datasets[1].proxmox_storage_type"));
}

// Trap 17: NFS storages were named by the last part of their path, so that two paths collided.
TEST(StorageIds, Trap17TwoPathsOfOneBasenameAreTwoStorages) {
  const auto result = Load(R"({"network": {"nfs_server": "10.0.0.5", "default_subnet": "10.0.0.0/24"},
    "zfs": {"pools": [{"name": "fast"}, {"name": "tank"}], "datasets": [
      {"name": "media", "pool": "fast", "proxmox_storage_type": "nfs", "proxmox_content_type": "iso"},
      {"name": "media", "pool": "tank", "proxmox_storage_type": "nfs", "proxmox_content_type": "iso"},
      {"name": "old/media", "pool": "tank", "proxmox_storage_type": "nfs", "proxmox_content_type": "iso"}]},
    "nfs": {"exports": [{"path": "/fast/media"}, {"path": "/tank/media"}, {"path": "/tank/old/media"}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  std::map<std::string, std::string> exports;
  for (const ProxmoxStorage& storage : result.config.storages) exports[storage.id] = storage.remote;
  EXPECT_THAT(exports, ElementsAre(Pair("fast-media", "/fast/media"), Pair("tank-media", "/tank/media"),
                                   Pair("tank-old-media", "/tank/old/media")));
}

TEST(StorageIds, IdsThatDifferInCaseOnlyAreALint) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "tank/a", "proxmox_storage_type": "zfspool", "proxmox_content_type": "rootdir"},
    {"name": "tank/A", "proxmox_storage_type": "zfspool", "proxmox_content_type": "rootdir"}]}})");
  EXPECT_TRUE(result.ok());
  EXPECT_THAT(Labels(result.findings.lints),
              ElementsAre("storage-id-case@$.zfs.datasets[1].proxmox_storage_type"));
}

TEST(OlderStorageTypes, LoadLikeTodays) {
  const auto result =
      Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "tank/a"}, {"name": "tank/i"}],
    "dataset_storage_types": [{"dataset": "tank/a", "storage_type": "zfspool:images"},
                              {"dataset": "tank/i", "storage_type": "dir:iso,vztmpl"}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  ASSERT_EQ(result.config.storages.size(), 2U);
  EXPECT_EQ(result.config.storages[0].type, StorageType::kZfsPool);
  EXPECT_EQ(result.config.storages[1].path, "/tank/i");
  EXPECT_THAT(result.config.storages[1].contents, ElementsAre("iso", "vztmpl"));
}

TEST(OlderStorageTypes, CifsIsTheNodesOwnShareAndALint) {
  const std::string zfs = R"("zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "tank/a"}],
                             "dataset_storage_types": [{"dataset": "tank/a", "storage_type": "cifs:images"}]})";
  const auto result = Load(fmt::format(R"({{"network": {{"interfaces": {{"address": "10.0.0.13/24"}},
                                           "default_subnet": "10.0.0.0/24"}}, {},
                             "samba": {{"user": "u", "shares": [{{"path": "tank/a"}}]}}}})",
                                       zfs));
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_EQ(result.config.storages.at(0).type, StorageType::kCifs);
  EXPECT_EQ(result.config.storages.at(0).server, "10.0.0.13");
  EXPECT_EQ(result.config.storages.at(0).remote, "a");
  EXPECT_THAT(Labels(result.findings.lints),
              ElementsAre("guest-cifs-storage@$.zfs.dataset_storage_types[0].storage_type",
                          "loopback-storage@$.zfs.dataset_storage_types[0].storage_type"));

  EXPECT_THAT(
      Labels(Load(fmt::format(R"({{"network": {{"nfs_server": "10.0.0.13"}}, {}}})", zfs)).findings.errors),
      ElementsAre("storage-without-place@$.zfs.dataset_storage_types[0].storage_type"));
}

TEST(OlderStorageTypes, TheDatasetsOwnWordWins) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
    {"name": "tank/a", "proxmox_storage_type": "zfspool", "proxmox_content_type": "rootdir"}],
    "dataset_storage_types": [{"dataset": "tank/a", "storage_type": "dir:backup"}]}})");
  EXPECT_EQ(result.config.storages.at(0).type, StorageType::kZfsPool);
  EXPECT_THAT(Labels(result.findings.lints),
              ElementsAre("storage-type-overridden@$.zfs.dataset_storage_types[0].storage_type"));
}

TEST(Storages, AnEmptyTypeIsNoReasonToForgetTheContents) {
  for (const char* type : {R"("proxmox_storage_type": "", )", R"("proxmox_storage_type": " ", )", ""}) {
    EXPECT_THAT(
        Labels(LoadStorage(fmt::format(R"({}"proxmox_content_type": "images")", type)).findings.errors),
        ElementsAre("missing@$.zfs.datasets[0].proxmox_storage_type"))
        << type;
  }
  EXPECT_TRUE(LoadStorage(R"("proxmox_storage_type": "", "proxmox_content_type": "")").ok());
}

TEST(Storages, ProxmoxTakesNeitherBlanksInASharesNameNorSomeSignsInAnExportsPath) {
  const char* cifs = R"("proxmox_storage_type": "cifs", "proxmox_content_type": "iso")";
  const auto share = LoadStorage(cifs, R"("network": {"nfs_server": "10.0.0.13"}, "samba": {"user": "heads",
      "shares": [{"name": "our disks", "path": "tank/vm-disks"}]})");
  EXPECT_THAT(Labels(share.findings.errors),
              ElementsAre("storage-without-place@$.zfs.datasets[0].proxmox_storage_type"));
  const char* nfs =
      R"("mountpoint": "/srv/a(b", "proxmox_storage_type": "nfs", "proxmox_content_type": "iso")";
  const auto exported = LoadStorage(nfs, R"("network": {"nfs_server": "10.0.0.13"}, "nfs": {"exports": [
      {"path": "/srv/a(b", "clients": "10.0.0.1", "options": "ro"}]})");
  EXPECT_THAT(Labels(exported.findings.errors),
              ElementsAre("storage-without-place@$.zfs.datasets[0].proxmox_storage_type"));
}

constexpr const char* kCifsAsHeads =
    R"("proxmox_storage_type": "cifs", "proxmox_content_type": "iso", "proxmox_storage_user": "heads")";

TEST(Storages, ACifsStorageMayBeMountedAsASambaUserOfTheFile) {
  const auto result =
      LoadStorage(kCifsAsHeads, R"("network": {"nfs_server": "10.0.0.13"}, "samba": {"user": "heads",
      "shares": [{"name": "disks", "path": "tank/vm-disks"}]})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_EQ(result.config.storages.at(0).user, "heads");
  EXPECT_EQ(result.config.storages.at(0).secret_name, "samba/users/heads");
  const auto group =
      LoadStorage(kCifsAsHeads, R"("network": {"nfs_server": "10.0.0.13"}, "samba": {"user": "heads",
      "shares": [{"name": "disks", "path": "tank/vm-disks", "valid_users": ["@staff"]}]})");
  EXPECT_TRUE(group.ok()) << Render(group.findings.errors);
}

TEST(Storages, AStorageUserThatCannotLogInIsAnError) {
  const char* place = "invalid-storage-user@$.zfs.datasets[0].proxmox_storage_user";
  for (
      const char* samba : {
          R"("samba": {"user": "ann", "shares": [{"name": "disks", "path": "tank/vm-disks"}]})",
          R"("samba": {"user": "heads", "shares": [{"name": "disks", "path": "tank/vm-disks", "valid_users": ["ann"]}]})",
          R"("samba": {"user": "ann", "shares": [{"name": "disks", "path": "tank/vm-disks", "valid_users": ["@staff"]}]})",
      }) {
    const auto result =
        LoadStorage(kCifsAsHeads, std::string(R"("network": {"nfs_server": "10.0.0.13"}, )") + samba);
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre(place)) << samba;
  }
  EXPECT_THAT(
      Labels(LoadStorage(std::string(kZfsPool) + R"(, "proxmox_storage_user": "heads")").findings.errors),
      ElementsAre(place));
  EXPECT_THAT(Labels(LoadStorage(R"("proxmox_storage_user": "heads")").findings.errors), ElementsAre(place));
}

TEST(OlderStorageTypes, MistakesAreErrors) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "tank/a"}],
    "dataset_storage_types": [{"dataset": "tank/b", "storage_type": "zfspool:images"},
                              {"dataset": "tank/a", "storage_type": "zfspool"},
                              {"dataset": "tank/a", "storage_type": "floppy:images"}, {"dataset": "tank/a"}, 5]}})");
  EXPECT_THAT(
      Labels(result.findings.errors),
      testing::UnorderedElementsAre("unknown-dataset@$.zfs.dataset_storage_types[0].dataset",
                                    "missing@$.zfs.dataset_storage_types[1].storage_type",
                                    "unknown-storage-type@$.zfs.dataset_storage_types[2].storage_type",
                                    "missing@$.zfs.dataset_storage_types[3].storage_type",
                                    "wrong-type@$.zfs.dataset_storage_types[4]"));
}

}  // namespace
}  // namespace phoenix::config
