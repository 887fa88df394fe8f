#include "services/proxmox/host/proxmox_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/proxmox/host/proxmox_command.h"

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseStatus, OfRelease8) {
  const auto status = ParseStatus(
      "Name         Type     Status           Total            Used       Available        %\n"
      "d4            dir   inactive               0               0               0    0.00%\n"
      "local         dir     active        38497656         5873412        30636228   15.26%\n"
      "p2only    zfspool   disabled               0               0               0      N/A\n");
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->size(), 3u);
  EXPECT_EQ(status->at("d4").state, "inactive");
  EXPECT_EQ(status->at("local").state, "active");
  EXPECT_EQ(status->at("p2only").type, "zfspool");
  EXPECT_EQ(status->at("p2only").state, "disabled");
}

TEST(ParseStatus, OfRelease9) {
  const auto status = ParseStatus(
      "Name         Type     Status     Total (KiB)      Used (KiB) Available (KiB)        %\n"
      "tg        zfspool     active         1835008             120         1834888    0.01%\n");
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->at("tg").state, "active");
}

TEST(ParseStatus, SomethingElseIsAnErrorAndNotAnEmptyList) {
  EXPECT_FALSE(ParseStatus("").ok());
  EXPECT_FALSE(ParseStatus("ipcc_send_rec[1] failed: Connection refused\n").ok());
}

TEST(ParseMounts, ReadsEscapedBlanks) {
  EXPECT_THAT(
      ParseMounts(
          "quickOS/vm\\040disks /quickOS/vm\\040disks zfs rw,xattr 0 0\n/dev/fuse /etc/pve fuse rw 0 0\n"),
      ElementsAre(Mount{"quickOS/vm disks", "/quickOS/vm disks", "zfs"},
                  Mount{"/dev/fuse", "/etc/pve", "fuse"}));
}

TEST(ParseAddresses, TakesOwnAddressesOnly) {
  EXPECT_THAT(
      ParseAddresses(
          "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n"
          "     |-- 10.0.0.13\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n"),
      ElementsAre("10.0.0.13"));
}

TEST(ParseAddresses, OfIpv6AndTheNamesOfAll) {
  const Words six = ParseAddresses6(
      "fe80000000000000505400fffe000001 02 40 20 80     eth0\n00000000000000000000000000000001 01 80 10 80   "
      "    lo\n"
      "20010db8000000000000000000000013 02 40 00 80     eth0\nodd\n");
  EXPECT_THAT(six, ElementsAre("2001:db8::13", "::1", "fe80::5054:ff:fe00:1"));
  EXPECT_THAT(ParseHostNames("127.0.0.1 localhost\n127.0.1.1\tPVE1.lan pve1 # this one\n10.0.0.13 nas.lan\n"
                             "10.0.0.14 pve2.lan\n#10.0.0.13 old\n2001:db8::13 six\n",
                             {"10.0.0.13", "2001:db8::13"}),
              ElementsAre("localhost", "nas.lan", "pve1", "pve1.lan", "six"));
}

TEST(ParseMembers, OfAStandaloneNodeAndOfACluster) {
  EXPECT_EQ(ParseMembers(R"({"nodename":"pve1","version":0})")->cluster, "");
  const auto members = ParseMembers(
      R"({"nodename":"pve1","version":4,"cluster":{"name":"lab","version":2,"nodes":2,"quorate":0},"nodelist":{}})");
  ASSERT_TRUE(members);
  EXPECT_EQ(members->cluster, "lab");
  EXPECT_FALSE(members->quorate);
  EXPECT_FALSE(ParseMembers("").has_value());
  EXPECT_EQ(ParseClusterName("totem {\n  cluster_name: lab\n  version: 2\n}\n"), "lab");
}

TEST(GuestUses, KnowsWholeNamesInAllPlacesOfAConfiguration) {
  const std::string container =
      "arch: amd64\n#storage vm: in a comment\nrootfs: fast:subvol-101-disk-0,size=8G\nmp0: "
      "/srv/x,mp=/x\nunused0: old:v\n";
  EXPECT_TRUE(GuestUses(container, "fast"));
  EXPECT_TRUE(GuestUses(container, "old"));
  EXPECT_FALSE(GuestUses(container, "vm"));
  // Trap 11: a name within a name.
  EXPECT_FALSE(GuestUses(container, "ast"));
  EXPECT_FALSE(GuestUses(container, "fas"));
  EXPECT_TRUE(GuestUses("ide2: file=isos:iso/debian.iso,media=cdrom\n", "isos"));
  EXPECT_TRUE(GuestUses("scsi0: cache=none,file=isos:vm-1\n[snap]\nscsi1: other:vm-1-disk-0\n", "other"));
}

