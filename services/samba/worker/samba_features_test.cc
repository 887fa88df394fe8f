// Settings of the whole server, previous versions and ACLs, from the plan to what Samba reads.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "services/samba/worker/samba_fixture.h"

namespace phoenix::samba {
namespace {

using phoenix::testing::StepDriver;

constexpr char kSecondRun[] = "0d6f8a2e-0000-4000-8000-000000000002";

class SambaFeatures : public SambaFixture {
 protected:
  SambaFeatures() : driver_(*domain_) { Ready(); }

  absl::Status SetUpNode(const SambaSpec& spec, const std::string& run = kRun) {
    PHX_RETURN_IF_ERROR(driver_.Prepare(Input(spec), run));
    PHX_RETURN_IF_ERROR(driver_.Apply());
    return driver_.Commit();
  }
  std::set<std::string> Ids() {
    std::set<std::string> ids;
    for (const auto& step : driver_.plan().steps) ids.insert(step.id);
    return ids;
  }
  const kit::Step* StepOf(const std::string& id) {
    const auto& steps = driver_.plan().steps;
    const auto found =
        std::find_if(steps.begin(), steps.end(), [&](const kit::Step& step) { return step.id == id; });
    return found == steps.end() ? nullptr : &*found;
  }
  bool Requires(const std::string& id, const std::string& key, bool satisfied) {
    const kit::Step* step = StepOf(id);
    return step != nullptr && std::any_of(step->requires_keys.begin(), step->requires_keys.end(),
                                          [&](const kit::Requirement& need) {
                                            return need.key == key && need.satisfied_now == satisfied;
                                          });
  }
  static SambaSpec WithVersions() {
    SambaSpec spec = SambaFixture::FirstSpec();
    spec.shares[0].previous_versions = PreviousVersions{"autosnap_%Y-%m-%d_%H:%M:%S_daily", false};
    spec.shares[0].acl = ShareAcl::kWindows;
    spec.shares[1].acl = ShareAcl::kPosix;
    return spec;
  }

