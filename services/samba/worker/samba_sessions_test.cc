// Promise 5 and facts-safety S3: who loses access loses his session with it, and nobody else does.
#include <algorithm>
#include <set>
#include <string>

#include "services/samba/worker/samba_fixture.h"

namespace phoenix::samba {
namespace {

using phoenix::testing::StepDriver;

constexpr char kSecondRun[] = "0d6f8a2e-0000-4000-8000-000000000002";

class SambaSessions : public SambaFixture {
 protected:
  SambaSessions() : driver_(*domain_) {
    Ready();
    EXPECT_TRUE(Run(TwoUsers(), kRun).ok());
    for (const char* share : {"data", "sync"}) {
      for (const char* user : {"heads", "bob"}) Open(share, user);
    }
  }

  static SambaSpec TwoUsers() {
    SambaSpec spec = FirstSpec();
    spec.users.push_back({"bob", "samba/users/bob", false, "samba.users[0]"});
    for (ShareSpec& share : spec.shares) share.valid_users = {"heads", "bob"};
    return spec;
  }
  absl::Status Prepare(const SambaSpec& spec, const std::string& run = kSecondRun) {
    return driver_.Prepare(Input(spec, {{"samba/users/heads", Secret("correct horse")},
                                        {"samba/users/bob", Secret("another horse")}}),
                           run);
  }
  absl::Status Run(const SambaSpec& spec, const std::string& run = kSecondRun) {
    PHX_RETURN_IF_ERROR(Prepare(spec, run));
    PHX_RETURN_IF_ERROR(driver_.Apply());
    return driver_.Commit();
  }
  void Open(const std::string& share, const std::string& user) {
    ASSERT_TRUE(machine_
                    ->Change([&](kit::World& world) {
                      return world.Put("samba.session", share + " " + user,
                                       {{"share", share}, {"user", user}});
                    })
                    .ok());
  }
  std::set<std::string> Open() {
    std::set<std::string> open;
    EXPECT_TRUE(machine_
                    ->Look([&](kit::World& world) -> absl::Status {
                      PHX_ASSIGN_OR_RETURN(const auto sessions, world.List("samba.session"));
                      for (const auto& [name, session] : sessions) open.insert(name);
                      return absl::OkStatus();
                    })
                    .ok());
    return open;
  }
  const kit::Step& Only() {
    EXPECT_EQ(driver_.plan().steps.size(), 1u);
    return driver_.plan().steps.at(0);
  }
  bool Says(const std::string& words) {
    const auto& notes = driver_.plan().notes;
    return std::any_of(notes.begin(), notes.end(), [&](const kit::Note& note) {
      return note.warning && note.text.find(words) != std::string::npos;
    });
  }

