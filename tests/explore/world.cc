#include "tests/explore/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "orchestrator/run/fleet_plan.h"

namespace phoenix::explore {
namespace {

using kit::ProtocolMessage;
using run::Command;
using run::Event;

constexpr int64_t kPatience = 6'000;  // moments until a silent orchestrator is given up
constexpr int kLongest = 90'000;
constexpr int kFaultyPart = 15'000;

ProtocolMessage MessageOf(Command::Kind kind) {
  switch (kind) {
    case Command::Kind::kPrepare:
      return ProtocolMessage::kPrepare;
    case Command::Kind::kApply:
      return ProtocolMessage::kApply;
    case Command::Kind::kVerify:
    case Command::Kind::kAwaitConfirm:
      return ProtocolMessage::kVerify;
    case Command::Kind::kPrepareCommit:
      return ProtocolMessage::kPrepareCommit;
    case Command::Kind::kCommit:
      return ProtocolMessage::kCommit;
    default:
      return ProtocolMessage::kUndo;
  }
}

Event::Kind EventOf(const std::string& key) {
  switch (static_cast<Command::Kind>(std::stoi(key))) {
    case Command::Kind::kPrepare:
      return Event::Kind::kPrepared;
    case Command::Kind::kApply:
      return Event::Kind::kApplied;
    case Command::Kind::kVerify:
      return Event::Kind::kVerified;
    case Command::Kind::kAwaitConfirm:
      return Event::Kind::kConfirmArmed;
    case Command::Kind::kPrepareCommit:
      return Event::Kind::kCommitPrepared;
    case Command::Kind::kCommit:
      return Event::Kind::kCommitDelivered;
    default:
      return Event::Kind::kUndone;
  }
}

}  // namespace

std::string_view ToText(Fault fault) {
  constexpr std::string_view kNames[] = {"leader crash", "stale leader", "daemon kill -9", "node reboot",
                                         "call lost",    "answer lost",  "call repeated",  "partition",
                                         "clock jump",   "disk full",    "step fails"};
  return kNames[static_cast<size_t>(fault)];
}

std::string_view ToText(Moment moment) {
  constexpr std::string_view kNames[] = {"PREPARING",  "APPLYING", "VERIFYING", "AWAIT_CONFIRM",
                                         "COMMITTING", "IN_DOUBT", "COMMITTED", "ROLLING_BACK"};
  return kNames[static_cast<size_t>(moment)];
}

World::World(uint64_t seed) : random_(seed) { Build(); }

void World::Build() {
  const size_t nodes = 2 + random_.Below(2);
  auto plan_parts = std::vector<run::PlannedParticipant>();
  const bool fails = random_.OneIn(4);
  const bool no_return = random_.OneIn(2);
  // The first node's datasets are all there: its zfs has no steps, and only keeps what the others write into.
  const bool only_keeps = random_.OneIn(4);
  for (size_t n = 0; n < nodes; ++n) {
    Node node{fmt::format("hv{}", n + 1), {}};
    const size_t datasets = 4 + random_.Below(3);
    run::PlannedParticipant zfs, nfs;
    zfs.id = {node.name, "zfs"};
    nfs.id = {node.name, "nfs"};
    const bool there = only_keeps && n == 0;
    std::vector<SimStep> zfs_steps, nfs_steps;
    if (there) {
      zfs.checkpoints = {"p"};
    } else {
      kit::Step pool;
      pool.id = "pool";
      pool.provides = {"pool:p"};
      zfs.steps.push_back(pool);
      zfs_steps.push_back({.id = pool.id});
    }
    for (size_t d = 0; d < datasets; ++d) {
      if (!there) {
        kit::Step dataset;
        dataset.id = fmt::format("dataset{}", d);
        dataset.requires_keys = {{"pool:p", false}};
        dataset.provides = {fmt::format("path:/p/{}", d)};
        zfs.steps.push_back(dataset);
        zfs_steps.push_back({.id = dataset.id, .before = {0}, .undo_after = {d}});
      }
      kit::Step share;
      share.id = fmt::format("export{}", d);
      share.requires_keys = {{fmt::format("path:/p/{}", d), there}};
      share.provides = {fmt::format("export:/p/{}", d)};
      nfs.steps.push_back(share);
      nfs_steps.push_back({.id = share.id});
      if (!there) nfs_steps.back().built_on = {d + 1};
    }
    if (no_return && n == 0) nfs.steps.back().step_class = kit::StepClass::kPointOfNoReturn;
    if (fails && n + 1 == nodes) {
      nfs_steps[random_.Below(nfs_steps.size())].fails = true;
    }
    plan_parts.push_back(zfs);
    plan_parts.push_back(nfs);
    report_.steps += zfs.steps.size() + nfs.steps.size();
    participants_.push_back(std::make_unique<SimParticipant>(zfs.id, zfs_steps));
    SimParticipant* provider = participants_.back().get();
    participants_.push_back(std::make_unique<SimParticipant>(nfs.id, nfs_steps));
    SimParticipant* consumer = participants_.back().get();
    provider->sibling = consumer;
    consumer->sibling = provider;
    node.participants = {provider, consumer};
    nodes_.push_back(std::move(node));
  }
  report_.nodes = nodes;
  for (size_t left = 1 + random_.Below(4); left > 0; --left) {
    planned_.push_back({static_cast<Fault>(random_.Below(static_cast<size_t>(Fault::kCount))),
                        static_cast<Moment>(random_.Below(static_cast<size_t>(Moment::kCount)))});
  }

  auto plan = run::MakeFleetPlan(plan_parts, {});
  if (!plan.ok()) {
    report_.violation = std::string(plan.status().message());
    return;
  }
  // The undo order that the product derives must be the one that the simulated nodes keep.
  for (const auto& participant : participants_) {
    size_t edges = 0;
    for (const auto& step : participant->steps()) edges += step.undo_after.size();
    if (run::UndoEdgesOf(*plan, participant->id()).size() != edges) report_.violation = "undo edges differ";
  }
  auto request = std::make_shared<run::Request>();
  if (random_.OneIn(3)) request->confirm_within_ns = 1;
  confirms_ = !random_.OneIn(3);
  Event created;
  created.kind = Event::Kind::kCreated;
  created.request = request;
  Event planned;
  planned.kind = Event::Kind::kPlanned;
  planned.plan = std::make_shared<run::FleetPlan>(*std::move(plan));
  NewLeader();
  Append(*leaders_.back(), created);
  Append(*leaders_.back(), planned);
}

void World::Happen(std::string what) {
  report_.trace.push_back(fmt::format("{:5} {}", now_, std::move(what)));
  if (report_.trace.size() > 400) report_.trace.pop_front();
}

Moment World::Now() const {
  switch (logged_.phase) {
    case run::Phase::kApplying:
      return Moment::kApplying;
    case run::Phase::kVerifying:
      return Moment::kVerifying;
    case run::Phase::kAwaitingConfirm:
      return Moment::kAwaitingConfirm;
    case run::Phase::kCommitting:
      for (const auto& participant : participants_) {
        if (participant->durable.state == TransactionState::kInDoubt) return Moment::kInDoubt;
      }
      return Moment::kCommitting;
    case run::Phase::kCommitted:
      return Moment::kCommitted;
    case run::Phase::kRollingBack:
    case run::Phase::kRolledBack:
    case run::Phase::kQuarantined:
      return Moment::kRollingBack;
    default:
      return Moment::kPreparing;
  }
}

void World::Fired(Fault fault) {
  ++report_.fired[static_cast<size_t>(fault)][static_cast<size_t>(Now())];
  ++report_.faults;
}

void World::NewLeader() {
  auto leader = std::make_unique<Leader>();
  leader->process = static_cast<int64_t>(leaders_.size());
  leader->epoch = ++store_epoch_;
  leaders_.push_back(std::move(leader));
  Reload(*leaders_.back());
  Happen(fmt::format("leader {} takes epoch {}", leaders_.back()->process, store_epoch_));
}

void World::Reload(Leader& leader) {
  auto state = run::Fold(log_);
  if (!state.ok()) {
    report_.violation = std::string(state.status().message());
    return;
  }
  leader.state = *std::move(state);
}

// The store's promise: epoch and head are compared in the transaction that appends.
bool World::Append(Leader& leader, Event event) {
  const std::string head = log_.empty() ? "" : log_.back().hash;
  if (leader.epoch != store_epoch_) {
    leader.dead = true;  // it reads, finds another leader and ends
    return false;
  }
  if (leader.state.head_hash != head) {
    Reload(leader);
    return false;
  }
  event.sequence = static_cast<int64_t>(log_.size()) + 1;
  event.prev_hash = head;
  event.hash = fmt::format("{}.{}", leader.epoch, event.sequence);
  event.epoch = leader.epoch;
  event.time_seconds = 1 + now_;
  const absl::Status folded = run::Apply(leader.state, event);
  if (!folded.ok()) {
    report_.violation = std::string(folded.message());
    return false;
  }
  Happen(fmt::format("log #{}: {} {} {}", event.sequence, run::ToText(event.kind), run::ToText(event.who),
                     event.error));
  logged_ = leader.state;
  log_.push_back(std::move(event));
  return true;
}

void World::Send(Leader& leader, const Command& command) {
  const std::string key = run::KeyOf(command);
  if (!leader.under_way.insert(key).second) return;
  SimCall call;
  call.leader = leader.process;
  call.epoch = leader.epoch;
  call.command_key = key;
  call.message = MessageOf(command.kind);
  call.await_confirm = command.kind == Command::Kind::kAwaitConfirm;
  call.who = command.who;
  call.step_ids = command.step_ids;
  calls_.push_back(std::move(call));
}

// True when it did something.
bool World::Tick(Leader& leader) {
  if (leader.dead || leader.stopped || leader.state.Ended()) return false;
  if (leader.state.phase == run::Phase::kAwaitingConfirm && confirms_ && !leader.state.confirmed &&
      random_.OneIn(4)) {
    Event confirmed;
    confirmed.kind = Event::Kind::kConfirmed;
    return Append(leader, confirmed);
  }
  if (leader.state.phase == run::Phase::kAwaitingConfirm && !leader.state.confirmed && random_.OneIn(200)) {
    Event late;
    late.kind = Event::Kind::kRollingBack;
    late.error = "not confirmed in time";
    return Append(leader, late);
  }
  bool did = false;
  for (const Command& command : run::Decide(leader.state, leader.epoch)) {
    if (command.kind == Command::Kind::kAppend) return Append(leader, command.event);
    const size_t before = calls_.size();
    Send(leader, command);
    did = did || calls_.size() != before;
  }
  return did;
}

int64_t World::ClockOf(const SimParticipant& participant) const {
  for (const Node& node : nodes_) {
    if (node.name == participant.id().node) return now_ + node.clock;
  }
  return now_;
}

World::Node& World::NodeOf(const run::ParticipantId& id) {
  return *std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& node) { return node.name == id.node; });
}

