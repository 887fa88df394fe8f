// The command line against an orchestrator, and a node, that answer what the test wants: exit codes, and what
// is sent and shown.
#include "clients/cli/commands/command_line.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status/errors.h"
#include "phoenix/orchestrator/v1/orchestrator.grpc.pb.h"
#include "phoenix/participant/v1/participant.grpc.pb.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/status.h"

namespace phoenix::cli {
namespace {

namespace pb = ::phoenix::orchestrator::v1;
namespace part = ::phoenix::participant::v1;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Called by one client at a time.
class FakeOrchestrator final : public pb::OrchestratorService::Service {
 public:
  grpc::Status PlanRun(grpc::ServerContext*, const pb::PlanRunRequest* request,
                       pb::PlanRunResponse* response) override {
    planned.push_back(*request);
    *response = plan;
    return plan_status;
  }
  grpc::Status CreateRun(grpc::ServerContext*, const pb::CreateRunRequest* request,
                         pb::Run* response) override {
    created.push_back(*request);
    response->set_name("runs/4711");
    return create_status;
  }
  grpc::Status WatchRun(grpc::ServerContext*, const pb::WatchRunRequest*,
                        grpc::ServerWriter<pb::WatchRunResponse>* writer) override {
    pb::WatchRunResponse event;
    event.set_sequence(1);
    event.set_text("run created over 1 node(s)");
    event.mutable_run()->set_state(pb::Run::STATE_PLANNING);
    writer->Write(event);
    event.set_sequence(2);
    event.set_text("the last event");
    *event.mutable_run() = end;
    writer->Write(event);
    return watch_status;
  }

  grpc::Status ListRuns(grpc::ServerContext*, const pb::ListRunsRequest*,
                        pb::ListRunsResponse* response) override {
    auto* run = response->add_runs();
    run->set_name("runs/0815");
    if (open_for-- <= 0) run->mutable_end_time()->set_seconds(1);
    return grpc::Status::OK;
  }

  grpc::Status GetNode(grpc::ServerContext*, const pb::GetNodeRequest* request, pb::Node* response) override {
    if (request->name() != node.name())
      return kit::ToGrpc(NotFound("'{}' is not a node", request->name()), "t");
    *response = node;
    return grpc::Status::OK;
  }

  int open_for = 0;  // so many times a run is still open when the runs are listed
  pb::Node node;
  pb::PlanRunResponse plan;
  grpc::Status plan_status, create_status, watch_status;
  pb::Run end;
  std::vector<pb::PlanRunRequest> planned;
  std::vector<pb::CreateRunRequest> created;
};

// One object is all four services of the node.
class FakeParticipant final : public part::ParticipantService::Service {
 public:
  grpc::Status Resolve(grpc::ServerContext*, const part::ResolveRequest* request,
                       part::ResolveResponse* response) override {
    asked.push_back(*request);
    *response = answer;
    return status;
  }
  grpc::Status GetTransaction(grpc::ServerContext*, const part::GetTransactionRequest*,
                              part::Transaction* response) override {
    *response = answer.transaction();
    return status;
  }
  grpc::Status Adopt(grpc::ServerContext*, const part::AdoptRequest* request,
                     part::AdoptResponse* response) override {
    adopted.push_back(request->authority());
    response->set_former_authority(former);
    former = status.ok() ? request->authority() : former;
    return status;
  }
  std::string former;
  std::vector<std::string> adopted;
  part::ResolveResponse answer;
  grpc::Status status;
  std::vector<part::ResolveRequest> asked;
};

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    char name[] = "/tmp/phoenix-cli-XXXXXX";
    directory_ = ::mkdtemp(name);
    Serve("orchestrator", orchestrator_);
    config_ = Write("config.json", "{}");
    AddStep();
  }
  ~CommandLineTest() override {
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
  void ServeNode() {
    for (const std::string_view name : kit::kParticipants) Serve(std::string(name), participant_);
  }

  std::string Write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << content;
    ::chmod(path.c_str(), mode);
    return path;
  }

