#include "services/nfs/domain/export_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phoenix::nfs {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

std::string Table(std::string_view options) { return TableText(Meaning(SplitOptions(options))); }

TEST(ExportOptions, DefaultsAreWhatExportfsFillsIn) {
  EXPECT_EQ(Table(""),
            "ro,sync,wdelay,hide,nocrossmnt,secure,root_squash,no_all_squash,no_subtree_check,secure_locks,"
            "acl,no_pnfs,"
            "anonuid=65534,anongid=65534,sec=sys,ro,secure,root_squash,no_all_squash");
}

TEST(ExportOptions, EqualMeaningWhateverTheWords) {
  EXPECT_EQ(Meaning({"rw", "sync"}), Meaning({"rw", "wdelay", "hide", "sec=sys", "no_pnfs"}));
  EXPECT_EQ(Meaning({"rw", "mp"}), Meaning({"rw", "mountpoint"}));
  EXPECT_EQ(Meaning({"fsid=root"}), Meaning({"fsid=0"}));
  EXPECT_EQ(Meaning({"no_auth_nlm"}), Meaning({"insecure_locks"}));
  EXPECT_FALSE(Meaning({"rw"}) == Meaning({"ro"}));
  EXPECT_FALSE(Meaning({"rw", "insecure"}) == Meaning({"rw"}));
}

TEST(ExportOptions, FlagsAfterAFlavourSpeakOfItAlone) {
  const ExportOptions options = Meaning(SplitOptions("rw,sync,sec=krb5:krb5i,ro,sec=sys,rw,no_root_squash"));
  ASSERT_EQ(options.flavours.size(), 3u);
  EXPECT_EQ(options.flavours[0].first, "krb5");
  EXPECT_TRUE(options.flavours[0].second.read_only);
  EXPECT_TRUE(options.flavours[1].second.root_squash);
  EXPECT_FALSE(options.flavours[2].second.root_squash);
  EXPECT_EQ(Meaning(SplitOptions(TableText(options))), options);
}

TEST(ExportOptions, MountOptionsAreToldApart) {
  EXPECT_THAT(ProblemOf("noatime"), Optional(HasSubstr("an option of mounting")));
  EXPECT_THAT(ProblemOf("vers=3"), Optional(HasSubstr("an option of mounting")));
  EXPECT_THAT(ProblemOf("no_subtree_chek"), Optional(HasSubstr("is no option of exports(5)")));
}

TEST(ExportOptions, ValuesAreChecked) {
  for (const char* good : {"anonuid=0", "fsid=0", "fsid=root", "fsid=1f0c7c8e-2222-3333-4444-555555555555",
                           "sec=krb5:sys", "mountpoint", "mp=/tank", "refer=/a@10.0.0.1+10.0.0.2:/b@h"}) {
    EXPECT_EQ(ProblemOf(good), std::nullopt) << good;
  }
  for (const char* bad : {"", "anonuid", "anonuid=", "anonuid=-2", "anonuid=1x", "fsid=x", "sec=", "sec=krb6",
                          "sec=sys:", "mountpoint=tank", "mp=/ta nk", "refer=/a", "fsid=4294967296", "rw)",
                          "rw ro", "RW", "fsid=08"}) {
    EXPECT_TRUE(ProblemOf(bad).has_value()) << bad;
  }
}

// exportfs keeps them in 32 bits, prints them as signed, and takes an fsid with a 0 in front for octal.
TEST(TableSays, NumbersAreComparedAsExportfsPrintsThem) {
  EXPECT_TRUE(TableSays({"fsid=-889275714", "anonuid=-2", "anongid=-2147483648"},
                        {"anonuid=4294967294", "anongid=2147483648", "fsid=3405691582"}));
  EXPECT_TRUE(TableSays({"fsid=8"}, {"fsid=010"}));
  EXPECT_FALSE(TableSays({"fsid=10"}, {"fsid=010"}));
  EXPECT_TRUE(TableSays({"anonuid=10"}, {"anonuid=010"}));
  EXPECT_FALSE(TableSays({"anonuid=-3"}, {"anonuid=4294967294"}));
  EXPECT_THAT(Table("anonuid=4294967294,fsid=4294967295"), HasSubstr("fsid=-1,anonuid=-2,anongid=65534"));
  // 32 decimal digits are a number, and too large for one.
  EXPECT_TRUE(TableSays({"fsid=-1"}, {"fsid=12345678901234567890123456789012"}));
  EXPECT_TRUE(TableSays({"fsid=1f0c7c8e-2222-3333-4444-555555555555"},
                        {"fsid=1f0c7c8e-2222-3333-4444-555555555555"}));
  EXPECT_FALSE(TableSays({"fsid=0"}, {"rw"}));
}

TEST(ExportOptions, Contradictions) {
  EXPECT_THAT(ContradictionIn({"rw", "sync", "ro"}), Optional(HasSubstr("«rw» and «ro»")));
  EXPECT_THAT(ContradictionIn({"anonuid=1", "anonuid=2"}), Optional(HasSubstr("contradict")));
  EXPECT_THAT(ContradictionIn({"secure_locks", "no_auth_nlm"}), Optional(HasSubstr("contradict")));
  EXPECT_EQ(ContradictionIn({"rw", "sync", "rw", "anonuid=1", "anonuid=1"}), std::nullopt);
  EXPECT_EQ(ContradictionIn({"rw", "sec=krb5", "ro", "sec=sys", "rw"}), std::nullopt);
}

}  // namespace
}  // namespace phoenix::nfs