void World::Deliver() {
  const size_t index = random_.Below(calls_.size());
  const SimCall call = calls_[index];
  if (NodeOf(call.who).cut_off) return;
  calls_.erase(calls_.begin() + static_cast<std::ptrdiff_t>(index));
  const auto who = std::find_if(participants_.begin(), participants_.end(),
                                [&](const auto& p) { return p->id() == call.who; });
  if (!(*who)->alive) {
    leaders_[static_cast<size_t>(call.leader)]->under_way.erase(call.command_key);  // refused: asked again
    return;
  }
  Happen(fmt::format("{} hears {} of epoch {}", run::ToText(call.who), call.command_key, call.epoch));
  (*who)->Take(call, ClockOf(**who), kPatience);
}

void World::DeliverAnswer() {
  const size_t index = random_.Below(answers_.size());
  SimAnswer answer = std::move(answers_[index]);
  answers_.erase(answers_.begin() + static_cast<std::ptrdiff_t>(index));
  Leader& leader = *leaders_[static_cast<size_t>(answer.leader)];
  if (leader.dead || leader.stopped) return;
  if (leader.under_way.erase(answer.command_key) == 0) return;  // it was given up, and asked again
  if (answer.stale_epoch) {
    leader.dead = true;
    return;
  }
  Event event = *answer.event;
  event.kind = EventOf(answer.command_key);
  if (event.kind == Event::Kind::kApplied && event.ok && event.results.empty()) return;
  if (leader.state.phase == run::Phase::kRollingBack && event.kind != Event::Kind::kUndone) return;
  Append(leader, std::move(event));
}