  void AddStep() {
    auto* step = orchestrator_.plan.add_steps();
    step->set_ordinal(1);
    step->set_node("hv1");
    step->set_participant("zfs");
    step->mutable_step()->set_id("pool:a");
    step->mutable_step()->set_action("create pool");
    step->mutable_step()->set_resource("a");
    step->mutable_step()->set_step_class(part::STEP_CLASS_EXACT);
    step->mutable_step()->set_undo("destroy it");
    orchestrator_.plan.set_step_count(1);
    orchestrator_.plan.set_plan_digest("0123456789abcdef");
  }
  void NothingToDo() {
    orchestrator_.plan.Clear();
    orchestrator_.plan.set_plan_digest("0123456789abcdef");
  }

  // The command line with `words`; what it printed is in out_ and errors_.
  int Phoenix(std::vector<std::string> words, Screen screen = {}) {
    words.insert(words.begin(), {"phoenix", "--runtime-dir", directory_});
    std::vector<const char*> argv;
    argv.reserve(words.size());
    for (const auto& word : words) argv.push_back(word.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = RunCommandLine(static_cast<int>(argv.size()), argv.data(), screen);
    out_ = ::testing::internal::GetCapturedStdout();
    errors_ = ::testing::internal::GetCapturedStderr();
    return code;
  }
  int MakePlan(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"plan", "-f", config_});
    return Phoenix(more);
  }
  int RunSetup(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"setup", "-f", config_});
    return Phoenix(more);
  }

  std::string directory_, config_, out_, errors_;
  FakeOrchestrator orchestrator_;
  FakeParticipant participant_;
  std::vector<std::unique_ptr<grpc::Server>> servers_;
};

TEST_F(CommandLineTest, PlanExitsWith2OnlyWhenAskedToAndOnlyWhenThereAreSteps) {
  EXPECT_EQ(MakePlan(), 0) << errors_;
  EXPECT_EQ(MakePlan({"--detailed-exitcode"}), 2);
  EXPECT_EQ(MakePlan({"--detailed-exitcode", "--output", "json"}), 2);
  NothingToDo();
  EXPECT_EQ(MakePlan(), 0);
  EXPECT_EQ(MakePlan({"--detailed-exitcode"}), 0);
}

TEST_F(CommandLineTest, ARunsEndIsTheExitCodeOfSetupAndOfWatch) {
  struct Case {
    pb::Run::State end;
    int code;
  };
  for (const Case& known : {Case{pb::Run::STATE_COMMITTED, 0}, Case{pb::Run::STATE_ROLLED_BACK, 3},
                            Case{pb::Run::STATE_QUARANTINED, 4}, Case{pb::Run::STATE_NOTHING_DONE, 1},
                            // The stream ended early: nobody knows how the run will end.
                            Case{pb::Run::STATE_APPLYING, 1}, Case{pb::Run::STATE_ROLLING_BACK, 1}}) {
    orchestrator_.end.set_state(known.end);
    const std::string name = pb::Run::State_Name(known.end);
    EXPECT_EQ(RunSetup(), known.code) << name;
    EXPECT_EQ(Phoenix({"runs", "watch", "4711"}), known.code) << name;
    EXPECT_EQ(Phoenix({"runs", "watch", "runs/4711", "--output", "json"}), known.code) << name;
  }
}

TEST_F(CommandLineTest, SetupWithNothingToDoMakesNoRun) {
  NothingToDo();
  EXPECT_EQ(RunSetup(), 0) << errors_;
  EXPECT_THAT(out_, HasSubstr("Plan: 0 steps, nothing to do"));
  EXPECT_THAT(orchestrator_.created, IsEmpty());
}

TEST_F(CommandLineTest, SetupDoesWhatItShowedAndNamesTheRunOnce) {
  orchestrator_.end.set_state(pb::Run::STATE_COMMITTED);
  EXPECT_EQ(RunSetup(), 0) << errors_;
  EXPECT_EQ(RunSetup(), 0) << errors_;
  ASSERT_THAT(orchestrator_.created, SizeIs(2));
  EXPECT_EQ(orchestrator_.created[0].plan_digest(), "0123456789abcdef");
  EXPECT_FALSE(orchestrator_.created[0].request_id().empty());
  EXPECT_NE(orchestrator_.created[0].request_id(), orchestrator_.created[1].request_id());
}

