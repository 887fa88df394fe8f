// What undo kept, restored and discarded over the simulated machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_names.h"
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

constexpr char kLater[] = "00000000-0000-4000-8000-000000000002";

// A run that made tank/mine was undone after somebody had written into it.
class KeptWorkTest : public ::testing::Test {
 protected:
  KeptWorkTest() {
    Change(CreatePool{"tank", {{"mirror", {kDiskA, kDiskB}}}, {}, {}});
    KeepMine({.name = "tank/mine", .properties = {{"quota", "10G"}}});
  }

  void Change(const ZfsChange& change) { TestMachine::Must(machine_.host().Change(change, nullptr)); }
  // Makes it as a run does, writes to it as others do, and undoes the run.
  void KeepMine(const DatasetSpec& mine) {
    ZfsSpec spec{.datasets = {mine}, .partial = true};
    TestMachine::Must(driver_.Prepare(machine_.Input(spec), kRun));
    TestMachine::Must(driver_.Apply());
    if (mine.volume_size_bytes == 0) {
      machine_.WriteFile(machine_.Dataset(mine.name).Value("mountpoint") + "/letter");
    } else {
      machine_.Edit("zfs.dataset", mine.name, [](nlohmann::json& one) { one["written_more"] = 4096; });
    }
    TestMachine::Must(driver_.Undo());
    ASSERT_FALSE(machine_.Exists(mine.name));
  }
  std::string Kept(const std::string& name = "tank/mine") { return AsideName(KeptOf(name, kRun), name); }
  ZfsSpec Decide(KeptFate fate, const std::string& to = "", const std::string& name = "tank/mine") {
    return {.kept = {{Kept(name), fate, to}}, .partial = true};
  }
  void Prepare(const ZfsSpec& spec) { TestMachine::Must(driver_.Prepare(machine_.Input(spec), kLater)); }
  bool HasFile(const std::string& path) {
    return machine_.Dump().find("file " + path + " ") != std::string::npos;
  }

  TestMachine machine_;
  StepDriver driver_{machine_.domain()};
};

// By the time somebody reads what remains, the file may be closed: it is still theirs.
TEST(ZfsUndo, NobodyIsToldToDestroyWhatOthersWroteTo) {
  TestMachine machine;
  StepDriver driver(machine.domain());
  TestMachine::Must(driver.Prepare(machine.Input(TestMachine::Seed()), kRun));
  TestMachine::Must(driver.Apply());
  machine.WriteFile("/quickOS/vm-disks/letter");
  machine.Edit("zfs.dataset", "quickOS/vm-disks", [](nlohmann::json& dataset) { dataset["busy"] = true; });
  EXPECT_FALSE(driver.Undo().ok());
  EXPECT_THAT(driver.RemainingOfLast(), Not(::testing::Contains(HasSubstr("destroy"))));
}

TEST_F(KeptWorkTest, ItCarriesItsNameAndItsCanmount) {
  KeepMine({.name = "tank/quiet", .properties = {{"canmount", "on"}}});
  KeepMine({.name = "tank/volume", .volume_size_bytes = 1 << 20});
  EXPECT_EQ(machine_.Dataset(Kept()).LocalValue(kKeptMark), "tank/mine");
  EXPECT_EQ(machine_.Dataset(Kept()).LocalValue(kCanmountMark), kNotSet);
  EXPECT_EQ(machine_.Dataset(Kept("tank/quiet")).LocalValue(kCanmountMark), "on");
  EXPECT_EQ(machine_.Dataset(Kept("tank/quiet")).LocalValue("canmount"), "noauto");
  EXPECT_EQ(machine_.Dataset(Kept("tank/volume")).LocalValue(kKeptMark), "tank/volume");
  EXPECT_EQ(machine_.Dataset(Kept("tank/volume")).LocalValue(kCanmountMark), "");
}

// An undo that was cut off finds canmount=noauto, which was its own.
TEST_F(KeptWorkTest, AnUndoThatIsCutOffWritesThatDownOnlyOnce) {
  ZfsSpec spec{.datasets = {{.name = "tank/twice", .properties = {{"canmount", "on"}}}}, .partial = true};
  TestMachine::Must(driver_.Prepare(machine_.Input(spec), kRun));
  TestMachine::Must(driver_.Apply());
  machine_.WriteFile("/tank/twice/letter");
  TestMachine::Must(machine_.machine().PlanFault("zfs.rename", "fail"));
  EXPECT_FALSE(driver_.Undo().ok());
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dataset(Kept("tank/twice")).LocalValue(kCanmountMark), "on");
}

