// The steps of loading, in the order in which they must run: each reads its part of the document, adds to the
// Config what is usable and to the cursor's findings what is not.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// `network`, `behavior` and passwords anywhere in the document.
void ReadSite(const Cursor& root, Config& config);
// `zfs` but for what concerns Proxmox.
void ReadZfs(const Cursor& root, Config& config);
// `nfs`.
void ReadNfs(const Cursor& root, Config& config);
// `samba` and `network.workgroup`.
void ReadSamba(const Cursor& root, Config& config);
// What the datasets, `zfs.dataset_storage_types` and `proxmox_storage_ids` say about storage.cfg.
void ReadProxmox(const Cursor& root, Config& config);
// `shared_volumes`.
void ReadSharedVolumes(const Cursor& root, Config& config);
// `vm_features`; the datasets, exports, shares and storages must be known.
void ReadVmFeatures(const Cursor& root, Config& config);
// Gives every dataset that a Samba share names, and whose ownership the file leaves open, to root and the
// share's users.
void DefaultOwnership(Config& config);
// The error, and false, where the document is a fleet, secrets or VM file.
bool IsConfiguration(const Cursor& root);
// Quotas and reservations below a dataset that do not fit into its own quota.
void LintSpace(const Config& config, Findings& findings);
// What is legal but doubtful once everything is known.
void LintTogether(const Cursor& root, const Config& config);

// An absolute path as exports, shares and volumes give it. Without a leading slash it names a dataset and
// what lies below it ("quickOS/shared-prod-data" is that dataset's mount point), or else a path from the
// root. An error, and nothing, if it is no clean path; absent is an error too.
std::optional<std::string> ReadPath(const Cursor& path, const Config& config);
// True where the element is wanted gone: "present" (also where nothing is said) or "absent". The error, and
// nothing, for anything else.
std::optional<bool> ReadAbsent(const Cursor& element, std::string_view key = "state");
// Errors for what is wanted although it stands on something that is wanted gone.
void CheckAbsent(const Config& config, Findings& findings);

}  // namespace phoenix::config
