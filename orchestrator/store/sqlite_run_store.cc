#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "orchestrator/store/event_json.h"
#include "orchestrator/store/run_store.h"

namespace phoenix::store {
namespace {

constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs(serial INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE, request_id TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS events(run_id TEXT NOT NULL, sequence INTEGER NOT NULL, prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL, epoch INTEGER NOT NULL, time INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(run_id, sequence));
INSERT OR IGNORE INTO meta VALUES('epoch', '0');
)sql";

constexpr int kStoreVersion = 1;

std::string HashOf(const run::Event& event, const std::string& body) {
  return Sha256Hex(fmt::format("{}\n{}\n{}\n{}\n{}", event.prev_hash, event.sequence, event.epoch,
                               event.time_seconds, body));
}

absl::StatusOr<std::string> Meta(Database& db, std::string_view key) {
  PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT value FROM meta WHERE key=?"));
  PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, key).Step());
  return found ? select.Text(0) : std::string();
}

absl::Status CheckEpoch(Database& db, int64_t epoch) {
  PHX_ASSIGN_OR_RETURN(const std::string current, Meta(db, "epoch"));
  if (current == std::to_string(epoch)) return absl::OkStatus();
  return WithReason(Aborted("another orchestrator leads by now (epoch {}, mine is {})", current, epoch),
                    {"NOT_LEADER", {{"epoch", current}}});
}

absl::Status Insert(Database& db, const std::string& run_id, const run::Event& event,
                    const std::string& body) {
  PHX_ASSIGN_OR_RETURN(auto insert, db.Prepare("INSERT INTO events VALUES(?,?,?,?,?,?,?)"));
  return insert.Bind(1, run_id)
      .Bind(2, event.sequence)
      .Bind(3, event.prev_hash)
      .Bind(4, event.hash)
      .Bind(5, event.epoch)
      .Bind(6, event.time_seconds)
      .Bind(7, body)
      .Step()
      .status();
}

// Only a person can decide to go on without what a damaged store knew.
absl::Status WithAdvice(const absl::Status& status, const std::string& path) {
  if (status.code() != absl::StatusCode::kDataLoss) return status;
  return DataLoss(
      "{}. Copy {}* to a safe place first; `sqlite3 {} .recover` may read what is left. Moving the files "
      "aside "
      "begins a new store with an authority of its own: nodes obey it after `phoenix node adopt`, once their "
      "open runs have ended",
      Message(status), path, path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteRunStore>> SqliteRunStore::Open(const std::string& path,
                                                                     const Clock& clock,
                                                                     DatabaseOptions options) {
  auto opened = Database::Open(path, std::move(options));
  if (!opened.ok()) return WithAdvice(opened.status(), path);
  auto database = *std::move(opened);
  PHX_RETURN_IF_ERROR(database->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(db.Execute(kSchema));
    PHX_ASSIGN_OR_RETURN(auto insert, db.Prepare("INSERT OR IGNORE INTO meta VALUES('authority', ?1), "
                                                 "('version', ?2)"));
    PHX_RETURN_IF_ERROR(insert.Bind(1, RandomUuid()).Bind(2, std::to_string(kStoreVersion)).Step().status());
    PHX_ASSIGN_OR_RETURN(const std::string version, Meta(db, "version"));
    if (std::stoi(version) <= kStoreVersion) return absl::OkStatus();
    return FailedPrecondition(
        "the run store {} is of version {}, newer than this orchestrator's {}: install the newer Phoenix "
        "again",
        path, version, kStoreVersion);
  }));
  return std::unique_ptr<SqliteRunStore>(new SqliteRunStore(std::move(database), clock));
}

absl::StatusOr<Leadership> SqliteRunStore::TakeLeadership() {
  Leadership leadership;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(
        db.Execute("UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key='epoch'"));
    PHX_ASSIGN_OR_RETURN(leadership.authority, Meta(db, "authority"));
    PHX_ASSIGN_OR_RETURN(const std::string epoch, Meta(db, "epoch"));
    leadership.epoch = std::stoll(epoch);
    return absl::OkStatus();
  }));
  return leadership;
}

