// Files that are delivered into datasets, and taken back, over the simulated machine. What they have in
// common with a recursive change of owners is in zfs_tree_work_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/worker/zfs_content_fixture.h"
#include "services/zfs/worker/zfs_domain.h"
#include "services/zfs/worker/zfs_step_json.h"

namespace phoenix::zfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StepDriver;

constexpr char kOther[] = "another run";

// tank/a with a file of somebody's and a former delivery; two files are wanted.
class ContentWorkTest : public ContentFixture {
 protected:
  ContentWorkTest() {
    Write("/tank/a/app.conf", "former", 0600);
    spec_.datasets = {{.name = "tank/a",
                       .files = {{.path = "app.conf", .content = "port = 1\n"},
                                 {"conf/d/x", "secretless", "33", "heads", "0640"}}}};
  }

  void Prepare(size_t steps = 1, const std::string& run = kRun) {
    // The driver's ledger keeps what an undone run said of a step; the kit's does not.
    driver_.ledger().clear();
    TestMachine::Must(driver_.Prepare(machine_.Input(spec_), run));
    ASSERT_EQ(driver_.plan().steps.size(), steps);
  }
  const kit::Step& Step(const std::string& id) {
    for (const auto& step : driver_.plan().steps) {
      if (step.id == id) return step;
    }
    ADD_FAILURE() << id;
    return driver_.plan().steps.at(0);
  }
  // The same files for a dataset that is not there yet.
  void WantANewDataset() {
    spec_.datasets[0].name = "tank/new";
    spec_.datasets[0].mode = "2770";
  }
  absl::StatusOr<kit::Retrospect> LookBack(const std::string& id) {
    kit::StepContext context{.run_id = kRun};
    PHX_ASSIGN_OR_RETURN(context.captured, machine_.domain().Capture(Step(id), kRun));
    return machine_.domain().LookBack(Step(id), context);
  }
  const std::string kept_ = std::string("tank/.phoenix/kept/") + kRun + "/";
};

TEST_F(ContentWorkTest, FilesAreDeliveredOnceAndOnlyWhereTheyDiffer) {
  Prepare();
  const kit::Step& step = driver_.plan().steps[0];
  EXPECT_EQ(step.id, "content:tank/a");
  EXPECT_EQ(step.step_class, kit::StepClass::kLossy);
  EXPECT_THAT(
      step.commands,
      ElementsAre("zfs unmount tank/a", "zfs snapshot -o phoenix:run=RUN tank/a@phoenix-run-RUN:content",
                  "install -D -o root -g root -m 0644 NEW /tank/a/app.conf",
                  "install -D -o 33 -g heads -m 0640 NEW /tank/a/conf/d/x", "zfs mount tank/a"));
  for (const auto& diff : step.diffs)
    EXPECT_EQ((diff.before + diff.after).find("secretless"), std::string::npos);
  TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
  EXPECT_EQ(File("/tank/a/app.conf"), "0:0 644 port = 1\n");
  EXPECT_EQ(File("/tank/a/conf/d/x"), "33:1000 640 secretless");
  EXPECT_EQ(File("/tank/a/conf"), "0:0 755 ");
  EXPECT_EQ(File("/tank/a/letter"), "1000:1000 644 old") << "what is not declared is nobody's business";
  TestMachine::Must(driver_.Commit());
  ASSERT_EQ(driver_.ledger().count("delivery:tank/a//conf/d/x"), 1u);
  EXPECT_FALSE(driver_.ledger().at("delivery:tank/a//conf/d/x").created);
  EXPECT_EQ(driver_.ledger().at("delivery:tank/a//conf/d/x").fields.find("secretless"), std::string::npos);
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), kOther));
  EXPECT_THAT(driver_.plan().steps, IsEmpty());
  // One that somebody changed is put right, and the other one is not written again.
  Write("/tank/a/app.conf", "theirs", 0644);
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), "a third run"));
  ASSERT_EQ(driver_.plan().steps.size(), 1u);
  EXPECT_EQ(driver_.plan().steps[0].payload.find("conf/d/x"), std::string::npos);
  // Left out, they stay and are named.
  spec_.datasets[0].files.pop_back();
  spec_.partial = false;
  TestMachine::Must(driver_.Prepare(machine_.Input(spec_), "a fourth run"));
  ASSERT_EQ(driver_.plan().notes.size(), 1u);
  EXPECT_THAT(driver_.plan().notes[0].text, HasSubstr("orphaned: conf/d/x was delivered into tank/a"));
}

