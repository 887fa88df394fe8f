// From the text of a configuration file, in any of the dialects in use, to a Config.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "orchestrator/config/config.h"
#include "orchestrator/config/finding.h"

namespace phoenix::config {

struct LoadResult {
  // Complete if there are no errors. Otherwise what could be read: good for showing, never for planning.
  Config config;
  // Everything that is wrong, and everything that is doubtful, in the order of the file.
  Findings findings;

  bool ok() const { return findings.errors.empty(); }
  // OK, or INVALID_ARGUMENT with every error on its own line.
  absl::Status ToStatus() const;
};

// Never stops at the first error. Reads nothing but `json_text`.
LoadResult Load(std::string_view json_text);

}  // namespace phoenix::config
