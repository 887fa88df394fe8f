// Larger volumes of containers, and the way back.
#include <fmt/format.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/host/container_command.h"
#include "services/proxmox/worker/container_change.h"

namespace phoenix::proxmox {

absl::StatusOr<ContainerChanges::Sizes> ContainerChanges::SizesOf(const ContainerStep& step) {
  PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
  const auto line = seen.config.mounts.find(step.number);
  if (line == seen.config.mounts.end() || line->second.source != step.volume) {
    return FailedPrecondition("mp{} of container {} is not volume {} any more", step.number, step.id,
                              step.volume);
  }
  PHX_ASSIGN_OR_RETURN(const auto volumes, host_.containers().Volumes(line->second.storage(), step.id));
  const auto volume = volumes.find(step.volume);
  if (volume == volumes.end()) return FailedPrecondition("volume {} is gone", step.volume);
  return Sizes{line->second.size.value_or(0), volume->second};
}

absl::StatusOr<std::string> ContainerChanges::Outgrown(const ContainerStep& step,
                                                       const CapturedContainer& before) {
  PHX_ASSIGN_OR_RETURN(const std::string dataset, DatasetOf(step.volume));
  PHX_ASSIGN_OR_RETURN(const uint64_t held, host_.containers().Referenced(dataset));
  // ZFS takes no quota below what is held.
  if (held <= QuotaBelow(before.size)) return std::string();
  return fmt::format(
      "volume {} holds {} bytes by now, more than its former size of {}, and keeps {}; once it holds less: "
      "`{}`, "
      "then `{}`",
      step.volume, held, SizeText(before.size), SizeText(step.size_gib * kGib),
      ToText(QuotaCommand(dataset, QuotaBelow(before.size))),
      ToText(ResizeCommand(step.id, step.number, before.size, "")));
}

absl::Status ContainerChanges::Grow(const ContainerStep& step, const CapturedContainer& /*before*/,
                                    const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
  if (seen.running && !step.running) {
    return FailedPrecondition(
        "container {} was started since the plan was made, and what it writes into the larger volume could "
        "keep "
        "that from being made smaller again: stop it, or plan again",
        step.id);
  }
  return SetSize(step, step.size_gib * kGib, on_child);
}

absl::StatusOr<kit::ProbeResult> ContainerChanges::ProbeGrowth(const ContainerStep& step,
                                                               const CapturedContainer& before,
                                                               bool undoing) {
  const auto sizes = SizesOf(step);
  if (sizes.status().code() == absl::StatusCode::kFailedPrecondition ||
      sizes.status().code() == absl::StatusCode::kNotFound) {
    return kit::ProbeResult{kit::Probe::kForeign, Message(sizes.status())};
  }
  PHX_RETURN_IF_ERROR(sizes.status());
  const uint64_t wanted = step.size_gib * kGib;
  if (sizes->in_file == wanted && sizes->in_storage == wanted) {
    if (!undoing || !step.running) return kit::ProbeResult{kit::Probe::kDone, ""};
    // What the plan named as left by an undo where the container wrote too much meanwhile.
    PHX_ASSIGN_OR_RETURN(std::string outgrown, Outgrown(step, before));
    if (outgrown.empty()) return kit::ProbeResult{kit::Probe::kDone, ""};
    return kit::ProbeResult{kit::Probe::kNotDone, "", std::move(outgrown)};
  }
  if (sizes->in_file == before.size && sizes->in_storage == before.size)
    return kit::ProbeResult{kit::Probe::kNotDone, ""};
  const auto is_ours = [&](uint64_t size) {
    return size == wanted || size == QuotaBelow(wanted) || size == before.size ||
           size == QuotaBelow(before.size);
  };
  const std::string found = fmt::format("volume {} has {}, and the container's file says {}", step.volume,
                                        SizeText(sizes->in_storage), SizeText(sizes->in_file));
  return kit::ProbeResult{
      is_ours(sizes->in_file) && is_ours(sizes->in_storage) ? kit::Probe::kPartial : kit::Probe::kForeign,
      found};
}

// pct only makes larger, and says that there is nothing to do where the storage has the size already: so the
// quota goes a little below, and pct takes it up, in its own file too.
absl::Status ContainerChanges::SetSize(const ContainerStep& step, uint64_t size,
                                       const ChildObserver& on_child) {
  absl::Status last;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    PHX_ASSIGN_OR_RETURN(const Sizes sizes, SizesOf(step));
    if (sizes.in_file == size && sizes.in_storage == size) return absl::OkStatus();
    if (sizes.in_storage >= size) {
      PHX_ASSIGN_OR_RETURN(const std::string dataset, DatasetOf(step.volume));
      PHX_RETURN_IF_ERROR(
          Annotate(host_.containers().SetQuota(dataset, QuotaBelow(size), on_child),
                   fmt::format("volume {} keeps {}", step.volume, SizeText(sizes.in_storage))));
    }
    PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
    last = host_.containers().Resize(step.id, step.number, size, seen.config.digest, on_child);
    if (last.code() == absl::StatusCode::kAborted) continue;
    PHX_ASSIGN_OR_RETURN(const Sizes after, SizesOf(step));
    if (after.in_file == size && after.in_storage == size) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition(
        "pct said that volume {} has {}, but it has {}, and the container's file says {}", step.volume,
        SizeText(size), SizeText(after.in_storage), SizeText(after.in_file));
  }
  return last;
}

absl::Status ContainerChanges::GiveSizeBack(const ContainerStep& step, const CapturedContainer& before,
                                            const ChildObserver& on_child) {
  if (step.running) {
    PHX_ASSIGN_OR_RETURN(const std::string outgrown, Outgrown(step, before));
    // As the plan says: it stays, whole, also where pct was cut off in its middle.
    if (!outgrown.empty()) return SetSize(step, step.size_gib * kGib, on_child);
  }
  return SetSize(step, before.size, on_child);
}

}  // namespace phoenix::proxmox
