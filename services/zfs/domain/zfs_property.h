// The native properties of datasets: which there are, how their values compare, how each is put back. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix::zfs {

enum class PropertyKind {
  kText,    // compared as it is
  kChoice,  // one of a list
  kSize,    // bytes; "none" is 0
  kLimit,   // a count; "none" is no limit
  kPath,    // a mount point
};

struct PropertyRule {
  std::string_view name;
  PropertyKind kind = PropertyKind::kText;
  // `zfs inherit` takes it; otherwise only `zfs inherit -S` does, which puts back the received value or the
  // default.
  bool inheritable = true;
  // Can be given at creation only.
  bool create_only = false;
  bool filesystems = true;
  bool volumes = true;
  // What a dataset has where nothing is set, as `zfs get -p` shows it.
  std::string_view standard;
  // kChoice: blank-separated.
  std::string_view choices = {};
};

// All settable native properties.
const std::vector<PropertyRule>& PropertyRules();
// nullptr for a name that is no settable native property.
const PropertyRule* FindProperty(std::string_view name);
// User properties hold a colon.
bool IsUserProperty(std::string_view name);
// False for quota and the like, which need `zfs inherit -S`.
bool IsInheritable(std::string_view name);

// The user property that marks what a run created.
inline constexpr std::string_view kRunMark = "phoenix:run";
// The run that put an object into the trash.
inline constexpr std::string_view kTrashMark = "phoenix:trash";
// When the run that put an object into the trash was committed, in seconds since 1970: from then on it may be
// reaped.
inline constexpr std::string_view kCommittedMark = "phoenix:committed";
// What a kept dataset was called before undo put it aside, or of which dataset it is how that was before.
inline constexpr std::string_view kKeptMark = "phoenix:kept";
// Its canmount before undo put it aside, kNotSet where that was not set on it.
inline constexpr std::string_view kCanmountMark = "phoenix:canmount";
inline constexpr std::string_view kNotSet = "default";
// How far the step is that took the snapshot that carries it.
inline constexpr std::string_view kStageMark = "phoenix:stage";
// The boot during which a step took the snapshot that carries it.
inline constexpr std::string_view kBootMark = "phoenix:boot";
// `written` of a dataset that is not mounted, right after its creation.
inline constexpr std::string_view kWrittenMark = "phoenix:written";

// "1.4T" in bytes, by ZFS's own arithmetic: a fraction times a power of two, truncated.
absl::StatusOr<uint64_t> ParseSize(std::string_view text);

// The form in which values of this property compare: sizes in bytes, aliases resolved. INVALID_ARGUMENT for a
// value that the property does not take.
absl::StatusOr<std::string> CanonicalValue(std::string_view property, std::string_view value);

// True when both mean the same to ZFS.
bool SameValue(std::string_view property, std::string_view a, std::string_view b);
// The same to that version of it, "2.2.7-pve2"; "" is taken for a newer one than 2.2.
bool SameValueIn(std::string_view version, std::string_view property, std::string_view a, std::string_view b);

}  // namespace phoenix::zfs
