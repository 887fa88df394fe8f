// What the scripts before Phoenix got wrong (each test names its trap), and what a run must do when somebody
// or something else interferes.
#include <algorithm>
#include <string>

#include "services/samba/worker/samba_fixture.h"

namespace phoenix::samba {
namespace {

using phoenix::testing::StepDriver;

constexpr char kSmbConf[] = "/etc/samba/smb.conf";
constexpr char kOwnFile[] = "/etc/samba/phoenix.conf";
constexpr char kSecondRun[] = "0d6f8a2e-0000-4000-8000-000000000002";

class SambaTraps : public SambaFixture {
 protected:
  SambaTraps() : driver_(*domain_) {}

  absl::Status SetUpNode(const SambaSpec& spec,
                         const Secrets& secrets = {{"samba/users/heads", Secret("correct horse")}}) {
    PHX_RETURN_IF_ERROR(driver_.Prepare(Input(spec, secrets), kRun));
    PHX_RETURN_IF_ERROR(driver_.Apply());
    return driver_.Commit();
  }

  kit::VerifyReport Verify(const Secrets& secrets) {
    kit::VerifyInput input{driver_.plan().steps, &secrets};
    auto report = domain_->Verify(input);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : kit::VerifyReport();
  }

  bool Warns(const std::string& words) {
    const auto& notes = driver_.plan().notes;
    return std::any_of(notes.begin(), notes.end(), [&](const kit::Note& note) {
      return note.warning && note.text.find(words) != std::string::npos;
    });
  }

  StepDriver driver_;
};

TEST_F(SambaTraps, Trap15SmbConfIsNeverTruncatedAndHandMadeLinesStay) {
  Ready();
  const std::string hand_made = Text(kSmbConf) + "\n[mine]\n   path = /srv/mine\n   # a word of mine\n";
  ASSERT_TRUE(files_->Replace(kSmbConf, {hand_made, 0, 0, 0640}).ok());
  const auto done = SetUpNode(FirstSpec());
  ASSERT_TRUE(done.ok()) << done;
  EXPECT_EQ(RemoveInclude(Text(kSmbConf), kOwnFile), hand_made);
  EXPECT_EQ((*files_->Read(kSmbConf))->mode, 0640u);
  EXPECT_EQ(host_->ReadConfig()->dump.shares.count("mine"), 1u);
}

TEST_F(SambaTraps, Trap15AConfigurationThatSambaWouldNotReadNeverGoesLive) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  const std::string before = Dump();
  SambaSpec spec = FirstSpec();
  spec.shares[0].options = {{"brwseable", "no"}};
  const auto prepared = driver_.Prepare(Input(spec), kSecondRun);
  EXPECT_TRUE(absl::IsInvalidArgument(prepared)) << prepared;
  EXPECT_NE(Message(prepared).find("brwseable"), std::string::npos);
  EXPECT_EQ(Dump(), before);
}

TEST_F(SambaTraps, Trap16OnlyAReloadAndOnlyWhenSomethingChanged) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  for (const auto& step : driver_.plan().steps) {
    for (const auto& command : step.commands)
      EXPECT_EQ(command.find("restart"), std::string::npos) << command;
  }
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kSecondRun).ok());
  EXPECT_TRUE(driver_.plan().steps.empty());
}

TEST_F(SambaTraps, Trap18BrowsableFalseCanBeSaidAndIsRead) {
  Ready();
  SambaSpec spec = FirstSpec();
  spec.shares[0].browseable = false;
  spec.shares[1].browseable = false;
  spec.shares[1].options = {{"browsable", "no"}};
  const auto done = SetUpNode(spec);
  ASSERT_TRUE(done.ok()) << done;
  const auto config = host_->ReadConfig();
  EXPECT_EQ(config->dump.shares.at("data").parameters.at("browseable"), "No");
  EXPECT_EQ(config->dump.shares.at("sync").parameters.at("browseable"), "No");
}

TEST_F(SambaTraps, Trap19ADirectorysOwnerAndModeAreNotSambasToChange) {
  Ready();
  ASSERT_TRUE(files_->SetDirectory("/quickOS/data", {0, 1234, 02770}).ok());
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  EXPECT_EQ(**files_->ReadDirectory("/quickOS/data"), (DirectoryState{0, 1234, 02770}));
}

