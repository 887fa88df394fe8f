// Parsers on what Samba 4.17.12 and the account tools of Debian 12 printed.
#include "services/samba/host/samba_parse.h"

#include <gtest/gtest.h>

namespace phoenix::samba {
namespace {

TEST(ParseAccount, ReadsALineOfPasswd) {
  const auto account = ParseAccount(
      "heads:x:1000:1001:phoenix run 8f14e45f-ceea-467f-a830-5b2c1d3e4f50:/nonexistent:/usr/sbin/nologin\n");
  ASSERT_TRUE(account.ok()) << account.status();
  const Account expected{"heads",        1000,
                         1001,           "phoenix run 8f14e45f-ceea-467f-a830-5b2c1d3e4f50",
                         "/nonexistent", "/usr/sbin/nologin"};
  EXPECT_EQ(*account, expected);
}

TEST(ParseAccount, RefusesOtherLines) {
  EXPECT_FALSE(ParseAccount("").ok());
  EXPECT_FALSE(ParseAccount("heads:x:1000").ok());
  EXPECT_FALSE(ParseAccount("heads:x:one:1000::/:/bin/sh").ok());
  EXPECT_FALSE(ParseAccount("heads:x:-1:1000::/:/bin/sh").ok());
}

TEST(ParseGroup, ReadsTheGid) {
  EXPECT_EQ(*ParseGroup("heads:x:1000:\n"), 1000u);
  EXPECT_EQ(*ParseGroup("sambashare:x:106:heads,bob"), 106u);
  EXPECT_FALSE(ParseGroup("heads:x:1000").ok());
}

TEST(ParseGroups, LeavesTheAccountsOwnOut) {
  EXPECT_EQ(*ParseGroups("1000 34 27\n", 1000), std::vector<uint32_t>({27, 34}));
  EXPECT_EQ(*ParseGroups("1000\n", 1000), std::vector<uint32_t>());
  EXPECT_FALSE(ParseGroups("id: no such user\n", 1000).ok());
  EXPECT_FALSE(ParseGroups("", 1000).ok());
}

TEST(ParsePassdb, ReadsNameTimeAndHashAndPassesOverWarnings) {
  const auto entries = ParsePassdb(
      "WARNING: The \"syslog\" option is deprecated\n"
      "heads:1000:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:B39A61F16A4E11FA80580241F1D4AAE8:[U          "
      "]:LCT-6B0395BD:\n"
      "bob:1001:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:C2CC78BA8B1DF908F563858B3095C7C7:[DU         "
      "]:LCT-00000000:\n");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries.at("heads").last_set, 1795397053);
  EXPECT_EQ(entries.at("heads").nt_hash.Reveal(), "B39A61F16A4E11FA80580241F1D4AAE8");
  EXPECT_EQ(entries.at("bob").last_set, 0);
  EXPECT_EQ(entries.at("bob").flags, "[DU         ]");
  EXPECT_TRUE(ParsePassdb("").empty());
}

constexpr char kDump[] =
    "# Global parameters\n[global]\n\tabort shutdown script = \n\tpassdb backend = tdbsam\n"
    "\tpasswd chat = *Enter\\snew\\s*\\spassword:* %n\\n *password\\supdated\\ssuccessfully* .\n"
    "\tprivate dir = /var/lib/samba/private\n\tworkgroup = PHX\n\tidmap config * : backend = tdb\n"
    "\tcomment = \n\tcreate mask = 0744\n\tinclude = /etc/samba/phoenix.conf\n\tvalid users = \n\n\n"
    "[homes]\n\tbrowseable = No\n\tcomment = Home Directories\n\tvalid users = %S\n\n\n"
    "[Data]\n\tbrowseable = No\n\tcomment = a \"quoted\" %U = x\n\tpath = /srv/a\n\tread only = No\n"
    "\tvalid users = heads @staff\n\tacl_xattr:ignore system acls = yes\n";

TEST(ParseTestparm, ReadsGlobalsSharesAndValuesWithEqualsSigns) {
  const auto config =
      ParseTestparm({0, kDump,
                     "Load smb config files from /etc/samba/smb.conf\n"
                     "Loaded services file OK.\n"
                     "Weak crypto is allowed by GnuTLS (e.g. NTLM as a compatibility fallback)\n\n"
                     "Server role: ROLE_STANDALONE\n\n"});
  EXPECT_TRUE(config.loads);
  EXPECT_TRUE(config.problems.empty());
  EXPECT_EQ(config.dump.globals.at("workgroup"), "PHX");
  EXPECT_EQ(config.dump.globals.at("create mask"), "0744");
  EXPECT_EQ(config.dump.globals.at("abort shutdown script"), "");
  EXPECT_EQ(config.dump.globals.count("include"), 0u);
  ASSERT_EQ(config.dump.shares.size(), 2u);
  const Section& data = config.dump.shares.at("data");
  EXPECT_EQ(data.name, "Data");
  EXPECT_EQ(data.parameters.at("comment"), "a \"quoted\" %U = x");
  EXPECT_EQ(data.parameters.at("valid users"), "heads @staff");
  EXPECT_EQ(data.parameters.at("acl_xattr:ignore system acls"), "yes");
}

TEST(ParseTestparm, UnknownParametersAreProblemsAlthoughTheExitCodeIsZero) {
  const auto config = ParseTestparm({0, kDump,
                                     "Load smb config files from /tmp/bad.conf\n"
                                     "Unknown parameter encountered: \"brwsable\"\n"
                                     "Ignoring unknown parameter \"brwsable\"\n"
                                     "Loaded services file OK.\n"
                                     "Server role: ROLE_STANDALONE\n"});
  EXPECT_TRUE(config.loads);
  ASSERT_EQ(config.problems.size(), 1u);
  EXPECT_EQ(config.problems[0], "Unknown parameter encountered: \"brwsable\"");
}

TEST(ParseTestparm, ABadBooleanDoesNotLoad) {
  const auto config = ParseTestparm({1, "",
                                     "Load smb config files from /tmp/bad.conf\n"
                                     "set_variable_helper(maybe): value is not boolean!\n"
                                     "Error loading services.\n"});
  EXPECT_FALSE(config.loads);
  ASSERT_EQ(config.problems.size(), 1u);
  EXPECT_EQ(config.problems[0], "set_variable_helper(maybe): value is not boolean!");
}

TEST(ParseTestparm, AFailureWithoutWordsIsStillAProblem) {
  const auto config = ParseTestparm({1, "", ""});
  EXPECT_FALSE(config.loads);
  EXPECT_FALSE(config.problems.empty());
}

TEST(ParseMount, FindsWhatLiesOnTopAndWhetherItKeepsAcls) {
  constexpr char kMounts[] =
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
      "40 22 0:35 / /tank/a\\040b rw,relatime shared:20 - zfs tank/ab rw,xattr,noacl\n"
      "41 22 0:36 / /tank/a rw,noatime - zfs tank/old rw,xattr,noacl\n"
      "42 22 0:37 / /tank/a rw,noatime master:1 shared:2 - zfs tank/a rw,xattr,posixacl,casesensitive\n";
  EXPECT_EQ(ParseMount(kMounts, "/tank/a/sub"), (MountState{"/tank/a", "zfs", true}));
  EXPECT_EQ(ParseMount(kMounts, "/tank/a b"), (MountState{"/tank/a b", "zfs", false}));
  EXPECT_EQ(ParseMount(kMounts, "/tank/abc"), (MountState{"/", "ext4", true}));
}

TEST(ParseLogin, TellsRefusalsFromAbsence) {
  EXPECT_TRUE(ParseLogin({0, "  .   D   0  Mon Nov 23 01:23:28 2026\n",
                          "Error reading password from file descriptor 0: empty password\n"})
                  .ok());
  EXPECT_TRUE(
      absl::IsPermissionDenied(ParseLogin({1, "session setup failed: NT_STATUS_LOGON_FAILURE\n", ""})));
  EXPECT_TRUE(absl::IsPermissionDenied(
      ParseLogin({1, "NT_STATUS_ACCESS_DENIED opening remote file \\probe.x\n", ""})));
  EXPECT_TRUE(absl::IsNotFound(ParseLogin({1, "tree connect failed: NT_STATUS_BAD_NETWORK_NAME\n", ""})));
  EXPECT_TRUE(absl::IsUnavailable(ParseLogin(
      {1, "", "do_connect: Connection to 127.0.0.1 failed (Error NT_STATUS_CONNECTION_REFUSED)\n"})));
  EXPECT_EQ(ParseLogin({1, "", ""}).code(), absl::StatusCode::kInternal);
  // Only the last of several commands is told by the exit code.
  EXPECT_TRUE(absl::IsPermissionDenied(
      ParseLogin({0, "NT_STATUS_ACCESS_DENIED opening remote file \\probe.x\n", ""})));
}

TEST(PassdbPath, FollowsBackendAndPrivateDirectory) {
  EXPECT_EQ(PassdbPath({}), "/var/lib/samba/private/passdb.tdb");
  EXPECT_EQ(PassdbPath({{"passdb backend", "tdbsam"}, {"private dir", "/p"}}), "/p/passdb.tdb");
  EXPECT_EQ(PassdbPath({{"passdb backend", "tdbsam:/x/y.tdb"}}), "/x/y.tdb");
  EXPECT_EQ(PassdbPath({{"passdb backend", "ldapsam:ldap://localhost"}}), "");
  EXPECT_EQ(PassdbPath({{"passdb backend", "smbpasswd"}}), "");
}

}  // namespace
}  // namespace phoenix::samba
