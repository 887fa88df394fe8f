#include "orchestrator/config/zfs_acl.h"

#include <fmt/format.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/config/inherited.h"
#include "orchestrator/config/names.h"

namespace phoenix::config {
namespace {

constexpr const char* kAllowed =
    "entries as setfacl has them: user:NAME:r-x, group:NAME:rwx, default:group:NAME:rwx";

struct Entry {
  bool inherited = false;
  std::string_view kind, name, rights;
};

// "" of a good one.
std::string ProblemOf(std::string_view text, Entry& entry) {
  constexpr std::string_view kDefault = "default:", kLetters = "rwx";
  entry.inherited = text.starts_with(kDefault);
  if (entry.inherited) text.remove_prefix(kDefault.size());
  const std::size_t first = text.find(':'), last = text.rfind(':');
  if (first == std::string_view::npos || first == last) return kAllowed;
  entry.kind = text.substr(0, first);
  entry.name = text.substr(first + 1, last - first - 1);
  entry.rights = text.substr(last + 1);
  const bool known = entry.kind == "user" || entry.kind == "group" ||
                     (entry.name.empty() && (entry.kind == "mask" || entry.kind == "other"));
  bool good = known && entry.rights.size() == kLetters.size();
  for (std::size_t i = 0; good && i < kLetters.size(); ++i)
    good = entry.rights[i] == kLetters[i] || entry.rights[i] == '-';
  if (!good) return kAllowed;
  if (entry.name.empty() && !entry.inherited && entry.kind != "group")
    return "no such entry: owner, others and mask are the digits of the mode";
  if (const auto problem = UserNameProblem(entry.name);
      problem.has_value() && !entry.name.empty() && !IsId(entry.name)) {
    return *problem + "; or a number";
  }
  return "";
}

}  // namespace

void ReadRootAcl(const Cursor& acl, const Cursor& mode, Ownership& ownership) {
  if (!acl.present()) return;
  const std::vector<Text> texts = acl.StringList(", \t");
  std::vector<std::string> entries;
  std::set<std::string> seen;
  for (const Text& text : texts) {
    Entry entry;
    if (const std::string problem = ProblemOf(text.value, entry); !problem.empty()) {
      acl.findings().Error("invalid-acl-entry", text.origin, "this is no entry of an access control list",
                           Quoted(text.value), problem);
      continue;
    }
    if (!seen.insert(text.value.substr(0, text.value.rfind(':'))).second) {
      acl.findings().Error("invalid-acl-entry", text.origin, "an entry for the same was declared before",
                           Quoted(text.value), "one for each");
      continue;
    }
    const std::uint32_t mask = ownership.mode.value_or(0777) >> 3U & 7U;
    const bool beyond = (entry.rights[0] != '-' && (mask & 4U) == 0) ||
                        (entry.rights[1] != '-' && (mask & 2U) == 0) ||
                        (entry.rights[2] != '-' && (mask & 1U) == 0);
    if (!entry.inherited && beyond) {
      acl.findings().Error(
          "acl-beyond-mode", text.origin,
          "this gives more than the group digit of `mode` lets through, which is the mask of "
          "an access control list",
          Quoted(text.value), fmt::format("less, or more than mode {:o}", *ownership.mode));
    }
    entries.push_back(text.value);
  }
  if (!texts.empty() && !mode.present()) {
    acl.Error("acl-needs-mode",
              "the group digit of the mode is the mask of an access control list: what its entries give",
              "a mode beside it");
  }
  ownership.acl = std::move(entries);
}

void LintRootAcls(const Config& config, Findings& findings) {
  for (const Dataset& dataset : config.datasets) {
    if (dataset.absent || !dataset.ownership || !dataset.ownership->acl || dataset.ownership->acl->empty())
      continue;
    const Property* type = PropertyOf(config, dataset.full_name, "acltype");
    if (type != nullptr && (type->value == "posix" || type->value == "posixacl")) continue;
    findings.Lint(
        "acl-not-kept", dataset.origin,
        fmt::format("{} has an ACL, but the file declares {} for it, which keeps none on Linux: set "
                    "acltype=posix, and xattr=sa",
                    dataset.full_name, type == nullptr ? "no acltype" : "acltype=" + type->value));
  }
}

}  // namespace phoenix::config
