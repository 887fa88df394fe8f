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
using ::testing::Not;

// Datasets tank/a (with these members) and tank/b, and these further top-level members.
LoadResult LoadAround(const std::string& dataset, const std::string& more) {
  return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}],
                               "datasets": [{{"name": "tank/a"{}{}}}, {{"name": "tank/b"}}]}}, {}}})",
                          dataset.empty() ? "" : ", ", dataset, more));
}

std::string Export(const std::string& path, const std::string& options) {
  return fmt::format(R"({{"path": "{}", "clients": ["10.0.0.0/24"], "options": "{}"}})", path, options);
}

std::vector<std::string> PathsFor(const LoadResult& result, const std::string& rule) {
  EXPECT_TRUE(result.ok()) << Render(result.findings.errors);
  return PathsOf(result.findings.lints, rule);
}

TEST(Lint, APathThatNoDatasetProvides) {
  const auto result = LoadAround(
      "", fmt::format(R"("nfs": {{"exports": [{}, {}, {}]}},
      "samba": {{"user": "u", "shares": [{{"path": "/tank"}}, {{"path": "/tank/b"}}]}})",
                      Export("/tank/a/below", "ro"), Export("/tank/ab", "ro"), Export("/srv", "ro")));
  EXPECT_THAT(PathsFor(result, "undeclared-path"),
              ElementsAre("$.nfs.exports[1]", "$.nfs.exports[2]", "$.samba.shares[0]"));
}

TEST(Lint, APathBelowMountPointBaseIsToldWhereItMayBe) {
  const auto result = LoadAround("", R"("mount_point_base": "/mnt/pve/",
      "shared_volumes": {"certs": {"host_path": "/mnt/pve/tank/a/ssl", "mounts": {"953": "/ssl"}},
                         "sites": {"host_path": "/etc/nginx", "mounts": {"953": "/sites"}}})");
  ASSERT_THAT(PathsFor(result, "undeclared-path"), ElementsAre("$.shared_volumes.certs"));
  EXPECT_THAT(result.findings.lints[0].message, HasSubstr("/tank/a/ssl may be meant"));
}

TEST(Lint, OnePathExportedAndShared) {
  const auto result = LoadAround("", fmt::format(R"("nfs": {{"exports": [{}, {}]}},
      "samba": {{"user": "u", "shares": [{{"path": "tank/a/below"}}]}})",
                                                 Export("/tank/a", "ro"), Export("/tank/b", "ro")));
  EXPECT_THAT(PathsFor(result, "exported-and-shared"), ElementsAre("$.nfs.exports[0]"));
}

TEST(Lint, GuestStorageOnTheNetwork) {
  const std::string storage = R"("proxmox_storage_type": "zfspool", "proxmox_content_type": "rootdir")";
  const std::string nfs = fmt::format(R"("nfs": {{"exports": [{}]}})", Export("/tank/a", "ro"));
  EXPECT_THAT(PathsFor(LoadAround(storage, nfs), "shared-guest-storage"),
              ElementsAre("$.zfs.datasets[0].proxmox_storage_type"));
  EXPECT_THAT(PathsFor(LoadAround(storage, R"("samba": {"user": "u", "shares": [{"path": "/tank/a"}]})"),
                       "shared-guest-storage"),
              ElementsAre("$.zfs.datasets[0].proxmox_storage_type"));
  EXPECT_THAT(PathsFor(LoadAround("", nfs), "shared-guest-storage"), IsEmpty());
}

TEST(Lint, RecordsizeWhereOnlyVolumesLive) {
  const std::string properties = R"("properties": "recordsize=16K", "proxmox_storage_type": "zfspool", )";
  EXPECT_THAT(PathsFor(LoadAround(properties + R"("proxmox_content_type": "images")", R"("x": 1)"),
                       "recordsize-on-volumes"),
              ElementsAre("$.zfs.datasets[0].properties"));
  EXPECT_THAT(PathsFor(LoadAround(properties + R"("proxmox_content_type": "images,rootdir")", R"("x": 1)"),
                       "recordsize-on-volumes"),
              IsEmpty());
}

