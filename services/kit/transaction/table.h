// The binding table of the commit protocol: participant state × message. It is model-checked; code that
// differs from it is wrong, and a changed row needs a changed and re-checked model
// (docs/adr/0001-commit-protocol.md). Pure.
#pragma once

#include <string_view>

namespace phoenix::kit {

enum class TransactionState { kNone = 0, kPreparing, kPrepared, kInDoubt, kUndoing, kUndone, kCommitted };

enum class ProtocolMessage {
  kPrepare,
  kApply,
  kVerify,
  kPrepareCommit,
  kCommit,
  kUndo,
  kDeadline,
  kSiblingUndo
};

enum class Answer {
  kWork,      // do what the message asks for in this state
  kWait,      // Prepare is under way: wait for it, then look again
  kRecorded,  // answer OK from what is durable already
  kAborted,   // undo has begun: ABORTED
  kConflict,  // the other decision was taken: CONFLICT
  kUnknown,   // no such transaction here: refused
  kIgnore,    // nothing to do (deadlines only)
};

struct Row {
  Answer answer;
  // The state that one durable write sets before the answer; the same state where nothing is written.
  TransactionState next;
};

// `next` of kPrepare and kPrepareCommit holds if the work succeeds.
Row Lookup(TransactionState state, ProtocolMessage message);

// True while the transaction holds the participant's lock.
bool IsOpen(TransactionState state);

std::string_view ToText(TransactionState state);

}  // namespace phoenix::kit
