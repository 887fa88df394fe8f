// Larger volumes of containers, and the way back.
#include <fmt/format.h>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/worker/container_change.h"

namespace phoenix::proxmox {
namespace {

// Another tool may rewrite the container's file between our reading and our change; each time is decided
// anew.
constexpr int kTries = 3;
constexpr uint64_t kGib = uint64_t{1} << 30;

}  // namespace

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

absl::Status ContainerChanges::Grow(const ContainerStep& step, const CapturedContainer& before,
                                    const ChildObserver& on_child) {
  const uint64_t wanted = step.size_gib * kGib;
  absl::Status last;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    PHX_ASSIGN_OR_RETURN(Sizes sizes, SizesOf(step));
    if (sizes.in_file == wanted && sizes.in_storage == wanted) return absl::OkStatus();
    // A resize that was cut off in its middle: pct would say that there is nothing to do.
    if (sizes.in_storage >= wanted) PHX_RETURN_IF_ERROR(GiveSizeBack(step, before, on_child));
    PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
    last = host_.containers().Resize(step.id, step.number, wanted, seen.config.digest, on_child);
    if (last.code() == absl::StatusCode::kAborted) continue;
    PHX_ASSIGN_OR_RETURN(sizes, SizesOf(step));
    if (sizes.in_file == wanted && sizes.in_storage == wanted) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition("pct said that volume {} was resized, but it has {}, and the file says {}",
                              step.volume, SizeText(sizes.in_storage), SizeText(sizes.in_file));
  }
  return last;
}

absl::StatusOr<kit::ProbeResult> ContainerChanges::ProbeGrowth(const ContainerStep& step,
                                                               const CapturedContainer& before) {
  const auto sizes = SizesOf(step);
  if (sizes.status().code() == absl::StatusCode::kFailedPrecondition ||
      sizes.status().code() == absl::StatusCode::kNotFound) {
    return kit::ProbeResult{kit::Probe::kForeign, Message(sizes.status())};
  }
  PHX_RETURN_IF_ERROR(sizes.status());
  const uint64_t wanted = step.size_gib * kGib;
  if (sizes->in_file == wanted && sizes->in_storage == wanted) return kit::ProbeResult{kit::Probe::kDone, ""};
  if (sizes->in_file == before.size && sizes->in_storage == before.size)
    return kit::ProbeResult{kit::Probe::kNotDone, ""};
  const auto is_ours = [&](uint64_t size) {
    return size == wanted || size == before.size || size == before.size - kQuotaStep;
  };
  const std::string found = fmt::format("volume {} has {}, and the container's file says {}", step.volume,
                                        SizeText(sizes->in_storage), SizeText(sizes->in_file));
  return kit::ProbeResult{
      is_ours(sizes->in_file) && is_ours(sizes->in_storage) ? kit::Probe::kPartial : kit::Probe::kForeign,
      found};
}

// pct only makes larger: so the quota goes below the former size, and pct takes it there, in its own file
// too.
absl::Status ContainerChanges::GiveSizeBack(const ContainerStep& step, const CapturedContainer& before,
                                            const ChildObserver& on_child) {
  absl::Status last;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    PHX_ASSIGN_OR_RETURN(const Sizes sizes, SizesOf(step));
    if (sizes.in_file == before.size && sizes.in_storage == before.size) return absl::OkStatus();
    if (sizes.in_storage >= before.size) {
      PHX_ASSIGN_OR_RETURN(const std::string dataset, DatasetOf(step.volume));
      PHX_RETURN_IF_ERROR(
          Annotate(host_.containers().SetQuota(dataset, before.size - kQuotaStep, on_child),
                   fmt::format("volume {} keeps {}", step.volume, SizeText(step.size_gib * kGib))));
    }
    PHX_ASSIGN_OR_RETURN(const Seen seen, See(step.id));
    last = host_.containers().Resize(step.id, step.number, before.size, seen.config.digest, on_child);
    if (last.code() == absl::StatusCode::kAborted) continue;
    PHX_ASSIGN_OR_RETURN(const Sizes after, SizesOf(step));
    if (after.in_file == before.size && after.in_storage == before.size) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition("pct said that volume {} has its former size again, but it has {}", step.volume,
                              SizeText(after.in_storage));
  }
  return last;
}

}  // namespace phoenix::proxmox
