#include "services/kit/plan/step.h"

#include <fmt/format.h>

#include "base/digest/digest.h"

namespace phoenix::kit {
namespace {

// Length-prefixed, so that no value can imitate a field boundary.
void Put(std::string& text, std::string_view name, std::string_view value) {
  text += fmt::format("{} {} {}\n", name, value.size(), value);
}

}  // namespace

std::string_view ToText(StepClass step_class) {
  switch (step_class) {
    case StepClass::kExact:
      return "EXACT";
    case StepClass::kConfig:
      return "CONFIG";
    case StepClass::kLossy:
      return "LOSSY";
    case StepClass::kPointOfNoReturn:
      return "POINT_OF_NO_RETURN";
  }
  return "UNKNOWN";
}

std::string PlanDigest(const Plan& plan) {
  std::string text = "phoenix plan 1\n";
  for (const Step& step : plan.steps) {
    Put(text, "step", step.id);
    Put(text, "resource", step.resource);
    Put(text, "action", step.action);
    Put(text, "class", ToText(step.step_class));
    for (const FieldDiff& diff : step.diffs) {
      Put(text, "field", diff.field);
      Put(text, "before", diff.before);
      Put(text, "after", diff.after);
    }
    Put(text, "scope", step.scope);
    for (const Requirement& requirement : step.requires_keys) Put(text, "requires", requirement.key);
    for (const std::string& key : step.provides) Put(text, "provides", key);
    for (const std::string& key : step.removes) Put(text, "removes", key);
    for (const std::string& key : step.disturbs) Put(text, "disturbs", key);
    Put(text, "remainder", step.remainder);
    Put(text, "payload", step.payload);
  }
  for (const std::string& name : plan.checkpoints) Put(text, "checkpoint", name);
  return Sha256Hex(text);
}

}  // namespace phoenix::kit
