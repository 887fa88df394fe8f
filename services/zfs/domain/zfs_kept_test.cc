#include "services/zfs/domain/zfs_kept.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/zfs/domain/zfs_checkpoint.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kKept[] = "tank/.phoenix/kept/r1/a:b";

DatasetState Dataset(const std::string& name, const std::string& mounted_at) {
  DatasetState dataset{.name = name, .type = "filesystem", .guid = std::hash<std::string>()(name)};
  dataset.properties["mountpoint"] = {mounted_at.empty() ? "none" : mounted_at, "inherited from above", "-"};
  dataset.properties["canmount"] = {"on", "default", "-"};
  dataset.properties["origin"] = {"-", "-", "-"};
  dataset.mounted_at = mounted_at;
  return dataset;
}

// tank with tank/a, and what was once tank/a/b.
class KeptPlanTest : public ::testing::Test {
 protected:
  KeptPlanTest() {
    seen_.pools["tank"] = {.name = "tank", .guid = 7, .health = "ONLINE"};
    seen_.datasets["tank"] = Dataset("tank", "/tank");
    seen_.datasets["tank"].properties["mountpoint"] = {"/tank", "default", "-"};
    seen_.datasets["tank/a"] = Dataset("tank/a", "/tank/a");
    seen_.datasets[kKept] = Dataset(kKept, "");
    Mark("canmount", "noauto");
    Mark(kKeptMark, "tank/a/b");
    Mark(kCanmountMark, kNotSet);
    seen_.paths["/tank/a"].directory = DirectoryState{0, 0, 0755};
    seen_.paths["/tank/a/b"] = {};
    for (const char* path : {"/srv", "/tank"}) seen_.paths[path].directory = DirectoryState{0, 0, 0755};
  }
  Kept Now() { return AsKept(KeptOne()).value_or(Kept()); }
  DatasetState& KeptOne() { return seen_.datasets.find(kKept)->second; }
  void Mark(std::string_view property, std::string_view value) {
    KeptOne().properties[std::string(property)] = {std::string(value), "local", "-"};
  }
  void Snapshot(const std::string& name, const std::string& run) {
    seen_.snapshots[name] = {.name = name, .guid = 3, .run = run};
  }
  absl::StatusOr<ZfsPlan> Plan(KeptFate fate, const std::string& to = "", const std::string& name = kKept) {
    return MakePlan({.kept = {{name, fate, to}}, .partial = true}, seen_, {});
  }
  RestoreKeptStep Restore(const std::string& to = "") {
    const auto plan = Plan(KeptFate::kRestore, to);
    EXPECT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan.ok() ? plan->steps.size() : 0, 1U);
    return plan.ok() ? std::get<RestoreKeptStep>(plan->steps.at(0).step) : RestoreKeptStep{};
  }
  // The one violation: "field: text".
  std::string Refusal(KeptFate fate, const std::string& to = "", const std::string& name = kKept) {
    const auto plan = Plan(fate, to, name);
    const auto violations = ViolationsOf(plan.status());
    EXPECT_EQ(violations.size(), 1U) << plan.status();
    return violations.empty() ? "" : violations[0].field + ": " + violations[0].description;
  }
  ZfsState seen_;
};

TEST_F(KeptPlanTest, WhatIsKeptIsKnownByItsMarksAndElseByItsName) {
  EXPECT_EQ(Now().original, "tank/a/b");
  EXPECT_EQ(Now().run, "r1");
  EXPECT_FALSE(Now().before);
  // A colon may also have been one.
  Mark(kKeptMark, "tank/a:b");
  EXPECT_EQ(Now().original, "tank/a:b");
  // Put aside by a version that wrote nothing down.
  KeptOne().properties.erase(std::string(kKeptMark));
  KeptOne().properties.erase(std::string(kCanmountMark));
  EXPECT_EQ(Now().original, "tank/a/b");
  EXPECT_EQ(Now().canmount, kNotSet);
  // A mark that is inherited is another dataset's.
  KeptOne().properties[std::string(kKeptMark)] = {"tank/x", "inherited from tank", "-"};
  EXPECT_EQ(Now().original, "tank/a/b");
  KeptOne().properties["origin"].value = "tank/else@phoenix-run-r1:content";
  EXPECT_EQ(Now().original, "tank/else");
  EXPECT_TRUE(Now().before);
  KeptOne().properties["origin"].value = "tank/else@nightly";
  EXPECT_FALSE(Now().before) << "somebody's own clone";
  for (const char* other :
       {"tank/a", "tank/.phoenix/kept/r1", "tank/.phoenix/kept/r1/a/below", "tank/.phoenix/trash/r1/a"}) {
    EXPECT_FALSE(AsKept(Dataset(other, ""))) << other;
  }
}

