// What every NfsHost obeys: the simulated one and, as root in a lab machine, the real one.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/host/files.h"
#include "base/status/errors.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/host/exports_file.h"
#include "services/nfs/host/nfs_host.h"

namespace phoenix::nfs {

// A host and the means to prepare its surroundings. Leaves the machine as it was when it is destroyed.
class NfsBench {
 public:
  virtual ~NfsBench() = default;
  virtual NfsHost& host() = 0;
  virtual Files& files() = 0;
  // A directory of this name below a place of the bench's own; answers its path.
  virtual std::string MakeDirectory(const std::string& name) = 0;
  // A symbolic link beside it.
  virtual std::string MakeLink(const std::string& name, const std::string& target) = 0;
  // `exportfs -r`, as somebody else would run it.
  virtual void RunExportfs() = 0;
};

using MakeNfsBench = std::unique_ptr<NfsBench> (*)();

class NfsHostContract : public ::testing::TestWithParam<MakeNfsBench> {
 protected:
  void SetUp() override {
    bench_ = GetParam()();
    path_ = bench_->MakeDirectory("a");
    other_ = bench_->MakeDirectory("b #\"c\\d");
  }
  NfsHost& host() { return bench_->host(); }

  static ExportEntry Entry(const std::string& path,
                           std::vector<std::string> options = {"rw", "sync", "no_subtree_check"}) {
    return {path, {{"192.0.2.0/24", options}, {"198.51.100.7", options}}};
  }
  absl::Status Set(const ExportEntry& entry) { return host().SetEntry({entry.path, entry, false}, nullptr); }
  absl::Status Drop(const std::string& path) { return host().SetEntry({path, std::nullopt, true}, nullptr); }
  NfsState Seen() { return host().Observe({path_, other_}).value(); }
  // What the table says of the bench's paths.
  std::vector<LiveExport> Live(const std::string& path) { return LiveOf(Seen().live, path); }
  std::string OwnText() { return bench_->files().Read(kOwnFile).value().value_or(FileState{}).content; }
  void WriteForeign(const std::string& name, const std::string& text) {
    ASSERT_TRUE(bench_->files().MakeDirectory(kExportsDirectory, {}).ok());
    ASSERT_TRUE(
        bench_->files().Replace(std::string(kExportsDirectory) + "/" + name, {text, 0, 0, 0644}).ok());
  }

  std::unique_ptr<NfsBench> bench_;
  std::string path_;
  std::string other_;
};

TEST_P(NfsHostContract, MakesAndRemovesItsFile) {
  EXPECT_FALSE(Seen().own_file);
  ASSERT_TRUE(host().MakeOwnFile().ok());
  const std::string text = OwnText();
  EXPECT_THAT(text, ::testing::StartsWith("# This file belongs to Phoenix"));
  ASSERT_TRUE(host().MakeOwnFile().ok());
  EXPECT_EQ(OwnText(), text);
  const NfsState state = Seen();
  EXPECT_TRUE(state.own_file);
  EXPECT_TRUE(state.directory);
  EXPECT_EQ(state.own_problem, "");
  ASSERT_TRUE(host().RemoveOwnFile(true).ok());
  ASSERT_TRUE(host().RemoveOwnFile(true).ok());
  EXPECT_FALSE(Seen().own_file);
}

TEST_P(NfsHostContract, DoesNotRemoveAFileThatHoldsSomething) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  ASSERT_TRUE(Set(Entry(path_)).ok());
  EXPECT_EQ(host().RemoveOwnFile(true).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Seen().own_file);
  ASSERT_TRUE(Drop(path_).ok());
}

TEST_P(NfsHostContract, ExportsAndUnexports) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  const std::string empty = OwnText();
  const absl::Status set = Set(Entry(path_));
  ASSERT_TRUE(set.ok()) << set;
  EXPECT_THAT(DifferencesOf(Entry(path_), Seen().live), ::testing::IsEmpty());
  EXPECT_THAT(Live(path_), ::testing::SizeIs(2));
  ASSERT_TRUE(Set(Entry(path_)).ok());
  EXPECT_EQ(Seen().own.at(path_), Entry(path_));
  ASSERT_TRUE(Drop(path_).ok());
  ASSERT_TRUE(Drop(path_).ok());
  EXPECT_THAT(Live(path_), ::testing::IsEmpty());
  EXPECT_EQ(OwnText(), empty);
}

