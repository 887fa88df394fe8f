// The log of a run. An event is durable before its effect begins; the state of a run is the fold of its
// events and of nothing else. Pure values.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/kit/plan/step.h"

namespace phoenix::run {

// A participant of a run: a service of a node.
struct ParticipantId {
  std::string node;
  std::string participant;
  friend auto operator<=>(const ParticipantId&, const ParticipantId&) = default;
};

std::string ToText(const ParticipantId& id);

struct NodeAddress {
  std::string name;
  // "unix:DIR" or "HOST"; what a channel is made of.
  std::string address;
  // What it has otherwise than the configuration says: a JSON Merge Patch, empty for nothing.
  std::string overrides;
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

// What was asked for. Specs are stored as sent; secrets never are.
struct Request {
  std::string title;
  std::string config;                                  // JSON as the user wrote it
  std::string lxc;                                     // the containers likewise; "" for none
  std::string vms;                                     // the VMs likewise; "" for none
  std::map<std::string, std::string> feature_scripts;  // by file name
  std::vector<NodeAddress> nodes;
  std::string expected_plan_digest;
  std::string request_id;
  std::string secrets_file;
  // True when secret values came inline: a crash then means undo, since nobody can resolve them again.
  bool inline_secrets = false;
  int64_t deadline_ns = 0;
  int64_t confirm_within_ns = 0;  // 0: no confirmation
  bool await_approval = false;
  // The committed run that this one takes back, with those who took part in it; no configuration is read
  // then.
  std::string rollback_of;
  std::vector<ParticipantId> rollback_participants;
  // Keys of steps that the caller allows although they cannot be taken back exactly (consent.h).
  std::vector<std::string> allow;
  // Package steps need such a word too.
  bool no_install = false;
  // What of ours goes where the configuration does not name it any more: some of "exports", "shares", "rules"
  // and "storages".
  std::vector<std::string> prune;
  // Disks that may be wiped although they hold something: "/dev/disk/by-id/…" on any node, "NODE:/dev/…" on
  // one. "*" stands for all of them, in plans only.
  std::vector<std::string> wipe;
  // Disks and pools that are used although they are unhealthy: "/dev/disk/by-id/…" or "tank" on any node,
  // "NODE:…" on one.
  std::vector<std::string> allow_unhealthy;
};

struct PlannedParticipant {
  ParticipantId id;
  std::string journal_id;
  std::string spec_type;
  std::string spec;
  std::vector<std::string> disturbed_keys;
  std::vector<std::string> removed_keys;
  std::string plan_digest;
  std::vector<kit::Step> steps;
  std::vector<kit::Note> notes;
  // What it keeps as it is before the first step of the run.
  std::vector<std::string> checkpoints;

  // Who has no steps may have to keep what the steps of others write into.
  bool TakesPart() const { return !steps.empty() || !checkpoints.empty(); }
};

// One step of the whole plan.
struct PlannedStep {
  size_t participant = 0;      // index into Plan::participants
  size_t step = 0;             // index into its steps
  std::vector<size_t> before;  // positions in Plan::sequence of the steps that come first
};

struct FleetPlan {
  std::vector<PlannedParticipant> participants;  // by node, then participant
  std::vector<PlannedStep> sequence;             // in an order that respects `before`
  // Position of the first step after the barrier; sequence.size() without a point of no return.
  size_t barrier = 0;
  // Over the digests of all participants.
  std::string digest;
  // Remarks on the configuration itself.
  std::vector<kit::Note> notes;
  // Keys that some node has already. Known while planning only: not kept with the run.
  std::vector<std::string> provided_now;

  const kit::Step& StepAt(size_t position) const {
    return participants[sequence[position].participant].steps[sequence[position].step];
  }
  const ParticipantId& OwnerOf(size_t position) const {
    return participants[sequence[position].participant].id;
  }
  const PlannedParticipant* Find(const ParticipantId& id) const;
};

// What a participant answered for one step.
struct StepResult {
  enum class Result { kDone = 1, kFailed, kUndone, kQuarantined };
  std::string step_id;
  Result result = Result::kDone;
  std::string error;
  std::vector<std::string> remaining_commands;
};

enum class Phase {
  kPlanning = 1,
  kAwaitingApproval,
  kPreparing,
  kApplying,
  kVerifying,
  kAwaitingConfirm,
  kCommitting,
  kCommitted,
  kRollingBack,
  kRolledBack,
  kQuarantined,
  kNothingDone,
};

std::string_view ToText(Phase phase);

struct Event {
  enum class Kind {
    kCreated = 1,      // request
    kPlanned,          // plan
    kPhaseBegan,       // phase
    kPrepared,         // who, ok or error; texts: what was captured
    kDispatched,       // who, step_ids
    kApplied,          // who, step_ids, results or error
    kVerified,         // who, ok or error; texts: probes
    kConfirmArmed,     // who
    kCommitPrepared,   // who, epoch
    kCommitted,        // the decision
    kCommitDelivered,  // who
    kRollingBack,      // error: the reason
    kUndone,           // who, ok (results) or error: CONFLICT, DATA_LOSS
    kApproved,
    kConfirmed,
    kEnded,  // phase, texts: what is unresolved, error
  };
  Kind kind = Kind::kCreated;
  ParticipantId who;
  bool ok = true;
  Phase phase = Phase::kPlanning;
  std::string error;
  std::vector<std::string> step_ids;
  std::vector<StepResult> results;
  std::vector<std::string> texts;
  std::shared_ptr<const Request> request;
  std::shared_ptr<const FleetPlan> plan;

  // Given by the store when it appends.
  int64_t sequence = 0;
  std::string prev_hash;
  std::string hash;
  int64_t epoch = 0;
  int64_t time_seconds = 0;
};

// "STEPS_DISPATCHED" and so on, for programs.
std::string_view ToText(Event::Kind kind);
// The event in words, for people.
std::string Describe(const Event& event);

}  // namespace phoenix::run
