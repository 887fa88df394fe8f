// Plans of what changes in a dataset's content.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

DatasetState Dataset(const std::string& name, PropertyStates properties, const std::string& mounted_at) {
  DatasetState dataset{.name = name, .type = "filesystem", .guid = std::hash<std::string>()(name)};
  dataset.properties = std::move(properties);
  dataset.properties.emplace("mountpoint", PropertyState{"/" + name, "default", "-"});
  dataset.properties.emplace("canmount", PropertyState{"on", "default", "-"});
  dataset.mounted_at = mounted_at;
  if (!mounted_at.empty()) dataset.root = DirectoryState{0, 0, 0755};
  return dataset;
}

// A node with pool tank and tank/data.
ZfsState Seen() {
  ZfsState seen;
  seen.pools["tank"] = {
      .name = "tank", .guid = 7, .health = "ONLINE", .layout = {{"mirror", {"/dev/sda", "/dev/sdb"}}}};
  seen.datasets["tank"] = Dataset("tank", {}, "/tank");
  seen.datasets["tank/data"] = Dataset("tank/data", {}, "/tank/data");
  seen.groups = {{"root", 0}, {"heads", 1000}};
  seen.users = {{"root", 0}};
  return seen;
}

ZfsPlan Planned(const ZfsSpec& spec, const ZfsState& seen = Seen(), const Ownership& owned = {}) {
  const auto plan = MakePlan(spec, seen, owned);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : ZfsPlan{};
}

std::vector<std::string> Refusals(const ZfsSpec& spec, const ZfsState& seen = Seen(),
                                  const Ownership& owned = {}) {
  const auto plan = MakePlan(spec, seen, owned);
  EXPECT_TRUE(absl::IsInvalidArgument(plan.status()) || absl::IsFailedPrecondition(plan.status()))
      << plan.status();
  std::vector<std::string> texts;
  for (const auto& violation : ViolationsOf(plan.status())) {
    texts.push_back(violation.field + ": " + violation.description);
  }
  return texts;
}

ZfsSpec One(DatasetSpec dataset) {
  dataset.origin = "zfs.datasets[0]";
  ZfsSpec spec;
  spec.datasets = {std::move(dataset)};
  return spec;
}

// What everything in a dataset is given is planned once for each wish; what is in it is not looked at.
TEST(RecursiveOwner, IsOneLossyStepUntilTheLedgerSaysThatItWasGiven) {
  const ZfsSpec spec =
      One({.name = "tank/data", .owner = "root", .group = "heads", .mode = "2770", .recursive_owner = true});
  const ZfsPlan plan = Planned(spec);
  ASSERT_EQ(plan.steps.size(), 1u);
  const PlannedStep& step = plan.steps[0];
  EXPECT_EQ(step.id, "content:tank/data");
  EXPECT_EQ(step.reversal, Reversal::kLossy);
  EXPECT_THAT(step.remainder, HasSubstr("tank/.phoenix/kept/RUN/data"));
  EXPECT_THAT(step.disturbs, ElementsAre("path:/tank/data"));
  EXPECT_THAT(step.differences, ElementsAre(Difference{"owner", "as each is", "root"},
                                            Difference{"group", "as each is", "heads"},
                                            Difference{"mode", "as each is", "2770"}));
  EXPECT_THAT(step.needs, ::testing::Contains(Need{"path:/tank/data", true}));
  // Its mount root alone is another step, once the rest was given.
  Ownership owned;
  const std::string guid = std::to_string(Seen().datasets.at("tank/data").guid);
  owned.trees["tank/data"] = guid + " root:heads 2770";
  const ZfsPlan again = Planned(spec, Seen(), owned);
  ASSERT_EQ(again.steps.size(), 1u);
  EXPECT_EQ(again.steps[0].id, "root:tank/data");
  ZfsState right = Seen();
  right.datasets.at("tank/data").root = DirectoryState{0, 1000, 02770};
  EXPECT_THAT(Planned(spec, right, owned).steps, IsEmpty());
  // Another dataset of that name, or another wish.
  for (const std::string given : {"1 root:heads 2770", guid.c_str()}) {
    owned.trees["tank/data"] = given;
    EXPECT_EQ(Planned(spec, right, owned).steps.size(), 1u) << given;
  }
}

// What tank/data holds, for all that are asked for.
ZfsState Holding(FilesSeen files) {
  ZfsState seen = Seen();
  seen.files["tank/data"] = std::move(files);
  return seen;
}

