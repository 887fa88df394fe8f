#include "services/zfs/domain/zfs_growth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/status/errors.h"
#include "services/zfs/domain/zfs_planner.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Kind = LayoutChange::Kind;

VdevGroup Mirror(std::vector<std::string> disks, VdevClass of = VdevClass::kData) {
  return {"mirror", std::move(disks), of};
}
VdevGroup One(const std::string& disk, VdevClass of = VdevClass::kData) { return {"disk", {disk}, of}; }

TEST(LayoutOf, TakesWhatZpoolTakesInAClass) {
  EXPECT_EQ(*LayoutOf(VdevClass::kLog, "mirror", {"a", "b"}),
            std::vector{Mirror({"a", "b"}, VdevClass::kLog)});
  EXPECT_EQ(LayoutOf(VdevClass::kSpare, "", {"a", "b"})->size(), 2u);
  EXPECT_FALSE(LayoutOf(VdevClass::kCache, "mirror", {"a", "b"}).ok());
  EXPECT_FALSE(LayoutOf(VdevClass::kSpecial, "raidz1", {"a", "b", "c"}).ok());
  EXPECT_FALSE(LayoutOf(VdevClass::kLog, "mirror", {"a"}).ok());
  EXPECT_TRUE(LayoutOf(VdevClass::kData, "raidz1", {"a", "b", "c"}).ok());
}

TEST(ExplainMismatch, IsWhatZpoolRefusesWithoutForce) {
  EXPECT_EQ(ExplainMismatch({Mirror({"a", "b"}), Mirror({"c", "d"}), One("l", VdevClass::kLog)}), "");
  EXPECT_THAT(ExplainMismatch({Mirror({"a", "b"}), Mirror({"c", "d", "e"})}), HasSubstr("3-way mirror"));
  EXPECT_THAT(ExplainMismatch({Mirror({"a", "b"}), One("c", VdevClass::kSpecial)}),
              HasSubstr("a single disk (special)"));
  // As many disks may be lost of a two-way mirror as of a raidz1, not as of a raidz2.
  EXPECT_EQ(ExplainMismatch({{"raidz1", {"a", "b", "c"}}, Mirror({"s", "t"}, VdevClass::kSpecial)}), "");
  EXPECT_NE(ExplainMismatch({{"raidz2", {"a", "b", "c", "d"}}, Mirror({"s", "t"}, VdevClass::kSpecial)}), "");
  EXPECT_NE(ExplainMismatch({{"raidz1", {"a", "b", "c"}}, {"raidz1", {"d", "e", "f", "g"}}}), "");
}

TEST(ChangesTo, NothingWhereOnlyTheOrderDiffers) {
  const auto same = ChangesTo({Mirror({"b", "a"}), One("l", VdevClass::kLog)},
                              {One("l", VdevClass::kLog), Mirror({"a", "b"})});
  EXPECT_THAT(same.changes, IsEmpty());
  EXPECT_EQ(same.problem, "");
}

TEST(ChangesTo, GrowsMirrorsAndMakesSinglesMirrors) {
  EXPECT_THAT(ChangesTo({Mirror({"a", "b", "c"})}, {Mirror({"a", "b"})}).changes,
              ElementsAre(LayoutChange{Kind::kAttachDisk, {}, "a", "c"}));
  EXPECT_THAT(ChangesTo({Mirror({"a", "b"})}, {One("a")}).changes,
              ElementsAre(LayoutChange{Kind::kAttachDisk, {}, "a", "b"}));
}