TEST_F(KeptWorkTest, RestoredItIsAsItWasAndTheContainersGo) {
  Prepare(Decide(KeptFate::kRestore));
  ASSERT_EQ(driver_.plan().steps.size(), 1U);
  EXPECT_THAT(driver_.plan().steps[0].commands,
              ElementsAre("zfs rename -u " + Kept() + " tank/mine", "zfs inherit -S canmount tank/mine",
                          "zfs inherit phoenix:run tank/mine", "zfs inherit phoenix:kept tank/mine",
                          "zfs inherit phoenix:canmount tank/mine", "zfs mount tank/mine"));
  TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
  TestMachine::Must(driver_.Commit());
  const DatasetState mine = machine_.Dataset("tank/mine");
  EXPECT_EQ(mine.mounted_at, "/tank/mine");
  EXPECT_TRUE(HasFile("/tank/mine/letter"));
  EXPECT_EQ(mine.Value("quota"), "10737418240");
  EXPECT_EQ(mine.properties.find("canmount")->second.source, "default");
  EXPECT_THAT(machine_.Dump(), AllOf(Not(HasSubstr("phoenix:")), Not(HasSubstr(".phoenix"))));
  // Nobody takes it for a thing of ours from now on, not even a node whose record is blank.
  ZfsSpec gone{.datasets = {{.name = "tank/mine", .presence = Presence::kAbsent}}, .partial = true};
  EXPECT_THAT(machine_.Refusal(gone), HasSubstr("not created by Phoenix"));
}

TEST_F(KeptWorkTest, OtherThingsThatAreKeptStay) {
  KeepMine({.name = "tank/other"});
  Prepare(Decide(KeptFate::kRestore));
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  EXPECT_TRUE(machine_.Exists(Kept("tank/other")));
  EXPECT_FALSE(machine_.Exists(Kept()));
}

TEST_F(KeptWorkTest, ItIsRestoredUnderAnotherNameWithWhatLiesInIt) {
  Change(CreateDataset{Kept() + "/theirs", 0, {}});
  Prepare(Decide(KeptFate::kRestore, "tank/found"));
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(machine_.Dataset("tank/found").mounted_at, "/tank/found");
  EXPECT_EQ(machine_.Dataset("tank/found/theirs").mounted_at, "/tank/found/theirs");
  TestMachine::Must(driver_.Undo(/*repeat=*/true));
  EXPECT_EQ(machine_.Dataset(Kept() + "/theirs").mounted_at, "");
  EXPECT_FALSE(machine_.Exists("tank/found"));
  // A mount that does not come about is no success.
  Prepare(Decide(KeptFate::kRestore, "tank/found"));
  TestMachine::Must(machine_.machine().PlanFault("zfs.mount:tank/found/theirs", "nothing"));
  EXPECT_THAT(Message(driver_.Apply()), HasSubstr("tank/found/theirs is not mounted"));
  TestMachine::Must(driver_.Undo());
}

TEST_F(KeptWorkTest, CanmountComesBackAsItWas) {
  KeepMine({.name = "tank/on", .properties = {{"canmount", "on"}, {"mountpoint", "/srv/on"}}});
  KeepMine({.name = "tank/volume", .volume_size_bytes = 1 << 20});
  Prepare(Decide(KeptFate::kRestore, "", "tank/on"));
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(machine_.Dataset("tank/on").LocalValue("canmount"), "on");
  EXPECT_EQ(machine_.Dataset("tank/on").mounted_at, "/srv/on");
  TestMachine::Must(driver_.Commit());
  Prepare(Decide(KeptFate::kRestore, "", "tank/volume"));
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  EXPECT_EQ(machine_.Dataset("tank/volume").LocalValue(kKeptMark), "");
}

TEST_F(KeptWorkTest, UndoneBothAreAsTheyWere) {
  const std::string before = machine_.Dump();
  for (const KeptFate fate : {KeptFate::kRestore, KeptFate::kDiscard}) {
    Prepare(Decide(fate));
    TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
    EXPECT_FALSE(machine_.Exists(Kept()));
    EXPECT_NE(machine_.Dump(), before);
    TestMachine::Must(driver_.Undo(/*repeat=*/true));
    EXPECT_EQ(machine_.Dump(), before);
  }
}

