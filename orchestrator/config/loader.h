// From the text of a configuration file, in any of the dialects in use, to a Config.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
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

// What one node has otherwise than the file says.
struct Overrides {
  nlohmann::json patch;  // an object, merged as RFC 7386 says; null: nothing
  std::string name;      // whose it is, for places: "overrides of node pve2"
};

// The overrides that a fleet file has for a node; `text` is FleetNode::overrides.
Overrides OverridesOf(const std::string& node, const std::string& text);

// Never stops at the first error. Reads nothing but `json_text` and the overrides.
LoadResult Load(std::string_view json_text, const Overrides& overrides = {});

}  // namespace phoenix::config
