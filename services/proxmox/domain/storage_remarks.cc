#include "services/proxmox/domain/storage_remarks.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/kit/plan/keys.h"
#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

// The longest mount at or above the path; "/" is not told.
std::string MountAbove(const ProxmoxState& state, const std::string& path) {
  std::string best;
  for (const Mount& mount : state.mounts) {
    if (mount.path == "/" || mount.path.size() <= best.size()) continue;
    if (kit::Satisfies("path:" + mount.path, "path:" + path)) best = mount.path;
  }
  return best;
}

bool IsLoopback(const Definition& definition, const ProxmoxState& state) {
  return definition.type == kNfs && IsThisNode(OptionOf(definition, "server"), state);
}

class Remarks {
 public:
  explicit Remarks(const std::string& id) : id_(id) {}
  void Warn(std::string text) { notes_.push_back({true, "storage:" + id_, std::move(text)}); }
  std::vector<kit::Note> Take() { return std::move(notes_); }

 private:
  const std::string& id_;
  std::vector<kit::Note> notes_;
};

}  // namespace

bool HasMount(const ProxmoxState& state, std::string_view path) {
  return std::any_of(state.mounts.begin(), state.mounts.end(),
                     [&](const Mount& m) { return m.path == path; });
}

std::string MountOfDataset(const ProxmoxState& state, std::string_view dataset) {
  for (const Mount& mount : state.mounts) {
    if (mount.type == "zfs" && mount.source == dataset) return mount.path;
  }
  return "";
}

bool IsThisNode(const std::string& server, const ProxmoxState& state) {
  const std::string name = LowerCase(server);
  return name == "localhost" || name == "::1" || name.starts_with("127.") || name == LowerCase(state.node) ||
         state.addresses.count(name) != 0;
}

std::string OptionOf(const Definition& definition, std::string_view name) {
  const auto found = definition.options.find(name);
  return found == definition.options.end() ? std::string() : found->second;
}

std::string NotedMountPoint(const Definition& zfspool) {
  const std::string noted = OptionOf(zfspool, "mountpoint");
  return noted.empty() ? "/" + OptionOf(zfspool, "pool") : noted;
}

bool LosesWritesOfGuests(const Definition& definition, const ProxmoxState& state) {
  if (!IsLoopback(definition, state)) return false;
  bool soft = false;  // the last word counts
  for (const std::string& option : SplitList(OptionOf(definition, "options"))) {
    if (option == "soft" || option == "softerr") soft = true;
    if (option == "hard") soft = false;
  }
  const Words content = definition.content.value_or(FindType(kNfs)->default_content);
  return soft && (content.count("images") != 0 || content.count("rootdir") != 0);
}

std::vector<kit::Note> RemarksOnNew(const StorageSpec& spec, const Definition& wanted,
                                    const ProxmoxState& state) {
  Remarks remarks(spec.id);
  const std::string path = PathOf(spec.id, wanted);
  const std::string mount = MountPointOf(wanted);
  if (spec.type == kDir && mount.empty()) {
    remarks.Warn(
        fmt::format("is_mountpoint is off: whenever nothing is mounted at {}, Proxmox VE writes to the file "
                    "system below it",
                    path));
  }
  if (spec.type == kDir && mount == path && state.folders.count(path) != 0 && !HasMount(state, path)) {
    const std::string above = MountAbove(state, path);
    remarks.Warn(
        fmt::format("{} is a folder but no mount point yet; unless a dataset is mounted there, declare "
                    "is_mountpoint {} (proxmox_storage_options)",
                    path, above.empty() ? "0" : above));
  }
  if (IsLoopback(wanted, state)) {
    remarks.Warn(
        "mounts an export of this very node through NFS; a dir or zfspool entry on the dataset is faster and "
        "cannot hang");
  }
  return remarks.Take();
}

std::vector<kit::Note> RemarksOnFound(const StorageSpec& spec, const StorageEntry& entry,
                                      const Definition& compared, PasswordState password,
                                      const ProxmoxState& state) {
  Remarks remarks(spec.id);
  const Definition found = DefinitionOf(entry);
  const bool is_shared = OptionOf(found, "shared") == "1";
  if (entry.disabled) remarks.Warn("is switched off (disable); Phoenix leaves that as it is");
  if (entry.nodes.empty() && !state.cluster.empty() &&
      (entry.type == kZfspool || (entry.type == kDir && !is_shared))) {
    remarks.Warn(fmt::format(
        "belongs to all nodes of cluster {}, though it is of this node only: on the others it is inactive, "
        "or "
        "its folders are made on their root disks. Restrict it to the nodes that have it: `pvesm set {} "
        "--nodes {}`",
        state.cluster, spec.id, state.node));
  }
  if (entry.type == kDir && entry.options.count("is_mountpoint") == 0 &&
      compared.options.count("is_mountpoint") == 0) {
    remarks.Warn(
        "has no is_mountpoint: whenever its dataset is not mounted, Proxmox VE writes to the file system "
        "below; declare is_mountpoint 1 (proxmox_storage_options) to change that");
  }
  if (password == PasswordState::kMissing || password == PasswordState::kOther) {
    remarks.Warn(
        fmt::format("{}; Phoenix does not change the password of an entry that is there: `pvesm set {} "
                    "--username {} --password` asks for it",
                    password == PasswordState::kMissing
                        ? "has no password, so that its share is mounted as a guest"
                        : fmt::format("has another password than the secret '{}'", spec.password_secret),
                    spec.id, OptionOf(compared, "username")));
  }
  if (entry.type == kDir && is_shared && spec.options.count("shared") == 0) {
    remarks.Warn(
        "is marked shared although its files are on this node only; declare shared 0 "
        "(proxmox_storage_options) to change that");
  }
  if (LosesWritesOfGuests(After(&entry, compared), state)) {
    remarks.Warn(
        "mounts an export of this very node softly, and so loses writes of guests' disks: declare options "
        "without soft (proxmox_storage_options), which count from its next mount on, or better move the "
        "disks "
        "to a zfspool entry on the dataset");
  }
  if (entry.type == kZfspool && compared.options.count("mountpoint") == 0) {
    const std::string pool = OptionOf(found, "pool");
    const std::string now = MountOfDataset(state, pool);
    if (!now.empty() && now != NotedMountPoint(found)) {
      remarks.Warn(fmt::format(
          "notes the mount point {}, but {} is mounted at {}, so that containers on it do not "
          "start; declare mountpoint {} (proxmox_storage_options) to change that, or `pvesm set {} "
          "--mountpoint {}`",
          NotedMountPoint(found), pool, now, now, spec.id, now));
    }
  }
  return remarks.Take();
}

}  // namespace phoenix::proxmox