TEST(ChangesTo, ReplacesOneDiskOfAVdevAtATime) {
  const VdevGroup before{"raidz1", {"a", "b", "c"}}, after{"raidz1", {"a", "x", "c"}};
  EXPECT_THAT(ChangesTo({after}, {before}).changes,
              ElementsAre(LayoutChange{Kind::kReplaceDisk, {}, "b", "x"}));
  EXPECT_THAT(ChangesTo({One("x")}, {One("a")}).changes,
              ElementsAre(LayoutChange{Kind::kReplaceDisk, {}, "a", "x"}));
  EXPECT_THAT(ChangesTo({{"raidz1", {"a", "x", "y"}}}, {before}).problem,
              HasSubstr("one is replaced at a time"));
  // Of two singles it cannot be told which one goes.
  EXPECT_THAT(ChangesTo({One("x"), One("y")}, {One("a"), One("b")}).problem,
              HasSubstr("nothing is taken out"));
}

TEST(ChangesTo, AddsVdevsAndTakesNoneAway) {
  const VdevGroup log = Mirror({"l", "m"}, VdevClass::kLog);
  EXPECT_THAT(ChangesTo({Mirror({"a", "b"}), Mirror({"c", "d"}), log}, {Mirror({"a", "b"})}).changes,
              ElementsAre(LayoutChange{Kind::kAddVdev, Mirror({"c", "d"}), "", ""},
                          LayoutChange{Kind::kAddVdev, log, "", ""}));
  EXPECT_THAT(ChangesTo({Mirror({"a", "b"})}, {Mirror({"a", "b"}), Mirror({"c", "d"})}).problem,
              HasSubstr("mirror of c d besides"));
  EXPECT_THAT(ChangesTo({Mirror({"a", "b"})}, {Mirror({"a", "b", "c"})}).problem, HasSubstr("other disks"));
  EXPECT_THAT(ChangesTo({Mirror({"a", "b"}), One("c", VdevClass::kCache)},
                        {Mirror({"a", "b"}), One("c", VdevClass::kLog)})
                  .problem,
              HasSubstr("cache c is there as log c"));
}

// A cache that somebody added by hand is neither taken away nor in the way.
TEST(ChangesTo, LeavesClassesThatAreNotDeclared) {
  const auto changes = ChangesTo({Mirror({"a", "b"})}, {Mirror({"a", "b"}), One("c", VdevClass::kCache)});
  EXPECT_EQ(changes.problem, "");
  EXPECT_THAT(changes.undeclared, ElementsAre(One("c", VdevClass::kCache)));
}

// The planner over all this.

constexpr char kById[] = "/dev/disk/by-id/";
std::string Path(char disk) { return fmt::format("{}nvme-{}", kById, disk); }
std::string Device(char disk) { return fmt::format("/dev/sd{}", disk); }

