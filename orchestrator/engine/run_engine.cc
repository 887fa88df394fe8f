#include "orchestrator/engine/run_engine.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <set>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "orchestrator/engine/node_calls.h"
#include "orchestrator/run/consent.h"

namespace phoenix::engine {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::milliseconds kLongestPause{5000};
constexpr absl::Duration kStorePause = absl::Seconds(1);

// True for the plan that the caller agreed to, or where he agreed to any.
bool IsAgreedTo(const run::FleetPlan& plan, const run::Request& request) {
  return request.expected_plan_digest.empty() || request.expected_plan_digest == plan.digest;
}

}  // namespace

struct RunEngine::Driver {
  std::string run_id;
  Secrets secrets;
  std::optional<absl::StatusOr<run::FleetPlan>> plan;  // made before there was a run; taken by DoPlan
  run::RunState state;
  // Guarded by the engine's mutex, as is everything below.
  std::vector<run::Event> events;
  // What they come to, for whoever asks; `state` is the driving thread's own.
  std::shared_ptr<const run::RunState> published;

  struct Finished {
    std::string key;
    run::ParticipantId who;
    Answer answer;
  };
  std::deque<Finished> finished;
  // By key: since when. The clock's, for people, and the steady one.
  struct Since {
    int64_t wall_seconds = 0;
    steady_clock::time_point steady;
  };
  std::map<std::string, Since> under_way;
  // Calls whose outcome is unknown: when to ask again, and since when the participant is silent.
  struct Pause {
    steady_clock::time_point until;
    Since since;
    std::chrono::milliseconds length;
    std::string problem;
  };
  std::map<std::string, Pause> pauses;

  // What a person said and nobody answered yet. Only the driving thread writes the log.
  struct Said {
    std::function<run::Intervention(const run::RunState&)> intervention;
    std::optional<absl::Status> answer;
  };
  std::deque<std::shared_ptr<Said>> said;
};

RunEngine::RunEngine(store::RunStore& store, fleet::Channels& channels, FleetPlanner& planner,
                     SecretsReader read_secrets, const Clock& clock, Settings settings)
    : store_(store),
      channels_(channels),
      planner_(planner),
      read_secrets_(std::move(read_secrets)),
      clock_(clock),
      settings_(settings) {}

RunEngine::~RunEngine() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  driver_threads_.Wait();
  calls_.Wait();
}

bool RunEngine::Stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

