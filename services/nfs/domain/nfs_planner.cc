#include "services/nfs/domain/nfs_planner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "base/status/errors.h"
#include "services/nfs/domain/client.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/domain/spec_check.h"

namespace phoenix::nfs {
namespace {

bool NamesMountPoint(const std::vector<std::string>& options) {
  return Meaning(options).mount_point.has_value();
}

bool SaysSubtree(const std::vector<std::string>& options) {
  return std::any_of(options.begin(), options.end(), [](const std::string& option) {
    return option == "subtree_check" || option == "no_subtree_check";
  });
}

// A file system that nobody declared may be mounted further down, and provide the path itself.
bool PathIsThere(const ExportSpec& wanted, const NfsState& state) {
  const auto found = state.paths.find(wanted.path);
  if (found == state.paths.end() || !found->second.directory) return false;
  return wanted.mount_point.empty() || found->second.mount_point == wanted.mount_point ||
         found->second.mount_point.starts_with(wanted.mount_point + "/");
}

// What our entry names: "" for the path itself, nullopt where there is none or it names nothing.
std::optional<std::string> NamedMountPoint(const std::string& path, const NfsState& state) {
  const auto ours = state.own.find(path);
  if (ours == state.own.end()) return std::nullopt;
  for (const ClientEntry& client : ours->second.clients) {
    auto named = Meaning(client.options).mount_point;
    // One that somebody wished for may be anywhere: it guards that client's line alone.
    if (named && (named->empty() || path == *named || path.starts_with(*named + "/"))) return named;
  }
  return std::nullopt;
}

void CheckForeign(const ExportSpec& wanted, const NfsState& state, std::vector<FieldViolation>& problems) {
  std::set<std::string> files;
  for (const ForeignExport& foreign : state.foreign) {
    if (foreign.path != wanted.path || !files.insert(foreign.file).second) continue;
    problems.push_back(
        {wanted.origin + ".path",
         foreign.file == kZfsFile
             ? fmt::format("{} is already exported by its dataset's property sharenfs ({}); set "
                           "sharenfs=off, or leave the "
                           "export to ZFS",
                           wanted.path, foreign.file)
             : fmt::format(
                   "{} is already exported by {} line {}; take it out there, or leave it to that file",
                   wanted.path, foreign.file, foreign.line)});
  }
}

// exportfs exports what a link leads to, so that the table would never have the path that was declared.
void CheckRealName(const ExportSpec& wanted, const NfsState& state, std::vector<FieldViolation>& problems) {
  const auto seen = state.paths.find(wanted.path);
  if (seen == state.paths.end() || seen->second.real.empty() || seen->second.real == wanted.path) return;
  problems.push_back({wanted.origin + ".path",
                      fmt::format("{} leads through a symbolic link to {}, which is what would be exported; "
                                  "declare that path",
                                  wanted.path, seen->second.real)});
}

absl::Status CheckState(const NfsSpec& spec, const NfsState& state) {
  std::vector<FieldViolation> problems;
  if (!state.own_problem.empty()) {
    problems.push_back(
        {kOwnFile, fmt::format("{} is not as Phoenix wrote it: {}; move what was added to another file of {} "
                               "and put the rest back",
                               kOwnFile, state.own_problem, kExportsDirectory)});
  }
  if (!state.root_directory.empty() && state.root_directory != "/") {
    problems.push_back({"/etc/nfs.conf",
                        fmt::format("nfs.conf sets rootdir={}, so that a path in an exports file is not the "
                                    "path on the node; Phoenix does not export below it",
                                    state.root_directory)});
  }
  if (!state.state_directory.empty()) {
    problems.push_back({"/etc/nfs.conf",
                        fmt::format("nfs.conf sets state-directory-path={}, so that the server's table is "
                                    "there and not in {}, where Phoenix looks at what came of a change; take "
                                    "the setting out and restart nfs-server, or leave the exports of this "
                                    "node to whoever set it",
                                    state.state_directory, kStateDirectory)});
  }
  if (state.listening.port == 0) {
    problems.push_back({"/etc/nfs.conf",
                        fmt::format("nfs.conf sets port={} in [nfsd], which is no port from 1 to 65535; say "
                                    "it as a number, or take it out for {}",
                                    state.listening.port_text, kStandardPort)});
  }
  for (const ExportSpec& wanted : spec.exports) {
    if (wanted.presence == Presence::kAbsent) continue;
    CheckRealName(wanted, state, problems);
    CheckForeign(wanted, state, problems);
  }
  if (problems.empty()) return absl::OkStatus();
  std::string text = "the exports of this node stand in the way:";
  for (const auto& problem : problems) text += "\n  " + problem.description;
  return WithViolations(WithReason(FailedPrecondition("{}", text), {"EXPORTS_CONFLICT", {}}), problems);
}

absl::Status CheckByHand(const NfsState& state) {
  const auto by_hand = ByHand(state);
  if (by_hand.empty()) return absl::OkStatus();
  std::string text = fmt::format(
      "exports were made by hand that stand in no file, and that `exportfs -r` would cut; write them into a "
      "file of {}, "
      "or end them with `exportfs -u CLIENT:PATH`:",
      kExportsDirectory);
  for (const auto& one : by_hand) text += "\n  " + ToText(one);
  return WithReason(FailedPrecondition("{}", text), {"EXPORTS_BY_HAND", {{"path", by_hand.front().path}}});
}

// What we created and the spec does not name.
std::vector<std::string> OrphansOf(const NfsSpec& spec, const NfsState& state, const OwnedPaths& owned) {
  std::vector<std::string> orphans;
  for (const auto& [path, created] : owned) {
    const bool declared =
        std::any_of(spec.exports.begin(), spec.exports.end(),
                    [&path = path](const ExportSpec& wanted) { return wanted.path == path; });
    if (!declared && created && state.own.count(path) > 0) orphans.push_back(path);
  }
  return orphans;
}

void NoteOrphans(const NfsSpec& spec, const NfsState& state, const OwnedPaths& owned, NfsPlan& plan) {
  if (spec.partial) return;
  for (const std::string& path : OrphansOf(spec, state, owned)) {
    std::vector<std::string> clients;
    for (const auto& client : state.own.at(path).clients) clients.push_back(client.client);
    plan.notes.push_back(
        {true, path,
         fmt::format("orphaned: {} is no longer declared and stays exported to {}; it goes when it is "
                     "declared with \"state\": \"absent\", or with --prune exports",
                     path, fmt::join(clients, ", "))});
  }
}

bool IsBelow(const std::string& path, const std::string& parent) {
  return parent == "/" ? path != "/" : path.starts_with(parent + "/");
}

std::string PlaceOf(const ForeignExport& foreign) {
  if (foreign.file == kZfsFile) return fmt::format("sharenfs ({})", foreign.file);
  return fmt::format("{} line {}", foreign.file, foreign.line);
}

// Lines of others that lead into the wanted export, or begin in it: they let their clients in by other rules.
void NoteNeighbours(const ExportSpec& wanted, const NfsState& state, NfsPlan& plan) {
  std::map<std::pair<std::string, std::string>, std::vector<const ForeignExport*>> lines;
  for (const ForeignExport& foreign : state.foreign) {
    if (!foreign.dropped) lines[{PlaceOf(foreign), foreign.path}].push_back(&foreign);
  }
  const auto seen = state.paths.find(wanted.path);
  const bool there = seen != state.paths.end() && seen->second.directory;
  for (const auto& [line, exports] : lines) {
    const auto& [place, path] = line;
    const bool above = IsBelow(wanted.path, path);
    if (!above && !IsBelow(path, wanted.path)) continue;
    std::vector<std::string> clients;
    bool crosses = false;
    for (const ForeignExport* one : exports) {
      clients.push_back(
          fmt::format("{}({})", one->client.empty() ? "*" : one->client, JoinOptions(one->options)));
      crosses = crosses || std::count(one->options.begin(), one->options.end(), "crossmnt") > 0;
    }
    const std::string to = fmt::format("{}", fmt::join(clients, " "));
    const std::string& mount = there ? seen->second.mount_point : wanted.path;
    const bool same = path == mount || IsBelow(path, mount);
    const bool inherits = !there && exports.front()->file == kZfsFile;
    if (above && inherits) {
      plan.notes.push_back(
          {true, wanted.path,
           fmt::format("{} exports {}, and a new dataset below inherits that: ZFS would export {} itself, "
                       "where the run then stops; give its dataset sharenfs=off, or leave the export to ZFS",
                       place, path, wanted.path)});
    } else if (above && (crosses || same)) {
      plan.notes.push_back(
          {true, wanted.path,
           fmt::format("{} exports {} to {}, {}: through it these may reach {}, whatever is declared for it",
                       place, path, to, crosses ? "with crossmnt" : "in the same file system", wanted.path)});
    } else if (!above) {
      plan.notes.push_back(
          {true, wanted.path,
           fmt::format("{} exports {} to {}, which is in {}: there that line counts, not what is declared",
                       place, path, to, wanted.path)});
    }
  }
}

// Who may be cut off where a client loses its export.
void NoteConnected(const SetExport& step, const NfsState& state, NfsPlan& plan) {
  if (!step.before || state.connected.empty()) return;
  const bool takes =
      std::any_of(step.before->clients.begin(), step.before->clients.end(), [&](const ClientEntry& client) {
        return !step.after ||
               std::none_of(step.after->clients.begin(), step.after->clients.end(),
                            [&](const ClientEntry& kept) { return kept.client == client.client; });
      });
  if (!takes) return;
  plan.notes.push_back({true, step.path,
                        fmt::format("{} is taken from clients; connected to this server are now: {}",
                                    step.path, fmt::join(state.connected, ", "))});
}

// Entries of our file that are not declared now and not live as they say.
void AddDrifted(const NfsSpec& spec, const NfsState& state, NfsPlan& plan) {
  for (const auto& [path, entry] : state.own) {
    const bool declared =
        std::any_of(spec.exports.begin(), spec.exports.end(),
                    [&path = path](const ExportSpec& wanted) { return wanted.path == path; });
    if (!declared && !DifferencesOf(entry, state.live).empty()) plan.put_live.push_back(path);
  }
  std::sort(plan.put_live.begin(), plan.put_live.end());
}

}  // namespace

std::optional<std::string> MountPointFor(const ExportSpec& wanted, const NfsState& state) {
  std::optional<std::string> guard;
  const auto offer = [&](const std::string& mount_point) {
    if (!guard || mount_point.size() > guard->size()) guard = mount_point;
  };
  // A name that the table cannot carry guards nothing.
  if (!wanted.mount_point.empty() && CanBeNamed(wanted.mount_point, wanted.path)) offer(wanted.mount_point);
  const auto before = NamedMountPoint(wanted.path, state);
  const auto found = state.paths.find(wanted.path);
  if (before) {
    offer(before->empty() ? wanted.path : *before);
  } else if (found == state.paths.end() || !found->second.directory) {
    if (wanted.mount_point.empty()) offer(wanted.path);
  } else if (found->second.file_system == "zfs" && CanBeNamed(found->second.mount_point, wanted.path)) {
    offer(found->second.mount_point);
  }
  return guard == wanted.path ? "" : guard;
}

ExportEntry EntryOf(const ExportSpec& wanted, const std::optional<std::string>& mount_point) {
  ExportEntry entry{wanted.path, {}};
  for (const ClientSpec& one : wanted.clients) {
    const auto parsed = ParseClient(one.client);
    ClientEntry client{parsed.ok() ? parsed->text : one.client, one.options};
    if (!SaysSubtree(client.options)) client.options.emplace_back("no_subtree_check");
    if (mount_point && !NamesMountPoint(client.options)) {
      client.options.push_back(mount_point->empty() ? "mountpoint" : "mountpoint=" + *mount_point);
    }
    entry.clients.push_back(std::move(client));
  }
  std::sort(entry.clients.begin(), entry.clients.end(),
            [](const ClientEntry& a, const ClientEntry& b) { return a.client < b.client; });
  return entry;
}

void AddOrphans(NfsSpec& spec, const NfsState& state, const OwnedPaths& owned) {
  if (!spec.prune_exports || spec.partial) return;
  for (const std::string& path : OrphansOf(spec, state, owned)) {
    spec.exports.push_back({path, {}, Presence::kAbsent, "--prune exports", ""});
  }
}

absl::StatusOr<NfsPlan> PlanExports(const NfsSpec& spec, const NfsState& state, const OwnedPaths& owned,
                                    bool server_runs) {
  NfsPlan plan;
  std::vector<FieldViolation> problems = CheckSpec(spec, plan.notes);
  // Entries first: their length depends on what is mounted.
  std::map<std::string, ExportEntry> wanted_entries;
  std::set<std::string> clients, named;
  for (const ExportSpec& wanted : spec.exports) {
    if (wanted.presence == Presence::kAbsent) {
      const auto ours = owned.find(wanted.path);
      if (state.own.count(wanted.path) > 0 && (ours == owned.end() || !ours->second)) {
        problems.push_back({wanted.origin + ".path",
                            fmt::format("{} was not created by Phoenix, so Phoenix does not remove it; take "
                                        "its line out of {} and run `exportfs -r`",
                                        wanted.path, kOwnFile)});
      }
      continue;
    }
    ExportEntry entry = EntryOf(wanted, MountPointFor(wanted, state));
    for (const ClientEntry& client : entry.clients) {
      if (auto problem = LengthProblem(client)) problems.push_back({wanted.origin + ".clients", *problem});
      const auto parsed = ParseClient(client.client);
      if (!parsed.ok()) continue;
      if (parsed->kind == Client::Kind::kEveryone) {
        clients.insert("0.0.0.0/0");
        plan.everyone = true;
      } else {
        const bool address = parsed->kind == Client::Kind::kAddress || parsed->kind == Client::Kind::kNetwork;
        (address ? clients : named).insert(parsed->text);
      }
    }
    wanted_entries.emplace(wanted.path, std::move(entry));
  }
  if (!problems.empty()) {
    std::string text = "the exports are not as they can be:";
    for (const auto& problem : problems)
      text += fmt::format("\n  {}: {}", problem.field, problem.description);
    return WithViolations(WithReason(InvalidArgument("{}", text), {"SPEC_INVALID", {}}), problems);
  }
  if (!spec.exports.empty()) {
    if (absl::Status status = CheckState(spec, state); !status.ok()) return status;
  }
  plan.clients.assign(clients.begin(), clients.end());
  plan.named_clients.assign(named.begin(), named.end());
  for (const ExportSpec& wanted : spec.exports) {
    if (wanted.presence == Presence::kPresent) NoteNeighbours(wanted, state, plan);
  }
  NoteOrphans(spec, state, owned, plan);

  for (const ExportSpec& wanted : spec.exports) {
    const auto existing = state.own.find(wanted.path);
    const auto ours = owned.find(wanted.path);
    SetExport step{.path = wanted.path, .path_there = PathIsThere(wanted, state)};
    if (existing != state.own.end()) step.before = existing->second;
    if (wanted.presence == Presence::kPresent) {
      step.after = wanted_entries.at(wanted.path);
      step.created = existing == state.own.end() || (ours != owned.end() && ours->second);
      if (step.before == step.after) {
        if (server_runs && !DifferencesOf(*step.after, state.live).empty())
          plan.put_live.push_back(wanted.path);
        continue;
      }
    } else if (!step.before) {
      continue;
    }
    NoteConnected(step, state, plan);
    plan.exports.push_back(std::move(step));
  }
  std::sort(plan.exports.begin(), plan.exports.end(),
            [](const SetExport& a, const SetExport& b) { return a.path < b.path; });
  if (plan.exports.empty() && plan.put_live.empty()) return plan;
  if (server_runs) AddDrifted(spec, state, plan);

  if (absl::Status status = CheckByHand(state); !status.ok()) return status;
  const bool adds =
      std::any_of(plan.exports.begin(), plan.exports.end(), [](const SetExport& step) { return step.after; });
  plan.make_file = adds && !state.own_file;
  plan.make_directory = plan.make_file && !state.directory;
  if (server_runs) {
    for (const ForeignExport& pending : Pending(state)) {
      plan.notes.push_back(
          {true, pending.path,
           fmt::format("{} line {} exports {} to {}, which is not in effect; it will be, since `exportfs "
                       "-r` reads every file",
                       pending.file, pending.line, pending.path,
                       pending.client.empty() ? "*" : pending.client)});
    }
  }
  return plan;
}

}  // namespace phoenix::nfs