TEST_F(ContentWorkTest, UndoneItIsAsItWas) {
  const std::string before = machine_.Dump();
  Prepare();
  TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
  TestMachine::Must(driver_.Undo(/*repeat=*/true));
  EXPECT_EQ(machine_.Dump(), before);
}

TEST_F(ContentWorkTest, OwnersOfEverythingAndFilesAreOneStepAndOneUndo) {
  spec_.datasets[0].owner = "44";
  spec_.datasets[0].mode = "2750";
  spec_.datasets[0].recursive_owner = true;
  const std::string before = machine_.Dump();
  Prepare();
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(File("/tank/a/letter"), "44:1000 640 old");
  EXPECT_EQ(File("/tank/a/app.conf"), "0:0 644 port = 1\n") << "its own owner, not everybody's";
  EXPECT_EQ(File("/tank/a"), "44:0 2750 ");
  ASSERT_EQ(driver_.ledger().count("tree:tank/a"), 1u);
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

// Both write to the mount root's inode: the guard is taken after the other step and goes before it.
TEST_F(ContentWorkTest, AStepOnTheMountRootIsNoForeignWrite) {
  spec_.datasets[0].mode = "2770";
  Prepare(2);
  EXPECT_EQ(driver_.StepAt(0).id, "root:tank/a");
  TestMachine::Must(driver_.Apply());
  EXPECT_EQ(File("/tank/a"), "0:0 2770 ");
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(File("/tank/a"), "0:0 755 ");
  EXPECT_EQ(File("/tank/a/app.conf"), "1000:1000 600 former");
  EXPECT_EQ(File("/tank/a/conf"), "absent");
  EXPECT_THAT(Snapshots(), IsEmpty());
}

// Every change of the step goes wrong in every way in turn; then all is undone.
TEST_F(ContentWorkTest, CutOffAnywhereItIsUndone) {
  spec_.datasets[0].owner = "44";
  spec_.datasets[0].recursive_owner = true;
  const std::string before = machine_.Dump();
  const std::string content = ContentSnapshotOf("tank/a", kRun), given = GivenSnapshotOf("tank/a", kRun);
  int failures = 0;
  for (const std::string& operation :
       {std::string("zfs.unmount"), "zfs.checkpoint:" + content, "zfs.hold:" + content,
        std::string("zfs.tree"), std::string("zfs.deliver"), "zfs.checkpoint:" + given, "zfs.hold:" + given,
        std::string("zfs.mount")}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      SCOPED_TRACE(operation + " " + effect);
      Prepare();
      TestMachine::Must(machine_.machine().PlanFault(operation, effect));
      if (!driver_.Apply().ok()) ++failures;
      TestMachine::Must(driver_.Undo());
      ASSERT_EQ(machine_.Dump(), before);
    }
  }
  EXPECT_EQ(failures, 20)
      << "a hold that is not there, a mount that is, and an unmount that is done at last are none";
}

