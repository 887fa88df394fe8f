#include "services/proxmox/domain/container_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/kit/plan/keys.h"

namespace phoenix::proxmox {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ContainerVolumeSpec Volume(const std::string& path, const std::string& storage, uint64_t size) {
  return {"data", storage, size, path, std::nullopt, false, "$.v"};
}
ContainerBindSpec Bind(const std::string& host_path, const std::string& path) {
  return {host_path, path, std::nullopt, std::nullopt, false, "$.b"};
}

class ContainerPlannerTest : public ::testing::Test {
 protected:
  ContainerPlannerTest() {
    state_.node = "pve1";
    state_.storages["tank"] = {"zfspool", true, true, "tank/ct"};
    state_.here[101] = {};
    spec_.id = 101;
    spec_.origin = "$.c";
  }
  ContainerConfig& config() { return state_.here[101]; }
  ContainerPlan Plan() {
    const auto plan = PlanContainers({spec_}, state_);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : ContainerPlan();
  }
  std::vector<std::string> Problems() {
    const auto plan = PlanContainers({spec_}, state_);
    EXPECT_EQ(plan.status().code(), absl::StatusCode::kFailedPrecondition);
    std::vector<std::string> texts;
    for (const auto& violation : ViolationsOf(plan.status()))
      texts.push_back(violation.field + ": " + violation.description);
    return texts;
  }
  // The container as the step leaves it.
  void Carry(const ContainerPlan& plan) {
    for (const ContainerStep& step : plan.steps) {
      for (const NewMount& m : step.mounts) {
        ContainerMount mount{m.host_path, m.path, std::nullopt, {}};
        if (m.is_volume()) {
          mount.source = m.storage + ":subvol-101-disk-" + std::to_string(m.number);
          mount.size = m.size_gib * kGib;
        }
        if (m.backup) mount.options["backup"] = *m.backup ? "1" : "0";
        if (m.read_only) mount.options["ro"] = "1";
        config().mounts[m.number] = mount;
      }
      if (step.action == ContainerAction::kGrow) config().mounts[step.number].size = step.size_gib * kGib;
    }
  }

  ContainersState state_;
  ContainerSpec spec_;
};

// Two nodes that copy their containers to each other: the usual pair.
TEST_F(ContainerPlannerTest, ADirectoryOfAReplicatedContainerIsNotReplicated) {
  config().replicated = true;
  spec_.binds = {Bind("/tank/media", "/media")};
  state_.directories["/tank/media"] = {};
  const ContainerPlan plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(MountValue(plan.steps[0].mounts.at(0)), "/tank/media,mp=/media,replicate=0");
  config().mounts[0] = {"/tank/media", "/media", std::nullopt, {}};
  EXPECT_THAT(Plan().steps, IsEmpty());
  spec_.binds[0].absent = true;
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("pct set 101 --delete mp0")));
  config().mounts[0].options["replicate"] = "0";
  EXPECT_EQ(Plan().steps.size(), 1u);
}

// The file has another path for it now: nothing of it is lost, and nobody takes the empty one for it.
TEST_F(ContainerPlannerTest, AVolumeThatIsDeclaredNoMoreIsToldOfBesideANewOne) {
  config().mounts[0] = {"tank:subvol-101-disk-1", "/data", kGib, {{"backup", "1"}}};
  config().mounts[1] = {"other:subvol-101-disk-2", "/other", kGib, {}};
  config().mounts[2] = {"tank:subvol-101-disk-3", "/kept/", 8 * kGib, {}};
  spec_.volumes = {Volume("/srv/data", "tank", 8), Volume("/kept", "tank", 8)};
  const auto plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_TRUE(plan.notes[0].warning);
  EXPECT_THAT(plan.notes[0].text,
              HasSubstr("pct set 101 --mp0 tank:subvol-101-disk-1,mp=/srv/data,backup=1"));
}