TEST_P(NfsHostContract, ChangesOnePathAndLeavesTheOthers) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  ASSERT_TRUE(Set(Entry(other_)).ok());
  ASSERT_TRUE(Set(Entry(path_)).ok());
  const auto before = Live(other_);
  const ExportEntry changed =
      Entry(path_, {"ro", "insecure", "no_root_squash", "no_subtree_check", "fsid=77"});
  ASSERT_TRUE(Set(changed).ok());
  EXPECT_THAT(DifferencesOf(changed, Seen().live), ::testing::IsEmpty());
  EXPECT_EQ(Live(other_), before);
}

TEST_P(NfsHostContract, EveryOptionMeansInTheTableWhatItMeansHere) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {},
           {"rw", "async", "no_wdelay", "nohide", "crossmnt", "insecure", "no_root_squash", "all_squash"},
           {"subtree_check", "no_auth_nlm", "no_acl", "nordirplus", "pnfs", "anonuid=7", "anongid=8",
            "fsid=root"},
           {"insecure_locks", "fsid=1f0c7c8e-2222-3333-4444-555555555555", "mp", "sec=sys:krb5"},
           {"rw", "mountpoint=/", "sec=krb5:krb5i", "ro", "sec=sys", "rw", "no_root_squash"},
           {"ro", "refer=/x@192.0.2.1", "sec=none"},
           {"rw", "anonuid=4294967294", "anongid=2147483648", "fsid=3405691582"},
           {"rw", "anonuid=010", "fsid=010"},
           {"rw", "fsid=12345678901234567890123456789012"},
           {"rw", "replicas=/x@192.0.2.1", "sec=unix", "all_squash"}}) {
    const ExportEntry entry = Entry(path_, options);
    const absl::Status set = Set(entry);
    EXPECT_TRUE(set.ok()) << set;
  }
}

TEST_P(NfsHostContract, EveryKindOfClientIsFoundInTheTable) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  ExportEntry entry{path_, {}};
  for (const char* client : {"*", "*.example", "192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "2001:db9::7",
                             "@trusted", "localhost"}) {
    entry.clients.push_back({client, {"ro", "no_subtree_check"}});
  }
  const absl::Status set = Set(entry);
  EXPECT_TRUE(set.ok()) << set;
}

// N3: exportfs answers 1, and exports all the same.
TEST_P(NfsHostContract, N3_APathThatIsNotThereIsExportedAllTheSame) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  const std::string missing = path_ + "/missing";
  EXPECT_TRUE(Set(Entry(missing)).ok());
  EXPECT_THAT(Live(missing), ::testing::SizeIs(2));
  EXPECT_FALSE(host().Observe({missing})->paths.at(missing).directory);
}

// N3: exportfs answers 0, and has dropped the client.
TEST_P(NfsHostContract, N3_ADroppedClientIsSeenAndTheFormerFileComesBack) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  ASSERT_TRUE(Set(Entry(path_)).ok());
  const std::string before = OwnText();
  ExportEntry changed = Entry(path_);
  changed.clients.push_back({"nobody.invalid", {"rw", "no_subtree_check"}});
  const absl::Status set = Set(changed);
  EXPECT_EQ(set.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(Message(set), ::testing::HasSubstr(path_ + " is not exported to nobody.invalid"));
  EXPECT_EQ(OwnText(), before);
  EXPECT_THAT(DifferencesOf(Entry(path_), Seen().live), ::testing::IsEmpty());
}

// N2: a bad option takes every later line of its file out of the table.
TEST_P(NfsHostContract, N2_ABadOptionTakesTheLaterLinesAndTheFormerFileComesBack) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  ASSERT_TRUE(Set(Entry(other_)).ok());
  const auto before = OwnText();
  // Past the planner's checks, as an exportfs of another version would see it: path_ sorts before other_.
  EXPECT_FALSE(Set(Entry(path_, {"rw", "no_such_option"})).ok());
  EXPECT_EQ(OwnText(), before);
  EXPECT_THAT(Live(path_), ::testing::IsEmpty());
  EXPECT_THAT(DifferencesOf(Entry(other_), Seen().live), ::testing::IsEmpty());
}