class GrowingPool : public ::testing::Test {
 protected:
  GrowingPool() {
    for (const char disk : std::string("abcdefg"))
      seen_.disks[Path(disk)] = {.path = Path(disk),
                                 .device_path = Device(disk),
                                 .serial = {},
                                 .size_bytes = uint64_t{1} << 40,
                                 .member_of = {},
                                 .in_use = {},
                                 .findings = {}};
    PoolState tank{.name = "tank", .guid = 7, .health = "ONLINE"};
    tank.layout = {Mirror({Device('a'), Device('b')})};
    tank.properties = {{"autotrim", {"off", "default", "-"}},
                       {"ashift", {"12", "local", "-"}},
                       {"comment", {"-", "default", "-"}}};
    for (const char disk : {'a', 'b'}) {
      tank.members[Device(disk)] = {.state = "ONLINE",
                                    .replaces = {},
                                    .size_bytes = uint64_t{1} << 40,
                                    .partition = {},
                                    .name = fmt::format("guid-{}", disk),
                                    .vdev_name = {}};
      seen_.disks[Path(disk)].member_of = "tank";
    }
    seen_.pools["tank"] = tank;
    DatasetState root{.name = "tank", .type = "filesystem", .guid = 1};
    root.properties = {{"mountpoint", {"/tank", "default", "-"}}, {"canmount", {"on", "default", "-"}}};
    root.mounted_at = "/tank";
    seen_.datasets["tank"] = root;
    spec_.pools = {{"tank", "mirror", {Path('a'), Path('b')}, {}, "zfs.pools[0]", {}}};
    owned_.created["pool:tank"] = "7";
  }
  PoolSpec& pool() { return spec_.pools[0]; }
  // Its links are gone; ZFS knows the member as `name`.
  void Lose(char disk, const std::string& name) {
    seen_.disks.erase(Path(disk));
    PoolState& tank = seen_.pools["tank"];
    for (auto& vdev : tank.layout) std::replace(vdev.disks.begin(), vdev.disks.end(), Device(disk), name);
    MemberState& member = tank.members[name] = tank.members[Device(disk)];
    tank.members.erase(Device(disk));
    member.state = "UNAVAIL";
    member.size_bytes = 0;
    tank.health = "DEGRADED";
  }
  void Add(VdevClass vdev_class, char disk) {
    seen_.pools["tank"].layout.push_back(One(Device(disk), vdev_class));
    MemberState& member = seen_.pools["tank"].members[Device(disk)];
    member.state = vdev_class == VdevClass::kSpare ? "AVAIL" : "ONLINE";
    member.name = fmt::format("guid-{}", disk);
    seen_.disks[Path(disk)].member_of = "tank";
  }
  std::vector<std::string> Warnings() {
    std::vector<std::string> texts;
    for (const auto& note : Planned().notes) {
      if (note.warning) texts.push_back(note.text);
    }
    return texts;
  }
  ZfsPlan Planned() {
    const auto plan = MakePlan(spec_, seen_, owned_);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : ZfsPlan{};
  }
  std::vector<std::string> Refusals() {
    std::vector<std::string> texts;
    for (const auto& violation : ViolationsOf(MakePlan(spec_, seen_, owned_).status()))
      texts.push_back(violation.field + ": " + violation.description);
    return texts;
  }
  ZfsState seen_;
  ZfsSpec spec_;
  Ownership owned_;
};

TEST_F(GrowingPool, ALogIsTakenOutAgainAndADataVdevNever) {
  pool().vdevs = {{VdevClass::kLog, "", {Path('c')}}, {VdevClass::kData, "mirror", {Path('d'), Path('e')}}};
  const ZfsPlan plan = Planned();
  ASSERT_EQ(plan.steps.size(), 2u);
  EXPECT_EQ(plan.steps[0].id, "vdev:tank/nvme-c");
  EXPECT_EQ(plan.steps[0].reversal, Reversal::kConfig);
  EXPECT_EQ(std::get<AddVdevStep>(plan.steps[0].step),
            (AddVdevStep{"tank", 7, One(Path('c'), VdevClass::kLog), false}));
  EXPECT_EQ(plan.steps[1].reversal, Reversal::kPointOfNoReturn);
  EXPECT_THAT(plan.steps[1].remainder, HasSubstr("pool tank keeps mirror of"));
  EXPECT_THAT(plan.steps[1].needs, ElementsAre(Need{"pool:tank", true}));
}

TEST_F(GrowingPool, AnAttachedDiskIsGivenBackAndAReplacedOneIsNot) {
  pool().disks = {Path('a'), Path('b'), Path('c')};
  ASSERT_EQ(Planned().steps.size(), 1u);
  EXPECT_EQ(std::get<AttachDiskStep>(Planned().steps[0].step),
            (AttachDiskStep{"tank", 7, Path('a'), Path('c'), "guid-a", false}));
  EXPECT_EQ(Planned().steps[0].reversal, Reversal::kConfig);
  pool().disks = {Path('a'), Path('c')};
  ASSERT_EQ(Planned().steps.size(), 1u);
  EXPECT_EQ(std::get<ReplaceDiskStep>(Planned().steps[0].step),
            (ReplaceDiskStep{"tank", 7, Device('b'), Path('c'), "guid-b", false}));
  EXPECT_EQ(Planned().steps[0].reversal, Reversal::kLossy);
  EXPECT_THAT(Planned().steps[0].remainder, HasSubstr("stays in the place of"));
}

