#include "services/samba/host/samba_parse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::samba {
namespace {

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  while (!text.empty() && kBlanks.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && kBlanks.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> Split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto found = text.find(at);
    parts.push_back(text.substr(0, found));
    if (found == std::string_view::npos) return parts;
    text.remove_prefix(found + 1);
  }
}

template <class Number>
std::optional<Number> ToNumber(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

// Beginnings of what testparm says about a configuration that is not as its author thinks. Its exit code is 0
// for most.
constexpr std::array<std::string_view, 8> kComplaints = {"Unknown parameter encountered",
                                                         "Global parameter ",
                                                         "set_variable_helper",
                                                         "Ignoring badly formed line",
                                                         "Invalid combination",
                                                         "ERROR:",
                                                         "params.c:",
                                                         "Badly formed"};

bool IsComplaint(std::string_view line) {
  return std::any_of(kComplaints.begin(), kComplaints.end(),
                     [&](std::string_view complaint) { return line.starts_with(complaint); }) ||
         line.find("value is not") != std::string_view::npos;
}

// "\040" as the kernel writes a blank.
std::string Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '\\' ? ToNumber<int>(text.substr(i + 1, 3), 8) : std::nullopt;
    plain += code ? static_cast<char>(*code) : text[i];
    if (code) i += 3;
  }
  return plain;
}

}  // namespace

absl::StatusOr<Account> ParseAccount(std::string_view line) {
  const auto fields = Split(Trimmed(line), ':');
  if (fields.size() != 7) return Internal("no line of passwd: '{}'", Trimmed(line));
  const auto uid = ToNumber<uint32_t>(fields[2]);
  const auto gid = ToNumber<uint32_t>(fields[3]);
  if (!uid || !gid) return Internal("no line of passwd: '{}'", Trimmed(line));
  return Account{std::string(fields[0]), *uid, *gid, std::string(fields[4]), std::string(fields[5]),
                 std::string(fields[6])};
}

absl::StatusOr<uint32_t> ParseGroup(std::string_view line) {
  const auto fields = Split(Trimmed(line), ':');
  const auto gid = fields.size() == 4 ? ToNumber<uint32_t>(fields[2]) : std::nullopt;
  if (!gid) return Internal("no line of group: '{}'", Trimmed(line));
  return *gid;
}

absl::StatusOr<std::vector<uint32_t>> ParseGroups(std::string_view line, uint32_t own) {
  std::vector<uint32_t> gids;
  for (const std::string_view word : Split(Trimmed(line), ' ')) {
    const auto gid = ToNumber<uint32_t>(word);
    if (!gid) return Internal("no list of gids: '{}'", Trimmed(line));
    if (*gid != own) gids.push_back(*gid);
  }
  std::sort(gids.begin(), gids.end());
  return gids;
}

std::map<std::string, PassdbEntry> ParsePassdb(std::string_view out) {
  constexpr std::string_view kSet = "LCT-";
  std::map<std::string, PassdbEntry> entries;
  for (const std::string_view line : Split(out, '\n')) {
    // name:uid:LM hash:NT hash:[flags]:LCT-time:
    const auto fields = Split(line, ':');
    if (fields.size() < 6 || !fields[5].starts_with(kSet) || fields[3].size() != 32) continue;
    const auto set = ToNumber<int64_t>(fields[5].substr(kSet.size()), 16);
    if (!set) continue;
    entries[std::string(fields[0])] = {*set, Secret(std::string(fields[3])), std::string(fields[4])};
  }
  return entries;
}

CheckedConfig ParseTestparm(const CommandResult& result) {
  CheckedConfig config;
  config.loads = result.exit_code == 0;
  for (const std::string_view raw : Split(result.err, '\n')) {
    const std::string_view line = Trimmed(raw);
    if (IsComplaint(line)) config.problems.emplace_back(line);
  }
  if (!config.loads && config.problems.empty()) {
    config.problems.emplace_back(result.err.empty() ? "testparm fails and does not say why"
                                                    : Trimmed(result.err));
  }
  Parameters* parameters = nullptr;
  for (const std::string_view raw : Split(result.out, '\n')) {
    const std::string_view line = Trimmed(raw);
    if (line.empty() || line[0] == '#') continue;
    // Parameters are indented, so that a value that begins with a bracket is no section.
    if (raw[0] == '[' && line.back() == ']') {
      const std::string name(line.substr(1, line.size() - 2));
      if (ShareKey(name) == "global") {
        parameters = &config.dump.globals;
      } else {
        Section& section = config.dump.shares[ShareKey(name)];
        section.name = name;
        parameters = &section.parameters;
      }
      continue;
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || parameters == nullptr) continue;
    const std::string name(Trimmed(line.substr(0, equals)));
    // Where an include stands is no property of the share whose section it stands in.
    if (name == "include") continue;
    (*parameters)[name] = std::string(Trimmed(line.substr(equals + 1)));
  }
  return config;
}

MountState ParseMount(std::string_view mountinfo, std::string_view path) {
  MountState mount;
  for (const std::string_view line : Split(mountinfo, '\n')) {
    // 36 35 98:0 /root /mount options… - type source options
    const auto words = Split(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    const std::string place = Unescaped(words[4]);
    const bool holds =
        place == "/" || path == place || (path.starts_with(place) && path[place.size()] == '/');
    // Later lines lie over earlier ones.
    if (!holds || place.size() < mount.mount_point.size()) continue;
    const auto options = Split(dash[3], ',');
    // ZFS says which it is; others keep them unless they are told not to.
    const bool none = std::find(options.begin(), options.end(), "noacl") != options.end();
    mount = {place, std::string(dash[1]), !none};
  }
  return mount;
}

absl::Status ParseLogin(const CommandResult& result) {
  std::string words;
  for (const std::string& text : {result.out, result.err}) {
    for (const std::string_view line : Split(text, '\n')) {
      if (line.find("NT_STATUS_") != std::string_view::npos)
        words += (words.empty() ? "" : "; ") + std::string(Trimmed(line));
    }
  }
  // The exit code is that of the last command: one before it may have failed.
  if (result.exit_code == 0 && words.empty()) return absl::OkStatus();
  if (words.empty()) words = fmt::format("smbclient failed with exit code {}", result.exit_code);
  const auto has = [&](std::string_view code) { return words.find(code) != std::string::npos; };
  if (has("CONNECTION_REFUSED") || has("NT_STATUS_HOST_UNREACHABLE") || has("NT_STATUS_IO_TIMEOUT")) {
    return Unavailable("{}", words);
  }
  if (has("LOGON_FAILURE") || has("ACCESS_DENIED") || has("ACCOUNT_DISABLED") || has("NT_STATUS_ACCOUNT")) {
    return PermissionDenied("{}", words);
  }
  if (has("BAD_NETWORK_NAME") || has("OBJECT_NAME_NOT_FOUND") || has("OBJECT_PATH_NOT_FOUND"))
    return NotFound("{}", words);
  return Internal("{}", words);
}

std::string PassdbPath(const Parameters& globals) {
  const auto value = [&](const std::string& name, const std::string& standard) {
    const auto found = globals.find(name);
    return found == globals.end() || found->second.empty() ? standard : found->second;
  };
  constexpr std::string_view kTdb = "tdbsam";
  const std::string backend = value("passdb backend", std::string(kTdb));
  if (backend == kTdb) return value("private dir", "/var/lib/samba/private") + "/passdb.tdb";
  if (!backend.starts_with(kTdb) || backend[kTdb.size()] != ':') return "";
  return backend.substr(kTdb.size() + 1);
}

}  // namespace phoenix::samba
