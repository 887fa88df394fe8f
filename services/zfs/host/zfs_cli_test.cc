// The real host on tools that answer from a table: what it makes of their answers, above all of bad ones.
#include "services/zfs/host/zfs_cli.h"

#include <absl/synchronization/mutex.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/digest/digest.h"
#include "base/host/posix_files.h"
#include "base/status/errors.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/host/zfs_command.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Transcript(const std::string& name) {
  std::ifstream file(std::string(PHOENIX_TESTDATA) + "/" + name);
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Answers by the beginning of the command's text.
class TableRunner final : public CommandRunner {
 public:
  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& observer) override {
    const std::string text = phoenix::ToText(command);
    absl::MutexLock lock(&mutex_);
    ran_.push_back(text);
    if (command.kill_at_limit) killed_.push_back(text);
    if (observer) {
      if (absl::Status observed = observer(ChildIdentity{1, 1, "boot"}); !observed.ok()) return observed;
    }
    for (const auto& [beginning, result] : answers_) {
      if (text.starts_with(beginning)) return result;
    }
    return CommandResult{0, "", ""};
  }
  void Answer(const std::string& beginning, CommandResult result) { answers_[beginning] = std::move(result); }
  void Fail(const std::string& beginning, absl::Status status) { answers_[beginning] = std::move(status); }
  const std::vector<std::string>& ran() const { return ran_; }
  // Those that would be ended where they hang, and waited for.
  const std::vector<std::string>& killed() const { return killed_; }

 private:
  absl::Mutex mutex_;
  // The longest beginning decides: the table is read backwards by name.
  std::map<std::string, absl::StatusOr<CommandResult>, std::greater<>> answers_;
  std::vector<std::string> ran_, killed_;
};

class Cli : public ::testing::Test {
 protected:
  Cli()
      : root_(std::filesystem::temp_directory_path() / ("phoenix-cli-" + RandomUuid())),
        files_(root_),
        host_(runner_, files_) {
    Put("/proc/1/mountinfo", Transcript("mountinfo.txt"));
    Put("/proc/meminfo", "MemTotal:        2014352 kB\n");
    Put("/sys/module/zfs/version", "2.2.7-pve2\n");
    std::filesystem::create_directories(root_ / "etc/modprobe.d");
    runner_.Answer("zpool get", {0, Transcript("zpool-get.txt"), ""});
    runner_.Answer("zpool status", {0, Transcript("zpool-status-2.3.txt"), ""});
    runner_.Answer("lsblk", {0, Transcript("lsblk.txt"), ""});
    runner_.Answer("zfs get", {0, Transcript("zfs-get-2.3.txt"), ""});
    runner_.Answer("zpool import", {0, "no pools available to import\n", ""});
  }
  ~Cli() override { std::filesystem::remove_all(root_); }
  void Put(const std::string& path, const std::string& content) {
    std::filesystem::create_directories((root_ / path.substr(1)).parent_path());
    std::ofstream(root_ / path.substr(1)) << content;
  }

  const std::filesystem::path root_;
  TableRunner runner_;
  PosixFiles files_;
  ZfsCli host_;
};

