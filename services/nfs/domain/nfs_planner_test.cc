#include "services/nfs/domain/nfs_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/domain/spec_check.h"

namespace phoenix::nfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::vector<std::string> kRw = {"rw", "sync", "no_subtree_check"};

ExportSpec Wanted(std::string path, std::vector<std::string> clients = {"10.0.0.0/24"},
                  std::vector<std::string> options = kRw) {
  ExportSpec spec;
  spec.origin = "nfs.exports[" + path + "]";
  spec.path = std::move(path);
  for (auto& client : clients) spec.clients.push_back({std::move(client), options});
  return spec;
}

// A node with ZFS mounted at /tank/a, its server running and nothing exported.
NfsState Node() {
  NfsState state;
  state.paths["/tank/a"] = {true, "/tank/a", "zfs"};
  state.paths["/tank/a/sub"] = {true, "/tank/a", "zfs"};
  state.paths["/srv/plain"] = {true, "/", "ext4"};
  return state;
}

// The same, with `entry` in our file and live.
NfsState With(NfsState state, const ExportEntry& entry) {
  state.directory = state.own_file = true;
  state.own[entry.path] = entry;
  for (const auto& client : entry.clients) state.live.push_back({entry.path, client.client, client.options});
  return state;
}

std::vector<std::string> Violations(const absl::Status& status) {
  std::vector<std::string> texts;
  for (const auto& violation : ViolationsOf(status))
    texts.push_back(violation.field + ": " + violation.description);
  return texts;
}

absl::Status PlanError(const NfsSpec& spec, const NfsState& state = Node(), const OwnedPaths& owned = {}) {
  return PlanExports(spec, state, owned).status();
}

