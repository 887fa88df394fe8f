// Between protos and domain values; with names and handlers the only place of this service that knows
// protobuf.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "phoenix/nfs/v1/nfs.pb.h"
#include "services/nfs/domain/nfs_spec.h"
#include "services/nfs/domain/nfs_state.h"

namespace phoenix::nfs {

// INVALID_ARGUMENT for another type, bytes that are no such message, or a presence that is unknown here. What
// the values mean is the planner's to judge.
absl::StatusOr<NfsSpec> ParseSpec(std::string_view type, std::string_view bytes);
absl::StatusOr<NfsSpec> ToSpec(const v1::NfsSpec& proto);
v1::NfsSpec ToProto(const NfsSpec& spec);

// Every export of the node, by path and then source: ours, those of other files, those made by hand.
std::vector<v1::Export> ToExports(const NfsState& state);

// What a typed create or update wants: the resource as a declared export. The path is the name's where that
// is set.
absl::StatusOr<ExportSpec> ToExportSpec(const v1::Export& resource);

// Changes whenever clients or options change.
std::string EtagOf(const v1::Export& resource);

}  // namespace phoenix::nfs
