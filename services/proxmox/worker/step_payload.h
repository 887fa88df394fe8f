// A typed step and what was captured for it, as the JSON that is journaled.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "services/proxmox/domain/proxmox_planner.h"

namespace phoenix::proxmox {

// Steps written by an older build must stay readable: new members get defaults.
std::string ToPayload(const StorageStep& step);
absl::StatusOr<StorageStep> FromPayload(std::string_view payload);

// What undoing a step needs, and what must not change between Prepare and the step.
struct Captured {
  bool member = false;    // this node has the entry
  Words folders;          // of those that the entry's activation may make, the ones that are there
  bool mounted = false;   // nfs, cifs: something is mounted at the entry's path
  bool password = false;  // a step with a password: a file for it is there, and no entry
  // kSet: the fields to change as they are; nullopt for an option that is not set. The type tells the entry
  // from another one of the same id.
  std::string type;
  std::optional<Words> content;
  std::map<std::string, std::optional<std::string>> options;
  // kRemove: the whole entry.
  std::optional<StorageEntry> entry;
  friend bool operator==(const Captured&, const Captured&) = default;
};

std::string ToJson(const Captured& captured);
absl::StatusOr<Captured> ParseCaptured(std::string_view json);

// What the ledger keeps of an entry: the last applied fields, and whether Phoenix made the entry or joined
// another's.
std::string LedgerFields(const StorageStep& step);
bool LedgerSaysEntryCreated(std::string_view fields);

}  // namespace phoenix::proxmox
