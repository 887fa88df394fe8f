#include "services/nfs/host/server_conf.h"

#include <absl/strings/str_split.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <vector>

#include "base/status/status_macros.h"

namespace phoenix::nfs {
namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kSpaces = " \t\n\v\f\r";
// A file that includes itself, and a $NAME that means itself, end somewhere.
constexpr int kDeepestInclude = 16;
constexpr int kMostReferences = 16;

std::string_view CutFirst(std::string_view text, std::string_view what) {
  text.remove_prefix(std::min(text.find_first_not_of(what), text.size()));
  return text;
}

std::string_view CutLast(std::string_view text, std::string_view what) {
  const auto last = text.find_last_not_of(what);
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// The value behind the equals sign; nullopt where a quote is not closed, which spoils the line.
std::optional<std::string> ValueOf(std::string_view text) {
  text = CutFirst(text, kBlanks);
  if (text.starts_with('"') || text.starts_with('\'')) {
    const auto end = text.find(text.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    return std::string(text.substr(1, end - 1));
  }
  text = text.substr(0, text.find_first_of("#;"));
  // The first character stays in any case: behind "port=" the carriage return of a file of DOS is a value.
  const std::string_view cut = CutLast(text, kSpaces);
  return std::string(cut.empty() ? text.substr(0, 1) : cut);
}

// A name that does not begin at the root is one beside the file that says it.
std::string IncludedPath(const std::string& from, const std::string& name) {
  if (name.starts_with('/')) return name;
  return from.substr(0, from.rfind('/') + 1) + name;
}

// As atoi(3) reads it; 0 for any port.
int PortOf(const std::optional<std::string>& value) {
  const long number = value ? std::strtol(value->c_str(), nullptr, 10) : 0;
  return number > 0 && number <= 65535 ? static_cast<int>(number) : 0;
}

// What is no word of a switch changes nothing.
bool SaysNo(const std::optional<std::string>& value) {
  const std::string text = Lower(value.value_or(""));
  return text == "0" || text == "f" || text == "false" || text == "n" || text == "no" || text == "off";
}

// The server's own port is looked up as the name of a service, or is a number and nothing else.
int ServerPortOf(const std::string& text) {
  if (text == "nfs") return kStandardPort;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && number > 0 && number <= 65535 ? number : 0;
}

std::vector<std::string> ListOf(const std::string& value) {
  std::vector<std::string> list;
  const std::vector<std::string> parts = absl::StrSplit(value, ',');
  for (const std::string& part : parts) {
    const std::string_view one = CutFirst(CutLast(part, kSpaces), kSpaces);
    if (!one.empty()) list.emplace_back(one);
  }
  return list;
}

}  // namespace

absl::Status ServerConf::Read(std::string_view text, const std::string& path, const Include& include) {
  return ReadText(text, Place{path, std::nullopt, false, 0}, include);
}

absl::Status ServerConf::ReadText(std::string_view text, Place place, const Include& include) {
  // They read a text of C.
  text = text.substr(0, text.find('\0'));
  std::string line;
  for (const char c : text) {
    if (c != '\n') {
      line += c;
    } else if (line.ends_with('\\')) {
      line.back() = ' ';
      line += ' ';
    } else {
      PHX_RETURN_IF_ERROR(ReadLine(line, place, include));
      line.clear();
    }
  }
  // What is left has no end, and is not read.
  return absl::OkStatus();
}

absl::Status ServerConf::ReadLine(std::string_view line, Place& place, const Include& include) {
  line = CutFirst(line, kSpaces);
  if (line.empty() || line.starts_with('#') || line.starts_with(';')) return absl::OkStatus();
  if (line.starts_with('[')) {
    place.section.reset();
    place.has_argument = false;
    const auto end = line.find(']');
    if (end == std::string_view::npos) return absl::OkStatus();
    const std::string_view name = CutFirst(line.substr(1, end - 1), kBlanks);
    const auto quote = name.find('"');
    place.section = Lower(CutLast(name.substr(0, quote), kBlanks));
    place.has_argument =
        quote != std::string_view::npos && name.find('"', quote + 1) != std::string_view::npos;
    return absl::OkStatus();
  }
  const auto equals = line.find('=');
  if (equals == std::string_view::npos || !place.section) return absl::OkStatus();
  const std::string name = Lower(CutLast(line.substr(0, equals), kBlanks));
  std::optional<std::string> value = ValueOf(line.substr(equals + 1));
  if (name.empty() || !value) return absl::OkStatus();
  if (name != "include") {
    // Nothing behind the equals sign leaves what was set before.
    if (!value->empty() && !place.has_argument) values_[{*place.section, name}] = std::move(*value);
    return absl::OkStatus();
  }
  if (!include || place.depth >= kDeepestInclude) return absl::OkStatus();
  // A dash says that the file may be missing.
  if (value->starts_with('-')) value->erase(0, 1);
  Place included = place;
  included.path = IncludedPath(place.path, *value);
  ++included.depth;
  PHX_ASSIGN_OR_RETURN(const std::optional<std::string> text, include(included.path));
  if (!text) return absl::OkStatus();
  return ReadText(*text, std::move(included), include);
}

std::optional<std::string> ServerConf::Value(std::string_view section, std::string_view name) const {
  std::pair<std::string, std::string> key(Lower(section), Lower(name));
  for (int i = 0; i < kMostReferences; ++i) {
    const auto found = values_.find(key);
    if (found == values_.end()) return std::nullopt;
    const std::string& value = found->second;
    if (!value.starts_with('$')) return value;
    key = {"environment", Lower(std::string_view(value).substr(1))};
  }
  return std::nullopt;
}

std::optional<std::string> ServerConfValue(std::string_view text, std::string_view section,
                                           std::string_view name) {
  ServerConf conf;
  conf.Read(text, "/etc/nfs.conf", nullptr).IgnoreError();
  return conf.Value(section, name);
}

void TellServerSettings(const ServerConf& conf, NfsState& state) {
  state.v3.served = !SaysNo(conf.Value("nfsd", "vers3"));
  state.v3.mountd_port = PortOf(conf.Value("mountd", "port"));
  state.v3.statd_port = PortOf(conf.Value("statd", "port"));
  state.v3.lockd_tcp_port = PortOf(conf.Value("lockd", "port"));
  // statd gives lockd one port for both unless it is told otherwise.
  const auto udp_port = conf.Value("lockd", "udp-port");
  state.v3.lockd_udp_port = udp_port ? PortOf(udp_port) : state.v3.lockd_tcp_port;
  if (const auto port = conf.Value("nfsd", "port")) {
    state.listening.port_text = *port;
    state.listening.port = ServerPortOf(*port);
  }
  state.listening.hosts = ListOf(conf.Value("nfsd", "host").value_or(""));
  state.root_directory = conf.Value("exports", "rootdir").value_or("");
  // As exportfs looks for it.
  auto moved = conf.Value("mountd", "state-directory-path");
  if (!moved) moved = conf.Value("exportd", "state-directory-path");
  const std::string_view plain = CutLast(moved ? std::string_view(*moved) : std::string_view(), "/");
  state.state_directory = plain == kStateDirectory ? "" : moved.value_or("");
}

}  // namespace phoenix::nfs
