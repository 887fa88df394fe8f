#include "services/nfs/worker/nfs_domain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/worker/nfs_fixture.h"

namespace phoenix::nfs {
namespace {

using ::phoenix::testing::StepDriver;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(NfsDomainTest, TheSeedOnABareNode) {
  ASSERT_TRUE(node::SeedNode(*machine_).ok());
  WantSeed();
  // The file systems come from another participant, with its steps.
  StepDriver driver(*domain_, {"path:/quickOS", "path:/fastData"});
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(Ids(driver),
              ElementsAre("package:nfs-kernel-server", "unit:rpcbind.socket", "unit:rpc-statd.service",
                          "unit:nfs-server.service", "file:/etc/exports.d/phoenix.exports",
                          "export:/fastData/shared-bulk-data", "export:/quickOS/shared-prod-data",
                          "export:/quickOS/shared-prod-data-sync"));
  MountSeed();
  const absl::Status applied = driver.Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(driver.Commit().ok());
  EXPECT_THAT(Read(kOwnFile),
              HasSubstr("\n\"/fastData/shared-bulk-data\" 10.0.0.0/24(rw,async,no_subtree_check,mountpoint) "
                        "10.1.0.5(rw,async,no_subtree_check,mountpoint)\n"));
  // Property 4: the second plan has nothing to do.
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(driver.plan().steps, IsEmpty());
  EXPECT_THAT(driver.plan().provided_now,
              ::testing::IsSupersetOf({"export:/quickOS/shared-prod-data", "unit:nfs-server.service"}));
}

TEST_F(NfsDomainTest, APathThatNothingProvidesIsAnErrorOfThePlan) {
  Ready();
  spec_.exports = {Wanted("/quickOS/nowhere")};
  StepDriver driver(*domain_);
  EXPECT_THAT(Message(driver.Prepare({}, kRun)), HasSubstr("needs path:/quickOS/nowhere"));
}

TEST_F(NfsDomainTest, FirewallRulesAreForTheDeclaredClientsOnly) {
  Ready();
  WantSeed();
  spec_.exports.push_back(Wanted("/quickOS/local", "rw", {"127.0.0.1", "media.lan"}));
  MountSeed();
  StepDriver driver(*domain_);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(Ids(driver), ::testing::IsSupersetOf({"rule:10.0.0.0/24:2049/tcp", "rule:10.1.0.5:2049/tcp"}));
  EXPECT_THAT(driver.plan().steps, SizeIs(2 + 1 + 4));
  // NFSv3 can be let in only where mountd's port does not move.
  Write("/etc/nfs.conf", "[gssd]\nport=1\n[mountd]\n# port=5\nport = 32767\n");
  spec_.exports = {Wanted("/quickOS/shared-prod-data")};
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(Ids(driver), ::testing::IsSupersetOf({"rule:10.0.0.0/24:2049/tcp", "rule:10.0.0.0/24:111/tcp",
                                                    "rule:10.0.0.0/24:111/udp", "rule:10.0.0.0/24:32767/tcp",
                                                    "rule:10.0.0.0/24:32767/udp"}));
  const auto warns = [&] {
    return std::any_of(driver.plan().notes.begin(), driver.plan().notes.end(), [](const kit::Note& note) {
      return note.warning && note.text.find("get no locks") != std::string::npos;
    });
  };
  EXPECT_TRUE(warns());
  Write("/etc/nfs.conf", "[mountd]\nport=32767\n[statd]\nport=32765\n[lockd]\nport=32803\nudp-port=32769\n");
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_FALSE(warns());
  EXPECT_THAT(Ids(driver),
              ::testing::IsSupersetOf({"rule:10.0.0.0/24:32765/tcp", "rule:10.0.0.0/24:32803/tcp",
                                       "rule:10.0.0.0/24:32769/udp"}));
}

// NFSv3 gets its locks by statd, which may be down while the server runs.
TEST_F(NfsDomainTest, WhereNfs3IsServedStatdRuns) {
  Ready();
  WantSeed();
  MountSeed();
  ASSERT_TRUE(node_->Stop("rpc-statd.service", nullptr).ok());
  const std::string before = Dump();
  StepDriver driver(*domain_);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(Ids(driver), ::testing::Contains("unit:rpc-statd.service"));
  ASSERT_TRUE(driver.Apply().ok());
  EXPECT_TRUE(node_->Units({"rpc-statd.service"})->at("rpc-statd.service").active);
  ASSERT_TRUE(driver.Undo().ok());
  EXPECT_EQ(Dump(), before);
  Write("/etc/nfs.conf", "[nfsd]\nvers3 = N\n[mountd]\nport=32767\n");
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(Ids(driver), ::testing::Not(::testing::Contains("unit:rpc-statd.service")));
  EXPECT_THAT(Ids(driver), ::testing::Not(::testing::Contains("rule:10.0.0.0/24:111/tcp")));
}

TEST_F(NfsDomainTest, APortmapperThatMustNotRunIsToldWithTheWayOut) {
  Ready();
  spec_.exports = {Wanted("/quickOS/shared-prod-data")};
  MountSeed();
  Put("unit", "rpcbind.socket",
      {{"package", "rpcbind"}, {"enablement", "enabled"}, {"active", false}, {"masked", true}});
  StepDriver driver(*domain_);
  const absl::Status refused = driver.Prepare({}, kRun);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("rpcbind.socket is masked"), HasSubstr("vers3=n")));
  Write("/etc/nfs.conf", "[nfsd]\nvers3=n\n");
  EXPECT_TRUE(driver.Prepare({}, kRun).ok());
}