  StepDriver driver_;
};

TEST_F(SambaFeatures, PreviousVersionsAndAclsAreReadBackAndASecondPlanIsEmpty) {
  const auto done = SetUpNode(WithVersions());
  ASSERT_TRUE(done.ok()) << done;
  const auto config = host_->ReadConfig();
  ASSERT_TRUE(config.ok()) << config.status();
  const Parameters& data = config->dump.shares.at("data").parameters;
  EXPECT_EQ(data.at("vfs objects"), "acl_xattr shadow_copy2");
  EXPECT_EQ(data.at("shadow:format"), "autosnap_%Y-%m-%d_%H:%M:%S_daily");
  EXPECT_EQ(data.at("shadow:localtime"), "no");
  EXPECT_EQ(config->dump.shares.at("sync").parameters.at("inherit acls"), "Yes");
  ASSERT_TRUE(driver_.Prepare(Input(WithVersions()), kSecondRun).ok());
  EXPECT_TRUE(driver_.plan().steps.empty()) << driver_.plan().steps.front().id;
}

// A share whose modules are missing is closed, and testparm finds nothing wrong with it.
TEST_F(SambaFeatures, TheModulesArePartOfThePlanAndThereBeforeTheShare) {
  ASSERT_TRUE(driver_.Prepare(Input(WithVersions()), kRun).ok());
  ASSERT_TRUE(Ids().contains("package:samba-vfs-modules"));
  EXPECT_TRUE(Requires("share:data", "package:samba-vfs-modules", false));
  EXPECT_FALSE(Requires("share:sync", "package:samba-vfs-modules", false)) << "it loads none";
  ASSERT_TRUE(driver_.Apply().ok());
  const Secrets secrets = {{"samba/users/heads", Secret("correct horse")}};
  const auto report = domain_->Verify({driver_.plan().steps, &secrets});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->probes.size(), 2u);
  ASSERT_TRUE(
      machine_->Change([](kit::World& world) { return world.Delete("package", "samba-vfs-modules"); }).ok());
  EXPECT_TRUE(absl::IsNotFound(host_->TryLogin({"data", "heads", ""}, Secret("correct horse"))));
  EXPECT_TRUE(host_->TryLogin({"sync", "heads", ""}, Secret("correct horse")).ok());
}

TEST_F(SambaFeatures, AnotherFormatOfTheNamesIsASetShareThatUndoTakesBack) {
  ASSERT_TRUE(SetUpNode(WithVersions()).ok());
  const std::string before = Dump();
  SambaSpec spec = WithVersions();
  // Month and minute differ in case only.
  spec.shares[0].previous_versions->format = "autosnap_%Y-%m-%d_%H:%m:%S_daily";
  ASSERT_TRUE(driver_.Prepare(Input(spec), kSecondRun).ok());
  EXPECT_EQ(Ids(), std::set<std::string>({"share:data"}));
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_NE(Dump(), before);
  ASSERT_TRUE(driver_.Undo().ok());
  EXPECT_EQ(Dump(), before);
}

// smbd would refuse the probe, and a good run would be undone with a bare NT_STATUS.
TEST_F(SambaFeatures, WhatShutsTheProbeOutIsToldAndIsNoFailure) {
  const Secrets secrets = {{"samba/users/heads", Secret("correct horse")}};
  struct Case {
    std::map<std::string, std::string> options;
    std::string reason;
    size_t probes;
  };
  for (const auto& [options, reason, probes] : std::vector<Case>{
           {{{"hosts deny", "ALL"}}, "by hosts deny = ALL nobody logs in from the node itself", 1},
           {{{"available", "no"}}, "by available = No nobody logs in", 1},
           {{{"veto files", "/.*/"}}, "nothing is written, since its veto files hide .phoenix-probe-", 2},
           {{{"hosts allow", "10.0.0.0/24"}}, "", 2},  // smbd lets loopback in all the same
       }) {
    SambaSpec spec = FirstSpec();
    spec.shares[0].options = options;
    driver_.ledger().clear();
    const auto done = SetUpNode(spec);
    ASSERT_TRUE(done.ok()) << done;
    const auto report = domain_->Verify({driver_.plan().steps, &secrets});
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_EQ(report->not_probed.size(), reason.empty() ? 0u : 1u) << reason;
    if (!reason.empty()) {
      EXPECT_NE(report->not_probed[0].find(reason), std::string::npos) << report->not_probed[0];
    }
    EXPECT_EQ(report->probes.size(), probes);
    ASSERT_TRUE(driver_.Undo().ok());
  }
}

// A wrong password is a failure, whatever else is declared for others.
TEST_F(SambaFeatures, ALoginThatShouldSucceedStillFailsTheRun) {
  SambaSpec spec = FirstSpec();
  spec.shares[0].options = {{"hosts deny", "10.0.0.66"}};
  ASSERT_TRUE(SetUpNode(spec).ok());
  const Secrets wrong = {{"samba/users/heads", Secret("wrong")}};
  EXPECT_TRUE(absl::IsPermissionDenied(domain_->Verify({driver_.plan().steps, &wrong}).status()));
}

// A run that changes nothing but a password is tried with it.
TEST_F(SambaFeatures, AChangedPasswordIsTriedAtAShareThatListsItsUser) {
  ASSERT_TRUE(SetUpNode(FirstSpec()).ok());
  ASSERT_TRUE(driver_.Commit().ok());
  const Secrets changed = {{"samba/users/heads", Secret("new horse")}};
  ASSERT_TRUE(driver_.Prepare(Input(FirstSpec(), changed), kSecondRun).ok());
  ASSERT_EQ(driver_.plan().steps.size(), 1u);
  ASSERT_TRUE(driver_.Apply().ok());
  const auto report = domain_->Verify({driver_.plan().steps, &changed});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->probes, std::vector<std::string>({"user heads: logged in to data"}));
  const Secrets wrong = {{"samba/users/heads", Secret("correct horse")}};
  EXPECT_TRUE(absl::IsPermissionDenied(domain_->Verify({driver_.plan().steps, &wrong}).status()));
}

