#include "services/proxmox/worker/container_change.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/host/container_command.h"

namespace phoenix::proxmox {
namespace {

std::string KeyOf(int number) { return fmt::format("mp{}", number); }

enum class Line {
  kAbsent,
  kOurs,     // in force
  kWaiting,  // ours, and comes with the container's next start
  kGoing,    // ours, and away with the container's next stop
  kOther,    // somebody else's
};

Line LineOf(const ContainerConfig& config, const NewMount& wanted, const Words& former_volumes) {
  const auto in_force = config.mounts.find(wanted.number);
  const auto waiting = config.pending_mounts.find(wanted.number);
  if (in_force == config.mounts.end() && waiting == config.pending_mounts.end()) return Line::kAbsent;
  const auto is_ours = [&](const ContainerMount& mount) {
    const bool same_source =
        wanted.is_volume() ? mount.storage() == wanted.storage && former_volumes.count(mount.source) == 0
                           : mount.source == wanted.host_path;
    return same_source && CleanPath(mount.path) == wanted.path;
  };
  // Ours in force that somebody has something else come for is his.
  if (waiting != config.pending_mounts.end() && !is_ours(waiting->second)) return Line::kOther;
  if (in_force == config.mounts.end()) return Line::kWaiting;
  if (!is_ours(in_force->second)) return Line::kOther;
  return config.pending_removals.count(KeyOf(wanted.number)) == 0 ? Line::kOurs : Line::kGoing;
}

struct Lines {
  std::vector<std::string> ours, going, others;  // keys; those that wait for the next start are ours, too
  size_t absent = 0;
};

Lines LinesOf(const ContainerConfig& config, const ContainerStep& step, const Words& former_volumes) {
  Lines lines;
  for (const NewMount& mount : step.mounts) {
    switch (LineOf(config, mount, former_volumes)) {
      case Line::kAbsent:
        ++lines.absent;
        break;
      case Line::kOurs:
      case Line::kWaiting:
        lines.ours.push_back(KeyOf(mount.number));
        break;
      case Line::kGoing:
        lines.going.push_back(KeyOf(mount.number));
        break;
      case Line::kOther:
        lines.others.push_back(KeyOf(mount.number));
        break;
    }
  }
  return lines;
}

bool Mounts(const ContainerConfig& config, const std::string& volume) {
  if (config.rootfs == volume) return true;
  for (const auto* mounts : {&config.mounts, &config.pending_mounts}) {
    for (const auto& [number, mount] : *mounts) {
      if (mount.source == volume) return true;
    }
  }
  return false;
}

// Something is at a place that the step wants, besides its own lines.
std::string TakenPlace(const ContainerConfig& config, const ContainerStep& step) {
  for (const NewMount& wanted : step.mounts) {
    for (const auto* mounts : {&config.mounts, &config.pending_mounts}) {
      for (const auto& [number, mount] : *mounts) {
        if (number == wanted.number || CleanPath(mount.path) == wanted.path)
          return fmt::format("mp{} ({}) is there by now", number, mount.path);
      }
    }
    for (const RawMount& raw : config.raw_mounts) {
      if (raw.path == wanted.path) return fmt::format("\"{}\" is there by now", raw.line);
    }
  }
  return "";
}

absl::Status Runs(uint32_t id) {
  return FailedPrecondition(
      "container {} was started since the plan was made, and Proxmox VE takes nothing away from a running "
      "one "
      "before its next stop: stop it, or plan again",
      id);
}

}  // namespace

absl::StatusOr<ContainerChanges::Seen> ContainerChanges::See(uint32_t id) {
  PHX_ASSIGN_OR_RETURN(ContainerPlaces places, host_.containers().Read({id}));
  const auto here = places.here.find(id);
  if (here != places.here.end()) return Seen{std::move(here->second), places.running.count(id) != 0};
  const auto elsewhere = places.elsewhere.find(id);
  if (elsewhere == places.elsewhere.end()) return NotFound("container {} is gone", id);
  return NotFound("container {} is on node {} by now", id, elsewhere->second);
}

absl::StatusOr<std::string> ContainerChanges::DatasetOf(const std::string& volume) {
  PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
  const size_t colon = volume.find(':');
  const auto storage = config.entries.find(volume.substr(0, colon));
  if (colon == std::string::npos || storage == config.entries.end() || storage->second.type != kZfspool)
    return FailedPrecondition("{} is on no zfspool storage", volume);
  return DatasetOfVolume(storage->second.options.find("pool")->second, volume);
}

absl::StatusOr<CapturedContainer> ContainerChanges::Capture(const ContainerStep& step) {
  CapturedContainer captured;
  if (step.action == ContainerAction::kGrow) {
    PHX_ASSIGN_OR_RETURN(const Sizes sizes, SizesOf(step));
    if (sizes.in_file != sizes.in_storage) {
      return FailedPrecondition(
          "volume {} of container {} has {}, and the container's file says {}: `pct rescan --vmid {}` puts "
          "that right; then plan again",
          step.volume, step.id, SizeText(sizes.in_storage), SizeText(sizes.in_file), step.id);
    }
    captured.size = sizes.in_file;
    return captured;
  }
  PHX_RETURN_IF_ERROR(See(step.id).status());
  if (step.action == ContainerAction::kUnmount) return captured;  // the step has the line
  for (const NewMount& mount : step.mounts) {
    if (!mount.is_volume()) continue;
    PHX_ASSIGN_OR_RETURN(const auto volumes, host_.containers().Volumes(mount.storage, step.id));
    for (const auto& [volume, size] : volumes) captured.volumes.insert(volume);
  }
  return captured;
}

absl::StatusOr<std::map<std::string, ContainerChanges::Loose>> ContainerChanges::LooseVolumes(
    const ContainerStep& step, const CapturedContainer& before, const ContainerConfig& config) {
  std::map<std::string, std::set<uint64_t>> sizes;  // of ours, by storage
  for (const NewMount& mount : step.mounts) {
    if (mount.is_volume() && step.opaque.count(mount.storage) == 0)
      sizes[mount.storage].insert(mount.size_gib * kGib);
  }
  std::map<std::string, Loose> loose;
  PHX_ASSIGN_OR_RETURN(const StorageConfig storages, host_.ReadStorages());
  for (const auto& [storage, ours] : sizes) {
    const auto entry = storages.entries.find(storage);
    if (entry == storages.entries.end() || entry->second.type != kZfspool) continue;
    PHX_ASSIGN_OR_RETURN(const auto volumes, host_.containers().Volumes(storage, step.id));
    for (const auto& [volume, size] : volumes) {
      if (before.volumes.count(volume) != 0 || ours.count(size) == 0 || Mounts(config, volume)) continue;
      Loose& one = loose[volume];
      one.dataset = DatasetOfVolume(entry->second.options.find("pool")->second, volume);
      for (const auto& [number, unused] : config.unused) {
        if (unused == volume) one.key = fmt::format("unused{}", number);
      }
    }
  }
  return loose;
}

absl::StatusOr<std::string> ContainerChanges::HeldBy(const std::string& volume, const Loose& loose,
                                                     const ContainerConfig& config) {
  if (config.snapshot_volumes.count(volume) != 0) return fmt::format("a snapshot names {}", volume);
  const auto content = host_.containers().Look(loose.dataset);
  if (content.status().code() == absl::StatusCode::kNotFound) return std::string();
  PHX_RETURN_IF_ERROR(content.status());
  if (content->IsEmpty()) return std::string();
  if (!content->others.empty()) return fmt::format("{} is there", content->others.front());
  if (!content->names) return fmt::format("{} is not mounted, so that nobody can look into it", volume);
  return fmt::format("{} holds {}", volume, content->names->front());
}

absl::Status ContainerChanges::Do(const ContainerStep& step, const CapturedContainer& before,
                                  const ChildObserver& on_child, std::vector<std::string>& warnings) {
  if (step.action == ContainerAction::kUnmount) return SetLine(step, /*there=*/false, on_child);
  return step.action == ContainerAction::kGrow ? Grow(step, before, on_child)
                                               : DoMounts(step, before, on_child, warnings);
}

absl::StatusOr<kit::ProbeResult> ContainerChanges::Probe(const ContainerStep& step,
                                                         const CapturedContainer& before, bool undoing) {
  if (step.action == ContainerAction::kUnmount) return ProbeLine(step);
  return step.action == ContainerAction::kGrow ? ProbeGrowth(step, before, undoing)
                                               : ProbeMounts(step, before);
}

absl::Status ContainerChanges::Undo(const ContainerStep& step, const CapturedContainer& before,
                                    const ChildObserver& on_child) {
  if (step.action == ContainerAction::kUnmount) return SetLine(step, /*there=*/true, on_child);
  return step.action == ContainerAction::kGrow ? GiveSizeBack(step, before, on_child)
                                               : UndoMounts(step, before, on_child);
}

absl::Status ContainerChanges::DoMounts(const ContainerStep& step, const CapturedContainer& before,
                                        const ChildObserver& on_child, std::vector<std::string>& warnings) {
  if (!step.running) return MountNow(step, step.mounts, before, on_child, warnings);
  // Into a container that runs pct mounts each at once, and if a later one of its call fails, no line says
  // what the container has already: undo could not take that away.
  for (const NewMount& mount : step.mounts) {
    PHX_RETURN_IF_ERROR(Annotate(MountNow(step, {mount}, before, on_child, warnings),
                                 fmt::format("{} of container {}", KeyOf(mount.number), step.id)));
  }
  return absl::OkStatus();
}

absl::Status ContainerChanges::CheckFolders(uint32_t id, const std::vector<NewMount>& mounts) {
  for (const NewMount& mount : mounts) {
    if (mount.is_volume()) continue;
    const auto folder = host_.files().ReadDirectory(mount.host_path);
    if (folder.ok() && *folder) continue;
    return FailedPrecondition(
        "{} is {}, and container {} could not start with it: make the folder (`mkdir -p {}`, with the owner "
        "that the container needs), or declare a dataset that is mounted there; then plan again",
        mount.host_path, folder.ok() ? "not there" : "no directory", id, mount.host_path);
  }
  return absl::OkStatus();
}

absl::Status ContainerChanges::MountNow(const ContainerStep& step, const std::vector<NewMount>& mounts,
                                        const CapturedContainer& before, const ChildObserver& on_child,
                                        std::vector<std::string>& warnings) {
  ContainerStep part = step;
  part.mounts = mounts;
  absl::Status last;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
    if (LinesOf(seen.config, part, before.volumes).ours.size() == mounts.size()) return absl::OkStatus();
    if (const std::string taken = TakenPlace(seen.config, part); !taken.empty())
      return Aborted("container {}: {}; nothing was changed. Plan again", step.id, taken);
    if (seen.running && !step.running) return Runs(step.id);
    PHX_RETURN_IF_ERROR(CheckFolders(step.id, mounts));
    const auto said = host_.containers().Mount(step.id, mounts, seen.config.digest, on_child);
    if (said.ok()) warnings.insert(warnings.end(), said->begin(), said->end());
    last = said.status();
    if (last.code() == absl::StatusCode::kAborted) continue;
    // Whatever pct said, the file knows; but older ones leave a line that waits where a mount into a running
    // container failed, and the container would not start with it.
    PHX_ASSIGN_OR_RETURN(const Seen after, See(step.id));
    const bool done = std::all_of(mounts.begin(), mounts.end(), [&](const NewMount& mount) {
      const Line line = LineOf(after.config, mount, before.volumes);
      return line == Line::kOurs || (last.ok() && line == Line::kWaiting);
    });
    if (done) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition("pct said that container {} was changed, but its file does not hold that",
                              step.id);
  }
  return last;
}

