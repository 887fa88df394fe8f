// Findings in a form that tests can list: "rule@path".
#pragma once

#include <string>
#include <vector>

#include "orchestrator/config/finding.h"

namespace phoenix::config {

inline std::vector<std::string> Labels(const std::vector<Finding>& findings) {
  std::vector<std::string> labels;
  labels.reserve(findings.size());
  for (const Finding& finding : findings) labels.push_back(finding.rule + "@" + finding.where.path);
  return labels;
}

// The lints of one rule, by path: tests of one lint do not break when another one is added.
inline std::vector<std::string> PathsOf(const std::vector<Finding>& findings, const std::string& rule) {
  std::vector<std::string> paths;
  for (const Finding& finding : findings) {
    if (finding.rule == rule) paths.push_back(finding.where.path);
  }
  return paths;
}

}  // namespace phoenix::config
