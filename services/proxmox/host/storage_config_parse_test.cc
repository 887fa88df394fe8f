// storage.cfg as the genuine reader of PVE 8.4 and 9.1 takes it: each case was seen there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/host/proxmox_parse.h"
#include "services/proxmox/host/proxmox_sim_file.h"

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(StorageConfigParse, ReadsWhatPvesmWrites) {
  const auto config = ParseStorageConfig(
      "zfspool: tg\n\tpool tank/guests\n\tcontent rootdir,images\n\tmountpoint /tank/guests\n\tnodes "
      "pve2,pve1\n"
      "\tsparse 1\n\n"
      "dir: d8\n\tpath /srv/plain\n\tcontent iso,backup\n\tcontent-dirs backup=b,iso=media/iso\n"
      "\tprune-backups keep-weekly=2,keep-last=3\n\n"
      "nfs: n6\n\tdisable\n\texport /srv/nfs/a\n\tpath /mnt/custom\n\tserver 127.0.0.1\n\tcontent images\n"
      "\toptions vers=3\n\n"
      "cifs: c1\n\tpath /mnt/pve/c1\n\tserver 127.0.0.1\n\tshare media\n\tcontent iso,backup\n\tusername "
      "smbu\n\n");
  EXPECT_THAT(config.lost, IsEmpty());
  EXPECT_THAT(config.broken, IsEmpty());
  EXPECT_THAT(config.order, ElementsAre("tg", "d8", "n6", "c1"));
  const StorageEntry& tg = config.entries.at("tg");
  EXPECT_EQ(tg.type, "zfspool");
  EXPECT_THAT(tg.content, ElementsAre("images", "rootdir"));
  EXPECT_THAT(tg.nodes, ElementsAre("pve1", "pve2"));
  EXPECT_THAT(tg.options, ElementsAre(Pair("mountpoint", "/tank/guests"), Pair("pool", "tank/guests"),
                                      Pair("sparse", "1")));
  EXPECT_EQ(config.entries.at("d8").options.at("prune-backups"), "keep-last=3,keep-weekly=2");
  EXPECT_TRUE(config.entries.at("n6").disabled);
  EXPECT_EQ(config.entries.at("c1").options.at("username"), "smbu");
}