// What testparm prints is another word than the one that was written.
TEST_F(SambaFeatures, SigningAndProtocolAreReadBackUnderTestparmsNames) {
  SambaSpec spec = FirstSpec();
  spec.globals["server signing"] = "mandatory";
  spec.globals["server min protocol"] = "SMB3_11";
  const auto done = SetUpNode(spec);
  ASSERT_TRUE(done.ok()) << done;
  EXPECT_EQ(host_->ReadConfig()->dump.globals.at("server signing"), "required");
  EXPECT_EQ(host_->ReadConfig()->dump.globals.at("server min protocol"), "SMB3");
  ASSERT_TRUE(driver_.Prepare(Input(spec), kSecondRun).ok());
  EXPECT_TRUE(driver_.plan().steps.empty());
  spec.globals["server signing"] = "auto";
  ASSERT_TRUE(driver_.Prepare(Input(spec), kSecondRun).ok());
  EXPECT_EQ(Ids(), std::set<std::string>({"globals"}));
}

class Netbios : public SambaFeatures {
 protected:
  Netbios() {
    // As the package leaves it.
    EXPECT_TRUE(node_host_->Stop("nmbd.service", nullptr).ok());
  }
  static SambaSpec With(bool netbios) {
    SambaSpec spec = FirstSpec();
    spec.globals["disable netbios"] = netbios ? "No" : "Yes";
    return spec;
  }
  bool Runs() { return node_host_->Units({"nmbd.service"})->at("nmbd.service").active; }
};

TEST_F(Netbios, OnlyWhereItIsWantedNmbdIsStartedAndItsPortsAreOpened) {
  ASSERT_TRUE(SetUpNode(With(false)).ok());
  EXPECT_FALSE(Runs());
  EXPECT_EQ(host_->ReadConfig()->dump.globals.at("disable netbios"), "Yes");
  const std::string before = Dump();

  ASSERT_TRUE(driver_.Prepare(Input(With(true)), kSecondRun).ok());
  EXPECT_EQ(Ids(), std::set<std::string>({"globals", "unit:nmbd.service", "rule:10.0.0.0/24:137/udp",
                                          "rule:10.0.0.0/24:138/udp", "rule:10.0.0.0/24:139/tcp"}));
  // Debian's unit is skipped where smb.conf disables NetBIOS.
  EXPECT_TRUE(Requires("unit:nmbd.service", "samba:globals", false));
  const auto applied = driver_.Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_TRUE(Runs());
  ASSERT_TRUE(driver_.Undo().ok());
  EXPECT_EQ(Dump(), before);
}

TEST_F(Netbios, KnowsNoIpv6) {
  SambaSpec spec = With(true);
  spec.clients = {"fd00::/64"};
  ASSERT_TRUE(driver_.Prepare(Input(spec), kRun).ok());
  EXPECT_TRUE(Ids().contains("rule:fd00::/64:445/tcp"));
  EXPECT_FALSE(Ids().contains("rule:fd00::/64:139/tcp"));
}

TEST_F(Netbios, WhatRunsIsNotStoppedWhereItIsNotWanted) {
  ASSERT_TRUE(node_host_->Start("nmbd.service", nullptr).ok());
  ASSERT_TRUE(SetUpNode(With(false)).ok());
  EXPECT_TRUE(Runs());
}

