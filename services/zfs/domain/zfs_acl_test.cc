#include "services/zfs/domain/zfs_acl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/zfs/domain/zfs_planner.h"

namespace phoenix::zfs {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::map<std::string, uint32_t, std::less<>> kUsers = {{"bob", 1001}};
const std::map<std::string, uint32_t, std::less<>> kGroups = {{"editors", 2000}};

TEST(Acl, AnEntryIsReadAndToldAsSetfaclHasIt) {
  for (const char* text : {"user:bob:r-x", "group:2000:rwx", "group::r--", "mask::---", "default:user::rwx",
                           "default:other::--x"}) {
    const auto entry = ParseAclEntry(text);
    ASSERT_TRUE(entry.has_value()) << text;
    EXPECT_EQ(ToText(*entry), text);
  }
  EXPECT_EQ(ParseAclEntry("default:group:editors:rw-"), (AclEntry{true, AclTag::kGroup, "editors", 6}));
  for (const char* text : {"", "user:bob", "user:bob:rw", "user:bob:xwr", "user:bob:RWX", "mask:bob:rwx",
                           "people:bob:rwx", "rwx", "default:rwx"}) {
    EXPECT_FALSE(ParseAclEntry(text).has_value()) << text;
  }
}

TEST(Acl, WhatIsNotSaidIsAsTheModeSays) {
  EXPECT_THAT(*CompleteAcl({}, 02770, {}, {}), IsEmpty());
  EXPECT_THAT(*CompleteAcl({"group:editors:rwx", "user:bob:r-x"}, 02770, kUsers, kGroups),
              ElementsAre("user:1001:r-x", "group::rwx", "group:2000:rwx"));
  EXPECT_THAT(*CompleteAcl({"user:9:r-x", "group::---", "user:10:r--"}, 02770, {}, {}),
              ElementsAre("user:9:r-x", "user:10:r--", "group::---"))
      << "by number, as the kernel has it";
  EXPECT_THAT(*CompleteAcl({"default:group:editors:r-x"}, 0750, {}, kGroups),
              ElementsAre("default:user::rwx", "default:group::r-x", "default:group:2000:r-x",
                          "default:mask::r-x", "default:other::---"));
  EXPECT_THAT(*CompleteAcl({"default:group::rwx", "default:other::r--"}, 0750, {}, {}),
              ElementsAre("default:user::rwx", "default:group::rwx", "default:other::r--"))
      << "without anybody named there is no mask";
  EXPECT_THAT(*CompleteAcl({"default:user:bob:rwx", "default:mask::r--"}, 0700, kUsers, {}),
              Contains("default:mask::r--"));
}

// What an inode has can be declared: it completes to itself.
TEST(Acl, ACompleteOneStaysAsItIs) {
  const Acl complete = *CompleteAcl({"user:bob:r-x", "default:user:bob:r-x"}, 0750, kUsers, {});
  EXPECT_EQ(*CompleteAcl(complete, 0750, {}, {}), complete);
  EXPECT_EQ(WrongAcl(complete, "750"), "");
}

TEST(Acl, WhoIsNotThereIsNamed) {
  EXPECT_EQ(Message(CompleteAcl({"user:eve:r-x"}, 0770, kUsers, kGroups).status()), "user eve is not there");
  EXPECT_EQ(Message(CompleteAcl({"group:bob:r-x"}, 0770, kUsers, kGroups).status()),
            "group bob is not there");
  EXPECT_THAT(Message(CompleteAcl({"user:bob:r-x", "user:1001:rwx"}, 0770, kUsers, {}).status()),
              HasSubstr("user:1001 has two entries"));
}

TEST(Acl, WhatCannotBeIsExplained) {
  EXPECT_EQ(WrongAcl({}, ""), "");
  EXPECT_EQ(WrongAcl({"user:bob:rwx", "group::r-x", "default:mask::r-x"}, "2770"), "");
  EXPECT_THAT(WrongAcl({"user:bob:rwx"}, ""), HasSubstr("needs a mode"));
  EXPECT_THAT(WrongAcl({"user:bob:rwx"}, "0750"), HasSubstr("more than the mode 0750"));
  EXPECT_EQ(WrongAcl({"default:user:bob:rwx"}, "0750"), "") << "its mask is its own";
  EXPECT_THAT(WrongAcl({"bob"}, "0770"), HasSubstr("'bob' is no entry"));
  for (const char* text : {"user::rwx", "other::r-x", "mask::rwx"})
    EXPECT_THAT(WrongAcl({text}, "0770"), HasSubstr("is what the mode 0770 says")) << text;
  EXPECT_THAT(WrongAcl({"user:bob:r-x", "user:bob:rwx"}, "0770"), HasSubstr("two entries"));
}

// Pool tank with tank/data, root's, mode 0755.
ZfsState Seen(const std::string& acltype) {
  ZfsState seen;
  seen.users = kUsers;
  seen.groups = kGroups;
  seen.pools["tank"] = {.name = "tank", .guid = 7, .health = "ONLINE"};
  for (const char* name : {"tank", "tank/data"}) {
    DatasetState& dataset = seen.datasets[name];
    dataset.name = name;
    dataset.type = "filesystem";
    dataset.guid = std::hash<std::string>()(name);
    dataset.mounted_at = "/" + dataset.name;
    dataset.root = DirectoryState{0, 0, 0755};
    dataset.properties = {{"mountpoint", {"/" + dataset.name, "default", "-"}},
                          {"canmount", {"on", "default", "-"}},
                          {"acltype", {acltype, "default", "-"}}};
  }
  return seen;
}

ZfsSpec With(const std::vector<std::string>& acl, PropertyMap properties = {},
             const std::string& name = "tank/data") {
  ZfsSpec spec;
  spec.datasets = {{.name = name,
                    .properties = std::move(properties),
                    .mode = "0755",
                    .origin = "zfs.datasets[0]",
                    .acl = acl}};
  spec.partial = true;
  return spec;
}

std::vector<std::string> Refusals(const ZfsSpec& spec, const ZfsState& seen) {
  std::vector<std::string> texts;
  for (const auto& violation : ViolationsOf(MakePlan(spec, seen, {}).status()))
    texts.push_back(violation.field + ": " + violation.description);
  return texts;
}

TEST(PlanAcl, IsComparedAsTheInodeHasIt) {
  ZfsState seen = Seen("posix");
  auto plan = MakePlan(With({"group:editors:r-x"}), seen, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->steps.size(), 1u);
  EXPECT_THAT(plan->steps[0].differences, ElementsAre(Difference{"acl", "none", "group:editors:r-x"}));
  EXPECT_EQ(plan->steps[0].reversal, Reversal::kExact);
  EXPECT_THAT(plan->steps[0].needs, Contains(Need{"group:editors", true}));

  seen.datasets["tank/data"].acl = {"group::r-x", "group:2000:r-x"};
  EXPECT_THAT(MakePlan(With({"group:editors:r-x"}), seen, {})->steps, IsEmpty());
  plan = MakePlan(With({}), seen, {});
  ASSERT_EQ(plan->steps.size(), 1u) << "an empty one takes away what there is";
  EXPECT_THAT(plan->steps[0].differences,
              ElementsAre(Difference{"acl", "group::r-x,group:2000:r-x", "none"}));

  ZfsSpec unsaid = With({});
  unsaid.datasets[0].acl.reset();
  EXPECT_THAT(MakePlan(unsaid, seen, {})->steps, IsEmpty()) << "what is not declared is left alone";
}

// Samba's participant makes them in the same run.
TEST(PlanAcl, MayNameWhoComesWithTheRun) {
  const auto plan = MakePlan(With({"user:eve:r-x"}), Seen("posix"), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps.at(0).needs, Contains(Need{"user:eve", false}));
}

// ZFS on Linux starts with acltype=off, and the kernel would refuse it in mid-run.
TEST(PlanAcl, IsRefusedWhereTheDatasetKeepsNone) {
  EXPECT_THAT(Refusals(With({"group:editors:r-x"}), Seen("off")),
              ElementsAre(HasSubstr("zfs.datasets[0].acl: tank/data keeps no ACLs (acltype=off): declare")));
  EXPECT_THAT(Refusals(With({"group:editors:r-x"}, {}, "tank/new"), Seen("nfsv4")),
              ElementsAre(HasSubstr("tank/new keeps no ACLs (acltype=nfsv4)")));
  EXPECT_THAT(Refusals(With({"group:editors:r-x"}, {{"acltype", "posixacl"}}), Seen("off")), IsEmpty());
  EXPECT_THAT(Refusals(With({}), Seen("off")), IsEmpty()) << "there is nothing to keep";
}

// Both in one run, and steps that do not need each other run side by side.
TEST(PlanAcl, ComesAfterWhatKeepsItAndGoesBeforeIt) {
  auto plan = MakePlan(With({"group:editors:r-x"}, {{"acltype", "posix"}}), Seen("off"), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->steps.size(), 2u);
  EXPECT_EQ(plan->steps[0].id, "properties:tank/data");
  EXPECT_THAT(plan->steps[0].provides, Contains("acltype:tank/data"));
  EXPECT_THAT(plan->steps[1].needs, Contains(Need{"acltype:tank/data", true}));

  ZfsState seen = Seen("posix");
  seen.datasets["tank/data"].acl = {"group::r-x", "group:2000:r-x"};
  plan = MakePlan(With({}, {{"acltype", "off"}}), seen, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps.at(0).needs, Contains(Need{"root:tank/data", true}));
  EXPECT_THAT(plan->steps.at(1).needs, ::testing::Not(Contains(Need{"acltype:tank/data", true})));
}

TEST(PlanAcl, WhatADatasetInheritsMayComeWithTheRun) {
  ZfsSpec spec = With({"group:editors:r-x"});
  spec.datasets.push_back({.name = "tank", .properties = {{"acltype", "posix"}}});
  auto plan = MakePlan(spec, Seen("off"), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto step = std::find_if(plan->steps.begin(), plan->steps.end(),
                                 [](const PlannedStep& one) { return one.id == "root:tank/data"; });
  ASSERT_NE(step, plan->steps.end());
  EXPECT_THAT(step->needs, Contains(Need{"acltype:tank", true}));
  spec.datasets[1].properties["acltype"] = "off";
  EXPECT_THAT(Refusals(spec, Seen("posix")), ElementsAre(HasSubstr("acltype=off")));
}

TEST(PlanAcl, OneSomebodyByNameAndNumberIsRefused) {
  EXPECT_THAT(Refusals(With({"user:bob:r-x", "user:1001:r-x"}), Seen("posix")),
              ElementsAre(HasSubstr("zfs.datasets[0].acl: user:1001 has two entries")));
}

// As directories give them to users of a domain.
TEST(PlanAcl, LongNumbersAreNumbers) {
  ZfsState seen = Seen("posix");
  auto plan = MakePlan(With({"group:1234600500:r-x"}), seen, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const Need& need : plan->steps.at(0).needs) EXPECT_THAT(need.key, ::testing::Not(HasSubstr("group:")));
}

TEST(PlanAcl, WhatIsWrongIsToldAtItsPlace) {
  EXPECT_THAT(Refusals(With({"bob"}), Seen("posix")), ElementsAre(HasSubstr("zfs.datasets[0].acl: 'bob'")));
  EXPECT_THAT(Refusals(With({"user:a b:r-x"}), Seen("posix")),
              ElementsAre(HasSubstr("zfs.datasets[0].acl: 'a b' is not a usable user or group name")));
  ZfsSpec spec = With({"group:editors:r-x"});
  spec.datasets[0].recursive_owner = true;
  EXPECT_THAT(Refusals(spec, Seen("posix")), ElementsAre(HasSubstr("recursive_owner")));
  spec = With({"group:editors:r-x"});
  spec.datasets[0].mode.clear();
  spec.datasets[0].volume_size_bytes = 1 << 20;
  EXPECT_THAT(Refusals(spec, Seen("posix")), Contains(HasSubstr("a volume has no mount root")));
}

}  // namespace
}  // namespace phoenix::zfs
