// phoenix kept, against a zfs service and an orchestrator that only answer.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/status/errors.h"
#include "clients/cli/commands/command_line.h"
#include "phoenix/orchestrator/v1/orchestrator.grpc.pb.h"
#include "phoenix/zfs/v1/zfs.grpc.pb.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/status.h"

namespace phoenix::cli {
namespace {

namespace pb = ::phoenix::orchestrator::v1;
namespace zfs = ::phoenix::zfs::v1;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kKept[] = "tank/.phoenix/kept/r1/a";

class FakeZfs final : public zfs::ZfsService::Service {
 public:
  grpc::Status ListKept(grpc::ServerContext*, const zfs::ListKeptRequest* request,
                        zfs::ListKeptResponse* response) override {
    // One a page.
    const size_t page = request->page_token().empty() ? 0 : std::stoul(request->page_token());
    if (page < kept.size()) *response->add_kept() = kept[page];
    if (page + 1 < kept.size()) response->set_next_page_token(std::to_string(page + 1));
    return grpc::Status::OK;
  }
  grpc::Status RestoreKept(grpc::ServerContext*, const zfs::RestoreKeptRequest* request,
                           zfs::Dataset* response) override {
    restored.push_back(*request);
    response->set_native_name("tank/a");
    response->set_mounted(true);
    (*response->mutable_properties())["mountpoint"].set_value("/tank/a");
    return status;
  }
  grpc::Status DiscardKept(grpc::ServerContext*, const zfs::DiscardKeptRequest* request,
                           zfs::Kept* response) override {
    discarded.push_back(*request);
    if (!kept.empty()) *response = kept[0];
    return status;
  }
  std::vector<zfs::Kept> kept;
  std::vector<zfs::RestoreKeptRequest> restored;
  std::vector<zfs::DiscardKeptRequest> discarded;
  grpc::Status status;
};

class FakeNodes final : public pb::OrchestratorService::Service {
 public:
  grpc::Status GetNode(grpc::ServerContext*, const pb::GetNodeRequest* request, pb::Node* response) override {
    for (const auto& node : nodes) {
      if (node.name() == request->name()) *response = node;
    }
    return response->name().empty() ? kit::ToGrpc(NotFound("'{}' is not a node", request->name()), "t")
                                    : grpc::Status::OK;
  }
  grpc::Status ListNodes(grpc::ServerContext*, const pb::ListNodesRequest*,
                         pb::ListNodesResponse* response) override {
    for (const auto& node : nodes) *response->add_nodes() = node;
    return grpc::Status::OK;
  }
  std::vector<pb::Node> nodes;
};

class KeptTest : public ::testing::Test {
 protected:
  KeptTest() {
    char name[] = "/tmp/phoenix-kept-XXXXXX";
    directory_ = ::mkdtemp(name);
    fleet_ = directory_ + "/fleet.json";
    std::ofstream(fleet_) << "{}";
    AddNode("hv1", directory_);
    Serve("orchestrator", orchestrator_);
    Serve("zfs", zfs_);
    Keep(kKept, zfs::Kept::KIND_SET_ASIDE);
  }
  ~KeptTest() override {
    for (auto& server : servers_) server->Shutdown();
    std::filesystem::remove_all(directory_);
  }
  void Serve(const std::string& name, grpc::Service& service) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + kit::SocketOf(directory_, name), grpc::InsecureServerCredentials());
    builder.RegisterService(&service);
    servers_.push_back(builder.BuildAndStart());
    ASSERT_NE(servers_.back(), nullptr);
  }
  void AddNode(const std::string& name, const std::string& directory) {
    pb::Node node;
    node.set_name("nodes/" + name);
    node.set_address("unix:" + directory);
    orchestrator_.nodes.push_back(node);
  }
  void Keep(const std::string& name, zfs::Kept::Kind kind) {
    zfs::Kept kept;
    kept.set_native_name(name);
    kept.set_original_name("tank/a");
    kept.set_run("r1");
    kept.set_kind(kind);
    kept.set_guid(42);
    kept.set_used_bytes(3 << 20);
    kept.set_creation_seconds(86400);
    zfs_.kept.push_back(kept);
  }
  int Phoenix(std::vector<std::string> words) {
    words.insert(words.begin(), {"phoenix", "--runtime-dir", directory_, "kept"});
    std::vector<const char*> argv;
    argv.reserve(words.size());
    for (const auto& word : words) argv.push_back(word.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = RunCommandLine(static_cast<int>(argv.size()), argv.data(), {});
    out_ = ::testing::internal::GetCapturedStdout();
    errors_ = ::testing::internal::GetCapturedStderr();
    return code;
  }

  std::string directory_, fleet_, out_, errors_;
  FakeZfs zfs_;
  FakeNodes orchestrator_;
  std::vector<std::unique_ptr<grpc::Server>> servers_;
};

TEST_F(KeptTest, ListShowsEveryPageAsATableOrAsJson) {
  Keep("tank/.phoenix/kept/r1/b", zfs::Kept::KIND_BEFORE);
  EXPECT_EQ(Phoenix({"list"}), 0) << errors_;
  EXPECT_EQ(
      out_,
      "NODE       WAS     KIND               RUN  USED     CREATED               KEPT AS\n"
      "this node  tank/a  set aside          r1   3.0 MiB  1970-01-02T00:00:00Z  tank/.phoenix/kept/r1/a\n"
      "this node  tank/a  as before the run  r1   3.0 MiB  1970-01-02T00:00:00Z  tank/.phoenix/kept/r1/b\n");
  EXPECT_EQ(Phoenix({"list", "--node", "hv1", "--output", "json"}), 0) << errors_;
  EXPECT_THAT(out_, AllOf(HasSubstr("\"node\": \"hv1\""), HasSubstr("\"guid\": \"42\""),
                          HasSubstr("\"kind\": \"KIND_BEFORE\"")));
  zfs_.kept.clear();
  EXPECT_EQ(Phoenix({"list"}), 0);
  EXPECT_EQ(out_, "Nothing is kept.\n");
}

TEST_F(KeptTest, ASilentNodeOfTheFleetHidesNothingOfTheOthers) {
  AddNode("hv2", directory_ + "/none");
  EXPECT_EQ(Phoenix({"list", "--fleet", fleet_}), 1);
  EXPECT_THAT(out_, HasSubstr("hv1   tank/a"));
  EXPECT_THAT(errors_, HasSubstr("zfs service of node hv2 does not answer"));
}

TEST_F(KeptTest, RestoreSaysWhereItIs) {
  EXPECT_EQ(Phoenix({"restore", kKept}), 0) << errors_;
  EXPECT_EQ(out_, "tank/a is back, mounted at /tank/a\n");
  EXPECT_EQ(Phoenix({"restore", kKept, "--node", "hv1", "--as", "tank/b"}), 0) << errors_;
  ASSERT_THAT(zfs_.restored, SizeIs(2));
  EXPECT_EQ(zfs_.restored[0].name(), "datasets/tank~.phoenix~kept~r1~a");
  EXPECT_EQ(zfs_.restored[0].to(), "");
  EXPECT_EQ(zfs_.restored[1].to(), "datasets/tank~b");
  EXPECT_NE(zfs_.restored[0].request_id(), "");
  EXPECT_NE(zfs_.restored[0].request_id(), zfs_.restored[1].request_id());
  zfs_.status = kit::ToGrpc(FailedPrecondition("tank/a is there"), "t");
  EXPECT_EQ(Phoenix({"restore", kKept}), 1);
  EXPECT_THAT(errors_, HasSubstr("tank/a is there"));
  EXPECT_EQ(Phoenix({"restore", kKept, "--node", "hv7"}), 1);
  EXPECT_THAT(errors_, HasSubstr("'nodes/hv7' is not a node"));
}

TEST_F(KeptTest, DiscardWantsTheNodeAndTheWord) {
  EXPECT_EQ(Phoenix({"discard", kKept}), 1) << "which node?";
  EXPECT_THAT(errors_, HasSubstr("--node"));
  EXPECT_THAT(zfs_.discarded, IsEmpty());
  EXPECT_EQ(Phoenix({"discard", kKept, "--node", "hv1"}), 1);
  EXPECT_THAT(errors_, AllOf(HasSubstr("set aside of tank/a, 3.0 MiB"), HasSubstr("nothing was changed"),
                             HasSubstr(std::string("--allow discard:") + kKept)));
  EXPECT_EQ(Phoenix({"discard", kKept, "--node", "hv1", "--allow", "discard:tank/.phoenix/kept/r1/b"}), 1);
  EXPECT_THAT(errors_, HasSubstr("allows nothing of this; nothing was changed"));
  for (const auto& asked : zfs_.discarded) EXPECT_TRUE(asked.validate_only());
}

TEST_F(KeptTest, DiscardDestroysWhatItLookedAt) {
  EXPECT_EQ(Phoenix({"discard", kKept, "--node", "hv1", "--allow", std::string("discard:") + kKept}), 0)
      << errors_;
  EXPECT_EQ(out_, std::string(kKept) + " is destroyed\n");
  ASSERT_THAT(zfs_.discarded, SizeIs(2));
  EXPECT_TRUE(zfs_.discarded[0].validate_only());
  EXPECT_FALSE(zfs_.discarded[1].validate_only());
  EXPECT_EQ(zfs_.discarded[1].guid(), 42U);
  EXPECT_NE(zfs_.discarded[1].request_id(), "");
  zfs_.status = kit::ToGrpc(FailedPrecondition("it has snapshot tank/x@theirs"), "t");
  EXPECT_EQ(Phoenix({"discard", kKept, "--node", "hv1", "--allow", std::string("discard:") + kKept}), 1);
  EXPECT_THAT(errors_, HasSubstr("it has snapshot"));
}

}  // namespace
}  // namespace phoenix::cli
