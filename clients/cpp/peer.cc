#include "clients/cpp/peer.h"

#include <string_view>

#include "base/status/errors.h"
#include "services/kit/rpc/conventions.h"

namespace phoenix::client {
namespace {

constexpr char kUnix[] = "unix:";

// What gRPC says about a connection that was never made, what it means, and what to look at ("{}": the node).
struct Cause {
  std::string_view said;
  std::string_view meaning;
  std::string_view advice;
};

constexpr std::string_view kFleetFile = "check the address in the fleet file";
constexpr std::string_view kEnded = "Socket closed";
constexpr Cause kCauses[] = {
    {"No such file or directory", "there is no such socket", ""},
    {"Connection refused", "nothing listens there", ""},
    {"Permission denied", "this user may not open the socket", "only root and the user phoenix may"},
    {"is not in peer certificate", "the certificate there is for another name",
     "`phoenix pki issue {} ADDRESS` makes the right one"},
    {"certificate verify failed", "the certificate there has expired or is not of our CA",
     "`phoenix pki issue {} ADDRESS` makes a new one"},
    {kEnded, "it ended the connection, as it does when it does not accept our certificate",
     "ours must be unexpired, of its CA, and made with `phoenix pki issue --client`"},
    {"DNS resolution failed", "the name cannot be resolved", kFleetFile},
    {"timed out", "nothing answers there", "check that the machine is up and its firewall lets us through"},
    {"No route to host", "there is no way to that address", kFleetFile},
    {"Network is unreachable", "there is no way to that address", kFleetFile},
};

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string DaemonOf(const Peer& peer) { return fmt::format("phoenix-{}d", peer.service); }

std::string RunningAdvice(const Peer& peer) {
  return fmt::format("{}`systemctl status {}` says whether it runs{}",
                     peer.node.empty() ? "" : fmt::format("on {}, ", peer.node), DaemonOf(peer),
                     IsUnix(peer.target) ? "" : "; it serves TCP only with --listen (/etc/default/phoenix)");
}

}  // namespace

bool IsUnix(const std::string& target) { return target.rfind(kUnix, 0) == 0; }

std::string TargetOf(const std::string& address, const std::string& participant) {
  if (IsUnix(address)) return kUnix + kit::SocketOf(address.substr(sizeof kUnix - 1), participant);
  const auto colon = address.rfind(':');
  const bool has_port = colon != std::string::npos && address.find(']', colon) == std::string::npos &&
                        (address.find(':') == colon || address[0] == '[');
  if (!has_port) return fmt::format("{}:{}", address, kit::PortOf(participant));
  const int first = std::stoi(address.substr(colon + 1));
  return fmt::format("{}:{}", address.substr(0, colon),
                     first + kit::PortOf(participant) - kit::PortOf("zfs"));
}

absl::Status Explain(const Peer& peer, const absl::Status& status) {
  const bool late = status.code() == absl::StatusCode::kDeadlineExceeded;
  if ((!late && status.code() != absl::StatusCode::kUnavailable) || ReasonOf(status)) return status;
  const std::string said = Message(status);
  std::string cause = said, advice = RunningAdvice(peer);
  const std::string verb =
      late || Contains(said, "failed to connect") || Contains(said, "DNS resolution failed")
          ? "does not answer at"
          : "broke off the call at";
  if (late) {
    cause = "nothing came in the time given";
    advice += ", and check that the machine is up and its firewall lets us through";
  } else if (verb == "does not answer at") {
    for (const Cause& known : kCauses) {
      if (!Contains(said, known.said)) continue;
      if (known.said == kEnded && IsUnix(peer.target)) {
        cause = "it ended the connection";  // there are no certificates on a socket
        break;
      }
      cause = known.meaning;
      if (!known.advice.empty()) {
        advice = fmt::format(fmt::runtime(known.advice), peer.node.empty() ? "NAME" : peer.node);
      }
      break;
    }
  }
  const std::string who = peer.service == "orchestrator" ? "orchestrator" : peer.service + " service";
  const absl::Status explained(
      status.code(), fmt::format("the {}{} {} {}: {}; {}", who,
                                 peer.node.empty() ? "" : fmt::format(" of node {}", peer.node), verb,
                                 peer.target, cause, advice));
  return WithReason(
      explained, {"UNREACHABLE", {{"node", peer.node}, {"service", peer.service}, {"target", peer.target}}});
}

}  // namespace phoenix::client
