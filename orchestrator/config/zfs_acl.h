// The access control list of a dataset's root directory.
#pragma once

#include "orchestrator/config/config.h"
#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// `acl` of a dataset, beside the mode of its ownership.
void ReadRootAcl(const Cursor& acl, Ownership& ownership);
// ACLs that their dataset does not keep.
void LintRootAcls(const Config& config, Findings& findings);

}  // namespace phoenix::config