TEST(StorageConfigParse, TheDigestIsTheSha1OfTheBytes) {
  EXPECT_EQ(ParseStorageConfig("").digest, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(ParseStorageConfig("abc").digest, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(StorageConfigParse, LocalIsThereWithoutAFile) {
  const auto config = ParseStorageConfig("");
  ASSERT_EQ(config.entries.size(), 1u);
  const StorageEntry& local = config.entries.at("local");
  EXPECT_TRUE(local.implicit);
  EXPECT_EQ(local.options.at("path"), "/var/lib/vz");
  EXPECT_THAT(local.content, ElementsAre("backup", "images", "iso", "rootdir", "snippets", "vztmpl"));
}

TEST(StorageConfigParse, LocalOfAnotherTypeOrPathIsOverriddenAndItsNodesIgnored) {
  EXPECT_TRUE(ParseStorageConfig("zfspool: local\n\tpool tank\n").entries.at("local").implicit);
  EXPECT_TRUE(ParseStorageConfig("dir: local\n\tpath /srv\n").entries.at("local").implicit);
  // Without a path the section fails, and the implicit one takes its place: nothing is broken by it.
  const auto pathless = ParseStorageConfig("dir: local\n\tcontent iso\n");
  EXPECT_TRUE(pathless.entries.at("local").implicit);
  EXPECT_THAT(pathless.broken, IsEmpty());
  const auto config = ParseStorageConfig("dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\tnodes pve2\n");
  EXPECT_FALSE(config.entries.at("local").implicit);
  EXPECT_THAT(config.entries.at("local").nodes, IsEmpty());
  EXPECT_THAT(config.entries.at("local").content, ElementsAre("iso"));
}

TEST(StorageConfigParse, AnyBlanksCarriageReturnsAndAMissingLastNewlineAreFine) {
  const auto config =
      ParseStorageConfig("zfspool:   a1  \r\n  pool   tank/x \r\n \t content\timages ; rootdir");
  EXPECT_EQ(config.entries.at("a1").options.at("pool"), "tank/x");
  EXPECT_THAT(config.entries.at("a1").content, ElementsAre("images", "rootdir"));
  EXPECT_THAT(config.lost, IsEmpty());
}

TEST(StorageConfigParse, AHeaderWithoutAnEmptyLineBeforeItIsSwallowedAndSoAreItsLines) {
  const auto config = ParseStorageConfig("dir: a1\n\tpath /a\ndir: b1\n\tpath /b\n\tcontent iso\n");
  EXPECT_EQ(config.entries.count("b1"), 0u);
  // Its path comes second and counts for nothing; its content is the first one named.
  EXPECT_EQ(config.entries.at("a1").options.at("path"), "/a");
  EXPECT_THAT(config.entries.at("a1").content, ElementsAre("iso"));
  ASSERT_EQ(config.lost.size(), 2u);
  EXPECT_THAT(config.lost[0], HasSubstr("line 3"));
  EXPECT_THAT(config.lost[0], HasSubstr("dir: b1"));
}

TEST(StorageConfigParse, ALineOfBlanksDoesNotEndASection) {
  EXPECT_EQ(ParseStorageConfig("dir: a1\n\tpath /a\n \ndir: b1\n\tpath /b\n").entries.count("b1"), 0u);
  EXPECT_EQ(ParseStorageConfig("dir: a1\n\tpath /a\n\ndir: b1\n\tpath /b\n").entries.count("b1"), 1u);
}

TEST(StorageConfigParse, OfTwoSectionsWithOneIdTheLastWins) {
  const auto config = ParseStorageConfig("zfspool: x1\n\tpool tank\n\ndir: x1\n\tpath /x\n\n");
  EXPECT_EQ(config.entries.at("x1").type, "dir");
  EXPECT_THAT(config.order, ElementsAre("x1"));
  ASSERT_EQ(config.lost.size(), 1u);
  EXPECT_THAT(config.lost[0], HasSubstr("'x1'"));
}

TEST(StorageConfigParse, IdsDifferByCase) {
  const auto config = ParseStorageConfig("zfspool: y1\n\tpool tank\n\nzfspool: Y1\n\tpool tank\n");
  EXPECT_EQ(config.entries.size(), 3u);
}

TEST(StorageConfigParse, BareWordsAreBooleans) {
  const auto config =
      ParseStorageConfig("zfspool: x1\n\tpool tank\n\tsparse\n\nzfspool: x2\n\tpool tank\n\tsparse no\n");
  EXPECT_EQ(config.entries.at("x1").options.at("sparse"), "1");
  EXPECT_EQ(config.entries.at("x2").options.at("sparse"), "0");
  // For anything else a value is needed: a pool without one is a missing pool.
  EXPECT_EQ(ParseStorageConfig("zfspool: x1\n\tpool\n").broken.size(), 1u);
}

TEST(StorageConfigParse, CommentsUnknownTypesAndPropertiesAreNamedAsLost) {
  const auto config = ParseStorageConfig(
      "# mine\nzfspool: x1\n\tpool tank\n  # inside\n\tcolour red\n\nnosuch: y1\n\tthing 1\n\n1bad: "
      "z\n\tpath /z\n\nnonsense\n");
  EXPECT_THAT(config.lost, ElementsAre(HasSubstr("# mine"), HasSubstr("# inside"), HasSubstr("colour red"),
                                       HasSubstr("nosuch: y1"), HasSubstr("thing 1"), HasSubstr("1bad: z"),
                                       HasSubstr("path /z"), HasSubstr("nonsense")));
  EXPECT_THAT(config.broken, IsEmpty());
  EXPECT_EQ(config.entries.size(), 2u);
}

TEST(StorageConfigParse, AnUnknownContentWordDropsItsLineAndTheDefaultTakesItsPlace) {
  const auto config =
      ParseStorageConfig("dir: x1\n\tpath /x\n\tcontent iso,films\n\nnfs: n1\n\tserver s\n\texport /e\n");
  EXPECT_THAT(config.entries.at("x1").content, ElementsAre("images", "rootdir"));
  EXPECT_THAT(config.entries.at("n1").content, ElementsAre("images"));
}

TEST(StorageConfigParse, AContentOfAnotherTypeIsDroppedAndWithoutAnyLeftTheFileIsBroken) {
  EXPECT_THAT(ParseStorageConfig("zfspool: x1\n\tpool t\n\tcontent images,iso\n").entries.at("x1").content,
              ElementsAre("images"));
  const auto config = ParseStorageConfig("zfspool: x1\n\tpool t\n\tcontent iso\n");
  ASSERT_EQ(config.broken.size(), 1u);
  EXPECT_THAT(config.broken[0], HasSubstr("'x1'"));
}

TEST(StorageConfigParse, AMissingRequiredOptionIsFatalForTheWholeCluster) {
  EXPECT_THAT(ParseStorageConfig("zfspool: x1\n\tcontent images\n").broken, ElementsAre(HasSubstr("'pool'")));
  EXPECT_THAT(ParseStorageConfig("\n\npbs: b1\n\tserver s\n").broken, ElementsAre(HasSubstr("(line 3)")));
  // These two fill in their path by themselves.
  EXPECT_THAT(ParseStorageConfig("cifs: c1\n\tserver s\n\tshare m\n").broken, IsEmpty());
}

TEST(StorageConfigParse, TypesThatPhoenixDoesNotManageKeepAllTheirOptions) {
  const auto config =
      ParseStorageConfig("pbs: b1\n\tserver s\n\tdatastore d\n\tfingerprint aa:bb\n\tcontent backup\n");
  EXPECT_EQ(config.entries.at("b1").options.at("fingerprint"), "aa:bb");
  EXPECT_THAT(config.lost, IsEmpty());
}

TEST(StorageConfigParse, NeverFailsOnRubbish) {
  std::string text;
  uint64_t seed = 7;
  for (int i = 0; i < 20000; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    text += "\n\n\n\t  ::ab#,=1\0\xff/"[(seed >> 33) % 18];
    if (i % 40 == 0) text += "dir: x1\n\tpath ";
  }
  EXPECT_EQ(ParseStorageConfig(text).digest.size(), 40u);
}

TEST(SimStorageConfig, WhatIsWrittenReadsTheSameInWhateverOrder) {
  const auto config = ParseStorageConfig(
      "dir: d8\n\tdisable\n\tpath /srv\n\tcontent iso,backup,vztmpl,snippets\n\tnodes a,b,c,d\n\n"
      "zfspool: tg\n\tpool tank/guests\n\tsparse\n");
  std::set<std::string> texts;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::string text = WriteStorageConfig(config, {}, seed);
    texts.insert(text);
    const auto again = ParseStorageConfig(text);
    for (const auto& [id, entry] : config.entries) {
      EXPECT_EQ(CanonicalText(again.entries.at(id)), CanonicalText(entry)) << text;
    }
  }
  EXPECT_GT(texts.size(), 10u);
}

TEST(SimStorageConfig, KeysComeInTheGenuineOrder) {
  const auto config = ParseStorageConfig(
      "nfs: n6\n\toptions vers=3\n\tserver 127.0.0.1\n\tcontent images\n\tpath "
      "/mnt/custom\n\tdisable\n\texport /srv/nfs/a\n");
  EXPECT_THAT(WriteStorageConfig(config, {}, 1),
              HasSubstr("nfs: n6\n\tdisable\n\texport /srv/nfs/a\n\tpath /mnt/custom\n\tserver 127.0.0.1\n"
                        "\tcontent images\n\toptions vers=3\n\n"));
  EXPECT_THAT(WriteStorageConfig(config, {"n6"}, 1),
              ::testing::Not(HasSubstr("\tcontent images\n\toptions")));
}

}  // namespace
}  // namespace phoenix::proxmox
