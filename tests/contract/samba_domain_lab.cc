// Samba's steps on a real machine: run as root where Samba and smbclient are installed, smbd runs and nothing
// of Phoenix is set up. Packages, units and firewall are taken from a simulated node, so that only Samba's
// own steps touch the machine. What is compared is read with the machine's own files, not through the
// product.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/kit/sim/machine.h"
#include "services/node/host/node_sim.h"
#include "services/samba/host/samba_cli.h"
#include "services/samba/worker/samba_domain.h"
#include "tests/contract/smb_session.h"
#include "tests/support/lab_setting.h"
#include "tests/support/step_driver.h"

namespace phoenix::samba {
namespace {

using phoenix::testing::StepDriver;

constexpr char kRun[] = "8f14e45f-ceea-467f-a830-5b2c1d3e4f50";
constexpr char kSecondRun[] = "0d6f8a2e-0000-4000-8000-000000000002";

class SambaDomainLab : public ::testing::Test {
 protected:
  SambaDomainLab() : runner_(testing::Launcher()) {
    char name[] = "/var/lib/phxtest-XXXXXX";
    directory_ = ::mkdtemp(name);
    ::chmod(directory_.c_str(), 0755);
    machine_ = *kit::Machine::Open(directory_ + "/node");
    EXPECT_TRUE(node::SeedReadyNode(*machine_).ok());
    node_host_ = std::make_unique<node::NodeSim>(machine_);
    node_ = std::make_unique<node::NodeSteps>(*node_host_);
    host_ = std::make_unique<SambaCli>(runner_, files_, directory_ + "/private");
    sealed_ = std::make_unique<SealedStore>(std::make_unique<PosixFiles>(), directory_ + "/sealed");
    domain_ = std::make_unique<SambaDomain>(
        *host_, files_, *node_, *sealed_,
        [this](std::string_view, std::string_view) -> absl::StatusOr<SambaSpec> { return spec_; });
    driver_ = std::make_unique<StepDriver>(*domain_);
    for (const char* share : {"/data", "/sync"}) {
      EXPECT_TRUE(files_.MakeDirectory(directory_ + share, {0, 0, 0777}).ok());
      ShareSpec& wanted = spec_.shares.emplace_back();
      wanted.name = std::string("phxtest-") + (share + 1);
      wanted.path = directory_ + share;
      wanted.valid_users = {"phxtest"};
    }
    spec_.users = {{"phxtest", "samba/users/phxtest", false, ""}};
    spec_.globals = {{"server min protocol", "SMB2"}, {"workgroup", "PHXTEST"}};
  }
  ~SambaDomainLab() override {
    // Whatever a failed test left.
    spec_.partial = true;
    for (auto& share : spec_.shares) share.absent = true;
    for (auto& user : spec_.users) user.absent = true;
    const auto gone = Run(kSecondRun, "correct horse");
    EXPECT_TRUE(gone.ok()) << gone;
    const auto smb_conf = files_.Read("/etc/samba/smb.conf");
    if (smb_conf.ok() && *smb_conf) {
      FileState file = **smb_conf;
      file.content = RemoveInclude(file.content, "/etc/samba/phoenix.conf");
      EXPECT_TRUE(files_.Replace("/etc/samba/smb.conf", file).ok());
    }
    EXPECT_TRUE(files_.Remove("/etc/samba/phoenix.conf").ok());
    std::filesystem::remove_all(directory_);
  }

  absl::Status Prepare(const std::string& run, const std::string& password) {
    kit::PlanInput input;
    input.spec_type = kSpecType;
    input.secrets = secrets_ = {{"samba/users/phxtest", Secret(password)},
                                {"samba/users/phxother", Secret("another horse")}};
    input.node_key = Secret("test node key");
    return driver_->Prepare(input, run);
  }

  absl::Status Run(const std::string& run, const std::string& password) {
    PHX_RETURN_IF_ERROR(Prepare(run, password));
    PHX_RETURN_IF_ERROR(driver_->Apply());
    return driver_->Commit();
  }

  // Files byte for byte with owner and mode, and what the tools print.
  std::string Fingerprint() {
    std::string text;
    for (const char* path : {"/etc/samba/smb.conf", "/etc/samba/phoenix.conf", "/etc/passwd", "/etc/group",
                             "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid"}) {
      struct stat status{};
      text += path;
      if (::stat(path, &status) != 0) {
        text += " absent\n";
        continue;
      }
      std::ifstream file(path);
      std::stringstream content;
      content << file.rdbuf();
      text += fmt::format(" {}:{} {:o}\n{}", status.st_uid, status.st_gid, status.st_mode, content.str());
    }
    for (const auto& [program, args] :
         std::vector<std::pair<std::string, std::vector<std::string>>>{{"/usr/bin/pdbedit", {"-L", "-v"}},
                                                                       {"/usr/bin/pdbedit", {"-L", "-w"}},
                                                                       {"/usr/bin/testparm", {"-s", "-v"}}}) {
      Command command;
      command.program = program;
      command.args = args;
      const auto result = runner_.Run(command);
      text += result.ok() ? result->out : Message(result.status());
    }
    return text;
  }

