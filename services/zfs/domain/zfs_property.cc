#include "services/zfs/domain/zfs_property.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::zfs {
namespace {

using enum PropertyKind;

constexpr std::string_view kOnOff = "on off";

PropertyRule Switch(std::string_view name, std::string_view standard, bool volumes = false) {
  return {.name = name, .kind = kChoice, .volumes = volumes, .standard = standard, .choices = kOnOff};
}
PropertyRule Choice(std::string_view name, std::string_view standard, std::string_view choices,
                    bool volumes = true) {
  return {.name = name, .kind = kChoice, .volumes = volumes, .standard = standard, .choices = choices};
}
PropertyRule Space(std::string_view name, bool volumes) {
  return {.name = name, .kind = kSize, .inheritable = false, .volumes = volumes, .standard = "0"};
}

std::vector<PropertyRule> MakeRules() {
  std::vector<PropertyRule> rules = {
      Switch("atime", "on"),
      Switch("relatime", "on"),
      Switch("devices", "on"),
      Switch("exec", "on"),
      Switch("setuid", "on"),
      Switch("readonly", "off", true),
      Switch("nbmand", "off"),
      Switch("overlay", "on"),
      Switch("vscan", "off"),
      Switch("zoned", "off"),
      Choice("acltype", "off", "off noacl posix posixacl nfsv4", false),
      Choice("aclinherit", "restricted", "discard noallow restricted passthrough passthrough-x", false),
      Choice("aclmode", "discard", "discard groupmask passthrough restricted", false),
      Choice("xattr", "on", "on off sa dir", false),
      Choice("snapdir", "hidden", "disabled hidden visible", false),
      Choice("snapdev", "hidden", "hidden visible"),
      Choice("volmode", "default", "default full geom dev none"),
      Choice("primarycache", "all", "all none metadata"),
      Choice("secondarycache", "all", "all none metadata"),
      Choice("prefetch", "all", "all none metadata"),
      Choice("direct", "standard", "disabled standard always", false),
      Choice("logbias", "latency", "latency throughput"),
      Choice("sync", "standard", "standard always disabled"),
      Choice("redundant_metadata", "all", "all most some none"),
      Choice("copies", "1", "1 2 3"),
      Choice("dnodesize", "legacy", "legacy auto 1k 2k 4k 8k 16k", false),
      Choice("checksum", "on", "on off fletcher2 fletcher4 sha256 noparity sha512 skein edonr blake3"),
      Choice("dedup", "off",
             "on off verify sha256 sha256,verify sha512 sha512,verify skein skein,verify edonr,verify blake3 "
             "blake3,verify"),
      Choice("longname", "off", "on off", false),
      {.name = "volthreading",
       .kind = kChoice,
       .inheritable = false,
       .filesystems = false,
       .standard = "on",
       .choices = kOnOff},
      {.name = "compression", .kind = kText, .standard = "on"},
      {.name = "recordsize", .kind = kSize, .volumes = false, .standard = "131072"},
      {.name = "special_small_blocks", .kind = kSize, .standard = "0"},
      {.name = "mountpoint", .kind = kPath, .volumes = false},
      {.name = "sharenfs", .volumes = false, .standard = "off"},
      {.name = "sharesmb", .volumes = false, .standard = "off"},
      {.name = "context", .inheritable = false, .volumes = false, .standard = "none"},
      {.name = "fscontext", .inheritable = false, .volumes = false, .standard = "none"},
      {.name = "defcontext", .inheritable = false, .volumes = false, .standard = "none"},
      {.name = "rootcontext", .inheritable = false, .volumes = false, .standard = "none"},
      {.name = "canmount",
       .kind = kChoice,
       .inheritable = false,
       .volumes = false,
       .standard = "on",
       .choices = "on off noauto"},
      Space("quota", false),
      Space("refquota", false),
      Space("reservation", true),
      Space("refreservation", true),
      {.name = "filesystem_limit",
       .kind = kLimit,
       .inheritable = false,
       .volumes = false,
       .standard = "none"},
      {.name = "snapshot_limit", .kind = kLimit, .inheritable = false, .standard = "none"},
      {.name = "volsize", .kind = kSize, .inheritable = false, .filesystems = false, .standard = "0"},
      {.name = "volblocksize",
       .kind = kSize,
       .inheritable = false,
       .create_only = true,
       .filesystems = false,
       .standard = "16384"},
      {.name = "casesensitivity",
       .kind = kChoice,
       .inheritable = false,
       .create_only = true,
       .volumes = false,
       .standard = "sensitive",
       .choices = "sensitive insensitive mixed"},
      {.name = "normalization",
       .kind = kChoice,
       .inheritable = false,
       .create_only = true,
       .volumes = false,
       .standard = "none",
       .choices = "none formC formD formKC formKD"},
      {.name = "utf8only",
       .kind = kChoice,
       .inheritable = false,
       .create_only = true,
       .volumes = false,
       .standard = "off",
       .choices = kOnOff},
  };
  return rules;
}

bool HasWord(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const auto blank = words.find(' ');
    if (words.substr(0, blank) == word) return true;
    if (blank == std::string_view::npos) return false;
    words.remove_prefix(blank + 1);
  }
  return false;
}

