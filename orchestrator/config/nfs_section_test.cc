#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "orchestrator/config/finding_labels.h"
#include "orchestrator/config/loader.h"
#include "orchestrator/config/nfs_grammar.h"

namespace phoenix::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One export with these members besides its path.
LoadResult LoadExport(const std::string& members) {
  return Load(fmt::format(R"({{"zfs": {{"pools": [{{"name": "tank"}}], "datasets": [{{"name": "tank/a"}}]}},
                               "nfs": {{"exports": [{{"path": "/tank/a", {}}}]}}}})",
                          members));
}

LoadResult LoadOptions(const std::string& options) {
  return LoadExport(fmt::format(R"("clients": ["10.0.0.0/24"], "options": {})", options));
}

TEST(NfsClients, GrammarIsAddressSubnetHostOrNetgroup) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"10.0.0.111", "10.0.0.111"},
      {"10.0.0.0/24", "10.0.0.0/24"},
      {"10.0.0.1/32", "10.0.0.1"},
      {"2001:db8::1", "2001:db8::1"},
      {"2001:DB8:0:0::1", "2001:db8::1"},
      {"fd00::/64", "fd00::/64"},
      {"nas", "nas"},
      {"nas.example.org", "nas.example.org"},
      {"@hosts", "@hosts"},
  };
  for (const auto& [text, canonical] : cases) {
    const auto client = ParseNfsClient(text);
    ASSERT_TRUE(client.ok()) << text;
    EXPECT_EQ(client->canonical, canonical);
    EXPECT_FALSE(client->had_host_bits);
  }
  for (const std::string text :
       {"", "*", "*.example.org", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.300", "10.0.0",
        "0.0.0.0/0", "::/0", "nas/24", "@", "@a b", "10.0.0.0/24 (rw)", "a b", "nas(rw)",
        "10.0.0.0/255.255.255.0", "-a", "#x"}) {
    EXPECT_FALSE(ParseNfsClient(text).ok()) << text;
  }
}

TEST(NfsClients, AnAddressWithAPrefixMeansItsSubnet) {
  EXPECT_EQ(ParseNfsClient("10.0.0.13/24")->canonical, "10.0.0.0/24");
  EXPECT_EQ(ParseNfsClient("10.0.0.13/30")->canonical, "10.0.0.12/30");
  EXPECT_EQ(ParseNfsClient("fd00::5/64")->canonical, "fd00::/64");
  const auto result = LoadExport(R"("clients": ["10.0.0.13/24"], "options": ["ro"])");
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result.config.exports.at(0).clients, ElementsAre("10.0.0.0/24"));
  EXPECT_THAT(Labels(result.findings.lints), ElementsAre("client-host-bits@$.nfs.exports[0].clients[0]"));
}

TEST(NfsExports, TodaysFormLoads) {
  const auto result = Load(R"({"zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "tank/a"}]},
    "nfs": {"exports": [{"path": "/tank/a/", "clients": ["10.0.0.111", "10.0.0.13"],
                         "options": ["rw", "sync", "no_subtree_check", "no_root_squash"]}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.findings.lints, IsEmpty());
  const NfsExport& entry = result.config.exports.at(0);
  EXPECT_EQ(entry.path, "/tank/a");
  EXPECT_EQ(entry.dataset, "tank/a");
  EXPECT_THAT(entry.clients, ElementsAre("10.0.0.111", "10.0.0.13"));
  EXPECT_THAT(entry.options, ElementsAre("rw", "sync", "no_subtree_check", "no_root_squash"));
}

TEST(NfsExports, OlderSharesNameADatasetAndFallBackOnTheDefaultSubnet) {
  const auto result = Load(R"({"network": {"default_subnet": "10.0.0.0/24"},
    "zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "tank/a", "mountpoint": "/srv/a"}, {"name": "tank/b"}]},
    "nfs": {"shares": [{"path": "tank/a", "options": "rw,async, no_subtree_check"},
                       {"path": "tank/b/sub", "options": "ro"},
                       {"path": "srv/elsewhere", "options": "ro"}]}})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  ASSERT_EQ(result.config.exports.size(), 3U);
  EXPECT_EQ(result.config.exports[0].path, "/srv/a");
  EXPECT_EQ(result.config.exports[0].dataset, "tank/a");
  EXPECT_THAT(result.config.exports[0].clients, ElementsAre("10.0.0.0/24"));
  EXPECT_THAT(result.config.exports[0].options, ElementsAre("rw", "async", "no_subtree_check"));
  EXPECT_EQ(result.config.exports[1].path, "/tank/b/sub");
  EXPECT_EQ(result.config.exports[2].path, "/srv/elsewhere");
  EXPECT_EQ(result.config.exports[2].dataset, "");
}

