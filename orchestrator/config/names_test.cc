#include "orchestrator/config/names.h"

#include <gtest/gtest.h>

#include <string>

namespace phoenix::config {
namespace {

TEST(Names, PoolNamesAreNeverVdevTypesOrOptions) {
  for (const std::string name : {"quickOS", "fastData", "a", "tank-2", "login", "rpool.old"}) {
    EXPECT_EQ(PoolNameProblem(name), std::nullopt) << name;
  }
  for (const std::string name : {"",       "mirror", "mirror2", "raidz", "raidz2",  "raidzpool", "draid",
                                 "draid1", "spare",  "log",     "cache", "special", "dedup",     "-f",
                                 "1tank",  "a b",    "a/b",     "a@b",   "a#b",     "a%b",       "päd"}) {
    EXPECT_NE(PoolNameProblem(name), std::nullopt) << name;
  }
  EXPECT_EQ(PoolNameProblem("caches"), std::nullopt);
  // "cannot create 'aaa…': name is too long", from 240 characters.
  EXPECT_EQ(PoolNameProblem(std::string(239, 'a')), std::nullopt);
  EXPECT_NE(PoolNameProblem(std::string(240, 'a')), std::nullopt);
}

TEST(Names, SambaAccountsAreThoseOfUseradd) {
  for (const std::string& name : {std::string("heads"), std::string("_a-9"), std::string(32, 'a')})
    EXPECT_EQ(SambaAccountProblem(name), std::nullopt) << name;
  for (const std::string& name :
       {std::string(), std::string("Heads"), std::string("a.b"), std::string("9a"), std::string("-a"),
        std::string("pc$"), std::string(33, 'a'), std::string("ä")})
    EXPECT_NE(SambaAccountProblem(name), std::nullopt) << name;
}

TEST(Names, DatasetNamesAreCheckedByComponent) {
  for (const std::string name : {"vm-disks", "a/b/c", "1a", "a.b", "a:b", "A_b"}) {
    EXPECT_EQ(DatasetNameProblem(name), std::nullopt) << name;
  }
  for (const std::string name :
       {"", "/a", "a/", "a//b", "-a", "a/-b", "..", "a/../b", "a@snap", "a b", "a%", "a\nb"}) {
    EXPECT_NE(DatasetNameProblem(name), std::nullopt) << name;
  }
  EXPECT_EQ(DatasetNameProblem(std::string(255, 'a')), std::nullopt);
  EXPECT_NE(DatasetNameProblem(std::string(256, 'a')), std::nullopt);
}

TEST(Names, StorageIdsAreThoseOfProxmox) {
  for (const std::string id : {"ab", "quickOS-vm-disks", "a.b_c-9"})
    EXPECT_EQ(StorageIdProblem(id), std::nullopt) << id;
  for (const std::string id : {"", "a", "1abc", "ab-", "a b", "local", "_ab", "a/b"}) {
    EXPECT_NE(StorageIdProblem(id), std::nullopt) << id;
  }
}

TEST(Names, ShareNamesCannotBreakOutOfTheirSection) {
  for (const std::string name : {"shared-prod-data", "My Files", "x$"})
    EXPECT_EQ(ShareNameProblem(name), std::nullopt);
  for (const std::string name : {"", "global", "Homes", "PRINTERS", "print$", "IPC$", "a]", "[a", "a/b",
                                 "a\nb", "%U", "a ", " a", "-a"}) {
    EXPECT_NE(ShareNameProblem(name), std::nullopt) << name;
  }
  EXPECT_NE(ShareNameProblem(std::string(81, 'a')), std::nullopt);
}

TEST(Names, UserNamesAreNoOptionsAndNoNumbers) {
  for (const std::string name : {"heads", "_svc", "a.b-c", "host$"})
    EXPECT_EQ(UserNameProblem(name), std::nullopt);
  for (const std::string name : {"", "-a", "1a", "a b", "a:b", "a/b", "$", "root\n"}) {
    EXPECT_NE(UserNameProblem(name), std::nullopt) << name;
  }
  EXPECT_NE(UserNameProblem(std::string(33, 'a')), std::nullopt);
}

TEST(Names, WorkgroupsFitNetbios) {
  EXPECT_EQ(WorkgroupProblem("WORKGROUP"), std::nullopt);
  EXPECT_NE(WorkgroupProblem("ABCDEFGHIJKLMNOP"), std::nullopt);
  EXPECT_NE(WorkgroupProblem("a b"), std::nullopt);
}

TEST(Names, AMistypedAddressIsNoHostName) {
  EXPECT_TRUE(IsHostName("nas"));
  EXPECT_TRUE(IsHostName("nas-1.example.org"));
  EXPECT_TRUE(IsHostName("3com.example"));
  for (const std::string name :
       {"", "10.0.0.300", "10.0.0", "a..b", ".a", "a.", "-a", "a-", "*.example.org", "a_b"}) {
    EXPECT_FALSE(IsHostName(name)) << name;
  }
}

TEST(Names, PathsAreNormalised) {
  EXPECT_EQ(NormalisedPath("/a/b"), "/a/b");
  EXPECT_EQ(NormalisedPath("//a///b/"), "/a/b");
  EXPECT_EQ(NormalisedPath("/"), "/");
  EXPECT_EQ(NormalisedPath("/a b/..c"), "/a b/..c");
  for (const std::string path : {"", "a/b", "/a/../b", "/a/.", "/a\nb", "/a\tb", "/ä"}) {
    EXPECT_EQ(NormalisedPath(path), std::nullopt) << path;
  }
}

}  // namespace
}  // namespace phoenix::config
