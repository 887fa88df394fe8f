// What every SambaHost does, the simulated and the real one. Instantiated with a World type:
//
//   struct World {
//     SambaHost& host();  Files& files();          // of a machine with Samba and smbclient, smbd running
//     std::string MakeShareDirectory();             // an empty folder, mode 0777, gone with the World
//     // A client that stays connected to the share; nullptr where it is refused.
//     std::unique_ptr<Session> OpenSession(share, user, password);
//   };
//   struct Session { bool Goes(); };                // true while the client can list the share
//
// Names begin with "phxtest"; everything that a test makes is gone after it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/samba/domain/nt_hash.h"
#include "services/samba/domain/samba_planner.h"
#include "services/samba/domain/share_features.h"
#include "services/samba/domain/smb_conf.h"
#include "services/samba/host/samba_host.h"

namespace phoenix::samba {

inline constexpr char kTestUser[] = "phxtest";
inline constexpr char kTestGroup[] = "phxtest-more";
inline constexpr uint32_t kTestGid = 58117;
inline constexpr char kTestComment[] = "phoenix run 11111111-2222-4333-8444-555555555555";

template <class World>
class SambaHostContract : public ::testing::Test {
 protected:
  SambaHostContract() {
    const auto smb_conf = world_.files().Read(paths_.smb_conf);
    EXPECT_TRUE(smb_conf.ok() && smb_conf->has_value()) << "no smb.conf to begin with";
    if (smb_conf.ok() && *smb_conf) smb_conf_ = **smb_conf;
    EXPECT_FALSE(Includes(smb_conf_.content, paths_.own_file)) << "the machine is not as a test may find it";
  }
  ~SambaHostContract() override {
    const auto entries = host().ReadPassdb();
    if (entries.ok() && entries->count(kTestUser) > 0) (void)host().RemoveEntry(kTestUser, nullptr);
    const auto account = host().FindAccount(kTestUser);
    if (account.ok() && *account) (void)host().RemoveAccount(kTestUser, nullptr);
    const auto group = host().FindGroup(kTestUser);
    if (group.ok() && *group) (void)host().RemoveGroup(kTestUser, nullptr);
    const auto other = host().FindGroup(kTestGroup);
    if (other.ok() && *other) (void)host().RemoveGroup(kTestGroup, nullptr);
    EXPECT_TRUE(world_.files().Replace(paths_.smb_conf, smb_conf_).ok());
    EXPECT_TRUE(world_.files().Remove(paths_.own_file).ok());
    EXPECT_TRUE(host().Reload(nullptr).ok());
  }

  SambaHost& host() { return world_.host(); }

  void AddUser(const std::string& password) {
    ASSERT_TRUE(host().AddAccount(kTestUser, kTestComment, nullptr).ok());
    const auto added = host().AddEntry(kTestUser, Secret(password), nullptr);
    ASSERT_TRUE(added.ok()) << added;
  }

  PassdbEntry Entry() {
    const auto entries = host().ReadPassdb();
    EXPECT_TRUE(entries.ok()) << entries.status();
    return entries.ok() && entries->count(kTestUser) > 0 ? entries->at(kTestUser) : PassdbEntry();
  }

  // Our file with these shares, live.
  void GoLive(const Section& section) { GoLive(std::vector<Section>{section}); }
  void GoLive(const std::vector<Section>& sections) {
    OwnFile own;
    for (const Section& section : sections) own.Put(section);
    ASSERT_TRUE(host().PutFile("make-file", paths_.own_file, {Render(own), 0, 0, 0644}).ok());
    FileState included = smb_conf_;
    included.content = AddInclude(smb_conf_.content, paths_.own_file);
    ASSERT_TRUE(host().PutFile("include", paths_.smb_conf, included).ok());
    ASSERT_TRUE(host().Reload(nullptr).ok());
  }

  // One with each of both shares.
  auto OpenSessions() {
    return std::pair(world_.OpenSession("phxtest-data", kTestUser, "correct horse"),
                     world_.OpenSession("phxtest-more", kTestUser, "correct horse"));
  }