absl::Status RunEngine::Start() {
  PHX_ASSIGN_OR_RETURN(leadership_, store_.TakeLeadership());
  spdlog::info("leading as authority {} in epoch {}", leadership_.authority, leadership_.epoch);
  PHX_ASSIGN_OR_RETURN(const auto run_ids, store_.ListRuns());
  for (const std::string& run_id : run_ids) {
    auto events = store_.Load(run_id);
    if (!events.ok()) {
      spdlog::error("run {}: {}", run_id, Message(events.status()));
      continue;
    }
    const auto state = run::Fold(*events);
    if (!state.ok()) {
      // One damaged log must not keep the other runs from going on.
      spdlog::error("run {}: {}", run_id, Message(state.status()));
      continue;
    }
    if (state->Ended()) continue;
    spdlog::info("run {} goes on in {}", run_id, run::ToText(state->phase));
    Secrets secrets;
    if (!state->request->secrets_file.empty()) {
      auto read = read_secrets_(state->request->secrets_file);
      if (read.ok()) secrets = *std::move(read);
    }
    StartDriver(run_id, *std::move(events), secrets, std::nullopt);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> RunEngine::CreateRun(const run::Request& request, const Secrets& secrets) {
  PHX_ASSIGN_OR_RETURN(const auto repeated, store_.FindByRequest(request.request_id));
  if (repeated) return *repeated;
  // Before there is a run: what may not be done is refused to the caller's face and leaves nothing behind.
  auto plan = MakePlan(request, secrets);
  if (plan.ok() && IsAgreedTo(*plan, request)) PHX_RETURN_IF_ERROR(run::CheckConsent(*plan, request));
  std::string run_id = RandomUuid();
  run::Event created;
  created.kind = run::Event::Kind::kCreated;
  created.request = std::make_shared<run::Request>(request);
  auto stored = store_.Create(run_id, request.request_id, leadership_.epoch, created);
  if (stored.status().code() == absl::StatusCode::kAlreadyExists) {
    PHX_ASSIGN_OR_RETURN(const auto first, store_.FindByRequest(request.request_id));
    if (first) return *first;
  }
  PHX_RETURN_IF_ERROR(stored.status());
  StartDriver(run_id, {*std::move(stored)}, secrets, std::move(plan));
  return run_id;
}

void RunEngine::StartDriver(const std::string& run_id, std::vector<run::Event> events, const Secrets& secrets,
                            std::optional<absl::StatusOr<run::FleetPlan>> plan) {
  auto driver = std::make_shared<Driver>();
  driver->run_id = run_id;
  driver->secrets = secrets;
  driver->plan = std::move(plan);
  // The log was folded once already, or is new.
  driver->state = *run::Fold(events);
  driver->published = std::make_shared<const run::RunState>(driver->state);
  driver->events = std::move(events);
  {
    absl::MutexLock lock(&mutex_);
    drivers_[run_id] = driver;
  }
  driver_threads_.Start([this, driver] {
    Drive(*driver);
    absl::MutexLock lock(&mutex_);
    drivers_.erase(driver->run_id);
    changed_.SignalAll();
  });
}

bool RunEngine::AppendEvent(Driver& driver, run::Event event) {
  auto stored = store_.Append(driver.run_id, leadership_.epoch, driver.state.head_hash, std::move(event));
  if (!stored.ok()) {
    spdlog::error("run {}: {}", driver.run_id, Message(stored.status()));
    const auto reason = ReasonOf(stored.status());
    if (reason && reason->reason == "NOT_LEADER") {
      StepDown();
    } else {
      ReadAgain(driver);
    }
    return false;
  }
  const absl::Status folded = run::Apply(driver.state, *stored);
  if (!folded.ok()) {
    spdlog::error("run {}: {}", driver.run_id, Message(folded));
    return false;
  }
  spdlog::info("run {} #{}: {}", driver.run_id, stored->sequence, run::Describe(*stored));
  auto published = std::make_shared<const run::RunState>(driver.state);
  absl::MutexLock lock(&mutex_);
  driver.published = std::move(published);
  driver.events.push_back(*std::move(stored));
  changed_.SignalAll();
  return true;
}

void RunEngine::ReadAgain(Driver& driver) {
  auto events = store_.Load(driver.run_id);
  auto state = events.ok() ? run::Fold(*events) : events.status();
  absl::MutexLock lock(&mutex_);
  if (!state.ok() || state->head_hash == driver.state.head_hash) {
    // Nothing new: the store itself is in trouble, and asking it at once again would not help it.
    if (!stopping_) changed_.WaitWithTimeout(&mutex_, kStorePause);
    return;
  }
  driver.state = *std::move(state);
  driver.published = std::make_shared<const run::RunState>(driver.state);
  driver.events = *std::move(events);
  changed_.SignalAll();
}

void RunEngine::StepDown() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  changed_.SignalAll();
}

void RunEngine::GiveUp(Driver& driver, const std::string& reason) {
  const run::Phase phase = driver.state.phase;
  if (phase == run::Phase::kRollingBack || phase == run::Phase::kCommitted || driver.state.Ended()) return;
  run::Event event;
  if (!driver.state.plan) {
    event.kind = run::Event::Kind::kEnded;
    event.phase = run::Phase::kNothingDone;
  } else {
    event.kind = run::Event::Kind::kRollingBack;
  }
  event.error = reason;
  AppendEvent(driver, std::move(event));
}

void RunEngine::DoPlan(Driver& driver) {
  const run::Request& request = *driver.state.request;
  auto plan = driver.plan ? *std::exchange(driver.plan, std::nullopt) : MakePlan(request, driver.secrets);
  if (!plan.ok()) return GiveUp(driver, Message(plan.status()));
  if (!IsAgreedTo(*plan, request)) {
    return GiveUp(driver, "the fleet now needs other steps than the plan that was agreed to; plan again");
  }
  // Again, since a run that was interrupted here may find another plan.
  if (const absl::Status refused = run::CheckConsent(*plan, request); !refused.ok())
    return GiveUp(driver, Message(refused));
  const bool empty = plan->sequence.empty();
  run::Event planned;
  planned.kind = run::Event::Kind::kPlanned;
  planned.plan = std::make_shared<run::FleetPlan>(*std::move(plan));
  if (!AppendEvent(driver, std::move(planned)) || !empty) return;
  run::Event ended;
  ended.kind = run::Event::Kind::kEnded;
  ended.phase = run::Phase::kNothingDone;
  AppendEvent(driver, std::move(ended));
}

void RunEngine::StartCall(Driver& driver, const run::Command& command) {
  const std::string key = run::KeyOf(command);
  {
    absl::MutexLock lock(&mutex_);
    // One that has answered is not made again before its answer was taken.
    const auto answered = [&](const Driver::Finished& finished) { return finished.key == key; };
    if (driver.under_way.contains(key) || std::ranges::any_of(driver.finished, answered)) return;
    const auto pause = driver.pauses.find(key);
    if (pause != driver.pauses.end() && steady_clock::now() < pause->second.until) return;
    driver.under_way[key] = {clock_.WallSeconds(), steady_clock::now()};
  }
  // A copy: the state moves on while the call waits.
  calls_.Start([this, &driver, command, key, state = driver.state, secrets = driver.secrets] {
    Answer answer = MakeCall(channels_, leadership_, driver.run_id, state, command, secrets);
    absl::MutexLock lock(&mutex_);
    driver.finished.push_back({key, command.who, std::move(answer)});
    driver.under_way.erase(key);
    changed_.SignalAll();
  });
}

void RunEngine::TakeAnswers(Driver& driver) {
  while (true) {
    Driver::Finished finished;
    {
      absl::MutexLock lock(&mutex_);
      if (driver.finished.empty()) return;
      finished = std::move(driver.finished.front());
      driver.finished.pop_front();
    }
    const auto now = steady_clock::now();
    if (!finished.answer.event) {
      bool silent_for_too_long = false, first_time = false;
      {
        absl::MutexLock lock(&mutex_);
        const Driver::Since since{clock_.WallSeconds(), now};
        auto [pause, first] =
            driver.pauses.try_emplace(finished.key, Driver::Pause{now, since, kFirstPause, ""});
        first_time = first;
        if (!first) pause->second.length = std::min(pause->second.length * 2, kLongestPause);
        pause->second.until = now + pause->second.length;
        pause->second.problem = Message(finished.answer.status);
        silent_for_too_long = now - pause->second.since.steady > settings_.patience;
      }
      const std::string problem =
          fmt::format("{}: {}", run::ToText(finished.who), Message(finished.answer.status));
      if (first_time) spdlog::warn("run {}: {}; asking again until it answers", driver.run_id, problem);
      if (silent_for_too_long) GiveUp(driver, problem);
      continue;
    }
    {
      absl::MutexLock lock(&mutex_);
      driver.pauses.erase(finished.key);
    }
    const auto reason = ReasonOf(finished.answer.status);
    if (reason && reason->reason == "STALE_EPOCH") {
      spdlog::error("run {}: {}", driver.run_id, Message(finished.answer.status));
      return StepDown();
    }
    const run::Event& event = *finished.answer.event;
    const bool undoing = driver.state.phase == run::Phase::kRollingBack;
    // A late answer of a phase that is over has nothing to say: undo asks the node itself.
    if (undoing && event.kind != run::Event::Kind::kUndone) continue;
    if (!AppendEvent(driver, event)) return;
  }
}

void RunEngine::Drive(Driver& driver) {
  const run::Request& request = *driver.state.request;
  const bool resumed = driver.events.size() > 1;
  if (resumed && request.inline_secrets && driver.state.phase != run::Phase::kCommitted &&
      driver.state.phase != run::Phase::kCommitting) {
    GiveUp(driver, "the orchestrator restarted and the secrets were in its memory only");
  }
  while (!Stopping() && !driver.state.Ended()) {
    const int64_t before = driver.state.sequence;
    TakeAnswers(driver);
    TakeInterventions(driver);
    EndUnconfirmed(driver);
    const auto commands = run::Decide(driver.state, leadership_.epoch);
    for (const run::Command& command : commands) {
      if (command.kind == run::Command::Kind::kAppend) {
        if (!AppendEvent(driver, command.event)) break;
      } else if (command.kind == run::Command::Kind::kPlan) {
        DoPlan(driver);
      } else {
        StartCall(driver, command);
      }
    }
    if (driver.state.sequence != before) continue;
    absl::MutexLock lock(&mutex_);
    if (driver.finished.empty() && driver.said.empty() && !stopping_)
      changed_.WaitWithTimeout(&mutex_, absl::Milliseconds(100));
  }
  // Calls hold references to the driver.
  absl::MutexLock lock(&mutex_);
  while (!driver.under_way.empty()) changed_.WaitWithTimeout(&mutex_, absl::Milliseconds(100));
}

void RunEngine::TakeInterventions(Driver& driver) {
  while (true) {
    std::shared_ptr<Driver::Said> said;
    {
      absl::MutexLock lock(&mutex_);
      if (driver.said.empty()) return;
      said = driver.said.front();
    }
    absl::Status answer;
    if (auto event = said->intervention(driver.state); !event.ok()) {
      answer = std::move(event).status();
    } else if (*event && !AppendEvent(driver, **std::move(event))) {
      return;  // the log moved meanwhile: judged again, by what is there now
    }
    absl::MutexLock lock(&mutex_);
    said->answer = std::move(answer);
    driver.said.pop_front();
    changed_.SignalAll();
  }
}

// Every node undoes by itself when its own deadline has passed; this only lets the run hear of it.
void RunEngine::EndUnconfirmed(Driver& driver) {
  if (driver.state.phase != run::Phase::kAwaitingConfirm || driver.state.confirmed) return;
  int64_t armed_seconds = 0;
  for (const run::Event& event : driver.events) {
    if (event.kind == run::Event::Kind::kConfirmArmed) armed_seconds = event.time_seconds;
  }
  if (armed_seconds == 0) return;
  const auto within = std::chrono::nanoseconds(driver.state.request->confirm_within_ns);
  const auto waited = std::chrono::seconds(clock_.WallSeconds() - armed_seconds);
  if (waited >= within) GiveUp(driver, "it was not confirmed in time");
}

absl::Status RunEngine::Intervene(
    const std::string& run_id, const std::function<run::Intervention(const run::RunState&)>& intervention) {
  {
    absl::MutexLock lock(&mutex_);
    const auto found = drivers_.find(run_id);
    if (found != drivers_.end()) {
      const std::shared_ptr<Driver> driver = found->second;
      auto said = std::make_shared<Driver::Said>();
      said->intervention = intervention;
      driver->said.push_back(said);
      changed_.SignalAll();
      while (!said->answer && !stopping_ && drivers_.contains(run_id)) changed_.Wait(&mutex_);
      if (said->answer) return *std::move(said->answer);
      if (stopping_) return Unavailable("this orchestrator ends; say it to the next one");
    }
  }
  // It has ended: the same rule says why nothing can be said to it.
  PHX_ASSIGN_OR_RETURN(const RunView view, GetRun(run_id));
  const auto event = intervention(view.state);
  PHX_RETURN_IF_ERROR(event.status());
  return *event ? Unavailable("run {} is not driven by this orchestrator", run_id) : absl::OkStatus();
}

absl::Status RunEngine::Confirm(const std::string& run_id) {
  PHX_RETURN_IF_ERROR(Intervene(run_id, [](const run::RunState& state) { return run::Confirm(state); }));
  int64_t seen = 0;
  while (true) {
    PHX_ASSIGN_OR_RETURN(const RunView view, GetRun(run_id));
    if (view.state.phase == run::Phase::kCommitted) return absl::OkStatus();
    if (view.state.Ended() || view.state.phase == run::Phase::kRollingBack) {
      return Aborted("the confirmation came too late, or a node could not keep the new state: {}",
                     view.state.error);
    }
    seen = view.state.sequence;
    PHX_RETURN_IF_ERROR(AwaitEvents(run_id, seen, std::chrono::seconds(1)).status());
  }
}

absl::StatusOr<RunView> RunEngine::GetRun(const std::string& run_id) {
  {
    absl::MutexLock lock(&mutex_);
    const auto driver = drivers_.find(run_id);
    if (driver != drivers_.end()) {
      return RunView{run_id, *driver->second->published, driver->second->events};
    }
  }
  PHX_ASSIGN_OR_RETURN(auto events, store_.Load(run_id));
  PHX_ASSIGN_OR_RETURN(run::RunState state, run::Fold(events));
  return RunView{run_id, std::move(state), std::move(events)};
}

std::vector<run::Wait> RunEngine::WaitsOf(const std::string& run_id) {
  std::vector<run::Wait> waits;
  absl::MutexLock lock(&mutex_);
  const auto found = drivers_.find(run_id);
  if (found == drivers_.end()) return waits;
  const Driver& driver = *found->second;
  // What the state asks for: calls of a phase that is over are waited for by nobody.
  for (const run::Command& command : run::Decide(*driver.published, leadership_.epoch)) {
    const std::string key = run::KeyOf(command);
    const auto pause = driver.pauses.find(key);
    const auto call = driver.under_way.find(key);
    if (pause == driver.pauses.end() && call == driver.under_way.end()) continue;
    const Driver::Since& since = pause != driver.pauses.end() ? pause->second.since : call->second;
    const auto lasted = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - since.steady);
    waits.push_back({command.who, std::string(run::CallOf(command.kind)), since.wall_seconds, lasted.count(),
                     pause != driver.pauses.end() ? pause->second.problem : ""});
  }
  return waits;
}

