#include "orchestrator/config/zfs_properties.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "orchestrator/config/names.h"
#include "orchestrator/config/zfs_size.h"

namespace phoenix::config {
namespace {

using Names = std::set<std::string_view>;

// The short column names of `zfs list`, which `zfs set` accepts too.
const std::map<std::string_view, std::string_view> kShortNames = {
    {"compress", "compression"},     {"recsize", "recordsize"}, {"reserv", "reservation"},
    {"refreserv", "refreservation"}, {"rdonly", "readonly"},    {"volblock", "volblocksize"}};

// What a dataset can be given at creation or later, but for the sizes: every value of each. Empty where
// the value is no closed set.
const std::map<std::string_view, std::vector<std::string>> kChoices = {
    {"aclinherit", {"discard", "noallow", "restricted", "passthrough", "passthrough-x"}},
    {"aclmode", {"discard", "groupmask", "passthrough", "restricted"}},
    {"acltype", {"off", "noacl", "posix", "posixacl", "nfsv4"}},
    {"atime", {"on", "off"}},
    {"canmount", {"on", "off", "noauto"}},
    {"casesensitivity", {"sensitive", "insensitive", "mixed"}},
    {"checksum",
     {"on", "off", "fletcher2", "fletcher4", "sha256", "noparity", "sha512", "skein", "edonr", "blake3"}},
    {"compression", {}},
    {"context", {}},
    {"copies", {"1", "2", "3"}},
    {"dedup",
     {"on", "off", "verify", "sha256", "sha256,verify", "sha512", "sha512,verify", "skein", "skein,verify",
      "edonr,verify", "blake3", "blake3,verify"}},
    {"defcontext", {}},
    {"devices", {"on", "off"}},
    {"direct", {"disabled", "standard", "always"}},
    {"dnodesize", {"legacy", "auto", "1k", "2k", "4k", "8k", "16k"}},
    {"exec", {"on", "off"}},
    {"filesystem_limit", {}},
    {"fscontext", {}},
    {"logbias", {"latency", "throughput"}},
    {"longname", {"on", "off"}},
    {"mountpoint", {}},
    {"nbmand", {"on", "off"}},
    {"normalization", {"none", "formC", "formD", "formKC", "formKD"}},
    {"overlay", {"on", "off"}},
    {"prefetch", {"all", "none", "metadata"}},
    {"primarycache", {"all", "none", "metadata"}},
    {"readonly", {"on", "off"}},
    {"redundant_metadata", {"all", "most", "some", "none"}},
    {"relatime", {"on", "off"}},
    {"rootcontext", {}},
    {"secondarycache", {"all", "none", "metadata"}},
    {"setuid", {"on", "off"}},
    {"sharenfs", {}},
    {"sharesmb", {}},
    {"snapdev", {"hidden", "visible"}},
    {"snapdir", {"disabled", "hidden", "visible"}},
    {"snapshot_limit", {}},
    {"sync", {"standard", "always", "disabled"}},
    {"utf8only", {"on", "off"}},
    {"volmode", {"default", "full", "geom", "dev", "none"}},
    {"volthreading", {"on", "off"}},
    {"vscan", {"on", "off"}},
    {"xattr", {"on", "off", "sa", "dir"}},
    {"zoned", {"on", "off"}},
};

const Names kSizes = {"quota", "refquota", "reservation", "refreservation"};
const Names kBlockSizes = {"recordsize", "special_small_blocks", "volblocksize"};

const Names kOfVolumesOnly = {"volblocksize", "volthreading"};
// snapdev and volmode of a file system are for the volumes below it.
const Names kOfVolumesToo = {"checksum",       "compression",    "copies",
                             "dedup",          "logbias",        "prefetch",
                             "primarycache",   "readonly",       "redundant_metadata",
                             "refreservation", "reservation",    "secondarycache",
                             "snapdev",        "snapshot_limit", "special_small_blocks",
                             "sync",           "volmode"};

// Why a property that ZFS has cannot be declared yet; nothing for all others.
std::optional<std::string> WhyUnsupported(std::string_view name) {
  static const Names kEncryption = {"encryption", "keyformat", "keylocation", "pbkdf2iters"};
  static const Names kPerOwner = {"userquota",    "groupquota",    "projectquota",
                                  "userobjquota", "groupobjquota", "projectobjquota"};
  if (kEncryption.count(name) > 0)
    return "what is encrypted, and with which key, `encryption` beside the properties says; what lies below "
           "an encrypted dataset is encrypted by itself";
  if (name == "version") return "the version of a file system is not supported yet; `zfs upgrade` raises it";
  const std::size_t at = name.find('@');
  if (at != std::string_view::npos && kPerOwner.count(name.substr(0, at)) > 0)
    return "quotas of single users, groups and projects are not supported yet; quota and refquota of a "
           "dataset are";
  return std::nullopt;
}

const Names kReadOnly = {"available",
                         "avail",
                         "clones",
                         "compressratio",
                         "createtxg",
                         "creation",
                         "defer_destroy",
                         "encryptionroot",
                         "filesystem_count",
                         "guid",
                         "keystatus",
                         "logicalreferenced",
                         "logicalused",
                         "mounted",
                         "name",
                         "objsetid",
                         "origin",
                         "receive_resume_token",
                         "redact_snaps",
                         "refcompressratio",
                         "referenced",
                         "refer",
                         "snapshot_count",
                         "snapshots_changed",
                         "type",
                         "used",
                         "usedbychildren",
                         "usedbydataset",
                         "usedbyrefreservation",
                         "usedbysnapshots",
                         "userrefs",
                         "written"};

bool IsNumberBetween(std::string_view text, int low, int high) {
  if (text.empty() || text.size() > 4 || text[0] == '0') return false;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  return value >= low && value <= high;
}

bool IsCompression(std::string_view value) {
  static const Names kPlain = {"on", "off", "lzjb", "gzip", "zle", "lz4", "zstd", "zstd-fast"};
  if (kPlain.count(value) > 0) return true;
  if (value.substr(0, 5) == "gzip-") return IsNumberBetween(value.substr(5), 1, 9);
  if (value.substr(0, 10) == "zstd-fast-") {
    const std::string_view level = value.substr(10);
    return IsNumberBetween(level, 1, 10) || level == "20" || level == "30" || level == "40" ||
           level == "50" || level == "60" || level == "70" || level == "80" || level == "90" ||
           level == "100" || level == "500" || level == "1000";
  }
  if (value.substr(0, 5) == "zstd-") return IsNumberBetween(value.substr(5), 1, 19);
  return false;
}

bool IsUserPropertyName(std::string_view name) {
  return name.size() < 256 && name[0] != '-' &&
         std::all_of(
             name.begin(), name.end(),
             [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '.' || c == '_' ||
                      c == '-';
             });
}

// One item of the file on its way to a Property.
class Item {
 public:
  Item(std::string_view name, std::string_view given, Origin origin, Findings& findings,
       DatasetType type = DatasetType::kFileSystem)
      : name_(name), given_(given), origin_(std::move(origin)), findings_(findings), type_(type) {
    const auto native = kShortNames.find(name_);
    if (native != kShortNames.end()) name_ = native->second;
  }