TEST(NfsPlanner, AFirstExportMakesDirectoryFileAndEntry) {
  const auto plan = PlanExports({{Wanted("/tank/a", {"10.0.0.9/24", "@grp"})}}, Node(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->make_file);
  EXPECT_TRUE(plan->make_directory);
  ASSERT_THAT(plan->exports, SizeIs(1));
  EXPECT_EQ(plan->exports[0].before, std::nullopt);
  EXPECT_TRUE(plan->exports[0].created);
  EXPECT_TRUE(plan->exports[0].path_there);
  ASSERT_TRUE(plan->exports[0].after.has_value());
  EXPECT_THAT(plan->exports[0].after->clients,
              ElementsAre(ClientEntry{"10.0.0.0/24", {"rw", "sync", "no_subtree_check", "mountpoint"}},
                          ClientEntry{"@grp", {"rw", "sync", "no_subtree_check", "mountpoint"}}));
  // Names have no firewall rule.
  EXPECT_THAT(plan->clients, ElementsAre("10.0.0.0/24"));
  EXPECT_THAT(plan->named_clients, ElementsAre("@grp"));
}

TEST(NfsPlanner, NothingWantedIsNothingToDo) {
  NfsState state = Node();
  state.own_problem = "line 3 was changed by others";
  const auto plan = PlanExports({}, state, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->exports, IsEmpty());
  EXPECT_FALSE(plan->make_file);
}

// Trap 13 and promise 1: what is there is compared, and where nothing differs nothing is done.
TEST(NfsPlanner, Trap13_WhatIsThereIsCompared) {
  const ExportEntry entry = EntryOf(Wanted("/tank/a"), "");
  const auto same = PlanExports({{Wanted("/tank/a")}}, With(Node(), entry), {{"/tank/a", true}});
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_THAT(same->exports, IsEmpty());
  const auto other =
      PlanExports({{Wanted("/tank/a", {"10.0.0.0/24"}, {"ro"})}}, With(Node(), entry), {{"/tank/a", true}});
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_THAT(other->exports, SizeIs(1));
  EXPECT_EQ(other->exports[0].before, entry);
  EXPECT_TRUE(other->exports[0].created);
}

TEST(NfsPlanner, AnEntryThatIsNotLiveIsPutLive) {
  NfsState state = With(Node(), EntryOf(Wanted("/tank/a"), ""));
  state.live.clear();
  const auto plan = PlanExports({{Wanted("/tank/a")}}, state, {{"/tank/a", true}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->exports, IsEmpty());
  EXPECT_THAT(plan->put_live, ElementsAre("/tank/a"));
  // Where the server has to be started anyway, its start does it.
  const auto starting = PlanExports({{Wanted("/tank/a")}}, state, {{"/tank/a", true}}, /*server_runs=*/false);
  EXPECT_THAT(starting->put_live, IsEmpty());
}

TEST(NfsPlanner, WhatIsNotDeclaredIsPutLiveOnlyWhereExportfsRunsAnyway) {
  NfsState state = With(Node(), EntryOf(Wanted("/tank/a"), ""));
  state.live.clear();
  EXPECT_THAT(PlanExports({}, state, {{"/tank/a", true}})->put_live, IsEmpty());
  EXPECT_THAT(PlanExports({{Wanted("/srv/plain")}}, state, {{"/tank/a", true}})->put_live,
              ElementsAre("/tank/a"));
}

TEST(NfsPlanner, AnEntryThatTheLedgerDoesNotKnowIsTakenOver) {
  const auto plan = PlanExports({{Wanted("/tank/a", {"10.0.0.0/24"}, {"ro"})}},
                                With(Node(), EntryOf(Wanted("/tank/a"), "")), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_THAT(plan->exports, SizeIs(1));
  EXPECT_FALSE(plan->exports[0].created);
}

struct MountPointCase {
  std::string what;
  ExportSpec wanted;
  std::optional<std::string> expected;
};

// N6 and trap 9: without its file system mounted, a ZFS-backed path must not show the root disk to clients.
TEST(NfsPlanner, Trap9_AZfsBackedExportNamesItsMountPoint) {
  ExportSpec declared = Wanted("/tank/new/sub");
  declared.mount_point = "/tank/new";
  ExportSpec own = Wanted("/tank/new");
  own.mount_point = "/tank/new";
  for (const auto& [what, wanted, expected] :
       std::vector<MountPointCase>{{"a dataset", Wanted("/tank/a"), ""},
                                   {"a directory of a dataset", Wanted("/tank/a/sub"), "/tank/a"},
                                   {"a directory of the root disk", Wanted("/srv/plain"), std::nullopt},
                                   {"a path that is still to come", Wanted("/tank/new"), ""},
                                   {"declared", declared, "/tank/new"},
                                   {"declared, the path itself", own, ""}}) {
    EXPECT_EQ(MountPointFor(wanted, Node()), expected) << what;
  }
}

// What is mounted when it is planned is not what will be: the directory of a dataset that is still to come,
// or is locked after a reboot, may be there, on the root disk or in the dataset above.
TEST(NfsPlanner, Trap9_ADeclaredMountPointCountsThoughItsDirectoryIsThere) {
  ExportSpec on_disk = Wanted("/srv/plain");
  on_disk.mount_point = "/srv/plain";
  ExportSpec in_parent = Wanted("/tank/a/sub");
  in_parent.mount_point = "/tank/a/sub";
  for (const ExportSpec& wanted : {on_disk, in_parent}) {
    EXPECT_EQ(MountPointFor(wanted, Node()), "") << wanted.path;
    const auto plan = PlanExports({{wanted}}, Node(), {});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_EQ(plan->exports.size(), 1u);
    EXPECT_FALSE(plan->exports[0].path_there) << "it is exported after it is mounted";
  }
  // A line from before names the dataset above.
  const NfsState state = With(Node(), EntryOf(Wanted("/tank/a/sub"), "/tank/a"));
  EXPECT_EQ(MountPointFor(in_parent, state), "");
}

TEST(NfsPlanner, AMountPointThatExportsCannotNameIsToldAndGuardsNothing) {
  ExportSpec wanted = Wanted("/srv/My (old) Files/sub");
  wanted.mount_point = "/srv/My (old) Files";
  ASSERT_FALSE(CanBeNamed(wanted.mount_point, wanted.path));
  EXPECT_EQ(MountPointFor(wanted, Node()), std::nullopt);
  const auto plan = PlanExports({{wanted}}, Node(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(std::any_of(plan->notes.begin(), plan->notes.end(), [](const PlanNote& note) {
    return note.text.find("cannot be named in exports(5)") != std::string::npos;
  }));
  wanted.path = wanted.mount_point;
  EXPECT_EQ(MountPointFor(wanted, Node()), "");
}

// What one client's options say of another place is no guard of the others.
TEST(NfsPlanner, AMountPointElsewhereGuardsItsOwnClientOnly) {
  ExportSpec wanted = Wanted("/tank/a", {"10.0.0.1"}, {"rw", "mountpoint=/mnt/backing"});
  wanted.clients.push_back({"10.0.0.2", {"rw"}});
  const ExportEntry first = EntryOf(wanted, MountPointFor(wanted, Node()));
  EXPECT_EQ(EntryOf(wanted, MountPointFor(wanted, With(Node(), first))), first);
}

TEST(NfsPlanner, AFileSystemFurtherDownGuardsItself) {
  ExportSpec wanted = Wanted("/tank/a/sub/folder");
  wanted.mount_point = "/tank/a";
  NfsState state = Node();
  state.paths[wanted.path] = {true, "/tank/a/sub", "zfs"};
  EXPECT_EQ(MountPointFor(wanted, state), "/tank/a/sub");
  const auto plan = PlanExports({{wanted}}, state, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->exports[0].path_there);
  // And keeps doing so while it is not mounted.
  state = With(state, EntryOf(wanted, "/tank/a/sub"));
  state.paths[wanted.path] = {true, "/tank/a", "zfs"};
  EXPECT_EQ(MountPointFor(wanted, state), "/tank/a/sub");
}

TEST(NfsPlanner, Trap9_AnUnmountedDatasetDoesNotLoseItsGuard) {
  NfsState state = With(Node(), EntryOf(Wanted("/tank/a/sub"), "/tank/a"));
  for (const PathState& seen : {PathState{}, PathState{true, "/", "ext4"}}) {
    state.paths["/tank/a/sub"] = seen;
    const auto plan = PlanExports({{Wanted("/tank/a/sub")}}, state, {{"/tank/a/sub", true}});
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_THAT(plan->exports, IsEmpty());
  }
}

TEST(NfsPlanner, APathIsThereOnlyWithItsMountPoint) {
  ExportSpec wanted = Wanted("/srv/plain");
  wanted.mount_point = "/srv/plain";
  const auto plan = PlanExports({{wanted}}, Node(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_FALSE(plan->exports[0].path_there);
}

TEST(NfsPlanner, OptionsThatAreDeclaredAreLeftAlone) {
  const ExportEntry entry = EntryOf(Wanted("/tank/a", {"*"}, {"rw", "subtree_check", "mp=/tank"}), "");
  EXPECT_THAT(entry.clients[0].options, ElementsAre("rw", "subtree_check", "mp=/tank"));
}

TEST(NfsPlanner, OmissionNeverDeletes) {
  const NfsState state = With(Node(), EntryOf(Wanted("/tank/a"), ""));
  const auto plan = PlanExports({}, state, {{"/tank/a", true}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->exports, IsEmpty());
  ASSERT_THAT(plan->notes, SizeIs(1));
  EXPECT_TRUE(plan->notes[0].warning);
  EXPECT_THAT(plan->notes[0].text, AllOf(HasSubstr("orphaned: /tank/a"), HasSubstr("10.0.0.0/24")));
  NfsSpec partial;
  partial.partial = true;
  EXPECT_THAT(PlanExports(partial, state, {{"/tank/a", true}})->notes, IsEmpty());
}

TEST(NfsPlanner, AbsentRemovesOnlyWhatWasCreated) {
  ExportSpec absent = Wanted("/tank/a");
  absent.presence = Presence::kAbsent;
  const NfsState state = With(Node(), EntryOf(Wanted("/tank/a"), ""));
  const auto plan = PlanExports({{absent}}, state, {{"/tank/a", true}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_THAT(plan->exports, SizeIs(1));
  EXPECT_EQ(plan->exports[0].after, std::nullopt);
  EXPECT_THAT(plan->clients, IsEmpty());
  EXPECT_FALSE(plan->make_file);
  EXPECT_THAT(Violations(PlanError({{absent}}, state, {{"/tank/a", false}})),
              ElementsAre(HasSubstr("nfs.exports[/tank/a].path: /tank/a was not created by Phoenix")));
  EXPECT_THAT(Violations(PlanError({{absent}}, state)), SizeIs(1));
  EXPECT_THAT(PlanExports({{absent}}, Node(), {})->exports, IsEmpty());
}

// Trap 15: hand-made lines are neither lost nor doubled.
TEST(NfsPlanner, Trap15_PathsOfOtherFilesAreRefused) {
  NfsState state = Node();
  state.foreign = {{"/etc/exports", 7, "/tank/a", "10.0.0.1", {"rw"}, false},
                   {"/etc/exports", 7, "/tank/a", "10.0.0.2", {"rw"}, false},
                   {kZfsFile, 2, "/tank/a", "*", {"rw"}, true}};
  const absl::Status status = PlanError({{Wanted("/tank/a")}}, state);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Violations(status), ElementsAre(HasSubstr("/etc/exports line 7"), HasSubstr("sharenfs")));
  EXPECT_TRUE(PlanExports({{Wanted("/srv/plain")}}, Node(), {}).ok());
}

TEST(NfsPlanner, ExportsMadeByHandAreNotCut) {
  NfsState state = Node();
  state.live = {{"/srv/iso", "10.0.0.9", {"rw"}}};
  const absl::Status status = PlanError({{Wanted("/tank/a")}}, state);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("/srv/iso 10.0.0.9"), HasSubstr("exportfs -u")));
}

TEST(NfsPlanner, WhatOthersHavePendingIsTold) {
  NfsState state = Node();
  state.foreign = {{"/etc/exports", 3, "/srv/iso", "", {"ro"}, false}};
  const auto plan = PlanExports({{Wanted("/tank/a")}}, state, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_THAT(plan->notes, SizeIs(1));
  EXPECT_THAT(plan->notes[0].text, HasSubstr("/etc/exports line 3 exports /srv/iso to *"));
}

TEST(NfsPlanner, OurFileEditedByOthersIsNotOverwritten) {
  NfsState state = With(Node(), EntryOf(Wanted("/tank/a"), ""));
  state.own_problem = "line 4 was changed by others";
  EXPECT_THAT(Message(PlanError({{Wanted("/tank/a")}}, state)), HasSubstr("line 4 was changed by others"));
}

// N7: who is there now is told before an export goes.
TEST(NfsPlanner, N7_ConnectedClientsAreToldWhereAnExportIsTaken) {
  ExportSpec absent = Wanted("/tank/a");
  absent.presence = Presence::kAbsent;
  NfsState state = With(Node(), EntryOf(Wanted("/tank/a"), ""));
  state.connected = {"10.0.0.5", "10.0.0.6"};
  const auto gone = PlanExports({{absent}}, state, {{"/tank/a", true}});
  ASSERT_TRUE(gone.ok()) << gone.status();
  ASSERT_THAT(gone->notes, SizeIs(1));
  EXPECT_THAT(gone->notes[0].text, HasSubstr("10.0.0.5, 10.0.0.6"));
  const auto kept = PlanExports({{Wanted("/tank/a", {"10.0.0.0/24"}, {"ro"})}}, state, {{"/tank/a", true}});
  EXPECT_THAT(kept->notes, IsEmpty());
  const auto other = PlanExports({{Wanted("/tank/a", {"10.9.0.0/24"})}}, state, {{"/tank/a", true}});
  EXPECT_THAT(other->notes, SizeIs(1));
}

TEST(NfsPlanner, PathsThatDoNotMeanTheNodesPathsAreRefused) {
  NfsState state = Node();
  state.root_directory = "/";
  EXPECT_TRUE(PlanExports({{Wanted("/tank/a")}}, state, {}).ok());
  state.root_directory = "/export";
  EXPECT_THAT(Message(PlanError({{Wanted("/tank/a")}}, state)), HasSubstr("rootdir=/export"));
}

// exportfs resolves links before it writes the table.
TEST(PlanExports, APathThroughALinkIsRefusedWithItsRealName) {
  NfsState state = Node();
  state.paths["/srv/link"] = {true, "/", "ext4", "/tank/a"};
  const absl::Status refused = PlanError({{Wanted("/srv/link")}}, state);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Violations(refused),
              ElementsAre(AllOf(HasSubstr("nfs.exports[/srv/link].path: /srv/link leads through a symbolic"),
                                HasSubstr("link to /tank/a"), HasSubstr("declare that path"))));
  state.paths["/srv/link"].real = "/srv/link";
  EXPECT_TRUE(PlanExports({{Wanted("/srv/link")}}, state, {}).ok());
}

// What Phoenix compares with would be a table that nobody uses.
TEST(PlanExports, AMovedStateDirectoryIsRefused) {
  NfsState state = Node();
  state.state_directory = "/srv/nfs-state";
  const absl::Status refused = PlanError({{Wanted("/tank/a")}}, state);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(refused),
              AllOf(HasSubstr("state-directory-path=/srv/nfs-state"), HasSubstr("/var/lib/nfs")));
  EXPECT_TRUE(PlanExports({}, state, {}).ok());
}

TEST(PlanExports, APortOfTheServerThatIsNoneIsRefused) {
  NfsState state = Node();
  state.listening = {0, "nfs-alt", {}};
  EXPECT_THAT(Message(PlanError({{Wanted("/tank/a")}}, state)), HasSubstr("port=nfs-alt in [nfsd]"));
}

TEST(NfsPlanner, AllProblemsOfASpecAreToldAtOnce) {
  NfsSpec spec{{Wanted("tank/a"), Wanted("/tank/a/", {"10.0.0.0/24"}), Wanted("/tank/b", {}),
                Wanted("/tank/c", {"10.0.0.0/24", "10.0.0.4/24"}),
                Wanted("/tank/d", {"10.0.0.0/24"}, {"rw", "noatime"}), Wanted("/tank/e", {"10.0.0.0/24 "}),
                Wanted("/tank/f"), Wanted("/tank/f"), Wanted("/"), Wanted("/tank/../etc"),
                Wanted("/tank/a\nb"), Wanted("/tank/a\\101"), Wanted("/tank/g", {"a", "b"}, {"rw", "ro"})}};
  spec.exports[7].origin = "nfs.exports[7]";
  const absl::Status status = PlanError(spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      Violations(status),
      ElementsAre(HasSubstr("no absolute path"), HasSubstr("not written plainly"),
                  HasSubstr("names no clients"), HasSubstr("client 10.0.0.0/24 is named twice"),
                  HasSubstr("nfs.exports[/tank/d].clients[0].options[1]: /tank/d: «noatime»"),
                  HasSubstr("«10.0.0.0/24 » is no network"),
                  HasSubstr("nfs.exports[7].path: /tank/f is declared already by nfs.exports[/tank/f]"),
                  HasSubstr("root file system"), HasSubstr("holds . or .."), HasSubstr("control character"),
                  HasSubstr("holds a backslash"), HasSubstr("«rw» and «ro» contradict")));
}

TEST(NfsPlanner, AWrongPathHidesNoOtherMistakeOfItsExport) {
  EXPECT_THAT(Violations(PlanError({{Wanted("tank/a", {"10.0.0.9", "10.0.0.0/33"}, {"rw", "atime", "ro"})}})),
              ElementsAre(HasSubstr("].path: "), HasSubstr("].clients[1].client: "),
                          HasSubstr("].clients[0].options[1]: ")));
}

TEST(NfsPlanner, OverlappingNetworksMayNotDiffer) {
  ExportSpec wanted = Wanted("/tank/a", {"10.0.0.0/8", "10.0.0.5"});
  const auto plan = PlanExports({{wanted}}, Node(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->notes[0].text, HasSubstr("10.0.0.0/8 and 10.0.0.5 overlap"));
  wanted.clients[1].options = {"ro"};
  const auto host = PlanExports({{wanted}}, Node(), {});
  ASSERT_TRUE(host.ok()) << host.status();
  EXPECT_THAT(host->notes[0].text, HasSubstr("10.0.0.5 gets its own options"));
  wanted.clients[1].client = "10.1.0.0/16";
  EXPECT_THAT(Violations(PlanError({{wanted}})), ElementsAre(HasSubstr("overlap and get different options")));
}

// Measured: mountd reads the table with a buffer of 512 bytes; a longer entry hides itself and every later
// one.
TEST(NfsPlanner, AnEntryTooLongForTheTableIsRefused) {
  const std::string refer = "refer=/x@" + std::string(300, 'h');
  EXPECT_THAT(Violations(PlanError({{Wanted("/tank/a", {"10.0.0.1"}, {"rw", refer})}})),
              ElementsAre(HasSubstr("bytes in the server's table")));
  EXPECT_EQ(LengthProblem({"10.0.0.1", {"rw"}}), std::nullopt);
}

TEST(NfsPlanner, EveryoneNeedsEveryoneInTheFirewall) {
  const auto plan = PlanExports({{Wanted("/tank/a", {"*"})}}, Node(), {});
  EXPECT_THAT(plan->clients, ElementsAre("0.0.0.0/0"));
  EXPECT_TRUE(plan->everyone);
  EXPECT_FALSE(PlanExports({{Wanted("/tank/a", {"0.0.0.0/0"})}}, Node(), {})->everyone) << "that is IPv4";
}

// A line of others that leads to the export, or begins in it, counts beside what is declared.
TEST(NfsPlanner, LinesOfOthersAboveAndBelowAreTold) {
  const auto notes = [](const ForeignExport& foreign, const std::string& path = "/tank/a/sub",
                        NfsState state = Node()) {
    state.foreign = {foreign};
    // A server that starts takes them all: what is not in effect yet is another note.
    const auto plan = PlanExports({{Wanted(path)}}, state, {}, /*server_runs=*/false);
    EXPECT_TRUE(plan.ok()) << plan.status();
    std::vector<std::string> texts;
    for (const PlanNote& note : plan->notes) {
      if (note.warning) texts.push_back(note.text);
    }
    return texts;
  };
  // Hand-made, across file systems.
  EXPECT_THAT(
      notes({"/etc/exports", 7, "/tank", "", {"rw", "crossmnt", "no_root_squash"}, false}),
      ElementsAre("/etc/exports line 7 exports /tank to *(rw,crossmnt,no_root_squash), with crossmnt: "
                  "through it these may reach /tank/a/sub, whatever is declared for it"));
  EXPECT_THAT(notes({"/etc/exports", 7, "/", "10.0.0.1", {"rw", "crossmnt"}, false}), SizeIs(1));
  // Within one file system no option is needed; into another one it is.
  EXPECT_THAT(notes({"/etc/exports", 7, "/tank/a", "10.0.0.1", {"rw"}, false}),
              ElementsAre(HasSubstr("10.0.0.1(rw), in the same file system")));
  EXPECT_THAT(notes({"/etc/exports", 7, "/tank", "10.0.0.1", {"rw"}, false}), IsEmpty());
  EXPECT_THAT(notes({"/etc/exports", 3, "/tank/a/sub/iso", "10.0.0.1", {"ro"}, false}),
              ElementsAre(HasSubstr("/tank/a/sub/iso to 10.0.0.1(ro), which is in /tank/a/sub")));
  // Neither a neighbour of a longer name, nor a line that exportfs does not take.
  EXPECT_THAT(notes({"/etc/exports", 7, "/tank/a/su", "", {"rw", "crossmnt"}, false}), IsEmpty());
  EXPECT_THAT(notes({"/etc/exports", 7, "/tank", "", {"rw", "crossmnt"}, true}), IsEmpty());
}

// ZFS would export it by itself as soon as it is there.
TEST(NfsPlanner, ANewDatasetBelowOneWithSharenfsIsTold) {
  NfsState state = Node();
  state.foreign = {{kZfsFile, 4, "/tank", "10.0.0.1", {"rw"}, false},
                   {kZfsFile, 4, "/tank", "10.0.0.2", {"rw"}, false}};
  const auto plan = PlanExports({{Wanted("/tank/new")}}, state, {}, /*server_runs=*/false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_THAT(plan->notes, SizeIs(1));
  EXPECT_TRUE(plan->notes[0].warning);
  EXPECT_THAT(plan->notes[0].text,
              AllOf(HasSubstr("ZFS would export /tank/new itself"), HasSubstr("sharenfs=off")));
  // One that is there would be in the file if it inherited.
  EXPECT_THAT(PlanExports({{Wanted("/tank/a")}}, state, {}, /*server_runs=*/false)->notes, IsEmpty());
}

}  // namespace
}  // namespace phoenix::nfs
