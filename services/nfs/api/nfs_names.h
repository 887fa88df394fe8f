// Resource names of exports: exports/{path with "~" for "/", without the leading one}.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace phoenix::nfs {

// "/quickOS/shared" → "exports/quickOS~shared". "~" and "%" in a path stand as %7E and %25.
std::string ExportName(std::string_view path);
// The path of a name; INVALID_ARGUMENT for anything that ExportName() does not give.
absl::StatusOr<std::string> PathOfExportName(std::string_view name);

}  // namespace phoenix::nfs
