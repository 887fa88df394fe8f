#include "services/kit/transaction/table.h"

#include <gtest/gtest.h>

#include <iterator>

namespace phoenix::kit {
namespace {

// The table of docs/adr/0001, row by row: what each state answers to each message.
TEST(BindingTable, RowByRow) {
  using S = TransactionState;
  using M = ProtocolMessage;
  struct Expected {
    S state;
    M message;
    Answer answer;
    S next;
  };
  const Expected rows[] = {
      {S::kNone, M::kPrepare, Answer::kWork, S::kPrepared},
      {S::kNone, M::kApply, Answer::kUnknown, S::kNone},
      {S::kNone, M::kVerify, Answer::kUnknown, S::kNone},
      {S::kNone, M::kPrepareCommit, Answer::kUnknown, S::kNone},
      {S::kNone, M::kCommit, Answer::kConflict, S::kNone},
      {S::kNone, M::kUndo, Answer::kWork, S::kUndone},
      {S::kNone, M::kDeadline, Answer::kIgnore, S::kNone},
      {S::kNone, M::kSiblingUndo, Answer::kWork, S::kUndone},
      {S::kPreparing, M::kPrepare, Answer::kWait, S::kPreparing},
      {S::kPreparing, M::kApply, Answer::kWait, S::kPreparing},
      {S::kPreparing, M::kVerify, Answer::kWait, S::kPreparing},
      {S::kPreparing, M::kPrepareCommit, Answer::kWait, S::kPreparing},
      {S::kPreparing, M::kCommit, Answer::kConflict, S::kPreparing},
      {S::kPreparing, M::kUndo, Answer::kWork, S::kUndoing},
      {S::kPreparing, M::kDeadline, Answer::kWork, S::kUndoing},
      {S::kPreparing, M::kSiblingUndo, Answer::kWork, S::kUndoing},
      {S::kPrepared, M::kPrepare, Answer::kRecorded, S::kPrepared},
      {S::kPrepared, M::kApply, Answer::kWork, S::kPrepared},
      {S::kPrepared, M::kVerify, Answer::kWork, S::kPrepared},
      {S::kPrepared, M::kPrepareCommit, Answer::kWork, S::kInDoubt},
      {S::kPrepared, M::kCommit, Answer::kConflict, S::kPrepared},
      {S::kPrepared, M::kUndo, Answer::kWork, S::kUndoing},
      {S::kPrepared, M::kDeadline, Answer::kWork, S::kUndoing},
      {S::kPrepared, M::kSiblingUndo, Answer::kWork, S::kUndoing},
      {S::kInDoubt, M::kPrepare, Answer::kRecorded, S::kInDoubt},
      {S::kInDoubt, M::kApply, Answer::kRecorded, S::kInDoubt},
      {S::kInDoubt, M::kVerify, Answer::kRecorded, S::kInDoubt},
      {S::kInDoubt, M::kPrepareCommit, Answer::kRecorded, S::kInDoubt},
      {S::kInDoubt, M::kCommit, Answer::kWork, S::kCommitted},
      {S::kInDoubt, M::kUndo, Answer::kWork, S::kUndoing},
      {S::kInDoubt, M::kDeadline, Answer::kIgnore, S::kInDoubt},
      {S::kInDoubt, M::kSiblingUndo, Answer::kWork, S::kUndoing},
      {S::kUndoing, M::kPrepare, Answer::kAborted, S::kUndoing},
      {S::kUndoing, M::kApply, Answer::kAborted, S::kUndoing},
      {S::kUndoing, M::kVerify, Answer::kAborted, S::kUndoing},
      {S::kUndoing, M::kPrepareCommit, Answer::kAborted, S::kUndoing},
      {S::kUndoing, M::kCommit, Answer::kConflict, S::kUndoing},
      {S::kUndoing, M::kUndo, Answer::kWork, S::kUndoing},
      {S::kUndoing, M::kDeadline, Answer::kIgnore, S::kUndoing},
      {S::kUndoing, M::kSiblingUndo, Answer::kRecorded, S::kUndoing},
      {S::kUndone, M::kPrepare, Answer::kAborted, S::kUndone},
      {S::kUndone, M::kApply, Answer::kAborted, S::kUndone},
      {S::kUndone, M::kVerify, Answer::kAborted, S::kUndone},
      {S::kUndone, M::kPrepareCommit, Answer::kAborted, S::kUndone},
      {S::kUndone, M::kCommit, Answer::kConflict, S::kUndone},
      {S::kUndone, M::kUndo, Answer::kRecorded, S::kUndone},
      {S::kUndone, M::kDeadline, Answer::kIgnore, S::kUndone},
      {S::kUndone, M::kSiblingUndo, Answer::kRecorded, S::kUndone},
      {S::kCommitted, M::kPrepare, Answer::kRecorded, S::kCommitted},
      {S::kCommitted, M::kApply, Answer::kRecorded, S::kCommitted},
      {S::kCommitted, M::kVerify, Answer::kRecorded, S::kCommitted},
      {S::kCommitted, M::kPrepareCommit, Answer::kRecorded, S::kCommitted},
      {S::kCommitted, M::kCommit, Answer::kRecorded, S::kCommitted},
      {S::kCommitted, M::kUndo, Answer::kConflict, S::kCommitted},
      {S::kCommitted, M::kDeadline, Answer::kIgnore, S::kCommitted},
      {S::kCommitted, M::kSiblingUndo, Answer::kConflict, S::kCommitted},
  };
  EXPECT_EQ(std::size(rows), 7u * 8u);
  for (const Expected& row : rows) {
    const Row found = Lookup(row.state, row.message);
    EXPECT_EQ(found.answer, row.answer) << ToText(row.state) << " x " << static_cast<int>(row.message);
    EXPECT_EQ(found.next, row.next) << ToText(row.state) << " x " << static_cast<int>(row.message);
  }
}

}  // namespace
}  // namespace phoenix::kit
