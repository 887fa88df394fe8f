// What is sent to the node's API and what its answers mean; answers as PVE 8.4's pvedaemon gives them.
#include "services/proxmox/host/api_request.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/proxmox/host/api_connection.h"
#include "services/proxmox/host/api_token.h"

namespace phoenix::proxmox {
namespace {

using ::testing::HasSubstr;

TEST(ApiRequest, AddIsAPostOfAllFields) {
  const ApiRequest request = AddRequest({"vm",
                                         "zfspool",
                                         Words{"images", "rootdir"},
                                         {"pve1"},
                                         {{"pool", "quickOS/vm-disks"}, {"sparse", "1"}},
                                         true});
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/storage");
  EXPECT_EQ(request.body.Reveal(),
            "storage=vm&type=zfspool&pool=quickOS%2Fvm-disks&sparse=1&content=images%2Crootdir&nodes=pve1&"
            "disable=1");
}

TEST(ApiRequest, APasswordIsInTheBodyOnly) {
  const NewStorage storage{
      "c1", "cifs", Words{"iso"}, {"pve1"}, {{"username", "u"}}, false, Secret("p&=% \xc3\xa4+")};
  const ApiRequest request = AddRequest(storage);
  EXPECT_EQ(request.body.Reveal(),
            "storage=c1&type=cifs&username=u&content=iso&nodes=pve1&password=p%26%3D%25%20%C3%A4%2B");
  EXPECT_EQ(ToText(request), "POST /storage");
}

TEST(ApiRequest, SetIsAPutWithTheDigest) {
  const ApiRequest request =
      SetRequest({"vm", Words{"iso"}, Words{"pve1", "pve2"}, {{"options", "a b&c=d+e%"}}, {"shared"}, "abc"});
  EXPECT_EQ(request.method, "PUT");
  EXPECT_EQ(request.path, "/storage/vm");
  EXPECT_EQ(request.body.Reveal(),
            "options=a%20b%26c%3Dd%2Be%25&content=iso&nodes=pve1%2Cpve2&delete=shared&digest=abc");
}

TEST(ApiRequest, RemoveIsADeleteAndNoIdLeavesItsPlaceInThePath) {
  EXPECT_EQ(ToText(RemoveRequest("vm")), "DELETE /storage/vm");
  EXPECT_EQ(RemoveRequest("../access/users?x=1#y").path, "/storage/..%2Faccess%2Fusers%3Fx%3D1%23y");
}

absl::Status Answered(int code, const std::string& reason, const std::string& body) {
  return Explain(AddRequest({"tg", "zfspool", std::nullopt, {}, {}, false}), {code, reason, body});
}

absl::Status Died(const std::string& message) {
  return Answered(500, message, R"({"data":null,"message":")" + message + R"(\n"})");
}

TEST(ApiAnswer, DataIsASuccess) {
  EXPECT_TRUE(Answered(200, "OK", R"({"data":{"type":"zfspool","storage":"tg"}})").ok());
  EXPECT_TRUE(Answered(200, "OK", R"({"data":null})").ok());
}

TEST(ApiAnswer, SomethingElseThatListensIsNoSuccess) {
  for (const char* body : {"", "<html>", "[]", "{}", "null"}) {
    EXPECT_EQ(Answered(200, "OK", body).code(), absl::StatusCode::kInternal) << body;
  }
}

TEST(ApiAnswer, RefusedParametersAreViolations) {
  const absl::Status status =
      Answered(400, "Parameter verification failed.",
               R"({"errors":{"storage":"invalid format - storage ID '1abc' contains illegal characters\n",)"
               R"("content":"invalid format - invalid content type 'foo'\n"},)"
               R"("message":"Parameter verification failed.\n","data":null})");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const auto violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].field, "content");
  EXPECT_EQ(violations[0].description, "invalid format - invalid content type 'foo'");
  EXPECT_EQ(violations[1].field, "storage");
  EXPECT_THAT(Message(status), HasSubstr("storage: invalid format - storage ID '1abc'"));
  EXPECT_THAT(Message(status), HasSubstr("content: invalid format"));
  EXPECT_EQ(Answered(400, "bad request", "").code(), absl::StatusCode::kInvalidArgument);
}

