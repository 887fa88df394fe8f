// The properties that every domain's steps have, over every scenario: done twice is harmless, a failure at
// any step leaves the machine as it was after undo, undo twice is harmless, the second plan is empty.
#include <algorithm>
#include <vector>

#include "services/samba/worker/samba_fixture.h"

namespace phoenix::samba {
namespace {

using phoenix::testing::StepDriver;

struct Scenario {
  std::string name;
  bool settled = false;  // the first spec was brought about and committed before
  SambaSpec spec;
  Secrets secrets;
};

class SambaProperties : public SambaFixture, public ::testing::WithParamInterface<int> {
 protected:
  static Scenario Make(int which) {
    const Secrets old = {{"samba/users/heads", Secret("correct horse")}};
    Scenario scenario{"first setup", false, FirstSpec(), old};
    if (which == 1) {
      scenario = {
          "password, share and globals change",
          true,
          FirstSpec(),
          {{"samba/users/heads", Secret("battery staple")}, {"samba/users/bob", Secret("hunter2 hunter2")}}};
      scenario.spec.users.push_back({"bob", "samba/users/bob", false, "samba.users[1]"});
      scenario.spec.shares[0].read_only = true;
      scenario.spec.shares[0].valid_users = {"heads", "bob"};
      scenario.spec.shares[1].options = {{"create mask", "0664"}, {"comment", "für alle \"Köpfe\""}};
      scenario.spec.globals["workgroup"] = "OTHER";
    } else if (which == 2) {
      scenario = {"everything goes", true, FirstSpec(), old};
      for (ShareSpec& share : scenario.spec.shares) share.absent = true;
      scenario.spec.users[0].absent = true;
    }
    return scenario;
  }

  void SetUp() override {
    scenario_ = Make(GetParam());
    SCOPED_TRACE(scenario_.name);
    Ready();
    driver_ = std::make_unique<StepDriver>(*domain_);
    if (!scenario_.settled) return;
    ASSERT_TRUE(driver_->Prepare(Input(FirstSpec()), "0d6f8a2e-0000-4000-8000-000000000001").ok());
    ASSERT_TRUE(driver_->Apply().ok());
    ASSERT_TRUE(driver_->Commit().ok());
  }

  absl::Status Prepare() { return driver_->Prepare(Input(scenario_.spec, scenario_.secrets), kRun); }

  Scenario scenario_;
  std::unique_ptr<StepDriver> driver_;
};

TEST_P(SambaProperties, DoingEachStepTwiceIsHarmless) {
  const auto prepared = Prepare();
  ASSERT_TRUE(prepared.ok()) << prepared;
  ASSERT_FALSE(driver_->plan().steps.empty());
  const auto applied = driver_->Apply(driver_->plan().steps.size(), /*repeat=*/true);
  EXPECT_TRUE(applied.ok()) << applied;
}

TEST_P(SambaProperties, StoppedAfterEachStepUndoLeavesTheMachineAsItWas) {
  const std::string before = Dump();
  const kit::Ledger ledger = driver_->ledger();
  ASSERT_TRUE(Prepare().ok());
  const size_t steps = driver_->plan().steps.size();
  for (size_t count = 0; count <= steps; ++count) {
    driver_->ledger() = ledger;
    ASSERT_TRUE(Prepare().ok());
    const auto applied = driver_->Apply(count);
    ASSERT_TRUE(applied.ok()) << applied;
    const auto undone = driver_->Undo(/*repeat=*/count % 2 == 1);
    ASSERT_TRUE(undone.ok()) << undone;
    ASSERT_EQ(Dump(), before) << "after " << count << " steps";
    EXPECT_FALSE(std::filesystem::exists(directory_ + "/sealed/" + kRun)) << "a sealed password stayed";
  }
}

TEST_P(SambaProperties, AnyToolThatFailsOrLiesLeavesTheMachineAsItWasAfterUndo) {
  const std::string before = Dump();
  const kit::Ledger ledger = driver_->ledger();
  int hits = 0;
  for (const char* operation :
       {"samba.make-file", "samba.include", "samba.useradd", "samba.userdel", "samba.smbpasswd",
        "samba.pdbedit", "samba.set-globals", "samba.set-share:data", "samba.set-share:sync",
        "samba.remove-share:sync", "samba.reload", "samba.end-sessions"}) {
    for (const char* effect : {"fail", "lie", "nothing"}) {
      // A reload that does nothing is not seen: there is no process in the simulation that would keep the old
      // text.
      // Sessions that smbd was told to end, and did not, are not seen either.
      const bool unseen =
          std::string(operation) == "samba.reload" || std::string(operation) == "samba.end-sessions";
      if (unseen && std::string(effect) == "nothing") continue;
      driver_->ledger() = ledger;
      ASSERT_TRUE(Prepare().ok());
      ASSERT_TRUE(machine_->PlanFault(operation, effect).ok());
      const auto applied = driver_->Apply();
      hits += applied.ok() ? 0 : 1;
      // Where the scenario has no such operation the fault would hit the undo: that is another test.
      if (applied.ok()) {
        ASSERT_TRUE(
            machine_->Change([&](kit::World& world) { return world.TakeFault(operation).status(); }).ok());
      }
      const auto undone = driver_->Undo();
      ASSERT_TRUE(undone.ok()) << operation << " " << effect << ": " << undone;
      ASSERT_EQ(Dump(), before) << operation << " " << effect;
    }
  }
  EXPECT_GE(hits, 5);
}

TEST_P(SambaProperties, TheSecondPlanIsEmpty) {
  ASSERT_TRUE(Prepare().ok());
  const auto applied = driver_->Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(driver_->Commit().ok());
  const std::string after = Dump();
  ASSERT_TRUE(Prepare().ok());
  EXPECT_TRUE(driver_->plan().steps.empty()) << driver_->plan().steps.front().id;
  EXPECT_EQ(Dump(), after) << "planning changed something";
}

TEST_P(SambaProperties, TheSameStateGivesTheSameDigest) {
  ASSERT_TRUE(Prepare().ok());
  const std::string digest = kit::PlanDigest(driver_->plan());
  const std::string fingerprint = driver_->plan().base_fingerprint;
  ASSERT_TRUE(Prepare().ok());
  EXPECT_EQ(kit::PlanDigest(driver_->plan()), digest);
  EXPECT_EQ(driver_->plan().base_fingerprint, fingerprint);
}

TEST_P(SambaProperties, NoSecretIsInAnythingThatIsShownOrKept) {
  ASSERT_TRUE(Prepare().ok());
  const auto applied = driver_->Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  std::string kept;
  for (const auto& step : driver_->plan().steps) {
    kept += step.payload + step.undo + step.action;
    for (const auto& diff : step.diffs) kept += diff.before + diff.after;
    for (const auto& command : step.commands) kept += command;
  }
  for (const auto& note : driver_->plan().notes) kept += note.text;
  for (const auto& [key, entry] : driver_->ledger()) kept += entry.fields + entry.identity;
  for (const char* secret : {"correct horse", "battery staple", "hunter2"}) {
    EXPECT_EQ(kept.find(secret), std::string::npos) << secret;
  }
}

INSTANTIATE_TEST_SUITE_P(Scenarios, SambaProperties, ::testing::Values(0, 1, 2));

}  // namespace
}  // namespace phoenix::samba