TEST_F(SambaFeatures, AUserWhomAShareDoesNotNameIsRefused) {
  SambaSpec spec = FirstSpec();
  spec.users.push_back({"other", "samba/users/other", false, "samba.users[0]"});
  const Secrets secrets = {{"samba/users/heads", Secret("correct horse")},
                           {"samba/users/other", Secret("another horse")}};
  ASSERT_TRUE(driver_.Prepare(Input(spec, secrets), kRun).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_TRUE(host_->TryLogin({"data", "heads", ".x"}, Secret("correct horse")).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(host_->TryLogin({"data", "other", ""}, Secret("another horse"))));
  auto report = domain_->Verify({driver_.plan().steps, &secrets});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->probes.size(), 4u);
  EXPECT_EQ(report->probes[1], "share data: other, none of its valid users, was refused");
  // Let in by hand, behind our back.
  ASSERT_TRUE(machine_
                  ->Change([](kit::World& world) -> absl::Status {
                    PHX_ASSIGN_OR_RETURN(auto own, world.ReadFile("/etc/samba/phoenix.conf"));
                    const std::string users = "valid users = heads";
                    std::string& text = own->state.content;
                    text.replace(text.find(users), users.size(), users + " other");
                    return world.WriteFile("/etc/samba/phoenix.conf", *own);
                  })
                  .ok());
  report = domain_->Verify({driver_.plan().steps, &secrets});
  EXPECT_NE(Message(report.status()).find("other is none of its valid users, and is let in"),
            std::string::npos)
      << report.status();
  // Where a group may come in, nobody is known to be a stranger.
  spec.shares[0].valid_users = {"heads", "@heads"};
  ASSERT_TRUE(driver_.Prepare(Input(spec, secrets), kSecondRun).ok());
  const auto* step = StepOf("share:data");
  ASSERT_NE(step, nullptr);
  EXPECT_NE(step->payload.find("\"stranger\":\"\""), std::string::npos) << step->payload;
}

TEST_F(SambaFeatures, ModulesOfSmbConfThatAShareGoesWithoutAreNamed) {
  const std::string smb_conf = "/etc/samba/smb.conf";
  FileState file = **files_->Read(smb_conf);
  file.content = "[global]\n   vfs objects = acl_xattr recycle\n" + file.content;
  ASSERT_TRUE(files_->Replace(smb_conf, file).ok());
  ASSERT_TRUE(driver_.Prepare(Input(WithVersions()), kRun).ok());
  std::string told;
  for (const auto& note : driver_.plan().notes) {
    if (note.text.find("loads the module") != std::string::npos) told += note.resource + ": " + note.text;
  }
  EXPECT_NE(told.find("data: "), std::string::npos) << told;
  EXPECT_NE(told.find("the module recycle"), std::string::npos) << told;
  EXPECT_EQ(told.find("acl_xattr"), std::string::npos) << told;
}

TEST_F(SambaFeatures, AFileSystemThatDoesNotKeepWhatIsPromisedIsTold) {
  const auto told = [&] {
    EXPECT_TRUE(driver_.Prepare(Input(WithVersions()), kRun).ok());
    std::set<std::string> texts;
    for (const auto& note : driver_.plan().notes) {
      if (note.warning) texts.insert(note.resource + ": " + note.text);
    }
    return texts;
  };
  const auto dataset = [&](const std::string& name, const nlohmann::json& local) {
    ASSERT_TRUE(machine_
                    ->Change([&](kit::World& world) {
                      return world.Put("zfs.dataset", name, {{"mounted", "/" + name}, {"local", local}});
                    })
                    .ok());
  };
  EXPECT_EQ(told(), std::set<std::string>({"data: previous versions are snapshots of a ZFS file system, and "
                                           "/quickOS/data is on ext4 now"}));
  dataset("quickOS/data", nlohmann::json::object());
  EXPECT_EQ(told().size(), 1u);
  EXPECT_NE(told().begin()->find("mounted at /quickOS/data keeps no ACLs now"), std::string::npos);
  dataset("quickOS", {{"acltype", "posix"}});
  EXPECT_EQ(told(), std::set<std::string>());
}

}  // namespace
}  // namespace phoenix::samba