TEST_F(SambaTraps, Trap22ThePasswordComesFromTheSecretsAndOnlyItsHashIsKept) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  EXPECT_EQ(Dump().find("correct horse"), std::string::npos);
  EXPECT_TRUE(host_->TryLogin({"data", "heads", ".probe"}, Secret("correct horse")).ok());
  EXPECT_FALSE(host_->TryLogin({"data", "heads", ""}, Secret("wrong")).ok());
}

TEST_F(SambaTraps, AChangedPasswordIsExactlyOneStep) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  ASSERT_TRUE(
      driver_.Prepare(Input(FirstSpec(), {{"samba/users/heads", Secret("new one")}}), kSecondRun).ok());
  ASSERT_EQ(driver_.plan().steps.size(), 1u);
  EXPECT_EQ(driver_.plan().steps[0].id, "passdb:heads");
}

TEST_F(SambaTraps, OptionsAreHonouredUnderTheirCanonicalNames) {
  Ready();
  SambaSpec spec = FirstSpec();
  spec.shares[0].guest_ok = true;
  spec.shares[0].options = {
      {"public", "yes"}, {"write ok", "yes"}, {"create mode", "0664"}, {"vfs object", "acl_xattr"}};
  const auto done = SetUpNode(spec);
  ASSERT_TRUE(done.ok()) << done;
  const auto parameters = host_->ReadConfig()->dump.shares.at("data").parameters;
  EXPECT_EQ(parameters.at("guest ok"), "Yes");
  EXPECT_EQ(parameters.at("read only"), "No");
  EXPECT_EQ(parameters.at("create mask"), "0664");
  EXPECT_EQ(parameters.at("vfs objects"), "acl_xattr");
}

TEST_F(SambaTraps, ABareNodeIsSetUpAndSaysWhatStaysAfterUndo) {
  ASSERT_TRUE(node::SeedNode(*machine_).ok());
  const auto done = SetUpNode(FirstSpec());
  ASSERT_TRUE(done.ok()) << done;
  int lossy = 0;
  for (const auto& step : driver_.plan().steps) {
    if (step.step_class != kit::StepClass::kLossy) continue;
    ++lossy;
    EXPECT_NE(step.remainder, "") << step.id;
  }
  EXPECT_GE(lossy, 2);
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kSecondRun).ok());
  EXPECT_TRUE(driver_.plan().steps.empty()) << driver_.plan().steps.front().id;
}

// Debian's nmbd comes with the package and would start with the next boot.
TEST_F(SambaTraps, NetbiosStaysOffWherePhoenixBringsSambaAndNobodyAsksForIt) {
  ASSERT_TRUE(node::SeedNode(*machine_).ok());
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  EXPECT_EQ(host_->ReadConfig()->dump.globals.at("disable netbios"), "Yes");
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kSecondRun).ok());
  EXPECT_TRUE(driver_.plan().steps.empty()) << driver_.plan().steps.front().id;
  EXPECT_FALSE(Warns("disable netbios")) << "it is no orphan";
  SambaSpec asked = FirstSpec();
  asked.globals["disable netbios"] = "No";
  ASSERT_TRUE(SetUpNode(asked).ok());
  EXPECT_EQ(host_->ReadConfig()->dump.globals.at("disable netbios"), "No");
}

// A firewall lets only the declared clients through, and there are none.
TEST_F(SambaTraps, SharesThatNobodyCanReachThroughTheFirewallAreTold) {
  Ready();
  SambaSpec spec = FirstSpec();
  ASSERT_TRUE(driver_.Prepare(Input(spec), kRun).ok());
  EXPECT_FALSE(Warns("lets nobody through"));
  spec.clients.clear();
  ASSERT_TRUE(driver_.Prepare(Input(spec), kRun).ok());
  EXPECT_TRUE(Warns("samba: ufw lets nobody through to the shares"));
  EXPECT_TRUE(Warns("network.default_subnet"));
  // Who opened the port by hand knows for whom.
  ASSERT_TRUE(node_host_->AllowRule(node::Firewall::kUfw, {"10.0.0.7", "445", "tcp"}, "mine", nullptr).ok());
  ASSERT_TRUE(driver_.Prepare(Input(spec), kRun).ok());
  EXPECT_FALSE(Warns("lets nobody through"));
}

