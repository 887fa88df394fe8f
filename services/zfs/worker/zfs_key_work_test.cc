// Encryption roots: made with their key, loaded after a reboot, undone with and without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_domain.h"
#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::StepDriver;

constexpr char kRoot[] = "tank/secure";
constexpr char kBelow[] = "tank/secure/below";
constexpr char kOtherRun[] = "00000000-0000-4000-8000-000000000002";

class KeyWorkTest : public ::testing::Test {
 protected:
  KeyWorkTest() {
    spec_.pools = {{"tank", "mirror", {kDiskA, kDiskB}, {}, "zfs.pools[0]"}};
    spec_.datasets = {
        {.name = kRoot, .origin = "zfs.datasets[0]", .encryption = EncryptionSpec{"zfs/secure", "", ""}},
        {.name = kBelow, .origin = "zfs.datasets[1]"}};
  }

  void SetUpAndReboot() {
    machine_.SetUp(spec_, driver_);
    Reboot();
  }
  void Reboot() { TestMachine::Must(LockFromOutside(machine_.machine(), "tank")); }
  void Prepare(const std::string& run = kOtherRun) {
    TestMachine::Must(driver_.Prepare(machine_.Input(spec_), run));
  }
  std::vector<std::string> Steps() {
    std::vector<std::string> ids;
    for (const auto& step : driver_.plan().steps) ids.push_back(step.id);
    return ids;
  }
  std::vector<std::string> Notes() {
    std::vector<std::string> notes;
    for (const auto& note : driver_.plan().notes) notes.push_back(note.text);
    return notes;
  }
  std::string Refusal() {
    const std::string before = machine_.Dump();
    const absl::Status status = driver_.Prepare(machine_.Input(spec_), kOtherRun);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(machine_.Dump(), before);
    return Message(status);
  }
  void Verify() {
    const kit::VerifyInput input{.applied = driver_.plan().steps, .secrets = nullptr};
    TestMachine::Must(machine_.domain().Verify(input).status());
  }
  void Change(const ZfsChange& change) { TestMachine::Must(machine_.host().Change(change, nullptr)); }
  void Load(const std::string& root = kRoot) { Change(LoadKey{root, "passphrase", Secret("correct horse")}); }
  std::string KeyStatus(const std::string& name = kRoot) { return machine_.Dataset(name).Value("keystatus"); }

  TestMachine machine_;
  StepDriver driver_{machine_.domain()};
  ZfsSpec spec_;
};

TEST_F(KeyWorkTest, ANewRootIsMadeWithItsKeyAndWhatLiesBelowInheritsIt) {
  machine_.SetUp(spec_, driver_);
  EXPECT_EQ(machine_.Dataset(kRoot).Value("encryption"), "aes-256-gcm");
  EXPECT_EQ(machine_.Dataset(kRoot).Value("keyformat"), "passphrase");
  EXPECT_EQ(machine_.Dataset(kRoot).Value("keylocation"), "prompt");
  EXPECT_EQ(machine_.Dataset(kRoot).LocalValue(kRunMark), kRun);
  EXPECT_EQ(machine_.Dataset(kBelow).Value("encryptionroot"), kRoot);
  EXPECT_EQ(machine_.Dataset(kBelow).mounted_at, "/tank/secure/below");
  Prepare();
  EXPECT_THAT(Steps(), ElementsAre());
  EXPECT_THAT(Notes(), ElementsAre("key: unchanged"));
}

TEST_F(KeyWorkTest, TheRootDatasetOfANewPoolCanBeOne) {
  spec_.datasets = {{.name = "tank", .encryption = EncryptionSpec{"zfs/other", "raw", "aes-256-ccm"}},
                    {.name = "tank/a"}};
  const std::string before = machine_.Dump();
  machine_.SetUp(spec_, driver_);
  EXPECT_EQ(machine_.Dataset("tank/a").Value("encryptionroot"), "tank");
  Reboot();
  Prepare();
  EXPECT_THAT(Steps(), ElementsAre("key:tank"));
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(machine_.Dataset("tank/a").mounted_at, "/tank/a");
}

