// Steps and plans, as every domain makes them and the kit journals them. Pure values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phoenix::kit {

// How a step can be taken back (docs/undo.md).
enum class StepClass { kExact = 1, kConfig = 2, kLossy = 3, kPointOfNoReturn = 4 };

std::string_view ToText(StepClass step_class);

// A key that a step needs. `satisfied_now`: the node has it already, whether or not a step provides it.
struct Requirement {
  std::string key;
  bool satisfied_now = false;
  friend bool operator==(const Requirement&, const Requirement&) = default;
};

struct FieldDiff {
  std::string field;
  std::string before;
  std::string after;
  friend bool operator==(const FieldDiff&, const FieldDiff&) = default;
};

struct Step {
  std::string id;        // unique in the participant's plan, the same each time the same plan is made
  std::string resource;  // "quickOS/vm-disks"
  std::string action;    // "create dataset"
  std::vector<FieldDiff> diffs;
  StepClass step_class = StepClass::kExact;
  std::string undo;                   // in words
  std::string remainder;              // what is left after undo, for kLossy and kPointOfNoReturn
  std::vector<std::string> commands;  // for people to read, secrets redacted
  std::string scope;                  // "" or "cluster:NAME": one at a time over the fleet
  std::vector<Requirement> requires_keys;
  std::vector<std::string> provides;
  std::vector<std::string> removes;
  // What is unusable while the step runs; content:PATH, what it writes into (keys.h).
  std::vector<std::string> disturbs;
  // What the domain needs to do, probe and undo the step: its own JSON, journaled, never shown, never a
  // secret.
  std::string payload;
  // Names of the secrets that doing the step needs.
  std::vector<std::string> secrets;
  friend bool operator==(const Step&, const Step&) = default;
};

struct Note {
  bool warning = false;
  std::string resource;
  std::string text;
  // Said once, and only where no node of the fleet has the key `resource` now (Plan::provided_now).
  bool unless_provided = false;
  friend bool operator==(const Note&, const Note&) = default;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<Note> notes;
  // SHA-256 over the state that the plan was made from.
  std::string base_fingerprint;
  // Keys that are there now, without any step, and that other participants may require.
  std::vector<std::string> provided_now;
  // What a run keeps a checkpoint of before its first step, by the domain's own names. A plan that has some
  // takes part in a run even where it has no steps.
  std::vector<std::string> checkpoints;
};

// SHA-256 over a text form of the steps (keys, actions, before/after, class) and of the checkpoints. Notes
// and commands are for people and are not part of it; nothing that moves by itself may be in a diff.
std::string PlanDigest(const Plan& plan);

}  // namespace phoenix::kit
