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
using ::testing::Pair;

// One share of /tank/a with these further members, and samba.user heads.
LoadResult LoadShare(const std::string& members) {
  return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [{{"name": "tank/a"}}]}},
                               "network": {{"default_subnet": "10.0.0.0/24"}},
                               "samba": {{"user": "heads", "shares": [{{"path": "/tank/a"{}{}}}]}}}})",
                          members.empty() ? "" : ", ", members));
}

const SambaShare& Only(const LoadResult& result) { return result.config.samba.shares.at(0); }

TEST(SambaShares, TodaysFormLoads) {
  const auto result = Load(R"({"network": {"default_subnet": "10.0.0.0/24"},
    "zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "tank/a"}]},
    "samba": {"user": "heads", "shares": [{"name": "A", "path": "tank/a", "options": "browseable=yes writable=yes",
                                           "valid_users": ["heads"]}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.findings.lints, IsEmpty());
  EXPECT_EQ(Only(result).name, "A");
  EXPECT_EQ(Only(result).path, "/tank/a");
  EXPECT_EQ(Only(result).dataset, "tank/a");
  EXPECT_THAT(Only(result).valid_users, ElementsAre("heads"));
  EXPECT_TRUE(Only(result).browsable);
  EXPECT_FALSE(Only(result).read_only);
  EXPECT_FALSE(Only(result).guest_ok);
  EXPECT_THAT(Only(result).options, IsEmpty());
}

TEST(SambaShares, APathWithoutASlashNamesADatasetWhereverItIsMounted) {
  const auto result =
      Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "tank/a", "mountpoint": "/srv/x"}]},
                               "samba": {"user": "u", "shares": [{"path": "tank/a"}, {"path": "tank/a/sub"}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_EQ(result.config.samba.shares.at(0).path, "/srv/x");
  EXPECT_EQ(result.config.samba.shares.at(1).path, "/srv/x/sub");
}

TEST(SambaShares, AMissingNameIsTheLastPartOfThePath) {
  EXPECT_EQ(Only(LoadShare("")).name, "a");
  const auto result = Load(R"({"samba": {"user": "u", "shares": [{"path": "/x/data"}, {"path": "/y/data"},
                                                                 {"name": "DATA", "path": "/z"}]}})");
  ASSERT_THAT(Labels(result.findings.errors),
              ElementsAre("duplicate-name@$.samba.shares[1].path", "duplicate-name@$.samba.shares[2].name"));
  EXPECT_THAT(result.findings.errors[0].message, HasSubstr("took its name from its path"));
}

TEST(SambaShares, MissingValidUsersIsTheSambaUserNeverEveryone) {
  for (const char* members : {"", R"("valid_users": [])", R"("valid_users": "")"}) {
    EXPECT_THAT(Only(LoadShare(members)).valid_users, ElementsAre("heads")) << members;
  }
  const auto result = Load(R"({"samba": {"shares": [{"path": "/x"}]}})");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("missing@$.samba.shares[0].valid_users"));
}

TEST(SambaShares, ValidUsersMayBeGroupsAndStandInOneString) {
  EXPECT_THAT(Only(LoadShare(R"("valid_users": "heads, @staff +wheel")")).valid_users,
              ElementsAre("heads", "@staff", "@wheel"));
  EXPECT_THAT(Only(LoadShare(R"("options": "valid users=bob @staff browseable=no")")).valid_users,
              ElementsAre("bob", "@staff"));
  // An account of Samba, wherever it is named: the node takes no other.
  for (const char* name : {"Heads", "a.b$", "root"}) {
    const auto user = Load(fmt::format(R"({{"samba": {{"users": [{{"name": "{}"}}]}}}})", name));
    EXPECT_THAT(Labels(user.findings.errors), ElementsAre("invalid-name@$.samba.users[0].name")) << name;
  }
  const auto result = LoadShare(R"("valid_users": ["a b", "-x", "ok"])");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("invalid-name@$.samba.shares[0].valid_users[0]",
                                                          "invalid-name@$.samba.shares[0].valid_users[1]"));
}

TEST(SambaShares, ABadListOfUsersDoesNotFallBackOnTheSambaUser) {
  EXPECT_THAT(Only(LoadShare(R"("valid_users": ["-x"])")).valid_users, IsEmpty());
}

