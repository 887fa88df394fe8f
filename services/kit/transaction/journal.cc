#include "services/kit/transaction/journal.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/transaction/step_json.h"

namespace phoenix::kit {
namespace {

using nlohmann::json;

constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
-- `body` holds what is never searched for.
CREATE TABLE IF NOT EXISTS transactions(serial INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE,
  state INTEGER NOT NULL, request_id TEXT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS steps(run_id TEXT NOT NULL, step_id TEXT NOT NULL, ordinal INTEGER NOT NULL,
  state INTEGER NOT NULL, body BLOB NOT NULL, captured BLOB, child TEXT, ledger_before TEXT,
  PRIMARY KEY(run_id, step_id));
CREATE TABLE IF NOT EXISTS ledger(key TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine(key TEXT NOT NULL, run_id TEXT NOT NULL, step_id TEXT NOT NULL, cause TEXT NOT NULL,
  commands TEXT NOT NULL, PRIMARY KEY(key, run_id, step_id));
)sql";

json BodyOf(const TransactionRow& row) {
  json undo_after = json::object();
  for (const auto& [step_id, siblings] : row.undo_after) {
    json list = json::array();
    for (const auto& sibling : siblings) list.push_back({sibling.participant, sibling.step_id});
    undo_after[step_id] = list;
  }
  json body = {{"attempt", row.attempt},
               {"authority", row.authority},
               {"epoch", row.epoch},
               {"spec_type", row.spec_type},
               {"spec", ToHex(row.spec)},
               {"plan_digest", row.plan_digest},
               {"disturbed", row.disturbed_keys},
               {"removed", row.removed_keys},
               {"participants", row.participants},
               {"undo_after", undo_after},
               {"decided_by", row.decided_by},
               {"reason", row.reason},
               {"local", row.local},
               {"create_seconds", row.create_seconds},
               {"closed", row.closed}};
  if (row.deadline) {
    body["deadline"] = {{"boot_id", row.deadline->boot_id},
                        {"at_ns", row.deadline->at_ns},
                        {"remaining_ns", row.deadline->remaining_ns},
                        {"interval_ns", row.deadline->interval_ns},
                        {"confirm", row.deadline->confirm}};
  }
  return body;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

TransactionRow RowFrom(const Statement& select) {
  TransactionRow row;
  row.run_id = select.Text(0);
  row.state = static_cast<TransactionState>(select.Int(1));
  row.request_id = select.Text(2);
  const json body = json::parse(select.Text(3));
  row.attempt = body.at("attempt");
  row.authority = body.at("authority");
  row.epoch = body.at("epoch");
  row.spec_type = body.at("spec_type");
  row.spec = FromHex(body.at("spec"));
  row.plan_digest = body.at("plan_digest");
  row.disturbed_keys = body.at("disturbed").get<std::vector<std::string>>();
  row.removed_keys = body.at("removed").get<std::vector<std::string>>();
  row.participants = body.at("participants").get<std::vector<std::string>>();
  for (const auto& [step_id, list] : body.at("undo_after").items()) {
    for (const auto& sibling : list) row.undo_after[step_id].push_back({sibling.at(0), sibling.at(1)});
  }
  row.decided_by = body.at("decided_by");
  row.reason = body.at("reason");
  row.local = body.at("local");
  row.create_seconds = body.at("create_seconds");
  row.closed = body.at("closed");
  if (body.contains("deadline")) {
    const json& deadline = body["deadline"];
    row.deadline = DeadlineRow{deadline.at("boot_id"), deadline.at("at_ns"), deadline.at("remaining_ns"),
                               deadline.at("interval_ns"), deadline.at("confirm")};
  }
  return row;
}

constexpr char kSelectRow[] = "SELECT run_id, state, request_id, body FROM transactions ";

absl::StatusOr<std::optional<TransactionRow>> SelectRow(Database& db, std::string_view where,
                                                        const std::string& value) {
  PHX_ASSIGN_OR_RETURN(auto select, db.Prepare(std::string(kSelectRow) + std::string(where)));
  PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, value).Step());
  if (!found) return std::optional<TransactionRow>();
  return std::optional(RowFrom(select));
}

absl::Status UpdateRow(Database& db, const TransactionRow& row) {
  PHX_ASSIGN_OR_RETURN(auto update, db.Prepare("UPDATE transactions SET state=?2, body=?3 WHERE run_id=?1"));
  return update.Bind(1, row.run_id)
      .Bind(2, static_cast<int64_t>(row.state))
      .Bind(3, BodyOf(row).dump())
      .Step()
      .status();
}

absl::Status RequireState(Database& db, const std::string& run_id, TransactionState required) {
  PHX_ASSIGN_OR_RETURN(const auto row, SelectRow(db, "WHERE run_id=?", run_id));
  if (!row || row->state != required) {
    return Aborted("run {} is {} here, not {}", run_id, row ? ToText(row->state) : "unknown",
                   ToText(required));
  }
  return absl::OkStatus();
}

absl::Status PutStep(Database& db, const std::string& run_id, const StepRow& row) {
  PHX_ASSIGN_OR_RETURN(
      auto insert,
      db.Prepare("INSERT INTO steps(run_id, step_id, ordinal, state, body, captured, child) "
                 "VALUES(?1,?2,?3,?4,?5,?6,?7) "
                 "ON CONFLICT(run_id, step_id) DO UPDATE SET state=?4, body=?5, captured=?6, child=?7"));
  const json body = {{"step", ToJson(row.step)}, {"error", row.error}, {"remaining", row.remaining_commands}};
  insert.Bind(1, run_id)
      .Bind(2, row.step.id)
      .Bind(3, static_cast<int64_t>(row.ordinal))
      .Bind(4, static_cast<int64_t>(row.state))
      .Bind(5, body.dump(-1, ' ', false, json::error_handler_t::replace));
  if (row.captured) {
    insert.Bind(6, *row.captured);
  } else {
    insert.BindNull(6);
  }
  if (row.child) {
    insert.Bind(7, json({row.child->pid, row.child->start_time, row.child->boot_id}).dump());
  } else {
    insert.BindNull(7);
  }
  return insert.Step().status();
}

absl::StatusOr<Journal::Fence> SelectFence(Database& db) {
  Journal::Fence fence;
  PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT key, value FROM meta"));
  while (true) {
    PHX_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return fence;
    if (select.Text(0) == "authority") fence.authority = select.Text(1);
    if (select.Text(0) == "epoch") fence.epoch = std::stoll(select.Text(1));
  }
}

absl::Status PutFence(Database& db, const Journal::Fence& fence) {
  PHX_ASSIGN_OR_RETURN(auto insert,
                       db.Prepare("INSERT OR REPLACE INTO meta VALUES('authority',?1),('epoch',?2)"));
  return insert.Bind(1, fence.authority).Bind(2, std::to_string(fence.epoch)).Step().status();
}

absl::StatusOr<std::vector<Journal::Adoption>> SelectAdoptions(Database& db) {
  std::vector<Journal::Adoption> adoptions;
  PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT value FROM meta WHERE key='adoptions'"));
  PHX_ASSIGN_OR_RETURN(const bool found, select.Step());
  if (!found) return adoptions;
  for (const json& one : json::parse(select.Text(0))) {
    adoptions.push_back({{one.at(0), one.at(1)}, one.at(2), one.at(3), one.at(4)});
  }
  return adoptions;
}

absl::Status PutLedger(Database& db, const std::string& key, const std::optional<LedgerEntry>& entry) {
  PHX_ASSIGN_OR_RETURN(auto statement, entry ? db.Prepare("INSERT OR REPLACE INTO ledger VALUES(?1,?2)")
                                             : db.Prepare("DELETE FROM ledger WHERE key=?1"));
  statement.Bind(1, key);
  if (entry) statement.Bind(2, ToJson(*entry).dump());
  return statement.Step().status();
}

absl::StatusOr<LedgerChange> SelectFormerLedger(Database& db, const std::string& run_id,
                                                const std::string& step_id) {
  LedgerChange change;
  PHX_ASSIGN_OR_RETURN(auto select,
                       db.Prepare("SELECT ledger_before FROM steps WHERE run_id=? AND step_id=?"));
  PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, run_id).Bind(2, step_id).Step());
  if (!found || select.IsNull(0)) return change;
  const json before = json::parse(select.Text(0));
  for (const auto& [key, entry] : before.items()) {
    if (entry.is_null()) {
      change.remove.push_back(key);
    } else {
      change.put.push_back(LedgerEntryFromJson(entry));
    }
  }
  return change;
}