TEST_F(ContainerPlannerTest, NewMountsTakeTheLowestFreeNumbersInOneStepAndComeOnce) {
  config().mounts[1] = {"tank:subvol-101-disk-9", "/else", kGib, {}};
  config().pending_mounts[2] = {"/srv/x", "/pending", std::nullopt, {}};
  state_.storages["new"] = {"zfspool", false, true};
  state_.directories["/srv/a"] = {};
  spec_.volumes = {Volume("/data", "tank", 8), Volume("/data2", "new", 4)};
  spec_.volumes[0].backup = true;
  spec_.binds = {Bind("/srv/a", "/a")};
  spec_.binds[0].read_only = true;
  const auto plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  const ContainerStep& step = plan.steps[0];
  EXPECT_THAT(step.diffs, ElementsAre(kit::FieldDiff{"mp0", "", "tank:8,mp=/data,backup=1"},
                                      kit::FieldDiff{"mp3", "", "new:4,mp=/data2"},
                                      kit::FieldDiff{"mp4", "", "/srv/a,mp=/a,ro=1"}));
  EXPECT_THAT(step.requires_keys,
              ElementsAre(kit::Requirement{"storage:tank", true}, kit::Requirement{"storage:new", false},
                          kit::Requirement{"path:/srv/a", true}));
  EXPECT_THAT(step.provides, ElementsAre("container-mount:101:/data", "container-mount:101:/data2",
                                         "container-mount:101:/a"));
  Carry(plan);
  for (int run = 0; run < 3; ++run) {
    const auto again = Plan();
    EXPECT_THAT(again.steps, IsEmpty());
    EXPECT_THAT(again.notes, IsEmpty());
  }
}

// A dataset provides every path below it, and still somebody has to make the folder: with a mount point whose
// source is missing the container does not start.
TEST_F(ContainerPlannerTest, AFolderThatIsMissingIsNeededByItselfAndItsWayOutNamesTheOwner) {
  config().unprivileged = true;
  spec_.binds = {Bind("/srv/a/ssl", "/a"), Bind("/srv/a/ssl", "/b")};
  spec_.binds[0].owner_uid = 0;
  spec_.binds[0].owner_gid = 33;
  const auto plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  const auto& needs = plan.steps[0].requires_keys;
  ASSERT_EQ(needs.size(), 2u);
  EXPECT_EQ(needs[0], (kit::Requirement{"path:/srv/a/ssl", false}));
  EXPECT_EQ(kit::WithoutWayOut(needs[1].key), "folder:/srv/a/ssl");
  EXPECT_FALSE(needs[1].satisfied_now);
  EXPECT_THAT(kit::WayOutOf(needs[1].key),
              HasSubstr("`mkdir -p /srv/a/ssl && chown 100000:100033 /srv/a/ssl`"));
  // One that is bound already is told of.
  Carry(plan);
  const auto again = Plan();
  EXPECT_THAT(again.steps, IsEmpty());
  ASSERT_FALSE(again.notes.empty());
  EXPECT_THAT(again.notes.back().text, HasSubstr("mp1 is /srv/a/ssl, which is not there"));
  state_.directories["/srv/a/ssl"] = {100000, 100033};
  EXPECT_THAT(Plan().notes, IsEmpty());
}

TEST_F(ContainerPlannerTest, ABindMountGoesByNameAndNothingElseDoes) {
  spec_.binds = {Bind("/srv/a", "/a")};
  spec_.binds[0].absent = true;
  EXPECT_THAT(Plan().steps, IsEmpty()) << "it is gone";
  config().mounts[2] = {"/srv/a", "/a/", std::nullopt, {{"ro", "1"}, {"shared", "1"}}};
  const auto plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].action, ContainerAction::kUnmount);
  EXPECT_THAT(plan.steps[0].diffs, ElementsAre(kit::FieldDiff{"mp2", "/srv/a,mp=/a/,ro=1,shared=1", ""}));
  EXPECT_THAT(plan.steps[0].removes, ElementsAre("container-mount:101:/a"));
  // So that it goes before the directory.
  EXPECT_THAT(plan.steps[0].requires_keys, ElementsAre(kit::Requirement{"path:/srv/a", true}));
  config().pending_removals = {"mp2"};
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("mp2 of container 101 is to go when the container stops")));
  config().pending_removals = {};
  state_.running = {101};
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("with its next stop only: stop the container and plan again")));
  state_.running = {};
  for (const char* other : {"/srv/b", "tank:subvol-101-disk-0"}) {
    config().mounts[2].source = other;
    const auto left = Plan();
    EXPECT_THAT(left.steps, IsEmpty());
    ASSERT_EQ(left.notes.size(), 1u);
    EXPECT_THAT(left.notes[0].text, HasSubstr("it stays"));
  }
}

TEST_F(ContainerPlannerTest, APathThatOnlyBeginsAlikeIsAnotherOne) {
  config().mounts[0] = {"tank:subvol-101-disk-1", "/data-sync", 8 * kGib, {}};
  spec_.volumes = {Volume("/data", "tank", 8)};
  EXPECT_EQ(Plan().steps.size(), 1u);
  config().mounts[1] = {"tank:subvol-101-disk-2", "/data/", 8 * kGib, {}};
  EXPECT_EQ(Plan().steps.size(), 0u);
}

