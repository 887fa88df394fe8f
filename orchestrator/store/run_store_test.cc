#include "orchestrator/store/run_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/time/fake_clock.h"
#include "orchestrator/run/fleet_plan.h"
#include "orchestrator/store/event_json.h"
#include "tests/support/status_matchers.h"

namespace phoenix::store {
namespace {

using ::phoenix::testing::StatusIs;
using ::testing::_;
using ::testing::HasSubstr;
using Code = absl::StatusCode;

class RunStoreTest : public ::testing::Test {
 protected:
  RunStoreTest() {
    char name[] = "/tmp/phoenix-store-XXXXXX";
    directory_ = ::mkdtemp(name);
    store_ = *SqliteRunStore::Open(directory_ + "/runs.db", clock_);
    epoch_ = store_->TakeLeadership()->epoch;
  }
  ~RunStoreTest() override { std::filesystem::remove_all(directory_); }

  static run::Event Created() {
    run::Event event;
    event.kind = run::Event::Kind::kCreated;
    event.request = std::make_shared<run::Request>(run::Request{.title = "t", .nodes = {{"a", "unix:/x"}}});
    return event;
  }
  static run::Event Phase(run::Phase phase) {
    run::Event event;
    event.kind = run::Event::Kind::kPhaseBegan;
    event.phase = phase;
    return event;
  }

