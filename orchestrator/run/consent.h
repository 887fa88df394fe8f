// Which steps a run does only where its caller named them. Pure.
//
// A step of class LOSSY or POINT_OF_NO_RETURN cannot be taken back exactly. A run does it only where the
// caller allowed it by a key of it: its id, or a key that it provides or removes, taken literally
// (`path:/a` does not allow `path:/a/b`). A word holds on every node of the run, since one configuration is
// for all of them. The mode of the configuration is asked before: what it forbids is in no plan.
//
// Package steps (LOSSY, nothing but `package:…` provided) need no word: what they install stands in fixed
// lists. With `no_install` they need one like any other.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "orchestrator/run/event.h"

namespace phoenix::run {

// A step that may not be done without a word that was not given.
struct MissingConsent {
  size_t position = 0;  // in the plan's sequence
  std::string key;      // the word: the first key that it provides, else removes, else its id
};

// In the order of the plan.
std::vector<MissingConsent> MissingConsents(const FleetPlan& plan, const Request& request);

// FAILED_PRECONDITION where a key was allowed that no step has, as when it is misspelt. What a node has
// already may be named, and with nothing to do everything may: a repeated command line stays right.
absl::Status CheckAllowedKeys(const FleetPlan& plan, const Request& request);

// FAILED_PRECONDITION, with one violation for each step, where a word is missing or names nothing.
absl::Status CheckConsent(const FleetPlan& plan, const Request& request);

}  // namespace phoenix::run