FileSeen Right(const std::string& content, uint32_t mode = 0644) {
  return {true, content.size(), Sha256Hex(content), 0, 0, mode, ""};
}

TEST(Files, AreOneStepOfThoseThatDifferAndShowNoContent) {
  const ZfsSpec spec = One({.name = "tank/data",
                            .files = {{.path = "conf/app.conf", .content = "new"},
                                      {.path = "right", .content = "right"},
                                      {"owned", "owned", "", "heads", "0640"},
                                      {.path = "absent", .content = "ab", .owner = "app", .mode = "600"}}});
  const ZfsState seen = Holding({{"conf/app.conf", Right("former")},
                                 {"right", Right("right")},
                                 {"owned", Right("owned")},
                                 {"absent", {}}});
  const ZfsPlan plan = Planned(spec, seen);
  ASSERT_EQ(plan.steps.size(), 1u);
  const PlannedStep& step = plan.steps[0];
  EXPECT_EQ(step.id, "content:tank/data");
  EXPECT_EQ(step.action, "deliver files");
  EXPECT_EQ(step.reversal, Reversal::kLossy);
  EXPECT_THAT(step.remainder,
              AllOf(HasSubstr("it keeps the new files"), HasSubstr("tank/.phoenix/kept/RUN/data")));
  EXPECT_THAT(step.disturbs, ElementsAre("path:/tank/data"));
  EXPECT_THAT(step.provides, ElementsAre("folder:/tank/data/conf"));
  EXPECT_THAT(
      step.differences,
      ElementsAre(Difference{"conf/app.conf content", "6 bytes, sha256 " + Sha256Hex("former").substr(0, 12),
                             "3 bytes, sha256 " + Sha256Hex("new").substr(0, 12)},
                  Difference{"owned group", "0", "heads (1000)"}, Difference{"owned mode", "644", "0640"},
                  Difference{"absent", "absent",
                             "2 bytes, sha256 " + Sha256Hex("ab").substr(0, 12) + ", app:root 600"}));
  EXPECT_THAT(step.needs, UnorderedElementsAre(Need{"dataset:tank/data", true}, Need{"path:/tank/data", true},
                                               Need{"root:tank/data", true}, Need{"user:root", true},
                                               Need{"group:root", true}, Need{"group:heads", true},
                                               Need{"user:app", false}));
  const auto& typed = std::get<ChangeContentStep>(step.step);
  EXPECT_FALSE(typed.tree.has_value());
  EXPECT_FALSE(typed.created);
  ASSERT_EQ(typed.files.size(), 3u);
  EXPECT_EQ(typed.files[0], (FileSpec{"conf/app.conf", "new", "root", "root", "0644"}));
  for (const auto& difference : step.differences)
    EXPECT_THAT(difference.before + difference.after, ::testing::Not(HasSubstr("former")));
  // A file that is longer than any that is delivered has no digest.
  ZfsState longer = seen;
  longer.files["tank/data"]["right"] = {true, 1 << 20, "", 0, 0, 0644, ""};
  EXPECT_THAT(Planned(spec, longer).steps[0].differences,
              ::testing::Contains(Difference{"right content", "1048576 bytes",
                                             "5 bytes, sha256 " + Sha256Hex("right").substr(0, 12)}));
}

TEST(Files, ThatAreAsDeclaredAreNoStep) {
  const ZfsSpec spec = One({.name = "tank/data", .files = {{.path = "a", .content = "x"}}});
  const ZfsPlan plan = Planned(spec, Holding({{"a", Right("x")}}));
  EXPECT_THAT(plan.steps, IsEmpty());
  EXPECT_NE(plan.fingerprint_text, Planned(spec, Holding({{"a", Right("y")}})).fingerprint_text);
  EXPECT_THAT(FirstLook(spec).files.at("tank/data"), ElementsAre("a"));
  EXPECT_THAT(FirstLook(spec).users, ElementsAre("root"));
}

