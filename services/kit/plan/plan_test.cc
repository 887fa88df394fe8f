#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/kit/plan/keys.h"
#include "services/kit/plan/order.h"
#include "services/kit/plan/step.h"

namespace phoenix::kit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Step MakeStep(const std::string& id, std::vector<Requirement> needs, std::vector<std::string> provides,
              StepClass step_class = StepClass::kExact) {
  Step step{.id = id, .resource = id, .action = "do", .step_class = step_class};
  step.requires_keys = std::move(needs);
  step.provides = std::move(provides);
  return step;
}

std::vector<std::string> Sequence(const std::vector<Step>& steps, const Order& order) {
  std::vector<std::string> ids;
  for (const size_t index : order.sequence) ids.push_back(steps[index].id);
  return ids;
}

std::vector<PlacedStep> OnOneNode(const std::vector<Step>& steps) {
  std::vector<PlacedStep> placed;
  for (const Step& step : steps) placed.push_back({"a", "p", &step});
  return placed;
}

TEST(Keys, PathsMatchByComponent) {
  EXPECT_TRUE(Satisfies("path:/quickOS/shared-prod-data", "path:/quickOS/shared-prod-data"));
  EXPECT_TRUE(Satisfies("path:/quickOS/shared-prod-data", "path:/quickOS/shared-prod-data/media"));
  // Trap 11: prefix matching took …-sync for its shorter sibling.
  EXPECT_FALSE(Satisfies("path:/quickOS/shared-prod-data", "path:/quickOS/shared-prod-data-sync"));
  EXPECT_FALSE(Satisfies("pool:quick", "pool:quickOS"));
  EXPECT_TRUE(Satisfies("path:/", "path:/srv"));
}

// A file system that is there, or comes empty, has not every folder that somebody may name.
TEST(Keys, AFolderIsMoreThanTheFileSystemThatHoldsIt) {
  EXPECT_TRUE(Satisfies("path:/p/d", "folder:/p/d"));
  EXPECT_FALSE(Satisfies("path:/p", "folder:/p/d"));
  EXPECT_FALSE(Satisfies("path:/", "folder:/p"));
  EXPECT_TRUE(Satisfies("folder:/p/d", "folder:/p/d"));
  EXPECT_TRUE(Satisfies("tree:/p/d", "folder:/p/d"));
  EXPECT_TRUE(Satisfies("tree:/p", "folder:/p/d"));
  EXPECT_FALSE(Satisfies("tree:/p/d", "folder:/p/d-sync"));
  EXPECT_FALSE(Satisfies("tree:/p/d", "path:/p/d"));
  EXPECT_FALSE(Satisfies("folder:/p/d", "path:/p/d"));
  const std::string needed = FolderKey("/p/d", "mkdir /p/d");
  EXPECT_TRUE(Satisfies("folder:/p/d", needed) && Satisfies("path:/p/d", needed) &&
              Satisfies("tree:/p", needed));
  EXPECT_FALSE(Satisfies("folder:/p/d2", needed));
  EXPECT_EQ(WithoutWayOut(needed), FolderKey("/p/d"));
  EXPECT_EQ(WayOutOf(needed), "mkdir /p/d");
}

TEST(Order, AMissingFolderIsToldWithItsWayOut) {
  const std::vector<Step> steps = {
      MakeStep("bind", {{"path:/p/d", false}, {FolderKey("/p/d", "make it with `mkdir /p/d`"), false}}, {}),
      MakeStep("dataset", {}, {"path:/p"}),
  };
  const auto order = DeriveOrder(OnOneNode(steps));
  ASSERT_FALSE(order.ok());
  ASSERT_THAT(ViolationsOf(order.status()), SizeIs(1));
  EXPECT_THAT(ViolationsOf(order.status())[0].description,
              HasSubstr("folder:/p/d, which is not there and which no step provides: make it with `mkdir"));
  const Step mount = MakeStep("mount", {}, {"path:/p", "tree:/p"});
  EXPECT_TRUE(DeriveOrder(OnOneNode({steps[0], mount})).ok());
}

