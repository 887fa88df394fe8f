#include "services/nfs/worker/nfs_domain.h"

#include <absl/strings/match.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/keys.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/host/exports_file.h"
#include "services/nfs/host/nfs_command.h"
#include "services/nfs/worker/nfs_json.h"
#include "services/nfs/worker/nfs_render.h"

namespace phoenix::nfs {
namespace {

using Kind = StepPayload::Kind;

OwnedPaths OwnedFrom(const kit::Ledger& ledger) {
  OwnedPaths owned;
  for (const auto& [key, entry] : ledger) {
    if (kit::KindOf(key) == "export") owned[std::string(kit::NameOf(key))] = entry.created;
  }
  return owned;
}

std::optional<ExportEntry> OwnEntry(const NfsState& state, const std::string& path) {
  const auto found = state.own.find(path);
  if (found == state.own.end()) return std::nullopt;
  return found->second;
}

// What the server exports of the path that neither of the entries names: somebody else's.
std::vector<LiveExport> Strangers(const SetExport& set, const std::vector<LiveExport>& live) {
  NfsState own_only;
  ExportEntry& both = own_only.own[set.path];
  both.path = set.path;
  for (const auto* entry : {&set.before, &set.after}) {
    if (!*entry) continue;
    both.clients.insert(both.clients.end(), (*entry)->clients.begin(), (*entry)->clients.end());
  }
  own_only.live = LiveOf(live, set.path);
  return ByHand(own_only);
}

std::string Describe(const std::optional<ExportEntry>& entry) {
  return entry ? RenderLine(*entry) : "no entry";
}

absl::Status ForeignChange(const std::string& path, std::string_view found) {
  return WithReason(FailedPrecondition("{} was changed by others: {}", path, found),
                    {"FOREIGN_CHANGE", {{"path", path}}});
}

// In an order of our own: the table's changes with every exportfs.
std::vector<LiveExport> SortedLive(const std::vector<std::string>& paths,
                                   const std::vector<LiveExport>& live) {
  std::vector<LiveExport> found;
  for (const std::string& path : paths) {
    for (const LiveExport& one : LiveOf(live, path)) found.push_back(one);
  }
  std::sort(found.begin(), found.end(),
            [](const LiveExport& a, const LiveExport& b) { return ToText(a) < ToText(b); });
  return found;
}

// What the server exports of the paths that neither our file says nor was exported before: somebody else's.
std::vector<LiveExport> LiveStrangers(const std::vector<std::string>& paths, const LiveCapture& before,
                                      const NfsState& state) {
  std::vector<LiveExport> strangers;
  for (const std::string& path : paths) {
    for (LiveExport& one : NotSaidBy(OwnEntry(state, path), path, state.live)) {
      const bool was = std::any_of(before.live.begin(), before.live.end(),
                                   [&](const LiveExport& other) { return ToText(other) == ToText(one); });
      if (!was) strangers.push_back(std::move(one));
    }
  }
  return strangers;
}

// Why neither do nor undo may touch the export; empty when they may.
std::string ForeignReason(const SetExport& set, const NfsState& state) {
  if (!state.own_problem.empty()) return fmt::format("{}: {}", kOwnFile, state.own_problem);
  const auto entry = OwnEntry(state, set.path);
  if (entry != set.before && entry != set.after) return fmt::format("{} has {}", kOwnFile, Describe(entry));
  const auto strangers = Strangers(set, state.live);
  if (!strangers.empty()) return fmt::format("the server exports {}", ToText(strangers.front()));
  return "";
}

// What the firewall in charge keeps out although it is served.
void NoteShutOut(const NfsPlan& planned, const NfsState& state, const node::FirewallState& firewall,
                 kit::Plan& plan) {
  if (firewall.InCharge() == node::Firewall::kNone) return;
  const char* name = node::NameOf(firewall.InCharge());
  const std::string port = fmt::format("{}", state.listening.port);
  const auto warn = [&](std::string text) { plan.notes.push_back({true, "firewall", "nfs: " + text}); };
  // Whoever opened the port by hand knows for whom.
  const bool by_hand =
      std::any_of(firewall.rules.begin(), firewall.rules.end(), [&port](const node::SeenRule& rule) {
        return node::Opens(rule, port, "tcp") && !rule.comment.starts_with(node::kRuleMark);
      });
  for (const std::string& client : planned.named_clients) {
    if (by_hand) break;
    warn(fmt::format(
        "the client {} is let in by the export, but not through {}, whose rules know addresses only: "
        "declare its addresses, or open {}/tcp for them by hand",
        client, name, port));
  }
  if (!state.v3.served) return;
  if (state.v3.mountd_port == 0) {
    return warn(
        fmt::format("NFSv4 passes {}, NFSv3 and `showmount` do not, which Proxmox VE needs of nfs storages "
                    "without vers=4 among their options: pin [mountd] port in /etc/nfs.conf, restart "
                    "nfs-mountd and plan again; or serve NFSv4 only (vers3=n in [nfsd])",
                    name));
  }
  const bool opens = std::any_of(plan.steps.begin(), plan.steps.end(),
                                 [](const kit::Step& step) { return kit::KindOf(step.id) == "rule"; });
  if (opens && !state.v3.LocksPinned()) {
    warn(
        "clients of NFSv3 can mount through the firewall, but get no locks: pin [statd] port and [lockd] "
        "port (and [lockd] udp-port where it is set) in /etc/nfs.conf as [mountd] port is, and restart "
        "rpc-statd");
  }
}

absl::Status CheckRemovedPaths(const kit::PlanInput& input, const NfsSpec& spec, const NfsState& state) {
  std::vector<FieldViolation> problems;
  std::set<std::string> told;
  const auto check = [&](const std::string& path, std::string_view by, std::string_view way_out) {
    if (!kit::SatisfiedBy(input.removed_keys, kit::Key("path", path)) || !told.insert(path).second) return;
    problems.push_back(
        {fmt::format("exports[{}]", path),
         fmt::format("{} is exported {} and would lose its file system; {}", path, by, way_out)});
  };
  for (const auto& [path, entry] : state.own) {
    const bool absent =
        std::any_of(spec.exports.begin(), spec.exports.end(), [&path = path](const ExportSpec& wanted) {
          return wanted.path == path && wanted.presence == Presence::kAbsent;
        });
    if (absent) {
      told.insert(path);
    } else {
      check(path, "by Phoenix", "take the export away as well (\"state\": \"absent\")");
    }
  }
  // Clients of others' exports would be cut off just the same.
  for (const ForeignExport& foreign : state.foreign) {
    if (!foreign.dropped) check(foreign.path, "by " + foreign.file, "take it out there first");
  }
  for (const LiveExport& live : ByHand(state))
    check(live.path, "by hand", fmt::format("end it first (`exportfs -u {}:{}`)", live.client, live.path));
  if (problems.empty()) return absl::OkStatus();
  return WithViolations(
      WithReason(FailedPrecondition("{}", problems.front().description), {"PATH_IN_USE", {}}), problems);
}

}  // namespace

kit::DomainDescription NfsDomain::Describe() { return {"nfs", {kSpecType}, host_.ToolVersions()}; }

absl::StatusOr<std::vector<kit::ObservedField>> NfsDomain::Observe(const std::vector<std::string>& keys) {
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  std::vector<kit::ObservedField> fields;
  const auto add = [&](const std::string& path, const std::string& client, const std::string& options,
                       bool active, const std::string& source) {
    const std::string key = kit::Key("export", path);
    if (!keys.empty() && std::find(keys.begin(), keys.end(), key) == keys.end()) return;
    fields.push_back({key, "client " + client, options, source});
    fields.push_back({key, "active " + client, active ? "yes" : "no", source});
  };
  for (const auto& [path, entry] : state.own) {
    for (const ClientEntry& client : entry.clients) {
      const bool active =
          DifferencesOf({path, {client}}, state.live).empty() || DifferencesOf(entry, state.live).empty();
      add(path, client.client, JoinOptions(client.options), active, kOwnFile);
    }
  }
  const auto pending = Pending(state);
  for (const ForeignExport& foreign : state.foreign) {
    const bool active =
        !foreign.dropped && std::find(pending.begin(), pending.end(), foreign) == pending.end();
    add(foreign.path, foreign.client.empty() ? "*" : foreign.client, JoinOptions(foreign.options), active,
        foreign.file);
  }
  for (const LiveExport& live : ByHand(state))
    add(live.path, live.client, JoinOptions(live.options), true, "by hand");
  return fields;
}

absl::StatusOr<kit::Plan> NfsDomain::MakePlan(const kit::PlanInput& input) {
  PHX_ASSIGN_OR_RETURN(NfsSpec spec, parse_spec_(input.spec_type, input.spec));
  spec.partial = spec.partial || input.local;
  std::vector<std::string> paths;
  for (const ExportSpec& wanted : spec.exports) paths.push_back(wanted.path);
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe(paths));
  const OwnedPaths owned = OwnedFrom(input.ledger);
  AddOrphans(spec, state, owned);
  PHX_ASSIGN_OR_RETURN(NfsPlan planned, PlanExports(spec, state, owned));
  PHX_RETURN_IF_ERROR(CheckRemovedPaths(input, spec, state));