TEST_F(KeyWorkTest, AfterARebootTheKeyIsLoadedAndNothingElse) {
  SetUpAndReboot();
  EXPECT_EQ(machine_.Dataset(kBelow).mounted_at, "");
  const std::string before = machine_.Dump();
  for (const bool undo : {true, false}) {
    Prepare();
    ASSERT_THAT(Steps(), ElementsAre("key:tank/secure"));
    const kit::Step& step = driver_.plan().steps[0];
    EXPECT_EQ(step.step_class, kit::StepClass::kConfig);
    EXPECT_THAT(step.secrets, ElementsAre("zfs/secure"));
    EXPECT_THAT(step.commands, ElementsAre("zfs load-key -L prompt tank/secure < (secret)",
                                           "zfs mount tank/secure", "zfs mount tank/secure/below"));
    EXPECT_THAT(step.payload, Not(HasSubstr("correct horse")));
    EXPECT_THAT(step.payload, ::testing::ContainsRegex("\"mac\":\"[0-9a-f]{4}\""))
        << "a journal is no place to try passphrases on";
    EXPECT_THAT(step.provides, ::testing::IsSupersetOf({"key:tank/secure", "dataset:tank/secure",
                                                        "dataset:tank/secure/below", "path:/tank/secure",
                                                        "path:/tank/secure/below"}));
    TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
    EXPECT_EQ(KeyStatus(), "available");
    EXPECT_EQ(machine_.Dataset(kBelow).mounted_at, "/tank/secure/below");
    if (!undo) break;
    TestMachine::Must(driver_.Undo(/*repeat=*/true));
    EXPECT_EQ(machine_.Dump(), before);
  }
  TestMachine::Must(driver_.Commit());
  Prepare("a third run");
  EXPECT_THAT(Steps(), ElementsAre());
}

TEST_F(KeyWorkTest, AWrongKeyIsFoundWhenPlanningLoadedOrNot) {
  machine_.SetUp(spec_, driver_);
  machine_.secrets["zfs/secure"] = Secret("wrong horse");
  for (const bool locked : {false, true}) {
    if (locked) Reboot();
    EXPECT_THAT(Refusal(),
                AllOf(HasSubstr("zfs.datasets[0].encryption.key: the secret 'zfs/secure' is not the key of "
                                "tank/secure; Phoenix changes no keys"),
                      HasSubstr("zfs change-key tank/secure"), Not(HasSubstr("wrong horse")),
                      Not(HasSubstr("mounted"))));
  }
}

TEST_F(KeyWorkTest, WithoutTheSecretOnlyWhatNeedsItIsRefused) {
  const Secrets all = machine_.secrets;
  machine_.secrets.clear();
  EXPECT_THAT(Refusal(), HasSubstr("the secret 'zfs/secure' was not given"));
  machine_.secrets = all;
  machine_.SetUp(spec_, driver_);
  machine_.secrets.clear();
  Prepare();
  EXPECT_THAT(Steps(), ElementsAre());
  EXPECT_THAT(Notes(), ElementsAre("key: not compared, its secret was not given"));
  Reboot();
  const std::string refusal = Refusal();
  EXPECT_THAT(refusal, HasSubstr("the key of tank/secure is not loaded, as after every reboot: the secret "
                                 "'zfs/secure' was not given"));
  EXPECT_THAT(refusal, Not(HasSubstr("tank/secure/below"))) << "one cause, one error";
}

TEST_F(KeyWorkTest, ASecretThatChangedSinceThePlanIsNotUsed) {
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), kRun));
  TestMachine::Must(driver_.Apply(1));
  const kit::Step& step = driver_.StepAt(1);
  ASSERT_EQ(step.id, "dataset:tank/secure");
  const Secrets other = {{"zfs/secure", Secret("another horse")}};
  kit::StepContext context{.run_id = kRun, .captured = "{}", .secrets = &other};
  context.node_key = Secret("test node key");
  const absl::Status status = machine_.domain().Do(step, context);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_THAT(Message(status), AllOf(HasSubstr("'zfs/secure'"), Not(HasSubstr("another"))));
  EXPECT_FALSE(machine_.Exists(kRoot));
}

