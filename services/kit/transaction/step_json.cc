#include "services/kit/transaction/step_json.h"

namespace phoenix::kit {

using nlohmann::json;

json ToJson(const Step& step) {
  json diffs = json::array(), needs = json::array();
  for (const auto& diff : step.diffs) diffs.push_back({diff.field, diff.before, diff.after});
  for (const auto& need : step.requires_keys) needs.push_back({need.key, need.satisfied_now});
  return {{"id", step.id},
          {"resource", step.resource},
          {"action", step.action},
          {"diffs", diffs},
          {"class", static_cast<int>(step.step_class)},
          {"undo", step.undo},
          {"remainder", step.remainder},
          {"commands", step.commands},
          {"scope", step.scope},
          {"requires", needs},
          {"provides", step.provides},
          {"removes", step.removes},
          {"disturbs", step.disturbs},
          {"payload", step.payload},
          {"secrets", step.secrets}};
}

Step StepFromJson(const json& j) {
  Step step;
  step.id = j.at("id");
  step.resource = j.at("resource");
  step.action = j.at("action");
  for (const auto& diff : j.at("diffs")) step.diffs.push_back({diff.at(0), diff.at(1), diff.at(2)});
  step.step_class = static_cast<StepClass>(j.at("class").get<int>());
  step.undo = j.at("undo");
  step.remainder = j.at("remainder");
  step.commands = j.at("commands").get<std::vector<std::string>>();
  step.scope = j.at("scope");
  for (const auto& need : j.at("requires")) step.requires_keys.push_back({need.at(0), need.at(1)});
  step.provides = j.at("provides").get<std::vector<std::string>>();
  step.removes = j.at("removes").get<std::vector<std::string>>();
  step.disturbs = j.at("disturbs").get<std::vector<std::string>>();
  step.payload = j.at("payload");
  step.secrets = j.at("secrets").get<std::vector<std::string>>();
  return step;
}

json ToJson(const LedgerEntry& entry) {
  return {{"key", entry.key},
          {"identity", entry.identity},
          {"created", entry.created},
          {"run", entry.run_id},
          {"fields", entry.fields}};
}

LedgerEntry LedgerEntryFromJson(const json& j) {
  return {j.at("key"), j.at("identity"), j.at("created"), j.at("run"), j.at("fields")};
}

}  // namespace phoenix::kit
