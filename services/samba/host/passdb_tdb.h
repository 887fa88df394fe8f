// One account's records in the passdb database, taken out and put back byte for byte.
//
// Samba's own tools cannot do it: pdbedit copies a tdbsam onto itself when the other side is a tdbsam as
// well, refuses accounts with a RID of their own when it is a smbpasswd file, and takes hashes as arguments
// only. So the database is opened with Samba's library for it, which every machine with Samba has; it is
// loaded when it is needed.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>

#include "base/secret.h"

namespace phoenix::samba {

// The records of `name`, for WriteRecords(). NOT_FOUND when there is no such account.
absl::StatusOr<Secret> ReadRecords(const std::string& database, const std::string& name);
// Stores them in one transaction of the database, which programs that have it open see whole.
// FAILED_PRECONDITION where the account's RID meanwhile belongs to another one; DATA_LOSS for what
// ReadRecords() did not write.
absl::Status WriteRecords(const std::string& database, const std::string& name, const Secret& records);

}  // namespace phoenix::samba