TEST_F(Cli, PoolsNameWholeDisks) {
  ObserveRequest request;
  request.pools = true;
  const auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->pools.at("quickOS").layout,
              ElementsAre(VdevGroup{"mirror", {"/dev/nvme0n1", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1B"}}));
  EXPECT_THAT(state->pools.at("fastData").layout, ElementsAre(VdevGroup{"disk", {"/dev/nvme2n1p1"}}));
  EXPECT_EQ(state->pools.at("fastData").data_errors, 0u);
  EXPECT_EQ(state->pools.at("quickOS").scans.size(), 1u);
  EXPECT_EQ(runner_.ran().size(), 3u) << "no disk is asked about, so none is probed";
}

// A plan is not to fail, nor an overview to wait, since a disk does not say how it is.
TEST_F(Cli, ADiskThatDoesNotSayHowItIsIsUnknown) {
  std::vector<std::string> disks;
  for (const char* name : {"fine", "none", "hangs"}) {
    Put(fmt::format("/disks/{}", name), "");
    disks.push_back((root_ / "disks" / name).string());
  }
  const std::string smart = "smartctl --json=c -n standby -H -A -i ";
  runner_.Answer(smart + disks[0], CommandResult{8, Transcript("smartctl-nvme-worn.json"), ""});
  runner_.Fail(smart + disks[1], absl::NotFoundError("cannot start /usr/sbin/smartctl"));
  runner_.Fail(smart + disks[2], absl::DeadlineExceededError("hangs"));
  ObserveRequest request;
  request.health = disks;
  request.health.push_back((root_ / "disks" / "gone").string());
  request.limit_seconds = 3;
  const auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_EQ(state->health.size(), 3u);
  EXPECT_EQ(state->health.at(disks[0]).wear_percent, 117u);
  EXPECT_THAT(state->health.at(disks[1]).unknown, HasSubstr("smartctl is not installed"));
  EXPECT_THAT(state->health.at(disks[2]).unknown, HasSubstr("no answer from it for 3 s"));
  EXPECT_EQ(runner_.ran().size(), 3u) << "nothing else is asked";
  // Each asking of a disk that hangs leaves a process behind.
  const auto again = host_.Observe(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->health.at(disks[2]).unknown, HasSubstr("does not ask again yet"));
  EXPECT_EQ(runner_.ran().size(), 5u) << "the two others are";
  request.limit_seconds = 0;
  EXPECT_TRUE(host_.Observe(request).ok());
  EXPECT_EQ(runner_.ran().size(), 8u) << "a plan asks all the same";
}

// While the kernel does not answer, each asking leaves a process that nothing can end.
TEST_F(Cli, AnOverviewDoesNotAskAgainWhatHung) {
  runner_.Fail("zpool status", absl::DeadlineExceededError("hung for 3 s"));
  ObserveRequest request;
  request.pools = true;
  request.limit_seconds = 3;
  EXPECT_THAT(std::string(host_.Observe(request).status().message()), HasSubstr("hung for 3 s"));
  const size_t ran = runner_.ran().size();
  for (int times = 0; times < 3; ++times) {
    EXPECT_THAT(std::string(host_.Observe(request).status().message()),
                AllOf(HasSubstr("`zpool status"), HasSubstr("was not read: it had no answer a while ago")));
  }
  EXPECT_EQ(runner_.ran().size(), ran);
  EXPECT_THAT(runner_.killed(), ElementsAre());
  request.limit_seconds = 0;
  EXPECT_FALSE(host_.Observe(request).ok());
  EXPECT_EQ(runner_.ran().size(), 2 * ran) << "a plan asks all the same";
}

TEST_F(Cli, MountsAreThoseOfTheFirstProcess) {
  std::filesystem::create_directories(root_ / "quickOS/vm-disks");
  ObserveRequest request;
  request.all_datasets = request.mount_points = true;
  const auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->mount_points,
              ElementsAre("/", "/dev", "/quickOS", "/quickOS/vm-disks", "/srv/with blank"))
      << "of every file system";
  EXPECT_EQ(state->version, "2.2.7-pve2");
  EXPECT_EQ(state->datasets.at("quickOS/vm-disks").mounted_at, "/quickOS/vm-disks");
  EXPECT_TRUE(state->datasets.at("quickOS/vm-disks").root.has_value());
  EXPECT_EQ(state->datasets.at("quickOS/received").mounted_at, "");
}

TEST_F(Cli, TagsAreAskedForOnlyWhereSomethingIsHeld) {
  runner_.Answer("zfs get -Hp -t snapshot", {0, Transcript("zfs-get-snapshots.txt"), ""});
  runner_.Answer("zfs holds -H tank/data@before",
                 {0, "tank/data@before\tbackup\tnow\ntank/data@before\tphoenix:r1\tnow\n", ""});
  ObserveRequest request;
  request.snapshots = request.holds = true;
  const auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->snapshots.at("tank/data@before").tags, ElementsAre("backup", "phoenix:r1"));
  EXPECT_TRUE(state->snapshots.at("tank/data@daily-01").tags.empty());
  // Unreadable is not the same as unheld.
  runner_.Answer("zfs holds", {1, "", "cannot open 'tank/data@before': I/O error\n"});
  runner_.Answer("zfs holds -H tank/data@before", {1, "", "cannot open 'tank/data@before': I/O error\n"});
  EXPECT_FALSE(host_.Observe(request).ok());
}

TEST_F(Cli, WhatWasWrittenSinceIsANumberOrAbsent) {
  runner_.Answer("zfs get -Hp -o value written@s", {0, "278528\n", ""});
  runner_.Answer("zfs get -Hp -o value written@none", {0, "-\n", ""});
  ObserveRequest request;
  request.written_since = {"tank/a@s", "tank/a@none"};
  const auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->written_since.at("tank/a@s"), 278528u);
  EXPECT_EQ(state->written_since.count("tank/a@none"), 0u);
  runner_.Answer("zfs get -Hp -o value written@s", {1, "", "cannot open 'tank/a': I/O error\n"});
  EXPECT_FALSE(host_.Observe(request).ok());
}

