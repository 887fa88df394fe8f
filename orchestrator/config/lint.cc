#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/config/inherited.h"
#include "orchestrator/config/samba_features.h"
#include "orchestrator/config/sections.h"
#include "orchestrator/config/zfs_acl.h"

namespace phoenix::config {
namespace {

bool Has(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool HasPrefix(const std::vector<std::string>& list, std::string_view prefix) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& item) { return item.substr(0, prefix.size()) == prefix; });
}

void LintPools(const Config& config, Findings& findings) {
  std::set<std::string> pools;
  for (const Pool& pool : config.pools) pools.insert(pool.name);
  std::set<std::string> told;
  for (const Dataset& dataset : config.datasets) {
    if (pools.count(dataset.pool) == 0 && told.insert(dataset.pool).second) {
      findings.Lint(
          "pool-not-declared", dataset.origin,
          fmt::format("the pool {} is not declared in zfs.pools and must exist already", dataset.pool));
    }
    const std::size_t slash = dataset.full_name.rfind('/');
    const std::string parent = dataset.full_name.substr(0, slash);
    if (parent != dataset.pool && config.FindDataset(parent) == nullptr) {
      findings.Lint("parent-not-declared", dataset.origin,
                    fmt::format("the parent {} is not declared and must exist already", parent));
    }
  }
}

void LintStorages(const Config& config, Findings& findings) {
  for (const ProxmoxStorage& storage : config.storages) {
    const Dataset* dataset = config.FindDataset(storage.dataset);
    const bool zvols_only =
        storage.type == StorageType::kZfsPool && storage.contents == std::vector<std::string>{"images"};
    const auto recordsize = dataset->properties.find("recordsize");
    if (zvols_only && recordsize != dataset->properties.end()) {
      findings.Lint(
          "recordsize-on-volumes", recordsize->second.origin,
          fmt::format("{} holds volumes only, for which recordsize means nothing (their block size is the "
                      "storage's blocksize)",
                      dataset->full_name));
    }
    const bool network =
        std::any_of(config.exports.begin(), config.exports.end(),
                    [&](const NfsExport& entry) { return entry.dataset == storage.dataset; }) ||
        std::any_of(config.samba.shares.begin(), config.samba.shares.end(),
                    [&](const SambaShare& share) { return share.dataset == storage.dataset; });
    if (network && (storage.type == StorageType::kZfsPool || storage.type == StorageType::kDir)) {
      findings.Lint(
          "shared-guest-storage", storage.origin,
          fmt::format("{} is guest storage ({}) and reachable over the network as well: whoever may write "
                      "there may reach the guests' files",
                      storage.dataset, storage.id));
    }
  }
}

// True where the files' hint `mount_point_base` was taken for the place of the datasets.
std::string BelowMountPointBase(const std::string& path, const Cursor& root, const Config& config) {
  const Cursor base = root.Key("mount_point_base");
  if (!base.is_string()) return {};
  std::string prefix = base.json().get<std::string>();
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  if (prefix.empty() || !IsAtOrBelow(path, prefix) || path.size() <= prefix.size()) return {};
  const std::string rest = path.substr(prefix.size());
  return config.DatasetProviding(rest) == nullptr ? "" : rest;
}

void LintPath(const std::string& what, const std::string& path, const std::string& dataset,
              const Origin& origin, const Cursor& root, const Config& config) {
  if (!dataset.empty()) return;
  const std::string meant = BelowMountPointBase(path, root, config);
  const std::string hint =
      meant.empty()
          ? ""
          : fmt::format("; datasets are not mounted below mount_point_base, {} may be meant", meant);
  root.findings().Lint("undeclared-path", origin,
                       fmt::format("no declared dataset provides the path of this {}{}", what, hint), path);
}

// A client of the outer export that reaches the inner one through it, by other rules than the inner one's
// own.
void LintNested(const NfsExport& inner, const NfsExport& outer, Findings& findings) {
  const bool below = inner.path != outer.path && IsAtOrBelow(inner.path, outer.path);
  const bool same = !inner.dataset.empty() && inner.dataset == outer.dataset;
  const bool crosses = Has(outer.options, "crossmnt");
  if (inner.absent || outer.absent || !below || (!same && !crosses)) return;
  const bool writes = Has(outer.options, "rw") && !Has(inner.options, "rw");
  const auto stranger = std::find_if(outer.clients.begin(), outer.clients.end(),
                                     [&](const std::string& client) { return !Has(inner.clients, client); });
  // Where both exports name the client, mountd takes the inner one for the inner file system. Within one file
  // system the server cannot tell.
  if (stranger == outer.clients.end() && !(same && writes)) return;
  findings.Lint("nested-exports", inner.origin,
                fmt::format("{} lies below the export {} at {}{}: {} {} it there, whatever is said here",
                            inner.path, outer.path, outer.origin.ToString(),
                            same ? ", in the same file system" : ", which has crossmnt",
                            stranger == outer.clients.end() ? "its clients" : *stranger,
                            writes ? "may write to" : "may reach"));
}

