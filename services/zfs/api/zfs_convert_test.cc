#include "services/zfs/api/zfs_convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;

TEST(ZfsConvert, APoolsDisksAreToldByTheNamesThatStay) {
  PoolState pool{.name = "fast"};
  pool.layout = {{"mirror", {"/dev/nvme0n1", "/dev/nvme1n1"}}};
  const v1::Pool proto = ToProto(pool, {{"/dev/nvme0n1", "/dev/disk/by-id/nvme-A"}}, true);
  EXPECT_THAT(proto.disks(), ElementsAre("/dev/disk/by-id/nvme-A", "/dev/nvme1n1"));
}

TEST(ZfsConvert, APoolsVdevsAreToldWithTheStateOfTheirDisks) {
  PoolState pool{.name = "fast"};
  pool.layout = {{"disk", {"/dev/nvme0n1"}}, {"disk", {"/dev/nvme1n1"}, VdevClass::kLog}};
  pool.members["/dev/nvme0n1"] = {.state = "ONLINE",
                                  .checksum_errors = 3,
                                  .replaces = "/dev/nvme2n1",
                                  .partition = {},
                                  .name = {},
                                  .vdev_name = {}};
  const v1::Pool proto = ToProto(pool, {{"/dev/nvme2n1", "/dev/disk/by-id/nvme-C"}}, true);
  EXPECT_THAT(proto.disks(), ElementsAre("/dev/nvme0n1"));
  ASSERT_EQ(proto.vdevs_size(), 2);
  EXPECT_EQ(proto.vdevs(1).vdev_class(), "log");
  const auto& member = proto.vdevs(0).members(0);
  EXPECT_EQ(member.state(), "ONLINE");
  EXPECT_EQ(member.checksum_errors(), 3u);
  EXPECT_EQ(member.replaces(), "/dev/disk/by-id/nvme-C");
}

TEST(ZfsConvert, WhatIsNotKnownOfADiskIsAbsent) {
  DiskState disk;
  disk.path = "/dev/disk/by-id/nvme-A";
  EXPECT_FALSE(ToProto(disk).has_health());
  DiskHealth health;
  health.verdict = DiskHealth::Verdict::kPassed;
  health.wear_percent = 0;
  health.critical_warning = 2;
  const v1::DiskHealth known = ToProto(disk, &health).health();
  EXPECT_EQ(known.verdict(), v1::DiskHealth::VERDICT_PASSED);
  EXPECT_TRUE(known.has_wear_percent()) << "none is not unknown";
  EXPECT_FALSE(known.has_media_errors());
  EXPECT_THAT(known.critical_warnings(), ElementsAre("temperature is past a threshold"));
  EXPECT_EQ(known.unhealthy_size(), 1);
}

TEST(ZfsConvert, TheWordsForUnhealthyDisksSurvive) {
  ZfsSpec spec;
  spec.health.max_wear_percent = 80;
  spec.allow_unhealthy = {"tank", "/dev/disk/by-id/nvme-A"};
  spec.arc_max_bytes = uint64_t{1} << 30;
  spec.arc_max_origin = "$.zfs.arc_max_gb (line 3)";
  EXPECT_EQ(*ToSpec(ToProto(spec)), spec);
  v1::ZfsSpec older;
  EXPECT_EQ(ToSpec(older)->health.max_wear_percent, 90u);
  older.mutable_health()->set_max_wear_percent(256);
  EXPECT_FALSE(ToSpec(older).ok());
}

TEST(ZfsConvert, OwnersAreToldByNameWhereTheyHaveOne) {
  DatasetState dataset{.name = "fast/a", .type = "filesystem"};
  dataset.root = DirectoryState{1000, 1001, 02770};
  const v1::Dataset nameless = ToProto(dataset, true);
  EXPECT_EQ(nameless.owner(), "1000");
  EXPECT_EQ(nameless.group(), "1001");
  EXPECT_EQ(nameless.mode(), "2770");
  dataset.owner = "heads";
  dataset.group = "staff";
  const v1::Dataset named = ToProto(dataset, true);
  EXPECT_EQ(named.owner(), "heads");
  EXPECT_EQ(named.group(), "staff");
  EXPECT_EQ(named.etag(), nameless.etag()) << "the directory is the same";
  // What is answered can be sent back.
  const auto spec = ToDatasetSpec(named);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->owner, "heads");
}

