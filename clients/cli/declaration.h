// The files that plan and setup take, read and checked.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>

#include "phoenix/orchestrator/v1/orchestrator.pb.h"

namespace phoenix::cli {

struct DeclarationFiles {
  std::string config;
  std::string secrets;
  std::string fleet;
  std::string vms;
  std::string lxc;
};

absl::StatusOr<std::string> ReadText(const std::string& path);

// The files of the folder of scripts that the VMs' features may need, as far as they are there, by name. The
// folder's name is taken from the configuration `config_text`, which stands in the file `config_path`. What
// is wrong with either text is left to those who check it.
absl::StatusOr<std::map<std::string, std::string>> ReadFeatureScripts(const std::string& config_path,
                                                                      const std::string& config_text,
                                                                      const std::string& vms_text);

// The secrets file must have mode 0600. On this machine its path is sent, so that a run survives a restart of
// the orchestrator; to a remote orchestrator (`remote`) the values are sent and kept in memory only.
absl::StatusOr<orchestrator::v1::Declaration> ReadDeclaration(const DeclarationFiles& files, bool remote);

}  // namespace phoenix::cli
