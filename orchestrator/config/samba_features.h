// What a share says of features that take several parameters of smb.conf(5): previous versions and access
// control lists.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"
#include "orchestrator/config/samba_options.h"

namespace phoenix::config {

// How snapshots are named where `previous_versions` is true: as Samba's own default, but for its "@", which
// no snapshot's name can hold.
inline constexpr char kSnapshotFormat[] = "GMT-%Y.%m.%d-%H.%M.%S";

// `previous_versions` and `acl`. Errors where one of the share's `options` says otherwise.
void ReadShareFeatures(const Cursor& share, const std::vector<SambaOption>& options, SambaShare& out);

// Sets `value` to one of `words`, the error for any other one; absent and empty leave it as it is.
void ReadWord(const Cursor& cursor, std::string_view problem, const std::vector<std::string>& words,
              std::string& value);

// Why no snapshot's name and its time can be told from each other by this, or "".
std::string SnapshotFormatProblem(std::string_view format);

// Shares whose dataset does not keep what they promise: ACLs, or snapshots of everything below them.
void LintShareFeatures(const Config& config, Findings& findings);

}  // namespace phoenix::config
