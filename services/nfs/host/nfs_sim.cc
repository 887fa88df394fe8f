#include "services/nfs/host/nfs_sim.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/nfs/domain/client.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/host/conf_files.h"
#include "services/nfs/host/exports_file.h"
#include "services/node/host/node_sim.h"

namespace phoenix::nfs {
namespace {

constexpr char kTableKind[] = "nfs.etab";

std::string TableName(const std::string& path, const std::string& client) { return path + " " + client; }

absl::StatusOr<PathState> LookIn(kit::World& world, const std::string& path) {
  PathState state{false, "/", "ext4"};
  PHX_ASSIGN_OR_RETURN(const auto datasets, world.List("zfs.dataset"));
  for (const auto& [name, dataset] : datasets) {
    const std::string mount_point = dataset.value("mounted", "");
    const bool holds = path == mount_point || path.starts_with(mount_point + "/");
    if (mount_point.empty() || !holds || mount_point.size() < state.mount_point.size()) continue;
    state.mount_point = mount_point;
    state.file_system = "zfs";
  }
  PHX_ASSIGN_OR_RETURN(const auto file, world.ReadFile(path));
  state.directory = file && file->directory;
  return state;
}

// As realpath(3): what is not there has no other name.
absl::StatusOr<std::string> ResolveIn(kit::World& world, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(const auto links, world.List("nfs.link"));
  for (const auto& [link, value] : links) {
    if (path != link && !path.starts_with(link + "/")) continue;
    std::string real = value.value("target", "") + path.substr(link.size());
    PHX_ASSIGN_OR_RETURN(const auto there, world.ReadFile(real));
    if (there) return real;
  }
  return path;
}

absl::StatusOr<bool> KnowsNewerIn(kit::World& world) {
  PHX_ASSIGN_OR_RETURN(const auto older, world.Get("nfs.utils", "2.6.2"));
  return !older.has_value();
}

// The files in exportfs's order.
absl::StatusOr<std::vector<std::string>> ExportsFiles(kit::World& world) {
  std::vector<std::string> names = {"/etc/exports"};
  const std::string directory = std::string(kExportsDirectory) + "/";
  PHX_ASSIGN_OR_RETURN(auto below, world.FilesBelow(kExportsDirectory));
  for (const auto& path : InReadingOrder(std::move(below))) {
    const std::string name = path.substr(directory.size());
    if (!name.starts_with('.') && name.ends_with(".exports") && name.find('/') == std::string::npos) {
      names.push_back(path);
    }
  }
  return names;
}

bool Resolves(const std::string& client) {
  const auto parsed = ParseClient(client);
  return !parsed.ok() || parsed->kind != Client::Kind::kHost || !parsed->text.ends_with(".invalid");
}

absl::Status CheckInstalled(kit::World& world) {
  PHX_ASSIGN_OR_RETURN(const bool installed, node::IsInstalled(world, "nfs-kernel-server"));
  return installed ? absl::OkStatus() : NotFound("/usr/sbin/exportfs: No such file or directory");
}

struct Reading {
  std::map<std::string, nlohmann::json> table;
  std::string complaints;
};

absl::StatusOr<Reading> ReadAll(kit::World& world) {
  Reading reading;
  const auto complain = [&](std::string text) {
    reading.complaints += (reading.complaints.empty() ? "" : "; ") + text;
  };
  PHX_ASSIGN_OR_RETURN(const bool knows_newer, KnowsNewerIn(world));
  PHX_ASSIGN_OR_RETURN(const auto names, ExportsFiles(world));
  for (const auto& name : names) {
    PHX_ASSIGN_OR_RETURN(const auto file, world.ReadFile(name));
    if (!file || file->directory) continue;
    const ParsedExports parsed = ParseExportsFile(file->state.content, knows_newer);
    for (const auto& problem : parsed.problems)
      complain(fmt::format("{}:{}: {}", name, problem.line, problem.text));
    for (const ForeignExport& entry : parsed.entries) {
      // A bad line takes every later line of its file with it.
      if (entry.dropped) continue;
      if (!Resolves(entry.client)) {
        complain("Failed to resolve " + entry.client);
        continue;
      }
      PHX_ASSIGN_OR_RETURN(const std::string real, ResolveIn(world, entry.path));
      const bool is_new = reading.table
                              .emplace(TableName(real, entry.client),
                                       nlohmann::json{{"path", real},
                                                      {"client", entry.client},
                                                      {"options", TableText(Meaning(entry.options))}})
                              .second;
      if (!is_new) complain(fmt::format("duplicated export entries: {}:{}", entry.client, real));
      // A path that is not there is complained about, and exported.
      PHX_ASSIGN_OR_RETURN(const PathState path, LookIn(world, real));
      if (!path.directory) complain(fmt::format("Failed to stat {}: No such file or directory", real));
    }
  }
  return reading;
}

}  // namespace

absl::Status NfsSim::MakeOwnFile() {
  std::optional<std::string> fault;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(fault, world.TakeFault("nfs.make-file"));
    return absl::OkStatus();
  }));
  if (fault == "fail") return Internal("{}: planned fault", kOwnFile);
  if (fault == "nothing") return absl::OkStatus();
  PHX_RETURN_IF_ERROR(ExportsHost::MakeOwnFile());
  return fault == "lie" ? Internal("{}: planned fault, though it is there", kOwnFile) : absl::OkStatus();
}