TEST(Lint, NoRootSquashNextToAParentExport) {
  const auto lints = [](const char* parent, const char* child) {
    return PathsFor(LoadAround("", fmt::format(R"("nfs": {{"exports": [{}, {}]}})", Export("/tank/a", parent),
                                               Export("/tank/a/vm", child))),
                    "parent-export-no-root-squash");
  };
  EXPECT_THAT(lints("rw,no_root_squash", "ro"), ElementsAre("$.nfs.exports[1]"));
  EXPECT_THAT(lints("ro", "rw,no_root_squash"), ElementsAre("$.nfs.exports[1]"));
  EXPECT_THAT(lints("ro", "ro"), IsEmpty());
}

TEST(Lint, ASquashedRootThatCannotWrite) {
  const auto lints = [](const std::string& dataset, const char* options) {
    return PathsFor(
        LoadAround(dataset, fmt::format(R"("nfs": {{"exports": [{}]}})", Export("/tank/a", options))),
        "squashed-root-cannot-write");
  };
  EXPECT_THAT(lints("", "rw"), ElementsAre("$.nfs.exports[0]"));
  EXPECT_THAT(lints("", "rw,all_squash"), ElementsAre("$.nfs.exports[0]"));
  EXPECT_THAT(lints(R"("owner": "root", "mode": "2775")", "rw"), ElementsAre("$.nfs.exports[0]"));
  EXPECT_THAT(lints("", "ro"), IsEmpty());
  EXPECT_THAT(lints("", "rw,no_root_squash"), IsEmpty());
  EXPECT_THAT(lints("", "rw,all_squash,anonuid=1000"), IsEmpty());
  EXPECT_THAT(lints(R"("owner": "nobody")", "rw"), IsEmpty());
  EXPECT_THAT(lints(R"("mode": "1777")", "rw"), IsEmpty());
}

TEST(Lint, TheDefaultOwnershipOfASharedDatasetCounts) {
  const auto result = LoadAround("", fmt::format(R"("nfs": {{"exports": [{}]}},
      "samba": {{"user": "u", "shares": [{{"path": "/tank/a"}}]}})",
                                                 Export("/tank/a", "rw")));
  EXPECT_THAT(PathsFor(result, "squashed-root-cannot-write"), ElementsAre("$.nfs.exports[0]"));
}

TEST(Lint, SharenfsBesidesAnExport) {
  const std::string nfs = fmt::format(R"("nfs": {{"exports": [{}]}})", Export("/tank/a", "ro"));
  EXPECT_THAT(PathsFor(LoadAround(R"("properties": "sharenfs=on")", nfs), "sharenfs-and-export"),
              ElementsAre("$.zfs.datasets[0].properties"));
  EXPECT_THAT(PathsFor(LoadAround(R"("properties": "sharenfs=off")", nfs), "sharenfs-and-export"), IsEmpty());
}

TEST(Lint, GuestsAndValidUsers) {
  EXPECT_THAT(
      PathsFor(LoadAround("", R"("samba": {"user": "u", "shares": [{"path": "/tank/a", "guest_ok": true}]})"),
               "guest-and-valid-users"),
      ElementsAre("$.samba.shares[0].guest_ok"));
}

TEST(Lint, PlaintextPasswordsAnywhereWithoutTheirValue) {
  const auto result = Load(R"({"samba": {"user": "heads", "password": "hunter2"},
      "portainer_api": {"admin_password": "hunter2", "deep": [{"api_token": "hunter2"}]},
      "core_paths": {"hf_token_file": "/etc/hf_token.conf"},
      "users": {"password_hash": "NOT_SET", "password": ""}})");
  EXPECT_THAT(PathsFor(result, "plaintext-password"),
              testing::UnorderedElementsAre("$.portainer_api.admin_password",
                                            "$.portainer_api.deep[0].api_token", "$.samba.password"));
  EXPECT_THAT(Render(result.findings.lints), Not(HasSubstr("hunter2")));
}

TEST(Lint, ASecretThatStandsWhereSomethingElseBelongsIsNotShown) {
  const auto result =
      Load(R"({"zfs": {"datasets": [{"name": "tank/a", "properties": {"org:password": "hunter2ä"}}]},
                               "proxmox_storage_ids": {"api_token": "hunter2", "tank_a": 5}})");
  EXPECT_THAT(Labels(result.findings.errors),
              testing::UnorderedElementsAre("invalid-property@$.zfs.datasets[0].properties[\"org:password\"]",
                                            "wrong-type@$.proxmox_storage_ids.tank_a"));
  EXPECT_THAT(PathsOf(result.findings.lints, "storage-id-unmatched"),
              ElementsAre("$.proxmox_storage_ids.api_token"));
  EXPECT_THAT(Render(result.findings.errors) + Render(result.findings.lints), Not(HasSubstr("hunter2")));
}