absl::StatusOr<kit::ProbeResult> ContainerChanges::ProbeMounts(const ContainerStep& step,
                                                               const CapturedContainer& before) {
  const auto seen = See(step.id);
  if (seen.status().code() == absl::StatusCode::kNotFound)
    return kit::ProbeResult{kit::Probe::kForeign, Message(seen.status())};
  PHX_RETURN_IF_ERROR(seen.status());
  const Lines lines = LinesOf(seen->config, step, before.volumes);
  if (!lines.others.empty()) {
    return kit::ProbeResult{kit::Probe::kForeign,
                            fmt::format("{} is something else", fmt::join(lines.others, ", "))};
  }
  if (lines.ours.size() == step.mounts.size()) return kit::ProbeResult{kit::Probe::kDone, ""};
  if (!lines.ours.empty()) {
    return kit::ProbeResult{kit::Probe::kPartial,
                            fmt::format("only {} is there", fmt::join(lines.ours, ", "))};
  }
  // What the plan named as left by the undo on a running container is undone.
  if (!lines.going.empty() && !step.running) {
    return kit::ProbeResult{kit::Probe::kPartial, fmt::format("{} goes with the container's next stop",
                                                              fmt::join(lines.going, ", "))};
  }
  PHX_ASSIGN_OR_RETURN(const auto loose, LooseVolumes(step, before, seen->config));
  for (const auto& [volume, one] : loose) {
    if (step.running && !one.key.empty()) continue;
    return kit::ProbeResult{kit::Probe::kPartial, fmt::format("volume {} is there, mounted nowhere", volume)};
  }
  return kit::ProbeResult{kit::Probe::kNotDone, ""};
}