bool World::Inject(Fault fault) {
  Leader* leader = leaders_.back().get();
  SimParticipant& participant = *participants_[random_.Below(participants_.size())];
  Node& node = nodes_[random_.Below(nodes_.size())];
  switch (fault) {
    case Fault::kLeaderCrash:
      Fired(fault);
      leader->dead = true;
      NewLeader();
      break;
    case Fault::kStaleLeader:
      Fired(fault);
      leader->stopped = true;
      NewLeader();
      break;
    case Fault::kDaemonCrash:
      Fired(fault);
      participant.Crash(/*reboot=*/false, random_);
      break;
    case Fault::kReboot:
      Fired(fault);
      for (SimParticipant* each : node.participants) each->Crash(/*reboot=*/true, random_);
      break;
    case Fault::kCallLost:
      if (calls_.empty()) return false;
      Fired(fault);
      {
        const size_t index = random_.Below(calls_.size());
        leaders_[static_cast<size_t>(calls_[index].leader)]->under_way.erase(calls_[index].command_key);
        calls_.erase(calls_.begin() + static_cast<std::ptrdiff_t>(index));
      }
      break;
    case Fault::kAnswerLost:
      if (answers_.empty()) return false;
      Fired(fault);
      {
        const size_t index = random_.Below(answers_.size());
        leaders_[static_cast<size_t>(answers_[index].leader)]->under_way.erase(answers_[index].command_key);
        answers_.erase(answers_.begin() + static_cast<std::ptrdiff_t>(index));
      }
      break;
    case Fault::kCallRepeated:
      if (calls_.empty()) return false;
      Fired(fault);
      // Repeated, and late without bound: calls are delivered in no order.
      for (size_t copies = 1 + random_.Below(3); copies > 0; --copies)
        calls_.push_back(calls_[random_.Below(calls_.size())]);
      break;
    case Fault::kPartition:
      Fired(fault);
      node.cut_off = true;
      // What waits for an answer hears none and asks again; the orchestrator may also lose patience.
      leader->under_way.clear();
      if (random_.OneIn(2) && leader->state.plan && !leader->state.Ended() &&
          leader->state.phase != run::Phase::kCommitted && leader->state.phase != run::Phase::kRollingBack) {
        Event given_up;
        given_up.kind = Event::Kind::kRollingBack;
        given_up.error = "no answer";
        Append(*leader, given_up);
      }
      break;
    case Fault::kClockJump:
      Fired(fault);
      node.clock += random_.OneIn(2) ? kPatience * 2 : -kPatience * 2;
      break;
    case Fault::kDiskFull:
      Fired(fault);
      participant.disk_full = true;
      break;
    case Fault::kStepFails:
      if (!participant.FailNext()) return false;
      Fired(fault);
      break;
    case Fault::kCount:
      break;
  }
  Happen(fmt::format("FAULT {} at {} / {}", ToText(fault), node.name, run::ToText(participant.id())));
  return true;
}

