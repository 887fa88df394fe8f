// Removal by name, from the file to the specs' values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/config/loader.h"

namespace phoenix::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Errors(const std::string& text) {
  std::vector<std::string> errors;
  for (const Finding& error : Load(text).findings.errors)
    errors.push_back(error.rule + " " + error.where.path);
  return errors;
}

TEST(Absent, TakesDatasetExportShareStorageAndUserByName) {
  const LoadResult result = Load(R"({
    "zfs": {"datasets": [
      {"name": "old", "pool": "tank", "properties": "quota=1G", "proxmox_storage_type": "dir",
       "proxmox_content_type": "iso", "state": "absent"},
      {"name": "kept", "pool": "tank", "proxmox_storage_type": "zfspool", "proxmox_storage_state": "absent"}]},
    "nfs": {"exports": [{"path": "tank/old", "state": "absent"}]},
    "samba": {"shares": [{"path": "/tank/old", "state": "absent"}, {"name": "gone", "state": "absent"}],
              "users": [{"name": "bob", "state": "absent"}, {"name": "ann"}]}})");
  ASSERT_TRUE(result.ok()) << result.ToStatus();
  const Config& config = result.config;
  EXPECT_TRUE(config.datasets[0].absent);
  EXPECT_FALSE(config.datasets[1].absent);
  ASSERT_EQ(config.exports.size(), 1u);
  EXPECT_EQ(config.exports[0].path, "/tank/old");
  EXPECT_TRUE(config.exports[0].absent);
  ASSERT_EQ(config.samba.shares.size(), 2u);
  EXPECT_EQ(config.samba.shares[0].name, "old");
  EXPECT_EQ(config.samba.shares[1].name, "gone");
  EXPECT_TRUE(config.samba.shares[0].absent && config.samba.shares[1].absent);
  ASSERT_EQ(config.samba.users.size(), 2u);
  EXPECT_TRUE(config.samba.users[0].absent);
  EXPECT_TRUE(config.samba.users[1].is_samba_user);
  // A storage goes with its dataset, or by its own word.
  ASSERT_EQ(config.storages.size(), 2u);
  EXPECT_EQ(config.storages[0].id, "tank-old");
  EXPECT_EQ(config.storages[1].id, "tank-kept");
  EXPECT_TRUE(config.storages[0].absent && config.storages[1].absent);
  EXPECT_THAT(Present(config).exports, IsEmpty());
  EXPECT_EQ(Present(config).datasets.size(), 1u);
}

TEST(Absent, NothingThatIsWantedMayStandOnWhatGoes) {
  EXPECT_THAT(Errors(R"({
    "zfs": {"datasets": [{"name": "a", "pool": "tank", "state": "absent"}, {"name": "a/b", "pool": "tank"},
                         {"name": "ab", "pool": "tank"}]},
    "nfs": {"exports": [{"path": "/tank/a/deep", "clients": "10.0.0.1", "options": "rw"},
                        {"path": "/tank/a/b", "clients": "10.0.0.1", "options": "rw"},
                        {"path": "/tank/ab", "clients": "10.0.0.1", "options": "rw"}]},
    "samba": {"shares": [{"path": "/tank/a", "valid_users": "ann"}]}})"),
              ElementsAre("stands-on-absent $.zfs.datasets[1]", "stands-on-absent $.nfs.exports[0]",
                          "stands-on-absent $.samba.shares[0]"));
  EXPECT_THAT(Errors(R"({"samba": {"shares": [{"path": "/srv", "valid_users": "bob"}],
                                   "users": [{"name": "bob", "state": "absent"}]}})"),
              ElementsAre("absent-user $.samba.shares[0]"));
}

TEST(Absent, WhatIsMisspelledOrContradictsIsAnError) {
  EXPECT_THAT(Errors(R"({"zfs": {"datasets": [{"name": "a", "pool": "t", "state": "abscent"}]}})"),
              ElementsAre("unknown-state $.zfs.datasets[0].state"));
  EXPECT_THAT(Errors(R"({"zfs": {"pools": [{"name": "t", "state": "absent"}],
                                  "datasets": [{"name": "t/a"}, {"name": "t/b", "state": "absent"}]}})"),
              ElementsAre("stands-on-absent $.zfs.datasets[0]"));
  EXPECT_THAT(Errors(R"({"nfs": {"exports": [{"path": "/a", "clients": "h", "options": "rw"},
                                             {"path": "/a", "state": "absent"}]}})"),
              ElementsAre("duplicate-export $.nfs.exports[1]"));
  EXPECT_THAT(Errors(R"({"samba": {"user": "bob", "users": [{"name": "bob", "state": "absent"}]}})"),
              ElementsAre("duplicate-name $.samba.users[0].name"));
  EXPECT_THAT(Errors(R"({"nfs": {"exports": [{"state": "absent"}]}})"),
              ElementsAre("missing $.nfs.exports[0].path"));
}

}  // namespace
}  // namespace phoenix::config
