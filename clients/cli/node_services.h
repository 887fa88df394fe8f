// A node's services, reached directly with the caller's own credentials: what a person decides there goes to
// the node itself. The orchestrator only says where it is.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "clients/cli/session.h"
#include "clients/cpp/peer.h"

namespace phoenix::cli {

// "hv1" of "nodes/hv1".
std::string NameOf(const pb::Node& node);
// A node of the fleet file, or of the orchestrator's own fleet where `fleet` is empty. An error where this
// machine cannot reach it.
absl::StatusOr<pb::Node> FindNode(const Session& session, const std::string& name, const std::string& fleet);
// All nodes of the fleet file.
absl::StatusOr<std::vector<pb::Node>> FindNodes(const Session& session, const std::string& fleet);

struct Reached {
  client::Peer peer;
  std::shared_ptr<grpc::Channel> channel;
};
absl::StatusOr<Reached> Reach(const Session& session, const pb::Node& node, const std::string& service);
// The service of this very machine, which needs no orchestrator.
Reached ReachHere(const Session& session, const std::string& service);

}  // namespace phoenix::cli