TEST_F(SambaTraps, SharesBehindNoFirewallNeedNoClients) {
  Ready();
  ASSERT_TRUE(
      machine_->Change([](kit::World& world) { return world.Put("ufw", "state", {{"active", false}}); })
          .ok());
  SambaSpec spec = FirstSpec();
  spec.clients.clear();
  ASSERT_TRUE(driver_.Prepare(Input(spec), kRun).ok());
  EXPECT_FALSE(Warns("lets nobody through"));
}

TEST_F(SambaTraps, NetbiosOfASambaThatWasThereBeforeStaysAsItIs) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  EXPECT_EQ(Text(kOwnFile).find("netbios"), std::string::npos);
}

TEST_F(SambaTraps, VerifyLogsInToEveryShareAndLeavesNothing) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  const std::string before = Dump();
  const auto report = Verify({{"samba/users/heads", Secret("correct horse")}});
  EXPECT_EQ(report.probes.size(), 2u);
  EXPECT_TRUE(report.not_probed.empty());
  EXPECT_EQ(Verify({}).not_probed.size(), 2u);
  EXPECT_EQ(Dump(), before);
  const Secrets wrong = {{"samba/users/heads", Secret("wrong")}};
  EXPECT_TRUE(absl::IsPermissionDenied(domain_->Verify({driver_.plan().steps, &wrong}).status()));
}

TEST_F(SambaTraps, AShareThatSambaReadsOtherwiseIsPutBack) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  SambaSpec spec = FirstSpec();
  spec.shares[0].read_only = true;
  ASSERT_TRUE(driver_.Prepare(Input(spec), kSecondRun).ok());
  // Somebody overrides the share in smb.conf, between the plan and the step.
  const std::string smb_conf = Text(kSmbConf) + "\n[DATA]\n   force user = root\n";
  ASSERT_TRUE(files_->Replace(kSmbConf, {smb_conf, 0, 0, 0644}).ok());
  const std::string before = Dump();
  const auto applied = driver_.Apply();
  EXPECT_FALSE(applied.ok());
  EXPECT_NE(Message(applied).find("force user"), std::string::npos) << applied;
  EXPECT_EQ(Dump(), before);
  EXPECT_TRUE(driver_.Undo().ok());
  EXPECT_EQ(Dump(), before);
}

TEST_F(SambaTraps, AShareChangedBySomebodyElseIsNeitherDoneNorUndone) {
  Ready();
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  OwnFile own = *ParseOwnFile(Text(kOwnFile));
  own.shares["data"].parameters["comment"] = "mine";
  const std::string theirs = Render(own);
  ASSERT_TRUE(files_->Replace(kOwnFile, {theirs, 0, 0, 0644}).ok());
  const auto undone = driver_.Undo();
  EXPECT_FALSE(undone.ok());
  EXPECT_NE(Message(undone).find("data"), std::string::npos) << undone;
  EXPECT_NE(Text(kOwnFile).find("mine"), std::string::npos);
}

TEST_F(SambaTraps, APasswordSetBySomebodyElseMeanwhileStays) {
  Ready();
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  ASSERT_TRUE(host_->SetPassword("heads", Secret("my own"), nullptr).ok());
  EXPECT_FALSE(driver_.Undo().ok());
  EXPECT_TRUE(host_->TryLogin({"nowhere", "heads", ""}, Secret("my own")).code() ==
              absl::StatusCode::kNotFound);
}