// Only a person can decide to go on without what a damaged journal knew.
absl::Status WithAdvice(const absl::Status& status, const std::string& directory) {
  if (status.code() != absl::StatusCode::kDataLoss) return status;
  return DataLoss(
      "{}. Copy {}/journal.db* to a safe place first; `sqlite3 journal.db .recover` may read what is left. "
      "Moving the files aside begins a new journal: what this one managed is then unmanaged, and its open "
      "runs "
      "must be ended by hand",
      Message(status), directory);
}

}  // namespace

std::string_view ToText(StepState state) {
  switch (state) {
    case StepState::kIdle:
      return "IDLE";
    case StepState::kIntent:
      return "INTENT";
    case StepState::kDone:
      return "DONE";
    case StepState::kUndoIntent:
      return "UNDO_INTENT";
    case StepState::kReverted:
      return "REVERTED";
    case StepState::kQuarantined:
      return "QUARANTINED";
  }
  return "?";
}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& directory,
                                                       DatabaseOptions options) {
  auto database = Database::Open(directory + "/journal.db", std::move(options));
  if (!database.ok()) return WithAdvice(database.status(), directory);
  std::unique_ptr<Journal> journal(new Journal(*std::move(database)));
  PHX_RETURN_IF_ERROR(journal->database_->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(db.Execute(kSchema));
    PHX_ASSIGN_OR_RETURN(auto insert, db.Prepare("INSERT OR IGNORE INTO meta VALUES(?,?)"));
    PHX_RETURN_IF_ERROR(insert.Bind(1, "journal_id").Bind(2, RandomUuid()).Step().status());
    PHX_ASSIGN_OR_RETURN(auto version, db.Prepare("INSERT OR IGNORE INTO meta VALUES('version',?)"));
    PHX_RETURN_IF_ERROR(version.Bind(1, std::to_string(kJournalVersion)).Step().status());
    PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT key, value FROM meta"));
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return absl::OkStatus();
      if (select.Text(0) == "journal_id") journal->id_ = select.Text(1);
      if (select.Text(0) == "version" && std::stoi(select.Text(1)) > kJournalVersion) {
        return FailedPrecondition(
            "the journal in {} is of version {}, newer than this daemon's {}: install the newer Phoenix "
            "again",
            directory, select.Text(1), kJournalVersion);
      }
    }
  }));
  return journal;
}