TEST_F(CommandLineTest, ErrorsExitWith1) {
  EXPECT_EQ(MakePlan({"--no-such-option"}), 1);
  EXPECT_EQ(Phoenix({}), 1);
  EXPECT_EQ(Phoenix({"no-such-command"}), 1);
  EXPECT_EQ(Phoenix({"plan", "-f", directory_ + "/missing.json"}), 1);
  EXPECT_EQ(MakePlan({"--secrets", Write("secrets.json", "{}", 0644)}), 1);
  EXPECT_THAT(errors_, HasSubstr("chmod 600"));
  orchestrator_.plan_status = kit::ToGrpc(
      WithViolations(InvalidArgument("$.zfs: no"), {{"$.zfs", "hv1/zfs: no"}, {"$.nfs", "neither"}}), "t");
  EXPECT_EQ(MakePlan(), 1);
  EXPECT_EQ(errors_, "phoenix: $.zfs: no\n  $.nfs: neither\n")
      << "what the text says already is not said again";
  EXPECT_EQ(RunSetup(), 1);
  EXPECT_THAT(orchestrator_.created, IsEmpty());
  orchestrator_.plan_status = grpc::Status::OK;
  orchestrator_.create_status = kit::ToGrpc(Aborted("another plan"), "t");
  EXPECT_EQ(RunSetup(), 1);
}

TEST_F(CommandLineTest, SetupWaitsForAnOpenRunWhereItIsToldTo) {
  orchestrator_.end.set_state(pb::Run::STATE_COMMITTED);
  orchestrator_.open_for = 2;
  EXPECT_EQ(RunSetup({"--wait", "10m"}), 0);
  EXPECT_THAT(out_, HasSubstr("Waiting for the end of run 0815\n"));
  EXPECT_LE(orchestrator_.open_for, 0);
  EXPECT_THAT(orchestrator_.created, SizeIs(1));

  orchestrator_.open_for = 1000;
  EXPECT_EQ(RunSetup({"--wait", "1s"}), 1);
  EXPECT_THAT(errors_, HasSubstr("run 0815 is still open; nothing was begun"));
  EXPECT_THAT(orchestrator_.planned, SizeIs(1))
      << "a plan of a fleet that a run is changing is worth nothing";
}

TEST_F(CommandLineTest, HelpAndVersionAreNoErrors) {
  EXPECT_EQ(Phoenix({"--help"}), 0);
  EXPECT_EQ(Phoenix({"plan", "--help"}), 0);
  EXPECT_EQ(Phoenix({"--version"}), 0);
}

TEST_F(CommandLineTest, AStreamThatBreaksIsAnErrorThatSaysHowToGoOn) {
  orchestrator_.end.set_state(pb::Run::STATE_APPLYING);
  orchestrator_.watch_status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  EXPECT_EQ(RunSetup(), 1);
  EXPECT_THAT(errors_, HasSubstr("phoenix runs watch 4711"));
}

TEST_F(CommandLineTest, AnAbsentOrchestratorIsNamedWithItsSocketAndItsUnit) {
  std::filesystem::remove(kit::SocketOf(directory_, "orchestrator"));
  EXPECT_EQ(Phoenix({"runs", "list"}), 1);
  EXPECT_THAT(errors_,
              AllOf(HasSubstr("the orchestrator does not answer at unix:" + directory_),
                    HasSubstr("systemctl status phoenix-orchestratord"), Not(HasSubstr("addresses"))));
}

TEST_F(CommandLineTest, APlanShowsClassAndUndoAndALintOnceWithItsPlaceOnce) {
  auto* note = orchestrator_.plan.add_notes()->mutable_note();
  note->set_severity(part::Note::SEVERITY_WARNING);
  note->set_resource("$.nfs.exports[0].path (line 7)");
  note->set_text("no declared dataset provides this path");
  ASSERT_EQ(MakePlan(), 0);
  EXPECT_EQ(out_,
            "hv1 / zfs\n"
            "    1 + create pool a  [EXACT]\n"
            "        undo: destroy it\n"
            "warning: $.nfs.exports[0].path (line 7): no declared dataset provides this path\n"
            "Plan: 1 steps (digest 0123456789ab)\n");
}

