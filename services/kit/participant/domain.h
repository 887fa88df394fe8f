// What a domain adds to the kit: how to plan, do, probe and undo its steps. The kit brings everything else:
// journal, locks, deadlines, concurrency, recovery, the RPCs.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/secret.h"
#include "services/kit/plan/step.h"

namespace phoenix::kit {

// One object that this participant has created or taken over. Only created ones may ever be removed.
struct LedgerEntry {
  std::string key;       // "export:/quickOS/shared-prod-data"
  std::string identity;  // native: GUID, uid, digest; "" where there is none
  bool created = false;  // false: adopted, only its declared fields are managed
  std::string run_id;    // the run that made the entry
  std::string fields;    // last applied, the domain's own JSON
};

// By key.
using Ledger = std::map<std::string, LedgerEntry, std::less<>>;

// What a step does to the ledger once it is done.
struct LedgerChange {
  std::vector<LedgerEntry> put;     // run_id is filled in by the kit
  std::vector<std::string> remove;  // keys
};

struct PlanInput {
  std::string spec_type;
  std::string spec;
  Secrets secrets;
  // Keys that other participants' steps make briefly unusable, or remove (second planning round).
  std::vector<std::string> disturbed_keys;
  std::vector<std::string> removed_keys;
  Ledger ledger;
  // Key of this node for HMACs over secret values (design: change is detected without keeping the value).
  Secret node_key;
  // True for a change by a typed RPC: what the spec does not name is not orphaned.
  bool local = false;
};

// A step's surroundings while it is done or undone.
struct StepContext {
  std::string run_id;
  // What Capture() answered for this step.
  std::string captured;
  // Empty on undo and after a restart.
  const Secrets* secrets = nullptr;
  Secret node_key;
  // Undo() was called for the step, or would be: a probe answers kNotDone, too, where all that is left is
  // what the step's remainder names.
  bool undoing = false;
  // Every mutating process is started with it: the child's identity is journaled before the program is
  // executed.
  ChildObserver on_child;
};

// What is there of a step.
enum class Probe {
  kNotDone,  // as captured
  kDone,     // as the step leaves it
  kPartial,  // ours, but neither: doing or undoing it again completes it
  kForeign,  // somebody else changed it: neither do nor undo may touch it
};

struct ProbeResult {
  Probe probe = Probe::kNotDone;
  // What was found, for kPartial and kForeign.
  std::string found;
  // For kNotDone: what an undo left of what the step's remainder names, and how it is brought to an end by
  // hand.
  std::string left = {};
};

struct VerifyInput {
  std::vector<Step> applied;
  const Secrets* secrets = nullptr;
};

struct VerifyReport {
  std::vector<std::string> probes;
  std::vector<std::string> not_probed;
};

// What becomes of a step of a committed run when the run is rolled back.
struct Retrospect {
  enum class Kind {
    kReversible,
    kStays,     // the rollback leaves it as it is, and its plan says so
    kObstacle,  // the run cannot be rolled back
  };
  Kind kind = Kind::kReversible;
  std::string reason;
};

struct ObservedField {
  std::string key, field, value, source;
};

struct DomainDescription {
  std::string participant;  // "zfs"
  std::vector<std::string> spec_types;
  std::map<std::string, std::string> tool_versions;
};

// How an object of the node is, whatever any configuration says of it.
struct Condition {
  enum class Severity {
    kOk,        // asks for nothing
    kInfo,      // neither, and is worth a line in every overview
    kWarning,   // is to be looked at
    kCritical,  // is to be acted on: plans refuse to build on it
  };
  Severity severity = Severity::kOk;
  std::string object;  // native name, "tank"
  std::string text;    // one line
};

// Thread-safe: the kit runs independent steps concurrently, and reads while steps run. A domain whose steps
// must not overlap (one file, one database) takes a lock of its own.
class Domain {
 public:
  virtual ~Domain() = default;