// Seen on a real machine: passdb's time of the last change has whole seconds.
TEST_F(SambaTraps, TwoPasswordsWithinOneSecondAreToldApart) {
  Ready();
  ASSERT_TRUE(machine_
                  ->Change([](kit::World& world) {
                    return world.Put("clock", "samba", {{"seconds", 1'795'397'053}});
                  })
                  .ok());
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  const std::string before = Dump();
  ASSERT_TRUE(
      driver_.Prepare(Input(FirstSpec(), {{"samba/users/heads", Secret("new one")}}), kSecondRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_NE(Dump(), before);
  const auto undone = driver_.Undo();
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Dump(), before);
}

TEST_F(SambaTraps, AnAccountThatOwnsFilesIsNotRemoved) {
  Ready();
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  const uint32_t uid = (*host_->FindAccount("heads"))->uid;
  ASSERT_TRUE(files_->Replace("/quickOS/data/report.odt", {"x", uid, uid, 0644}).ok());
  const auto undone = driver_.Undo();
  EXPECT_FALSE(undone.ok());
  EXPECT_NE(Message(undone).find("/quickOS/data/report.odt"), std::string::npos) << undone;
  EXPECT_TRUE((*host_->FindAccount("heads")).has_value());
}

TEST_F(SambaTraps, AnAccountThatWasThereBeforeIsAdoptedAndStays) {
  Ready();
  ASSERT_TRUE(host_->AddAccount("heads", "Head office", nullptr).ok());
  const std::string before = Dump();
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_EQ(driver_.ledger().count("user:heads"), 0u);
  ASSERT_TRUE(driver_.Undo().ok());
  EXPECT_EQ(Dump(), before);
}

// userdel takes an empty group of the account's name along, although it was there before.
TEST_F(SambaTraps, AGroupThatWasThereBeforeComesBackWithItsNumber) {
  Ready();
  ASSERT_TRUE(host_->AddGroup("heads", 4242, nullptr).ok());
  const std::string before = Dump();
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_EQ((*host_->FindAccount("heads"))->gid, 4242u);
  const auto undone = driver_.Undo(/*repeat=*/true);
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Dump(), before);
}

TEST_F(SambaTraps, ARemovedAccountComesBackIntoItsGroups) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  ASSERT_TRUE(host_->AddGroup("backup", 34, nullptr).ok());
  ASSERT_TRUE(host_->JoinGroups("heads", {34}, nullptr).ok());
  const std::string before = Dump();
  SambaSpec gone = FirstSpec();
  for (ShareSpec& share : gone.shares) share.absent = true;
  gone.users[0].absent = true;
  ASSERT_TRUE(driver_.Prepare(Input(gone), kSecondRun).ok());
  const auto& steps = driver_.plan().steps;
  const auto step = std::find_if(steps.begin(), steps.end(),
                                 [](const kit::Step& one) { return one.action == "remove system user"; });
  ASSERT_NE(step, steps.end());
  const kit::StepContext context{.run_id = kSecondRun, .captured = *domain_->Capture(*step, kSecondRun)};
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_NE(Dump(), before);
  const std::vector<std::string> commands = {
      "groupadd -g 1000 heads   # where it is missing",
      fmt::format(
          "useradd -M -N -u 1000 -g 1000 -d /nonexistent -s /usr/sbin/nologin -c 'phoenix run {}' heads",
          kRun),
      "usermod -a -G 34 heads"};
  EXPECT_EQ(domain_->RemainingCommands(*step, context), commands);
  const auto undone = driver_.Undo(/*repeat=*/true);
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Dump(), before);
}

// The former entry would switch it on again.
TEST_F(SambaTraps, AUserThatWasSwitchedOffMeanwhileStaysSwitchedOff) {
  Ready();
  ASSERT_TRUE(host_->AddAccount("heads", "Head office", nullptr).ok());
  ASSERT_TRUE(host_->AddEntry("heads", Secret("old one"), nullptr).ok());
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  ASSERT_TRUE(machine_
                  ->Change([](kit::World& world) -> absl::Status {
                    PHX_ASSIGN_OR_RETURN(auto entry, world.Get("passdb", "heads"));
                    (*entry)["flags"] = "[DU         ]";
                    return world.Put("passdb", "heads", *entry);
                  })
                  .ok());
  EXPECT_NE(Message(driver_.Undo()).find("set the flags of the Samba user heads to [DU"), std::string::npos);
  EXPECT_EQ(host_->ReadPassdb()->at("heads").flags, "[DU         ]");
}

TEST_F(SambaTraps, AUserOfAnotherHandKeepsTheOldPasswordAfterUndo) {
  Ready();
  ASSERT_TRUE(host_->AddAccount("heads", "Head office", nullptr).ok());
  ASSERT_TRUE(host_->AddEntry("heads", Secret("old one"), nullptr).ok());
  const std::string before = Dump();
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_FALSE(driver_.ledger().at("passdb:heads").created);
  ASSERT_TRUE(driver_.Undo().ok());
  EXPECT_EQ(Dump(), before);
}

TEST_F(SambaTraps, EditsOfSmbConfDuringTheRunSurviveItsUndo) {
  Ready();
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec()), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  const std::string edited = Text(kSmbConf) + "\n[mine]\n   path = /srv/mine\n";
  ASSERT_TRUE(files_->Replace(kSmbConf, {edited, 0, 0, 0644}).ok());
  const auto undone = driver_.Undo();
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Text(kSmbConf), RemoveInclude(edited, kOwnFile));
}