TEST_F(KeptPlanTest, ItGoesBackToItsNameAndIsMountedThere) {
  EXPECT_EQ(Restore(), (RestoreKeptStep{kKept, "tank/a/b", KeptOne().guid, "default", "/tank/a/b"}));
  const auto plan = Plan(KeptFate::kRestore);
  EXPECT_EQ(plan->steps[0].reversal, Reversal::kExact);
  EXPECT_THAT(plan->steps[0].provides, ElementsAre("dataset:tank/a/b", "path:/tank/a/b"));
  EXPECT_THAT(plan->steps[0].needs, Contains(Field(&Need::key, "path:/tank/a")));
  EXPECT_EQ(Restore("tank/c").mountpoint, "/tank/c");
  // A mount point of its own goes with it.
  KeptOne().properties["mountpoint"] = {"/srv/b", "local", "-"};
  EXPECT_EQ(Restore("tank/c").mountpoint, "/srv/b");
  // What did not mount by itself does not now.
  for (const char* canmount : {"noauto", "off"}) {
    Mark(kCanmountMark, canmount);
    EXPECT_EQ(Restore().canmount, canmount);
    EXPECT_EQ(Restore().mountpoint, "");
  }
  KeptOne().type = "volume";
  EXPECT_EQ(Restore(), (RestoreKeptStep{kKept, "tank/a/b", KeptOne().guid, "", "", true}));
}

TEST_F(KeptPlanTest, TheDirectoriesOnTheWayToItsMountPointAreSteps) {
  KeptOne().properties["mountpoint"] = {"/srv/deep/b", "local", "-"};
  EXPECT_THAT(SecondLook({.kept = {{.name = kKept}}}, seen_).paths,
              ElementsAre("/srv", "/srv/deep", "/srv/deep/b"));
  EXPECT_TRUE(FirstLook({.kept = {{.name = kKept}}}).holds);
  seen_.paths = {{"/srv", {}}, {"/srv/deep", {}}, {"/srv/deep/b", {}}};
  const auto plan = Plan(KeptFate::kRestore);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, ElementsAre(Field(&PlannedStep::resource, "tank/a/b"),
                                       Field(&PlannedStep::id, "directory:/srv"),
                                       Field(&PlannedStep::id, "directory:/srv/deep")));
}

TEST_F(KeptPlanTest, RestoringIsRefusedWhereSomethingIsInTheWay) {
  constexpr auto kRestore = KeptFate::kRestore;
  EXPECT_THAT(Refusal(kRestore, "", "tank/a"), HasSubstr("name: tank/a is nothing that undo kept"));
  EXPECT_THAT(Refusal(kRestore, "", "tank/.phoenix/kept/r1/none"), HasSubstr("is not there any more"));
  EXPECT_THAT(Refusal(kRestore, "tank/a"), HasSubstr("to: tank/a is there; restore it under another name"));
  EXPECT_THAT(Refusal(kRestore, "tank/none/b"), HasSubstr("to: its parent tank/none is not there"));
  EXPECT_THAT(Refusal(kRestore, "other/b"), HasSubstr("to: tank/.phoenix/kept/r1/a:b lies in pool tank"));
  EXPECT_THAT(Refusal(kRestore, "tank"), HasSubstr("to: 'tank' is a pool"));
  EXPECT_THAT(Refusal(kRestore, "tank/.phoenix/b"), HasSubstr("must begin with a letter or digit"));
  seen_.paths["/tank/a/b"] = {DirectoryState{0, 0, 0755}, {"letter"}, false};
  EXPECT_THAT(Refusal(kRestore), HasSubstr("to: directory /tank/a/b is not empty (it holds letter)"));
  seen_.paths["/tank/a/b"] = {DirectoryState{0, 0, 0755}, {}, true};
  EXPECT_THAT(Refusal(kRestore), HasSubstr("to: something else is mounted at /tank/a/b"));
  seen_.paths["/tank/a/b"] = {};
  KeptOne().mounted_at = "/mnt";
  EXPECT_THAT(Refusal(kRestore),
              HasSubstr("name: tank/.phoenix/kept/r1/a:b is mounted at /mnt; first: zfs un"));
}

