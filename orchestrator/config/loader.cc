#include "orchestrator/config/loader.h"

#include <optional>

#include "orchestrator/config/json_cursor.h"
#include "orchestrator/config/json_document.h"
#include "orchestrator/config/sections.h"

namespace phoenix::config {

absl::Status LoadResult::ToStatus() const {
  return ok() ? absl::OkStatus() : absl::InvalidArgumentError(Render(findings.errors));
}

Overrides OverridesOf(const std::string& node, const std::string& text) {
  if (text.empty()) return {};
  return {nlohmann::json::parse(text), "overrides of node " + node};
}

LoadResult Load(std::string_view json_text, const Overrides& overrides) {
  LoadResult result;
  std::optional<JsonDocument> document = JsonDocument::Parse(json_text, result.findings);
  if (!document.has_value()) return result;
  if (!overrides.patch.is_null()) document->Merge(overrides.patch, overrides.name);
  const Cursor root = Cursor::Root(*document, result.findings);
  if (!root.RequireObject()) return result;
  if (!IsConfiguration(root)) return result;
  // Unknown top-level keys belong to other tools that share the file.
  ReadSite(root, result.config);
  ReadZfs(root, result.config);
  ReadNfs(root, result.config);
  ReadSamba(root, result.config);
  ReadProxmox(root, result.config);
  ReadSharedVolumes(root, result.config);
  ReadVmFeatures(root, result.config);
  DefaultOwnership(result.config);
  CheckAbsent(result.config, result.findings);
  LintTogether(root, Present(result.config));
  result.findings.SortByPlace();
  return result;
}

}  // namespace phoenix::config
