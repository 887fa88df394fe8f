// Planning in two rounds, with participants that answer what a test wants.
#include "orchestrator/engine/fleet_planner.h"

#include <absl/synchronization/mutex.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status/errors.h"
#include "tests/support/status_matchers.h"

namespace phoenix::engine {
namespace {

namespace pb = ::phoenix::participant::v1;
using ::phoenix::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = absl::StatusCode;
using Planner = std::function<absl::Status(const pb::PlanRequest&, pb::PlanResponse&)>;

struct StepText {
  std::string id;
  std::vector<std::string> needs, provides, removes, disturbs;
};

void AddStep(pb::PlanResponse& response, const StepText& text) {
  auto* step = response.add_steps();
  step->set_id(text.id);
  step->set_resource(text.id);
  step->set_action("make");
  step->set_step_class(pb::STEP_CLASS_EXACT);
  for (const auto& key : text.needs) step->add_requirements()->set_key(key);
  for (const auto& key : text.provides) step->add_provides(key);
  for (const auto& key : text.removes) step->add_removes(key);
  for (const auto& key : text.disturbs) step->add_disturbs(key);
}

Planner Always(std::vector<StepText> steps) {
  return [steps = std::move(steps)](const pb::PlanRequest&, pb::PlanResponse& response) {
    for (const auto& step : steps) AddStep(response, step);
    return absl::OkStatus();
  };
}

// Thread-safe: a round asks all participants at once.
class FakeChannels final : public fleet::Channels {
 public:
  absl::StatusOr<std::shared_ptr<client::ParticipantClient>> Get(const run::NodeAddress& node,
                                                                 const std::string& participant) override {
    return std::make_shared<Client>(*this, node.name + "/" + participant);
  }

  std::map<std::string, Planner> planners;
  absl::Mutex mutex;
  // What each participant was asked, in order.
  std::map<std::string, std::vector<pb::PlanRequest>> asked ABSL_GUARDED_BY(mutex);

 private:
  class Client final : public client::ParticipantClient {
   public:
    Client(FakeChannels& channels, std::string who) : channels_(channels), who_(std::move(who)) {}
    absl::Status Plan(const pb::PlanRequest& request, pb::PlanResponse& response, Limit) override {
      {
        absl::MutexLock lock(&channels_.mutex);
        channels_.asked[who_].push_back(request);
      }
      response.set_journal_id("journal of " + who_);
      const absl::Status status = channels_.planners.at(who_)(request, response);
      response.set_plan_digest(std::to_string(response.steps_size()) + " steps of " + who_);
      return status;
    }
#define PHX_NOT_CALLED(Name)                                                         \
  absl::Status Name(const pb::Name##Request&, pb::Name##Response&, Limit) override { \
    ADD_FAILURE() << "planning calls nothing but Plan";                              \
    return Internal(#Name);                                                          \
  }
    PHX_NOT_CALLED(Describe)
    PHX_NOT_CALLED(Prepare)
    PHX_NOT_CALLED(Apply)
    PHX_NOT_CALLED(Undo)
    PHX_NOT_CALLED(Verify)
    PHX_NOT_CALLED(AwaitConfirm)
    PHX_NOT_CALLED(PrepareCommit)
    PHX_NOT_CALLED(Commit)
#undef PHX_NOT_CALLED

   private:
    FakeChannels& channels_;
    const std::string who_;
  };
};

class FleetPlannerTest : public ::testing::Test {
 protected:
  absl::StatusOr<run::FleetPlan> MakePlan(const std::vector<std::string>& nodes = {"a"}) {
    FleetPlanner planner(channels_,
                         [this](const run::Request&, const run::NodeAddress& node, const Secrets&) {
                           NodeSpecs specs{.specs = {}, .addresses = {}, .notes = notes_, .own = {}};
                           if (const auto own = own_.find(node.name); own != own_.end())
                             specs.own.push_back({"$.server", own->second});
                           for (const auto& [who, planner] : channels_.planners) {
                             if (who.rfind(node.name + "/", 0) == 0)
                               specs.specs.push_back({who.substr(node.name.size() + 1), "t", "spec"});
                           }
                           return absl::StatusOr<NodeSpecs>(std::move(specs));
                         });
    run::Request request;
    for (const auto& node : nodes) request.nodes.push_back({node, "unix:/nowhere", ""});
    return planner.MakePlan(request, {}, "ours");
  }
  std::vector<pb::PlanRequest> Asked(const std::string& who) {
    absl::MutexLock lock(&channels_.mutex);
    return channels_.asked[who];
  }
  static std::vector<std::string> Order(const run::FleetPlan& plan) {
    std::vector<std::string> order;
    for (size_t i = 0; i < plan.sequence.size(); ++i)
      order.push_back(run::ToText(plan.OwnerOf(i)) + ":" + plan.StepAt(i).id);
    return order;
  }

