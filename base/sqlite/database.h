// SQLite with errors as statuses. One connection; every use holds the lock of `Session`.
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

namespace phoenix {

// A prepared statement. Bind positions count from 1, columns from 0. Not thread-safe.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(Statement&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
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
};

// A database file in WAL mode with synchronous=FULL: what a committed transaction wrote survives a power cut.
// Thread-safe through Transaction(): one at a time.
class Database {
 public:
  // Opens or creates. `path` may be ":memory:".
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs `body` in one immediate transaction: committed when it answers OK, rolled back otherwise. Not
  // reentrant.
  absl::Status Transaction(const std::function<absl::Status(Database&)>& body);
  // Inside Transaction() only.
  absl::StatusOr<Statement> Prepare(std::string_view sql);
  absl::Status Execute(std::string_view sql);
  // Rows changed by the last statement.
  int Changes() const { return sqlite3_changes(handle_); }

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  absl::Status Error(int code, std::string_view what) const;

  std::mutex mutex_;
  sqlite3* handle_;
};

}  // namespace phoenix