// While the copy goes on, the old disk is still seen: that is no difference.
TEST_F(GrowingPool, AReplacementThatGoesOnIsNoDifference) {
  PoolState& tank = seen_.pools["tank"];
  tank.layout = {Mirror({Device('a'), Device('c')})};
  tank.members[Device('c')] = {
      .state = "ONLINE", .replaces = Device('b'), .partition = {}, .name = {}, .vdev_name = {}};
  seen_.disks[Path('c')].member_of = "tank";
  pool().disks = {Path('a'), Path('c')};
  const ZfsPlan plan = Planned();
  EXPECT_THAT(plan.steps, IsEmpty());
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0].text, HasSubstr("taking the place of /dev/sdb"));
}

// The disk that Proxmox VE was installed on: mirrored as a whole, the other one would not boot.
TEST_F(GrowingPool, AMemberThatIsOnePartitionOfADiskIsMirroredByHand) {
  seen_.pools["tank"].members[Device('a')].partition = "/dev/sda3";
  pool().disks = {Path('a'), Path('b'), Path('c')};
  EXPECT_THAT(Refusals(), ElementsAre(AllOf(HasSubstr("zfs.pools[0].disks"), HasSubstr("member /dev/sda3"),
                                            HasSubstr("proxmox-boot-tool"))));
  pool().disks = {Path('b'), Path('c')};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("member /dev/sda3")));
  // The other one is a whole disk.
  pool().disks = {Path('a'), Path('c')};
  EXPECT_EQ(Planned().steps.size(), 1u);
}

TEST_F(GrowingPool, DisksThatAreNotBlankOrTooSmallAreRefused) {
  pool().vdevs = {{VdevClass::kCache, "", {Path('c')}}};
  seen_.disks[Path('c')].findings = {{"/dev/sdc", "ext4 file system (wipefs)"}};
  EXPECT_THAT(Refusals(),
              ElementsAre(AllOf(HasSubstr("zfs.pools[0].vdevs[0].disks[0]"), HasSubstr("is not blank"))));
  spec_.mode = Mode::kForceDestructive;
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("not among the disks that may be wiped")));
  spec_.wipe = {Path('c')};
  EXPECT_EQ(Planned().steps[0].reversal, Reversal::kPointOfNoReturn);
  EXPECT_TRUE(std::get<AddVdevStep>(Planned().steps[0].step).wipe);
  pool().vdevs = {};
  pool().disks = {Path('a'), Path('b'), Path('d')};
  seen_.disks[Path('d')].size_bytes = uint64_t{1} << 39;
  EXPECT_THAT(Refusals(),
              ElementsAre(AllOf(HasSubstr("zfs.pools[0].disks[2]"), HasSubstr("is smaller than"))));
  // The one that is replaced is not declared any more, and what would be wiped for nothing is not wiped.
  pool().disks = {Path('a'), Path('d')};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("is smaller than /dev/sdb")));
}

TEST_F(GrowingPool, RedundancyAndSizesThatZpoolRefusesAreRefusedBeforeTheRun) {
  pool().vdevs = {{VdevClass::kSpecial, "", {Path('c')}}};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("zfs.pools[0].vdevs: a single disk (special)")));
  pool().vdevs = {{VdevClass::kData, "mirror", {Path('c'), Path('d')}}};
  seen_.disks[Path('d')].size_bytes = uint64_t{1} << 41;
  EXPECT_THAT(Refusals(),
              ElementsAre(HasSubstr("zfs.pools[0].vdevs[0].disks: disks of different sizes in one mirror")));
  // What rounding leaves between two disks of a kind is no difference.
  seen_.disks[Path('d')].size_bytes = (uint64_t{1} << 40) + (1 << 20);
  EXPECT_EQ(Planned().steps.size(), 1u);
}