// On a bare node undo leaves what the plan named: the package. Of exports nothing is left.
TEST_F(NfsDomainTest, UndoOnABareNodeLeavesThePackageOnly) {
  ASSERT_TRUE(node::SeedNode(*machine_).ok());
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  ASSERT_TRUE(driver.Undo(true).ok());
  EXPECT_FALSE(files_->ReadDirectory(kExportsDirectory)->has_value());
  EXPECT_THAT(host_->Observe({})->live, IsEmpty());
  EXPECT_FALSE(node_->Units({"nfs-server.service"})->at("nfs-server.service").active);
  EXPECT_EQ(driver.plan().steps[0].step_class, kit::StepClass::kLossy);
  EXPECT_THAT(driver.plan().steps[0].remainder, HasSubstr("nfs-kernel-server"));
}

// Properties 1, 2 and 3: done twice is done once; failing after any step and undoing, once or twice, gives
// the node as it was before.
TEST_F(NfsDomainTest, AnyNumberOfStepsUndoneGivesTheNodeAsItWas) {
  Ready();
  Write("/etc/exports.d/mine.exports", "/srv/iso *(ro,no_subtree_check)\n");
  ASSERT_TRUE(host_->RunExportfs().ok());
  WantSeed();
  MountSeed();
  const std::string before = Dump();
  for (const bool repeat : {false, true}) {
    for (size_t count = 0;; ++count) {
      StepDriver driver(*domain_);
      ASSERT_TRUE(driver.Prepare({}, kRun).ok());
      const absl::Status applied = driver.Apply(count, repeat);
      ASSERT_TRUE(applied.ok()) << applied;
      const absl::Status undone = driver.Undo(repeat);
      ASSERT_TRUE(undone.ok()) << undone;
      ASSERT_EQ(Dump(), before) << count;
      if (count == driver.plan().steps.size()) break;
    }
  }
}

