#include "services/zfs/host/zfs_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Commands, CreatePool) {
  EXPECT_THAT(
      ToText(CreatePool{"quickOS",
                        {{"mirror", {"/dev/disk/by-id/a", "/dev/disk/by-id/b"}},
                         {"mirror", {"/dev/disk/by-id/c", "/dev/disk/by-id/d"}}},
                        {{"ashift", "12"}},
                        {{"phoenix:run", "u"}, {"compression", "lz4"}}}),
      ElementsAre(
          "zpool create -o ashift=12 -O compression=lz4 -O phoenix:run=u quickOS mirror /dev/disk/by-id/a "
          "/dev/disk/by-id/b mirror /dev/disk/by-id/c /dev/disk/by-id/d"));
  EXPECT_THAT(ToText(CreatePool{"x", {{"disk", {"/dev/disk/by-id/a"}}}, {}, {}, true}),
              ElementsAre("zpool create -f x /dev/disk/by-id/a"));
}

TEST(Commands, Datasets) {
  EXPECT_THAT(ToText(CreateDataset{"a/b", 0, {{"quota", "1.4T"}, {"org:x", "two words"}}}),
              ElementsAre("zfs create -o 'org:x=two words' -o quota=1.4T a/b"));
  EXPECT_THAT(ToText(CreateDataset{"a/v", 1024, {}}), ElementsAre("zfs create -V 1024 a/v"));
  EXPECT_THAT(ToText(SetProperties{"a/b", {{"atime", "off"}, {"quota", "1G"}}}),
              ElementsAre("zfs set atime=off quota=1G a/b"));
  EXPECT_THAT(ToText(InheritProperty{"a/b", "quota", true}), ElementsAre("zfs inherit -S quota a/b"));
  EXPECT_THAT(ToText(InheritProperty{"a/b", "atime", false}), ElementsAre("zfs inherit atime a/b"));
  EXPECT_THAT(ToText(RenameDataset{"a/b", "a/c"}), ElementsAre("zfs rename -u a/b a/c"));
  // zfs knows -u for file systems only.
  EXPECT_THAT(ToText(RenameDataset{"a/v", "a/w", true}), ElementsAre("zfs rename a/v a/w"));
  EXPECT_THAT(ToText(RenameDataset{"a/v", "a/w", true, true}), ElementsAre("zfs rename a/v a/w"));
  const std::vector<Command> closed = CommandsFor(RenameDataset{"a/v", "a/w", true, true});
  ASSERT_EQ(closed.size(), 3U);
  EXPECT_EQ(phoenix::ToText(closed[1]), "zfs program a - a/v");
  EXPECT_EQ(closed[1].input, OpenProgram());
  EXPECT_THAT(ToText(DestroyDataset{"a/v"}), ElementsAre("zfs destroy a/v"));
  // A quota that is none prints as 0, and zfs takes no 0.
  EXPECT_THAT(ToText(SetProperties{"a/b", {{"quota", "0"}, {"refquota", "0"}, {"reservation", "0"}}}),
              ElementsAre("zfs set quota=none refquota=none reservation=0 a/b"));
  EXPECT_THAT(ToText(CreateDataset{"a/b", 0, {{"quota", "0"}}}), ElementsAre("zfs create -o quota=none a/b"));
  EXPECT_THAT(ToText(CreateSnapshot{"a/b@s", {{"phoenix:run", "u"}}}),
              ElementsAre("zfs snapshot -o phoenix:run=u a/b@s"));
}

