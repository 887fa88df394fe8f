// The real host over a tree of files and recorded answers of pvesm.
#include "services/proxmox/host/proxmox_cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/host/posix_files.h"
#include "base/status/errors.h"

namespace phoenix::proxmox {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecordingRunner final : public CommandRunner {
 public:
  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& observer) override {
    commands.push_back(ToText(command));
    if (observer) {
      if (auto status = observer({1, 2, "boot"}); !status.ok()) return status;
    }
    return answer;
  }
  std::vector<std::string> commands;
  CommandResult answer;
};

class ProxmoxCliTest : public ::testing::Test {
 protected:
  ProxmoxCliTest() : root_(MakeRoot()), files_(root_), host_(runner_, files_) {
    Write("/usr/sbin/pvesm", "#!/usr/bin/perl\n");
    Write("/usr/bin/pmxcfs", "");
    Write("/proc/sys/kernel/hostname", "pve1.example.org\n");
    Write("/proc/1/mounts",
          "/dev/sda1 / ext4 rw 0 0\n/dev/fuse /etc/pve fuse rw 0 0\n"
          "quickOS/vm-disks /quickOS/vm-disks zfs rw 0 0\n");
    Write("/etc/pve/storage.cfg", "zfspool: vm\n\tpool quickOS/vm-disks\n\tcontent images\n\tnodes pve1\n\n");
  }
  ~ProxmoxCliTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  static std::string MakeRoot() {
    std::string pattern = (std::filesystem::temp_directory_path() / "phoenix-pve-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    return pattern;
  }

  const std::string root_;
  RecordingRunner runner_;
  PosixFiles files_;
  ProxmoxCli host_;
};

TEST_F(ProxmoxCliTest, ObservesWithoutRunningAnyTool) {
  Write("/etc/pve/.members", R"({"nodename":"pve1","cluster":{"name":"lab","quorate":1}})");
  Write("/proc/spl/kstat/zfs/fastData/state", "ONLINE\n");
  Write("/etc/pve/nodes/pve2/qemu-server/100.conf", "scsi0: vm:vm-100-disk-0,size=4G\n");
  const auto state = host_.Observe({{"/quickOS/vm-disks", "/etc"}, {"vm"}});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_TRUE(state->installed);
  EXPECT_EQ(state->node, "pve1");
  EXPECT_EQ(state->cluster, "lab");
  EXPECT_THAT(state->folders, ElementsAre("/etc"));
  EXPECT_THAT(state->pools, ElementsAre("fastData", "quickOS"));
  EXPECT_THAT(state->users.at("vm"), ElementsAre("VM 100 on pve2"));
  EXPECT_EQ(state->config.entries.at("vm").options.at("pool"), "quickOS/vm-disks");
  EXPECT_THAT(runner_.commands, ElementsAre());
}

TEST_F(ProxmoxCliTest, WithoutPvesmNothingElseIsAsked) {
  std::filesystem::remove(root_ + "/usr/sbin/pvesm");
  std::filesystem::remove(root_ + "/proc/1/mounts");
  const auto state = host_.Observe({});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_FALSE(state->installed);
}

TEST_F(ProxmoxCliTest, ANodeWhoseClusterFileSystemIsDownIsRefused) {
  Write("/proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\n");
  // Even where somebody left a file in the bare folder.
  EXPECT_EQ(host_.ReadStorages().status().code(), absl::StatusCode::kUnavailable);
  // A lab without pmxcfs has a plain folder, which must hold something.
  std::filesystem::remove(root_ + "/usr/bin/pmxcfs");
  EXPECT_TRUE(host_.ReadStorages().ok());
  std::filesystem::remove(root_ + "/etc/pve/storage.cfg");
  EXPECT_EQ(host_.ReadStorages().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ProxmoxCliTest, WhatIsOnStandardErrorOfASuccessIsReported) {
  runner_.answer = {0, "", "storage does not support content type 'iso'\n"};
  const auto report =
      host_.Add({"x1", "zfspool", Words{"images", "iso"}, {"pve1"}, {{"pool", "quickOS"}}, false}, nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->warnings, ElementsAre("storage does not support content type 'iso'"));
  EXPECT_THAT(runner_.commands,
              ElementsAre("pvesm add zfspool x1 --pool quickOS --content images,iso --nodes pve1"));
}

TEST_F(ProxmoxCliTest, ChangesTellWhoTheirChildIsAndStopWhereThatIsRefused) {
  const auto refused =
      host_.Remove("vm", [](const ChildIdentity&) { return Internal("the journal is full"); });
  EXPECT_THAT(Message(refused.status()), HasSubstr("the journal is full"));
}

TEST_F(ProxmoxCliTest, StatusReadsBothStreams) {
  runner_.answer = {0, "Name Type Status Total Used Available %\nvm zfspool inactive 0 0 0 0.00%\n",
                    "zfs error: cannot open 'quickOS/vm-disks': dataset does not exist\n"};
  const auto status = host_.Status();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->storages.at("vm").state, "inactive");
  EXPECT_THAT(status->warnings, Contains(HasSubstr("does not exist")));
}

TEST_F(ProxmoxCliTest, UnmountRunsNothingWhereNothingIsMounted) {
  EXPECT_TRUE(host_.Unmount("/mnt/pve/n1", nullptr).ok());
  EXPECT_THAT(runner_.commands, ElementsAre());
  // Exit code 0 and still mounted is no success.
  EXPECT_FALSE(host_.Unmount("/quickOS/vm-disks", nullptr).ok());
  EXPECT_THAT(runner_.commands, ElementsAre("umount /quickOS/vm-disks"));
}

TEST_F(ProxmoxCliTest, VersionsComeFromTheInstalledPackages) {
  Write("/var/lib/dpkg/status",
        "Package: libpve-storage-perl\nStatus: install ok installed\nVersion: 8.3.8\n\nPackage: "
        "pve-manager\nStatus: install "
        "ok installed\nVersion: 8.4.1\n");
  EXPECT_EQ(host_.Versions().at("pvesm"), "8.3.8");
  EXPECT_EQ(host_.Versions().at("pve-manager"), "8.4.1");
}

TEST_F(ProxmoxCliTest, ContainersAreReadFromTheFilesOfTheirNodes) {
  Write("/etc/pve/nodes/pve1/lxc/101.conf", "mp0: vm:subvol-101-disk-1,mp=/data,size=8G\n");
  Write("/etc/pve/nodes/pve1/lxc/1012.conf", "mp0: vm:subvol-1012-disk-1,mp=/data,size=8G\n");
  Write("/etc/pve/nodes/pve2/lxc/102.conf", "");
  Write("/etc/pve/nodes/pve2/qemu-server/103.conf", "");
  const auto places = host_.containers().Read({101, 102, 103});
  ASSERT_TRUE(places.ok()) << places.status();
  ASSERT_EQ(places->here.size(), 1u);
  EXPECT_EQ(places->here.at(101).mounts.at(0).source, "vm:subvol-101-disk-1");
  EXPECT_THAT(places->elsewhere, ElementsAre(std::pair<const uint32_t, std::string>(102, "pve2")));
  EXPECT_TRUE(runner_.commands.empty());
}

TEST_F(ProxmoxCliTest, AContainerRunsWhereItsMonitorListens) {
  for (const char* id : {"101", "1012"}) Write(std::string("/etc/pve/nodes/pve1/lxc/") + id + ".conf", "");
  Write("/proc/1/net/unix",
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "ffff8b1e: 00000002 00000000 00010000 0001 01 33261 @/var/lib/lxc/1012/command\n"
        "ffff8b1f: 00000002 00000000 00010000 0001 01 33262 /run/x\n");
  EXPECT_THAT(host_.containers().Read({101, 1012})->running, ElementsAre(1012u));
}

TEST_F(ProxmoxCliTest, VolumesAreReadAsPvesmListsThem) {
  runner_.answer = {0,
                    "Volid                  Format  Type             Size VMID\n"
                    "vm:subvol-101-disk-0   subvol  rootdir    8589934592 101\n"
                    "vm:subvol-101-disk-1   subvol  rootdir             0 101\n",
                    ""};
  const auto volumes = host_.containers().Volumes("vm", 101);
  ASSERT_TRUE(volumes.ok()) << volumes.status();
  EXPECT_EQ(volumes->at("vm:subvol-101-disk-0"), uint64_t{8} << 30);
  EXPECT_EQ(volumes->size(), 2u);
  runner_.answer = {0, "vm:subvol-101-disk-0 subvol rootdir many 101\n", ""};
  EXPECT_FALSE(host_.containers().Volumes("vm", 101).ok());
}

TEST_F(ProxmoxCliTest, AVolumeIsEmptyWhereNothingLiesInItAndNothingStandsOnIt) {
  const std::string name = "quickOS/vm-disks";
  std::filesystem::create_directories(root_ + "/quickOS/vm-disks");
  runner_.answer = {0, name + "\n", ""};
  EXPECT_TRUE(host_.containers().Look(name)->IsEmpty());
  runner_.answer.out += name + "@before\n" + name + "/below\n";
  EXPECT_THAT(host_.containers().Look(name)->others, ElementsAre(name + "@before", name + "/below"));
  runner_.answer.out = name + "\n";
  Write("/quickOS/vm-disks/file", "x");
  EXPECT_FALSE(host_.containers().Look(name)->IsEmpty());
  // What is not mounted may hold anything.
  runner_.answer.out = "quickOS/other\n";
  EXPECT_FALSE(host_.containers().Look("quickOS/other")->IsEmpty());
}

TEST_F(ProxmoxCliTest, WithPmxcfsDownNoContainerIsTakenForMissing) {
  Write("/proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\n");
  EXPECT_EQ(host_.containers().Read({101}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(host_.containers().Read({}).ok());
}

}  // namespace
}  // namespace phoenix::proxmox