TEST_F(NfsDomainTest, ChangesAndRemovalsAreTakenBackToo) {
  Ready();
  WantSeed();
  MountSeed();
  StepDriver first(*domain_);
  Commit(first);
  const std::string before = Dump();
  spec_.exports[0].clients[0].options = {"ro"};
  spec_.exports[1] = Absent(spec_.exports[1].path);
  spec_.exports.push_back(Wanted("/quickOS/more"));
  MountZfs("/quickOS/more");
  const std::string with_mount = Dump();
  EXPECT_NE(with_mount, before);
  for (size_t count = 0; count <= 3; ++count) {
    StepDriver driver(*domain_);
    driver.ledger() = first.ledger();
    ASSERT_TRUE(driver.Prepare({}, kRun).ok());
    EXPECT_THAT(Ids(driver), ElementsAre("export:/quickOS/more", "export:/quickOS/shared-prod-data",
                                         "export:/quickOS/shared-prod-data-sync"));
    ASSERT_TRUE(driver.Apply(count).ok());
    ASSERT_TRUE(driver.Undo(count % 2 == 1).ok());
    EXPECT_EQ(Dump(), with_mount);
  }
  Commit(first);
  EXPECT_THAT(Read(kOwnFile), ::testing::Not(HasSubstr("shared-prod-data-sync")));
  EXPECT_EQ(first.ledger().count("export:/quickOS/shared-prod-data-sync"), 0u);
  ASSERT_TRUE(first.Prepare({}, kRun).ok());
  EXPECT_THAT(first.plan().steps, IsEmpty());
}

// A planned fault of every kind at every step: the step fails or not, and after undo the node is as it was.
TEST_F(NfsDomainTest, FaultsAtEveryStepLeaveNothingBehind) {
  Ready();
  WantSeed();
  MountSeed();
  const std::string before = Dump();
  for (const char* operation :
       {"nfs.make-file", "nfs.exportfs", "nfs.set-export:/quickOS/shared-prod-data",
        "nfs.set-export:/quickOS/shared-prod-data-sync", "nfs.set-export:/fastData/shared-bulk-data"}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      StepDriver driver(*domain_);
      ASSERT_TRUE(driver.Prepare({}, kRun).ok());
      ASSERT_TRUE(machine_->PlanFault(operation, effect).ok());
      const bool told = driver.Apply().ok();
      // exportfs's word is not asked for: where it has done its work, the step is done.
      EXPECT_EQ(told, std::string(operation) == "nfs.exportfs" && std::string(effect) == "lie")
          << operation << effect;
      const absl::Status undone = driver.Undo();
      ASSERT_TRUE(undone.ok()) << operation << " " << effect << ": " << undone;
      ASSERT_EQ(Dump(), before) << operation << " " << effect;
    }
  }
}

TEST_F(NfsDomainTest, AnInterruptedChangeIsPartialAndIsCompletedOrTakenBack) {
  Ready();
  spec_.exports = {Wanted("/quickOS/shared-prod-data")};
  MountSeed();
  const std::string before = Dump();
  for (const bool forward : {true, false}) {
    StepDriver driver(*domain_);
    ASSERT_TRUE(driver.Prepare({}, kRun).ok());
    ASSERT_TRUE(driver.Apply().ok());
    const kit::Step& step = driver.plan().steps.back();
    kit::StepContext context;
    context.run_id = kRun;
    context.captured = R"({"entry":null,"besides":[]})";
    // As a crash between the rename and exportfs leaves it.
    ASSERT_TRUE(host_->RestoreLive({step.resource}, {}, nullptr).ok());
    EXPECT_EQ(domain_->ProbeStep(step, context)->probe, kit::Probe::kPartial);
    if (forward) {
      ASSERT_TRUE(domain_->Do(step, context).ok());
      EXPECT_EQ(domain_->ProbeStep(step, context)->probe, kit::Probe::kDone);
    }
    // As a crash within the undo leaves it: the file without the entry, the table with it.
    const std::string with_entry = Read(kOwnFile);
    if (!forward) {
      ASSERT_TRUE(host_->RunExportfs().ok());
      ASSERT_TRUE(files_->Replace(kOwnFile, {with_entry.substr(0, with_entry.find('"')), 0, 0, 0644}).ok());
      EXPECT_EQ(domain_->ProbeStep(step, context)->probe, kit::Probe::kPartial);
    }
    ASSERT_TRUE(driver.Undo().ok());
    EXPECT_EQ(Dump(), before);
  }
}

