#include "services/proxmox/domain/proxmox_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/proxmox/domain/storage_spec_check.h"

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StorageSpec Make(std::string id, std::string type, Words content, Options options) {
  return {std::move(id), std::move(type), std::move(content), std::move(options), false, "o"};
}

ProxmoxState Node() {
  ProxmoxState state;
  state.installed = true;
  state.node = "pve1";
  state.mounts = {{"rpool", "/", "zfs"}, {"tank", "/tank", "zfs"}, {"tank/b", "/tank/b", "zfs"}};
  state.pools = {"rpool", "tank"};
  state.folders = {"/tank/b", "/tank/plain"};
  return state;
}

struct Mistake {
  const char* name;
  StorageSpec spec;
  const char* field;
  const char* text;
};

class MistakeTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(MistakeTest, IsNamedWithItsPlace) {
  const auto violations = CheckSpec({{GetParam().spec}, false});
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, GetParam().field);
  EXPECT_THAT(violations[0].description, HasSubstr(GetParam().text));
  // The planner refuses before it looks at anything.
  EXPECT_EQ(PlanStorages({{GetParam().spec}, false}, Node(), {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(
    Spec, MistakeTest,
    ::testing::Values(
        Mistake{"id", Make("1abc", "zfspool", {}, {{"pool", "tank"}}), "o.id", "no storage id"},
        Mistake{"local", Make("local", "dir", {}, {{"path", "/var/lib/vz"}}), "o.id", "own storage"},
        Mistake{"type", Make("x1", "lvm", {}, {}), "o.type", "zfspool, dir, nfs or cifs"},
        Mistake{"iso_on_zfspool", Make("x1", "zfspool", {"iso"}, {{"pool", "tank"}}), "o.content",
                "use a dir entry"},
        Mistake{"unknown_content", Make("x1", "dir", {"films"}, {{"path", "/x"}}), "o.content",
                "cannot hold 'films'"},
        Mistake{"none", Make("x1", "dir", {"none"}, {{"path", "/x"}}), "o.content", "leave the entry out"},
        Mistake{"missing_pool", Make("x1", "zfspool", {}, {}), "o.options.pool", "needs the option 'pool'"},
        Mistake{"missing_export", Make("x1", "nfs", {}, {{"server", "s"}}), "o.options.export",
                "needs the option 'export'"},
        Mistake{"shared_zfspool", Make("x1", "zfspool", {}, {{"pool", "t"}, {"shared", "1"}}),
                "o.options.shared", "no option"},
        Mistake{"nodes", Make("x1", "zfspool", {}, {{"pool", "t"}, {"nodes", "a"}}), "o.options.nodes",
                "leave 'nodes' out"},
        Mistake{"password", Make("x1", "cifs", {}, {{"server", "s"}, {"share", "m"}, {"password", "p"}}),
                "o.options.password", "never belongs"},
        Mistake{"line_feed", Make("x1", "zfspool", {}, {{"pool", "t\nzfspool: y"}}), "o.options.pool",
                "line feed"},
        Mistake{"option_injection", Make("x1", "zfspool", {}, {{"pool", "--delete"}}), "o.options.pool",
                "dash"},
        Mistake{"slash_pool", Make("x1", "zfspool", {}, {{"pool", "/tank"}}), "o.options.pool", "zfs list"},
        Mistake{"blank_path", Make("x1", "dir", {}, {{"path", "/a b"}}), "o.options.path", "only letters"},
        Mistake{"maxfiles", Make("x1", "dir", {}, {{"path", "/x"}, {"maxfiles", "3"}}), "o.options.maxfiles",
                "keep-last=3"},
        Mistake{"way_out", Make("x1", "dir", {}, {{"path", "/x"}, {"content-dirs", "iso=../y"}}),
                "o.options.content-dirs", "leads out"},
        Mistake{"boolean", Make("x1", "zfspool", {}, {{"pool", "t"}, {"sparse", "maybe"}}),
                "o.options.sparse", "neither 1 nor 0"},
        Mistake{"mistyped_mount", Make("x1", "dir", {}, {{"path", "/x"}, {"is_mountpoint", "banana"}}),
                "o.options.is_mountpoint", "neither 1, 0 nor a path"}),
    [](const auto& info) { return info.param.name; });

TEST(CheckSpec, NamesAllMistakesAtOnce) {
  EXPECT_EQ(CheckSpec({{Make("1", "zfspool", {"iso"}, {}), Make("x1", "nosuch", {}, {})}, false}).size(), 4u);
}

TEST(CheckSpec, TwoEntriesOnOneFolderAreRefused) {
  const auto violations = CheckSpec({{Make("a1", "dir", {"iso"}, {{"path", "/x"}}),
                                      Make("b1", "dir", {"backup", "iso"}, {{"path", "/x/"}})},
                                     false});
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_THAT(violations[0].description, HasSubstr("'a1'"));
}

struct Ground {
  const char* name;
  StorageSpec spec;
  std::vector<kit::Requirement> wanted;
};

class GroundTest : public ::testing::TestWithParam<Ground> {};

TEST_P(GroundTest, IsWhatTheEntryStandsOn) {
  auto state = Node();
  state.addresses = {"10.0.0.13"};
  const auto plan = PlanStorages({{GetParam().spec}, false}, state, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->steps.size(), 1u);
  EXPECT_EQ(plan->steps[0].requires_keys, GetParam().wanted);
}

INSTANTIATE_TEST_SUITE_P(
    Types, GroundTest,
    ::testing::Values(
        Ground{
            "mounted_dataset", Make("x1", "zfspool", {}, {{"pool", "tank/b"}}), {{"dataset:tank/b", true}}},
        Ground{"dataset_to_come",
               Make("x1", "zfspool", {}, {{"pool", "tank/new"}}),
               {{"dataset:tank/new", false}}},
        // Trap 11: tank/b is there, tank/b2 is not.
        Ground{"longer_name", Make("x1", "zfspool", {}, {{"pool", "tank/b2"}}), {{"dataset:tank/b2", false}}},
        Ground{"pool", Make("x1", "zfspool", {}, {{"pool", "tank"}}), {{"pool:tank", true}}},
        Ground{"mount_point", Make("x1", "dir", {}, {{"path", "/tank/b"}}), {{"path:/tank/b", true}}},
        // Trap 9: a folder is there, but nothing is mounted on it.
        Ground{
            "bare_folder", Make("x1", "dir", {}, {{"path", "/tank/plain"}}), {{"path:/tank/plain", false}}},
        Ground{"folder_on_purpose",
               Make("x1", "dir", {}, {{"path", "/tank/plain"}, {"is_mountpoint", "0"}}),
               {{"path:/tank/plain", true}}},
        Ground{"mount_above",
               Make("x1", "dir", {}, {{"path", "/tank/b/sub"}, {"is_mountpoint", "/tank/b"}}),
               {{"path:/tank/b", true}}},
        Ground{"own_export",
               Make("x1", "nfs", {}, {{"server", "10.0.0.13"}, {"export", "/tank/b"}}),
               {{"export:/tank/b", false}}},
        Ground{"other_server",
               Make("x1", "nfs", {}, {{"server", "10.0.0.14"}, {"export", "/tank/b"}}),
               {{"remote:10.0.0.14 export:/tank/b", true}}},
        Ground{"own_share",
               Make("x1", "cifs", {}, {{"server", "10.0.0.13"}, {"share", "m"}}),
               {{"share:m", false}}},
        Ground{"guest_share",
               Make("x1", "cifs", {}, {{"server", "nas"}, {"share", "m"}}),
               {{"remote:nas share:m", true}}}),
    [](const auto& info) { return info.param.name; });

TEST(PlanStorages, EqualMeaningIsNoStep) {
  auto state = Node();
  state.config.entries["x1"] = {"x1", "zfspool", {"images", "rootdir"},
                                {},   false,     {{"pool", "tank/b"}, {"mountpoint", "/tank/b"}},
                                false};
  const auto plan = PlanStorages(
      {{Make("x1", "zfspool", {"rootdir", "images"}, {{"pool", "tank/b"}, {"sparse", "no"}})}, false}, state,
      {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps, IsEmpty());
  EXPECT_THAT(plan->notes, IsEmpty());
}

TEST(PlanStorages, AStaleMountPointIsWarnedOf) {
  auto state = Node();
  state.config.entries["x1"] = {
      "x1", "zfspool", {"images"}, {}, false, {{"pool", "tank/b"}, {"mountpoint", "/old"}}, false};
  const auto plan = PlanStorages({{Make("x1", "zfspool", {}, {{"pool", "tank/b"}})}, false}, state, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->notes.size(), 1u);
  EXPECT_THAT(plan->notes[0].text, HasSubstr("declare mountpoint /tank/b"));
}

// Proxmox VE reaches containers on a zfspool by the mount point that it noted when the entry was added.
class MovedDatasetTest : public ::testing::Test {
 protected:
  MovedDatasetTest() {
    spec_.mount_point = "/srv/b";
    state_.config.entries["x1"] = {
        "x1", "zfspool", {"images"}, {"pve1"}, false, {{"pool", "tank/b"}, {"mountpoint", "/tank/b"}}, false};
  }
  StoragePlan Plan(bool created, std::vector<std::string> removed) {
    const auto plan =
        PlanStorages({{spec_}, false}, state_, {{{"x1", {created, created}}}, {}, std::move(removed), false});
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : StoragePlan();
  }
  static void ExpectFollows(const StoragePlan& plan, const kit::Requirement& needs) {
    ASSERT_EQ(plan.steps.size(), 1u);
    EXPECT_EQ(plan.steps[0].action, StorageAction::kSet);
    EXPECT_THAT(plan.steps[0].definition.options,
                ElementsAre(::testing::Pair("mountpoint", needs.key.substr(needs.key.find(':') + 1))));
    EXPECT_THAT(plan.steps[0].requires_keys, ElementsAre(needs));
    EXPECT_THAT(plan.notes, IsEmpty());
  }

  StorageSpec spec_ = Make("x1", "zfspool", {"images"}, {{"pool", "tank/b"}});
  ProxmoxState state_ = Node();
};

TEST_F(MovedDatasetTest, InTheRunThatMovesItTheEntryFollowsAfterTheMoveWhoeverMadeIt) {
  for (const bool created : {true, false}) {
    EXPECT_THAT(Plan(created, {}).steps, IsEmpty()) << "nobody moves it";
    EXPECT_THAT(Plan(created, {"path:/tank"}).steps, IsEmpty()) << "another one goes";
    ExpectFollows(Plan(created, {"path:/tank/b"}), {"path:/srv/b", false});
  }
  state_.config.entries["x1"].options.erase("mountpoint");  // then it is /POOL
  ExpectFollows(Plan(false, {"path:/tank/b"}), {"path:/srv/b", false});
  state_.config.entries["x1"].options["mountpoint"] = "/srv/b";
  EXPECT_THAT(Plan(false, {"path:/tank/b"}).steps, IsEmpty()) << "somebody did it before";
  // What the file says itself counts.
  state_.config.entries["x1"].options["mountpoint"] = "/tank/b";
  spec_.options["mountpoint"] = "/tank/b";
  EXPECT_THAT(Plan(true, {"path:/tank/b"}).steps, IsEmpty());
}

TEST_F(MovedDatasetTest, ANewEntryComesAfterTheMove) {
  state_.config.entries.clear();
  EXPECT_THAT(Plan(false, {}).steps.at(0).requires_keys,
              ElementsAre(kit::Requirement{"dataset:tank/b", true}));
  EXPECT_THAT(Plan(false, {"path:/tank/b"}).steps.at(0).requires_keys,
              ElementsAre(kit::Requirement{"dataset:tank/b", true}, kit::Requirement{"path:/srv/b", false}));
}

TEST_F(MovedDatasetTest, AnEntryOfOursThatWasLeftBehindIsPutRightAtALaterRun) {
  state_.mounts.back().path = "/srv/b";
  ExpectFollows(Plan(true, {}), {"path:/srv/b", true});
  const auto theirs = Plan(false, {});
  EXPECT_THAT(theirs.steps, IsEmpty());
  ASSERT_EQ(theirs.notes.size(), 1u);
  EXPECT_THAT(theirs.notes[0].text, HasSubstr("`pvesm set x1 --mountpoint /srv/b`"));
  // Another node may have it where the entry says.
  state_.config.entries["x1"].nodes = {"pve1", "pve2"};
  EXPECT_THAT(Plan(true, {}).steps, IsEmpty());
  // Where the configuration does not know where it is, what is mounted counts.
  state_.config.entries["x1"].nodes = {"pve1"};
  spec_.mount_point = "/elsewhere";
  ExpectFollows(Plan(true, {}), {"path:/srv/b", true});
}

// Trap 21: no `nodes`.
TEST(PlanStorages, ALocalEntryOfAllNodesOfAClusterIsToldOfWithTheCommand) {
  auto state = Node();
  const auto notes = [&](const StorageSpec& spec) {
    const auto plan = PlanStorages({{spec}, false}, state, {});
    EXPECT_TRUE(plan.ok()) << plan.status();
    std::string text;
    for (const auto& note : plan.ok() ? plan->notes : std::vector<kit::Note>()) text += note.text;
    return text;
  };
  state.config.entries["z1"] = {"z1", "zfspool", {"images"}, {}, false, {{"pool", "tank/b"}}, false};
  state.config.entries["d1"] = {
      "d1", "dir", {"iso"}, {}, false, {{"path", "/tank/b"}, {"is_mountpoint", "1"}}, false};
  state.config.entries["n1"] = {
      "n1", "nfs", {"iso"}, {}, false, {{"server", "nas"}, {"export", "/e"}, {"path", "/mnt/pve/n1"}}, false};
  const auto zfs = Make("z1", "zfspool", {}, {{"pool", "tank/b"}});
  const auto dir = Make("d1", "dir", {}, {{"path", "/tank/b"}});
  EXPECT_EQ(notes(zfs) + notes(dir), "") << "this node is all there is";
  state.cluster = "lab";
  EXPECT_THAT(notes(zfs), HasSubstr("`pvesm set z1 --nodes pve1`"));
  EXPECT_THAT(notes(dir), HasSubstr("`pvesm set d1 --nodes pve1`"));
  EXPECT_EQ(notes(Make("n1", "nfs", {}, {{"server", "nas"}, {"export", "/e"}})), "");
  state.config.entries["d1"].options["shared"] = "1";
  EXPECT_EQ(notes(Make("d1", "dir", {}, {{"path", "/tank/b"}, {"shared", "1"}})), "");
  state.config.entries["z1"].nodes = {"pve1"};
  EXPECT_EQ(notes(zfs), "");
}

// Trap 20: loopback NFS storage with soft mounts for VM images.
TEST(SoftLoopback, IsRefusedWhereItIsNewAndToldOfWhereItIsThere) {
  auto state = Node();
  const auto plan = [&](Words content, const std::string& server, const std::string& mount_options) {
    Options options{{"server", server}, {"export", "/tank/b"}};
    if (!mount_options.empty()) options["options"] = mount_options;
    return PlanStorages({{Make("x1", "nfs", std::move(content), options)}, false}, state, {});
  };
  for (const Words& content : {Words{}, Words{"images"}, Words{"iso", "rootdir"}}) {
    const auto refused = plan(content, "127.0.0.1", "vers=4,soft");
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_EQ(ViolationsOf(refused.status()).size(), 1u);
    EXPECT_EQ(ViolationsOf(refused.status())[0].field, "o.options.options");
    EXPECT_THAT(ViolationsOf(refused.status())[0].description, HasSubstr("leave soft out"));
  }
  EXPECT_TRUE(plan({"iso"}, "127.0.0.1", "soft").ok());
  EXPECT_TRUE(plan({"images"}, "127.0.0.1", "hard").ok());
  EXPECT_TRUE(plan({"images"}, "nas", "soft").ok());
  // Somebody else's, that nothing is declared of but its place.
  state.config.entries["x1"] = {
      "x1", "nfs", {"images"},
      {},   false, {{"server", "127.0.0.1"}, {"export", "/tank/b"}, {"path", "/mnt/pve/x1"}},
      false};
  EXPECT_THAT(plan({"images"}, "127.0.0.1", "")->notes, IsEmpty());
  EXPECT_FALSE(plan({"images"}, "127.0.0.1", "soft").ok()) << "it would become soft";
  state.config.entries["x1"].options["options"] = "vers=4,soft";
  const auto adopted = plan({"images"}, "127.0.0.1", "");
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_THAT(adopted->steps, IsEmpty());
  ASSERT_EQ(adopted->notes.size(), 1u);
  EXPECT_THAT(adopted->notes[0].text, HasSubstr("loses writes of guests' disks"));
  const auto mended = plan({"images"}, "127.0.0.1", "vers=4");
  EXPECT_EQ(mended->steps.size(), 1u);
  EXPECT_THAT(mended->notes, IsEmpty());
}

TEST(PlanStorages, WhatWeAddedByOurselvesIsKeptUpOnlyWhereWeMadeTheEntry) {
  auto state = Node();
  state.config.entries["x1"] = {"x1", "dir", {"iso"}, {"pve1"}, false, {{"path", "/tank/b"}}, false};
  const ProxmoxSpec spec{{Make("x1", "dir", {"iso"}, {{"path", "/tank/b"}})}, false};
  const auto theirs = PlanStorages(spec, state, {});
  ASSERT_TRUE(theirs.ok());
  EXPECT_THAT(theirs->steps, IsEmpty());
  EXPECT_EQ(theirs->notes.size(), 1u);
  const auto ours = PlanStorages(spec, state, {{{"x1", {true, true}}}, {}, {}, false});
  ASSERT_TRUE(ours.ok());
  ASSERT_EQ(ours->steps.size(), 1u);
  EXPECT_EQ(ours->steps[0].definition.options.at("is_mountpoint"), "1");
}

TEST(PlanStorages, ACifsPasswordIsNeverPutOnACommandLine) {
  const ProxmoxSpec spec{
      {Make("c1", "cifs", {"iso"}, {{"server", "nas"}, {"share", "m"}, {"username", "u"}})}, false};
  const auto refused = PlanStorages(spec, Node(), {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(refused.status()), HasSubstr("password_secret"));
  auto state = Node();
  state.config.entries["c1"] = {
      "c1", "cifs", {"backup"},
      {},   false,  {{"server", "nas"}, {"share", "m"}, {"username", "u"}, {"path", "/mnt/pve/c1"}},
      false};
  const auto plan = PlanStorages(spec, state, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->steps.size(), 1u);
  EXPECT_EQ(plan->steps[0].action, StorageAction::kSet);
}

ProxmoxSpec WithPassword(const std::string& server) {
  StorageSpec storage = Make("c1", "cifs", {"iso"}, {{"server", server}, {"share", "m"}, {"username", "u"}});
  storage.password_secret = "samba/users/u";
  return {{storage}, false};
}

TEST(PlanStorages, ACifsEntryWithAPasswordNeedsATokenAndTheSecret) {
  auto state = Node();
  const auto refusal = [&](const PlanSurroundings& surroundings) {
    const absl::Status status = PlanStorages(WithPassword("nas"), state, surroundings).status();
    const auto violations = ViolationsOf(status);
    EXPECT_EQ(violations.size(), 1u);
    return violations.empty() ? std::string() : violations[0].field + ": " + violations[0].description;
  };
  PlanSurroundings surroundings;
  surroundings.passwords["c1"] = PasswordState::kMissing;
  EXPECT_THAT(refusal(surroundings),
              ::testing::AllOf(HasSubstr("o.options.username: "), HasSubstr("node pve1 has no token"),
                               HasSubstr("pveum user token add root@pam phoenix --privsep 0"),
                               HasSubstr("/etc/phoenix/pve-token")));
  state.has_api_token = true;
  EXPECT_THAT(refusal({}), HasSubstr("'samba/users/u', which is not among the secrets"));
  const auto plan = PlanStorages(WithPassword("nas"), state, surroundings);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->steps.size(), 1u);
  EXPECT_EQ(plan->steps[0].password_secret, "samba/users/u");
  EXPECT_EQ(plan->steps[0].definition.options.count("password"), 0u);
  EXPECT_THAT(plan->steps[0].requires_keys, ElementsAre(kit::Requirement{"remote:nas share:m", true}));
}

TEST(PlanStorages, AUserOfThisNodesOwnShareMustBeAbleToLogInFirst) {
  auto state = Node();
  state.has_api_token = true;
  PlanSurroundings surroundings;
  surroundings.passwords["c1"] = PasswordState::kMissing;
  const auto plan = PlanStorages(WithPassword("127.0.0.1"), state, surroundings);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->steps.at(0).requires_keys,
              ElementsAre(kit::Requirement{"share:m", false}, kit::Requirement{"passdb:u", false}));
}

TEST(PlanStorages, ThePasswordOfAnEntryThatIsThereIsLeftAndADifferenceSaid) {
  auto state = Node();
  state.config.entries["c1"] = {
      "c1", "cifs", {"iso"},
      {},   false,  {{"server", "nas"}, {"share", "m"}, {"username", "u"}, {"path", "/mnt/pve/c1"}},
      false};
  for (const auto& [password, said] :
       {std::pair{PasswordState::kSame, ""},
        {PasswordState::kNotGiven, ""},
        {PasswordState::kMissing, "has no password"},
        {PasswordState::kOther, "another password than the secret 'samba/users/u'"}}) {
    PlanSurroundings surroundings;
    surroundings.passwords["c1"] = password;
    const auto plan = PlanStorages(WithPassword("nas"), state, surroundings);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_THAT(plan->steps, IsEmpty());
    if (std::string(said).empty()) {
      EXPECT_THAT(plan->notes, IsEmpty());
    } else {
      ASSERT_EQ(plan->notes.size(), 1u);
      EXPECT_THAT(plan->notes[0].text,
                  ::testing::AllOf(HasSubstr(said), HasSubstr("pvesm set c1 --username u --password")));
    }
  }
}

// Proxmox VE keeps the password: the new user would log in with the former one's, at the next mount only.
TEST(PlanStorages, AnotherUserNameIsNotSetWithoutItsPassword) {
  for (const Options& options : {Options{{"server", "nas"}, {"share", "m"}, {"username", "alice"}},
                                 Options{{"server", "nas"}, {"share", "m"}}}) {
    auto state = Node();
    state.config.entries["c1"] = {"c1", "cifs", {"iso"}, {}, false, options, false};
    state.config.entries["c1"].options["path"] = "/mnt/pve/c1";
    PlanSurroundings surroundings;
    surroundings.passwords["c1"] = PasswordState::kOther;
    EXPECT_THAT(Message(PlanStorages(WithPassword("nas"), state, surroundings).status()),
                HasSubstr("`pvesm set c1 --username u --password`"));
    // As it is once a person has done that, but for the name.
    surroundings.passwords["c1"] = PasswordState::kSame;
    EXPECT_TRUE(PlanStorages(WithPassword("nas"), state, surroundings).ok());
  }
}

TEST(PlanStorages, OnlyACifsEntryWithAUserNameHasAPassword) {
  for (StorageSpec storage : {Make("x1", "zfspool", {}, {{"pool", "tank"}}),
                              Make("x1", "cifs", {}, {{"server", "nas"}, {"share", "m"}})}) {
    storage.password_secret = "s";
    const auto violations = CheckSpec({{storage}, false});
    ASSERT_EQ(violations.size(), 1u);
    EXPECT_EQ(violations[0].field, "o.password_secret");
  }
}

TEST(PlanStorages, AnEntryOfAllNodesOfAClusterIsNotRemovedByOne) {
  auto state = Node();
  state.cluster = "lab";
  state.config.entries["x1"] = {"x1", "zfspool", {"images"}, {}, false, {{"pool", "tank"}}, false};
  StorageSpec gone = Make("x1", "zfspool", {}, {});
  gone.absent = true;
  EXPECT_THAT(Message(PlanStorages({{gone}, false}, state, {{{"x1", {true, true}}}, {}, {}, false}).status()),
              HasSubstr("all nodes"));
}

// Proxmox VE removes the entry, and the mount stays.
TEST(PlanStorages, WhatARemovedEntryLeavesMountedIsTold) {
  auto state = Node();
  state.config.entries["x1"] = {"x1", "nfs", {"iso"}, {"pve1"}, false, {{"server", "nas"}, {"export", "/e"}},
                                false};
  StorageSpec gone = Make("x1", "nfs", {}, {});
  gone.absent = true;
  const auto warnings = [&] {
    const auto plan = PlanStorages({{gone}, false}, state, {{{"x1", {true, true}}}, {}, {}, false});
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? plan->notes : std::vector<kit::Note>();
  };
  EXPECT_TRUE(warnings().empty());
  state.mounts.push_back({"nas:/e", "/mnt/pve/x1", "nfs4"});
  const auto told = warnings();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0].text, HasSubstr("`umount /mnt/pve/x1`"));
}

TEST(PlanStorages, DisturbedGroundIsNoted) {
  auto state = Node();
  state.config.entries["x1"] = {"x1", "dir", {"iso"}, {}, false, {{"path", "/tank/b/sub"}}, false};
  state.config.entries["x2"] = {"x2", "dir", {"iso"}, {}, false, {{"path", "/tank/b2"}}, false};
  const auto plan = PlanStorages({{}, false}, state, {{}, {"path:/tank/b"}, {}, false});
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->notes.size(), 1u);
  EXPECT_EQ(plan->notes[0].resource, "storage:x1");
}

