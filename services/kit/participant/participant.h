// One participant: the contract of phoenix.participant.v1 without gRPC. It keeps the binding table
// (transaction/table.h), the fence (authority, epoch, journal id), the lock, the deadlines and undo; the
// domain only knows its steps.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "base/time/clock.h"
#include "base/workers.h"
#include "services/kit/participant/domain.h"
#include "services/kit/participant/reversal.h"
#include "services/kit/transaction/journal.h"
#include "services/kit/transaction/step_execution.h"

namespace phoenix::kit {

// What every call of a run carries.
struct RunContext {
  std::string run_id;
  int attempt = 1;
  std::string authority;
  int64_t epoch = 0;
  std::string journal_id;
};

struct PlanAnswer {
  Plan plan;
  std::string plan_digest;
  std::string journal_id;
  std::string authority;  // that this participant obeys; "" for none yet
};

struct PrepareInput {
  RunContext context;
  PlanInput wanted;
  std::string plan_digest;
  UndoAfter undo_after;
  Duration deadline = std::chrono::minutes(30);
  std::vector<std::string> participants;
};

struct UndoAnswer {
  std::vector<Outcome> outcomes;
  bool undone = false;
};

// A sibling's transaction of the same run, as far as undo and doubt need it.
struct SiblingState {
  TransactionState state = TransactionState::kNone;
  std::string decided_by;
  // Ids of steps that are applied, or may be; not of those that undo is through with.
  std::set<std::string> applied;
};

// What was built on an object that is quarantined does not go any more: who waits for it would wait for ever,
// and its own guards see whether it is still used.
inline bool UndoIsThroughWith(Outcome::Result result) {
  return result == Outcome::Result::kUndone || result == Outcome::Result::kQuarantined;
}

// The other participants of this node, reached over their unix sockets.
class Siblings {
 public:
  virtual ~Siblings() = default;
  // kNone where the sibling does not know the run. An error: it does not answer.
  virtual absl::StatusOr<SiblingState> Get(const std::string& participant, const std::string& run_id) = 0;
  // Tells that our undo has begun; the sibling joins durably.
  virtual absl::Status JoinUndo(const std::string& participant, const std::string& run_id) = 0;
  // FAILED_PRECONDITION, with one violation for each, where something that a sibling knows on this node
  // stands on one of the keys; those of `except` are not asked. UNAVAILABLE where a sibling of this node does
  // not answer: what it knows is not known to be nothing.
  virtual absl::Status MayGo(const std::vector<std::string>& keys,
                             const std::vector<std::string>& except) = 0;
};

struct ResolveAnswer {
  TransactionRecord record;
  std::vector<std::string> lifted;
  std::vector<Outcome> remaining;
};

enum class Decision { kNone, kCommit, kUndo };

struct LocalChange {
  PlanInput wanted;
  std::string request_id;
  bool validate_only = false;
};

// Thread-safe. The work of a call goes on when its caller is gone.
class Participant {
 public:
  struct Settings {
    Secret node_key;
    std::string boot_id;
    // How often deadlines and doubts are looked at.
    std::chrono::milliseconds tick{500};
  };
  Participant(Domain& domain, Journal& journal, const Clock& clock, Siblings& siblings, Settings settings);
  // Waits for running steps; an undo under way stops between two steps and goes on at the next start.
  ~Participant();

  // Called once, before the first call is served: deals with what a former life left.
  absl::Status Recover();

  Domain& domain() { return domain_; }
  Journal& journal() { return journal_; }

  absl::StatusOr<PlanAnswer> MakePlan(PlanInput input);
  // Answers what was captured, in words.
  absl::StatusOr<std::vector<std::string>> Prepare(PrepareInput input);
  absl::StatusOr<std::vector<Outcome>> Apply(const RunContext& context,
                                             const std::vector<std::string>& step_ids);
  absl::StatusOr<UndoAnswer> Undo(const RunContext& context, const std::vector<std::string>& step_ids,
                                  const std::string& reason);
  absl::StatusOr<VerifyReport> Verify(const RunContext& context, const Secrets& secrets);
  absl::Status AwaitConfirm(const RunContext& context, Duration confirm_within);
  absl::Status PrepareCommit(const RunContext& context);
  absl::Status Commit(const RunContext& context);