absl::Status ContainerChanges::UndoMounts(const ContainerStep& step, const CapturedContainer& before,
                                          const ChildObserver& on_child) {
  PHX_RETURN_IF_ERROR(TakeLinesAway(step, before, on_child));
  return FreeVolumes(step, before, on_child);
}

absl::Status ContainerChanges::TakeLinesAway(const ContainerStep& step, const CapturedContainer& before,
                                             const ChildObserver& on_child) {
  absl::Status last;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
    const Lines lines = LinesOf(seen.config, step, before.volumes);
    if (lines.ours.empty() && (lines.going.empty() || step.running)) return absl::OkStatus();
    if (seen.running && !step.running) return Runs(step.id);
    std::vector<std::string> keys = lines.ours;
    // Waiting on a container that stands still again: pct does it at once.
    if (!seen.running) keys.insert(keys.end(), lines.going.begin(), lines.going.end());
    last = host_.containers().Detach(step.id, keys, seen.config.digest, on_child);
    if (last.code() == absl::StatusCode::kAborted) continue;
    PHX_ASSIGN_OR_RETURN(const Seen after, See(step.id));
    const Lines left = LinesOf(after.config, step, before.volumes);
    if (left.ours.empty() && (left.going.empty() || step.running)) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition("pct said that {} of container {} is gone, but its file still holds it",
                              fmt::format("{}", fmt::join(keys, ", ")), step.id);
  }
  return last;
}

