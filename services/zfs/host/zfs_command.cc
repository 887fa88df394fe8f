#include "services/zfs/host/zfs_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

constexpr char kZfs[] = "/usr/sbin/zfs";
constexpr char kZpool[] = "/usr/sbin/zpool";

Command Make(std::string program, std::vector<std::string> args, std::chrono::seconds limit) {
  // A zfs process that hangs waits for disks inside the kernel: killing does not end it, and its work may
  // still be done.
  return Command{
      .program = std::move(program), .args = std::move(args), .limit = limit, .kill_at_limit = false};
}
Command Zfs(std::vector<std::string> args) { return Make(kZfs, std::move(args), std::chrono::seconds(300)); }
Command Zpool(std::vector<std::string> args) {
  return Make(kZpool, std::move(args), std::chrono::seconds(600));
}
Command Tool(std::string program, std::vector<std::string> args) {
  return Command{.program = std::move(program), .args = std::move(args), .limit = std::chrono::seconds(300)};
}

// zfs takes no 0 for "no quota", which is how it prints that.
std::string Assignment(const std::string& name, const std::string& value) {
  const bool none = (name == "quota" || name == "refquota") && SameValue(name, value, "none");
  return name + "=" + (none ? "none" : value);
}

void AddProperties(std::vector<std::string>& args, const char* flag, const PropertyMap& properties) {
  for (const auto& [name, value] : properties) {
    args.push_back(flag);
    args.push_back(Assignment(name, value));
  }
}

// The key itself goes by standard input only.
void AddEncryption(std::vector<std::string>& args, const char* flag, const std::optional<NewKey>& key) {
  if (!key) return;
  AddProperties(args, flag,
                {{"encryption", key->algorithm}, {"keyformat", key->format}, {"keylocation", "prompt"}});
}
Command WithKey(Command command, const std::optional<NewKey>& key) {
  if (key) command.secret_input = KeyInput(key->format, key->key);
  return command;
}

// zpool takes each of log, cache and spare once, and after "mirror" every disk up to the next keyword: plain
// disks come first in their class.
void AddVdevs(std::vector<std::string>& args, const std::vector<VdevGroup>& layout) {
  for (const VdevClass vdev_class : {VdevClass::kData, VdevClass::kSpecial, VdevClass::kDedup,
                                     VdevClass::kLog, VdevClass::kCache, VdevClass::kSpare}) {
    bool begun = vdev_class == VdevClass::kData;
    for (const bool plain : {true, false}) {
      for (const auto& group : layout) {
        if (group.vdev_class != vdev_class || (group.kind == "disk") != plain) continue;
        if (!begun) args.emplace_back(ToString(vdev_class));
        begun = true;
        if (!plain) args.push_back(group.kind);
        args.insert(args.end(), group.disks.begin(), group.disks.end());
      }
    }
  }
}

std::vector<Command> Build(const CreatePool& change) {
  std::vector<std::string> args = {"create"};
  if (change.force) args.push_back("-f");
  AddProperties(args, "-o", change.properties);
  AddProperties(args, "-O", change.root_properties);
  AddEncryption(args, "-O", change.encryption);
  args.push_back(change.name);
  AddVdevs(args, change.layout);
  return {WithKey(Zpool(std::move(args)), change.encryption)};
}
// udev looks at disks that were closed; what is done with them next must not meet it there.
Command Settle() { return Tool("/usr/bin/udevadm", {"settle", "--timeout=30"}); }