// The codes and reasons that the worker decides by are those of pvesm's complaints.
TEST(ApiAnswer, ComplaintsMeanWhatPvesmsMean) {
  const absl::Status digest =
      Died("update storage failed: detected modified configuration - file changed by other user? Try again.");
  EXPECT_EQ(digest.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(digest)->reason, kStorageConfigChanged);
  const absl::Status quorum = Died("create storage failed: cfs-lock 'file-storage_cfg' error: no quorum!");
  EXPECT_EQ(quorum.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(quorum)->reason, kNoQuorum);
  const absl::Status locked =
      Died("create storage failed: cfs-lock 'file-storage_cfg' error: got lock request timeout");
  EXPECT_EQ(locked.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(locked)->reason, kStorageLocked);
  EXPECT_EQ(Died("create storage failed: storage ID 'tg' already defined").code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Died("update storage failed: storage 'tg' does not exist").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Died("delete storage failed: storage 'tg' does not exist").code(), absl::StatusCode::kNotFound);
  const absl::Status other = Died("missing value for required option 'pool'");
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(other), HasSubstr("missing value for required option 'pool'"));
}

TEST(ApiAnswer, TheStatusLineCountsWhereThereIsNoMessage) {
  EXPECT_EQ(
      Answered(500, "create storage failed: storage ID 'tg' already defined", R"({"data":null})").code(),
      absl::StatusCode::kAlreadyExists);
}

TEST(ApiAnswer, ATokenThatIsNotAcceptedIsSaidWithWhatToDo) {
  const absl::Status unknown = Answered(401, "no such token 'phoenix' for user 'root@pam'", "");
  EXPECT_EQ(unknown.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(unknown)->reason, kNodeApiToken);
  EXPECT_THAT(Message(unknown), HasSubstr("no such token 'phoenix'"));
  EXPECT_THAT(Message(unknown), HasSubstr("pveum user token add root@pam phoenix --privsep 0"));
  const absl::Status weak =
      Answered(403, "Permission check failed (/storage, Datastore.Allocate)", R"({"data":null})");
  EXPECT_EQ(ReasonOf(weak)->reason, kNodeApiToken);
  EXPECT_THAT(Message(weak), HasSubstr("--privsep 0"));
}

// Without /etc/pve no token is known: making another one would not help.
TEST(ApiAnswer, AnUnknownTokenIsNotBlamedWhereThePmxcfsIsDown) {
  const absl::Status status = Answered(401, "Unable to load access control list: Connection refused", "");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status)->reason, kPmxcfsDown);
}

TEST(ApiAnswer, ARedirectIsNoAnswer) {
  EXPECT_THAT(Message(Answered(301, "Moved Permanently", "")), HasSubstr("redirect"));
}

TEST(ApiAnswer, WhatIsSaidIsOneBoundedLine) {
  const absl::Status status =
      Answered(500, "x", R"({"message":"one\ntwo\u001b[31m)" + std::string(5000, 'y') + R"("})");
  EXPECT_THAT(Message(status), HasSubstr("one; two[31m"));
  EXPECT_LT(status.message().size(), 700u);
}

// An address as this machine's kernel prints it.
std::string Row(uint16_t local, uint16_t remote, const char* state) {
  const auto address = static_cast<uint32_t>(htonl(INADDR_LOOPBACK));
  return fmt::format("   7: {:08X}:{:04X} {:08X}:{:04X} {} 00000000:00000000 00:00000000\n", address, local,
                     address, remote, state);
}

TEST(ApiConnection, AServerThatHasNotClosedItsEndIsStillAtWork) {
  const std::string head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n";
  EXPECT_FALSE(IsServed("", 85, 40000));
  EXPECT_FALSE(IsServed(head + Row(85, 0, "0A"), 85, 40000));
  EXPECT_TRUE(IsServed(head + Row(85, 40000, "08"), 85, 40000));  // CLOSE_WAIT: its client died
  EXPECT_TRUE(IsServed(head + Row(85, 40000, "01"), 85, 40000));
  EXPECT_TRUE(IsServed(head + Row(40000, 85, "04"), 85, 40000));  // not delivered yet
  for (const char* over : {"04", "05", "06", "07", "09", "0B"})
    EXPECT_FALSE(IsServed(head + Row(85, 40000, over), 85, 40000)) << over;
  EXPECT_FALSE(IsServed(head + Row(40000, 85, "05"), 85, 40000));
  EXPECT_FALSE(IsServed(head + Row(85, 40001, "08") + Row(86, 40000, "08"), 85, 40000));
}

TEST(ApiConnection, ANotedRequestIsReadBackOrRefused) {
  const auto sent = ParseSentRequest(ToText(SentRequest{"boot", 40000}));
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->boot_id, "boot");
  EXPECT_EQ(sent->client_port, 40000);
  for (const char* text :
       {"", "boot", "boot \n", "boot x\n", "boot 0\n", "boot 70000\n", "boot 40000", " 4\n"})
    EXPECT_FALSE(ParseSentRequest(text)) << text;
}

}  // namespace
}  // namespace phoenix::proxmox
