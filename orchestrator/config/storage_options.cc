#include "orchestrator/config/storage_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/config/names.h"

namespace phoenix::config {
namespace {

// What a value may be. The nodes know the same options (services/proxmox/domain/storage_schema.cc).
enum class Kind { kBoolean, kNumber, kPath, kMountPoint, kList, kMountOptions, kBlockSize, kWords, kText };

struct Option {
  std::string_view name;
  Kind kind;
  std::string_view words = {};  // kWords: what it may be
};

constexpr Option kFileLevel[] = {
    {"content-dirs", Kind::kList},
    {"prune-backups", Kind::kList},
    {"max-protected-backups", Kind::kNumber},
    {"format", Kind::kWords, "raw qcow2 vmdk subvol"},
    {"mkdir", Kind::kBoolean},
    {"create-base-path", Kind::kBoolean},
    {"create-subdirs", Kind::kBoolean},
    {"bwlimit", Kind::kList},
    {"preallocation", Kind::kWords, "default off metadata falloc full"},
    {"snapshot-as-volume-chain", Kind::kBoolean},
};
constexpr Option kZfsPoolOptions[] = {{"blocksize", Kind::kBlockSize},
                                      {"sparse", Kind::kBoolean},
                                      {"mountpoint", Kind::kPath},
                                      {"bwlimit", Kind::kList}};
constexpr Option kDirOptions[] = {{"is_mountpoint", Kind::kMountPoint}, {"shared", Kind::kBoolean}};
constexpr Option kNfsOptions[] = {{"options", Kind::kMountOptions}};
constexpr Option kCifsOptions[] = {{"domain", Kind::kText},
                                   {"smbversion", Kind::kWords, "default 2.0 2.1 3 3.0 3.11"},
                                   {"subdir", Kind::kPath},
                                   {"options", Kind::kMountOptions}};

std::vector<Option> OptionsOf(StorageType type) {
  std::vector<Option> options;
  const auto add = [&](const auto& more) { options.insert(options.end(), std::begin(more), std::end(more)); };
  if (type == StorageType::kZfsPool) add(kZfsPoolOptions);
  if (type == StorageType::kDir) add(kDirOptions);
  if (type == StorageType::kNfs) add(kNfsOptions);
  if (type == StorageType::kCifs) add(kCifsOptions);
  if (type != StorageType::kZfsPool) add(kFileLevel);
  return options;
}

const Option* Find(const std::vector<Option>& options, std::string_view name) {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const Option& one) { return one.name == name; });
  return found == options.end() ? nullptr : &*found;
}

// Why an option that Proxmox VE has is not given here, and what says it instead; "" for any other name.
std::string SaidElsewhere(std::string_view name) {
  if (name == "content") return "proxmox_content_type";
  if (name == "pool") return "no pool: it is the dataset";
  if (name == "path") return "no path: it is the mount point of the dataset, or where Proxmox VE mounts";
  if (name == "server") return "network.nfs_server";
  if (name == "export") return "no export: it is that of the dataset's mount point";
  if (name == "share") return "no share: it is that of the dataset's mount point";
  if (name == "nodes") return "no nodes: a storage belongs to the nodes that declare it";
  if (name == "disable")
    return "no disable: Phoenix switches no storage off (`pvesm set ID --disable 1` does)";
  if (name == "username") return "proxmox_storage_user";
  if (name == "password") return "proxmox_storage_user, and the password among the secrets";
  if (name == "maxfiles") return "prune-backups, such as keep-last=3";
  return "";
}

bool IsBoolean(std::string_view value) {
  const std::string word = ToLower(value);
  for (const std::string_view one : {"1", "0", "on", "off", "yes", "no", "true", "false"}) {
    if (word == one) return true;
  }
  return false;
}