  PosixCommandRunner runner_;
  PosixFiles files_;
  std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  std::unique_ptr<node::NodeSim> node_host_;
  std::unique_ptr<node::NodeSteps> node_;
  std::unique_ptr<SambaCli> host_;
  std::unique_ptr<SealedStore> sealed_;
  std::unique_ptr<SambaDomain> domain_;
  std::unique_ptr<StepDriver> driver_;
  SambaSpec spec_;
  Secrets secrets_;
};

TEST_F(SambaDomainLab, SetsUpLogsInAndPlansNothingTheSecondTime) {
  const auto done = Run(kRun, "correct horse");
  ASSERT_TRUE(done.ok()) << done;
  const auto report = domain_->Verify({driver_->plan().steps, &secrets_});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->probes.size(), 2u);
  EXPECT_TRUE(report->not_probed.empty()) << report->not_probed.front();
  const std::string before = Fingerprint();
  ASSERT_TRUE(Prepare(kSecondRun, "correct horse").ok());
  EXPECT_TRUE(driver_->plan().steps.empty()) << driver_->plan().steps.front().id;
  EXPECT_EQ(Fingerprint(), before);
  const auto changed = Prepare(kSecondRun, "battery staple");
  ASSERT_TRUE(changed.ok()) << changed;
  EXPECT_EQ(driver_->plan().steps.size(), 1u);
}

TEST_F(SambaDomainLab, UndoneAfterEachStepEverythingIsAsItWas) {
  const std::string before = Fingerprint();
  ASSERT_TRUE(Prepare(kRun, "correct horse").ok());
  const size_t steps = driver_->plan().steps.size();
  ASSERT_GE(steps, 6u);
  for (size_t count = 1; count <= steps; ++count) {
    driver_->ledger().clear();
    ASSERT_TRUE(Prepare(kRun, "correct horse").ok());
    const auto applied = driver_->Apply(count, /*repeat=*/count == steps);
    ASSERT_TRUE(applied.ok()) << applied;
    const auto undone = driver_->Undo(/*repeat=*/count % 2 == 0);
    ASSERT_TRUE(undone.ok()) << undone;
    ASSERT_EQ(Fingerprint(), before) << "after " << count << " steps";
  }
}

TEST_F(SambaDomainLab, AChangeOfAllIsUndoneToTheFormerPasswordAndShares) {
  ASSERT_TRUE(Run(kRun, "correct horse").ok());
  const std::string before = Fingerprint();
  const auto ledger = driver_->ledger();
  spec_.shares[0].read_only = true;
  spec_.shares[1].options = {{"create mask", "0664"}, {"comment", "für alle"}};
  spec_.globals["workgroup"] = "PHXOTHER";
  const auto prepared = Prepare(kSecondRun, "battery staple");
  ASSERT_TRUE(prepared.ok()) << prepared;
  EXPECT_EQ(driver_->plan().steps.size(), 4u);
  ASSERT_TRUE(driver_->Apply().ok());
  EXPECT_NE(Fingerprint(), before);
  const auto undone = driver_->Undo();
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Fingerprint(), before);
  driver_->ledger() = ledger;
  const auto login =
      host_->TryLogin({"phxtest-data", "phxtest", ".phoenix-probe-1"}, Secret("correct horse"));
  EXPECT_TRUE(login.ok()) << login;
}

TEST_F(SambaDomainLab, WhatIsWantedGoneComesBackOnUndo) {
  ASSERT_TRUE(Run(kRun, "correct horse").ok());
  const std::string before = Fingerprint();
  const auto ledger = driver_->ledger();
  for (auto& share : spec_.shares) share.absent = true;
  spec_.users[0].absent = true;
  ASSERT_TRUE(Prepare(kSecondRun, "correct horse").ok());
  EXPECT_EQ(driver_->plan().steps.size(), 4u);
  const auto applied = driver_->Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  const auto undone = driver_->Undo();
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Fingerprint(), before);
  driver_->ledger() = ledger;
}