// As `zfs program` prints what the program threw, with its stack.
TEST_F(Cli, ForeignWritesAreToldFromOtherFailures) {
  const RollbackDataset rollback{"tank/a", "s", 0};
  for (const char* said :
       {"phoenix: foreign writes: 12288 bytes since tank/a@s", "phoenix: foreign snapshot: tank/a@t"}) {
    runner_.Answer("zfs program", {1, "",
                                   std::string("Channel program execution failed:\n[string \"channel "
                                               "program\"]:15: ") +
                                       said + "\nstack traceback:\n"});
    const absl::Status foreign = host_.Change(rollback, nullptr);
    EXPECT_EQ(foreign.code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_TRUE(ReasonOf(foreign).has_value());
    EXPECT_EQ(ReasonOf(foreign)->reason, "FOREIGN_CHANGE");
    EXPECT_EQ(Message(foreign), said);
  }
  runner_.Answer(
      "zfs program",
      {1, "", "Channel program execution failed:\nphoenix: rollback of tank/a is refused with error 16\n"});
  EXPECT_FALSE(ReasonOf(host_.Change(rollback, nullptr)).has_value());
  runner_.Answer("zpool sync", {1, "", "cannot open 'tank': no such pool\n"});
  const size_t before = runner_.ran().size();
  EXPECT_FALSE(host_.Change(rollback, nullptr).ok());
  EXPECT_EQ(runner_.ran().size(), before + 1) << "what cannot be counted is not rolled back";
}

TEST_F(Cli, ATreeIsChangedOnlyWhereItIsProvenToBeTheDatasets) {
  // Mounted: somebody may be writing to it.
  EXPECT_EQ(host_.Change(SetTreeOwner{"quickOS/vm-disks", {}}, nullptr).code(),
            absl::StatusCode::kFailedPrecondition);
  for (const auto& ran : runner_.ran()) EXPECT_FALSE(ran.starts_with("mount")) << ran;
  // mount says that it did, and the host's first process sees nothing.
  if (::geteuid() != 0) GTEST_SKIP() << "the private directory is root's";
  std::filesystem::create_directories(root_ / "run");
  EXPECT_THAT(Message(host_.Change(SetTreeOwner{"quickOS/unmounted", {.mode = 0777}}, nullptr)),
              HasSubstr("is not mounted at /run/phoenix-private/quickOS:unmounted although mount said so"));
  EXPECT_EQ(runner_.ran().back(), "zfs unmount quickOS/unmounted");
}

TEST_F(Cli, FilesAreLookedAtAndDeliveredOnlyWhereItIsProvenToBeTheDatasets) {
  const DeliverFiles delivery{"quickOS/vm-disks", {{"conf", {"x", 0, 0, 0644}}}};
  EXPECT_EQ(host_.Change(delivery, nullptr).code(), absl::StatusCode::kFailedPrecondition) << "it is mounted";
  for (const auto& ran : runner_.ran()) EXPECT_FALSE(ran.starts_with("mount")) << ran;
  // The mount table says so, and what is there is another file system.
  const std::string mount = std::filesystem::canonical(root_) / "mnt";
  std::filesystem::create_directories(mount);
  std::ofstream(mount + "/conf") << "somebody's";
  Put("/proc/1/mountinfo", "50 1 0:45 / " + mount + " rw shared:1 - zfs quickOS/vm-disks rw,xattr\n");
  ObserveRequest request;
  request.datasets = {"quickOS/vm-disks"};
  request.files["quickOS/vm-disks"] = {"conf"};
  EXPECT_THAT(Message(host_.Observe(request).status()), HasSubstr("is not the mounted dataset"));
  // What is not mounted is not looked into.
  Put("/proc/1/mountinfo", "50 1 0:45 / / rw shared:1 - ext4 /dev/sda1 rw\n");
  const auto seen = host_.Observe(request);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_TRUE(seen->files.empty());
}

TEST_F(Cli, ABlankDiskIsProvenBlankWithoutZdb) {
  const std::string disk = std::filesystem::canonical(root_) / "disk";
  std::ofstream(disk).close();
  std::filesystem::resize_file(disk, uint64_t{64} << 20);
  runner_.Answer("lsblk", {0, R"({"blockdevices": [{"path": ")" + disk + R"(", "pkname": null, "type": "disk",
                              "size": 67108864, "serial": "S9", "mountpoints": [null]}]})",
                           ""});
  runner_.Answer("blkid", {2, "", ""});
  runner_.Answer("zdb", {1, Transcript("zdb-l-none.txt"), ""});
  ObserveRequest request;
  request.disks = {disk, disk + "-none"};
  const auto count = [&](const std::string& program) {
    return std::count_if(runner_.ran().begin(), runner_.ran().end(),
                         [&](const std::string& text) { return text.starts_with(program + " "); });
  };
  auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_EQ(state->disks.size(), 1u) << "a path without a disk is simply not there";
  EXPECT_TRUE(state->disks.at(disk).findings.empty());
  EXPECT_EQ(count("zdb"), 0);
  EXPECT_EQ(count("wipefs") + count("blkid"), 2);
  // One byte at the very end, without any signature.
  std::fstream(disk, std::ios::in | std::ios::out | std::ios::binary).seekp(67108863).put('x');
  state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_EQ(state->disks.at(disk).findings.size(), 1u);
  EXPECT_THAT(state->disks.at(disk).findings[0].what, HasSubstr("byte 67108863"));
  EXPECT_EQ(count("zdb"), 1);
  // A probe that fails proves nothing.
  runner_.Answer("wipefs", {1, "", "wipefs: error: probing initialization failed: Input/output error\n"});
  EXPECT_FALSE(host_.Observe(request).ok());
}