TEST(SambaShares, AreBrowsableAndWritableAndClosedToGuestsUnlessTheFileSaysOtherwise) {
  const auto result = LoadShare("");
  EXPECT_TRUE(Only(result).browsable);
  EXPECT_FALSE(Only(result).read_only);
  EXPECT_FALSE(Only(result).guest_ok);
}

// The scripts read browsable through jq's //, which turned false into true.
TEST(SambaShares, BrowsableFalseIsHonoured) {
  EXPECT_FALSE(Only(LoadShare(R"("browsable": false)")).browsable);
  EXPECT_FALSE(Only(LoadShare(R"("browseable": "no")")).browsable);
  EXPECT_TRUE(Only(LoadShare(R"("read_only": true)")).read_only);
  EXPECT_TRUE(Only(LoadShare(R"("guest_ok": true)")).guest_ok);
}

TEST(SambaOptions, SynonymsReachTheirField) {
  EXPECT_FALSE(Only(LoadShare(R"("options": "browsable=no")")).browsable);
  EXPECT_FALSE(Only(LoadShare(R"("options": "Browseable=No")")).browsable);
  EXPECT_TRUE(Only(LoadShare(R"("options": "writeable=no")")).read_only);
  EXPECT_TRUE(Only(LoadShare(R"("options": "write ok = no")")).read_only);
  EXPECT_TRUE(Only(LoadShare(R"("options": "read only=yes")")).read_only);
  EXPECT_TRUE(Only(LoadShare(R"("options": "readonly=1")")).read_only);
  EXPECT_TRUE(Only(LoadShare(R"("options": "public=yes")")).guest_ok);
}

TEST(SambaOptions, NamesAndValuesWithBlanksAreToldApart) {
  const auto result = LoadShare(
      R"("options": "read only = no create mode=0660 vfs objects=acl_xattr recycle recycle:keeptree=yes comment=All our data")");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.findings.lints, IsEmpty());
  EXPECT_FALSE(Only(result).read_only);
  EXPECT_THAT(Only(result).options,
              ElementsAre(Pair("comment", "All our data"), Pair("create mask", "0660"),
                          Pair("recycle:keeptree", "yes"), Pair("vfs objects", "acl_xattr recycle")));
}