  // The server and its ports are wanted by whoever exports something.
  node::NodeWants wants;
  wants.participant = "nfs";
  wants.partial = spec.partial;
  wants.prune_rules = spec.prune_rules;
  const bool serves = std::any_of(spec.exports.begin(), spec.exports.end(), [](const ExportSpec& wanted) {
    return wanted.presence == Presence::kPresent;
  });
  if (serves) {
    wants.packages = {kServerPackage};
    if (state.v3.served) wants.units = {kPortmapperUnit, kLockUnit};
    wants.units.emplace_back(kServerUnit);
    wants.rules = RulesFor(planned.clients, state.v3, state.listening.port);
    wants.everyone = planned.everyone;
  }
  auto planned_node = node_.MakePlan(wants, input.ledger);
  for (const char* unit : {kPortmapperUnit, kLockUnit}) {
    if (absl::StrContains(planned_node.status().message(), fmt::format("{} is masked", unit)))
      return Annotate(planned_node.status(),
                      "NFSv3 is served (vers3=n in [nfsd] of /etc/nfs.conf ends that)");
  }
  PHX_ASSIGN_OR_RETURN(node::NodePlan node, std::move(planned_node));
  std::set<std::string> there(node.provided_now.begin(), node.provided_now.end());
  if (serves && there.count(kit::Key("unit", kServerUnit)) == 0) {
    PHX_ASSIGN_OR_RETURN(planned, PlanExports(spec, state, owned, /*server_runs=*/false));
  }
  if (state.own_file) there.insert(kit::Key("file", kOwnFile));

