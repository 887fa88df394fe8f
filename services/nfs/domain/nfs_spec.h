// What a run, or a typed change, wants of this node's NFS server. Pure.
#pragma once

#include <string>
#include <vector>

namespace phoenix::nfs {

enum class Presence { kPresent, kAbsent };

struct ClientSpec {
  std::string client;
  std::vector<std::string> options;
  friend bool operator==(const ClientSpec&, const ClientSpec&) = default;
};

struct ExportSpec {
  std::string path;
  std::vector<ClientSpec> clients;
  Presence presence = Presence::kPresent;
  // The place in the configuration, for errors.
  std::string origin;
  // The mount point that must be mounted for the path to be exported; empty: see MountPointFor().
  std::string mount_point;
  friend bool operator==(const ExportSpec&, const ExportSpec&) = default;
};

struct NfsSpec {
  std::vector<ExportSpec> exports;
  // What is not named is not reported as orphaned.
  bool partial = false;
  // What was created and is not named any more goes.
  bool prune_exports = false, prune_rules = false;
  friend bool operator==(const NfsSpec&, const NfsSpec&) = default;
};

}  // namespace phoenix::nfs
