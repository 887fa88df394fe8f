#include "services/zfs/domain/zfs_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/zfs/domain/zfs_planner.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Urgency = HealthLine::Urgency;

std::string Path(char disk) { return fmt::format("/dev/disk/by-id/nvme-{}", disk); }
std::string Device(char disk) { return fmt::format("/dev/sd{}", disk); }

DiskHealth Passed(uint32_t wear) {
  DiskHealth health;
  health.verdict = DiskHealth::Verdict::kPassed;
  health.wear_percent = wear;
  return health;
}

TEST(WhyUnhealthy, OfADiskIsItsVerdictItsWarningsAndItsWear) {
  EXPECT_THAT(WhyUnhealthy(Passed(89)), IsEmpty());
  EXPECT_THAT(WhyUnhealthy(Passed(90)), ElementsAre("wear 90 %, allowed below 90 %"));
  EXPECT_THAT(WhyUnhealthy(Passed(93), HealthLimits{95}), IsEmpty());
  DiskHealth failed = Passed(10);
  failed.verdict = DiskHealth::Verdict::kFailed;
  EXPECT_THAT(WhyUnhealthy(failed), ElementsAre("its SMART verdict is FAILED"));
  failed.critical_warning = 1 | 1 << 3 | 1 << 7;
  EXPECT_THAT(WhyUnhealthy(failed),
              ElementsAre("critical warning: spare blocks are below their threshold",
                          "critical warning: it only reads any more", "critical warning: bit 7"));
  EXPECT_THAT(WhyUnhealthy(DiskHealth{}), IsEmpty()) << "what is not known refuses nothing";
}

TEST(WhyUnhealthy, OfAPoolIsItsHealthAndWhatItLost) {
  PoolState pool;
  pool.health = "ONLINE";
  EXPECT_THAT(WhyUnhealthy(pool), IsEmpty());
  pool.data_errors = 3;
  EXPECT_THAT(WhyUnhealthy(pool), ElementsAre("3 data errors"));
  pool.health = "DEGRADED";
  EXPECT_THAT(WhyUnhealthy(pool), ElementsAre("DEGRADED", "3 data errors"));
  EXPECT_FALSE(IsUnusable(pool));
  for (const char* health : {"FAULTED", "SUSPENDED", "UNAVAIL"}) {
    pool.health = health;
    EXPECT_TRUE(IsUnusable(pool)) << health;
  }
}

TEST(HealthLines, SayInOneLineWhatThereIsToKnow) {
  ZfsState seen;
  PoolState tank;
  tank.name = "tank";
  tank.health = "ONLINE";
  tank.size_bytes = uint64_t{1} << 62;
  tank.free_bytes = tank.size_bytes / 100 * 59;
  tank.data_errors = 0;
  tank.properties["fragmentation"] = {"7", "-", "-"};
  tank.scans = {{ScanState::Kind::kScrub, ScanState::Stage::kFinished, 0, "2026-11-20", ""}};
  tank.members["/dev/sda"].state = "ONLINE";
  seen.pools["tank"] = tank;
  seen.health[Path('a')] = Passed(3);
  seen.health[Path('a')].temperature_celsius = 41;
  EXPECT_THAT(
      HealthLines(seen),
      ElementsAre(HealthLine{Urgency::kOverview, "tank",
                             "ONLINE, 41 % full, 7 % fragmented, last scrub 2026-11-20 without errors"},
                  HealthLine{Urgency::kNone, "nvme-a", "wear 3 %, 41 °C, ok"}));

  PoolState& bad = seen.pools["tank"];
  bad.health = "DEGRADED";
  bad.data_errors = 2;
  bad.free_bytes = bad.size_bytes / 100 * 5;
  bad.scans = {{ScanState::Kind::kResilver, ScanState::Stage::kRunning, 0, "2026-11-21", "12.34%"}};
  bad.members["/dev/sdb"].state = "FAULTED";
  bad.members["/dev/sdb"].write_errors = 4;
  seen.links["/dev/sdb"] = Path('b');
  seen.health.clear();
  seen.health[Path('a')] = Passed(93);
  seen.health[Path('b')].unknown = "it sleeps, and was not woken";
  seen.health[Path('c')] = Passed(5);
  seen.health[Path('c')].pending_sectors = 8;
  EXPECT_THAT(
      HealthLines(seen),
      ElementsAre(
          HealthLine{Urgency::kAct, "tank",
                     "DEGRADED, 95 % full, 7 % fragmented, resilver running since 2026-11-21 (12.34% "
                     "done); nvme-b is FAULTED with 0 read, 4 write, 0 checksum errors; 2 data errors"},
          HealthLine{Urgency::kAct, "nvme-a", "unhealthy: wear 93 %, allowed below 90 %"},
          HealthLine{Urgency::kNone, "nvme-b", "health unknown: it sleeps, and was not woken"},
          HealthLine{Urgency::kLookAt, "nvme-c", "wear 5 %, 8 sectors cannot be read now"}));
}

