#include "services/kit/sim/machine.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::kit {
namespace {

constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS objects(kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(kind, name));
CREATE TABLE IF NOT EXISTS faults(id INTEGER PRIMARY KEY, operation TEXT NOT NULL, effect TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS numbers(next INTEGER NOT NULL);
INSERT INTO numbers SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM numbers);
)sql";

constexpr char kFirstDirectories[] = R"sql(
INSERT OR IGNORE INTO files VALUES
 ('/', 1, '', 0, 0, 493, '', 0, 0, 493), ('/etc', 1, '', 0, 0, 493, '', 0, 0, 493),
 ('/etc/modprobe.d', 1, '', 0, 0, 493, '', 0, 0, 493), ('/var', 1, '', 0, 0, 493, '', 0, 0, 493),
 ('/var/lib', 1, '', 0, 0, 493, '', 0, 0, 493), ('/mnt', 1, '', 0, 0, 493, '', 0, 0, 493);
)sql";

// A node's own files, and those that the nodes of a cluster have in common.
std::string FilesTable(std::string_view name) {
  return fmt::format(R"sql(
CREATE TABLE IF NOT EXISTS {}(path TEXT PRIMARY KEY, directory INTEGER NOT NULL, content BLOB NOT NULL,
  uid INTEGER NOT NULL, gid INTEGER NOT NULL, mode INTEGER NOT NULL,
  -- What a power cut leaves: NULL means that the file is not there.
  synced_content BLOB, synced_uid INTEGER, synced_gid INTEGER, synced_mode INTEGER);
)sql",
                     name);
}

std::string ParentOf(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

}  // namespace

absl::StatusOr<std::optional<nlohmann::json>> World::Get(std::string_view kind, std::string_view name) {
  PHX_ASSIGN_OR_RETURN(auto select, database_.Prepare("SELECT value FROM objects WHERE kind=? AND name=?"));
  PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, kind).Bind(2, name).Step());
  if (!found) return std::optional<nlohmann::json>();
  return std::optional(nlohmann::json::parse(select.Text(0)));
}

absl::Status World::Put(std::string_view kind, std::string_view name, const nlohmann::json& value) {
  PHX_ASSIGN_OR_RETURN(auto insert, database_.Prepare("INSERT OR REPLACE INTO objects VALUES(?,?,?)"));
  return insert.Bind(1, kind).Bind(2, name).Bind(3, value.dump()).Step().status();
}

absl::Status World::Delete(std::string_view kind, std::string_view name) {
  PHX_ASSIGN_OR_RETURN(auto remove, database_.Prepare("DELETE FROM objects WHERE kind=? AND name=?"));
  return remove.Bind(1, kind).Bind(2, name).Step().status();
}

absl::StatusOr<std::vector<std::pair<std::string, nlohmann::json>>> World::List(std::string_view kind) {
  PHX_ASSIGN_OR_RETURN(auto select,
                       database_.Prepare("SELECT name, value FROM objects WHERE kind=? ORDER BY name"));
  select.Bind(1, kind);
  std::vector<std::pair<std::string, nlohmann::json>> objects;
  while (true) {
    PHX_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return objects;
    objects.emplace_back(select.Text(0), nlohmann::json::parse(select.Text(1)));
  }
}

absl::StatusOr<int64_t> World::NextNumber() {
  PHX_ASSIGN_OR_RETURN(auto select,
                       database_.Prepare("UPDATE numbers SET next = next + 1 RETURNING next - 1"));
  PHX_RETURN_IF_ERROR(select.Step().status());
  const int64_t number = select.Int(0);
  PHX_RETURN_IF_ERROR(select.Step().status());
  return number;
}

std::string_view World::TableOf(std::string_view path) const {
  constexpr std::string_view kPriv = "/etc/pve/priv";
  const bool shared = path == "/etc/pve/storage.cfg" || path == kPriv ||
                      (path.starts_with(kPriv) && path[kPriv.size()] == '/');
  return in_cluster_ && shared ? "cluster.files" : "main.files";
}

absl::StatusOr<std::optional<SimFile>> World::ReadFile(std::string_view path) {
  PHX_ASSIGN_OR_RETURN(auto select,
                       database_.Prepare(fmt::format(
                           "SELECT directory, content, uid, gid, mode FROM {} WHERE path=?", TableOf(path))));
  PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, path).Step());
  if (!found) return std::optional<SimFile>();
  SimFile file;
  file.directory = select.Int(0) != 0;
  file.state = {select.Text(1), static_cast<uint32_t>(select.Int(2)), static_cast<uint32_t>(select.Int(3)),
                static_cast<uint32_t>(select.Int(4))};
  return std::optional(std::move(file));
}