TEST(NfsExports, NoClientsAndNoSubnetIsAnErrorAndSoIsAnEmptyList) {
  EXPECT_THAT(Labels(LoadExport(R"("options": ["ro"])").findings.errors),
              ElementsAre("missing@$.nfs.exports[0].clients"));
  const auto empty = Load(R"({"network": {"default_subnet": "10.0.0.0/24"},
                              "nfs": {"exports": [{"path": "/x", "clients": [], "options": ["ro"]}]}})");
  EXPECT_THAT(Labels(empty.findings.errors), ElementsAre("missing@$.nfs.exports[0].clients"));
  EXPECT_THAT(empty.config.exports, IsEmpty());
}

TEST(NfsExports, EveryBadClientIsNamed) {
  const auto result = LoadExport(R"("clients": ["*", "10.0.0.1", "10.0.0.999", 5], "options": ["ro"])");
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("wrong-type@$.nfs.exports[0].clients[3]",
                                                          "invalid-client@$.nfs.exports[0].clients[0]",
                                                          "invalid-client@$.nfs.exports[0].clients[2]"));
  EXPECT_THAT(result.findings.errors[1].ToString(), HasSubstr("10.0.0.0/24"));
}

TEST(NfsOptions, EveryOptionOfExportsPasses) {
  for (const char* option : {"rw",
                             "ro",
                             "sync",
                             "async",
                             "secure",
                             "insecure",
                             "wdelay",
                             "no_wdelay",
                             "hide",
                             "nohide",
                             "crossmnt",
                             "nocrossmnt",
                             "subtree_check",
                             "no_subtree_check",
                             "root_squash",
                             "no_root_squash",
                             "all_squash",
                             "no_all_squash",
                             "secure_locks",
                             "insecure_locks",
                             "auth_nlm",
                             "no_auth_nlm",
                             "acl",
                             "no_acl",
                             "pnfs",
                             "no_pnfs",
                             "nordirplus",
                             "mountpoint",
                             "mp",
                             "mountpoint=/a/b",
                             "fsid=0",
                             "fsid=root",
                             "fsid=6a5f2a3c-8a5c-4b0a-9d37-0d9c0c6c2f11",
                             "anonuid=1000",
                             "anongid=65534",
                             "sec=sys",
                             "sec=krb5:krb5p",
                             "refer=/x@nas",
                             "anonuid=4294967294",
                             "replicas=/x@a:/y@b"}) {
    EXPECT_TRUE(LoadOptions(fmt::format(R"(["{}"])", option)).ok()) << option;
  }
}

// The scripts handed these on; exportfs then drops the line and every later one of the file.
TEST(NfsOptions, MountOptionsAreNamedWithTheirPlace) {
  const auto result = LoadOptions(R"(["rw", "sync", "noatime", "vers=4"])");
  ASSERT_THAT(Labels(result.findings.errors),
              ElementsAre("mount-option-in-export@$.nfs.exports[0].options[2]",
                          "mount-option-in-export@$.nfs.exports[0].options[3]"));
  EXPECT_THAT(result.findings.errors[0].message, AllOf(HasSubstr("noatime"), HasSubstr("atime=off")));
}

TEST(NfsOptions, AMountOptionInAStringNamesTheString) {
  const auto result = LoadOptions(R"("rw,async,no_subtree_check,noatime")");
  ASSERT_THAT(Labels(result.findings.errors), ElementsAre("mount-option-in-export@$.nfs.exports[0].options"));
  EXPECT_EQ(result.findings.errors[0].found, "\"noatime\"");
}

