#include "services/nfs/api/nfs_convert.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/nfs/api/nfs_names.h"
#include "services/nfs/domain/export_match.h"

namespace phoenix::nfs {
namespace {

constexpr size_t kEtagLength = 16;

void FillClient(const std::string& client, const std::vector<std::string>& options, v1::ClientSpec& proto) {
  proto.set_client(client);
  proto.mutable_options()->Assign(options.begin(), options.end());
}

template <class Clients>
std::vector<ClientSpec> ToClients(const Clients& protos) {
  std::vector<ClientSpec> clients;
  for (const v1::ClientSpec& proto : protos) {
    clients.push_back({proto.client(), {proto.options().begin(), proto.options().end()}});
  }
  return clients;
}

absl::StatusOr<Presence> ToPresence(v1::Presence presence, const std::string& origin) {
  switch (presence) {
    case v1::PRESENCE_UNSPECIFIED:
    case v1::PRESENCE_PRESENT:
      return Presence::kPresent;
    case v1::PRESENCE_ABSENT:
      return Presence::kAbsent;
    default:
      // To take a wish that a newer client states for "present" could do the contrary of it.
      return WithViolations(InvalidArgument("{}: unknown presence {}", origin, static_cast<int>(presence)),
                            {{origin + ".presence", "present or absent"}});
  }
}

v1::Export NewExport(const std::string& path, const std::string& source) {
  v1::Export resource;
  resource.set_name(ExportName(path));
  resource.set_path(path);
  resource.set_source(source);
  return resource;
}

}  // namespace

absl::StatusOr<NfsSpec> ParseSpec(std::string_view type, std::string_view bytes) {
  const std::string& accepted = v1::NfsSpec::descriptor()->full_name();
  if (type != accepted)
    return InvalidArgument("the nfs service takes specs of type {}, not «{}»", accepted, type);
  v1::NfsSpec proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("the spec's content is no message of type {}", accepted);
  }
  return ToSpec(proto);
}

absl::StatusOr<NfsSpec> ToSpec(const v1::NfsSpec& proto) {
  NfsSpec spec;
  spec.partial = proto.partial();
  spec.prune_exports = proto.prune_exports();
  spec.prune_rules = proto.prune_rules();
  for (const v1::ExportSpec& one : proto.exports()) {
    ExportSpec wanted{one.path(), ToClients(one.clients()), Presence::kPresent, one.origin(),
                      one.mount_point()};
    // Errors name a place even where the sender named none.
    if (wanted.origin.empty()) wanted.origin = fmt::format("exports[{}]", spec.exports.size());
    PHX_ASSIGN_OR_RETURN(wanted.presence, ToPresence(one.presence(), wanted.origin));
    spec.exports.push_back(std::move(wanted));
  }
  return spec;
}

v1::NfsSpec ToProto(const NfsSpec& spec) {
  v1::NfsSpec proto;
  proto.set_partial(spec.partial);
  proto.set_prune_exports(spec.prune_exports);
  proto.set_prune_rules(spec.prune_rules);
  for (const ExportSpec& wanted : spec.exports) {
    v1::ExportSpec& one = *proto.add_exports();
    one.set_path(wanted.path);
    for (const ClientSpec& client : wanted.clients)
      FillClient(client.client, client.options, *one.add_clients());
    one.set_presence(wanted.presence == Presence::kAbsent ? v1::PRESENCE_ABSENT : v1::PRESENCE_PRESENT);
    one.set_origin(wanted.origin);
    one.set_mount_point(wanted.mount_point);
  }
  return proto;
}

std::vector<v1::Export> ToExports(const NfsState& state) {
  // By path and source.
  std::map<std::pair<std::string, std::string>, v1::Export> exports;
  const auto at = [&](const std::string& path, const std::string& source) -> v1::Export& {
    return exports.try_emplace({path, source}, NewExport(path, source)).first->second;
  };
  for (const auto& [path, entry] : state.own) {
    v1::Export& resource = at(path, kOwnFile);
    for (const ClientEntry& client : entry.clients)
      FillClient(client.client, client.options, *resource.add_clients());
    resource.set_managed(true);
    resource.set_active(DifferencesOf(entry, state.live).empty());
  }
  const auto pending = Pending(state);
  for (const ForeignExport& foreign : state.foreign) {
    v1::Export& resource = at(foreign.path, foreign.file);
    const bool live = !foreign.dropped && std::find(pending.begin(), pending.end(), foreign) == pending.end();
    resource.set_active((resource.clients().empty() || resource.active()) && live);
    FillClient(foreign.client.empty() ? "*" : foreign.client, foreign.options, *resource.add_clients());
  }
  for (const LiveExport& live : ByHand(state)) {
    v1::Export& resource = at(live.path, "");
    FillClient(live.client, live.options, *resource.add_clients());
    resource.set_active(true);
  }
  std::vector<v1::Export> list;
  for (auto& [key, resource] : exports) {
    resource.set_etag(EtagOf(resource));
    list.push_back(std::move(resource));
  }
  return list;
}

absl::StatusOr<ExportSpec> ToExportSpec(const v1::Export& resource) {
  ExportSpec wanted{resource.path(), ToClients(resource.clients()), Presence::kPresent, "export", ""};
  if (resource.name().empty()) return wanted;
  PHX_ASSIGN_OR_RETURN(const std::string path, PathOfExportName(resource.name()));
  if (!wanted.path.empty() && wanted.path != path) {
    return WithViolations(InvalidArgument("the export's name means {}, its path is {}", path, wanted.path),
                          {{"export.path", "the path of the name, or empty"}});
  }
  wanted.path = path;
  return wanted;
}

std::string EtagOf(const v1::Export& resource) {
  std::string text = fmt::format("{} {}\n", resource.path().size(), resource.path());
  for (const v1::ClientSpec& client : resource.clients()) {
    text += fmt::format("client {} {}\n", client.client().size(), client.client());
    for (const std::string& option : client.options())
      text += fmt::format("option {} {}\n", option.size(), option);
  }
  return Sha256Hex(text).substr(0, kEtagLength);
}

}  // namespace phoenix::nfs