absl::Status World::WriteFile(std::string_view path, const SimFile& file, bool synced) {
  const std::string_view sql =
      synced ? "INSERT INTO {} VALUES(?1,?2,?3,?4,?5,?6,?3,?4,?5,?6) ON CONFLICT(path) DO UPDATE SET "
               "directory=?2, "
               "content=?3, uid=?4, gid=?5, mode=?6, synced_content=?3, synced_uid=?4, synced_gid=?5, "
               "synced_mode=?6"
             : "INSERT INTO {} VALUES(?1,?2,?3,?4,?5,?6,NULL,NULL,NULL,NULL) ON CONFLICT(path) DO UPDATE SET "
               "directory=?2, content=?3, uid=?4, gid=?5, mode=?6";
  PHX_ASSIGN_OR_RETURN(auto insert, database_.Prepare(fmt::format(fmt::runtime(sql), TableOf(path))));
  return insert.Bind(1, path)
      .Bind(2, static_cast<int64_t>(file.directory))
      .BindBlob(3, file.state.content)
      .Bind(4, static_cast<int64_t>(file.state.uid))
      .Bind(5, static_cast<int64_t>(file.state.gid))
      .Bind(6, static_cast<int64_t>(file.state.mode))
      .Step()
      .status();
}

absl::Status World::RemoveFile(std::string_view path) {
  PHX_ASSIGN_OR_RETURN(auto remove,
                       database_.Prepare(fmt::format("DELETE FROM {} WHERE path=?", TableOf(path))));
  return remove.Bind(1, path).Step().status();
}

absl::StatusOr<std::vector<std::string>> World::FilesBelow(std::string_view directory) {
  const std::string prefix = directory == "/" ? "/" : std::string(directory) + "/";
  const std::string_view all =
      in_cluster_ ? "(SELECT path FROM main.files UNION ALL SELECT path FROM cluster.files)" : "main.files";
  PHX_ASSIGN_OR_RETURN(
      auto select, database_.Prepare(fmt::format(
                       "SELECT path FROM {} WHERE substr(path,1,?1)=?2 AND path<>'/' ORDER BY path", all)));
  select.Bind(1, static_cast<int64_t>(prefix.size())).Bind(2, prefix);
  std::vector<std::string> paths;
  while (true) {
    PHX_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return paths;
    paths.push_back(select.Text(0));
  }
}

absl::StatusOr<std::optional<std::string>> World::TakeFault(std::string_view operation) {
  PHX_ASSIGN_OR_RETURN(auto select,
                       database_.Prepare("SELECT id, effect FROM faults WHERE operation=? ORDER BY id"));
  PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, operation).Step());
  if (!found) return std::optional<std::string>();
  const std::string effect = select.Text(1);
  PHX_ASSIGN_OR_RETURN(auto remove, database_.Prepare("DELETE FROM faults WHERE id=?"));
  PHX_RETURN_IF_ERROR(remove.Bind(1, select.Int(0)).Step().status());
  return std::optional(effect);
}

absl::StatusOr<std::shared_ptr<Machine>> Machine::Open(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Internal("cannot make the simulated machine's folder {}: {}", directory, error.message());
  PHX_ASSIGN_OR_RETURN(auto database, Database::Open(directory + "/machine.db"));
  PHX_RETURN_IF_ERROR(database->Transaction([](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(db.Execute(kSchema));
    PHX_RETURN_IF_ERROR(db.Execute(FilesTable("files")));
    return db.Execute(kFirstDirectories);
  }));
  const auto cluster = std::filesystem::read_symlink(directory + "/cluster", error);
  if (error) return std::shared_ptr<Machine>(new Machine(std::move(database), ""));
  PHX_ASSIGN_OR_RETURN(auto attach, database->Prepare("ATTACH DATABASE ? AS cluster"));
  PHX_RETURN_IF_ERROR(attach.Bind(1, directory + "/cluster/files.db").Step().status());
  PHX_RETURN_IF_ERROR(database->Transaction(
      [](Database& db) -> absl::Status { return db.Execute(FilesTable("cluster.files")); }));
  return std::shared_ptr<Machine>(new Machine(std::move(database), cluster.filename().string()));
}

absl::Status Machine::Change(const std::function<absl::Status(World&)>& body) {
  return database_->Transaction([&](Database& db) {
    World world(db, !cluster_.empty());
    return body(world);
  });
}

