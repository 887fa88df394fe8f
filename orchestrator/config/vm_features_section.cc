// `vm_features`: where features are delivered to VMs, and that nobody else reaches them there.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/config/inherited.h"
#include "orchestrator/config/names.h"
#include "orchestrator/config/nfs_grammar.h"
#include "orchestrator/config/sections.h"
#include "orchestrator/config/zfs_size.h"

namespace phoenix::config {
namespace {

constexpr std::size_t kLongestFileName = 128;

bool IsPlain(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

std::string ReadDataset(const Cursor& cursor) {
  if (!cursor.present()) {
    cursor.Error("missing", "the dataset for the features of VMs is not named",
                 "a dataset with its pool, like quickOS/vm-features");
  }
  const auto text = cursor.String();
  if (!text.has_value()) return {};
  const std::size_t slash = text->find('/');
  auto problem = slash == std::string::npos ? std::optional<std::string>("a name with its pool, pool/dataset")
                                            : PoolNameProblem(text->substr(0, slash));
  if (!problem.has_value()) problem = DatasetNameProblem(*text);
  if (!problem.has_value()) return *text;
  cursor.Error("invalid-name", "this is no dataset name", *problem);
  return {};
}

// A folder beside the configuration, or anywhere.
std::string ReadScripts(const Cursor& cursor) {
  constexpr const char* kAllowed =
      "a folder: an absolute path, or one from the configuration's folder; without . and .., in plain ASCII";
  if (!cursor.present()) cursor.Error("missing", "the folder of the scripts is not named", kAllowed);
  const auto text = cursor.String();
  if (!text.has_value()) return {};
  const bool relative = !text->empty() && text->front() != '/';
  const auto normal = NormalisedPath(relative ? "/" + *text : *text);
  if (normal.has_value() && *normal != "/") return relative ? normal->substr(1) : *normal;
  cursor.Error("invalid-path", "this is no folder of scripts", kAllowed);
  return {};
}

std::vector<std::string> ReadCommonFiles(const Cursor& cursor) {
  std::vector<std::string> files;
  for (const Text& file : cursor.StringList(", \t")) {
    const bool good = file.value.size() <= kLongestFileName && IsPlain(file.value, "._-") &&
                      file.value.front() != '.' && file.value.front() != '-';
    if (!good) {
      cursor.findings().Error("invalid-name", file.origin, "this is no file of the folder of scripts",
                              Quoted(file.value),
                              "a file name: letters, digits and ._-, 128 at most, not . or - first");
    } else if (std::count(files.begin(), files.end(), file.value) == 0) {
      files.push_back(file.value);
    }
  }
  return files;
}

std::string ReadServer(const Cursor& cursor, const Config& config) {
  const auto text = cursor.String();
  if (!text.has_value()) {
    if (!cursor.present() && config.server_address.empty()) {
      cursor.Error("missing", "the address of this node, from which VMs mount their features, is not known",
                   "an address here, or network.nfs_server");
    }
    return config.server_address;
  }
  const auto client = ParseNfsClient(*text);
  if (client.ok() && text->find('/') == std::string::npos && client->canonical[0] != '@')
    return client->canonical;
  cursor.Error("invalid-address", "this is no address of a server",
               "a host name or an address alone (10.0.0.13)");
  return config.server_address;
}

std::string ReadGuestPath(const Cursor& cursor, const char* otherwise) {
  const auto text = cursor.String();
  if (!text.has_value()) return otherwise;
  const auto normal = NormalisedPath(*text);
  if (normal.has_value() && *normal != "/" && IsPlain(*normal, "/._-")) return *normal;
  cursor.Error("invalid-path", "this is no mount point in a VM",
               "an absolute path of letters, digits and ._-/, without . and ..");
  return otherwise;
}

std::string ReadQuota(const Cursor& cursor) {
  constexpr const char* kDefault = "64M";
  if (!cursor.present()) return kDefault;
  const auto text = cursor.SizeText();
  if (!text.has_value()) return kDefault;
  const auto bytes = ParseZfsSize(*text);
  if (bytes.ok() && *bytes >= (1U << 20U)) return *text;
  cursor.Error("invalid-size", "this is no quota of an inbox", "a size of 1M at least: 64M, 1G");
  return kDefault;
}

// Who reaches the dataset of all VMs reaches the scripts of each, or writes into them.
void CheckExposure(const Config& config, const VmFeatures& wanted, Findings& findings) {
  const auto refuse = [&](const Origin& where, const std::string& what) {
    findings.Error("exposed-features", where,
                   fmt::format("{} reaches {}, where each VM has what only it may mount (vm_features)", what,
                               wanted.dataset),
                   {}, "a dataset for vm_features that nothing else exports or shares");
  };
  const auto related = [&](const std::string& path) {
    return IsAtOrBelow(path, wanted.mountpoint) || IsAtOrBelow(wanted.mountpoint, path);
  };
  for (const NfsExport& entry : config.exports) {
    const bool above = IsAtOrBelow(wanted.mountpoint, entry.path) && entry.path != wanted.mountpoint;
    const bool crosses = std::count(entry.options.begin(), entry.options.end(), "crossmnt") > 0;
    // An export above ends where another file system begins, unless it says otherwise.
    if (!entry.absent && related(entry.path) && (!above || crosses))
      refuse(entry.origin, fmt::format("the export of {}", entry.path));
  }
  for (const SambaShare& share : config.samba.shares) {
    if (!share.absent && related(share.path))
      refuse(share.origin, fmt::format("the share {}", Quoted(share.name)));
  }
  const Property* sharenfs = PropertyOf(config, wanted.dataset, "sharenfs");
  if (sharenfs != nullptr && sharenfs->value != "off")
    refuse(sharenfs->origin, "sharenfs, which is inherited,");
}

void CheckStorage(const Cursor& cursor, const Config& config, VmFeatures& wanted) {
  const auto id = cursor.String();
  if (!id.has_value()) return;
  const auto found = std::find_if(config.storages.begin(), config.storages.end(),
                                  [&](const ProxmoxStorage& storage) { return storage.id == *id; });
  const bool good = found != config.storages.end() && !found->absent && found->type == StorageType::kDir &&
                    std::count(found->contents.begin(), found->contents.end(), "snippets") > 0;
  if (good) {
    wanted.snippets_storage = *id;
    return;
  }
  cursor.Error(
      "unknown-storage", "no such storage for snippets is declared",
      "the id of a dataset with the storage type dir and the content snippets; without this key, one "
      "is made");
}

}  // namespace

void ReadVmFeatures(const Cursor& root, Config& config) {
  const Cursor section = root.Key("vm_features");
  if (!section.present() || !section.RequireObject()) return;
  section.ExpectKeys({"dataset", "scripts", "common_files", "server", "snippets_storage", "cloud_init",
                      "mount_point", "inbox_mount_point", "inbox_quota"});
  VmFeatures wanted;
  wanted.origin = section.origin();
  const Cursor dataset = section.Key("dataset");
  wanted.dataset = ReadDataset(dataset);
  wanted.scripts = ReadScripts(section.Key("scripts"));
  wanted.common_files = ReadCommonFiles(section.Key("common_files"));
  wanted.server = ReadServer(section.Key("server"), config);
  CheckStorage(section.Key("snippets_storage"), config, wanted);
  const Cursor cloud_init = section.Key("cloud_init");
  wanted.cloud_init = cloud_init.String().value_or("user");
  if (wanted.cloud_init != "user" && wanted.cloud_init != "vendor")
    cloud_init.Error("unknown-cloud-init", "cloud-init has no such data", "user or vendor");
  wanted.mount_point = ReadGuestPath(section.Key("mount_point"), "/mnt/nfs/features");
  const Cursor inbox = section.Key("inbox_mount_point");
  wanted.inbox_mount_point = ReadGuestPath(inbox, "/mnt/nfs/inbox");
  if (IsAtOrBelow(wanted.mount_point, wanted.inbox_mount_point) ||
      IsAtOrBelow(wanted.inbox_mount_point, wanted.mount_point)) {
    (inbox.present() ? inbox : section.Key("mount_point"))
        .Error("invalid-path", "one of the two mount points in the VM lies at or below the other",
               "two places apart");
  }
  wanted.inbox_quota = ReadQuota(section.Key("inbox_quota"));
  if (wanted.dataset.empty()) return;
  const std::string pool = wanted.dataset.substr(0, wanted.dataset.find('/'));
  if (std::none_of(config.pools.begin(), config.pools.end(), [&](const Pool& p) { return p.name == pool; }))
    dataset.Lint("pool-not-declared",
                 fmt::format("the pool {} is not declared and must exist already", pool));
  for (const Dataset& other : config.datasets) {
    if (other.absent && IsAtOrBelow(wanted.dataset, other.full_name)) {
      dataset.Error("stands-on-absent",
                    fmt::format("{} is absent, at {}", other.full_name, other.origin.ToString()),
                    "a dataset that is not wanted gone");
      return;
    }
  }
  wanted.mountpoint = config.MountPointOf(wanted.dataset);
  // It becomes part of what VMs mount, and of the path of a storage.
  if (wanted.mountpoint.empty() || !IsPlain(wanted.mountpoint, "-/_.@")) {
    dataset.Error("invalid-path",
                  fmt::format("this dataset would be mounted {}, from where VMs cannot be served",
                              wanted.mountpoint.empty() ? "nowhere" : "at " + Quoted(wanted.mountpoint)),
                  "a mount point of letters, digits and -_.@/");
    return;
  }
  CheckExposure(config, wanted, root.findings());
  config.vm_features = std::move(wanted);
}

}  // namespace phoenix::config