TEST(Order, ConsumersFollowProvidersAcrossDomains) {
  const std::vector<Step> steps = {
      MakeStep("share", {{"path:/p/d", false}, {"user:heads", false}}, {"share:s"}),
      MakeStep("dataset", {{"pool:p", false}, {"group:heads", false}}, {"dataset:p/d", "path:/p/d"}),
      MakeStep("user", {}, {"user:heads", "group:heads"}),
      MakeStep("pool", {}, {"pool:p"}),
  };
  const auto order = DeriveOrder(OnOneNode(steps));
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_THAT(Sequence(steps, *order), ElementsAre("user", "pool", "dataset", "share"));
  EXPECT_EQ(order->barrier, 4u);
}

TEST(Order, TheMostSpecificMountProvidesAPath) {
  const std::vector<Step> steps = {
      MakeStep("export", {{"path:/p/d/x", false}}, {}),
      MakeStep("outer", {}, {"path:/p"}),
      MakeStep("inner", {}, {"path:/p/d"}),
  };
  const auto order = DeriveOrder(OnOneNode(steps));
  ASSERT_TRUE(order.ok());
  EXPECT_THAT(order->before[0], ElementsAre(2));
}

TEST(Order, NodesDoNotProvideForEachOther) {
  const Step need = MakeStep("export", {{"path:/p", false}}, {});
  const Step provide = MakeStep("pool", {}, {"path:/p"});
  const auto order = DeriveOrder({{"a", "nfs", &need}, {"b", "zfs", &provide}});
  ASSERT_FALSE(order.ok());
  EXPECT_THAT(Message(order.status()), HasSubstr("\n  a/nfs: do export needs path:/p, which is not there"));
  ASSERT_THAT(ViolationsOf(order.status()), SizeIs(1));
  EXPECT_EQ(ViolationsOf(order.status())[0].field, "steps[a/nfs/export].requirements");
}

TEST(Order, AStepWithoutAPlaceIsNamedWithoutOne) {
  const Step need = MakeStep("export", {{"path:/p", false}}, {});
  const auto order = DeriveOrder({{"", "", &need}});
  EXPECT_THAT(Message(order.status()), HasSubstr("\n  do export needs path:/p"));
  ASSERT_THAT(ViolationsOf(order.status()), SizeIs(1));
  EXPECT_EQ(ViolationsOf(order.status())[0].field, "steps[export].requirements");
}

TEST(Order, WhatIsThereAlreadySatisfies) {
  const Step need = MakeStep("export", {{"path:/p/x", false}}, {});
  EXPECT_TRUE(DeriveOrder({{"a", "nfs", &need}}, {{"a", "path:/p"}}).ok());
  EXPECT_FALSE(DeriveOrder({{"a", "nfs", &need}}, {{"b", "path:/p"}}).ok());
}

TEST(Order, WhatAnotherNodeServesComesFirst) {
  const Step mount = MakeStep("mount", {{RemoteKey("10.0.0.11", "export:/p"), true}}, {});
  const Step export_step = MakeStep("export", {}, {"export:/p"});
  const std::vector<PlacedStep> steps = {{"b", "proxmox", &mount}, {"a", "nfs", &export_step}};
  EXPECT_THAT(DeriveOrder(steps, {}, {{"10.0.0.11", "a"}})->before[0], ElementsAre(1));
  EXPECT_THAT(DeriveOrder(steps, {}, {{"10.0.0.11", "b"}})->before[0], IsEmpty());
  // A server that is no node of the run.
  EXPECT_THAT(DeriveOrder(steps)->before[0], IsEmpty());
}

