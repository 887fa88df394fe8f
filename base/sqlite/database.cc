#include "base/sqlite/database.h"

#include <cerrno>
#include <exception>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix {
namespace {

constexpr int kCheckpointPages = 1000;

// The part of an extended result code that says what kind it is.
int Primary(int code) { return code & 0xff; }

// SQLite says SQLITE_FULL for ENOSPC of a write only; quotas, the shared memory and a folder without room for
// one more file come as I/O errors. A failed fsync is none of them, whatever its errno.
// SQLite keeps the errno of a statement's failure, but not of a failed COMMIT: `last_errno` is what the call
// left.
bool IsFull(sqlite3* handle, int code, int last_errno) {
  if (Primary(code) == SQLITE_FULL) return true;
  const bool may_be = code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_TRUNCATE ||
                      code == SQLITE_IOERR_SHMSIZE || code == SQLITE_IOERR_SHMOPEN ||
                      Primary(code) == SQLITE_CANTOPEN;
  if (!may_be) return false;
  const int kept = handle != nullptr ? sqlite3_system_errno(handle) : 0;
  const int error = kept != 0 ? kept : last_errno;
  return error == ENOSPC || error == EDQUOT;
}

}  // namespace

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
  return database_->Failed(code, "a statement");
}

std::string Statement::Text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return bytes == nullptr ? std::string()
                          : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

bool Statement::IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, DatabaseOptions options) {
  std::unique_ptr<Database> database(new Database(path, options));
  absl::Status opened = database->OpenFile();
  if (!opened.ok() && database->full_ && options.reserve != nullptr && options.reserve->GiveUp()) {
    database.reset(new Database(path, std::move(options)));
    opened = database->OpenFile();
  }
  PHX_RETURN_IF_ERROR(opened);
  database->opened_ = true;
  return database;
}

absl::Status Database::OpenFile() {
  const int code = sqlite3_open_v2(path_.c_str(), &handle_,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                                   options_.vfs.empty() ? nullptr : options_.vfs.c_str());
  if (code != SQLITE_OK) return Failed(code, "open");
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 30'000);
  for (const char* pragma :
       {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON"}) {
    PHX_RETURN_IF_ERROR(Execute(pragma));
  }
  sqlite3_wal_hook(
      handle_,
      [](void* self, sqlite3*, const char* name, int pages) {
        static_cast<Database*>(self)->Checkpoint(name, pages);
        return SQLITE_OK;
      },
      this);
  return CheckFile();
}

// A damaged page is found before anything is decided by what the others say.
absl::Status Database::CheckFile() {
  PHX_ASSIGN_OR_RETURN(auto check, Prepare("PRAGMA quick_check(1)"));
  PHX_ASSIGN_OR_RETURN(const bool row, check.Step());
  const std::string found = row ? check.Text(0) : "no answer";
  if (found == "ok") return absl::OkStatus();
  return Break(DataLoss("{} is damaged: {}. Nothing in it was changed or deleted", path_, found));
}

Database::~Database() {
  // Closing writes the log into the file, through descriptors that are not to be trusted.
  if (!broken_.ok() && handle_ != nullptr)
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_close_v2(handle_);
}

absl::Status Database::Break(absl::Status status) {
  if (!broken_.ok()) return broken_;
  broken_ = std::move(status);
  if (opened_ && options_.on_broken) options_.on_broken(broken_);
  return broken_;
}

absl::Status Database::Failed(int code, std::string_view what) {
  const int last_errno = errno;
  const std::string text = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  if (Primary(code) == SQLITE_CONSTRAINT) return AlreadyExists("{}: {}", path_, text);
  if (IsFull(handle_, code, last_errno)) {
    full_ = true;
    return WithReason(
        ResourceExhausted("{}: {}: {}. Free space on its file system; what is open then goes on by itself",
                          path_, what, text),
        {"DISK_FULL", {{"path", path_}}});
  }
  if (Primary(code) == SQLITE_CORRUPT || Primary(code) == SQLITE_NOTADB) {
    return Break(DataLoss("{} is damaged: {}. Nothing in it was changed or deleted", path_, text));
  }
  if (Primary(code) == SQLITE_IOERR) {
    return Break(WithReason(
        Unavailable(
            "{}: {}: {} ({}). What reached the disk is unknown until the file is opened anew; look at "
            "the disk (`dmesg`)",
            path_, what, text, code),
        {"DISK_ERROR", {{"path", path_}}}));
  }
  return Internal("{}: {}: {} ({})", path_, what, text, code);
}

void Database::Checkpoint(const char* name, int pages) {
  if (pages < kCheckpointPages) return;
  const int code = sqlite3_wal_checkpoint_v2(handle_, name, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  // A full disk is no loss here: the log keeps what the file has no room for.
  if (Primary(code) == SQLITE_IOERR && !IsFull(handle_, code, errno)) checkpoint_code_ = code;
  if (Primary(code) == SQLITE_CORRUPT) checkpoint_code_ = code;
}

absl::Status Database::RunOnce(const std::function<absl::Status(Database&)>& body) {
  if (!broken_.ok()) return broken_;
  full_ = false;
  PHX_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  absl::Status status;
  try {
    status = body(*this);
  } catch (const std::exception& error) {
    status = DataLoss("{} holds what cannot be read: {}. Nothing in it was changed or deleted", path_,
                      error.what());
  }
  if (status.ok()) status = Execute("COMMIT");
  if (!status.ok()) {
    // The first error is the one to tell; a failed ROLLBACK leaves nothing that COMMIT could keep.
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    return status;
  }
  // The transaction itself is durable; only what comes next must not use this handle.
  if (checkpoint_code_ != SQLITE_OK) (void)Failed(checkpoint_code_, "checkpoint");
  return absl::OkStatus();
}

absl::Status Database::Transaction(const std::function<absl::Status(Database&)>& body) {
  std::lock_guard<std::mutex> lock(mutex_);
  absl::Status status = RunOnce(body);
  if (!status.ok() && full_ && options_.on_full) options_.on_full(status);
  if (!status.ok() && full_ && options_.reserve != nullptr && options_.reserve->GiveUp()) {
    status = RunOnce(body);
  }
  return status;
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return Failed(code, sql);
  return Statement(statement, this);
}

absl::Status Database::Execute(std::string_view sql) {
  const int code = sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Failed(code, sql);
  return absl::OkStatus();
}

}  // namespace phoenix