void World::Check() {
  bool committed_logged = false, undo_logged = false;
  for (const Event& event : log_) {
    committed_logged = committed_logged || event.kind == Event::Kind::kCommitted;
    undo_logged = undo_logged || event.kind == Event::Kind::kRollingBack;
  }
  if (committed_logged && undo_logged) report_.violation = "the log holds COMMITTED and ROLLING_BACK";
  CheckBarrier();
  bool committed = false, undone = false;
  for (const auto& participant : participants_) {
    const auto state = participant->durable.state;
    committed = committed || state == TransactionState::kCommitted;
    undone = undone || state == TransactionState::kUndoing || state == TransactionState::kUndone;
    if (!participant->violation.empty()) report_.violation = "S4: " + participant->violation;
    for (size_t i = 0; i < participant->steps().size(); ++i) {
      const bool there = participant->effects[i];
      const auto name = fmt::format("{} {}", run::ToText(participant->id()), participant->steps()[i].id);
      const bool must_be = state == TransactionState::kInDoubt || state == TransactionState::kCommitted;
      if (must_be && !there) report_.violation = "S4: not applied although IN_DOUBT or COMMITTED: " + name;
      if (state == TransactionState::kUndone && there)
        report_.violation = "S4: applied although UNDONE: " + name;
      if (!there) continue;
      for (const size_t before : participant->steps()[i].before) {
        if (!participant->effects[before]) report_.violation = "S6: without what it was built on: " + name;
      }
      for (const size_t provider : participant->steps()[i].built_on) {
        if (!participant->sibling->effects[provider]) report_.violation = "S6: without its provider: " + name;
      }
    }
  }
  // A clean end is true of every node, and stays true.
  for (const Event& event : log_) {
    if (event.kind != Event::Kind::kEnded || event.phase == run::Phase::kQuarantined) continue;
    const auto wanted =
        event.phase == run::Phase::kCommitted ? TransactionState::kCommitted : TransactionState::kUndone;
    for (const auto& participant : participants_) {
      if (participant->durable.state == wanted) continue;
      report_.violation =
          fmt::format("S4: the run ended {}, but {} is {}", run::ToText(event.phase),
                      run::ToText(participant->id()), kit::ToText(participant->durable.state));
    }
  }
  if (committed && undone) report_.violation = "S1: one COMMITTED and another undone";
  if (committed_logged && undone) report_.violation = "S2: COMMITTED is logged and somebody undoes";
  if (undo_logged && committed) report_.violation = "S3: ROLLING_BACK is logged and somebody committed";
}

