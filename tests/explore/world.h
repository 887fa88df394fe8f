// One schedule: a run over simulated nodes, led by the product's own decisions (orchestrator/run), while
// calls are lost, repeated and late, processes end between any two writes, and a leader that was thought dead
// comes back.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/run/decide.h"
#include "orchestrator/run/state.h"
#include "tests/explore/sim_participant.h"

namespace phoenix::explore {

enum class Fault {
  kLeaderCrash,
  kStaleLeader,
  kDaemonCrash,
  kReboot,
  kCallLost,
  kAnswerLost,
  kCallRepeated,
  kPartition,
  kClockJump,
  kDiskFull,
  kStepFails,
  kCount,
};
std::string_view ToText(Fault fault);

// Where the run was when a fault fired. kInDoubt: committing, and a participant has given its word.
enum class Moment {
  kPreparing,
  kApplying,
  kVerifying,
  kAwaitingConfirm,
  kCommitting,
  kInDoubt,
  kCommitted,
  kRollingBack,
  kCount
};
std::string_view ToText(Moment moment);

struct Report {
  // "" where every invariant held.
  std::string violation;
  size_t nodes = 0, steps = 0;
  run::Phase end = run::Phase::kPlanning;
  std::array<std::array<int, static_cast<size_t>(Moment::kCount)>, static_cast<size_t>(Fault::kCount)>
      fired{};
  int faults = 0;
  // The last things that happened, oldest first.
  std::deque<std::string> trace;
};

class World {
 public:
  explicit World(uint64_t seed);
  Report Run();

 private:
  struct Leader {
    int64_t process = 0;
    int64_t epoch = 0;
    run::RunState state;
    std::set<std::string> under_way;
    bool stopped = false;  // paused, as a process that hangs
    bool dead = false;
  };
  struct Node {
    std::string name;
    std::vector<SimParticipant*> participants;
    bool cut_off = false;
    int64_t clock = 0;  // how far its clock is ahead
  };

  void Build();
  void NewLeader();
  bool Tick(Leader& leader);
  bool Append(Leader& leader, run::Event event);
  void Reload(Leader& leader);
  void Send(Leader& leader, const run::Command& command);
  void Deliver();
  void DeliverAnswer();
  // False where the fault has nothing to hit now.
  bool Inject(Fault fault);
  void Happen(std::string what);
  void Fired(Fault fault);
  void Check();
  void CheckBarrier();
  Moment Now() const;
  bool Settled() const;
  int64_t ClockOf(const SimParticipant& participant) const;
  Node& NodeOf(const run::ParticipantId& id);

  Random random_;
  Report report_;
  std::vector<std::unique_ptr<SimParticipant>> participants_;
  std::vector<Node> nodes_;
  // The store: one log, one epoch.
  std::vector<run::Event> log_;
  int64_t store_epoch_ = 0;
  std::vector<std::unique_ptr<Leader>> leaders_;
  std::vector<SimCall> calls_;
  std::vector<SimAnswer> answers_;
  int64_t now_ = 0;
  struct PlannedFault {
    Fault fault;
    Moment moment;
  };
  std::vector<PlannedFault> planned_;
  run::RunState logged_;  // the fold of the log
  bool healed_ = false;
  bool confirms_ = true;
};

}  // namespace phoenix::explore
