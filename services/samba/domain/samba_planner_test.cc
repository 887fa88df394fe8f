// Cases of the planner: what is there, what is wanted, what comes out.
#include "services/samba/domain/samba_planner.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace phoenix::samba {
namespace {

ShareSpec Share(const std::string& name, const std::string& path) {
  ShareSpec share;
  share.name = name;
  share.path = path;
  share.valid_users = {"heads"};
  share.origin = "samba.shares[0]";
  return share;
}

// A node where one share and its user are set up and recorded.
class PlannerTest : public ::testing::Test {
 protected:
  PlannerTest() {
    q_.spec.shares = {Share("data", "/tank/data")};
    q_.spec.users = {{"heads", "samba/users/heads", false, "samba.user"}};
    q_.secrets = {{"samba/users/heads", "mac of the password"}};
    q_.state.installed = true;
    q_.state.smb_conf = "[global]\ninclude = /etc/samba/phoenix.conf\n";
    q_.state.included = true;
    q_.state.own.Put(SectionOf(q_.spec.shares[0]));
    q_.state.own_text = Render(q_.state.own);
    q_.state.live.shares["data"] = SectionOf(q_.spec.shares[0]);
    q_.state.accounts["heads"] = {"heads", 1000, 1000, "", "/nonexistent", "/usr/sbin/nologin"};
    q_.state.groups = {"heads"};
    q_.state.entries["heads"] = {1'795'397'053, "mac of the password"};
    q_.state.directories = {"/tank/data"};
    q_.ledger = {{"share:data", {true, ""}}, {"user:heads", {true, "1000"}}, {"passdb:heads", {true, ""}}};
  }

  SambaPlan Plan() { return MakeSambaPlan(q_); }
  bool Warns(const SambaPlan& plan, const std::string& words) {
    return std::any_of(plan.notes.begin(), plan.notes.end(), [&](const kit::Note& note) {
      return note.warning && note.text.find(words) != std::string::npos;
    });
  }
  bool Complains(const SambaPlan& plan, const std::string& words) {
    return std::any_of(plan.violations.begin(), plan.violations.end(), [&](const FieldViolation& violation) {
      return violation.description.find(words) != std::string::npos;
    });
  }

  PlanQuestion q_;
};

TEST_F(PlannerTest, WhatIsAsWantedGivesNoStep) {
  const SambaPlan plan = Plan();
  EXPECT_TRUE(plan.steps.empty());
  EXPECT_TRUE(plan.violations.empty());
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_EQ(plan.notes[0].text, "password: unchanged");
}

TEST_F(PlannerTest, AnotherPasswordIsOneStepThatShowsNeither) {
  q_.secrets["samba/users/heads"] = "mac of another one";
  const SambaPlan plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  const auto& set = std::get<SetPassword>(plan.steps[0].step);
  EXPECT_FALSE(set.add);
  EXPECT_TRUE(set.created);
  ASSERT_EQ(plan.steps[0].diffs.size(), 1u);
  EXPECT_EQ(plan.steps[0].diffs[0],
            (kit::FieldDiff{"password", "(set 2026-11-23 01:24:13 UTC)", "(new value)"}));
}

TEST_F(PlannerTest, APasswordThatSomebodyElseSetIsSetAgain) {
  q_.state.entries["heads"] = {1'795'400'000, "mac of theirs"};
  EXPECT_EQ(Plan().steps.size(), 1u);
}

TEST_F(PlannerTest, AMissingSecretMattersOnlyWhereThereIsNoUserYet) {
  q_.secrets.clear();
  EXPECT_TRUE(Plan().violations.empty());
  EXPECT_TRUE(Plan().steps.empty());
  q_.state.entries.clear();
  EXPECT_TRUE(Complains(Plan(), "the secret 'samba/users/heads' was not given"));
  // A user whom only a share names has no secret of his own: it is named all the same.
  q_.spec.users[0].password_secret.clear();
  const SambaPlan plan = Plan();
  ASSERT_EQ(plan.violations.size(), 1u);
  EXPECT_EQ(plan.violations[0].description,
            "the user 'heads' needs a password, since Samba does not know it: the secret 'samba/users/heads' "
            "was not given; put it into the secrets file (--secrets), or add the user by hand (smbpasswd -a "
            "heads)");
}

TEST_F(PlannerTest, APasswordThatCouldNotBePutBackIsNotChanged) {
  q_.secrets["samba/users/heads"] = "mac of another one";
  q_.state.passdb_restorable = false;
  EXPECT_TRUE(Complains(Plan(), "no tdb file"));
}

TEST_F(PlannerTest, ABareNodeGetsEverythingInKeysOrder) {
  q_.state = SambaState();
  q_.ledger.clear();
  q_.spec.globals = {{"workgroup", "PHX"}};
  const SambaPlan plan = Plan();
  EXPECT_TRUE(plan.violations.empty());
  ASSERT_EQ(plan.steps.size(), 6u);
  const PlannedStep& share = plan.steps.back();
  ASSERT_TRUE(std::holds_alternative<SetShare>(share.step));
  for (const char* key : {"package:samba", "file:/etc/samba/phoenix.conf", "include:/etc/samba/smb.conf",
                          "path:/tank/data", "user:heads", "passdb:heads"}) {
    EXPECT_EQ(std::count(share.requirements.begin(), share.requirements.end(), kit::Requirement{key, false}),
              1)
        << key;
  }
}

TEST_F(PlannerTest, ADriftedShareShowsWhatDiffers) {
  q_.state.own.shares["data"].parameters["guest ok"] = "Yes";
  q_.state.own_text = Render(q_.state.own);
  const SambaPlan plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  ASSERT_EQ(plan.steps[0].diffs.size(), 1u);
  EXPECT_EQ(plan.steps[0].diffs[0], (kit::FieldDiff{"guest ok", "Yes", "No"}));
}

TEST_F(PlannerTest, OmissionNeverDeletes) {
  q_.spec.shares.clear();
  q_.spec.users.clear();
  const SambaPlan plan = Plan();
  EXPECT_TRUE(plan.steps.empty());
  EXPECT_TRUE(Warns(plan, "orphaned: the share [data]"));
  EXPECT_TRUE(Warns(plan, "orphaned: the user heads"));
  q_.spec.partial = true;
  EXPECT_TRUE(Plan().notes.empty());
}

TEST_F(PlannerTest, AnOrphanStaysInTheFileBesideANewShare) {
  q_.spec.shares = {Share("other", "/tank/other")};
  const SambaPlan plan = Plan();
  EXPECT_EQ(plan.steps.size(), 1u);
  EXPECT_NE(plan.own_after.Find("data"), nullptr);
  EXPECT_NE(plan.own_after.Find("other"), nullptr);
}

TEST_F(PlannerTest, AbsentRemovesOnlyWhatPhoenixCreated) {
  q_.spec.shares[0].absent = true;
  q_.spec.users[0].absent = true;
  const SambaPlan removed = Plan();
  EXPECT_EQ(removed.steps.size(), 3u);
  EXPECT_TRUE(Warns(removed, "smbstatus -u heads")) << "what he has open by a group goes on";
  q_.ledger.clear();
  const SambaPlan plan = Plan();
  EXPECT_TRUE(Complains(plan, "the share [data] was not created by Phoenix"));
  EXPECT_TRUE(Complains(plan, "the Samba user 'heads' was not created by Phoenix"));
}

TEST_F(PlannerTest, AnAccountMadeAnewBySomebodyElseIsNotRemoved) {
  q_.spec.shares[0].absent = true;
  q_.spec.users[0].absent = true;
  q_.state.accounts["heads"].uid = 1007;
  EXPECT_TRUE(Complains(Plan(), "somebody made it anew"));
}

TEST_F(PlannerTest, AShareOfTheSameNameInSmbConfIsAnError) {
  q_.state.others.shares["data"] = {"Data", {{"path", "/elsewhere"}}};
  EXPECT_TRUE(Complains(Plan(), "is defined beside"));
}

TEST_F(PlannerTest, AFileChangedByHandIsNotWrittenOver) {
  q_.state.own_is_ours = false;
  EXPECT_TRUE(Plan().violations.empty()) << "nothing has to be written";
  q_.spec.shares[0].read_only = true;
  EXPECT_TRUE(Complains(Plan(), "was changed by hand"));
}

TEST_F(PlannerTest, AShareWhosePathGoesMustGoItself) {
  const auto fields = [&] {
    std::vector<std::string> named;
    for (const auto& violation : SharesThatStay(q_)) named.push_back(violation.field);
    return named;
  };
  EXPECT_EQ(fields(), std::vector<std::string>());
  q_.removed_keys = {"dataset:tank", "path:/tank"};
  EXPECT_EQ(fields(), std::vector<std::string>{"samba.shares[0].path"});
  q_.spec.shares[0].absent = true;
  EXPECT_EQ(fields(), std::vector<std::string>());
  // Declared by nobody any more, or never ours: its users would be cut off all the same.
  q_.spec.shares.clear();
  q_.state.others.shares["theirs"] = {"Theirs", {{"path", "/tank/data/sub"}}};
  q_.state.others.shares["elsewhere"] = {"elsewhere", {{"path", "/tanks"}}};
  EXPECT_EQ(fields(), (std::vector<std::string>{"shares[data]", "shares[Theirs]"}));
}

TEST_F(PlannerTest, WithoutSmbConfThereIsNothingToIncludeInto) {
  q_.state.smb_conf.reset();
  q_.state.included = false;
  EXPECT_TRUE(Complains(Plan(), "/etc/samba/smb.conf is missing"));
}

// What nobody declared is taken from smb.conf as it is, and not lowered or renamed.
TEST_F(PlannerTest, GlobalsByHandStayWhereTheyAreNotDeclared) {
  q_.spec.globals = {{"workgroup", "WORKGROUP"}, {"server min protocol", "SMB2"}};
  q_.spec.usual_globals = {"workgroup", "server min protocol"};
  q_.state.live.globals = {{"workgroup", "CORP"}, {"server min protocol", "SMB3_11"}};
  EXPECT_TRUE(Plan().steps.empty());
  q_.state.live.globals["server min protocol"] = "NT1";
  EXPECT_TRUE(Warns(Plan(), "declare samba.min_protocol"));
  // Samba's own.
  q_.state.live.globals = {{"workgroup", "WORKGROUP"}, {"server min protocol", "SMB2_02"}};
  EXPECT_EQ(std::get<SetGlobals>(Plan().steps.at(0).step).parameters,
            (Parameters(q_.spec.globals.begin(), q_.spec.globals.end())));
  // Said.
  q_.state.live.globals = {{"workgroup", "CORP"}, {"server min protocol", "SMB3_11"}};
  q_.spec.usual_globals = {"server min protocol"};
  EXPECT_EQ(std::get<SetGlobals>(Plan().steps.at(0).step).parameters,
            (Parameters{{"workgroup", "WORKGROUP"}}));
}

TEST_F(PlannerTest, GlobalsThatAreNoLongerDeclaredStay) {
  q_.state.own.globals = {{"workgroup", "PHX"}, {"server string", "x"}};
  q_.state.own_text = Render(q_.state.own);
  q_.spec.globals = {{"workgroup", "OTHER"}};
  const SambaPlan plan = Plan();
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(std::get<SetGlobals>(plan.steps[0].step).parameters,
            (Parameters{{"workgroup", "OTHER"}, {"server string", "x"}}));
  EXPECT_TRUE(Warns(plan, "'server string = x' is no longer declared"));
}

// --- Canonicalise

std::vector<FieldViolation> Check(SambaSpec spec) { return Canonicalise(spec); }

TEST(Canonicalise, FoldsOptionsIntoTheirFields) {
  SambaSpec spec;
  spec.shares = {Share("data", "/tank/data")};
  spec.shares[0].valid_users.clear();
  spec.shares[0].browseable = false;
  spec.shares[0].options = {
      {"browsable", "no"}, {"write ok", "yes"}, {"valid users", "heads, @staff"}, {"create mode", "0664"}};
  EXPECT_TRUE(Canonicalise(spec).empty());
  EXPECT_EQ(spec.shares[0].options, (std::map<std::string, std::string>{{"create mask", "0664"}}));
  EXPECT_EQ(spec.shares[0].valid_users, (std::vector<std::string>{"heads", "@staff"}));
}

TEST(Canonicalise, ReportsEverythingAtOnce) {
  SambaSpec spec;
  spec.shares = {Share("global", "/tank/../etc"), Share("a]\n[b", "/x"), Share("c", "tank"),
                 Share("C", "/tank/%U")};
  spec.shares[2].options = {{"root preexec", "/bin/sh"}, {"browseable", "perhaps"}};
  spec.users = {
      {"-rf", "", false, "u"}, {"root", "", false, "u"}, {"bob", "", false, "u"}, {"bob", "", false, "u"}};
  spec.globals = {{"add user script", "/bin/sh"}};
  spec.clients = {"10.0.0.0/24; rm -rf /"};
  EXPECT_GE(Check(spec).size(), 11u);
}

// The scripts fell back to everybody.
TEST(Canonicalise, MissingValidUsersAreNeverEveryone) {
  SambaSpec spec;
  spec.shares = {Share("data", "/tank/data")};
  spec.shares[0].valid_users.clear();
  ASSERT_EQ(Check(spec).size(), 1u);
  EXPECT_EQ(Check(spec)[0].field, "samba.shares[0].valid_users");
  spec.shares[0].guest_ok = true;
  EXPECT_TRUE(Check(spec).empty());
}

TEST(Canonicalise, ContradictionsAreErrors) {
  SambaSpec spec;
  spec.shares = {Share("data", "/tank/data")};
  spec.shares[0].options = {{"writable", "no"}};
  EXPECT_EQ(Check(spec).size(), 1u);
}

TEST(Canonicalise, AUserThatShallGoMayNotBeNamedByAShare) {
  SambaSpec spec;
  spec.shares = {Share("data", "/tank/data")};
  spec.users = {{"heads", "s", true, "samba.user"}};
  EXPECT_EQ(Check(spec).size(), 1u);
}

}  // namespace
}  // namespace phoenix::samba