// Somebody loaded it by hand, or a boot unit did: then there is nothing to do, and nothing to undo.
TEST_F(KeyWorkTest, AKeyThatSomebodyLoadedMeanwhileStopsTheRun) {
  SetUpAndReboot();
  Prepare();
  Load();
  EXPECT_EQ(driver_.Apply().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(KeyStatus(), "available");
}

// Proxmox VE's `zfs mount -a`, between our look and each of our mounts.
class MountingAllHost : public ZfsHost {
 public:
  explicit MountingAllHost(ZfsHost& host) : host_(host) {}
  std::map<std::string, std::string> Versions() override { return host_.Versions(); }
  absl::StatusOr<ZfsState> Observe(const ObserveRequest& request) override { return host_.Observe(request); }
  absl::Status Change(const ZfsChange& change, const ChildObserver& on_child) override {
    if (std::holds_alternative<MountDataset>(change)) {
      for (const char* name : {kRoot, kBelow}) (void)host_.Change(MountDataset{name}, on_child);
    }
    absl::Status status = host_.Change(change, on_child);
    refused += status.ok() ? 0 : 1;
    return status;
  }
  int refused = 0;

 private:
  ZfsHost& host_;
};

TEST_F(KeyWorkTest, WhatOthersMountRightAfterTheKeyIsLoadedIsMounted) {
  SetUpAndReboot();
  MountingAllHost host(machine_.host());
  ZfsDomain domain(host, machine_.clock(), [this](std::string_view, std::string_view) { return spec_; });
  StepDriver driver(domain);
  driver.ledger() = driver_.ledger();
  TestMachine::Must(driver.Prepare(machine_.Input(spec_), kOtherRun));
  TestMachine::Must(driver.Apply());
  EXPECT_EQ(host.refused, 1) << "ours came too late";
  EXPECT_EQ(machine_.Dataset(kRoot).mounted_at, "/tank/secure");
  EXPECT_EQ(machine_.Dataset(kBelow).mounted_at, "/tank/secure/below");
  // Where it is not mounted, what zfs said stays an error.
  Reboot();
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), "another run"));
  TestMachine::Must(machine_.machine().PlanFault("zfs.mount", "fail"));
  EXPECT_THAT(Message(driver_.Apply()), HasSubstr("planned fault: zfs.mount"));
}

TEST_F(KeyWorkTest, WhatOthersMountedMeanwhileKeepsTheKeyLoaded) {
  // Unmounting the root itself would take along what is mounted below it.
  spec_.datasets[0].properties = {{"canmount", "off"}};
  spec_.datasets.push_back(
      {.name = "tank/secure/quiet", .properties = {{"canmount", "noauto"}, {"mountpoint", "/quiet"}}});
  SetUpAndReboot();
  Prepare();
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(machine_.Dataset("tank/secure/quiet").mounted_at, "");
  Change(MountDataset{"tank/secure/quiet"});
  EXPECT_THAT(Message(driver_.Undo()),
              AllOf(HasSubstr("undo key:tank/secure"), HasSubstr("Key unload error"), HasSubstr("is busy")));
  EXPECT_EQ(KeyStatus(), "available");
  Change(UnmountDataset{"tank/secure/quiet"});
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(KeyStatus(), "unavailable");
}

TEST_F(KeyWorkTest, WhatIsOpenKeepsItsMountAndTheKeyLoaded) {
  SetUpAndReboot();
  Prepare();
  TestMachine::Must(driver_.Apply());
  machine_.Edit("zfs.dataset", kBelow, [](nlohmann::json& dataset) { dataset["busy"] = true; });
  EXPECT_THAT(Message(driver_.Undo()), HasSubstr("busy"));
  EXPECT_EQ(KeyStatus(), "available");
}

