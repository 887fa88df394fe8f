// What can be wrong with a spec whatever the node looks like. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status/errors.h"
#include "services/nfs/domain/export_entry.h"
#include "services/nfs/domain/nfs_planner.h"
#include "services/nfs/domain/nfs_spec.h"

namespace phoenix::nfs {

// Every problem, named by the export's place in the configuration and the path of the field in an ExportSpec
// message: "export.clients[0].options[1]". Remarks that are no problems go to `notes`.
std::vector<FieldViolation> CheckSpec(const NfsSpec& spec, std::vector<PlanNote>& notes);

// "export.clients[0]".
std::string ClientField(const ExportSpec& wanted, size_t index);

// What is wrong with a path to be exported; nullopt when it is fine.
std::optional<std::string> PathProblem(const std::string& path);

// True where exports(5) can say that this must be mounted for the path to be exported.
bool CanBeNamed(const std::string& mount_point, const std::string& path);

// exportfs and mountd read client and options into 512 bytes, mountd from the table, where every default is
// spelled out: a longer entry hides itself and every later one.
std::optional<std::string> LengthProblem(const ClientEntry& client);

}  // namespace phoenix::nfs
