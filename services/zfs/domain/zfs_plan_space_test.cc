#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_planner.h"

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kGib = uint64_t{1} << 30;

std::string Path(int number) { return "/dev/disk/by-id/nvme-" + std::to_string(number); }

// Seven blank disks of 1 TiB, but for the last, which is a little larger.
ZfsState Blank() {
  ZfsState seen;
  for (int i = 0; i < 7; ++i) {
    seen.disks[Path(i)] = {.path = Path(i),
                           .device_path = "/dev/nvme" + std::to_string(i) + "n1",
                           .serial = std::to_string(i),
                           .size_bytes = 1024 * kGib + (i == 6 ? 4096 : 0)};
  }
  seen.arc.live = 0;
  seen.arc.memory_bytes = 8 * kGib;
  return seen;
}

// And pool tank of other disks, which holds 100 GiB.
ZfsState WithPool() {
  ZfsState seen = Blank();
  seen.pools["tank"] = {.name = "tank", .guid = 7, .health = "ONLINE", .layout = {{"disk", {"/dev/sda"}}}};
  seen.disks["/dev/disk/by-id/nvme-A"] = {.path = "/dev/disk/by-id/nvme-A",
                                          .device_path = "/dev/sda",
                                          .serial = "A",
                                          .size_bytes = 104 * kGib,
                                          .member_of = "tank"};
  DatasetState& root = seen.datasets["tank"];
  root = {.name = "tank", .type = "filesystem", .guid = 8};
  root.properties = {{"mountpoint", {"/tank", "default", "-"}},
                     {"canmount", {"on", "default", "-"}},
                     {"used", {std::to_string(10 * kGib), "-", "-"}},
                     {"available", {std::to_string(90 * kGib), "-", "-"}}};
  root.mounted_at = "/tank";
  root.root = DirectoryState{0, 0, 0755};
  return seen;
}

DatasetSpec Dataset(const std::string& name, const std::string& quota) {
  return {.name = name, .properties = {{"quota", quota}}, .origin = "zfs.datasets"};
}

// The warnings of the plan; notes are none.
std::vector<std::string> Warnings(const ZfsSpec& spec, const ZfsState& seen) {
  const auto plan = MakePlan(spec, seen, {});
  EXPECT_TRUE(plan.ok()) << plan.status();
  std::vector<std::string> texts;
  if (!plan.ok()) return texts;
  for (const PlanNote& note : plan->notes) {
    EXPECT_TRUE(note.warning) << note.text;
    texts.push_back(note.resource + ": " + note.text);
  }
  return texts;
}

// What a new pool of the first `count` disks is said to hold, where its one dataset has this quota.
std::vector<std::string> OfNewPool(const std::string& level, int count, const std::string& quota,
                                   ZfsState seen = Blank()) {
  ZfsSpec spec;
  spec.pools = {{"fast", level, {}, {}, "zfs.pools[0]"}};
  for (int i = 0; i < count; ++i) spec.pools[0].disks.push_back(Path(i));
  spec.datasets = {Dataset("fast/data", quota)};
  return Warnings(spec, seen);
}

TEST(PlanSpace, QuotasPastThePoolAreAWarning) {
  ZfsSpec spec;
  spec.datasets = {Dataset("tank/data", "60G"), Dataset("tank/data/child", "50G")};
  EXPECT_THAT(Warnings(spec, WithPool()), IsEmpty()) << "what is within another quota does not count twice";
  spec.datasets.push_back(Dataset("tank/more", "40G"));
  EXPECT_THAT(Warnings(spec, WithPool()), IsEmpty()) << "they fit exactly";
  spec.datasets.push_back(Dataset("tank/most", "1G"));
  EXPECT_THAT(
      Warnings(spec, WithPool()),
      ElementsAre(
          "tank: the quotas and volumes declared in pool tank add up to 101.0 GiB, and it holds 100.0 GiB: "
          "not all of them can be used up"));
  spec.datasets.back().properties["quota"] = "none";
  EXPECT_THAT(Warnings(spec, WithPool()), IsEmpty());
}

TEST(PlanSpace, NoQuotaAboveHidesThoseBelow) {
  ZfsSpec spec;
  spec.datasets = {Dataset("tank/data", "none"), Dataset("tank/data/a", "60G"),
                   Dataset("tank/data/b", "60G")};
  EXPECT_THAT(Warnings(spec, WithPool()), ElementsAre(HasSubstr("add up to 120.0 GiB")));
}

TEST(PlanSpace, ANewPoolIsEstimatedByItsLevelAndItsDisks) {
  const struct {
    const char* level;
    int disks;
    uint64_t terabytes;  // of data
  } cases[] = {{"single", 1, 1}, {"stripe", 3, 3},       {"mirror", 3, 1},
               {"raid10", 4, 2}, {"raidz1", 3, 2},       {"raidz2", 6, 4},
               {"raidz3", 7, 4}, {"draid1:1d:1s", 5, 2}, {"draid1:3d", 4, 3}};
  for (const auto& [level, disks, terabytes] : cases) {
    // ZFS keeps a 32nd, of 128 GiB at most.
    const uint64_t holds = terabytes * 1024 - std::min<uint64_t>(terabytes * 32, 128);
    EXPECT_THAT(OfNewPool(level, disks, std::to_string(holds) + "G"), IsEmpty()) << level;
    EXPECT_THAT(OfNewPool(level, disks, std::to_string(holds + 1) + "G"),
                ElementsAre(HasSubstr("it will hold about " + std::to_string(holds) + ".0 GiB")))
        << level;
  }
  EXPECT_THAT(OfNewPool("single", 1, "2000000T"), ElementsAre(HasSubstr("add up to"))) << "no sum wraps";
}

TEST(PlanSpace, LogsAndCachesHoldNoDatasets) {
  ZfsSpec spec;
  spec.pools = {{"fast", "single", {Path(0)}, {}, "zfs.pools[0]"}};
  spec.pools[0].vdevs = {{VdevClass::kLog, "", {Path(1)}}, {VdevClass::kCache, "", {Path(2)}}};
  spec.datasets = {Dataset("fast/data", "993G")};
  EXPECT_THAT(Warnings(spec, Blank()), ElementsAre(HasSubstr("will hold about 992.0 GiB")));
}

TEST(PlanSpace, APoolThatGrowsIsTakenAsItWillBe) {
  ZfsSpec spec;
  spec.pools = {{"tank", "stripe", {"/dev/disk/by-id/nvme-A", Path(0)}, {}, "zfs.pools[0]"}};
  spec.datasets = {Dataset("tank/data", "1092G")};
  EXPECT_THAT(Warnings(spec, WithPool()), IsEmpty());
  spec.datasets.push_back(Dataset("tank/more", "1G"));
  EXPECT_THAT(Warnings(spec, WithPool()),
              ElementsAre(HasSubstr("add up to 1093.0 GiB, and it will hold about 1092.0 GiB")));
}

TEST(PlanSpace, VolumesCountWithTheirSize) {
  ZfsSpec spec;
  spec.datasets = {Dataset("tank/data", "60G"),
                   {.name = "tank/target", .origin = "zfs.datasets", .volume_size_bytes = 41 * kGib}};
  EXPECT_THAT(Warnings(spec, WithPool()),
              ElementsAre(HasSubstr("add up to 101.0 GiB, and it holds 100.0 GiB")));
  spec.datasets[1].volume_size_bytes = 39 * kGib;
  EXPECT_THAT(Warnings(spec, WithPool()), IsEmpty());
}

}  // namespace
}  // namespace phoenix::zfs