// A disk less is no reason to leave the data locked.
TEST_F(KeyWorkTest, AKeyIsLoadedInADegradedPool) {
  spec_.datasets = {{.name = "tank", .encryption = EncryptionSpec{"zfs/secure", "", ""}}};
  SetUpAndReboot();
  TestMachine::Must(SetPoolHealth(machine_.machine(), "tank", "DEGRADED"));
  Prepare();
  ASSERT_THAT(Steps(), ElementsAre("key:tank"));
  EXPECT_THAT(driver_.plan().steps[0].provides, ::testing::Contains("pool:tank"));
  TestMachine::Must(driver_.Apply());
  Verify();
}

TEST_F(KeyWorkTest, AMountPointMayChangeInTheRunThatLoadsTheKey) {
  SetUpAndReboot();
  spec_.datasets[1].properties = {{"mountpoint", "/elsewhere"}};
  Prepare();
  ASSERT_THAT(Steps(), ElementsAre("key:tank/secure", "properties:tank/secure/below"));
  EXPECT_THAT(driver_.plan().steps[0].provides, Not(::testing::Contains("path:/tank/secure/below")));
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(machine_.Dataset(kBelow).mounted_at, "/elsewhere");
  Verify();
}

TEST_F(KeyWorkTest, WhatIsLockedByAKeyThatIsNotDeclaredIsNamedWithTheWayOut) {
  SetUpAndReboot();
  spec_.datasets = {{.name = kBelow, .origin = "zfs.datasets[0]"}, {.name = "tank/secure/new"}};
  const std::string refusal = Refusal();
  EXPECT_THAT(refusal, HasSubstr("tank/secure/below cannot be mounted: the key of tank/secure is not loaded; "
                                 "declare `encryption` of tank/secure with its key, or: zfs load-key "
                                 "tank/secure"));
  EXPECT_THAT(refusal,
              HasSubstr("tank/secure/new cannot be made while the key of tank/secure is not loaded"));
}

// Whatever was written there while it was not mounted would be hidden.
TEST_F(KeyWorkTest, AFullMountDirectoryIsRefused) {
  SetUpAndReboot();
  machine_.WriteFile("/tank/secure/letter");
  EXPECT_THAT(Refusal(), HasSubstr("directory /tank/secure is not empty"));
}

TEST_F(KeyWorkTest, OwnersAndFilesInItAreLeftToTheNextSetup) {
  SetUpAndReboot();
  spec_.datasets[0].group = "heads";
  spec_.datasets[1].files = {{.path = "a", .content = "b", .owner = "", .group = "", .mode = ""}};
  Prepare();
  ASSERT_THAT(Steps(), ElementsAre("key:tank/secure"));
  EXPECT_THAT(Notes(), ::testing::Each(HasSubstr("can be compared only once its key is loaded")));
  TestMachine::Must(driver_.Apply());
  const auto applied = driver_.plan().steps;
  // What Verify sees does not fail the run.
  kit::PlanInput input = machine_.Input(spec_);
  input.ledger = driver_.ledger();
  const auto again = machine_.domain().MakePlan(input);
  TestMachine::Must(again.status());
  ASSERT_EQ(again->steps.size(), 2u);
  for (const auto& step : again->steps) {
    EXPECT_TRUE(machine_.domain().ComesToLight(step, applied)) << step.id;
    EXPECT_FALSE(machine_.domain().ComesToLight(step, {})) << step.id;
  }
}