// Their guards cannot be nested; and the owners of everything come first.
TEST(Files, AreOneStepTogetherWithARecursiveOwner) {
  const ZfsSpec spec = One({.name = "tank/data",
                            .owner = "root",
                            .mode = "2770",
                            .recursive_owner = true,
                            .files = {{.path = "a", .content = "x"}, {.path = "b", .content = "y"}}});
  const ZfsPlan plan = Planned(spec, Holding({{"a", Right("x")}, {"b", {}}}));
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].action, "set owner and mode of everything in it and deliver files");
  EXPECT_THAT(plan.steps[0].remainder, HasSubstr("the new owners, modes and files"));
  const auto& typed = std::get<ChangeContentStep>(plan.steps[0].step);
  EXPECT_EQ(typed.tree, (RootWish{"root", "", "2770"}));
  EXPECT_EQ(typed.files.size(), 2u) << "what is right now gets another owner, too";
  EXPECT_EQ(plan.steps[0].differences.size(), 3u);
}

TEST(Files, ComeWithTheDatasetAndThenTheirUndoIsExact) {
  ZfsSpec spec = One({.name = "tank/new", .owner = "root", .files = {{.path = "a", .content = "x"}}});
  ZfsState seen = Seen();
  seen.paths["/tank"].directory = DirectoryState{0, 0, 0755};
  const ZfsPlan plan = Planned(spec, seen);
  ASSERT_EQ(plan.steps.size(), 2u);
  EXPECT_EQ(plan.steps[0].id, "dataset:tank/new");
  const PlannedStep& step = plan.steps[1];
  EXPECT_EQ(step.id, "content:tank/new");
  EXPECT_EQ(step.reversal, Reversal::kExact);
  EXPECT_EQ(step.remainder, "");
  EXPECT_THAT(step.undo, HasSubstr("goes aside with what is in it"));
  EXPECT_THAT(step.provides, ElementsAre("path:/tank/new")) << "whoever uses the place comes after its files";
  EXPECT_THAT(step.disturbs, IsEmpty());
  EXPECT_THAT(step.needs,
              ::testing::IsSupersetOf({Need{"dataset:tank/new", false}, Need{"path:/tank/new", false}}));
  EXPECT_TRUE(std::get<ChangeContentStep>(step.step).created);
}

TEST(Files, NothingIsWrittenToTheRootAfterTheyWereDelivered) {
  const ZfsPlan plan =
      Planned(One({.name = "tank/data", .mode = "2770", .files = {{.path = "a", .content = "x"}}}),
              Holding({{"a", {}}}));
  ASSERT_EQ(plan.steps.size(), 2u);
  for (const auto& step : plan.steps) {
    if (step.id == "root:tank/data") EXPECT_THAT(step.provides, ElementsAre("root:tank/data"));
    if (step.id == "content:tank/data")
      EXPECT_THAT(step.needs, ::testing::Contains(Need{"root:tank/data", true}));
  }
}

TEST(Files, AreRefusedWithTheirPlace) {
  const auto file = [](const std::string& path) { return FileSpec{.path = path, .content = "x"}; };
  const ZfsSpec two = One({.name = "tank/data", .files = {file("a"), file("b/c")}});
  EXPECT_THAT(Refusals(two, Holding({{"a", {}}, {"b/c", {.obstacle = "b is a symbolic link"}}})),
              ElementsAre("zfs.datasets[0].files[1].path: b/c of tank/data: b is a symbolic link"));
  EXPECT_THAT(Refusals(two),
              ElementsAre(AllOf(HasSubstr("zfs.datasets[0].files: tank/data is there and not mounted"),
                                HasSubstr("zfs mount tank/data"))));
  ZfsState unmountable = Seen();
  unmountable.datasets.at("tank/data").properties["canmount"] = {"off", "local", "-"};
  EXPECT_THAT(Refusals(two, unmountable), ElementsAre(HasSubstr("is not mounted by ZFS")));
  ZfsState seen = Holding({{"a", {}}, {"b/c", {}}});
  seen.datasets["tank/data/below"] = Dataset("tank/data/below", {}, "/tank/data/below");
  EXPECT_THAT(Refusals(two, seen), ElementsAre(HasSubstr("files: tank/data/below is mounted below it")));
  seen = Holding({{"a", {}}, {"b/c", {}}});
  seen.datasets.at("tank/data").properties["readonly"] = {"on", "inherited from tank", "-"};
  EXPECT_THAT(Refusals(two, seen), ElementsAre(HasSubstr("files: tank/data is read-only")));
  Ownership owned;
  owned.record_directory = "/tank/data/phoenix/zfs";
  EXPECT_THAT(Refusals(two, Holding({{"a", {}}}), owned),
              ElementsAre(HasSubstr("without it no run can be undone")));
  seen = Seen();
  seen.files["tank"] = {};
  EXPECT_THAT(Refusals(One({.name = "tank", .files = {file("a")}}), seen),
              ::testing::Contains(HasSubstr("files: tank is a whole pool")));
  EXPECT_THAT(Refusals(One({.name = "tank/subvol-100-disk-0", .files = {file("a")}})),
              ElementsAre(HasSubstr("belongs to a guest of Proxmox VE")));
}

