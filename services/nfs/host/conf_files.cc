#include "services/nfs/host/conf_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/nfs/host/server_conf.h"

namespace phoenix::nfs {
namespace {

constexpr char kMainConf[] = "/etc/nfs.conf";

// One file; false where there is none.
absl::StatusOr<bool> ReadOne(const Files& files, const std::string& path, ServerConf& conf) {
  const auto file = ReadPlainFile(files, path);
  if (!file.ok()) return Annotate(file.status(), "read " + path);
  if (!*file) return false;
  const auto include = [&](const std::string& other) -> absl::StatusOr<std::optional<std::string>> {
    const auto included = ReadPlainFile(files, other);
    if (!included.ok()) return Annotate(included.status(), fmt::format("read {} for {}", other, path));
    if (!*included) return std::optional<std::string>();
    return std::optional<std::string>((*included)->content);
  };
  PHX_RETURN_IF_ERROR(conf.Read((*file)->content, path, include));
  return true;
}

absl::Status ReadFolder(const Files& files, const std::string& folder, ServerConf& conf) {
  PHX_ASSIGN_OR_RETURN(auto names, files.List(folder));
  for (const std::string& name : InReadingOrder(std::move(names))) {
    if (name.starts_with('.') || !name.ends_with(".conf")) continue;
    PHX_RETURN_IF_ERROR(ReadOne(files, fmt::format("{}/{}", folder, name), conf).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<FileState>> ReadPlainFile(const Files& files, const std::string& path) {
  const auto folder = files.ReadDirectory(path);
  if (folder.ok() && folder->has_value()) return std::optional<FileState>();
  return files.Read(path);
}

std::vector<std::string> InReadingOrder(std::vector<std::string> names) {
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return ::strverscmp(a.c_str(), b.c_str()) < 0;
  });
  return names;
}

absl::Status ReadServerSettings(const Files& files, NfsState& state) {
  // nfs-utils 2.8 begins in /usr/etc, and forgets all of that where /etc has the main file; 2.6 does not look
  // there.
  ServerConf conf;
  const std::string vendor = std::string("/usr") + kMainConf;
  PHX_RETURN_IF_ERROR(ReadOne(files, vendor, conf).status());
  PHX_RETURN_IF_ERROR(ReadFolder(files, vendor + ".d", conf));
  ServerConf own;
  PHX_ASSIGN_OR_RETURN(const bool there, ReadOne(files, kMainConf, own));
  if (there) conf = std::move(own);
  PHX_RETURN_IF_ERROR(ReadFolder(files, std::string(kMainConf) + ".d", conf));
  TellServerSettings(conf, state);
  return absl::OkStatus();
}

}  // namespace phoenix::nfs