TEST_F(ContentWorkTest, AnUndoThatIsCutOffIsRepeated) {
  const std::string before = machine_.Dump();
  for (const char* operation : {"zfs.unmount", "zfs.rollback", "zfs.sync", "zfs.set", "zfs.mount",
                                "zfs.release", "zfs.snapshot_destroy"}) {
    for (const char* effect : {"fail", "lie"}) {
      SCOPED_TRACE(std::string(operation) + " " + effect);
      Prepare();
      TestMachine::Must(driver_.Apply());
      TestMachine::Must(machine_.machine().PlanFault(operation, effect));
      (void)driver_.Undo();
      TestMachine::Must(driver_.Undo());
      ASSERT_EQ(machine_.Dump(), before);
    }
  }
}

// Mounts the dataset right before each of the next changes that want it unmounted.
class MountingHost : public ZfsHost {
 public:
  explicit MountingHost(ZfsHost& host) : host_(host) {}
  std::map<std::string, std::string> Versions() override { return host_.Versions(); }
  absl::StatusOr<ZfsState> Observe(const ObserveRequest& request) override { return host_.Observe(request); }
  absl::Status Change(const ZfsChange& change, const ChildObserver& on_child) override {
    const bool unmounted = std::holds_alternative<SetTreeOwner>(change) ||
                           std::holds_alternative<DeliverFiles>(change) ||
                           std::holds_alternative<RollbackDataset>(change);
    if (unmounted && times > 0) {
      --times;
      PHX_RETURN_IF_ERROR(host_.Change(MountDataset{"tank/a"}, on_child));
    }
    return host_.Change(change, on_child);
  }
  int times = 0;

 private:
  ZfsHost& host_;
};

// Proxmox VE's `zfs mount -a`, every ten seconds.
TEST_F(ContentWorkTest, WhatOthersMountMeanwhileIsUnmountedAgain) {
  spec_.datasets[0].owner = "44";
  spec_.datasets[0].recursive_owner = true;
  const std::string before = machine_.Dump();
  MountingHost host(machine_.host());
  ZfsDomain domain(host, machine_.clock(), [this](std::string_view, std::string_view) { return spec_; });
  StepDriver driver(domain);
  TestMachine::Must(driver.Prepare(machine_.Input(spec_), kRun));
  host.times = 3;
  TestMachine::Must(driver.Apply());
  EXPECT_EQ(File("/tank/a/app.conf"), "0:0 644 port = 1\n");
  EXPECT_EQ(host.times, 0);
  host.times = 3;
  TestMachine::Must(driver.Undo());
  EXPECT_EQ(host.times, 0);
  EXPECT_EQ(machine_.Dump(), before);
}

// Promise 4: what others wrote since is never discarded, and how it was before is not lost either.
TEST_F(ContentWorkTest, AForeignWriteStaysAndHowItWasBeforeIsKeptAside) {
  Prepare();
  TestMachine::Must(driver_.Apply());
  Write("/tank/a/app.conf", "theirs", 0600);
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kPartial);
  EXPECT_EQ(driver_.ProbeLast()->found, "app.conf is not as it was delivered");
  const absl::Status status = driver_.Undo();
  EXPECT_THAT(Message(status), AllOf(HasSubstr("foreign writes: 14336 bytes"),
                                     HasSubstr("tank/a stays with the files that this run set"),
                                     HasSubstr("how it was before is kept as " + kept_ + "a")));
  EXPECT_EQ(File("/tank/a/app.conf"), "1000:1000 600 theirs");
  EXPECT_EQ(File("/tank/a/conf/d/x"), "33:1000 640 secretless");
  Change(SetProperties{kept_ + "a", {{"mountpoint", "/restored"}}});
  Change(MountDataset{kept_ + "a"});
  EXPECT_EQ(File("/restored/app.conf"), "1000:1000 600 former");
  EXPECT_EQ(File("/restored/conf"), "absent");
}

TEST_F(ContentWorkTest, AFileThatChangedSincePrepareIsSomebodyElses) {
  Prepare();
  Write("/tank/a/app.conf", "theirs", 0600);
  EXPECT_TRUE(absl::IsAborted(driver_.Apply()));
  EXPECT_EQ(File("/tank/a/app.conf"), "1000:1000 600 theirs");
  EXPECT_THAT(Snapshots(), IsEmpty());
}

