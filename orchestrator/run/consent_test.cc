#include "orchestrator/run/consent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "orchestrator/run/fleet_plan.h"
#include "tests/support/status_matchers.h"

namespace phoenix::run {
namespace {

using ::phoenix::testing::StatusIs;
using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Class = kit::StepClass;
using Code = absl::StatusCode;

kit::Step MakeStep(const std::string& id, Class step_class, std::vector<std::string> provides,
                   std::vector<std::string> removes = {}) {
  kit::Step step{.id = id, .resource = id.substr(id.find(':') + 1), .action = "make"};
  step.step_class = step_class;
  step.provides = std::move(provides);
  step.removes = std::move(removes);
  return step;
}

FleetPlan PlanOf(const std::vector<kit::Step>& steps, const std::vector<std::string>& nodes = {"hv1"},
                 const std::vector<std::pair<std::string, std::string>>& provided_now = {}) {
  std::vector<PlannedParticipant> participants;
  for (const auto& node : nodes) {
    PlannedParticipant participant{.id = {node, "zfs"}};
    participant.steps = steps;
    participants.push_back(participant);
  }
  return *MakeFleetPlan(participants, provided_now);
}

// "node word", in order.
std::vector<std::string> Missing(const FleetPlan& plan, const Request& request) {
  std::vector<std::string> missing;
  for (const MissingConsent& one : MissingConsents(plan, request))
    missing.push_back(plan.OwnerOf(one.position).node + " " + one.key);
  return missing;
}

const kit::Step kExact = MakeStep("dataset:a", Class::kExact, {"dataset:a", "path:/a"});
const kit::Step kConfig = MakeStep("share:a", Class::kConfig, {"share:a"});
const kit::Step kLossy = MakeStep("storage:nas", Class::kLossy, {"storage:nas"});
const kit::Step kWipe =
    MakeStep("make-pool", Class::kPointOfNoReturn, {"pool:tank", "dataset:tank", "path:/tank"});
const kit::Step kRemoval = MakeStep("drop-c1", Class::kLossy, {}, {"storage:c1", "path:/mnt/c1"});
const kit::Step kBare = MakeStep("chown:/a", Class::kLossy, {});
const kit::Step kPackage = MakeStep("package:samba", Class::kLossy, {"package:samba"});
// Not a package step: more than a package is there afterwards.
const kit::Step kMixed = MakeStep("driver", Class::kLossy, {"package:x", "unit:x"});

TEST(Consent, WhichStepsNeedWhichWord) {
  struct Case {
    kit::Step step;
    std::vector<std::string> allow;
    bool no_install = false;
    std::string word;  // what is missing
  };
  for (const Case& known : {
           Case{kExact, {}, false, ""},
           Case{kConfig, {}, false, ""},
           Case{kLossy, {}, false, "storage:nas"},
           Case{kLossy, {"storage:nas"}, false, ""},
           Case{kLossy, {"storage:na"}, false, "storage:nas"},
           Case{kLossy, {"storage:nas2"}, false, "storage:nas"},
           Case{kWipe, {}, false, "pool:tank"},
           Case{kWipe, {"pool:tank"}, false, ""},
           // The id and every other key of it are as good.
           Case{kWipe, {"make-pool"}, false, ""},
           Case{kWipe, {"path:/tank"}, false, ""},
           // Keys are taken literally: a folder above allows nothing below, nor the other way round.
           Case{kWipe, {"path:/"}, false, "pool:tank"},
           Case{kWipe, {"path:/tank/a"}, false, "pool:tank"},
           Case{kRemoval, {}, false, "storage:c1"},
           Case{kRemoval, {"path:/mnt/c1"}, false, ""},
           Case{kBare, {}, false, "chown:/a"},
           Case{kBare, {"chown:/a"}, false, ""},
           Case{kPackage, {}, false, ""},
           Case{kPackage, {}, true, "package:samba"},
           Case{kPackage, {"package:samba"}, true, ""},
           Case{kMixed, {}, false, "package:x"},
           // A class that a newer node knows and we do not is taken for the worst.
           Case{MakeStep("new", static_cast<Class>(9), {"new:x"}), {}, false, "new:x"},
       }) {
    const FleetPlan plan = PlanOf({known.step});
    const std::vector<std::string> wanted =
        known.word.empty() ? std::vector<std::string>() : std::vector<std::string>{"hv1 " + known.word};
    EXPECT_EQ(Missing(plan, {.allow = known.allow, .no_install = known.no_install}), wanted)
        << known.step.id << ", allowed " << ::testing::PrintToString(known.allow);
  }
}

TEST(Consent, AWordHoldsOnEveryNodeAndForNothingElse) {
  const FleetPlan plan = PlanOf({kLossy, kWipe}, {"hv1", "hv2"});
  EXPECT_THAT(Missing(plan, {.allow = {"storage:nas"}}), ElementsAre("hv1 pool:tank", "hv2 pool:tank"));
}

TEST(Consent, TheRefusalNamesEveryStepAndTheWordsToSay) {
  kit::Step lossy = kLossy;
  lossy.remainder = "the server may keep empty folders";
  const FleetPlan plan = PlanOf({kExact, lossy, kWipe}, {"hv1", "hv2"});
  const absl::Status refused = CheckConsent(plan, {});
  EXPECT_THAT(refused, StatusIs(Code::kFailedPrecondition,
                                AllOf(HasSubstr("hv2/zfs: make nas [LOSSY] needs --allow storage:nas; "
                                                "remains after undo: the server may keep empty folders"),
                                      HasSubstr("hv1/zfs: make make-pool [POINT_OF_NO_RETURN]"),
                                      HasSubstr("\nIf that is what you want, say so: --allow storage:nas "
                                                "--allow pool:tank"),
                                      Not(HasSubstr("package")), Not(HasSubstr("dataset:a")))));
  EXPECT_EQ(ReasonOf(refused)->reason, "CONSENT_NEEDED");
  EXPECT_EQ(ReasonOf(refused)->metadata.at("allow"), "storage:nas,pool:tank");
  const auto violations = ViolationsOf(refused);
  ASSERT_EQ(violations.size(), 4U) << "one for each step";
  EXPECT_EQ(violations[0].field, "allow");
  EXPECT_TRUE(CheckConsent(plan, {.allow = {"storage:nas", "pool:tank"}}).ok());
}

TEST(Consent, NoInstallNamesPackagesAndNodes) {
  const FleetPlan plan = PlanOf({kPackage}, {"hv1", "hv2"});
  EXPECT_TRUE(CheckConsent(plan, {}).ok());
  const absl::Status refused = CheckConsent(plan, {.no_install = true});
  EXPECT_THAT(refused, StatusIs(Code::kFailedPrecondition,
                                AllOf(HasSubstr("--no-install forbids"), HasSubstr("hv1/zfs: make samba"),
                                      HasSubstr("hv2/zfs: make samba"), HasSubstr("--allow package:samba"))));
  EXPECT_EQ(ViolationsOf(refused)[1].field, "no_install");
}

TEST(Consent, AWordThatNothingHasIsAMistake) {
  const FleetPlan plan = PlanOf({kExact, kLossy}, {"hv1"}, {{"hv1", "storage:there"}});
  const absl::Status refused = CheckConsent(plan, {.allow = {"path:/a", "storage:nsa"}});
  EXPECT_THAT(refused, StatusIs(Code::kFailedPrecondition,
                                AllOf(HasSubstr("no step of this plan has the key 'storage:nsa'"),
                                      HasSubstr("--allow storage:nas"))));
  EXPECT_EQ(ReasonOf(refused)->reason, "ALLOWED_KEY_UNKNOWN");
  ASSERT_EQ(ViolationsOf(refused).size(), 1U);
  EXPECT_EQ(ViolationsOf(refused)[0].field, "allow[1]");
  EXPECT_TRUE(CheckAllowedKeys(plan, {.allow = {"path:/a"}}).ok())
      << "a step that needs no word may be named";
}

// The same command line again, when part of it or all of it is done.
TEST(Consent, AWordForWhatIsThereAlreadyIsNoMistake) {
  const Request request{.allow = {"storage:nas"}};
  EXPECT_TRUE(CheckConsent(PlanOf({kExact}, {"hv1"}, {{"hv1", "storage:nas"}}), request).ok());
  EXPECT_TRUE(CheckConsent(PlanOf({}), request).ok());
  EXPECT_THAT(CheckConsent(PlanOf({kExact}), request), StatusIs(Code::kFailedPrecondition, _));
}

TEST(Consent, FoldersThatComeAlongAreNotTheWord) {
  const kit::Step files = MakeStep("content:tank/a", Class::kLossy, {"folder:/tank/a/conf"});
  EXPECT_THAT(CheckConsent(PlanOf({files}), {}),
              StatusIs(Code::kFailedPrecondition, HasSubstr("say so: --allow content:tank/a")));
  EXPECT_THAT(Missing(PlanOf({files}), {.allow = {"content:tank/a"}}), IsEmpty());
}

TEST(Consent, WordsAreSaidAsAShellTakesThem) {
  const FleetPlan plan = PlanOf({MakeStep("x", Class::kLossy, {"path:/it's a b"})});
  EXPECT_THAT(CheckConsent(plan, {}),
              StatusIs(Code::kFailedPrecondition, HasSubstr(R"(--allow 'path:/it'\''s a b')")));
  EXPECT_THAT(Missing(plan, {.allow = {"path:/it's a b"}}), IsEmpty());
}

}  // namespace
}  // namespace phoenix::run
