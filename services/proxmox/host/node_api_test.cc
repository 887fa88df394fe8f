// The real host with a token: libcurl, real connections to a server of this test, files of the machine and of
// a tree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "base/status/errors.h"
#include "services/proxmox/host/curl_node_api.h"
#include "services/proxmox/host/proxmox_cli.h"
#include "services/proxmox/host/testing_api_server.h"
#include "services/proxmox/worker/storage_change.h"

namespace phoenix::proxmox {
namespace {

using ::testing::AllOf;
using testing::ApiServer;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::HttpAnswer;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::SeenRequest;
using ::testing::StartsWith;

constexpr char kUuid[] = "01234567-89ab-cdef-0123-456789abcdef";
constexpr char kOldEntry[] = "dir: old\n\tpath /srv/old\n\tcontent iso\n\tnodes pve1\n\n";
constexpr char kNewEntry[] = "dir: new\n\tpath /srv/new\n\tcontent iso\n\tnodes pve1\n\n";

class RecordingRunner final : public CommandRunner {
 public:
  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver&) override {
    commands.push_back(ToText(command));
    return CommandResult{};
  }
  std::vector<std::string> commands;
};

class NodeApiTest : public ::testing::Test {
 protected:
  NodeApiTest() : root_(MakeRoot()), files_(root_) {
    Write("/usr/sbin/pvesm", "#!/usr/bin/perl\n");
    Write("/proc/sys/kernel/hostname", "pve1\n");
    Write("/proc/1/mounts", "/dev/fuse /etc/pve fuse rw 0 0\n");
    WriteEntries(kOldEntry);
    WriteToken(0600);
    settings_.token_file = root_ + "/token";
    settings_.sent_file = root_ + "/api-request";
    settings_.token_owner = ::geteuid();
    settings_.change_limit = std::chrono::seconds(20);
  }
  ~NodeApiTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void WriteEntries(const std::string& text) { Write("/etc/pve/storage.cfg", text); }
  void WriteToken(uint32_t mode) {
    const FileState file{std::string("root@pam!phoenix=") + kUuid + "\n", ::geteuid(), ::getegid(), mode};
    EXPECT_TRUE(machine_.Replace(root_ + "/token", file).ok());
  }
  static std::string MakeRoot() {
    std::string pattern = (std::filesystem::temp_directory_path() / "phoenix-api-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    return pattern;
  }

  void Listen(ApiServer::Handler handler) {
    server_ = std::make_unique<ApiServer>(std::move(handler));
    settings_.port = server_->port();
  }
  // A daemon begins its life.
  void Start() {
    host_.reset();
    auto api = CurlNodeApi::Open(machine_, settings_);
    ASSERT_TRUE(api.ok()) << api.status();
    api_ = *std::move(api);
    host_ = std::make_unique<ProxmoxCli>(runner_, files_, api_.get(),
                                         [this](const std::string& text) { warnings_.push_back(text); });
  }
  void ListenAndStart(ApiServer::Handler handler) {
    Listen(std::move(handler));
    Start();
  }
  absl::Status Add() {
    return host_->Add({"new", "dir", Words{"iso"}, {"pve1"}, {{"path", "/srv/new"}}, false}, nullptr)
        .status();
  }
  bool HasNew() {
    const auto config = host_->ReadStorages();
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() && config->entries.count("new") != 0;
  }

  const std::string root_;
  PosixFiles machine_;  // of this machine: the table of its connections, token and note
  PosixFiles files_;    // of the node that is read
  RecordingRunner runner_;
  NodeApiSettings settings_;
  std::unique_ptr<ApiServer> server_;
  std::unique_ptr<CurlNodeApi> api_;
  std::unique_ptr<ProxmoxCli> host_;
  std::vector<std::string> warnings_;
};

TEST_F(NodeApiTest, ChangesAreRequestsWithTheTokenAndNoCommands) {
  ListenAndStart([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":null})"); });
  ASSERT_TRUE(Add().ok());
  ASSERT_TRUE(host_->Set({"old", Words{"iso", "backup"}, std::nullopt, {}, {"shared"}, "abc"}, nullptr).ok());
  ASSERT_TRUE(host_->Remove("old", nullptr).ok());
  EXPECT_THAT(runner_.commands, IsEmpty());
  EXPECT_THAT(warnings_, IsEmpty());
  const auto seen = server_->seen();
  ASSERT_EQ(seen.size(), 3u);
  const std::string authorization = std::string("\r\nAuthorization: PVEAPIToken=root@pam!phoenix=") + kUuid;
  for (const SeenRequest& request : seen) {
    EXPECT_THAT(request.head, HasSubstr(authorization + "\r\n"));
    EXPECT_THAT(request.head, HasSubstr(fmt::format("\r\nHost: 127.0.0.1:{}\r\n", settings_.port)));
    EXPECT_THAT(request.head, Not(HasSubstr("Expect:")));
  }
  const std::string form = "\r\nContent-Type: application/x-www-form-urlencoded";
  EXPECT_THAT(seen[0].head, AllOf(StartsWith("POST /api2/json/storage HTTP/1.1\r\n"), HasSubstr(form)));
  EXPECT_EQ(seen[0].body, "storage=new&type=dir&path=%2Fsrv%2Fnew&content=iso&nodes=pve1");
  EXPECT_THAT(seen[1].head, AllOf(StartsWith("PUT /api2/json/storage/old HTTP/1.1\r\n"), HasSubstr(form)));
  EXPECT_EQ(seen[1].body, "content=backup%2Ciso&delete=shared&digest=abc");
  EXPECT_THAT(seen[2].head, StartsWith("DELETE /api2/json/storage/old HTTP/1.1\r\n"));
  EXPECT_EQ(seen[2].body, "");
}

TEST_F(NodeApiTest, RefusalsKeepTheirMeaning) {
  std::string answer;
  ListenAndStart([&](const SeenRequest&) { return answer; });
  answer = HttpAnswer(
      400, "Parameter verification failed.",
      R"({"data":null,"errors":{"path":"illegal path"},"message":"Parameter verification failed.\n"})");
  const absl::Status refused = Add();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(ViolationsOf(refused).size(), 1u);
  EXPECT_EQ(ViolationsOf(refused)[0].field, "path");
  answer =
      HttpAnswer(500, "update storage failed: detected modified configuration - file changed by other user?",
                 R"({"data":null})");
  EXPECT_EQ(host_->Set({"old", Words{"iso"}, std::nullopt, {}, {}, "abc"}, nullptr).status().code(),
            absl::StatusCode::kAborted);
  answer = HttpAnswer(500, "create storage failed: cfs-lock 'file-storage_cfg' error: no quorum!", "");
  EXPECT_EQ(ReasonOf(Add())->reason, kNoQuorum);
  answer = HttpAnswer(401, "invalid token value!", "");
  EXPECT_EQ(ReasonOf(Add())->reason, kNodeApiToken);
  // What was answered is over: nothing is left to wait for.
  EXPECT_FALSE(std::filesystem::exists(settings_.sent_file));
  EXPECT_THAT(runner_.commands, IsEmpty());
}

TEST_F(NodeApiTest, ARefusedTokenIsFoundWhenPlanningAndADeadApiIsNone) {
  std::string answer = HttpAnswer(401, "no such token 'phoenix' for user 'root@pam'", "");
  ListenAndStart([&](const SeenRequest&) { return answer; });
  EXPECT_EQ(ReasonOf(host_->CanChange())->reason, kNodeApiToken);
  answer = HttpAnswer(200, "OK", R"({"data":{"/storage":{"Datastore.Allocate":1,"Datastore.Audit":1}}})");
  EXPECT_TRUE(host_->CanChange().ok());
  EXPECT_THAT(server_->seen().back().head,
              StartsWith("GET /api2/json/access/permissions?path=/storage HTTP/1.1\r\n"));
  // One with rights of its own, which is what the web interface makes unless told otherwise, has none.
  for (const char* rights : {R"({"data":{"/storage":{}}})", R"({"data":{}})"}) {
    answer = HttpAnswer(200, "OK", rights);
    EXPECT_EQ(ReasonOf(host_->CanChange())->reason, kNodeApiToken);
    EXPECT_THAT(Message(host_->CanChange()), HasSubstr("may not change storages"));
  }
  answer = "";
  EXPECT_TRUE(host_->CanChange().ok());
  server_.reset();
  EXPECT_TRUE(host_->CanChange().ok());
  WriteToken(0644);
  EXPECT_EQ(ReasonOf(host_->CanChange())->reason, kNodeApiToken);
}

TEST_F(NodeApiTest, WithoutATokenPvesmIsRunAndNobodyIsTold) {
  ListenAndStart([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":null})"); });
  std::filesystem::remove(settings_.token_file);
  EXPECT_TRUE(Add().ok());
  EXPECT_THAT(runner_.commands, ElementsAre("pvesm add dir new --path /srv/new --content iso --nodes pve1"));
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_THAT(server_->seen(), IsEmpty());
  EXPECT_EQ(host_->Versions().count("node-api"), 0u);
  // One that is made later counts from the next change on.
  WriteToken(0600);
  EXPECT_TRUE(Add().ok());
  EXPECT_EQ(server_->seen().size(), 1u);
  EXPECT_EQ(host_->Versions().at("node-api"), "token of root@pam!phoenix");
}

