#include "orchestrator/config/samba_features.h"

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

// A share of /tank/a with these further members, on a dataset with these properties.
LoadResult LoadShare(const std::string& members, const std::string& properties = "acltype=posix,xattr=sa") {
  return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [
                                 {{"name": "tank/a", "properties": "{}"}}]}},
                               "network": {{"default_subnet": "10.0.0.0/24"}},
                               "samba": {{"user": "heads", "shares": [{{"path": "/tank/a", {}}}]}}}})",
                          properties, members));
}

LoadResult LoadSamba(const std::string& members) {
  return Load(fmt::format(R"({{"samba": {{"user": "u", {}, "shares": [{{"path": "/x/y"}}]}}}})", members));
}

const SambaShare& Only(const LoadResult& result) { return result.config.samba.shares.at(0); }

TEST(SambaSettings, AreSmb2AndLeaveNetbiosUnlessTheFileSaysOtherwise) {
  const auto usual = LoadSamba(R"("workgroup": "LAB")");
  ASSERT_TRUE(usual.ok()) << Render(usual.findings.errors);
  EXPECT_EQ(usual.config.samba.min_protocol, "SMB2");
  EXPECT_EQ(usual.config.samba.signing, "");
  EXPECT_FALSE(usual.config.samba.netbios.has_value());
  const auto said = LoadSamba(R"("min_protocol": "SMB3_11", "signing": "mandatory", "netbios": "yes")");
  ASSERT_TRUE(said.ok()) << Render(said.findings.errors);
  EXPECT_EQ(said.config.samba.min_protocol, "SMB3_11");
  EXPECT_EQ(said.config.samba.signing, "mandatory");
  EXPECT_EQ(said.config.samba.netbios, true);
}

TEST(SambaSettings, NothingOlderThanSmb2AndNoSigningThatIsNone) {
  const auto result = LoadSamba(R"("min_protocol": "NT1", "signing": "disabled", "netbios": 1)");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("invalid-samba-setting@$.samba.min_protocol",
                          "invalid-samba-setting@$.samba.signing", "wrong-type@$.samba.netbios"));
  EXPECT_THAT(result.findings.errors[0].allowed, HasSubstr("SMB3_11"));
}

TEST(PreviousVersions, AreWantedByTrueOrByTheFormatOfTheirNames) {
  EXPECT_FALSE(Only(LoadShare(R"("previous_versions": false)")).previous_versions.has_value());
  EXPECT_FALSE(Only(LoadShare(R"("previous_versions": null)")).previous_versions.has_value());
  const auto usual = LoadShare(R"("previous_versions": true)");
  ASSERT_TRUE(usual.ok()) << Render(usual.findings.errors);
  EXPECT_EQ(Only(usual).previous_versions->format, kSnapshotFormat);
  EXPECT_FALSE(Only(usual).previous_versions->local_time);
  const auto said =
      LoadShare(R"("previous_versions": {"format": "autosnap_%Y-%m-%d_%H:%M:%S_daily", "local_time": true})");
  ASSERT_TRUE(said.ok()) << Render(said.findings.errors);
  EXPECT_THAT(said.findings.lints, IsEmpty());
  EXPECT_EQ(Only(said).previous_versions->format, "autosnap_%Y-%m-%d_%H:%M:%S_daily");
  EXPECT_TRUE(Only(said).previous_versions->local_time);
}

TEST(PreviousVersions, AFormatThatNamesNoDayOrNoSnapshotIsAnErrorAtItsPlace) {
  for (const char* bad : {"daily", "%H:%M", "@GMT-%Y.%m.%d", "%F %T", "%F/%T", "%F%Q", "%s", ""}) {
    const auto result = LoadShare(fmt::format(R"("previous_versions": {{"format": "{}"}})", bad));
    EXPECT_THAT(Labels(result.findings.errors),
                ElementsAre("invalid-snapshot-format@$.samba.shares[0].previous_versions.format"))
        << bad;
  }
  EXPECT_EQ(SnapshotFormatProblem("%F_%T"), "");
  EXPECT_EQ(SnapshotFormatProblem("%y%j"), "");
  EXPECT_THAT(Labels(LoadShare(R"("previous_versions": 5)").findings.errors),
              ElementsAre("wrong-type@$.samba.shares[0].previous_versions"));
}