TEST(Lint, AnErrorAtASecretHidesItsValue) {
  const auto result =
      Load(R"({"zfs": {"datasets": [{"name": "tank/a", "properties": {"org:password": ["hunter2"]}}]},
                               "samba": {"passwd": "hunter2", "shares": {"password": "hunter2"}}})");
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(Render(result.findings.errors) + Render(result.findings.lints), Not(HasSubstr("hunter2")));
}

// Datasets of tank with a quota or reservation each.
std::vector<std::string> QuotaLints(const std::string& datasets) {
  const auto result =
      Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [{}]}}}})", datasets));
  return PathsFor(result, "quota-past-parent");
}

std::string With(const std::string& name, const std::string& properties) {
  return fmt::format(R"({{"name": "tank/{}", "properties": {{{}}}}})", name, properties);
}

TEST(Lint, QuotasOfChildrenPastThatOfTheirParent) {
  const std::string a = With("a", R"("quota": "10G")");
  const std::string at = "$.zfs.datasets[0].properties.quota";
  EXPECT_THAT(QuotaLints(a + "," + With("a/x", R"("quota": "6G")") + "," + With("a/y", R"("quota": "5G")")),
              ElementsAre(at));
  EXPECT_THAT(QuotaLints(a + "," + With("a/x", R"("quota": "5G")") + "," + With("a/y", R"("quota": "5G")")),
              IsEmpty());
  // What is between has no quota; what is below another quota counts there.
  EXPECT_THAT(QuotaLints(a + "," + With("a/b", "") + "," + With("a/b/x", R"("quota": "6G")") + "," +
                         With("a/y", R"("quota": "5G")")),
              ElementsAre(at));
  EXPECT_THAT(QuotaLints(a + "," + With("a/b", R"("quota": "9G")") + "," + With("a/b/x", R"("quota": "5G")")),
              IsEmpty());
  // A neighbour whose name begins alike is no child.
  EXPECT_THAT(QuotaLints(a + "," + With("ab", R"("quota": "90G")")), IsEmpty());
  EXPECT_THAT(QuotaLints(With("a", R"("quota": "none")") + "," + With("a/x", R"("quota": "6G")")), IsEmpty());
  EXPECT_THAT(QuotaLints(a + "," + With("a/x", R"("quota": "15E")") + "," + With("a/y", R"("quota": "15E")")),
              ElementsAre(at));
}

TEST(Lint, ReservationsPastTheQuotaAboveThem) {
  const std::string a = With("a", R"("quota": "10G")");
  const std::string at = "$.zfs.datasets[0].properties.quota";
  EXPECT_THAT(QuotaLints(a + "," + With("a/x", R"("reservation": "6G")") + "," +
                         With("a/y", R"("refreservation": "5G")")),
              ElementsAre(at));
  // The reservation of a dataset holds those below it.
  EXPECT_THAT(QuotaLints(a + "," + With("a/b", R"("reservation": "9G")") + "," +
                         With("a/b/x", R"("reservation": "5G")")),
              IsEmpty());
  EXPECT_THAT(QuotaLints(a + "," + With("a/b", R"("refreservation": "6G")") + "," +
                         With("a/b/x", R"("reservation": "5G")")),
              ElementsAre(at));
  EXPECT_THAT(QuotaLints(With("a", R"("quota": "1G", "reservation": "2G")")), ElementsAre(at));
}

TEST(Lint, TurningRollbackOffHasNoEffect) {
  EXPECT_THAT(Labels(Load(R"({"behavior": {"rollback_on_failure": false}})").findings.lints),
              ElementsAre("rollback-always-on@$.behavior.rollback_on_failure"));
  EXPECT_THAT(Load(R"({"behavior": {"rollback_on_failure": true}})").findings.lints, IsEmpty());
}