TEST_F(Cli, ADiskInUseIsNotProbedButNeverBlank) {
  const std::string disk = std::filesystem::canonical(root_) / "disk";
  std::ofstream(disk).close();
  runner_.Answer("lsblk", {0, R"({"blockdevices": [{"path": ")" + disk + R"(", "pkname": null, "type": "disk",
                              "size": 67108864, "serial": "S9", "mountpoints": ["[SWAP]"]}]})",
                           ""});
  ObserveRequest request;
  request.disks = {disk};
  const auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->disks.at(disk).in_use, HasSubstr("[SWAP]"));
  EXPECT_EQ(state->disks.at(disk).findings.size(), 1u);
}

// Trap 12: a tool that fails read as "absent".
TEST_F(Cli, Trap12WhatCannotBeReadIsAnErrorNotAbsence) {
  ObserveRequest request;
  request.datasets = {"quickOS/x"};
  runner_.Answer("zfs get", {1, "", "cannot open 'quickOS/x': dataset does not exist\n"});
  const auto missing = host_.Observe(request);
  ASSERT_TRUE(missing.ok()) << missing.status();
  EXPECT_TRUE(missing->datasets.empty());
  for (const char* error :
       {"cannot open 'quickOS/x': I/O error\n", "The ZFS modules cannot be auto-loaded.\n", ""}) {
    runner_.Answer("zfs get", {error[0] == 0 ? 139 : 1, "", error});
    EXPECT_FALSE(host_.Observe(request).ok()) << error;
  }
  request.pools = true;
  runner_.Answer("zfs get", {0, "", ""});
  runner_.Answer("zpool status", {1, "", "cannot open 'quickOS': no such device\n"});
  EXPECT_FALSE(host_.Observe(request).ok());
  runner_.Answer("zpool status", {0, "no pools available\n", ""});
  EXPECT_TRUE(host_.Observe(request).ok());
}

TEST_F(Cli, TheObserverSeesEveryMutatingProcess) {
  int observed = 0;
  const ChildObserver observer = [&](const ChildIdentity&) {
    ++observed;
    return absl::OkStatus();
  };
  ASSERT_TRUE(host_.Change(SetProperties{"a/b", {{"atime", "off"}}}, observer).ok());
  EXPECT_EQ(observed, 1);
  runner_.Answer("zfs set", {1, "", "cannot set property for 'a/b': out of space\n"});
  EXPECT_THAT(Message(host_.Change(SetProperties{"a/b", {{"atime", "off"}}}, observer)),
              HasSubstr("out of space"));
}