// Folders where ZFS would show its snapshots. What is below the mount point is found there by Samba itself;
// here the mount point has to be said.
TEST_F(SambaDomainLab, PreviousVersionsOfAFileAreListedAndRead) {
  for (const char* name : {"GMT-2026.01.02-03.04.05", "GMT-2026.02.03-04.05.06", "phoenix-run-x"}) {
    const std::string snapshot = directory_ + "/.zfs/snapshot/" + name;
    std::filesystem::create_directories(snapshot + "/data");
    ASSERT_TRUE(files_.Replace(snapshot + "/data/letter", {std::string("old of ") + name, 0, 0, 0644}).ok());
  }
  ASSERT_TRUE(files_.Replace(directory_ + "/data/letter", {"new", 0, 0, 0644}).ok());
  ShareSpec& share = spec_.shares[0];
  share.previous_versions = PreviousVersions{"GMT-%Y.%m.%d-%H.%M.%S", false};
  share.acl = ShareAcl::kWindows;
  share.options = {{"vfs objects", "streams_xattr"}, {"shadow:mountpoint", directory_}};
  const auto done = Run(kRun, "correct horse");
  ASSERT_TRUE(done.ok()) << done;
  const auto report = domain_->Verify({driver_->plan().steps, &secrets_});
  ASSERT_TRUE(report.ok()) << report.status();
  Command command;
  command.program = "/usr/bin/smbclient";
  command.args = {"//127.0.0.1/phxtest-data", "-U", "phxtest%correct horse", "-c",
                  "allinfo letter; get @GMT-2026.01.02-03.04.05/letter " + directory_ + "/got"};
  const auto result = runner_.Run(command);
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->out << result->err;
  const size_t newest = result->out.find("@GMT-2026.02.03-04.05.06"),
               oldest = result->out.find("@GMT-2026.01.02");
  EXPECT_LT(newest, oldest) << result->out;
  EXPECT_NE(oldest, std::string::npos) << result->out;
  EXPECT_EQ(result->out.find("phoenix-run"), std::string::npos);
  EXPECT_EQ((*files_.Read(directory_ + "/got"))->content, "old of GMT-2026.01.02-03.04.05");
  ASSERT_TRUE(Prepare(kSecondRun, "correct horse").ok());
  EXPECT_TRUE(driver_->plan().steps.empty()) << driver_->plan().steps.front().id;
  share = ShareSpec{share.name, share.path, share.valid_users};
}

TEST_F(SambaDomainLab, AUserWhomNoShareNamesLogsInNowhere) {
  spec_.users.push_back({"phxother", "samba/users/phxother", false, ""});
  const auto done = Run(kRun, "correct horse");
  ASSERT_TRUE(done.ok()) << done;
  const auto report = domain_->Verify({driver_->plan().steps, &secrets_});
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->probes.size(), 4u);
  EXPECT_EQ(report->probes[0], "share phxtest-data: phxtest logged in and wrote, read and deleted a file");
  EXPECT_EQ(report->probes[1], "share phxtest-data: phxother, none of its valid users, was refused");
  // His password is right: where the share names him, he is let in.
  spec_.shares[0].valid_users.emplace_back("phxother");
  ASSERT_TRUE(Run(kSecondRun, "correct horse").ok());
  const auto login = host_->TryLogin({"phxtest-data", "phxother", ""}, Secret("another horse"));
  EXPECT_TRUE(login.ok()) << login;
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/data"));
}

// Who is no valid user any more is out at once; nobody else notices.
TEST_F(SambaDomainLab, ADroppedUsersSessionEndsAndAllOthersGoOn) {
  spec_.users.push_back({"phxother", "samba/users/phxother", false, ""});
  for (ShareSpec& share : spec_.shares) share.valid_users.emplace_back("phxother");
  const auto done = Run(kRun, "correct horse");
  ASSERT_TRUE(done.ok()) << done;
  const auto dropped = SmbSession::Open("phxtest-data", "phxother", "another horse");
  const auto stays = SmbSession::Open("phxtest-data", "phxtest", "correct horse");
  const auto elsewhere = SmbSession::Open("phxtest-sync", "phxother", "another horse");
  ASSERT_TRUE(dropped && stays && elsewhere);
  spec_.shares[0].valid_users.pop_back();
  const auto taken = Run(kSecondRun, "correct horse");
  ASSERT_TRUE(taken.ok()) << taken;
  for (int tries = 0; tries < 100 && dropped->Goes(); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(dropped->Goes());
  EXPECT_TRUE(stays->Goes());
  EXPECT_TRUE(elsewhere->Goes());
  EXPECT_EQ(SmbSession::Open("phxtest-data", "phxother", "another horse"), nullptr);
}

// Where only the node itself is shut out there is nothing to undo.
TEST_F(SambaDomainLab, ALoginThatIsDeclaredImpossibleIsToldAndNotTakenForAFault) {
  spec_.shares[0].options = {{"hosts deny", "ALL"}};
  spec_.shares[1].options = {{"veto files", "/.*/"}};
  const auto done = Run(kRun, "correct horse");
  ASSERT_TRUE(done.ok()) << done;
  const auto report = domain_->Verify({driver_->plan().steps, &secrets_});
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->not_probed.size(), 2u);
  EXPECT_NE(report->not_probed[0].find("hosts deny = ALL"), std::string::npos) << report->not_probed[0];
  EXPECT_NE(report->not_probed[1].find("veto files"), std::string::npos) << report->not_probed[1];
  EXPECT_EQ(report->probes, std::vector<std::string>{"share phxtest-sync: phxtest logged in and listed it"});
  for (ShareSpec& share : spec_.shares) share.options.clear();
}

TEST_F(SambaDomainLab, AMisspelledParameterNeverGoesLive) {
  const std::string before = Fingerprint();
  spec_.shares[0].options = {{"brwseable", "no"}};
  const auto prepared = Prepare(kRun, "correct horse");
  EXPECT_TRUE(absl::IsInvalidArgument(prepared)) << prepared;
  EXPECT_EQ(Fingerprint(), before);
  spec_.shares[0].options.clear();
}

}  // namespace
}  // namespace phoenix::samba
