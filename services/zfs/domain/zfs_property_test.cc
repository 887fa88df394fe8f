#include "services/zfs/domain/zfs_property.h"

#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_names.h"

namespace phoenix::zfs {
namespace {

TEST(ParseSize, AsZfsComputesIt) {
  const struct {
    const char* text;
    uint64_t bytes;
  } cases[] = {{"0", 0},
               {"4096", 4096},
               {"128K", 131072},
               {"1M", 1048576},
               {"800G", 858993459200},
               {"2T", 2199023255552},
               {"1.4T", 1539316278886},
               {"1.5k", 1536},
               {"0.5K", 512},
               {".5T", 549755813888},
               {"0.001Z", 1180591620717411328},
               {"1.4000000000000000000000000000000000000000T", 1539316278886},
               {"10GB", 10737418240},
               {"10GiB", 10737418240},
               {"10gIb", 10737418240},
               {"1P", 1125899906842624},
               {"7B", 7},
               {"1.999B", 1}};
  for (const auto& one : cases) {
    const auto parsed = ParseSize(one.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, one.bytes) << one.text;
  }
  for (const char* bad : {"", "G", "-1", "1.2.3G", "1X", "1 G", "16E", "99999999999999999999", "1Gx", ".",
                          ".G", "1Gi", "0x10", "1iB", "1BB", "1Z"}) {
    EXPECT_FALSE(ParseSize(bad).ok()) << bad;
  }
}

TEST(SameValue, ComparesInNativeUnits) {
  EXPECT_TRUE(SameValue("quota", "800G", "858993459200"));
  EXPECT_TRUE(SameValue("quota", "none", "0"));
  EXPECT_TRUE(SameValue("recordsize", "1M", "1048576"));
  EXPECT_TRUE(SameValue("filesystem_limit", "none", "18446744073709551615"));
  EXPECT_TRUE(SameValue("acltype", "posixacl", "posix"));
  EXPECT_TRUE(SameValue("compression", "gzip-6", "gzip"));
  EXPECT_TRUE(SameValue("mountpoint", "/a/b/", "/a/b"));
  EXPECT_FALSE(SameValue("quota", "800G", "800000000000"));
  EXPECT_FALSE(SameValue("compression", "on", "lz4"));
  EXPECT_FALSE(SameValue("org:x", "1K", "1024"));
}

TEST(CanonicalValue, RefusesWhatZfsWouldRefuse) {
  for (const auto& [property, value] : {std::pair("atime", "yes"),
                                        {"compression", "lz5"},
                                        {"compression", "zstd-20"},
                                        {"recordsize", "100K"},
                                        {"recordsize", "32M"},
                                        {"quota", "lots"},
                                        {"sync", "true"},
                                        {"mountpoint", "relative"},
                                        {"mountpoint", "/a/../b"},
                                        {"copies", "4"},
                                        {"sharenfs", "a\nb"},
                                        {"filesystem_limit", "10K"}}) {
    EXPECT_FALSE(CanonicalValue(property, value).ok()) << property << "=" << value;
  }
  for (const auto& [property, value] : {std::pair("compression", "zstd-fast-100"),
                                        {"mountpoint", "legacy"},
                                        {"sync", "always"},
                                        {"checksum", "blake3"}}) {
    EXPECT_TRUE(CanonicalValue(property, value).ok()) << property << "=" << value;
  }
}

// It would differ for ever from the size that ZFS makes of it.
TEST(CanonicalValue, AReservationThatZfsWorksOutCannotBeDeclared) {
  const auto refused = CanonicalValue("refreservation", "auto");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("give the size, or none"), std::string_view::npos);
  EXPECT_TRUE(CanonicalValue("refreservation", "none").ok());
  EXPECT_TRUE(CanonicalValue("refreservation", "1G").ok());
}

TEST(Properties, KnowWhatCannotBeInherited) {
  EXPECT_FALSE(IsInheritable("quota"));
  EXPECT_FALSE(IsInheritable("canmount"));
  EXPECT_TRUE(IsInheritable("compression"));
  EXPECT_TRUE(IsInheritable("org:note"));
}

TEST(Names, AreStricterThanZfs) {
  for (const char* good : {"quickOS", "quickOS/vm-disks", "a/b.c_d:e-f/1"})
    EXPECT_EQ(WrongDatasetName(good), "") << good;
  for (const char* bad : {"", "/a", "a/", "a//b", "a/-b", "a/b c", "a/b@c", "a/.phoenix", "1pool/x",
                          "mirror1", "raidz2/x", "log", "a/b%", "a/ü", "a/b\n"}) {
    EXPECT_NE(WrongDatasetName(bad), "") << bad;
  }
  EXPECT_NE(WrongDatasetName("a/" + std::string(254, 'x')), "");
  EXPECT_EQ(WrongSnapshotName("a/b@c-1"), "");
  EXPECT_NE(WrongSnapshotName("a/b"), "");
  EXPECT_NE(WrongSnapshotName("a/b@c@d"), "");
}

TEST(Names, AreTakenApart) {
  EXPECT_EQ(PoolOf("a/b/c@d"), "a");
  EXPECT_EQ(ParentOf("a/b/c"), "a/b");
  EXPECT_EQ(ParentOf("a"), "");
  EXPECT_TRUE(IsBelow("a/b", "a"));
  EXPECT_TRUE(IsBelow("a", "a"));
  EXPECT_FALSE(IsBelow("ab", "a")) << "trap 11: names match by component";
  EXPECT_FALSE(IsBelow("a/b-sync", "a/b"));
  EXPECT_EQ(AsideName(KeptOf("a/b/c", "r"), "a/b/c"), "a/.phoenix/kept/r/b:c");
  EXPECT_TRUE(IsAside("a/.phoenix/kept/r/b:c", "kept"));
  EXPECT_FALSE(IsAside("a/.phoenix/kept/r", "kept"));
  EXPECT_FALSE(IsAside("a/.phoenix/kept/r/b/child", "kept"));
  EXPECT_FALSE(IsAside("a/.phoenix/trash/r/b", "kept"));
  EXPECT_TRUE(IsContainer("a/.phoenix"));
  EXPECT_TRUE(IsContainer("a/.phoenix/kept/r"));
  EXPECT_FALSE(IsContainer("a/.phoenix/kept/r/b"));
  EXPECT_FALSE(IsContainer("a/b"));
  EXPECT_EQ(DirectoryOf("/a/b"), "/a");
  EXPECT_EQ(DirectoryOf("/a"), "/");
}

// Seen in the lab: ZFS 2.3 shows what was set to "sa" as "on", which was taken for somebody else's value.
TEST(SameValue, ExtendedAttributesInInodesAreOn) {
  EXPECT_TRUE(SameValue("xattr", "on", "sa"));
  EXPECT_TRUE(SameValue("xattr", "sa", "sa"));
  EXPECT_FALSE(SameValue("xattr", "dir", "sa"));
  EXPECT_FALSE(SameValue("xattr", "off", "sa"));
  EXPECT_TRUE(SameValueIn("2.3.2", "xattr", "on", "sa"));
  EXPECT_FALSE(SameValueIn("2.2.7-pve2", "xattr", "on", "sa"));
  EXPECT_TRUE(SameValueIn("2.2.7-pve2", "xattr", "on", "dir"));
  EXPECT_TRUE(SameValueIn("2.2.7-pve2", "xattr", "sa", "sa"));
  EXPECT_TRUE(SameValueIn("2.2.7-pve2", "quota", "1K", "1024"));
}

// As the tables of libzfs have them: undo puts back what can be inherited by `zfs inherit`, and that alone.
TEST(Properties, WhatCannotBeInherited) {
  for (const char* name :
       {"context", "fscontext", "defcontext", "rootcontext", "volthreading", "quota", "canmount"})
    EXPECT_FALSE(IsInheritable(name)) << name;
  for (const char* name : {"snapdev", "volmode", "compression", "mountpoint", "org:x"})
    EXPECT_TRUE(IsInheritable(name)) << name;
  EXPECT_EQ(FindProperty("mlslabel"), nullptr) << "ZFS on Linux takes none";
}

}  // namespace
}  // namespace phoenix::zfs