TEST_P(NfsHostContract, FilesOfOthersAreReadAndLeft) {
  WriteForeign("phoenix-contract.exports",
               "# comment \"\n" + path_ + " -sync,ro 192.0.2.1 192.0.2.2(rw) # more\n\"" + path_ +
                   "/x\\040y\" \\\n  *(ro)\n" + path_ + "/z 192.0.2.0/24 (rw)\n" + path_ +
                   "/bad 192.0.2.1(noatime)\n" + path_ + "/late 192.0.2.1(ro)\n");
  WriteForeign(".hidden.exports", path_ + "/hidden 192.0.2.1(ro)\n");
  WriteForeign("phoenix-contract.conf", path_ + "/conf 192.0.2.1(ro)\n");
  bench_->RunExportfs();
  const NfsState state = Seen();
  std::vector<std::string> found;
  for (const auto& foreign : state.foreign) {
    if (!foreign.path.starts_with(path_)) continue;
    const std::string rest = foreign.path.substr(path_.size());
    found.push_back(rest + " " + foreign.client + (foreign.dropped ? " dropped" : ""));
    EXPECT_EQ(foreign.file, "/etc/exports.d/phoenix-contract.exports");
  }
  EXPECT_THAT(found, ::testing::ElementsAre(" 192.0.2.1", " 192.0.2.2", "/x y *", "/z 192.0.2.0/24", "/z *",
                                            "/bad 192.0.2.1 dropped", "/late 192.0.2.1 dropped"));
  EXPECT_THAT(ByHand(state), ::testing::IsEmpty());
  EXPECT_THAT(Pending(state), ::testing::IsEmpty());
  EXPECT_THAT(Live(path_ + "/late"), ::testing::IsEmpty());

  ASSERT_TRUE(host().MakeOwnFile().ok());
  ASSERT_TRUE(Set(Entry(other_)).ok());
  EXPECT_THAT(Live(path_), ::testing::SizeIs(2));
  ASSERT_TRUE(Drop(other_).ok());
  ASSERT_TRUE(host().RemoveOwnFile(true).ok());
  EXPECT_TRUE(Seen().directory);
}

TEST_P(NfsHostContract, AFolderNamedLikeAnExportsFileIsPassedOver) {
  const std::string folder = std::string(kExportsDirectory) + "/phoenix-contract-folder.exports";
  ASSERT_TRUE(bench_->files().MakeDirectory(kExportsDirectory, {}).ok());
  ASSERT_TRUE(bench_->files().MakeDirectory(folder, {}).ok());
  WriteForeign("phoenix-contract.exports", path_ + " 192.0.2.1(ro)\n");
  bench_->RunExportfs();
  const auto state = host().Observe({});
  ASSERT_TRUE(bench_->files().RemoveDirectory(folder).ok());
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(LiveOf(state->live, path_), ::testing::SizeIs(1));
  EXPECT_TRUE(std::any_of(state->foreign.begin(), state->foreign.end(),
                          [&](const ForeignExport& foreign) { return foreign.path == path_; }));
  EXPECT_TRUE(state->directory_in_use);
}

// exportfs resolves links, so that the table has another path than the file.
TEST_P(NfsHostContract, APathThroughALinkIsExportedByItsRealName) {
  const std::string below = bench_->MakeDirectory("a/below");
  const std::string link = bench_->MakeLink("link", path_);
  WriteForeign("phoenix-contract.exports", link + " 192.0.2.1(ro)\n");
  bench_->RunExportfs();
  EXPECT_THAT(Live(path_), ::testing::SizeIs(1));
  EXPECT_THAT(Live(link), ::testing::IsEmpty());
  const auto state = host().Observe({path_, link, link + "/below", link + "/missing"});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->paths.at(path_).real, path_);
  EXPECT_EQ(state->paths.at(link).real, path_);
  EXPECT_EQ(state->paths.at(link + "/below").real, below);
  EXPECT_EQ(state->paths.at(link + "/missing").real, path_ + "/missing");
  EXPECT_THAT(ByHand(*state), ::testing::IsEmpty());
}

