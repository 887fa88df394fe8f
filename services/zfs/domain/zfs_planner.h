// Plans: what is wanted and what was seen become typed steps. Pure: no clock, no I/O, the same input gives
// the same plan.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/zfs/domain/zfs_spec.h"
#include "services/zfs/domain/zfs_state.h"
#include "services/zfs/domain/zfs_step.h"

namespace phoenix::zfs {

// What the ledger says is ours.
struct Ownership {
  // Key ("dataset:quickOS/a") to native identity (GUID) of what we created.
  std::map<std::string, std::string, std::less<>> created;
  // Dataset to "GUID owner:group mode": what everything in it was given last.
  std::map<std::string, std::string, std::less<>> trees;
  // The files that were delivered; `identity` is the dataset's GUID.
  struct Delivery {
    std::string dataset, identity, path;
  };
  std::vector<Delivery> deliveries;
  // The ledger holds nothing at all, not even what was adopted.
  bool blank = false;
  // Where this record and the journal lie; "" where that is not on this machine's file systems.
  std::string record_directory;
};

// The keys that were given.
struct GivenKeys {
  // What tells one from another, by the secret's name.
  std::map<std::string, std::string, std::less<>> macs;
  // What is wrong with the key of a dataset, without its value.
  std::map<std::string, std::string, std::less<>> wrong;
};

enum class Reversal { kExact, kConfig, kLossy, kPointOfNoReturn };

struct Need {
  std::string key;
  bool satisfied_now = false;
  friend bool operator==(const Need&, const Need&) = default;
};

struct Difference {
  std::string field, before, after;
  friend bool operator==(const Difference&, const Difference&) = default;
};

struct PlannedStep {
  std::string id, resource, action;
  ZfsStep step;
  Reversal reversal = Reversal::kExact;
  std::string undo;       // in words
  std::string remainder;  // what undo leaves
  std::vector<Difference> differences;
  std::vector<Need> needs;
  std::vector<std::string> provides, removes, disturbs;
};

struct PlanNote {
  bool warning = false;
  std::string resource, text;
};

struct ZfsPlan {
  std::vector<PlannedStep> steps;
  std::vector<PlanNote> notes;
  // What the plan rests on, as text without anything that moves by itself.
  std::string fingerprint_text;
  // Keys that are there without any step.
  std::vector<std::string> provided_now;
};

// What has to be looked at first.
ObserveRequest FirstLook(const ZfsSpec& spec);
// What has to be looked at besides, now that the datasets are known: mount points and the directories above
// them, and the health of disks that pools would get.
ObserveRequest SecondLook(const ZfsSpec& spec, const ZfsState& seen);

// INVALID_ARGUMENT with one violation per problem, all at once, each at its place in the configuration;
// FAILED_PRECONDITION where only the node's state stands against what is wanted, or where its record is blank
// although its pools carry marks of runs.
absl::StatusOr<ZfsPlan> MakePlan(const ZfsSpec& spec, const ZfsState& seen, const Ownership& owned,
                                 const GivenKeys& keys = {});

// The smallest limit that ZFS honours.
inline constexpr uint64_t kLeastArcBytes = uint64_t{64} << 20;
// The smallest value of zfs_arc_min that ZFS honours.
inline constexpr uint64_t kLeastArcMinBytes = uint64_t{32} << 20;
// modprobe reads the files of that folder in the order of their names, and the last value counts: the
// installer of Proxmox VE leaves a zfs.conf with a limit of its own.
inline constexpr std::string_view kArcFile = "/etc/modprobe.d/zzz-phoenix-zfs.conf";
// The content of kArcFile.
std::string ArcFileContent(uint64_t bytes);

// What a tree was given, as the ledger keeps it: "owner:group mode".
std::string TreeText(const RootWish& root);

// The file with every field given.
FileSpec Completed(FileSpec file);

// The users (true) and groups that an ACL names, and does not number.
std::set<std::pair<bool, std::string>> NamesOf(const std::optional<std::vector<std::string>>& acl);

// A uid or gid, given or looked up; nullopt for a name that is not there.
std::optional<uint32_t> IdOf(std::string_view name_or_number,
                             const std::map<std::string, uint32_t, std::less<>>& known);
// An octal text as a number.
uint32_t ModeOf(std::string_view octal);

}  // namespace phoenix::zfs
