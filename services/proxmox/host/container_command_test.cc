#include "services/proxmox/host/container_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"

namespace phoenix::proxmox {
namespace {

using ::testing::HasSubstr;

TEST(ContainerCommand, AllMountPointsComeInOneCallThatNamesWhatItWasDecidedOn) {
  const NewMount volume{0, "tank", 8, {}, "/data", true, false};
  const NewMount bind{4, {}, 0, "/srv/a b", "/a", std::nullopt, true};
  const Command command = MountCommand(101, {volume, bind}, "abc");
  EXPECT_EQ(command.program, "/usr/sbin/pct");
  EXPECT_EQ(command.args, (std::vector<std::string>{"set", "101", "--mp0", "tank:8,mp=/data,backup=1",
                                                    "--mp4", "/srv/a b,mp=/a,ro=1", "--digest", "abc"}));
  EXPECT_FALSE(command.kill_at_limit);
  EXPECT_THAT(ToText(MountCommand(101, {volume}, "")),
              HasSubstr("pct set 101 --mp0 tank:8,mp=/data,backup=1"));
}

TEST(ContainerCommand, LinesGoAndVolumesGrow) {
  EXPECT_EQ(DetachCommand(101, {"mp0", "mp4"}, "abc").args,
            (std::vector<std::string>{"set", "101", "--delete", "mp0,mp4", "--digest", "abc"}));
  EXPECT_EQ(ResizeCommand(101, 3, uint64_t{20} << 30, "abc").args,
            (std::vector<std::string>{"resize", "101", "mp3", "20G", "--digest", "abc"}));
  EXPECT_EQ(ToText(ResizeCommand(101, 3, 1536, "")), "pct resize 101 mp3 1536");
}

TEST(ContainerCommand, VolumesAreLookedAtFreedAndGivenTheirFormerSize) {
  EXPECT_EQ(ToText(VolumesCommand("tank", 101)), "pvesm list tank --vmid 101");
  EXPECT_EQ(ToText(FreeCommand("tank:subvol-101-disk-1")), "pvesm free tank:subvol-101-disk-1");
  EXPECT_EQ(ToText(LookCommand("tank/g/subvol-101-disk-1")),
            "zfs list -H -r -t filesystem,volume,snapshot -o name tank/g/subvol-101-disk-1");
  EXPECT_EQ(ToText(ReferencedCommand("tank/g/subvol-101-disk-1")),
            "zfs get -Hp -o value referenced tank/g/subvol-101-disk-1");
  EXPECT_EQ(ToText(QuotaCommand("tank/g/subvol-101-disk-1", 1024)),
            "zfs set refquota=1024 tank/g/subvol-101-disk-1");
}

TEST(ContainerCommand, FailuresAreKnownByWhatPctSaysAndNotByItsExitCode) {
  const auto explain = [](const std::string& err) {
    return ExplainContainerFailure(MountCommand(101, {}, ""), {255, "", err});
  };
  using absl::StatusCode;
  for (const auto& [err, code, text] : std::vector<std::tuple<std::string, StatusCode, std::string>>{
           {"Configuration file 'nodes/pve1/lxc/102.conf' does not exist\n", StatusCode::kNotFound,
            "no such"},
           {"detected modified configuration - file changed by other user? Try again.\n",
            StatusCode::kAborted, "changed by somebody else"},
           {"can't lock file '/run/lock/lxc/pve-config-101.lock' - got timeout\n", StatusCode::kUnavailable,
            "another Proxmox tool"},
           {"CT is locked (backup)\n", StatusCode::kFailedPrecondition, "locked by a backup"},
           {"cfs-lock 'x' error: no quorum!\n", StatusCode::kFailedPrecondition, "no quorum"},
           {"ipcc_send_rec[1] failed: Connection refused\n", StatusCode::kUnavailable, "does not answer"},
           {"cannot open 'tank/x': dataset does not exist\n", StatusCode::kNotFound, "no such dataset"},
           {"cannot set property for 'tank/x': size is less than current used or reserved space\n",
            StatusCode::kFailedPrecondition, "holds more by now"},
           {"can't update CT 101 drive 'mp0' - protection mode enabled\n", StatusCode::kFailedPrecondition,
            "is protected"},
           {"unable to parse volume ID 'relative'\n", StatusCode::kFailedPrecondition,
            "said: unable to parse"},
           {"", StatusCode::kFailedPrecondition, "exit code 255"}}) {
    const absl::Status status = explain(err);
    EXPECT_EQ(status.code(), code) << err;
    EXPECT_THAT(Message(status), HasSubstr(text));
  }
}

}  // namespace
}  // namespace phoenix::proxmox
