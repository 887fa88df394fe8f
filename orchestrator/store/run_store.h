// Where runs live. An append is conditional: the store's epoch must be the caller's and the log's head the
// one that the caller folded, in one transaction; so a log holds COMMITTED or ROLLING_BACK, never both.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/sqlite/database.h"
#include "base/time/clock.h"
#include "orchestrator/run/event.h"

namespace phoenix::store {

struct Leadership {
  std::string authority;  // the store's UUID
  int64_t epoch = 0;
};

// Thread-safe.
class RunStore {
 public:
  virtual ~RunStore() = default;
  // A new leadership, durable before it is answered. Taken at every start, before the first call to a node.
  virtual absl::StatusOr<Leadership> TakeLeadership() = 0;
  // Makes the run's log with its first event. `request_id` may be empty; ALREADY_EXISTS where a run has it.
  // FAILED_PRECONDITION (NO_RESERVE) while the disk has no room for the store's reserve.
  virtual absl::StatusOr<run::Event> Create(const std::string& run_id, const std::string& request_id,
                                            int64_t epoch, run::Event event) = 0;
  // Answers the event as stored. ABORTED when epoch or head are not the store's: read again, decide again.
  virtual absl::StatusOr<run::Event> Append(const std::string& run_id, int64_t epoch,
                                            const std::string& head_hash, run::Event event) = 0;
  // The whole log, its hash chain checked. NOT_FOUND, DATA_LOSS.
  virtual absl::StatusOr<std::vector<run::Event>> Load(const std::string& run_id) = 0;
  // Newest first.
  virtual absl::StatusOr<std::vector<std::string>> ListRuns() = 0;
  virtual absl::StatusOr<std::optional<std::string>> FindByRequest(const std::string& request_id) = 0;
};

class SqliteRunStore final : public RunStore {
 public:
  // Opens or creates it. DATA_LOSS for a damaged file, FAILED_PRECONDITION for a newer version; both leave it
  // as it is.
  static absl::StatusOr<std::unique_ptr<SqliteRunStore>> Open(const std::string& path, const Clock& clock,
                                                              DatabaseOptions options = {});
  absl::StatusOr<Leadership> TakeLeadership() override;
  absl::StatusOr<run::Event> Create(const std::string& run_id, const std::string& request_id, int64_t epoch,
                                    run::Event event) override;
  absl::StatusOr<run::Event> Append(const std::string& run_id, int64_t epoch, const std::string& head_hash,
                                    run::Event event) override;
  absl::StatusOr<std::vector<run::Event>> Load(const std::string& run_id) override;
  absl::StatusOr<std::vector<std::string>> ListRuns() override;
  absl::StatusOr<std::optional<std::string>> FindByRequest(const std::string& request_id) override;

 private:
  SqliteRunStore(std::unique_ptr<Database> database, const Clock& clock)
      : database_(std::move(database)), clock_(clock) {}
  std::unique_ptr<Database> database_;
  const Clock& clock_;
};

}  // namespace phoenix::store