absl::StatusOr<Journal::Fence> Journal::ReadFence() {
  Fence fence;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(fence, SelectFence(db));
    return absl::OkStatus();
  }));
  return fence;
}

absl::Status Journal::WriteFence(const Fence& fence) {
  return database_->Transaction([&](Database& db) { return PutFence(db, fence); });
}

absl::Status Journal::Adopt(const std::string& authority, const std::string& adopted_by, int64_t seconds) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const Fence former, SelectFence(db));
    PHX_ASSIGN_OR_RETURN(auto adoptions, SelectAdoptions(db));
    Fence fence{authority, 0};
    for (const Adoption& earlier : adoptions) {
      if (earlier.former.authority == authority) fence.epoch = std::max(fence.epoch, earlier.former.epoch);
    }
    adoptions.push_back({former, authority, adopted_by, seconds});
    json list = json::array();
    for (const Adoption& one : adoptions) {
      list.push_back({one.former.authority, one.former.epoch, one.authority, one.adopted_by, one.seconds});
    }
    PHX_ASSIGN_OR_RETURN(auto insert, db.Prepare("INSERT OR REPLACE INTO meta VALUES('adoptions',?)"));
    PHX_RETURN_IF_ERROR(
        insert.Bind(1, list.dump(-1, ' ', false, json::error_handler_t::replace)).Step().status());
    return PutFence(db, fence);
  });
}

absl::StatusOr<std::vector<Journal::Adoption>> Journal::Adoptions() {
  std::vector<Adoption> adoptions;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(adoptions, SelectAdoptions(db));
    return absl::OkStatus();
  }));
  return adoptions;
}