TEST_P(NfsHostContract, ALineAddedToOurFileByOthersIsNotOverwritten) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  ASSERT_TRUE(Set(Entry(path_)).ok());
  FileState own = bench_->files().Read(kOwnFile).value().value();
  own.content += path_ + "/added 192.0.2.9(ro)\n";
  ASSERT_TRUE(bench_->files().Replace(kOwnFile, own).ok());
  EXPECT_THAT(Seen().own_problem, ::testing::HasSubstr("was changed by others"));
  EXPECT_EQ(Set(Entry(path_, {"ro"})).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(OwnText(), own.content);
}

TEST_P(NfsHostContract, PutsLiveWhatTheFileSaysAndTakesItBack) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  ExportEntry entry = Entry(path_);
  entry.clients.push_back({"2001:db8::/32", {"rw", "no_subtree_check"}});
  ASSERT_TRUE(Set(entry).ok());
  // As somebody would do by hand: one client gone, another with other options.
  std::vector<LiveExport> drifted = Live(path_);
  ASSERT_EQ(drifted.size(), 3u);
  drifted.pop_back();
  const auto net = std::find_if(drifted.begin(), drifted.end(),
                                [](const LiveExport& one) { return one.client != "198.51.100.7"; });
  std::replace(net->options.begin(), net->options.end(), std::string("rw"), std::string("ro"));
  ASSERT_TRUE(host().RestoreLive({path_}, drifted, nullptr).ok());
  EXPECT_THAT(Live(path_), ::testing::UnorderedElementsAreArray(drifted));
  const absl::Status put = host().PutLive({path_}, nullptr);
  ASSERT_TRUE(put.ok()) << put;
  EXPECT_THAT(DifferencesOf(entry, Seen().live), ::testing::IsEmpty());
  const absl::Status restored = host().RestoreLive({path_}, drifted, nullptr);
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_THAT(Live(path_), ::testing::UnorderedElementsAreArray(drifted));
  ASSERT_TRUE(host().RestoreLive({path_}, {}, nullptr).ok());
  EXPECT_THAT(Live(path_), ::testing::IsEmpty());
}

TEST_P(NfsHostContract, ExportsMadeByHandAreNotCut) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  const LiveExport by_hand{other_, "192.0.2.0/24", {"rw", "no_subtree_check"}};
  ASSERT_TRUE(host().RestoreLive({other_}, {by_hand}, nullptr).ok());
  ASSERT_THAT(Live(other_), ::testing::SizeIs(1));
  EXPECT_EQ(Set(Entry(path_)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(host().PutLive({}, nullptr).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Live(other_), ::testing::SizeIs(1));
  EXPECT_THAT(Seen().own, ::testing::IsEmpty());
}

TEST_P(NfsHostContract, EntriesSetAtTheSameTimeAreAllThere) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  std::vector<std::thread> threads;
  std::vector<absl::Status> answers(4);
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string path = bench_->MakeDirectory("t" + std::to_string(i));
    threads.emplace_back([&, i, path] { answers[i] = Set(Entry(path)); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& answer : answers) EXPECT_TRUE(answer.ok()) << answer;
  const NfsState state = Seen();
  EXPECT_EQ(state.own.size(), answers.size());
  for (const auto& [path, entry] : state.own)
    EXPECT_THAT(DifferencesOf(entry, state.live), ::testing::IsEmpty());
}

TEST_P(NfsHostContract, OwnerAndModeOfOurFileAreKept) {
  ASSERT_TRUE(host().MakeOwnFile().ok());
  FileState own = bench_->files().Read(kOwnFile).value().value();
  own.mode = 0600;
  ASSERT_TRUE(bench_->files().Replace(kOwnFile, own).ok());
  ASSERT_TRUE(Set(Entry(path_)).ok());
  EXPECT_EQ(bench_->files().Read(kOwnFile).value()->mode, 0600u);
}

}  // namespace phoenix::nfs