absl::StatusOr<std::vector<RunView>> RunEngine::ListRuns() {
  PHX_ASSIGN_OR_RETURN(const auto run_ids, store_.ListRuns());
  std::vector<RunView> views;
  for (const std::string& run_id : run_ids) {
    PHX_ASSIGN_OR_RETURN(RunView view, GetRun(run_id));
    views.push_back(std::move(view));
  }
  return views;
}

absl::StatusOr<std::vector<run::Event>> RunEngine::AwaitEvents(const std::string& run_id, int64_t sequence,
                                                               std::chrono::milliseconds limit) {
  const auto deadline = absl::Now() + absl::FromChrono(limit);
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      const auto driver = drivers_.find(run_id);
      if (driver != drivers_.end()) {
        const auto& events = driver->second->events;
        if (static_cast<int64_t>(events.size()) > sequence) {
          return std::vector<run::Event>(events.begin() + sequence, events.end());
        }
        if (stopping_) return Unavailable("this orchestrator ends; run {} goes on with the next one", run_id);
        if (changed_.WaitWithDeadline(&mutex_, deadline)) return std::vector<run::Event>();
        continue;
      }
    }
    PHX_ASSIGN_OR_RETURN(const auto events, store_.Load(run_id));
    if (static_cast<int64_t>(events.size()) <= sequence) {
      if (events.back().kind == run::Event::Kind::kEnded) return std::vector<run::Event>();
      return Unavailable("run {} has not ended, and this orchestrator does not drive it", run_id);
    }
    return std::vector<run::Event>(events.begin() + sequence, events.end());
  }
}

}  // namespace phoenix::engine