// Fails where anybody has open a volume that is the dataset or lies in it. udev looks at volumes that are
// new.
std::vector<Command> IfClosed(const std::string& dataset) {
  Command program = Zfs({"program", dataset.substr(0, dataset.find('/')), "-", dataset});
  program.input = OpenProgram();
  return {Settle(), std::move(program)};
}
std::vector<Command> ClosedThen(const std::string& pool, const char* verb) {
  std::vector<Command> commands = IfClosed(pool);
  commands.push_back(Zpool({verb, pool}));
  commands.push_back(Settle());
  return commands;
}
// Releases of ZFS take a pool from under the volumes in it that are open, or wait for their end.
std::vector<Command> Build(const DestroyPool& change) { return ClosedThen(change.name, "destroy"); }
std::vector<Command> Build(const ImportPool& change) {
  std::vector<std::string> args = {"import"};
  if (change.destroyed) args.insert(args.end(), {"-D", "-f", "-N"});
  args.push_back(std::to_string(change.guid));
  return {Zpool(std::move(args))};
}
std::vector<Command> Build(const ExportPool& change) { return ClosedThen(change.name, "export"); }
std::vector<Command> Build(const SetPoolProperties& change) {
  std::vector<Command> commands;
  for (const auto& [name, value] : change.properties)
    commands.push_back(Zpool({"set", name + "=" + value, change.name}));
  return commands;
}
std::vector<Command> Build(const AddVdev& change) {
  std::vector<std::string> args = {"add"};
  if (!change.ashift.empty()) AddProperties(args, "-o", {{"ashift", change.ashift}});
  args.push_back(change.pool);
  AddVdevs(args, {change.vdev});
  return {Zpool(std::move(args))};
}
std::vector<Command> Build(const RemoveVdev& change) {
  return {Zpool({"remove", change.pool, change.vdev}), Settle()};
}
std::vector<Command> Build(const AttachDisk& change) {
  return {Zpool({"attach", change.pool, change.member, change.disk})};
}
std::vector<Command> Build(const DetachDisk& change) {
  return {Zpool({"detach", change.pool, change.member}), Settle()};
}
std::vector<Command> Build(const ReplaceDisk& change) {
  return {Zpool({"replace", change.pool, change.member, change.disk})};
}
std::vector<Command> Build(const ClearDisk& change) {
  std::vector<Command> commands;
  for (const auto& device : change.labelled) commands.push_back(Zpool({"labelclear", "-f", device}));
  const uint64_t edge = std::min(kDiskEdgeBytes, change.size_bytes);
  commands.push_back(
      Tool("/usr/sbin/blkdiscard", {"-z", "-o", "0", "-l", std::to_string(edge), change.device}));
  commands.push_back(Tool("/usr/sbin/blkdiscard", {"-z", "-o", std::to_string(change.size_bytes - edge), "-l",
                                                   std::to_string(edge), change.device}));
  // udev looks at what was written, and the kernel does not read the table again while anybody looks.
  commands.push_back(Settle());
  commands.push_back(Tool("/usr/sbin/blockdev", {"--rereadpt", change.device}));
  commands.push_back(Settle());
  return commands;
}
std::vector<Command> Build(const CreateDataset& change) {
  std::vector<std::string> args = {"create"};
  if (change.volume_size_bytes != 0) {
    args.push_back("-V");
    args.push_back(std::to_string(change.volume_size_bytes));
  }
  AddProperties(args, "-o", change.properties);
  AddEncryption(args, "-o", change.encryption);
  args.push_back(change.name);
  return {WithKey(Zfs(std::move(args)), change.encryption)};
}
std::vector<Command> Build(const LoadKey& change) {
  Command command = Zfs({"load-key", "-L", "prompt", change.name});
  command.secret_input = KeyInput(change.format, change.key);
  return {std::move(command)};
}
// udev opens volumes to look at them. An open one keeps the key in use, and is not destroyed.
std::vector<Command> Build(const UnloadKey& change) { return {Settle(), Zfs({"unload-key", change.name})}; }
std::vector<Command> Build(const DestroyDataset& change) { return {Settle(), Zfs({"destroy", change.name})}; }
std::vector<Command> Build(const SetProperties& change) {
  std::vector<std::string> args = {"set"};
  for (const auto& [name, value] : change.properties) args.push_back(Assignment(name, value));
  args.push_back(change.name);
  return {Zfs(std::move(args))};
}
std::vector<Command> Build(const InheritProperty& change) {
  if (change.received) return {Zfs({"inherit", "-S", change.property, change.name})};
  return {Zfs({"inherit", change.property, change.name})};
}
std::vector<Command> Build(const RenameDataset& change) {
  std::vector<Command> commands;
  if (change.closed) commands = IfClosed(change.from);
  // zfs takes -u of file systems only.
  std::vector<std::string> args = {"rename", "-u", change.from, change.to};
  if (change.volume) args.erase(args.begin() + 1);
  commands.push_back(Zfs(std::move(args)));
  return commands;
}
std::vector<Command> Build(const MountDataset& change) { return {Zfs({"mount", change.name})}; }
std::vector<Command> Build(const UnmountDataset& change) { return {Zfs({"unmount", change.name})}; }
std::vector<Command> Build(const SetMountRoot&) { return {}; }
std::vector<Command> Build(const SyncPool& change) { return {Zpool({"sync", change.name})}; }
std::vector<Command> Build(const CreateSnapshot& change) {
  std::vector<std::string> args = {"snapshot"};
  AddProperties(args, "-o", change.properties);
  args.push_back(change.name);
  return {Zfs(std::move(args))};
}
std::vector<Command> Build(const CreateSnapshots& change) {
  std::vector<std::string> args = {"snapshot"};
  AddProperties(args, "-o", change.properties);
  args.insert(args.end(), change.names.begin(), change.names.end());
  return {Zfs(std::move(args))};
}
std::vector<Command> Build(const HoldSnapshots& change) {
  std::vector<std::string> args = {"hold", change.tag};
  args.insert(args.end(), change.names.begin(), change.names.end());
  return {Zfs(std::move(args))};
}
std::vector<Command> Build(const ReleaseSnapshots& change) {
  std::vector<std::string> args = {"release", change.tag};
  args.insert(args.end(), change.names.begin(), change.names.end());
  return {Zfs(std::move(args))};
}
std::vector<Command> Build(const DestroySnapshot& change) { return {Zfs({"destroy", change.name})}; }
std::vector<Command> Build(const CloneSnapshot& change) {
  std::vector<std::string> args = {"clone"};
  AddProperties(args, "-o", change.properties);
  args.push_back(change.snapshot);
  args.push_back(change.dataset);
  return {Zfs(std::move(args))};
}
std::vector<Command> Build(const RollbackDataset& change) {
  const std::string pool = change.dataset.substr(0, change.dataset.find('/'));
  Command program =
      Zfs({"program", pool, "-", change.dataset, change.snapshot, std::to_string(change.max_written),
           change.guard.empty() ? change.snapshot : change.guard});
  program.input = RollbackProgram();
  return {Zpool({"sync", pool}), std::move(program)};
}
std::vector<Command> Build(const SetTreeOwner&) { return {}; }
std::vector<Command> Build(const DeliverFiles&) { return {}; }
std::vector<Command> Build(const ProveDelivered&) { return {}; }
std::vector<Command> Build(const RenameSnapshot& change) { return {Zfs({"rename", change.from, change.to})}; }
std::vector<Command> Build(const SetArcLive&) { return {}; }
// Of all kernels: the one that is booted need not be the newest. It writes to the boot partitions, too, so
// that it is not killed.
std::vector<Command> Build(const UpdateInitramfs&) {
  return {Make(kUpdateInitramfs, {"-u", "-k", "all"}, std::chrono::minutes(30))};
}
std::vector<Command> Build(const PutFile&) { return {}; }
std::vector<Command> Build(const MakeDirectory&) { return {}; }
std::vector<Command> Build(const RemoveDirectory&) { return {}; }

