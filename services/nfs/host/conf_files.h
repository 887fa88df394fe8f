// Files of configuration as nfs-utils' tools find and read them.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "base/host/files.h"
#include "services/nfs/domain/nfs_state.h"

namespace phoenix::nfs {

// The file; nullopt also where a folder has that name, which the tools pass over.
absl::StatusOr<std::optional<FileState>> ReadPlainFile(const Files& files, const std::string& path);

// The names in the order in which the tools read the files of a folder: 9.conf before 10.conf.
std::vector<std::string> InReadingOrder(std::vector<std::string> names);

// Reads nfs.conf, and everything that counts with it, and puts what it says of the server into `state`.
absl::Status ReadServerSettings(const Files& files, NfsState& state);

}  // namespace phoenix::nfs