// zpool asks nothing of a pool that was made uneven by force.
TEST_F(GrowingPool, AnUnevenPoolMayGrow) {
  seen_.pools["tank"].layout.push_back(One(Device('c'), VdevClass::kSpecial));
  seen_.disks[Path('c')].member_of = "tank";
  pool().vdevs = {{VdevClass::kSpecial, "", {Path('c')}},
                  {VdevClass::kData, "mirror", {Path('d'), Path('e')}}};
  EXPECT_EQ(Planned().steps.size(), 1u);
}

TEST_F(GrowingPool, APropertyThatThisZfsDoesNotKnowIsRefused) {
  pool().properties = {{"multihost", "on"}};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("does not know the pool property multihost")));
}

TEST_F(GrowingPool, ADegradedPoolIsMendedButGetsNoVdevs) {
  seen_.pools["tank"].health = "DEGRADED";
  seen_.pools["tank"].members[Device('b')].state = "UNAVAIL";
  pool().vdevs = {{VdevClass::kData, "mirror", {Path('c'), Path('d')}}};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("'add vdev' waits until it is mended")));
  pool().vdevs = {};
  pool().disks = {Path('a'), Path('c')};
  EXPECT_EQ(Planned().steps.size(), 1u);
}

TEST_F(GrowingPool, PropertiesAreSetButForWhatDisksAreMadeWith) {
  pool().properties = {{"autotrim", "on"}, {"ashift", "13"}};
  const ZfsPlan plan = Planned();
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(std::get<SetPoolPropertiesStep>(plan.steps[0].step),
            (SetPoolPropertiesStep{"tank", 7, {{"autotrim", "on"}}}));
  EXPECT_THAT(plan.steps[0].differences, ElementsAre(Difference{"pool autotrim", "off", "on"}));
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0].text, HasSubstr("keep their sector size"));
}

// One pulled disk must not keep a node from its exports.
TEST_F(GrowingPool, ADiskThatIsGoneIsAWarningAndNoDifference) {
  Lose('b', Path('b'));
  pool().properties = {{"autotrim", "on"}};
  EXPECT_EQ(Planned().steps.size(), 1u);
  EXPECT_THAT(Warnings(), UnorderedElementsAre(
                              HasSubstr("pool tank is unhealthy: DEGRADED"),
                              AllOf(HasSubstr(Path('b') + " of pool tank is not present on this node any "
                                                          "more, and UNAVAIL to ZFS"),
                                    HasSubstr("declare another disk in its place"))));
}

TEST_F(GrowingPool, ALogCacheOrSpareThatIsGoneIsAWarningAndNoDifference) {
  const std::pair<VdevClass, char> gone[] = {
      {VdevClass::kLog, 'c'}, {VdevClass::kCache, 'd'}, {VdevClass::kSpare, 'e'}};
  for (const auto& [vdev_class, disk] : gone) {
    Add(vdev_class, disk);
    pool().vdevs.push_back({vdev_class, "", {Path(disk)}});
  }
  EXPECT_THAT(Warnings(), IsEmpty());
  for (const auto& [vdev_class, disk] : gone) Lose(disk, Path(disk));
  seen_.pools["tank"].health = "ONLINE";
  EXPECT_THAT(Planned().steps, IsEmpty());
  EXPECT_THAT(Warnings(), UnorderedElementsAre(HasSubstr("declare another disk in its place"),
                                               HasSubstr("(zpool remove tank guid-d)"),
                                               HasSubstr("(zpool remove tank guid-e)")));
}

TEST_F(GrowingPool, AnotherDiskTakesThePlaceOfOneThatIsGone) {
  for (const std::string& name : {Path('b'), std::string("1234567890")}) {
    SCOPED_TRACE(name);
    if (seen_.disks.count(Path('b')) != 0) {
      Lose('b', name);
    } else {
      PoolState& tank = seen_.pools["tank"];
      tank.members[name] = tank.members[Path('b')];
      tank.members.erase(Path('b'));
      tank.layout = {Mirror({Device('a'), name})};
    }
    pool().disks = {Path('a'), Path('c')};
    ASSERT_EQ(Planned().steps.size(), 1u);
    EXPECT_EQ(std::get<ReplaceDiskStep>(Planned().steps[0].step),
              (ReplaceDiskStep{"tank", 7, name, Path('c'), "guid-b", false}));
  }
}

