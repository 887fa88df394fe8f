// What every command needs: the orchestrator's channel, the output form, and how errors become exit codes.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "phoenix/orchestrator/v1/orchestrator.grpc.pb.h"

namespace phoenix::cli {

namespace pb = ::phoenix::orchestrator::v1;

// 0 done or nothing to do, 1 error, 2 plan has steps (plan --detailed-exitcode), 3 rolled back, 4 quarantined
// or in doubt.
enum ExitCode { kDone = 0, kError = 1, kHasSteps = 2, kRolledBack = 3, kUnresolved = 4 };

enum class Output { kText, kJson };

struct Session {
  // "unix:PATH", or HOST:PORT with mutual TLS.
  std::string server;
  std::string runtime_directory;
  std::string tls_ca, tls_certificate, tls_key, tls_name;
  Output output = Output::kText;
  bool color = false;
  bool terminal = false;
  int columns = 80;

  absl::StatusOr<std::unique_ptr<pb::OrchestratorService::Stub>> Connect() const;
  // What the orchestrator answered; where it does not answer, who and where that is.
  absl::Status StatusOf(const grpc::Status& status) const;
};

// Shows the error on standard error, with its field violations and what to do; answers kError.
int Fail(const Session& session, const absl::Status& status);

}  // namespace phoenix::cli