  const std::set<std::string> all_ = {"data heads", "data bob", "sync heads", "sync bob"};
  StepDriver driver_;
};

TEST_F(SambaSessions, ADroppedUserIsOutAndThePlanSaysByWhichCommand) {
  SambaSpec spec = TwoUsers();
  spec.shares[0].valid_users = {"heads"};
  ASSERT_TRUE(Prepare(spec).ok());
  EXPECT_EQ(Only().commands.back(), "smbcontrol smbd close-denied-share data");
  EXPECT_NE(Only().undo.find("connects again by itself"), std::string::npos);
  EXPECT_TRUE(Says("sessions of those who are not let in any more end; all others go on"));
  EXPECT_EQ(Open(), all_) << "a plan cuts nobody off";
  const auto applied = driver_.Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Open(), (std::set<std::string>{"data heads", "sync heads", "sync bob"}));
}

TEST_F(SambaSessions, AShareThatBecomesReadOnlyEndsItsOwnSessionsOnly) {
  SambaSpec spec = TwoUsers();
  spec.shares[0].read_only = true;
  ASSERT_TRUE(Prepare(spec).ok());
  EXPECT_EQ(Only().commands.back(), "smbcontrol smbd close-share data");
  EXPECT_TRUE(Says("every session with this share ends"));
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_EQ(Open(), (std::set<std::string>{"sync heads", "sync bob"}));
}

TEST_F(SambaSessions, AShareThatGoesTakesItsSessionsWithIt) {
  SambaSpec spec = TwoUsers();
  spec.shares[0].absent = true;
  ASSERT_TRUE(Prepare(spec).ok());
  EXPECT_EQ(Only().commands.back(), "smbcontrol smbd close-share data");
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_EQ(Open(), (std::set<std::string>{"sync heads", "sync bob"}));
  const auto undone = driver_.Undo(/*repeat=*/true);
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_TRUE(host_->TryLogin({"data", "bob", ""}, Secret("another horse")).ok())
      << "who was cut off comes back";
}

TEST_F(SambaSessions, Promise5WhatTakesNothingAwayEndsNothing) {
  SambaSpec spec = TwoUsers();
  spec.shares[0].browseable = false;
  spec.shares[0].options = {{"create mask", "0664"}};
  spec.shares[1].valid_users.emplace_back("@heads");
  spec.globals["workgroup"] = "OTHER";
  spec.shares.push_back(Share("third", "/quickOS"));
  ASSERT_TRUE(Prepare(spec).ok());
  EXPECT_EQ(driver_.plan().steps.size(), 4u);
  for (const kit::Step& step : driver_.plan().steps) {
    EXPECT_EQ(step.commands.back(), "smbcontrol smbd reload-config") << step.id;
  }
  ASSERT_TRUE(driver_.Apply().ok());
  EXPECT_EQ(Open(), all_);
}

// What a run gave is taken back with it, from those who came in by it.
TEST_F(SambaSessions, UndoEndsTheSessionsThatTheRunAllowed) {
  SambaSpec before = TwoUsers();
  before.shares[0].valid_users = {"heads"};
  ASSERT_TRUE(Run(before).ok());
  SambaSpec after = TwoUsers();
  after.shares.push_back(Share("third", "/quickOS"));
  ASSERT_TRUE(Prepare(after).ok());
  ASSERT_TRUE(driver_.Apply().ok());
  Open("data", "bob");
  Open("third", "heads");
  const auto undone = driver_.Undo(/*repeat=*/true);
  ASSERT_TRUE(undone.ok()) << undone;
  EXPECT_EQ(Open(), (std::set<std::string>{"data heads", "sync heads", "sync bob"}));
}

TEST_F(SambaSessions, DoneOrUndoneTwiceNobodyIsCutOffTwice) {
  SambaSpec spec = TwoUsers();
  spec.shares[0].read_only = true;
  ASSERT_TRUE(Prepare(spec).ok());
  const kit::Step step = Only();
  kit::StepContext context{.run_id = kSecondRun, .captured = *domain_->Capture(step, kSecondRun)};
  context.node_key = Secret("test node key");
  ASSERT_TRUE(domain_->Do(step, context).ok());
  Open("data", "bob");
  ASSERT_TRUE(domain_->Do(step, context).ok());
  EXPECT_EQ(Open(), (std::set<std::string>{"data bob", "sync heads", "sync bob"}));
}

// The file says it already when smbcontrol fails, or the daemon dies before it: the step is not done then.
TEST_F(SambaSessions, AStepWhoseSessionsDidNotEndIsNotDone) {
  for (const bool removed : {false, true}) {
    SambaSpec spec = TwoUsers();
    spec.shares[0].valid_users = {"heads"};
    spec.shares[0].absent = removed;
    ASSERT_TRUE(Prepare(spec).ok());
    const kit::Step step = Only();
    kit::StepContext context{.run_id = kSecondRun, .captured = *domain_->Capture(step, kSecondRun)};
    context.node_key = Secret("test node key");
    ASSERT_TRUE(machine_->PlanFault("samba.end-sessions", "fail").ok());
    EXPECT_FALSE(domain_->Do(step, context).ok());
    EXPECT_EQ(Open(), all_);
    const auto probe = domain_->ProbeStep(step, context);
    ASSERT_TRUE(probe.ok()) << probe.status();
    EXPECT_EQ(probe->probe, kit::Probe::kPartial);
    EXPECT_NE(probe->found.find("were not ended"), std::string::npos) << probe->found;
    ASSERT_TRUE(domain_->Undo(step, context).ok());
    EXPECT_EQ(domain_->ProbeStep(step, context)->probe, kit::Probe::kNotDone);
    // Or it is done again, to its end.
    ASSERT_TRUE(machine_->PlanFault("samba.end-sessions", "fail").ok());
    EXPECT_FALSE(domain_->Do(step, context).ok());
    ASSERT_TRUE(domain_->Do(step, context).ok());
    EXPECT_EQ(domain_->ProbeStep(step, context)->probe, kit::Probe::kDone);
    EXPECT_EQ(Open().count("data bob"), 0u);
    ASSERT_TRUE(domain_->Undo(step, context).ok());
    Open("data", "bob");
    Open("data", "heads");
  }
}

// testparm refuses it, or the reload fails and the former text is back.
TEST_F(SambaSessions, AStepThatWasRefusedEndsNothingAndNeitherDoesItsUndo) {
  for (const char* fault : {"samba.check", "samba.set-share", "samba.reload"}) {
    SCOPED_TRACE(fault);
    SambaSpec spec = TwoUsers();
    spec.shares[0].valid_users = {"heads"};
    ASSERT_TRUE(Prepare(spec).ok());
    const kit::Step step = Only();
    kit::StepContext context{.run_id = kSecondRun, .captured = *domain_->Capture(step, kSecondRun)};
    context.node_key = Secret("test node key");
    ASSERT_TRUE(machine_->PlanFault(fault, "fail").ok());
    EXPECT_FALSE(domain_->Do(step, context).ok());
    EXPECT_EQ(domain_->ProbeStep(step, context)->probe, kit::Probe::kNotDone);
    ASSERT_TRUE(domain_->Undo(step, context).ok());
    EXPECT_EQ(Open(), all_);
  }
}

TEST_F(SambaSessions, AnUndoWhoseSessionsDidNotEndIsNotOver) {
  SambaSpec before = TwoUsers();
  before.shares[0].valid_users = {"heads"};
  ASSERT_TRUE(Run(before).ok());
  ASSERT_TRUE(Prepare(TwoUsers()).ok());
  const kit::Step step = Only();
  kit::StepContext context{.run_id = kSecondRun, .captured = *domain_->Capture(step, kSecondRun)};
  context.node_key = Secret("test node key");
  ASSERT_TRUE(domain_->Do(step, context).ok());
  Open("data", "bob");
  ASSERT_TRUE(machine_->PlanFault("samba.end-sessions", "fail").ok());
  EXPECT_FALSE(domain_->Undo(step, context).ok());
  EXPECT_EQ(domain_->ProbeStep(step, context)->probe, kit::Probe::kPartial);
  EXPECT_EQ(domain_->RemainingCommands(step, context).back(), "smbcontrol smbd close-denied-share data");
  ASSERT_TRUE(domain_->Undo(step, context).ok());
  EXPECT_EQ(domain_->ProbeStep(step, context)->probe, kit::Probe::kNotDone);
  EXPECT_EQ(Open().count("data bob"), 0u);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/sealed/" + kSecondRun)) << "nothing is left on record";
}

}  // namespace
}  // namespace phoenix::samba
