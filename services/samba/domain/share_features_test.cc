// Previous versions and ACLs, in the parameters that they take.
#include "services/samba/domain/share_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phoenix::samba {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ShareSpec Share(std::map<std::string, std::string> options = {}) {
  ShareSpec share;
  share.name = "data";
  share.path = "/tank/data";
  share.options = std::move(options);
  share.origin = "$.samba.shares[0]";
  return share;
}

ShareSpec WithVersions(std::map<std::string, std::string> options = {},
                       const std::string& format = "GMT-%Y.%m.%d-%H.%M.%S") {
  ShareSpec share = Share(std::move(options));
  share.previous_versions = PreviousVersions{format, false};
  return share;
}

std::vector<std::string> Problems(ShareSpec share) {
  std::vector<FieldViolation> violations;
  AddFeatures(share, violations);
  std::vector<std::string> texts;
  for (const auto& violation : violations) texts.push_back(violation.field + ": " + violation.description);
  return texts;
}

std::string Modules(ShareSpec share) {
  std::vector<FieldViolation> violations;
  AddFeatures(share, violations);
  EXPECT_TRUE(violations.empty()) << violations[0].description;
  return share.options["vfs objects"];
}

TEST(PreviousVersions, AreTheSnapshotsBelowTheMountPoint) {
  ShareSpec share = WithVersions({}, "autosnap_%Y-%m-%d_%H:%M:%S_daily");
  share.previous_versions->local_time = true;
  std::vector<FieldViolation> violations;
  AddFeatures(share, violations);
  EXPECT_TRUE(violations.empty());
  const std::map<std::string, std::string> expected = {{"vfs objects", "shadow_copy2"},
                                                       {"shadow:snapdir", ".zfs/snapshot"},
                                                       {"shadow:sort", "desc"},
                                                       {"shadow:format", "autosnap_%Y-%m-%d_%H:%M:%S_daily"},
                                                       {"shadow:localtime", "yes"}};
  EXPECT_EQ(share.options, expected);
  EXPECT_TRUE(NeedsModules(share));
  share.absent = true;
  EXPECT_FALSE(NeedsModules(share));
}

TEST(PreviousVersions, StandBesideTheModulesOfTheUser) {
  EXPECT_EQ(Modules(WithVersions({{"vfs objects", "catia, Fruit streams_xattr"}})),
            "catia fruit streams_xattr shadow_copy2");
  // What is below it asks the file system no more.
  EXPECT_EQ(Modules(WithVersions({{"vfs objects", "fruit streams_xattr io_uring"}})),
            "fruit streams_xattr shadow_copy2 io_uring");
  EXPECT_EQ(Modules(WithVersions({{"vfs objects", "shadow_copy2 recycle"}})), "shadow_copy2 recycle");
  EXPECT_EQ(Modules(Share({{"vfs objects", "recycle"}})), "recycle");
}

TEST(PreviousVersions, WhatSaysOtherwiseIsRefusedAtItsPlace) {
  EXPECT_THAT(Problems(WithVersions({{"vfs objects", "snapper"}})),
              ElementsAre("$.samba.shares[0].previous_versions: the module snapper contradicts it"));
  EXPECT_THAT(Problems(WithVersions({{"shadow:localtime", "yes"}, {"shadow:snapdir", ".snapshots"}})),
              ElementsAre(HasSubstr("'shadow:snapdir = .snapshots'"), HasSubstr("'shadow:localtime = yes'")));
  EXPECT_THAT(Problems(WithVersions({{"shadow:sort", "desc"}, {"shadow:crossmountpoints", "yes"}})),
              IsEmpty());
}

TEST(PreviousVersions, AFormatTellsDayAndNameOfASnapshot) {
  for (const char* good : {"%F_%T", "auto-%Y-%m-%d_%H-%M", "%y%j", "snap.%d%b%Y:%H%M"})
    EXPECT_THAT(Problems(WithVersions({}, good)), IsEmpty()) << good;
  for (const char* bad :
       {"", "%", "daily", "%H:%M", "%Y-%m", "@GMT-%Y.%m.%d", "a b%F", "%F/%T", "%F%Q", "%s", "ä%F"})
    EXPECT_THAT(Problems(WithVersions({}, bad)), ::testing::SizeIs(1)) << bad;
}

TEST(ShareAcls, PosixOnesAreInherited) {
  ShareSpec share = Share();
  share.acl = ShareAcl::kPosix;
  std::vector<FieldViolation> violations;
  AddFeatures(share, violations);
  EXPECT_TRUE(violations.empty());
  EXPECT_EQ(share.options, (std::map<std::string, std::string>{{"inherit acls", "Yes"}}));
  EXPECT_FALSE(NeedsModules(share));
  share.options = {{"inherit acls", "No"}, {"vfs objects", "acl_xattr"}};
  EXPECT_THAT(Problems(share),
              ElementsAre(HasSubstr("the module acl_xattr"), HasSubstr("'inherit acls = No'")));
}

TEST(ShareAcls, WindowsOnesAreSeenFirstAndThoseOfSnapshotsToo) {
  ShareSpec share = WithVersions({{"vfs objects", "fruit streams_xattr"}});
  share.acl = ShareAcl::kWindows;
  EXPECT_EQ(Modules(share), "acl_xattr fruit streams_xattr shadow_copy2");
  share.options["vfs objects"] = "full_audit acl_xattr";
  EXPECT_EQ(Modules(share), "full_audit acl_xattr shadow_copy2");
  share.options = {{"vfs objects", "acl_tdb"}, {"map acl inherit", "No"}, {"nt acl support", "No"}};
  EXPECT_THAT(Problems(share), ElementsAre(HasSubstr("the module acl_tdb"), HasSubstr("nt acl support"),
                                           HasSubstr("'map acl inherit = No'")));
}

TEST(ShareFeatures, AddedTwiceTheyAreTheSame) {
  ShareSpec share = WithVersions({{"vfs objects", "recycle"}});
  share.acl = ShareAcl::kWindows;
  std::vector<FieldViolation> violations;
  AddFeatures(share, violations);
  const auto once = share.options;
  AddFeatures(share, violations);
  EXPECT_TRUE(violations.empty());
  EXPECT_EQ(share.options, once);
}

}  // namespace
}  // namespace phoenix::samba