TEST(PreviousVersions, StandBesideOtherModulesAndNotBesideOtherSnapshots) {
  EXPECT_TRUE(LoadShare(R"("previous_versions": true, "options": "vfs objects=fruit streams_xattr")").ok());
  EXPECT_THAT(Labels(LoadShare(R"("previous_versions": true, "options": {"vfs objects": "recycle, Snapper",
                                  "shadow:format": "%F"})")
                         .findings.errors),
              ElementsAre("contradicting-options@$.samba.shares[0].options[\"vfs objects\"]",
                          "contradicting-options@$.samba.shares[0].options[\"shadow:format\"]"));
}

TEST(PreviousVersions, AreThoseOfTheSharesOwnDatasetOnly) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
        {"name": "tank/a"}, {"name": "tank/a/b"}, {"name": "tank/a/gone", "state": "absent"}, {"name": "tank/c"}]},
      "network": {"default_subnet": "10.0.0.0/24"},
      "samba": {"user": "u", "shares": [
        {"name": "1", "path": "tank/a", "previous_versions": true}, {"name": "2", "path": "tank/a/sub", "previous_versions": true},
        {"name": "3", "path": "/srv/x", "previous_versions": true}, {"name": "4", "path": "tank/a"}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(Labels(result.findings.lints),
              ElementsAre("no-previous-versions@$.samba.shares[0]", "undeclared-path@$.samba.shares[2]",
                          "no-previous-versions@$.samba.shares[2]"));
  EXPECT_THAT(result.findings.lints[0].message, HasSubstr("tank/a/b is mounted in the share"));
}

TEST(ShareAcls, ArePosixOrWindowsAndNothingBesideSaysOtherwise) {
  EXPECT_EQ(Only(LoadShare(R"("acl": "posix")")).acl, ShareAcl::kPosix);
  EXPECT_EQ(Only(LoadShare(R"("acl": "windows")")).acl, ShareAcl::kWindows);
  EXPECT_EQ(Only(LoadShare(R"("acl": "")")).acl, ShareAcl::kUnsaid);
  EXPECT_THAT(LoadShare(R"("acl": "windows")").findings.lints, IsEmpty());
  EXPECT_THAT(Labels(LoadShare(R"("acl": "nfsv4")").findings.errors),
              ElementsAre("invalid-samba-setting@$.samba.shares[0].acl"));
  EXPECT_THAT(
      Labels(
          LoadShare(R"("acl": "posix", "options": "vfs objects=acl_xattr inherit acls=no")").findings.errors),
      ElementsAre("contradicting-options@$.samba.shares[0].options",
                  "contradicting-options@$.samba.shares[0].options"));
  EXPECT_THAT(Labels(LoadShare(R"("acl": "windows", "options": "nt acl support=no")").findings.errors),
              ElementsAre("contradicting-options@$.samba.shares[0].options"));
}

TEST(ShareAcls, ADatasetThatKeepsNoneIsTold) {
  const auto lints = [](const std::string& properties) {
    std::vector<std::string> texts;
    for (const Finding& lint : LoadShare(R"("acl": "posix")", properties).findings.lints) {
      EXPECT_EQ(lint.rule, "acl-not-kept");
      texts.push_back(lint.message);
    }
    return texts;
  };
  EXPECT_THAT(lints(""), ElementsAre(HasSubstr("no acltype for tank/a"), HasSubstr("no xattr for tank/a")));
  EXPECT_THAT(lints("acltype=nfsv4,xattr=sa"), ElementsAre(HasSubstr("acltype=nfsv4")));
  EXPECT_THAT(lints("acltype=posixacl,xattr=off"), ElementsAre(HasSubstr("none can be kept")));
  EXPECT_THAT(lints("acltype=posixacl,xattr=on"), ElementsAre(HasSubstr("a hidden file of its own")));
  // As ZFS inherits them.
  const auto inherited = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
        {"name": "tank/a", "properties": "acltype=posix,xattr=sa"}, {"name": "tank/a/b"}, {"name": "tank/a/b/c"}]},
      "network": {"default_subnet": "10.0.0.0/24"},
      "samba": {"user": "u", "shares": [{"path": "tank/a/b/c", "acl": "posix"}]}})");
  EXPECT_THAT(inherited.findings.lints, IsEmpty());
}

}  // namespace
}  // namespace phoenix::config