  kit::Plan plan;
  plan.steps = std::move(node.steps);
  if (planned.make_file) plan.steps.push_back(RenderMakeFile(planned.make_directory));
  if (!planned.put_live.empty()) plan.steps.push_back(RenderPutLive(planned, state, there));
  for (const SetExport& set : planned.exports) {
    plan.steps.push_back(RenderSetExport(set, there, !planned.put_live.empty()));
  }
  plan.notes = std::move(node.notes);
  // The node itself passes in any case.
  if (!wants.rules.empty() || !planned.named_clients.empty())
    NoteShutOut(planned, state, node.firewall, plan);
  if (serves && state.listening.port != kStandardPort) {
    plan.notes.push_back(
        {true, "nfs",
         fmt::format("nfs.conf has the server listen at port {}: clients of NFSv4 must mount with port={}",
                     state.listening.port, state.listening.port)});
  }
  for (PlanNote& note : planned.notes) plan.notes.push_back({note.warning, note.path, std::move(note.text)});
  for (const auto& [path, entry] : state.own) {
    const std::string key = kit::Key("path", path);
    for (const std::string& disturbed : input.disturbed_keys) {
      if (!kit::Satisfies(disturbed, key)) continue;
      plan.notes.push_back(
          {true, path, fmt::format("clients of {} will wait while {} is disturbed", path, disturbed)});
    }
  }
  plan.provided_now.assign(there.begin(), there.end());
  for (const auto& [path, entry] : state.own) {
    if (DifferencesOf(entry, state.live).empty()) plan.provided_now.push_back(kit::Key("export", path));
  }
  plan.base_fingerprint = Fingerprint(state, node.fingerprint_text);
  return plan;
}