TEST_F(ContainerPlannerTest, AVolumeGrowsAndNeverShrinks) {
  config().mounts[3] = {"tank:subvol-101-disk-1", "/data", 8 * kGib, {}};
  spec_.volumes = {Volume("/data", "tank", 20)};
  const auto plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].action, ContainerAction::kGrow);
  EXPECT_EQ(plan.steps[0].number, 3);
  EXPECT_EQ(plan.steps[0].dataset, "tank/ct/subvol-101-disk-1");
  EXPECT_FALSE(plan.steps[0].running);
  EXPECT_THAT(plan.steps[0].diffs, ElementsAre(kit::FieldDiff{"size", "8 GiB", "20 GiB"}));
  Carry(plan);
  EXPECT_THAT(Plan().steps, IsEmpty());
  spec_.volumes[0].size_gib = 8;
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("$.v.size_gb: volume tank:subvol-101-disk-1 of container 101 has "
                                    "20 GiB and cannot shrink to 8 GiB")));
  // Its quota was taken away: undo could not bring that back.
  for (auto& [number, mount] : config().mounts) mount.size = 0;
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("has no limit")));
}

TEST_F(ContainerPlannerTest, AnythingElseAtThePathIsRefusedAndAllOfItAtOnce) {
  config().mounts[0] = {"other:subvol-101-disk-1", "/data", 8 * kGib, {}};
  config().mounts[1] = {"/srv/b", "/a", std::nullopt, {}};
  config().mounts[2] = {"/srv/c", "/c", std::nullopt, {}};
  config().pending_removals = {"mp2"};
  spec_.volumes = {Volume("/data", "tank", 8)};
  spec_.binds = {Bind("/srv/a", "/a"), Bind("/srv/c", "/c")};
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("holds other:subvol-101-disk-1 (mp0), not a volume on storage 'tank'"),
                          HasSubstr("is /srv/b (mp1), not /srv/a"),
                          HasSubstr("mp2 of container 101 is to go when the container stops")));
}

// It is read from [pve:pending]: at the container's next start something else is there.
TEST_F(ContainerPlannerTest, AMountPointThatIsToBeReplacedIsNotTakenForTheDeclaredOne) {
  config().mounts[0] = {"tank:subvol-101-disk-1", "/data", 8 * kGib, {}};
  config().mounts[1] = {"/srv/a", "/a", std::nullopt, {}};
  config().pending_mounts[0] = {"tank:subvol-101-disk-2", "/elsewhere", 8 * kGib, {}};
  config().pending_mounts[1] = {"/srv/b", "/b", std::nullopt, {}};
  spec_.volumes = {Volume("/data", "tank", 8)};
  spec_.binds = {Bind("/srv/a", "/a")};
  EXPECT_THAT(
      Problems(),
      ElementsAre(AllOf(HasSubstr("mp0 of container 101 becomes tank:subvol-101-disk-2 at /elsewhere when "
                                  "the container stops"),
                        HasSubstr("`pct set 101 --revert mp0`")),
                  HasSubstr("mp1 of container 101 becomes /srv/b at /b")));
  // Nor is what comes at the same path.
  config().pending_mounts[0] = {"/srv/x", "/data", std::nullopt, {}};
  config().pending_mounts[1] = {"/srv/b", "/a", std::nullopt, {}};
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("mp0 of container 101 becomes /srv/x at /data when"),
                                      HasSubstr("mp1 of container 101 becomes /srv/b at /a when")));
  // Other options of the declared one are no other thing.
  config().pending_mounts[0] = {"tank:subvol-101-disk-1", "/data", 8 * kGib, {{"backup", "1"}}};
  config().pending_mounts.erase(1);
  EXPECT_THAT(Plan().steps, IsEmpty());
}

TEST_F(ContainerPlannerTest, ANumberThatIsToGoIsNotGivenToANewMountPoint) {
  config().pending_removals = {"mp0"};
  spec_.binds = {Bind("/srv/a", "/a")};
  EXPECT_EQ(Plan().steps[0].mounts[0].number, 1);
}

TEST_F(ContainerPlannerTest, ATemplateIsRefusedWhereItWouldChange) {
  config().is_template = true;
  config().mounts[0] = {"tank:basevol-101-disk-0", "/data", 8 * kGib, {}};
  spec_.volumes = {Volume("/data", "tank", 8)};
  EXPECT_THAT(Plan().steps, IsEmpty());
  spec_.binds = {Bind("/srv/a", "/a")};
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("$.c: container 101 is a template")));
}