TEST_F(NfsDomainTest, AChangeByOthersIsNeitherDoneOverNorUndone) {
  Ready();
  spec_.exports = {Wanted("/quickOS/shared-prod-data")};
  MountSeed();
  StepDriver driver(*domain_);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  std::string text = Read(kOwnFile);
  text.replace(text.find("(rw"), 3, "(ro");
  Write(kOwnFile, text);
  ASSERT_TRUE(host_->RunExportfs().ok());
  const std::string changed = Dump();
  const kit::Step& step = driver.plan().steps.back();
  kit::StepContext context;
  context.run_id = kRun;
  context.captured = R"({"entry":null,"besides":[]})";
  const auto probe = domain_->ProbeStep(step, context);
  EXPECT_EQ(probe->probe, kit::Probe::kForeign);
  EXPECT_THAT(probe->found, HasSubstr("(ro,"));
  EXPECT_EQ(domain_->Undo(step, context).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(domain_->Do(step, context).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Dump(), changed);
  EXPECT_THAT(
      domain_->RemainingCommands(step, context),
      ElementsAre(HasSubstr("the line of /quickOS/shared-prod-data must go"), "exportfs -r", "exportfs -s"));
}

TEST_F(NfsDomainTest, AnExportMadeByHandDuringTheRunIsNotCut) {
  Ready();
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(host_->RestoreLive({"/srv/iso"}, {{"/srv/iso", "10.0.0.9", {"rw"}}}, nullptr).ok());
  EXPECT_THAT(Message(driver.Apply()), HasSubstr("/srv/iso 10.0.0.9"));
  EXPECT_THAT(LiveOf(host_->Observe({})->live, "/srv/iso"), SizeIs(1));
}

TEST_F(NfsDomainTest, DriftOfTheServerIsPutRightAndTakenBack) {
  Ready();
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  // One export gone by hand, one with other options; a third one is new.
  auto live = host_->Observe({})->live;
  const std::string gone = spec_.exports[0].path, other = spec_.exports[1].path;
  auto changed = LiveOf(live, other);
  std::replace(changed[0].options.begin(), changed[0].options.end(), std::string("rw"), std::string("ro"));
  ASSERT_TRUE(host_->RestoreLive({gone, other}, changed, nullptr).ok());
  spec_.exports.push_back(Wanted("/quickOS/more"));
  MountZfs("/quickOS/more");
  const std::string before = Dump();
  for (size_t count = 0; count <= 2; ++count) {
    ASSERT_TRUE(driver.Prepare({}, kRun).ok());
    ASSERT_THAT(Ids(driver), ElementsAre("exports:live", "export:/quickOS/more"));
    EXPECT_THAT(driver.plan().steps[0].diffs, SizeIs(2));
    const absl::Status applied = driver.Apply(count, true);
    ASSERT_TRUE(applied.ok()) << applied;
    const absl::Status undone = driver.Undo(true);
    ASSERT_TRUE(undone.ok()) << undone;
    EXPECT_EQ(Dump(), before);
    driver.ledger().erase("export:/quickOS/more");
  }
  Commit(driver);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  EXPECT_THAT(driver.plan().steps, IsEmpty());
}

TEST_F(NfsDomainTest, AnExportMadeByHandOfADriftedPathIsNotCutByUndo) {
  Ready();
  spec_.exports = {Wanted("/quickOS/more")};
  MountZfs("/quickOS/more");
  StepDriver driver(*domain_);
  Commit(driver);
  ASSERT_TRUE(host_->RestoreLive({"/quickOS/more"}, {}, nullptr).ok());
  ASSERT_TRUE(driver.Prepare({}, kRun).ok() && driver.Apply().ok());
  const LiveExport ours = host_->Observe({})->live[0], theirs{ours.path, "10.9.9.9", {"ro"}};
  ASSERT_TRUE(host_->RestoreLive({ours.path}, {ours, theirs}, nullptr).ok());
  EXPECT_THAT(Message(driver.Undo()), HasSubstr("the server exports /quickOS/more 10.9.9.9"));
}

TEST_F(NfsDomainTest, OrphansStayExportedAndAreTold) {
  Ready();
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  const std::string orphan = spec_.exports[2].path;
  spec_.exports.pop_back();
  spec_.exports[0].clients[0].options = {"ro"};
  Commit(driver);
  EXPECT_THAT(Read(kOwnFile), HasSubstr("\"" + orphan + "\""));
  EXPECT_THAT(LiveOf(host_->Observe({})->live, orphan), SizeIs(2));
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_THAT(driver.plan().notes, SizeIs(::testing::Ge(1u)));
  EXPECT_TRUE(std::any_of(driver.plan().notes.begin(), driver.plan().notes.end(), [&](const kit::Note& note) {
    return note.warning && note.text.find("orphaned: " + orphan) == 0;
  }));
  kit::PlanInput local;
  local.local = true;
  ASSERT_TRUE(driver.Prepare(local, kRun).ok());
  for (const auto& note : driver.plan().notes) EXPECT_THAT(note.text, ::testing::Not(HasSubstr("orphaned")));
}

// Trap 16: nothing is restarted, and where nothing changes not even exportfs runs.
TEST_F(NfsDomainTest, Trap16_AnEqualPlanDoesNothing) {
  Ready();
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  const std::string before = Dump();
  Commit(driver);
  EXPECT_EQ(Dump(), before);
  for (const kit::Step& step : driver.plan().steps) ADD_FAILURE() << step.id;
}

// Trap 15: hand-made lines are neither lost nor doubled, here or in other files.
TEST_F(NfsDomainTest, Trap15_OtherFilesKeepTheirBytesAndTheirExports) {
  Ready();
  const std::string mine = "# mine\n/srv/iso  *(ro) # end";
  Write("/etc/exports", mine);
  Write("/etc/exports.d/zfs.exports", "/quickOS/by-zfs *(sec=sys,rw,crossmnt,no_subtree_check)\n");
  ASSERT_TRUE(host_->RunExportfs().ok());
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  EXPECT_EQ(Read("/etc/exports"), mine);
  EXPECT_THAT(LiveOf(host_->Observe({})->live, "/srv/iso"), SizeIs(1));
  spec_.exports.push_back(Wanted("/srv/iso"));
  spec_.exports.push_back(Wanted("/quickOS/by-zfs"));
  const absl::Status refused = driver.Prepare({}, kRun);
  EXPECT_THAT(Message(refused), AllOf(HasSubstr("/etc/exports line 2"), HasSubstr("sharenfs")));
}

TEST_F(NfsDomainTest, ANewFileBesidesOursKeepsTheDirectory) {
  Ready();
  spec_.exports = {Wanted("/quickOS/shared-prod-data")};
  MountSeed();
  StepDriver driver(*domain_);
  ASSERT_TRUE(driver.Prepare({}, kRun).ok());
  ASSERT_TRUE(driver.Apply().ok());
  Write("/etc/exports.d/new.exports", "/srv/iso *(ro)\n");
  ASSERT_TRUE(host_->RunExportfs().ok());
  const absl::Status undone = driver.Undo(true);
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Read("/etc/exports.d/new.exports"), "/srv/iso *(ro)\n");
  EXPECT_THAT(LiveOf(host_->Observe({})->live, "/srv/iso"), SizeIs(1));
  EXPECT_FALSE(files_->Read(kOwnFile)->has_value());
}