// The key is read from standard input: no argument, no environment and no file holds it.
TEST(Commands, AKeyGoesByStandardInputOnly) {
  const NewKey passphrase{"aes-256-gcm", "passphrase", Secret("correct horse")};
  const NewKey raw{"aes-128-ccm", "raw", Secret(std::string(64, 'a'))};
  EXPECT_THAT(ToText(CreateDataset{"a/b", 0, {{"phoenix:run", "u"}}, passphrase}),
              ElementsAre("zfs create -o phoenix:run=u -o encryption=aes-256-gcm -o keyformat=passphrase -o "
                          "keylocation=prompt a/b < (secret)"));
  EXPECT_THAT(ToText(CreatePool{"x", {{"disk", {"/dev/disk/by-id/a"}}}, {}, {}, false, raw}),
              ElementsAre("zpool create -O encryption=aes-128-ccm -O keyformat=raw -O keylocation=prompt x "
                          "/dev/disk/by-id/a < (secret)"));
  EXPECT_THAT(ToText(LoadKey{"a/b", "passphrase", Secret("correct horse")}),
              ElementsAre("zfs load-key -L prompt a/b < (secret)"));
  EXPECT_EQ(CommandsFor(CreateDataset{"a/b", 0, {}, passphrase})[0].secret_input.Reveal(), "correct horse\n");
  EXPECT_EQ(CommandsFor(CreateDataset{"a/b", 0, {}, raw})[0].secret_input.Reveal(), std::string(32, '\xaa'));
  EXPECT_EQ(CommandsFor(LoadKey{"a/b", "raw", Secret(std::string(32, 'x'))})[0].secret_input.Reveal(),
            std::string(32, 'x'));
  for (const Command& command : {CommandsFor(CreateDataset{"a/b", 0, {}, passphrase})[0],
                                 TryKey("a/b", {"passphrase", Secret("correct horse")})}) {
    EXPECT_TRUE(command.environment.empty());
    EXPECT_TRUE(command.input.empty());
  }
  EXPECT_EQ(phoenix::ToText(TryKey("a/b", {"passphrase", Secret("correct horse")})),
            "zfs load-key -n -L prompt a/b < (secret)");
}

TEST(Commands, SnapshotsOfAPoolAreOneCommand) {
  EXPECT_THAT(ToText(CreateSnapshots{{"a@s", "a/b@s"}, {{"phoenix:run", "u"}}}),
              ElementsAre("zfs snapshot -o phoenix:run=u a@s a/b@s"));
  EXPECT_THAT(ToText(HoldSnapshots{"phoenix:u", {"a@s", "a/b@s"}}),
              ElementsAre("zfs hold phoenix:u a@s a/b@s"));
  EXPECT_THAT(ToText(ReleaseSnapshots{"phoenix:u", {"a@s"}}), ElementsAre("zfs release phoenix:u a@s"));
}

// The argument order is what the program reads; its text comes by standard input, so that no file is in
// between.
TEST(Commands, ARollbackIsAGuardedChannelProgram) {
  const std::vector<Command> commands = CommandsFor(RollbackDataset{"tank/a", "s", 12288});
  ASSERT_EQ(commands.size(), 2u);
  EXPECT_EQ(phoenix::ToText(commands[0]), "zpool sync tank");
  EXPECT_EQ(phoenix::ToText(commands[1]), "zfs program tank - tank/a s 12288 s");
  EXPECT_EQ(phoenix::ToText(CommandsFor(RollbackDataset{"tank/a", "s", 0, "t"})[1]),
            "zfs program tank - tank/a s 0 t");
  EXPECT_EQ(commands[1].input, RollbackProgram());
  const std::string program(RollbackProgram());
  const auto guard = program.find("written > most"), newest = program.find("createtxg"),
             done = program.find("zfs.sync.rollback");
  ASSERT_NE(done, std::string::npos);
  EXPECT_LT(guard, done);
  EXPECT_LT(newest, done);
  for (const std::string_view said : {kForeignWrites, kForeignSnapshot})
    EXPECT_NE(program.find(said), std::string::npos) << said;
  EXPECT_EQ(program.find("destroy"), program.rfind("destroy")) << "of the guard alone";
  EXPECT_LT(guard, program.find("destroy"));
}

