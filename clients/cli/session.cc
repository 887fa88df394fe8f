#include "clients/cli/session.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "clients/cpp/peer.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/server.h"
#include "services/kit/rpc/status.h"

namespace phoenix::cli {

namespace {

std::string TargetOf(const Session& session) {
  return session.server.empty() ? "unix:" + kit::SocketOf(session.runtime_directory, "orchestrator")
                                : session.server;
}

}  // namespace

absl::Status Session::StatusOf(const grpc::Status& status) const {
  return client::Explain({"", "orchestrator", TargetOf(*this)}, kit::FromGrpc(status));
}

absl::StatusOr<std::unique_ptr<pb::OrchestratorService::Stub>> Session::Connect() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 * 1024 * 1024);
  const std::string target = TargetOf(*this);
  if (target.rfind("unix:", 0) == 0) {
    return pb::OrchestratorService::NewStub(
        grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
  }
  PHX_ASSIGN_OR_RETURN(const auto credentials,
                       kit::ClientTls({.ca = tls_ca, .certificate = tls_certificate, .key = tls_key}));
  if (!tls_name.empty()) arguments.SetSslTargetNameOverride(tls_name);
  return pb::OrchestratorService::NewStub(grpc::CreateCustomChannel(target, credentials, arguments));
}

int Fail(const Session& session, const absl::Status& status) {
  const auto violations = ViolationsOf(status);
  if (session.output == Output::kJson) {
    nlohmann::json error = {{"code", std::string(absl::StatusCodeToString(status.code()))},
                            {"message", Message(status)}};
    if (const auto reason = ReasonOf(status)) error["reason"] = reason->reason;
    for (const auto& violation : violations) {
      error["violations"].push_back({{"field", violation.field}, {"description", violation.description}});
    }
    fmt::print("{}\n", nlohmann::json{{"error", error}}.dump(2));
    return kError;
  }
  fmt::print(stderr, "phoenix: {}\n", Message(status));
  for (const auto& violation : violations) {
    // Most texts name their violations already, those of a node without the "node/participant: " before them.
    const std::string& told = violation.description;
    const auto who = told.find(": ");
    const auto named = [&](std::string_view part) { return Message(status).find(part) != std::string::npos; };
    if (named(told) || (who != std::string::npos && named(std::string_view(told).substr(who + 2)))) continue;
    fmt::print(stderr, "  {}: {}\n", violation.field, violation.description);
  }
  return kError;
}

}  // namespace phoenix::cli
