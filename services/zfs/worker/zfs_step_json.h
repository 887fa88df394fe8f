// Typed steps as the payload that the kit journals, and back.
#pragma once

#include <absl/status/statusor.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "services/zfs/domain/zfs_step.h"

namespace phoenix::zfs {

std::string ToJson(const ZfsStep& step);
// DATA_LOSS for anything that ToJson() does not make.
absl::StatusOr<ZfsStep> StepFromJson(std::string_view text);

// The wish as steps and ledger keep it.
nlohmann::json RootJson(const RootWish& root);

}  // namespace phoenix::zfs