  FakeClock clock_;
  std::string directory_;
  std::unique_ptr<SqliteRunStore> store_;
  int64_t epoch_ = 0;
};

TEST_F(RunStoreTest, EveryStartLeadsInAHigherEpoch) {
  const auto second = store_->TakeLeadership();
  EXPECT_GT(second->epoch, epoch_);
  const std::string authority = second->authority;
  store_.reset();
  store_ = *SqliteRunStore::Open(directory_ + "/runs.db", clock_);
  const auto third = store_->TakeLeadership();
  EXPECT_GT(third->epoch, second->epoch);
  EXPECT_EQ(third->authority, authority);
}

TEST_F(RunStoreTest, AStaleLeaderCannotAppend) {
  const auto created = store_->Create("r1", "", epoch_, Created());
  PHX_ASSERT_OK(created);
  const int64_t newer = store_->TakeLeadership()->epoch;
  EXPECT_THAT(store_->Append("r1", epoch_, created->hash, Phase(run::Phase::kPreparing)),
              StatusIs(Code::kAborted, HasSubstr("leads by now")));
  PHX_EXPECT_OK(store_->Append("r1", newer, created->hash, Phase(run::Phase::kPreparing)));
}

TEST_F(RunStoreTest, AnAppendNeedsTheHeadThatWasFolded) {
  const auto created = store_->Create("r1", "", epoch_, Created());
  PHX_ASSERT_OK(store_->Append("r1", epoch_, created->hash, Phase(run::Phase::kPreparing)));
  EXPECT_THAT(store_->Append("r1", epoch_, created->hash, Phase(run::Phase::kApplying)),
              StatusIs(Code::kAborted, HasSubstr("went on meanwhile")));
}

TEST_F(RunStoreTest, TheVmsAndTheirScriptsComeBackByteForByte) {
  run::Event event = Created();
  auto request = std::make_shared<run::Request>(*event.request);
  request->vms = R"({"vms": []})";
  // Nobody has looked into them when a run is stored whose plan failed.
  request->feature_scripts["docker.sh"] = std::string("\xff\0\n", 3);
  event.request = request;
  PHX_ASSERT_OK(store_->Create("r1", "", epoch_, event));
  const auto events = store_->Load("r1");
  PHX_ASSERT_OK(events);
  EXPECT_EQ(events->front().request->vms, request->vms);
  EXPECT_EQ(events->front().request->feature_scripts, request->feature_scripts);
}

TEST_F(RunStoreTest, WhatWasAllowedByNameComesBack) {
  run::Event event = Created();
  auto request = std::make_shared<run::Request>(*event.request);
  request->wipe = {"/dev/disk/by-id/nvme-A"};
  request->allow_unhealthy = {"tank", "hv1:/dev/disk/by-id/nvme-A"};
  event.request = request;
  PHX_ASSERT_OK(store_->Create("r1", "", epoch_, event));
  const auto events = store_->Load("r1");
  PHX_ASSERT_OK(events);
  EXPECT_EQ(events->front().request->wipe, request->wipe);
  EXPECT_EQ(events->front().request->allow_unhealthy, request->allow_unhealthy);
}

TEST_F(RunStoreTest, ARepeatedRequestIsFound) {
  PHX_ASSERT_OK(store_->Create("r1", "request-1", epoch_, Created()));
  EXPECT_THAT(store_->Create("r2", "request-1", epoch_, Created()), StatusIs(Code::kAlreadyExists, _));
  EXPECT_EQ(**store_->FindByRequest("request-1"), "r1");
  EXPECT_FALSE(store_->FindByRequest("request-2")->has_value());
}

TEST_F(RunStoreTest, ADamagedLogIsDataLoss) {
  const auto created = store_->Create("r1", "", epoch_, Created());
  PHX_ASSERT_OK(store_->Append("r1", epoch_, created->hash, Phase(run::Phase::kPreparing)));
  PHX_ASSERT_OK((*Database::Open(directory_ + "/runs.db"))->Transaction([](Database& db) {
    return db.Execute("UPDATE events SET body = replace(body, '\"t\"', '\"u\"')");
  }));
  EXPECT_THAT(store_->Load("r1"), StatusIs(Code::kDataLoss, HasSubstr("event 1")));
}

TEST_F(RunStoreTest, AnotherFileIsDataLossWithAWayOut) {
  store_.reset();
  {
    std::ofstream(directory_ + "/runs.db") << std::string(8192, 'x');
  }
  EXPECT_THAT(SqliteRunStore::Open(directory_ + "/runs.db", clock_).status(),
              StatusIs(Code::kDataLoss, HasSubstr("begins a new store")));
  EXPECT_EQ(std::filesystem::file_size(directory_ + "/runs.db"), 8192U) << "nothing is deleted";
}

TEST_F(RunStoreTest, AStoreOfANewerVersionIsRefusedAndLeftAlone) {
  PHX_ASSERT_OK(store_->Create("r1", "", epoch_, Created()));
  store_.reset();
  const auto set_version = [&](const std::string& version) {
    return (*Database::Open(directory_ + "/runs.db"))->Transaction([&](Database& db) {
      return db.Execute("UPDATE meta SET value='" + version + "' WHERE key='version'");
    });
  };
  PHX_ASSERT_OK(set_version("2"));
  EXPECT_THAT(SqliteRunStore::Open(directory_ + "/runs.db", clock_).status(),
              StatusIs(Code::kFailedPrecondition, HasSubstr("newer Phoenix")));
  PHX_ASSERT_OK(set_version("1"));
  store_ = *SqliteRunStore::Open(directory_ + "/runs.db", clock_);
  PHX_EXPECT_OK(store_->Load("r1"));
}

TEST_F(RunStoreTest, EverythingOfAnEventSurvives) {
  run::PlannedParticipant participant{.id = {"a", "zfs"},
                                      .journal_id = "j",
                                      .spec_type = "t",
                                      .spec = std::string("\0\xff", 2),
                                      .plan_digest = "d"};
  kit::Step step{.id = "s",
                 .resource = "r",
                 .action = "make",
                 .diffs = {{"f", "b", "a"}},
                 .step_class = kit::StepClass::kLossy,
                 .undo = "u",
                 .remainder = "rest",
                 .commands = {"c"},
                 .scope = "cluster:x",
                 .requires_keys = {{"k", true}},
                 .provides = {"p"},
                 .removes = {"m"},
                 .disturbs = {"x"}};
  participant.steps = {step};
  participant.notes = {{true, "r", "n"}};
  participant.checkpoints = {"tank/a", "tank/b"};
  run::Event event;
  event.kind = run::Event::Kind::kPlanned;
  event.plan = std::make_shared<run::FleetPlan>(*run::MakeFleetPlan({participant}, {}));
  event.results = {{"s", run::StepResult::Result::kQuarantined, "e", {"do this"}}};
  event.texts = {"t"};
  const auto read = EventFromJson(ToJson(event));
  PHX_ASSERT_OK(read);
  EXPECT_EQ(read->plan->participants[0].spec, participant.spec);
  EXPECT_EQ(read->plan->participants[0].steps[0], step);
  EXPECT_EQ(read->plan->participants[0].notes, participant.notes);
  EXPECT_EQ(read->plan->participants[0].checkpoints, participant.checkpoints);
  EXPECT_EQ(read->plan->digest, event.plan->digest);
  EXPECT_EQ(read->results[0].remaining_commands, event.results[0].remaining_commands);
  EXPECT_EQ(ToJson(*read), ToJson(event));
}

// As logs were written before participants kept anything for others: who had no steps took no part.
TEST_F(RunStoreTest, APlanOfAnOlderVersionIsReadAsItWasMeant) {
  run::PlannedParticipant nfs{.id = {"a", "nfs"}, .plan_digest = "d"};
  nfs.steps = {{.id = "s", .resource = "r", .action = "make"}};
  run::Event event;
  event.kind = run::Event::Kind::kPlanned;
  event.plan = std::make_shared<run::FleetPlan>(
      *run::MakeFleetPlan({nfs, {.id = {"a", "zfs"}, .plan_digest = "e"}}, {}));
  std::string text = ToJson(event);
  const std::string field = "\"checkpoints\":[],";
  for (size_t at = text.find(field); at != std::string::npos; at = text.find(field))
    text.erase(at, field.size());
  ASSERT_EQ(text.find("checkpoints"), std::string::npos) << text;
  const auto read = EventFromJson(text);
  PHX_ASSERT_OK(read);
  EXPECT_EQ(read->plan->digest, event.plan->digest);
  EXPECT_TRUE(read->plan->participants[0].TakesPart());
  EXPECT_FALSE(read->plan->participants[1].TakesPart());
}

}  // namespace
}  // namespace phoenix::store