bool IsNumber(std::string_view value) {
  return !value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsPath(std::string_view value) {
  return value.starts_with('/') && NormalisedPath(value).has_value() &&
         value.find_first_of(";()") == std::string_view::npos;
}

// A power of two from 512 to 16M, as Proxmox VE 9 checks it.
bool IsBlockSize(std::string_view value) {
  std::uint64_t factor = 1;
  if (value.ends_with('k') || value.ends_with('K')) factor = 1024;
  if (value.ends_with('m') || value.ends_with('M')) factor = 1024 * 1024;
  if (factor != 1) value.remove_suffix(1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number > 16 * 1024 * 1024) return false;
  const std::uint64_t size = number * factor;
  return size >= 512 && size <= 16 * 1024 * 1024 && (size & (size - 1)) == 0;
}

// What is allowed instead of the value; nothing where it is fine.
std::optional<std::string> ProblemOf(const Option& option, const std::string& value) {
  const auto unless = [](bool fine, std::string allowed) {
    return fine ? std::nullopt : std::optional(std::move(allowed));
  };
  if (value.empty() || !IsPrintable(value) || value.front() == '-')
    return "printable ASCII that does not begin with a dash";
  switch (option.kind) {
    case Kind::kBoolean:
      return unless(IsBoolean(value), "true or false");
    case Kind::kNumber:
      return unless(IsNumber(value), "a whole number");
    case Kind::kPath:
      return unless(IsPath(value), "an absolute path");
    case Kind::kMountPoint:
      return unless(IsBoolean(value) || IsPath(value), "true, false or the mount point above it");
    case Kind::kList:
      return unless(value.find("..") == std::string::npos && value.find('=') != std::string::npos,
                    "NAME=VALUE, parted by commas, without ..");
    case Kind::kBlockSize:
      return unless(IsBlockSize(value), "a power of two from 512 to 16M, such as 16k");
    case Kind::kWords: {
      const auto words = SplitTrimmed(option.words, " ");
      return unless(std::find(words.begin(), words.end(), value) != words.end(),
                    OneOf({words.begin(), words.end()}));
    }
    case Kind::kMountOptions:
    case Kind::kText:
      return unless(value.find(' ') == std::string::npos, "one word without blanks");
  }
  return std::nullopt;
}

class Reader {
 public:
  explicit Reader(StorageType type) : type_(type), known_(OptionsOf(type)) {}

  void Add(const std::string& name, std::string value, const Cursor& cursor) {
    const Option* option = Find(known_, name);
    if (option == nullptr) {
      std::string allowed = SaidElsewhere(name);
      if (allowed.empty()) {
        std::vector<std::string> names;
        for (const Option& one : known_) names.emplace_back(one.name);
        allowed = OneOf(names);
      }
      cursor.Error(
          "invalid-storage-option",
          fmt::format("{} is no option to give of a storage of type {}", Quoted(name), ToString(type_)),
          allowed);
      return;
    }
    if (const auto problem = ProblemOf(*option, value)) {
      cursor.Error("invalid-storage-option", fmt::format("{} cannot be {}", name, Quoted(value)), *problem);
      return;
    }
    if (IsBoolean(value) && (option->kind == Kind::kBoolean || option->kind == Kind::kMountPoint)) {
      const std::string word = ToLower(value);
      value = word == "1" || word == "on" || word == "yes" || word == "true" ? "1" : "0";
    }
    options_[name] = std::move(value);
  }

  // "sparse=1,prune-backups=keep-last=3,keep-weekly=2": what does not begin with an option's name belongs to
  // the list before it.
  void AddAll(const std::string& text, const Cursor& cursor) {
    std::vector<std::pair<std::string, std::string>> found;
    for (const std::string_view piece : SplitTrimmed(text, ",")) {
      const std::size_t equals = piece.find('=');
      const std::string name(Trimmed(piece.substr(0, equals)));
      const Option* before = found.empty() ? nullptr : Find(known_, found.back().first);
      const bool goes_on = before != nullptr && Find(known_, name) == nullptr &&
                           SaidElsewhere(name).empty() &&
                           (before->kind == Kind::kList || before->kind == Kind::kMountOptions);
      if (goes_on) {
        found.back().second += fmt::format(",{}", piece);
      } else if (equals == std::string_view::npos) {
        found.emplace_back(name, "");
      } else {
        found.emplace_back(name, Trimmed(piece.substr(equals + 1)));
      }
    }
    for (auto& [name, value] : found) Add(name, std::move(value), cursor);
  }

  std::map<std::string, std::string> Take() { return std::move(options_); }

 private:
  const StorageType type_;
  const std::vector<Option> known_;
  std::map<std::string, std::string> options_;
};

}  // namespace

std::map<std::string, std::string> ReadStorageOptions(const Cursor& cursor, StorageType type) {
  Reader reader(type);
  if (cursor.is_string()) {
    reader.AddAll(cursor.json().get_ref<const std::string&>(), cursor);
    return reader.Take();
  }
  for (const auto& [name, value] : cursor.Members()) {
    if (!value.present()) continue;
    if (value.is_string()) {
      reader.Add(name, std::string(Trimmed(value.json().get_ref<const std::string&>())), value);
    } else if (value.json().is_boolean()) {
      reader.Add(name, value.json().get<bool>() ? "1" : "0", value);
    } else if (value.json().is_number_unsigned()) {
      reader.Add(name, value.json().dump(), value);
    } else {
      value.Error("wrong-type", "this has the wrong type", "a string, a whole number, true or false");
    }
  }
  return reader.Take();
}

}  // namespace phoenix::config