TEST(Order, NothingIsTakenAwayThatAnotherNodeIsToMount) {
  const Step mount = MakeStep("mount", {{RemoteKey("a", "share:s"), true}}, {});
  Step unshare = MakeStep("unshare", {}, {});
  unshare.removes = {"share:s"};
  const auto order = DeriveOrder({{"b", "proxmox", &mount}, {"a", "samba", &unshare}}, {}, {{"a", "a"}});
  EXPECT_THAT(Message(order.status()), HasSubstr("which «a/samba: do unshare» takes away"));
}

TEST(Order, NodesOfAClusterMakeOneDefinitionForEachOther) {
  const std::string key = DefinitionKey("c", "storage:x", "dir content=iso path=/x");
  const Step join = MakeStep("join", {{key, false}}, {"storage:x"});
  const Step set = MakeStep("set", {}, {"storage:x", key});
  const std::vector<PlacedStep> steps = {{"b", "proxmox", &join}, {"a", "proxmox", &set}};
  const auto order = DeriveOrder(steps);
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_THAT(order->before[0], ElementsAre(1));
  // Nobody changes it.
  EXPECT_THAT(Message(DeriveOrder({steps[0]}).status()),
              HasSubstr("b/proxmox: do join wants it to be \"dir content=iso path=/x\", which it is not"));
}

TEST(Order, NodesOfAClusterThatDeclareOneObjectDifferentlyAreToldSo) {
  const Step set = MakeStep("set", {}, {DefinitionKey("c", "storage:x", "dir content=iso path=/x")});
  const Step other = MakeStep("set", {}, {DefinitionKey("c", "storage:x", "dir content=backup path=/x")});
  const Step elsewhere = MakeStep("set", {}, {DefinitionKey("d", "storage:x", "dir content=backup path=/x")});
  const PlacedStep here = {"a", "proxmox", &set};
  EXPECT_TRUE(DeriveOrder({here, {"b", "proxmox", &set}}).ok());
  EXPECT_TRUE(DeriveOrder({here, {"b", "proxmox", &elsewhere}}).ok());
  const auto text = HasSubstr(
      "the nodes of cluster c have one storage:x, which a declares as \"dir content=iso path=/x\" and b as "
      "\"dir content=backup path=/x\"");
  EXPECT_THAT(Message(DeriveOrder({here, {"b", "proxmox", &other}}).status()), text);
  // One that is content with what is there has no step.
  const auto status = DeriveOrder({{"b", "proxmox", &other}}, {{"a", set.provides[0]}}).status();
  EXPECT_THAT(Message(status), text);
  EXPECT_EQ(ReasonOf(status)->reason, "PLAN_CONFLICT");
}

TEST(Order, ConsumersLeaveBeforeTheirProviderIsTakenAway) {
  Step unexport = MakeStep("unexport", {{"path:/p/d", true}}, {});
  unexport.removes = {"export:/p/d"};
  Step destroy = MakeStep("destroy", {}, {});
  destroy.removes = {"path:/p/d"};
  const std::vector<Step> steps = {destroy, unexport};
  const auto order = DeriveOrder(OnOneNode(steps));
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_THAT(Sequence(steps, *order), ElementsAre("unexport", "destroy"));
}

// Trap: a folder that a storage entry makes between a content step and its undo would be taken for a client's
// write.
TEST(Order, WhoWritesOrLeavesComesBeforeAPathIsDisturbedAndWhoBeginsToUseItAfterwards) {
  Step content = MakeStep("content", {}, {});
  content.disturbs = {"path:/p/d"};
  Step folders = MakeStep("folders", {{"path:/p/d", true}}, {"storage:s"});
  folders.disturbs = {"content:/p/d/sub"};
  Step unexport = MakeStep("unexport", {{"path:/p/d", true}}, {});
  unexport.removes = {"export:/p/d"};
  const Step share = MakeStep("share", {{"path:/p/d/sub", true}}, {"share:s"});
  const Step other = MakeStep("other", {{"path:/p", true}}, {"share:o"});
  const std::vector<PlacedStep> steps = {{"a", "samba", &share},     {"a", "samba", &other},
                                         {"a", "zfs", &content},     {"a", "nfs", &unexport},
                                         {"a", "proxmox", &folders}, {"b", "samba", &share}};
  const auto order = DeriveOrder(steps);
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_THAT(order->before[0], ElementsAre(2u));
  EXPECT_THAT(order->before[1], IsEmpty());
  EXPECT_THAT(order->before[2], ElementsAre(3u, 4u));
  EXPECT_THAT(order->before[5], IsEmpty());
}