TEST_F(CommandLineTest, APipeGetsPlainLinesAndATerminalALivePicture) {
  orchestrator_.end.set_state(pb::Run::STATE_COMMITTED);
  EXPECT_EQ(RunSetup(), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("   2  the last event\n"), HasSubstr("runs/4711: COMMITTED"),
                          Not(HasSubstr("\033"))));
  EXPECT_EQ(Phoenix({"setup", "-f", config_}, {.terminal = true, .color = false, .columns = 80}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("\033[2K"), Not(HasSubstr("the last event"))));
}

TEST_F(CommandLineTest, SecretsGoByValueToAnotherMachineAndOnlyFromAPrivateFile) {
  const std::string secrets = Write("secrets.json", R"({"samba": {"users": {"heads": "hunter2"}}})");
  ASSERT_EQ(MakePlan({"--secrets", secrets}), 0) << errors_;
  const pb::Declaration& local = orchestrator_.planned.back().declaration();
  if (::geteuid() == 0) {
    EXPECT_EQ(local.secrets_file(), secrets);
    EXPECT_TRUE(local.secrets().empty()) << "on this machine the file is enough, and survives a restart";
  } else {
    EXPECT_EQ(local.secrets().at("samba/users/heads"), "hunter2");
  }
  ASSERT_EQ(MakePlan({"--secrets", secrets, "--server", "unix:" + kit::SocketOf(directory_, "orchestrator")}),
            0)
      << errors_;
  const pb::Declaration& remote = orchestrator_.planned.back().declaration();
  EXPECT_EQ(remote.secrets().at("samba/users/heads"), "hunter2");
  EXPECT_TRUE(remote.secrets_file().empty());
}

TEST_F(CommandLineTest, ScriptsOfFeaturesTravelAsFarAsVmsNeedThem) {
  const std::string config = Write("features.json", R"({"network": {"nfs_server": "10.0.0.1"},
      "vm_features": {"dataset": "tank/vms", "scripts": "scripts", "common_files": "utils.sh"}})");
  const std::string vms =
      Write("vms.json", R"({"vms": [{"vmid": 101, "ip": "10.0.0.9", "features": ["docker"]}]})");
  std::filesystem::create_directory(directory_ + "/scripts");
  for (const char* name : {"base_setup.sh", "feature_install_docker.sh", "utils.sh", "other.sh"})
    Write(std::string("scripts/") + name, name);
  ASSERT_EQ(Phoenix({"plan", "-f", config, "--vms", vms}), 0) << errors_;
  const pb::Declaration& sent = orchestrator_.planned.back().declaration();
  EXPECT_THAT(sent.vms(), HasSubstr("10.0.0.9"));
  std::map<std::string, std::string> scripts(sent.feature_scripts().begin(), sent.feature_scripts().end());
  EXPECT_EQ(scripts,
            (std::map<std::string, std::string>{{"base_setup.sh", "base_setup.sh"},
                                                {"feature_install_docker.sh", "feature_install_docker.sh"},
                                                {"utils.sh", "utils.sh"}}));
  std::string many = R"({"vms": [{"vmid": 101, "ip": "10.0.0.9", "features": [)";
  for (int i = 0; i < 40; ++i) {
    Write(fmt::format("scripts/f{}", i), std::string(64 * 1024, '#'));
    many += fmt::format(R"("f{}",)", i);
  }
  many.back() = ']';
  EXPECT_EQ(Phoenix({"plan", "-f", config, "--vms", Write("many.json", many + "}]}")}), 1);
  EXPECT_THAT(errors_, HasSubstr("at most 2 MiB"));
  std::filesystem::create_directory(directory_ + "/scripts/docker");
  EXPECT_EQ(Phoenix({"plan", "-f", config, "--vms", vms}), 1);
  EXPECT_THAT(errors_, HasSubstr("scripts/docker is no file"));
}