TEST(JobUses, ReadsBackupJobs) {
  const std::string jobs = "vzdump: backup-1\n\tschedule 02:00\n\tstorage backups\n\tenabled 1\n";
  EXPECT_TRUE(JobUses(jobs, "backups"));
  EXPECT_TRUE(JobUses("vzdump: b\n\tfleecing enabled=1,storage=fast\n\tstorage x\n", "fast"));
  EXPECT_TRUE(JobUses("#storage: old\nstorage: backups\nfleecing: enabled=1,storage=fast\n", "fast"));
  EXPECT_FALSE(JobUses("#storage: old\nstorage: backups\n", "old"));
  EXPECT_TRUE(GuestUses("memory: 512\nvmstatestorage: fast\n", "fast"));
  EXPECT_FALSE(GuestUses("vmstatestorage: faster\n", "fast"));
  EXPECT_FALSE(JobUses(jobs, "backup"));
}

TEST(ParsePackageVersion, OfAnInstalledPackageOnly) {
  const std::string status =
      "Package: libpve-storage-perl\nStatus: install ok installed\nVersion: 8.3.8\n\n"
      "Package: gone\nStatus: deinstall ok config-files\nVersion: 1.0\n\n";
  EXPECT_EQ(ParsePackageVersion(status, "libpve-storage-perl"), "8.3.8");
  EXPECT_EQ(ParsePackageVersion(status, "gone"), "");
  EXPECT_EQ(ParsePackageVersion(status, "libpve"), "");
}

TEST(Warnings, LeaveOutTheWaitingAndRepetitions) {
  EXPECT_THAT(
      Warnings("trying to acquire cfs lock 'file-storage_cfg' ...\n"
               "storage does not support content type 'iso'\nstorage does not support content type 'iso'\n"),
      ElementsAre("storage does not support content type 'iso'"));
}

struct FailureCase {
  const char* err;
  int exit_code;
  absl::StatusCode code;
  const char* text;
};

class ExplainFailureTest : public ::testing::TestWithParam<FailureCase> {};

TEST_P(ExplainFailureTest, SaysWhatHappenedAndWhatToDo) {
  const auto& failure = GetParam();
  const auto status = ExplainFailure(RemoveCommand("x1"), {failure.exit_code, "", failure.err});
  EXPECT_EQ(status.code(), failure.code) << status;
  EXPECT_THAT(Message(status), HasSubstr(failure.text));
  EXPECT_THAT(Message(status), HasSubstr("pvesm remove x1"));
}

INSTANTIATE_TEST_SUITE_P(
    Genuine, ExplainFailureTest,
    ::testing::Values(
        FailureCase{"trying to acquire cfs lock 'file-storage_cfg' ...\ncreate storage failed: cfs-lock "
                    "'file-storage_cfg' error: no quorum!\n",
                    13, absl::StatusCode::kFailedPrecondition, "no quorum"},
        FailureCase{"create storage failed: cfs-lock 'file-storage_cfg' error: got lock request timeout\n",
                    17, absl::StatusCode::kUnavailable, "holds the lock"},
        FailureCase{"ipcc_send_rec[1] failed: Connection refused\nUnable to load access control list: "
                    "Connection refused\n",
                    111, absl::StatusCode::kUnavailable, "systemctl status pve-cluster"},
        FailureCase{
            "create storage failed: cfs-lock 'file-storage_cfg' error: pve cluster filesystem not online.\n",
            2, absl::StatusCode::kUnavailable, "does not answer"},
        FailureCase{"update storage failed: detected modified configuration - file changed by other user? "
                    "Try again.\n",
                    255, absl::StatusCode::kAborted, "changed by somebody else"},
        FailureCase{"create storage failed: storage ID 'tg' already defined\n", 255,
                    absl::StatusCode::kAlreadyExists, "taken"},
        FailureCase{"delete storage failed: storage 'x' does not exist\n", 255, absl::StatusCode::kNotFound,
                    "no such storage"},
        // A broken section of another storage makes every command fail in nearly the same words.
        FailureCase{"storage 'x' does not exist\n", 255, absl::StatusCode::kFailedPrecondition,
                    "storage 'x' does not exist"},
        FailureCase{"zfs error: cannot open 'nosuch': no such pool\nzfs error: cannot open 'nosuch': no such "
                    "pool\ncreate "
                    "storage failed: could not activate storage 'nopool', zfs error: cannot import 'nosuch': "
                    "no such pool "
                    "available\n",
                    1, absl::StatusCode::kFailedPrecondition, "no such pool available"},
        FailureCase{"", 255, absl::StatusCode::kFailedPrecondition, "exit code 255"}));

}  // namespace
}  // namespace phoenix::proxmox