absl::Status ContainerChanges::FreeVolumes(const ContainerStep& step, const CapturedContainer& before,
                                           const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const Seen first, See(step.id));
  PHX_ASSIGN_OR_RETURN(const auto loose, LooseVolumes(step, before, first.config));
  std::vector<std::string> held;
  for (const auto& [volume, one] : loose) {
    absl::Status last = Aborted("container {} changes again and again", step.id);
    for (int attempt = 0; attempt < kTries && last.code() == absl::StatusCode::kAborted; ++attempt) {
      PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
      PHX_ASSIGN_OR_RETURN(const auto now, LooseVolumes(step, before, seen.config));
      const auto still = now.find(volume);
      if (still == now.end()) {
        last = absl::OkStatus();
        break;
      }
      PHX_ASSIGN_OR_RETURN(const std::string holder, HeldBy(volume, still->second, seen.config));
      if (!holder.empty()) {
        // Named by the plan as what may remain, if the container shows it.
        if (!step.running || still->second.key.empty()) held.push_back(holder);
        last = absl::OkStatus();
        break;
      }
      last = still->second.key.empty()
                 ? host_.containers().Free(volume, on_child)
                 : host_.containers().Detach(step.id, {still->second.key}, seen.config.digest, on_child);
    }
    PHX_RETURN_IF_ERROR(last);
  }
  if (held.empty()) return absl::OkStatus();
  return FailedPrecondition("a new volume of container {} is not empty any more and stays: {}", step.id,
                            fmt::format("{}", fmt::join(held, "; ")));
}

std::vector<std::string> ContainerChanges::RemainingCommands(const ContainerStep& step,
                                                             const CapturedContainer& before) {
  std::vector<std::string> commands;
  if (step.action == ContainerAction::kGrow) {
    const auto dataset = DatasetOf(step.volume);
    if (dataset.ok()) commands.push_back(ToText(QuotaCommand(*dataset, QuotaBelow(before.size))));
    commands.push_back(ToText(ResizeCommand(step.id, step.number, before.size, "")));
    return commands;
  }
  if (step.action == ContainerAction::kUnmount) return {ToText(MountCommand(step.id, step.mounts, ""))};
  const auto seen = See(step.id);
  if (!seen.ok()) return commands;
  const Lines lines = LinesOf(seen->config, step, before.volumes);
  std::vector<std::string> keys = lines.ours;
  keys.insert(keys.end(), lines.going.begin(), lines.going.end());
  if (!keys.empty()) commands.push_back(ToText(DetachCommand(step.id, keys, "")));
  // Volumes take the lowest free numbers, in the order of their keys as text.
  std::sort(keys.begin(), keys.end());
  std::set<int> taken;
  for (const auto& [number, volume] : seen->config.unused) taken.insert(number);
  const auto loose = LooseVolumes(step, before, seen->config);
  if (loose.ok()) {
    for (const auto& [volume, one] : *loose) {
      commands.push_back(
          ToText(one.key.empty() ? FreeCommand(volume) : DetachCommand(step.id, {one.key}, "")));
    }
  }
  for (const std::string& key : keys) {
    const auto mount = std::find_if(step.mounts.begin(), step.mounts.end(),
                                    [&](const NewMount& m) { return KeyOf(m.number) == key; });
    if (!mount->is_volume()) continue;
    int number = 0;
    while (!taken.insert(number).second) ++number;
    commands.push_back(ToText(DetachCommand(step.id, {fmt::format("unused{}", number)}, "")));
  }
  return commands;
}