TEST(Files, WhatIsWrongWithThemIsToldAtOnce) {
  const std::string much(kMostFileBytes, 'x');
  EXPECT_THAT(Refusals(One({.name = "tank/data",
                            .files = {{.path = "../x"},
                                      {.path = "a/b", .content = much + "x"},
                                      {.path = "a", .mode = "4755"},
                                      {.path = "a/b"},
                                      {.path = "c", .content = much, .owner = "-x", .group = "a b"}}})),
              ElementsAre("zfs.datasets[0].files[0].path: path '../x' has an empty part, . or ..",
                          "zfs.datasets[0].files[1].content: it has 65537 bytes, more than 65536",
                          "zfs.datasets[0].files[2].path: a/b and a cannot both be files",
                          "zfs.datasets[0].files[2].mode: mode '4755' is not octal such as 0644",
                          "zfs.datasets[0].files[3].path: a and a/b cannot both be files",
                          "zfs.datasets[0].files[3].path: a/b and a/b cannot both be files",
                          "zfs.datasets[0].files[4].owner: '-x' is not a usable owner name",
                          "zfs.datasets[0].files[4].group: 'a b' is not a usable group name"));
  ZfsSpec wide = One({.name = "tank/data"});
  for (const char* path : {"a", "b", "c", "d", "e"})
    wide.datasets[0].files.push_back({path, much, "", "", ""});
  EXPECT_THAT(Refusals(wide),
              ElementsAre("zfs.datasets[0].files: they have 327680 bytes together, more than 262144"));
  EXPECT_THAT(Refusals(One({.name = "tank/vol", .volume_size_bytes = 1 << 20, .files = {{.path = "a"}}})),
              ElementsAre("zfs.datasets[0].files: a volume has no files"));
  // Nothing outside of the dataset is looked at for a path that is wrong.
  EXPECT_TRUE(FirstLook(One({.name = "tank/data", .files = {{.path = "../x"}}})).files.empty());
}

TEST(Files, ThatAreNoLongerDeclaredStayAndAreNamed) {
  Ownership owned;
  const std::string guid = std::to_string(Seen().datasets.at("tank/data").guid);
  owned.deliveries = {
      {"tank/data", guid, "a"}, {"tank/data", guid, "b"}, {"tank/data", "1", "c"}, {"tank/x", guid, "d"}};
  const ZfsSpec spec = One({.name = "tank/data", .files = {{.path = "a", .content = "x"}}});
  const ZfsPlan plan = Planned(spec, Holding({{"a", Right("x")}}), owned);
  EXPECT_THAT(plan.steps, IsEmpty());
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_EQ(plan.notes[0].text,
            "orphaned: b was delivered into tank/data and is no longer declared; it stays as it is");
}

TEST(RecursiveOwner, RefusesWhatHasNoFilesOrCannotBeUnmounted) {
  EXPECT_THAT(
      Refusals(One({.name = "tank/data", .recursive_owner = true})),
      ElementsAre("zfs.datasets[0].recursive_owner: there is nothing to set: give owner, group or mode"));
  EXPECT_THAT(Refusals(One({.name = "tank/vol", .volume_size_bytes = 1 << 20, .recursive_owner = true})),
              ElementsAre("zfs.datasets[0].recursive_owner: a volume has no files that could have an owner"));
  const ZfsSpec spec = One({.name = "tank/data", .owner = "root", .recursive_owner = true});
  Ownership owned;
  owned.record_directory = "/tank/data/phoenix/zfs";
  EXPECT_THAT(Refusals(spec, Seen(), owned), ElementsAre(HasSubstr("without it no run can be undone")));
  ZfsState seen = Seen();
  seen.datasets["tank/data/below"] = Dataset("tank/data/below", {}, "/tank/data/below");
  seen.datasets["tank/database"] = Dataset("tank/database", {}, "/tank/database");
  EXPECT_THAT(Refusals(spec, seen), ElementsAre(HasSubstr("tank/data/below is mounted below it")));
  // One that the same plan mounts there.
  ZfsSpec coming = spec;
  coming.datasets.push_back({.name = "tank/elsewhere", .properties = {{"mountpoint", "/tank/data/x"}}});
  EXPECT_THAT(Refusals(coming),
              ElementsAre(HasSubstr("tank/elsewhere is mounted below it, at /tank/data/x")));
}

