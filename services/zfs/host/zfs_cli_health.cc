// How the disks of the real machine are.
#include <absl/status/status.h>

#include "base/host/posix_command_runner.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/host/zfs_cli.h"
#include "services/zfs/host/zfs_command.h"
#include "services/zfs/host/zfs_disks.h"
#include "services/zfs/host/zfs_inode.h"

namespace phoenix::zfs {
namespace {

// smartctl waits for its disk and needs no processor: a node's disks are asked all at once.
constexpr size_t kDisksAtOnce = 64;
constexpr std::chrono::minutes kSilence{10};

std::string WhyNotRun(const absl::Status& status, const Command& command) {
  if (absl::IsNotFound(status)) return "smartctl is not installed (package smartmontools)";
  if (absl::IsDeadlineExceeded(status))
    return fmt::format("smartctl has had no answer from it for {} s", command.limit.count());
  return Message(status);
}

}  // namespace

absl::StatusOr<ZfsCli::Results> ZfsCli::RunForOverview(const std::vector<Command>& commands) {
  // Those that wait here learn what hung, and start nothing.
  const absl::MutexLock lock(&overview_mutex_);
  const auto now = std::chrono::steady_clock::now();
  for (const Command& command : commands) {
    const auto hang = hung_.find(phoenix::ToText(command));
    if (hang == hung_.end()) continue;
    if (now < hang->second.until || IsRunning(hang->second.child))
      return Unavailable("`{}` was not read: it had no answer a while ago, and is not asked again yet",
                         hang->first);
    hung_.erase(hang);
  }
  std::vector<ChildIdentity> children;
  Results results = RunAll(commands, kMostAtOnce, &children);
  for (size_t i = 0; i < commands.size(); ++i) {
    if (absl::IsDeadlineExceeded(results[i].status()))
      hung_[phoenix::ToText(commands[i])] = {now + kSilence, children[i]};
  }
  return results;
}

absl::Status ZfsCli::AddHealth(const ObserveRequest& request, const std::vector<BlockDevice>& devices,
                               ZfsState& state) {
  std::vector<std::string> paths;
  if (request.health.size() == 1 && request.health[0] == "*") {
    PHX_ASSIGN_OR_RETURN(const auto links, Links());
    for (const auto& [device, path] : links) {
      const auto parts = DevicesOf(devices, device);
      // A volume is a disk to lsblk, and made of others.
      if (!parts.empty() && parts[0]->type == "disk" && !device.starts_with("/dev/zd")) paths.push_back(path);
    }
  } else {
    for (const auto& path : request.health) {
      PHX_ASSIGN_OR_RETURN(const auto device, ResolveLink(path));
      if (device) paths.push_back(path);
    }
  }
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::string> asked;
  std::vector<Command> commands;
  for (const auto& path : paths) {
    absl::MutexLock lock(&silent_mutex_);
    const auto silent = silent_.find(path);
    // A plan, which gives more time, asks all the same.
    if (request.limit_seconds != 0 && silent != silent_.end() && now < silent->second) {
      state.health[path].unknown = "smartctl had no answer from it a while ago, and does not ask again yet";
      continue;
    }
    asked.push_back(path);
    commands.push_back(ReadSmart(path));
    if (request.limit_seconds != 0) commands.back().limit = std::chrono::seconds(request.limit_seconds);
  }
  const auto results = RunAll(commands, kDisksAtOnce);
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto& result = results[i];
    if (result.ok()) {
      state.health[asked[i]] = ParseSmart(result->out, result->exit_code);
      continue;
    }
    state.health[asked[i]].unknown = WhyNotRun(result.status(), commands[i]);
    if (!absl::IsDeadlineExceeded(result.status())) continue;
    absl::MutexLock lock(&silent_mutex_);
    silent_[asked[i]] = now + kSilence;
  }
  return absl::OkStatus();
}

}  // namespace phoenix::zfs