// What cannot be taken back begins only after all the rest was done and probed on every node.
void World::CheckBarrier() {
  if (!logged_.plan) return;
  const run::FleetPlan& plan = *logged_.plan;
  std::set<std::string> done, probed;
  for (const Event& event : log_) {
    const std::string who = run::ToText(event.who);
    if (event.kind == Event::Kind::kVerified && event.ok) probed.insert(who);
    for (const auto& result : event.results) {
      if (event.kind == Event::Kind::kApplied && result.result == run::StepResult::Result::kDone)
        done.insert(who + " " + result.step_id);
    }
    if (event.kind != Event::Kind::kDispatched) continue;
    for (size_t i = plan.barrier; i < plan.sequence.size(); ++i) {
      const std::string& id = plan.StepAt(i).id;
      const bool begins = run::ToText(plan.OwnerOf(i)) == who &&
                          std::find(event.step_ids.begin(), event.step_ids.end(), id) != event.step_ids.end();
      if (!begins) continue;
      if (done.size() < plan.barrier || probed.size() < participants_.size())
        report_.violation = fmt::format("{} {} began before everything else was done and probed", who, id);
    }
  }
}

bool World::Settled() const {
  const Leader& leader = *leaders_.back();
  return leader.state.Ended() && std::none_of(participants_.begin(), participants_.end(),
                                              [](const auto& participant) { return participant->Open(); });
}

Report World::Run() {
  for (int moment = 0; moment < kLongest && report_.violation.empty(); ++moment) {
    ++now_;
    if (moment == kFaultyPart || (healed_ && leaders_.back()->dead)) {
      // The network is whole, every daemon is up, one leader is there: from here on everything must end.
      healed_ = true;
      for (auto& node : nodes_) node.cut_off = false;
      for (auto& participant : participants_) {
        participant->disk_full = false;
        if (!participant->alive) participant->Start();
      }
      for (auto& leader : leaders_) leader->stopped = false;
      if (leaders_.back()->dead) NewLeader();
      leaders_.back()->under_way.clear();
    }
    const Moment moment_now = Now();
    for (size_t i = 0; !healed_ && i < planned_.size(); ++i) {
      if (planned_[i].moment != moment_now || !random_.OneIn(20) || !Inject(planned_[i].fault)) continue;
      planned_.erase(planned_.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
    if (random_.OneIn(60)) {
      for (auto& participant : participants_) {
        if (!participant->alive) participant->Start();
      }
      for (auto& node : nodes_) node.cut_off = node.cut_off && !random_.OneIn(3);
      for (auto& leader : leaders_) leader->stopped = leader->stopped && !random_.OneIn(3);
      for (auto& participant : participants_)
        participant->disk_full = participant->disk_full && !random_.OneIn(3);
      // A call without an answer is asked again after a while.
      if (!leaders_.back()->dead) leaders_.back()->under_way.clear();
    }
    switch (random_.Below(4)) {
      case 0:
        Tick(*leaders_[random_.Below(leaders_.size())]);
        break;
      case 1:
        if (!calls_.empty()) Deliver();
        break;
      case 2:
        if (!answers_.empty()) DeliverAnswer();
        break;
      case 3: {
        SimParticipant& participant = *participants_[random_.Below(participants_.size())];
        participant.Progress(random_, ClockOf(participant));
        break;
      }
    }
    bool wrote = false;
    for (auto& participant : participants_) {
      for (auto& answer : participant->TakeAnswers()) {
        if (!NodeOf(participant->id()).cut_off) answers_.push_back(std::move(answer));
      }
      wrote = wrote || participant->wrote;
      participant->wrote = false;
    }
    if (wrote) Check();
    if (Settled() && (healed_ || calls_.empty())) break;
  }
  Check();
  report_.end = leaders_.back()->state.phase;
  if (report_.violation.empty() && !Settled()) {
    report_.violation = "L1: healed, and the run or a lock never ends";
    for (const auto& participant : participants_) {
      report_.violation +=
          fmt::format("; {} {}", run::ToText(participant->id()), kit::ToText(participant->durable.state));
    }
  }
  return std::move(report_);
}

}  // namespace phoenix::explore
