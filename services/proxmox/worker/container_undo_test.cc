// What must hold of doing and undoing steps on containers, whatever goes wrong in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/proxmox/host/container_sim.h"
#include "services/proxmox/worker/testing_world.h"

namespace phoenix::proxmox {
namespace {

using kit::Probe;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kStorages[] =
    "zfspool: ct\n\tpool quickOS/lxc-disks\n\tcontent rootdir\n\tnodes pve1\n\n"
    "dir: files\n\tpath /quickOS/shared-prod-data\n\tcontent rootdir\n\tis_mountpoint 1\n\tnodes pve1\n\n";
constexpr char kContainer[] = "arch: amd64\nhostname: web\nmemory: 512\nunprivileged: 1\n";

ContainerVolumeSpec Volume(const std::string& path, uint64_t size, const std::string& storage = "ct") {
  return {"data", storage, size, path, std::nullopt, false, "$.v"};
}
ContainerBindSpec Bind(const std::string& host_path, const std::string& path) {
  return {host_path, path, std::nullopt, std::nullopt, false, "$.b"};
}
ProxmoxSpec Containers(std::vector<ContainerSpec> containers) {
  ProxmoxSpec spec;
  spec.containers = std::move(containers);
  return spec;
}

class ContainerUndoTest : public ::testing::Test, protected SimWorld {
 protected:
  ContainerUndoTest() {
    WriteConfig(kStorages);
    WriteGuest("lxc/101.conf", kContainer);
    WriteGuest("lxc/102.conf", kContainer);
    EXPECT_TRUE(host_.containers().Mount(102, {{0, "ct", 8, {}, "/data", true, false}}, "", nullptr).ok());
  }

  // Every kind of step at once: volumes and a directory for one container, growth of another's.
  static ProxmoxSpec Mixed() {
    return Containers(
        {{101, {Volume("/data", 8), Volume("/more", 4)}, {Bind("/quickOS/vm-disks", "/shared")}, "$.c"},
         {102, {Volume("/data", 20)}, {}, "$.d"}});
  }
  static ProxmoxSpec One() { return Containers({{101, {Volume("/data", 8)}, {}, "$.c"}}); }
  static ProxmoxSpec Larger() { return Containers({{102, {Volume("/data", 20)}, {}, "$.d"}}); }