absl::Status Journal::Insert(const TransactionRecord& record) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(
        auto insert, db.Prepare("INSERT INTO transactions(run_id, state, request_id, body) VALUES(?,?,?,?)"));
    PHX_RETURN_IF_ERROR(insert.Bind(1, record.row.run_id)
                            .Bind(2, static_cast<int64_t>(record.row.state))
                            .Bind(3, record.row.request_id)
                            .Bind(4, BodyOf(record.row).dump())
                            .Step()
                            .status());
    for (const StepRow& step : record.steps) PHX_RETURN_IF_ERROR(PutStep(db, record.row.run_id, step));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<TransactionRow>> Journal::ReadRow(const std::string& run_id) {
  std::optional<TransactionRow> row;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(row, SelectRow(db, "WHERE run_id=?", run_id));
    return absl::OkStatus();
  }));
  return row;
}

absl::StatusOr<std::optional<TransactionRow>> Journal::FindByRequest(const std::string& request_id) {
  std::optional<TransactionRow> row;
  if (request_id.empty()) return row;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(row, SelectRow(db, "WHERE request_id=?", request_id));
    return absl::OkStatus();
  }));
  return row;
}

absl::StatusOr<std::optional<TransactionRecord>> Journal::Read(const std::string& run_id) {
  std::optional<TransactionRecord> record;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto row, SelectRow(db, "WHERE run_id=?", run_id));
    if (!row) return absl::OkStatus();
    record = TransactionRecord{*row, {}};
    PHX_ASSIGN_OR_RETURN(
        auto select,
        db.Prepare(
            "SELECT ordinal, state, body, captured, child FROM steps WHERE run_id=? ORDER BY ordinal"));
    select.Bind(1, run_id);
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool more, select.Step());
      if (!more) return absl::OkStatus();
      StepRow step;
      step.ordinal = static_cast<int>(select.Int(0));
      step.state = static_cast<StepState>(select.Int(1));
      const json body = json::parse(select.Text(2));
      step.step = StepFromJson(body.at("step"));
      step.error = body.at("error");
      step.remaining_commands = body.at("remaining").get<std::vector<std::string>>();
      if (!select.IsNull(3)) step.captured = select.Text(3);
      if (!select.IsNull(4)) {
        const json child = json::parse(select.Text(4));
        step.child = ChildIdentity{child.at(0), child.at(1), child.at(2)};
      }
      record->steps.push_back(std::move(step));
    }
  }));
  return record;
}

absl::StatusOr<std::vector<TransactionRow>> Journal::List() {
  std::vector<TransactionRow> rows;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto select, db.Prepare(std::string(kSelectRow) + "ORDER BY serial DESC"));
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool more, select.Step());
      if (!more) return absl::OkStatus();
      rows.push_back(RowFrom(select));
    }
  }));
  return rows;
}

absl::Status Journal::Move(const std::string& run_id, TransactionState from,
                           const std::function<void(TransactionRow&)>& change) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(RequireState(db, run_id, from));
    PHX_ASSIGN_OR_RETURN(auto row, SelectRow(db, "WHERE run_id=?", run_id));
    change(*row);
    return UpdateRow(db, *row);
  });
}

absl::Status Journal::Touch(const std::string& run_id, const std::function<void(TransactionRow&)>& change) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto row, SelectRow(db, "WHERE run_id=?", run_id));
    if (!row) return NotFound("run {} is not in this journal", run_id);
    change(*row);
    return UpdateRow(db, *row);
  });
}

absl::Status Journal::WriteStep(const std::string& run_id, TransactionState required, const StepRow& step) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(RequireState(db, run_id, required));
    return PutStep(db, run_id, step);
  });
}

absl::Status Journal::WriteChild(const std::string& run_id, const std::string& step_id,
                                 const std::optional<ChildIdentity>& child) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto update, db.Prepare("UPDATE steps SET child=?3 WHERE run_id=?1 AND step_id=?2"));
    update.Bind(1, run_id).Bind(2, step_id);
    if (child) {
      update.Bind(3, json({child->pid, child->start_time, child->boot_id}).dump());
    } else {
      update.BindNull(3);
    }
    return update.Step().status();
  });
}