// The planner over all this: disks a and b are a mirror, the others are blank.
class HealthGate : public ::testing::Test {
 protected:
  HealthGate() {
    for (const char letter : std::string("abcde")) {
      DiskState disk;
      disk.path = Path(letter);
      disk.device_path = Device(letter);
      disk.size_bytes = uint64_t{1} << 40;
      seen_.disks[disk.path] = disk;
    }
    PoolState tank;
    tank.name = "tank";
    tank.guid = 7;
    tank.health = "ONLINE";
    tank.data_errors = 0;
    tank.layout = {{"mirror", {Device('a'), Device('b')}}};
    for (const char letter : {'a', 'b'}) {
      tank.members[Device(letter)].state = "ONLINE";
      tank.members[Device(letter)].size_bytes = uint64_t{1} << 40;
      tank.members[Device(letter)].name = fmt::format("guid-{}", letter);
      seen_.disks[Path(letter)].member_of = "tank";
    }
    seen_.pools["tank"] = tank;
    seen_.paths["/tank"].directory = DirectoryState{0, 0, 0755};
    for (const char* name : {"tank", "tank/old"}) {
      DatasetState dataset;
      dataset.name = name;
      dataset.type = "filesystem";
      dataset.guid = name == std::string("tank") ? 1 : 2;
      dataset.mounted_at = fmt::format("/{}", name);
      dataset.properties = {{"mountpoint", {dataset.mounted_at, "default", "-"}},
                            {"canmount", {"on", "default", "-"}}};
      seen_.datasets[name] = dataset;
    }
    PoolSpec pool;
    pool.name = "tank";
    pool.raid_level = "mirror";
    pool.disks = {Path('a'), Path('b')};
    pool.origin = "zfs.pools[0]";
    spec_.pools = {pool};
    owned_.created = {{"pool:tank", "7"}, {"dataset:tank/old", "2"}};
  }
  PoolSpec& pool() { return spec_.pools[0]; }
  void WantDataset(const std::string& name, Presence presence = Presence::kPresent) {
    DatasetSpec dataset;
    dataset.name = name;
    dataset.presence = presence;
    dataset.origin = fmt::format("zfs.datasets[{}]", spec_.datasets.size());
    spec_.datasets.push_back(dataset);
  }
  // As the service does it: what the second look asks for is what the plan knows.
  std::vector<std::string> Refusals() {
    std::vector<std::string> texts;
    for (const auto& violation : ViolationsOf(MakePlan(spec_, seen_, owned_).status()))
      texts.push_back(violation.field + ": " + violation.description);
    return texts;
  }
  std::vector<std::string> Warnings(size_t steps) {
    const auto plan = MakePlan(spec_, seen_, owned_);
    EXPECT_TRUE(plan.ok()) << plan.status();
    if (!plan.ok()) return {};
    EXPECT_EQ(plan->steps.size(), steps);
    std::vector<std::string> texts;
    for (const auto& note : plan->notes) {
      if (!note.text.starts_with("orphaned"))
        texts.push_back((note.warning ? "warning: " : "note: ") + note.text);
    }
    return texts;
  }
  ZfsState seen_;
  ZfsSpec spec_;
  Ownership owned_;
};

TEST_F(HealthGate, AsksOnlyDisksThatAPoolWouldGet) {
  EXPECT_THAT(SecondLook(spec_, seen_).health, IsEmpty()) << "nothing changes";
  pool().disks = {Path('a'), Path('b'), Path('c')};
  seen_.disks[Path('d')].in_use = "mounted";
  pool().vdevs = {{VdevClass::kSpare, "", {Path('d')}}};
  EXPECT_THAT(SecondLook(spec_, seen_).health, ElementsAre(Path('c')));
  pool().presence = Presence::kAbsent;
  EXPECT_THAT(SecondLook(spec_, seen_).health, IsEmpty());
}

TEST_F(HealthGate, AWornDiskIsInNoNewPoolUnlessItIsAllowedByName) {
  seen_.pools.clear();
  seen_.datasets.clear();
  owned_.created.clear();
  pool().disks = {Path('c'), Path('d')};
  seen_.health[Path('c')] = Passed(12);
  seen_.health[Path('d')] = Passed(93);
  EXPECT_THAT(Refusals(),
              ElementsAre(AllOf(HasSubstr("zfs.pools[0].disks[1]: disk /dev/disk/by-id/nvme-d is unhealthy"),
                                HasSubstr("wear 93 %, allowed below 90 %"),
                                HasSubstr("--allow-unhealthy /dev/disk/by-id/nvme-d"))));
  spec_.allow_unhealthy = {Path('c'), "tank"};
  EXPECT_EQ(Refusals().size(), 1u) << "another name is no word for it";
  spec_.allow_unhealthy = {Path('d')};
  EXPECT_THAT(Warnings(1),
              ElementsAre(AllOf(HasSubstr("warning: disk /dev/disk/by-id/nvme-d is used although"),
                                HasSubstr("wear 93 %"))));
  spec_.allow_unhealthy = {};
  spec_.health.max_wear_percent = 95;
  EXPECT_THAT(Warnings(1), IsEmpty());
}