  ContainerConfig Config(uint32_t id) { return host_.containers().Read({id})->here.at(id); }
  void Start(uint32_t id) {
    WriteFile("/proc/1/net/unix", fmt::format("0: 2 0 1 1 1 7 @/var/lib/lxc/{}/command\n", id));
  }
  void Fill(uint64_t bytes) {
    const std::string dataset = "quickOS/lxc-disks/subvol-102-disk-0";
    EXPECT_TRUE(machine_
                    ->Change([&](kit::World& world) -> absl::Status {
                      PHX_ASSIGN_OR_RETURN(auto there, world.Get(kSimDataset, dataset));
                      there->erase("written_more");
                      if (bytes > 0) (*there)["written_more"] = bytes;
                      return world.Put(kSimDataset, dataset, *there);
                    })
                    .ok());
  }
  // What is mounted into containers that ran then, by container and key.
  std::vector<std::string> LiveMounts() {
    std::vector<std::string> keys;
    EXPECT_TRUE(machine_
                    ->Look([&](kit::World& world) -> absl::Status {
                      PHX_ASSIGN_OR_RETURN(const auto all, world.List(kSimLiveMount));
                      for (const auto& [key, mount] : all) keys.push_back(key);
                      return absl::OkStatus();
                    })
                    .ok());
    return keys;
  }
  void Stop() { WriteFile("/proc/1/net/unix", ""); }
  Probe ProbeOf() { return driver_->ProbeLast()->probe; }
  std::string File(uint32_t id) {
    return host_.files()
        .Read(fmt::format("/etc/pve/nodes/pve1/lxc/{}.conf", id))
        ->value_or(FileState{})
        .content;
  }
};

TEST_F(ContainerUndoTest, EveryStepDoneTwiceIsHarmlessAndComesOnce) {
  ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
  ASSERT_EQ(plan_.steps.size(), 2u);
  ASSERT_TRUE((last_ = driver_->Apply(static_cast<size_t>(-1), /*repeat=*/true)).ok()) << last_;
  EXPECT_EQ(Config(101).mounts.size(), 3u);
  EXPECT_EQ(Config(101).mounts.at(0).source, "ct:subvol-101-disk-0");
  EXPECT_EQ(Config(102).mounts.at(0).size, 20 * kGib);
  EXPECT_EQ(host_.containers().Volumes("ct", 102)->at("ct:subvol-102-disk-0"), 20 * kGib);
}

// Trap 10: volumes were added again at every run.
TEST_F(ContainerUndoTest, Trap10VolumesAreAddedOnceHoweverOftenSetupRuns) {
  ASSERT_TRUE(Carry(Mixed()).ok()) << last_;
  const std::string standing = Dump();
  for (int run = 0; run < 3; ++run) {
    ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
    EXPECT_THAT(plan_.steps, IsEmpty());
  }
  EXPECT_EQ(host_.containers().Volumes("ct", 101)->size(), 2u);
  EXPECT_EQ(Dump(), standing);
}

TEST_F(ContainerUndoTest, StoppedAfterAnyStepUndoBringsTheOldStateBack) {
  const std::string before = Dump();
  for (size_t count = 0; count <= 2; ++count) {
    ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
    ASSERT_TRUE((last_ = driver_->Apply(count)).ok()) << last_;
    if (count > 0) {
      EXPECT_NE(Dump(), before);
    }
    ASSERT_TRUE(Undo().ok()) << count << ": " << last_;
    EXPECT_EQ(Dump(), before) << count;
  }
}

TEST_F(ContainerUndoTest, RepeatedUndoIsHarmless) {
  const std::string before = Dump();
  ASSERT_TRUE(Carry(Mixed()).ok()) << last_;
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

TEST_F(ContainerUndoTest, AnyFaultOfAnyStepLeadsBackToTheOldState) {
  const std::string before = Dump();
  int failures = 0;
  for (const auto& [operation, effects] :
       {std::pair{"pct.set:101", std::vector<const char*>{"fail", "lie", "nothing", "orphans"}},
        std::pair{"pct.resize:102", std::vector<const char*>{"fail", "lie", "nothing", "half"}}}) {
    for (const char* effect : effects) {
      ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
      ASSERT_TRUE(machine_->PlanFault(operation, effect).ok());
      failures += driver_->Apply().ok() ? 0 : 1;
      ASSERT_TRUE(Undo().ok()) << operation << effect << ": " << last_;
      EXPECT_EQ(Dump(), before) << operation << effect;
      ASSERT_FALSE(HasFault(operation)) << "the fault was not met";
    }
  }
  // A lie that did everything is a success.
  EXPECT_EQ(failures, 6);
}

TEST_F(ContainerUndoTest, AnUndoThatIsCutOffAnywhereIsRepeated) {
  const std::string before = Dump();
  for (const auto& [operation, effect] :
       {std::pair{"pct.set:101", "fail"}, std::pair{"pct.set:101", "lie"},
        std::pair{"pct.resize:102", "fail"}, std::pair{"pct.resize:102", "half"},
        std::pair{"zfs.quota", "lie"}}) {
    ASSERT_TRUE(Carry(Mixed()).ok()) << last_;
    ASSERT_TRUE(machine_->PlanFault(operation, effect).ok());
    // What answered an error may have happened all the same.
    if (!Undo().ok()) {
      EXPECT_NE(ProbeOf(), Probe::kForeign) << operation << effect;
    }
    ASSERT_TRUE(Undo().ok()) << operation << effect << ": " << last_;
    EXPECT_EQ(Dump(), before) << operation << effect;
    ASSERT_FALSE(HasFault(operation)) << "the fault was not met";
  }
}

// pct allocates one volume after the other, and writes nothing where one of them fails.
TEST_F(ContainerUndoTest, VolumesThatAFailedPctLeftBehindAreOursAndGo) {
  const std::string before = Dump();
  ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
  ASSERT_TRUE(machine_->PlanFault("pct.set:101", "orphans").ok());
  EXPECT_FALSE(driver_->Apply().ok());
  EXPECT_EQ(host_.containers().Volumes("ct", 101)->size(), 2u);
  EXPECT_EQ(ProbeOf(), Probe::kPartial);
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(Dump(), before);
}

TEST_F(ContainerUndoTest, AVolumeThatWasThereIsNeverTakenForOurs) {
  // Unused, empty, and of the very size.
  ASSERT_TRUE(host_.containers().Mount(101, {{3, "ct", 8, {}, "/x", {}, false}}, "", nullptr).ok());
  ASSERT_TRUE(host_.containers().Detach(101, {"mp3"}, "", nullptr).ok());
  const std::string before = Dump();
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  EXPECT_EQ(Config(101).mounts.at(0).source, "ct:subvol-101-disk-1");
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(Config(101).unused.at(0), "ct:subvol-101-disk-0");
  EXPECT_EQ(Dump(), before);
}

TEST_F(ContainerUndoTest, AVolumeThatHoldsAFileOrASnapshotStaysAndIsNamed) {
  for (const bool snapshot : {false, true}) {
    ASSERT_TRUE(Carry(One()).ok()) << last_;
    const std::string volume = Config(101).mounts.at(0).source;
    const std::string dataset = "quickOS/lxc-disks/" + volume.substr(3);
    if (snapshot) {
      ASSERT_TRUE(machine_
                      ->Change([&](kit::World& world) {
                        return world.Put("zfs.snapshot", dataset + "@mine", nlohmann::json::object());
                      })
                      .ok());
    } else {
      WriteFile("/" + dataset + "/letter", "dear");
    }
    EXPECT_FALSE(Undo().ok());
    EXPECT_THAT(Message(last_), AllOf(HasSubstr("stays"), HasSubstr(snapshot ? "@mine" : "letter")));
    EXPECT_EQ(Config(101).unused.at(0), volume);
    EXPECT_EQ(ProbeOf(), Probe::kPartial);
    // A person decides, and then nothing is left to undo.
    ASSERT_TRUE(host_.containers().Detach(101, {"unused0"}, "", nullptr).ok());
    EXPECT_EQ(ProbeOf(), Probe::kNotDone);
    ASSERT_TRUE(Undo().ok()) << last_;
  }
}

TEST_F(ContainerUndoTest, AVolumeThatASnapshotOfTheContainerNamesStays) {
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  const std::string text = File(101);
  WriteGuest("lxc/101.conf", text + "\n[before]\nmp0: ct:subvol-101-disk-0,mp=/data,size=8G\n");
  EXPECT_FALSE(Undo().ok());
  EXPECT_THAT(Message(last_), HasSubstr("a snapshot names ct:subvol-101-disk-0"));
  EXPECT_EQ(host_.containers().Volumes("ct", 101)->size(), 1u);
}

TEST_F(ContainerUndoTest, OnARunningContainerTheStepIsLossyAndItsUndoWaitsForTheStop) {
  Start(101);
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  EXPECT_EQ(plan_.steps[0].step_class, kit::StepClass::kLossy);
  EXPECT_THAT(plan_.steps[0].remainder, HasSubstr("container 101 runs, so that its mount points go with its "
                                                  "next stop, and their volumes then stay"));
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_THAT(Config(101).pending_removals, ElementsAre("mp0"));
  EXPECT_EQ(host_.containers().Volumes("ct", 101)->size(), 1u);
}

TEST_F(ContainerUndoTest, AContainerThatStandsStillByThenIsUndoneExactly) {
  Start(101);
  const std::string text = File(101);
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  Stop();
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(File(101), text);
  EXPECT_THAT(*host_.containers().Volumes("ct", 101), IsEmpty());
}

TEST_F(ContainerUndoTest, AContainerThatWasStartedMeanwhileIsNotChangedAsIfItStoodStill) {
  const std::string text = File(101);
  ASSERT_TRUE(Plan(One()).ok()) << last_;
  EXPECT_EQ(plan_.steps[0].step_class, kit::StepClass::kConfig);
  Start(101);
  EXPECT_FALSE(driver_->Apply().ok());
  EXPECT_EQ(File(101), text);
  Stop();
  ASSERT_TRUE(Undo().ok()) << last_;
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  Start(101);
  EXPECT_FALSE(Undo().ok());
  EXPECT_THAT(Message(last_), HasSubstr("container 101 was started since the plan was made"));
  EXPECT_THAT(Config(101).pending_removals, IsEmpty());
  Stop();
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(File(101), text);
}

TEST_F(ContainerUndoTest, VolumesThatNobodyCanLookIntoStayAsThePlanSays) {
  ASSERT_TRUE(Carry(Containers({{101, {Volume("/data", 8, "files")}, {}, "$.c"}})).ok()) << last_;
  EXPECT_EQ(plan_.steps[0].step_class, kit::StepClass::kLossy);
  EXPECT_THAT(plan_.steps[0].remainder, HasSubstr("new volumes on files stay"));
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_EQ(Config(101).unused.at(0), "files:101/vm-101-disk-0.raw");
}

TEST_F(ContainerUndoTest, AMountPointThatSomebodyElseMadeOfOursIsLeftAlone) {
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  WriteGuest("lxc/101.conf", "mp0: /srv/theirs,mp=/data\n");
  EXPECT_EQ(ProbeOf(), Probe::kForeign);
  WriteGuest("lxc/101.conf", "mp0: ct:subvol-101-disk-0,mp=/moved,size=8G\n");
  EXPECT_EQ(ProbeOf(), Probe::kForeign);
}

TEST_F(ContainerUndoTest, AContainerThatMovedIsLeftAlone) {
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  ASSERT_TRUE(host_.files().Remove("/etc/pve/nodes/pve1/lxc/101.conf").ok());
  EXPECT_EQ(ProbeOf(), Probe::kForeign);
}

TEST_F(ContainerUndoTest, WhatCameBetweenPlanAndStepStopsTheRun) {
  ASSERT_TRUE(Plan(One()).ok()) << last_;
  WriteGuest("lxc/101.conf", "mp0: /srv/theirs,mp=/theirs\n");
  EXPECT_EQ((last_ = driver_->Apply()).code(), absl::StatusCode::kAborted) << last_;
  EXPECT_THAT(Message(last_), HasSubstr("mp0 (/theirs) is there by now"));
  EXPECT_EQ(File(101), "mp0: /srv/theirs,mp=/theirs\n");
  WriteGuest("lxc/101.conf", kContainer);
  ASSERT_TRUE(Plan(One()).ok()) << last_;
  const std::string line = "lxc.mount.entry: /srv/theirs data none bind 0 0";
  WriteGuest("lxc/101.conf", kContainer + line + "\n");
  EXPECT_EQ((last_ = driver_->Apply()).code(), absl::StatusCode::kAborted) << last_;
  EXPECT_THAT(Message(last_), HasSubstr(line));
}

// Into a container that runs pct mounts one after the other, and writes no line where one of a call fails.
TEST_F(ContainerUndoTest, WhatARunningContainerHasMountedIsNeverWithoutItsLine) {
  Start(101);
  ASSERT_TRUE(Plan(Mixed()).ok()) << last_;
  EXPECT_THAT(StepOf("101").commands,
              ElementsAre("pct set 101 --mp0 ct:8,mp=/data", "pct set 101 --mp1 ct:4,mp=/more",
                          "pct set 101 --mp2 /quickOS/vm-disks,mp=/shared"));
  ASSERT_TRUE(machine_->PlanFault("pct.hotplug:101:mp1", "fail").ok());
  EXPECT_FALSE(driver_->Apply().ok());
  ASSERT_FALSE(HasFault("pct.hotplug:101:mp1")) << "the fault was not met";
  EXPECT_THAT(LiveMounts(), ElementsAre("101:mp0"));
  EXPECT_EQ(Config(101).mounts.count(0), 1u);
  EXPECT_EQ(ProbeOf(), Probe::kPartial);
  // What is left is what the plan named: the line goes when the container stops.
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_THAT(Config(101).pending_removals, ElementsAre("mp0"));
  EXPECT_EQ(host_.containers().Volumes("ct", 101)->size(), 1u);
}

TEST_F(ContainerUndoTest, AReplacementThatWaitsIsSomebodyElses) {
  Start(101);
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  WriteGuest("lxc/101.conf", File(101) + "\n[pve:pending]\nmp0: /srv/theirs,mp=/data\n");
  EXPECT_EQ(ProbeOf(), Probe::kForeign);
  EXPECT_FALSE(domain_.Verify({plan_.steps, nullptr}).ok());
}

TEST_F(ContainerUndoTest, VerifySaysOfAMountPointThatWaitsThatItComesWithTheNextStart) {
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  Start(101);
  WriteGuest("lxc/101.conf",
             std::string(kContainer) + "\n[pve:pending]\nmp0: ct:subvol-101-disk-0,mp=/data,size=8G\n");
  EXPECT_EQ(ProbeOf(), Probe::kDone);
  const auto report = domain_.Verify({plan_.steps, nullptr});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->probes, IsEmpty());
  EXPECT_THAT(report->not_probed,
              ElementsAre("container:101: mp0 at /data comes with the container's next start"));
}

TEST_F(ContainerUndoTest, WhatComesWithTheRunAndIsInUseByARunningContainerIsNamed) {
  Start(101);
  const auto spec = Containers({{101, {}, {Bind("/quickOS/vm-disks/new", "/a")}, "$.c"}});
  ASSERT_TRUE(Plan(spec, {"path:/quickOS/vm-disks/new"}).ok()) << last_;
  EXPECT_THAT(plan_.steps[0].remainder,
              HasSubstr("until then it uses /quickOS/vm-disks/new, which comes with this run"));
}

// Neither pct nor the key of the dataset above says that it is missing.
TEST_F(ContainerUndoTest, AFolderThatIsMissingIsRefusedInThePlanAndAgainRightBeforeTheMount) {
  const std::string path = "/quickOS/vm-disks/ssl";
  const auto spec = Containers({{101, {}, {Bind(path, "/a")}, "$.c"}});
  EXPECT_EQ(Plan(spec, {"path:/quickOS/vm-disks"}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(last_.message()), HasSubstr("mkdir -p " + path));
  const std::string before = Dump();
  // It goes between plan and step, or what was to bring it did not.
  ASSERT_TRUE(Plan(spec, {"path:/quickOS/vm-disks", "tree:/quickOS/vm-disks"}).ok()) << last_;
  const auto done = driver_->Apply();
  EXPECT_EQ(done.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(done.message()), HasSubstr("could not start with it: make the folder"));
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(Dump(), before);
  ASSERT_TRUE(host_.files().MakeDirectory(path, {100000, 100000, 0755}).ok());
  ASSERT_TRUE(Carry(spec).ok()) << last_;
  EXPECT_EQ(Config(101).mounts.at(0).source, path);
  ASSERT_TRUE(domain_.Verify({plan_.steps, nullptr}).ok());
  ASSERT_TRUE(host_.files().RemoveDirectory(path).ok());
  EXPECT_FALSE(domain_.Verify({plan_.steps, nullptr}).ok()) << "the container could not start any more";
}

class UnmountTest : public ContainerUndoTest {
 protected:
  UnmountTest() {
    WriteGuest("lxc/101.conf", kBound);
    spec_ = Containers({{101, {}, {Bind("/quickOS/vm-disks", "/shared")}, "$.c"}});
    spec_.containers[0].binds[0].absent = true;
  }
  static constexpr char kBound[] =
      "arch: amd64\nhostname: web\nmemory: 512\nmp3: /quickOS/vm-disks,mp=/shared,backup=1,quota=1,ro=1\n"
      "unprivileged: 1\n";
  ProxmoxSpec spec_;
};

TEST_F(UnmountTest, GoesByNameAndComesBackAsItWas) {
  const std::string before = Dump();
  ASSERT_TRUE(Plan(spec_).ok()) << last_;
  ASSERT_TRUE((last_ = driver_->Apply(static_cast<size_t>(-1), /*repeat=*/true)).ok()) << last_;
  EXPECT_THAT(Config(101).mounts, IsEmpty());
  ASSERT_TRUE(domain_.Verify({plan_.steps, nullptr}).ok());
  const auto done = plan_.steps;
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_EQ(Dump(), before) << "the same line under the same number";
  EXPECT_FALSE(domain_.Verify({done, nullptr}).ok());
  ASSERT_TRUE(Carry(spec_).ok()) << last_;
  ASSERT_TRUE(Plan(spec_).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
}

TEST_F(UnmountTest, AnyFaultLeadsBackToTheOldState) {
  const std::string before = Dump();
  for (const char* fault : {"fail", "lie", "nothing"}) {
    ASSERT_TRUE(Plan(spec_).ok()) << last_;
    ASSERT_TRUE(machine_->PlanFault("pct.set:101", fault).ok());
    const auto done = driver_->Apply();
    EXPECT_EQ(done.ok(), std::string(fault) == "lie") << fault << ": the file knows";
    ASSERT_TRUE(Undo().ok()) << fault << last_;
    EXPECT_EQ(Dump(), before) << fault;
  }
}

TEST_F(UnmountTest, WhatSomebodyChangedMeanwhileIsLeftAlone) {
  ASSERT_TRUE(Plan(spec_).ok()) << last_;
  std::string changed = kBound;
  changed.replace(changed.find("ro=1"), 4, "ro=0");
  WriteGuest("lxc/101.conf", changed);
  EXPECT_EQ(driver_->Apply().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(File(101), changed);
  WriteGuest("lxc/101.conf", kBound);
  ASSERT_TRUE(Plan(spec_).ok()) << last_;
  Start(101);
  EXPECT_EQ(driver_->Apply().code(), absl::StatusCode::kFailedPrecondition)
      << "it would go with its stop only";
  EXPECT_EQ(File(101), kBound);
  Stop();
  // Another one took its number: undo overwrites nothing, and says what is left to do.
  ASSERT_TRUE(Carry(spec_).ok()) << last_;
  changed.replace(changed.find("/shared"), 7, "/others");
  WriteGuest("lxc/101.conf", changed);
  EXPECT_FALSE(Undo().ok());
  EXPECT_EQ(File(101), changed);
  EXPECT_THAT(driver_->RemainingOfLast(),
              ElementsAre("pct set 101 --mp3 /quickOS/vm-disks,mp=/shared,backup=1,quota=1,ro=1"));
}

TEST_F(ContainerUndoTest, AVolumeThatARunningContainerFilledKeepsItsNewSizeAsThePlanSays) {
  Start(102);
  ASSERT_TRUE(Carry(Larger()).ok()) << last_;
  EXPECT_EQ(plan_.steps[0].step_class, kit::StepClass::kLossy);
  EXPECT_THAT(
      plan_.steps[0].remainder,
      AllOf(HasSubstr("where volume ct:subvol-102-disk-0 holds more than 8 GiB by then, it keeps 20 GiB"),
            HasSubstr("zfs set refquota=8589933568 quickOS/lxc-disks/subvol-102-disk-0`, then `pct resize "
                      "102 mp0 8G`")));
  ASSERT_EQ(plan_.notes.size(), 1u);
  EXPECT_THAT(plan_.notes[0].text, HasSubstr("holds 0 bytes of its 8 GiB now"));
  Fill(9 * kGib);
  kit::StepContext context;
  context.captured = fmt::format(R"({{"volumes":[],"size":{}}})", 8 * kGib);
  EXPECT_EQ(domain_.LookBack(plan_.steps[0], context)->kind, kit::Retrospect::Kind::kStays);
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  EXPECT_THAT(driver_->left(),
              ElementsAre(AllOf(HasSubstr("more than its former size of 8 GiB, and keeps 20 GiB"),
                                HasSubstr("pct resize 102 mp0 8G"))));
  EXPECT_EQ(Config(102).mounts.at(0).size, 20 * kGib);
}

TEST_F(ContainerUndoTest, AVolumeThatARunningContainerDidNotFillIsUndoneExactly) {
  Start(102);
  const std::string before = Dump();
  ASSERT_TRUE(Carry(Larger()).ok()) << last_;
  Fill(7 * kGib);
  ASSERT_TRUE(Undo(/*repeat=*/true).ok()) << last_;
  Fill(0);
  EXPECT_THAT(driver_->left(), IsEmpty());
  EXPECT_EQ(Dump(), before);
}

// pct was cut off between the volume and its own file: neither size is left standing alone.
TEST_F(ContainerUndoTest, AFilledVolumeWhoseGrowthWasCutOffIsGrownWholly) {
  Start(102);
  ASSERT_TRUE(Plan(Larger()).ok()) << last_;
  ASSERT_TRUE(machine_->PlanFault("pct.resize:102", "half").ok());
  EXPECT_FALSE(driver_->Apply().ok());
  Fill(9 * kGib);
  EXPECT_EQ(ProbeOf(), Probe::kPartial);
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(driver_->left().size(), 1u);
  EXPECT_EQ(Config(102).mounts.at(0).size, 20 * kGib);
  EXPECT_EQ(host_.containers().Volumes("ct", 102)->at("ct:subvol-102-disk-0"), 20 * kGib);
}

TEST_F(ContainerUndoTest, AContainerThatWasStartedMeanwhileGetsNoLargerVolume) {
  ASSERT_TRUE(Plan(Larger()).ok()) << last_;
  Start(102);
  EXPECT_FALSE(driver_->Apply().ok());
  EXPECT_EQ(Config(102).mounts.at(0).size, 8 * kGib);
}

// Of a container that stood still the plan promised the former size.
TEST_F(ContainerUndoTest, AVolumeThatHoldsMoreThanItsFormerSizeKeepsTheNewOne) {
  ASSERT_TRUE(Carry(Larger()).ok()) << last_;
  EXPECT_EQ(plan_.steps[0].step_class, kit::StepClass::kConfig);
  Fill(9 * kGib);
  EXPECT_FALSE(Undo().ok());
  EXPECT_THAT(Message(last_), AllOf(HasSubstr("keeps 20 GiB"), HasSubstr("holds more by now")));
  EXPECT_EQ(Config(102).mounts.at(0).size, 20 * kGib);
}

TEST_F(ContainerUndoTest, AVolumeWhoseFileSaysAnotherSizeIsNotGrown) {
  ASSERT_TRUE(host_.containers().SetQuota("quickOS/lxc-disks/subvol-102-disk-0", 12 * kGib, nullptr).ok());
  EXPECT_EQ(Plan(Larger()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(last_), HasSubstr("`pct rescan --vmid 102`"));
}

TEST_F(ContainerUndoTest, AStorageThatComesWithTheSameRunIsUsed) {
  auto spec = One();
  spec.containers[0].volumes[0].storage = "new";
  spec.storages = {Zfs("new", "fastData/shared-bulk-data", {"rootdir"})};
  const std::string before = Dump();
  ASSERT_TRUE(Carry(spec).ok()) << last_;
  EXPECT_EQ(plan_.steps.size(), 2u);
  EXPECT_EQ(driver_->StepAt(0).id, "storage:new");
  ASSERT_TRUE(Undo().ok()) << last_;
  EXPECT_EQ(Dump(), before);
  ASSERT_TRUE(Carry(spec).ok()) << last_;
  ASSERT_TRUE(Plan(spec).ok()) << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
}

TEST_F(ContainerUndoTest, VerifyLooksAtTheFileAndTheStorage) {
  ASSERT_TRUE(Carry(Mixed()).ok()) << last_;
  const auto report = domain_.Verify({plan_.steps, nullptr});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->probes, ::testing::Contains("container:101: mp0 at /data"));
  EXPECT_THAT(report->probes, ::testing::Contains("container:102: ct:subvol-102-disk-0 has 20 GiB"));
  EXPECT_THAT(report->not_probed, ElementsAre(HasSubstr("container:101: stopped")));
  ASSERT_TRUE(host_.containers().Detach(101, {"mp1"}, "", nullptr).ok());
  EXPECT_FALSE(domain_.Verify({plan_.steps, nullptr}).ok());
}

TEST_F(ContainerUndoTest, LongAfterTheRunAVolumeWithFilesAndARunningContainerStandInTheWay) {
  ASSERT_TRUE(Carry(One()).ok()) << last_;
  kit::StepContext context;
  // As it was captured before the run.
  context.captured = R"({"volumes":[],"size":0})";
  const auto look = [&] { return domain_.LookBack(plan_.steps[0], context); };
  EXPECT_EQ(look()->kind, kit::Retrospect::Kind::kReversible);
  WriteFile("/quickOS/lxc-disks/subvol-101-disk-0/letter", "dear");
  EXPECT_EQ(look()->kind, kit::Retrospect::Kind::kObstacle);
  EXPECT_THAT(look()->reason, HasSubstr("holds letter"));
  ASSERT_TRUE(host_.files().Remove("/quickOS/lxc-disks/subvol-101-disk-0/letter").ok());
  Start(101);
  EXPECT_THAT(look()->reason, HasSubstr("container 101 runs"));
}

TEST_F(ContainerUndoTest, TheRemainingCommandsAreWhatAPersonWouldType) {
  ASSERT_TRUE(Carry(Mixed()).ok()) << last_;
  kit::StepContext context;
  context.captured = R"({"volumes":[],"size":0})";
  EXPECT_THAT(domain_.RemainingCommands(StepOf("101"), context),
              ElementsAre("pct set 101 --delete mp0,mp1,mp2", "pct set 101 --delete unused0",
                          "pct set 101 --delete unused1"));
  context.captured = fmt::format(R"({{"volumes":[],"size":{}}})", 8 * kGib);
  EXPECT_THAT(domain_.RemainingCommands(StepOf("102:/data"), context),
              ElementsAre(HasSubstr("zfs set refquota=8589933568 quickOS/lxc-disks/subvol-102-disk-0"),
                          "pct resize 102 mp0 8G"));
}

TEST_F(ContainerUndoTest, ContainersOfOtherNodesAreTheirNodesAndOthersAreTold) {
  for (const char* folder : {"/etc/pve/nodes/pve2", "/etc/pve/nodes/pve2/lxc"})
    ASSERT_TRUE(host_.files().MakeDirectory(folder, {0, 0, 0755}).ok());
  WriteFile("/etc/pve/nodes/pve2/lxc/103.conf", kContainer);
  ASSERT_TRUE(
      Plan(Containers({{103, {Volume("/data", 8)}, {}, ""}, {104, {Volume("/data", 8)}, {}, ""}})).ok())
      << last_;
  EXPECT_THAT(plan_.steps, IsEmpty());
  ASSERT_EQ(plan_.notes.size(), 2u);
  EXPECT_THAT(plan_.notes[0].text, HasSubstr("on node pve2"));
  EXPECT_THAT(plan_.notes[1].text, HasSubstr("is on no node"));
  ASSERT_TRUE(Plan(One()).ok()) << last_;
  EXPECT_THAT(plan_.provided_now, ::testing::Contains("container:101"));
  EXPECT_THAT(plan_.provided_now, Not(::testing::Contains("container:103")));
}

TEST_F(ContainerUndoTest, WithoutQuorumOrWithABrokenStorageFileNoContainerIsChanged) {
  JoinCluster("lab", /*quorate=*/false);
  EXPECT_EQ(Plan(One()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(last_), HasSubstr("no quorum"));
  JoinCluster("lab");
  WriteConfig("zfspool: x1\n\tcontent images\n\n");
  EXPECT_EQ(Plan(One()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(last_), HasSubstr("broken"));
}

}  // namespace
}  // namespace phoenix::proxmox
