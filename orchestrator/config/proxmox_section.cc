#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/config/names.h"
#include "orchestrator/config/sections.h"
#include "orchestrator/config/storage_options.h"

namespace phoenix::config {
namespace {

// What one dataset is to be to Proxmox, before its id is known.
struct Wish {
  StorageType type;
  std::vector<std::string> contents;
  Origin origin;
  bool absent = false;
  std::optional<Text> user = {};
  std::map<std::string, std::string> options = {};
};

std::optional<StorageType> ReadType(const std::string& text, const Origin& origin, Findings& findings) {
  for (const StorageType type :
       {StorageType::kZfsPool, StorageType::kDir, StorageType::kNfs, StorageType::kCifs}) {
    if (text == ToString(type)) return type;
  }
  findings.Error("unknown-storage-type", origin, "this storage type is not known", Quoted(text),
                 "zfspool, dir, nfs or cifs");
  return std::nullopt;
}

// The contents possible for the type, sorted, each once.
std::vector<std::string> CheckContents(StorageType type, const std::vector<Text>& words, Findings& findings) {
  const std::set<std::string> possible =
      type == StorageType::kZfsPool
          ? std::set<std::string>{"images", "rootdir"}
          : std::set<std::string>{"backup", "images", "import", "iso", "rootdir", "snippets", "vztmpl"};
  std::set<std::string> contents;
  for (const Text& word : words) {
    if (possible.count(word.value) > 0) {
      contents.insert(word.value);
      continue;
    }
    findings.Error("invalid-content", word.origin,
                   fmt::format("a storage of type {} cannot hold this content", ToString(type)),
                   Quoted(word.value), OneOf({possible.begin(), possible.end()}));
  }
  return {contents.begin(), contents.end()};
}

std::optional<Wish> ReadWish(const Cursor& dataset) {
  const Cursor type = dataset.Key("proxmox_storage_type");
  const Cursor content = dataset.Key("proxmox_content_type");
  const Cursor options = dataset.Key("proxmox_storage_options");
  const std::string word(Trimmed(type.String().value_or("")));
  const Cursor login = dataset.Key("proxmox_storage_user");
  const auto user = login.String();
  if (user.has_value() && word != ToString(StorageType::kCifs)) {
    login.Error("invalid-storage-user", "only a storage of the type cifs is mounted as a user",
                "proxmox_storage_type cifs, or no user");
  }
  const std::vector<Text> contents = content.StringList(", \t;");
  if (word.empty()) {
    if (!contents.empty()) {
      type.Error("missing", "a content type is given without a storage type", "zfspool, dir, nfs or cifs");
    } else if (options.present()) {
      type.Error("missing", "options are given without a storage type", "zfspool, dir, nfs or cifs");
    }
    return std::nullopt;
  }
  const auto known = ReadType(word, type.origin(), type.findings());
  const auto absent = ReadAbsent(dataset, "proxmox_storage_state");
  if (!known.has_value() || !absent.has_value()) return std::nullopt;
  if (*absent) return Wish{*known, {}, type.origin(), true};
  if (contents.empty()) {
    content.Error("missing", "a Proxmox storage needs a content type", "a list such as images,rootdir");
    return std::nullopt;
  }
  Wish wish{*known, CheckContents(*known, contents, content.findings()), type.origin()};
  wish.options = ReadStorageOptions(options, *known);
  // For another type it was told already.
  if (user.has_value() && *known == StorageType::kCifs) wish.user = Text{*user, login.origin()};
  return wish.contents.empty() ? std::nullopt : std::optional<Wish>(wish);
}

// {dataset, storage_type: "zfspool:images"} of older files.
void ReadOlderTypes(const Cursor& list, const Config& config, std::map<std::string, Wish>& wishes) {
  for (const Cursor& element : list.Elements()) {
    if (!element.RequireObject()) continue;
    element.ExpectKeys({"dataset", "storage_type"});
    const Cursor name = element.Key("dataset");
    const Cursor type = element.Key("storage_type");
    if (!name.present()) name.Error("missing", "the dataset is missing", "a declared dataset (pool/name)");
    if (!type.present())
      type.Error("missing", "the storage type is missing", "type:contents, zfspool:images");
    const auto dataset = name.String();
    const auto text = type.String();
    if (!dataset.has_value() || !text.has_value()) continue;
    if (config.FindDataset(*dataset) == nullptr) {
      name.Error("unknown-dataset", "no such dataset is declared", "a declared dataset (pool/name)");
      continue;
    }
    const std::size_t colon = text->find(':');
    const auto known = ReadType(text->substr(0, colon), type.origin(), type.findings());
    if (!known.has_value()) continue;
    std::vector<Text> words;
    if (colon != std::string::npos) {
      for (const std::string_view word : SplitTrimmed(std::string_view(*text).substr(colon + 1), ", \t")) {
        words.push_back({std::string(word), type.origin()});
      }
    }
    if (words.empty()) {
      type.Error("missing", "a Proxmox storage needs a content type", "type:contents, zfspool:images");
      continue;
    }
    Wish wish{*known, CheckContents(*known, words, type.findings()), type.origin()};
    if (wish.contents.empty()) continue;
    const auto [place, is_new] = wishes.emplace(*dataset, wish);
    if (!is_new && (place->second.type != wish.type || place->second.contents != wish.contents)) {
      type.Lint("storage-type-overridden", fmt::format("the dataset says otherwise at {}, and that is used",
                                                       place->second.origin.ToString()));
    }
  }
}

std::string Replaced(std::string text, char from, char to) {
  std::replace(text.begin(), text.end(), from, to);
  return text;
}

std::string DefaultId(const Dataset& dataset) {
  return fmt::format("{}-{}", dataset.pool, Replaced(dataset.name, '/', '-'));
}

// The ids of `proxmox_storage_ids`, by dataset. A key is <pool>_<dataset with - as _>.
std::map<std::string, Text> ReadIds(const Cursor& map, const Config& config) {
  std::map<std::string, Text> ids;
  for (const auto& [key, value] : map.Members()) {
    std::vector<const Dataset*> matches;
    const Dataset* nearly = nullptr;
    for (const Dataset& dataset : config.datasets) {
      const std::string name = Replaced(Replaced(dataset.name, '-', '_'), '/', '_');
      const std::string expected = fmt::format("{}_{}", dataset.pool, name);
      if (key == expected || key == Replaced(expected, '-', '_')) matches.push_back(&dataset);
      if (ToLower(key) == ToLower(expected)) nearly = &dataset;
    }
    const auto text = value.String();
    if (!text.has_value()) continue;
    if (matches.empty()) {
      std::string hint;
      if (nearly != nullptr) hint = fmt::format(" (upper and lower case differ from {})", nearly->full_name);
      for (const Dataset& dataset : config.datasets) {
        if (DefaultId(dataset) == *text) hint = fmt::format(" ({} gets this id anyway)", dataset.full_name);
      }
      value.Lint(
          "storage-id-unmatched",
          fmt::format("the key {} matches no declared dataset and has no effect{}", Quoted(key), hint));
      continue;
    }
    if (matches.size() > 1) {
      value.Error("ambiguous-storage-id",
                  fmt::format("the key {} fits both {} and {}", Quoted(key), matches[0]->full_name,
                              matches[1]->full_name),
                  "datasets whose names differ in more than - and _");
      continue;
    }
    if (const auto problem = StorageIdProblem(*text)) {
      value.Error("invalid-name", "this is no storage id", *problem);
      continue;
    }
    ids[matches[0]->full_name] = {*text, value.origin()};
  }
  return ids;
}

// Fills in where the storage lies; false after an error.
bool Locate(const Dataset& dataset, const Config& config, ProxmoxStorage& storage, Findings& findings) {
  const auto refuse = [&](std::string message, std::string allowed) {
    findings.Error("storage-without-place", storage.origin, std::move(message), Quoted(dataset.full_name),
                   std::move(allowed));
    return false;
  };
  if (storage.type == StorageType::kZfsPool) return true;
  if (storage.type == StorageType::kDir) {
    constexpr std::string_view kChars =
        "-/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@";  // what pvesm takes as a path
    if (dataset.mountpoint.empty()) return refuse("a dir storage needs a mounted dataset", "a mount point");
    if (dataset.mountpoint.find_first_not_of(kChars) != std::string::npos) {
      return refuse("Proxmox takes no such path for a dir storage", "letters, digits and -_.@/");
    }
    storage.path = dataset.mountpoint;
    return true;
  }
  const std::string kind = ToString(storage.type);
  if (config.server_address.empty()) {
    return refuse(fmt::format("the server of this {} storage is not known", kind),
                  "network.nfs_server or network.interfaces.address");
  }
  storage.server = config.server_address;
  if (storage.type == StorageType::kNfs) {
    for (const NfsExport& entry : config.exports) {
      if (!entry.absent && entry.path == dataset.mountpoint) storage.remote = entry.path;
    }
    if (storage.remote.find_first_of(";()") != std::string::npos)
      return refuse("Proxmox takes no such path for an nfs storage", "a mount point without ;, ( and )");
  } else {
    for (const SambaShare& share : config.samba.shares) {
      if (!share.absent && share.path == dataset.mountpoint) storage.remote = share.name;
    }
    if (storage.remote.find(' ') != std::string::npos)
      return refuse(fmt::format("the share {} has a blank in its name, which a cifs storage cannot have",
                                Quoted(storage.remote)),
                    "a share without blanks in its name");
  }
  if (storage.remote.empty()) {
    return refuse(fmt::format("no {} is declared for this {} storage",
                              storage.type == StorageType::kNfs ? "NFS export" : "Samba share", kind),
                  "one whose path is the dataset's mount point");
  }
  findings.Lint("loopback-storage", storage.origin,
                fmt::format("the node would mount its own {} of {}; zfspool or dir is direct", kind,
                            dataset.full_name));
  return true;
}

// Fills in whom the node mounts the share of a cifs storage as; false after an error.
bool FindUser(const Text& user, const Config& config, ProxmoxStorage& storage, Findings& findings) {
  const auto refuse = [&](std::string message, std::string allowed) {
    findings.Error("invalid-storage-user", user.origin, std::move(message), Quoted(user.value),
                   std::move(allowed));
    return false;
  };
  for (const SambaShare& share : config.samba.shares) {
    if (share.name != storage.remote || share.absent || share.valid_users.empty()) continue;
    const bool open = std::any_of(share.valid_users.begin(), share.valid_users.end(), [&](const auto& valid) {
      // Who is in a group is known on the node only.
      return valid == user.value || std::string_view("@+&").find(valid.front()) != std::string_view::npos;
    });
    if (!open)
      return refuse(fmt::format("the share {} does not let this user in", share.name),
                    "one of its valid_users");
  }
  for (const SambaUser& known : config.samba.users) {
    if (known.name != user.value || known.absent) continue;
    storage.user = known.name;
    storage.secret_name = known.secret_name;
    return true;
  }
  return refuse("no such Samba user is declared",
                "samba.user, or one of samba.users or of a share's valid_users");
}

void AddStorage(ProxmoxStorage storage, Config& config, Findings& findings) {
  for (const ProxmoxStorage& other : config.storages) {
    if (other.id == storage.id) {
      findings.Error("duplicate-name", storage.origin,
                     fmt::format("this storage id is used before, at {}", other.origin.ToString()),
                     Quoted(storage.id), "every id once");
      return;
    }
    if (ToLower(other.id) == ToLower(storage.id)) {
      findings.Lint("storage-id-case", storage.origin,
                    fmt::format("{} and {} differ in upper and lower case only", storage.id, other.id));
    }
  }
  config.storages.push_back(std::move(storage));
}

}  // namespace

void ReadProxmox(const Cursor& root, Config& config) {
  const Cursor zfs = root.Key("zfs");
  Findings& findings = root.findings();
  std::map<std::string, Wish> wishes;
  const Cursor list = zfs.Key("datasets");
  // A list of the wrong type was told before.
  for (const Cursor& element : list.is_array() ? list.Elements() : std::vector<Cursor>()) {
    const auto wish = ReadWish(element);
    if (!wish.has_value()) continue;
    for (const Dataset& dataset : config.datasets) {
      if (dataset.origin == element.origin()) wishes.emplace(dataset.full_name, *wish);
    }
  }
  ReadOlderTypes(zfs.Key("dataset_storage_types"), config, wishes);
  const std::map<std::string, Text> ids = ReadIds(root.Key("proxmox_storage_ids"), config);

  for (const Dataset& dataset : config.datasets) {
    const auto wish = wishes.find(dataset.full_name);
    const auto id = ids.find(dataset.full_name);
    if (wish == wishes.end()) {
      if (id != ids.end()) {
        findings.Lint("storage-id-unmatched", id->second.origin,
                      fmt::format("{} is no Proxmox storage, so this id has no effect", dataset.full_name),
                      Quoted(id->second.value));
      }
      continue;
    }
    if (dataset.volume_size != 0) {
      findings.Error("volume-key", wish->second.origin,
                     fmt::format("{} is a volume, which holds no storage of Proxmox VE", dataset.full_name),
                     {}, "a file system");
      continue;
    }
    ProxmoxStorage storage;
    storage.type = wish->second.type;
    storage.contents = wish->second.contents;
    storage.options = wish->second.options;
    storage.dataset = dataset.full_name;
    storage.mount_point = dataset.mountpoint;
    storage.origin = wish->second.origin;
    // What a storage lies on takes it along.
    storage.absent = wish->second.absent || dataset.absent;
    storage.id = id != ids.end() ? id->second.value : DefaultId(dataset);
    if (const auto problem = StorageIdProblem(storage.id)) {
      findings.Error("invalid-name", storage.origin,
                     fmt::format("the default storage id of {} is not valid; name one in proxmox_storage_ids",
                                 dataset.full_name),
                     Quoted(storage.id), *problem);
      continue;
    }
    const auto& user = wish->second.user;
    if (storage.type == StorageType::kCifs && !storage.absent && !user.has_value()) {
      findings.Lint(
          "guest-cifs-storage", storage.origin,
          "the node would mount the share as a guest, and shares of this file let in the users that they "
          "list only; proxmox_storage_user names one");
    }
    if (storage.absent || (Locate(dataset, config, storage, findings) &&
                           (!user.has_value() || FindUser(*user, config, storage, findings))))
      AddStorage(std::move(storage), config, findings);
  }
}

}  // namespace phoenix::config