TEST_F(GrowingPool, OnlyADiskThatAStepIsToTakeHasToBeThere) {
  Lose('b', Path('b'));
  seen_.disks.erase(Path('c'));
  pool().disks = {Path('a'), Path('b'), Path('c')};
  EXPECT_THAT(Refusals(), ElementsAre(AllOf(HasSubstr("zfs.pools[0].disks[2]: disk "),
                                            HasSubstr("nvme-c is not present on this node"))));
  pool().disks = {Path('a'), Path('c')};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("zfs.pools[0].disks[1]: disk ")));
  pool().disks = {Path('a'), Path('b')};
  pool().vdevs = {{VdevClass::kCache, "", {Path('c')}}};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("zfs.pools[0].vdevs[0].disks[0]: disk ")));
}

// Imports change what a label says; a pool that was made by kernel names says nothing that stays.
TEST_F(GrowingPool, ADiskThatIsGoneMayBeKnownByAnotherName) {
  for (const std::string& name :
       {std::string("1234567890"), std::string(kById) + "wwn-0x5000c500a1b2c3d4",
        std::string("/dev/disk/by-path/pci-0000:03:00.0-nvme-1"), Path('b') + "_1"}) {
    SCOPED_TRACE(name);
    const ZfsState before = seen_;
    Lose('b', name);
    EXPECT_THAT(Planned().steps, IsEmpty());
    EXPECT_THAT(Warnings(), ::testing::Contains(HasSubstr(", which knows it as " + name)));
    seen_ = before;
  }
  // Two names by model and serial are two disks.
  for (const std::string& name : {Path('z'), Path('z') + "_1"}) {
    const ZfsState before = seen_;
    Lose('b', name);
    EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("nvme-b is not present on this node")));
    seen_ = before;
  }
}

TEST_F(GrowingPool, AMemberThatFailsIsNamed) {
  seen_.pools["tank"].members[Device('b')].state = "FAULTED";
  EXPECT_THAT(Warnings(), ElementsAre(HasSubstr(Path('b') + " of pool tank is FAULTED: declare another")));
}

TEST_F(GrowingPool, AnAddedVdevGetsTheDeclaredSectorSize) {
  pool().properties = {{"ashift", "12"}};
  pool().vdevs = {{VdevClass::kData, "mirror", {Path('c'), Path('d')}}};
  EXPECT_EQ(std::get<AddVdevStep>(Planned().steps[0].step).ashift, "12");
  pool().properties = {{"ashift", "0"}};
  EXPECT_EQ(std::get<AddVdevStep>(Planned().steps[0].step).ashift, "");
}

// What it has grown by does not come back.
TEST_F(GrowingPool, AutoexpandMayGrowThePoolForGood) {
  seen_.pools["tank"].properties["autoexpand"] = {"off", "default", "-"};
  pool().properties = {{"autoexpand", "on"}};
  EXPECT_EQ(Planned().steps[0].reversal, Reversal::kLossy);
  EXPECT_THAT(Planned().steps[0].remainder, HasSubstr("it has grown"));
  seen_.pools["tank"].properties["autoexpand"].value = "on";
  pool().properties = {{"autoexpand", "off"}};
  EXPECT_EQ(Planned().steps[0].reversal, Reversal::kExact);
}

TEST_F(GrowingPool, PartitionsAreRefused) {
  for (const std::string& disk : {Path('b') + "-part1", std::string("/dev/disk/by-partuuid/0c3d"),
                                  std::string("/dev/disk/by-partlabel/x")}) {
    pool().disks = {Path('a'), disk};
    EXPECT_THAT(Refusals(),
                ElementsAre(AllOf(HasSubstr("zfs.pools[0].disks[1]"), HasSubstr("is a partition"))));
  }
}