TEST(SambaOptions, AnObjectIsTheSameThing) {
  const auto result =
      LoadShare(R"("options": {"writable": false, "max connections": 5, "create mask": "0660"})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_TRUE(Only(result).read_only);
  EXPECT_THAT(Only(result).options, ElementsAre(Pair("create mask", "0660"), Pair("max connections", "5")));
}

TEST(SambaOptions, ContradictionsNameBothPlaces) {
  const auto result = LoadShare(R"("read_only": true, "options": "writable=yes")");
  ASSERT_THAT(Labels(result.findings.errors), ElementsAre("contradicting-options@$.samba.shares[0].options"));
  EXPECT_THAT(result.findings.errors[0].message, HasSubstr("$.samba.shares[0].read_only"));
  EXPECT_TRUE(LoadShare(R"("read_only": false, "options": "writable=yes")").ok());
  EXPECT_THAT(Labels(LoadShare(R"("valid_users": ["a"], "options": "valid users=b")").findings.errors),
              ElementsAre("contradicting-options@$.samba.shares[0].options"));
}

TEST(SambaOptions, OneParameterHasOneValue) {
  EXPECT_THAT(Labels(LoadShare(R"("options": "create mask=0660 create mode=0600")").findings.errors),
              ElementsAre("contradicting-options@$.samba.shares[0].options"));
  EXPECT_TRUE(LoadShare(R"("options": "create mask=0660 create mode=0660")").ok());
}

TEST(SambaOptions, WhatRunsProgramsOrMovesTheShareIsRefused) {
  for (const char* wrong :
       {"root preexec=/bin/sh", "preexec=x", "exec=x", "postexec=x", "path=/etc", "directory=/etc",
        "include=/tmp/x", "copy=other", "magic script=x", "RootPreExec=x", "print command=x"}) {
    EXPECT_THAT(Labels(LoadShare(fmt::format(R"("options": "{}")", wrong)).findings.errors),
                ElementsAre("refused-samba-option@$.samba.shares[0].options"))
        << wrong;
  }
}

TEST(SambaOptions, NothingBreaksOutOfItsLine) {
  EXPECT_THAT(Labels(LoadShare(R"("options": {"comment": "x\n[global]"})").findings.errors),
              ElementsAre("invalid-samba-option@$.samba.shares[0].options.comment"));
  EXPECT_THAT(Labels(LoadShare(R"("options": {"comment": "x\\"})").findings.errors),
              ElementsAre("invalid-samba-option@$.samba.shares[0].options.comment"));
  EXPECT_THAT(Labels(LoadShare(R"("options": "[global]=x")").findings.errors),
              ElementsAre("invalid-samba-option@$.samba.shares[0].options"));
}

TEST(SambaOptions, AValueMayBeInAnyLanguage) {
  const auto result = LoadShare(R"("options": {"comment": "Büro: 日本"})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_EQ(Only(result).options.at("comment"), "Büro: 日本");
  EXPECT_THAT(Labels(LoadShare(R"("options": {"cömment": "x"})").findings.errors),
              ElementsAre("invalid-samba-option@$.samba.shares[0].options[\"cömment\"]"));
}

TEST(SambaOptions, MistypedWordsAreTold) {
  for (const char* wrong :
       {R"("=")", R"("=yes")", R"("browseable=yes =no")", R"({"": "yes"})", R"({"a=b": "yes"})"}) {
    const auto result = LoadShare(fmt::format(R"("options": {})", wrong));
    ASSERT_EQ(result.findings.errors.size(), 1U) << wrong;
    EXPECT_EQ(result.findings.errors[0].rule, "invalid-samba-option") << wrong;
  }
  EXPECT_THAT(Labels(LoadShare(R"("options": "browseable")").findings.errors),
              ElementsAre("invalid-samba-option@$.samba.shares[0].options"));
  EXPECT_THAT(Labels(LoadShare(R"("options": "browseable=maybe")").findings.errors),
              ElementsAre("invalid-samba-option@$.samba.shares[0].options"));
  EXPECT_THAT(Labels(LoadShare(R"("options": "stray browseable=yes")").findings.errors),
              ElementsAre("invalid-samba-option@$.samba.shares[0].options"));
  const auto unknown = LoadShare(R"("options": "brwoseable=yes")");
  EXPECT_TRUE(unknown.ok());
  EXPECT_THAT(Labels(unknown.findings.lints), ElementsAre("unknown-samba-option@$.samba.shares[0].options"));
}

TEST(SambaShares, PathsSambaWouldReadOtherwiseAreRefused) {
  const auto result =
      Load(R"({"samba": {"user": "u", "shares": [{"path": "/home/%U"}, {"name": "x", "path": "/a\\"}]}})");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("invalid-path@$.samba.shares[0].path", "invalid-path@$.samba.shares[1].path"));
}

TEST(SambaUsers, EachHasItsSecretByName) {
  const auto result = Load(R"({"samba": {"user": "heads", "shares": [
    {"path": "/x", "valid_users": ["bob", "@staff", "heads"]}, {"path": "/y"}]}})");
  ASSERT_TRUE(result.ok());
  const auto& users = result.config.samba.users;
  ASSERT_EQ(users.size(), 2U);
  EXPECT_EQ(users[0].name, "heads");
  EXPECT_EQ(users[0].secret_name, "samba/users/heads");
  EXPECT_TRUE(users[0].is_samba_user);
  EXPECT_EQ(users[1].name, "bob");
  EXPECT_EQ(users[1].secret_name, "samba/users/bob");
  EXPECT_FALSE(users[1].is_samba_user);
}

TEST(SambaUsers, TheSambaUserIsAName) {
  EXPECT_THAT(Labels(Load(R"({"samba": {"user": "@staff"}})").findings.errors),
              ElementsAre("invalid-name@$.samba.user"));
  EXPECT_THAT(Labels(Load(R"({"samba": {"user": 5}})").findings.errors),
              ElementsAre("wrong-type@$.samba.user"));
}