absl::Status NfsSim::SetEntry(const EntryChange& change, const ChildObserver& on_child) {
  std::optional<std::string> fault;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(fault, world.TakeFault("nfs.set-export:" + change.path));
    return absl::OkStatus();
  }));
  if (fault == "fail") return Internal("{}: planned fault", change.path);
  if (fault == "nothing") return absl::OkStatus();
  PHX_RETURN_IF_ERROR(ExportsHost::SetEntry(change, on_child));
  return fault == "lie" ? Internal("{}: planned fault, though it is done", change.path) : absl::OkStatus();
}

std::map<std::string, std::string> NfsSim::ToolVersions() { return {{"exportfs", "simulated"}}; }

absl::StatusOr<std::string> NfsSim::Reexport(const ChildObserver& on_child) {
  if (on_child) PHX_RETURN_IF_ERROR(on_child({::getpid(), 0, "simulated"}));
  std::string complaints;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_RETURN_IF_ERROR(CheckInstalled(world));
    PHX_ASSIGN_OR_RETURN(const auto fault, world.TakeFault("nfs.exportfs"));
    if (fault == "fail" || fault == "lie") complaints = "planned fault";
    if (fault == "fail" || fault == "nothing") return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(const Reading reading, ReadAll(world));
    if (complaints.empty()) complaints = reading.complaints;
    PHX_ASSIGN_OR_RETURN(const auto former, world.List(kTableKind));
    for (const auto& [name, entry] : former) {
      if (reading.table.count(name) == 0) PHX_RETURN_IF_ERROR(world.Delete(kTableKind, name));
    }
    for (const auto& [name, entry] : reading.table) PHX_RETURN_IF_ERROR(world.Put(kTableKind, name, entry));
    return absl::OkStatus();
  }));
  return complaints;
}

absl::Status NfsSim::ExportByHand(const LiveExport& live, const ChildObserver& on_child) {
  if (on_child) PHX_RETURN_IF_ERROR(on_child({::getpid(), 0, "simulated"}));
  return machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_RETURN_IF_ERROR(CheckInstalled(world));
    return world.Put(
        kTableKind, TableName(live.path, live.client),
        {{"path", live.path}, {"client", live.client}, {"options", TableText(Meaning(live.options))}});
  });
}

