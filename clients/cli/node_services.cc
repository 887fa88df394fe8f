#include "clients/cli/node_services.h"

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "clients/cli/declaration.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/server.h"
#include "services/kit/rpc/status.h"

namespace phoenix::cli {
namespace {

absl::Status CheckReachable(const Session& session, const pb::Node& node) {
  if (session.server.empty() || !client::IsUnix(node.address())) return absl::OkStatus();
  return FailedPrecondition(
      "node {} is reached over unix sockets of the orchestrator's machine: run this there, without --server",
      NameOf(node));
}

}  // namespace

std::string NameOf(const pb::Node& node) { return node.name().substr(sizeof "nodes/" - 1); }

absl::StatusOr<pb::Node> FindNode(const Session& session, const std::string& name, const std::string& fleet) {
  pb::GetNodeRequest request;
  request.set_name(name.rfind("nodes/", 0) == 0 ? name : "nodes/" + name);
  if (!fleet.empty()) {
    PHX_ASSIGN_OR_RETURN(*request.mutable_fleet(), ReadText(fleet));
  }
  PHX_ASSIGN_OR_RETURN(const auto stub, session.Connect());
  grpc::ClientContext context;
  pb::Node node;
  const grpc::Status status = stub->GetNode(&context, request, &node);
  if (!status.ok()) return session.StatusOf(status);
  PHX_RETURN_IF_ERROR(CheckReachable(session, node));
  return node;
}

absl::StatusOr<std::vector<pb::Node>> FindNodes(const Session& session, const std::string& fleet) {
  pb::ListNodesRequest request;
  PHX_ASSIGN_OR_RETURN(*request.mutable_fleet(), ReadText(fleet));
  PHX_ASSIGN_OR_RETURN(const auto stub, session.Connect());
  std::vector<pb::Node> nodes;
  do {
    grpc::ClientContext context;
    pb::ListNodesResponse response;
    const grpc::Status status = stub->ListNodes(&context, request, &response);
    if (!status.ok()) return session.StatusOf(status);
    for (const auto& node : response.nodes()) {
      PHX_RETURN_IF_ERROR(CheckReachable(session, node));
      nodes.push_back(node);
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return nodes;
}

absl::StatusOr<Reached> Reach(const Session& session, const pb::Node& node, const std::string& service) {
  const std::string target = client::TargetOf(node.address(), service);
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  grpc::ChannelArguments arguments;
  if (!client::IsUnix(target)) {
    PHX_ASSIGN_OR_RETURN(credentials, kit::ClientTls({.ca = session.tls_ca,
                                                      .certificate = session.tls_certificate,
                                                      .key = session.tls_key}));
    arguments.SetSslTargetNameOverride(NameOf(node));
  }
  return Reached{{NameOf(node), service, target}, grpc::CreateCustomChannel(target, credentials, arguments)};
}

Reached ReachHere(const Session& session, const std::string& service) {
  const std::string target = "unix:" + kit::SocketOf(session.runtime_directory, service);
  return {{"", service, target}, grpc::CreateChannel(target, grpc::InsecureChannelCredentials())};
}

}  // namespace phoenix::cli
