// The access control list of a dataset's root directory.
#pragma once

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// `acl` of a dataset, after the mode of its ownership, which stands at `mode`.
void ReadRootAcl(const Cursor& acl, const Cursor& mode, Ownership& ownership);
// ACLs that their dataset does not keep.
void LintRootAcls(const Config& config, Findings& findings);

}  // namespace phoenix::config