  virtual DomainDescription Describe() = 0;
  // How the node's objects of this domain are. Comes back within a few seconds, whatever hangs; what could
  // not be read by then says so.
  virtual absl::StatusOr<std::vector<Condition>> Conditions() { return std::vector<Condition>(); }
  // State as key/field/value/source; `keys` empty for all.
  virtual absl::StatusOr<std::vector<ObservedField>> Observe(const std::vector<std::string>& keys) = 0;
  // Reads state once and plans. Mutates nothing. The same state and input give the same plan.
  virtual absl::StatusOr<Plan> MakePlan(const PlanInput& input) = 0;

  // What Checkpoint() of the same would keep; MakePlan() says it in its plan.
  virtual absl::StatusOr<std::vector<std::string>> CheckpointsOf(
      const std::vector<Step>& /*steps*/, const std::vector<std::string>& /*disturbed_keys*/) {
    return std::vector<std::string>();
  }
  // A run is prepared here: makes durable what brings back the content of what these steps change, and of
  // what the steps of others write into (content: among the disturbed keys). Called once its row is durable,
  // before the first capture, also where there are no steps; not for typed changes. An error refuses the run,
  // and it is undone: Close() takes away what was made. Must be repeatable.
  virtual absl::Status Checkpoint(const std::string& /*run_id*/, const std::vector<Step>& /*steps*/,
                                  const std::vector<std::string>& /*disturbed_keys*/) {
    return absl::OkStatus();
  }
  // Reads what undoing the step needs (JSON; may hold no secret). Called at Prepare when every requirement of
  // the step is satisfied already, otherwise right before the step; called again right before the step in any
  // case, and a different answer means that somebody else changed the object. So it must not hold anything
  // that moves by itself or that other steps of the same plan change.
  virtual absl::StatusOr<std::string> Capture(const Step& step, const std::string& run_id) = 0;
  // Of a step with a scope whose capture has changed since: whether another node of the run may have made
  // `now` of `before`, as the first one does for all. What each node does for itself alone no other one does.
  virtual bool MayBeAnotherNodes(const Step& /*step*/, const std::string& /*before*/,
                                 const std::string& /*now*/) {
    return true;
  }
  // Does the step. Must be repeatable: after a crash it may be called on a partial effect. Exit codes are
  // hints; the kit probes afterwards whatever this answers.
  virtual absl::Status Do(const Step& step, const StepContext& context) = 0;
  virtual absl::StatusOr<ProbeResult> ProbeStep(const Step& step, const StepContext& context) = 0;
  // Takes the step back, from kDone or kPartial to kNotDone. Must be repeatable.
  virtual absl::Status Undo(const Step& step, const StepContext& context) = 0;
  // The exact commands that a person has to run where undo failed.
  virtual std::vector<std::string> RemainingCommands(const Step& step, const StepContext& context) = 0;
  // What the ledger says after the step is done. Called after the probe.
  virtual absl::StatusOr<LedgerChange> LedgerOf(const Step& step, const StepContext& context) = 0;
  // What the ledger says after the undo of a step that made something again; added to the entries that the
  // ledger had before the step.
  virtual absl::StatusOr<LedgerChange> LedgerOfUndone(const Step&, const StepContext&) {
    return LedgerChange();
  }
  // Of a step long after its run was committed: whether undo still has all it needs, and whether others use
  // the object by now.
  virtual absl::StatusOr<Retrospect> LookBack(const Step&, const StepContext&) { return Retrospect(); }

  // True for a step of the plan that is made again after a run where nobody could plan it before: one of the
  // applied steps brought to light what it changes (a pool that was imported). It is left to the next setup.
  virtual bool ComesToLight(const Step& /*step*/, const std::vector<Step>& /*applied*/) { return false; }
  // Probes what was applied, beyond ProbeStep: a mount, a login. A probe leaves nothing behind.
  virtual absl::StatusOr<VerifyReport> Verify(const VerifyInput& input) = 0;
  // The transaction is closed: checkpoints that only an open one needs (sealed secrets, holds) go. Must be
  // repeatable.
  virtual absl::Status Close(const std::string& run_id, bool committed) = 0;
};

}  // namespace phoenix::kit