TEST(NfsOptions, UnknownWordsAndBadValuesAreErrors) {
  for (const char* wrong : {"rww",
                            "RW",
                            "anonuid",
                            "anonuid=heads",
                            "anonuid=",
                            "fsid=x",
                            "fsid=010",
                            "fsid=08",
                            "sec=ntlm",
                            "sec=",
                            "mountpoint=rel",
                            "rw)",
                            "refer=",
                            "refer=a b",
                            "ro=1",
                            "anonuid=-1",
                            "anonuid= 5",
                            "sec=sys: krb5",
                            "sec=sys::krb5",
                            "refer=/x",
                            "replicas=nas",
                            "mountpoint=/a b",
                            "fsid=4294967296",
                            "rw, sync"}) {
    const auto result = LoadOptions(fmt::format(R"(["{}"])", wrong));
    EXPECT_EQ(result.findings.errors.size(), 1U) << wrong;
    EXPECT_THAT(result.config.exports.at(0).options, IsEmpty()) << wrong;
  }
}

TEST(NfsOptions, WhatANodeCannotCompareIsSaidToBeUnsupported) {
  for (const char* option : {"security_label", "xprtsec=tls", "xprtsec", "reexport=auto-fsidnum"}) {
    EXPECT_THAT(Labels(LoadOptions(fmt::format(R"(["ro", "{}"])", option)).findings.errors),
                ElementsAre("unsupported-export-option@$.nfs.exports[0].options[1]"))
        << option;
  }
}

TEST(NfsOptions, ValuesAndOtherNamesContradictToo) {
  for (const char* wrong : {R"(["anonuid=1", "anonuid=2"])", R"(["mp=/a", "mountpoint"])",
                            R"(["secure_locks", "no_auth_nlm"])", R"(["fsid=1", "fsid=root"])"}) {
    EXPECT_THAT(Labels(LoadOptions(wrong).findings.errors),
                ElementsAre("contradicting-options@$.nfs.exports[0].options[1]"))
        << wrong;
  }
  EXPECT_TRUE(LoadOptions(R"(["insecure_locks", "no_auth_nlm", "anonuid=1", "anonuid=1"])").ok());
}

TEST(NfsOptions, ContradictionsAreErrorsUnlessAFlavourPartsThem) {
  EXPECT_THAT(Labels(LoadOptions(R"(["rw", "sync", "ro"])").findings.errors),
              ElementsAre("contradicting-options@$.nfs.exports[0].options[2]"));
  EXPECT_THAT(Labels(LoadOptions(R"(["root_squash", "no_root_squash"])").findings.errors),
              ElementsAre("contradicting-options@$.nfs.exports[0].options[1]"));
  const auto flavours = LoadOptions(R"(["sec=krb5", "rw", "sec=sys", "ro"])");
  ASSERT_TRUE(flavours.ok());
  EXPECT_THAT(flavours.config.exports.at(0).options, ElementsAre("sec=krb5", "rw", "sec=sys", "ro"));
}

TEST(NfsOptions, RepeatsAreDroppedAndAnOpenModeIsALint) {
  const auto result = LoadOptions(R"(["sync", "sync"])");
  EXPECT_THAT(result.config.exports.at(0).options, ElementsAre("sync"));
  EXPECT_THAT(Labels(result.findings.lints), ElementsAre("export-mode-open@$.nfs.exports[0]"));
}

TEST(NfsExports, OnePathMayGoToDifferentClientsButNotTwiceToOne) {
  const auto result = Load(R"({"nfs": {"exports": [
    {"path": "/a", "clients": ["10.0.0.1"], "options": ["rw"]},
    {"path": "/a", "clients": ["10.0.0.2"], "options": ["ro"]},
    {"path": "/a", "clients": ["10.0.0.3", "10.0.0.1"], "options": ["ro"]}]}})");
  EXPECT_EQ(result.config.exports.size(), 2U);
  EXPECT_THAT(Labels(result.findings.errors), ElementsAre("duplicate-export@$.nfs.exports[2]"));
}

