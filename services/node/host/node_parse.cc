#include "services/node/host/node_parse.h"

#include <absl/strings/match.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/status/errors.h"
#include "services/node/domain/firewall_rule.h"

namespace phoenix::node {
namespace {

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while (true) {
    at = text.find_first_not_of(" \t\r", at);
    if (at == std::string_view::npos) return words;
    const size_t end = std::min(text.find_first_of(" \t\r", at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

bool IsUnitName(std::string_view name) {
  static constexpr std::string_view kTypes[] = {".service", ".socket",    ".timer", ".path",
                                                ".mount",   ".automount", ".target"};
  // A template has no instance between '@' and the type.
  return name.find("@.") == std::string_view::npos &&
         std::any_of(std::begin(kTypes), std::end(kTypes), [&](auto type) { return EndsWith(name, type); });
}

std::string Property(const UnitProperties& properties, std::string_view name) {
  const auto found = properties.find(name);
  return found == properties.end() ? std::string() : found->second;
}

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// Text that is no hexadecimal is kept as it is.
std::string FromHex(std::string_view hex) {
  std::string text;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    const int high = HexDigit(hex[i]), low = HexDigit(hex[i + 1]);
    if (high < 0 || low < 0) return std::string(hex);
    text += static_cast<char>(high * 16 + low);
  }
  return hex.size() % 2 == 0 ? text : std::string(hex);
}

bool IsAnywhere(std::string_view address) {
  return address == "0.0.0.0/0" || address == "::/0" || address == "any";
}

std::optional<SeenRule> ParseTuple(std::string_view tuple) {
  SeenRule rule;
  if (const size_t comment = tuple.find(" comment="); comment != std::string_view::npos) {
    rule.comment = FromHex(Trim(tuple.substr(comment + 9)));
    tuple = tuple.substr(0, comment);
  }
  const auto words = Words(tuple);
  // action protocol port destination source-port source [applications] [direction]
  if (words.size() < 6 || words.size() > 9) return std::nullopt;
  rule.action = words[0];
  rule.protocol = words[1];
  rule.port = words[2];
  rule.client = words[5];
  rule.direction = words.size() == 7 || words.size() == 9 ? words.back() : "in";
  const bool application = words.size() >= 8;
  rule.plain =
      IsAnywhere(words[3]) && words[4] == "any" && !application && !StartsWith(rule.action, "route:");
  if (application) rule.port.clear();
  return rule;
}

}  // namespace

std::map<std::string, PackageState> ParsePackages(std::string_view text,
                                                  const std::vector<std::string>& names) {
  std::map<std::string, PackageState> states;
  for (const std::string& name : names) states[name] = PackageState::kAbsent;
  for (const std::string_view line : Lines(text)) {
    const auto words = Words(line);
    if (words.size() != 2) continue;
    const auto found = states.find(std::string(words[0]));
    if (found == states.end()) continue;
    // Of a package of several architectures, the one that is there counts.
    if (words[1] == "installed") {
      found->second = PackageState::kInstalled;
    } else if (words[1] != "not-installed" && words[1] != "config-files" &&
               found->second == PackageState::kAbsent) {
      found->second = PackageState::kBroken;
    }
  }
  return states;
}

InstallForecast ParseForecast(std::string_view text) {
  InstallForecast forecast;
  for (const std::string_view line : Lines(text)) {
    const auto words = Words(line);
    if (words.size() < 2) continue;
    // "Inst NAME (new …)" installs, "Inst NAME [old] (new …)" upgrades, "Remv NAME [old]" removes.
    if (words[0] == "Inst") {
      const bool upgrade = words.size() > 2 && StartsWith(words[2], "[");
      (upgrade ? forecast.upgrades : forecast.brings).emplace_back(words[1]);
    } else if (words[0] == "Remv") {
      forecast.removes.emplace_back(words[1]);
    }
  }
  for (auto* list : {&forecast.brings, &forecast.upgrades, &forecast.removes})
    std::sort(list->begin(), list->end());
  return forecast;
}

std::vector<std::string> ParseUnitFiles(std::string_view text) {
  std::set<std::string> names;
  for (std::string_view line : Lines(text)) {
    line = Trim(line);
    const size_t slash = line.rfind('/');
    if (slash == std::string_view::npos) continue;
    const std::string_view directory = line.substr(0, slash);
    if (directory != "/lib/systemd/system" && directory != "/usr/lib/systemd/system") continue;
    if (const std::string_view name = line.substr(slash + 1); IsUnitName(name)) names.emplace(name);
  }
  return {names.begin(), names.end()};
}

std::vector<UnitProperties> ParseShow(std::string_view text) {
  std::vector<UnitProperties> units;
  UnitProperties current;
  for (const std::string_view line : Lines(text)) {
    if (line.empty()) {
      if (!current.empty()) units.push_back(std::exchange(current, {}));
      continue;
    }
    if (const size_t equals = line.find('='); equals != std::string_view::npos) {
      current[std::string(line.substr(0, equals))] = line.substr(equals + 1);
    }
  }
  if (!current.empty()) units.push_back(std::move(current));
  return units;
}

UnitState ToUnitState(const std::string& asked, const UnitProperties& properties) {
  UnitState unit{asked};
  const std::string load = Property(properties, "LoadState");
  unit.exists = load != "not-found" && !load.empty();
  if (!unit.exists) return unit;
  if (const std::string id = Property(properties, "Id"); !id.empty()) unit.name = id;
  unit.enablement = Property(properties, "UnitFileState");
  unit.masked = load == "masked" || StartsWith(unit.enablement, "masked");
  const std::string active = Property(properties, "ActiveState");
  unit.active = active == "active" || active == "reloading" || active == "activating";
  return unit;
}

InstallProgress ToProgress(const UnitProperties& properties) {
  if (Property(properties, "LoadState") == "not-found") return InstallProgress::kNone;
  const std::string active = Property(properties, "ActiveState");
  if (active == "activating" || active == "deactivating" || active == "reloading")
    return InstallProgress::kRunning;
  // A oneshot that is queued is not active yet.
  if (const std::string job = Property(properties, "Job"); !job.empty() && job != "0")
    return InstallProgress::kRunning;
  // Ended and about to be forgotten by systemd.
  if (active == "inactive") return InstallProgress::kNone;
  if (active == "failed" || Property(properties, "Result") != "success") return InstallProgress::kFailed;
  return InstallProgress::kSucceeded;
}

std::vector<std::string> PulledUnits(const UnitProperties& properties) {
  std::set<std::string> pulled;
  for (const char* name : {"Requires", "Requisite", "BindsTo", "Wants", "Triggers"}) {
    const std::string value = Property(properties, name);
    for (const std::string_view unit : Words(value)) {
      if (IsUnitName(unit) && !EndsWith(unit, ".target")) pulled.emplace(unit);
    }
  }
  return {pulled.begin(), pulled.end()};
}

bool UfwStatusActive(std::string_view text) {
  for (const std::string_view line : Lines(text)) {
    if (Trim(line) == "Status: active") return true;
  }
  return false;
}

std::optional<std::string> ShellValue(std::string_view text, std::string_view name) {
  std::optional<std::string> value;
  for (std::string_view line : Lines(text)) {
    line = Trim(line);
    if (!StartsWith(line, name) || line.size() <= name.size() || line[name.size()] != '=') continue;
    std::string_view found = Trim(line.substr(name.size() + 1));
    if (found.size() >= 2 && (found.front() == '"' || found.front() == '\'') &&
        found.back() == found.front()) {
      found = found.substr(1, found.size() - 2);
    }
    value = std::string(found);
  }
  return value;
}

bool ShellSwitch(std::string_view text, std::string_view name) {
  return absl::EqualsIgnoreCase(ShellValue(text, name).value_or(""), "yes");
}

absl::StatusOr<std::vector<SeenRule>> ParseUserRules(std::string_view text) {
  const auto lines = Lines(text);
  const auto last = std::find_if(lines.rbegin(), lines.rend(), [](auto line) { return !Trim(line).empty(); });
  if (last == lines.rend() || Trim(*last) != "COMMIT") {
    return Unavailable("ufw's rules are cut short: somebody is writing them, or did not finish");
  }
  std::vector<SeenRule> rules;
  for (const std::string_view line : lines) {
    static constexpr std::string_view kTuple = "### tuple ###";
    if (!StartsWith(line, kTuple)) continue;
    const auto rule = ParseTuple(line.substr(kTuple.size()));
    if (!rule) return Internal("ufw's rules hold a line that is not understood: {}", line);
    rules.push_back(*rule);
  }
  return rules;
}

std::vector<SeenRule> ParseLiveRules(std::string_view text, bool ipv6) {
  const std::string_view chain = ipv6 ? "ufw6-user-input" : "ufw-user-input";
  std::vector<SeenRule> rules;
  for (const std::string_view line : Lines(text)) {
    const auto words = Words(line);
    if (words.size() < 4 || words[0] != "-A" || words[1] != chain) continue;
    SeenRule rule;
    rule.direction = "in";
    rule.client = ipv6 ? "::/0" : "0.0.0.0/0";
    rule.protocol = rule.port = "any";
    for (size_t i = 2; i + 1 < words.size(); i += 2) {
      const std::string_view option = words[i], value = words[i + 1];
      if (option == "-s") {
        rule.client = value;
      } else if (option == "-p") {
        rule.protocol = value;
      } else if (option == "--dport" || option == "--dports") {
        rule.port = value;
      } else if (option == "-j") {
        rule.action = value == "ACCEPT" ? "allow" : "";
      } else if (option != "-m") {
        rule.plain = false;
      }
    }
    // The kernel writes a single address with its prefix, ufw without.
    const std::string_view full = ipv6 ? "/128" : "/32";
    if (EndsWith(rule.client, full)) rule.client.resize(rule.client.size() - full.size());
    if (rule.action == "allow") rules.push_back(std::move(rule));
  }
  return rules;
}

absl::StatusOr<std::vector<PveRule>> ParsePveRules(std::string_view json) {
  using Json = nlohmann::json;
  const Json list = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return Internal("pvesh printed no list of firewall rules");
  // Numbers come as numbers or as strings.
  const auto text = [](const Json& rule, const char* name) -> std::string {
    const auto found = rule.find(name);
    if (found == rule.end() || found->is_null()) return {};
    return found->is_string() ? found->get<std::string>() : found->dump();
  };
  std::vector<PveRule> rules;
  int position = -1;
  for (const Json& given : list) {
    ++position;
    if (!given.is_object()) return Internal("pvesh printed a firewall rule that is no object");
    const std::string type = text(given, "type"), action = text(given, "action");
    if (text(given, "enable") == "0" || type == "group") continue;
    PveRule one{position, text(given, "digest"), {}};
    SeenRule& rule = one.rule;
    rule.action = action == "ACCEPT" ? "allow" : action == "DROP" ? "deny" : "reject";
    rule.direction = type;
    if (const std::string iface = text(given, "iface"); !iface.empty()) rule.direction += "_" + iface;
    const auto or_any = [&](const char* name) {
      const std::string value = text(given, name);
      return value.empty() ? std::string("any") : value;
    };
    rule.protocol = or_any("proto");
    rule.port = or_any("dport");
    rule.client = or_any("source");
    rule.comment = text(given, "comment");
    rule.plain = text(given, "macro").empty() && text(given, "dest").empty() &&
                 text(given, "sport").empty() && text(given, "icmp-type").empty();
    // A macro has ports of its own.
    if (!text(given, "macro").empty()) rule.port.clear();
    // As we would write it, so that the same packets are found again. Everybody is no source; of a rule that
    // shuts out it is told apart from all of IPv4.
    const bool everybody = rule.client == "any" && rule.action == "allow";
    const auto normal = Normalized({everybody ? "0.0.0.0/0" : rule.client, rule.port, rule.protocol});
    if (normal.ok()) {
      rule.client = normal->client;
      rule.port = normal->port;
    }
    rules.push_back(std::move(one));
  }
  return rules;
}

bool PveFirewallEnabled(std::string_view cluster_fw, std::string_view host_fw) {
  const auto option = [](std::string_view text) -> std::optional<bool> {
    std::optional<bool> enabled;
    bool in_options = false;
    for (std::string_view line : Lines(text)) {
      line = Trim(line.substr(0, line.find('#')));
      if (StartsWith(line, "[")) {
        std::string section(line);
        std::transform(section.begin(), section.end(), section.begin(),
                       [](unsigned char c) { return std::tolower(c); });
        in_options = section == "[options]";
      } else if (const size_t colon = line.find(':'); in_options && colon != std::string_view::npos) {
        if (Trim(line.substr(0, colon)) == "enable") enabled = Trim(line.substr(colon + 1)) != "0";
      }
    }
    return enabled;
  };
  return option(cluster_fw).value_or(false) && option(host_fw).value_or(true);
}

}  // namespace phoenix::node