TEST_F(KeyWorkTest, AnImportedPoolGetsItsKeysInTheSameRun) {
  machine_.SetUp(spec_, driver_);
  TestMachine::Must(ExportFromOutside(machine_.machine(), "tank"));
  const std::string before = machine_.Dump();
  for (const bool undo : {true, false}) {
    Prepare();
    ASSERT_THAT(Steps(), ElementsAre("import:tank", "key:tank/secure"));
    TestMachine::Must(driver_.Apply());
    EXPECT_EQ(machine_.Dataset(kBelow).mounted_at, "/tank/secure/below");
    Verify();
    if (!undo) break;
    TestMachine::Must(driver_.Undo());
    EXPECT_EQ(machine_.Dump(), before);
  }
  machine_.secrets["zfs/secure"] = Secret("wrong horse");
  TestMachine::Must(ExportFromOutside(machine_.machine(), "tank"));
  Prepare();
  const absl::Status status = driver_.Apply();
  EXPECT_THAT(Message(status), AllOf(HasSubstr("the secret 'zfs/secure' does not open tank/secure"),
                                     Not(HasSubstr("wrong horse"))));
}

// What is declared and what is in a pool that nobody could look into may differ: the next plan says how.
TEST_F(KeyWorkTest, AnImportedPoolMayHoldOtherThanWhatIsDeclared) {
  machine_.SetUp(spec_, driver_);
  Change(CreateDataset{"tank/plain", 0, {}});
  TestMachine::Must(ExportFromOutside(machine_.machine(), "tank"));
  const std::string before = machine_.Dump();
  const EncryptionSpec encryption{"zfs/other", "raw", ""};
  spec_.datasets[1].properties = {{"mountpoint", "/elsewhere"}};
  spec_.datasets.push_back({.name = "tank/secure/none"});
  spec_.datasets.push_back({.name = "tank/new", .encryption = encryption});
  spec_.datasets.push_back({.name = "tank/plain", .origin = "zfs.datasets[4]", .encryption = encryption});
  for (const bool undo : {true, false}) {
    Prepare();
    ASSERT_EQ(Steps().size(), 4u);
    TestMachine::Must(driver_.Apply(4, /*repeat=*/true));
    EXPECT_EQ(machine_.Dataset(kBelow).mounted_at, "/tank/secure/below");
    Verify();
    if (!undo) break;
    TestMachine::Must(driver_.Undo(/*repeat=*/true));
    EXPECT_EQ(machine_.Dump(), before);
  }
  const auto rolled_back = driver_.LookBackOn("key:tank/new");
  EXPECT_EQ(rolled_back->kind, kit::Retrospect::Kind::kStays);
  EXPECT_EQ(rolled_back->reason, "no key of tank/new was loaded: it is not there");
  EXPECT_EQ(driver_.LookBackOn("key:tank/secure")->kind, kit::Retrospect::Kind::kReversible);
  EXPECT_THAT(Refusal(), HasSubstr("tank/plain exists and is not encrypted"));
  spec_.datasets.pop_back();
  Prepare("a third run");
  EXPECT_THAT(Steps(), ::testing::UnorderedElementsAre("properties:tank/secure/below",
                                                       "dataset:tank/secure/none", "dataset:tank/new"));
}

// Keys are in memory only, and the pool's memory goes with it.
TEST_F(KeyWorkTest, ADestroyedPoolComesBackLockedAndSaysHowItIsOpened) {
  const EncryptionSpec encryption{"zfs/secure", "", ""};
  spec_.datasets = {{.name = "tank", .encryption = encryption}, {.name = "tank/a"}};
  machine_.SetUp(spec_, driver_);
  ZfsSpec gone;
  gone.pools = spec_.pools;
  gone.datasets = {{.name = "tank/a", .presence = Presence::kAbsent}};
  gone.pools[0].presence = Presence::kAbsent;
  TestMachine::Must(driver_.Prepare(machine_.Input(gone), kOtherRun));
  ASSERT_THAT(Steps(), ::testing::UnorderedElementsAre("destroy:tank", "delete:tank/a"));
  const std::string by_hand = "zfs load-key tank && zfs mount tank && zfs mount tank/a";
  for (const auto& step : driver_.plan().steps) {
    if (step.id == "destroy:tank") EXPECT_THAT(step.remainder, HasSubstr("or by hand: " + by_hand));
  }
  TestMachine::Must(driver_.Apply());
  EXPECT_THAT(driver_.RemainingOfLast(),
              ElementsAre(HasSubstr("zpool import"), "zfs load-key -L prompt tank", "zfs mount tank"));
  TestMachine::Must(driver_.Undo(/*repeat=*/true));
  EXPECT_EQ(KeyStatus("tank/a"), "unavailable");
  EXPECT_THAT(driver_.left(), ElementsAre(AllOf(HasSubstr("without the keys"), HasSubstr(by_hand))));
  driver_.ledger().clear();
  for (const char* mark : {"tank", "tank/a"}) Change(InheritProperty{mark, std::string(kRunMark), false});
  Prepare("a third run");
  ASSERT_THAT(Steps(), ElementsAre("key:tank"));
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(machine_.Dataset("tank/a").mounted_at, "/tank/a");
}