TEST_F(ContainerPlannerTest, APathThatALineOfLxcServesOrHidesIsToldWithTheLine) {
  config().raw_mounts = {{"/data", "lxc.mount.entry: /srv/x data none bind 0 0"},
                         {"/mnt", "lxc.mount.entry: /srv/y mnt none bind 0 0"}};
  spec_.volumes = {Volume("/data", "tank", 8), Volume("/data2", "tank", 8)};
  spec_.binds = {Bind("/srv/a", "/mnt/a"), Bind("/srv/b", "/")};
  spec_.binds[1].path = "/mn";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("$.v: /data of container 101 is served already, by the line "
                                                "\"lxc.mount.entry: /srv/x data none bind 0 0\" of "
                                                "/etc/pve/nodes/pve1/lxc/101.conf"),
                                      HasSubstr("$.b: /mnt/a of container 101 is hidden already")));
}

TEST_F(ContainerPlannerTest, APersistentVolumeHasTheOwnerThatTheContainerTakesForItsRoot) {
  spec_.binds = {Bind("/tank/persistent-101-a", "/a")};
  spec_.binds[0].owner_uid = spec_.binds[0].owner_gid = 0;
  spec_.binds[0].host_uid = spec_.binds[0].host_gid = 100000;
  config().unprivileged = true;
  // It comes with the same run, and nobody needs to be told to make it.
  EXPECT_THAT(Plan().notes, IsEmpty());
  config().unprivileged = false;
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("is declared for user 100000 of the host, but user 0 of container "
                                    "101 is 0 there"),
                          HasSubstr("group 0 of container 101 is 0 there")));
  config().unprivileged = true;
  config().users = {{0, 165536, 65536}};
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("user 0 of container 101 is 165536 there")));
}

// Who would take the mount away, as for other binds, would find an empty directory and the data in `unusedN`.
TEST_F(ContainerPlannerTest, AnOrdinaryVolumeBecomesAPersistentOneByACopy) {
  config().mounts[0] = {"tank:subvol-101-disk-0", "/data", 8 * kGib, {}};
  spec_.binds = {Bind("/tank/persistent-101-a", "/data")};
  spec_.binds[0].host_uid = spec_.binds[0].host_gid = 100000;
  config().unprivileged = true;
  const auto problems = Problems();
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0], AllOf(HasSubstr("\"persistent\": false"), HasSubstr("has to be copied"),
                                 ::testing::Not(HasSubstr("--delete"))));
}

TEST_F(ContainerPlannerTest, AContainerWithoutItsPersistentVolumesIsToldWhereTheyAre) {
  spec_.placed_on = "hv2";
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("container 101 is on this node (pve1), and its persistent volumes "
                                    "are declared on node hv2")));
  state_.here.clear();
  EXPECT_THAT(Plan().notes[0].text, HasSubstr("is on no node"));
}

TEST_F(ContainerPlannerTest, AContainerThatIsLockedOrUnreadableIsOnlyRefusedWhereItWouldChange) {
  config().lock = "backup";
  config().unreadable = {"mp0: x"};
  EXPECT_THAT(Plan().steps, IsEmpty());
  spec_.binds = {Bind("/srv/a", "/a")};
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("is locked (backup)"), HasSubstr("cannot be read, \"mp0: x\"")));
}

TEST_F(ContainerPlannerTest, AContainerThatIsElsewhereIsLeftToItsNodeAndOneThatIsNowhereIsTold) {
  state_.here.clear();
  spec_.binds = {Bind("/srv/a", "/a")};
  const auto plan = Plan();
  EXPECT_THAT(plan.steps, IsEmpty());
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_TRUE(plan.notes[0].warning);
  EXPECT_TRUE(plan.notes[0].unless_provided);
  EXPECT_EQ(plan.notes[0].resource, "container:101");
  EXPECT_THAT(plan.notes[0].text, HasSubstr("come with the next run once it exists"));
  state_.elsewhere[101] = "pve2";
  ASSERT_EQ(Plan().notes.size(), 1u);
  EXPECT_TRUE(Plan().notes[0].unless_provided);
  EXPECT_THAT(Plan().notes[0].text, HasSubstr("is on node pve2, which is not of this fleet"));
}