  const std::string& name() const { return name_; }

  std::optional<Property> Read() {
    if (!CheckName() || !CheckText()) return std::nullopt;
    Property property{given_, given_, origin_};
    if (kSizes.count(name_) > 0) {
      // ZFS stores "none" as 0 and prints it so with -p.
      return given_ == "none" ? Property{given_, "0", origin_} : ReadSize(property);
    }
    if (name_ == "recordsize" || name_ == "volblocksize") return ReadBlockSize(property, 512);
    if (name_ == "special_small_blocks") return ReadBlockSize(property, 0);
    if (name_ == "compression") {
      if (IsCompression(given_)) return property;
      return Refuse(
          "invalid-property", "ZFS knows no such compression",
          "on, off, lz4, zstd, zstd-1 to zstd-19, zstd-fast, zstd-fast-N, gzip, gzip-1 to gzip-9, lzjb, zle");
    }
    if (name_ == "mountpoint") return ReadMountPoint(property);
    if (name_ == "filesystem_limit" || name_ == "snapshot_limit") return ReadLimit(property);
    const auto choices = kChoices.find(name_);
    if (choices == kChoices.end() || choices->second.empty()) return property;
    const auto& allowed = choices->second;
    if (std::find(allowed.begin(), allowed.end(), given_) != allowed.end()) return property;
    return Refuse("invalid-property", "ZFS knows no such value", OneOf(allowed));
  }

