#include "services/proxmox/domain/storage_entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

std::string ValueOf(const Options& options, std::string_view name) {
  const auto found = options.find(name);
  return found == options.end() ? std::string() : found->second;
}

bool IsOff(const OptionRule* rule, const std::string& value) {
  if (rule == nullptr) return false;
  return value == "0" && (rule->kind == OptionKind::kBoolean || rule->kind == OptionKind::kMountPoint);
}

// Where Proxmox VE puts a content below the path of a file-level storage.
std::string_view FolderOf(std::string_view content) {
  if (content == "images") return "images";
  if (content == "rootdir") return "private";
  if (content == "vztmpl") return "template/cache";
  if (content == "iso") return "template/iso";
  if (content == "backup") return "dump";
  if (content == "snippets") return "snippets";
  if (content == "import") return "import";
  return "";
}

Words ContentOf(const Definition& definition) {
  if (definition.content) return *definition.content;
  const TypeRule* type = FindType(definition.type);
  return type == nullptr ? Words() : type->default_content;
}

// "/a/b/c" below "/a": "/a/b", "/a/b/c". Parents come before their children.
void AddChain(const std::string& path, std::vector<std::string>& folders) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (std::find(folders.begin(), folders.end(), part) == folders.end()) folders.push_back(part);
    if (slash == std::string::npos) return;
  }
}

}  // namespace

Definition Normal(Definition definition) {
  const TypeRule* type = FindType(definition.type);
  if (type == nullptr) return definition;
  const std::string path = ValueOf(definition.options, "path");
  for (auto& [name, value] : definition.options) {
    const OptionRule* rule = FindOption(*type, name);
    if (rule != nullptr) value = NormalValue(*rule, value, path);
  }
  return definition;
}

std::vector<Difference> Compare(const StorageEntry& found, const Definition& wanted) {
  std::vector<Difference> differences;
  if (found.type != wanted.type) {
    differences.push_back({"type", found.type, wanted.type, true});
    return differences;
  }
  const TypeRule* type = FindType(found.type);
  for (const auto& [name, value] : wanted.options) {
    const OptionRule* rule = type == nullptr ? nullptr : FindOption(*type, name);
    std::string now = ValueOf(found.options, name);
    if (now.empty() && name == "path") now = PathOf(found.id, DefinitionOf(found));
    if (now == value || (now.empty() && IsOff(rule, value)) || (value.empty() && IsOff(rule, now))) continue;
    differences.push_back({name, now, value, rule != nullptr && rule->fixed});
  }
  if (wanted.content && *wanted.content != found.content) {
    differences.push_back({"content", Join(found.content), Join(*wanted.content), false});
  }
  return differences;
}

std::vector<std::string> ForeignOptions(const StorageEntry& found, const Definition& wanted) {
  std::vector<std::string> foreign;
  for (const auto& [name, value] : found.options) {
    if (wanted.options.count(name) != 0) continue;
    // pvesm notes these at add.
    if (found.type == kZfspool && name == "mountpoint") continue;
    if ((found.type == kNfs || found.type == kCifs) && name == "path") continue;
    const TypeRule* type = FindType(found.type);
    if (type != nullptr && IsOff(FindOption(*type, name), value)) continue;
    foreign.push_back(name);
  }
  if (found.disabled) foreign.emplace_back("disable");
  return foreign;
}

std::string PathOf(const std::string& id, const Definition& definition) {
  const std::string path = ValueOf(definition.options, "path");
  if (!path.empty()) return CleanPath(path);
  return IsNetwork(definition) ? "/mnt/pve/" + id : std::string();
}

bool IsNetwork(const Definition& definition) { return definition.type == kNfs || definition.type == kCifs; }

std::string MountPointOf(const Definition& definition) {
  if (definition.type != kDir) return "";
  std::string value = ValueOf(definition.options, "is_mountpoint");
  const auto boolean = ParseBoolean(value);
  if (boolean) return *boolean ? PathOf("", definition) : std::string();
  return value;
}

std::string FolderOfMount(const std::string& id, const Definition& definition) {
  if (!IsNetwork(definition)) return "";
  const std::string path = PathOf(id, definition);
  return path.substr(0, path.rfind('/'));
}

std::vector<std::string> FoldersOf(const std::string& id, const Definition& definition) {
  std::vector<std::string> folders;
  const std::string path = PathOf(id, definition);
  if (path.empty()) return folders;
  AddChain(path, folders);
  if (definition.type != kDir) return folders;
  Words content = ContentOf(definition);
  // Containers' dumps go there too.
  if (content.count("rootdir") != 0) content.insert("backup");
  Options overrides;
  for (const auto& item : SplitList(ValueOf(definition.options, "content-dirs"))) {
    const auto equals = item.find('=');
    if (equals != std::string::npos) overrides[item.substr(0, equals)] = item.substr(equals + 1);
  }
  for (const std::string& word : content) {
    const auto override_of = overrides.find(word);
    const std::string folder =
        override_of != overrides.end() ? override_of->second : std::string(FolderOf(word));
    if (!folder.empty()) AddChain(CleanPath(path + "/" + folder), folders);
  }
  return folders;
}

Definition After(const StorageEntry* entry, const Definition& wanted) {
  if (entry == nullptr) return wanted;
  Definition after = DefinitionOf(*entry);
  if (wanted.content) after.content = wanted.content;
  for (const auto& [name, value] : wanted.options) after.options[name] = value;
  return after;
}

std::vector<std::string> PathsWritten(const Definition& dir, const Words& present) {
  const auto is_off = [&](std::string_view option) {
    return ParseBoolean(ValueOf(dir.options, option)) == std::optional(false);
  };
  if (dir.type != kDir || is_off("mkdir")) return {};
  const std::string path = PathOf("", dir);
  const std::string below = path == "/" ? path : path + "/";
  std::set<std::string> written;
  for (const std::string& folder : FoldersOf("", dir)) {
    if (present.count(folder) != 0) continue;
    const bool inside = folder != path && folder.starts_with(below);
    if (is_off(inside ? "create-subdirs" : "create-base-path")) continue;
    const std::string parent = folder.substr(0, folder.rfind('/'));
    if (!inside || parent == path) {
      written.insert(path);
    } else if (present.count(parent) != 0) {
      written.insert(parent);
    }
  }
  return {written.begin(), written.end()};
}

Words SharedContent(const Definition& a, const Definition& b) {
  Words first = ContentOf(a), second = ContentOf(b);
  for (Words* content : {&first, &second}) {
    if (content->count("rootdir") != 0) content->insert("images");
  }
  Words shared;
  std::set_intersection(first.begin(), first.end(), second.begin(), second.end(),
                        std::inserter(shared, shared.end()));
  return shared;
}

std::string CanonicalText(const StorageEntry& entry) {
  return fmt::format("{}: nodes={}{} {}", entry.id, Join(entry.nodes), entry.disabled ? " disable" : "",
                     TextOf(DefinitionOf(entry)));
}

std::string TextOf(const Definition& definition) {
  std::string text = fmt::format("{} content={}", definition.type, Join(ContentOf(definition)));
  const TypeRule* type = FindType(definition.type);
  for (const auto& [name, value] : definition.options) {
    if (type != nullptr && IsOff(FindOption(*type, name), value)) continue;
    text += fmt::format(" {}={}", name, value);
  }
  return text;
}

Definition DefinitionOf(const StorageEntry& entry) { return {entry.type, entry.content, entry.options}; }

}  // namespace phoenix::proxmox