bool IsNumber(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return false;
  }
  return true;
}

bool IsCompression(std::string_view value) {
  if (HasWord("on off lzjb gzip zle lz4 zstd zstd-fast", value)) return true;
  const auto level = [&](std::string_view family, int least, int most) {
    if (!value.starts_with(family) || !IsNumber(value.substr(family.size())) ||
        value.size() > family.size() + 4) {
      return false;
    }
    const int number = std::atoi(std::string(value.substr(family.size())).c_str());
    return number >= least && number <= most;
  };
  if (level("gzip-", 1, 9) || level("zstd-", 1, 19) || level("zstd-fast-", 1, 10)) return true;
  return HasWord(
      "zstd-fast-20 zstd-fast-30 zstd-fast-40 zstd-fast-50 zstd-fast-60 zstd-fast-70 zstd-fast-80 "
      "zstd-fast-90 zstd-fast-100 zstd-fast-500 zstd-fast-1000",
      value);
}

absl::StatusOr<std::string> CanonicalSize(std::string_view property, std::string_view value) {
  if (value == "none" && property != "recordsize" && property != "volsize") return std::string("0");
  if (value == "auto" && property == "refreservation") {
    return InvalidArgument(
        "refreservation=auto stands for a size that ZFS works out when it is set and cannot be compared "
        "afterwards; give the size, or none");
  }
  PHX_ASSIGN_OR_RETURN(const uint64_t bytes, ParseSize(value));
  const bool power_of_two = bytes != 0 && (bytes & (bytes - 1)) == 0;
  if ((property == "recordsize" || property == "volblocksize") &&
      (!power_of_two || bytes < 512 || bytes > (uint64_t{16} << 20))) {
    return InvalidArgument("{} must be a power of two from 512 to 16M, found '{}'", property, value);
  }
  return std::to_string(bytes);
}

}  // namespace

const std::vector<PropertyRule>& PropertyRules() {
  static const std::vector<PropertyRule> rules = MakeRules();
  return rules;
}