// Every change of either step goes wrong in every way in turn; then all is undone.
TEST_F(KeptWorkTest, CutOffAnywhereBothAreUndone) {
  KeepMine({.name = "tank/on", .properties = {{"canmount", "on"}}});
  const std::string before = machine_.Dump();
  constexpr auto kRestore = KeptFate::kRestore, kDiscard = KeptFate::kDiscard;
  int failures = 0;
  for (const auto& [fate, name, operation] :
       std::vector<std::tuple<KeptFate, std::string, std::string>>{{kRestore, "tank/mine", "zfs.rename"},
                                                                   {kRestore, "tank/mine", "zfs.inherit"},
                                                                   {kRestore, "tank/mine", "zfs.mount"},
                                                                   {kRestore, "tank/on", "zfs.set"},
                                                                   {kRestore, "tank/on", "zfs.inherit"},
                                                                   {kDiscard, "tank/mine", "zfs.create"},
                                                                   {kDiscard, "tank/mine", "zfs.set"},
                                                                   {kDiscard, "tank/mine", "zfs.rename"}}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      SCOPED_TRACE(fmt::format("{} {} {}", name, operation, effect));
      Prepare(Decide(fate, "", name));
      TestMachine::Must(machine_.machine().PlanFault(operation, effect));
      if (!driver_.Apply().ok()) ++failures;
      TestMachine::Must(driver_.Undo());
      ASSERT_EQ(machine_.Dump(), before);
    }
  }
  EXPECT_EQ(failures, 24);
}

TEST_F(KeptWorkTest, AnUndoThatIsCutOffIsRepeated) {
  const std::string before = machine_.Dump();
  for (const char* operation : {"zfs.unmount", "zfs.set", "zfs.rename"}) {
    for (const char* effect : {"fail", "lie"}) {
      SCOPED_TRACE(std::string(operation) + " " + effect);
      Prepare(Decide(KeptFate::kRestore));
      TestMachine::Must(driver_.Apply());
      TestMachine::Must(machine_.machine().PlanFault(operation, effect));
      EXPECT_FALSE(driver_.Undo().ok());
      TestMachine::Must(driver_.Undo());
      ASSERT_EQ(machine_.Dump(), before);
    }
  }
  // The container went meanwhile, since it was empty.
  for (const KeptFate fate : {KeptFate::kRestore, KeptFate::kDiscard}) {
    Prepare(Decide(fate));
    TestMachine::Must(driver_.Apply());
    TestMachine::Must(machine_.domain().Close("another run", /*committed=*/true));
    TestMachine::Must(driver_.Undo());
    EXPECT_EQ(machine_.Dataset(Kept()).LocalValue(kKeptMark), "tank/mine");
  }
}

TEST_F(KeptWorkTest, ADatasetThatTookItsNameMeanwhileIsLeftAlone) {
  Prepare(Decide(KeptFate::kRestore));
  Change(CreateDataset{"tank/mine", 0, {{"mountpoint", "none"}}});
  EXPECT_THAT(Message(driver_.Apply()), HasSubstr("tank/mine was changed by somebody else: it was made"));
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kNotDone);
  TestMachine::Must(driver_.Undo());
  EXPECT_TRUE(machine_.Exists(Kept()));
  EXPECT_THAT(machine_.Refusal(Decide(KeptFate::kRestore)), HasSubstr("tank/mine is there"));
}

TEST_F(KeptWorkTest, DiscardedItIsGoneWithTheCommitAndNotBefore) {
  Prepare(Decide(KeptFate::kDiscard));
  ASSERT_EQ(driver_.plan().steps.size(), 1U);
  EXPECT_EQ(driver_.plan().steps[0].step_class, kit::StepClass::kPointOfNoReturn);
  TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
  TestMachine::Must(machine_.domain().reaper().Pass());
  EXPECT_THAT(machine_.Dump(), HasSubstr("others' data")) << "it is not committed yet";
  TestMachine::Must(driver_.Commit());
  EXPECT_THAT(machine_.Dump(), AllOf(Not(HasSubstr("others' data")), Not(HasSubstr(".phoenix"))));
  TestMachine::Must(driver_.Commit());
}

TEST_F(KeptWorkTest, WhatIsOpenWhenItIsDiscardedGoesOnceItIsNot) {
  const std::string lies = AsideName(TrashOf("tank", kLater), Kept());
  Prepare(Decide(KeptFate::kDiscard));
  TestMachine::Must(driver_.Apply());
  machine_.Edit("zfs.dataset", lies, [](nlohmann::json& dataset) { dataset["busy"] = true; });
  TestMachine::Must(driver_.Commit());
  EXPECT_TRUE(machine_.Exists(lies));
  machine_.Edit("zfs.dataset", lies, [](nlohmann::json& dataset) { dataset.erase("busy"); });
  TestMachine::Must(machine_.domain().reaper().Pass());
  EXPECT_THAT(machine_.Dump(), Not(HasSubstr(".phoenix")));
}

