// The domain's steps and entries as JSON, for payloads, captures and the ledger.
#pragma once

#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/nfs/domain/export_entry.h"
#include "services/nfs/domain/nfs_planner.h"

namespace phoenix::nfs {

// null for no entry.
nlohmann::json ToJson(const std::optional<ExportEntry>& entry);
absl::StatusOr<std::optional<ExportEntry>> EntryFromJson(const nlohmann::json& json);

// What a step's payload says: our file is made, the file is put live, or one export is set.
struct StepPayload {
  enum class Kind { kMakeFile, kPutLive, kSetExport };
  Kind kind = Kind::kSetExport;
  std::vector<std::string> put_live;  // paths
  SetExport set;
};
std::string ToPayload(const StepPayload& payload);
absl::StatusOr<StepPayload> FromPayload(std::string_view text);

// What undo needs of the step that makes our file.
struct FileCapture {
  bool directory = false;
  bool file = false;
};
std::string ToText(const FileCapture& capture);
absl::StatusOr<FileCapture> FileCaptureFrom(std::string_view text);

// What undo needs of putting live: what the server exported of those paths.
struct LiveCapture {
  std::vector<LiveExport> live;
};
std::string ToText(const LiveCapture& capture);
absl::StatusOr<LiveCapture> LiveCaptureFrom(std::string_view text);

// What undo needs of an export: its former entry in our file, and for the comparison right before the step
// what the server exports of that path besides (nothing, or the step is refused).
struct ExportCapture {
  std::optional<ExportEntry> entry;
  std::vector<LiveExport> besides;
};
std::string ToText(const ExportCapture& capture);
absl::StatusOr<ExportCapture> ExportCaptureFrom(std::string_view text);

}  // namespace phoenix::nfs
