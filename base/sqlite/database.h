// SQLite with errors as statuses, and the one place that says what a failing disk means:
//   full (ENOSPC, EDQUOT)    the reserve is given up and the transaction tried once more; RESOURCE_EXHAUSTED
//   a failed read, write or fsync (EIO)   the handle is never used again; UNAVAILABLE
//   a damaged file           the handle is never used again; DATA_LOSS; nothing is deleted
// After a failed fsync nobody knows what is on the disk: only a process that opens the file anew does.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/sqlite/reserve.h"

namespace phoenix {

class Database;

// A prepared statement. Bind positions count from 1, columns from 0. Not thread-safe.
class Statement {
 public:
  Statement(sqlite3_stmt* statement, Database* database) : statement_(statement), database_(database) {}
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(Statement&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)), database_(other.database_) {}
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  Statement& operator=(Statement&&) = delete;

  Statement& Bind(int position, std::string_view text);
  Statement& Bind(int position, int64_t number);
  Statement& BindBlob(int position, std::string_view bytes);
  Statement& BindNull(int position);
  // True while there is a row.
  absl::StatusOr<bool> Step();
  std::string Text(int column) const;
  int64_t Int(int column) const;
  bool IsNull(int column) const;

 private:
  sqlite3_stmt* statement_;
  Database* database_;
};

struct DatabaseOptions {
  // Given up when the disk is full. May be null; must outlive the database.
  Reserve* reserve = nullptr;
  // Called under the database's lock for each transaction that meets a full disk, before the reserve is given
  // up.
  std::function<void(const absl::Status&)> on_full;
  // Called once, under the database's lock, when the open handle cannot be trusted any more. A daemon ends
  // there, and its next life reads what is on the disk.
  std::function<void(const absl::Status&)> on_broken;
  // SQLite's VFS by name; empty for the default one.
  std::string vfs;
};

// A database file in WAL mode with synchronous=FULL: what a committed transaction wrote survives a power cut.
// Thread-safe through Transaction(): one at a time.
class Database {
 public:
  // Opens or creates, and checks the file. `path` may be ":memory:". DATA_LOSS for a damaged file.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        DatabaseOptions options = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs `body` in one immediate transaction: committed when it answers OK, rolled back otherwise. Not
  // reentrant. With a reserve, `body` may run twice. What is thrown while stored text is parsed is DATA_LOSS.
  absl::Status Transaction(const std::function<absl::Status(Database&)>& body);
  // Inside Transaction() only.
  absl::StatusOr<Statement> Prepare(std::string_view sql);
  absl::Status Execute(std::string_view sql);
  // Rows changed by the last statement.
  int Changes() const { return sqlite3_changes(handle_); }

  // Whether something new may be begun: the reserve is there, or there is none to hold.
  absl::Status HoldReserve() { return options_.reserve ? options_.reserve->Hold() : absl::OkStatus(); }

 private:
  friend class Statement;
  Database(std::string path, DatabaseOptions options)
      : path_(std::move(path)), options_(std::move(options)) {}
  absl::Status OpenFile();
  absl::Status CheckFile();
  absl::Status RunOnce(const std::function<absl::Status(Database&)>& body);
  // After each commit; SQLite's own hook would drop the error.
  void Checkpoint(const char* name, int pages);
  // Every error of SQLite passes here.
  absl::Status Failed(int code, std::string_view what);
  absl::Status Break(absl::Status status);

  const std::string path_;
  const DatabaseOptions options_;
  std::mutex mutex_;
  sqlite3* handle_ = nullptr;
  bool opened_ = false;
  // The last transaction failed for want of space.
  bool full_ = false;
  int checkpoint_code_ = SQLITE_OK;
  absl::Status broken_;
};

}  // namespace phoenix