TEST(Order, AStepThatKeepsNeedingARemovedKeyIsAnError) {
  const Step add = MakeStep("add", {{"path:/p/d", true}}, {"export:/p/d"});
  Step destroy = MakeStep("destroy", {}, {});
  destroy.removes = {"path:/p/d"};
  const auto order = DeriveOrder(OnOneNode({add, destroy}));
  EXPECT_THAT(Message(order.status()), HasSubstr("takes away"));
}

TEST(Order, ACircleIsNamed) {
  const std::vector<Step> steps = {MakeStep("x", {{"a:1", false}}, {"b:1"}),
                                   MakeStep("y", {{"b:1", false}}, {"a:1"})};
  const auto order = DeriveOrder(OnOneNode(steps));
  EXPECT_THAT(Message(order.status()), HasSubstr("in a circle"));
}

TEST(Order, PointsOfNoReturnAndWhatDependsOnThemComeAfterTheBarrier) {
  const std::vector<Step> steps = {
      MakeStep("wipe", {}, {"pool:p"}, StepClass::kPointOfNoReturn),
      MakeStep("dataset", {{"pool:p", false}}, {"path:/p"}),
      MakeStep("user", {}, {"user:u"}),
  };
  const auto order = DeriveOrder(OnOneNode(steps));
  ASSERT_TRUE(order.ok());
  EXPECT_THAT(Sequence(steps, *order), ElementsAre("user", "wipe", "dataset"));
  EXPECT_EQ(order->barrier, 1u);
}

TEST(PlanDigest, ChangesWithWhatWouldBeDoneAndNotWithRemarks) {
  Plan plan{.steps = {MakeStep("x", {}, {})}};
  const std::string digest = PlanDigest(plan);
  plan.notes.push_back({false, "r", "a remark"});
  plan.steps[0].commands = {"zfs create x"};
  EXPECT_EQ(PlanDigest(plan), digest);
  plan.steps[0].diffs = {{"quota", "1", "2"}};
  const std::string changed = PlanDigest(plan);
  EXPECT_NE(changed, digest);
  // A value cannot imitate a field boundary.
  plan.steps[0].diffs = {{"quota", "1\nafter 1 2", ""}};
  EXPECT_NE(PlanDigest(plan), changed);
}

TEST(Keys, WhatAStepWritesIntoIsNoOutageOfIt) {
  const std::vector<std::string> keys = {"content:/tank/b", "path:/tank/c", "content:tank",
                                         "content:/tank/a"};
  EXPECT_THAT(WrittenPaths(keys), ElementsAre("/tank/b", "/tank/a"));
  EXPECT_FALSE(Satisfies("content:/tank/b", "path:/tank/b"));
  EXPECT_FALSE(Satisfies("content:/tank", "path:/tank/b"));
}

TEST(PlanDigest, WhatIsKeptIsAgreedToAsTheStepsAre) {
  Plan plan;
  plan.steps = {MakeStep("a", {}, {"k"})};
  const std::string without = PlanDigest(plan);
  plan.checkpoints = {"tank/a"};
  const std::string one = PlanDigest(plan);
  EXPECT_NE(one, without);
  plan.checkpoints = {"tank/a", "tank/b"};
  EXPECT_NE(PlanDigest(plan), one);
  plan.steps.clear();
  plan.checkpoints.clear();
  const std::string empty = PlanDigest(plan);
  plan.checkpoints = {"tank/a"};
  EXPECT_NE(PlanDigest(plan), empty);
}

}  // namespace
}  // namespace phoenix::kit