absl::Status Journal::FinishStep(const std::string& run_id, TransactionState required, const StepRow& step,
                                 const LedgerChange& change) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(RequireState(db, run_id, required));
    PHX_RETURN_IF_ERROR(PutStep(db, run_id, step));
    json before = json::object();
    const auto remember = [&](const std::string& key) -> absl::Status {
      PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT body FROM ledger WHERE key=?"));
      PHX_ASSIGN_OR_RETURN(const bool found, select.Bind(1, key).Step());
      before[key] = found ? json::parse(select.Text(0)) : json();
      return absl::OkStatus();
    };
    for (LedgerEntry entry : change.put) {
      if (entry.run_id.empty()) entry.run_id = run_id;
      PHX_RETURN_IF_ERROR(remember(entry.key));
      PHX_RETURN_IF_ERROR(PutLedger(db, entry.key, entry));
    }
    for (const std::string& key : change.remove) {
      PHX_RETURN_IF_ERROR(remember(key));
      PHX_RETURN_IF_ERROR(PutLedger(db, key, std::nullopt));
    }
    PHX_ASSIGN_OR_RETURN(auto update,
                         db.Prepare("UPDATE steps SET ledger_before=?3 WHERE run_id=?1 AND step_id=?2"));
    return update.Bind(1, run_id).Bind(2, step.step.id).Bind(3, before.dump()).Step().status();
  });
}

absl::Status Journal::RevertStep(const std::string& run_id, const StepRow& step, const LedgerChange& change) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const LedgerChange former, SelectFormerLedger(db, run_id, step.step.id));
    for (const LedgerChange* one : {&former, &change}) {
      for (const auto& entry : one->put) PHX_RETURN_IF_ERROR(PutLedger(db, entry.key, entry));
      for (const auto& key : one->remove) PHX_RETURN_IF_ERROR(PutLedger(db, key, std::nullopt));
    }
    return PutStep(db, run_id, step);
  });
}

absl::StatusOr<LedgerChange> Journal::FormerLedger(const std::string& run_id, const std::string& step_id) {
  LedgerChange change;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(change, SelectFormerLedger(db, run_id, step_id));
    return absl::OkStatus();
  }));
  return change;
}

absl::Status Journal::Quarantine(const std::string& run_id, const StepRow& step, const std::string& cause) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_RETURN_IF_ERROR(PutStep(db, run_id, step));
    std::vector<std::string> keys = step.step.provides;
    keys.insert(keys.end(), step.step.removes.begin(), step.step.removes.end());
    if (keys.empty()) keys.push_back("step:" + step.step.id);
    for (const std::string& key : keys) {
      PHX_ASSIGN_OR_RETURN(auto insert, db.Prepare("INSERT OR REPLACE INTO quarantine VALUES(?,?,?,?,?)"));
      PHX_RETURN_IF_ERROR(insert.Bind(1, key)
                              .Bind(2, run_id)
                              .Bind(3, step.step.id)
                              .Bind(4, cause)
                              .Bind(5, json(step.remaining_commands).dump())
                              .Step()
                              .status());
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<QuarantineRow>> Journal::Quarantined() {
  std::vector<QuarantineRow> rows;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto select,
                         db.Prepare("SELECT key, run_id, step_id, cause, commands FROM quarantine"));
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool more, select.Step());
      if (!more) return absl::OkStatus();
      rows.push_back({select.Text(0), select.Text(1), select.Text(2), select.Text(3),
                      json::parse(select.Text(4)).get<std::vector<std::string>>()});
    }
  }));
  return rows;
}

absl::Status Journal::Lift(const std::string& run_id, const std::string& step_id) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto remove, db.Prepare("DELETE FROM quarantine WHERE run_id=? AND step_id=?"));
    return remove.Bind(1, run_id).Bind(2, step_id).Step().status();
  });
}

absl::StatusOr<Ledger> Journal::ReadLedger() {
  Ledger ledger;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto select, db.Prepare("SELECT body FROM ledger"));
    while (true) {
      PHX_ASSIGN_OR_RETURN(const bool more, select.Step());
      if (!more) return absl::OkStatus();
      LedgerEntry entry = LedgerEntryFromJson(json::parse(select.Text(0)));
      ledger.emplace(entry.key, std::move(entry));
    }
  }));
  return ledger;
}

}  // namespace phoenix::kit