TEST_F(NodeApiTest, ATokenThatOthersCanReadIsNotUsedAndNothingIsDone) {
  ListenAndStart([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":null})"); });
  WriteToken(0640);
  const absl::Status status = Add();
  EXPECT_THAT(Message(status), AllOf(HasSubstr("others than root can read"), Not(HasSubstr(kUuid))));
  EXPECT_THAT(server_->seen(), IsEmpty());
  EXPECT_THAT(runner_.commands, IsEmpty());
  EXPECT_THAT(host_->Versions().at("node-api"), StartsWith("not used: "));
}

TEST_F(NodeApiTest, WhereNobodyListensPvesmIsRunAndTheLogSaysSo) {
  Listen([](const SeenRequest&) { return std::string(); });
  server_.reset();
  Start();
  EXPECT_TRUE(Add().ok());
  EXPECT_TRUE(host_->Remove("old", nullptr).ok());
  EXPECT_THAT(runner_.commands, ElementsAre(StartsWith("pvesm add dir new"), "pvesm remove old"));
  EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("POST /storage goes through pvesm"),
                                           HasSubstr("root@pam!phoenix"), Not(HasSubstr(kUuid))),
                                     HasSubstr("DELETE /storage/old")));
  EXPECT_FALSE(std::filesystem::exists(settings_.sent_file));
}