TEST_F(CommandLineTest, ContainersGoAsTheUserWroteThem) {
  const std::string text = "{ \"lxc_configs\": {} }\n";
  ASSERT_EQ(MakePlan({"--lxc", Write("lxc.json", text)}), 0) << errors_;
  EXPECT_EQ(orchestrator_.planned.back().declaration().lxc(), text);
  ASSERT_EQ(MakePlan({}), 0) << errors_;
  EXPECT_EQ(orchestrator_.planned.back().declaration().lxc(), "");
  EXPECT_EQ(MakePlan({"--lxc", directory_ + "/none.json"}), 1);
}

TEST_F(CommandLineTest, ABrokenSecretsFileIsRefusedWithoutShowingIt) {
  const std::string secrets = Write("secrets.json", R"({"samba": {"users": {"heads": "hun\nter2"}}})");
  EXPECT_EQ(MakePlan({"--secrets", secrets, "--server", "unix:" + kit::SocketOf(directory_, "orchestrator")}),
            1);
  EXPECT_THAT(errors_,
              AllOf(HasSubstr("$.samba.users.heads"), Not(HasSubstr("hun")), Not(HasSubstr("ter2"))));
}

TEST_F(CommandLineTest, ValidateNeedsNoDaemon) {
  std::filesystem::remove(kit::SocketOf(directory_, "orchestrator"));
  EXPECT_EQ(Phoenix({"validate", config_}), 0);
  const std::string broken = Write("broken.json", R"({"zfs": {"pools": [{"name": "a/b", "disks": []}]}})");
  EXPECT_EQ(Phoenix({"validate", config_, broken}), 1) << "one bad file is enough";
  EXPECT_THAT(out_, HasSubstr(broken + ": error: $.zfs.pools[0].name (line 1): "));
  EXPECT_EQ(Phoenix({"validate", broken, config_}), 1);
  const std::string doubtful = Write("doubtful.json", "{\"nfs\": {}, \"nfs\": {}}");
  EXPECT_EQ(Phoenix({"validate", doubtful}), 0);
  EXPECT_THAT(out_, HasSubstr("0 error(s), 1 warning(s)"));
  EXPECT_EQ(Phoenix({"validate", "--strict", doubtful}), 1);
}

TEST_F(CommandLineTest, PlanAndSetupSendTheWordsThatWereSaid) {
  orchestrator_.end.set_state(pb::Run::STATE_COMMITTED);
  ASSERT_EQ(RunSetup({"--allow", "storage:a", "--no-install", "--allow", "path:/a b"}), 0) << errors_;
  ASSERT_EQ(MakePlan({"--allow", "storage:a"}), 0) << errors_;
  ASSERT_THAT(orchestrator_.planned, SizeIs(2));
  ASSERT_THAT(orchestrator_.created, SizeIs(1));
  EXPECT_THAT(orchestrator_.planned[0].allow(), ElementsAre("storage:a", "path:/a b"));
  EXPECT_TRUE(orchestrator_.planned[0].no_install());
  EXPECT_THAT(orchestrator_.created[0].allow(), ElementsAre("storage:a", "path:/a b"));
  EXPECT_TRUE(orchestrator_.created[0].no_install());
  EXPECT_THAT(orchestrator_.planned[1].allow(), ElementsAre("storage:a"));
  EXPECT_FALSE(orchestrator_.planned[1].no_install());
  EXPECT_EQ(MakePlan({"--allow"}), 1);
}

TEST_F(CommandLineTest, APlanMarksWhatNeedsAWordAndSetupExitsWith1WithoutIt) {
  orchestrator_.plan.mutable_steps(0)->set_needs_allow("pool:a");
  orchestrator_.plan.add_needs_allow("pool:a");
  orchestrator_.plan.add_needs_allow("path:/a b");
  ASSERT_EQ(MakePlan(), 0);
  EXPECT_EQ(out_,
            "hv1 / zfs\n"
            "    1 + create pool a  [EXACT]\n"
            "        undo: destroy it\n"
            "        needs --allow pool:a\n"
            "Plan: 1 steps (digest 0123456789ab)\n"
            "Nothing is done without: --allow pool:a --allow 'path:/a b'\n");
  orchestrator_.create_status = kit::ToGrpc(
      WithViolations(
          WithReason(FailedPrecondition("nothing was done:\n  hv1/zfs needs a word"), {"CONSENT_NEEDED", {}}),
          {{"allow", "hv1/zfs needs a word"}}),
      "t");
  EXPECT_EQ(RunSetup(), 1);
  EXPECT_EQ(errors_, "phoenix: nothing was done:\n  hv1/zfs needs a word\n");
  EXPECT_EQ(RunSetup({"--output", "json"}), 1);
  EXPECT_THAT(out_, HasSubstr("CONSENT_NEEDED"));
}

