#include "services/nfs/host/exports_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/domain/spec_check.h"
#include "services/nfs/host/conf_files.h"
#include "services/nfs/host/exports_file.h"

namespace phoenix::nfs {
namespace {

constexpr char kMainFile[] = "/etc/exports";
constexpr char kKernelTable[] = "/proc/fs/nfsd/exports";

// Entries of `before` that are neither in `after` nor of `path`: what the change took from others. Options
// are not looked at: where they were otherwise than the files say, exportfs has put that right.
std::vector<LiveExport> LostIn(const std::vector<LiveExport>& before, const std::vector<LiveExport>& after,
                               const std::string& path) {
  std::vector<LiveExport> lost;
  for (const LiveExport& one : before) {
    const bool there = std::any_of(after.begin(), after.end(), [&](const LiveExport& other) {
      return other.path == one.path && other.client == one.client;
    });
    if (one.path != path && !there) lost.push_back(one);
  }
  return lost;
}

bool IsIn(const std::vector<LiveExport>& live, const LiveExport& one) {
  return std::any_of(live.begin(), live.end(),
                     [&](const LiveExport& other) { return ToText(other) == ToText(one); });
}

}  // namespace

absl::Status ExportsHost::ReadForeign(NfsState& state) {
  std::vector<std::string> names = {kMainFile};
  PHX_ASSIGN_OR_RETURN(auto listed, files_.List(kExportsDirectory));
  for (const std::string& name : InReadingOrder(std::move(listed))) {
    if (fmt::format("{}/{}", kExportsDirectory, name) != kOwnFile) state.directory_in_use = true;
    // As exportfs picks them.
    if (name.starts_with('.') || !name.ends_with(".exports") || name.size() == 8) continue;
    const std::string file = fmt::format("{}/{}", kExportsDirectory, name);
    if (file != kOwnFile) names.push_back(file);
  }
  std::optional<bool> knows_newer;
  for (const std::string& name : names) {
    const auto file = ReadPlainFile(files_, name);
    // A symbolic link of that name: not ours to judge, but what it exports is unknown.
    if (!file.ok()) return Annotate(file.status(), "read " + name);
    if (!*file) continue;
    ParsedExports parsed = ParseExportsFile((*file)->content);
    // Who exports them depends on exportfs: asked only where somebody uses them.
    if (parsed.newer_options && !knows_newer) {
      PHX_ASSIGN_OR_RETURN(knows_newer, KnowsNewerOptions());
    }
    if (parsed.newer_options && !*knows_newer)
      parsed = ParseExportsFile((*file)->content, /*knows_newer=*/false);
    for (ForeignExport& entry : parsed.entries) {
      entry.file = name;
      entry.path = Resolve(entry.path);
      state.foreign.push_back(std::move(entry));
    }
  }
  return absl::OkStatus();
}

std::string ExportsHost::RealName(const std::string& path) {
  // Of a path that is still to come the folders above it are there, and may be behind a link.
  for (std::string known = path; known.size() > 1;) {
    const std::string real = Resolve(known);
    if (real != known) return (real == "/" ? "" : real) + path.substr(known.size());
    const auto slash = known.rfind('/');
    if (slash == std::string::npos) break;
    known.resize(slash);
  }
  return path;
}

absl::StatusOr<std::vector<LiveExport>> ExportsHost::LiveNow() {
  PHX_ASSIGN_OR_RETURN(const std::string table, ReadTable());
  return ParseExportTable(table);
}

absl::Status ExportsHost::MakeKernelLetGo(const std::vector<LiveExport>& live,
                                          const ChildObserver& on_child) {
  // exportfs has flushed the kernel's cache by now. But of two flushes within a second the kernel only notes
  // the second: it serves the entry to nobody any more, and keeps its file system busy for up to half a
  // minute.
  constexpr int kFlushes = 3;
  for (int flushes = 0;; ++flushes) {
    PHX_ASSIGN_OR_RETURN(const auto kernel, files_.Read(kKernelTable));
    if (!kernel) return absl::OkStatus();  // no server runs
    const auto kept = KeptByKernel(ParseExportTable(kernel->content), live);
    if (kept.empty()) return absl::OkStatus();
    if (flushes == kFlushes) {
      return WithReason(
          Unavailable("{} is unexported, but the kernel still holds it ({}); `exportfs -f` makes it let go",
                      kept.front().path, kKernelTable),
          {"KERNEL_HOLDS_EXPORT", {{"path", kept.front().path}}});
    }
    PHX_RETURN_IF_ERROR(FlushKernel(on_child));
  }
}

absl::StatusOr<NfsState> ExportsHost::Observe(const std::vector<std::string>& paths) {
  NfsState state;
  PHX_ASSIGN_OR_RETURN(const auto directory, files_.ReadDirectory(kExportsDirectory));
  state.directory = directory.has_value();
  PHX_ASSIGN_OR_RETURN(const auto own, files_.Read(kOwnFile));
  state.own_file = own.has_value();
  if (own) state.own = ParseOwnFile(own->content, &state.own_problem);
  PHX_RETURN_IF_ERROR(ReadForeign(state));
  PHX_ASSIGN_OR_RETURN(state.live, LiveNow());
  for (const std::string& path : paths) {
    PathState& seen = state.paths[path];
    PHX_ASSIGN_OR_RETURN(seen, LookAt(path));
    seen.real = RealName(path);
  }
  PHX_RETURN_IF_ERROR(ReadServerSettings(files_, state));
  state.connected = Connected();
  return state;
}

std::vector<std::string> ExportsHost::Connected() const {
  // One directory for each client; its file "info" has a line: address: "10.0.0.5:872".
  constexpr char kClients[] = "/proc/fs/nfsd/clients";
  constexpr std::string_view kField = "address: \"";
  std::vector<std::string> addresses;
  const auto clients = files_.List(kClients);
  if (!clients.ok()) return addresses;
  for (const std::string& client : *clients) {
    // A client that leaves meanwhile is none.
    const auto info = files_.Read(fmt::format("{}/{}/info", kClients, client));
    if (!info.ok() || !*info) continue;
    const std::string& text = (*info)->content;
    const auto begin = text.find(kField);
    if (begin == std::string::npos) continue;
    const auto first = begin + kField.size();
    const auto last = text.rfind(':', text.find('"', first));
    if (last != std::string::npos && last > first) addresses.push_back(text.substr(first, last - first));
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

absl::Status ExportsHost::MakeOwnFile() {
  absl::MutexLock lock(&own_file_);
  PHX_RETURN_IF_ERROR(files_.MakeDirectory(kExportsDirectory, {0, 0, 0755}));
  PHX_ASSIGN_OR_RETURN(const auto own, files_.Read(kOwnFile));
  if (own) return absl::OkStatus();
  return files_.Replace(kOwnFile, {RenderOwnFile({}), 0, 0, 0644});
}

absl::Status ExportsHost::RemoveOwnFile(bool directory_too) {
  absl::MutexLock lock(&own_file_);
  PHX_ASSIGN_OR_RETURN(const auto own, files_.Read(kOwnFile));
  if (own) {
    if (own->content != RenderOwnFile({})) {
      return WithReason(
          FailedPrecondition("{} holds more than Phoenix's header and is left where it is", kOwnFile),
          {"FOREIGN_CHANGE", {{"file", kOwnFile}}});
    }
    PHX_RETURN_IF_ERROR(files_.Remove(kOwnFile));
  }
  if (!directory_too) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto left, files_.List(kExportsDirectory));
  // Somebody else uses it by now.
  if (!left.empty()) return absl::OkStatus();
  return files_.RemoveDirectory(kExportsDirectory);
}

absl::Status ExportsHost::SetEntry(const EntryChange& change, const ChildObserver& on_child) {
  absl::MutexLock lock(&own_file_);
  PHX_ASSIGN_OR_RETURN(const NfsState before, Observe({}));
  if (!before.own_file && change.entry) return FailedPrecondition("{} is not there", kOwnFile);
  if (!before.own_problem.empty()) {
    return WithReason(FailedPrecondition("{} is not as Phoenix wrote it: {}", kOwnFile, before.own_problem),
                      {"FOREIGN_CHANGE", {{"file", kOwnFile}}});
  }
  if (const auto by_hand = ByHand(before); !by_hand.empty()) {
    // What the change itself left behind is no stranger's.
    const bool others = std::any_of(by_hand.begin(), by_hand.end(),
                                    [&](const LiveExport& one) { return one.path != change.path; });
    if (others) {
      return WithReason(
          FailedPrecondition("{} was exported by hand and stands in no file; `exportfs -r` would cut it",
                             ToText(by_hand.front())),
          {"EXPORTS_BY_HAND", {{"path", by_hand.front().path}}});
    }
  }
  OwnExports wanted = before.own;
  if (change.entry) {
    for (const ClientEntry& client : change.entry->clients) {
      if (const auto problem = LengthProblem(client)) return InvalidArgument("{}: {}", change.path, *problem);
    }
    wanted[change.path] = *change.entry;
  } else {
    wanted.erase(change.path);
  }
  const std::string text = RenderOwnFile(wanted);
  std::string difference;
  if (!ReadsBackAs(text, wanted, &difference))
    return Internal("the rendered {} is wrong: {}", kOwnFile, difference);
  return PutInPlace(text, change, before, on_child);
}

absl::Status ExportsHost::PutInPlace(const std::string& text, const EntryChange& change,
                                     const NfsState& before, const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const auto former, files_.Read(kOwnFile));
  const bool changes = former && former->content != text;
  if (changes) {
    // Owner and mode are kept: they may have been tightened on purpose.
    PHX_RETURN_IF_ERROR(files_.Replace(kOwnFile, {text, former->uid, former->gid, former->mode}));
  }
  auto complaints = Reexport(on_child);
  absl::Status status = complaints.status();
  if (status.ok()) {
    PHX_ASSIGN_OR_RETURN(const auto after, LiveNow());
    std::vector<std::string> wrong =
        DifferencesOf(change.entry ? *change.entry : ExportEntry{change.path, {}}, after);
    for (const LiveExport& lost : LostIn(before.live, after, change.path)) {
      wrong.push_back(fmt::format("{} is no longer exported to {}", lost.path, lost.client));
    }
    if (wrong.empty()) return MakeKernelLetGo(after, on_child);
    status = WithReason(Internal("exportfs did not do what {} says: {}{}", kOwnFile, fmt::join(wrong, "; "),
                                 complaints->empty() ? "" : fmt::format("; it said: {}", *complaints)),
                        {"EXPORT_MISMATCH", {{"path", change.path}}});
  }
  if (change.restoring || !changes) return status;
  absl::Status back = files_.Replace(kOwnFile, *former);
  if (back.ok()) back = Reexport(on_child).status();
  if (!back.ok()) return Annotate(status, "the former file could not be put back (" + Message(back) + ")");
  return Annotate(status, "the former file is in place again");
}

absl::Status ExportsHost::PutLive(const std::vector<std::string>& paths, const ChildObserver& on_child) {
  absl::MutexLock lock(&own_file_);
  PHX_ASSIGN_OR_RETURN(const NfsState before, Observe({}));
  if (const auto by_hand = ByHand(before); !by_hand.empty()) {
    return FailedPrecondition("{} was exported by hand and stands in no file; `exportfs -r` would cut it",
                              ToText(by_hand.front()));
  }
  PHX_ASSIGN_OR_RETURN(const std::string complaints, Reexport(on_child));
  PHX_ASSIGN_OR_RETURN(const auto after, LiveNow());
  std::vector<std::string> wrong;
  for (const std::string& path : paths) {
    const auto entry = before.own.find(path);
    if (entry == before.own.end()) return FailedPrecondition("{} has no entry for {}", kOwnFile, path);
    for (auto& difference : DifferencesOf(entry->second, after)) wrong.push_back(std::move(difference));
  }
  if (wrong.empty()) return MakeKernelLetGo(after, on_child);
  return WithReason(Internal("exportfs did not do what {} says: {}{}", kOwnFile, fmt::join(wrong, "; "),
                             complaints.empty() ? "" : fmt::format("; it said: {}", complaints)),
                    {"EXPORT_MISMATCH", {{"path", paths.front()}}});
}

absl::Status ExportsHost::RestoreLive(const std::vector<std::string>& paths,
                                      const std::vector<LiveExport>& before, const ChildObserver& on_child) {
  absl::MutexLock lock(&own_file_);
  PHX_ASSIGN_OR_RETURN(const auto now, LiveNow());
  for (const std::string& path : paths) {
    const auto wanted = LiveOf(before, path);
    const auto there = LiveOf(now, path);
    for (const LiveExport& one : there) {
      if (!IsIn(wanted, one)) PHX_RETURN_IF_ERROR(UnexportByHand(one, on_child));
    }
    for (const LiveExport& one : wanted) {
      if (!IsIn(there, one)) PHX_RETURN_IF_ERROR(ExportByHand(one, on_child));
    }
  }
  PHX_ASSIGN_OR_RETURN(const auto after, LiveNow());
  for (const std::string& path : paths) {
    const auto wanted = LiveOf(before, path);
    const auto there = LiveOf(after, path);
    for (const LiveExport& one : there) {
      if (!IsIn(wanted, one)) return Internal("the server still exports {}", ToText(one));
    }
    for (const LiveExport& one : wanted) {
      if (!IsIn(there, one)) return Internal("the server does not export {}", ToText(one));
    }
  }
  return MakeKernelLetGo(after, on_child);
}

}  // namespace phoenix::nfs