TEST(PlanStorages, WhatASiblingOnlyWritesIntoIsNotDisturbed) {
  auto state = Node();
  state.config.entries["x1"] = {"x1", "dir", {"iso"}, {}, false, {{"path", "/tank/b/sub"}}, false};
  const auto plan =
      PlanStorages({{}, false}, state, {{}, {"content:/tank/b", "content:/tank/b/sub"}, {}, false});
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->notes, IsEmpty());
}

// What the step says that it writes into; nothing where there is no step.
std::vector<std::string> Written(const StorageSpec& spec, const ProxmoxState& state) {
  const auto plan = PlanStorages({{spec}, true}, state, {{{"x1", {true, true}}}, {}, {}, false});
  EXPECT_TRUE(plan.ok()) << plan.status();
  if (!plan.ok() || plan->steps.empty()) return {};
  return plan->steps[0].disturbs;
}

TEST(NewFolders, OfANewEntryAreSaid) {
  ProxmoxState state = Node();
  EXPECT_THAT(Written(Make("x1", "dir", {"iso"}, {{"path", "/tank/b"}}), state),
              ElementsAre("content:/tank/b"));
  EXPECT_THAT(Written(Make("x1", "dir", {"iso"}, {{"path", "/tank/new"}}), state),
              ElementsAre("content:/tank/new"));
  EXPECT_THAT(Written(Make("x1", "zfspool", {}, {{"pool", "tank/b"}}), state), IsEmpty());
  EXPECT_THAT(Written(Make("x1", "nfs", {}, {{"server", "s"}, {"export", "/e"}}), state), IsEmpty());
  state.folders.insert({"/tank", "/tank/b/template", "/tank/b/template/iso"});
  EXPECT_THAT(Written(Make("x1", "dir", {"iso"}, {{"path", "/tank/b"}}), state), IsEmpty())
      << "they are all there";
}