TEST_F(NodeApiTest, APasswordGoesThroughTheApiOrNotAtAll) {
  const NewStorage storage{
      "new", "cifs", std::nullopt, {"pve1"}, {{"username", "u"}}, false, Secret("correct horse")};
  ListenAndStart([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":null})"); });
  EXPECT_TRUE(host_->Observe({})->has_api_token);
  EXPECT_TRUE(host_->Add(storage, nullptr).ok());
  EXPECT_THAT(server_->seen().at(0).body, HasSubstr("&password=correct%20horse"));
  // Nobody listens.
  server_.reset();
  absl::Status status = host_->Add(storage, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("pvedaemon"), Not(HasSubstr("horse"))));
  // There is no token.
  std::filesystem::remove(settings_.token_file);
  status = host_->Add(storage, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(host_->Observe({})->has_api_token);
  EXPECT_THAT(runner_.commands, IsEmpty());
}

TEST_F(NodeApiTest, NoProxyOfTheEnvironmentIsToldTheToken) {
  ApiServer proxy([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":"proxy"})"); });
  const std::string url = fmt::format("http://127.0.0.1:{}", proxy.port());
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::setenv(name, url.c_str(), 1);
  ListenAndStart([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":null})"); });
  EXPECT_TRUE(Add().ok());
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
  EXPECT_EQ(server_->seen().size(), 1u);
  EXPECT_THAT(proxy.seen(), IsEmpty());
}

TEST_F(NodeApiTest, ARedirectIsNotFollowed) {
  ApiServer other([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":null})"); });
  const std::string place = fmt::format("http://127.0.0.1:{}/api2/json/storage", other.port());
  for (const int code : {301, 302, 307, 308}) {
    ListenAndStart([&](const SeenRequest&) {
      return fmt::format("HTTP/1.1 {} Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", code, place);
    });
    EXPECT_THAT(Message(Add()), HasSubstr("redirect")) << code;
  }
  EXPECT_THAT(other.seen(), IsEmpty());
}

TEST_F(NodeApiTest, AnAnswerWithoutEndIsNotRead) {
  std::string answer;
  ListenAndStart([&](const SeenRequest&) { return answer; });
  answer = HttpAnswer(200, "OK", R"({"data":")" + std::string(8 << 20, 'x') + "\"}");
  absl::Status status = Add();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(ReasonOf(status)->reason, kNodeApiNoAnswer);
  EXPECT_LT(status.message().size(), 500u);
  answer = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 4000; ++i) answer += fmt::format("X-{}: {}\r\n", i, std::string(1000, 'x'));
  status = Add();
  EXPECT_EQ(ReasonOf(status)->reason, kNodeApiNoAnswer) << status;
}

TEST_F(NodeApiTest, ARequestWithoutAnAnswerIsNotSentAgain) {
  ListenAndStart([this](const SeenRequest&) {
    // A kept connection that the server closes in between is where libcurl would try again.
    return server_ != nullptr && server_->seen().size() == 1 ? HttpAnswer(200, "OK", R"({"data":null})")
                                                             : std::string();
  });
  EXPECT_TRUE(Add().ok());
  const absl::Status status = Add();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(ReasonOf(status)->reason, kNodeApiNoAnswer);
  EXPECT_EQ(server_->seen().size(), 2u);
  EXPECT_THAT(runner_.commands, IsEmpty());
}

