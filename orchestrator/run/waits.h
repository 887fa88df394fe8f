// Whom a run waits for: what its watchers are told while nothing happens. Pure.
//
// A silence is no event: nothing is decided by it before the patience ends, which is an event of its own;
// after a restart it begins anew; and a write for every fruitless call would fill the log of a run that waits
// for a dead node overnight.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/run/decide.h"
#include "orchestrator/run/event.h"

namespace phoenix::run {

struct Wait {
  ParticipantId who;
  std::string call;           // "Apply"
  int64_t since_seconds = 0;  // wall clock
  int64_t seconds = 0;        // how long by now
  // Why the last call failed; empty while the first one has no answer.
  std::string problem;
};

// The participant's RPC that the command calls; empty for a command that is no call.
std::string_view CallOf(Command::Kind kind);

// Those worth a word: a call that failed is repeated for a moment, and a step may take its time.
std::vector<Wait> Notable(const std::vector<Wait>& waits);

// The wait in words, for people.
std::string Describe(const Wait& wait);

// What one watcher was told already.
class WaitNotices {
 public:
  // The notable ones that he was not told in the last minute. `now_seconds`: of any clock that does not jump.
  std::vector<Wait> Due(const std::vector<Wait>& waits, int64_t now_seconds);

 private:
  std::map<std::pair<ParticipantId, std::string>, int64_t> told_;
};

}  // namespace phoenix::run
