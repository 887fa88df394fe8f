// What a lab test is told by whoever starts it, through its environment:
//
//   PHOENIX_LAUNCH            path of phoenix-launch; where it is installed, unless said
//   PHOENIX_CONTRACT_DISKS    disks that may be overwritten, by-id, with commas between
//   PHOENIX_CONTRACT_DATASET  a mounted dataset, below its default mount point, that may be changed
//   PHOENIX_CONTRACT_TOKEN    file with a token for the node's own API, which then makes all changes
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace phoenix::testing {

inline std::string LabSetting(const char* name, const char* otherwise = "") {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

inline std::string Launcher() { return LabSetting("PHOENIX_LAUNCH", "/usr/libexec/phoenix/phoenix-launch"); }

}  // namespace phoenix::testing