// A label that is half gone must not keep the rest from being cleared.
TEST_F(Cli, ClearingGoesOnWhereALabelIsHalfGone) {
  runner_.Answer("zpool labelclear", {1, "", "failed to clear label\n"});
  ASSERT_TRUE(host_.Change(ClearDisk{"/dev/nvme9n1", 1 << 30, {"/dev/nvme9n1p1"}}, nullptr).ok());
  EXPECT_EQ(runner_.ran().back(), "udevadm settle --timeout=30");
  runner_.Answer("blkdiscard", {1, "", "Device or resource busy\n"});
  EXPECT_FALSE(host_.Change(ClearDisk{"/dev/nvme9n1", 1 << 30, {}}, nullptr).ok());
}

// Seen in the lab: while udev had a partition open its disk kept it, and was taken for somebody else's after
// undo.
TEST_F(Cli, ClearingReadsTheTableAgainUntilNobodyHoldsAPartition) {
  runner_.Answer("blockdev --rereadpt",
                 {1, "", "blockdev: ioctl error on BLKRRPART: Device or resource busy\n"});
  ASSERT_TRUE(host_.Change(ClearDisk{"/dev/nvme9n1", 1 << 30, {}}, nullptr).ok());
  EXPECT_EQ(std::count(runner_.ran().begin(), runner_.ran().end(), "blockdev --rereadpt /dev/nvme9n1"), 10);
}

// Whatever was seen before: the ends of a disk that is in a pool are never zeroed.
TEST_F(Cli, ClearingEndsWhereTheDiskIsInAPool) {
  runner_.Answer("zpool labelclear", {1, "", "/dev/nvme9n1p1 is a member (ACTIVE) of pool \"tank\"\n"});
  EXPECT_FALSE(host_.Change(ClearDisk{"/dev/nvme9n1", 1 << 30, {"/dev/nvme9n1p1"}}, nullptr).ok());
  for (const auto& command : runner_.ran()) EXPECT_FALSE(command.starts_with("blkdiscard")) << command;
}

// Of a mounted export the NFS server may let go when told to forget it.
TEST_F(Cli, AnUnmountThatIsBusyIsTriedAgainAndNoOther) {
  const auto unmounts = [&] {
    return std::count(runner_.ran().begin(), runner_.ran().end(), "zfs unmount quickOS/vm-disks");
  };
  const ChildObserver observer = [](const ChildIdentity&) { return absl::OkStatus(); };
  runner_.Answer("zfs unmount", {1, "", "cannot unmount '/quickOS/vm-disks': pool or dataset is busy\n"});
  EXPECT_FALSE(host_.Change(UnmountDataset{"quickOS/vm-disks"}, observer).ok());
  EXPECT_EQ(unmounts(), 5);
  runner_.Answer("zfs unmount", {1, "", "cannot open 'quickOS/vm-disks': dataset does not exist\n"});
  EXPECT_FALSE(host_.Change(UnmountDataset{"quickOS/vm-disks"}, observer).ok());
  EXPECT_EQ(unmounts(), 6);
  runner_.Answer("zfs unmount", {0, "", ""});
  EXPECT_TRUE(host_.Change(UnmountDataset{"quickOS/vm-disks"}, observer).ok());
  EXPECT_EQ(unmounts(), 7);
}

TEST_F(Cli, OwnerAndModeNeedTheVeryMount) {
  EXPECT_THAT(Message(host_.Change(SetMountRoot{"quickOS/other", "/quickOS/vm-disks", {}}, nullptr)),
              HasSubstr("not mounted at"));
  EXPECT_THAT(Message(host_.Change(SetMountRoot{"quickOS/x", "/quickOS/x", {}}, nullptr)),
              HasSubstr("not mounted at"));
}

