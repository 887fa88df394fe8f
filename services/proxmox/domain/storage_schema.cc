#include "services/proxmox/domain/storage_schema.h"

#include <algorithm>
#include <cctype>

namespace phoenix::proxmox {
namespace {

using Kind = OptionKind;

bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::vector<OptionRule> With(std::vector<OptionRule> first, const std::vector<OptionRule>& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

const Words& EveryContent() {
  static const Words* const words =
      new Words{"images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"};
  return *words;
}

const std::vector<TypeRule>& Types() {
  static const std::vector<TypeRule>* const types = [] {
    const std::vector<OptionRule> file_level = {
        {"content-dirs", Kind::kList},
        {"maxfiles", Kind::kNumber},
        {"prune-backups", Kind::kList},
        {"max-protected-backups", Kind::kNumber},
        {"format", Kind::kText},
        {"mkdir", Kind::kBoolean},
        {"create-base-path", Kind::kBoolean},
        {"create-subdirs", Kind::kBoolean},
        {"bwlimit", Kind::kList},
        {"preallocation", Kind::kText},
        {"snapshot-as-volume-chain", Kind::kBoolean, false, true},
    };
    const Words files = {"images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import"};
    Words files_or_none = files;
    files_or_none.insert("none");
    auto* all = new std::vector<TypeRule>{
        {kZfspool,
         {{"pool", Kind::kText, true, true},
          {"blocksize", Kind::kText},
          {"sparse", Kind::kBoolean},
          {"mountpoint", Kind::kPath},
          {"bwlimit", Kind::kList}},
         {"images", "rootdir"},
         {"images", "rootdir"},
         true},
        {kDir,
         With({{"path", Kind::kPath, true, true},
               {"is_mountpoint", Kind::kMountPoint},
               {"shared", Kind::kBoolean}},
              file_level),
         files_or_none,
         {"images", "rootdir"},
         true},
        {kNfs,
         With({{"server", Kind::kText, true, true},
               {"export", Kind::kPath, true, true},
               {"path", Kind::kPath, false, true},
               {"options", Kind::kText}},
              file_level),
         files,
         {"images"},
         true},
        {kCifs,
         With({{"server", Kind::kText, true, true},
               {"share", Kind::kText, true, true},
               {"path", Kind::kPath, false, true},
               {"username", Kind::kText},
               {"domain", Kind::kText},
               {"smbversion", Kind::kText},
               {"subdir", Kind::kPath},
               {"options", Kind::kText}},
              file_level),
         files,
         {"images"},
         true},
    };
    // Only known well enough to leave them alone and to see that a required option is missing.
    const auto other = [&](std::string_view name, const std::vector<std::string_view>& required,
                           Words content) {
      TypeRule rule{name, {}, EveryContent(), std::move(content), false};
      for (const auto option : required) rule.options.push_back({option, Kind::kText, true, true});
      all->push_back(std::move(rule));
    };
    other("btrfs", {"path"}, {"images", "rootdir"});
    other("lvm", {"vgname"}, {"images"});
    other("lvmthin", {"thinpool", "vgname"}, {"images", "rootdir"});
    other("pbs", {"server", "datastore"}, {"backup"});
    other("iscsi", {"portal", "target"}, {"images"});
    other("iscsidirect", {"portal", "target"}, {"images"});
    other("zfs", {"portal", "target", "pool", "blocksize", "iscsiprovider"}, {"images"});
    other("rbd", {}, {"images"});
    other("cephfs", {}, {"backup"});
    other("esxi", {"server", "username"}, {"import"});
    other("glusterfs", {"volume"}, {"images"});
    return all;
  }();
  return *types;
}

}  // namespace

const TypeRule* FindType(std::string_view type) {
  for (const TypeRule& rule : Types()) {
    if (rule.name == type) return &rule;
  }
  return nullptr;
}

const OptionRule* FindOption(const TypeRule& type, std::string_view option) {
  for (const OptionRule& rule : type.options) {
    if (rule.name == option) return &rule;
  }
  return nullptr;
}

bool IsContentWord(std::string_view word) { return EveryContent().count(word) != 0; }

bool IsStorageId(std::string_view id) {
  if (id.size() < 2 || !IsAlpha(id.front())) return false;
  if (!IsAlpha(id.back()) && !IsDigit(id.back())) return false;
  return std::all_of(id.begin(), id.end(),
                     [](char c) { return IsAlpha(c) || IsDigit(c) || c == '.' || c == '_' || c == '-'; });
}

bool IsNodeName(std::string_view name) {
  if (name.empty() || name.front() == '-' || name.back() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return IsAlpha(c) || IsDigit(c) || c == '-'; });
}

bool IsDirectoryPath(std::string_view path) {
  if (path.size() < 2 || path.front() != '/') return false;
  return std::all_of(path.begin(), path.end(), [](char c) {
    return IsAlpha(c) || IsDigit(c) || std::string_view("-/_.@").find(c) != std::string_view::npos;
  });
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::optional<bool> ParseBoolean(std::string_view text) {
  const std::string lower = LowerCase(text);
  if (lower == "1" || lower == "on" || lower == "yes" || lower == "true") return true;
  if (lower == "0" || lower == "off" || lower == "no" || lower == "false") return false;
  return std::nullopt;
}

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> items;
  std::string item;
  for (const char c : text) {
    if (c == ',' || c == ';' || std::isspace(static_cast<unsigned char>(c)) != 0) {
      if (!item.empty()) items.push_back(std::move(item));
      item.clear();
    } else {
      item += c;
    }
  }
  if (!item.empty()) items.push_back(std::move(item));
  return items;
}

std::string Join(const Words& words, std::string_view separator) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += separator;
    text += word;
  }
  return text;
}

std::string CleanPath(std::string_view path) {
  std::string clean;
  for (const char c : path) {
    if (c == '/' && !clean.empty() && clean.back() == '/') continue;
    clean += c;
  }
  if (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  return clean;
}

std::string NormalValue(const OptionRule& rule, std::string_view value, std::string_view path) {
  switch (rule.kind) {
    case OptionKind::kBoolean: {
      const auto boolean = ParseBoolean(value);
      return boolean ? (*boolean ? "1" : "0") : std::string(value);
    }
    case OptionKind::kMountPoint: {
      const auto boolean = ParseBoolean(value);
      if (boolean) return *boolean ? "1" : "0";
      const std::string mount = CleanPath(value);
      return mount == CleanPath(path) ? "1" : mount;
    }
    case OptionKind::kPath:
      return CleanPath(value);
    case OptionKind::kList: {
      const auto items = SplitList(value);
      return Join(Words(items.begin(), items.end()));
    }
    case OptionKind::kText:
    case OptionKind::kNumber:
      break;
  }
  return std::string(value);
}

}  // namespace phoenix::proxmox
