#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "orchestrator/config/nfs_grammar.h"
#include "orchestrator/config/nfs_meaning.h"
#include "orchestrator/config/sections.h"

namespace phoenix::config {
namespace {

constexpr const char* kSeparators = ", \t";
constexpr std::size_t kLongestPath = 1024;

bool IsSubnet(const std::string& client) { return client.find('/') != std::string::npos; }

void LintOverlap(const std::string& before, const std::string& client, bool same, const Origin& origin,
                 Findings& findings) {
  std::string who = "both get the same";
  if (!same) {
    const auto& [address, subnet] = IsSubnet(client) ? std::tie(before, client) : std::tie(client, before);
    who = fmt::format("{} gets its own options, all others of {} the other ones", address, subnet);
  }
  findings.Lint("overlapping-clients", origin,
                fmt::format("the clients {} and {} overlap; {}", before, client, who));
}

std::vector<std::string> ReadClients(const Cursor& cursor, const Config& config) {
  if (!cursor.present()) {
    if (!config.default_subnet.empty()) return {config.default_subnet};
    cursor.Error("missing", "no clients are named, and there is no network.default_subnet to fall back on",
                 "a list of clients");
    return {};
  }
  std::vector<std::string> clients;
  const std::vector<Text> items = cursor.StringList(kSeparators);
  // An empty list is no fallback: whoever wrote it did not mean the whole subnet.
  if (items.empty() && (cursor.is_array() || cursor.is_string())) {
    cursor.Error("missing", "an export needs a client", "a list of clients");
  }
  for (const Text& item : items) {
    const auto client = ParseNfsClient(item.value);
    if (!client.ok()) {
      cursor.findings().Error("invalid-client", item.origin, "this is no client of an export",
                              Quoted(item.value), std::string(client.status().message()));
      continue;
    }
    if (client->had_host_bits) {
      cursor.findings().Lint("client-host-bits", item.origin,
                             fmt::format("this is an address inside a subnet; read as {}", client->canonical),
                             Quoted(item.value));
    }
    if (std::find(clients.begin(), clients.end(), client->canonical) != clients.end()) {
      cursor.findings().Lint("client-repeated", item.origin, "this client is named twice",
                             Quoted(item.value));
      continue;
    }
    for (const std::string& before : clients) {
      if (ClientsOverlap(before, client->canonical))
        LintOverlap(before, client->canonical, /*same=*/true, item.origin, cursor.findings());
    }
    clients.push_back(client->canonical);
  }
  return clients;
}

// One path may be exported twice to different clients; to the same client it would be a coin toss which
// options hold. The same is true of two subnets, while an address comes before a subnet (exports(5)).
bool IsNew(const NfsExport& entry, const Config& config, Findings& findings) {
  for (const NfsExport& other : config.exports) {
    if (other.path != entry.path) continue;
    if (other.absent || entry.absent) {
      findings.Error("duplicate-export", entry.origin,
                     fmt::format("this path is declared before, at {}, and one of the two is absent",
                                 other.origin.ToString()),
                     Quoted(entry.path), "an export that is wanted or one that is not");
      return false;
    }
    const bool same = MeaningOf(other.options) == MeaningOf(entry.options);
    for (const std::string& client : entry.clients) {
      for (const std::string& before : other.clients) {
        if (!ClientsOverlap(client, before)) continue;
        if (client == before) {
          findings.Error(
              "duplicate-export", entry.origin,
              fmt::format("this path was exported to {} before, at {}", client, other.origin.ToString()),
              Quoted(entry.path), "each client once per path");
          return false;
        }
        if (!same && IsSubnet(client) == IsSubnet(before)) {
          findings.Error("contradicting-clients", entry.origin,
                         fmt::format("this path was exported to {} before, at {}, which overlaps {}, with "
                                     "other options; which of them hold would be the server's choice",
                                     before, other.origin.ToString(), client),
                         Quoted(entry.path), "clients that do not overlap, or the same options");
          return false;
        }
        LintOverlap(before, client, same, entry.origin, findings);
      }
    }
  }
  return true;
}

void ReadExport(const Cursor& cursor, Config& config) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"path", "clients", "options", "state"});
  NfsExport entry;
  entry.origin = cursor.origin();
  auto path = ReadPath(cursor.Key("path"), config);
  // exportfs may read a backslash and three digits as one character, twice.
  if (path.has_value() && (path->find('\\') != std::string::npos || path->size() > kLongestPath)) {
    cursor.Key("path").Error("invalid-path", "exportfs would read this path otherwise, or not at all",
                             "a path without \\, 1024 characters at most");
    path.reset();
  }
  const auto absent = ReadAbsent(cursor);
  if (absent.value_or(false)) {
    if (!path.has_value()) return;
    entry.path = *path;
    entry.absent = true;
    if (IsNew(entry, config, cursor.findings())) config.exports.push_back(std::move(entry));
    return;
  }
  entry.clients = ReadClients(cursor.Key("clients"), config);
  entry.options = CheckExportOptions(cursor.Key("options").StringList(kSeparators), cursor.findings());
  if (!absent.has_value() || !path.has_value() || entry.clients.empty()) return;
  entry.path = *path;
  const Dataset* dataset = config.DatasetProviding(entry.path);
  if (dataset != nullptr) entry.dataset = dataset->full_name;
  const auto has = [&](std::string_view option) {
    return std::find(entry.options.begin(), entry.options.end(), option) != entry.options.end();
  };
  if (!has("rw") && !has("ro")) {
    cursor.findings().Lint("export-mode-open", cursor.origin(),
                           fmt::format("neither rw nor ro is given: {} is exported read-only", entry.path));
  }
  if (IsNew(entry, config, cursor.findings())) config.exports.push_back(std::move(entry));
}

}  // namespace

void ReadNfs(const Cursor& root, Config& config) {
  const Cursor nfs = root.Key("nfs");
  if (!nfs.present() || !nfs.RequireObject()) return;
  nfs.ExpectKeys({"exports", "shares"});
  for (const Cursor& entry : nfs.Key("exports").Elements()) ReadExport(entry, config);
  // The older name of the same list.
  for (const Cursor& entry : nfs.Key("shares").Elements()) ReadExport(entry, config);
}

}  // namespace phoenix::config