  // smbd ends sessions soon after it is told to.
  template <class Session>
  static bool EndsSoon(Session& session) {
    for (int tries = 0; tries < 100 && session.Goes(); ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return !session.Goes();
  }

  Section ShareAt(const std::string& path, bool read_only, const std::string& name = "phxtest-data") {
    ShareSpec share;
    share.name = name;
    share.path = path;
    share.valid_users = {kTestUser};
    share.read_only = read_only;
    return SectionOf(share);
  }

  SambaPaths paths_;
  World world_;
  FileState smb_conf_;
};

TYPED_TEST_SUITE_P(SambaHostContract);

TYPED_TEST_P(SambaHostContract, TellsItsVersion) {
  const auto version = this->host().Version();
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->find("4."), 0u) << *version;
}

TYPED_TEST_P(SambaHostContract, AnAccountComesWithMarkAndGroupAndGoesWithBoth) {
  EXPECT_FALSE((*this->host().FindAccount(kTestUser)).has_value());
  ASSERT_TRUE(this->host().AddAccount(kTestUser, kTestComment, nullptr).ok());
  const auto account = *this->host().FindAccount(kTestUser);
  ASSERT_TRUE(account.has_value());
  EXPECT_EQ(account->comment, kTestComment);
  EXPECT_EQ(account->shell, "/usr/sbin/nologin");
  EXPECT_EQ(account->home, "/nonexistent");
  EXPECT_GE(account->uid, 1000u);
  EXPECT_EQ(*this->host().FindGroup(kTestUser), account->gid);
  EXPECT_FALSE(this->host().AddAccount(kTestUser, "another", nullptr).ok());
  EXPECT_EQ((*this->host().FindAccount(kTestUser))->comment, kTestComment);
  ASSERT_TRUE(this->host().RemoveAccount(kTestUser, nullptr).ok());
  EXPECT_FALSE((*this->host().FindAccount(kTestUser)).has_value());
  EXPECT_FALSE((*this->host().FindGroup(kTestUser)).has_value());
  EXPECT_FALSE(this->host().RemoveAccount(kTestUser, nullptr).ok());
}

TYPED_TEST_P(SambaHostContract, AnAccountTakesAGroupOfItsNameThatIsThere) {
  ASSERT_TRUE(this->host().AddGroup(kTestUser, 54321, nullptr).ok());
  EXPECT_FALSE(this->host().AddGroup(kTestUser, 54322, nullptr).ok());
  ASSERT_TRUE(this->host().AddAccount(kTestUser, kTestComment, nullptr).ok());
  EXPECT_EQ((*this->host().FindAccount(kTestUser))->gid, 54321u);
}

TYPED_TEST_P(SambaHostContract, AnAccountIsRestoredInEveryField) {
  ASSERT_TRUE(this->host().AddGroup(kTestUser, 54321, nullptr).ok());
  const Account account{kTestUser, 54320, 54321, "phoenix run x", "/nonexistent", "/usr/sbin/nologin"};
  const auto restored = this->host().RestoreAccount(account, nullptr);
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_EQ(**this->host().FindAccount(kTestUser), account);
}

TYPED_TEST_P(SambaHostContract, ARemovedAccountLeavesItsGroupsAndJoinsThemAgain) {
  ASSERT_TRUE(this->host().AddAccount(kTestUser, kTestComment, nullptr).ok());
  ASSERT_TRUE(this->host().AddGroup(kTestGroup, kTestGid, nullptr).ok());
  const Account account = **this->host().FindAccount(kTestUser);
  EXPECT_EQ(*this->host().GroupsOf(kTestUser), std::vector<uint32_t>());
  for (int times = 0; times < 2; ++times) {
    const auto joined = this->host().JoinGroups(kTestUser, {kTestGid}, nullptr);
    ASSERT_TRUE(joined.ok()) << joined;
    EXPECT_EQ(*this->host().GroupsOf(kTestUser), std::vector<uint32_t>({kTestGid}));
  }
  ASSERT_TRUE(this->host().RemoveAccount(kTestUser, nullptr).ok());
  ASSERT_TRUE(this->host().AddGroup(kTestUser, account.gid, nullptr).ok());
  ASSERT_TRUE(this->host().RestoreAccount(account, nullptr).ok());
  EXPECT_EQ(*this->host().GroupsOf(kTestUser), std::vector<uint32_t>());
}

TYPED_TEST_P(SambaHostContract, AnEntryNeedsItsAccount) {
  EXPECT_FALSE(this->host().AddEntry(kTestUser, Secret("x"), nullptr).ok());
  EXPECT_EQ(this->host().ReadPassdb()->count(kTestUser), 0u);
}

TYPED_TEST_P(SambaHostContract, PassdbKeepsTheHashOfWhatWasSet) {
  this->AddUser("päss wörd €");
  EXPECT_EQ(this->Entry().nt_hash.Reveal(), NtHash(Secret("päss wörd €")).Reveal());
  EXPECT_GT(this->Entry().last_set, 1'600'000'000);
  ASSERT_TRUE(this->host().SetPassword(kTestUser, Secret("another"), nullptr).ok());
  EXPECT_EQ(this->Entry().nt_hash.Reveal(), NtHash(Secret("another")).Reveal());
  ASSERT_TRUE(this->host().RemoveEntry(kTestUser, nullptr).ok());
  EXPECT_EQ(this->host().ReadPassdb()->count(kTestUser), 0u);
  EXPECT_FALSE(this->host().RemoveEntry(kTestUser, nullptr).ok());
  EXPECT_FALSE(this->host().SetPassword(kTestUser, Secret("third"), nullptr).ok());
}

TYPED_TEST_P(SambaHostContract, AnExportedEntryComesBackOverAnother) {
  this->AddUser("first");
  const PassdbEntry before = this->Entry();
  const auto exported = this->host().ExportEntry(kTestUser);
  ASSERT_TRUE(exported.ok()) << exported.status();
  ASSERT_TRUE(this->host().SetPassword(kTestUser, Secret("second"), nullptr).ok());
  ASSERT_NE(this->Entry().nt_hash.Reveal(), before.nt_hash.Reveal());
  const auto imported = this->host().ImportEntry(kTestUser, *exported);
  ASSERT_TRUE(imported.ok()) << imported;
  EXPECT_EQ(this->Entry().nt_hash.Reveal(), before.nt_hash.Reveal());
  EXPECT_EQ(this->Entry().last_set, before.last_set);
  EXPECT_EQ(this->host().ExportEntry(kTestUser)->Reveal(), exported->Reveal());
}

TYPED_TEST_P(SambaHostContract, AnExportedEntryComesBackWhereThereIsNone) {
  this->AddUser("first");
  const PassdbEntry before = this->Entry();
  const auto exported = this->host().ExportEntry(kTestUser);
  ASSERT_TRUE(exported.ok()) << exported.status();
  ASSERT_TRUE(this->host().RemoveEntry(kTestUser, nullptr).ok());
  EXPECT_TRUE(absl::IsNotFound(this->host().ExportEntry(kTestUser).status()));
  ASSERT_TRUE(this->host().ImportEntry(kTestUser, *exported).ok());
  EXPECT_EQ(this->Entry().last_set, before.last_set);
  EXPECT_EQ(this->host().ExportEntry(kTestUser)->Reveal(), exported->Reveal());
  EXPECT_FALSE(this->host().ImportEntry(kTestUser, Secret("nonsense")).ok());
}

TYPED_TEST_P(SambaHostContract, CheckingShowsWhatSambaWouldReadAndChangesNothing) {
  const auto before = this->host().ReadConfig();
  ASSERT_TRUE(before.ok() && before->loads) << before.status();
  OwnFile own;
  own.globals = {{"workgroup", "PHXTEST"}};
  own.Put({"PhxTest-Data",
           {{"path", "/"},
            {"browsable", "no"},
            {"write ok", "yes"},
            {"public", "no"},
            {"create mode", "664"},
            {"valid users", "phxtest, @phxtest"},
            {"comment", "für alle"}}});
  const auto checked = this->host().CheckConfig(Render(own));
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_TRUE(checked->loads);
  EXPECT_TRUE(checked->problems.empty()) << checked->problems.front();
  EXPECT_EQ(checked->dump.globals.at("workgroup"), "PHXTEST");
  ASSERT_EQ(checked->dump.shares.count("phxtest-data"), 1u);
  // Under its canonical names, without what is as by default.
  const Parameters expected = {{"path", "/"},           {"browseable", "No"},
                               {"read only", "No"},     {"create mask", "0664"},
                               {"comment", "für alle"}, {"valid users", "phxtest @phxtest"}};
  EXPECT_EQ(checked->dump.shares.at("phxtest-data").parameters, expected);
  EXPECT_EQ(checked->dump.globals.at("guest ok"), "No");
  const auto after = this->host().ReadConfig();
  EXPECT_EQ(after->dump, before->dump);
}

TYPED_TEST_P(SambaHostContract, OfTheWordsForOneValueTestparmPrintsOne) {
  OwnFile own;
  own.globals = {
      {"server signing", "mandatory"}, {"server min protocol", "SMB2_10"}, {"disable netbios", "yes"}};
  const auto checked = this->host().CheckConfig(Render(own));
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->dump.globals.at("server signing"), "required");
  EXPECT_EQ(checked->dump.globals.at("server min protocol"), "SMB2");
  EXPECT_EQ(checked->dump.globals.at("disable netbios"), "Yes");
  own.globals = {{"server signing", "auto"}, {"server min protocol", "SMB3_11"}, {"disable netbios", "no"}};
  const auto other = this->host().CheckConfig(Render(own));
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->dump.globals.at("server signing"), "if_required");
  EXPECT_EQ(other->dump.globals.at("server min protocol"), "SMB3");
  EXPECT_EQ(other->dump.globals.at("disable netbios"), "No");
}