absl::StatusOr<run::Event> SqliteRunStore::Create(const std::string& run_id, const std::string& request_id,
                                                  int64_t epoch, run::Event event) {
  PHX_RETURN_IF_ERROR(database_->HoldReserve());
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(CheckEpoch(db, epoch));
    PHX_ASSIGN_OR_RETURN(auto insert, db.Prepare("INSERT INTO runs(run_id, request_id) VALUES(?,?)"));
    insert.Bind(1, run_id);
    if (request_id.empty()) {
      insert.BindNull(2);
    } else {
      insert.Bind(2, request_id);
    }
    PHX_RETURN_IF_ERROR(insert.Step().status());
    const std::string body = ToJson(event);
    event.sequence = 1;
    event.prev_hash.clear();
    event.epoch = epoch;
    event.time_seconds = clock_.WallSeconds();
    event.hash = HashOf(event, body);
    return Insert(db, run_id, event, body);
  }));
  return event;
}

absl::StatusOr<run::Event> SqliteRunStore::Append(const std::string& run_id, int64_t epoch,
                                                  const std::string& head_hash, run::Event event) {
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(CheckEpoch(db, epoch));
    PHX_ASSIGN_OR_RETURN(
        auto select,
        db.Prepare("SELECT sequence, hash FROM events WHERE run_id=? ORDER BY sequence DESC LIMIT 1"));
    PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, run_id).Step());
    if (!found) return NotFound("there is no run {}", run_id);
    if (select.Text(1) != head_hash) {
      return WithReason(Aborted("run {} went on meanwhile", run_id), {"HEAD_MOVED", {}});
    }
    const std::string body = ToJson(event);
    event.sequence = select.Int(0) + 1;
    event.prev_hash = head_hash;
    event.epoch = epoch;
    event.time_seconds = clock_.WallSeconds();
    event.hash = HashOf(event, body);
    return Insert(db, run_id, event, body);
  }));
  return event;
}

absl::StatusOr<std::vector<run::Event>> SqliteRunStore::Load(const std::string& run_id) {
  std::vector<run::Event> events;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto select,
                         db.Prepare("SELECT sequence, prev_hash, hash, epoch, time, body FROM events "
                                    "WHERE run_id=? ORDER BY sequence"));
    select.Bind(1, run_id);
    std::string head;
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) break;
      const std::string body = select.Text(5);
      PHX_ASSIGN_OR_RETURN(run::Event event, EventFromJson(body));
      event.sequence = select.Int(0);
      event.prev_hash = select.Text(1);
      event.hash = select.Text(2);
      event.epoch = select.Int(3);
      event.time_seconds = select.Int(4);
      if (event.prev_hash != head || event.hash != HashOf(event, body)) {
        return DataLoss("the log of run {} is damaged at event {}", run_id, event.sequence);
      }
      head = event.hash;
      events.push_back(std::move(event));
    }
    return events.empty() ? NotFound("there is no run {}", run_id) : absl::OkStatus();
  }));
  return events;
}

absl::StatusOr<std::vector<std::string>> SqliteRunStore::ListRuns() {
  std::vector<std::string> runs;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT run_id FROM runs ORDER BY serial DESC"));
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return absl::OkStatus();
      runs.push_back(select.Text(0));
    }
  }));
  return runs;
}

absl::StatusOr<std::optional<std::string>> SqliteRunStore::FindByRequest(const std::string& request_id) {
  std::optional<std::string> run_id;
  if (request_id.empty()) return run_id;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT run_id FROM runs WHERE request_id=?"));
    PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, request_id).Step());
    if (found) run_id = select.Text(0);
    return absl::OkStatus();
  }));
  return run_id;
}

}  // namespace phoenix::store
