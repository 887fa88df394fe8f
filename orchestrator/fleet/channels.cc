#include "orchestrator/fleet/channels.h"

#include <grpcpp/grpcpp.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/server.h"

namespace phoenix::fleet {
namespace {

constexpr char kUnix[] = "unix:";

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 * 1024 * 1024);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A node that vanished during a long Apply is noticed within a minute.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // gRPC must not repeat mutating calls by itself.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return arguments;
}

// "HOST" with the ports by convention, or "HOST:PORT" where PORT is the zfs service's and the others follow
// it.
std::string TargetOf(const std::string& address, const std::string& participant) {
  const auto colon = address.rfind(':');
  const bool has_port = colon != std::string::npos && address.find(']', colon) == std::string::npos &&
                        (address.find(':') == colon || address[0] == '[');
  if (!has_port) return fmt::format("{}:{}", address, kit::PortOf(participant));
  const int first = std::stoi(address.substr(colon + 1));
  return fmt::format("{}:{}", address.substr(0, colon),
                     first + kit::PortOf(participant) - kit::PortOf("zfs"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<client::ParticipantClient>> GrpcChannels::Get(const run::NodeAddress& node,
                                                                             const std::string& participant) {
  const std::string key = fmt::format("{} {} {}", node.name, node.address, participant);
  absl::MutexLock lock(&mutex_);
  auto& client = clients_[key];
  if (client) return client;
  grpc::ChannelArguments arguments = Arguments();
  if (node.address.rfind(kUnix, 0) == 0) {
    const std::string target = kUnix + kit::SocketOf(node.address.substr(sizeof kUnix - 1), participant);
    client = client::MakeParticipantClient(
        grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments),
        {node.name, participant, target});
    return client;
  }
  auto credentials = kit::ClientTls({.ca = tls_.ca, .certificate = tls_.certificate, .key = tls_.key});
  if (!credentials.ok()) {
    clients_.erase(key);
    return Annotate(credentials.status(), fmt::format("node {} is reached over TLS", node.name));
  }
  arguments.SetSslTargetNameOverride(node.name);
  const std::string target = TargetOf(node.address, participant);
  client = client::MakeParticipantClient(grpc::CreateCustomChannel(target, *credentials, arguments),
                                         {node.name, participant, target});
  return client;
}

}  // namespace phoenix::fleet