struct Name {
  const char* operation;
  std::string object;
};
std::string First(const std::vector<std::string>& names) { return names.empty() ? "" : names.front(); }
Name NameOf(const CreatePool& change) { return {"pool_create", change.name}; }
Name NameOf(const DestroyPool& change) { return {"pool_destroy", change.name}; }
Name NameOf(const ImportPool& change) { return {"pool_import", change.name}; }
Name NameOf(const ExportPool& change) { return {"pool_export", change.name}; }
Name NameOf(const SetPoolProperties& change) { return {"pool_set", change.name}; }
Name NameOf(const AddVdev& change) { return {"vdev_add", First(change.vdev.disks)}; }
Name NameOf(const RemoveVdev& change) { return {"vdev_remove", change.vdev}; }
Name NameOf(const AttachDisk& change) { return {"disk_attach", change.disk}; }
Name NameOf(const DetachDisk& change) { return {"disk_detach", change.member}; }
Name NameOf(const ReplaceDisk& change) { return {"disk_replace", change.disk}; }
Name NameOf(const ClearDisk& change) { return {"disk_clear", change.device}; }
Name NameOf(const CreateDataset& change) { return {"create", change.name}; }
Name NameOf(const LoadKey& change) { return {"load_key", change.name}; }
Name NameOf(const UnloadKey& change) { return {"unload_key", change.name}; }
Name NameOf(const DestroyDataset& change) { return {"destroy", change.name}; }
Name NameOf(const SetProperties& change) { return {"set", change.name}; }
Name NameOf(const InheritProperty& change) { return {"inherit", change.name}; }
Name NameOf(const RenameDataset& change) { return {"rename", change.from}; }
Name NameOf(const MountDataset& change) { return {"mount", change.name}; }
Name NameOf(const UnmountDataset& change) { return {"unmount", change.name}; }
Name NameOf(const SetMountRoot& change) { return {"root", change.name}; }
Name NameOf(const SyncPool& change) { return {"sync", change.name}; }
Name NameOf(const CreateSnapshot& change) { return {"snapshot", change.name}; }
Name NameOf(const CreateSnapshots& change) { return {"checkpoint", First(change.names)}; }
Name NameOf(const HoldSnapshots& change) { return {"hold", First(change.names)}; }
Name NameOf(const ReleaseSnapshots& change) { return {"release", First(change.names)}; }
Name NameOf(const DestroySnapshot& change) { return {"snapshot_destroy", change.name}; }
Name NameOf(const CloneSnapshot& change) { return {"clone", change.dataset}; }
Name NameOf(const RollbackDataset& change) { return {"rollback", change.dataset}; }
Name NameOf(const SetTreeOwner& change) { return {"tree", change.name}; }
Name NameOf(const DeliverFiles& change) { return {"deliver", change.name}; }
Name NameOf(const ProveDelivered& change) { return {"prove", change.name}; }
Name NameOf(const RenameSnapshot& change) { return {"snapshot_rename", change.from}; }
Name NameOf(const SetArcLive& change) { return {"arc", change.minimum ? "minimum" : "live"}; }
Name NameOf(const UpdateInitramfs&) { return {"initramfs", "all"}; }
Name NameOf(const PutFile& change) { return {"file", change.path}; }
Name NameOf(const MakeDirectory& change) { return {"mkdir", change.path}; }
Name NameOf(const RemoveDirectory& change) { return {"rmdir", change.path}; }

}  // namespace