TEST_F(ContentWorkTest, WhatIsInTheWayIsRefusedWhenPlanningAndWhenDoing) {
  Write("/tank/a/conf", "a file", 0644);
  EXPECT_THAT(machine_.Refusal(spec_),
              HasSubstr("dataset tank/a.files[1].path: conf/d/x of tank/a: conf is a file"));
}

TEST_F(ContentWorkTest, AnOwnerThatIsNotThereEndsItBeforeAnythingIsDone) {
  spec_.datasets[0].files[0].owner = "app";
  driver_.ledger().clear();
  const std::string before = machine_.Dump();
  EXPECT_THAT(Message(driver_.Prepare(machine_.Input(spec_), kRun)), HasSubstr("user:app"));
  // Another participant makes it in the same run.
  StepDriver with_accounts(machine_.domain(), {"user:app"});
  TestMachine::Must(with_accounts.Prepare(machine_.Input(spec_), kRun));
  EXPECT_THAT(Message(with_accounts.Apply()), HasSubstr("user app is not there"));
  EXPECT_EQ(machine_.Dump(), before);
  TestMachine::Must(
      machine_.machine().Change([](kit::World& world) { return world.Put("user", "app", {{"uid", 77}}); }));
  TestMachine::Must(with_accounts.Prepare(machine_.Input(spec_), kRun));
  TestMachine::Must(with_accounts.Apply());
  EXPECT_EQ(File("/tank/a/app.conf"), "77:0 644 port = 1\n");
}

// A dataset that comes with the run is empty before, and empty again before its own undo.
TEST_F(ContentWorkTest, ANewDatasetIsEmptyAgainBeforeItsCreationIsUndone) {
  WantANewDataset();
  const std::string before = machine_.Dump();
  Prepare(2);
  EXPECT_EQ(Step("content:tank/new").step_class, kit::StepClass::kExact);
  EXPECT_EQ(driver_.StepAt(1).id, "content:tank/new");
  TestMachine::Must(driver_.Apply(2, /*repeat=*/true));
  EXPECT_EQ(File("/tank/new/app.conf"), "0:0 644 port = 1\n");
  EXPECT_EQ(File("/tank/new"), "0:0 2770 ");
  TestMachine::Must(driver_.Undo(/*repeat=*/true));
  EXPECT_EQ(machine_.Dump(), before);
  EXPECT_FALSE(machine_.Exists("tank/.phoenix"));
}

TEST_F(ContentWorkTest, ANewDatasetIsDestroyedWhereverItsDeliveryWasCutOff) {
  WantANewDataset();
  const std::string before = machine_.Dump();
  const std::string content = ContentSnapshotOf("tank/new", kRun), given = GivenSnapshotOf("tank/new", kRun);
  for (const std::string& operation : {"zfs.checkpoint:" + content, std::string("zfs.deliver"),
                                       "zfs.checkpoint:" + given, "zfs.hold:" + given}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      SCOPED_TRACE(operation + " " + effect);
      Prepare(2);
      TestMachine::Must(machine_.machine().PlanFault(operation, effect));
      (void)driver_.Apply();
      TestMachine::Must(driver_.Undo());
      ASSERT_EQ(machine_.Dump(), before);
    }
  }
}

