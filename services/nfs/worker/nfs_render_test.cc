#include "services/nfs/worker/nfs_render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/nfs/worker/nfs_json.h"

namespace phoenix::nfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ExportEntry kEntry{"/tank/a b", {{"10.0.0.0/24", {"rw", "sync"}}, {"@g", {"ro"}}}};

TEST(StepPayload, ReadsBackAsWritten) {
  StepPayload payload;
  payload.set = {"/tank/a b", kEntry, std::nullopt, true, true};
  const auto read = FromPayload(ToPayload(payload));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->kind, StepPayload::Kind::kSetExport);
  EXPECT_EQ(read->set, payload.set);
  payload.kind = StepPayload::Kind::kPutLive;
  payload.put_live = {"/a", "/b"};
  EXPECT_EQ(FromPayload(ToPayload(payload))->put_live, payload.put_live);
  payload.kind = StepPayload::Kind::kMakeFile;
  EXPECT_EQ(FromPayload(ToPayload(payload))->kind, StepPayload::Kind::kMakeFile);
}

TEST(StepPayload, WhatIsNotOursIsAnErrorAndNoCrash) {
  for (const char* text : {"", "[]", "{}", "{\"nfs\":1}", "{\"nfs\":\"other\"}", "{\"nfs\":\"export\"}",
                           "{\"nfs\":\"export\",\"path\":\"/a\",\"before\":{\"path\":1},\"after\":null}",
                           "{\"nfs\":\"live\",\"paths\":[1]}"}) {
    EXPECT_FALSE(FromPayload(text).ok()) << text;
  }
  EXPECT_FALSE(ExportCaptureFrom("{\"entry\":null}").ok());
  EXPECT_FALSE(FileCaptureFrom("{}").ok());
  EXPECT_FALSE(LiveCaptureFrom("null").ok());
}

TEST(RenderSetExport, ShowsWhatEachClientGets) {
  ExportEntry after = kEntry;
  after.clients = {{"10.0.0.0/24", {"ro"}}, {"box", {"rw"}}};
  const kit::Step step = RenderSetExport({"/tank/a b", kEntry, after, true, true}, {}, false);
  EXPECT_EQ(step.action, "change export");
  EXPECT_EQ(step.step_class, kit::StepClass::kExact);
  EXPECT_THAT(step.diffs,
              ElementsAre(kit::FieldDiff{"client 10.0.0.0/24", "rw,sync", "ro"},
                          kit::FieldDiff{"client @g", "ro", ""}, kit::FieldDiff{"client box", "", "rw"}));
  EXPECT_EQ(step.undo, "put back: \"/tank/a\\040b\" 10.0.0.0/24(rw,sync) @g(ro)");
}

VersionThree Pinned(int mountd, int statd = 0, int lockd_tcp = 0, int lockd_udp = 0) {
  return {true, mountd, statd, lockd_tcp, lockd_udp};
}

TEST(RulesFor, LoopbackNeedsNoneAndMountdIsLetInOnlyWhereItsPortIsPinned) {
  EXPECT_THAT(RulesFor({"127.0.0.1", "127.0.0.0/8", "::1"}, Pinned(32767)), IsEmpty());
  EXPECT_THAT(RulesFor({"0.0.0.0/0"}, {}), ElementsAre(node::FirewallRule{"0.0.0.0/0", "2049", "tcp"}));
  EXPECT_THAT(RulesFor({"fd00::/8"}, Pinned(5)), ::testing::SizeIs(5));
}

TEST(RulesFor, OpensThePortOfNfsConf) {
  EXPECT_THAT(RulesFor({"10.0.0.5"}, {}, 2050), ElementsAre(node::FirewallRule{"10.0.0.5", "2050", "tcp"}));
}

TEST(RulesFor, LocksOfNfs3NeedThePortsOfStatdAndLockd) {
  std::vector<std::string> ports;
  for (const auto& rule : RulesFor({"10.0.0.5"}, Pinned(32767, 32765, 32803, 32769)))
    ports.push_back(rule.port + "/" + rule.protocol);
  EXPECT_THAT(ports, ElementsAre("2049/tcp", "111/tcp", "32767/tcp", "32765/tcp", "111/udp", "32767/udp",
                                 "32765/udp", "32803/tcp", "32769/udp"));
  VersionThree off = Pinned(32767, 32765, 32803, 32769);
  off.served = false;
  EXPECT_THAT(RulesFor({"10.0.0.5"}, off), ::testing::SizeIs(1));
}

}  // namespace
}  // namespace phoenix::nfs
