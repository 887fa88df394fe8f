#include "orchestrator/fleet/channels.h"

#include <grpcpp/grpcpp.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/rpc/server.h"

namespace phoenix::fleet {
namespace {

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

}  // namespace

absl::StatusOr<std::shared_ptr<client::ParticipantClient>> GrpcChannels::Get(const run::NodeAddress& node,
                                                                             const std::string& participant) {
  const std::string key = fmt::format("{} {} {}", node.name, node.address, participant);
  absl::MutexLock lock(&mutex_);
  auto& client = clients_[key];
  if (client) return client;
  grpc::ChannelArguments arguments = Arguments();
  const std::string target = client::TargetOf(node.address, participant);
  if (client::IsUnix(target)) {
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
  client = client::MakeParticipantClient(grpc::CreateCustomChannel(target, *credentials, arguments),
                                         {node.name, participant, target});
  return client;
}

}  // namespace phoenix::fleet
