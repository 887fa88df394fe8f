// What is read of a VM's file, and what qm is told and says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/host/proxmox_parse.h"
#include "services/proxmox/host/vm_command.h"
#include "services/proxmox/host/vm_config_parse.h"

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ParseVmConfig, TheCurrentSectionCounts) {
  const std::string text =
      "# cicustom: user=comment\nboot: order=scsi0\ncicustom: "
      "user=st:snippets/u.yaml,network=st:snippets/n.yaml\n"
      "ciuser: ann\nide2: local-lvm:vm-101-cloudinit,media=cdrom\nlock: backup\nsshkeys: "
      "ssh-ed25519%20AAAA\n\n"
      "[before]\ncicustom: user=st:snippets/old.yaml\ncipassword: x\n";
  const VmConfig vm = ParseVmConfig(text);
  EXPECT_EQ(vm.digest, Sha1Hex(text));
  EXPECT_EQ(ToText(vm.cicustom), "network=st:snippets/n.yaml,user=st:snippets/u.yaml");
  EXPECT_THAT(vm.user_settings, ElementsAre("ciuser", "sshkeys"));
  EXPECT_TRUE(vm.has_cloud_init_drive);
  EXPECT_EQ(vm.lock, "backup");
}

// Of a running VM older releases keep the change until its next start, which is when it matters.
TEST(ParseVmConfig, WhatIsPendingCountsAlready) {
  EXPECT_EQ(
      ParseVmConfig("cicustom: user=a:snippets/x\n\n[PENDING]\ncicustom: user=b:snippets/y\n").PartOf("user"),
      "b:snippets/y");
  EXPECT_EQ(
      ParseVmConfig("cicustom: user=a:snippets/x\n\n[PENDING]\ndelete: net1,!cicustom\n").PartOf("user"), "");
  const VmConfig vm = ParseVmConfig("scsi0: st:vm-101-disk-0,size=4G\n[special:cloudinit]\nciuser: ann\n");
  EXPECT_FALSE(vm.has_cloud_init_drive);
  EXPECT_THAT(vm.user_settings, IsEmpty());
}

TEST(SetCicustomCommand, CarriesTheDigest) {
  EXPECT_THAT(SetCicustomCommand(1001, {{"user", "st:snippets/a.yaml"}}, "abc").args,
              ElementsAre("set", "1001", "--cicustom", "user=st:snippets/a.yaml", "--digest", "abc"));
  EXPECT_THAT(SetCicustomCommand(1001, {}, "abc").args,
              ElementsAre("set", "1001", "--delete", "cicustom", "--digest", "abc"));
  EXPECT_FALSE(SetCicustomCommand(1001, {}, "").kill_at_limit);
}

TEST(ExplainVmFailure, SaysWhatToDo) {
  const Command command = SetCicustomCommand(1001, {}, "abc");
  const auto explain = [&](const std::string& said) {
    return ExplainVmFailure(1001, command, {255, "", said});
  };
  // Before October 2024 and since.
  for (const char* said : {"checksum missmatch (file change by other user?)\n",
                           "checksum mismatch (file change by other user?)\n"})
    EXPECT_EQ(explain(said).code(), absl::StatusCode::kAborted) << said;
  EXPECT_EQ(explain("Configuration file 'nodes/pve1/qemu-server/1001.conf' does not exist\n").code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(explain("can't lock file '/var/lock/qemu-server/lock-1001.conf' - got timeout\n").code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(
      ReasonOf(
          explain(
              "unable to open file '/etc/pve/nodes/pve1/qemu-server/1001.conf.tmp.7' - Permission denied\n"))
          ->reason,
      kNoQuorum);
  EXPECT_EQ(ReasonOf(explain("ipcc_send_rec[1] failed: Connection refused\n"))->reason, kPmxcfsDown);
  const absl::Status locked = explain("VM is locked (backup)\n");
  EXPECT_EQ(locked.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(locked), HasSubstr("VM is locked (backup)"));
  EXPECT_THAT(Message(explain("")), HasSubstr("exit code 255"));
}

}  // namespace
}  // namespace phoenix::proxmox