absl::StatusOr<std::string> NfsDomain::Capture(const kit::Step& step, const std::string& run_id) {
  if (node::NodeSteps::Owns(step)) return node_.Capture(step, run_id);
  PHX_ASSIGN_OR_RETURN(const StepPayload payload, FromPayload(step.payload));
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  if (payload.kind == Kind::kMakeFile) return ToText(FileCapture{state.directory, state.own_file});
  if (payload.kind == Kind::kPutLive) return ToText(LiveCapture{SortedLive(payload.put_live, state.live)});
  const auto entry = OwnEntry(state, payload.set.path);
  // What our own entry says is left out: it comes live whenever exportfs runs, with another step of this plan
  // too.
  return ToText(ExportCapture{entry, Strangers({payload.set.path, entry, std::nullopt}, state.live)});
}

absl::Status NfsDomain::Do(const kit::Step& step, const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.Do(step, context);
  PHX_ASSIGN_OR_RETURN(const StepPayload payload, FromPayload(step.payload));
  if (payload.kind == Kind::kMakeFile) return host_.MakeOwnFile();
  if (payload.kind == Kind::kPutLive) return host_.PutLive(payload.put_live, context.on_child);
  return DoExport(payload.set, context);
}

absl::Status NfsDomain::DoExport(const SetExport& set, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  if (const std::string reason = ForeignReason(set, state); !reason.empty())
    return ForeignChange(set.path, reason);
  return host_.SetEntry({set.path, set.after, false}, context.on_child);
}

absl::StatusOr<kit::ProbeResult> NfsDomain::ProbeStep(const kit::Step& step,
                                                      const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.ProbeStep(step, context);
  PHX_ASSIGN_OR_RETURN(const StepPayload payload, FromPayload(step.payload));
  if (payload.kind == Kind::kMakeFile) return ProbeFile(context);
  if (payload.kind == Kind::kPutLive) return ProbeLive(payload.put_live, context);
  return ProbeExport(payload.set, context);
}

absl::StatusOr<kit::ProbeResult> NfsDomain::ProbeLive(const std::vector<std::string>& paths,
                                                      const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const LiveCapture before, LiveCaptureFrom(context.captured));
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  // As before comes first: undone and done differ, or there would have been no step.
  if (SortedLive(paths, state.live) == before.live) return kit::ProbeResult{kit::Probe::kNotDone, ""};
  if (const auto strangers = LiveStrangers(paths, before, state); !strangers.empty())
    return kit::ProbeResult{kit::Probe::kForeign, "the server exports " + ToText(strangers.front())};
  for (const std::string& path : paths) {
    const auto entry = OwnEntry(state, path);
    const auto wrong = DifferencesOf(entry.value_or(ExportEntry{path, {}}), state.live);
    if (!wrong.empty()) return kit::ProbeResult{kit::Probe::kPartial, wrong.front()};
  }
  return kit::ProbeResult{kit::Probe::kDone, ""};
}

absl::StatusOr<kit::ProbeResult> NfsDomain::ProbeFile(const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const FileCapture before, FileCaptureFrom(context.captured));
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  if (state.own_file && !state.own_problem.empty())
    return kit::ProbeResult{kit::Probe::kForeign, state.own_problem};
  if (state.own_file) return kit::ProbeResult{kit::Probe::kDone, ""};
  // What others put into it is their use of the directory that we made; it is theirs from then on.
  const bool ours = state.directory && !before.directory && !state.directory_in_use;
  if (ours) return kit::ProbeResult{kit::Probe::kPartial, "the directory is there, the file is not"};
  return kit::ProbeResult{kit::Probe::kNotDone, ""};
}

absl::StatusOr<kit::ProbeResult> NfsDomain::ProbeExport(const SetExport& set, const kit::StepContext&) {
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  if (const std::string reason = ForeignReason(set, state); !reason.empty()) {
    return kit::ProbeResult{kit::Probe::kForeign, reason};
  }
  const auto entry = OwnEntry(state, set.path);
  const auto wrong = DifferencesOf(set.after.value_or(ExportEntry{set.path, {}}), state.live);
  if (entry == set.after) {
    if (wrong.empty()) return kit::ProbeResult{kit::Probe::kDone, ""};
    return kit::ProbeResult{kit::Probe::kPartial, wrong.front()};
  }
  const auto rest = NotSaidBy(set.before, set.path, state.live);
  if (rest.empty()) return kit::ProbeResult{kit::Probe::kNotDone, ""};
  return kit::ProbeResult{kit::Probe::kPartial, "the server still exports " + ToText(rest.front())};
}

