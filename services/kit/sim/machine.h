// The simulated machine of one node. It outlives the daemons: its state is an SQLite file in the directory of
// --sim=DIR, shared by the node's daemons, so that disks, mounts, files, users and packages are one world.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/host/files.h"
#include "base/sqlite/database.h"

namespace phoenix::kit {

// A file of the simulated machine. Directories have no content.
struct SimFile {
  bool directory = false;
  FileState state;
};

// The world inside one transaction of the machine. Objects are JSON values by (kind, name); a domain's Sim
// host owns the kinds it names ("zfs.pool", "user", "package", "ufw.rule" …). Not thread-safe; lives as long
// as the transaction.
class World {
 public:
  World(Database& database, bool in_cluster) : database_(database), in_cluster_(in_cluster) {}

  absl::StatusOr<std::optional<nlohmann::json>> Get(std::string_view kind, std::string_view name);
  absl::Status Put(std::string_view kind, std::string_view name, const nlohmann::json& value);
  // OK when there is none.
  absl::Status Delete(std::string_view kind, std::string_view name);
  // (name, value), by name.
  absl::StatusOr<std::vector<std::pair<std::string, nlohmann::json>>> List(std::string_view kind);
  // A number that this machine never gave before, from 1.
  absl::StatusOr<int64_t> NextNumber();

  absl::StatusOr<std::optional<SimFile>> ReadFile(std::string_view path);
  // What is written unsynced is gone after PowerCut().
  absl::Status WriteFile(std::string_view path, const SimFile& file, bool synced = true);
  absl::Status RemoveFile(std::string_view path);
  // Paths below `directory`, not itself, sorted.
  absl::StatusOr<std::vector<std::string>> FilesBelow(std::string_view directory);

  // True once for each planned fault of this name (see Machine::PlanFault); Sim hosts ask by operation and
  // object: TakeFault("nfs.exportfs"), TakeFault("zfs.create:quickOS/vm-disks").
  absl::StatusOr<std::optional<std::string>> TakeFault(std::string_view operation);

 private:
  // The table that holds the file of this path.
  std::string_view TableOf(std::string_view path) const;

  Database& database_;
  const bool in_cluster_;
};

// Thread-safe, and safe between processes: one transaction at a time.
class Machine {
 public:
  // Opens or creates the machine in `directory`, which is created if missing. Where `directory`/cluster is a
  // link to a folder, the machine is a node of the cluster of that folder's name: /etc/pve/storage.cfg and
  // /etc/pve/priv are in there, for all machines that have such a link.
  static absl::StatusOr<std::shared_ptr<Machine>> Open(const std::string& directory);

  // "" for none.
  const std::string& cluster() const { return cluster_; }

  // Runs `body` in one transaction: its changes are there when it answers OK, none of them otherwise.
  absl::Status Change(const std::function<absl::Status(World&)>& body);
  // The same for reading.
  absl::Status Look(const std::function<absl::Status(World&)>& body) { return Change(body); }

  // The next `count` operations of this name go wrong. Effects: "fail" (an error, nothing happened), "lie"
  // (an error although it happened), "nothing" (success although nothing happened).
  absl::Status PlanFault(std::string_view operation, std::string_view effect, int count = 1);
  // What was not synced is lost; processes are gone.
  absl::Status PowerCut();
  // The whole world as canonical text, for comparisons in tests. Kinds that hold faults and counters are left
  // out.
  absl::StatusOr<std::string> Dump();

 private:
  Machine(std::unique_ptr<Database> database, std::string cluster)
      : database_(std::move(database)), cluster_(std::move(cluster)) {}
  std::unique_ptr<Database> database_;
  const std::string cluster_;
};

// The machine's files behind base's interface.
class SimFiles final : public Files {
 public:
  explicit SimFiles(std::shared_ptr<Machine> machine) : machine_(std::move(machine)) {}
  absl::StatusOr<std::optional<FileState>> Read(const std::string& path) const override;
  absl::Status Replace(const std::string& path, const FileState& file) override;
  absl::Status Remove(const std::string& path) override;
  absl::StatusOr<std::optional<DirectoryState>> ReadDirectory(const std::string& path) const override;
  absl::Status MakeDirectory(const std::string& path, const DirectoryState& directory) override;
  absl::Status SetDirectory(const std::string& path, const DirectoryState& directory) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) const override;

 private:
  std::shared_ptr<Machine> machine_;
};

}  // namespace phoenix::kit