 private:
  bool CheckName() {
    if (name_.find(':') != std::string::npos) {
      if (!IsUserPropertyName(name_)) {
        Refuse("invalid-property", "this is no valid user property", "lower-case letters, digits and :._-");
        return false;
      }
      if (name_.substr(0, 8) == "phoenix:") {
        Refuse("reserved-property", "properties that begin with phoenix: mark what this system made",
               "another prefix");
        return false;
      }
      return true;
    }
    if (kReadOnly.count(name_) > 0) {
      Refuse("read-only-property", "ZFS computes this property; it cannot be set", {});
      return false;
    }
    if (name_ == "volsize") {
      Refuse("volume-property", "how large a volume is, and that a dataset is one, another key says",
             "volume_size beside the properties");
      return false;
    }
    if (type_ == DatasetType::kFileSystem && kOfVolumesOnly.count(name_) > 0) {
      Refuse("volume-property", "only volumes have this property, and this is a file system", {});
      return false;
    }
    if (const auto why = WhyUnsupported(name_)) {
      Refuse("unsupported-property", *why, {});
      return false;
    }
    const bool of_volumes = kOfVolumesOnly.count(name_) > 0 || kOfVolumesToo.count(name_) > 0;
    if (kChoices.count(name_) > 0 || kSizes.count(name_) > 0 || kBlockSizes.count(name_) > 0) {
      if (type_ == DatasetType::kFileSystem || of_volumes) return true;
      Refuse("file-system-property", "only file systems have this property, and this is a volume", {});
      return false;
    }
    Refuse("unknown-property", "datasets have no such property that could be set",
           "a property of zfsprops(7), or a user property with a colon in its name");
    return false;
  }

  bool CheckText() {
    constexpr std::size_t kLongest = 1024;
    if (given_.empty()) {
      Refuse("invalid-property", "the value is empty", {});
      return false;
    }
    if (IsPrintable(given_) && IsPrintable(name_) && given_.size() <= kLongest) return true;
    Refuse("invalid-property", "the value is not plain text", "printable ASCII, 1024 characters at most");
    return false;
  }

  std::optional<Property> ReadSize(Property property) {
    const auto bytes = ParseZfsSize(given_);
    if (!bytes.ok()) {
      return Refuse("invalid-size",
                    fmt::format("ZFS cannot read this size: {}", std::string(bytes.status().message())),
                    "a number with an optional fraction and one of K, M, G, T, P, E, Z, or none");
    }
    property.value = std::to_string(*bytes);
    return property;
  }

  std::optional<Property> ReadBlockSize(Property property, std::uint64_t least) {
    constexpr std::uint64_t kMost = std::uint64_t{16} << 20U;
    const auto bytes = ParseZfsSize(given_);
    const bool is_power = bytes.ok() && (*bytes & (*bytes - 1)) == 0 && *bytes >= least && *bytes <= kMost;
    if (!is_power || (*bytes != 0 && *bytes < 512)) {
      return Refuse("invalid-size", "this is no block size", "a power of two from 512 to 16M");
    }
    property.value = std::to_string(*bytes);
    return property;
  }