// The node went down after the run had made it: nobody can look into it any more.
TEST_F(KeyWorkTest, ANewRootThatIsLockedByThenIsKept) {
  spec_.datasets.pop_back();
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), kRun));
  TestMachine::Must(driver_.Apply());
  Reboot();
  const absl::Status status = driver_.Undo();
  EXPECT_FALSE(machine_.Exists(kRoot));
  EXPECT_TRUE(machine_.Exists(std::string("tank/.phoenix/kept/") + kRun + "/secure")) << status;
}

TEST_F(KeyWorkTest, ANewChildThatIsLockedByThenGoesWithItsNewRoot) {
  ZfsSpec pool;
  pool.pools = spec_.pools;
  machine_.SetUp(pool, driver_);
  Prepare();
  ASSERT_EQ(Steps().size(), 2u);
  TestMachine::Must(driver_.Apply());
  Reboot();
  TestMachine::Must(driver_.Undo(/*repeat=*/true));
  EXPECT_FALSE(machine_.Exists(kRoot));
  EXPECT_TRUE(machine_.Exists(std::string("tank/.phoenix/kept/") + kOtherRun + "/secure/below"));
}

TEST_F(KeyWorkTest, ANewChildThatIsLockedByThenSaysWhatIsNeeded) {
  machine_.SetUp(spec_, driver_);
  spec_.datasets.push_back({.name = "tank/secure/new"});
  Prepare();
  TestMachine::Must(driver_.Apply());
  Reboot();
  const absl::Status status = driver_.Undo();
  EXPECT_THAT(Message(status),
              AllOf(HasSubstr("the key of tank/secure is not loaded; zfs load-key tank/secure && zfs mount "
                              "tank/secure/new"),
                    HasSubstr("cannot leave that")));
  EXPECT_EQ(machine_.Dataset("tank/secure/new").LocalValue("canmount"), "");
  EXPECT_THAT(driver_.RemainingOfLast(), ElementsAre("zfs load-key -L prompt tank/secure",
                                                     "zfs mount tank/secure", "zfs mount tank/secure/new"));
  Load();
  Change(MountDataset{kRoot});
  TestMachine::Must(driver_.Undo());
  EXPECT_FALSE(machine_.Exists("tank/secure/new"));
}

// Nobody is told to destroy what others wrote.
TEST_F(KeyWorkTest, WhatOthersWroteBelowAnOlderRootStaysAndIsNotToBeDestroyed) {
  machine_.SetUp(spec_, driver_);
  spec_.datasets.push_back({.name = "tank/secure/new"});
  Prepare();
  TestMachine::Must(driver_.Apply());
  EXPECT_THAT(driver_.RemainingOfLast(), ElementsAre("zfs destroy tank/secure/new")) << "nothing is in it";
  machine_.WriteFile("/tank/secure/new/letter");
  EXPECT_THAT(Message(driver_.Undo()), HasSubstr("cannot leave that"));
  EXPECT_THAT(driver_.RemainingOfLast(), Not(::testing::Contains(HasSubstr("destroy"))));
}

