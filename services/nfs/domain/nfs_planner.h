// From what is wanted, what is there and what is ours to the steps. Pure: the same input gives the same plan.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/nfs/domain/export_entry.h"
#include "services/nfs/domain/nfs_spec.h"
#include "services/nfs/domain/nfs_state.h"

namespace phoenix::nfs {

// What the ledger says, by path: true where we created the export, false where we took it over.
using OwnedPaths = std::map<std::string, bool>;

// Brings the entry of one path in our file to `after`, and the server's table with it.
struct SetExport {
  std::string path;
  std::optional<ExportEntry> before;
  std::optional<ExportEntry> after;
  // What the ledger is to say: we made it, so we may remove it.
  bool created = false;
  // The path is there now, and mounted where that is asked for.
  bool path_there = false;
  friend bool operator==(const SetExport&, const SetExport&) = default;
};

struct PlanNote {
  bool warning = false;
  std::string path;
  std::string text;
  friend bool operator==(const PlanNote&, const PlanNote&) = default;
};

struct NfsPlan {
  // Our empty file has to be made first, and where `make_directory` says so its directory.
  bool make_file = false;
  bool make_directory = false;
  // Paths of our file that the server exports otherwise than the file says, or not at all: one `exportfs -r`
  // before anything else. What is no longer declared is among them when other exports change, since that runs
  // exportfs too.
  std::vector<std::string> put_live;
  std::vector<SetExport> exports;  // by path
  std::vector<PlanNote> notes;
  // Clients that need the server's ports: addresses and networks of the wanted exports, sorted, each once;
  // 0.0.0.0/0 for everyone.
  std::vector<std::string> clients;
  bool everyone = false;  // is among them, over IPv6, too
  // Their other clients, which no rule of a firewall can name: host names, netgroups, patterns. Sorted, each
  // once.
  std::vector<std::string> named_clients;
};

// The mount point to be named in the options of a wanted export: nullopt for none, "" for the path itself.
// The innermost of what is declared and what our entry names already (a file system that is not mounted now
// must not lose its guard), or, where it names none, the ZFS file system that holds the path. A path that is
// not there yet and for which nothing is declared will be a mount point of its own, since only file systems
// bring paths.
std::optional<std::string> MountPointFor(const ExportSpec& wanted, const NfsState& state);

// The entry of our file for a wanted export: clients in canonical form and sorted, the options as declared,
// with `mountpoint` (a file system that is not mounted is then not exported, instead of the directory below
// it) and no_subtree_check (the default, which exportfs wants said) where nothing else is declared.
ExportEntry EntryOf(const ExportSpec& wanted, const std::optional<std::string>& mount_point);

// Where the spec asks for it, adds exports of ours that it does not name any more, as absent ones.
void AddOrphans(NfsSpec& spec, const NfsState& state, const OwnedPaths& owned);

// INVALID_ARGUMENT with every problem of the spec; FAILED_PRECONDITION with every problem of the state: paths
// that other files export, our file edited by others, exports made by hand that `exportfs -r` would cut.
// `server_runs`: where it does not, its start reads the files, and no step has to put live what they say
// already.
absl::StatusOr<NfsPlan> PlanExports(const NfsSpec& spec, const NfsState& state, const OwnedPaths& owned,
                                    bool server_runs = true);

}  // namespace phoenix::nfs