// Who has a volume open owns it, and both checks refuse with EBUSY what is owned; that of destroy also where
// there are snapshots, and that of rollback where the program is synced only, which `zfs program -n` is not.
std::string_view OpenProgram() {
  return R"lua(
local function check(dataset)
  if zfs.get_prop(dataset, "type") == "volume" then
    local snapshots = 0
    for _ in zfs.list.snapshots(dataset) do
      snapshots = snapshots + 1
    end
    local code
    if snapshots == 0 then
      code = zfs.check.destroy(dataset)
    else
      code = zfs.check.rollback(dataset)
    end
    if code == 16 then
      error("phoenix: somebody has it open: " .. dataset)
    end
  else
    for child in zfs.list.children(dataset) do
      check(child)
    end
  end
end
check((...)["argv"][1])
)lua";
}

std::string_view RollbackProgram() {
  return R"lua(
local argv = (...)["argv"]
local dataset, name, most, guard = argv[1], argv[2], tonumber(argv[3]), argv[4]
local snapshot, last = dataset .. "@" .. name, dataset .. "@" .. guard
if not (zfs.exists(snapshot) and zfs.exists(last)) then
  error("phoenix: " .. snapshot .. " or " .. last .. " is not there")
end
local taken = zfs.get_prop(snapshot, "createtxg")
for other in zfs.list.snapshots(dataset) do
  if other ~= last and zfs.get_prop(other, "createtxg") > taken then
    error("phoenix: foreign snapshot: " .. other .. " is newer than " .. snapshot)
  end
end
local written = zfs.get_prop(dataset, "written@" .. guard)
if written > most then
  error("phoenix: foreign writes: " .. written .. " bytes since " .. last .. ", no more than " .. most .. " were ours")
end
local code = zfs.check.rollback(dataset)
if code == 0 and last ~= snapshot then
  code = zfs.sync.destroy(last)
end
if code == 0 then
  code = zfs.sync.rollback(dataset)
end
if code ~= 0 then
  error("phoenix: rollback of " .. dataset .. " is refused with error " .. code)
end
)lua";
}