TEST(NewFolders, OfOtherContentsAreSaidAndOfOtherOptionsThereAreNone) {
  ProxmoxState state = Node();
  state.folders.insert({"/tank", "/tank/b/template", "/tank/b/template/iso"});
  const Options options = {{"path", "/tank/b"}, {"is_mountpoint", "1"}};
  state.config.entries["x1"] = {"x1", "dir", {"iso"}, {"pve1"}, false, options, false};
  EXPECT_THAT(Written(Make("x1", "dir", {"iso", "backup"}, options), state), ElementsAre("content:/tank/b"));
  EXPECT_THAT(Written(Make("x1", "dir", {"vztmpl", "iso"}, options), state),
              ElementsAre("content:/tank/b/template"));
  Options shared = options;
  shared["shared"] = "1";
  state.folders.erase("/tank/b/template/iso");
  EXPECT_THAT(Written(Make("x1", "dir", {"iso"}, shared), state), IsEmpty()) << "this step brings no folder";
  EXPECT_THAT(Written(Make("x1", "dir", {"iso"}, options), state), IsEmpty()) << "no step at all";
}

TEST(NewFolders, OfANodeThatJoinsAreThoseOfTheEntryUnlessItIsSwitchedOff) {
  ProxmoxState state = Node();
  state.cluster = "lab";
  const Options options = {{"path", "/tank/b"}, {"is_mountpoint", "1"}};
  state.config.entries["x1"] = {"x1", "dir", {"iso"}, {"pve2"}, false, options, false};
  const StorageSpec joins = Make("x1", "dir", {}, options);
  EXPECT_THAT(Written(joins, state), ElementsAre("content:/tank/b"));
  // Not the default contents of its type, which nobody declared: those of the entry.
  state.folders.insert({"/tank", "/tank/b/template", "/tank/b/template/iso"});
  EXPECT_THAT(Written(joins, state), IsEmpty());
  state.folders.erase("/tank/b/template");
  state.config.entries["x1"].disabled = true;
  EXPECT_THAT(Written(joins, state), IsEmpty());
}