// Other steps of the run make folders in it, and a look moves access times: nothing that anybody would miss.
TEST_F(ContentWorkTest, FoldersInANewDatasetGoWithIt) {
  WantANewDataset();
  const std::string before = machine_.Dump();
  Prepare(2);
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(machine_.machine().Change(
      [](kit::World& world) { return world.WriteFile("/tank/new/dump", {true, {"", 0, 0, 0755}}); }));
  EXPECT_EQ(LookBack("content:tank/new")->reason, "");
  for (const char* effect : {"fail", "lie"}) {
    TestMachine::Must(machine_.machine().PlanFault("zfs.prove", effect));
    EXPECT_FALSE(driver_.Undo().ok()) << effect;
  }
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

TEST_F(ContentWorkTest, APowerCutInTheMiddleOfANewDatasetsDeliveryCostsNothing) {
  WantANewDataset();
  const std::string before = machine_.Dump();
  Prepare(2);
  TestMachine::Must(
      machine_.machine().PlanFault("zfs.checkpoint:" + GivenSnapshotOf("tank/new", kRun), "fail"));
  EXPECT_FALSE(driver_.Apply().ok());
  // The node mounts it when it comes up, before we look.
  Change(MountDataset{"tank/new"});
  Write("/tank/new/conf/d/.phoenix-delivery-0123456789ab", "half", 0600);
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

// What others wrote into it goes aside with the dataset; there is no former state to keep.
TEST_F(ContentWorkTest, ANewDatasetThatOthersWroteToIsSetAside) {
  WantANewDataset();
  for (const char* operation : {"", "zfs.set", "zfs.snapshot_destroy", "zfs.release", "zfs.mount"}) {
    SCOPED_TRACE(operation);
    Prepare(2);
    TestMachine::Must(driver_.Apply());
    Write("/tank/new/mail", "theirs", 0600);
    if (*operation != 0) {
      TestMachine::Must(machine_.machine().PlanFault(operation, "fail"));
      EXPECT_FALSE(driver_.Undo().ok());
    }
    TestMachine::Must(driver_.Undo());
    EXPECT_FALSE(machine_.Exists("tank/new"));
    ASSERT_TRUE(machine_.Exists(kept_ + "new"));
    EXPECT_EQ(machine_.Dataset(kept_ + "new").Value("origin"), "-");
    EXPECT_THAT(Snapshots(), IsEmpty());
    Change(SetProperties{kept_ + "new", {{"mountpoint", "/restored"}}});
    Change(MountDataset{kept_ + "new"});
    EXPECT_EQ(File("/restored/mail"), "1000:1000 600 theirs");
    EXPECT_EQ(File("/restored/app.conf"), "0:0 644 port = 1\n");
    Change(DestroyDataset{kept_ + "new"});
    Change(DestroyDataset{"tank/.phoenix/kept/" + std::string(kRun)});
  }
}

// A node that went down in the middle mounts the dataset when it comes up, before we look.
TEST_F(ContentWorkTest, WhatWasMountedInTheMiddleIsNobodysToRollBack) {
  Prepare();
  TestMachine::Must(
      machine_.machine().PlanFault("zfs.checkpoint:" + GivenSnapshotOf("tank/a", kRun), "fail"));
  EXPECT_FALSE(driver_.Apply().ok());
  EXPECT_EQ(driver_.ProbeLast()->probe, kit::Probe::kPartial);
  Change(MountDataset{"tank/a"});
  Write("/tank/a/mail", "theirs", 0600);
  EXPECT_THAT(Message(driver_.Undo()), HasSubstr("foreign writes"));
  EXPECT_EQ(File("/tank/a/mail"), "1000:1000 600 theirs");
  EXPECT_TRUE(machine_.Exists(kept_ + "a"));
}

TEST_F(ContentWorkTest, LongAfterTheCommitItIsTakenBackWhereNobodyCameAfterIt) {
  using Kind = kit::Retrospect::Kind;
  WantANewDataset();
  const std::string before = machine_.Dump();
  Prepare(2);
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  for (const char* id : {"content:tank/new", "dataset:tank/new"}) {
    EXPECT_EQ(LookBack(id)->kind, Kind::kReversible) << id << ": what is in it is the run's";
  }
  // The run that takes it back comes between no snapshots.
  TestMachine::Must(machine_.domain().Checkpoint(kOther, driver_.plan().steps, {}));
  TestMachine::Must(
      machine_.domain().Checkpoint(kOther, {Step("content:tank/new")}, {"content:/tank/new/dump"}));
  EXPECT_EQ(Snapshots().size(), 2u);
  Write("/tank/new/mail", "theirs", 0600);
  EXPECT_EQ(LookBack("content:tank/new")->kind, Kind::kObstacle);
  EXPECT_EQ(LookBack("content:tank/new")->reason, "it holds /tank/new/mail");
  TestMachine::Must(
      machine_.machine().Change([](kit::World& world) { return world.RemoveFile("/tank/new/mail"); }));
  machine_.clock().Advance(std::chrono::seconds(5));
  Change(CreateSnapshot{"tank/new@theirs", {}});
  EXPECT_THAT(LookBack("content:tank/new")->reason, HasSubstr("tank/new@theirs was taken since"));
  EXPECT_THAT(LookBack("dataset:tank/new")->reason, HasSubstr("it has snapshot tank/new@theirs"));
  Change(DestroySnapshot{"tank/new@theirs"});
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

TEST_F(ContentWorkTest, WhatRetentionTookIsNotTakenBack) {
  Prepare();
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  for (const auto& snapshot : Snapshots()) Change(DestroySnapshot{snapshot});
  const auto retrospect = LookBack("content:tank/a");
  EXPECT_EQ(retrospect->kind, kit::Retrospect::Kind::kStays);
  EXPECT_THAT(retrospect->reason, HasSubstr("gone by retention; the files stay as they are"));
}

// What is taken back by a run that is undone itself is done again, on a dataset that was made again.
TEST_F(ContentWorkTest, DoneAgainOnADatasetThatWasMadeAgain) {
  WantANewDataset();
  Prepare(2);
  TestMachine::Must(driver_.Apply());
  const kit::Step dataset = Step("dataset:tank/new"), content = Step("content:tank/new");
  kit::StepContext of_dataset{.run_id = kRun, .captured = R"({"dataset":0,"directory":null})"};
  kit::StepContext of_content{.run_id = kRun};
  of_content.captured = *machine_.domain().Capture(content, kRun);
  auto& domain = machine_.domain();
  TestMachine::Must(domain.Undo(content, of_content));
  TestMachine::Must(domain.Undo(dataset, of_dataset));
  ASSERT_FALSE(machine_.Exists("tank/new"));
  TestMachine::Must(domain.Do(dataset, of_dataset));
  TestMachine::Must(domain.Do(content, of_content));
  EXPECT_EQ(domain.ProbeStep(content, of_content)->probe, kit::Probe::kDone);
  EXPECT_EQ(File("/tank/new/app.conf"), "0:0 644 port = 1\n");
  const auto change = domain.LedgerOf(content, of_content);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_EQ(change->put.at(0).identity, std::to_string(machine_.Dataset("tank/new").guid));
}

TEST(ContentStepJson, ComesBackAsItWasWritten) {
  const ZfsStep step = ChangeContentStep{.name = "tank/a",
                                         .mountpoint = "/tank/a",
                                         .tree = RootWish{"root", "heads", "2770"},
                                         .files = {{"a", "\"\n\xc3\xa4", "root", "0", "0644"}},
                                         .created = true};
  EXPECT_EQ(*StepFromJson(ToJson(step)), step);
  const ZfsStep files =
      ChangeContentStep{.name = "tank/a", .mountpoint = "/tank/a", .files = {{.path = "a"}}};
  EXPECT_EQ(*StepFromJson(ToJson(files)), files);
  // Journals that were written before files could be delivered.
  EXPECT_EQ(*StepFromJson(R"({"step":"set_tree_owner","name":"tank/a","mountpoint":"/tank/a",
                              "root":{"owner":"root","group":"","mode":""}})"),
            ZfsStep(ChangeContentStep{
                .name = "tank/a", .mountpoint = "/tank/a", .tree = RootWish{"root", "", ""}}));
}

}  // namespace
}  // namespace phoenix::zfs