TEST_F(Cli, ReadsTheArcAndWhoElseSetsIt) {
  Put("/sys/module/zfs/parameters/zfs_arc_max", "1073741824\n");
  Put("/proc/spl/kstat/zfs/arcstats",
      "13 1 0x01 147 39984 3214 5124\nname                            type data\n"
      "c_min                           4    64458112\nc_max                           4    1031348224\n");
  Put("/etc/modprobe.d/zfs.conf", "options zfs zfs_arc_max=2147483648\n");
  Put("/etc/modprobe.d/zfs.conf.bak", "options zfs zfs_arc_max=5\n");
  Put("/sys/module/zfs/parameters/zfs_arc_min", "67108864\n");
  Put(std::string(kArcFile), ArcFileContent(1073741824));
  ObserveRequest request;
  request.arc = true;
  const auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->arc.live, 1073741824u);
  EXPECT_EQ(state->arc.in_force, 1031348224u);
  EXPECT_EQ(state->arc.min_live, 67108864u);
  EXPECT_EQ(state->arc.min_in_force, 64458112u);
  EXPECT_EQ(state->arc.file->content, ArcFileContent(1073741824));
  EXPECT_EQ(state->arc.memory_bytes, 2062696448u);
  EXPECT_THAT(state->arc.elsewhere,
              ElementsAre(std::pair<std::string, std::string>("/etc/modprobe.d/zfs.conf", "2147483648")));
  EXPECT_FALSE(state->arc.root_on_zfs);
}

// An image is older than our file, or than the folder that lost it; copies and unfinished ones do not count.
TEST_F(Cli, TellsWhetherTheInitramfsIsOlderThanTheFile) {
  const std::string boot = root_ / "boot", folder = root_ / "etc/modprobe.d", file = folder + "/ours.conf";
  EXPECT_EQ(InitramfsIsOlder(boot, file, folder), std::nullopt);
  const auto at = [&](const std::string& path, int minute) {
    if (!std::filesystem::exists(path)) std::ofstream(path).close();
    std::filesystem::last_write_time(
        path, std::filesystem::file_time_type(std::chrono::seconds(1'700'000'000 + 60 * minute)));
  };
  std::filesystem::create_directories(boot);
  at(boot + "/vmlinuz-6.8.12", 9);
  EXPECT_EQ(InitramfsIsOlder(boot, file, folder), std::nullopt);
  at(boot + "/initrd.img-6.8.4", 1);
  at(boot + "/initrd.img-6.8.12", 3);
  at(boot + "/initrd.img-6.8.12.new", 9);
  at(boot + "/initrd.img-6.8.12.bak", 9);
  at(folder, 2);
  EXPECT_EQ(InitramfsIsOlder(boot, file, folder), false);
  at(folder, 4);
  EXPECT_EQ(InitramfsIsOlder(boot, file, folder), true);
  at(file, 2);
  at(folder, 4);
  EXPECT_EQ(InitramfsIsOlder(boot, file, folder), false);
  at(file, 5);
  EXPECT_EQ(InitramfsIsOlder(boot, file, folder), true);
}

TEST_F(Cli, TellsTheVersion) {
  runner_.Answer("zfs version", {0, "zfs-2.3.2-2~bpo12+2\nzfs-kmod-2.3.2-2~bpo12+2\n", ""});
  EXPECT_EQ(host_.Versions().at("zfs"), "2.3.2");
  runner_.Answer("zfs version", {127, "", ""});
  EXPECT_EQ(host_.Versions().at("zfs"), "");
}

// Exit codes and words as libzfs has them.
TEST_F(Cli, AKeyThatDoesNotFitIsAnAnswerAndAnythingElseAnError) {
  ObserveRequest request;
  request.keys["tank/a"] = {"passphrase", Secret("correct horse")};
  request.keys["tank/b"] = {"passphrase", Secret("correct horse")};
  runner_.Answer("zfs load-key -n -L prompt tank/a", {0, "1 / 1 key(s) successfully verified\n", ""});
  runner_.Answer("zfs load-key -n -L prompt tank/b",
                 {255, "", "Key load error: Incorrect key provided for 'tank/b'.\n"});
  const auto state = host_.Observe(request);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_TRUE(state->keys_fit.at("tank/a"));
  EXPECT_FALSE(state->keys_fit.at("tank/b"));
  runner_.Answer("zfs load-key -n -L prompt tank/b", {255, "", "Key load error: 'tank/b' is busy.\n"});
  EXPECT_THAT(std::string(host_.Observe(request).status().message()), HasSubstr("is busy"));
}

}  // namespace
}  // namespace phoenix::zfs
