// The ARC's limits on the real machine: the running module, modprobe.d, and the initramfs.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/host/zfs_cli.h"
#include "services/zfs/host/zfs_command.h"

namespace phoenix::zfs {
namespace {

constexpr char kModprobe[] = "/etc/modprobe.d";
constexpr char kBoot[] = "/boot";

using Moment = std::pair<int64_t, int64_t>;  // seconds and nanoseconds

std::optional<Moment> ChangedAt(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return Moment{status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

// What update-initramfs leaves beside the images: a copy of before, and one that is not complete.
bool IsImage(std::string_view name) {
  return name.starts_with("initrd.img-") && !name.ends_with(".new") && !name.ends_with(".bak") &&
         !name.ends_with(".dpkg-bak");
}

}  // namespace

absl::Status ZfsCli::AddArc(const std::vector<Mount>& mounts, ZfsState& state) {
  PHX_ASSIGN_OR_RETURN(const auto live, files_.Read(kArcParameter));
  if (live) state.arc.live = std::strtoull(live->content.c_str(), nullptr, 10);
  PHX_ASSIGN_OR_RETURN(const std::string least, ReadText(kArcMinParameter));
  state.arc.min_live = std::strtoull(least.c_str(), nullptr, 10);
  PHX_ASSIGN_OR_RETURN(const std::string statistics, ReadText(kArcStatistics));
  state.arc.in_force = ParseArcStatistic(statistics, "c_max");
  state.arc.min_in_force = ParseArcStatistic(statistics, "c_min");
  PHX_ASSIGN_OR_RETURN(state.arc.file, files_.Read(std::string(kArcFile)));
  PHX_ASSIGN_OR_RETURN(const auto names, files_.List(kModprobe));
  for (const auto& name : names) {
    const std::string path = fmt::format("{}/{}", kModprobe, name);
    if (path == kArcFile || !name.ends_with(".conf")) continue;
    const auto text = ReadText(path);
    // A link there is not worth failing for: it only decides about a warning.
    if (!text.ok()) continue;
    if (const std::string value = ParseArcOption(*text); !value.empty())
      state.arc.elsewhere.emplace_back(path, value);
  }
  PHX_ASSIGN_OR_RETURN(const std::string memory, ReadText("/proc/meminfo"));
  state.arc.memory_bytes = ParseMemory(memory);
  state.arc.root_on_zfs = std::any_of(mounts.begin(), mounts.end(), [](const Mount& mount) {
    return mount.path == "/" && mount.file_system == "zfs";
  });
  if (state.arc.root_on_zfs && ::access(kUpdateInitramfs, X_OK) == 0) {
    const auto older = InitramfsIsOlder(kBoot, std::string(kArcFile), kModprobe);
    state.arc.updates_initramfs = older.has_value();
    state.arc.initramfs_is_older = older.value_or(false);
  }
  return absl::OkStatus();
}

std::optional<bool> InitramfsIsOlder(const std::string& boot, const std::string& file,
                                     const std::string& folder) {
  std::optional<Moment> newest;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(boot, error), end; !error && entry != end;
       entry.increment(error)) {
    if (IsImage(entry->path().filename().string()))
      newest = std::max(newest, ChangedAt(entry->path().string()));
  }
  if (!newest) return std::nullopt;
  const auto there = ChangedAt(file);
  const auto since = there ? there : ChangedAt(folder);
  return since && *newest < *since;
}

}  // namespace phoenix::zfs