// A node whose services obey "theirs"; this orchestrator is "ours".
class AdoptTest : public CommandLineTest {
 protected:
  AdoptTest() {
    orchestrator_.node.set_name("nodes/hv1");
    orchestrator_.node.set_address("unix:" + directory_);
    orchestrator_.node.set_orchestrator_authority("ours");
    for (const std::string_view name : kit::kParticipants) {
      auto* service = orchestrator_.node.add_participants();
      service->set_name(std::string(name));
      service->set_reachable(true);
      service->mutable_description()->set_authority("theirs");
      services_[std::string(name)].former = "theirs";
      Serve(std::string(name), services_[std::string(name)]);
    }
  }
  pb::NodeParticipant& Described(int index) { return *orchestrator_.node.mutable_participants(index); }
  size_t Asked() const {
    size_t asked = 0;
    for (const auto& [name, service] : services_) asked += service.adopted.size();
    return asked;
  }
  int Adopt(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"node", "adopt", "hv1"});
    return Phoenix(more);
  }
  std::map<std::string, FakeParticipant> services_;
};

TEST_F(AdoptTest, AllFourServicesInOrderAndAgainWithoutHarm) {
  EXPECT_EQ(Adopt(), 0) << errors_;
  EXPECT_EQ(out_,
            "hv1: this orchestrator's authority is ours\n"
            "zfs: obeys it now; before: theirs\n"
            "nfs: obeys it now; before: theirs\n"
            "samba: obeys it now; before: theirs\n"
            "proxmox: obeys it now; before: theirs\n");
  for (const auto& [name, service] : services_) EXPECT_THAT(service.adopted, ElementsAre("ours")) << name;
  EXPECT_EQ(Adopt({"--output", "json"}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("\"changed\": false"), Not(HasSubstr("\"changed\": true"))));
}

TEST_F(AdoptTest, AnOpenRunOrASilentServiceLeavesTheNodeAsItIs) {
  Described(2).mutable_description()->set_open_run_id("run-9");
  EXPECT_EQ(Adopt(), 1);
  EXPECT_THAT(errors_, AllOf(HasSubstr("nothing was changed"), HasSubstr("samba: run run-9 is open"),
                             HasSubstr("phoenix resolve run-9")));
  Described(2).mutable_description()->clear_open_run_id();
  Described(3).set_reachable(false);
  Described(3).set_error("the proxmox service of node hv1 does not answer");
  EXPECT_EQ(Adopt(), 1);
  EXPECT_THAT(errors_, HasSubstr("the proxmox service of node hv1 does not answer"));
  EXPECT_EQ(Asked(), 0U);
}

TEST_F(AdoptTest, AHalfAdoptedNodeExitsWith4AndIsFinishedByRepeating) {
  services_["samba"].status = kit::ToGrpc(FailedPrecondition("run run-9 is open here"), "t");
  EXPECT_EQ(Adopt(), 4);
  EXPECT_THAT(out_, AllOf(HasSubstr("zfs: obeys it now"), HasSubstr("nfs: obeys it now")));
  EXPECT_THAT(errors_, AllOf(HasSubstr("samba: run run-9 is open here"), HasSubstr("2 of 4"),
                             HasSubstr("phoenix node adopt hv1")));
  EXPECT_THAT(services_["proxmox"].adopted, IsEmpty());
  services_["samba"].status = grpc::Status::OK;
  EXPECT_EQ(Adopt(), 0) << errors_;
  EXPECT_THAT(out_, AllOf(HasSubstr("zfs: obeyed it already"), HasSubstr("samba: obeys it now"),
                          HasSubstr("proxmox: obeys it now")));
}