TEST_F(SambaTraps, ASealedPasswordOpensOnlyInItsPlaceWithItsKey) {
  const Secret key("node key"), value("the entry");
  ASSERT_TRUE(sealed_->Put(kRun, "passdb-heads", key, value).ok());
  ASSERT_TRUE(sealed_->Put(kRun, "passdb-heads", key, Secret("what a second try would seal")).ok());
  EXPECT_EQ((*sealed_->Get(kRun, "passdb-heads", key))->Reveal(), "the entry");
  EXPECT_TRUE(absl::IsDataLoss(sealed_->Get(kRun, "passdb-heads", Secret("another key")).status()));
  const std::string folder = directory_ + "/sealed/" + kRun;
  PosixFiles real;
  const auto file = *real.Read(folder + "/passdb-heads");
  EXPECT_EQ(file->mode, 0600u);
  EXPECT_EQ((*real.ReadDirectory(folder))->mode, 0700u);
  EXPECT_EQ(file->content.find("the entry"), std::string::npos);
  ASSERT_TRUE(real.Replace(folder + "/passdb-bob", *file).ok());
  EXPECT_TRUE(absl::IsDataLoss(sealed_->Get(kRun, "passdb-bob", key).status()));
  ASSERT_TRUE(sealed_->Forget(kRun).ok());
  ASSERT_TRUE(sealed_->Forget(kRun).ok());
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_F(SambaTraps, APasswordWithALineBreakIsRefused) {
  Ready();
  const auto prepared =
      driver_.Prepare(Input(FirstSpec(), {{"samba/users/heads", Secret("two\nlines")}}), kRun);
  EXPECT_TRUE(absl::IsInvalidArgument(prepared)) << prepared;
  EXPECT_EQ(Message(prepared).find("two"), std::string::npos) << "the secret itself is not to be said";
}

TEST_F(SambaTraps, ObserveTellsSharesAndWhoseTheyAre) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  const auto fields = domain_->Observe({"share:data", "share:print$", "passdb:heads"});
  ASSERT_TRUE(fields.ok()) << fields.status();
  const auto source = [&](const std::string& key, const std::string& field) -> std::string {
    for (const auto& one : *fields) {
      if (one.key == key && one.field == field) return one.source;
    }
    return "";
  };
  EXPECT_EQ(source("share:data", "path"), kOwnFile);
  EXPECT_EQ(source("share:print$", "path"), kSmbConf);
  EXPECT_EQ(source("passdb:heads", "password set"), "passdb");
}

// A storage that makes its folders in a shared dataset cuts nobody off.
TEST_F(SambaTraps, ClientsAreInterruptedWhereAPathIsDisturbedNotWhereItIsWrittenInto) {
  Ready();
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  kit::PlanInput input = Input(FirstSpec());
  input.ledger = driver_.ledger();
  const auto interrupted = [&] {
    size_t count = 0;
    const auto plan = domain_->MakePlan(input);
    for (const kit::Note& note : plan->notes)
      count += note.text.find("interrupted") == std::string::npos ? 0 : 1;
    return count;
  };
  input.disturbed_keys = {"content:/quickOS/data", "content:/quickOS"};
  EXPECT_EQ(interrupted(), 0u);
  input.disturbed_keys.push_back("path:/quickOS/data");
  EXPECT_EQ(interrupted(), 1u);
}

}  // namespace
}  // namespace phoenix::samba