// As with a pvesm that was killed: the file says whether it was done.
TEST_F(NodeApiTest, WhatALostAnswerWouldHaveSaidIsReadFromTheFile) {
  bool does = true;
  ListenAndStart([&](const SeenRequest&) {
    if (does) WriteEntries(std::string(kOldEntry) + kNewEntry);
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
  });
  StorageChanges changes(*host_);
  StorageStep step{StorageAction::kAdd,
                   "new",
                   "pve1",
                   {"dir", Words{"iso"}, {{"path", "/srv/new"}}},
                   true,
                   true,
                   {},
                   {},
                   {},
                   false};
  const auto before = changes.Capture(step);
  ASSERT_TRUE(before.ok()) << before.status();
  std::vector<std::string> said;
  const absl::Status done = changes.Do(step, *before, Secret(), nullptr, said);
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_EQ(server_->seen().size(), 1u);
  EXPECT_EQ(changes.Probe(step, *before)->probe, kit::Probe::kDone);

  WriteEntries(kOldEntry);
  does = false;
  const absl::Status lost = changes.Do(step, *before, Secret(), nullptr, said);
  EXPECT_EQ(ReasonOf(lost)->reason, kNodeApiNoAnswer) << lost;
  EXPECT_EQ(changes.Probe(step, *before)->probe, kit::Probe::kNotDone);
  EXPECT_THAT(runner_.commands, IsEmpty());
}

// The server does not notice that nobody waits any more: it finishes the request. Whoever read the file
// before that would take the entry for never made, and undo would leave it behind.
TEST_F(NodeApiTest, ReadingWaitsForARequestThatTookTooLong) {
  settings_.change_limit = std::chrono::milliseconds(300);
  ListenAndStart([this](const SeenRequest&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    WriteEntries(std::string(kOldEntry) + kNewEntry);
    return HttpAnswer(200, "OK", R"({"data":null})");
  });
  const absl::Status status = Add();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_TRUE(HasNew());
  EXPECT_FALSE(std::filesystem::exists(settings_.sent_file));
}

TEST_F(NodeApiTest, TheNextLifeOfTheDaemonWaitsForARequestOfThisOne) {
  settings_.change_limit = std::chrono::milliseconds(300);
  Listen([this](const SeenRequest&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    WriteEntries(std::string(kOldEntry) + kNewEntry);
    return HttpAnswer(200, "OK", R"({"data":null})");
  });
  Start();
  EXPECT_FALSE(Add().ok());
  Start();
  EXPECT_TRUE(HasNew());
  EXPECT_FALSE(std::filesystem::exists(settings_.sent_file));
}

TEST_F(NodeApiTest, ARequestIsNotedBeforeItIsSentAndForgottenAfterItsAnswer) {
  std::string noted;
  uint16_t port = 0;
  ListenAndStart([&](const SeenRequest& request) {
    port = request.client_port;
    std::ifstream file(settings_.sent_file);
    std::getline(file, noted);
    return HttpAnswer(200, "OK", R"({"data":null})");
  });
  EXPECT_TRUE(Add().ok());
  EXPECT_EQ(noted + "\n", ToText(SentRequest{ReadBootId(), port}));
  EXPECT_FALSE(std::filesystem::exists(settings_.sent_file));
}

TEST_F(NodeApiTest, WhereNothingCanBeNotedNothingIsSent) {
  settings_.sent_file = root_ + "/gone/api-request";
  ListenAndStart([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":null})"); });
  EXPECT_FALSE(Add().ok());
  EXPECT_THAT(server_->seen(), IsEmpty());
  EXPECT_THAT(runner_.commands, IsEmpty());
}

TEST_F(NodeApiTest, ARequestThatNeverEndsIsNamedAndNothingIsReadMeanwhile) {
  settings_.change_limit = std::chrono::milliseconds(200);
  settings_.settle_limit = std::chrono::milliseconds(200);
  std::atomic<bool> end = false;
  ListenAndStart([&](const SeenRequest&) {
    while (!end) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return std::string();
  });
  EXPECT_FALSE(Add().ok());
  for (const absl::Status& status : {host_->ReadStorages().status(), host_->Observe({}).status(), Add()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(Message(status), HasSubstr("still works on a request"));
  }
  EXPECT_EQ(server_->seen().size(), 1u);
  end = true;
  // Closing takes a moment.
  settings_.settle_limit = std::chrono::seconds(20);
  Start();
  EXPECT_FALSE(HasNew());
}

TEST_F(NodeApiTest, ANoteOfAnEarlierBootIsDroppedAndADamagedOneIsNamed) {
  Listen([](const SeenRequest&) { return HttpAnswer(200, "OK", R"({"data":null})"); });
  std::ofstream(settings_.sent_file) << ToText(SentRequest{"another-boot", server_->port()});
  Start();
  EXPECT_FALSE(std::filesystem::exists(settings_.sent_file));
  std::ofstream(settings_.sent_file) << "?";
  const auto api = CurlNodeApi::Open(machine_, settings_);
  EXPECT_EQ(api.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(api.status()), HasSubstr(settings_.sent_file));
}

}  // namespace
}  // namespace phoenix::proxmox