// pvesm takes two entries on one folder without a word (seen on 8.4 and 9.1).
TEST(OneFolder, OfSomebodyElsesEntryIsRefusedUnlessTheContentsDiffer) {
  ProxmoxState state = Node();
  state.config.entries["old"] = {"old", "dir", {"iso", "backup"}, {}, false, {{"path", "/tank/b"}}, false};
  const auto plan = [&](const StorageSpec& spec) { return PlanStorages({{spec}, true}, state, {}); };
  const auto clash = plan(Make("new", "dir", {"backup", "vztmpl"}, {{"path", "/tank/b/"}}));
  EXPECT_EQ(clash.status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(ViolationsOf(clash.status()).size(), 1u);
  EXPECT_EQ(ViolationsOf(clash.status())[0].field, "o.options.path");
  EXPECT_THAT(ViolationsOf(clash.status())[0].description,
              HasSubstr("folder of storage 'old' already, which holds backup"));
  for (const StorageSpec& fine : {Make("new", "dir", {"vztmpl"}, {{"path", "/tank/b"}}),
                                  Make("new", "dir", {"backup"}, {{"path", "/tank/bb"}})}) {
    const auto good = plan(fine);
    ASSERT_TRUE(good.ok()) << good.status();
    EXPECT_EQ(good->steps.size(), 1u);
  }
  // Another node's entry is another folder.
  state.config.entries["old"].nodes = {"pve2"};
  EXPECT_TRUE(plan(Make("new", "dir", {"backup"}, {{"path", "/tank/b"}})).ok());
}

TEST(OneFolder, OnlyWhatAChangeAddsCounts) {
  ProxmoxState state = Node();
  state.config.entries["old"] = {"old", "dir", {"iso"}, {}, false, {{"path", "/tank/b"}}, false};
  state.config.entries["new"] = {"new", "dir", {"iso"}, {}, false, {{"path", "/tank/b"}}, false};
  const auto plan = [&](Words content) {
    return PlanStorages(
        {{Make("new", "dir", std::move(content), {{"path", "/tank/b"}, {"shared", "1"}})}, true}, state, {});
  };
  EXPECT_TRUE(plan({"iso"}).ok()) << "somebody wanted it so before";
  state.config.entries["new"].content = {"backup"};
  EXPECT_FALSE(plan({"backup", "iso"}).ok());
  EXPECT_TRUE(plan({"backup", "vztmpl"}).ok());
}

TEST(OneFolder, TwoDeclarationsMayDivideItButGuestDisksAreOneContent) {
  const auto check = [](Words one, Words other) {
    return CheckSpec({{Make("aa", "dir", std::move(one), {{"path", "/x"}}),
                       Make("bb", "dir", std::move(other), {{"path", "/x/"}})},
                      false});
  };
  EXPECT_THAT(check({"iso"}, {"backup"}), IsEmpty());
  EXPECT_EQ(check({"iso", "backup"}, {"backup"}).size(), 1u);
  EXPECT_EQ(check({"images"}, {"rootdir"}).size(), 1u);
  // Not declared: images and rootdir.
  EXPECT_EQ(check({}, {"images"}).size(), 1u);
}

}  // namespace
}  // namespace phoenix::proxmox