const PropertyRule* FindProperty(std::string_view name) {
  for (const auto& rule : PropertyRules()) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

bool IsUserProperty(std::string_view name) { return name.find(':') != std::string_view::npos; }

bool IsInheritable(std::string_view name) {
  const PropertyRule* rule = FindProperty(name);
  return rule == nullptr || rule->inheritable;
}

// What zfs_nicestrtonum() of libzfs takes, without the exponents and hexadecimal fractions that strtod() lets
// through: nobody means those.
absl::StatusOr<uint64_t> ParseSize(std::string_view text) {
  absl::Status bad = InvalidArgument("'{}' is not a size such as 800G, 1.4T or plain bytes", text);
  const auto upper = [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); };
  size_t end = 0, digits = 0;
  bool fraction = false;
  for (; end < text.size(); ++end) {
    if (text[end] == '.' ? fraction : std::isdigit(static_cast<unsigned char>(text[end])) == 0) break;
    fraction = fraction || text[end] == '.';
    digits += text[end] == '.' ? 0 : 1;
  }
  if (digits == 0) return bad;
  constexpr std::string_view kUnits = "BKMGTPEZ";
  int shift = 0;
  std::string unit(text.substr(end));
  std::transform(unit.begin(), unit.end(), unit.begin(), upper);
  if (!unit.empty()) {
    const auto position = kUnits.find(unit[0]);
    if (position == std::string_view::npos) return bad;
    shift = static_cast<int>(position) * 10;
    unit.erase(0, 1);
    if (!unit.empty() && (shift == 0 || (unit != "B" && unit != "IB"))) return bad;
  }
  const std::string number(text.substr(0, end));
  if (fraction) {
    // ZFS multiplies in floating point and truncates; anything more exact would differ from what it stores.
    const double bytes = std::strtod(number.c_str(), nullptr) * std::pow(2.0, shift);
    if (bytes >= 18446744073709551616.0) return bad;
    return static_cast<uint64_t>(bytes);
  }
  errno = 0;
  const uint64_t whole = std::strtoull(number.c_str(), nullptr, 10);
  if (errno != 0 || shift >= 64 || (shift > 0 && (whole >> (64 - shift)) != 0)) return bad;
  return whole << shift;
}

absl::StatusOr<std::string> CanonicalValue(std::string_view property, std::string_view value) {
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return InvalidArgument("{} holds a control character", property);
    }
  }
  const PropertyRule* rule = FindProperty(property);
  if (rule == nullptr) return std::string(value);
  switch (rule->kind) {
    case kSize:
      return CanonicalSize(property, value);
    case kLimit:
      // Older releases print the number that stands for no limit.
      if (value == "none" || value == "18446744073709551615") return std::string("none");
      if (!IsNumber(value)) return InvalidArgument("{} takes a number or none, found '{}'", property, value);
      return std::string(value);
    case kChoice:
      if (!HasWord(rule->choices, value)) {
        return InvalidArgument("{} takes one of: {}; found '{}'", property, rule->choices, value);
      }
      if (property == "acltype" && value == "posixacl") return std::string("posix");
      // Since 2.3 both are one and shown as "on"; before, "on" is "dir", and what is set to "sa" shows so.
      if (property == "xattr" && value == "sa") return std::string("on");
      if (property == "acltype" && value == "noacl") return std::string("off");
      // Two words for one, of which ZFS prints the first.
      if (property == "volmode" && value == "geom") return std::string("full");
      return std::string(value);
    case kPath: {
      if (value == "none" || value == "legacy") return std::string(value);
      if (value.empty() || value[0] != '/') {
        return InvalidArgument("{} takes an absolute path, none or legacy, found '{}'", property, value);
      }
      if (value.find("/../") != std::string_view::npos || value.find("//") != std::string_view::npos ||
          value.ends_with("/..") || value.find("/./") != std::string_view::npos) {
        return InvalidArgument("{} '{}' is not a plain path", property, value);
      }
      while (value.size() > 1 && value.ends_with('/')) value.remove_suffix(1);
      return std::string(value);
    }
    case kText:
      break;
  }
  if (property == "compression") {
    if (!IsCompression(value)) return InvalidArgument("compression does not know '{}'", value);
    if (value == "zstd-fast-1") return std::string("zstd-fast");
    return value == "gzip-6" ? std::string("gzip") : std::string(value);
  }
  if (value.empty()) return InvalidArgument("{} has no value", property);
  return std::string(value);
}

bool SameValue(std::string_view property, std::string_view a, std::string_view b) {
  if (a == b) return true;
  const auto first = CanonicalValue(property, a);
  const auto second = CanonicalValue(property, b);
  return first.ok() && second.ok() && *first == *second;
}

bool SameValueIn(std::string_view version, std::string_view property, std::string_view a,
                 std::string_view b) {
  const bool older = version.starts_with("0.") || version.starts_with("2.0") || version.starts_with("2.1") ||
                     version.starts_with("2.2");
  if (property != "xattr" || !older) return SameValue(property, a, b);
  const auto meant = [](std::string_view value) { return value == "on" ? std::string_view("dir") : value; };
  return meant(a) == meant(b);
}

}  // namespace phoenix::zfs
