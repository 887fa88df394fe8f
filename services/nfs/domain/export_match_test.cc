#include "services/nfs/domain/export_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/nfs/domain/export_options.h"

namespace phoenix::nfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

LiveExport Live(std::string path, std::string client, std::string_view options) {
  return {std::move(path), std::move(client), SplitOptions(TableText(Meaning(SplitOptions(options))))};
}

TEST(DifferencesOf, TheTableSaysTheSameInOtherWords) {
  const ExportEntry entry{"/a", {{"10.0.0.0/24", {"rw", "sync"}}, {"@grp", {"ro"}}}};
  EXPECT_THAT(DifferencesOf(
                  entry, {Live("/a", "@grp", "ro"), Live("/b", "*", "rw"), Live("/a", "10.0.0.0/24", "rw")}),
              IsEmpty());
}

TEST(KeptByKernel, IsWhatTheTableHasNoMore) {
  const std::vector<LiveExport> table = {Live("/a", "10.0.0.0/24", "rw"), Live("/a", "@grp", "ro"),
                                         Live("/b", "*", "ro")};
  const auto kept = KeptByKernel(
      {
          {"/a", "10.0.0.0/24,@grp", {"rw"}},
          {"/a", "$10.0.0.7", {"rw"}},
          {"/b", "*", {"ro", "uuid=1e796a22:00e5ae25:00000000:00000000"}},
          {"/", "*", {"ro", "v4root"}},
          {"/a", "*", {"rw"}},
          {"/gone", "*", {"rw"}},
          {"/gone", "$10.0.0.7", {"rw"}},
      },
      table);
  ASSERT_THAT(kept, SizeIs(3));
  EXPECT_EQ(kept[0].path, "/a") << "nobody has it as *";
  EXPECT_EQ(kept[1].path, "/gone");
  EXPECT_EQ(kept[2].path, "/gone");
}

// mountd puts the name together before it knows which path is asked for.
TEST(KeptByKernel, NamesOfOtherPathsClientsAreNoTrace) {
  const std::vector<LiveExport> table = {Live("/a", "10.0.0.0/24", "rw"), Live("/b", "10.0.0.0/16", "ro"),
                                         Live("/b", "*", "ro")};
  EXPECT_THAT(
      KeptByKernel({{"/a", "*,10.0.0.0/16,10.0.0.0/24", {"rw"}}, {"/b", "*,10.0.0.0/16,10.0.0.0/24", {"ro"}}},
                   table),
      IsEmpty());
  EXPECT_THAT(KeptByKernel({{"/a", "*,10.0.0.0/16", {"rw"}}}, table), SizeIs(1));
}

TEST(KeptByKernel, ASubmountOfCrossmntIsServed) {
  const std::vector<LiveExport> table = {Live("/tank", "10.0.0.0/24", "rw,crossmnt"),
                                         Live("/srv", "*", "ro")};
  EXPECT_THAT(KeptByKernel({{"/tank/a", "10.0.0.0/24", {"rw"}}, {"/tank/a/b", "$10.0.0.7", {"rw"}}}, table),
              IsEmpty());
  EXPECT_THAT(
      KeptByKernel(
          {{"/tank/a", "10.9.0.0/16", {"rw"}}, {"/tanks", "10.0.0.0/24", {"rw"}}, {"/srv/a", "*", {"ro"}}},
          table),
      SizeIs(3));
  EXPECT_THAT(KeptByKernel({{"/tank/a", "*", {"rw"}}}, {Live("/", "*", "rw,crossmnt")}), IsEmpty());
}

TEST(DifferencesOf, NamesEveryDifference) {
  const ExportEntry entry{"/a", {{"10.0.0.0/24", {"rw"}}, {"@grp", {"ro"}}}};
  EXPECT_THAT(DifferencesOf(entry, {Live("/a", "10.0.0.0/24", "ro"), Live("/a", "*", "rw")}),
              ElementsAre(HasSubstr("/a is exported to 10.0.0.0/24 with ro,"), "/a is not exported to @grp",
                          "/a is also exported to *"));
}

// Measured: an address with a name in /etc/hosts stands in the table by that name.
TEST(DifferencesOf, HostsAndAddressesMayStandThereByTheirCanonicalNames) {
  const ExportEntry entry{"/a", {{"192.168.1.5", {"rw"}}, {"box", {"ro"}}}};
  EXPECT_THAT(DifferencesOf(entry, {Live("/a", "n1.example", "rw"), Live("/a", "box.example", "ro")}),
              IsEmpty());
  EXPECT_THAT(DifferencesOf(entry, {Live("/a", "n1.example", "rw"), Live("/a", "box.example", "rw")}),
              SizeIs(2));
  EXPECT_THAT(DifferencesOf({"/a", {{"10.0.0.0/24", {"rw"}}}}, {Live("/a", "n1.example", "rw")}), SizeIs(2));
}

TEST(ByHand, IsWhatNoFileExplains) {
  NfsState state;
  state.own["/a"] = {"/a", {{"10.0.0.0/24", {"rw"}}}};
  state.foreign = {{"/etc/exports", 1, "/b", "", {}, false}, {"/etc/exports", 2, "/c", "10.0.0.1", {}, true}};
  state.live = {Live("/a", "10.0.0.0/24", "rw"), Live("/b", "*", "ro")};
  EXPECT_THAT(ByHand(state), IsEmpty());
  state.live.push_back(Live("/c", "10.0.0.1", "rw"));
  state.live.push_back(Live("/d", "10.0.0.9", "rw"));
  EXPECT_THAT(ByHand(state), ElementsAre(state.live[2], state.live[3]));
}

TEST(Pending, IsWhatTheNextExportfsWouldPutLive) {
  NfsState state;
  state.foreign = {{"/etc/exports", 1, "/b", "10.0.0.0/8", {"rw"}, false},
                   {"/etc/exports", 2, "/c", "*", {}, true}};
  EXPECT_THAT(Pending(state), ElementsAre(state.foreign[0]));
  state.live = {Live("/b", "10.0.0.0/8", "rw")};
  EXPECT_THAT(Pending(state), IsEmpty());
}

}  // namespace
}  // namespace phoenix::nfs
