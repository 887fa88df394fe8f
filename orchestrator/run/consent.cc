#include "orchestrator/run/consent.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/host/command.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/keys.h"

namespace phoenix::run {
namespace {

bool Contains(const std::vector<std::string>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool HasKey(const kit::Step& step, const std::string& key) {
  return step.id == key || Contains(step.provides, key) || Contains(step.removes, key);
}

bool IsPackageStep(const kit::Step& step) {
  return step.step_class == kit::StepClass::kLossy && step.removes.empty() && !step.provides.empty() &&
         std::all_of(step.provides.begin(), step.provides.end(),
                     [](const std::string& key) { return kit::KindOf(key) == "package"; });
}

bool NeedsWord(const kit::Step& step, bool no_install) {
  if (IsPackageStep(step)) return no_install;
  // A class that only newer nodes know is taken for the worst.
  return step.step_class != kit::StepClass::kExact && step.step_class != kit::StepClass::kConfig;
}

std::string WordFor(const kit::Step& step) {
  for (const std::string& key : step.provides) {
    // Folders come along with what the step is about.
    if (kit::KindOf(key) != "folder") return key;
  }
  return step.removes.empty() ? step.id : step.removes.front();
}

std::string Typed(const std::string& key) { return "--allow " + ShellWord(key); }

// Each word once, in the order of the plan.
std::string TypedWords(const std::vector<MissingConsent>& missing) {
  std::vector<std::string> words;
  for (const MissingConsent& one : missing) {
    if (std::string word = Typed(one.key); !Contains(words, word)) words.push_back(std::move(word));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

std::string LineOf(const FleetPlan& plan, const MissingConsent& one) {
  const kit::Step& step = plan.StepAt(one.position);
  std::string line = fmt::format("{}: {} {} [{}] needs {}", ToText(plan.OwnerOf(one.position)), step.action,
                                 step.resource, kit::ToText(step.step_class), Typed(one.key));
  if (!step.remainder.empty()) line += "; remains after undo: " + step.remainder;
  return line;
}

}  // namespace

std::vector<MissingConsent> MissingConsents(const FleetPlan& plan, const Request& request) {
  std::vector<MissingConsent> missing;
  for (size_t i = 0; i < plan.sequence.size(); ++i) {
    const kit::Step& step = plan.StepAt(i);
    const bool allowed = std::any_of(request.allow.begin(), request.allow.end(),
                                     [&](const std::string& key) { return HasKey(step, key); });
    if (!allowed && NeedsWord(step, request.no_install)) missing.push_back({i, WordFor(step)});
  }
  return missing;
}

absl::Status CheckAllowedKeys(const FleetPlan& plan, const Request& request) {
  if (plan.sequence.empty()) return absl::OkStatus();
  std::vector<FieldViolation> unknown;
  for (size_t i = 0; i < request.allow.size(); ++i) {
    const std::string& key = request.allow[i];
    bool known = Contains(plan.provided_now, key);
    for (size_t step = 0; step < plan.sequence.size(); ++step)
      known = known || HasKey(plan.StepAt(step), key);
    if (!known) {
      unknown.push_back(
          {fmt::format("allow[{}]", i), fmt::format("no step of this plan has the key '{}'", key)});
    }
  }
  if (unknown.empty()) return absl::OkStatus();
  std::string text;
  for (const FieldViolation& violation : unknown) text += (text.empty() ? "" : "\n") + violation.description;
  const std::string words = TypedWords(MissingConsents(plan, request));
  text += words.empty() ? "; every step may be done without it" : "; what needs a word: " + words;
  return WithViolations(WithReason(FailedPrecondition("{}", text), {"ALLOWED_KEY_UNKNOWN", {}}), unknown);
}

absl::Status CheckConsent(const FleetPlan& plan, const Request& request) {
  PHX_RETURN_IF_ERROR(CheckAllowedKeys(plan, request));
  const std::vector<MissingConsent> missing = MissingConsents(plan, request);
  if (missing.empty()) return absl::OkStatus();
  std::string steps, packages;
  std::vector<std::string> keys;
  std::vector<FieldViolation> violations;
  for (const MissingConsent& one : missing) {
    const bool package = IsPackageStep(plan.StepAt(one.position));
    const std::string line = LineOf(plan, one);
    (package ? packages : steps) += "\n  " + line;
    violations.push_back({package ? "no_install" : "allow", line});
    if (!Contains(keys, one.key)) keys.push_back(one.key);
  }
  std::string text = "nothing was done.";
  if (!steps.empty()) text += " These steps cannot be taken back exactly, and nobody allowed them:" + steps;
  if (!packages.empty()) {
    text += fmt::format(
        "{}These packages are missing, and --no-install forbids to install them (do it by "
        "hand, or leave the flag out):{}",
        steps.empty() ? " " : "\n", packages);
  }
  text += "\nIf that is what you want, say so: " + TypedWords(missing);
  return WithViolations(WithReason(FailedPrecondition("{}", text),
                                   {"CONSENT_NEEDED", {{"allow", fmt::format("{}", fmt::join(keys, ","))}}}),
                        violations);
}

}  // namespace phoenix::run
