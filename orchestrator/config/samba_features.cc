#include "orchestrator/config/samba_features.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "orchestrator/config/inherited.h"

namespace phoenix::config {
namespace {

constexpr std::size_t kLongestFormat = 200;

// Other modules that show snapshots, each with settings of its own.
const std::vector<std::string> kOtherSnapshotModules = {"shadow_copy", "snapper", "btrfs", "shell_snap",
                                                        "ceph_snapshots"};
// Modules that keep ACLs somewhere else than `windows` does.
const std::vector<std::string> kOtherAclModules = {"acl_tdb", "nfs4acl_xattr"};

// The module of `vfs objects` that is among `modules`, or "".
std::string ModuleAmong(const SambaOption& option, const std::vector<std::string>& modules) {
  if (option.name != "vfs objects") return {};
  for (const std::string_view word : SplitTrimmed(option.value, ", \t")) {
    const std::string module = ToLower(word);
    if (std::find(modules.begin(), modules.end(), module) != modules.end()) return module;
  }
  return {};
}

void Contradicts(const SambaOption& option, std::string_view what, const Cursor& key) {
  key.findings().Error(
      "contradicting-options", option.origin,
      fmt::format("{} contradicts {} at {}", what, Quoted(key.json().dump()), key.origin().ToString()), {},
      "one of the two");
}

bool IsOff(const SambaOption& option, std::string_view name) {
  return option.name == name && ParseSambaBool(option.value) == false;
}

void ReadPreviousVersions(const Cursor& cursor, const std::vector<SambaOption>& options, SambaShare& share) {
  if (!cursor.present()) return;
  PreviousVersions wanted{kSnapshotFormat, false};
  if (cursor.is_object()) {
    cursor.ExpectKeys({"format", "local_time"});
    const Cursor format = cursor.Key("format");
    wanted.format = format.String().value_or(kSnapshotFormat);
    if (const std::string problem = SnapshotFormatProblem(wanted.format); !problem.empty()) {
      format.findings().Error("invalid-snapshot-format", format.origin(), problem, Quoted(wanted.format),
                              "the whole name of the snapshots with %Y, %m, %d, %H, %M, %S for their time");
    }
    wanted.local_time = cursor.Key("local_time").Bool().value_or(false);
  } else if (!cursor.Bool().value_or(false)) {
    return;
  }
  for (const SambaOption& option : options) {
    const bool ours = option.name == "shadow:snapdir" || option.name == "shadow:sort" ||
                      option.name == "shadow:format" || option.name == "shadow:localtime";
    if (ours) Contradicts(option, fmt::format("the parameter {}", Quoted(option.name)), cursor);
    if (const std::string other = ModuleAmong(option, kOtherSnapshotModules); !other.empty())
      Contradicts(option, fmt::format("the module {}", other), cursor);
  }
  share.previous_versions = wanted;
}

void ReadAcl(const Cursor& cursor, const std::vector<SambaOption>& options, SambaShare& share) {
  std::string word;
  ReadWord(cursor, "this is no kind of access control lists", {"posix", "windows"}, word);
  if (word.empty()) return;
  share.acl = word == "posix" ? ShareAcl::kPosix : ShareAcl::kWindows;
  std::vector<std::string> others = kOtherAclModules;
  if (share.acl == ShareAcl::kPosix) others.push_back("acl_xattr");
  const std::string needed = share.acl == ShareAcl::kPosix ? "inherit acls" : "map acl inherit";
  for (const SambaOption& option : options) {
    if (IsOff(option, needed) || IsOff(option, "nt acl support"))
      Contradicts(option, fmt::format("{} = no", option.name), cursor);
    if (const std::string other = ModuleAmong(option, others); !other.empty())
      Contradicts(option, fmt::format("the module {}", other), cursor);
  }
}

std::string Inherited(const Config& config, const std::string& dataset, const std::string& property) {
  const Property* said = PropertyOf(config, dataset, property);
  return said == nullptr ? "" : said->value;
}

void LintAcl(const SambaShare& share, const Config& config, Findings& findings) {
  if (share.acl == ShareAcl::kUnsaid || share.dataset.empty()) return;
  const std::string type = Inherited(config, share.dataset, "acltype");
  if (type != "posix" && type != "posixacl") {
    findings.Lint(
        "acl-not-kept", share.origin,
        fmt::format("the share {} keeps ACLs, but the file declares {} for {}, which keeps none on "
                    "Linux: set acltype=posix",
                    Quoted(share.name), type.empty() ? "no acltype" : "acltype=" + type, share.dataset));
  }
  const std::string xattr = Inherited(config, share.dataset, "xattr");
  if (xattr != "sa") {
    findings.Lint(
        "acl-not-kept", share.origin,
        fmt::format("the share {} keeps ACLs in extended attributes, and the file declares {} for {}: "
                    "{}; set xattr=sa",
                    Quoted(share.name), xattr.empty() ? "no xattr" : "xattr=" + xattr, share.dataset,
                    xattr == "off" ? "none can be kept" : "each may be a hidden file of its own"));
  }
}

void LintPreviousVersions(const SambaShare& share, const Config& config, Findings& findings) {
  if (!share.previous_versions.has_value()) return;
  if (share.dataset.empty()) {
    findings.Lint(
        "no-previous-versions", share.origin,
        fmt::format("no declared dataset provides {}: previous versions are snapshots of the ZFS file "
                    "system that is mounted there",
                    share.path));
    return;
  }
  for (const Dataset& below : config.datasets) {
    if (below.absent || below.full_name == share.dataset || below.mountpoint.empty() ||
        !IsAtOrBelow(below.mountpoint, share.path))
      continue;
    findings.Lint(
        "no-previous-versions", share.origin,
        fmt::format("{} is mounted in the share {}: its snapshots are its own, so that there are no "
                    "previous versions of what is below {}; share it by itself",
                    below.full_name, Quoted(share.name), below.mountpoint));
  }
}

}  // namespace

void ReadWord(const Cursor& cursor, std::string_view problem, const std::vector<std::string>& words,
              std::string& value) {
  const auto text = cursor.String();
  if (!text.has_value() || text->empty()) return;
  if (std::find(words.begin(), words.end(), *text) == words.end()) {
    cursor.Error("invalid-samba-setting", std::string(problem), OneOf(words));
    return;
  }
  value = *text;
}

std::string SnapshotFormatProblem(std::string_view format) {
  constexpr std::string_view kKnown = "YmdHMSyjbBFTR";
  if (format.empty() || format.size() > kLongestFormat)
    return fmt::format("a format has 1 to {} characters", kLongestFormat);
  std::set<char> given;
  for (std::size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    if (c == '%') {
      const char letter = ++at < format.size() ? format[at] : ' ';
      if (kKnown.find(letter) == std::string_view::npos)
        return fmt::format("%{} is no part of a time that a name is read by", letter);
      given.insert(letter);
    } else if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
               std::string_view("_.:-").find(c) == std::string_view::npos) {
      return "a name of a snapshot has letters, digits and _.:- only";
    }
  }
  const auto has = [&](std::string_view letters) {
    return std::any_of(letters.begin(), letters.end(), [&](char letter) { return given.count(letter) > 0; });
  };
  const bool day = has("F") || (has("Yy") && (has("j") || (has("mbB") && has("d"))));
  return day ? "" : "this format names no day";
}

void ReadShareFeatures(const Cursor& share, const std::vector<SambaOption>& options, SambaShare& out) {
  ReadPreviousVersions(share.Key("previous_versions"), options, out);
  ReadAcl(share.Key("acl"), options, out);
}

void LintShareFeatures(const Config& config, Findings& findings) {
  for (const SambaShare& share : config.samba.shares) {
    if (share.absent) continue;
    LintAcl(share, config, findings);
    LintPreviousVersions(share, config, findings);
  }
}

}  // namespace phoenix::config
