// The shell around the pure core: it appends what Decide() asks for, makes the calls, and appends what they
// answered. One thread drives one run; calls run on threads of their own.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/time/clock.h"
#include "base/workers.h"
#include "orchestrator/engine/fleet_planner.h"
#include "orchestrator/run/decide.h"
#include "orchestrator/run/intervention.h"
#include "orchestrator/run/state.h"
#include "orchestrator/run/waits.h"
#include "orchestrator/store/run_store.h"

namespace phoenix::engine {

// Reads the secrets of a file again, for runs that outlive the memory of this process.
using SecretsReader = std::function<absl::StatusOr<Secrets>(const std::string& path)>;

// A run with its log.
struct RunView {
  std::string run_id;
  run::RunState state;
  std::vector<run::Event> events;
};

// Thread-safe.
class RunEngine {
 public:
  struct Settings {
    // How long a participant may stay silent before a run that can still be undone gives up.
    std::chrono::seconds patience{120};
  };
  RunEngine(store::RunStore& store, fleet::Channels& channels, FleetPlanner& planner,
            SecretsReader read_secrets, const Clock& clock, Settings settings);
  ~RunEngine();

  // Takes a new leadership and goes on with every run that has not ended.
  absl::Status Start();

  absl::StatusOr<run::FleetPlan> MakePlan(const run::Request& request, const Secrets& secrets) {
    return planner_.MakePlan(request, secrets, authority());
  }
  // Plans, and answers the run's id once it is begun; a repeated request_id answers the first run. A plan
  // that needs to be allowed more than it was is refused (run/consent.h), and there is no run.
  absl::StatusOr<std::string> CreateRun(const run::Request& request, const Secrets& secrets);
  absl::StatusOr<RunView> GetRun(const std::string& run_id);
  absl::StatusOr<std::vector<RunView>> ListRuns();
  // What a person says to a run that is under way. Answers once it is in the run's log, or why it does not
  // count.
  absl::Status Intervene(const std::string& run_id,
                         const std::function<run::Intervention(const run::RunState&)>& intervention);
  // Answers OK only once COMMITTED is in the log.
  absl::Status Confirm(const std::string& run_id);
  // Whom the run waits for at this moment, short waits too; nobody where it is not driven here.
  std::vector<run::Wait> WaitsOf(const std::string& run_id);
  // Whose runs these are: what nodes must obey. Empty before Start().
  const std::string& authority() const { return leadership_.authority; }
  // The events after `sequence`; waits up to `limit` for the first of them. Empty when the run has ended or
  // nothing came; UNAVAILABLE where the run goes on without this process.
  absl::StatusOr<std::vector<run::Event>> AwaitEvents(const std::string& run_id, int64_t sequence,
                                                      std::chrono::milliseconds limit);

 private:
  struct Driver;
  // `plan`: what CreateRun planned for it already, or why it could not.
  void StartDriver(const std::string& run_id, std::vector<run::Event> events, const Secrets& secrets,
                   std::optional<absl::StatusOr<run::FleetPlan>> plan);
  void Drive(Driver& driver);
  // False where the store refused it or its fate is unknown: the log was read again, so decide again.
  bool AppendEvent(Driver& driver, run::Event event);
  void ReadAgain(Driver& driver);
  // Somebody else leads: this process must not decide anything any more.
  void StepDown();
  void StartCall(Driver& driver, const run::Command& command);
  void TakeAnswers(Driver& driver);
  void GiveUp(Driver& driver, const std::string& reason);
  void TakeInterventions(Driver& driver);
  void EndUnconfirmed(Driver& driver);
  void DoPlan(Driver& driver);
  bool Stopping();

  store::RunStore& store_;
  fleet::Channels& channels_;
  FleetPlanner& planner_;
  const SecretsReader read_secrets_;
  const Clock& clock_;
  const Settings settings_;
  store::Leadership leadership_;

  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::shared_ptr<Driver>> drivers_ ABSL_GUARDED_BY(mutex_);
  Workers calls_{512};
  Workers driver_threads_{256};
};

}  // namespace phoenix::engine