TEST_F(NfsDomainTest, AnExportWhosePathGoesMustGoItself) {
  Ready();
  spec_.exports = {Wanted("/quickOS/shared-prod-data")};
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  kit::PlanInput input;
  input.removed_keys = {"path:/quickOS"};
  const auto refused = [&] {
    std::vector<std::string> fields;
    const absl::Status status = driver.Prepare(input, kRun);
    EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status)) << status;
    for (const auto& violation : ViolationsOf(status)) fields.push_back(violation.field);
    return fields;
  };
  EXPECT_THAT(refused(), ElementsAre("exports[/quickOS/shared-prod-data]"));
  spec_.exports = {Absent("/quickOS/shared-prod-data")};
  // Clients of exports that are not ours would be cut off just the same.
  Write("/etc/exports", "/quickOS/iso *(ro)\n/srv *(ro)\n");
  EXPECT_THAT(refused(), ElementsAre("exports[/quickOS/iso]"));
  ASSERT_TRUE(files_->Remove("/etc/exports").ok());
  ASSERT_TRUE(driver.Prepare(input, kRun).ok());
  ASSERT_THAT(Ids(driver), ElementsAre("export:/quickOS/shared-prod-data"));
  EXPECT_THAT(driver.plan().steps[0].requires_keys,
              ElementsAre(kit::Requirement{"path:/quickOS/shared-prod-data", true}));
  EXPECT_THAT(driver.plan().steps[0].removes, ElementsAre("export:/quickOS/shared-prod-data"));
}

