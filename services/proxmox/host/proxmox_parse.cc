#include "services/proxmox/host/proxmox_parse.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string> Fields(std::string_view line) {
  std::vector<std::string> fields;
  std::string field;
  for (const char c : line) {
    if (c == ' ' || c == '\t') {
      if (!field.empty()) fields.push_back(std::move(field));
      field.clear();
    } else {
      field += c;
    }
  }
  if (!field.empty()) fields.push_back(std::move(field));
  return fields;
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes blanks and backslashes in mount tables as \ooo.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && IsOctal(text[i + 1]) && IsOctal(text[i + 2]) &&
        IsOctal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::map<std::string, StorageStatus, std::less<>>> ParseStatus(std::string_view out) {
  std::map<std::string, StorageStatus, std::less<>> storages;
  bool header = false;
  for (const auto line : Lines(out)) {
    const auto fields = Fields(line);
    if (fields.empty()) continue;
    if (!header) {
      if (fields.size() < 3 || fields[0] != "Name" || fields[2] != "Status") {
        return Internal("`pvesm status` answered something unknown: {}", line);
      }
      header = true;
      continue;
    }
    if (fields.size() < 3) return Internal("`pvesm status` answered a short line: {}", line);
    storages[fields[0]] = {fields[1], fields[2]};
  }
  if (!header) return Internal("`pvesm status` answered nothing");
  return storages;
}

std::vector<Mount> ParseMounts(std::string_view text) {
  std::vector<Mount> mounts;
  for (const auto line : Lines(text)) {
    const auto fields = Fields(line);
    if (fields.size() >= 3) mounts.push_back({Unescape(fields[0]), Unescape(fields[1]), fields[2]});
  }
  return mounts;
}

Words ParseAddresses(std::string_view fib_trie) {
  Words addresses;
  std::string last;
  for (const auto line : Lines(fib_trie)) {
    const auto fields = Fields(line);
    if (fields.size() >= 2 && fields[0] == "|--") {
      last = fields[1];
    } else if (fields.size() >= 3 && fields[0] == "/32" && fields[1] == "host" && fields[2] == "LOCAL") {
      addresses.insert(last);
    }
  }
  return addresses;
}

Words ParseAddresses6(std::string_view if_inet6) {
  Words addresses;
  for (const auto line : Lines(if_inet6)) {
    const auto fields = Fields(line);
    in6_addr address{};
    if (fields.empty() || fields[0].size() != 2 * sizeof address.s6_addr) continue;
    bool good = true;
    for (size_t i = 0; i < sizeof address.s6_addr; ++i) {
      const char* const digits = fields[0].data() + 2 * i;
      const auto [end, error] = std::from_chars(digits, digits + 2, address.s6_addr[i], 16);
      good = good && error == std::errc() && end == digits + 2;
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (good && ::inet_ntop(AF_INET6, &address, text.data(), text.size()) != nullptr)
      addresses.insert(text.data());
  }
  return addresses;
}

Words ParseHostNames(std::string_view hosts, const Words& addresses) {
  Words names;
  for (const auto line : Lines(hosts)) {
    const auto fields = Fields(line.substr(0, line.find('#')));
    if (fields.empty() || (addresses.count(fields[0]) == 0 && !fields[0].starts_with("127."))) continue;
    for (size_t i = 1; i < fields.size(); ++i) names.insert(LowerCase(fields[i]));
  }
  return names;
}

std::optional<Members> ParseMembers(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("nodename")) return std::nullopt;
  Members members;
  const auto cluster = json.find("cluster");
  if (cluster == json.end() || !cluster->is_object()) return members;
  if (const auto name = cluster->find("name"); name != cluster->end() && name->is_string()) {
    members.cluster = name->get<std::string>();
  }
  if (const auto quorate = cluster->find("quorate"); quorate != cluster->end() && quorate->is_number()) {
    members.quorate = quorate->get<int>() != 0;
  }
  return members;
}

std::string ParseClusterName(std::string_view corosync_conf) {
  for (const auto line : Lines(corosync_conf)) {
    const auto fields = Fields(line);
    if (fields.size() >= 2 && fields[0] == "cluster_name:") return fields[1];
  }
  return "";
}

bool GuestUses(std::string_view guest_config, std::string_view id) {
  const std::string volume = fmt::format("{}:", id);
  for (const auto line : Lines(guest_config)) {
    if (line.empty() || line.front() == '#') continue;
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    const std::string_view value = line.substr(colon + 1);
    // Where a suspended VM's memory goes.
    if (line.substr(0, colon) == "vmstatestorage" && value.substr(1) == id) return true;
    for (size_t at = value.find(volume); at != std::string_view::npos; at = value.find(volume, at + 1)) {
      // Whole names only: "fast:" is no part of "notfast:".
      const char before = value[at - 1];
      if (before == ' ' || before == ',' || before == '=') return true;
    }
  }
  return false;
}

