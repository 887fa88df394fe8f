// From the text of a VM configuration file to what concerns storage in it: which features each VM gets, and
// the NFS volumes that it mounts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/config/config.h"
#include "orchestrator/config/finding.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// An export that a VM mounts itself.
struct VmVolume {
  std::string server;  // as in the file, or empty
  std::string path;    // absolute, normalised
  Origin origin;
};

struct Vm {
  std::uint32_t vmid = 0;
  std::string name;  // a host name
  std::string node;  // the node that serves it; empty: every node
  // Canonical, alone, without a prefix; empty only where there are no features or the VM is absent.
  std::string address;
  // "base_setup" first, then the others in the order of the file, each once; empty: nothing is delivered.
  std::vector<Text> features;
  std::vector<VmVolume> volumes;
  bool absent = false;  // what was delivered to it is wanted gone
  // The VM's own entry as JSON text, without anything that is named like a secret.
  std::string context;
  Origin origin;
};

struct VmResult {
  std::vector<Vm> vms;  // in the order of the file; those that get nothing and are not absent are left out
  Findings findings;

  bool ok() const { return findings.errors.empty(); }
  // OK, or INVALID_ARGUMENT with every error on its own line.
  absl::Status ToStatus() const;
};

// Never stops at the first error. What belongs to other tools is not looked at.
VmResult LoadVms(std::string_view json_text);

// Where a feature's script may lie in the folder of scripts, the usual name first.
std::vector<std::string> ScriptNamesOf(const std::string& feature);

}  // namespace phoenix::config