  FakeChannels channels_;
  std::vector<kit::Note> notes_;
  std::map<std::string, std::string> own_;
};

TEST_F(FleetPlannerTest, WhatIsOneNodesOwnIsRefusedForTwo) {
  own_ = {
      {"a", "guests come to 10.0.0.1"}, {"b", "guests come to 10.0.0.2"}, {"c", "guests come to 10.0.0.1"}};
  EXPECT_TRUE(MakePlan({"a", "b"}).ok());
  const absl::Status refused = MakePlan({"a", "b", "c"}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(refused), "$.server: nodes a and c say the same: guests come to 10.0.0.1");
  ASSERT_EQ(ViolationsOf(refused).size(), 1u);
}

TEST_F(FleetPlannerTest, WithoutDisturbedOrRemovedKeysOneRoundIsEnough) {
  channels_.planners["a/zfs"] = Always({{"dataset", {}, {"path:/p"}, {}, {}}});
  channels_.planners["a/samba"] = Always({{"share", {"path:/p"}, {}, {}, {}}});
  const auto plan = MakePlan();
  PHX_ASSERT_OK(plan);
  EXPECT_THAT(Order(*plan), ElementsAre("a/zfs:dataset", "a/samba:share"));
  EXPECT_THAT(Asked("a/zfs"), SizeIs(1));
  EXPECT_THAT(Asked("a/samba"), SizeIs(1));
}

TEST_F(FleetPlannerTest, AServiceThatIsBeingRestartedIsAskedAgain) {
  int asked = 0;
  channels_.planners["a/zfs"] = [&](const pb::PlanRequest& request, pb::PlanResponse& response) {
    if (++asked < 3) return WithReason(Unavailable("nothing listens there"), {"UNREACHABLE", {}});
    return Always({{"dataset", {}, {}, {}, {}}})(request, response);
  };
  const auto plan = MakePlan();
  PHX_ASSERT_OK(plan);
  EXPECT_THAT(Order(*plan), ElementsAre("a/zfs:dataset"));
  // One that says why it cannot is not asked again.
  asked = 0;
  channels_.planners["a/zfs"] = [&](const pb::PlanRequest&, pb::PlanResponse&) {
    ++asked;
    return WithReason(Unavailable("/etc/pve is not mounted"), {"PMXCFS_DOWN", {}});
  };
  EXPECT_FALSE(MakePlan().ok());
  EXPECT_EQ(asked, 1);
}

TEST_F(FleetPlannerTest, TheSecondRoundTellsTheOthersOfTheNodeAndNobodyElse) {
  channels_.planners["a/zfs"] =
      Always({{"destroy", {}, {}, {"path:/old"}, {}}, {"rename", {}, {}, {}, {"path:/p", "path:/b"}}});
  channels_.planners["a/nfs"] = Always({});
  channels_.planners["b/zfs"] = Always({});
  channels_.planners["b/nfs"] = Always({});
  PHX_ASSERT_OK(MakePlan({"a", "b"}));
  const auto told = Asked("a/nfs");
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_THAT(told[0].disturbed_keys(), IsEmpty());
  EXPECT_THAT(told[1].disturbed_keys(), ElementsAre("path:/b", "path:/p"));
  EXPECT_THAT(told[1].removed_keys(), ElementsAre("path:/old"));
  EXPECT_EQ(told[1].spec().content(), "spec");
  EXPECT_THAT(Asked("a/zfs"), SizeIs(1)) << "it knows what it does itself";
  EXPECT_THAT(Asked("b/nfs"), SizeIs(1)) << "keys of different nodes never meet";
}

// nfs stops an export before its dataset is renamed and starts it again on the path that zfs only then
// provides.
TEST_F(FleetPlannerTest, StepsOfTheSecondRoundStandBeforeAndAfterWhatTheOtherDoes) {
  channels_.planners["a/zfs"] = Always({{"rename", {"quiet:/p"}, {"path:/new"}, {}, {"path:/p"}}});
  channels_.planners["a/nfs"] = [](const pb::PlanRequest& request, pb::PlanResponse& response) {
    if (request.disturbed_keys().empty()) {
      AddStep(response, {"hush", {}, {"quiet:/p"}, {}, {}});
      return absl::OkStatus();
    }
    AddStep(response, {"restore", {"path:/new"}, {"export:/new"}, {}, {}});
    AddStep(response, {"hush", {}, {"quiet:/p"}, {}, {}});
    return absl::OkStatus();
  };
  const auto plan = MakePlan();
  PHX_ASSERT_OK(plan);
  EXPECT_THAT(Order(*plan), ElementsAre("a/nfs:hush", "a/zfs:rename", "a/nfs:restore"));
  const run::PlannedParticipant* nfs = plan->Find({"a", "nfs"});
  EXPECT_EQ(nfs->plan_digest, "2 steps of a/nfs") << "agreed to is the second round's plan";
  EXPECT_THAT(nfs->disturbed_keys, ElementsAre("path:/p")) << "Prepare tells the node the same keys";
}

// proxmox writes folders into a path; zfs, which has nothing to do, keeps the dataset that holds it.
TEST_F(FleetPlannerTest, WhoKeepsWhatOthersWriteIntoTakesPartWithoutAStep) {
  channels_.planners["a/proxmox"] = Always({{"storage", {}, {"storage:s"}, {}, {"content:/tank/media"}}});
  channels_.planners["a/nfs"] = Always({});
  channels_.planners["a/zfs"] = [](const pb::PlanRequest& request, pb::PlanResponse& response) {
    for (const auto& key : request.disturbed_keys()) {
      if (key == "content:/tank/media") response.add_checkpoints("tank/media");
    }
    return absl::OkStatus();
  };
  const auto plan = MakePlan();
  PHX_ASSERT_OK(plan);
  const run::PlannedParticipant* zfs = plan->Find({"a", "zfs"});
  EXPECT_TRUE(zfs->TakesPart());
  EXPECT_THAT(zfs->checkpoints, ElementsAre("tank/media"));
  EXPECT_THAT(zfs->disturbed_keys, ElementsAre("content:/tank/media"))
      << "Prepare tells the node the same keys";
  EXPECT_FALSE(plan->Find({"a", "nfs"})->TakesPart());
  EXPECT_THAT(Order(*plan), ElementsAre("a/proxmox:storage"));
}

TEST_F(FleetPlannerTest, AKeyThatNobodyProvidesIsRefusedWithItsName) {
  channels_.planners["a/zfs"] = Always({{"dataset", {}, {"path:/p"}, {}, {}}});
  channels_.planners["a/nfs"] = Always({{"export", {"path:/q"}, {}, {}, {}}});
  channels_.planners["b/zfs"] = Always({{"dataset", {}, {"path:/q"}, {}, {}}});
  EXPECT_THAT(MakePlan({"a", "b"}), StatusIs(Code::kFailedPrecondition,
                                             AllOf(HasSubstr("a/nfs: make export"), HasSubstr("path:/q"))));
}

TEST_F(FleetPlannerTest, ACircleOverParticipantsIsRefusedWithNames) {
  channels_.planners["a/zfs"] = Always({{"dataset", {"group:g"}, {"path:/p"}, {}, {}}});
  channels_.planners["a/samba"] = Always({{"user", {"path:/p"}, {"group:g"}, {}, {}}});
  const auto plan = MakePlan();
  EXPECT_THAT(plan,
              StatusIs(Code::kFailedPrecondition, AllOf(HasSubstr("circle"), HasSubstr("a/zfs: make dataset"),
                                                        HasSubstr("a/samba: make user"))));
  EXPECT_EQ(ReasonOf(plan.status())->reason, "PLAN_CYCLE");
}

// A circle that only the second round closes: what is disturbed makes the other need what the disturber makes
// last.
TEST_F(FleetPlannerTest, ACircleThatTheSecondRoundClosesIsRefusedToo) {
  channels_.planners["a/zfs"] = Always({{"rename", {"quiet:/p"}, {"path:/new"}, {}, {"path:/p"}}});
  channels_.planners["a/nfs"] = [](const pb::PlanRequest& request, pb::PlanResponse& response) {
    const bool told = !request.disturbed_keys().empty();
    AddStep(response, {"hush",
                       told ? std::vector<std::string>{"path:/new"} : std::vector<std::string>{},
                       {"quiet:/p"},
                       {},
                       {}});
    return absl::OkStatus();
  };
  EXPECT_THAT(MakePlan(), StatusIs(Code::kFailedPrecondition,
                                   AllOf(HasSubstr("a/zfs: make rename"), HasSubstr("a/nfs: make hush"))));
}

TEST_F(FleetPlannerTest, WhatIsThereOnOneNodeDoesNotSatisfyAnother) {
  channels_.planners["a/zfs"] = [](const pb::PlanRequest&, pb::PlanResponse& response) {
    response.add_provided_now("path:/p");
    return absl::OkStatus();
  };
  channels_.planners["a/nfs"] = Always({{"export", {"path:/p/sub"}, {}, {}, {}}});
  PHX_EXPECT_OK(MakePlan());
  channels_.planners["b/nfs"] = Always({{"export", {"path:/p"}, {}, {}, {}}});
  EXPECT_THAT(MakePlan({"a", "b"}), StatusIs(Code::kFailedPrecondition, HasSubstr("b/nfs: make export")));
}

TEST_F(FleetPlannerTest, EveryNodesProblemsAreToldAtOnce) {
  const auto refuse = [](const std::string& field) -> Planner {
    return [field](const pb::PlanRequest&, pb::PlanResponse&) {
      return WithViolations(WithReason(InvalidArgument("{} is wrong", field), {"SPEC_INVALID", {}}),
                            {{field, "is wrong"}});
    };
  };
  channels_.planners["a/nfs"] = refuse("path");
  channels_.planners["a/zfs"] = Always({});
  channels_.planners["b/samba"] = refuse("share");
  const auto plan = MakePlan({"a", "b"});
  EXPECT_THAT(plan, StatusIs(Code::kInvalidArgument,
                             AllOf(HasSubstr("a/nfs: path is wrong"), HasSubstr("b/samba: share is wrong"))));
  EXPECT_THAT(ViolationsOf(plan.status()), SizeIs(2));
}

TEST_F(FleetPlannerTest, ARefusalInTheSecondRoundIsARefusal) {
  channels_.planners["a/zfs"] = Always({{"destroy", {}, {}, {"path:/p"}, {}}});
  channels_.planners["a/nfs"] = [](const pb::PlanRequest& request, pb::PlanResponse&) {
    return request.removed_keys().empty() ? absl::OkStatus() : FailedPrecondition("clients use /p");
  };
  EXPECT_THAT(MakePlan(), StatusIs(Code::kFailedPrecondition, HasSubstr("a/nfs: clients use /p")));
}

TEST_F(FleetPlannerTest, ALintOfTheConfigurationIsToldOnceForTheWholeFleet) {
  notes_ = {{true, "$.x", "doubtful"}};
  channels_.planners["a/zfs"] = Always({});
  channels_.planners["b/zfs"] = Always({});
  const auto plan = MakePlan({"a", "b"});
  PHX_ASSERT_OK(plan);
  EXPECT_EQ(plan->notes, notes_);
}

// A container is on one node of a fleet, and every other one would say that it is missing.
TEST_F(FleetPlannerTest, WhatIsMissingEverywhereIsToldOnceAndWhatANodeHasIsNot) {
  for (const std::string node : {"a", "b", "c"}) {
    channels_.planners[node + "/zfs"] = [node](const pb::PlanRequest&, pb::PlanResponse& response) {
      for (const char* key : {"container:950", "container:951"}) {
        if (node == "b" && std::string_view(key) == "container:950") {
          response.add_provided_now(key);
          continue;
        }
        auto* note = response.add_notes();
        note->set_resource(key);
        note->set_unless_provided(true);
      }
      response.add_notes()->set_resource("container:950");
      return absl::OkStatus();
    };
  }
  const auto plan = MakePlan({"a", "b", "c"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<std::string> missing;
  size_t others = 0;
  for (const auto& participant : plan->participants) {
    for (const kit::Note& note : participant.notes) {
      if (note.unless_provided) {
        missing.push_back(note.resource);
      } else {
        ++others;
      }
    }
  }
  EXPECT_THAT(missing, ElementsAre("container:951"));
  EXPECT_EQ(others, 3u);
}

TEST_F(FleetPlannerTest, ANodeThatObeysAnotherAuthorityIsRefusedOnceWithItsNameAndTheWayOut) {
  const auto obeying = [](const std::string& authority) -> Planner {
    return [authority](const pb::PlanRequest&, pb::PlanResponse& response) {
      response.set_authority(authority);
      return absl::OkStatus();
    };
  };
  // Half adopted: two of three.
  channels_.planners["a/nfs"] = obeying("theirs");
  channels_.planners["a/samba"] = obeying("ours");
  channels_.planners["a/zfs"] = obeying("theirs");
  channels_.planners["b/zfs"] = obeying("");
  channels_.planners["c/zfs"] = obeying("a third one");
  const auto plan = MakePlan({"a", "b", "c"});
  EXPECT_THAT(plan, StatusIs(Code::kFailedPrecondition,
                             AllOf(HasSubstr("node a (nfs, zfs) obeys authority theirs"),
                                   HasSubstr("`phoenix node adopt a`"), HasSubstr("(ours)"),
                                   HasSubstr("node c (zfs) obeys authority a third one"))));
  EXPECT_EQ(ReasonOf(plan.status())->reason, "OTHER_AUTHORITY");
  const auto violations = ViolationsOf(plan.status());
  ASSERT_THAT(violations, SizeIs(2));
  EXPECT_EQ(violations[0].field, "nodes/a");
  PHX_EXPECT_OK(MakePlan({"b"})) << "a new node obeys nobody yet";
}

}  // namespace
TEST_F(FleetPlannerTest, WhatIsWrongForEveryNodeIsSaidOnce) {
  FleetPlanner planner(channels_, [](const run::Request&, const run::NodeAddress& node, const Secrets&) {
    std::vector<FieldViolation> wrong = {{"$.zfs", "not good"}};
    if (!node.overrides.empty()) wrong.push_back({"$.nfs (overrides of node b)", "not good either"});
    std::string text = "$.zfs: not good";
    if (!node.overrides.empty()) text += "\n$.nfs (overrides of node b): not good either";
    return absl::StatusOr<NodeSpecs>(
        WithViolations(WithReason(InvalidArgument("{}", text), {"CONFIG_INVALID", {}}), wrong));
  });
  run::Request request;
  request.nodes = {{"a", "unix:/nowhere", ""}, {"b", "unix:/nowhere", "{}"}};
  const absl::Status status = planner.MakePlan(request, {}, "ours").status();
  EXPECT_EQ(Message(status), "$.zfs: not good\n$.nfs (overrides of node b): not good either");
  EXPECT_EQ(ViolationsOf(status).size(), 2u);
  EXPECT_EQ(ReasonOf(status)->reason, "CONFIG_INVALID");
}

}  // namespace phoenix::engine