absl::StatusOr<kit::Retrospect> ContainerChanges::LookBack(const ContainerStep& step,
                                                           const CapturedContainer& before) {
  using Kind = kit::Retrospect::Kind;
  if (step.action == ContainerAction::kGrow) {
    const auto outgrown = Outgrown(step, before);
    if (outgrown.ok() && !outgrown->empty()) return kit::Retrospect{Kind::kStays, *outgrown};
    return kit::Retrospect();
  }
  if (step.running || step.action == ContainerAction::kUnmount) return kit::Retrospect();
  const auto seen = See(step.id);
  if (!seen.ok()) return kit::Retrospect();
  if (seen->running) {
    return kit::Retrospect{Kind::kObstacle,
                           fmt::format("container {} runs; stop it for the rollback", step.id)};
  }
  for (const NewMount& mount : step.mounts) {
    if (!mount.is_volume() || step.opaque.count(mount.storage) != 0) continue;
    const auto line = seen->config.mounts.find(mount.number);
    if (line == seen->config.mounts.end() || LineOf(seen->config, mount, before.volumes) != Line::kOurs)
      continue;
    const std::string& volume = line->second.source;
    PHX_ASSIGN_OR_RETURN(const std::string dataset, DatasetOf(volume));
    PHX_ASSIGN_OR_RETURN(std::string holder, HeldBy(volume, {dataset, ""}, seen->config));
    if (!holder.empty()) return kit::Retrospect{Kind::kObstacle, std::move(holder)};
  }
  return kit::Retrospect();
}

absl::Status ContainerChanges::Verify(const ContainerStep& step, kit::VerifyReport& report) {
  if (step.action == ContainerAction::kGrow) {
    PHX_ASSIGN_OR_RETURN(const Sizes sizes, SizesOf(step));
    const uint64_t wanted = step.size_gib * kGib;
    if (sizes.in_file != wanted || sizes.in_storage != wanted) {
      return FailedPrecondition("volume {} of container {} has {} instead of {}", step.volume, step.id,
                                SizeText(sizes.in_storage), SizeText(wanted));
    }
    report.probes.push_back(fmt::format("container:{}: {} has {}", step.id, step.volume, SizeText(wanted)));
    return absl::OkStatus();
  }
  PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
  if (step.action == ContainerAction::kUnmount) {
    if (seen.config.mounts.count(step.number) != 0)
      return FailedPrecondition("mp{} of container {} is there again", step.number, step.id);
    report.probes.push_back(fmt::format("container:{}: nothing is mounted at {}", step.id, step.path));
    return absl::OkStatus();
  }
  PHX_RETURN_IF_ERROR(CheckFolders(step.id, step.mounts));
  for (const NewMount& mount : step.mounts) {
    const Line line = LineOf(seen.config, mount, {});
    if (line == Line::kWaiting) {
      report.not_probed.push_back(
          fmt::format("container:{}: mp{} at {} comes with the container's next start", step.id, mount.number,
                      mount.path));
      continue;
    }
    if (line != Line::kOurs) {
      return FailedPrecondition("mp{} of container {} is not there as declared any more", mount.number,
                                step.id);
    }
    report.probes.push_back(fmt::format("container:{}: mp{} at {}", step.id, mount.number, mount.path));
  }
  if (!seen.running) {
    report.not_probed.push_back(
        fmt::format("container:{}: stopped, so that its mount points were not entered", step.id));
  }
  return absl::OkStatus();
}

}  // namespace phoenix::proxmox