  std::optional<Property> ReadLimit(Property property) {
    const bool is_number = given_.size() <= 20 && given_.find_first_not_of("0123456789") == std::string::npos;
    if (given_ == "none" || is_number) return property;
    return Refuse("invalid-property", "this is no limit", "a whole number, or none");
  }

  std::optional<Property> ReadMountPoint(Property property) {
    if (given_ == "none" || given_ == "legacy") return property;
    const auto path = NormalisedPath(given_);
    if (!path.has_value() || *path == "/") {
      return Refuse("invalid-path", "this is no mount point",
                    "an absolute path other than /, none or legacy");
    }
    // A node takes no path that is not written plainly.
    return Property{*path, *path, property.origin};
  }

  std::nullopt_t Refuse(std::string rule, std::string message, std::string allowed) {
    findings_.Error(std::move(rule), origin_, fmt::format("property {}: {}", Quoted(name_), message),
                    IsSecretKey(name_) ? "a value that is not shown" : Quoted(given_), std::move(allowed));
    return std::nullopt;
  }

  std::string name_;
  std::string given_;
  Origin origin_;
  Findings& findings_;
  DatasetType type_;
};

// "a=1,b=2", "a=1, b=2", "a=1 b=2" and "a = 1, b = 2" -> name, value pairs.
std::vector<std::pair<std::string, std::string>> SplitItems(const Cursor& text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const auto add = [&](std::string_view item) {
    const std::size_t equals = item.find('=');
    const std::string_view name = Trimmed(item.substr(0, equals));
    const std::string_view value = equals == std::string_view::npos ? "" : Trimmed(item.substr(equals + 1));
    if (equals == std::string_view::npos || name.empty()) {
      text.findings().Error("invalid-property", text.origin(), "this item is no property", Quoted(item),
                            "name=value");
      return;
    }
    pairs.emplace_back(name, value);
  };
  const std::string all = text.String().value_or("");
  for (const std::string_view item : SplitTrimmed(all, ",")) {
    const auto words = SplitTrimmed(item, " \t\r\n");
    const bool each_is_whole = std::all_of(words.begin(), words.end(), [](std::string_view word) {
      return word.find('=') != std::string_view::npos && word.front() != '=' && word.back() != '=';
    });
    if (each_is_whole) {
      for (const std::string_view word : words) add(word);
    } else {
      add(item);
    }
  }
  return pairs;
}

}  // namespace

namespace {

// Hands every item of the cursor to `add(name, given, origin)`.
using AddItem = std::function<void(std::string_view name, std::string_view given, const Origin& origin)>;
void ForEachItem(const Cursor& properties, const AddItem& add) {
  if (properties.is_string()) {
    for (const auto& [name, given] : SplitItems(properties)) add(name, given, properties.origin());
    return;
  }
  for (const auto& [name, value] : properties.Members()) {
    const bool is_text = value.is_string();
    const bool is_number =
        value.present() && (value.json().is_number_unsigned() || value.json().is_number_float());
    const bool is_boolean = value.present() && value.json().is_boolean();
    if (is_text) {
      add(Trimmed(name), Trimmed(value.json().get_ref<const std::string&>()), value.origin());
    } else if (is_number) {
      add(Trimmed(name), value.json().dump(), value.origin());
    } else if (is_boolean) {
      add(Trimmed(name), value.json().get<bool>() ? "on" : "off", value.origin());
    } else if (value.present()) {
      value.Error("wrong-type", "this has the wrong type", "a string, a number, true or false");
    }
  }
}

void Put(std::map<std::string, Property>& read, const std::string& name, Property property,
         Findings& findings) {
  if (read.count(name) > 0) {
    findings.Lint("property-repeated", property.origin,
                  fmt::format("property {} is given twice; the last one is used", Quoted(name)));
  }
  read[name] = std::move(property);
}

// Of pools: every value of each, empty where it is no closed set.
const std::map<std::string_view, std::vector<std::string>> kPoolChoices = {
    {"ashift", {"9", "10", "11", "12", "13", "14", "15", "16"}},
    {"autoexpand", {"on", "off"}},
    {"autoreplace", {"on", "off"}},
    {"autotrim", {"on", "off"}},
    {"comment", {}},
    {"compatibility", {}},
    {"delegation", {"on", "off"}},
    {"failmode", {"wait", "continue", "panic"}},
    {"listsnapshots", {"on", "off"}},
    {"multihost", {"on", "off"}}};

// Of pools as well, and not a run's business, with the reason.
const std::map<std::string_view, std::string_view> kUnsupportedOfPools = {
    {"altroot", "it holds until the next import only, and a mount point in the file is a path of the node"},
    {"bootfs", "what a node boots is its installation's business"},
    {"cachefile", "a pool that is in no cache is not imported when the node boots"},
    {"dedup_table_quota", "it is not supported yet"},
    {"version", "a pool has features, which feature@NAME names"}};

constexpr std::string_view kFeature = "feature@";

// Null where a pool has no such property that can be declared.
const std::vector<std::string>* PoolChoices(std::string_view name) {
  static const std::vector<std::string> kFeatureStates = {"enabled", "disabled"};
  const bool is_feature = name.size() > kFeature.size() && name.starts_with(kFeature) &&
                          name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.:-",
                                                 kFeature.size()) == std::string_view::npos;
  if (is_feature) return &kFeatureStates;
  const auto choices = kPoolChoices.find(name);
  return choices == kPoolChoices.end() ? nullptr : &choices->second;
}

bool IsPoolValue(std::string_view name, const std::string& given, const std::vector<std::string>& allowed) {
  if (!allowed.empty()) return std::find(allowed.begin(), allowed.end(), given) != allowed.end();
  constexpr std::size_t kLongestComment = 32;
  return !given.empty() && IsPrintable(given) && (name != "comment" || given.size() <= kLongestComment);
}

}  // namespace

