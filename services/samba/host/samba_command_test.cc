#include "services/samba/host/samba_command.h"

#include <gtest/gtest.h>

namespace phoenix::samba {
namespace {

TEST(SambaCommand, PasswordsTravelOnStandardInputOnly) {
  const Secret password("correct horse");
  for (const Command& command :
       {SetPasswordCommand("heads", password, true), SetPasswordCommand("heads", password, false),
        LoginCommand({"data", "heads", ".probe"}, password),
        RemoveProbeCommand({"data", "heads", ".probe"}, password)}) {
    std::string visible = command.program + command.input + ToText(command);
    for (const auto& arg : command.args) visible += arg;
    for (const auto& variable : command.environment) visible += variable;
    EXPECT_EQ(visible.find("correct horse"), std::string::npos) << ToText(command);
    EXPECT_NE(command.secret_input.Reveal().find("correct horse"), std::string::npos);
  }
}

TEST(SambaCommand, AnAccountHasNeitherHomeNorShellNorPassword) {
  EXPECT_EQ(ToText(AddAccountCommand("heads", "phoenix run 1", false)),
            "useradd -M -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 -U -d /nonexistent -s /usr/sbin/nologin -c "
            "'phoenix run 1' "
            "heads");
  EXPECT_EQ(
      ToText(AddAccountCommand("heads", "phoenix run 1", true)),
      "useradd -M -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 -N -g heads -d /nonexistent -s /usr/sbin/nologin -c "
      "'phoenix run 1' heads");
}

TEST(SambaCommand, GroupsAreJoinedBesideThoseThatAreThere) {
  EXPECT_EQ(ToText(JoinGroupsCommand("heads", {27, 34})), "usermod -a -G 27,34 heads");
}

// Trap 16: the scripts restarted smbd at every run and cut every session.
TEST(SambaCommand, Trap16NothingRestartsSmbd) {
  EXPECT_EQ(ToText(ReloadCommand()), "smbcontrol smbd reload-config");
  EXPECT_EQ(ToText(EndSessionsCommand("data", Cut::kDenied)), "smbcontrol smbd close-denied-share data");
  EXPECT_EQ(ToText(EndSessionsCommand("my data", Cut::kEverybody)), "smbcontrol smbd close-share 'my data'");
}

TEST(SambaCommand, AProbeOnlyListsWhereItMayNotWrite) {
  EXPECT_EQ(ToText(LoginCommand({"data", "heads", ""}, Secret("x"))),
            "smbclient //127.0.0.1/data -U heads -c ls < (secret)");
  EXPECT_EQ(
      ToText(LoginCommand({"data", "heads", ".p"}, Secret("x"))),
      "smbclient //127.0.0.1/data -U heads -c 'put /etc/os-release .p; get .p /dev/null; rm .p' < (secret)");
}

}  // namespace
}  // namespace phoenix::samba