TEST_F(AdoptTest, ThatNothingWasChangedExitsWith1) {
  services_["zfs"].status = kit::ToGrpc(PermissionDenied("not you"), "t");
  EXPECT_EQ(Adopt(), 1);
  EXPECT_EQ(Asked(), 1U);
  EXPECT_EQ(Phoenix({"node", "adopt", "hv7"}), 1);
  EXPECT_THAT(errors_, HasSubstr("'nodes/hv7' is not a node"));
  EXPECT_EQ(Phoenix({"node"}), 1);
  // From another machine the node's sockets cannot be reached.
  EXPECT_EQ(Adopt({"--server", "unix:" + kit::SocketOf(directory_, "orchestrator")}), 1);
  EXPECT_THAT(errors_, HasSubstr("run this there"));
}

TEST_F(CommandLineTest, ResolveCommitsAllServicesOfTheNodeOrNone) {
  FakeParticipant samba;
  for (const std::string_view name : kit::kParticipants) {
    Serve(std::string(name), name == "samba" ? samba : participant_);
  }
  participant_.answer.mutable_transaction()->set_state(part::Transaction::STATE_IN_DOUBT);
  samba.answer.mutable_transaction()->set_state(part::Transaction::STATE_PREPARED);
  EXPECT_EQ(Phoenix({"resolve", "4711", "--commit"}), 1);
  EXPECT_THAT(errors_, AllOf(HasSubstr("PREPARED in samba"), HasSubstr("phoenix resolve 4711 --undo")));
  EXPECT_THAT(participant_.asked, IsEmpty()) << "nobody was asked to keep anything";
  samba.status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "failed to connect to all addresses");
  EXPECT_EQ(Phoenix({"resolve", "4711", "--commit"}), 1) << "a silent service may not have disarmed";
  EXPECT_THAT(participant_.asked, IsEmpty());
  samba.status = kit::ToGrpc(NotFound("the run does not concern it"), "t");
  Phoenix({"resolve", "4711", "--commit"});
  EXPECT_THAT(participant_.asked, SizeIs(3));
  for (const auto& asked : participant_.asked)
    EXPECT_EQ(asked.decision(), part::ResolveRequest::DECISION_COMMIT);
}

TEST_F(CommandLineTest, ResolveExitsWith4WhileAnythingIsOpen) {
  ServeNode();
  participant_.answer.mutable_transaction()->set_state(part::Transaction::STATE_COMMITTED);
  EXPECT_EQ(Phoenix({"resolve", "4711"}), 0) << errors_;
  participant_.answer.mutable_transaction()->set_state(part::Transaction::STATE_IN_DOUBT);
  EXPECT_EQ(Phoenix({"resolve", "4711"}), 4);
  EXPECT_THAT(out_, AllOf(HasSubstr("IN_DOUBT"), HasSubstr("phoenix resolve 4711 --commit")));
  participant_.answer.mutable_transaction()->set_state(part::Transaction::STATE_UNDONE);
  auto* remaining = participant_.answer.add_remaining();
  remaining->set_step_id("dataset:a/b");
  remaining->add_remaining_commands("zfs destroy a/b");
  EXPECT_EQ(Phoenix({"resolve", "4711"}), 4);
  EXPECT_THAT(out_, HasSubstr("by hand: zfs destroy a/b"));
  participant_.status = kit::ToGrpc(NotFound("run 4711 is not in this participant's journal"), "t");
  EXPECT_EQ(Phoenix({"resolve", "4711"}), 1) << "nobody knows the run";
  participant_.status = kit::ToGrpc(FailedPrecondition("is COMMITTED here"), "t");
  EXPECT_EQ(Phoenix({"resolve", "4711", "--undo"}), 1);
  EXPECT_EQ(participant_.asked.back().decision(), part::ResolveRequest::DECISION_UNDO);
  EXPECT_EQ(Phoenix({"resolve", "4711", "--undo", "--commit"}), 1);
}

}  // namespace
}  // namespace phoenix::cli
