#include "services/proxmox/domain/vm_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kOurs[] = "st:snippets/phoenix-1001-user.yaml";

VmSpec Wanted() { return {1001, {{"user", kOurs}}, "st", false, "vms $.vms[0]"}; }

VmPlaces With(VmConfig vm) {
  VmPlaces places;
  places.has_tool = true;
  vm.has_cloud_init_drive = true;
  places.here[1001] = std::move(vm);
  return places;
}

VmPlan Plan(const VmSpec& spec, const VmPlaces& places, const std::set<uint32_t>& owned = {}) {
  ProxmoxState state;
  state.installed = true;
  state.node = "pve1";
  state.config.entries["st"] = {"st", "dir", {"snippets"}, {"pve1"}, false, {}, false};
  return PlanVms({spec}, places, state, owned, false);
}

TEST(Cicustom, IsReadAndWritten) {
  const Cicustom parts = ParseCicustom("user=a:snippets/u.yaml,network=b:snippets/n.yaml");
  EXPECT_EQ(parts.at("user"), "a:snippets/u.yaml");
  EXPECT_EQ(ToText(parts), "network=b:snippets/n.yaml,user=a:snippets/u.yaml");
  EXPECT_EQ(ToText(ParseCicustom("")), "");
  EXPECT_EQ(ToText(ParseCicustom("odd")), "odd");
}

TEST(PlanVms, OnlyThePartThatDiffersIsAStep) {
  const VmPlan fresh = Plan(Wanted(), With({}));
  EXPECT_THAT(fresh.steps, ElementsAre(VmStep{1001, {{"user", ""}}, {{"user", kOurs}}, "st", true}));
  EXPECT_THAT(fresh.notes, IsEmpty());
  const VmPlan others =
      Plan(Wanted(), With({.cicustom = {{"user", "old:snippets/x"}, {"network", "n:snippets/y"}}}));
  EXPECT_THAT(others.steps,
              ElementsAre(VmStep{1001, {{"user", "old:snippets/x"}}, {{"user", kOurs}}, "st", true}));
  EXPECT_THAT(Plan(Wanted(), With({.cicustom = {{"user", kOurs}}})).steps, IsEmpty());
}

TEST(PlanVms, VendorDataComeWithMetaDataInOneStep) {
  VmSpec spec = Wanted();
  spec.volumes = {{"vendor", "st:snippets/v.yaml"}, {"meta", "st:snippets/m.yaml"}};
  EXPECT_THAT(
      Plan(spec, With({.cicustom = {{"meta", "o:snippets/m"}, {"user", "o:snippets/u"}}})).steps,
      ElementsAre(VmStep{1001, {{"meta", "o:snippets/m"}, {"vendor", ""}}, spec.volumes, "st", true}));
  // Of an older version, which set vendor data alone.
  EXPECT_THAT(Plan(spec, With({.cicustom = {{"vendor", "st:snippets/v.yaml"}}})).steps,
              ElementsAre(VmStep{1001, {{"meta", ""}}, {{"meta", "st:snippets/m.yaml"}}, "st", true}));
  EXPECT_THAT(Plan(spec, With({.cicustom = spec.volumes})).steps, IsEmpty());
}

TEST(PlanVms, TheOtherKindOfDataGoesWithTheNewOne) {
  const Cicustom vendor = {{"vendor", "st:snippets/phoenix-1001-vendor.yaml"},
                           {"meta", "st:snippets/phoenix-1001-meta.yaml"}};
  EXPECT_THAT(Plan(Wanted(), With({.cicustom = vendor})).steps,
              ElementsAre(VmStep{1001,
                                 {{"meta", vendor.at("meta")}, {"user", ""}, {"vendor", vendor.at("vendor")}},
                                 {{"meta", ""}, {"user", kOurs}, {"vendor", ""}},
                                 "st",
                                 true}));
  VmSpec other = Wanted();
  other.volumes = vendor;
  const VmPlan back = Plan(other, With({.cicustom = {{"user", kOurs}, {"network", "n:snippets/y"}}}));
  ASSERT_THAT(back.steps, SizeIs(1));
  EXPECT_EQ(back.steps[0].after.at("user"), "");
  EXPECT_EQ(back.steps[0].after.count("network"), 0U);
  EXPECT_THAT(back.notes.at(0).text, HasSubstr("host keys"));
  EXPECT_THAT(Plan(other, With({.cloud_init_type = "configdrive2"})).problems.at(0).description,
              HasSubstr("citype configdrive2"));
}

