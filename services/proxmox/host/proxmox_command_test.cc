#include "services/proxmox/host/proxmox_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;

TEST(ProxmoxCommand, AddNamesEverythingInAFixedOrder) {
  const Command command = AddCommand({"backups",
                                      "dir",
                                      Words{"iso", "backup"},
                                      {"pve1"},
                                      {{"path", "/fastData/shared-backups"}, {"is_mountpoint", "1"}},
                                      false});
  EXPECT_EQ(command.program, "/usr/sbin/pvesm");
  EXPECT_THAT(command.args,
              ElementsAre("add", "dir", "backups", "--is_mountpoint", "1", "--path",
                          "/fastData/shared-backups", "--content", "backup,iso", "--nodes", "pve1"));
  // Killed, it leaves a lock that blocks the whole cluster for two minutes.
  EXPECT_FALSE(command.kill_at_limit);
}

TEST(ProxmoxCommand, AddOfASwitchedOffEntryWithoutContentOrNodes) {
  EXPECT_THAT(AddCommand({"vm", "zfspool", std::nullopt, {}, {{"pool", "tank"}}, true}).args,
              ElementsAre("add", "zfspool", "vm", "--pool", "tank", "--disable", "1"));
}

TEST(ProxmoxCommand, SetCarriesTheDigestItWasDecidedOn) {
  const Command command = SetCommand(
      {"vm", Words{"images"}, Words{"pve2", "pve1"}, {{"sparse", "1"}}, {"blocksize", "mountpoint"}, "abc"});
  EXPECT_THAT(command.args, ElementsAre("set", "vm", "--sparse", "1", "--content", "images", "--nodes",
                                        "pve1,pve2", "--delete", "blocksize,mountpoint", "--digest", "abc"));
}

TEST(ProxmoxCommand, RemoveStatusAndUnmount) {
  EXPECT_THAT(RemoveCommand("vm").args, ElementsAre("remove", "vm"));
  EXPECT_THAT(StatusCommand().args, ElementsAre("status"));
  EXPECT_TRUE(StatusCommand().kill_at_limit);
  EXPECT_THAT(UnmountCommand("/mnt/pve/n1").args, ElementsAre("/mnt/pve/n1"));
}

}  // namespace
}  // namespace phoenix::proxmox