TEST_F(KeptPlanTest, DiscardingIsAPointOfNoReturnThatTheOtherServicesAreAskedAbout) {
  Snapshot(std::string(kKept) + "@phoenix-run-r9", "r9");
  const auto plan = Plan(KeptFate::kDiscard);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->steps.size(), 1U);
  EXPECT_EQ(plan->steps[0].step, ZfsStep(DiscardKeptStep{kKept, KeptOne().guid}));
  EXPECT_EQ(plan->steps[0].reversal, Reversal::kPointOfNoReturn);
  EXPECT_THAT(plan->steps[0].remainder, HasSubstr("all data in it are gone"));
  EXPECT_THAT(plan->steps[0].removes, ElementsAre(std::string("dataset:") + kKept));
}

TEST_F(KeptPlanTest, DiscardingIsRefusedWhereOthersHaveAUseForIt) {
  constexpr auto kDiscard = KeptFate::kDiscard;
  const std::string kept = kKept;
  EXPECT_THAT(Refusal(kDiscard, "", "tank/a"), HasSubstr("is nothing that undo kept"));
  seen_.datasets[kept + "/theirs"] = Dataset(kept + "/theirs", "");
  EXPECT_THAT(Refusal(kDiscard),
              HasSubstr("holds dataset " + kept + "/theirs; first, if nobody needs that: zfs"));
  seen_.datasets.erase(kept + "/theirs");
  Snapshot(kept + "@theirs", "");
  EXPECT_THAT(Refusal(kDiscard), HasSubstr("which others took; first: zfs destroy " + kept + "@theirs"));
  seen_.snapshots.clear();
  Snapshot(kept + "@phoenix-run-r1", "r1");
  auto& snapshot = seen_.snapshots.begin()->second;
  snapshot.clones = {"tank/copy"};
  EXPECT_THAT(Refusal(kDiscard), HasSubstr("was cloned to tank/copy; first: zfs promote tank/copy"));
  snapshot.holds = 1;
  snapshot.tags = {"backup"};
  EXPECT_THAT(Refusal(kDiscard), HasSubstr("is held by backup; first: zfs release TAG"));
  seen_.snapshots.clear();
  KeptOne().mounted_at = "/mnt";
  EXPECT_THAT(Refusal(kDiscard), HasSubstr("is mounted at /mnt"));
}

TEST(Discarded, IsDueAtOnceAndOnlyOnceItIsCommitted) {
  const std::string kept = "tank/.phoenix/kept/r1/a", lies = AsideName(TrashOf(kept, "r2"), kept);
  EXPECT_TRUE(IsDiscarded(lies));
  EXPECT_EQ(RunOfAside(lies, "trash"), "r2");
  EXPECT_FALSE(IsDiscarded(AsideName(TrashOf("tank/a", "r2"), "tank/a")));
  EXPECT_FALSE(IsDiscarded(kept));
  ZfsState seen;
  seen.pools["tank"] = {.name = "tank", .size_bytes = 100, .free_bytes = 90};
  seen.datasets[lies] = Dataset(lies, "");
  seen.datasets[lies].properties[std::string(kTrashMark)] = {"r2", "local", "-"};
  EXPECT_THAT(WhatToReap(seen, {}, 1000).reap, IsEmpty());
  seen.datasets[lies].properties[std::string(kCommittedMark)] = {"1000", "local", "-"};
  EXPECT_THAT(WhatToReap(seen, {}, 1000).reap, ElementsAre(Field(&Reap::name, lies)));
}

}  // namespace
}  // namespace phoenix::zfs
