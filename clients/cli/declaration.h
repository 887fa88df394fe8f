// The files that plan and setup take, read and checked.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "phoenix/orchestrator/v1/orchestrator.pb.h"

namespace phoenix::cli {

struct DeclarationFiles {
  std::string config;
  std::string secrets;
  std::string fleet;
  std::string lxc;
};

absl::StatusOr<std::string> ReadText(const std::string& path);

// The secrets file must have mode 0600. On this machine its path is sent, so that a run survives a restart of
// the orchestrator; to a remote orchestrator (`remote`) the values are sent and kept in memory only.
absl::StatusOr<orchestrator::v1::Declaration> ReadDeclaration(const DeclarationFiles& files, bool remote);

}  // namespace phoenix::cli
