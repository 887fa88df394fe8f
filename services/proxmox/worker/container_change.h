// Doing, probing and undoing one typed step on a container. Decided on the container's file and the storage's
// list of volumes as they are right before, never on what pct answers.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "services/kit/participant/domain.h"
#include "services/proxmox/domain/container_planner.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/worker/container_payload.h"

namespace phoenix::proxmox {

// Not thread-safe: changes are taken one at a time.
class ContainerChanges {
 public:
  explicit ContainerChanges(ProxmoxHost& host) : host_(host) {}

  absl::StatusOr<CapturedContainer> Capture(const ContainerStep& step);
  // Warnings of pct are added to `warnings`.
  absl::Status Do(const ContainerStep& step, const CapturedContainer& before, const ChildObserver& on_child,
                  std::vector<std::string>& warnings);
  // `undoing`: as the kit says it (StepContext).
  absl::StatusOr<kit::ProbeResult> Probe(const ContainerStep& step, const CapturedContainer& before,
                                         bool undoing);
  absl::Status Undo(const ContainerStep& step, const CapturedContainer& before,
                    const ChildObserver& on_child);
  // What a person runs where Undo failed.
  std::vector<std::string> RemainingCommands(const ContainerStep& step, const CapturedContainer& before);
  // What becomes of the step if it is taken back now.
  absl::StatusOr<kit::Retrospect> LookBack(const ContainerStep& step, const CapturedContainer& before);
  // What holds of a step that was done, for people; an error where it does not hold any more.
  absl::Status Verify(const ContainerStep& step, kit::VerifyReport& report);

 private:
  // Another tool may rewrite the container's file between our reading and our change; each time is decided
  // anew.
  static constexpr int kTries = 3;

  struct Seen {
    ContainerConfig config;
    bool running = false;
  };
  // A volume that came since the step was captured and is mounted nowhere, with its dataset.
  struct Loose {
    std::string dataset;
    std::string key;  // "unused0"; "" where the container does not name it
  };
  struct Sizes {
    uint64_t in_file = 0, in_storage = 0;
  };

  absl::StatusOr<Seen> See(uint32_t id);
  // By volume id, on storages whose volumes can be looked into.
  absl::StatusOr<std::map<std::string, Loose>> LooseVolumes(const ContainerStep& step,
                                                            const CapturedContainer& before,
                                                            const ContainerConfig& config);
  // Why the volume is not freed; "" where it may be.
  absl::StatusOr<std::string> HeldBy(const std::string& volume, const Loose& loose,
                                     const ContainerConfig& config);
  absl::StatusOr<std::string> DatasetOf(const std::string& volume);
  absl::StatusOr<Sizes> SizesOf(const ContainerStep& step);
  // Why the volume has to keep its new size, with the way back; "" where its former one is enough.
  absl::StatusOr<std::string> Outgrown(const ContainerStep& step, const CapturedContainer& before);

  // Proxmox VE takes a directory that is not there without a word, and the container then does not start.
  absl::Status CheckFolders(uint32_t id, const std::vector<NewMount>& mounts);
  // One `pct set`, decided on the file. ABORTED where somebody changes the file again and again.
  absl::Status MountNow(const ContainerStep& step, const std::vector<NewMount>& mounts,
                        const CapturedContainer& before, const ChildObserver& on_child,
                        std::vector<std::string>& warnings);
  absl::Status DoMounts(const ContainerStep& step, const CapturedContainer& before,
                        const ChildObserver& on_child, std::vector<std::string>& warnings);
  absl::StatusOr<kit::ProbeResult> ProbeMounts(const ContainerStep& step, const CapturedContainer& before);
  absl::Status UndoMounts(const ContainerStep& step, const CapturedContainer& before,
                          const ChildObserver& on_child);
  absl::Status TakeLinesAway(const ContainerStep& step, const CapturedContainer& before,
                             const ChildObserver& on_child);
  absl::Status FreeVolumes(const ContainerStep& step, const CapturedContainer& before,
                           const ChildObserver& on_child);

  // The one mount point of the step, taken away or put back. FAILED_PRECONDITION where another line is there.
  absl::Status SetLine(const ContainerStep& step, bool there, const ChildObserver& on_child);
  absl::StatusOr<kit::ProbeResult> ProbeLine(const ContainerStep& step);

  absl::Status Grow(const ContainerStep& step, const CapturedContainer& before,
                    const ChildObserver& on_child);
  absl::StatusOr<kit::ProbeResult> ProbeGrowth(const ContainerStep& step, const CapturedContainer& before,
                                               bool undoing);
  // Both in the storage and in the container's file, from any size.
  absl::Status SetSize(const ContainerStep& step, uint64_t size, const ChildObserver& on_child);
  absl::Status GiveSizeBack(const ContainerStep& step, const CapturedContainer& before,
                            const ChildObserver& on_child);

  ProxmoxHost& host_;
};

}  // namespace phoenix::proxmox
