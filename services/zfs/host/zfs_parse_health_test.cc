#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "services/zfs/host/zfs_parse.h"

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Verdict = DiskHealth::Verdict;
using Kind = ScanState::Kind;
using Stage = ScanState::Stage;

std::string Transcript(const std::string& name) {
  std::ifstream file(std::string(PHOENIX_TESTDATA) + "/" + name);
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ParseSmart, OfANvmeThatIsWell) {
  const DiskHealth disk = ParseSmart(Transcript("smartctl-nvme.json"), 0);
  EXPECT_EQ(disk.verdict, Verdict::kPassed);
  EXPECT_EQ(disk.unknown, "");
  EXPECT_EQ(disk.wear_percent, 3u);
  EXPECT_EQ(disk.spare_percent, 100u);
  EXPECT_EQ(disk.spare_threshold_percent, 10u);
  EXPECT_EQ(disk.critical_warning, 0u);
  EXPECT_EQ(disk.media_errors, 0u);
  EXPECT_EQ(disk.temperature_celsius, 41);
  EXPECT_EQ(disk.power_on_hours, 8703u);
  EXPECT_FALSE(disk.reallocated_sectors);
}

// 8 in the exit code says what the verdict says, and is no failure of smartctl.
TEST(ParseSmart, OfAWornNvmePastItsEnd) {
  const DiskHealth disk = ParseSmart(Transcript("smartctl-nvme-worn.json"), 8);
  EXPECT_EQ(disk.verdict, Verdict::kFailed);
  EXPECT_EQ(disk.wear_percent, 117u);
  EXPECT_EQ(disk.critical_warning, 5u);
  EXPECT_EQ(disk.media_errors, std::numeric_limits<uint64_t>::max()) << "it counts in 128 bits";
}

TEST(ParseSmart, OfAFailingSataDisk) {
  const DiskHealth disk = ParseSmart(Transcript("smartctl-sata-failing.json"), 24);
  EXPECT_EQ(disk.verdict, Verdict::kFailed);
  EXPECT_EQ(disk.reallocated_sectors, 1992u) << "the raw number has more packed into it";
  EXPECT_EQ(disk.pending_sectors, 312u);
  EXPECT_EQ(disk.uncorrectable_sectors, 7u);
  EXPECT_EQ(disk.power_on_hours, 45512u);
  EXPECT_FALSE(disk.wear_percent) << "a disk that turns does not wear so";
}

// What is left of 177 counts; 230 bears the name of a wear, and some disks count it the other way round.
TEST(ParseSmart, OfASataSsdTheWearIsWhatIsNotLeft) {
  const DiskHealth disk = ParseSmart(Transcript("smartctl-sata-ssd.json"), 64);
  EXPECT_EQ(disk.verdict, Verdict::kPassed);
  EXPECT_EQ(disk.wear_percent, 12u);
}

TEST(ParseSmart, NothingKnownIsNoError) {
  DiskHealth disk = ParseSmart(Transcript("smartctl-virtio.json"), 1);
  EXPECT_EQ(disk.verdict, Verdict::kUnknown);
  EXPECT_EQ(disk.unknown, "Unable to detect device type");
  disk = ParseSmart(Transcript("smartctl-standby.json"), 2);
  EXPECT_EQ(disk.verdict, Verdict::kUnknown);
  EXPECT_EQ(disk.unknown, "it sleeps, and was not woken");
  disk = ParseSmart(Transcript("smartctl-scsi-none.json"), 4);
  EXPECT_EQ(disk.verdict, Verdict::kUnknown);
  EXPECT_EQ(disk.unknown, "it has no SMART");
  EXPECT_THAT(ParseSmart("", 127).unknown, HasSubstr("ended with 127"));
  EXPECT_THAT(ParseSmart("[1]", 0).unknown, HasSubstr("nothing that can be read"));
  EXPECT_EQ(ParseSmart(R"({"smart_status": {"passed": "yes"}, "temperature": 4})", 0).verdict,
            Verdict::kUnknown);
}

TEST(ParseScan, OfEveryKind) {
  const std::string day = "Sun Oct 12 00:34:12 2025";
  EXPECT_EQ(ParseScan("scrub repaired 0B in 00:10:11 with 0 errors on " + day),
            (ScanState{Kind::kScrub, Stage::kFinished, 0, "2025-10-12", ""}));
  EXPECT_EQ(ParseScan("scrub repaired 128K in 1 days 02:10:11 with 3 errors on Sun Nov  2 01:02:03 2025"),
            (ScanState{Kind::kScrub, Stage::kFinished, 3, "2025-11-02", ""}));
  EXPECT_EQ(ParseScan("resilvered (mirror-0) 1.50M in 00:00:01 with 0 errors on " + day),
            (ScanState{Kind::kResilver, Stage::kFinished, 0, "2025-10-12", ""}));
  EXPECT_EQ(ParseScan("scrub canceled on " + day),
            (ScanState{Kind::kScrub, Stage::kStopped, 0, "2025-10-12", ""}));
  EXPECT_EQ(ParseScan("scrub paused since " + day),
            (ScanState{Kind::kScrub, Stage::kStopped, 0, "2025-10-12", ""}));
  EXPECT_EQ(ParseScan("none requested"), std::nullopt);
}

TEST(ParsePoolHealth, OfTranscripts) {
  const auto pools = ParsePoolHealth(Transcript("zpool-status-2.3.txt"));
  ASSERT_EQ(pools.size(), 2u);
  EXPECT_EQ(pools.at("fastData").data_errors, 0u);
  EXPECT_THAT(pools.at("fastData").scans, IsEmpty());
  EXPECT_THAT(pools.at("quickOS").scans,
              ElementsAre(ScanState{Kind::kResilver, Stage::kFinished, 0, "2025-11-02", ""}));
  const auto older = ParsePoolHealth(Transcript("zpool-status-2.1.txt"));
  EXPECT_THAT(older.at("tank").scans,
              ElementsAre(ScanState{Kind::kScrub, Stage::kFinished, 0, "2025-10-12", ""}));
  EXPECT_EQ(older.at("wide").data_errors, 0u);
}

TEST(ParsePoolHealth, OfAPoolInTrouble) {
  const auto pools = ParsePoolHealth(
      "  pool: tank\n"
      " state: DEGRADED\n"
      "status: One or more devices is currently being resilvered.\n"
      "action: Wait for the resilver to complete.\n"
      "  scan: resilver in progress since Fri Nov 20 10:00:00 2026\n"
      "\t1.20G / 3.40G scanned at 120M/s, 410M / 3.40G issued at 40M/s\n"
      "\t400M resilvered, 11.78% done, 00:01:16 to go\n"
      "config:\n"
      "\n"
      "\tNAME        STATE     READ WRITE CKSUM\n"
      "\ttank        DEGRADED     0     0     0\n"
      "\n"
      "errors: 3 data errors, use '-v' for a list\n"
      "\n"
      "  pool: lost\n"
      " state: SUSPENDED\n"
      "config:\n"
      "\n"
      "errors: List of errors unavailable: pool I/O is currently suspended\n");
  EXPECT_EQ(pools.at("tank").data_errors, 3u);
  EXPECT_THAT(pools.at("tank").scans,
              ElementsAre(ScanState{Kind::kResilver, Stage::kRunning, 0, "2026-11-20", "11.78%"}));
  EXPECT_EQ(pools.at("lost").data_errors, std::nullopt) << "not told is not none";
}

}  // namespace
}  // namespace phoenix::zfs