TEST(PlanVolumes, AnotherSizeNamesTheCommandAndNothingLiesBelow) {
  EXPECT_EQ(Planned(One({.name = "tank/vol", .volume_size_bytes = 1 << 30})).steps.at(0).action,
            "create volume");
  ZfsState seen = Seen();
  seen.datasets["tank/vol"] = {.name = "tank/vol", .type = "volume", .guid = 9};
  seen.datasets["tank/vol"].properties = {{"volsize", {"1073741824", "local", "-"}},
                                          {"volblocksize", {"16384", "default", "-"}}};
  const auto wanted = [](uint64_t bytes) { return One({.name = "tank/vol", .volume_size_bytes = bytes}); };
  EXPECT_THAT(Planned(wanted(1 << 30), seen).steps, IsEmpty());
  EXPECT_THAT(Refusals(wanted(uint64_t{2} << 30), seen),
              ElementsAre(AllOf(HasSubstr("zfs.datasets[0].volume_size_bytes: "),
                                HasSubstr("By hand: zfs set volsize=2147483648 tank/vol"),
                                Not(HasSubstr("would be lost")))));
  EXPECT_THAT(Refusals(wanted(1 << 20), seen),
              ElementsAre(HasSubstr(
                  "what lies behind the new end would be lost. By hand: zfs set volsize=1048576 tank/vol")));
  ZfsSpec other = wanted(1 << 30);
  other.datasets[0].properties = {{"volblocksize", "8K"}};
  EXPECT_THAT(Refusals(other, seen), ElementsAre(HasSubstr("it can be given at creation only")));
  EXPECT_THAT(Refusals(One({.name = "tank/vol/below"}), seen),
              ElementsAre(HasSubstr("tank/vol is a volume, and nothing lies below one")));
  ZfsSpec both = wanted(1 << 30);
  both.datasets.push_back({.name = "tank/vol/below", .origin = "zfs.datasets[1]"});
  EXPECT_THAT(Refusals(both), ElementsAre(HasSubstr("tank/vol is a volume, and nothing lies below one")));
}

// Nobody can give a read-only file system's root directory to anybody.
TEST(PlanDatasets, AnOwnerOfWhatIsReadOnlyIsRefused) {
  EXPECT_THAT(
      Refusals(
          One({.name = "tank/new", .properties = {{"readonly", "on"}}, .owner = "root", .group = "heads"})),
      ElementsAre(HasSubstr("tank/new is read-only")));
  const DatasetSpec wanted{.name = "tank/data", .owner = "root", .group = "heads"};
  ZfsState seen = Seen();
  EXPECT_EQ(Planned(One(wanted), seen).steps.size(), 1u);
  seen.datasets["tank/data"].properties["readonly"] = {"on", "local", "-"};
  EXPECT_THAT(Refusals(One(wanted), seen), ElementsAre(HasSubstr("tank/data is read-only")));
  seen.datasets["tank/data"].root = DirectoryState{0, 1000, 0755};
  EXPECT_THAT(Planned(One(wanted), seen).steps, IsEmpty());
}

// A feature is "active" as soon as something uses it, and every later plan warned of it.
TEST(PlanPools, AFeatureThatIsUsedIsEnabled) {
  ZfsSpec spec;
  spec.pools = {{.name = "tank", .origin = "zfs.pools[0]"}};
  spec.pools[0].properties = {{"feature@lz4_compress", "enabled"}};
  ZfsState seen = Seen();
  seen.pools["tank"].properties["feature@lz4_compress"] = {"active", "local", "-"};
  EXPECT_THAT(Planned(spec, seen).notes, IsEmpty());
  spec.pools[0].properties["feature@lz4_compress"] = "disabled";
  ASSERT_EQ(Planned(spec, seen).notes.size(), 1u);
  EXPECT_THAT(Planned(spec, seen).notes[0].text, HasSubstr("is active, declared is disabled"));
}

}  // namespace
}  // namespace phoenix::zfs
