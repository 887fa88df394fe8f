// Removal by name: "state": "absent", and what may not stand on what goes.
#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/config/sections.h"

namespace phoenix::config {
namespace {

// The absent dataset that provides the path now, unless a present one lies in between; null for none.
const Dataset* GoingBelow(const Config& config, std::string_view path) {
  const Dataset* deepest = nullptr;
  for (const Dataset& dataset : config.datasets) {
    if (dataset.mountpoint.empty() || !IsAtOrBelow(path, dataset.mountpoint)) continue;
    if (deepest == nullptr || dataset.mountpoint.size() > deepest->mountpoint.size()) deepest = &dataset;
  }
  return deepest != nullptr && deepest->absent ? deepest : nullptr;
}

}  // namespace

std::optional<bool> ReadAbsent(const Cursor& element, std::string_view key) {
  const Cursor state = element.Key(key);
  if (!state.present()) return false;
  const auto text = state.String();
  if (!text.has_value()) return std::nullopt;
  if (*text == "present" || *text == "absent") return *text == "absent";
  // Taking a misspelled "absent" for "present" would make what someone wanted to be rid of.
  state.Error("unknown-state", "this state is not known", "present or absent");
  return std::nullopt;
}

void CheckAbsent(const Config& config, Findings& findings) {
  const auto refuse = [&](const Origin& where, std::string_view what, const Dataset& gone) {
    findings.Error("stands-on-absent", where,
                   fmt::format("{} stands on the dataset {}, which is absent at {}", what, gone.full_name,
                               gone.origin.ToString()),
                   {}, "the same state for both, or another path");
  };
  for (const Pool& pool : config.pools) {
    if (!pool.absent) continue;
    for (const Dataset& dataset : config.datasets) {
      if (dataset.absent || dataset.pool != pool.name) continue;
      findings.Error("stands-on-absent", dataset.origin,
                     fmt::format("this dataset is in the pool {}, which is absent at {}", pool.name,
                                 pool.origin.ToString()),
                     {}, "the same state for both");
    }
  }
  for (const Dataset& dataset : config.datasets) {
    if (dataset.absent) continue;
    for (const Dataset& other : config.datasets) {
      if (other.absent && dataset.full_name.starts_with(other.full_name + "/"))
        refuse(dataset.origin, "this dataset", other);
    }
  }
  for (const NfsExport& entry : config.exports) {
    const Dataset* gone = GoingBelow(config, entry.path);
    if (gone != nullptr && !entry.absent) refuse(entry.origin, "this export", *gone);
  }
  for (const SambaShare& share : config.samba.shares) {
    const Dataset* gone = GoingBelow(config, share.path);
    if (gone != nullptr && !share.absent) refuse(share.origin, "this share", *gone);
  }
  for (const SambaUser& user : config.samba.users) {
    if (!user.absent) continue;
    const auto needed = [&](const Origin& where, std::string_view by) {
      findings.Error(
          "absent-user", where,
          fmt::format("the user {} is absent at {}, and {}", user.name, user.origin.ToString(), by), {},
          "a user that is not absent");
    };
    for (const SambaShare& share : config.samba.shares) {
      if (!share.absent && std::count(share.valid_users.begin(), share.valid_users.end(), user.name) > 0)
        needed(share.origin, "may use this share");
    }
  }
}

}  // namespace phoenix::config
