#include "base/sqlite/database.h"

#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix {

Statement& Statement::Bind(int position, std::string_view text) {
  sqlite3_bind_text(statement_, position, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::Bind(int position, int64_t number) {
  sqlite3_bind_int64(statement_, position, number);
  return *this;
}

Statement& Statement::BindBlob(int position, std::string_view bytes) {
  sqlite3_bind_blob(statement_, position, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::BindNull(int position) {
  sqlite3_bind_null(statement_, position);
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3* handle = sqlite3_db_handle(statement_);
  if (code == SQLITE_CONSTRAINT) return AlreadyExists("database: {}", sqlite3_errmsg(handle));
  if (code == SQLITE_FULL) return ResourceExhausted("database: {}", sqlite3_errmsg(handle));
  return Internal("database: {} ({})", sqlite3_errmsg(handle), code);
}

std::string Statement::Text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return bytes == nullptr ? std::string()
                          : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

bool Statement::IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(handle));
  if (code != SQLITE_OK) return Annotate(database->Error(code, "open"), path);
  sqlite3_busy_timeout(handle, 30'000);
  for (const char* pragma :
       {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON"}) {
    if (auto status = database->Execute(pragma); !status.ok()) return Annotate(status, path);
  }
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

absl::Status Database::Error(int code, std::string_view what) const {
  const char* text = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) return DataLoss("database, {}: {}", what, text);
  if (code == SQLITE_FULL) return ResourceExhausted("database, {}: {}", what, text);
  return Internal("database, {}: {} ({})", what, text, code);
}

absl::Status Database::Transaction(const std::function<absl::Status(Database&)>& body) {
  std::lock_guard<std::mutex> lock(mutex_);
  PHX_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  if (auto status = body(*this); !status.ok()) {
    // The first error is the one to tell; a failed ROLLBACK leaves nothing that COMMIT could keep.
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    return status;
  }
  if (auto status = Execute("COMMIT"); !status.ok()) {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return Error(code, sql);
  return Statement(statement);
}

absl::Status Database::Execute(std::string_view sql) {
  const int code = sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Error(code, sql);
  return absl::OkStatus();
}

}  // namespace phoenix
