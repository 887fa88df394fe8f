// A domain for the kit's own tests: a step sets one field of a machine in memory that outlives the daemon.
#pragma once

#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status/errors.h"
#include "services/kit/participant/domain.h"
#include "services/kit/plan/keys.h"

namespace phoenix::kit {

// The machine: fields by name. Thread-safe.
struct FakeMachine {
  absl::Mutex mutex;
  std::map<std::string, std::string> fields ABSL_GUARDED_BY(mutex);
  int effects ABSL_GUARDED_BY(mutex) = 0;

  std::map<std::string, std::string> Fields() {
    absl::MutexLock lock(&mutex);
    return fields;
  }
  int Effects() {
    absl::MutexLock lock(&mutex);
    return effects;
  }
  void Set(const std::string& name, const std::string& value) {
    absl::MutexLock lock(&mutex);
    fields[name] = value;
  }
};

// The spec is "name=value name=value …"; each becomes a step that sets the field, in that order where
// "after:" says so: "b=2:a" requires a's key. "a=" empties the field, which removes its key. What others
// write into is kept by its path.
class FakeDomain final : public Domain {
 public:
  explicit FakeDomain(FakeMachine& machine, std::string name = "fake")
      : machine_(machine), name_(std::move(name)) {}

  DomainDescription Describe() override { return {name_, {"fake"}, {}}; }
  absl::StatusOr<std::vector<ObservedField>> Observe(const std::vector<std::string>&) override {
    return std::vector<ObservedField>();
  }

  absl::StatusOr<Plan> MakePlan(const PlanInput& input) override {
    Plan plan;
    std::string_view rest = input.spec;
    absl::MutexLock lock(&machine_.mutex);
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
      const std::string name(word.substr(0, word.find('=')));
      std::string value(word.substr(word.find('=') + 1));
      std::string after;
      if (const auto colon = value.find(':'); colon != std::string::npos) {
        after = value.substr(colon + 1);
        value.resize(colon);
      }
      const auto now = machine_.fields.find(name);
      if (now != machine_.fields.end() && now->second == value) continue;
      Step step{.id = name, .resource = name, .action = "set"};
      step.diffs = {{"value", now == machine_.fields.end() ? "" : now->second, value}};
      step.undo = "set it back";
      (value.empty() ? step.removes : step.provides) = {"field:" + name};
      if (!after.empty()) step.requires_keys = {{"field:" + after, machine_.fields.contains(after)}};
      step.payload = value;
      if (shared.contains(name)) step.scope = "cluster:lab";
      if (const auto path = writes.find(name); path != writes.end())
        step.disturbs = {"content:" + path->second};
      plan.steps.push_back(step);
    }
    if (!input.local) plan.checkpoints = WrittenPaths(input.disturbed_keys);
    return plan;
  }

  absl::StatusOr<std::vector<std::string>> CheckpointsOf(
      const std::vector<Step>&, const std::vector<std::string>& disturbed_keys) override {
    return WrittenPaths(disturbed_keys);
  }
  absl::Status Checkpoint(const std::string& run_id, const std::vector<Step>& steps,
                          const std::vector<std::string>& disturbed_keys) override {
    if (before_checkpoint) before_checkpoint(run_id, steps);
    {
      absl::MutexLock lock(&order_mutex);
      kept[run_id] = WrittenPaths(disturbed_keys);
    }
    return fail_checkpoint ? Internal("the checkpoint was told to fail") : absl::OkStatus();
  }
  absl::StatusOr<std::string> Capture(const Step& step, const std::string&) override {
    absl::MutexLock lock(&machine_.mutex);
    const auto now = machine_.fields.find(step.id);
    return now == machine_.fields.end() ? "absent" : "=" + now->second;
  }

  absl::Status Do(const Step& step, const StepContext&) override {
    if (before_do) before_do(step);
    if (fail_do.contains(step.id)) return Internal("{} was told to fail", step.id);
    {
      absl::MutexLock lock(&machine_.mutex);
      machine_.fields[step.id] = step.payload;
      ++machine_.effects;
    }
    // A tool that lies: the effect is there although it said no.
    if (lie_do.contains(step.id)) return Internal("{} lies", step.id);
    return absl::OkStatus();
  }

  absl::StatusOr<ProbeResult> ProbeStep(const Step& step, const StepContext& context) override {
    absl::MutexLock lock(&machine_.mutex);
    const auto now = machine_.fields.find(step.id);
    const std::string found = now == machine_.fields.end() ? "absent" : "=" + now->second;
    if (const auto left = leaves.find(step.id); left != leaves.end() && context.undoing)
      return ProbeResult{Probe::kNotDone, found, left->second};
    if (found == "=" + step.payload) return ProbeResult{Probe::kDone, found};
    if (found == context.captured) return ProbeResult{Probe::kNotDone, found};
    return ProbeResult{Probe::kForeign, found};
  }

  absl::Status Undo(const Step& step, const StepContext& context) override {
    {
      absl::MutexLock lock(&order_mutex);
      undone.push_back(step.id);
    }
    if (leaves.contains(step.id)) return absl::OkStatus();
    if (fail_undo.contains(step.id)) return Internal("undo of {} was told to fail", step.id);
    absl::MutexLock lock(&machine_.mutex);
    if (context.captured == "absent") {
      machine_.fields.erase(step.id);
    } else {
      machine_.fields[step.id] = context.captured.substr(1);
    }
    return absl::OkStatus();
  }

  std::vector<std::string> RemainingCommands(const Step& step, const StepContext& context) override {
    return {"set " + step.id + " back to " + context.captured};
  }
  absl::StatusOr<LedgerChange> LedgerOf(const Step& step, const StepContext&) override {
    return LedgerChange{{{"field:" + step.id, "", true, "", step.payload}}, {}};
  }
  bool ComesToLight(const Step& step, const std::vector<Step>&) override {
    return brought_to_light.contains(step.id);
  }
  absl::StatusOr<VerifyReport> Verify(const VerifyInput& input) override {
    return VerifyReport{{std::to_string(input.applied.size()) + " steps probed"}, {}};
  }
  absl::Status Close(const std::string& run_id, bool committed) override {
    absl::MutexLock lock(&order_mutex);
    closed.emplace_back(run_id, committed);
    kept.erase(run_id);
    return absl::OkStatus();
  }

  std::set<std::string> fail_do, lie_do, fail_undo, brought_to_light;
  bool fail_checkpoint = false;
  std::function<void(const std::string& run_id, const std::vector<Step>& steps)> before_checkpoint;
  std::function<void(const Step&)> before_do;
  // By step, what undoing it leaves, which is all.
  std::map<std::string, std::string> leaves;
  // By step, a path that it writes into.
  std::map<std::string, std::string> writes;
  // Fields that the machine has in common with others of its cluster.
  std::set<std::string> shared;
  absl::Mutex order_mutex;
  std::vector<std::string> undone ABSL_GUARDED_BY(order_mutex);
  std::vector<std::pair<std::string, bool>> closed ABSL_GUARDED_BY(order_mutex);
  // The paths that are held, by run.
  std::map<std::string, std::vector<std::string>> kept ABSL_GUARDED_BY(order_mutex);

  std::map<std::string, std::vector<std::string>> Kept() {
    absl::MutexLock lock(&order_mutex);
    return kept;
  }

 private:
  FakeMachine& machine_;
  const std::string name_;
};

}  // namespace phoenix::kit
