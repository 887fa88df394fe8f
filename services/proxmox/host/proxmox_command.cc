#include "services/proxmox/host/proxmox_command.h"

#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

// pvesm waits up to 10 s for the lock and as long for an NFS server; on a slow machine Perl's start takes 6 s
// more.
constexpr std::chrono::seconds kChangeLimit{180};
// Status activates every storage, each with its own 10 s limits.
constexpr std::chrono::seconds kStatusLimit{120};
constexpr std::chrono::seconds kUnmountLimit{60};

Command Pvesm(std::vector<std::string> args) {
  Command command{.program = kPvesm};
  command.args = std::move(args);
  command.limit = kChangeLimit;
  // A killed pvesm leaves its lock behind, which blocks every node for two minutes.
  command.kill_at_limit = false;
  return command;
}

void Put(Command& command, const std::string& option, const std::string& value) {
  command.args.push_back("--" + option);
  command.args.push_back(value);
}

}  // namespace

Command AddCommand(const NewStorage& storage) {
  Command command = Pvesm({"add", storage.type, storage.id});
  for (const auto& [name, value] : storage.options) Put(command, name, value);
  if (storage.content) Put(command, "content", Join(*storage.content));
  if (!storage.nodes.empty()) Put(command, "nodes", Join(storage.nodes));
  if (storage.disabled) Put(command, "disable", "1");
  return command;
}

Command SetCommand(const StorageChange& change) {
  Command command = Pvesm({"set", change.id});
  for (const auto& [name, value] : change.set) Put(command, name, value);
  if (change.content) Put(command, "content", Join(*change.content));
  if (change.nodes) Put(command, "nodes", Join(*change.nodes));
  if (!change.remove.empty()) Put(command, "delete", Join(change.remove));
  // Refused where the file is not the one that the change was decided on.
  if (!change.digest.empty()) Put(command, "digest", change.digest);
  return command;
}

Command RemoveCommand(const std::string& id) { return Pvesm({"remove", id}); }

Command StatusCommand() {
  Command command{.program = kPvesm, .args = {"status"}};
  command.limit = kStatusLimit;
  return command;
}

Command UnmountCommand(const std::string& path) {
  Command command{.program = "/usr/bin/umount", .args = {path}};
  command.limit = kUnmountLimit;
  return command;
}

}  // namespace phoenix::proxmox