TEST(ZfsConvert, ASpecComesBackAsItWasSent) {
  ZfsSpec spec;
  spec.datasets = {{.name = "fast/a",
                    .properties = {{"quota", "1G"}},
                    .owner = "root",
                    .group = "heads",
                    .mode = "2770",
                    .presence = Presence::kPresent,
                    .origin = "zfs.datasets[0]",
                    .recursive_owner = true,
                    .files = {{"conf/app.conf", "port = 1\n", "app", "staff", "0640"}, {.path = "empty"}},
                    .owner_at_creation_only = true},
                   {.name = "fast/v", .presence = Presence::kAbsent, .volume_size_bytes = 1 << 20}};
  spec.pools = {{"fast",
                 "mirror",
                 {"/dev/disk/by-id/a", "/dev/disk/by-id/b"},
                 {{"ashift", "12"}},
                 "zfs.pools[0]",
                 {{VdevClass::kSpecial, "mirror", {"/dev/disk/by-id/c", "/dev/disk/by-id/d"}}}},
                {.name = "old", .presence = Presence::kAbsent}};
  spec.snapshots = {{"fast/a@before", Presence::kAbsent}};
  spec.kept = {{"fast/.phoenix/kept/r/a", KeptFate::kRestore, "fast/b"},
               {"fast/.phoenix/kept/r/c", KeptFate::kDiscard, ""}};
  const auto back = ToSpec(ToProto(spec));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, spec);
}

TEST(ZfsConvert, AnUnknownVdevClassIsRefused) {
  v1::ZfsSpec proto;
  proto.add_pools()->add_vdevs()->set_vdev_class("slog");
  EXPECT_EQ(ToSpec(proto).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ZfsConvert, WhatIsKeptTellsWhatItWasAndWhatItTakes) {
  DatasetState dataset{.name = "fast/.phoenix/kept/r1/a:b", .type = "filesystem", .guid = 42};
  dataset.properties = {{"phoenix:kept", {"fast/a/b", "local", "-"}},
                        {"used", {"4096", "-", "-"}},
                        {"creation", {"1795401632", "-", "-"}}};
  const v1::Kept kept = ToKept(dataset);
  EXPECT_EQ(kept.name(), "datasets/fast~.phoenix~kept~r1~a:b");
  EXPECT_EQ(kept.native_name(), dataset.name);
  EXPECT_EQ(kept.original_name(), "fast/a/b");
  EXPECT_EQ(kept.pool(), "fast");
  EXPECT_EQ(kept.run(), "r1");
  EXPECT_EQ(kept.kind(), v1::Kept::KIND_SET_ASIDE);
  EXPECT_EQ(kept.guid(), 42U);
  EXPECT_EQ(kept.used_bytes(), 4096U);
  EXPECT_EQ(kept.creation_seconds(), 1795401632);
  dataset.properties["origin"] = {"fast/a/b@phoenix-run-r1:content", "-", "-"};
  EXPECT_EQ(ToKept(dataset).kind(), v1::Kept::KIND_BEFORE);
}

TEST(ZfsConvert, ATrashedDatasetHasAName) {
  const std::string native = "fast/.phoenix/trash/7f1c/a:b";
  EXPECT_EQ(*ParseDatasetName(DatasetName(native)), native);
  for (const char* name :
       {"", "datasets/", "datasets/-a", "datasets/fast/a", "datasets/fast~a@s", "pools/fast"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseDatasetName(name).status())) << name;
  }
}

}  // namespace
}  // namespace phoenix::zfs
