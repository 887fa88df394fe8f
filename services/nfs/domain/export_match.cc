#include "services/nfs/domain/export_match.h"

#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include <algorithm>

#include "services/nfs/domain/client.h"
#include "services/nfs/domain/export_options.h"

namespace phoenix::nfs {
namespace {

// True for clients that the table may call by another name.
bool MayBeRenamed(const std::string& client) {
  const auto parsed = ParseClient(client);
  return parsed.ok() && (parsed->kind == Client::Kind::kHost || parsed->kind == Client::Kind::kAddress);
}

bool SameClient(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto left = ParseClient(a);
  const auto right = ParseClient(b);
  return left.ok() && right.ok() && left->kind == right->kind && left->text == right->text;
}

bool IsHost(const std::string& client) {
  const auto parsed = ParseClient(client);
  return parsed.ok() && parsed->kind == Client::Kind::kHost;
}

// Takes from `live` what stands for (client, options); false when there is nothing.
bool Take(std::vector<LiveExport>& live, const std::string& client, const std::vector<std::string>& wanted,
          bool renamed) {
  const auto found = std::find_if(live.begin(), live.end(), [&](const LiveExport& one) {
    const bool same = renamed ? IsHost(one.client) : SameClient(one.client, client);
    return same && TableSays(one.options, wanted);
  });
  if (found == live.end()) return false;
  live.erase(found);
  return true;
}

// Takes from `live` what the entry says; answers the clients for which there is nothing. Literal matches come
// first.
std::vector<const ClientEntry*> TakeAll(const ExportEntry& entry, std::vector<LiveExport>& live) {
  std::vector<const ClientEntry*> unmatched;
  for (const ClientEntry& client : entry.clients) {
    if (!Take(live, client.client, client.options, false)) unmatched.push_back(&client);
  }
  std::vector<const ClientEntry*> missing;
  for (const ClientEntry* client : unmatched) {
    if (!MayBeRenamed(client->client) || !Take(live, client->client, client->options, true))
      missing.push_back(client);
  }
  return missing;
}

// True where mountd answers for the path by this entry of the table: it is the entry's own, or a file system
// mounted below it, which crossmnt exports with it.
bool Serves(const LiveExport& entry, const std::string& path) {
  if (entry.path == path) return true;
  const bool below = entry.path == "/" || path.starts_with(entry.path + "/");
  return below && std::find(entry.options.begin(), entry.options.end(), "crossmnt") != entry.options.end();
}

}  // namespace

std::vector<LiveExport> LiveOf(const std::vector<LiveExport>& live, const std::string& path) {
  std::vector<LiveExport> found;
  std::copy_if(live.begin(), live.end(), std::back_inserter(found),
               [&](const LiveExport& one) { return one.path == path; });
  return found;
}

std::vector<LiveExport> NotSaidBy(const std::optional<ExportEntry>& entry, const std::string& path,
                                  const std::vector<LiveExport>& live) {
  std::vector<LiveExport> rest = LiveOf(live, path);
  if (entry) TakeAll(*entry, rest);
  return rest;
}

std::vector<std::string> DifferencesOf(const ExportEntry& entry, const std::vector<LiveExport>& live) {
  std::vector<LiveExport> rest = LiveOf(live, entry.path);
  std::vector<std::string> differences;
  for (const ClientEntry* client : TakeAll(entry, rest)) {
    const auto other = std::find_if(rest.begin(), rest.end(), [&](const LiveExport& one) {
      return SameClient(one.client, client->client);
    });
    if (other == rest.end()) {
      differences.push_back(fmt::format("{} is not exported to {}", entry.path, client->client));
      continue;
    }
    differences.push_back(fmt::format("{} is exported to {} with {} instead of {}", entry.path,
                                      client->client, TableText(Meaning(other->options)),
                                      TableText(Meaning(client->options))));
    rest.erase(other);
  }
  for (const LiveExport& one : rest) {
    differences.push_back(fmt::format("{} is also exported to {}", entry.path, one.client));
  }
  return differences;
}

std::vector<LiveExport> ByHand(const NfsState& state) {
  std::vector<LiveExport> rest = state.live;
  // Literal matches first: what is left of the table under other names is then matched with what is left of
  // the files.
  std::vector<std::pair<std::string, std::string>> unmatched;
  const auto explain = [&](const std::string& path, const std::string& client) {
    const auto found = std::find_if(rest.begin(), rest.end(), [&](const LiveExport& one) {
      return one.path == path && SameClient(one.client, client);
    });
    if (found != rest.end()) {
      rest.erase(found);
    } else if (MayBeRenamed(client)) {
      unmatched.emplace_back(path, client);
    }
  };
  for (const auto& [path, entry] : state.own) {
    for (const auto& client : entry.clients) explain(path, client.client);
  }
  for (const auto& foreign : state.foreign) {
    if (!foreign.dropped) explain(foreign.path, foreign.client.empty() ? "*" : foreign.client);
  }
  for (const auto& one_unmatched : unmatched) {
    const std::string& path = one_unmatched.first;
    const auto found = std::find_if(rest.begin(), rest.end(), [&](const LiveExport& one) {
      return one.path == path && IsHost(one.client);
    });
    if (found != rest.end()) rest.erase(found);
  }
  return rest;
}

std::vector<ForeignExport> Pending(const NfsState& state) {
  std::vector<ForeignExport> pending;
  for (const auto& foreign : state.foreign) {
    if (foreign.dropped) continue;
    const std::string client = foreign.client.empty() ? "*" : foreign.client;
    const bool there = std::any_of(state.live.begin(), state.live.end(), [&](const LiveExport& one) {
      return one.path == foreign.path &&
             (SameClient(one.client, client) || (MayBeRenamed(client) && IsHost(one.client)));
    });
    if (!there) pending.push_back(foreign);
  }
  return pending;
}

std::vector<LiveExport> KeptByKernel(const std::vector<LiveExport>& served,
                                     const std::vector<LiveExport>& live) {
  std::vector<LiveExport> kept;
  for (const LiveExport& one : served) {
    const auto is = [&](const char* option) {
      return std::find(one.options.begin(), one.options.end(), option) != one.options.end();
    };
    if (is("v4root")) continue;
    const std::vector<std::string> clients = absl::StrSplit(one.client, ',');
    // mountd names all clients of the whole table that an address belongs to, whatever the path: one that may
    // have it is enough.
    const bool served_still = std::any_of(live.begin(), live.end(), [&](const LiveExport& entry) {
      return Serves(entry, one.path) && std::any_of(clients.begin(), clients.end(), [&](const auto& client) {
               return client.starts_with('$') || client == entry.client;
             });
    });
    if (!served_still) kept.push_back(one);
  }
  return kept;
}

std::string ToText(const LiveExport& live) {
  return fmt::format("{} {}({})", live.path, live.client, TableText(Meaning(live.options)));
}

}  // namespace phoenix::nfs