TYPED_TEST_P(SambaHostContract, ParametersOfModulesAreReadAsTheyStand) {
  ShareSpec share;
  share.name = "phxtest-data";
  share.path = "/";
  share.valid_users = {kTestUser};
  share.options = {{"vfs objects", "fruit, streams_xattr"}};
  share.previous_versions = PreviousVersions{"autosnap_%Y-%m-%d_%H:%M:%S_daily", false};
  share.acl = ShareAcl::kPosix;
  std::vector<FieldViolation> violations;
  AddFeatures(share, violations);
  ASSERT_TRUE(violations.empty());
  OwnFile own;
  own.Put(SectionOf(share));
  const auto checked = this->host().CheckConfig(Render(own));
  ASSERT_TRUE(checked.ok() && checked->problems.empty()) << checked.status();
  const Section& seen = checked->dump.shares.at("phxtest-data");
  EXPECT_EQ(seen.parameters.at("shadow:format"), "autosnap_%Y-%m-%d_%H:%M:%S_daily");
  EXPECT_EQ(seen.parameters.at("vfs objects"), "fruit streams_xattr shadow_copy2");
  EXPECT_EQ(Difference(SectionOf(share).parameters, seen.parameters, checked->dump.globals), "");
}

TYPED_TEST_P(SambaHostContract, AMissingModuleClosesTheShareAndTestparmSaysNothing) {
  const std::string path = this->world_.MakeShareDirectory();
  this->AddUser("correct horse");
  Section section = this->ShareAt(path, /*read_only=*/false);
  section.parameters["vfs objects"] = "phxtest_no_such_module";
  OwnFile own;
  own.Put(section);
  const auto checked = this->host().CheckConfig(Render(own));
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_TRUE(checked->loads && checked->problems.empty());
  this->GoLive(section);
  const auto status = this->host().TryLogin({"phxtest-data", kTestUser, ""}, Secret("correct horse"));
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

TYPED_TEST_P(SambaHostContract, AUserWhomTheShareDoesNotNameIsRefused) {
  const std::string path = this->world_.MakeShareDirectory();
  this->AddUser("correct horse");
  Section section = this->ShareAt(path, /*read_only=*/false);
  section.parameters["valid users"] = "root";
  this->GoLive(section);
  const auto status = this->host().TryLogin({"phxtest-data", kTestUser, ""}, Secret("correct horse"));
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
}

TYPED_TEST_P(SambaHostContract, AMisspelledParameterIsAProblemAlthoughItLoads) {
  OwnFile own;
  own.Put({"phxtest-data", {{"path", "/"}, {"brwsable", "no"}}});
  const auto checked = this->host().CheckConfig(Render(own));
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_TRUE(checked->loads);
  ASSERT_FALSE(checked->problems.empty());
  EXPECT_NE(checked->problems.front().find("brwsable"), std::string::npos);
}

TYPED_TEST_P(SambaHostContract, ABadBooleanDoesNotLoad) {
  OwnFile own;
  own.Put({"phxtest-data", {{"path", "/"}, {"guest ok", "perhaps"}}});
  const auto checked = this->host().CheckConfig(Render(own));
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_FALSE(checked->loads);
  EXPECT_FALSE(checked->problems.empty());
}

TYPED_TEST_P(SambaHostContract, WhatFollowsTheIncludeLineIsGlobalAgain) {
  OwnFile own;
  own.Put({"phxtest-data", {{"path", "/"}}});
  ASSERT_TRUE(this->host().PutFile("make-file", this->paths_.own_file, {Render(own), 0, 0, 0644}).ok());
  FileState file = this->smb_conf_;
  file.content =
      "[global]\n\tinclude = " + this->paths_.own_file + "\n\tworkgroup = PHXAFTER\n\tcomment = after\n";
  ASSERT_TRUE(this->host().PutFile("include", this->paths_.smb_conf, file).ok());
  const auto config = this->host().ReadConfig();
  ASSERT_TRUE(config.ok() && config->loads);
  EXPECT_EQ(config->dump.globals.at("workgroup"), "PHXAFTER");
  Parameters share = config->dump.shares.at("phxtest-data").parameters;
  EXPECT_EQ(share["comment"], "");
}

TYPED_TEST_P(SambaHostContract, TellsTheFileSystemOfAPath) {
  const std::string path = this->world_.MakeShareDirectory();
  const auto mount = this->host().MountOf(path);
  ASSERT_TRUE(mount.ok()) << mount.status();
  EXPECT_FALSE(mount->file_system.empty());
  EXPECT_TRUE(path.starts_with(mount->mount_point)) << mount->mount_point;
  EXPECT_EQ(*this->host().MountOf(path + "/below"), *mount);
}

TYPED_TEST_P(SambaHostContract, AUserLogsInAndWritesAndLeavesNothing) {
  const std::string path = this->world_.MakeShareDirectory();
  this->AddUser("correct horse");
  this->GoLive(this->ShareAt(path, /*read_only=*/false));
  const auto status =
      this->host().TryLogin({"phxtest-data", kTestUser, ".phoenix-probe-1"}, Secret("correct horse"));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(this->world_.files().List(path)->empty());
}

TYPED_TEST_P(SambaHostContract, AWrongPasswordIsRefused) {
  const std::string path = this->world_.MakeShareDirectory();
  this->AddUser("correct horse");
  this->GoLive(this->ShareAt(path, /*read_only=*/false));
  const auto status = this->host().TryLogin({"phxtest-data", kTestUser, ""}, Secret("wrong"));
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
}

TYPED_TEST_P(SambaHostContract, AReadOnlyShareIsListedButNotWritten) {
  const std::string path = this->world_.MakeShareDirectory();
  this->AddUser("correct horse");
  this->GoLive(this->ShareAt(path, /*read_only=*/true));
  const auto listed = this->host().TryLogin({"phxtest-data", kTestUser, ""}, Secret("correct horse"));
  EXPECT_TRUE(listed.ok()) << listed;
  const auto written =
      this->host().TryLogin({"phxtest-data", kTestUser, ".phoenix-probe-1"}, Secret("correct horse"));
  EXPECT_TRUE(absl::IsPermissionDenied(written)) << written;
  EXPECT_TRUE(this->world_.files().List(path)->empty());
}

TYPED_TEST_P(SambaHostContract, AShareThatIsNotThereIsNotFound) {
  this->AddUser("correct horse");
  const auto status = this->host().TryLogin({"phxtest-nowhere", kTestUser, ""}, Secret("correct horse"));
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

// A session keeps what it had when it began until smbd is told; then only those end who are shut out.
TYPED_TEST_P(SambaHostContract, OnlyTheSessionsOfThoseWhoAreShutOutEnd) {
  const std::string path = this->world_.MakeShareDirectory();
  this->AddUser("correct horse");
  const Section data = this->ShareAt(path, false), more = this->ShareAt(path, false, "phxtest-more");
  this->GoLive({data, more});
  const auto [in_data, in_more] = this->OpenSessions();
  ASSERT_TRUE(in_data != nullptr && in_more != nullptr);
  Section denied = data;
  denied.parameters["valid users"] = "root";
  this->GoLive({denied, more});
  EXPECT_TRUE(in_data->Goes()) << "a reload alone ends no session";
  const auto kept = this->host().EndSessions("phxtest-more", Cut::kDenied, nullptr);
  ASSERT_TRUE(kept.ok()) << kept;
  const auto ended = this->host().EndSessions("phxtest-data", Cut::kDenied, nullptr);
  ASSERT_TRUE(ended.ok()) << ended;
  EXPECT_TRUE(this->EndsSoon(*in_data));
  EXPECT_TRUE(in_more->Goes()) << "its user is let in as before";
  EXPECT_EQ(this->world_.OpenSession("phxtest-data", kTestUser, "correct horse"), nullptr);
}

TYPED_TEST_P(SambaHostContract, OfReadOnlyASessionLearnsOnlyByItsEnd) {
  const std::string path = this->world_.MakeShareDirectory();
  this->AddUser("correct horse");
  const Section more = this->ShareAt(path, false, "phxtest-more");
  this->GoLive({this->ShareAt(path, false), more});
  const auto [in_data, in_more] = this->OpenSessions();
  ASSERT_TRUE(in_data != nullptr && in_more != nullptr);
  this->GoLive({this->ShareAt(path, true), more});
  ASSERT_TRUE(this->host().EndSessions("phxtest-data", Cut::kDenied, nullptr).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_TRUE(in_data->Goes()) << "smbd looks at users only";
  ASSERT_TRUE(this->host().EndSessions("phxtest-data", Cut::kEverybody, nullptr).ok());
  EXPECT_TRUE(this->EndsSoon(*in_data));
  EXPECT_TRUE(in_more->Goes());
  EXPECT_NE(this->world_.OpenSession("phxtest-data", kTestUser, "correct horse"), nullptr)
      << "its user is let in again";
}

TYPED_TEST_P(SambaHostContract, SessionsWithAShareThatIsGoneEndByItsName) {
  const std::string path = this->world_.MakeShareDirectory();
  this->AddUser("correct horse");
  const Section more = this->ShareAt(path, false, "phxtest-more");
  this->GoLive({this->ShareAt(path, false), more});
  const auto [in_data, in_more] = this->OpenSessions();
  ASSERT_TRUE(in_data != nullptr && in_more != nullptr);
  this->GoLive({more});
  EXPECT_TRUE(in_data->Goes());
  ASSERT_TRUE(this->host().EndSessions("phxtest-data", Cut::kEverybody, nullptr).ok());
  EXPECT_TRUE(this->EndsSoon(*in_data));
  EXPECT_TRUE(in_more->Goes());
  EXPECT_TRUE(this->host().EndSessions("phxtest-nowhere", Cut::kEverybody, nullptr).ok());
}

TYPED_TEST_P(SambaHostContract, FindsAFileOfAUid) {
  const std::string path = this->world_.MakeShareDirectory();
  EXPECT_FALSE((*this->host().FindFileOf(54320, {path, "/phxtest-nowhere"})).has_value());
  ASSERT_TRUE(this->world_.files().Replace(path + "/left", {"x", 54320, 0, 0644}).ok());
  const auto found = this->host().FindFileOf(54320, {path, "/phxtest-nowhere"});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->value_or(""), path + "/left");
  ASSERT_TRUE(this->world_.files().Remove(path + "/left").ok());
  EXPECT_FALSE((*this->host().FindFileOf(54320, {})).has_value());
}

REGISTER_TYPED_TEST_SUITE_P(SambaHostContract, TellsItsVersion, AnAccountComesWithMarkAndGroupAndGoesWithBoth,
                            AnAccountTakesAGroupOfItsNameThatIsThere, AnAccountIsRestoredInEveryField,
                            ARemovedAccountLeavesItsGroupsAndJoinsThemAgain, AnEntryNeedsItsAccount,
                            PassdbKeepsTheHashOfWhatWasSet, AnExportedEntryComesBackOverAnother,
                            AnExportedEntryComesBackWhereThereIsNone,
                            CheckingShowsWhatSambaWouldReadAndChangesNothing,
                            OfTheWordsForOneValueTestparmPrintsOne, ParametersOfModulesAreReadAsTheyStand,
                            AMissingModuleClosesTheShareAndTestparmSaysNothing,
                            AUserWhomTheShareDoesNotNameIsRefused, TellsTheFileSystemOfAPath,
                            AMisspelledParameterIsAProblemAlthoughItLoads, ABadBooleanDoesNotLoad,
                            WhatFollowsTheIncludeLineIsGlobalAgain, AUserLogsInAndWritesAndLeavesNothing,
                            AWrongPasswordIsRefused, AReadOnlyShareIsListedButNotWritten,
                            AShareThatIsNotThereIsNotFound, OnlyTheSessionsOfThoseWhoAreShutOutEnd,
                            OfReadOnlyASessionLearnsOnlyByItsEnd, SessionsWithAShareThatIsGoneEndByItsName,
                            FindsAFileOfAUid);

}  // namespace phoenix::samba