  absl::StatusOr<TransactionRecord> Get(const std::string& run_id);
  absl::StatusOr<TransactionRecord> JoinUndo(const std::string& run_id, const std::string& participant);
  absl::StatusOr<ResolveAnswer> Resolve(const std::string& run_id, const std::string& object,
                                        Decision decision);
  // Answers the authority obeyed until now. `adopted_by`: whoever asked, for the record.
  absl::StatusOr<std::string> Adopt(const std::string& authority, const std::string& adopted_by);
  // The open transaction's run, or "".
  absl::StatusOr<std::string> OpenRun();

  // A typed mutation: plan, prepare, apply, commit under the same lock, decided by its own row. Answers the
  // plan.
  absl::StatusOr<Plan> ChangeLocally(LocalChange change);

  // What is left until the node undoes by itself; nothing where no deadline is armed.
  std::optional<Duration> Remaining(const TransactionRow& row) const;

 private:
  struct Entered {
    TransactionRow row;  // state kNone where there is none
    Answer answer;
  };

  absl::Status CheckFence(const RunContext& context);
  absl::StatusOr<Entered> Enter(const RunContext& context, ProtocolMessage message);
  absl::StatusOr<TransactionRow> RowOf(const std::string& run_id);
  DeadlineRow Arm(Duration interval, bool confirm) const;
  void Renew(const TransactionRow& row);

  absl::StatusOr<PlanAnswer> PlanWithLedger(PlanInput& input);
  absl::Status RefuseWhatIsLocked(const Plan& plan, const std::string& run_id);
  absl::StatusOr<TransactionRecord> BeginTransaction(const PrepareInput& input, const Plan& plan, bool local,
                                                     const std::string& request_id);
  absl::Status CaptureAll(TransactionRecord& record);
  void StartStep(const std::string& run_id, const StepRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AwaitSteps(const std::string& run_id, const std::vector<std::string>& step_ids);
  absl::Status ApplyInOrder(const std::string& run_id);

  // Moves to kUndoing if the table allows it, and starts the undo.
  absl::Status BeginUndo(const std::string& run_id, TransactionState from, std::string_view decided_by,
                         const std::string& reason);
  void StartUndo(const std::string& run_id);
  void RunUndo(const std::string& run_id);
  // True when everything is settled; false when it should look again soon.
  absl::StatusOr<bool> UndoReady(const TransactionRecord& record);
  bool SiblingsAllow(const TransactionRecord& record, const std::string& step_id);
  absl::Status FinishUndo(const TransactionRecord& record);
  absl::StatusOr<TransactionRecord> AwaitUndone(const std::string& run_id,
                                                const std::vector<std::string>& step_ids);
  absl::Status DecideCommit(const std::string& run_id, std::string_view decided_by);

  // Transactions that their call left open because not even their undo could be written: nobody would finish
  // them. While `begin_mutex_` is held, no call is at work on one. `rows`: what the journal held a moment
  // ago.
  absl::Status UndoWhatNobodyFinishes(const std::vector<TransactionRow>& rows, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(begin_mutex_);
  void Watch();
  void CheckDeadline(const TransactionRow& row);
  void CheckDoubt(const TransactionRow& row);
  bool Stopping();

  Journal& journal_;
  const Clock& clock_;
  Siblings& siblings_;
  const Settings settings_;
  Reversal domain_;
  StepExecution execution_;

  absl::Mutex fence_mutex_;
  // One Prepare or local change begins at a time, so that two cannot both find the lock free.
  absl::Mutex begin_mutex_;

  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> preparing_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<std::string, std::string>> running_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> undoing_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Secrets> secrets_ ABSL_GUARDED_BY(mutex_);

  // Last, so that its threads end before what they use.
  Workers workers_;
  std::thread watch_;
};

// The keys that the plan's steps take away.
std::vector<std::string> RemovedBy(const Plan& plan);

// The outcome of one journaled step, as answers show it.
Outcome OutcomeOf(const StepRow& row);

}  // namespace phoenix::kit
