#include "clients/cpp/peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"

namespace phoenix::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const Peer kSocket{"hv2", "nfs", "unix:/run/phoenix/nfs.sock"};
const Peer kHost{"hv2", "nfs", "10.0.0.12:7442"};

TEST(TargetOf, TheOtherServicesFollowTheZfsServicesPort) {
  EXPECT_EQ(TargetOf("unix:/run/phoenix", "nfs"), "unix:/run/phoenix/nfs.sock");
  EXPECT_EQ(TargetOf("10.0.0.11", "zfs"), "10.0.0.11:7441");
  EXPECT_EQ(TargetOf("hv1", "proxmox"), "hv1:7444");
  EXPECT_EQ(TargetOf("hv1:9000", "samba"), "hv1:9002");
  EXPECT_EQ(TargetOf("[fd00::1]", "nfs"), "[fd00::1]:7442");
  EXPECT_EQ(TargetOf("[fd00::1]:9000", "nfs"), "[fd00::1]:9001");
  EXPECT_TRUE(IsUnix(TargetOf("unix:/run/phoenix", "nfs")));
  EXPECT_FALSE(IsUnix(TargetOf("hv1", "nfs")));
}

// Texts as gRPC 1.51 was seen to write them.
TEST(Explain, EveryKnownCauseNamesNodeAddressAndWhatToCheck) {
  struct Case {
    const Peer* peer;
    const char* said;
    const char* cause;
    const char* advice;
  };
  for (const Case& known : {
           Case{&kSocket,
                "failed to connect to all addresses; last error: UNKNOWN: unix:/run/phoenix/nfs.sock: "
                "Connection refused",
                "nothing listens there", "on hv2, `systemctl status phoenix-nfsd` says whether it runs"},
           Case{
               &kSocket,
               "failed to connect to all addresses; last error: UNKNOWN: unix:/run/phoenix/nfs.sock: No such "
               "file or directory",
               "there is no such socket", "systemctl status phoenix-nfsd"},
           Case{&kHost,
                "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.12:7442: Failed to "
                "connect "
                "to remote host: Connection refused",
                "nothing listens there", "it serves TCP only with --listen"},
           Case{&kHost,
                "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.12:7442: Peer name hv2 "
                "is "
                "not in peer certificate",
                "certificate there is for another name", "phoenix pki issue hv2 ADDRESS"},
           Case{&kHost,
                "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.12:7442: Ssl handshake "
                "failed: SSL_ERROR_SSL: error:0A000086:SSL routines::certificate verify failed",
                "expired or is not of our CA", "phoenix pki issue hv2 ADDRESS"},
           Case{&kHost,
                "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:10.0.0.12:7442: Socket "
                "closed",
                "does not accept our certificate", "phoenix pki issue --client"},
           Case{&kHost,
                "DNS resolution failed for hv2:7442: C-ares status is not ARES_SUCCESS qtype=A name=hv2 "
                "is_balancer=0: Domain name not found",
                "the name cannot be resolved", "fleet file"},
       }) {
    const absl::Status explained = Explain(*known.peer, absl::UnavailableError(known.said));
    EXPECT_EQ(explained.code(), absl::StatusCode::kUnavailable) << "whether to ask again does not change";
    EXPECT_THAT(Message(explained), AllOf(HasSubstr("the nfs service of node hv2 does not answer at " +
                                                    known.peer->target + ": "),
                                          HasSubstr(known.cause), HasSubstr(known.advice)))
        << known.said;
    EXPECT_THAT(Message(explained), Not(AnyOf(HasSubstr("all addresses"), HasSubstr("UNKNOWN"),
                                              HasSubstr("ARES_SUCCESS"), HasSubstr("SSL_ERROR"))));
    const auto reason = ReasonOf(explained);
    ASSERT_TRUE(reason.has_value());
    EXPECT_EQ(reason->reason, "UNREACHABLE");
    EXPECT_EQ(reason->metadata.at("node"), "hv2");
    EXPECT_EQ(reason->metadata.at("target"), known.peer->target);
  }
}

TEST(Explain, AnUnknownCauseIsShownAsItIs) {
  EXPECT_THAT(Message(Explain(kHost, absl::UnavailableError("failed to connect to all addresses; last error: "
                                                            "UNKNOWN: something new"))),
              HasSubstr("something new"));
}

TEST(Explain, ABrokenCallIsNotTakenForARefusedConnection) {
  const std::string text = Message(Explain(kHost, absl::UnavailableError("Socket closed")));
  EXPECT_THAT(text, HasSubstr("broke off the call at 10.0.0.12:7442: Socket closed"));
  EXPECT_THAT(text, Not(HasSubstr("certificate")));
}

// A service that is ended while a connection begins, on this machine: nothing is wrong with a certificate.
TEST(Explain, ASocketThatWasClosedHasNothingToDoWithCertificates) {
  const std::string text =
      Message(Explain({"hv1", "zfs", "unix:/run/phoenix/zfs.sock"},
                      absl::UnavailableError("failed to connect to all addresses; last error: UNAVAILABLE: "
                                             "unix:/run/phoenix/zfs.sock: Socket closed")));
  EXPECT_THAT(text, AllOf(HasSubstr("it ended the connection;"), HasSubstr("systemctl status phoenix-zfsd"),
                          Not(HasSubstr("certificate"))));
}

TEST(Explain, ALateAnswerNamesWhoWasAsked) {
  const absl::Status explained = Explain(kHost, absl::DeadlineExceededError("Deadline Exceeded"));
  EXPECT_EQ(explained.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(Message(explained),
              AllOf(HasSubstr("node hv2 does not answer at 10.0.0.12:7442"), HasSubstr("firewall")));
}

TEST(Explain, OnThisMachineNoNodeIsNamed) {
  const absl::Status explained =
      Explain({"", "orchestrator", "unix:/run/phoenix/orchestrator.sock"},
              absl::UnavailableError("failed to connect to all addresses; last error: UNKNOWN: "
                                     "unix:/run/phoenix/orchestrator.sock: No such file or directory"));
  EXPECT_EQ(
      Message(explained),
      "the orchestrator does not answer at unix:/run/phoenix/orchestrator.sock: there is no such socket; "
      "`systemctl status phoenix-orchestratord` says whether it runs");
}

TEST(Explain, WhatTheServiceItselfSaidStaysAsItIs) {
  const absl::Status own = WithReason(
      Unavailable("the daemon is stopping; the undo goes on at its next start"), {"UNAVAILABLE", {}});
  EXPECT_EQ(Explain(kHost, own), own);
  const absl::Status refused = FailedPrecondition("run r holds the lock");
  EXPECT_EQ(Explain(kHost, refused), refused);
  EXPECT_TRUE(Explain(kHost, absl::OkStatus()).ok());
}

}  // namespace
}  // namespace phoenix::client