// The server takes an address before a subnet; which of two subnets it takes is its own affair.
TEST(NfsExports, SubnetsOfOnePathOverlapOnlyWithTheSameOptions) {
  const auto load = [](const char* first, const char* options, const char* second, const char* others) {
    return Load(fmt::format(R"({{"nfs": {{"exports": [
        {{"path": "/a", "clients": "{}", "options": "{}"}}, {{"path": "/a", "clients": "{}", "options": "{}"}}]}}}})",
                            first, options, second, others));
  };
  struct Case {
    const char* first;
    const char* second;
  };
  const std::vector<Case> subnets = {{"fd00:1::/32", "fd00::/16"}, {"10.0.0.0/24", "10.0.0.0/25"}};
  const std::vector<Case> addresses = {
      {"10.0.0.0/24", "10.0.0.7"}, {"10.0.0.7", "10.0.0.0/8"}, {"fd00::/16", "fd00::1"}};
  for (const Case& c : subnets) {
    EXPECT_THAT(Labels(load(c.first, "ro", c.second, "rw").findings.errors),
                ElementsAre("contradicting-clients@$.nfs.exports[1]"))
        << c.second;
  }
  for (const Case& c : addresses) {
    const auto result = load(c.first, "ro", c.second, "rw");
    EXPECT_TRUE(result.ok()) << Render(result.findings.errors);
    ASSERT_THAT(PathsOf(result.findings.lints, "overlapping-clients"), ElementsAre("$.nfs.exports[1]"));
    EXPECT_THAT(Render(result.findings.lints), HasSubstr("gets its own options, all others of"));
  }
  for (const auto* cases : {&subnets, &addresses}) {
    for (const Case& c : *cases) {
      for (const char* same : {"ro", "ro,sync,secure", "root_squash,anonuid=65534,sec=sys"}) {
        const auto fine = load(c.first, "ro", c.second, same);
        EXPECT_TRUE(fine.ok()) << Render(fine.findings.errors);
        EXPECT_THAT(PathsOf(fine.findings.lints, "overlapping-clients"), ElementsAre("$.nfs.exports[1]"));
      }
    }
  }
  for (const Case& c :
       {Case{"10.0.0.0/24", "10.0.1.7"}, Case{"10.0.0.7", "nas"}, Case{"@a", "@b"}, Case{"0.0.0.1", "::1"}}) {
    const auto result = load(c.first, "ro", c.second, "rw");
    EXPECT_TRUE(result.ok()) << c.second;
    EXPECT_THAT(PathsOf(result.findings.lints, "overlapping-clients"), IsEmpty()) << c.second;
  }
  EXPECT_THAT(Labels(load("nas.example", "ro", "NAS.example", "rw").findings.errors),
              ElementsAre("duplicate-export@$.nfs.exports[1]"));
  const auto within = Load(R"({"nfs": {"exports": [{"path": "/a", "clients": ["10.0.0.7", "10.0.0.0/24"],
                                                    "options": "ro"}]}})");
  EXPECT_TRUE(within.ok());
  EXPECT_THAT(PathsOf(within.findings.lints, "overlapping-clients"),
              ElementsAre("$.nfs.exports[0].clients[1]"));
}

TEST(NfsExports, PathsThatExportfsReadsOtherwiseAreRefused) {
  for (const std::string& path : {std::string(R"(/a\\134b)"), "/" + std::string(1024, 'x')}) {
    const auto result = Load(fmt::format(
        R"({{"nfs": {{"exports": [{{"path": "{}", "clients": "10.0.0.1", "options": "ro"}}]}}}})", path));
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre("invalid-path@$.nfs.exports[0].path"));
  }
}

TEST(NfsExports, PathsAreRequiredAndClean) {
  const auto result = Load(R"({"network": {"default_subnet": "10.0.0.0/24"}, "nfs": {"exports": [
    {"options": ["ro"]}, {"path": "/a/../b", "options": ["ro"]}, {"path": "/", "options": ["ro"]},
    {"path": "", "options": ["ro"]}, {"path": "/a\nb", "options": ["ro"]}, {"path": 1, "options": ["ro"]}, "x"]}})");
  EXPECT_THAT(Labels(result.findings.errors),
              testing::UnorderedElementsAre(
                  "missing@$.nfs.exports[0].path", "invalid-path@$.nfs.exports[1].path",
                  "invalid-path@$.nfs.exports[2].path", "invalid-path@$.nfs.exports[3].path",
                  "invalid-path@$.nfs.exports[4].path", "wrong-type@$.nfs.exports[5].path",
                  "wrong-type@$.nfs.exports[6]"));
}

}  // namespace
}  // namespace phoenix::config