absl::Status Machine::PlanFault(std::string_view operation, std::string_view effect, int count) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    for (int i = 0; i < count; ++i) {
      PHX_ASSIGN_OR_RETURN(auto insert, db.Prepare("INSERT INTO faults(operation, effect) VALUES(?,?)"));
      PHX_RETURN_IF_ERROR(insert.Bind(1, operation).Bind(2, effect).Step().status());
    }
    return absl::OkStatus();
  });
}

absl::Status Machine::PowerCut() {
  return database_->Transaction([](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(db.Execute("DELETE FROM files WHERE synced_mode IS NULL"));
    return db.Execute(
        "UPDATE files SET content=synced_content, uid=synced_uid, gid=synced_gid, mode=synced_mode");
  });
}

absl::StatusOr<std::string> Machine::Dump() {
  std::string text;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto objects,
                         db.Prepare("SELECT kind, name, value FROM objects ORDER BY kind, name"));
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool row, objects.Step());
      if (!row) break;
      text += fmt::format("{} {} {}\n", objects.Text(0), objects.Text(1), objects.Text(2));
    }
    constexpr std::string_view kColumns = "SELECT path, directory, content, uid, gid, mode FROM";
    PHX_ASSIGN_OR_RETURN(
        auto files,
        db.Prepare(cluster_.empty()
                       ? fmt::format("{} main.files ORDER BY path", kColumns)
                       : fmt::format("{0} main.files UNION ALL {0} cluster.files ORDER BY path", kColumns)));
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool row, files.Step());
      if (!row) return absl::OkStatus();
      text += fmt::format(
          "file {} {} {}:{} {:o} {}\n", files.Text(0), files.Int(1) != 0 ? "dir" : "file", files.Int(3),
          files.Int(4), files.Int(5),
          nlohmann::json(files.Text(2)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
  }));
  return text;
}

absl::StatusOr<std::optional<FileState>> SimFiles::Read(const std::string& path) const {
  std::optional<FileState> state;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto file, world.ReadFile(path));
    if (file && file->directory) return FailedPrecondition("{} is not a regular file", path);
    if (file) state = file->state;
    return absl::OkStatus();
  }));
  return state;
}

absl::Status SimFiles::Replace(const std::string& path, const FileState& file) {
  return machine_->Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto parent, world.ReadFile(ParentOf(path)));
    if (!parent || !parent->directory) return NotFound("{}: No such file or directory", path);
    return world.WriteFile(path, {false, file});
  });
}

absl::Status SimFiles::Remove(const std::string& path) {
  return machine_->Change([&](World& world) { return world.RemoveFile(path); });
}

absl::StatusOr<std::optional<DirectoryState>> SimFiles::ReadDirectory(const std::string& path) const {
  std::optional<DirectoryState> state;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto file, world.ReadFile(path));
    if (file && !file->directory) return FailedPrecondition("{} is not a directory", path);
    if (file) state = DirectoryState{file->state.uid, file->state.gid, file->state.mode};
    return absl::OkStatus();
  }));
  return state;
}

absl::Status SimFiles::MakeDirectory(const std::string& path, const DirectoryState& directory) {
  return machine_->Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto existing, world.ReadFile(path));
    if (existing) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(const auto parent, world.ReadFile(ParentOf(path)));
    if (!parent || !parent->directory) return NotFound("{}: No such file or directory", path);
    return world.WriteFile(path, {true, {"", directory.uid, directory.gid, directory.mode}});
  });
}

absl::Status SimFiles::SetDirectory(const std::string& path, const DirectoryState& directory) {
  return machine_->Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto existing, world.ReadFile(path));
    if (!existing || !existing->directory) return NotFound("{}: No such file or directory", path);
    return world.WriteFile(path, {true, {"", directory.uid, directory.gid, directory.mode}});
  });
}

absl::Status SimFiles::RemoveDirectory(const std::string& path) {
  return machine_->Change([&](World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto below, world.FilesBelow(path));
    if (!below.empty()) return FailedPrecondition("{} is not empty", path);
    return world.RemoveFile(path);
  });
}

absl::StatusOr<std::vector<std::string>> SimFiles::List(const std::string& path) const {
  std::vector<std::string> names;
  PHX_RETURN_IF_ERROR(machine_->Look([&](World& world) -> absl::Status {
    const size_t prefix = path == "/" ? 1 : path.size() + 1;
    PHX_ASSIGN_OR_RETURN(const auto below, world.FilesBelow(path));
    for (const auto& full : below) {
      if (full.find('/', prefix) == std::string::npos) names.push_back(full.substr(prefix));
    }
    return absl::OkStatus();
  }));
  return names;
}

}  // namespace phoenix::kit
