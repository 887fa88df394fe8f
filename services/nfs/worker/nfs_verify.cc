// How exports are verified: by a mount where the node is a client of its own.
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/nfs/domain/client.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/worker/nfs_domain.h"
#include "services/nfs/worker/nfs_json.h"

namespace phoenix::nfs {

absl::StatusOr<kit::VerifyReport> NfsDomain::Verify(const kit::VerifyInput& input) {
  kit::VerifyReport report;
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  PHX_ASSIGN_OR_RETURN(auto addresses, probe_.OwnAddresses());
  std::erase_if(addresses,
                [&state](const std::string& address) { return !ListensOn(state.listening.hosts, address); });
  for (const kit::Step& step : input.applied) {
    if (node::NodeSteps::Owns(step)) continue;
    PHX_ASSIGN_OR_RETURN(const StepPayload payload, FromPayload(step.payload));
    if (payload.kind == StepPayload::Kind::kSetExport) {
      PHX_RETURN_IF_ERROR(VerifyExport(payload.set, addresses, state, report));
    }
    for (const std::string& path : payload.put_live) {
      const auto entry = state.own.find(path);
      if (entry == state.own.end()) return FailedPrecondition("{} has no entry for {}", kOwnFile, path);
      PHX_RETURN_IF_ERROR(VerifyExport({path, entry->second, entry->second}, addresses, state, report));
    }
  }
  return report;
}

absl::Status NfsDomain::VerifyExport(const SetExport& set, const std::vector<std::string>& addresses,
                                     const NfsState& state, kit::VerifyReport& report) {
  const auto wrong = DifferencesOf(set.after.value_or(ExportEntry{set.path, {}}), state.live);
  if (!wrong.empty()) return Internal("{}", fmt::join(wrong, "; "));
  if (!set.after) {
    report.probes.push_back(fmt::format("{}: exported no more", set.path));
    return absl::OkStatus();
  }
  // Of clients that overlap the server takes a host first, wherever it stands.
  std::multimap<Client::Kind, std::pair<Client, const ClientEntry*>> clients;
  for (const ClientEntry& client : set.after->clients) {
    const auto parsed = ParseClient(client.client);
    if (parsed.ok()) clients.emplace(parsed->kind, std::pair(*parsed, &client));
  }
  std::set<std::string> taken;
  for (const auto& [kind, client] : clients) {
    const auto& [parsed, entry] = client;
    std::string address;
    for (const std::string& own : addresses) {
      if (Contains(parsed, own) && taken.insert(own).second && address.empty()) address = own;
    }
    if (address.empty()) continue;
    const ExportOptions options = Meaning(entry->options);
    const auto plain = std::find_if(options.flavours.begin(), options.flavours.end(),
                                    [](const auto& flavour) { return flavour.first == "sys"; });
    // Anything but sys wants a ticket that this service has not.
    if (plain == options.flavours.end()) continue;
    const auto finding = probe_.Mount(address, state.listening.port, set.path);
    if (!finding.ok()) return Annotate(finding.status(), set.path);
    const bool must_write =
        !plain->second.read_only && !plain->second.root_squash && !plain->second.all_squash;
    if (must_write && !finding->writable) {
      return Internal(
          "{} is mounted from {} and its root may not write, though it is exported rw,no_root_squash",
          set.path, address);
    }
    report.probes.push_back(fmt::format("{}: NFSv{} mount from {}, {}", set.path, finding->version, address,
                                        finding->writable ? "root may write" : "root may read"));
    return absl::OkStatus();
  }
  const std::vector<std::string>& hosts = state.listening.hosts;
  const std::string why = hosts.empty()
                              ? "no address of this node is among its clients"
                              : fmt::format(
                                    "of the addresses at which the server listens by nfs.conf ({}) none is "
                                    "known to be of this node and among its clients",
                                    fmt::join(hosts, ", "));
  report.not_probed.push_back(
      fmt::format("{}: not probed by a mount: {}; the server's table says what was declared", set.path, why));
  return absl::OkStatus();
}

}  // namespace phoenix::nfs