TEST(Commands, ClonesAndPrivateMounts) {
  EXPECT_THAT(ToText(CloneSnapshot{"a/b@s", "a/c", {{"canmount", "noauto"}}}),
              ElementsAre("zfs clone -o canmount=noauto a/b@s a/c"));
  EXPECT_EQ(phoenix::ToText(MountAt("a/b", "/run/x")), "mount -t zfs -o zfsutil a/b /run/x");
  EXPECT_EQ(phoenix::ToText(ReadWrittenSince("a/b@s")), "zfs get -Hp -o value written@s a/b");
  EXPECT_THAT(CommandsFor(SetTreeOwner{"a", {}}), IsEmpty()) << "no tool walks a tree";
  const DeliverFiles delivery{"a", {{"conf/x", {"the content", 0, 1000, 0640}}}};
  EXPECT_THAT(CommandsFor(delivery), IsEmpty()) << "no tool writes files";
  EXPECT_THAT(ToText(delivery), ElementsAre("# write conf/x in a: 11 bytes, 0:1000 640"));
}

// Nothing destroys recursively or by force, rolls back, or kills a zfs that hangs.
TEST(Commands, NothingIsForcedOrRecursive) {
  for (const ZfsChange& change : std::vector<ZfsChange>{
           DestroyPool{"x"}, DestroyDataset{"x/y"}, DestroySnapshot{"x@y"}, UnmountDataset{"x/y"},
           RenameDataset{"x/a", "x/b"}, RollbackDataset{"x/y", "s", 0}}) {
    for (const Command& command : CommandsFor(change)) {
      EXPECT_TRUE(!command.kill_at_limit || command.program == "/usr/bin/udevadm") << ToText(command);
      for (const auto& arg : command.args) {
        EXPECT_TRUE(arg != "-r" && arg != "-R" && arg != "-f") << ToText(command);
      }
    }
  }
}

TEST(Commands, AnAddedVdevGetsASectorSizeWhereOneIsDeclared) {
  const VdevGroup mirror{"mirror", {"a", "b"}, VdevClass::kSpecial};
  EXPECT_THAT(ToText(AddVdev{"x", mirror}), ElementsAre("zpool add x special mirror a b"));
  EXPECT_THAT(ToText(AddVdev{"x", mirror, "12"}), ElementsAre("zpool add -o ashift=12 x special mirror a b"));
}

// Of every kernel, and never cut off: it writes to the boot partitions.
TEST(Commands, TheInitramfsOfEveryKernelIsMadeAgain) {
  EXPECT_THAT(ToText(UpdateInitramfs{}), ElementsAre("update-initramfs -u -k all"));
  EXPECT_FALSE(CommandsFor(UpdateInitramfs{})[0].kill_at_limit);
}

// What looks at the disks next must not find udev in the middle of reading them anew.
TEST(Commands, AfterADestroyedPoolUdevIsAwaited) {
  EXPECT_THAT(ToText(DestroyPool{"x"}), ElementsAre("zpool destroy x", "udevadm settle --timeout=30"));
}

TEST(Commands, ClearingADiskTouchesItsEndsAndLabelsOnly) {
  EXPECT_THAT(
      ToText(ClearDisk{"/dev/nvme0n1", uint64_t{1} << 30, {"/dev/nvme0n1p1"}}),
      ElementsAre("zpool labelclear -f /dev/nvme0n1p1", "blkdiscard -z -o 0 -l 16777216 /dev/nvme0n1",
                  "blkdiscard -z -o 1056964608 -l 16777216 /dev/nvme0n1", "udevadm settle --timeout=30",
                  "blockdev --rereadpt /dev/nvme0n1", "udevadm settle --timeout=30"));
}

TEST(Commands, WhatNeedsNoProcessSaysWhatItDoes) {
  EXPECT_THAT(CommandsFor(SetMountRoot{"a", "/a", {0, 1000, 02770}}), IsEmpty());
  EXPECT_THAT(ToText(SetMountRoot{"a", "/a", {0, 1000, 02770}}),
              ElementsAre("chown 0:1000 /a", "chmod 2770 /a"));
  EXPECT_THAT(ToText(SetArcLive{5}), ElementsAre("echo 5 > /sys/module/zfs/parameters/zfs_arc_max"));
  EXPECT_THAT(ToText(SetArcLive{5, true}), ElementsAre("echo 5 > /sys/module/zfs/parameters/zfs_arc_min"));
  EXPECT_THAT(ToText(PutFile{"/etc/x", std::nullopt}), ElementsAre("rm /etc/x"));
}

}  // namespace
}  // namespace phoenix::zfs