absl::Status NfsSim::UnexportByHand(const LiveExport& live, const ChildObserver& on_child) {
  if (on_child) PHX_RETURN_IF_ERROR(on_child({::getpid(), 0, "simulated"}));
  return machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_RETURN_IF_ERROR(CheckInstalled(world));
    return world.Delete(kTableKind, TableName(live.path, live.client));
  });
}

absl::Status NfsSim::FlushKernel(const ChildObserver& on_child) {
  if (on_child) PHX_RETURN_IF_ERROR(on_child({::getpid(), 0, "simulated"}));
  std::optional<std::string> fault;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(fault, world.TakeFault("nfs.flush"));
    return absl::OkStatus();
  }));
  if (fault == "nothing") return absl::OkStatus();
  return files().Remove("/proc/fs/nfsd/exports");
}

absl::StatusOr<std::string> NfsSim::ReadTable() {
  std::string text;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto entries, world.List(kTableKind));
    for (const auto& [name, entry] : entries) {
      std::string path = QuotePath(entry.value("path", ""));
      path = path.substr(1, path.size() - 2);  // the table has no quotes
      text += fmt::format("{}\t{}({})\n", path, entry.value("client", ""), entry.value("options", ""));
    }
    return absl::OkStatus();
  }));
  return text;
}

absl::StatusOr<PathState> NfsSim::LookAt(const std::string& path) {
  PathState state;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(state, LookIn(world, path));
    return absl::OkStatus();
  }));
  return state;
}

std::string NfsSim::Resolve(const std::string& path) {
  std::string real = path;
  const absl::Status looked = machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(real, ResolveIn(world, path));
    return absl::OkStatus();
  });
  return looked.ok() ? real : path;
}

absl::StatusOr<bool> NfsSim::KnowsNewerOptions() {
  bool knows = true;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(knows, KnowsNewerIn(world));
    return absl::OkStatus();
  }));
  return knows;
}

absl::StatusOr<std::vector<std::string>> NfsProbeSim::OwnAddresses() {
  std::vector<std::string> addresses = {"127.0.0.1"};
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto more, world.List("nfs.address"));
    for (const auto& [address, value] : more) addresses.push_back(address);
    return absl::OkStatus();
  }));
  return addresses;
}

absl::StatusOr<MountFinding> NfsProbeSim::Mount(const std::string& server, int port,
                                                const std::string& path) {
  const kit::SimFiles files(machine_);
  NfsState conf;
  PHX_RETURN_IF_ERROR(ReadServerSettings(files, conf));
  if (port != conf.listening.port || !ListensOn(conf.listening.hosts, server))
    return Unavailable("NFSv4 mount of {}:{} failed: connection refused at port {}", server, path, port);
  MountFinding finding{"4", false};
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto fault, world.TakeFault("nfs.mount:" + path));
    if (fault) return Unavailable("NFSv4 mount of {}:{} failed: planned fault", server, path);
    PHX_ASSIGN_OR_RETURN(const PathState state, LookIn(world, path));
    PHX_ASSIGN_OR_RETURN(const auto entries, world.List(kTableKind));
    // Hosts come before networks, and those before everyone.
    std::optional<Client::Kind> kind;
    ExportOptions options;
    for (const auto& [name, entry] : entries) {
      if (entry.value("path", "") != path) continue;
      const auto client = ParseClient(entry.value("client", ""));
      if (!client.ok() || !Contains(*client, server) || (kind && *kind <= client->kind)) continue;
      kind = client->kind;
      options = Meaning(SplitOptions(entry.value("options", "")));
    }
    // Not mounted, or not there: the server knows no such export.
    const bool mounted = !options.mount_point ||
                         state.mount_point == (options.mount_point->empty() ? path : *options.mount_point);
    if (!kind || !state.directory || !mounted)
      return Unavailable("NFSv4 mount of {}:{} failed: NFS4ERR_NOENT", server, path);
    finding.writable = !options.flags.read_only && !options.flags.root_squash && !options.flags.all_squash;
    return absl::OkStatus();
  }));
  return finding;
}

}  // namespace phoenix::nfs
