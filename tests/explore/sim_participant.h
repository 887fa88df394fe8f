// A participant as the commit protocol sees it: durable rows, a machine that outlives it, and a process that
// may end between any two of its writes. Which message does what in which state is the product's own table
// (services/kit/transaction/table.h); the work between is modelled.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/run/event.h"
#include "services/kit/transaction/table.h"
#include "tests/explore/schedule_random.h"

namespace phoenix::explore {

using kit::TransactionState;

enum class RowState { kIdle, kIntent, kDone, kUndoIntent, kReverted };

struct SimStep {
  std::string id;
  std::vector<size_t> before;  // own steps that come first
  // Steps of the sibling, by number, that were built on this one.
  std::vector<size_t> undo_after;
  // The sibling's steps that it was built on; for the invariants only.
  std::vector<size_t> built_on;
  bool fails = false;
};

// What a call asks for; the kinds are the protocol's messages.
struct SimCall {
  int64_t leader = 0;  // which process asked
  int64_t epoch = 0;
  std::string command_key;
  kit::ProtocolMessage message = kit::ProtocolMessage::kPrepare;
  bool await_confirm = false;
  run::ParticipantId who;
  std::vector<std::string> step_ids;
};

struct SimAnswer {
  int64_t leader = 0;
  std::string command_key;
  // Without an event the outcome is unknown.
  std::optional<run::Event> event;
  bool stale_epoch = false;
};

class SimParticipant {
 public:
  SimParticipant(run::ParticipantId id, std::vector<SimStep> steps);

  // --- what survives everything
  struct Durable {
    TransactionState state = TransactionState::kNone;
    int64_t epoch = 0;
    std::vector<RowState> rows;
    std::string decided_by;
    std::optional<int64_t> deadline;
    bool confirm = false;
  };
  Durable durable;
  std::vector<bool> effects;  // what is there on the machine
  std::vector<int> applied;   // how often it was brought about
  bool alive = true;
  bool disk_full = false;

  const run::ParticipantId& id() const { return id_; }
  const std::vector<SimStep>& steps() const { return steps_; }
  SimParticipant* sibling = nullptr;

  // Takes a call. What it cannot answer at once is answered by Progress().
  void Take(const SimCall& call, int64_t now, int64_t patience);
  // One small thing: a durable write, an effect, an answer. False when there was nothing to do.
  bool Progress(Random& random, int64_t now);
  // The process ends; its children go on. With `reboot` they end too, done or not.
  void Crash(bool reboot, Random& random);
  void Start();
  std::vector<SimAnswer> TakeAnswers() { return std::exchange(answers_, {}); }
  // The sibling began to undo.
  void JoinUndo();

  // The next step, or undo, of this participant does not work at its first try. False where nothing is under
  // way.
  bool FailNext();

  bool Open() const { return kit::IsOpen(durable.state); }
  // Set where an invariant of one participant alone does not hold.
  std::string violation;
  // Durable writes since the world last looked.
  bool wrote = false;

 private:
  enum class Child { kNone, kDoing, kUndoing };
  bool Write();
  void Refuse(const SimCall& call, const std::string& why, bool stale = false);
  void Succeed(const SimCall& call);
  bool BeginUndo(const std::string& by);
  bool FinishChild(size_t step);
  bool SettleStep(size_t step);
  bool UndoSome();
  bool AnswerSome();
  bool ApplySome(Random& random);
  bool AllDone() const;

  const run::ParticipantId id_;
  const std::vector<SimStep> steps_;
  std::vector<Child> children_;
  std::vector<bool> wanted_;  // steps that somebody waits for; gone with the process
  std::vector<SimCall> waiting_;
  std::vector<SimAnswer> answers_;
  std::vector<std::string> errors_;
  bool fail_next_ = false;
  bool preparing_ = false;
  bool told_sibling_ = false;
};

}  // namespace phoenix::explore
