#include "orchestrator/config/fleet.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "orchestrator/config/json_cursor.h"
#include "orchestrator/config/json_document.h"
#include "orchestrator/config/names.h"

namespace phoenix::config {
namespace {

constexpr const char* kAddressAllowed = "host, host:port, [IPv6]:port or unix:/DIRECTORY";
constexpr std::uint16_t kDefaultPort = 7441;
// A node's services have the port of the zfs service and the ones behind it.
constexpr std::uint16_t kServices = 4;
constexpr std::uint16_t kLastPort = 65535 - (kServices - 1);

bool IsAddress(int family, const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(family, text.c_str(), bytes.data()) == 1;
}

std::optional<std::uint16_t> ParsePort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || port == 0)
    return std::nullopt;
  return port;
}

// The same text for the same host; another spelling of an IPv6 address is the same.
std::string HostKey(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return ToLower(host);
  return std::string(bytes.begin(), bytes.end());
}

// The error, and false, where two nodes would be reached at one place.
bool IsApart(const FleetNode& node, const FleetNode& other, const Cursor& address) {
  if (node.address.host.empty() != other.address.host.empty()) return true;
  if (node.address.unix_directory != other.address.unix_directory) return true;
  const int port = node.address.port.value_or(kDefaultPort);
  const int other_port = other.address.port.value_or(kDefaultPort);
  const bool same_host = HostKey(node.address.host) == HostKey(other.address.host);
  if (!same_host || port >= other_port + kServices || other_port >= port + kServices) return true;
  if (port == other_port) {
    address.Error("duplicate-address",
                  fmt::format("this address is used before, at {}", other.origin.ToString()),
                  "every address once");
  } else {
    address.Error(
        "overlapping-ports",
        fmt::format("the services of a node have four ports: here {} to {}, and {} to {} of the same "
                    "host at {}",
                    port, port + kServices - 1, other_port, other_port + kServices - 1,
                    other.origin.ToString()),
        "ports four apart");
  }
  return false;
}

std::optional<NodeAddress> ParseAddress(const std::string& text) {
  constexpr std::string_view kUnix = "unix:";
  NodeAddress address;
  if (text.substr(0, kUnix.size()) == kUnix) {
    const auto path = NormalisedPath(text.substr(kUnix.size()));
    if (!path.has_value() || *path == "/") return std::nullopt;
    address.unix_directory = *path;
    return address;
  }
  if (IsAddress(AF_INET6, text)) {
    address.host = text;
    return address;
  }
  const bool bracketed = !text.empty() && text[0] == '[';
  const std::size_t end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end == std::string::npos) return std::nullopt;
  address.host = bracketed ? text.substr(1, end - 1) : text.substr(0, end);
  const std::size_t colon = bracketed ? end + 1 : end;
  if (colon < text.size()) {
    address.port = ParsePort(std::string_view(text).substr(colon + 1));
    if (text[colon] != ':' || !address.port.has_value()) return std::nullopt;
  }
  const bool valid = bracketed ? IsAddress(AF_INET6, address.host)
                               : IsAddress(AF_INET, address.host) || IsHostName(address.host);
  return valid ? std::optional<NodeAddress>(address) : std::nullopt;
}

void ReadNode(const Cursor& cursor, FleetResult& result) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"name", "address", "overrides"});
  FleetNode node;
  node.origin = cursor.origin();
  const Cursor name = cursor.Key("name");
  const Cursor address = cursor.Key("address");
  if (!name.present()) name.Error("missing", "this node has no name", "a host name such as pve1");
  if (!address.present()) address.Error("missing", "this node has no address", kAddressAllowed);
  const auto name_text = name.String();
  const auto address_text = address.String();
  bool usable = name_text.has_value() && address_text.has_value();
  if (name_text.has_value()) {
    node.name = *name_text;
    if (const auto problem = HostLabelProblem(node.name)) {
      name.Error("invalid-name", "this is no node name", *problem);
      usable = false;
    }
  }
  if (address_text.has_value()) {
    const auto parsed = ParseAddress(*address_text);
    if (parsed.has_value()) {
      node.address = *parsed;
    } else {
      address.Error("invalid-address", "this is no address of a node", kAddressAllowed);
      usable = false;
    }
    if (parsed.has_value() && parsed->port.value_or(kDefaultPort) > kLastPort) {
      address.Error("invalid-address", "the services behind the first one would have ports past 65535",
                    fmt::format("a port from 1 to {}", kLastPort));
      usable = false;
    }
  }
  const Cursor overrides = cursor.Key("overrides");
  if (overrides.present()) {
    usable = overrides.RequireObject() && usable;
    node.overrides = overrides.json().dump();
  }
  if (!usable) return;
  for (const FleetNode& other : result.nodes) {
    if (ToLower(other.name) == ToLower(node.name)) {
      name.Error("duplicate-name", fmt::format("this name is used before, at {}", other.origin.ToString()),
                 "every node once");
      usable = false;
    }
    usable = IsApart(node, other, address) && usable;
  }
  if (usable) result.nodes.push_back(std::move(node));
}

}  // namespace

absl::Status FleetResult::ToStatus() const {
  return ok() ? absl::OkStatus() : absl::InvalidArgumentError(Render(findings.errors));
}

FleetResult LoadFleet(std::string_view json_text) {
  FleetResult result;
  const std::optional<JsonDocument> document = JsonDocument::Parse(json_text, result.findings);
  if (!document.has_value()) return result;
  const Cursor root = Cursor::Root(*document, result.findings);
  if (!root.RequireObject()) return result;
  root.ExpectKeys({"nodes", "$schema"});
  const Cursor nodes = root.Key("nodes");
  if (!nodes.present()) nodes.Error("missing", "the fleet has no nodes", "a list of {name, address}");
  const std::vector<Cursor> elements = nodes.Elements();
  if (nodes.is_array() && elements.empty()) {
    nodes.Error("missing", "the fleet has no nodes; leave the file out to mean this machine",
                "one node or more");
  }
  for (const Cursor& node : elements) ReadNode(node, result);
  result.findings.SortByPlace();
  return result;
}

}  // namespace phoenix::config