bool JobUses(std::string_view jobs_config, std::string_view id) {
  for (const auto line : Lines(jobs_config)) {
    const auto fields = Fields(line);
    if (fields.size() != 2) continue;
    // vzdump.conf ends its keys with a colon.
    if ((fields[0] == "storage" || fields[0] == "storage:") && fields[1] == id) return true;
    if (!fields[0].starts_with("fleecing")) continue;
    for (const std::string& option : SplitList(fields[1])) {
      if (option == fmt::format("storage={}", id)) return true;
    }
  }
  return false;
}

bool IsRunning(std::string_view sockets, uint32_t container) {
  const std::string socket = fmt::format("@/var/lib/lxc/{}/command", container);
  for (const auto line : Lines(sockets)) {
    const auto fields = Fields(line);
    if (!fields.empty() && fields.back() == socket) return true;
  }
  return false;
}

absl::StatusOr<std::map<std::string, uint64_t>> ParseVolumes(std::string_view out) {
  std::map<std::string, uint64_t> volumes;
  for (const auto line : Lines(out)) {
    const auto fields = Fields(line);
    if (fields.empty() || fields[0] == "Volid") continue;
    uint64_t size = 0;
    const std::string text = fields.size() < 4 ? std::string() : fields[3];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
      return Internal("pvesm list said a line that cannot be read: {}", line);
    volumes[fields[0]] = size;
  }
  return volumes;
}

std::string ParsePackageVersion(std::string_view dpkg_status, std::string_view package) {
  bool inside = false;
  bool installed = false;
  for (const auto line : Lines(dpkg_status)) {
    if (line.starts_with("Package: ")) {
      inside = line.substr(9) == package;
      installed = false;
    } else if (inside && line.starts_with("Status: ")) {
      installed = line == "Status: install ok installed" || line == "Status: hold ok installed";
    } else if (inside && installed && line.starts_with("Version: ")) {
      return std::string(line.substr(9));
    }
  }
  return "";
}

std::vector<std::string> Warnings(std::string_view err) {
  std::vector<std::string> warnings;
  for (const auto line : Lines(err)) {
    if (line.empty() || line.starts_with("trying to acquire cfs lock")) continue;
    // The tools say the same thing once for each activation.
    if (std::find(warnings.begin(), warnings.end(), line) == warnings.end()) warnings.emplace_back(line);
  }
  return warnings;
}

absl::Status ExplainComplaint(std::string_view who, std::string_view complaint, std::string_view said) {
  if (Contains(complaint, "no quorum!")) {
    return WithReason(
        FailedPrecondition("the cluster has no quorum, so storage entries cannot change: bring the other "
                           "nodes back (`pvecm status` names them) and try again ({} said: {})",
                           who, said),
        {kNoQuorum, {}});
  }
  if (Contains(complaint, "got lock request timeout")) {
    return WithReason(
        Unavailable(
            "another Proxmox tool holds the lock of storage.cfg for more than 10 s; try again. A lock "
            "that nobody holds any more goes by itself after 2 minutes ({} said: {})",
            who, said),
        {kStorageLocked, {}});
  }
  if (Contains(complaint, "ipcc_send_rec") || Contains(complaint, "Unable to load access control list") ||
      Contains(complaint, "pve cluster filesystem not online")) {
    return WithReason(
        Unavailable("/etc/pve does not answer: look at `systemctl status pve-cluster` ({} said: {})", who,
                    said),
        {kPmxcfsDown, {}});
  }
  if (Contains(complaint, "detected modified configuration")) {
    return WithReason(
        Aborted("storage.cfg was changed by somebody else since it was read ({} said: {})", who, said),
        {kStorageConfigChanged, {}});
  }
  if (Contains(complaint, "already defined")) {
    return AlreadyExists("the storage id is taken ({} said: {})", who, said);
  }
  const bool missing = Contains(complaint, "update storage failed: storage '") ||
                       Contains(complaint, "delete storage failed: storage '");
  if (missing && Contains(complaint, "does not exist")) {
    return NotFound("there is no such storage ({} said: {})", who, said);
  }
  return absl::OkStatus();
}

absl::Status ExplainFailure(const Command& command, const CommandResult& result) {
  const std::string text = ToText(command);
  const auto lines = Warnings(result.err);
  std::string said;
  for (const auto& line : lines) {
    if (!said.empty()) said += "; ";
    said += line;
  }
  if (said.empty()) said = fmt::format("nothing, with exit code {}", result.exit_code);
  absl::Status known = ExplainComplaint(text, result.err, said);
  return known.ok() ? FailedPrecondition("{} failed and said: {}", text, said) : known;
}

}  // namespace phoenix::proxmox