std::vector<Command> CommandsFor(const ZfsChange& change) {
  return std::visit([](const auto& one) { return Build(one); }, change);
}

std::string SetAclText(const std::vector<std::string>& acl, const std::string& path) {
  if (acl.empty()) return fmt::format("setfacl -b -k {}", path);
  return fmt::format("setfacl -b -k -m {} {}", fmt::join(acl, ","), path);
}

std::vector<std::string> ToText(const ZfsChange& change) {
  if (const auto* root = std::get_if<SetMountRoot>(&change)) {
    std::vector<std::string> texts = {
        fmt::format("chown {}:{} {}", root->root.uid, root->root.gid, root->mountpoint)};
    if (root->acl) texts.push_back(SetAclText(*root->acl, root->mountpoint));
    // Last: setfacl makes the mask, which is the mode's group digit, as wide as the entries are.
    texts.push_back(fmt::format("chmod {:o} {}", root->root.mode, root->mountpoint));
    return texts;
  }
  if (const auto* back = std::get_if<RollbackDataset>(&change)) {
    // The program's text is not for typing.
    return {fmt::format("zfs get -Hp -o value written@{} {}  # bytes that a rollback discards",
                        back->snapshot, back->dataset),
            fmt::format("zfs rollback {}@{}", back->dataset, back->snapshot)};
  }
  if (std::holds_alternative<DestroyDataset>(change)) return {phoenix::ToText(CommandsFor(change).back())};
  if (const auto* tree = std::get_if<SetTreeOwner>(&change)) {
    const auto number = [](const std::optional<uint32_t>& one) {
      return one ? std::to_string(*one) : "as it is";
    };
    return {fmt::format("# owner {}, group {}, mode {} of everything in {}", number(tree->wish.uid),
                        number(tree->wish.gid),
                        tree->wish.mode ? fmt::format("{:o}", *tree->wish.mode) : "as it is", tree->name)};
  }
  if (const auto* delivery = std::get_if<DeliverFiles>(&change)) {
    std::vector<std::string> texts;
    for (const auto& [path, file] : delivery->files) {
      texts.push_back(fmt::format("# write {} in {}: {} bytes, {}:{} {:o}", path, delivery->name,
                                  file.content.size(), file.uid, file.gid, file.mode));
    }
    return texts;
  }
  if (const auto* arc = std::get_if<SetArcLive>(&change))
    return {fmt::format("echo {} > {}", arc->bytes, arc->minimum ? kArcMinParameter : kArcParameter)};
  if (const auto* file = std::get_if<PutFile>(&change)) {
    return {file->file ? "write " + file->path : "rm " + file->path};
  }
  if (const auto* made = std::get_if<MakeDirectory>(&change)) return {"mkdir " + made->path};
  if (const auto* removed = std::get_if<RemoveDirectory>(&change)) return {"rmdir " + removed->path};
  std::vector<std::string> texts;
  for (const auto& command : CommandsFor(change)) {
    if (command.input == OpenProgram()) {
      // What asks first is not for typing, either.
      texts.clear();
    } else {
      texts.push_back(phoenix::ToText(command));
    }
  }
  return texts;
}