TEST_F(HealthGate, AFailingDiskNeitherGrowsNorMendsAPool) {
  DiskHealth failed;
  failed.verdict = DiskHealth::Verdict::kFailed;
  seen_.health[Path('c')] = failed;
  pool().disks = {Path('a'), Path('b'), Path('c')};  // attached
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("disks[2]: disk /dev/disk/by-id/nvme-c is unhealthy")));
  pool().disks = {Path('a'), Path('c')};  // in the place of b
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("its SMART verdict is FAILED")));
  pool().disks = {Path('a'), Path('b')};
  pool().vdevs = {{VdevClass::kLog, "", {Path('c')}}};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("zfs.pools[0].vdevs[0].disks[0]")));
}

TEST_F(HealthGate, WhatIsNotKnownOrOnlyDoubtfulIsSaid) {
  pool().disks = {Path('a'), Path('b'), Path('c')};
  seen_.health[Path('c')].unknown = "smartctl is not installed";
  EXPECT_THAT(Warnings(1),
              ElementsAre("note: the health of disk /dev/disk/by-id/nvme-c is not known: smartctl "
                          "is not installed"));
  seen_.health[Path('c')] = Passed(1);
  seen_.health[Path('c')].media_errors = 2;
  EXPECT_THAT(Warnings(1), ElementsAre("warning: disk /dev/disk/by-id/nvme-c: 2 media errors"));
}

TEST_F(HealthGate, ADegradedPoolIsMendedButNotGrown) {
  seen_.pools["tank"].health = "DEGRADED";
  seen_.pools["tank"].members[Device('b')].state = "FAULTED";
  WantDataset("tank/new");
  EXPECT_THAT(Warnings(1), ElementsAre(HasSubstr("nvme-b of pool tank is FAULTED"),
                                       "warning: pool tank is unhealthy: DEGRADED"))
      << "datasets are warned of";
  spec_.datasets.clear();
  pool().disks = {Path('a'), Path('c')};
  EXPECT_THAT(Warnings(1), ElementsAre(HasSubstr("tank is unhealthy"))) << "the disk that mends it is taken";
  pool().disks = {Path('c'), Path('b')};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("'replace disk' waits until it is mended")))
      << "in the place of the good one";
  pool().disks = {Path('a'), Path('b'), Path('c')};
  EXPECT_THAT(Refusals(), ElementsAre(AllOf(HasSubstr("zfs.pools[0].disks: pool tank is unhealthy: DEGRADED"),
                                            HasSubstr("--allow-unhealthy tank"))));
  spec_.allow_unhealthy = {"tank"};
  EXPECT_THAT(Warnings(1),
              ElementsAre(HasSubstr("nvme-b of pool tank is FAULTED"), HasSubstr("tank is unhealthy"),
                          HasSubstr("goes ahead although pool tank is unhealthy")));
}

TEST_F(HealthGate, DataErrorsStopWhatTakesThingsAway) {
  seen_.pools["tank"].data_errors = 3;
  WantDataset("tank/old", Presence::kAbsent);
  EXPECT_THAT(Refusals(), ElementsAre(AllOf(HasSubstr("pool tank is unhealthy: 3 data errors"),
                                            HasSubstr("--allow-unhealthy tank"))));
  spec_.partial = true;
  EXPECT_THAT(Warnings(1), ElementsAre(HasSubstr("3 data errors"))) << "a typed change is asked for by name";
  spec_.partial = false;
  pool().presence = Presence::kAbsent;
  EXPECT_EQ(Refusals().size(), 2u) << "the dataset's step and the pool's";
}

TEST_F(HealthGate, NothingChangesInASuspendedPoolWhateverIsAllowed) {
  seen_.pools["tank"].health = "SUSPENDED";
  spec_.allow_unhealthy = {"tank"};
  WantDataset("tank/new");
  WantDataset("tank/newer");
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("zfs.pools[0].name: pool tank is SUSPENDED")));
  spec_.pools.clear();
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("zfs.datasets[0].name: pool tank is SUSPENDED")))
      << "once, though the pool is not declared";
}

}  // namespace
}  // namespace phoenix::zfs
