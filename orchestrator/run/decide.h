// What a run needs next, from its state alone. Pure: the same state gives the same commands, so a crash loses
// nothing; calls already under way are the shell's to remember.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/run/event.h"
#include "orchestrator/run/state.h"

namespace phoenix::run {

struct Command {
  enum class Kind {
    kAppend,   // event: append it, fold it, decide again
    kPlan,     // plan over the fleet, then append what came of it
    kPrepare,  // the rest are calls to `who`
    kApply,    // step_ids
    kVerify,
    kAwaitConfirm,
    kPrepareCommit,
    kCommit,
    kUndo,
  };
  Kind kind = Kind::kAppend;
  Event event;
  ParticipantId who;
  std::vector<std::string> step_ids;
};

// Identifies a call, so that the shell does not start it twice.
std::string KeyOf(const Command& command);

// `epoch`: the leadership that asks. Either one kAppend, or calls of the current phase; empty when there is
// nothing to do but wait, or the run has ended.
std::vector<Command> Decide(const RunState& state, int64_t epoch);

}  // namespace phoenix::run