void LintExports(const Cursor& root, const Config& config) {
  Findings& findings = root.findings();
  for (const NfsExport& entry : config.exports) {
    LintPath("export", entry.path, entry.dataset, entry.origin, root, config);
    for (const SambaShare& share : config.samba.shares) {
      if (!IsAtOrBelow(entry.path, share.path) && !IsAtOrBelow(share.path, entry.path)) continue;
      findings.Lint(
          "exported-and-shared", entry.origin,
          fmt::format("{} is exported here and shared as {} at {}: one owner and mode must suit both",
                      entry.path, Quoted(share.name), share.origin.ToString()));
    }
    for (const NfsExport& parent : config.exports) {
      LintNested(entry, parent, findings);
      const bool below = parent.path != entry.path && IsAtOrBelow(entry.path, parent.path);
      if (!below || (!Has(parent.options, "no_root_squash") && !Has(entry.options, "no_root_squash")))
        continue;
      findings.Lint(
          "parent-export-no-root-squash", entry.origin,
          fmt::format("{} lies below the export {} at {}, and with no_root_squash root on a client of one "
                      "reaches the other's files",
                      entry.path, parent.path, parent.origin.ToString()));
    }
    const Dataset* dataset = config.FindDataset(entry.dataset);
    if (dataset == nullptr) continue;
    const Property* sharenfs = PropertyOf(config, dataset->full_name, "sharenfs");
    if (!entry.absent && sharenfs != nullptr && sharenfs->value != "off") {
      const bool own = dataset->properties.contains("sharenfs");
      findings.Lint(
          "sharenfs-and-export", sharenfs->origin,
          fmt::format("{}ZFS exports {} itself, besides the export at {}; keep one",
                      own ? "" : "by inheriting this, ", dataset->full_name, entry.origin.ToString()));
    }
    const bool root_owned = !dataset->ownership.has_value() || dataset->ownership->owner.empty() ||
                            dataset->ownership->owner == "root" || dataset->ownership->owner == "0";
    // An ACL may let nobody write.
    const bool all_write =
        dataset->ownership.has_value() &&
        ((dataset->ownership->mode.value_or(0) & 0002U) != 0 || dataset->ownership->acl.has_value());
    const bool squashed = !Has(entry.options, "no_root_squash") && !HasPrefix(entry.options, "anonuid=") &&
                          !HasPrefix(entry.options, "anongid=");
    if (Has(entry.options, "rw") && squashed && root_owned && !all_write &&
        entry.path == dataset->mountpoint) {
      findings.Lint(
          "squashed-root-cannot-write", entry.origin,
          fmt::format("root on a client becomes nobody, who cannot write to the root of {}, which belongs to "
                      "root: give the dataset an owner or mode, or the export anonuid= or no_root_squash",
                      dataset->full_name));
    }
  }
  for (const SambaShare& share : config.samba.shares) {
    LintPath("share", share.path, share.dataset, share.origin, root, config);
  }
  for (const SharedVolume& volume : config.shared_volumes) {
    // Directories outside all datasets are legal here; only a wrong guess of the mount point is doubtful.
    if (config.DatasetProviding(volume.host_path) == nullptr &&
        !BelowMountPointBase(volume.host_path, root, config).empty()) {
      LintPath("volume", volume.host_path, "", volume.origin, root, config);
    }
  }
}

// A node's firewall opens Samba to the subnet only.
void LintShareClients(const Cursor& root, const Config& config) {
  const bool shares = std::any_of(config.samba.shares.begin(), config.samba.shares.end(),
                                  [](const SambaShare& share) { return !share.absent; });
  if (!shares || !config.default_subnet.empty()) return;
  root.findings().Lint("no-share-clients", root.Key("samba").Key("shares").origin(),
                       "there is no network.default_subnet: where a firewall is active on a node, it lets "
                       "nobody through to the shares");
}

}  // namespace

void LintTogether(const Cursor& root, const Config& config) {
  LintPools(config, root.findings());
  LintStorages(config, root.findings());
  LintExports(root, config);
  LintShareClients(root, config);
  LintShareFeatures(config, root.findings());
  LintRootAcls(config, root.findings());
  LintSpace(config, root.findings());
}

}  // namespace phoenix::config
