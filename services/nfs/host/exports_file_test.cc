#include "services/nfs/host/exports_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "services/nfs/domain/client.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/domain/export_options.h"

namespace phoenix::nfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string TestData(const std::string& name) {
  std::ifstream file(std::string(PHOENIX_TESTDATA) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

std::vector<std::string> Lines(const std::vector<ForeignExport>& entries) {
  std::vector<std::string> lines;
  for (const auto& entry : entries) {
    lines.push_back(fmt::format("{}: {} {}({}){}", entry.line, entry.path, entry.client,
                                JoinOptions(entry.options), entry.dropped ? " dropped" : ""));
  }
  return lines;
}

// What exportfs made of the file beside it, option by option: transcripts of nfs-utils 2.6.2.
TEST(ExportsFile, ReadsAsExportfsDoes) {
  for (const char* name : {"plain", "flavours", "options", "lies"}) {
    const auto parsed = ParseExportsFile(TestData(std::string(name) + ".exports"));
    const auto table = ParseExportTable(TestData(std::string(name) + ".etab"));
    NfsState state;
    state.foreign = parsed.entries;
    state.live = table;
    EXPECT_THAT(ByHand(state), IsEmpty()) << name;
    size_t live = 0;
    for (const auto& entry : parsed.entries) {
      if (entry.dropped || entry.client == "no.such.host.invalid") continue;
      ++live;
      const auto found = std::find_if(table.begin(), table.end(), [&](const LiveExport& one) {
        return one.path == entry.path && one.client == entry.client;
      });
      ASSERT_NE(found, table.end()) << name << ": " << entry.path << " " << entry.client;
      EXPECT_TRUE(TableSays(found->options, entry.options))
          << name << ": " << entry.path << " " << entry.client;
    }
    EXPECT_EQ(table.size(), live) << name;
  }
}

// `exportfs -s` leaves out what is default, and "insecure" too.
TEST(ExportTable, ReadsTheExportFormat) {
  const auto live = ParseExportTable(TestData("plain.exportfs-s"));
  std::vector<std::string> entries;
  for (const auto& one : live) entries.push_back(one.path + " " + one.client);
  EXPECT_THAT(entries, ElementsAre("/mnt/a 192.168.1.5", "/mnt/c d fe80::1", "/mnt/b 127.0.0.1",
                                   "/mnt/a 10.0.0.0/24", "/mnt/c d fd00::/64", "/mnt/b 10.1.0.0/255.255.0.0",
                                   "/mnt/c d @grp", "/mnt/c d *"));
  EXPECT_EQ(Meaning(live[3].options), Meaning({"rw", "sync", "no_subtree_check", "no_root_squash"}));
}

TEST(ExportsFile, N3_ABlankBeforeTheOptionsMakesTwoClients) {
  EXPECT_THAT(Lines(ParseExportsFile("/a 10.0.0.0/24 (rw)\n").entries),
              ElementsAre("1: /a 10.0.0.0/24()", "1: /a *(rw)"));
}

TEST(ExportsFile, N3_AnOpenQuoteSwallowsTheNextLines) {
  const auto parsed = ParseExportsFile("\"/a 10.0.0.1(rw)\n/b 10.0.0.2(rw)\n");
  ASSERT_EQ(parsed.entries.size(), 1u);
  EXPECT_EQ(parsed.entries[0].path, "/a 10.0.0.1(rw)\n/b 10.0.0.2(rw)\n");
}

TEST(ExportsFile, N2_WhatFollowsABadLineIsDropped) {
  const auto parsed = ParseExportsFile("/a 10.0.0.1(rw)\n/b 10.0.0.1(rw,noatime)\n/c 10.0.0.1(rw)\n");
  EXPECT_THAT(Lines(parsed.entries), ElementsAre("1: /a 10.0.0.1(rw)", "2: /b 10.0.0.1(rw,noatime) dropped",
                                                 "3: /c 10.0.0.1(rw) dropped"));
  ASSERT_EQ(parsed.problems.size(), 1u);
  EXPECT_EQ(parsed.problems[0].line, 2);
}

// exportfs takes them in lines of others, though Phoenix writes none.
TEST(ExportsFile, OptionsThatPhoenixDoesNotUseDropNothing) {
  const auto parsed = ParseExportsFile(
      "/a 10.0.0.1(rw,security_label)\n/b 10.0.0.1(rw,xprtsec=tls:mtls)\n/c "
      "10.0.0.1(rw,reexport=auto-fsidnum)\n");
  EXPECT_TRUE(parsed.problems.empty());
  for (const ForeignExport& entry : parsed.entries) EXPECT_FALSE(entry.dropped) << entry.path;
  EXPECT_EQ(parsed.entries.size(), 3u);
  EXPECT_TRUE(parsed.newer_options);
}

// xprtsec= and reexport= came after nfs-utils 2.6.2.
TEST(ExportsFile, OptionsOfALaterVersionDropTheRestInDebian12) {
  const auto parsed =
      ParseExportsFile("/a 10.0.0.1(rw)\n/b *(ro,xprtsec=tls)\n/c *(ro)\n", /*knows_newer=*/false);
  EXPECT_THAT(Lines(parsed.entries),
              ElementsAre("1: /a 10.0.0.1(rw)", "2: /b *(ro,xprtsec=tls) dropped", "3: /c *(ro) dropped"));
  EXPECT_TRUE(parsed.newer_options);
  EXPECT_FALSE(ParseExportsFile("/a 10.0.0.1(rw,security_label)\n").newer_options);
}

TEST(ExportsFile, ContinuationsCommentsAndDefaults) {
  EXPECT_THAT(
      Lines(ParseExportsFile("# one # two\n\n  /a \\\n \t 10.0.0.1(ro) # three\n/b -rw,async a b(sync)\n/c\n"
                             "/d#e *(ro)\n/f h(mp=/x\\040y)")
                .entries),
      ElementsAre("3: /a 10.0.0.1(ro)", "5: /b a(rw,async)", "5: /b b(rw,async,sync)", "6: /c ()",
                  "7: /d#e *(ro)", "8: /f h(mp=/x y)"));
  // Wherever a word of defaults stands, a client follows, and be it everyone.
  EXPECT_THAT(Lines(ParseExportsFile("/a h(ro) -rw\n/b -rw -ro\n").entries),
              ElementsAre("1: /a h(ro)", "1: /a (rw)", "2: /b -ro(rw)"));
}

// It is taken along with the word that it ends; only the end of a line is left for the next look.
TEST(ExportsFile, ACarriageReturnEndsAWordAsInExportfs) {
  EXPECT_THAT(Lines(ParseExportsFile("/a 10.0.0.1(rw)\r\n/b 10.0.0.2(ro) \r\n/c\r\n").entries),
              ElementsAre("1: /a 10.0.0.1(rw)", "2: /b 10.0.0.2(ro)", "3: /c ()"));
  EXPECT_THAT(Lines(ParseExportsFile("/a\v10.0.0.1(rw)\f10.0.0.2(ro)\n").entries),
              ElementsAre("1: /a 10.0.0.1(rw)", "1: /a 10.0.0.2(ro)"));
  // Alone it is a client without a name, which ends the line.
  EXPECT_THAT(Lines(ParseExportsFile("/a 10.0.0.1(rw) \r /b 10.0.0.2(rw)\n").entries),
              ElementsAre("1: /a 10.0.0.1(rw)", "1: /b 10.0.0.2(rw)"));
  // And where a path is due, the file.
  const auto parsed = ParseExportsFile("/a 10.0.0.1(rw)\r\n\r\n/b 10.0.0.2(ro)\r\n");
  EXPECT_THAT(Lines(parsed.entries), ElementsAre("1: /a 10.0.0.1(rw)", "3: /b 10.0.0.2(ro) dropped"));
  ASSERT_EQ(parsed.problems.size(), 1u);
  EXPECT_EQ(parsed.problems[0].line, 2);
  EXPECT_EQ(ParseExportTable("/a\t10.0.0.1(rw)\r\n\r/b\t*(ro)\n").size(), 1u);
}

// What Phoenix would not write is no mistake in a file of others, and its export is not one made by hand.
TEST(ExportsFile, WhatExportfsTakesFromOthersDropsNothing) {
  std::string text = "/srv \"10.0.0.1(rw, sync)\"\n";
  NfsState state;
  state.live.push_back({"/srv", "10.0.0.1", {"rw"}});
  int number = 0;
  for (const char* options :
       {"anonuid=-2,anongid=-2", "fsid=0x10", "fsid=010", "fsid=-1", "squash_uids=0-15,rw", "squash_gids=7",
        "mp=tank", "mp=", "refer=nas", "replicas=", "security_label", "rw,",
        "fsid=1f0c7c8e/2222/3333/4444/555555555555"}) {
    const std::string path = fmt::format("/srv/{}", ++number);
    text += fmt::format("{} 10.0.0.1({})\n", path, options);
    state.live.push_back({path, "10.0.0.1", {"rw"}});
  }
  const auto parsed = ParseExportsFile(text);
  for (const ExportsProblem& problem : parsed.problems) {
    ADD_FAILURE() << problem.line << ": " << problem.text;
  }
  for (const ForeignExport& entry : parsed.entries) EXPECT_FALSE(entry.dropped) << entry.path;
  state.foreign = parsed.entries;
  EXPECT_THAT(ByHand(state), IsEmpty());
}

TEST(ExportsFile, WhatExportfsDoesNotTakeDropsTheRest) {
  for (const char* options :
       {"rw,,sync", ",rw", "rw ,sync", "squash_uids=0-15,20", "squash_uids=-1", "squash_gids=a", "fsid=08",
        "fsid=", "anonuid=", "anonuid=1x", "sec=sys:", "sec=krb6", "refer", "crossmnt=", "xprtsec=ssl",
        "reexport=some", "reexport=none,fsid=5", "reexport=none,reexport=none"}) {
    const auto parsed = ParseExportsFile(fmt::format("/a \"10.0.0.1({})\"\n/b *(ro)\n", options));
    EXPECT_EQ(parsed.problems.size(), 1u) << options;
    for (const ForeignExport& entry : parsed.entries) {
      EXPECT_TRUE(entry.dropped) << options << " " << entry.path;
    }
  }
}

TEST(OwnFile, IsOneTextForOneSetOfExports) {
  OwnExports exports;
  exports["/b c"] = {"/b c", {{"10.0.0.0/24", {"rw", "sync"}}, {"@g", {"ro"}}}};
  exports["/a"] = {"/a", {{"*", {"ro"}}}};
  EXPECT_THAT(RenderOwnFile(exports),
              ::testing::EndsWith("\n\"/a\" *(ro)\n\"/b\\040c\" 10.0.0.0/24(rw,sync) @g(ro)\n"));
  std::string problem;
  EXPECT_EQ(ParseOwnFile(RenderOwnFile(exports), &problem), exports);
  EXPECT_EQ(problem, "");
}

TEST(OwnFile, AnyOtherByteIsSeen) {
  OwnExports exports;
  exports["/a"] = {"/a", {{"*", {"ro"}}}};
  const std::string text = RenderOwnFile(exports);
  for (const std::string& changed :
       {text + "\n", text + "/b *(ro)\n", text.substr(1), "# mine\n" + text, std::string(),
        text.substr(0, text.size() - 1), text + "\"/b\" *(bad)\n"}) {
    std::string problem;
    ParseOwnFile(changed, &problem);
    EXPECT_NE(problem, "") << changed;
  }
}

TEST(OwnFile, TheReaderIsAskedBeforeAFileIsPutInPlace) {
  OwnExports exports;
  exports["/a"] = {"/a", {{"10.0.0.0/24 ", {"rw"}}}};  // the blank of trap N3
  std::string difference;
  EXPECT_FALSE(ReadsBackAs(RenderOwnFile(exports), exports, &difference));
  EXPECT_NE(difference, "");
  exports["/a"] = {"/a", {{"10.0.0.0/24", {"rw"}}}};
  EXPECT_TRUE(ReadsBackAs(RenderOwnFile(exports), exports, &difference)) << difference;
}

// Whatever is exported, rendering and reading it gives the same, and once more the same bytes.
TEST(OwnFile, ReadsBackAsWritten) {
  const std::vector<std::string> clients = {"*",   "10.0.0.0/24", "10.0.0.7", "2001:db8::/32", "fe80::1",
                                            "box", "@group",      "*.lan",    "a-b.c_d"};
  const std::vector<std::string> options = {
      "rw",         "ro",         "sync",      "async",  "no_root_squash", "mountpoint",
      "mp=/tank/x", "anonuid=10", "sec=krb5p", "fsid=0", "crossmnt"};
  const std::string letters = "ab/ \t\"\\#()-,'$*\xc3\xa9\x7f 89%~\n";
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
    OwnExports exports;
    for (size_t i = below(6); i > 0; --i) {
      std::string path = "/";
      for (size_t length = 1 + below(20); length > 0; --length) path += letters[below(letters.size())];
      ExportEntry& entry = exports[path];
      entry = {path, {}};
      for (const auto& client : clients) {
        if (below(3) == 0) continue;
        ClientEntry one{client, {}};
        for (size_t count = below(5); count > 0; --count)
          one.options.push_back(options[below(options.size())]);
        entry.clients.push_back(one);
      }
      if (entry.clients.empty()) entry.clients.push_back({"*", {}});
      std::sort(entry.clients.begin(), entry.clients.end(),
                [](const auto& a, const auto& b) { return a.client < b.client; });
    }
    std::string difference;
    ASSERT_TRUE(ReadsBackAs(RenderOwnFile(exports), exports, &difference))
        << "seed " << seed << ": " << difference;
  }
}

// exportfs decodes what it has decoded: such a path cannot be written at all, and the check before the rename
// sees it.
TEST(OwnFile, ABackslashBeforeDigitsDoesNotReadBack) {
  OwnExports exports;
  exports["/a\\101"] = {"/a\\101", {{"*", {"ro"}}}};
  std::string difference;
  EXPECT_FALSE(ReadsBackAs(RenderOwnFile(exports), exports, &difference));
}

// The readers meet text of others: whatever it is, they end and stay within it.
TEST(ExportsFile, SurvivesAnyText) {
  const std::string letters = "/a*(),=\"\\#- \t\n\r\v\frw01234567@.";
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    std::string text;
    for (size_t length = random() % 80; length > 0; --length) text += letters[random() % letters.size()];
    const auto parsed = ParseExportsFile(text);
    EXPECT_LE(parsed.problems.size(), 1u);
    ParseExportTable(text);
    std::string problem;
    ParseOwnFile(text, &problem);
    EXPECT_NE(problem, "");
  }
}

}  // namespace
}  // namespace phoenix::nfs
