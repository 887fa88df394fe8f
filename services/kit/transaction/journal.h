// A participant's journal and ledger: one SQLite file (WAL, synchronous=FULL). What a call answered OK is
// durable.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/sqlite/database.h"
#include "services/kit/participant/domain.h"
#include "services/kit/plan/step.h"
#include "services/kit/transaction/table.h"

namespace phoenix::kit {

inline constexpr int kJournalVersion = 1;

enum class StepState { kIdle = 0, kIntent, kDone, kUndoIntent, kReverted, kQuarantined };

std::string_view ToText(StepState state);

// One step of one transaction, with everything that undo needs.
struct StepRow {
  Step step;
  int ordinal = 0;
  StepState state = StepState::kIdle;
  // Absent until captured: at Prepare, or right before the step where an earlier step must be done first.
  std::optional<std::string> captured;
  // The process that was doing or undoing the step, as long as nobody saw it end.
  std::optional<ChildIdentity> child;
  std::string error;
  // For kQuarantined.
  std::vector<std::string> remaining_commands;
};

// Our step may be undone only after the siblings' steps are.
struct SiblingStep {
  std::string participant;
  std::string step_id;
};
using UndoAfter = std::map<std::string, std::vector<SiblingStep>, std::less<>>;

// When the node undoes by itself. Boot time of the boot named; after a reboot `remaining_ns` counts.
struct DeadlineRow {
  std::string boot_id;
  int64_t at_ns = 0;
  int64_t remaining_ns = 0;
  int64_t interval_ns = 0;
  // Armed by AwaitConfirm: nothing renews it, and a reboot ends it at once.
  bool confirm = false;
};

struct TransactionRow {
  std::string run_id;
  int attempt = 1;
  TransactionState state = TransactionState::kNone;
  std::string authority;
  int64_t epoch = 0;
  std::string spec_type;
  std::string spec;
  std::string plan_digest;
  std::vector<std::string> disturbed_keys, removed_keys;
  std::vector<std::string> participants;
  UndoAfter undo_after;
  std::optional<DeadlineRow> deadline;
  std::string decided_by;  // "commit", "undo", "deadline", "sibling", "resolve", "recovery"
  std::string reason;
  bool local = false;
  std::string request_id;
  int64_t create_seconds = 0;
  // Close() of the domain has succeeded.
  bool closed = false;
};

// What a transaction's rows look like together.
struct TransactionRecord {
  TransactionRow row;
  std::vector<StepRow> steps;  // by ordinal
};

struct QuarantineRow {
  std::string key;
  std::string run_id;
  std::string step_id;
  std::string cause;
  std::vector<std::string> remaining_commands;
};

// Thread-safe.
class Journal {
 public:
  // Opens or creates `directory`/journal.db. DATA_LOSS for a damaged file, FAILED_PRECONDITION for a newer
  // version; both leave it as it is.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& directory,
                                                       DatabaseOptions options = {});

  // Made when the journal was created; a node that lost its journal has another one.
  const std::string& id() const { return id_; }

  // Asked before a transaction begins. FAILED_PRECONDITION (NO_RESERVE) while the disk has no room for the
  // journal's reserve; what is open is never asked for it.
  absl::Status HoldReserve() { return database_->HoldReserve(); }

  struct Fence {
    std::string authority;
    int64_t epoch = 0;
  };
  absl::StatusOr<Fence> ReadFence();
  absl::Status WriteFence(const Fence& fence);

  // A change of the authority by hand.
  struct Adoption {
    Fence former;
    std::string authority;
    std::string adopted_by;
    int64_t seconds = 0;
  };
  // Obeys `authority` from now on and records it, in one write. An authority that was obeyed before goes on
  // at the epoch where it was, so that its late calls stay late; a new one starts over.
  absl::Status Adopt(const std::string& authority, const std::string& adopted_by, int64_t seconds);
  // Oldest first.
  absl::StatusOr<std::vector<Adoption>> Adoptions();

  // Everything of a new transaction in one write. ALREADY_EXISTS when the run has a row.
  absl::Status Insert(const TransactionRecord& record);
  absl::StatusOr<std::optional<TransactionRecord>> Read(const std::string& run_id);
  absl::StatusOr<std::optional<TransactionRow>> ReadRow(const std::string& run_id);
  absl::StatusOr<std::optional<TransactionRow>> FindByRequest(const std::string& request_id);
  // Newest first.
  absl::StatusOr<std::vector<TransactionRow>> List();

  // Moves the row from `from` to what `change` makes of it, in one write. ABORTED when it is in another state
  // by now.
  absl::Status Move(const std::string& run_id, TransactionState from,
                    const std::function<void(TransactionRow&)>& change);
  // Changes fields without regard to the state (deadline, epoch, closed).
  absl::Status Touch(const std::string& run_id, const std::function<void(TransactionRow&)>& change);

  // Writes a step row if the transaction is in `required`; ABORTED otherwise.
  absl::Status WriteStep(const std::string& run_id, TransactionState required, const StepRow& step);
  absl::Status WriteChild(const std::string& run_id, const std::string& step_id,
                          const std::optional<ChildIdentity>& child);
  // The step is done and what it did to the ledger is recorded, in one write. The former entries are kept for
  // undo.
  absl::Status FinishStep(const std::string& run_id, TransactionState required, const StepRow& step,
                          const LedgerChange& change);
  // The step is reverted and the ledger is as it was before it, but for `change`, in one write.
  absl::Status RevertStep(const std::string& run_id, const StepRow& step, const LedgerChange& change = {});
  // What brings the ledger's entries of a finished step back to what they were before it.
  absl::StatusOr<LedgerChange> FormerLedger(const std::string& run_id, const std::string& step_id);
  // The step's keys are locked until resolved.
  absl::Status Quarantine(const std::string& run_id, const StepRow& step, const std::string& cause);
  absl::StatusOr<std::vector<QuarantineRow>> Quarantined();
  absl::Status Lift(const std::string& run_id, const std::string& step_id);

  absl::StatusOr<Ledger> ReadLedger();

 private:
  explicit Journal(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  std::unique_ptr<Database> database_;
  std::string id_;
};

}  // namespace phoenix::kit