TEST_F(NfsDomainTest, N7_ConnectedClientsAreReadFromTheKernel) {
  Ready();
  for (const char* path : {"/proc", "/proc/fs", "/proc/fs/nfsd", "/proc/fs/nfsd/clients",
                           "/proc/fs/nfsd/clients/3", "/proc/fs/nfsd/clients/9"}) {
    ASSERT_TRUE(files_->MakeDirectory(path, {}).ok());
  }
  Write("/proc/fs/nfsd/clients/3/info", "clientid: 0x1\naddress: \"10.0.0.5:872\"\nstatus: confirmed\n");
  Write("/proc/fs/nfsd/clients/9/info", "clientid: 0x2\naddress: \"[fd00::7]:872\"\n");
  EXPECT_THAT(host_->Observe({})->connected, ElementsAre("10.0.0.5", "[fd00::7]"));
  const std::string first = domain_->MakePlan({})->base_fingerprint;
  ASSERT_TRUE(files_->Remove("/proc/fs/nfsd/clients/3/info").ok());
  EXPECT_EQ(domain_->MakePlan({})->base_fingerprint, first);
}

TEST_F(NfsDomainTest, VerifyMountsWhereTheNodeIsItsOwnClient) {
  Ready();
  Put("nfs.address", "10.0.0.11", {});
  spec_.exports = {Wanted("/quickOS/a", "rw,no_root_squash"), Wanted("/quickOS/b", "rw"),
                   Wanted("/quickOS/c", "rw,sec=krb5"), Wanted("/quickOS/d", "rw", {"192.168.0.0/24"})};
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  const std::string before = Dump();
  const auto report = Verify(driver);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->probes, ElementsAre("/quickOS/a: NFSv4 mount from 10.0.0.11, root may write",
                                          "/quickOS/b: NFSv4 mount from 10.0.0.11, root may read"));
  EXPECT_THAT(report->not_probed, ElementsAre(HasSubstr("/quickOS/c: not probed by a mount: "),
                                              HasSubstr("/quickOS/d: not probed by a mount: ")));
  EXPECT_EQ(Dump(), before);
  ASSERT_TRUE(machine_->PlanFault("nfs.mount:/quickOS/b", "fail").ok());
  EXPECT_THAT(Message(Verify(driver).status()),
              HasSubstr("/quickOS/b: NFSv4 mount of 10.0.0.11:/quickOS/b failed"));
}