TEST_F(KeyWorkTest, ANewPoolThatIsLockedByThenSaysWhatIsNeeded) {
  spec_.datasets = {{.name = "tank", .encryption = EncryptionSpec{"zfs/secure", "", ""}}};
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), kRun));
  TestMachine::Must(driver_.Apply());
  Reboot();
  EXPECT_THAT(Message(driver_.Undo()), HasSubstr("the key of tank is not loaded"));
  EXPECT_THAT(driver_.RemainingOfLast(), ElementsAre("zfs load-key -L prompt tank", "zfs mount tank"));
  Load("tank");
  TestMachine::Must(driver_.Undo());
  EXPECT_FALSE(machine_.Exists("tank"));
}

// What others wrote into it since the commit nobody can tell.
TEST_F(KeyWorkTest, WhatIsLockedIsNotRolledBack) {
  ZfsSpec pool;
  pool.pools = spec_.pools;
  machine_.SetUp(pool, driver_);
  spec_.datasets[0].properties = {{"canmount", "off"}};
  Prepare();
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  Reboot();
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kPartial);
  EXPECT_THAT(driver_.ProbeLast()->found, HasSubstr("zfs load-key tank/secure"));
  for (const char* id : {"dataset:tank/secure", "dataset:tank/secure/below"}) {
    const auto back = driver_.LookBackOn(id);
    EXPECT_EQ(back->kind, kit::Retrospect::Kind::kObstacle) << id;
    EXPECT_THAT(back->reason, HasSubstr("zfs load-key tank/secure"));
  }
  Load();
  Change(MountDataset{kBelow});
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kDone);
  EXPECT_EQ(driver_.LookBackOn("dataset:tank/secure")->kind, kit::Retrospect::Kind::kReversible);
}

// A rollback needs no key, a mount does: that is left to the next setup.
TEST_F(KeyWorkTest, WhatChangedInADatasetThatIsLockedByThenIsUndoneWithoutItsKey) {
  machine_.SetUp(spec_, driver_);
  spec_.datasets[1].files = {{.path = "a", .content = "b", .owner = "", .group = "", .mode = ""}};
  spec_.datasets[1].properties = {{"mountpoint", "/srv/elsewhere"}};
  Prepare();
  TestMachine::Must(driver_.Apply());
  Reboot();
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dataset(kBelow).Value("mountpoint"), "/tank/secure/below");
  spec_.datasets[1].files.clear();
  spec_.datasets[1].properties.clear();
  Prepare("a third run");
  ASSERT_THAT(Steps(), ElementsAre("key:tank/secure"));
  TestMachine::Must(driver_.Apply());
  EXPECT_THAT(machine_.Dump(), Not(HasSubstr("file /tank/secure/below/a")));
}

TEST_F(KeyWorkTest, AnOwnerInADatasetThatIsLockedByThenSaysWhatIsNeeded) {
  machine_.SetUp(spec_, driver_);
  spec_.datasets[0].group = "heads";
  Prepare();
  TestMachine::Must(driver_.Apply());
  Reboot();
  EXPECT_THAT(Message(driver_.Undo()), HasSubstr("zfs load-key tank/secure && zfs mount tank/secure"));
  Load();
  Change(MountDataset{kRoot});
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dataset(kRoot).root->gid, 0u);
}

TEST_F(KeyWorkTest, WhatInheritsAKeyIsNotDeletedIntoTheTrashOfThePool) {
  machine_.SetUp(spec_, driver_);
  spec_.datasets[1].presence = Presence::kAbsent;
  EXPECT_THAT(Refusal(), HasSubstr("zfs destroy tank/secure/below"));
  // The root itself takes its key along.
  spec_.datasets.erase(spec_.datasets.begin());
  spec_.datasets[0] = {.name = kRoot, .presence = Presence::kAbsent};
  Change(DestroyDataset{kBelow});
  Prepare();
  TestMachine::Must(driver_.Apply());
  Reboot();
  TestMachine::Must(driver_.Undo());
  EXPECT_TRUE(machine_.Exists(kRoot));
}

}  // namespace
}  // namespace phoenix::zfs