TEST(Lints, AnExportThatIsReachedThroughAnotherOneByOtherRules) {
  const auto lints = [](const std::string& outer, const std::string& inner) {
    const auto result = Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [
        {{"name": "tank/a"}}, {{"name": "tank/a/own"}}]}}, "nfs": {{"exports": [{{"path": "/tank/a", {}}}, {{{}}}]}}}})",
                                         outer, inner));
    EXPECT_TRUE(result.ok()) << Render(result.findings.errors);
    std::vector<std::string> texts;
    for (const Finding& lint : result.findings.lints) {
      if (lint.rule == "nested-exports") texts.push_back(lint.message);
    }
    return texts;
  };
  const std::string rw = R"("clients": "10.0.0.0/24", "options": "rw,no_root_squash")";
  EXPECT_THAT(lints(rw, R"("path": "/tank/a/sub", "clients": "10.0.0.0/24", "options": "ro")"),
              ElementsAre(HasSubstr("in the same file system: its clients may write to it")));
  EXPECT_THAT(lints(rw, R"("path": "/tank/a/sub", "clients": "10.9.0.1", "options": "rw")"),
              ElementsAre(HasSubstr("10.0.0.0/24 may reach it there")));
  EXPECT_THAT(lints(rw, R"("path": "/tank/a/sub", )" + rw), IsEmpty());
  // Another file system is another one, unless the outer export crosses into it.
  EXPECT_THAT(lints(rw, R"("path": "/tank/a/own", "clients": "10.0.0.0/24", "options": "ro")"), IsEmpty());
  EXPECT_THAT(lints(R"("clients": "10.0.0.0/24", "options": "rw,crossmnt")",
                    R"("path": "/tank/a/own", "clients": "10.9.0.1", "options": "ro")"),
              ElementsAre(HasSubstr("which has crossmnt: 10.0.0.0/24 may write to it there")));
  // Whom both name reaches the inner file system by the inner export's options.
  EXPECT_THAT(lints(R"("clients": "10.0.0.0/24", "options": "rw,crossmnt")",
                    R"("path": "/tank/a/own", "clients": "10.0.0.0/24", "options": "ro")"),
              IsEmpty());
}

// sharenfs holds for everything below, unless it says otherwise itself.
TEST(Lint, SharenfsIsInheritedFromParentsAndThePool) {
  const auto lints = [](const std::string& pool, const std::string& parent, const std::string& own) {
    const auto with = [](const std::string& value) {
      return value.empty() ? "" : fmt::format(R"(, "properties": "sharenfs={}")", value);
    };
    const auto result = Load(fmt::format(
        R"({{"zfs": {{"pools": [{{"name": "tank"{}}}], "datasets": [{{"name": "tank/a"{}}}, {{"name": "tank/a/b"{}}}]}},
            "nfs": {{"exports": [{}]}}}})",
        with(pool), with(parent), with(own), Export("/tank/a/b", "ro")));
    return PathsFor(result, "sharenfs-and-export");
  };
  EXPECT_THAT(lints("on", "", ""), ElementsAre("$.zfs.pools[0].properties"));
  EXPECT_THAT(lints("", "rw", ""), ElementsAre("$.zfs.datasets[0].properties"));
  EXPECT_THAT(lints("off", "rw", "on"), ElementsAre("$.zfs.datasets[1].properties"));
  EXPECT_THAT(lints("on", "off", ""), IsEmpty());
  EXPECT_THAT(lints("on", "rw", "off"), IsEmpty());
  EXPECT_THAT(lints("", "", ""), IsEmpty());
}

TEST(Lint, SharesWithoutASubnetAreBehindAnyFirewall) {
  const std::string shares = R"("samba": {"user": "u", "shares": [{"path": "/tank/a"}]})";
  EXPECT_THAT(PathsFor(LoadAround("", shares), "no-share-clients"), ElementsAre("$.samba.shares"));
  EXPECT_THAT(PathsFor(LoadAround("", R"("network": {"default_subnet": "10.0.0.0/24"}, )" + shares),
                       "no-share-clients"),
              IsEmpty());
  EXPECT_THAT(PathsFor(LoadAround("", R"("samba": {"user": "u"})"), "no-share-clients"), IsEmpty());
  EXPECT_THAT(
      PathsFor(LoadAround("", R"("samba": {"user": "u", "shares": [{"name": "x", "state": "absent"}]})"),
               "no-share-clients"),
      IsEmpty());
}

}  // namespace
}  // namespace phoenix::config