std::string OperationOf(const ZfsChange& change) {
  return std::visit([](const auto& one) { return NameOf(one).operation; }, change);
}

std::string ObjectOf(const ZfsChange& change) {
  return std::visit([](const auto& one) { return NameOf(one).object; }, change);
}

Command ListPoolProperties() { return Zpool({"get", "-Hp", "-o", "name,property,value,source", "all"}); }

Command ShowPoolStatus() { return Zpool({"status", "-L", "-P", "-p"}); }

Command ShowVdevGuids() { return Zpool({"status", "-g"}); }

Command ListProperties(const std::vector<std::string>& datasets, bool recursive) {
  std::vector<std::string> args = {
      "get", "-Hp", "-t", "filesystem,volume", "-o", "name,property,value,received,source"};
  if (recursive && !datasets.empty()) args.push_back("-r");
  args.push_back("all");
  args.insert(args.end(), datasets.begin(), datasets.end());
  return Zfs(std::move(args));
}

Command ListSnapshots(const std::vector<std::string>& datasets) {
  std::vector<std::string> args = {"get",      "-Hp", "-t",
                                   "snapshot", "-o",  "name,property,value,received,source"};
  if (!datasets.empty()) args.push_back("-r");
  args.push_back(
      "guid,used,creation,userrefs,clones,phoenix:run,phoenix:committed,phoenix:stage,phoenix:boot");
  args.insert(args.end(), datasets.begin(), datasets.end());
  return Zfs(std::move(args));
}

Command ListHolds(const std::vector<std::string>& snapshots) {
  std::vector<std::string> args = {"holds", "-H"};
  args.insert(args.end(), snapshots.begin(), snapshots.end());
  return Zfs(std::move(args));
}

Command ReadWrittenSince(const std::string& snapshot) {
  const auto at = snapshot.find('@');
  return Zfs({"get", "-Hp", "-o", "value", "written@" + snapshot.substr(at + 1), snapshot.substr(0, at)});
}

Command TryKey(const std::string& root, const KeyToTry& key) {
  Command command = Zfs({"load-key", "-n", "-L", "prompt", root});
  command.secret_input = KeyInput(key.format, key.key);
  return command;
}

Command MountAt(const std::string& dataset, const std::string& path) {
  return Make("/usr/bin/mount", {"-t", "zfs", "-o", "zfsutil", dataset, path}, std::chrono::seconds(300));
}

Command ListExportedPools() { return Zpool({"import"}); }

Command ListBlockDevices() {
  return Tool("/usr/bin/lsblk",
              {"-J", "-b", "-o", "PATH,PKNAME,TYPE,SIZE,SERIAL,MOUNTPOINTS,PARTLABEL,PARTTYPE"});
}

Command ListSignatures(const std::vector<std::string>& devices) {
  std::vector<std::string> args = {"-J"};
  args.insert(args.end(), devices.begin(), devices.end());
  return Tool("/usr/sbin/wipefs", std::move(args));
}

Command ProbeDevice(const std::string& device) {
  return Tool("/usr/sbin/blkid", {"-p", "-o", "export", device});
}

Command ReadLabel(const std::string& device) { return Tool("/usr/sbin/zdb", {"-l", device}); }

Command ReadSmart(const std::string& disk) {
  // A tool that waits for a disk inside of the kernel cannot be ended; waiting for its end would hang, too.
  return Command{.program = "/usr/sbin/smartctl",
                 .args = {"--json=c", "-n", "standby", "-H", "-A", "-i", disk},
                 .limit = std::chrono::seconds(10),
                 .kill_at_limit = false};
}

Command ShowVersion() { return Zfs({"version"}); }

}  // namespace phoenix::zfs
