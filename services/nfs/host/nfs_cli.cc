#include "services/nfs/host/nfs_cli.h"

#include <absl/strings/numbers.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <memory>
#include <sstream>
#include <tuple>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/nfs/host/nfs_command.h"

namespace phoenix::nfs {
namespace {

constexpr char kTable[] = "/var/lib/nfs/etab";

// "\040" as the kernel writes it in mountinfo.
std::string Unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool Holds(const std::string& mount_point, const std::string& path) {
  if (mount_point == "/" || mount_point == path) return true;
  return path.starts_with(mount_point + "/");
}

// Its warnings about subtree_check come in blocks of four lines for every export: only what names a trouble
// is kept.
std::string Complaints(const std::string& err) {
  std::string kept;
  std::istringstream lines(err);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("exportfs: ") || line.find("Neither 'subtree_check'") != std::string::npos)
      continue;
    if (kept.size() > 500) break;
    kept += (kept.empty() ? "" : "; ") + line.substr(10);
  }
  return kept;
}

}  // namespace

PathState MountOf(const std::string& mountinfo, const std::string& path) {
  PathState state;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // 36 35 98:0 /root /mount options… - type source options
    std::istringstream words(line);
    std::string word, mount_point, type;
    for (int i = 0; i < 5 && words >> word; ++i) mount_point = word;
    while (words >> word && word != "-") {
    }
    if (!(words >> type)) continue;
    mount_point = Unescape(mount_point);
    // Later lines lie over earlier ones.
    if (!Holds(mount_point, path) || mount_point.size() < state.mount_point.size()) continue;
    state.mount_point = mount_point;
    state.file_system = type;
  }
  return state;
}

bool IsAfterDebian12(const std::string& version) {
  const auto epoch = version.find(':');
  std::istringstream text(epoch == std::string::npos ? version : version.substr(epoch + 1));
  int first = 0, second = 0, third = 0;
  char dot = '.';
  if (!(text >> first >> dot >> second) || dot != '.') return true;
  // "2.7-1" has no third number.
  if (text.peek() == '.') text >> dot >> third;
  return std::tuple(first, second, third) > std::tuple(2, 6, 2);
}

std::map<std::string, std::string> NfsCli::ToolVersions() {
  const auto result = runner_.Run(PackageVersionCommand());
  if (!result.ok() || result->exit_code != 0 || result->out.empty()) return {};
  return {{"exportfs", result->out.substr(0, result->out.find('\n'))}};
}

absl::StatusOr<std::string> NfsCli::Reexport(const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(ReexportCommand(), on_child));
  // The exit code says nothing: 1 with a live export, 0 with a dropped one. The table is compared by the
  // caller.
  return Complaints(result.err);
}

absl::Status NfsCli::ExportByHand(const LiveExport& live, const ChildObserver& on_child) {
  return runner_.Run(ExportCommand(live), on_child).status();
}

absl::Status NfsCli::UnexportByHand(const LiveExport& live, const ChildObserver& on_child) {
  return runner_.Run(UnexportCommand(live), on_child).status();
}

absl::Status NfsCli::FlushKernel(const ChildObserver& on_child) {
  // The time of the last flush, in seconds; each one within a second puts it a second further into the
  // future, and the kernel empties its cache only once it has passed.
  constexpr absl::Duration kLongest = absl::Seconds(20);
  const absl::Time begin = absl::Now();
  while (absl::Now() - begin < kLongest) {
    PHX_ASSIGN_OR_RETURN(const auto last, files().Read("/proc/net/rpc/nfsd.export/flush"));
    int64_t flushed = 0;
    if (!last || !absl::SimpleAtoi(last->content, &flushed) || flushed < absl::ToUnixSeconds(absl::Now()))
      break;
    absl::SleepFor(absl::Milliseconds(200));
  }
  return runner_.Run(FlushCommand(), on_child).status();
}

absl::StatusOr<std::string> NfsCli::ReadTable() {
  PHX_ASSIGN_OR_RETURN(const auto table, files().Read(kTable));
  return table ? table->content : std::string();
}

absl::StatusOr<PathState> NfsCli::LookAt(const std::string& path) {
  // The machine's: in this unit's own mount namespace the folders that it may write to are mounts, too, and
  // mountd would find none at `mountpoint=/var`.
  constexpr char kMounts[] = "/proc/1/mountinfo";
  PHX_ASSIGN_OR_RETURN(const auto mounts, files().Read(kMounts));
  if (!mounts) return Unavailable("cannot read {}", kMounts);
  PathState state = MountOf(mounts->content, path);
  struct stat status{};
  state.directory = ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  return state;
}

std::string NfsCli::Resolve(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

absl::StatusOr<bool> NfsCli::KnowsNewerOptions() {
  const auto versions = ToolVersions();
  const auto exportfs = versions.find("exportfs");
  return exportfs == versions.end() || IsAfterDebian12(exportfs->second);
}

}  // namespace phoenix::nfs