// exports(5): a host comes before the network around it, wherever the two stand.
TEST_F(NfsDomainTest, VerifyAsksOfEachAddressWhatTheServerGivesIt) {
  Ready();
  Put("nfs.address", "10.0.0.11", {});
  ExportSpec wanted = Wanted("/quickOS/a", "rw,no_root_squash", {"10.0.0.0/24"});
  wanted.clients.push_back({"10.0.0.11", {"ro"}});
  spec_.exports = {wanted};
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  const auto report = Verify(driver);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->probes, ElementsAre("/quickOS/a: NFSv4 mount from 10.0.0.11, root may read"));
}

// N6: a file system that is not mounted is not exported, and Verify says so.
TEST_F(NfsDomainTest, N6_VerifyFindsAnUnmountedFileSystem) {
  Ready();
  Put("nfs.address", "10.0.0.11", {});
  spec_.exports = {Wanted("/quickOS/a")};
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  Put("zfs.dataset", "quickOS/a", {{"mounted", ""}});
  EXPECT_FALSE(Verify(driver).ok());
}

TEST_F(NfsDomainTest, VerifyFindsATableThatSaysOtherwise) {
  Ready();
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  ASSERT_TRUE(host_->RestoreLive({spec_.exports[0].path}, {}, nullptr).ok());
  EXPECT_THAT(Message(Verify(driver).status()), HasSubstr("is not exported to 10.0.0.0/24"));
}

TEST_F(NfsDomainTest, ObserveTellsOursForeignAndHandMade) {
  Ready();
  Write("/etc/exports", "/srv/iso *(ro)\n");
  spec_.exports = {Wanted("/quickOS/a", "rw")};
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  ASSERT_TRUE(host_->RestoreLive({"/srv/x"}, {{"/srv/x", "10.0.0.9", {"rw"}}}, nullptr).ok());
  const auto fields = domain_->Observe({});
  ASSERT_TRUE(fields.ok());
  std::vector<std::string> lines;
  for (const auto& field : *fields) {
    if (field.field.starts_with("active"))
      lines.push_back(field.key + " " + field.field + " " + field.value + " " + field.source);
  }
  EXPECT_THAT(lines, ElementsAre("export:/quickOS/a active 10.0.0.0/24 yes /etc/exports.d/phoenix.exports",
                                 "export:/srv/iso active * yes /etc/exports",
                                 "export:/srv/x active 10.0.0.9 yes by hand"));
  EXPECT_THAT(*domain_->Observe({"export:/srv/iso"}), SizeIs(2));
}

TEST_F(NfsDomainTest, TheFingerprintFollowsTheStateAndNothingElse) {
  Ready();
  WantSeed();
  MountSeed();
  const std::string first = domain_->MakePlan({})->base_fingerprint;
  EXPECT_EQ(domain_->MakePlan({})->base_fingerprint, first);
  EXPECT_EQ(kit::PlanDigest(*domain_->MakePlan({})), kit::PlanDigest(*domain_->MakePlan({})));
  Write("/etc/exports", "/srv/iso *(ro)\n");
  EXPECT_NE(domain_->MakePlan({})->base_fingerprint, first);
}

TEST_F(NfsDomainTest, APowerCutKeepsWhatWasAnswered) {
  Ready();
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  const std::string text = Read(kOwnFile);
  ASSERT_TRUE(machine_->PowerCut().ok());
  EXPECT_EQ(Read(kOwnFile), text);
}

// A storage that makes its folders in an exported dataset cuts nobody off.
TEST_F(NfsDomainTest, ClientsWaitWhereAPathIsDisturbedNotWhereItIsWrittenInto) {
  Ready();
  Write("/etc/nfs.conf", "[nfsd]\nvers3=n\n");
  WantSeed();
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  kit::PlanInput input;
  input.disturbed_keys = {"content:/quickOS/shared-prod-data", "content:/quickOS"};
  EXPECT_THAT(domain_->MakePlan(input)->notes, IsEmpty());
  input.disturbed_keys.push_back("path:/quickOS/shared-prod-data");
  const auto notes = domain_->MakePlan(input)->notes;
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0].text, HasSubstr("will wait"));
}

}  // namespace
}  // namespace phoenix::nfs