TEST(PlanVms, WithoutTheVmOrTheToolTheRestIsDoneAndToldSo) {
  VmPlaces places;
  const VmPlan without = Plan(Wanted(), places);
  EXPECT_THAT(without.steps, IsEmpty());
  ASSERT_EQ(without.notes.size(), 1U);
  EXPECT_TRUE(without.notes[0].warning);
  EXPECT_THAT(without.notes[0].text, HasSubstr("no /usr/sbin/qm"));
  places.has_tool = true;
  EXPECT_THAT(Plan(Wanted(), places).notes.at(0).text, HasSubstr("is not on this node"));
  places.elsewhere[1001] = "pve2";
  EXPECT_THAT(Plan(Wanted(), places).notes.at(0).text, HasSubstr("is on node pve2"));
  EXPECT_THAT(Plan(Wanted(), places).problems, IsEmpty());
}

TEST(PlanVms, WhatMakesTheDataUselessOrHarmfulIsTold) {
  VmPlaces places = With({.user_settings = {"ciuser", "sshkeys"}});
  places.here[1001].has_cloud_init_drive = false;
  const VmPlan plan = Plan(Wanted(), places);
  ASSERT_EQ(plan.notes.size(), 2U);
  EXPECT_THAT(plan.notes[0].text, HasSubstr("qm set 1001 --ide2 STORAGE:cloudinit"));
  EXPECT_THAT(plan.notes[1].text, HasSubstr("ciuser, sshkeys"));
  VmSpec vendor = Wanted();
  vendor.volumes = {{"vendor", kOurs}};
  EXPECT_THAT(Plan(vendor, With({.user_settings = {"ciuser"}})).notes, IsEmpty());
}

TEST(PlanVms, ALockedVmIsRefusedOnlyWhereItWouldChange) {
  EXPECT_THAT(Plan(Wanted(), With({.lock = "backup"})).problems.at(0).description,
              HasSubstr("locked (backup)"));
  EXPECT_THAT(Plan(Wanted(), With({.cicustom = {{"user", kOurs}}, .lock = "backup"})).problems, IsEmpty());
}

TEST(PlanVms, OnlyWhatPhoenixSetIsTakenAway) {
  VmSpec gone = Wanted();
  gone.absent = true;
  const VmPlaces set = With({.cicustom = {{"user", kOurs}, {"network", "n:snippets/y"}}});
  EXPECT_THAT(Plan(gone, set, {1001}).steps,
              ElementsAre(VmStep{1001, {{"user", kOurs}}, {{"user", ""}}, "st", true}));
  // It came from another node, whose ledger knows it.
  EXPECT_THAT(Plan(gone, set).steps, SizeIs(1));
  gone.volumes = {{"user", "st:snippets/by-hand.yaml"}};
  EXPECT_THAT(Plan(gone, With({.cicustom = gone.volumes})).problems.at(0).description,
              HasSubstr("not set by Phoenix"));
  EXPECT_THAT(Plan(gone, With({.cicustom = gone.volumes}), {1001}).steps, SizeIs(1));
  // Somebody gave it other data since: not ours.
  EXPECT_THAT(Plan(gone, With({.cicustom = {{"user", "x:snippets/y"}}}), {1001}).steps, IsEmpty());
  EXPECT_THAT(Plan(gone, VmPlaces{}, {1001}).notes, IsEmpty());
}

TEST(PlanVms, AVmThatIsNamedNoMoreIsTold) {
  VmPlaces places = With({.cicustom = {{"user", kOurs}}});
  ProxmoxState state;
  EXPECT_THAT(PlanVms({}, places, state, {1001}, false).notes.at(0).text, HasSubstr("orphaned"));
  EXPECT_THAT(PlanVms({}, places, state, {1001}, true).notes, IsEmpty());
}

// A comma in the volume would set another part of cicustom.
TEST(PlanVms, SpecsThatCouldMeanSomethingElseAreRefused) {
  for (const char* volume : {"st:snippets/a,network=b:snippets/c", "other:snippets/a", "st:snippets/../a",
                             "st:snippets/", "st:iso/a", "st:snippets/-a", "/etc/passwd"}) {
    VmSpec spec = Wanted();
    spec.volumes = {{"user", volume}};
    EXPECT_EQ(Plan(spec, With({})).problems.size(), 1U) << volume;
  }
  VmSpec spec = Wanted();
  spec.volumes = {{"meta", kOurs}};
  spec.vmid = 7;
  EXPECT_EQ(Plan(spec, With({})).problems.size(), 2U);
  ProxmoxState state;
  EXPECT_EQ(PlanVms({Wanted(), Wanted()}, With({}), state, {}, false).problems.size(), 1U);
}

TEST(VmKeys, AreMadeAndRead) {
  EXPECT_EQ(VmKey(1001), "vm:1001");
  EXPECT_EQ(VmidOf("vm:1001"), 1001U);
  for (const char* other : {"storage:1001", "vm:", "vm:x", "vm:1x", "vm"})
    EXPECT_EQ(VmidOf(other), 0U) << other;
}

}  // namespace
}  // namespace phoenix::proxmox