absl::Status NfsDomain::Undo(const kit::Step& step, const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.Undo(step, context);
  PHX_ASSIGN_OR_RETURN(const StepPayload payload, FromPayload(step.payload));
  if (payload.kind == Kind::kSetExport) return UndoExport(payload.set, context);
  if (payload.kind == Kind::kPutLive) {
    PHX_ASSIGN_OR_RETURN(const LiveCapture before, LiveCaptureFrom(context.captured));
    PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
    if (const auto strangers = LiveStrangers(payload.put_live, before, state); !strangers.empty())
      return ForeignChange(strangers.front().path, "the server exports " + ToText(strangers.front()));
    return host_.RestoreLive(payload.put_live, before.live, context.on_child);
  }
  PHX_ASSIGN_OR_RETURN(const FileCapture before, FileCaptureFrom(context.captured));
  if (before.file) return absl::OkStatus();
  return host_.RemoveOwnFile(/*directory_too=*/!before.directory);
}

absl::Status NfsDomain::UndoExport(const SetExport& set, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const ExportCapture before, ExportCaptureFrom(context.captured));
  PHX_ASSIGN_OR_RETURN(const NfsState state, host_.Observe({}));
  if (const std::string reason = ForeignReason(set, state); !reason.empty())
    return ForeignChange(set.path, reason);
  if (OwnEntry(state, set.path) == before.entry && NotSaidBy(before.entry, set.path, state.live).empty()) {
    return absl::OkStatus();
  }
  return host_.SetEntry({set.path, before.entry, /*restoring=*/true}, context.on_child);
}

std::vector<std::string> NfsDomain::RemainingCommands(const kit::Step& step,
                                                      const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.RemainingCommands(step, context);
  const auto payload = FromPayload(step.payload);
  if (!payload.ok()) return {};
  if (payload->kind == Kind::kPutLive) {
    std::vector<std::string> commands;
    const auto before = LiveCaptureFrom(context.captured);
    for (const std::string& path : payload->put_live) {
      const auto live = before.ok() ? LiveOf(before->live, path) : std::vector<LiveExport>();
      if (live.empty())
        commands.push_back(fmt::format("exportfs -u CLIENT:{}  # for every client of it", path));
      for (const LiveExport& one : live) commands.push_back(ToText(ExportCommand(one)));
    }
    return commands;
  }
  if (payload->kind == Kind::kMakeFile) {
    std::vector<std::string> commands = {fmt::format("rm {}", kOwnFile)};
    const auto before = FileCaptureFrom(context.captured);
    if (before.ok() && !before->directory) commands.push_back(fmt::format("rmdir {}", kExportsDirectory));
    return commands;
  }
  const SetExport& set = payload->set;
  std::vector<std::string> commands;
  if (set.before) {
    commands.push_back(
        fmt::format("# in {} the line of {} must be: {}", kOwnFile, set.path, RenderLine(*set.before)));
  } else {
    commands.push_back(fmt::format("# in {} the line of {} must go", kOwnFile, set.path));
  }
  commands.emplace_back("exportfs -r");
  commands.emplace_back("exportfs -s");
  return commands;
}

absl::StatusOr<kit::LedgerChange> NfsDomain::LedgerOf(const kit::Step& step,
                                                      const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.LedgerOf(step, context);
  PHX_ASSIGN_OR_RETURN(const StepPayload payload, FromPayload(step.payload));
  kit::LedgerChange change;
  // What our file says was ours before.
  if (payload.kind == Kind::kPutLive) return change;
  const bool file = payload.kind == Kind::kMakeFile;
  if (!file && !payload.set.after) {
    change.remove.push_back(step.id);
    return change;
  }
  kit::LedgerEntry entry;
  entry.key = step.id;
  entry.created = file || payload.set.created;
  entry.run_id = context.run_id;
  if (!file) {
    entry.identity = Sha256Hex(RenderLine(*payload.set.after));
    entry.fields = ToJson(payload.set.after).dump();
  }
  change.put.push_back(std::move(entry));
  return change;
}

// Nothing that only an open transaction needs.
absl::Status NfsDomain::Close(const std::string&, bool) { return absl::OkStatus(); }

}  // namespace phoenix::nfs