TEST_F(ContainerPlannerTest, TheOwnerOfAHostDirectoryIsToldAsTheHostCounts) {
  config().unprivileged = true;
  state_.directories["/srv/a"] = {1000, 101000};
  spec_.binds = {Bind("/srv/a", "/a")};
  spec_.binds[0].owner_uid = 1000;
  spec_.binds[0].owner_gid = 1000;
  auto plan = Plan();
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0].text,
              HasSubstr("belongs to user 1000 and must belong to 101000, which is 1000 in the "
                        "container: declare that as the dataset's, or `chown 101000 /srv/a`"));
  state_.directories["/srv/a"] = {101000, 101000};
  EXPECT_THAT(Plan().notes, IsEmpty());
  state_.directories.clear();
  EXPECT_EQ(Plan().notes.size(), 2u);
  spec_.binds[0].owner_uid = 70000;
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("user 70000 of container 101 is mapped to none of the host")));
}

TEST_F(ContainerPlannerTest, OptionsOfMountPointsThatAreThereAreToldAndNotChanged) {
  config().mounts[0] = {"tank:subvol-101-disk-1", "/data", 8 * kGib, {{"ro", "1"}}};
  spec_.volumes = {Volume("/data", "tank", 8)};
  spec_.volumes[0].backup = true;
  const auto plan = Plan();
  EXPECT_THAT(plan.steps, IsEmpty());
  EXPECT_EQ(plan.notes.size(), 2u);
}

TEST_F(ContainerPlannerTest, ARunningContainerAndAStorageThatCannotBeLookedIntoAreTold) {
  spec_.volumes = {Volume("/data", "tank", 8)};
  EXPECT_FALSE(Plan().steps[0].running);
  EXPECT_THAT(Plan().steps[0].opaque, IsEmpty());
  state_.running = {101};
  state_.storages["files"] = {"dir", true, true};
  spec_.volumes.push_back(Volume("/more", "files", 8));
  EXPECT_TRUE(Plan().steps[0].running);
  EXPECT_THAT(Plan().steps[0].opaque, ElementsAre("files"));
}

TEST_F(ContainerPlannerTest, GrowthOnAStorageWhereNothingTakesItBackIsLeftToPeople) {
  state_.storages["files"] = {"dir", true, true};
  config().mounts[3] = {"files:101/vm-101-disk-1.raw", "/data", 8 * kGib, {}};
  spec_.volumes = {Volume("/data", "files", 20)};
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("do it yourself (`pct resize 101 mp3 20G`)")));
}

TEST_F(ContainerPlannerTest, AStorageThatIsNowhereIsToldWithItsPlace) {
  spec_.volumes = {Volume("/data", "tankk", 8)};
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("$.v.pool: node pve1 has no storage 'tankk'")));
}

TEST_F(ContainerPlannerTest, ADirectoryThatGoesWithTheSameRunIsNotMounted) {
  spec_.binds = {Bind("/srv/a/b", "/a"), Bind("/srv/ab", "/b")};
  state_.removed_keys = {"path:/srv/a"};
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("/srv/a/b is to go with this run, but container 101 is to see it")));
}

TEST_F(ContainerPlannerTest, AStorageWithoutRootdirAndAProtectedContainerAreRefused) {
  state_.storages["tank"].holds_containers = false;
  spec_.volumes = {Volume("/data", "tank", 8)};
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("$.v.pool: storage 'tank' takes no volumes of containers")));
  state_.storages["tank"].holds_containers = true;
  config().protection = true;
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("`pct set 101 --protection 0`")));
}

TEST_F(ContainerPlannerTest, WhatTheLoaderWouldRefuseIsRefusedHereToo) {
  spec_.id = 99;
  spec_.volumes = {Volume("/a,ro=1", "tank", 0), Volume("/b", "-x", 1)};
  spec_.binds = {Bind("/dev/sda", "/b"), Bind("/srv/../etc", "/c"), Bind("/srv/a=b", "/d"),
                 Bind("/srv/b ", "/e")};
  const auto plan = PlanContainers({spec_}, state_);
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ViolationsOf(plan.status()).size(), 9u);
}

TEST_F(ContainerPlannerTest, MoreMountPointsThanProxmoxVeTakesAreRefused) {
  for (int number = 0; number < 256; ++number)
    config().mounts[number] = {
        "/srv/" + std::to_string(number), "/m" + std::to_string(number), std::nullopt, {}};
  spec_.binds = {Bind("/srv/a", "/a")};
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("has 256 mount points already")));
}

TEST(ContainerVolumes, OfALinkedCloneTheLastPartIsTheDataset) {
  EXPECT_EQ(DatasetOfVolume("tank/guests", "st:subvol-101-disk-0"), "tank/guests/subvol-101-disk-0");
  EXPECT_EQ(DatasetOfVolume("tank", "st:basevol-100-disk-0/subvol-101-disk-0"), "tank/subvol-101-disk-0");
}

}  // namespace
}  // namespace phoenix::proxmox
