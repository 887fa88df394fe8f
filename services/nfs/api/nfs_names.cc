#include "services/nfs/api/nfs_names.h"

#include "base/status/errors.h"

namespace phoenix::nfs {
namespace {

constexpr std::string_view kCollection = "exports/";

}  // namespace

std::string ExportName(std::string_view path) {
  std::string name(kCollection);
  if (path.starts_with('/')) path.remove_prefix(1);
  for (const char c : path) {
    if (c == '/') {
      name += '~';
    } else if (c == '~') {
      name += "%7E";
    } else if (c == '%') {
      name += "%25";
    } else {
      name += c;
    }
  }
  return name;
}

absl::StatusOr<std::string> PathOfExportName(std::string_view name) {
  std::string path = "/";
  std::string_view rest =
      name.starts_with(kCollection) ? name.substr(kCollection.size()) : std::string_view();
  while (!rest.empty()) {
    if (rest.starts_with("%7E") || rest.starts_with("%25")) {
      path += rest[1] == '7' ? '~' : '%';
      rest.remove_prefix(3);
      continue;
    }
    path += rest.front() == '~' ? '/' : rest.front();
    rest.remove_prefix(1);
  }
  // One name for one export: what would be another spelling of it is refused.
  if (path == "/" || ExportName(path) != name) {
    return WithViolations(InvalidArgument("«{}» is no name of an export", name),
                          {{"name", "must be exports/ and the path with ~ for /, without the first one"}});
  }
  return path;
}

}  // namespace phoenix::nfs
