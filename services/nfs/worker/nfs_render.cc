#include "services/nfs/worker/nfs_render.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/digest/digest.h"
#include "services/kit/plan/keys.h"
#include "services/nfs/domain/client.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/host/exports_file.h"
#include "services/nfs/worker/nfs_json.h"

namespace phoenix::nfs {
namespace {

constexpr int kPortmapperPort = 111;

std::vector<kit::FieldDiff> DiffsOf(const SetExport& set) {
  // By client: what it gets before and after.
  std::map<std::string, std::pair<std::string, std::string>> clients;
  if (set.before) {
    for (const auto& one : set.before->clients) clients[one.client].first = JoinOptions(one.options);
  }
  if (set.after) {
    for (const auto& one : set.after->clients) clients[one.client].second = JoinOptions(one.options);
  }
  std::vector<kit::FieldDiff> diffs;
  for (const auto& [client, options] : clients) {
    if (options.first != options.second) diffs.push_back({"client " + client, options.first, options.second});
  }
  return diffs;
}

}  // namespace

kit::Step RenderMakeFile(bool make_directory) {
  kit::Step step;
  step.id = kit::Key("file", kOwnFile);
  step.resource = kOwnFile;
  step.action = "create exports file";
  if (make_directory)
    step.diffs.push_back({"directory", "", std::string(kExportsDirectory) + " root:root 0755"});
  step.diffs.push_back({"file", "", "root:root 0644, without exports"});
  step.undo = make_directory ? "remove the file, and the directory if it is empty" : "remove the file";
  if (make_directory) step.commands.push_back(fmt::format("install -d -m 0755 {}", kExportsDirectory));
  step.commands.push_back(fmt::format("write {}", kOwnFile));
  step.provides.push_back(step.id);
  StepPayload payload;
  payload.kind = StepPayload::Kind::kMakeFile;
  step.payload = ToPayload(payload);
  return step;
}

kit::Step RenderPutLive(const NfsPlan& plan, const NfsState& state, const std::set<std::string>& there) {
  kit::Step step;
  step.id = kPutLive;
  step.resource = kOwnFile;
  step.action = "put exports live";
  for (const std::string& path : plan.put_live) {
    std::vector<std::string> now;
    for (const LiveExport& live : LiveOf(state.live, path)) now.push_back(ToText(live));
    std::sort(now.begin(), now.end());
    step.diffs.push_back({path, now.empty() ? "not exported" : fmt::format("{}", fmt::join(now, "; ")),
                          RenderLine(state.own.at(path))});
  }
  step.undo = "make the server export what it exported before, by hand (exportfs -u, exportfs -i -o)";
  step.commands.emplace_back("exportfs -r");
  const std::string unit = kit::Key("unit", kServerUnit);
  step.requires_keys.push_back({unit, there.count(unit) > 0});
  step.provides.emplace_back(kPutLive);
  StepPayload payload;
  payload.kind = StepPayload::Kind::kPutLive;
  payload.put_live = plan.put_live;
  step.payload = ToPayload(payload);
  return step;
}

kit::Step RenderSetExport(const SetExport& set, const std::set<std::string>& there, bool after_live) {
  kit::Step step;
  step.id = kit::Key("export", set.path);
  step.resource = set.path;
  step.action = !set.before ? "create export" : !set.after ? "remove export" : "change export";
  step.diffs = DiffsOf(set);
  step.undo = set.before ? fmt::format("put back: {}", RenderLine(*set.before)) : "remove the export";
  step.commands.push_back(set.after ? fmt::format("write to {}: {}", kOwnFile, RenderLine(*set.after))
                                    : fmt::format("take out of {}: {}", kOwnFile, RenderLine(*set.before)));
  step.commands.push_back("exportfs -r");

  const auto require = [&](std::string key) {
    const bool now = there.count(key) > 0;
    step.requires_keys.push_back({std::move(key), now});
  };
  if (after_live) step.requires_keys.push_back({kPutLive, false});
  const std::string path_key = kit::Key("path", set.path);
  if (set.after) {
    step.requires_keys.push_back({path_key, set.path_there});
    require(kit::Key("package", kServerPackage));
    require(kit::Key("unit", kServerUnit));
    require(kit::Key("file", kOwnFile));
    step.provides.push_back(step.id);
  } else {
    // So that it goes before whatever takes the path away.
    if (set.path_there) step.requires_keys.push_back({path_key, true});
    step.removes.push_back(step.id);
  }
  StepPayload payload;
  payload.set = set;
  step.payload = ToPayload(payload);
  return step;
}

std::vector<node::FirewallRule> RulesFor(const std::vector<std::string>& clients, const VersionThree& v3,
                                         int server_port) {
  std::vector<node::FirewallRule> rules;
  const auto loopback = ParseClient("127.0.0.0/8");
  for (const std::string& client : clients) {
    const auto parsed = ParseClient(client);
    const bool local = client == "::1" || (parsed.ok() && parsed->prefix >= 8 && Overlap(*parsed, *loopback));
    if (local) continue;
    rules.push_back({client, fmt::format("{}", server_port), "tcp"});
    if (!v3.served || v3.mountd_port == 0) continue;
    const auto open = [&](int port, const char* protocol) {
      if (port != 0) rules.push_back({client, fmt::format("{}", port), protocol});
    };
    for (const char* protocol : {"tcp", "udp"}) {
      open(kPortmapperPort, protocol);
      open(v3.mountd_port, protocol);
      open(v3.statd_port, protocol);
    }
    open(v3.lockd_tcp_port, "tcp");
    open(v3.lockd_udp_port, "udp");
  }
  return rules;
}

std::string Fingerprint(const NfsState& state, const std::string& node_text) {
  std::string text = fmt::format("nfs state 3\ndirectory {} file {} problem {}\nv3 {} {} {} {} {} root {}\n",
                                 state.directory, state.own_file, state.own_problem, state.v3.served,
                                 state.v3.mountd_port, state.v3.statd_port, state.v3.lockd_tcp_port,
                                 state.v3.lockd_udp_port, state.root_directory);
  text += fmt::format("port {} {} hosts {} table {}\n", state.listening.port, state.listening.port_text,
                      fmt::join(state.listening.hosts, ","), state.state_directory);
  for (const auto& [path, entry] : state.own) text += "own " + RenderLine(entry) + "\n";
  for (const auto& foreign : state.foreign) {
    text += fmt::format("foreign {} {} {}({}){}\n", foreign.file, QuotePath(foreign.path), foreign.client,
                        JoinOptions(foreign.options), foreign.dropped ? " dropped" : "");
  }
  std::vector<std::string> live;
  for (const auto& one : state.live) live.push_back("live " + ToText(one) + "\n");
  // The table's own order changes with every exportfs.
  std::sort(live.begin(), live.end());
  for (const auto& line : live) text += line;
  for (const auto& [path, seen] : state.paths) {
    text += fmt::format("path {} {} {} {} {}\n", QuotePath(path), seen.directory, seen.mount_point,
                        seen.file_system, seen.real);
  }
  return Sha256Hex(text + node_text);
}

}  // namespace phoenix::nfs