// useradd refuses such names, and root would lend all its rights to whoever has its password.
TEST(SambaUsers, AreAccountsThatANodeCanMake) {
  for (const char* wrong : {"Heads", "a.b", "root", "pc$"}) {
    EXPECT_THAT(Labels(Load(fmt::format(R"({{"samba": {{"user": "{}"}}}})", wrong)).findings.errors),
                ElementsAre("invalid-name@$.samba.user"))
        << wrong;
    EXPECT_THAT(Labels(LoadShare(fmt::format(R"("valid_users": ["{}"])", wrong)).findings.errors),
                ElementsAre("invalid-name@$.samba.shares[0].valid_users[0]"))
        << wrong;
  }
  EXPECT_THAT(Labels(LoadShare(R"("valid_users": ["@Staff"])").findings.errors),
              ElementsAre("invalid-name@$.samba.shares[0].valid_users[0]"));
  EXPECT_TRUE(LoadShare(R"("valid_users": ["@root"])").ok());
}

TEST(SambaShares, ADMINIsNoNameForOne) {
  EXPECT_THAT(Labels(LoadShare(R"("name": "Admin$")").findings.errors),
              ElementsAre("invalid-name@$.samba.shares[0].name"));
}

// The firewall opens Samba to the default subnet; it knows addresses only.
TEST(SambaShares, AreOpenedToAddresses) {
  const auto load = [](const char* subnet, const char* more) {
    return Load(fmt::format(R"({{"network": {{"default_subnet": "{}"}}{}}})", subnet, more));
  };
  const char* share = R"(, "samba": {"user": "heads", "shares": [{"path": "/srv"}]})";
  for (const char* wrong : {"nas.example.org", "@group", "cafe"}) {
    EXPECT_THAT(Labels(load(wrong, share).findings.errors),
                ElementsAre("invalid-client@$.network.default_subnet"))
        << wrong;
    EXPECT_TRUE(load(wrong, "").ok()) << wrong;
  }
  for (const char* fine : {"10.0.0.0/24", "10.0.0.1", "fd00::/64"}) EXPECT_TRUE(load(fine, share).ok());
}

TEST(SambaWorkgroup, ComesFromTheNetworkOrTheDefault) {
  EXPECT_EQ(Load("{}").config.samba.workgroup, "WORKGROUP");
  EXPECT_EQ(Load(R"({"network": {"workgroup": "LAB"}})").config.samba.workgroup, "LAB");
  EXPECT_EQ(
      Load(R"({"network": {"workgroup": "LAB"}, "samba": {"workgroup": "HOME"}})").config.samba.workgroup,
      "HOME");
  EXPECT_THAT(Labels(Load(R"({"network": {"workgroup": "a]b"}})").findings.errors),
              ElementsAre("invalid-name@$.network.workgroup"));
}

TEST(DatasetOwnership, DefaultsToTheUsersOfTheShare) {
  const auto result = LoadShare(R"("valid_users": ["bob", "heads"])");
  const Ownership& ownership = *result.config.datasets.at(0).ownership;
  EXPECT_EQ(ownership.owner, "root");
  EXPECT_EQ(ownership.group, "bob");
  EXPECT_EQ(ownership.mode, 02770U);
  EXPECT_TRUE(ownership.from_share);
  EXPECT_EQ(LoadShare(R"("valid_users": ["@staff"])").config.datasets.at(0).ownership->group, "staff");
}

TEST(DatasetOwnership, IsLeftAloneWhereTheFileDecidesOrNoShareNamesTheDataset) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [
      {"name": "tank/a", "mode": "0750"}, {"name": "tank/b"}, {"name": "tank/c"}]},
    "samba": {"user": "heads", "shares": [{"path": "/tank/a"}, {"path": "/tank/b/below"}]}})");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.config.datasets.at(0).ownership->group, "");
  EXPECT_EQ(result.config.datasets.at(0).ownership->mode, 0750U);
  EXPECT_FALSE(result.config.datasets.at(1).ownership.has_value());
  EXPECT_FALSE(result.config.datasets.at(2).ownership.has_value());
}

TEST(DatasetOwnership, OfTwoSharesTheFirstDecides) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "tank/a"}]},
    "samba": {"shares": [{"name": "one", "path": "/tank/a", "valid_users": ["x"]},
                         {"name": "two", "path": "/tank/a", "valid_users": ["y"]}]}})");
  EXPECT_EQ(result.config.datasets.at(0).ownership->group, "x");
}

}  // namespace
}  // namespace phoenix::config