// A clone of how a dataset was before: the snapshot that it was made of goes by retention, once nobody needs
// it.
TEST_F(KeptWorkTest, ACloneIsRestoredBesideOrDiscardedWithItsSnapshot) {
  const std::string before = ContentSnapshotOf("tank/tree", kRun), kept = Kept("tank/tree");
  Change(CreateDataset{"tank/tree", 0, {}});
  machine_.WriteFile("/tank/tree/old");
  Change(CreateSnapshots{{before}, {{std::string(kRunMark), kRun}}});
  Change(CloneSnapshot{before, kept, {{"canmount", "noauto"}, {std::string(kKeptMark), "tank/tree"}}});
  EXPECT_THAT(machine_.Refusal(Decide(KeptFate::kRestore, "", "tank/tree")), HasSubstr("tank/tree is there"));
  Prepare(Decide(KeptFate::kRestore, "tank/before", "tank/tree"));
  TestMachine::Must(driver_.Apply());
  EXPECT_TRUE(HasFile("/tank/before/old"));
  TestMachine::Must(driver_.Undo());
  Prepare(Decide(KeptFate::kDiscard, "", "tank/tree"));
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  EXPECT_FALSE(machine_.Exists(kept));
  EXPECT_TRUE(HasFile("/tank/tree/old"));
  TestMachine::Must(machine_.domain().reaper().Pass());
  EXPECT_THAT(machine_.Dump(), HasSubstr(before)) << "its time is not over";
  machine_.clock().Advance(std::chrono::hours(24 * 30));
  TestMachine::Must(machine_.domain().reaper().Pass());
  EXPECT_THAT(machine_.Dump(), Not(HasSubstr(before)));
}

// ZFS lets what inherits a key not leave its encryption root.
TEST_F(KeptWorkTest, ACloneOfWhatIsEncryptedStaysWithItsKey) {
  const std::string tree = "tank/secure/tree", kept = Kept(tree), before = ContentSnapshotOf(tree, kRun);
  Change(CreateDataset{"tank/secure", 0, {}, NewKey{"aes-256-gcm", "passphrase", Secret("correct horse")}});
  Change(CreateDataset{tree, 0, {}});
  Change(CreateSnapshots{{before}, {{std::string(kRunMark), kRun}}});
  Change(CloneSnapshot{before, kept, {{"canmount", "noauto"}, {std::string(kKeptMark), tree}}});
  EXPECT_THAT(machine_.Refusal(Decide(KeptFate::kDiscard, "", tree)),
              AllOf(HasSubstr("encrypted with the key of tank/secure"), HasSubstr("zfs destroy " + kept)));
  EXPECT_THAT(machine_.Refusal(Decide(KeptFate::kRestore, "tank/before", tree)),
              AllOf(HasSubstr("tank is not encrypted with it"), HasSubstr("--as tank/secure/before")));
  Prepare(Decide(KeptFate::kRestore, "tank/secure/before", tree));
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(driver_.plan().steps[0].step_class, kit::StepClass::kLossy);
  EXPECT_EQ(machine_.Dataset("tank/secure/before").mounted_at, "/tank/secure/before");
  EXPECT_EQ(driver_.LookBackOn("restore:" + kept)->kind, kit::Retrospect::Kind::kStays);
  // Nor does undo move it out again.
  EXPECT_THAT(driver_.RemainingOfLast(),
              ElementsAre("zfs unmount tank/secure/before", "zfs set canmount=noauto tank/secure/before"));
  TestMachine::Must(driver_.Undo(/*repeat=*/true));
  EXPECT_THAT(driver_.left(), ElementsAre(AllOf(HasSubstr("stays as tank/secure/before, unmounted"),
                                                HasSubstr("zfs destroy tank/secure/before"))));
  EXPECT_EQ(machine_.Dataset("tank/secure/before").LocalValue("canmount"), "noauto");
  EXPECT_EQ(machine_.Dataset("tank/secure/before").LocalValue(kKeptMark), "");
  EXPECT_EQ(machine_.Dataset("tank/secure/before").mounted_at, "");
}

}  // namespace
}  // namespace phoenix::zfs
