#include "services/kit/transaction/table.h"

namespace phoenix::kit {
namespace {

using S = TransactionState;

constexpr int kStates = 7;
constexpr int kMessages = 8;

// Rows: states from kNone to kCommitted. Columns: messages from kPrepare to kSiblingUndo.
constexpr Row kTable[kStates][kMessages] = {
    // kNone. An Undo for an unknown run leaves a tombstone, so that a late Prepare is refused.
    {{Answer::kWork, S::kPrepared},
     {Answer::kUnknown, S::kNone},
     {Answer::kUnknown, S::kNone},
     {Answer::kUnknown, S::kNone},
     {Answer::kConflict, S::kNone},
     {Answer::kWork, S::kUndone},
     {Answer::kIgnore, S::kNone},
     {Answer::kWork, S::kUndone}},
    // kPreparing
    {{Answer::kWait, S::kPreparing},
     {Answer::kWait, S::kPreparing},
     {Answer::kWait, S::kPreparing},
     {Answer::kWait, S::kPreparing},
     {Answer::kConflict, S::kPreparing},
     {Answer::kWork, S::kUndoing},
     {Answer::kWork, S::kUndoing},
     {Answer::kWork, S::kUndoing}},
    // kPrepared
    {{Answer::kRecorded, S::kPrepared},
     {Answer::kWork, S::kPrepared},
     {Answer::kWork, S::kPrepared},
     {Answer::kWork, S::kInDoubt},
     {Answer::kConflict, S::kPrepared},
     {Answer::kWork, S::kUndoing},
     {Answer::kWork, S::kUndoing},
     {Answer::kWork, S::kUndoing}},
    // kInDoubt: the deadline never ends it.
    {{Answer::kRecorded, S::kInDoubt},
     {Answer::kRecorded, S::kInDoubt},
     {Answer::kRecorded, S::kInDoubt},
     {Answer::kRecorded, S::kInDoubt},
     {Answer::kWork, S::kCommitted},
     {Answer::kWork, S::kUndoing},
     {Answer::kIgnore, S::kInDoubt},
     {Answer::kWork, S::kUndoing}},
    // kUndoing: no way back, and it needs nobody.
    {{Answer::kAborted, S::kUndoing},
     {Answer::kAborted, S::kUndoing},
     {Answer::kAborted, S::kUndoing},
     {Answer::kAborted, S::kUndoing},
     {Answer::kConflict, S::kUndoing},
     {Answer::kWork, S::kUndoing},
     {Answer::kIgnore, S::kUndoing},
     {Answer::kRecorded, S::kUndoing}},
    // kUndone
    {{Answer::kAborted, S::kUndone},
     {Answer::kAborted, S::kUndone},
     {Answer::kAborted, S::kUndone},
     {Answer::kAborted, S::kUndone},
     {Answer::kConflict, S::kUndone},
     {Answer::kRecorded, S::kUndone},
     {Answer::kIgnore, S::kUndone},
     {Answer::kRecorded, S::kUndone}},
    // kCommitted
    {{Answer::kRecorded, S::kCommitted},
     {Answer::kRecorded, S::kCommitted},
     {Answer::kRecorded, S::kCommitted},
     {Answer::kRecorded, S::kCommitted},
     {Answer::kRecorded, S::kCommitted},
     {Answer::kConflict, S::kCommitted},
     {Answer::kIgnore, S::kCommitted},
     {Answer::kConflict, S::kCommitted}},
};

}  // namespace

Row Lookup(TransactionState state, ProtocolMessage message) {
  return kTable[static_cast<int>(state)][static_cast<int>(message)];
}

bool IsOpen(TransactionState state) {
  return state == S::kPreparing || state == S::kPrepared || state == S::kInDoubt || state == S::kUndoing;
}

std::string_view ToText(TransactionState state) {
  switch (state) {
    case S::kNone:
      return "NONE";
    case S::kPreparing:
      return "PREPARING";
    case S::kPrepared:
      return "PREPARED";
    case S::kInDoubt:
      return "IN_DOUBT";
    case S::kUndoing:
      return "UNDOING";
    case S::kUndone:
      return "UNDONE";
    case S::kCommitted:
      return "COMMITTED";
  }
  return "?";
}

}  // namespace phoenix::kit