class ExportedPoolTest : public GrowingPool {
 protected:
  ExportedPoolTest() {
    seen_.pools.clear();
    seen_.datasets.clear();
    seen_.exported = {{.name = "tank", .guid = 7, .state = "ONLINE", .members = {"nvme-a", "nvme-b"}}};
    for (const char disk : {'a', 'b'}) {
      seen_.disks[Path(disk)].member_of = "";
      seen_.disks[Path(disk)].findings = {
          {Device(disk) + "1", "ZFS label of pool tank (zdb)", "tank", 7, true}};
    }
    spec_.datasets = {{.name = "tank/data"}};
  }
};

TEST_F(ExportedPoolTest, IsImportedAndWhatIsInItIsNotMadeAgain) {
  const ZfsPlan plan = Planned();
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(std::get<ImportPoolStep>(plan.steps[0].step), (ImportPoolStep{"tank", 7}));
  EXPECT_THAT(plan.steps[0].provides, UnorderedElementsAre("pool:tank", "dataset:tank", "dataset:tank/data",
                                                           "path:/tank/data", "tree:/tank/data"));
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0].text, HasSubstr("set up again after this run"));
}

TEST_F(ExportedPoolTest, OfOtherDisksOrOfAnotherSystemIsRefused) {
  seen_.exported[0].in_use_elsewhere = true;
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("zpool import -f 7")));
  seen_.exported[0].in_use_elsewhere = false;
  seen_.exported[0].state = "DEGRADED";
  EXPECT_THAT(Refusals(), ElementsAre(AllOf(HasSubstr("is DEGRADED"), HasSubstr(": zpool import 7"))));
  seen_.exported[0].state = "ONLINE";
  pool().disks = {Path('a'), Path('c')};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("declared are other disks")));
  // A name alone is no pool: what is in it would be mounted wherever it says.
  pool().disks = {};
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("Declare its disks")));
  seen_.exported.push_back(seen_.exported[0]);
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("several exported pools")));
}

class AbsentPool : public GrowingPool {
 protected:
  AbsentPool() { pool().presence = Presence::kAbsent; }
};

TEST_F(AbsentPool, IsDestroyedOnlyWhereItIsOursAndNothingInItIsToStay) {
  const ZfsPlan plan = Planned();
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].id, "destroy:tank");
  EXPECT_EQ(plan.steps[0].reversal, Reversal::kLossy);
  EXPECT_THAT(plan.steps[0].removes, UnorderedElementsAre("pool:tank", "dataset:tank", "path:/tank"));
  DatasetState& data = seen_.datasets["tank/data"] = seen_.datasets["tank"];
  data.name = "tank/data";
  data.guid = 9;
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("holds tank/data, which is not wanted gone")));
  owned_.created["dataset:tank/data"] = "9";
  spec_.datasets = {{.name = "tank/data", .presence = Presence::kAbsent}};
  EXPECT_EQ(Planned().steps.size(), 2u);
  owned_.created.erase("pool:tank");
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("was not created by Phoenix")));
}

TEST_F(AbsentPool, ThatHoldsTheRecordStays) {
  owned_.record_directory = "/tank/phoenix";
  EXPECT_THAT(Refusals(), ElementsAre(HasSubstr("without it no run can be undone")));
}

TEST_F(AbsentPool, ThatIsNotThereIsNoStep) {
  seen_.pools.clear();
  seen_.datasets.clear();
  EXPECT_THAT(Planned().steps, IsEmpty());
  EXPECT_THAT(Warnings(), IsEmpty());
  // Exported is not gone.
  seen_.exported = {{.name = "tank", .guid = 7, .state = "ONLINE", .members = {"nvme-a", "nvme-b"}}};
  EXPECT_THAT(Planned().steps, IsEmpty());
  EXPECT_THAT(Warnings(), ElementsAre(AllOf(HasSubstr("is exported"), HasSubstr("zpool import 7"))));
}

}  // namespace
}  // namespace phoenix::zfs
