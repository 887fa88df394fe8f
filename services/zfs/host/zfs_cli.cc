#include "services/zfs/host/zfs_cli.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <set>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/host/zfs_command.h"
#include "services/zfs/host/zfs_disks.h"
#include "services/zfs/host/zfs_files.h"
#include "services/zfs/host/zfs_inode.h"

namespace phoenix::zfs {
namespace {

constexpr char kById[] = "/dev/disk/by-id";

// What a listing printed; nothing where it says that there is nothing. Anything else that goes wrong stays an
// error: an unreadable pool must not look like an absent one.
absl::StatusOr<std::string> Listing(const Command& command, const absl::StatusOr<CommandResult>& result) {
  if (!result.ok()) return result.status();
  if (result->exit_code == 0) return result->out;
  const std::string said = result->err + result->out;
  if (said.find("no pools available") != std::string::npos ||
      said.find("no datasets available") != std::string::npos) {
    return std::string();
  }
  // Nothing said is nothing missing: a tool that was killed says nothing either.
  const auto missing = ParseMissing(result->err);
  if (missing && !missing->empty()) return result->out;
  return ExitStatus(command, *result);
}

template <class Entry, class Lookup>
absl::StatusOr<std::optional<uint32_t>> LookUp(const std::string& name, Lookup lookup, uint32_t Entry::* id) {
  Entry entry{};
  Entry* found = nullptr;
  std::vector<char> buffer(65536);
  const int error = lookup(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  // These say "not there" in many ways; only what is certainly trouble is an error.
  if (found == nullptr && (error == EIO || error == EMFILE || error == ENFILE || error == ENOMEM)) {
    return ErrnoStatus(error, "look up " + name);
  }
  return found == nullptr ? std::nullopt : std::optional<uint32_t>(found->*id);
}

// What the rollback's program found that is not ours, without the stack that `zfs program` prints with it; ""
// for nothing.
std::string ForeignIn(const std::string& err) {
  for (const std::string_view said : {kForeignWrites, kForeignSnapshot}) {
    const size_t begin = err.find(said);
    if (begin != std::string::npos) return err.substr(begin, err.find('\n', begin) - begin);
  }
  return "";
}

// The volume that OpenProgram found open; "" for none.
std::string OpenIn(const std::string& err) {
  const size_t said = err.find(kIsOpen);
  if (said == std::string::npos) return "";
  const size_t begin = said + kIsOpen.size();
  return err.substr(begin, err.find('\n', begin) - begin);
}

// "" where nobody has the number; a name is a convenience here, so that trouble counts as none.
template <class Entry, class Lookup>
std::string NameOf(uint32_t number, Lookup lookup, char* Entry::* name) {
  Entry entry{};
  Entry* found = nullptr;
  std::vector<char> buffer(65536);
  (void)lookup(number, &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? "" : found->*name;
}

}  // namespace

ZfsCli::Results ZfsCli::RunAll(const std::vector<Command>& commands, size_t most,
                               std::vector<ChildIdentity>* children) {
  Results results(commands.size(), Internal("not run"));
  if (children != nullptr) children->assign(commands.size(), ChildIdentity());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < commands.size(); i = next++) {
      ChildObserver observer;
      if (children != nullptr) {
        observer = [child = &(*children)[i]](const ChildIdentity& identity) {
          *child = identity;
          return absl::OkStatus();
        };
      }
      results[i] = runner_.Run(commands[i], observer);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(most, commands.size()); ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  return results;
}

std::map<std::string, std::string> ZfsCli::Versions() {
  const auto result = runner_.Run(ShowVersion());
  return {{"zfs", result.ok() && result->exit_code == 0 ? ParseVersion(result->out) : ""}};
}

absl::StatusOr<std::string> ZfsCli::ReadText(const std::string& path) {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(path));
  return file ? file->content : "";
}

absl::StatusOr<std::vector<Mount>> ZfsCli::Mounts() {
  PHX_ASSIGN_OR_RETURN(const std::string text, ReadText("/proc/1/mountinfo"));
  if (text.empty()) return Internal("/proc/1/mountinfo cannot be read");
  return ParseMounts(text);
}

absl::StatusOr<ZfsState> ZfsCli::Observe(const ObserveRequest& request) {
  // Two commands tell of one tree, which may change in between.
  constexpr int kTries = 5;
  for (int tries = 1;; ++tries) {
    auto state = Look(request);
    if (state.ok() || !request.vdev_names || !absl::IsUnavailable(state.status()) || tries == kTries)
      return state;
  }
}

absl::StatusOr<ZfsState> ZfsCli::Look(const ObserveRequest& request) {
  const bool all_health = request.health.size() == 1 && request.health[0] == "*";
  const bool pools = request.pools || !request.disks.empty() || all_health;
  const bool datasets = request.all_datasets || !request.datasets.empty();
  std::vector<Command> commands;
  std::optional<size_t> pool_list, pool_status, pool_guids, devices_list, dataset_list, snapshot_list;
  const auto add = [&](Command command) {
    if (request.limit_seconds != 0) {
      command.limit = std::chrono::seconds(request.limit_seconds);
      // Waiting for the end of one that waits inside of the kernel would hang, too.
      command.kill_at_limit = false;
    }
    commands.push_back(std::move(command));
    return commands.size() - 1;
  };
  if (pools) {
    pool_list = add(ListPoolProperties());
    pool_status = add(ShowPoolStatus());
    if (request.vdev_names) pool_guids = add(ShowVdevGuids());
    devices_list = add(ListBlockDevices());
  }
  const std::vector<std::string> named = request.all_datasets ? std::vector<std::string>() : request.datasets;
  if (datasets) dataset_list = add(ListProperties(named, request.recursive));
  if (request.snapshots) snapshot_list = add(ListSnapshots(request.datasets));
  Results results;
  if (request.limit_seconds == 0) {
    results = RunAll(commands);
  } else {
    PHX_ASSIGN_OR_RETURN(results, RunForOverview(commands));
  }
  const auto listing = [&](size_t index) { return Listing(commands[index], results[index]); };

  ZfsState state;
  std::vector<BlockDevice> devices;
  if (pools) {
    PHX_ASSIGN_OR_RETURN(const std::string list, listing(*pool_list));
    PHX_ASSIGN_OR_RETURN(state.pools, ParsePools(list));
    PHX_ASSIGN_OR_RETURN(const std::string status, listing(*pool_status));
    std::string guids;
    if (pool_guids) {
      PHX_ASSIGN_OR_RETURN(guids, listing(*pool_guids));
    }
    PHX_ASSIGN_OR_RETURN(auto layouts, ParseStatus(status, guids));
    PHX_ASSIGN_OR_RETURN(const std::string blocks, listing(*devices_list));
    PHX_ASSIGN_OR_RETURN(devices, ParseBlockDevices(blocks));
    auto healths = ParsePoolHealth(status);
    for (auto& [name, pool] : state.pools) {
      pool.data_errors = healths[name].data_errors;
      pool.scans = std::move(healths[name].scans);
      pool.layout = layouts[name].vdevs;
      for (auto& group : pool.layout) {
        for (auto& member : group.disks) member = DiskOfMember(devices, member);
      }
      for (auto& [disk, member] : layouts[name].members) {
        if (!member.replaces.empty()) member.replaces = DiskOfMember(devices, member.replaces);
        const auto parts = DevicesOf(devices, DiskOfMember(devices, disk));
        if (!parts.empty()) member.size_bytes = parts[0]->size_bytes;
        if (HasOtherPartitions(parts) || (parts.empty() && IsOwnPartition(disk))) member.partition = disk;
        pool.members[DiskOfMember(devices, disk)] = std::move(member);
      }
    }
  }
  if (datasets) {
    PHX_ASSIGN_OR_RETURN(const std::string list, listing(*dataset_list));
    PHX_ASSIGN_OR_RETURN(state.datasets, ParseDatasets(list));
    PHX_ASSIGN_OR_RETURN(state.version, ReadText(kModuleVersion));
    while (state.version.ends_with('\n')) state.version.pop_back();
  }
  if (request.snapshots) {
    PHX_ASSIGN_OR_RETURN(const std::string list, listing(*snapshot_list));
    PHX_ASSIGN_OR_RETURN(state.snapshots, ParseSnapshots(list));
    if (request.holds) PHX_RETURN_IF_ERROR(AddHolds(state));
  }
  for (const auto& snapshot : request.written_since) PHX_RETURN_IF_ERROR(AddWritten(snapshot, state));
  const bool look_for_exported =
      std::any_of(request.wanted_pools.begin(), request.wanted_pools.end(),
                  [&](const std::string& wanted) { return state.pools.count(wanted) == 0; });
  if (request.links) {
    PHX_ASSIGN_OR_RETURN(state.links, Links());
  }
  if (!request.health.empty()) PHX_RETURN_IF_ERROR(AddHealth(request, devices, state));
  if (pools) PHX_RETURN_IF_ERROR(AddDisks(request, devices, look_for_exported, state));
  if (datasets || request.arc || request.mount_points || !request.paths.empty()) {
    PHX_ASSIGN_OR_RETURN(const auto mounts, Mounts());
    PHX_RETURN_IF_ERROR(AddMounts(request, mounts, state));
    PHX_RETURN_IF_ERROR(AddFiles(request, mounts, state));
    if (request.arc) PHX_RETURN_IF_ERROR(AddArc(mounts, state));
  }
  for (const auto& mount : request.first_files) {
    PHX_ASSIGN_OR_RETURN(const auto first, FirstFileBelow(mount, [&](const std::string& path) {
                           return request.ours.count(mount + "/" + path) != 0;
                         }));
    if (first) state.first_files.emplace(mount, *first);
  }
  PHX_RETURN_IF_ERROR(AddNames(request, state));
  PHX_RETURN_IF_ERROR(TryKeys(request, state));
  return state;
}

absl::Status ZfsCli::AddWritten(const std::string& snapshot, ZfsState& state) {
  const Command command = ReadWrittenSince(snapshot);
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(command));
  PHX_ASSIGN_OR_RETURN(std::string value, Listing(command, result));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  // "-" where there is no such snapshot.
  if (value.empty() || value == "-") return absl::OkStatus();
  if (value.find_first_not_of("0123456789") != std::string::npos)
    return Internal("`{}` printed '{}', which is no number", phoenix::ToText(command), value);
  state.written_since[snapshot] = std::strtoull(value.c_str(), nullptr, 10);
  return absl::OkStatus();
}

// A passphrase takes a while on purpose: several at once.
absl::Status ZfsCli::TryKeys(const ObserveRequest& request, ZfsState& state) {
  std::vector<Command> commands;
  for (const auto& [root, key] : request.keys) commands.push_back(TryKey(root, key));
  const auto results = RunAll(commands);
  size_t index = 0;
  for (const auto& [root, key] : request.keys) {
    const Command& command = commands[index];
    const auto& result = results[index++];
    if (!result.ok()) return result.status();
    const bool wrong = result->err.find(kWrongKey) != std::string::npos;
    if (!wrong) PHX_RETURN_IF_ERROR(ExitStatus(command, *result));
    state.keys_fit[root] = !wrong;
  }
  return absl::OkStatus();
}

absl::Status ZfsCli::AddHolds(ZfsState& state) {
  std::vector<std::string> held;
  for (const auto& [name, snapshot] : state.snapshots) {
    if (snapshot.holds != 0) held.push_back(name);
  }
  if (held.empty()) return absl::OkStatus();
  const Command command = ListHolds(held);
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(command));
  PHX_ASSIGN_OR_RETURN(const std::string list, Listing(command, result));
  PHX_ASSIGN_OR_RETURN(const auto tags, ParseHolds(list));
  for (const auto& [name, of_snapshot] : tags) {
    const auto snapshot = state.snapshots.find(name);
    if (snapshot != state.snapshots.end()) snapshot->second.tags = of_snapshot;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::string, std::less<>>> ZfsCli::Links() {
  PHX_ASSIGN_OR_RETURN(const auto names, files_.List(kById));
  std::vector<std::pair<std::string, std::string>> links;
  for (const auto& name : names) {
    const std::string link = fmt::format("{}/{}", kById, name);
    PHX_ASSIGN_OR_RETURN(const auto device, ResolveLink(link));
    if (device) links.emplace_back(link, *device);
  }
  return BestLinks(links);
}

absl::Status ZfsCli::AddMounts(const ObserveRequest& request, const std::vector<Mount>& mounts,
                               ZfsState& state) {
  for (const auto& mount : mounts) {
    if (request.mount_points) state.mount_points.insert(mount.path);
    if (mount.file_system != "zfs") continue;
    const auto dataset = state.datasets.find(mount.source);
    if (dataset == state.datasets.end()) continue;
    // Mounted twice: where its property says counts.
    if (!dataset->second.mounted_at.empty() && dataset->second.Value("mountpoint") != mount.path) continue;
    dataset->second.mounted_at = mount.path;
    PHX_ASSIGN_OR_RETURN(dataset->second.root, files_.ReadDirectory(mount.path));
    if (dataset->second.root) {
      PHX_ASSIGN_OR_RETURN(dataset->second.acl, ReadAcl(mount.path));
    }
  }
  for (const auto& path : request.paths) {
    PathState seen;
    PHX_ASSIGN_OR_RETURN(seen.directory, files_.ReadDirectory(path));
    if (seen.directory) {
      PHX_ASSIGN_OR_RETURN(seen.entries, files_.List(path));
    }
    seen.mount_point =
        std::any_of(mounts.begin(), mounts.end(), [&](const Mount& mount) { return mount.path == path; });
    state.paths[path] = std::move(seen);
  }
  return absl::OkStatus();
}

absl::Status ZfsCli::AddDisks(const ObserveRequest& request, const std::vector<BlockDevice>& devices,
                              bool look_for_exported, ZfsState& state) {
  std::vector<std::string> paths = request.disks;
  if (paths.size() == 1 && paths[0] == "*") {
    paths.clear();
    PHX_ASSIGN_OR_RETURN(const auto links, Links());
    for (const auto& [device, path] : links) paths.push_back(path);
  }
  std::map<std::string, std::vector<const BlockDevice*>> to_probe;  // by path
  for (const auto& path : paths) {
    PHX_ASSIGN_OR_RETURN(const auto device, ResolveLink(path));
    if (!device) continue;
    const auto parts = DevicesOf(devices, *device);
    if (parts.empty() || parts[0]->type != "disk") continue;
    DiskState disk{
        .path = path, .device_path = *device, .serial = parts[0]->serial, .size_bytes = parts[0]->size_bytes};
    for (const auto& [name, pool] : state.pools) {
      if (pool.members.count(disk.device_path) != 0 || pool.members.count(path) != 0) disk.member_of = name;
    }
    disk.in_use = UseOf(parts);
    if (!disk.in_use.empty()) {
      // Refused anyway, and its ends are somebody's file system: it is not probed.
      disk.findings.push_back({disk.device_path, disk.in_use});
    } else if (disk.member_of.empty()) {
      to_probe[path] = parts;
    }
    state.disks[path] = std::move(disk);
  }
  std::vector<std::string> signed_devices, labelled_devices;
  std::map<std::string, std::optional<uint64_t>> first_bytes;
  for (const auto& [path, parts] : to_probe) {
    const DiskState& disk = state.disks[path];
    PHX_ASSIGN_OR_RETURN(first_bytes[path],
                         FirstByteAtEdges(disk.device_path, disk.size_bytes, kDiskEdgeBytes));
    for (const BlockDevice* part : parts) {
      if (part->type != "disk" && part->type != "part") continue;
      signed_devices.push_back(part->path);
      // ZFS keeps its labels in the first and last 512 KiB of a device: where a whole disk has zeroes there,
      // none is to be read, and zdb is by far the slowest of the probes.
      if (first_bytes[path] || parts.size() > 1) labelled_devices.push_back(part->path);
    }
  }
  return Probe(to_probe, first_bytes, signed_devices, labelled_devices, look_for_exported, state);
}

absl::Status ZfsCli::Probe(const std::map<std::string, std::vector<const BlockDevice*>>& disks,
                           const std::map<std::string, std::optional<uint64_t>>& first_bytes,
                           const std::vector<std::string>& signed_devices,
                           const std::vector<std::string>& labelled_devices, bool look_for_exported,
                           ZfsState& state) {
  std::vector<Command> commands;
  for (const auto& device : labelled_devices) commands.push_back(ReadLabel(device));
  for (const auto& device : signed_devices) commands.push_back(ProbeDevice(device));
  if (!signed_devices.empty()) commands.push_back(ListSignatures(signed_devices));
  if (look_for_exported || !signed_devices.empty()) commands.push_back(ListExportedPools());
  if (commands.empty()) return absl::OkStatus();
  const auto results = RunAll(commands);

  DiskProbes probes;
  size_t index = 0;
  for (const auto& device : labelled_devices) {
    const auto& result = results[index++];
    if (!result.ok()) return Annotate(result.status(), device);
    if (const auto label = ParseLabel(result->out)) probes.labels[device] = *label;
  }
  for (const auto& device : signed_devices) {
    const Command& command = commands[index];
    const auto& result = results[index++];
    if (!result.ok()) return Annotate(result.status(), device);
    // 2: nothing found; 8: more than one thing found.
    if (result->exit_code == 0) probes.low_level[device] = ParseProbe(result->out);
    if (result->exit_code == 8) probes.low_level[device] = {{"AMBIVALENT", "1"}};
    if (result->exit_code != 0 && result->exit_code != 2 && result->exit_code != 8)
      return ExitStatus(command, *result);
  }
  if (!signed_devices.empty()) {
    const Command& command = commands[index];
    const auto& result = results[index++];
    if (!result.ok()) return result.status();
    PHX_RETURN_IF_ERROR(ExitStatus(command, *result));
    PHX_ASSIGN_OR_RETURN(probes.signatures, ParseSignatures(result->out));
  }
  PHX_ASSIGN_OR_RETURN(const std::string import, Listing(commands.back(), results.back()));
  PHX_ASSIGN_OR_RETURN(state.exported, ParseImport(import));
  for (const auto& [path, parts] : disks) {
    DiskState& disk = state.disks[path];
    probes.first_byte = first_bytes.at(path);
    disk.findings = Findings(parts, probes);
    AddExported(parts, path, state.exported, disk.findings);
  }
  return absl::OkStatus();
}

absl::Status ZfsCli::AddNames(const ObserveRequest& request, ZfsState& state) {
  for (const auto& name : request.users) {
    PHX_ASSIGN_OR_RETURN(const auto id, LookUp<passwd>(name, ::getpwnam_r, &passwd::pw_uid));
    if (id) state.users[name] = *id;
  }
  for (const auto& name : request.groups) {
    PHX_ASSIGN_OR_RETURN(const auto id, LookUp<group>(name, ::getgrnam_r, &group::gr_gid));
    if (id) state.groups[name] = *id;
  }
  if (!request.owners) return absl::OkStatus();
  for (auto& [name, dataset] : state.datasets) {
    if (!dataset.root) continue;
    dataset.owner = NameOf<passwd>(dataset.root->uid, ::getpwuid_r, &passwd::pw_name);
    dataset.group = NameOf<group>(dataset.root->gid, ::getgrgid_r, &group::gr_name);
  }
  return absl::OkStatus();
}

absl::Status ZfsCli::Change(const ZfsChange& change, const ChildObserver& on_child) {
  if (const auto* root = std::get_if<SetMountRoot>(&change)) {
    PHX_ASSIGN_OR_RETURN(const auto mounts, Mounts());
    // The last mount at a path is the one that is seen there.
    const auto mount = std::find_if(mounts.rbegin(), mounts.rend(),
                                    [&](const Mount& one) { return one.path == root->mountpoint; });
    if (mount == mounts.rend() || mount->source != root->name) {
      return FailedPrecondition("{} is not mounted at {}", root->name, root->mountpoint);
    }
    return SetRootInode(root->mountpoint, mount->device, root->root, root->acl);
  }
  if (const auto* proof = std::get_if<ProveDelivered>(&change)) {
    return Privately(proof->name, on_child,
                     [&](const std::string& root) { return ProveOnly(root, proof->files); });
  }
  if (const auto* arc = std::get_if<SetArcLive>(&change))
    return WriteParameter(arc->minimum ? kArcMinParameter : kArcParameter, arc->bytes);
  if (const auto* put = std::get_if<PutFile>(&change)) {
    return put->file ? files_.Replace(put->path, *put->file) : files_.Remove(put->path);
  }
  if (const auto* made = std::get_if<MakeDirectory>(&change))
    return files_.MakeDirectory(made->path, made->directory);
  if (const auto* removed = std::get_if<RemoveDirectory>(&change))
    return files_.RemoveDirectory(removed->path);

  if (const auto* tree = std::get_if<SetTreeOwner>(&change)) {
    return Privately(tree->name, on_child,
                     [&](const std::string& path) { return ChangeTree(path, tree->wish).status(); });
  }
  if (const auto* delivery = std::get_if<DeliverFiles>(&change)) {
    return Privately(delivery->name, on_child, [&](const std::string& root) -> absl::Status {
      for (const auto& [path, file] : delivery->files) PHX_RETURN_IF_ERROR(DeliverFile(root, path, file));
      return absl::OkStatus();
    });
  }

  for (const Command& command : CommandsFor(change)) {
    PHX_ASSIGN_OR_RETURN(CommandResult result, runner_.Run(command, on_child));
    if (const std::string foreign = ForeignIn(result.err); !foreign.empty()) {
      return WithReason(FailedPrecondition("{}", foreign),
                        {"FOREIGN_CHANGE", {{"object", ObjectOf(change)}}});
    }
    // A label that is half gone cannot be cleared; what follows zeroes its place. udev reads tables again by
    // itself, too, and is in the way of others then. The probe decides.
    const std::string& verb = command.args.empty() ? command.program : command.args[0];
    if (verb == "labelclear" && result.err.find("is a member") != std::string::npos)
      return ExitStatus(command, result);
    // The partitions stay in the kernel as long as anybody has one open, and would be taken for somebody
    // else's then. Volumes are looked at, too.
    const auto is_looked_at = [&] {
      return verb == "--rereadpt" ? !ExitStatus(command, result).ok() : !OpenIn(result.err).empty();
    };
    constexpr int kTries = 10;
    for (int tries = 1; is_looked_at() && tries < kTries; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      PHX_ASSIGN_OR_RETURN(result, runner_.Run(command, on_child));
    }
    if (const std::string open = OpenIn(result.err); !open.empty()) {
      return FailedPrecondition(
          "{} is open: a guest, an iSCSI target or a mount uses it, and would be left with nothing, or write "
          "into what "
          "is to go; end that first",
          open);
    }
    PHX_RETURN_IF_ERROR(RetryWhileRemembered(change, command, result, on_child));
    const bool hint =
        verb == "labelclear" || verb == "--rereadpt" || verb == "settle" || command.input == OpenProgram();
    if (!hint) PHX_RETURN_IF_ERROR(ExitStatus(command, result));
  }
  return absl::OkStatus();
}

}  // namespace phoenix::zfs