std::map<std::string, Property> ReadProperties(const Cursor& properties, DatasetType type) {
  std::map<std::string, Property> read;
  ForEachItem(properties, [&](std::string_view name, std::string_view given, const Origin& origin) {
    Item item(name, given, origin, properties.findings(), type);
    std::optional<Property> property = item.Read();
    if (property.has_value()) Put(read, item.name(), *std::move(property), properties.findings());
  });
  return read;
}

PoolProperties ReadPoolProperties(const Cursor& properties) {
  PoolProperties read;
  Findings& findings = properties.findings();
  ForEachItem(properties, [&](std::string_view name, std::string_view given, const Origin& origin) {
    if (name == "mountpoint" || name == "canmount") {
      findings.Error(
          "unsupported-property", origin,
          fmt::format("property {}: the root dataset of a pool is mounted at /<pool>; say of its datasets "
                      "where they are mounted",
                      Quoted(name)));
      return;
    }
    if (const auto why = kUnsupportedOfPools.find(name); why != kUnsupportedOfPools.end()) {
      findings.Error("unsupported-property", origin,
                     fmt::format("property {} of a pool is not declared: {}", Quoted(name), why->second));
      return;
    }
    const std::vector<std::string>* choices = PoolChoices(name);
    if (choices == nullptr) {
      Item item(name, given, origin, findings);
      std::optional<Property> property = item.Read();
      if (property.has_value()) Put(read.root, item.name(), *std::move(property), findings);
      return;
    }
    const std::string value(given);
    if (!IsPoolValue(name, value, *choices)) {
      findings.Error(
          "invalid-property", origin, fmt::format("property {}: ZFS knows no such value", Quoted(name)),
          Quoted(given),
          choices->empty() ? "printable ASCII; a comment of 32 characters at most" : OneOf(*choices));
      return;
    }
    Put(read.pool, std::string(name), {value, value, origin}, findings);
  });
  return read;
}

}  // namespace phoenix::config
