// Doing, probing and undoing one typed step on the host. The rules of membership are here: what an add, a
// change or a removal means is decided on the entries read right before, never on what the plan remembers.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/secret.h"
#include "services/kit/participant/domain.h"
#include "services/proxmox/domain/proxmox_planner.h"
#include "services/proxmox/host/proxmox_host.h"
#include "services/proxmox/worker/step_payload.h"

namespace phoenix::proxmox {

// Not thread-safe: changes are taken one at a time.
class StorageChanges {
 public:
  explicit StorageChanges(ProxmoxHost& host) : host_(host) {}

  absl::StatusOr<Captured> Capture(const StorageStep& step);
  // Warnings of the tool are added to `warnings`. A refusal names the entry and what to do.
  // `password` for a step that names a secret.
  absl::Status Do(const StorageStep& step, const Captured& before, const Secret& password,
                  const ChildObserver& on_child, std::vector<std::string>& warnings);
  absl::StatusOr<kit::ProbeResult> Probe(const StorageStep& step, const Captured& before);
  absl::Status Undo(const StorageStep& step, const Captured& before, const ChildObserver& on_child);
  // What a person runs where Undo failed.
  std::vector<std::string> RemainingCommands(const StorageStep& step, const Captured& before);

 private:
  absl::Status Join(const StorageStep& step, const Secret& password, const ChildObserver& on_child,
                    std::vector<std::string>& warnings);
  absl::StatusOr<bool> BelongsToAll(const StorageEntry& entry, const std::string& node);
  absl::Status Leave(const StorageStep& step, const Definition& definition, const ChildObserver& on_child);
  absl::Status SetFields(const StorageStep& step, const Captured& before, bool back,
                         const ChildObserver& on_child, std::vector<std::string>& warnings);
  absl::Status AddBack(const StorageStep& step, const StorageEntry& entry, const ChildObserver& on_child);
  absl::StatusOr<Words> PresentFolders(const StorageStep& step);
  absl::StatusOr<std::vector<std::string>> Leftovers(const StorageStep& step, const Captured& before);
  absl::Status Tidy(const StorageStep& step, const Captured& before, const ChildObserver& on_child);
  // `others`: the entry as other nodes of the cluster have it.
  absl::StatusOr<kit::ProbeResult> ProbeGone(const StorageStep& step, const Captured& before,
                                             const std::optional<StorageEntry>& others);

  ProxmoxHost& host_;
};

}  // namespace phoenix::proxmox
